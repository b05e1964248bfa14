/** What tokens cost, in whole numbers, so that no sum drifts. */

import { definedFields } from "../../internal/record.ts"

/** Prices of a million tokens. */
export interface Rates {
  readonly input: number
  readonly output: number
  /** Of the input, what was read from the provider's cache. Default: `input`. */
  readonly cachedInput?: number | undefined
  /** Of the input, what was written to the cache. Default: `input`. */
  readonly cacheWrite?: number | undefined
  /** Of the output, what was reasoning. Default: `output`. */
  readonly reasoning?: number | undefined
}

/** Other prices of a request whose prompt is longer. */
export interface Tier extends Partial<Rates> {
  /** Tokens of the prompt above which they hold, for the whole request. */
  readonly above: number
}

export interface ModelRates extends Rates {
  readonly longPrompts?: ReadonlyArray<Tier> | undefined
  /** The share of these prices that the vendor's batch service takes, 0 to 1. */
  readonly batchShare?: number | undefined
}

export interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly reasoningTokens?: number | undefined
  readonly cachedInputTokens?: number | undefined
  readonly cacheWriteInputTokens?: number | undefined
}

/** A price of a million tokens becomes a whole number of millionths of a millionth for each token. */
const perMillion = 1_000_000

const whole = (rate: number): number => Math.round(rate * perMillion)

/** Count times price, exactly as long as it is below 9 000 of the currency. */
const times = (count: number, rate: number): number => count * whole(rate)

/** The prices of a request with so long a prompt. What a tier leaves out is as in the one below it. */
const reached = (rates: ModelRates, prompt: number): Rates =>
  (rates.longPrompts ?? []).filter(({ above }) => prompt > above).sort((one, other) => one.above - other.above)
    .reduce<Rates>((below, { above: _, ...tier }) => ({ ...below, ...definedFields(tier) }), rates)

const amount = (tokens: number | undefined, most: number): number =>
  tokens === undefined || !(tokens > 0) ? 0 : Math.min(tokens, most)

/**
 * What a reply cost. Cached and written tokens are parts of the input, and reasoning is one of the output; parts that add
 * up to more than the whole are cut to it, so that no part is paid twice.
 */
export const costOf = (model: ModelRates, tokens: Tokens, service: "live" | "batch"): number => {
  const prompt = amount(tokens.inputTokens, Infinity)
  const reply = amount(tokens.outputTokens, Infinity)
  const cached = amount(tokens.cachedInputTokens, prompt)
  const written = amount(tokens.cacheWriteInputTokens, prompt - cached)
  const reasoning = amount(tokens.reasoningTokens, reply)
  const rates = reached(model, prompt)
  const sum = times(prompt - cached - written, rates.input) +
    times(cached, rates.cachedInput ?? rates.input) +
    times(written, rates.cacheWrite ?? rates.input) +
    times(reply - reasoning, rates.output) +
    times(reasoning, rates.reasoning ?? rates.output)
  return sum * (service === "batch" ? model.batchShare ?? 1 : 1) / (perMillion * perMillion)
}

// The names of models. -------------------------------------------------------------------------------------------------

/** What replies add to the name that a table has: the date of a snapshot, or that it is the latest. */
const snapshot = /(?:[-@]\d{4}-?\d{2}-?\d{2}|-latest)$/

/** The names a model may have in a table, the most exact first: as it is, without its path, without its date. */
export const namesOf = (model: string): ReadonlyArray<string> => {
  const bare = model.slice(model.lastIndexOf("/") + 1)
  return [...new Set([model, bare, model.replace(snapshot, ""), bare.replace(snapshot, "")])].filter((name) =>
    name !== ""
  )
}
