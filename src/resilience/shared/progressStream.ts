/** Work that reports its progress, as a stream of the reports. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Take from "effect/Take"

/** How much may wait for a slow consumer. */
const buffered = 16

/**
 * Runs the work beside its consumer and emits what it reports, in order; it ends as the work ends. A consumer that takes
 * no more interrupts the work, and a slow one makes `report` wait.
 */
export const progressStream = <A, E, R>(
  work: (report: (progress: A) => Effect.Effect<void>) => Effect.Effect<unknown, E, R>
): Stream.Stream<A, E, R> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const queue = yield* Effect.acquireRelease(Queue.bounded<Take.Take<A, E>>(buffered), Queue.shutdown)
    yield* work((progress) => Effect.asVoid(Queue.offer(queue, Take.of(progress)))).pipe(
      Effect.matchCauseEffect({
        onFailure: (cause) => Queue.offer(queue, Take.failCause(cause)),
        onSuccess: () => Queue.offer(queue, Take.end)
      }),
      Effect.forkScoped
    )
    // One at a time: what is taken in chunks waits as well, and would double the buffer.
    return Stream.flattenTake(Stream.fromQueue(queue, { maxChunkSize: 1 }))
  }))
