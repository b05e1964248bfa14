/** Which attempt is running, for the call inside of a retry, and which budgets count that call. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"

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

const outside: Attempt = { number: 1, previousError: Option.none() }

/**
 * Tells the retried effect which attempt it is. Outside of any retry it is attempt 1.
 *
 * @since 0.1.0
 * @category tags
 */
export class CurrentAttempt extends Context.Reference<CurrentAttempt>()("effect-llm-resilience/Retry/CurrentAttempt", {
  defaultValue: (): Attempt => outside
}) {}

/** What an attempt knows of the retry it belongs to, for the report of nesting. */
export interface RetryOfAttempt {
  readonly name: string
  readonly maxAttempts: number
}

/**
 * An attempt with what the house has to know inside of it. The counted calls ride on it, because a second service in the
 * context of each call costs as much again (a context is copied with each addition).
 */
export class RunningAttempt implements Attempt {
  readonly number: number
  readonly previousError: Option.Option<unknown>
  readonly #retry: RetryOfAttempt | undefined
  readonly #counted: CountedCall | undefined

  constructor(
    number: number,
    previousError: Option.Option<unknown>,
    retry: RetryOfAttempt | undefined,
    counted: CountedCall | undefined
  ) {
    this.number = number
    this.previousError = previousError
    this.#retry = retry
    this.#counted = counted
  }

  /** The retry that an attempt belongs to. */
  static retryOf(attempt: Attempt): RetryOfAttempt | undefined {
    return attempt instanceof RunningAttempt ? attempt.#retry : undefined
  }

  /** The innermost call that a budget counts round an attempt. */
  static countedRound(attempt: Attempt): CountedCall | undefined {
    return attempt instanceof RunningAttempt ? attempt.#counted : undefined
  }
}

export const { countedRound, retryOf } = RunningAttempt

/** The same attempt, within a call that a budget counts. */
export const withCounted = (attempt: Attempt, counted: CountedCall): Attempt =>
  new RunningAttempt(attempt.number, attempt.previousError, retryOf(attempt), counted)

// Calls that a retry budget counts from their beginning to their end, and the further attempts they are granted.

/** The facts about a failure that decide what a retry after it costs. */
export interface Failure {
  readonly throttled: boolean
  readonly timedOut: boolean
}

/** The permission to make one further attempt. */
export interface Grant {
  readonly kind: "retry" | "hedge"
  /** What it took from the bucket; 0 in the forms without one. */
  readonly cost: number
}

/** The state of a budget. Each method changes it in one synchronous step; `now` is a reading of `elapsedMillis`. */
export interface BudgetCell {
  readonly begin: (now: number) => void
  readonly take: (kind: Grant["kind"], failure: Failure, now: number) => Grant | undefined
  readonly settle: (grant: Grant, succeeded: boolean) => void
  /** An attempt failed with an error that may be retried. */
  readonly fail: () => void
  /** `isClean`: it succeeded, and made no further attempt. */
  readonly end: (succeeded: boolean, isClean: boolean) => void
}

/** What retries and hedges need of a `RetryBudget`. */
export interface Budget {
  readonly name: string
  readonly cell: BudgetCell
}

/** One call that a budget counts. It is made when the call begins, and {@link CountedCall.end} must follow. */
export class CountedCall {
  readonly budget: Budget
  /** The call that another budget counts round this one. */
  readonly outer: CountedCall | undefined
  /** Attempts that failed, each counted once: a retry round a hedge sees the failures that the hedge has seen. */
  failures = 0
  private madeFurther = false

  constructor(budget: Budget, outer: CountedCall | undefined, now: number) {
    this.budget = budget
    this.outer = outer
    budget.cell.begin(now)
  }

  /** An attempt failed with an error that may be retried. */
  fail(): void {
    this.failures++
    this.budget.cell.fail()
  }

  /**
   * Asks for a further attempt, before it is waited for; `undefined` means there is none. The caller settles the grant
   * when that attempt has ended, exactly once, also after the call has ended.
   */
  take(kind: Grant["kind"], failure: Failure, now: number): Grant | undefined {
    const grant = this.budget.cell.take(kind, failure, now)
    if (grant !== undefined) this.madeFurther = true
    return grant
  }

  /** A further attempt has ended, in success or otherwise (interruption is no success). */
  settle(grant: Grant, succeeded: boolean): void {
    this.budget.cell.settle(grant, succeeded)
  }

  end(succeeded: boolean): void {
    this.budget.cell.end(succeeded, succeeded && !this.madeFurther)
  }
}

/** The call that this budget counts already, among those round an attempt. */
export const find = (budget: Budget, innermost: CountedCall | undefined): CountedCall | undefined => {
  for (let call = innermost; call !== undefined; call = call.outer) if (call.budget === budget) return call
  return undefined
}

/** Reports that a budget refused an attempt; number 2 is the first further one. */
export const reportExhausted = (budget: Budget, attempt: number): Effect.Effect<void> =>
  Effect.clockWith((clock) =>
    Monitor.emit(
      Event.RetryBudgetExhausted({ at: clock.unsafeCurrentTimeMillis(), name: budget.name, attempt })
    )
  )
