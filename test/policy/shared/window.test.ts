import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Window from "../../../src/policy/shared/window.ts"

const overCalls = (calls: number) => Window.make({ _tag: "Calls", calls })
const overTime = (millis: number) => Window.make({ _tag: "Time", millis })

const seen = (window: Window.Window, now: number) => {
  Window.roll(window, now)
  return { calls: window.calls, bad: window.bad }
}

const hour = 3_600_000

describe("a window over calls", () => {
  it("holds the last calls and no others", () => {
    const window = overCalls(3)
    for (const bad of [true, true, false]) Window.record(window, bad, 0)
    expect(seen(window, 0)).toEqual({ calls: 3, bad: 2 })
    Window.record(window, false, 0)
    expect(seen(window, 0)).toEqual({ calls: 3, bad: 1 })
    Window.record(window, false, 0)
    expect(seen(window, 10 * hour)).toEqual({ calls: 3, bad: 0 })
  })

  it("counts as a list of the last calls does", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 12 }),
        FastCheck.array(FastCheck.boolean(), { maxLength: 60 }),
        (size, calls) => {
          const window = overCalls(size)
          for (const bad of calls) Window.record(window, bad, 0)
          const last = calls.slice(-size)
          expect(seen(window, 0)).toEqual({ calls: last.length, bad: last.filter((bad) => bad).length })
        }
      ),
      { numRuns: 500 }
    ))
})

describe("a window over a time", () => {
  it("forgets a call when its time is over, at most one bucket early", () => {
    const window = overTime(60_000)
    Window.record(window, true, 0)
    expect(seen(window, 59_000)).toEqual({ calls: 1, bad: 1 })
    expect(seen(window, 60_000)).toEqual({ calls: 0, bad: 0 })
  })

  it("does not count a call that is as old as the window, whatever its length and whenever it began", () => {
    for (let millis = 1; millis <= 1_000; millis++) {
      for (const at of [0, 1, 7, 199, 12_345, 1.8e12]) {
        const window = overTime(millis)
        Window.record(window, true, at)
        expect(seen(window, at + millis), `${millis} ms from ${at}`).toEqual({ calls: 0, bad: 0 })
      }
    }
  })

  it("counts the first call until it is as old as the window", () => {
    for (const at of [0, 1_234, 40_000.5]) {
      const window = overTime(10_000)
      Window.record(window, true, at)
      expect(seen(window, at + 9_999)).toEqual({ calls: 1, bad: 1 })
      Window.record(window, true, at + 10_000)
      expect(seen(window, at + 19_999)).toEqual({ calls: 1, bad: 1 })
    }
  })

  it("holds nothing stale after an idle gap of any length", () => {
    for (const gap of [5_000, 5_001, 7_777, 60_000, hour, 1_000 * hour]) {
      const window = overTime(5_000)
      for (let i = 0; i < 4; i++) Window.record(window, true, 100)
      Window.record(window, true, 100 + gap)
      expect(seen(window, 100 + gap)).toEqual({ calls: 1, bad: 1 })
    }
  })

  it("counts all calls of the time but for the oldest bucket, and none that are older", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom(1, 7, 100, 1_000, 5_000, 30_000),
        FastCheck.array(
          FastCheck.record({
            gap: FastCheck.oneof(
              FastCheck.integer({ min: 0, max: 2_000 }),
              FastCheck.constantFrom(0, 1, 29_999, 30_000, 30_001, hour)
            ),
            bad: FastCheck.boolean()
          }),
          { maxLength: 60 }
        ),
        FastCheck.integer({ min: -hour, max: hour }),
        (millis, calls, epoch) => {
          const window = overTime(millis)
          const told: Array<{ readonly at: number; readonly bad: boolean }> = []
          let now = epoch
          for (const { bad, gap } of calls) {
            now += gap
            Window.record(window, bad, now)
            told.push({ at: now, bad })
            const bucket = millis / Window.buckets
            const surely = told.filter((call) => now - call.at <= millis - bucket - 1e-6)
            const maybe = told.filter((call) => now - call.at < millis + 1e-6)
            const got = seen(window, now)
            expect(got.calls).toBeGreaterThanOrEqual(surely.length)
            expect(got.calls).toBeLessThanOrEqual(maybe.length)
            expect(got.bad).toBeGreaterThanOrEqual(surely.filter((call) => call.bad).length)
            expect(got.bad).toBeLessThanOrEqual(maybe.filter((call) => call.bad).length)
          }
        }
      ),
      { numRuns: 400 }
    ))

  it("does not keep results for ever when the clock is set back", () => {
    const window = overTime(30_000)
    Window.record(window, true, 10 * hour)
    Window.record(window, true, 10 * hour - 1_000)
    expect(seen(window, 10 * hour - 1_000)).toEqual({ calls: 2, bad: 2 })
    Window.record(window, false, hour)
    expect(seen(window, hour)).toEqual({ calls: 1, bad: 0 })
  })

  it("is as large after a million calls as it was before", () => {
    const window = overTime(30_000)
    const size = () => JSON.stringify(Object.keys(window)).length + Window.buckets
    const before = size()
    for (let i = 0; i < 1_000_000; i++) Window.record(window, i % 3 === 0, i * 37)
    expect(size()).toBe(before)
    expect(window.calls).toBeLessThanOrEqual(30_000 / 37 + 1)
  })
})

describe("a written window", () => {
  const call = FastCheck.record({ gap: FastCheck.integer({ min: 0, max: 3_000 }), bad: FastCheck.boolean() })

  it("fills another one of its kind with the same counts", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.constantFrom<Window.WindowSpec>(
          { _tag: "Calls", calls: 5 },
          { _tag: "Calls", calls: 100 },
          { _tag: "Time", millis: 30_000 }
        ),
        FastCheck.array(call, { maxLength: 40 }),
        FastCheck.integer({ min: 0, max: hour }),
        (spec, calls, later) => {
          const [from, to] = [Window.make(spec), Window.make(spec)]
          let now = 0
          for (const { bad, gap } of calls) Window.record(from, bad, now += gap)
          const written = JSON.parse(JSON.stringify(Window.write(from, now)))
          Window.fill(to, written, later)
          expect(seen(to, later)).toEqual(seen(from, now))
        }
      ),
      { numRuns: 300 }
    ))

  it("leaves a window of another kind empty", () => {
    const from = overCalls(3)
    Window.record(from, true, 0)
    const to = overTime(1_000)
    Window.fill(to, Window.write(from, 0), 0)
    expect(seen(to, 0)).toEqual({ calls: 0, bad: 0 })
  })

  it("tells buckets by their age, oldest first", () => {
    const window = overTime(60_000)
    Window.record(window, true, 1_000)
    Window.record(window, false, 5_000)
    Window.record(window, true, 5_999)
    expect(Window.write(window, 6_000)).toEqual({
      buckets: [{ age: 5_000, calls: 1, bad: 1 }, { age: 1_000, calls: 2, bad: 1 }]
    })
  })
})
