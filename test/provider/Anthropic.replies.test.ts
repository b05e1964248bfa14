import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Prompt from "../../src/model/Prompt.ts"
import type * as Response from "../../src/model/Response.ts"
import * as Usage from "../../src/model/Usage.ts"
import { answered, failed, key, message, said } from "./fakeAnthropic.ts"
import { json } from "./fakeOpenAi.ts"

const toolUse = (id: unknown, input: unknown): object => ({ type: "tool_use", id, name: "f", input })

describe("Anthropic", () => {
  describe("what comes back", () => {
    it.effect("is a response with thinking, text, finish reason, usage and ids", () =>
      Effect.gen(function*() {
        const response = yield* answered(() =>
          json(
            message([
              { type: "thinking", thinking: "So.", signature: "sig" },
              { type: "redacted_thinking", data: "EmwK" },
              { type: "text", text: "Paris", citations: null },
              { type: "text", text: "." }
            ], {
              usage: {
                input_tokens: 9,
                cache_creation_input_tokens: 20,
                cache_read_input_tokens: 300,
                output_tokens: 5,
                output_tokens_details: { thinking_tokens: 3 }
              }
            }),
            { headers: { "request-id": "req_1" } }
          )
        )
        expect(response).toMatchObject({
          id: "msg_1",
          model: "claude-sonnet-4-5-20250929",
          parts: [
            { _tag: "Reasoning", text: "So.", providerMetadata: "anthropic/anthropic:signature:sig" },
            { _tag: "Reasoning", text: "", providerMetadata: "anthropic/anthropic:redacted:EmwK" },
            Prompt.text("Paris"),
            Prompt.text(".")
          ],
          finishReason: "stop",
          rawFinishReason: "end_turn",
          requestId: "req_1"
        })
        expect(response.usage).toEqual(
          new Usage.Usage({
            inputTokens: 329,
            outputTokens: 5,
            totalTokens: 334,
            reasoningTokens: 3,
            cachedInputTokens: 300,
            cacheWriteInputTokens: 20
          })
        )
      }))

    it.effect("gives input that is no JSON as the text it is, so that no tool takes it for arguments", () =>
      Effect.gen(function*() {
        const input = { INVALID_JSON: "{\"city\": \"Lima\"," }
        const response = yield* answered(() =>
          json(message([toolUse("a", input), toolUse("b", { ...input, city: "Lima" })], { stop_reason: "tool_use" }))
        )
        expect(response.toolCalls.map((call) => call.arguments)).toEqual([
          input.INVALID_JSON,
          JSON.stringify({ ...input, city: "Lima" })
        ])
      }))

    it.effect("keeps the arguments of tool calls to the letter", () =>
      Effect.gen(function*() {
        const raw = "{ \"n\": 9007199254740993, \"n\": 1.10 }"
        const body = JSON.stringify(message([
          { type: "text", text: "I'll look." },
          toolUse("a", "@input"),
          toolUse("b", {}),
          toolUse("", undefined),
          toolUse("a", { x: [1] })
        ], { stop_reason: "tool_use" })).replace("\"@input\"", raw)
        const response = yield* answered(() => json(body))
        expect(response.toolCalls).toEqual([
          { _tag: "ToolCall", id: "a", name: "f", arguments: raw },
          { _tag: "ToolCall", id: "b", name: "f", arguments: "{}" },
          { _tag: "ToolCall", id: "call_2", name: "f", arguments: "{}" },
          { _tag: "ToolCall", id: "call_3", name: "f", arguments: "{\"x\":[1]}" }
        ])
        expect(response).toMatchObject({ finishReason: "tool-calls", rawFinishReason: "tool_use" })
      }))

    it.effect("keeps tools that the server runs, and blocks that are not known yet, as parts of its own", () =>
      Effect.gen(function*() {
        const response = yield* answered(() =>
          json(message([
            { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
            { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
            { type: "mcp_tool_use", id: "mcptoolu_1", name: "echo", input: {}, server_name: "s" },
            { type: "hologram", cube: 3 },
            { type: "text", text: "Found." }
          ]))
        )
        expect(response.parts.map((part) => part._tag === "ProviderPart" ? part.kind : part._tag)).toEqual([
          "server_tool_use",
          "web_search_tool_result",
          "mcp_tool_use",
          "hologram",
          "Text"
        ])
        expect(response.text).toBe("Found.")
        expect(response.finishReason).toBe("stop")
      }))

    const reasons: ReadonlyArray<readonly [string | null, Response.FinishReason]> = [
      ["end_turn", "stop"],
      ["stop_sequence", "stop"],
      ["max_tokens", "length"],
      ["model_context_window_exceeded", "length"],
      ["tool_use", "tool-calls"],
      ["refusal", "content-filter"],
      ["pause_turn", "unknown"],
      ["quantum", "unknown"],
      [null, "unknown"]
    ]
    for (const [stop_reason, finishReason] of reasons) {
      it.effect(`finishes with ${finishReason} for ${stop_reason}`, () =>
        Effect.map(
          answered(() => json(message([{ type: "text", text: "x" }], { stop_reason }))),
          (response) => {
            expect(response.finishReason).toBe(finishReason)
            expect(response.rawFinishReason).toBe(stop_reason ?? undefined)
          }
        ))
    }

    it.effect("takes a reply without id, model and usage, and with senseless counts", () =>
      Effect.gen(function*() {
        const bare = yield* answered(() => json({ content: [{ type: "text", text: "ok" }], stop_reason: "end_turn" }))
        expect(bare).toMatchObject({ text: "ok", model: "claude-sonnet-4-5", usage: Usage.zero })
        expect(bare.id).toBeUndefined()
        const odd = yield* answered(() => json(message([], { usage: { input_tokens: -1, output_tokens: "2" } })))
        expect(odd).toMatchObject({ parts: [], usage: Usage.zero })
      }))

    it.effect("waits for tools wherever a finished reply has calls", () =>
      Effect.map(
        answered(() => json(message([toolUse("a", {})]))),
        (response) => expect(response).toMatchObject({ finishReason: "tool-calls", rawFinishReason: "end_turn" })
      ))
  })

  describe("what fails", () => {
    const errorBody = (type: string, words: string): object => ({
      type: "error",
      error: { type, message: words },
      request_id: "req_body"
    })
    const wrong: ReadonlyArray<readonly [string, () => globalThis.Response, object]> = [
      ["a refusal without a word", () =>
        json(message([], {
          stop_reason: "refusal",
          stop_details: { type: "refusal", category: "cyber", explanation: "Blocked under the usage policy." }
        })), {
        _tag: "ContentFiltered",
        stage: "completion",
        categories: ["cyber"],
        detail: "Blocked under the usage policy.",
        billed: "yes"
      }],
      ["an HTML page", () => json("<html></html>", { headers: { "content-type": "text/html" } }), {
        _tag: "MalformedResponse",
        reason: expect.stringMatching(/content-type text\/html.*check that the base URL is an API/)
      }],
      ["an empty body", () => json(""), { _tag: "MalformedResponse", reason: "the body is empty" }],
      ["JSON that is no message", () => json({ ok: true }), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("no message")
      }],
      ["content that is no list", () => json(message("hello")), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("content: a list of blocks")
      }],
      ["text that is none", () => json(message([{ type: "text", text: 7 }])), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("content.0: text is no text")
      }],
      ["a call without a name", () => json(message([{ type: "text", text: "x" }, { type: "tool_use", id: "a" }])), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("content.1: name")
      }],
      ["a block without a type", () => json(message([{}])), { _tag: "MalformedResponse" }],
      ["a body that stops inside JSON", () => json("{\"content\":[{\"ty"), {
        _tag: "Truncated",
        received: "{\"content\":[{\"ty"
      }],
      ["a body over the cap", () => json(said("x".repeat(5000))), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("maxBodyBytes")
      }],
      ["a redirect", () => new globalThis.Response(null, { status: 308, headers: { location: "https://e.example" } }), {
        _tag: "InvalidRequest",
        param: "baseUrl"
      }],
      ["an error under status 200", () => json(errorBody("overloaded_error", "Overloaded")), {
        _tag: "Overloaded",
        requestId: "req_body"
      }],
      ["a bad key", () => json(errorBody("authentication_error", "invalid x-api-key"), { status: 401 }), {
        _tag: "Authentication",
        status: 401,
        requestId: "req_body"
      }],
      ["an unknown model", () => json(errorBody("not_found_error", "model: claude-9"), { status: 404 }), {
        _tag: "ModelNotFound"
      }],
      [
        "an empty account",
        () =>
          json(errorBody("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), {
            status: 400
          }),
        { _tag: "QuotaExhausted", reason: "billing" }
      ],
      [
        "a prompt that is too long",
        () =>
          json(errorBody("invalid_request_error", "prompt is too long: 200251 tokens > 200000 maximum"), {
            status: 400
          }),
        {
          _tag: "ContextLengthExceeded",
          requested: 200_251,
          limit: 200_000
        }
      ],
      ["a rate limit with its hint", () =>
        json(errorBody("rate_limit_error", "Rate limited"), {
          status: 429,
          headers: { "retry-after": "7", "request-id": "req_9" }
        }), { _tag: "RateLimited", retryAfter: Duration.seconds(7), requestId: "req_9" }],
      ["an overloaded API", () => json(errorBody("overloaded_error", "Overloaded"), { status: 529 }), {
        _tag: "Overloaded",
        status: 529
      }],
      ["a gateway that is down", () => json("upstream connect error", { status: 502 }), { _tag: "ServerError" }]
    ]
    for (const [name, reply, expected] of wrong) {
      it.effect(`knows ${name}`, () =>
        Effect.map(failed(reply, { prompt: "Hi" }, { maxBodyBytes: 4096 }), (error) => {
          expect(error).toMatchObject({ provider: "anthropic", model: "claude-sonnet-4-5", ...expected })
          expect(JSON.stringify(error) + String(error)).not.toContain(key)
        }))
    }
  })
})
