/**
 * Reads what a reply's headers tell about the caller's limits, for every vendor's spelling, on success and on failure.
 * It is pure: the same headers always give the same info, so it can be tried on a line of a log.
 *
 * @example
 * import * as RateLimitHeaders from "effect-llm-resilience/provider/RateLimitHeaders"
 * import * as Duration from "effect/Duration"
 *
 * const info = RateLimitHeaders.fromHeaders({
 *   "x-ratelimit-limit-requests": "500",
 *   "x-ratelimit-remaining-requests": "499",
 *   "x-ratelimit-reset-requests": "120ms"
 * })
 *
 * const wait = info.requests?.resetAfter
 * console.log(info.requests?.remaining, wait === undefined ? undefined : Duration.toMillis(wait)) // 499 120
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { fromHeaders as waitOf } from "../internal/hints.ts"
import * as rateLimitHeaders from "../internal/rateLimitHeaders.ts"
import { definedFields } from "../internal/record.ts"
import type { Allowance, RateLimitInfo } from "../model/RateLimitInfo.ts"
import type { ProviderReply } from "./ProviderError.ts"

const allowance = (told: rateLimitHeaders.Dimension | undefined): Allowance | undefined =>
  told === undefined ? undefined : definedFields({
    limit: told.limit,
    remaining: told.remaining,
    resetAfter: told.reset === undefined ? undefined : Duration.millis(told.reset),
    per: told.per
  })

/**
 * The limits in the headers of a reply, whatever its status; names may come in any case.
 *
 * Read are `x-ratelimit-*` with the unit (OpenAI, Azure, Groq, xAI, Fireworks, Cerebras, Mistral) and without it
 * (OpenRouter, Together, whose tokens are `x-tokenlimit-*`), `anthropic-ratelimit-*`, the IETF draft's `ratelimit` (Hugging
 * Face), and the waits of `retry-after` and its relatives. Gemini and Bedrock send none of them. What cannot be read, `-1`
 * and a limit of 0 (both mean "unknown") are absent. Of several windows of one unit the minute's is taken.
 *
 * Instants are turned into waits by `now`, or by the reply's own `date` header; without both they say nothing. Times are
 * whole milliseconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHeaders = (
  headers: NonNullable<ProviderReply["headers"]>,
  now?: DateTime.DateTime.Input
): RateLimitInfo => {
  const at = now === undefined
    ? undefined
    : Option.getOrUndefined(Option.map(DateTime.make(now), DateTime.toEpochMillis))
  const told = rateLimitHeaders.dimensions(headers, at)
  const wait = waitOf(headers, at)
  return definedFields({
    requests: allowance(told.requests),
    tokens: allowance(told.tokens),
    inputTokens: allowance(told.inputTokens),
    outputTokens: allowance(told.outputTokens),
    retryAfter: wait === undefined ? undefined : Duration.millis(wait)
  })
}
