/** Several JSON Schemas that must hold at once, written as one. What two of them say differently is said in words. */
import { isRecord } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"
import type { Json } from "./node.ts"

type Lookup = (ref: string) => unknown

/** Constraints in words ride along under this key, which no JSON Schema has. */
const key = "x-words"

/** The constraints a schema has in words. */
export const wordsOf = (schema: Json): ReadonlyArray<string> => {
  const words = schema[key]
  return Array.isArray(words) ? words.filter((word) => typeof word === "string") : []
}

/** The schema with more constraints in words. */
export const withWords = (schema: Json, words: ReadonlyArray<string>): Json => ({
  ...schema,
  [key]: [...wordsOf(schema), ...words]
})

/** A schema without some of its keywords. */
export const without = (schema: Json, keywords: ReadonlyArray<string>): Json =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !keywords.includes(keyword)))

/** Whether a schema says what its values are made of, and not only which of them are taken. */
export const hasShape = (schema: unknown): boolean =>
  isRecord(schema) &&
  ["$ref", "type", "properties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf", "allOf"].some((keyword) =>
    Object.hasOwn(schema, keyword)
  )

const annotations = new Set(["description", "title", "default", "examples", "$comment", "deprecated", "$schema", "$id"])

const inWords = (keyword: string, value: unknown): string =>
  `${keyword} ${excerpt(typeof value === "string" ? value : JSON.stringify(value) ?? "null", 300)}`

/** The constraints beside a reference that cannot be written into what it refers to. */
export const constraintsInWords = (schema: Json): ReadonlyArray<string> =>
  Object.entries(schema).flatMap(([keyword, value]) =>
    annotations.has(keyword) || keyword.startsWith("$") || keyword === key || !silentInNotes.has(keyword)
      ? []
      : [inWords(keyword, value)]
  )

/** What the note of a reference passes over, since for other parts it is read into the tree. */
const silentInNotes = new Set([
  ...["type", "enum", "const", "properties", "required", "items", "anyOf", "oneOf", "allOf", "additionalProperties"],
  ...["pattern", "format", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  ...["multipleOf", "minItems", "maxItems"]
])

/** How many references in a row are followed; a longer chain is a circle. */
const maxChain = 16

const resolved = (schema: unknown, lookup: Lookup, left = maxChain): unknown => {
  if (!isRecord(schema) || typeof schema.$ref !== "string") return schema
  if (left === 0) return undefined
  const target = resolved(lookup(schema.$ref), lookup, left - 1)
  const siblings = without(schema, ["$ref"])
  if (!isRecord(target)) return siblings
  return Object.keys(siblings).length === 0 ? target : { ...siblings, allOf: [target] }
}

/** The schema with its `allOf` written into it. */
export const all = (schema: Json, lookup: Lookup, left = maxChain): Json => {
  const members = Array.isArray(schema.allOf) ? schema.allOf : []
  return members.reduce<Json>((merged, member) => {
    const target = resolved(member, lookup)
    if (!isRecord(target)) return merged
    return both(merged, Array.isArray(target.allOf) && left > 0 ? all(target, lookup, left - 1) : target)
  }, without(schema, ["allOf"]))
}

/** Of two choices of objects at once, how many pairs are written out. */
const maxPairs = 16

const areChoices = (keyword: string, value: unknown): value is ReadonlyArray<Json> =>
  (keyword === "anyOf" || keyword === "oneOf") && Array.isArray(value) &&
  value.every((choice) => isRecord(choice) && isRecord(choice["properties"]))

const both = (left: Json, right: Json): Json => {
  const merged: Record<string, unknown> = { ...left }
  const words: Array<string> = []
  for (const [keyword, value] of Object.entries(right)) {
    const present = merged[keyword]
    if (keyword === key) words.push(...wordsOf(right))
    else if (!Object.hasOwn(merged, keyword)) merged[keyword] = value
    else if (JSON.stringify(present) === JSON.stringify(value) || annotations.has(keyword)) continue
    else if (keyword === "required" && Array.isArray(present) && Array.isArray(value)) {
      merged[keyword] = [...new Set([...present, ...value])]
    } else if (keyword === "properties" && isRecord(present) && isRecord(value)) {
      merged[keyword] = properties(present, value)
    } else if (keyword === "type") merged[keyword] = narrower(present, value)
    else if (keyword === "enum" && Array.isArray(present) && Array.isArray(value)) {
      merged[keyword] = present.filter((member) => value.includes(member))
    } else if (
      areChoices(keyword, present) && areChoices(keyword, value) && present.length * value.length <= maxPairs
    ) {
      // Each object is closed for the vendor, so a second choice told in words alone could not be written.
      merged[keyword] = present.flatMap((one) => value.map((other) => ({ allOf: [one, other] })))
    } else if (keyword === "additionalProperties") {
      merged[keyword] = present === false || value === false
        ? false
        : present
    } else words.push(inWords(keyword, value))
  }
  return words.length === 0 ? merged : withWords(merged, words)
}

const properties = (left: Json, right: Json): Json =>
  Object.fromEntries([
    ...Object.entries(left).map(([name, schema]): [string, unknown] => [
      name,
      Object.hasOwn(right, name) ? { allOf: [schema, right[name]] } : schema
    ]),
    ...Object.entries(right).filter(([name]) => !Object.hasOwn(left, name))
  ])

const narrower = (left: unknown, right: unknown): unknown => {
  const one = Array.isArray(left) ? left : [left]
  const other = Array.isArray(right) ? right : [right]
  const admits = (types: ReadonlyArray<unknown>, type: unknown): boolean =>
    types.includes(type) || (type === "integer" && types.includes("number"))
  return [
    ...new Set([
      ...one.filter((type) => admits(other, type)),
      ...other.filter((type) => admits(one, type))
    ])
  ]
}

/**
 * A root that is an object and a choice at once, as an object with the properties of all choices, each of which may be
 * left out: a root may not be a choice for any vendor. Which go together is said in words and enforced by the decode.
 */
export const superset = (root: Json, lookup: Lookup): Json => {
  const whole = Array.isArray(root.allOf) ? all(root, lookup) : root
  const keyword = Array.isArray(whole.anyOf) ? "anyOf" : Array.isArray(whole.oneOf) ? "oneOf" : undefined
  const choices = keyword === undefined ? undefined : whole[keyword]
  if (keyword === undefined || !Array.isArray(choices) || whole.type !== "object") return whole
  const own = isRecord(whole.properties) ? whole.properties : {}
  const more = choices.flatMap((choice) => {
    const target = resolved(choice, lookup)
    return isRecord(target) && isRecord(target.properties) ? Object.entries(target.properties) : []
  })
  const names = [...new Set(more.map(([name]) => name))].filter((name) => !Object.hasOwn(own, name))
  const added = names.map((name): [string, unknown] => {
    const schemas = more.filter(([other]) => other === name).map(([, schema]) => schema)
    return [name, schemas.length === 1 ? schemas[0] : { anyOf: schemas }]
  })
  return withWords(
    { ...without(whole, [keyword]), properties: { ...own, ...Object.fromEntries(added) } },
    [inWords(keyword, choices)]
  )
}
