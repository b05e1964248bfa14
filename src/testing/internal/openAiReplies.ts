/** What the server writes: OpenAI's replies, its refusals in the real words, and the broken ones. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Fault } from "../Fault.ts"
import { goDuration, type Refusal } from "./limits.ts"
import type { WireError } from "./openAiChat.ts"

/** What the server does with an exchange. */
export type Outcome =
  | {
    readonly _tag: "Reply"
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Reset"; readonly after: Extract<Outcome, { _tag: "Reply" }> | undefined }

type Reply = Extract<Outcome, { _tag: "Reply" }>
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

/** The 429 of a plan, with the wait told in the asked form and nowhere else. */
const injectedRateLimit = (
  model: string,
  hint: Extract<Fault, { _tag: "RateLimited" }>["hint"],
  wait: number,
  now: number
): Reply => {
  const told = hint === "prose" ? ` Please try again in ${prose(wait)}.` : ""
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
    `Limit 500, Used 500, Requested 1.${told} ${limitsPage}`
  return refusal(rateLimitError(text, "requests"), headers[hint])
}

/** The 429 of the server's own limits. */
export const limited = (model: string, refused: Refusal, headers: Headers): Reply => {
  const unit = refused.scope === "requests" ? "requests per min (RPM)" : "tokens per min (TPM)"
  if (refused.wait === undefined) {
    const text = `Request too large for ${model} in organization ${organization} on ${unit}: Limit ${refused.limit}, ` +
      `Requested ${refused.requested}. The input or output tokens must be reduced in order to run successfully. ${limitsPage}`
    return refusal(rateLimitError(text, refused.scope), headers)
  }
  const text = `Rate limit reached for ${model} in organization ${organization} on ${unit}: Limit ${refused.limit}, ` +
    `Used ${refused.used}, Requested ${refused.requested}. Please try again in ${prose(refused.wait)}. ${limitsPage}`
  return refusal(rateLimitError(text, refused.scope), {
    ...headers,
    "retry-after": wholeSeconds(refused.wait),
    "retry-after-ms": String(Math.ceil(refused.wait))
  })
}

const server = (status: number, message: string, type = "server_error"): Reply =>
  refusal({ status, message, type, param: null, code: null })

const serverErrors = (requestId: string) => ({
  500: server(
    500,
    "The server experienced an error while processing your request. Sorry about that! You can retry your request, or " +
      "contact us through our help center at help.openai.com if the error persists."
  ),
  502: server(502, "Bad gateway."),
  503: server(
    503,
    "That model is currently overloaded with other requests. You can retry your request, or contact us through our help " +
      `center at help.openai.com if the error persists. (Please include the request ID ${requestId} in your message.)`
  ),
  529: server(529, "Overloaded", "overloaded_error")
})

const page = (status: 200 | 502 | 503): Reply => ({
  _tag: "Reply",
  status,
  headers: { "content-type": "text/html; charset=UTF-8", "server": "cloudflare" },
  body: `<!DOCTYPE html>\n<html lang="en-US">\n<head><title>api.openai.com | ${status}: Bad gateway</title></head>\n` +
    "<body><h1>Bad gateway</h1><p>The web server reported a bad gateway error.</p></body>\n</html>\n"
})

const notJson: Reply = {
  _tag: "Reply",
  status: 200,
  headers: { "content-type": "application/json" },
  body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
}

/** What one call of the model says, with the price. */
export interface Completion {
  readonly id: string
  readonly model: string
  readonly created: number
  readonly text: string | undefined
  readonly toolCalls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly arguments: string }>
  readonly finishReason: "stop" | "length" | "tool_calls"
  readonly promptTokens: number
  readonly completionTokens: number
}

export const completion = (said: Completion, choices: "one" | "none" = "one"): Reply => {
  const calls = said.toolCalls.map((call) => ({
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: call.arguments }
  }))
  const message = {
    role: "assistant",
    content: said.text ?? null,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    refusal: null,
    annotations: []
  }
  return json(200, {
    id: said.id,
    object: "chat.completion",
    created: said.created,
    model: said.model,
    choices: choices === "none" ? [] : [{ index: 0, message, logprobs: null, finish_reason: said.finishReason }],
    usage: {
      prompt_tokens: said.promptTokens,
      completion_tokens: said.completionTokens,
      total_tokens: said.promptTokens + said.completionTokens,
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
      completion_tokens_details: {
        reasoning_tokens: 0,
        audio_tokens: 0,
        accepted_prediction_tokens: 0,
        rejected_prediction_tokens: 0
      }
    },
    service_tier: "default",
    system_fingerprint: "fp_chaos"
  })
}

/** The outcome of a fault that is not a matter of what the model says; the right reply is what a late or cut one holds. */
export const broken = (
  fault: Exclude<Fault, { _tag: "DamagedToolCall" } | { _tag: "FinishLength" }>,
  right: Completion,
  now: number
): Outcome => {
  switch (fault._tag) {
    case "RateLimited":
      return injectedRateLimit(right.model, fault.hint, waitMillis(fault.wait), now)
    case "InsufficientQuota":
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
      return serverErrors(right.id)[fault.status]
    case "Hang":
      return { _tag: "Hang" }
    case "SlowReply":
      return completion(right)
    case "ResetBeforeBody":
      return { _tag: "Reset", after: undefined }
    case "ResetDuringBody":
      return { _tag: "Reset", after: completion(right) }
    case "HtmlErrorPage":
      return page(fault.status)
    case "NonJsonBody":
      return notJson
    case "EmptyChoices":
      return completion(right, "none")
  }
}

/** Durations of a checked plan; text that is no duration reads as no wait. */
export const waitMillis = (text: string): number =>
  Option.match(Duration.decodeUnknown(text), { onNone: () => 0, onSome: Duration.toMillis })
