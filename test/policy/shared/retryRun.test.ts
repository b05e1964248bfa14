import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../../src/error/ModelError.ts"
import * as Verdict from "../../../src/error/Verdict.ts"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"

const { attempts, capped, constant, exponential, honourHints, jittered, within } = RetryPolicy

const transient = exponential({ initial: "500 millis", factor: 2 }).pipe(
  jittered("full"),
  capped("8 seconds"),
  attempts(4),
  within("1 minute"),
  honourHints({ max: "60 seconds" })
)

describe("failureOf tells a policy of an error", () => {
  it.each<readonly [string, unknown, RetryPolicy.Failure]>([
    [
      "a ModelError with a hint",
      new ModelError.RateLimited({ provider: "p", retryAfter: Duration.seconds(7) }),
      { tag: "RateLimited", retryable: true, forbidden: false, hint: 7000 }
    ],
    [
      "one that the provider forbids to retry",
      new ModelError.ServerError({ provider: "p", shouldRetry: false }),
      { tag: "ServerError", retryable: false, forbidden: true, hint: undefined }
    ],
    ["an Error", new TypeError("x"), { tag: "TypeError", retryable: true, forbidden: false, hint: undefined }],
    ["a text", "x", { tag: "string", retryable: true, forbidden: false, hint: undefined }],
    ["nothing", undefined, { tag: "undefined", retryable: true, forbidden: false, hint: undefined }],
    ["an object without a name", {}, { tag: "Error", retryable: true, forbidden: false, hint: undefined }]
  ])("%s", (_, error, failure) => {
    expect(RetryPolicy.failureOf(error)).toMatchObject({ tag: failure.tag, forbidden: failure.forbidden })
    expect(RetryPolicy.failureOf(error).hint).toBe(failure.hint)
    if (!failure.forbidden) expect(RetryPolicy.failureOf(error).retryable).toBe(failure.retryable)
  })

  it("with a verdict of your own", () => {
    expect(RetryPolicy.failureOf("x", Verdict.make("Fail", { retryAfter: "1 second" }))).toEqual({
      tag: "string",
      retryable: false,
      forbidden: false,
      hint: 1000
    })
  })
})

describe("toSchedule", () => {
  /** When attempts are made that all fail with these errors. */
  const attemptsAt = (schedule: Schedule.Schedule<unknown, unknown>, errors: ReadonlyArray<unknown>) =>
    Effect.gen(function*() {
      const at: Array<number> = []
      const call = Effect.gen(function*() {
        at.push(yield* Clock.currentTimeMillis)
        return yield* Effect.fail(errors[at.length - 1] ?? errors.at(-1))
      })
      const fiber = yield* Effect.fork(Effect.exit(Effect.retry(call, schedule)))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      return at
    }).pipe(Effect.withRandom(Random.fixed([1])))

  it.effect("is an ordinary Schedule", () =>
    Effect.gen(function*() {
      expect(yield* attemptsAt(RetryPolicy.toSchedule(transient), ["boom"])).toEqual([0, 500, 1500, 3500])
    }))

  it.effect("honours hints", () =>
    Effect.gen(function*() {
      const limited = new ModelError.RateLimited({ provider: "p", retryAfter: Duration.seconds(7) })
      expect(yield* attemptsAt(RetryPolicy.toSchedule(transient), ["boom", limited, "boom"])).toEqual([
        0,
        500,
        7500,
        9500
      ])
    }))

  it.effect("does not retry what may not be", () =>
    Effect.gen(function*() {
      const denied = new ModelError.Authentication({ provider: "p" })
      expect(yield* attemptsAt(RetryPolicy.toSchedule(transient), ["boom", denied])).toEqual([0, 500])
    }))

  it.effect("judges errors as it is told", () =>
    Effect.gen(function*() {
      const schedule = RetryPolicy.toSchedule(transient, { verdict: () => Verdict.make("Fail") })
      expect(yield* attemptsAt(schedule, ["boom"])).toEqual([0])
    }))

  it.effect("composes with schedules", () =>
    Effect.gen(function*() {
      const schedule = RetryPolicy.toSchedule(constant("1 second")).pipe(Schedule.intersect(Schedule.recurs(2)))
      expect(yield* attemptsAt(schedule, ["boom"])).toEqual([0, 1000, 2000])
    }))
})
