/** The slips that are mended, as edits of a JSON text: how to make each, and what it is called when it was mended. */
import type { Draw } from "../../src/internal/seeded.ts"

/** The damaged text, or nothing where there is nothing to damage. */
type Damage = (text: string, draw: Draw) => string | undefined

const tokenPattern = /"(?:[^"\\]|\\[\s\S])*"|\/\/[^\n\r]*|\/\*[\s\S]*?\*\/|\s+|[{}[\]:,]|[^\s{}[\]:,"/]+/g

const tokens = (text: string): ReadonlyArray<string> => text.match(tokenPattern) ?? []

const rawUnit = (escape: string): string => {
  const read: unknown = JSON.parse(`"${escape}"`)
  return typeof read === "string" && read.charCodeAt(0) < 0x20 ? read : escape
}

const raw = (string: string): string => string.replace(/\\(?:u[0-9a-fA-F]{4}|[\s\S])/g, rawUnit)

const notes = [
  "// as the user asked\n",
  "// don't } ] \" , \r\n",
  "/* note */",
  "/* , } ] \" ' // * / \n second line **/",
  "//\n"
] as const

const isBlank = (token: string | undefined): boolean => token !== undefined && /^(?:\s|\/[/*])/.test(token)

/** The last of the tokens that is neither blank nor comment. */
const lastOf = (list: ReadonlyArray<string>): string | undefined => list.filter((token) => !isBlank(token)).at(-1)

const pythonWords: { readonly [word: string]: string | undefined } = { true: "True", false: "False", null: "None" }

/** Whole words, wherever they stand outside of strings and comments. */
const body = {
  controlCharacters: (text) => {
    const damaged = tokens(text).map((token) => token.startsWith("\"") ? raw(token) : token).join("")
    return damaged === text ? undefined : damaged
  },
  trailingCommas: (text, draw) => {
    const list = tokens(text)
    const places = list.flatMap((token, index) =>
      (token === "}" || token === "]") && !["{", "[", ","].includes(lastOf(list.slice(0, index)) ?? "{") ? [index] : []
    )
    const [first, ...others] = places
    if (first === undefined) return undefined
    const all = draw.happens(0.3)
    const chosen = draw.pick([first, ...others])
    return list.map((token, index) =>
      index === chosen || (all && places.includes(index)) ? `${draw.pick([",", " ,", ",\n"])}${token}` : token
    ).join("")
  },
  comments: (text, draw) => {
    const list = tokens(text)
    const chosen = draw.between(0, list.length)
    const written = list.map((token, index) => index === chosen ? ` ${draw.pick(notes)}${token}` : token).join("")
    return chosen === list.length || draw.happens(0.2) ? `${written} ${draw.pick(notes)}` : written
  },
  pythonLiterals: (text) => {
    const damaged = tokens(text).map((token) => pythonWords[token] ?? token).join("")
    return damaged === text ? undefined : damaged
  }
} satisfies Record<string, Damage>

const wrapping = {
  fence: (text, draw) => {
    const mark = draw.pick(["```", "```", "````"])
    const language = draw.pick(["", "json", "JSON", "json5", "js"])
    const blank = draw.pick(["\n", "\r\n", " ", "\n\n"])
    return `${draw.pick(["", "\n", "  "])}${mark}${language}${blank}${text}${draw.pick(["\n", ""])}${mark}${
      draw.pick(["", "\n", " \n"])
    }`
  },
  byteOrderMark: (text) => text.startsWith("\ufeff") ? undefined : `\ufeff${text}`,
  doubleEncoded: (text) => JSON.stringify(text)
} satisfies Record<string, Damage>

export type Name = keyof typeof body | keyof typeof wrapping

export const damages: { readonly [N in Name]: Damage } = { ...body, ...wrapping }

/** In the order in which repairs are reported. */
export const names: ReadonlyArray<Name> = [
  "fence",
  "byteOrderMark",
  "controlCharacters",
  "trailingCommas",
  "comments",
  "pythonLiterals",
  "doubleEncoded"
]

const isBody = (name: Name): boolean => Object.hasOwn(body, name)

/** All pairs in both orders, as far as the second still finds JSON to damage: what is wrapped is wrapped last. */
export const pairs: ReadonlyArray<readonly [Name, Name]> = names.flatMap((first) =>
  names.flatMap((second): ReadonlyArray<readonly [Name, Name]> =>
    first === second || (!isBody(first) && isBody(second)) ? [] : [[first, second]]
  )
)

/** Control characters can be raw in the string that holds the encoded object, too. */
export const late: ReadonlyArray<readonly [Name, Name]> = [["doubleEncoded", "controlCharacters"]]
