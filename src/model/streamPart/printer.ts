/**
 * The text of a stream for somebody who reads along, with what a `Reset` voids taken back: on a terminal by erasing the
 * lines it stands on, elsewhere by a line that says so. What is kept is where the cursor stands, however long the text is.
 *
 * On a terminal of 10 columns, "Hello wonderful" and a line break fill row 0 with "Hello wond", row 1 with "erful", and the
 * cursor is at the start of row 2: so two rows up, to the start of the row, and erase all below.
 */
import { visible } from "../../internal/redact.ts"

/** Where the text is printed. */
export interface Options {
  readonly output?: "terminal" | "plain" | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  readonly startColumn?: number | undefined
  readonly marker?: string | undefined
}

export const defaults = {
  output: "plain",
  columns: 80,
  rows: 24,
  startColumn: 0,
  marker: "[The connection broke. The answer begins anew.]"
} as const

/**
 * Control characters but line break and tab, line and paragraph separators, and the marks that turn the direction of
 * writing. A model that writes them, or is made to by what it read, could move the cursor, rename the window, or type.
 */
const harmful = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g

/** Takes no room of its own: it joins the character before it. */
const joining = /^[\p{M}\p{Cf}\p{Emoji_Modifier}]$/u

/** Joins the emoji on both its sides into one, 👩 and 🚀 into an astronaut. */
const joiner = "\u200d"

/**
 * Takes two columns: emoji and the scripts of East Asia, by their blocks; two regional indicators are one flag. Terminals
 * differ in what is newer than they are. In doubt a character counts as narrow: then a line of void text may stay, where
 * otherwise one above it would be erased.
 */
const wide = new RegExp(
  "^(?!\\p{Regional_Indicator})[\\p{Emoji_Presentation}\\u1100-\\u115f\\u2e80-\\u303e\\u3041-\\u33ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\ua000-\\ua4cf" +
    "\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6f\\uff00-\\uff60\\uffe0-\\uffe6\\u{20000}-\\u{3fffd}]$",
  "u"
)

const widthOf = (character: string): 0 | 1 | 2 =>
  character < "\u0300" ? 1 : joining.test(character) ? 0 : wide.test(character) ? 2 : 1

const tabWidth = 8

const orElse = (count: number | undefined, least: number, otherwise: number): number =>
  count !== undefined && Number.isSafeInteger(count) && count >= least ? count : otherwise

/** It belongs to one run of `StreamPart.toText`. */
export class Printer {
  private readonly isTerminal: boolean
  private readonly columns: number
  private readonly rows: number
  private startColumn: number
  private readonly marker: string
  /** The end of a delta that the next one may make whole: half a character, or a carriage return. */
  private unfinished = ""
  private hasPrinted = false
  /** Where the cursor is, from where it was when the text began. After the last column it has not moved on yet. */
  private row = 0
  private column: number
  private last = ""

  constructor(options: Options) {
    const { marker = defaults.marker, output = defaults.output } = options
    this.isTerminal = output === "terminal"
    this.columns = orElse(options.columns, 1, defaults.columns)
    this.rows = orElse(options.rows, 1, defaults.rows)
    this.startColumn = Math.min(orElse(options.startColumn, 0, defaults.startColumn), this.columns - 1)
    this.marker = harmless(marker)
    this.column = this.startColumn
  }

  /** More text came: what to print. */
  print(delta: string): string {
    const text = this.unfinished + delta
    const length = text.length - (/[\r\ud800-\udbff]$/.test(text) ? 1 : 0)
    this.unfinished = text.slice(length)
    return this.written(text.slice(0, length))
  }

  /** What came is void: what to print to take it back. */
  reset(): string {
    this.unfinished = ""
    if (!this.hasPrinted) return ""
    this.hasPrinted = false
    if (!this.isTerminal) return this.marked(this.column === 0 ? "" : "\n")
    // What has left the screen at its top cannot be erased.
    const reachable = Math.min(this.row, this.rows - 1)
    const isAllReachable = reachable === this.row
    const up = reachable === 0 ? "" : `\u001b[${reachable}A`
    const right = isAllReachable && this.startColumn > 0 ? `\u001b[${this.startColumn}C` : ""
    this.row = 0
    this.column = this.startColumn
    const erased = `\r${up}${right}\u001b[J`
    return isAllReachable ? erased : erased + this.marked("")
  }

  /** No more comes: what is left to print. */
  end(): string {
    const left = this.unfinished
    this.unfinished = ""
    return this.written(left)
  }

  /** A line of its own, behind which the text begins. */
  private marked(before: string): string {
    this.row = 0
    this.column = 0
    this.startColumn = 0
    return `${before}${this.marker}\n`
  }

  private written(text: string): string {
    const shown = harmless(text)
    if (shown !== "") {
      this.hasPrinted = true
      if (this.isTerminal) { for (const character of shown) this.advance(character) }
      else this.column = shown.endsWith("\n") ? 0 : 1
    }
    return shown
  }

  private advance(character: string): void {
    this.move(character)
    this.last = character
  }

  private move(character: string): void {
    if (character === "\n") {
      this.row += 1
      this.column = 0
    } else if (character === "\t") {
      this.column = Math.min(this.columns - 1, (Math.floor(this.column / tabWidth) + 1) * tabWidth)
    } else {
      const width = this.last === joiner ? 0 : widthOf(character)
      if (this.column + width > this.columns) {
        this.row += 1
        this.column = width
      } else this.column += width
    }
  }
}

/** The text with what could steer a terminal written out: `\u001b`. A carriage return in a line break is left out. */
const harmless = (text: string): string =>
  text.replace(/\r\n/g, "\n").replace(harmful, visible).replace(/\p{Cs}/gu, "\ufffd")
