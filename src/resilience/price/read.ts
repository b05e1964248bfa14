/** Price tables as people and public lists write them. What is read is foreign, so every entry is checked by itself. */
import { found, type Issue } from "../../error/InvalidOptions.ts"
import { definedFields, isRecord } from "../../internal/record.ts"
import type { ModelRates, Rates, Tier } from "./rates.ts"

/** The most models a table may have; the largest public list has a fortieth of it. */
export const mostModels = 100_000

/** The longest name of a model. */
const longestName = 256

/** The highest price of a million tokens that is believed. */
const highest = 1_000_000

export interface Table {
  readonly currency: string
  readonly models: ReadonlyMap<string, ModelRates>
}

interface Read {
  readonly table: Table
  readonly issues: ReadonlyArray<Issue>
}

const isRate = (value: unknown): value is number => typeof value === "number" && value >= 0 && value <= highest

/** Prices while they are read. */
type Prices = { -readonly [Field in keyof Rates]?: number }

const rateFields = ["input", "output", "cachedInput", "cacheWrite", "reasoning"] as const

const isRateField = (name: string): name is keyof Rates => rateFields.some((field) => field === name)

const rateWords = `the price of a million tokens: a number from 0 to ${highest}`

/** The rates of one object, and what is wrong with it. */
const ratesIn = (given: { readonly [field: string]: unknown }, path: string, needed: ReadonlyArray<string>) => {
  const issues: Array<Issue> = []
  const rates: Prices = {}
  for (const field of rateFields) {
    const value = given[field]
    if (value === undefined) {
      if (needed.includes(field)) issues.push({ path: `${path}.${field}`, found: "nothing", allowed: rateWords })
    } else if (isRate(value)) rates[field] = value
    else issues.push({ path: `${path}.${field}`, found: found(value), allowed: rateWords })
  }
  return { rates, issues }
}

const unknownFields = (
  given: { readonly [field: string]: unknown },
  path: string,
  more: ReadonlyArray<string>
): ReadonlyArray<Issue> =>
  Object.keys(given).filter((field) => !isRateField(field) && !more.includes(field)).map((field) => ({
    path: `${path}.${field}`,
    found: found(given[field]),
    allowed: `no such field here; there are ${[...rateFields, ...more].join(", ")}`
  }))

const tiersIn = (given: unknown, path: string) => {
  if (given === undefined) return { tiers: undefined, issues: [] }
  if (!Array.isArray(given) || given.length > 16) {
    return { tiers: undefined, issues: [{ path, found: found(given), allowed: "a list of at most 16 tiers" }] }
  }
  const tiers: Array<Tier> = []
  const issues: Array<Issue> = []
  given.forEach((tier: unknown, at) => {
    const here = `${path}.${at}`
    if (!isRecord(tier)) {
      return void issues.push({ path: here, found: found(tier), allowed: "an object with above and prices" })
    }
    const { above } = tier
    const read = ratesIn(tier, here, [])
    issues.push(...read.issues, ...unknownFields(tier, here, ["above"]))
    if (typeof above === "number" && Number.isSafeInteger(above) && above > 0) tiers.push({ above, ...read.rates })
    else issues.push({ path: `${here}.above`, found: found(above), allowed: "a whole number of tokens, 1 or more" })
  })
  return { tiers, issues }
}

const modelIn = (given: unknown, path: string) => {
  if (!isRecord(given)) {
    return {
      model: undefined,
      issues: [{ path, found: found(given), allowed: "an object with the prices of a model" }]
    }
  }
  const { batchShare, longPrompts } = given
  const { issues, rates } = ratesIn(given, path, ["input", "output"])
  const tiers = tiersIn(longPrompts, `${path}.longPrompts`)
  const all = [...issues, ...tiers.issues, ...unknownFields(given, path, ["longPrompts", "batchShare"])]
  if (batchShare !== undefined && !(typeof batchShare === "number" && batchShare >= 0 && batchShare <= 1)) {
    all.push({ path: `${path}.batchShare`, found: found(batchShare), allowed: "a number from 0 to 1" })
  }
  const { input = 0, output = 0 } = rates
  return {
    model: {
      ...rates,
      input,
      output,
      ...definedFields({
        longPrompts: tiers.tiers,
        batchShare: typeof batchShare === "number" ? batchShare : undefined
      })
    },
    issues: all
  }
}

/** A table of our own form: a currency, and the prices of a million tokens of each model. */
export const own = (given: unknown): Read => {
  const models = new Map<string, ModelRates>()
  const table = { currency: "USD", models }
  if (!isRecord(given)) {
    return { table, issues: [{ path: "", found: found(given), allowed: "an object with models and their prices" }] }
  }
  const issues: Array<Issue> = []
  const { currency = "USD", models: perModel } = given
  if (typeof currency !== "string" || currency.length === 0 || currency.length > 16) {
    issues.push({ path: "currency", found: found(currency), allowed: "a text such as \"USD\", at most 16 characters" })
  }
  for (const field of Object.keys(given)) {
    if (field !== "currency" && field !== "models" && field !== "$schema") {
      issues.push({
        path: field,
        found: found(given[field]),
        allowed: "no such field here; there are currency, models"
      })
    }
  }
  const entries = isRecord(perModel) ? Object.entries(perModel) : []
  if (entries.length === 0 || entries.length > mostModels) {
    issues.push({
      path: "models",
      found: isRecord(perModel) ? `${entries.length} models` : found(perModel),
      allowed: `an object with 1 to ${mostModels} models`
    })
  }
  for (const [name, entry] of entries.slice(0, mostModels)) {
    const { issues: wrong, model } = modelIn(entry, `models.${name.slice(0, longestName)}`)
    issues.push(...wrong)
    if (model !== undefined) models.set(name, model)
  }
  return { table: { currency: typeof currency === "string" ? currency : "USD", models }, issues: issues.slice(0, 100) }
}

/** The fields of the public list, as prices of one token, and what they are here. */
const listed = [
  ["input", "input_cost_per_token"],
  ["output", "output_cost_per_token"],
  ["cachedInput", "cache_read_input_token_cost"],
  ["cacheWrite", "cache_creation_input_token_cost"],
  ["reasoning", "output_cost_per_reasoning_token"]
] as const

const tierField = /^(.{1,60})_above_(\d{1,6})k_tokens$/

/** A price of one token as that of a million. Twelve digits are more than any list has, and take away what binary adds. */
const ofMillion = (perToken: unknown): number | undefined => {
  if (typeof perToken !== "number") return undefined
  const rate = Number((perToken * 1_000_000).toPrecision(12))
  return isRate(rate) ? rate : undefined
}

/** What batches cost beside live calls: where input and output differ, the larger share, so that no cost is too low. */
const shareOf = (entry: { readonly [field: string]: unknown }): number | undefined => {
  const shares = ["input_cost_per_token", "output_cost_per_token"].flatMap((field) => {
    const [live, batch] = [ofMillion(entry[field]), ofMillion(entry[`${field}_batches`])]
    return live === undefined || live === 0 || batch === undefined ? [] : [batch / live]
  })
  return shares.length === 0 ? undefined : Math.min(1, Math.max(...shares))
}

const tiersOf = (entry: { readonly [field: string]: unknown }): ReadonlyArray<Tier> => {
  const tiers = new Map<number, Prices & { readonly above: number }>()
  for (const [name, value] of Object.entries(entry)) {
    const [, field = "", thousands = ""] = tierField.exec(name) ?? []
    const rate = ofMillion(value)
    const known = listed.find(([, listedAs]) => listedAs === field)
    if (known === undefined || rate === undefined) continue
    const above = Number(thousands) * 1_000
    const tier: Prices & { readonly above: number } = tiers.get(above) ?? { above }
    tier[known[0]] = rate
    tiers.set(above, tier)
  }
  return [...tiers.values()].slice(0, 16)
}

/**
 * The public list of LiteLLM, `model_prices_and_context_window.json`: prices in dollars for one token, by the name of the
 * model. Entries without prices of tokens (images, speech) are left out; those whose prices are no prices are told.
 */
export const publicList = (given: unknown): Read => {
  const models = new Map<string, ModelRates>()
  const table = { currency: "USD", models }
  if (!isRecord(given)) {
    return { table, issues: [{ path: "", found: found(given), allowed: "an object of models and their prices" }] }
  }
  const issues: Array<Issue> = []
  const names = Object.keys(given)
  if (names.length > mostModels) {
    return { table, issues: [{ path: "", found: `${names.length} models`, allowed: `at most ${mostModels} models` }] }
  }
  for (const name of names) {
    const entry = given[name]
    if (name === "sample_spec" || name.length > longestName || !isRecord(entry)) continue
    const { input_cost_per_token: input, output_cost_per_token: output } = entry
    if (input === undefined || output === undefined) continue
    const rates: Prices = {}
    let isWrong = false
    for (const [field, listedAs] of listed) {
      const value = entry[listedAs]
      const rate = ofMillion(value)
      if (rate !== undefined) rates[field] = rate
      else if (value !== undefined && value !== null) {
        isWrong = true
        if (issues.length < 100) {
          issues.push({
            path: `${name}.${listedAs}`,
            found: found(value),
            allowed: "the price of one token: a number, 0 or more"
          })
        }
      }
    }
    if (isWrong || rates.input === undefined || rates.output === undefined) continue
    const longPrompts = tiersOf(entry)
    models.set(name, {
      ...rates,
      input: rates.input,
      output: rates.output,
      ...definedFields({
        longPrompts: longPrompts.length === 0 ? undefined : longPrompts,
        batchShare: shareOf(entry)
      })
    })
  }
  return { table, issues }
}
