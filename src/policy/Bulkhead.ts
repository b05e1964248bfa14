/**
 * Lets only so many calls run at a time, and only so many wait for their turn: first come, first served. A permit that
 * is given back goes to the first who waits in the same step, so no newcomer overtakes a waiter; an interrupted call
 * frees its permit or its place at once.
 *
 * A permit is held until the protected effect has really ended. A time-out inside of the bulkhead that leaves
 * uninterruptible work behind (as `Timeout` does) ends the call, and so frees the permit, while that work goes on; put
 * the time-out outside where the number of running calls must hold for such work too.
 *
 * A call that runs inside of another one of the same bulkhead takes a second permit. If there is none, and the outer
 * call is the one that filled the bulkhead, it is refused at once (`BulkheadFull`, reason `"reentrant"`) in place of
 * waiting; so calls can never wait for each other for ever. Other nested calls wait like anybody: one of the running
 * calls is sure to go on.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Bulkhead from "effect-llm-resilience/policy/Bulkhead"
 *
 * const program = Effect.gen(function*() {
 *   const bulkhead = yield* Bulkhead.make({ name: "openai", maxConcurrent: 2, maxQueued: 10 })
 *   const call = Effect.delay(Effect.succeed("an answer"), "10 millis")
 *   const answers = yield* Effect.all(Array.from({ length: 6 }, () => Bulkhead.apply(call, bulkhead)), {
 *     concurrency: "unbounded"
 *   })
 *   return answers.length
 * })
 *
 * Effect.runPromise(program).then(console.log) // 6
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { BulkheadFull, TimedOut } from "../error/PolicyError.ts"
import { form, type Limits, limitsForm, type Options } from "./bulkhead/options.ts"
import * as Admission from "./shared/admission.ts"
import * as Family from "./shared/keyed.ts"
import { readForm } from "./shared/options.ts"

/**
 * Marks a bulkhead.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Bulkhead")

/**
 * A bulkhead that refuses with `Refused`: `BulkheadFull`, and `TimedOut` if it has a queue time-out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bulkhead<out Refused = BulkheadFull | TimedOut> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** Its state: only this module moves it. */
  readonly admission: Admission.Admission<Refused>
}

/**
 * The bulkhead of the running program, for {@link layer}.
 *
 * @since 0.1.0
 * @category tags
 */
export const Bulkhead: Context.Tag<Bulkhead, Bulkhead> = Context.GenericTag<Bulkhead>("effect-llm-resilience/Bulkhead")

export type {
  /**
   * The limits that may change while it is in use.
   *
   * @since 0.1.0
   * @category models
   */
  Limits,
  /**
   * What a bulkhead is made from.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./bulkhead/options.ts"
export {
  /**
   * What holds where an option is left out.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./bulkhead/options.ts"

/**
 * A bulkhead; without a queue time-out its type has no `TimedOut`. Fails with `InvalidOptions` that lists every wrong
 * option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (options: Options & { readonly queueTimeout?: undefined }): Effect.Effect<Bulkhead<BulkheadFull>, InvalidOptions>
  (options: Options): Effect.Effect<Bulkhead, InvalidOptions>
} = (options: Options) =>
  Effect.suspend(() =>
    Either.map(readForm("Bulkhead", form, options), ({ maxConcurrent, name, ...queue }): Bulkhead => ({
      [TypeId]: TypeId,
      name,
      admission: Admission.make({ name, limit: maxConcurrent, floor: maxConcurrent, ...queue })
    })) as Effect.Effect<Bulkhead<BulkheadFull>, InvalidOptions> // Without a queue time-out nobody is ever late.
  )

export {
  /**
   * The priority of a call in the queue of a `Bulkhead` or a `ConcurrencyLimit`: a whole number from -100 to 100, higher
   * goes first. Default: 0. It counts only where the options have a `priorityAgeing`; then a waiter gains one step for
   * each such time that it waits, so that nobody starves. Calls of equal priority go first come, first served.
   *
   * @example
   * import * as Effect from "effect/Effect"
   * import * as Bulkhead from "effect-llm-resilience/policy/Bulkhead"
   *
   * const program = Effect.gen(function*() {
   *   const bulkhead = yield* Bulkhead.make({ maxConcurrent: 10, maxQueued: 100, priorityAgeing: "5 seconds" })
   *   const answer = Effect.succeed("for a person who waits").pipe(Bulkhead.apply(bulkhead))
   *   return yield* Effect.provideService(answer, Bulkhead.Priority, 3)
   * })
   *
   * Effect.runPromise(program).then(console.log) // for a person who waits
   *
   * @since 0.1.0
   * @category tags
   */
  Priority
} from "./shared/admission.ts"

/**
 * Provides a bulkhead to everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Bulkhead, InvalidOptions> => Layer.effect(Bulkhead, make(options))

/**
 * Runs the effect when there is room. Fails with `BulkheadFull` at once if as many run and wait as allowed, and with
 * `TimedOut` (phase `"queue"`) if it has waited for the queue time-out.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  <Refused>(
    self: Bulkhead<Refused>
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  <A, E, R, Refused>(effect: Effect.Effect<A, E, R>, self: Bulkhead<Refused>): Effect.Effect<A, E | Refused, R>
} = dual(
  2,
  <A, E, R, Refused>(effect: Effect.Effect<A, E, R>, self: Bulkhead<Refused>): Effect.Effect<A, E | Refused, R> =>
    Admission.apply(self.admission, effect)
)

/**
 * What a bulkhead does at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export type Stats = Admission.Stats

/**
 * How many run and wait at this moment, and how many may.
 *
 * @since 0.1.0
 * @category getters
 */
export const stats = <Refused>(self: Bulkhead<Refused>): Effect.Effect<Stats> =>
  Effect.sync(() => Admission.stats(self.admission))

/**
 * Sets new limits while it is in use; what is left out stays. Nobody who runs or waits is sent away: above a lower
 * limit nobody is let in until enough have ended.
 *
 * @since 0.1.0
 * @category operations
 */
export const resize = <Refused>(
  self: Bulkhead<Refused>,
  limits: Limits
): Effect.Effect<void, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("Bulkhead", limitsForm, limits), ({ maxConcurrent, maxQueued }) => {
      const { pool } = self.admission
      Admission.resize(self.admission, maxConcurrent ?? pool.limit, maxQueued ?? pool.maxQueued)
    })
  )

/**
 * "openai: 10 calls at a time, 50 waiting, for 5s at most"
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = <Refused>(self: Bulkhead<Refused>): string => {
  const { limit } = self.admission.pool
  return `${self.name}: ${Admission.describe(self.admission, `${limit} call${limit === 1 ? "" : "s"}`)}`
}

/**
 * A bulkhead for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed extends Family.Keyed<Bulkhead, BulkheadFull | TimedOut> {}

/**
 * A bulkhead for each key (a model, a tenant, an endpoint), made when the key is first used; idle keys are forgotten. The
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
    Family.make<Options, Bulkhead, BulkheadFull | TimedOut>(
      { module: "Bulkhead", make, isIdle: ({ admission }) => admission.pool.running === 0, apply, describe },
      options,
      bounds
    ),
    (made) => made.keyed
  )
