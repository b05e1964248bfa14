/**
 * What a policy refused, and why. Each class carries the facts a caller needs to decide what to do instead.
 *
 * @example
 * import * as Duration from "effect/Duration"
 * import * as Effect from "effect/Effect"
 * import * as PolicyError from "effect-llm-resilience/error/PolicyError"
 *
 * const refused = Effect.fail(new PolicyError.TimedOut({ phase: "total", limit: Duration.seconds(30) }))
 *
 * const program = refused.pipe(
 *   Effect.catchTag("TimedOut", (error) => Effect.succeed(error.message))
 * )
 *
 * Effect.runPromise(program).then(console.log) // The call with all its attempts took longer than 30s.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { withPlanNote } from "../internal/planNote.ts"
import { describeCause, visible } from "../internal/redact.ts"
import { ModelError } from "./ModelError.ts"
import { exhausted } from "./policyError/exhausted.ts"
import { Amount, Count, Foreign, lean, scrubbed, sentence, shown, spoken, Wait } from "./shared/fields.ts"
import * as Verdict from "./Verdict.ts"

const told = (error: object, message: string): string => visible(withPlanNote(error, message))

/** `ServerError: 503 from openai`; for an error that is a text, that text in quotes. */
const openedByWords = ({ message, tag }: { readonly tag: string; readonly message: string }): string =>
  tag === "string" ? JSON.stringify(message) : message === tag ? tag : `${tag}: ${message}`

/**
 * A circuit breaker let a call not through. `retryAfter` is the time until it may let one through: the rest of the break
 * while it is `open`; while it is `probing`, the time by which the probes that run have decided at the latest; in a
 * `slowStart`, which lets a growing share of calls through, the rest of it; zero where it was `isolated` by hand, because
 * nobody knows. `openedBy` is the last error that opened it since it was closed:
 * its `_tag` or the name of its class, and its text, clipped and without credentials; none where only slow calls did.
 *
 * @since 0.1.0
 * @category errors
 */
export class CircuitOpen extends lean(
  Schema.TaggedError<CircuitOpen>()("CircuitOpen", {
    name: Schema.String,
    retryAfter: Wait,
    /** Default: `"open"`. */
    reason: Schema.Literal("open", "probing", "isolated", "slowStart").pipe(
      Schema.propertySignature,
      Schema.withConstructorDefault(() => "open" as const)
    ),
    openedBy: Schema.optional(Schema.Struct({ tag: Schema.String, message: Schema.String }))
  })
) {
  override get message(): string {
    return told(this, wordsOfCircuitOpen(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fallback", this.reason === "isolated" ? {} : { retryAfter: this.retryAfter })
  }
}

const wordsOfCircuitOpen = (error: CircuitOpen): string => {
  const { openedBy } = error
  switch (error.reason) {
    case "open":
      return sentence(
        `Circuit "${error.name}" is open. It admits a probe in ${spoken(error.retryAfter)}.`,
        openedBy === undefined ? undefined : `It was opened by ${openedByWords(openedBy)}`
      )
    case "probing":
      return sentence(
        `Circuit "${error.name}" is half-open and its probes are running.`,
        `They decide within ${spoken(error.retryAfter)}.`,
        openedBy === undefined ? undefined : `It was opened by ${openedByWords(openedBy)}`
      )
    case "slowStart":
      return `Circuit "${error.name}" has closed again and lets a growing share of calls through. ` +
        `It lets all of them through in ${spoken(error.retryAfter)}.`
    case "isolated":
      return `Circuit "${error.name}" was isolated by hand. It admits nothing until it is closed by hand.`
  }
}

/**
 * As many calls as allowed are running, and the queue is `full`; or the call would have to wait for a permit that it
 * holds itself, because it runs inside of another one of the same bulkhead (`reentrant`).
 *
 * @since 0.1.0
 * @category errors
 */
export class BulkheadFull extends lean(
  Schema.TaggedError<BulkheadFull>()("BulkheadFull", {
    name: Schema.String,
    maxConcurrent: Count,
    maxQueued: Count,
    reason: Schema.Literal("full", "reentrant").pipe(
      Schema.propertySignature,
      Schema.withConstructorDefault((): "full" => "full")
    )
  })
) {
  override get message(): string {
    return told(this, wordsOfBulkheadFull(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fallback")
  }
}

const wordsOfBulkheadFull = (error: BulkheadFull): string => {
  if (error.reason === "reentrant") {
    return `Bulkhead "${error.name}" has no room for a call from inside of one it already runs: it would wait for ` +
      "itself. Give the inner call a bulkhead of its own, or raise the limits."
  }
  return `Bulkhead "${error.name}" is full: ${error.maxConcurrent} running, ${error.maxQueued} queued. ` +
    "Send less at a time, or raise its limits."
}

/**
 * The limiter on our side let nothing through. With the reason `"rate"` there is no room now, and `retryAfter` is the
 * time until there is. With `"cost"` the call costs more than the whole limit, so waiting cannot help: `cost` and
 * `limit` say by how much.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimitExceeded extends lean(
  Schema.TaggedError<RateLimitExceeded>()("RateLimitExceeded", {
    name: Schema.String,
    retryAfter: Wait,
    reason: Schema.Literal("rate", "cost").pipe(
      Schema.propertySignature,
      Schema.withConstructorDefault(() => "rate" as const)
    ),
    /** What the call would have cost, in `unit`. */
    cost: Schema.optional(Amount),
    /** The limit per minute, in `unit`. */
    limit: Schema.optional(Amount),
    unit: Schema.optional(Schema.Literal("requests", "tokens"))
  })
) {
  override get message(): string {
    return told(this, wordsOfRateLimitExceeded(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return this.reason === "rate"
      ? Verdict.make("Retry", { retryAfter: this.retryAfter, throttled: true })
      : Verdict.make("Fallback")
  }
}

const wordsOfRateLimitExceeded = (error: RateLimitExceeded): string => {
  return error.reason === "rate"
    ? `Rate limiter "${error.name}" has no room. Retry after ${spoken(error.retryAfter)}.`
    : `A call that costs ${error.cost ?? "more"} ${
      error.unit ?? "tokens"
    } can never pass rate limiter "${error.name}", ` +
      `whose limit is ${error.limit ?? "less"} per minute. Send less, or raise the limit.`
}

/**
 * A throttle on our side refused a call that the other side would most likely have refused: of the last `requests` it
 * accepted `accepts`. There is no time to wait for; a retry has the same chance as any other call.
 *
 * @since 0.1.0
 * @category errors
 */
export class Throttled extends lean(
  Schema.TaggedError<Throttled>()("Throttled", { name: Schema.String, requests: Count, accepts: Count })
) {
  override get message(): string {
    return told(this, wordsOfThrottled(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Retry", { throttled: true })
  }
}

const wordsOfThrottled = (error: Throttled): string => {
  return `Throttle "${error.name}" refused a call: of the last ${error.requests} calls ${error.accepts} were accepted.`
}

const phaseWords = {
  attempt: "One attempt",
  total: "The call with all its attempts",
  firstContent: "The first content of the stream",
  idle: "The next content of the stream",
  liveness: "Any sign of life of the stream",
  queue: "A place in the queue"
} as const

/**
 * Something took longer than allowed; `phase` says what. `limit` is the time it had.
 *
 * @since 0.1.0
 * @category errors
 */
export class TimedOut extends lean(
  Schema.TaggedError<TimedOut>()("TimedOut", {
    phase: Schema.Literal("attempt", "total", "firstContent", "idle", "liveness", "queue"),
    limit: Wait
  })
) {
  override get message(): string {
    return told(this, wordsOfTimedOut(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    switch (this.phase) {
      case "attempt":
      case "firstContent":
      case "idle":
      case "liveness":
        return Verdict.make("Retry", { weighs: true, billed: "maybe" })
      case "total":
        return Verdict.make("Fallback", { weighs: true, billed: "maybe" })
      case "queue":
        return Verdict.make("Fallback")
    }
  }
}

const wordsOfTimedOut = (error: TimedOut): string => {
  return `${phaseWords[error.phase]} took longer than ${spoken(error.limit)}.`
}

/**
 * The next step would spend more than allowed, in the unit named.
 *
 * @since 0.1.0
 * @category errors
 */
export class SpendLimitExceeded extends scrubbed(
  Schema.TaggedError<SpendLimitExceeded>()("SpendLimitExceeded", {
    unit: Schema.Literal("tokens", "calls", "steps", "cost"),
    limit: Amount,
    spent: Amount
  })
) {
  override get message(): string {
    return told(this, wordsOfSpendLimitExceeded(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

const wordsOfSpendLimitExceeded = (error: SpendLimitExceeded): string => {
  return `The limit of ${error.limit} ${error.unit} is reached (${error.spent} spent). Raise it, or ask for less.`
}

/**
 * One attempt that failed: its number (from 1), when it failed, what with, and what was decided.
 *
 * @since 0.1.0
 * @category models
 */
export const FailedAttempt = Schema.Struct({
  attempt: Schema.Int.pipe(Schema.positive()),
  /** Time from the start of the first attempt to this failure. */
  elapsed: Wait,
  /** The `_tag` of the error, or the name of its kind. */
  error: Schema.String,
  message: Schema.String,
  decision: Schema.Literal("retry", "stop"),
  /** The wait that was chosen, when it was a retry. */
  delay: Schema.optional(Wait),
  /** Why it stopped, when it did. */
  reason: Schema.optional(Schema.String)
})

/**
 * @since 0.1.0
 * @category models
 */
export type FailedAttempt = typeof FailedAttempt.Type

/** Model errors keep their class over the wire; anything else travels as plain data. */
const LastError: Schema.Schema<unknown, unknown> = Schema.Union(
  ModelError,
  TimedOut,
  CircuitOpen,
  BulkheadFull,
  RateLimitExceeded,
  Throttled,
  SpendLimitExceeded,
  Foreign
)

/**
 * All attempts that the policy allows failed. Only `Retry.applyOrExhausted` makes it; `lastError` is the error of the
 * last attempt and `log` tells every attempt.
 *
 * @since 0.1.0
 * @category errors
 */
export class RetriesExhausted<E = unknown> extends scrubbed(
  Schema.TaggedError<RetriesExhausted>()("RetriesExhausted", {
    attempts: Schema.Int.pipe(Schema.positive()),
    elapsed: Wait,
    lastError: LastError,
    log: Schema.Array(FailedAttempt)
  }),
  ["lastError"]
) {
  declare readonly lastError: E
  override get message(): string {
    return visible(exhausted(this))
  }
  /** Without the last error itself, which may be anything. */
  override toJSON(): unknown {
    return shown(Schema.encodeSync(RetriesExhausted)(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    const last = Verdict.of(this.lastError)
    return last.action === "Retry" ? { ...last, action: "Fallback" } : last
  }
}

/**
 * One step of a plan that did not answer.
 *
 * @since 0.1.0
 * @category models
 */
export const FailedStep = Schema.Struct({ step: Schema.String, error: LastError })

/**
 * @since 0.1.0
 * @category models
 */
export type FailedStep = typeof FailedStep.Type

/**
 * No step of a fallback plan answered. Only the ways of running a plan that end in `OrExhausted` make it. `steps` holds
 * the errors in the order they were tried, `skipped` the names of the steps that are not for these errors, and `reason`
 * says why the plan went no further.
 *
 * @since 0.1.0
 * @category errors
 */
export class PlanExhausted<E = unknown> extends scrubbed(
  Schema.TaggedError<PlanExhausted>()("PlanExhausted", {
    name: Schema.String.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => "plan")),
    steps: Schema.Array(FailedStep),
    skipped: Schema.Array(Schema.String).pipe(
      Schema.propertySignature,
      Schema.withConstructorDefault((): ReadonlyArray<string> => [])
    ),
    reason: Schema.optional(Schema.String)
  }),
  ["error"]
) {
  declare readonly steps: ReadonlyArray<{ readonly step: string; readonly error: E }>
  override get message(): string {
    const tried = this.steps.map(({ error, step }) => `${step} (${describeCause(error).message})`)
    return visible(sentence(
      `No step of the plan succeeded${this.reason === undefined ? "" : `: ${this.reason}`}.`,
      `Tried: ${tried.join(", ")}.`,
      this.skipped.length === 0 ? undefined : `Not for these errors: ${this.skipped.join(", ")}.`
    ))
  }
  /** Without the errors themselves, which may be anything. */
  override toJSON(): unknown {
    return shown(Schema.encodeSync(PlanExhausted)(this))
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

/**
 * What had come of a reply when its stream broke: text, thinking, the tool calls that were whole, and the usage where the
 * provider had told it. It is whole up to the policy's `stream.maxKept`; `omittedCharacters` is there where more came, and
 * then text, thinking and calls are what came first, without a gap.
 *
 * @since 0.1.0
 * @category models
 */
export const Received = Schema.Struct({
  text: Schema.String,
  reasoning: Schema.String,
  toolCalls: Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String, arguments: Schema.String })),
  usage: Schema.optional(Schema.Struct({ inputTokens: Count, outputTokens: Count, totalTokens: Count })),
  /** How many characters of text, thinking and whole calls came after that and were not kept. */
  omittedCharacters: Schema.optional(Count)
})

/**
 * @since 0.1.0
 * @category models
 */
export type Received = typeof Received.Type

/**
 * A stream broke after its first content had reached the consumer, and its policy does not begin it anew, or may not any
 * more. `error` is what broke it, `received` all that had come of the last attempt, `attempts` how many there were.
 *
 * @since 0.1.0
 * @category errors
 */
export class StreamBroken<E = unknown> extends scrubbed(
  Schema.TaggedError<StreamBroken>()("StreamBroken", {
    name: Schema.String,
    attempts: Schema.Int.pipe(Schema.positive()),
    error: LastError,
    received: Received
  }),
  ["error", "received"]
) {
  declare readonly error: E
  override get message(): string {
    const { omittedCharacters, text, toolCalls } = this.received
    return told(
      this,
      sentence(
        `The stream of ${
          JSON.stringify(this.name)
        } broke after ${text.length} characters and ${toolCalls.length} whole tool ` +
          `call${toolCalls.length === 1 ? "" : "s"}, in attempt ${this.attempts}: ${describeCause(this.error).message}`,
        omittedCharacters === undefined
          ? undefined
          : `A further ${omittedCharacters} characters came and were not kept; to keep more, raise the policy's stream.maxKept.`,
        "What came is in `received`; to begin such a stream anew, set the policy's stream.onBreak to \"restart\"."
      )
    )
  }
  /** Without the error itself, which may be anything. */
  override toJSON(): unknown {
    return shown(Schema.encodeSync(StreamBroken)(this))
  }
  /** The consumer has seen a part of it: who repeats the call has to know. The tokens that came are paid for. */
  [Verdict.symbol](): Verdict.Verdict {
    return { ...Verdict.of(this.error), action: "Fail", billed: "yes" }
  }
}

/**
 * Every refusal of a policy, as a schema.
 *
 * @since 0.1.0
 * @category schemas
 */
export const PolicyError = Schema.Union(
  CircuitOpen,
  BulkheadFull,
  RateLimitExceeded,
  Throttled,
  TimedOut,
  SpendLimitExceeded,
  RetriesExhausted,
  PlanExhausted,
  StreamBroken
)

/**
 * Every refusal of a policy.
 *
 * @since 0.1.0
 * @category errors
 */
export type PolicyError = typeof PolicyError.Type

/**
 * Whether a value is a refusal of a policy.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPolicyError: (value: unknown) => value is PolicyError = Schema.is(PolicyError)

/**
 * A refusal as policies make it when many calls are refused, in much less than a microsecond. It equals one made with
 * `new` in all but two things: it has no stack trace, and nothing is checked, filled in or redacted. So give every
 * field, in the order in which the class has them, and texts that cannot hold a credential.
 *
 * @since 0.1.0
 * @category low level
 */
export const refusal = <Fields extends Schema.Struct.Fields, Refusal extends Error>(
  self: { readonly _tag: string; readonly fields: Fields; readonly prototype: Refusal },
  fields: Omit<Schema.Struct.Type<Fields>, "_tag">
): Refusal => Object.assign(Object.create(self.prototype), fields, { _tag: self._tag })
