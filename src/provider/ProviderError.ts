/**
 * From a provider's reply to a `ModelError`, for every provider that speaks like OpenAI, and for Anthropic and Gemini
 * as well. It is pure: the same reply always gives the same error, so it can be tried on a line of a log.
 *
 * Status codes alone mislead: 429 is a rate limit, an empty account, a used-up day or a request that can never succeed;
 * 400 is six different things; a 200 may carry an error. Codes are believed before words, and words before the status.
 *
 * @example
 * import { fromResponse } from "effect-llm-resilience/provider/ProviderError"
 * import * as Duration from "effect/Duration"
 *
 * const error = fromResponse({
 *   provider: "openai",
 *   status: 429,
 *   headers: { "x-request-id": "req_1" },
 *   body: {
 *     error: {
 *       message: "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms.",
 *       type: "tokens",
 *       code: "rate_limit_exceeded"
 *     }
 *   }
 * })
 *
 * if (error._tag === "RateLimited" && error.retryAfter !== undefined) {
 *   Duration.toMillis(error.retryAfter) // 644
 * }
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as ModelError from "../error/ModelError.ts"
import * as Hints from "../internal/hints.ts"
import { isRecord } from "../internal/record.ts"
import { describeCause, property, textProperty } from "../internal/redact.ts"
import { classify } from "./providerError/classify.ts"
import * as ErrorBody from "./shared/errorBody.ts"
import * as StreamError from "./shared/streamError.ts"

/**
 * A reply that is, or may be, an error.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProviderReply {
  /** The provider's name, such as `"openai"`, `"azure"`, `"groq"` or `"openai-compatible:vllm"`. */
  readonly provider: string
  /** The HTTP status; 200 for an error inside an event stream. */
  readonly status: number
  /** Reply headers; names in any case. */
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string> | undefined>> | undefined
  /** The body as text, or already parsed. */
  readonly body?: unknown
  /** The model that was asked. */
  readonly model?: string | undefined
  /** When the reply came. Without it dates are read against the reply's own `date` header, and else say nothing. */
  readonly now?: DateTime.DateTime.Input | undefined
}

const requestHeaders = [
  "x-request-id",
  "request-id",
  "x-amzn-requestid",
  "apim-request-id",
  "x-ms-request-id",
  "cf-ray"
]

const requestIdOf = (headers: Hints.Headers, body: ErrorBody.ErrorBody): string | undefined => {
  const told = requestHeaders.slice(0, -1).map((name) => Hints.header(headers, name)).find((id) =>
    id !== undefined && id !== ""
  )
  return told ?? body.requestId ?? Hints.header(headers, "cf-ray")
}

const shouldRetryOf = (headers: Hints.Headers): boolean | undefined => {
  const told = Hints.header(headers, "x-should-retry")?.trim().toLowerCase()
  return told === "true" ? true : told === "false" ? false : undefined
}

const bodyText = (body: unknown): string | undefined => {
  if (typeof body === "string") return body === "" ? undefined : body
  if (body === undefined || body === null) return undefined
  try {
    return JSON.stringify(body)
  } catch {
    return undefined
  }
}

const millisOf = (now: DateTime.DateTime.Input | undefined): number | undefined =>
  now === undefined ? undefined : Option.getOrUndefined(Option.map(DateTime.make(now), DateTime.toEpochMillis))

/** The fields every error takes, without those that are not known. */
const commonOf = (
  reply: ProviderReply,
  headers: Hints.Headers,
  body: ErrorBody.ErrorBody
) => {
  const requestId = requestIdOf(headers, body)
  const shouldRetry = shouldRetryOf(headers)
  const text = bodyText(reply.body)
  const { detail } = body
  return {
    provider: reply.provider,
    ...(reply.model === undefined ? {} : { model: reply.model }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(Number.isSafeInteger(reply.status) ? { status: reply.status } : {}),
    ...(text === undefined ? {} : { body: text }),
    ...(detail === undefined || detail === "" ? {} : { detail }),
    ...(shouldRetry === undefined ? {} : { shouldRetry })
  }
}

const waitField = (millis: number | undefined) => millis === undefined ? {} : { retryAfter: Duration.millis(millis) }

/**
 * Classifies a reply. Wait hints are taken in this order: `retry-after-ms`, `x-ms-retry-after-ms`, `retry-after`,
 * `x-amz-retry-after`, the body's `RetryInfo`, prose ("Please try again in 6m0s"), then the reset header of the dimension
 * that is exhausted; they come as whole milliseconds, rounded to the nearest. What is longer than ten years is no hint.
 *
 * Per-day limits are `QuotaExhausted` with `resetAt` where it is known, except where a rolling one says that it refills
 * within a minute: then it is `RateLimited` with scope `"day"`. A status below 400 without an error in the body is a
 * `MalformedResponse`; a status that is none is an `UnknownError`. Redirects are an `InvalidRequest` naming the remedy.
 * 408, 409, 424, 425 and 5xx are retryable as a `ServerError`, as in the OpenAI and Anthropic SDKs.
 *
 * Never throws; credentials in the body are redacted by the error's constructor.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromResponse = (reply: ProviderReply): ModelError.ModelError => {
  try {
    return read(reply)
  } catch (cause) {
    return unreadable(reply, cause)
  }
}

/** Whatever a server sends, a failure stays one: what nobody foresaw may have been billed, and its status is kept. */
const unreadable = (reply: ProviderReply | StreamEvent, cause: unknown): ModelError.ModelError => {
  const model = textProperty(reply, "model")
  const status = property(reply, "status")
  return new ModelError.UnknownError({
    provider: textProperty(reply, "provider") ?? "unknown",
    ...(model === undefined ? {} : { model }),
    ...(typeof status === "number" && Number.isSafeInteger(status) ? { status } : {}),
    cause: describeCause(cause)
  })
}

const read = (reply: ProviderReply): ModelError.ModelError => {
  const headers = isRecord(reply.headers) ? reply.headers : {}
  // AWS names the error in a header, as `ThrottlingException:http://…`, and leaves the body to words.
  const body = ErrorBody.read(reply.body, Hints.header(headers, "x-amzn-errortype")?.split(":")[0])
  const diagnosis = classify({
    provider: reply.provider,
    status: reply.status,
    headers,
    body,
    now: millisOf(reply.now)
  })
  const common = commonOf(reply, headers, body)
  // Inside a success the tokens may have been spent before it failed.
  const spent = reply.status < 400 ? { billed: "maybe" as const } : {}
  switch (diagnosis.kind) {
    case "RateLimited":
      return new ModelError.RateLimited({ ...common, ...waitField(diagnosis.wait), ...spent, scope: diagnosis.scope })
    case "QuotaExhausted": {
      const at = diagnosis.resetAt === undefined ? Option.none() : DateTime.make(diagnosis.resetAt)
      return new ModelError.QuotaExhausted({
        ...common,
        ...spent,
        reason: diagnosis.reason,
        ...(Option.isSome(at) ? { resetAt: DateTime.toUtc(at.value) } : {})
      })
    }
    case "RequestTooLarge":
      return new ModelError.RequestTooLarge({ ...common, ...spent, ...sizesOf(diagnosis.sizes) })
    case "ContextLengthExceeded":
      return new ModelError.ContextLengthExceeded({ ...common, ...spent, ...sizesOf(diagnosis.sizes) })
    case "ContentFiltered":
      return new ModelError.ContentFiltered({
        ...common,
        billed: diagnosis.stage === "prompt" && reply.status >= 400 ? "no" : "maybe",
        stage: diagnosis.stage,
        ...(body.categories.length === 0 ? {} : { categories: body.categories })
      })
    case "Authentication":
      return new ModelError.Authentication({ ...common, ...spent })
    case "PermissionDenied":
      return new ModelError.PermissionDenied({ ...common, ...spent })
    case "ModelNotFound":
      return new ModelError.ModelNotFound({ ...common, ...spent })
    case "InvalidRequest":
      return new ModelError.InvalidRequest({
        ...common,
        ...spent,
        ...(body.param === undefined ? {} : { param: body.param }),
        ...(diagnosis.remedy === undefined ? {} : { remedy: diagnosis.remedy })
      })
    case "UnsupportedFeature":
      return new ModelError.UnsupportedFeature({
        ...common,
        ...spent,
        ...(diagnosis.feature === undefined ? {} : { feature: diagnosis.feature })
      })
    case "Overloaded":
      return new ModelError.Overloaded({ ...common, ...waitField(diagnosis.wait), billed: maybeFrom500(reply.status) })
    case "ServerError":
      return new ModelError.ServerError({ ...common, ...waitField(diagnosis.wait), billed: maybeFrom500(reply.status) })
    case "ConnectionFailed":
      return new ModelError.ConnectionFailed({ ...common, reason: diagnosis.reason })
    case "MalformedResponse":
      return new ModelError.MalformedResponse({ ...common, reason: diagnosis.reason })
    case "InvalidToolCall":
      return new ModelError.InvalidToolCall({
        ...common,
        ...(body.failedGeneration === undefined ? {} : { failedGeneration: body.failedGeneration })
      })
    case "UnknownError":
      return new ModelError.UnknownError(common)
  }
}

/**
 * One event of a stream that began with status 200.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamEvent {
  /** The provider's name, such as `"openai"` or `"anthropic"`. */
  readonly provider: string
  /** The event's payload as parsed JSON; the text itself where it is none. */
  readonly event: unknown
  /** The event's name, where the stream names its events. One called `error` is an error, whatever it holds. */
  readonly name?: string | undefined
  /** The model that was asked. */
  readonly model?: string | undefined
  /** The headers of the reply that the stream belongs to; names in any case. */
  readonly headers?: ProviderReply["headers"]
  /** When the event came. */
  readonly now?: DateTime.DateTime.Input | undefined
}

/**
 * The error that an event of a stream carries; none for an ordinary event.
 *
 * Found are events called or typed `error`, payloads with a filled `error` (also beside `choices`, and also without
 * `data:` as Gemini sends them), `response.failed`, errors without an envelope, MiniMax's `base_resp`, Gemini's
 * `promptFeedback.blockReason`, and the reasons to finish that mean no reply came of it: `MALFORMED_FUNCTION_CALL`,
 * `UNEXPECTED_TOOL_CALL`, `TOO_MANY_TOOL_CALLS`, DeepSeek's `insufficient_system_resource`, and `error`, `network_error`,
 * `abort`, `timeout` and their kin. Reasons that end a reply early (`length`, `content_filter`, `sensitive`, `SAFETY`,
 * `refusal`) are no errors here: what was said before them counts.
 *
 * The error is what {@link fromResponse} says of a 200 with that body, so it may have been billed; without words it is a
 * `ServerError`, as an error with status 500 is. Never throws.
 *
 * @example
 * import { fromStreamEvent } from "effect-llm-resilience/provider/ProviderError"
 * import * as Option from "effect/Option"
 *
 * const error = fromStreamEvent({
 *   provider: "anthropic",
 *   event: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }
 * })
 * const chunk = fromStreamEvent({ provider: "anthropic", event: { type: "ping" } })
 *
 * console.log(Option.map(error, (found) => found._tag), Option.isNone(chunk)) // Some("Overloaded"), true
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromStreamEvent = (options: StreamEvent): Option.Option<ModelError.ModelError> => {
  try {
    return readEvent(options)
  } catch (cause) {
    return Option.some(unreadable(options, cause))
  }
}

const readEvent = (options: StreamEvent): Option.Option<ModelError.ModelError> => {
  const body = errorIn(options)
  return body === undefined ? Option.none() : Option.some(fromResponse({
    provider: options.provider,
    model: options.model,
    status: 200,
    headers: options.headers,
    body,
    now: options.now
  }))
}

/** An event that cannot even be looked through is an error. */
const errorIn = ({ event, name }: StreamEvent): unknown => {
  try {
    return StreamError.find(event, name)
  } catch (cause) {
    return { error: { type: "server_error", message: describeCause(cause).message } }
  }
}

/** A refusal in the 4xx was never run; what failed at 5xx or inside a success may have been. */
const maybeFrom500 = (status: number): "no" | "maybe" => status >= 400 && status < 500 ? "no" : "maybe"

const sizesOf = (sizes: { readonly requested?: number | undefined; readonly limit?: number | undefined }) => ({
  ...(sizes.requested === undefined ? {} : { requested: sizes.requested }),
  ...(sizes.limit === undefined ? {} : { limit: sizes.limit })
})
