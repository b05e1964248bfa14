/** What is retried and what is not: typed failures are; defects and interruption never. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as TestClock from "effect/TestClock"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { runs } from "../runs.ts"

const everySecond = RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3))

/** How often an effect with this cause is attempted, and what comes of it. */
const attemptsWith = <E>(cause: Cause.Cause<E>) =>
  Effect.gen(function*() {
    let attempts = 0
    const call = Effect.suspend(() => {
      attempts++
      return Effect.failCause(cause)
    })
    const fiber = yield* Effect.fork(Retry.apply(call, everySecond))
    yield* TestClock.adjust("1 minute")
    return { attempts, exit: yield* Fiber.await(fiber) }
  })

const failure = Cause.fail("down")
const defect = Cause.die(new Error("bug"))
const interruption = Cause.interrupt(FiberId.none)

describe("a cause", () => {
  it.effect.each<readonly [string, Cause.Cause<string>]>([
    ["a defect", defect],
    ["an interruption", interruption],
    ["a failure, then a defect", Cause.sequential(failure, defect)],
    ["a failure beside a defect", Cause.parallel(failure, defect)],
    ["an interruption and a defect", Cause.parallel(interruption, defect)],
    ["nothing", Cause.empty]
  ])("with %s is not retried, and passes through as it is", ([, cause]) =>
    Effect.gen(function*() {
      const { attempts, exit } = yield* attemptsWith(cause)
      expect(attempts).toBe(1)
      expect(exit).toEqual(Exit.failCause(cause))
    }))

  it.effect.each<readonly [string, Cause.Cause<string>]>([
    ["a failure", failure],
    ["two failures", Cause.parallel(failure, Cause.fail("down"))],
    ["a failure that interrupted the work beside it", Cause.parallel(failure, interruption)]
  ])("with %s is retried", ([, cause]) =>
    Effect.gen(function*() {
      const { attempts, exit } = yield* attemptsWith(cause)
      expect(attempts).toBe(3)
      expect(exit).toEqual(Exit.fail("down"))
    }))
})

const raise = (): never => {
  throw new Error("no")
}

describe("an error whose properties throw", () => {
  it.effect("is retried as any other, and passes through", () =>
    Effect.gen(function*() {
      const broken = { get: () => raise() }
      const hostile: object = Object.defineProperties({}, {
        _tag: broken,
        name: broken,
        message: broken,
        cause: broken,
        isRetryable: broken,
        [Verdict.symbol]: broken
      })
      let attempts = 0
      const call = Effect.suspend(() => {
        attempts++
        return Effect.fail(hostile)
      })
      const fiber = yield* Effect.fork(Effect.flip(Retry.apply(call, everySecond)))
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      expect(attempts).toBe(3)
      expect(error === hostile).toBe(true)
    }))
})

describe("work that runs concurrently", () => {
  it.effect("is retried when one part fails and the others are interrupted for it", () =>
    Effect.gen(function*() {
      let attempts = 0
      const call = Effect.suspend(() =>
        Effect.all([++attempts < 3 ? Effect.fail("down") : Effect.succeed("a"), Effect.sleep("1 second")], {
          concurrency: "unbounded"
        })
      )
      const fiber = yield* Effect.fork(Retry.apply(call, everySecond))
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(fiber)).toEqual(["a", undefined])
      expect(attempts).toBe(3)
    }))
})

describe("applyOrExhausted", () => {
  it.effect("boxes the failure that stands beside a defect, and keeps the defect", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Retry.applyOrExhausted(Effect.failCause(Cause.parallel(failure, defect)), everySecond)
      )
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      const boxed = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : undefined
      expect(boxed).toMatchObject({ value: { _tag: "RetriesExhausted", lastError: "down", attempts: 1 } })
    }))
})

describe("interruption of the caller", () => {
  it.effect("during an attempt ends the call, and nothing is retried", () =>
    Effect.gen(function*() {
      let attempts = 0
      let released = 0
      const begun = yield* Deferred.make<void>()
      const call = Effect.suspend(() => {
        attempts++
        return Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => void released++)))
      const fiber = yield* Effect.fork(Retry.apply(call, everySecond))
      yield* Deferred.await(begun)
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      yield* TestClock.adjust("1 minute")
      expect([attempts, released]).toEqual([1, 1])
    }))

  it.effect("during a wait returns at once, without waiting it out", () =>
    Effect.gen(function*() {
      let attempts = 0
      const call = Effect.suspend(() => {
        attempts++
        return Effect.fail("down")
      })
      const fiber = yield* Effect.fork(Retry.apply(call, RetryPolicy.constant("1 hour")))
      yield* TestClock.adjust("1 minute")
      // No time passes here: this would hang if the wait had to end first.
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      yield* TestClock.adjust("1 day")
      expect(attempts).toBe(1)
    }))
})

describe("many attempts", () => {
  const attempts = runs(20_000, 100_000)
  const policy = RetryPolicy.immediate.pipe(RetryPolicy.attempts(attempts))

  it.effect("neither the stack nor the log is in their way", () =>
    Effect.gen(function*() {
      let made = 0
      const call = Effect.suspend(() => ++made < attempts ? Effect.fail("down") : Effect.succeed(made))
      expect(yield* Retry.apply(call, policy)).toBe(attempts)
      made = 0
      const report = yield* Retry.applyWithReport(call, policy)
      expect(report.attempts).toBe(attempts)
      expect(report.log.length).toBe(attempts - 1)
    }))
})
