import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import type * as Prompt from "../../src/model/Prompt.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import { runs } from "../runs.ts"
import {
  blockStart,
  blockStop,
  collected,
  decoded,
  delta,
  ending,
  jsonDelta,
  messageStart,
  saying,
  sse,
  textDelta
} from "./fakeAnthropic.ts"

const tool = (id: string, input: object = {}): object => ({ type: "tool_use", id, name: "f", input })

const start = StreamPart.start({ id: "msg_1", model: "claude-sonnet-4-5-20250929" })

const usage = (inputTokens: number, outputTokens: number): Usage.Usage =>
  new Usage.Usage({ inputTokens, outputTokens, totalTokens: inputTokens + outputTokens })

describe("Anthropic.decodeStream", () => {
  describe("gives", () => {
    it.effect("thinking, text, calls and the end, in the order they came", () =>
      Effect.gen(function*() {
        const { error, parts } = yield* decoded(sse([
          messageStart(),
          { type: "ping" },
          blockStart(0, { type: "thinking", thinking: "", signature: "" }),
          delta(0, { type: "thinking_delta", thinking: "So." }),
          delta(0, { type: "signature_delta", signature: "EqoB" }),
          blockStop(0),
          blockStart(1, { type: "text", text: "" }),
          textDelta(1, ""),
          textDelta(1, "Par"),
          delta(1, { type: "citations_delta", citation: { type: "char_location" } }),
          textDelta(1, "is"),
          blockStop(1),
          blockStart(2, tool("a")),
          jsonDelta(2, ""),
          jsonDelta(2, "{\"x\": "),
          jsonDelta(2, "1}"),
          blockStop(2),
          ...ending("tool_use", { output_tokens: 40 })
        ]))
        expect(error).toBeUndefined()
        expect(parts).toEqual([
          start,
          StreamPart.reasoningDelta("So."),
          StreamPart.reasoningDelta("", "anthropic/anthropic:signature:EqoB"),
          StreamPart.textDelta("Par"),
          StreamPart.textDelta("is"),
          StreamPart.textDelta(
            "",
            "anthropic/anthropic:cited:{\"type\":\"text\",\"text\":\"Paris\",\"citations\":[{\"type\":\"char_location\"}]}"
          ),
          StreamPart.toolCallStart(0, "a", "f"),
          StreamPart.toolArgumentsDelta(0, "{\"x\": "),
          StreamPart.toolArgumentsDelta(0, "1}"),
          StreamPart.toolCall(0, "a", "f", "{\"x\": 1}"),
          StreamPart.finish({ reason: "tool-calls", rawReason: "tool_use", usage: usage(9, 40) })
        ])
      }))

    it.effect("{} for a call without arguments, and what the start held where no delta follows", () =>
      Effect.gen(function*() {
        const response = yield* collected([
          messageStart(),
          blockStart(0, tool("a")),
          jsonDelta(0, ""),
          blockStop(0),
          blockStart(1, tool("b")),
          blockStop(1),
          blockStart(2, tool("c", { n: 1 })),
          blockStop(2),
          blockStart(3, tool("d", { n: 1 })),
          jsonDelta(3, "{\"n\":2}"),
          blockStop(3),
          ...ending("tool_use")
        ])
        expect(response.toolCalls.map((call) => [call.id, call.arguments])).toEqual([
          ["a", "{}"],
          ["b", "{}"],
          ["c", "{\"n\":1}"],
          ["d", "{\"n\":2}"]
        ])
      }))

    it.effect("parallel calls by their index, also when their deltas are mixed", () =>
      Effect.gen(function*() {
        const response = yield* collected([
          messageStart(),
          blockStart(0, tool("a")),
          blockStart(1, tool("b")),
          jsonDelta(1, "{\"b\""),
          jsonDelta(0, "{\"a\""),
          jsonDelta(1, ":1}"),
          jsonDelta(0, ":2}"),
          blockStop(0),
          blockStop(1),
          ...ending("tool_use")
        ])
        expect(response.toolCalls.map((call) => call.arguments)).toEqual(["{\"a\":2}", "{\"b\":1}"])
      }))

    it.effect("a cut call as it is, with the reason that says so", () =>
      Effect.gen(function*() {
        const response = yield* collected([
          messageStart(),
          blockStart(0, tool("a")),
          jsonDelta(0, "{\"x\":1"),
          ...ending("max_tokens")
        ])
        expect(response).toMatchObject({
          finishReason: "length",
          toolCalls: [{ id: "a", arguments: "{\"x\":1" }]
        })
      }))

    it.effect("tools that the server runs, compaction and blocks that are not known yet as parts of its own, whole", () =>
      Effect.gen(function*() {
        const { parts } = yield* decoded(sse([
          messageStart(),
          blockStart(0, { type: "server_tool_use", id: "s", name: "web_search", input: {} }),
          jsonDelta(0, "{\"query\":\"x\"}"),
          blockStop(0),
          blockStart(1, { type: "web_search_tool_result", tool_use_id: "s", content: [] }),
          blockStop(1),
          blockStart(3, { type: "compaction", content: null }),
          delta(3, { type: "compaction_delta", content: "summary" }),
          blockStop(3),
          blockStart(4, { type: "hologram" }),
          textDelta(4, "not the answer"),
          blockStop(4),
          { type: "aurora", error: null },
          ...saying("Found.").slice(1, -2).map((event) => ({ ...event, index: 5 })),
          ...ending("end_turn")
        ]))
        const own = (kind: string, block: object): Prompt.ProviderPart => ({
          _tag: "ProviderPart",
          kind,
          providerMetadata: `anthropic/anthropic:block:${JSON.stringify(block)}`
        })
        expect(parts).toEqual([
          start,
          own("server_tool_use", { type: "server_tool_use", id: "s", name: "web_search", input: { query: "x" } }),
          own("web_search_tool_result", { type: "web_search_tool_result", tool_use_id: "s", content: [] }),
          own("compaction", { type: "compaction", content: "summary" }),
          own("hologram", { type: "hologram", text: "not the answer" }),
          StreamPart.textDelta("Found."),
          StreamPart.finish({ reason: "stop", rawReason: "end_turn", usage: usage(9, 2) })
        ])
      }))

    it.effect("the last counts, cached tokens among the input", () =>
      Effect.gen(function*() {
        const response = yield* collected([
          messageStart({ usage: { input_tokens: 0, cache_read_input_tokens: 100, output_tokens: 1 } }),
          ...ending("end_turn", {
            input_tokens: 61,
            cache_read_input_tokens: 0,
            output_tokens: 9,
            output_tokens_details: { thinking_tokens: 4 }
          })
        ])
        expect(response.usage).toEqual(
          new Usage.Usage({
            inputTokens: 161,
            outputTokens: 9,
            totalTokens: 170,
            reasoningTokens: 4,
            cachedInputTokens: 100
          })
        )
      }))

    it.effect("a refusal behind some words as a reply that was filtered", () =>
      Effect.map(
        collected([
          messageStart(),
          blockStart(0, { type: "text", text: "" }),
          textDelta(0, "Well"),
          blockStop(0),
          ...ending("refusal")
        ]),
        (response) =>
          expect(response).toMatchObject({ text: "Well", finishReason: "content-filter", rawFinishReason: "refusal" })
      ))

    it.effect("a refusal without a word as ContentFiltered, with what the API says of it, as generate does", () =>
      Effect.gen(function*() {
        const details = { type: "refusal", category: "cyber", explanation: "No." }
        const redacted = [blockStart(0, { type: "redacted_thinking", data: "EmwK" }), blockStop(0)]
        for (const blocks of [[], redacted]) {
          const error = yield* Effect.flip(collected([
            messageStart(),
            ...blocks,
            {
              type: "message_delta",
              delta: { stop_reason: "refusal", stop_details: details },
              usage: { output_tokens: 3 }
            },
            { type: "message_stop" }
          ]))
          expect(error).toMatchObject({
            _tag: "ContentFiltered",
            stage: "completion",
            categories: ["cyber"],
            detail: "No.",
            billed: "yes"
          })
        }
      }))

    it.effect("the same whatever the slices of the bytes, CRLF and comments included", () =>
      Effect.gen(function*() {
        const text = `: hello\r\n\r\n${sse(saying("Grüße, 世界 🌍")).replaceAll("\n", "\r\n")}`
        const bytes = new TextEncoder().encode(text)
        yield* Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(FastCheck.array(FastCheck.nat(bytes.length), { maxLength: 30 }), async (cuts) => {
              const at = [0, ...cuts.sort((left, right) => left - right), bytes.length]
              const slices = at.slice(1).map((to, index) => bytes.slice(at[index], to))
              const response = await Effect.runPromise(
                StreamPart.collect(Anthropic.decodeStream()(Stream.fromIterable(slices)))
              )
              expect(response.text).toBe("Grüße, 世界 🌍")
            }),
            { numRuns: 200 }
          )
        )
      }))
  })

  describe("lives with", () => {
    it.effect("a message_start that comes twice", () =>
      Effect.gen(function*() {
        const [first, ...rest] = saying("once")
        expect((yield* decoded(sse([messageStart(), ...saying("once")]))).parts.filter((part) => part._tag === "Start"))
          .toHaveLength(1)
        const late = yield* decoded(sse([messageStart(), ...rest.slice(0, 2), messageStart(), ...rest.slice(2)]))
        expect(late.parts.map((part) => part._tag)).toEqual(["Start", "TextDelta", "Finish"])
        expect(first?.type).toBe("message_start")
      }))

    it.effect("a reply that is begun anew in the middle: what came before is void", () =>
      Effect.gen(function*() {
        const events = [
          messageStart({ id: "msg_a" }),
          blockStart(0, { type: "text", text: "" }),
          textDelta(0, "I will"),
          blockStop(0),
          blockStart(1, tool("first")),
          jsonDelta(1, "{\"x\":"),
          messageStart({ id: "msg_b" }),
          blockStart(0, { type: "text", text: "" }),
          textDelta(0, "Let me"),
          blockStop(0),
          blockStart(1, tool("second")),
          jsonDelta(1, "{\"x\":1}"),
          blockStop(1),
          ...ending("tool_use")
        ]
        const { parts } = yield* decoded(sse(events))
        expect(parts).toContainEqual(
          StreamPart.reset(2, "another message began before the end of the first")
        )
        const response = yield* collected(events)
        expect(response).toMatchObject({
          id: "msg_b",
          text: "Let me",
          toolCalls: [{ id: "second", arguments: "{\"x\":1}" }]
        })
      }))

    it.effect("a new message before any content: only its start counts", () =>
      Effect.gen(function*() {
        const { parts } = yield* decoded(sse([messageStart({ id: "msg_a" }), ...saying("hello")]))
        expect(parts.map((part) => part._tag)).toEqual(["Start", "Start", "TextDelta", "Finish"])
      }))

    it.effect("a recording of a whole turn: the messages are joined at a Seam", () =>
      Effect.gen(function*() {
        const { error, parts } = yield* decoded(sse([
          messageStart(),
          blockStart(0, tool("a")),
          blockStop(0),
          ...ending("tool_use"),
          messageStart({ id: "msg_2", content: [tool("b", { n: 1 })], stop_reason: "tool_use" }),
          { type: "message_stop" },
          ...saying("Done."),
          ...saying("not read any more")
        ]))
        expect(error).toBeUndefined()
        expect(parts.map((part) => part._tag)).toEqual([
          "Start",
          "ToolCallStart",
          "ToolCall",
          "Seam",
          "ToolCallStart",
          "ToolCall",
          "Seam",
          "TextDelta",
          "Finish"
        ])
        expect(parts[5]).toEqual(StreamPart.toolCall(1, "b", "f", "{\"n\":1}"))
        expect(parts.at(-1)).toMatchObject({ reason: "stop" })
      }))

    it.effect("events without names, starts, stops and ids", () =>
      Effect.gen(function*() {
        const nameless = sse([textDelta(0, "a"), blockStart(1, tool("")), jsonDelta(1, "{}"), ...ending("tool_use")])
          .replace(/^event: .*\n/gm, "")
        const { error, parts } = yield* decoded(nameless)
        expect(error).toBeUndefined()
        expect(parts).toMatchObject([
          { _tag: "Start", model: "asked" },
          { _tag: "TextDelta" },
          { _tag: "ToolCallStart", id: "call_0" },
          { _tag: "ToolArgumentsDelta" },
          { _tag: "ToolCall", id: "call_0", arguments: "{}" },
          { _tag: "Finish", reason: "tool-calls" }
        ])
      }))

    it.effect("a [DONE] in the place of message_stop, once the reason is known", () =>
      Effect.gen(function*() {
        const open = sse(saying("ok").slice(0, -1))
        expect((yield* decoded(`${open}data: [DONE]\n\n`)).parts.at(-1)?._tag).toBe("Finish")
        const { error } = yield* decoded(`${sse(saying("ok").slice(0, -2))}data: [DONE]\n\n`)
        expect(error?._tag).toBe("Truncated")
      }))
  })

  describe("fails", () => {
    it.effect("with Truncated wherever the bytes end before message_stop, with the text so far", () =>
      Effect.gen(function*() {
        const events = saying("Once upon")
        for (let count = 0; count < events.length; count++) {
          const { error, parts } = yield* decoded(sse(events.slice(0, count)))
          expect(error).toMatchObject({ _tag: "Truncated", received: count > 2 ? "Once upon" : "" })
          expect(parts.some((part) => part._tag === "Finish")).toBe(false)
        }
      }))

    const overloaded = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }

    it.effect("with the error of the stream, first or late, after what came before it", () =>
      Effect.gen(function*() {
        const first = yield* decoded(sse([overloaded]))
        expect(first).toMatchObject({ parts: [], error: { _tag: "Overloaded", billed: "maybe" } })
        const late = yield* decoded(sse([...saying("Once").slice(0, 3), overloaded, ...ending("end_turn")]))
        expect(late.parts).toEqual([start, StreamPart.textDelta("Once")])
        expect(late.error).toMatchObject({ _tag: "Overloaded", provider: "anthropic", model: "asked" })
      }))

    it.effect("with the error of an event that is only called so, and of one without its outer type", () =>
      Effect.gen(function*() {
        expect((yield* decoded("event: error\ndata: {\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}\n\n")).error)
          .toMatchObject({ _tag: "ServerError" })
        expect((yield* decoded("data: {\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\"}}\n\n")).error)
          .toMatchObject({ _tag: "RateLimited" })
      }))

    const before = sse([messageStart(), blockStart(0, { type: "text", text: "" })])
    const wrong: ReadonlyArray<readonly [string, string]> = [
      ["JSON that is broken", `${before}data: {"type":\n\n`],
      ["an event that is no object", `${before}data: 7\n\n`],
      ["a message_start without a message", sse([{ type: "message_start" }])],
      ["a block without an index", `${before}data: {"type":"content_block_stop"}\n\n`],
      ["a delta that is none", before + sse([{ type: "content_block_delta", index: 0, delta: "x" }])],
      ["text that is none", before + sse([delta(0, { type: "text_delta", text: 7 })])],
      ["thinking that is none", before + sse([delta(0, { type: "thinking_delta" })])],
      ["arguments that are none", before + sse([blockStart(1, tool("a")), delta(1, { type: "input_json_delta" })])],
      ["arguments of no call", before + sse([jsonDelta(0, "{}")])],
      ["arguments of a call that is over", before + sse([blockStart(1, tool("a")), blockStop(1), jsonDelta(1, "{}")])],
      ["a call without a name", before + sse([blockStart(1, { type: "tool_use", id: "a" })])],
      ["a block without a type", before + sse([blockStart(1, {})])],
      ["a wrong block in a message", sse([messageStart({ content: [7] })])],
      ["a block after the end of its message", sse([messageStart(), ...ending("tool_use"), textDelta(0, "x")])]
    ]
    for (const [name, text] of wrong) {
      it.effect(`with MalformedResponse for ${name}`, () =>
        Effect.map(
          decoded(text),
          ({ error }) =>
            expect(error).toMatchObject({
              _tag: "MalformedResponse",
              provider: "anthropic",
              reason: expect.any(String)
            })
        ))
    }

    it.effect("with an error and never a defect, whatever the events hold", () =>
      Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(
            FastCheck.array(
              FastCheck.record({
                type: FastCheck.constantFrom(
                  "message_start",
                  "content_block_start",
                  "content_block_delta",
                  "content_block_stop",
                  "message_delta",
                  "message_stop",
                  "message",
                  "error",
                  "x"
                ),
                index: FastCheck.oneof(FastCheck.nat(3), FastCheck.jsonValue()),
                message: FastCheck.oneof(FastCheck.constant({ id: "a", content: [] }), FastCheck.jsonValue()),
                content_block: FastCheck.oneof(
                  FastCheck.constant({ type: "text" }),
                  FastCheck.constant({ type: "tool_use", name: "f", input: { a: 1 } }),
                  FastCheck.jsonValue()
                ),
                delta: FastCheck.oneof(
                  FastCheck.constant({ type: "text_delta", text: "x" }),
                  FastCheck.constant({ type: "input_json_delta", partial_json: "{" }),
                  FastCheck.jsonValue()
                ),
                usage: FastCheck.jsonValue(),
                content: FastCheck.jsonValue()
              }, { requiredKeys: ["type"] }),
              { maxLength: 8 }
            ),
            async (events) => {
              const { error, parts } = await Effect.runPromise(
                decoded(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""))
              )
              expect(error !== undefined || parts.at(-1)?._tag === "Finish").toBe(true)
            }
          ),
          { numRuns: runs(100, 500) }
        )
      ))
  })
})
