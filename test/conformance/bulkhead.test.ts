import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Sweep from "../policy/support/sweep.ts"
import { growth, steepest } from "../straightLine.ts"

const fixtures = process.env["FIXTURES"] ?? "../shared/fixtures"
const file = join(fixtures, "resilience", "bulkhead-hedge-timeout.json")

const Row = Schema.Struct({
  name: Schema.String,
  config: Schema.optional(Schema.Struct({
    max: Schema.Int,
    queue: Schema.optional(Schema.Int),
    maxWaitMs: Schema.optional(Schema.Int)
  })),
  expectOrder: Schema.optional(Schema.Array(Schema.String)),
  expectC: Schema.optional(Schema.String)
})
const Rows = Schema.Struct({ bulkhead: Schema.Array(Row) })
type Row = typeof Row.Type

const settled = Effect.yieldNow().pipe(Effect.repeatN(20))

const configOf = (row: Row) => ({ maxConcurrent: row.config?.max ?? 1, maxQueued: row.config?.queue ?? 1 })

/** Each row of the table as a run; its name says what must hold. */
const runs: Readonly<Record<string, (row: Row) => Effect.Effect<void, unknown>>> = {
  "FIFO: queued caller runs before a later arrival": (row) =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make(configOf(row))
      const order: Array<string> = []
      const done = yield* Deferred.make<void>()
      const run = (name: string) => Effect.sync(() => order.push(name)).pipe(Bulkhead.apply(bulkhead))
      const a = yield* Effect.fork(
        Effect.sync(() => order.push("A")).pipe(
          Effect.zipRight(Deferred.await(done)),
          Bulkhead.apply(bulkhead),
          // C arrives in the very tick in which A ends.
          Effect.zipRight(Effect.exit(run("C")))
        )
      )
      yield* settled
      const b = yield* Effect.fork(run("B"))
      yield* settled
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(b)
      yield* Fiber.join(a)
      expect(order.slice(0, 2)).toEqual(row.expectOrder)
    }),

  "interrupting a queued caller frees its queue slot at once": (row) =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make(configOf(row))
      yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      const b = yield* Effect.fork(Bulkhead.apply(Effect.void, bulkhead))
      yield* settled
      yield* Fiber.interrupt(b)
      const c = yield* Effect.fork(Bulkhead.apply(Effect.void, bulkhead))
      yield* settled
      expect(c.unsafePoll() === null ? "queued" : "rejected").toBe(row.expectC)
      expect((yield* Bulkhead.stats(bulkhead)).queued).toBe(1)
    }),

  "a waiter that times out never consumes a permit later": (row) =>
    Effect.gen(function*() {
      const { maxConcurrent } = configOf(row)
      const bulkhead = yield* Bulkhead.make({
        maxConcurrent,
        maxQueued: maxConcurrent,
        queueTimeout: row.config?.maxWaitMs ?? 10
      })
      const done = yield* Deferred.make<void>()
      const all = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.fork(Effect.all(Array.from({ length: maxConcurrent }, () => effect), { concurrency: "unbounded" }))
      const running = yield* all(Bulkhead.apply(Deferred.await(done), bulkhead))
      yield* settled
      const late = yield* all(Effect.flip(Bulkhead.apply(Effect.void, bulkhead)))
      yield* TestClock.adjust(row.config?.maxWaitMs ?? 10)
      expect((yield* Fiber.join(late)).map(({ _tag }) => _tag)).toEqual(Array(maxConcurrent).fill("TimedOut"))
      yield* Deferred.succeed(done, undefined)
      yield* Fiber.join(running)
      yield* all(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: maxConcurrent, queued: 0 })
    }),

  "cancellation after start returns the permit exactly once": () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 3 })
      const fibers = yield* Effect.replicateEffect(Effect.fork(Bulkhead.apply(Effect.never, bulkhead)), 3)
      yield* settled
      for (const fiber of fibers) {
        yield* Fiber.interrupt(fiber)
        yield* Fiber.interrupt(fiber)
      }
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0, maxConcurrent: 3 })
    }),

  "permit is held while timed-out work is still running (true concurrency limit)": () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 5 })
      let running = 0
      let most = 0
      const work = Effect.sync(() => most = Math.max(most, ++running)).pipe(
        Effect.zipRight(Effect.sleep("300 millis")),
        Effect.zipRight(Effect.sync(() => running--)),
        Effect.uninterruptible,
        Bulkhead.apply(bulkhead),
        Effect.disconnect,
        Effect.timeout("20 millis"),
        Effect.exit
      )
      const fiber = yield* Effect.fork(Effect.replicateEffect(work, 3))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      expect(most).toBe(1)
    }),

  "10 000 waiters on 100 permits is linear": () =>
    Effect.sync(() => {
      /** How often a fiber was woken while so many go through. */
      const wakeUps = (count: number): number => {
        let tasks = 0
        const sync = new Scheduler.SyncScheduler()
        const scheduler: Scheduler.Scheduler = {
          shouldYield: (fiber) => sync.shouldYield(fiber),
          scheduleTask: (task, priority, fiber) => {
            tasks++
            sync.scheduleTask(task, priority, fiber)
          }
        }
        const bulkhead = Effect.runSync(Bulkhead.make({ maxConcurrent: 100, maxQueued: count }))
        const crowd = Effect.forEach(
          Array.from({ length: count }),
          () => Bulkhead.apply(Effect.yieldNow(), bulkhead),
          { concurrency: "unbounded", discard: true }
        )
        const fiber = Effect.runFork(crowd, { scheduler })
        sync.flush()
        expect(fiber.unsafePoll()).toEqual(Exit.void)
        expect(Effect.runSync(Bulkhead.stats(bulkhead))).toMatchObject({ running: 0, queued: 0 })
        return tasks
      }
      const [few, many] = [wakeUps(1_250), wakeUps(10_000)]
      console.log(`${few} wake-ups of 1 250 waiters, ${many} of 10 000`)
      expect(many).toBeLessThan(9 * few)
      expect(many).toBeLessThan(10 * 10_000)
      // Nor does one wake-up cost more when more of them wait.
      expect(growth((count) => () => void wakeUps(count), 1_250)).toBeLessThan(steepest)
    }),

  "sweep: interrupt at every operation of acquire": () =>
    Effect.sync(() => {
      for (const contended of [false, true]) {
        for (let k = 0; k <= 60; k++) {
          const bench = Sweep.make()
          const bulkhead = Effect.runSync(Bulkhead.make({ maxConcurrent: 1, maxQueued: 1 }))
          const holder = contended ? bench.start(Bulkhead.apply(Effect.never, bulkhead)) : undefined
          const target = bench.start(Bulkhead.apply(Effect.void, bulkhead), k)
          target.unsafeInterruptAsFork(target.id())
          bench.drain()
          expect(Effect.runSync(Bulkhead.stats(bulkhead)), `operation ${k}`)
            .toMatchObject({ running: contended ? 1 : 0, queued: 0 })
          holder?.unsafeInterruptAsFork(holder.id())
          bench.drain()
          expect(Effect.runSync(Bulkhead.stats(bulkhead)).running, `operation ${k}`).toBe(0)
        }
      }
    })
}

/** Rows that say something about a library that ours can not do wrong. */
const notApplicable: Readonly<Record<string, string>> = {
  "request for more permits than capacity fails fast": "a call takes one permit, there is no way to ask for more"
}

describe.skipIf(!existsSync(file))("bulkhead pitfalls seen in other libraries", () => {
  const { bulkhead } = existsSync(file)
    ? Schema.decodeUnknownSync(Rows)(JSON.parse(readFileSync(file, "utf8")))
    : { bulkhead: [] }

  it.each(bulkhead.map((row) => [row.name, row] as const))("%s", async (name, row) => {
    const run = runs[name]
    if (run === undefined) {
      expect(notApplicable[name], "a row that nobody runs").toBeDefined()
      console.log(`bulkhead-hedge-timeout.json: "${name}" does not apply: ${notApplicable[name]}`)
    } else {
      await Effect.runPromise(Effect.provide(run(row), TestContext.TestContext))
    }
  })
})

if (!existsSync(file)) console.log(`skipped: ${file} is absent (set FIXTURES)`)
