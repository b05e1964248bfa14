/** A terminal of narrow characters, as far as a printed stream uses one. */
export class Screen {
  private readonly lines: Array<Array<string>> = [[]]
  private row = 0
  private column = 0
  private readonly columns: number
  /** The first row that can be reached; those before it have left the screen. */
  private top = 0
  private readonly height: number

  constructor(columns: number, height: number) {
    this.columns = columns
    this.height = height
  }

  write(text: string): void {
    for (const [piece] of text.matchAll(/\u001b\[\d*[A-Z]|[^]/gu)) this.step(piece)
  }

  /** Everything that was printed, what has left the screen included. */
  text(): string {
    return this.lines.map((line) => Array.from(line, (each) => each ?? " ").join("").trimEnd()).join("\n").trimEnd()
  }

  private step(piece: string): void {
    const command = /^\u001b\[(\d*)([A-Z])$/.exec(piece)
    if (command !== null) return this.command(Number(command[1] === "" ? 1 : command[1]), command[2])
    if (piece === "\r") this.column = 0
    else if (piece === "\n") this.lineFeed()
    else if (piece === "\t") this.column = Math.min(this.columns - 1, (Math.floor(this.column / 8) + 1) * 8)
    else {
      if (this.column === this.columns) this.lineFeed()
      this.line()[this.column] = piece
      this.column += 1
    }
  }

  private command(count: number, what: string | undefined): void {
    if (what === "A") this.row = Math.max(this.top, this.row - count)
    else if (what === "C") this.column = Math.min(this.columns - 1, this.column + count)
    else if (what === "J") {
      this.line().length = Math.min(this.line().length, this.column)
      this.lines.length = this.row + 1
    } else throw new Error(`unknown command ${what}`)
  }

  private lineFeed(): void {
    this.row += 1
    this.column = 0
    this.line()
    this.top = Math.max(this.top, this.row - this.height + 1)
  }

  private line(): Array<string> {
    while (this.lines.length <= this.row) this.lines.push([])
    return this.lines[this.row] ?? []
  }
}
