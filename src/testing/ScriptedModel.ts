/**
 * A language model that answers from a script, one step for each request, and remembers what it was asked. It sleeps on
 * Effect's clock, so an hour of outage is a moment under TestClock. Asked for a stream it sends the same replies in deltas.
 *
 * @example
 * import * as ModelError from "effect-llm-resilience/error/ModelError"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* LanguageModel.generate({ prompt: "Hello" }).pipe(Effect.flip)
 *   const second = yield* LanguageModel.generate({ prompt: "Hello" })
 *   const requests = yield* ScriptedModel.requests
 *   return [first._tag, second.text, requests.length]
 * }).pipe(Effect.provide(ScriptedModel.layer([
 *   ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" })),
 *   ScriptedModel.text("hi")
 * ])))
 *
 * Effect.runPromise(program).then(console.log) // ["Overloaded", "hi", 2]
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as ModelError from "../error/ModelError.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import * as Prompt from "../model/Prompt.ts"
import { type FinishReason, Response } from "../model/Response.ts"
import * as StreamPart from "../model/StreamPart.ts"
import { Usage } from "../model/Usage.ts"

/**
 * A tool call of a script: the arguments as raw JSON text, which may be as wrong as a test wants it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly name: string
  readonly arguments: string
  /** Default: made from the number of the request and the place in the reply, such as "call_2_1". */
  readonly id?: string | undefined
}

/**
 * What the model does with one request.
 *
 * @since 0.1.0
 * @category models
 */
export type Step =
  | { readonly _tag: "Reply"; readonly response: Response }
  | { readonly _tag: "Text"; readonly text: string; readonly finishReason: FinishReason }
  | { readonly _tag: "Calls"; readonly calls: ReadonlyArray<Call>; readonly finishReason: FinishReason }
  | {
    readonly _tag: "Parts"
    readonly parts: ReadonlyArray<StreamPart.StreamPart>
    readonly error: LanguageModel.LanguageModelError | undefined
  }
  | { readonly _tag: "Fail"; readonly error: LanguageModel.LanguageModelError }
  | { readonly _tag: "Delayed"; readonly duration: Duration.Duration; readonly step: Step }
  | { readonly _tag: "Hang" }

/**
 * What is told where the script is silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  name: "scripted-model",
  provider: "scripted",
  usage: new Usage({ inputTokens: 10, outputTokens: 5, totalTokens: 15 }),
  deltaLength: 8
} as const

/**
 * Answers with the text. Finish reason: "stop" by default.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (words: string, finishReason: FinishReason = "stop"): Step => ({
  _tag: "Text",
  text: words,
  finishReason
})

/**
 * Answers with a value, written as JSON: what a request with `responseFormat` is answered with. What JSON cannot hold is
 * written as `JSON.stringify` does. Finish reason: "stop" by default.
 *
 * @since 0.1.0
 * @category constructors
 */
export const json = (value: unknown, finishReason: FinishReason = "stop"): Step =>
  text(JSON.stringify(value) ?? "null", finishReason)

/**
 * Answers with one call of a tool; the arguments are written as JSON.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolCall = (name: string, parameters: Readonly<Record<string, unknown>> = {}): Step =>
  rawToolCall(name, JSON.stringify(parameters))

/**
 * Answers with one call of a tool, its arguments sent as the text stands. Finish reason: "tool-calls" by default.
 *
 * @since 0.1.0
 * @category constructors
 */
export const rawToolCall = (name: string, json: string, finishReason: FinishReason = "tool-calls"): Step => ({
  _tag: "Calls",
  calls: [{ name, arguments: json }],
  finishReason
})

/**
 * Answers with several calls in one reply.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolCalls = (calls: ReadonlyArray<Call>, finishReason: FinishReason = "tool-calls"): Step => ({
  _tag: "Calls",
  calls,
  finishReason
})

/**
 * Answers with exactly this response.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reply = (response: Response): Step => ({ _tag: "Reply", response })

/**
 * Streams exactly these parts, and then fails with the error, or just ends. So it can play a reply that is cut: parts
 * without `Finish`. Asked for the whole reply it gives what `StreamPart.collect` makes of them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parts = (
  all: ReadonlyArray<StreamPart.StreamPart>,
  error?: LanguageModel.LanguageModelError
): Step => ({ _tag: "Parts", parts: all, error })

/**
 * Fails with the error.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fail = (error: LanguageModel.LanguageModelError): Step => ({ _tag: "Fail", error })

/**
 * Does the step after the duration has passed on Effect's clock.
 *
 * @since 0.1.0
 * @category constructors
 */
export const delayed = (duration: Duration.DurationInput, step: Step): Step => ({
  _tag: "Delayed",
  duration: Duration.decode(duration),
  step
})

/**
 * Never answers; only interruption ends the call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const hang: Step = { _tag: "Hang" }

/**
 * Who the scripted model says it is, what its replies cost, and what follows the script.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The model's name. Default: "scripted-model". */
  readonly name?: string | undefined
  /** Default: "scripted". */
  readonly provider?: string | undefined
  /** Default: tools and images. */
  readonly capabilities?: Partial<LanguageModel.Capabilities> | undefined
  /** What every reply made by this module costs. Default: 10 tokens in, 5 out. */
  readonly usage?: Usage | undefined
  /** How many characters of text or arguments a stream sends at a time: 1 or more. Default: 8. */
  readonly deltaLength?: number | undefined
  /** How long a stream waits before each part but `Start`, on Effect's clock. Default: not at all. */
  readonly betweenParts?: Duration.DurationInput | undefined
  /** What is done with every request after the end of the script. Default: it fails. */
  readonly afterwards?: Step | undefined
}

/**
 * What the scripted model remembers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Memory {
  /** The requests so far, in order of arrival; those that never reached a step, being invalid, are not among them. */
  readonly requests: Effect.Effect<ReadonlyArray<LanguageModel.Request>>
  /** How many steps of the script have not been used. */
  readonly remaining: Effect.Effect<number>
}

/**
 * The memory of the scripted model of the context; `layer` provides it beside the model.
 *
 * @since 0.1.0
 * @category tags
 */
export class ScriptedModel extends Context.Tag("effect-llm-resilience/ScriptedModel")<ScriptedModel, Memory>() {}

interface Player {
  readonly name: string
  readonly provider: string
  readonly usage: Usage
  readonly deltaLength: number
  readonly betweenParts: Duration.Duration
}

const play = (
  step: Step,
  place: number,
  model: Player
): Effect.Effect<Response, LanguageModel.LanguageModelError> => {
  const respond = (parts: ReadonlyArray<Prompt.AssistantPart>, finishReason: FinishReason) =>
    Effect.succeed(
      new Response({ id: `scripted-${place}`, model: model.name, parts, finishReason, usage: model.usage })
    )
  switch (step._tag) {
    case "Reply":
      return Effect.succeed(step.response)
    case "Text":
      return respond([Prompt.text(step.text)], step.finishReason)
    case "Calls":
      return respond(
        step.calls.map((call, index) => ({
          _tag: "ToolCall",
          id: call.id ?? `call_${place}_${index + 1}`,
          name: call.name,
          arguments: call.arguments
        })),
        step.finishReason
      )
    case "Parts":
      return StreamPart.collect(partsOf(step), { provider: model.provider, model: model.name })
    case "Fail":
      return Effect.fail(step.error)
    case "Delayed":
      return Effect.delay(Effect.suspend(() => play(step.step, place, model)), step.duration)
    case "Hang":
      return Effect.never
  }
}

type Parts = Stream.Stream<StreamPart.StreamPart, LanguageModel.LanguageModelError>

const partsOf = (step: Extract<Step, { readonly _tag: "Parts" }>): Parts =>
  Stream.concat(
    // Each in a chunk of its own, as they would come from a server.
    Stream.rechunk(Stream.fromIterable(step.parts), 1),
    step.error === undefined ? Stream.empty : Stream.fail(step.error)
  )

/** The text in pieces of some characters; a surrogate pair is never torn apart. */
const pieces = (text: string, length: number): ReadonlyArray<string> => {
  const characters = [...text]
  return Array.from(
    { length: Math.ceil(characters.length / length) },
    (_, at) => characters.slice(at * length, (at + 1) * length).join("")
  )
}

/** What seals a thought stands on its last delta. */
const inPieces = (part: StreamPart.ReasoningDelta, length: number): ReadonlyArray<StreamPart.StreamPart> => {
  const all = part.text === "" ? [""] : pieces(part.text, length)
  return all.map((piece, at) =>
    StreamPart.reasoningDelta(piece, at === all.length - 1 ? part.providerMetadata : undefined)
  )
}

const inDeltas = (part: StreamPart.StreamPart, length: number): ReadonlyArray<StreamPart.StreamPart> => {
  switch (part._tag) {
    case "TextDelta":
      // A text that is sealed is one part, so it comes in one piece.
      return part.providerMetadata === undefined
        ? pieces(part.text, length).map((piece) => StreamPart.textDelta(piece))
        : [part]
    case "ReasoningDelta":
      return inPieces(part, length)
    case "ToolArgumentsDelta":
      return pieces(part.delta, length).map((delta) => StreamPart.toolArgumentsDelta(part.index, delta))
    default:
      return [part]
  }
}

/** The same reply as {@link play} gives, piece by piece. */
const playStream = (step: Step, place: number, model: Player): Parts => {
  const wait = Effect.sleep(model.betweenParts)
  const paced = (parts: Parts): Parts =>
    Duration.toMillis(model.betweenParts) === 0
      ? parts
      : Stream.tap(parts, (part) => part._tag === "Start" ? Effect.void : wait)
  switch (step._tag) {
    case "Parts":
      return paced(partsOf(step))
    case "Delayed":
      return Stream.unwrap(Effect.delay(Effect.sync(() => playStream(step.step, place, model)), step.duration))
    default:
      return Stream.unwrap(
        Effect.map(play(step, place, model), (response) =>
          paced(partsOf({
            _tag: "Parts",
            parts: StreamPart.fromResponse(response).flatMap((part) => inDeltas(part, model.deltaLength)),
            error: undefined
          })))
      )
  }
}

/**
 * A model that meets the first request with the first step, and so on; a step is used up when its request arrives, also
 * if that is interrupted. After the last step calls fail with `UnknownError`, whose cause is named `ScriptExhausted`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  script: ReadonlyArray<Step>,
  options: Options = {}
): Effect.Effect<LanguageModel.Service & Memory> =>
  Effect.map(Ref.make<ReadonlyArray<LanguageModel.Request>>([]), (memory) => {
    const name = options.name ?? defaults.name
    const provider = options.provider ?? defaults.provider
    const exhausted = (place: number) =>
      fail(
        new ModelError.UnknownError({
          provider,
          model: name,
          billed: "no",
          cause: {
            name: "ScriptExhausted",
            message:
              `script exhausted: it has ${script.length} ${script.length === 1 ? "step" : "steps"} and this is ` +
              `request ${place}; add a step, or give "afterwards"`
          }
        })
      )
    const player: Player = {
      name,
      provider,
      usage: options.usage ?? defaults.usage,
      deltaLength: Math.max(1, Math.trunc(options.deltaLength ?? defaults.deltaLength)),
      betweenParts: Duration.decode(options.betweenParts ?? 0)
    }
    /** The place of the request, and the step that is for it. */
    const next = (request: LanguageModel.Request) =>
      Effect.map(
        Ref.modify(memory, (requests) => [requests.length + 1, [...requests, request]] as const),
        (place) => [script[place - 1] ?? options.afterwards ?? exhausted(place), place] as const
      )
    const model = LanguageModel.make({
      name,
      provider,
      capabilities: options.capabilities,
      generate: (request) => Effect.flatMap(next(request), ([step, place]) => play(step, place, player)),
      stream: (request) => Stream.unwrap(Effect.map(next(request), ([step, place]) => playStream(step, place, player)))
    })
    return {
      ...model,
      requests: Ref.get(memory),
      remaining: Effect.map(Ref.get(memory), (requests) => Math.max(0, script.length - requests.length))
    }
  })

/**
 * The scripted model as the `LanguageModel` of an application, with its memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  script: ReadonlyArray<Step>,
  options: Options = {}
): Layer.Layer<LanguageModel.LanguageModel | ScriptedModel> =>
  Layer.effectContext(
    Effect.map(make(script, options), (model) =>
      Context.make(LanguageModel.LanguageModel, model).pipe(Context.add(ScriptedModel, model)))
  )

/**
 * The requests that the scripted model of the context has met, in order of arrival.
 *
 * @since 0.1.0
 * @category accessors
 */
export const requests: Effect.Effect<ReadonlyArray<LanguageModel.Request>, never, ScriptedModel> = Effect.flatMap(
  ScriptedModel,
  (memory) => memory.requests
)
