import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Repair from "../../src/model/Repair.ts"
import * as Response from "../../src/model/Response.ts"
import type * as SchemaDialect from "../../src/model/SchemaDialect.ts"
import * as StructuredOutput from "../../src/model/StructuredOutput.ts"
import * as Usage from "../../src/model/Usage.ts"

const City = Schema.Struct({
  name: Schema.NonEmptyString,
  founded: Schema.Int,
  unit: Schema.optional(Schema.Literal("celsius", "kelvin"))
})

const reply = (
  parts: ReadonlyArray<Prompt.AssistantPart>,
  finishReason: Response.FinishReason = "stop"
): Response.Response => new Response.Response({ model: "m", parts, finishReason, usage: Usage.zero })

const said = (text: string, finishReason?: Response.FinishReason) => reply([Prompt.text(text)], finishReason)
const called = (name: string, json: string, finishReason: Response.FinishReason = "tool-calls") =>
  reply([{ _tag: "ToolCall", id: "call_1", name, arguments: json }], finishReason)

const rome = { name: "Rome", founded: -753 }

const decode = (response: Response.Response) =>
  Effect.map(
    StructuredOutput.make({ name: "city", schema: City }),
    (city) => StructuredOutput.decode(city, response)
  )
const refused = (response: Response.Response) =>
  Effect.map(decode(response), (decoded) => Option.getOrThrow(Either.getLeft(decoded)))

describe("StructuredOutput.make", () => {
  it.effect("asks for an object as it is, natively and by a tool of its name", () =>
    Effect.gen(function*() {
      const city = yield* StructuredOutput.make({ name: "city", description: "A city", schema: City })
      expect(StructuredOutput.isStructuredOutput(city)).toBe(true)
      expect(city.isWrapped).toBe(false)
      expect(city.format).toEqual({ name: "city", description: "A city", schema: City })
      expect(city.toolkit.definitions).toMatchObject([
        { name: "city", description: "A city", parameters: { type: "object", required: ["name", "founded"] } }
      ])
    }))

  const travelling = <A, I>(what: string, schema: Schema.Schema<A, I>, wire: string, value: A) => ({
    what,
    value,
    wire,
    made: Effect.map(StructuredOutput.make({ name: "it", schema }), (output) => ({
      isWrapped: output.isWrapped,
      parameters: output.toolkit.definitions[0]?.parameters,
      decode: (response: Response.Response) => StructuredOutput.decode(output, response)
    }))
  })
  const Choice = Schema.Union(Schema.TaggedStruct("A", { a: Schema.Int }), Schema.TaggedStruct("B", {}))

  it.effect.each([
    travelling("a list", Schema.Array(Schema.String), "{\"value\":[\"a\"]}", ["a"]),
    travelling("a text", Schema.NonEmptyString, "{\"value\":\"a\"}", "a"),
    travelling("a number", Schema.Int, "{\"value\":3}", 3),
    travelling("a literal", Schema.Literal("yes", "no"), "{\"value\":\"no\"}", "no"),
    travelling("a tuple", Schema.Tuple(Schema.Int, Schema.String), "{\"value\":[1,\"b\"]}", [1, "b"]),
    travelling("a nullable object", Schema.NullOr(City), "{\"value\":null}", null),
    travelling("a choice of objects", Choice, "{\"value\":{\"_tag\":\"A\",\"a\":1}}", { _tag: "A", a: 1 })
  ])("sends $what in an object, and takes it out again", ({ made, value, wire }) =>
    Effect.gen(function*() {
      const { decode, isWrapped, parameters } = yield* made
      expect(isWrapped).toBe(true)
      expect(parameters).toMatchObject({ type: "object", required: ["value"] })
      expect(decode(said(wire))).toMatchObject({ right: { value } })
      expect(decode(said(JSON.stringify(value)))).toMatchObject({ _tag: "Left" })
    }))

  it.effect("decodes into the types of the schema", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ at: Schema.Date, count: Schema.NumberFromString })
      const output = yield* StructuredOutput.make({ name: "it", schema })
      const decoded = StructuredOutput.decode(output, said("{\"at\":\"2026-01-02T00:00:00.000Z\",\"count\":\"7\"}"))
      expect(Either.getOrThrow(decoded).value).toEqual({ at: new Date("2026-01-02"), count: 7 })
    }))

  const refusing = <A, I>(options: StructuredOutput.Options<A, I>, path: string) => ({
    path,
    error: Effect.flip(StructuredOutput.make(options))
  })
  const lossy = Either.getOrThrow(Repair.make("guess", { kind: "lossy", repair: () => "{}" }))

  it.effect.each([
    refusing({ name: "my city", schema: City }, "name"),
    refusing({ name: "constructor", schema: City }, "name"),
    refusing({ name: "a", schema: Schema.Struct({ born: Schema.DateFromSelf }) }, "schema.born"),
    refusing({ name: "a", schema: Schema.Array(Schema.DateFromSelf) }, "schema"),
    refusing({ name: "a", schema: City, repairs: [lossy] }, "repairs")
  ])("refuses what cannot be asked for: $path", ({ error, path }) =>
    Effect.gen(function*() {
      const { issues, module } = yield* error
      expect([module, issues.map((issue) => issue.path)]).toEqual(["StructuredOutput", [path]])
      expect(issues[0]?.allowed).not.toBe("")
    }))
})

describe("StructuredOutput.decode", () => {
  it.effect.each([
    { how: "as text", response: said(JSON.stringify(rome)), source: "text" },
    { how: "as a call", response: called("city", JSON.stringify(rome)), source: "call" },
    {
      how: "as a call with words beside it",
      response: reply([Prompt.text("Here it is:"), ...called("city", JSON.stringify(rome)).parts], "tool-calls"),
      source: "call"
    }
  ])("takes an answer $how", ({ response, source }) =>
    Effect.gen(function*() {
      expect(yield* decode(response)).toEqual(
        Either.right({ value: rome, source, text: JSON.stringify(rome), repairs: [] })
      )
    }))

  it.effect("mends what has one reading, and tells", () =>
    Effect.gen(function*() {
      const decoded = yield* decode(said("```json\n{\"name\":\"Rome\",\"founded\":-753,}\n```"))
      expect(decoded).toMatchObject({ right: { value: rome, repairs: ["fence", "trailingCommas"] } })
    }))

  it.effect("mends only what it was allowed to", () =>
    Effect.gen(function*() {
      const city = yield* StructuredOutput.make({ name: "city", schema: City, repairs: Repair.none })
      const decoded = StructuredOutput.decode(city, said("{\"name\":\"Rome\",\"founded\":-753,}"))
      expect(decoded).toMatchObject({ left: { kind: "MalformedArguments", fault: { reason: "Syntax" } } })
    }))

  it.effect.each([
    { response: said(JSON.stringify(rome), "length"), kind: "TruncatedArguments", words: "shorter answer" },
    { response: said(JSON.stringify(rome), "unknown"), kind: "TruncatedArguments", words: "whole answer again" },
    { response: said("", "length"), kind: "TruncatedArguments", words: "ended early" },
    { response: said("I cannot help with that.", "content-filter"), kind: "Withheld", words: "withheld" },
    { response: said(JSON.stringify(rome), "content-filter"), kind: "Withheld", words: "withheld" },
    { response: said(""), kind: "NoAnswer", words: "holds no answer" },
    { response: said(" \n"), kind: "NoAnswer", words: "holds no answer" },
    { response: reply([{ _tag: "Reasoning", text: "Hm." }]), kind: "NoAnswer", words: "holds no answer" },
    { response: said("Rome is old."), kind: "MalformedArguments", words: "line 1, column 1" },
    { response: said("{\"name\":\"Rome\""), kind: "MalformedArguments", words: "ends in the middle" },
    { response: said("[1]"), kind: "MalformedArguments", words: "not a JSON object" },
    { response: said("{}{}"), kind: "MalformedArguments", words: "more text behind" },
    { response: said("{\"name\":\"a\",\"name\":\"b\"}"), kind: "HazardousArguments", words: "name stands twice" },
    { response: said("{\"__proto__\":{}}"), kind: "HazardousArguments", words: "is not allowed" },
    { response: said("{\"founded\":9007199254740993}"), kind: "HazardousArguments", words: "kept exactly" },
    {
      response: said("{\"name\":\"\",\"founded\":1.5,\"age\":3}"),
      kind: "InvalidArguments",
      words: "age: is not a field"
    },
    { response: called("town", JSON.stringify(rome)), kind: "UnknownTool", words: "Call \"city\"" },
    {
      response: reply([...called("city", "{}").parts, ...called("city", "{}").parts]),
      kind: "SeveralAnswers",
      words: "exactly once"
    }
  ])("refuses $kind: $words", ({ kind, response, words }) =>
    Effect.gen(function*() {
      const error = yield* refused(response)
      expect(error).toMatchObject({ _tag: "InvalidAnswer", output: "city", kind })
      expect(error.message).toContain(words)
      expect(error.message).not.toMatch(/argument|parameter/)
    }))

  it.effect("takes silence for no answer, and a call without arguments for one without fields", () =>
    Effect.gen(function*() {
      const output = yield* StructuredOutput.make({ name: "ping", schema: Schema.Struct({}) })
      expect(StructuredOutput.decode(output, said(""))).toMatchObject({ left: { kind: "NoAnswer" } })
      expect(StructuredOutput.decode(output, called("ping", ""))).toMatchObject({ right: { value: {} } })
    }))
})

const shown = <A, I>(schema: Schema.Schema<A, I>, text: string, dialect?: SchemaDialect.Dialect) =>
  Effect.map(
    StructuredOutput.make({ name: "it", schema }),
    (output) =>
      Option.getOrElse(
        Option.map(StructuredOutput.partial(output, text, dialect), (some) => some.shown),
        () => "nothing"
      )
  )

class Node extends Schema.Class<Node>("Node")({
  label: Schema.String,
  inner: Schema.Array(Schema.suspend((): Schema.Schema<Node, NodeJson> => Node))
}) {}
interface NodeJson {
  readonly label: string
  readonly inner: ReadonlyArray<NodeJson>
}

describe("StructuredOutput.partial", () => {
  it.effect.each([
    ["", "nothing"],
    ["Sure! {", "nothing"],
    ["{", {}],
    ["{\"name\":\"Ro", { name: "Ro" }],
    ["{\"name\":\"Rome\",\"founded\":-7", { name: "Rome" }],
    ["{\"name\":\"Rome\",\"founded\":-753,", rome],
    ["{\"unit\":\"cel", { unit: "cel" }],
    ["{\"unit\":\"far", "nothing"],
    ["{\"age\":1,", "nothing"],
    ["{\"name\":1,", "nothing"],
    ["{\"__proto__\":{\"name\":\"x", "nothing"],
    ["[1", "nothing"],
    ["```json", "nothing"],
    ["```json\n{\"name\":\"Ro", { name: "Ro" }],
    ["```json\n{\"name\":\"Ro\"}\n```", { name: "Ro" }],
    ["{\"name\":\"Ro```", { name: "Ro```" }]
  ])(
    "%j shows %j",
    ([text, expected]) => Effect.map(shown(City, String(text)), (part) => expect(part).toEqual(expected))
  )

  it.effect("opens the object round a list when the list has begun", () =>
    Effect.gen(function*() {
      expect(yield* shown(Schema.Array(City), "{\"value\":")).toBe("nothing")
      expect(yield* shown(Schema.Array(City), "{\"value\":[{\"name\":\"Ro")).toEqual([{ name: "Ro" }])
    }))

  it.effect("knows tuples, records, choices, anything, and schemas that hold themselves", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        pair: Schema.optional(Schema.Tuple(Schema.Int, Schema.String)),
        words: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Int })),
        any: Schema.optional(Schema.Unknown),
        tree: Schema.optional(Node)
      })
      expect(yield* shown(schema, "{\"pair\":[1,\"a")).toEqual({ pair: [1, "a"] })
      expect(yield* shown(schema, "{\"pair\":[1,\"a\",2,")).toBe("nothing")
      expect(yield* shown(schema, "{\"words\":{\"a\":1,")).toEqual({ words: { a: 1 } })
      expect(yield* shown(schema, "{\"words\":{\"__proto__\":1,")).toBe("nothing")
      expect(yield* shown(schema, "{\"any\":[{\"x\":null")).toEqual({ any: [{}] })
      expect(yield* shown(schema, "{\"any\":{\"__proto__\":{}")).toBe("nothing")
      expect(yield* shown(schema, "{\"tree\":{\"label\":\"a\",\"inner\":[{\"label\":\"b")).toEqual({
        tree: { label: "a", inner: [{ label: "b" }] }
      })
    }))

  it.effect("shows nothing that is nested too deeply, and does not overflow", () =>
    Effect.gen(function*() {
      expect(yield* shown(Schema.Struct({ any: Schema.Unknown }), `{"any":${"[".repeat(5_000)}`)).toBe("nothing")
    }))

  it.effect("is quick on choices between schemas that hold themselves", () =>
    Effect.gen(function*() {
      interface Sum {
        readonly op: string
        readonly left?: Sum | undefined
      }
      const member = (op: string) =>
        Schema.Struct({ op: Schema.Literal(op), left: Schema.optional(Schema.suspend((): Schema.Schema<Sum> => Sum)) })
      const Sum: Schema.Schema<Sum> = Schema.Union(member("+"), member("-"), member("*")).annotations({
        identifier: "Sum"
      })
      const text = "{\"value\":" + "{\"left\":".repeat(60) + "{\"op\":\"x\"}" + "}".repeat(60) + "}"
      expect(yield* shown(Sum, text)).toBe("nothing")
    }))
})

describe("a part of an answer in the names of the wire", () => {
  it.effect("is not shown: only what has the names of the schema is", () =>
    Effect.gen(function*() {
      const output = yield* StructuredOutput.make({ name: "it", schema: Schema.Struct({ "straße": Schema.String }) })
      expect(StructuredOutput.partial(output, "{\"_stra_e\":\"Am Markt\"")).toEqual(Option.none())
      expect(Option.isSome(StructuredOutput.partial(output, "{\"straße\":\"Am Markt\""))).toBe(true)
    }))
})
