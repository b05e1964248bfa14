import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Overloaded } from "../../src/error/ModelError.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"

const twice = (name: string) =>
  Effect.flatMap(
    Retry.make({ name, policy: RetryPolicy.immediate.pipe(RetryPolicy.attempts(3)) }),
    (retry) => Effect.ignore(Retry.apply(Effect.fail(new Overloaded({ provider: "p" })), retry))
  )

describe("Metrics", () => {
  it.effect("counts every event by its kind and policy", () =>
    Effect.gen(function*() {
      yield* twice("counted").pipe(Effect.provide(Metrics.layer))
      expect((yield* Metric.value(Metrics.events("Retried", "counted"))).count).toBe(2)
      expect((yield* Metric.value(Metrics.events("GaveUp", "counted"))).count).toBe(1)
      expect((yield* Metric.value(Metrics.errors("Overloaded", "counted"))).count).toBe(3)
    }))

  it.effect("keeps the policies apart, and counts nothing unless it is provided", () =>
    Effect.gen(function*() {
      yield* twice("uncounted")
      expect((yield* Metric.value(Metrics.events("Retried", "uncounted"))).count).toBe(0)
    }))

  it.effect("keep no series for every key of a family for ever", () =>
    Effect.gen(function*() {
      const before = (yield* Metric.snapshot).length
      const emitting = (name: string) => Metrics.monitor.emit(Event.CircuitClosed({ at: 0, name }))
      for (let key = 0; key < 5_000; key++) yield* emitting(`bounded/key ${key}`)
      expect((yield* Metric.snapshot).length - before).toBeLessThanOrEqual(1_001)
      const late = (yield* Metric.value(Metrics.events("CircuitClosed", "bounded/key 4999"))).count
      expect(late).toBeGreaterThan(3_900)
      yield* emitting("too late for a name")
      expect((yield* Metric.value(Metrics.events("CircuitClosed", "anything else"))).count).toBe(1)
    }))
})
