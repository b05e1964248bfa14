import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { breakerOf, down, held, refusal, tag, times } from "./circuits.ts"
import { jumpingClock } from "./support/jumpingClock.ts"

const day = 86_400_000

/** Runs the test under a clock whose wall time jumps; `adjust` moves on the time of both. */
const withJumps = <E>(
  test: (
    jump: (millis: number) => Effect.Effect<void>,
    adjust: (by: Duration.DurationInput) => Effect.Effect<void>
  ) => Effect.Effect<void, E>
) =>
  Effect.gen(function*() {
    const virtual = yield* Effect.clock
    const { clock, jump } = yield* jumpingClock
    const adjust = (by: Duration.DurationInput) => Effect.withClock(TestClock.adjust(by), virtual)
    yield* Effect.withClock(test(jump, adjust), clock)
  })

describe("a wall clock that is set", () => {
  for (const [direction, jumped] of [["back", -day], ["forward", day]] as const) {
    it.effect(`${direction} neither prolongs a break nor ends it early`, () =>
      withJumps((jump, adjust) =>
        Effect.gen(function*() {
          const breaker = yield* breakerOf({ openFor: "10 seconds" })
          yield* times(2, down, breaker)
          yield* adjust("4 seconds")
          yield* jump(jumped)
          expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(6))
          yield* adjust(5_999)
          expect(yield* tag(breaker)).toBe("Open")
          yield* adjust(1)
          expect(yield* tag(breaker)).toBe("HalfOpen")
        })
      ))

    it.effect(`${direction} leaves the counts of a window as they are`, () =>
      withJumps((jump, adjust) =>
        Effect.gen(function*() {
          const tripping = Tripping.failureRate({ share: 0.5, window: "30 seconds", minimumCalls: 3 })
          const breaker = yield* breakerOf({ tripping })
          yield* times(2, down, breaker)
          yield* adjust("20 seconds")
          yield* jump(jumped)
          yield* times(1, down, breaker)
          expect(yield* tag(breaker)).toBe("Open")
        })
      ))

    it.effect(`${direction} gives a probe its whole limit, and no more`, () =>
      withJumps((jump, adjust) =>
        Effect.gen(function*() {
          const breaker = yield* breakerOf({ openFor: "10 seconds", probes: 1, probeLimit: "5 seconds" })
          yield* times(2, down, breaker)
          yield* adjust("10 seconds")
          yield* held(breaker)
          yield* adjust("2 seconds")
          yield* jump(jumped)
          expect(yield* refusal(breaker)).toMatchObject({ reason: "probing", retryAfter: Duration.seconds(3) })
          yield* adjust("3 seconds")
          expect(yield* tag(breaker)).toBe("Open")
        })
      ))
  }

  it.effect("dates what is reported", () =>
    Effect.gen(function*() {
      const { clock } = yield* jumpingClock
      const { events, monitor } = yield* Monitor.recorder
      const breaker = yield* breakerOf()
      yield* times(3, down, breaker).pipe(Effect.provideService(Monitor.Monitor, monitor), Effect.withClock(clock))
      expect((yield* events).map(({ _tag, at }) => [_tag, at])).toEqual([["CircuitOpened", 1e12], [
        "CircuitRefused",
        1e12
      ]])
    }))
})
