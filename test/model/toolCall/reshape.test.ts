import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Repair from "../../../src/model/Repair.ts"
import * as Tool from "../../../src/model/Tool.ts"
import * as ToolCall from "../../../src/model/ToolCall.ts"
import { reshape } from "../../../src/model/toolCall/reshape.ts"
import * as Toolkit from "../../../src/model/Toolkit.ts"

const both = { structures: true, nulls: true }
const reshaped = (schema: { readonly [keyword: string]: unknown }, value: { readonly [name: string]: unknown }) =>
  reshape(schema, value, both, {})?.value

const object = (properties: object, required: ReadonlyArray<string> = []) => ({ type: "object", properties, required })
const list = { type: "array", items: { type: "number" } }

describe("a list or an object that was written as text", () => {
  it.each([
    ["a list", object({ a: list }), { a: "[1, 2]" }, { a: [1, 2] }],
    ["an object", object({ a: object({ b: { type: "string" } }) }), { a: "{\"b\":\"x\"}" }, { a: { b: "x" } }],
    ["a list that may be null", object({ a: { anyOf: [list, { type: "null" }] } }), { a: "[1]" }, { a: [1] }],
    ["a list of two types", object({ a: { type: ["array", "null"] } }), { a: "[1]" }, { a: [1] }],
    ["a list behind a reference", { ...object({ a: { $ref: "#/$defs/L" } }), $defs: { L: list } }, { a: "[1]" }, {
      a: [1]
    }],
    ["a list in a list", object({ a: { type: "array", items: list } }), { a: ["[1]", [2]] }, { a: [[1], [2]] }],
    ["a list inside what was text", object({ a: object({ b: list }) }), { a: "{\"b\":\"[1]\"}" }, { a: { b: [1] } }],
    [
      "the field of the choice that was meant",
      object({
        shape: {
          anyOf: [
            object({ kind: { const: "line" }, points: list }, ["kind"]),
            object({ kind: { const: "note" }, points: { type: "string" } }, ["kind"])
          ]
        }
      }),
      { shape: { kind: "line", points: "[1]" } },
      { shape: { kind: "line", points: [1] } }
    ]
  ])(
    "is read where the schema takes it and no text: %s",
    (_, schema, value, expected) => expect(reshaped(schema, value)).toEqual(expected)
  )

  it.each([
    ["text is taken, too", object({ a: { anyOf: [list, { type: "string" }] } }), { a: "[1]" }],
    ["the schema says nothing of it", object({ a: {} }), { a: "[1]" }],
    ["it is a word of an enumeration", object({ a: { enum: ["[1]", 2] } }), { a: "[1]" }],
    ["it is the other kind", object({ a: list }), { a: "{\"b\":1}" }],
    ["it is no JSON", object({ a: list }), { a: "[1," }],
    ["there is more behind it", object({ a: list }), { a: "[1] and more" }],
    ["it holds a key twice", object({ a: object({}) }), { a: "{\"b\":1,\"b\":2}" }],
    ["it reaches for a prototype", object({ a: object({}) }), { a: "{\"__proto__\":{}}" }],
    ["it is a number that was due", object({ a: { type: "number" } }), { a: "1" }],
    ["two choices take it", object({ a: { anyOf: [object({ b: list }), object({ c: list })] } }), { a: { b: "[1]" } }]
  ])("stays where %s", (_, schema, value) => expect(reshaped(schema, value)).toBeUndefined())
})

describe("null for a parameter", () => {
  it("is absent where the parameter may be left out and takes no null", () =>
    expect(reshaped(object({ limit: { type: "integer" } }), { limit: null })).toEqual({}))

  it("is absent inside of what was given, too", () =>
    expect(reshaped(object({ a: object({ b: { type: "string" } }) }), { a: { b: null } })).toEqual({ a: {} }))

  it.each([
    ["the schema takes null", object({ a: { type: ["string", "null"] } })],
    ["null is one of the values", object({ a: { enum: ["x", null] } })],
    ["OpenAPI calls it nullable", object({ a: { type: "string", nullable: true } })],
    ["the parameter must be there", object({ a: { type: "string" } }, ["a"])],
    ["the schema does not know the parameter", object({})],
    ["the schema says nothing of it", object({ a: {} })]
  ])("stays where %s", (_, schema) => expect(reshaped(schema, { a: null })).toBeUndefined())
})

describe("a hostile schema", () => {
  const loop = { $defs: { a: { anyOf: Array.from({ length: 8 }, () => ({ $ref: "#/$defs/a" })) } } }

  it("that refers to itself many times over changes nothing", () =>
    expect(reshaped({ ...loop, ...object({ a: { $ref: "#/$defs/a" } }) }, { a: "[1]" })).toBeUndefined())

  it("never throws, whatever it says and whatever the value", () =>
    FastCheck.assert(FastCheck.property(
      FastCheck.dictionary(
        FastCheck.constantFrom("properties", "anyOf", "allOf", "$ref", "items", "type", "a"),
        FastCheck.jsonValue()
      ),
      FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue()),
      (schema, value) => {
        reshape(schema, value, both, {})
      }
    )))
})

describe("a call that is brought into shape", () => {
  const edit = (repairs?: ReadonlyArray<Repair.Repair>) =>
    Tool.make("edit", {
      parameters: Schema.Struct({
        edits: Schema.Array(Schema.Struct({ from: Schema.String })),
        limit: Schema.optional(Schema.Int)
      }),
      repairs
    })
  const decode = (args: string, tool: Tool.Any = edit()) =>
    ToolCall.decodeOne(
      Effect.runSync(Toolkit.make(tool)),
      { _tag: "ToolCall", id: "call_1", name: tool.name, arguments: args },
      "tool-calls"
    )
  const text = "{\"edits\":\"[{\\\"from\\\":\\\"a\\\"}]\",\"limit\":null}"

  it("says in its repairs what was done", () =>
    expect(Either.getOrThrow(decode(text))).toMatchObject({
      arguments: { edits: [{ from: "a" }] },
      repairs: ["structuresAsText", "nullsAsAbsent"]
    }))

  it("goes into the conversation as it was read", () => {
    const call = { _tag: "ToolCall", id: "call_1", name: "edit", arguments: text } as const
    expect(ToolCall.mended(Effect.runSync(Toolkit.make(edit())), call).arguments).toBe("{\"edits\":[{\"from\":\"a\"}]}")
  })

  it("is refused at the places that the model wrote, where another shape does not help", () =>
    expect(Either.flip(decode("{\"edits\":\"[{}]\"}")).pipe(Either.getOrThrow)).toMatchObject({
      _tag: "InvalidArguments",
      issues: [{ path: ["edits"], kind: "Type" }]
    }))

  it.each([Repair.structuresAsText, Repair.nullsAsAbsent])(
    "is refused without $name",
    (repair) => expect(Either.isLeft(decode(text, edit(Repair.without(repair))))).toBe(true)
  )

  it("may say null in place of nothing", () => {
    const now = Tool.make("now", { parameters: Schema.Struct({}) })
    expect(Either.getOrThrow(decode("null", now))).toMatchObject({ arguments: {}, repairs: ["nullArguments"] })
    expect(Either.getOrThrow(decode("None", now)).repairs).toEqual(["pythonLiterals", "nullArguments"])
    const strict = Tool.make("now", {
      parameters: Schema.Struct({}),
      repairs: Repair.without(Repair.nullArguments)
    })
    expect(Either.getOrThrow(Either.flip(decode("null", strict)))).toMatchObject({ reason: "NotAnObject" })
    expect(Either.getOrThrow(Either.flip(decode("null")))).toMatchObject({ reason: "NotAnObject" })
  })
})
