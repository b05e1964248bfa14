import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as AdaptiveThrottle from "../../src/policy/AdaptiveThrottle.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import type { Keyed } from "../../src/policy/shared/keyed.ts"

const bounds = { capacity: 2, idleTimeToLive: "1 minute" } as const

/** Each kind of policy as a family, with options that are right, and options that are wrong. */
const kinds: ReadonlyArray<
  readonly [
    kind: string,
    family: Effect.Effect<Keyed<{ readonly name: string }, unknown>, InvalidOptions>,
    wrong: Effect.Effect<unknown, InvalidOptions>
  ]
> = [
  [
    "Bulkhead",
    Bulkhead.keyed({ name: "models", maxConcurrent: 1 }, bounds),
    Bulkhead.keyed({ maxConcurrent: 0 }, { capacity: 0 })
  ],
  [
    "ConcurrencyLimit",
    ConcurrencyLimit.keyed({ name: "models", initial: 1 }, bounds),
    ConcurrencyLimit.keyed({ initial: 0 }, { capacity: 0 })
  ],
  [
    "RateLimiter",
    RateLimiter.keyed({ name: "models", requestsPerMinute: 60 }, bounds),
    RateLimiter.keyed({ name: "models", requestsPerMinute: 0 }, { capacity: 0 })
  ],
  [
    "AdaptiveThrottle",
    AdaptiveThrottle.keyed({ name: "models" }, bounds),
    AdaptiveThrottle.keyed({ ratio: 0 }, { capacity: 0 })
  ],
  [
    "RetryBudget",
    RetryBudget.keyed({ name: "models" }, bounds),
    RetryBudget.keyed({ form: RetryBudget.share({ ratio: -1 }) }, { capacity: 0 })
  ]
]

for (const [kind, family, wrong] of kinds) {
  describe(`${kind}.keyed`, () => {
    it.effect("makes a policy for each key when it is first used, named after both", () =>
      Effect.gen(function*() {
        const policies = yield* family
        expect(yield* policies.apply("small")(Effect.succeed("up"))).toBe("up")
        const small = yield* policies.get("small")
        expect(small.name).toBe("models/small")
        expect(yield* policies.get("small")).toBe(small)
        expect(yield* policies.get("large")).not.toBe(small)
        expect(policies.describe()).toContain("one for each key, at most 2 of them, forgotten after 1m without use")
      }))

    it.effect("forgets keys that are idle, and never one whose call is running", () =>
      Effect.gen(function*() {
        const policies = yield* family
        const gate = yield* Deferred.make<void>()
        const running = yield* Effect.fork(policies.apply("busy")(Deferred.await(gate)))
        yield* Effect.yieldNow()
        for (let key = 0; key < 100; key++) yield* Effect.exit(policies.apply(`key ${key}`)(Effect.void))
        expect([...(yield* policies.entries).keys()]).toEqual(["busy", "key 99"])
        yield* TestClock.adjust("2 minutes")
        expect([...(yield* policies.entries).keys()]).toEqual(["busy"])
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(running)
        yield* TestClock.adjust("2 minutes")
        expect((yield* policies.entries).size).toBe(0)
      }))

    it.effect("lists what is wrong with its options and with its bounds", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(wrong)
        expect(error.issues.length).toBeGreaterThan(1)
        expect(error.issues.at(-1)).toMatchObject({ path: "capacity" })
      }))
  })
}

describe("a family of limits", () => {
  it.effect("keeps its keys apart", () =>
    Effect.gen(function*() {
      const limiters = yield* RateLimiter.keyed({ name: "tenants", requestsPerMinute: 1, onExceeded: "fail" })
      yield* limiters.apply("one")(Effect.void)
      expect(yield* Effect.flip(limiters.apply("one")(Effect.void))).toMatchObject({
        _tag: "RateLimitExceeded",
        name: "tenants/one"
      })
      yield* limiters.applyCost("two", { tokens: 5 })(Effect.void)
    }))

  it.effect("knows what was used of a key that it has forgotten", () =>
    Effect.gen(function*() {
      const limiters = yield* RateLimiter.keyed(
        { name: "tenants", requestsPerMinute: 1, onExceeded: "fail" },
        { capacity: 1 }
      )
      yield* limiters.apply("one")(Effect.void)
      yield* limiters.apply("two")(Effect.void)
      expect([...(yield* limiters.entries).keys()]).toEqual(["two"])
      expect(Exit.isFailure(yield* Effect.exit(limiters.apply("one")(Effect.void)))).toBe(true)
    }))

  it.effect("has options of each key where a function gives them", () =>
    Effect.gen(function*() {
      const bulkheads = yield* Bulkhead.keyed((key) => ({ name: key, maxConcurrent: key === "large" ? 2 : 1 }))
      expect(yield* Effect.flatMap(bulkheads.get("large"), Bulkhead.stats)).toMatchObject({ maxConcurrent: 2 })
      expect(yield* Effect.flatMap(bulkheads.get("small"), Bulkhead.stats)).toMatchObject({ maxConcurrent: 1 })
    }))
})
