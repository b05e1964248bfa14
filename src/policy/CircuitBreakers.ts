/**
 * One circuit breaker for each key (a model, an endpoint, a tenant), made when the key is first used. Keys that nobody
 * uses are forgotten, so that a family does not grow for ever; what protects somebody is not: a circuit that is open, or
 * has calls running, or was moved by hand.
 *
 * It is a registry, too: a key that is registered has options of its own and is never forgotten, and registering it
 * again with other options is an error that names both.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as CircuitBreakers from "effect-llm-resilience/policy/CircuitBreakers"
 * import * as Tripping from "effect-llm-resilience/policy/Tripping"
 *
 * const program = Effect.gen(function*() {
 *   const breakers = yield* CircuitBreakers.make({ name: "models", tripping: Tripping.consecutive(1) })
 *   const ask = (model: string) =>
 *     (model === "small" ? Effect.fail("down") : Effect.succeed("an answer")).pipe(
 *       CircuitBreakers.apply(breakers, model),
 *       Effect.catchTag("CircuitOpen", (refusal) => Effect.succeed(refusal.message)),
 *       Effect.merge
 *     )
 *   return [yield* ask("small"), yield* ask("small"), yield* ask("large")]
 * })
 *
 * Effect.runPromise(program).then(console.log)
 * // down, Circuit "models/small" is open. It admits a probe in 10s. It was opened by "down", an answer
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Stream from "effect/Stream"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { CircuitOpen } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { duration, integer, optional, type Reader } from "../internal/reader.ts"
import { isRecord } from "../internal/record.ts"
import { excerpt } from "../internal/redact.ts"
import { uniform } from "../internal/seeded.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import * as Cell from "./circuitBreaker/cell.ts"
import { changesOf } from "./circuitBreaker/changes.ts"
import * as Circuit from "./circuitBreaker/kernel.ts"
import { readJson, readOptions, type Settings, write } from "./circuitBreaker/options.ts"
import { durationInput, readAll } from "./shared/options.ts"

/**
 * Marks a family of circuit breakers.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/CircuitBreakers")

interface Entry {
  readonly breaker: CircuitBreaker.CircuitBreaker
  isRegistered: boolean
  usedAt: number
  /** Calls under way. */
  running: number
}

/** The entries in the order of their last use, the longest unused first. */
interface Family {
  readonly entries: Map<string, Entry>
  readonly listeners: Set<(change: CircuitBreaker.Change) => void>
  readonly settings: Settings
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly seed: number
}

/**
 * Circuit breakers by key.
 *
 * @since 0.1.0
 * @category models
 */
export interface CircuitBreakers {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly capacity: number
  readonly idleTime: Duration.Duration
  /** Its own books: use the functions of this module. */
  readonly family: Family
}

/**
 * The circuit breakers of the running program.
 *
 * @since 0.1.0
 * @category tags
 */
export const CircuitBreakers: Context.Tag<CircuitBreakers, CircuitBreakers> = Context.GenericTag<CircuitBreakers>(
  "effect-llm-resilience/CircuitBreakers"
)

/**
 * The options of each breaker, and how many are kept. The breaker of a key is named `name/key`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends CircuitBreaker.Options {
  /**
   * How many keys are kept: 1 to 1000000. Where a new one comes and all are needed (see the module), there are more.
   * Default: 1000.
   */
  readonly capacity?: number | undefined
  /** A key that was not used for that long is forgotten: above zero and finite. Default: 10 minutes. */
  readonly idleTime?: Duration.DurationInput | undefined
}

/**
 * How many keys are kept, and for how long.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { capacity: 1000, idleTime: Duration.minutes(10) } as const

interface Read {
  readonly settings: Settings
  readonly capacity: number
  readonly idleTime: Duration.Duration
}

const readFamily = (read: Reader<Settings>, limit: Reader<number>): Reader<Read> => (value, path, report) => {
  const { capacity: _, idleTime: __, ...rest } = isRecord(value) ? value : {}
  const settings = read(isRecord(value) ? rest : value, path, report)
  if (!isRecord(value)) return undefined
  const capacity = optional(value, "capacity", path, integer(1, 1_000_000, "a whole number from 1 to 1000000"), report)
  const idleTime = optional(value, "idleTime", path, limit, report)
  return settings === undefined ? undefined : {
    settings,
    capacity: capacity ?? defaults.capacity,
    idleTime: idleTime === undefined ? defaults.idleTime : Duration.millis(idleTime)
  }
}

const build = (
  options: unknown,
  read: Reader<Read>,
  verdict: CircuitBreaker.Options["verdict"]
): Effect.Effect<CircuitBreakers, InvalidOptions> =>
  Effect.zipWith(
    Effect.suspend(() => readAll("CircuitBreakers", options, read)),
    Random.next,
    ({ capacity, idleTime, settings }, seed): CircuitBreakers => ({
      [TypeId]: TypeId,
      name: settings.name,
      capacity,
      idleTime,
      family: { entries: new Map(), listeners: new Set(), settings, verdict: verdict ?? Verdict.of, seed }
    })
  )

/**
 * A family without a key yet. Fails with one `InvalidOptions` that lists every wrong option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<CircuitBreakers, InvalidOptions> =>
  build(options, readFamily(readOptions, durationInput()), options.verdict)

/**
 * A family from JSON: the fields of {@link Options} except `verdict`, durations written like `"8 seconds"`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<CircuitBreakers, InvalidOptions> =>
  build(json, readFamily(readJson, duration()), undefined)

/**
 * Circuit breakers for everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<CircuitBreakers, InvalidOptions> =>
  Layer.effect(CircuitBreakers, make(options))

/** Nobody would miss it: it refuses nothing, has nothing to wait for, and was not moved by hand. */
const isIdle = ({ breaker, isRegistered, running }: Entry, now: number): boolean => {
  const { kernel, state } = breaker.cell
  const { _tag } = Circuit.due(kernel, state, now)
  return !isRegistered && running === 0 && (_tag === "Closed" || _tag === "HalfOpen")
}

/** Forgets the keys that were idle for too long. */
const sweep = (self: CircuitBreakers, now: number): void => {
  const { entries } = self.family
  const since = now - Duration.toMillis(self.idleTime)
  for (const [key, entry] of entries) {
    if (entry.usedAt > since) return
    if (isIdle(entry, now)) entries.delete(key)
  }
}

/** Makes room for one more: forgets the closed circuit that was not used for the longest time. */
const makeRoom = (self: CircuitBreakers, now: number): void => {
  const { entries } = self.family
  sweep(self, now)
  if (entries.size < self.capacity) return
  for (const [key, entry] of entries) {
    if (entry.breaker.cell.state._tag === "Closed" && isIdle(entry, now)) {
      entries.delete(key)
      return
    }
  }
}

const add = (
  self: CircuitBreakers,
  key: string,
  now: number,
  settings: Settings,
  verdict: (error: unknown) => Verdict.Verdict
): Entry => {
  const { entries, listeners, seed } = self.family
  makeRoom(self, now)
  const breaker = Cell.unsafeMake({ ...settings, name: excerpt(`${self.name}/${key}`) }, verdict, uniform(seed, key))
  breaker.cell.listeners.add((change) => {
    for (const listener of listeners) listener(change)
  })
  const entry = { breaker, isRegistered: false, usedAt: now, running: 0 }
  entries.set(key, entry)
  return entry
}

const touch = (self: CircuitBreakers, key: string, entry: Entry, now: number): void => {
  if (entry.usedAt === now) return
  const { entries } = self.family
  entry.usedAt = now
  entries.delete(key)
  entries.set(key, entry)
}

const entryOf = (self: CircuitBreakers, key: string, now: number): Entry => {
  const { entries, settings, verdict } = self.family
  const entry = entries.get(key)
  if (entry === undefined) return add(self, key, now, settings, verdict)
  touch(self, key, entry, now)
  return entry
}

/**
 * The breaker of a key, made if need be: to look at it, or to move it by hand. For calls use {@link apply}, which asks
 * for it each time: a breaker that is kept may be forgotten by the family meanwhile, and the key given a new one.
 *
 * @since 0.1.0
 * @category getters
 */
export const get: {
  (key: string): (self: CircuitBreakers) => Effect.Effect<CircuitBreaker.CircuitBreaker>
  (self: CircuitBreakers, key: string): Effect.Effect<CircuitBreaker.CircuitBreaker>
} = dual(
  2,
  (self: CircuitBreakers, key: string): Effect.Effect<CircuitBreaker.CircuitBreaker> =>
    Effect.clockWith((clock) => Effect.succeed(entryOf(self, key, elapsedMillis(clock)).breaker))
)

/**
 * Runs the effect if the circuit of that key lets it through; fails with `CircuitOpen` at once if not.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (
    self: CircuitBreakers,
    key: string
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: CircuitBreakers, key: string): Effect.Effect<A, E | CircuitOpen, R>
} = dual(
  3,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: CircuitBreakers, key: string): Effect.Effect<A, E | CircuitOpen, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.clockWith((clock) => {
        const entry = entryOf(self, key, elapsedMillis(clock))
        entry.running++
        return Effect.ensuring(
          restore(CircuitBreaker.apply(effect, entry.breaker)),
          Effect.sync(() => {
            entry.running--
            // It was in use until now, however long the call took.
            touch(self, key, entry, elapsedMillis(clock))
          })
        )
      })
    )
)

const shown = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)

/**
 * The options of one key: all of a breaker's but the name.
 *
 * @since 0.1.0
 * @category models
 */
export type OwnOptions = Omit<CircuitBreaker.Options, "name">

/** The family's options where a key says nothing else. */
const inherit = (family: Settings, name: string, own: OwnOptions = {}): CircuitBreaker.Options => ({
  name,
  tripping: own.tripping ?? family.tripping,
  openFor: own.openFor ?? family.openFor,
  longestHint: own.longestHint ?? family.longestHint,
  probes: own.probes ?? family.probes,
  successesToClose: own.successesToClose ?? (own.probes === undefined ? family.successesToClose : undefined),
  probeLimit: own.probeLimit ?? family.probeLimit,
  mode: own.mode ?? family.mode,
  ...(own.verdict === undefined ? {} : { verdict: own.verdict })
})

/**
 * Gives a key options of its own, the family's where it says nothing else, and keeps it for ever. A key that is already there must have the same options: if not,
 * the `InvalidOptions` names both values of each field that differs. So a breaker that is named in two places is one
 * breaker, or an error.
 *
 * @since 0.1.0
 * @category operations
 */
export const register: {
  (
    key: string,
    options?: OwnOptions
  ): (self: CircuitBreakers) => Effect.Effect<CircuitBreaker.CircuitBreaker, InvalidOptions>
  (
    self: CircuitBreakers,
    key: string,
    options?: OwnOptions
  ): Effect.Effect<CircuitBreaker.CircuitBreaker, InvalidOptions>
} = dual(
  (args) => typeof args[0] === "object",
  (
    self: CircuitBreakers,
    key: string,
    options?: OwnOptions
  ): Effect.Effect<CircuitBreaker.CircuitBreaker, InvalidOptions> =>
    Effect.clockWith((clock) => {
      const now = elapsedMillis(clock)
      const { entries, verdict } = self.family
      const judge = options?.verdict ?? verdict
      const name = `${self.name}/${key}`
      return readAll("CircuitBreakers", inherit(self.family.settings, name, options), (value, path, report) => {
        const settings = readOptions(value, path, report)
        if (settings === undefined || report.problems.length > 0) return undefined
        const entry = entries.get(key) ?? add(self, key, now, settings, judge)
        const there = write(entry.breaker.cell.settings)
        for (const [field, found] of Object.entries(write(settings))) {
          if (shown(found) !== shown(there[field])) {
            report.problems.push({
              path: `${key}.${field}`,
              found,
              allowed: `${shown(there[field])}, as the breaker "${name}" has already; or use another key`
            })
          }
        }
        if (judge !== entry.breaker.cell.verdict) {
          report.problems.push({
            path: `${key}.verdict`,
            found: judge,
            allowed: `the function that the breaker "${name}" has already; or use another key`
          })
        }
        if (report.problems.length === 0) entry.isRegistered = true
        return entry.breaker
      })
    })
)

/**
 * What all circuits are doing now, by key. Keys that have been idle for too long are forgotten first.
 *
 * @since 0.1.0
 * @category getters
 */
export const states = (self: CircuitBreakers): Effect.Effect<ReadonlyMap<string, CircuitBreaker.State>> =>
  Effect.clockWith((clock) => {
    sweep(self, elapsedMillis(clock))
    return Effect.map(
      Effect.forEach(
        [...self.family.entries],
        ([key, { breaker }]) => Effect.map(CircuitBreaker.state(breaker), (state) => [key, state] as const)
      ),
      (all) => new Map(all)
    )
  })

/**
 * Every change of any circuit from the moment the stream is run; `name` is `family/key`. A reader that is slow loses
 * the oldest beyond 1024.
 *
 * @since 0.1.0
 * @category getters
 */
export const changes = (self: CircuitBreakers): Stream.Stream<CircuitBreaker.Change> =>
  changesOf(self.family.listeners, 1024)

/**
 * The family in one readable line.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: CircuitBreakers): string =>
  `${CircuitBreaker.describe(Cell.unsafeMake(self.family.settings, undefined, 0))}; one for each key, at most ` +
  `${self.capacity} of them, forgotten after ${Duration.format(self.idleTime)} without use`
