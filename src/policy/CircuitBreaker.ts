/**
 * Stops calling what keeps failing. A closed circuit lets everything through and counts; when its `Tripping` says so it
 * opens and refuses at once with `CircuitOpen`, which tells how long to wait; after the break a few probes decide
 * whether it closes again or opens for longer.
 *
 * Only errors whose verdict weighs count as failures: rate limits, 4xx and refusals of other policies count for nothing,
 * and so does a call that is interrupted. A result that arrives after the circuit has moved on decides nothing.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as CircuitBreaker from "effect-llm-resilience/policy/CircuitBreaker"
 * import * as Tripping from "effect-llm-resilience/policy/Tripping"
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.make({
 *     name: "openai",
 *     tripping: Tripping.consecutive(3),
 *     openFor: "10 seconds"
 *   })
 *   const call = Effect.fail("down").pipe(CircuitBreaker.apply(breaker))
 *   yield* Effect.ignore(call).pipe(Effect.repeatN(2))
 *   return yield* call
 * })
 *
 * Effect.runPromise(Effect.flip(program)).then((error) => console.log(typeof error === "string" ? error : error.message))
 * // Circuit "openai" is open. It admits a probe in 10s. It was opened by "down"
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Stream from "effect/Stream"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { CircuitOpen } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import type { Reader } from "../internal/reader.ts"
import { words } from "../internal/words.ts"
import type * as Backoff from "./Backoff.ts"
import * as Cell from "./circuitBreaker/cell.ts"
import { changesOf } from "./circuitBreaker/changes.ts"
import * as Guard from "./circuitBreaker/guard.ts"
import * as Circuit from "./circuitBreaker/kernel.ts"
import { readJson, readOptions, type Settings, toKernel, write } from "./circuitBreaker/options.ts"
import { readSnapshot } from "./circuitBreaker/snapshot.ts"
import { type State, view } from "./circuitBreaker/view.ts"
import { readAll } from "./shared/options.ts"
import type * as Tripping from "./Tripping.ts"

export {
  /**
   * Whether a value is a circuit breaker.
   *
   * @since 0.1.0
   * @category guards
   */
  isCircuitBreaker,
  /**
   * Marks a circuit breaker.
   *
   * @since 0.1.0
   * @category symbols
   */
  TypeId
} from "./circuitBreaker/cell.ts"
export type {
  /**
   * A change from one state to another.
   *
   * @since 0.1.0
   * @category models
   */
  Change
} from "./circuitBreaker/cell.ts"
export {
  /**
   * What a breaker does that says nothing else: 10 s doubling to 60 s open, a hint of up to an hour believed, 3 probes.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./circuitBreaker/options.ts"
export type {
  /**
   * A breaker's options with all defaults filled in.
   *
   * @since 0.1.0
   * @category models
   */
  Settings
} from "./circuitBreaker/options.ts"
export {
  /**
   * What a circuit is doing: `State.Closed(…)`, `State.$is("Open")`, `State.$match({ … })`.
   *
   * @since 0.1.0
   * @category models
   */
  State
} from "./circuitBreaker/view.ts"

/**
 * A circuit breaker. It is one circuit, shared by all calls that are applied to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreaker extends Cell.CircuitBreaker {}

/**
 * The circuit breaker of the running program.
 *
 * @since 0.1.0
 * @category tags
 */
export const CircuitBreaker: Context.Tag<CircuitBreaker, CircuitBreaker> = Context.GenericTag<CircuitBreaker>(
  "effect-llm-resilience/CircuitBreaker"
)

/**
 * What a breaker is made from. Only the name is needed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name that its events and its refusals carry. */
  readonly name: string
  /** When it opens: a `Tripping`, or one as JSON. Default: half of the calls within 30 s failed, from 10 calls on. */
  readonly tripping?: Tripping.Tripping | { readonly [field: string]: unknown } | undefined
  /**
   * How long it stays open: a duration, or a `Backoff` (or one as JSON) whose n-th wait is the break of the n-th
   * opening in a row. Default: 10 s doubling to 60 s. Where the error that opens it asks for a longer wait, that is it.
   */
  readonly openFor?:
    | Duration.DurationInput
    | Backoff.Backoff
    | { readonly [field: string]: unknown }
    | undefined
  /** A longer wait than this is not believed: above zero and finite. Default: 1 hour. */
  readonly longestHint?: Duration.DurationInput | undefined
  /** How many probes run at a time while it is half-open: 1 to 1000. Others are refused at once. Default: 3. */
  readonly probes?: number | undefined
  /** How many probes must succeed to close it: 1 to 1000. One that fails opens it again. Default: `probes`. */
  readonly successesToClose?: number | undefined
  /**
   * A probe that has no result by then has failed, and a later result of it is ignored. It is not interrupted: that is
   * for a time-out. Above zero and finite. Default: 1 minute.
   */
  readonly probeLimit?: Duration.DurationInput | undefined
  /** `"observe"` counts, moves and reports, but refuses nothing. Default: `"enforce"`. */
  readonly mode?: "enforce" | "observe" | undefined
  /** Judges an error, for errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

const build = (settings: Settings, verdict: Options["verdict"]): Effect.Effect<CircuitBreaker> =>
  Effect.map(Random.next, (seed) => Cell.unsafeMake(settings, verdict, seed))

const reading = (value: unknown, read: Reader<Settings>): Effect.Effect<Settings, InvalidOptions> =>
  Effect.suspend(() => readAll("CircuitBreaker", value, read))

/**
 * A closed circuit breaker. Fails with one `InvalidOptions` that lists every wrong option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<CircuitBreaker, InvalidOptions> =>
  Effect.flatMap(reading(options, readOptions), (settings) => build(settings, options.verdict))

/**
 * A circuit breaker for everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<CircuitBreaker, InvalidOptions> =>
  Layer.effect(CircuitBreaker, make(options))

/**
 * Runs the effect if the circuit lets it through; fails with `CircuitOpen` at once if not.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: CircuitBreaker): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: CircuitBreaker): Effect.Effect<A, E | CircuitOpen, R>
} = dual(2, Guard.apply)

/** Does something to the circuit in one step, and reports what came of it. */
const step = <A>(self: CircuitBreaker, act: (cell: Cell.Cell, now: number) => A): Effect.Effect<A> =>
  Effect.uninterruptible(Effect.clockWith((clock) => {
    const now = elapsedMillis(clock)
    Cell.catchUp(self.cell, now)
    const result = act(self.cell, now)
    return self.cell.pending === undefined ? Effect.succeed(result) : Effect.as(Guard.report(self), result)
  }))

// by hand

/**
 * Opens the circuit until {@link close}: every call is refused, and no probe is let through.
 *
 * @since 0.1.0
 * @category operations
 */
export const isolate = (self: CircuitBreaker): Effect.Effect<void> =>
  step(self, (cell, now) => Cell.move(cell, Circuit.isolated(cell.state.ticket), now))

/**
 * Closes the circuit, from whatever state, and forgets all counts. Calls that are on their way count for nothing.
 *
 * @since 0.1.0
 * @category operations
 */
export const close = (self: CircuitBreaker): Effect.Effect<void> =>
  step(self, (cell, now) => Cell.move(cell, Circuit.closed(cell.kernel, cell.state.ticket), now))

/**
 * Switches the breaker off until {@link close}: everything is let through, nothing is counted.
 *
 * @since 0.1.0
 * @category operations
 */
export const disable = (self: CircuitBreaker): Effect.Effect<void> =>
  step(self, (cell, now) => Cell.move(cell, Circuit.disabled(cell.state.ticket), now))

/**
 * Takes over other options while it works. Its state goes on: an open circuit stays open for the break it has, the next
 * break is the new one, and counts are kept unless `tripping` changes. Fails with `InvalidOptions`, also when the name is another one.
 *
 * @since 0.1.0
 * @category operations
 */
export const reconfigure: {
  (options: Options): (self: CircuitBreaker) => Effect.Effect<void, InvalidOptions>
  (self: CircuitBreaker, options: Options): Effect.Effect<void, InvalidOptions>
} = dual(2, (self: CircuitBreaker, options: Options): Effect.Effect<void, InvalidOptions> => {
  const read: Reader<Settings> = (value, path, problems) => {
    const settings = readOptions(value, path, problems)
    if (settings !== undefined && settings.name !== self.name) {
      problems.problems.push({ path: "name", found: settings.name, allowed: `the breaker's own name, "${self.name}"` })
    }
    return settings
  }
  return Effect.flatMap(reading(options, read), (settings) =>
    step(self, (cell) => {
      const changed = {
        rule: !Equal.equals(cell.settings.tripping, settings.tripping),
        breaks: !Equal.equals(cell.settings.openFor, settings.openFor)
      }
      cell.settings = settings
      cell.kernel = toKernel(settings, cell.kernel.seed)
      cell.verdict = options.verdict ?? Verdict.of
      cell.state = Circuit.reconfigure(cell.kernel, cell.state, changed)
    }))
})

// looking

/**
 * What the circuit is doing now. A break that is over shows as `HalfOpen`: the next call is a probe.
 *
 * @since 0.1.0
 * @category getters
 */
export const state = (self: CircuitBreaker): Effect.Effect<State> => step(self, view)

/**
 * Every change of state from the moment the stream is run. A reader that is slow loses the oldest beyond 256.
 *
 * @since 0.1.0
 * @category getters
 */
export const changes = (self: CircuitBreaker): Stream.Stream<Cell.Change> => changesOf(self.cell.listeners, 256)

/**
 * Numbers to watch: the state, and how many calls were refused so far (or, in the mode `"observe"`, would have been).
 *
 * @since 0.1.0
 * @category getters
 */
export const stats = (
  self: CircuitBreaker
): Effect.Effect<{ readonly state: State; readonly refused: number }> =>
  step(self, (cell, now) => ({ state: view(cell, now), refused: cell.refused }))

/**
 * The options it works with, all defaults filled in.
 *
 * @since 0.1.0
 * @category getters
 */
export const settings = (self: CircuitBreaker): Settings => self.cell.settings

/**
 * The breaker in one readable line.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: CircuitBreaker): string => {
  const { longestHint, mode, name, openFor, probeLimit, probes, successesToClose, tripping } = self.cell.settings
  return `circuit breaker "${name}"${mode === "observe" ? " (observes only)" : ""}: opens at ${String(tripping)}; ` +
    `break ${String(openFor)}, or as long as the error asks up to ${words(longestHint)}; then up to ${probes} ` +
    `probe${probes === 1 ? "" : "s"} at a time of at most ${words(probeLimit)}, closes after ${successesToClose}`
}

// conversions

/**
 * A breaker from JSON, as a policy file holds it: the fields of {@link Options} except `verdict`, durations written
 * like `"8 seconds"`. Fails with one `InvalidOptions` that lists every wrong field.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<CircuitBreaker, InvalidOptions> =>
  Effect.flatMap(reading(json, readJson), (settings) => build(settings, undefined))

/**
 * The breaker's options as JSON; {@link decode} makes the same breaker of them, closed.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (self: CircuitBreaker): { readonly [field: string]: unknown } => write(self.cell.settings)

/**
 * The state of a circuit as plain data, to be kept as JSON. Times are what is left of them, so that clocks need not
 * agree.
 *
 * @since 0.1.0
 * @category models
 */
export type Snapshot = Circuit.Snapshot

/**
 * The circuit's state as plain data: the counts, or what is left of the break. Calls that are running are not in it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const snapshot = (self: CircuitBreaker): Effect.Effect<Snapshot> =>
  step(self, (cell, now) => Circuit.write(cell.state, now))

/**
 * Takes over the state of a snapshot, from this circuit or another one, as it was or after it went through JSON. What
 * was left of a break is left of it again. Counts of a rule that this breaker does not have are dropped. Fails with
 * `InvalidOptions` when it is no snapshot.
 *
 * @since 0.1.0
 * @category conversions
 */
export const restore: {
  (snapshot: unknown): (self: CircuitBreaker) => Effect.Effect<void, InvalidOptions>
  (self: CircuitBreaker, snapshot: unknown): Effect.Effect<void, InvalidOptions>
} = dual(2, (self: CircuitBreaker, snapshot: unknown): Effect.Effect<void, InvalidOptions> =>
  Effect.flatMap(
    Effect.suspend(() => readAll("CircuitBreaker", snapshot, readSnapshot)),
    (read) =>
      step(self, (cell, now) => Cell.move(cell, Circuit.restore(cell.kernel, cell.state.ticket, read, now), now))
  ))
