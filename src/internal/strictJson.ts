/**
 * A strict reader of JSON text: it accepts what `JSON.parse` accepts and nothing else, says where and why it refuses, and
 * reports what `JSON.parse` swallows silently (duplicate keys, prototype keys, rounded numbers, broken characters).
 *
 * It walks the text once with a stack of its own, so neither size nor nesting can overflow the call stack.
 */
import * as Either from "effect/Either"
import { readByKey } from "./readJson.ts"
import { mask, redact } from "./redact.ts"

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
  /** How many values it holds, itself and those inside others included. */
  readonly values: number
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
  if ("reason" in scanned) return Either.left(faultAt(text, scanned.reason, scanned.offset))
  const { hasEscapedKey, hazards, values } = scanned
  return Either.right({ value: hasEscapedKey ? readByKey(text) : JSON.parse(text), hazards, values })
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
  readonly keys: Keys | undefined
  key: string
  index: number
}

/** How many keys are compared one by one before a set is worth its price. */
const fewKeys = 8

/** The keys of an object so far. */
class Keys {
  private readonly few: Array<string> = []
  private many: Set<string> | undefined = undefined

  /** Whether the key is new. */
  add(key: string): boolean {
    const { few, many } = this
    if (many !== undefined) return many.size < many.add(key).size
    for (let index = 0; index < few.length; index++) if (few[index] === key) return false
    if (few.length < fewKeys) few.push(key)
    else this.many = new Set(few).add(key)
    return true
  }
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

interface Scanned {
  readonly hazards: ReadonlyArray<Hazard>
  readonly values: number
  /** Some engines misread such keys: see `readJson.ts`. */
  readonly hasEscapedKey: boolean
}

const scan = (text: string, maxDepth: number): Stop | Scanned => {
  const frames: Array<Frame> = []
  const hazards: Array<Hazard> = []
  let frame: Frame | undefined
  let values = 0
  let hasEscapedKey = false
  let at = skipBlank(text, 0)
  if (at === text.length) return stop("Empty", 0)

  for (;;) {
    // A value is due at `at`.
    values++
    const unit = text.charCodeAt(at)
    let opened = false
    if (unit === 0x22) {
      const plain = plainEnd(text, at)
      if (plain > 0) {
        at = plain
      } else {
        const end = scanString(text, -plain)
        if ("reason" in end) return end
        if (end.hasLoneSurrogate) note(hazards, "LoneSurrogate", at, frames)
        at = end.next
      }
    } else if (unit === 0x7b || unit === 0x5b) {
      if (frames.length >= maxDepth) return stop("TooDeep", at)
      const isObject = unit === 0x7b
      at = skipBlank(text, at + 1)
      if (text.charCodeAt(at) === (isObject ? 0x7d : 0x5d)) {
        at++
      } else {
        frame = { keys: isObject ? new Keys() : undefined, key: "", index: 0 }
        frames.push(frame)
        opened = true
      }
    } else if (unit === 0x2d || isDigit(unit)) {
      const end = scanNumber(text, at)
      if (typeof end !== "number") return end
      if (hazards.length < hazardLimit && isUnsafe(text, at, end)) note(hazards, "UnsafeNumber", at, frames)
      at = end
    } else {
      const end = scanWord(text, at)
      if (typeof end !== "number") return end
      at = end
    }

    // A value has ended (or a container was opened): go on to where the next value is due.
    for (;;) {
      if (frame === undefined) {
        const rest = skipBlank(text, at)
        if (rest === text.length) return { hazards, values, hasEscapedKey }
        // `007` or `nullable` is one bad word, `{…}{…}` is a good document with something behind it.
        const glued = rest === at && !"}]\"".includes(text.charAt(at - 1))
        return stop(glued ? "Syntax" : "TrailingContent", rest)
      }
      at = skipBlank(text, at)
      if (!opened) {
        const next = text.charCodeAt(at)
        if (next === (frame.keys === undefined ? 0x5d : 0x7d)) {
          frames.pop()
          frame = frames[frames.length - 1]
          at++
          continue
        }
        if (next !== 0x2c) return unexpected(text, at)
        frame.index++
        at = skipBlank(text, at + 1)
      }
      if (frame.keys !== undefined) {
        if (text.charCodeAt(at) !== 0x22) return unexpected(text, at)
        const plain = plainEnd(text, at)
        let next = plain
        let hasLoneSurrogate = false
        if (plain > 0) {
          frame.key = text.slice(at + 1, plain - 1)
        } else {
          const end = scanString(text, -plain)
          if ("reason" in end) return end
          frame.key = end.escaped ? String(JSON.parse(text.slice(at, end.next))) : text.slice(at + 1, end.next - 1)
          next = end.next
          hasEscapedKey ||= end.escaped
          hasLoneSurrogate = end.hasLoneSurrogate
        }
        if (hasLoneSurrogate) note(hazards, "LoneSurrogate", at, frames)
        if (!frame.keys.add(frame.key)) note(hazards, "DuplicateKey", at, frames)
        if (isPrototypeKey(frame.key, frames)) note(hazards, "ProtoKey", at, frames)
        at = skipBlank(text, next)
        if (text.charCodeAt(at) !== 0x3a) return unexpected(text, at)
        at = skipBlank(text, at + 1)
      }
      break
    }
    if (at >= text.length) return stop("Truncated", text.length)
  }
}

const note = (hazards: Array<Hazard>, hazard: HazardKind, offset: number, frames: ReadonlyArray<Frame>): void => {
  if (hazards.length >= hazardLimit) return
  hazards.push({ hazard, offset, path: frames.map((frame) => frame.keys === undefined ? frame.index : frame.key) })
}

/** `__proto__` anywhere, and `prototype` inside `constructor`: the two spellings that reach a shared prototype. */
const isPrototypeKey = (key: string, frames: ReadonlyArray<Frame>): boolean => {
  if (key === "__proto__") return true
  const parent = key === "prototype" ? frames[frames.length - 2] : undefined
  return parent?.keys !== undefined && parent.key === "constructor"
}

/**
 * The offset behind a string without escapes and surrogates, which is most of them; else the place where one has to look
 * closer, negated.
 */
const plainEnd = (text: string, start: number): number => {
  let at = start + 1
  for (; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x22) return at + 1
    if (unit === 0x5c || unit < 0x20 || unit >= 0xd800) break
  }
  return -at
}

interface StringEnd {
  /** The offset behind the closing quote. */
  readonly next: number
  readonly escaped: boolean
  /** Whether half a surrogate pair stands alone in it, raw or escaped. */
  readonly hasLoneSurrogate: boolean
}

/** Reads a string on from a place before which there was nothing to look at. */
const scanString = (text: string, from: number): StringEnd | Stop => {
  let escaped = false
  let hasLoneSurrogate = false
  let afterHigh = false
  for (let at = from; at < text.length; at++) {
    let unit = text.charCodeAt(at)
    if (unit === 0x22) return { next: at + 1, escaped, hasLoneSurrogate: hasLoneSurrogate || afterHigh }
    if (unit < 0x20) return stop("Syntax", at)
    if (unit === 0x5c) {
      escaped = true
      at++
      if (text.charCodeAt(at) === 0x75) {
        for (let digit = 1; digit <= 4; digit++) {
          if (!isHex(text.charCodeAt(at + digit))) return unexpected(text, at + digit)
        }
        unit = Number.parseInt(text.slice(at + 1, at + 5), 16)
        at += 4
      } else if (!isEscapable(text.charCodeAt(at))) {
        return unexpected(text, at)
      }
    }
    if (unit >= 0xdc00 && unit <= 0xdfff) {
      hasLoneSurrogate ||= !afterHigh
      afterHigh = false
    } else if (afterHigh || unit >= 0xd800) {
      hasLoneSurrogate ||= afterHigh
      afterHigh = unit >= 0xd800 && unit <= 0xdbff
    }
  }
  return stop("Truncated", text.length)
}

/** What may stand behind a backslash, besides `u`: `" \ / b f n r t`. */
const isEscapable = (unit: number): boolean =>
  unit === 0x22 || unit === 0x5c || unit === 0x2f || unit === 0x6e || unit === 0x74 || unit === 0x72 || unit === 0x62 ||
  unit === 0x66

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

const hasExponent = (text: string, start: number, end: number): boolean => {
  for (let at = start; at < end; at++) if ((text.charCodeAt(at) | 0x20) === 0x65) return true
  return false
}

const wholeNumber = /^(-?\d+)(?:\.0+)?$/

/**
 * A number that a double cannot hold: one that overflows to Infinity, or an integer written out in full that rounds to
 * another integer. Fractions and exponents are approximate by their own notation and are left alone.
 */
const isUnsafe = (text: string, start: number, end: number): boolean => {
  if (end - start <= 15 && !hasExponent(text, start, end)) return false
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
  const behind = text.slice(offset, offset + redactedMargin)
  // A fault inside a credential leaves its other half without the name that announces it.
  const after = redact(before.endsWith(mask) ? behind.replace(/^[^"'\r\n]*/, "") : behind)
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
