import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Repair from "../../src/model/Repair.ts"
import * as Tool from "../../src/model/Tool.ts"

const of = (parameters: Schema.Schema.AnyNoContext) => Tool.jsonSchema(Tool.make("tool", { parameters }))
const schemaOf = (parameters: Schema.Schema.AnyNoContext) => Either.getOrThrow(of(parameters))
const refusalOf = (parameters: Schema.Schema.AnyNoContext) => Either.getOrThrow(Either.flip(of(parameters)))

interface Folder {
  readonly name: string
  readonly inside?: ReadonlyArray<Folder> | undefined
}
const Folder: Schema.Schema<Folder> = Schema.Struct({
  name: Schema.String,
  inside: Schema.optional(Schema.Array(Schema.suspend(() => Folder)))
}).annotations({ identifier: "Folder" })

class City extends Schema.Class<City>("City")({ city: Schema.String, days: Schema.Int.pipe(Schema.between(1, 5)) }) {}

describe("Tool.make", () => {
  it("holds what it is given; success defaults to anything", () => {
    const parameters = Schema.Struct({ city: Schema.String })
    const tool = Tool.make("get_weather", { description: "The weather", parameters })
    expect(tool).toMatchObject({ name: "get_weather", description: "The weather" })
    expect(tool.parameters).toBe(parameters)
    expect(tool.success).toBe(Schema.Unknown)
    expect(Tool.isTool(tool)).toBe(true)
    expect(Tool.isTool({ name: "get_weather" })).toBe(false)
  })

  it("may write, mends losslessly, takes its time and raises its failures, unless it says otherwise", () => {
    const parameters = Schema.Struct({})
    expect(Tool.make("now", { parameters })).toMatchObject({
      access: "read-write",
      repairs: Repair.lossless,
      timeout: undefined,
      failure: undefined,
      onFailure: "raise"
    })
    expect(Tool.defaults).toEqual({ access: "read-write", repairs: Repair.lossless, onFailure: "raise" })
    const told = Tool.make("now", {
      parameters,
      access: "read-only",
      repairs: Repair.none,
      timeout: "5 seconds",
      failure: Schema.String,
      onFailure: "tell"
    })
    expect(told).toMatchObject({ access: "read-only", repairs: [], timeout: "5 seconds", onFailure: "tell" })
    expect(told.failure).toBe(Schema.String)
  })
})

describe("Tool.jsonSchema", () => {
  it("describes the encoded side: required, optional, enums, ranges, nothing else allowed", () =>
    expect(schemaOf(Schema.Struct({
      city: Schema.String.annotations({ description: "Its English name" }),
      unit: Schema.optional(Schema.Literal("c", "f")),
      when: Schema.Date
    }))).toEqual({
      type: "object",
      required: ["city", "when"],
      properties: {
        city: { type: "string", description: "Its English name" },
        unit: { type: "string", enum: ["c", "f"] },
        when: { type: "string", description: "a string to be decoded into a Date", format: "date-time" }
      },
      additionalProperties: false
    }))

  it("gives dates their format, whatever else is said of them and wherever they stand", () => {
    const begin = Schema.propertySignature(Schema.Date).annotations({ description: "begin" })
    const start = Schema.DateTimeUtc.annotations({ description: "start" })
    class Meeting extends Schema.Class<Meeting>("Meeting")({ begin }) {}
    const of = (description: string) => ({ type: "string", description, format: "date-time" })
    expect(
      schemaOf(Schema.Struct({
        begin,
        start,
        late: Schema.optionalWith(Schema.Date, { default: () => new Date(0) }),
        maybe: Schema.optional(start),
        none: Schema.NullOr(start),
        choice: Schema.Union(Schema.Number, Schema.Literal("now"), start),
        list: Schema.Array(start),
        pair: Schema.Tuple(Schema.String, start),
        byName: Schema.Record({ key: Schema.String, value: start }),
        meeting: Meeting,
        own: Schema.transform(Schema.String, Schema.DateFromSelf, {
          decode: (text) => new Date(text),
          encode: (date) => date.toISOString()
        })
      })).properties
    ).toMatchObject({
      begin: { type: "string", format: "date-time" },
      start: of("start"),
      late: { type: "string", format: "date-time" },
      maybe: of("start"),
      none: { anyOf: [of("start"), { type: "null" }] },
      choice: { anyOf: [{ type: "number" }, { enum: ["now"] }, of("start")] },
      list: { items: of("start") },
      pair: { items: [{ type: "string" }, of("start")] },
      byName: { additionalProperties: of("start") },
      meeting: { properties: { begin: of("begin") } },
      own: { type: "string" }
    })
  })

  it("gives dates their format in schemas that hold themselves", () => {
    interface Event {
      readonly at: string
      readonly next?: Event | undefined
    }
    const at = Schema.encodedSchema(Schema.Date).annotations({ description: "a string to be decoded into a Date" })
    const Event: Schema.Schema<Event> = Schema.Struct({ at, next: Schema.optional(Schema.suspend(() => Event)) })
      .annotations({ identifier: "Event" })
    expect(schemaOf(Schema.Struct({ first: Event }))).toMatchObject({
      properties: { first: { properties: { at: { format: "date-time" } } } },
      $defs: { Event: { properties: { at: { format: "date-time" } } } }
    })
  })

  it("is an object without properties for a tool without parameters", () => {
    const nothing = { type: "object", properties: {}, additionalProperties: false }
    expect(schemaOf(Schema.Struct({}))).toEqual(nothing)
    expect(schemaOf(Schema.Struct({}).pipe(Schema.filter(() => true)))).toEqual(nothing)
    expect(schemaOf(Schema.Struct({}).annotations({ identifier: "Nothing", description: "Takes nothing" })))
      .toMatchObject(
        nothing
      )
  })

  it("writes classes and identified structs out at the root", () => {
    expect(schemaOf(City)).toMatchObject({
      type: "object",
      required: ["city", "days"],
      properties: { days: { type: "integer", minimum: 1, maximum: 5 } }
    })
    expect(JSON.stringify(schemaOf(City))).not.toContain("$ref")
  })

  it("keeps a recursive schema finite, with an object at the root", () =>
    expect(schemaOf(Folder)).toMatchObject({
      type: "object",
      properties: { inside: { type: "array", items: { $ref: "#/$defs/Folder" } } },
      $defs: { Folder: { type: "object" } }
    }))

  it("has no $id anywhere, except where it is a parameter's name", () => {
    const schema = schemaOf(Schema.Struct({
      any: Schema.Unknown,
      nothing: Schema.Struct({}),
      list: Schema.Array(Schema.Unknown),
      $id: Schema.String
    }))
    expect(schema.properties).toHaveProperty("$id", { type: "string" })
    expect(JSON.stringify(schema).match(/"\$id"/g)).toHaveLength(2) // the property and its place in `required`
  })

  it("takes a record, whose keys are free", () =>
    expect(schemaOf(Schema.Record({ key: Schema.String, value: Schema.Number }))).toMatchObject({
      type: "object",
      properties: {},
      additionalProperties: { type: "number" }
    }))

  it("tells a schema that holds itself to take a name", () => {
    interface Category {
      readonly name: string
      readonly children: ReadonlyArray<Category>
    }
    const nameless = Schema.Struct({
      name: Schema.String,
      children: Schema.Array(Schema.suspend((): Schema.Schema<Category> => nameless))
    })
    const error = Either.getOrThrow(Either.flip(Tool.jsonSchema(Tool.make("sort", { parameters: nameless }))))
    expect(error.path).toEqual(["children"])
    expect(error.remedy).toContain(".annotations({ identifier: ")

    const named = Schema.Struct({
      name: Schema.String,
      children: Schema.Array(Schema.suspend((): Schema.Schema<Category> => named))
    }).annotations({ identifier: "Category" })
    expect(Either.isRight(Tool.jsonSchema(Tool.make("sort", { parameters: named })))).toBe(true)
  })

  it("refuses what has no JSON form, naming tool, place and way out", () => {
    const refusal = refusalOf(Schema.Struct({ filter: Schema.Struct({ since: Schema.DateFromSelf }) }))
    expect(refusal).toMatchObject({ _tag: "InvalidTool", tool: "tool", path: ["filter", "since"] })
    expect(refusal.message).toContain("\"tool\" (at filter.since)")
    expect(refusal.message).toContain("DateFromSelf")
    expect(refusal.message).toContain("Schema.Date instead")
    expect(refusalOf(Schema.Struct({ id: Schema.BigIntFromSelf })).path).toEqual(["id"])
    expect(Verdict.of(refusal).action).toBe("Fail")
  })

  it.each([
    ["text", Schema.String, "of type \"string\""],
    ["a list", Schema.Array(Schema.String), "of type \"array\""],
    ["anything", Schema.Unknown, "of no definite type"],
    ["nothing at all", Schema.Void, "of no definite type"],
    ["any object", Schema.Object, "a choice between several forms"],
    ["a union", Schema.Union(Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })), "a choice"],
    ["JSON in a string", Schema.parseJson(Schema.Struct({ a: Schema.String })), "of type \"string\""],
    [
      "an annotation that lies",
      Schema.Struct({ a: Schema.String }).annotations({ jsonSchema: { type: "null" } }),
      "\"null\""
    ]
  ])("refuses %s at the root", (_, parameters, problem) => {
    const refusal = refusalOf(parameters)
    expect(refusal.path).toEqual([])
    expect(refusal.problem).toContain(problem)
    expect(refusal.remedy).toContain("Schema.Struct")
  })
})
