/** The text of one value inside a JSON document, exactly as it was written. The document must be valid JSON. */

const skipBlank = (text: string, from: number): number => {
  let at = from
  while (" \n\r\t".includes(text.charAt(at)) && at < text.length) at++
  return at
}

/** The offset behind the closing quote of a string that starts at `from`. */
const skipString = (text: string, from: number): number => {
  let at = from + 1
  while (at < text.length && text[at] !== "\"") at += text[at] === "\\" ? 2 : 1
  return at + 1
}

/** The offset behind the value that starts at `from`. */
const skipValue = (text: string, from: number): number => {
  let depth = 0
  let at = from
  do {
    const character = text.charAt(at)
    if (character === "\"") {
      at = skipString(text, at)
    } else if (character === "{" || character === "[") {
      depth++
      at++
    } else if (character === "}" || character === "]") {
      depth--
      at++
    } else if (depth > 0) {
      at++
    } else {
      while (at < text.length && !",]} \n\r\t".includes(text.charAt(at))) at++
    }
  } while (depth > 0 && at < text.length)
  return at
}

/** Where the member or element of the container at `from` starts; of repeated keys the last, as in `JSON.parse`. */
const enter = (text: string, from: number, step: string | number): number | undefined => {
  const isObject = text.charAt(from) === "{"
  if (isObject !== (typeof step === "string") || (!isObject && text.charAt(from) !== "[")) return undefined
  let found: number | undefined
  let at = skipBlank(text, from + 1)
  for (let index = 0; at < text.length && text.charAt(at) !== "}" && text.charAt(at) !== "]"; index++) {
    let name: string | number = index
    if (isObject) {
      const end = skipString(text, at)
      name = String(JSON.parse(text.slice(at, end)))
      at = skipBlank(text, skipBlank(text, end) + 1)
    }
    if (name === step) {
      found = at
      if (!isObject) return found
    }
    at = skipBlank(text, skipValue(text, at))
    if (text.charAt(at) === ",") at = skipBlank(text, at + 1)
  }
  return found
}

/** The text of the value at a path, or undefined where there is none. */
export const rawAt = (text: string, path: ReadonlyArray<string | number>): string | undefined => {
  let at: number | undefined = skipBlank(text, 0)
  for (const step of path) {
    at = enter(text, at, step)
    if (at === undefined) return undefined
  }
  return text.slice(at, skipValue(text, at))
}
