import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import { down, held, refusal, tag, times, up } from "./circuits.ts"

/** A circuit whose break of 10 s is over. */
const halfOpen = (options: Partial<CircuitBreaker.Options>) =>
  Effect.gen(function*() {
    const breaker = yield* CircuitBreaker.make({
      name: "openai",
      tripping: Tripping.consecutive(1),
      openFor: "10 seconds",
      ...options
    })
    yield* times(1, down, breaker)
    yield* TestClock.adjust("10 seconds")
    return breaker
  })

const issuesOf = (options: unknown) =>
  Effect.map(
    Effect.flip(CircuitBreaker.decode(options)),
    (error) => error.issues.map(({ allowed, path }) => `${path}: ${allowed}`)
  )

describe("closeAt", () => {
  const options = { probes: 10, closeAt: { share: 0.8, of: 10 } } as const

  it.effect("closes as soon as so many probes have succeeded, though some failed", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen(options)
      yield* times(2, down, breaker)
      yield* times(7, up, breaker)
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", successes: 7, failures: 2 })
      yield* times(1, up, breaker)
      expect(yield* tag(breaker)).toBe("Closed")
    }))

  it.effect("opens as soon as the share cannot be reached any more", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen(options)
      yield* times(7, up, breaker)
      yield* times(2, down, breaker)
      expect(yield* tag(breaker)).toBe("HalfOpen")
      yield* times(1, down, breaker)
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Open", openings: 2 })
    }))

  it.effect("counts a probe without a result as one that failed, and a slow one too", () =>
    Effect.gen(function*() {
      const tripping = Tripping.any([
        Tripping.consecutive(1),
        Tripping.slowCallRate({ longerThan: "1 second", window: "10 calls", minimumCalls: 10 })
      ])
      const breaker = yield* halfOpen({ ...options, tripping, probeLimit: "5 seconds" })
      yield* held(breaker)
      const slow = yield* held(breaker)
      yield* TestClock.adjust("2 seconds")
      yield* slow.succeed
      yield* TestClock.adjust("3 seconds")
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0, failures: 2 })
      yield* times(1, down, breaker)
      expect(yield* tag(breaker)).toBe("Open")
    }))

  it.effect("is one probe of one, and all of all", () =>
    Effect.gen(function*() {
      const one = yield* halfOpen({ closeAt: { share: 0.01, of: 1 } })
      yield* times(1, up, one)
      expect(yield* tag(one)).toBe("Closed")
      const all = yield* halfOpen({ closeAt: { share: 1 } })
      yield* times(9, up, all)
      yield* times(1, down, all)
      expect(yield* tag(all)).toBe("Open")
    }))

  it("asks for whole probes: 0.7 of 10 is 7", () =>
    Effect.runPromise(Effect.map(
      CircuitBreaker.make({ name: "a", closeAt: { share: 0.7, of: 10 } }),
      (breaker) => expect(CircuitBreaker.settings(breaker).successesToClose).toBe(7)
    )))

  it.effect("is data in a file, and is told in describe", () =>
    Effect.gen(function*() {
      const json = { name: "openai", closeAt: { share: 0.8 }, slowStart: "30 seconds" }
      const breaker = yield* CircuitBreaker.decode(json)
      expect(CircuitBreaker.describe(breaker)).toMatch(
        /closes after 8 of 10; then a growing share of calls for 30s$/
      )
      const again = yield* CircuitBreaker.decode(JSON.parse(JSON.stringify(CircuitBreaker.encode(breaker))))
      expect(CircuitBreaker.settings(again)).toEqual(CircuitBreaker.settings(breaker))
      yield* CircuitBreaker.reconfigure(breaker, { ...CircuitBreaker.settings(again) })
    }))

  it.effect("is refused where successesToClose says otherwise, and where it is out of range", () =>
    Effect.gen(function*() {
      expect(yield* issuesOf({ name: "a", successesToClose: 3, closeAt: { share: 0.8, of: 10 } })).toEqual([
        "closeAt: nothing beside successesToClose, which says otherwise: leave out one of them"
      ])
      expect(yield* issuesOf({ name: "a", closeAt: { share: 0, of: 0 }, slowStart: 5 })).toEqual([
        "closeAt.share: a number above 0, at most 1 (8 of 10 probes is 0.8)",
        "closeAt.of: a whole number from 1 to 1000",
        expect.stringContaining("slowStart: a duration")
      ])
    }))

  it.effect("keeps what its probes have shown in a snapshot", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen(options)
      yield* times(2, down, breaker)
      yield* times(7, up, breaker)
      const other = yield* halfOpen(options)
      yield* CircuitBreaker.restore(other, JSON.parse(JSON.stringify(yield* CircuitBreaker.snapshot(breaker))))
      yield* times(1, down, other)
      expect(yield* tag(other)).toBe("Open")
    }))
})

describe("slowStart", () => {
  const recovered = Effect.gen(function*() {
    const breaker = yield* halfOpen({ probes: 1, slowStart: "100 seconds" })
    yield* times(1, up, breaker)
    return breaker
  }).pipe(Effect.withRandom(Random.make("slow start")))

  /** How many of a thousand calls go through now. */
  const admitted = (breaker: CircuitBreaker.CircuitBreaker) =>
    Effect.map(
      Effect.replicateEffect(Effect.either(CircuitBreaker.apply(up, breaker)), 1_000),
      (results) => results.filter(Either.isRight).length
    )

  it.effect("lets a share of calls through that grows with time, and then all", () =>
    Effect.gen(function*() {
      const breaker = yield* recovered
      for (const [seconds, share] of [[0, 0.1], [25, 0.25], [25, 0.5], [40, 0.9]] as const) {
        yield* TestClock.adjust(Duration.seconds(seconds))
        const through = yield* admitted(breaker)
        expect(Math.abs(through / 1_000 - share)).toBeLessThan(0.05)
      }
      yield* TestClock.adjust("10 seconds")
      expect(yield* admitted(breaker)).toBe(1_000)
      expect(yield* CircuitBreaker.state(breaker)).not.toHaveProperty("admittedShare")
    }))

  it.effect("refuses the others with the rest of it", () =>
    Effect.gen(function*() {
      const breaker = yield* recovered
      yield* TestClock.adjust("30 seconds")
      const error = yield* refusal(breaker).pipe(Effect.sandbox, Effect.retry({ times: 100 }))
      expect(error).toMatchObject({ reason: "slowStart", retryAfter: Duration.seconds(70) })
      expect(error.message).toContain("It lets all of them through in 1m 10s.")
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Closed", admittedShare: 0.3 })
    }))

  it.effect("opens at once when the other side fails again", () =>
    Effect.gen(function*() {
      const breaker = yield* recovered
      yield* times(100, down, breaker)
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Open", openings: 1 })
    }))

  it.effect("is over when the circuit is closed by hand, and lives on in a snapshot", () =>
    Effect.gen(function*() {
      const breaker = yield* recovered
      yield* TestClock.adjust("40 seconds")
      // Ten seconds pass here, too.
      const other = yield* halfOpen({})
      yield* CircuitBreaker.restore(other, JSON.parse(JSON.stringify(yield* CircuitBreaker.snapshot(breaker))))
      expect(yield* CircuitBreaker.state(other)).toMatchObject({ _tag: "Closed", admittedShare: 0.5 })
      yield* CircuitBreaker.close(other)
      expect(yield* admitted(other)).toBe(1_000)
    }))

  it.effect("is off unless asked for", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen({ probes: 1 })
      yield* times(1, up, breaker)
      expect(yield* admitted(breaker)).toBe(1_000)
    }))
})
