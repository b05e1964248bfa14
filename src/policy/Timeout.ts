/**
 * Ends work that takes too long with a typed `TimedOut` that names the phase. It returns on time even over work that
 * cannot be interrupted: that work is left to end in the background.
 *
 * @example
 * import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
 * import * as Timeout from "effect-llm-resilience/policy/Timeout"
 *
 * const program = Effect.gen(function*() {
 *   const timeout = yield* Timeout.make({ limit: "20 millis", phase: "attempt" })
 *   return yield* Effect.never.pipe(Timeout.apply(timeout))
 * })
 *
 * Effect.runPromise(Effect.flip(program)).then((error) => console.log(error.message))
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { TimedOut } from "../error/PolicyError.ts"
import * as Form from "../internal/form.ts"
import { timeLimit, withTimeLimit } from "./shared/attempt.ts"
import { readForm } from "./shared/options.ts"

/**
 * What marks a value as a {@link Timeout}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Timeout")

/**
 * A time-out: how long, of what, and the name its events carry.
 *
 * @since 0.1.0
 * @category models
 */
export interface Timeout {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly limit: Duration.Duration
  readonly phase: TimedOut["phase"]
}

/**
 * What a {@link Timeout} is made from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events carry. Default: `"timeout"`. */
  readonly name?: string | undefined
  /** How long the work may take: above zero and finite. */
  readonly limit: Duration.DurationInput
  /** What is timed, for the error. Default: `"attempt"`. */
  readonly phase?: TimedOut["phase"] | undefined
}

const form = Form.of<Options>()(Form.struct("an object with the options of a time-out", {
  name: Form.withDefault(Form.name, () => "timeout"),
  limit: Form.millis(),
  phase: Form.withDefault(
    Form.oneOf("attempt", "total", "firstContent", "idle", "liveness", "queue"),
    () => "attempt" as const
  )
}))

/**
 * A time-out. Fails with `InvalidOptions` when the limit is zero, negative or infinite.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Timeout, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("Timeout", form, options), ({ limit, name, phase }): Timeout => ({
      [TypeId]: TypeId,
      name,
      limit: Duration.millis(limit),
      phase
    }))
  )

/**
 * The time-out of the running program, for {@link layer}.
 *
 * @since 0.1.0
 * @category tags
 */
export const Timeout: Context.Tag<Timeout, Timeout> = Context.GenericTag<Timeout>("effect-llm-resilience/Timeout")

/**
 * A time-out for everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Timeout, InvalidOptions> => Layer.effect(Timeout, make(options))

/**
 * Runs the effect, at most for the limit; after that it is interrupted and `TimedOut` is the error.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: Timeout): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TimedOut, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Timeout): Effect.Effect<A, E | TimedOut, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Timeout): Effect.Effect<A, E | TimedOut, R> =>
    withTimeLimit(effect, timeLimit(self.name, self.phase, Duration.toMillis(self.limit)))
)
