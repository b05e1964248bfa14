import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import { fromStreamEvent, type StreamEvent } from "../../src/provider/ProviderError.ts"

const read = (event: unknown, rest: Partial<StreamEvent> = {}) =>
  fromStreamEvent({ provider: "openai", event, ...rest })
const tagOf = (event: unknown, rest?: Partial<StreamEvent>) =>
  Option.getOrNull(Option.map(read(event, rest), (error) => error._tag))

const chunk = (choice: object, rest: object = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  model: "m",
  choices: [{ index: 0, delta: { content: "Hel" }, finish_reason: null, ...choice }],
  ...rest
})

describe("ProviderError.fromStreamEvent", () => {
  const errors: ReadonlyArray<readonly [string, ModelError.ModelError["_tag"], unknown]> = [
    ["Anthropic's error event", "Overloaded", {
      type: "error",
      error: { type: "overloaded_error", message: "Overloaded" }
    }],
    ["Anthropic's rate limit in the stream", "RateLimited", {
      type: "error",
      error: { type: "rate_limit_error", message: "This request would exceed the rate limit" }
    }],
    ["Anthropic's api_error", "ServerError", {
      type: "error",
      error: { type: "api_error", message: "Internal server error" }
    }],
    ["Responses' error event with an envelope", "ContextLengthExceeded", {
      type: "error",
      sequence_number: 2,
      error: { type: "invalid_request_error", code: "context_length_exceeded", message: "Too long", param: "input" }
    }],
    ["Responses' error event without one", "QuotaExhausted", {
      type: "error",
      sequence_number: 2,
      code: "insufficient_quota",
      message: "You exceeded your current quota",
      param: null
    }],
    ["response.failed", "RateLimited", {
      type: "response.failed",
      response: { id: "resp_1", status: "failed", error: { code: "rate_limit_exceeded", message: "Too fast" } }
    }],
    ["response.failed that says nothing", "ServerError", {
      type: "response.failed",
      response: { id: "resp_1", status: "failed", error: null, output: [] }
    }],
    [
      "OpenRouter's chunk with both an error and choices",
      "ServerError",
      chunk(
        { delta: { content: "" }, finish_reason: "error", native_finish_reason: "error" },
        { error: { code: 502, message: "Provider disconnected unexpectedly" } }
      )
    ],
    [
      "OpenRouter's error inside a choice",
      "RateLimited",
      chunk({
        finish_reason: "error",
        error: { code: 429, message: "Provider returned error", metadata: { raw: "rate limited upstream" } }
      })
    ],
    ["MiniMax's base_resp in the last chunk", "RateLimited", {
      ...chunk({}),
      base_resp: { status_code: 1002, status_msg: "rate limit" }
    }],
    ["a finish reason that is an error", "ServerError", chunk({ delta: {}, finish_reason: "error" })],
    ["DeepSeek without resources", "Overloaded", chunk({ delta: {}, finish_reason: "insufficient_system_resource" })],
    ["Groq's failed tool call", "InvalidToolCall", {
      error: {
        message: "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
        type: "invalid_request_error",
        code: "tool_use_failed",
        failed_generation: "<function=weather{\"city\": \"Paris\"}",
        status_code: 400
      }
    }],
    ["Gemini's raw JSON after good chunks", "Overloaded", {
      error: { code: 503, message: "The model is overloaded. Please try again later.", status: "UNAVAILABLE" }
    }],
    ["the same in the list of Google's OpenAI endpoint", "Overloaded", [{
      error: { code: 503, message: "The model is overloaded. Please try again later.", status: "UNAVAILABLE" }
    }]],
    ["Gemini's blocked prompt", "ContentFiltered", { promptFeedback: { blockReason: "PROHIBITED_CONTENT" } }],
    ["Gemini's MALFORMED_FUNCTION_CALL", "InvalidToolCall", {
      candidates: [{ finishReason: "MALFORMED_FUNCTION_CALL", index: 0 }],
      usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 }
    }],
    ["Gemini's UNEXPECTED_TOOL_CALL", "InvalidToolCall", { candidates: [{ finishReason: "UNEXPECTED_TOOL_CALL" }] }],
    ["vLLM's flat error", "InvalidRequest", {
      object: "error",
      message: "bad value",
      type: "BadRequestError",
      param: null,
      code: 400
    }],
    ["an error that is a text", "UnsupportedFeature", { error: "model does not support tools" }],
    ["an error of the SDK's unwrapping", "RateLimited", {
      type: "tokens",
      code: "rate_limit_exceeded",
      message: "Rate limit reached on tokens per min (TPM): Limit 200000, Used 162960, Requested 42288.",
      param: null
    }]
  ]
  for (const [name, tag, event] of errors) {
    it(`finds ${name}: ${tag}`, () => {
      expect(tagOf(event)).toBe(tag)
      const error = Option.getOrThrow(read(event, { model: "m" }))
      expect(error).toMatchObject({ provider: "openai", model: "m", status: 200 })
      // A badly written tool call was written, and is paid for.
      expect(error.billed).toBe(tag === "InvalidToolCall" ? "yes" : "maybe")
      expect(ModelError.isModelError(error)).toBe(true)
    })
  }

  const ordinary: ReadonlyArray<readonly [string, unknown]> = [
    ["a chunk of a chat", chunk({})],
    ["a chunk of MiniMax that is in order", chunk({}, { base_resp: { status_code: 0, status_msg: "" } })],
    ["a chunk whose error is null", chunk({ error: null }, { error: null })],
    ["a chunk whose error is empty", chunk({}, { error: {} })],
    ["a reply that the filter ended", chunk({ delta: {}, finish_reason: "content_filter" })],
    ["a reply that the limit cut", chunk({ delta: {}, finish_reason: "length" })],
    ["a chunk of usage alone", { id: "1", choices: [], usage: { total_tokens: 3 } }],
    ["Azure's chunk of filters", {
      choices: [],
      id: "",
      prompt_filter_results: [{ content_filter_results: { hate: { filtered: false } } }]
    }],
    ["Anthropic's ping", { type: "ping" }],
    ["Anthropic's message_start", { type: "message_start", message: { id: "m", content: [], stop_reason: null } }],
    ["Anthropic's refusal", { type: "message_delta", delta: { stop_reason: "refusal" }, usage: { output_tokens: 1 } }],
    ["Anthropic's failed web search, which the model reads", {
      type: "content_block_start",
      index: 1,
      content_block: {
        type: "web_search_tool_result",
        content: { type: "web_search_tool_result_error", error_code: "max_uses_exceeded" }
      }
    }],
    ["Responses' created, whose error is null", {
      type: "response.created",
      response: { id: "r", status: "in_progress", error: null }
    }],
    ["Responses' incomplete", {
      type: "response.incomplete",
      response: { status: "incomplete", error: null, incomplete_details: { reason: "max_output_tokens" } }
    }],
    ["the code an interpreter is to run", {
      type: "response.code_interpreter_call_code.done",
      code: "raise ValueError('rate limit')",
      item_id: "ci_1"
    }],
    ["a failed call of an MCP tool", { type: "response.mcp_call.failed", item_id: "mcp_1", error: "tool exploded" }],
    ["Gemini's chunk", { candidates: [{ content: { parts: [{ text: "error" }] } }], modelVersion: "g" }],
    ["Gemini's chunk with harmless feedback", {
      candidates: [{ content: { parts: [{ text: "x" }] } }],
      promptFeedback: { safetyRatings: [] }
    }],
    ["Gemini's unspecified block", { promptFeedback: { blockReason: "BLOCK_REASON_UNSPECIFIED" } }],
    ["Gemini's filtered end", { candidates: [{ finishReason: "SAFETY" }] }],
    ["nothing", undefined],
    ["null", null],
    ["a number", 429],
    ["a text", "[DONE]"],
    ["an empty list", []]
  ]
  for (const [name, event] of ordinary) {
    it(`leaves ${name} alone`, () => expect(tagOf(event)).toBeNull())
  }

  it("takes what the stream itself calls an error for one, whatever it holds", () => {
    expect(tagOf("upstream connect error or disconnect", { name: "error" })).toBe("ServerError")
    expect(tagOf({ message: "Overloaded", index: 3 }, { name: "error" })).toBe("Overloaded")
    expect(tagOf(undefined, { name: "error" })).toBe("MalformedResponse")
    expect(tagOf({ odd: true }, { name: "error" })).toBe("MalformedResponse")
    expect(tagOf({ type: "ping" }, { name: "ping" })).toBeNull()
  })

  it("reads waits from the words, and from the headers of the reply", () => {
    const wait = (event: unknown, rest?: Partial<StreamEvent>) =>
      Option.getOrNull(
        Option.map(Option.flatMap(read(event, rest), (e) => Verdict.of(e).retryAfter), Duration.toMillis)
      )
    expect(wait({ error: { code: "rate_limit_exceeded", message: "Please try again in 1.574s." } })).toBe(1574)
    expect(wait({ error: { code: "rate_limit_exceeded", message: "Slow down", type: "tokens" } }, {
      headers: { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s", "X-Request-Id": "req_9" }
    })).toBe(360_000)
  })

  it("names the request, the categories and what the model wrote", () => {
    expect(
      Option.getOrThrow(
        read({ error: { message: "Overloaded" } }, { headers: { "X-Request-Id": "req_9" } })
      ).requestId
    ).toBe("req_9")
    expect(Option.getOrThrow(read({ promptFeedback: { blockReason: "SAFETY" } }))).toMatchObject({
      stage: "prompt",
      categories: ["SAFETY"]
    })
    expect(
      Option.getOrThrow(read({ error: { code: "tool_use_failed", failed_generation: "<function" } }))
    ).toMatchObject({ failedGeneration: "<function" })
  })

  it("never throws, and gives nothing or a ModelError", () =>
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue(), FastCheck.constantFrom(undefined, "error", "ping"), (event, name) => {
        expect(Option.getOrElse(Option.map(read(event, { name }), ModelError.isModelError), () => true)).toBe(true)
      }),
      { numRuns: 500 }
    ))
})
