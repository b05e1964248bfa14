import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"
import * as Tool from "../../src/model/Tool.ts"

const weather = Tool.make("get_weather", {
  parameters: Schema.Struct({ city: Schema.String, when: Schema.optional(Schema.Date) }),
  success: Schema.Struct({ degrees: Schema.Number })
})
const now = Tool.make("now", { parameters: Schema.Struct({}) })

declare const needy: Schema.Schema<{ readonly a: string }, { readonly a: string }, "Service">

describe("Tool", () => {
  test("keeps its name as a literal", () => {
    expect<Tool.Name<typeof weather>>().type.toBe<"get_weather">()
    expect(weather.name).type.toBe<"get_weather">()
  })

  test("tells what a handler is given and what it answers, both decoded", () => {
    expect<Tool.Parameters<typeof weather>>().type.toBe<{ readonly city: string; readonly when?: Date | undefined }>()
    expect<Tool.Success<typeof weather>>().type.toBe<{ readonly degrees: number }>()
    expect<Tool.Success<typeof now>>().type.toBe<unknown>()
  })

  test("tells which failures the model is told", () => {
    const parameters = Schema.Struct({})
    const telling = Tool.make("telling", { parameters, failure: Schema.Literal("busy"), onFailure: "tell" })
    expect<Tool.Failure<typeof telling>>().type.toBe<"busy">()
    expect(telling.onFailure).type.toBe<"tell">()
    expect<Tool.Failure<typeof now>>().type.toBe<never>()
    expect(now.onFailure).type.toBe<"raise">()
    expect(Tool.make).type.not.toBeCallableWith("now", { parameters, failure: Schema.String })
    expect(Tool.make).type.not.toBeCallableWith("now", { parameters, failure: Schema.String, onFailure: "raise" })
    expect(Tool.make).type.not.toBeCallableWith("now", { parameters, onFailure: "ignore" })
    expect(Tool.make).type.not.toBeCallableWith("now", { parameters, access: "none" })
    expect(telling).type.toBeAssignableTo<Tool.Any>()
  })

  test("is one of any tools", () => {
    expect(weather).type.toBeAssignableTo<Tool.Any>()
    expect(now).type.toBeAssignableTo<Tool.Any>()
  })

  test("refuses schemas that need services", () => {
    expect(Tool.make).type.not.toBeCallableWith("needy", { parameters: needy })
  })

  test("has a JSON Schema, or says why not", () => {
    expect(Tool.jsonSchema(weather)).type.toBe<Either.Either<Tool.JsonSchema, Tool.InvalidTool>>()
  })
})
