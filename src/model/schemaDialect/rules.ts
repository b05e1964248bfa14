/**
 * What each vendor takes, as data. Sources, as they stood in 2026:
 * - OpenAI "Structured Outputs", supported schemas: https://developers.openai.com/api/docs/guides/structured-outputs
 * - Anthropic "Structured outputs", JSON Schema limitations:
 *   https://platform.claude.com/docs/en/build-with-claude/structured-outputs
 * - Gemini `Schema`: https://ai.google.dev/api/caching#Schema, and the errors of the API where the page is silent.
 */

/** The dialects that need a translation. */
export type Translated = "openai-strict" | "anthropic" | "gemini"

export interface Rules {
  readonly dialect: Translated
  readonly vendor: string
  /** How a value that may be left out is offered: it may be left out, or it must be there and may be null. */
  readonly optional: "omit" | "null"
  /** Whether null is a type of its own or the keyword `nullable`. */
  readonly nullable: "type" | "keyword"
  readonly recursion: boolean
  /** Whether `enum` takes numbers and the empty string. */
  readonly anyEnum: boolean
  /** Whether an object may have no properties. */
  readonly emptyObjects: boolean
  /** Whether objects must say `additionalProperties: false`. */
  readonly closed: boolean
  /** The names of properties that are taken. */
  readonly names: RegExp | undefined
  readonly keywords: { readonly [kind: string]: ReadonlySet<string> | undefined }
  readonly formats: ReadonlySet<string>
  /** The largest `minItems`, and the largest count in a pattern. */
  readonly minItems: number
  readonly limits: Limits
}

/** The most that one schema may hold; `Infinity` where the vendor names no limit. */
export interface Limits {
  readonly properties: number
  /** Objects in objects, the root counted. */
  readonly levels: number
  readonly enumValues: number
  /** Names of properties and definitions and the values of enums together, in UTF-16 units. */
  readonly characters: number
  /** An enum of strings with more than `large` values may have this many UTF-16 units. */
  readonly largeEnum: { readonly values: number; readonly characters: number }
  readonly optional: number
  readonly unions: number
  readonly tools: number
}

const unlimited: Limits = {
  properties: Infinity,
  levels: Infinity,
  enumValues: Infinity,
  characters: Infinity,
  largeEnum: { values: Infinity, characters: Infinity },
  optional: Infinity,
  unions: Infinity,
  tools: Infinity
}

const number = new Set(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])

const formats = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]

const bounds = new Set(["minimum", "maximum"])

const none: ReadonlySet<string> = new Set()

/** The rules of each dialect. */
export const rules: { readonly [D in Translated]: Rules } = {
  "openai-strict": {
    dialect: "openai-strict",
    vendor: "OpenAI",
    optional: "null",
    nullable: "type",
    recursion: true,
    anyEnum: true,
    emptyObjects: true,
    closed: true,
    names: undefined,
    keywords: {
      string: new Set(["pattern", "format"]),
      number,
      integer: number,
      array: new Set(["minItems", "maxItems"])
    },
    formats: new Set(formats),
    minItems: Infinity,
    limits: {
      ...unlimited,
      properties: 5000,
      levels: 10,
      enumValues: 1000,
      characters: 120_000,
      largeEnum: { values: 250, characters: 15_000 }
    }
  },
  anthropic: {
    dialect: "anthropic",
    vendor: "Anthropic",
    optional: "omit",
    nullable: "type",
    recursion: false,
    anyEnum: true,
    emptyObjects: true,
    closed: true,
    names: /^[a-zA-Z0-9_.-]{1,64}$/,
    keywords: {
      string: new Set(["pattern", "format"]),
      number: none,
      integer: none,
      array: new Set(["minItems"])
    },
    formats: new Set([...formats, "uri"]),
    minItems: 1,
    limits: { ...unlimited, optional: 24, unions: 16, tools: 20 }
  },
  gemini: {
    dialect: "gemini",
    vendor: "Gemini",
    optional: "omit",
    nullable: "keyword",
    recursion: false,
    anyEnum: false,
    emptyObjects: false,
    closed: false,
    names: /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/,
    keywords: {
      string: new Set(["minLength", "maxLength", "pattern", "format"]),
      number: bounds,
      integer: bounds,
      array: new Set(["minItems", "maxItems"])
    },
    formats: new Set(["date-time"]),
    minItems: Infinity,
    limits: unlimited
  }
}

/** Escapes, classes, openings of groups and lazy marks of a regular expression, each as one piece. */
const pieces = /\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*(?:\]|$)|\(\?(?::|<?[=!]|<|)|(?:[*+?]|\{\d+(?:,\d*)?\})\??|[\s\S]/g

const largestCount = 256

/**
 * A pattern in the part of the language that all three take, or nothing. A lazy quantifier and a group that is not
 * captured match the same texts as the plain ones, so they are only spelled anew.
 */
export const commonPattern = (pattern: string): string | undefined => {
  const spelled: Array<string> = []
  for (const [piece] of pattern.matchAll(pieces)) {
    if (/^\\[1-9bBkpP]/.test(piece)) return undefined
    const count = /^\{(\d+)(?:,(\d*))?\}\??$/.exec(piece)
    if (count !== null && Math.max(Number(count[1]), Number(count[2] ?? 0)) > largestCount) return undefined
    if (piece === "(?:") spelled.push("(")
    else if (piece.startsWith("(?")) return undefined
    else spelled.push(/^(?:[*+?]|\{.*\})\?$/.test(piece) ? piece.slice(0, -1) : piece)
  }
  return spelled.join("")
}
