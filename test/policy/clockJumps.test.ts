/** The wall clock is set back or forward while a call runs: no wait is longer or shorter for it. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { RateLimited, ServerError } from "../../src/error/ModelError.ts"
import { TimedOut } from "../../src/error/PolicyError.ts"
import * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Timeout from "../../src/policy/Timeout.ts"
import { jumpingClock } from "./support/jumpingClock.ts"

const day = Duration.toMillis("1 day")
const down = new ServerError({ provider: "test", status: 500 })

/** Runs for `before`, jumps, runs for `after`, and tells what has come of it. */
const jumpedAfter = <A, E>(
  effect: Effect.Effect<A, E>,
  jump: number,
  before: Duration.DurationInput,
  after: Duration.DurationInput
) =>
  Effect.gen(function*() {
    const { clock, jump: set } = yield* jumpingClock
    const fiber = yield* Effect.fork(Effect.withClock(effect, clock))
    yield* TestClock.adjust(before)
    yield* set(jump)
    yield* TestClock.adjust(after)
    const exit = yield* Fiber.poll(fiber)
    yield* Fiber.interrupt(fiber)
    return Option.getOrUndefined(exit)
  })

describe.each([["back", -day], ["forward", day]])("when the wall clock is set %s by a day", (_, jump) => {
  it.effect("a time-out ends the work on time", () =>
    Effect.gen(function*() {
      const timeout = yield* Timeout.make({ limit: "10 seconds" })
      const ended = Exit.fail(new TimedOut({ phase: "attempt", limit: Duration.seconds(10) }))
      const call = Timeout.apply(Effect.never, timeout)
      expect(yield* jumpedAfter(call, jump, "4 seconds", "5999 millis")).toBeUndefined()
      expect(yield* jumpedAfter(call, jump, "4 seconds", "6 seconds")).toEqual(ended)
    }))

  it.effect("a retry waits as long as it says, and its deadline is as far away", () =>
    Effect.gen(function*() {
      const call = Effect.flatMap(Retry.CurrentAttempt, ({ number }) =>
        number < 3 ? Effect.fail(down) : Effect.succeed(number))
      const policy = RetryPolicy.constant("10 seconds").pipe(RetryPolicy.attempts(3), RetryPolicy.within("30 seconds"))
      const retried = Retry.apply(call, policy)
      expect(yield* jumpedAfter(retried, jump, "4 seconds", "15999 millis")).toBeUndefined()
      expect(yield* jumpedAfter(retried, jump, "4 seconds", "16 seconds")).toEqual(Exit.succeed(3))
    }))

  it.effect("the total time-out of a pipeline ends on time, over retries and their waits", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "30 seconds",
        attemptTimeout: "20 seconds",
        retry: RetryPolicy.constant("5 seconds").pipe(RetryPolicy.attempts(2))
      })
      const ended = Exit.fail(new TimedOut({ phase: "total", limit: Duration.seconds(30) }))
      const call = Pipeline.apply(Effect.never, pipeline)
      expect(yield* jumpedAfter(call, jump, "22 seconds", "7999 millis")).toBeUndefined()
      expect(yield* jumpedAfter(call, jump, "22 seconds", "8 seconds")).toEqual(ended)
    }))

  it.effect("a hedge starts after its delay, and learns how long the call took", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({ delay: "10 seconds", budget: "none" })
      const call = Effect.flatMap(
        Hedge.CurrentAttempt,
        (number) => number === 1 ? Effect.never : Effect.succeed(number)
      )
      const exit = yield* jumpedAfter(Hedge.applyWithReport(call, hedge), jump, "4 seconds", "6 seconds")
      expect(exit).toEqual(Exit.succeed({ value: 2, attempts: 2, winner: 2, elapsed: Duration.seconds(10) }))
      const learned = yield* Hedge.make({ delay: { quantile: 0.95 }, budget: "none" })
      yield* jumpedAfter(
        Effect.replicateEffect(Hedge.apply(Effect.sleep("1 second"), learned), 100),
        jump,
        "500 millis",
        "2 minutes"
      )
      expect((yield* Hedge.stats(learned)).delay).toEqual(Option.some(Duration.seconds(1)))
    }))

  it.effect("the deposits of a budget last as long as their time to live", () =>
    Effect.gen(function*() {
      const form = RetryBudget.deposits({ ttl: "10 seconds", minimumPerSecond: 0, ratio: 1 })
      const budget = yield* RetryBudget.make({ form })
      const left = (after: Duration.DurationInput) =>
        Effect.zipRight(
          RetryBudget.apply(Effect.void, budget),
          Effect.zipRight(Effect.sleep(after), RetryBudget.stats(budget))
        )
      const stats = (exit: Exit.Exit<RetryBudget.Stats> | undefined) =>
        exit !== undefined && Exit.isSuccess(exit) && exit.value.available
      expect(stats(yield* jumpedAfter(left("8 seconds"), jump, "4 seconds", "4 seconds"))).toBe(1)
      expect(stats(yield* jumpedAfter(left("11 seconds"), jump, "4 seconds", "7 seconds"))).toBe(0)
    }))

  it.effect("the window and the rate of an adaptive retry go on", () =>
    Effect.gen(function*() {
      const adaptive = yield* AdaptiveRetry.make({ mode: "rate", window: "10 seconds" })
      const throttled = Effect.ignore(AdaptiveRetry.apply(Effect.fail(new RateLimited({ provider: "test" })), adaptive))
      const answered = Effect.zipRight(throttled, AdaptiveRetry.apply(Effect.succeed("answer"), adaptive))
      // Half a request a second is let out.
      expect(yield* jumpedAfter(answered, jump, "100 millis", "2 seconds")).toEqual(Exit.succeed("answer"))
      expect((yield* AdaptiveRetry.stats(adaptive)).calls).toBe(2)
      yield* TestClock.adjust("10 seconds")
      expect((yield* AdaptiveRetry.stats(adaptive)).calls).toBe(0)
    }))
})
