import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { BulkheadFull, CircuitOpen, PolicyError, RateLimitExceeded, TimedOut } from "../../src/error/PolicyError.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Timeout from "../../src/policy/Timeout.ts"
import * as Tripping from "../../src/policy/Tripping.ts"

const down = Effect.fail("down")

/** What a policy of that name refuses with. */
const refusalsOf = (name: string) =>
  Effect.gen(function*() {
    const rate = yield* RateLimiter.make({ name, requestsPerMinute: 1, tokensPerMinute: 10, onExceeded: "fail" })
    yield* RateLimiter.apply(Effect.void, rate)
    const bulkhead = yield* Bulkhead.make({ name, maxConcurrent: 1, maxQueued: 1, queueTimeout: "1 second" })
    const limit = yield* ConcurrencyLimit.make({ name, initial: 1, ceiling: 1 })
    const breaker = yield* CircuitBreaker.make({ name, tripping: Tripping.consecutive(1), openFor: "10 seconds" })
    yield* Effect.ignore(CircuitBreaker.apply(down, breaker))
    const breakers = yield* CircuitBreaker.keyed({ name, tripping: Tripping.consecutive(1), openFor: "10 seconds" })
    yield* Effect.ignore(breakers.apply("key")(down))
    yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
    yield* Effect.fork(ConcurrencyLimit.apply(Effect.never, limit))
    yield* Effect.yieldNow()
    const late = yield* Effect.fork(Effect.flip(Bulkhead.apply(Effect.void, bulkhead)))
    yield* Effect.yieldNow()
    const refused = yield* Effect.all({
      circuit: Effect.flip(CircuitBreaker.apply(Effect.void, breaker)),
      keyed: Effect.flip(breakers.apply("key")(Effect.void)),
      rate: Effect.flip(RateLimiter.apply(Effect.void, rate)),
      cost: Effect.flip(RateLimiter.applyCost(Effect.void, rate, { tokens: 20 })),
      bulkhead: Effect.flip(Bulkhead.apply(Effect.void, bulkhead)),
      limit: Effect.flip(ConcurrencyLimit.apply(Effect.void, limit))
    })
    yield* TestClock.adjust("1 second")
    return { ...refused, queue: yield* Fiber.join(late) }
  })

describe("what policies refuse with", () => {
  it.effect("is what the constructors of the errors make, without a stack trace", () =>
    Effect.gen(function*() {
      const refused = yield* refusalsOf("openai")
      const retryAfter = Duration.seconds(10)
      const openedBy = { tag: "string", message: "down" }
      expect(refused).toEqual({
        circuit: new CircuitOpen({ name: "openai", retryAfter, openedBy }),
        keyed: new CircuitOpen({ name: "openai/key", retryAfter, openedBy }),
        rate: new RateLimitExceeded({ name: "openai", retryAfter: Duration.minutes(1) }),
        cost: new RateLimitExceeded({
          name: "openai",
          retryAfter: Duration.zero,
          reason: "cost",
          cost: 20,
          limit: 10,
          unit: "tokens"
        }),
        bulkhead: new BulkheadFull({ name: "openai", maxConcurrent: 1, maxQueued: 1 }),
        limit: new BulkheadFull({ name: "openai", maxConcurrent: 1, maxQueued: 0 }),
        queue: new TimedOut({ phase: "queue", limit: Duration.seconds(1) })
      })
      for (const error of Object.values(refused)) expect(error.stack).toBeUndefined()
    }))

  it.effect("is, for a time-out, the same", () =>
    Effect.gen(function*() {
      const timeout = yield* Timeout.make({ limit: "5 seconds" })
      const fiber = yield* Effect.fork(Effect.flip(Timeout.apply(Effect.never, timeout)))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(fiber)).toEqual(new TimedOut({ phase: "attempt", limit: Duration.seconds(5) }))
    }))

  it.effect("holds no credential, not even where the name of the policy does", () =>
    Effect.gen(function*() {
      const secret = "tOpSeCrEt0123456789abcdef"
      for (const error of Object.values(yield* refusalsOf(`x-api-key: ${secret}`))) {
        for (const shown of [JSON.stringify(error), String(error), error.message]) {
          expect(shown, error._tag).not.toContain(secret)
        }
      }
    }))

  it.effect("can be written to JSON and read back, even during a pause without end", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "openai", requestsPerMinute: 1, onExceeded: "fail" })
      yield* RateLimiter.pause(limiter, Duration.infinity)
      const error = yield* Effect.flip(RateLimiter.apply(Effect.void, limiter))
      expect(Duration.isFinite(error.retryAfter)).toBe(true)
      const wire: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(PolicyError)(error)))
      expect(Schema.decodeUnknownSync(PolicyError)(wire)).toEqual(error)
    }))
})
