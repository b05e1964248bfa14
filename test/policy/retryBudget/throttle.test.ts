/** Retry throttling as gRPC's proposal A6 has it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { InvalidRequest, ServerError } from "../../../src/error/ModelError.ts"
import * as Hedge from "../../../src/policy/Hedge.ts"
import * as Pipeline from "../../../src/policy/Pipeline.ts"
import * as Retry from "../../../src/policy/Retry.ts"
import * as RetryBudget from "../../../src/policy/RetryBudget.ts"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"

const down = new ServerError({ provider: "test", status: 500 })
const attempts = RetryPolicy.immediate.pipe(RetryPolicy.attempts(3))

const make = (form: RetryBudget.Form = RetryBudget.throttle({ maxTokens: 10, tokenRatio: 0.1 })) =>
  Effect.gen(function*() {
    const budget = yield* RetryBudget.make({ form })
    const retry = yield* Retry.make({ budget, policy: attempts })
    /** How many attempts a call makes whose attempts end so. */
    const call = (...ends: ReadonlyArray<Effect.Effect<unknown, unknown>>) =>
      Effect.gen(function*() {
        let made = 0
        yield* Effect.ignore(Retry.apply(Effect.suspend(() => ends[made++] ?? Effect.void), retry))
        return made
      })
    return { budget, call, tokens: () => budget.cell.state.level / 1_000 }
  })

const failed = Effect.fail(down)

describe("RetryBudget.throttle", () => {
  it.effect("allows retries only while more than half of the tokens are left", () =>
    Effect.gen(function*() {
      const { budget, call, tokens } = yield* make()
      expect(tokens()).toBe(10)
      expect((yield* RetryBudget.stats(budget)).available).toBe(4)
      expect([yield* call(failed, failed, failed), tokens()]).toEqual([3, 7])
      expect([yield* call(failed, failed, failed), tokens()]).toEqual([2, 5])
      expect((yield* RetryBudget.stats(budget)).available).toBe(0)
      expect([yield* call(failed), tokens()]).toEqual([1, 4])
    }))

  it.effect("a success puts the ratio back, up to the most, also after a retry", () =>
    Effect.gen(function*() {
      const { call, tokens } = yield* make()
      expect([yield* call(Effect.void), tokens()]).toEqual([1, 10])
      expect([yield* call(failed, Effect.void), tokens()]).toEqual([2, 9.1])
      expect([yield* call(Effect.void), tokens()]).toEqual([1, 9.2])
    }))

  it.effect("opens again when enough calls go well", () =>
    Effect.gen(function*() {
      const { call, tokens } = yield* make(RetryBudget.throttle({ maxTokens: 4, tokenRatio: 0.5 }))
      expect([yield* call(failed, failed, failed), tokens()]).toEqual([2, 2])
      for (let i = 0; i < 3; i++) yield* call(Effect.void)
      expect(tokens()).toBe(3.5)
      expect([yield* call(failed, Effect.void), tokens()]).toEqual([2, 3])
    }))

  it.effect("an error that may not be retried takes nothing away", () =>
    Effect.gen(function*() {
      const { call, tokens } = yield* make()
      expect([yield* call(Effect.fail(new InvalidRequest({ provider: "test" }))), tokens()]).toEqual([1, 10])
    }))

  it.effect("the tokens never fall below none", () =>
    Effect.gen(function*() {
      const { call, tokens } = yield* make(RetryBudget.throttle({ maxTokens: 1 }))
      yield* call(failed)
      yield* call(failed)
      expect(tokens()).toBe(0)
    }))

  it.effect("three decimals of the ratio count, and sums of them are exact", () =>
    Effect.gen(function*() {
      const { call, tokens } = yield* make(RetryBudget.throttle({ maxTokens: 1_000, tokenRatio: 0.5709 }))
      yield* call(failed, failed, failed)
      yield* call(Effect.void)
      expect(tokens()).toBe(997.57)
    }))

  it.effect("a retry round a hedge counts each failure once", () =>
    Effect.gen(function*() {
      const { budget, tokens } = yield* make(RetryBudget.throttle({ maxTokens: 100, tokenRatio: 1 }))
      const hedge = yield* Hedge.make({ delay: "1 second", budget })
      const retry = yield* Retry.make({ budget, policy: attempts })
      // Three attempts, each with a hedge at once where the first has failed.
      yield* Effect.ignore(failed.pipe(Hedge.apply(hedge), Retry.apply(retry)))
      expect(tokens()).toBe(94)
    }))

  it.effect("bounds hedges that are started for slowness, too", () =>
    Effect.gen(function*() {
      const { budget, call, tokens } = yield* make(RetryBudget.throttle({ maxTokens: 2, tokenRatio: 0.001 }))
      const hedge = yield* Hedge.make({ delay: "1 second", budget })
      yield* call(failed)
      expect(tokens()).toBe(1)
      let started = 0
      const slow = Effect.zipRight(Effect.sync(() => started++), Effect.sleep("10 seconds"))
      yield* Effect.fork(Hedge.apply(slow, hedge))
      yield* TestClock.adjust("1 minute")
      expect(started).toBe(1)
    }))

  it.effect("has its own numbers and its own words", () =>
    Effect.gen(function*() {
      expect(RetryBudget.throttle()).toEqual({ _tag: "Throttle", maxTokens: 10, tokenRatio: 0.1 })
      expect(RetryBudget.describe(yield* RetryBudget.make({ name: "grpc", form: RetryBudget.throttle() }))).toBe(
        "grpc: further attempts while more than half of 10 tokens are left; a failure takes 1, a success puts 0.1 back"
      )
      const wrong = RetryBudget.throttle({ maxTokens: 1_001, tokenRatio: 0 })
      const error = yield* Effect.flip(RetryBudget.make({ form: wrong }))
      expect(error.issues.map((issue) => issue.path)).toEqual(["form.maxTokens", "form.tokenRatio"])
    }))

  it.effect("can be written in a policy file", () =>
    Effect.gen(function*() {
      const file = { retry: { backoff: "immediate", attempts: 2 }, retryBudget: { throttle: { maxTokens: 20 } } }
      const pipeline = yield* Pipeline.decode(file)
      expect(Pipeline.policies(pipeline).retryBudget?.form).toEqual(RetryBudget.throttle({ maxTokens: 20 }))
      expect(Pipeline.encode(pipeline)).toMatchObject({ retryBudget: { throttle: { maxTokens: 20 } } })
    }))
})
