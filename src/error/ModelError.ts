/**
 * What can go wrong when a model is called: one class, one `_tag`, one verdict each. All of them travel through Schema,
 * so they cross process borders, and none of them can hold a credential: every constructor redacts and clips its texts.
 *
 * @example
 * import * as Duration from "effect/Duration"
 * import * as ModelError from "effect-llm-resilience/error/ModelError"
 * import * as Verdict from "effect-llm-resilience/error/Verdict"
 *
 * const error = new ModelError.RateLimited({
 *   provider: "openai",
 *   model: "gpt-4o",
 *   status: 429,
 *   retryAfter: Duration.seconds(20),
 *   detail: "Limit 30000, used 30000"
 * })
 *
 * console.log(error.message)
 * // openai/gpt-4o: rate limited. The provider said: "Limit 30000, used 30000". Retry after 20s. (HTTP 429)
 * console.log(Verdict.of(error).action) // => Retry
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { after, judge, say, sizes } from "./modelError/words.ts"
import { type Billed, Billed as BilledSchema, Cause, Count, scrubbed, Wait } from "./shared/fields.ts"
import * as Verdict from "./Verdict.ts"

/** The fields every model error has; `billed` is what is true unless the thrower knows better. */
const common = <B extends Billed>(billed: B) => ({
  provider: Schema.String,
  model: Schema.optional(Schema.String),
  requestId: Schema.optional(Schema.String),
  status: Schema.optional(Schema.Int),
  body: Schema.optional(Schema.String),
  detail: Schema.optional(Schema.String),
  billed: BilledSchema.pipe(Schema.propertySignature, Schema.withConstructorDefault((): Billed => billed)),
  shouldRetry: Schema.optional(Schema.Boolean),
  cause: Schema.optional(Cause)
})

/**
 * Too many requests or tokens for now; the same request succeeds later. `retryAfter` is the provider's own hint.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimited extends scrubbed(
  Schema.TaggedError<RateLimited>()("RateLimited", {
    ...common("no"),
    retryAfter: Schema.optional(Wait),
    scope: Schema.Literal("requests", "tokens", "day", "unknown").pipe(
      Schema.propertySignature,
      Schema.withConstructorDefault((): "unknown" => "unknown")
    )
  })
) {
  override get message(): string {
    return say(this, `rate limited${this.scope === "unknown" ? "" : ` (${this.scope})`}`, after(this.retryAfter))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Retry", { retryAfter: this.retryAfter, throttled: true })
  }
}

/**
 * The account is out of credit, or out of its allowance for the day. Waiting seconds does not help.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuotaExhausted extends scrubbed(
  Schema.TaggedError<QuotaExhausted>()("QuotaExhausted", {
    ...common("no"),
    reason: Schema.Literal("billing", "daily", "unknown"),
    resetAt: Schema.optional(Schema.DateTimeUtc)
  })
) {
  override get message(): string {
    return say(
      this,
      this.reason === "daily" ? "the quota of the day is used up" : "the account's quota is exhausted",
      this.reason === "daily"
        ? "Use another model or wait for the next day."
        : "Check plan and billing, or use another provider."
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fallback")
  }
}

/**
 * The request is larger than the limit itself, so it can never succeed as sent.
 *
 * @since 0.1.0
 * @category errors
 */
export class RequestTooLarge extends scrubbed(
  Schema.TaggedError<RequestTooLarge>()("RequestTooLarge", {
    ...common("no"),
    requested: Schema.optional(Count),
    limit: Schema.optional(Count)
  })
) {
  override get message(): string {
    return say(this, `the request is too large${sizes(this)}`, "Send less, or raise the account's limit.")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fallback")
  }
}

/**
 * Prompt and completion do not fit the model's context window.
 *
 * @since 0.1.0
 * @category errors
 */
export class ContextLengthExceeded extends scrubbed(
  Schema.TaggedError<ContextLengthExceeded>()("ContextLengthExceeded", {
    ...common("no"),
    requested: Schema.optional(Count),
    limit: Schema.optional(Count)
  })
) {
  override get message(): string {
    return say(
      this,
      `the context window is exceeded${sizes(this)}`,
      "Shorten the prompt, lower the output limit, or use a model with a larger window."
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fallback")
  }
}

/**
 * A safety filter refused the prompt or the completion.
 *
 * @since 0.1.0
 * @category errors
 */
export class ContentFiltered extends scrubbed(
  Schema.TaggedError<ContentFiltered>()("ContentFiltered", {
    ...common("maybe"),
    stage: Schema.Literal("prompt", "completion"),
    categories: Schema.optional(Schema.Array(Schema.String))
  })
) {
  override get message(): string {
    return say(
      this,
      `the ${this.stage} was filtered${this.categories?.length ? ` (${this.categories.join(", ")})` : ""}`,
      "The same request will be refused again: change it, or ask another model."
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fallback")
  }
}

/**
 * The key is missing, wrong or revoked.
 *
 * @since 0.1.0
 * @category errors
 */
export class Authentication extends scrubbed(Schema.TaggedError<Authentication>()("Authentication", common("no"))) {
  override get message(): string {
    return say(this, "the API key was not accepted", "Check the key and that it belongs to this base URL.")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fail")
  }
}

/**
 * The key is good but may not do this: model, region or project.
 *
 * @since 0.1.0
 * @category errors
 */
export class PermissionDenied extends scrubbed(
  Schema.TaggedError<PermissionDenied>()("PermissionDenied", common("no"))
) {
  override get message(): string {
    return say(this, "permission denied", "Check the project's access to this model and region.")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fail")
  }
}

/**
 * There is no such model at this provider.
 *
 * @since 0.1.0
 * @category errors
 */
export class ModelNotFound extends scrubbed(Schema.TaggedError<ModelNotFound>()("ModelNotFound", common("no"))) {
  override get message(): string {
    return say(this, "the model was not found", "Check its name, the base URL, and that the key may use it.")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fallback")
  }
}

/**
 * The request breaks the provider's rules; `param` names the field when the provider told.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidRequest extends scrubbed(
  Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
    ...common("no"),
    param: Schema.optional(Schema.String),
    /** What to do about it, in our words; absent where only the request can tell. */
    remedy: Schema.optional(Schema.String)
  })
) {
  override get message(): string {
    return say(
      this,
      `the request is invalid${this.param === undefined ? "" : ` (${this.param})`}`,
      this.remedy ?? "Change the request."
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fail")
  }
}

/**
 * This model or server cannot do what was asked (tools, images, a parameter), whatever the status code says.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnsupportedFeature extends scrubbed(
  Schema.TaggedError<UnsupportedFeature>()("UnsupportedFeature", {
    ...common("no"),
    feature: Schema.optional(Schema.String)
  })
) {
  override get message(): string {
    return say(
      this,
      `${this.feature === undefined ? "a feature of the request" : this.feature} is not supported`,
      "Leave it out, or use a model that has it."
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fallback")
  }
}

/**
 * The provider is overloaded; it passes.
 *
 * @since 0.1.0
 * @category errors
 */
export class Overloaded extends scrubbed(
  Schema.TaggedError<Overloaded>()("Overloaded", {
    ...common("no"),
    retryAfter: Schema.optional(Wait)
  })
) {
  override get message(): string {
    return say(this, "the provider is overloaded", after(this.retryAfter))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Retry", { retryAfter: this.retryAfter, weighs: true })
  }
}

/**
 * The provider failed on its own side.
 *
 * @since 0.1.0
 * @category errors
 */
export class ServerError extends scrubbed(
  Schema.TaggedError<ServerError>()("ServerError", {
    ...common("maybe"),
    retryAfter: Schema.optional(Wait)
  })
) {
  override get message(): string {
    return say(this, "the provider failed", after(this.retryAfter))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Retry", { retryAfter: this.retryAfter, weighs: true })
  }
}

/**
 * No reply came: the host could not be reached, or the connection broke before the reply began.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionFailed extends scrubbed(
  Schema.TaggedError<ConnectionFailed>()("ConnectionFailed", {
    ...common("maybe"),
    reason: Schema.String
  })
) {
  override get message(): string {
    // The HTTP client's own limit is told with its remedy: neither address nor network are at fault.
    const remedy = this.cause?.code === "UND_ERR_HEADERS_TIMEOUT"
      ? undefined
      : "If it persists, check the base URL and the network."
    return say(this, `the connection failed: ${this.reason}`, remedy)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Retry", { weighs: true })
  }
}

/**
 * A reply came that breaks the wire contract: not JSON, no choices, a field of the wrong kind.
 *
 * @since 0.1.0
 * @category errors
 */
export class MalformedResponse extends scrubbed(
  Schema.TaggedError<MalformedResponse>()("MalformedResponse", {
    ...common("maybe"),
    reason: Schema.String
  })
) {
  override get message(): string {
    return say(this, `the reply is malformed: ${this.reason}`)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Retry", { weighs: true })
  }
}

/**
 * The provider itself says that the model wrote a bad tool call. Asking again, told of it, usually heals.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidToolCall extends scrubbed(
  Schema.TaggedError<InvalidToolCall>()("InvalidToolCall", {
    ...common("yes"),
    failedGeneration: Schema.optional(Schema.String)
  })
) {
  override get message(): string {
    return say(this, "the model wrote an invalid tool call", "Ask again.")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Reask")
  }
}

/**
 * A body or stream that ended before its end. `received` is what had come until then, clipped.
 *
 * @since 0.1.0
 * @category errors
 */
export class Truncated extends scrubbed(
  Schema.TaggedError<Truncated>()("Truncated", {
    ...common("maybe"),
    received: Schema.String
  })
) {
  override get message(): string {
    return say(this, `the reply was cut off after ${this.received.length} characters`, "Retry.")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Retry", { weighs: true })
  }
}

/**
 * The provider no longer holds a reply that was to be gone on with (see `LanguageModel.Resumable`): it was kept for too
 * short a time, or not at all. The reply so far stays valid; the rest can only be had by another request.
 *
 * @since 0.1.0
 * @category errors
 */
export class ResumeExpired extends scrubbed(
  Schema.TaggedError<ResumeExpired>()("ResumeExpired", {
    ...common("yes"),
    /** The provider's id of the reply. */
    reply: Schema.String
  })
) {
  override get message(): string {
    return say(this, `the reply ${this.reply} can no longer be gone on with`, "Ask again.")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Retry")
  }
}

/**
 * A failure that fits no other class.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownError extends scrubbed(Schema.TaggedError<UnknownError>()("UnknownError", common("maybe"))) {
  override get message(): string {
    return say(this, "an unknown error occurred")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return judge(this, "Fail")
  }
}

/**
 * Every way a call of a model can fail, as a schema.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ModelError = Schema.Union(
  RateLimited,
  QuotaExhausted,
  RequestTooLarge,
  ContextLengthExceeded,
  ContentFiltered,
  Authentication,
  PermissionDenied,
  ModelNotFound,
  InvalidRequest,
  UnsupportedFeature,
  Overloaded,
  ServerError,
  ConnectionFailed,
  MalformedResponse,
  InvalidToolCall,
  Truncated,
  ResumeExpired,
  UnknownError
)

/**
 * Every way a call of a model can fail.
 *
 * @since 0.1.0
 * @category errors
 */
export type ModelError = typeof ModelError.Type

/**
 * Whether a value is one of the model errors.
 *
 * @since 0.1.0
 * @category guards
 */
export const isModelError: (value: unknown) => value is ModelError = Schema.is(ModelError)
