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
import * as Stream from "effect/Stream"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import * as Prompt from "../model/Prompt.ts"
import * as RateLimitInfo from "../model/RateLimitInfo.ts"
import * as Pipeline from "../policy/Pipeline.ts"
import * as RateLimiter from "../policy/RateLimiter.ts"
import * as Opening from "./shared/opening.ts"

/** What a reply told about the limits is told to the limiter, so that it need not find out by being refused. */
const learn = (
  pipeline: Pipeline.Pipeline,
  rateLimit: RateLimitInfo.RateLimitInfo | undefined
): Effect.Effect<void> => {
  const { rateLimiter } = Pipeline.policies(pipeline)
  return rateLimiter === undefined || rateLimit === undefined
    ? Effect.void
    : RateLimiter.learn(rateLimiter, RateLimitInfo.perMinute(rateLimit))
}

/** Through the pipeline, which is told what the call will probably cost, and then what it did cost. */
const guarded = <A, E>(
  call: Effect.Effect<A, E>,
  pipeline: Pipeline.Pipeline,
  request: LanguageModel.Request,
  used: (result: A) => number
): Effect.Effect<A, E | Pipeline.AnyRefusal> => {
  if (Pipeline.policies(pipeline).rateLimiter === undefined) return Pipeline.apply(call, pipeline)
  const tokens = estimatedTokens(request)
  return Pipeline.applyCost(call, pipeline, {
    tokens,
    // A provider that tells no usage leaves the estimate standing.
    actual: (result) => {
      const actual = used(result)
      return actual > 0 ? actual : tokens
    }
  })
}

const withKey = (request: LanguageModel.Request): Effect.Effect<LanguageModel.Request> =>
  request.idempotencyKey === undefined
    ? Effect.map(LanguageModel.freshIdempotencyKey, (idempotencyKey) => ({ ...request, idempotencyKey }))
    : Effect.succeed(request)

const limitsIn = ({ first }: Opening.Opened<unknown>): RateLimitInfo.RateLimitInfo | undefined => {
  for (const part of first) {
    if (part._tag === "Start") return part.rateLimit
  }
  return undefined
}

const usedBy = ({ first }: Opening.Opened<unknown>): number => {
  for (const part of first) {
    if (part._tag === "Finish") return part.usage.totalTokens
  }
  return 0
}

/**
 * The model with the pipeline round each call. All attempts of one call carry the same idempotency key: the request's
 * own, or a fresh one. A rate limiter in the pipeline is told what the request will probably cost in tokens (prompt, tools
 * and the longest reply allowed), then what the reply did cost, and what its headers said of the provider's limits.
 *
 * Of a stream the pipeline guards the time up to the first content: until then a retry is invisible, and the time-outs
 * count to the first content. What fails afterwards reaches the consumer as it is, and the permits of the pipeline are
 * given back when the content begins. The limiter's estimate stands unless the whole reply came in one burst.
 *
 * @since 0.1.0
 * @category combinators
 */
export const strengthen = <E extends LanguageModel.LanguageModelError>(
  model: LanguageModel.Service<E>,
  pipeline: Pipeline.Pipeline
): LanguageModel.Service<E | Pipeline.AnyRefusal> => ({
  name: model.name,
  provider: model.provider,
  capabilities: model.capabilities,
  generate: (given) =>
    Effect.flatMap(withKey(given), (request) => {
      const call = Effect.tap(model.generate(request), (response) => learn(pipeline, response.rateLimit))
      return guarded(call, pipeline, request, (response) => response.usage.totalTokens)
    }),
  stream: (given) =>
    Stream.unwrapScoped(Effect.gen(function*() {
      const request = yield* withKey(given)
      const scope = yield* Effect.scope
      const opening = Effect.suspend(() => Opening.open(model.stream(request), scope)).pipe(
        Effect.tap((opened) => learn(pipeline, limitsIn(opened)))
      )
      return Opening.resume<E | Pipeline.AnyRefusal>(yield* guarded(opening, pipeline, request, usedBy))
    })),
  check: model.check
})

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

// What a request will probably cost, before it is sent: enough for a limiter, which settles with the truth.

/**
 * English text has about four characters a token. Source:
 * https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them
 */
const charactersPerToken = 4

/** What an image costs at least at a usual size, in tokens. */
const tokensPerImage = 765

/** What a reply costs when the request does not bound it. */
const usualReply = 500

const lengthOf = (message: Prompt.Message): number =>
  message._tag === "System"
    ? message.content.length
    : message.content.reduce((sum, part) => {
      switch (part._tag) {
        case "Text":
        case "Reasoning":
          return sum + part.text.length
        case "Image":
          return sum + tokensPerImage * charactersPerToken
        case "ToolCall":
          return sum + part.name.length + part.arguments.length
        case "ProviderPart":
          return sum + part.providerMetadata.length
        case "ToolResult":
          return sum + part.content.length
      }
    }, 0)

/** Tokens of the prompt, the tools and the longest reply that is allowed. */
const estimatedTokens = (request: LanguageModel.Request): number => {
  const prompt = Prompt.make(request.prompt).messages.reduce((sum, message) => sum + lengthOf(message), 0)
  const tools = (request.tools?.definitions ?? [])
    .reduce((sum, tool) => sum + JSON.stringify(tool.parameters).length + (tool.description?.length ?? 0), 0)
  return Math.ceil((prompt + tools) / charactersPerToken) + (request.maxOutputTokens ?? usualReply)
}
