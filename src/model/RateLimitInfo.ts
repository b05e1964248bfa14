/**
 * How much a provider still allows, as its reply told, in one form for every vendor.
 *
 * @example
 * import * as RateLimitInfo from "effect-llm-resilience/model/RateLimitInfo"
 * import * as Duration from "effect/Duration"
 *
 * const info: RateLimitInfo.RateLimitInfo = {
 *   requests: { limit: 500, remaining: 0, resetAfter: Duration.millis(120) }
 * }
 * console.log(info.requests?.remaining) // 0
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Learned } from "../internal/bucket.ts"

/** Requests or tokens: finite, not negative. */
const Amount = Schema.NonNegative.pipe(
  Schema.finite(),
  Schema.annotations({ arbitrary: () => (fc) => fc.nat() })
)

/**
 * One allowance: how much in total, how much is left, and when it is full again.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Allowance = Schema.Struct({
  /** The whole allowance of one window. */
  limit: Schema.optional(Amount),
  /** What is left of it. */
  remaining: Schema.optional(Amount),
  /** How long until it is full again. */
  resetAfter: Schema.optional(Schema.Duration),
  /** The window that `limit` counts in; absent where it is not known. */
  per: Schema.optional(Schema.Literal("second", "minute", "hour", "day", "month"))
}).annotations({ identifier: "Allowance" })

/**
 * One allowance: how much in total, how much is left, and when it is full again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Allowance extends Schema.Schema.Type<typeof Allowance> {}

/**
 * What a reply told about the caller's limits. Absent is what it did not tell.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RateLimitInfo = Schema.Struct({
  requests: Schema.optional(Allowance),
  tokens: Schema.optional(Allowance),
  inputTokens: Schema.optional(Allowance),
  outputTokens: Schema.optional(Allowance),
  /** How long the provider asks to wait before the next request. */
  retryAfter: Schema.optional(Schema.Duration)
}).annotations({ identifier: "RateLimitInfo" })

/**
 * What a reply told about the caller's limits.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimitInfo extends Schema.Schema.Type<typeof RateLimitInfo> {}

/** A limit of 0 is how some gateways say "unknown". */
const known = (allowance: Allowance | undefined): Allowance | undefined =>
  allowance?.per === "minute" && allowance.limit !== 0 ? allowance : undefined

/**
 * What of it tells something to a limiter per minute (`RateLimiter.learn` takes it): windows of another length say nothing.
 * Of a provider that limits input and output apart, the input's limit stands for the tokens.
 *
 * @since 0.1.0
 * @category conversions
 */
export const perMinute = (info: RateLimitInfo): Learned => {
  const requests = known(info.requests)
  const tokens = known(info.tokens) ?? known(info.inputTokens)
  return {
    ...(requests?.limit === undefined ? {} : { requestsPerMinute: requests.limit }),
    ...(requests?.remaining === undefined ? {} : { requestsRemaining: requests.remaining }),
    ...(tokens?.limit === undefined ? {} : { tokensPerMinute: tokens.limit }),
    ...(tokens?.remaining === undefined ? {} : { tokensRemaining: tokens.remaining })
  }
}
