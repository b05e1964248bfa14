/**
 * From a tool call as the model wrote it to one that may be run. A call passes these gates in this order, and the first
 * that refuses it decides the error:
 *
 * 1. the reply ended by itself (`"stop"` or `"tool-calls"`), else `TruncatedArguments`, whatever the text looks like;
 * 2. size and nesting stay below the caps, else `MalformedArguments`;
 * 3. the text is exactly one JSON document, and an object, as it stands or after the repairs that its tool allows (see
 *    `Repair`; a text that ends in the middle is never mended), else `MalformedArguments` with the first place that could
 *    not be mended; without hazards, else `HazardousArguments`;
 * 4. the toolkit has a tool of exactly that name, else `UnknownTool`;
 * 5. the tool's schema takes the arguments, with nothing missing, nothing left over and nothing coerced, else
 *    `InvalidArguments` with all that is wrong (of more than 8192 values, with the first). A call of another `dialect` than
 *    `"plain"` is brought into the schema's own shape before; what is wrong is told at the places the model wrote;
 * 6. no other call of the reply has its id (`decode` alone can tell), else `DuplicateCallId`.
 *
 * So a call of an unknown tool with broken arguments is `MalformedArguments`. Only blank arguments, and `null` in their
 * place, need the tool first: they are `{}` for a tool that takes `{}` and `MalformedArguments` (`Empty`, `NotAnObject`)
 * for one that does not.
 *
 * @example
 * import * as Tool from "effect-llm-resilience/model/Tool"
 * import * as ToolCall from "effect-llm-resilience/model/ToolCall"
 * import * as Toolkit from "effect-llm-resilience/model/Toolkit"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const weather = Tool.make("get_weather", { parameters: Schema.Struct({ city: Schema.String }) })
 *
 * const program = Effect.gen(function*() {
 *   const toolkit = yield* Toolkit.make(weather)
 *   const call = { _tag: "ToolCall", id: "call_1", name: "get_weather", arguments: "{\"city\":\"Rome\"" } as const
 *   return yield* ToolCall.decodeOne(toolkit, call, "tool-calls")
 * })
 *
 * Effect.runPromise(Effect.flip(program)).then((error) => console.log(error._tag)) // MalformedArguments
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { distance } from "fastest-levenshtein"
import { WrittenAsText } from "../error/ReplyError.ts"
import * as ToolCallError from "../error/ToolCallError.ts"
import { describeCause } from "../internal/redact.ts"
import * as StrictJson from "../internal/strictJson.ts"
import type { ToolCallPart } from "./Prompt.ts"
import * as Repair from "./Repair.ts"
import type { FinishReason, Response } from "./Response.ts"
import * as SchemaDialect from "./SchemaDialect.ts"
import { takesNothing } from "./shared/parameterSchema.ts"
import * as Tool from "./Tool.ts"
import * as Issues from "./toolCall/issues.ts"
import { type JsonObject, type Read, read as readArguments } from "./toolCall/readArguments.ts"
import { reshape } from "./toolCall/reshape.ts"
import { find as findWrittenCall } from "./toolCall/writtenCall.ts"
import * as Toolkit from "./Toolkit.ts"

/**
 * A call that may be run: a union over the tools of a toolkit, told apart by `name`, with typed `arguments`.
 *
 * @since 0.1.0
 * @category models
 */
export type Decoded<Tools extends ReadonlyArray<Tool.Any>> = Toolkit.CallOf<Tools>

/**
 * What may be set about decoding.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The longest arguments taken, in UTF-16 units. Default: 1 048 576. */
  readonly maxLength?: number | undefined
}

/**
 * The caps on the arguments of one call: `maxLength` in UTF-16 units, `maxDepth` in levels of objects and arrays. The
 * depth is fixed, since it is what keeps a recursive schema from overflowing the stack.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: { readonly maxLength: number; readonly maxDepth: number } = StrictJson.defaults

/**
 * Decodes one call. `finishReason` is the one of the reply that the call is part of. Pure: no handler is run.
 *
 * @since 0.1.0
 * @category conversions
 */
export function decodeOne<Tools extends ReadonlyArray<Tool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>,
  call: ToolCallPart,
  finishReason: FinishReason,
  options?: Options
): Either.Either<Decoded<Tools>, ToolCallError.ToolCallError>
export function decodeOne(
  toolkit: Toolkit.Any,
  call: ToolCallPart,
  finishReason: FinishReason,
  options?: Options
): Either.Either<Toolkit.Call, ToolCallError.ToolCallError> {
  const judged = judge(toolkit, call, finishReason, options)
  return isGood(judged) ? Either.right(judged.call) : Either.left(judged)
}

/**
 * Decodes all calls of a reply, in order. One bad call refuses them all, so that nothing is run of a reply that is partly
 * wrong; the error carries every bad call with what is wrong with it, and the good ones. A reply without calls gives an
 * empty list, whatever its finish reason. Pure: no handler is run.
 *
 * @since 0.1.0
 * @category conversions
 */
export function decode<Tools extends ReadonlyArray<Tool.Any>>(
  toolkit: Toolkit.Toolkit<Tools>,
  response: Response,
  options?: Options
): Either.Either<ReadonlyArray<Decoded<Tools>>, ToolCallError.ToolCallsRejected>
export function decode(
  toolkit: Toolkit.Any,
  response: Response,
  options?: Options
): Either.Either<ReadonlyArray<Toolkit.Call>, ToolCallError.ToolCallsRejected> {
  const { finishReason, toolCalls } = response
  const sharing = new Map<string, number>()
  for (const { id } of toolCalls) sharing.set(id, (sharing.get(id) ?? 0) + 1)
  const judged = toolCalls.map((call) => ({
    call,
    verdict: unshared(judge(toolkit, call, finishReason, options), sharing.get(call.id) ?? 1)
  }))
  const rejected = judged.flatMap(({ call, verdict }) =>
    isGood(verdict) ? [] : [{ id: call.id, name: call.name, raw: call.arguments, error: verdict }]
  )
  const accepted = judged.flatMap(({ verdict }) => isGood(verdict) ? [verdict] : [])
  if (rejected.length === 0) return Either.right(accepted.map(({ call }) => call))
  return Either.left(
    new ToolCallError.ToolCallsRejected({
      rejected,
      accepted: accepted.map(({ call, json }) => ({ id: call.id, name: call.name, arguments: json })),
      text: response.text,
      usage: { ...response.usage },
      finishReason
    })
  )
}

/**
 * The error of a text that is a call of one of the tools in the markup or syntax of some model (`<tool_call>{…}`,
 * `[TOOL_CALLS]`, `functions.name(…)`, a fenced `{"name", "arguments"}` at its end, …). Such a call is never run. Prose
 * that names a tool is none, and neither is markup that names no tool of the toolkit. Linear in the length of the text.
 *
 * @since 0.1.0
 * @category conversions
 */
export const writtenAsText = (toolkit: Toolkit.Any, text: string): Option.Option<WrittenAsText> =>
  Option.map(
    Option.fromNullable(findWrittenCall(text, toolkit.tools.map((tool) => tool.name))),
    (found) => new WrittenAsText({ ...found, text })
  )

/**
 * The call as it belongs into the conversation: where its arguments had to be mended they are the JSON they were read as.
 * Some providers refuse a history whose arguments are not JSON, and a model that is shown its slip may take the call for
 * one that was never made. A call that needs no repair, or that none helps, stays as it is.
 *
 * @since 0.1.0
 * @category conversions
 */
export const mended = (toolkit: Toolkit.Any, call: ToolCallPart, options?: Options): ToolCallPart => {
  const tool = find(toolkit, call)
  const text = readArguments(call.arguments, limitsOf(options), () => repairsOf(tool))
  if ("reason" in text || text.hazards.length > 0) return call
  const { repairs, value } = tool === undefined ? text : Either.getOrElse(settle(tool, call, text, options), () => text)
  return repairs.length === 0 ? call : { ...call, arguments: JSON.stringify(value) }
}

const limitsOf = (options: Options | undefined): StrictJson.Limits => ({
  maxLength: options?.maxLength,
  maxDepth: defaults.maxDepth
})

const find = (toolkit: Toolkit.Any, call: ToolCallPart): Tool.Any | undefined =>
  Option.getOrUndefined(Toolkit.get(toolkit, call.name))

/** A good call, with the JSON it was decoded from. */
interface Good {
  readonly call: Toolkit.Call
  readonly json: unknown
}

const isGood = (judged: Good | ToolCallError.ToolCallError): judged is Good => "json" in judged

const judge = (
  toolkit: Toolkit.Any,
  call: ToolCallPart,
  finishReason: FinishReason,
  options: Options | undefined
): Good | ToolCallError.ToolCallError => {
  const about = { callId: call.id, tool: call.name, raw: call.arguments }
  if (finishReason !== "stop" && finishReason !== "tool-calls") {
    return new ToolCallError.TruncatedArguments({ ...about, finishReason })
  }
  // The tool says which repairs there are, so it is looked up before its turn to refuse.
  const tool = find(toolkit, call)
  const text = readArguments(call.arguments, limitsOf(options), () => repairsOf(tool))
  if ("reason" in text) return new ToolCallError.MalformedArguments({ ...about, ...text })
  const hazard = text.hazards[0]
  if (hazard !== undefined) {
    return new ToolCallError.HazardousArguments({
      ...about,
      hazard: hazard.hazard,
      path: hazard.path.map(Issues.clipped)
    })
  }
  if (tool === undefined) return unknown(toolkit, call)
  return Either.match(settle(tool, call, text, options), {
    onLeft: (error) =>
      text.blank === undefined ? error : new ToolCallError.MalformedArguments({ ...about, ...text.blank }),
    onRight: ({ decoded, repairs, value }): Good => ({
      call: { id: call.id, name: tool.name, arguments: decoded, raw: call.arguments, repairs },
      json: value
    })
  })
}

/** Arguments that fit their tool, and the JSON they were decoded from. */
interface Settled {
  readonly decoded: unknown
  readonly value: JsonObject
  readonly repairs: ReadonlyArray<string>
}

/** Decodes what was read, and once more in another shape where the schema leaves no doubt about what was meant. */
const settle = (
  tool: Tool.Any,
  call: ToolCallPart,
  { repairs, value, values }: Read,
  options: Options | undefined
): Either.Either<Settled, ToolCallError.InvalidArguments> => {
  const about = { callId: call.id, tool: call.name, raw: call.arguments }
  const dialect = call.dialect ?? "plain"
  const decoded = decodeArguments(tool, dialect, about, value, values)
  if (Either.isRight(decoded)) return Either.right({ decoded: decoded.right, value, repairs })
  const reshaped = inShape(tool, dialect, value, limitsOf(options))
  const again = reshaped && decodeArguments(tool, dialect, about, reshaped.value, values)
  return reshaped === undefined || again === undefined || Either.isLeft(again)
    ? Either.left(decoded.left)
    : Either.right({ decoded: again.right, value: reshaped.value, repairs: [...repairs, ...reshaped.repairs] })
}

/** The arguments as the tool's schema makes them out, by the repairs that the tool allows. */
const inShape = (
  tool: Tool.Any,
  dialect: SchemaDialect.Dialect,
  value: JsonObject,
  limits: StrictJson.Limits
): { readonly value: JsonObject; readonly repairs: ReadonlyArray<string> } | undefined => {
  const structures = tool.repairs.includes(Repair.structuresAsText)
  const nulls = tool.repairs.includes(Repair.nullsAsAbsent)
  if (!structures && !nulls) return undefined
  const schema = Option.getOrUndefined(
    dialect === "plain"
      ? Either.getRight(Tool.jsonSchema(tool))
      : Option.map(Either.getRight(SchemaDialect.make(dialect)(tool.parameters)), (made) => made.jsonSchema)
  )
  const reshaped = schema && reshape(schema, value, { structures, nulls }, limits)
  return reshaped && {
    value: reshaped.value,
    repairs: [
      ...(reshaped.done.structures ? [Repair.structuresAsText.name] : []),
      ...(reshaped.done.nulls ? [Repair.nullsAsAbsent.name] : [])
    ]
  }
}

/** The call, if it is the only one of its reply with its id. */
const unshared = (judged: Good | ToolCallError.ToolCallError, calls: number): Good | ToolCallError.ToolCallError => {
  if (calls === 1 || !isGood(judged)) return judged
  const { id, name, raw } = judged.call
  return new ToolCallError.DuplicateCallId({ callId: id, tool: name, raw, calls })
}

/** A tool that is not there is given the repairs that any tool has, so that its call is refused for its name. */
const repairsOf = (tool: Tool.Any | undefined): ReadonlyArray<Repair.Repair> =>
  tool === undefined
    ? Repair.lossless
    : tool.repairs.filter((repair) => repair.kind === "lossless" || tool.access === "read-only")

/** What every error about the arguments of a call tells. */
interface About {
  readonly callId: string
  readonly tool: string
  readonly raw: string
}

const unknown = (toolkit: Toolkit.Any, call: ToolCallPart): ToolCallError.UnknownTool => {
  const available = toolkit.tools.map((tool) => tool.name)
  return new ToolCallError.UnknownTool({
    callId: call.id,
    name: call.name,
    available,
    suggestions: nearest(call.name, available)
  })
}

const suggestionLimit = 3

/** No allowed name is longer than 64; a much longer one is not a slip of the pen. */
const comparedLength = 128

/** `functions.getWeather` and `get_weather` are the same words. */
const words = (name: string): string => name.toLowerCase().replace(/^.*[.:/]/, "").replace(/[^a-z0-9]/g, "")

/** Names at most a third of their letters away, nearest first. */
const nearest = (name: string, available: ReadonlyArray<string>): ReadonlyArray<string> =>
  name.length > comparedLength ? [] : available
    .map((candidate) => ({ candidate, away: distance(words(name), words(candidate)) }))
    .filter(({ away, candidate }) => away <= Math.max(1, Math.floor(words(candidate).length / 3)))
    .sort((left, right) => left.away - right.away)
    .slice(0, suggestionLimit)
    .map(({ candidate }) => candidate)

type Decoder = (value: unknown) => Either.Either<unknown, ParseError>

/** Making a decoder costs as much as decoding a small object. */
const decoders = new WeakMap<object, { readonly all: Decoder; readonly first: Decoder }>()

/**
 * How many values arguments may hold for all their faults to be looked for. Effect takes seconds to list a few hundred
 * thousand faults; of more than these the first is enough.
 */
const thorough = 8_192

const decoderOf = (schema: Schema.Schema.AnyNoContext, values: number): Decoder => {
  let made = decoders.get(schema)
  if (made === undefined) {
    made = {
      all: Schema.decodeUnknownEither(schema, { errors: "all", onExcessProperty: "error" }),
      first: Schema.decodeUnknownEither(schema, { errors: "first", onExcessProperty: "error" })
    }
    decoders.set(schema, made)
  }
  return values <= thorough ? made.all : made.first
}

/** Between the text and the schema: what a provider's dialect made of the schema is undone here. */
const decoderIn = (dialect: SchemaDialect.Dialect, schema: Schema.Schema.AnyNoContext, values: number): Decoder => {
  if (dialect === "plain") return decoderOf(schema, values)
  const { decode } = Either.getOrThrowWith(SchemaDialect.make(dialect)(schema), (fault) => fault)
  return (value) => decode(value, { errors: values <= thorough ? "all" : "first", onExcessProperty: "error" })
}

const decodeArguments = (
  tool: Tool.Any,
  dialect: SchemaDialect.Dialect,
  about: About,
  value: JsonObject,
  values: number
): Either.Either<unknown, ToolCallError.InvalidArguments> => {
  const refuse = (found: ReturnType<typeof Issues.fromParseIssue>) =>
    Either.left(new ToolCallError.InvalidArguments({ ...about, ...found }))
  if (takesNothing(tool.parameters.ast)) {
    const names = Object.keys(value)
    if (names.length > 0) return refuse(Issues.unexpectedParameters(names))
  }
  try {
    const decoded = decoderIn(dialect, tool.parameters, values)(value)
    return Either.isLeft(decoded) ? refuse(Issues.fromParseIssue(decoded.left.issue)) : Either.right(decoded.right)
  } catch (cause) {
    // A conversion or rule of the schema threw instead of failing, or the dialect never was this schema's: what the model
    // wrote must not become a defect.
    const { message } = describeCause(cause)
    return refuse({ issues: [{ path: [], kind: "Transformation", message: `cannot be read: ${message}` }], omitted: 0 })
  }
}
