import { describe, expect, it } from "@effect/vitest"
import * as Kernel from "../../../src/batch/batch/kernel.ts"

const unlimited: Kernel.Settings = {
  limit: 8,
  failureRate: undefined,
  maxTokens: Number.POSITIVE_INFINITY,
  maxCost: Number.POSITIVE_INFINITY,
  maxMillis: Number.POSITIVE_INFINITY,
  maxOpenMillis: Number.POSITIVE_INFINITY
}

const adaptive: Kernel.Settings = {
  ...unlimited,
  limit: {
    bounds: {
      strategy: { kind: "aimd", backoffRatio: 0.5, timeout: Number.POSITIVE_INFINITY },
      floor: 1,
      ceiling: 100
    },
    initial: 8
  }
}

const began: Kernel.Event = { _tag: "Began" }
const ended = (
  outcome: Kernel.Outcome,
  health: Kernel.Health,
  more: { readonly tokens?: number; readonly cost?: number; readonly epoch?: number; readonly retried?: number } = {}
): Kernel.Event => ({ _tag: "Ended", outcome, health, epoch: 0, retried: 0, tokens: 0, cost: 0, ...more })
const success = ended({ _tag: "Succeeded" }, "well")
const failure = ended({ _tag: "Failed", tag: "ServerError" }, "ailing")
const throttled = ended({ _tag: "Failed", tag: "RateLimited" }, "throttled")

const after = (
  settings: Kernel.Settings,
  events: ReadonlyArray<Kernel.Event>,
  now = 0,
  state = Kernel.start(settings, 0)
) => events.reduce((reached, event) => Kernel.step(settings, reached, event, now), state)

/** How many items may be begun at once, of a state in which none is in flight. */
const room = (settings: Kernel.Settings, state: Kernel.State, now = 0): number => {
  let reached = state
  let begun = 0
  while (begun < 1_000 && Kernel.decide(settings, reached, now)._tag === "Start") {
    reached = Kernel.step(settings, reached, began, now)
    begun++
  }
  return begun
}

const times = (count: number, ...events: ReadonlyArray<Kernel.Event>): ReadonlyArray<Kernel.Event> =>
  Array.from({ length: count }, () => events).flat()

describe("how many are in flight", () => {
  it("is the limit that was set", () => {
    expect(room(unlimited, Kernel.start(unlimited, 0))).toBe(8)
  })

  it("rises with successes where it is found", () => {
    const full = times(8, began)
    expect(room(adaptive, after(adaptive, [...full, ...times(8, success)]))).toBeGreaterThan(8)
  })

  it("falls once for all calls that were in flight with a throttled one", () => {
    const state = after(adaptive, [...times(8, began), ...times(8, throttled)])
    expect(room(adaptive, state)).toBe(4)
  })

  it("falls for an attempt that was throttled although its call goes on", () => {
    const state = after(adaptive, [...times(8, began), { _tag: "Throttled", epoch: 0 }])
    expect(room(adaptive, after(adaptive, times(8, success), 0, state))).toBeLessThan(8)
  })

  it("stays for other failures, and does not grow while a quarter of the calls fail so", () => {
    const ailing = after(adaptive, [...times(8, began), ...times(4, failure), ...times(4, success)])
    expect(room(adaptive, ailing)).toBe(8)
    const well = after(adaptive, times(10, ...times(8, began), ...times(8, success)), 0, ailing)
    expect(room(adaptive, well)).toBeGreaterThan(8)
  })

  it("grows although one call in ten fails", () => {
    const round = [...times(10, began), ...times(9, success), failure]
    expect(room(adaptive, after(adaptive, times(20, ...round)))).toBeGreaterThan(8)
  })
})

describe("an open circuit", () => {
  const refused: Kernel.Event = { _tag: "Refused", waitMillis: 10_000 }
  const open = after(unlimited, [...times(2, began), refused, refused])

  it("lets nothing begin until it may be tried", () => {
    expect(Kernel.decide(unlimited, open, 4_000)).toEqual({ _tag: "Wait", millis: 6_000 })
  })

  it("is tried with one item", () => {
    expect(room(unlimited, open, 10_000)).toBe(1)
  })

  it.each([[1, 2], [2, 4], [3, 8]])(
    "lets twice as many through with each success: after %i, %i",
    (successes, allowed) => {
      const state = after(unlimited, times(successes, began, success), 10_000, open)
      expect(room(unlimited, state, 10_000)).toBe(allowed)
    }
  )

  it("is not taken for closed by a call that was in flight before", () => {
    const state = after(unlimited, [began, success], 5_000, open)
    expect(Kernel.decide(unlimited, state, 5_000)._tag).toBe("Wait")
    expect(room(unlimited, state, 10_000)).toBe(1)
  })

  it("makes no item fail that it was tried with, three times at most", () => {
    expect([0, 1, 2, 3].map((trials) => Kernel.isTrial(open, trials, "ailing"))).toEqual([true, true, true, false])
    expect(Kernel.isTrial(open, 0, "unknown")).toBe(false)
    expect(Kernel.isTrial(Kernel.start(unlimited, 0), 0, "ailing")).toBe(false)
  })
})

describe("a batch stops", () => {
  const stopped = (settings: Kernel.Settings, events: ReadonlyArray<Kernel.Event>) => after(settings, events).stopped

  it("when a share of the items has failed, not before there are enough of them", () => {
    const settings = { ...unlimited, failureRate: { share: 0.5, minimum: 4 } }
    expect(stopped(settings, times(3, began, failure))).toBeUndefined()
    expect(stopped(settings, [...times(2, began, failure), ...times(2, began, success)])).toBe("failureRate")
    expect(stopped(settings, [...times(3, began, success), ...times(2, began, failure)])).toBeUndefined()
  })

  it("when tokens or money are spent", () => {
    const spending = ended({ _tag: "Succeeded" }, "well", { tokens: 60, cost: 0.6 })
    expect(stopped({ ...unlimited, maxTokens: 100 }, [began, spending])).toBeUndefined()
    expect(stopped({ ...unlimited, maxTokens: 100 }, times(2, began, spending))).toBe("spend")
    expect(stopped({ ...unlimited, maxCost: 1 }, times(2, began, spending))).toBe("spend")
  })

  it("when its time is over", () => {
    const settings = { ...unlimited, maxMillis: 1_000 }
    expect(Kernel.decide(settings, Kernel.start(settings, 500), 1_499)._tag).toBe("Start")
    expect(Kernel.decide(settings, Kernel.start(settings, 500), 1_500)).toEqual({ _tag: "Stop", reason: "time" })
  })

  it("when a circuit has been open for so long, counted from its first refusal behind the last success", () => {
    const settings = { ...unlimited, maxOpenMillis: 60_000 }
    const refused: Kernel.Event = { _tag: "Refused", waitMillis: 10_000 }
    const open = after(settings, [began, refused], 0)
    // Its wait is no longer than what is left, also while an item tries the circuit.
    expect(Kernel.decide(settings, after(settings, [began, refused], 55_000, open), 55_000)).toEqual({
      _tag: "Wait",
      millis: 5_000
    })
    expect(Kernel.decide(settings, after(settings, [began], 20_000, open), 20_000)).toEqual({
      _tag: "Wait",
      millis: 40_000
    })
    expect(Kernel.decide(settings, open, 60_000)).toEqual({ _tag: "Stop", reason: "circuitOpen" })
    const closedBetween = after(settings, [began, success, began, refused], 50_000, open)
    expect(Kernel.decide(settings, closedBetween, 60_000)._tag).toBe("Start")
    expect(Kernel.decide(settings, closedBetween, 110_000)).toEqual({ _tag: "Stop", reason: "circuitOpen" })
  })

  it("for the first reason there is", () => {
    expect(stopped(unlimited, [{ _tag: "Stopped", reason: "time" }, { _tag: "Stopped", reason: "interrupted" }])).toBe(
      "time"
    )
  })
})

describe("what is counted", () => {
  it("is each item once, and failures by their tags", () => {
    const state = after(unlimited, [
      ...times(3, began, success),
      ...times(2, began, failure),
      began,
      throttled,
      { _tag: "Told", outcome: { _tag: "Skipped" }, isJudged: false }
    ])
    expect(state).toMatchObject({ succeeded: 3, failed: 3, skipped: 1, inFlight: 0 })
    expect(state.failures).toEqual({ ServerError: 2, RateLimited: 1 })
  })

  it("keeps tags of other people's making apart from what an object has by itself, and bounds them", () => {
    const tags = ["__proto__", "constructor", ...Array.from({ length: 200 }, (_, i) => `tag ${i}`)]
    const { failures } = after(unlimited, tags.flatMap((tag) => [began, ended({ _tag: "Failed", tag }, "unknown")]))
    expect(Object.hasOwn(failures, "__proto__")).toBe(true)
    expect(Object.keys(failures).length).toBeLessThanOrEqual(101)
    expect(Object.values(failures).reduce((sum, each) => sum + each, 0)).toBe(202)
  })
})
