/**
 * All policies of a call as one value, in the one order that works, from the outside in: total time-out · retry (with
 * its budget) · hedge · circuit breaker · rate limiter · limits of calls in flight · attempt time-out · the call. A
 * fallback stands round a pipeline. It is made from options in code or from a policy file, checked as a whole, prints
 * itself with its worst case, and can take over another configuration while it runs.
 *
 * What is not a matter of order: no wait for a retry is begun that would end after the total time-out, so the caller gets
 * the error that was to be retried, with its hint, and gets it at once. A call that was given up by a time-out but goes
 * on behind (because it cannot be interrupted) keeps its place in the bulkhead until it has really ended. One child fiber
 * serves all time-outs of an attempt.
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
import type { BulkheadFull, CircuitOpen, RateLimitExceeded, Throttled, TimedOut } from "../error/PolicyError.ts"
import { type PipelineOf, pipelineOf, TypeId as mark } from "./pipeline/pipelineOf.ts"
import { sections } from "./pipeline/sections.ts"
import type * as PolicyConfig from "./PolicyConfig.ts"
import type * as RateLimiter from "./RateLimiter.ts"

const operations = pipelineOf(sections)

/**
 * What marks a value as a {@link Pipeline}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof mark = mark

/**
 * What a pipeline is made from. Everything may be left out; a pipeline of nothing changes nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends PolicyConfig.Options {}

/**
 * Everything that a pipeline can refuse.
 *
 * @since 0.1.0
 * @category errors
 */
export type AnyRefusal = CircuitOpen | Throttled | RateLimitExceeded | BulkheadFull | TimedOut

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
 * them contradict each other: an attempt's time-out must be less than the total one, the retry must not be able to wait
 * longer than that, a hedge must be able to start within an attempt, and so on.
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
 * The pipeline as JSON; {@link decode} gives a pipeline alike. A policy that was given as a value is shared with others
 * and is left out.
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
 * Takes over another configuration, for the calls that begin from now on; those that run end under the old one. The
 * whole of it is checked before anything changes. Breaker, limiter and bulkhead keep their state and only take over new
 * numbers, and so does a budget of the same form; a policy that is given as a value is used in place of the one before.
 * The name, the queue time-outs and the strategy of an adaptive limit stay.
 *
 * @since 0.1.0
 * @category operations
 */
export const reconfigure: {
  (options: Options): (self: Pipeline) => Effect.Effect<void, InvalidOptions>
  (self: Pipeline, options: Options): Effect.Effect<void, InvalidOptions>
} = operations.reconfigure

/**
 * {@link reconfigure} from a policy file that was read anew.
 *
 * @since 0.1.0
 * @category operations
 */
export const reload: {
  (json: unknown): (self: Pipeline) => Effect.Effect<void, InvalidOptions>
  (self: Pipeline, json: unknown): Effect.Effect<void, InvalidOptions>
} = operations.reload

/**
 * Strengthens an effect by all policies of the pipeline.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: Pipeline): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | AnyRefusal, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Pipeline): Effect.Effect<A, E | AnyRefusal, R>
} = operations.apply

/**
 * Like {@link apply}, telling the rate limiter what the call costs: tokens expected, and how to read the tokens used from
 * the result.
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

/**
 * The policies of a pipeline as they are now: read their state with their own modules.
 *
 * @since 0.1.0
 * @category getters
 */
export const policies = (self: Pipeline): PolicyConfig.Policies => operations.policies(self)

/**
 * The worst that a call through the pipeline can do: attempts in sequence, calls at the other side (hedges included),
 * time spent waiting between attempts, and time in all.
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
