import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { TimedOut } from "../../src/error/PolicyError.ts"
import * as Timeout from "../../src/policy/Timeout.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

const limit = Duration.seconds(10)
const tenSeconds = Timeout.make({ limit })
const refused = Exit.fail(new TimedOut({ phase: "attempt", limit }))

/** Work that notes how it ends. */
const work = (takes: Duration.DurationInput) => {
  const ends: Array<string> = []
  return {
    ends,
    call: Effect.sleep(takes).pipe(
      Effect.as("done"),
      Effect.onExit((exit) => Effect.sync(() => ends.push(Exit.isInterrupted(exit) ? "interrupted" : exit._tag)))
    )
  }
}

/** What has come of it after this much virtual time. */
const after = <A, E, R>(time: Duration.DurationInput, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust(time)
    return { fiber, exit: Option.getOrUndefined(yield* Fiber.poll(fiber)) }
  })

describe("Timeout.apply", () => {
  it.effect("passes a value through, at the time it comes", () =>
    Effect.gen(function*() {
      const { call, ends } = work("9 seconds")
      const { exit } = yield* after("9 seconds", Timeout.apply(call, yield* tenSeconds))
      expect(exit).toEqual(Exit.succeed("done"))
      expect(ends).toEqual(["Success"])
    }))

  it.effect("passes a failure and a defect through as they are", () =>
    Effect.gen(function*() {
      const timeout = yield* tenSeconds
      expect((yield* after(0, Timeout.apply(Effect.fail("down"), timeout))).exit).toEqual(Exit.fail("down"))
      const { exit } = yield* after(0, Effect.die("bug").pipe(Timeout.apply(timeout)))
      expect(exit !== undefined && Exit.isFailure(exit) && Option.getOrUndefined(Cause.dieOption(exit.cause))).toBe(
        "bug"
      )
    }))

  it.effect("ends work that takes too long, exactly at the limit, and interrupts it", () =>
    Effect.gen(function*() {
      const { call, ends } = work("1 hour")
      const { exit, fiber } = yield* after("9999 millis", Timeout.apply(call, yield* tenSeconds))
      expect(exit).toBe(undefined)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.await(fiber)).toEqual(refused)
      expect(ends).toEqual(["interrupted"])
    }))

  it.effect("returns on time even over work that cannot be interrupted", () =>
    Effect.gen(function*() {
      const { call, ends } = work("1 minute")
      const { exit } = yield* after(limit, Timeout.apply(Effect.uninterruptible(call), yield* tenSeconds))
      expect(exit).toEqual(refused)
      expect(ends).toEqual([])
      yield* TestClock.adjust("50 seconds")
      expect(ends).toEqual(["Success"])
    }))

  it.effect("does not wait for slow finalizers of the work", () =>
    Effect.gen(function*() {
      const call = Effect.never.pipe(Effect.onInterrupt(() => Effect.sleep("1 hour")))
      expect((yield* after(limit, Timeout.apply(call, yield* tenSeconds))).exit).toEqual(refused)
    }))

  it.effect("an interruption of the caller interrupts the work, and is not a time-out", () =>
    Effect.gen(function*() {
      const { call, ends } = work("1 hour")
      const { fiber } = yield* after("1 second", Timeout.apply(call, yield* tenSeconds))
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      yield* TestClock.adjust("1 hour")
      expect(ends).toEqual(["interrupted"])
    }))

  it.effect("the innermost limit that is reached first names its phase", () =>
    Effect.gen(function*() {
      const total = yield* Timeout.make({ limit: "30 seconds", phase: "total" })
      const short = yield* after(limit, Effect.never.pipe(Timeout.apply(yield* tenSeconds), Timeout.apply(total)))
      expect(short.exit).toEqual(refused)
      const long = yield* Timeout.make({ limit: "1 minute", phase: "idle" })
      const nested = yield* after("30 seconds", Effect.never.pipe(Timeout.apply(long), Timeout.apply(total)))
      expect(nested.exit).toEqual(Exit.fail(new TimedOut({ phase: "total", limit: Duration.seconds(30) })))
    }))

  it.effect("can be applied many times, each run with a clock of its own", () =>
    Effect.gen(function*() {
      const bounded = Timeout.apply(Effect.never, yield* tenSeconds)
      const { exit } = yield* after("20 seconds", Effect.zipRight(Effect.ignore(bounded), bounded))
      expect(exit).toEqual(refused)
    }))

  it.effect("what the work sets in its fiber is there afterwards", () =>
    Effect.gen(function*() {
      const ref = yield* FiberRef.make("before")
      yield* FiberRef.set(ref, "after").pipe(Timeout.apply(yield* tenSeconds))
      expect(yield* FiberRef.get(ref)).toBe("after")
    }).pipe(Effect.scoped))

  it.effect("reports a time-out, and nothing else", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const timeout = yield* Timeout.make({ name: "chat", limit, phase: "total" })
      yield* after(limit, Effect.all([Timeout.apply(Effect.void, timeout), Timeout.apply(Effect.never, timeout)])).pipe(
        Effect.provide(Monitor.layer(monitor))
      )
      expect(yield* events).toEqual([Event.TimedOut({ at: 10_000, name: "chat", phase: "total", limit })])
    }))
})

describe("Timeout.make", () => {
  it.effect("times an attempt under the name timeout by default", () =>
    Effect.gen(function*() {
      expect(yield* Timeout.make({ limit: "500 millis" })).toMatchObject({
        name: "timeout",
        phase: "attempt",
        limit: Duration.millis(500)
      })
    }))

  it.effect.each<readonly [Duration.DurationInput, string]>([
    [0, "0"],
    [-5, "-5"],
    [NaN, "NaN"],
    ["-1 seconds", "\"-1 seconds\""],
    [Infinity, "Infinity"],
    [Duration.infinity, "Infinity"],
    [Duration.zero, "0"]
  ])("refuses a limit of %s and says what is allowed", ([wrong, found]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Timeout.make({ limit: wrong }))
      expect(error._tag).toBe("InvalidOptions")
      expect(error.issues).toHaveLength(1)
      expect(error.issues[0]?.path).toBe("limit")
      expect(error.issues[0]?.found).toContain(found)
      expect(error.issues[0]?.allowed).toContain("a duration above zero")
    }))

  it.effect("lists every wrong option", () =>
    Effect.gen(function*() {
      // As it comes from a program without types.
      const options: Timeout.Options = JSON.parse("{\"limit\":\"soon\",\"phase\":\"never\",\"name\":\"\"}")
      const error = yield* Effect.flip(Timeout.make(options))
      expect(error.issues.map((issue) => issue.path)).toEqual(["name", "limit", "phase"])
      expect(error.message).toContain("one of \"attempt\", \"total\"")
    }))
})
