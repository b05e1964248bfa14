/**
 * How many tokens a call cost, as the provider counted them.
 *
 * @example
 * import * as Usage from "effect-llm-resilience/model/Usage"
 *
 * const first = new Usage.Usage({ inputTokens: 120, outputTokens: 30, totalTokens: 150 })
 * const second = new Usage.Usage({ inputTokens: 150, outputTokens: 10, totalTokens: 160, reasoningTokens: 4 })
 *
 * // A conversation costs the sum of its calls.
 * const both = Usage.add(first, second)
 * console.log(both.totalTokens, both.reasoningTokens) // 310 4
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { definedFields } from "../internal/record.ts"

/**
 * Token counts of one call, or the sum over several. All counts are whole numbers, zero or more.
 *
 * A provider that reports nothing gives zeros (see {@link zero}), so zero means "unknown or none".
 *
 * @since 0.1.0
 * @category models
 */
export class Usage extends Schema.Class<Usage>("effect-llm-resilience/Usage")({
  /** Tokens of the prompt, cached ones included. */
  inputTokens: Schema.NonNegativeInt,
  /** Tokens of the reply, reasoning included where the provider counts it so. */
  outputTokens: Schema.NonNegativeInt,
  /** What the provider gives as the total; it may differ from the sum of the two above. */
  totalTokens: Schema.NonNegativeInt,
  /** The part of the output that was reasoning, where the provider tells. */
  reasoningTokens: Schema.optional(Schema.NonNegativeInt),
  /** The part of the input that was read from the provider's cache, where the provider tells. */
  cachedInputTokens: Schema.optional(Schema.NonNegativeInt),
  /** The part of the input that was written to the provider's cache, where the provider tells. */
  cacheWriteInputTokens: Schema.optional(Schema.NonNegativeInt)
}) {}

/**
 * No tokens: the neutral element of {@link add}, and what a silent provider is taken to have used.
 *
 * @since 0.1.0
 * @category constructors
 */
export const zero: Usage = new Usage({ inputTokens: 0, outputTokens: 0, totalTokens: 0 })

/** Counts stay exact: beyond the largest safe integer a sum stands still instead of turning wrong. */
const sum = (left: number, right: number): number => Math.min(left + right, Number.MAX_SAFE_INTEGER)

const optionalSum = (left: number | undefined, right: number | undefined): number | undefined =>
  left === undefined ? right : right === undefined ? left : sum(left, right)

/**
 * The sum of two usages. An optional count is present if either side has it. Associative and commutative,
 * with {@link zero} as its neutral element.
 *
 * @since 0.1.0
 * @category combinators
 */
export const add = (left: Usage, right: Usage): Usage =>
  new Usage(definedFields({
    inputTokens: sum(left.inputTokens, right.inputTokens),
    outputTokens: sum(left.outputTokens, right.outputTokens),
    totalTokens: sum(left.totalTokens, right.totalTokens),
    reasoningTokens: optionalSum(left.reasoningTokens, right.reasoningTokens),
    cachedInputTokens: optionalSum(left.cachedInputTokens, right.cachedInputTokens),
    cacheWriteInputTokens: optionalSum(left.cacheWriteInputTokens, right.cacheWriteInputTokens)
  }))
