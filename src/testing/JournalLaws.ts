/**
 * The laws every `Journal` keeps, to be run against a journal of your own. No test framework is needed: a law is a function
 * from the layer of a journal to an effect that fails with `JournalLawBroken`, or with the journal's own `JournalError`. Each
 * run of a law uses keys of its own, so one store may serve all of them.
 *
 * The layer is built once or twice for each law: a journal that keeps its entries for good must find them again.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Journal from "effect-llm-resilience/batch/Journal"
 * import * as JournalLaws from "effect-llm-resilience/testing/JournalLaws"
 *
 * const program = JournalLaws.all(Journal.layerMemory, { keeps: "until closed" })
 *
 * Effect.runPromise(program).then((names) => console.log(names.length))
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Journal from "../batch/Journal.ts"
import type { JournalError } from "../error/JournalError.ts"
import { type JournalLawBroken, type Law, law, type Options } from "./journalLaws/law.ts"

export type {
  /**
   * One law: its name, and the check of a journal.
   *
   * @since 0.1.0
   * @category models
   */
  Law,
  /**
   * How the laws are run.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./journalLaws/law.ts"
export {
  /**
   * A journal broke a law; `detail` tells what was seen.
   *
   * @since 0.1.0
   * @category errors
   */
  JournalLawBroken
} from "./journalLaws/law.ts"

const started = (key: string, round = 0): Journal.Started => ({ _tag: "Started", key, round, at: 1 })
const failed = (key: string, round = 0): Journal.Failed => ({
  _tag: "Failed",
  key,
  round,
  tag: "Overloaded",
  message: "It was too much.",
  at: 2
})
const succeeded = (key: string, value: unknown): Journal.Succeeded => ({ _tag: "Succeeded", key, value, at: 3 })

/** The order of fields is that of the laws' own entries, whichever way they were kept. */
const textOf = (found: Option.Option<Journal.Entry>): string =>
  Option.match(found, {
    onNone: () => "nothing",
    onSome: (entry) =>
      JSON.stringify(
        entry._tag === "Started"
          ? started(entry.key, entry.round)
          : entry._tag === "Failed"
          ? { ...failed(entry.key, entry.round), tag: entry.tag, message: entry.message }
          : succeeded(entry.key, entry.value)
      )
  })

const same = (found: Option.Option<Journal.Entry>, expected: Journal.Entry): boolean =>
  textOf(found) === textOf(Option.some(expected)) && Option.exists(found, ({ at }) => at === expected.at)

const keysOf = (entries: ReadonlyArray<Journal.Started>): ReadonlySet<string> => new Set(entries.map(({ key }) => key))

/**
 * A key that was never written has no entry.
 *
 * @since 0.1.0
 * @category laws
 */
export const unknown: Law = law(
  "what was never written is not there",
  ({ holds, journal, key }) =>
    Effect.gen(function*() {
      const found = yield* journal.lookup(key("never"))
      yield* holds(Option.isNone(found), `a key that was never written gave ${textOf(found)}`)
    })
)

/**
 * The last entry of a key is the one that is found, as it was written.
 *
 * @since 0.1.0
 * @category laws
 */
export const lastCounts: Law = law(
  "the last entry of a key counts",
  ({ holds, journal, key }) =>
    Effect.gen(function*() {
      const own = key("item")
      for (
        const entry of [started(own), failed(own), started(own, 1), failed(own, 1), started(own, 2), succeeded(own, 7)]
      ) {
        yield* journal.append(entry)
        const found = yield* journal.lookup(own)
        yield* holds(same(found, entry), `after ${textOf(Option.some(entry))} it gave ${textOf(found)}`)
      }
    })
)

/** JSON that is easily spoilt: by line ends, by encodings, by bounds of a buffer. */
const values: ReadonlyArray<unknown> = [
  null,
  "",
  0,
  -1.5e-7,
  false,
  [],
  { nested: [{ deep: [1, [2, [3]]] }] },
  "two\nlines\r\nand a \u2028 third",
  "naïve 漢字 😀 \u0000",
  JSON.parse("{\"__proto__\":1}"),
  "{\"_tag\":\"Started\"}",
  "漢".repeat(100_000)
]

/**
 * A value is given back as it was, whatever JSON it is.
 *
 * @since 0.1.0
 * @category laws
 */
export const anyValue: Law = law(
  "a value comes back as it was",
  ({ holds, journal, key }) =>
    Effect.forEach(values, (value, index) =>
      Effect.gen(function*() {
        const entry = succeeded(key(`${index}`), value)
        yield* journal.append(entry)
        const found = yield* journal.lookup(entry.key)
        yield* holds(
          same(found, entry),
          `${textOf(Option.some(entry)).slice(0, 100)} gave ${textOf(found).slice(0, 100)}`
        )
      }), { discard: true })
)

/**
 * In flight is what was started and has no outcome, and nothing else.
 *
 * @since 0.1.0
 * @category laws
 */
export const listsInFlight: Law = law(
  "what has no outcome is listed",
  ({ holds, journal, key }) =>
    Effect.gen(function*() {
      const [open, done, lost, again] = [key("open"), key("done"), key("lost"), key("again")]
      for (const each of [open, done, lost, again]) yield* journal.append(started(each))
      yield* journal.append(succeeded(done, 1))
      yield* journal.append(failed(lost))
      yield* journal.append(failed(again))
      yield* journal.append(started(again, 1))
      const listed = yield* journal.inFlight
      const keys = keysOf(listed)
      yield* holds(keys.size === listed.length, "an item is listed twice")
      for (const each of [open, again]) yield* holds(keys.has(each), "an item that has no outcome is not listed")
      for (const each of [done, lost]) yield* holds(!keys.has(each), "an item that has its outcome is listed")
      const round = listed.find((entry) => entry.key === again)?.round
      yield* holds(round === 1, `an item in its second round is listed with round ${round}`)
    })
)

/**
 * Entries that come at once are all kept, and can be read meanwhile.
 *
 * @since 0.1.0
 * @category laws
 */
export const manyAtOnce: Law = law("none of many at once is lost", ({ holds, journal, key }) =>
  Effect.gen(function*() {
    const keys = Array.from({ length: 200 }, (_, index) => key(`${index}`))
    yield* Effect.forEach(keys, (each, index) =>
      Effect.gen(function*() {
        yield* journal.append(started(each))
        yield* journal.append(succeeded(each, index))
        const found = yield* journal.lookup(each)
        yield* holds(same(found, succeeded(each, index)), `item ${index} gave ${textOf(found)}`)
      }), { concurrency: "unbounded", discard: true })
    for (const [index, each] of keys.entries()) {
      const found = yield* journal.lookup(each)
      yield* holds(same(found, succeeded(each, index)), `item ${index} gave ${textOf(found)} afterwards`)
    }
    const left = keysOf(yield* journal.inFlight)
    yield* holds(keys.every((each) => !left.has(each)), "an item that has its outcome is listed as in flight")
  }))

/**
 * Whoever leaves while an entry is written spoils nothing: the entry is there or not, and others are.
 *
 * @since 0.1.0
 * @category laws
 */
export const interrupted: Law = law(
  "an interrupted writer spoils nothing",
  ({ holds, journal, key }) =>
    Effect.gen(function*() {
      const leaving = yield* Effect.forEach(
        Array.from({ length: 20 }),
        (_, index) => Effect.fork(journal.append(succeeded(key(`leaving ${index}`), index)))
      )
      yield* Effect.yieldNow()
      const staying = yield* Effect.fork(journal.append(succeeded(key("staying"), "here")))
      yield* Effect.forEach(leaving, Fiber.interrupt, { discard: true })
      yield* Fiber.join(staying)
      const found = yield* journal.lookup(key("staying"))
      yield* holds(same(found, succeeded(key("staying"), "here")), `an entry beside them gave ${textOf(found)}`)
      for (let index = 0; index < 20; index++) {
        const own = key(`leaving ${index}`)
        const left = yield* journal.lookup(own)
        yield* holds(
          Option.isNone(left) || same(left, succeeded(own, index)),
          `an entry that was left gave ${textOf(left)}`
        )
      }
    })
)

/**
 * A journal that is opened again has its name, its entries and its list of what is in flight. Only for journals that keep
 * their entries for good.
 *
 * @since 0.1.0
 * @category laws
 */
export const keptForGood: Law = law(
  "what was written is there when it is opened again",
  ({ journal, key }) =>
    Effect.gen(function*() {
      yield* journal.append(started(key("open"), 3))
      yield* journal.append(started(key("done")))
      yield* journal.append(succeeded(key("done"), { text: "kept" }))
      yield* journal.append(failed(key("lost"), 2))
    }),
  ({ holds, journal, key }, before) =>
    Effect.gen(function*() {
      yield* holds(journal.id === before.id, `its name was ${before.id} and is ${journal.id}`)
      for (
        const entry of [started(key("open"), 3), succeeded(key("done"), { text: "kept" }), failed(key("lost"), 2)]
      ) {
        const found = yield* journal.lookup(entry.key)
        yield* holds(same(found, entry), `${textOf(Option.some(entry))} gave ${textOf(found)}`)
      }
      const keys = keysOf(yield* journal.inFlight)
      yield* holds(keys.has(key("open")), "an item that was in flight is not listed any more")
      yield* holds(!keys.has(key("done")) && !keys.has(key("lost")), "an item that has its outcome is listed")
    })
)

/**
 * Every law.
 *
 * @since 0.1.0
 * @category laws
 */
export const laws: ReadonlyArray<Law> = [
  unknown,
  lastCounts,
  anyValue,
  listsInFlight,
  manyAtOnce,
  interrupted,
  keptForGood
]

/**
 * Checks every law and returns their names. Fails at the first one that is broken.
 *
 * @since 0.1.0
 * @category combinators
 */
export const all = <E, R>(
  layer: Layer.Layer<Journal.Journal, E, R>,
  options?: Options
): Effect.Effect<ReadonlyArray<string>, JournalLawBroken | JournalError | E, R> =>
  Effect.forEach(laws, (each) => Effect.as(each.check(layer, options), each.name))
