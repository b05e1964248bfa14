/** What the policies share that run a call within an uninterruptible region, and that wait. */
import type * as Effect from "effect/Effect"

/** Makes what is interruptible interruptible again, inside of `Effect.uninterruptibleMask`. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** The longest a timer of the platform can wait, in milliseconds. Whoever waits longer looks again then. */
export const longestTimer = 2 ** 31 - 1
