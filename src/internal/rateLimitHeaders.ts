/**
 * Reads the limits of the other side from a reply's headers, in every vendor's spelling:
 *
 * - `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` (OpenAI, Azure, Groq, xAI, Fireworks, vLLM gateways), also with
 *   the window behind the name (`-tokens-minute`, Cerebras; `-req-minute`, Mistral) and for prompt and generated tokens
 *   apart (`-tokens-prompt`, Fireworks); `ratelimitbysize-…` (Mistral's older name for tokens)
 * - `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`
 * - `x-ratelimit-{limit,remaining,reset}` (OpenRouter, Together) and `x-tokenlimit-…` (Together): without a window
 * - `ratelimit: "name";r=50;t=30` with `ratelimit-policy: "name";q=100;w=60` (the IETF draft; Hugging Face)
 *
 * Some limits are per day under the name of one per minute (Groq's requests). The window shows in the numbers, because a
 * reset header tells when the bucket is full again: `limit / (limit - remaining) × reset`.
 */
import type { Learned } from "./bucket.ts"
import { header, type Headers, replyClock, resetValue, valueOf } from "./hints.ts"
import { definedFields } from "./record.ts"

export type Period = "second" | "minute" | "hour" | "day" | "month"
export type Unit = "requests" | "tokens" | "inputTokens" | "outputTokens"

/** One limit; times in whole milliseconds. What the headers do not give is absent. */
export interface Dimension {
  readonly limit?: number
  readonly remaining?: number
  readonly reset?: number
  /** The window of `limit`, where a name or the numbers give it. */
  readonly per?: Period
}

interface Reading {
  limit?: number
  remaining?: number
  reset?: number
}

/** The window that a name gives; `usual` is a name without one, which means a minute unless the numbers deny it. */
type Window = Period | "usual" | "unknown"

interface HeaderName {
  readonly field: "limit" | "remaining" | "reset"
  readonly unit: Unit
  readonly window: Window
}

const unit = "(requests?|req|tokens?(?:-(?:prompt|generated))?|(?:input|output)-tokens)"
const period = "(?:-(second|minute|hour|day|month))?"
const field = "(limit|remaining|reset)"
const plainName = new RegExp(`^(?:x-)?ratelimit-${field}-${unit}${period}$`)
const vendorName = new RegExp(`^anthropic-ratelimit-${unit}-${field}$`)
const sizeName = new RegExp(`^(?:x-)?ratelimitbysize-${field}${period}$`)
const bareName = new RegExp(`^(?:x-)?(ratelimit|tokenlimit)-${field}$`)

/** 30 minutes: no window of a minute takes longer to refill, and one of an hour or more does. */
const longestMinute = 30 * 60_000

const count = (value: string): number | undefined => {
  const trimmed = value.trim()
  return /^\d+(?:\.\d+)?$/.test(trimmed) ? Number(trimmed) : undefined
}

const fieldOf = (text: string | undefined): HeaderName["field"] =>
  text === "limit" || text === "remaining" ? text : "reset"

const unitOf = (text: string | undefined): Unit => {
  if (text === "input-tokens" || text === "tokens-prompt" || text === "token-prompt") return "inputTokens"
  if (text === "output-tokens" || text === "tokens-generated" || text === "token-generated") return "outputTokens"
  return text?.startsWith("token") === true ? "tokens" : "requests"
}

const periods: ReadonlyArray<Period> = ["minute", "second", "hour", "day", "month"]

const windowOf = (text: string | undefined): Window => periods.find((each) => each === text) ?? "usual"

const nameOf = (name: string): HeaderName | undefined => {
  // All of them say "limit", and few headers of a reply do.
  if (!name.includes("limit")) return undefined
  const plain = plainName.exec(name)
  if (plain !== null) return { field: fieldOf(plain[1]), unit: unitOf(plain[2]), window: windowOf(plain[3]) }
  const vendor = vendorName.exec(name)
  if (vendor !== null) return { field: fieldOf(vendor[2]), unit: unitOf(vendor[1]), window: "minute" }
  const size = sizeName.exec(name)
  if (size !== null) return { field: fieldOf(size[1]), unit: "tokens", window: windowOf(size[2]) }
  const bare = bareName.exec(name)
  return bare === null
    ? undefined
    : { field: fieldOf(bare[2]), unit: bare[1] === "tokenlimit" ? "tokens" : "requests", window: "unknown" }
}

/** The time in which the whole limit refills, as far as the numbers tell. */
const refillTime = ({ limit, remaining, reset }: Reading): number | undefined =>
  limit === undefined || remaining === undefined || reset === undefined || remaining >= limit
    ? undefined
    : reset * limit / (limit - remaining)

/** The window of a limit. A name without one means a minute, unless the numbers deny it; then it is not known. */
const periodOf = (reading: Reading, window: Window): Period | undefined =>
  window !== "usual"
    ? window === "unknown" ? undefined : window
    : (refillTime(reading) ?? 0) > longestMinute
    ? undefined
    : "minute"

const windows: ReadonlyArray<Window> = ["minute", "usual", "second", "hour", "day", "month", "unknown"]

const parameter = (value: string, name: string): number | undefined =>
  count(new RegExp(`;\\s*${name}=(\\d+)`).exec(value)?.[1] ?? "")

const windowSeconds: ReadonlyMap<number, Period> = new Map([
  [1, "second"],
  [60, "minute"],
  [3_600, "hour"],
  [86_400, "day"]
])

/** The IETF draft: one header has what is left and the seconds until the reset, another the quota and its window. */
const ietfDimension = (headers: Headers): Dimension | undefined => {
  const state = header(headers, "ratelimit")
  if (state === undefined) return undefined
  const policy = header(headers, "ratelimit-policy") ?? ""
  const remaining = parameter(state, "r")
  const reset = parameter(state, "t")
  const limit = parameter(policy, "q")
  const per = windowSeconds.get(parameter(policy, "w") ?? 0)
  return remaining === undefined ? undefined : {
    remaining,
    ...(limit === undefined ? {} : { limit }),
    ...(reset === undefined ? {} : { reset: reset * 1_000 }),
    ...(per === undefined || limit === undefined ? {} : { per })
  }
}

type Readings = Map<Unit, Map<Window, Reading>>

/** What the headers say, by unit and window. */
const readingsIn = (headers: Headers, now: number | undefined): Readings => {
  const readings: Readings = new Map()
  const at = replyClock(headers, now)
  for (const key of Object.keys(headers)) {
    const name = nameOf(key.toLowerCase())
    const value = name === undefined ? undefined : valueOf(headers[key])
    if (name === undefined || value === undefined) continue
    const number = name.field === "reset" ? resetValue(value, at) : count(value)
    if (number === undefined) continue
    const ofUnit = readings.get(name.unit) ?? new Map<Window, Reading>()
    const reading = ofUnit.get(name.window) ?? {}
    readings.set(name.unit, ofUnit.set(name.window, reading))
    reading[name.field] ??= number
  }
  return readings
}

const dimensionOf = (readings: Readings, unit: Unit): Dimension | undefined => {
  const ofUnit = readings.get(unit)
  if (ofUnit === undefined) return undefined
  for (const window of windows) {
    const reading = ofUnit.get(window)
    // A limit of 0 is how some gateways say "unknown".
    if (reading === undefined || reading.limit === 0) continue
    const per = periodOf(reading, window)
    return per === undefined ? reading : { ...reading, per }
  }
  return undefined
}

/** Every limit in the headers. Of several windows of one unit the minute's is taken, else the shortest. */
export const dimensions = (headers: Headers, now?: number): { readonly [U in Unit]?: Dimension } => {
  const readings = readingsIn(headers, now)
  return definedFields({
    requests: dimensionOf(readings, "requests") ?? ietfDimension(headers),
    tokens: dimensionOf(readings, "tokens"),
    inputTokens: dimensionOf(readings, "inputTokens"),
    outputTokens: dimensionOf(readings, "outputTokens")
  })
}

/** A limiter works per minute, so it can use only a limit per minute. */
const perMinute = (dimension: Dimension | undefined): Dimension | undefined =>
  dimension?.per === "minute" ? dimension : undefined

/** The limits per minute and what is left of them; a dimension that the headers do not have is absent. */
export const read = (headers: Headers, now?: number): Learned => {
  const limits = dimensions(headers, now)
  const requests = perMinute(limits.requests)
  // Anthropic's `tokens` is the tighter of its limits for input and output.
  const tokens = perMinute(limits.tokens) ?? perMinute(limits.inputTokens)
  return {
    ...(requests?.limit === undefined ? {} : { requestsPerMinute: requests.limit }),
    ...(requests?.remaining === undefined ? {} : { requestsRemaining: requests.remaining }),
    ...(tokens?.limit === undefined ? {} : { tokensPerMinute: tokens.limit }),
    ...(tokens?.remaining === undefined ? {} : { tokensRemaining: tokens.remaining })
  }
}
