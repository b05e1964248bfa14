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
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Stream from "effect/Stream"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { CircuitOpen } from "../error/PolicyError.ts"
import * as Form from "../internal/form.ts"
import * as Cell from "./circuitBreaker/cell.ts"
import { changesOf } from "./circuitBreaker/changes.ts"
import * as Guard from "./circuitBreaker/guard.ts"
import * as Circuit from "./circuitBreaker/kernel.ts"
import * as Family from "./circuitBreaker/keyed.ts"
import type { Keyed, KeyedOptions } from "./circuitBreaker/keyed.ts"
import { form, formOf, type Options, type Settings, toSettings } from "./circuitBreaker/options.ts"
import * as Stored from "./circuitBreaker/snapshot.ts"
import * as View from "./circuitBreaker/view.ts"
import type { Bounds } from "./shared/keyed.ts"
import { readForm } from "./shared/options.ts"

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
export type {
  /**
   * A circuit for each key. What protects somebody is not forgotten.
   *
   * @since 0.1.0
   * @category models
   */
  Keyed,
  /**
   * The options of each circuit, and how many are kept. The circuit of a key is named `name/key`.
   *
   * @since 0.1.0
   * @category models
   */
  KeyedOptions,
  /**
   * The options of one key: all of a breaker's but the name.
   *
   * @since 0.1.0
   * @category models
   */
  OwnOptions
} from "./circuitBreaker/keyed.ts"
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
   * A backoff written inline, in the spelling of a file.
   *
   * @since 0.1.0
   * @category models
   */
  BackoffInput,
  /**
   * The share of probes that must succeed.
   *
   * @since 0.1.0
   * @category models
   */
  CloseAt,
  /**
   * What a breaker is made from. Only the name is needed.
   *
   * @since 0.1.0
   * @category models
   */
  Options,
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
export type {
  /**
   * How many keys are kept, and for how long.
   *
   * @since 0.1.0
   * @category models
   */
  Bounds
} from "./shared/keyed.ts"

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

type Read = Form.Output<typeof form>

const build = ({ verdict, ...read }: Read): Effect.Effect<CircuitBreaker> =>
  Effect.map(Random.next, (seed) => Cell.unsafeMake(toSettings(read), verdict, seed))

const reading = (value: unknown, mode: Form.Mode): Effect.Effect<Read, InvalidOptions> =>
  Effect.suspend(() => readForm("CircuitBreaker", form, value, mode))

/**
 * A closed circuit breaker. Fails with one `InvalidOptions` that lists every wrong option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<CircuitBreaker, InvalidOptions> =>
  Effect.flatMap(reading(options, "code"), build)

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

/**
 * A circuit for each key (a model, a tenant, an endpoint), made when the key is first used. Idle keys are forgotten.
 *
 * `options` are the same for all keys, whose circuits are named `name/key`; or a function gives the options of each key.
 * Fails with one `InvalidOptions` that lists every wrong option; options by key that are wrong are a defect of the call.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as CircuitBreaker from "effect-llm-resilience/policy/CircuitBreaker"
 * import * as Tripping from "effect-llm-resilience/policy/Tripping"
 *
 * const program = Effect.gen(function*() {
 *   const breakers = yield* CircuitBreaker.keyed({ name: "models", tripping: Tripping.consecutive(1) })
 *   const ask = (model: string) =>
 *     (model === "small" ? Effect.fail("down") : Effect.succeed("an answer")).pipe(
 *       breakers.apply(model),
 *       Effect.catchTag("CircuitOpen", (refusal) => Effect.succeed(refusal.message)),
 *       Effect.merge
 *     )
 *   return [yield* ask("small"), yield* ask("small"), yield* ask("large")]
 * })
 *
 * Effect.runPromise(program).then((answers) => console.log(answers.join("; ")))
 * // down; Circuit "models/small" is open. It admits a probe in 10s. It was opened by "down"; an answer
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed: {
  (options: KeyedOptions): Effect.Effect<Keyed, InvalidOptions>
  (optionsOf: (key: string) => Options, bounds?: Bounds): Effect.Effect<Keyed, InvalidOptions>
} = (options: KeyedOptions | ((key: string) => Options), bounds?: Bounds) =>
  typeof options === "function" ? Family.fromFunction(options, bounds) : Family.fromOptions(options, "code")

/**
 * A family from JSON: the fields of {@link KeyedOptions} except `verdict`, durations written like `"8 seconds"`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodeKeyed = (json: unknown): Effect.Effect<Keyed, InvalidOptions> => Family.fromOptions(json, "file")

// by hand

/**
 * Opens the circuit until {@link close}: every call is refused, and no probe is let through.
 *
 * @since 0.1.0
 * @category operations
 */
export const isolate = (self: CircuitBreaker): Effect.Effect<void> =>
  Guard.step(self, (cell, now) => Cell.move(cell, Circuit.isolated(cell.state.ticket), now))

/**
 * Closes the circuit, from whatever state, and forgets all counts. Calls that are on their way count for nothing.
 *
 * @since 0.1.0
 * @category operations
 */
export const close = (self: CircuitBreaker): Effect.Effect<void> =>
  Guard.step(self, (cell, now) => Cell.move(cell, Circuit.closed(cell.kernel, cell.state.ticket), now))

/**
 * Switches the breaker off until {@link close}: everything is let through, nothing is counted.
 *
 * @since 0.1.0
 * @category operations
 */
export const disable = (self: CircuitBreaker): Effect.Effect<void> =>
  Guard.step(self, (cell, now) => Cell.move(cell, Circuit.disabled(cell.state.ticket), now))

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
} = dual(2, (self: CircuitBreaker, options: Options): Effect.Effect<void, InvalidOptions> =>
  Effect.flatMap(
    Effect.suspend(() => readForm("CircuitBreaker", formOf(self.name), options)),
    ({ verdict, ...read }) => Guard.step(self, (cell) => Cell.reconfigure(cell, toSettings(read), verdict))
  ))

// looking

/**
 * What the circuit is doing now. A break that is over shows as `HalfOpen`: the next call is a probe.
 *
 * @since 0.1.0
 * @category getters
 */
export const state = (self: CircuitBreaker): Effect.Effect<View.State> => Guard.step(self, View.view)

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
): Effect.Effect<{ readonly state: View.State; readonly refused: number }> =>
  Guard.step(self, (cell, now) => ({ state: View.view(cell, now), refused: cell.refused }))

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
export const describe: (self: CircuitBreaker) => string = View.describe

// conversions

/**
 * A breaker from JSON, as a policy file holds it: the fields of {@link Options} except `verdict`, durations written
 * like `"8 seconds"`. Fails with one `InvalidOptions` that lists every wrong field.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<CircuitBreaker, InvalidOptions> =>
  Effect.flatMap(reading(json, "file"), build)

/**
 * The breaker's options as JSON; {@link decode} makes the same breaker of them, closed.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (self: CircuitBreaker): unknown =>
  Form.encode(form, { ...self.cell.settings, verdict: undefined })

/**
 * The state of a circuit as plain data, to be kept as JSON. Times are what is left of them, so that clocks need not
 * agree.
 *
 * @since 0.1.0
 * @category models
 */
export type Snapshot = Stored.Snapshot

/**
 * The circuit's state as plain data: the counts, or what is left of the break. Calls that are running are not in it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const snapshot = (self: CircuitBreaker): Effect.Effect<Snapshot> =>
  Guard.step(self, (cell, now) => Stored.write(cell.state, now))

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
    Effect.suspend(() => readForm("CircuitBreaker", Stored.form, snapshot, "file")),
    (read) =>
      Guard.step(self, (cell, now) => Cell.move(cell, Stored.restore(cell.kernel, cell.state.ticket, read, now), now))
  ))
