/** What wires with named events have in common: how an event is written, and the objects inside a JSON Schema. */
import { isArray, isRecord, own, type Path } from "../shared/json.ts"

/** One server-sent event with its name, the blank line included. `data` is JSON text. */
export const namedEvent = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`

/** The members of a schema that hold schemas by name, and those that hold one or a list of them. */
const named = ["properties", "$defs", "definitions"]
const listed = ["items", "anyOf", "oneOf", "allOf", "prefixItems"]

/** The schemas of objects inside a JSON Schema with their places, the outermost first. */
export const objectSchemas = (
  schema: unknown,
  at: Path = []
): ReadonlyArray<{ readonly at: Path; readonly schema: Readonly<Record<string, unknown>> }> => {
  if (!isRecord(schema)) return []
  const type = own(schema, "type")
  const isObject = type === "object" || (isArray(type) && type.includes("object"))
  const inNamed = named.flatMap((member) => {
    const held = own(schema, member)
    return isRecord(held)
      ? Object.entries(held).flatMap(([name, inner]) => objectSchemas(inner, [...at, member, name]))
      : []
  })
  const inListed = listed.flatMap((member) => {
    const held = own(schema, member)
    return isArray(held)
      ? held.flatMap((inner, index) => objectSchemas(inner, [...at, member, index]))
      : objectSchemas(held, [...at, member])
  })
  return [...(isObject ? [{ at, schema }] : []), ...inNamed, ...inListed]
}
