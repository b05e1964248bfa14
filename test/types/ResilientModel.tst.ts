import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { ModelError } from "../../src/error/ModelError.ts"
import type { PolicyError, TimedOut } from "../../src/error/PolicyError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type * as Response from "../../src/model/Response.ts"
import type * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"

declare const bare: LanguageModel.Service<ModelError>
declare const retryOnly: Pipeline.Pipeline<never>
declare const timing: Pipeline.Pipeline<TimedOut>
declare const any: Pipeline.Pipeline<PolicyError>

describe("ResilientModel", () => {
  test("adds exactly what its pipeline refuses", () => {
    expect(ResilientModel.strengthen(bare, retryOnly)).type.toBe<LanguageModel.Service<ModelError>>()
    expect(ResilientModel.strengthen(bare, timing)).type.toBe<LanguageModel.Service<ModelError | TimedOut>>()
    expect(ResilientModel.strengthen(bare, timing).generate({ prompt: "x" })).type.toBe<
      Effect.Effect<Response.Response, ModelError | TimedOut>
    >()
  })

  test("gives a service that goes under the tag again", () => {
    expect(ResilientModel.strengthen(bare, any)).type.toBeAssignableTo<LanguageModel.Service>()
  })

  test("is a layer from the tag to the same tag; only options can be invalid", () => {
    expect(ResilientModel.layer(timing)).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel>
    >()
    expect(ResilientModel.layer({ attemptTimeout: "1 second" })).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel>
    >()
    expect(ResilientModel.layer).type.not.toBeCallableWith({ attemptTimeouts: "1 second" })
  })
})
