/**
 * The race of attempts behind `Hedge`. It runs outside of any fiber: attempts report their end to it and it decides at
 * once, so that a fast first attempt costs one fiber and nothing else.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type { RuntimeFlags } from "effect/RuntimeFlags"
import type * as Verdict from "../../error/Verdict.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import * as RetryBudget from "../RetryBudget.ts"

/** Which attempt of a hedged call is running: 1 is the first, 2 and more are hedges. */
export class CurrentAttempt extends Context.Reference<CurrentAttempt>()("effect-llm-resilience/Hedge/CurrentAttempt", {
  defaultValue: (): number => 1
}) {}

export interface Plan<A, E, R> {
  readonly effect: Effect.Effect<A, E, R>
  readonly name: string
  readonly maxHedges: number
  /** Until the next hedge; `undefined` when none is started for slowness. */
  readonly delay: Duration.Duration | undefined
  readonly verdict: (error: unknown) => Verdict.Verdict
  /** What the budget counts; `undefined` without one. */
  readonly call: RetryBudget.Call | undefined
  readonly clock: Clock.Clock
  readonly parent: Fiber.RuntimeFiber<unknown, unknown>
  readonly context: Context.Context<R>
  readonly runtimeFlags: RuntimeFlags
}

export interface Won<out A> {
  readonly value: A
  /** How many attempts were started. */
  readonly attempts: number
  /** The number of the one that answered. */
  readonly winner: number
  /** Milliseconds from the call's start. */
  readonly elapsed: number
  /** How long the first attempt took or, if it was still running, had been running; the winner's own time if it had failed. */
  readonly sample: number
}

/** What a failure means for the race. */
type Meaning = "end" | "next" | "wait"

/**
 * `Fail` ends the race. A plain transient failure lets the next attempt start at once when no other is running. For
 * anything else (a throttle, a hint to wait, a refusal of our own) another attempt now would be wrong: those that run
 * may still win, but none is started.
 */
const meaning = (verdict: Verdict.Verdict): Meaning =>
  verdict.action === "Fail"
    ? "end"
    : verdict.action === "Retry" && !verdict.throttled && !verdict.forbidden && Option.isNone(verdict.retryAfter)
    ? "next"
    : "wait"

interface Attempt<out A, out E> {
  readonly number: number
  readonly startedAt: number
  readonly fiber: Fiber.RuntimeFiber<A, E>
}

export class Race<A, E, R> {
  private readonly plan: Plan<A, E, R>
  private readonly effect: Effect.Effect<A, E, R>
  private readonly clock: Clock.Clock
  private readonly runtime: Runtime.Runtime<R>
  private readonly parent: FiberId.FiberId
  private readonly startedAt: number
  private readonly running = new Set<Attempt<A, E>>()
  private attempts = 0
  private firstFailure: Effect.Effect<never, E> | undefined
  private timer: Fiber.RuntimeFiber<void> | undefined
  /** No further attempt is started: all are used, the budget is, or an error says so. */
  private closed = false
  private done = false
  private resume: (result: Effect.Effect<Won<A>, E>) => void = () => undefined

  constructor(plan: Plan<A, E, R>) {
    const { clock, context, effect, parent, runtimeFlags } = plan
    this.plan = plan
    this.effect = effect
    this.clock = clock
    this.runtime = Runtime.make({ context, fiberRefs: parent.getFiberRefs(), runtimeFlags })
    this.parent = parent.id()
    this.startedAt = elapsedMillis(clock)
  }

  begin(resume: (result: Effect.Effect<Won<A>, E>) => void): void {
    this.resume = resume
    // A hedge within a hedge begins to count anew.
    const nested = Context.get(this.runtime.context, CurrentAttempt) !== 1
    this.start(nested ? Effect.provideService(this.effect, CurrentAttempt, 1) : this.effect)
    if (!this.done) this.armTimer()
  }

  /**
   * The caller was interrupted: interrupts every attempt and waits until they have ended. When the race is over already,
   * there is nothing to wait for.
   */
  abandon(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.done) return Effect.void
      this.done = true
      const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = Array.from(this.running, (attempt) => attempt.fiber)
      if (this.timer !== undefined) fibers.push(this.timer)
      return Fiber.interruptAll(fibers)
    })
  }

  private start(effect: Effect.Effect<A, E, R>, grant?: RetryBudget.Grant): void {
    const number = ++this.attempts
    const startedAt = number === 1 ? this.startedAt : elapsedMillis(this.clock)
    // It starts on this very stack: one that ends without waiting costs no turn of the scheduler.
    const fiber = Runtime.runFork(this.runtime, effect)
    const attempt = { number, startedAt, fiber }
    this.running.add(attempt)
    fiber.addObserver((exit) => {
      this.running.delete(attempt)
      if (grant !== undefined && this.plan.call !== undefined) {
        RetryBudget.unsafeSettle(this.plan.call, grant, Exit.isSuccess(exit))
      }
      // The result of an attempt that lost is dropped.
      if (!this.done) this.ended(attempt, exit)
    })
  }

  private ended(attempt: Attempt<A, E>, exit: Exit.Exit<A, E>): void {
    if (Exit.isSuccess(exit)) return this.win(attempt, exit.value)
    const failed = Exit.failCause(exit.cause)
    if (attempt.number === 1) this.firstFailure = failed
    // A defect, or an attempt that interrupted itself, is nobody's to repeat.
    const failure = Option.isSome(Cause.dieOption(exit.cause)) ? Option.none() : Cause.failureOption(exit.cause)
    if (Option.isNone(failure)) return this.finish(attempt, failed)
    const verdict = this.plan.verdict(failure.value)
    switch (meaning(verdict)) {
      case "end":
        return this.finish(attempt, failed)
      case "wait":
        this.closed = true
        break
      case "next":
        if (this.running.size === 0) this.replace(attempt, failure.value)
    }
    // The attempt that replaces a failed one may already have ended the race on this stack.
    if (this.running.size === 0 && !this.done) this.finish(attempt, this.firstFailure ?? failed)
  }

  private win(attempt: Attempt<A, E>, value: A): void {
    const now = elapsedMillis(this.clock)
    const since = this.firstFailure === undefined ? this.startedAt : attempt.startedAt
    const won: Won<A> = {
      value,
      attempts: this.attempts,
      winner: attempt.number,
      elapsed: Math.round(Math.max(0, now - this.startedAt)),
      sample: Math.max(0, now - since)
    }
    const told = attempt.number === 1
      ? Effect.succeed(won)
      : Effect.as(
        Monitor.emit(
          Event.HedgeWon({ at: this.clock.unsafeCurrentTimeMillis(), name: this.plan.name, attempt: attempt.number })
        ),
        won
      )
    this.finish(attempt, told)
  }

  /** The race is over: the losers are interrupted, and nobody waits for them. */
  private finish(attempt: Attempt<A, E>, result: Effect.Effect<Won<A>, E>): void {
    this.done = true
    this.timer?.unsafeInterruptAsFork(this.parent)
    for (const loser of this.running) loser.fiber.unsafeInterruptAsFork(this.parent)
    // What the attempt did to fiber-local state counts for the caller, as it would without a hedge. But not its context,
    // which says that it runs within a call that is being counted.
    const state = FiberRefs.delete(attempt.fiber.getFiberRefs(), FiberRef.currentContext)
    this.resume(Effect.zipRight(Effect.inheritFiberRefs(state), result))
  }

  /** Leave for one more attempt: a grant, `true` without a budget, or nothing. */
  private leave(error: unknown, kind: RetryBudget.Grant["kind"]): RetryBudget.Grant | true | undefined {
    const { call } = this.plan
    if (call === undefined) return true
    const now = elapsedMillis(this.clock)
    return kind === "hedge"
      ? RetryBudget.unsafeTryHedge(call, now)
      : RetryBudget.unsafeTryRetry(call, { throttled: false, timedOut: Event.errorTag(error) === "TimedOut" }, now)
  }

  private open(): boolean {
    return !this.done && !this.closed && this.attempts <= this.plan.maxHedges
  }

  private startNext(leave: RetryBudget.Grant | true): void {
    const attempt = this.attempts + 1
    const hedged = Event.Hedged({ at: this.clock.unsafeCurrentTimeMillis(), name: this.plan.name, attempt })
    const effect = Effect.provideService(this.effect, CurrentAttempt, attempt)
    this.start(Effect.zipRight(Monitor.emit(hedged), effect), leave === true ? undefined : leave)
  }

  private exhausted(): Effect.Effect<void> {
    this.closed = true
    const { call } = this.plan
    return call === undefined ? Effect.void : RetryBudget.reportExhausted(call.budget, this.attempts + 1)
  }

  /** All that ran have failed: the next attempt starts at once, and the wait for slowness begins anew. */
  private replace(failed: Attempt<A, E>, error: E): void {
    if (!this.open()) return
    const leave = this.leave(error, "retry")
    if (leave !== undefined) {
      this.timer?.unsafeInterruptAsFork(this.parent)
      this.startNext(leave)
      if (!this.done) this.armTimer()
      return
    }
    this.finish(failed, Effect.zipRight(this.exhausted(), this.firstFailure ?? Effect.fail(error)))
  }

  private armTimer(): void {
    const { delay } = this.plan
    if (delay === undefined || !this.open()) return
    this.timer = Runtime.runFork(this.runtime, this.hedgeAfter(delay))
  }

  private hedgeAfter(delay: Duration.Duration): Effect.Effect<void> {
    const hedge = Effect.suspend(() => {
      if (!this.open()) return Effect.void
      const leave = this.leave(undefined, "hedge")
      if (leave === undefined) return this.exhausted()
      this.startNext(leave)
      return this.open() ? this.hedgeAfter(delay) : Effect.void
    })
    return Duration.toMillis(delay) === 0 ? hedge : Effect.zipRight(Effect.sleep(delay), hedge)
  }
}
