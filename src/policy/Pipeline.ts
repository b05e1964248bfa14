/**
 * All policies of a call in one value. Each call goes through them in this order, from the outside in: total time-out,
 * retry (with its budget), hedge, circuit breaker, rate limiter, limits of the calls in flight, attempt time-out. A
 * pipeline is made from options in code or from a policy file. It is checked as a whole, describes itself with its worst
 * case, and can take over other options while calls run.
 *
 * Two things do not follow from the order. A retry does not begin a wait that would end after the total time-out: the
 * caller gets the error of the last attempt, and gets it at once. And where a time-out ends a call whose work cannot be
 * interrupted, that work keeps its permit of the bulkhead until it has really ended.
 *
 * Which policies there are is a list in `pipeline/sections.ts`; a new one is a line in it.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
 *
 * const program = Effect.gen(function*() {
 *   const pipeline = yield* Pipeline.make({
 *     name: "openai",
 *     totalTimeout: "1 minute",
 *     retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 4 },
 *     retryBudget: "standard",
 *     circuitBreaker: {},
 *     rateLimiter: { requestsPerMinute: 500 },
 *     bulkhead: { maxConcurrent: 50, maxQueued: 100 },
 *     attemptTimeout: "10 seconds"
 *   })
 *   console.log(Pipeline.describe(pipeline))
 *   return yield* Effect.succeed("an answer").pipe(Pipeline.apply(pipeline))
 * })
 *
 * Effect.runPromise(program).then(console.log)
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { type PipelineOf, pipelineOf, TypeId as mark } from "./pipeline/pipelineOf.ts"
import { type Known, sections } from "./pipeline/sections.ts"
import type * as PolicyConfig from "./PolicyConfig.ts"
import type * as RateLimiter from "./RateLimiter.ts"
import type { RefusedBy } from "./shared/section.ts"
import type { StreamedWork, StreamLimits, StreamSignals } from "./shared/streamedCall.ts"

const operations = pipelineOf(sections)

/**
 * What marks a value as a {@link Pipeline}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof mark = mark

/**
 * What a pipeline is made from. Everything may be left out; a pipeline without policies changes nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends PolicyConfig.Options {}

/**
 * Everything that a call through a pipeline can be refused with. It is the same for every pipeline, because new options
 * may bring any policy while it runs.
 *
 * @since 0.1.0
 * @category errors
 */
export type AnyRefusal = RefusedBy<Known>

/**
 * A pipeline: all policies of a call.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pipeline extends PipelineOf<AnyRefusal, PolicyConfig.Policies> {}

/**
 * The pipeline of the running program, for {@link layer}.
 *
 * @since 0.1.0
 * @category tags
 */
export const Pipeline: Context.Tag<Pipeline, Pipeline> = Context.GenericTag<Pipeline>("effect-llm-resilience/Pipeline")

/**
 * Whether a value is a pipeline.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPipeline = (value: unknown): value is Pipeline =>
  typeof value === "object" && value !== null && TypeId in value

/**
 * A pipeline. Fails with one `InvalidOptions` that lists everything that is wrong with the options, also where two of
 * them contradict each other: the attempt time-out must be less than the total one, the retry must not be able to wait
 * longer than the total one, a hedge must be able to start within an attempt, and so on. A field that no policy has does
 * not compile.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <Field extends string = never>(
  options: Options & { readonly [Each in Field]?: Each extends keyof Options ? unknown : never }
): Effect.Effect<Pipeline, InvalidOptions> => operations.make(options)

/**
 * A pipeline from JSON, as a policy file holds it; see `PolicyConfig`. Fails with one `InvalidOptions` that lists every
 * wrong field.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<Pipeline, InvalidOptions> => operations.decode(json)

/**
 * The pipeline as JSON, from which {@link decode} makes an equal one. A policy that was given as a value is shared with
 * others and is left out.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (self: Pipeline): { readonly [field: string]: unknown } => operations.encode(self)

/**
 * A pipeline for everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Pipeline, InvalidOptions> =>
  Layer.effect(Pipeline, operations.make(options))

/**
 * Takes over other options, for the calls that begin from now on; those that run end under the old ones. All of them are
 * checked before anything changes. A circuit breaker, a rate limiter and the limits of calls in flight keep their state
 * and take over the new numbers, and so does a budget of the same form. A policy that is given as a value replaces the
 * one before. The name, the queue time-outs and the strategy of an adaptive limit cannot change.
 *
 * @since 0.1.0
 * @category operations
 */
export const reconfigure: {
  (options: Options): (self: Pipeline) => Effect.Effect<void, InvalidOptions>
  (self: Pipeline, options: Options): Effect.Effect<void, InvalidOptions>
} = operations.reconfigure

/**
 * {@link reconfigure} with the JSON of a policy file, for example after it has changed.
 *
 * @since 0.1.0
 * @category operations
 */
export const reload: {
  (json: unknown): (self: Pipeline) => Effect.Effect<void, InvalidOptions>
  (self: Pipeline, json: unknown): Effect.Effect<void, InvalidOptions>
} = operations.reload

/**
 * Runs an effect within all policies of the pipeline.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: Pipeline): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AnyRefusal, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Pipeline): Effect.Effect<A, E | AnyRefusal, R>
} = operations.apply

/**
 * Like {@link apply}, with what the call costs, for the rate limiter: the tokens that are expected, and how to read the
 * tokens that were used from the result.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyCost: {
  <A>(self: Pipeline, cost: RateLimiter.Cost<A>): <B extends A, E, R>(
    effect: Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E | AnyRefusal, R>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    self: Pipeline,
    cost: RateLimiter.Cost<A>
  ): Effect.Effect<A, E | AnyRefusal, R>
} = operations.applyCost

export type {
  /**
   * A stream to be run through a pipeline.
   *
   * @since 0.1.0
   * @category models
   */
  StreamedWork,
  /**
   * Milliseconds that the phases of a stream may take.
   *
   * @since 0.1.0
   * @category models
   */
  StreamLimits,
  /**
   * What an attempt of a stream tells its pipeline.
   *
   * @since 0.1.0
   * @category models
   */
  StreamSignals
}

/**
 * Runs a call whose result comes in pieces: each attempt runs to the end of its stream, and keeps its permits that long.
 * `ResilientStream` is made of this; it hands the pieces over by itself and tells the pipeline of them, so that time in
 * which nobody asks for more does not count, and a hedge ends at the first content.
 *
 * @since 0.1.0
 * @category low level
 */
export const applyStreamed = <A, E, R>(
  self: Pipeline,
  work: StreamedWork<A, E, R>
): Effect.Effect<A, E | AnyRefusal, R> => operations.applyStreamed(self, work)

/**
 * The policies of a pipeline as they are now. Their own modules read their state.
 *
 * @since 0.1.0
 * @category getters
 */
export const policies = (self: Pipeline): PolicyConfig.Policies => operations.policies(self)

/**
 * The worst case of one call through the pipeline: `attempts` in sequence, `calls` that the other side gets (hedges
 * included), the time between attempts (`wait`), and the time in all (`duration`).
 *
 * @since 0.1.0
 * @category interpreters
 */
export const bounds = (self: Pipeline): {
  readonly attempts: number
  readonly calls: number
  readonly wait: Duration.Duration
  readonly duration: Duration.Duration
} => operations.bounds(self)

/**
 * The pipeline in words: the policies in order with every number, and the worst case.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Pipeline): string => operations.describe(self)
