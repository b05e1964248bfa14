/** From the schema of a tool's parameters to the JSON Schema that providers take. */
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as AST from "effect/SchemaAST"
import * as exclusiveBounds from "../../internal/exclusiveBounds.ts"
import { isRecord } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"
import { Dates } from "./dateFormat.ts"
import { dataKeywords, type Fault, faultOf, namedSchemas } from "./sendableSchema.ts"

interface ObjectSchema {
  readonly type: "object"
  readonly properties: { readonly [name: string]: unknown }
  readonly [keyword: string]: unknown
}

type Json = { readonly [keyword: string]: unknown }

const wrap = "Wrap the parameters in a Schema.Struct, with the present schema as one of its fields."

/**
 * Effect gives its special schemas an `$id`; two of the same in one document are an error to a validator, and some
 * providers refuse the keyword altogether. An annotation may hold bounds of draft 4, which no provider takes.
 */
const acceptable = (schema: unknown): unknown =>
  Array.isArray(schema)
    ? schema.map(acceptable)
    : isRecord(schema)
    ? Object.fromEntries(
      Object.entries(exclusiveBounds.asNumbers(schema)).flatMap(([keyword, value]): ReadonlyArray<[string, unknown]> =>
        keyword === "$id"
          ? []
          : [[
            keyword,
            dataKeywords.has(keyword) ? value : namedSchemas.has(keyword) ? named(value) : acceptable(value)
          ]]
      )
    )
    : schema

const named = (schemas: unknown): unknown =>
  isRecord(schemas)
    ? Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, acceptable(schema)]))
    : schemas

/** The side of a schema that meets the JSON, without refinements and laziness round it. */
export const encodedRoot = (ast: AST.AST): AST.AST => {
  let current = ast
  for (;;) {
    if (AST.isTransformation(current) || AST.isRefinement(current)) current = current.from
    else if (AST.isSuspend(current)) current = current.f()
    else return current
  }
}

/** `Schema.Struct({})` in all its guises: TypeScript's `{}`, which by itself would admit every value but null. */
export const takesNothing = (ast: AST.AST): boolean => {
  const root = encodedRoot(ast)
  return AST.isTypeLiteral(root) && root.propertySignatures.length === 0 && root.indexSignatures.length === 0
}

const annotationsOf = (schema: Json): Json =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => keyword === "description" || keyword === "title"))

/** Effect's messages hold the path as `["a"]["b"]` and what is missing behind `schema`. */
const generationFault = (cause: unknown): Fault => {
  const message = cause instanceof Error ? cause.message : String(cause)
  const place = /^at path: (.*)$/m.exec(message)?.[1] ?? ""
  const path = [...place.matchAll(/\[("(?:[^"\\]|\\.)*"|\d+)\]/g)].flatMap((step): ReadonlyArray<string | number> => {
    const parsed: unknown = JSON.parse(step[1] ?? "null")
    return typeof parsed === "string" || typeof parsed === "number" ? [parsed] : []
  })
  const schema = /^schema (.*)$/m.exec(message)?.[1]
  return {
    path,
    problem: `the parameters have no JSON Schema: ${
      excerpt(schema === undefined ? message.replace(/\s+/g, " ") : `no JSON form is known of ${schema}`, 300)
    }`,
    remedy: schema?.startsWith("(Suspend)") === true
      ? "A schema that holds itself needs a name: give it .annotations({ identifier: \"Category\" })."
      : "Use a schema with a JSON form (for example Schema.Date instead of Schema.DateFromSelf), or give this part a " +
        "jsonSchema annotation."
  }
}

/** The JSON Schema of parameters, or what stands in its way: what is refused here no provider would take. */
export const generate = (ast: AST.AST): Either.Either<ObjectSchema, Fault> => {
  const definitions: Record<string, JSONSchema.JsonSchema7> = {}
  let schema: unknown
  try {
    schema = JSONSchema.fromAST(ast, { definitions, target: "jsonSchema7", topLevelReferenceStrategy: "skip" })
  } catch (cause) {
    return Either.left(generationFault(cause))
  }
  const unsendable = faultOf(
    isRecord(schema) && Object.keys(definitions).length > 0 ? { ...schema, $defs: definitions } : schema
  )
  if (unsendable !== undefined) return Either.left(unsendable)
  const dates = new Dates(definitions)
  const root = acceptable(dates.in(ast, schema))
  if (!isRecord(root)) return Either.left({ path: [], problem: "the parameters have no JSON Schema", remedy: wrap })
  if (takesNothing(ast) && root.type !== "object") {
    return Either.right({ type: "object", properties: {}, additionalProperties: false, ...annotationsOf(root) })
  }
  if (root.type !== "object") {
    const found = typeof root.type === "string"
      ? `of type ${JSON.stringify(root.type)}`
      : Array.isArray(root.anyOf)
      ? "a choice between several forms"
      : typeof root.$ref === "string"
      ? "a reference"
      : "of no definite type"
    return Either.left({
      path: [],
      problem: `the arguments of a tool must be a JSON object, and these parameters are ${found}`,
      remedy: wrap
    })
  }
  const properties = isRecord(root.properties) ? root.properties : {}
  const $defs = Object.keys(definitions).length === 0 ? {} : { $defs: named(dates.definitions) }
  return Either.right({ ...root, type: "object", properties, ...$defs })
}
