/**
 * The one door to a model. Providers stand behind it, policies strengthen it, tests replace it: the tag stays the same.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as Prompt from "effect-llm-resilience/model/Prompt"
 * import * as Response from "effect-llm-resilience/model/Response"
 * import * as Usage from "effect-llm-resilience/model/Usage"
 *
 * // A model of your own: anything that answers a request.
 * const parrot = LanguageModel.make({
 *   name: "parrot-1",
 *   provider: "zoo",
 *   capabilities: { tools: false, images: false },
 *   generate: (request) =>
 *     Effect.succeed(
 *       new Response.Response({
 *         model: "parrot-1",
 *         parts: [Prompt.text(`You sent ${Prompt.make(request.prompt).messages.length} message(s).`)],
 *         finishReason: "stop",
 *         usage: Usage.zero
 *       })
 *     )
 * })
 *
 * const program = LanguageModel.generate({ prompt: "Hello" }).pipe(
 *   Effect.provideService(LanguageModel.LanguageModel, parrot)
 * )
 *
 * Effect.runPromise(program).then((response) => console.log(response.text)) // You sent 1 message(s).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ModelError from "../error/ModelError.ts"
import type { PolicyError } from "../error/PolicyError.ts"
import { definedFields } from "../internal/record.ts"
import * as Prompt from "./Prompt.ts"
import type { Response } from "./Response.ts"
import * as StreamPart from "./StreamPart.ts"
import type * as Toolkit from "./Toolkit.ts"

/**
 * Which tool the model is to call: `"auto"` (its choice), `"none"`, `"required"` (some tool), or one tool by name.
 *
 * @since 0.1.0
 * @category models
 */
export type ToolChoice = "auto" | "none" | "required" | { readonly tool: string }

/**
 * The form of an answer that is data: the provider makes the model write JSON of this schema (structured output). What
 * comes is still text and still to be decoded, as servers differ in how closely they keep to it, and as providers may have
 * to write the schema in a dialect of theirs (`Response.dialects`): `StructuredOutput.decode` and `GenerateObject` do both.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResponseFormat {
  /** What the data is, for the model: 1 to 64 letters, digits, `_` and `-`. */
  readonly name: string
  /** What it is for, in a sentence. */
  readonly description?: string | undefined
  /** Its encoded side must be a JSON object, and have a JSON Schema. */
  readonly schema: Schema.Schema.AnyNoContext
}

/**
 * One request to a model. Only `prompt` is required; what is left out is the provider's default.
 *
 * Where a provider's API has no place for an option, one rule holds for all of them. What would change the meaning of the
 * reply fails with `UnsupportedFeature` before anything is sent: `stop` (OpenAI's Responses API has none), and
 * `parallelToolCalls: false` (Gemini has none). What only loosens is left out: `seed`, the two penalties, `user`, and the
 * detail of an image. `providerOptions` can always say it in the words of a server that has it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  /** The conversation so far; a string is one user message. */
  readonly prompt: Prompt.Input
  /** The tools the model may call. */
  readonly tools?: Toolkit.Any | undefined
  /** Default: `"auto"` where there are tools. */
  readonly toolChoice?: ToolChoice | undefined
  /** Whether one reply may hold several tool calls. */
  readonly parallelToolCalls?: boolean | undefined
  /** Asks for JSON of a schema in place of free text. Default: free text. */
  readonly responseFormat?: ResponseFormat | undefined
  /** How freely the model chooses, from 0 up; most providers allow up to 2. */
  readonly temperature?: number | undefined
  /** The share of probability to choose from, above 0 to 1. */
  readonly topP?: number | undefined
  /** The most tokens of the reply, 1 or more. A reply that reaches it has the finish reason `"length"`. */
  readonly maxOutputTokens?: number | undefined
  /** Texts that end the reply. */
  readonly stop?: ReadonlyArray<string> | undefined
  /** A whole number that makes sampling repeatable, as far as the provider can. */
  readonly seed?: number | undefined
  /** -2 to 2 at most providers. */
  readonly frequencyPenalty?: number | undefined
  /** -2 to 2 at most providers. */
  readonly presencePenalty?: number | undefined
  /** An providerMetadata id of your end user, for the provider's abuse checks. */
  readonly user?: string | undefined
  /** Fields merged last into the body on the wire: what this interface does not name. They win over everything else. */
  readonly providerOptions?: { readonly [field: string]: unknown } | undefined
  /**
   * The same for all attempts of one logical call, so that a provider can answer a repeated request once. 1 to 255
   * printable ASCII characters. Default: a fresh one per `generate` and per run of a `stream`.
   */
  readonly idempotencyKey?: string | undefined
  /**
   * How `generate` gets the reply. `"stream"` asks for a stream and collects it, so that a reply that takes ten minutes is
   * not given up by a client that waits 300 s for the head, and a time-out between contents can tell a dead call from a
   * slow one. Default: `"reply"`.
   */
  readonly via?: "reply" | "stream" | undefined
}

/**
 * What a model can take. A request that needs more fails with `UnsupportedFeature` before anything is sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Capabilities {
  readonly tools: boolean
  readonly images: boolean
  /** Whether `responseFormat` is understood; absent means yes. */
  readonly structuredOutput?: boolean | undefined
  /**
   * How a reply whose stream broke can be gone on with. `vendor`: the provider keeps it, and `resumable` is there.
   * `continuation`: another request may continue the text, either because the provider goes on with the text of a last
   * assistant message (`"prefill"`), or because the model is asked to (`"followUp"`). Absent: neither.
   */
  readonly resume?: {
    readonly vendor?: boolean | undefined
    readonly continuation?: "prefill" | "followUp" | undefined
  } | undefined
}

/**
 * One request whose reply the provider keeps while it is made, so that a broken stream is gone on with and nothing is paid
 * twice. It knows how far it was read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Resumable<out E = LanguageModelError> {
  /** Sends the request and gives the reply as it comes. Run it once. */
  readonly parts: Stream.Stream<StreamPart.StreamPart, E>
  /**
   * The rest of the reply, after the last event that was read: no `Start`, no part twice. It may be run again when it
   * breaks, too. Fails with `ResumeExpired` when the provider no longer has the reply.
   */
  readonly resume: Stream.Stream<StreamPart.StreamPart, E>
  /**
   * Tells the provider that nobody wants the rest; without it the reply is made to its end and paid for. Does nothing after
   * the terminal event or before the provider has told the id of the reply. Never fails: a cancel that does not arrive
   * costs what it costs.
   */
  readonly cancel: Effect.Effect<void>
}

/**
 * What a provider calls whenever bytes of a stream have come, pings and comments too: whoever asks for the stream can tell
 * a dead one from a slow one by it. Default: nobody asks.
 *
 * @since 0.1.0
 * @category tags
 */
export class CurrentLiveness extends Context.Reference<CurrentLiveness>()(
  "effect-llm-resilience/LanguageModel/CurrentLiveness",
  { defaultValue: (): () => void => nobodyAsks }
) {}

const nobodyAsks = (): void => {}

/**
 * What a call can fail with: the provider's failures, and the refusals of the policies round it.
 *
 * @since 0.1.0
 * @category errors
 */
export type LanguageModelError = ModelError.ModelError | PolicyError

/**
 * A language model. `E` is what its calls can fail with: a bare provider fails with `ModelError` alone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service<out E = LanguageModelError> {
  /** The model's name, as the provider knows it. */
  readonly name: string
  /** Who answers; it is the `provider` of every error. */
  readonly provider: string
  readonly capabilities: Capabilities
  /** Sends one request and waits for the whole reply. Interrupting it aborts the request. */
  readonly generate: (request: Request) => Effect.Effect<Response, E>
  /**
   * Sends one request and gives the reply as it comes: `Start`, content, `Finish`. The request is sent when the stream is
   * run, and again each time it is run. Interrupting the consumer, or taking no more, aborts the request.
   */
  readonly stream: (request: Request) => Stream.Stream<StreamPart.StreamPart, E>
  /** What keeps this request from being sent to this model, as a failure. Nothing is sent (see {@link check}). */
  readonly check: (request: Request) => Effect.Effect<void, ModelError.ModelError>
  /** Where `capabilities.resume.vendor` is true: the request as one that can be gone on with. */
  readonly resumable?: ((request: Request) => Effect.Effect<Resumable<E>, E>) | undefined
}

/**
 * The language model of an application.
 *
 * @since 0.1.0
 * @category tags
 */
export class LanguageModel extends Context.Tag("effect-llm-resilience/LanguageModel")<LanguageModel, Service>() {}

/**
 * What is wrong with a request, judged before it is sent.
 */
interface Fault {
  readonly param: string
  readonly detail: string
}

const inRange = (
  param: string,
  value: number | undefined,
  allowed: string,
  holds: (value: number) => boolean
): ReadonlyArray<Fault> =>
  value === undefined || holds(value)
    ? []
    : [{ param, detail: `${param} is ${value}; it must be ${allowed}` }]

const idempotencyKeyPattern = /^[\x21-\x7e]{1,255}$/

const formatNamePattern = /^[a-zA-Z0-9_-]{1,64}$/

const toolChoiceFaults = (request: Request): ReadonlyArray<Fault> => {
  const choice = request.toolChoice
  if (choice === undefined || choice === "auto" || choice === "none") return []
  const names = request.tools?.tools.map((tool) => tool.name) ?? []
  if (choice === "required") {
    return names.length > 0 ? [] : [{
      param: "toolChoice",
      detail: "toolChoice is \"required\" but the request has no tools; give tools or leave toolChoice out"
    }]
  }
  return names.includes(choice.tool) ? [] : [{
    param: "toolChoice",
    detail: `toolChoice names the tool ${JSON.stringify(choice.tool)}, which is not in the toolkit; it has ${
      names.length === 0 ? "no tools" : names.join(", ")
    }`
  }]
}

const faultsOf = (request: Request, prompt: Prompt.Prompt): ReadonlyArray<Fault> => [
  ...(prompt.messages.length > 0
    ? []
    : [{ param: "prompt", detail: "prompt has no messages; give text or at least one message" }]),
  ...inRange(
    "temperature",
    request.temperature,
    "a number, 0 or more",
    (value) => Number.isFinite(value) && value >= 0
  ),
  ...inRange("topP", request.topP, "above 0 and at most 1", (value) => value > 0 && value <= 1),
  ...inRange(
    "maxOutputTokens",
    request.maxOutputTokens,
    "a whole number, 1 or more",
    (value) => Number.isSafeInteger(value) && value >= 1
  ),
  ...inRange("seed", request.seed, "a whole number", Number.isSafeInteger),
  ...inRange("frequencyPenalty", request.frequencyPenalty, "a finite number", Number.isFinite),
  ...inRange("presencePenalty", request.presencePenalty, "a finite number", Number.isFinite),
  ...(request.idempotencyKey === undefined || idempotencyKeyPattern.test(request.idempotencyKey) ? [] : [{
    param: "idempotencyKey",
    detail: "idempotencyKey must be 1 to 255 printable ASCII characters without spaces, as it is sent in a header"
  }]),
  ...(request.responseFormat === undefined || formatNamePattern.test(request.responseFormat.name) ? [] : [{
    param: "responseFormat",
    detail: `responseFormat.name is ${
      JSON.stringify(request.responseFormat.name)
    }; it must be 1 to 64 letters, digits, "_" or "-"`
  }]),
  ...toolChoiceFaults(request)
]

const hasImage = (prompt: Prompt.Prompt): boolean =>
  prompt.messages.some((message) => message._tag === "User" && message.content.some((part) => part._tag === "Image"))

const refusal = (
  model: { readonly name: string; readonly provider: string; readonly capabilities: Capabilities },
  request: Request
): ModelError.ModelError | undefined => {
  const prompt = Prompt.make(request.prompt)
  const faults = faultsOf(request, prompt)
  const who = { provider: model.provider, model: model.name, billed: "no" } as const
  if (faults[0] !== undefined) {
    const message = faults.map((fault) => fault.detail).join("; ")
    return new ModelError.InvalidRequest({ ...who, param: faults[0].param, cause: { name: "RequestCheck", message } })
  }
  if (!model.capabilities.tools && request.tools !== undefined && request.tools.tools.length > 0) {
    return new ModelError.UnsupportedFeature({ ...who, feature: "tools" })
  }
  if (!model.capabilities.images && hasImage(prompt)) {
    return new ModelError.UnsupportedFeature({ ...who, feature: "images" })
  }
  if (model.capabilities.structuredOutput === false && request.responseFormat !== undefined) {
    return new ModelError.UnsupportedFeature({ ...who, feature: "structured output" })
  }
  return undefined
}

/**
 * A language model from a function that answers requests.
 *
 * Requests are checked first: numbers out of range, an empty prompt or a tool choice without its tool fail with
 * `InvalidRequest` (naming every fault); tools, images or structured output that `capabilities` rules out with
 * `UnsupportedFeature`. So `generate` only sees requests that can be sent. Capabilities default to all three.
 *
 * `stream` may be left out: then it is made from `generate`, and the reply comes in one burst when it is whole. `check` is
 * what else the model would refuse by itself, and may be left out, too.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E extends LanguageModelError = never>(options: {
  readonly name: string
  readonly provider: string
  readonly capabilities?: Partial<Capabilities> | undefined
  readonly generate: (request: Request) => Effect.Effect<Response, E>
  readonly stream?: ((request: Request) => Stream.Stream<StreamPart.StreamPart, E>) | undefined
  readonly check?: ((request: Request) => Effect.Effect<void, ModelError.ModelError>) | undefined
  readonly resumable?: ((request: Request) => Effect.Effect<Resumable<E>, E>) | undefined
}): Service<E | ModelError.ModelError> => {
  const model = {
    name: options.name,
    provider: options.provider,
    capabilities: {
      tools: options.capabilities?.tools ?? true,
      images: options.capabilities?.images ?? true,
      ...definedFields({
        structuredOutput: options.capabilities?.structuredOutput,
        resume: options.capabilities?.resume
      })
    }
  }
  const streamed = options.stream ?? ((request: Request) => burst(options.generate(request)))
  const { resumable } = options
  const replied = (request: Request): Effect.Effect<Response, E | ModelError.ModelError> =>
    request.via === "stream"
      ? StreamPart.collect(streamed(request), { provider: model.provider, model: model.name })
      : options.generate(request)
  return {
    ...model,
    generate: (request) =>
      Effect.suspend((): Effect.Effect<Response, E | ModelError.ModelError> => {
        const refused = refusal(model, request)
        return refused === undefined ? replied(request) : Effect.fail(refused)
      }),
    stream: (request) =>
      Stream.suspend((): Stream.Stream<StreamPart.StreamPart, E | ModelError.ModelError> => {
        const refused = refusal(model, request)
        return refused === undefined ? streamed(request) : Stream.fail(refused)
      }),
    check: (request) =>
      Effect.suspend(() => {
        const refused = refusal(model, request)
        return refused !== undefined ? Effect.fail(refused) : options.check?.(request) ?? Effect.void
      }),
    ...(resumable === undefined ? {} : {
      resumable: (request: Request) =>
        Effect.suspend((): Effect.Effect<Resumable<E | ModelError.ModelError>, E | ModelError.ModelError> => {
          const refused = refusal(model, request)
          return refused === undefined ? resumable(request) : Effect.fail(refused)
        })
    })
  }
}

/** A reply that comes whole, as a stream. */
const burst = <E>(reply: Effect.Effect<Response, E>): Stream.Stream<StreamPart.StreamPart, E> =>
  Stream.unwrap(Effect.map(reply, (response) => Stream.fromIterable(StreamPart.fromResponse(response))))

const hex = (word: number): string => word.toString(16).padStart(8, "0")

/**
 * A key by chance: 128 bits from Effect's `Random`, in hex.
 *
 * @since 0.1.0
 * @category constructors
 */
export const freshIdempotencyKey: Effect.Effect<string> = Effect.randomWith((random) => {
  const word = Effect.map(random.nextIntBetween(0, 2 ** 32), hex)
  const two = Effect.zipWith(word, word, (first, second) => first + second)
  return Effect.zipWith(two, two, (first, second) => first + second)
})

const byChance = { next: undefined }

/**
 * Gives the keys of the calls that are made within it, in their order, where they have none of their own: so work that is
 * done again after a crash asks under the same keys. Default: nothing, and each call has a key by chance.
 *
 * @since 0.1.0
 * @category tags
 */
export class CurrentIdempotencyKeys extends Context.Reference<CurrentIdempotencyKeys>()(
  "effect-llm-resilience/LanguageModel/CurrentIdempotencyKeys",
  { defaultValue: (): { readonly next: (() => string) | undefined } => byChance }
) {}

/**
 * A key for one logical call: the next of {@link CurrentIdempotencyKeys}, or else a fresh one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const nextIdempotencyKey: Effect.Effect<string> = Effect.flatMap(
  CurrentIdempotencyKeys,
  ({ next }) => next === undefined ? freshIdempotencyKey : Effect.sync(next)
)

/**
 * The request with a key that all its attempts carry: its own, or the next one.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withIdempotencyKey = (request: Request): Effect.Effect<Request> =>
  request.idempotencyKey === undefined
    ? Effect.map(nextIdempotencyKey, (idempotencyKey) => ({ ...request, idempotencyKey }))
    : Effect.succeed(request)

/**
 * Sends one request to the language model of the context and waits for the whole reply.
 *
 * @since 0.1.0
 * @category accessors
 */
export const generate = (request: Request): Effect.Effect<Response, LanguageModelError, LanguageModel> =>
  Effect.flatMap(LanguageModel, (model) => model.generate(request))

/**
 * Whether the language model of the context takes a request, without sending it: numbers out of range, tools or images that
 * it does not have, an option that its API lacks, and a tool whose schema cannot be written for it, which the error names
 * with the place and the way out. For the start of a program, with the toolkit that it will use:
 * `LanguageModel.check({ prompt: "Hi", tools })`. What the vendor itself refuses is known only when it is asked.
 *
 * @since 0.1.0
 * @category accessors
 */
export const check = (request: Request): Effect.Effect<void, ModelError.ModelError, LanguageModel> =>
  Effect.flatMap(LanguageModel, (model) => model.check(request))

/**
 * Sends one request to the language model of the context and gives the reply as it comes.
 *
 * @since 0.1.0
 * @category accessors
 */
export const stream = (request: Request): Stream.Stream<StreamPart.StreamPart, LanguageModelError, LanguageModel> =>
  Stream.unwrap(Effect.map(LanguageModel, (model) => model.stream(request)))
