import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import * as Usage from "../../src/model/Usage.ts"
import { rawAt } from "../../src/provider/shared/rawJson.ts"
import { answered, completion, json } from "./fakeOpenAi.ts"

describe("OpenAiChat", () => {
  describe("what comes back", () => {
    it.effect("is a response with text, finish reason, usage and ids", () =>
      Effect.gen(function*() {
        const response = yield* answered(() =>
          json(
            completion({ role: "assistant", content: "Paris." }, {
              usage: {
                prompt_tokens: 9,
                completion_tokens: 5,
                total_tokens: 14,
                completion_tokens_details: { reasoning_tokens: 3 },
                prompt_tokens_details: { cached_tokens: 4 }
              }
            }),
            { headers: { "x-request-id": "req_1" } }
          )
        )
        expect(response).toEqual(
          new Response.Response({
            id: "chatcmpl-1",
            model: "gpt-4o-mini-2024-07-18",
            parts: [Prompt.text("Paris.")],
            finishReason: "stop",
            rawFinishReason: "stop",
            usage: new Usage.Usage({
              inputTokens: 9,
              outputTokens: 5,
              totalTokens: 14,
              reasoningTokens: 3,
              cachedInputTokens: 4
            }),
            requestId: "req_1"
          })
        )
      }))

    it.effect("keeps the arguments of tool calls to the letter, also where a server sends them as an object", () =>
      Effect.gen(function*() {
        const raw = "{ \"n\": 9007199254740993, \"n\": 1.10 }"
        const body = JSON.stringify(completion({
          content: null,
          tool_calls: [
            { id: "a", type: "function", function: { name: "f", arguments: "{\"x\":1" } },
            { id: "b", type: "function", function: { name: "g", arguments: "@object" } },
            { function: { name: "h" } }
          ]
        })).replace("\"@object\"", raw)
        const response = yield* answered(() => json(body))
        expect(response.toolCalls).toEqual([
          { _tag: "ToolCall", id: "a", name: "f", arguments: "{\"x\":1" },
          { _tag: "ToolCall", id: "b", name: "g", arguments: raw },
          { _tag: "ToolCall", id: "call_2", name: "h", arguments: "{}" }
        ])
        // OpenAI says `stop` for a forced tool: the model still waits for its result.
        expect(response).toMatchObject({ finishReason: "tool-calls", rawFinishReason: "stop" })
      }))

    it.effect("gives every call an id of its own, the same each time", () =>
      Effect.gen(function*() {
        const call = (id: unknown) => ({ id, function: { name: "f", arguments: "{}" } })
        const reply = () =>
          json(completion({ tool_calls: [call(""), call("call_0"), call("call_0"), call(7), call("call_3")] }))
        const ids = Effect.map(answered(reply), (response) => response.toolCalls.map((each) => each.id))
        const first = yield* ids
        expect(first[1]).toBe("call_0")
        expect(first[4]).toBe("call_3")
        expect(new Set(first).size).toBe(5)
        expect(yield* ids).toEqual(first)
      }))

    const lenient: ReadonlyArray<readonly [string, object, object]> = [
      [
        "content in parts, thinking included (Mistral)",
        completion({
          content: [
            { type: "thinking", thinking: [{ type: "text", text: "so" }] },
            { type: "text", text: "Par" },
            { type: "reference", reference_ids: [1] },
            { type: "text", text: "is" }
          ]
        }),
        { text: "Paris", reasoning: "so" }
      ],
      ["reasoning_content (DeepSeek)", completion({ content: "ok", reasoning_content: "hm" }), { reasoning: "hm" }],
      ["reasoning (OpenRouter)", completion({ content: "ok", reasoning: "hm" }), { reasoning: "hm" }],
      ["reasoning_text (Copilot)", completion({ content: "ok", reasoning_text: "hm" }), { reasoning: "hm" }],
      [
        "reasoning_details (MiniMax)",
        completion({ content: "ok", reasoning_details: [{ text: "h" }, { summary: "m" }, { data: "x" }] }),
        { reasoning: "hm" }
      ],
      ["no usage, no model, no id", { choices: [{ message: { content: "ok" }, finish_reason: "stop" }] }, {
        model: "gpt-4o-mini",
        usage: Usage.zero
      }],
      ["senseless usage", completion({ content: "ok" }, { usage: { prompt_tokens: -1, completion_tokens: "2" } }), {
        usage: Usage.zero
      }],
      ["error: null beside the choices", completion({ content: "ok" }, { error: null }), { text: "ok" }],
      ["an unknown finish reason", completion({ content: "ok" }, {}, { finish_reason: "quantum" }), {
        finishReason: "unknown",
        rawFinishReason: "quantum"
      }],
      ["no finish reason", completion({ content: "ok" }, {}, { finish_reason: null }), { finishReason: "unknown" }],
      ["length", completion({ content: "o" }, {}, { finish_reason: "length" }), { finishReason: "length" }],
      ["null content", completion({ content: null }), { parts: [] }],
      ["a refusal", completion({ content: null, refusal: "I cannot." }), {
        finishReason: "content-filter",
        text: "I cannot."
      }],
      ["a filter that left a part", completion({ content: "Once" }, {}, { finish_reason: "content_filter" }), {
        finishReason: "content-filter",
        text: "Once"
      }],
      [
        "the function_call of old",
        completion({ content: null, function_call: { name: "f", arguments: { a: 1 } } }, {}, {
          finish_reason: "function_call"
        }),
        {
          finishReason: "tool-calls",
          toolCalls: [{ _tag: "ToolCall", id: "call_0", name: "f", arguments: "{\"a\":1}" }]
        }
      ]
    ]
    for (const [name, body, expected] of lenient) {
      it.effect(`takes ${name}`, () =>
        Effect.map(answered(() => json(body)), (response) => expect(response).toMatchObject(expected)))
    }

    it.effect("may start with a byte order mark or blank lines", () =>
      Effect.gen(function*() {
        const text = JSON.stringify(completion({ content: "ok" }))
        expect((yield* answered(() => json(`\uFEFF${text}`))).text).toBe("ok")
        expect((yield* answered(() => json(`\n\n  ${text}\n`))).text).toBe("ok")
      }))
  })

  describe("rawAt", () => {
    it("finds the text of a value as it was written", () => {
      const text = " { \"a\\\"}\" : [ 1 , { \"b\" : \"]\\\\\" } , -0 ] , \"c\" : true, \"c\": [ ] } "
      expect(rawAt(text, ["a\"}", 1])).toBe("{ \"b\" : \"]\\\\\" }")
      expect(rawAt(text, ["a\"}", 1, "b"])).toBe("\"]\\\\\"")
      expect(rawAt(text, ["a\"}", 2])).toBe("-0")
      expect(rawAt(text, ["c"])).toBe("[ ]")
      expect(rawAt(text, ["c", 0])).toBeUndefined()
      expect(rawAt(text, ["d"])).toBeUndefined()
      expect(rawAt(text, [])).toBe(text.trim())
    })
  })
})
