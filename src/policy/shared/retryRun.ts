/** The interpreters that run a retry policy step by step. They need only its tree. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleInterval from "effect/ScheduleInterval"
import * as Verdict from "../../error/Verdict.ts"
import { elapsedMillis, isLive } from "../../internal/elapsed.ts"
import * as Form from "../../internal/form.ts"
import { errorTag } from "../../telemetry/Event.ts"
import { readFormOrThrow } from "./options.ts"
import * as Step from "./retryStep.ts"
import type { RetryTree } from "./retryTree.ts"

export type { Decision, Failure, State, StopReason } from "./retryStep.ts"

interface HasTree {
  readonly tree: RetryTree
}

/**
 * The facts about an error that a policy decides by: its `_tag` and its verdict.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const failureOf = (error: unknown, verdict: Verdict.Verdict = Verdict.of(error)): Step.Failure => ({
  tag: errorTag(error),
  retryable: verdict.action === "Retry",
  forbidden: verdict.forbidden,
  hint: Option.getOrUndefined(Option.map(verdict.retryAfter, Duration.toMillis))
})

/**
 * The state before the first attempt, which starts at `now`: milliseconds on a clock that only goes forward, whose zero
 * is arbitrary.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const start = (policy: HasTree, now: number): Step.State => Step.start(policy.tree, now)

/**
 * Decides about one failure: pure, data in and data out. `now` is on the clock of {@link start},
 * `random` a draw from 0 to 1.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const step: typeof Step.step = Step.step

/** Why a policy stopped, for people. */
export const reasonText: Readonly<Record<Step.StopReason, string>> = {
  Never: "the policy never retries",
  NotRetryable: "its verdict is not to retry",
  NoRule: "no rule names this error",
  Attempts: "no attempts are left",
  Deadline: "the wait would cross the deadline",
  HintTooLong: "the other side asks for a longer wait than the policy honours"
}

/**
 * One retry in a {@link preview}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Preview {
  /** The attempt that this wait leads to: 2 or more. */
  readonly attempt: number
  readonly delay: Duration.Duration
  /** From the first attempt's start to the start of this attempt. */
  readonly elapsed: Duration.Duration
}

const rows = Form.count(1, 100_000, "a whole number from 1 to 100000")
const draw = Form.share()
const anyFailure: Step.Failure = { tag: "ServerError", retryable: true, forbidden: false }

/**
 * The waits a policy would choose, without waiting: for each retry the number of the attempt it leads to, the delay,
 * and the time since the first attempt's start.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const preview = (policy: HasTree, options?: {
  /** The error that every attempt ends with. Default: an ordinary transient one with the tag `ServerError`. */
  readonly error?: unknown
  /** The draw that jitter is given, 0 to 1. Default 0.5. */
  readonly random?: number | undefined
  /** How long every attempt takes. Default: no time. */
  readonly attemptTakes?: Duration.DurationInput | undefined
  /** The most rows, 1 to 100000. Default 20. */
  readonly limit?: number | undefined
}): ReadonlyArray<Preview> => {
  const failure = options?.error === undefined ? anyFailure : failureOf(options.error)
  const takes = Duration.toMillis(options?.attemptTakes ?? 0)
  const limit = readFormOrThrow("RetryPolicy", "limit", rows, options?.limit ?? 20)
  const random = readFormOrThrow("RetryPolicy", "random", draw, options?.random ?? 0.5)
  const retries: Array<Preview> = []
  let state = Step.start(policy.tree, 0)
  let now = takes
  while (retries.length < limit) {
    const [next, decision] = Step.step(state, failure, now, random)
    if (decision._tag === "Stop") break
    state = next
    now += decision.delay
    retries.push({
      attempt: state.failures + 1,
      delay: Duration.millis(decision.delay),
      elapsed: Duration.millis(now)
    })
    now += takes
  }
  return retries
}

/** How far a schedule has got. Its readings of the clocks are private, because they are no part of the policy's state. */
class Progress implements Step.State {
  readonly startedAt: number
  readonly failures: number
  readonly remaining: RetryTree
  readonly #now: number
  readonly #reading: Reading
  constructor({ failures, remaining, startedAt }: Step.State, now: number, reading: Reading) {
    this.startedAt = startedAt
    this.failures = failures
    this.remaining = remaining
    this.#now = now
    this.#reading = reading
  }
  static nowOf(before: Progress, reading: Reading): number {
    return before.#now + Math.max(0, passed(before.#reading, reading))
  }
}

/** Two clocks at one moment: the wall clock, which Effect gives to a schedule, and the one that only goes forward. */
interface Reading {
  readonly wall: number
  /** Absent where the schedule is stepped through times that are not now, as `Schedule.run` does. */
  readonly forward: number | undefined
}

/** The most milliseconds between a driver's reading of a live clock and ours. A virtual clock stands still meanwhile. */
const liveLag = 20

const readingOf = (clock: Clock.Clock, wall: number): Reading => {
  const lag = Math.abs(clock.unsafeCurrentTimeMillis() - wall)
  return { wall, forward: lag <= (isLive(clock) ? liveLag : 0) ? elapsedMillis(clock) : undefined }
}

const passed = (from: Reading, to: Reading): number =>
  from.forward === undefined || to.forward === undefined ? to.wall - from.wall : to.forward - from.forward

/**
 * The policy as an ordinary `Schedule`, which composes with everything in Effect. Its input is the error, its output
 * the delay. A schedule first learns of the time at the first failure, so a deadline counts from there; `Retry` counts
 * from the first attempt's start. Effect gives a schedule the time of the wall clock; elapsed time is measured by a
 * clock that only goes forward, so that setting the system's clock moves no deadline.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const toSchedule = (
  policy: HasTree,
  options?: {
    /** Judges an error in place of `Verdict.of`. */
    readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
  }
): Schedule.Schedule<Duration.Duration, unknown> =>
  Schedule.makeWithState<Progress | undefined, unknown, Duration.Duration>(
    undefined,
    (wall, error, before) =>
      Effect.zipWith(Random.next, Effect.clock, (random, clock) => {
        const reading = readingOf(clock, wall)
        const now = before === undefined ? wall : Progress.nowOf(before, reading)
        const failure = failureOf(error, options?.verdict?.(error))
        const [next, decision] = Step.step(before ?? Step.start(policy.tree, now), failure, now, random)
        const progress = new Progress(next, now, reading)
        return decision._tag === "Stop"
          ? [progress, Duration.zero, ScheduleDecision.done]
          : [
            progress,
            Duration.millis(decision.delay),
            ScheduleDecision.continueWith(ScheduleInterval.after(wall + decision.delay))
          ]
      })
  )
