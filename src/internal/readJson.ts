/**
 * `JSON.parse` that reads keys as they are written, on every engine.
 *
 * V8 13.6 (Node 24.21) takes a key for one of an earlier object when the characters it is written with begin with that key:
 * after `{"\\":5}` it reads `{"\n":7}` as `{"\\":7}`, because it compares the escaped text with the earlier key as it is.
 * Only keys with an escape are misread, so only documents that have one are built here, key by key.
 */

const quote = 0x22
const backslash = 0x5c

/** The offset of the quote that closes the string which starts at `from`. The text must be valid JSON. */
const closingQuote = (text: string, from: number): number => {
  let at = from + 1
  while (text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1
  return at
}

const isBlank = (unit: number): boolean => unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09

const skipBlank = (text: string, from: number): number => {
  let at = from
  while (isBlank(text.charCodeAt(at))) at++
  return at
}

const hasEscapedKey = (text: string): boolean => {
  if (!text.includes("\\")) return false
  for (let at = text.indexOf("\""); at !== -1;) {
    const end = closingQuote(text, at)
    const isKey = text[skipBlank(text, end + 1)] === ":"
    if (isKey && text.slice(at, end).includes("\\")) return true
    at = text.indexOf("\"", end + 1)
  }
  return false
}

/** The same as `JSON.parse`, which throws for what is no JSON. */
export const readJson = (text: string): unknown => {
  const value: unknown = JSON.parse(text)
  return hasEscapedKey(text) ? readByKey(text) : value
}

type Container = Array<unknown> | Record<string, unknown>

/** As `JSON.parse` does, a key `__proto__` makes a property and sets no prototype. */
const setOwn = (record: Record<string, unknown>, key: string, value: unknown): void => {
  if (key !== "__proto__") record[key] = value
  else Object.defineProperty(record, key, { value, configurable: true, enumerable: true, writable: true })
}

/** Behind a number or a word there is a blank, a bracket, a comma or the end. */
const scalar = /[-+.\w]+/y

/** Builds the value of a text that is valid JSON, with a stack of its own, so that no nesting is too deep. */
export const readByKey = (text: string): unknown => {
  let root: unknown
  const open: Array<Container> = []
  const keys: Array<string | undefined> = []
  const put = (value: unknown): void => {
    const container = open[open.length - 1]
    const key = keys[keys.length - 1]
    if (container === undefined) root = value
    else if (Array.isArray(container)) container.push(value)
    else if (key !== undefined) {
      setOwn(container, key, value)
      keys[keys.length - 1] = undefined
    }
  }
  for (let at = skipBlank(text, 0); at < text.length; at = skipBlank(text, at)) {
    const character = text.charAt(at)
    if (character === "{" || character === "[") {
      const container: Container = character === "{" ? {} : []
      put(container)
      open.push(container)
      keys.push(undefined)
      at++
    } else if (character === "}" || character === "]") {
      open.pop()
      keys.pop()
      at++
    } else if (character === "," || character === ":") {
      at++
    } else if (character === "\"") {
      const end = closingQuote(text, at) + 1
      const value = String(JSON.parse(text.slice(at, end)))
      const container = open[open.length - 1]
      const isKey = container !== undefined && !Array.isArray(container) && keys[keys.length - 1] === undefined
      if (isKey) keys[keys.length - 1] = value
      else put(value)
      at = end
    } else {
      scalar.lastIndex = at
      const word = scalar.exec(text)?.[0] ?? character
      put(JSON.parse(word))
      at += word.length
    }
  }
  return root
}
