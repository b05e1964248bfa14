import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import { TimedOut } from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

const everySecond = RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3))
const timedOut = (phase: TimedOut["phase"], seconds: number) =>
  Exit.fail(new TimedOut({ phase, limit: Duration.seconds(seconds) }))

/** Runs to the end, and tells the virtual time it took. */
const finish = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const begun = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.fork(Effect.flatMap(Effect.exit(effect), (exit) =>
      Effect.map(Clock.currentTimeMillis, (now) => ({ exit, took: now - begun }))))
    yield* TestClock.adjust("1 day")
    return yield* Fiber.join(fiber)
  })

/** Work that notes when each attempt starts. */
const noted = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const starts: Array<number> = []
  return {
    starts,
    call: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      starts.push(now)
      return effect
    })
  }
}

const issuesOf = <A>(made: Effect.Effect<A, InvalidOptions>) =>
  Effect.map(Effect.flip(made), (error) => error.issues.map((issue) => [issue.path, issue.found, issue.allowed]))

describe("a pipeline of nothing", () => {
  it.effect("changes nothing", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({})
      expect(yield* finish(Pipeline.apply(Effect.succeed(1), pipeline))).toEqual({ exit: Exit.succeed(1), took: 0 })
      expect((yield* finish(Pipeline.apply(Effect.fail("down"), pipeline))).exit).toEqual(Exit.fail("down"))
      const { call, starts } = noted(Effect.fail("down"))
      yield* finish(call.pipe(Pipeline.apply(pipeline)))
      expect(starts.length).toBe(1)
      expect(Pipeline.describe(pipeline)).toBe("pipeline: call\n  worst case: 1 attempt, 0 waiting, unbounded in all")
      expect(Pipeline.encode(pipeline)).toEqual({ name: "pipeline" })
    }))
})

describe("the order of the policies", () => {
  it.effect("is total time-out, retry, attempt time-out, call, however the options are written", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        attemptTimeout: "10 seconds",
        retry: everySecond,
        totalTimeout: "1 minute"
      })
      const places = ["total time-out", "retry", "attempt time-out", "call"].map((what) =>
        String(pipeline).indexOf(what)
      )
      expect(places).toEqual([...places].sort((a, b) => a - b))
    }))

  it.effect("each attempt has an attempt time-out of its own", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ retry: everySecond, attemptTimeout: "10 seconds" })
      const { call, starts } = noted(Effect.never)
      expect(yield* finish(Pipeline.apply(call, pipeline))).toEqual({ exit: timedOut("attempt", 10), took: 32_000 })
      expect(starts).toEqual([0, 11_000, 22_000])
    }))

  it.effect("no wait is begun that would end after the total time-out: the error comes back at once", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "15 seconds",
        retry: RetryPolicy.constant("5 seconds").pipe(RetryPolicy.attempts(4)),
        attemptTimeout: "4 seconds"
      })
      const { call, starts } = noted(Effect.never)
      expect(yield* finish(Pipeline.apply(call, pipeline))).toEqual({ exit: timedOut("attempt", 4), took: 13_000 })
      expect(starts).toEqual([0, 9_000])
    }))

  it.effect("the total time-out ends an attempt that is running, and nothing comes after it", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "12 seconds",
        retry: everySecond,
        attemptTimeout: "10 seconds"
      })
      const { call, starts } = noted(Effect.never)
      expect(yield* finish(Pipeline.apply(call, pipeline))).toEqual({ exit: timedOut("total", 12), took: 12_000 })
      expect(starts).toEqual([0, 11_000])
    }))

  it.effect("the call knows which attempt it is, through all policies", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "1 minute",
        retry: everySecond,
        attemptTimeout: "10 seconds"
      })
      const numbers: Array<number> = []
      yield* finish(Pipeline.apply(
        Effect.flatMap(Retry.CurrentAttempt, (attempt) => {
          numbers.push(attempt.number)
          return Effect.fail("down")
        }),
        pipeline
      ))
      expect(numbers).toEqual([1, 2, 3])
    }))

  it.effect("events carry the name of the pipeline", () =>
    Effect.gen(function*() {
      const { events, monitor } = yield* Monitor.recorder
      const pipeline = yield* Pipeline.make({ name: "chat", retry: everySecond, attemptTimeout: "10 seconds" })
      yield* finish(Pipeline.apply(Effect.never, pipeline)).pipe(Effect.provide(Monitor.layer(monitor)))
      expect((yield* events).map(Event.describe)).toEqual([
        "chat: attempt took longer than 10s",
        "chat: attempt 1 failed after 10s with TimedOut; next attempt in 1s",
        "chat: attempt took longer than 10s",
        "chat: attempt 2 failed after 21s with TimedOut; next attempt in 1s",
        "chat: attempt took longer than 10s",
        "chat: attempt 3 failed after 32s with TimedOut; giving up: no attempts are left"
      ])
    }))

  it.effect("the verdict that is given judges the errors", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ retry: everySecond, verdict: () => Verdict.make("Fail") })
      const { call, starts } = noted(Effect.fail("down"))
      yield* finish(Pipeline.apply(call, pipeline))
      expect(starts.length).toBe(1)
    }))
})

describe("Pipeline.make", () => {
  it.effect("takes the retry as a policy or as JSON", () =>
    Effect.gen(function*() {
      const json = { backoff: "constant", delay: "1 second", attempts: 3 } as const
      const read = yield* Pipeline.make({ retry: json })
      const built = yield* Pipeline.make({ retry: everySecond })
      expect(Pipeline.encode(read)).toEqual(Pipeline.encode(built))
    }))

  it.effect("refuses two time-outs that contradict each other, naming both", () =>
    Effect.gen(function*() {
      for (const attemptTimeout of ["10 seconds", "11 seconds"] as const) {
        expect(yield* issuesOf(Pipeline.make({ totalTimeout: "10 seconds", attemptTimeout }))).toEqual([
          ["attemptTimeout", expect.stringContaining("1"), "less than totalTimeout, which is 10s"]
        ])
      }
    }))

  it.effect("refuses a retry that can wait longer than the total time-out, and says how to heal it", () =>
    Effect.gen(function*() {
      const retry = RetryPolicy.constant("10 seconds").pipe(RetryPolicy.attempts(5))
      const [issue, ...others] = yield* issuesOf(Pipeline.make({ totalTimeout: "30 seconds", retry }))
      expect(others).toEqual([])
      expect(issue?.[0]).toBe("retry")
      expect(issue?.[1]).toContain("40s")
      expect(issue?.[2]).toContain("totalTimeout, which is 30s")
      expect(issue?.[2]).toContain("\"within\": \"30 seconds\"")
      // The advice works.
      yield* Pipeline.make({ totalTimeout: "30 seconds", retry: retry.pipe(RetryPolicy.within("30 seconds")) })
    }))

  it.effect("refuses a retry without an end under a total time-out", () =>
    Effect.gen(function*() {
      const retry = RetryPolicy.constant("1 second")
      const [issue] = yield* issuesOf(Pipeline.make({ totalTimeout: "30 seconds", retry }))
      expect(issue?.[1]).toContain("for ever")
    }))

  it.effect("refuses a policy that can never retry", () =>
    Effect.gen(function*() {
      const retry = RetryPolicy.constant("1 minute").pipe(RetryPolicy.within("1 second"))
      const [issue] = yield* issuesOf(Pipeline.make({ retry }))
      expect(issue?.[0]).toBe("retry")
      expect(issue?.[2]).toContain("leave it out")
    }))

  it.effect.each<Duration.DurationInput>([0, -1, NaN, Infinity, "0 seconds", "-3 seconds"])(
    "refuses a time-out of %s",
    (wrong) =>
      Effect.gen(function*() {
        const issues = yield* issuesOf(Pipeline.make({ totalTimeout: wrong, attemptTimeout: wrong }))
        expect(issues.map(([path]) => path)).toEqual(["totalTimeout", "attemptTimeout"])
      })
  )
})

describe("Pipeline.decode", () => {
  const file = {
    name: "chat",
    totalTimeout: "2 minutes",
    retry: {
      backoff: "exponential",
      initial: "500 millis",
      factor: 2,
      jitter: "full",
      cap: "8 seconds",
      attempts: 4
    },
    attemptTimeout: "20 seconds"
  }

  it.effect("reads what a person writes in a file", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.decode(file)
      expect(pipeline.name).toBe("chat")
      expect(Pipeline.bounds(pipeline).attempts).toBe(4)
      expect(yield* finish(Pipeline.apply(Effect.succeed("ok"), pipeline))).toEqual({
        exit: Exit.succeed("ok"),
        took: 0
      })
    }))

  it.effect("lists every wrong field with its path, what was found and what is allowed", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Pipeline.decode({
        name: "",
        totalTimeout: 60,
        retry: { backoff: "exponential", initial: "-1 seconds", attempts: 0, jitter: "some" },
        attemptTimeout: "soon",
        atemptTimeout: "1 second"
      }))
      expect(error._tag).toBe("InvalidOptions")
      const found = Object.fromEntries(error.issues.map((issue) => [issue.path, issue.found]))
      expect(found).toEqual({
        name: "\"\"",
        totalTimeout: "60",
        "retry.initial": "\"-1 seconds\"",
        "retry.attempts": "0",
        "retry.jitter": "\"some\"",
        attemptTimeout: "\"soon\"",
        atemptTimeout: "\"1 second\""
      })
      for (const issue of error.issues) expect(issue.allowed, issue.path).not.toBe("")
      expect(error.message).toContain(
        "atemptTimeout (found \"1 second\"); allowed: no such field here; there are name,"
      )
    }))

  it.effect("checks the fields against each other as make does", () =>
    Effect.gen(function*() {
      const issues = yield* issuesOf(Pipeline.decode({ ...file, totalTimeout: "10 seconds" }))
      expect(issues.map(([path]) => path)).toEqual(["attemptTimeout"])
      expect(issues[0]?.[2]).toContain("totalTimeout, which is 10s")
    }))

  it.effect.each<readonly [unknown]>([[null], [undefined], [[]], ["text"], [7]])(
    "refuses %s",
    ([json]) =>
      Effect.gen(function*() {
        const [issue] = yield* issuesOf(Pipeline.decode(json))
        expect(issue?.[2]).toBe("an object with the policies of a pipeline")
      })
  )

  it.effect("does not take a verdict, which JSON cannot say", () =>
    Effect.gen(function*() {
      const [issue] = yield* issuesOf(Pipeline.decode({ verdict: "Fail" }))
      expect(issue?.[0]).toBe("verdict")
    }))

  it.effect("takes a retry that says of itself that it never retries", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.decode({ retry: { backoff: "never" } })
      const { call, starts } = noted(Effect.fail("down"))
      yield* finish(Pipeline.apply(call, pipeline))
      expect(starts.length).toBe(1)
    }))
})

describe("Pipeline.encode", () => {
  const options = FastCheck.record(
    {
      name: FastCheck.constantFrom("chat", "batch"),
      totalTimeout: FastCheck.constantFrom<Duration.DurationInput | undefined>(undefined, "5 minutes", "90 minutes"),
      retry: FastCheck.constantFrom(
        undefined,
        everySecond,
        RetryPolicy.standard,
        RetryPolicy.never,
        RetryPolicy.exponential({ initial: "250 millis", factor: 1.5 }).pipe(
          RetryPolicy.jittered({ ratio: 0.2 }),
          RetryPolicy.capped("4 seconds"),
          RetryPolicy.attempts(6),
          RetryPolicy.within("1 minute")
        )
      ),
      attemptTimeout: FastCheck.constantFrom<Duration.DurationInput | undefined>(
        undefined,
        "1 second",
        "1500 millis",
        12.5
      )
    } as const
  )

  it.effect("decodes to the same pipeline", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(options, (given) =>
          Effect.runPromise(Effect.gen(function*() {
            const made = yield* Pipeline.make(given)
            const json: unknown = JSON.parse(JSON.stringify(made))
            const back = yield* Pipeline.decode(json)
            expect(Pipeline.encode(back)).toEqual(json)
            expect(Pipeline.describe(back)).toBe(Pipeline.describe(made))
            expect(Pipeline.bounds(back)).toEqual(Pipeline.bounds(made))
          }))),
        { numRuns: 200 }
      )
    ))
})

describe("Pipeline.describe and Pipeline.bounds", () => {
  it.effect("print the policies in order with every number, and the worst case", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        name: "chat",
        totalTimeout: "1 minute",
        retry: RetryPolicy.ignoreHints(everySecond),
        attemptTimeout: "10 seconds"
      })
      expect(String(pipeline)).toBe(
        [
          "chat: total time-out 1m",
          "retry: every 1s, 3 attempts in total, ignoring hints",
          "attempt time-out 10s",
          "call"
        ].join("\n  → ") + "\n  worst case: 3 attempts, 2s waiting, 32s in all"
      )
      expect(Pipeline.bounds(pipeline)).toEqual({
        attempts: 3,
        calls: 3,
        wait: Duration.seconds(2),
        duration: Duration.seconds(32)
      })
    }))

  it.effect("are bounded by the total time-out", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ totalTimeout: "15 seconds", retry: everySecond })
      expect(Duration.toMillis(Pipeline.bounds(pipeline).duration)).toBe(15_000)
    }))

  it.effect("say so where nothing bounds a call", () =>
    Effect.gen(function*() {
      const endless = yield* Pipeline.make({ retry: RetryPolicy.constant("1 second") })
      expect(Pipeline.bounds(endless).attempts).toBe(Infinity)
      expect(Pipeline.describe(endless)).toContain(
        "worst case: unlimited attempts, unbounded waiting, unbounded in all"
      )
    }))

  it.effect("no run exceeds the bounds", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        totalTimeout: "2 minutes",
        retry: RetryPolicy.exponential({ initial: "1 second" }).pipe(RetryPolicy.attempts(4), RetryPolicy.ignoreHints),
        attemptTimeout: "10 seconds"
      })
      const { took } = yield* finish(Pipeline.apply(Effect.never, pipeline))
      expect(took).toBe(Duration.toMillis(Pipeline.bounds(pipeline).duration))
    }))
})
