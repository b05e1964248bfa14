/** Where the items of a batch come from: what is there is taken at once, what has to be waited for is read ahead. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"

export type Items<A, E = never, R = never> = Iterable<A> | Stream.Stream<A, E, R>

export type Taken<A> =
  | { readonly _tag: "Item"; readonly item: A }
  /** Nothing is there yet; whoever reads is told when there is. */
  | { readonly _tag: "Later" }
  | { readonly _tag: "Over" }

const later = { _tag: "Later" } as const
const over = { _tag: "Over" } as const

export interface Source<A, E = never, R = never> {
  readonly take: () => Taken<A>
  /** Reads ahead, for as long as it runs: one chunk, until that has been taken. `changed` is called when there is news. */
  readonly feed: (changed: () => void) => Effect.Effect<void, never, R>
  /**
   * Reads no further: what has been read can still be taken, and nothing else. Items whose number is known are all there
   * without reading, so nothing changes for them.
   */
  readonly close: () => void
  /** Whether it was closed before its end, so that there may be items that nobody has read. */
  readonly isLeft: () => boolean
  /** What reading ended with, if not well. */
  readonly failure: () => Cause.Cause<E> | undefined
}

const isStream = <A, E, R>(items: Items<A, E, R>): items is Stream.Stream<A, E, R> =>
  Stream.StreamTypeId in Object(items)

/** How many items there are, where that can be told without reading them. */
export const totalOf = (items: Items<unknown, unknown, unknown>): number | undefined => {
  if (isStream(items)) return undefined
  if (Array.isArray(items)) return items.length
  if (Chunk.isChunk(items)) return items.length
  return items instanceof Set || items instanceof Map ? items.size : undefined
}

export const of = <A, E, R>(items: Items<A, E, R>): Source<A, E, R> =>
  isStream(items) ? ofStream(items) : ofIterable(items)

const ofIterable = <A>(items: Iterable<A>): Source<A> => {
  let iterator: Iterator<A> | undefined
  let failure: Cause.Cause<never> | undefined
  let isClosed = false
  let isOver = false
  return {
    take: () => {
      if (isClosed || isOver) return over
      try {
        iterator ??= items[Symbol.iterator]()
        const next = iterator.next()
        if (next.done !== true) return { _tag: "Item", item: next.value }
        isOver = true
      } catch (error) {
        failure = Cause.die(error)
        isOver = true
      }
      return over
    },
    feed: () => Effect.void,
    close: () => {
      if (isClosed || isOver || totalOf(items) !== undefined) return
      isClosed = true
      // A generator gives back what it holds, as at the end of a loop that was left. What that throws changes nothing.
      try {
        iterator?.return?.()
      } catch {}
    },
    isLeft: () => isClosed,
    failure: () => failure
  }
}

const ofStream = <A, E, R>(items: Stream.Stream<A, E, R>): Source<A, E, R> => {
  let chunk: ReadonlyArray<A> = []
  let at = 0
  let isOver = false
  let isClosed = false
  let failure: Cause.Cause<E> | undefined
  let emptied: (() => void) | undefined
  const untilEmpty = Effect.async<void>((resume) => {
    if (at >= chunk.length) resume(Effect.void)
    else emptied = () => resume(Effect.void)
  })
  return {
    take: () => {
      const item = chunk[at]
      if (at < chunk.length) {
        at++
        // The type cannot tell a missing item from one that is undefined; the length has.
        return { _tag: "Item", item: item as A }
      }
      // Nothing is kept of what has been taken.
      chunk = []
      at = 0
      if (isClosed) return over
      const tell = emptied
      emptied = undefined
      tell?.()
      return isOver ? over : later
    },
    feed: (changed) =>
      Stream.runForEachChunk(items, (next) =>
        Effect.map(untilEmpty, () => {
          chunk = Chunk.toReadonlyArray(next)
          at = 0
          changed()
        })).pipe(
          Effect.exit,
          Effect.map((exit) => {
            // How a reader ends that nobody listens to any more is no failure of the batch.
            if (isClosed) return
            if (Exit.isFailure(exit)) failure = exit.cause
            isOver = true
            changed()
          })
        ),
    close: () => {
      isClosed = isClosed || !isOver
    },
    isLeft: () => isClosed,
    failure: () => failure
  }
}
