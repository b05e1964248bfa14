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
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { BulkheadFull, TimedOut } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { at, fields, integer, judge, optional, type Problem } from "../internal/reader.ts"
import { words } from "../internal/words.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import * as Kernel from "./concurrencyLimit/kernel.ts"
import { defaultStrategies, readStrategy } from "./concurrencyLimit/strategy.ts"
import * as Admission from "./shared/admission.ts"
import * as Family from "./shared/keyed.ts"
import { policyName, readAll } from "./shared/options.ts"
import * as Gate from "./shared/permits.ts"
import type * as Region from "./shared/region.ts"

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

/**
 * How the limit moves, as data: JSON can say it, with durations as text. A name alone means its defaults.
 *
 * @since 0.1.0
 * @category models
 */
export type Strategy = "aimd" | "gradient" | {
  readonly kind: "aimd"
  /** What is left of the limit after an overload: 0.01 to 0.99. Default: 0.9. */
  readonly backoffRatio?: number | undefined
  /** A call that takes longer counts as overload, however it ends. Default: 1 minute. */
  readonly timeout?: Duration.DurationInput | undefined
} | {
  readonly kind: "gradient"
  /** What is left of the limit after an overload: 0.01 to 0.99. Default: 0.9. */
  readonly backoffRatio?: number | undefined
  /** How many times the latency at rest is still in order: 1 to 1.99. Default: 1.5. */
  readonly tolerance?: number | undefined
  /** How much of a change each step makes: 0.01 to 1. Default: 0.2. */
  readonly smoothing?: number | undefined
  /** Calls that may wait at the other side without being taken for overload: 1 to 1000. Default: 4. */
  readonly queueSize?: number | undefined
  /**
   * After so many calls under load the latency at rest is measured anew, at half the limit: 100 to 1 000 000.
   * Default: 600.
   */
  readonly remeasureEvery?: number | undefined
}

/**
 * What an adaptive limit is made from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events and errors carry. Default: `"concurrency limit"`. */
  readonly name?: string | undefined
  /** The limit to start with, from `floor` to `ceiling`. Default: 20, or what of it lies between the two. */
  readonly initial?: number | undefined
  /** The limit never falls below: 1 to 1 000 000. Default: 1. */
  readonly floor?: number | undefined
  /** The limit never rises above: `floor` to 1 000 000. Default: 200, or `floor` if that is higher. */
  readonly ceiling?: number | undefined
  /** How the limit moves. Default: `"aimd"`. */
  readonly strategy?: Strategy | undefined
  /** Calls that may wait at a time: 0 to 1 000 000. Default: 0, whoever finds no room is refused. */
  readonly maxQueued?: number | undefined
  /** How long a call may wait before it fails with `TimedOut`; needs `maxQueued`. Default: without end. */
  readonly queueTimeout?: Duration.DurationInput | undefined
  /** Judges an error; one that is throttled or weighs is an overload. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/**
 * What holds where an option is left out; durations in milliseconds.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  name: "concurrency limit",
  initial: 20,
  floor: 1,
  ceiling: 200,
  maxQueued: 0,
  strategy: "aimd",
  strategies: defaultStrategies
} as const

const known = ["name", "initial", "floor", "ceiling", "strategy", "maxQueued", "queueTimeout", "verdict"]

const crossed = (path: string, floor: number, ceiling: number): Problem => ({
  path: at(path, "ceiling"),
  found: ceiling,
  allowed: `at least floor, which is ${floor}`
})

const count = integer(1, Admission.most, `a whole number, 1 to ${Admission.most}`)

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
    readAll("ConcurrencyLimit", options, (value, path, report): ConcurrencyLimit | undefined => {
      const given = fields(value, path, known, report, "an object with the options of an adaptive limit")
      if (given === undefined) return undefined
      const name = optional(given, "name", path, policyName, report) ?? defaults.name
      const floor = optional(given, "floor", path, count, report) ?? defaults.floor
      const ceiling = optional(given, "ceiling", path, count, report) ?? Math.max(floor, defaults.ceiling)
      const initial = optional(given, "initial", path, count, report) ??
        Math.min(ceiling, Math.max(floor, defaults.initial))
      const strategy = optional(given, "strategy", path, readStrategy, report) ?? defaultStrategies[defaults.strategy]
      const { maxQueued = defaults.maxQueued, queueTimeout } = Admission.readQueue(given, path, report)
      optional(given, "verdict", path, judge, report)
      if (ceiling < floor) {
        report.problems.push({
          path: at(path, "ceiling"),
          found: ceiling,
          allowed: `at least floor, which is ${floor}`
        })
      } else if (initial < floor || initial > ceiling) {
        report.problems.push({
          path: at(path, "initial"),
          found: initial,
          allowed: `from floor, which is ${floor}, to ceiling, which is ${ceiling}`
        })
      }
      const settings: Kernel.Settings = { strategy, floor, ceiling }
      return {
        [TypeId]: TypeId,
        name,
        verdict: options.verdict ?? Verdict.of,
        admission: Admission.make({ name, limit: initial, floor, maxQueued, queueTimeout }),
        cell: { settings, current: Kernel.start(settings, initial) }
      }
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

/**
 * Proof that a call may run, with what is measured of it. It is given back exactly once, by {@link unsafeSettle}.
 *
 * @since 0.1.0
 * @category models
 */
export type Permit = Gate.Permit

/**
 * The first half of {@link apply}, for whoever fuses several policies into one step: a permit at once, or nothing. To
 * be called in an uninterruptible region that ends with {@link unsafeSettle}. Without a permit go on with
 * {@link queue}. `now` is elapsed milliseconds.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeAdmit = <Refused>(self: ConcurrencyLimit<Refused>, now: number): Permit | undefined => {
  const permit = Gate.admit(self.admission.gate)
  if (permit !== undefined) permit.since = now
  return permit
}

/**
 * The `restore` of `Effect.uninterruptibleMask`.
 *
 * @since 0.1.0
 * @category low level
 */
export type Restore = Region.Restore

/**
 * The way to a permit after {@link unsafeAdmit} gave none: waits in the queue, or refuses. To be run in an
 * uninterruptible region; `restore` comes from its `Effect.uninterruptibleMask`, so that the wait alone can be
 * interrupted.
 *
 * @since 0.1.0
 * @category low level
 */
export const queue = <Refused>(
  self: ConcurrencyLimit<Refused>,
  restore: Restore
): Effect.Effect<Permit, Refused> =>
  Effect.flatMap(self.admission.queue(restore), (permit) =>
    Effect.clockWith((clock) => {
      permit.since = elapsedMillis(clock)
      return Effect.succeed(permit)
    }))

/**
 * The effect to run with a permit: it knows, where that matters, that it holds it.
 *
 * @since 0.1.0
 * @category low level
 */
export const protect = <A, E, R, Refused>(
  self: ConcurrencyLimit<Refused>,
  permit: Permit,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Admission.protect(self.admission, permit, effect)

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

/**
 * The second half of {@link apply}: moves the limit by how the call ended (`cause` is nothing for a success), gives the
 * permit back, and lets in who waits. Returns the report to make if the limit changed. A second time does nothing.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeSettle = <Refused>(
  self: ConcurrencyLimit<Refused>,
  permit: Permit,
  cause: Cause.Cause<unknown> | undefined,
  now: number
): Effect.Effect<void> | undefined => {
  if (!permit.held) return undefined
  const { gate } = self.admission
  const from = gate.limit
  try {
    self.cell.current = Kernel.observe(self.cell.settings, self.cell.current, {
      outcome: outcomeOf(cause, self.verdict),
      latency: Math.max(0, now - permit.since),
      // The first call of a burst began alone and did not stay so.
      inFlight: Math.max(permit.inFlight, gate.running),
      epoch: permit.epoch
    })
    gate.limit = Kernel.limitOf(self.cell.current)
    gate.epoch = self.cell.current.epoch
  } finally {
    // A verdict is somebody else's code; if it throws, that is a defect of the call, and the permit is given back.
    Admission.release(self.admission, permit)
  }
  const to = gate.limit
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
  ): Effect.Effect<A, E | Refused, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.clockWith((clock) => {
        const settle = <A2, E2>(
          permit: Permit,
          cause: Cause.Cause<unknown> | undefined,
          end: Effect.Effect<A2, E2>
        ): Effect.Effect<A2, E2> => {
          const report = unsafeSettle(self, permit, cause, elapsedMillis(clock))
          return report === undefined ? end : Effect.zipRight(report, end)
        }
        const run = (permit: Permit): Effect.Effect<A, E, R> =>
          Effect.matchCauseEffect(restore(protect(self, permit, effect)), {
            onFailure: (cause) => settle(permit, cause, Effect.failCause(cause)),
            onSuccess: (value) => settle(permit, undefined, Effect.succeed(value))
          })
        const permit = unsafeAdmit(self, elapsedMillis(clock))
        return permit === undefined ? Effect.flatMap(queue(self, restore), run) : run(permit)
      })
    )
)

/**
 * How many calls may be in flight at this moment.
 *
 * @since 0.1.0
 * @category getters
 */
export const limit = <Refused>(self: ConcurrencyLimit<Refused>): Effect.Effect<number> =>
  Effect.sync(() => self.admission.gate.limit)

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
  options: {
    readonly floor?: number | undefined
    readonly ceiling?: number | undefined
    readonly maxQueued?: number | undefined
  }
): Effect.Effect<void, InvalidOptions> =>
  Effect.suspend(() =>
    Effect.map(
      readAll("ConcurrencyLimit", options, (value, path, report) => {
        const given = fields(value, path, ["floor", "ceiling", "maxQueued"], report, "an object with the new bounds")
        if (given === undefined) return undefined
        const floor = optional(given, "floor", path, count, report) ?? self.cell.settings.floor
        const ceiling = optional(given, "ceiling", path, count, report) ?? self.cell.settings.ceiling
        if (ceiling < floor) report.problems.push(crossed(path, floor, ceiling))
        return { floor, ceiling, maxQueued: Admission.readQueue(given, path, report).maxQueued }
      }),
      ({ ceiling, floor, maxQueued }) => {
        const { cell } = self
        const { gate } = self.admission
        cell.settings = { ...cell.settings, floor, ceiling }
        cell.current = Kernel.adjust(cell.settings, cell.current)
        gate.floor = Math.min(gate.floor, floor)
        Admission.resize(self.admission, Kernel.limitOf(cell.current), maxQueued ?? gate.maxQueued)
      }
    )
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
  const limits = `${floor} to ${ceiling} calls (${self.admission.gate.limit} now; ${strategyText(strategy)})`
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
      { module: "ConcurrencyLimit", make, isIdle: ({ admission }) => admission.gate.running === 0, apply, describe },
      options,
      bounds
    ),
    (made) => made.keyed
  )
