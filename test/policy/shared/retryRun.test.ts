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

  /** Runs an effect while the wall clock says something else than the time that has passed. */
  const whileWallSays = (wall: (millis: number) => number) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Effect.clock, (clock) => {
      const unsafeCurrentTimeMillis = () => wall(clock.unsafeCurrentTimeMillis())
      const lying: Clock.Clock = Object.assign(Object.create(clock), {
        unsafeCurrentTimeMillis,
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis)
      })
      return Effect.withClock(effect, lying)
    })

  /** The waits of a schedule whose every attempt takes a second. */
  const waits = (schedule: Schedule.Schedule<Duration.Duration, unknown>) =>
    Effect.gen(function*() {
      const driver = yield* Schedule.driver(schedule)
      const waited: Array<number> = []
      const run = Effect.gen(function*() {
        for (;;) {
          yield* Effect.sleep("1 second")
          waited.push(Duration.toMillis(yield* driver.next("boom")))
        }
      })
      const fiber = yield* Effect.fork(Effect.exit(run))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.interrupt(fiber)
      return waited
    })

  // The clock of the schedule starts at the first failure: waits end 1, 3 and 5 s after it, and the next would at 7 s.
  const bounded = RetryPolicy.toSchedule(within(constant("1 second"), "6 seconds"))

  it.effect("a wall clock that is set back does not keep a deadline from coming", () =>
    Effect.gen(function*() {
      // Sleeps end by the wall clock in Effect's driver, so the jump is between two attempts.
      const setBack = (millis: number) => millis < 2_500 ? 1e12 + millis : 1e12 + millis - 2_500
      expect(yield* waits(bounded)).toEqual([1000, 1000, 1000])
      expect(yield* waits(bounded).pipe(whileWallSays(setBack))).toEqual([1000, 1000, 1000])
    }))

  it.effect("a wall clock that is set forward does not bring it nearer", () =>
    Effect.gen(function*() {
      const setForward = (millis: number) => millis < 2_500 ? millis : millis + 86_400_000
      expect(yield* waits(bounded).pipe(whileWallSays(setForward))).toEqual([1000, 1000, 1000])
    }))
})
