import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import { RateLimited } from "../../src/error/ModelError.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { jumpingClock } from "./support/jumpingClock.ts"

const options = { name: "openai", requestsPerMinute: 60, tokensPerMinute: 60_000 } as const

const throttledFor = (duration: Duration.DurationInput) =>
  Effect.fail(new RateLimited({ provider: "p", retryAfter: Duration.decode(duration) }))

/** Starts a call, which gives the virtual time at which it ran. */
const started = (limiter: RateLimiter.RateLimiter) =>
  Effect.zipLeft(
    Effect.fork(RateLimiter.apply(TestClock.currentTimeMillis, limiter)),
    Effect.yieldNow()
  )

describe("A hint of the other side", () => {
  it.effect("pauses for an hour at most, unless the options say otherwise", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(options)
      yield* Effect.flip(RateLimiter.apply(throttledFor("3285 days"), limiter))
      expect((yield* RateLimiter.state(limiter)).pausedFor).toBe(3_600_000)
      const shorter = yield* RateLimiter.make({ ...options, longestHint: "10 seconds" })
      yield* Effect.flip(RateLimiter.apply(throttledFor("11 seconds"), shorter))
      expect((yield* RateLimiter.state(shorter)).pausedFor).toBe(10_000)
    }))

  it.effect("is told to the monitor as long as it is believed", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const limiter = yield* RateLimiter.make({ ...options, longestHint: "10 seconds" })
      yield* Effect.flip(RateLimiter.apply(throttledFor("30 days"), limiter)).pipe(
        Effect.provideService(Monitor.Monitor, monitor)
      )
      expect(yield* events).toMatchObject([{ _tag: "RateLimitPaused", until: 10_000, wait: Duration.seconds(10) }])
    }))

  it.effect("is ended by resume: who waits goes on at the limit's rate", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(options)
      yield* RateLimiter.pause(limiter, "30 days")
      const waiting = yield* Effect.replicateEffect(started(limiter), 3)
      yield* TestClock.adjust("5 seconds")
      yield* RateLimiter.resume(limiter)
      expect((yield* RateLimiter.state(limiter)).pausedFor).toBe(0)
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.joinAll(waiting)).toEqual([5_000, 6_000, 7_000])
      yield* RateLimiter.resume(limiter)
    }))

  it.effect("a pause without end is ended, too", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(options)
      yield* RateLimiter.pause(limiter, Duration.infinity)
      const waiting = yield* started(limiter)
      yield* TestClock.adjust("400 days")
      expect(waiting.unsafePoll()).toBeNull()
      yield* RateLimiter.resume(limiter)
      yield* Fiber.join(waiting)
    }))
})

describe("What one reply says", () => {
  it.effect("a usage of 1e15 tokens is a debt of one minute's limit", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(options)
      yield* RateLimiter.applyCost(Effect.succeed(1e15), limiter, { tokens: 100, actual: (used) => used })
      expect((yield* RateLimiter.state(limiter)).tokensAvailable).toBe(-60_000)
      const next = yield* started(limiter)
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(next)).toBe(60_000)
    }))

  it.effect("a limit of 100 tokens, once: one call a minute probes it, and after ten minutes it is forgotten", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...options, onExceeded: "fail" })
      const call = RateLimiter.applyCost(Effect.void, limiter, { tokens: 1_000 })
      yield* RateLimiter.learn(limiter, { "x-ratelimit-limit-tokens": "100" })
      yield* call
      expect(yield* Effect.flip(call)).toMatchObject({ reason: "cost", limit: 100 })
      yield* TestClock.adjust("59 seconds")
      expect(yield* Effect.flip(call)).toMatchObject({ reason: "cost", limit: 100 })
      yield* TestClock.adjust("1 second")
      yield* call
      yield* TestClock.adjust("9 minutes")
      // What was left goes on as it was, and refills at the configured rate.
      yield* TestClock.adjust("1 minute")
      yield* Effect.replicateEffect(call, 10)
      expect((yield* RateLimiter.state(limiter)).tokensPerMinute).toBe(60_000)
    }))

  it.effect("a probe whose reply tells a higher limit ends the suspicion at once", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...options, onExceeded: "fail" })
      yield* RateLimiter.learn(limiter, { "x-ratelimit-limit-tokens": "100" })
      const probe = Effect.zipRight(Effect.void, RateLimiter.learn(limiter, { "x-ratelimit-limit-tokens": "60000" }))
      yield* RateLimiter.applyCost(probe, limiter, { tokens: 1_000 })
      expect((yield* RateLimiter.state(limiter)).tokensPerMinute).toBe(60_000)
      yield* TestClock.adjust("1 second")
      yield* RateLimiter.applyCost(Effect.void, limiter, { tokens: 1_000 })
    }))

  it.effect("those who wait behind a learned limit go on when it is forgotten", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...options, burst: 0 })
      yield* RateLimiter.learn(limiter, { requestsPerMinute: 1, requestsRemaining: 0 })
      const waiting = yield* Effect.replicateEffect(started(limiter), 12)
      yield* TestClock.adjust("15 minutes")
      const times = yield* Fiber.joinAll(waiting)
      expect(times.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, i) => (i + 1) * 60_000))
      expect(times.slice(10)).toEqual([601_000, 602_000])
    }))

  for (let seed = 0; seed < 20; seed++) {
    it.effect(`whatever it is, a call of any allowed cost passes an hour and a few minutes later (seed ${seed})`, () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make({ ...options, onExceeded: "fail" })
        const number = Effect.map(Random.next, (x) => x < 0.1 ? Infinity : x < 0.2 ? NaN : 10 ** (x * 300 - 100))
        for (let i = 0; i < 30; i++) {
          const [usage, perMinute, remaining, hint] = yield* Effect.all([number, number, number, number])
          yield* RateLimiter.learn(limiter, { requestsPerMinute: perMinute, requestsRemaining: remaining })
          yield* RateLimiter.learn(limiter, { tokensPerMinute: remaining, tokensRemaining: perMinute })
          yield* Effect.exit(
            RateLimiter.applyCost(Effect.succeed(usage), limiter, { tokens: 10, actual: (used) => used })
          )
          if (i % 7 === 0) {
            yield* Effect.exit(RateLimiter.apply(throttledFor(Duration.millis(Math.min(hint, 1e300))), limiter))
          }
          yield* TestClock.adjust(Duration.minutes(yield* Random.nextIntBetween(0, 90)))
        }
        yield* TestClock.adjust("72 minutes")
        yield* RateLimiter.applyCost(Effect.void, limiter, { tokens: 60_000 })
      }).pipe(Effect.withRandom(Random.make(`replies ${seed}`))))
  }
})

describe("A system clock that is set back or forth", () => {
  it.effect("changes nothing for waits and pauses", () =>
    Effect.gen(function*() {
      for (const millis of [-86_400_000, 86_400_000]) {
        const { clock, jump } = yield* jumpingClock
        const jumping = Effect.withClock(clock)
        const limiter = yield* jumping(RateLimiter.make({ ...options, burst: 0 }))
        const ran: Array<string> = []
        const call = (name: string) =>
          Effect.zipLeft(
            Effect.fork(jumping(RateLimiter.apply(Effect.sync(() => void ran.push(name)), limiter))),
            Effect.yieldNow()
          )
        yield* call("first")
        yield* call("second")
        yield* jump(millis)
        yield* TestClock.adjust("999 millis")
        expect(ran).toEqual(["first"])
        yield* TestClock.adjust("1 millis")
        expect(ran).toEqual(["first", "second"])
        yield* jumping(RateLimiter.pause(limiter, "10 seconds"))
        yield* jump(millis)
        expect((yield* jumping(RateLimiter.state(limiter))).pausedFor).toBe(10_000)
        yield* call("third")
        yield* TestClock.adjust("9999 millis")
        expect(ran).toEqual(["first", "second"])
        yield* TestClock.adjust("1 millis")
        expect(ran).toEqual(["first", "second", "third"])
      }
    }))

  it.effect("the pause that is told ends at a date, as the other side's own", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const { clock } = yield* jumpingClock
      yield* Effect.gen(function*() {
        const limiter = yield* RateLimiter.make(options)
        yield* RateLimiter.pause(limiter, "10 seconds")
        const now = yield* Clock.currentTimeMillis
        expect(yield* events).toMatchObject([{ _tag: "RateLimitPaused", at: now, until: now + 10_000 }])
      }).pipe(Effect.withClock(clock), Effect.provideService(Monitor.Monitor, monitor))
    }))
})

describe("A cost above the burst, but not above the limit", () => {
  const bursts = { name: "a", tokensPerMinute: 60_000, burst: 0.5 } as const
  const costly = (limiter: RateLimiter.RateLimiter) =>
    RateLimiter.applyCost(Effect.succeed("ok"), limiter, { tokens: 40_000 })

  it.effect("passes a full bucket where it must not wait, and the next one has to wait until it is full again", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...bursts, onExceeded: "fail" })
      expect(yield* costly(limiter)).toBe("ok")
      expect((yield* RateLimiter.state(limiter)).tokensAvailable).toBe(-10_000)
      expect(yield* Effect.flip(costly(limiter))).toMatchObject({ reason: "rate", retryAfter: Duration.seconds(40) })
      yield* TestClock.adjust("40 seconds")
      expect(yield* costly(limiter)).toBe("ok")
    }))

  it.effect("passes where the burst is 0", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...bursts, burst: 0, onExceeded: "fail" })
      expect(yield* costly(limiter)).toBe("ok")
      expect(yield* Effect.flip(costly(limiter))).toMatchObject({ reason: "rate", retryAfter: Duration.seconds(40) })
    }))

  it.effect("passes where it would have to wait longer than it may, though the bucket is full", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...bursts, maxWait: "5 seconds" })
      expect(yield* costly(limiter)).toBe("ok")
      yield* TestClock.adjust("38 seconds")
      expect(yield* Effect.flip(costly(limiter))).toMatchObject({ reason: "rate", retryAfter: Duration.seconds(2) })
    }))

  it.effect("waits until it is saved up where it may", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...bursts, maxWait: "10 seconds" })
      const call = yield* Effect.fork(costly(limiter))
      yield* TestClock.adjust("9 seconds")
      expect(call.unsafePoll()).toBeNull()
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(call)).toBe("ok")
    }))
})
