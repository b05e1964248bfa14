import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Response from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const ask = (prompt: string) => LanguageModel.generate({ prompt })

describe("ScriptedModel", () => {
  it.effect("answers one step for each request, and remembers the requests", () =>
    Effect.gen(function*() {
      expect((yield* ask("one")).text).toBe("hi")
      const called = yield* ask("two")
      expect(called.finishReason).toBe("tool-calls")
      expect(called.toolCalls).toEqual([
        { _tag: "ToolCall", id: "call_2_1", name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
      ])
      const cut = yield* ask("three")
      expect([cut.finishReason, cut.toolCalls[0]?.arguments]).toEqual(["length", "{\"city\":\"Os"])
      expect((yield* Effect.flip(ask("four")))._tag).toBe("Overloaded")
      const several = yield* ask("five")
      expect(several.toolCalls.map(({ id }) => id)).toEqual(["call_5_1", "mine"])
      expect((yield* ScriptedModel.requests).map(({ prompt }) => prompt)).toEqual([
        "one",
        "two",
        "three",
        "four",
        "five"
      ])
    }).pipe(Effect.provide(ScriptedModel.layer([
      ScriptedModel.text("hi"),
      ScriptedModel.toolCall("get_weather", { city: "Oslo" }),
      ScriptedModel.rawToolCall("get_weather", "{\"city\":\"Os", "length"),
      ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" })),
      ScriptedModel.toolCalls([{ name: "a", arguments: "{}" }, { name: "b", arguments: "{", id: "mine" }])
    ]))))

  it.effect("fails with UnknownError when the script is exhausted, and says so", () =>
    Effect.gen(function*() {
      const model = yield* ScriptedModel.make([ScriptedModel.text("only")])
      expect(yield* model.remaining).toBe(1)
      yield* model.generate({ prompt: "a" })
      const error = yield* Effect.flip(model.generate({ prompt: "b" }))
      expect(error).toMatchObject({ _tag: "UnknownError", billed: "no", cause: { name: "ScriptExhausted" } })
      expect(error.message).toContain("script exhausted: it has 1 step and this is request 2")
      expect(yield* model.remaining).toBe(0)
    }))

  it.effect("goes on with another step afterwards where one is given", () =>
    Effect.gen(function*() {
      const model = yield* ScriptedModel.make([], {
        afterwards: ScriptedModel.text("always"),
        name: "m",
        provider: "p"
      })
      const replies = yield* Effect.replicateEffect(model.generate({ prompt: "a" }), 3)
      expect(replies.map((reply) => [reply.text, reply.model])).toEqual(replies.map(() => ["always", "m"]))
    }))

  it.effect("waits on the test clock, and hangs until it is interrupted", () =>
    Effect.gen(function*() {
      const model = yield* ScriptedModel.make([
        ScriptedModel.delayed("1 hour", ScriptedModel.text("late")),
        ScriptedModel.hang,
        ScriptedModel.text("after")
      ])
      const late = yield* Effect.fork(model.generate({ prompt: "a" }))
      yield* TestClock.adjust("59 minutes")
      expect(Option.isNone(yield* Fiber.poll(late))).toBe(true)
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(late)).text).toBe("late")
      const hanging = yield* Effect.fork(Effect.timeoutOption(model.generate({ prompt: "b" }), "1 day"))
      yield* TestClock.adjust("1 day")
      expect(Option.isNone(yield* Fiber.join(hanging))).toBe(true)
      expect((yield* model.generate({ prompt: "c" })).text).toBe("after")
    }))

  it.effect("refuses an invalid request without using up a step", () =>
    Effect.gen(function*() {
      const model = yield* ScriptedModel.make([ScriptedModel.text("hi")])
      expect((yield* Effect.flip(model.generate({ prompt: "a", topP: 2 })))._tag).toBe("InvalidRequest")
      expect(yield* model.remaining).toBe(1)
    }))
})

describe("ScriptedModel.stream", () => {
  const stream = LanguageModel.stream({ prompt: "Hi" })
  const all = Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

  it.effect("sends the same reply in deltas", () =>
    Effect.gen(function*() {
      const texts = (yield* all).flatMap((part) => part._tag === "TextDelta" ? [part.text] : [])
      expect(texts).toEqual(["ab\u{1F40B}", "cde", "f"])
      expect(yield* all).toEqual([
        StreamPart.start({ id: "scripted-2", model: "scripted-model" }),
        StreamPart.toolCallStart(0, "call_2_1", "f"),
        StreamPart.toolArgumentsDelta(0, "{\"x"),
        StreamPart.toolArgumentsDelta(0, "\":1"),
        StreamPart.toolArgumentsDelta(0, "}"),
        StreamPart.toolCall(0, "call_2_1", "f", "{\"x\":1}"),
        StreamPart.finish({ reason: "tool-calls", usage: ScriptedModel.defaults.usage })
      ])
      expect((yield* Effect.flip(all))._tag).toBe("Overloaded")
      expect((yield* Effect.flip(all))._tag).toBe("UnknownError")
      expect(yield* ScriptedModel.requests).toHaveLength(4)
    }).pipe(Effect.provide(ScriptedModel.layer([
      ScriptedModel.text("ab\u{1F40B}cdef"),
      ScriptedModel.toolCall("f", { x: 1 }),
      ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" }))
    ], { deltaLength: 3 }))))

  it.effect("answers with data as JSON, and keeps what seals a part with it", () =>
    Effect.gen(function*() {
      expect(JSON.parse((yield* LanguageModel.generate({ prompt: "Hi" })).text)).toEqual({ city: "Lima" })
      const sealed = yield* StreamPart.collect(stream)
      expect(sealed.parts).toEqual([
        { _tag: "Reasoning", text: "thinking aloud", providerMetadata: "a" },
        { _tag: "Reasoning", text: "", providerMetadata: "b" },
        { _tag: "Text", text: "a long enough text", providerMetadata: "c" }
      ])
    }).pipe(Effect.provide(ScriptedModel.layer([
      ScriptedModel.json({ city: "Lima" }),
      ScriptedModel.reply(
        new Response.Response({
          model: "m",
          parts: [
            { _tag: "Reasoning", text: "thinking aloud", providerMetadata: "a" },
            { _tag: "Reasoning", text: "", providerMetadata: "b" },
            { _tag: "Text", text: "a long enough text", providerMetadata: "c" }
          ],
          finishReason: "stop",
          usage: ScriptedModel.defaults.usage
        })
      )
    ], { deltaLength: 3 }))))

  it.effect("plays parts as they are, cut or broken", () =>
    Effect.gen(function*() {
      expect((yield* all).map((part) => part._tag)).toEqual(["TextDelta"])
      expect((yield* Effect.flip(LanguageModel.generate({ prompt: "Hi" })))._tag).toBe("Truncated")
      expect((yield* Effect.flip(all))._tag).toBe("ServerError")
    }).pipe(Effect.provide(ScriptedModel.layer([
      ScriptedModel.parts([StreamPart.textDelta("a")]),
      ScriptedModel.parts([StreamPart.textDelta("a")]),
      ScriptedModel.parts([StreamPart.textDelta("a")], new ModelError.ServerError({ provider: "scripted" }))
    ]))))

  it.effect("waits between the parts, on the clock of the test", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const fiber = yield* Effect.fork(Stream.runForEach(stream, (part) => Effect.sync(() => seen.push(part._tag))))
      yield* TestClock.adjust("4 seconds")
      expect(seen).toEqual(["Start"])
      yield* TestClock.adjust("1 second")
      expect(seen).toEqual(["Start", "TextDelta"])
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      expect(seen).toEqual(["Start", "TextDelta", "Finish"])
    }).pipe(Effect.provide(ScriptedModel.layer([ScriptedModel.text("hi")], { betweenParts: "5 seconds" }))))
})
