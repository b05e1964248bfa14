import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Fallback from "../../src/policy/Fallback.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { down, errorOf, finish, must, noted, settled, threeAttempts } from "./support/scenario.ts"

const tripping = (failures: number) => ({ tripping: { when: "consecutive", failures } as const })
const closed = (calls: number, failures: number) => ({ _tag: "Closed", calls, failures })

describe("retry and circuit breaker", () => {
  it.effect("in a pipeline the breaker is inside the retry and counts each attempt", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        retry: threeAttempts,
        circuitBreaker: { tripping: Tripping.consecutive(5) }
      })
      const breaker = must(Pipeline.policies(pipeline).circuitBreaker)
      yield* finish(Pipeline.apply(Effect.fail(down), pipeline))
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Closed", failures: 3 })
      const { call, starts } = noted(Effect.fail(down))
      const { exit } = yield* finish(Pipeline.apply(call, pipeline))
      // It opens at the second attempt; the third is refused, which is not worth a retry.
      expect(starts.length).toBe(2)
      expect(errorOf(exit)).toMatchObject({ _tag: "CircuitOpen" })
    }))

  it.effect("by hand a breaker outside of the retry counts the call once", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "outer", tripping: Tripping.consecutive(5) })
      const retry = RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3))
      yield* finish(Effect.fail(down).pipe(Retry.apply(retry), CircuitBreaker.apply(breaker)))
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Closed", failures: 1 })
    }))

  it.effect("an attempt that takes too long weighs on the breaker, which is outside of its time-out", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ circuitBreaker: tripping(1), attemptTimeout: "1 second" })
      yield* finish(Pipeline.apply(Effect.never, pipeline))
      expect((yield* CircuitBreaker.state(must(Pipeline.policies(pipeline).circuitBreaker)))._tag).not.toBe("Closed")
    }))
})

describe("time-outs and hedges", () => {
  it.effect("every attempt of a hedge has a time-out of its own, and the total one is round them all", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "10 seconds",
        hedge: { delay: "1 second", maxHedges: 2, budget: "none" },
        attemptTimeout: "4 seconds"
      })
      const { call, starts } = noted(Effect.never)
      const { exit, took } = yield* finish(Pipeline.apply(call, pipeline))
      expect(starts).toEqual([0, 1_000, 2_000])
      expect(errorOf(exit)).toMatchObject({ _tag: "TimedOut", phase: "attempt" })
      expect(took).toBe(6_000)
      const short = yield* Pipeline.make({
        totalTimeout: "5 seconds",
        hedge: { delay: "1 second", maxHedges: 2, budget: "none" },
        attemptTimeout: "4 seconds"
      })
      expect(yield* finish(Pipeline.apply(Effect.never, short))).toMatchObject({ took: 5_000 })
    }))

  it.effect("each attempt of a hedge takes a permit and a request of its own", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        hedge: { delay: "1 second", maxHedges: 2, budget: "none" },
        rateLimiter: { requestsPerMinute: 60 },
        bulkhead: { maxConcurrent: 5 }
      })
      const { bulkhead, rateLimiter } = Pipeline.policies(pipeline)
      const fiber = yield* Effect.fork(Pipeline.apply(Effect.never, pipeline))
      yield* TestClock.adjust("2500 millis")
      expect(yield* Bulkhead.stats(must(bulkhead))).toMatchObject({ running: 3 })
      yield* Fiber.interrupt(fiber)
      expect(yield* Bulkhead.stats(must(bulkhead))).toMatchObject({ running: 0 })
      expect((yield* RateLimiter.state(must(rateLimiter))).requestsAvailable).toBeLessThan(60)
    }))

  it.effect("retries and hedges take from one budget", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        retry: { backoff: "constant", delay: "10 seconds", attempts: 3 },
        retryBudget: { share: { ratio: 0, minimum: 1 } },
        hedge: { delay: "1 second", maxHedges: 1 }
      })
      const budget = must(Pipeline.policies(pipeline).retryBudget)
      const slow = yield* Effect.fork(Pipeline.apply(Effect.never, pipeline))
      yield* TestClock.adjust("2 seconds")
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 1, hedges: 1, available: 0 })
      // The hedge of the one has used up what a retry of the other would need.
      const { call, starts } = noted(Effect.fail(down))
      const other = yield* Effect.fork(Effect.exit(Pipeline.apply(call, pipeline)))
      yield* TestClock.adjust("1 minute")
      expect(errorOf(yield* Fiber.join(other))).toBe(down)
      expect(starts.length).toBe(1)
      yield* Fiber.interrupt(slow)
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 0, hedges: 0, retries: 0, available: 1 })
    }))
})

describe("refusals of our own", () => {
  it.effect("of the limiter and the bulkhead do not weigh on the breaker", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        circuitBreaker: tripping(1),
        rateLimiter: { requestsPerMinute: 2, onExceeded: "fail" },
        bulkhead: { maxConcurrent: 1 }
      })
      const { circuitBreaker } = Pipeline.policies(pipeline)
      const holder = yield* Effect.fork(Pipeline.apply(Effect.never, pipeline))
      yield* settled
      expect(yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))).toMatchObject({ _tag: "BulkheadFull" })
      yield* Fiber.interrupt(holder)
      yield* Pipeline.apply(Effect.void, pipeline)
      expect(yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))).toMatchObject({ _tag: "RateLimitExceeded" })
      expect(yield* CircuitBreaker.state(must(circuitBreaker))).toMatchObject(closed(0, 0))
    }))

  it.effect("a call that the bulkhead refused gives its request and its tokens back", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        rateLimiter: { requestsPerMinute: 60, tokensPerMinute: 1_000 },
        bulkhead: { maxConcurrent: 1 }
      })
      const limiter = must(Pipeline.policies(pipeline).rateLimiter)
      const holder = yield* Effect.fork(Pipeline.applyCost(Effect.never, pipeline, { tokens: 100 }))
      yield* settled
      yield* Effect.flip(Pipeline.applyCost(Effect.void, pipeline, { tokens: 300 }))
      expect(yield* RateLimiter.state(limiter)).toMatchObject({ requestsAvailable: 59, tokensAvailable: 900 })
      yield* Fiber.interrupt(holder)
    }))

  it.effect("a wait in a queue that the total time-out ends weighs on nobody, and gives everything back", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "5 seconds",
        circuitBreaker: tripping(1),
        rateLimiter: { requestsPerMinute: 60 },
        concurrencyLimit: { initial: 10 },
        bulkhead: { maxConcurrent: 1, maxQueued: 5 }
      })
      const all = Pipeline.policies(pipeline)
      const bulkhead = must(all.bulkhead)
      const holder = yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      const waiting = yield* Effect.fork(Effect.flip(Pipeline.apply(Effect.void, pipeline)))
      yield* TestClock.adjust("4 seconds")
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1, queued: 1 })
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "TimedOut", phase: "total" })
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1, queued: 0 })
      expect(yield* CircuitBreaker.state(must(all.circuitBreaker))).toMatchObject(closed(0, 0))
      expect(yield* ConcurrencyLimit.stats(must(all.concurrencyLimit))).toMatchObject({ running: 0, maxConcurrent: 10 })
      expect((yield* RateLimiter.state(must(all.rateLimiter))).requestsAvailable).toBe(60)
      yield* Fiber.interrupt(holder)
    }))

  it.effect("that wait ends on time even where the caller cannot be interrupted", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ totalTimeout: "5 seconds", bulkhead: { maxConcurrent: 1, maxQueued: 5 } })
      const bulkhead = must(Pipeline.policies(pipeline).bulkhead)
      const holder = yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      const { exit, took } = yield* finish(Effect.uninterruptible(Pipeline.apply(Effect.void, pipeline)))
      expect(errorOf(exit)).toMatchObject({ _tag: "TimedOut", phase: "total" })
      expect(took).toBe(5_000)
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ queued: 0 })
      yield* Fiber.interrupt(holder)
    }))

  it.effect("a wait at the limiter ends with the total time-out, and the place is free", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "5 seconds",
        circuitBreaker: tripping(1),
        rateLimiter: { requestsPerMinute: 1 }
      })
      const all = Pipeline.policies(pipeline)
      yield* Pipeline.apply(Effect.void, pipeline)
      const waiting = yield* Effect.fork(Effect.flip(Pipeline.apply(Effect.void, pipeline)))
      yield* TestClock.adjust("4 seconds")
      expect((yield* RateLimiter.state(must(all.rateLimiter))).waiting).toBe(1)
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "TimedOut", phase: "total" })
      expect((yield* RateLimiter.state(must(all.rateLimiter))).waiting).toBe(0)
      expect(yield* CircuitBreaker.state(must(all.circuitBreaker))).toMatchObject(closed(0, 0))
    }))

  it.effect("a wait for the client-side rate ends with the total time-out, too", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "5 seconds",
        adaptiveRetry: { mode: "rate" },
        retry: { backoff: "constant", delay: "1 second", attempts: 2 }
      })
      const throttled = Effect.fail(new ModelError.RateLimited({ provider: "openai" }))
      yield* Effect.exit(Pipeline.apply(throttled, pipeline)).pipe(finish)
      const calls = yield* Effect.forEach(Array.from({ length: 40 }), () =>
        Effect.fork(Effect.exit(Pipeline.apply(Effect.void, pipeline))))
      yield* TestClock.adjust("5 seconds")
      const exits = yield* Effect.forEach(calls, Fiber.join)
      expect(exits.some(Exit.isSuccess)).toBe(true)
      expect(exits.filter(Exit.isFailure).map(errorOf)).toContainEqual(
        expect.objectContaining({ _tag: "TimedOut", phase: "total" })
      )
      expect(must(Pipeline.policies(pipeline).adaptiveRetry).cell.rate?.cancelled.length ?? 0).toBeLessThanOrEqual(40)
    }))
})

describe("what a throttle says", () => {
  it.effect("makes every caller of the limiter wait, and weighs nothing on the breaker", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "openai", requestsPerMinute: 6_000 })
      const circuitBreaker = yield* CircuitBreaker.make({ name: "openai", tripping: Tripping.consecutive(1) })
      const one = yield* Pipeline.make({ name: "one", rateLimiter: limiter, circuitBreaker })
      const other = yield* Pipeline.make({ name: "other", rateLimiter: limiter })
      const throttled = new ModelError.RateLimited({ provider: "openai", retryAfter: Duration.seconds(20) })
      yield* Effect.flip(Pipeline.apply(Effect.fail(throttled), one))
      expect(yield* CircuitBreaker.state(circuitBreaker)).toMatchObject(closed(0, 0))
      const { call, starts } = noted(Effect.void)
      const calls = yield* Effect.forEach([one, other], (each) => Effect.fork(Pipeline.apply(call, each)))
      yield* TestClock.adjust("19 seconds")
      expect(starts).toEqual([])
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.joinAll(calls)
      expect(starts.length).toBe(2)
      expect(Math.min(...starts)).toBeGreaterThanOrEqual(20_000)
    }))
})

describe("permits and work that cannot be interrupted", () => {
  it.effect("an attempt that was given up keeps its permit until it has really ended", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        circuitBreaker: tripping(5),
        concurrencyLimit: { initial: 3 },
        bulkhead: { maxConcurrent: 1 },
        attemptTimeout: "1 second"
      })
      const all = Pipeline.policies(pipeline)
      const fiber = yield* Effect.fork(
        Effect.flip(Pipeline.apply(Effect.uninterruptible(Effect.sleep("10 seconds")), pipeline))
      )
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "TimedOut", phase: "attempt" })
      // The breaker knows at once, the places are taken still.
      expect(yield* CircuitBreaker.state(must(all.circuitBreaker))).toMatchObject({ failures: 1 })
      expect(yield* Bulkhead.stats(must(all.bulkhead))).toMatchObject({ running: 1 })
      expect(yield* ConcurrencyLimit.stats(must(all.concurrencyLimit))).toMatchObject({ running: 1 })
      expect(yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))).toMatchObject({ _tag: "BulkheadFull" })
      yield* TestClock.adjust("9 seconds")
      expect(yield* Bulkhead.stats(must(all.bulkhead))).toMatchObject({ running: 0 })
      expect(yield* ConcurrencyLimit.stats(must(all.concurrencyLimit))).toMatchObject({ running: 0 })
      yield* Pipeline.apply(Effect.void, pipeline)
    }))
})

describe("a pipeline within a pipeline", () => {
  it.effect("a retry inside of a retry is reported with the product of attempts", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const inner = yield* Pipeline.make({ name: "inner", retry: threeAttempts })
      const outer = yield* Pipeline.make({
        name: "outer",
        retry: { backoff: "constant", delay: "1 second", attempts: 4 },
        attemptTimeout: "1 minute"
      })
      const { call, starts } = noted(Effect.fail(down))
      yield* finish(call.pipe(Pipeline.apply(inner), Pipeline.apply(outer))).pipe(
        Effect.provide(Monitor.layer(monitor))
      )
      const nested = (yield* events).filter(Event.is("NestedRetry"))
      expect(nested[0]).toMatchObject({ name: "inner", outer: "outer", product: 12 })
      expect(starts.length).toBe(12)
    }))

  it.effect("two that share one bulkhead are refused in place of waiting for each other", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "shared", maxConcurrent: 2, maxQueued: 10 })
      const inner = yield* Pipeline.make({ bulkhead, attemptTimeout: "1 minute" })
      const outer = yield* Pipeline.make({ bulkhead, totalTimeout: "5 minutes" })
      const nested = Effect.sleep("1 second").pipe(
        Effect.zipRight(Pipeline.apply(Effect.succeed("inner"), inner)),
        Pipeline.apply(outer),
        Effect.exit
      )
      const calls = yield* Effect.forEach([1, 2, 3], () => Effect.fork(nested))
      yield* TestClock.adjust("10 seconds")
      const exits = yield* Effect.forEach(calls, Fiber.join)
      const errors = exits.filter(Exit.isFailure).map(errorOf)
      expect(exits.filter(Exit.isSuccess).length).toBeGreaterThan(0)
      expect(errors.length).toBeGreaterThan(0)
      for (const error of errors) expect(error).toMatchObject({ _tag: "BulkheadFull", reason: "reentrant" })
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    }))
})

describe("a fallback", () => {
  it.effect("stands round a pipeline, and sees its refusals", () =>
    Effect.gen(function*() {
      const first = yield* Pipeline.make({
        retry: threeAttempts,
        circuitBreaker: tripping(3),
        attemptTimeout: "1 second"
      })
      const { call, starts } = noted(Effect.fail(down))
      const answer = Fallback.apply(Pipeline.apply(call, first), Fallback.standard, [
        { name: "second", effect: Effect.succeed("from the second") }
      ])
      const fiber = yield* Effect.fork(answer)
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(fiber)).toBe("from the second")
      expect(starts).toEqual([0, 1_000, 2_000])
      // Now the circuit is open, and the fallback answers at once.
      expect(yield* answer).toBe("from the second")
      expect(starts.length).toBe(3)
    }))
})
