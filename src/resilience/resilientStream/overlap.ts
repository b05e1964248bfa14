/**
 * Where a continuation joins the text that it continues. A model that is asked to go on often repeats the end of what it
 * goes on with; what it repeats is the longest end of the text that is a beginning of the continuation.
 *
 * It is found while the continuation comes, by the prefix function of Knuth, Morris and Pratt: the beginning of the
 * continuation is looked for in the text from its start, and each place in the text and each character that comes is
 * looked at a bounded number of times. A beginning that stands somewhere in the text may be a repetition that is not over,
 * so it is held back. With the text "one two one two three" and the continuation "two three four":
 *
 * | came        | the first place where it stands            | given on  |
 * |-------------|--------------------------------------------|-----------|
 * | "two "      | "one [two ]one two three"                  |           |
 * | "two t"     | "one two one [two t]hree"                  |           |
 * | "two three" | "one two one [two three]": it is at the end |          |
 * | " four"     | decided: 9 characters were repeated         | " four"  |
 */

/** Joins one continuation to a text. It belongs to one run. */
export class Join {
  private readonly text: string
  /** How many of the blanks at its end have not come again. */
  private blanks: number
  /** What came and is held back: the pieces, and their characters. */
  private readonly held: Array<string> = []
  private readonly pattern: Array<number> = []
  /** For each beginning of the pattern, how long the longest shorter beginning is that it ends with. */
  private readonly borders: Array<number> = []
  /** As far as the text was looked at, and how long the beginning of the pattern is that stands there. */
  private at = 0
  private matched = 0
  private isDecided = false

  /** `blanks`: how many blanks at the end of the text the request left out, which the continuation most likely begins with. */
  constructor(text: string, blanks = 0) {
    this.text = text
    this.blanks = blanks
  }

  /** More of the continuation came: what of it can be given on now. */
  push(delta: string): string {
    if (this.isDecided) return delta
    const fresh = this.blanks === 0 ? delta : this.withoutBlanks(delta)
    if (fresh === "") return ""
    this.held.push(fresh)
    for (let i = 0; i < fresh.length; i++) this.reveal(fresh.charCodeAt(i))
    // Until the text is over, a longer end of it may still come.
    return this.look() ? this.release() : ""
  }

  /** The continuation is over: what was held back of it. */
  end(): string {
    if (this.isDecided || this.pattern.length === 0) return ""
    // The whole pattern stands here, before the end of the text: there may be a beginning of it that stands at the end.
    while (!this.look()) this.matched = this.borders[this.matched - 1] ?? 0
    return this.release()
  }

  /** Skips what is the same as the blanks that are in the text already. */
  private withoutBlanks(delta: string): string {
    let same = 0
    const from = this.text.length - this.blanks
    while (same < delta.length && same < this.blanks && delta.charCodeAt(same) === this.text.charCodeAt(from + same)) {
      same += 1
    }
    this.blanks = same < delta.length ? 0 : this.blanks - same
    return delta.slice(same)
  }

  /** One more character of the pattern, and the border of the pattern up to it. */
  private reveal(code: number): void {
    const { borders, pattern } = this
    let border = borders.at(-1) ?? 0
    while (border > 0 && pattern[border] !== code) border = borders[border - 1] ?? 0
    borders.push(pattern.length > 0 && pattern[border] === code ? border + 1 : 0)
    pattern.push(code)
  }

  /** Looks for the pattern in the rest of the text; whether the text is over, so that it is known what was repeated. */
  private look(): boolean {
    const { borders, pattern, text } = this
    while (this.at < text.length && this.matched < pattern.length) {
      if (text.charCodeAt(this.at) === pattern[this.matched]) {
        this.at += 1
        this.matched += 1
      } else if (this.matched > 0) this.matched = borders[this.matched - 1] ?? 0
      else this.at += 1
    }
    return this.at === text.length
  }

  private release(): string {
    this.isDecided = true
    const came = this.held.join("")
    return isRepetition(this.text, this.matched) ? came.slice(this.matched) : came
  }
}

/** Fewer characters than this stand twice by chance: a blank, "| ", "the ". */
const shortestRepetition = 8

/** A word that was begun and is begun again is shorter: "Par" and then "Paris" are "Paris". */
const shortestWord = 3

const wordAtEnd = new RegExp(`(?<!\\p{L})\\p{L}{${shortestWord},${shortestRepetition}}$`, "u")

/** Whether that many characters at the end of the text are more than a coincidence when they come again. */
const isRepetition = (text: string, length: number): boolean =>
  length >= shortestRepetition ||
  (length >= shortestWord && wordAtEnd.exec(text.slice(-(shortestRepetition + 1)))?.[0].length === length)
