/** How a question goes on where the server refuses its native form, and where the provider pauses its turn. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import { Usage } from "../../src/model/Usage.ts"
import * as ProviderError from "../../src/provider/ProviderError.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const City = Schema.Struct({ name: Schema.NonEmptyString, founded: Schema.Int })
type City = typeof City.Type

const rome = { name: "Rome", founded: -753 }
const good = ScriptedModel.json(rome)
const noNumber = (founded: string) => ScriptedModel.json({ name: "Rome", founded })

const ask = (given: Partial<GenerateObject.Options<City>> = {}) =>
  GenerateObject.call({ prompt: "Tell me of Rome.", output: { name: "city", schema: City }, ...given })

const scripted = (...script: ReadonlyArray<ScriptedModel.Step>) => Effect.provide(ScriptedModel.layer(script))

const rejected = (given: Partial<GenerateObject.Options<City>> = {}) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(ask(given))
    if (error._tag !== "ObjectRejected") throw error
    return { error, requests: yield* ScriptedModel.requests }
  })

const withoutFormat = new ModelError.UnsupportedFeature({
  provider: "local",
  status: 400,
  feature: "structured output",
  detail: "response_format is not supported by this server"
})
const unknownFormat = new ModelError.InvalidRequest({ provider: "local", status: 400, param: "response_format" })
const badSchema = new ModelError.InvalidRequest({
  provider: "openai",
  status: 400,
  param: "response_format",
  detail: "Invalid schema for response_format 'city': 'additionalProperties' is required to be supplied"
})

describe("GenerateObject.call, when the server refuses response_format", () => {
  const byTool = ScriptedModel.toolCall("city", rome)
  const forms = Effect.map(
    ScriptedModel.requests,
    (requests) => requests.map(({ responseFormat }) => responseFormat === undefined ? "tool" : "native")
  )

  it.effect.each([
    { title: "as a feature it lacks", refusal: withoutFormat },
    { title: "as a field it does not know", refusal: unknownFormat }
  ])("asks by a tool from then on: $title", ({ refusal }) =>
    Effect.gen(function*() {
      expect(yield* ask({ idempotencyKey: "k" })).toMatchObject({ value: rome, source: "call", reasks: 0, refused: [] })
      expect(yield* ask()).toMatchObject({ value: rome, source: "call" })
      expect(yield* forms).toEqual(["native", "tool", "tool"])
      const [first, second] = yield* ScriptedModel.requests
      expect(first?.idempotencyKey).toBe("k")
      expect(second?.idempotencyKey).not.toBe("k")
      expect(second).toMatchObject({ toolChoice: { tool: "city" } })
    }).pipe(scripted(ScriptedModel.fail(refusal), byTool, byTool)))

  it.effect.each([
    { title: "the server", refusal: badSchema },
    {
      title: "the dialect of the provider, before anything is sent",
      refusal: new ModelError.InvalidRequest({ provider: "openai", param: "responseFormat" })
    }
  ])(
    "asks by a tool this once where it is the schema that is refused by $title",
    ({ refusal }) =>
      Effect.gen(function*() {
        expect(yield* ask()).toMatchObject({ value: rome, source: "call" })
        expect(yield* ask()).toMatchObject({ value: rome, source: "text" })
        expect(yield* forms).toEqual(["native", "tool", "native"])
      }).pipe(scripted(ScriptedModel.fail(refusal), byTool, good))
  )

  it.effect("stays with the tool for the re-asks of a question", () =>
    Effect.gen(function*() {
      expect(yield* ask()).toMatchObject({ value: rome, reasks: 1 })
      expect(yield* forms).toEqual(["native", "tool", "tool"])
    }).pipe(scripted(ScriptedModel.fail(badSchema), ScriptedModel.toolCall("city", { name: "Rome" }), byTool)))

  it.effect("passes the refusal on where the tool is refused too", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(ask())).toBe(unknownFormat)
      expect(yield* forms).toEqual(["native", "tool"])
    }).pipe(scripted(ScriptedModel.fail(withoutFormat), ScriptedModel.fail(unknownFormat))))

  it.effect("asks natively or not at all where the caller wants it so", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(ask({ mode: "native" }))).toBe(withoutFormat)
      expect(yield* forms).toEqual(["native"])
    }).pipe(scripted(ScriptedModel.fail(withoutFormat))))

  it.effect("does not take another fault of the request for a refusal of the format", () =>
    Effect.gen(function*() {
      const error = new ModelError.InvalidRequest({ provider: "local", status: 400, param: "temperature" })
      expect(yield* Effect.flip(ask())).toEqual(error)
    }).pipe(scripted(
      ScriptedModel.fail(new ModelError.InvalidRequest({ provider: "local", status: 400, param: "temperature" }))
    )))
})

describe("GenerateObject.call, in the words of servers that refuse structured output", () => {
  const bodies = {
    "DeepSeek": { error: { message: "This response_format type is unavailable now", type: "invalid_request_error" } },
    "OpenAI, an old model": {
      error: {
        message: "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        type: "invalid_request_error",
        param: "response_format"
      }
    },
    "Groq": {
      error: { message: "This model does not support response format `json_schema`.", type: "invalid_request_error" }
    },
    "Gemini": { error: { code: 400, message: "JSON mode is not enabled for this model", status: "INVALID_ARGUMENT" } },
    "Gemini, its field": {
      error: {
        code: 400,
        message: "Invalid JSON payload received. Unknown name \"responseJsonSchema\" at 'generation_config'",
        status: "INVALID_ARGUMENT"
      }
    },
    "Gemini, its type": {
      error: { code: 400, message: "response_mime_type: application/json is unsupported", status: "INVALID_ARGUMENT" }
    },
    "Anthropic": {
      type: "error",
      error: { type: "invalid_request_error", message: "output_config: Extra inputs are not permitted" }
    },
    "Anthropic, an old model": {
      type: "error",
      error: { type: "invalid_request_error", message: "'claude-3-5-haiku' does not support output format." }
    },
    "vLLM": {
      object: "error",
      message: "The provided JSON schema contains features not supported by xgrammar.",
      type: "BadRequestError",
      code: 400
    },
    "llama.cpp": { error: { code: 400, message: "failed to parse grammar", type: "invalid_request_error" } },
    "Together": { error: { message: "This model doesn't support JSON mode", type: "invalid_request_error" } },
    "Azure": {
      error: {
        code: "BadRequest",
        message: "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later"
      }
    },
    "a server that checks its fields": {
      detail: [{ loc: ["body", "response_format"], msg: "extra fields not permitted", type: "value_error.extra" }]
    }
  }
  for (const [server, body] of Object.entries(bodies)) {
    const error = ProviderError.fromResponse({ provider: "p", status: 400, headers: {}, body })
    it.effect(`asks by a tool: ${server}`, () =>
      Effect.gen(function*() {
        expect(yield* ask()).toMatchObject({ value: rome, source: "call" })
      }).pipe(scripted(ScriptedModel.fail(error), ScriptedModel.toolCall("city", rome))))
  }
})

const pausedTurn = (text: string, tokens: number) =>
  ScriptedModel.reply(
    new Response.Response({
      model: "m",
      parts: [
        Prompt.text(text),
        { _tag: "ProviderPart", kind: "server_tool_use", providerMetadata: "anthropic/anthropic:block:{}" }
      ],
      finishReason: "unknown",
      rawFinishReason: "pause_turn",
      usage: new Usage({ inputTokens: tokens, outputTokens: 0, totalTokens: tokens })
    })
  )

describe("GenerateObject.call, when the provider pauses its turn", () => {
  it.effect("sends it back and goes on, without a re-ask", () =>
    Effect.gen(function*() {
      const outcome = yield* ask({ idempotencyKey: "k" })
      expect(outcome).toMatchObject({ value: rome, reasks: 0, refused: [] })
      expect(outcome.usage.totalTokens).toBe(45)
      expect(outcome.prompt.messages.map(({ _tag }) => _tag)).toEqual(["User", "Assistant", "Assistant", "Assistant"])
      const requests = yield* ScriptedModel.requests
      expect(requests.map(({ prompt }) => Prompt.make(prompt).messages.length)).toEqual([1, 2, 3])
      expect(new Set(requests.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(3)
      expect(requests[2]).toMatchObject({ responseFormat: { name: "city" } })
    }).pipe(scripted(pausedTurn("I search.", 10), pausedTurn("And again.", 20), good)))

  it.effect("does so also in a re-ask, and in a stream", () =>
    Effect.gen(function*() {
      expect(yield* ask()).toMatchObject({ value: rome, reasks: 1 })
      const streamed = yield* Stream.runLast(
        GenerateObject.stream({ prompt: "Tell me of Rome.", output: { name: "city", schema: City } })
      )
      expect(Option.getOrThrow(streamed)).toMatchObject({ _tag: "Done", outcome: { value: rome, reasks: 0 } })
    }).pipe(scripted(noNumber("x"), pausedTurn("I search.", 10), good, pausedTurn("I search.", 10), good)))

  it.effect("stops after twenty pauses, and tells what came last", () =>
    Effect.gen(function*() {
      const { error, requests } = yield* rejected({ maxReasks: 0 })
      expect(requests).toHaveLength(21)
      expect(error.attempts[0]?.text).toBe("I search.")
      expect(error.usage.totalTokens).toBe(210)
    }).pipe(scripted(...Array.from({ length: 21 }, () => pausedTurn("I search.", 10)))))
})
