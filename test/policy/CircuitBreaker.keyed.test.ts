import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Keyed from "../../src/policy/shared/keyed.ts"
import * as Tripping from "../../src/policy/Tripping.ts"

const down = Effect.fail("down")
const up = Effect.succeed("up")

const family = (options: Partial<CircuitBreaker.KeyedOptions> = {}) =>
  CircuitBreaker.keyed({ name: "models", tripping: Tripping.consecutive(1), probes: 1, ...options })

const call = (effect: Effect.Effect<unknown, unknown>, breakers: CircuitBreaker.Keyed, key: string) =>
  Effect.exit(breakers.apply(key)(effect))

const keys = (breakers: CircuitBreaker.Keyed) => Effect.map(breakers.states, (states) => [...states.keys()])

describe("a family", () => {
  it.effect("has a circuit for each key, named after both", () =>
    Effect.gen(function*() {
      const breakers = yield* family()
      yield* call(down, breakers, "small")
      const error = yield* Effect.flip(up.pipe(breakers.apply("small")))
      expect(error).toMatchObject({ _tag: "CircuitOpen", name: "models/small", retryAfter: Duration.seconds(10) })
      expect(yield* breakers.apply("large")(up)).toBe("up")
      expect([...(yield* breakers.states)].map(([key, state]) => [key, state._tag])).toEqual([
        ["small", "Open"],
        ["large", "Closed"]
      ])
    }))

  it.effect("forgets keys that were idle too long", () =>
    Effect.gen(function*() {
      const breakers = yield* family({ idleTimeToLive: "1 minute" })
      yield* call(up, breakers, "a")
      yield* TestClock.adjust("30 seconds")
      yield* call(up, breakers, "b")
      yield* TestClock.adjust("30 seconds")
      expect(yield* keys(breakers)).toEqual(["b"])
      yield* TestClock.adjust("30 seconds")
      expect(yield* keys(breakers)).toEqual([])
    }))

  it.effect("never forgets a circuit that is open, busy, or was moved by hand", () =>
    Effect.gen(function*() {
      const breakers = yield* family({ idleTimeToLive: "1 minute", openFor: "1 hour" })
      yield* call(down, breakers, "open")
      const gate = yield* Deferred.make<void>()
      const busy = yield* Effect.fork(breakers.apply("busy")(Deferred.await(gate)))
      yield* Effect.yieldNow()
      yield* Effect.flatMap(breakers.get("isolated"), CircuitBreaker.isolate)
      yield* Effect.flatMap(breakers.get("disabled"), CircuitBreaker.disable)
      yield* breakers.register("registered")
      yield* call(up, breakers, "idle")
      yield* TestClock.adjust("50 minutes")
      expect(yield* keys(breakers)).toEqual(["open", "busy", "isolated", "disabled", "registered"])
      yield* Fiber.interrupt(busy)
      yield* TestClock.adjust("30 minutes")
      // The break is over and nobody has come since: nothing is protected any more.
      expect(yield* keys(breakers)).toEqual(["isolated", "disabled", "registered"])
    }))

  it.effect("keeps as many keys as it may, dropping the one that was not used for the longest time", () =>
    Effect.gen(function*() {
      const breakers = yield* family({ capacity: 3 })
      for (const key of ["a", "b", "c", "a", "d"]) {
        yield* call(up, breakers, key)
        yield* TestClock.adjust(1)
      }
      expect(yield* keys(breakers)).toEqual(["c", "a", "d"])
    }))

  it.effect("goes beyond its capacity rather than forget an open circuit", () =>
    Effect.gen(function*() {
      const breakers = yield* family({ capacity: 2 })
      for (const key of ["a", "b", "c"]) yield* call(down, breakers, key)
      yield* call(up, breakers, "d")
      yield* call(up, breakers, "e")
      expect(yield* keys(breakers)).toEqual(["a", "b", "c", "e"])
    }))

  it.effect("does not grow with the number of keys that ever were", () =>
    Effect.gen(function*() {
      const breakers = yield* family({ capacity: 10 })
      for (let i = 0; i < 5_000; i++) yield* call(up, breakers, `key ${i}`)
      expect(yield* keys(breakers)).toHaveLength(10)
    }))

  it.effect("tells the changes of all its circuits", () =>
    Effect.gen(function*() {
      const breakers = yield* family()
      const reading = yield* Effect.fork(Stream.runCollect(Stream.take(breakers.changes, 2)))
      yield* Effect.yieldNow().pipe(Effect.repeatN(10))
      yield* call(down, breakers, "a")
      yield* call(down, breakers, "b")
      expect(Chunk.toReadonlyArray(yield* Fiber.join(reading)).map(({ name, to }) => `${name} ${to}`)).toEqual([
        "models/a Open",
        "models/b Open"
      ])
    }))

  it.effect("lists every wrong option, its own and those of its breakers", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        CircuitBreaker.keyed({ name: "", probes: 0, capacity: 0, idleTimeToLive: 0 })
      )
      expect(error.issues.map((issue) => issue.path)).toEqual(["name", "probes", "capacity", "idleTimeToLive"])
      const json = yield* Effect.flip(CircuitBreaker.decodeKeyed({ name: "models", idleTimeToLive: 5, size: 3 }))
      expect(json.issues.map((issue) => issue.path)).toEqual(["size", "idleTimeToLive"])
      expect((yield* CircuitBreaker.decodeKeyed({ name: "models", idleTimeToLive: "1 minute" })).describe())
        .toContain("one for each key, at most 1000 of them, forgotten after 1m without use")
      expect(Keyed.defaults).toEqual({ capacity: 1000, idleTimeToLive: Duration.minutes(10) })
    }))
})

describe("a family with options by key", () => {
  it.effect("makes the circuit of each key of what the function gives", () =>
    Effect.gen(function*() {
      const breakers = yield* CircuitBreaker.keyed(
        (key) => ({
          name: `for ${key}`,
          tripping: Tripping.consecutive(key === "small" ? 1 : 2),
          openFor: "5 seconds"
        }),
        { capacity: 2 }
      )
      for (const key of ["small", "large"]) yield* call(down, breakers, key)
      expect([...(yield* breakers.states)].map(([key, state]) => [key, state._tag])).toEqual([
        ["small", "Open"],
        ["large", "Closed"]
      ])
      expect(yield* Effect.flip(breakers.apply("small")(up))).toMatchObject({ name: "for small" })
      const registered = yield* breakers.register("third", { openFor: "1 minute" })
      expect(CircuitBreaker.encode(registered)).toMatchObject({ name: "for third", openFor: "1 minute" })
      expect(breakers.describe()).toContain("at most 2 of them")
    }))

  it.effect("has a defect where the options of a key are wrong, or the function throws; its bounds are checked", () =>
    Effect.gen(function*() {
      const wrong = yield* CircuitBreaker.keyed(() => ({ name: "a", probes: 0 }))
      expect(Exit.isFailure(yield* Effect.exit(Effect.catchAll(breakersOf(wrong), Effect.succeed)))).toBe(true)
      const throwing = yield* CircuitBreaker.keyed(() => {
        throw new Error("no options")
      })
      expect(yield* Effect.exit(breakersOf(throwing))).toEqual(Exit.die(new Error("no options")))
      const error = yield* Effect.flip(CircuitBreaker.keyed(() => ({ name: "a" }), { capacity: 0, idleTimeToLive: -1 }))
      expect(error.issues.map(({ path }) => path)).toEqual(["capacity", "idleTimeToLive"])
    }))
})

const breakersOf = (breakers: CircuitBreaker.Keyed) => breakers.apply("key")(up)

describe("register", () => {
  it.effect("gives a key options of its own, the family's where it says nothing", () =>
    Effect.gen(function*() {
      const breakers = yield* family({ openFor: "5 seconds" })
      const breaker = yield* breakers.register("small", { tripping: Tripping.consecutive(7) })
      expect(CircuitBreaker.settings(breaker)).toMatchObject({ name: "models/small", probes: 1, successesToClose: 1 })
      expect(CircuitBreaker.encode(breaker)).toMatchObject({
        tripping: { when: "consecutive", failures: 7 },
        openFor: "5 seconds"
      })
      expect(yield* breakers.get("small")).toBe(breaker)
    }))

  it.effect("gives the same breaker for the same options", () =>
    Effect.gen(function*() {
      const breakers = yield* family()
      const one = yield* breakers.register("small", { openFor: "1 minute" })
      const two = yield* breakers.register("small", { openFor: Duration.seconds(60) })
      expect(two).toBe(one)
    }))

  it.effect("refuses other options for a key, naming both values of each", () =>
    Effect.gen(function*() {
      const breakers = yield* family()
      yield* breakers.register("small", { probes: 2, openFor: "1 minute" })
      const verdict = () => {
        throw new Error("never asked")
      }
      const error = yield* Effect.flip(
        breakers.register("small", { probes: 3, successesToClose: 2, openFor: "2 minutes", verdict })
      )
      expect(error.message.split("\n").slice(1)).toEqual([
        "  small.openFor (found \"2 minutes\"); allowed: 1 minute, as the breaker \"models/small\" has already; " +
        "or use another key",
        "  small.probes (found 3); allowed: 2, as the breaker \"models/small\" has already; or use another key",
        "  small.verdict (found a function); allowed: the function that the breaker \"models/small\" has already; " +
        "or use another key"
      ])
      yield* call(up, breakers, "large")
      expect(yield* Effect.flip(breakers.register("large", { probes: 9 }))).toMatchObject({
        _tag: "InvalidOptions"
      })
      expect(yield* Effect.flip(breakers.register("new", { probes: -1 }))).toMatchObject({
        issues: [{ path: "probes" }]
      })
    }))
})
