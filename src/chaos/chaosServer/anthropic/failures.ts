/**
 * How Anthropic says no: its envelope, its words and its headers.
 *
 * Anthropic tells a wait in `retry-after` as whole seconds and in `anthropic-ratelimit-…-reset` as an instant, and nowhere
 * else: no milliseconds, no words. So a plan's hint `retry-after-ms` and `prose` come as `retry-after` too, rounded up;
 * `http-date` comes as the date that HTTP allows there, and `x-ratelimit-reset` as `anthropic-ratelimit-requests-reset`.
 */
import * as DateTime from "effect/DateTime"
import { hex } from "../../../internal/seeded.ts"
import type { Failure, Reply } from "../protocol.ts"

type Headers = Readonly<Record<string, string>>

const organization = "org-chaos"

/** The header that names the request. Limits and what else is the same in all replies are the server's to add. */
export const requestHeader = (requestId: string): Headers => ({ "request-id": requestId })

/** The id of the request that the model's reply belongs to, by the bare id of the reply. */
export const requestIdOf = (id: string): string => `req_${id}`

/** The body of an error; the same inside a stream. */
export const errorBody = (type: string, message: string, requestId: string) => ({
  type: "error",
  error: { details: null, type, message },
  request_id: requestId
})

export const envelope = (
  status: number,
  type: string,
  message: string,
  requestId: string,
  headers: Headers = {}
): Reply => ({
  _tag: "Reply",
  status,
  headers: {
    "content-type": "application/json",
    ...requestHeader(requestId),
    "x-should-retry": String(status === 429 || status >= 500),
    ...headers
  },
  body: JSON.stringify(errorBody(type, message, requestId))
})

/** The 400 of a request that is wrong in itself. */
export const invalidRequest = (message: string): Reply =>
  envelope(400, "invalid_request_error", message, requestIdOf(hex(message)))

const wholeSeconds = (millis: number): string => String(Math.ceil(millis / 1000))

/** Instants have whole seconds: the next one keeps the promise that nothing is due earlier than told. */
const nextSecond = (millis: number): DateTime.Utc => DateTime.unsafeMake(Math.ceil(millis / 1000) * 1000)

const rfc3339 = (millis: number): string => DateTime.formatIso(nextSecond(millis)).replace(/\.\d+Z$/, "Z")

const httpDate = (millis: number): string => DateTime.toDateUtc(nextSecond(millis)).toUTCString()

const limitWords = (limit: number, unit: string): string =>
  `This request would exceed the rate limit for your organization (${organization}) of ${
    limit.toLocaleString("en-US")
  } ${unit} per minute. For details, refer to: https://docs.claude.com/en/api/rate-limits. You can see the response ` +
  "headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later. You " +
  "may also contact sales at https://www.anthropic.com/contact-sales to discuss your options for a rate limit increase."

const plannedLimit = 50

const planned = (failure: Extract<Failure, { readonly _tag: "RateLimited" }>, requestId: string): Reply => {
  const seconds = { "retry-after": wholeSeconds(failure.wait) }
  const headers: Readonly<Record<typeof failure.hint, Headers>> = {
    "retry-after": seconds,
    "retry-after-ms": seconds,
    "http-date": { "retry-after": httpDate(failure.now + failure.wait) },
    "x-ratelimit-reset": {
      "anthropic-ratelimit-requests-limit": String(plannedLimit),
      "anthropic-ratelimit-requests-remaining": "0",
      "anthropic-ratelimit-requests-reset": rfc3339(failure.now + failure.wait)
    },
    "prose": seconds,
    "none": {}
  }
  return envelope(429, "rate_limit_error", limitWords(plannedLimit, "requests"), requestId, headers[failure.hint])
}

/** The API has no word of its own for a request that can never pass: it is refused like all others, but told no wait. */
const limited = ({ refusal }: Extract<Failure, { readonly _tag: "Limited" }>, requestId: string): Reply =>
  envelope(
    429,
    "rate_limit_error",
    limitWords(refusal.limit, refusal.scope),
    requestId,
    refusal.wait === undefined ? {} : { "retry-after": wholeSeconds(refusal.wait) }
  )

const serverErrors = {
  500: { type: "api_error", message: "Internal server error" },
  502: { type: "api_error", message: "Bad gateway" },
  503: { type: "api_error", message: "Service unavailable" },
  529: { type: "overloaded_error", message: "Overloaded" }
} as const

/** Sent by the proxy before the API, which is why it lacks what the API's own errors have. */
const tooLarge: Reply = {
  _tag: "Reply",
  status: 413,
  headers: { "content-type": "application/json", "server": "cloudflare" },
  body: JSON.stringify({ error: { type: "request_too_large", message: "Request exceeds the maximum size" } })
}

/** The reply for everything that can go wrong. */
export const failed = (failure: Failure): Reply => {
  const requestId = requestIdOf(hex(JSON.stringify(failure)))
  switch (failure._tag) {
    case "MissingKey":
      return envelope(401, "authentication_error", "x-api-key header is required", requestId)
    case "WrongKey":
      return envelope(401, "authentication_error", "invalid x-api-key", requestId)
    case "UnknownModel":
      return envelope(404, "not_found_error", `model: ${failure.model}`, requestId)
    case "UnknownUrl":
      return envelope(404, "not_found_error", "Not Found", requestId)
    case "BodyTooLarge":
      return tooLarge
    case "UnknownSchema":
      return invalidRequest(`tools: this server cannot make up an input for the input_schema of '${failure.tool}'.`)
    case "Limited":
      return limited(failure, requestId)
    case "RateLimited":
      return planned(failure, requestId)
    case "Quota":
      return envelope(
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or " +
          "purchase credits.",
        requestId
      )
    case "ServerError": {
      const { message, type } = serverErrors[failure.status]
      return envelope(failure.status, type, message, requestIdOf(failure.id))
    }
  }
}

/** An error inside a stream that began well. */
export const errorEvent = (kind: "overloaded" | "server" | "rate-limit", id: string) => {
  const requestId = requestIdOf(id)
  switch (kind) {
    case "overloaded":
      return errorBody("overloaded_error", "Overloaded", requestId)
    case "server":
      return errorBody("api_error", "Internal server error", requestId)
    case "rate-limit":
      return errorBody("rate_limit_error", limitWords(plannedLimit, "requests"), requestId)
  }
}
