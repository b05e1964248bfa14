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

  it.effect("keeps a bounded number of names, whatever keys a family has; the rest is counted as other", () =>
    Effect.gen(function*() {
      const monitor = Metrics.make({ maxPolicies: 3, maxErrors: 2 })
      const before = (yield* Metric.snapshot).length
      for (let i = 0; i < 500; i++) {
        yield* monitor.emit(
          Event.FellBack({ at: 0, name: `bounded ${i}`, from: "a", to: "b", error: { _tag: `Kind${i}` } })
        )
      }
      // Three policies and the others, each with its events, and with the kinds of error that they met.
      expect((yield* Metric.snapshot).length - before).toBeLessThanOrEqual(4 + 4 * 3)
      expect((yield* Metric.value(Metrics.events("FellBack", "bounded 2"))).count).toBe(1)
      expect((yield* Metric.value(Metrics.events("FellBack", "other"))).count).toBe(497)
      yield* monitor.emit(Event.ConfigSwapped({ at: 0, name: "bounded 0" }))
      expect((yield* Metric.value(Metrics.events("ConfigSwapped", "bounded 0"))).count).toBe(1)
    }))
})
