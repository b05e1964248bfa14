/** How a call gets its turn at a rate limiter, and what is reported on the way. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RateLimitExceeded, refusal } from "../../error/PolicyError.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import type { Admission, Granted, RateLimitStore, Refused } from "../RateLimitStore.ts"
import type { Restore } from "../shared/region.ts"
import * as Correction from "./correction.ts"

/** What of a limiter counts here. */
interface Limiter {
  readonly name: string
  readonly store: RateLimitStore
}

const tell = (event: (now: number) => Event.Event): Effect.Effect<void> =>
  Effect.clockWith((clock) => Monitor.emit(event(clock.unsafeCurrentTimeMillis())))

const refuse = ({ name }: Limiter, refused: Refused): Effect.Effect<never, RateLimitExceeded> => {
  const { reason } = refused
  // A store that somebody else wrote, or a pause without end, must not make an error that cannot be sent on.
  const retryAfter = Duration.millis(reason === "rate" ? Correction.clean(refused.retryAfter) : 0)
  const common = { name, retryAfter, reason }
  return Effect.zipRight(
    tell((at) => Event.RateLimitRefused({ at, name, reason, retryAfter })),
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
            tell((at) => Event.RateLimitDelayed({ at, name: self.name, wait })),
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
export const tellPaused = ({ name }: Limiter, millis: number): Effect.Effect<void> =>
  tell((at) => Event.RateLimitPaused({ at, name, until: at + millis, wait: Duration.millis(millis) }))

/** Corrects a reservation, and reports the pause that comes of it. */
export const settle = (
  self: Limiter,
  granted: Granted,
  correction: Correction.Correction | undefined
): Effect.Effect<void> =>
  correction === undefined ? Effect.void : Effect.flatMap(
    Correction.make(self.store, granted, correction),
    (millis) => millis === undefined ? Effect.void : tellPaused(self, millis)
  )
