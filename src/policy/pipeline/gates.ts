/** The policies that admit calls, as gates of an attempt. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RateLimitExceeded } from "../../error/PolicyError.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import * as AdaptiveRetry from "../AdaptiveRetry.ts"
import * as Bulkhead from "../Bulkhead.ts"
import * as ConcurrencyLimit from "../ConcurrencyLimit.ts"
import * as RateLimiter from "../RateLimiter.ts"
import type { Granted } from "../RateLimitStore.ts"
import type { Ended, Entered, Gate } from "../shared/attempt.ts"

/** Why the call failed. Where it never began (a wait that a time-out ended), that tells nothing of the other side. */
const causeOf = ({ exit, startedAt }: Ended<unknown>): Cause.Cause<unknown> | undefined =>
  Exit.isSuccess(exit) ? undefined : startedAt === undefined ? Cause.empty : exit.cause

export { gate as circuitBreaker } from "../circuitBreaker/guard.ts"

/** Holds requests back in the mode `"rate"`, and takes in what becomes of those that were sent. */
export const adaptiveRetry = (self: AdaptiveRetry.AdaptiveRetry): Gate<unknown, never> => {
  const entered: Entered<unknown> = {
    _tag: "Entered",
    leave: ({ exit, now, startedAt }) => {
      if (startedAt !== undefined) AdaptiveRetry.unsafeSettle(self, exit, now)
      return undefined
    }
  }
  return {
    enter: (_, restore) =>
      AdaptiveRetry.unsafeHolds(self)
        ? { _tag: "Slow", enter: Effect.as(AdaptiveRetry.acquireWith(self, restore), entered) }
        : entered
  }
}

class BehindLimiter<in A> implements Entered<A> {
  readonly _tag = "Entered"
  readonly self: RateLimiter.RateLimiter
  readonly actual: RateLimiter.Cost<A>["actual"]
  readonly granted: Granted
  constructor(self: RateLimiter.RateLimiter, actual: RateLimiter.Cost<A>["actual"], granted: Granted) {
    this.self = self
    this.actual = actual
    this.granted = granted
  }
  leave({ exit, startedAt }: Ended<A>): Effect.Effect<void> | undefined {
    return startedAt === undefined
      ? RateLimiter.release(this.self, this.granted)
      : Exit.isSuccess(exit) && this.actual === undefined
      ? undefined
      : RateLimiter.settleExit(this.self, this.granted, exit, this.actual)
  }
}

export const rateLimiter = <A>(
  self: RateLimiter.RateLimiter,
  cost: RateLimiter.Cost<A>
): Gate<A, RateLimitExceeded> => {
  const entered = (granted: Granted): Entered<A> => new BehindLimiter(self, cost.actual, granted)
  return {
    enter: (now, restore) => {
      const admission = RateLimiter.unsafeAdmit(self, now, cost)
      return admission?._tag === "Granted" ? entered(admission) : {
        _tag: "Slow",
        enter: Effect.map(
          admission === undefined
            ? RateLimiter.reserveWith(self, cost, restore)
            : RateLimiter.enter(self, admission, restore),
          entered
        )
      }
    }
  }
}

class InBulkhead implements Entered<unknown> {
  readonly _tag = "Entered"
  readonly self: Bulkhead.Bulkhead<unknown>
  readonly permit: Bulkhead.Permit
  constructor(self: Bulkhead.Bulkhead<unknown>, permit: Bulkhead.Permit) {
    this.self = self
    this.permit = permit
  }
  get held(): boolean {
    return true
  }
  leave(): undefined {
    Bulkhead.unsafeSettle(this.self, this.permit)
  }
  protect<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Bulkhead.protect(this.self, this.permit, effect)
  }
}

export const bulkhead = <Refused>(self: Bulkhead.Bulkhead<Refused>): Gate<unknown, Refused> => {
  const entered = (permit: Bulkhead.Permit): Entered<unknown> => new InBulkhead(self, permit)
  return {
    enter: (_, restore) => {
      const permit = Bulkhead.unsafeAdmit(self)
      return permit === undefined
        ? { _tag: "Slow", enter: Effect.map(Bulkhead.queue(self, restore), entered) }
        : entered(permit)
    }
  }
}

class InLimit implements Entered<unknown> {
  readonly _tag = "Entered"
  readonly self: ConcurrencyLimit.ConcurrencyLimit<unknown>
  readonly permit: ConcurrencyLimit.Permit
  constructor(self: ConcurrencyLimit.ConcurrencyLimit<unknown>, permit: ConcurrencyLimit.Permit) {
    this.self = self
    this.permit = permit
  }
  get held(): boolean {
    return true
  }
  leave(ended: Ended<unknown>): Effect.Effect<void> | undefined {
    const event = ConcurrencyLimit.unsafeSettle(this.self, this.permit, causeOf(ended), ended.now)
    return event === undefined ? undefined : Monitor.emit(event)
  }
  protect<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return ConcurrencyLimit.protect(this.self, this.permit, effect)
  }
}

export const concurrencyLimit = <Refused>(
  self: ConcurrencyLimit.ConcurrencyLimit<Refused>
): Gate<unknown, Refused> => {
  const entered = (permit: ConcurrencyLimit.Permit): Entered<unknown> => new InLimit(self, permit)
  return {
    enter: (now, restore) => {
      const permit = ConcurrencyLimit.unsafeAdmit(self, now)
      return permit === undefined
        ? { _tag: "Slow", enter: Effect.map(ConcurrencyLimit.queue(self, restore), entered) }
        : entered(permit)
    }
  }
}
