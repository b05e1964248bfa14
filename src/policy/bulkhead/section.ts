/** The bulkhead of a pipeline. */
import * as Effect from "effect/Effect"
import type { BulkheadFull, TimedOut } from "../../error/PolicyError.ts"
import * as Bulkhead from "../Bulkhead.ts"
import * as Admission from "../shared/admission.ts"
import type { Entered, Gate } from "../shared/attempt.ts"
import * as Section from "../shared/section.ts"
import { form } from "./options.ts"

class InBulkhead implements Entered<unknown> {
  readonly _tag = "Entered"
  readonly self: Bulkhead.Bulkhead
  readonly permit: Bulkhead.Permit
  constructor(self: Bulkhead.Bulkhead, permit: Bulkhead.Permit) {
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

const gate = (self: Bulkhead.Bulkhead): Gate<unknown, BulkheadFull | TimedOut> => {
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

export const section = Section.make({
  form,
  name: "bulkhead",
  is: Section.marked<Bulkhead.Bulkhead>(Bulkhead.TypeId),
  make: Bulkhead.make,
  stage: { _tag: "Gate", gate },
  keep: (now, next) =>
    now === undefined ? Effect.succeed(next) : Bulkhead.resize(now, {
      maxConcurrent: next.admission.gate.limit,
      maxQueued: next.admission.gate.maxQueued
      // These are limits of a bulkhead.
    }).pipe(Effect.orDie, Effect.as(now)),
  fixed: ({ admission }) => ({ queueTimeout: admission.queueTimeout }),
  contradictions: ({ admission }, peers) =>
    Section.below("queueTimeout", admission.queueTimeout, "totalTimeout", peers.totalTimeout()),
  describe: (self) => Section.titled("bulkhead", Bulkhead.describe(self)),
  worst: ({ admission }, within) => ({ ...within, duration: within.duration + Admission.longestWait(admission) })
})
