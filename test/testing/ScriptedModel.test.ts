import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
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
