/**
 * What a reply tells is left at the other side, brought up to now. Pure; times are milliseconds, amounts requests or tokens.
 *
 * A reply says what was left when its call came in. Since then the bucket has refilled, and other calls have taken from it:
 * a call that was sent at 10 s and is answered at 14 s with "5 000 tokens remain", at 60 000 tokens a minute, while calls of
 * 6 000 tokens were sent behind it, says that 5 000 + 4 × 1 000 − 6 000 = 3 000 are left now.
 *
 * This matters for what calls give back. Who reserves a long reply and gets a short one has used less, by our count; many
 * providers count the reservation all the same. So what is given back is held until replies show that the other side has
 * given it back, too.
 */

/** How much had been taken of a key until a moment. */
export interface Moment {
  readonly at: number
  readonly requests: number
  readonly tokens: number
}

/** What was left of the tokens at a moment, and how many had been taken by then. */
export interface Told {
  readonly at: number
  readonly left: number
  readonly taken: number
}

const minute = 60_000

/** A reply that is older says nothing about what is left: the bucket has been full again since. */
const validMillis = 2 * minute

/**
 * How much of the time since a call was sent is not counted as refilled: nobody knows when it came in at the other side.
 * It makes the other side's bucket hold a little more than is needed, which costs nothing.
 */
const wayShare = 0.25
const longestWay = 1_000

const refilled = (millis: number, perMinute: number): number => millis * perMinute / minute

/** What is left of one dimension now, of what was left when the call came in that was sent at `sentAt`. */
export const leftNow = (options: {
  readonly left: number
  readonly perMinute: number
  readonly sentAt: number
  readonly takenSince: number
  readonly now: number
}): number => {
  const { left, now, perMinute, sentAt, takenSince } = options
  if (!Number.isFinite(perMinute)) return left
  const since = Math.max(0, now - sentAt)
  const counted = since - Math.min(longestWay, since * wayShare)
  return Math.max(0, Math.min(Math.max(left, perMinute), left + refilled(counted, perMinute) - takenSince))
}

/** What of the told tokens is left now; nothing where that is not known. */
export const follow = (
  told: Told | undefined,
  perMinute: number,
  taken: number,
  now: number
): number | undefined =>
  told === undefined || now - told.at > validMillis || !Number.isFinite(perMinute)
    ? undefined
    : Math.max(0, told.left + refilled(now - told.at, perMinute) - (taken - told.taken))
