/**
 * The table from an SDK's error to the tag that our library gives to the same failure. It knows what the SDK tells in its
 * class and its fields: a code or type where there is one, else the status, else what its transport threw. It does not read
 * sentences: what only the words say is a difference, and listed in `known.ts`.
 */
import * as Anthropic from "@anthropic-ai/sdk"
import * as Google from "@google/genai"
import * as OpenAi from "openai"
import type { Failed } from "./answer.ts"

const byCode: Readonly<Record<string, string>> = {
  insufficient_quota: "QuotaExhausted",
  billing_error: "QuotaExhausted",
  rate_limit_exceeded: "RateLimited",
  rate_limit_error: "RateLimited",
  invalid_api_key: "Authentication",
  API_KEY_INVALID: "Authentication",
  model_not_found: "ModelNotFound",
  server_is_overloaded: "Overloaded",
  overloaded_error: "Overloaded",
  service_unavailable_error: "Overloaded",
  UNAVAILABLE: "Overloaded",
  server_error: "ServerError",
  api_error: "ServerError",
  INTERNAL: "ServerError",
  RESOURCE_EXHAUSTED: "RateLimited"
}

const byStatus: Readonly<Record<number, string>> = {
  400: "InvalidRequest",
  401: "Authentication",
  402: "QuotaExhausted",
  403: "PermissionDenied",
  404: "ModelNotFound",
  413: "RequestTooLarge",
  429: "RateLimited",
  503: "Overloaded",
  529: "Overloaded"
}

const ofStatus = (status: number | undefined): string =>
  status === undefined ? "UnknownError" : byStatus[status] ?? (status >= 500 ? "ServerError" : "InvalidRequest")

const own = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key) ? Object.entries(value).find(([name]) => name === key)?.[1] : undefined

const codesIn = (body: unknown): ReadonlyArray<string> => {
  const error = own(body, "error") ?? body
  const details = own(error, "details")
  return [
    own(error, "code"),
    own(error, "type"),
    ...(Array.isArray(details) ? details.map((detail) => own(detail, "reason")) : []),
    own(error, "status")
  ].filter((code) => typeof code === "string")
}

/** A 503 is an overload, whatever the type beside it says ("server_error"): so the status of a failure over 500 is believed first. */
const ofBody = (status: number | undefined, body: unknown): string => {
  if (status !== undefined && status >= 500) return ofStatus(status)
  const known = codesIn(body).map((code) => byCode[code]).find((tag) => tag !== undefined)
  return known ?? ofStatus(status)
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What fetch and its bodies throw. */
const ofTransport = (error: Error): string => {
  if (error instanceof SyntaxError) return "MalformedResponse"
  // A body that broke within; before it, `fetch failed`.
  if (error.message === "terminated") return "Truncated"
  if (error.message.includes("fetch failed") || error.message.includes("ECONNRESET")) return "ConnectionFailed"
  return "UnknownError"
}

/** The SDKs' own ways to say that a stream ended too early. */
const early = /missing finish_reason|request ended without sending|Incomplete JSON segment|stream ended without|no final|without producing a/i

const tagOf = (error: Error): string => {
  if (early.test(error.message)) return "Truncated"
  if (error instanceof OpenAi.APIConnectionError || error instanceof Anthropic.APIConnectionError) {
    return "ConnectionFailed"
  }
  if (error instanceof OpenAi.APIError) {
    return ofBody(error.status, { code: error.code, type: error.type })
  }
  if (error instanceof Anthropic.APIError) return ofBody(error.status, error.error)
  if (error instanceof Google.ApiError) return ofBody(error.status, parse(error.message))
  // The helpers wrap what they met.
  return error.cause instanceof Error && (error instanceof OpenAi.OpenAIError || error instanceof Anthropic.AnthropicError)
    ? tagOf(error.cause)
    : ofTransport(error)
}

export const failed = (error: unknown): Failed => {
  const thrown = error instanceof Error ? error : new Error(String(error))
  return {
    _tag: "Failed",
    error: tagOf(thrown),
    words: `${thrown.constructor.name}: ${thrown.message.replace(/\s+/g, " ").slice(0, 120)}`
  }
}
