import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { ModelError } from "../../src/error/ModelError.ts"
import type { PolicyError } from "../../src/error/PolicyError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import type { Response } from "../../src/model/Response.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"

describe("LanguageModel", () => {
  it("generate tells every failure and needs the model alone", () => {
    expect(LanguageModel.generate({ prompt: "Hi" })).type.toBe<
      Effect.Effect<Response, ModelError | PolicyError, LanguageModel.LanguageModel>
    >()
  })

  it("a model of your own fails with what it says, and with the refusals of its requests", () => {
    expect(LanguageModel.make({ name: "m", provider: "p", generate: () => Effect.never })).type.toBe<
      LanguageModel.Service<ModelError>
    >()
  })

  it("a bare provider is a language model", () => {
    expect<LanguageModel.Service<ModelError>>().type.toBeAssignableTo<LanguageModel.Service>()
    expect<LanguageModel.Service>().type.not.toBeAssignableTo<LanguageModel.Service<ModelError>>()
  })
})

describe("OpenAiChat", () => {
  it("fails with ModelError alone once it is made", () => {
    expect(OpenAiChat.make({ model: "m" })).type.toBe<
      Effect.Effect<LanguageModel.Service<ModelError>, InvalidOptions, HttpClient.HttpClient>
    >()
  })

  it("is a layer over HttpClient", () => {
    expect(OpenAiChat.layer({ model: "m" })).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient>
    >()
    expect(OpenAiChat.layerConfig()).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient>
    >()
  })

  it("takes a key only as Redacted", () => {
    expect(OpenAiChat.make).type.not.toBeCallableWith({ model: "m", apiKey: "sk-plain" })
  })
})
