/** The text of one value inside a JSON document, exactly as it was written. The document must be valid JSON. */

const skipBlank = (text: string, from: number): number => {
  let at = from
  while (" \n\r\t".includes(text.charAt(at)) && at < text.length) at++
  return at
}

/** The offset behind the closing quote of a string that starts at `from`. */
const skipString = (text: string, from: number): number => {
  for (let at = from + 1;;) {
    const quote = text.indexOf("\"", at)
    if (quote === -1) return text.length + 1
    let escapes = quote
    while (text.charAt(escapes - 1) === "\\") escapes--
    // `\\"` ends a string, `\"` and `\\\"` do not.
    if ((quote - escapes) % 2 === 0) return quote + 1
    at = quote + 1
  }
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

/** Where the members or elements of the container at `from` start; of repeated keys the last counts, as in `JSON.parse`. */
const membersOf = (text: string, from: number): ReadonlyMap<string | number, number> => {
  const members = new Map<string | number, number>()
  const opening = text.charAt(from)
  if (opening !== "{" && opening !== "[") return members
  const isObject = opening === "{"
  let at = skipBlank(text, from + 1)
  for (let index = 0; at < text.length && text.charAt(at) !== "}" && text.charAt(at) !== "]"; index++) {
    let name: string | number = index
    if (isObject) {
      const end = skipString(text, at)
      // A text by itself is read rightly by every engine, unlike the keys of an object (see `readJson.ts`).
      name = String(JSON.parse(text.slice(at, end)))
      at = skipBlank(text, skipBlank(text, end) + 1)
    }
    members.set(name, at)
    at = skipBlank(text, skipValue(text, at))
    if (text.charAt(at) === ",") at = skipBlank(text, at + 1)
  }
  return members
}

/** The places of a document that have been looked for: where each member of a container starts, by the container's place. */
interface Places {
  readonly text: string
  readonly members: Map<number, ReadonlyMap<string | number, number>>
}

/**
 * The places of the document read last. A reply asks for one value after the other (the arguments of each of its calls), so
 * each container is gone through once, and all of it costs no more than reading the text.
 */
const noPlaces: Places = { text: "", members: new Map() }
let places = noPlaces

const membersAt = (text: string, at: number): ReadonlyMap<string | number, number> => {
  if (places.text !== text) {
    places = { text, members: new Map() }
    // A document is read in one go; nothing of it is kept beyond that.
    queueMicrotask(() => {
      places = noPlaces
    })
  }
  const known = places.members.get(at)
  if (known !== undefined) return known
  const members = membersOf(text, at)
  places.members.set(at, members)
  return members
}

/** The text of the value at a path, or undefined where there is none. */
export const rawAt = (text: string, path: ReadonlyArray<string | number>): string | undefined => {
  let at: number | undefined = skipBlank(text, 0)
  for (const step of path) {
    at = membersAt(text, at).get(step)
    if (at === undefined) return undefined
  }
  return text.slice(at, skipValue(text, at))
}
