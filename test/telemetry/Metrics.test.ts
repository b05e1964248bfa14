import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Overloaded } from "../../src/error/ModelError.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
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
})
