/**
 * Streams that are pulled by hand. A chunk of a reply often comes alone, so what it costs is the hops it takes: a channel
 * inside another (`Stream.unwrapScoped`, `Stream.concat`) costs several microseconds for each chunk that passes (measured
 * in effect 3.22). A pull is one effect, and one channel stands between it and its consumer.
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Waits for more; fails with `None` at the end. It is not pulled again once it has failed. */
export type Pull<A, E, R = never> = Effect.Effect<Chunk.Chunk<A>, Option.Option<E>, R>

/** Each element as something else. */
export const mapped = <A, B, E, R>(pull: Pull<A, E, R>, f: (a: A) => B): Pull<B, E, R> => Effect.map(pull, Chunk.map(f))

const loop = <A, E, R>(
  pull: Pull<A, E, R>
): Channel.Channel<Chunk.Chunk<A>, unknown, Option.Option<E>, unknown, unknown, unknown, R> => {
  const pulled = Channel.fromEffect(pull)
  const next = (): ReturnType<typeof loop<A, E, R>> => Channel.flatMap(pulled, send)
  const send = (chunk: Chunk.Chunk<A>): ReturnType<typeof loop<A, E, R>> => Channel.flatMap(Channel.write(chunk), next)
  return next()
}

/**
 * What is pulled, as a stream. The pull is opened in a scope of its own, which is closed when the stream is over, has failed
 * or is no longer read.
 */
export const toStream = <A, E, E2, R, R2>(
  open: Effect.Effect<Pull<A, E, R>, E2, R2>
): Stream.Stream<A, E | E2, R | Exclude<R2, Scope.Scope>> => {
  const end = (failure: Option.Option<E | E2>) => Option.isSome(failure) ? Channel.fail(failure.value) : Channel.void
  return Stream.fromChannel(Channel.catchAll(
    Channel.acquireUseRelease(
      Scope.make(),
      (scope) => Channel.flatMap(Channel.fromEffect(Effect.mapError(Scope.extend(open, scope), Option.some)), loop),
      Scope.close
    ),
    end
  ))
}
