import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Kernel from "../../../src/resilience/modelPool/kernel.ts"

const settings = (...weights: ReadonlyArray<number>): ReadonlyArray<Kernel.Settings> =>
  weights.map((weight, at) => ({ name: `m${at}`, weight, price: at }))

const asked = (given: Partial<Kernel.Asked> = {}): Kernel.Asked => ({
  now: 0,
  strategy: "least-busy",
  tried: new Set(),
  waits: [],
  affinity: undefined,
  ...given
})

/** Sends so many calls one after another, none of which ends, and counts who got them. */
const send = (members: ReadonlyArray<Kernel.Settings>, count: number, question: (call: number) => Kernel.Asked) => {
  let state = Kernel.start(members.length)
  const got = members.map(() => 0)
  for (let call = 0; call < count; call++) {
    const asks = question(call)
    const choice = Kernel.choose(members, state, asks)
    if (choice._tag !== "Ask") continue
    got[choice.member] = (got[choice.member] ?? 0) + 1
    state = Kernel.sent(members, state, choice.member, asks)
  }
  return { got, state }
}

describe("the choice of a member", () => {
  it("takes the one with the fewest calls in flight for its weight", () => {
    expect(send(settings(1, 1, 2), 40, () => asked()).got).toEqual([10, 10, 20])
  })

  it("takes them in turn while all are idle", () => {
    const members = settings(1, 1, 1)
    let state = Kernel.start(3)
    const order: Array<number> = []
    for (let call = 0; call < 6; call++) {
      const choice = Kernel.choose(members, state, asked())
      if (choice._tag !== "Ask") continue
      order.push(choice.member)
      state = Kernel.ended(Kernel.sent(members, state, choice.member, asked()), choice.member)
    }
    expect(order).toEqual([0, 1, 2, 0, 1, 2])
  })

  it("gives out calls by weight, and spreads those of one member evenly", () => {
    const members = settings(5, 1, 1)
    const order: Array<string> = []
    let state = Kernel.start(3)
    const question = asked({ strategy: "weighted" })
    for (let call = 0; call < 7; call++) {
      const choice = Kernel.choose(members, state, question)
      if (choice._tag !== "Ask") continue
      order.push("abc"[choice.member] ?? "")
      state = Kernel.sent(members, state, choice.member, question)
    }
    // The example of nginx's commit of the algorithm.
    expect(order.join("")).toBe("aabacaa")
  })

  it("keeps the proportion of the weights to within one call of each, at any time", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.array(FastCheck.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
      FastCheck.integer({ min: 0, max: 200 }),
      (weights, count) => {
        const { got } = send(settings(...weights), count, () => asked({ strategy: "weighted" }))
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        got.forEach((calls, at) => {
          expect(Math.abs(calls - count * (weights[at] ?? 0) / total)).toBeLessThan(weights.length)
        })
      }
    ))
  })

  it("takes the cheapest that has room", () => {
    const cheapest = (waits: ReadonlyArray<number>) =>
      Kernel.choose(settings(1, 1, 1), Kernel.start(3), asked({ strategy: "cheapest", waits }))
    expect(cheapest([0, 0, 0])).toEqual({ _tag: "Ask", member: 0 })
    expect(cheapest([500, 0, 0])).toEqual({ _tag: "Ask", member: 1 })
  })

  it("sends a call to the limiter that lets it go soonest where none has room", () => {
    expect(Kernel.choose(settings(1, 1), Kernel.start(2), asked({ waits: [900, 400] }))).toEqual({
      _tag: "Ask",
      member: 1
    })
  })

  it("waits for a member that rests only where no limiter lets the call go sooner", () => {
    const resting = Kernel.rests(Kernel.start(2), 0, 1_000)
    const at = (wait: number) => Kernel.choose(settings(1, 1), resting, asked({ waits: [0, wait] }))
    expect(at(400)).toEqual({ _tag: "Ask", member: 1 })
    expect(at(4_000)).toEqual({ _tag: "Rest", member: 0, millis: 1_000 })
  })

  it("asks nobody twice", () => {
    const choice = Kernel.choose(settings(1, 1), Kernel.start(2), asked({ tried: new Set([0, 1]) }))
    expect(choice).toEqual({ _tag: "None" })
  })

  it("does not let a shorter rest end a longer one", () => {
    const state = Kernel.rests(Kernel.rests(Kernel.start(1), 0, 1_000), 0, 500)
    expect(state.members[0]?.restsUntil).toBe(1_000)
  })
})

describe("affinity", () => {
  const keys = Array.from({ length: 3_000 }, (_, each) => `conversation ${each}`)
  const homes = (members: ReadonlyArray<Kernel.Settings>, state = Kernel.start(members.length)) =>
    keys.map((affinity) => {
      const choice = Kernel.choose(members, state, asked({ affinity }))
      return choice._tag === "Ask" ? choice.member : -1
    })

  it("sends every conversation to one member, and conversations to members by weight", () => {
    const members = settings(1, 2, 3)
    const [first, second] = [homes(members), homes(members)]
    expect(second).toEqual(first)
    for (const [at, share] of [1 / 6, 2 / 6, 3 / 6].entries()) {
      expect(first.filter((home) => home === at).length / keys.length).toBeCloseTo(share, 1)
    }
  })

  it("moves only the conversations of a member that rests, and brings them back", () => {
    const members = settings(1, 1, 1, 1)
    const before = homes(members)
    const resting = Kernel.rests(Kernel.start(4), 2, 1_000)
    const meanwhile = homes(members, resting)
    before.forEach((home, each) => {
      if (home === 2) expect(meanwhile[each]).not.toBe(2)
      else expect(meanwhile[each]).toBe(home)
    })
    // Who had a home there is spread over all the others.
    expect(new Set(meanwhile.filter((_, each) => before[each] === 2)).size).toBe(3)
  })
})

describe("what follows a failure", () => {
  const rests: Kernel.Rests = { throttled: 5_000, refused: 300_000, longest: 86_400_000 }
  const failure = (given: Partial<Kernel.Failure>): Kernel.Failure => ({
    tag: "ServerError",
    action: "Retry",
    throttled: false,
    weighs: true,
    hint: undefined,
    ...given
  })

  it.each(
    [
      ["a 429 that says when", { tag: "RateLimited", throttled: true, weighs: false, hint: 700 }, 700, "anybody"],
      ["a 429 that does not", { tag: "RateLimited", throttled: true, weighs: false }, 5_000, "anybody"],
      ["a hint of years", { tag: "RateLimited", throttled: true, hint: 1e12 }, 86_400_000, "anybody"],
      ["a refused key", { tag: "Authentication", action: "Fail", weighs: false }, 300_000, "anybody"],
      [
        "a quota that is back tomorrow",
        { tag: "QuotaExhausted", action: "Fallback", hint: 3_600_000 },
        3_600_000,
        "anybody"
      ],
      ["an open circuit", { tag: "CircuitOpen", action: "Fallback", weighs: false, hint: 9_000 }, 9_000, "anybody"],
      ["a limiter of its own", { tag: "RateLimitExceeded", throttled: true, weighs: false, hint: 9_000 }, 0, "anybody"],
      ["a full bulkhead", { tag: "BulkheadFull", action: "Fallback", weighs: false }, 0, "anybody"],
      ["a server error", {}, 0, "anybody"],
      ["a total time-out", { tag: "TimedOut", action: "Fallback" }, 0, "anybody"],
      [
        "a context that is too long",
        { tag: "ContextLengthExceeded", action: "Fallback", weighs: false },
        0,
        "anotherModel"
      ],
      ["a wrong request", { tag: "InvalidRequest", action: "Fail", weighs: false }, 0, "nobody"],
      ["a wrong answer", { tag: "InvalidToolCall", action: "Reask", weighs: false }, 0, "nobody"]
    ] as const
  )("%s", (_, given, rest, who) => {
    expect(Kernel.restAfter(failure(given), rests)).toBe(rest)
    expect(Kernel.next(failure(given))).toBe(who)
  })
})

describe("what is counted", () => {
  it("comes back to nothing in flight, whatever order calls begin and end in", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.array(FastCheck.tuple(FastCheck.boolean(), FastCheck.nat(2)), { maxLength: 100 }),
      FastCheck.constantFrom<Kernel.Strategy>("least-busy", "weighted", "cheapest"),
      (steps, strategy) => {
        const members = settings(1, 2, 3)
        let state = Kernel.start(3)
        const running: Array<number> = []
        for (const [begins, at] of steps) {
          if (begins) {
            state = Kernel.sent(members, state, at, asked({ strategy }))
            running.push(at)
          } else {
            const ends = running.shift()
            if (ends !== undefined) state = Kernel.ended(state, ends)
          }
        }
        for (const at of running) state = Kernel.ended(state, at)
        expect(state.members.map(({ inFlight }) => inFlight)).toEqual([0, 0, 0])
        // What is owed is only moved about.
        expect(state.members.reduce((sum, { owed }) => sum + owed, 0)).toBeCloseTo(0, 6)
      }
    ))
  })
})
