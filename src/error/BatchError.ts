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
  interrupted: "the batch was interrupted"
} as const

/**
 * The item was not called, or its call was interrupted, because the batch had stopped: for a stop condition
 * (`"failureRate"`, `"spend"`, `"time"`) or because somebody stopped it (`"interrupted"`). Run it again.
 *
 * @since 0.1.0
 * @category errors
 */
export class Skipped extends scrubbed(
  Schema.TaggedError<Skipped>()("Skipped", {
    reason: Schema.Literal("failureRate", "spend", "time", "interrupted")
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

/**
 * Every error that a batch adds to those of the calls.
 *
 * @since 0.1.0
 * @category errors
 */
export type BatchError = Skipped | ItemDied | InvalidLine
