import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
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

  it.effect("an interruption of the caller is not swallowed by a slow sink", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(
        Effect.provide(Monitor.emit(timedOut), Monitor.layer(Monitor.make(() => Effect.never)))
      )
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
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
