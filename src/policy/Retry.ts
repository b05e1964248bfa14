/**
 * Runs an effect again as a `RetryPolicy` decides. The clock starts with the first attempt; interruption and defects
 * are never retried; the caller's own error passes through unboxed.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Retry from "effect-llm-resilience/policy/Retry"
 * import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
 *
 * const flaky = Effect.gen(function*() {
 *   const attempt = yield* Retry.CurrentAttempt
 *   return yield* attempt.number < 3 ? Effect.fail("not yet") : Effect.succeed("done")
 * })
 *
 * const program = flaky.pipe(Retry.applyWithReport(RetryPolicy.immediate.pipe(RetryPolicy.attempts(5))))
 *
 * Effect.runPromise(program).then((report) => console.log(report.value, report.attempts)) // done 3
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { type FailedAttempt, RetriesExhausted } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import { readAll } from "./internal/options.ts"
import { reasonText } from "./internal/retryRun.ts"
import * as RetryPolicy from "./RetryPolicy.ts"

/**
 * What marks a value as a {@link Retry}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Retry")

/**
 * A retry: a policy, the name its events carry, and how it judges errors.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retry {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly policy: RetryPolicy.RetryPolicy
  readonly verdict: (error: unknown) => Verdict.Verdict
}

/**
 * What a {@link Retry} is made from. Everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events carry. Default: `"retry"`. */
  readonly name?: string | undefined
  /** Default: `RetryPolicy.standard`. */
  readonly policy?: RetryPolicy.RetryPolicy | undefined
  /** Judges an error, for errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

const build = (options: Options): Retry => ({
  [TypeId]: TypeId,
  name: options.name ?? "retry",
  policy: options.policy ?? RetryPolicy.standard,
  verdict: options.verdict ?? Verdict.of
})

/**
 * A retry with a name of its own. Fails with `InvalidOptions` when the policy can never retry: that is a mistake, and
 * `RetryPolicy.never` is how to mean it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Retry, InvalidOptions> =>
  Effect.suspend(() => {
    const retry = build(options)
    return readAll("Retry", retry, (_, __, report) => {
      if (retry.name.trim() === "") {
        report.problems.push({ path: "name", found: retry.name, allowed: "a text that is not empty" })
      }
      if (retry.policy.tree._tag !== "Never" && !RetryPolicy.canRetry(retry.policy)) {
        report.problems.push({
          path: "policy",
          found: String(retry.policy),
          allowed: "a policy whose first wait ends within its deadline (for no retry at all, use RetryPolicy.never)"
        })
      }
      return retry
    })
  })

/**
 * The attempt that is running: its number from 1, and the error of the one before it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Attempt {
  readonly number: number
  readonly previousError: Option.Option<unknown>
}

const firstAttempt: Attempt = { number: 1, previousError: Option.none() }

/**
 * Tells the retried effect which attempt it is. Outside of any retry it is attempt 1.
 *
 * @since 0.1.0
 * @category tags
 */
export class CurrentAttempt extends Context.Reference<CurrentAttempt>()("effect-llm-resilience/Retry/CurrentAttempt", {
  defaultValue: (): Attempt => firstAttempt
}) {}

/**
 * A value together with how it was got.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report<out A> {
  readonly value: A
  /** Attempts in total, the successful one included. */
  readonly attempts: number
  /** From the first attempt's start to the end of the last one. */
  readonly elapsed: Duration.Duration
  /** Every attempt that failed. */
  readonly log: ReadonlyArray<FailedAttempt>
}

/** What one attempt came to, for the caller that wants more than the value. */
interface Outcome<out E> {
  readonly error: E
  readonly attempts: number
  readonly elapsed: number
  readonly log: ReadonlyArray<FailedAttempt>
}

interface Course {
  readonly state: RetryPolicy.State
  readonly attempt: Attempt
}

/**
 * The failures of one run. It is made anew by each run and written by that run alone; growing an array in place keeps
 * a long run linear.
 */
interface Log {
  readonly add: (failed: () => FailedAttempt) => void
  readonly all: () => ReadonlyArray<FailedAttempt>
}

const fullLog = (): Log => {
  const entries: Array<FailedAttempt> = []
  return { add: (failed) => entries.push(failed()), all: () => entries.slice() }
}

/** For a run whose log nobody reads, so that one without a limit of attempts holds nothing back. */
const noLog = (): Log => ({ add: () => undefined, all: () => [] })

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
const sleepUntil = (moment: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    now >= moment
      ? Effect.void
      : Effect.zipRight(Effect.sleep(Duration.millis(Math.ceil(moment - now))), sleepUntil(moment)))

const failedAttempt = (
  course: Course,
  elapsed: number,
  error: unknown,
  decision: RetryPolicy.Decision
): FailedAttempt => {
  const common = {
    attempt: course.attempt.number,
    elapsed: Duration.millis(elapsed),
    error: Event.errorTag(error),
    message: Event.errorText(error)
  }
  return decision._tag === "Wait"
    ? { ...common, decision: "retry", delay: Duration.millis(decision.delay) }
    : { ...common, decision: "stop", reason: reasonText[decision.reason] }
}

/** The one loop that every way of applying shares. `exhausted` makes the final failure of an outcome. */
const run = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  retry: Retry,
  makeLog: () => Log,
  exhausted: (outcome: Outcome<E>) => E2
): Effect.Effect<Report<A>, E2, R> =>
  Effect.suspend(() => {
    const log = makeLog()
    const decide = (course: Course, error: E): Effect.Effect<Report<A>, E2, R> =>
      Effect.flatMap(Effect.all([Clock.currentTimeMillis, Random.next]), ([now, random]) => {
        const failure = RetryPolicy.failureOf(error, retry.verdict(error))
        const [state, decision] = RetryPolicy.step(course.state, failure, now, random)
        const elapsed = Math.max(0, now - course.state.startedAt)
        log.add(() => failedAttempt(course, elapsed, error, decision))
        const told = {
          at: now,
          name: retry.name,
          attempt: course.attempt.number,
          elapsed: Duration.millis(elapsed),
          error
        }
        return decision._tag === "Stop"
          ? Effect.zipRight(
            Monitor.emit(Event.GaveUp({ ...told, reason: reasonText[decision.reason] })),
            Effect.fail(exhausted({ error, attempts: course.attempt.number, elapsed, log: log.all() }))
          )
          : Monitor.emit(Event.Retried({ ...told, delay: Duration.millis(decision.delay) })).pipe(
            Effect.zipRight(sleepUntil(now + decision.delay)),
            Effect.zipRight(Effect.suspend(() =>
              attempt({
                state,
                attempt: { number: course.attempt.number + 1, previousError: Option.some(error) }
              })
            ))
          )
      })

    const attempt = (course: Course): Effect.Effect<Report<A>, E2, R> =>
      Effect.matchCauseEffect(Effect.provideService(effect, CurrentAttempt, course.attempt), {
        onFailure: (cause) =>
          Option.match(retriable(cause), {
            // Only the typed failures of a cause change their type; a cause without a retriable failure has none to change.
            onNone: () =>
              Effect.flatMap(Clock.currentTimeMillis, (now) => {
                const elapsed = Math.max(0, now - course.state.startedAt)
                return Effect.failCause(
                  Cause.map(
                    cause,
                    (error) => exhausted({ error, attempts: course.attempt.number, elapsed, log: log.all() })
                  )
                )
              }),
            onSome: (error) => decide(course, error)
          }),
        onSuccess: (value) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const elapsed = Duration.millis(Math.max(0, now - course.state.startedAt))
            const report: Report<A> = { value, attempts: course.attempt.number, elapsed, log: log.all() }
            return course.attempt.number === 1
              ? Effect.succeed(report)
              : Effect.as(
                Monitor.emit(Event.Recovered({ at: now, name: retry.name, attempt: report.attempts, elapsed })),
                report
              )
          })
      })

    return Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => attempt({ state: RetryPolicy.start(retry.policy, now), attempt: firstAttempt })
    )
  })

const toRetry = (self: Retry | RetryPolicy.RetryPolicy): Retry =>
  RetryPolicy.isRetryPolicy(self) ? build({ policy: self }) : self

/**
 * Runs the effect, and again as the policy decides. The last error is the caller's own, unboxed. Takes a policy, or a
 * `Retry` made with a name and a judge of its own.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: Retry | RetryPolicy.RetryPolicy): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<A, E, R> =>
    Effect.map(run(effect, toRetry(self), noLog, ({ error }) => error), (report) => report.value)
)

/**
 * Like {@link apply}, but the value comes with the number of attempts, the elapsed time and the log.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyWithReport: {
  (self: Retry | RetryPolicy.RetryPolicy): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Report<A>, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<Report<A>, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<Report<A>, E, R> =>
    run(effect, toRetry(self), fullLog, ({ error }) => error)
)

/**
 * Like {@link apply}, but the last error comes boxed in `RetriesExhausted` with the whole log.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyOrExhausted: {
  (
    self: Retry | RetryPolicy.RetryPolicy
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, RetriesExhausted<E>, R>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    self: Retry | RetryPolicy.RetryPolicy
  ): Effect.Effect<A, RetriesExhausted<E>, R>
} = dual(
  2,
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    self: Retry | RetryPolicy.RetryPolicy
  ): Effect.Effect<A, RetriesExhausted<E>, R> =>
    Effect.map(
      run(effect, toRetry(self), fullLog, ({ attempts, elapsed, error, log }) =>
        new RetriesExhausted<E>({ attempts, elapsed: Duration.millis(elapsed), lastError: error, log })),
      (report) =>
        report.value
    )
)
