/** What a user gave throws: that is a defect of the call, and nobody else's; everything is given back. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestClock from "effect/TestClock"
import { ServerError } from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { type Gate, type GatePermit, GuardedEffect, runInOwnRegion } from "../../src/policy/shared/attempt.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import { must } from "./support/scenario.ts"

const bug = new Error("a bug in a verdict")
const broken = (): Verdict.Verdict => {
  throw bug
}
const down = Effect.fail(new ServerError({ provider: "test", status: 500 }))
const immediate = RetryPolicy.immediate.pipe(RetryPolicy.attempts(3))
const none = { calls: 0, retries: 0, hedges: 0 }

/** The end of the call after a minute. */
const ended = <A, E>(call: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(call)
    yield* TestClock.adjust("1 minute")
    return yield* fiber.poll
  }).pipe(Effect.flatten, Effect.orDieWith(() => "the call hangs"))

const expectBug = (exit: Exit.Exit<unknown, unknown>): void => {
  expect(Exit.isFailure(exit) && Array.from(Cause.defects(exit.cause))).toContain(bug)
}

describe("a verdict that throws", () => {
  it.effect("is a defect of the retried call, and gives back what its budget counted", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const retry = yield* Retry.make({ policy: immediate, budget, verdict: broken })
      expectBug(yield* ended(Retry.apply(down, retry)))
      expect(yield* RetryBudget.stats(budget)).toMatchObject(none)
    }))

  it.effect("is a defect of the hedged call when its first attempt fails", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const hedge = yield* Hedge.make({ delay: "1 second", budget, verdict: broken })
      expectBug(yield* ended(Hedge.apply(down, hedge)))
      expectBug(yield* ended(Hedge.apply(Effect.delay(down, "100 millis"), hedge)))
      expect(yield* RetryBudget.stats(budget)).toMatchObject(none)
    }))

  it.effect("is a defect of the hedged call when a further attempt fails, and interrupts the first", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const hedge = yield* Hedge.make({ delay: "1 second", budget, verdict: broken })
      let interrupted = false
      const first = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted = true))
      const call = Effect.flatMap(Hedge.CurrentAttempt, (number) => number === 1 ? first : Effect.delay(down, 10))
      expectBug(yield* ended(Hedge.apply(call, hedge)))
      expect(interrupted).toBe(true)
      expect(yield* RetryBudget.stats(budget)).toMatchObject(none)
    }))

  it.effect("is a defect of one attempt under an adaptive retry", () =>
    Effect.gen(function*() {
      const adaptive = yield* AdaptiveRetry.make({ verdict: broken })
      expectBug(yield* ended(AdaptiveRetry.apply(down, adaptive)))
    }))

  it.effect("keeps no probe, permit or budget of a pipeline, whichever policy asks it", () =>
    Effect.gen(function*() {
      let judge = Verdict.of
      const pipeline = yield* Pipeline.make({
        retry: immediate,
        retryBudget: "standard",
        hedge: { delay: "1 second" },
        adaptiveRetry: { mode: "rate" },
        circuitBreaker: { tripping: Tripping.consecutive(1), openFor: "1 second", probes: 1 },
        rateLimiter: { requestsPerMinute: 6_000 },
        bulkhead: { maxConcurrent: 1 },
        attemptTimeout: "10 seconds",
        verdict: (error) => judge(error)
      })
      const { bulkhead, circuitBreaker, retryBudget } = Pipeline.policies(pipeline)
      yield* Effect.exit(Pipeline.apply(down, pipeline))
      yield* TestClock.adjust("1 second")
      judge = broken
      expectBug(yield* ended(Pipeline.apply(down, pipeline)))
      expect(yield* Bulkhead.stats(must(bulkhead))).toMatchObject({ running: 0 })
      expect(yield* RetryBudget.stats(must(retryBudget))).toMatchObject(none)
      // An error that nobody has judged weighs: the probe has failed, and a later one finds room.
      judge = Verdict.of
      yield* TestClock.adjust("1 minute")
      expect(yield* Pipeline.apply(Effect.succeed("up"), pipeline)).toBe("up")
      expect((yield* CircuitBreaker.state(must(circuitBreaker)))._tag).toBe("Closed")
    }))
})

describe("how to read the cost of a reply, when it throws", () => {
  it.effect("keeps nothing of the breaker and the bulkhead, which are told that the call went well", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        circuitBreaker: { tripping: Tripping.consecutive(1), openFor: "1 second", probes: 1, successesToClose: 1 },
        rateLimiter: { requestsPerMinute: 6_000, tokensPerMinute: 60_000 },
        bulkhead: { maxConcurrent: 1 }
      })
      const { bulkhead, circuitBreaker } = Pipeline.policies(pipeline)
      yield* Effect.exit(Pipeline.apply(down, pipeline))
      yield* TestClock.adjust("1 second")
      const cost = {
        tokens: 10,
        actual: (): number => {
          throw bug
        }
      }
      expectBug(yield* ended(Pipeline.applyCost(Effect.succeed("answer"), pipeline, cost)))
      expect((yield* CircuitBreaker.state(must(circuitBreaker)))._tag).toBe("Closed")
      expect(yield* Bulkhead.stats(must(bulkhead))).toMatchObject({ running: 0 })
    }))
})

describe("gates", () => {
  /** A gate that notes when it is left, and then fails in a way of its own. */
  const gate = (left: Array<string>, name: string, fails?: "throws" | "dies"): Gate<unknown, never> => {
    const permit: GatePermit<unknown> = {
      _tag: "GatePermit",
      settle: ({ exit }) => {
        left.push(`${name} ${exit._tag}`)
        if (fails === "throws") throw bug
        return fails === "dies" ? Effect.die(bug) : Effect.sync(() => left.push(`${name} reports`))
      }
    }
    return { admit: () => permit }
  }

  it.effect.each(["throws", "dies"] as const)(
    "are all left once where leaving one of them %s",
    (fails) =>
      Effect.gen(function*() {
        const left: Array<string> = []
        const gates = [gate(left, "outer"), gate(left, "middle", fails), gate(left, "inner")]
        const call = runInOwnRegion<string, never, never>(() =>
          new GuardedEffect(Effect.succeed("done"), gates, undefined, undefined)
        )
        expectBug(yield* ended(call))
        expect(left).toEqual([
          "inner Success",
          "middle Success",
          "outer Success",
          "inner reports",
          "outer reports"
        ])
      })
  )

  it.effect("that were entered are left where a further one throws", () =>
    Effect.gen(function*() {
      const left: Array<string> = []
      const throwing: Gate<unknown, never> = {
        admit: () => {
          throw bug
        }
      }
      const gates = [gate(left, "outer"), throwing]
      expectBug(
        yield* ended(runInOwnRegion(() => new GuardedEffect(Effect.succeed("done"), gates, undefined, undefined)))
      )
      expect(left).toEqual(["outer Failure", "outer reports"])
    }))
})
