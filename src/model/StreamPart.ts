/**
 * What a model sends while it answers, piece by piece, in one form for every provider. Plain data: it can be logged,
 * queued or sent on to a browser.
 *
 * A stream is `Start`, then content (`TextDelta`, `ReasoningDelta`, and for each tool call `ToolCallStart`,
 * `ToolArgumentsDelta`s and the whole `ToolCall`), then `Finish`. Nothing but `Finish` says that the reply is whole: a stream
 * that ends without it was cut. After a `Reset` everything since `Start` is void and the reply begins anew.
 *
 * @example
 * import * as StreamPart from "effect-llm-resilience/model/StreamPart"
 * import * as Usage from "effect-llm-resilience/model/Usage"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const parts = Stream.make(
 *   StreamPart.start({ model: "gpt-4o-mini" }),
 *   StreamPart.textDelta("Par"),
 *   StreamPart.textDelta("is."),
 *   StreamPart.finish({ reason: "stop", usage: Usage.zero })
 * )
 *
 * Effect.runPromise(StreamPart.collect(parts)).then((response) => console.log(response.text)) // Paris.
 *
 * @since 0.1.0
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as ModelError from "../error/ModelError.ts"
import { definedFields } from "../internal/record.ts"
import * as Prompt from "./Prompt.ts"
import { RateLimitInfo } from "./RateLimitInfo.ts"
import * as Response from "./Response.ts"
import { Dialect } from "./shared/dialectNames.ts"
import { Collected, type Who } from "./streamPart/collected.ts"
import { withMetadata, written } from "./streamPart/growing.ts"
import { Printer } from "./streamPart/printer.ts"
import { Usage } from "./Usage.ts"

/**
 * The reply begins. Known before the first word: what the headers or the first event tell.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Start = Schema.TaggedStruct("Start", {
  /** The provider's id of the reply. */
  id: Schema.optional(Schema.String),
  /** The model that answers, as the provider names it. */
  model: Schema.optional(Schema.String),
  /** The id to quote to the provider's support. */
  requestId: Schema.optional(Schema.String),
  /** What the reply's headers said of the caller's limits. */
  rateLimit: Schema.optional(RateLimitInfo),
  /** In which dialects of JSON Schema the provider was asked; absent means `"plain"` for both. */
  dialects: Schema.optional(Response.Dialects)
}).annotations({ identifier: "Start" })

/**
 * The reply begins.
 *
 * @since 0.1.0
 * @category models
 */
export interface Start extends Schema.Schema.Type<typeof Start> {}

/**
 * More text of the answer; empty only where there is `providerMetadata`, and then a part of its own (see `Prompt.TextPart`).
 *
 * @since 0.1.0
 * @category schemas
 */
export const TextDelta = Schema.TaggedStruct("TextDelta", {
  text: Schema.String,
  providerMetadata: Schema.optional(Schema.String)
}).annotations({ identifier: "TextDelta" })

/**
 * More text of the answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextDelta extends Schema.Schema.Type<typeof TextDelta> {}

/**
 * More of the model's thinking; empty only where there is `providerMetadata`, which seals the thought so far (see
 * `Prompt.ReasoningPart`): the next delta begins another one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ReasoningDelta = Schema.TaggedStruct("ReasoningDelta", {
  text: Schema.String,
  providerMetadata: Schema.optional(Schema.String)
}).annotations({ identifier: "ReasoningDelta" })

/**
 * More of the model's thinking.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReasoningDelta extends Schema.Schema.Type<typeof ReasoningDelta> {}

/**
 * A tool call begins. `index` tells parallel calls apart: it counts the calls of the reply from 0.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolCallStart = Schema.TaggedStruct("ToolCallStart", {
  index: Schema.NonNegativeInt,
  id: Schema.String,
  name: Schema.String
}).annotations({ identifier: "ToolCallStart" })

/**
 * A tool call begins.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolCallStart extends Schema.Schema.Type<typeof ToolCallStart> {}

/**
 * More of a call's arguments, as raw text: to show progress, never to run. It is as the model writes it: names of properties
 * that a wire does not take are those of the wire here, and the tool's own only in the `ToolCall`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolArgumentsDelta = Schema.TaggedStruct("ToolArgumentsDelta", {
  index: Schema.NonNegativeInt,
  delta: Schema.String
}).annotations({ identifier: "ToolArgumentsDelta" })

/**
 * More of a call's arguments, as raw text.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolArgumentsDelta extends Schema.Schema.Type<typeof ToolArgumentsDelta> {}

/**
 * A tool call as a whole, its arguments as raw JSON text. Whether it may be run depends on the reply's `Finish`: with the
 * reason `"length"` the arguments may be cut. So collect the reply and use `ToolCall.decode`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolCall = Schema.TaggedStruct("ToolCall", {
  index: Schema.NonNegativeInt,
  id: Schema.String,
  name: Schema.String,
  arguments: Schema.String,
  /** What the provider alone can read (see `Prompt.ToolCallPart`). */
  providerMetadata: Schema.optional(Schema.String),
  /** The dialect of this call, where it is another than `Start` tells (see `Prompt.ToolCallPart`). */
  dialect: Schema.optional(Dialect)
}).annotations({ identifier: "StreamToolCall" })

/**
 * A tool call as a whole, its arguments as raw JSON text.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolCall extends Schema.Schema.Type<typeof ToolCall> {}

/**
 * The reply begins anew: forget everything since `Start`. `attempt` is the number of the attempt that follows, from 2.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Reset = Schema.TaggedStruct("Reset", {
  attempt: Schema.NonNegativeInt,
  reason: Schema.String,
  /** How much of the reply is void, where the sender knows. */
  discarded: Schema.optional(Schema.Struct({ characters: Schema.NonNegativeInt, toolCalls: Schema.NonNegativeInt }))
}).annotations({ identifier: "Reset" })

/**
 * The reply begins anew: forget everything since `Start`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reset extends Schema.Schema.Type<typeof Reset> {}

/**
 * Another request continues the reply from here; what came before stays valid.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Seam = Schema.TaggedStruct("Seam", {}).annotations({ identifier: "Seam" })

/**
 * Another request continues the reply from here.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seam extends Schema.Schema.Type<typeof Seam> {}

/**
 * The reply is over: why, in our words and in the provider's own, and what it cost.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Finish = Schema.TaggedStruct("Finish", {
  reason: Response.FinishReason,
  rawReason: Schema.optional(Schema.String),
  /** What the attempt that ended here cost. */
  usage: Usage,
  /** What all attempts of the stream cost together, as far as the provider told; absent where there was one. */
  usageOfAll: Schema.optional(Usage)
}).annotations({ identifier: "Finish" })

/**
 * The reply is over.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finish extends Schema.Schema.Type<typeof Finish> {}

/**
 * One piece of a reply.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StreamPart = Schema.Union(
  Start,
  TextDelta,
  ReasoningDelta,
  ToolCallStart,
  ToolArgumentsDelta,
  ToolCall,
  // What the provider did by itself, as a whole.
  Prompt.ProviderPart,
  Reset,
  Seam,
  Finish
)

/**
 * One piece of a reply.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamPart = typeof StreamPart.Type

/**
 * A `Start`; absent fields are left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = ({ dialects, id, model, rateLimit, requestId }: Omit<Start, "_tag"> = {}): Start => ({
  _tag: "Start",
  ...definedFields({ id, model, requestId, rateLimit, dialects })
})

/**
 * A `TextDelta`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const textDelta = (text: string, providerMetadata?: string): TextDelta => ({
  _tag: "TextDelta",
  text,
  ...withMetadata(providerMetadata)
})

/**
 * A `ReasoningDelta`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reasoningDelta = (text: string, providerMetadata?: string): ReasoningDelta => ({
  _tag: "ReasoningDelta",
  text,
  ...withMetadata(providerMetadata)
})

/**
 * A `ToolCallStart`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolCallStart = (index: number, id: string, name: string): ToolCallStart => ({
  _tag: "ToolCallStart",
  index,
  id,
  name
})

/**
 * A `ToolArgumentsDelta`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolArgumentsDelta = (index: number, delta: string): ToolArgumentsDelta => ({
  _tag: "ToolArgumentsDelta",
  index,
  delta
})

/**
 * A `ToolCall`: `json` is the raw text of the arguments.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolCall = (
  index: number,
  id: string,
  name: string,
  json: string,
  providerMetadata?: string
): ToolCall => ({
  _tag: "ToolCall",
  index,
  id,
  name,
  arguments: json,
  ...withMetadata(providerMetadata)
})

/**
 * A `Reset`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reset = (attempt: number, reason: string, discarded?: Reset["discarded"]): Reset =>
  discarded === undefined ? { _tag: "Reset", attempt, reason } : { _tag: "Reset", attempt, reason, discarded }

/**
 * The `Seam`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const seam: Seam = { _tag: "Seam" }

/**
 * A `Finish`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const finish = ({ rawReason, reason, usage, usageOfAll }: Omit<Finish, "_tag">): Finish => ({
  _tag: "Finish",
  ...definedFields({ reason, rawReason, usage, usageOfAll })
})

/**
 * Whether the part shows something of the reply to the consumer, so that a silent retry is no longer possible.
 *
 * @since 0.1.0
 * @category guards
 */
export const isContent = (part: StreamPart): boolean => part._tag !== "Start"

const isEmpty = (part: { readonly text: string; readonly providerMetadata?: string | undefined }): boolean =>
  part.text === "" && part.providerMetadata === undefined

/**
 * A whole reply as the parts of a stream: each text, each thought and each call in one piece.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromResponse = (response: Response.Response): ReadonlyArray<StreamPart> => {
  let index = 0
  return [
    start(response),
    ...response.parts.flatMap((part): ReadonlyArray<StreamPart> => {
      switch (part._tag) {
        case "Text":
          return isEmpty(part) ? [] : [textDelta(part.text, part.providerMetadata)]
        case "Reasoning":
          return isEmpty(part) ? [] : [reasoningDelta(part.text, part.providerMetadata)]
        case "ToolCall": {
          const at = index++
          return [
            toolCallStart(at, part.id, part.name),
            ...(part.arguments === "" ? [] : [toolArgumentsDelta(at, part.arguments)]),
            { ...toolCall(at, part.id, part.name, part.arguments, part.providerMetadata), ...written(part.dialect) }
          ]
        }
        case "ProviderPart":
          return [part]
      }
    }),
    finish({
      reason: response.finishReason,
      rawReason: response.rawFinishReason,
      usage: response.usage,
      usageOfAll: response.usageOfAll
    })
  ]
}

/**
 * The whole reply of a stream: runs it to its end and joins the parts. Neighbouring deltas of one kind become one part
 * (up to the one that seals it with `providerMetadata`), a call stands where it began, and a `Reset` forgets what came since `Start`.
 *
 * Fails as the stream fails, and with `Truncated` (holding the text that came) when it ends without `Finish`. `who` names
 * provider and model for that error, and the model of a reply that does not name it.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const collect = <E, R>(
  stream: Stream.Stream<StreamPart, E, R>,
  who: Who = {}
): Effect.Effect<Response.Response, E | ModelError.Truncated, R> =>
  Effect.suspend(() => {
    const collected = new Collected()
    return stream.pipe(
      Stream.runForEachChunk((chunk) => Effect.sync(() => Chunk.forEach(chunk, (part) => collected.add(part)))),
      Effect.flatMap(() => {
        const response = collected.response(who.model)
        return response === undefined ? Effect.fail(collected.truncated(who)) : Effect.succeed(response)
      })
    )
  })

/**
 * How the text of a stream is printed; everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextOptions {
  /** A terminal can erase what a `Reset` voids; elsewhere a line says that it is void. Default: `"plain"`. */
  readonly output?: "terminal" | "plain" | undefined
  /** The width of the terminal. Default: 80. */
  readonly columns?: number | undefined
  /** The height of the terminal: what has left it at its top cannot be erased, and is marked. Default: 24. */
  readonly rows?: number | undefined
  /** The column in which the text begins, behind what stands there already. Default: 0. */
  readonly startColumn?: number | undefined
  /** The line that says that what is above it is void. Default: `"[The connection broke. The answer begins anew.]"`. */
  readonly marker?: string | undefined
}

/**
 * The text of a stream for somebody who reads along: its text deltas, and what takes them back after a `Reset`. Control
 * characters in the text are written out, `\u001b`, so that a model cannot steer the terminal. It keeps where the cursor
 * stands and nothing of the text.
 *
 * @example
 * import * as StreamPart from "effect-llm-resilience/model/StreamPart"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const parts = Stream.make(
 *   StreamPart.textDelta("Par"),
 *   StreamPart.reset(2, "the connection broke"),
 *   StreamPart.textDelta("Paris.\n")
 * )
 *
 * const { columns, isTTY, rows } = process.stdout
 * const text = StreamPart.toText(parts, { output: isTTY ? "terminal" : "plain", columns, rows })
 *
 * Effect.runPromise(Stream.runForEach(text, (piece) => Effect.sync(() => process.stdout.write(piece))))
 *
 * @since 0.1.0
 * @category interpreters
 */
export const toText = <E, R>(
  stream: Stream.Stream<StreamPart, E, R>,
  options: TextOptions = {}
): Stream.Stream<string, E, R> =>
  Stream.suspend(() => {
    const printer = new Printer(options)
    const print = (part: StreamPart): string =>
      part._tag === "TextDelta" ? printer.print(part.text) : part._tag === "Reset" ? printer.reset() : ""
    return stream.pipe(
      Stream.mapChunks(Chunk.map(print)),
      Stream.concat(Stream.sync(() => printer.end())),
      Stream.filter((text) => text !== "")
    )
  })
