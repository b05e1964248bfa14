/**
 * What can be wrong with a tool call that a model wrote. Every one of these can be told to the model, which then usually
 * does better: `explain` is what to tell it, `fingerprint` is how to notice that telling does not help.
 *
 * The raw arguments in these errors are for reading: they are clipped and rid of credentials, so they are not a source
 * to run a tool from.
 *
 * @example
 * import * as ToolCallError from "effect-llm-resilience/error/ToolCallError"
 *
 * const error = new ToolCallError.UnknownTool({
 *   callId: "call_1",
 *   name: "get_wether",
 *   available: ["get_weather", "send_mail"],
 *   suggestions: ["get_weather"]
 * })
 *
 * // There is no tool named "get_wether". Did you mean "get_weather"? …
 * console.log(ToolCallError.explain(error))
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Count, scrubbed } from "./shared/fields.ts"
import * as Render from "./shared/toolCallText.ts"
import * as Verdict from "./Verdict.ts"

/** The model spent tokens on a bad call, the dependency is healthy, and telling the model is the remedy. */
const reask = Verdict.make("Reask", { weighs: false, billed: "yes" })

/** What every error about one call of a known tool has. */
const call = {
  /** The id the provider gave to the call. */
  callId: Schema.String,
  /** The tool's name, as the model wrote it. */
  tool: Schema.String,
  /** The arguments as the model wrote them: redacted, at most 2000 characters. */
  raw: Schema.String
}

/** Keys and indices from the root of the arguments. */
const Path = Schema.Array(Schema.Union(Schema.String, Schema.JsonNumber))

/**
 * Why a model stopped, as far as it matters here: only after `"stop"` and `"tool-calls"` are calls whole.
 */
const FinishReason = Schema.Literal("stop", "length", "tool-calls", "content-filter", "truncated", "unknown")

/**
 * The model called a tool that was not offered. `suggestions` are the offered names nearest to it, nearest first; none
 * is ever called in its stead.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownTool extends scrubbed(
  Schema.TaggedError<UnknownTool>()("UnknownTool", {
    callId: Schema.String,
    name: Schema.String,
    available: Schema.Array(Schema.String),
    suggestions: Schema.Array(Schema.String)
  })
) {
  override get message(): string {
    return Render.unknownTool(this)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * The arguments are not one JSON object. `Syntax`: a character that JSON does not allow there. `TrailingContent`: more
 * text behind a whole document. `Truncated`: the text ends inside a value. `Empty`: nothing, for a tool that needs
 * something. `NotAnObject`: JSON, but an array or a scalar. `TooLarge`, `TooDeep`: beyond the caps.
 *
 * `offset` counts UTF-16 units from 0, `line` and `column` count from 1; `excerpt` is the text round that place.
 *
 * @since 0.1.0
 * @category errors
 */
export class MalformedArguments extends scrubbed(
  Schema.TaggedError<MalformedArguments>()("MalformedArguments", {
    ...call,
    reason: Schema.Literal("Syntax", "TrailingContent", "TooDeep", "TooLarge", "Empty", "NotAnObject", "Truncated"),
    offset: Count,
    line: Count,
    column: Count,
    excerpt: Schema.String
  })
) {
  override get message(): string {
    return Render.malformedArguments(this)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * The arguments are JSON whose meaning is not what was written: a key twice, a key that reaches a prototype, a number
 * that a double cannot hold, half a character. `path` leads to the place.
 *
 * @since 0.1.0
 * @category errors
 */
export class HazardousArguments extends scrubbed(
  Schema.TaggedError<HazardousArguments>()("HazardousArguments", {
    ...call,
    hazard: Schema.Literal("DuplicateKey", "ProtoKey", "UnsafeNumber", "LoneSurrogate"),
    path: Path
  })
) {
  override get message(): string {
    return Render.hazardousArguments(this)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * The reply did not end by itself, so the call may be a part of what the model meant, even where its JSON is valid.
 *
 * @since 0.1.0
 * @category errors
 */
export class TruncatedArguments extends scrubbed(
  Schema.TaggedError<TruncatedArguments>()("TruncatedArguments", {
    ...call,
    finishReason: FinishReason
  })
) {
  override get message(): string {
    return `${Render.truncatedArguments(this)}${this.finishReason === "length" ? " Or raise maxOutputTokens." : ""}`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * Several calls of one reply (`calls` of them) have the same id, so their results could not be told apart. Each of them
 * that is good by itself is refused for this.
 *
 * @since 0.1.0
 * @category errors
 */
export class DuplicateCallId extends scrubbed(
  Schema.TaggedError<DuplicateCallId>()("DuplicateCallId", {
    ...call,
    calls: Count
  })
) {
  override get message(): string {
    return Render.duplicateCallId(this)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * One thing wrong at one place. `kind` is `Missing` for a required field that is not there, `Unexpected` for a parameter
 * the tool does not have, `Refinement` for a value of the right type that breaks a rule, `Forbidden` for a schema that
 * cannot be decided at once; the rest are wrong types and failed conversions.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Issue = Schema.Struct({
  path: Path,
  message: Schema.String,
  kind: Schema.Literal("Type", "Missing", "Unexpected", "Refinement", "Transformation", "Forbidden")
})

/**
 * One thing wrong at one place.
 *
 * @since 0.1.0
 * @category models
 */
export interface Issue extends Schema.Schema.Type<typeof Issue> {}

/**
 * The arguments are JSON but not what the tool takes. `issues` holds one entry for each place, at most 100; `omitted`
 * counts the rest.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidArguments extends scrubbed(
  Schema.TaggedError<InvalidArguments>()("InvalidArguments", {
    ...call,
    issues: Schema.Array(Issue),
    omitted: Count.pipe(Schema.propertySignature, Schema.withConstructorDefault(() => 0))
  })
) {
  override get message(): string {
    return Render.invalidArguments(this)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * Everything that can be wrong with one tool call, as a schema.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolCallError = Schema.Union(
  UnknownTool,
  MalformedArguments,
  HazardousArguments,
  TruncatedArguments,
  InvalidArguments,
  DuplicateCallId
)

/**
 * Everything that can be wrong with one tool call.
 *
 * @since 0.1.0
 * @category errors
 */
export type ToolCallError = typeof ToolCallError.Type

/**
 * Whether a value is one of the tool-call errors.
 *
 * @since 0.1.0
 * @category guards
 */
export const isToolCallError: (value: unknown) => value is ToolCallError = Schema.is(ToolCallError)

/** Token counts as the provider reported them. The model layer has the class; an error only carries the numbers. */
const Usage = Schema.Struct({
  inputTokens: Count,
  outputTokens: Count,
  totalTokens: Count,
  reasoningTokens: Schema.optional(Count),
  cachedInputTokens: Schema.optional(Count)
})

/**
 * A reply with at least one bad tool call. No call of it has been run, the good ones included: they are listed in
 * `accepted` with the JSON of their arguments (clipped and redacted like all texts here), to be told, not to be run.
 *
 * @since 0.1.0
 * @category errors
 */
export class ToolCallsRejected extends scrubbed(
  Schema.TaggedError<ToolCallsRejected>()("ToolCallsRejected", {
    /** The bad calls, in the order of the reply. */
    rejected: Schema.Array(Schema.Struct({
      id: Schema.String,
      name: Schema.String,
      raw: Schema.String,
      error: ToolCallError
    })),
    /** The good calls, in the order of the reply. */
    accepted: Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String, arguments: Schema.Unknown })),
    /** The text the model wrote beside its calls. */
    text: Schema.String,
    /** What the reply cost. */
    usage: Usage,
    finishReason: FinishReason
  })
) {
  override get message(): string {
    const total = this.rejected.length + this.accepted.length
    return [
      `${this.rejected.length} of ${total} tool ${total === 1 ? "call" : "calls"} cannot be run, so none was run.`,
      ...this.rejected.slice(0, Render.shownIssues).map(({ error }) => `- ${error.message}`),
      ...(this.rejected.length > Render.shownIssues ? [`… and ${this.rejected.length - Render.shownIssues} more.`] : [])
    ].join("\n")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return reask
  }
}

/**
 * Tells a model what is wrong with its call and what to write instead. Plain text of bounded length (at most 10 issues,
 * short quotes): it never repeats the whole arguments, and what it quotes of them stands in quotation marks as data.
 *
 * @since 0.1.0
 * @category conversions
 */
export const explain = (error: ToolCallError): string => {
  switch (error._tag) {
    case "UnknownTool":
      return Render.unknownTool(error)
    case "MalformedArguments":
      return Render.malformedArguments(error)
    case "HazardousArguments":
      return Render.hazardousArguments(error)
    case "TruncatedArguments":
      return Render.truncatedArguments(error)
    case "InvalidArguments":
      return Render.invalidArguments(error)
    case "DuplicateCallId":
      return Render.duplicateCallId(error)
  }
}

/**
 * The same text for the same failure, whatever the call's id. A model that was told and repeats a fingerprint will not
 * learn from being told once more. For invalid arguments the issues count and not the rest of the arguments; for the
 * others the (clipped) raw text counts too.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fingerprint = (error: ToolCallError | ToolCallsRejected): string => {
  switch (error._tag) {
    case "UnknownTool":
      return JSON.stringify([error._tag, error.name])
    case "MalformedArguments":
      return JSON.stringify([error._tag, error.tool, error.reason, error.offset, error.raw])
    case "HazardousArguments":
      return JSON.stringify([error._tag, error.tool, error.hazard, error.path, error.raw])
    case "TruncatedArguments":
      return JSON.stringify([error._tag, error.tool, error.finishReason, error.raw])
    case "InvalidArguments": {
      const issues = error.issues.map((issue) => JSON.stringify([issue.path, issue.kind, issue.message]))
      return JSON.stringify([error._tag, error.tool, issues.sort(), error.omitted])
    }
    case "DuplicateCallId":
      return JSON.stringify([error._tag, error.tool, error.calls])
    case "ToolCallsRejected":
      return JSON.stringify(error.rejected.map((rejection) => fingerprint(rejection.error)))
  }
}
