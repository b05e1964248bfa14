/** The loop behind every way of retrying: it runs an attempt, asks the policy, waits, reports and runs the next one. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { FailedAttempt } from "../../error/PolicyError.ts"
import type * as Verdict from "../../error/Verdict.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import type { Deadline, Runnable } from "../shared/attempt.ts"
import { type Surroundings, surroundingsOf } from "../shared/childFiber.ts"
import { type Budget, CountedCall, find, type Grant, reportExhausted } from "../shared/currentAttempt.ts"
import {
  type Attempt,
  countedRound,
  CurrentAttempt,
  retryOf,
  type RetryOfAttempt,
  RunningAttempt
} from "../shared/currentAttempt.ts"
import { longestTimer, type Restore } from "../shared/region.ts"
import * as RetryRun from "../shared/retryRun.ts"
import { outerLimit } from "../shared/retryTree.ts"
import type { RetryPolicy } from "../shared/retryValue.ts"
import type { StreamedCall } from "../shared/streamedCall.ts"

export { type Attempt, CurrentAttempt } from "../shared/currentAttempt.ts"

/** What the loop needs of an `AdaptiveRetry`, which makes waits longer while much fails. */
export interface Stretching {
  readonly cell: {
    /** The wait in place of `delay`, never shorter; all in milliseconds, `now` is a reading of `elapsedMillis`. */
    readonly stretch: (delay: number, kind: "throttled" | "failure", now: number) => number
  }
}

/** What the loop needs to know of a retry. */
export interface Settings extends RetryOfAttempt {
  readonly policy: RetryPolicy
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly budget: Budget | undefined
  readonly adaptive: Stretching | undefined
}

/** How far a call has got. */
export interface Progress {
  readonly attempts: number
  /** Milliseconds since the first attempt's start. */
  readonly elapsed: number
  readonly log: ReadonlyArray<FailedAttempt>
}

export interface HasProgress {
  readonly progress: () => Progress
}

/** How the value or the error of a call is returned. */
export interface Ends<in A, in E, out B, out E2> {
  readonly succeeded: (value: A, call: HasProgress) => B
  readonly stopped: (error: E, call: HasProgress) => E2
  /** Whether the log is read. One that nobody reads is dropped, because a run without a limit of attempts would grow it. */
  readonly log: "kept" | "dropped"
}

const unchanged = {
  succeeded: <A>(value: A): A => value,
  stopped: <E>(error: E): E => error,
  log: "dropped"
} as const

/** Returns the value or the error as it is. */
export const unchangedEnds = <A, E>(): Ends<A, E, A, E> => unchanged

/**
 * The typed failure of an attempt. A defect beside it makes it none. An interruption beside it does not: where work runs
 * concurrently, one failure interrupts the others, and all of that is in the cause. (When the
 * caller is interrupted, the runtime does not come here.)
 */
const typedFailure = <E>(cause: Cause.Cause<E>): Option.Option<E> =>
  cause._tag === "Fail"
    ? Option.some(cause.error)
    : Option.isSome(Cause.dieOption(cause))
    ? Option.none()
    : Cause.failureOption(cause)

/**
 * Sleeps until a moment, not merely for a time: timers of the platform may fire up to a millisecond early. In whole
 * milliseconds, because a fraction may round to a sleep of no time, again and again.
 */
const sleepUntil = (clock: Clock.Clock, moment: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const wait = moment - elapsedMillis(clock)
    return wait <= 0
      ? Effect.void
      : Effect.zipRight(
        clock.sleep(Duration.millis(Math.min(Math.ceil(wait), longestTimer))),
        sleepUntil(clock, moment)
      )
  })

type LogEntry = Pick<FailedAttempt, "decision" | "delay" | "reason">

const failedAttempt = (attempt: number, elapsed: number, error: unknown, entry: LogEntry): FailedAttempt => ({
  attempt,
  elapsed: Duration.millis(elapsed),
  error: Event.errorTag(error),
  message: Event.errorText(error),
  ...entry
})

const noBudget = "the budget for retries is used up"
const hasBegun = "the stream has begun, and its policy does not let it begin anew"

/** Runs the effect as an attempt, with nothing else round it. */
class PlainAttempt<A, E, R> implements Runnable<A, E, R> {
  private readonly effect: Effect.Effect<A, E, R>
  constructor(effect: Effect.Effect<A, E, R>) {
    this.effect = effect
  }
  runOnce(current: Attempt, _: unknown, restore: Restore): Effect.Effect<A, E, R> {
    return restore(Effect.provideService(this.effect, CurrentAttempt, current))
  }
}

/** What bounds the attempts of a pipeline from outside: no wait is begun that would end at the deadline or later. */
interface Bounds {
  readonly total: Deadline<unknown> | undefined
  readonly streamed: StreamedCall | undefined
}

const unbounded: Bounds = { total: undefined, streamed: undefined }

/** A call that is retried. */
class RetriedRun<A, E, R> implements Runnable<A, E, R> {
  private readonly attempts: Runnable<A, E, R>
  private readonly retry: Settings
  private readonly bounds: Bounds
  constructor(inner: Runnable<A, E, R>, retry: Settings, bounds: Bounds) {
    this.attempts = inner
    this.retry = retry
    this.bounds = bounds
  }
  runOnce(_: unknown, __: unknown, restore: Restore, surroundings: Surroundings<R>): Effect.Effect<A, E, R> {
    return run(this.attempts, this.retry, this.bounds, unchangedEnds<A, E>(), restore, surroundings)
  }
}

/** What stands round the attempts of a pipeline. */
export const around = (retry: Settings) =>
<A, E, R>(
  inner: Runnable<A, E, R>,
  total: Deadline<unknown> | undefined,
  streamed: StreamedCall | undefined
): Runnable<A, E, R> => new RetriedRun(inner, retry, { total, streamed })

const unmasked: Restore = (effect) => effect

/** Runs attempts of the effect as the policy decides. */
export const retryEffect = <A, E, R, B, E2>(
  effect: Effect.Effect<A, E, R>,
  retry: Settings,
  ends: Ends<A, E, B, E2>
): Effect.Effect<B, E2, R> =>
  Effect.withFiberRuntime<B, E2, R>((fiber, status) => {
    const surroundings = surroundingsOf<R>(fiber, status.runtimeFlags)
    const attempts = new PlainAttempt(effect)
    // Without a budget there is nothing to give back, so nothing that an interruption could keep.
    return retry.budget === undefined
      ? run(attempts, retry, unbounded, ends, unmasked, surroundings)
      : Effect.uninterruptibleMask((restore) => run(attempts, retry, unbounded, ends, restore, surroundings))
  })

/**
 * Runs attempts as the policy decides, all in the one uninterruptible region that `restore` belongs to: attempts and
 * waits alone can be interrupted, so the counted call is ended at each way out without a bracket of its own (a second
 * `onExit` and a context of its own made a budget cost as much as a whole stack). No wait is begun that would end at the
 * deadline or later: the call would be over before the next attempt.
 */
const run = <A, E, R, B, E2>(
  attempts: Runnable<A, E, R>,
  retry: Settings,
  bounds: Bounds,
  ends: Ends<A, E, B, E2>,
  restore: Restore,
  surroundings: Surroundings<R>
): Effect.Effect<B, E2, R> => {
  const outer = Context.get(surroundings.context, CurrentAttempt)
  const loop = new Loop(attempts, retry, bounds, ends, restore, surroundings, countedRound(outer))
  const around = retryOf(outer)
  return around !== undefined && around.maxAttempts > 1 && retry.maxAttempts > 1
    ? Effect.zipRight(nestedRetryEvent(retry, around), loop.run())
    : loop.run()
}

const nestedRetryEvent = (retry: Settings, outer: RetryOfAttempt): Effect.Effect<void> =>
  Effect.clockWith((clock) =>
    Monitor.emit(Event.NestedRetry({
      at: clock.unsafeCurrentTimeMillis(),
      name: retry.name,
      outer: outer.name,
      product: outer.maxAttempts * retry.maxAttempts
    }))
  )

/** One call with its attempts. What changes with each attempt sits here alone. */
class Loop<A, E, R, B, E2> implements HasProgress {
  private readonly attempts: Runnable<A, E, R>
  private readonly retry: Settings
  private readonly bounds: Bounds
  private readonly ends: Ends<A, E, B, E2>
  private readonly restore: Restore
  private readonly surroundings: Surroundings<R>
  /** The call that the budget counts. */
  private readonly counted: CountedCall | undefined
  /** Whether `counted` was begun here, and so has to be ended here. */
  private readonly ownsCounted: boolean
  /** The innermost call that a budget counts round the attempts. */
  private readonly innermost: CountedCall | undefined
  /** The failures that the budget had counted before the attempt that runs. */
  private failuresBefore = 0
  /** The grant of the further attempt that waits or runs. */
  private grant: Grant | undefined = undefined
  private state: RetryRun.State
  private current: Attempt
  /** It grows in place, which keeps a long run linear. */
  private readonly log: Array<FailedAttempt> | undefined

  constructor(
    attempts: Runnable<A, E, R>,
    retry: Settings,
    bounds: Bounds,
    ends: Ends<A, E, B, E2>,
    restore: Restore,
    surroundings: Surroundings<R>,
    outer: CountedCall | undefined
  ) {
    const now = elapsedMillis(surroundings.clock)
    const { budget } = retry
    this.attempts = attempts
    this.retry = retry
    this.bounds = bounds
    this.ends = ends
    this.log = ends.log === "kept" ? [] : undefined
    this.restore = restore
    this.surroundings = surroundings
    this.state = RetryRun.start(retry.policy, now)
    const outerCall = budget === undefined ? undefined : find(budget, outer)
    this.ownsCounted = budget !== undefined && outerCall === undefined
    this.counted = budget === undefined ? undefined : outerCall ?? new CountedCall(budget, outer, now)
    this.innermost = this.ownsCounted ? this.counted : outer
    this.current = new RunningAttempt(1, Option.none(), retry, this.innermost)
  }

  run(): Effect.Effect<B, E2, R> {
    if (this.counted !== undefined) this.failuresBefore = this.counted.failures
    return Effect.matchCauseEffect(this.attempts.runOnce(this.current, undefined, this.restore, this.surroundings), {
      onFailure: (cause) => this.handleFailure(cause),
      onSuccess: (value) => this.succeedWith(value)
    })
  }

  progress(): Progress {
    return { attempts: this.current.number, elapsed: this.elapsed(), log: this.log?.slice() ?? [] }
  }

  /** Since the first attempt's start, in whole milliseconds, for reports. */
  private elapsed(): number {
    return Math.round(Math.max(0, elapsedMillis(this.surroundings.clock) - this.state.startedAt))
  }

  /** The call is over: everything is given back. */
  private endCall(succeeded: boolean): void {
    this.settle(succeeded)
    if (this.ownsCounted) this.counted?.end(succeeded)
  }

  private settle(succeeded: boolean): void {
    if (this.grant === undefined) return
    this.counted?.settle(this.grant, succeeded)
    this.grant = undefined
  }

  private succeedWith(value: A): Effect.Effect<B> {
    this.endCall(true)
    const end = Effect.succeed(this.ends.succeeded(value, this))
    const { number } = this.current
    if (number === 1) return end
    const at = this.surroundings.clock.unsafeCurrentTimeMillis()
    const elapsed = Duration.millis(this.elapsed())
    return Effect.zipRight(
      this.restore(Monitor.emit(Event.Recovered({ at, name: this.retry.name, attempt: number, elapsed }))),
      end
    )
  }

  private handleFailure(cause: Cause.Cause<E>): Effect.Effect<B, E2, R> {
    const failure = typedFailure(cause)
    if (Option.isSome(failure)) {
      const { caller } = this.surroundings
      const { next } = Context.get(caller.currentDefaultServices, Random.Random)
      return Effect.flatMap(next, (random) => this.decide(failure.value, random))
    }
    // A cause without a typed failure is passed on as it is; only the type of its errors changes.
    this.endCall(false)
    return Effect.failCause(Cause.map(cause, (error) => this.ends.stopped(error, this)))
  }

  private decide(error: E, random: number): Effect.Effect<B, E2, R> {
    try {
      return this.retryOrStop(error, random)
    } catch (defect) {
      // A verdict that throws is a defect of this call.
      this.endCall(false)
      return Effect.die(defect)
    }
  }

  private retryOrStop(error: E, random: number): Effect.Effect<B, E2, R> {
    const { retry, surroundings: { clock } } = this
    const { streamed } = this.bounds
    const now = elapsedMillis(clock)
    const verdict = retry.verdict(error)
    // The policy's own deadline counts as all limits of a stream do: not while nobody waits.
    const counted = streamed === undefined ? now : streamed.counted(now)
    const [state, policyDecision] = RetryRun.step(this.state, RetryRun.failureOf(error, verdict), counted, random)
    this.settle(false)
    if (this.counted !== undefined && verdict.action === "Retry" && this.counted.failures === this.failuresBefore) {
      this.counted.fail()
    }
    const decision = this.stretch(policyDecision, verdict, now, counted)
    if (decision._tag === "Stop") return this.stop(error, RetryRun.reasonText[decision.reason])
    if (streamed !== undefined && !streamed.canRepeat(error)) return this.stop(error, hasBegun)
    if (this.counted !== undefined) {
      const timedOut = Event.errorTag(error) === "TimedOut"
      this.grant = this.counted.take("retry", { throttled: verdict.throttled, timedOut }, now)
      if (this.grant === undefined) {
        const exhausted = reportExhausted(this.counted.budget, this.current.number + 1)
        const stopped = this.stop(error, noBudget)
        return Effect.zipRight(this.restore(exhausted), stopped)
      }
    }
    this.state = state
    return this.retryAfter(error, decision.delay, now)
  }

  /** The policy's decision with a longer wait where much has failed (within its deadline); stops where the call would be over. */
  private stretch(
    policyDecision: RetryRun.Decision,
    verdict: Verdict.Verdict,
    now: number,
    counted: number
  ): RetryRun.Decision {
    if (policyDecision._tag === "Stop") return policyDecision
    const { adaptive, policy } = this.retry
    const kind = verdict.throttled ? "throttled" : "failure"
    const millisLeft = this.state.startedAt + outerLimit(policy.tree) - counted
    const delay = adaptive === undefined
      ? policyDecision.delay
      : Math.max(policyDecision.delay, Math.min(millisLeft, adaptive.cell.stretch(policyDecision.delay, kind, now)))
    const { total } = this.bounds
    return total !== undefined && now + delay >= total.at
      ? { _tag: "Stop", reason: "Deadline" }
      : { _tag: "Wait", delay }
  }

  private retryAfter(error: E, delayMillis: number, now: number): Effect.Effect<B, E2, R> {
    const { clock } = this.surroundings
    const delay = Duration.millis(delayMillis)
    this.addToLog(error, { decision: "retry", delay })
    const retried = Event.Retried({ ...this.failureEvent(error), delay })
    const waited = Effect.zipRight(Monitor.emit(retried), sleepUntil(clock, now + delayMillis))
    return Effect.matchCauseEffect(this.restore(waited), {
      onFailure: (cause) => {
        this.endCall(false)
        return Effect.failCause(cause)
      },
      onSuccess: () => {
        this.current = new RunningAttempt(this.current.number + 1, Option.some(error), this.retry, this.innermost)
        return this.run()
      }
    })
  }

  private stop(error: E, reason: string): Effect.Effect<never, E2> {
    this.addToLog(error, { decision: "stop", reason })
    this.endCall(false)
    const stopped = Effect.fail(this.ends.stopped(error, this))
    // Without a monitor the event is not even made: an outage refuses calls by the thousand.
    return Context.get(this.surroundings.context, Monitor.Monitor) === Monitor.silent
      ? stopped
      : Effect.zipRight(this.restore(Monitor.emit(Event.GaveUp({ ...this.failureEvent(error), reason }))), stopped)
  }

  private failureEvent(error: E) {
    return {
      at: this.surroundings.clock.unsafeCurrentTimeMillis(),
      name: this.retry.name,
      attempt: this.current.number,
      elapsed: Duration.millis(this.elapsed()),
      error
    }
  }

  private addToLog(error: E, entry: LogEntry): void {
    this.log?.push(failedAttempt(this.current.number, this.elapsed(), error, entry))
  }
}
