/**
 * What policies and loops report while they work: one tagged union. An event is plain data with the time it happened;
 * its error is the caller's own value, and its text is made safe to print by {@link describe}.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Event from "effect-llm-resilience/telemetry/Event"
 * import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
 *
 * const printing = Monitor.layer(Monitor.make((event) => Effect.sync(() => console.log(Event.describe(event)))))
 *
 * const program = Monitor.emit(Event.Reasked({ at: 0, name: "chat", reask: 1 })).pipe(Effect.provide(printing))
 *
 * Effect.runPromise(program) // chat: asking the model again (1)
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import { excerpt, redact, textProperty, visible } from "../internal/redact.ts"
import { words } from "../internal/words.ts"

/** What every event has: when it happened (epoch milliseconds) and the name of the policy that reports it. */
interface Common {
  readonly at: number
  readonly name: string
}

/**
 * Something a policy or a loop did.
 *
 * @since 0.1.0
 * @category models
 */
export type Event = Data.TaggedEnum<{
  /** An attempt failed and will be repeated after `delay`. `attempt` is the one that failed, from 1. */
  readonly Retried: Common & {
    readonly attempt: number
    readonly elapsed: Duration.Duration
    readonly delay: Duration.Duration
    readonly error: unknown
  }
  /** An attempt failed and will not be repeated; `reason` says why, for people. */
  readonly GaveUp: Common & {
    readonly attempt: number
    readonly elapsed: Duration.Duration
    readonly reason: string
    readonly error: unknown
  }
  /** An attempt succeeded after others had failed. */
  readonly Recovered: Common & { readonly attempt: number; readonly elapsed: Duration.Duration }
  /** A time-out ended the work; `phase` says which. */
  readonly TimedOut: Common & { readonly phase: string; readonly limit: Duration.Duration }
  /** A model's reply held tool calls that were refused; no handler ran. `reask` counts from 0. */
  readonly ToolCallsRejected: Common & {
    readonly reask: number
    readonly tools: ReadonlyArray<string>
    /** What is wrong with each refused call: the `_tag` of its error, with the reason where there are several. */
    readonly kinds: ReadonlyArray<string>
    readonly reasons: ReadonlyArray<string>
  }
  /** A model's answer to a structured question was refused; nothing of it is given out. `reask` counts from 0. */
  readonly AnswerRejected: Common & {
    readonly reask: number
    /** What is wrong with it: the `kind` of an `InvalidAnswer`, or the `_tag` of the provider's error. */
    readonly kind: string
    readonly reason: string
  }
  /** The model is asked again, with what was wrong; `reask` counts from 1. */
  readonly Reasked: Common & { readonly reask: number }
  /** A tool's handler ran and answered. */
  readonly ToolRan: Common & { readonly tool: string; readonly callId: string }
  /** A tool's handler failed; `messageToModel` is the result that the model got. */
  readonly ToolFailed: Common & { readonly tool: string; readonly callId: string; readonly messageToModel: string }
  /** A circuit opened after that many calls in its window, so many failed and so many slow. */
  readonly CircuitOpened: Common & {
    readonly retryAfter: Duration.Duration
    readonly calls: number
    readonly failures: number
    readonly slow: number
    /** The error that opened it, clipped and without credentials; none where slow calls did. */
    readonly openedBy?: { readonly tag: string; readonly message: string }
  }
  /** A circuit lets probes through. */
  readonly CircuitHalfOpened: Common
  /** A circuit lets everything through again. */
  readonly CircuitClosed: Common
  /** A circuit was opened by hand, until it is closed by hand. */
  readonly CircuitIsolated: Common
  /** A circuit was switched off: it lets everything through and counts nothing. */
  readonly CircuitDisabled: Common
  /** A circuit refused a call. */
  readonly CircuitRefused: Common & { readonly retryAfter: Duration.Duration }
  /** An adaptive throttle refused a call: of the calls of its window so many were accepted. */
  readonly ThrottleRefused: Common & { readonly requests: number; readonly accepts: number }
  /** A bulkhead refused a call. */
  readonly BulkheadRefused: Common & {
    readonly reason: string
    readonly running: number
    readonly queued: number
  }
  /** An adaptive limit of calls in flight moved. */
  readonly ConcurrencyLimitChanged: Common & { readonly from: number; readonly to: number }
  /** A limiter makes a call wait. */
  readonly RateLimitDelayed: Common & { readonly wait: Duration.Duration }
  /** A limiter refused a call. */
  readonly RateLimitRefused: Common & { readonly reason: string; readonly retryAfter: Duration.Duration }
  /** The other side asked for silence: every caller of this limiter waits until then (epoch milliseconds). */
  readonly RateLimitPaused: Common & { readonly until: number; readonly wait: Duration.Duration }
  /** A limiter learned its limits from the other side. */
  readonly RateLimitLearned: Common & {
    readonly requestsPerMinute?: number | undefined
    readonly tokensPerMinute?: number | undefined
  }
  /** A retry or a hedge was not made because the budget for them is used up. */
  readonly RetryBudgetExhausted: Common & { readonly attempt: number }
  /** A further attempt was started beside one that takes long; `attempt` is its number, from 2. */
  readonly Hedged: Common & { readonly attempt: number }
  /** A hedge answered first. */
  readonly HedgeWon: Common & { readonly attempt: number }
  /** One alternative failed, so the next one is tried. */
  readonly FellBack: Common & { readonly from: string; readonly to: string; readonly error: unknown }
  /** A failure was turned into a degraded result. */
  readonly Degraded: Common & { readonly error: unknown }
  /** A retry runs inside another one: in the worst case their attempts multiply to `product`. */
  readonly NestedRetry: Common & { readonly outer: string; readonly product: number }
  /** A running pipeline took over a new configuration. */
  readonly ConfigSwapped: Common
}>

/**
 * The names of all events.
 *
 * @since 0.1.0
 * @category models
 */
export type Tag = Event["_tag"]

const events = Data.taggedEnum<Event>()

/**
 * `Event.is("Retried")(event)`
 *
 * @since 0.1.0
 * @category guards
 */
export const is = events.$is

/**
 * Handles every event by its tag.
 *
 * @since 0.1.0
 * @category conversions
 */
export const match = events.$match

/**
 * The constructors, one for each event.
 *
 * @since 0.1.0
 * @category constructors
 */
export const {
  AnswerRejected,
  BulkheadRefused,
  CircuitClosed,
  CircuitDisabled,
  CircuitHalfOpened,
  CircuitIsolated,
  CircuitOpened,
  CircuitRefused,
  ConcurrencyLimitChanged,
  ConfigSwapped,
  Degraded,
  FellBack,
  GaveUp,
  Hedged,
  HedgeWon,
  NestedRetry,
  RateLimitDelayed,
  RateLimitLearned,
  RateLimitPaused,
  RateLimitRefused,
  Reasked,
  Recovered,
  Retried,
  RetryBudgetExhausted,
  ThrottleRefused,
  TimedOut,
  ToolCallsRejected,
  ToolFailed,
  ToolRan
} = events

/**
 * How an error is called: its `_tag`, or the name of its kind.
 *
 * @since 0.1.0
 * @category conversions
 */
export const errorTag = (error: unknown): string =>
  typeof error !== "object" || error === null
    ? typeof error
    : textProperty(error, "_tag") ?? textProperty(error, "name") ?? "Error"

/**
 * What an error says, safe to print: credentials are masked, long texts clipped, and what is no letter is spelled out.
 *
 * @since 0.1.0
 * @category conversions
 */
export const errorText = (error: unknown): string =>
  visible(excerpt(
    (typeof error !== "object" && typeof error !== "function") || error === null
      ? String(error)
      : textProperty(error, "message") ?? errorTag(error)
  ))

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/**
 * An event in one line, safe to print.
 *
 * @since 0.1.0
 * @category conversions
 */
export const describe = (event: Event): string => visible(redact(line(event)))

const line: (event: Event) => string = match({
  Retried: (event) =>
    `${event.name}: attempt ${event.attempt} failed after ${words(event.elapsed)} with ` +
    `${errorTag(event.error)}; next attempt in ${words(event.delay)}`,
  GaveUp: (event) =>
    `${event.name}: attempt ${event.attempt} failed after ${words(event.elapsed)} with ` +
    `${errorTag(event.error)}; giving up: ${event.reason}`,
  Recovered: (event) => `${event.name}: attempt ${event.attempt} succeeded after ${words(event.elapsed)}`,
  TimedOut: (event) => `${event.name}: ${event.phase} took longer than ${words(event.limit)}`,
  ToolCallsRejected: (event) =>
    `${event.name}: refused ${plural(event.tools.length, "tool call")} (${event.reasons.join("; ")})`,
  AnswerRejected: (event) => `${event.name}: refused the answer (${event.reason})`,
  Reasked: (event) => `${event.name}: asking the model again (${event.reask})`,
  ToolRan: (event) => `${event.name}: ran ${event.tool}`,
  ToolFailed: (event) => `${event.name}: ${event.tool} failed, and the model was told: ${event.messageToModel}`,
  CircuitOpened: (event) =>
    `${event.name}: circuit opened after ${
      plural(event.calls, "call")
    }, ${event.failures} failed, ${event.slow} slow; ` +
    `probe in ${words(event.retryAfter)}` +
    (event.openedBy === undefined ? "" : `; opened by ${event.openedBy.tag}`),
  CircuitHalfOpened: (event) => `${event.name}: circuit half-open, letting probes through`,
  CircuitClosed: (event) => `${event.name}: circuit closed`,
  CircuitIsolated: (event) => `${event.name}: circuit isolated by hand`,
  CircuitDisabled: (event) => `${event.name}: circuit disabled`,
  CircuitRefused: (event) => `${event.name}: circuit refused a call; probe in ${words(event.retryAfter)}`,
  BulkheadRefused: (event) =>
    `${event.name}: bulkhead refused a call (${event.reason}; ${event.running} running, ${event.queued} queued)`,
  ConcurrencyLimitChanged: (event) => `${event.name}: limit of calls in flight from ${event.from} to ${event.to}`,
  RateLimitDelayed: (event) => `${event.name}: waits ${words(event.wait)} for the rate limit`,
  RateLimitRefused: (event) =>
    `${event.name}: rate limiter refused a call (${event.reason}); retry after ${words(event.retryAfter)}`,
  RateLimitPaused: (event) => `${event.name}: paused for ${words(event.wait)} as the other side asked`,
  RateLimitLearned: (event) =>
    `${event.name}: learned limits: ${event.requestsPerMinute ?? "?"} requests and ${event.tokensPerMinute ?? "?"} ` +
    "tokens per minute",
  ThrottleRefused: (event) =>
    `${event.name}: throttle refused a call (${event.accepts} of the last ${event.requests} accepted)`,
  RetryBudgetExhausted: (event) => `${event.name}: no budget for attempt ${event.attempt}`,
  Hedged: (event) => `${event.name}: started attempt ${event.attempt} beside the running ones`,
  HedgeWon: (event) => `${event.name}: attempt ${event.attempt} answered first`,
  FellBack: (event) => `${event.name}: ${event.from} failed with ${errorTag(event.error)}; trying ${event.to}`,
  Degraded: (event) => `${event.name}: degraded result in place of ${errorTag(event.error)}`,
  NestedRetry: (event) => `${event.name}: runs inside the retry ${event.outer}; up to ${event.product} attempts in all`,
  ConfigSwapped: (event) => `${event.name}: took over a new configuration`
})
