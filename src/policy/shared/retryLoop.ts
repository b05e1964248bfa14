/** The one loop behind every way of retrying: it runs attempts, asks the policy, waits and reports. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
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
import * as AdaptiveRetry from "../AdaptiveRetry.ts"
import * as RetryBudget from "../RetryBudget.ts"
import { type Attempt, CurrentAttempt } from "./currentAttempt.ts"
import { longestTimer } from "./region.ts"
import * as RetryRun from "./retryRun.ts"
import { outerLimit } from "./retryTree.ts"
import type { RetryPolicy } from "./retryValue.ts"

export { type Attempt, CurrentAttempt } from "./currentAttempt.ts"

/** What the loop needs to know of a retry. */
export interface Settings {
  readonly name: string
  readonly policy: RetryPolicy
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly budget: RetryBudget.RetryBudget | undefined
  readonly adaptive: AdaptiveRetry.AdaptiveRetry | undefined
  /** The most attempts the policy allows, for the report of nesting. */
  readonly maxAttempts: number
}

/** An attempt that knows, for the report of nesting, which retry it belongs to. */
class RunningAttempt implements Attempt {
  readonly number: number
  readonly previousError: Option.Option<unknown>
  readonly #retry: Settings
  constructor(number: number, previousError: Option.Option<unknown>, retry: Settings) {
    this.number = number
    this.previousError = previousError
    this.#retry = retry
  }
  static retryOf(attempt: Attempt): Settings | undefined {
    return attempt instanceof RunningAttempt ? attempt.#retry : undefined
  }
}

/** How far a call has got. A class, as all that every call makes on the way to success: see `attempt`. */
class Course {
  readonly state: RetryRun.State
  readonly attempt: Attempt
  constructor(state: RetryRun.State, attempt: Attempt) {
    this.state = state
    this.attempt = attempt
  }
}

/** What a call came to, for those who want more than its value or error. */
export interface Told {
  readonly attempts: number
  /** Milliseconds since the first attempt's start. */
  readonly elapsed: number
  readonly log: ReadonlyArray<FailedAttempt>
}

/** What to make of the end of a call. */
export interface Ends<in A, in E, out B, out E2> {
  readonly succeeded: (value: A, told: () => Told) => B
  readonly stopped: (error: E, told: () => Told) => E2
  /** Whether anybody reads the log: a run without a limit of attempts must not hold back what nobody reads. */
  readonly log: "kept" | "dropped"
}

/** Nothing but the value, nothing but the error. */
export const plain = <A, E>(): Ends<A, E, A, E> => ({
  succeeded: (value) => value,
  stopped: (error) => error,
  log: "dropped"
})

/**
 * The typed failure of an attempt. A defect beside it makes it none. An interruption beside it does not: where work runs
 * concurrently, one failure interrupts the others, and all of that is in the cause. (When the caller is interrupted
 * nobody asks: the runtime does not come here.)
 */
const retriable = <E>(cause: Cause.Cause<E>): Option.Option<E> =>
  Option.isSome(Cause.dieOption(cause)) ? Option.none() : Cause.failureOption(cause)

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

type Entry = Pick<FailedAttempt, "decision" | "delay" | "reason">

const failedAttempt = (attempt: number, elapsed: number, error: unknown, entry: Entry): FailedAttempt => ({
  attempt,
  elapsed: Duration.millis(elapsed),
  error: Event.errorTag(error),
  message: Event.errorText(error),
  ...entry
})

const noBudget = "the budget for retries is used up"

/** The grant of the attempt that is running; it changes with every attempt, so it sits in one place. */
interface Leave {
  readonly call: RetryBudget.Call
  grant: RetryBudget.Grant | undefined
}

const giveBack = (leave: Leave | undefined, succeeded: boolean): void => {
  if (leave?.grant === undefined) return
  RetryBudget.unsafeSettle(leave.call, leave.grant, succeeded)
  leave.grant = undefined
}

/** Runs the effect as an attempt: it is told which one. */
export const once = <A, E, R>(effect: Effect.Effect<A, E, R>): Once<A, E, R> => (current) =>
  Effect.provideService(effect, CurrentAttempt, current)

/** One attempt of a call. It must tell the call which attempt it is, which costs least where a fiber is begun anyway. */
export type Once<A, E, R> = (current: Attempt) => Effect.Effect<A, E, R>

/**
 * Runs attempts as the policy decides. No wait is begun that would end at `deadline` (of `elapsedMillis`) or later: the
 * call would be over before the next attempt.
 */
export const run = <A, E, R, B, E2>(
  once: Once<A, E, R>,
  retry: Settings,
  deadline: number,
  ends: Ends<A, E, B, E2>
): Effect.Effect<B, E2, R> =>
  Effect.withFiberRuntime<B, E2, R>((fiber) => {
    const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
    const outer = Context.get(fiber.currentContext, CurrentAttempt)
    const course = new Course(
      RetryRun.start(retry.policy, elapsedMillis(clock)),
      new RunningAttempt(1, Option.none(), retry)
    )
    const call = new Call(once, retry, deadline, ends, clock)
    const started = retry.budget === undefined
      ? attempt(call, undefined, course)
      : RetryBudget.withCall(retry.budget, (counted) => {
        const leave: Leave = { call: counted, grant: undefined }
        return Effect.onExit(
          attempt(call, leave, course),
          (exit) => Effect.sync(() => giveBack(leave, exit._tag === "Success"))
        )
      })
    const around = RunningAttempt.retryOf(outer)
    return around !== undefined && around.maxAttempts > 1 && retry.maxAttempts > 1
      ? Effect.zipRight(nested(retry, around, clock), started)
      : started
  })

const nested = (retry: Settings, outer: Settings, clock: Clock.Clock): Effect.Effect<void> =>
  Monitor.emit(Event.NestedRetry({
    at: clock.unsafeCurrentTimeMillis(),
    name: retry.name,
    outer: outer.name,
    product: outer.maxAttempts * retry.maxAttempts
  }))

/** What stays the same over the attempts of one call. The log grows in place, which keeps a long run linear. */
class Call<A, E, R, B, E2> {
  readonly once: Once<A, E, R>
  readonly retry: Settings
  readonly deadline: number
  readonly ends: Ends<A, E, B, E2>
  readonly clock: Clock.Clock
  readonly log: Array<FailedAttempt> = []
  constructor(once: Once<A, E, R>, retry: Settings, deadline: number, ends: Ends<A, E, B, E2>, clock: Clock.Clock) {
    this.once = once
    this.retry = retry
    this.deadline = deadline
    this.ends = ends
    this.clock = clock
  }
}

/** In whole milliseconds, for reports. */
const elapsedOf = (course: Course, now: number): number => Math.round(Math.max(0, now - course.state.startedAt))

const attempt = <A, E, R, B, E2>(
  call: Call<A, E, R, B, E2>,
  leave: Leave | undefined,
  course: Course
): Effect.Effect<B, E2, R> => {
  const { clock, ends, retry } = call
  const told = (): Told => ({
    attempts: course.attempt.number,
    elapsed: elapsedOf(course, elapsedMillis(clock)),
    log: call.log.slice()
  })
  return Effect.matchCauseEffect(call.once(course.attempt), {
    onFailure: (cause) =>
      Option.match(retriable(cause), {
        // Only typed failures change their type, and a cause without a retriable one is passed on as it is.
        onNone: () => Effect.failCause(Cause.map(cause, (error) => ends.stopped(error, told))),
        onSome: (error) => decide(call, leave, course, error, told)
      }),
    onSuccess: (value) => {
      const end = Effect.succeed(ends.succeeded(value, told))
      if (course.attempt.number === 1) return end
      const at = clock.unsafeCurrentTimeMillis()
      const elapsed = Duration.millis(elapsedOf(course, elapsedMillis(clock)))
      const recovered = Event.Recovered({ at, name: retry.name, attempt: course.attempt.number, elapsed })
      return Effect.zipRight(Monitor.emit(recovered), end)
    }
  })
}

const decide = <A, E, R, B, E2>(
  call: Call<A, E, R, B, E2>,
  leave: Leave | undefined,
  course: Course,
  error: E,
  told: () => Told
): Effect.Effect<B, E2, R> =>
  Effect.flatMap(Random.next, (random) => {
    const { clock, ends, retry } = call
    const now = elapsedMillis(clock)
    const attempts = course.attempt.number
    const elapsed = elapsedOf(course, now)
    const verdict = retry.verdict(error)
    const [state, chosen] = RetryRun.step(course.state, RetryRun.failureOf(error, verdict), now, random)
    giveBack(leave, false)
    const decision = afterwards(retry, chosen, verdict, course.state.startedAt, now, call.deadline)
    const refused = decision._tag === "Wait" && leave !== undefined && !takeLeave(leave, error, verdict, now)
    const common = {
      at: clock.unsafeCurrentTimeMillis(),
      name: retry.name,
      attempt: attempts,
      elapsed: Duration.millis(elapsed),
      error
    }
    const note = (entry: () => Entry): void => {
      if (ends.log === "kept") call.log.push(failedAttempt(attempts, elapsed, error, entry()))
    }
    if (decision._tag === "Wait" && !refused) {
      const delay = Duration.millis(decision.delay)
      note(() => ({ decision: "retry", delay }))
      return Monitor.emit(Event.Retried({ ...common, delay })).pipe(
        Effect.zipRight(sleepUntil(clock, now + decision.delay)),
        Effect.zipRight(Effect.suspend(() =>
          attempt(call, leave, new Course(state, new RunningAttempt(attempts + 1, Option.some(error), retry)))
        ))
      )
    }
    const reason = decision._tag === "Stop" ? RetryRun.reasonText[decision.reason] : noBudget
    note(() => ({ decision: "stop", reason }))
    const end = Effect.zipRight(
      Monitor.emit(Event.GaveUp({ ...common, reason })),
      Effect.suspend(() =>
        Effect.fail(ends.stopped(error, told))
      )
    )
    return refused && retry.budget !== undefined
      ? Effect.zipRight(RetryBudget.reportExhausted(retry.budget, attempts + 1), end)
      : end
  })

/** The policy's decision, stretched where much fails of late (though not past its deadline), and none after the call. */
const afterwards = (
  retry: Settings,
  chosen: RetryRun.Decision,
  verdict: Verdict.Verdict,
  startedAt: number,
  now: number,
  deadline: number
): RetryRun.Decision => {
  if (chosen._tag === "Stop") return chosen
  const kind = verdict.throttled ? "throttled" : "failure"
  const room = startedAt + outerLimit(retry.policy.tree) - now
  const delay = retry.adaptive === undefined
    ? chosen.delay
    : Math.max(chosen.delay, Math.min(room, AdaptiveRetry.unsafeDelay(retry.adaptive, chosen.delay, kind, now)))
  return now + delay >= deadline ? { _tag: "Stop", reason: "Deadline" } : { _tag: "Wait", delay }
}

const takeLeave = (leave: Leave, error: unknown, verdict: Verdict.Verdict, now: number): boolean => {
  const { throttled } = verdict
  leave.grant = RetryBudget.unsafeTryRetry(
    leave.call,
    { throttled, timedOut: Event.errorTag(error) === "TimedOut" },
    now
  )
  return leave.grant !== undefined
}
