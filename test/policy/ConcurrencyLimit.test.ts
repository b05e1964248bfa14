import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { InvalidRequest, Overloaded, RateLimited, ServerError } from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { jumpingClock } from "./support/jumpingClock.ts"
import * as Sweep from "./support/sweep.ts"

const settled = Effect.yieldNow().pipe(Effect.repeatN(20))

const serverError = new ServerError({ provider: "p", status: 500 })

/** `count` calls at a time, each of them takes a second or less. */
const together = <E, R>(count: number, call: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(
      Effect.all(Array.from({ length: count }, () => Effect.exit(call)), { concurrency: count, discard: true })
    )
    yield* settled
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(fiber)
  })

describe("ConcurrencyLimit", () => {
  it.effect("rises by a call for each success while it is used, to twice of what is used", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 10 })
      yield* Effect.replicateEffect(Effect.fork(ConcurrencyLimit.apply(Effect.never, limit)), 9)
      yield* settled
      yield* ConcurrencyLimit.apply(Effect.void, limit)
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(11)
      yield* Effect.replicateEffect(ConcurrencyLimit.apply(Effect.void, limit), 50)
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(21)
    }))

  it.effect("does not rise when few calls run", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 10 })
      yield* Effect.replicateEffect(ConcurrencyLimit.apply(Effect.void, limit), 50)
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(10)
    }))

  it.effect("falls once for all calls that failed together", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 20 })
      yield* together(20, Effect.delay(Effect.fail(serverError), "1 second").pipe(ConcurrencyLimit.apply(limit)))
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(18)
    }))

  it.effect.each([
    ["a server error", serverError, 18],
    ["a throttled call", new RateLimited({ provider: "p" }), 18],
    ["an overloaded server", new Overloaded({ provider: "p" }), 18],
    ["the caller's own mistake", new InvalidRequest({ provider: "p" }), 20]
  ])("%s", ([, error, expected]) =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 20 })
      expect(yield* Effect.flip(Effect.fail(error).pipe(ConcurrencyLimit.apply(limit)))).toBe(error)
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(expected)
    }))

  it.effect("asks the policy's own judge", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 20, verdict: () => Verdict.make("Fail") })
      yield* Effect.ignore(Effect.fail(serverError).pipe(ConcurrencyLimit.apply(limit)))
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(20)
    }))

  it.effect("a judge that throws is a defect, and leaks nothing", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({
        verdict: () => {
          throw new Error("bug")
        }
      })
      const exit = yield* Effect.exit(Effect.fail("no").pipe(ConcurrencyLimit.apply(limit)))
      expect(Exit.isFailure(exit) && exit.cause._tag).toBe("Die")
      expect(yield* ConcurrencyLimit.stats(limit)).toMatchObject({ running: 0 })
    }))

  it.effect("a call that takes longer than the time-out of aimd lowers it, even when it is interrupted", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 20, strategy: { kind: "aimd", timeout: "5 seconds" } })
      const slow = yield* Effect.fork(ConcurrencyLimit.apply(Effect.sleep("6 seconds"), limit))
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(slow)
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(18)
      const hung = yield* Effect.fork(ConcurrencyLimit.apply(Effect.never, limit))
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.interrupt(hung)
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(16)
    }))

  it.effect("a system clock that is set forward during a call makes no slow call of it", () =>
    Effect.gen(function*() {
      const { clock, jump } = yield* jumpingClock
      const limit = yield* ConcurrencyLimit.make({ initial: 20, strategy: { kind: "aimd", timeout: "1 minute" } })
      const call = Effect.zipRight(jump(3_600_000), Effect.void).pipe(ConcurrencyLimit.apply(limit))
      yield* Effect.withClock(call, clock)
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(20)
    }))

  it.effect("an interrupted call teaches nothing, and neither does a defect", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 1, maxQueued: 1 })
      const fiber = yield* Effect.fork(ConcurrencyLimit.apply(Effect.never, limit))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      yield* Effect.exit(ConcurrencyLimit.apply(Effect.die("bug"), limit))
      expect(yield* ConcurrencyLimit.stats(limit)).toEqual({ running: 0, queued: 0, maxConcurrent: 1, maxQueued: 1 })
    }))

  it.effect("who waits is let in as soon as the limit rises", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 1, maxQueued: 10 })
      const call = Effect.sleep("1 second").pipe(ConcurrencyLimit.apply(limit))
      const fiber = yield* Effect.fork(Effect.all(Array.from({ length: 6 }, () => call), { concurrency: 6 }))
      const running: Array<number> = []
      for (let i = 0; i < 4; i++) {
        yield* settled
        running.push((yield* ConcurrencyLimit.stats(limit)).running)
        yield* TestClock.adjust("1 second")
      }
      yield* Fiber.join(fiber)
      expect(running).toEqual([1, 2, 3, 0])
    }))

  it.effect("refuses as a bulkhead does, with the limit of the moment", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ name: "openai", initial: 1, maxQueued: 1, queueTimeout: "1 second" })
      yield* Effect.fork(ConcurrencyLimit.apply(Effect.never, limit))
      yield* settled
      const waiter = yield* Effect.fork(Effect.flip(ConcurrencyLimit.apply(Effect.void, limit)))
      yield* settled
      expect(yield* Effect.flip(ConcurrencyLimit.apply(Effect.void, limit)))
        .toMatchObject({ _tag: "BulkheadFull", name: "openai", maxConcurrent: 1, maxQueued: 1, reason: "full" })
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(waiter)).toMatchObject({ _tag: "TimedOut", phase: "queue" })
    }))

  it.effect("a call inside of a call is refused where it would wait for itself, also after the limit fell", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({
        initial: 2,
        maxQueued: 10,
        strategy: { kind: "aimd", backoffRatio: 0.5 }
      })
      const fail = Effect.fail(serverError).pipe(ConcurrencyLimit.apply(limit), Effect.ignore)
      const nested = Effect.zipRight(fail, ConcurrencyLimit.apply(Effect.void, limit)).pipe(
        ConcurrencyLimit.apply(limit)
      )
      expect(yield* Effect.flip(nested)).toMatchObject({ _tag: "BulkheadFull", reason: "reentrant" })
    }))

  it.effect("a gradient holds the limit where calls begin to slow down", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 10, ceiling: 400, strategy: "gradient", maxQueued: 1000 })
      const call = Effect.suspend(() =>
        Effect.sleep(`${100 * Math.max(1, Math.floor(limit.admission.pool.running / 20))} millis`)
      ).pipe(ConcurrencyLimit.apply(limit))
      const fiber = yield* Effect.fork(
        Effect.all(Array.from({ length: 400 }, () => call), { concurrency: "unbounded", discard: true })
      )
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(fiber)
      expect(yield* ConcurrencyLimit.limit(limit)).toBeGreaterThan(15)
      expect(yield* ConcurrencyLimit.limit(limit)).toBeLessThan(100)
    }))

  it.effect("tells the monitor when the limit moves", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const limit = yield* ConcurrencyLimit.make({ name: "openai", initial: 10 })
      yield* Effect.fail(serverError).pipe(
        ConcurrencyLimit.apply(limit),
        Effect.ignore,
        Effect.zipRight(ConcurrencyLimit.apply(Effect.void, limit)),
        Effect.provideService(Monitor.Monitor, monitor)
      )
      expect(yield* events).toEqual([
        { _tag: "ConcurrencyLimitChanged", at: 0, name: "openai", from: 10, to: 9 }
      ])
    }))

  it.effect("a strategy is data: JSON can say it", () =>
    Effect.gen(function*() {
      const written = JSON.stringify({ kind: "aimd", backoffRatio: 0.5, timeout: "30 seconds" })
      const strategy: ConcurrencyLimit.Strategy = JSON.parse(written)
      const limit = yield* ConcurrencyLimit.make({ strategy })
      expect(limit.cell.settings.strategy).toEqual({ kind: "aimd", backoffRatio: 0.5, timeout: 30_000 })
    }))

  it.effect("refuses options that can not work, all at once", () =>
    Effect.gen(function*() {
      const issuesOf = (options: ConcurrencyLimit.Options) =>
        Effect.map(Effect.flip(ConcurrencyLimit.make(options)), ({ issues }) =>
          issues.map(({ allowed, path }) => `${path}: ${allowed}`))
      expect(yield* issuesOf({ floor: 10, ceiling: 5 })).toEqual(["ceiling: at least floor, which is 10"])
      expect(yield* issuesOf({ initial: 300 })).toEqual(["initial: from floor, which is 1, to ceiling, which is 200"])
      expect(yield* issuesOf({ floor: 0, maxQueued: 0.5, queueTimeout: -1 })).toHaveLength(3)
      expect(yield* issuesOf({ strategy: { kind: "aimd", backoffRatio: 1, timeout: 0 } })).toEqual([
        "strategy.backoffRatio: a number from 0.01 to 0.99: what is left of the limit",
        expect.stringContaining("strategy.timeout: a duration above zero")
      ])
      expect(
        yield* issuesOf({ strategy: { kind: "gradient", tolerance: 2, smoothing: 0, queueSize: 0, remeasureEvery: 1 } })
      )
        .toHaveLength(4)
      for (const text of ["\"vegas\"", "{\"kind\":\"vegas\"}", "[]", "{\"kind\":\"aimd\",\"tolerance\":1}"]) {
        expect(yield* issuesOf({ strategy: JSON.parse(text) })).toHaveLength(1)
      }
    }))

  it.effect("resize brings the limit between new bounds, and keeps what was learned", () =>
    Effect.gen(function*() {
      const limit = yield* ConcurrencyLimit.make({ initial: 20, maxQueued: 5 })
      yield* Effect.ignore(Effect.fail(serverError).pipe(ConcurrencyLimit.apply(limit)))
      yield* ConcurrencyLimit.resize(limit, { ceiling: 100 })
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(18)
      yield* ConcurrencyLimit.resize(limit, { ceiling: 10, maxQueued: 0 })
      expect(yield* ConcurrencyLimit.stats(limit)).toMatchObject({ maxConcurrent: 10, maxQueued: 0 })
      yield* ConcurrencyLimit.resize(limit, { floor: 30, ceiling: 40 })
      expect(yield* ConcurrencyLimit.limit(limit)).toBe(30)
      expect((yield* Effect.flip(ConcurrencyLimit.resize(limit, { ceiling: 5 }))).issues[0])
        .toMatchObject({ path: "ceiling", allowed: "at least floor, which is 30" })
    }))

  it.effect("starts within its bounds when only those are given", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flatMap(ConcurrencyLimit.make({ ceiling: 5 }), ConcurrencyLimit.limit)).toBe(5)
      expect(yield* Effect.flatMap(ConcurrencyLimit.make({ floor: 500 }), ConcurrencyLimit.limit)).toBe(500)
    }))

  it.effect("is a service, describes itself, and names its defaults", () =>
    Effect.gen(function*() {
      const { ceiling, floor, initial, maxQueued, name, strategies, strategy } = ConcurrencyLimit.defaults
      expect({ ceiling, floor, initial, maxQueued, name, strategy })
        .toEqual({ ceiling: 200, floor: 1, initial: 20, maxQueued: 0, name: "concurrency limit", strategy: "aimd" })
      expect(strategies).toEqual({
        aimd: { kind: "aimd", backoffRatio: 0.9, timeout: 60_000 },
        gradient: {
          kind: "gradient",
          backoffRatio: 0.9,
          tolerance: 1.5,
          smoothing: 0.2,
          queueSize: 4,
          remeasureEvery: 600
        }
      })
      expect(ConcurrencyLimit.describe(yield* ConcurrencyLimit.ConcurrencyLimit)).toBe(
        "openai: 1 to 200 calls (20 now; aimd: times 0.9 on overload or after 1m) at a time, none waiting"
      )
      expect(ConcurrencyLimit.describe(yield* ConcurrencyLimit.make({ strategy: "gradient" }))).toContain("1.5 times")
    }).pipe(Effect.provide(ConcurrencyLimit.layer({ name: "openai" }))))

  it("interrupted at any operation it leaks nothing", () => {
    for (const contended of [false, true]) {
      for (let k = 0; k <= 60; k++) {
        for (let steps = 0; steps < 8; steps++) {
          const bench = Sweep.make()
          const limit = Effect.runSync(ConcurrencyLimit.make({ initial: 1, maxQueued: 2 }))
          const holder = contended ? bench.start(ConcurrencyLimit.apply(Effect.never, limit)) : undefined
          const target = bench.start(ConcurrencyLimit.apply(Effect.zipRight(Effect.void, Effect.void), limit), k)
          holder?.unsafeInterruptAsFork(holder.id())
          bench.step(steps)
          target.unsafeInterruptAsFork(target.id())
          bench.drain()
          expect(Effect.runSync(ConcurrencyLimit.stats(limit)), `operation ${k}`).toMatchObject({
            running: 0,
            queued: 0
          })
          expect(target.unsafePoll()).not.toBeNull()
        }
      }
    }
  })
})
