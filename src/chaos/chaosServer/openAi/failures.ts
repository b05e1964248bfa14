/** OpenAI's refusals in its own words and envelope; chat completions and responses share them. */
import * as DateTime from "effect/DateTime"
import { goDuration, type Refusal } from "../limits.ts"
import type { Failure, Reply } from "../protocol.ts"
import { type WireError, wireError } from "./checks.ts"

type Headers = Readonly<Record<string, string>>

const organization = "org-chaos"
const limitsPage = "Visit https://platform.openai.com/account/rate-limits to learn more."

export const json = (status: number, body: unknown, headers: Headers = {}): Reply => ({
  _tag: "Reply",
  status,
  headers: { "content-type": "application/json", "openai-organization": organization, ...headers },
  body: JSON.stringify(body)
})

export const refusal = (error: WireError, headers: Headers = {}): Reply => {
  const { code, message, param, status, type } = error
  return json(status, { error: { message, type, param, code } }, headers)
}

/** How OpenAI says it in prose: milliseconds below a second, else seconds with three decimals at most. */
const prose = (millis: number): string => millis < 1000 ? `${Math.ceil(millis)}ms` : goDuration(millis)

const wholeSeconds = (millis: number): string => String(Math.ceil(millis / 1000))

/** A date has whole seconds: the next one keeps the promise that nothing is due earlier than told. */
const httpDate = (millis: number): string =>
  DateTime.toDateUtc(DateTime.unsafeMake(Math.ceil(millis / 1000) * 1000)).toUTCString()

const rateLimitError = (message: string, type: string): WireError => ({
  status: 429,
  message,
  type,
  param: null,
  code: "rate_limit_exceeded"
})

const rateLimited = ({ hint, model, now, wait }: Extract<Failure, { _tag: "RateLimited" }>): Reply => {
  const waitSentence = hint === "prose" ? ` Please try again in ${prose(wait)}.` : ""
  const headers: Readonly<Record<typeof hint, Headers>> = {
    "retry-after": { "retry-after": wholeSeconds(wait) },
    "retry-after-ms": { "retry-after-ms": String(Math.ceil(wait)) },
    "http-date": { "retry-after": httpDate(now + wait) },
    "x-ratelimit-reset": {
      "x-ratelimit-limit-requests": "500",
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": goDuration(wait)
    },
    "prose": {},
    "none": {}
  }
  const text = `Rate limit reached for ${model} in organization ${organization} on requests per min (RPM): ` +
    `Limit 500, Used 500, Requested 1.${waitSentence} ${limitsPage}`
  return refusal(rateLimitError(text, "requests"), headers[hint])
}

const limited = (model: string, refused: Refusal): Reply => {
  const unit = refused.scope === "requests" ? "requests per min (RPM)" : "tokens per min (TPM)"
  if (refused.wait === undefined) {
    const text = `Request too large for ${model} in organization ${organization} on ${unit}: Limit ${refused.limit}, ` +
      `Requested ${refused.requested}. The input or output tokens must be reduced in order to run successfully. ${limitsPage}`
    return refusal(rateLimitError(text, refused.scope))
  }
  const text = `Rate limit reached for ${model} in organization ${organization} on ${unit}: Limit ${refused.limit}, ` +
    `Used ${refused.used}, Requested ${refused.requested}. Please try again in ${prose(refused.wait)}. ${limitsPage}`
  return refusal(rateLimitError(text, refused.scope), {
    "retry-after": wholeSeconds(refused.wait),
    "retry-after-ms": String(Math.ceil(refused.wait))
  })
}

export const serverWords =
  "The server experienced an error while processing your request. Sorry about that! You can retry your request, or " +
  "contact us through our help center at help.openai.com if the error persists."

const server = (status: number, message: string, type = "server_error"): Reply =>
  refusal({ status, message, type, param: null, code: null })

const serverError = ({ id, status }: Extract<Failure, { _tag: "ServerError" }>): Reply => {
  switch (status) {
    case 500:
      return server(500, serverWords)
    case 502:
      return server(502, "Bad gateway.")
    case 503:
      return server(
        503,
        "That model is currently overloaded with other requests. You can retry your request, or contact us through our " +
          `help center at help.openai.com if the error persists. (Please include the request ID req_${id} in your message.)`
      )
    case 529:
      return server(529, "Overloaded", "overloaded_error")
  }
}

export const failure = (failed: Failure): Reply => {
  switch (failed._tag) {
    case "MissingKey":
      return refusal(wireError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth " +
          "(i.e. Authorization: Bearer YOUR_KEY)."
      ))
    case "WrongKey":
      return refusal(wireError(
        401,
        `Incorrect API key provided: ${failed.shown}. You can find your API key at ` +
          "https://platform.openai.com/account/api-keys.",
        { code: "invalid_api_key" }
      ))
    case "UnknownModel":
      return refusal(wireError(
        404,
        `The model \`${failed.model}\` does not exist or you do not have access to it.`,
        { code: "model_not_found" }
      ))
    case "UnknownUrl":
      return refusal(wireError(404, `Invalid URL (${failed.method} ${failed.url})`, { code: "unknown_url" }))
    case "BodyTooLarge":
      return refusal(wireError(413, "Request body too large.", { code: "request_too_large" }))
    case "UnknownSchema":
      return refusal(wireError(
        400,
        `Invalid schema for function '${failed.tool}': this server cannot make up arguments for it.`,
        { param: "tools", code: "invalid_function_parameters" }
      ))
    case "Limited":
      return limited(failed.model, failed.refusal)
    case "RateLimited":
      return rateLimited(failed)
    case "Quota":
      return refusal({
        status: 429,
        message:
          "You exceeded your current quota, please check your plan and billing details. For more information on " +
          "this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        type: "insufficient_quota",
        param: null,
        code: "insufficient_quota"
      })
    case "ServerError":
      return serverError(failed)
  }
}
