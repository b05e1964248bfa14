/** The changes of circuits as a stream. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Change } from "./cell.ts"

/** What the listeners are told from the moment the stream is run; a slow reader loses the oldest beyond `kept`. */
export const changesOf = (listeners: Set<(change: Change) => void>, kept: number): Stream.Stream<Change> =>
  Stream.asyncPush<Change>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const listener = (change: Change): void => {
          emit.single(change)
        }
        listeners.add(listener)
        return listener
      }),
      (listener) => Effect.sync(() => listeners.delete(listener))
    ), { bufferSize: kept, strategy: "sliding" })
