import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as bucket from "../../src/internal/bucket.ts"

const cost = (requests: number, tokens = 0): bucket.Cost => ({ requests, tokens })

/** One request each 500 ms, one at once; one token each 60 ms, a thousand a minute. */
const smooth: bucket.Limits = { requestsPerMinute: 120, tokensPerMinute: 1_000, burst: 0 }
const bursty: bucket.Limits = { ...smooth, burst: 1 }
const noTokens: bucket.Limits = { ...smooth, tokensPerMinute: Infinity }

const left = (state: bucket.State) => ({
  requests: bucket.available(state.requests, state.requestsPerMinute),
  tokens: bucket.available(state.tokens, state.tokensPerMinute)
})

describe("A bucket", () => {
  it("begins full", () => {
    expect(left(bucket.make(bursty, 0))).toEqual({ requests: 120, tokens: 1_000 })
    expect(left(bucket.make(smooth, 0))).toEqual({ requests: 1, tokens: 1 })
    expect(left(bucket.make(noTokens, 0))).toEqual({ requests: 1, tokens: Infinity })
  })

  it("refills with time, up to the burst", () => {
    const empty = bucket.take(bursty, bucket.make(bursty, 0), cost(120, 1_000), 0)
    expect(left(empty)).toEqual({ requests: 0, tokens: 0 })
    expect(left(bucket.refill(bursty, empty, 30_000))).toEqual({ requests: 60, tokens: 500 })
    expect(left(bucket.refill(bursty, empty, 90_000))).toEqual({ requests: 120, tokens: 1_000 })
  })

  it("saves up more than the burst for the cost that waits first, and for that alone", () => {
    const empty = bucket.take(smooth, bucket.make(smooth, 0), cost(1, 1), 0)
    const start = bucket.earliest(smooth, empty, cost(1, 100))
    expect(start).toBe(6_000)
    expect(left(bucket.take(smooth, empty, cost(1, 100), start))).toEqual({ requests: 0, tokens: 0 })
    expect(left(bucket.refill(smooth, empty, 60_000, cost(1, 100))).tokens).toBe(100)
  })

  it("goes by the dimension that needs longer", () => {
    const empty = bucket.take(bursty, bucket.make(bursty, 0), cost(120, 1_000), 0)
    expect(bucket.earliest(bursty, empty, cost(1))).toBe(500)
    expect(bucket.earliest(bursty, empty, cost(1, 5))).toBe(500)
    expect(bucket.earliest(bursty, empty, cost(1, 50))).toBe(3_000)
    expect(bucket.earliest(bursty, empty, cost(0, 0))).toBe(0)
  })

  it("holds everybody while there is a debt", () => {
    const debt = bucket.settle(bursty, bucket.make(bursty, 0), 0, 1_000 + 100)
    expect(left(debt).tokens).toBeCloseTo(-100)
    expect(bucket.earliest(bursty, debt, cost(1))).toBe(6_000)
    expect(bucket.earliest(bursty, debt, cost(0, 0))).toBe(6_000)
  })

  it("gives back, never above the burst", () => {
    const taken = bucket.take(bursty, bucket.make(bursty, 0), cost(10, 400), 0)
    expect(left(bucket.giveBack(bursty, taken, cost(4, 100)))).toEqual({ requests: 114, tokens: 700 })
    expect(left(bucket.giveBack(bursty, taken, cost(40, 4_000)))).toEqual({ requests: 120, tokens: 1_000 })
  })

  it("lets nothing start during a pause, and has one request after it", () => {
    const paused = bucket.pause(bursty, bucket.make(bursty, 0), 10_000)
    expect(bucket.earliest(bursty, paused, cost(1))).toBe(10_000)
    expect(left(bucket.refill(bursty, paused, 9_000))).toEqual({ requests: 1, tokens: 1_000 })
    const first = bucket.take(bursty, paused, cost(1), 10_000)
    expect(bucket.earliest(bursty, first, cost(1))).toBe(10_500)
    const empty = bucket.take(bursty, bucket.make(bursty, 0), cost(120, 1_000), 0)
    const after = (millis: number) => left(bucket.refill(bursty, bucket.pause(bursty, empty, millis), millis))
    expect(after(30_000)).toEqual({ requests: 1, tokens: 500 })
    expect(after(100)).toEqual({ requests: 0.2, tokens: expect.closeTo(1.67, 2) })
    expect(left(bucket.refill(bursty, bucket.pause(bursty, empty, 30_000), 31_000)).requests).toBe(3)
  })

  it("keeps the longer of two pauses", () => {
    const paused = bucket.pause(bursty, bucket.make(bursty, 0), 10_000)
    expect(bucket.pause(bursty, paused, 9_000)).toBe(paused)
    expect(bucket.pause(bursty, paused, 10_000)).toBe(paused)
    expect(bucket.pause(bursty, paused, 11_000).pausedUntil).toBe(11_000)
    expect(bucket.pause(bursty, bucket.make(bursty, 5), 5).pausedUntil).toBe(-Infinity)
  })

  it("learns lower limits and forgets them when higher ones come, up to its own", () => {
    const lower = bucket.learn(bursty, bucket.make(bursty, 0), { requestsPerMinute: 60, tokensPerMinute: 5_000 })
    expect(left(lower)).toEqual({ requests: 60, tokens: 1_000 })
    const taken = bucket.take(bursty, lower, cost(60), 0)
    expect(bucket.earliest(bursty, taken, cost(1))).toBe(1_000)
    expect(bucket.learn(bursty, taken, { requestsPerMinute: 600 }).requestsPerMinute).toBe(120)
  })

  it("keeps what is in it when the rate changes", () => {
    const half = bucket.take(bursty, bucket.make(bursty, 0), cost(100), 0)
    expect(left(bucket.learn(bursty, half, { requestsPerMinute: 40 })).requests).toBeCloseTo(20)
    expect(left(bucket.refill({ ...bursty, requestsPerMinute: 240 }, half, 0)).requests).toBeCloseTo(20)
    expect(left(bucket.refill({ ...bursty, requestsPerMinute: Infinity }, half, 0)).requests).toBe(Infinity)
  })

  it("is emptied to what is said to remain, and never filled by it", () => {
    const full = bucket.make(bursty, 0)
    expect(left(bucket.learn(bursty, full, { requestsRemaining: 3, tokensRemaining: 0 }))).toEqual({
      requests: 3,
      tokens: 0
    })
    const empty = bucket.take(bursty, full, cost(120), 0)
    expect(left(bucket.learn(bursty, empty, { requestsRemaining: 50 })).requests).toBe(0)
    expect(left(bucket.learn(noTokens, bucket.make(noTokens, 0), { tokensRemaining: 5 })).tokens).toBe(Infinity)
  })

  it("does not believe what cannot be", () => {
    const full = bucket.make(bursty, 0)
    for (const value of [NaN, -1, 0, 1e-320, 0.99, Infinity]) {
      expect(bucket.learn(bursty, full, { requestsPerMinute: value })).toEqual(full)
    }
    expect(bucket.learn(bursty, full, { requestsRemaining: -1, tokensRemaining: NaN })).toEqual(full)
  })

  it("tells the cost that can never pass", () => {
    const state = bucket.make(bursty, 0)
    expect(bucket.excess(bursty, state, cost(1, 1_000), 0)).toBeUndefined()
    expect(bucket.excess(bursty, state, cost(1, 1_001), 0)).toEqual({ cost: 1_001, limit: 1_000, unit: "tokens" })
    expect(bucket.excess(bursty, state, cost(121), 0)).toEqual({ cost: 121, limit: 120, unit: "requests" })
    const slow = { ...bursty, requestsPerMinute: 0.5 }
    expect(bucket.excess(slow, bucket.make(slow, 0), cost(1), 0)).toBeUndefined()
  })

  it("goes on at once when the clock is set back, and a pause lasts as long as it had left", () => {
    const used = bucket.take(smooth, bucket.make(smooth, 100_000), cost(1), 100_000)
    expect(bucket.earliest(smooth, bucket.refill(smooth, used, 40_000), cost(1))).toBe(40_500)
    const paused = bucket.refill(smooth, bucket.pause(smooth, bucket.make(smooth, 100_000), 110_000), 104_000)
    expect(bucket.earliest(smooth, bucket.refill(smooth, paused, 40_000), cost(1))).toBe(46_000)
  })

  it("a pause that is ended leaves one request to go at once, not a burst", () => {
    const paused = bucket.refill(bursty, bucket.pause(bursty, bucket.make(bursty, 0), 3_600_000), 5_000)
    const resumed = bucket.resume(paused)
    expect(left(resumed)).toEqual({ requests: 1, tokens: 1_000 })
    expect(bucket.earliest(bursty, resumed, cost(1))).toBe(5_000)
    expect(bucket.resume(resumed)).toBe(resumed)
  })

  it("a debt is one window at most", () => {
    const full = bucket.make(bursty, 0)
    for (const used of [2_001, 1e15, Number.MAX_VALUE, Infinity]) {
      const debt = bucket.settle(bursty, full, 1, used)
      expect(left(debt).tokens).toBe(-1_000)
      expect(bucket.earliest(bursty, bucket.settle(bursty, debt, 1, used), cost(1))).toBe(60_000)
    }
    const debt = bucket.settle(bursty, full, 0, 1e15)
    expect(bucket.earliest(bursty, bucket.learn(bursty, debt, { tokensPerMinute: 1 }), cost(1))).toBe(60_000)
  })

  it("forgets a learned limit after ten minutes, unless it was told again", () => {
    expect(bucket.learnedLimitMillis).toBe(600_000)
    const lower = bucket.learn(bursty, bucket.make(bursty, 0), { tokensPerMinute: 100 })
    const confirmed = bucket.learn(bursty, bucket.refill(bursty, lower, 300_000), { tokensPerMinute: 100 })
    expect(bucket.refill(bursty, lower, 599_999).tokensPerMinute).toBe(100)
    expect(bucket.refill(bursty, lower, 600_000).tokensPerMinute).toBe(1_000)
    expect(bucket.refill(bursty, confirmed, 600_000).tokensPerMinute).toBe(100)
    expect(bucket.refill(bursty, confirmed, 900_000).tokensPerMinute).toBe(1_000)
  })

  it("knows that it will go faster once a learned limit has expired", () => {
    const empty = bucket.learn(bursty, bucket.make(bursty, 0), { requestsPerMinute: 1, requestsRemaining: 0 }, 10_000)
    // A sixth of a request refills in 10 s; then 120 a minute refill the rest.
    expect(bucket.earliest(bursty, empty, cost(1))).toBeCloseTo(10_000 + 500 * 5 / 6)
  })

  it("lets a cost above a learned limit pass once a window, for all that is saved up", () => {
    const lower = bucket.learn(bursty, bucket.make(bursty, 0), { tokensPerMinute: 100 })
    expect(bucket.excess(bursty, lower, cost(1, 1_001), 0)).toMatchObject({ limit: 1_000 })
    expect(bucket.excess(bursty, lower, cost(1, 1_000), 0)).toBeUndefined()
    const probed = bucket.take(bursty, lower, cost(1, 1_000), 0)
    expect(left(probed).tokens).toBe(0)
    expect(bucket.excess(bursty, probed, cost(1, 1_000), 59_999)).toEqual({ cost: 1_000, limit: 100, unit: "tokens" })
    expect(bucket.excess(bursty, probed, cost(1, 1_000), 60_000)).toBeUndefined()
    expect(left(bucket.settle(bursty, probed, 1_000, 1_000)).tokens).toBe(0)
    expect(left(bucket.settle(bursty, probed, 1_000, 40)).tokens).toBe(60)
  })

  it("is worth forgetting once it is full again", () => {
    const used = bucket.take(bursty, bucket.make(bursty, 0), cost(60), 0)
    expect(bucket.isFull(bursty, used, 29_999)).toBe(false)
    expect(bucket.isFull(bursty, used, 30_000)).toBe(true)
    expect(bucket.isFull(bursty, bucket.pause(bursty, used, 100_000), 99_999)).toBe(false)
  })
})

describe("Any bucket", () => {
  const limits = FastCheck.record({
    requestsPerMinute: FastCheck.constantFrom(0.5, 1, 60, 70, 500, 10_000, Infinity),
    tokensPerMinute: FastCheck.constantFrom(1, 1_000, 200_000, 777_777, Infinity),
    burst: FastCheck.constantFrom(0, 0.01, 0.3, 1)
  })
  const costs = FastCheck.array(
    FastCheck.record({
      after: FastCheck.integer({ min: 0, max: 5_000 }),
      requests: FastCheck.integer({ min: 0, max: 3 }),
      tokens: FastCheck.integer({ min: 0, max: 2_000 })
    }),
    { maxLength: 40 }
  )

  it("refilling in steps is refilling at once", () =>
    FastCheck.assert(
      FastCheck.property(limits, FastCheck.array(FastCheck.integer({ min: 0, max: 9_999 })), (limit, steps) => {
        const empty = bucket.settle(limit, bucket.make(limit, 0), 0, 5_000)
        let state = empty
        let now = 0
        for (const step of steps) state = bucket.refill(limit, state, now += step)
        const once = bucket.refill(limit, empty, now)
        expect(state.requests).toBeCloseTo(once.requests, 6)
        expect(state.tokens).toBeCloseTo(once.tokens, 6)
      }),
      { numRuns: 200 }
    ))

  it("starts in order, never with less than the cost, never more than its burst at once", () =>
    FastCheck.assert(
      FastCheck.property(limits, costs, (limit, calls) => {
        let state = bucket.make(limit, 0)
        let arrival = 0
        let last = 0
        for (const call of calls) {
          arrival += call.after
          state = bucket.refill(limit, state, Math.max(arrival, state.at))
          const start = bucket.earliest(limit, state, call)
          expect(start).toBeGreaterThanOrEqual(Math.max(last, arrival))
          state = bucket.take(limit, state, call, start)
          last = start
          expect(Math.min(state.requests, state.tokens)).toBeGreaterThan(-1e-5)
          const most = bucket.make(limit, 0)
          expect(state.requests).toBeLessThanOrEqual(most.requests)
          expect(state.tokens).toBeLessThanOrEqual(most.tokens)
        }
      }),
      { numRuns: 300 }
    ))
})
