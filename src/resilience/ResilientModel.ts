/**
 * Makes a language model stronger without changing what it is: the same tag, the same interface, with a pipeline round
 * every call. Tool handlers stay outside, so a retry never runs one again.
 *
 * @example
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
 * import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
 *
 * const Model = ResilientModel.layer({
 *   totalTimeout: "1 minute",
 *   retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 4 },
 *   attemptTimeout: "20 seconds"
 * }).pipe(
 *   Layer.provide(OpenAiChat.layerConfig()),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 *
 * export const program = LanguageModel.generate({ prompt: "Say hello." }).pipe(Effect.provide(Model))
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { ownTurn } from "../internal/eventLoop.ts"
import { definedFields } from "../internal/record.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import type { Response } from "../model/Response.ts"
import * as StreamPart from "../model/StreamPart.ts"
import * as Pipeline from "../policy/Pipeline.ts"
import * as ResilientStream from "./ResilientStream.ts"
import { costOf, estimatedTokens, learning } from "./shared/limits.ts"
import * as Tracing from "./shared/tracing.ts"

/** Through the pipeline, which is told what the call will probably cost, and then what it did cost. */
const guarded = <E>(
  call: Effect.Effect<Response, E>,
  pipeline: Pipeline.Pipeline,
  request: LanguageModel.Request
): Effect.Effect<Response, E | Pipeline.AnyRefusal> => {
  const cost = costOf(pipeline, request)
  return cost === undefined ? Pipeline.apply(call, pipeline) : Pipeline.applyCost(call, pipeline, {
    tokens: cost.tokens,
    actual: (response) => cost.actual(response.usage)
  })
}

/** What a span tells of a reply. */
const toldBy = ({ finishReason, id, model, parts, usage }: Response): Tracing.Told => ({
  id,
  model,
  finishReason,
  usage,
  content: parts
})

/**
 * The model with the pipeline round each call. All attempts of one call carry the same idempotency key: the request's
 * own, or a fresh one. A rate limiter in the pipeline is told what the request will probably cost in tokens (prompt, tools
 * and the longest reply allowed), then what the reply did cost, and what its headers said of the provider's limits.
 *
 * A stream is guarded to its end: see `ResilientStream`. A `generate` that asks to go over a stream (`via`) is the
 * strengthened stream, collected.
 *
 * @since 0.1.0
 * @category combinators
 */
export const strengthen = <E extends LanguageModel.LanguageModelError>(
  model: LanguageModel.Service<E>,
  pipeline: Pipeline.Pipeline
): LanguageModel.Service<ResilientStream.Failure<E>> => {
  const stream = ResilientStream.strengthen(model, pipeline)
  return {
    name: model.name,
    provider: model.provider,
    capabilities: withoutOwnResume(model.capabilities),
    generate: (given) =>
      given.via === "stream"
        ? StreamPart.collect(stream(given), { provider: model.provider, model: model.name })
        : Effect.flatMap(Effect.zipRight(ownTurn, LanguageModel.withIdempotencyKey(given)), (request) => {
          const attempt = Effect.flatMap(
            learning(pipeline),
            (learn) => Effect.tap(model.generate(request), (response) => learn(response.rateLimit))
          )
          return Tracing.call(
            guarded(Tracing.attempt(attempt, toldBy), pipeline, request),
            () => ({ model, request, stream: false, ...Tracing.policyOf(pipeline) }),
            toldBy
          )
        }),
    stream,
    check: model.check
  }
}

/** Its streams go on by themselves, so nobody else can. */
const withoutOwnResume = (capabilities: LanguageModel.Capabilities): LanguageModel.Capabilities =>
  capabilities.resume?.vendor === undefined
    ? capabilities
    : { ...capabilities, resume: definedFields({ continuation: capabilities.resume.continuation }) }

/**
 * Turns the `LanguageModel` below it into a stronger one under the same tag. Takes a pipeline, or the options of one;
 * options that cannot work fail the layer with `InvalidOptions`.
 *
 * @since 0.1.0
 * @category layers
 */
export function layer(
  pipeline: Pipeline.Pipeline
): Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel>
export function layer(
  options: Pipeline.Options
): Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel>
export function layer(
  given: Pipeline.Pipeline | Pipeline.Options
): Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel> {
  const pipeline: Effect.Effect<Pipeline.Pipeline, InvalidOptions> = Pipeline.isPipeline(given)
    ? Effect.succeed(given)
    : Pipeline.make(given)
  return Layer.effect(LanguageModel.LanguageModel, Effect.zipWith(LanguageModel.LanguageModel, pipeline, strengthen))
}

/**
 * What a request will probably cost in tokens, before it is sent: its prompt with the tools, at four characters a token, and
 * the longest reply it allows, 500 tokens where it allows any. A rate limiter is told the sum of both.
 *
 * @since 0.1.0
 * @category getters
 */
export const estimate: (
  request: LanguageModel.Request
) => { readonly prompt: number; readonly reply: number } = estimatedTokens
