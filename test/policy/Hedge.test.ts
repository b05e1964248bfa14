import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { InvalidRequest, RateLimited, ServerError } from "../../src/error/ModelError.ts"
import { CircuitOpen } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

/** What one attempt does, and when. */
interface Script {
  readonly after: number
  readonly fail?: unknown
  readonly die?: boolean
}

/** A call whose attempts follow a script, with a book of what happened. */
const scripted = (...scripts: ReadonlyArray<Script>) => {
  const started: Array<number> = []
  const interrupted: Array<number> = []
  const finished: Array<number> = []
  const call = Effect.gen(function*() {
    const n = yield* Hedge.CurrentAttempt
    started.push(yield* Clock.currentTimeMillis)
    const script = scripts[n - 1] ?? { after: 0 }
    return yield* Effect.sleep(script.after).pipe(
      Effect.zipRight(
        script.die === true
          ? Effect.die("boom")
          : "fail" in script
          ? Effect.fail(script.fail)
          : Effect.succeed(`answer ${n}`)
      ),
      Effect.onExit((exit) => Effect.sync(() => void (Exit.isInterrupted(exit) ? interrupted : finished).push(n)))
    )
  })
  return { call, started, interrupted, finished }
}

const transient = (text = "down") => new ServerError({ provider: "test", detail: text, status: 500 })
const fatal = new InvalidRequest({ provider: "test" })
const throttled = new RateLimited({ provider: "test" })

const make = (options: Partial<Hedge.Options>) => Hedge.make({ delay: "100 millis", budget: "none", ...options })

/** Runs to the end, with a minute of time; tells the result, when it came, and the events. */
const run = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const { events, monitor } = yield* Monitor.recorder
    const fiber = yield* effect.pipe(
      Effect.exit,
      Effect.zip(Clock.currentTimeMillis),
      Effect.provide(Monitor.layer(monitor)),
      Effect.fork
    )
    yield* TestClock.adjust("1 minute")
    const [exit, at] = yield* Fiber.join(fiber)
    return { exit, at, events: (yield* events).map(Event.describe) }
  })

const errorOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  Option.getOrUndefined(
    Option.flatMap(Exit.causeOption(exit), (cause) => cause._tag === "Fail" ? Option.some(cause.error) : Option.none())
  )

describe("Hedge", () => {
  it.effect("sends no hedge when the first attempt is fast", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ delay: "2 seconds" })
      const { call, started } = scripted({ after: 100 })
      const { at, events, exit } = yield* run(call.pipe(Hedge.applyWithReport(hedge)))
      expect(exit).toEqual(Exit.succeed({ value: "answer 1", attempts: 1, winner: 1, elapsed: Duration.millis(100) }))
      expect([at, started, events]).toEqual([100, [0], []])
    }))

  it.effect("starts one after the delay when it is slow; the first success wins, the loser is interrupted", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ name: "openai" })
      const { call, interrupted, started } = scripted({ after: 10_000 }, { after: 10 })
      const { at, events, exit } = yield* run(call.pipe(Hedge.applyWithReport(hedge)))
      expect(exit).toEqual(Exit.succeed({ value: "answer 2", attempts: 2, winner: 2, elapsed: Duration.millis(110) }))
      expect([at, started, interrupted]).toEqual([110, [0, 100], [1]])
      expect(events).toEqual([
        "openai: started attempt 2 beside the running ones",
        "openai: attempt 2 answered first"
      ])
    }))

  it.effect("the first attempt may still win", () =>
    Effect.gen(function*() {
      const hedge = yield* make({})
      const { call, interrupted } = scripted({ after: 150 }, { after: 1_000 })
      const { at, events, exit } = yield* run(call.pipe(Hedge.applyWithReport(hedge)))
      expect(exit).toMatchObject(Exit.succeed({ value: "answer 1", attempts: 2, winner: 1 }))
      expect([at, interrupted, events.length]).toEqual([150, [2], 1])
    }))

  it.effect("starts a further one after each delay, up to the most", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ maxHedges: 3 })
      const { call, interrupted, started } = scripted({ after: 5_000 }, { after: 5_000 }, { after: 5_000 }, {
        after: 700
      })
      const { at, exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect(exit).toEqual(Exit.succeed("answer 4"))
      expect([at, started, interrupted.sort()]).toEqual([1_000, [0, 100, 200, 300], [1, 2, 3]])
    }))

  it.effect("starts the next at once when the running ones have failed", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ delay: "10 seconds", maxHedges: 2 })
      const { call, started } = scripted({ after: 5, fail: transient() }, { after: 5, fail: transient() }, { after: 5 })
      const { at, exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect(exit).toEqual(Exit.succeed("answer 3"))
      expect([at, started]).toEqual([15, [0, 5, 10]])
    }))

  it.effect("waits for slowness anew after a replacement", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ maxHedges: 2 })
      const { call, started } = scripted({ after: 50, fail: transient() }, { after: 5_000 }, { after: 5 })
      const { at, exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect(exit).toEqual(Exit.succeed("answer 3"))
      expect([at, started]).toEqual([155, [0, 50, 150]])
    }))

  it.effect("does not start another while one is still running", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ maxHedges: 2 })
      const { call, started } = scripted({ after: 190 }, { after: 20, fail: transient() }, { after: 5 })
      const { at, exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect([at, exit, started]).toEqual([190, Exit.succeed("answer 1"), [0, 100]])
    }))

  it.effect("with no delay all start together", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ delay: 0, maxHedges: 2 })
      const { call, interrupted, started } = scripted({ after: 30 }, { after: 20 }, { after: 10 })
      const { at, exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect([at, exit, started, interrupted.sort()]).toEqual([10, Exit.succeed("answer 3"), [0, 0, 0], [1, 2]])
    }))

  it.effect("with an infinite delay one follows the other, and only after a failure", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ delay: Duration.infinity, maxHedges: 2 })
      const slow = scripted({ after: 30_000 })
      expect((yield* run(slow.call.pipe(Hedge.apply(hedge)))).exit).toEqual(Exit.succeed("answer 1"))
      expect(slow.started.length).toBe(1)
      const failing = scripted({ after: 1_000, fail: transient() }, { after: 1_000, fail: transient() }, {
        after: 1_000
      })
      const { exit } = yield* run(failing.call.pipe(Hedge.apply(hedge)))
      expect(exit).toEqual(Exit.succeed("answer 3"))
      expect(failing.started.map((at) => at - 60_000)).toEqual([0, 1_000, 2_000])
    }))

  it.effect("surfaces the first attempt's error when all fail", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ maxHedges: 3 })
      const errors = ["E0", "E1", "E2", "E3"].map(transient)
      const { call, started } = scripted(...errors.map((fail, i) => ({ after: 500 - i * 100, fail })))
      const { exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect(errorOf(exit)).toBe(errors[0])
      expect(started.length).toBe(4)
    }))

  it.effect("an error that nobody may repeat ends the call at once", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ maxHedges: 3 })
      const { call, interrupted } = scripted({ after: 10_000 }, { after: 10, fail: fatal })
      const { at, exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect(errorOf(exit)).toBe(fatal)
      expect([at, interrupted]).toEqual([110, [1]])
    }))

  it.effect("a defect ends the call at once", () =>
    Effect.gen(function*() {
      const { at, exit } = yield* run(scripted({ after: 10, die: true }).call.pipe(Hedge.apply(yield* make({}))))
      expect([at, exit]).toEqual([10, Exit.die("boom")])
    }))

  it.effect("a throttle or a refusal of our own starts no further attempt, and does not end those that run", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ maxHedges: 3 })
      const alone = scripted({ after: 10, fail: throttled })
      expect(errorOf((yield* run(alone.call.pipe(Hedge.apply(hedge)))).exit)).toBe(throttled)
      expect(alone.started.length).toBe(1)
      const open = new CircuitOpen({ name: "openai", retryAfter: Duration.seconds(1) })
      for (const fail of [throttled, open]) {
        const beside = scripted({ after: 5_000 }, { after: 10, fail })
        expect((yield* run(beside.call.pipe(Hedge.apply(hedge)))).exit).toEqual(Exit.succeed("answer 1"))
        expect(beside.started.length).toBe(2)
      }
    }))

  it.effect("judges errors as it is told", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ verdict: () => Verdict.make("Fail") })
      const { call, started } = scripted({ after: 10, fail: "no" }, { after: 10 })
      expect(errorOf((yield* run(call.pipe(Hedge.apply(hedge)))).exit)).toBe("no")
      expect(started.length).toBe(1)
    }))

  it.effect("does not wait for a loser that cannot be interrupted, and drops what it brings", () =>
    Effect.gen(function*() {
      const hedge = yield* make({})
      const finished: Array<number> = []
      const call = Effect.gen(function*() {
        const n = yield* Hedge.CurrentAttempt
        const work = Effect.zipRight(Effect.sleep(n === 1 ? 10_000 : 10), Effect.sync(() => finished.push(n)))
        yield* Effect.uninterruptible(work)
        return n
      })
      const { at, exit } = yield* run(call.pipe(Hedge.apply(hedge)))
      expect([at, exit, finished]).toEqual([110, Exit.succeed(2), [2, 1]])
    }))

  it.effect("releases what a loser had acquired", () =>
    Effect.gen(function*() {
      const released: Array<number> = []
      const call = Effect.gen(function*() {
        const n = yield* Hedge.CurrentAttempt
        yield* Effect.acquireRelease(Effect.succeed(n), () => Effect.sync(() => released.push(n)))
        yield* Effect.sleep(n === 1 ? 10_000 : 10)
        return n
      })
      yield* run(Effect.scoped(call).pipe(Hedge.apply(yield* make({}))))
      expect(released.sort()).toEqual([1, 2])
    }))

  it.effect("interrupts every attempt with the caller, and waits for them", () =>
    Effect.gen(function*() {
      const hedge = yield* make({ maxHedges: 2 })
      const { call, interrupted, started } = scripted({ after: 10_000 }, { after: 10_000 }, { after: 10_000 })
      const fiber = yield* Effect.fork(call.pipe(Hedge.apply(hedge)))
      yield* TestClock.adjust("1 second")
      expect(started.length).toBe(3)
      yield* Fiber.interrupt(fiber)
      expect(interrupted.sort()).toEqual([1, 2, 3])
    }))

  it.effect("starts no hedge after the caller was interrupted", () =>
    Effect.gen(function*() {
      const { call, started } = scripted({ after: 10_000 })
      const fiber = yield* Effect.fork(call.pipe(Hedge.apply(yield* make({}))))
      yield* TestClock.adjust("50 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      expect(started.length).toBe(1)
    }))

  it.effect("costs one fiber when the first attempt is done without waiting", () =>
    Effect.gen(function*() {
      const hedge = yield* make({})
      let forks = 0
      expect(yield* Effect.sync(() => ++forks).pipe(Hedge.apply(hedge))).toBe(1)
      expect(forks).toBe(1)
    }))

  it.effect("keeps what the winner did to fiber-local state, and not what the loser did", () =>
    Effect.gen(function*() {
      const ref = yield* FiberRef.make("before")
      const call = Effect.gen(function*() {
        const n = yield* Hedge.CurrentAttempt
        yield* FiberRef.set(ref, `attempt ${n}`)
        yield* Effect.sleep(n === 1 ? 10_000 : 10)
      })
      const { exit } = yield* run(call.pipe(Hedge.apply(yield* make({})), Effect.zipRight(FiberRef.get(ref))))
      expect(exit).toEqual(Exit.succeed("attempt 2"))
    }).pipe(Effect.scoped))

  it.effect("a hedge within a hedge counts its own attempts", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const call = Effect.flatMap(Hedge.CurrentAttempt, (n) => Effect.sync(() => seen.push(n)))
      const inner = call.pipe(Hedge.apply(yield* make({})))
      const outer = Effect.flatMap(Hedge.CurrentAttempt, (n) => n === 1 ? Effect.never : inner)
      yield* run(outer.pipe(Hedge.apply(yield* make({}))))
      expect(seen).toEqual([1])
    }))
})

describe("Hedge with a budget", () => {
  it.effect("starts no hedge without leave, says so once, and never fails the call", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ name: "shared", form: RetryBudget.share({ ratio: 0, minimum: 1 }) })
      const hedge = yield* make({ budget, maxHedges: 3 })
      const gate = yield* Deferred.make<void>()
      const hog = yield* Effect.fork(
        Effect.never.pipe(Hedge.apply(hedge), Effect.zipRight(Deferred.succeed(gate, void 0)))
      )
      yield* TestClock.adjust("100 millis")
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 1, hedges: 1, available: 0 })
      const { call, started } = scripted({ after: 500 })
      const { events, exit } = yield* run(call.pipe(Hedge.applyWithReport(hedge)))
      expect(exit).toMatchObject(Exit.succeed({ value: "answer 1", attempts: 1 }))
      expect([started.length, events]).toEqual([1, ["shared: no budget for attempt 2"]])
      yield* Fiber.interrupt(hog)
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
    }))

  it.effect("the original error comes through when there is no leave to replace a failed attempt", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ form: RetryBudget.share({ ratio: 0, minimum: 0 }) })
      const failure = transient()
      const { call, started } = scripted({ after: 10, fail: failure })
      const { events, exit } = yield* run(call.pipe(Hedge.apply(yield* make({ budget }))))
      expect(errorOf(exit)).toBe(failure)
      expect([started.length, events]).toEqual([1, ["retryBudget: no budget for attempt 2"]])
    }))

  it.effect("gives its place back when the hedge has ended, and not before", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const hedge = yield* make({ budget })
      const call = Effect.flatMap(Hedge.CurrentAttempt, (n) =>
        n === 1 ? Effect.sleep("150 millis") : Effect.uninterruptible(Effect.sleep("1 second")))
      yield* Effect.fork(call.pipe(Hedge.apply(hedge)))
      yield* TestClock.adjust("200 millis")
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 0, hedges: 1 })
      yield* TestClock.adjust("1 second")
      expect(yield* RetryBudget.stats(budget)).toMatchObject({ calls: 0, hedges: 0 })
    }))

  it.effect("does not leak its call into what the caller does next", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const hedge = yield* make({ budget })
      const next = RetryBudget.apply(RetryBudget.stats(budget), budget)
      const { exit } = yield* run(Effect.void.pipe(Hedge.apply(hedge), Effect.zipRight(next)))
      expect(exit).toMatchObject(Exit.succeed({ calls: 1 }))
      const slow = scripted({ after: 10_000 }, { after: 10 }).call
      expect((yield* run(slow.pipe(Hedge.apply(hedge), Effect.zipRight(next)))).exit)
        .toMatchObject(Exit.succeed({ calls: 1 }))
    }))

  it.effect("counts one call with all that runs within it", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make()
      const hedge = yield* make({ budget })
      const within = RetryBudget.stats(budget).pipe(RetryBudget.apply(budget), Hedge.apply(hedge))
      expect((yield* within.pipe(RetryBudget.apply(budget))).calls).toBe(1)
      expect((yield* RetryBudget.stats(budget)).calls).toBe(0)
    }))

  it.effect("a hedge that wins does not get its tokens back", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({
        form: RetryBudget.tokens({ capacity: 100, cost: 10, throttlingCost: 5 })
      })
      yield* run(scripted({ after: 10_000 }, { after: 10 }).call.pipe(Hedge.apply(yield* make({ budget }))))
      expect(budget.cell.state.level).toBe(90)
    }))
})

describe("Hedge with a learned delay", () => {
  const learned = (options?: Partial<Hedge.LearnedDelay>) => make({ delay: { quantile: 0.95, ...options } })
  const answers = (hedge: Hedge.Hedge, latencies: ReadonlyArray<number>) =>
    Effect.gen(function*() {
      for (const latency of latencies) {
        const fiber = yield* Effect.fork(Effect.sleep(latency).pipe(Hedge.apply(hedge)))
        yield* TestClock.adjust(latency)
        yield* Fiber.join(fiber)
      }
    })
  const latencies = Array.from({ length: 100 }, (_, i) => i + 1)

  it.effect("sends no hedge before there are enough samples", () =>
    Effect.gen(function*() {
      const hedge = yield* learned()
      yield* answers(hedge, latencies.slice(0, 99))
      expect(yield* Hedge.stats(hedge)).toEqual({ delay: Option.none(), samples: 99 })
      const { call, started } = scripted({ after: 30_000 })
      yield* run(call.pipe(Hedge.apply(hedge)))
      expect(started.length).toBe(1)
    }))

  it.effect("uses the initial delay until then, if there is one", () =>
    Effect.gen(function*() {
      const hedge = yield* learned({ initial: "300 millis" })
      const { call, started } = scripted({ after: 30_000 }, { after: 10 })
      yield* run(call.pipe(Hedge.apply(hedge)))
      expect(started).toEqual([0, 300])
    }))

  it.effect("learns the quantile from 100 samples on", () =>
    Effect.gen(function*() {
      const hedge = yield* learned()
      yield* answers(hedge, latencies)
      expect(yield* Hedge.stats(hedge)).toEqual({ delay: Option.some(Duration.millis(95)), samples: 100 })
      const now = yield* Clock.currentTimeMillis
      const { call, started } = scripted({ after: 30_000 }, { after: 10 })
      yield* run(call.pipe(Hedge.apply(hedge)))
      expect(started.map((at) => at - now)).toEqual([0, 95])
    }))

  it.effect("does not learn from hedges that first attempts are fast", () =>
    Effect.gen(function*() {
      const hedge = yield* learned({ initial: "100 millis" })
      for (let i = 0; i < 100; i++) {
        yield* run(scripted({ after: 30_000 }, { after: 1 }).call.pipe(Hedge.apply(hedge)))
      }
      expect((yield* Hedge.stats(hedge)).delay).toEqual(Option.some(Duration.millis(101)))
    }))
})

describe("Hedge.make", () => {
  it.effect("lists everything that is wrong", () =>
    Effect.gen(function*() {
      const wrong = { name: " ", delay: "-1 seconds", maxHedges: 11, verdict: 1 }
      const error = yield* Effect.flip(Hedge.make(JSON.parse(JSON.stringify(wrong))))
      expect(error.issues.map((issue) => issue.path)).toEqual(["name", "delay", "maxHedges", "budget", "verdict"])
      expect(error.message).toContain("budget (found nothing); allowed: a RetryBudget")
    }))

  it.effect("takes no NaN for a delay, neither fixed nor at first", () =>
    Effect.gen(function*() {
      const paths = (options: Partial<Hedge.Options>) =>
        Effect.map(Effect.flip(make(options)), (error) => error.issues.map((issue) => issue.path))
      expect(yield* paths({ delay: NaN })).toEqual(["delay"])
      expect(yield* paths({ delay: { quantile: 0.9, initial: NaN } })).toEqual(["delay.initial"])
    }))

  it.effect("checks a learned delay", () =>
    Effect.gen(function*() {
      const delay = { quantile: 0.2, minimumSamples: 99, initial: "-1 millis", speed: 1 }
      const error = yield* Effect.flip(make({ delay: JSON.parse(JSON.stringify(delay)) }))
      expect(error.issues.map((issue) => issue.path)).toEqual([
        "delay.speed",
        "delay.quantile",
        "delay.minimumSamples",
        "delay.initial"
      ])
    }))

  it.effect("describes itself in one line", () =>
    Effect.gen(function*() {
      const budget = yield* RetryBudget.make({ name: "shared" })
      expect(Hedge.describe(yield* make({ name: "a" }))).toBe("a: at most 1 further attempt after 100ms, no budget")
      expect(Hedge.describe(yield* make({ delay: Duration.infinity, maxHedges: 2, budget })))
        .toBe("hedge: at most 2 further attempts only after failures, budget shared")
      expect(Hedge.describe(yield* make({ delay: { quantile: 0.95, initial: "1 seconds" } })))
        .toBe(
          "hedge: at most 1 further attempt after what 95% of calls take (from 100 samples, before that after 1s), no budget"
        )
    }))

  it.effect("can be a layer", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.Hedge
      expect(hedge).toMatchObject({ name: "shared", maxHedges: Hedge.defaults.maxHedges })
    }).pipe(Effect.provide(Hedge.layer({ name: "shared", delay: 10, budget: "none" }))))
})
