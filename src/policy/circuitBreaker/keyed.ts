/** A circuit for each key: what the breaker's family has beside that of any policy. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Stream from "effect/Stream"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import type { CircuitOpen } from "../../error/PolicyError.ts"
import * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import { uniform } from "../../internal/seeded.ts"
import * as Family from "../shared/keyed.ts"
import { readForm, refusal } from "../shared/options.ts"
import * as Cell from "./cell.ts"
import { changesOf } from "./changes.ts"
import * as Guard from "./guard.ts"
import * as Circuit from "./kernel.ts"
import { closesOneWay, fields, form, type Options, type Settings, toSettings } from "./options.ts"
import { describe, type State, view } from "./view.ts"

/**
 * The options of each circuit, and how many are kept. The circuit of a key is named `name/key`.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyedOptions extends Options, Family.Bounds {}

/**
 * The options of one key: all of a breaker's but the name.
 *
 * @since 0.1.0
 * @category models
 */
export type OwnOptions = Omit<Options, "name">

/**
 * A circuit for each key. What protects somebody is not forgotten: a circuit that is open, or has calls running, or was
 * moved by hand, or is registered.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed extends Family.Keyed<Cell.CircuitBreaker> {
  /** Runs the effect if the circuit of that key lets it through; fails with `CircuitOpen` at once if not. */
  readonly apply: (key: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
  /** What all circuits are doing now, by key. */
  readonly states: Effect.Effect<ReadonlyMap<string, State>>
  /**
   * Every change of any circuit from the moment the stream is run; `name` is that of the circuit. A reader that is slow
   * loses the oldest beyond 1024.
   */
  readonly changes: Stream.Stream<Cell.Change>
  /**
   * Gives a key options of its own, the family's where it says nothing else, and keeps it for ever. A key that is already
   * there must have the same options: if not, the `InvalidOptions` names both values of each field that differs. So a
   * breaker that is named in two places is one breaker, or an error.
   */
  readonly register: (key: string, options?: OwnOptions) => Effect.Effect<Cell.CircuitBreaker, InvalidOptions>
}

export const keyedForm = Form.of<KeyedOptions>()(
  Form.struct(
    "an object with the options of a family of circuit breakers",
    { name: Form.name, ...fields, ...Family.fields },
    closesOneWay
  )
)

const changesKept = 1024

/** Nobody would miss it: it refuses nothing and was not moved by hand. A break that is over refuses nothing. */
const isIdle = ({ cell: { kernel, state } }: Cell.CircuitBreaker, now: number): boolean => {
  const next = Circuit.due(kernel, state, now)
  return next._tag === "Closed" ? next.slowStart === undefined : next._tag === "HalfOpen" && next.probes.length === 0
}

type Read = Form.Output<typeof form>

const moduleName = "CircuitBreaker"

/** A family from options that are the same for all keys. */
export const fromOptions = (options: unknown, mode: Form.Mode): Effect.Effect<Keyed, InvalidOptions> =>
  Effect.flatMap(
    Effect.suspend(() => readForm(moduleName, keyedForm, options, mode)),
    ({ capacity, idleTimeToLive, ...read }) => {
      const one = Cell.unsafeMake(toSettings(read), undefined, 0)
      const optionsOf = (key: string): Options => ({ ...read, name: Family.nameOf(read.name, key) })
      return make({ capacity, idleTimeToLive }, optionsOf, describe(one))
    }
  )

/** A family whose keys have options of their own. */
export const fromFunction = (
  optionsOf: (key: string) => Options,
  bounds: Family.Bounds = {}
): Effect.Effect<Keyed, InvalidOptions> =>
  Effect.flatMap(
    Effect.suspend(() => readForm(moduleName, Family.boundsForm, bounds)),
    (read) => make(read, optionsOf, "circuit breakers with options by key")
  )

const make = (
  bounds: Family.BoundsRead,
  optionsOf: (key: string) => Options,
  one: string
): Effect.Effect<Keyed> =>
  Effect.map(Random.next, (seed) => {
    const listeners: Cell.Cell["listeners"] = new Set()
    const makeBreaker = ({ verdict, ...read }: Read, key: string): Cell.CircuitBreaker => {
      const breaker = Cell.unsafeMake(toSettings(read), verdict, uniform(seed, key))
      breaker.cell.listeners.add((change) => {
        for (const listener of listeners) listener(change)
      })
      return breaker
    }
    const family = Family.family<Cell.CircuitBreaker>(bounds, {
      make: (key) =>
        Effect.map(Effect.orDie(readForm(moduleName, form, optionsOf(key))), (read) => makeBreaker(read, key)),
      isIdle
    })
    return {
      ...Family.keyed(family, one),
      apply: (key) => (effect) => Family.use(family, key, (breaker) => Guard.apply(effect, breaker)),
      states: statesOf(family),
      changes: changesOf(listeners, changesKept),
      register: (key, own = {}) =>
        Effect.flatMap(
          Effect.suspend(() => readForm(moduleName, form, inherit(optionsOf(key), own))),
          (read) =>
            Effect.flatMap(
              Family.obtain(family, key, Effect.sync(() => makeBreaker(read, key))),
              (breaker) => {
                const problems = differences(key, read, breaker)
                if (problems.length > 0) return Effect.fail(refusal(moduleName, { problems }))
                Family.keep(family, key)
                return Effect.succeed(breaker)
              }
            )
        )
    }
  })

const statesOf = (family: Family.Family<Cell.CircuitBreaker>): Keyed["states"] =>
  Effect.flatMap(Family.entries(family), (breakers) =>
    Effect.map(
      Effect.forEach(
        breakers,
        ([key, breaker]) => Effect.map(Guard.step(breaker, view), (state) => [key, state] as const)
      ),
      (all) => new Map(all)
    ))

/** The family's options where a key says nothing else. How many probes close it goes with how many there are. */
const inherit = (base: Options, own: OwnOptions): Options => {
  const { closeAt, successesToClose, ...others } = base
  const saysWhenToClose = own.probes !== undefined || own.closeAt !== undefined || own.successesToClose !== undefined
  return {
    ...others,
    ...(saysWhenToClose ? {} : { closeAt, successesToClose }),
    ...definedFields(own),
    name: base.name
  }
}

const shown = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)

/** Where the options of a key are others than those of its breaker, with both values. */
const differences = (key: string, { verdict = Verdict.of, ...read }: Read, breaker: Cell.CircuitBreaker) => {
  const { cell, name } = breaker
  const there = write(cell.settings)
  const problems = Object.entries(write(toSettings(read))).flatMap(([field, found]) =>
    shown(found) === shown(there[field]) ? [] : [{
      path: `${key}.${field}`,
      found,
      allowed: `${shown(there[field])}, as the breaker "${name}" has already; or use another key`
    }]
  )
  return verdict === cell.verdict ? problems : [...problems, {
    path: `${key}.verdict`,
    found: verdict,
    allowed: `the function that the breaker "${name}" has already; or use another key`
  }]
}

const write = (settings: Settings): Fields => {
  const written = Form.encode(form, { ...settings, verdict: undefined })
  return isRecord(written) ? written : {}
}
