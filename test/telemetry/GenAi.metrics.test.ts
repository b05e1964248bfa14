/** The conventions' metrics of calls, with and without a tracer. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as GenAi from "../../src/telemetry/GenAi.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const overloaded = ScriptedModel.fail(new ModelError.Overloaded({ provider: "p" }))

/** Runs it in virtual time, and gives the metrics of the model, by name and error. */
const metersOf = (name: string, version: GenAi.Version, ...script: ReadonlyArray<ScriptedModel.Step>) =>
  Effect.gen(function*() {
    const model = yield* ScriptedModel.make(script, {
      name,
      provider: "gemini",
      afterwards: ScriptedModel.text("fine")
    })
    const strong = ResilientModel.strengthen(
      model,
      yield* Pipeline.make({ retry: { backoff: "constant", delay: "1 second", attempts: 2 } })
    )
    const calls = Effect.all([
      strong.generate({ prompt: "a" }),
      Effect.exit(strong.generate({ prompt: "b" })),
      Stream.runDrain(strong.stream({ prompt: "c" }))
    ])
    const fiber = yield* Effect.fork(Effect.provide(calls, GenAi.layerMetrics({ version })))
    yield* TestClock.adjust("1 minute")
    yield* Fiber.join(fiber)
    const pairs = yield* Metric.snapshot
    return pairs.flatMap(({ metricKey, metricState }) => {
      const labels = Object.fromEntries(metricKey.tags.map(({ key, value }) => [key, value]))
      return labels["gen_ai.request.model"] === name ? [{ name: metricKey.name, labels, state: metricState }] : []
    })
  })

describe("the metrics of calls", () => {
  it.effect("are those of the conventions, retries being part of their call", () =>
    Effect.gen(function*() {
      const meters = yield* metersOf(
        "counted-2026",
        "2026",
        overloaded,
        ScriptedModel.text("ok"),
        overloaded,
        overloaded
      )
      const find = (name: string, error?: string) =>
        meters.find((each) => each.name === name && each.labels["error.type"] === error)
      const duration = find("gen_ai.client.inference.duration")
      expect(duration?.labels).toEqual({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "counted-2026"
      })
      expect(MetricState.isHistogramState(duration?.state)).toBe(true)
      // One after a retry of a second, and the stream; the call that failed has its own.
      expect(duration?.state).toMatchObject({ count: 2, sum: 1 })
      expect(find("gen_ai.client.inference.duration", "Overloaded")?.state).toMatchObject({ count: 1, sum: 1 })
      expect(find("gen_ai.client.inference.time_to_first_chunk")?.state).toMatchObject({ count: 1 })
      expect(find("gen_ai.client.inference.usage.input_tokens")?.state).toMatchObject({ count: 20 })
      expect(find("gen_ai.client.inference.usage.output_tokens")?.state).toMatchObject({ count: 10 })
      expect(find("gen_ai.client.inference.operation.output_tokens")?.state).toMatchObject({ count: 2, sum: 10 })
    }))

  it.effect("can have last year's names", () =>
    Effect.gen(function*() {
      const meters = yield* metersOf("counted-2025", "2025")
      expect(new Set(meters.map(({ name }) => name))).toEqual(
        new Set(["gen_ai.client.operation.duration", "gen_ai.client.token.usage"])
      )
    }))

  it.effect("are of so many models at most", () =>
    Effect.gen(function*() {
      const meter = yield* Effect.provide(GenAi.CurrentMeter, GenAi.layerMetrics())
      if (meter === undefined) return expect.unreachable()
      const call: GenAi.Call = {
        provider: "bounded",
        model: "",
        seconds: 1,
        secondsToFirstChunk: undefined,
        inputTokens: undefined,
        outputTokens: undefined,
        cacheReadTokens: undefined,
        reasoningTokens: undefined,
        error: undefined
      }
      yield* Effect.forEach(Array.from({ length: 500 }), (_, at) => meter({ ...call, model: `model-${at}` }))
      const models = (yield* Metric.snapshot).filter(({ metricKey }) =>
        metricKey.tags.some(({ value }) => value === "bounded")
      )
      expect(models).toHaveLength(101)
    }))
})
