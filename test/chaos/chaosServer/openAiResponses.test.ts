import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { responses } from "../../../src/chaos/chaosServer/openAiResponses/protocol.ts"
import type { Completion } from "../../../src/chaos/chaosServer/protocol.ts"
import * as OpenAiResponses from "../../../src/provider/OpenAiResponses.ts"
import { ask } from "../../provider/fakeOpenAiResponses.ts"
import { asked, call, limitedBy, limitOf, payloads, said, textOf } from "../completions.ts"
import { clientOf } from "./client.ts"

/** What a client is to make of a completion. Only a call that was cut may have no arguments. */
const meant = (what: Completion) => ({
  id: `resp_${what.id}`,
  model: what.model,
  parts: [
    ...(what.text === undefined || what.text === "" ? [] : [{ _tag: "Text", text: what.text }]),
    ...what.toolCalls.map((each, index) => {
      const isCut = what.finishReason === "length" && index === what.toolCalls.length - 1
      return {
        _tag: "ToolCall",
        id: `call_${each.id}`,
        name: each.name,
        arguments: each.arguments.trim() === "" && !isCut ? "{}" : each.arguments
      }
    })
  ],
  finishReason: what.finishReason,
  rawFinishReason: what.finishReason === "length" ? "max_output_tokens" : "completed",
  usage: {
    inputTokens: what.promptTokens,
    outputTokens: what.completionTokens,
    totalTokens: what.promptTokens + what.completionTokens,
    cachedInputTokens: 0,
    reasoningTokens: 0
  }
})

/** A cut reply is not whole in any of its calls: there, blank arguments before the last call stay as they are too. */
const isClear = (what: Completion): boolean =>
  what.finishReason !== "length" || what.toolCalls.every((each) => each.arguments.trim() !== "")

const { answered, classified, collect, failures, replies, streams } = clientOf({
  protocol: responses,
  provider: "openai",
  decodeStream: OpenAiResponses.decodeStream(),
  ask,
  isClear
})

describe("protocolResponses", () => {
  describe("a stream", () => {
    streams(meant)

    it("is made of the events that the API sends, in its order and numbered", () => {
      const events = payloads(
        textOf(responses, said({ text: "Let me see.", toolCalls: [call("{\"city\":\"Lima\"}")] }))
      )
      const [text, tool] = [
        { item_id: "msg_0123456789abcdef", output_index: 0, content_index: 0 },
        { item_id: "fc_00000000000000c1", output_index: 1 }
      ]
      const part = { type: "output_text", annotations: [], logprobs: [] }
      const json = "{\"city\":\"Lima\"}"
      const message = { id: text.item_id, type: "message", role: "assistant" }
      const functionCall = {
        id: tool.item_id,
        type: "function_call",
        call_id: "call_00000000000000c1",
        name: "get_weather"
      }
      expect(events).toMatchObject([
        { type: "response.created", response: { status: "in_progress", output: [], usage: null } },
        { type: "response.in_progress", response: { status: "in_progress" } },
        {
          type: "response.output_item.added",
          output_index: 0,
          item: { ...message, status: "in_progress", content: [] }
        },
        { type: "response.content_part.added", ...text, part: { ...part, text: "" } },
        { type: "response.output_text.delta", ...text, delta: "Let me see.", logprobs: [] },
        { type: "response.output_text.done", ...text, text: "Let me see.", logprobs: [] },
        { type: "response.content_part.done", ...text, part: { ...part, text: "Let me see." } },
        { type: "response.output_item.done", output_index: 0, item: { ...message, status: "completed" } },
        {
          type: "response.output_item.added",
          output_index: 1,
          item: { ...functionCall, status: "in_progress", arguments: "" }
        },
        { type: "response.function_call_arguments.delta", ...tool, delta: "{\"city\":\"Lim" },
        { type: "response.function_call_arguments.delta", ...tool, delta: "a\"}" },
        { type: "response.function_call_arguments.done", ...tool, arguments: json, name: "get_weather" },
        {
          type: "response.output_item.done",
          output_index: 1,
          item: { ...functionCall, status: "completed", arguments: json }
        },
        {
          type: "response.completed",
          response: {
            status: "completed",
            incomplete_details: null,
            output: [{ ...message, status: "completed" }, { ...functionCall, arguments: json }],
            usage: { input_tokens: 21, output_tokens: 34, total_tokens: 55 }
          }
        }
      ])
      expect(events.map((event) => event["sequence_number"])).toEqual(events.map((_, index) => index))
    })

    it("shows in the response what the request asked for", () => {
      const tools = [{ name: "add", parameters: { type: "object" } }]
      const { frames } = responses.stream(said({ text: "Hello" }), {
        ...asked,
        tools,
        toolChoice: { name: "add" },
        parallel: false,
        maxTokens: 64
      })
      expect(payloads(frames[0]?.text ?? "")[0]).toMatchObject({
        response: {
          max_output_tokens: 64,
          parallel_tool_calls: false,
          tool_choice: { type: "function", name: "add" },
          tools: [{ type: "function", name: "add", parameters: { type: "object" } }]
        }
      })
    })

    it("that ran into the limit ends incomplete, and so does its last item", () => {
      const events = payloads(
        textOf(responses, said({ text: "So", toolCalls: [call("{\"city\":\"Li")], finishReason: "length" }))
      )
      expect(events.at(-1)).toMatchObject({
        type: "response.incomplete",
        response: {
          status: "incomplete",
          incomplete_details: { reason: "max_output_tokens" },
          output: [{ type: "message", status: "completed" }, { type: "function_call", status: "incomplete" }]
        }
      })
    })

    it.each(
      [
        ["overloaded", { _tag: "Overloaded" }],
        ["server", { _tag: "ServerError" }],
        ["rate-limit", { _tag: "RateLimited", scope: "tokens", retryAfter: Duration.millis(174) }]
      ] as const
    )("ends in an error of the kind %s, first or late", (kind, error) => {
      const what = said({ text: "Hello there" })
      const frame = responses.errorFrame(kind, what, asked, "late")
      const late = responses.stream(what, asked).frames.slice(0, 5).map(({ text }) => text).join("")
      for (const text of [frame, late + frame, frame.slice(frame.indexOf("event: response.failed"))]) {
        const met = Effect.runSync(Effect.flip(collect(text)))
        expect(met).toMatchObject(text.startsWith("event: response.failed") ? { _tag: met._tag } : error)
      }
      const numbers = payloads(late + frame).map((event) => Number(event["sequence_number"]))
      expect(numbers).toEqual([...numbers].sort((left, right) => left - right))
      expect(payloads(frame)).toMatchObject([
        { type: "error", error: { param: null } },
        { type: "response.failed", response: { id: "resp_0123456789abcdef", status: "failed", output: [] } }
      ])
    })
  })

  describe("a whole reply", () => {
    replies(meant)

    it("shows again what was asked for", () => {
      const tools = [{ name: "add", parameters: { type: "object" } }]
      const { body } = responses.reply(said({ text: "Hello" }), { ...asked, maxTokens: 64, tools, toolChoice: "auto" })
      expect(JSON.parse(body)).toMatchObject({
        max_output_tokens: 64,
        tool_choice: "auto",
        tools: [{ type: "function", name: "add", parameters: { type: "object" } }]
      })
    })

    it.effect("may hold no output", () =>
      Effect.map(
        answered(responses.empty(said({ toolCalls: [call("{}")] }), asked)),
        (response) => expect(response).toMatchObject({ parts: [], finishReason: "stop" })
      ))
  })

  describe("a failure", () => {
    failures([
      ["no key", { _tag: "MissingKey" }, 401, { _tag: "Authentication" }],
      ["a wrong key", { _tag: "WrongKey", shown: "sk-…" }, 401, { _tag: "Authentication" }],
      ["an unknown model", { _tag: "UnknownModel", model: "gpt-0" }, 400, { _tag: "ModelNotFound" }],
      ["an unknown URL", { _tag: "UnknownUrl", method: "GET", url: "/v1/nothing" }, 404, { _tag: "InvalidRequest" }],
      ["a body too large", { _tag: "BodyTooLarge" }, 413, { _tag: "RequestTooLarge" }],
      ["a schema beyond the server", { _tag: "UnknownSchema", tool: "odd" }, 400, { _tag: "InvalidRequest" }],
      ["a limit", limitOf(4_100), 429, { _tag: "RateLimited", scope: "tokens", retryAfter: Duration.millis(4_100) }],
      ["a limit beyond reach", limitOf(undefined), 429, { _tag: "RequestTooLarge", requested: 40_000, limit: 30_000 }],
      ["an empty account", { _tag: "Quota", model: "m" }, 429, { _tag: "QuotaExhausted", reason: "billing" }],
      ["an error", { _tag: "ServerError", status: 500, id: "abc" }, 500, { _tag: "ServerError" }],
      ["a gateway's error", { _tag: "ServerError", status: 502, id: "abc" }, 502, { _tag: "ServerError" }],
      ["an overload", { _tag: "ServerError", status: 503, id: "abc" }, 503, { _tag: "Overloaded" }],
      ["a foreign overload", { _tag: "ServerError", status: 529, id: "abc" }, 529, { _tag: "Overloaded" }]
    ])

    it.each(
      [
        ["retry-after", 3_000],
        ["retry-after-ms", 2_500],
        ["prose", 2_500],
        ["http-date", 3_000],
        ["x-ratelimit-reset", 2_500],
        ["none", undefined]
      ] as const
    )("of a plan tells the wait as %s", (hint, wait) => {
      const error = classified(limitedBy(hint))
      expect(error._tag).toBe("RateLimited")
      expect("retryAfter" in error ? error.retryAfter : undefined).toEqual(
        wait === undefined ? undefined : Duration.millis(wait)
      )
    })
  })
})
