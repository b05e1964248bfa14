import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { ModelError } from "../../src/error/ModelError.ts"
import type { StreamBroken } from "../../src/error/PolicyError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type * as Response from "../../src/model/Response.ts"
import type * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"

declare const bare: LanguageModel.Service<ModelError>
declare const pipeline: Pipeline.Pipeline

describe("ResilientModel", () => {
  test("adds what a pipeline refuses, and what breaks a stream", () => {
    expect(ResilientModel.strengthen(bare, pipeline)).type.toBe<
      LanguageModel.Service<ModelError | Pipeline.AnyRefusal | StreamBroken>
    >()
    expect(ResilientModel.strengthen(bare, pipeline).generate({ prompt: "x" })).type.toBe<
      Effect.Effect<Response.Response, ModelError | Pipeline.AnyRefusal | StreamBroken>
    >()
  })

  test("gives a service that goes under the tag again", () => {
    expect(ResilientModel.strengthen(bare, pipeline)).type.toBeAssignableTo<LanguageModel.Service>()
  })

  test("is a layer from the tag to the same tag; only options can be invalid", () => {
    expect(ResilientModel.layer(pipeline)).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel>
    >()
    expect(ResilientModel.layer({ attemptTimeout: "1 second" })).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel>
    >()
    expect(ResilientModel.layer).type.not.toBeCallableWith({ attemptTimeouts: "1 second" })
  })
})
