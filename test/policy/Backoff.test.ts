import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as Backoff from "../../src/policy/Backoff.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"

const seconds = (backoff: Backoff.Backoff, random = 1) =>
  [0, 1, 2, 3].map((index) => Duration.toSeconds(Backoff.delay(backoff, index, random)))

describe("Backoff", () => {
  it("says how long to wait the n-th time", () => {
    expect(seconds(Backoff.constant("2 seconds"))).toEqual([2, 2, 2, 2])
    expect(seconds(Backoff.linear({ initial: "1 second", increment: "2 seconds" }))).toEqual([1, 3, 5, 7])
    expect(seconds(Backoff.exponential({ initial: "1 second", factor: 3 }))).toEqual([1, 3, 9, 27])
    expect(seconds(Backoff.fibonacci({ initial: "1 second" }))).toEqual([1, 1, 2, 3])
    expect(seconds(Backoff.immediate)).toEqual([0, 0, 0, 0])
  })

  it("is bounded and jittered without becoming anything else", () => {
    const backoff = Backoff.exponential({ initial: "1 second" }).pipe(
      Backoff.jittered("equal"),
      Backoff.atLeast("1 second"),
      Backoff.capped("3 seconds")
    )
    expect(seconds(backoff, 0)).toEqual([1, 1, 2, 3])
    expect(Backoff.isBackoff(backoff)).toBe(true)
  })

  it("decorrelated jitter grows from what was drawn before, up to the cap", () => {
    const backoff = Backoff.constant("1 second").pipe(Backoff.jittered("decorrelated"), Backoff.capped("20 seconds"))
    expect(seconds(backoff, 1)).toEqual([3, 9, 20, 20])
    expect(seconds(backoff, 0)).toEqual([1, 1, 1, 1])
  })

  it("is a retry policy to which limits are added, and then no backoff any more", () => {
    const limited = Backoff.constant("1 second").pipe(RetryPolicy.attempts(3))
    expect(RetryPolicy.bounds(limited).attempts).toBe(3)
    expect(Backoff.isBackoff(limited)).toBe(false)
    expect(Backoff.isBackoff(RetryPolicy.never)).toBe(false)
  })

  it("agrees with what a policy previews", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 100_000 }),
        FastCheck.constantFrom<Backoff.Jitter>("none", "full", "equal", "decorrelated", { ratio: 0.3 }),
        FastCheck.double({ min: 0, max: 1, noNaN: true }),
        (millis, jitter, random) => {
          const backoff = Backoff.exponential({ initial: millis }).pipe(Backoff.jittered(jitter))
          const rows = RetryPolicy.preview(backoff, { random, limit: 5 })
          expect(rows.map((row) => row.delay)).toEqual([0, 1, 2, 3, 4].map((n) => Backoff.delay(backoff, n, random)))
        }
      ),
      { numRuns: 200 }
    )
  })
})
