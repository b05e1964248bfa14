/**
 * From a tool call as the model wrote it to one that may be run. A call passes these gates in this order, and the first
 * that refuses it decides the error:
 *
 * 1. the reply ended by itself (`"stop"` or `"tool-calls"`), else `TruncatedArguments`, whatever the text looks like;
 * 2. size and nesting stay below the caps, else `MalformedArguments`;
 * 3. the text is exactly one JSON document, else `MalformedArguments`; without hazards, else `HazardousArguments`;
 *    and an object, else `MalformedArguments`;
 * 4. the toolkit has a tool of exactly that name, else `UnknownTool`;
 * 5. the tool's schema takes the arguments, with nothing missing, nothing left over and nothing coerced, else
 *    `InvalidArguments`.
 *
 * So a call of an unknown tool with broken arguments is `MalformedArguments`. Only blank arguments need the tool first:
 * they are `{}` for a tool that takes `{}` and `MalformedArguments` (`Empty`) for one that does not.
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
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { distance } from "fastest-levenshtein"
import * as ToolCallError from "../error/ToolCallError.ts"
import { describeCause } from "../internal/redact.ts"
import * as StrictJson from "../internal/strictJson.ts"
import * as Issues from "./internal/issues.ts"
import { takesNothing } from "./internal/parameterSchema.ts"
import type { ToolCallPart } from "./Prompt.ts"
import type { FinishReason, Response } from "./Response.ts"
import type * as Tool from "./Tool.ts"
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
  return Either.map(judge(toolkit, call, finishReason, options), (accepted) => accepted.call)
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
  const judged = response.toolCalls.map((call) => ({
    call,
    result: judge(toolkit, call, response.finishReason, options)
  }))
  const rejected = judged.flatMap(({ call, result }) =>
    Either.isLeft(result) ? [{ id: call.id, name: call.name, raw: call.arguments, error: result.left }] : []
  )
  const accepted = judged.flatMap(({ result }) => Either.isRight(result) ? [result.right] : [])
  if (rejected.length === 0) return Either.right(accepted.map(({ call }) => call))
  return Either.left(
    new ToolCallError.ToolCallsRejected({
      rejected,
      accepted: accepted.map(({ call, json }) => ({ id: call.id, name: call.name, arguments: json })),
      text: response.text,
      usage: { ...response.usage },
      finishReason: response.finishReason
    })
  )
}

/** A good call, with the JSON it was decoded from. */
interface Accepted {
  readonly call: Toolkit.Call
  readonly json: unknown
}

type Judgement<A> = Either.Either<A, ToolCallError.ToolCallError>

const judge = (
  toolkit: Toolkit.Any,
  call: ToolCallPart,
  finishReason: FinishReason,
  options: Options | undefined
): Judgement<Accepted> => {
  const about = { callId: call.id, tool: call.name, raw: call.arguments }
  if (finishReason !== "stop" && finishReason !== "tool-calls") {
    return Either.left(new ToolCallError.TruncatedArguments({ ...about, finishReason }))
  }
  return Either.gen(function*() {
    const json = yield* read(about, options)
    const tool = yield* lookup(toolkit, call)
    const value = json ?? (yield* blank(tool, about))
    const decoded = yield* decodeArguments(tool, about, value)
    return { call: { id: call.id, name: tool.name, arguments: decoded, raw: call.arguments }, json: value }
  })
}

/** What every error about the arguments of a call tells. */
interface About {
  readonly callId: string
  readonly tool: string
  readonly raw: string
}

type JsonObject = { readonly [key: string]: unknown }

const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const emptyFault: StrictJson.Fault = { reason: "Empty", offset: 0, line: 1, column: 1, excerpt: "" }

/** The JSON object that the text is, or nothing for a blank text. */
const read = (about: About, options: Options | undefined): Judgement<JsonObject | undefined> => {
  const parsed = StrictJson.parse(about.raw, { maxLength: options?.maxLength, maxDepth: defaults.maxDepth })
  if (Either.isLeft(parsed)) {
    return parsed.left.reason === "Empty"
      ? Either.right(undefined)
      : Either.left(new ToolCallError.MalformedArguments({ ...about, ...parsed.left }))
  }
  const { hazards, value } = parsed.right
  const hazard = hazards[0]
  if (hazard !== undefined) {
    return Either.left(
      new ToolCallError.HazardousArguments({ ...about, hazard: hazard.hazard, path: hazard.path.map(Issues.clipped) })
    )
  }
  return isJsonObject(value)
    ? Either.right(value)
    : Either.left(
      new ToolCallError.MalformedArguments({
        ...about,
        ...StrictJson.faultAt(about.raw, "NotAnObject", about.raw.search(/\S/))
      })
    )
}

const lookup = (toolkit: Toolkit.Any, call: ToolCallPart): Judgement<Tool.Any> =>
  Either.fromOption(Toolkit.get(toolkit, call.name), () => {
    const available = toolkit.tools.map((tool) => tool.name)
    return new ToolCallError.UnknownTool({
      callId: call.id,
      name: call.name,
      available,
      suggestions: nearest(call.name, available)
    })
  })

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

/** Blank arguments mean `{}` where `{}` is enough. */
const blank = (tool: Tool.Any, about: About): Judgement<JsonObject> =>
  Either.mapBoth(decodeArguments(tool, about, {}), {
    onLeft: () => new ToolCallError.MalformedArguments({ ...about, ...emptyFault }),
    onRight: () => ({})
  })

const strictly = { errors: "all", onExcessProperty: "error" } as const

const decodeArguments = (tool: Tool.Any, about: About, value: JsonObject): Judgement<unknown> => {
  const refuse = (found: ReturnType<typeof Issues.fromParseIssue>) =>
    Either.left(new ToolCallError.InvalidArguments({ ...about, ...found }))
  const names = Object.keys(value)
  if (names.length > 0 && takesNothing(tool.parameters.ast)) return refuse(Issues.unexpectedParameters(names))
  try {
    const decoded: Either.Either<unknown, ParseError> = Schema.decodeUnknownEither(tool.parameters, strictly)(value)
    return Either.isLeft(decoded) ? refuse(Issues.fromParseIssue(decoded.left.issue)) : Either.right(decoded.right)
  } catch (cause) {
    // A conversion or rule of the schema threw instead of failing: what the model wrote must not become a defect.
    const { message } = describeCause(cause)
    return refuse({ issues: [{ path: [], kind: "Transformation", message: `cannot be read: ${message}` }], omitted: 0 })
  }
}
