/**
 * Streams that survive: guarded by a pipeline to their end, with time-outs by phase, and healed where they break.
 *
 * **Guarded to the end.** A stream is one call of its pipeline until its `Finish`: it keeps its permits that long, its
 * reservation is settled with the usage that `Finish` tells, the breaker and the budget are told its true outcome, and a
 * total time-out is total. What learns from how long a call takes is told the time to the first content. Hedges race to the
 * first content. A probe of a half-open circuit breaker that is still going on at its `probeLimit` has succeeded where its
 * first content has come, so a long stream keeps a circuit half-open no longer than that.
 *
 * **Between two attempts** a stream holds no permit, so that others can use the wait. A bulkhead without a queue may then
 * refuse the next attempt: another call has taken the permit, or the attempt before it was timed out and still closes its
 * connection, which is when its permit is free. With `BulkheadFull` the stream ends, as its policy declares for a break. Give
 * a bulkhead round streams that are retried a `maxQueued` of its `maxConcurrent` or more.
 *
 * **Time-outs by phase** are data, in the field `stream` of the pipeline: `firstContent`, `idle` (between contents),
 * `liveness` (between any bytes) and `total`. Time in which the consumer does not ask for more never counts.
 *
 * **Before the first content** reaches the consumer a retry or a hedge is invisible. **After it** the policy's `onBreak`
 * decides, within the attempts of its `retry`:
 *
 * - `"fail"`: the error is `StreamBroken`, with everything that came.
 * - `"restart"`: a `Reset`, then the reply of a new attempt.
 * - `"resume"`: where the provider keeps replies (`LanguageModel.Resumable`) it goes on where it broke, and nothing is paid
 *   twice. Else, with `continuation: "allowed"` and a model that can, another request continues a text behind a `Seam`,
 *   never with a tool call in flight. Else it begins anew, is truncated or fails, as `otherwise` says. A kept reply that
 *   nobody wants any more is cancelled.
 * - `"truncate"`: a `Finish` with the reason `"truncated"` ends what came.
 *
 * A pipeline without a `stream` guards streams to their end, too, and passes on what breaks them as it is.
 *
 * What is kept of a stream does not depend on its length in the mode `"truncate"` and without a `stream`; the other modes
 * keep the text and the whole tool calls, up to `maxKept` characters, for the error.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
 * import * as ResilientStream from "effect-llm-resilience/resilience/ResilientStream"
 *
 * const program = Effect.gen(function*() {
 *   const pipeline = yield* Pipeline.make({
 *     stream: { firstContent: "30 seconds", idle: "20 seconds", onBreak: "restart" },
 *     retry: { backoff: "exponential", initial: "500 millis", attempts: 3 }
 *   })
 *   const stream = ResilientStream.strengthen(yield* LanguageModel.LanguageModel, pipeline)
 *   yield* stream({ prompt: "Tell me a story." }).pipe(
 *     Stream.runForEach((part) => Effect.log(part._tag === "TextDelta" ? part.text : part._tag))
 *   )
 * })
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Truncated } from "../error/ModelError.ts"
import type { StreamBroken } from "../error/PolicyError.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import type * as StreamPart from "../model/StreamPart.ts"
import * as Pipeline from "../policy/Pipeline.ts"
import { Run } from "./resilientStream/run.ts"
import { costOf, learning } from "./shared/limits.ts"

/**
 * What a strengthened stream can fail with: the model's own errors, the refusals of the pipeline, `StreamBroken` where the
 * policy gives up after the first content, and `Truncated` where the model's stream ended without a `Finish`.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure<E> = E | Pipeline.AnyRefusal | StreamBroken | Truncated

/**
 * The streams of a model, each run through the pipeline. All attempts of one run carry the same idempotency key: the
 * request's own, or a fresh one. The policies are those that the pipeline has when the stream is run.
 *
 * @since 0.1.0
 * @category combinators
 */
export const strengthen = <E extends LanguageModel.LanguageModelError>(
  model: LanguageModel.Service<E>,
  pipeline: Pipeline.Pipeline
): (request: LanguageModel.Request) => Stream.Stream<StreamPart.StreamPart, Failure<E>> =>
(given) =>
  Run.stream(Effect.map(LanguageModel.withIdempotencyKey(given), (request) => ({
    model,
    request,
    pipeline,
    policy: Pipeline.policies(pipeline).stream,
    cost: costOf(pipeline, request),
    learning: learning(pipeline)
  })))
