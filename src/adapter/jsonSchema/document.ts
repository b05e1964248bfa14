/** A JSON Schema of a stranger, read before any of it is compiled: bounded, plain JSON, whole in itself. */
import * as Either from "effect/Either"
import { found } from "../../error/InvalidOptions.ts"
import * as exclusiveBounds from "../../internal/exclusiveBounds.ts"
import { isRecord } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"

export type Path = ReadonlyArray<string | number>

export type Json = { readonly [keyword: string]: unknown }

export interface Fault {
  readonly path: Path
  readonly problem: string
  readonly remedy: string
}

/** Which edition of JSON Schema a document is written in, as far as it makes a difference. */
export type Dialect = "draft-07" | "2019-09" | "2020-12"

export interface Document {
  readonly dialect: Dialect
  /** The schema without `$schema`, `$id` and `$async`. */
  readonly schema: Json | boolean
  readonly patterns: ReadonlyArray<{ readonly path: Path; readonly pattern: string }>
}

/** How many values a schema may consist of, and how deep they may be nested. */
export const limits = { values: 5_000, depth: 256 } as const

/** Draft 7 is draft 6 with more keywords, and what draft 4 says otherwise is put into its words. */
const dialects: { readonly [schema: string]: Dialect | undefined } = {
  "json-schema.org/draft-04/schema": "draft-07",
  "json-schema.org/draft-06/schema": "draft-07",
  "json-schema.org/draft-07/schema": "draft-07",
  "json-schema.org/draft/2019-09/schema": "2019-09",
  "json-schema.org/draft/2020-12/schema": "2020-12"
}

/** Keywords that draft 7 passes over without a word. */
const newer = new Set([
  "prefixItems",
  "dependentRequired",
  "dependentSchemas",
  "unevaluatedProperties",
  "unevaluatedItems",
  "minContains",
  "maxContains",
  "$anchor",
  "$dynamicRef",
  "$dynamicAnchor"
])

/** Keywords whose value is plain data. */
const data = new Set(["const", "enum", "default", "example", "examples", "required", "type", "dependentRequired"])

/** Keywords whose value holds schemas by names that are no keywords. */
const named = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"])

/** They name the document, or would have the answer come later instead of at once. */
const dropped = new Set(["$schema", "$id", "id", "$async"])

/** Keywords whose schemas judge the same value as the schema they are in. */
const inPlace = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"]

class Refused extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.problem)
    this.fault = fault
  }
}

const refuse = (path: Path, problem: string, remedy: string): never => {
  throw new Refused({ path, problem, remedy })
}

const isPlain = (value: object): value is Json => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** A copy that is plain JSON and not too much of it. */
const plainCopy = (root: unknown): unknown => {
  const holders = new Set<object>()
  let values = 0
  const within = <A>(value: object, path: Path, read: () => A): A => {
    if (holders.has(value)) {
      refuse(path.slice(0, 8), "it holds itself", "Write it as JSON, and refer to a part of it by $ref instead.")
    }
    if (path.length > limits.depth) {
      refuse(path.slice(0, 8), `it is nested more than ${limits.depth} deep`, "Put the inner schemas under $defs.")
    }
    holders.add(value)
    const copied = read()
    holders.delete(value)
    return copied
  }
  const copy = (value: unknown, path: Path): unknown => {
    if (++values > limits.values) {
      refuse([], `it has more than ${limits.values} values`, "Take what the tool does not need out of its schema.")
    }
    if (value === null || typeof value === "string" || typeof value === "boolean") return value
    if (typeof value === "number" && Number.isFinite(value)) return value
    if (Array.isArray(value)) return within(value, path, () => value.map((item, place) => copy(item, [...path, place])))
    if (typeof value === "object" && isPlain(value)) {
      return within(value, path, () =>
        Object.fromEntries(
          Object.entries(value).flatMap(([key, inner]) =>
            inner === undefined ? [] : [[key, copy(inner, [...path, key])]]
          )
        ))
    }
    return refuse(path, `it holds ${found(value)}, which is not JSON`, "Write the schema as plain JSON.")
  }
  return copy(root, [])
}

/** What a document says of itself, gathered on the way through it. */
interface Findings {
  readonly patterns: Array<{ readonly path: Path; readonly pattern: string }>
  readonly references: Array<{ readonly path: Path; readonly reference: string }>
  readonly innerIds: Array<Path>
  readonly keywords: Set<string>
}

/** Calls `schema` for every schema in the value of a keyword, and puts its answers there. */
const mapKeyword = (
  keyword: string,
  value: unknown,
  path: Path,
  schema: (value: unknown, path: Path) => unknown
): unknown => {
  if (data.has(keyword)) return value
  if (Array.isArray(value)) return value.map((item, place) => schema(item, [...path, place]))
  if (!isRecord(value)) return value
  if (!named.has(keyword)) return schema(value, path)
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, Array.isArray(inner) ? inner : schema(inner, [...path, name])])
  )
}

const clean = (root: unknown, findings: Findings): unknown => {
  const rootId = isRecord(root) && typeof root.$id === "string" ? root.$id.replace(/#$/, "") : undefined
  const schema = (value: unknown, path: Path): unknown => {
    if (!isRecord(value)) return value
    const kept = Object.entries(exclusiveBounds.asNumbers(value)).flatMap(([keyword, inner]) => {
      const place = [...path, keyword]
      if (keyword === "$id" && path.length > 0) findings.innerIds.push(place)
      if (dropped.has(keyword)) return []
      findings.keywords.add(keyword === "items" && Array.isArray(inner) ? "items[]" : keyword)
      if (keyword === "pattern" && typeof inner === "string") findings.patterns.push({ path: place, pattern: inner })
      if (keyword === "patternProperties" && isRecord(inner)) {
        for (const pattern of Object.keys(inner)) findings.patterns.push({ path: [...place, pattern], pattern })
      }
      if (
        (keyword === "$ref" || keyword === "$dynamicRef" || keyword === "$recursiveRef") && typeof inner === "string"
      ) {
        const reference = rootId !== undefined && inner.startsWith(`${rootId}#`) ? inner.slice(rootId.length) : inner
        findings.references.push({ path: place, reference })
        return [[keyword, reference]]
      }
      return [[keyword, mapKeyword(keyword, inner, place, schema)]]
    })
    return Object.fromEntries(kept)
  }
  return schema(root, [])
}

const unescaped = (step: string): string => {
  try {
    return decodeURIComponent(step).replace(/~1/g, "/").replace(/~0/g, "~")
  } catch {
    return step
  }
}

/** What a pointer into the document leads to; nothing where it leads nowhere. */
export const lookup = (root: unknown, reference: string): unknown => {
  let current = root
  for (const step of reference.split("/").slice(1).map(unescaped)) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, step)) return undefined
    current = Reflect.get(current, step)
  }
  return current
}

const checkReferences = (root: unknown, { innerIds, references }: Findings) => {
  for (const { path, reference } of references) {
    if (!reference.startsWith("#")) {
      refuse(
        path,
        `it refers to ${excerpt(JSON.stringify(reference), 200)}, which is not in it, and nothing is fetched`,
        "Put the schema it means under $defs and refer to it as \"#/$defs/Name\"."
      )
    }
    if ((reference === "#" || reference.startsWith("#/")) && lookup(root, reference) === undefined) {
      refuse(
        path,
        `it refers to ${excerpt(reference, 200)}, which leads nowhere`,
        "Put a schema there, or mend the $ref."
      )
    }
  }
  const inner = innerIds[0]
  if (inner !== undefined && references.length > 0) {
    refuse(inner, "an $id inside the schema changes what its $refs mean", "Take the inner $id out.")
  }
}

/** A schema that refers to itself without going into the value first would never come to an end. */
const checkEnds = (root: unknown, { references }: Findings) => {
  const done = new Set<object>()
  const open = new Set<object>()
  const visit = (value: unknown, path: Path) => {
    if (!isRecord(value) || done.has(value)) return
    if (open.has(value)) {
      refuse(path, "it refers back to itself for one and the same value, for ever", "Break the circle of $refs.")
    }
    open.add(value)
    if (typeof value.$ref === "string") visit(lookup(root, value.$ref), path)
    for (const keyword of inPlace) {
      const inner = value[keyword]
      for (const each of Array.isArray(inner) ? inner : [inner]) visit(each, path)
    }
    open.delete(value)
    done.add(value)
  }
  visit(root, [])
  for (const { path, reference } of references) visit(lookup(root, reference), path)
}

const dialectOf = (root: unknown): Dialect | undefined => {
  const declared = isRecord(root) ? root.$schema : undefined
  if (declared === undefined) return undefined
  const name = typeof declared === "string" ? declared.replace(/^https?:\/\//, "").replace(/#$/, "") : ""
  return (Object.hasOwn(dialects, name) ? dialects[name] : undefined) ?? refuse(
    ["$schema"],
    `it says that it is written in ${found(declared)}, which is not known here`,
    "Write it in draft 4, 6 or 7, 2019-09 or 2020-12, and name that in $schema."
  )
}

/** Reads a schema, or says what is wrong with it; nothing of it is compiled. */
export const read = (json: unknown): Either.Either<Document, Fault> => {
  try {
    const copied = plainCopy(json)
    const declared = dialectOf(copied)
    const findings: Findings = { patterns: [], references: [], innerIds: [], keywords: new Set() }
    const schema = clean(copied, findings)
    if (!isRecord(schema) && typeof schema !== "boolean") {
      return refuse(
        [],
        `a JSON Schema is an object or a boolean, and this is ${found(json)}`,
        "Give the schema itself."
      )
    }
    checkReferences(schema, findings)
    checkEnds(schema, findings)
    const { keywords, patterns } = findings
    // Without a $schema it is read in the edition that knows all of its words.
    const guessed = !keywords.has("items[]") && [...newer].some((word) => keywords.has(word)) ? "2020-12" : "draft-07"
    return Either.right({
      schema,
      patterns,
      dialect: declared ?? guessed
    })
  } catch (cause) {
    if (cause instanceof Refused) return Either.left(cause.fault)
    throw cause
  }
}

/** Gives every schema of a document one more keyword: what it costs to judge one value by it, in the number of its words. */
export const weighed = (root: Json | boolean, keyword: string): Json | boolean => {
  const schema = (value: unknown): unknown => {
    if (!isRecord(value)) return value
    const weight = Object.values(value).reduce<number>(
      (sum, inner) => sum + (Array.isArray(inner) ? inner.length : isRecord(inner) ? Object.keys(inner).length : 1),
      1
    )
    return {
      ...Object.fromEntries(Object.entries(value).map(([word, inner]) => [word, mapKeyword(word, inner, [], schema)])),
      [keyword]: weight
    }
  }
  const made = schema(root)
  return isRecord(made) || typeof made === "boolean" ? made : root
}
