import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import { RetriesExhausted } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

class Busy extends Data.TaggedError("Busy")<{ readonly attempt: number }> {}
class Wrong extends Data.TaggedError("Wrong")<{}> {}

const everySecond = RetryPolicy.constant("1 second")
const doubling = RetryPolicy.exponential({ initial: "1 second" })

/** Notes when each attempt starts, takes a while, fails until the last of `failures` is used up, then succeeds. */
const flaky = <E>(
  failures: ReadonlyArray<E> | ((attempt: number) => E | undefined),
  takes: Duration.DurationInput = 0
) =>
  Effect.gen(function*() {
    const starts = yield* Ref.make<ReadonlyArray<number>>([])
    const call = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const attempt = (yield* Ref.updateAndGet(starts, (all) => [...all, now])).length
      yield* Effect.sleep(takes)
      const error = typeof failures === "function" ? failures(attempt) : failures[attempt - 1]
      return yield* error === undefined ? Effect.succeed(`ok ${attempt}`) : Effect.fail(error)
    })
    return { call, starts: Ref.get(starts) }
  })

const always = <E>(error: E) => () => error

/** Runs to the end, with as much virtual time as it takes. */
const finish = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("30 days")
    return yield* fiber.await
  })

const recorded = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const { events, monitor } = yield* Monitor.recorder
    const exit = yield* finish(effect).pipe(Effect.provide(Monitor.layer(monitor)))
    return { exit, events: yield* events }
  })

describe("Retry.apply", () => {
  it.effect("runs once when the first attempt succeeds", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky([])
      expect(yield* finish(Retry.apply(call, doubling))).toEqual(Exit.succeed("ok 1"))
      expect(yield* starts).toEqual([0])
    }))

  it.effect("attempts at the times the policy says, to the millisecond", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky(["a", "b", "c"])
      expect(yield* finish(call.pipe(Retry.apply(doubling)))).toEqual(Exit.succeed("ok 4"))
      expect(yield* starts).toEqual([0, 1_000, 3_000, 7_000])
    }))

  it.effect("waits from the end of an attempt, not from its start", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky(["a", "b"], "5 seconds")
      yield* finish(call.pipe(Retry.apply(everySecond)))
      expect(yield* starts).toEqual([0, 6_000, 12_000])
    }))

  it.effect("lets the last error through as it is", () =>
    Effect.gen(function*() {
      const errors = [new Busy({ attempt: 1 }), new Busy({ attempt: 2 }), new Busy({ attempt: 3 })]
      const { call } = yield* flaky((attempt) => errors[attempt - 1])
      const exit = yield* finish(call.pipe(Retry.apply(everySecond.pipe(RetryPolicy.attempts(3)))))
      expect(exit).toStrictEqual(Exit.fail(errors[2]))
    }))

  it.effect("jitter comes from Random, so the same seed gives the same times", () =>
    Effect.gen(function*() {
      const once = Effect.gen(function*() {
        const { call, starts } = yield* flaky(["a", "b", "c"])
        const begun = yield* Clock.currentTimeMillis
        yield* finish(call.pipe(Retry.apply(RetryPolicy.jittered(doubling, "full")))).pipe(
          Effect.withRandom(Random.make("seed"))
        )
        return (yield* starts).map((at) => at - begun)
      })
      const first = yield* once
      expect(yield* once).toEqual(first)
      expect(new Set(first).size).toBe(4)
    }))

  it.effect("stops at once on a verdict other than Retry", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky(always(new ModelError.Authentication({ provider: "openai" })))
      yield* finish(call.pipe(Retry.apply(everySecond)))
      expect(yield* starts).toEqual([0])
    }))

  it.effect("takes the verdict from the predicate it is given", () =>
    Effect.gen(function*() {
      const retry = yield* Retry.make({
        policy: everySecond.pipe(RetryPolicy.attempts(5)),
        verdict: (error) => error instanceof Wrong ? Verdict.make("Fail") : Verdict.of(error)
      })
      const { call, starts } = yield* flaky<Busy | Wrong>([
        new Busy({ attempt: 1 }),
        new Wrong(),
        new Busy({ attempt: 3 })
      ])
      expect(yield* finish(Retry.apply(call, retry))).toEqual(Exit.fail(new Wrong()))
      expect(yield* starts).toEqual([0, 1_000])
    }))

  it.effect("can be run again and starts anew", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky(always("down"))
      const strengthened = Retry.apply(call, everySecond.pipe(RetryPolicy.attempts(2)))
      yield* finish(Effect.zipRight(Effect.ignore(strengthened), strengthened))
      expect(yield* starts).toEqual([0, 1_000, 1_000, 2_000])
    }))
})

describe("hints", () => {
  const limited = (seconds: number) =>
    new ModelError.RateLimited({ provider: "openai", retryAfter: Duration.seconds(seconds) })
  const policy = everySecond.pipe(RetryPolicy.honourHints({ max: "1 minute" }))

  it.effect("no attempt comes before its hint", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky([limited(7), limited(0), limited(60)])
      yield* finish(call.pipe(Retry.apply(policy)))
      expect(yield* starts).toEqual([0, 7_000, 8_000, 68_000])
    }))

  it.effect("no attempt comes before its hint in a policy that says nothing of hints, in code or in a file", () =>
    Effect.gen(function*() {
      const inFile = Either.getOrThrow(
        RetryPolicy.decode({
          backoff: "exponential",
          initial: "50 millis",
          cap: "8 seconds",
          jitter: "full",
          attempts: 4
        })
      )
      for (const silent of [everySecond, inFile]) {
        const { call, starts } = yield* flaky([limited(7), limited(60)])
        yield* finish(call.pipe(Retry.apply(silent)))
        const [first = 0, ...later] = yield* starts
        expect(later.map((at) => at - first)).toEqual([7_000, 67_000])
        const tooLong = yield* flaky(always(limited(61)))
        yield* finish(tooLong.call.pipe(Retry.apply(silent)))
        expect(yield* tooLong.starts).toHaveLength(1)
      }
    }))

  it.effect("attempts come before their hints where those are ignored", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky([limited(7), limited(600)])
      yield* finish(call.pipe(Retry.apply(RetryPolicy.ignoreHints(everySecond))))
      expect(yield* starts).toEqual([0, 1_000, 2_000])
    }))

  it.effect("a hint beyond the maximum ends it at once, with the hint in the error", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky(always(limited(31_536_000)))
      expect(yield* finish(call.pipe(Retry.apply(policy)))).toEqual(Exit.fail(limited(31_536_000)))
      expect(yield* starts).toEqual([0])
    }))

  it.effect("x-should-retry: false is stronger than any policy", () =>
    Effect.gen(function*() {
      const error = new ModelError.Overloaded({ provider: "openai", shouldRetry: false })
      const { call, starts } = yield* flaky(always(error))
      const stubborn = RetryPolicy.byError([{ on: ["Overloaded"], use: everySecond }])
      yield* finish(call.pipe(Retry.apply(stubborn)))
      expect(yield* starts).toEqual([0])
    }))

  it.effect("not even a timer that fires early brings an attempt before its hint", () =>
    Effect.gen(function*() {
      let now = 0
      const sleeps: Array<number> = []
      // A platform whose timers always come 0.6 of the way, as coarse or coalesced timers may.
      const hasty: Clock.Clock = {
        ...Clock.make(),
        unsafeCurrentTimeMillis: () => now,
        unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
        currentTimeMillis: Effect.sync(() => now),
        sleep: (duration) =>
          Effect.sync(() => {
            sleeps.push(Duration.toMillis(duration))
            now += Math.max(1, Math.floor(Duration.toMillis(duration) * 0.6))
          })
      }
      const starts: Array<number> = []
      const call = Effect.suspend(() => {
        starts.push(now)
        return starts.length < 3 ? Effect.fail(limited(2)) : Effect.void
      })
      yield* call.pipe(Retry.apply(policy), Effect.withClock(hasty))
      expect(starts).toEqual([0, 2_000, 4_000])
      expect(sleeps.length).toBeGreaterThan(2)
    }))
})

describe("deadline", () => {
  it.effect("counts from the start of the first attempt, so a slow first attempt uses it up", () =>
    Effect.gen(function*() {
      const policy = everySecond.pipe(RetryPolicy.within("10 seconds"))
      const slow = yield* flaky(always("down"), "9500 millis")
      yield* finish(slow.call.pipe(Retry.apply(policy)))
      expect(yield* slow.starts).toEqual([0])
    }))

  it.effect("a wait may end at the deadline, but not after it", () =>
    Effect.gen(function*() {
      const { call, starts } = yield* flaky(always("down"))
      const exit = yield* finish(call.pipe(Retry.apply(doubling.pipe(RetryPolicy.within("7 seconds")))))
      expect(exit).toEqual(Exit.fail("down"))
      expect(yield* starts).toEqual([0, 1_000, 3_000, 7_000])
    }))

  it.effect("gives up at once instead of waiting in vain", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky(always("down"))
      const fiber = yield* Effect.fork(Retry.apply(call, doubling.pipe(RetryPolicy.within("4 seconds"))))
      yield* TestClock.adjust("3 seconds")
      expect(Option.isSome(yield* Fiber.poll(fiber))).toBe(true)
    }))
})

describe("byError", () => {
  it.effect("each rule has its own limit of attempts and its own growing delays", () =>
    Effect.gen(function*() {
      const policy = RetryPolicy.byError([
        { on: ["Busy"], use: doubling.pipe(RetryPolicy.attempts(3)) },
        { on: ["Wrong"], use: RetryPolicy.constant("1 minute").pipe(RetryPolicy.attempts(2)) }
      ])
      const busy = new Busy({ attempt: 0 })
      const { call, starts } = yield* flaky<Busy | Wrong>([busy, new Wrong(), busy, busy, busy])
      expect(yield* finish(call.pipe(Retry.apply(policy)))).toEqual(Exit.fail(busy))
      expect(yield* starts).toEqual([0, 1_000, 61_000, 63_000])
    }))

  it.effect("an error without a rule is not retried unless otherwise says so", () =>
    Effect.gen(function*() {
      const rules = [{ on: ["Busy"], use: everySecond }]
      const strict = yield* flaky([new Wrong()])
      yield* finish(strict.call.pipe(Retry.apply(RetryPolicy.byError(rules))))
      expect((yield* strict.starts).length).toBe(1)
      const kind = yield* flaky([new Wrong()])
      yield* finish(kind.call.pipe(Retry.apply(RetryPolicy.byError(rules, { otherwise: everySecond }))))
      expect((yield* kind.starts).length).toBe(2)
    }))
})

describe("CurrentAttempt", () => {
  it.effect("is the first attempt outside of any retry", () =>
    Effect.gen(function*() {
      expect(yield* Retry.CurrentAttempt).toEqual({ number: 1, previousError: Option.none() })
    }))

  it.effect("tells the attempt its number and the error before it", () =>
    Effect.gen(function*() {
      const seen: Array<Retry.Attempt> = []
      const call = Effect.gen(function*() {
        const attempt = yield* Retry.CurrentAttempt
        seen.push(attempt)
        return yield* Effect.fail(`error ${attempt.number}`)
      })
      yield* finish(call.pipe(Retry.apply(everySecond.pipe(RetryPolicy.attempts(3)))))
      expect(seen).toEqual([
        { number: 1, previousError: Option.none() },
        { number: 2, previousError: Option.some("error 1") },
        { number: 3, previousError: Option.some("error 2") }
      ])
      expect(yield* Retry.CurrentAttempt).toEqual({ number: 1, previousError: Option.none() })
    }))

  it.effect("an inner retry counts for itself", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const call = Effect.flatMap(Retry.CurrentAttempt, (attempt) => {
        seen.push(attempt.number)
        return Effect.fail("down")
      })
      const twice = everySecond.pipe(RetryPolicy.attempts(2))
      yield* finish(call.pipe(Retry.apply(twice), Retry.apply(twice)))
      expect(seen).toEqual([1, 2, 1, 2])
    }))
})

describe("events", () => {
  it.effect("tell every decision, with times and under the name of the retry", () =>
    Effect.gen(function*() {
      const retry = yield* Retry.make({ name: "chat", policy: doubling.pipe(RetryPolicy.attempts(3)) })
      const { call } = yield* flaky(always("down"), "500 millis")
      const { events } = yield* recorded(Retry.apply(call, retry))
      const of = { name: "chat", error: "down" }
      expect(events).toEqual([
        Event.Retried({ ...of, at: 500, attempt: 1, elapsed: Duration.millis(500), delay: Duration.seconds(1) }),
        Event.Retried({ ...of, at: 2_000, attempt: 2, elapsed: Duration.millis(2_000), delay: Duration.seconds(2) }),
        Event.GaveUp({ ...of, at: 4_500, attempt: 3, elapsed: Duration.millis(4_500), reason: "no attempts are left" })
      ])
    }))

  it.effect("tell a recovery, but nothing of a call that goes well", () =>
    Effect.gen(function*() {
      const good = yield* flaky([])
      expect((yield* recorded(Retry.apply(good.call, doubling))).events).toEqual([])
      const begun = yield* Clock.currentTimeMillis
      const bad = yield* flaky(["down"])
      const { events } = yield* recorded(Retry.apply(bad.call, doubling))
      expect(events.at(-1)).toEqual(
        Event.Recovered({ at: begun + 1_000, name: "retry", attempt: 2, elapsed: Duration.seconds(1) })
      )
    }))

  it.effect("say why it gave up", () =>
    Effect.gen(function*() {
      const limited = new ModelError.RateLimited({ provider: "openai", retryAfter: Duration.hours(1) })
      const reasonFor = (policy: RetryPolicy.RetryPolicy, error: unknown) =>
        Effect.map(
          recorded(Retry.apply(Effect.fail(error), policy)),
          ({ events }) => events.filter(Event.is("GaveUp")).map((event) => event.reason)
        )
      expect(yield* reasonFor(RetryPolicy.never, "x")).toEqual(["the policy never retries"])
      expect(yield* reasonFor(everySecond, new ModelError.Authentication({ provider: "openai" })))
        .toEqual(["its verdict is not to retry"])
      expect(yield* reasonFor(RetryPolicy.byError([{ on: ["Busy"], use: everySecond }]), "x"))
        .toEqual(["no rule names this error"])
      expect(yield* reasonFor(everySecond.pipe(RetryPolicy.within("500 millis")), "x"))
        .toEqual(["the wait would cross the deadline"])
      expect(yield* reasonFor(everySecond.pipe(RetryPolicy.honourHints()), limited))
        .toEqual(["the other side asks for a longer wait than the policy honours"])
    }))

  it.effect("a monitor that breaks does not break the call", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky(["down"])
      const broken = Monitor.layer(Monitor.make(() => Effect.die("broken")))
      expect(yield* finish(call.pipe(Retry.apply(doubling), Effect.provide(broken)))).toEqual(Exit.succeed("ok 2"))
    }))
})

describe("applyWithReport", () => {
  it.effect("gives the value with attempts, elapsed time and the log", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky([new Busy({ attempt: 1 }), "down"], "500 millis")
      expect(yield* finish(Retry.applyWithReport(call, doubling))).toEqual(Exit.succeed({
        value: "ok 3",
        attempts: 3,
        elapsed: Duration.millis(4_500),
        log: [
          {
            attempt: 1,
            elapsed: Duration.millis(500),
            error: "Busy",
            message: "Busy",
            decision: "retry",
            delay: Duration.seconds(1)
          },
          {
            attempt: 2,
            elapsed: Duration.millis(2_000),
            error: "string",
            message: "down",
            decision: "retry",
            delay: Duration.seconds(2)
          }
        ]
      }))
    }))

  it.effect("an untroubled call has one attempt and an empty log", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky([], "2 seconds")
      expect(yield* finish(call.pipe(Retry.applyWithReport(doubling))))
        .toEqual(Exit.succeed({ value: "ok 1", attempts: 1, elapsed: Duration.seconds(2), log: [] }))
    }))

  it.effect("fails with the caller's own error", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky(always("down"))
      expect(yield* finish(call.pipe(Retry.applyWithReport(RetryPolicy.never)))).toEqual(Exit.fail("down"))
    }))

  it.effect("each run has a log of its own", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky((attempt) => attempt % 2 === 1 ? "down" : undefined)
      const once = Retry.applyWithReport(call, everySecond)
      const exit = yield* finish(Effect.all([once, once]))
      expect(Exit.map(exit, (reports) => reports.map((report) => report.log.length))).toEqual(Exit.succeed([1, 1]))
    }))
})

describe("applyOrExhausted", () => {
  it.effect("boxes the last error with the whole log", () =>
    Effect.gen(function*() {
      const busy = new Busy({ attempt: 2 })
      const { call } = yield* flaky(["down", busy])
      const exit = yield* finish(Retry.applyOrExhausted(call, doubling.pipe(RetryPolicy.attempts(2))))
      const error = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
      expect(error).toBeInstanceOf(RetriesExhausted)
      expect(error?.lastError).toBe(busy)
      expect(error).toMatchObject({ attempts: 2, elapsed: Duration.seconds(1) })
      expect(error?.log.map((failed) => [failed.attempt, failed.error, failed.decision, failed.reason])).toEqual([
        [1, "string", "retry", undefined],
        [2, "Busy", "stop", "no attempts are left"]
      ])
    }))

  it.effect("passes the value through", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky(["down"])
      expect(yield* finish(call.pipe(Retry.applyOrExhausted(doubling)))).toEqual(Exit.succeed("ok 2"))
    }))

  it.effect("the log of failures holds no credential", () =>
    Effect.gen(function*() {
      const { call } = yield* flaky(always(new Error("x-api-key: tOpSeCrEt0123456789")))
      const exit = yield* finish(Effect.flip(Retry.applyOrExhausted(call, RetryPolicy.never)))
      expect(Exit.isSuccess(exit) && exit.value.log[0]?.message).toBe("x-api-key: [redacted]")
      expect(JSON.stringify(exit)).not.toContain("tOpS")
    }))
})

describe("Retry.make", () => {
  it.effect("uses the standard policy under the name retry by default", () =>
    Effect.gen(function*() {
      const retry = yield* Retry.make({})
      expect(retry.name).toBe("retry")
      expect(retry.policy).toBe(RetryPolicy.standard)
    }))

  it.effect("refuses a policy that can never retry, and says what to do", () =>
    Effect.gen(function*() {
      const policy = RetryPolicy.constant("1 minute").pipe(RetryPolicy.within("1 second"))
      const error = yield* Effect.flip(Retry.make({ policy, name: " " }))
      expect(error._tag).toBe("InvalidOptions")
      expect(error.issues.map((issue) => issue.path)).toEqual(["name", "policy"])
      expect(error.message).toContain("RetryPolicy.never")
    }))

  it.effect("takes a policy that says of itself that it never retries", () =>
    Effect.gen(function*() {
      const retry = yield* Retry.make({ policy: RetryPolicy.never })
      const { call, starts } = yield* flaky(always("down"))
      yield* finish(Retry.apply(call, retry))
      expect(yield* starts).toEqual([0])
    }))
})
