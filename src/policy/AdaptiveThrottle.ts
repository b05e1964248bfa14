/**
 * Refuses calls here that the other side would refuse anyway. Of the calls of the last two minutes it knows how many were
 * accepted, and refuses the next with a probability that grows as that share falls below a half: an overloaded side is
 * not kept busy with refusing, and the calls that it does get are those it can serve.
 *
 * Unlike a circuit breaker it never shuts: a side that takes a third of the load is sent about two thirds. Unlike a rate
 * limiter it needs no number. A call counts when it ends, because a model takes long to answer and calls that are on
 * their way say nothing yet; one that is refused here counts at once.
 *
 * Source: Site Reliability Engineering, chapter 21, https://sre.google/sre-book/handling-overload/
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Verdict from "effect-llm-resilience/error/Verdict"
 * import * as AdaptiveThrottle from "effect-llm-resilience/policy/AdaptiveThrottle"
 *
 * const program = Effect.gen(function*() {
 *   const throttle = yield* AdaptiveThrottle.make({ verdict: () => Verdict.make("Retry", { throttled: true }) })
 *   const call = Effect.fail("busy").pipe(AdaptiveThrottle.apply(throttle), Effect.ignore)
 *   yield* call.pipe(Effect.repeatN(99))
 *   return yield* AdaptiveThrottle.stats(throttle)
 * })
 *
 * Effect.runPromise(program).then(({ refusalProbability }) => console.log(refusalProbability > 0.9)) // true
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { Throttled } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import type * as Form from "../internal/form.ts"
import { words } from "../internal/words.ts"
import * as Cell from "./adaptiveThrottle/cell.ts"
import * as Kernel from "./adaptiveThrottle/kernel.ts"
import { form, type Options } from "./adaptiveThrottle/options.ts"
import * as Family from "./shared/keyed.ts"
import { readForm } from "./shared/options.ts"

export type {
  /**
   * What a throttle is made from; everything may be left out.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./adaptiveThrottle/options.ts"
export {
  /**
   * What holds where an option is left out: two calls for each that is accepted, over two minutes.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./adaptiveThrottle/options.ts"

/**
 * Marks an adaptive throttle.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/AdaptiveThrottle")

/**
 * An adaptive throttle, shared by all calls that are applied to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface AdaptiveThrottle {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** Its own books: read them with {@link stats}. */
  readonly cell: Cell.Cell
}

/**
 * The throttle of the running program.
 *
 * @since 0.1.0
 * @category tags
 */
export const AdaptiveThrottle: Context.Tag<AdaptiveThrottle, AdaptiveThrottle> = Context.GenericTag<AdaptiveThrottle>(
  "effect-llm-resilience/AdaptiveThrottle"
)

const build = ({ name, ratio, verdict = Verdict.of, window }: Form.Output<typeof form>) =>
  Effect.map(Random.next, (seed): AdaptiveThrottle => {
    const settings = { ratio, windowMillis: Duration.toMillis(window) }
    return {
      [TypeId]: TypeId,
      name,
      cell: { name, settings, verdict, state: Kernel.make(settings), seed, asked: 0, refused: 0 }
    }
  })

const reading = (options: unknown, mode: Form.Mode): Effect.Effect<AdaptiveThrottle, InvalidOptions> =>
  Effect.flatMap(Effect.suspend(() => readForm("AdaptiveThrottle", form, options, mode)), build)

/**
 * A throttle that has seen nothing yet and lets everything through. Fails with one `InvalidOptions` that lists every
 * wrong option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<AdaptiveThrottle, InvalidOptions> => reading(options, "code")

/**
 * A throttle for everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<AdaptiveThrottle, InvalidOptions> =>
  Layer.effect(AdaptiveThrottle, make(options))

/**
 * A throttle from JSON, as a policy file holds it: the fields of {@link Options} except `verdict`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<AdaptiveThrottle, InvalidOptions> => reading(json, "file")

/**
 * Runs the effect, or fails with `Throttled` at once.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: AdaptiveThrottle): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Throttled, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: AdaptiveThrottle): Effect.Effect<A, E | Throttled, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, { cell }: AdaptiveThrottle): Effect.Effect<A, E | Throttled, R> =>
    Effect.clockWith((clock): Effect.Effect<A, E | Throttled, R> => {
      const now = elapsedMillis(clock)
      if (!Cell.admit(cell, now)) return Cell.refuse(cell, now)
      return Effect.matchCauseEffect(effect, {
        onFailure: (cause) => Effect.failCause(Cell.settle(cell, Exit.failCause(cause), elapsedMillis(clock)) ?? cause),
        onSuccess: (value) => {
          Cell.settle(cell, Exit.succeed(value), elapsedMillis(clock))
          return Effect.succeed(value)
        }
      })
    })
)

/**
 * Numbers to watch: the calls of the window and how many were accepted, how likely the next is refused (0 to 1), and how
 * many were refused so far.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  readonly requests: number
  readonly accepts: number
  readonly refusalProbability: number
  readonly refused: number
}

/**
 * How it stands at this moment.
 *
 * @since 0.1.0
 * @category getters
 */
export const stats = ({ cell }: AdaptiveThrottle): Effect.Effect<Stats> =>
  Effect.map(Effect.clock, (clock) => {
    const counts = Kernel.counts(cell.state, elapsedMillis(clock))
    const refusalProbability = Kernel.refusalProbability(cell.settings, counts)
    return { ...counts, refusalProbability, refused: cell.refused }
  })

/**
 * "adaptive throttle "openai": 2 calls for each that is accepted, by those of the last 2m"
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = ({ cell: { name, settings } }: AdaptiveThrottle): string =>
  `adaptive throttle "${name}": ${settings.ratio} call${settings.ratio === 1 ? "" : "s"} for each that is accepted, ` +
  `by those of the last ${words(settings.windowMillis)}`

/**
 * A throttle for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed extends Family.Keyed<AdaptiveThrottle, Throttled> {}

/**
 * A throttle for each key (a model, a tenant, an endpoint), made when the key is first used; idle keys are forgotten. The
 * options are the same for all keys, where one is named `name/key`, or a function gives those of each key. Fails with
 * `InvalidOptions`; options by key that are wrong are a defect of the call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed = (
  options: Family.OptionsOf<Options>,
  bounds?: Family.Bounds
): Effect.Effect<Keyed, InvalidOptions> =>
  Effect.map(
    Family.make<Options, AdaptiveThrottle, Throttled>(
      {
        module: "AdaptiveThrottle",
        make,
        isIdle: ({ cell }, now) => Kernel.refusalProbability(cell.settings, Kernel.counts(cell.state, now)) === 0,
        apply,
        describe
      },
      options,
      bounds
    ),
    (made) => made.keyed
  )
