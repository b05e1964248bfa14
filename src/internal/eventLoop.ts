/**
 * Keeps the event loop free while many calls are busy at once. What a platform's client wakes runs to its end before anything
 * else does, so a hundred replies that come together, or two thousand calls that are begun together, hold up every timer and
 * every other socket of the process for as long as all of them take: 150 to 460 ms, measured with two thousand calls of which a
 * hundred are in flight.
 *
 * So a step of a call that takes a while asks for its turn first. Within {@link turnMillis} of a turn of the loop steps go
 * ahead at once, which is all that ever happens in a process that is not crowded. Later ones queue, and the loop goes round
 * between any two of them.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { elapsedMillis, isLive } from "./elapsed.ts"

/** How long steps go ahead at once in one turn of the loop, in milliseconds. */
const turnMillis = 5

/** When the steps of this turn have to queue; absent where this turn has had none. */
let turnEnd: number | undefined

/** First come, first served; a step that no longer waits is taken out. */
const queue = new Set<() => void>()

/** Browsers have none: there every step goes ahead at once. */
const canQueue = typeof setImmediate === "function"

const mayGoAhead = (clock: Clock.Clock): boolean => {
  // Virtual time stands still while work is done.
  if (!canQueue || !isLive(clock)) return true
  if (queue.size > 0) return false
  const now = elapsedMillis(clock)
  if (turnEnd !== undefined) return now < turnEnd
  turnEnd = now + turnMillis
  setImmediate(endTurn)
  return true
}

const endTurn = (): void => {
  turnEnd = undefined
}

/** Lets one step go ahead. An immediate that an immediate asks for runs in the next turn of the loop. */
const next = (): void => {
  const [goAhead] = queue
  if (goAhead === undefined) return
  queue.delete(goAhead)
  goAhead()
  if (queue.size > 0) setImmediate(next)
}

const queued: Effect.Effect<void> = Effect.async((resume) => {
  const goAhead = (): void => resume(Effect.void)
  queue.add(goAhead)
  if (queue.size === 1) setImmediate(next)
  return Effect.sync(() => queue.delete(goAhead))
})

/** Waits until the loop has time for a step that takes a while. */
export const ownTurn: Effect.Effect<void> = Effect.flatMap(
  Effect.clock,
  (clock) => mayGoAhead(clock) ? Effect.void : queued
)
