/**
 * What a model answered, as one value that no longer depends on the provider.
 *
 * @example
 * import * as Prompt from "effect-llm-resilience/model/Prompt"
 * import * as Response from "effect-llm-resilience/model/Response"
 * import * as Usage from "effect-llm-resilience/model/Usage"
 *
 * const response = new Response.Response({
 *   model: "gpt-4o-mini",
 *   parts: [Prompt.text("Paris.")],
 *   finishReason: "stop",
 *   usage: new Usage.Usage({ inputTokens: 9, outputTokens: 2, totalTokens: 11 })
 * })
 *
 * // The next turn of the conversation starts from the answer.
 * const next = Prompt.append("Capital of France?", Response.toMessage(response), Prompt.user("And of Peru?"))
 * console.log(response.text, next.messages.length) // Paris. 3
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { checkedOnce } from "../internal/checkedOnce.ts"
import * as Prompt from "./Prompt.ts"
import { RateLimitInfo } from "./RateLimitInfo.ts"
import { Dialect } from "./shared/dialectNames.ts"
import { Usage } from "./Usage.ts"

/**
 * Why the model stopped: `"stop"` (it was done), `"length"` (the token limit cut it off), `"tool-calls"` (it waits for
 * tools), `"content-filter"` (the provider withheld the answer or part of it), `"truncated"` (the stream broke and a policy
 * kept what had come), `"unknown"` (a reason this library does not know; see `rawFinishReason`). Only `"stop"` and `"tool-calls"` mean that the reply is whole.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FinishReason = Schema.Literal(
  "stop",
  "length",
  "tool-calls",
  "content-filter",
  "truncated",
  "unknown"
)

/**
 * Why the model stopped. Only `"stop"` and `"tool-calls"` mean that the reply is whole.
 *
 * @since 0.1.0
 * @category models
 */
export type FinishReason = typeof FinishReason.Type

/**
 * What a reply is made of, in the order the provider sent it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Part = Prompt.AssistantPart

/**
 * What a reply is made of, in the order the provider sent it.
 *
 * @since 0.1.0
 * @category models
 */
export type Part = Prompt.AssistantPart

/**
 * The dialects of JSON Schema in which a provider was asked (see `SchemaDialect`): for the arguments of tools, and for the
 * text of structured output. They decide how both are read.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Dialects = Schema.Struct({ tools: Dialect, output: Dialect }).annotations({ identifier: "Dialects" })

/**
 * The dialects of JSON Schema in which a provider was asked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dialects extends Schema.Schema.Type<typeof Dialects> {}

/**
 * One reply of a model. Encodes to JSON and back without loss.
 *
 * @since 0.1.0
 * @category models
 */
export class Response extends checkedOnce(
  Schema.Class<Response>("effect-llm-resilience/Response")({
    /** The provider's id of this reply. */
    id: Schema.optional(Schema.String),
    /** The model that answered, as the provider names it; it may be more exact than the one asked for. */
    model: Schema.String,
    /** Text, reasoning and tool calls. */
    parts: Schema.Array(Part),
    /** Why the model stopped. */
    finishReason: FinishReason,
    /** The provider's own word for it. */
    rawFinishReason: Schema.optional(Schema.String),
    /** What it cost; zeros where the provider does not tell. */
    usage: Usage,
    /** What all attempts of a stream cost together; absent where there was one (see `StreamPart.Finish`). */
    usageOfAll: Schema.optional(Usage),
    /** The id to quote to the provider's support. */
    requestId: Schema.optional(Schema.String),
    /** What the reply's headers said of the caller's limits. */
    rateLimit: Schema.optional(RateLimitInfo),
    /** In which dialects of JSON Schema the provider was asked; absent means `"plain"` for both. */
    dialects: Schema.optional(Dialects)
  })
) {
  /** The text of the answer, all text parts joined; reasoning is not part of it. */
  get text(): string {
    return this.parts.flatMap((part) => part._tag === "Text" ? [part.text] : []).join("")
  }

  /** The model's thinking, all reasoning parts joined; empty where the provider shows none. */
  get reasoning(): string {
    return this.parts.flatMap((part) => part._tag === "Reasoning" ? [part.text] : []).join("")
  }

  /** The tool calls, raw and in order, each with its dialect. Decode them with `ToolCall.decode`. */
  get toolCalls(): ReadonlyArray<Prompt.ToolCallPart> {
    return this.parts.flatMap((part) => part._tag === "ToolCall" ? [inDialect(part, this.dialects)] : [])
  }
}

/** A call that says itself how it is written: once it is part of a conversation its reply is gone. */
const inDialect = (call: Prompt.ToolCallPart, dialects: Dialects | undefined): Prompt.ToolCallPart =>
  dialects === undefined || dialects.tools === "plain" || call.dialect !== undefined
    ? call
    : { ...call, dialect: dialects.tools }

/**
 * The reply as a message, to go on with in the next turn. All parts are kept in their order, tool calls with their ids
 * and dialect, and the provider's own state (`providerMetadata`) with them; whether reasoning is sent back is for the provider to
 * decide.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toMessage = ({ dialects, parts }: Response): Prompt.AssistantMessage =>
  Prompt.assistant(parts.map((part) => part._tag === "ToolCall" ? inDialect(part, dialects) : part))
