/**
 * Repairs of JSON text that cannot change its meaning: each takes away, or spells in JSON, something that has exactly one
 * reading. They are edits made in one pass over the text, without a stack, so they take linear time at any nesting.
 *
 * An edit never touches what strict JSON allows, and what comes out has still to be read by `strictJson`: what the edits
 * do not heal is refused there.
 */

/** The repairs there are, in the order in which they are reported. */
export const rules = [
  "fence",
  "byteOrderMark",
  "controlCharacters",
  "trailingCommas",
  "comments",
  "pythonLiterals",
  "doubleEncoded"
] as const

export type Rule = typeof rules[number]

/** A text with its repairs. */
export interface Mended {
  readonly text: string
  /** The repairs that were needed, in the order of {@link rules}. */
  readonly applied: ReadonlyArray<Rule>
  /** Where a place of the mended text lies in the text that was given. */
  readonly origin: (offset: number) => number
}

/**
 * The text with all repairs that the rules allow, or nothing if none applies. `doubleEncoded` is not an edit: the root has
 * to be read to know it.
 */
export const mend = (text: string, allowed: ReadonlySet<Rule>): Mended | undefined => {
  const edits = edited(text, allowed, Number.POSITIVE_INFINITY)
  return edits.applied.size === 0 ? undefined : {
    text: edits.mended(),
    applied: rules.filter((rule) => edits.applied.has(rule)),
    // Only a refusal asks, and then the way is gone once more: keeping all places would cost every repair.
    origin: (offset) => edited(text, allowed, offset).origin()
  }
}

const edited = (text: string, allowed: ReadonlySet<Rule>, wanted: number): Edits => {
  const edits = new Edits(text, allowed, wanted)
  edits.body(edits.wrapping())
  return edits
}

const isBlank = (unit: number): boolean => unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09

const isDigit = (unit: number): boolean => unit >= 0x30 && unit <= 0x39

/** Letters, digits, `_` and `$`, and whatever is not ASCII: what may belong to a word of some language. */
const isWordUnit = (unit: number): boolean =>
  isDigit(unit) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a) || unit === 0x5f || unit === 0x24 ||
  unit >= 0x80

const skipBlank = (text: string, from: number, end: number): number => {
  let at = from
  while (at < end && isBlank(text.charCodeAt(at))) at++
  return at
}

const backtick = 0x60
const byteOrderMark = 0xfeff

/** The letters that the name of a language may have behind an opening fence. */
const isLanguageUnit = (unit: number): boolean =>
  (unit < 0x80 && isWordUnit(unit)) || unit === 0x2b || unit === 0x2d || unit === 0x2e || unit === 0x23

/** What stands between a fence and its end, where the fence holds the whole text and is closed. */
const fenced = (text: string, from: number): readonly [start: number, end: number] | undefined => {
  const opening = skipBlank(text, from, text.length)
  let start = opening
  while (text.charCodeAt(start) === backtick) start++
  const marks = start - opening
  let last = text.length
  while (last > start && isBlank(text.charCodeAt(last - 1))) last--
  let end = last
  while (end > start && text.charCodeAt(end - 1) === backtick) end--
  if (marks < 3 || last - end !== marks) return undefined
  while (start < end && isLanguageUnit(text.charCodeAt(start))) start++
  return [start, end]
}

const pythonWords: ReadonlyArray<readonly [word: string, json: string]> = [
  ["True", "true"],
  ["False", "false"],
  ["None", "null"]
]

const shortEscapes: { readonly [unit: number]: string | undefined } = {
  0x08: "\\b",
  0x09: "\\t",
  0x0a: "\\n",
  0x0c: "\\f",
  0x0d: "\\r"
}

const escaped = (unit: number): string => shortEscapes[unit] ?? `\\u${unit.toString(16).padStart(4, "0")}`

/** A half-open stretch of the text. */
interface Span {
  readonly from: number
  readonly end: number
}

class Edits {
  readonly applied: Set<Rule> = new Set()
  private readonly text: string
  private readonly allowed: ReadonlySet<Rule>
  /** The place of the mended text whose origin is looked for. */
  private readonly wanted: number
  private place: number | undefined = undefined
  private out = ""
  private copied = 0
  private end: number

  constructor(text: string, allowed: ReadonlySet<Rule>, wanted: number) {
    this.text = text
    this.allowed = allowed
    this.wanted = wanted
    this.end = text.length
  }

  mended(): string {
    return this.out + this.text.slice(this.copied, this.end)
  }

  /** For a place inside what an edit put in: the end of the edit, which is as near as it gets. */
  origin(): number {
    return this.place ?? Math.min(this.copied + this.wanted - this.out.length, this.end)
  }

  /** Takes off what stands round the whole text, and says what is left. */
  wrapping(): Span {
    let from = this.skipByteOrderMark(0)
    const inside = this.allowed.has("fence") ? fenced(this.text, from) : undefined
    if (inside !== undefined) {
      this.replace(from, inside[0], "", "fence")
      from = this.skipByteOrderMark(skipBlank(this.text, inside[0], inside[1]))
      this.end = inside[1]
    }
    return { from, end: this.end }
  }

  body({ end, from }: Span): void {
    const { text } = this
    const comments = this.allowed.has("comments")
    const commas = this.allowed.has("trailingCommas")
    const words = this.allowed.has("pythonLiterals")
    let at = from
    // The last unit that is neither blank nor comment.
    let before = 0
    while (at < end) {
      const unit = text.charCodeAt(at)
      if (isBlank(unit)) {
        at++
        continue
      }
      if (unit === 0x22) {
        at = this.string(at, end)
      } else if (unit === 0x2f && comments) {
        const behind = commentEnd(text, at, end, before)
        if (behind === undefined) return
        // A blank stays in its place: `1/**/2` is not 12.
        this.replace(at, behind, " ", "comments")
        at = behind
        continue
      } else if (unit === 0x2c && commas) {
        if (!"{[,:".includes(String.fromCharCode(before)) && before !== 0 && closes(text, at + 1, end, comments)) {
          this.replace(at, at + 1, "", "trailingCommas")
        }
        at++
      } else if (words && (unit === 0x54 || unit === 0x46 || unit === 0x4e)) {
        at = this.word(at, end)
      } else if (isWordUnit(unit)) {
        at++
        while (at < end && isWordUnit(text.charCodeAt(at))) at++
      } else {
        at++
      }
      before = text.charCodeAt(at - 1)
    }
  }

  private skipByteOrderMark(at: number): number {
    if (this.text.charCodeAt(at) !== byteOrderMark || !this.allowed.has("byteOrderMark")) return at
    this.replace(at, at + 1, "", "byteOrderMark")
    return at + 1
  }

  /** Goes behind a string, and escapes what stands raw in it. */
  private string(start: number, end: number): number {
    const { text } = this
    const controls = this.allowed.has("controlCharacters")
    let at = start + 1
    while (at < end) {
      const unit = text.charCodeAt(at)
      if (unit === 0x22) return at + 1
      // A backslash before a raw line break stays as it is, and is refused: `\` and `\n` would make another text.
      if (unit === 0x5c) {
        at += 2
      } else {
        const raw = at
        let escapes = ""
        while (controls && at < end && text.charCodeAt(at) < 0x20) escapes += escaped(text.charCodeAt(at++))
        if (escapes === "") at++
        else this.replace(raw, at, escapes, "controlCharacters")
      }
    }
    return end
  }

  private word(start: number, end: number): number {
    let at = start + 1
    while (at < end && isWordUnit(this.text.charCodeAt(at))) at++
    if (at - start <= 5) {
      const found = this.text.slice(start, at)
      const known = pythonWords.find(([word]) => word === found)
      if (known !== undefined) this.replace(start, at, known[1], "pythonLiterals")
    }
    return at
  }

  private replace(from: number, end: number, by: string, rule: Rule): void {
    const before = this.out.length
    this.out += this.text.slice(this.copied, from) + by
    if (this.place === undefined && this.out.length > this.wanted) {
      const offset = this.copied + this.wanted - before
      this.place = offset < from ? offset : end
    }
    this.copied = end
    this.applied.add(rule)
  }
}

/** Whether a list or an object is closed next, blanks and comments aside. */
const closes = (text: string, from: number, end: number, comments: boolean): boolean => {
  let at = from
  for (;;) {
    at = skipBlank(text, at, end)
    const unit = text.charCodeAt(at)
    if (at >= end) return false
    if (unit === 0x7d || unit === 0x5d) return true
    const behind = unit === 0x2f && comments ? commentEnd(text, at, end, 0x2c) : undefined
    if (behind === undefined) return false
    at = behind
  }
}

/**
 * The end of a comment, the line break of a line comment not included; nothing for what is no comment, is not closed, or
 * may be something else.
 */
const commentEnd = (text: string, at: number, end: number, before: number): number | undefined => {
  const mark = text.charCodeAt(at + 1)
  if (mark === 0x2a) {
    const closing = text.indexOf("*/", at + 2)
    return closing === -1 || closing + 2 > end ? undefined : closing + 2
  }
  if (mark !== 0x2f) return undefined
  let behind = at + 2
  while (behind < end) {
    const unit = text.charCodeAt(behind)
    if (unit === 0x0a || unit === 0x0d) break
    // Some readers end the line here and some do not.
    if (unit === 0x2028 || unit === 0x2029) return undefined
    behind++
  }
  return isDigit(before) && mayDivide(text, at) ? undefined : behind
}

/** `10//3` and `10 // 3` are 3 in Python. */
const mayDivide = (text: string, at: number): boolean => {
  if (!isBlank(text.charCodeAt(at - 1))) return true
  let operand = at + 2
  while (text.charCodeAt(operand) === 0x20 || text.charCodeAt(operand) === 0x09) operand++
  const unit = text.charCodeAt(operand)
  return isDigit(unit) || unit === 0x28 || unit === 0x2b || unit === 0x2d || unit === 0x2e
}

/**
 * Whether the object that the text starts with is closed, and nothing but closers stands behind it, as far as can be told
 * of a text that is not JSON: strings may stand in any quotes. A cut text says no, unless it was cut at a brace that is
 * itself text; an odd quotation mark says no, too.
 */
export const looksWhole = (text: string): boolean => {
  const inside = fenced(text, text.charCodeAt(0) === byteOrderMark ? 1 : 0)
  const [from, end] = inside ?? [text.charCodeAt(0) === byteOrderMark ? 1 : 0, text.length]
  let at = skipBlank(text, from, end)
  if (text.charCodeAt(at) !== 0x7b) return false
  const open: Array<number> = []
  while (at < end) {
    const unit = text.charCodeAt(at)
    if (unit === 0x22 || unit === 0x27 || unit === backtick) {
      at = quoteEnd(text, at, end, unit)
      if (at === end) return false
    } else if (unit === 0x7b || unit === 0x5b) {
      open.push(unit)
    } else if (unit === 0x7d || unit === 0x5d) {
      // A closer closes what was left open inside.
      const opener = unit - 2
      while (open.length > 0 && open.pop() !== opener);
      if (open.length === 0) break
    }
    at++
  }
  for (at++; at < end; at++) {
    const unit = text.charCodeAt(at)
    if (!isBlank(unit) && unit !== 0x7d && unit !== 0x5d && unit !== 0x3b) return false
  }
  return at === end
}

/** The offset of the closing quote, or the end. */
const quoteEnd = (text: string, start: number, end: number, quote: number): number => {
  let at = start + 1
  while (at < end) {
    const unit = text.charCodeAt(at)
    if (unit === quote) return at
    at += unit === 0x5c ? 2 : 1
  }
  return end
}
