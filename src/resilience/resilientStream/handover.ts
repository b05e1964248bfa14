/**
 * How what one fiber reads reaches the fiber that consumes it. The consumer asks, and gets an effect to go on with; a reader
 * that has something waits until it is asked for.
 *
 * Each side suspends once for each thing handed over, which costs about a microsecond. A fiber for each pull, which a
 * time-out could interrupt, costs 15, and a canceller of the consumer's wait 2.
 */
import * as Effect from "effect/Effect"
import type * as FiberId from "effect/FiberId"

export class Handover<A, E> {
  private consumer: ((next: Effect.Effect<A | undefined, E>) => void) | undefined = undefined
  private reader: ((go: Effect.Effect<void>) => void) | undefined = undefined
  /** What was given and not received: a consumer that was interrupted at that moment gets it when it asks again. */
  private given: A | undefined = undefined

  /** The consumer waits. */
  get isAsked(): boolean {
    return this.consumer !== undefined
  }

  /** For the reader: waits until the consumer asks. */
  readonly asked: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (this.consumer === undefined) this.reader = resume
    else resume(Effect.void)
  })

  /** The consumer, which must be waiting, gets `what`. */
  give(what: A): void {
    this.given = what
    this.goOn(this.received)
  }

  /** The consumer, where it waits, goes on with `next`. */
  goOn(next: Effect.Effect<A | undefined, E>): void {
    const { consumer } = this
    this.consumer = undefined
    consumer?.(next)
  }

  private readonly received: Effect.Effect<A | undefined> = Effect.sync(() => {
    const { given } = this
    this.given = undefined
    return given
  })

  /**
   * For the consumer: asks, and waits. `reader` is the fiber it waits for. `onAsk` runs before the reader does; where it
   * gives an effect, there is nothing to wait for.
   */
  take(
    reader: FiberId.FiberId,
    onAsk: () => Effect.Effect<A | undefined, E> | undefined
  ): Effect.Effect<A | undefined, E> {
    return Effect.async<A | undefined, E>((resume) => {
      if (this.given !== undefined) return resume(this.received)
      const ended = onAsk()
      if (ended !== undefined) return resume(ended)
      this.consumer = resume
      const { reader } = this
      if (reader === undefined) return
      this.reader = undefined
      reader(Effect.void)
    }, reader)
  }
}
