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
import * as Either from "effect/Either"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { readForm, readFormOrThrow } from "./shared/options.ts"
import * as Written from "./shared/trippingForm.ts"
import * as Value from "./shared/trippingValue.ts"

export type {
  /**
   * A rule written inline, in code as in a file.
   *
   * @since 0.1.0
   * @category models
   */
  Input,
  /**
   * A share of bad calls over a window.
   *
   * @since 0.1.0
   * @category models
   */
  RateOptions,
  /**
   * A share of slow calls over a window.
   *
   * @since 0.1.0
   * @category models
   */
  SlowCallOptions,
  /**
   * What a rate looks back on: a number of calls, or a time. A bare number would not say which.
   *
   * @since 0.1.0
   * @category models
   */
  Window
} from "./shared/trippingForm.ts"
export {
  /**
   * The numbers of rules that say nothing else.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./shared/trippingForm.ts"
export {
  /**
   * Whether a value says when a circuit opens.
   *
   * @since 0.1.0
   * @category guards
   */
  isTripping,
  /**
   * Marks a `Tripping`.
   *
   * @since 0.1.0
   * @category symbols
   */
  TypeId
} from "./shared/trippingValue.ts"

/**
 * When a circuit opens. Two of them are equal when they say the same; `String(tripping)` is {@link describe},
 * `JSON.stringify(tripping)` is {@link encode}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tripping extends Value.Tripping {}

const moduleName = "Tripping"

/**
 * That many failures in a row: a whole number from 1 to 100000, default 5. A success starts the count anew; calls that
 * weigh nothing do not.
 *
 * @since 0.1.0
 * @category constructors
 */
export const consecutive = (failures: number = Written.defaults.failures): Tripping =>
  Value.make(
    Written.toRule({
      when: "consecutive",
      ...readFormOrThrow(moduleName, "", Written.consecutiveForm, { failures })
    })
  )

/**
 * That share of the calls in the window failed. Options out of range throw `InvalidOptions`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const failureRate = (options: Written.RateOptions = {}): Tripping =>
  Value.make(
    Written.toRule({ when: "failureRate", ...readFormOrThrow(moduleName, "", Written.failureRateForm, options) })
  )

/**
 * That share of the calls in the window took longer than `longerThan`, whether they succeeded or failed. Options out of
 * range throw `InvalidOptions`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const slowCallRate = (options: Written.SlowCallOptions): Tripping =>
  Value.make(
    Written.toRule({ when: "slowCallRate", ...readFormOrThrow(moduleName, "", Written.slowCallRateForm, options) })
  )

const several = (tag: "Any" | "All", rules: ReadonlyArray<Tripping>): Tripping =>
  Value.make(
    readFormOrThrow(
      moduleName,
      tag === "Any" ? "any" : "all",
      Written.severalForm(tag),
      rules.map((each) => each.rule)
    )
  )

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
export const describe = (self: Tripping): string => Written.describe(self.rule)

/**
 * The rule as JSON; {@link decode} gives an equal one back.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode: (self: Tripping) => unknown = Value.encode

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
  Either.map(readForm(moduleName, Written.form, json, "file", options?.path), Value.make)
