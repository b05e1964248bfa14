/**
 * Events as Effect metrics: what any exporter of Effect's `Metric` shows. Metrics are a fold over events, so every
 * policy has them and none has code for them.
 *
 * Effect keeps a metric for ever once it was used, so names are bounded: the first {@link defaults}.maxPolicies policies
 * and {@link defaults}.maxErrors kinds of error have metrics of their own, all further ones share those named `other`.
 * A family whose keys are tenants or users does not grow the memory of a process.
 *
 * | metric | kind | tags |
 * |---|---|---|
 * | `llm_resilience.events` | counter | `event` (the event's `_tag`), `policy` (its name) |
 * | `llm_resilience.errors` | counter | `error` (the `_tag` of the error of an event), `policy` |
 * | `llm_resilience.retry.delay` | histogram, milliseconds | `policy` |
 * | `llm_resilience.retry.attempts` | histogram of the attempts of a finished call that had to retry | `policy` |
 * | `llm_resilience.rate_limit.wait` | histogram, milliseconds | `policy` |
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

const ofPolicy = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>, policy: string) =>
  Metric.tagged(metric, "policy", policy)

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

/**
 * How many names have metrics of their own.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { maxPolicies: 200, maxErrors: 100 } as const

/** What stands for all names beyond the bound. */
const other = "other"

/** The first `most` names as they are, and `other` for all that follow. */
const bounded = (most: number): (name: string) => string => {
  const known = new Set<string>()
  return (name) => {
    if (known.has(name)) return name
    if (known.size >= most) return other
    known.add(name)
    return name
  }
}

const measured = (event: Event.Event, policy: string): Effect.Effect<void> => {
  switch (event._tag) {
    case "Retried":
      return Metric.update(ofPolicy(retryDelay, policy), Duration.toMillis(event.delay))
    case "GaveUp":
    case "Recovered":
      return Metric.update(ofPolicy(retryAttempts, policy), event.attempt)
    case "RateLimitDelayed":
      return Metric.update(ofPolicy(limitWait, policy), Duration.toMillis(event.wait))
    default:
      return Effect.void
  }
}

/**
 * A monitor that keeps the metrics, with bounds of its own. Put it beside your own with `Monitor.both`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: {
  readonly maxPolicies?: number | undefined
  readonly maxErrors?: number | undefined
}): Monitor.Service => {
  const policyOf = bounded(options?.maxPolicies ?? defaults.maxPolicies)
  const errorOf = bounded(options?.maxErrors ?? defaults.maxErrors)
  return Monitor.make((event) => {
    const policy = policyOf(event.name)
    return Metric.increment(events(event._tag, policy)).pipe(
      Effect.zipRight(
        "error" in event ? Metric.increment(errors(errorOf(Event.errorTag(event.error)), policy)) : Effect.void
      ),
      Effect.zipRight(measured(event, policy))
    )
  })
}

/**
 * The monitor that {@link layer} provides. All who use it share its bounds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const monitor: Monitor.Service = make()

/**
 * Keeps the metrics of everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<never> = Monitor.layer(monitor)
