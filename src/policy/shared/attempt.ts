/**
 * One attempt of a call, with everything that stands round it: the gates that admit it, the deadline that ends it. All
 * gates are passed in one synchronous step and one child fiber serves every time-out, because a fiber is what costs.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { refusal, TimedOut } from "../../error/PolicyError.ts"
import { isLive } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { type Attempt, CurrentAttempt } from "./currentAttempt.ts"
import { longestTimer, type Restore } from "./region.ts"

/**
 * How a call ended. Times are epoch milliseconds; `startedAt` is absent where the call's own effect never began.
 *
 * What every call makes is a class here and in `gates`, no literal: V8 may decide to make the literals of hot code among
 * its old objects, where they keep all they refer to until the next full collection; that doubled the cost of a call.
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
 * then, such as reporting an event.
 */
export interface Entered<in A> {
  readonly _tag: "Entered"
  readonly leave: (ended: Ended<A>) => Effect.Effect<void> | undefined
  /** The effect to run in place of the call's, which is sent now: all gates are passed. */
  readonly protect?: <B, E, R>(effect: Effect.Effect<B, E, R>, startedAt: number) => Effect.Effect<B, E, R>
  /** Held until the work has really ended, also where a time-out has answered before. */
  readonly held?: boolean
}

/** A gate that has to wait, or that refuses. The effect is run in an uninterruptible region. */
export interface Slow<in A, out Refused> {
  readonly _tag: "Slow"
  readonly enter: Effect.Effect<Entered<A>, Refused>
}

/** What admits a call or not. `restore` makes a wait interruptible, and ends it at the call's deadline. */
export interface Gate<in A, out Refused> {
  readonly enter: (now: number, restore: Restore) => Entered<A> | Slow<A, Refused>
}

/** A moment (epoch milliseconds) at which a call is over, and how long it had. */
export interface Deadline {
  readonly at: number
  readonly phase: TimedOut["phase"]
  readonly limit: number
}

export interface Limits {
  /** The name its events carry. */
  readonly name: string
  /** From when all gates are passed. */
  readonly attempt: { readonly limit: number; readonly phase: TimedOut["phase"] } | undefined
  /** For the whole call, whatever it waits for. */
  readonly total: Deadline | undefined
}

const noTimer = (): void => {}

/** Calls `act` when the time is up. Any clock but the live one is asked to sleep, so that virtual time rules. */
const startTimer = <R>(
  clock: Clock.Clock,
  millis: number,
  runtime: Runtime.Runtime<R>,
  act: () => void
): () => void => {
  if (isLive(clock)) {
    // What the live clock does, without the fiber it would take. Beyond the longest timer a time-out is none.
    if (millis > longestTimer) return noTimer
    const timer = setTimeout(act, Math.max(0, millis))
    return () => clearTimeout(timer)
  }
  const sleeper = Runtime.runFork(runtime)(
    Effect.interruptible(clock.sleep(Duration.millis(Math.max(0, millis))))
  )
  sleeper.addObserver((exit) => {
    if (Exit.isSuccess(exit)) act()
  })
  return () => {
    if (sleeper.unsafePoll() === null) sleeper.unsafeInterruptAsFork(sleeper.id())
  }
}

const late = (name: string, deadline: Deadline): Effect.Effect<never, TimedOut> =>
  Effect.clockWith((clock) => {
    const limit = Duration.millis(deadline.limit)
    const at = clock.unsafeCurrentTimeMillis()
    return Effect.zipRight(
      Monitor.emit(Event.TimedOut({ at, name, phase: deadline.phase, limit })),
      Effect.fail(refusal(TimedOut, { phase: deadline.phase, limit }))
    )
  })

/** What a call runs in: its caller's context, clock, fiber references and interruptibility. */
class Surroundings<in R> {
  readonly clock: Clock.Clock
  readonly caller: Fiber.RuntimeFiber<unknown, unknown>
  readonly context: Context.Context<R>
  readonly flags: RuntimeFlags.RuntimeFlags
  constructor(
    caller: Fiber.RuntimeFiber<unknown, unknown>,
    context: Context.Context<R>,
    flags: RuntimeFlags.RuntimeFlags
  ) {
    this.clock = Context.get(caller.currentDefaultServices, Clock.Clock)
    this.caller = caller
    this.context = context
    this.flags = flags
  }
}

const runtimeOf = <R>({ caller, flags }: Surroundings<never>, context: Context.Context<R>): Runtime.Runtime<R> =>
  Runtime.make({ context, runtimeFlags: flags, fiberRefs: caller.getFiberRefs() })

/** Work in a fiber of its own, seen from the fiber that waits for it. */
class Work<A, E> {
  /** From when it has begun. */
  fiber: Fiber.RuntimeFiber<A, E> | undefined = undefined
  stopTimer: () => void = noTimer
  /** How it ended, or that it took too long. */
  end: Effect.Effect<A, E | TimedOut> | undefined = undefined
  wake: ((end: Effect.Effect<A, E | TimedOut>) => void) | undefined = undefined
  isOver(): boolean {
    return this.end !== undefined
  }
}

/** The runtime flags that a fiber does not take over from one that it waited for. */
const ownFlags = RuntimeFlags.Interruption | RuntimeFlags.WindDown

/** Whether nothing was set in a fiber that the one waiting for it has to take over. By hand, for speed. */
const setNothing = (before: FiberRefs.FiberRefs, after: FiberRefs.FiberRefs): boolean => {
  let same = true
  after.locals.forEach((stack, ref) => {
    const had = before.locals.get(ref)
    if (stack === had || ref === FiberRef.currentContext) return
    const value: unknown = stack[0][1]
    const old: unknown = had?.[0][1]
    if (value === old) return
    const differ = ref !== FiberRef.currentRuntimeFlags || typeof value !== "number" || typeof old !== "number" ||
      ((value ^ old) & ~ownFlags) !== 0
    if (differ) same = false
  })
  return same
}

/**
 * The end of a child fiber, for its parent. As with any effect, what it sets in fiber references is seen after it; the
 * context it ran in is not. Taking over costs more than all the rest, and mostly there is nothing to take over.
 */
const inherited = <A, E>(
  fiber: Fiber.RuntimeFiber<A, E>,
  before: FiberRefs.FiberRefs,
  context: Context.Context<never>,
  exit: Exit.Exit<A, E>
): Effect.Effect<A, E> =>
  setNothing(before, fiber.getFiberRefs())
    ? exit
    : fiber.inheritAll.pipe(Effect.zipRight(FiberRef.set(FiberRef.currentContext, context)), Effect.zipRight(exit))

/** How many fibers are being started, one within the other: recursion must not use up the stack of the platform. */
let depth = 0
const deepest = 16

/** Starts at once, which saves a turn of the scheduler. */
const fork = <A, E, R>(runtime: Runtime.Runtime<R>, effect: Effect.Effect<A, E, R>): Fiber.RuntimeFiber<A, E> => {
  depth++
  try {
    return Runtime.runFork(runtime, effect, { immediate: depth <= deepest })
  } finally {
    depth--
  }
}

/**
 * Runs an effect in a fiber of its own and waits for it, at most until the deadline. Who is interrupted before that has
 * not begun it; who is interrupted while waiting has `work` to end.
 */
const runUntil = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  work: Work<A, E>,
  name: string,
  deadline: Deadline,
  surroundings: Surroundings<never>,
  context: Context.Context<R>
): Effect.Effect<A, E | TimedOut> =>
  Effect.suspend(() => {
    const { caller, clock } = surroundings
    const runtime = runtimeOf(surroundings, context)
    const ends = (end: Effect.Effect<A, E | TimedOut>): void => {
      work.end = end
      work.wake?.(end)
    }
    const ended = (exit: Exit.Exit<A, E>): void => {
      work.stopTimer()
      if (work.fiber !== undefined) ends(inherited(work.fiber, runtime.fiberRefs, surroundings.context, exit))
    }
    work.stopTimer = startTimer(clock, deadline.at - clock.unsafeCurrentTimeMillis(), runtime, () => {
      work.fiber?.removeObserver(ended)
      work.fiber?.unsafeInterruptAsFork(caller.id())
      ends(late(name, deadline))
    })
    if (!work.isOver()) {
      const fiber = fork(runtime, effect)
      work.fiber = fiber
      // A virtual clock may have been moved on by the work itself.
      if (work.isOver()) fiber.unsafeInterruptAsFork(caller.id())
      else fiber.addObserver(ended)
    }
    return work.end ?? Effect.async<A, E | TimedOut>((resume) => {
      if (work.end === undefined) work.wake = resume
      else resume(work.end)
    })
  })

/**
 * Enters a gate that waits, at most until the deadline of the call. What was got at the last moment is in `entered` and
 * given back with the rest.
 */
const enterUntil = <A, Refused>(
  enter: Effect.Effect<Entered<A>, Refused>,
  name: string,
  deadline: Deadline,
  surroundings: Surroundings<never>,
  restore: Restore,
  entered: Array<Entered<A>>
): Effect.Effect<void, Refused | TimedOut> => {
  const work = new Work<void, Refused>()
  const keep = Effect.uninterruptible(Effect.map(enter, (gate) => {
    entered.push(gate)
  }))
  return Effect.onError(restore(runUntil(keep, work, name, deadline, surroundings, surroundings.context)), () => {
    work.stopTimer()
    return work.fiber === undefined ? Effect.void : Fiber.interrupt(work.fiber)
  })
}

const soonest = (limits: Limits, now: number): Deadline | undefined => {
  const { attempt, total } = limits
  if (attempt === undefined) return total
  const at = now + attempt.limit
  return total !== undefined && total.at < at ? total : { at, phase: attempt.phase, limit: attempt.limit }
}

/** Leaves in the reverse order of entering; a gate that is held is left out where the work goes on. */
const leave = <A>(
  entered: ReadonlyArray<Entered<A>>,
  ended: Ended<A>,
  which: (gate: Entered<A>) => boolean
): Effect.Effect<void> | undefined => {
  let after: Effect.Effect<void> | undefined
  for (let i = entered.length - 1; i >= 0; i--) {
    const gate = entered[i]
    if (gate === undefined || !which(gate)) continue
    const next = gate.leave(ended)
    if (next !== undefined) after = after === undefined ? next : Effect.zipRight(after, next)
  }
  return after
}

const all = (): boolean => true
const isHeld = (gate: { readonly held?: boolean }): boolean => gate.held === true
const isFree = (gate: { readonly held?: boolean }): boolean => gate.held !== true

const following = <A, E, R>(
  after: Effect.Effect<void> | undefined,
  end: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => after === undefined ? end : Effect.zipRight(after, end)

/**
 * Runs the effect once: through the gates in order, then at most until the nearer of the two deadlines. Every gate that
 * was entered is left exactly once, whatever happens and whenever it is interrupted. Where it is an attempt of a retry,
 * the effect is told which one.
 */
export const attempt = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  gates: ReadonlyArray<Gate<A, Refused>>,
  limits: Limits,
  current?: Attempt
): Effect.Effect<A, E | Refused | TimedOut, R> =>
  Effect.withFiberRuntime<A, E | Refused | TimedOut, R>((caller, status) => {
    // An effect that needs `R` only runs in a fiber that has it.
    const surroundings = new Surroundings(caller, caller.currentContext as Context.Context<R>, status.runtimeFlags)
    return Effect.uninterruptibleMask((restore) => pass(effect, gates, limits, current, restore, surroundings))
  })

const pass = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  gates: ReadonlyArray<Gate<A, Refused>>,
  limits: Limits,
  current: Attempt | undefined,
  restore: Restore,
  surroundings: Surroundings<R>
): Effect.Effect<A, E | Refused | TimedOut, R> => {
  const { clock, context } = surroundings
  const entered: Array<Entered<A>> = []

  const enterFrom = (from: number): Effect.Effect<A, E | Refused | TimedOut, R> => {
    for (let i = from; i < gates.length; i++) {
      // Under a deadline the wait has a fiber of its own, which is ended on time even where the caller cannot be.
      const next = gates[i]?.enter(
        clock.unsafeCurrentTimeMillis(),
        limits.total === undefined ? restore : Effect.interruptible
      )
      if (next === undefined) continue
      if (next._tag === "Slow") {
        const { total } = limits
        return Effect.matchCauseEffect(
          total === undefined
            ? Effect.map(next.enter, (gate) => {
              entered.push(gate)
            })
            : enterUntil(next.enter, limits.name, total, surroundings, restore, entered),
          {
            onFailure: (cause) => over(cause, undefined),
            onSuccess: () => enterFrom(i + 1)
          }
        )
      }
      entered.push(next)
    }
    return run()
  }

  const over = <E2>(cause: Cause.Cause<E2>, startedAt: number | undefined): Effect.Effect<never, E2> => {
    const exit = Exit.failCause(cause)
    return following(leave(entered, new Ended(exit, startedAt, clock.unsafeCurrentTimeMillis()), all), exit)
  }

  const run = (): Effect.Effect<A, E | TimedOut, R> => {
    const startedAt = clock.unsafeCurrentTimeMillis()
    let call: Effect.Effect<A, E, R> = effect
    for (const gate of entered) if (gate.protect !== undefined) call = gate.protect(call, startedAt)
    const deadline = soonest(limits, startedAt)
    const onSuccess = (value: A): Effect.Effect<A> => {
      const exit = Exit.succeed(value)
      return following(leave(entered, new Ended(exit, startedAt, clock.unsafeCurrentTimeMillis()), all), exit)
    }
    if (deadline === undefined) {
      const told = current === undefined ? call : Effect.provideService(call, CurrentAttempt, current)
      return Effect.matchCauseEffect(restore(told), { onFailure: (cause) => over(cause, startedAt), onSuccess })
    }
    const work = new Work<A, E>()
    const told = current === undefined ? context : Context.add(context, CurrentAttempt, current)
    return Effect.matchCauseEffect(restore(runUntil(call, work, limits.name, deadline, surroundings, told)), {
      onFailure: (cause) => {
        const { fiber } = work
        work.stopTimer()
        return fiber === undefined
          ? over(cause, undefined)
          : fiber.unsafePoll() !== null
          ? over(cause, startedAt)
          : Cause.isInterrupted(cause)
          ? Effect.zipRight(Fiber.interrupt(fiber), Effect.suspend(() => over(cause, startedAt)))
          : abandoned(cause, startedAt, fiber)
      },
      onSuccess
    })
  }

  /** The time is up and the work goes on behind: what it holds is given back when it has really ended. */
  const abandoned = <E2>(
    cause: Cause.Cause<E2>,
    startedAt: number,
    fiber: Fiber.RuntimeFiber<A, E>
  ): Effect.Effect<never, E2> => {
    const exit = Exit.failCause(cause)
    fiber.addObserver(() => {
      const after = leave(entered, new Ended(exit, startedAt, clock.unsafeCurrentTimeMillis()), isHeld)
      if (after !== undefined) Runtime.runFork(runtimeOf(surroundings, context))(after)
    })
    return following(leave(entered, new Ended(exit, startedAt, clock.unsafeCurrentTimeMillis()), isFree), exit)
  }

  return enterFrom(0)
}
