/**
 * Starts a further attempt beside one that takes long; the first success wins, and the others are interrupted without
 * being waited for. It trades a few more calls for a much shorter tail of latency (Dean and Barroso, "The Tail at
 * Scale", 2013: a hedge at the 95th percentile cost 2 % more requests). Only for work that may be done twice: every
 * attempt may be billed.
 *
 * @example
 * import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
 * import * as Hedge from "effect-llm-resilience/policy/Hedge"
 * import * as RetryBudget from "effect-llm-resilience/policy/RetryBudget"
 *
 * const call = Effect.gen(function*() {
 *   const attempt = yield* Hedge.CurrentAttempt
 *   return yield* attempt === 1 ? Effect.never : Effect.succeed("the hedge answered")
 * })
 *
 * const program = Effect.gen(function*() {
 *   const budget = yield* RetryBudget.make({ name: "openai" })
 *   const hedge = yield* Hedge.make({ name: "openai", delay: "20 millis", budget })
 *   return yield* call.pipe(Hedge.applyWithReport(hedge))
 * })
 *
 * Effect.runPromise(program).then((report) => console.log(report.value, report.attempts)) // the hedge answered 2
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import * as Verdict from "../error/Verdict.ts"
import { words } from "../internal/words.ts"
import type * as HedgeDelay from "./hedge/delay.ts"
import { HedgedAttempt } from "./hedge/hedgedAttempt.ts"
import { form, type Options } from "./hedge/options.ts"
import * as HedgeRace from "./hedge/race.ts"
import type * as RetryBudget from "./RetryBudget.ts"
import { GuardedEffect } from "./shared/attempt.ts"
import { surroundingsOf } from "./shared/childFiber.ts"
import { readForm } from "./shared/options.ts"

/**
 * What marks a value as a hedge.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Hedge")

export type {
  /**
   * A delay that is learned: as long as the given share of recent calls took at most.
   *
   * @since 0.1.0
   * @category models
   */
  LearnedDelay,
  /**
   * What a hedge is made from.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./hedge/options.ts"
export {
  /**
   * The numbers used when nothing is said. `window` is how many of the most recent successes a learned delay looks at;
   * it is worked out anew after every 25 of them. A delay has no default: hedging is off unless it is asked for.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./hedge/options.ts"

/**
 * A hedge. What it learned of latency is shared by all who hold the same value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hedge {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly maxHedges: number
  readonly delay: HedgeDelay.Fixed | HedgeDelay.Learned
  readonly budget: RetryBudget.RetryBudget | "none"
  readonly verdict: (error: unknown) => Verdict.Verdict
}

/**
 * The tag of a hedge that a program shares.
 *
 * @since 0.1.0
 * @category tags
 */
export const Hedge = Context.GenericTag<Hedge>("effect-llm-resilience/Hedge")

/**
 * Tells the hedged effect which attempt it is: 1 is the first, 2 and more are hedges. A hedge may so go elsewhere.
 *
 * @since 0.1.0
 * @category tags
 */
export const CurrentAttempt = HedgeRace.CurrentAttempt

/**
 * A hedge. Fails with one `InvalidOptions` that lists everything out of range, and when no budget was chosen.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Hedge, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("Hedge", form, options), ({ verdict, ...read }): Hedge => ({
      [TypeId]: TypeId,
      ...read,
      verdict: verdict ?? Verdict.of
    }))
  )

/**
 * A hedge that everything below shares.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Hedge, InvalidOptions> => Layer.effect(Hedge, make(options))

/**
 * A value together with what it took to get it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report<out A> {
  readonly value: A
  /** Attempts that were started, the first included: each of them may be billed. */
  readonly attempts: number
  /** The number of the attempt that answered; 1 is the first. */
  readonly winner: number
  readonly elapsed: Duration.Duration
}

const noGates: ReadonlyArray<never> = []

const run = <A, E, R, B>(
  effect: Effect.Effect<A, E, R>,
  self: Hedge,
  report: (value: A, call: HedgedAttempt<A, E, R>) => B
): Effect.Effect<B, E, R> =>
  Effect.withFiberRuntime((fiber, status) => {
    const surroundings = surroundingsOf<R>(fiber, status.runtimeFlags)
    const inner = new GuardedEffect<A, E, R, never>(effect, noGates, undefined, undefined)
    return Effect.uninterruptibleMask((restore) => {
      const call = new HedgedAttempt(inner, self, undefined, restore, surroundings)
      return Effect.map(call.run(), (value) => report(value, call))
    })
  })

/**
 * Runs the effect, and again beside it when it takes long. The first success wins. When all attempts fail, the error is
 * the first attempt's; an error whose verdict is `Fail`, and a defect, end the call at once. A further attempt starts at
 * once when all that run have failed with an error that may be retried and holds no hint to wait; a throttled one, or a
 * refusal of our own policies, starts none. Interruption reaches every attempt, and waits for them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: Hedge): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Hedge): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Hedge): Effect.Effect<A, E, R> => run(effect, self, (value) => value)
)

/**
 * Like {@link apply}, but the value comes with the number of attempts that were started, so that their cost can be
 * counted, and with the time it took.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyWithReport: {
  (self: Hedge): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Report<A>, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Hedge): Effect.Effect<Report<A>, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Hedge): Effect.Effect<Report<A>, E, R> =>
    run(effect, self, (value, { attempts, elapsedMillis, winner }) => ({
      value,
      attempts,
      winner,
      elapsed: Duration.millis(Math.round(elapsedMillis))
    }))
)

/**
 * What a hedge knows at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** The delay before a hedge; none while a learned one is not known. */
  readonly delay: Option.Option<Duration.Duration>
  /** How many recent calls a learned delay is reckoned from. */
  readonly samples: number
}

/**
 * What a hedge knows now.
 *
 * @since 0.1.0
 * @category getters
 */
export const stats = (self: Hedge): Effect.Effect<Stats> =>
  Effect.sync(() => ({
    delay: Option.fromNullable(self.delay.now),
    samples: self.delay.samples
  }))

const delayText = (delay: Hedge["delay"]): string => {
  if (delay._tag === "Fixed") {
    return Duration.isFinite(delay.delay) ? `after ${words(delay.delay)}` : "only after failures"
  }
  const before = delay.initial === undefined ? "none before" : `before that after ${words(delay.initial)}`
  return `after what ${
    delay.settings.quantile * 100
  }% of calls take (from ${delay.settings.minimumSamples} samples, ${before})`
}

/**
 * The hedge in one line.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Hedge): string =>
  `${self.name}: at most ${self.maxHedges} further attempt${self.maxHedges === 1 ? "" : "s"} ${
    delayText(self.delay)
  }, ${self.budget === "none" ? "no budget" : `budget ${self.budget.name}`}`
