import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { RateLimited } from "../../src/error/ModelError.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RateLimitStore from "../../src/policy/RateLimitStore.ts"

const smooth = { name: "openai", requestsPerMinute: 60, burst: 0 } as const
const limits: RateLimitStore.Limits = { requestsPerMinute: 60, tokensPerMinute: 60_000, burst: 0 }

const started = (times: Array<number>) => Effect.map(Clock.currentTimeMillis, (now) => void times.push(now))

const callers = (limiter: RateLimiter.RateLimiter, n: number, times: Array<number>) =>
  Effect.forEach(
    Array.from({ length: n }),
    () => Effect.zipLeft(Effect.fork(RateLimiter.apply(started(times), limiter)), Effect.yieldNow())
  )

const wish = (wanted: Partial<RateLimitStore.Request> = {}): RateLimitStore.Request => ({
  key: "k",
  limits,
  requests: 1,
  tokens: 0,
  maxWait: Infinity,
  ...wanted
})

/** Reserves a place that must be one in the line. */
const place = (store: RateLimitStore.RateLimitStore, wanted?: Partial<RateLimitStore.Request>) =>
  Effect.flatMap(
    store.reserve(wish(wanted)),
    (admission) =>
      admission._tag === "Waiting" ? Effect.succeed(admission) : Effect.die(`not waiting: ${admission._tag}`)
  )

describe("The memory store", () => {
  it.effect("tells at the door how long the wait will be", () =>
    Effect.gen(function*() {
      const store = yield* RateLimitStore.makeMemory
      yield* store.reserve(wish())
      expect((yield* place(store)).wait).toBe(1_000)
      // One token is saved up when its turn comes; the other five thousand refill for it alone.
      expect((yield* place(store, { tokens: 5_001 })).wait).toBe(6_000)
      expect((yield* place(store)).wait).toBe(7_000)
      yield* TestClock.adjust("1500 millis")
      expect((yield* place(store)).wait).toBe(6_500)
    }))

  it.effect("grants a place whose time came before its owner began to wait", () =>
    Effect.gen(function*() {
      const store = yield* RateLimitStore.makeMemory
      yield* store.reserve(wish())
      const waiting = yield* place(store)
      yield* TestClock.adjust("10 seconds")
      expect(yield* store.wait(waiting)).toMatchObject({ _tag: "Granted", key: "k", requests: 1 })
    }))

  it.effect("counts a late start at the time it was due, so that late timers cost no throughput", () =>
    Effect.gen(function*() {
      const store = yield* RateLimitStore.makeMemory
      yield* store.reserve(wish())
      yield* place(store)
      yield* TestClock.adjust("1900 millis")
      expect(yield* store.reserve(wish())).toMatchObject({ _tag: "Waiting", wait: 100 })
    }))

  it.effect("takes nothing back from a reservation that was refused", () =>
    Effect.gen(function*() {
      const store = yield* RateLimitStore.makeMemory
      yield* store.reserve(wish())
      const waiting = yield* place(store, { maxWait: 5_000 })
      yield* store.pause("k", limits, 10_000)
      expect(yield* store.wait(waiting)).toEqual({ _tag: "Refused", reason: "rate", retryAfter: 10_000 })
      yield* store.release(waiting)
      yield* TestClock.adjust("10 seconds")
      yield* store.reserve(wish())
      expect((yield* store.state("k", limits)).requestsAvailable).toBe(0)
    }))

  it.effect("refuses who waits when a debt makes the wait longer than it is willing to", () =>
    Effect.gen(function*() {
      const store = yield* RateLimitStore.makeMemory
      const first = yield* store.reserve(wish())
      const waiting = yield* Effect.fork(Effect.flatMap(place(store, { maxWait: 2_000 }), store.wait))
      yield* Effect.yieldNow()
      if (first._tag === "Granted") yield* store.settle(first, 10_001)
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "Refused", reason: "rate" })
      expect((yield* store.state("k", limits)).waiting).toBe(0)
    }))

  it.effect("goes by new limits from the next call on, also for those who wait", () =>
    Effect.gen(function*() {
      const store = yield* RateLimitStore.makeMemory
      yield* store.reserve(wish())
      const waiting = yield* Effect.fork(Effect.zipRight(
        Effect.flatMap(place(store), store.wait),
        Clock.currentTimeMillis
      ))
      yield* Effect.yieldNow()
      yield* store.reserve(wish({ limits: { ...limits, requestsPerMinute: 600 } }))
      yield* TestClock.adjust("1 seconds")
      expect(yield* Fiber.join(waiting)).toBe(100)
    }))

  it.effect("forgets keys that were idle, but no pause, no debt and nobody who waits", () =>
    Effect.gen(function*() {
      expect(RateLimitStore.defaults.idle).toBe("10 minutes")
      const store = yield* RateLimitStore.makeMemory
      yield* store.reserve(wish({ key: "idle" }))
      yield* store.pause("paused", limits, 7_200_000)
      yield* store.reserve(wish({ key: "waited for" }))
      yield* place(store, { key: "waited for" })
      const inDebt = { requestsPerMinute: 60, tokensPerMinute: 0.01, burst: 0 }
      const used = yield* store.reserve(wish({ key: "in debt", limits: inDebt }))
      // A debt is a minute's limit at most, and one token refills in 100 minutes.
      if (used._tag === "Granted") yield* store.settle(used, 1)
      expect(yield* store.size).toBe(4)
      yield* TestClock.adjust("1 hour")
      yield* store.reserve(wish({ key: "new" }))
      expect(yield* store.size).toBe(4)
      expect((yield* store.state("paused", limits)).pausedFor).toBe(3_600_000)
    }))
})

describe("Limiters over a store", () => {
  it.effect("share what is left of one key", () =>
    Effect.gen(function*() {
      const chat = yield* RateLimiter.makeWithStore({ ...smooth, name: "chat", key: "k" })
      const batch = yield* RateLimiter.makeWithStore({ ...smooth, name: "batch", key: "k", onExceeded: "fail" })
      yield* RateLimiter.apply(Effect.void, chat)
      expect((yield* Effect.flip(RateLimiter.apply(Effect.void, batch))).name).toBe("batch")
    }).pipe(Effect.provide(RateLimitStore.layerMemory)))

  it.effect("are layers of the same tag, and work with a store that is not in this process", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      expect(limiter.store.local).toBeUndefined()
      const times: Array<number> = []
      yield* callers(limiter, 3, times)
      const leaving = yield* callers(limiter, 1, times)
      yield* Fiber.interruptAll(leaving)
      yield* TestClock.adjust("5 seconds")
      expect(times).toEqual([0, 1_000, 2_000])
      const throttled = new RateLimited({ provider: "p", retryAfter: Duration.seconds(9) })
      yield* Effect.flip(RateLimiter.apply(Effect.fail(throttled), limiter))
      expect((yield* RateLimiter.state(limiter)).pausedFor).toBe(9_000)
    }).pipe(Effect.provide(
      RateLimiter.layerWithStore(smooth).pipe(Layer.provide(Layer.effect(
        RateLimitStore.RateLimitStore,
        Effect.map(RateLimitStore.makeMemory, (store) => ({ ...store, local: undefined }))
      )))
    )))

  it.effect("layer gives a limiter with a store of its own", () =>
    Effect.gen(function*() {
      const one = Context.get(yield* Layer.build(RateLimiter.layer(smooth)), RateLimiter.RateLimiter)
      const two = Context.get(yield* Layer.build(RateLimiter.layer({ ...smooth })), RateLimiter.RateLimiter)
      yield* RateLimiter.apply(Effect.void, one)
      expect((yield* RateLimiter.state(two)).requestsAvailable).toBe(1)
    }).pipe(Effect.scoped))
})
