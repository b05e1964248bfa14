import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { ModelError, Truncated } from "../../src/error/ModelError.ts"
import type { PolicyError } from "../../src/error/PolicyError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import type { Response } from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
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

describe("LanguageModel.stream", () => {
  it("fails with what the model's calls fail with", () => {
    const model = LanguageModel.make({
      name: "m",
      provider: "p",
      generate: () => Effect.die("unused"),
      stream: () => Stream.die("unused")
    })
    expect(model.stream({ prompt: "Hi" })).type.toBe<Stream.Stream<StreamPart.StreamPart, ModelError>>()
  })

  it("collects to a response, with Truncated as one more way to fail", () => {
    const model = LanguageModel.make({ name: "m", provider: "p", generate: () => Effect.die("unused") })
    expect(StreamPart.collect(model.stream({ prompt: "Hi" }))).type.toBe<
      Effect.Effect<Response, ModelError>
    >()
    expect(StreamPart.collect(Stream.empty)).type.toBe<Effect.Effect<Response, Truncated>>()
  })

  it("decodeStream adds ModelError to what the bytes fail with", () => {
    const bytes: Stream.Stream<Uint8Array, "reset"> = Stream.empty
    expect(OpenAiChat.decodeStream()(bytes)).type.toBe<Stream.Stream<StreamPart.StreamPart, ModelError | "reset">>()
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
