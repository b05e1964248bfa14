import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { anthropic } from "../../../src/chaos/chaosServer/anthropic/protocol.ts"
import type { Completion } from "../../../src/chaos/chaosServer/protocol.ts"
import { isRecord, parse } from "../../../src/chaos/shared/json.ts"
import * as Anthropic from "../../../src/provider/Anthropic.ts"
import { ask } from "../../provider/fakeAnthropic.ts"
import { asked, call, limitedBy, limitOf, payloads, said, textOf } from "../completions.ts"
import { clientOf } from "./client.ts"

const isEmpty = (json: string): boolean => json.trim() === ""

/** What a client is to make of a completion, with the arguments as this wire can tell them. */
const meant = (what: Completion, told: (json: string, index: number) => string) => ({
  id: `msg_01${what.id}`,
  model: what.model,
  parts: [
    ...(what.text === undefined || what.text === "" ? [] : [{ _tag: "Text", text: what.text }]),
    ...what.toolCalls.map((each, index) => ({
      _tag: "ToolCall",
      id: `toolu_01${each.id}`,
      name: each.name,
      arguments: told(each.arguments, index)
    }))
  ],
  finishReason: what.finishReason,
  usage: {
    inputTokens: what.promptTokens,
    outputTokens: what.completionTokens,
    totalTokens: what.promptTokens + what.completionTokens
  }
})

const streamed = (what: Completion) => meant(what, (json) => isEmpty(json) ? "{}" : json)

const whole = (what: Completion) =>
  meant(what, (json, index) => {
    if (isEmpty(json)) return "{}"
    if (isRecord(parse(json))) return json
    const isCut = what.finishReason === "length" && index === what.toolCalls.length - 1
    return isCut ? "{}" : json
  })

const { answered, classified, collect, failures, replies, streams } = clientOf({
  protocol: anthropic,
  provider: "anthropic",
  decodeStream: Anthropic.decodeStream(),
  ask
})

describe("protocolAnthropic", () => {
  describe("a stream", () => {
    streams(streamed)

    it("is made of the events that the API sends, in its order", () => {
      const text = textOf(anthropic, said({ text: "Let me see.", toolCalls: [call("{\"city\":\"Lima\"}")] }))
      expect(payloads(text)).toMatchObject([
        {
          type: "message_start",
          message: { content: [], stop_reason: null, usage: { input_tokens: 21, output_tokens: 1 } }
        },
        { type: "ping" },
        { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Let me see." } },
        { type: "content_block_stop", index: 0 },
        { type: "content_block_start", index: 1, content_block: { type: "tool_use", name: "get_weather", input: {} } },
        { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: "" } },
        { type: "content_block_delta", index: 1, delta: { partial_json: "{\"city\":\"Lim" } },
        { type: "content_block_delta", index: 1, delta: { partial_json: "a\"}" } },
        { type: "content_block_stop", index: 1 },
        { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { input_tokens: 21, output_tokens: 34 } },
        { type: "message_stop" }
      ])
    })

    it("has no fragment at all for a call without arguments", () => {
      for (const json of ["", "{}"]) {
        const types = payloads(textOf(anthropic, said({ toolCalls: [call(json)] }))).map(({ type }) => type)
        expect(types.slice(2, -2)).toEqual(["content_block_start", "content_block_stop"])
      }
    })

    it.each(
      [
        ["overloaded", "Overloaded"],
        ["server", "ServerError"],
        ["rate-limit", "RateLimited"]
      ] as const
    )("ends in an error of the kind %s, first or late", (kind, tag) => {
      const what = said({ text: "Hello there" })
      const error = anthropic.errorFrame(kind, what, asked, "late")
      const late = anthropic.stream(what, asked).frames.slice(0, 4).map(({ text }) => text).join("")
      for (const text of [error, late + error]) {
        expect(Effect.runSync(Effect.flip(collect(text)))).toMatchObject({
          _tag: tag,
          requestId: "req_0123456789abcdef"
        })
      }
    })
  })

  describe("a whole reply", () => {
    replies(whole)

    it("is a message with all its members", () => {
      expect(JSON.parse(anthropic.reply(said({ text: "Hello", finishReason: "length" }), asked).body)).toEqual({
        model: "some-model",
        id: "msg_010123456789abcdef",
        type: "message",
        role: "assistant",
        content: [{ type: "text", text: "Hello", citations: null }],
        stop_reason: "max_tokens",
        stop_sequence: null,
        stop_details: null,
        container: null,
        diagnostics: null,
        usage: {
          input_tokens: 21,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens: 34,
          output_tokens_details: null,
          server_tool_use: null,
          cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
          service_tier: "standard",
          inference_geo: "not_available",
          speed: "standard"
        }
      })
    })

    it.each([
      ["keys that repeat", "{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}"],
      ["numbers beyond doubles", "{\"n\":12345678901234567890}", "{\"n\":12345678901234567890}"],
      ["no arguments", "", "{}"],
      ["text that is no JSON", "{city: 'Lima'}", "{\"INVALID_JSON\":\"{city: 'Lima'}\"}"],
      ["JSON that is no object", "[1]", "{\"INVALID_JSON\":\"[1]\"}"]
    ])("tells %s as the API would", (_, json, told) => {
      const { body } = anthropic.reply(said({ toolCalls: [call(json)] }), asked)
      expect(body).toContain(`"input":${told},"caller":{"type":"direct"}}]`)
    })

    it.effect("may hold no content", () =>
      Effect.map(
        answered(anthropic.empty(said({ text: "lost" }), asked)),
        (response) => expect(response).toMatchObject({ parts: [], finishReason: "stop" })
      ))
  })

  describe("a failure", () => {
    failures([
      ["no key", { _tag: "MissingKey" }, 401, { _tag: "Authentication" }],
      ["a wrong key", { _tag: "WrongKey", shown: "sk-…" }, 401, { _tag: "Authentication" }],
      ["an unknown model", { _tag: "UnknownModel", model: "claude-0" }, 404, { _tag: "ModelNotFound" }],
      ["an unknown URL", { _tag: "UnknownUrl", method: "GET", url: "/v1/nothing" }, 404, {}],
      ["a body too large", { _tag: "BodyTooLarge" }, 413, { _tag: "RequestTooLarge" }],
      ["a schema beyond the server", { _tag: "UnknownSchema", tool: "odd" }, 400, { _tag: "InvalidRequest" }],
      ["a limit", limitOf(4_100), 429, { _tag: "RateLimited", scope: "tokens", retryAfter: Duration.seconds(5) }],
      ["a limit beyond reach", limitOf(undefined), 429, { _tag: "RateLimited", scope: "tokens" }],
      ["an empty account", { _tag: "Quota", model: "m" }, 400, { _tag: "QuotaExhausted", reason: "billing" }],
      ["an error", { _tag: "ServerError", status: 500, id: "abc" }, 500, { _tag: "ServerError", requestId: "req_abc" }],
      ["a gateway's error", { _tag: "ServerError", status: 502, id: "abc" }, 502, { _tag: "ServerError" }],
      ["no service", { _tag: "ServerError", status: 503, id: "abc" }, 503, {}],
      ["an overload", { _tag: "ServerError", status: 529, id: "abc" }, 529, { _tag: "Overloaded" }]
    ])

    it.each(
      [
        ["retry-after", 3_000, { "retry-after": "3" }],
        ["retry-after-ms", 3_000, { "retry-after": "3" }],
        ["prose", 3_000, { "retry-after": "3" }],
        ["http-date", 3_000, { "retry-after": "Thu, 09 Oct 2025 08:53:23 GMT" }],
        ["x-ratelimit-reset", 3_000, {
          "anthropic-ratelimit-requests-limit": "50",
          "anthropic-ratelimit-requests-remaining": "0",
          "anthropic-ratelimit-requests-reset": "2025-10-09T08:53:23Z"
        }],
        ["none", undefined, {}]
      ] as const
    )("of a plan tells the wait as %s and nowhere else", (hint, wait, headers) => {
      const reply = anthropic.failure(limitedBy(hint))
      const error = classified(limitedBy(hint))
      expect(error._tag).toBe("RateLimited")
      expect(error).toHaveProperty("scope", "requests")
      expect("retryAfter" in error ? error.retryAfter : undefined).toEqual(
        wait === undefined ? undefined : Duration.millis(wait)
      )
      expect(Object.fromEntries(Object.entries(reply.headers).filter(([name]) => /retry-after|ratelimit/.test(name))))
        .toEqual(headers)
    })

    it("names its request in the header and in the body", () => {
      const { body, headers } = anthropic.failure({ _tag: "Quota", model: "m" })
      expect(JSON.parse(body)).toMatchObject({ type: "error", request_id: headers["request-id"] })
      expect(headers["request-id"]).toMatch(/^req_[0-9a-f]{16}$/)
    })
  })
})
