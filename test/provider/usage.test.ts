/** What was read from the cache, written to it and thought: a field each, at every vendor, in whole replies and in streams. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as anthropic from "./fakeAnthropic.ts"
import * as gemini from "./fakeGemini.ts"
import { completion, fakeClient, json, options } from "./fakeOpenAi.ts"
import * as responses from "./fakeOpenAiResponses.ts"

type Make = Effect.Effect<LanguageModel.Service<ModelError>, unknown, HttpClient.HttpClient>

const eventStream = (text: string): globalThis.Response =>
  new globalThis.Response(text, { headers: { "content-type": "text/event-stream" } })

interface Case {
  readonly name: string
  readonly make: Make
  /** The reply and the stream that tell this usage. */
  readonly reply: object
  readonly stream: string
  readonly usage: object
}

const chat = (name: string, usage: object, expected: object): Case => ({
  name: `chat completions, ${name}`,
  make: OpenAiChat.make(options),
  reply: completion({ role: "assistant", content: "Hi" }, { usage }),
  stream: [
    { choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: null }] },
    { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
    { choices: [], usage }
  ].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("") + "data: [DONE]\n\n",
  usage: expected
})

const ofResponses = (name: string, usage: object, expected: object): Case => ({
  name: `the Responses API, ${name}`,
  make: OpenAiResponses.make(responses.options),
  reply: responses.response([responses.message("Hi")], { usage }),
  stream: responses.framed([
    { type: "response.created", response: { id: "r" } },
    { type: "response.output_text.delta", output_index: 0, content_index: 0, delta: "Hi" },
    { type: "response.completed", response: responses.response([], { usage }) }
  ]),
  usage: expected
})

const ofAnthropic = (name: string, usage: object, expected: object): Case => ({
  name: `Anthropic, ${name}`,
  make: Anthropic.make(anthropic.options),
  reply: anthropic.message([{ type: "text", text: "Hi" }], { usage: { ...usage, output_tokens: 20 } }),
  stream: anthropic.sse([
    anthropic.messageStart({ usage: { ...usage, output_tokens: 1 } }),
    anthropic.blockStart(0, { type: "text", text: "" }),
    anthropic.textDelta(0, "Hi"),
    anthropic.blockStop(0),
    ...anthropic.ending("end_turn", { output_tokens: 20 })
  ]),
  usage: expected
})

const cases: ReadonlyArray<Case> = [
  chat("in OpenAI's words", {
    prompt_tokens: 100,
    completion_tokens: 20,
    total_tokens: 120,
    prompt_tokens_details: { cached_tokens: 40, cache_write_tokens: 30 },
    completion_tokens_details: { reasoning_tokens: 5 }
  }, { inputTokens: 100, cachedInputTokens: 40, cacheWriteInputTokens: 30, outputTokens: 20, reasoningTokens: 5 }),
  chat("in DeepSeek's words", {
    prompt_tokens: 100,
    completion_tokens: 20,
    prompt_cache_hit_tokens: 40,
    completion_tokens_details: { reasoning_tokens: 5 }
  }, { cachedInputTokens: 40, reasoningTokens: 5 }),
  chat("in the words of a gateway to Anthropic", {
    prompt_tokens: 100,
    completion_tokens: 20,
    cache_read_input_tokens: 40,
    cache_creation_input_tokens: 30
  }, { cachedInputTokens: 40, cacheWriteInputTokens: 30 }),
  chat("in LiteLLM's words", {
    prompt_tokens: 100,
    completion_tokens: 20,
    prompt_tokens_details: { cached_tokens: 40, cache_creation_tokens: 30 }
  }, { cachedInputTokens: 40, cacheWriteInputTokens: 30 }),
  ofResponses("in OpenAI's words", {
    input_tokens: 100,
    output_tokens: 20,
    total_tokens: 120,
    input_tokens_details: { cached_tokens: 40, cache_write_tokens: 30 },
    output_tokens_details: { reasoning_tokens: 5 }
  }, { inputTokens: 100, cachedInputTokens: 40, cacheWriteInputTokens: 30, outputTokens: 20, reasoningTokens: 5 }),
  ofResponses("in a gateway's words", {
    input_tokens: 100,
    output_tokens: 20,
    input_tokens_details: { cached_tokens: 40, cache_creation_tokens: 30 }
  }, { cachedInputTokens: 40, cacheWriteInputTokens: 30 }),
  ofAnthropic("in its own words", {
    input_tokens: 30,
    cache_read_input_tokens: 40,
    cache_creation_input_tokens: 30,
    output_tokens_details: { thinking_tokens: 5 }
  }, { inputTokens: 100, cachedInputTokens: 40, cacheWriteInputTokens: 30, outputTokens: 20, reasoningTokens: 5 }),
  ofAnthropic("by the lifetime of what was written", {
    input_tokens: 30,
    cache_read_input_tokens: 40,
    cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 }
  }, { inputTokens: 100, cacheWriteInputTokens: 30 }),
  {
    name: "Gemini, which writes no cache by itself",
    make: Gemini.make(gemini.options),
    reply: { ...gemini.answer({ text: "Hi" }), usageMetadata: geminiUsage() },
    stream: gemini.events({ ...gemini.answer({ text: "Hi" }), usageMetadata: geminiUsage() }),
    usage: { inputTokens: 100, cachedInputTokens: 40, outputTokens: 20, reasoningTokens: 5 }
  }
]

function geminiUsage() {
  return {
    promptTokenCount: 100,
    candidatesTokenCount: 15,
    thoughtsTokenCount: 5,
    cachedContentTokenCount: 40,
    totalTokenCount: 120
  }
}

const using = <A, E>(
  make: Make,
  respond: () => globalThis.Response,
  use: (model: LanguageModel.Service<ModelError>) => Effect.Effect<A, E>
) => Effect.provideService(Effect.flatMap(make, use), HttpClient.HttpClient, fakeClient(respond).client)

describe("Usage tells cache reads, cache writes and reasoning", () => {
  for (const { make, name, reply, stream, usage } of cases) {
    it.effect(`of ${name}`, () =>
      Effect.gen(function*() {
        const whole = yield* using(make, () => json(reply), (model) => model.generate({ prompt: "Hi" }))
        const collected = yield* using(
          make,
          () => eventStream(stream),
          (model) => StreamPart.collect(model.stream({ prompt: "Hi" }))
        )
        expect({ ...whole.usage }).toMatchObject(usage)
        expect({ ...collected.usage }).toEqual({ ...whole.usage })
      }))
  }
})
