/**
 * A call at a rate limiter: how it reserves what it costs, waits for its turn, and what its end means for what it had
 * reserved. A pipeline runs the parts one by one; `apply` of the module runs them all.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import {
  BulkheadFull,
  CircuitOpen,
  RateLimitExceeded,
  refusal,
  SpendLimitExceeded,
  TimedOut
} from "../../error/PolicyError.ts"
import type { Verdict } from "../../error/Verdict.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import type { Admission, Granted, Local, RateLimitStore, Refused, Request } from "../RateLimitStore.ts"
import type { AttemptResult, Gate, GatePermit } from "../shared/attempt.ts"
import type { Restore } from "../shared/region.ts"
import type { Settings } from "./options.ts"

/** A limiter, as far as a call needs it. */
interface Limiter extends Settings {
  readonly verdict: (error: unknown) => Verdict
  readonly store: RateLimitStore
}

/** What a call costs. */
interface Cost<in A> {
  readonly tokens?: number | undefined
  readonly requests?: number | undefined
  readonly actual?: ((value: A) => number) | undefined
}

export const oneRequest: Cost<unknown> = {}

const requestOf = (self: Limiter, cost: Cost<never>): Request => ({
  key: self.key,
  limits: self.limits,
  maxWait: self.maxWait,
  requests: cost.requests === undefined ? 1 : clean(cost.requests),
  tokens: cost.tokens === undefined ? 0 : clean(cost.tokens)
})

/** Runs the effect when it is its turn, and settles what it had reserved. */
export const apply = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  self: Limiter,
  cost: Cost<A>
): Effect.Effect<A, E | RateLimitExceeded, R> =>
  Effect.uninterruptibleMask((restore) => {
    const { actual } = cost
    const run = (granted: Granted): Effect.Effect<A, E, R> => {
      let begun = false
      const body = restore(Effect.suspend(() => {
        begun = true
        return effect
      }))
      const failed = (cause: Cause.Cause<E>): Effect.Effect<never, E> =>
        Effect.zipRight(
          settle(self, granted, begun ? ofCause(cause, self) : unsent),
          Effect.failCause(cause)
        )
      return actual === undefined
        ? Effect.catchAllCause(body, failed)
        : Effect.matchCauseEffect(body, {
          onFailure: failed,
          onSuccess: (value) => Effect.as(settle(self, granted, ofUsage(value, actual)), value)
        })
    }
    const go = (admission: Admission): Effect.Effect<A, E | RateLimitExceeded, R> =>
      admission._tag === "Granted" ? run(admission) : Effect.flatMap(enter(self, admission, restore), run)
    const { local } = self.store
    return local === undefined
      ? Effect.flatMap(reserve(self, cost, restore), run)
      : Effect.clockWith((clock) => go(local.reserve(requestOf(self, cost), elapsedMillis(clock))))
  })

/**
 * What the limiter answers a call at `now` (elapsed milliseconds of the running `Clock`). Give what was granted to
 * {@link settleExit} when the call has ended, and anything else to {@link enter}. `undefined` where the store does not
 * live in this process: then {@link reserve}.
 */
export const admit = (self: Limiter, now: number, cost: Cost<never> = oneRequest): Admission | undefined =>
  self.store.local?.reserve(requestOf(self, cost), now)

/** Takes the cost of a call, waiting for its turn. To be run in an uninterruptible region whose mask gave `restore`. */
export const reserve = (
  self: Limiter,
  cost: Cost<never>,
  restore: Restore
): Effect.Effect<Granted, RateLimitExceeded> =>
  Effect.flatMap(self.store.reserve(requestOf(self, cost)), (admission) => enter(self, admission, restore))

const report = (event: (now: number) => Event.Event): Effect.Effect<void> =>
  Effect.clockWith((clock) => Monitor.emit(event(clock.unsafeCurrentTimeMillis())))

const refuse = ({ name }: Limiter, refused: Refused): Effect.Effect<never, RateLimitExceeded> => {
  const { reason } = refused
  // A store that somebody else wrote, or a pause without end, must not make an error that cannot be sent on.
  const retryAfter = Duration.millis(reason === "rate" ? clean(refused.retryAfter) : 0)
  const common = { name, retryAfter, reason }
  return Effect.zipRight(
    report((at) => Event.RateLimitRefused({ at, name, reason, retryAfter })),
    Effect.fail(refusal(
      RateLimitExceeded,
      refused.reason === "rate"
        ? common
        : { ...common, cost: refused.cost, limit: refused.limit, unit: refused.unit }
    ))
  )
}

/** Goes on when granted, waits for the turn, or fails. To be run in an uninterruptible region. */
export const enter = (
  self: Limiter,
  admission: Admission,
  restore: Restore
): Effect.Effect<Granted, RateLimitExceeded> => {
  switch (admission._tag) {
    case "Granted":
      return Effect.succeed(admission)
    case "Refused":
      return refuse(self, admission)
    case "Waiting": {
      const wait = Duration.millis(admission.wait)
      return Effect.flatMap(
        Effect.onError(
          Effect.zipRight(
            report((at) => Event.RateLimitDelayed({ at, name: self.name, wait })),
            restore(self.store.wait(admission))
          ),
          () => self.store.release(admission)
        ),
        (turn) => turn._tag === "Granted" ? Effect.succeed(turn) : refuse(self, turn)
      )
    }
  }
}

/** Reports a pause that begins now. */
export const reportPause = ({ name }: Limiter, millis: number): Effect.Effect<void> =>
  report((at) => Event.RateLimitPaused({ at, name, until: at + millis, wait: Duration.millis(millis) }))

/** Corrects a reservation, and reports the pause that comes of it. */
const settle = (
  self: Limiter,
  granted: Granted,
  correction: Correction | undefined
): Effect.Effect<void> =>
  correction === undefined ? Effect.void : Effect.flatMap(
    correct(self.store, granted, correction),
    (millis) => millis === undefined ? Effect.void : reportPause(self, millis)
  )

/** What follows the end of a granted call that was begun, for any store. */
export const settleExit = <A, E>(
  self: Limiter,
  granted: Granted,
  exit: Exit.Exit<A, E>,
  actual?: ((value: A) => number) | undefined
): Effect.Effect<void> =>
  settle(
    self,
    granted,
    exit._tag === "Failure"
      ? ofCause(exit.cause, self)
      : actual === undefined
      ? undefined
      : ofUsage(exit.value, actual)
  )

// What the end of a call means for what the call had reserved.

/** What a reservation is corrected by. */
interface Correction {
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
const unsent: Correction = { unsent: true, tokens: undefined, pause: undefined }

/** A policy of ours refused the call before it left the house. */
const isLocalRefusal = (error: unknown): boolean =>
  error instanceof BulkheadFull || error instanceof CircuitOpen || error instanceof RateLimitExceeded ||
  error instanceof SpendLimitExceeded || (error instanceof TimedOut && error.phase === "queue")

/** Interruptions and defects say nothing about what was billed, so the reservation stands. */
const ofCause = <E>(
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
const ofUsage = <A>(value: A, actual: (value: A) => number): Correction | undefined => {
  const tokens = actual(value)
  return Number.isNaN(tokens) ? undefined : { unsent: false, tokens: clean(tokens), pause: undefined }
}

/** Makes the correction, and tells for how many milliseconds the key is paused from now on if that is new. */
const makeLocally = (
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
const correct = (
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

// As a gate of an attempt.

class LimiterPermit<in A> implements GatePermit<A> {
  readonly _tag = "GatePermit"
  readonly self: Limiter
  readonly actual: Cost<A>["actual"]
  readonly granted: Granted
  constructor(self: Limiter, actual: Cost<A>["actual"], granted: Granted) {
    this.self = self
    this.actual = actual
    this.granted = granted
  }
  settle({ exit, startedAt }: AttemptResult<A>): Effect.Effect<void> | undefined {
    return startedAt === undefined
      ? this.self.store.release(this.granted)
      : Exit.isSuccess(exit) && this.actual === undefined
      ? undefined
      : settleExit(this.self, this.granted, exit, this.actual)
  }
}

export const gate = <A>(self: Limiter, cost: Cost<A>): Gate<A, RateLimitExceeded> => {
  const permitOf = (granted: Granted): GatePermit<A> => new LimiterPermit(self, cost.actual, granted)
  return {
    admit: (now, restore) => {
      const admission = admit(self, now, cost)
      return admission?._tag === "Granted" ? permitOf(admission) : {
        _tag: "GateWait",
        permit: Effect.map(
          admission === undefined
            ? reserve(self, cost, restore)
            : enter(self, admission, restore),
          permitOf
        )
      }
    }
  }
}
