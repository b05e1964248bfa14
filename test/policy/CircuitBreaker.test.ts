import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import { BulkheadFull, CircuitOpen, RateLimitExceeded, TimedOut } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import { breakerOf, down, held, refusal, tag, times, up } from "./circuits.ts"

/** A scheduler that gives way once, before that operation, so that an interruption can come exactly there. */
const yieldingAt = (at: number) => {
  let operations = 0
  const scheduler: Scheduler.Scheduler = {
    shouldYield: () => ++operations === at ? 0 : false,
    scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber)
  }
  return { scheduler, hasYielded: () => operations >= at }
}

const issues = (options: unknown) =>
  Effect.map(
    Effect.flip(CircuitBreaker.decode(options)),
    (error) => error.issues.map((issue) => issue.path)
  )

const about = { provider: "openai", model: "gpt" }

describe("make", () => {
  it.effect("has the defaults of the house", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "openai" })
      expect(CircuitBreaker.settings(breaker)).toEqual({
        name: "openai",
        tripping: CircuitBreaker.defaults.tripping,
        openFor: CircuitBreaker.defaults.openFor,
        longestHint: Duration.hours(1),
        probes: 3,
        successesToClose: 3,
        probeLimit: Duration.minutes(1),
        mode: "enforce"
      })
      expect(CircuitBreaker.describe(breaker)).toBe(
        "circuit breaker \"openai\": opens at 50% of calls failed within 30s (from 10 calls on); break exponential " +
          "from 10s ×2, at most 1m, or as long as the error asks up to 1h; then up to 3 probes at a time of at most 1m, " +
          "closes after 3"
      )
    }))

  it.effect("opens at 5 failures of 10 calls, and not before", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "openai" })
      yield* times(5, up, breaker)
      yield* times(4, down, breaker)
      expect(yield* tag(breaker)).toBe("Closed")
      yield* times(1, down, breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(10))
    }))

  it.effect("lists every wrong option at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(CircuitBreaker.make({
        name: " ",
        tripping: { when: "consecutive", failures: 0 },
        openFor: 0,
        longestHint: -1,
        probes: 0,
        successesToClose: 1.5,
        probeLimit: Infinity
      }))
      expect(error.issues.map((issue) => issue.path)).toEqual([
        "name",
        "tripping.failures",
        "openFor",
        "longestHint",
        "probes",
        "successesToClose",
        "probeLimit"
      ])
    }))

  it.effect("refuses a backoff that ends, and fields that nobody reads", () =>
    Effect.gen(function*() {
      const never = [
        RetryPolicy.never,
        RetryPolicy.immediate,
        RetryPolicy.standard,
        RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3)),
        RetryPolicy.constant("1 second").pipe(RetryPolicy.within("1 minute")),
        RetryPolicy.byError([{ on: ["A"], use: RetryPolicy.constant("1 second") }])
      ]
      for (const openFor of never) {
        expect(yield* issues({ name: "a", openFor })).toEqual(["openFor"])
      }
      expect(yield* issues({ name: "a", openfor: "1 second", mode: "on" })).toEqual(["openfor", "mode"])
      expect(yield* issues({ name: "a", openFor: 1000 })).toEqual(["openFor"])
      expect(yield* issues("openai")).toEqual([""])
    }))
})

describe("JSON", () => {
  it.effect("makes the same breaker again", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "openai",
        tripping: Tripping.any([Tripping.consecutive(3), Tripping.slowCallRate({ longerThan: "1 minute" })]),
        openFor: RetryPolicy.fibonacci({ initial: "1 second" }).pipe(RetryPolicy.capped("1 minute")),
        probes: 1,
        successesToClose: 2,
        mode: "observe"
      })
      const json = CircuitBreaker.encode(breaker)
      const again = yield* CircuitBreaker.decode(JSON.parse(JSON.stringify(json)))
      expect(CircuitBreaker.settings(again)).toEqual(CircuitBreaker.settings(breaker))
      expect(CircuitBreaker.encode(yield* breakerOf({ openFor: "10 seconds" }))).toMatchObject({
        tripping: { when: "consecutive", failures: 2 },
        openFor: "10 seconds"
      })
    }))
})

describe("a break", () => {
  it.effect("refuses at once, tells how long to wait, and lets a probe through when it is over", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf({ probes: 1 })
      yield* times(2, down, breaker)
      yield* TestClock.adjust("4 seconds")
      expect(yield* refusal(breaker)).toMatchObject({
        name: "openai",
        retryAfter: Duration.seconds(6),
        reason: "open"
      })
      yield* TestClock.adjust(5_999)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.millis(1))
      yield* TestClock.adjust(1)
      expect(yield* CircuitBreaker.apply(up, breaker)).toBe("up")
      expect(yield* tag(breaker)).toBe("Closed")
    }))

  it.effect("doubles from opening to opening up to a minute, and starts anew when the circuit was closed", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf({ probes: 1 })
      yield* times(2, down, breaker)
      for (const seconds of [10, 20, 40, 60, 60]) {
        expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(seconds))
        yield* TestClock.adjust(Duration.seconds(seconds))
        yield* times(1, down, breaker)
      }
      yield* TestClock.adjust("1 minute")
      yield* times(1, up, breaker)
      yield* times(2, down, breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(10))
    }))

  it.effect("is as long as the error asks, where that is longer", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf({ longestHint: "5 minutes" })
      const asking = (wait: Duration.DurationInput) =>
        Effect.fail(new ModelError.Overloaded({ ...about, retryAfter: Duration.decode(wait) }))
      yield* times(2, asking("45 seconds"), breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(45))
      yield* CircuitBreaker.close(breaker)
      yield* times(2, asking("2 seconds"), breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(10))
      yield* CircuitBreaker.close(breaker)
      yield* times(2, asking("1 day"), breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.minutes(5))
    }))

  it.effect("has jitter from Random, the same for the same seed", () => {
    const openFor = RetryPolicy.constant("10 seconds").pipe(RetryPolicy.jittered("equal"))
    const one = (seed: string) =>
      Effect.gen(function*() {
        const breaker = yield* breakerOf({ openFor })
        yield* times(2, down, breaker)
        return Duration.toMillis((yield* refusal(breaker)).retryAfter)
      }).pipe(Effect.withRandom(Random.make(seed)))
    return Effect.gen(function*() {
      const waits = yield* Effect.forEach(["a", "b", "c", "a"], one)
      expect(waits[3]).toBe(waits[0])
      expect(new Set(waits).size).toBe(3)
      for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(5_000)
    })
  })
})

describe("what weighs", () => {
  it.effect("failures of the dependency do", () =>
    Effect.gen(function*() {
      const all: ReadonlyArray<Effect.Effect<never, unknown>> = [
        Effect.fail(new ModelError.ServerError({ ...about, status: 503 })),
        Effect.fail(new ModelError.ConnectionFailed({ ...about, reason: "reset" })),
        Effect.fail(new TimedOut({ phase: "attempt", limit: Duration.seconds(1) })),
        Effect.fail(new Cause.TimeoutException()),
        down,
        Effect.die(new Error("the SDK threw"))
      ]
      for (const failing of all) {
        const breaker = yield* breakerOf()
        yield* times(2, failing, breaker)
        expect(yield* tag(breaker)).toBe("Open")
      }
    }))

  it.effect("rate limits, 4xx, refusals of other policies and interruptions do not", () =>
    Effect.gen(function*() {
      const all: ReadonlyArray<Effect.Effect<never, unknown>> = [
        Effect.fail(new ModelError.RateLimited({ ...about, retryAfter: Duration.seconds(9) })),
        Effect.fail(new ModelError.InvalidRequest({ ...about, status: 400 })),
        Effect.fail(new ModelError.Authentication({ ...about, status: 401 })),
        Effect.fail(new ModelError.ContentFiltered({ ...about, stage: "prompt" })),
        Effect.fail(new BulkheadFull({ name: "b", maxConcurrent: 1, maxQueued: 0 })),
        Effect.fail(new RateLimitExceeded({ name: "l", retryAfter: Duration.seconds(1) })),
        Effect.fail(new CircuitOpen({ name: "inner", retryAfter: Duration.seconds(1) })),
        Effect.interrupt
      ]
      for (const failing of all) {
        const breaker = yield* breakerOf({ tripping: Tripping.consecutive(1) })
        yield* times(20, failing, breaker)
        expect(yield* CircuitBreaker.state(breaker)).toEqual(
          CircuitBreaker.State.Closed({ calls: 0, failures: 0, slow: 0 })
        )
      }
    }))

  it.effect("is what the given judge says; a judge that throws is a defect of the call, whose error weighs", () =>
    Effect.gen(function*() {
      const verdict = (error: unknown) =>
        error === "broken judge" ? neverReturns() : Verdict.make("Fail", { weighs: error === "weighs" })
      const thrown = new Error("the judge")
      const neverReturns = (): never => {
        throw thrown
      }
      const breaker = yield* breakerOf({ verdict, probes: 1, tripping: Tripping.consecutive(1) })
      yield* times(5, down, breaker)
      expect(yield* tag(breaker)).toBe("Closed")
      yield* times(1, Effect.fail("weighs"), breaker)
      expect(yield* tag(breaker)).toBe("Open")
      yield* TestClock.adjust("10 seconds")
      const exit = yield* Effect.exit(CircuitBreaker.apply(Effect.fail("broken judge"), breaker))
      expect(exit).toEqual(Exit.die(thrown))
      expect(yield* tag(breaker)).toBe("Open")
    }))

  it.effect("passes value, error, defect and interruption through as they are", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf({ tripping: Tripping.consecutive(100) })
      const boom = new Error("boom")
      const all: ReadonlyArray<Effect.Effect<unknown, unknown>> = [up, down, Effect.die(boom), Effect.interrupt]
      for (const effect of all) {
        expect(yield* Effect.exit(CircuitBreaker.apply(effect, breaker))).toEqual(yield* Effect.exit(effect))
      }
    }))
})

describe("slow calls", () => {
  it.effect("open the circuit though they succeed", () =>
    Effect.gen(function*() {
      const tripping = Tripping.slowCallRate({ longerThan: "1 second", window: "10 calls", minimumCalls: 3 })
      const breaker = yield* breakerOf({ tripping })
      const taking = (millis: number) =>
        Effect.gen(function*() {
          const call = yield* Effect.fork(CircuitBreaker.apply(Effect.sleep(millis), breaker))
          yield* TestClock.adjust(millis)
          yield* Fiber.join(call)
        })
      yield* taking(1_000)
      yield* taking(1_001)
      expect(yield* CircuitBreaker.state(breaker)).toEqual(
        CircuitBreaker.State.Closed({ calls: 2, failures: 0, slow: 1 })
      )
      yield* taking(2_000)
      expect(yield* tag(breaker)).toBe("Open")
    }))
})

describe("probes", () => {
  const halfOpen = (options: Partial<CircuitBreaker.Options> = {}) =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf(options)
      yield* times(2, down, breaker)
      yield* TestClock.adjust("10 seconds")
      return breaker
    })

  it.effect("run three at a time, and three successes close the circuit", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen()
      const probes = yield* Effect.all([held(breaker), held(breaker), held(breaker)])
      expect(yield* refusal(breaker)).toMatchObject({ reason: "probing", retryAfter: Duration.minutes(1) })
      for (const [i, probe] of probes.entries()) {
        expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 3 - i, successes: i })
        yield* probe.succeed
      }
      expect(yield* tag(breaker)).toBe("Closed")
    }))

  it.effect("open it again with the first that fails; the others decide nothing any more", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen()
      const [one, two, three] = yield* Effect.all([held(breaker), held(breaker), held(breaker)])
      yield* one.fail
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(20))
      yield* two.succeed
      yield* three.fail
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Open", openings: 2 })
    }))

  it.effect("give their place back when they are interrupted, and count for nothing", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen({ probes: 1 })
      const probe = yield* held(breaker)
      yield* refusal(breaker)
      yield* probe.interrupt
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0, successes: 0 })
      expect(yield* CircuitBreaker.apply(up, breaker)).toBe("up")
      expect(yield* tag(breaker)).toBe("Closed")
    }))

  it.effect("give their place back when their error weighs nothing", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen({ probes: 1 })
      yield* times(50, Effect.fail(new ModelError.RateLimited(about)), breaker)
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0, successes: 0 })
    }))

  it.effect("have failed when they have no result in time", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen({ probes: 1, probeLimit: "5 seconds" })
      const probe = yield* held(breaker)
      yield* TestClock.adjust("2 seconds")
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(3))
      yield* TestClock.adjust("4 seconds")
      expect(yield* refusal(breaker)).toMatchObject({ reason: "open", retryAfter: Duration.seconds(19) })
      yield* probe.succeed
      expect(yield* tag(breaker)).toBe("Open")
    }))

  it.effect("are not swept away by a call that began before the break", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf({ probes: 1 })
      const [late, later] = yield* Effect.all([held(breaker), held(breaker)])
      yield* times(2, down, breaker)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* held(breaker)
      yield* late.fail
      yield* later.succeed
      expect(yield* tag(breaker)).toBe("HalfOpen")
      yield* probe.succeed
      expect(yield* tag(breaker)).toBe("Closed")
    }))

  it.effect("keep their place against an interruption at every single step", () =>
    Effect.gen(function*() {
      let swept = 0
      for (let at = 1; at < 200; at++) {
        const breaker = yield* halfOpen({ probes: 1, successesToClose: 1_000 })
        const { hasYielded, scheduler } = yieldingAt(at)
        const fiber = yield* CircuitBreaker.apply(Effect.as(Effect.yieldNow(), 1), breaker).pipe(
          Effect.withScheduler(scheduler),
          Effect.fork
        )
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0 })
        if (hasYielded()) swept++
      }
      expect(swept).toBeGreaterThan(10)
      expect(swept).toBeLessThan(199)
    }))
})
