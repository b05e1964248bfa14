import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { describe, expect, test } from "tstyche"
import type * as AnswerError from "../../src/error/AnswerError.ts"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type { Response } from "../../src/model/Response.ts"
import * as StructuredOutput from "../../src/model/StructuredOutput.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"

const City = Schema.Struct({
  name: Schema.String,
  founded: Schema.Date,
  unit: Schema.optional(Schema.Literal("celsius", "kelvin"))
})
type City = typeof City.Type
type Json = typeof City.Encoded

declare const city: StructuredOutput.StructuredOutput<City, Json>
declare const response: Response
declare const needy: Schema.Schema<string, string, LanguageModel.LanguageModel>
declare const wants: (city: City) => void

describe("StructuredOutput", () => {
  test("keeps both sides of the schema", () => {
    expect(StructuredOutput.make({ name: "city", schema: City })).type.toBe<
      Effect.Effect<StructuredOutput.StructuredOutput<City, Json>, InvalidOptions>
    >()
    expect(StructuredOutput.decode(city, response)).type.toBe<
      Either.Either<StructuredOutput.Decoded<City>, AnswerError.InvalidAnswer>
    >()
    expect(StructuredOutput.partial(city, "{")).type.toBe<Option.Option<StructuredOutput.Partial<Json>>>()
  })

  test("takes no schema that needs services", () => {
    expect(StructuredOutput.make).type.not.toBeCallableWith({ name: "it", schema: needy })
  })

  test("shows the JSON form with everything optional, read-only, and texts open", () => {
    expect<StructuredOutput.Shown<Json>>().type.toBe<{
      readonly name?: string
      readonly founded?: string
      readonly unit?: string | undefined
    }>()
    expect<StructuredOutput.Shown<ReadonlyArray<Json>>>().type.toBe<ReadonlyArray<StructuredOutput.Shown<Json>>>()
    expect<StructuredOutput.Shown<readonly [number, "a" | "b"]>>().type.toBe<readonly [number?, string?]>()
    expect<StructuredOutput.Shown<"a" | "b" | null>>().type.toBe<string | null>()
    expect<StructuredOutput.Shown<{ readonly [key: string]: 1 | 2 }>>().type.toBe<
      { readonly [key: string]: 1 | 2 | undefined }
    >()
    expect<StructuredOutput.Shown<unknown>>().type.toBe<unknown>()
  })
})

describe("a partial answer", () => {
  test("is taken for the whole nowhere, whatever the whole is", () => {
    expect(wants).type.not.toBeCallableWith({} as StructuredOutput.Partial<Json>)
    expect(wants).type.not.toBeCallableWith({} as StructuredOutput.Partial<Json>["shown"])
    expect<StructuredOutput.Partial<string>>().type.not.toBeAssignableTo<string>()
    expect<StructuredOutput.Partial<ReadonlyArray<string>>>().type.not.toBeAssignableTo<ReadonlyArray<string>>()
    expect<StructuredOutput.Partial<{ readonly a?: string }>>().type.not.toBeAssignableTo<{ readonly a?: string }>()
    expect<StructuredOutput.Partial<{ readonly [key: string]: unknown }>>().type.not.toBeAssignableTo<
      { readonly [key: string]: unknown }
    >()
  })

  test("cannot be made by hand", () => {
    expect<{ readonly _tag: "Partial"; readonly shown: {} }>().type.not.toBeAssignableTo<
      StructuredOutput.Partial<Json>
    >()
  })
})

describe("GenerateObject", () => {
  test("gives the decoded value, and names all that can go wrong", () => {
    expect(GenerateObject.call({ prompt: "x", output: { name: "city", schema: City } })).type.toBe<
      Effect.Effect<GenerateObject.Outcome<City>, GenerateObject.Failure, LanguageModel.LanguageModel>
    >()
    expect(GenerateObject.call({ prompt: "x", output: city })).type.toBe<
      Effect.Effect<GenerateObject.Outcome<City>, GenerateObject.Failure, LanguageModel.LanguageModel>
    >()
    expect<GenerateObject.Failure>().type.toBe<
      LanguageModel.LanguageModelError | AnswerError.ObjectRejected | InvalidOptions
    >()
  })

  test("streams partials of the JSON form, and the decoded value at the end", () => {
    expect(GenerateObject.stream({ prompt: "x", output: city })).type.toBe<
      Stream.Stream<GenerateObject.Progress<City, Json>, GenerateObject.Failure, LanguageModel.LanguageModel>
    >()
    type Progress = GenerateObject.Progress<City, Json>
    expect<Extract<Progress, { readonly _tag: "Partial" }>>().type.toBe<StructuredOutput.Partial<Json>>()
    expect<Extract<Progress, { readonly _tag: "Done" }>["outcome"]["value"]>().type.toBe<City>()
    expect<Exclude<Progress, { readonly _tag: "Done" }>>().type.not.toHaveProperty("outcome")
  })

  test("has no place for tools of the caller", () => {
    expect<GenerateObject.Options<City, Json>>().type.not.toHaveProperty("tools")
    expect<GenerateObject.Options<City, Json>>().type.not.toHaveProperty("toolChoice")
    expect<GenerateObject.Options<City, Json>>().type.not.toHaveProperty("responseFormat")
  })
})
