import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as RateLimitStore from "../../src/policy/RateLimitStore.ts"

const fixtures = process.env["FIXTURES"] ?? "../shared/fixtures"
const file = join(fixtures, "resilience", "rate-limiter.json")

const Step = Schema.Tuple(Schema.Number, Schema.String, Schema.Number, Schema.Number)
const Tables = Schema.Struct({
  smooth: Schema.Array(Schema.Struct({ intervalMs: Schema.Number, steps: Schema.Array(Step) })),
  "bursty (fixed periods)": Schema.Array(
    Schema.Struct({ permits: Schema.Number, periodMs: Schema.Number, steps: Schema.Array(Step) })
  ),
  properties: Schema.Array(Schema.String)
})

/**
 * failsafe-go moves on a fixed grid of intervals, so that after an idle time its first gap may be shorter than the
 * interval. Ours counts from the last call, as GCRA does, and keeps the whole interval: these steps begin after an idle
 * time within the grid, and their waits are longer by the part of the interval that had passed.
 */
const onTheGrid: ReadonlyArray<readonly [number, number]> = [[500, 9_100], [200, 2_210]]

/**
 * Fixed periods admit twice the permits round a boundary, which no provider's bucket allows; ours refills continuously.
 * Of these tables the first step of a full bucket is the same, and a burst after a long idle time.
 */
const likeABucket: ReadonlyArray<readonly [number, number]> = [[2, 7_000], [5, 300]]

const notOurs = "no such thing: a cost above the burst but within the limit waits; above the limit it fails at once"

const has = (list: ReadonlyArray<readonly [number, number]>, a: number, b: number): boolean =>
  list.some(([x, y]) => x === a && y === b)

const acquire = (store: RateLimitStore.RateLimitStore, limits: RateLimitStore.Limits, spec: string) =>
  Effect.gen(function*() {
    const [requests = NaN, times = 1] = spec.split(" x").map(Number)
    let wait = NaN
    for (let i = 0; i < times; i++) {
      const admission = yield* store.reserve({ key: "k", limits, requests, tokens: 0, maxWait: Infinity })
      wait = admission._tag === "Waiting" ? admission.wait : admission._tag === "Granted" ? 0 : NaN
    }
    return wait
  })

/** When one more could start, from the beginning of the test. */
const nextFree = (store: RateLimitStore.RateLimitStore, limits: RateLimitStore.Limits, now: number) =>
  Effect.gen(function*() {
    const probe = yield* store.reserve({ key: "k", limits, requests: 1, tokens: 0, maxWait: Infinity })
    if (probe._tag !== "Refused") yield* store.release(probe)
    return now + (probe._tag === "Waiting" ? probe.wait : 0)
  })

describe.skipIf(!existsSync(file))("Rate limiters, as failsafe-go tests them", () => {
  const tables = existsSync(file)
    ? Schema.decodeUnknownSync(Tables)(JSON.parse(readFileSync(file, "utf8")))
    : undefined

  it.effect("smooth: every wait and every next free moment, except after idling within the grid", () =>
    Effect.gen(function*() {
      let rows = 0
      for (const { intervalMs, steps } of tables?.smooth ?? []) {
        const store = yield* RateLimitStore.makeMemory
        const limits = { requestsPerMinute: 60_000 / intervalMs, tokensPerMinute: Infinity, burst: 0 }
        const begun = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        let skewed = false
        for (const [at, spec, wait, free] of steps) {
          yield* TestClock.setTime(begun + at)
          const ours = yield* acquire(store, limits, spec)
          skewed = skewed || has(onTheGrid, intervalMs, at)
          if (has(onTheGrid, intervalMs, at)) {
            const passed = at % intervalMs
            expect(ours, `${intervalMs} at ${at}`).toBe(wait + passed)
          } else expect(ours, `${intervalMs} at ${at}`).toBe(wait)
          if (!skewed) expect(yield* nextFree(store, limits, at), `${intervalMs} after ${at}`).toBe(free)
          rows++
        }
      }
      console.log(
        `rate-limiter.json, smooth: ${rows - onTheGrid.length} of ${rows} rows; not ours: after idling, at ` +
          onTheGrid.map(([interval, at]) => `${at} ms of the table with ${interval} ms`).join(" and ")
      )
      expect(rows).toBe(9)
    }))

  it.effect("bursty: the rows that do not depend on fixed periods", () =>
    Effect.gen(function*() {
      let rows = 0
      let same = 0
      for (const { periodMs, permits, steps } of tables?.["bursty (fixed periods)"] ?? []) {
        const store = yield* RateLimitStore.makeMemory
        const requestsPerMinute = permits * 60_000 / periodMs
        const limits = { requestsPerMinute, tokensPerMinute: Infinity, burst: permits / requestsPerMinute }
        const begun = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        for (const [at, spec, wait, left] of steps) {
          yield* TestClock.setTime(begun + at)
          const ours = yield* acquire(store, limits, spec)
          rows++
          if (!has(likeABucket, permits, at)) continue
          expect(ours).toBe(wait)
          expect((yield* store.state("k", limits)).requestsAvailable).toBeCloseTo(left, 6)
          same++
        }
      }
      console.log(`rate-limiter.json, bursty: ${same} of ${rows} rows; the others need fixed periods`)
      expect(same).toBe(likeABucket.length)
    }))

  it.effect("acquire(7) waits as long as the last of 7 x acquire(1), and a fresh limiter does not wait", () =>
    Effect.gen(function*() {
      for (const requestsPerMinute of [60, 120, 7_000]) {
        const limits = { requestsPerMinute, tokensPerMinute: Infinity, burst: 0 }
        const one = yield* RateLimitStore.makeMemory
        const many = yield* RateLimitStore.makeMemory
        expect(yield* acquire(one, limits, "7")).toBe(yield* acquire(many, limits, "1 x7"))
        expect(yield* acquire(yield* RateLimitStore.makeMemory, limits, "1")).toBe(0)
      }
      const properties = tables?.properties ?? []
      console.log(
        `rate-limiter.json, properties: ${properties.length} of ${properties.length} (the third is the law ` +
          `"what is released is there again"; of the fourth: ${notOurs})`
      )
      expect(properties.length).toBe(4)
    }))
})

if (!existsSync(file)) console.log(`skipped: ${file} is absent (set FIXTURES)`)
