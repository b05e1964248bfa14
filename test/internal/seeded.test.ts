import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { draw, hex, uniform } from "../../src/internal/seeded.ts"

const coordinates = FastCheck.array(FastCheck.oneof(FastCheck.string(), FastCheck.integer()), { minLength: 1 })

describe("seeded", () => {
  it("gives the same numbers for the same coordinates", () =>
    FastCheck.assert(
      FastCheck.property(coordinates, (at) => {
        const series = () => {
          const chance = draw(...at)
          return Array.from({ length: 5 }, () => chance.fraction())
        }
        expect(series()).toEqual(series())
        expect(uniform(...at)).toBe(series()[0])
      }),
      { numRuns: 200 }
    ))

  it("gives a fork its own series, whatever was drawn before", () => {
    const one = draw("seed")
    one.fraction()
    expect(one.fork("a").fraction()).toBe(draw("seed").fork("a").fraction())
    expect(one.fork("a").fraction()).not.toBe(one.fork("b").fraction())
    expect(draw(1).fraction()).not.toBe(draw("1").fraction())
  })

  it("is even over neighbouring coordinates, and within a series", () => {
    const over = (numbers: ReadonlyArray<number>) => {
      const tenths = new Array<number>(10).fill(0)
      for (const number of numbers) tenths[Math.floor(number * 10)] = (tenths[Math.floor(number * 10)] ?? 0) + 1
      for (const tenth of tenths) expect(tenth / numbers.length).toBeCloseTo(0.1, 2)
    }
    const chance = draw("series")
    over(Array.from({ length: 50_000 }, () => chance.fraction()))
    over(Array.from({ length: 50_000 }, (_, index) => uniform("seed", "fate", index, 1)))
  })

  it("keeps whole numbers within their bounds, and picks and shuffles what is there", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.string(),
        FastCheck.integer({ min: -50, max: 50 }),
        FastCheck.nat(50),
        (seed, least, more) => {
          const chance = draw(seed)
          const drawn = chance.between(least, least + more)
          expect(Number.isInteger(drawn) && drawn >= least && drawn <= least + more).toBe(true)
          expect([1, 2, null]).toContain(chance.pick([1, 2, null]))
          expect([...chance.shuffle([3, 1, 2])].sort()).toEqual([1, 2, 3])
        }
      ),
      { numRuns: 200 }
    ))

  it("names texts without meeting the same name twice", () =>
    expect(new Set(Array.from({ length: 50_000 }, (_, index) => hex(`request ${index}`))).size).toBe(50_000))
})
