import { describe, expect, it } from "@effect/vitest"
import * as JsonSchema from "effect-llm-resilience/adapter/JsonSchema"
import * as SchemaDialect from "effect-llm-resilience/model/SchemaDialect"
import * as ToolCall from "effect-llm-resilience/model/ToolCall"
import * as Toolkit from "effect-llm-resilience/model/Toolkit"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { validator } from "../model/dialectValidator.ts"
import { runs } from "../runs.ts"

/** A parameter as tools describe one, and values it takes. */
interface Parameter {
  readonly schema: object
  readonly values: ReadonlyArray<unknown>
}

const kinds: ReadonlyArray<Parameter> = [
  { schema: { type: "string" }, values: ["x", ""] },
  { schema: { type: "integer", minimum: 1 }, values: [1, 7] },
  { schema: { type: "number", minimum: 0, exclusiveMinimum: true }, values: [0.5] },
  { schema: { type: "boolean" }, values: [true, false] },
  { schema: { enum: ["asc", "desc"] }, values: ["asc"] },
  { schema: { type: "array", items: { type: "string" } }, values: [[], ["a", "b"]] },
  { schema: { type: "object", additionalProperties: { type: "integer" } }, values: [{}, { a: 1 }] },
  {
    schema: {
      type: "object",
      properties: { deep: { type: "string", default: null }, also: { type: ["integer", "null"], default: null } },
      additionalProperties: false
    },
    values: [{}, { deep: "x" }, { deep: "x", also: 1 }]
  },
  { schema: { $ref: "#/$defs/Size" }, values: ["small"] },
  { schema: { anyOf: [{ type: "string" }, { type: "integer" }] }, values: ["x", 1] },
  { schema: { allOf: [{ type: "string" }, { minLength: 1 }] }, values: ["x"] }
]

const $defs = { Size: { type: "string", enum: ["small", "large"] } }

type Change = (parameter: Parameter) => Parameter

const nullable = (write: (schema: object) => object): Change => ({ schema, values }) => ({
  schema: write(schema),
  values: [...values, null]
})

/** The ways in which a parameter says that it may be null, and the one in which it does not. */
const nullables: ReadonlyArray<Change> = [
  (parameter) => parameter,
  nullable((schema) => ({ anyOf: [schema, { type: "null" }] })),
  nullable((schema) => ({ oneOf: [{ type: "null" }, schema] })),
  nullable((schema) =>
    "type" in schema && typeof schema.type === "string"
      ? { ...schema, type: [schema.type, "null"] }
      : { anyOf: [schema, { type: "null" }] }
  )
]

/** A default is an annotation: it may be null where the parameter takes no null, and it may stand beside a reference. */
const defaults: ReadonlyArray<Change> = [
  (parameter) => parameter,
  ({ schema, values }) => ({ schema: { ...schema, default: null }, values }),
  ({ schema, values }) => ({ schema: { ...schema, default: values[0] }, values })
]

const Parameters = FastCheck.tuple(
  FastCheck.constantFrom(...kinds),
  FastCheck.constantFrom(...nullables),
  FastCheck.constantFrom(...defaults),
  FastCheck.nat()
).map(([kind, asNullable, withDefault, place]) => {
  const { schema, values } = withDefault(asNullable(kind))
  return {
    schema,
    value: values[place % values.length],
    hasNullDefault: "default" in schema && schema.default === null
  }
})

const Tools = FastCheck.array(FastCheck.record({ parameter: Parameters, isThere: FastCheck.boolean() }), {
  minLength: 1,
  maxLength: 5
})

const nameOf = (index: number): string => `p${index}`

describe("a parameter that may be left out", () => {
  it.each(SchemaDialect.Dialect.literals)("can be left out, and is then absent: %s", (dialect) =>
    FastCheck.assert(
      FastCheck.property(Tools, (parameters) => {
        const inputSchema = {
          type: "object",
          properties: Object.fromEntries(
            parameters.map(({ parameter }, index) => [nameOf(index), parameter.schema])
          ),
          $defs
        }
        const tool = Effect.runSync(JsonSchema.tool("it", { inputSchema, repairs: [] }))
        const toolkit = Effect.runSync(Toolkit.make(tool))
        const { jsonSchema, write } = Either.getOrThrow(SchemaDialect.forTool(dialect, tool))
        const given = Object.fromEntries(
          parameters.flatMap(({ isThere, parameter }, index) => isThere ? [[nameOf(index), parameter.value]] : [])
        )
        const written = JSON.stringify(write(given))
        const isTaken = validator(jsonSchema)
        expect([written, isTaken(JSON.parse(written)), isTaken.errors]).toEqual([written, true, null])
        const call = { _tag: "ToolCall", id: "1", name: "it", arguments: written, dialect } as const
        // Null and absent are the same to a parameter whose default is null, so a strict dialect has one word for both.
        const expected = Object.fromEntries(
          Object.entries(given).filter(([name, value]) =>
            dialect !== "openai-strict" || value !== null ||
            !parameters[Number(name.slice(1))]?.parameter.hasNullDefault
          )
        )
        const decoded = Either.map(ToolCall.decodeOne(toolkit, call, "tool-calls"), (call) => call.arguments)
        expect([inputSchema, decoded]).toEqual([inputSchema, Either.right(expected)])
      }),
      { numRuns: runs(100, 400) }
    ))
})
