import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as Timeout from "../../src/policy/Timeout.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { jumpingClock } from "./support/jumpingClock.ts"
import * as Sweep from "./support/sweep.ts"

/** A call that notes when it starts and runs until it is told to end. */
const call = (log: Array<string>, name: string) =>
  Effect.map(Deferred.make<void>(), (gate) => ({
    run: Effect.zipRight(Effect.sync(() => log.push(name)), Deferred.await(gate)),
    end: Deferred.succeed(gate, undefined)
  }))

const settled = Effect.yieldNow().pipe(Effect.repeatN(20))

describe("Bulkhead", () => {
  it.effect("runs as many as allowed, queues as many as allowed, refuses the rest", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "openai", maxConcurrent: 2, maxQueued: 3 })
      const log: Array<string> = []
      const calls = yield* Effect.forEach(["a", "b", "c", "d", "e"], (name) => call(log, name))
      const fibers = yield* Effect.forEach(calls, ({ run }) => Effect.fork(Bulkhead.apply(run, bulkhead)))
      yield* settled
      expect(yield* Bulkhead.stats(bulkhead)).toEqual({ running: 2, queued: 3, maxConcurrent: 2, maxQueued: 3 })
      const refused = yield* Effect.flip(Effect.void.pipe(Bulkhead.apply(bulkhead)))
      expect(refused).toMatchObject({
        _tag: "BulkheadFull",
        name: "openai",
        maxConcurrent: 2,
        maxQueued: 3,
        reason: "full"
      })
      for (const { end } of calls) yield* end
      yield* Fiber.joinAll(fibers)
      expect(log).toEqual(["a", "b", "c", "d", "e"])
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    }))

  it.effect("nobody waits where the queue is left out", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1 })
      const fiber = yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      const refused = yield* Effect.flip(Bulkhead.apply(Effect.void, bulkhead))
      expect(refused.message).toBe(
        "Bulkhead \"bulkhead\" is full: 1 running, 0 queued. Send less at a time, or raise its limits."
      )
      yield* Fiber.interrupt(fiber)
      yield* Bulkhead.apply(Effect.void, bulkhead)
    }))

  it.effect("a newcomer never overtakes a waiter, even in the tick in which a call ends", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 5 })
      const log: Array<string> = []
      const newcomer = Effect.sync(() => log.push("newcomer")).pipe(Bulkhead.apply(bulkhead))
      const first = Effect.sync(() => log.push("first")).pipe(
        Effect.zipRight(settled),
        Bulkhead.apply(bulkhead),
        // In the very fiber that gave its permit back, at once.
        Effect.zipRight(newcomer)
      )
      const one = yield* Effect.fork(first)
      yield* Effect.yieldNow()
      const two = yield* Effect.fork(Effect.sync(() => log.push("waiter")).pipe(Bulkhead.apply(bulkhead)))
      yield* Fiber.joinAll([one, two])
      expect(log).toEqual(["first", "waiter", "newcomer"])
    }))

  it.effect("passes success, failure and defect through, and is free after each", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1 })
      expect(yield* Bulkhead.apply(Effect.succeed(1), bulkhead)).toBe(1)
      expect(yield* Effect.exit(Bulkhead.apply(Effect.fail("no"), bulkhead))).toEqual(Exit.fail("no"))
      expect(yield* Effect.exit(Bulkhead.apply(Effect.die("bug"), bulkhead))).toEqual(Exit.die("bug"))
      expect(yield* Effect.exit(Bulkhead.apply(Effect.interrupt, bulkhead))).toSatisfy(Exit.isInterrupted)
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    }))

  it("does not suspend where there is room", () => {
    const bulkhead = Effect.runSync(Bulkhead.make({ maxConcurrent: 1, maxQueued: 5, queueTimeout: "1 second" }))
    expect(Effect.runSync(Bulkhead.apply(Effect.succeed(1), bulkhead))).toBe(1)
  })

  it.effect("a call that waits too long fails with TimedOut, and never gets a permit later", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 5, queueTimeout: "5 seconds" })
      const log: Array<string> = []
      const first = yield* call(log, "first")
      const running = yield* Effect.fork(Bulkhead.apply(first.run, bulkhead))
      yield* settled
      const late = yield* Effect.fork(Effect.flip(Bulkhead.apply(Effect.sync(() => log.push("late")), bulkhead)))
      yield* TestClock.adjust("3 seconds")
      const patient = yield* Effect.fork(Bulkhead.apply(Effect.sync(() => log.push("patient")), bulkhead))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(late)).toMatchObject({
        _tag: "TimedOut",
        phase: "queue",
        limit: Duration.seconds(5)
      })
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1, queued: 1 })
      yield* TestClock.adjust("2 seconds")
      yield* first.end
      yield* Fiber.join(running)
      yield* Fiber.join(patient)
      expect(log).toEqual(["first", "patient"])
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    }))

  it.effect("everybody's own time counts, in a queue that empties and fills again", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 9, queueTimeout: "5 seconds" })
      const blocker = yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      const gone = yield* Effect.fork(Bulkhead.apply(Effect.void, bulkhead))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.interrupt(gone)
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ queued: 0 })
      const late = yield* Effect.fork(Effect.flip(Bulkhead.apply(Effect.void, bulkhead)))
      yield* TestClock.adjust("4 seconds")
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ queued: 1 })
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(late))._tag).toBe("TimedOut")
      yield* Fiber.interrupt(blocker)
      expect(bulkhead.admission.sweepers.size).toBe(0)
    }))

  it.effect("an interrupted waiter leaves at once, an interrupted call gives its permit to the next", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 1 })
      const running = yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      const waiter = yield* Effect.fork(Bulkhead.apply(Effect.void, bulkhead))
      yield* settled
      yield* Fiber.interrupt(waiter)
      const next = yield* Effect.fork(Bulkhead.apply(Effect.succeed("ran"), bulkhead))
      yield* settled
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1, queued: 1 })
      yield* Fiber.interrupt(running)
      expect(yield* Fiber.join(next)).toBe("ran")
    }))

  it.effect("holds the permit until the work has really ended when the time-out is outside", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1 })
      const stubborn = Effect.uninterruptible(Effect.sleep("10 seconds")).pipe(Bulkhead.apply(bulkhead))
      const fiber = yield* Effect.fork(Effect.timeout(Effect.disconnect(stubborn), "1 second"))
      yield* TestClock.adjust("1 second")
      expect(Exit.isFailure(yield* Fiber.await(fiber))).toBe(true)
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1 })
      yield* TestClock.adjust("9 seconds")
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0 })
    }))

  describe("a call inside of a call", () => {
    it.effect("is refused where it would wait for itself", () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ name: "openai", maxConcurrent: 1, maxQueued: 10 })
        const nested = Effect.succeed(1).pipe(Bulkhead.apply(bulkhead), Bulkhead.apply(bulkhead))
        const refused = yield* Effect.flip(nested)
        expect(refused).toMatchObject({ _tag: "BulkheadFull", reason: "reentrant" })
        expect(refused.message).toContain("it would wait for itself")
        expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
      }))

    it.effect("takes a second permit where there is one", () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ maxConcurrent: 2, maxQueued: 10 })
        const nested = Bulkhead.stats(bulkhead).pipe(Bulkhead.apply(bulkhead), Bulkhead.apply(bulkhead))
        expect(yield* nested).toMatchObject({ running: 2 })
      }))

    it.effect("is known in the fibers it forks", () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 10 })
        const inner = Effect.flatMap(Effect.fork(Bulkhead.apply(Effect.void, bulkhead)), Fiber.join)
        expect(yield* Effect.flip(Bulkhead.apply(inner, bulkhead))).toMatchObject({ reason: "reentrant" })
      }))

    it.effect("is known through what runs it beside others: all, race, a time-out, a fiber that is joined", () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 10 })
        const nested = Bulkhead.apply(Effect.void, bulkhead)
        const ways: { readonly [name: string]: Effect.Effect<unknown, unknown> } = {
          all: Effect.all([nested, Effect.void], { concurrency: 2 }),
          race: Effect.raceFirst(nested, Effect.never),
          timeout: Effect.timeout(nested, "1 minute"),
          ours: Timeout.apply(nested, yield* Timeout.make({ limit: "1 minute" })),
          hedge: Hedge.apply(nested, yield* Hedge.make({ delay: "1 minute", budget: "none" })),
          joined: Effect.flatMap(Effect.fork(Effect.delay(nested, "1 second")), Fiber.join),
          deep: Effect.flatMap(Effect.fork(Effect.all([nested, Effect.void], { concurrency: 2 })), Fiber.join),
          daemon: Effect.flatMap(Effect.forkDaemon(Effect.delay(nested, "1 second")), Fiber.join)
        }
        for (const [name, way] of Object.entries(ways)) {
          const outer = yield* Effect.fork(Effect.flip(Bulkhead.apply(way, bulkhead)))
          yield* TestClock.adjust("2 seconds")
          expect(outer.unsafePoll(), name).not.toBeNull()
          expect(yield* Fiber.join(outer), name).toMatchObject({ reason: "reentrant" })
        }
      }))

    it.effect("a daemon that it starts is none of it, and waits like anybody", () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 10 })
        const log: Array<string> = []
        const note = (name: string) => Effect.sync(() => void log.push(name)).pipe(Bulkhead.apply(bulkhead))
        for (const rest of [Effect.sleep("3 seconds"), Effect.timeout(Effect.sleep("3 seconds"), "1 minute")]) {
          const outer = yield* Effect.fork(
            Effect.zipLeft(Effect.forkDaemon(note("daemon")), rest).pipe(Bulkhead.apply(bulkhead))
          )
          yield* TestClock.adjust("1 second")
          expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1, queued: 1 })
          yield* TestClock.adjust("2 seconds")
          const daemon = yield* Fiber.join(outer)
          yield* Fiber.join(daemon)
        }
        expect(log).toEqual(["daemon", "daemon"])
      }))

    it.effect("a fiber that outlives the call it came from is a newcomer like any other", () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 10 })
        const late = Effect.delay(Bulkhead.apply(Effect.succeed("ran"), bulkhead), "1 second")
        const fiber = yield* Bulkhead.apply(Effect.forkDaemon(late), bulkhead)
        const blocker = yield* Effect.fork(Bulkhead.apply(Effect.sleep("3 seconds"), bulkhead))
        yield* TestClock.adjust("3 seconds")
        expect(yield* Fiber.join(fiber)).toBe("ran")
        yield* Fiber.join(blocker)
      }))

    it.effect("many such calls at a time never hang: some are refused, all end", () =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make({ maxConcurrent: 3, maxQueued: 100 })
        const inner = Effect.sleep("1 second").pipe(Bulkhead.apply(bulkhead))
        const nested = Effect.zipRight(Effect.sleep("1 second"), inner).pipe(Bulkhead.apply(bulkhead), Effect.exit)
        const fiber = yield* Effect.fork(Effect.all(Array.from({ length: 20 }, () => nested), { concurrency: 20 }))
        yield* TestClock.adjust("2 minutes")
        const exits = yield* Fiber.join(fiber)
        expect(exits.filter(Exit.isSuccess).length).toBeGreaterThan(0)
        expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
      }))
  })

  describe("a queue with priorities", () => {
    /** Calls of these priorities wait; gives the order in which they ran. */
    const ordered = (options: Bulkhead.Options, priorities: ReadonlyArray<number>) =>
      Effect.gen(function*() {
        const bulkhead = yield* Bulkhead.make(options)
        const log: Array<string> = []
        const holder = yield* call(log, "holder")
        const fibers = [yield* Effect.fork(Bulkhead.apply(holder.run, bulkhead))]
        yield* settled
        for (const priority of priorities) {
          fibers.push(
            yield* Effect.sync(() => log.push(String(priority))).pipe(
              Bulkhead.apply(bulkhead),
              Effect.provideService(Bulkhead.Priority, priority),
              Effect.asVoid,
              Effect.fork
            )
          )
          yield* TestClock.adjust("1 second")
        }
        yield* holder.end
        yield* Fiber.joinAll(fibers)
        return log.slice(1)
      })

    it.effect("lets the higher go first, and whoever waits gains a step for each ageing", () =>
      Effect.gen(function*() {
        const options = { maxConcurrent: 1, maxQueued: 9, priorityAgeing: "10 seconds" } as const
        expect(yield* ordered(options, [0, 3, -1, 3, 0])).toEqual(["3", "3", "0", "0", "-1"])
        expect(yield* ordered({ ...options, priorityAgeing: "1 second" }, [0, 1, 3])).toEqual(["3", "0", "1"])
      }))

    it.effect("is off where the options have no ageing", () =>
      Effect.gen(function*() {
        expect(yield* ordered({ maxConcurrent: 1, maxQueued: 9 }, [0, 3, -1])).toEqual(["0", "3", "-1"])
      }))

    it.effect("takes a priority that is none for the nearest that is", () =>
      Effect.gen(function*() {
        const options = { maxConcurrent: 1, maxQueued: 9, priorityAgeing: "10 seconds" } as const
        expect(yield* ordered(options, [NaN, -Infinity, 1e9, 0.2, 101])).toEqual([
          "1000000000",
          "101",
          "NaN",
          "0.2",
          "-Infinity"
        ])
      }))

    it.effect("is refused where nobody waits", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Bulkhead.make({ maxConcurrent: 1, priorityAgeing: "1 second" }))
        expect(error.issues).toMatchObject([{ path: "priorityAgeing", allowed: expect.stringContaining("maxQueued") }])
      }))
  })

  it.effect("each waiter's own clock decides how long it waits", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 5, queueTimeout: "5 seconds" })
      const holder = yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
      yield* settled
      const { clock: still } = yield* jumpingClock
      const standing = { ...still, unsafeCurrentTimeNanos: () => 0n, sleep: () => Effect.never }
      const patient = yield* Effect.fork(Effect.withClock(Bulkhead.apply(Effect.void, bulkhead), standing))
      yield* settled
      const late = yield* Effect.fork(Effect.flip(Bulkhead.apply(Effect.void, bulkhead)))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(late)).toMatchObject({ _tag: "TimedOut", phase: "queue" })
      expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 1, queued: 1 })
      yield* Fiber.interrupt(holder)
      yield* Fiber.join(patient)
      expect(bulkhead.admission.sweepers.size).toBe(0)
    }))

  it.effect("a system clock that is set back or forth changes no wait", () =>
    Effect.gen(function*() {
      for (const millis of [-86_400_000, 86_400_000]) {
        const { clock, jump } = yield* jumpingClock
        const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 5, queueTimeout: "5 seconds" })
        const holder = yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
        yield* settled
        const late = yield* Effect.fork(Effect.withClock(Effect.flip(Bulkhead.apply(Effect.void, bulkhead)), clock))
        yield* settled
        yield* jump(millis)
        yield* TestClock.adjust("4999 millis")
        expect(late.unsafePoll()).toBeNull()
        yield* TestClock.adjust("1 millis")
        expect((yield* Fiber.join(late))._tag).toBe("TimedOut")
        yield* Fiber.interrupt(holder)
      }
    }))

  it.effect("resize lets in who waits, and above a lower limit nobody", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 5 })
      const log: Array<string> = []
      const calls = yield* Effect.forEach(["a", "b", "c"], (name) => call(log, name))
      yield* Effect.forEach(calls, ({ run }) => Effect.fork(Bulkhead.apply(run, bulkhead)))
      yield* settled
      yield* Bulkhead.resize(bulkhead, { maxConcurrent: 3 })
      yield* settled
      expect(log).toEqual(["a", "b", "c"])
      yield* Bulkhead.resize(bulkhead, { maxConcurrent: 1, maxQueued: 0 })
      yield* calls[0]?.end ?? Effect.void
      yield* settled
      expect(yield* Bulkhead.stats(bulkhead)).toEqual({ running: 2, queued: 0, maxConcurrent: 1, maxQueued: 0 })
      expect((yield* Effect.flip(Bulkhead.apply(Effect.void, bulkhead)))._tag).toBe("BulkheadFull")
      expect((yield* Effect.flip(Bulkhead.resize(bulkhead, { maxConcurrent: 0 }))).issues[0]?.path)
        .toBe("maxConcurrent")
    }))

  it.effect("tells the monitor of refusals, and of nothing else", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1, maxQueued: 1, queueTimeout: "1 second" })
      yield* Effect.gen(function*() {
        yield* Bulkhead.apply(Effect.void, bulkhead)
        yield* Effect.fork(Bulkhead.apply(Effect.never, bulkhead))
        yield* settled
        yield* Effect.fork(Bulkhead.apply(Effect.void, bulkhead))
        yield* settled
        yield* Effect.ignore(Bulkhead.apply(Effect.void, bulkhead))
        yield* TestClock.adjust("1 second")
      }).pipe(Effect.provideService(Monitor.Monitor, monitor))
      expect(yield* events).toMatchObject([
        { _tag: "BulkheadRefused", at: 0, name: "b", reason: "full", running: 1, queued: 1 },
        { _tag: "TimedOut", at: 1_000, name: "b", phase: "queue", limit: Duration.seconds(1) }
      ])
    }))

  it.effect("refuses options that can not work, all at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Bulkhead.make({ name: " ", maxConcurrent: 0, maxQueued: -1, queueTimeout: 0 })
      )
      expect(error.issues.map(({ path }) => path)).toEqual(["name", "maxConcurrent", "maxQueued", "queueTimeout"])
      const unused = yield* Effect.flip(Bulkhead.make({ maxConcurrent: 1, queueTimeout: "1 second" }))
      expect(unused.message).toContain("queueTimeout (found \"1 second\"); allowed: nothing while maxQueued is 0")
      const written: Bulkhead.Options = JSON.parse("{\"maxConcurrent\":1,\"maxQueue\":5}")
      expect((yield* Effect.flip(Bulkhead.make(written))).issues[0]?.path).toBe("maxQueue")
    }))

  it.effect("is a service, describes itself, and names its defaults", () =>
    Effect.gen(function*() {
      expect(Bulkhead.defaults).toEqual({ name: "bulkhead", maxQueued: 0 })
      expect(Bulkhead.describe(yield* Bulkhead.Bulkhead)).toBe("openai: 2 calls at a time, 5 waiting, for 3s at most")
      expect(Bulkhead.describe(yield* Bulkhead.make({ maxConcurrent: 1 })))
        .toBe("bulkhead: 1 call at a time, none waiting")
    }).pipe(
      Effect.provide(
        Bulkhead.layer({ name: "openai", maxConcurrent: 2, maxQueued: 5, queueTimeout: "3 seconds" })
      )
    ))
})

const kinds = [
  ["a queue", { maxConcurrent: 1, maxQueued: 3 }],
  ["a queue with a time-out", { maxConcurrent: 1, maxQueued: 3, queueTimeout: "1 hour" }]
] as const

describe.each(kinds)("interrupted at any operation, with %s, it leaks nothing", (_, options) => {
  const operations = Array.from({ length: 61 }, (_, k) => k)
  const work = Effect.zipRight(Effect.void, Effect.void)
  const kill = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => fiber.unsafeInterruptAsFork(fiber.id())

  it("uncontended", () => {
    const parked = operations.filter((k) => {
      const bench = Sweep.make()
      const bulkhead = Effect.runSync(Bulkhead.make(options))
      const target = bench.start(Bulkhead.apply(work, bulkhead), k)
      const parked = bench.parked()
      kill(target)
      bench.drain()
      expect(Effect.runSync(Bulkhead.stats(bulkhead)), `operation ${k}`).toMatchObject({ running: 0, queued: 0 })
      return parked
    })
    expect(parked.length).toBeGreaterThanOrEqual(5)
  })

  /** A call parked at operation `k` while another one holds the permit, with a neighbour before and one behind it. */
  const contended = (
    k: number,
    neighbours: boolean,
    meet: (bench: Sweep.Bench, interrupt: () => void, free: () => void) => void
  ): boolean => {
    const bench = Sweep.make()
    const bulkhead = Effect.runSync(Bulkhead.make(options))
    const holder = bench.start(Bulkhead.apply(Effect.never, bulkhead))
    const before = neighbours ? bench.start(Bulkhead.apply(work, bulkhead)) : undefined
    const target = bench.start(Bulkhead.apply(work, bulkhead), k)
    const parked = bench.parked()
    const behind = neighbours ? bench.start(Bulkhead.apply(work, bulkhead)) : undefined
    meet(bench, () => kill(target), () => kill(holder))
    bench.drain()
    expect(Effect.runSync(Bulkhead.stats(bulkhead)), `operation ${k}`).toMatchObject({ running: 0, queued: 0 })
    expect(target.unsafePoll(), `operation ${k}`).not.toBeNull()
    for (const each of [before, behind]) {
      if (each !== undefined) expect(each.unsafePoll(), `operation ${k}`).toEqual(Exit.void)
    }
    expect(bulkhead.admission.sweepers.size).toBe(0)
    return parked
  }

  it.each([true, false])("while somebody else holds the permit (neighbours: %s)", (neighbours) => {
    const parked = operations.filter((k) =>
      contended(k, neighbours, (bench, interrupt, free) => {
        interrupt()
        bench.drain()
        free()
      })
    )
    expect(parked.length).toBeGreaterThanOrEqual(neighbours ? 5 : 8)
  })

  it.each([true, false])("any number of steps after the permit came free (neighbours: %s)", (neighbours) => {
    for (const k of operations) {
      for (let steps = 0; steps < 10; steps++) {
        contended(k, neighbours, (bench, interrupt, free) => {
          free()
          bench.step(steps)
          interrupt()
        })
      }
    }
  })

  it.each([true, false])("any number of steps before the permit comes free (neighbours: %s)", (neighbours) => {
    for (const k of operations) {
      for (let steps = 0; steps < 6; steps++) {
        contended(k, neighbours, (bench, interrupt, free) => {
          bench.step(steps)
          interrupt()
          bench.step(steps)
          free()
        })
      }
    }
  })
})
