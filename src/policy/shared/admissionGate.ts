/** A bulkhead or an adaptive limit as a gate of an attempt. */
import * as Effect from "effect/Effect"
import * as Admission from "./admission.ts"
import type { Ended, Entered, Gate } from "./attempt.ts"
import type { Permit } from "./permits.ts"
import { causeOf } from "./section.ts"

class Admitted implements Entered<unknown> {
  readonly _tag = "Entered"
  readonly self: Admission.Admission<unknown>
  readonly permit: Permit
  constructor(self: Admission.Admission<unknown>, permit: Permit) {
    this.self = self
    this.permit = permit
  }
  get held(): boolean {
    return true
  }
  leave(ended: Ended<unknown>): Effect.Effect<void> | undefined {
    return Admission.settle(this.self, this.permit, causeOf(ended), ended.now)
  }
  protect<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Admission.protect(this.self, this.permit, effect)
  }
}

export const gate = <Refused>(self: Admission.Admission<Refused>): Gate<unknown, Refused> => {
  const admitted = (permit: Permit): Entered<unknown> => new Admitted(self, permit)
  return {
    enter: (now, restore) => {
      const permit = Admission.admit(self, now)
      return permit === undefined
        ? { _tag: "Slow", enter: Effect.map(self.queue(restore), admitted) }
        : admitted(permit)
    }
  }
}
