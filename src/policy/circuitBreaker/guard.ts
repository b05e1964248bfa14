/**
 * How a call goes through a circuit: it is let through or refused, and the circuit is told how it ended. {@link apply}
 * does that round one effect, {@link gate} for the stack of policies that a pipeline passes in one step.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CircuitOpen } from "../../error/PolicyError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import type { AttemptResult, Gate, GatePermit, GateRefusal } from "../shared/attempt.ts"
import * as Cell from "./cell.ts"

/** A call that was let through a half-open circuit, and has no result yet. */
interface HeldProbe {
  readonly cell: Cell.Cell
  readonly ticket: Cell.Ticket
}

/**
 * The probes that the running call is part of. A call inside of a probe through the same circuit is part of that probe:
 * with a place of its own it would wait for the probe that waits for it, and with one place no probe could succeed.
 */
class HeldProbes extends Context.Reference<HeldProbes>()("effect-llm-resilience/CircuitBreaker/HeldProbes", {
  defaultValue: (): ReadonlyArray<HeldProbe> => []
}) {}

const isPartOfProbe = (self: Cell.CircuitBreaker, held: ReadonlyArray<HeldProbe>): boolean =>
  held.some(({ cell, ticket }) => cell === self.cell && Cell.isProbe(self, ticket))

/** Reports what the circuit has to tell, if anything. */
export const report = (self: Cell.CircuitBreaker): Effect.Effect<void> =>
  Effect.clockWith((clock) =>
    Effect.forEach(Cell.takeEvents(self, clock.unsafeCurrentTimeMillis()) ?? [], Monitor.emit, { discard: true })
  )

/** Does something to the circuit in one step, and reports what came of it. */
export const step = <A>(self: Cell.CircuitBreaker, act: (cell: Cell.Cell, now: number) => A): Effect.Effect<A> =>
  Effect.uninterruptible(Effect.clockWith((clock) => {
    const now = elapsedMillis(clock)
    Cell.catchUp(self.cell, now)
    const result = act(self.cell, now)
    return self.cell.pending === undefined ? Effect.succeed(result) : Effect.as(report(self), result)
  }))

/** The effect, after a report where there is something to report. */
const reporting = <A, E, R>(self: Cell.CircuitBreaker, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.cell.pending === undefined ? effect : Effect.zipRight(report(self), effect)

/** Where nobody listens, the event of a refusal is not even made. */
const reportRefused = ({ name, retryAfter }: CircuitOpen): Effect.Effect<void> =>
  Effect.clockWith((clock) =>
    Monitor.emit(Event.CircuitRefused({ at: clock.unsafeCurrentTimeMillis(), name, retryAfter }))
  )

/** Fails with the refusal of a call at `now`, and reports it. */
const refuse = (self: Cell.CircuitBreaker, now: number): Effect.Effect<never, CircuitOpen> => {
  const error = Cell.refusalAt(self, now)
  return reporting(
    self,
    Effect.withFiberRuntime<never, CircuitOpen>((fiber) =>
      Context.get(fiber.currentContext, Monitor.Monitor) === Monitor.silent
        ? Effect.fail(error)
        : Effect.zipRight(reportRefused(error), Effect.fail(error))
    )
  )
}

/** The call with a ticket that it got at `startedAt`: its end is told to the circuit. */
const settling = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  self: Cell.CircuitBreaker,
  ticket: Cell.Ticket,
  startedAt: number,
  clock: Clock.Clock
): Effect.Effect<A, E, R> =>
  Effect.matchCauseEffect(effect, {
    onFailure: (cause) => {
      const defect = Cell.fail(self, ticket, { startedAt, now: elapsedMillis(clock) }, cause)
      return reporting(self, Effect.failCause(defect ?? cause))
    },
    onSuccess: (value) => {
      const now = elapsedMillis(clock)
      Cell.succeed(self, ticket, startedAt, now, now)
      return reporting(self, Effect.succeed(value))
    }
  })

/** For a circuit that is not wide open: uninterruptible but for the call itself, so that every probe gives its place back. */
const applyGuarded = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  self: Cell.CircuitBreaker,
  clock: Clock.Clock
): Effect.Effect<A, E | CircuitOpen, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(HeldProbes, (held): Effect.Effect<A, E | CircuitOpen, R> => {
      const startedAt = elapsedMillis(clock)
      Cell.catchUp(self.cell, startedAt)
      if (isPartOfProbe(self, held)) return reporting(self, restore(effect))
      const ticket = Cell.admit(self, startedAt)
      if (ticket === Cell.refused) return refuse(self, startedAt)
      Cell.start(self, ticket, startedAt)
      return reporting(self, settling(restore(inside(effect, self, ticket, held)), self, ticket, startedAt, clock))
    })
  )

/** The call of a probe, which knows that it is one. */
const inside = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  self: Cell.CircuitBreaker,
  ticket: Cell.Ticket,
  held: ReadonlyArray<HeldProbe>
): Effect.Effect<A, E, R> =>
  Cell.isProbe(self, ticket)
    ? Effect.provideService(effect, HeldProbes, [...held, { cell: self.cell, ticket }])
    : effect

/** Runs the effect if the circuit lets it through; fails with `CircuitOpen` at once if not. */
export const apply = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  self: Cell.CircuitBreaker
): Effect.Effect<A, E | CircuitOpen, R> =>
  Effect.clockWith((clock): Effect.Effect<A, E | CircuitOpen, R> => {
    const startedAt = elapsedMillis(clock)
    const isShut = Cell.isShut(self.cell, startedAt)
    if (!isShut && !Cell.isWideOpen(self.cell)) return applyGuarded(effect, self, clock)
    // A call that is refused, or that goes through a closed circuit, holds nothing: interrupted, it counts for nothing,
    // and there is nothing to give back. So it needs no protection, which would cost more than all the rest.
    const ticket = Cell.admit(self, startedAt)
    return isShut ? refuse(self, startedAt) : settling(effect, self, ticket, startedAt, clock)
  })

/** A call behind the circuit. A class for speed: see `AttemptResult`. */
class BehindBreaker implements GatePermit<unknown> {
  readonly _tag = "GatePermit"
  readonly self: Cell.CircuitBreaker
  readonly ticket: Cell.Ticket
  readonly outer: ReadonlyArray<HeldProbe>
  constructor(self: Cell.CircuitBreaker, ticket: Cell.Ticket, outer: ReadonlyArray<HeldProbe>) {
    this.self = self
    this.ticket = ticket
    this.outer = outer
  }
  protect<A, E, R>(effect: Effect.Effect<A, E, R>, startedAt: number): Effect.Effect<A, E, R> {
    if (this.self.cell.state._tag === "Closed") return effect
    Cell.start(this.self, this.ticket, startedAt)
    return inside(effect, this.self, this.ticket, this.outer)
  }
  answer(now: number): void {
    Cell.answer(this.self, this.ticket, now)
  }
  settle(ended: AttemptResult<unknown>): Effect.Effect<void> | undefined {
    const { self, ticket } = this
    const { answeredAt, exit, now, startedAt } = ended
    if (Exit.isSuccess(exit)) Cell.succeed(self, ticket, startedAt ?? now, now, answeredAt)
    else {
      const defect = Cell.fail(self, ticket, ended, exit.cause)
      if (defect !== undefined) return reporting(self, Effect.failCause(defect))
    }
    return self.cell.pending === undefined ? undefined : report(self)
  }
}

const partOfProbe: GatePermit<unknown> = { _tag: "GatePermit", settle: () => undefined }

const noProbes: ReadonlyArray<HeldProbe> = []

/** A shut circuit asks nothing of the fiber. */
const refusedAt = (self: Cell.CircuitBreaker, now: number): GateRefusal<CircuitOpen> => {
  Cell.admit(self, now)
  return { _tag: "GateRefusal", refuse: refuse(self, now) }
}

/** The circuit as a gate of an attempt. A closed circuit lets a call through in no time. */
export const gate = (self: Cell.CircuitBreaker): Gate<unknown, CircuitOpen> => ({
  admit: (now) =>
    Cell.isWideOpen(self.cell)
      ? new BehindBreaker(self, Cell.admit(self, now), noProbes)
      : Cell.isShut(self.cell, now)
      ? refusedAt(self, now)
      : {
        _tag: "GateWait",
        permit: Effect.flatMap(HeldProbes, (held): Effect.Effect<GatePermit<unknown>, CircuitOpen> => {
          Cell.catchUp(self.cell, now)
          if (isPartOfProbe(self, held)) return reporting(self, Effect.succeed(partOfProbe))
          const ticket = Cell.admit(self, now)
          return ticket === Cell.refused
            ? refuse(self, now)
            : reporting(self, Effect.succeed(new BehindBreaker(self, ticket, held)))
        })
      }
})
