/** How Gemini refuses and fails: the envelope of google.rpc, with the details and the words of the real service. */
import * as DateTime from "effect/DateTime"
import { goDuration } from "../limits.ts"
import type { Failure, Reply } from "../protocol.ts"
import type { Violation } from "./json.ts"

const statuses = {
  400: "INVALID_ARGUMENT",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE"
} as const

type Code = keyof typeof statuses

/** The body of an error; without details the field is left out, as the service does. */
export const envelope = (code: Code, message: string, details: ReadonlyArray<unknown> = []) => ({
  error: { code, message, status: statuses[code], ...(details.length === 0 ? {} : { details }) }
})

export const jsonHeaders = {
  "content-type": "application/json; charset=UTF-8",
  "vary": "X-Origin, Referer, Origin,Accept-Encoding",
  "server": "scaffolding on HTTPServer2",
  "x-content-type-options": "nosniff"
} as const

export const failed = (code: Code, message: string, details: ReadonlyArray<unknown> = []): Reply => ({
  _tag: "Reply",
  status: code,
  headers: jsonHeaders,
  body: JSON.stringify(envelope(code, message, details), undefined, 2)
})

/** A request that says something wrong. */
export const invalid = (message: string): Reply => failed(400, message)

/** A body that could not be read as a message. */
export const unreadable = (violations: ReadonlyArray<Violation>): Reply =>
  failed(400, violations.map(({ description }) => description).join("\n"), [{
    "@type": "type.googleapis.com/google.rpc.BadRequest",
    "fieldViolations": violations.map(({ description, field }) =>
      field === "" ? { description } : { field, description }
    )
  }])

const escapeHtml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** Google's front end answers in HTML where no service does. */
const page = (status: 404 | 502, title: string, words: string): Reply => ({
  _tag: "Reply",
  status,
  headers: { "content-type": "text/html; charset=UTF-8", "referrer-policy": "no-referrer" },
  body: `<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n  <meta name=viewport content="initial-scale=1, ` +
    `minimum-scale=1, width=device-width">\n  <title>Error ${status} (${title})!!1</title>\n  <p><b>${status}.</b> ` +
    `<ins>That’s an error.</ins>\n  <p>${words}  <ins>That’s all we know.</ins>\n`
})

// Limits --------------------------------------------------------------------------------------------------------------

const service = "generativelanguage.googleapis.com"
const currentQuota =
  "You exceeded your current quota, please check your plan and billing details. For more information " +
  "on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
const exhausted = "Resource has been exhausted (e.g. check quota)."

const help = {
  "@type": "type.googleapis.com/google.rpc.Help",
  "links": [{
    description: "Learn more about Gemini API quotas",
    url: "https://ai.google.dev/gemini-api/docs/rate-limits"
  }]
}

type Quota = "requests per minute" | "tokens per minute" | "requests per day"

const quotas: Readonly<Record<Quota, { readonly metric: string; readonly id: string }>> = {
  "requests per minute": {
    metric: `${service}/generate_content_free_tier_requests`,
    id: "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
  },
  "tokens per minute": {
    metric: `${service}/generate_content_free_tier_input_token_count`,
    id: "GenerateContentInputTokensPerModelPerMinute-FreeTier"
  },
  "requests per day": {
    metric: `${service}/generate_content_free_tier_requests`,
    id: "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
  }
}

const quotaFailure = (quota: Quota, model: string, limit: number) => ({
  "@type": "type.googleapis.com/google.rpc.QuotaFailure",
  "violations": [{
    quotaMetric: quotas[quota].metric,
    quotaId: quotas[quota].id,
    quotaDimensions: { location: "global", model },
    quotaValue: String(limit)
  }]
})

const violated = (quota: Quota, model: string, limit: number): string =>
  `\n* Quota exceeded for metric: ${quotas[quota].metric}, limit: ${limit}, model: ${model}`

/** A protobuf duration: seconds with as many decimals as it needs. */
const seconds = (millis: number): string => `${Math.ceil(millis) / 1000}s`

const retryInfo = (delay: string) => ({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay })

/** Code Assist tells its waits here. */
const errorInfo = (metadata: Readonly<Record<string, string>>) => ({
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  "reason": "RATE_LIMIT_EXCEEDED",
  "domain": "googleapis.com",
  metadata: { service, quota_limit: "GenerateContentRequestsPerMinutePerProjectPerRegion", ...metadata }
})

const perMinute = 15

/**
 * The 429 of a plan. Google sends no header with a wait, so each form that was asked for becomes the nearest of Google's own:
 * whole seconds and milliseconds a `RetryInfo`, a date and a reset header the `quotaResetTimeStamp` and `quotaResetDelay` of
 * an `ErrorInfo`, prose "Please retry in 0.25s.", and without any hint only the bare words.
 */
const rateLimited = ({ hint, model, now, wait }: Extract<Failure, { _tag: "RateLimited" }>): Reply => {
  const quota = quotaFailure("requests per minute", model, perMinute)
  const sentence = currentQuota + violated("requests per minute", model, perMinute)
  switch (hint) {
    case "retry-after":
      return failed(429, currentQuota, [quota, help, retryInfo(`${Math.ceil(wait / 1000)}s`)])
    case "retry-after-ms":
      return failed(429, currentQuota, [quota, help, retryInfo(seconds(wait))])
    case "http-date": {
      const at = DateTime.formatIso(DateTime.unsafeMake(Math.ceil(now + wait)))
      return failed(429, exhausted, [errorInfo({ quotaResetTimeStamp: at })])
    }
    case "x-ratelimit-reset":
      return failed(429, exhausted, [errorInfo({ quotaResetDelay: goDuration(wait) })])
    case "prose":
      return failed(429, `${sentence}\nPlease retry in ${seconds(wait)}.`, [help, quota])
    case "none":
      return failed(429, exhausted)
  }
}

/** The 429 of the server's own limits. What can never pass is too long for the service, or not on sale. */
const limited = ({ model, refusal }: Extract<Failure, { _tag: "Limited" }>): Reply => {
  const { limit, requested, scope, wait } = refusal
  if (wait === undefined) {
    return scope === "tokens"
      ? invalid(`The input token count (${requested}) exceeds the maximum number of tokens allowed (${limit}).`)
      : failed(429, currentQuota + violated("requests per minute", model, 0), [
        help,
        quotaFailure("requests per minute", model, 0)
      ])
  }
  const quota = scope === "tokens" ? "tokens per minute" : "requests per minute"
  return failed(429, `${currentQuota}${violated(quota, model, limit)}\nPlease retry in ${seconds(wait)}.`, [
    help,
    quotaFailure(quota, model, limit),
    retryInfo(seconds(wait))
  ])
}

/** The day's allowance is used up. The `RetryInfo` of seconds beside it is the trap that the real service sets, too. */
const dailyQuota = (model: string): Reply =>
  failed(429, currentQuota, [quotaFailure("requests per day", model, 250), help, retryInfo("34s")])

// All of them ---------------------------------------------------------------------------------------------------------

const badKey = "API key not valid. Please pass a valid API key."

export const overloaded = "The model is overloaded. Please try again later."
export const internal = "An internal error has occurred. Please retry or report in " +
  "https://developers.generativeai.google/guide/troubleshooting"

export const failure = (failure: Failure): Reply => {
  switch (failure._tag) {
    case "MissingKey":
      return failed(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other " +
          "form of API consumer identity to call this API."
      )
    case "WrongKey":
      return failed(400, badKey, [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          "reason": "API_KEY_INVALID",
          "domain": "googleapis.com",
          "metadata": { service }
        },
        { "@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": badKey }
      ])
    case "UnknownModel":
      return failed(
        404,
        `models/${failure.model} is not found for API version v1beta, or is not supported for generateContent. Call ` +
          "ListModels to see the list of available models and their supported methods."
      )
    case "UnknownUrl": {
      const url = escapeHtml(failure.url.split("?")[0] ?? "")
      return page(404, "Not Found", `The requested URL <code>${url}</code> was not found on this server.`)
    }
    case "BodyTooLarge":
      return invalid("Request payload size exceeds the limit: 20971520 bytes.")
    case "UnknownSchema":
      return invalid(
        `Invalid schema for function '${failure.tool}': this server cannot make up arguments for it.`
      )
    case "Limited":
      return limited(failure)
    case "RateLimited":
      return rateLimited(failure)
    case "Quota":
      return dailyQuota(failure.model)
    case "ServerError":
      switch (failure.status) {
        case 500:
          return failed(500, internal)
        case 502:
          return page(
            502,
            "Server Error",
            "The server encountered a temporary error and could not complete your request."
          )
        // Google has no 529.
        case 503:
        case 529:
          return failed(503, overloaded)
      }
  }
}

/** The error inside a stream, as a body. */
export const streamError = (kind: "overloaded" | "server" | "rate-limit") =>
  kind === "overloaded"
    ? envelope(503, overloaded)
    : kind === "server"
    ? envelope(500, internal)
    : envelope(429, exhausted)
