import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import { Throttled } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as AdaptiveThrottle from "../../src/policy/AdaptiveThrottle.ts"
import * as Kernel from "../../src/policy/adaptiveThrottle/kernel.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

const about = { provider: "openai", model: "gpt" }
const up = Effect.succeed("up")
const busy = Effect.fail(new ModelError.RateLimited(about))

const made = (options: AdaptiveThrottle.Options = {}) =>
  Effect.withRandom(
    AdaptiveThrottle.make({ name: "openai", ratio: 2, window: "2 minutes", ...options }),
    Random.make("seed")
  )

const times = (count: number, effect: Effect.Effect<unknown, unknown>, throttle: AdaptiveThrottle.AdaptiveThrottle) =>
  effect.pipe(AdaptiveThrottle.apply(throttle), Effect.exit, Effect.replicateEffect(count))

describe("the probability of a refusal", () => {
  const settings = { ratio: 2, windowMillis: 120_000 }

  it.each([
    [{ requests: 0, accepts: 0 }, 0],
    [{ requests: 100, accepts: 100 }, 0],
    [{ requests: 100, accepts: 50 }, 0],
    [{ requests: 100, accepts: 20 }, 60 / 101],
    [{ requests: 100, accepts: 0 }, 100 / 101],
    [{ requests: 1, accepts: 0 }, 1 / 2]
  ])("of %o is %d", (counts, probability) => expect(Kernel.refusalProbability(settings, counts)).toBe(probability))

  it("is higher where the ratio is lower", () =>
    expect(Kernel.refusalProbability({ ...settings, ratio: 1.5 }, { requests: 100, accepts: 50 })).toBe(25 / 101))
})

describe("AdaptiveThrottle", () => {
  it.effect("refuses nothing while at least half is accepted", () =>
    Effect.gen(function*() {
      const throttle = yield* made()
      for (let i = 0; i < 100; i++) {
        yield* times(1, up, throttle)
        yield* times(1, busy, throttle)
      }
      expect(yield* AdaptiveThrottle.stats(throttle)).toEqual({
        requests: 200,
        accepts: 100,
        refusalProbability: 0,
        refused: 0
      })
    }))

  it.effect("sends a side that takes nothing only a few calls, and all again when it has recovered", () =>
    Effect.gen(function*() {
      const throttle = yield* made()
      let sent = 0
      const counted = Effect.zipRight(Effect.sync(() => sent++), busy)
      yield* times(1_000, counted, throttle)
      expect(sent).toBeLessThan(20)
      expect((yield* AdaptiveThrottle.stats(throttle)).refused).toBe(1_000 - sent)
      yield* TestClock.adjust("2 minutes")
      const later = yield* times(100, up, throttle)
      expect(later.every(Exit.isSuccess)).toBe(true)
    }))

  it.effect("draws from Random, the same for the same seed", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([made(), made()])
      const [first, second] = [yield* times(50, busy, one), yield* times(50, busy, other)]
      expect(first.map((exit) => String(exit))).toEqual(second.map((exit) => String(exit)))
    }))

  it.effect("refuses with the numbers that it went by, and reports it", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const throttle = yield* made()
      yield* times(200, busy, throttle)
      const error = yield* Effect.flip(AdaptiveThrottle.apply(busy, throttle)).pipe(
        Effect.repeat({ until: (each): each is Throttled => each instanceof Throttled }),
        Effect.provideService(Monitor.Monitor, monitor)
      )
      expect(error).toEqual(new Throttled({ name: "openai", requests: error.requests, accepts: 0 }))
      expect(error.message).toContain("of the last")
      expect(Verdict.of(error)).toMatchObject({ action: "Retry", weighs: false })
      expect((yield* events).at(-1)).toMatchObject({ _tag: "ThrottleRefused", name: "openai", accepts: 0 })
    }))

  it.effect("takes an error that is the caller's own fault for an answer", () =>
    Effect.gen(function*() {
      const throttle = yield* made()
      yield* times(20, Effect.fail(new ModelError.InvalidRequest({ ...about, status: 400 })), throttle)
      expect(yield* AdaptiveThrottle.stats(throttle)).toMatchObject({ requests: 20, accepts: 20 })
      const weak = yield* made()
      yield* times(1, Effect.fail(new ModelError.ServerError({ ...about, status: 503 })), weak)
      expect(yield* AdaptiveThrottle.stats(weak)).toMatchObject({ requests: 1, accepts: 0 })
    }))

  it.effect("counts calls when they end, and those that are interrupted not at all", () =>
    Effect.gen(function*() {
      const throttle = yield* made()
      const gate = yield* Deferred.make<void>()
      const calls = yield* Effect.forEach(
        Array.from({ length: 50 }),
        () => Effect.fork(AdaptiveThrottle.apply(Deferred.await(gate), throttle))
      )
      yield* Effect.yieldNow()
      expect(yield* AdaptiveThrottle.stats(throttle)).toMatchObject({ requests: 0, refused: 0 })
      yield* Effect.forEach(calls, Fiber.interrupt)
      expect(yield* AdaptiveThrottle.stats(throttle)).toMatchObject({ requests: 0, accepts: 0 })
    }))

  it.effect("makes a judge that throws a defect of the call", () =>
    Effect.gen(function*() {
      const thrown = new Error("the judge")
      const throttle = yield* made({
        verdict: () => {
          throw thrown
        }
      })
      expect(yield* Effect.exit(AdaptiveThrottle.apply(busy, throttle))).toEqual(Exit.die(thrown))
      expect(yield* AdaptiveThrottle.stats(throttle)).toMatchObject({ requests: 1, accepts: 0 })
    }))

  it.effect("lists every wrong option, and says what it does", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(AdaptiveThrottle.make({ name: " ", ratio: 0.5, window: 0 }))
      expect(error.issues.map(({ path }) => path)).toEqual(["name", "ratio", "window"])
      expect(AdaptiveThrottle.describe(yield* AdaptiveThrottle.decode({ name: "openai" }))).toBe(
        "adaptive throttle \"openai\": 2 calls for each that is accepted, by those of the last 2m"
      )
      expect(AdaptiveThrottle.defaults).toEqual({ name: "throttle", ratio: 2, window: Duration.minutes(2) })
    }))
})

describe("a pipeline with a throttle", () => {
  it.effect("refuses between the breaker and the limiter, whose refusals it does not count", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "minute", requestsPerMinute: 1, onExceeded: "fail" })
      const throttle = yield* made()
      const pipeline = yield* Pipeline.make({ rateLimiter: limiter, adaptiveThrottle: throttle, circuitBreaker: {} })
      expect(yield* Pipeline.apply(up, pipeline)).toBe("up")
      for (let i = 0; i < 20; i++) yield* Effect.exit(Pipeline.apply(up, pipeline))
      expect(yield* AdaptiveThrottle.stats(throttle)).toMatchObject({ requests: 1, accepts: 1, refused: 0 })
      expect(Pipeline.describe(pipeline)).toMatch(/circuit breaker[^]*adaptive throttle[^]*rate limiter/)
    }))

  it.effect("reads it from a file, and keeps what it has seen when it takes over another", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ adaptiveThrottle: { ratio: 2 } })
      yield* Effect.replicateEffect(Effect.exit(Pipeline.apply(busy, pipeline)), 100)
      yield* Pipeline.reconfigure(pipeline, { adaptiveThrottle: { ratio: 1.5 } })
      const refused = yield* Effect.replicateEffect(Effect.exit(Pipeline.apply(up, pipeline)), 20)
      expect(refused.filter(Exit.isFailure).length).toBeGreaterThan(10)
    }))
})
