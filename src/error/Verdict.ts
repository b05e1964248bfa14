/**
 * The one place that judges an error: what may be done about it, how long to wait, whether it weighs on a circuit
 * breaker and whether it was paid for. Policies read verdicts; they never look at status codes or texts.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Hints from "../internal/hints.ts"
import { property } from "../internal/redact.ts"

/**
 * What to do about an error. `Retry`: the same request may succeed later. `Reask`: the model wrote something wrong and
 * may do better when told. `Fallback`: this model will not do it, another may. `Fail`: nothing but a change helps.
 *
 * @since 0.1.0
 * @category models
 */
export type Action = "Retry" | "Reask" | "Fallback" | "Fail"

/**
 * A judgement of one error.
 *
 * @since 0.1.0
 * @category models
 */
export interface Verdict {
  readonly action: Action
  /** How long the other side asked to wait; a retry is never earlier than this if the policy honours hints. */
  readonly retryAfter: Option.Option<Duration.Duration>
  /** The other side asked for less traffic: a matter for rate control, not for a circuit breaker. */
  readonly throttled: boolean
  /** Whether it counts as a failure of the dependency, so that a circuit breaker may open. */
  readonly weighs: boolean
  /** Was the request paid for? `maybe` when it was sent and the reply was lost. */
  readonly billed: "no" | "maybe" | "yes"
  /** The other side said not to retry (`x-should-retry: false`); no policy outranks that. */
  readonly forbidden: boolean
}

/**
 * Builds a verdict. Defaults: no hint, not throttled, weighs nothing, not billed, not forbidden.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  action: Action,
  options?: {
    readonly retryAfter?: Duration.DurationInput | undefined
    readonly throttled?: boolean | undefined
    readonly weighs?: boolean | undefined
    readonly billed?: "no" | "maybe" | "yes" | undefined
    readonly forbidden?: boolean | undefined
  }
): Verdict => ({
  action,
  retryAfter: Option.map(Option.fromNullable(options?.retryAfter), (wait) => Duration.decode(wait)),
  throttled: options?.throttled ?? false,
  weighs: options?.weighs ?? false,
  billed: options?.billed ?? "no",
  forbidden: options?.forbidden ?? false
})

/**
 * The property an error of your own implements to be judged: `[Verdict.symbol](): Verdict`.
 *
 * @example
 * import * as Verdict from "effect-llm-resilience/error/Verdict"
 * import * as Data from "effect/Data"
 *
 * class SearchIndexBusy extends Data.TaggedError("SearchIndexBusy")<{}> {
 *   [Verdict.symbol]() {
 *     return Verdict.make("Retry", { retryAfter: "2 seconds", throttled: true })
 *   }
 * }
 *
 * console.log(Verdict.of(new SearchIndexBusy()).action) // => Retry
 *
 * @since 0.1.0
 * @category symbols
 */
export const symbol: unique symbol = Symbol.for("effect-llm-resilience/Verdict")

/**
 * An error that knows its own verdict.
 *
 * @since 0.1.0
 * @category models
 */
export interface Judged {
  readonly [symbol]: () => Verdict
}

/**
 * Whether a value knows its own verdict.
 *
 * @since 0.1.0
 * @category guards
 */
export const isJudged = (error: unknown): error is Judged =>
  typeof error === "object" && error !== null && typeof property(error, symbol) === "function"

const weighing = make("Retry", { weighs: true, billed: "maybe" })
const transientStatus = (status: number): boolean =>
  status === 408 || status === 409 || status === 425 || status === 429 || status >= 500

/** The headers of a reply as plain text, copied because those of a foreign object may be anything. */
const headersOf = (response: object): Hints.Headers => {
  const headers = property(response, "headers")
  if (typeof headers !== "object" || headers === null) return {}
  try {
    return Object.fromEntries(
      Object.entries(headers).filter((entry): entry is [string, string] => typeof entry[1] === "string")
    )
  } catch {
    return {}
  }
}

/** A date in a header is read against the reply's own `Date`: there is no clock here. */
const ofReply = (response: object, status: number): Verdict => {
  const isThrottled = status === 429
  if (!isThrottled && (!transientStatus(status) || status === 501)) return make("Fail")
  const headers = headersOf(response)
  return make("Retry", {
    retryAfter: Hints.fromHeaders(headers) ??
      (isThrottled ? Hints.fromResetHeaders(headers, { limited: true }) : undefined),
    throttled: isThrottled,
    weighs: !isThrottled,
    billed: isThrottled ? "no" : "maybe",
    forbidden: Hints.header(headers, "x-should-retry")?.trim().toLowerCase() === "false"
  })
}

/** Well-known errors of Effect itself and of `@effect/platform`, told by their tags. */
const ofForeign = (error: object): Option.Option<Verdict> => {
  const tag = property(error, "_tag")
  const reason = property(error, "reason")
  switch (tag) {
    case "TimeoutException":
      return Option.some(weighing)
    case "RequestError":
      return Option.some(reason === "Transport" ? weighing : make("Fail"))
    case "ResponseError": {
      const response = property(error, "response")
      if (reason !== "StatusCode" || typeof response !== "object" || response === null) return Option.some(weighing)
      const status = property(response, "status")
      return Option.some(typeof status === "number" ? ofReply(response, status) : weighing)
    }
    case "ParseError":
    case "NoSuchElementException":
    case "IllegalArgumentException":
      return Option.some(make("Fail"))
  }
  const retryable = property(error, "isRetryable")
  return typeof retryable === "boolean"
    ? Option.some(retryable ? weighing : make("Fail"))
    : Option.none()
}

/**
 * The verdict of any error. An error that implements {@link symbol} is asked; the errors of Effect and
 * `@effect/platform` are known by tag, a `ResponseError` with the wait that its reply asks for (`Retry-After` in every
 * spelling, reset headers of a 429) and its `x-should-retry`; anything with a boolean `isRetryable` is believed. An error nobody has judged
 * is taken to be transient (`Retry`, weighs): whoever put a retry policy round the effect wanted it retried. Give the
 * policy a predicate, or the error a verdict, to say otherwise.
 *
 * @since 0.1.0
 * @category constructors
 */
export const of = (error: unknown): Verdict =>
  isJudged(error)
    ? error[symbol]()
    : typeof error === "object" && error !== null
    ? Option.getOrElse(ofForeign(error), () => weighing)
    : weighing
