import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import { ServerError } from "../../src/error/ModelError.ts"
import { BulkheadFull, TimedOut } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

const broken = new ServerError({ provider: "test", status: 500 })
const tripping = { when: "consecutive", failures: 2 } as const

const pathsOf = <A>(made: Effect.Effect<A, InvalidOptions>) =>
  Effect.map(Effect.flip(made), (error) => error.issues.map(({ path }) => path))

/** A policy that the pipeline must have. */
const given = <A>(policy: A | undefined): A => {
  if (policy === undefined) throw new Error("the pipeline has no such policy")
  return policy
}

const breakerOf = (self: Pipeline.Pipeline) => given(Pipeline.policies(self).circuitBreaker)
const bulkheadOf = (self: Pipeline.Pipeline) => given(Pipeline.policies(self).bulkhead)
const limiterOf = (self: Pipeline.Pipeline) => given(Pipeline.policies(self).rateLimiter)
const hedgeOf = (self: Pipeline.Pipeline) => given(Pipeline.policies(self).hedge)
const budgetOf = (self: Pipeline.Pipeline) => given(Pipeline.policies(self).retryBudget)

/** So many calls through a pipeline that stay in flight until the door is opened. */
const inFlight = (pipeline: Pipeline.Pipeline, count: number) =>
  Effect.gen(function*() {
    const door = yield* Deferred.make<string>()
    const fibers = yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.fork(Effect.exit(Pipeline.apply(Deferred.await(door), pipeline)))
    )
    yield* TestClock.adjust(0)
    return {
      open: Effect.zipRight(Deferred.succeed(door, "done"), Effect.forEach(fibers, Fiber.join)),
      fibers
    }
  })

describe("Pipeline.reconfigure keeps what the policies know", () => {
  it.effect("an open breaker stays open for its break, and takes over its new numbers", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ circuitBreaker: { tripping, openFor: "10 seconds" } })
      const breaker = breakerOf(pipeline)
      yield* Effect.exit(Pipeline.apply(broken, pipeline))
      yield* Effect.exit(Pipeline.apply(broken, pipeline))
      yield* TestClock.adjust("4 seconds")
      yield* Pipeline.reconfigure(pipeline, {
        circuitBreaker: { tripping: Tripping.consecutive(7), openFor: "1 minute", probes: 7 }
      })
      expect(breakerOf(pipeline)).toBe(breaker)
      expect(CircuitBreaker.settings(breaker).probes).toBe(7)
      expect(String(CircuitBreaker.settings(breaker).tripping)).toContain("7 failures")
      const refused = yield* Effect.flip(Pipeline.apply(Effect.succeed("ok"), pipeline))
      expect(refused._tag).toBe("CircuitOpen")
      // The break that runs keeps its length.
      yield* TestClock.adjust("6 seconds")
      expect(yield* Pipeline.apply(Effect.succeed("ok"), pipeline)).toBe("ok")
    }))

  it.effect("a breaker with a judge of the pipeline's own keeps that judge, or takes the new one", () =>
    Effect.gen(function*() {
      const circuitBreaker = { tripping: { when: "consecutive", failures: 1 } as const }
      const pipeline = yield* Pipeline.make({ circuitBreaker, verdict: () => Verdict.make("Fail") })
      yield* Pipeline.reconfigure(pipeline, { circuitBreaker, verdict: () => Verdict.make("Fail") })
      yield* Effect.flip(Pipeline.apply(broken, pipeline))
      yield* Pipeline.apply(Effect.void, pipeline)
      yield* Pipeline.reconfigure(pipeline, { circuitBreaker })
      yield* Effect.flip(Pipeline.apply(broken, pipeline))
      expect(yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))).toMatchObject({ _tag: "CircuitOpen" })
    }))

  it.effect("the limiter knows what was used, and goes by its new limits", () =>
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
      expect((yield* RateLimiter.state(limiterOf(pipeline))).requestsPerMinute).toBe(20)
    }))

  it.effect("a limiter that says another key begins anew under that key", () =>
    Effect.gen(function*() {
      const rateLimiter = { requestsPerMinute: 10, key: "one" }
      const pipeline = yield* Pipeline.make({ rateLimiter })
      yield* Pipeline.apply(Effect.void, pipeline)
      yield* Pipeline.reconfigure(pipeline, { rateLimiter: { requestsPerMinute: 10 } })
      expect(limiterOf(pipeline).key).toBe("one")
      yield* Pipeline.reconfigure(pipeline, { rateLimiter: { ...rateLimiter, key: "two" } })
      expect((yield* RateLimiter.state(limiterOf(pipeline))).requestsAvailable).toBe(10)
    }))

  it.effect("the budget goes on with its counts, and hedges go on sharing it", () =>
    Effect.gen(function*() {
      const options = {
        retry: { backoff: "immediate", attempts: 3 },
        retryBudget: { tokens: { capacity: 100, cost: 10 } }
      } as const
      const pipeline = yield* Pipeline.make(options)
      yield* Effect.exit(Pipeline.apply(broken, pipeline))
      const budget = budgetOf(pipeline)
      const before = yield* RetryBudget.stats(budget)
      expect(before.available).toBeLessThan(10)
      yield* Pipeline.reconfigure(pipeline, { ...options, hedge: { delay: "1 second" }, attemptTimeout: undefined })
      expect(budgetOf(pipeline)).toBe(budget)
      expect(Pipeline.policies(pipeline).hedge?.budget).toBe(budget)
      expect(yield* RetryBudget.stats(budgetOf(pipeline))).toEqual(before)
    }))

  it.effect("the budget goes on where its form is spelt otherwise", () =>
    Effect.gen(function*() {
      const hedge = { delay: "1 second" } as const
      const { minimumPerSecond, ratio, ttl } = RetryBudget.defaults.deposits
      const pipeline = yield* Pipeline.make({ retryBudget: { deposits: {} }, hedge })
      const budget = budgetOf(pipeline)
      yield* Pipeline.reload(pipeline, { retryBudget: { deposits: { ttl, ratio, minimumPerSecond } }, hedge })
      expect(budgetOf(pipeline)).toBe(budget)
      yield* Pipeline.reconfigure(pipeline, { retryBudget: { deposits: { ttl: Duration.toMillis(ttl) } }, hedge })
      expect(budgetOf(pipeline)).toBe(budget)
      yield* Pipeline.reload(pipeline, { retryBudget: { deposits: { ttl: "6 seconds" } }, hedge })
      expect(budgetOf(pipeline)).not.toBe(budget)
    }))

  it.effect("the budget goes on counting the calls that run, unless it has another form", () =>
    Effect.gen(function*() {
      const options = { retryBudget: "standard", hedge: { delay: "1 second" } } as const
      const pipeline = yield* Pipeline.make(options)
      const budget = budgetOf(pipeline)
      const call = yield* Effect.fork(Pipeline.apply(Effect.never, pipeline))
      yield* TestClock.adjust("2 seconds")
      yield* Pipeline.reconfigure(pipeline, { ...options, hedge: { delay: "3 seconds" } })
      expect(budgetOf(pipeline)).toBe(budget)
      expect(hedgeOf(pipeline).budget).toBe(budget)
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 1, hedges: 1 })
      yield* Pipeline.reconfigure(pipeline, { ...options, retryBudget: { share: { ratio: 0.5 } } })
      expect(budgetOf(pipeline)).not.toBe(budget)
      expect(hedgeOf(pipeline).budget).toBe(budgetOf(pipeline))
      yield* Fiber.interrupt(call)
    }))

  it.effect("the bulkhead is resized while calls run and wait", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ bulkhead: { maxConcurrent: 2, maxQueued: 10 } })
      const bulkhead = bulkheadOf(pipeline)
      const calls = yield* inFlight(pipeline, 5)
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 2, queued: 3 })
      yield* Pipeline.reconfigure(pipeline, { bulkhead: { maxConcurrent: 4, maxQueued: 1 } })
      yield* TestClock.adjust(0)
      expect(bulkheadOf(pipeline)).toBe(bulkhead)
      expect(yield* Bulkhead.stats(bulkhead)).toEqual({ running: 4, queued: 1, maxConcurrent: 4, maxQueued: 1 })
      const refused = yield* Effect.flip(Pipeline.apply(Effect.void, pipeline))
      expect(refused).toBeInstanceOf(BulkheadFull)
      // Smaller: nobody who runs is stopped, and nobody new comes in until there is room.
      yield* Pipeline.reconfigure(pipeline, { bulkhead: { maxConcurrent: 1, maxQueued: 1 } })
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 4, queued: 1, maxConcurrent: 1 })
      expect(yield* calls.open).toEqual(Array.from({ length: 5 }, () => Exit.succeed("done")))
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    }))

  it.effect("the adaptive limit keeps where it is, within its new bounds", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ concurrencyLimit: { initial: 20 } })
      const before = given(Pipeline.policies(pipeline).concurrencyLimit)
      yield* Pipeline.reconfigure(pipeline, { concurrencyLimit: { ceiling: 50 } })
      expect(Pipeline.policies(pipeline).concurrencyLimit).toBe(before)
      expect(yield* ConcurrencyLimit.limit(before)).toBe(20)
      const calls = yield* inFlight(pipeline, 3)
      yield* Pipeline.reconfigure(pipeline, { concurrencyLimit: { ceiling: 5, maxQueued: 2 } })
      expect(yield* ConcurrencyLimit.limit(before)).toBe(5)
      expect(yield* ConcurrencyLimit.stats(before)).toEqual({ running: 3, queued: 0, maxConcurrent: 5, maxQueued: 2 })
      yield* calls.open
    }))

  it.effect("what an adaptive retry and a hedge learned stays learned", () =>
    Effect.gen(function*() {
      const options = {
        adaptiveRetry: { window: "1 minute" },
        hedge: { delay: { quantile: 0.9 }, budget: "none" }
      } as const
      const pipeline = yield* Pipeline.make(options)
      const before = Pipeline.policies(pipeline)
      yield* Pipeline.reconfigure(pipeline, {
        ...options,
        retry: { backoff: "immediate", attempts: 2 },
        hedge: { ...options.hedge, maxHedges: 3 }
      })
      const after = Pipeline.policies(pipeline)
      expect(after.hedge?.maxHedges).toBe(3)
      const cellOf = (hedge = after.hedge) => hedge?.delay._tag === "Learned" ? hedge.delay.cell : undefined
      expect(after.adaptiveRetry?.cell).toBe(given(before.adaptiveRetry).cell)
      expect(cellOf()).toBe(given(cellOf(before.hedge)))
    }))

  it.effect("a policy that is given as a value is used itself", () =>
    Effect.gen(function*() {
      const [one, other] = [
        yield* Bulkhead.make({ name: "one", maxConcurrent: 1 }),
        yield* Bulkhead.make({ name: "other", maxConcurrent: 9 })
      ]
      const pipeline = yield* Pipeline.make({ bulkhead: one })
      yield* Pipeline.reconfigure(pipeline, { bulkhead: other })
      expect(bulkheadOf(pipeline)).toBe(other)
      expect(yield* Bulkhead.stats(one)).toMatchObject({ maxConcurrent: 1 })
    }))
})

describe("calls and a new configuration", () => {
  it.effect("calls that run end under the old one, calls that begin go by the new one", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ attemptTimeout: "10 seconds" })
      const old = yield* Effect.fork(Effect.exit(Pipeline.apply(Effect.never, pipeline)))
      yield* TestClock.adjust("1 second")
      yield* Pipeline.reconfigure(pipeline, { attemptTimeout: "2 seconds" })
      const young = yield* Effect.fork(Effect.exit(Pipeline.apply(Effect.never, pipeline)))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(young)).toEqual(
        Exit.fail(new TimedOut({ phase: "attempt", limit: Duration.seconds(2) }))
      )
      expect(old.unsafePoll()).toBe(null)
      yield* TestClock.adjust("7 seconds")
      expect(yield* Fiber.join(old)).toEqual(
        Exit.fail(new TimedOut({ phase: "attempt", limit: Duration.seconds(10) }))
      )
    }))

  it.effect("the retry that runs keeps its attempts", () =>
    Effect.gen(function*() {
      const retry = (attempts: number) => ({ backoff: "constant", delay: "1 second", attempts } as const)
      const pipeline = yield* Pipeline.make({ retry: retry(3) })
      let tries = 0
      const call = Effect.suspend(() => {
        tries += 1
        return broken
      })
      const fiber = yield* Effect.fork(Effect.exit(Pipeline.apply(call, pipeline)))
      yield* TestClock.adjust("500 millis")
      yield* Pipeline.reconfigure(pipeline, {})
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      expect(tries).toBe(3)
      yield* Effect.exit(Pipeline.apply(call, pipeline))
      expect(tries).toBe(4)
    }))

  it.effect("a policy that is taken away gives back what its calls hold", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ bulkhead: { maxConcurrent: 2 } })
      const bulkhead = bulkheadOf(pipeline)
      const calls = yield* inFlight(pipeline, 2)
      yield* Pipeline.reconfigure(pipeline, {})
      expect(yield* Pipeline.apply(Effect.succeed("free"), pipeline)).toBe("free")
      yield* calls.open
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    }))

  it.effect("an event tells of the change, under the name that stays", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const pipeline = yield* Pipeline.make({ name: "chat", attemptTimeout: "1 second" })
      yield* TestClock.adjust("5 seconds")
      yield* Effect.gen(function*() {
        yield* Effect.exit(Pipeline.reconfigure(pipeline, { attemptTimeout: -1 }))
        yield* Pipeline.reconfigure(pipeline, { name: "other", attemptTimeout: "2 seconds" })
      }).pipe(Effect.provide(Monitor.layer(monitor)))
      expect(yield* events).toEqual([Event.ConfigSwapped({ at: 5_000, name: "chat" })])
      expect(pipeline.name).toBe("chat")
      expect(Pipeline.describe(pipeline)).toContain("chat: attempt time-out 2s")
      expect(Pipeline.encode(pipeline)).toEqual({ name: "chat", attemptTimeout: "2 seconds" })
    }))
})

describe("a policy that refuses in a new way", () => {
  const additions: ReadonlyArray<readonly [path: string, options: Pipeline.Options]> = [
    ["totalTimeout", { totalTimeout: "1 minute" }],
    ["attemptTimeout", { attemptTimeout: "1 minute" }],
    ["circuitBreaker", { circuitBreaker: {} }],
    ["rateLimiter", { rateLimiter: { requestsPerMinute: 1 } }],
    ["concurrencyLimit", { concurrencyLimit: {} }],
    ["bulkhead", { bulkhead: { maxConcurrent: 1 } }]
  ]

  it.effect.each(additions)(
    "is taken by a pipeline that was made without one: %s",
    ([path, options]) =>
      Effect.gen(function*() {
        const pipeline = yield* Pipeline.make({})
        yield* Pipeline.reconfigure(pipeline, options)
        expect(Object.keys(Pipeline.encode(pipeline))).toEqual(["name", path])
      })
  )

  it.effect.each(additions)("is taken by one that was decoded: %s", ([path, options]) =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.decode({})
      yield* Pipeline.reconfigure(pipeline, options)
      expect(Object.keys(Pipeline.encode(pipeline))).toEqual(["name", path])
    }))

  it.effect.each(additions)("is taken by one that is a layer: %s", ([path, options]) =>
    Effect.gen(function*() {
      const pipeline = yield* Effect.provide(Pipeline.Pipeline, Layer.fresh(Pipeline.layer({})))
      yield* Pipeline.reconfigure(pipeline, options)
      expect(Object.keys(Pipeline.encode(pipeline))).toEqual(["name", path])
    }))

  it.effect("is no new way where the type has the refusal already", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ totalTimeout: "1 minute", bulkhead: { maxConcurrent: 1 } })
      yield* Pipeline.reconfigure(pipeline, { attemptTimeout: "1 second", concurrencyLimit: {} })
      expect(Object.keys(Pipeline.encode(pipeline))).toEqual(["name", "concurrencyLimit", "attemptTimeout"])
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

  it.effect("is no reason to give a bulkhead in use another queue time-out", () =>
    Effect.gen(function*() {
      const bulkhead = { maxConcurrent: 1, maxQueued: 1, queueTimeout: "1 second" } as const
      const narrow = yield* Pipeline.make({ bulkhead: { maxConcurrent: 1, maxQueued: 1 } })
      expect(yield* pathsOf(Pipeline.reconfigure(narrow, { bulkhead }))).toEqual(["bulkhead.queueTimeout"])
    }))
})

describe("nothing changes when anything is wrong", () => {
  const before = {
    name: "chat",
    retry: { backoff: "immediate", attempts: 2 },
    retryBudget: "standard",
    circuitBreaker: { tripping, probes: 2 },
    rateLimiter: { requestsPerMinute: 10 },
    concurrencyLimit: { ceiling: 40, maxQueued: 2, queueTimeout: "1 second" },
    bulkhead: { maxConcurrent: 5, maxQueued: 3, queueTimeout: "2 seconds" },
    attemptTimeout: "3 seconds"
  } as const
  /** Right, and different in all that can change. */
  const after = {
    ...before,
    circuitBreaker: { probes: 5 },
    rateLimiter: { requestsPerMinute: 20 },
    concurrencyLimit: { ...before.concurrencyLimit, ceiling: 80 },
    bulkhead: { ...before.bulkhead, maxConcurrent: 9 },
    attemptTimeout: "4 seconds"
  } as const

  const looks = (pipeline: Pipeline.Pipeline) =>
    Effect.gen(function*() {
      const all = Pipeline.policies(pipeline)
      return {
        all,
        text: String(pipeline),
        json: Pipeline.encode(pipeline),
        breaker: CircuitBreaker.describe(breakerOf(pipeline)),
        bulkhead: yield* Bulkhead.stats(bulkheadOf(pipeline)),
        limit: ConcurrencyLimit.describe(given(all.concurrencyLimit))
      }
    })

  it.effect("all of it changes when it is right", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.decode(before)
      yield* Pipeline.reconfigure(pipeline, after)
      expect(Pipeline.encode(pipeline)).toEqual({ ...after, retry: expect.anything() })
      expect(CircuitBreaker.settings(breakerOf(pipeline)).probes).toBe(5)
      expect((yield* Bulkhead.stats(bulkheadOf(pipeline))).maxConcurrent).toBe(9)
    }))

  it.effect.each<readonly [paths: ReadonlyArray<string>, options: Pipeline.Options]>([
    [["bulkhead.maxConcurrent"], { ...after, bulkhead: { ...after.bulkhead, maxConcurrent: 0 } }],
    [["attemptTimeout"], { ...after, totalTimeout: "3500 millis" }],
    [["hedge.budget"], { ...after, retryBudget: undefined, hedge: { delay: "1 second" } }],
    [["bulkhead.queueTimeout"], { ...after, bulkhead: { ...after.bulkhead, queueTimeout: "3 seconds" } }],
    [["bulkhead.queueTimeout"], { ...after, bulkhead: { maxConcurrent: 9 } }],
    [["concurrencyLimit.queueTimeout", "concurrencyLimit.strategy", "bulkhead.queueTimeout"], {
      ...after,
      bulkhead: { ...after.bulkhead, queueTimeout: "1 second" },
      concurrencyLimit: { strategy: "gradient", maxQueued: 3 }
    }],
    [["concurrencyLimit.queueTimeout", "concurrencyLimit.strategy"], {
      ...after,
      concurrencyLimit: { strategy: "gradient" }
    }]
  ])("%j", ([paths, options]) =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const pipeline = yield* Pipeline.decode(before)
      const then = yield* looks(pipeline)
      const found = yield* pathsOf(Pipeline.reconfigure(pipeline, options)).pipe(Effect.provide(Monitor.layer(monitor)))
      expect(found).toEqual(paths)
      const now = yield* looks(pipeline)
      expect(now.all).toBe(then.all)
      expect(now).toEqual(then)
      expect(yield* events).toEqual([])
    }))

  it.effect.each<readonly [unknown]>([[null], ["text"], [[]], [7]])(
    "%j is no configuration",
    ([wrong]) =>
      Effect.gen(function*() {
        const pipeline = yield* Pipeline.decode(before)
        // What a program that reads JSON may pass by mistake.
        const found = yield* pathsOf(Pipeline.reconfigure(pipeline, wrong as Pipeline.Options))
        expect(found[0]).toBe("")
        expect(Pipeline.policies(pipeline).bulkhead).toBeDefined()
      })
  )
})

describe("both call styles", () => {
  it.effect("reconfigure alike", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ attemptTimeout: "1 second" })
      yield* pipeline.pipe(Pipeline.reconfigure({ attemptTimeout: "2 seconds" }))
      expect(Pipeline.encode(pipeline)["attemptTimeout"]).toBe("2 seconds")
    }))
})

describe("Pipeline.reload", () => {
  it.effect("takes a policy file that was read anew, and refuses what such a file may not say", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.decode({ name: "live", attemptTimeout: "1 second" })
      yield* Pipeline.reload(pipeline, { attemptTimeout: "2 seconds", bulkhead: { maxConcurrent: 3 } })
      expect(Pipeline.encode(pipeline)).toEqual({
        name: "live",
        attemptTimeout: "2 seconds",
        bulkhead: { maxConcurrent: 3 }
      })
      const error = yield* Effect.flip(Pipeline.reload(pipeline, { attemptTimeout: 5 }))
      expect(error.message).toContain("attemptTimeout")
      expect(Pipeline.encode(pipeline)).toMatchObject({ attemptTimeout: "2 seconds" })
    }))
})
