/** A batch that an open circuit pauses, and one that stops before its end. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Batch from "../../src/batch/Batch.ts"
import * as Progress from "../../src/batch/Progress.ts"
import { Skipped } from "../../src/error/BatchError.ts"
import { Overloaded } from "../../src/error/ModelError.ts"
import { CircuitOpen } from "../../src/error/PolicyError.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import { inVirtualTime, tagsOf, upTo, watched } from "./support/batchRuns.ts"

describe("an open circuit", () => {
  it.effect("pauses the batch instead of failing its items", () =>
    inVirtualTime(Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "provider",
        tripping: Tripping.consecutive(3),
        openFor: "30 seconds"
      })
      const { seen, through } = watched()
      let isDown = true
      yield* Effect.fork(Effect.delay(Effect.sync(() => isDown = false), "10 minutes"))
      const call = through(
        Effect.suspend(() => isDown ? Effect.fail(new Overloaded({ provider: "test" })) : Effect.succeed("ok"))
      ).pipe(CircuitBreaker.apply(breaker))
      const { summary } = yield* Batch.run(upTo(500), () => call, { concurrency: 4 })
      // Those that opened it, and three at most that it was tried with in vain too often.
      expect(summary.failed).toBeLessThan(30)
      expect(summary.succeeded + summary.failed).toBe(500)
      expect(summary.failures["CircuitOpen"]).toBeUndefined()
      expect(seen.calls).toBeLessThan(600)
    })))

  it.effect("leaves the rest out when the time of the batch is over before it closes", () =>
    inVirtualTime(Effect.gen(function*() {
      const refused = new CircuitOpen({ name: "provider", retryAfter: Duration.minutes(5) })
      const report = yield* Batch.run(upTo(5), () => Effect.fail(refused), { stopWhen: { time: "2 minutes" } })
      expect(tagsOf(report)).toEqual(upTo(5).map(() => "Skipped"))
      expect(report.summary).toMatchObject({ skipped: 5, stoppedBecause: "time", elapsed: Duration.minutes(2) })
    })))

  it.effect("is told by the progress while it pauses the batch, and stops it where that is asked for", () =>
    inVirtualTime(Effect.gen(function*() {
      const progress = yield* Progress.make
      const lines: Array<string> = []
      const shown = yield* Effect.fork(
        Stream.runForEach(
          Progress.lines(progress, { every: "1 minute" }),
          (line) => Effect.sync(() => lines.push(line))
        )
      )
      const breaker = yield* CircuitBreaker.make({
        name: "provider",
        tripping: Tripping.consecutive(3),
        openFor: "30 seconds"
      })
      const call = CircuitBreaker.apply(Effect.fail(new Overloaded({ provider: "test" })), breaker)
      const report = yield* Batch.run(upTo(100), () => call, {
        concurrency: 4,
        stopWhen: { circuitOpen: "10 minutes" },
        progress
      })
      expect(report.summary).toMatchObject({ stoppedBecause: "circuitOpen", elapsed: Duration.minutes(10) })
      expect(report.summary.skipped).toBeGreaterThan(80)
      yield* Fiber.join(shown)
      expect(lines[0]).toContain("paused: the circuit is open")
      expect(lines[0]).not.toContain("left")
      expect(lines.at(-1)).not.toContain("paused")
    })))
})

describe("stop conditions", () => {
  it.effect("share of failures: in flight is finished, the rest is left out", () =>
    inVirtualTime(Effect.gen(function*() {
      const { seen, through } = watched()
      const report = yield* Batch.run(upTo(100), () => through(Effect.delay(Effect.fail("no"), "1 second")), {
        concurrency: 5,
        stopWhen: { failureRate: { share: 0.8, minimum: 10 } }
      })
      expect(seen.calls).toBeLessThanOrEqual(15)
      expect(report.summary.total).toBe(100)
      expect(report.summary.stoppedBecause).toBe("failureRate")
      expect(report.results[99]?.outcome).toEqual(Either.left(new Skipped({ reason: "failureRate" })))
    })))

  it.effect("spend, in tokens and in money", () =>
    Effect.gen(function*() {
      const usage = new Usage.Usage({ inputTokens: 5, outputTokens: 5, totalTokens: 10 })
      const options = { concurrency: 1, usage: () => usage, price: () => 0.5 } as const
      const tokens = yield* Batch.run(upTo(10), (item) => Effect.succeed(item), {
        ...options,
        stopWhen: { spend: { tokens: 25 } }
      })
      expect(tokens.summary).toMatchObject({ succeeded: 3, skipped: 7, tokens: 30, stoppedBecause: "spend" })
      const cost = yield* Batch.run(upTo(10), (item) => Effect.succeed(item), {
        ...options,
        stopWhen: { spend: { cost: 2 } }
      })
      expect(cost.summary).toMatchObject({ succeeded: 4, skipped: 6, cost: 2, stoppedBecause: "spend" })
    }))

  it.effect("a signal, with what is in flight finished or interrupted as asked", () =>
    inVirtualTime(Effect.gen(function*() {
      for (const onInterrupt of ["finish", "interrupt"] as const) {
        const { summary } = yield* Batch.run(upTo(10), () => Effect.sleep("1 minute"), {
          concurrency: 2,
          stopOn: Effect.sleep("90 seconds"),
          onInterrupt
        })
        expect([onInterrupt, summary.succeeded, summary.skipped, Duration.toSeconds(summary.elapsed)]).toEqual(
          onInterrupt === "finish" ? ["finish", 4, 6, 120] : ["interrupt", 2, 8, 90]
        )
        expect(summary.stoppedBecause).toBe("interrupted")
      }
    })))

  it.effect("a stream is read no further than the batch had read it, and may never end", () =>
    inVirtualTime(Effect.gen(function*() {
      let read = 0
      let isReleased = false
      const endless = Stream.repeatEffect(Effect.sync(() => read++)).pipe(
        Stream.rechunk(1),
        Stream.ensuring(Effect.sync(() => isReleased = true))
      )
      const { results, summary } = yield* Batch.run(endless, () => Effect.sleep("1 second"), {
        concurrency: 2,
        stopWhen: { time: "10 seconds" }
      })
      expect(summary).toMatchObject({ succeeded: 20, stoppedBecause: "time", hasUnreadInput: true })
      expect(results).toHaveLength(summary.total)
      // What was read ahead: an item at hand and one behind it.
      expect(read).toBeLessThanOrEqual(summary.total + 2)
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      expect(isReleased).toBe(true)
    })))

  it.effect("a stream that tells nothing for long does not hold up the end", () =>
    inVirtualTime(Effect.gen(function*() {
      const { summary } = yield* Batch.run(
        Stream.concat(Stream.range(1, 3), Stream.never),
        (item) => Effect.succeed(item),
        { stopOn: Effect.sleep("1 minute") }
      )
      expect(summary).toMatchObject({ succeeded: 3, elapsed: Duration.minutes(1), hasUnreadInput: true })
    })))

  it.effect("a generator is left at its last item, and gives back what it holds", () =>
    Effect.gen(function*() {
      let isReleased = false
      const numbers = function*() {
        try {
          for (let each = 0;; each++) yield each
        } finally {
          isReleased = true
        }
      }
      const { summary } = yield* Batch.run(numbers(), () => Effect.fail("no"), {
        concurrency: 1,
        stopWhen: { failureRate: { share: 1, minimum: 5 } }
      })
      expect(summary).toMatchObject({ total: 5, failed: 5, skipped: 0, hasUnreadInput: true })
      expect(isReleased).toBe(true)
    }))

  it.effect("items whose number is known are all told, and none is unread", () =>
    Effect.gen(function*() {
      const { results, summary } = yield* Batch.run(new Set(upTo(10)), () => Effect.fail("no"), {
        concurrency: 1,
        stopWhen: { failureRate: { share: 1, minimum: 5 } }
      })
      expect(results).toHaveLength(10)
      expect(summary).toMatchObject({ total: 10, failed: 5, skipped: 5, hasUnreadInput: false })
    }))
})
