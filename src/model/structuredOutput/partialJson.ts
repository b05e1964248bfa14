/**
 * What can be shown of a JSON document while it comes: everything that is certain by now. A string that has begun is shown
 * as far as it goes; a number or a word is shown when something stands behind it, and a key when its value has begun. For
 * display only: a part is never the whole.
 */
import * as Option from "effect/Option"
import { readJson } from "../../internal/readJson.ts"

/** Where the reader is: what may come next. */
type Expect = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd" | "end"

const blank = (unit: number): boolean => unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09

/** The offset behind the closing quote, or nothing when the text ends before it. */
const stringEnd = (text: string, start: number): number | undefined => {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === 0x5c) at++
    else if (unit === 0x22) return at + 1
  }
  return undefined
}

/** An open string without the half of an escape or of a character that it may end in. */
const openString = (text: string): string =>
  text.replace(/(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$/, "$1")
    .replace(/(?<!\\)((?:\\\\)*)\\u[dD][89abAB][0-9a-fA-F]{2}$/, "$1")
    .replace(/[\uD800-\uDBFF]$/, "")

const scalar = /[-+.\w]*/y

const scalarEnd = (text: string, start: number): number => {
  scalar.lastIndex = start
  scalar.test(text)
  return scalar.lastIndex
}

const closersOf = (stack: ReadonlyArray<string>): string => [...stack].reverse().join("")

/** The certain part of a text, or nothing where the text is no beginning of a document. */
const certain = (text: string): { readonly text: string; readonly closers: string } | undefined => {
  const stack: Array<string> = []
  let expect: Expect = "value"
  /** Where the longest prefix ends that closing brackets make a document. Each bracket moves it, so these are the stack's. */
  let safe: number | undefined
  const afterValue = (): Expect => stack.length === 0 ? "end" : "commaOrEnd"
  for (let at = 0; at < text.length;) {
    const unit = text.charCodeAt(at)
    if (blank(unit)) {
      at++
      continue
    }
    const letter = text.charAt(at)
    if (expect === "end") return undefined
    if ((letter === "}" || letter === "]") && stack.at(-1) === letter && expect.endsWith("OrEnd")) {
      stack.pop()
      safe = ++at
      expect = afterValue()
    } else if (expect === "commaOrEnd") {
      if (letter !== ",") return undefined
      expect = stack.at(-1) === "}" ? "key" : "value"
      at++
    } else if (expect === "colon") {
      if (letter !== ":") return undefined
      expect = "value"
      at++
    } else if (expect === "key" || expect === "keyOrEnd") {
      if (letter !== "\"") return undefined
      const end = stringEnd(text, at)
      if (end === undefined) break
      expect = "colon"
      at = end
    } else if (letter === "{" || letter === "[") {
      stack.push(letter === "{" ? "}" : "]")
      safe = ++at
      expect = letter === "{" ? "keyOrEnd" : "valueOrEnd"
    } else if (letter === "\"") {
      const end = stringEnd(text, at)
      if (end === undefined) return { text: openString(text), closers: `"${closersOf(stack)}` }
      at = end
      safe = at
      expect = afterValue()
    } else {
      const end = scalarEnd(text, at)
      if (end === at) return undefined
      if (end === text.length) break
      at = end
      safe = at
      expect = afterValue()
    }
  }
  return safe === undefined ? undefined : { text: text.slice(0, safe), closers: closersOf(stack) }
}

/** What is certain of a document that has come so far; nothing before its first character and for a text that is not JSON. */
export const partial = (text: string): Option.Option<unknown> => {
  const known = certain(text)
  if (known === undefined) return Option.none()
  try {
    return Option.some(readJson(known.text + known.closers))
  } catch {
    return Option.none()
  }
}
