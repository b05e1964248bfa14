/**
 * The policies of a call as data: what a policy file holds, and what `Pipeline.make` takes. The options are read as a
 * whole, so one error lists everything that is wrong with them, also where two fields contradict each other.
 *
 * @example
 * import * as PolicyConfig from "effect-llm-resilience/policy/PolicyConfig"
 * import * as Effect from "effect/Effect"
 *
 * const file = {
 *   totalTimeout: "10 seconds",
 *   attemptTimeout: "20 seconds",
 *   bulkhead: { maxConcurrent: 0 },
 *   breaker: {}
 * }
 *
 * Effect.runPromise(Effect.flip(PolicyConfig.check(file))).then((error) => console.log(error.message))
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type * as Verdict from "../error/Verdict.ts"
import * as Form from "../internal/form.ts"
import { readJson } from "../internal/readJson.ts"
import type * as AdaptiveRetry from "./AdaptiveRetry.ts"
import type * as AdaptiveThrottle from "./AdaptiveThrottle.ts"
import type * as Bulkhead from "./Bulkhead.ts"
import type * as CircuitBreaker from "./CircuitBreaker.ts"
import type * as ConcurrencyLimit from "./ConcurrencyLimit.ts"
import type * as Hedge from "./Hedge.ts"
import * as Configuration from "./pipeline/configuration.ts"
import { type Known, sections } from "./pipeline/sections.ts"
import type * as RateLimiter from "./RateLimiter.ts"
import type * as RetryBudget from "./RetryBudget.ts"
import type * as RetryPolicy from "./RetryPolicy.ts"
import type { RefusedBy } from "./shared/section.ts"
import type * as StreamPolicy from "./StreamPolicy.ts"

/**
 * The policies of a pipeline, outermost first. Everything may be left out. A policy that has a state (a budget, a circuit
 * breaker, a limiter, a bulkhead) is given as data, and then made for this pipeline alone, or as a value that others
 * share.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name that events and errors carry. Default: `"pipeline"`. */
  readonly name?: string | undefined
  /** How streams are guarded to their end: time-outs by phase, and what happens when one breaks after its first content. */
  readonly stream?: StreamPolicy.StreamPolicy | StreamPolicy.Options | undefined
  /** How long the call may take with all its attempts and waits: above zero and finite. */
  readonly totalTimeout?: Duration.DurationInput | undefined
  /** A policy, or one as data in the spelling of `RetryPolicy.decode`, where code may give any `DurationInput`. */
  readonly retry?: RetryPolicy.RetryPolicy | RetryPolicy.PolicyData | undefined
  /** Bounds retries and hedges together. `"standard"` is a share of 20 % of the calls in flight, at least 3. */
  readonly retryBudget?: RetryBudget.RetryBudget | BudgetForm | undefined
  /** Stretches the waits between attempts while much fails. */
  readonly adaptiveRetry?: AdaptiveRetry.AdaptiveRetry | AdaptiveRetry.Options | undefined
  /** A further attempt beside one that takes long. It uses `retryBudget`, unless it says `budget: "none"`. */
  readonly hedge?: Hedge.Hedge | HedgeForm | undefined
  /** Refuses calls for a while when many have failed. Its name is that of the pipeline, if it has none of its own. */
  readonly circuitBreaker?: CircuitBreaker.CircuitBreaker | Form.MayLeaveOut<CircuitBreaker.Options, "name"> | undefined
  /** Refuses calls here that the other side would most likely refuse. */
  readonly adaptiveThrottle?: AdaptiveThrottle.AdaptiveThrottle | AdaptiveThrottle.Options | undefined
  /** Keeps calls within requests and tokens a minute. */
  readonly rateLimiter?: RateLimiter.RateLimiter | Form.MayLeaveOut<RateLimiter.Options, "name"> | undefined
  /** An adaptive limit of the calls in flight. */
  readonly concurrencyLimit?: ConcurrencyLimit.ConcurrencyLimit | ConcurrencyLimit.Options | undefined
  /** A fixed limit of the calls in flight. */
  readonly bulkhead?: Bulkhead.Bulkhead | Bulkhead.Options | undefined
  /**
   * How long an attempt may take once it is admitted: above zero, finite and less than `totalTimeout`. Of a stream it counts
   * to the first content, unless `stream` has a `firstContent`.
   */
  readonly attemptTimeout?: Duration.DurationInput | undefined
  /** Judges errors that do not know their own verdict, for all policies. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/**
 * A budget as data; what is left out of a form has the defaults of `RetryBudget`.
 *
 * @since 0.1.0
 * @category models
 */
export type BudgetForm =
  | "standard"
  | { readonly share: RetryBudget.Partly<RetryBudget.Share> }
  | { readonly tokens: RetryBudget.Partly<RetryBudget.Tokens> }
  | { readonly deposits: RetryBudget.Partly<RetryBudget.Deposits> }
  | { readonly throttle: RetryBudget.Partly<RetryBudget.Throttle> }

/**
 * A hedge as data: it uses the `retryBudget` of the pipeline, unless it says `"none"`.
 *
 * @since 0.1.0
 * @category models
 */
export interface HedgeForm extends Omit<Hedge.Options, "budget"> {
  readonly budget?: "shared" | "none" | undefined
}

/**
 * The policies that were made from options, each under the name of its field. Time-outs are milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policies extends Configuration.PoliciesOf<Known> {}

const form = Form.of<Options>()(Configuration.formOf(sections))

const readAs = (options: unknown, mode: "code" | "file"): Effect.Effect<Policies, InvalidOptions> =>
  Effect.map(
    Configuration.install<RefusedBy<Known>>(sections, options, mode),
    (installation) => Configuration.policiesOf(sections, installation)
  )

/**
 * Makes the policies from options in code. Fails with one `InvalidOptions` that lists everything that is wrong.
 *
 * @since 0.1.0
 * @category conversions
 */
export const read = (options: Options): Effect.Effect<Policies, InvalidOptions> => readAs(options, "code")

/**
 * Makes the policies from a policy file: JSON with the fields of {@link Options} but `verdict`, and durations written like
 * `"8 seconds"`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<Policies, InvalidOptions> => readAs(json, "file")

/**
 * Checks a policy file: fails with everything that is wrong with it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const check = (json: unknown): Effect.Effect<void, InvalidOptions> => Effect.asVoid(decode(json))

/**
 * A policy file in one setting, such as an environment variable that holds the JSON. Pass it to `Pipeline.decode`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const config = (name: string): Config.Config<unknown> =>
  Config.mapOrFail(Config.string(name), (json) =>
    Either.try({
      try: (): unknown => readJson(json),
      catch: () =>
        ConfigError.InvalidData([name], "expected a pipeline as JSON, such as { \"totalTimeout\": \"1 minute\" }")
    }))

/**
 * The policies as JSON, from which {@link decode} makes equal ones: the name and what was given as data. A policy that was
 * given as a value is shared with others and is left out.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (policies: Policies): { readonly [field: string]: unknown } =>
  Configuration.encode(policies.installation)

/**
 * The JSON Schema (2020-12) of a policy file, for editors: point `$schema` of the file, or the editor, at
 * `effect-llm-resilience/policy.schema.json`. It describes each field; which of them contradict each other, {@link check}
 * tells.
 *
 * @since 0.1.0
 * @category schemas
 */
export const jsonSchema: { readonly [keyword: string]: unknown } = Form.toJsonSchema(form, {
  title: "A pipeline of effect-llm-resilience"
})
