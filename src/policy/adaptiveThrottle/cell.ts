/** What an adaptive throttle keeps, and the steps that move it. */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { refusal, Throttled } from "../../error/PolicyError.ts"
import type * as Verdict from "../../error/Verdict.ts"
import { uniform } from "../../internal/seeded.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import type { AttemptResult, Gate, GatePermit } from "../shared/attempt.ts"
import * as Kernel from "./kernel.ts"

/** The public interface of the same name extends this one. */
export interface Cell {
  readonly name: string
  readonly settings: Kernel.Settings
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly state: Kernel.State
  readonly seed: number
  /** How many calls have asked: each of them draws anew. */
  asked: number
  refused: number
}

/** Whether a call goes through. */
export const admit = (cell: Cell, now: number): boolean => {
  cell.asked++
  const isAdmitted = Kernel.admit(cell.settings, cell.state, now, () => uniform(cell.seed, cell.asked))
  if (!isAdmitted) cell.refused++
  return isAdmitted
}

/** Fails with the refusal of a call at `now`, and reports it. */
export const refuse = (cell: Cell, now: number): Effect.Effect<never, Throttled> => {
  const { name } = cell
  const { accepts, requests } = Kernel.counts(cell.state, now)
  const fail = Effect.fail(refusal(Throttled, { name, requests, accepts }))
  return Effect.flatMap(
    Monitor.Monitor,
    (monitor) =>
      monitor === Monitor.silent ? fail : Effect.clockWith((clock) =>
        Effect.zipRight(
          Monitor.emit(Event.ThrottleRefused({ at: clock.unsafeCurrentTimeMillis(), name, requests, accepts })),
          fail
        )
      )
  )
}

/**
 * A call has ended. What the other side turned away, or was too weak to answer, was not accepted. An interruption tells
 * nothing, and so does a call that was never sent. What comes back is what the user's judge threw.
 */
export const settle = (
  cell: Cell,
  exit: Exit.Exit<unknown, unknown>,
  now: number
): Cause.Cause<never> | undefined => {
  if (Exit.isSuccess(exit)) {
    Kernel.settle(cell.state, true, now)
    return undefined
  }
  const error = Option.orElse(Cause.failureOption(exit.cause), () => Chunk.head(Cause.defects(exit.cause)))
  if (Option.isNone(error)) return undefined
  try {
    const { throttled, weighs } = cell.verdict(error.value)
    Kernel.settle(cell.state, !throttled && !weighs, now)
    return undefined
  } catch (thrown) {
    Kernel.settle(cell.state, false, now)
    return Cause.die(thrown)
  }
}

/** The throttle as a gate of an attempt. */
export const gate = (cell: Cell): Gate<unknown, Throttled> => {
  const permit: GatePermit<unknown> = {
    _tag: "GatePermit",
    settle: ({ exit, now, startedAt }: AttemptResult<unknown>) => {
      const defect = startedAt === undefined ? undefined : settle(cell, exit, now)
      return defect === undefined ? undefined : Effect.failCause(defect)
    }
  }
  return { admit: (now) => admit(cell, now) ? permit : { _tag: "GateRefusal", refuse: refuse(cell, now) } }
}
