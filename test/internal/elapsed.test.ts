import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { elapsedMillis, isLive } from "../../src/internal/elapsed.ts"

describe("elapsed time", () => {
  it.effect("is virtual under a virtual clock", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      const begun = elapsedMillis(clock)
      yield* TestClock.adjust("90 seconds")
      expect(elapsedMillis(clock) - begun).toBe(90_000)
      expect(isLive(clock)).toBe(false)
    }))

  it("does not follow a wall clock that is set back", () => {
    const clock = { ...Clock.make(), unsafeCurrentTimeMillis: () => -1e12, unsafeCurrentTimeNanos: () => 5_500_000n }
    expect(elapsedMillis(clock)).toBe(5.5)
  })

  it("only goes forward on the platform's clock", () => {
    const clock = Clock.make()
    const readings = Array.from({ length: 1_000 }, () => elapsedMillis(clock))
    expect(isLive(clock)).toBe(true)
    expect([...readings].sort((a, b) => a - b)).toEqual(readings)
  })
})
