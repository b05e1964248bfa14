/**
 * What tokens cost, as data: a table of your own, or a file in the format of a public list. `ToolLoop`, `GenerateObject` and
 * batches take it as their `price`, so that a limit of money needs no function. A model that the table does not know is a
 * typed error, never free.
 *
 * No price comes with this package: prices change, and a wrong one is worse than none. Keep your table beside your policy
 * file, or download `model_prices_and_context_window.json` of LiteLLM
 * (https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json) and read it with {@link decodePublicList}.
 *
 * @example
 * import * as Either from "effect/Either"
 * import * as Usage from "effect-llm-resilience/model/Usage"
 * import * as Price from "effect-llm-resilience/resilience/Price"
 *
 * // Of a million tokens. Take them from your vendor's page.
 * const price = Price.make({
 *   currency: "USD",
 *   models: {
 *     "small-model": { input: 0.25, output: 2, cachedInput: 0.025, batchShare: 0.5 },
 *     "large-model": { input: 1.25, output: 10, longPrompts: [{ above: 200_000, input: 2.5, output: 15 }] }
 *   }
 * })
 *
 * const usage = new Usage.Usage({ inputTokens: 12_000, outputTokens: 500, totalTokens: 12_500, cachedInputTokens: 8_000 })
 * // 4 000 new tokens, 8 000 from the cache, 500 of the reply.
 * console.log(Either.getOrThrow(Price.cost(price, usage, "small-model"))) // 0.0022
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { distance } from "fastest-levenshtein"
import { InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import { UnknownPrice } from "../error/PriceError.ts"
import type { Usage } from "../model/Usage.ts"
import * as Arithmetic from "./price/rates.ts"
import * as Read from "./price/read.ts"

/**
 * Marks a price table.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Price")

/**
 * Prices of a million tokens, each from 0 to 1 000 000 of the table's currency.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rates {
  readonly input: number
  /** The reply, its reasoning included unless that has a price of its own. */
  readonly output: number
  /** The part of the input that was read from the provider's cache. Default: `input`. */
  readonly cachedInput?: number | undefined
  /** The part of the input that was written to the provider's cache. Default: `input`. */
  readonly cacheWrite?: number | undefined
  /** The part of the output that was reasoning. Default: `output`. */
  readonly reasoning?: number | undefined
}

/**
 * The prices of one model.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelRates extends Rates {
  /**
   * Prices that hold for a whole request once its prompt is longer than `above` tokens; of several that are reached, the
   * highest. What a tier leaves out is as in the one below it. At most 16.
   */
  readonly longPrompts?: ReadonlyArray<Partial<Rates> & { readonly above: number }> | undefined
  /** The share of all these prices that the vendor's batch service takes, 0 to 1. Default: 1. */
  readonly batchShare?: number | undefined
}

/**
 * What a table is made from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the prices are in. Default: `"USD"`. */
  readonly currency?: string | undefined
  /** Each model by the name that replies have for it; 1 to 100 000. */
  readonly models: { readonly [model: string]: ModelRates }
}

/**
 * A price table.
 *
 * @since 0.1.0
 * @category models
 */
export interface Price {
  readonly [TypeId]: typeof TypeId
  readonly currency: string
  readonly models: ReadonlyMap<string, ModelRates>
  /** Whether costs are those of live calls or of the vendor's batch service. */
  readonly service: "live" | "batch"
  /** What was wrong with entries that were left out of a public list; at most 100. */
  readonly problems: ReadonlyArray<Issue>
}

/**
 * How whoever counts money is told it: by a table, or by a function that gives the cost of tokens in a unit of its own.
 *
 * @since 0.1.0
 * @category models
 */
export type Pricing = Price | ((usage: Usage, model: string) => number)

/**
 * Whether a value is a price table.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPrice = (value: unknown): value is Price =>
  typeof value === "object" && value !== null && TypeId in value

/**
 * Whether a value can tell costs.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPricing = (value: unknown): value is Pricing => typeof value === "function" || isPrice(value)

const priceOf = ({ currency, models }: Read.Table, problems: ReadonlyArray<Issue>): Price => ({
  [TypeId]: TypeId,
  currency,
  models,
  service: "live",
  problems
})

const refuse = (issues: ReadonlyArray<Issue>): InvalidOptions => new InvalidOptions({ module: "Price", issues })

/**
 * A table as JSON holds it, with the fields of {@link Options}. Fails with one `InvalidOptions` that names every wrong price.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<Price, InvalidOptions> =>
  Effect.suspend(() => {
    const { issues, table } = Read.own(json)
    return issues.length > 0 ? Effect.fail(refuse(issues)) : Effect.succeed(priceOf(table, []))
  })

/**
 * A table written in code. Throws the `InvalidOptions` of {@link decode} where it is written.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Price => {
  const { issues, table } = Read.own(options)
  if (issues.length > 0) throw refuse(issues)
  return priceOf(table, [])
}

/**
 * A table from JSON in the format of LiteLLM's `model_prices_and_context_window.json`, which is in dollars for one token.
 * Read are the prices of input, output, cache and reasoning tokens, those above so many tokens, and those of batches. An
 * entry with a price that is none is left out and told in `problems`. Fails with `InvalidOptions` where no entry has prices.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodePublicList = (json: unknown): Effect.Effect<Price, InvalidOptions> =>
  Effect.suspend(() => {
    const { issues, table } = Read.publicList(json)
    if (table.models.size > 0) return Effect.succeed(priceOf(table, issues))
    const nothing = {
      path: "",
      found: "no model with prices",
      allowed: "models with input_cost_per_token and output_cost_per_token"
    }
    return Effect.fail(refuse(issues.length > 0 ? issues : [nothing]))
  })

/**
 * The same prices as the vendor's batch service takes them. `VendorBatch` asks for them by itself.
 *
 * @since 0.1.0
 * @category combinators
 */
export const forBatch = (self: Price): Price => ({ ...self, service: "batch" })

/**
 * The prices of a model. It is looked for by its name as it is, then without the path before it (`models/…`, `openai/…`),
 * then without the date of its snapshot (`-2025-08-07`, `-20250929`, `-latest`); so an entry of its own for a snapshot wins.
 *
 * @since 0.1.0
 * @category getters
 */
export const ratesOf = (self: Price, model: string): Either.Either<ModelRates, UnknownPrice> => {
  for (const name of Arithmetic.namesOf(model)) {
    const rates = self.models.get(name)
    if (rates !== undefined) return Either.right(rates)
  }
  return Either.left(new UnknownPrice({ model, near: near(self, model) }))
}

/** How many names are compared with one that is not known, and how many of those are told at most. */
const compared = 5_000
const told = 3

const near = (self: Price, model: string): ReadonlyArray<string> => {
  if (model.length > 256) return []
  const found: Array<{ readonly name: string; readonly far: number }> = []
  let looked = 0
  for (const name of self.models.keys()) {
    if (looked++ >= compared) break
    const far = Math.abs(name.length - model.length) > 8 ? Infinity : distance(name, model)
    if (far <= Math.max(2, model.length / 3)) found.push({ name, far })
  }
  return found.sort((one, other) => one.far - other.far).slice(0, told).map(({ name }) => name)
}

/**
 * What a reply cost, in the currency of the table, to a millionth of a millionth. A usage of zero tokens costs nothing: a
 * provider that reports nothing cannot be priced. Fails with `UnknownPrice` where the table does not have the model.
 *
 * @since 0.1.0
 * @category combinators
 */
export const cost = (self: Price, usage: Usage, model: string): Either.Either<number, UnknownPrice> =>
  Either.map(ratesOf(self, model), (rates) => Arithmetic.costOf(rates, usage, self.service))

/**
 * What a reply cost by a table or a function. What a function gives is passed on as it is, also where it is no number.
 *
 * @since 0.1.0
 * @category combinators
 */
export const charge = (pricing: Pricing, usage: Usage, model: string): Either.Either<number, UnknownPrice> =>
  typeof pricing === "function" ? Either.right(pricing(usage, model)) : cost(pricing, usage, model)
