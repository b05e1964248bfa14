import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"

const fixtures = process.env["FIXTURES"] ?? "../shared/fixtures"
const file = join(fixtures, "resilience", "bulkhead-hedge-timeout.json")
const present = existsSync(file)

const Row = Schema.Struct({
  name: Schema.String,
  delayMs: Schema.optional(Schema.Number),
  primaryMs: Schema.optional(Schema.Number),
  hedgeMs: Schema.optional(Schema.Number),
  maxHedged: Schema.optional(Schema.Number),
  expectAttempts: Schema.optional(Schema.Number),
  expectAtMs: Schema.optional(Schema.Number),
  expectConcurrent: Schema.optional(Schema.Number),
  errors: Schema.optional(Schema.Array(Schema.String)),
  expect: Schema.optional(Schema.String),
  attempts: Schema.optional(Schema.Number)
})
const rows: ReadonlyArray<typeof Row.Type> = present
  ? Schema.decodeUnknownSync(Schema.Struct({ hedging: Schema.Array(Row) }))(JSON.parse(readFileSync(file, "utf8")))
    .hedging
  : []

interface Step {
  readonly ms: number
  readonly error?: string
}

/** A call whose attempts follow the steps, and what was seen of it. In the rows `U` is an error nobody handles. */
const scripted = (steps: ReadonlyArray<Step>) => {
  const seen = { attempts: 0, running: 0, most: 0, interrupted: 0, released: 0 }
  const call = Effect.flatMap(Hedge.CurrentAttempt, (n) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        seen.attempts += 1
        seen.running += 1
        seen.most = Math.max(seen.most, seen.running)
      }),
      () => {
        const step = steps[n - 1] ?? { ms: 0 }
        return Effect.zipRight(
          Effect.sleep(step.ms),
          step.error === undefined ? Effect.succeed(n) : Effect.fail(step.error)
        )
      },
      (_, exit) =>
        Effect.sync(() => {
          seen.running -= 1
          seen.released += 1
          seen.interrupted += Exit.isInterrupted(exit) ? 1 : 0
        })
    ))
  return { call, seen }
}

const verdict = (error: unknown) => Verdict.make(error === "U" ? "Fail" : "Retry")

const play = (options: Partial<Hedge.Options>, steps: ReadonlyArray<Step>) =>
  Effect.gen(function*() {
    const hedge = yield* Hedge.make({ delay: "100 millis", budget: "none", verdict, ...options })
    const { call, seen } = scripted(steps)
    const fiber = yield* call.pipe(Hedge.apply(hedge), Effect.either, Effect.zip(Clock.currentTimeMillis), Effect.fork)
    yield* TestClock.adjust("1 hour")
    const [result, at] = yield* Fiber.join(fiber)
    return { result, at, seen }
  })

const handled = (errors: ReadonlyArray<string> = []): ReadonlyArray<Step> => errors.map((error) => ({ ms: 10, error }))

/** By the words of the row's name: what it asks for. A row that nobody knows fails. */
const checks: ReadonlyArray<readonly [string, (row: typeof Row.Type) => Effect.Effect<void, unknown>]> = [
  [
    "primary fast",
    (row) =>
      Effect.map(play({ delay: row.delayMs ?? NaN }, [{ ms: row.primaryMs ?? NaN }]), ({ at, seen }) => {
        expect([at, seen.attempts]).toEqual([row.primaryMs, row.expectAttempts])
      })
  ],
  ["primary slow", (row) =>
    Effect.map(
      play({ delay: row.delayMs ?? NaN }, [{ ms: row.primaryMs ?? NaN }, { ms: row.hedgeMs ?? NaN }]),
      ({ at, result, seen }) => {
        expect([at, seen.attempts, seen.interrupted]).toEqual([row.expectAtMs, row.expectAttempts, 1])
        expect(result).toMatchObject({ _tag: "Right", right: 2 })
      }
    )],
  ["delay 0", (row) =>
    Effect.map(
      play({ delay: 0, maxHedges: row.maxHedged ?? NaN }, [{ ms: 30 }, { ms: 20 }, { ms: 10 }]),
      ({ at, seen }) => expect([at, seen.most]).toEqual([10, row.expectConcurrent])
    )],
  ["infinite delay", () =>
    Effect.map(
      play({ delay: Duration.infinity, maxHedges: 2 }, [{ ms: 500, error: "H" }, { ms: 500, error: "H" }, { ms: 500 }]),
      ({ at, seen }) => expect([at, seen.attempts, seen.most]).toEqual([1_500, 3, 1])
    )],
  ["all handled failures", (row) =>
    Effect.map(play({ maxHedges: 3 }, handled(row.errors)), ({ result, seen }) => {
      expect(result).toMatchObject({ _tag: "Left", left: row.expect })
      expect(seen.attempts).toBe(row.attempts)
    })],
  ["unhandled failure", (row) =>
    Effect.map(play({ maxHedges: 10 }, handled(row.errors)), ({ result, seen }) => {
      expect(result).toMatchObject({ _tag: "Left", left: row.expect })
      expect(seen.attempts).toBe(row.errors?.length)
    })],
  ["caller interrupt", () =>
    Effect.gen(function*() {
      const { call, seen } = scripted([{ ms: 9_000 }, { ms: 9_000 }, { ms: 9_000 }])
      const hedge = yield* Hedge.make({ delay: "100 millis", maxHedges: 2, budget: "none" })
      const fiber = yield* Effect.fork(call.pipe(Hedge.apply(hedge)))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.interrupt(fiber)
      expect(seen).toMatchObject({ attempts: 3, running: 0, interrupted: 3 })
    })],
  [
    "discarded results",
    () =>
      Effect.map(
        play({ delay: 0, maxHedges: 4 }, [{ ms: 10 }, { ms: 10 }, { ms: 10 }, { ms: 10 }, { ms: 10 }]),
        ({ seen }) => {
          expect(seen).toMatchObject({ attempts: 5, running: 0, released: 5 })
        }
      )
  ],
  ["hedges consume retry budget", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ form: RetryBudget.share({ ratio: 0, minimum: 2 }) })
      const { result, seen } = yield* play({ budget, maxHedges: 5 }, [{ ms: 60_000 }, { ms: 70_000 }, { ms: 70_000 }])
      expect(result).toMatchObject({ _tag: "Right", right: 1 })
      expect(seen).toMatchObject({ attempts: 3, running: 0 })
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 0, hedges: 0, available: 2 })
    })],
  ["hedge delay from quantile", () =>
    Effect.gen(function*() {
      const learned = { quantile: 0.95, minimumSamples: 100 }
      const none = yield* play({ delay: learned }, [{ ms: 60_000 }, { ms: 1 }])
      expect(none.seen.attempts).toBe(1)
      const fixed = yield* play({ delay: { ...learned, initial: "100 millis" } }, [{ ms: 60_000 }, { ms: 1 }])
      expect(fixed.seen.attempts).toBe(2)
      const hedge = yield* Hedge.make({ delay: learned, budget: "none" })
      for (let i = 1; i <= 100; i++) {
        expect(yield* Hedge.stats(hedge)).toMatchObject({ delay: Option.none() })
        yield* Hedge.apply(TestClock.adjust(i), hedge)
      }
      expect(yield* Hedge.stats(hedge)).toMatchObject({ delay: Option.some(Duration.millis(95)) })
    })]
]

describe.skipIf(!present)("Hedge, as Polly and failsafe-go test it (bulkhead-hedge-timeout.json, hedging)", () => {
  for (const row of rows) {
    it.effect(row.name, () => {
      const check = checks.find(([words]) => row.name.startsWith(words))
      return check === undefined ? Effect.dieMessage(`no check for ${row.name}`) : check[1](row)
    })
  }
})

if (!present) console.log(`skipped: ${file} is absent (set FIXTURES)`)
