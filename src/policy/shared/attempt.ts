/**
 * One attempt of a call, with everything that stands round it: the gates that admit it, the deadline that ends it. All
 * gates are passed in one synchronous step, and one child fiber serves every time-out (see `childFiber`).
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
 * How a call ended. Times are those of `elapsedMillis`; `startedAt` is absent where the call's own effect never began.
 *
 * All that every call makes on its way to success is a class, here and elsewhere in the engine, and no literal: V8 may
 * decide to make the literals of hot code among its old objects, where they keep all they refer to until the next full
 * collection; that doubled the cost of a call.
 */
export class Ended<out A> {
  readonly exit: Exit.Exit<A, unknown>
  readonly startedAt: number | undefined
  readonly now: number
  constructor(exit: Exit.Exit<A, unknown>, startedAt: number | undefined, now: number) {
    this.exit = exit
    this.startedAt = startedAt
    this.now = now
  }
}

/**
 * A gate has let a call through; `leave` is called exactly once when it has ended, and may give back something to do
 * then, such as reporting an event. Where it throws, or what it gives back dies, that is a defect of the call; the other
 * gates are left all the same.
 */
export interface Entered<in A> {
  readonly _tag: "Entered"
  readonly leave: (ended: Ended<A>) => Effect.Effect<void> | undefined
  /** The effect to run in place of the call's, which is sent now: all gates are passed. */
  readonly protect?: <B, E, R>(effect: Effect.Effect<B, E, R>, startedAt: number) => Effect.Effect<B, E, R>
  /** Held until the work has really ended, also where a time-out has answered before. */
  readonly held?: boolean
}

/** A gate that has to wait, or that may refuse. The effect is run in an uninterruptible region. */
export interface Slow<in A, out Refused> {
  readonly _tag: "Slow"
  readonly enter: Effect.Effect<Entered<A>, Refused>
}

/** A gate that does not let the call through. */
export interface Refused<out E> {
  readonly _tag: "Refused"
  /** Fails with the refusal, and reports it. */
  readonly refuse: Effect.Effect<never, E>
}

/** What admits a call or not. `restore` makes a wait interruptible, and ends it at the call's deadline. */
export interface Gate<in A, out E> {
  readonly enter: (now: number, restore: Restore) => Entered<A> | Slow<A, E> | Refused<E>
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

/** A moment (of `elapsedMillis`) at which a call is over. */
export class Deadline<out E> {
  readonly at: number
  readonly exceeded: Effect.Effect<never, E>
  constructor(from: number, { exceeded, millis }: TimeLimit<E>) {
    this.at = from + millis
    this.exceeded = exceeded
  }
}

/** What starts further attempts beside one that takes long. */
export interface Beside<A, E, R> {
  /** The moment (of `elapsedMillis`) from which on it wants to; `Infinity` for never. */
  readonly at: number
  /**
   * Goes on with an attempt that still runs at that moment, or that has to wait at a gate. `attempt` is its remainder; it
   * is run once, in whatever fiber, in an uninterruptible region.
   */
  readonly join: (attempt: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * What a call is to whatever stands round it: something that runs once, or again. It is run in an uninterruptible region
 * that `restore` belongs to.
 */
export interface Run<A, E, R> {
  /** `current`: which attempt of a retry it is. `beside`: what may start further attempts beside this one. */
  once(
    current: Attempt | undefined,
    beside: Beside<A, E, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ): Effect.Effect<A, E, R>
}

/** Runs it once, in a region of its own. */
export const runOnce = <A, E, R>(
  make: (surroundings: Surroundings<R>) => Run<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((caller, status) => {
    const surroundings = surroundingsOf<R>(caller, status.runtimeFlags)
    const run = make(surroundings)
    return Effect.uninterruptibleMask((restore) => run.once(undefined, undefined, restore, surroundings))
  })

/** Runs the effect once, at most for the limit. */
export const attempt = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  limit: TimeLimit<Refused>
): Effect.Effect<A, E | Refused, R> => runOnce(() => new GuardedEffect<A, E, R, Refused>(effect, [], undefined, limit))

/** An effect with its gates and its two time limits: what a retry and a hedge run again. */
export class GuardedEffect<A, E, R, Refusal> implements Run<A, E | Refusal, R> {
  readonly effect: Effect.Effect<A, E, R>
  readonly gates: ReadonlyArray<Gate<A, Refusal>>
  /** For the whole call, whatever it waits for. */
  readonly total: Deadline<Refusal> | undefined
  /** For one attempt, from when all gates are passed. */
  readonly limit: TimeLimit<Refusal> | undefined

  constructor(
    effect: Effect.Effect<A, E, R>,
    gates: ReadonlyArray<Gate<A, Refusal>>,
    total: Deadline<Refusal> | undefined,
    limit: TimeLimit<Refusal> | undefined
  ) {
    this.effect = effect
    this.gates = gates
    this.total = total
    this.limit = limit
  }

  once(
    current: Attempt | undefined,
    beside: Beside<A, E | Refusal, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ): Effect.Effect<A, E | Refusal, R> {
    return new GuardedAttempt(this, current, beside, restore, surroundings).run()
  }
}

const isAny = (): boolean => true
const isHeld = (gate: { readonly held?: boolean }): boolean => gate.held === true
const isFree = (gate: { readonly held?: boolean }): boolean => gate.held !== true

/** Both, also where the first one dies. */
const both = (first: Effect.Effect<void>, second: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.matchCauseEffect(first, {
    onFailure: (cause) => Effect.zipRight(second, Effect.failCause(cause)),
    onSuccess: () => second
  })

/** The gates that were entered, the last one first. */
class Passed<in A> {
  readonly gate: Entered<A>
  readonly before: Passed<A> | undefined
  constructor(gate: Entered<A>, before: Passed<A> | undefined) {
    this.gate = gate
    this.before = before
  }
}

/** Leaves in the reverse order of entering; a gate that is held is left out where the work goes on. */
const leave = <A>(
  last: Passed<A> | undefined,
  ended: Ended<A>,
  which: (gate: Entered<A>) => boolean
): Effect.Effect<void> | undefined => {
  let after: Effect.Effect<void> | undefined
  for (let passed = last; passed !== undefined; passed = passed.before) {
    if (!which(passed.gate)) continue
    let next: Effect.Effect<void> | undefined
    try {
      next = passed.gate.leave(ended)
    } catch (defect) {
      next = Effect.die(defect)
    }
    if (next !== undefined) after = after === undefined ? next : both(after, next)
  }
  return after
}

/** In place of a value: it is time for a further attempt. */
const isSlow: unique symbol = Symbol("isSlow")
const slow = (): Effect.Effect<typeof isSlow> => Effect.succeed(isSlow)

/**
 * One attempt on its way: through the gates in order, then at most until the nearer of the two deadlines. Every gate that
 * was entered is left exactly once, whatever happens and whenever it is interrupted. It is run once, in
 * an uninterruptible region, to which `restore` belongs.
 */
class GuardedAttempt<A, E, R, Refusal> {
  private readonly guarded: GuardedEffect<A, E, R, Refusal>
  /** Which attempt of a retry it is. */
  private readonly current: Attempt | undefined
  /** Until a further attempt has begun beside it. */
  private beside: Beside<A, E | Refusal, R> | undefined
  private readonly restore: Restore
  private readonly surroundings: Surroundings<R>
  private passed: Passed<A> | undefined = undefined
  private startedAt: number | undefined = undefined
  private child: Child<A, E> | undefined = undefined

  constructor(
    guarded: GuardedEffect<A, E, R, Refusal>,
    current: Attempt | undefined,
    beside: Beside<A, E | Refusal, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ) {
    this.guarded = guarded
    this.current = current
    this.beside = beside
    this.restore = restore
    this.surroundings = surroundings
  }

  run(): Effect.Effect<A, E | Refusal, R> {
    return this.enterFrom(0)
  }

  private enterFrom(from: number): Effect.Effect<A, E | Refusal, R> {
    const { guarded: { gates, total }, surroundings } = this
    // All that happens in one step happens at one time; reading a clock costs as much as passing a gate.
    const now = elapsedMillis(surroundings.clock)
    for (let i = from; i < gates.length; i++) {
      let next: Entered<A> | Slow<A, Refusal> | Refused<Refusal> | undefined
      try {
        // Under a deadline the wait has a fiber of its own, which is ended on time even where the caller cannot be.
        const restore = total === undefined ? this.restore : Effect.interruptible
        next = gates[i]?.enter(now, restore)
      } catch (defect) {
        return this.failed(Cause.die(defect))
      }
      if (next === undefined) continue
      if (next._tag === "Entered") this.passed = new Passed(next, this.passed)
      else return next._tag === "Slow" ? this.waitAt(next.enter, i) : this.refused(next.refuse)
    }
    return this.work(now)
  }

  private refused<E2>(refuse: Effect.Effect<never, E2>): Effect.Effect<never, E2> {
    return this.passed === undefined
      ? refuse
      : Effect.catchAllCause(refuse, (cause) => this.failed(cause))
  }

  private waitAt(
    enter: Effect.Effect<Entered<A>, Refusal>,
    index: number
  ): Effect.Effect<A, E | Refusal, R> {
    const { beside, guarded: { total } } = this
    const keep = Effect.map(enter, (gate) => {
      this.passed = new Passed(gate, this.passed)
    })
    const rest = Effect.matchCauseEffect(total === undefined ? keep : this.enterUntil(keep, total), {
      onFailure: (cause) => this.failed(cause),
      onSuccess: () => this.enterFrom(index + 1)
    })
    this.beside = undefined
    return beside === undefined ? rest : beside.join(rest)
  }

  /** What was got at the last moment is in `passed` and given back with the rest. */
  private enterUntil<E2>(keep: Effect.Effect<void, E2>, total: Deadline<Refusal>): Effect.Effect<void, E2 | Refusal> {
    const { surroundings } = this
    let child: Child<void, E2> | undefined
    const waiting = Effect.suspend(() => {
      const begun = new Child(fork(Effect.uninterruptible(keep), surroundings, surroundings.context), surroundings)
      child = begun
      return begun.wait(total.at, () => this.late(begun.fiber, total))
    })
    return Effect.onError(this.restore(waiting), () => {
      child?.forsake()
      return child === undefined ? Effect.void : Fiber.interrupt(child.fiber)
    })
  }

  /** The time is up: the work is interrupted, and nobody waits for it. */
  private late(
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    deadline: Deadline<Refusal>
  ): Effect.Effect<never, Refusal> {
    fiber.unsafeInterruptAsFork(this.surroundings.caller.id())
    return deadline.exceeded
  }

  /** All gates are passed. */
  private work(startedAt: number): Effect.Effect<A, E | Refusal, R> {
    const { beside, current, surroundings } = this
    this.startedAt = startedAt
    let call: Effect.Effect<A, E, R> = this.guarded.effect
    for (let each = this.passed; each !== undefined; each = each.before) {
      if (each.gate.protect !== undefined) call = each.gate.protect(call, startedAt)
    }
    const deadline = this.nearer(startedAt)
    if (deadline !== undefined || (beside !== undefined && beside.at !== Infinity)) {
      const { context } = surroundings
      const told = current === undefined ? context : Context.add(context, CurrentAttempt, current)
      return this.workUntil(call, told, deadline)
    }
    return Effect.matchCauseEffect(
      this.restore(current === undefined ? call : Effect.provideService(call, CurrentAttempt, current)),
      {
        onFailure: (cause) => this.failed(cause),
        onSuccess: (value) => this.succeeded(value)
      }
    )
  }

  private nearer(startedAt: number): Deadline<Refusal> | undefined {
    const { limit, total } = this.guarded
    return limit === undefined || (total !== undefined && total.at < startedAt + limit.millis)
      ? total
      : new Deadline(startedAt, limit)
  }

  /** In a child fiber, until the deadline, or until it is time for a further attempt beside it. */
  private workUntil(
    call: Effect.Effect<A, E, R>,
    context: Context.Context<R>,
    deadline: Deadline<Refusal> | undefined
  ): Effect.Effect<A, E | Refusal, R> {
    const { beside, surroundings } = this
    const waiting = Effect.suspend((): Effect.Effect<A | typeof isSlow, E | Refusal> => {
      const child = this.child ?? new Child(fork(call, surroundings, context), surroundings)
      this.child = child
      return beside !== undefined && (deadline === undefined || beside.at < deadline.at)
        ? child.wait(beside.at, slow)
        : deadline === undefined
        ? child.wait(Infinity, slow)
        : child.wait(deadline.at, () => this.late(child.fiber, deadline))
    })
    return Effect.matchCauseEffect(this.restore(waiting), {
      onFailure: (cause) => this.stopped(cause),
      onSuccess: (value) => {
        if (value !== isSlow) return this.succeeded(value)
        const rest = Effect.suspend(() => this.workUntil(call, context, deadline))
        this.beside = undefined
        return beside === undefined ? rest : beside.join(rest)
      }
    })
  }

  /** The wait for the work is over without a value: it failed, it took too long, or the caller was interrupted. */
  private stopped<E2>(cause: Cause.Cause<E2>): Effect.Effect<never, E2> {
    const { child } = this
    if (child === undefined) {
      this.startedAt = undefined
      return this.failed(cause)
    }
    child.forsake()
    return !child.isRunning()
      ? this.failed(cause)
      : Cause.isInterrupted(cause)
      ? Effect.zipRight(Fiber.interrupt(child.fiber), Effect.suspend(() => this.failed(cause)))
      : this.abandoned(cause, child)
  }

  /** The time is up and the work goes on behind: what it holds is given back when it has really ended. */
  private abandoned<E2>(cause: Cause.Cause<E2>, child: Child<A, E>): Effect.Effect<never, E2> {
    const { passed, surroundings } = this
    const exit = Exit.failCause(cause)
    child.fiber.addObserver(() => {
      const after = leave(passed, this.endedWith(exit), isHeld)
      if (after !== undefined) fork(after, surroundings, surroundings.context)
    })
    const after = leave(passed, this.endedWith(exit), isFree)
    return after === undefined ? exit : Effect.zipRight(after, exit)
  }

  private succeeded(value: A): Effect.Effect<A> {
    return this.left(Exit.succeed(value))
  }

  private failed<E2>(cause: Cause.Cause<E2>): Effect.Effect<never, E2> {
    return this.left(Exit.failCause(cause))
  }

  private left<A2 extends A, E2>(exit: Exit.Exit<A2, E2>): Effect.Effect<A2, E2> {
    const after = leave(this.passed, this.endedWith(exit), isAny)
    return after === undefined ? exit : Effect.zipRight(after, exit)
  }

  private endedWith(exit: Exit.Exit<A, unknown>): Ended<A> {
    return new Ended(exit, this.startedAt, elapsedMillis(this.surroundings.clock))
  }
}
