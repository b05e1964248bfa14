import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Progress from "../../src/batch/Progress.ts"
import * as Kernel from "../../src/batch/progress/kernel.ts"

const counts: Progress.Counts = {
  total: 100,
  done: 40,
  failed: 2,
  skipped: 0,
  retried: 5,
  inFlight: 10,
  tokens: 1_234,
  cost: 0.12345
}

/** What a stream of progress gives while work goes on that ends one item a second. */
const during = (seconds: number, streamOf: (progress: Progress.Progress) => Stream.Stream<string>) =>
  Effect.gen(function*() {
    const progress = yield* Progress.make
    let done = 0
    yield* Progress.begin(progress, () => ({ ...Kernel.nothing, total: seconds, done }))
    const shown = yield* Effect.fork(Stream.runCollect(streamOf(progress)))
    for (let second = 0; second < seconds; second++) {
      yield* TestClock.adjust("1 second")
      done++
    }
    yield* Progress.end(progress)
    return [...(yield* Fiber.join(shown))]
  })

describe("a line", () => {
  it("tells what is known, in one line", () => {
    expect(Progress.toLine({ ...counts, perSecond: 2, timeLeft: Duration.seconds(30) })).toBe(
      "40 of 100 done, 2 failed, 5 retried, 10 in flight, 2/s, 1234 tokens, cost 0.1235, 30s left"
    )
  })

  it("leaves out what is unknown or nothing", () => {
    expect(Progress.toLine({ ...Kernel.nothing, done: 7, perSecond: 12.3 })).toBe("7 done, 0 failed, 12/s")
  })
})

describe("the bar", () => {
  it.each([20, 40, 80, 100, 200])("is never wider than a terminal of %i columns", (columns) => {
    expect(Kernel.bar({ ...counts, perSecond: 2 }, Duration.hours(3), columns, "plain").length).toBeLessThan(columns)
  })

  it("is filled by the share that is done", () => {
    expect(Kernel.bar({ ...Kernel.nothing, total: 4, done: 1, perSecond: 1 }, undefined, 80, "plain")).toBe(
      `[${"█".repeat(7)}${"░".repeat(23)}] 1 of 4 done, 0 failed, 1/s`
    )
  })

  it.effect.each<readonly [string, string | undefined, boolean]>([
    ["has colours", undefined, true],
    ["has colours where NO_COLOR is empty", "", true],
    ["has none where NO_COLOR says so", "1", false]
  ])("%s", ([, value, isColoured]) =>
    during(2, Progress.bar).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(value === undefined ? [] : [["NO_COLOR", value]]))),
      Effect.map((texts) => {
        expect(texts.join("").includes("\u001b[32m")).toBe(isColoured)
        expect(texts.at(-1)).toBe("\n")
        expect(texts.slice(0, -1).every((text) => text.startsWith("\r\u001b[K"))).toBe(true)
      })
    ))
})

describe("lines", () => {
  it.effect("come now and then, and once at the end", () =>
    Effect.map(during(25, Progress.lines), (lines) => {
      expect(lines.length).toBe(3)
      expect(lines.at(-1)).toMatch(/^25 of 25 done/)
    }))
})

describe("the rate", () => {
  it("is the mean of the first half minute, then follows what happens of late", () => {
    let rate = Kernel.noRate
    for (let second = 1; second <= 30; second++) rate = Kernel.observe(rate, second * 10, second * 1_000, 0)
    expect(rate.perSecond).toBeCloseTo(10)
    for (let second = 31; second <= 300; second++) rate = Kernel.observe(rate, 300, second * 1_000, 0)
    expect(rate.perSecond).toBeLessThan(0.1)
  })

  it("gives the time that is left", () => {
    expect(Kernel.millisLeft({ ...counts, done: 40 }, 2)).toBe(30_000)
    expect(Kernel.millisLeft({ ...counts, done: 40 }, 0)).toBeUndefined()
  })
})
