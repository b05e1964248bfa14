import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  cancel,
  cubic,
  emptyWindow,
  errorRate,
  multiplier,
  type Outcome,
  plateau,
  type Rate,
  record,
  reserve,
  startRate,
  stretch,
  update,
  waitFor,
  type Window
} from "../../../src/policy/adaptiveRetry/kernel.ts"

const settings = { calls: 100, duration: 300_000, minimumCalls: 10, maxMultiplier: 4 }
const aws = { beta: 0.7, scale: 0.4, minimumRate: 0.5, smooth: 0.8 }

const after = (outcomes: ReadonlyArray<Outcome>, now = 0): Window =>
  outcomes.reduce((window, outcome) => record(settings, window, outcome, now), emptyWindow)

const times = <A>(count: number, value: A): ReadonlyArray<A> => new Array<A>(count).fill(value)

describe("the window of recent outcomes", () => {
  it("multiplies from 1 without errors to the maximum with nothing else", () => {
    expect(multiplier(settings, emptyWindow, "throttled", 0)).toBe(1)
    expect(multiplier(settings, after(times(50, "success")), "throttled", 0)).toBe(1)
    expect(multiplier(settings, after(times(50, "throttled")), "throttled", 0)).toBe(4)
    expect(
      multiplier(
        settings,
        after([...times(50, "throttled" as const), ...times(50, "success" as const)]),
        "throttled",
        0
      )
    )
      .toBe(2.5)
  })

  it("keeps the classes apart", () => {
    const window = after([
      ...times(20, "throttled" as const),
      ...times(10, "failure" as const),
      ...times(70, "success" as const)
    ])
    expect(errorRate(settings, window, "throttled", 0)).toBe(0.2)
    expect(errorRate(settings, window, "failure", 0)).toBe(0.1)
  })

  it("does not take one failure out of one for a hundred out of a hundred", () => {
    expect(errorRate(settings, after(["failure"]), "failure", 0)).toBe(0.1)
    expect(errorRate(settings, after(times(5, "failure")), "failure", 0)).toBe(0.5)
    expect(errorRate(settings, after(times(10, "failure")), "failure", 0)).toBe(1)
  })

  it("forgets what is older than its time, and what is more than its number", () => {
    const window = after(times(100, "failure"), 0)
    expect(errorRate(settings, window, "failure", 299_999)).toBe(1)
    expect(errorRate(settings, window, "failure", 300_000)).toBe(0)
    const healed = times(60, "success" as const).reduce((each, outcome) => record(settings, each, outcome, 1), window)
    expect(healed.size).toBe(100)
    expect(errorRate(settings, healed, "failure", 1)).toBe(0.4)
  })

  it("agrees with the plain reckoning over the whole list, whatever happens", () => {
    const small = { calls: 7, duration: 50, minimumCalls: 1, maxMultiplier: 4 }
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(
          FastCheck.constantFrom<Outcome>("success", "throttled", "failure"),
          FastCheck.nat({ max: 20 })
        )),
        (steps) => {
          let window = emptyWindow
          let now = 0
          const all: Array<{ readonly at: number; readonly outcome: Outcome }> = []
          for (const [outcome, passed] of steps) {
            now += passed
            window = record(small, window, outcome, now)
            all.push({ at: now, outcome })
            const kept = all.slice(-7).filter((each) => now - each.at < 50)
            expect(window.size).toBe(kept.length)
            for (const kind of ["throttled", "failure"] as const) {
              expect(errorRate(small, window, kind, now))
                .toBeCloseTo(kept.filter((each) => each.outcome === kind).length / kept.length)
            }
          }
        }
      ),
      { numRuns: 300 }
    )
  })

  it("stretches a wait up to the cap, and shortens none", () => {
    expect(stretch(1_000, 3, 30_000)).toBe(3_000)
    expect(stretch(20_000, 3, 30_000)).toBe(30_000)
    expect(stretch(60_000, 3, 30_000)).toBe(60_000)
    expect(stretch(0, 4, 30_000)).toBe(0)
  })
})

/** [throttled, seconds, measured rate, fill rate]: the published table of the AWS SDKs' adaptive mode. */
const published: ReadonlyArray<readonly [boolean, number, number, number]> = [
  [false, 0.2, 0, 0.5],
  [false, 0.4, 0, 0.5],
  [false, 0.6, 4.8, 0.5],
  [false, 0.8, 4.8, 0.5],
  [false, 1, 4.16, 0.5],
  [false, 1.2, 4.16, 0.6912],
  [false, 1.4, 4.16, 1.0976],
  [false, 1.6, 5.632, 1.6384],
  [false, 1.8, 5.632, 2.3328],
  [true, 2, 4.3264, 3.02848],
  [false, 2.2, 4.3264, 3.486639],
  [false, 2.4, 4.3264, 3.821874],
  [false, 2.6, 5.66528, 4.053386],
  [false, 2.8, 5.66528, 4.200373],
  [false, 3, 4.333056, 4.282037],
  [true, 3.2, 4.333056, 2.997426],
  [false, 3.4, 4.333056, 3.452226]
]

describe("the cubic rate", () => {
  it("gives the rates that AWS publishes for its own", () => {
    let rate = startRate(aws, 0)
    for (const [throttled, t, measured, fill] of published) {
      rate = update(aws, rate, throttled, t * 1000)
      expect([t, rate.measuredRate]).toEqual([t, expect.closeTo(measured, 6)])
      expect([t, rate.fillRate]).toEqual([t, expect.closeTo(fill, 6)])
    }
  })

  it("is flat at the rate that was throttled, and grows beyond it", () => {
    expect(plateau(aws, 10)).toBeCloseTo(1.957, 3)
    const rates = [0, 1, 2, 3, 4, 5, 6].map((t) => cubic(aws, 10, t))
    const expected = [7, 9.64893601, 10.00003085, 10.45328452, 13.40869703, 21.26626836, 36.42599853]
    rates.forEach((each, i) => expect(each).toBeCloseTo(expected[i] ?? NaN, 6))
  })

  it("holds nothing back before the first throttle, and is never slower than the least rate", () => {
    expect(startRate(aws, 0).enabled).toBe(false)
    expect(update(aws, startRate(aws, 0), false, 100).enabled).toBe(false)
    let rate = startRate(aws, 0)
    for (let t = 1; t <= 50; t++) rate = update(aws, rate, true, t * 1000)
    expect(rate).toMatchObject({ enabled: true, fillRate: 0.5, capacity: 1 })
  })

  it.each([[0.5, 892.857142857], [1, 1785.714285714], [2, 2000]])(
    "after a throttle at %d s lets the next request out after %d ms",
    (t, wait) => {
      const [rate, ticket] = reserve(update(aws, startRate(aws, 0), true, t * 1000), t * 1000)
      expect(waitFor(rate, ticket, t * 1000)[1]).toBeCloseTo(wait, 6)
    }
  )

  const throttled = (): Rate => update(aws, startRate(aws, 0), true, 2000)
  const queue = (count: number): readonly [Rate, ReadonlyArray<number>] => {
    let rate = throttled()
    const tickets: Array<number> = []
    for (let i = 0; i < count; i++) {
      const [next, ticket] = reserve(rate, 2000)
      rate = next
      tickets.push(ticket)
    }
    return [rate, tickets]
  }
  const waits = (rate: Rate, tickets: ReadonlyArray<number>, now = 2000) =>
    tickets.map((ticket) => Math.round(waitFor(rate, ticket, now)[1]))

  it("gives each waiting caller a token of its own, in the order they came", () => {
    const [rate, tickets] = queue(4)
    expect(waits(rate, tickets)).toEqual([2000, 4000, 6000, 8000])
    expect(waits(rate, tickets, 5000)).toEqual([0, 1000, 3000, 5000])
  })

  it("moves the tickets behind a cancelled one up, and no others", () => {
    const [rate] = queue(5)
    expect(waits(cancel(rate, 3), [1, 2, 4, 5])).toEqual([2000, 4000, 6000, 8000])
    expect(waits(cancel(cancel(rate, 4), 1), [2, 3, 5])).toEqual([2000, 4000, 6000])
    expect(cancel(rate, 1).cancelled).toEqual([])
  })

  it("gives the place of a cancelled ticket to the next caller", () => {
    const [rate] = queue(3)
    const [next, ticket] = reserve(cancel(cancel(rate, 2), 3), 2000)
    expect(waits(next, [1, ticket])).toEqual([2000, 4000])
  })

  it("lets nobody out early and nobody wait for ever, whichever ticket is cancelled and whenever", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(
          FastCheck.tuple(FastCheck.constantFrom("come", "cancel", "wait"), FastCheck.nat({ max: 3000 }))
        ),
        (steps) => {
          let rate = throttled()
          let now = 2000
          const waiting: Array<number> = []
          let out = 0
          const depart = () => {
            for (const ticket of [...waiting]) {
              const [next, wait] = waitFor(rate, ticket, now)
              rate = next
              if (wait > 0) continue
              waiting.splice(waiting.indexOf(ticket), 1)
              out += 1
            }
          }
          for (const [what, n] of steps) {
            if (what === "wait") now += n
            if (what === "come") {
              const [next, ticket] = reserve(rate, now)
              rate = next
              waiting.push(ticket)
            }
            const gone = waiting[n % Math.max(1, waiting.length)]
            if (what === "cancel" && gone !== undefined) {
              waiting.splice(waiting.indexOf(gone), 1)
              rate = cancel(rate, gone)
            }
            depart()
            // The bucket begins empty and holds one token at this rate.
            expect(out).toBeLessThanOrEqual((now - 2000) / 2000 + 1e-3)
          }
          now += waiting.length * 2000
          depart()
          expect(waiting).toEqual([])
          expect(rate.cancelled.every((ticket) => ticket > rate.filled)).toBe(true)
        }
      ),
      { numRuns: 300 }
    )
  })
})
