/**
 * The law of a batch, against a model of it: whatever the items do, wherever it stops, however it is run, each item has one
 * result at its place; a result says what the item's call did; no more run at a time than may; and nothing is left behind.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Batch from "../../src/batch/Batch.ts"
import { InvalidLine, ItemDied, Skipped } from "../../src/error/BatchError.ts"
import { Overloaded, RateLimited } from "../../src/error/ModelError.ts"
import { CircuitOpen } from "../../src/error/PolicyError.ts"
import { runs } from "../runs.ts"

/** What the call of an item does, one after the other each time it is called; the last for ever. */
type Deed = "succeed" | "fail" | "throttle" | "overload" | "die" | "interrupt" | "circuit"

interface Plan {
  readonly id: number
  readonly deeds: ReadonlyArray<Deed>
  readonly millis: number
  readonly isLine: boolean
}

const last: FastCheck.Arbitrary<Deed> = FastCheck.constantFrom(
  "succeed",
  "succeed",
  "succeed",
  "fail",
  "throttle",
  "overload",
  "die",
  "interrupt"
)

const plans: FastCheck.Arbitrary<ReadonlyArray<Plan>> = FastCheck.array(
  FastCheck.record({
    first: FastCheck.array(FastCheck.constant<Deed>("circuit"), { maxLength: 2 }),
    last,
    millis: FastCheck.constantFrom(0, 0, 10, 1_000),
    isLine: FastCheck.nat(9).map((each) => each === 0)
  }),
  { maxLength: 25 }
).map((all) => all.map(({ first, isLine, last: end, millis }, id) => ({ id, deeds: [...first, end], millis, isLine })))

const options = FastCheck.record({
  concurrency: FastCheck.constantFrom<number | "auto">(1, 2, 5, 100, "auto"),
  failureRate: FastCheck.constantFrom(undefined, 0.3, 1),
  time: FastCheck.constantFrom(undefined, 15, 3_000),
  circuitOpen: FastCheck.constantFrom(undefined, undefined, 1_000, 5_000),
  signal: FastCheck.constantFrom(undefined, 0, 5, 1_500),
  interruptAfter: FastCheck.constantFrom(undefined, undefined, 0, 7, 1_200),
  onInterrupt: FastCheck.constantFrom("finish" as const, "interrupt" as const),
  identical: FastCheck.constantFrom("separate" as const, "share" as const),
  input: FastCheck.constantFrom("array" as const, "stream" as const),
  output: FastCheck.constantFrom("run" as const, "stream" as const)
})

const endingOf: { readonly [deed in Exclude<Deed, "succeed">]: () => Effect.Effect<never, unknown> } = {
  fail: () => Effect.fail("refused" as const),
  throttle: () => Effect.fail(new RateLimited({ provider: "test", scope: "requests" })),
  overload: () => Effect.fail(new Overloaded({ provider: "test" })),
  die: () => Effect.die(new Error("a slip")),
  interrupt: () => Effect.interrupt,
  circuit: () => Effect.fail(new CircuitOpen({ name: "c", retryAfter: Duration.seconds(2) }))
}

/** Whether an outcome is one that the item's call can have given. */
const isOf = (plan: Plan, outcome: Either.Either<unknown, unknown>, stops: boolean): boolean => {
  const deed = plan.deeds.at(-1)
  if (Either.isRight(outcome)) return deed === "succeed" && outcome.right === plan.id
  const error = outcome.left
  if (plan.isLine && error instanceof InvalidLine) return true
  if (error instanceof Skipped) return stops || deed === "interrupt"
  switch (deed) {
    case "fail":
      return error === "refused"
    case "throttle":
      return error instanceof RateLimited
    case "overload":
      return error instanceof Overloaded
    case "die":
      return error instanceof ItemDied && error.index === plan.id
    default:
      return false
  }
}

type Asked = typeof options extends FastCheck.Arbitrary<infer Given> ? Given : never

const law = (all: ReadonlyArray<Plan>, asked: Asked) =>
  Effect.gen(function*() {
    const calls = new Map<number, number>()
    let running = 0
    let most = 0
    const call = (plan: Plan) =>
      Effect.suspend(() => {
        const before = calls.get(plan.id) ?? 0
        calls.set(plan.id, before + 1)
        running++
        most = Math.max(most, running)
        const deed = plan.deeds[Math.min(before, plan.deeds.length - 1)] ?? "succeed"
        return Effect.sleep(Duration.millis(plan.millis)).pipe(
          Effect.zipRight(deed === "succeed" ? Effect.succeed(plan.id) : endingOf[deed]()),
          Effect.ensuring(Effect.sync(() => running--))
        )
      })
    const lines = all.map((plan) =>
      plan.isLine ? new InvalidLine({ line: plan.id + 1, offset: 0, reason: "syntax", detail: "no JSON" }) : plan
    )
    const items = asked.input === "array" ? lines : Stream.rechunk(Stream.fromIterable(lines), 3)
    const given = {
      concurrency: asked.concurrency,
      onInterrupt: asked.onInterrupt,
      identical: asked.identical,
      stopWhen: { failureRate: asked.failureRate, time: asked.time, circuitOpen: asked.circuitOpen },
      ...(asked.signal === undefined ? {} : { stopOn: Effect.sleep(Duration.millis(asked.signal)) })
    }
    const results: Array<Batch.ItemResult<Plan | InvalidLine, number, unknown>> = []
    const batch = asked.output === "run"
      ? Effect.map(Batch.run(items, call, given), (report) => {
        results.push(...report.results)
        const { failed, hasUnreadInput, skipped, stoppedBecause, succeeded, total } = report.summary
        // Only a stream is not read to its end, and only where the batch stops.
        expect(hasUnreadInput && (asked.input === "array" || stoppedBecause === undefined)).toBe(false)
        if (!hasUnreadInput) expect(total).toBe(all.length)
        expect(report.results.map(({ index }) => index)).toEqual(all.slice(0, total).map(({ id }) => id))
        expect(succeeded + failed + skipped).toBe(total)
        expect(skipped).toBe(
          report.results.filter(({ outcome }) => Either.isLeft(outcome) && outcome.left instanceof Skipped).length
        )
      })
      : Stream.runForEach(Batch.stream(items, call, given), (result) => Effect.sync(() => results.push(result)))
    const fiber = yield* Effect.fork(batch)
    if (asked.interruptAfter !== undefined) {
      yield* TestClock.adjust(Duration.millis(asked.interruptAfter))
      yield* Effect.fork(Fiber.interrupt(fiber))
    }
    yield* TestClock.adjust("1 hour")
    const exit = yield* Fiber.await(fiber)

    expect(running).toBe(0)
    if (typeof asked.concurrency === "number") expect(most).toBeLessThanOrEqual(asked.concurrency)
    expect(new Set(results.map(({ index }) => index)).size).toBe(results.length)
    if (asked.interruptAfter === undefined) {
      expect(exit._tag).toBe("Success")
      const mayStop = [asked.failureRate, asked.time, asked.circuitOpen, asked.signal].some((each) =>
        each !== undefined
      )
      if (asked.input === "array" || !mayStop) expect(results.length).toBe(all.length)
    }
    const { circuitOpen, failureRate, interruptAfter, signal, time } = asked
    const stops = [failureRate, time, circuitOpen, signal, interruptAfter].some((each) => each !== undefined)
    for (const { attempts, index, outcome } of results) {
      const plan = all[index]
      if (plan === undefined || !isOf(plan, outcome, stops)) {
        throw new Error(`item ${index} ended with ${String(outcome)}`)
      }
      if (Either.isRight(outcome)) expect(attempts).toBeGreaterThanOrEqual(1)
      // A call that has succeeded is never made again.
      if (Either.isRight(outcome)) expect(calls.get(index)).toBe(plan.deeds.length)
    }
  })

describe("the law of a batch", () => {
  it("holds for random items, faults, stops and interruptions", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(plans, options, (all, asked) =>
        Effect.runPromise(Effect.provide(law(all, asked), TestContext.TestContext))),
      { numRuns: runs(60, 400), seed: 7 }
    ), 60_000)
})
