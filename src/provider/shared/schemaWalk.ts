/** The way through a JSON Schema: every schema in it, the inner ones first. */
import { type Fields, isRecord, listOf } from "../../internal/record.ts"

/** Deeper schemas are sent as they are below; the adapter for JSON Schema takes none. */
export const deepest = 256

/** Keywords that hold one schema, a list of them, or schemas by name. */
const single = [
  "items",
  "additionalItems",
  "additionalProperties",
  "unevaluatedItems",
  "unevaluatedProperties",
  "contains",
  "propertyNames",
  "contentSchema",
  "not",
  "if",
  "then",
  "else"
]
const listed = ["anyOf", "oneOf", "allOf", "prefixItems"]
const byName = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"]

/** Keywords that say by a boolean whether there may be more, and are read with it. */
const booleans = ["items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"]

export const strings = (value: unknown): ReadonlyArray<string> =>
  listOf(value).filter((each): each is string => typeof each === "string")

export const without = (schema: Fields, ...keywords: ReadonlyArray<string>): Fields =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !keywords.includes(keyword)))

export const described = (schema: Fields, words: string): Fields => {
  const { description } = schema
  return { ...schema, description: typeof description === "string" ? `${description} ${words}` : words }
}

export type Visit = (schema: Fields) => Fields

/** `true` takes everything and `false` nothing; no vendor takes the short form for a property. */
const spelledOut = (schema: unknown): unknown => schema === true ? {} : schema === false ? { not: {} } : schema

/** The schema with everything below it visited. */
export const mapped = (schema: unknown, visit: Visit, depth = 0): unknown => {
  if (!isRecord(schema) || depth > deepest) return spelledOut(schema)
  const inner = (value: unknown): unknown => mapped(value, visit, depth + 1)
  return visit(
    Object.fromEntries(
      Object.entries(schema).map(([keyword, value]): readonly [string, unknown] => {
        if (byName.includes(keyword) && isRecord(value)) {
          return [keyword, Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inner(each)]))]
        }
        if (listed.includes(keyword) || (keyword === "items" && Array.isArray(value))) {
          return [keyword, listOf(value).map(inner)]
        }
        if (typeof value === "boolean" && booleans.includes(keyword)) return [keyword, value]
        return [keyword, single.includes(keyword) ? inner(value) : value]
      })
    )
  )
}
