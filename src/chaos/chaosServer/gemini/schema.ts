/** Gemini's `Schema`, a part of OpenAPI's: its rules, and what it says as a JSON Schema. It comes as it was read. */
import { isArray, isRecord, own } from "../../shared/json.ts"

const formats: Readonly<Record<string, ReadonlyArray<string>>> = {
  STRING: ["enum", "date-time"],
  NUMBER: ["float", "double"],
  INTEGER: ["int32", "int64"]
}

const members = (schema: unknown, name: string): ReadonlyArray<readonly [string, unknown]> => {
  const found = own(schema, name)
  return isRecord(found) ? Object.entries(found) : []
}

/** Finds what the service refuses in a schema that can be read, with the places as the service names them. */
export const checkSchema = (schema: unknown, path: string, add: (path: string, what: string) => void): void => {
  const type = own(schema, "type")
  const properties = members(schema, "properties")
  if (type === "OBJECT" && properties.length === 0) {
    add(`${path}.properties`, "should be non-empty for OBJECT type")
  }
  if (type === "ARRAY" && own(schema, "items") === undefined) add(`${path}.items`, "missing field.")
  const required = own(schema, "required")
  if (isArray(required)) {
    required.forEach((name, index) => {
      if (properties.every(([known]) => known !== name)) add(`${path}.required[${index}]`, "property is not defined")
    })
  }
  const choices = own(schema, "enum")
  if (isArray(choices)) {
    if (type !== "STRING") add(`${path}.enum`, "only allowed for STRING type")
    choices.forEach((choice, index) => {
      if (choice === "") add(`${path}.enum[${index}]`, "cannot be empty")
    })
  }
  const format = own(schema, "format")
  const known = typeof type === "string" ? formats[type] : undefined
  if (typeof format === "string" && format !== "" && type === "STRING" && known?.includes(format) === false) {
    add(`${path}.format`, "only 'enum' and 'date-time' are supported for STRING type")
  }
  for (const [name, inner] of properties) checkSchema(inner, `${path}.properties[${name}]`, add)
  const items = own(schema, "items")
  if (items !== undefined) checkSchema(items, `${path}.items`, add)
  const branches = own(schema, "anyOf")
  if (isArray(branches)) branches.forEach((branch, index) => checkSchema(branch, `${path}.any_of[${index}]`, add))
}

/** Keywords that JSON Schema has, too; an example and an order of properties say nothing about values. */
const shared = [
  "title",
  "description",
  "enum",
  "required",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "pattern",
  "format",
  "default"
]

/** The same rules as a JSON Schema. */
export const jsonSchemaOf = (schema: unknown): Readonly<Record<string, unknown>> => {
  const given = own(schema, "type")
  const type = typeof given === "string" && given !== "TYPE_UNSPECIFIED" ? given.toLowerCase() : undefined
  const nullable = own(schema, "nullable") === true
  const properties = members(schema, "properties")
  const items = own(schema, "items")
  const branches = own(schema, "anyOf")
  const choices = own(schema, "enum")
  return {
    ...Object.fromEntries(shared.flatMap((name) => {
      const value = own(schema, name)
      return value === undefined ? [] : [[name, value]]
    })),
    ...(type === undefined ? {} : { type: nullable ? [type, "null"] : type }),
    ...(nullable && isArray(choices) ? { enum: [...choices, null] } : {}),
    ...(properties.length === 0
      ? {}
      : { properties: Object.fromEntries(properties.map(([name, inner]) => [name, jsonSchemaOf(inner)])) }),
    ...(items === undefined ? {} : { items: jsonSchemaOf(items) }),
    ...(isArray(branches)
      ? { anyOf: [...branches.map(jsonSchemaOf), ...(nullable && type === undefined ? [{ type: "null" }] : [])] }
      : {})
  }
}
