import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { RateLimited, ServerError } from "../../src/error/ModelError.ts"
import { BulkheadFull, RateLimitExceeded, TimedOut } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Call from "../../src/policy/rateLimiter/call.ts"
import type * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

/** One request each second, one at once. */
const smooth = { name: "openai", requestsPerMinute: 60, burst: 0 } as const

const started = (times: Array<number>) => Effect.map(Clock.currentTimeMillis, (now) => void times.push(now))

/** Starts `n` calls, each of which notes when it ran. */
const callers = (limiter: RateLimiter.RateLimiter, n: number, times: Array<number>) =>
  Effect.forEach(
    Array.from({ length: n }),
    () => Effect.zipLeft(Effect.fork(RateLimiter.apply(started(times), limiter)), Effect.yieldNow())
  )

const recorded = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<ReadonlyArray<Event.Event>, E, R> =>
  Effect.flatMap(
    Monitor.recorder,
    ({ events, monitor }) => Effect.zipRight(Effect.provide(effect, Monitor.layer(monitor)), events)
  )

const unlike = (name: string) => Effect.fail(name)

describe("A rate limiter", () => {
  it.effect("lets the saved-up burst through, then one at a time as they refill", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: 60, burst: 3 / 60 })
      const times: Array<number> = []
      yield* callers(limiter, 6, times)
      expect(times).toEqual([0, 0, 0])
      yield* TestClock.adjust("3 seconds")
      expect(times).toEqual([0, 0, 0, 1_000, 2_000, 3_000])
    }))

  it.effect("saves up no more than the burst", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: 60, burst: 2 / 60 })
      yield* TestClock.adjust("1 hour")
      const times: Array<number> = []
      yield* callers(limiter, 4, times)
      expect(times.length).toBe(2)
    }))

  it.effect("mirrors the provider's bucket by default: a minute's limit may go at once", () =>
    Effect.gen(function*() {
      expect(RateLimiter.defaults).toEqual({ burst: 1, onExceeded: "delay", longestHint: 3_600_000 })
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: 60, tokensPerMinute: 1_000 })
      expect(yield* RateLimiter.state(limiter)).toEqual({
        requestsPerMinute: 60,
        tokensPerMinute: 1_000,
        requestsAvailable: 60,
        tokensAvailable: 1_000,
        waiting: 0,
        pausedFor: 0
      })
    }))

  it.effect("admits by requests and tokens together, in the order of arrival", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: 60, tokensPerMinute: 60_000, burst: 0.1 })
      const order: Array<readonly [string, number]> = []
      const call = (name: string, tokens: number) =>
        Effect.fork(RateLimiter.applyCost(
          Effect.map(Clock.currentTimeMillis, (now) => void order.push([name, now])),
          limiter,
          { tokens }
        )).pipe(Effect.zipRight(Effect.yieldNow()))
      yield* call("fills the bucket", 6_000)
      yield* call("waits for tokens", 4_000)
      yield* call("does not overtake", 0)
      yield* TestClock.adjust("10 seconds")
      expect(order).toEqual([["fills the bucket", 0], ["waits for tokens", 4_000], ["does not overtake", 4_000]])
    }))

  it.effect("with onExceeded \"fail\" refuses at once, and says when there is room", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...smooth, onExceeded: "fail" })
      yield* RateLimiter.apply(Effect.void, limiter)
      const error = yield* Effect.flip(RateLimiter.apply(Effect.void, limiter))
      expect(error).toMatchObject({ name: "openai", reason: "rate", retryAfter: Duration.seconds(1) })
      yield* TestClock.adjust("999 millis")
      expect((yield* Effect.flip(RateLimiter.apply(Effect.void, limiter))).retryAfter).toEqual(Duration.millis(1))
      yield* TestClock.adjust("1 millis")
      yield* RateLimiter.apply(Effect.void, limiter)
    }))

  it.effect("refuses at once who would wait longer than maxWait, and takes nothing for it", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...smooth, maxWait: "2 seconds" })
      const times: Array<number> = []
      yield* callers(limiter, 3, times)
      const error = yield* Effect.flip(RateLimiter.apply(Effect.void, limiter))
      expect(error).toMatchObject({ reason: "rate", retryAfter: Duration.seconds(3) })
      yield* TestClock.adjust("2 seconds")
      expect(times).toEqual([0, 1_000, 2_000])
      yield* callers(limiter, 1, times)
      yield* TestClock.adjust("1 seconds")
      expect(times).toEqual([0, 1_000, 2_000, 3_000])
    }))

  it.effect("fails at once where the cost is above the whole limit, and names both", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "openai", tokensPerMinute: 30_000 })
      const error = yield* Effect.flip(RateLimiter.applyCost(Effect.void, limiter, { tokens: 40_000 }))
      expect(error).toMatchObject({ reason: "cost", cost: 40_000, limit: 30_000, unit: "tokens" })
      expect(error.message).toBe(
        "A call that costs 40000 tokens can never pass rate limiter \"openai\", whose limit is 30000 per minute. " +
          "Send less, or raise the limit."
      )
      expect(Verdict.of(error)).toMatchObject({ action: "Fallback", throttled: false, weighs: false })
      expect((yield* RateLimiter.state(limiter)).tokensAvailable).toBe(30_000)
    }))

  it.effect("takes a cost above the burst when it has refilled", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", tokensPerMinute: 60_000, burst: 0.1 })
      const fiber = yield* Effect.fork(RateLimiter.applyCost(Clock.currentTimeMillis, limiter, { tokens: 50_000 }))
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(fiber)).toBe(44_000)
    }))

  it.effect("treats amounts that are none as nothing", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", tokensPerMinute: 1_000 })
      for (const tokens of [NaN, -5, -Infinity]) {
        yield* RateLimiter.applyCost(Effect.void, limiter, { tokens, actual: () => tokens })
      }
      expect((yield* RateLimiter.state(limiter)).tokensAvailable).toBe(1_000)
      const endless = yield* RateLimiter.make({ name: "b", requestsPerMinute: 60 })
      yield* RateLimiter.applyCost(Effect.void, endless, { tokens: Infinity })
      expect((yield* RateLimiter.state(endless)).requestsAvailable).toBe(59)
    }))

  it.effect("passes the caller's own failures, defects and interruptions through", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: 60 })
      expect(yield* Effect.flip(RateLimiter.apply(Effect.fail("mine"), limiter))).toBe("mine")
      expect(yield* Effect.exit(RateLimiter.apply(Effect.die("bug"), limiter))).toEqual(Exit.die("bug"))
      expect(Exit.isInterrupted(yield* Effect.exit(RateLimiter.apply(Effect.interrupt, limiter)))).toBe(true)
      expect((yield* RateLimiter.state(limiter)).requestsAvailable).toBe(57)
    }))
})

describe("What a call gives back", () => {
  const full = { name: "a", requestsPerMinute: 60, tokensPerMinute: 60_000 } as const
  const after = <A, E>(call: Effect.Effect<A, E>, actual?: (value: A) => number) =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(full)
      yield* Effect.exit(RateLimiter.applyCost(call, limiter, { tokens: 1_000, actual }))
      const { requestsAvailable, tokensAvailable } = yield* RateLimiter.state(limiter)
      return [60 - requestsAvailable, 60_000 - tokensAvailable]
    })

  it.effect("a success: the difference to the actual usage", () =>
    Effect.gen(function*() {
      expect(yield* after(Effect.succeed(400), (used) => used)).toEqual([1, 400])
      expect(yield* after(Effect.succeed(2_500), (used) => used)).toEqual([1, 2_500])
      expect(yield* after(Effect.succeed(2_500))).toEqual([1, 1_000])
    }))

  it.effect("a success whose usage is no number: nothing, and it stays a success", () =>
    Effect.gen(function*() {
      expect(yield* after(Effect.succeed(1), () => NaN)).toEqual([1, 1_000])
    }))

  it.effect("a success whose usage cannot be read: nothing, and what was thrown is a defect of the call", () =>
    Effect.gen(function*() {
      const bug = new Error("no usage in this reply")
      const unable = () => {
        throw bug
      }
      expect(yield* after(Effect.succeed(1), unable)).toEqual([1, 1_000])
      const limiter = yield* RateLimiter.make(full)
      const call = RateLimiter.applyCost(Effect.succeed("ok"), limiter, { tokens: 1, actual: unable })
      expect(yield* Effect.exit(call)).toEqual(Exit.die(bug))
    }))

  it.effect("a failure that was not billed: its tokens, while the request stays counted", () =>
    Effect.gen(function*() {
      expect(yield* after(Effect.fail(new RateLimited({ provider: "p" })))).toEqual([1, 0])
      expect(yield* after(Effect.fail(new ServerError({ provider: "p", billed: "maybe" })))).toEqual([1, 1_000])
      expect(yield* after(unlike("anything"))).toEqual([1, 1_000])
    }))

  it.effect("a refusal further in, before anything was sent: everything", () =>
    Effect.gen(function*() {
      const full = new BulkheadFull({ name: "b", maxConcurrent: 1, maxQueued: 0 })
      expect(yield* after(Effect.fail(full))).toEqual([0, 0])
      expect(yield* after(Effect.fail(new TimedOut({ phase: "queue", limit: Duration.seconds(1) })))).toEqual([0, 0])
      expect(yield* after(Effect.fail(new TimedOut({ phase: "attempt", limit: Duration.seconds(1) })))).toEqual([
        1,
        1_000
      ])
    }))

  it.effect("an interruption while it runs: nothing, for it may have been billed", () =>
    Effect.gen(function*() {
      expect(yield* after(Effect.interrupt)).toEqual([1, 1_000])
      expect(yield* after(Effect.die("bug"))).toEqual([1, 1_000])
    }))

  it.effect("a usage above the expectation leaves a debt that later calls wait for", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", tokensPerMinute: 60_000, burst: 0.1 })
      yield* RateLimiter.applyCost(Effect.succeed(9_000), limiter, { tokens: 100, actual: (used) => used })
      expect((yield* RateLimiter.state(limiter)).tokensAvailable).toBe(-3_000)
      const fiber = yield* Effect.fork(RateLimiter.apply(Clock.currentTimeMillis, limiter))
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(fiber)).toBe(3_000)
    }))

  it.effect("a usage below it lets those who wait come forward", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", tokensPerMinute: 60_000, burst: 0.1 })
      const slow = yield* Effect.fork(
        RateLimiter.applyCost(Effect.delay(Effect.succeed(1_000), "1 seconds"), limiter, {
          tokens: 6_000,
          actual: (used) => used
        })
      )
      yield* Effect.yieldNow()
      const next = yield* Effect.fork(RateLimiter.applyCost(Clock.currentTimeMillis, limiter, { tokens: 4_000 }))
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(slow)
      expect(yield* Fiber.join(next)).toBe(1_000)
    }))

  it.effect("one that leaves the line: its place, and those behind it come forward", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(smooth)
      const times: Array<number> = []
      const [, first, second] = yield* callers(limiter, 5, times)
      yield* TestClock.adjust("500 millis")
      for (const fiber of [second, first]) if (fiber !== undefined) yield* Fiber.interrupt(fiber)
      expect((yield* RateLimiter.state(limiter)).waiting).toBe(2)
      yield* TestClock.adjust("5 seconds")
      expect(times).toEqual([0, 1_000, 2_000])
    }))
})

describe("When the other side asks for silence", () => {
  const throttled = new RateLimited({ provider: "p", retryAfter: Duration.seconds(20) })

  it.effect("every caller of the key waits until then, also who waited before", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(smooth)
      const times: Array<number> = []
      const hit = yield* Effect.fork(
        Effect.flip(RateLimiter.apply(Effect.delay(Effect.fail(throttled), "100 millis"), limiter))
      )
      yield* Effect.yieldNow()
      yield* callers(limiter, 2, times)
      yield* TestClock.adjust("100 millis")
      expect(yield* Fiber.join(hit)).toBe(throttled)
      expect((yield* RateLimiter.state(limiter)).pausedFor).toBe(20_000)
      yield* callers(limiter, 1, times)
      yield* TestClock.adjust("20 seconds")
      expect(times).toEqual([20_100])
      yield* TestClock.adjust("2 seconds")
      expect(times).toEqual([20_100, 21_100, 22_100])
    }))

  it.effect("a waiting caller whose patience is shorter is refused at once", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...smooth, maxWait: "5 seconds" })
      yield* RateLimiter.apply(Effect.void, limiter)
      const waiting = yield* Effect.fork(Effect.flip(RateLimiter.apply(Effect.void, limiter)))
      yield* Effect.yieldNow()
      yield* RateLimiter.pause(limiter, "20 seconds")
      expect(yield* Fiber.join(waiting)).toMatchObject({ reason: "rate", retryAfter: Duration.seconds(20) })
    }))

  it.effect("a second pause counts only as far as it lasts longer", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(smooth)
      const events = yield* recorded(Effect.gen(function*() {
        yield* RateLimiter.pause(limiter, "10 seconds")
        yield* RateLimiter.pause(limiter, "5 seconds")
        yield* RateLimiter.pause(limiter, "12 seconds")
      }))
      expect(events).toMatchObject([
        { _tag: "RateLimitPaused", name: "openai", until: 10_000, wait: Duration.seconds(10) },
        { _tag: "RateLimitPaused", name: "openai", until: 12_000 }
      ])
    }))

  it.effect("another key goes on, and a refusal of a limiter further in is no such hint", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(smooth)
      const other = RateLimiter.withKey(limiter, "other tenant")
      yield* Effect.flip(RateLimiter.apply(Effect.fail(throttled), limiter))
      expect((yield* RateLimiter.state(other)).pausedFor).toBe(0)
      const refusal = new RateLimitExceeded({ name: "inner", retryAfter: Duration.seconds(9) })
      yield* Effect.flip(RateLimiter.apply(Effect.fail(refusal), other))
      expect(yield* RateLimiter.state(other)).toMatchObject({ pausedFor: 0, requestsAvailable: 1 })
    }))

  it.effect("goes by the verdict that the options give", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({
        ...smooth,
        verdict: () => Verdict.make("Retry", { throttled: true, retryAfter: "3 seconds" })
      })
      yield* Effect.flip(RateLimiter.apply(Effect.fail("slow down"), limiter))
      expect((yield* RateLimiter.state(limiter)).pausedFor).toBe(3_000)
    }))

  it.effect("a pause longer than any timer of the platform ends all the same", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make(smooth)
      yield* RateLimiter.pause(limiter, "40 days")
      const fiber = yield* Effect.fork(RateLimiter.apply(Clock.currentTimeMillis, limiter))
      yield* TestClock.adjust("40 days")
      expect(yield* Fiber.join(fiber)).toBe(Duration.toMillis("40 days"))
    }))
})

describe("Learning", () => {
  it.effect("takes lower limits and less remaining from headers, and reports new limits once", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: 1_000, tokensPerMinute: 30_000 })
      const headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-tokens": "150000"
      }
      const events = yield* recorded(Effect.replicateEffect(RateLimiter.learn(limiter, headers), 3))
      expect(events).toMatchObject([{ _tag: "RateLimitLearned", requestsPerMinute: 60, tokensPerMinute: 200_000 }])
      expect(yield* RateLimiter.state(limiter)).toMatchObject({
        requestsPerMinute: 60,
        tokensPerMinute: 30_000,
        requestsAvailable: 2,
        tokensAvailable: 30_000
      })
    }))

  it.effect("takes numbers as well, and nothing from headers that say nothing", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: "learned" })
      const events = yield* recorded(Effect.gen(function*() {
        yield* RateLimiter.learn(limiter, { "content-type": "text/plain" })
        yield* RateLimiter.learn(limiter, {})
        expect((yield* RateLimiter.state(limiter)).requestsPerMinute).toBe(Infinity)
        yield* RateLimiter.learn(limiter, { requestsPerMinute: 60, requestsRemaining: 0 })
      }))
      expect(events.length).toBe(1)
      const fiber = yield* Effect.fork(RateLimiter.apply(Clock.currentTimeMillis, limiter))
      yield* TestClock.adjust("1 seconds")
      expect(yield* Fiber.join(fiber)).toBe(1_000)
    }))

  it.effect("slows down those who wait already, and refuses what can no longer pass", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", tokensPerMinute: 60_000, burst: 0 })
      const call = (tokens: number) =>
        Effect.zipLeft(
          Effect.fork(Effect.either(RateLimiter.applyCost(Clock.currentTimeMillis, limiter, { tokens }))),
          Effect.yieldNow()
        )
      const small = yield* call(6_000)
      const probe = yield* call(50_000)
      const large = yield* call(50_000)
      yield* RateLimiter.learn(limiter, { tokensPerMinute: 30_000, tokensRemaining: 0 })
      expect(yield* Fiber.join(large)).toMatchObject({ left: { reason: "cost", limit: 30_000 } })
      yield* TestClock.adjust("12 seconds")
      expect(yield* Fiber.join(small)).toMatchObject({ right: 12_000 })
      // One that is above the learned limit pays what is saved up, and its reply may tell the limit anew.
      yield* TestClock.adjust("2 millis")
      expect(yield* Fiber.join(probe)).toMatchObject({ right: 12_002 })
    }))
})

describe("Events", () => {
  it.effect("tell who waits and who is refused, and nothing while there is room", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...smooth, maxWait: "1 seconds" })
      const events = yield* recorded(Effect.gen(function*() {
        yield* RateLimiter.apply(Effect.void, limiter)
        const waiting = yield* Effect.fork(RateLimiter.apply(Effect.void, limiter))
        yield* Effect.yieldNow()
        yield* Effect.flip(RateLimiter.apply(Effect.void, limiter))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(waiting)
      }))
      expect(events).toMatchObject([
        { _tag: "RateLimitDelayed", at: 0, name: "openai", wait: Duration.seconds(1) },
        { _tag: "RateLimitRefused", at: 0, name: "openai", reason: "rate", retryAfter: Duration.seconds(2) }
      ])
    }))
})

describe("Options", () => {
  const problems = (options: object) =>
    Effect.map(
      Effect.flip(RateLimiter.make({ name: "a", requestsPerMinute: 60, ...options })),
      (error) => error.issues.map(({ allowed, path }) => `${path}: ${allowed}`)
    )

  it.effect("a rate of zero or less is refused with the remedy", () =>
    Effect.gen(function*() {
      for (const rate of [0, -1, NaN, Infinity, "60"]) {
        expect(yield* problems({ requestsPerMinute: rate })).toEqual([
          "requestsPerMinute: requests a minute, above zero (at least 0.0001) and finite: to let nothing through, do " +
          "not call; for no limit, leave the field out; for the limit the other side tells, \"learned\""
        ])
      }
      expect((yield* problems({ tokensPerMinute: 0 }))[0]).toContain("tokensPerMinute: tokens a minute, above zero")
    }))

  it.effect("a rate so low that its arithmetic would limit nothing is refused", () =>
    Effect.gen(function*() {
      for (const rate of [1e-320, Number.MIN_VALUE, 1e-300, 0.9999e-4]) {
        expect((yield* problems({ requestsPerMinute: rate }))[0]).toContain("at least 0.0001")
      }
      const slow = yield* RateLimiter.make({ name: "a", requestsPerMinute: 1e-4, onExceeded: "fail" })
      yield* RateLimiter.apply(Effect.void, slow)
      expect(yield* Effect.flip(RateLimiter.apply(Effect.void, slow))).toMatchObject({
        retryAfter: Duration.millis(6e8)
      })
    }))

  it.effect("a limiter without limits is refused", () =>
    Effect.gen(function*() {
      expect(yield* problems({ requestsPerMinute: undefined })).toEqual([
        ": requestsPerMinute, tokensPerMinute or both (\"learned\" takes a limit from the reply headers)"
      ])
    }))

  it.effect("everything wrong is told at once", () =>
    Effect.gen(function*() {
      const all = yield* problems({ name: " ", burst: 2, onExceeded: "fail", maxWait: "1 seconds", key: "", rpm: 3 })
      expect(all.map((line) => line.split(":")[0])).toEqual(["rpm", "name", "burst", "key", "maxWait"])
      expect((yield* problems({ maxWait: 0 }))[0]).toContain("maxWait: a duration above zero")
    }))

  it.effect("describe themselves in a line", () =>
    Effect.gen(function*() {
      expect(RateLimiter.describe(yield* RateLimiter.make(smooth))).toBe(
        "rate limiter \"openai\": 60 requests and any number of tokens a minute, burst 0, waits as long as it takes"
      )
      expect(RateLimiter.describe(yield* RateLimiter.make({ name: "a", tokensPerMinute: 5, onExceeded: "fail" }))).toBe(
        "rate limiter \"a\": any number of requests and 5 tokens a minute, burst 1, fails when exceeded"
      )
    }))
})

describe("The halves of a call", () => {
  it.effect("reserve, then settle or release", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ name: "a", requestsPerMinute: 60, tokensPerMinute: 60_000 })
      const first = yield* RateLimiter.reserve(limiter, { tokens: 1_000 })
      yield* RateLimiter.settle(limiter, first, 300)
      yield* RateLimiter.release(limiter, yield* RateLimiter.reserve(limiter, { tokens: 500 }))
      expect(yield* RateLimiter.state(limiter)).toMatchObject({ requestsAvailable: 59, tokensAvailable: 59_700 })
    }))

  it.effect("admit and settle in one step, without an effect round each", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.make({ ...smooth, tokensPerMinute: 60_000 })
      const granted = Call.admit(limiter, 0, { tokens: 1 })
      if (granted?._tag !== "Granted") return expect(granted).toBe("granted")
      const fiber = yield* Effect.fork(Effect.uninterruptibleMask((restore) => {
        const admission = Call.admit(limiter, 0)
        return admission === undefined ? Effect.die("no store here") : Call.enter(limiter, admission, restore)
      }))
      yield* Effect.yieldNow()
      yield* Call.settleExit(limiter, granted, Exit.succeed(1))
      const hint = new RateLimited({ provider: "p", retryAfter: Duration.seconds(4) })
      const { events, monitor } = yield* Monitor.recorder
      yield* Effect.provide(Call.settleExit(limiter, granted, Exit.fail(hint)), Monitor.layer(monitor))
      expect(yield* events).toMatchObject([{ _tag: "RateLimitPaused", until: 4_000 }])
      yield* TestClock.adjust("4 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Granted" })
    }))
})
