/**
 * A strict reader of JSON text: it accepts what `JSON.parse` accepts and nothing else, says where and why it refuses, and
 * reports what `JSON.parse` swallows silently (duplicate keys, prototype keys, rounded numbers, broken characters).
 *
 * It walks the text once with a stack of its own, so neither size nor nesting can overflow the call stack.
 */
import * as Either from "effect/Either"
import { redact } from "./redact.ts"

/** Why a text is not an acceptable JSON document. */
export type Reason = "Syntax" | "TrailingContent" | "TooDeep" | "TooLarge" | "Empty" | "Truncated"

/** Where and why reading stopped. `offset` counts UTF-16 units from 0; `line` and `column` count from 1. */
export interface Fault<R extends string = Reason> {
  readonly reason: R
  readonly offset: number
  readonly line: number
  readonly column: number
  /** The text round the offset, redacted, at most about 80 characters. */
  readonly excerpt: string
}

/** What `JSON.parse` accepts although the value it gives is not the one that was written. */
export type HazardKind = "DuplicateKey" | "ProtoKey" | "UnsafeNumber" | "LoneSurrogate"

/** A hazard and the path of keys and indices that leads to it. */
export interface Hazard {
  readonly hazard: HazardKind
  readonly path: ReadonlyArray<string | number>
  readonly offset: number
}

/** A document that was read, with its hazards in the order of the text (at most `hazardLimit` of them). */
export interface Document {
  readonly value: unknown
  readonly hazards: ReadonlyArray<Hazard>
}

export interface Limits {
  /** Longest text in UTF-16 units. Default: 1 048 576. */
  readonly maxLength?: number | undefined
  /** Deepest nesting of objects and arrays; a scalar has depth 0. Default: 256. */
  readonly maxDepth?: number | undefined
}

export const defaults = { maxLength: 1_048_576, maxDepth: 256 } as const

/** One hazard is enough to refuse; more are only kept to be told. */
export const hazardLimit = 16

/** Reads a whole text, or says where it stops being JSON. */
export const parse = (text: string, limits: Limits = {}): Either.Either<Document, Fault> => {
  if (text.length > (limits.maxLength ?? defaults.maxLength)) {
    return Either.left(faultAt(text, "TooLarge", limits.maxLength ?? defaults.maxLength))
  }
  const scanned = scan(text, limits.maxDepth ?? defaults.maxDepth)
  return "reason" in scanned
    ? Either.left(faultAt(text, scanned.reason, scanned.offset))
    : Either.right({ value: JSON.parse(text), hazards: scanned.hazards })
}

interface Stop {
  readonly reason: Reason
  readonly offset: number
}

const stop = (reason: Reason, offset: number): Stop => ({ reason, offset })

/** At the end of the text the fault is that it was cut; anywhere else it is the character that stands there. */
const unexpected = (text: string, offset: number): Stop =>
  stop(offset >= text.length ? "Truncated" : "Syntax", Math.min(offset, text.length))

/** An open object or array. `keys` is absent for arrays. */
interface Frame {
  readonly keys: Set<string> | undefined
  key: string
  index: number
}

const skipBlank = (text: string, from: number): number => {
  let at = from
  while (at < text.length) {
    const unit = text.charCodeAt(at)
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) break
    at++
  }
  return at
}

const scan = (text: string, maxDepth: number): Stop | { readonly hazards: ReadonlyArray<Hazard> } => {
  const frames: Array<Frame> = []
  const hazards: Array<Hazard> = []
  const note = (hazard: HazardKind, offset: number): void => {
    if (hazards.length >= hazardLimit) return
    hazards.push({ hazard, offset, path: frames.map((frame) => frame.keys === undefined ? frame.index : frame.key) })
  }
  let at = skipBlank(text, 0)
  if (at === text.length) return stop("Empty", 0)

  for (;;) {
    // A value is due at `at`.
    const unit = text.charCodeAt(at)
    let opened = false
    if (unit === 0x7b || unit === 0x5b) {
      if (frames.length >= maxDepth) return stop("TooDeep", at)
      const isObject = unit === 0x7b
      at = skipBlank(text, at + 1)
      if (text.charCodeAt(at) === (isObject ? 0x7d : 0x5d)) {
        at++
      } else {
        frames.push({ keys: isObject ? new Set() : undefined, key: "", index: 0 })
        opened = true
      }
    } else if (unit === 0x22) {
      const end = scanString(text, at)
      if ("reason" in end) return end
      if (end.lone) note("LoneSurrogate", at)
      at = end.next
    } else {
      const end = unit === 0x2d || isDigit(unit) ? scanNumber(text, at) : scanWord(text, at)
      if (typeof end !== "number") return end
      if ((unit === 0x2d || isDigit(unit)) && isUnsafe(text, at, end)) note("UnsafeNumber", at)
      at = end
    }

    // A value has ended (or a container was opened): go on to where the next value is due.
    for (;;) {
      const frame = frames.at(-1)
      if (frame === undefined) {
        const rest = skipBlank(text, at)
        if (rest === text.length) return { hazards }
        // `007` or `nullable` is one bad word, `{…}{…}` is a good document with something behind it.
        const glued = rest === at && !"}]\"".includes(text.charAt(at - 1))
        return stop(glued ? "Syntax" : "TrailingContent", rest)
      }
      at = skipBlank(text, at)
      if (!opened) {
        const next = text.charCodeAt(at)
        if (next === (frame.keys === undefined ? 0x5d : 0x7d)) {
          frames.pop()
          at++
          continue
        }
        if (next !== 0x2c) return unexpected(text, at)
        frame.index++
        at = skipBlank(text, at + 1)
      }
      if (frame.keys !== undefined) {
        if (text.charCodeAt(at) !== 0x22) return unexpected(text, at)
        const end = scanString(text, at)
        if ("reason" in end) return end
        frame.key = end.escaped ? String(JSON.parse(text.slice(at, end.next))) : text.slice(at + 1, end.next - 1)
        if (end.lone) note("LoneSurrogate", at)
        if (frame.keys.has(frame.key)) note("DuplicateKey", at)
        if (isPrototypeKey(frame.key, frames.at(-2))) note("ProtoKey", at)
        frame.keys.add(frame.key)
        at = skipBlank(text, end.next)
        if (text.charCodeAt(at) !== 0x3a) return unexpected(text, at)
        at = skipBlank(text, at + 1)
      }
      break
    }
    if (at >= text.length) return stop("Truncated", text.length)
  }
}

/** `__proto__` anywhere, and `prototype` inside `constructor`: the two spellings that reach a shared prototype. */
const isPrototypeKey = (key: string, parent: Frame | undefined): boolean =>
  key === "__proto__" || (key === "prototype" && parent?.keys !== undefined && parent.key === "constructor")

interface StringEnd {
  /** The offset behind the closing quote. */
  readonly next: number
  readonly escaped: boolean
  /** Whether half a surrogate pair stands alone in it, raw or escaped. */
  readonly lone: boolean
}

const scanString = (text: string, start: number): StringEnd | Stop => {
  let escaped = false
  let lone = false
  let afterHigh = false
  let at = start + 1
  while (at < text.length) {
    let unit = text.charCodeAt(at)
    if (unit === 0x22) return { next: at + 1, escaped, lone: lone || afterHigh }
    if (unit < 0x20) return stop("Syntax", at)
    if (unit === 0x5c) {
      escaped = true
      at++
      const letter = text.charAt(at)
      if (letter === "u") {
        for (let digit = 1; digit <= 4; digit++) {
          if (!isHex(text.charCodeAt(at + digit))) return unexpected(text, at + digit)
        }
        unit = Number.parseInt(text.slice(at + 1, at + 5), 16)
        at += 4
      } else if (letter === "" || !"\"\\/bfnrt".includes(letter)) {
        return unexpected(text, at)
      }
    }
    if (unit >= 0xdc00 && unit <= 0xdfff) {
      lone ||= !afterHigh
      afterHigh = false
    } else {
      lone ||= afterHigh
      afterHigh = unit >= 0xd800 && unit <= 0xdbff
    }
    at++
  }
  return stop("Truncated", text.length)
}

const isDigit = (unit: number): boolean => unit >= 0x30 && unit <= 0x39

const isHex = (unit: number): boolean =>
  isDigit(unit) || (unit >= 0x41 && unit <= 0x46) || (unit >= 0x61 && unit <= 0x66)

const skipDigits = (text: string, from: number): number => {
  let at = from
  while (isDigit(text.charCodeAt(at))) at++
  return at
}

/** The offset behind a number, by the grammar of RFC 8259: no leading zero, plus sign or bare point. */
const scanNumber = (text: string, start: number): number | Stop => {
  let at = text.charCodeAt(start) === 0x2d ? start + 1 : start
  if (!isDigit(text.charCodeAt(at))) return unexpected(text, at)
  at = text.charCodeAt(at) === 0x30 ? at + 1 : skipDigits(text, at)
  if (text.charCodeAt(at) === 0x2e) {
    if (!isDigit(text.charCodeAt(at + 1))) return unexpected(text, at + 1)
    at = skipDigits(text, at + 1)
  }
  const exponent = text.charCodeAt(at)
  if (exponent === 0x65 || exponent === 0x45) {
    at++
    const sign = text.charCodeAt(at)
    if (sign === 0x2b || sign === 0x2d) at++
    if (!isDigit(text.charCodeAt(at))) return unexpected(text, at)
    at = skipDigits(text, at)
  }
  return at
}

const wholeNumber = /^(-?\d+)(?:\.0+)?$/

/**
 * A number that a double cannot hold: one that overflows to Infinity, or an integer written out in full that rounds to
 * another integer. Fractions and exponents are approximate by their own notation and are left alone.
 */
const isUnsafe = (text: string, start: number, end: number): boolean => {
  if (end - start <= 15 && !/[eE]/.test(text.slice(start, end))) return false
  const token = text.slice(start, end)
  const value = Number(token)
  if (!Number.isFinite(value)) return true
  if (Number.isSafeInteger(value) && Math.abs(value) < 2 ** 52) return false
  const integer = wholeNumber.exec(token)?.[1]
  return integer !== undefined && BigInt(integer) !== BigInt(value)
}

const words = ["true", "false", "null"]

const scanWord = (text: string, start: number): number | Stop => {
  const word = words.find((candidate) => candidate[0] === text[start])
  if (word === undefined) return unexpected(text, start)
  for (let at = 1; at < word.length; at++) if (text[start + at] !== word[at]) return unexpected(text, start + at)
  return start + word.length
}

/** How much text is shown on each side of a fault. */
const margin = 40

/** How much text is redacted before it is clipped to the margin, so that half a key is not shown as harmless text. */
const redactedMargin = 1_000

/** Where an offset lies in a text, and the text round it. */
export const faultAt = <R extends string>(text: string, reason: R, offset: number): Fault<R> => {
  let line = 1
  let lineStart = 0
  for (let at = 0; at < offset; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x0a || (unit === 0x0d && text.charCodeAt(at + 1) !== 0x0a)) {
      line++
      lineStart = at + 1
    }
  }
  const before = redact(text.slice(Math.max(0, offset - redactedMargin), offset))
  const after = redact(text.slice(offset, offset + redactedMargin))
  const excerpt = [
    before.length > margin || offset > redactedMargin ? "…" : "",
    wellFormed(before.slice(-margin)),
    wellFormed(after.slice(0, margin)),
    after.length > margin || text.length > offset + redactedMargin ? "…" : ""
  ].join("")
  return { reason, offset, line, column: offset - lineStart + 1, excerpt }
}

/** Text with every half surrogate pair replaced by U+FFFD. */
const wellFormed = (text: string): string =>
  text.replace(/[\uD800-\uDBFF][\uDC00-\uDFFF]|[\uD800-\uDFFF]/g, (unit) => unit.length === 2 ? unit : "\uFFFD")
