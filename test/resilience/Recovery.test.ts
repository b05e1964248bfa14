import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import { TimedOut } from "../../src/error/PolicyError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import { Response } from "../../src/model/Response.ts"
import * as Recovery from "../../src/resilience/Recovery.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const filtered = new ModelError.ContentFiltered({ provider: "p", stage: "prompt" })
const truncated = new ModelError.Truncated({ provider: "p", received: "First of all" })
const overloaded = new ModelError.Overloaded({ provider: "p" })
const timedOut = new TimedOut({ phase: "total", limit: Duration.seconds(1) })

const table = {
  ContentFiltered: () => "I cannot talk about that.",
  Truncated: (error: ModelError.Truncated) => Effect.succeed(`${error.received} …`)
}

describe("Recovery", () => {
  it.effect("turns an error that the table names into a result marked as degraded, with the error", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table })
      expect(yield* Effect.fail(filtered).pipe(Recovery.apply(recovery))).toEqual({
        _tag: "Degraded",
        value: "I cannot talk about that.",
        error: filtered
      })
    }))

  it.effect("answers with an effect, too, which sees the error", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table })
      const outcome = yield* Recovery.apply(Effect.fail(truncated), recovery)
      expect(outcome).toMatchObject({ _tag: "Degraded", value: "First of all …" })
    }))

  it.effect("marks the result that was asked for as whole, and asks nothing of the table", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table: { Overloaded: () => Effect.die("asked") } })
      const outcome = yield* Effect.succeed(42).pipe(Recovery.apply(recovery))
      expect(outcome).toEqual({ _tag: "Whole", value: 42 })
    }))

  it.effect("passes errors through that the table does not name, the very same value", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table })
      expect(yield* Effect.flip(Effect.fail(overloaded).pipe(Recovery.apply(recovery)))).toBe(overloaded)
      expect(yield* Effect.flip(Effect.fail("text").pipe(Recovery.apply(recovery)))).toBe("text")
    }))

  it.effect("knows its own entries only, not those of every object", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table })
      for (const _tag of ["constructor", "toString", "__proto__"]) {
        const error = { _tag }
        expect(yield* Effect.flip(Effect.fail(error).pipe(Recovery.apply(recovery)))).toBe(error)
      }
    }))

  it.effect("fails with what an effect of the table fails with", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table: { Overloaded: () => Effect.fail("the cache is empty" as const) } })
      expect(yield* Effect.flip(Effect.fail(overloaded).pipe(Recovery.apply(recovery)))).toBe("the cache is empty")
    }))

  it.effect("reports what it did, once, and only when it did", () =>
    Effect.gen(function*() {
      const recorder = yield* Monitor.recorder
      const recovery = yield* Recovery.make({
        name: "chat",
        table: { ...table, Overloaded: () => Effect.fail("no" as const) }
      })
      const run = <A, E>(effect: Effect.Effect<A, E>) =>
        effect.pipe(
          Recovery.apply(recovery),
          Effect.exit,
          Effect.provideService(Monitor.Monitor, recorder.monitor)
        )
      yield* TestClock.adjust("2 seconds")
      yield* run(Effect.succeed(1))
      yield* run(Effect.fail(overloaded))
      yield* run(Effect.fail(timedOut))
      yield* run(Effect.fail(filtered))
      expect(yield* recorder.events).toEqual([{ _tag: "Degraded", at: 2_000, name: "chat", error: filtered }])
    }))

  it.effect("recovers neither from a defect nor from an interruption", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table })
      expect(yield* Effect.exit(Effect.die(filtered).pipe(Recovery.apply(recovery)))).toEqual(Exit.die(filtered))
      const fiber = yield* Effect.fork(Effect.never.pipe(Recovery.apply(recovery)))
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
    }))

  it.effect("has a defect where an answer of the table throws", () =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({
        table: {
          ContentFiltered: (): string => {
            throw new Error("broken")
          }
        }
      })
      const exit = yield* Effect.exit(Effect.fail(filtered).pipe(Recovery.apply(recovery)))
      expect(Exit.isFailure(exit) && exit.cause._tag).toBe("Die")
    }))

  it.effect("is told in one line", () =>
    Effect.gen(function*() {
      expect(Recovery.defaults).toEqual({ name: "recovery" })
      expect(Recovery.describe(yield* Recovery.make({ table }))).toBe(
        "recovery: answers for ContentFiltered, Truncated"
      )
    }))

  it.effect("refuses options that cannot work, all in one error", () =>
    Effect.gen(function*() {
      const nothing = yield* Effect.flip(Recovery.make({ name: "", table: {} }))
      expect(nothing).toMatchObject({ _tag: "InvalidOptions", module: "Recovery" })
      expect(nothing.issues.map((issue) => issue.path)).toEqual(["name", "table"])
      expect((yield* Effect.flip(Recovery.make({ table: { Overloaded: undefined } }))).issues).toHaveLength(1)
      const fromElsewhere: { readonly Overloaded: () => string } = JSON.parse("{\"Overloaded\": \"sorry\"}")
      const wrong = yield* Effect.flip(Recovery.make({ table: fromElsewhere }))
      expect(wrong.issues).toMatchObject([{ path: "table.Overloaded", found: "\"sorry\"" }])
    }))
})

describe("Recovery behind a model", () => {
  const ask = LanguageModel.generate({ prompt: "Tell me all." })
  const behind = (script: ReadonlyArray<ScriptedModel.Step>) =>
    Recovery.layer({
      name: "chat",
      table: {
        ContentFiltered: () => Recovery.reply("I cannot talk about that."),
        TimedOut: () => Effect.succeed(Recovery.reply("Ask me later."))
      }
    }).pipe(
      Layer.provide(ResilientModel.layer({ totalTimeout: "1 minute" })),
      Layer.provide(ScriptedModel.layer(script))
    )

  it.effect("answers under the same tag with a valid response that bears its mark", () =>
    Effect.gen(function*() {
      const response = yield* ask
      expect(response.text).toBe("I cannot talk about that.")
      expect(response.finishReason).toBe("stop")
      expect(response.usage.totalTokens).toBe(0)
      expect(Recovery.degradedBy(response)).toEqual(Option.some("ContentFiltered"))
    }).pipe(Effect.provide(behind([ScriptedModel.fail(filtered)]))))

  it.effect("keeps the mark when the response is written and read again", () =>
    Effect.gen(function*() {
      const wire = JSON.stringify(yield* Schema.encode(Response)(yield* ask))
      const read = yield* Schema.decodeUnknown(Response)(JSON.parse(wire))
      expect(Recovery.degradedBy(read)).toEqual(Option.some("ContentFiltered"))
    }).pipe(Effect.provide(behind([ScriptedModel.fail(filtered)]))))

  it.effect("leaves the model's own replies unmarked, and other errors as they are", () =>
    Effect.gen(function*() {
      expect(Recovery.degradedBy(yield* ask)).toEqual(Option.none())
      expect((yield* Effect.flip(ask))._tag).toBe("Overloaded")
    }).pipe(Effect.provide(behind([ScriptedModel.text("all"), ScriptedModel.fail(overloaded)]))))

  it.effect("answers for the refusals of the policies below it", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(ask)
      yield* TestClock.adjust("1 minute")
      const response = yield* Fiber.join(fiber)
      expect([response.text, Recovery.degradedBy(response)]).toEqual(["Ask me later.", Option.some("TimedOut")])
    }).pipe(Effect.provide(behind([ScriptedModel.hang]))))

  it.effect("fails the layer when the table recovers nothing", () =>
    Effect.gen(function*() {
      const layer = Recovery.layer({ table: {} }).pipe(Layer.provide(ScriptedModel.layer([])))
      expect((yield* Effect.flip(Layer.build(layer)))._tag).toBe("InvalidOptions")
    }).pipe(Effect.scoped))
})
