/** Bytes cut into lines. Whoever gave them may write over them. */

const newline = 0x0a

export interface Line {
  /** From 1. */
  readonly number: number
  /** The byte it begins with. */
  readonly offset: number
  /** Nothing where it is too long. */
  readonly bytes: Uint8Array | undefined
}

/** Cuts bytes into lines. No more than the longest line is kept. */
export class LineCutter {
  private readonly most: number
  private parts: Array<Uint8Array> = []
  private length = 0
  private offset = 0
  private number = 1

  constructor(most: number) {
    this.most = most
  }

  feed(bytes: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    let from = 0
    for (;;) {
      const end = bytes.indexOf(newline, from)
      if (end === -1) break
      this.add(bytes.subarray(from, end))
      lines.push(this.line())
      this.offset += 1
      from = end + 1
    }
    this.add(bytes.subarray(from))
    return lines
  }

  /** What stands behind the last newline. */
  rest(): ReadonlyArray<Line> {
    return this.length === 0 ? [] : [this.line()]
  }

  private add(bytes: Uint8Array): void {
    this.length += bytes.length
    if (this.length > this.most) this.parts = []
    // Copied, since whoever gave the bytes may write over them.
    else if (bytes.length > 0) this.parts.push(bytes.slice())
  }

  private line(): Line {
    const { length, number, offset } = this
    const bytes = length > this.most ? undefined : joined(this.parts, length)
    this.parts = []
    this.length = 0
    this.offset += length
    this.number += 1
    return { number, offset, bytes }
  }
}

const joined = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const [first] = parts
  if (parts.length === 1 && first !== undefined) return first
  const all = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
