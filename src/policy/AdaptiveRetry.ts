/**
 * Slows a client down by itself when the other side is in trouble. Two modes:
 *
 * - `"multiplier"` (the default) stretches the waits between attempts by the recent rate of errors of the same class
 *   (throttled, or failed otherwise): from 1 when there are none to 4 when there is nothing else.
 * - `"rate"` is the stronger one: after the first throttle it also holds requests back before they are sent, at a rate
 *   that AWS's SDKs control by a cubic curve.
 *
 * A `Retry` takes it as an option; {@link apply} is for effects without one.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as AdaptiveRetry from "effect-llm-resilience/policy/AdaptiveRetry"
 *
 * const program = Effect.gen(function*() {
 *   const adaptive = yield* AdaptiveRetry.make({ name: "openai", mode: "rate" })
 *   yield* Effect.succeed("an answer").pipe(AdaptiveRetry.apply(adaptive))
 *   return yield* AdaptiveRetry.stats(adaptive)
 * })
 *
 * Effect.runPromise(program).then(console.log)
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { fields, integer, judge, number, oneOf, optional, text } from "../internal/reader.ts"
import { words } from "../internal/words.ts"
import { Cell, type Settings } from "./adaptiveRetry/cell.ts"
import * as Requests from "./adaptiveRetry/requests.ts"
import { durationInput, readAll } from "./shared/options.ts"

/**
 * What marks a value as an adaptive retry.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/AdaptiveRetry")

/**
 * `"multiplier"`: longer waits between attempts. `"rate"`: that, and requests held back before they are sent.
 *
 * @since 0.1.0
 * @category models
 */
export type Mode = "multiplier" | "rate"

/**
 * The numbers used when nothing is said. `rate` holds those of the AWS SDKs: `beta` is what is left of the rate after a
 * throttle, `scale` the steepness of the cubic curve, `minimumRate` the least requests a second, `smooth` the weight of
 * the newest measurement.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  mode: "multiplier",
  window: "5 minutes",
  calls: 100,
  minimumCalls: 10,
  maxMultiplier: 4,
  cap: "30 seconds",
  rate: { beta: 0.7, scale: 0.4, minimumRate: 0.5, smooth: 0.8 }
} as const

/**
 * What an adaptive retry is made from; everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events carry. Default: `"adaptiveRetry"`. */
  readonly name?: string | undefined
  /** Default: `"multiplier"`. */
  readonly mode?: Mode | undefined
  /** How long an outcome counts. Default: 5 minutes. */
  readonly window?: Duration.DurationInput | undefined
  /** The most outcomes that count: 1 to 100 000. Default: 100. */
  readonly calls?: number | undefined
  /**
   * With fewer outcomes than this, the missing ones are taken for successes, so that one failure out of one does not
   * weigh like a hundred out of a hundred: 1 to `calls`. Default: 10, or `calls` if that is less.
   */
  readonly minimumCalls?: number | undefined
  /** How much longer a wait may become: 1 to 100. Default: 4. */
  readonly maxMultiplier?: number | undefined
  /** A wait is not stretched beyond this; one that was longer before stays as it was. Default: 30 seconds. */
  readonly cap?: Duration.DurationInput | undefined
  /** Judges errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

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

const known = ["name", "mode", "window", "calls", "minimumCalls", "maxMultiplier", "cap", "verdict"]

/**
 * An adaptive retry with a state of its own. Fails with one `InvalidOptions` that lists every number out of range.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Options): Effect.Effect<AdaptiveRetry, InvalidOptions> =>
  Effect.suspend(() =>
    readAll("AdaptiveRetry", { ...options }, (value, path, report): AdaptiveRetry => {
      const given = { ...options }
      fields(value, path, known, report, "an object with the options of an adaptive retry")
      const whole = (most: number) => integer(1, most, `a whole number of calls, 1 to ${most}`)
      const calls = optional(given, "calls", path, whole(100_000), report) ?? defaults.calls
      const name = optional(given, "name", path, text, report) ?? "adaptiveRetry"
      const mode = optional(given, "mode", path, oneOf("multiplier", "rate"), report) ?? defaults.mode
      const duration = optional(given, "window", path, durationInput(), report)
      const minimumCalls = optional(given, "minimumCalls", path, whole(calls), report)
      const most = optional(given, "maxMultiplier", path, number(1, 100, "a factor from 1 to 100"), report)
      const cap = optional(given, "cap", path, durationInput(), report)
      optional(given, "verdict", path, judge, report)
      const settings = {
        calls,
        duration: duration ?? Duration.toMillis(defaults.window),
        minimumCalls: minimumCalls ?? Math.min(calls, defaults.minimumCalls),
        maxMultiplier: most ?? defaults.maxMultiplier,
        cap: cap ?? Duration.toMillis(defaults.cap)
      }
      return {
        [TypeId]: TypeId,
        name,
        mode,
        settings,
        verdict: given.verdict ?? Verdict.of,
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
 * Waits until the next request may be sent: at once in the mode `"multiplier"`, and before the first throttle. Callers
 * leave in the order they came; one that is interrupted while it waits gives its place back. A wait is reported as
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
