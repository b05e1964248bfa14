/** The adaptive limit of the calls in flight of a pipeline. */
import * as Effect from "effect/Effect"
import type { BulkheadFull, TimedOut } from "../../error/PolicyError.ts"
import * as ConcurrencyLimit from "../ConcurrencyLimit.ts"
import * as Admission from "../shared/admission.ts"
import type { Ended, Entered, Gate } from "../shared/attempt.ts"
import * as Section from "../shared/section.ts"
import { form } from "./options.ts"

class InLimit implements Entered<unknown> {
  readonly _tag = "Entered"
  readonly self: ConcurrencyLimit.ConcurrencyLimit
  readonly permit: ConcurrencyLimit.Permit
  constructor(self: ConcurrencyLimit.ConcurrencyLimit, permit: ConcurrencyLimit.Permit) {
    this.self = self
    this.permit = permit
  }
  get held(): boolean {
    return true
  }
  leave(ended: Ended<unknown>): Effect.Effect<void> | undefined {
    return ConcurrencyLimit.unsafeSettle(this.self, this.permit, Section.causeOf(ended), ended.now)
  }
  protect<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return ConcurrencyLimit.protect(this.self, this.permit, effect)
  }
}

const gate = (self: ConcurrencyLimit.ConcurrencyLimit): Gate<unknown, BulkheadFull | TimedOut> => {
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

export const section = Section.make({
  form,
  name: "concurrencyLimit",
  is: Section.marked<ConcurrencyLimit.ConcurrencyLimit>(ConcurrencyLimit.TypeId),
  make: ConcurrencyLimit.make,
  stage: { _tag: "Gate", gate },
  // What was learned stays, within the new bounds.
  keep: (now, next) =>
    now === undefined ? Effect.succeed(next) : ConcurrencyLimit.resize(now, {
      floor: next.cell.settings.floor,
      ceiling: next.cell.settings.ceiling,
      maxQueued: next.admission.gate.maxQueued
      // These are bounds of a limit.
    }).pipe(Effect.orDie, Effect.as(now)),
  fixed: ({ admission, cell }) => ({ queueTimeout: admission.queueTimeout, strategy: cell.settings.strategy }),
  contradictions: ({ admission }, peers) =>
    Section.below("queueTimeout", admission.queueTimeout, "totalTimeout", peers.totalTimeout()),
  describe: (self) => `adaptive limit ${ConcurrencyLimit.describe(self)}`,
  worst: ({ admission }, within) => ({ ...within, duration: within.duration + Admission.longestWait(admission) })
})
