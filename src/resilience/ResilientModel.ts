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
import type { PolicyError } from "../error/PolicyError.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import * as Pipeline from "../policy/Pipeline.ts"

/**
 * The model with the pipeline round each call. All attempts of one call carry the same idempotency key: the request's
 * own, or a fresh one.
 *
 * @since 0.1.0
 * @category combinators
 */
export const strengthen = <E extends LanguageModel.LanguageModelError, Refused extends PolicyError>(
  model: LanguageModel.Service<E>,
  pipeline: Pipeline.Pipeline<Refused>
): LanguageModel.Service<E | Refused> => ({
  name: model.name,
  provider: model.provider,
  capabilities: model.capabilities,
  generate: (request) =>
    Effect.flatMap(
      request.idempotencyKey === undefined
        ? LanguageModel.freshIdempotencyKey
        : Effect.succeed(request.idempotencyKey),
      (idempotencyKey) => Pipeline.apply(model.generate({ ...request, idempotencyKey }), pipeline)
    )
})

/**
 * Turns the `LanguageModel` below it into a stronger one under the same tag. Takes a pipeline, or the options of one;
 * options that cannot work fail the layer with `InvalidOptions`.
 *
 * @since 0.1.0
 * @category layers
 */
export function layer(
  pipeline: Pipeline.Pipeline<PolicyError>
): Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel>
export function layer(
  options: Pipeline.Options
): Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel>
export function layer(
  given: Pipeline.Pipeline<PolicyError> | Pipeline.Options
): Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel> {
  const pipeline: Effect.Effect<Pipeline.Pipeline<PolicyError>, InvalidOptions> = Pipeline.isPipeline(given)
    ? Effect.succeed(given)
    : Pipeline.make(given)
  return Layer.effect(LanguageModel.LanguageModel, Effect.zipWith(LanguageModel.LanguageModel, pipeline, strengthen))
}
