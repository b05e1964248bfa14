/**
 * Slows a client down by itself when the other side is in trouble. Two modes:
 *
 * - `"multiplier"` (the default) stretches the waits between attempts by the recent rate of errors of the same class
 *   (throttled, or failed otherwise): from 1 when there are none to 4 when there is nothing else.
 * - `"rate"` is the stronger one: after the first throttle it also holds requests back before they are sent, at a rate
 *   that AWS's SDKs control by a cubic curve.
 *
 * A `Retry` takes it as an option; {@link apply} is for effects without one. Use it where a limit is shared with clients
 * that you do not see, or is not known: a `RateLimiter` needs its numbers, this one finds them by being throttled.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import { RateLimited } from "effect-llm-resilience/error/ModelError"
 * import * as AdaptiveRetry from "effect-llm-resilience/policy/AdaptiveRetry"
 *
 * // The key is used by other programs, too: some calls are throttled, and nobody says how many are allowed.
 * const call = (number: number) =>
 *   number < 3 ? Effect.fail(new RateLimited({ provider: "openai" })) : Effect.succeed("an answer")
 *
 * const program = Effect.gen(function*() {
 *   const adaptive = yield* AdaptiveRetry.make({ name: "openai", mode: "rate" })
 *   const results = yield* Effect.forEach([1, 2, 3], (number) =>
 *     call(number).pipe(AdaptiveRetry.apply(adaptive), Effect.either))
 *   const { rate } = yield* AdaptiveRetry.stats(adaptive)
 *   return { answers: results.filter((result) => result._tag === "Right").length, isHeldBack: rate._tag === "Some" }
 * })
 *
 * Effect.runPromise(program).then(console.log) // { answers: 1, isHeldBack: true }
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { words } from "../internal/words.ts"
import { Cell, type Settings } from "./adaptiveRetry/cell.ts"
import { defaults, form, type Mode, type Options } from "./adaptiveRetry/options.ts"
import * as Requests from "./adaptiveRetry/requests.ts"
import { readForm } from "./shared/options.ts"

/**
 * What marks a value as an adaptive retry.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/AdaptiveRetry")

export type {
  /**
   * `"multiplier"`: longer waits between attempts. `"rate"`: that, and requests held back before they are sent.
   *
   * @since 0.1.0
   * @category models
   */
  Mode,
  /**
   * What an adaptive retry is made from; everything may be left out.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./adaptiveRetry/options.ts"
export {
  /**
   * The numbers used when nothing is said. `rate` holds those of the AWS SDKs: `beta` is what is left of the rate after a
   * throttle, `scale` the steepness of the cubic curve, `minimumRate` the least requests a second, `smooth` the weight of
   * the newest measurement.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./adaptiveRetry/options.ts"

/**
 * An adaptive retry. Its state is shared by all who hold the same value.
 *
 * @since 0.1.0
 * @category models
 */
export interface AdaptiveRetry {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly mode: Mode
  readonly settings: Settings
  readonly verdict: (error: unknown) => Verdict.Verdict
  /** Its own books: read them with {@link stats}. */
  readonly cell: Cell
}

/**
 * The tag of an adaptive retry that a program shares.
 *
 * @since 0.1.0
 * @category tags
 */
export const AdaptiveRetry = Context.GenericTag<AdaptiveRetry>("effect-llm-resilience/AdaptiveRetry")

/**
 * An adaptive retry with a state of its own. Fails with one `InvalidOptions` that lists every number out of range.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<AdaptiveRetry, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("AdaptiveRetry", form, options), (read): AdaptiveRetry => {
      const { calls, cap, maxMultiplier, minimumCalls, mode, name, verdict, window } = read
      const settings = {
        calls,
        duration: window,
        minimumCalls: minimumCalls ?? Math.min(calls, defaults.minimumCalls),
        maxMultiplier,
        cap
      }
      return {
        [TypeId]: TypeId,
        name,
        mode,
        settings,
        verdict: verdict ?? Verdict.of,
        cell: new Cell(settings, mode === "rate" ? defaults.rate : undefined)
      }
    })
  )

/**
 * An adaptive retry that everything below shares.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<AdaptiveRetry, InvalidOptions> =>
  Layer.effect(AdaptiveRetry, make(options))

/**
 * Waits until the next request may be sent: at once in the mode `"multiplier"`, and before the first throttle. Requests
 * are sent in the order they came; one that is interrupted while it waits gives up its place. A wait is reported as
 * `RateLimitDelayed`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const acquire = (self: AdaptiveRetry): Effect.Effect<void> =>
  Effect.suspend(() =>
    Requests.isHolding(self)
      ? Effect.uninterruptibleMask((restore) => Requests.acquire(self, restore))
      : Effect.void
  )

/**
 * Runs one attempt: waits for its turn in the mode `"rate"` (see {@link acquire}), and takes in what became of it. A
 * retry goes round this, not inside. Defects, interruption and the refusals of our own policies count for nothing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: AdaptiveRetry): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: AdaptiveRetry): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: AdaptiveRetry): Effect.Effect<A, E, R> => {
    const attempt = Effect.onExit(effect, (exit) =>
      Effect.clockWith((clock) => {
        Requests.settle(self, exit, elapsedMillis(clock))
        return Effect.void
      }))
    return self.mode === "multiplier" ? attempt : Effect.zipRight(acquire(self), attempt)
  }
)

/**
 * What an adaptive retry looks like at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** Outcomes in the window. */
  readonly calls: number
  /** How much longer waits are after a throttle, 1 or more. */
  readonly throttledMultiplier: number
  /** How much longer waits are after another failure, 1 or more. */
  readonly failureMultiplier: number
  /** Requests a second that are let out; none in the mode `"multiplier"` and before the first throttle. */
  readonly rate: Option.Option<number>
}

/**
 * What an adaptive retry looks like now.
 *
 * @since 0.1.0
 * @category getters
 */
export const stats = (self: AdaptiveRetry): Effect.Effect<Stats> =>
  Effect.map(Effect.clock, (clock) => {
    const now = elapsedMillis(clock)
    const { cell } = self
    return {
      calls: cell.calls(now),
      throttledMultiplier: cell.multiplier("throttled", now),
      failureMultiplier: cell.multiplier("failure", now),
      rate: Option.fromNullable(cell.fillRate())
    }
  })

/**
 * The adaptive retry in one line.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: AdaptiveRetry): string => {
  const { calls, cap, duration, maxMultiplier } = self.settings
  const rate = `, and after a throttle requests are held back at a rate that recovers on a cubic curve (not below ${
    String(defaults.rate.minimumRate)
  } a second)`
  return `${self.name}: waits up to ${maxMultiplier} times as long (at most ${words(cap)}) by the errors of the last ` +
    `${calls} calls within ${words(duration)}${self.mode === "rate" ? rate : ""}`
}
