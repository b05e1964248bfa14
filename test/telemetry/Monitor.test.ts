import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Timeout from "../../src/policy/Timeout.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

const retried = (attempt: number): Event.Event =>
  Event.Retried({ at: 0, name: "retry", attempt, elapsed: Duration.zero, delay: Duration.zero, error: "down" })
const timedOut = Event.TimedOut({ at: 0, name: "timeout", phase: "attempt", limit: Duration.seconds(1) })

const attemptsOf = (events: Iterable<Event.Event>): ReadonlyArray<number> =>
  Array.from(events).filter(Event.is("Retried")).map((event) => event.attempt)

describe("Monitor", () => {
  it.effect("is silent by default, and asks for nothing to be provided", () =>
    Effect.gen(function*() {
      expect(yield* Monitor.Monitor).toBe(Monitor.silent)
      yield* Monitor.emit(timedOut)
    }))

  it.effect("a sink is told every event, in order", () =>
    Effect.gen(function*() {
      const told: Array<Event.Event> = []
      const sink = Monitor.make((event) => Effect.sync(() => void told.push(event)))
      yield* Effect.all([Monitor.emit(retried(1)), Monitor.emit(timedOut), Monitor.emit(retried(2))]).pipe(
        Effect.provide(Monitor.layer(sink))
      )
      expect(told).toEqual([retried(1), timedOut, retried(2)])
    }))

  it.effect("hooks are told their own events, and no others", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      yield* Effect.all([
        Monitor.emit(retried(3)),
        Monitor.emit(timedOut),
        Monitor.emit(Event.Reasked({
          at: 0,
          name: "loop",
          reask: 1
        }))
      ]).pipe(
        Effect.provide(Monitor.layerHooks({
          onRetried: (event) => Effect.sync(() => told.push(`attempt ${event.attempt}`)),
          onTimedOut: (event) => Effect.sync(() => told.push(event.phase))
        }))
      )
      expect(told).toEqual(["attempt 3", "attempt"])
    }))

  it.effect("a recorder keeps everything", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      expect(yield* events).toEqual([])
      yield* Effect.forEach([1, 2, 3], (attempt) => Monitor.emit(retried(attempt))).pipe(
        Effect.provide(Monitor.layer(monitor))
      )
      expect(attemptsOf(yield* events)).toEqual([1, 2, 3])
    }))

  it.effect("both are told, and the second even if the first one breaks", () =>
    Effect.gen(function*() {
      const first = yield* Monitor.recorder
      const second = yield* Monitor.recorder
      const breaking = Monitor.make(() => Effect.die("broken"))
      const all = Monitor.both(Monitor.both(first.monitor, breaking), second.monitor)
      yield* Monitor.emit(retried(1)).pipe(Effect.provide(Monitor.layer(all)))
      expect(attemptsOf(yield* first.events)).toEqual([1])
      expect(attemptsOf(yield* second.events)).toEqual([1])
    }))

  it.effect("a sink that breaks in any way changes nothing for the call", () =>
    Effect.gen(function*() {
      const sinks: ReadonlyArray<Monitor.Service> = [
        Monitor.make(() => Effect.die("broken")),
        Monitor.make(() => Effect.interrupt),
        Monitor.make(() =>
          Effect.flatMap(Effect.void, () => {
            throw new Error("broken")
          })
        ),
        Monitor.make(() => {
          throw new Error("broken")
        }),
        Monitor.fromHooks({
          onTimedOut: () => {
            throw new Error("broken")
          }
        })
      ]
      for (const sink of sinks) {
        const exit = yield* Effect.exit(Effect.provide(Effect.as(Monitor.emit(timedOut), "done"), Monitor.layer(sink)))
        expect(exit).toEqual(Exit.succeed("done"))
      }
    }))
})

/** What is logged while it runs. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.as(Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)), lines)
  })

describe("A monitor that waits", () => {
  it.effect("does not hold the call up, not even where that cannot be interrupted", () =>
    Effect.gen(function*() {
      for (const wait of [Effect.never, Effect.uninterruptible(Effect.never), Effect.sleep("1 hour")]) {
        const report = Effect.as(Monitor.emit(timedOut), "done")
        for (const call of [report, Effect.uninterruptible(report)]) {
          const sink = Monitor.layer(Monitor.make(() => wait))
          expect(yield* Effect.all([call, call]).pipe(Effect.provide(sink))).toEqual(["done", "done"])
        }
      }
    }))

  it.effect("ends a call with a total time-out no later", () =>
    Effect.gen(function*() {
      const timeout = yield* Timeout.make({ limit: "2 seconds" })
      const call = Effect.repeatN(Monitor.emit(timedOut), 9).pipe(
        Effect.zipRight(Effect.never),
        Timeout.apply(timeout),
        Effect.provide(Monitor.layer(Monitor.make(() => Effect.uninterruptible(Effect.sleep("1 hour")))))
      )
      const fiber = yield* Effect.fork(Effect.flip(call))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "TimedOut" })
    }))

  it.effect("gets its events in order, one after the other", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const sink = Monitor.make((event) =>
        Effect.sync(() => void told.push(`begins ${event.at}`)).pipe(
          Effect.zipRight(Effect.sleep("1 second")),
          Effect.zipRight(Effect.sync(() => void told.push(`ends ${event.at}`)))
        )
      )
      yield* Effect.forEach([1, 2, 3], (at) => Monitor.emit(Event.ConfigSwapped({ at, name: "p" }))).pipe(
        Effect.provide(Monitor.layer(sink))
      )
      expect(told).toEqual(["begins 1"])
      const flushed = yield* Effect.fork(Monitor.flush(sink))
      yield* TestClock.adjust("2 seconds")
      expect(flushed.unsafePoll()).toBeNull()
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(flushed)
      expect(told).toEqual(["begins 1", "ends 1", "begins 2", "ends 2", "begins 3", "ends 3"])
      yield* Monitor.flush(sink)
    }))

  it.effect("loses what comes when too much waits, and says so once", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let told = 0
      const sink = Monitor.make(() => Effect.zipRight(Deferred.await(gate), Effect.sync(() => void told++)))
      const { capacity } = Monitor.defaults
      const lines = yield* logged(
        Effect.repeatN(Monitor.emit(timedOut), capacity + 9).pipe(Effect.provide(Monitor.layer(sink)))
      )
      expect(lines).toEqual([expect.stringContaining("too slow: 1024 events wait")])
      expect(yield* Monitor.dropped(sink)).toBe(9)
      yield* Deferred.succeed(gate, undefined)
      yield* Monitor.flush(sink)
      expect(told).toBe(capacity + 1)
    }))

  it.effect("that reports to itself keeps nobody else busy", () =>
    Effect.gen(function*() {
      let told = 0
      const sink: Monitor.Service = Monitor.make(() =>
        Effect.suspend(() => ++told < 1_000 ? Monitor.emit(timedOut) : Effect.void)
      )
      yield* Effect.provide(Monitor.emit(timedOut), Monitor.layer(sink))
      expect(told).toBeLessThan(3)
      yield* Monitor.flush(sink)
      expect(told).toBe(1_000)
    }))
})

describe("A monitor that fails", () => {
  it.effect("is logged once, without what must not be seen, and goes on", () =>
    Effect.gen(function*() {
      let told = 0
      const sink = Monitor.make(() => {
        told++
        throw new Error("cannot send with sk-proj-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
      })
      const lines = yield* logged(Effect.repeatN(Monitor.emit(timedOut), 4).pipe(Effect.provide(Monitor.layer(sink))))
      expect(told).toBe(5)
      expect(lines).toEqual([expect.stringContaining("A monitor of policies failed: cannot send with")])
      expect(lines.join()).not.toContain("aaaaaaaa")
    }))

  it.effect("later than at once is logged, too", () =>
    Effect.gen(function*() {
      const sink = Monitor.make(() => Effect.zipRight(Effect.sleep("1 second"), Effect.die("broken")))
      const lines = yield* logged(Effect.gen(function*() {
        yield* Effect.repeatN(Monitor.emit(timedOut), 2).pipe(Effect.provide(Monitor.layer(sink)))
        yield* TestClock.adjust("3 seconds")
        yield* Monitor.flush(sink)
      }))
      expect(lines).toEqual([expect.stringContaining("A monitor of policies failed: broken")])
    }))
})

/** Lets every other fiber come to rest. */
const settle = Effect.repeatN(Effect.yieldNow(), 50)

describe("Monitor.stream", () => {
  it.scoped("carries the events from the start of its run on", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.stream()
      yield* monitor.emit(retried(0))
      const fiber = yield* Effect.fork(Stream.runCollect(Stream.take(events, 2)))
      yield* settle
      yield* monitor.emit(retried(1))
      yield* monitor.emit(retried(2))
      expect(attemptsOf(yield* Fiber.join(fiber))).toEqual([1, 2])
    }))

  it.scoped("a slow reader loses the oldest, and never slows the program down", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.stream({ capacity: 2 })
      const fiber = yield* events.pipe(
        Stream.tap(() => Effect.sleep("1 second")),
        Stream.take(3),
        Stream.runCollect,
        Effect.fork
      )
      yield* settle
      yield* monitor.emit(retried(1))
      yield* settle
      for (let attempt = 2; attempt <= 100; attempt++) yield* monitor.emit(retried(attempt))
      yield* TestClock.adjust("3 seconds")
      expect(attemptsOf(yield* Fiber.join(fiber))).toEqual([1, 99, 100])
    }))

  it.effect("once its scope is closed the stream ends and the monitor is silent", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { events, monitor } = yield* Scope.extend(Monitor.stream(), scope)
      const fiber = yield* Effect.fork(Effect.exit(Stream.runDrain(events)))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.await(fiber)
      yield* Monitor.emit(timedOut).pipe(Effect.provide(Monitor.layer(monitor)))
    }))
})
