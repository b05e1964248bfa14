/** The rate limiter of a pipeline. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RateLimitExceeded } from "../../error/PolicyError.ts"
import * as RateLimiter from "../RateLimiter.ts"
import type { Granted } from "../RateLimitStore.ts"
import type { AttemptResult, Gate, GatePermit } from "../shared/attempt.ts"
import * as Section from "../shared/section.ts"
import * as Call from "./call.ts"
import { form } from "./options.ts"

class LimiterPermit<in A> implements GatePermit<A> {
  readonly _tag = "GatePermit"
  readonly self: RateLimiter.RateLimiter
  readonly actual: RateLimiter.Cost<A>["actual"]
  readonly granted: Granted
  constructor(self: RateLimiter.RateLimiter, actual: RateLimiter.Cost<A>["actual"], granted: Granted) {
    this.self = self
    this.actual = actual
    this.granted = granted
  }
  settle({ exit, startedAt }: AttemptResult<A>): Effect.Effect<void> | undefined {
    return startedAt === undefined
      ? RateLimiter.release(this.self, this.granted)
      : Exit.isSuccess(exit) && this.actual === undefined
      ? undefined
      : Call.settleExit(this.self, this.granted, exit, this.actual)
  }
}

const gate = <A>(self: RateLimiter.RateLimiter, cost: RateLimiter.Cost<A>): Gate<A, RateLimitExceeded> => {
  const permitOf = (granted: Granted): GatePermit<A> => new LimiterPermit(self, cost.actual, granted)
  return {
    admit: (now, restore) => {
      const admission = Call.admit(self, now, cost)
      return admission?._tag === "Granted" ? permitOf(admission) : {
        _tag: "GateWait",
        permit: Effect.map(
          admission === undefined
            ? Call.reserve(self, cost, restore)
            : Call.enter(self, admission, restore),
          permitOf
        )
      }
    }
  }
}

export const section = Section.make({
  form,
  name: "rateLimiter",
  is: Section.marked<RateLimiter.RateLimiter>(RateLimiter.TypeId),
  make: RateLimiter.make,
  stage: { _tag: "Gate", gate: (self) => gate(self, {}), gateAtCost: gate },
  // The store knows what was used; it is told the limits with every call.
  keep: (now, next, _, { key }) =>
    Effect.succeed(
      now === undefined ? next : { ...next, store: now.store, key: key === undefined ? now.key : next.key }
    ),
  contradictions: ({ maxWait }, peers) =>
    Number.isFinite(maxWait) ? Section.below("maxWait", maxWait, "totalTimeout", peers.totalTimeout()) : [],
  describe: RateLimiter.describe,
  worst: ({ maxWait }, within) => ({ ...within, duration: within.duration + maxWait })
})
