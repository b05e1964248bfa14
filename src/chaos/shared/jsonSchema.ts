/** The part of JSON Schema that tool parameters use: enough to judge a value, lenient where it is silent. */
import { isArray, isRecord, own, type Path, same } from "./json.ts"

const maximumHops = 20

/** The schema behind `$ref`, looked up inside the root document; a reference that leads nowhere allows anything. */
export const resolve = (root: unknown, schema: unknown, hops = 0): unknown => {
  const reference = own(schema, "$ref")
  if (typeof reference !== "string" || hops > maximumHops) return schema
  if (!reference.startsWith("#")) return true
  const target = reference.slice(1).split("/").filter((step) => step !== "").reduce<unknown>(
    (at, step) => own(at, decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~")),
    root
  )
  const found = target === undefined ? true : resolve(root, target, hops + 1)
  // Draft 7 ignores what stands beside a reference, but Effect writes refinements there.
  const beside = isRecord(schema) ? Object.entries(schema).filter(([key]) => key !== "$ref" && key !== "$defs") : []
  return beside.length === 0 || !isRecord(found) ? found : { ...found, ...Object.fromEntries(beside) }
}

/** Members of a schema keyword that holds a list of schemas. */
export const branches = (schema: unknown, keyword: "anyOf" | "oneOf" | "allOf"): ReadonlyArray<unknown> => {
  const list = own(schema, keyword)
  return isArray(list) ? list : []
}

export const numberOf = (schema: unknown, keyword: string): number | undefined => {
  const value = own(schema, keyword)
  return typeof value === "number" ? value : undefined
}

export const typesOf = (schema: unknown): ReadonlyArray<string> => {
  const type = own(schema, "type")
  return typeof type === "string" ? [type] : isArray(type) ? type.filter((name) => typeof name === "string") : []
}

export const requiredOf = (schema: unknown): ReadonlyArray<string> => {
  const required = own(schema, "required")
  return isArray(required) ? required.filter((name) => typeof name === "string") : []
}

/** The listed values of `enum` or `const`. */
export const membersOf = (schema: unknown): ReadonlyArray<unknown> | undefined => {
  const list = own(schema, "enum")
  if (isArray(list)) return list
  return isRecord(schema) && Object.hasOwn(schema, "const") ? [schema["const"]] : undefined
}

const isType = (type: string, value: unknown): boolean => {
  switch (type) {
    case "null":
      return value === null
    case "array":
      return isArray(value)
    case "object":
      return isRecord(value)
    case "integer":
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

const fitsNumber = (schema: unknown, value: number): boolean => {
  const multiple = numberOf(schema, "multipleOf")
  return value >= (numberOf(schema, "minimum") ?? -Infinity) && value <= (numberOf(schema, "maximum") ?? Infinity) &&
    value > (numberOf(schema, "exclusiveMinimum") ?? -Infinity) &&
    value < (numberOf(schema, "exclusiveMaximum") ?? Infinity) &&
    (multiple === undefined || Math.abs(value / multiple - Math.round(value / multiple)) < 1e-9)
}

const matches = (pattern: unknown, value: string): boolean => {
  if (typeof pattern !== "string") return true
  try {
    return new RegExp(pattern, "u").test(value)
  } catch {
    return true
  }
}

const fitsString = (schema: unknown, value: string): boolean => {
  const length = [...value].length
  return length >= (numberOf(schema, "minLength") ?? 0) && length <= (numberOf(schema, "maxLength") ?? Infinity) &&
    matches(own(schema, "pattern"), value)
}

const tupleOf = (schema: unknown): ReadonlyArray<unknown> => {
  const prefix = own(schema, "prefixItems")
  const items = own(schema, "items")
  return isArray(prefix) ? prefix : isArray(items) ? items : []
}

/** The schema of the element at the index. */
export const elementSchema = (schema: unknown, index: number): unknown => {
  const tuple = tupleOf(schema)
  if (index < tuple.length) return tuple[index]
  const items = own(schema, "items")
  return isArray(items) ? own(schema, "additionalItems") ?? true : items ?? true
}

export const tupleLength = (schema: unknown): number => tupleOf(schema).length

/** The schema of a member; false where the member is not allowed. */
export const memberSchema = (schema: unknown, key: string): unknown => {
  const declared = own(own(schema, "properties"), key)
  if (declared !== undefined) return declared
  const patterns = own(schema, "patternProperties")
  if (isRecord(patterns)) {
    const found = Object.entries(patterns).find(([pattern]) => matches(pattern, key))
    if (found !== undefined) return found[1]
  }
  return own(schema, "additionalProperties") ?? true
}

/** Whether the value is what the schema describes. Unknown keywords and formats are not judged. */
export const conforms = (root: unknown, given: unknown, value: unknown): boolean => {
  const schema = resolve(root, given)
  if (typeof schema === "boolean") return schema
  const types = typesOf(schema)
  if (types.length > 0 && !types.some((type) => isType(type, value))) return false
  const members = membersOf(schema)
  if (members !== undefined && !members.some((member) => same(member, value))) return false
  const fits = (branch: unknown) => conforms(root, branch, value)
  const anyOf = branches(schema, "anyOf")
  const oneOf = branches(schema, "oneOf")
  if (anyOf.length > 0 && !anyOf.some(fits)) return false
  if (oneOf.length > 0 && oneOf.filter(fits).length !== 1) return false
  if (!branches(schema, "allOf").every(fits)) return false
  if (typeof value === "number") return fitsNumber(schema, value)
  if (typeof value === "string") return fitsString(schema, value)
  if (isArray(value)) {
    return value.length >= (numberOf(schema, "minItems") ?? 0) &&
      value.length <= (numberOf(schema, "maxItems") ?? Infinity) &&
      value.every((item, index) => conforms(root, elementSchema(schema, index), item))
  }
  if (!isRecord(value)) return true
  return requiredOf(schema).every((key) => Object.hasOwn(value, key)) &&
    Object.entries(value).every(([key, member]) => conforms(root, memberSchema(schema, key), member))
}

/** Every schema that speaks about the place, through references and branches. */
export const schemasAt = (root: unknown, given: unknown, path: Path): Array<unknown> => {
  const schema = resolve(root, given)
  const [head, ...rest] = path
  const current = head === undefined
    ? [schema]
    : schemasAt(root, typeof head === "number" ? elementSchema(schema, head) : memberSchema(schema, head), rest)
  const within = (["anyOf", "oneOf", "allOf"] as const).flatMap((keyword) => branches(schema, keyword))
  return [...current, ...within.flatMap((branch) => schemasAt(root, branch, path))]
}
