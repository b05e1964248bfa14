/**
 * What can be wrong with a whole reply that the provider calls a success: it holds nothing, or a tool call that the model
 * wrote as text. As with tool calls, `explain` is what to tell the model, and `fingerprint` is how to notice that telling
 * does not help.
 *
 * @example
 * import * as ReplyError from "effect-llm-resilience/error/ReplyError"
 *
 * const error = new ReplyError.EmptyReply({ missing: "calls", text: "Let me search.", finishReason: "tool-calls" })
 *
 * console.log(ReplyError.explain(error))
 * // Your last reply said that it calls a tool, but no call arrived. Send the call again, or answer without it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { scrubbed } from "./shared/fields.ts"
import { quote } from "./shared/toolCallText.ts"
import * as Verdict from "./Verdict.ts"

/** The model spent tokens, the dependency is healthy, and telling the model is the remedy. */
const reask = Verdict.make("Reask", { weighs: false, billed: "yes" })

/**
 * A reply without what it is for. `missing` is `"everything"` for one without a word and without a call, and `"calls"` for
 * one whose finish reason says that it calls tools although it holds no call.
 *
 * @since 0.1.0
 * @category errors
 */
export class EmptyReply extends scrubbed(
  Schema.TaggedError<EmptyReply>()("EmptyReply", {
    missing: Schema.Literal("everything", "calls"),
    /** What the model wrote, without credentials, at most 2000 characters. */
    text: Schema.String,
    finishReason: Schema.String
  })
) {
  override get message(): string {
    return this.missing === "everything"
      ? "The reply is empty: it holds neither a word nor a tool call. Ask again; where a model may end without a word, " +
        "set emptyReplies to \"accept\"."
      : `The reply says that it calls a tool (finish reason ${
        quote(this.finishReason)
      }) and holds no call; the server may have lost it. Ask again.`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * A reply whose text is the call of a tool, in the markup or the syntax that some models are trained on. It is never run:
 * what stands in a text may be quoted, cut or meant as an example.
 *
 * @since 0.1.0
 * @category errors
 */
export class WrittenAsText extends scrubbed(
  Schema.TaggedError<WrittenAsText>()("WrittenAsText", {
    /** The tool that the text names. */
    tool: Schema.String,
    /** What gave it away, for example `"<tool_call>"`. */
    syntax: Schema.String,
    /** What the model wrote, without credentials, at most 2000 characters. */
    text: Schema.String
  })
) {
  override get message(): string {
    return `The model wrote a call of ${quote(this.tool)} as text (${
      quote(this.syntax)
    }) instead of calling it; nothing was run. Where such a text is an answer, set writtenCalls to "accept".`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * What can be wrong with a whole reply.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ReplyError = Schema.Union(EmptyReply, WrittenAsText)

/**
 * What can be wrong with a whole reply.
 *
 * @since 0.1.0
 * @category errors
 */
export type ReplyError = typeof ReplyError.Type

/**
 * Tells a model what is wrong with its reply and what to do instead, in plain text of bounded length.
 *
 * @since 0.1.0
 * @category conversions
 */
export const explain = (error: ReplyError): string => {
  if (error._tag === "WrittenAsText") {
    return `Your last reply held a call of ${quote(error.tool)} written as text; nothing was run. Call the tool by a ` +
      "real tool call, or answer in plain words without the markup of a call."
  }
  return error.missing === "everything"
    ? "Your last reply was empty. Answer, or call a tool."
    : "Your last reply said that it calls a tool, but no call arrived. Send the call again, or answer without it."
}

/**
 * The same text for the same failure. A model that was told and repeats a fingerprint will not learn from being told once
 * more.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fingerprint = (error: ReplyError): string =>
  JSON.stringify(
    error._tag === "EmptyReply" ? [error._tag, error.missing, error.text] : [error._tag, error.tool, error.text]
  )
