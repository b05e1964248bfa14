import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { runs } from "../runs.ts"
import { json } from "./fakeOpenAi.ts"
import { answered, bytesOf, call, folded, framed, message, partsOf, response } from "./fakeOpenAiResponses.ts"

const created = { type: "response.created", response: { id: "resp_1", model: "gpt-5-mini" } }
const text = (delta: string, rest: object = {}) => ({
  type: "response.output_text.delta",
  output_index: 0,
  content_index: 0,
  delta,
  ...rest
})
const added = (item: object, output_index = 0) => ({ type: "response.output_item.added", output_index, item })
const done = (item: object, output_index = 0) => ({ type: "response.output_item.done", output_index, item })
const argumentsDelta = (delta: string, output_index = 0) => ({
  type: "response.function_call_arguments.delta",
  output_index,
  delta
})
const jsonDone = (whole: unknown, output_index = 0) => ({
  type: "response.function_call_arguments.done",
  output_index,
  arguments: whole
})
const opening = (rest: object = {}) => call({ arguments: "", status: "in_progress", ...rest })
const completed = (output: ReadonlyArray<unknown> = [], rest: object = {}) => ({
  type: "response.completed",
  response: response(output, rest)
})
const incomplete = (reason: string, output: ReadonlyArray<unknown> = []) => ({
  type: "response.incomplete",
  response: response(output, { status: "incomplete", incomplete_details: { reason } })
})

const tagsOf = (parts: ReadonlyArray<StreamPart.StreamPart>) => parts.map((part) => part._tag)

describe("OpenAiResponses, a stream", () => {
  describe("of text", () => {
    it("is Start, deltas and Finish with the usage", () => {
      const { error, parts } = partsOf([created, text("Par"), text(""), text("is."), completed()])
      expect(error).toBeUndefined()
      expect(parts.slice(0, -1)).toEqual([
        { _tag: "Start", id: "resp_1", model: "gpt-5-mini" },
        { _tag: "TextDelta", text: "Par" },
        { _tag: "TextDelta", text: "is." }
      ])
      expect(parts.at(-1)).toMatchObject({
        _tag: "Finish",
        reason: "stop",
        rawReason: "completed",
        usage: { inputTokens: 9, outputTokens: 5, totalTokens: 14, reasoningTokens: 2, cachedInputTokens: 3 }
      })
    })

    it.effect("says nothing twice: the wholes at the end of a piece, an item and the reply are known by then", () =>
      Effect.map(
        folded([
          created,
          text("Hello"),
          { type: "response.output_text.done", output_index: 0, content_index: 0, text: "Hello" },
          {
            type: "response.content_part.done",
            output_index: 0,
            content_index: 0,
            part: { type: "output_text", text: "Hello" }
          },
          done(message("Hello")),
          completed([message("Hello")])
        ]),
        (reply) => expect(reply.text).toBe("Hello")
      ))

    it.effect("takes the text from the first place that tells it where no deltas come", () =>
      Effect.gen(function*() {
        const places = [
          { type: "response.output_text.done", output_index: 0, content_index: 0, text: "Hello" },
          {
            type: "response.content_part.done",
            output_index: 0,
            content_index: 0,
            part: { type: "output_text", text: "Hello" }
          },
          done(message("Hello")),
          completed([message("Hello")])
        ]
        for (const from of [0, 1, 2, 3]) {
          expect((yield* folded([created, ...places.slice(from)])).text).toBe("Hello")
        }
      }))

    it.effect("tells items apart by their place, as item ids may change with every event", () =>
      Effect.map(
        folded([
          created,
          text("Hel", { item_id: "a" }),
          text("lo", { item_id: "b" }),
          done(message("Hello", { id: "c" })),
          completed()
        ]),
        (reply) => expect(reply.text).toBe("Hello")
      ))

    it("begins with Start although the server does not announce its reply", () => {
      expect(partsOf([text("Hi"), completed()]).parts[0]).toEqual({ _tag: "Start", model: "asked" })
    })

    it.effect("goes by the event's name where the data has no type", () =>
      Effect.map(
        StreamPart.collect(
          bytesOf(
            "event: response.output_text.delta\ndata: {\"delta\":\"Hi\"}\n\n" +
              "event: response.completed\ndata: {\"response\":{\"output\":[]}}\n\n"
          ).pipe(OpenAiResponses.decodeStream())
        ),
        (reply) => expect(reply).toMatchObject({ text: "Hi", finishReason: "stop" })
      ))
  })

  it.effect("shows reasoning, summarised or raw", () =>
    Effect.map(
      folded([
        created,
        { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 0, delta: "First" },
        { type: "response.reasoning_summary_text.done", output_index: 0, summary_index: 0, text: "First" },
        {
          type: "response.reasoning_summary_part.done",
          output_index: 0,
          summary_index: 1,
          part: { type: "summary_text", text: ", then" }
        },
        done({
          type: "reasoning",
          summary: [{ type: "summary_text", text: "First" }, { type: "summary_text", text: ", then" }]
        }),
        { type: "response.reasoning_text.delta", output_index: 1, content_index: 0, delta: "." },
        text("Yes", { output_index: 2 }),
        completed()
      ]),
      (reply) => expect(reply).toMatchObject({ reasoning: "First, then.", text: "Yes", finishReason: "stop" })
    ))

  it.effect("that refuses is content-filter, with the refusal as its text", () =>
    Effect.map(
      folded([
        created,
        { type: "response.refusal.delta", output_index: 0, content_index: 0, delta: "I can't" },
        { type: "response.refusal.done", output_index: 0, content_index: 0, refusal: "I can't" },
        completed()
      ]),
      (reply) => expect(reply).toMatchObject({ text: "I can't", finishReason: "content-filter" })
    ))

  describe("of tool calls", () => {
    it("is their start, their arguments and the whole call", () => {
      const { parts } = partsOf([
        created,
        added(opening()),
        argumentsDelta("{\"a\""),
        argumentsDelta(":1}"),
        jsonDone("{\"a\":1}"),
        done(call()),
        completed([call()])
      ])
      expect(parts.slice(1, -1)).toEqual([
        { _tag: "ToolCallStart", index: 0, id: "call_1", name: "add" },
        { _tag: "ToolArgumentsDelta", index: 0, delta: "{\"a\"" },
        { _tag: "ToolArgumentsDelta", index: 0, delta: ":1}" },
        { _tag: "ToolCall", index: 0, id: "call_1", name: "add", arguments: "{\"a\":1}" }
      ])
      expect(parts.at(-1)).toMatchObject({ _tag: "Finish", reason: "tool-calls", rawReason: "completed" })
    })

    it("keeps parallel calls apart, counted from 0 whatever their places", () => {
      const { parts } = partsOf([
        created,
        added(opening(), 1),
        added(opening({ call_id: "call_2", name: "sub" }), 3),
        argumentsDelta("{\"b\":2}", 3),
        argumentsDelta("{\"a\":1}", 1),
        done(call({ call_id: "call_2", name: "sub", arguments: "{\"b\":2}" }), 3),
        done(call(), 1),
        completed()
      ])
      expect(parts.filter((part) => part._tag === "ToolCall")).toEqual([
        { _tag: "ToolCall", index: 1, id: "call_2", name: "sub", arguments: "{\"b\":2}" },
        { _tag: "ToolCall", index: 0, id: "call_1", name: "add", arguments: "{\"a\":1}" }
      ])
    })

    it.effect("knows an item by its index and by its id, where some events leave the index out", () =>
      Effect.gen(function*() {
        const noIndex = ({ output_index: _, ...rest }: { readonly output_index: number }, item_id: string) => ({
          ...rest,
          item_id
        })
        const events = (begins: boolean) => [
          created,
          ...(begins ? [added({ type: "message", id: "msg" }, 0)] : []),
          noIndex(text("Hello"), "msg"),
          done(message("Hello", { id: "msg" }), 0),
          ...(begins ? [added(opening({ id: "fc" }), 1)] : []),
          noIndex(argumentsDelta("{\"a\":"), "fc"),
          noIndex(argumentsDelta("1}"), "fc"),
          noIndex(jsonDone("{\"a\":1}"), "fc"),
          done(call({ id: "fc" }), 1),
          completed([message("Hello", { id: "msg" }), call({ id: "fc" })])
        ]
        for (const begins of [true, false]) {
          const response = yield* folded(events(begins))
          expect(response).toMatchObject({ text: "Hello", finishReason: "tool-calls" })
          expect(response.toolCalls).toMatchObject([{ name: "add", arguments: "{\"a\":1}" }])
        }
        // Without an end of its own the call is found in the terminal event, by its id.
        const late = yield* folded([
          created,
          noIndex(argumentsDelta("{\"a\":1}"), "fc"),
          completed([message("x"), call({ id: "fc" })])
        ])
        expect(late.toolCalls).toMatchObject([{ name: "add", arguments: "{\"a\":1}" }])
      }))

    it("sends the arguments as a delta too where they come only at the end, or the rest of them", () => {
      const only = partsOf([created, added(opening()), jsonDone("{\"a\":1}"), done(call()), completed()])
      expect(tagsOf(only.parts)).toEqual(["Start", "ToolCallStart", "ToolArgumentsDelta", "ToolCall", "Finish"])
      const rest = partsOf([created, added(opening()), argumentsDelta("{\"a\""), done(call()), completed()])
      expect(rest.parts.slice(2, 5)).toEqual([
        { _tag: "ToolArgumentsDelta", index: 0, delta: "{\"a\"" },
        { _tag: "ToolArgumentsDelta", index: 0, delta: ":1}" },
        { _tag: "ToolCall", index: 0, id: "call_1", name: "add", arguments: "{\"a\":1}" }
      ])
    })

    it("waits with the start until the name is known, and late empty names do not overwrite it", () => {
      const { parts } = partsOf([
        created,
        added(opening({ name: "" })),
        argumentsDelta("{\"a\":1}"),
        { ...jsonDone("{\"a\":1}"), name: "add" },
        done(call({ name: "" })),
        completed()
      ])
      expect(parts.slice(1, -1)).toEqual([
        { _tag: "ToolCallStart", index: 0, id: "call_1", name: "add" },
        { _tag: "ToolArgumentsDelta", index: 0, delta: "{\"a\":1}" },
        { _tag: "ToolCall", index: 0, id: "call_1", name: "add", arguments: "{\"a\":1}" }
      ])
    })

    it.effect("means {} by no arguments at all, and keeps objects to the letter", () =>
      Effect.gen(function*() {
        const none = yield* folded([created, added(opening()), done(call({ arguments: "" })), completed()])
        expect(none.toolCalls[0]?.arguments).toBe("{}")
        const written = "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":" +
          "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":{\"n\": 1.0}}}"
        expect((yield* folded([created, written, completed()])).toolCalls[0]?.arguments).toBe("{\"n\": 1.0}")
      }))

    it.effect("ends calls that have no end of their own, or come in the terminal event alone", () =>
      Effect.gen(function*() {
        const open = yield* folded([created, added(opening()), argumentsDelta("{\"a\":1}"), completed()])
        expect(open).toMatchObject({ finishReason: "tool-calls", toolCalls: [{ arguments: "{\"a\":1}" }] })
        const began = yield* folded([
          created,
          added(opening({ arguments: "{}" })),
          argumentsDelta("{\"a\":1}"),
          completed()
        ])
        expect(began.toolCalls).toMatchObject([{ arguments: "{\"a\":1}" }])
        const late = yield* folded([created, completed([call(), call({ call_id: "call_2" })])])
        expect(late.toolCalls.map((each) => each.id)).toEqual(["call_1", "call_2"])
        const nameless = yield* folded([created, argumentsDelta("{\"a\":1}"), completed([call({ call_id: "late" })])])
        expect(nameless.toolCalls).toMatchObject([{ name: "add", arguments: "{\"a\":1}" }])
      }))

    it.effect("cut by the token limit has the reason length and the arguments as they were cut; none at all are {}", () =>
      Effect.gen(function*() {
        const cut = yield* folded([
          created,
          added(opening()),
          argumentsDelta("{\"x\":17,\"y\":25"),
          incomplete("max_output_tokens")
        ])
        expect(cut).toMatchObject({ finishReason: "length", rawFinishReason: "max_output_tokens" })
        expect(cut.toolCalls[0]?.arguments).toBe("{\"x\":17,\"y\":25")
        const nothing = yield* folded([created, added(opening()), incomplete("max_output_tokens")])
        expect(nothing).toMatchObject({ finishReason: "length", toolCalls: [{ arguments: "{}" }] })
        const told = yield* folded([created, done(call({ status: "incomplete" })), completed()])
        expect(told.finishReason).toBe("length")
      }))
  })

  describe("that ends otherwise", () => {
    it("is content-filter with what came, or fails when nothing did", () => {
      const some = partsOf([created, text("Some"), incomplete("content_filter")])
      expect(some.parts.at(-1)).toMatchObject({ _tag: "Finish", reason: "content-filter", rawReason: "content_filter" })
      expect(partsOf([created, incomplete("content_filter")]).error).toMatchObject({
        _tag: "ContentFiltered",
        stage: "completion",
        billed: "yes"
      })
    })

    it("is an error at the first event that tells it, parts before it included", () => {
      const limited = {
        type: "error",
        sequence_number: 2,
        error: { type: "tokens", code: "rate_limit_exceeded", message: "Please try again in 1.574s." }
      }
      const failure = (error: object) => ({ type: "response.failed", response: { status: "failed", error } })
      const first = partsOf([created, text("Hal"), limited, failure({ code: "rate_limit_exceeded", message: "x" })])
      expect(tagsOf(first.parts)).toEqual(["Start", "TextDelta"])
      expect(first.error).toMatchObject({ _tag: "RateLimited", billed: "maybe" })
      // The flat form of the API's reference.
      expect(partsOf([{ type: "error", code: "server_error", message: "Try again", param: null }]).error)
        .toMatchObject({ _tag: "ServerError" })
      expect(partsOf([created, failure({ code: "context_length_exceeded", message: "Too long" })]).error)
        .toMatchObject({ _tag: "ContextLengthExceeded" })
    })

    it("is Truncated without a terminal event, with the text that came", () => {
      const { error, parts } = partsOf([created, text("Half"), done(message("Half"))])
      expect(tagsOf(parts)).toEqual(["Start", "TextDelta"])
      expect(error).toMatchObject({ _tag: "Truncated", received: "Half" })
    })

    it("is of unknown reason with [DONE] instead of the terminal event, so no tool is run", () => {
      const { error, parts } = partsOf([created, added(opening()), argumentsDelta("{\"a\":1}"), "[DONE]"])
      expect(error).toBeUndefined()
      expect(parts.at(-1)).toMatchObject({ _tag: "Finish", reason: "unknown" })
      expect(partsOf([created, "[DONE]"]).error).toMatchObject({ _tag: "Truncated" })
    })

    it("is MalformedResponse for an event that breaks the contract, saying which", () => {
      const cases: ReadonlyArray<readonly [unknown, RegExp]> = [
        ["{\"type\":", /not JSON/],
        ["[1]", /no object/],
        [text("", { delta: 3 }), /a delta of text that is not text/],
        [{ ...argumentsDelta(""), delta: {} }, /a delta of arguments that is not text/],
        [{ type: "response.output_item.done", output_index: 0 }, /item: not an object/],
        [done({ type: "function_call", call_id: "c" }), /without the name/],
        [{ type: "response.completed" }, /response\.completed: response is not an object/]
      ]
      for (const [event, reason] of cases) {
        expect(partsOf([created, event]).error).toMatchObject({
          _tag: "MalformedResponse",
          reason: expect.stringMatching(reason)
        })
      }
    })
  })

  it("ignores events it does not know, and what follows the end", () => {
    const { error, parts } = partsOf([
      created,
      { type: "response.in_progress", response: { id: "other" } },
      { type: "response.new_thing.delta", delta: { any: 1 } },
      { type: "keepalive" },
      added({ type: "mcp_call", name: "add", arguments: "{}" }),
      done({ type: "mcp_call", name: "add", arguments: "{}", error: { message: "tool failed" } }),
      text("Hi"),
      completed(),
      text("late"),
      completed(),
      "[DONE]"
    ])
    expect(error).toBeUndefined()
    expect(tagsOf(parts)).toEqual(["Start", "ProviderPart", "TextDelta", "Finish"])
  })

  it.effect("of several replies in a row, as recordings hold them, is joined with a Seam", () =>
    Effect.gen(function*() {
      const events = [created, added(opening()), done(call()), completed(), created, text("Two."), completed()]
      const { parts } = partsOf(events)
      expect(tagsOf(parts)).toEqual([
        "Start",
        "ToolCallStart",
        "ToolArgumentsDelta",
        "ToolCall",
        "Finish",
        "Seam",
        "TextDelta",
        "Finish"
      ])
      expect(yield* folded(events)).toMatchObject({ text: "Two.", finishReason: "stop" })
      expect(partsOf(events.slice(0, -1)).error).toMatchObject({ _tag: "Truncated" })
    }))

  it.effect("folds to what generate reads of the same reply", () =>
    Effect.gen(function*() {
      const output = [
        { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
        message("I add."),
        call(),
        call({ call_id: "call_2", arguments: "" })
      ]
      const streamed = yield* folded([
        { type: "response.created", response: response([], { status: "in_progress" }) },
        ...output.flatMap((item, at) => [added(item, at), done(item, at)]),
        completed(output)
      ])
      expect(streamed).toEqual(yield* answered(() => json(response(output))))
    }))

  it("never throws, whatever events come in whatever order", () => {
    const types = [
      "response.created",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.refusal.delta",
      "response.reasoning_text.delta",
      "response.output_item.added",
      "response.output_item.done",
      "response.function_call_arguments.delta",
      "response.function_call_arguments.done",
      "response.incomplete",
      "response.completed",
      "response.failed",
      "error"
    ]
    const anything = FastCheck.jsonValue({ maxDepth: 3 })
    const event = FastCheck.record({
      type: FastCheck.constantFrom(...types),
      output_index: FastCheck.oneof(FastCheck.nat(2), anything),
      content_index: FastCheck.oneof(FastCheck.nat(2), anything),
      delta: FastCheck.oneof(FastCheck.string(), anything),
      arguments: FastCheck.oneof(FastCheck.string(), anything),
      text: FastCheck.oneof(FastCheck.string(), anything),
      part: anything,
      item: FastCheck.oneof(
        FastCheck.record({
          type: FastCheck.constantFrom("message", "reasoning", "function_call"),
          name: FastCheck.oneof(FastCheck.string(), anything),
          call_id: anything,
          arguments: anything,
          content: anything,
          summary: anything
        }, { requiredKeys: ["type"] }),
        anything
      ),
      response: anything
    }, { requiredKeys: ["type"] })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.oneof(event, anything), { maxLength: 12 }), (events) => {
        const { error, parts } = partsOf(events)
        const finishes = parts.filter((part) => part._tag === "Finish").length
        if (error === undefined) expect(finishes).toBeGreaterThan(0)
        if (parts.length > 0) expect(parts[0]?._tag).toBe("Start")
        // Deltas belong to a call that was started before.
        const open = new Set<number>()
        for (const part of parts) {
          if (part._tag === "ToolCallStart") open.add(part.index)
          if (part._tag === "ToolArgumentsDelta" || part._tag === "ToolCall") expect(open.has(part.index)).toBe(true)
        }
      }),
      { numRuns: runs(100, 500), seed: 7 }
    )
  })

  it.effect("folds alike in any slices", () =>
    Effect.gen(function*() {
      const events = framed([
        created,
        text("Grüße, 世界 🎉"),
        added(opening(), 1),
        argumentsDelta("{\"a\":1}", 1),
        completed()
      ])
      const bytes = new TextEncoder().encode(events.replaceAll("\n", "\r\n"))
      const whole = yield* StreamPart.collect(OpenAiResponses.decodeStream()(Stream.make(bytes)))
      const cuts = FastCheck.array(FastCheck.nat(bytes.length), { maxLength: 30 })
      yield* Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(cuts, async (at) => {
            const sorted = [0, ...[...at].sort((left, right) => left - right), bytes.length]
            const slices = sorted.slice(1).map((to, index) => bytes.subarray(sorted[index], to))
            const reply = await Effect.runPromise(
              StreamPart.collect(OpenAiResponses.decodeStream()(Stream.fromIterable(slices)))
            )
            expect(reply).toEqual(whole)
          }),
          { numRuns: runs(50, 200), seed: 7 }
        )
      )
    }))
})
