/** What an adaptive retry does with one request: it holds it back before it is sent, and counts how it ended. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Verdict from "../../error/Verdict.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import type { Restore } from "../shared/region.ts"
import type { Cell } from "./cell.ts"
import type { Outcome } from "./kernel.ts"

/** What an `AdaptiveRetry` is to its parts. */
export interface Adaptive {
  readonly name: string
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly cell: Cell
}

/** A call that our own policies refused never reached the other side, so it says nothing about it. */
const refusals = new Set(["CircuitOpen", "BulkheadFull", "RateLimitExceeded", "SpendLimitExceeded"])

/** What an error says about the other side; nothing when one of our own policies refused the call. */
export const outcomeOf = (error: unknown, verdict: Verdict.Verdict): Option.Option<Outcome> =>
  refusals.has(Event.errorTag(error))
    ? Option.none()
    : Option.some(verdict.throttled ? "throttled" : verdict.weighs ? "failure" : "success")

/** Whether requests are held back now: in the mode `"rate"`, from the first throttle on. */
export const isHolding = ({ cell }: Adaptive): boolean => cell.fillRate() !== undefined

/** A waiter looks again at least this often (milliseconds), to notice a rate that has risen. */
const longestSleep = 1_000

/** Waits until the turn of a ticket. */
const waitFor = (cell: Cell, clock: Clock.Clock, ticket: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const wait = cell.waitOf(ticket, elapsedMillis(clock))
    return wait <= 0
      ? Effect.void
      : Effect.zipRight(
        Effect.sleep(Duration.millis(Math.min(longestSleep, Math.ceil(wait)))),
        waitFor(cell, clock, ticket)
      )
  })

/** Waits for the turn of one request. It is run in an uninterruptible region that `restore` belongs to. */
export const acquire = (self: Adaptive, restore: Restore): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const reservation = self.cell.reserve(elapsedMillis(clock))
    if (reservation === undefined || reservation.waitMillis <= 0) return Effect.void
    const { ticket, waitMillis } = reservation
    const at = clock.unsafeCurrentTimeMillis()
    const delayed = Event.RateLimitDelayed({ at, name: self.name, wait: Duration.millis(waitMillis) })
    return Effect.onInterrupt(
      restore(Effect.zipRight(Monitor.emit(delayed), waitFor(self.cell, clock, ticket))),
      () => Effect.sync(() => self.cell.cancel(ticket))
    )
  })

/** Counts how an attempt ended. Defects, interruption and the refusals of our own policies count for nothing. */
export const settle = (self: Adaptive, exit: Exit.Exit<unknown, unknown>, now: number): void => {
  const outcome = Exit.isSuccess(exit)
    ? Option.some<Outcome>("success")
    : Option.flatMap(Cause.failureOption(exit.cause), (error) => outcomeOf(error, self.verdict(error)))
  if (Option.isSome(outcome)) self.cell.record(outcome.value, now)
}
