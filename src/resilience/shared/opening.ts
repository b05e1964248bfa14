/**
 * A stream as an effect up to its first content: until then nothing has reached the consumer, so policies that retry or
 * fall back may run it again without a trace.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as StreamPart from "../../model/StreamPart.ts"

/** A stream whose first parts have come. */
export interface Opened<out E> {
  /** The parts up to the first content; without content when the stream was over before. */
  readonly first: Chunk.Chunk<StreamPart.StreamPart>
  readonly remaining: Stream.Stream<StreamPart.StreamPart, E>
}

type Parts = Chunk.Chunk<StreamPart.StreamPart>

/** Pulls until a part shows something of the reply. */
const upToContent = <E>(
  pull: Effect.Effect<Parts, Option.Option<E>>,
  before: Parts
): Effect.Effect<Opened<E>, E> =>
  Effect.matchEffect(pull, {
    onFailure: (failure): Effect.Effect<Opened<E>, E> =>
      failure._tag === "Some" ? Effect.fail(failure.value) : Effect.succeed({ first: before, remaining: Stream.empty }),
    onSuccess: (chunk) => {
      const first = Chunk.appendAll(before, chunk)
      return Chunk.some(chunk, StreamPart.isContent)
        ? Effect.succeed({ first, remaining: Stream.repeatEffectChunkOption(pull) })
        : upToContent(pull, first)
    }
  })

/**
 * Starts the stream and waits for its first content. What the stream holds is kept in the given scope once it has begun,
 * and let go at once when it fails or is interrupted before.
 */
export const open = <E>(
  stream: Stream.Stream<StreamPart.StreamPart, E>,
  scope: Scope.Scope
): Effect.Effect<Opened<E>, E> =>
  Effect.acquireUseRelease(
    Scope.fork(scope, ExecutionStrategy.sequential),
    (own) => Effect.flatMap(Scope.extend(Stream.toPull(stream), own), (pull) => upToContent(pull, Chunk.empty())),
    (own, exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(own, exit)
  )

/** The stream again, with what has come of it. */
export const resume = <E>({ first, remaining }: Opened<E>): Stream.Stream<StreamPart.StreamPart, E> =>
  Stream.concat(Stream.fromChunk(first), remaining)
