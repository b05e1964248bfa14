import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Form from "../../../src/internal/form.ts"
import { form, Shared } from "./sample.ts"

const Config = Schema.Struct({ port: Schema.Number, sample: Form.schema(form, "file") })

describe("a form as an Effect Schema", () => {
  it("reads and writes within another schema", () => {
    const read = Schema.decodeUnknownSync(Config)({
      port: 1,
      sample: { maxConcurrent: 2, maxQueued: 1, queueTimeout: "5 seconds" }
    })
    expect(read.sample).toMatchObject({ name: "sample", maxConcurrent: 2, queueTimeout: Duration.seconds(5) })
    expect(Schema.encodeSync(Config)(read)).toEqual({
      port: 1,
      sample: { name: "sample", maxConcurrent: 2, maxQueued: 1, queueTimeout: "5 seconds" }
    })
  })

  it("tells every fault at its path", () => {
    const error = Schema.decodeUnknownEither(Config)({ port: 1, sample: { maxConcurrent: 0, jitter: { ratio: 2 } } })
    expect(Either.mapLeft(error, ParseResult.ArrayFormatter.formatErrorSync)).toEqual(Either.left([
      { _tag: "Type", path: ["sample", "maxConcurrent"], message: "allowed: a whole number, 1 to 1000" },
      { _tag: "Type", path: ["sample", "jitter", "ratio"], message: "allowed: a number above 0, at most 1" }
    ]))
    expect(Either.isLeft(Schema.decodeUnknownEither(Form.schema(form))(5))).toBe(true)
  })

  it("of code keeps functions and shared values, both ways", () => {
    const Code = Form.schema(form)
    const verdict = () => true
    const budget = new Shared()
    const read = Schema.decodeSync(Code)({ maxConcurrent: 1, verdict, budget })
    expect(read).toMatchObject({ verdict, budget })
    expect(Schema.encodeSync(Code)(read)).toEqual({ name: "sample", maxConcurrent: 1, maxQueued: 0, verdict, budget })
    expect(Schema.is(Code)(read)).toBe(true)
    expect(Schema.is(Code)({ maxConcurrent: 0 })).toBe(false)
    expect(Schema.is(Code)(null)).toBe(false)
  })

  it("has the JSON Schema of the file", () => {
    expect(JSONSchema.make(Config)).toMatchObject({
      properties: { sample: { properties: { maxConcurrent: { type: "integer" } } } }
    })
  })
})
