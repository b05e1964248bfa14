import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { count, empty, nearestRank, record, type Settings, type State } from "../../../src/policy/hedge/quantile.ts"

const settings: Settings = { quantile: 0.95, minimumSamples: 100, window: 1000, every: 20 }

const after = (samples: ReadonlyArray<number>, of = settings): State =>
  samples.reduce((state, sample) => record(of, state, sample), empty)

const upTo = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i + 1)

describe("a quantile of recent samples", () => {
  it("is the smallest sample that is as large as the share of all", () => {
    expect(nearestRank(upTo(100), 0.95)).toBe(95)
    expect(nearestRank([...upTo(100)].reverse(), 0.5)).toBe(50)
    expect(nearestRank([3, 1, 2], 0.5)).toBe(2)
    expect(nearestRank([3, 1, 2], 0)).toBe(1)
    expect(nearestRank([3, 1, 2], 1)).toBe(3)
    expect(nearestRank([], 0.5)).toBeUndefined()
  })

  it("is not known before there are enough samples, and known from then on", () => {
    expect(after(upTo(99)).value).toBeUndefined()
    expect(after(upTo(100)).value).toBe(95)
    expect(after(upTo(133), { ...settings, minimumSamples: 133 }).value).toBe(127)
  })

  it("is reckoned anew after every few samples", () => {
    const state = after(upTo(100))
    const slow = upTo(19).reduce((each) => record(settings, each, 10_000), state)
    expect(slow.value).toBe(95)
    expect(record(settings, slow, 10_000).value).toBe(10_000)
  })

  it("forgets all but the most recent samples", () => {
    const state = after([...upTo(5_000).map(() => 10_000), ...upTo(1_000)])
    expect([state.value, count(state)]).toEqual([950, 1_000])
  })

  it("agrees with the plain reckoning, and stays within its memory", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.nat({ max: 100_000 }), { maxLength: 400 }),
        FastCheck.double({ min: 0.5, max: 0.999, noNaN: true }),
        (samples, quantile) => {
          const small: Settings = { quantile, minimumSamples: 10, window: 50, every: 5 }
          const state = after(samples, small)
          expect(count(state)).toBeLessThan(55)
          if (samples.length < 10) {
            expect(state.value).toBeUndefined()
            return
          }
          const taken = samples.slice(0, samples.length - state.pendingCount).slice(-50)
          expect(state.samples).toEqual(taken)
          expect(state.value).toBe(nearestRank(taken, quantile))
        }
      ),
      { numRuns: 300 }
    )
  })
})
