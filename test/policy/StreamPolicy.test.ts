import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as PolicyConfig from "../../src/policy/PolicyConfig.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as StreamPolicy from "../../src/policy/StreamPolicy.ts"

const retry = { backoff: "immediate", attempts: 3 } as const

const issuesOf = <A>(made: Effect.Effect<A, InvalidOptions>) =>
  Effect.map(Effect.flip(made), ({ issues }) => issues.map(({ allowed, path }) => [path, allowed] as const))

describe("StreamPolicy.make", () => {
  it.effect("has no limits and fails when a stream breaks, where nothing is said", () =>
    Effect.gen(function*() {
      const { [StreamPolicy.TypeId]: _, ...settings } = yield* StreamPolicy.make()
      expect(settings).toEqual({
        firstContent: undefined,
        idle: undefined,
        liveness: undefined,
        total: undefined,
        peek: 0,
        onBreak: "fail",
        otherwise: "fail",
        background: true,
        continuation: "never",
        maxKept: 1_000_000
      })
      expect(StreamPolicy.defaults).toEqual(settings)
    }))

  it.effect.each<readonly [string, StreamPolicy.Options, path: string]>([
    ["an idle limit above the total", { idle: "2 minutes", total: "1 minute" }, "idle"],
    ["an idle limit as long as the total", { idle: "1 minute", total: "1 minute" }, "idle"],
    ["a first content after the end", { firstContent: "2 minutes", total: "1 minute" }, "firstContent"],
    ["a sign of life after the end", { liveness: "2 minutes", total: "1 minute" }, "liveness"],
    ["a peek after the end", { peek: "2 minutes", total: "1 minute" }, "peek"],
    ["a resume by nothing", { onBreak: "resume", background: false }, "background"],
    ["the same in full", { onBreak: "resume", background: false, continuation: "never" }, "background"],
    ["a fallback of no resume", { otherwise: "restart" }, "otherwise"],
    ["a background of no resume", { onBreak: "restart", background: true }, "background"],
    ["a continuation of no resume", { onBreak: "truncate", continuation: "allowed" }, "continuation"],
    ["no room at all", { maxKept: 0 }, "maxKept"],
    ["room without end", { maxKept: Infinity }, "maxKept"],
    ["an idle limit of nothing", { idle: 0 }, "idle"],
    ["a peek without end", { peek: Infinity }, "peek"]
  ])("refuses %s", ([, options, path]) =>
    Effect.gen(function*() {
      expect((yield* issuesOf(StreamPolicy.make(options))).map(([at]) => at)).toEqual([path])
    }))

  it.effect("takes a resume without background where a continuation is allowed", () =>
    Effect.gen(function*() {
      const made = yield* StreamPolicy.make({ onBreak: "resume", background: false, continuation: "allowed" })
      expect(made).toMatchObject({ onBreak: "resume", background: false, continuation: "allowed", otherwise: "fail" })
    }))
})

describe("stream in a pipeline", () => {
  it.effect.each<readonly [string, PolicyConfig.Options, path: string, other: string]>([
    [
      "idle above the total time-out",
      { totalTimeout: "1 minute", stream: { idle: "2 minutes" } },
      "idle",
      "totalTimeout"
    ],
    [
      "a first content above the total time-out",
      { totalTimeout: "1 minute", stream: { firstContent: "1 minute" } },
      "firstContent",
      "totalTimeout"
    ],
    [
      "signs of life above the total time-out",
      { totalTimeout: "1 minute", stream: { liveness: "1 minute" } },
      "liveness",
      "totalTimeout"
    ],
    [
      "a total below the attempt time-out, which counts to the first content",
      { attemptTimeout: "1 minute", stream: { total: "1 minute" } },
      "total",
      "attemptTimeout"
    ],
    ["signs of life above idle", { stream: { idle: "5 seconds", liveness: "10 seconds" } }, "liveness", "idle"],
    [
      "signs of life above idle and the first content",
      { stream: { idle: "5 seconds", firstContent: "10 seconds", liveness: "10 seconds" } },
      "liveness",
      "firstContent"
    ],
    [
      "signs of life above idle and the attempt",
      { attemptTimeout: "10 seconds", stream: { idle: "5 seconds", liveness: "20 seconds" } },
      "liveness",
      "attemptTimeout"
    ],
    ["a restart without a retry", { stream: { onBreak: "restart" } }, "onBreak", "retry"],
    ["a resume without a retry", { stream: { onBreak: "resume" } }, "onBreak", "retry"],
    [
      "a restart with a retry that never retries",
      { retry: RetryPolicy.never, stream: { onBreak: "restart" } },
      "onBreak",
      "retry"
    ]
  ])("contradicts %s: one issue that names the other field", ([, options, path, other]) =>
    Effect.gen(function*() {
      const issues = yield* issuesOf(PolicyConfig.read(options))
      expect(issues.map(([at]) => at)).toEqual([`stream.${path}`])
      expect(issues[0]?.[1]).toContain(other)
    }))

  it.effect.each<readonly [string, PolicyConfig.Options]>([
    ["a longer total than that of a call", {
      totalTimeout: "1 minute",
      stream: { idle: "2 minutes", total: "1 hour" }
    }],
    [
      "signs of life above idle, where the first content may take longer",
      { stream: { idle: "5 seconds", liveness: "10 seconds", firstContent: "1 minute" } }
    ],
    ["signs of life alone", { stream: { liveness: "10 seconds" } }],
    ["a restart with a retry", { retry, stream: { onBreak: "restart" } }],
    ["a cut without a retry", { stream: { onBreak: "truncate" } }],
    ["an attempt as long as the total, where the first content has a limit of its own", {
      attemptTimeout: "1 minute",
      stream: { total: "1 minute", firstContent: "10 seconds" }
    }]
  ])("takes %s", ([, options]) => Effect.asVoid(PolicyConfig.read(options)))

  it.effect("does not miss a retry that is there but wrong", () =>
    Effect.gen(function*() {
      const issues = yield* issuesOf(PolicyConfig.decode({ retry: { attempts: 3 }, stream: { onBreak: "restart" } }))
      expect(issues.map(([path]) => path)).toEqual(["retry.backoff"])
    }))

  it.effect("shares a policy that was made before", () =>
    Effect.gen(function*() {
      const stream = yield* StreamPolicy.make({ idle: "5 seconds" })
      const pipeline = yield* Pipeline.make({ stream })
      expect(Pipeline.policies(pipeline).stream).toBe(stream)
      expect(Pipeline.encode(pipeline)).toEqual({ name: "pipeline" })
    }))

  it.effect("takes over other settings while streams run", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ stream: { idle: "5 seconds" } })
      yield* Pipeline.reconfigure(pipeline, { stream: { idle: "6 seconds", onBreak: "truncate" } })
      expect(Pipeline.policies(pipeline).stream).toMatchObject({ idle: 6_000, onBreak: "truncate" })
    }))
})

describe("StreamPolicy.of", () => {
  it.effect("lets the time-outs of a call stand in where the stream has none", () =>
    Effect.gen(function*() {
      const timeouts = { totalTimeout: "1 minute", attemptTimeout: "10 seconds" } as const
      const settings = (options: Pipeline.Options) =>
        Effect.map(Pipeline.make(options), (pipeline) => StreamPolicy.of(Pipeline.policies(pipeline)))
      expect(yield* settings({})).toEqual(StreamPolicy.defaults)
      expect(yield* settings(timeouts)).toEqual({ ...StreamPolicy.defaults, firstContent: 10_000, total: 60_000 })
      expect(yield* settings({ ...timeouts, stream: { firstContent: "20 seconds", total: "2 minutes" } }))
        .toMatchObject({ firstContent: 20_000, total: 120_000 })
    }))
})

describe("in words", () => {
  it.effect("says every limit and what happens when it breaks", () =>
    Effect.gen(function*() {
      const words = (options: StreamPolicy.Options) => Effect.map(StreamPolicy.make(options), StreamPolicy.describe)
      expect(yield* words({})).toBe(
        "stream: when it breaks it fails with what came, keeping 1000000 characters of it"
      )
      expect(
        yield* words({
          firstContent: "30 seconds",
          idle: "20 seconds",
          liveness: "10 seconds",
          total: "10 minutes",
          peek: "200 millis",
          onBreak: "resume",
          continuation: "allowed",
          otherwise: "restart",
          maxKept: 5_000
        })
      ).toBe(
        "stream: first content within 30s, the next within 20s, a sign of life within 10s, all of it within 10m, " +
          "first content held back for 200ms; when it breaks it goes on as the provider can or by a continuation, " +
          "else begins anew, keeping 5000 characters of it"
      )
      expect(yield* words({ onBreak: "restart", idle: "20 seconds" })).toBe(
        "stream: the next within 20s; when it breaks it begins anew, keeping 1000000 characters of it"
      )
      expect(yield* words({ onBreak: "truncate" })).toBe("stream: when it breaks it ends with what came")
    }))

  it.effect("stands outside all in the words of a pipeline, and bounds a call by its own total", () =>
    Effect.gen(function*() {
      const bounds = (options: Pipeline.Options) => Effect.map(Pipeline.make(options), Pipeline.bounds)
      const stream = { onBreak: "restart" } as const
      const words = Pipeline.describe(yield* Pipeline.make({ stream, totalTimeout: "1 minute", retry }))
      expect(words).toContain(
        "pipeline: stream: when it breaks it begins anew, keeping 1000000 characters of it\n  → total time-out 1m\n  → retry"
      )
      expect((yield* bounds({ stream, totalTimeout: "1 minute", retry })).duration).toMatchObject({
        value: { millis: 60_000 }
      })
      expect((yield* bounds({ stream: { total: "1 hour" }, totalTimeout: "1 minute" })).duration).toMatchObject({
        value: { millis: 3_600_000 }
      })
      // Content may come for ever.
      expect((yield* bounds({ stream, attemptTimeout: "10 seconds", retry })).duration).toMatchObject({
        value: { _tag: "Infinity" }
      })
      expect((yield* bounds({ stream, retry })).attempts).toBe(3)
    }))
})
