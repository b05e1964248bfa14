/**
 * The one engine for time-outs and hedges touches fibers by hand here, in `attempt` and in `hedge/race`, and nowhere else.
 *
 * The reasons are measured (µs a call, success path, two cores, Node 20): `Effect.timeout` takes 20, a child fiber with a
 * timer of the platform 6; a whole stack of policies from plain combinators takes 77 (28 with our time-out), fused 16.
 * Plain composition is also wrong in one place: a time-out inside of a bulkhead frees the permit while the work goes on.
 *
 * What costs, and so what is done here:
 * - a fiber costs most, so one child serves all time-outs of an attempt and the delay of its hedge;
 * - a timer under the live clock is a timer of the platform, not a fiber that sleeps;
 * - a child's fiber references are inherited only where it set any: inheriting took longer than all the rest.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import type * as FiberRefs from "effect/FiberRefs"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { elapsedMillis, isLive } from "../../internal/elapsed.ts"
import { longestTimer } from "./region.ts"

/** What a call runs in: its caller's context, clock, fiber references and interruptibility. */
export class Surroundings<in R> {
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

/** The surroundings of the running fiber, whose status tells its flags, for an effect that needs `R`. */
export const surroundingsOf = <R>(
  caller: Fiber.RuntimeFiber<unknown, unknown>,
  flags: RuntimeFlags.RuntimeFlags
): Surroundings<R> =>
  // An effect that needs `R` only runs in a fiber that has it.
  new Surroundings(caller, caller.currentContext as Context.Context<R>, flags)

/** The same for a fiber that begins within an uninterruptible region. */
export const uninterruptibly = <R>({ caller, context, flags }: Surroundings<R>): Surroundings<R> =>
  new Surroundings(caller, context, RuntimeFlags.disable(flags, RuntimeFlags.Interruption))

const runtimeOf = <R>(
  { caller, flags }: Surroundings<never>,
  context: Context.Context<R>
): Runtime.Runtime<R> => Runtime.make({ context, runtimeFlags: flags, fiberRefs: caller.getFiberRefs() })

export const noTimer = (): void => {}

/** Calls `act` when the time is up. Any clock but the live one is asked to sleep, so that virtual time rules. */
export const startTimer = (surroundings: Surroundings<never>, millis: number, act: () => void): () => void => {
  const { clock } = surroundings
  if (isLive(clock)) {
    // What the live clock does, without the fiber it would take. Beyond the longest timer a time-out is none.
    if (millis > longestTimer) return noTimer
    const timer = setTimeout(act, millis)
    return () => clearTimeout(timer)
  }
  const sleeper = Runtime.runFork(runtimeOf(surroundings, surroundings.context))(
    Effect.interruptible(clock.sleep(Duration.millis(millis)))
  )
  sleeper.addObserver((exit) => {
    if (Exit.isSuccess(exit)) act()
  })
  return () => {
    if (sleeper.unsafePoll() === null) sleeper.unsafeInterruptAsFork(sleeper.id())
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
 * context it ran in is not.
 */
export const inherited = <A, E>(
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  { caller, context }: Surroundings<never>,
  exit: Exit.Exit<A, E>
): Effect.Effect<A, E> =>
  setNothing(caller.getFiberRefs(), fiber.getFiberRefs())
    ? exit
    : fiber.inheritAll.pipe(Effect.zipRight(FiberRef.set(FiberRef.currentContext, context)), Effect.zipRight(exit))

/** How many fibers are being started, one within the other: recursion must not use up the stack of the platform. */
let depth = 0
const deepest = 16

/** Starts at once, which saves a turn of the scheduler. */
export const fork = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  surroundings: Surroundings<never>,
  context: Context.Context<R>
): Fiber.RuntimeFiber<A, E> => {
  depth++
  try {
    return Runtime.runFork(runtimeOf(surroundings, context), effect, { immediate: depth <= deepest })
  } finally {
    depth--
  }
}

/** Work in a fiber of its own, as seen from the one fiber that waits for it. It begins at once. */
export class Child<A, E> {
  readonly fiber: Fiber.RuntimeFiber<A, E>
  private readonly surroundings: Surroundings<never>
  private end: Effect.Effect<A, E> | undefined = undefined
  private wake: ((end: Effect.Effect<A, E>) => void) | undefined = undefined
  private stopTimer: () => void = noTimer
  private giveLate: () => void = noTimer

  constructor(fiber: Fiber.RuntimeFiber<A, E>, surroundings: Surroundings<never>) {
    this.fiber = fiber
    this.surroundings = surroundings
    fiber.addObserver((exit) => {
      this.stopTimer()
      this.end = inherited(fiber, surroundings, exit)
      this.wake?.(this.end)
    })
  }

  isRunning(): boolean {
    return this.end === undefined
  }

  /** How it ends, or what `late` gives at the moment `until` (of `elapsedMillis`) if it has not ended before. */
  wait<B, E2>(until: number, late: () => Effect.Effect<B, E2>): Effect.Effect<A | B, E | E2> {
    return this.end ?? Effect.async<A | B, E | E2>((resume) => {
      if (this.end !== undefined) return resume(this.end)
      const millisLeft = until - elapsedMillis(this.surroundings.clock)
      if (millisLeft <= 0) return resume(late())
      this.wake = resume
      this.giveLate = () => {
        this.wake = undefined
        resume(late())
      }
      if (millisLeft !== Infinity) this.stopTimer = startTimer(this.surroundings, millisLeft, this.giveLate)
      // Whom the caller waits for: a bulkhead asks that of the call that holds a permit.
    }, this.fiber.id())
  }

  /** The parent, where it waits, gets what comes late now. */
  lookNow(): void {
    if (this.wake === undefined) return
    this.stopTimer()
    this.giveLate()
  }

  /** The parent no longer waits. */
  stopWaiting(): void {
    this.stopTimer()
    this.wake = undefined
  }
}
