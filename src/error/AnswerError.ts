/**
 * What can be wrong with an answer that was to be data (structured output). `InvalidAnswer` is one reply that cannot be
 * taken, `ObjectRejected` a question that no reply answered. As with tool calls, `explain` is what to tell the model, and
 * `fingerprint` is how to notice that telling does not help.
 *
 * @example
 * import * as AnswerError from "effect-llm-resilience/error/AnswerError"
 *
 * const error = new AnswerError.InvalidAnswer({
 *   output: "city",
 *   kind: "NoAnswer",
 *   source: "text",
 *   text: "",
 *   finishReason: "stop"
 * })
 *
 * console.log(AnswerError.explain(error))
 * // The reply holds no answer. Send one JSON object of the schema "city" and nothing else.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Text from "./answerError/text.ts"
import { InvalidToolCall } from "./ModelError.ts"
import { Count, scrubbed } from "./shared/fields.ts"
import { quote } from "./shared/toolCallText.ts"
import * as ToolCallError from "./ToolCallError.ts"
import * as Verdict from "./Verdict.ts"

/**
 * What can be wrong with an answer. `NoAnswer`: a reply without words. `SeveralAnswers`: more than one call. `Withheld`:
 * the model or the provider refused to answer (finish reason `"content-filter"`). The others are those of `ToolCallError`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Kind = Schema.Literal(
  "NoAnswer",
  "SeveralAnswers",
  "Withheld",
  "UnknownTool",
  "MalformedArguments",
  "HazardousArguments",
  "TruncatedArguments",
  "InvalidArguments",
  "DuplicateCallId"
)

/**
 * What can be wrong with an answer.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = typeof Kind.Type

/** The model spent tokens, the dependency is healthy, and telling the model is the remedy. */
const reask = Verdict.make("Reask", { weighs: false, billed: "yes" })

/** As for any content that a provider withholds: another model may answer. */
const fallBack = Verdict.make("Fallback", { weighs: false, billed: "yes" })

/**
 * A reply that holds no answer which may be taken.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAnswer extends scrubbed(
  Schema.TaggedError<InvalidAnswer>()("InvalidAnswer", {
    /** The name of the structured output. */
    output: Schema.String,
    kind: Kind,
    /** Where the model wrote it: as text, or as the arguments of a call. */
    source: Schema.Literal("text", "call"),
    /** What the model wrote, without credentials, at most 2000 characters. */
    text: Schema.String,
    finishReason: Schema.Literal("stop", "length", "tool-calls", "content-filter", "truncated", "unknown"),
    /** What the gates of `ToolCall` found; absent for `NoAnswer`, `SeveralAnswers` and `Withheld`. */
    fault: Schema.optional(ToolCallError.ToolCallError)
  })
) {
  override get message(): string {
    const remedy = this.kind === "TruncatedArguments" && this.finishReason === "length"
      ? " Or raise maxOutputTokens."
      : ""
    return `${quote(this.output)}: ${explain(this)}${remedy}`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return this.kind === "Withheld" ? fallBack : reask
  }
}

/**
 * Why a reply was refused: by our gates, or by the provider's.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Refusal = Schema.Union(InvalidAnswer, InvalidToolCall)

/**
 * Why a reply was refused: by our gates, or by the provider's.
 *
 * @since 0.1.0
 * @category models
 */
export type Refusal = typeof Refusal.Type

const whyStopped = {
  Repeated: "the model was told what was wrong and repeated it",
  Bound: "no further re-ask is allowed",
  Final: "asking again is no remedy for the last one"
} as const

/**
 * No reply held an answer that may be taken. `attempts` has each reply, its text (without credentials, at most 2000
 * characters) and what was wrong with it; `usage` is what all of them cost. `stopped` says why the model was not asked
 * again: the same failure came twice (`Repeated`), re-asks or time were used up (`Bound`), or this kind of failure is not
 * asked about (`Final`). Encodes to JSON. Its verdict is that of the last refusal.
 *
 * @since 0.1.0
 * @category errors
 */
export class ObjectRejected extends scrubbed(
  Schema.TaggedError<ObjectRejected>()("ObjectRejected", {
    /** The name of the structured output. */
    output: Schema.String,
    attempts: Schema.NonEmptyArray(Schema.Struct({ text: Schema.String, error: Refusal })),
    stopped: Schema.Literal("Repeated", "Bound", "Final"),
    usage: Schema.Struct({
      inputTokens: Count,
      outputTokens: Count,
      totalTokens: Count,
      reasoningTokens: Schema.optional(Count),
      cachedInputTokens: Schema.optional(Count)
    })
  })
) {
  /** Why the last reply was refused. */
  get error(): Refusal {
    return (this.attempts.at(-1) ?? this.attempts[0]).error
  }
  override get message(): string {
    const count = this.attempts.length
    return `No answer for ${quote(this.output)} in ${count} ${count === 1 ? "reply" : "replies"} and ` +
      `${this.usage.totalTokens} tokens; ${whyStopped[this.stopped]}. The last one: ${this.error.message}`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.of(this.error)
  }
}

/**
 * Tells a model what is wrong with its answer and what to write instead: plain text of bounded length, in which what is
 * quoted of the answer stands in quotation marks. Paths lead through what the model wrote, so those of an answer that
 * travels in an object start with `value`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const explain = ({ fault, kind, output }: InvalidAnswer): string =>
  fault === undefined
    ? Text.ofReply(kind === "SeveralAnswers" || kind === "Withheld" ? kind : "NoAnswer", output)
    : Text.ofFault(fault, output)

/**
 * The same text for the same failure. A model that was told and repeats a fingerprint will not learn from being told once
 * more.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fingerprint = ({ fault, kind }: InvalidAnswer): string =>
  fault === undefined ? JSON.stringify([kind]) : ToolCallError.fingerprint(fault)
