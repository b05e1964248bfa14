/** What the end of a call means for what the call had reserved. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { BulkheadFull, CircuitOpen, RateLimitExceeded, SpendLimitExceeded, TimedOut } from "../../error/PolicyError.ts"
import type { Verdict } from "../../error/Verdict.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import type { Granted, Local, RateLimitStore } from "../RateLimitStore.ts"

export interface Correction {
  /** Nothing went out: everything is given back. */
  readonly unsent: boolean
  /** The tokens that were used, where that is known. */
  readonly tokens: number | undefined
  /** Milliseconds for which the other side asked for silence. */
  readonly pause: number | undefined
}

/** A number that no arithmetic of a caller can break: `NaN` and less than nothing are nothing. */
export const clean = (amount: number): number => amount > 0 ? Math.min(amount, Number.MAX_SAFE_INTEGER) : 0

/** Nothing was sent. */
export const unsent: Correction = { unsent: true, tokens: undefined, pause: undefined }

/** A policy of ours refused the call before it left the house. */
const isLocalRefusal = (error: unknown): boolean =>
  error instanceof BulkheadFull || error instanceof CircuitOpen || error instanceof RateLimitExceeded ||
  error instanceof SpendLimitExceeded || (error instanceof TimedOut && error.phase === "queue")

/** Interruptions and defects say nothing about what was billed, so the reservation stands. */
export const ofCause = <E>(
  cause: Cause.Cause<E>,
  { longestHint, verdict }: { readonly longestHint: number; readonly verdict: (error: unknown) => Verdict }
): Correction | undefined => {
  const failure = Cause.failureOption(cause)
  if (Option.isNone(failure)) return undefined
  if (isLocalRefusal(failure.value)) return unsent
  const { billed, retryAfter, throttled } = verdict(failure.value)
  const tokens = billed === "no" ? 0 : undefined
  const pause = throttled && Option.isSome(retryAfter)
    ? Math.min(longestHint, Duration.toMillis(retryAfter.value))
    : undefined
  return tokens === undefined && pause === undefined ? undefined : { unsent: false, tokens, pause }
}

/** Where the usage is no number, the expectation stands. Where `actual` throws, that is a defect of the call. */
export const ofUsage = <A>(value: A, actual: (value: A) => number): Correction | undefined => {
  const tokens = actual(value)
  return Number.isNaN(tokens) ? undefined : { unsent: false, tokens: clean(tokens), pause: undefined }
}

/** Makes the correction, and tells for how many milliseconds the key is paused from now on if that is new. */
export const makeLocally = (
  local: Local,
  granted: Granted,
  correction: Correction,
  now: number
): number | undefined => {
  if (correction.unsent) local.release(granted, now)
  else if (correction.tokens !== undefined) local.settle(granted, correction.tokens, now)
  return correction.pause !== undefined && local.pause(granted.key, granted.limits, correction.pause, now)
    ? correction.pause
    : undefined
}

/** The same with a store that may live elsewhere. */
export const make = (
  store: RateLimitStore,
  granted: Granted,
  correction: Correction
): Effect.Effect<number | undefined> => {
  const { local } = store
  if (local !== undefined) {
    return Effect.clockWith((clock) => Effect.succeed(makeLocally(local, granted, correction, elapsedMillis(clock))))
  }
  const { pause, tokens } = correction
  return Effect.zipRight(
    correction.unsent ? store.release(granted) : tokens === undefined ? Effect.void : store.settle(granted, tokens),
    pause === undefined
      ? Effect.succeed(undefined)
      : Effect.map(store.pause(granted.key, granted.limits, pause), (extended) => extended ? pause : undefined)
  )
}
