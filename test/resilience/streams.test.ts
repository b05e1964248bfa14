/** Streams behind the policies: until the first content a retry or another model is invisible, afterwards it is not made. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as ModelPlan from "../../src/resilience/ModelPlan.ts"
import * as Recovery from "../../src/resilience/Recovery.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const error = new ModelError.Overloaded({ provider: "scripted" })
const overloaded = ScriptedModel.fail(error)
const atOnce = { retry: { backoff: "immediate", attempts: 3 } } as const
const done = StreamPart.finish({ reason: "stop", usage: Usage.zero })
/** Begins, says something, and breaks. */
const cut = ScriptedModel.parts([StreamPart.start({ model: "a" }), StreamPart.textDelta("Hel")], error)
/** Begins and breaks before it has said anything. */
const late = ScriptedModel.parts([StreamPart.start({ model: "a" })], error)

const stream = LanguageModel.stream({ prompt: "hello" })
const collected = StreamPart.collect(stream)
const asked = Effect.map(ScriptedModel.requests, (requests) => requests.length)

/** What came before the stream failed, and with what it failed. */
const broken = <E, R>(parts: Stream.Stream<StreamPart.StreamPart, E, R>) =>
  Effect.suspend(() => {
    const seen: Array<StreamPart.StreamPart> = []
    return Effect.map(
      Effect.either(Stream.runForEach(parts, (part) => Effect.sync(() => seen.push(part)))),
      (end) => ({ seen, end })
    )
  })

const strong = (options: Pipeline.Options, script: ReadonlyArray<ScriptedModel.Step>) =>
  ResilientModel.layer(options).pipe(Layer.provideMerge(ScriptedModel.layer(script)))

describe("ResilientModel.stream", () => {
  it.effect("retries until the first content, and nothing of it is seen", () =>
    Effect.gen(function*() {
      const parts = Chunk.toReadonlyArray(yield* Stream.runCollect(stream))
      expect(parts.filter((part) => part._tag === "Start").length).toBe(1)
      expect(parts.map((part) => part._tag === "TextDelta" ? part.text : "").join("")).toBe("third time")
      const keys = (yield* ScriptedModel.requests).map((request) => request.idempotencyKey)
      expect(keys.length).toBe(3)
      expect(new Set(keys).size).toBe(1)
    }).pipe(Effect.provide(strong(atOnce, [overloaded, late, ScriptedModel.text("third time")]))))

  it.effect("passes on what fails after it", () =>
    Effect.gen(function*() {
      const { end, seen } = yield* broken(stream)
      expect(seen).toEqual([StreamPart.start({ model: "a" }), StreamPart.textDelta("Hel")])
      expect(end).toMatchObject({ left: { _tag: "Overloaded" } })
      expect(yield* asked).toBe(1)
    }).pipe(Effect.provide(strong(atOnce, [cut, ScriptedModel.text("never asked")]))))

  it.effect("sends another request each time the stream is run", () =>
    Effect.gen(function*() {
      expect([(yield* collected).text, (yield* collected).text]).toEqual(["one", "two"])
      const [first, second] = (yield* ScriptedModel.requests).map((request) => request.idempotencyKey)
      expect(first).not.toBe(second)
    }).pipe(Effect.provide(strong(atOnce, [ScriptedModel.text("one"), ScriptedModel.text("two")]))))

  it.effect("counts the time-outs to the first content, and not over the whole stream", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collected)
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber)).text).toBe("a slow but steady answer")
      expect(yield* asked).toBe(2)
    }).pipe(Effect.provide(
      ResilientModel.layer({ ...atOnce, attemptTimeout: "2 seconds" }).pipe(Layer.provideMerge(ScriptedModel.layer(
        [ScriptedModel.hang, ScriptedModel.text("a slow but steady answer")],
        { betweenParts: "1 second" }
      )))
    )))

  it.effect("lets go of the stream when the consumer is interrupted, takes no more, or an attempt fails", () =>
    Effect.gen(function*() {
      let open = 0
      const held = (parts: Stream.Stream<StreamPart.StreamPart, ModelError.ModelError>) =>
        Stream.acquireRelease(Effect.sync(() => open++), () => Effect.sync(() => open--)).pipe(
          Stream.flatMap(() => parts)
        )
      let calls = 0
      const weak = LanguageModel.make({
        name: "m",
        provider: "p",
        generate: () => Effect.fail(error),
        stream: () =>
          held(calls++ === 0 ? Stream.fail(error) : Stream.concat(Stream.make(StreamPart.textDelta("a")), Stream.never))
      })
      const model = ResilientModel.strengthen(weak, yield* Pipeline.make({ ...atOnce, attemptTimeout: "1 second" }))
      const fiber = yield* Effect.fork(Stream.runDrain(model.stream({ prompt: "hello" })))
      yield* Effect.yieldNow().pipe(Effect.repeatN(20))
      expect([calls, open]).toEqual([2, 1])
      yield* Fiber.interrupt(fiber)
      expect(open).toBe(0)
      yield* Stream.runDrain(Stream.take(model.stream({ prompt: "hello" }), 1))
      expect(open).toBe(0)
    }))

  it.effect("tells the limiter what the reply says of the limits", () =>
    Effect.gen(function*() {
      const rateLimiter = yield* RateLimiter.make({ name: "rpm", requestsPerMinute: 100 })
      const rateLimit = { requests: { limit: 100, remaining: 3, per: "minute" } } as const
      const start = StreamPart.start({ model: "m", rateLimit })
      const weak = yield* ScriptedModel.make([], {
        afterwards: ScriptedModel.parts([start, StreamPart.textDelta("a"), done])
      })
      const model = ResilientModel.strengthen(weak, yield* Pipeline.make({ rateLimiter }))
      yield* StreamPart.collect(model.stream({ prompt: "hello" }))
      expect((yield* RateLimiter.state(rateLimiter)).requestsAvailable).toBeLessThanOrEqual(3)
      // The same of a reply that comes whole.
      const other = yield* RateLimiter.make({ name: "other", requestsPerMinute: 100 })
      yield* ResilientModel.strengthen(weak, yield* Pipeline.make({ rateLimiter: other })).generate({ prompt: "hello" })
      expect((yield* RateLimiter.state(other)).requestsAvailable).toBeLessThanOrEqual(3)
    }))
})

describe("ModelPlan.stream", () => {
  const planOf = (...scripts: ReadonlyArray<ReadonlyArray<ScriptedModel.Step>>) =>
    Effect.gen(function*() {
      const models = yield* Effect.forEach(scripts, (script, at) => ScriptedModel.make(script, { name: `m${at}` }))
      const plan = yield* ModelPlan.make({
        steps: models.map((model, at) => ({ name: `m${at}`, model }))
      })
      return { plan, models }
    })

  it.effect("goes on to the next model until the first content", () =>
    Effect.gen(function*() {
      const { models, plan } = yield* planOf([late], [ScriptedModel.text("from the second")])
      const request = { prompt: "hello", idempotencyKey: "mine" }
      expect((yield* StreamPart.collect(plan.stream(request))).text).toBe("from the second")
      const keys = yield* Effect.forEach(models, (model) => model.requests)
      expect(keys.flat().map((each) => each.idempotencyKey === "mine")).toEqual([true, false])
    }))

  it.effect("and passes on what fails after it", () =>
    Effect.gen(function*() {
      const { models, plan } = yield* planOf([cut], [ScriptedModel.text("never asked")])
      const { end, seen } = yield* broken(plan.stream({ prompt: "hello" }))
      expect(seen.at(-1)).toEqual(StreamPart.textDelta("Hel"))
      expect(end).toMatchObject({ left: { _tag: "Overloaded" } })
      expect(yield* models[1]?.requests ?? Effect.succeed([])).toEqual([])
    }))

  it.effect("fails with the last error when no model could", () =>
    Effect.gen(function*() {
      const { plan } = yield* planOf([late], [overloaded])
      expect((yield* Effect.flip(StreamPart.collect(plan.stream({ prompt: "hello" }))))._tag).toBe("Overloaded")
    }))
})

describe("Recovery.stream", () => {
  const recovered = (...script: ReadonlyArray<ScriptedModel.Step>) =>
    Effect.gen(function*() {
      const recovery = yield* Recovery.make({ table: { Overloaded: () => Recovery.reply("Later, please.") } })
      return Recovery.strengthen(yield* ScriptedModel.make(script), recovery).stream({ prompt: "hello" })
    })

  it.effect("answers from the table where nothing had come", () =>
    Effect.gen(function*() {
      for (const step of [overloaded, late]) {
        const parts = yield* Stream.runCollect(yield* recovered(step))
        expect(Chunk.toReadonlyArray(parts).map((part) => part._tag)).toEqual(["Start", "TextDelta", "Finish"])
        const response = yield* StreamPart.collect(Stream.fromChunk(parts))
        expect(response.text).toBe("Later, please.")
        expect(Recovery.degradedBy(response)).toEqual(Option.some("Overloaded"))
      }
    }))

  it.effect("says to forget what had come", () =>
    Effect.gen(function*() {
      const { end, seen } = yield* broken(yield* recovered(cut))
      expect(end._tag).toBe("Right")
      expect(seen.map((part) => part._tag)).toEqual(["Start", "TextDelta", "Reset", "Start", "TextDelta", "Finish"])
      expect((yield* StreamPart.collect(Stream.fromIterable(seen))).text).toBe("Later, please.")
    }))

  it.effect("leaves other errors and whole streams alone", () =>
    Effect.gen(function*() {
      const key = new ModelError.Authentication({ provider: "scripted" })
      const refused = yield* recovered(ScriptedModel.fail(key))
      expect((yield* Effect.flip(Stream.runDrain(refused)))._tag).toBe("Authentication")
      expect((yield* StreamPart.collect(yield* recovered(ScriptedModel.text("whole")))).text).toBe("whole")
    }))
})
