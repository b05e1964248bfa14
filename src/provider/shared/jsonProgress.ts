/**
 * Whether a JSON text that comes in pieces is whole, told by its brackets and quotes. Each character is looked at once, so
 * asking after every piece costs no more than reading the text. `{"a":"}` leaves `{ depth: 1, isQuoted: true }`: the brace
 * stands inside a string.
 */

export interface Progress {
  readonly depth: number
  readonly isQuoted: boolean
  readonly isEscaped: boolean
  /** Something but blanks has come. */
  readonly hasBegun: boolean
  /** Something came behind the end: it is no one JSON text any more. */
  readonly isBeyond: boolean
}

export const none: Progress = { depth: 0, isQuoted: false, isEscaped: false, hasBegun: false, isBeyond: false }

const quote = 0x22
const backslash = 0x5c
const blank = 0x20

const isOpening = (code: number): boolean => code === 0x7b || code === 0x5b
const isClosing = (code: number): boolean => code === 0x7d || code === 0x5d

/** What is known after one more piece. */
export const after = (before: Progress, piece: string): Progress => {
  if (piece === "") return before
  let { depth, hasBegun, isBeyond, isEscaped, isQuoted } = before
  for (let at = 0; at < piece.length; at++) {
    const code = piece.charCodeAt(at)
    if (isQuoted) {
      if (isEscaped) isEscaped = false
      else if (code === backslash) isEscaped = true
      else if (code === quote) isQuoted = false
    } else if (code > blank) {
      if (hasBegun && depth === 0) isBeyond = true
      hasBegun = true
      if (code === quote) isQuoted = true
      else if (isOpening(code)) depth++
      else if (isClosing(code)) depth--
    }
  }
  return { depth, hasBegun, isBeyond, isEscaped, isQuoted }
}

/** Whether the text is one object or list that is closed. */
export const isWhole = ({ depth, hasBegun, isBeyond, isQuoted }: Progress): boolean =>
  hasBegun && depth === 0 && !isQuoted && !isBeyond

/** The same of a text that is there at once. */
export const isWholeText = (text: string): boolean => isWhole(after(none, text))

/** The offset behind the first object or list of a text that may hold more; undefined where it does not end. */
export const endOfFirst = (text: string, from: number): number | undefined => {
  let depth = 0
  let isQuoted = false
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isQuoted) {
      if (code === backslash) at++
      else if (code === quote) isQuoted = false
    } else if (code === quote) isQuoted = true
    else if (isOpening(code)) depth++
    else if (isClosing(code) && --depth <= 0) return at + 1
  }
  return undefined
}
