import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Batch from "../../src/batch/Batch.ts"
import * as Progress from "../../src/batch/Progress.ts"
import { InvalidLine, ItemDied } from "../../src/error/BatchError.ts"
import { Overloaded, RateLimited } from "../../src/error/ModelError.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { runs } from "../runs.ts"
import { inVirtualTime, tagsOf, upTo, watched } from "./support/batchRuns.ts"

describe("Batch.run", () => {
  it.effect("gives one result for each item, in their order, however they end", () =>
    inVirtualTime(Effect.gen(function*() {
      const report = yield* Batch.run(
        upTo(50),
        (item) =>
          Effect.delay(item % 3 === 0 ? Effect.fail("odd") : Effect.succeed(item * 2), Duration.millis(50 - item)),
        { concurrency: 7 }
      )
      expect(report.results.map(({ index }) => index)).toEqual(upTo(50))
      expect(report.results.map(({ item }) => item)).toEqual(upTo(50))
      expect(report.results.map(({ outcome }) => Either.merge(outcome))).toEqual(
        upTo(50).map((item) => item % 3 === 0 ? "odd" : item * 2)
      )
      expect(report.summary).toMatchObject({
        total: 50,
        succeeded: 33,
        failed: 17,
        skipped: 0,
        failures: { string: 17 }
      })
    })))

  it.effect("never has more in flight than it may, and uses what it may", () =>
    inVirtualTime(Effect.gen(function*() {
      const { seen, through } = watched()
      yield* Batch.run(upTo(40), () => through(Effect.sleep("1 second")), { concurrency: 6 })
      expect(seen).toEqual({ now: 0, most: 6, calls: 40 })
    })))

  it.effect("tells of an empty batch", () =>
    Effect.gen(function*() {
      const report = yield* Batch.run([], () => Effect.void)
      expect(report.results).toEqual([])
      expect(report.summary).toMatchObject({ total: 0, succeeded: 0, failed: 0, skipped: 0 })
    }))

  it.effect("lets the others go on when a call dies", () =>
    Effect.gen(function*() {
      const report = yield* Batch.run(upTo(3), (item) => {
        if (item === 1) throw new Error("a slip")
        return item === 2 ? Effect.interrupt : Effect.succeed(item)
      })
      expect(tagsOf(report)).toEqual(["ok", "ItemDied", "Skipped"])
      const died = report.results[1]?.outcome
      expect(died && Either.isLeft(died) && died.left instanceof ItemDied && died.left.reason).toBe("a slip")
    }))

  it.effect("reads a stream of items, and fails with its error once what is in flight has ended", () =>
    inVirtualTime(Effect.gen(function*() {
      const { seen, through } = watched()
      const items = Stream.concat(Stream.make(1, 2, 3), Stream.fail("the disk is gone"))
      const error = yield* Effect.flip(Batch.run(items, () => through(Effect.sleep("1 minute"))))
      expect(error).toBe("the disk is gone")
      expect(seen).toEqual({ now: 0, most: 3, calls: 3 })
    })))

  it.effect("waits for items that come slowly, and calls each at once", () =>
    inVirtualTime(Effect.gen(function*() {
      const items = Stream.mapEffect(Stream.range(1, 5), (item) => Effect.delay(Effect.succeed(item), "1 second"))
      const report = yield* Batch.run(items, (item) => Effect.succeed(item))
      expect(report.summary).toMatchObject({ succeeded: 5, elapsed: Duration.seconds(5) })
    })))

  it.effect("dies of an iterator that throws", () =>
    Effect.gen(function*() {
      const items = (function*() {
        yield 1
        throw new Error("no more")
      })()
      const exit = yield* Effect.exit(Batch.run(items, (item) => Effect.succeed(item)))
      expect(exit).toEqual(Exit.die(new Error("no more")))
    }))

  it.effect("tells attempts, time, tokens and cost of each item", () =>
    inVirtualTime(Effect.gen(function*() {
      let failures = 2
      const usage = new Usage.Usage({ inputTokens: 8, outputTokens: 2, totalTokens: 10 })
      const call = Effect.suspend(() =>
        failures-- > 0 ? Effect.fail(new Overloaded({ provider: "test" })) : Effect.succeed({ usage, model: "m" })
      ).pipe(Retry.apply(RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3))))
      const { results, summary } = yield* Batch.run([1, 2], () => call, {
        concurrency: 1,
        price: ({ totalTokens }, model) => model === "m" ? totalTokens / 100 : 1_000
      })
      expect(
        results.map((
          { attempts, elapsed, usage: { totalTokens } }
        ) => [attempts, Duration.toMillis(elapsed), totalTokens])
      )
        .toEqual([[3, 2_000, 10], [1, 0, 10]])
      expect(summary).toMatchObject({ retried: 2, tokens: 20, cost: 0.2 })
    })))

  it.effect("gives the items that failed or were left out, to be run again alone", () =>
    Effect.gen(function*() {
      const first = yield* Batch.run(upTo(10), (item) => item % 4 === 1 ? Effect.fail("busy") : Effect.succeed(item))
      expect(Batch.failures(first)).toEqual([1, 5, 9])
      const again = yield* Batch.run(Batch.failures(first), (item) => Effect.succeed(item))
      expect(Batch.failures(again)).toEqual([])
    }))
})

describe("concurrency \"auto\"", () => {
  /** A provider that takes so many at a time and throttles the rest, which is retried. */
  const providerOf = (most: number) => {
    const seen = { now: 0, throttled: 0, calls: 0 }
    const call = Effect.suspend(() => {
      seen.calls++
      if (seen.now >= most) {
        seen.throttled++
        return Effect.fail(new RateLimited({ provider: "test", scope: "requests" }))
      }
      seen.now++
      return Effect.ensuring(Effect.sleep("1 second"), Effect.sync(() => seen.now--))
    }).pipe(Retry.apply(RetryPolicy.constant("500 millis").pipe(RetryPolicy.attempts(20))))
    return { seen, call }
  }

  it.effect("grows to what the provider takes, and loses nothing", () =>
    inVirtualTime(Effect.gen(function*() {
      const { call, seen } = providerOf(1_000)
      const { summary } = yield* Batch.run(upTo(200), () => call)
      expect(seen.throttled).toBe(0)
      expect(summary.succeeded).toBe(200)
      // With 20 at a time it would take 10 seconds.
      expect(Duration.toSeconds(summary.elapsed)).toBeLessThan(6)
    })))

  it.effect("shrinks for throttled attempts, also where their calls succeed in the end", () =>
    inVirtualTime(Effect.gen(function*() {
      const { call, seen } = providerOf(10)
      const { summary } = yield* Batch.run(upTo(100), () => call)
      expect(summary.succeeded).toBe(100)
      expect(seen.throttled / seen.calls).toBeLessThan(0.35)
      // With 10 at a time it takes at least 10 seconds.
      expect(Duration.toSeconds(summary.elapsed)).toBeLessThan(16)
    })))
})

describe("interruption", () => {
  it.effect.each(["finish", "interrupt"] as const)(
    "ends a batch when its calls have ended: %s",
    (onInterrupt) =>
      Effect.gen(function*() {
        const ends: Array<string> = []
        const call = Effect.onExit(Effect.sleep("1 minute"), ({ _tag }) => Effect.sync(() => ends.push(_tag)))
        const fiber = yield* Effect.fork(Batch.run(upTo(10), () => call, { concurrency: 3, onInterrupt }))
        yield* TestClock.adjust("1 second")
        const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(interrupting)
        expect(ends).toEqual(upTo(3).map(() => onInterrupt === "finish" ? "Success" : "Failure"))
      })
  )
})

describe("identical items", () => {
  const counting = () => {
    const calls: Array<string> = []
    const call = (item: { readonly prompt: string }) =>
      Effect.delay(
        Effect.sync(() => {
          calls.push(item.prompt)
          return item.prompt
        }),
        "1 second"
      )
    return { calls, call }
  }
  const items = ["a", "b", "a", "a", "b"].map((prompt, id) => ({ prompt, id }))

  it.effect("share one call where that is asked for", () =>
    inVirtualTime(Effect.gen(function*() {
      const { call, calls } = counting()
      const { results, summary } = yield* Batch.run(items, call, { identical: "share", key: ({ prompt }) => prompt })
      expect([...calls].sort()).toEqual(["a", "b"])
      expect(results.map(({ outcome, source }) => [source, Either.merge(outcome)])).toEqual([
        ["run", "a"],
        ["run", "b"],
        ["shared", "a"],
        ["shared", "a"],
        ["shared", "b"]
      ])
      expect(summary.total).toBe(5)
    })))

  it.effect("have each their own call otherwise", () =>
    inVirtualTime(Effect.gen(function*() {
      const { call, calls } = counting()
      yield* Batch.run(items, call)
      expect(calls.length).toBe(5)
    })))

  it.effect("share a failure, and being left out", () =>
    inVirtualTime(Effect.gen(function*() {
      const failed = yield* Batch.run([1, 1, 1], () => Effect.fail("no"), { identical: "share" })
      expect(tagsOf(failed)).toEqual(["no", "no", "no"])
      const left = yield* Batch.run([1, 1, 1], () => Effect.sleep("1 minute"), {
        identical: "share",
        stopOn: Effect.sleep("1 second"),
        onInterrupt: "interrupt"
      })
      expect(tagsOf(left)).toEqual(["Skipped", "Skipped", "Skipped"])
    })))
})

describe("Batch.stream", () => {
  it.effect("gives results as they come", () =>
    inVirtualTime(Effect.gen(function*() {
      const results = yield* Stream.runCollect(
        Batch.stream([3, 1, 2], (item) => Effect.delay(Effect.succeed(item), Duration.seconds(item)))
      )
      expect([...results].map(({ index, outcome }) => [index, Either.merge(outcome)])).toEqual([[1, 1], [2, 2], [0, 3]])
    })))

  it.effect("waits for whoever takes the results", () =>
    inVirtualTime(Effect.gen(function*() {
      const { seen, through } = watched()
      const results = Batch.stream(upTo(10_000), () => through(Effect.void), { concurrency: 10 })
      yield* Stream.runForEach(Stream.take(results, 1), () => Effect.sleep("1 minute"))
      expect(seen.calls).toBeLessThan(300)
    })))

  it.effect.each(["finish", "interrupt"] as const)(
    "ends with whoever takes no more, and its calls with it: %s",
    (onInterrupt) =>
      inVirtualTime(Effect.gen(function*() {
        const { seen, through } = watched()
        const results = Batch.stream(Stream.range(1, 10_000), (item) => through(Effect.sleep(Duration.millis(item))), {
          concurrency: 100,
          onInterrupt
        })
        yield* Stream.runDrain(Stream.take(results, 5))
        expect(seen.now).toBe(0)
      }))
  )

  it.effect("runs 100 000 items in virtual time, each once", () =>
    inVirtualTime(Effect.gen(function*() {
      const many = runs(10_000, 100_000)
      const seen = new Uint8Array(many)
      yield* Stream.runForEach(
        Batch.stream(Stream.range(0, many - 1), (item) =>
          // A few of them wait, and a hundred are in flight: the virtual clock looks at all of them at each of its steps.
          item % 2_500 === 0 ? Effect.as(Effect.sleep("1 second"), item) : Effect.as(Effect.yieldNow(), item), {
          concurrency: 100
        }),
        ({ index }) => Effect.sync(() => seen[index] = (seen[index] ?? 0) + 1)
      )
      expect(seen.every((count) => count === 1)).toBe(true)
    })), 60_000)
})

describe("options that cannot work", () => {
  it.effect.each<readonly [string, Batch.Options<number, number>, string]>([
    ["no concurrency", { concurrency: 0 }, "concurrency"],
    ["half a call", { concurrency: 1.5 }, "concurrency"],
    ["NaN calls", { concurrency: Number.NaN }, "concurrency"],
    ["a negative share", { stopWhen: { failureRate: -0.1 } }, "stopWhen.failureRate"],
    ["more than all", { stopWhen: { failureRate: { share: 1.1 } } }, "stopWhen.failureRate.share"],
    ["a share that holds from the start", { stopWhen: { failureRate: 0 } }, "stopWhen.failureRate"],
    [
      "a minimum that is never reached",
      { stopWhen: { failureRate: { share: 1, minimum: 4 } } },
      "stopWhen.failureRate.minimum"
    ],
    ["a cost without a price", { stopWhen: { spend: { cost: 1 } } }, "stopWhen.spend.cost"],
    ["a spend of nothing", { stopWhen: { spend: {} } }, "stopWhen.spend"],
    ["endless tokens", { stopWhen: { spend: { tokens: Number.POSITIVE_INFINITY } } }, "stopWhen.spend.tokens"],
    ["no time", { stopWhen: { time: 0 } }, "stopWhen.time"],
    ["endless time", { stopWhen: { time: Duration.infinity } }, "stopWhen.time"]
  ])("%s", ([, options, path]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Batch.run([1, 2, 3], (): Effect.Effect<number> => Effect.die("was called"), options)
      )
      expect(error).toMatchObject({ _tag: "InvalidOptions", issues: [{ path }] })
      const streamed = yield* Effect.flip(
        Stream.runDrain(Batch.stream([1, 2, 3], (): Effect.Effect<number> => Effect.die("was called"), options))
      )
      expect(streamed).toEqual(error)
    }))
})

describe("progress", () => {
  it.effect("tells what has happened, and ends with the batch", () =>
    inVirtualTime(Effect.gen(function*() {
      const progress = yield* Progress.make
      const shown = yield* Effect.fork(Stream.runCollect(Progress.changes(progress, { every: "1 second" })))
      yield* Effect.yieldNow()
      yield* Batch.run(upTo(20), (item) =>
        Effect.zipRight(Effect.sleep("1 second"), item === 3 ? Effect.fail("no") : Effect.void), {
        concurrency: 2,
        progress
      })
      const snapshots = [...(yield* Fiber.join(shown))]
      expect(snapshots.at(-1)).toMatchObject({ total: 20, done: 20, failed: 1, inFlight: 0, timeLeft: Duration.zero })
      expect(snapshots.map(({ done }) =>
        done
      )).toEqual([...snapshots.map(({ done }) => done)].sort((a, b) => a - b))
    })))
})

describe("Batch.fromJsonLines", () => {
  const bytes = (text: string, size = 3) => {
    const all = new TextEncoder().encode(text)
    return Stream.fromIterable(
      Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.subarray(i * size, (i + 1) * size))
    )
  }

  it.effect("reads lines however the bytes are cut, with and without a last newline", () =>
    Effect.gen(function*() {
      for (const size of [1, 2, 3, 7, 100]) {
        for (const end of ["", "\n", "\r\n"]) {
          const items = yield* Stream.runCollect(
            Batch.fromJsonLines(bytes(`\uFEFF{"a":"ü€😀"}\r\n\n  \n[1,2]\nnull${end}`, size))
          )
          expect([...items]).toEqual([{ a: "ü€😀" }, [1, 2], null])
        }
      }
    }))

  it.effect("tells a line that is no JSON as that item's result, without a call", () =>
    Effect.gen(function*() {
      const called: Array<unknown> = []
      const report = yield* Batch.run(Batch.fromJsonLines(bytes("{\"a\":1}\n\n{\"a\":\n3\n")), (item) =>
        Effect.sync(() => called.push(item)))
      expect(called).toEqual([{ a: 1 }, 3])
      expect(tagsOf(report)).toEqual(["ok", "InvalidLine", "ok"])
      const outcome = report.results[1]?.outcome
      expect(outcome && Either.isLeft(outcome) && outcome.left).toMatchObject({ line: 3, offset: 9, reason: "syntax" })
      expect(Batch.failures(report)).toEqual([])
    }))

  it.effect("stops at it where that is asked for", () =>
    Effect.gen(function*() {
      const items = Batch.fromJsonLines(bytes("1\nnope\n2"), { onInvalid: "fail" })
      const error = yield* Effect.flip(Batch.run(items, (item) => Effect.succeed(item)))
      expect(error).toBeInstanceOf(InvalidLine)
      expect(error).toMatchObject({ line: 2, offset: 2, reason: "syntax" })
    }))

  it.effect("tells bytes that are no UTF-8, and lines that are too long, and goes on behind them", () =>
    Effect.gen(function*() {
      const broken = Stream.make(
        new Uint8Array([0x22, 0xff, 0x22, 0x0a]),
        new TextEncoder().encode(`"${"x".repeat(50)}"\n7`)
      )
      const items = [...yield* Stream.runCollect(Batch.fromJsonLines(broken, { maxLineBytes: 20 }))]
      expect(items.map((item) => item instanceof InvalidLine ? [item.line, item.reason] : item)).toEqual([
        [1, "encoding"],
        [2, "size"],
        7
      ])
    }))
})

describe("a batch that nobody waits for any more", () => {
  it.effect("leaves no call behind", () =>
    Effect.gen(function*() {
      const { seen, through } = watched()
      const begun = yield* Deferred.make<void>()
      const call = through(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
      const fiber = yield* Effect.fork(Batch.run(upTo(10), () => call, { onInterrupt: "interrupt" }))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      expect(seen.now).toBe(0)
    }))
})
