/** Which attempt is running, for the call inside of a retry, and which budgets count that call. */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type { CountedCall } from "./countedCall.ts"

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
