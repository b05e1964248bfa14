/**
 * Events as Effect metrics: what any exporter of Effect's `Metric` shows. Metrics are a fold over events, so every
 * policy has them and none has code for them.
 *
 * | metric | kind | tags |
 * |---|---|---|
 * | `llm_resilience.events` | counter | `event` (the event's `_tag`), `policy` (its name) |
 * | `llm_resilience.errors` | counter | `error` (the `_tag` of the error of an event), `policy` |
 * | `llm_resilience.retry.delay` | histogram, milliseconds | `policy` |
 * | `llm_resilience.retry.attempts` | histogram of the attempts of a finished call that had to retry | `policy` |
 * | `llm_resilience.rate_limit.wait` | histogram, milliseconds | `policy` |
 *
 * The first 1000 names have series of their own; later members of a family such as `models/gpt` are counted as `models/*`,
 * all others as `*`.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Metric from "effect/Metric"
 * import * as Retry from "effect-llm-resilience/policy/Retry"
 * import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
 * import * as Metrics from "effect-llm-resilience/telemetry/Metrics"
 *
 * const program = Effect.fail("down").pipe(
 *   Retry.apply(RetryPolicy.immediate.pipe(RetryPolicy.attempts(3))),
 *   Effect.ignore,
 *   Effect.zipRight(Metric.value(Metrics.events("Retried", "retry"))),
 *   Effect.provide(Metrics.layer)
 * )
 *
 * Effect.runPromise(program).then((state) => console.log(state.count)) // 2
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as Event from "./Event.ts"
import * as Monitor from "./Monitor.ts"

const counted = Metric.counter("llm_resilience.events", { incremental: true })
const failed = Metric.counter("llm_resilience.errors", { incremental: true })

/** From 10 ms to about 5 minutes, each boundary twice the one before. */
const waits = MetricBoundaries.exponential({ start: 10, factor: 2, count: 16 })
const retryDelay = Metric.histogram("llm_resilience.retry.delay", waits)
const limitWait = Metric.histogram("llm_resilience.rate_limit.wait", waits)
const retryAttempts = Metric.histogram(
  "llm_resilience.retry.attempts",
  MetricBoundaries.linear({ start: 1, width: 1, count: 10 })
)

/** How many names of policies have series of their own. */
const mostPolicies = 1_000

const names = new Set<string>()

/**
 * The name that a policy is counted by. A family of policies by key makes a name for every key, and a series once begun
 * is kept for ever: beyond {@link mostPolicies} names, `models/gpt` is counted as `models/*`, and what has no family, or
 * one too many, as `*`.
 */
const policyTag = (name: string): string => {
  if (names.has(name)) return name
  const slash = name.indexOf("/")
  const familyName = slash === -1 ? "*" : `${name.slice(0, slash)}/*`
  for (const tag of [name, familyName]) {
    // Families have as much room again, so that keys cannot take it.
    if (names.has(tag) || names.size < (tag === name ? mostPolicies : 2 * mostPolicies)) {
      names.add(tag)
      return tag
    }
  }
  return "*"
}

const ofPolicy = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>, policy: string) =>
  Metric.tagged(metric, "policy", policyTag(policy))

/**
 * The counter of one event of one policy.
 *
 * @since 0.1.0
 * @category getters
 */
export const events = (event: Event.Tag, policy: string): Metric.Metric.Counter<number> =>
  Metric.tagged(ofPolicy(counted, policy), "event", event)

/**
 * The counter of one kind of error that a policy met.
 *
 * @since 0.1.0
 * @category getters
 */
export const errors = (errorTag: string, policy: string): Metric.Metric.Counter<number> =>
  Metric.tagged(ofPolicy(failed, policy), "error", errorTag)

const measured = (event: Event.Event): Effect.Effect<void> => {
  switch (event._tag) {
    case "Retried":
      return Metric.update(ofPolicy(retryDelay, event.name), Duration.toMillis(event.delay))
    case "GaveUp":
    case "Recovered":
      return Metric.update(ofPolicy(retryAttempts, event.name), event.attempt)
    case "RateLimitDelayed":
      return Metric.update(ofPolicy(limitWait, event.name), Duration.toMillis(event.wait))
    default:
      return Effect.void
  }
}

/**
 * A monitor that keeps the metrics. Put it beside your own with `Monitor.both`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const monitor: Monitor.Service = Monitor.make((event) =>
  Metric.increment(events(event._tag, event.name)).pipe(
    Effect.zipRight(
      "error" in event ? Metric.increment(errors(Event.errorTag(event.error), event.name)) : Effect.void
    ),
    Effect.zipRight(measured(event))
  )
)

/**
 * Keeps the metrics of everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<never> = Monitor.layer(monitor)
