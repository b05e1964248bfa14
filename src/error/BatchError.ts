/**
 * What an item of a batch can end with beside the errors of its own call.
 *
 * @example
 * import * as BatchError from "effect-llm-resilience/error/BatchError"
 *
 * const error = new BatchError.InvalidLine({ line: 3, offset: 120, reason: "syntax", detail: "a comma is missing" })
 *
 * console.log(error.message)
 * // Line 3 (byte 120) is no JSON: a comma is missing
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Count, scrubbed } from "./shared/fields.ts"
import * as Verdict from "./Verdict.ts"

const stopWords = {
  failureRate: "too large a share of the items had failed",
  spend: "the batch had spent what it may",
  time: "the time of the batch was over",
  circuitOpen: "the circuit had stayed open for too long",
  interrupted: "the batch was interrupted"
} as const

/**
 * The item was not called, or its call was interrupted, because the batch had stopped: for a stop condition
 * (`"failureRate"`, `"spend"`, `"time"`, `"circuitOpen"`) or because somebody stopped it (`"interrupted"`). Run it again.
 *
 * @since 0.1.0
 * @category errors
 */
export class Skipped extends scrubbed(
  Schema.TaggedError<Skipped>()("Skipped", {
    reason: Schema.Literal("failureRate", "spend", "time", "circuitOpen", "interrupted")
  })
) {
  override get message(): string {
    return `The item was left out: ${stopWords[this.reason]}. Run it again.`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Retry", { billed: this.reason === "interrupted" ? "maybe" : "no" })
  }
}

/**
 * The call of an item died: it threw, or ran into a defect, which its type does not tell. The other items go on.
 *
 * @since 0.1.0
 * @category errors
 */
export class ItemDied extends scrubbed(
  Schema.TaggedError<ItemDied>()("ItemDied", {
    /** The place of the item in the input, from 0. */
    index: Count,
    /** What it died of, in words. */
    reason: Schema.String
  })
) {
  override get message(): string {
    return `The call of item ${this.index} died: ${this.reason}. That is a bug in the call; mend it and run the item again.`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail", { billed: "maybe" })
  }
}

const lineWords = {
  syntax: "is no JSON",
  encoding: "is no UTF-8",
  size: "is too long",
  schema: "is not what is expected"
} as const

/**
 * A line of the input that cannot be an item. `line` counts from 1, blank lines included; `offset` is the byte at which
 * the line begins.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidLine extends scrubbed(
  Schema.TaggedError<InvalidLine>()("InvalidLine", {
    line: Schema.Int.pipe(Schema.positive()),
    offset: Count,
    /** No JSON, no UTF-8, longer than allowed, or not of the schema. */
    reason: Schema.Literal("syntax", "encoding", "size", "schema"),
    /** What is wrong, in words. */
    detail: Schema.String
  })
) {
  override get message(): string {
    return `Line ${this.line} (byte ${this.offset}) ${lineWords[this.reason]}: ${this.detail}`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

const unansweredWords = {
  expired: "its time was over before the service came to it",
  cancelled: "the job was cancelled before the service came to it",
  missing: "the job has ended without a result for it",
  running: "the job still runs, and was waited for long enough"
} as const

/**
 * A vendor's batch service ended a job without an answer to this request. Nothing was paid for what expired or was
 * cancelled; of what is missing nobody knows, and what is still running may be paid for.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unanswered extends scrubbed(
  Schema.TaggedError<Unanswered>()("Unanswered", {
    provider: Schema.String,
    model: Schema.optional(Schema.String),
    /** The service's id of the job. */
    job: Schema.String,
    reason: Schema.Literal("expired", "cancelled", "missing", "running")
  })
) {
  override get message(): string {
    return `${this.provider} gave no answer in the job ${this.job}: ${
      unansweredWords[this.reason]
    }. Run the item again, or give a live model.`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Retry", { billed: this.reason === "missing" || this.reason === "running" ? "maybe" : "no" })
  }
}

/**
 * A vendor's batch service refused a whole job after it had taken it. Nothing of it was run.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobFailed extends scrubbed(
  Schema.TaggedError<JobFailed>()("JobFailed", {
    provider: Schema.String,
    model: Schema.optional(Schema.String),
    job: Schema.String,
    /** What the service says is wrong; `line` counts from 1. */
    faults: Schema.Array(Schema.Struct({
      code: Schema.optional(Schema.String),
      line: Schema.optional(Count),
      message: Schema.optional(Schema.String)
    })),
    /** Whether the same job may be taken later: the account's queue was full, or the service lost its input. */
    retryable: Schema.Boolean
  })
) {
  override get message(): string {
    const told = this.faults.slice(0, 3).map(({ code, line, message }) =>
      [line === undefined ? "" : `line ${line}`, code ?? "", message ?? ""].filter((word) => word !== "").join(": ")
    ).join("; ")
    return `${this.provider} refused the job ${this.job}${told === "" ? "" : ` (${told})`}. ${
      this.retryable ? "Run the batch again later." : "Mend the requests and run the batch again."
    }`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make(this.retryable ? "Retry" : "Fail")
  }
}

/**
 * It cannot be told whether a job was submitted: several jobs of the account could be it. It is not submitted again, as
 * that could pay for it twice.
 *
 * @since 0.1.0
 * @category errors
 */
export class JobUncertain extends scrubbed(
  Schema.TaggedError<JobUncertain>()("JobUncertain", {
    provider: Schema.String,
    model: Schema.optional(Schema.String),
    /** What the journal calls the job. */
    marker: Schema.String,
    /** The jobs that could be it. */
    candidates: Schema.Array(Schema.String)
  })
) {
  override get message(): string {
    return `It is not known which job of ${this.provider} is ${this.marker}: ${
      this.candidates.slice(0, 5).join(", ")
    } could be it. Look at them, and write the right id into the journal or cancel them.`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail", { billed: "maybe" })
  }
}

/**
 * Every error that a batch adds to those of the calls.
 *
 * @since 0.1.0
 * @category errors
 */
export type BatchError = Skipped | ItemDied | InvalidLine | Unanswered | JobFailed | JobUncertain
