/** JSON as data, and valid JSON text as tokens that can be edited. */
import { readJson } from "../../internal/readJson.ts"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

export const isArray = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !isArray(value)

export const isJson = (value: unknown): value is Json =>
  value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string" ||
  (isArray(value) ? value.every(isJson) : isRecord(value) && Object.values(value).every(isJson))

export const isJsonObject = (value: unknown): value is JsonObject => isRecord(value) && isJson(value)

/** The member, unless it is only inherited. */
export const own = (value: unknown, key: string): unknown =>
  isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined

/** Equal as JSON documents: the order of keys does not matter, the order of elements does. */
export const same = (left: unknown, right: unknown): boolean => {
  if (isArray(left)) {
    return isArray(right) && left.length === right.length && left.every((item, index) => same(item, right[index]))
  }
  if (isRecord(left)) {
    if (!isRecord(right)) return false
    const keys = Object.keys(left)
    return keys.length === Object.keys(right).length &&
      keys.every((key) => Object.hasOwn(right, key) && same(left[key], right[key]))
  }
  return left === right
}

/** A value parsed from text, or undefined where the text is not JSON. */
export const parse = (text: string): Json | undefined => {
  try {
    const value: unknown = readJson(text)
    return isJson(value) ? value : undefined
  } catch {
    return undefined
  }
}

export type Path = ReadonlyArray<string | number>

/** Every member and element of a document with its place, parents first; the root is not among them. */
export const sites = (value: Json, at: Path = []): Array<{ readonly path: Path; readonly value: Json }> => {
  const inside: Array<readonly [string | number, Json]> = isArray(value)
    ? value.map((item, index) => [index, item] as const)
    : isJsonObject(value)
    ? Object.entries(value)
    : []
  return inside.flatMap(([key, item]) => [{ path: [...at, key], value: item }, ...sites(item, [...at, key])])
}

/** The document with the value at the path replaced. */
export const replaceAt = (value: Json, path: Path, by: Json): Json => {
  const [head, ...rest] = path
  if (head === undefined) return by
  if (isArray(value)) return value.map((item, index) => index === head ? replaceAt(item, rest, by) : item)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, key === head ? replaceAt(item, rest, by) : item])
  )
}

export type TokenKind = "punctuation" | "key" | "string" | "number" | "literal"

export interface Token {
  readonly kind: TokenKind
  readonly text: string
}

const tokenPattern = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g

/** The tokens of a valid compact JSON text; joined, they give the text back. */
export const tokens = (text: string): Array<Token> => {
  const found = text.match(tokenPattern) ?? []
  return found.map((token, index): Token => {
    const first = token.charAt(0)
    if (first === "\"") return { kind: found[index + 1] === ":" ? "key" : "string", text: token }
    if (first === "-" || (first >= "0" && first <= "9")) return { kind: "number", text: token }
    return { kind: first === "t" || first === "f" || first === "n" ? "literal" : "punctuation", text: token }
  })
}

/** What a strict reader refuses although `JSON.parse` takes it. The text must be valid JSON. */
export const hazardous = (text: string): boolean => {
  const open: Array<Set<string> | undefined> = []
  return tokens(text).some(({ kind, text: token }, index, all) => {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : undefined)
    if (token === "}" || token === "]") open.pop()
    if (kind === "number") {
      const value = Number(token)
      return !Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))
    }
    if (kind !== "key" && kind !== "string") return false
    const words: unknown = JSON.parse(token)
    if (typeof words !== "string") return false
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(words)) return true
    if (kind !== "key") return false
    const keys = open.at(-1)
    const repeated = keys?.has(words) === true
    keys?.add(words)
    return repeated || words === "__proto__" ||
      (words === "prototype" && all[index - 3]?.text === "\"constructor\"")
  })
}
