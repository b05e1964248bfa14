import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import { CircuitOpen } from "../../src/error/PolicyError.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { breakerOf, down, held, refusal, tag, times, up } from "./circuits.ts"

describe("by hand", () => {
  it.effect("isolate refuses everything until close", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf()
      yield* CircuitBreaker.isolate(breaker)
      yield* TestClock.adjust("10 days")
      const error = yield* refusal(breaker)
      expect(error).toMatchObject({ reason: "isolated", retryAfter: Duration.zero })
      expect(error.message).toBe(
        "Circuit \"openai\" was isolated by hand. It admits nothing until it is closed by hand."
      )
      yield* CircuitBreaker.close(breaker)
      expect(yield* CircuitBreaker.apply(up, breaker)).toBe("up")
    }))

  it.effect("disable lets everything through and counts nothing", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf()
      yield* times(2, down, breaker)
      yield* CircuitBreaker.disable(breaker)
      yield* times(50, down, breaker)
      expect(yield* tag(breaker)).toBe("Disabled")
      yield* CircuitBreaker.close(breaker)
      yield* times(1, down, breaker)
      expect(yield* tag(breaker)).toBe("Closed")
    }))

  it.effect("close makes results of calls that are on their way late", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf()
      const calls = yield* Effect.all([held(breaker), held(breaker), held(breaker)])
      yield* CircuitBreaker.close(breaker)
      for (const call of calls) yield* call.fail
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Closed", failures: 0 })
    }))

  it.effect("observing, it moves and reports but refuses nothing", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const breaker = yield* breakerOf({ mode: "observe", probes: 1 })
      yield* times(8, down, breaker).pipe(Effect.provideService(Monitor.Monitor, monitor))
      expect(yield* CircuitBreaker.stats(breaker)).toMatchObject({ state: { _tag: "Open" }, refused: 6 })
      expect(yield* CircuitBreaker.apply(up, breaker)).toBe("up")
      expect(yield* tag(breaker)).toBe("Open")
      yield* TestClock.adjust("10 seconds")
      yield* times(1, up, breaker).pipe(Effect.provideService(Monitor.Monitor, monitor))
      expect((yield* events).map((event) => event._tag)).toEqual([
        "CircuitOpened",
        "CircuitHalfOpened",
        "CircuitClosed"
      ])
    }))

  it.effect("reconfigure keeps the state", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf()
      yield* times(1, down, breaker)
      yield* CircuitBreaker.reconfigure(breaker, {
        name: "openai",
        tripping: Tripping.consecutive(2),
        openFor: "1 minute"
      })
      yield* times(1, down, breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.minutes(1))
      yield* CircuitBreaker.reconfigure(breaker, { name: "openai", tripping: Tripping.consecutive(9), probes: 1 })
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.minutes(1))
      const error = yield* Effect.flip(CircuitBreaker.reconfigure(breaker, { name: "other", probes: 0 }))
      expect(error.issues.map((issue) => issue.path)).toEqual(["probes", "name"])
      expect(CircuitBreaker.settings(breaker).probes).toBe(1)
    }))
})

describe("reconfigure during an outage", () => {
  it.effect("lets the running break be, and takes the new one for the next", () =>
    Effect.gen(function*() {
      const options = { name: "openai", tripping: Tripping.consecutive(2), probes: 1 }
      const breaker = yield* CircuitBreaker.make({ ...options, openFor: "1 hour" })
      yield* times(2, down, breaker)
      yield* TestClock.adjust("10 minutes")
      yield* CircuitBreaker.reconfigure(breaker, { ...options, openFor: "5 seconds" })
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.minutes(50))
      yield* TestClock.adjust("50 minutes")
      yield* times(1, down, breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(5))
    }))

  it.effect("goes on with the new backoff where that many openings have led", () =>
    Effect.gen(function*() {
      const options = { name: "openai", tripping: Tripping.consecutive(1), probes: 1 }
      const breaker = yield* CircuitBreaker.make({ ...options, openFor: "10 seconds" })
      yield* times(1, down, breaker)
      yield* TestClock.adjust("10 seconds")
      yield* times(1, down, breaker)
      yield* TestClock.adjust("10 seconds")
      // Half-open, after two openings: the third wait of the new backoff is next.
      yield* CircuitBreaker.reconfigure(breaker, {
        ...options,
        openFor: RetryPolicy.exponential({ initial: "1 second" })
      })
      yield* times(1, down, breaker)
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(4))
    }))
})

describe("a refusal", () => {
  const secret = "sk-proj-0123456789abcdefghijkl"
  const failing = Effect.fail(
    new ModelError.ServerError({ provider: "openai", model: "gpt", status: 503, body: `key ${secret}` })
  )

  it.effect("tells the error that opened the circuit, and so do the event and the snapshot", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const breaker = yield* breakerOf({ openFor: "10 seconds", probes: 1 })
      yield* times(1, Effect.fail("not this one"), breaker)
      yield* times(1, failing, breaker).pipe(Effect.provideService(Monitor.Monitor, monitor))
      const error = yield* refusal(breaker)
      expect(error.openedBy).toMatchObject({ tag: "ServerError" })
      expect(error.openedBy?.message).toContain("503")
      expect(error.message).toContain("It was opened by ServerError: ")
      expect((yield* events)[0]).toMatchObject({ _tag: "CircuitOpened", openedBy: error.openedBy })
      const again = yield* breakerOf({ probes: 1 })
      yield* CircuitBreaker.restore(again, JSON.parse(JSON.stringify(yield* CircuitBreaker.snapshot(breaker))))
      expect((yield* refusal(again)).openedBy).toEqual(error.openedBy)
      yield* TestClock.adjust("10 seconds")
      yield* held(breaker)
      expect(yield* refusal(breaker)).toMatchObject({ reason: "probing", openedBy: error.openedBy })
    }))

  it.effect("tells it in a line, without credentials", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf()
      yield* times(2, Effect.die(new Error(`${"x".repeat(5_000)} authorization: Bearer ${secret}`)), breaker)
      expect((yield* refusal(breaker)).openedBy?.message.length).toBeLessThan(250)
      const other = yield* breakerOf()
      yield* times(2, Effect.die(new Error(`authorization: Bearer ${secret}`)), other)
      const shown = JSON.stringify([
        yield* refusal(other),
        (yield* refusal(other)).message,
        yield* CircuitBreaker.snapshot(other)
      ])
      expect(shown).toContain("authorization")
      expect(shown).not.toContain(secret)
    }))

  it.effect("tells of no error where slow calls opened the circuit, or a hand", () =>
    Effect.gen(function*() {
      const tripping = Tripping.slowCallRate({ longerThan: "1 second", window: "1 calls", minimumCalls: 1 })
      const breaker = yield* breakerOf({ tripping })
      const call = yield* Effect.fork(CircuitBreaker.apply(Effect.sleep("2 seconds"), breaker))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(call)
      expect(yield* refusal(breaker)).not.toHaveProperty("openedBy")
      yield* CircuitBreaker.isolate(breaker)
      expect(yield* refusal(breaker)).not.toHaveProperty("openedBy")
    }))
})

describe("what it reports", () => {
  it.effect("is every move and every refusal, once, with its numbers", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const breaker = yield* breakerOf({ probes: 1 })
      yield* Effect.gen(function*() {
        yield* times(4, down, breaker)
        yield* TestClock.adjust("10 seconds")
        yield* times(1, down, breaker)
        yield* TestClock.adjust("20 seconds")
        yield* times(1, up, breaker)
        yield* CircuitBreaker.isolate(breaker)
        yield* CircuitBreaker.disable(breaker)
        yield* CircuitBreaker.close(breaker)
        yield* CircuitBreaker.close(breaker)
      }).pipe(Effect.provideService(Monitor.Monitor, monitor))
      const common = { name: "openai" }
      expect(yield* events).toEqual([
        expect.objectContaining({
          ...common,
          _tag: "CircuitOpened",
          at: 0,
          retryAfter: Duration.seconds(10),
          calls: 2,
          failures: 2,
          slow: 0
        }),
        expect.objectContaining({ ...common, _tag: "CircuitRefused", at: 0, retryAfter: Duration.seconds(10) }),
        expect.objectContaining({ ...common, _tag: "CircuitRefused", at: 0, retryAfter: Duration.seconds(10) }),
        expect.objectContaining({ ...common, _tag: "CircuitHalfOpened", at: 10_000 }),
        expect.objectContaining({ ...common, _tag: "CircuitOpened", retryAfter: Duration.seconds(20), failures: 1 }),
        expect.objectContaining({ ...common, _tag: "CircuitHalfOpened", at: 30_000 }),
        expect.objectContaining({ ...common, _tag: "CircuitClosed", at: 30_000 }),
        expect.objectContaining({ ...common, _tag: "CircuitIsolated" }),
        expect.objectContaining({ ...common, _tag: "CircuitDisabled" }),
        expect.objectContaining({ ...common, _tag: "CircuitClosed" })
      ])
    }))

  it.effect("changes neither result nor state when the sink throws", () =>
    Effect.gen(function*() {
      const broken = Monitor.make(() => {
        throw new Error("sink")
      })
      const breaker = yield* breakerOf({ tripping: Tripping.consecutive(1) })
      const calls = Effect.gen(function*() {
        expect(yield* Effect.exit(CircuitBreaker.apply(down, breaker))).toEqual(Exit.fail("down"))
        expect((yield* refusal(breaker))._tag).toBe("CircuitOpen")
      })
      yield* Effect.provideService(calls, Monitor.Monitor, broken)
      expect(yield* tag(breaker)).toBe("Open")
    }))

  it.effect("is a stream of changes, too", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf({ probes: 1 })
      const reading = yield* Effect.fork(Stream.runCollect(Stream.take(CircuitBreaker.changes(breaker), 3)))
      yield* Effect.yieldNow().pipe(Effect.repeatN(10))
      yield* times(2, down, breaker)
      yield* TestClock.adjust("10 seconds")
      yield* times(1, up, breaker)
      expect(Chunk.toReadonlyArray(yield* Fiber.join(reading))).toEqual([
        { at: 0, name: "openai", from: "Closed", to: "Open" },
        { at: 10_000, name: "openai", from: "Open", to: "HalfOpen" },
        { at: 10_000, name: "openai", from: "HalfOpen", to: "Closed" }
      ])
      // Nobody reads any more, so nothing is held for the reader.
      expect(breaker.cell.listeners.size).toBe(0)
    }))
})

describe("a snapshot", () => {
  const throughJson = (from: CircuitBreaker.CircuitBreaker, to: CircuitBreaker.CircuitBreaker) =>
    Effect.flatMap(
      CircuitBreaker.snapshot(from),
      (snapshot) => CircuitBreaker.restore(to, JSON.parse(JSON.stringify(snapshot)))
    )

  it.effect("keeps the rest of a break", () =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([breakerOf({ probes: 1 }), breakerOf({ probes: 1 })])
      yield* times(2, down, from)
      yield* TestClock.adjust("4 seconds")
      yield* throughJson(from, to)
      yield* TestClock.adjust(5_999)
      expect((yield* refusal(to)).retryAfter).toEqual(Duration.millis(1))
      yield* TestClock.adjust(1)
      yield* times(1, down, to)
      expect((yield* refusal(to)).retryAfter).toEqual(Duration.seconds(20))
    }))

  it.effect("keeps the counts of a closed circuit", () =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([
        CircuitBreaker.make({ name: "openai" }),
        CircuitBreaker.make({ name: "openai" })
      ])
      yield* times(5, up, from)
      yield* times(4, down, from)
      yield* throughJson(from, to)
      yield* times(1, down, to)
      expect(yield* tag(to)).toBe("Open")
    }))

  it.effect("that is none is refused, with every wrong field", () =>
    Effect.gen(function*() {
      const breaker = yield* breakerOf()
      const wrong = (json: unknown) =>
        Effect.map(Effect.flip(CircuitBreaker.restore(breaker, json)), (error) => error.issues.map(({ path }) => path))
      expect(yield* wrong({ state: "Open", remainingMillis: -1 })).toEqual(["remainingMillis", "openings"])
      expect(yield* wrong({ state: "Ajar" })).toEqual(["state"])
      expect(
        yield* wrong({ state: "Closed", counts: [{ last: "012" }, { buckets: [{ age: 0, calls: 1, bad: 2 }] }, {}] })
      )
        .toEqual(["counts.0.last", "counts.1.buckets.0.bad", "counts.2"])
      expect(yield* wrong(undefined)).toEqual([""])
      expect(yield* tag(breaker)).toBe("Closed")
    }))
})

/** A clock that stands where it is put: ten hours second by second are too many steps for `TestClock`. */
const clockAt = (now: () => number): Clock.Clock =>
  Object.assign(Object.create(Clock.make()), {
    unsafeCurrentTimeMillis: now,
    unsafeCurrentTimeNanos: () => BigInt(now()) * 1_000_000n,
    currentTimeMillis: Effect.sync(now)
  })

describe("ten hours of a flapping provider", () => {
  it.effect("leave nothing stale in the window, and nothing behind", () => {
    let now = 0
    return Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "openai", probes: 1 })
      const counted: Array<number> = []
      let [refused, largest] = [0, 0]
      const second = 1_000
      for (; now < 10 * 3_600 * second; now += second) {
        // Five minutes up, one minute down, then half of all calls fail.
        const isUp = now % (6 * 60 * second) < 5 * 60 * second
        const call = isUp || now % (2 * second) === 0 ? up : down
        const got = yield* Effect.either(CircuitBreaker.apply(call, breaker))
        if (Either.isLeft(got) && got.left instanceof CircuitOpen) refused++
        else counted.push(now)
        const state = yield* CircuitBreaker.state(breaker)
        if (state._tag !== "Closed") continue
        while (counted[0] !== undefined && counted[0] <= now - 30 * second) counted.shift()
        expect(state.calls).toBeLessThanOrEqual(counted.length)
        expect(state.failures).toBeLessThanOrEqual(state.calls)
        largest = Math.max(largest, JSON.stringify(yield* CircuitBreaker.snapshot(breaker)).length)
      }
      expect(refused).toBeGreaterThan(100)
      expect(largest).toBeLessThan(3_000)
    }).pipe(Effect.withClock(clockAt(() => now)))
  })
})
