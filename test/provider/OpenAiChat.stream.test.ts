import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"

const utf8 = new TextEncoder()

/** A chunk of a stream with one choice. */
const chunk = (delta: object | null, rest: object = {}, choice: object = {}): string =>
  JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    model: "gpt-4o-mini-2024",
    choices: [{ index: 0, delta, finish_reason: null, ...choice }],
    ...rest
  })

const finished = (reason: string, rest: object = {}) => chunk({}, rest, { finish_reason: reason })
const call = (part: object) => chunk({ tool_calls: [part] })
const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }

const sent = (...payloads: ReadonlyArray<string>): Stream.Stream<Uint8Array> =>
  Stream.rechunk(Stream.fromIterable(payloads.map((payload) => utf8.encode(`data: ${payload}\n\n`))), 1)

const decode = OpenAiChat.decodeStream({ provider: "openai", model: "asked" })

const partsOf = <E>(bytes: Stream.Stream<Uint8Array, E>) =>
  Effect.map(Stream.runCollect(decode(bytes)), Chunk.toReadonlyArray)

const collect = <E>(bytes: Stream.Stream<Uint8Array, E>) => StreamPart.collect(decode(bytes), { provider: "openai" })

/** The parts that came, and the error that ended them. */
const broken = <E>(bytes: Stream.Stream<Uint8Array, E>) =>
  Effect.suspend(() => {
    const parts: Array<StreamPart.StreamPart> = []
    return decode(bytes).pipe(
      Stream.runForEach((part) => Effect.sync(() => parts.push(part))),
      Effect.flip,
      Effect.map((error) => ({ parts, error }))
    )
  })

describe("OpenAiChat.decodeStream", () => {
  it.effect("sends on what comes, part by part", () =>
    Effect.gen(function*() {
      const parts = yield* partsOf(sent(
        chunk({ role: "assistant", content: "" }),
        chunk({ reasoning_content: "Hm" }),
        chunk({ content: "Hel" }),
        chunk({ content: "lo" }),
        finished("stop"),
        JSON.stringify({ id: "chatcmpl-1", choices: [], usage }),
        "[DONE]"
      ))
      expect(parts).toMatchObject([
        { _tag: "Start", id: "chatcmpl-1", model: "gpt-4o-mini-2024" },
        { _tag: "ReasoningDelta", text: "Hm" },
        { _tag: "TextDelta", text: "Hel" },
        { _tag: "TextDelta", text: "lo" },
        {
          _tag: "Finish",
          reason: "stop",
          rawReason: "stop",
          usage: { inputTokens: 9, outputTokens: 3, totalTokens: 12 }
        }
      ])
    }))

  it.effect("takes thinking under every name that servers give it, once where it comes under two", () =>
    Effect.gen(function*() {
      const details = (text: string) => [{ type: "reasoning.text", text, index: 0 }]
      const thinking = (...deltas: ReadonlyArray<object>) =>
        Effect.map(
          collect(sent(...deltas.map((delta) => chunk(delta)), chunk({ content: "4" }), finished("stop"), "[DONE]")),
          ({ reasoning, text }) => [reasoning, text]
        )
      const expected = ["2 and 2", "4"]
      expect(yield* thinking({ reasoning_content: "2 and" }, { reasoning_content: " 2" })).toEqual(expected)
      expect(yield* thinking({ reasoning: "2 and" }, { reasoning: " 2" })).toEqual(expected)
      expect(yield* thinking({ reasoning_text: "2 and" }, { reasoning_text: " 2", reasoning_opaque: "x" }))
        .toEqual(expected)
      expect(yield* thinking({ reasoning_details: details("2 and") }, { reasoning_details: details(" 2") }))
        .toEqual(expected)
      expect(
        yield* thinking(
          { reasoning: "2 and", reasoning_details: details("2 and") },
          { reasoning: " 2", reasoning_details: details(" 2") },
          { reasoning: null, reasoning_details: [{ type: "reasoning.encrypted", data: "x" }] }
        )
      ).toEqual(expected)
    }))

  it.effect("counts reasoning and cached tokens that stand beside the other counts", () =>
    Effect.gen(function*() {
      const response = yield* collect(sent(
        chunk({ content: "ok" }),
        finished("stop", { usage: { ...usage, reasoning_tokens: 2, cached_tokens: 4 } })
      ))
      expect(response.usage).toMatchObject({ reasoningTokens: 2, cachedInputTokens: 4, totalTokens: 12 })
    }))

  it.effect("keeps parallel calls apart by index, from 0 or from 1, interleaved or not", () =>
    Effect.gen(function*() {
      const parts = yield* partsOf(sent(
        call({ index: 1, id: "a", type: "function", function: { name: "one", arguments: "" } }),
        call({ index: 2, id: "b", type: "function", function: { name: "two", arguments: "{" } }),
        call({ index: 1, function: { arguments: "{\"x\":" } }),
        call({ index: 2, function: { arguments: "}" } }),
        call({ index: 1, function: { arguments: "1}" } }),
        finished("tool_calls"),
        "[DONE]"
      ))
      expect(parts.map(({ _tag, ...rest }) => [_tag, rest]).slice(1, -1)).toEqual([
        ["ToolCallStart", { index: 0, id: "a", name: "one" }],
        ["ToolCallStart", { index: 1, id: "b", name: "two" }],
        ["ToolArgumentsDelta", { index: 1, delta: "{" }],
        ["ToolArgumentsDelta", { index: 0, delta: "{\"x\":" }],
        ["ToolArgumentsDelta", { index: 1, delta: "}" }],
        ["ToolArgumentsDelta", { index: 0, delta: "1}" }],
        ["ToolCall", { index: 0, id: "a", name: "one", arguments: "{\"x\":1}" }],
        ["ToolCall", { index: 1, id: "b", name: "two", arguments: "{}" }]
      ])
    }))

  const calls = (...payloads: ReadonlyArray<string>) =>
    Effect.map(
      collect(sent(...payloads, finished("tool_calls"), "[DONE]")),
      (response) => response.toolCalls.map(({ arguments: json, id, name }) => [id, name, json])
    )

  it.effect("takes another id and name under the same index for another call, also behind one without arguments", () =>
    Effect.gen(function*() {
      expect(
        yield* calls(
          call({ index: 0, id: "a", function: { name: "one", arguments: "" } }),
          call({ index: 0, id: "b", function: { name: "two", arguments: "" } }),
          call({ index: 0, id: "", function: { name: null, arguments: "{\"x\":1}" } }),
          call({ index: 0, id: "c", function: { name: "two", arguments: "{}" } })
        )
      ).toEqual([["a", "one", "{}"], ["b", "two", "{\"x\":1}"], ["c", "two", "{}"]])
      expect(
        yield* calls(
          call({ index: 0, id: "a1", function: { name: "one", arguments: "{\"x\":" } }),
          call({ index: 0, id: "a2", function: { name: "one", arguments: "1}" } })
        )
      ).toEqual([["a1", "one", "{\"x\":1}"]])
    }))

  it.effect("does not let a later blank name or id overwrite the first", () =>
    Effect.gen(function*() {
      expect(
        yield* calls(
          call({ index: 0, id: "a", function: { name: "one", arguments: "" } }),
          call({ index: 0, id: "", function: { name: "", arguments: "{" } }),
          call({ index: 0, id: null, function: { name: " ", arguments: "}" } })
        )
      ).toEqual([["a", "one", "{}"]])
    }))

  it.effect("joins a name that comes in pieces, and tells it from one that is repeated", () =>
    Effect.gen(function*() {
      expect(
        yield* calls(
          call({ index: 0, id: "a", function: { name: "get_", arguments: "{\"city\":" } }),
          call({ index: 0, id: "a", function: { name: "weather", arguments: "\"Rome\"}" } })
        )
      ).toEqual([["a", "get_weather", "{\"city\":\"Rome\"}"]])
      expect(
        yield* calls(
          call({ index: 0, id: "a", function: { name: "one", arguments: "{\"x\":" } }),
          call({ index: 0, id: "a", function: { name: "one", arguments: "1}" } }),
          call({ index: 0, id: "a", function: { name: "one", arguments: "" } })
        )
      ).toEqual([["a", "one", "{\"x\":1}"]])
      expect(
        yield* calls(
          call({ index: 0, function: { name: "get" } }),
          call({ index: 0, function: { name: "get_time" } }),
          call({ index: 0, function: { arguments: "{}" } })
        )
      ).toEqual([["call_0", "get_time", "{}"]])
    }))

  it.effect("begins another call with a name behind whole arguments, whatever index and id say", () =>
    Effect.gen(function*() {
      for (const place of [{ index: 0 }, { index: 0, id: "" }, { id: "c" }, { index: 0, id: "c" }, {}]) {
        const read = yield* calls(
          call({ ...place, function: { name: "f", arguments: "{\"x\":1}" } }),
          call({ ...place, function: { name: "f", arguments: "{\"x\":2}" } })
        )
        expect(read.map(([, name, json]) => [name, json])).toEqual([["f", "{\"x\":1}"], ["f", "{\"x\":2}"]])
      }
      const split = yield* calls(
        call({ index: 0, function: { name: "f", arguments: "{}" } }),
        call({ index: 0, function: { name: "f", arguments: "" } }),
        call({ index: 0, function: { arguments: "{\"x\":2}" } })
      )
      expect(split.map(([, name, json]) => [name, json])).toEqual([["f", "{}"], ["f", "{\"x\":2}"]])
    }))

  it.effect("takes pieces that each hold all the arguments so far for what they are", () =>
    Effect.gen(function*() {
      expect(
        yield* calls(
          call({ index: 0, id: "a", function: { name: "one", arguments: "{\"x\":" } }),
          call({ index: 0, function: { arguments: "{\"x\":1" } }),
          call({ index: 0, function: { arguments: "{\"x\":1}" } })
        )
      ).toEqual([["a", "one", "{\"x\":1}"]])
    }))

  it.effect("says nothing twice where the last chunk holds the whole message", () =>
    Effect.gen(function*() {
      const whole = (message: object) =>
        JSON.stringify({ id: "c", choices: [{ index: 0, message, finish_reason: "stop" }] })
      const text = yield* collect(sent(
        chunk({ content: "Hel" }),
        chunk({ content: "lo" }),
        whole({ role: "assistant", content: "Hello" })
      ))
      expect(text.text).toBe("Hello")
      const more = yield* collect(sent(chunk({ content: "Hel" }), whole({ content: "Hello you" })))
      expect(more.text).toBe("Hello you")
      const tool = { index: 0, id: "a", function: { name: "one", arguments: "{\"x\":1}" } }
      const called = yield* collect(sent(call(tool), whole({ content: null, tool_calls: [tool] })))
      expect(called.toolCalls.map(({ arguments: json, name }) => [name, json])).toEqual([["one", "{\"x\":1}"]])
      expect(called.finishReason).toBe("tool-calls")
    }))

  it.effect("takes deltas that each hold the text so far for what they are", () =>
    Effect.gen(function*() {
      const text = (...pieces: ReadonlyArray<string>) =>
        Effect.map(
          collect(sent(...pieces.map((content) => chunk({ content })), finished("stop"))),
          (response) => response.text
        )
      expect(yield* text("Hel", "Hello", "Hello you")).toBe("Hello you")
      expect(yield* text("I", "I am", "I am here", "I am here now")).toBe("I am here now")
      expect(yield* text("Hel", "Hello")).toBe("Hello")
      expect(yield* text("ha", "ha", "!")).toBe("haha!")
      expect(yield* text("1", "10", "0")).toBe("1100")
      expect(
        (yield* broken(sent(
          ...["One two", "One two three", "One two three four", "Something else"].map((content) => chunk({ content }))
        ))).error._tag
      ).toBe("MalformedResponse")
    }))

  it.effect("reads one reply from chunks whose index counts on", () =>
    Effect.gen(function*() {
      const at = (index: number, content: string, reason: string | null = null) =>
        chunk({ content }, {}, { index, finish_reason: reason })
      const whole = yield* collect(sent(at(0, "Wh"), at(1, "isper"), at(2, "ing"), at(3, "", "stop"), "[DONE]"))
      expect([whole.text, whole.finishReason]).toEqual(["Whispering", "stop"])
      const two = yield* collect(sent(at(1, "I"), at(2, "'m", "length")))
      expect([two.text, two.finishReason]).toEqual(["I'm", "length"])
      const constant = yield* collect(sent(at(7, "a"), at(7, "b"), at(7, "", "stop")))
      expect(constant.text).toBe("ab")
    }))

  it.effect("takes empty arguments for {}", () =>
    Effect.gen(function*() {
      expect(yield* calls(call({ index: 0, id: "a", function: { name: "one" } }))).toEqual([["a", "one", "{}"]])
    }))

  it.effect("waits for the name of a call before it announces it", () =>
    Effect.gen(function*() {
      const parts = yield* partsOf(sent(
        call({ index: 0, id: "a", function: { arguments: "{" } }),
        call({ index: 0, function: { name: "one", arguments: "}" } }),
        finished("tool_calls")
      ))
      expect(parts.slice(1, 4)).toEqual([
        StreamPart.toolCallStart(0, "a", "one"),
        StreamPart.toolArgumentsDelta(0, "{}"),
        StreamPart.toolCall(0, "a", "one", "{}")
      ])
    }))

  it.effect("tells whole calls apart where the server gives no index, or all the same", () =>
    Effect.gen(function*() {
      const one = { id: "a", function: { name: "one", arguments: "{}" } }
      const two = { id: "b", function: { name: "one", arguments: "{\"x\":1}" } }
      expect(yield* calls(call(one), call(two))).toEqual([["a", "one", "{}"], ["b", "one", "{\"x\":1}"]])
      expect(yield* calls(call({ index: 0, ...one }), call({ index: 0, ...two }))).toEqual([
        ["a", "one", "{}"],
        ["b", "one", "{\"x\":1}"]
      ])
    }))

  it.effect("makes ids where they are missing or come twice", () =>
    Effect.gen(function*() {
      expect(
        yield* calls(
          call({ index: 0, function: { name: "one", arguments: "{}" } }),
          call({ index: 1, id: "call_0", function: { name: "two", arguments: "{}" } })
        )
      ).toEqual([["call_0", "one", "{}"], ["call_1", "two", "{}"]])
    }))

  it.effect("keeps arguments that come as an object to the letter", () =>
    Effect.gen(function*() {
      const payload =
        `{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":{"n":12345678901234567890,"n":1.0}}}]}}]}`
      expect(yield* calls(payload)).toEqual([["a", "one", "{\"n\":12345678901234567890,\"n\":1.0}"]])
    }))

  it.effect("hands over a call that the token limit cut, for the finish reason to refuse", () =>
    Effect.gen(function*() {
      const response = yield* collect(sent(
        call({ index: 0, id: "a", function: { name: "one", arguments: "{\"x\":17,\"y\":25" } }),
        finished("length"),
        "[DONE]"
      ))
      expect(response.finishReason).toBe("length")
      expect(response.toolCalls[0]?.arguments).toBe("{\"x\":17,\"y\":25")
    }))

  it.effect("reads the older function_call, and content in parts", () =>
    Effect.gen(function*() {
      const old = yield* collect(sent(
        chunk({ function_call: { name: "one", arguments: "{" } }),
        chunk({ function_call: { arguments: "}" } }),
        finished("function_call")
      ))
      expect([old.finishReason, old.toolCalls[0]?.name, old.toolCalls[0]?.arguments]).toEqual([
        "tool-calls",
        "one",
        "{}"
      ])
      const parts = yield* collect(sent(
        chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "2+2" }] }] }),
        chunk({ content: [{ type: "text", text: "4" }] }),
        finished("stop")
      ))
      expect([parts.reasoning, parts.text]).toEqual(["2+2", "4"])
    }))

  it.effect("takes a refusal for withheld text", () =>
    Effect.gen(function*() {
      const response = yield* collect(sent(chunk({ refusal: "I can" }), chunk({ refusal: "not." }), finished("stop")))
      expect([response.text, response.finishReason, response.rawFinishReason]).toEqual([
        "I cannot.",
        "content-filter",
        "stop"
      ])
    }))

  it.effect("follows the first of several alternatives", () =>
    Effect.gen(function*() {
      const response = yield* collect(sent(
        chunk({ content: "b" }, {}, { index: 1 }),
        chunk({ content: "a" }),
        chunk({}, {}, { index: 1, finish_reason: "stop" }),
        finished("length")
      ))
      expect([response.text, response.finishReason]).toEqual(["a", "length"])
    }))

  it.effect("finds the usage wherever servers put it; the last counts", () =>
    Effect.gen(function*() {
      const used = (...payloads: ReadonlyArray<string>) =>
        Effect.map(collect(sent(...payloads)), (response) => response.usage.totalTokens)
      expect(yield* used(finished("stop"), JSON.stringify({ choices: [], usage }), "[DONE]")).toBe(12)
      expect(yield* used(finished("stop", { x_groq: { usage } }), "[DONE]")).toBe(12)
      expect(yield* used(chunk({}, {}, { finish_reason: "stop", usage }), "[DONE]")).toBe(12)
      expect(yield* used(chunk({ content: "a" }, { usage: { total_tokens: 5 } }), finished("stop", { usage }))).toBe(12)
      expect(yield* used(finished("stop", { usage: null }), "[DONE]")).toBe(0)
    }))

  describe("the end", () => {
    it.effect("is [DONE] or a finish reason", () =>
      Effect.gen(function*() {
        expect((yield* collect(sent(chunk({ content: "a" }), finished("stop")))).finishReason).toBe("stop")
        const bare = yield* collect(sent(chunk({ content: "a" }), "[DONE]"))
        // Nothing says that the reply is whole, so the tools of it would not be run.
        expect([bare.text, bare.finishReason, bare.rawFinishReason]).toEqual(["a", "unknown", undefined])
      }))

    it.effect("is missing from a stream that just stops", () =>
      Effect.gen(function*() {
        for (const bytes of [sent(chunk({ content: "Hel" }), chunk({ content: "lo" })), Stream.empty]) {
          const { error, parts } = yield* broken(bytes)
          expect(error).toMatchObject({ _tag: "Truncated", provider: "openai", model: "asked" })
          expect(parts.some((part) => part._tag === "Finish")).toBe(false)
        }
        const { error } = yield* broken(sent(chunk({ content: "Hel" }), chunk({ content: "lo" })))
        expect(error).toMatchObject({ received: "Hello" })
      }))

    it.effect("is not a chunk that the end of the bytes cut", () =>
      Effect.gen(function*() {
        const whole = `data: ${finished("stop")}`
        for (let length = 1; length < whole.length; length++) {
          const bytes = Stream.concat(sent(chunk({ content: "a" })), Stream.make(utf8.encode(whole.slice(0, length))))
          expect((yield* broken(bytes)).error._tag).toBe("Truncated")
        }
        const bytes = Stream.concat(sent(chunk({ content: "a" })), Stream.make(utf8.encode(whole)))
        expect((yield* collect(bytes)).finishReason).toBe("stop")
      }))

    it.effect("counts although the bytes fail after it", () =>
      Effect.gen(function*() {
        const reset = Stream.fail("reset" as const)
        expect((yield* collect(Stream.concat(sent(finished("stop")), reset))).finishReason).toBe("stop")
        const { error } = yield* broken(Stream.concat(sent(chunk({ content: "a" })), reset))
        expect(error).toBe("reset")
      }))

    it.live("is not waited for when the server never closes after [DONE]", () =>
      Effect.gen(function*() {
        const response = yield* collect(Stream.concat(sent(finished("stop"), "[DONE]"), Stream.never))
        expect(response.finishReason).toBe("stop")
        const noisy = Stream.repeatValue(utf8.encode(": keep-alive\n\n"))
        yield* collect(Stream.concat(sent(finished("stop"), "[DONE]"), noisy))
      }))
  })

  describe("errors inside the stream", () => {
    it.effect("end it, after what came before", () =>
      Effect.gen(function*() {
        const { error, parts } = yield* broken(sent(
          chunk({ content: "a" }),
          JSON.stringify({ error: { message: "The server is overloaded", type: "service_unavailable_error" } }),
          chunk({ content: "b" }),
          "[DONE]"
        ))
        expect(error).toMatchObject({ _tag: "Overloaded", provider: "openai", model: "asked" })
        expect(parts).toMatchObject([{ _tag: "Start" }, { _tag: "TextDelta", text: "a" }])
      }))

    it.effect("count beside choices, in a choice, and without data:", () =>
      Effect.gen(function*() {
        const error = { code: 429, message: "Rate limit exceeded" }
        const beside = chunk({ content: "" }, { error }, { finish_reason: "error" })
        expect((yield* broken(sent(chunk({ content: "a" }), beside, "[DONE]"))).error._tag).toBe("RateLimited")
        const raw = Stream.make(utf8.encode(JSON.stringify({ error }, null, 2)))
        expect((yield* broken(Stream.concat(sent(chunk({ content: "a" })), raw))).error._tag).toBe("RateLimited")
        const stopped = sent(chunk({ content: "a" }), finished("insufficient_system_resource"), "[DONE]")
        expect((yield* broken(stopped)).error._tag).toBe("Overloaded")
      }))

    it.effect("a filter that leaves nothing is ContentFiltered, one that leaves something is a finish reason", () =>
      Effect.gen(function*() {
        const filters = { content_filter_results: { violence: { filtered: true }, hate: { filtered: false } } }
        const { error } = yield* broken(sent(chunk({}, {}, { finish_reason: "content_filter", ...filters }), "[DONE]"))
        expect(error).toMatchObject({ _tag: "ContentFiltered", stage: "completion", categories: ["violence"] })
        const partly = yield* collect(sent(chunk({ content: "a" }), finished("content_filter"), "[DONE]"))
        expect([partly.text, partly.finishReason]).toEqual(["a", "content-filter"])
      }))
  })

  it.effect("a chunk that is not what the protocol says is a MalformedResponse that quotes it", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [payload: string, reason: string]> = [
        ["{\"id\":}]}", "an event of the stream is not JSON"],
        ["<html>", "an event of the stream is not JSON"],
        ["[1]", "a chunk of the stream is no object"],
        ["{\"choices\":{}}", "choices is no list"],
        ["{\"choices\":[1]}", "choices holds what is no object"],
        [chunk({ content: 1 }), "delta.content is neither text nor a list of parts"],
        [chunk({ tool_calls: {} }), "delta.tool_calls is no list"],
        [chunk({ tool_calls: [1] }), "delta.tool_calls holds what is no object"],
        [chunk({ tool_calls: [{ function: "f" }] }), "the function of a tool call is no object"],
        [JSON.stringify({ choices: [{ delta: "a" }] }), "choices.0.delta is no object"],
        [chunk({}, {}, { finish_reason: 1 }), "choices.0.finish_reason is no text"]
      ]
      for (const [payload, reason] of bad) {
        const { error } = yield* broken(sent(chunk({ content: "a" }), payload, finished("stop"), "[DONE]"))
        expect(error).toMatchObject({ _tag: "MalformedResponse", reason, body: payload })
      }
    }))

  it.effect("chunks without choices say nothing", () =>
    Effect.gen(function*() {
      const response = yield* collect(sent(
        JSON.stringify({ id: "", model: "", choices: [], prompt_filter_results: [] }),
        JSON.stringify({ type: "ping" }),
        "",
        chunk({ content: "a" }),
        JSON.stringify({ choices: null }),
        finished("stop"),
        "[DONE]"
      ))
      expect([response.text, response.id, response.model]).toEqual(["a", "chatcmpl-1", "gpt-4o-mini-2024"])
    }))

  it.effect("a server that knows no streams may send the message in one chunk", () =>
    Effect.gen(function*() {
      const reply = JSON.stringify({
        id: "x",
        choices: [{ index: 0, message: { role: "assistant", content: "whole" }, finish_reason: "stop" }]
      })
      expect((yield* collect(sent(reply))).text).toBe("whole")
    }))
})
