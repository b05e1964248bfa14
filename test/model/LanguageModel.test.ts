import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Usage from "../../src/model/Usage.ts"

const reply = new Response.Response({ model: "m", parts: [Prompt.text("Hi")], finishReason: "stop", usage: Usage.zero })

/** A model that counts the requests that reach it. */
const counting = (capabilities?: Partial<LanguageModel.Capabilities>) => {
  const seen: Array<LanguageModel.Request> = []
  const model = LanguageModel.make({
    name: "m",
    provider: "p",
    capabilities,
    generate: (request) => Effect.sync(() => (seen.push(request), reply))
  })
  return { model, seen }
}

const add = Tool.make("add", { parameters: Schema.Struct({ a: Schema.Number, b: Schema.Number }) })

describe("LanguageModel", () => {
  it.effect("answers through the tag", () =>
    Effect.gen(function*() {
      const { model, seen } = counting()
      const response = yield* LanguageModel.generate({ prompt: "Hello" }).pipe(
        Effect.provideService(LanguageModel.LanguageModel, model)
      )
      expect(response).toBe(reply)
      expect(seen).toEqual([{ prompt: "Hello" }])
    }))

  it("takes tools and images unless told otherwise", () => {
    expect(counting().model.capabilities).toEqual({ tools: true, images: true })
    expect(counting({ images: false }).model.capabilities).toEqual({ tools: true, images: false })
  })

  const bad: ReadonlyArray<readonly [string, Partial<LanguageModel.Request>]> = [
    ["prompt", { prompt: [] }],
    ["temperature", { temperature: Number.NaN }],
    ["temperature", { temperature: -0.1 }],
    ["topP", { topP: 0 }],
    ["topP", { topP: 1.1 }],
    ["maxOutputTokens", { maxOutputTokens: 0 }],
    ["maxOutputTokens", { maxOutputTokens: 1.5 }],
    ["seed", { seed: Infinity }],
    ["frequencyPenalty", { frequencyPenalty: Number.NaN }],
    ["presencePenalty", { presencePenalty: -Infinity }],
    ["idempotencyKey", { idempotencyKey: "" }],
    ["idempotencyKey", { idempotencyKey: "two\r\nlines" }],
    ["toolChoice", { toolChoice: "required" }],
    ["toolChoice", { toolChoice: { tool: "add" } }]
  ]
  for (const [param, fields] of bad) {
    it.effect(`refuses a request whose ${param} cannot work: ${JSON.stringify(fields)}`, () =>
      Effect.gen(function*() {
        const { model, seen } = counting()
        const error = yield* Effect.flip(model.generate({ prompt: "Hello", ...fields }))
        expect(error).toMatchObject({ _tag: "InvalidRequest", provider: "p", model: "m", param, billed: "no" })
        expect(error.message).toContain(param)
        expect(seen).toEqual([])
      }))
  }

  it.effect("names every fault at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(counting().model.generate({ prompt: "Hi", temperature: -1, topP: 7 }))
      expect(error.message).toContain("temperature is -1; it must be a number, 0 or more")
      expect(error.message).toContain("topP is 7; it must be above 0 and at most 1")
    }))

  it.effect("refuses a forced tool that is not in the toolkit, naming those that are", () =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(add)
      const { model, seen } = counting()
      const error = yield* Effect.flip(model.generate({ prompt: "Hi", tools, toolChoice: { tool: "multiply" } }))
      expect(error.message).toContain("\"multiply\", which is not in the toolkit; it has add")
      yield* model.generate({ prompt: "Hi", tools, toolChoice: { tool: "add" } })
      yield* model.generate({ prompt: "Hi", tools, toolChoice: "required" })
      expect(seen).toHaveLength(2)
    }))

  it.effect("refuses what its capabilities rule out, before anything is sent", () =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(add)
      const { model, seen } = counting({ tools: false, images: false })
      expect(yield* Effect.flip(model.generate({ prompt: "Hi", tools })))
        .toMatchObject({ _tag: "UnsupportedFeature", feature: "tools", billed: "no" })
      expect(yield* Effect.flip(model.generate({ prompt: [Prompt.user([Prompt.imageUrl("https://e.com/a.png")])] })))
        .toMatchObject({ _tag: "UnsupportedFeature", feature: "images", billed: "no" })
      expect(seen).toEqual([])
      yield* model.generate({ prompt: "Hi", tools: Toolkit.empty })
      expect(seen).toHaveLength(1)
    }))

  it.effect("refuses a response format where there is none, and one with a name that no provider takes", () =>
    Effect.gen(function*() {
      const responseFormat = { name: "city", schema: Schema.Struct({ name: Schema.String }) }
      const { model, seen } = counting({ structuredOutput: false })
      expect(model.capabilities).toEqual({ tools: true, images: true, structuredOutput: false })
      expect(yield* Effect.flip(model.generate({ prompt: "Hi", responseFormat })))
        .toMatchObject({ _tag: "UnsupportedFeature", feature: "structured output", billed: "no" })
      const able = counting()
      for (const name of ["", "a city", "x".repeat(65)]) {
        const error = yield* Effect.flip(
          able.model.generate({ prompt: "Hi", responseFormat: { ...responseFormat, name } })
        )
        expect(error).toMatchObject({ _tag: "InvalidRequest", param: "responseFormat" })
        expect(error.message).toContain(JSON.stringify(name))
      }
      yield* able.model.generate({ prompt: "Hi", responseFormat })
      expect([seen.length, able.seen.length]).toEqual([0, 1])
    }))
})

describe("LanguageModel.stream", () => {
  const reply = new Response.Response({
    id: "r",
    model: "m",
    parts: [Prompt.text("hi"), { _tag: "ToolCall", id: "1", name: "f", arguments: "{}" }],
    finishReason: "tool-calls",
    usage: Usage.zero
  })

  it.effect("is made from generate where the model has none: the whole reply in one burst", () =>
    Effect.gen(function*() {
      const model = LanguageModel.make({ name: "m", provider: "p", generate: () => Effect.succeed(reply) })
      const parts = Chunk.toReadonlyArray(yield* Stream.runCollect(model.stream({ prompt: "Hi" })))
      expect(parts.map((part) => part._tag)).toEqual([
        "Start",
        "TextDelta",
        "ToolCallStart",
        "ToolArgumentsDelta",
        "ToolCall",
        "Finish"
      ])
      expect(yield* StreamPart.collect(Stream.fromIterable(parts))).toEqual(reply)
    }))

  it.effect("checks the request before anything is sent, as generate does", () =>
    Effect.gen(function*() {
      const model = LanguageModel.make({
        name: "m",
        provider: "p",
        generate: () => Effect.die("sent"),
        stream: () => Stream.die("sent")
      })
      const error = yield* Effect.flip(Stream.runDrain(model.stream({ prompt: "Hi", topP: 2 })))
      expect(error).toMatchObject({ _tag: "InvalidRequest", param: "topP" })
    }))

  it.effect("asks the model of the context", () =>
    Effect.gen(function*() {
      const model = LanguageModel.make({ name: "m", provider: "p", generate: () => Effect.succeed(reply) })
      const response = yield* StreamPart.collect(LanguageModel.stream({ prompt: "Hi" })).pipe(
        Effect.provideService(LanguageModel.LanguageModel, model)
      )
      expect(response.text).toBe("hi")
    }))
})
