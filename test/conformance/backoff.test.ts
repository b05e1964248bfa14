/**
 * The delays that other libraries test for, with fixed draws: shared/fixtures/resilience/backoff.json.
 *
 * | group          | rows | apply | what does not, and why                                                            |
 * |----------------|------|-------|-----------------------------------------------------------------------------------|
 * | deterministic  | 13   | 13    |                                                                                   |
 * | jitterFixedDraw| 10   | 9     | Polly's DecorrelatedJitterBackoffV2: another formula under the name; ours is AWS's |
 * | bounds         | 9    | 7     | two properties of that same formula; its rows about overflow do apply              |
 * | elapsedBudget  | 2    | 2     | the first is an anti-pattern: the test is that we do not do it                      |
 *
 * Where a library caps before it jitters, `capped` stands before `jittered` here. Where a draw counts from the top
 * (openai-node), ours is 1 minus theirs.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { isInvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { longest } from "../../src/policy/shared/retryTree.ts"

const { atLeast, attempts, capped, constant, exponential, fibonacci, immediate, jittered, linear, within } = RetryPolicy

const file = join(process.env["FIXTURES"] ?? "../shared/fixtures", "resilience", "backoff.json")
if (!existsSync(file)) console.log(`skipped: ${file} is absent (set FIXTURES)`)

const Numbers = Schema.Array(Schema.Number)
const Row = Schema.Struct({ name: Schema.String })
const Deterministic = Schema.Struct({
  ...Row.fields,
  attempts: Schema.optional(Numbers),
  delays: Schema.optional(Numbers)
})
const Jitter = Schema.Struct({
  ...Row.fields,
  rows: Schema.optional(Schema.Union(Schema.Array(Numbers), Schema.Record({ key: Schema.String, value: Numbers }))),
  rows_r_n_delay: Schema.optional(Schema.Array(Numbers))
})
const Fixture = Schema.Struct({
  deterministic: Schema.Array(Deterministic),
  jitterFixedDraw: Schema.Array(Jitter),
  bounds: Schema.Array(Row),
  elapsedBudget: Schema.Array(Row)
})

const fixture = (): typeof Fixture.Type =>
  existsSync(file)
    ? Schema.decodeUnknownSync(Fixture)(JSON.parse(readFileSync(file, "utf8")))
    : { deterministic: [], jitterFixedDraw: [], bounds: [], elapsedBudget: [] }

/** The delay of each retry, with the same draw for all. */
const delays = (policy: RetryPolicy.RetryPolicy, count: number, random = 0.5): ReadonlyArray<number> =>
  RetryPolicy.preview(policy, { limit: count, random }).map(({ delay }) => Duration.toMillis(delay))

const expectNear = (found: ReadonlyArray<number | undefined>, expected: ReadonlyArray<number>) => {
  expect(found).toHaveLength(expected.length)
  expected.forEach((delay, i) => expect(found[i]).toBeCloseTo(delay, 5))
}

const second = exponential({ initial: "1 second" })
const day = 86_400_000

/** Our spelling of each row. */
const deterministic: Readonly<Record<string, RetryPolicy.RetryPolicy>> = {
  "fixed 1000": constant(1000),
  "polly linear 1000": linear({ initial: 1000 }),
  "polly exponential 1000": second,
  "exponential base 1 s no cap (tenacity)": second,
  "exponential base 1 s cap 40 s (tenacity)": capped(second, "40 seconds"),
  "exponential floor 20 s (tenacity min=20)": atLeast(second, "20 seconds"),
  "floor 10 s cap 100 s": second.pipe(atLeast("10 seconds"), capped("100 seconds")),
  "resilience4j exponential 100 x2 cap 100000": exponential({ initial: 100 }).pipe(capped(100_000)),
  "resilience4j default exponential 500 x1.5": exponential({ initial: 500, factor: 1.5 }),
  "fibonacci 1000 (Effect Schedule.fibonacci)": fibonacci({ initial: 1000 }),
  "p-retry default (min 1000, factor 2, no cap)": second,
  // A wait of zero has a name here.
  "polly: zero base stays zero for every kind and jitter": immediate
}

const base100 = capped(exponential({ initial: 100 }), 20_000)

/** Our spelling of each row; `flip` where a draw counts from the top; `first` is the number of its first retry. */
const jitters: Readonly<
  Record<string, {
    readonly policy: RetryPolicy.RetryPolicy
    readonly flip?: boolean
    readonly first?: number
  }>
> = {
  "polly constant jitter 1000 (+-25%)": { policy: jittered(constant(1000), { ratio: 0.25 }) },
  "polly linear jitter, third retry (3000)": {
    policy: jittered(linear({ initial: 1000 }), { ratio: 0.25 }),
    first: -2
  },
  "full jitter base 100 cap 20000": { policy: jittered(base100, "full") },
  "equal jitter base 100 cap 20000": { policy: jittered(base100, "equal") },
  "AWS decorrelated jitter base 100 cap 20000, constant r": {
    policy: constant(100).pipe(jittered("decorrelated"), capped(20_000))
  },
  "openai-node": {
    policy: exponential({ initial: 500 }).pipe(capped(8000), jittered({ min: 0.75, max: 1 })),
    flip: true
  },
  "gRPC": { policy: exponential({ initial: 100 }).pipe(capped(1000), jittered({ ratio: 0.2 })), first: 1 },
  "Effect Schedule.jittered": { policy: jittered(constant(1000), { min: 0.8, max: 1.2 }) },
  "resilience4j randomized 0.5": { policy: jittered(constant(1000), { ratio: 0.5 }) }
}

const elsewhere: Readonly<Record<string, string>> = {
  "Polly DecorrelatedJitterBackoffV2 median-first 1000, constant r, attempts 0..5":
    "another formula; ours is the published one of AWS",
  "decorrelated V2 (Polly.Core property)": "a bound of that formula",
  "decorrelated V2 (WaitAndRetry spec, try t=1..6, f=3000 ms)": "a bound of that formula"
}

/** 10 000 draws from a seed. */
const drawn = Effect.runSync(
  Effect.all(Array.from({ length: 10_000 }, () => Random.next)).pipe(Effect.withRandom(Random.make("backoff.json")))
)

const refused = (build: () => unknown) => {
  const built = Either.try(build)
  expect(Either.isLeft(built) && isInvalidOptions(built.left)).toBe(true)
}

const properties: Readonly<Record<string, () => void>> = {
  "polly overflow: exponential attempt 1000 base 1 day": () => {
    const days = exponential({ initial: "1 day" })
    expect(delays(days, 1000).at(-1)).toBe(longest)
    expect(delays(capped(days, "2 days"), 1000).at(-1)).toBe(2 * day)
  },
  "polly ApplyJitter": () => {
    for (const random of drawn) {
      const [delay = NaN] = delays(jittered(constant(1000), { ratio: 0.25 }), 1, random)
      expect(delay >= 750 && delay <= 1250).toBe(true)
    }
  },
  "decorrelated V2 never negative/Infinity/NaN": () => {
    // Another formula, the same traps.
    const policy = second.pipe(jittered("decorrelated"), capped("30 seconds"))
    for (const random of [0, 0.5, 0.999, 1]) {
      const all = delays(policy, 1025, random)
      expect(all).toHaveLength(1025)
      expect(all.every((delay) => delay > 0 && delay <= 30_000)).toBe(true)
    }
    expect(delays(jittered(second, "decorrelated"), 1025, 1).every((delay) => delay > 0 && delay <= longest)).toBe(true)
  },
  "AWS decorrelated": () => {
    const policy = constant(100).pipe(jittered("decorrelated"), capped(20_000))
    const failure = { tag: "A", retryable: true, forbidden: false }
    let state = RetryPolicy.start(policy, 0)
    let previous = 100
    for (const random of drawn) {
      const [next, decision] = RetryPolicy.step(state, failure, 0, random)
      const delay = decision._tag === "Wait" ? decision.delay : NaN
      expect(delay >= 100 && delay <= Math.min(20_000, 3 * previous)).toBe(true)
      state = next
      previous = delay
    }
  },
  "full jitter uniformity": () => {
    const bins = new Array<number>(20).fill(0)
    for (const random of drawn) {
      const [delay = NaN] = delays(jittered(constant("20 seconds"), "full"), 1, random)
      const bin = Math.floor(delay / 1000)
      bins[bin] = (bins[bin] ?? 0) + 1
    }
    expect(bins).toHaveLength(20)
    for (const count of bins) expect(Math.abs(count - 500)).toBeLessThanOrEqual(100)
  },
  "resilience4j randomised": () => {
    const policy = jittered(constant(100), { ratio: 0.5 })
    for (const random of drawn.slice(0, 100)) {
      expect(delays(policy, 50, random).every((delay) => delay >= 50 && delay <= 150)).toBe(true)
    }
  },
  "resilience4j exponential random x1.5": () => {
    const plain = exponential({ initial: 100, factor: 1.5 })
    const expected = delays(plain, 20)
    for (const random of drawn.slice(0, 100)) {
      delays(jittered(plain, { ratio: 0.5 }), 20, random).forEach((delay, i) => {
        expect(Math.abs(delay - (expected[i] ?? NaN))).toBeLessThanOrEqual(0.5 * (expected[i] ?? NaN) + 1)
      })
    }
  },
  "invalid input": () => {
    refused(() => attempts(immediate, 0))
    refused(() => jittered(immediate, { ratio: -0.1 }))
    refused(() => jittered(immediate, { ratio: 1.1 }))
    refused(() => exponential({ initial: 1, factor: 0.9 }))
    refused(() => exponential({ initial: -1 }))
    refused(() => attempts(immediate, -1))
  },
  "tenacity stop_after_delay(5) with waits 1,2,4: attempts at 0,1,3,7 — overshoots": () => {
    expect(delays(within(second, "5 seconds"), 10)).not.toContain(4000)
  },
  "stop_before_delay(5) same waits: attempts at 0,1,3 then stop": () => {
    const elapsed = RetryPolicy.preview(within(second, "5 seconds")).map(({ elapsed }) => Duration.toMillis(elapsed))
    expect(elapsed).toEqual([1000, 3000])
  }
}

describe.skipIf(!existsSync(file))("backoff.json", () => {
  const { bounds, deterministic: rows, elapsedBudget, jitterFixedDraw } = fixture()

  it("every row applies or is listed", () => {
    const known = [
      ...Object.keys(deterministic),
      ...Object.keys(jitters),
      ...Object.keys(elsewhere),
      ...Object.keys(properties)
    ]
    const all = [...rows, ...jitterFixedDraw, ...bounds, ...elapsedBudget].map(({ name }) => name)
    const left = all.filter((name) => name in elsewhere)
    console.log(`backoff.json: ${all.length - left.length} of ${all.length} rows`)
    for (const name of left) console.log(`  does not apply: ${name} (${elsewhere[name]})`)
    expect(all.filter((name) => !known.includes(name))).toEqual([])
  })

  it.each(rows.filter(({ name }) => name in deterministic))("$name", ({ attempts, delays: expected, name }) => {
    const policy = deterministic[name] ?? RetryPolicy.never
    const numbers = attempts ?? (expected ?? []).map((_, i) => i + 1)
    const found = delays(policy, Math.max(...numbers))
    expect(numbers.length).toBeGreaterThan(0)
    expectNear(numbers.map((number) => found[number - 1]), expected ?? [])
  })

  it("zero stays zero under every jitter", () => {
    for (const mode of ["none", "full", "equal", "decorrelated", { ratio: 0.25 }] as const) {
      expect(delays(jittered(immediate, mode), 3, 1)).toEqual([0, 0, 0])
    }
  })

  describe("with fixed draws", () => {
    it.each(jitterFixedDraw.filter(({ name }) => name in jitters))("$name", (row) => {
      const { first = 0, flip = false, policy } = jitters[row.name] ?? { policy: RetryPolicy.never }
      const draw = (r: number) => flip ? 1 - r : r
      const table = row.rows_r_n_delay ?? row.rows
      if (table === undefined) {
        // These rows give a range, not draws.
        const [low, high] = row.name.includes("Effect") ? [800, 1200] : [500, 1500]
        expectNear([0, 0.5, 1].map((r) => delays(policy, 1, r)[0]), [low, 1000, high])
      } else if (!Array.isArray(table)) {
        for (const [r, expected] of Object.entries(table)) {
          expectNear(delays(policy, expected.length, draw(Number(r))), expected)
        }
      } else {
        for (const cells of table) {
          const [r = NaN, n = NaN, delay] = cells.length === 3 ? cells : [cells[0], 0, cells[1]]
          expectNear([delays(policy, n - first + 1, draw(r)).at(-1)], [delay ?? NaN])
        }
      }
    })
  })

  describe("properties", () => {
    it.each(Object.entries(properties))("%s", (_, check) => check())
  })
})
