/**
 * Decides what an error reply means. Rules go from what cannot be mistaken (codes) to what can (words, then the status),
 * because the words lie: see each rule. Pure; the result is a description, `ProviderError` makes the error of it.
 */
import * as Hints from "../../internal/hints.ts"
import type { ErrorBody } from "../shared/errorBody.ts"
import * as Words from "./vocabulary.ts"

/** The reply as far as a rule may look at it. */
export interface Reply {
  readonly provider: string
  /** The HTTP status as sent. */
  readonly status: number
  readonly headers: Hints.Headers
  readonly body: ErrorBody
  /** Epoch milliseconds to read dates against, when known. */
  readonly now: number | undefined
}

/** What is wrong, in the words of `ModelError`. */
export type Diagnosis =
  | { readonly kind: "RateLimited"; readonly wait: number | undefined; readonly scope: Scope }
  | {
    readonly kind: "QuotaExhausted"
    readonly reason: "billing" | "daily" | "unknown"
    readonly resetAt?: number | undefined
  }
  | { readonly kind: "RequestTooLarge" | "ContextLengthExceeded"; readonly sizes: Sizes }
  | { readonly kind: "ContentFiltered"; readonly stage: "prompt" | "completion" }
  | { readonly kind: "Overloaded" | "ServerError"; readonly wait: number | undefined }
  | { readonly kind: "InvalidRequest"; readonly remedy?: string | undefined }
  | { readonly kind: "UnsupportedFeature"; readonly feature: string | undefined }
  | { readonly kind: "ConnectionFailed" | "MalformedResponse"; readonly reason: string }
  | { readonly kind: "Authentication" | "PermissionDenied" | "ModelNotFound" | "InvalidToolCall" | "UnknownError" }

export type Scope = "requests" | "tokens" | "day" | "unknown"
export type Sizes = { readonly requested?: number | undefined; readonly limit?: number | undefined }

/** A daily limit that refills as it is used (OpenAI, Groq) and says "in 8.64s" is a wait; beyond this it is a day lost. */
const shortestDailyLoss = 60_000

const addressRemedy =
  "Check the base URL: this does not look like an answer of the API. That of a server with OpenAI's API usually ends in /v1."

const has = (body: ErrorBody, codes: ReadonlySet<string>): boolean => {
  for (const code of body.codes) if (codes.has(code)) return true
  return false
}

/** The codes as the patterns of `codePatterns` read them. */
const codesOf = (body: ErrorBody): string => [...body.codes].join(" ").slice(0, 4_000)

/** Out of money, by a code or by words. */
const isUnpaid = (body: ErrorBody): boolean =>
  Words.codePatterns.money.test(codesOf(body)) || Words.unpaid.test(body.text)

const isConcurrency = (body: ErrorBody): boolean =>
  Words.codePatterns.concurrency.test(codesOf(body)) || Words.concurrency.test(body.text)

const isFiltered = (body: ErrorBody): boolean =>
  has(body, Words.filterCodes) || Words.codePatterns.filter.test(codesOf(body))

const speaksOfFilter = (body: ErrorBody): boolean =>
  Words.filter.test(body.text) || Words.filterElsewhere.test(body.text)

const count = (text: string | undefined): number | undefined => {
  const digits = text?.replace(/[,_ ]/g, "")
  const number = digits === undefined || digits === "" ? NaN : Number(digits)
  return Number.isSafeInteger(number) ? number : undefined
}

/** Statuses a gateway puts around whatever it got from upstream. */
const wrapping = (status: number): boolean => status < 400 || status === 400 || status === 500 || status === 502

/** The status that describes the failure: the one inside the body when the outer one is a wrapper's. */
const statusOf = (reply: Reply): number | undefined => {
  const inner = reply.body.status
  if (inner !== undefined && wrapping(reply.status)) return inner
  return reply.status >= 400 ? reply.status : undefined
}

// Limits --------------------------------------------------------------------------------------------------------------

/** "Limit 30000, Requested 31538", "Limit 7000, Used 0, Requested ~12903". */
const limitAndRequested = /\blimit:? ?~?([\d,]{1,20})(?:[^.\n]{0,80}?)\brequested:? ?~?([\d,]+)/i

const asked = (text: string): Sizes | undefined => {
  const found = limitAndRequested.exec(text)
  const limit = count(found?.[1])
  const requested = count(found?.[2])
  return limit === undefined || requested === undefined ? undefined : { limit, requested }
}

const scopeOf = (body: ErrorBody): Scope => {
  const quotas = body.quotas.join(" ")
  if (Words.perDay.test(body.text) || Words.perDay.test(quotas) || Words.codePatterns.daily.test(codesOf(body))) {
    return "day"
  }
  if (
    body.codes.has("tokens") ||
    /\btokens? (?:per|rate)|\b[ti]?tpm\b|(?:input|output|token)s? ?(?:count|per)|tokens?per/i.test(
      `${body.text} ${quotas}`
    )
  ) {
    return "tokens"
  }
  if (
    body.codes.has("requests") ||
    /\brequests? (?:per|rate)|\brpm\b|\bcall rate limit|queries per|requestsper|concurren|并发/i.test(
      `${body.text} ${quotas}`
    )
  ) {
    return "requests"
  }
  return "unknown"
}

/** Precedence of the best clients: headers, the body's own field, prose, the reset of the exhausted dimension. */
const waitOf = (reply: Reply, scope: Scope, limited: boolean): number | undefined => {
  const { body, headers } = reply
  const now = Hints.replyClock(headers, reply.now)
  return Hints.fromHeaders(headers, now) ??
    (body.retryDelay === undefined ? undefined : Hints.duration(body.retryDelay)) ??
    Hints.fromProse(body.text, now) ??
    (limited ? resetWait(headers, scope, now) ?? resetWait(body.headers, scope, now) : undefined) ??
    (body.resetTime === undefined ? undefined : Hints.resetValue(body.resetTime, now))
}

const resetWait = (headers: Hints.Headers, scope: Scope, now: number | undefined): number | undefined =>
  Hints.fromResetHeaders(
    headers,
    { limited: true, dimension: scope === "tokens" || scope === "requests" ? scope : undefined },
    now
  )

/** When an allowance is back, as epoch milliseconds: told as a wait, as an instant, or in words. */
const resetAt = (reply: Reply, wait: number | undefined): number | undefined => {
  const now = Hints.replyClock(reply.headers, reply.now)
  const told = reply.body.resetTime
  if (told !== undefined) return /^\d{10}$/.test(told) ? Number(told) * 1_000 : Hints.instant(told, now)
  return wait !== undefined && now !== undefined ? now + wait : Hints.instantFromProse(reply.body.text, now)
}

const reasonOf = (body: ErrorBody): "billing" | "unknown" =>
  body.codes.has("insufficientquota") || isUnpaid(body) || Words.money.test([...body.codes, body.text].join(" "))
    ? "billing"
    : "unknown"

const isGoogle = (reply: Reply): boolean =>
  reply.body.codes.has("resourceexhausted") || reply.body.quotas.length > 0 ||
  /generativelanguage|googleapis|ai\.google|gemini/i.test(reply.body.text)

/** Groq counts requests by the day in headers that elsewhere count the minute. */
const dailyByHeader = (reply: Reply): boolean => {
  const left = (name: string): boolean => Hints.header(reply.headers, name) === "0"
  return (/groq/i.test(reply.provider) && left("x-ratelimit-remaining-requests")) ||
    left("x-ratelimit-remaining-requests-day") || left("x-ratelimit-remaining-tokens-day")
}

/** All that 429 can mean: an impossible request, money, a day's allowance, an overloaded engine, or really a rate. */
const limit = (reply: Reply, status: number | undefined): Diagnosis => {
  const { body } = reply
  const sizes = asked(body.text)
  // Trap: told "try again in 1m0.36s", yet more is requested than the limit will ever allow.
  if (sizes?.requested !== undefined && sizes.limit !== undefined && sizes.requested > sizes.limit) {
    return { kind: "RequestTooLarge", sizes }
  }
  if (has(body, Words.tooLargeCodes) || (Words.tooLarge.test(body.text) && !Words.busy.test(body.text))) {
    return { kind: "RequestTooLarge", sizes: sizes ?? {} }
  }
  const quotas = body.quotas.join(" ")
  const scope = scopeOf(body)
  const wait = waitOf(reply, scope, true)
  // Gemini: `limit: 0` is a model this plan never gets, although it says "retry in 20s".
  if (Words.noAllowance.test(body.text) || Words.noAllowance.test(quotas)) {
    return { kind: "QuotaExhausted", reason: "unknown" }
  }
  const daily = scope === "day" || dailyByHeader(reply)
  // Scaleway puts "INSUFFICIENT QUOTA" above "your current limit of concurrent requests".
  if (!daily && isConcurrency(body)) return { kind: "RateLimited", wait, scope: "requests" }
  // Gemini's RetryInfo beside a PerDay violation is a trap, so there a short wait changes nothing.
  if (daily && (isGoogle(reply) || wait === undefined || wait > shortestDailyLoss)) {
    return { kind: "QuotaExhausted", reason: "daily", resetAt: isGoogle(reply) ? undefined : resetAt(reply, wait) }
  }
  if (daily) return { kind: "RateLimited", wait, scope: "day" }
  const rated = Words.perMinute.test(body.text) || Words.perMinute.test(quotas) || crowded(body)
  const isSpent = Words.quota.test(body.text) || Words.allowance.test(body.text) || Words.unpaid.test(body.text)
  if (
    has(body, Words.quotaCodes) || Words.codePatterns.money.test(codesOf(body)) || (isSpent && !rated) ||
    Words.perMonth.test(body.text)
  ) {
    return { kind: "QuotaExhausted", reason: reasonOf(body), resetAt: resetAt(reply, wait) }
  }
  if (body.codes.has("creditlimit") && !rated) return { kind: "QuotaExhausted", reason: "billing" }
  if (Words.currentQuota.test(body.text) && !rated && wait === undefined) {
    return { kind: "QuotaExhausted", reason: isGoogle(reply) ? "unknown" : "billing" }
  }
  if (status !== 429 ? has(body, Words.busyCodes) : busyNotRate(body)) return { kind: "Overloaded", wait }
  return { kind: "RateLimited", wait, scope }
}

/** "Too Many Requests. You have exceeded your usage limits. Please try again later": a rate, where nothing is sold. */
const crowded = (body: ErrorBody): boolean =>
  Words.crowd.test(body.text) && Words.later.test(body.text) && !Words.money.test(body.text) &&
  !Words.perMonth.test(body.text)

/** A 429 of an engine without room ("The engine is currently overloaded") rather than of a caller too fast. */
const busyNotRate = (body: ErrorBody): boolean =>
  !body.codes.has("slowdown") && (has(body, Words.busyCodes) ||
    (!has(body, Words.rateCodes) && Words.busy.test(body.text) && !Words.rate.test(body.text)))

// Sizes ---------------------------------------------------------------------------------------------------------------

/** Each pattern is a sentence that says of its numbers what they are. A number that merely stands there is none. */
const sizePatterns: ReadonlyArray<readonly [pattern: RegExp, requested: number, limit: number]> = [
  [/context length (?:is|of) (?:only )?([\d,]{1,20})[\s\S]{0,300}?\btotal of (?:at least |about )?([\d,]+)/i, 2, 1],
  [
    /maximum context length (?:is|of) ([\d,]{1,20})[\s\S]{0,80}?(?:requested|resulted in|has|contains?|you requested about) (?:about |at least )?([\d,]{1,20})(?![\d,]|\s*(?:output|completion))/i,
    2,
    1
  ],
  [/([\d,]{1,20}) tokens? > ([\d,]+)/i, 1, 2],
  [/token count \(?([\d,]{1,20})\)? exceeds[^\d]{0,80}\(?([\d,]+)/i, 1, 2],
  [/token count is ([\d,]{1,20})[^\d]{0,60}up to ([\d,]+)/i, 1, 2],
  [/tokens \(([\d,]{1,20})\) exceed[^\d]{0,60}\(([\d,]{1,20})\)/i, 1, 2],
  [/maximum prompt length is ([\d,]{1,20})[^\d]{0,60}([\d,]+)/i, 2, 1],
  [/passed ([\d,]{1,20}) input tokens[\s\S]{0,120}?context length is only ([\d,]+)/i, 1, 2],
  [/limit of ([\d,]{1,20}) tokens[\s\S]{0,60}?resulted in ([\d,]+)/i, 2, 1],
  [/token limit: ?([\d,]{1,20})[^\d]{0,20}requested:? ?([\d,]+)/i, 2, 1],
  [/(?:request|input|prompt) \(([\d,]{1,20}) tokens?\) (?:exceeds|is longer than)[^\d]{0,60}\(?([\d,]+)/i, 1, 2],
  [/context (?:length|window|size|limit) (?:is|of|to|:|=)[^\d\n]{0,12}([\d,]+)/i, 0, 1],
  [/context (?:length|window|size|limit)[^\d\n]{0,30}([\d,]{1,20}) tokens?\b/i, 0, 1],
  [/(?:maximum|max\w{0,24}|at most|limit)[^\d\n]{0,40}([\d,]{3,20}) tokens/i, 0, 1]
]

const sum = /context limit: ([\d,]{1,20}) \+ ([\d,]{1,20}) > ([\d,]+)/i

const overflow = (text: string): Sizes => {
  const both = sum.exec(text)
  if (both !== null) {
    const [prompt, output, limit] = [count(both[1]), count(both[2]), count(both[3])]
    return { requested: prompt === undefined || output === undefined ? undefined : prompt + output, limit }
  }
  for (const [pattern, requested, limit] of sizePatterns) {
    const found = pattern.exec(text)
    if (found !== null) {
      return { requested: requested === 0 ? undefined : count(found[requested]), limit: count(found[limit]) }
    }
  }
  return {}
}

/** A text of this length is a prompt; shorter limits are those of names and ids. */
const promptLength = 65_536

const isOverflow = (body: ErrorBody): boolean => {
  if (has(body, Words.contextCodes) || Words.codePatterns.context.test(codesOf(body))) return true
  if (Words.context.test(body.text) || Words.contextElsewhere.test(body.text)) return true
  const longest = count(Words.longString.exec(body.text)?.[1])
  return longest !== undefined && longest >= promptLength
}

// Other rules ---------------------------------------------------------------------------------------------------------

const filtered = (body: ErrorBody): Diagnosis => {
  const ended = [...body.codes].some((code) => Words.completionCodes.test(code))
  const output = Words.filteredCompletion.test(body.text) && !Words.filteredPrompt.test(body.text)
  return { kind: "ContentFiltered", stage: ended || output ? "completion" : "prompt" }
}

const featureNames: ReadonlyArray<readonly [RegExp, string]> = [
  [/tool|function|--jinja/i, "tools"],
  [/image|vision|multimodal|mmproj/i, "images"],
  [/audio/i, "audio"],
  [/stream/i, "streaming"],
  [/response_format|json_schema|structured|json mode/i, "structured output"],
  [/logprobs/i, "logprobs"],
  [/reasoning|thinking/i, "reasoning"],
  [/system (?:message|prompt|role)|developer (?:message|instruction)/i, "system messages"]
]

const unsupported = (body: ErrorBody): Diagnosis => ({
  kind: "UnsupportedFeature",
  feature: body.param ?? featureNames.find(([pattern]) => pattern.test(body.text))?.[1]
})

/** A 404 is a missing model unless it is plainly a missing path. */
const missing = (body: ErrorBody): Diagnosis => {
  const path =
    /invalid url|no route|route not found|cannot (?:post|get) \/|page not found|path not found|no such (?:api )?endpoint|unknown (?:url|endpoint|request url)|not found on this server|no static resource|method not allowed/i
  const other =
    /(?:response|thread|file|assistant|batch|conversation|item)s? (?:with id )?\S{0,80} ?not found|no (?:thread|file|assistant|batch) found/i
  const bare = /^\s*"?(?:404\b[\s:]*(?:page )?)?not found"?\.?\s*$/i
  if (
    body.isHtml || path.test(body.text) ||
    (bare.test(body.text) && !has(body, Words.modelCodes) && !body.codes.has("notfounderror"))
  ) {
    return { kind: "InvalidRequest", remedy: addressRemedy }
  }
  return other.test(body.text) ? { kind: "InvalidRequest" } : { kind: "ModelNotFound" }
}

/** What the status says when codes and words said nothing. */
const byStatus = (reply: Reply, status: number): Diagnosis => {
  const { body } = reply
  const wait = waitOf(reply, "unknown", false)
  switch (status) {
    case 401:
    case 407:
      return { kind: "Authentication" }
    case 402:
      return { kind: "QuotaExhausted", reason: "billing" }
    case 403:
    case 451:
      return { kind: "PermissionDenied" }
    case 404:
      return missing(body)
    case 410:
      return { kind: "ModelNotFound" }
    case 413:
      return { kind: "RequestTooLarge", sizes: asked(body.text) ?? {} }
    case 501:
    case 505:
      return unsupported(body)
    // 498 is Groq's flex tier without room.
    case 498:
    case 503:
    case 529:
      return { kind: "Overloaded", wait }
    // The connection's or the moment's fault, not the request's: the OpenAI and Anthropic SDKs retry these too.
    case 408:
    case 409:
    case 424:
    case 425:
      return { kind: "ServerError", wait }
    case 499:
      return { kind: "ConnectionFailed", reason: "the request was cancelled on the way (HTTP 499)" }
  }
  if (status >= 500) return { kind: "ServerError", wait }
  return { kind: "InvalidRequest", remedy: body.isHtml || status === 405 ? addressRemedy : undefined }
}

/** An error inside a success: only its codes and words tell. */
const byCode = (reply: Reply): Diagnosis => {
  const { body } = reply
  if (has(body, Words.requestCodes)) return { kind: "InvalidRequest" }
  if (body.codes.has("notfound") || body.codes.has("notfounderror")) return missing(body)
  // Without a code, or with words that nobody knows, it is the server's failure, as under a status of 500.
  return { kind: "ServerError", wait: waitOf(reply, "unknown", false) }
}

/** A status below 400, and nothing in the body that says what failed. */
const noError = (reply: Reply): Diagnosis => {
  if (reply.status >= 300) {
    const target = Hints.header(reply.headers, "location")
    return {
      kind: "InvalidRequest",
      remedy: `The server redirects${
        target === undefined ? "" : ` to ${target}`
      }; use the final address as the base URL.`
    }
  }
  return {
    kind: "MalformedResponse",
    reason: reply.body.isHtml
      ? "an HTML page came instead of JSON; check the base URL (it usually ends in /v1)"
      : "the body is neither a reply nor an error; check the base URL (it usually ends in /v1)"
  }
}

/** The rules in order: the first that fits decides. */
export const classify = (reply: Reply): Diagnosis => {
  const { body } = reply
  if (!Number.isInteger(reply.status) || reply.status < 100 || reply.status > 599) return { kind: "UnknownError" }
  const status = statusOf(reply)
  const limited = status === 429 ||
    (status === undefined || status === 413 || wrapping(status)) && has(body, Words.rateCodes) ||
    (status === undefined || status < 500 || status === 503) && isConcurrency(body)
  const client = status === undefined || (status >= 400 && status < 500)

  if (has(body, Words.badCallCodes) || body.failedGeneration !== undefined || Words.badCall.test(body.text)) {
    if (!limited) return { kind: "InvalidToolCall" }
  }
  const ended = isFiltered(body) || has(body, Words.busyCodes) || has(body, Words.brokenCodes)
  if (reply.status < 400 && !body.isError && !ended) return noError(reply)
  // A gateway gives every failure a 429: a filter stays a filter, unless the words speak of a rate or of money, too.
  const isRate = limited && (Words.rate.test(body.text) || isUnpaid(body) || has(body, Words.quotaCodes))
  if (isFiltered(body) || (!isRate && speaksOfFilter(body))) return filtered(body)
  if (status === 402) return { kind: "QuotaExhausted", reason: "billing", resetAt: resetAt(reply, undefined) }
  // The code is exact where the status is not: a new-api gateway says model_not_found with 503, OpenAI with 400 and 403.
  if (has(body, Words.modelCodes) && !limited) return { kind: "ModelNotFound" }
  if (limited) return limit(reply, status)
  if (has(body, Words.contextCodes) || Words.codePatterns.context.test(codesOf(body))) {
    return { kind: "ContextLengthExceeded", sizes: overflow(body.text) }
  }
  const isSpent = Words.quota.test(body.text) || Words.unpaid.test(body.text) || Words.allowance.test(body.text)
  if (has(body, Words.quotaCodes) || Words.codePatterns.money.test(codesOf(body)) || (client && isSpent)) {
    return { kind: "QuotaExhausted", reason: reasonOf(body), resetAt: resetAt(reply, undefined) }
  }
  if (status === 401) {
    return { kind: has(body, Words.deniedCodes) && !has(body, Words.keyCodes) ? "PermissionDenied" : "Authentication" }
  }
  if (client && status !== 408 && (has(body, Words.keyCodes) || Words.key.test(body.text))) {
    return { kind: "Authentication" }
  }
  if (
    client && (has(body, Words.deniedCodes) || (status !== 404 && Words.denied.test(body.text))) &&
    !Words.model.test(body.text)
  ) {
    return { kind: "PermissionDenied" }
  }
  if (status === 413 || has(body, Words.tooLargeCodes)) {
    return isOverflow(body)
      ? { kind: "ContextLengthExceeded", sizes: overflow(body.text) }
      : { kind: "RequestTooLarge", sizes: asked(body.text) ?? {} }
  }
  if (status !== 503 && status !== 529 && isOverflow(body)) {
    return { kind: "ContextLengthExceeded", sizes: overflow(body.text) }
  }
  // Gemini: "models/x is not found for API version v1beta, or is not supported for generateContent".
  if (client && Words.missingModel.test(body.text)) return { kind: "ModelNotFound" }
  if (has(body, Words.featureCodes) || (Words.feature.test(body.text) && !Words.badFormat.test(body.text))) {
    if (
      !(client && /model .{0,80}is not supported/i.test(body.text) &&
        !/support(?:ed)? (?:for|by|in|with) /i.test(body.text))
    ) {
      return unsupported(body)
    }
  }
  if (client && Words.model.test(body.text)) return { kind: "ModelNotFound" }
  const passing = status === undefined || status >= 500
  if (passing && (has(body, Words.busyCodes) || Words.busy.test(body.text))) {
    return { kind: "Overloaded", wait: waitOf(reply, "unknown", false) }
  }
  return status === undefined ? byCode(reply) : byStatus(reply, status)
}
