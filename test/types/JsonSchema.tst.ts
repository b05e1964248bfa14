import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"
import * as JsonSchema from "../../src/adapter/JsonSchema.ts"
import type * as Tool from "../../src/model/Tool.ts"

const inputSchema: unknown = {}

describe("JsonSchema", () => {
  test("makes a schema of anything, or says why not", () => {
    expect(JsonSchema.schema(inputSchema)).type.toBe<
      Effect.Effect<Schema.Schema<unknown>, JsonSchema.InvalidJsonSchema>
    >()
  })

  test("makes a tool that is named, takes an object, and tells or raises as others do", () => {
    const raising = JsonSchema.tool("now", { inputSchema })
    expect(raising).type.toBe<
      Effect.Effect<JsonSchema.JsonTool<"now", undefined, "raise", undefined>, Tool.InvalidTool>
    >()
    const telling = JsonSchema.tool("now", { inputSchema, onFailure: "tell", failure: Schema.String, timeout: 5 })
    type Telling = Effect.Effect.Success<typeof telling>
    expect(telling).type.toBe<Effect.Effect<Telling, Tool.InvalidTool>>()
    expect<Tool.Name<Telling>>().type.toBe<"now">()
    expect<Tool.Parameters<Telling>>().type.toBe<{ readonly [name: string]: unknown }>()
    expect<Tool.Success<Telling>>().type.toBe<unknown>()
    expect<Tool.Failure<Telling>>().type.toBe<string>()
    expect<Telling>().type.toBeAssignableTo<Tool.Any>()
    expect(JsonSchema.tool).type.not.toBeCallableWith("now", { inputSchema, failure: Schema.String })
    expect(JsonSchema.tool).type.not.toBeCallableWith("now", {})
  })
})
