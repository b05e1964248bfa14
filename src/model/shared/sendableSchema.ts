/** Whether a JSON Schema can be sent to anybody at all: plain JSON, and whole in itself. */
import { found } from "../../error/InvalidOptions.ts"
import { isRecord } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"
import { follow } from "../../internal/schemaReference.ts"

type Path = ReadonlyArray<string | number>

/** What stands in the way. */
export interface Fault {
  readonly path: Path
  readonly problem: string
  readonly remedy: string
}

/** Keywords whose value is data, not a schema. */
export const dataKeywords: ReadonlySet<string> = new Set(["default", "examples", "enum", "const", "required"])

/** Keywords whose value is a record of schemas, so that its keys are names and not keywords. */
export const namedSchemas: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs", "definitions"])

const references = ["$ref", "$dynamicRef", "$recursiveRef"]

const notJson = (path: Path, what: string): Fault => ({
  path,
  problem: `the parameters have a JSON Schema that ${what}`,
  remedy: "Write the jsonSchema annotation of this part as plain JSON."
})

const ofReference = (root: unknown, reference: string, path: Path): Fault | undefined =>
  follow(root, reference) !== undefined ? undefined : {
    path,
    problem:
      `the parameters have a JSON Schema that refers to ${excerpt(JSON.stringify(reference), 200)}, which is not ` +
      "in it, and no provider fetches anything",
    remedy:
      "Put the schema it means under $defs of the whole and refer to it as \"#/$defs/Name\", or write it out here."
  }

/** The way into the arguments that a keyword leads. */
const stepOf = (keyword: string, key: string | number): Path =>
  keyword === "properties" ? [key] : keyword === "items" || keyword === "prefixItems" ? [key] : []

/** The first thing that keeps a schema from being sent. */
export const faultOf = (root: unknown): Fault | undefined => {
  const holders = new Set<object>()
  const within = (value: object, path: Path, read: () => Fault | undefined): Fault | undefined => {
    if (holders.has(value)) return notJson(path, "holds itself")
    holders.add(value)
    const fault = read()
    holders.delete(value)
    return fault
  }
  const first = <A>(values: Iterable<A>, visit: (value: A) => Fault | undefined): Fault | undefined => {
    for (const value of values) {
      const fault = visit(value)
      if (fault !== undefined) return fault
    }
    return undefined
  }
  const data = (value: unknown, path: Path): Fault | undefined => {
    switch (typeof value) {
      case "string":
      case "boolean":
      case "undefined":
        return undefined
      case "number":
        return Number.isFinite(value) ? undefined : notJson(path, `holds ${found(value)}, which is not JSON`)
      case "object":
        return value === null
          ? undefined
          : within(value, path, () => first(Object.values(value), (each) => data(each, path)))
      default:
        return notJson(path, `holds ${found(value)}, which is not JSON`)
    }
  }
  const schema = (value: unknown, path: Path): Fault | undefined =>
    !isRecord(value) ?
      data(value, path) :
      within(value, path, () =>
        first(Object.entries(value), ([keyword, inner]) => {
          if (references.includes(keyword) && typeof inner === "string") return ofReference(root, inner, path)
          if (dataKeywords.has(keyword)) return data(inner, path)
          if (Array.isArray(inner)) {
            return within(inner, path, () =>
              first(inner.entries(), ([at, each]) => schema(each, [...path, ...stepOf(keyword, at)])))
          }
          if (namedSchemas.has(keyword) && isRecord(inner)) {
            return within(inner, path, () =>
              first(Object.entries(inner), ([name, each]) =>
                schema(each, [...path, ...stepOf(keyword, name)])))
          }
          return schema(inner, [...path, ...stepOf(keyword, "*")])
        }))
  return schema(root, [])
}
