import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  allowsShare,
  available,
  begin,
  type Deposits,
  end,
  type Form,
  type Grant,
  settle,
  type Share,
  start,
  type State,
  take,
  type Tokens
} from "../../../src/policy/retryBudget/kernel.ts"

const share: Share = { _tag: "Share", ratio: 0.2, minimum: 3 }
const tokens: Tokens = {
  _tag: "Tokens",
  capacity: 500,
  initial: 500,
  cost: 14,
  throttlingCost: 5,
  timeoutCost: 14,
  reward: 1
}
const deposits: Deposits = { _tag: "Deposits", ttl: 10_000, minimumPerSecond: 1, ratio: 0.2 }

const retry: Grant = { kind: "retry", cost: 0 }
const hedge: Grant = { kind: "hedge", cost: 0 }

const calls = (form: Form, count: number, now = 0, state = start(form)): State => {
  let current = state
  for (let i = 0; i < count; i++) current = begin(form, current, now)
  return current
}

/** How many are granted one after the other, none of them ending. */
const takeAll = (form: Form, state: State, grant: Grant, now = 0): number => {
  let current: State | undefined = state
  for (let count = 0; count <= 10_000; count++) {
    current = take(form, current, grant, now)
    if (current === undefined) return count
  }
  return Infinity
}

describe("a share of the calls in flight", () => {
  it("always allows the minimum", () => {
    expect(takeAll(share, start(share), retry)).toBe(3)
    expect(takeAll(share, calls(share, 1), retry)).toBe(3)
    expect(takeAll({ ...share, minimum: 0 }, start(share), retry)).toBe(0)
  })

  it("allows the share of calls, hedges and retries together", () => {
    expect(takeAll(share, calls(share, 100), hedge)).toBe(21)
    const half = take(share, calls(share, 10), hedge, 0)
    expect(half).toMatchObject({ calls: 10, hedges: 1, retries: 0 })
  })

  it("counts a call that is being retried as a retry, and no longer as a call", () => {
    expect(takeAll(share, calls(share, 120), retry)).toBe(21)
  })

  it("gives the place back when the attempt ends", () => {
    const full = take(share, { ...calls(share, 5), retries: 2 }, retry, 0)
    expect(full).toMatchObject({ retries: 3 })
    expect(full === undefined ? undefined : take(share, full, retry, 0)).toBeUndefined()
    expect(full === undefined ? undefined : settle(share, full, retry, false)).toMatchObject({ retries: 2 })
  })

  it("allows none beyond the minimum with a ratio of 0", () => {
    expect(takeAll({ ...share, ratio: 0 }, calls(share, 1000), retry)).toBe(3)
    expect(allowsShare({ ...share, ratio: 0, minimum: 0 }, 1000, 0)).toBe(false)
  })
})

describe("a bucket of tokens", () => {
  const paid: Grant = { kind: "retry", cost: 14 }

  it("is drawn from before the wait, and refuses what it does not hold", () => {
    expect(take(tokens, start(tokens), paid, 0)?.level).toBe(486)
    expect(take(tokens, { ...start(tokens), level: 14 }, paid, 0)?.level).toBe(0)
    expect(take(tokens, { ...start(tokens), level: 13 }, paid, 0)).toBeUndefined()
    expect(takeAll(tokens, start(tokens), paid)).toBe(35)
  })

  it("gets the cost back from a retry that succeeds, and the reward from a call that needed none", () => {
    expect(settle(tokens, { ...start(tokens), level: 486 }, paid, true).level).toBe(500)
    expect(settle(tokens, { ...start(tokens), level: 486 }, paid, false).level).toBe(486)
    expect(end(tokens, { ...start(tokens), level: 486 }, true).level).toBe(487)
    expect(end(tokens, { ...start(tokens), level: 486 }, false).level).toBe(486)
  })

  it("never holds more than its capacity", () => {
    expect(end(tokens, start(tokens), true).level).toBe(500)
    expect(settle(tokens, { ...start(tokens), level: 495 }, paid, true).level).toBe(500)
  })

  it("gets nothing back from a hedge", () => {
    expect(settle(tokens, { ...start(tokens), level: 486 }, { kind: "hedge", cost: 14 }, true).level).toBe(486)
  })
})

describe("deposits that expire", () => {
  it("allow their ratio of the calls, and the reserve", () => {
    expect(takeAll(deposits, start(deposits), retry)).toBe(10)
    expect(takeAll(deposits, calls(deposits, 100), retry)).toBe(30)
  })

  it("are lost after their time, and so is what was taken from the reserve", () => {
    const state = calls(deposits, 100, 500)
    expect(available(deposits, state, 9_999)).toBe(30)
    expect(available(deposits, state, 10_000)).toBe(10)
    const used = take(deposits, start(deposits), retry, 0)
    expect(used === undefined ? NaN : available(deposits, used, 9_999)).toBe(9)
    expect(used === undefined ? NaN : available(deposits, used, 10_000)).toBe(10)
  })

  it("never allow one without ratio and reserve", () => {
    const empty: Deposits = { ...deposits, minimumPerSecond: 0, ratio: 0 }
    expect(takeAll(empty, calls(empty, 1000), retry)).toBe(0)
  })

  it("do not mind a clock that runs backwards", () => {
    const state = calls(deposits, 100, 60_000)
    expect(available(deposits, state, 30_000)).toBe(30)
    expect(available(deposits, begin(deposits, state, 30_000), 60_000)).toBe(30)
  })

  it("hold no more memory the longer they live", () => {
    let state = start(deposits)
    for (let now = 0; now < 3_600_000; now += 137) state = begin(deposits, state, now)
    expect(state.older.length).toBeLessThan(10)
  })
})

describe("any form", () => {
  const forms = FastCheck.constantFrom<Form>(share, tokens, deposits)

  it("counts nothing as being in flight once all has ended, and never holds more than its capacity", () => {
    FastCheck.assert(
      FastCheck.property(
        forms,
        FastCheck.array(FastCheck.tuple(FastCheck.nat({ max: 3 }), FastCheck.boolean(), FastCheck.nat({ max: 900 }))),
        (form, steps) => {
          let state = start(form)
          let now = 0
          let open = 0
          const grants: Array<Grant> = []
          for (const [what, flag, passed] of steps) {
            now += passed
            if (what === 0) {
              state = begin(form, state, now)
              open += 1
            }
            if (what === 1 && open > 0) {
              const grant: Grant = { kind: flag ? "retry" : "hedge", cost: form._tag === "Tokens" ? 14 : 0 }
              const next = take(form, state, grant, now)
              expect(next !== undefined || available(form, state, now) === 0 || !flag || form._tag === "Tokens").toBe(
                true
              )
              if (next !== undefined) {
                state = next
                grants.push(grant)
              }
            }
            const grant = what === 2 ? grants.pop() : undefined
            if (grant !== undefined) state = settle(form, state, grant, flag)
            if (what === 3 && open > 0) {
              state = end(form, state, flag)
              open -= 1
            }
            expect([state.calls, state.retries + state.hedges]).toEqual([open, grants.length])
            if (form._tag === "Tokens") expect(state.level).toBeLessThanOrEqual(500)
          }
          for (const grant of grants) state = settle(form, state, grant, false)
          for (; open > 0; open--) state = end(form, state, false)
          expect(state).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
        }
      ),
      { numRuns: 300 }
    )
  })
})
