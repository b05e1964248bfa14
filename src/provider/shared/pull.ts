/**
 * Streams that are pulled by hand. A chunk of a reply often comes alone, so what it costs is the hops it takes: a channel
 * inside another (`Stream.unwrapScoped`, `Stream.concat`) costs several microseconds for each chunk that passes, and so does
 * `Stream.toPull`, which wraps each pull in two more effects (measured in effect 3.22). Here one channel stands between a
 * pull and its consumer.
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Gives the effect that waits for more: a chunk, or `Left` at the end. After that, and after a failure, nobody asks again. */
export type Pull<A, E, R = never> = () => Effect.Effect<Either.Either<Chunk.Chunk<A>, unknown>, E, R>

/** The stream to be pulled, for as long as the scope is open. */
export const fromStream = <A, E, R>(
  stream: Stream.Stream<A, E, R>
): Effect.Effect<Pull<A, E, R>, never, R | Scope.Scope> =>
  Effect.map(Channel.toPull(Stream.toChannel(stream)), (next) => () => next)

/** Each element as something else. */
export const mapped = <A, B, E, R>(pull: Pull<A, E, R>, f: (a: A) => B): Pull<B, E, R> => () =>
  Effect.map(pull(), Either.map(Chunk.map(f)))

type Out<A, E, R> = Channel.Channel<Chunk.Chunk<A>, unknown, E, unknown, unknown, unknown, R>

const all = <A, E, R>(pull: Pull<A, E, R>): Out<A, E, R> => {
  const next = (): Out<A, E, R> => Channel.flatMap(Channel.fromEffect(pull()), send)
  const send = (pulled: Either.Either<Chunk.Chunk<A>, unknown>): Out<A, E, R> =>
    Either.isRight(pulled) ? Channel.flatMap(Channel.write(pulled.right), next) : Channel.void
  return next()
}

/**
 * What is pulled, as a stream. The pull is opened in a scope of its own, which is closed when the stream is over, has failed
 * or is no longer read.
 */
export const toStream = <A, E, E2, R, R2>(
  open: Effect.Effect<Pull<A, E, R>, E2, R2>
): Stream.Stream<A, E | E2, R | Exclude<R2, Scope.Scope>> =>
  Stream.fromChannel(
    Channel.acquireUseRelease(
      Scope.make(),
      (scope): Out<A, E | E2, R | Exclude<R2, Scope.Scope>> =>
        Channel.flatMap(Channel.fromEffect(Scope.extend(open, scope)), all),
      Scope.close
    )
  )
