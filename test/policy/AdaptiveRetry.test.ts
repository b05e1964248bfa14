import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { InvalidRequest, RateLimited, ServerError } from "../../src/error/ModelError.ts"
import { CircuitOpen, RateLimitExceeded } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import { outcomeOf } from "../../src/policy/adaptiveRetry/requests.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

const throttle = Effect.fail(new RateLimited({ provider: "test" }))
const failure = Effect.fail(new ServerError({ provider: "test", status: 500 }))

const through = <A, E>(self: AdaptiveRetry.AdaptiveRetry, effect: Effect.Effect<A, E>, count = 1) =>
  Effect.replicateEffect(Effect.exit(effect.pipe(AdaptiveRetry.apply(self))), count)

describe("AdaptiveRetry", () => {
  it.effect("stretches waits by the recent errors of the same class, from 1 to 4 times", () =>
    Effect.gen(function*() {
      const adaptive = yield* AdaptiveRetry.make()
      const delays = Effect.map(Clock.currentTimeMillis, (now) => [
        adaptive.cell.stretch(1_000, "throttled", now),
        adaptive.cell.stretch(1_000, "failure", now)
      ])
      expect(yield* delays).toEqual([1_000, 1_000])
      yield* through(adaptive, Effect.void, 60)
      expect(yield* delays).toEqual([1_000, 1_000])
      yield* through(adaptive, throttle, 40)
      expect(yield* delays).toEqual([2_200, 1_000])
      yield* through(adaptive, failure, 60)
      expect(yield* delays).toEqual([2_200, 2_800])
      yield* TestClock.adjust("5 minutes")
      expect(yield* delays).toEqual([1_000, 1_000])
    }))

  it.effect("never shortens a wait, and stretches none beyond the cap", () =>
    Effect.gen(function*() {
      const adaptive = yield* AdaptiveRetry.make({ cap: "10 seconds" })
      yield* through(adaptive, failure, 100)
      const delays = [0, 1_000, 5_000, 10_000, 60_000]
      expect(delays.map((delay) => adaptive.cell.stretch(delay, "failure", 0)))
        .toEqual([0, 4_000, 10_000, 10_000, 60_000])
    }))

  it.effect("tells errors apart by their verdict", () =>
    Effect.sync(() => {
      const outcome = (error: unknown) => Option.getOrUndefined(outcomeOf(error, Verdict.of(error)))
      expect(outcome(new RateLimited({ provider: "test" }))).toBe("throttled")
      expect(outcome(new ServerError({ provider: "test", status: 500 }))).toBe("failure")
      expect(outcome(new InvalidRequest({ provider: "test" }))).toBe("success")
      expect(outcome(new CircuitOpen({ name: "a", retryAfter: Duration.zero }))).toBeUndefined()
      expect(outcome(new RateLimitExceeded({ name: "a", retryAfter: Duration.zero }))).toBeUndefined()
    }))

  it.effect("passes results through, and counts no defect and no interruption", () =>
    Effect.gen(function*() {
      const adaptive = yield* AdaptiveRetry.make({ mode: "rate" })
      expect(yield* Effect.succeed(1).pipe(AdaptiveRetry.apply(adaptive))).toBe(1)
      expect(yield* Effect.exit(AdaptiveRetry.apply(Effect.die("boom"), adaptive))).toEqual(Exit.die("boom"))
      const fiber = yield* Effect.fork(Effect.never.pipe(AdaptiveRetry.apply(adaptive)))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.interrupt(fiber)
      expect(yield* AdaptiveRetry.stats(adaptive)).toEqual({
        calls: 1,
        throttledMultiplier: 1,
        failureMultiplier: 1,
        rate: Option.none()
      })
    }))
})

describe("AdaptiveRetry in the mode \"rate\"", () => {
  /** Throttled at its first call: one call every two seconds from now on, and none saved up. */
  const throttled = Effect.gen(function*() {
    const adaptive = yield* AdaptiveRetry.make({ name: "openai", mode: "rate" })
    yield* through(adaptive, throttle)
    return adaptive
  })

  /** Starts that many calls at once; tells, in order, when each was sent. */
  const burst = (adaptive: AdaptiveRetry.AdaptiveRetry, count: number) =>
    Effect.gen(function*() {
      const sent: Array<readonly [number, number]> = []
      const begun = yield* Clock.currentTimeMillis
      const fibers = yield* Effect.forEach(
        Array.from({ length: count }, (_, i) => i),
        (i) =>
          Effect.fork(Effect.zipRight(
            AdaptiveRetry.acquire(adaptive),
            Effect.map(Clock.currentTimeMillis, (now) => sent.push([i, now - begun]))
          ))
      )
      return { fibers, sent }
    })

  it.effect("holds nothing back before the first throttle", () =>
    Effect.gen(function*() {
      const adaptive = yield* AdaptiveRetry.make({ mode: "rate" })
      yield* through(adaptive, failure, 20)
      const { sent } = yield* burst(adaptive, 50)
      yield* TestClock.adjust(0)
      expect(sent.length).toBe(50)
    }))

  it.effect("lets calls out one by one in their order after it", () =>
    Effect.gen(function*() {
      const adaptive = yield* throttled
      expect((yield* AdaptiveRetry.stats(adaptive)).rate).toEqual(Option.some(AdaptiveRetry.defaults.rate.minimumRate))
      const { sent } = yield* burst(adaptive, 4)
      yield* TestClock.adjust("20 seconds")
      expect(sent).toEqual([[0, 2_000], [1, 4_000], [2, 6_000], [3, 8_000]])
    }))

  it.effect("one that is interrupted while it waits gives its place to those behind it", () =>
    Effect.gen(function*() {
      const { fibers, sent } = yield* Effect.flatMap(throttled, (adaptive) => burst(adaptive, 4))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interruptAll(fibers.slice(1, 2))
      yield* TestClock.adjust("20 seconds")
      expect(sent).toEqual([[0, 2_000], [2, 4_000], [3, 6_000]])
    }))

  it.effect("those who wait notice within a second when the rate rises", () =>
    Effect.gen(function*() {
      const adaptive = yield* AdaptiveRetry.make({ mode: "rate" })
      yield* TestClock.adjust("1 seconds")
      for (let i = 0; i < 5; i++) {
        yield* through(adaptive, throttle).pipe(Effect.fork)
        yield* TestClock.adjust("10 seconds")
      }
      const slow = yield* AdaptiveRetry.stats(adaptive)
      expect(slow.rate).toEqual(Option.some(0.5))
      const { sent } = yield* burst(adaptive, 10)
      for (let i = 0; i < 400; i++) {
        adaptive.cell.record("success", yield* Clock.currentTimeMillis)
        yield* TestClock.adjust("20 millis")
      }
      expect(sent.length).toBe(10)
    }))

  it.effect("reports a wait", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const { fibers } = yield* throttled.pipe(
        Effect.flatMap((adaptive) => burst(adaptive, 1)),
        Effect.provide(Monitor.layer(monitor))
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll(fibers)
      expect((yield* events).map(Event.describe)).toEqual(["openai: waits 2s for the rate limit"])
    }))
})

describe("AdaptiveRetry.make", () => {
  it.effect("lists everything out of range", () =>
    Effect.gen(function*() {
      const wrong = {
        name: "",
        mode: "fast",
        window: "soon",
        calls: 0,
        minimumCalls: 1000,
        maxMultiplier: 0.5,
        cap: -1,
        verdict: 1
      }
      const error = yield* Effect.flip(AdaptiveRetry.make(JSON.parse(JSON.stringify(wrong))))
      expect(error.issues.map((issue) => issue.path).sort()).toEqual(Object.keys(wrong).sort())
    }))

  it.effect("describes itself in one line", () =>
    Effect.gen(function*() {
      expect(AdaptiveRetry.describe(yield* AdaptiveRetry.make({ name: "openai" }))).toBe(
        "openai: waits up to 4 times as long (at most 30s) by the errors of the last 100 calls within 5m"
      )
      expect(AdaptiveRetry.describe(yield* AdaptiveRetry.make({ mode: "rate" }))).toContain("not below 0.5 a second")
    }))

  it.effect("can be a layer", () =>
    Effect.gen(function*() {
      expect(yield* AdaptiveRetry.AdaptiveRetry).toMatchObject({
        name: "adaptiveRetry",
        mode: AdaptiveRetry.defaults.mode,
        settings: { calls: 100, duration: 300_000, minimumCalls: 10, maxMultiplier: 4, cap: 30_000 }
      })
    }).pipe(Effect.provide(AdaptiveRetry.layer())))
})
