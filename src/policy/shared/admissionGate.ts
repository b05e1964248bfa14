/** A bulkhead or an adaptive limit as a gate of an attempt. */
import * as Effect from "effect/Effect"
import * as Admission from "./admission.ts"
import type { AttemptResult, Gate, GatePermit } from "./attempt.ts"
import type { Permit } from "./permits.ts"
import { causeOf } from "./section.ts"

class AdmissionPermit implements GatePermit<unknown> {
  readonly _tag = "GatePermit"
  readonly self: Admission.Admission<unknown>
  readonly permit: Permit
  constructor(self: Admission.Admission<unknown>, permit: Permit) {
    this.self = self
    this.permit = permit
  }
  get isHeldToEnd(): boolean {
    return true
  }
  settle(result: AttemptResult<unknown>): Effect.Effect<void> | undefined {
    return Admission.settle(this.self, this.permit, causeOf(result), result.now)
  }
  protect<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Admission.protect(this.self, this.permit, effect)
  }
}

export const gate = <Refused>(self: Admission.Admission<Refused>): Gate<unknown, Refused> => {
  const permitOf = (permit: Permit): GatePermit<unknown> => new AdmissionPermit(self, permit)
  return {
    admit: (now, restore) => {
      const permit = Admission.tryAcquire(self, now)
      return permit === undefined
        ? { _tag: "GateWait", permit: Effect.map(self.acquire(restore), permitOf) }
        : permitOf(permit)
    }
  }
}
