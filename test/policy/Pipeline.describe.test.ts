import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import { everything } from "./support/policyFiles.ts"

const bounds = (options: Pipeline.Options) =>
  Effect.map(Pipeline.make(options), (pipeline) => {
    const { attempts, calls, duration, wait } = Pipeline.bounds(pipeline)
    return { attempts, calls, wait: Duration.toSeconds(wait), duration: Duration.toSeconds(duration) }
  })

const hinted = { backoff: "constant", delay: "2 seconds", attempts: 4 } as const
/** Without hints, so that the waits are those of the backoff. */
const retry = { ...hinted, honourHints: "never" } as const

describe("Pipeline.describe", () => {
  it.effect("prints all policies in their order, every number, and the worst case with hedges", () =>
    Effect.gen(function*() {
      const lines = Pipeline.describe(yield* Pipeline.decode(everything)).split("\n  → ")
      const order = [
        /^everything: stream: .*8s.*5s.*3s.*5m.*100ms.*goes on.*begins anew.*200000/,
        /^total time-out 1m/,
        /^retry: .*500ms.*8s.*4 attempts/,
        /^retry budget.*30%.*5/,
        /^adaptive retry.*3 times.*20s/,
        /^hedge.*2 further attempts after 2s/,
        /^circuit breaker.*50%.*30s.*10 calls.*10s.*2 probes/,
        /^rate limiter.*500 requests.*200000 tokens.*30s/,
        /^adaptive limit.*2 to 100.*20 now/,
        /^bulkhead.*50.*100 waiting.*5s/,
        /^attempt time-out 10s/,
        /^call\n/
      ]
      expect(lines.length).toBe(order.length)
      order.forEach((pattern, i) => expect(lines[i]).toMatch(pattern))
      expect(lines.at(-1)).toContain("worst case: 4 attempts (12 calls with hedges)")
      // The total of a stream.
      expect(lines.at(-1)).toContain("5m in all")
    }))
})

describe("Pipeline.bounds", () => {
  it.effect("counts the wait that the other side may ask for each time", () =>
    Effect.gen(function*() {
      expect(yield* bounds({ retry: hinted })).toMatchObject({ attempts: 4, wait: 180 })
    }))

  it.effect("counts the calls that hedges add, a hedge without a retry too", () =>
    Effect.gen(function*() {
      const hedge = { delay: "1 second", maxHedges: 2, budget: "none" } as const
      expect(yield* bounds({ retry, hedge })).toMatchObject({ attempts: 4, calls: 12, wait: 6 })
      expect(yield* bounds({ hedge })).toMatchObject({ attempts: 1, calls: 3, wait: 0 })
    }))

  it.effect("counts how much an adaptive retry can stretch the waits, to its cap and to the deadline", () =>
    Effect.gen(function*() {
      const attemptTimeout = "1 second"
      expect(yield* bounds({ retry, attemptTimeout })).toMatchObject({ wait: 6, duration: 10 })
      expect(yield* bounds({ retry, attemptTimeout, adaptiveRetry: {} })).toMatchObject({ wait: 24, duration: 28 })
      expect(yield* bounds({ retry, attemptTimeout, adaptiveRetry: { cap: "3 seconds" } })).toMatchObject({ wait: 15 })
      expect(yield* bounds({ retry: { ...retry, within: "9 seconds" }, adaptiveRetry: {} })).toMatchObject({ wait: 9 })
      expect(yield* bounds({ retry, totalTimeout: "20 seconds", adaptiveRetry: {} })).toMatchObject({ wait: 20 })
    }))

  it.effect("knows no end where a call may wait for its turn, but for the total time-out", () =>
    Effect.gen(function*() {
      const waiting: ReadonlyArray<Pipeline.Options> = [
        { rateLimiter: { requestsPerMinute: 1 } },
        { bulkhead: { maxConcurrent: 1, maxQueued: 1 } },
        { concurrencyLimit: { maxQueued: 1 } },
        { adaptiveRetry: { mode: "rate" } }
      ]
      for (const options of waiting) {
        expect(yield* bounds({ ...options, retry, attemptTimeout: "1 second" })).toMatchObject({ duration: Infinity })
        expect(yield* bounds({ ...options, retry, totalTimeout: "1 minute" })).toMatchObject({ duration: 60 })
      }
    }))
})

describe("the worst case of hedges", () => {
  const attemptTimeout = "10 seconds"
  const timeOf = (hedge: Pipeline.Options["hedge"]) =>
    Effect.map(bounds({ hedge, attemptTimeout }), (all) => all.duration)

  it.effect("is the last of them, which begins late and takes as long as any attempt", () =>
    Effect.gen(function*() {
      const hedge = { delay: "2 seconds", maxHedges: 2, budget: "none" } as const
      expect(yield* timeOf(hedge)).toBe(14)
      const pipeline = yield* Pipeline.make({ hedge, attemptTimeout })
      const call = yield* Effect.fork(Effect.flip(Pipeline.apply(Effect.never, pipeline)))
      yield* TestClock.adjust("13999 millis")
      expect(call.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 milli")
      expect(yield* Fiber.join(call)).toMatchObject({ _tag: "TimedOut", phase: "attempt" })
    }))

  it.effect("is one attempt after the other where none begins before others have failed", () =>
    Effect.gen(function*() {
      expect(yield* timeOf({ delay: Infinity, maxHedges: 2, budget: "none" })).toBe(30)
      expect(yield* timeOf({ delay: { quantile: 0.9 }, maxHedges: 2, budget: "none" })).toBe(30)
    }))
})

describe("the worst case of a wait that has an end", () => {
  const attemptTimeout = "10 seconds"

  it.effect.each<readonly [string, Pipeline.Options, number]>([
    ["a queue with a time-out", { bulkhead: { maxConcurrent: 1, maxQueued: 1, queueTimeout: "3 seconds" } }, 13],
    ["a bulkhead without a queue", { bulkhead: { maxConcurrent: 1 } }, 10],
    ["an adaptive limit without a queue", { concurrencyLimit: {} }, 10],
    ["a limiter that waits so long", { rateLimiter: { requestsPerMinute: 1, maxWait: "4 seconds" } }, 14],
    ["a limiter that does not wait", { rateLimiter: { requestsPerMinute: 1, onExceeded: "fail" } }, 10]
  ])("%s", ([, options, seconds]) =>
    Effect.gen(function*() {
      expect(yield* bounds({ ...options, attemptTimeout })).toMatchObject({ duration: seconds })
    }))
})

describe("policies that are shared", () => {
  it.effect("are the very values, and count the calls of all pipelines", () =>
    Effect.gen(function*() {
      const circuitBreaker = yield* CircuitBreaker.make({ name: "openai" })
      const rateLimiter = yield* RateLimiter.make({ name: "openai", requestsPerMinute: 60 })
      const bulkhead = yield* Bulkhead.make({ name: "openai", maxConcurrent: 1 })
      const [one, other] = [
        yield* Pipeline.make({ name: "one", circuitBreaker, rateLimiter, bulkhead }),
        yield* Pipeline.make({ name: "other", circuitBreaker, rateLimiter, bulkhead })
      ]
      yield* Pipeline.apply(Effect.void, one)
      yield* Pipeline.apply(Effect.void, other)
      expect((yield* RateLimiter.state(rateLimiter)).requestsAvailable).toBe(58)
      expect(yield* CircuitBreaker.state(circuitBreaker)).toMatchObject({ calls: 2 })
      expect(Pipeline.policies(one).bulkhead).toBe(bulkhead)
      // They are not repeated in the file.
      expect(Pipeline.encode(one)).toEqual({ name: "one" })
    }))
})

describe("Pipeline.layer", () => {
  it.effect("provides the pipeline of the running program, or says what is wrong", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.Pipeline.pipe(Effect.provide(Pipeline.layer(everything)))
      expect(Pipeline.isPipeline(pipeline)).toBe(true)
      expect(yield* Pipeline.apply(Effect.succeed(1), pipeline)).toBe(1)
      const wrong = yield* Effect.flip(
        Effect.provide(Pipeline.Pipeline, Pipeline.layer({ bulkhead: { maxConcurrent: 0 } }))
      )
      expect(wrong.issues.map(({ path }) => path)).toEqual(["bulkhead.maxConcurrent"])
    }))
})
