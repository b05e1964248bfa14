import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const overloaded = ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" }))
const atOnce = { retry: { backoff: "immediate", attempts: 3 } } as const

const ask = LanguageModel.generate({ prompt: "hello" })
const keys = Effect.map(ScriptedModel.requests, (requests) => requests.map((request) => request.idempotencyKey))

/** The strengthened model under the tag, and beside it the memory of the model it was made from. */
const strong = (options: Pipeline.Options, script: ReadonlyArray<ScriptedModel.Step>) =>
  ResilientModel.layer(options).pipe(Layer.provideMerge(ScriptedModel.layer(script)))

describe("ResilientModel", () => {
  it.effect("retries behind the same tag", () =>
    Effect.gen(function*() {
      expect((yield* ask).text).toBe("third time")
      expect(yield* ScriptedModel.requests).toHaveLength(3)
    }).pipe(Effect.provide(strong(atOnce, [overloaded, overloaded, ScriptedModel.text("third time")]))))

  it.effect("keeps what the model says about itself", () =>
    Effect.gen(function*() {
      const weak = yield* ScriptedModel.make([], {
        name: "tiny",
        provider: "here",
        capabilities: { tools: false }
      })
      const model = ResilientModel.strengthen(weak, yield* Pipeline.make(atOnce))
      expect([model.name, model.provider, model.capabilities]).toEqual(["tiny", "here", { tools: false, images: true }])
    }))

  it.effect("leaves the request as it is, but for the idempotency key", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generate({ prompt: "hello", temperature: 0.5, stop: ["."], idempotencyKey: "mine" })
      expect(yield* ScriptedModel.requests).toEqual([
        { prompt: "hello", temperature: 0.5, stop: ["."], idempotencyKey: "mine" }
      ])
    }).pipe(Effect.provide(strong(atOnce, [ScriptedModel.text("ok")]))))

  it.effect("sends one idempotency key with all attempts of a call, and another with the next call", () =>
    Effect.gen(function*() {
      yield* ask
      yield* ask
      const [first, second, third, fourth] = yield* keys
      expect(first).toMatch(/^[0-9a-f]{32}$/)
      expect([second, fourth]).toEqual([first, third])
      expect(third).not.toBe(first)
    }).pipe(Effect.provide(strong(atOnce, [
      overloaded,
      ScriptedModel.text("one"),
      overloaded,
      ScriptedModel.text("two")
    ]))))

  it.effect("sends a fresh key each time the same effect is run, also at the same time", () =>
    Effect.gen(function*() {
      yield* Effect.all([ask, ask, ask], { concurrency: "unbounded" })
      expect(new Set(yield* keys).size).toBe(3)
    }).pipe(Effect.provide(strong({}, [1, 2, 3].map((n) => ScriptedModel.text(String(n)))))))

  it.effect("sends the caller's own key with every attempt", () =>
    Effect.gen(function*() {
      yield* LanguageModel.generate({ prompt: "hello", idempotencyKey: "order-7" })
      expect(yield* keys).toEqual(["order-7", "order-7"])
    }).pipe(Effect.provide(strong(atOnce, [overloaded, ScriptedModel.text("ok")]))))

  it.effect("does not repeat what a repetition cannot mend", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ask)
      expect(error._tag).toBe("Authentication")
      expect(yield* ScriptedModel.requests).toHaveLength(1)
    }).pipe(Effect.provide(strong(atOnce, [
      ScriptedModel.fail(new ModelError.Authentication({ provider: "scripted" })),
      ScriptedModel.text("never asked")
    ]))))

  it.effect("does not send an invalid request at all", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(LanguageModel.generate({ prompt: "hello", topP: 7 }))
      expect(error._tag).toBe("InvalidRequest")
      expect(yield* ScriptedModel.requests).toHaveLength(0)
    }).pipe(Effect.provide(strong(atOnce, [ScriptedModel.text("never asked")]))))

  it.effect("passes the last error through unboxed when the attempts are used up", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ask)
      expect(error).toMatchObject({ _tag: "Overloaded", provider: "scripted" })
      expect(yield* ScriptedModel.requests).toHaveLength(3)
    }).pipe(Effect.provide(strong(atOnce, [overloaded, overloaded, overloaded]))))

  it.effect("waits between the attempts on Effect's clock", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(ask)
      yield* TestClock.adjust("999 millis")
      expect(yield* ScriptedModel.requests).toHaveLength(1)
      yield* TestClock.adjust("1 millis")
      expect(yield* ScriptedModel.requests).toHaveLength(2)
      expect((yield* Fiber.join(fiber)).text).toBe("ok")
    }).pipe(
      Effect.provide(
        strong({ retry: { backoff: "constant", delay: "1 second", attempts: 2 } }, [
          overloaded,
          ScriptedModel.text("ok")
        ])
      )
    ))

  it.effect("times an attempt out, and tries again", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(ask)
      yield* TestClock.adjust("10 seconds")
      expect(yield* ScriptedModel.requests).toHaveLength(2)
      yield* TestClock.adjust("9 seconds")
      expect((yield* Fiber.join(fiber)).text).toBe("slow, but in time")
    }).pipe(
      Effect.provide(strong({ ...atOnce, attemptTimeout: "10 seconds" }, [
        ScriptedModel.hang,
        ScriptedModel.delayed("9 seconds", ScriptedModel.text("slow, but in time"))
      ]))
    ))

  it.effect("times the whole call out, whatever its attempts do", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.flip(ask))
      yield* TestClock.adjust("25 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "TimedOut", phase: "total" })
      expect(yield* ScriptedModel.requests).toHaveLength(3)
    }).pipe(
      Effect.provide(strong({ ...atOnce, totalTimeout: "25 seconds", attemptTimeout: "10 seconds" }, [
        ScriptedModel.hang,
        ScriptedModel.hang,
        ScriptedModel.hang
      ]))
    ))

  it.effect("aborts the request when the caller is interrupted, and does not retry", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(ask)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 hour")
      expect(yield* ScriptedModel.requests).toHaveLength(1)
    }).pipe(Effect.provide(strong({ ...atOnce, attemptTimeout: "1 minute" }, [
      ScriptedModel.hang,
      ScriptedModel.text("never asked")
    ]))))

  it.effect("refuses options that cannot work, all of them in one error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(strong({
        totalTimeout: "1 second",
        retry: { backoff: "constant", delay: "1 second", attempts: 0 },
        attemptTimeout: "2 seconds"
      }, [])))
      expect(error._tag).toBe("InvalidOptions")
      expect(error.module).toBe("Pipeline")
      expect(error.issues.map((issue) => issue.path)).toEqual(
        expect.arrayContaining(["retry.attempts", "attemptTimeout"])
      )
    }).pipe(Effect.scoped))

  it.effect("takes a pipeline that is made already, so that several models can share it", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ retry: RetryPolicy.immediate.pipe(RetryPolicy.attempts(2)) })
      const layer = ResilientModel.layer(pipeline).pipe(
        Layer.provideMerge(ScriptedModel.layer([overloaded, ScriptedModel.text("ok")]))
      )
      expect((yield* Effect.provide(ask, layer)).text).toBe("ok")
    }))

  it.effect("can be stacked: the outer pipeline sees what the inner one gave up on", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(
        ResilientModel.layer(atOnce).pipe(
          Layer.provide(ResilientModel.layer({ attemptTimeout: "1 second" })),
          Layer.provideMerge(ScriptedModel.layer([ScriptedModel.hang, ScriptedModel.text("ok")]))
        )
      )
      const fiber = yield* Effect.fork(Context.get(context, LanguageModel.LanguageModel).generate({ prompt: "hello" }))
      yield* TestClock.adjust("1 second")
      expect(Option.isSome(yield* Fiber.poll(fiber))).toBe(true)
      const [first, second] = yield* Effect.provide(keys, context)
      expect((yield* Fiber.join(fiber)).text).toBe("ok")
      expect(second).toBe(first)
    }).pipe(Effect.scoped))
})
