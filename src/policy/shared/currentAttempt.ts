/** Which attempt is running, for the call inside of a retry. */
import * as Context from "effect/Context"
import * as Option from "effect/Option"

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
