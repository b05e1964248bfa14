/**
 * How what one fiber reads reaches the fiber that consumes it. The consumer asks, and gets an effect to go on with; nothing
 * is kept here, so a reader that has something waits until it is asked for.
 *
 * Each side suspends once for each thing handed over, which costs about a microsecond. A fiber for each pull, which a
 * time-out could interrupt, costs 15.
 */
import * as Effect from "effect/Effect"
import type * as FiberId from "effect/FiberId"

export class Handover<A, E> {
  private consumer: ((next: Effect.Effect<A, E>) => void) | undefined = undefined
  private reader: ((go: Effect.Effect<void>) => void) | undefined = undefined

  /** The consumer waits. */
  get isAsked(): boolean {
    return this.consumer !== undefined
  }

  /** For the reader: waits until the consumer asks. */
  readonly asked: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.consumer === undefined) this.reader = resume
    else resume(Effect.void)
  })

  /** The consumer, where it waits, goes on with `next`. */
  give(next: Effect.Effect<A, E>): void {
    const { consumer } = this
    this.consumer = undefined
    consumer?.(next)
  }

  /** For the consumer: asks, and waits. `reader`: the fiber it waits for. `onAsk` runs before the reader does. */
  take(reader: FiberId.FiberId, onAsk: () => void): Effect.Effect<A, E> {
    return Effect.async<A, E>((resume) => {
      this.consumer = resume
      onAsk()
      this.reader?.(Effect.void)
      this.reader = undefined
      // What is given after an interruption would be lost.
      return Effect.sync(() => {
        if (this.consumer === resume) this.consumer = undefined
      })
    }, reader)
  }
}
