/** Plausible valid arguments for a tool, from nothing but its JSON Schema and a supply of chance. */
import type { Draw } from "../../internal/seeded.ts"
import { isJson, isJsonObject, isRecord, type Json, type JsonObject, own } from "./json.ts"
import {
  branches,
  conforms,
  elementSchema,
  membersOf,
  numberOf,
  requiredOf,
  resolve,
  tupleLength,
  typesOf
} from "./jsonSchema.ts"

const cities = ["Lisbon", "Oslo", "Nairobi", "Kyoto", "Montréal", "São Paulo", "Zürich", "New York", "Tromsø"] as const
const people = ["Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Alan Kay"] as const
const words = ["river", "ledger", "orchard", "signal", "harbour", "meadow", "lantern", "copper", "winter"] as const
/** With the characters that go wrong: line breaks, quotes, apostrophes, backslashes, commas, other scripts. */
const sentences = [
  "Please call back before noon.\nThe line is open until five.",
  "She said \"not before Monday\", and meant it.",
  "It's late, but the report isn't ready: 3 of 5 parts are.",
  "Line one\nLine two\twith a tab\nLine three",
  "The file lies in C:\\reports\\new, next to the old one.",
  "Größe, naïve, 東京, 🚀 and the price: 12,50 €",
  "Compare {a} with [b]; keep \"c\"\nand // drop the rest"
] as const

const pad = (value: number, length = 2) => String(value).padStart(length, "0")
const hexDigits = (draw: Draw, length: number) =>
  Array.from({ length }, () => draw.between(0, 15).toString(16)).join("")
const date = (draw: Draw) => `20${pad(draw.between(24, 29))}-${pad(draw.between(1, 12))}-${pad(draw.between(1, 28))}`
const time = (draw: Draw) => `${pad(draw.between(0, 23))}:${pad(draw.between(0, 59))}:00`
const uuid = (draw: Draw) =>
  `${hexDigits(draw, 8)}-${hexDigits(draw, 4)}-4${hexDigits(draw, 3)}-a${hexDigits(draw, 3)}-${hexDigits(draw, 12)}`
const email = (draw: Draw) => `${draw.pick(words)}.${draw.pick(words)}@example.com`

const formats: Readonly<Record<string, (draw: Draw) => string>> = {
  date,
  "time": (draw) => `${time(draw)}Z`,
  "date-time": (draw) => `${date(draw)}T${time(draw)}Z`,
  "duration": (draw) => `PT${draw.between(1, 59)}M`,
  email,
  "uri": (draw) => `https://example.com/${draw.pick(words)}`,
  "url": (draw) => `https://example.com/${draw.pick(words)}`,
  "hostname": (draw) => `${draw.pick(words)}.example.com`,
  "ipv4": (draw) => `10.0.${draw.between(0, 255)}.${draw.between(1, 254)}`,
  "ipv6": (draw) => `2001:db8::${draw.between(1, 9999)}`,
  uuid
}

/** What people put under such a name. The first rule that matches the parameter's name wins. */
const byName: ReadonlyArray<readonly [RegExp, (draw: Draw) => string]> = [
  [/city|location|place|town|destination|origin/i, (draw) => draw.pick(cities)],
  [/mail/i, email],
  [/url|uri|link|href/i, (draw) => `https://example.com/${draw.pick(words)}`],
  [/date|day|since|until/i, date],
  [/time|when/i, (draw) => `${date(draw)}T${time(draw)}Z`],
  [/path|file|folder/i, (draw) => `/home/${draw.pick(words)}/${draw.pick(words)}.txt`],
  [/code|script|sql/i, (draw) => `print("${draw.pick(words)}")\nprint('${draw.pick(words)}')`],
  [/note|message|text|body|content|comment|description|reason|summary|prompt/i, (draw) => draw.pick(sentences)],
  [/name|user|author|to$|from$/i, (draw) => draw.pick(people)],
  [/id$|key$|token/i, (draw) => `${draw.pick(words)}-${draw.between(1000, 9999)}`],
  [/currency/i, (draw) => draw.pick(["EUR", "USD", "JPY"])],
  [/country|lang|locale/i, (draw) => draw.pick(["pt", "no", "ke", "jp", "ca"])]
]

/** Shapes tried where a pattern narrows a string; the pattern itself decides. */
const shapes: ReadonlyArray<(draw: Draw) => string> = [
  (draw) => draw.pick(words),
  (draw) => draw.pick(words).toUpperCase(),
  (draw) => String(draw.between(0, 9)),
  (draw) => String(draw.between(10, 99)),
  (draw) => String(draw.between(100, 999)),
  (draw) => String(draw.between(1000, 9999)),
  (draw) => String(draw.between(10000, 99999)),
  (draw) => `${draw.pick(["AB", "XY", "QZ"])}-${draw.between(1000, 9999)}`,
  (draw) => `${draw.pick(["ABC", "XYZ"])}${draw.between(100, 999)}`,
  (draw) => draw.pick(["USD", "EUR", "JPY"]),
  (draw) => draw.pick(["en", "no", "pt"]),
  (draw) => draw.pick(["en-GB", "pt-PT"]),
  (draw) => draw.pick(["A", "b", "x"]),
  (draw) => `+351${draw.between(100000000, 999999999)}`,
  (draw) => `#${hexDigits(draw, 6)}`,
  (draw) => hexDigits(draw, 8),
  (draw) => hexDigits(draw, 32),
  (draw) => hexDigits(draw, 64),
  time,
  (draw) => time(draw).slice(0, 5),
  (draw) => `${draw.between(0, 9)}.${draw.between(0, 9)}.${draw.between(0, 9)}`,
  ...Object.values(formats),
  () => ""
]

const fitLength = (text: string, schema: unknown, draw: Draw): string => {
  const least = numberOf(schema, "minLength") ?? 0
  const most = numberOf(schema, "maxLength") ?? Infinity
  let letters = [...text]
  while (letters.length < least) letters = [...letters, ...(letters.length === 0 ? "" : " "), ...draw.pick(words)]
  return letters.length > most ? letters.slice(0, most).join("") : letters.join("")
}

const makeString = (root: unknown, schema: unknown, name: string, draw: Draw): string => {
  const format = own(schema, "format")
  const named = byName.find(([pattern]) => pattern.test(name))?.[1]
  const formatted = typeof format === "string" ? formats[format] : undefined
  const plain = formatted ?? named ?? ((chance: Draw) => `${chance.pick(words)} ${chance.pick(words)}`)
  const wanted = { ...fields(schema), type: "string" }
  for (const make of [plain, ...draw.shuffle(shapes)]) {
    const text = fitLength(make(draw), schema, draw)
    if (conforms(root, wanted, text)) return text
  }
  return fitLength("", schema, draw)
}

const makeNumber = (schema: unknown, whole: boolean, draw: Draw): number => {
  const step = numberOf(schema, "multipleOf") ?? (whole ? 1 : 0.25)
  const above = numberOf(schema, "exclusiveMinimum")
  const below = numberOf(schema, "exclusiveMaximum")
  const most = Math.min(numberOf(schema, "maximum") ?? Infinity, below ?? Infinity)
  const least = Math.max(numberOf(schema, "minimum") ?? -Infinity, above ?? -Infinity)
  const low = Number.isFinite(least) ? least : Number.isFinite(most) ? Math.min(1, most - 100 * step) : 1
  const high = Number.isFinite(most) ? most : low + 99 * step
  const first = Math.ceil(low / step) + (above !== undefined && Math.ceil(low / step) * step <= above ? 1 : 0)
  const last = Math.floor(high / step) - (below !== undefined && Math.floor(high / step) * step >= below ? 1 : 0)
  // An interval narrower than the step holds no multiple of it: its middle is the only candidate left.
  if (last < first) return whole ? first : (low + high) / 2
  const value = draw.between(first, Math.min(last, first + 1_000_000)) * step
  return Number(value.toFixed(6))
}

const fields = (schema: unknown): Readonly<Record<string, unknown>> => isRecord(schema) ? schema : {}

/** One schema that says what all branches of `allOf` say. */
const merged = (root: unknown, schema: unknown): unknown => {
  const all = branches(schema, "allOf")
  if (all.length === 0) return schema
  const { allOf: _, ...rest } = fields(schema)
  return all.map((branch) => merged(root, resolve(root, branch))).reduce<Record<string, unknown>>(
    (sum, branch) => ({
      ...sum,
      ...fields(branch),
      properties: { ...fields(sum["properties"]), ...fields(own(branch, "properties")) },
      required: [...requiredOf(sum), ...requiredOf(branch)]
    }),
    rest
  )
}

const maximumDepth = 6

const makeObject = (root: unknown, schema: unknown, draw: Draw, depth: number): JsonObject => {
  const required = requiredOf(schema)
  const properties = fields(own(schema, "properties"))
  const chosen = [...new Set([...Object.keys(properties), ...required])]
    .filter((key) => required.includes(key) || (depth < maximumDepth && draw.happens(0.6)))
  const extra = own(schema, "additionalProperties")
  const open = isRecord(extra) && Object.keys(properties).length === 0
    ? Array.from({ length: draw.between(1, 2) }, (_, index) => `${draw.pick(words)}_${index + 1}`)
    : []
  return Object.fromEntries([
    ...chosen.map((key) => [key, make(root, own(properties, key) ?? true, key, draw.fork(key), depth + 1)]),
    ...open.map((key) => [key, make(root, extra, key, draw.fork(key), depth + 1)])
  ])
}

const makeArray = (root: unknown, schema: unknown, name: string, draw: Draw, depth: number): ReadonlyArray<Json> => {
  const least = Math.max(numberOf(schema, "minItems") ?? 0, tupleLength(schema))
  const wished = depth >= maximumDepth ? least : Math.max(least, draw.between(1, 3))
  const length = Math.min(wished, numberOf(schema, "maxItems") ?? Infinity)
  return Array.from(
    { length },
    (_, index) => make(root, elementSchema(schema, index), name, draw.fork(index), depth + 1)
  )
}

const make = (root: unknown, given: unknown, name: string, draw: Draw, depth: number): Json => {
  const schema = merged(root, resolve(root, given))
  const [member, ...members] = (membersOf(schema) ?? []).filter(isJson)
  if (member !== undefined) return draw.pick<Json>([member, ...members])
  const [branch, ...others] = depth >= maximumDepth
    ? [...branches(schema, "anyOf"), ...branches(schema, "oneOf")].reverse()
    : [...branches(schema, "anyOf"), ...branches(schema, "oneOf")]
  if (branch !== undefined) {
    const chosen = depth >= maximumDepth ? branch : draw.pick([branch, ...others])
    const { anyOf: _, oneOf: __, ...rest } = fields(schema)
    return make(root, { ...rest, ...fields(resolve(root, chosen)) }, name, draw, depth)
  }
  const [type, ...types] = typesOf(schema)
  const implied = isRecord(own(schema, "properties"))
    ? "object"
    : own(schema, "items") === undefined
    ? "string"
    : "array"
  switch (type === undefined ? implied : draw.pick([type, ...types])) {
    case "object":
      return makeObject(root, schema, draw, depth)
    case "array":
      return makeArray(root, schema, name, draw, depth)
    case "integer":
      return makeNumber(schema, true, draw)
    case "number":
      return makeNumber(schema, false, draw)
    case "boolean":
      return draw.happens(0.5)
    case "null":
      return null
    default:
      return makeString(root, schema, name, draw)
  }
}

/**
 * Arguments that the schema accepts; undefined where none were found in fifty tries, as with a pattern that none of
 * the known shapes fits.
 */
export const validArguments = (parameters: unknown, draw: Draw): JsonObject | undefined => {
  for (let attempt = 0; attempt < 50; attempt++) {
    const value = make(parameters, parameters ?? {}, "", draw.fork(attempt), 0)
    if (isJsonObject(value) && conforms(parameters, parameters ?? true, value)) return value
  }
  // A tool without parameters is often described by no type at all.
  return conforms(parameters, parameters ?? true, {}) ? {} : undefined
}
