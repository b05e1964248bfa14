import { describe, expect, it } from "@effect/vitest"
import * as Circuit from "../../../src/policy/circuitBreaker/kernel.ts"
import * as Snapshot from "../../../src/policy/circuitBreaker/snapshot.ts"
import type { RetryTree } from "../../../src/policy/shared/retryTree.ts"
import * as Tripping from "../../../src/policy/shared/trippingRule.ts"

const doubling: RetryTree = {
  _tag: "Capped",
  policy: { _tag: "Exponential", initial: 10_000, factor: 2 },
  max: 60_000
}

const settings = (given: Partial<Circuit.Settings> = {}): Circuit.Settings => {
  const rule = given.rule ?? { _tag: "Consecutive", failures: 2 }
  return {
    rule,
    slowerThan: Tripping.slowerThan(rule),
    breaks: doubling,
    longestHint: 3_600_000,
    probes: 2,
    successesToClose: 2,
    failuresToOpen: 1,
    slowStart: 0,
    probeLimit: 5_000,
    seed: 0.5,
    ...given
  }
}

type Tag = Circuit.State["_tag"]
type Of<T extends Tag> = Extract<Circuit.State, { readonly _tag: T }>

const as = <T extends Tag>(tag: T, state: Circuit.State): Of<T> => {
  if (!isA(tag, state)) throw new Error(`expected ${tag}, found ${state._tag}`)
  return state
}
const isA = <T extends Tag>(tag: T, state: Circuit.State): state is Of<T> => state._tag === tag

const fail = (s: Circuit.Settings, state: Circuit.State, now = 0, hint = 0) =>
  Circuit.settle(s, state, state.ticket, "failure", 0, hint, now)

const opened = (s: Circuit.Settings, now = 0, hint = 0): Of<"Open"> => {
  let state = Circuit.closed(s, 0)
  for (let i = 0; i < 100 && state._tag === "Closed"; i++) state = fail(s, state, now, hint)
  return as("Open", state)
}

const halfOpen = (s: Circuit.Settings): Of<"HalfOpen"> => {
  const open = opened(s)
  return as("HalfOpen", Circuit.advance(s, open, open.until))
}

const probe = (s: Circuit.Settings, state: Circuit.State, now = 10_000): readonly [Of<"HalfOpen">, number] => {
  const [next, ticket] = Circuit.admit(s, state, now)
  return [as("HalfOpen", next), ticket]
}

describe("a closed circuit", () => {
  const s = settings()

  it("lets everything through with one ticket", () => {
    const state = Circuit.closed(s, 7)
    expect(Circuit.admit(s, state, 0)).toEqual([state, 8])
    expect(Circuit.admit(s, state, 99)[0]).toBe(state)
  })

  it("opens when its rule says so", () => {
    const state = Circuit.closed(s, 0)
    expect(fail(s, state)).toBe(state)
    expect(as("Open", fail(s, state, 1_000))).toMatchObject({
      since: 1_000,
      until: 11_000,
      sum: { calls: 2, failures: 2, slow: 0 },
      history: { openings: 1 }
    })
  })

  it("does not count what came to nothing, nor what has another ticket", () => {
    const state = Circuit.closed(s, 4)
    for (let i = 0; i < 10; i++) {
      expect(Circuit.settle(s, state, state.ticket, "nothing", 0, 0, 0)).toBe(state)
      expect(Circuit.settle(s, state, 4, "failure", 0, 0, 0)).toBe(state)
      expect(Circuit.settle(s, state, 0, "failure", 0, 0, 0)).toBe(state)
    }
    expect(Tripping.sum(as("Closed", state).counts, 0)).toEqual({ calls: 0, failures: 0, slow: 0 })
  })

  it("stays open for as long as the error asks, where that is longer, but not for ever", () => {
    expect(opened(s, 0, 3_000).until).toBe(10_000)
    expect(opened(s, 0, 45_000).until).toBe(45_000)
    expect(opened(s, 0, Infinity).until).toBe(3_600_000)
    expect(opened(s, 0, 9_999_999_999).until).toBe(3_600_000)
  })
})

describe("an open circuit", () => {
  const s = settings()

  it("refuses until its break is over, then lets probes through", () => {
    const open = opened(s)
    expect(Circuit.advance(s, open, 9_999)).toBe(open)
    expect(Circuit.admit(s, open, 9_999)).toEqual([open, Circuit.refused])
    expect(Circuit.remaining(s, open, 4_000)).toBe(6_000)
    expect(Circuit.advance(s, open, 10_000)).toMatchObject({ _tag: "HalfOpen", probes: [], successes: 0 })
  })

  it("is not moved by results, whatever their ticket", () => {
    const open = opened(s)
    for (const outcome of ["success", "failure", "nothing"] as const) {
      for (let ticket = -1; ticket < 5; ticket++) {
        expect(Circuit.settle(s, open, ticket, outcome, 0, 99_999, 500)).toBe(open)
      }
    }
  })

  it("waits for no more than the whole break when the clock is set back", () => {
    const open = opened(s, 1_000_000)
    const later = as("Open", Circuit.advance(s, open, 500))
    expect([later.since, later.until]).toEqual([500, 10_500])
  })
})

describe("a half-open circuit", () => {
  const s = settings()

  it("lets so many probes through at a time, each with a ticket of its own", () => {
    const [one, first] = probe(s, halfOpen(s))
    const [two, second] = probe(s, one)
    expect(first).not.toBe(second)
    expect(Circuit.admit(s, two, 10_000)).toEqual([two, Circuit.refused])
    expect(two.probes.map((each) => each.ticket)).toEqual([first, second])
  })

  it("closes after so many successes, and forgets the history of breaks", () => {
    const [one, first] = probe(s, halfOpen(s))
    const after = as("HalfOpen", Circuit.settle(s, one, first, "success", 1, 0, 10_001))
    expect(after).toMatchObject({ probes: [], successes: 1 })
    const [two, second] = probe(s, after)
    const closed = Circuit.settle(s, two, second, "success", 1, 0, 10_002)
    expect(closed._tag).toBe("Closed")
    expect(opened(s).history.openings).toBe(1)
  })

  it("opens for longer when a probe fails", () => {
    let state: Circuit.State = opened(s)
    const breaks: Array<number> = []
    for (let i = 0; i < 5; i++) {
      const open = as("Open", state)
      breaks.push(open.until - open.since)
      const [half, ticket] = probe(s, Circuit.advance(s, open, open.until), open.until)
      state = Circuit.settle(s, half, ticket, "failure", 0, 0, open.until)
    }
    expect(breaks).toEqual([10_000, 20_000, 40_000, 60_000, 60_000])
    expect(as("Open", state).history.openings).toBe(6)
  })

  it("frees the place of a probe that came to nothing, and decides nothing", () => {
    const [one, ticket] = probe(s, halfOpen(s))
    const after = as("HalfOpen", Circuit.settle(s, one, ticket, "nothing", 1, 0, 10_001))
    expect([after.probes, after.successes]).toEqual([[], 0])
    expect(Circuit.settle(s, after, ticket, "success", 1, 0, 10_002)).toBe(after)
  })

  it("ignores results of calls that began before it", () => {
    const half = halfOpen(s)
    for (const outcome of ["success", "failure", "nothing"] as const) {
      expect(Circuit.settle(s, half, 1, outcome, 0, 0, 10_000)).toBe(half)
    }
  })

  it("takes a probe for a success that has begun to answer and has no result in time, counted from that time", () => {
    const [one, first] = probe(s, halfOpen(s))
    const [two, second] = probe(s, one)
    const answering = Circuit.answer(Circuit.answer(two, first, 11_000), second, 12_000)
    expect(Circuit.advance(s, answering, 14_999)).toBe(answering)
    const half = as("HalfOpen", Circuit.advance(s, answering, 60_000))
    expect(half).toMatchObject({ successes: 1, probes: [{ ticket: second }] })
    const closed = Circuit.advance(s, half, 60_000)
    expect(closed._tag).toBe("Closed")
    // What becomes of them later decides nothing.
    expect(Circuit.settle(s, closed, first, "failure", 0, 0, 60_001)).toBe(closed)
  })

  it("opens when a probe fails that has begun to answer, before its time", () => {
    const [one, ticket] = probe(s, halfOpen(s))
    const open = Circuit.settle(s, Circuit.answer(one, ticket, 11_000), ticket, "failure", 0, 0, 14_999)
    expect(open._tag).toBe("Open")
  })

  it("takes a probe for slow that began to answer slowly, however long it goes on", () => {
    const slow = settings({ slowerThan: 500 })
    const [one, ticket] = probe(slow, halfOpen(slow))
    expect(Circuit.advance(slow, Circuit.answer(one, ticket, 10_501), 15_000)._tag).toBe("Open")
  })

  it("is not told by an answer of a call that is no probe of it", () => {
    const [one, ticket] = probe(s, halfOpen(s))
    expect(Circuit.answer(one, ticket + 1, 11_000)).toBe(one)
    const open = opened(s)
    expect(Circuit.answer(open, ticket, 11_000)).toBe(open)
  })

  it("opens again when a probe has no result in time, counted from that time", () => {
    const [one, ticket] = probe(s, halfOpen(s))
    expect(Circuit.advance(s, one, 14_999)).toBe(one)
    expect(Circuit.remaining(s, { ...one, probes: [...one.probes, { ticket: 99, startedAt: 12_000 }] }, 13_000))
      .toBe(2_000)
    const open = as("Open", Circuit.advance(s, one, 20_000))
    expect([open.since, open.until, open.history.openings]).toEqual([15_000, 35_000, 2])
    expect(Circuit.settle(s, open, ticket, "success", 0, 0, 20_000)).toBe(open)
  })

  it("does not close by a probe that is slower than its rule allows", () => {
    const slow = settings({
      rule: {
        _tag: "Any",
        of: [
          { _tag: "Consecutive", failures: 2 },
          {
            _tag: "SlowCallRate",
            share: 0.5,
            longerThan: 100,
            window: { _tag: "Calls", calls: 10 },
            minimumCalls: 10
          }
        ]
      },
      successesToClose: 1
    })
    const [one, ticket] = probe(slow, halfOpen(slow))
    expect(Circuit.settle(slow, one, ticket, "success", 101, 0, 10_101)).toMatchObject({
      _tag: "Open",
      sum: { calls: 1, failures: 0, slow: 1 }
    })
    expect(Circuit.settle(slow, one, ticket, "success", 100, 0, 10_100)._tag).toBe("Closed")
  })
})

describe("a circuit moved by hand", () => {
  const s = settings()

  it("refuses everything while it is isolated, and has no time to tell", () => {
    const state = Circuit.isolated(5)
    expect(Circuit.admit(s, state, 0)).toEqual([state, Circuit.refused])
    expect(Circuit.advance(s, state, 1e15)).toBe(state)
    expect(Circuit.remaining(s, state, 0)).toBe(0)
    expect(Circuit.settle(s, state, 5, "failure", 0, 0, 0)).toBe(state)
  })

  it("lets everything through while it is disabled, and counts nothing", () => {
    const state = Circuit.disabled(5)
    expect(Circuit.admit(s, state, 0)).toEqual([state, 6])
    for (let i = 0; i < 10; i++) expect(Circuit.settle(s, state, 6, "failure", 0, 0, 0)).toBe(state)
  })

  it("never gives out a ticket twice", () => {
    const [half] = probe(s, halfOpen(s))
    const all = [
      half.ticket,
      Circuit.closed(s, half.ticket).ticket,
      Circuit.isolated(half.ticket).ticket,
      Circuit.disabled(half.ticket).ticket
    ]
    expect(all.slice(1).every((ticket) => ticket > half.ticket)).toBe(true)
  })
})

describe("a snapshot", () => {
  const s = settings()
  const through = (state: Circuit.State, now: number, later = now) =>
    Snapshot.restore(s, 100, JSON.parse(JSON.stringify(Snapshot.write(state, now))), later)

  it("keeps what is left of a break and how often the circuit opened", () => {
    const [half, ticket] = probe(s, halfOpen(s))
    const open = Circuit.settle(s, half, ticket, "failure", 0, 0, 10_000)
    const again = as("Open", through(open, 12_000, 1_000_000))
    expect([again.since, again.until, again.history.openings]).toEqual([1_000_000, 1_018_000, 2])
    const [next, third] = probe(s, Circuit.advance(s, again, 1_018_000), 1_018_000)
    const later = as("Open", Circuit.settle(s, next, third, "failure", 0, 0, 1_018_000))
    expect(later.until - later.since).toBe(40_000)
  })

  it("keeps the counts of a closed circuit", () => {
    const state = Circuit.closed(s, 0)
    fail(s, state)
    expect(as("Open", fail(s, through(state, 0))).history.openings).toBe(1)
  })

  it("keeps the successes of probes, not the probes", () => {
    const [one, first] = probe(s, halfOpen(s))
    const [two] = probe(s, Circuit.settle(s, one, first, "success", 0, 0, 10_000))
    expect(as("HalfOpen", through(two, 10_000))).toMatchObject({ probes: [], successes: 1 })
  })

  it("keeps what was done by hand", () => {
    expect(through(Circuit.isolated(1), 0)._tag).toBe("Isolated")
    expect(through(Circuit.disabled(1), 0)._tag).toBe("Disabled")
  })
})

describe("a rule", () => {
  const rate = (share: number, minimumCalls = 4): Tripping.Rule => ({
    _tag: "FailureRate",
    share,
    window: { _tag: "Calls", calls: 100 },
    minimumCalls
  })
  const slow = (share: number, minimumCalls = 4): Tripping.Rule => ({
    _tag: "SlowCallRate",
    share,
    longerThan: 10,
    window: { _tag: "Calls", calls: 100 },
    minimumCalls
  })
  /** f: failed, F: failed slowly, s: succeeded, S: succeeded slowly; "!" marks the calls that trip. */
  const run = (rule: Tripping.Rule, calls: string): string => {
    const counts = Tripping.counts(rule)
    return [...calls].map((call) => {
      const trips = Tripping.record(counts, call.toLowerCase() === "f", call === call.toUpperCase() ? 11 : 10, 0)
      return trips ? `${call}!` : call
    }).join("")
  }

  it.each<[string, Tripping.Rule, string]>([
    ["so many in a row", { _tag: "Consecutive", failures: 3 }, "ffsfff!f!sS"],
    ["no rate before the minimum of calls", rate(0.5), "fff" + "f!"],
    ["never on a success, though the rate holds", rate(0.5), "fffss" + "f!"],
    ["at the share exactly", rate(0.5), "ssff!"],
    ["not below it", rate(0.51), "ssff"],
    ["slow calls, failed or not", slow(0.5), "sSS" + "s" + "F!S!"],
    ["any of several", { _tag: "Any", of: [rate(1), slow(1)] }, "ffff!"],
    ["any of several, by the other", { _tag: "Any", of: [rate(1), slow(1)] }, "SSSS!"],
    [
      "any of several, each only by calls that are bad for it",
      { _tag: "Any", of: [rate(0.5), slow(1)] },
      "fffSs" + "f!"
    ],
    ["all of several at once", { _tag: "All", of: [rate(0.5), slow(0.5)] }, "ffsSS" + "F!"],
    ["all of several, by a slow call while the other holds", { _tag: "All", of: [rate(0.5), slow(0.5)] }, "ffSS!"],
    ["all of several, never by a good call", { _tag: "All", of: [rate(0.5), slow(0.5)] }, "FFFs" + "F!"]
  ])("trips: %s", (_, rule, told) => expect(run(rule, told.replaceAll("!", ""))).toBe(told))

  it("has exact shares: 7 of 100 is 7 %", () => {
    const calls = "s".repeat(93) + "f".repeat(7)
    expect(run(rate(0.07, 100), calls)).toBe(`${calls}!`)
  })
})
