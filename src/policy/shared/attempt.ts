/**
 * Runs one attempt of a call behind its gates and under its deadlines. A gate admits the attempt and gives it a permit,
 * makes it wait for one, or refuses it; each permit is settled with the result of the attempt. Gates that admit at once
 * are all passed in one synchronous step, and one child fiber serves every time-out (see `childFiber`).
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { refusal, TimedOut } from "../../error/PolicyError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { Child, fork, type Surroundings, surroundingsOf } from "./childFiber.ts"
import { type Attempt, CurrentAttempt } from "./currentAttempt.ts"
import type { Restore } from "./region.ts"

/**
 * How an attempt ended, at `now`. Times are those of `elapsedMillis`; `startedAt` is absent where the call's own effect
 * never began.
 *
 * The engine makes the objects of a successful call from classes, not from literals. V8 may allocate the literals of hot
 * code in its old generation, where they keep everything they refer to until the next full collection. That doubled the
 * cost of a call.
 */
export class AttemptResult<out A> {
  readonly exit: Exit.Exit<A, unknown>
  readonly startedAt: number | undefined
  readonly now: number
  /**
   * When the other side had answered. That is `now`, but for a stream the moment of its first content: how long it goes on
   * after that says how much there is to say, not how well the other side is.
   */
  readonly answeredAt: number
  constructor(exit: Exit.Exit<A, unknown>, startedAt: number | undefined, now: number, answeredAt: number) {
    this.exit = exit
    this.startedAt = startedAt
    this.now = now
    this.answeredAt = answeredAt
  }
}

/** Why the call failed. Where it never began (a wait that a time-out ended), that tells nothing of the other side. */
export const causeOf = ({ exit, startedAt }: AttemptResult<unknown>): Cause.Cause<unknown> | undefined =>
  Exit.isSuccess(exit) ? undefined : startedAt === undefined ? Cause.empty : exit.cause

/**
 * What a gate gives to an attempt that it admits. `settle` is called exactly once, when the attempt has ended, and may
 * return an effect to run then, such as reporting an event. If it throws, or if that effect dies, that is a defect of the
 * call; the permits of the other gates are settled all the same.
 */
export interface GatePermit<in A> {
  readonly _tag: "GatePermit"
  readonly settle: (result: AttemptResult<A>) => Effect.Effect<void> | undefined
  /** Wraps the call's effect. It is called once all gates have admitted the attempt. */
  readonly protect?: <B, E, R>(effect: Effect.Effect<B, E, R>, startedAt: number) => Effect.Effect<B, E, R>
  /** Told when the other side begins to answer an attempt that answers in pieces. */
  readonly answer?: (now: number) => void
  /** Settled only when the work has really ended, also where a time-out has answered before. */
  readonly isHeldToEnd?: boolean
}

/** A gate that cannot decide at once: the effect waits for the permit, or refuses. It runs in an uninterruptible region. */
export interface GateWait<in A, out Refused> {
  readonly _tag: "GateWait"
  readonly permit: Effect.Effect<GatePermit<A>, Refused>
}

/** A gate that does not admit the attempt. */
export interface GateRefusal<out E> {
  readonly _tag: "GateRefusal"
  /** Fails with the refusal, and reports it. */
  readonly refuse: Effect.Effect<never, E>
}

/** Admits an attempt or refuses it. `restore` makes a wait interruptible, and ends it at the call's deadline. */
export interface Gate<in A, out E> {
  readonly admit: (now: number, restore: Restore) => GatePermit<A> | GateWait<A, E> | GateRefusal<E>
}

/** How long something may take, and what comes of it when it takes longer. */
export interface TimeLimit<out E> {
  readonly millis: number
  readonly exceeded: Effect.Effect<never, E>
}

/** Fails with `TimedOut` and reports it under that name. */
export const timeLimit = (name: string, phase: TimedOut["phase"], millis: number): TimeLimit<TimedOut> => {
  const limit = Duration.millis(millis)
  return {
    millis,
    exceeded: Effect.clockWith((clock) =>
      Effect.zipRight(
        Monitor.emit(Event.TimedOut({ at: clock.unsafeCurrentTimeMillis(), name, phase, limit })),
        Effect.fail(refusal(TimedOut, { phase, limit }))
      )
    )
  }
}

/** A moment (of `elapsedMillis`) at which something is over. That of a stream may move: see `streamedCall`. */
export interface Deadline<out E> {
  readonly at: number
  readonly exceeded: Effect.Effect<never, E>
}

/** A moment that stays. */
export class FixedDeadline<out E> implements Deadline<E> {
  readonly at: number
  readonly exceeded: Effect.Effect<never, E>
  constructor(from: number, { exceeded, millis }: TimeLimit<E>) {
    this.at = from + millis
    this.exceeded = exceeded
  }
}

/** Starts further attempts while a slow one still runs. */
export interface FurtherAttempts<A, E, R> {
  /** The moment (of `elapsedMillis`) at which the next one starts; `Infinity` for never. */
  readonly startAt: number
  /**
   * Takes over an attempt that still runs at that moment, or that has to wait at a gate. `attempt` is what remains of it;
   * it is run once, in any fiber, in an uninterruptible region.
   */
  readonly join: (attempt: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * A call as retries and hedges see it: something that can be run once, or several times. It is run in an uninterruptible
 * region that `restore` belongs to.
 */
export interface Runnable<A, E, R> {
  /** `current`: which attempt of a retry it is. `furtherAttempts`: starts further attempts when this one is slow. */
  runOnce(
    current: Attempt | undefined,
    furtherAttempts: FurtherAttempts<A, E, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ): Effect.Effect<A, E, R>
}

/** Runs it once, in a region of its own. */
export const runInOwnRegion = <A, E, R>(
  make: (surroundings: Surroundings<R>) => Runnable<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((caller, status) => {
    const surroundings = surroundingsOf<R>(caller, status.runtimeFlags)
    const runnable = make(surroundings)
    return Effect.uninterruptibleMask((restore) => runnable.runOnce(undefined, undefined, restore, surroundings))
  })

/** Runs the effect once, at most for the limit. */
export const withTimeLimit = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  limit: TimeLimit<Refused>
): Effect.Effect<A, E | Refused, R> =>
  runInOwnRegion(() => new GuardedEffect<A, E, R, Refused>(effect, [], undefined, limit))

/** An attempt that answers in pieces, as the one that runs it sees it. Its limits move, so they are looked at again. */
export interface AttemptInPieces<out E> extends Deadline<E> {
  /** It has begun to answer: no further attempt is started beside it. */
  readonly isAnswering: boolean
  /** When it began to answer; `now` where it did not. */
  readonly answeredAt: (now: number) => number
  /** Calls `act` when it begins to answer. */
  readonly whenAnswering: (act: (now: number) => void) => void
  /** Calls `wake` once when the deadline moves nearer, or has a moment after it had none. */
  readonly watch: (wake: () => void) => void
  readonly end: () => void
}

/** Makes an attempt that answers in pieces: admitted at `startedAt`, run by the fiber `owner`. */
export type BeginPieces<A, E, R, Refusal> = (
  startedAt: number,
  owner: Fiber.RuntimeFiber<unknown, unknown>
) => { readonly attempt: AttemptInPieces<Refusal>; readonly effect: Effect.Effect<A, E, R> }

/** An effect with its gates and its two time limits: what a retry and a hedge run again. */
export class GuardedEffect<A, E, R, Refusal> implements Runnable<A, E | Refusal, R> {
  readonly effect: Effect.Effect<A, E, R>
  readonly gates: ReadonlyArray<Gate<A, Refusal>>
  /** For the whole call, whatever it waits for. */
  readonly total: Deadline<Refusal> | undefined
  /** For one attempt, from when all gates are passed. */
  readonly limit: TimeLimit<Refusal> | undefined
  /** In place of the effect and of both limits, where attempts answer in pieces. */
  readonly pieces: BeginPieces<A, E, R, Refusal> | undefined

  constructor(
    effect: Effect.Effect<A, E, R>,
    gates: ReadonlyArray<Gate<A, Refusal>>,
    total: Deadline<Refusal> | undefined,
    limit: TimeLimit<Refusal> | undefined,
    pieces?: BeginPieces<A, E, R, Refusal>
  ) {
    this.effect = effect
    this.gates = gates
    this.total = total
    this.limit = limit
    this.pieces = pieces
  }

  runOnce(
    current: Attempt | undefined,
    furtherAttempts: FurtherAttempts<A, E | Refusal, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ): Effect.Effect<A, E | Refusal, R> {
    return new GuardedAttempt(this, current, furtherAttempts, restore, surroundings).run()
  }
}

const isAny = (): boolean => true
const isHeldToEnd = (permit: { readonly isHeldToEnd?: boolean }): boolean => permit.isHeldToEnd === true
const isReleasedEarly = (permit: { readonly isHeldToEnd?: boolean }): boolean => permit.isHeldToEnd !== true

/** Both, also where the first one dies. */
const both = (first: Effect.Effect<void>, second: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.matchCauseEffect(first, {
    onFailure: (cause) => Effect.zipRight(second, Effect.failCause(cause)),
    onSuccess: () => second
  })

/** The permits of the gates that admitted the attempt, the last one first. */
class PermitList<in A> {
  readonly permit: GatePermit<A>
  readonly previous: PermitList<A> | undefined
  constructor(permit: GatePermit<A>, previous: PermitList<A> | undefined) {
    this.permit = permit
    this.previous = previous
  }
}

/** Settles permits, the last one first. `isIncluded` leaves out those that are held while the work goes on. */
const settlePermits = <A>(
  last: PermitList<A> | undefined,
  result: AttemptResult<A>,
  isIncluded: (permit: GatePermit<A>) => boolean
): Effect.Effect<void> | undefined => {
  let after: Effect.Effect<void> | undefined
  for (let list = last; list !== undefined; list = list.previous) {
    if (!isIncluded(list.permit)) continue
    let next: Effect.Effect<void> | undefined
    try {
      next = list.permit.settle(result)
    } catch (defect) {
      next = Effect.die(defect)
    }
    if (next !== undefined) after = after === undefined ? next : both(after, next)
  }
  return after
}

/** The value of a wait that ended because it is time for a further attempt. */
const timeForAnother: unique symbol = Symbol("timeForAnother")
const giveTimeForAnother = (): Effect.Effect<typeof timeForAnother> => Effect.succeed(timeForAnother)

/** The value of a wait that ended because its deadline has moved. */
const timeToLook: unique symbol = Symbol("timeToLook")
const giveTimeToLook: Effect.Effect<typeof timeToLook> = Effect.succeed(timeToLook)

/** How much too early a timer of the platform may fire, in milliseconds. */
const timerTolerance = 1

/**
 * One running attempt: it passes the gates in order, then works until the nearer of the two deadlines. The permit of every
 * gate is settled exactly once, whatever happens and whenever the attempt is interrupted. It is run once, in an
 * uninterruptible region that `restore` belongs to.
 */
class GuardedAttempt<A, E, R, Refusal> {
  private readonly guarded: GuardedEffect<A, E, R, Refusal>
  /** Which attempt of a retry it is. */
  private readonly current: Attempt | undefined
  /** Absent once it has taken the attempt over. */
  private furtherAttempts: FurtherAttempts<A, E | Refusal, R> | undefined
  private readonly restore: Restore
  private readonly surroundings: Surroundings<R>
  private permits: PermitList<A> | undefined = undefined
  private startedAt: number | undefined = undefined
  private child: Child<A, E> | undefined = undefined
  /** The attempt, where it answers in pieces. */
  private pieces: AttemptInPieces<Refusal> | undefined = undefined

  constructor(
    guarded: GuardedEffect<A, E, R, Refusal>,
    current: Attempt | undefined,
    furtherAttempts: FurtherAttempts<A, E | Refusal, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ) {
    this.guarded = guarded
    this.current = current
    this.furtherAttempts = furtherAttempts
    this.restore = restore
    this.surroundings = surroundings
  }

  run(): Effect.Effect<A, E | Refusal, R> {
    return this.passGates(0)
  }

  private passGates(from: number): Effect.Effect<A, E | Refusal, R> {
    const { guarded: { gates, total }, surroundings } = this
    // All that happens in one step happens at one time; reading a clock costs as much as passing a gate.
    const now = elapsedMillis(surroundings.clock)
    for (let i = from; i < gates.length; i++) {
      let next: GatePermit<A> | GateWait<A, Refusal> | GateRefusal<Refusal> | undefined
      try {
        // Under a deadline the wait has a fiber of its own, which is ended on time even where the caller cannot be.
        const restore = total === undefined ? this.restore : Effect.interruptible
        next = gates[i]?.admit(now, restore)
      } catch (defect) {
        return this.failWith(Cause.die(defect))
      }
      if (next === undefined) continue
      if (next._tag === "GatePermit") this.permits = new PermitList(next, this.permits)
      else return next._tag === "GateWait" ? this.waitAtGate(next.permit, i) : this.refuseWith(next.refuse)
    }
    return this.startWork(now)
  }

  private refuseWith<E2>(refuse: Effect.Effect<never, E2>): Effect.Effect<never, E2> {
    return this.permits === undefined
      ? refuse
      : Effect.catchAllCause(refuse, (cause) => this.failWith(cause))
  }

  private waitAtGate(
    permit: Effect.Effect<GatePermit<A>, Refusal>,
    index: number
  ): Effect.Effect<A, E | Refusal, R> {
    const { furtherAttempts, guarded: { total } } = this
    const holdPermit = Effect.map(permit, (given) => {
      this.permits = new PermitList(given, this.permits)
    })
    const remainder = Effect.matchCauseEffect(total === undefined ? holdPermit : this.waitUntil(holdPermit, total), {
      onFailure: (cause) => this.failWith(cause),
      onSuccess: () => this.passGates(index + 1)
    })
    this.furtherAttempts = undefined
    return furtherAttempts === undefined ? remainder : furtherAttempts.join(remainder)
  }

  /** A permit that comes at the last moment is in `permits` and settled with the others. */
  private waitUntil<E2>(
    holdPermit: Effect.Effect<void, E2>,
    total: Deadline<Refusal>
  ): Effect.Effect<void, E2 | Refusal> {
    const { surroundings } = this
    let child: Child<void, E2> | undefined
    const waiting = Effect.suspend(() => {
      const started = new Child(
        fork(Effect.uninterruptible(holdPermit), surroundings, surroundings.context),
        surroundings
      )
      child = started
      return started.wait(total.at, () => this.stopAtDeadline(started.fiber, total))
    })
    return Effect.onError(this.restore(waiting), () => {
      child?.stopWaiting()
      return child === undefined ? Effect.void : Fiber.interrupt(child.fiber)
    })
  }

  /** The time is up, unless the deadline has moved meanwhile. */
  private lookAtDeadline(
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    deadline: Deadline<Refusal>
  ): Effect.Effect<typeof timeToLook, Refusal> {
    return deadline.at - elapsedMillis(this.surroundings.clock) < timerTolerance
      ? this.stopAtDeadline(fiber, deadline)
      : giveTimeToLook
  }

  /** The time is up: the work is interrupted, and nobody waits for it. */
  private stopAtDeadline(
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    deadline: Deadline<Refusal>
  ): Effect.Effect<never, Refusal> {
    fiber.unsafeInterruptAsFork(this.surroundings.caller.id())
    return deadline.exceeded
  }

  /** Runs the call: all gates have admitted it. */
  private startWork(startedAt: number): Effect.Effect<A, E | Refusal, R> {
    const { furtherAttempts, current, surroundings } = this
    this.startedAt = startedAt
    const begun = this.guarded.pieces?.(startedAt, surroundings.caller)
    this.pieces = begun?.attempt
    let call: Effect.Effect<A, E, R> = begun === undefined ? this.guarded.effect : begun.effect
    for (let each = this.permits; each !== undefined; each = each.previous) {
      const { permit } = each
      if (permit.protect !== undefined) call = permit.protect(call, startedAt)
      if (permit.answer !== undefined) begun?.attempt.whenAnswering((now) => permit.answer?.(now))
    }
    const deadline = begun === undefined ? this.nearerDeadline(startedAt) : begun.attempt
    if (deadline !== undefined || (furtherAttempts !== undefined && furtherAttempts.startAt !== Infinity)) {
      const { context } = surroundings
      const callContext = current === undefined ? context : Context.add(context, CurrentAttempt, current)
      return this.workUntil(call, callContext, deadline)
    }
    return Effect.matchCauseEffect(
      this.restore(current === undefined ? call : Effect.provideService(call, CurrentAttempt, current)),
      {
        onFailure: (cause) => this.failWith(cause),
        onSuccess: (value) => this.succeedWith(value)
      }
    )
  }

  private nearerDeadline(startedAt: number): Deadline<Refusal> | undefined {
    const { limit, total } = this.guarded
    return limit === undefined || (total !== undefined && total.at < startedAt + limit.millis)
      ? total
      : new FixedDeadline(startedAt, limit)
  }

  /** Runs the call in a child fiber, until the deadline or until it is time for a further attempt. */
  private workUntil(
    call: Effect.Effect<A, E, R>,
    context: Context.Context<R>,
    deadline: Deadline<Refusal> | undefined
  ): Effect.Effect<A, E | Refusal, R> {
    const { furtherAttempts, surroundings } = this
    const waiting = Effect.suspend((): Effect.Effect<A | typeof timeForAnother | typeof timeToLook, E | Refusal> => {
      const child = this.child ?? new Child(fork(call, surroundings, context), surroundings)
      this.child = child
      this.pieces?.watch(() => child.lookNow())
      return furtherAttempts !== undefined && (deadline === undefined || furtherAttempts.startAt < deadline.at)
        ? child.wait(furtherAttempts.startAt, giveTimeForAnother)
        : deadline === undefined
        ? child.wait(Infinity, giveTimeForAnother)
        : child.wait(deadline.at, () => this.lookAtDeadline(child.fiber, deadline))
    })
    return Effect.matchCauseEffect(this.restore(waiting), {
      onFailure: (cause) => this.failWait(cause),
      onSuccess: (value) => {
        if (value !== timeForAnother && value !== timeToLook) return this.succeedWith(value)
        const remainder = Effect.suspend(() => this.workUntil(call, context, deadline))
        if (value === timeToLook) return remainder
        this.furtherAttempts = undefined
        return furtherAttempts === undefined || this.pieces?.isAnswering === true
          ? remainder
          : furtherAttempts.join(remainder)
      }
    })
  }

  /** The wait for the work is over without a value: it failed, it took too long, or the caller was interrupted. */
  private failWait<E2>(cause: Cause.Cause<E2>): Effect.Effect<never, E2> {
    const { child } = this
    if (child === undefined) {
      this.startedAt = undefined
      return this.failWith(cause)
    }
    child.stopWaiting()
    return !child.isRunning()
      ? this.failWith(cause)
      : Cause.isInterrupted(cause)
      ? Effect.zipRight(Fiber.interrupt(child.fiber), Effect.suspend(() => this.failWith(cause)))
      : this.abandonWork(cause, child)
  }

  /** The time is up and the work goes on behind: what it holds is given back when it has really ended. */
  private abandonWork<E2>(cause: Cause.Cause<E2>, child: Child<A, E>): Effect.Effect<never, E2> {
    const { permits, surroundings } = this
    const exit = Exit.failCause(cause)
    child.fiber.addObserver(() => {
      const after = settlePermits(permits, this.resultOf(exit), isHeldToEnd)
      if (after !== undefined) fork(after, surroundings, surroundings.context)
    })
    const after = settlePermits(permits, this.resultOf(exit), isReleasedEarly)
    this.pieces?.end()
    return after === undefined ? exit : Effect.zipRight(after, exit)
  }

  private succeedWith(value: A): Effect.Effect<A> {
    return this.endWith(Exit.succeed(value))
  }

  private failWith<E2>(cause: Cause.Cause<E2>): Effect.Effect<never, E2> {
    return this.endWith(Exit.failCause(cause))
  }

  private endWith<A2 extends A, E2>(exit: Exit.Exit<A2, E2>): Effect.Effect<A2, E2> {
    const after = settlePermits(this.permits, this.resultOf(exit), isAny)
    this.pieces?.end()
    return after === undefined ? exit : Effect.zipRight(after, exit)
  }

  private resultOf(exit: Exit.Exit<A, unknown>): AttemptResult<A> {
    const now = elapsedMillis(this.surroundings.clock)
    return new AttemptResult(exit, this.startedAt, now, this.pieces === undefined ? now : this.pieces.answeredAt(now))
  }
}
