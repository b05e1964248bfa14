/**
 * When a circuit opens, as data: after failures in a row, at a share of failed or of slow calls over a window, or at any
 * or all of several such rules. A rule decodes from JSON, writes and prints itself, and compares by what it says.
 *
 * A rule is asked only about calls that are bad in its own sense (failed, or slow), so a success never opens a circuit.
 *
 * @example
 * import * as Tripping from "effect-llm-resilience/policy/Tripping"
 *
 * const tripping = Tripping.any([
 *   Tripping.failureRate({ share: 0.5, window: "30 seconds", minimumCalls: 10 }),
 *   Tripping.slowCallRate({ share: 0.8, longerThan: "20 seconds", window: "100 calls" })
 * ])
 *
 * console.log(String(tripping))
 * // any of (50% of calls failed within 30s (from 10 calls on); 80% of calls slower than 20s among the last 100 …)
 *
 * @example
 * import * as Tripping from "effect-llm-resilience/policy/Tripping"
 * import * as Either from "effect/Either"
 *
 * const read = Tripping.decode({ when: "consecutive", failures: 3 })
 * console.log(Either.map(read, String)) // 3 failures in a row
 *
 * const wrong = Tripping.decode({ when: "failureRate", share: 50, window: 30 })
 * console.log(Either.isLeft(wrong) && wrong.left.message)
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Either from "effect/Either"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { duration } from "../internal/reader.ts"
import { type DataValue, prototypeOf } from "./shared/dataValue.ts"
import { durationInput, readAll, readOrThrow } from "./shared/options.ts"
import type { Rule } from "./shared/trippingRule.ts"
import * as Json from "./tripping/json.ts"

/**
 * Marks a `Tripping`.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Tripping")

/**
 * When a circuit opens. Two of them are equal when they say the same; `String(tripping)` is {@link describe},
 * `JSON.stringify(tripping)` is {@link encode}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tripping extends DataValue {
  readonly [TypeId]: typeof TypeId
  /** What it is made of: plain data, times in milliseconds. */
  readonly rule: Rule
}

/**
 * What a rate looks back on: a number of calls, or a time. A bare number would not say which.
 *
 * @since 0.1.0
 * @category models
 */
export type Window = `${number} calls` | Duration.Duration | Extract<Duration.DurationInput, string>

/**
 * A share of bad calls over a window.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateOptions {
  /** The share of bad calls from which on the circuit opens: above 0, at most 1. Default: 0.5. */
  readonly share?: number | undefined
  /** What it looks back on: `"100 calls"` (1 to 100000) or a time above zero. Default: 30 seconds. */
  readonly window?: Window | undefined
  /** With fewer calls than this in the window nothing is decided: 1 to 100000. Default: 10, or the whole window. */
  readonly minimumCalls?: number | undefined
}

/**
 * A share of slow calls over a window.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlowCallOptions extends RateOptions {
  /** A call that takes longer than this is slow: above zero and finite. */
  readonly longerThan: Duration.DurationInput
}

/**
 * The numbers of rules that say nothing else.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  failures: Json.defaults.failures,
  share: Json.defaults.share,
  window: Duration.millis(Json.defaults.windowMillis),
  minimumCalls: Json.defaults.minimumCalls
} as const

const moduleName = "Tripping"

/**
 * Whether a value says when a circuit opens.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTripping = (value: unknown): value is Tripping =>
  typeof value === "object" && value !== null && TypeId in value

const proto: Omit<Tripping, "rule"> = {
  [TypeId]: TypeId,
  ...prototypeOf("Tripping", {
    is: isTripping,
    write: (self) => Json.write(self.rule),
    describe: (self) => describe(self),
    encode: (self) => encode(self)
  })
}

const make = (rule: Rule): Tripping => Object.assign(Object.create(proto), { rule })

const inCode: Json.Times = { window: Json.readWindow(durationInput()), duration: durationInput() }
const inJson: Json.Times = { window: Json.readWindow(undefined), duration: duration() }

/**
 * That many failures in a row: a whole number from 1 to 100000, default 5. A success starts the count anew; calls that
 * weigh nothing do not.
 *
 * @since 0.1.0
 * @category constructors
 */
export const consecutive = (failures: number = defaults.failures): Tripping =>
  make(readOrThrow(moduleName, "", { failures }, (_, path, report) => Json.readConsecutive({ failures }, path, report)))

/**
 * That share of the calls in the window failed. Options out of range throw `InvalidOptions`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const failureRate = (options?: RateOptions): Tripping =>
  make(
    readOrThrow(
      moduleName,
      "",
      options,
      (_, path, report) => Json.readFailureRate({ ...options }, path, report, inCode)
    )
  )

/**
 * That share of the calls in the window took longer than `longerThan`, whether they succeeded or failed. Options out of
 * range throw `InvalidOptions`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const slowCallRate = (options: SlowCallOptions): Tripping =>
  make(
    readOrThrow(
      moduleName,
      "",
      options,
      (_, path, report) => Json.readSlowCallRate({ ...options }, path, report, inCode)
    )
  )

const several = (_tag: "Any" | "All", rules: ReadonlyArray<Tripping>): Tripping =>
  make(readOrThrow(moduleName, _tag === "Any" ? "any" : "all", rules, (value, path, report): Rule => {
    if (rules.length === 0) report.problems.push({ path, found: value, allowed: "a list of rules that is not empty" })
    return { _tag, of: rules.map((each) => each.rule) }
  }))

/**
 * When any of the rules says so. An empty list throws `InvalidOptions`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const any = (rules: ReadonlyArray<Tripping>): Tripping => several("Any", rules)

/**
 * When all of the rules hold at once. An empty list throws `InvalidOptions`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const all = (rules: ReadonlyArray<Tripping>): Tripping => several("All", rules)

/**
 * What to use unless you know better: half of the calls within 30 seconds failed, from 10 calls on.
 *
 * @since 0.1.0
 * @category defaults
 */
export const standard: Tripping = failureRate()

/**
 * The rule in one readable line; `String(tripping)` is the same.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Tripping): string => Json.describe(self.rule)

/**
 * The rule as JSON; {@link decode} gives an equal one back.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (self: Tripping): { readonly [field: string]: unknown } => Json.write(self.rule)

/**
 * Reads a rule from JSON: `{ "when": "consecutive", "failures": 5 }`, `{ "when": "failureRate", "share": 0.5,
 * "window": "30 seconds", "minimumCalls": 10 }`, `{ "when": "slowCallRate", "longerThan": "20 seconds", … }`,
 * `{ "any": […] }`, `{ "all": […] }`. Fails with one `InvalidOptions` that lists every wrong field. `path` is put before
 * every path of the error.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (
  json: unknown,
  options?: { readonly path?: string | undefined }
): Either.Either<Tripping, InvalidOptions> =>
  readAll(moduleName, json, (value, _, report) => {
    const rule = Json.read(inJson)(value, options?.path ?? "", report)
    return rule === undefined ? undefined : make(rule)
  })
