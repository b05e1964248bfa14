/**
 * A bulkhead that finds its own size: the limit of calls in flight falls when the other side shows overload (it
 * throttles, fails in a way that weighs, or slows down) and rises while calls succeed and the limit is used. Who waits
 * and who is refused is as with `Bulkhead`.
 *
 * `aimd` (Chiu and Jain 1989, RFC 5681) reads failures: a cut by `backoffRatio` for each overload, once for all calls
 * that were in flight with it, and one call more for each round of calls that succeed. `gradient` (after Gradient2 of
 * Netflix's concurrency-limits) also reads latency: it holds the limit where calls begin to take more than `tolerance`
 * times as long as at rest. Latency of model calls varies with the length of the answer, so prefer `aimd` unless the
 * calls are alike. An interrupted call teaches nothing.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as ConcurrencyLimit from "effect-llm-resilience/policy/ConcurrencyLimit"
 *
 * const program = Effect.gen(function*() {
 *   const limit = yield* ConcurrencyLimit.make({ name: "openai", initial: 10, ceiling: 100 })
 *   yield* Effect.ignore(Effect.fail({ _tag: "Busy", isRetryable: true }).pipe(ConcurrencyLimit.apply(limit)))
 *   return yield* ConcurrencyLimit.limit(limit)
 * })
 *
 * Effect.runPromise(program).then(console.log) // 9
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { BulkheadFull, TimedOut } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import * as Kernel from "../internal/adaptiveLimit.ts"
import { words } from "../internal/words.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import { boundsOf, form, type Limits, limitsForm, type Options } from "./concurrencyLimit/options.ts"
import * as Admission from "./shared/admission.ts"
import * as Family from "./shared/keyed.ts"
import { readForm } from "./shared/options.ts"
import type * as Gate from "./shared/permits.ts"

/**
 * Marks an adaptive limit.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/ConcurrencyLimit")

/**
 * An adaptive limit that refuses with `Refused`: `BulkheadFull`, and `TimedOut` if it has a queue time-out.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConcurrencyLimit<out Refused = BulkheadFull | TimedOut> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly verdict: (error: unknown) => Verdict.Verdict
  /** Its state: only this module moves it. */
  readonly admission: Admission.Admission<Refused>
  readonly cell: { settings: Kernel.Settings; current: Kernel.State }
}

/**
 * The adaptive limit of the running program, for {@link layer}.
 *
 * @since 0.1.0
 * @category tags
 */
export const ConcurrencyLimit: Context.Tag<ConcurrencyLimit, ConcurrencyLimit> = Context.GenericTag<ConcurrencyLimit>(
  "effect-llm-resilience/ConcurrencyLimit"
)

export type {
  /**
   * The bounds that may change while it is in use.
   *
   * @since 0.1.0
   * @category models
   */
  Limits,
  /**
   * What an adaptive limit is made from.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./concurrencyLimit/options.ts"
export {
  /**
   * What holds where an option is left out; durations in milliseconds.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./concurrencyLimit/options.ts"
export type {
  /**
   * How the limit moves, as data: JSON can say it, with durations as text. A name alone means its defaults.
   *
   * @since 0.1.0
   * @category models
   */
  Strategy
} from "./concurrencyLimit/strategy.ts"

/**
 * An adaptive limit; without a queue time-out its type has no `TimedOut`. Fails with `InvalidOptions` that lists every
 * wrong option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (
    options: Options & { readonly queueTimeout?: undefined }
  ): Effect.Effect<ConcurrencyLimit<BulkheadFull>, InvalidOptions>
  (options: Options): Effect.Effect<ConcurrencyLimit, InvalidOptions>
} = (options: Options) =>
  Effect.suspend(() =>
    Either.map(readForm("ConcurrencyLimit", form, options), (read): ConcurrencyLimit => {
      const { maxQueued, name, priorityAgeing, queueTimeout, strategy, verdict = Verdict.of } = read
      const { ceiling, floor, initial } = boundsOf(read)
      const settings: Kernel.Settings = { strategy, floor, ceiling }
      const self: ConcurrencyLimit = {
        [TypeId]: TypeId,
        name,
        verdict,
        admission: Admission.make({
          name,
          limit: initial,
          floor,
          maxQueued,
          queueTimeout,
          priorityAgeing,
          learn: (permit, cause, now) => learn(self, permit, cause, now)
        }),
        cell: { settings, current: Kernel.start(settings, initial) }
      }
      return self
    }) as Effect.Effect<ConcurrencyLimit<BulkheadFull>, InvalidOptions> // Without a queue time-out nobody is ever late.
  )

/**
 * Provides an adaptive limit to everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<ConcurrencyLimit, InvalidOptions> =>
  Layer.effect(ConcurrencyLimit, make(options))

const outcomeOf = (
  cause: Cause.Cause<unknown> | undefined,
  verdict: (error: unknown) => Verdict.Verdict
): Kernel.Sample["outcome"] => {
  if (cause === undefined) return "success"
  const failure = Cause.failureOption(cause)
  if (Option.isNone(failure)) return "ignored"
  const { throttled, weighs } = verdict(failure.value)
  return throttled || weighs ? "overload" : "ignored"
}

/** Moves the limit by how a call ended; `cause` is nothing for a success. Gives the report to make if it changed. */
const learn = (
  self: ConcurrencyLimit,
  permit: Gate.Permit,
  cause: Cause.Cause<unknown> | undefined,
  now: number
): Effect.Effect<void> | undefined => {
  const { pool } = self.admission
  const from = pool.limit
  self.cell.current = Kernel.observe(self.cell.settings, self.cell.current, {
    outcome: outcomeOf(cause, self.verdict),
    latency: Math.max(0, now - permit.startedAt),
    // The first call of a burst began alone and did not stay so.
    inFlight: Math.max(permit.inFlight, pool.running),
    epoch: permit.epoch
  })
  const to = Kernel.limitOf(self.cell.current)
  pool.limit = to
  pool.epoch = self.cell.current.epoch
  return from === to ? undefined : Effect.clockWith((clock) =>
    Monitor.emit(
      Event.ConcurrencyLimitChanged({ at: clock.unsafeCurrentTimeMillis(), name: self.name, from, to })
    )
  )
}

/**
 * Runs the effect when there is room, and learns from how it ends. Fails with `BulkheadFull` at once if as many run and
 * wait as allowed, and with `TimedOut` (phase `"queue"`) if it has waited for the queue time-out.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  <Refused>(
    self: ConcurrencyLimit<Refused>
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  <A, E, R, Refused>(
    effect: Effect.Effect<A, E, R>,
    self: ConcurrencyLimit<Refused>
  ): Effect.Effect<A, E | Refused, R>
} = dual(
  2,
  <A, E, R, Refused>(
    effect: Effect.Effect<A, E, R>,
    self: ConcurrencyLimit<Refused>
  ): Effect.Effect<A, E | Refused, R> => Admission.apply(self.admission, effect)
)

/**
 * How many calls may be in flight at this moment.
 *
 * @since 0.1.0
 * @category getters
 */
export const limit = <Refused>(self: ConcurrencyLimit<Refused>): Effect.Effect<number> =>
  Effect.sync(() => self.admission.pool.limit)

/**
 * What a limit does at this moment.
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
export const stats = <Refused>(self: ConcurrencyLimit<Refused>): Effect.Effect<Stats> =>
  Effect.sync(() => Admission.stats(self.admission))

/**
 * Sets new bounds while it is in use; what is left out stays, and so does what was learned. Nobody who runs or waits is
 * sent away.
 *
 * @since 0.1.0
 * @category operations
 */
export const resize = <Refused>(
  self: ConcurrencyLimit<Refused>,
  limits: Limits
): Effect.Effect<void, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("ConcurrencyLimit", limitsForm(self.cell.settings), limits), (read) => {
      const { cell } = self
      const { pool } = self.admission
      const { ceiling = cell.settings.ceiling, floor = cell.settings.floor, maxQueued = pool.maxQueued } = read
      cell.settings = { ...cell.settings, floor, ceiling }
      cell.current = Kernel.adjust(cell.settings, cell.current)
      pool.floor = Math.min(pool.floor, floor)
      Admission.resize(self.admission, Kernel.limitOf(cell.current), maxQueued)
    })
  )

const strategyText = (strategy: Kernel.Strategy): string =>
  strategy.kind === "aimd"
    ? `aimd: times ${strategy.backoffRatio} on overload or after ${words(strategy.timeout)}`
    : `gradient: times ${strategy.backoffRatio} on overload, up to ${strategy.tolerance} times the latency at rest`

/**
 * "openai: 1 to 200 calls (20 now; aimd: times 0.9 on overload or after 1m) at a time, none waiting"
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = <Refused>(self: ConcurrencyLimit<Refused>): string => {
  const { ceiling, floor, strategy } = self.cell.settings
  const limits = `${floor} to ${ceiling} calls (${self.admission.pool.limit} now; ${strategyText(strategy)})`
  return `${self.name}: ${Admission.describe(self.admission, limits)}`
}

/**
 * An adaptive limit for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed extends Family.Keyed<ConcurrencyLimit, BulkheadFull | TimedOut> {}

/**
 * An adaptive limit for each key (a model, a tenant, an endpoint), made when the key is first used; idle keys are forgotten. The
 * options are the same for all keys, where one is named `name/key`, or a function gives those of each key. Fails with
 * `InvalidOptions`; options by key that are wrong are a defect of the call. A key that is forgotten has to
 * find its limit anew.
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed = (
  options: Family.OptionsOf<Options>,
  bounds?: Family.Bounds
): Effect.Effect<Keyed, InvalidOptions> =>
  Effect.map(
    Family.make<Options, ConcurrencyLimit, BulkheadFull | TimedOut>(
      { module: "ConcurrencyLimit", make, isIdle: ({ admission }) => admission.pool.running === 0, apply, describe },
      options,
      bounds
    ),
    (made) => made.keyed
  )
