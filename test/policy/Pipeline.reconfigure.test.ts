import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { everything } from "./support/policyFiles.ts"

const down = new ModelError.ServerError({ provider: "openai" })
const policyOf = <Name extends keyof ReturnType<typeof Pipeline.policies>>(
  self: Pipeline.Pipeline<unknown>,
  name: Name
) => {
  const policy = Pipeline.policies(self)[name]
  if (policy === undefined) throw new Error(`no ${name}`)
  return policy
}
const pathsOf = (self: Pipeline.Pipeline<unknown>, options: Pipeline.Options) =>
  Effect.map(Effect.flip(Pipeline.reconfigure(self, options)), (error) => error.issues.map(({ path }) => path))

describe("Pipeline.reconfigure keeps what its policies know", () => {
  it.effect("an open breaker stays open for its break, and then goes by the new rule", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        circuitBreaker: { tripping: Tripping.consecutive(1), openFor: "10 seconds" }
      })
      yield* Effect.flip(Pipeline.apply(Effect.fail(down), pipeline))
      yield* TestClock.adjust("4 seconds")
      yield* Pipeline.reconfigure(pipeline, {
        circuitBreaker: { tripping: Tripping.consecutive(7), openFor: "1 minute" }
      })
      const refused = yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))
      expect(refused).toMatchObject({ _tag: "CircuitOpen" })
      expect(CircuitBreaker.settings(policyOf(pipeline, "circuitBreaker")).tripping.toString()).toContain("7 failures")
      yield* TestClock.adjust("6 seconds")
      yield* Pipeline.apply(Effect.void, pipeline)
    }))

  it.effect("a breaker with a judge of the pipeline's own keeps that judge, or takes the new one", () =>
    Effect.gen(function*() {
      const circuitBreaker = { tripping: { when: "consecutive", failures: 1 } }
      const pipeline = yield* Pipeline.make({ circuitBreaker, verdict: () => Verdict.make("Fail") })
      yield* Pipeline.reconfigure(pipeline, { circuitBreaker, verdict: () => Verdict.make("Fail") })
      yield* Effect.flip(Pipeline.apply(Effect.fail(down), pipeline))
      yield* Pipeline.apply(Effect.void, pipeline)
      yield* Pipeline.reconfigure(pipeline, { circuitBreaker })
      yield* Effect.flip(Pipeline.apply(Effect.fail(down), pipeline))
      expect(yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))).toMatchObject({ _tag: "CircuitOpen" })
    }))

  it.effect("what the limiter has let through stays counted, unless another key is named", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        name: "chat",
        rateLimiter: { requestsPerMinute: 10, onExceeded: "fail" }
      })
      for (let i = 0; i < 10; i++) yield* Pipeline.apply(Effect.void, pipeline)
      yield* Pipeline.reconfigure(pipeline, { rateLimiter: { requestsPerMinute: 20, onExceeded: "fail" } })
      expect(yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))).toMatchObject({ _tag: "RateLimitExceeded" })
      yield* TestClock.adjust("3 seconds")
      yield* Pipeline.apply(Effect.void, pipeline)
      expect((yield* RateLimiter.state(policyOf(pipeline, "rateLimiter"))).requestsPerMinute).toBe(20)
      yield* Pipeline.reconfigure(pipeline, { rateLimiter: { requestsPerMinute: 20, key: "other" } })
      expect((yield* RateLimiter.state(policyOf(pipeline, "rateLimiter"))).requestsAvailable).toBe(20)
    }))

  it.effect("limits of calls in flight change while calls run", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        bulkhead: { maxConcurrent: 1, maxQueued: 5 },
        concurrencyLimit: { initial: 10, ceiling: 10, maxQueued: 5 }
      })
      const calls = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Pipeline.apply(Effect.never, pipeline)))
      yield* TestClock.adjust(0)
      const bulkhead = policyOf(pipeline, "bulkhead")
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1, queued: 2 })
      yield* Pipeline.reconfigure(pipeline, {
        bulkhead: { maxConcurrent: 2, maxQueued: 1 },
        concurrencyLimit: { ceiling: 4, maxQueued: 2 }
      })
      yield* TestClock.adjust(0)
      expect(policyOf(pipeline, "bulkhead")).toBe(bulkhead)
      expect(yield* Bulkhead.stats(bulkhead)).toEqual({ running: 2, queued: 1, maxConcurrent: 2, maxQueued: 1 })
      expect(yield* ConcurrencyLimit.stats(policyOf(pipeline, "concurrencyLimit"))).toEqual({
        running: 3,
        queued: 0,
        maxConcurrent: 4,
        maxQueued: 2
      })
      yield* Fiber.interruptAll(calls)
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    }))

  it.effect("the budget goes on counting, and hedges go on sharing it", () =>
    Effect.gen(function*() {
      const options = { retryBudget: "standard", hedge: { delay: "1 second" } } as const
      const pipeline = yield* Pipeline.make(options)
      const budget = policyOf(pipeline, "retryBudget")
      const call = yield* Effect.fork(Pipeline.apply(Effect.never, pipeline))
      yield* TestClock.adjust("2 seconds")
      yield* Pipeline.reconfigure(pipeline, { ...options, hedge: { delay: "3 seconds" } })
      expect(policyOf(pipeline, "retryBudget")).toBe(budget)
      expect(policyOf(pipeline, "hedge").budget).toBe(budget)
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 1, hedges: 1 })
      yield* Pipeline.reconfigure(pipeline, { ...options, retryBudget: { share: { ratio: 0.5 } } })
      expect(policyOf(pipeline, "retryBudget")).not.toBe(budget)
      expect(policyOf(pipeline, "hedge").budget).toBe(policyOf(pipeline, "retryBudget"))
      yield* Fiber.interrupt(call)
    }))

  it.effect("a hedge keeps the latency it has learned, an adaptive retry what it has seen", () =>
    Effect.gen(function*() {
      const options = {
        retry: { backoff: "constant", delay: "1 second", attempts: 2 },
        adaptiveRetry: {},
        hedge: { delay: { quantile: 0.9 }, budget: "none" }
      } as const
      const pipeline = yield* Pipeline.make(options)
      const { adaptiveRetry, hedge } = Pipeline.policies(pipeline)
      yield* Pipeline.reconfigure(pipeline, { ...options, hedge: { ...options.hedge, maxHedges: 3 } })
      const after = Pipeline.policies(pipeline)
      expect(after.hedge?.maxHedges).toBe(3)
      expect(hedge?.delay._tag === "Learned" && after.hedge?.delay._tag === "Learned" && after.hedge.delay.cell)
        .toBe(hedge?.delay._tag === "Learned" && hedge.delay.cell)
      expect(after.adaptiveRetry?.cell).toBe(adaptiveRetry?.cell)
    }))

  it.effect("a policy that is given as a value is used itself", () =>
    Effect.gen(function*() {
      const [one, other] = [
        yield* Bulkhead.make({ name: "one", maxConcurrent: 1 }),
        yield* Bulkhead.make({ name: "other", maxConcurrent: 9 })
      ]
      const pipeline = yield* Pipeline.make({ bulkhead: one })
      yield* Pipeline.reconfigure(pipeline, { bulkhead: other })
      expect(policyOf(pipeline, "bulkhead")).toBe(other)
      expect(yield* Bulkhead.stats(one)).toMatchObject({ maxConcurrent: 1 })
    }))
})

describe("Pipeline.reconfigure", () => {
  it.effect("is for the calls that begin from now on; those that run end under the old one", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ attemptTimeout: "10 seconds" })
      const before = yield* Effect.fork(Effect.flip(Pipeline.apply(Effect.never, pipeline)))
      yield* TestClock.adjust("1 second")
      yield* Pipeline.reconfigure(pipeline, { attemptTimeout: "2 seconds" })
      const after = yield* Effect.fork(Effect.flip(Pipeline.apply(Effect.never, pipeline)))
      yield* TestClock.adjust("2 seconds")
      expect(after.unsafePoll()).not.toBeNull()
      expect(before.unsafePoll()).toBeNull()
      yield* TestClock.adjust("7 seconds")
      yield* Fiber.join(before)
    }))

  it.effect("reports that the configuration was swapped, and shows the new one", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const pipeline = yield* Pipeline.make({ name: "chat", attemptTimeout: "10 seconds" })
      yield* TestClock.adjust("5 seconds")
      yield* Pipeline.reconfigure(pipeline, { name: "ignored", attemptTimeout: "2 seconds" }).pipe(
        Effect.provide(Monitor.layer(monitor))
      )
      expect(yield* events).toEqual([expect.objectContaining({ _tag: "ConfigSwapped", at: 5_000, name: "chat" })])
      expect(Pipeline.describe(pipeline)).toContain("chat: attempt time-out 2s")
      expect(Pipeline.encode(pipeline)).toEqual({ name: "chat", attemptTimeout: "2 seconds" })
    }))

  it.effect("changes nothing where anything is wrong", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const pipeline = yield* Pipeline.decode(everything)
      const [words, json, policies] = [
        Pipeline.describe(pipeline),
        Pipeline.encode(pipeline),
        Pipeline.policies(pipeline)
      ]
      const wrong: Pipeline.Options = {
        ...everything,
        circuitBreaker: { probes: 9 },
        bulkhead: { maxConcurrent: 1 },
        rateLimiter: { requestsPerMinute: 1 },
        attemptTimeout: "2 minutes"
      }
      expect(yield* pathsOf(pipeline, wrong).pipe(Effect.provide(Monitor.layer(monitor)))).toContain("attemptTimeout")
      expect(yield* pathsOf(pipeline, { ...everything, bulkhead: { maxConcurrent: 1, maxQueued: 1 } }))
        .toEqual(["bulkhead.queueTimeout"])
      expect(Pipeline.describe(pipeline)).toBe(words)
      expect(Pipeline.encode(pipeline)).toEqual(json)
      expect(Pipeline.policies(pipeline)).toBe(policies)
      expect(yield* events).toEqual([])
    }))

  it.effect("refuses to change what calls that wait go by, and says so", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.decode({
        concurrencyLimit: { strategy: "aimd", maxQueued: 3, queueTimeout: "3 seconds" },
        bulkhead: { maxConcurrent: 3, maxQueued: 3 }
      })
      expect(
        yield* pathsOf(pipeline, {
          concurrencyLimit: { strategy: "gradient", maxQueued: 3 },
          bulkhead: { maxConcurrent: 3, maxQueued: 3, queueTimeout: "1 second" }
        })
      ).toEqual(["bulkhead.queueTimeout", "concurrencyLimit.queueTimeout", "concurrencyLimit.strategy"])
    }))
})

const additions: ReadonlyArray<readonly [string, Pipeline.Options]> = [
  ["totalTimeout", { totalTimeout: "1 minute" }],
  ["attemptTimeout", { attemptTimeout: "1 second" }],
  ["circuitBreaker", { circuitBreaker: {} }],
  ["rateLimiter", { rateLimiter: { requestsPerMinute: 1 } }],
  ["concurrencyLimit", { concurrencyLimit: {} }],
  ["bulkhead", { bulkhead: { maxConcurrent: 1 } }]
]

describe("a policy that refuses in a way the pipeline's type does not have", () => {
  it.effect.each(additions)("%s is not added to a pipeline from make", ([name, options]) =>
    Effect.gen(function*() {
      expect(yield* pathsOf(yield* Pipeline.make({}), options)).toEqual([name])
    }))

  it.effect.each(additions)(
    "%s may be added to one from a file or a layer",
    ([name, options]) =>
      Effect.gen(function*() {
        const read = yield* Pipeline.decode({})
        const provided = yield* Pipeline.Pipeline.pipe(Effect.provide(Pipeline.layer({})))
        for (const pipeline of [read, provided]) {
          yield* Pipeline.reconfigure(pipeline, options)
          expect(Pipeline.encode(pipeline)).toHaveProperty(name)
        }
      })
  )

  it.effect("a queue time-out is one, where the pipeline had no time-out", () =>
    Effect.gen(function*() {
      const bulkhead = { maxConcurrent: 1, maxQueued: 1 }
      const pipeline = yield* Pipeline.make({ bulkhead })
      expect(yield* pathsOf(pipeline, { bulkhead: { ...bulkhead, queueTimeout: "1 second" } })).toContain(
        "bulkhead.queueTimeout"
      )
    }))

  it.effect("what it was made with may go and come back, and so may what refuses alike", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        circuitBreaker: {},
        bulkhead: { maxConcurrent: 1 },
        attemptTimeout: "1 second"
      })
      yield* Pipeline.reconfigure(pipeline, {})
      expect(Pipeline.encode(pipeline)).toEqual({ name: "pipeline" })
      yield* Pipeline.reconfigure(pipeline, { circuitBreaker: {}, concurrencyLimit: {}, totalTimeout: "1 minute" })
      expect(Object.keys(Pipeline.encode(pipeline))).toEqual([
        "name",
        "totalTimeout",
        "circuitBreaker",
        "concurrencyLimit"
      ])
    }))
})
