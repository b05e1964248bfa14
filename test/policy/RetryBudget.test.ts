import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

/** Retries at once with the budget. Tells how many attempts were made. */
const retried = <E>(budget: RetryBudget.RetryBudget, attempt: Effect.Effect<unknown, E>, attempts = 3) =>
  Effect.gen(function*() {
    let made = 0
    const retry = yield* Retry.make({ budget, policy: RetryPolicy.immediate.pipe(RetryPolicy.attempts(attempts)) })
    yield* Effect.ignore(Retry.apply(Effect.zipRight(Effect.sync(() => made++), attempt), retry))
    return made
  })

describe("RetryBudget", () => {
  it.effect("by default allows 20 % of the calls in flight, and at least 3", () =>
    Effect.gen(function*() {
      expect(RetryBudget.defaults.share).toEqual({ ratio: 0.2, minimum: 3 })
      const budget = yield* RetryBudget.make()
      expect(yield* RetryBudget.stats(budget)).toEqual({ calls: 0, retries: 0, hedges: 0, available: 3 })
      const held = yield* Effect.fork(Effect.all(
        Effect.replicate(Effect.never.pipe(RetryBudget.apply(budget)), 100),
        { concurrency: "unbounded" }
      ))
      yield* TestClock.adjust(0)
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 100 })
      const attempts = yield* Effect.all(
        Effect.replicate(retried(budget, Effect.zipRight(Effect.sleep("1 seconds"), Effect.fail("down"))), 20),
        { concurrency: "unbounded" }
      ).pipe(Effect.fork)
      yield* TestClock.adjust("1 seconds")
      expect((yield* RetryBudget.stats(budget)).retries).toBe(20)
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(attempts)
      yield* Fiber.interrupt(held)
      expect(yield* RetryBudget.stats(budget)).toEqual({ calls: 0, retries: 0, hedges: 0, available: 3 })
    }))

  it.effect("apply changes nothing about the effect", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      expect(yield* Effect.succeed(1).pipe(RetryBudget.apply(budget))).toBe(1)
      expect(yield* Effect.flip(RetryBudget.apply(Effect.fail("no"), budget))).toBe("no")
      expect(yield* Effect.exit(Effect.die("boom").pipe(RetryBudget.apply(budget)))).toEqual(Exit.die("boom"))
      expect((yield* RetryBudget.stats(budget)).calls).toBe(0)
    }))

  it.effect("counts a call once, however deep the same budget is applied", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const other = yield* RetryBudget.make()
      const seen = yield* Effect.all([RetryBudget.stats(budget), RetryBudget.stats(other)]).pipe(
        RetryBudget.apply(budget),
        RetryBudget.apply(other),
        RetryBudget.apply(budget)
      )
      expect(seen.map((stats) => stats.calls)).toEqual([1, 1])
      expect((yield* RetryBudget.stats(budget)).calls).toBe(0)
    }))

  it.effect("counts the calls that run at the same time", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const both = Effect.zip(
        Effect.sleep("1 seconds").pipe(RetryBudget.apply(budget)),
        Effect.sleep("2 seconds").pipe(RetryBudget.apply(budget)),
        { concurrent: true }
      )
      const fiber = yield* Effect.fork(both)
      yield* TestClock.adjust("500 millis")
      expect((yield* RetryBudget.stats(budget)).calls).toBe(2)
      yield* TestClock.adjust("1 seconds")
      expect((yield* RetryBudget.stats(budget)).calls).toBe(1)
      yield* Fiber.interrupt(fiber)
      expect((yield* RetryBudget.stats(budget)).calls).toBe(0)
    }))

  it.effect("the token form: a retry that succeeds gives its cost back, a call without one puts in the reward", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ form: RetryBudget.tokens({ initial: 30 }) })
      const flaky = (failures: number) => {
        let left = failures
        return Effect.suspend(() => left-- > 0 ? Effect.fail("down") : Effect.succeed("up"))
      }
      const level = () => budget.cell.state.level
      expect([yield* retried(budget, flaky(1)), level()]).toEqual([2, 30])
      expect([yield* retried(budget, flaky(0)), level()]).toEqual([1, 31])
      expect([yield* retried(budget, flaky(9)), level()]).toEqual([3, 3])
    }))

  it.effect("the deposits form: one retry for every five calls", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ form: RetryBudget.deposits({ minimumPerSecond: 0 }) })
      yield* Effect.replicateEffect(Effect.void.pipe(RetryBudget.apply(budget)), 50)
      expect((yield* RetryBudget.stats(budget)).available).toBe(10)
      yield* TestClock.adjust("11 seconds")
      expect((yield* RetryBudget.stats(budget)).available).toBe(0)
    }))

  it.effect("reports when it is used up", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const form = RetryBudget.share({ ratio: 0, minimum: 0 })
      const budget = yield* RetryBudget.make({ name: "openai", form })
      yield* retried(budget, Effect.fail("down")).pipe(Effect.provide(Monitor.layer(monitor)))
      expect((yield* events).map(Event.describe)[0]).toBe("openai: no budget for attempt 2")
    }))
})

describe("RetryBudget.make", () => {
  it.effect("lists every number out of range", () =>
    Effect.gen(function*() {
      const paths = (options: RetryBudget.Options) =>
        Effect.map(Effect.flip(RetryBudget.make(options)), (error) => error.issues.map((issue) => issue.path))
      expect(yield* paths({ name: "", form: RetryBudget.share({ ratio: 1.1, minimum: -1 }) }))
        .toEqual(["name", "form.ratio", "form.minimum"])
      expect(
        yield* paths({
          form: RetryBudget.tokens({ capacity: 10, initial: 11, cost: 14, throttlingCost: 0, reward: -1 })
        })
      )
        .toEqual(["form.throttlingCost", "form.reward", "form.initial", "form.cost", "form.timeoutCost"])
      expect(yield* paths({ form: RetryBudget.deposits({ ttl: "61 seconds", minimumPerSecond: -1, ratio: 1001 }) }))
        .toEqual(["form.ttl", "form.minimumPerSecond", "form.ratio"])
      expect(yield* paths(JSON.parse("{\"form\":{\"_tag\":\"Shares\"}}"))).toEqual(["form._tag"])
    }))

  it.effect("names both fields when a cost is above the capacity", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(RetryBudget.make({ form: RetryBudget.tokens({ capacity: 10 }) }))
      expect(error.message).toContain("form.cost (found 14); allowed: at most capacity, which is 10")
    }))

  it.effect("describes itself in one line", () =>
    Effect.gen(function*() {
      const text = (form: RetryBudget.Form) =>
        Effect.map(RetryBudget.make({ name: "shared", form }), RetryBudget.describe)
      expect(yield* text(RetryBudget.share()))
        .toBe("shared: further attempts at most 20% of calls in flight, at least 3")
      expect(yield* text(RetryBudget.tokens())).toBe(
        "shared: 500 tokens, a retry costs 14 (throttled 5, timed out 14), a success puts 1 back"
      )
      expect(yield* text(RetryBudget.deposits()))
        .toBe("shared: retries at most 20% of the calls of 10s, and 10 a second")
    }))

  it.effect("can be a layer, and be shared by it", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.RetryBudget
      expect(budget).toMatchObject({ name: "retryBudget", form: RetryBudget.share() })
      expect(Duration.toSeconds(RetryBudget.defaults.deposits.ttl)).toBe(10)
    }).pipe(Effect.provide(RetryBudget.layer())))
})
