/**
 * The race of the attempts of a hedged call, from when a further attempt is wanted. It runs outside of any fiber: the
 * attempts, each a fiber, report their end to it, and it decides at once.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Verdict from "../../error/Verdict.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { fork, inherited, noTimer, startTimer, type Surroundings, uninterruptibly } from "../shared/childFiber.ts"
import { type Budget, type CountedCall, type Grant, reportExhausted } from "../shared/currentAttempt.ts"
import type { Restore } from "../shared/region.ts"

/** The attempts have no ids yet, and a bulkhead must know that the caller waits for fibers. */
const someFiber = (): FiberId.FiberId => FiberId.unsafeMake()

/** Which attempt of a hedged call is running: 1 is the first, 2 and more are hedges. */
export class CurrentAttempt extends Context.Reference<CurrentAttempt>()("effect-llm-resilience/Hedge/CurrentAttempt", {
  defaultValue: (): number => 1
}) {}

/** What a race needs of a `Hedge`. */
export interface Hedging {
  readonly name: string
  readonly maxHedges: number
  readonly budget: Budget | "none"
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly delay: HedgeDelay
}

/** When a further attempt is started. */
export interface HedgeDelay {
  /** Milliseconds that the running attempts may take, as known now; `Infinity` where slowness starts none. */
  readonly millis: number
  /** Learns from how long a call took, in milliseconds; absent where nothing is learned. */
  record?(latencyMillis: number): void
}

/** What the race does after a failure. */
type Consequence = "end" | "next" | "wait"

/**
 * `Fail` ends the race. A plain transient failure lets the next attempt start at once when no other is running. After
 * anything else (a throttle, a hint to wait, a refusal of our own) another attempt now would be wrong: the running ones
 * may still win, but none is started.
 */
export const consequenceOf = (verdict: Verdict.Verdict): Consequence =>
  verdict.action === "Fail"
    ? "end"
    : verdict.action === "Retry" && !verdict.throttled && !verdict.forbidden && Option.isNone(verdict.retryAfter)
    ? "next"
    : "wait"

/** The typed failure of an attempt. After a defect, or where an attempt interrupted itself, nothing is repeated. */
export const retriableFailure = <E>(cause: Cause.Cause<E>): Option.Option<E> =>
  Option.isSome(Cause.dieOption(cause)) ? Option.none() : Cause.failureOption(cause)

interface Running<out A, out E> {
  readonly number: number
  readonly startedAt: number
  readonly fiber: Fiber.RuntimeFiber<A, E>
}

/** The permission for one more attempt: a budget's grant, or none where there is no budget. */
interface Permission {
  readonly grant: Grant | undefined
}

const unbounded: Permission = { grant: undefined }

export class HedgeRace<A, E, R> {
  private readonly hedge: Hedging
  /** A whole further attempt; it finds its number in `CurrentAttempt`. */
  private readonly nextAttempt: Effect.Effect<A, E, R>
  /** The call as the budget counts it; `undefined` without a budget. */
  private readonly counted: CountedCall | undefined
  private readonly surroundings: Surroundings<R>
  private readonly running = new Set<Running<A, E>>()
  private readonly startedAt: number
  /** How many attempts were started, the first included. */
  attempts = 0
  /** The number of the attempt that answered. */
  winner = 1
  /**
   * The start of the latency that the delay learns from. That is the call's start, because a hedge that wins must not make
   * first attempts look fast; it is the winner's own start if the first attempt had failed.
   */
  measuredFrom: number
  private firstFailure: Effect.Effect<never, E> | undefined
  private stopTimer: () => void = noTimer
  /** No further attempt is started: the budget is used up, or an error forbids it. */
  private isClosed = false
  private isDone = false
  /** The fiber that runs the attempt that goes on alone, because its stream has begun. */
  private decidedFor: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private resume: (result: Effect.Effect<A, E>) => void = () => undefined

  constructor(
    hedge: Hedging,
    again: Effect.Effect<A, E, R>,
    counted: CountedCall | undefined,
    startedAt: number,
    surroundings: Surroundings<R>
  ) {
    this.startedAt = startedAt
    this.measuredFrom = startedAt
    this.hedge = hedge
    this.nextAttempt = again
    this.counted = counted
    this.surroundings = surroundings
  }

  /** Goes on with the first attempt, and starts a further one `delay` milliseconds from now. */
  join(first: Effect.Effect<A, E, R>, delay: number, restore: Restore): Effect.Effect<A, E, R> {
    const racing = Effect.async<A, E>((resume) => {
      this.resume = resume
      this.catchingDefects(() => {
        this.start(first, uninterruptibly(this.surroundings), this.surroundings.context, this.startedAt)
        if (!this.isDone) this.armTimer(delay)
      })
    }, someFiber())
    return Effect.onError(
      restore(racing),
      // Interrupted before the race has begun, the first attempt ends here, in the fiber of its caller.
      () => this.attempts === 0 ? Effect.exit(first) : this.abandon()
    )
  }

  /** The first attempt, alone so far, has failed: replaces it. */
  replaceFirst(failed: Effect.Effect<never, E>, error: E, restore: Restore): Effect.Effect<A, E> {
    const racing = Effect.async<A, E>((resume) => {
      this.resume = resume
      this.attempts = 1
      this.firstFailure = failed
      this.catchingDefects(() => {
        this.replace(error)
        if (!this.isDone && this.running.size === 0) this.finish(failed)
      })
    }, someFiber())
    return Effect.onError(restore(racing), () => this.abandon())
  }

  /**
   * The caller was interrupted: interrupts every attempt and waits until they have ended. When the race is over already,
   * there is nothing to wait for.
   */
  private abandon(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isDone) return Effect.void
      this.isDone = true
      this.stopTimer()
      return Fiber.interruptAll(Array.from(this.running, (attempt) => attempt.fiber))
    })
  }

  /** Makes a defect in code of the user (a verdict, say) a defect of the call, not of the fiber in which it was thrown. */
  private catchingDefects(act: () => void): void {
    try {
      act()
    } catch (defect) {
      if (!this.isDone) this.finish(Effect.die(defect))
    }
  }

  private start(
    effect: Effect.Effect<A, E, R>,
    surroundings: Surroundings<R>,
    context: Context.Context<R>,
    startedAt: number,
    grant?: Grant
  ): void {
    const number = ++this.attempts
    // It starts on this very stack: one that ends without waiting costs no turn of the scheduler.
    const fiber = fork(effect, surroundings, context)
    const attempt = { number, startedAt, fiber }
    this.running.add(attempt)
    fiber.addObserver((exit) => {
      this.running.delete(attempt)
      if (grant !== undefined) this.counted?.settle(grant, Exit.isSuccess(exit))
      // The result of an attempt that lost is dropped.
      if (!this.isDone && !this.hasLost(attempt)) this.catchingDefects(() => this.settleAttempt(attempt, exit))
    })
  }

  /** The stream of the attempt that the fiber `owner` runs has begun: the others end, and no further one starts. */
  decide(owner: Fiber.RuntimeFiber<unknown, unknown>): void {
    if (this.isDone || this.decidedFor !== undefined) return
    this.decidedFor = owner
    this.isClosed = true
    this.stopTimer()
    for (const each of this.running) {
      if (this.hasLost(each)) each.fiber.unsafeInterruptAsFork(this.surroundings.caller.id())
    }
  }

  /** Another attempt's stream has begun. The first attempt was begun by the caller, each further one by its own fiber. */
  private hasLost({ fiber, number }: Running<A, E>): boolean {
    const { decidedFor, surroundings } = this
    if (decidedFor === undefined) return false
    return decidedFor === surroundings.caller ? number !== 1 : decidedFor !== fiber
  }

  private settleAttempt(attempt: Running<A, E>, exit: Exit.Exit<A, E>): void {
    if (Exit.isSuccess(exit)) return this.win(attempt, exit)
    const failed = inherited(attempt.fiber, this.surroundings, Exit.failCause(exit.cause))
    if (attempt.number === 1) this.firstFailure = failed
    const failure = retriableFailure(exit.cause)
    if (Option.isNone(failure)) return this.finish(failed)
    const verdict = this.hedge.verdict(failure.value)
    if (verdict.action === "Retry") this.counted?.fail()
    if (this.decidedFor !== undefined) return this.finish(failed)
    switch (consequenceOf(verdict)) {
      case "end":
        return this.finish(failed)
      case "wait":
        this.isClosed = true
        break
      case "next":
        if (this.running.size === 0) this.replace(failure.value)
    }
    // The attempt that replaces a failed one may already have ended the race on this stack.
    if (this.running.size === 0 && !this.isDone) this.finish(this.firstFailure ?? failed)
  }

  private win(attempt: Running<A, E>, exit: Exit.Exit<A, E>): void {
    const { number } = attempt
    this.winner = number
    this.measuredFrom = this.firstFailure === undefined ? this.startedAt : attempt.startedAt
    const value = inherited(attempt.fiber, this.surroundings, exit)
    const { name } = this.hedge
    this.finish(
      number === 1
        ? value
        : Effect.zipRight(Monitor.emit(Event.HedgeWon({ at: this.wallTime(), name, attempt: number })), value)
    )
  }

  /** The race is over: the losers are interrupted, and nobody waits for them. */
  private finish(result: Effect.Effect<A, E>): void {
    const { caller } = this.surroundings
    this.isDone = true
    this.stopTimer()
    for (const loser of this.running) loser.fiber.unsafeInterruptAsFork(caller.id())
    this.resume(result)
  }

  private isOpen(): boolean {
    return !this.isDone && !this.isClosed && this.attempts <= this.hedge.maxHedges
  }

  /** The permission for one more attempt, with the budget's grant if there is a budget. */
  private requestPermission(kind: Grant["kind"], timedOut: boolean): Permission | undefined {
    if (this.counted === undefined) return unbounded
    const grant = this.counted.take(kind, { throttled: false, timedOut }, elapsedMillis(this.surroundings.clock))
    return grant === undefined ? undefined : { grant }
  }

  private startNext({ grant }: Permission): void {
    const { clock, context } = this.surroundings
    const attempt = this.attempts + 1
    const hedged = Event.Hedged({ at: this.wallTime(), name: this.hedge.name, attempt })
    this.start(
      Effect.zipRight(Monitor.emit(hedged), this.nextAttempt),
      this.surroundings,
      Context.add(context, CurrentAttempt, attempt),
      elapsedMillis(clock),
      grant
    )
  }

  private closeExhausted(): Effect.Effect<void> {
    this.isClosed = true
    return this.counted === undefined ? Effect.void : reportExhausted(this.counted.budget, this.attempts + 1)
  }

  /** All running attempts have failed: starts the next one at once, and the timer for slowness anew. */
  private replace(error: E): void {
    if (!this.isOpen()) return
    const permission = this.requestPermission("retry", Event.errorTag(error) === "TimedOut")
    if (permission === undefined) {
      return this.finish(Effect.zipRight(this.closeExhausted(), this.firstFailure ?? Effect.fail(error)))
    }
    this.stopTimer()
    this.startNext(permission)
    if (!this.isDone) this.armTimer(this.hedge.delay.millis)
  }

  private armTimer(delay: number): void {
    if (delay === Infinity || !this.isOpen()) return
    if (delay <= 0) return this.startHedge()
    this.stopTimer = startTimer(this.surroundings, delay, () => this.catchingDefects(() => this.startHedge()))
  }

  /** The running attempts take long: starts another one. */
  private startHedge(): void {
    if (!this.isOpen()) return
    const permission = this.requestPermission("hedge", false)
    if (permission === undefined) {
      fork(this.closeExhausted(), this.surroundings, this.surroundings.context)
      return
    }
    this.startNext(permission)
    this.armTimer(this.hedge.delay.millis)
  }

  private wallTime(): number {
    return this.surroundings.clock.unsafeCurrentTimeMillis()
  }
}
