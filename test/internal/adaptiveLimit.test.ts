import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Kernel from "../../src/internal/adaptiveLimit.ts"

const aimd: Kernel.Settings = {
  strategy: { kind: "aimd", backoffRatio: 0.9, timeout: 5_000 },
  floor: 2,
  ceiling: 50
}
const gradient: Kernel.Settings = {
  strategy: { kind: "gradient", backoffRatio: 0.9, tolerance: 1.5, smoothing: 0.2, queueSize: 4, remeasureEvery: 600 },
  floor: 2,
  ceiling: 500
}

const sample = (state: Kernel.State, over: Partial<Kernel.Sample> = {}): Kernel.Sample => ({
  outcome: "success",
  latency: 100,
  inFlight: Kernel.limitOf(state),
  epoch: state.epoch,
  ...over
})

const state = (over: Partial<Kernel.State>): Kernel.State => ({
  ...Kernel.start(aimd, 20),
  ...over
})

describe("aimd", () => {
  const rows: ReadonlyArray<readonly [string, Partial<Kernel.State>, Partial<Kernel.Sample>, Partial<Kernel.State>]> = [
    ["a success adds a call at first", { limit: 20 }, {}, { limit: 21, epoch: 0 }],
    ["after an overload a success adds a share, a round adds one", { limit: 20, isStarting: false }, {}, {
      limit: 20.05
    }],
    ["an overload takes a tenth", { limit: 20 }, { outcome: "overload" }, { limit: 18, epoch: 1, isStarting: false }],
    ["a success that took too long is an overload", { limit: 20 }, { latency: 5_001 }, { limit: 18, epoch: 1 }],
    ["a call at the time-out exactly is not", { limit: 20 }, { latency: 5_000 }, { limit: 21 }],
    ["an interrupted call teaches nothing", { limit: 20 }, { outcome: "ignored" }, { limit: 20, epoch: 0 }],
    ["unless it took too long", { limit: 20 }, { outcome: "ignored", latency: 9_000 }, { limit: 18 }],
    ["what was in flight at the last cut cuts no more", { limit: 18, epoch: 1 }, { outcome: "overload", epoch: 0 }, {
      limit: 18,
      epoch: 1
    }],
    ["a limit that is not used does not grow", { limit: 20 }, { inFlight: 9 }, { limit: 20 }],
    ["half of it is used", { limit: 20 }, { inFlight: 10 }, { limit: 21 }],
    ["not above the ceiling", { limit: 50 }, {}, { limit: 50 }],
    ["not below the floor", { limit: 2 }, { outcome: "overload" }, { limit: 2 }]
  ]

  it.each(rows)("%s", (_, before, given, after) => {
    const from = state(before)
    expect(Kernel.observe(aimd, from, sample(from, given))).toMatchObject(after)
  })

  it("a round of successes adds one call", () => {
    let current = state({ limit: 20, isStarting: false })
    for (let i = 0; i < 20; i++) current = Kernel.observe(aimd, current, sample(current))
    expect(current.limit).toBeCloseTo(21, 1)
  })

  it("a hundred failures of one round cut once", () => {
    let current = state({ limit: 40 })
    const failure = sample(current, { outcome: "overload" })
    for (let i = 0; i < 100; i++) current = Kernel.observe(aimd, current, failure)
    expect(current.limit).toBe(36)
  })
})

describe("gradient", () => {
  /** With its latency at rest measured as 100 ms. */
  const measured = (limit: number): Kernel.State => {
    let current = Kernel.start(gradient, limit)
    for (let i = 0; i < 50; i++) current = Kernel.observe(gradient, current, sample(current))
    return current
  }

  it("first measures the latency at rest", () => {
    const before = Kernel.observe(gradient, Kernel.start(gradient, 20), sample(Kernel.start(gradient, 20)))
    expect(before).toMatchObject({ limit: 20, baseline: undefined, measuring: { count: 1, sum: 100 } })
    expect(measured(20)).toMatchObject({ limit: 20, baseline: 100, recent: 100, measuring: undefined })
  })

  it("grows while calls take as long as at rest", () => {
    const from = measured(20)
    expect(Kernel.observe(gradient, from, sample(from)).limit).toBeCloseTo(20.8)
  })

  it("shrinks when they take longer than tolerated, by at most half a step", () => {
    const from = { ...measured(100), recent: 1_000 }
    const after = Kernel.observe(gradient, from, sample(from, { latency: 1_000 }))
    expect(after).toMatchObject({ isStarting: false, baseline: 100 })
    expect(after.limit).toBeCloseTo(100 + 0.2 * (100 * -0.5 + 4) / 100)
  })

  it("an overload cuts, and its latency teaches nothing", () => {
    const from = measured(20)
    expect(Kernel.observe(gradient, from, sample(from, { outcome: "overload", latency: 60_000 })))
      .toMatchObject({ limit: 18, baseline: 100, recent: 100, epoch: 1, isStarting: false })
  })

  it("the latency at rest rises with calls at rest alone", () => {
    const from = measured(20)
    expect(Kernel.observe(gradient, from, sample(from, { latency: 200 })).baseline).toBe(100)
    expect(Kernel.observe(gradient, from, sample(from, { latency: 200, inFlight: 3 })).baseline).toBe(105)
  })

  it("measures anew at half the limit, by calls that began after it was halved, and comes back", () => {
    const from = { ...measured(100), loaded: 599 }
    const halved = Kernel.observe(gradient, from, sample(from))
    expect(halved).toMatchObject({ limit: 50, epoch: from.epoch + 1, measuring: { count: 0, sum: 0, limit: 100 } })
    expect(Kernel.observe(gradient, halved, sample(halved, { epoch: from.epoch }))).toBe(halved)
    let current = halved
    for (let i = 0; i < 50; i++) current = Kernel.observe(gradient, current, sample(current, { latency: 300 }))
    expect(current).toMatchObject({ limit: 100, baseline: 300, recent: 300, loaded: 0, measuring: undefined })
  })

  it("an overload while it measures cuts the limit it would come back to", () => {
    const from = state({ limit: 50, measuring: { count: 3, sum: 300, limit: 100 } })
    expect(Kernel.observe(gradient, from, sample(from, { outcome: "overload" })))
      .toMatchObject({ limit: 90, measuring: undefined })
  })
})

/** A closed loop: as many calls as the limit allows, each as slow as the load when it began makes it. */
const simulate = (
  settings: Kernel.Settings,
  latency: (inFlight: number) => number,
  isOverload: (inFlight: number, turn: number) => boolean,
  demand = Infinity
): ReadonlyArray<number> => {
  const flights: Array<
    { readonly end: number; readonly start: number; readonly inFlight: number; readonly epoch: number }
  > = []
  const limits: Array<number> = []
  let current = Kernel.start(settings, 20)
  let now = 0
  for (let turn = 0; turn < 30_000; turn++) {
    while (flights.length < Math.min(demand, Kernel.limitOf(current))) {
      const inFlight = flights.length + 1
      const end = now + latency(inFlight)
      let place = flights.length
      while (place > 0 && (flights[place - 1]?.end ?? 0) > end) place--
      flights.splice(place, 0, { start: now, end, inFlight, epoch: current.epoch })
    }
    const ended = flights.shift()
    if (ended === undefined) break
    now = ended.end
    current = Kernel.observe(settings, current, {
      outcome: isOverload(ended.inFlight, turn) ? "overload" : "success",
      latency: ended.end - ended.start,
      inFlight: ended.inFlight,
      epoch: ended.epoch
    })
    if (turn >= 20_000) limits.push(Kernel.limitOf(current))
  }
  return limits
}

const highest = (limits: ReadonlyArray<number>): number => limits.reduce((a, b) => Math.max(a, b), 0)

describe.each([["aimd", { ...aimd, ceiling: 500 }], ["gradient", gradient]] as const)(
  "%s in a closed loop",
  (_, settings) => {
    it("falls to its floor under constant time-outs (Netflix/concurrency-limits#137)", () => {
      expect(highest(simulate(settings, () => 1_000, () => true))).toBe(settings.floor)
    })

    it("stays low when half of the calls time out", () => {
      expect(highest(simulate(settings, () => 1_000, (_, turn) => turn % 2 === 0))).toBeLessThan(20)
    })

    it("reaches its ceiling when nothing is in the way", () => {
      expect(highest(simulate(settings, () => 1_000, () => false))).toBe(settings.ceiling)
    })

    it("grows to twice what is used, no further", () => {
      expect(highest(simulate(settings, () => 1_000, () => false, 30))).toBeLessThanOrEqual(61)
    })

    it("settles near the capacity of a server that throttles above it", () => {
      const limits = simulate(settings, () => 1_000, (inFlight) => inFlight > 60)
      expect(highest(limits)).toBeLessThanOrEqual(66)
      expect(highest(limits)).toBeGreaterThan(50)
    })
  }
)

describe("gradient in a closed loop", () => {
  it("finds the capacity of a server that slows down, and does not take the slow for normal (#134, #176)", () => {
    const limits = simulate(gradient, (inFlight) => 1_000 * Math.max(1, inFlight / 50), () => false)
    expect(highest(limits)).toBeLessThan(100)
    expect(highest(limits)).toBeGreaterThan(40)
  })
})

describe("always", () => {
  const samples = FastCheck.array(
    FastCheck.record({
      outcome: FastCheck.constantFrom("success" as const, "overload" as const, "ignored" as const),
      latency: FastCheck.constantFrom(0, 1, 50, 100, 1_000, 100_000),
      inFlight: FastCheck.nat(60),
      age: FastCheck.nat(2)
    }),
    { maxLength: 100 }
  )

  it.each([["aimd", aimd], ["gradient", { ...gradient, ceiling: 50 }]] as const)(
    "%s keeps the limit between floor and ceiling, and never raises it by an overload",
    (_, settings) => {
      FastCheck.assert(
        FastCheck.property(samples, FastCheck.integer({ min: 1, max: 80 }), (all, initial) => {
          let current = Kernel.start(settings, initial)
          for (const { age, ...each } of all) {
            const after = Kernel.observe(settings, current, { ...each, epoch: current.epoch - age })
            expect(after.limit).toBeGreaterThanOrEqual(settings.floor)
            expect(after.limit).toBeLessThanOrEqual(settings.ceiling)
            expect(after.epoch - current.epoch).toBeLessThanOrEqual(1)
            if (each.outcome === "overload" && current.measuring === undefined) {
              expect(after.limit).toBeLessThanOrEqual(current.limit)
            }
            current = after
          }
        }),
        { numRuns: 300 }
      )
    }
  )
})
