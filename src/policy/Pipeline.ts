/**
 * All policies of a call as one value, in the one order that works, from the outside in: total time-out, retry, attempt
 * time-out, the call. A pipeline is made from options in code or from JSON, checked as a whole, and prints itself.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
 *
 * const program = Effect.gen(function*() {
 *   const pipeline = yield* Pipeline.make({
 *     totalTimeout: "1 minute",
 *     retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 4 },
 *     attemptTimeout: "10 seconds"
 *   })
 *   console.log(Pipeline.describe(pipeline))
 *   return yield* Effect.succeed("an answer").pipe(Pipeline.apply(pipeline))
 * })
 *
 * Effect.runPromise(program).then(console.log)
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { TimedOut } from "../error/PolicyError.ts"
import type * as Verdict from "../error/Verdict.ts"
import {
  at,
  duration,
  fields,
  formatDuration,
  optional,
  type Reader,
  type Report,
  text,
  where
} from "../internal/reader.ts"
import * as Json from "../internal/retryJson.ts"
import { words } from "../internal/retryText.ts"
import { durationInput, readAll } from "./internal/options.ts"
import { make as fromTree } from "./internal/retryValue.ts"
import * as Retry from "./Retry.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as Timeout from "./Timeout.ts"

/**
 * What marks a value as a {@link Pipeline}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Pipeline")

/**
 * What a pipeline is made from. Everything may be left out; a pipeline of nothing changes nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name that events and errors carry. Default: `"pipeline"`. */
  readonly name?: string | undefined
  /** For the call with all its attempts and waits: above zero and finite. */
  readonly totalTimeout?: Duration.DurationInput | undefined
  /** A policy, or one as JSON in the spelling of `RetryPolicy.decode`. */
  readonly retry?: RetryPolicy.RetryPolicy | { readonly [field: string]: unknown } | undefined
  /** For each attempt: above zero, finite and less than `totalTimeout`. */
  readonly attemptTimeout?: Duration.DurationInput | undefined
  /** Judges errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/**
 * What a pipeline made from such options can refuse: `TimedOut` where it has a time-out, else nothing.
 *
 * @since 0.1.0
 * @category models
 */
export type Refusal<O extends Options> = TimesOut<O, "totalTimeout"> | TimesOut<O, "attemptTimeout">

/** A time-out that is left out, or certainly `undefined`, refuses nothing; one that may be there may refuse. */
type TimesOut<O extends Options, Field extends "totalTimeout" | "attemptTimeout"> = Field extends keyof O
  ? [O[Field]] extends [undefined] ? never : TimedOut
  : never

/** A policy at its place. Every policy is one stage, so a new one only needs a place in the order. */
interface Stage<out Refused> {
  readonly place: Place
  readonly description: string
  readonly apply: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
}

/** The order, outermost first. */
const places = ["totalTimeout", "retry", "attemptTimeout"] as const
type Place = (typeof places)[number]

/** The options with defaults, durations in milliseconds. */
interface Settings {
  readonly name: string
  readonly totalTimeout?: number | undefined
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  readonly attemptTimeout?: number | undefined
}

/**
 * A pipeline that refuses with `Refused` (its time-outs) or not at all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pipeline<out Refused> extends Pipeable {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** The policies in order, outermost first. */
  readonly stages: ReadonlyArray<Stage<Refused>>
  readonly settings: Settings
}

/**
 * Whether a value is a pipeline.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPipeline = (value: unknown): value is Pipeline<unknown> =>
  typeof value === "object" && value !== null && TypeId in value

const proto = {
  [TypeId]: TypeId,
  toString(this: Pipeline<unknown>): string {
    return describe(this)
  },
  toJSON(this: Pipeline<unknown>): unknown {
    return encode(this)
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const readRetry: Reader<RetryPolicy.RetryPolicy> = (value, path, report) => {
  if (RetryPolicy.isRetryPolicy(value)) return checked(value, path, report)
  const tree = Json.read(value, path, report)
  return tree === undefined ? undefined : checked(fromTree(tree), path, report)
}

const checked = (policy: RetryPolicy.RetryPolicy, path: string, report: Report): RetryPolicy.RetryPolicy => {
  if (policy.tree._tag !== "Never" && !RetryPolicy.canRetry(policy)) {
    report.problems.push({
      path,
      found: String(policy),
      allowed: "a policy whose first wait ends within its deadline (for no retry at all, leave it out)"
    })
  }
  return policy
}

const known = ["name", "totalTimeout", "retry", "attemptTimeout"]

/** In code a verdict may be given too, which JSON cannot say. */
const isFunction = (value: unknown): value is (...args: ReadonlyArray<unknown>) => unknown =>
  typeof value === "function"

const readSettings =
  (names: ReadonlyArray<string>, limit: Reader<number>): Reader<Settings> => (value, path, report) => {
    const record = fields(value, path, names, report, "an object with the policies of a pipeline")
    if (record === undefined) return undefined
    const name = optional(record, "name", path, text, report)
    const totalTimeout = optional(record, "totalTimeout", path, limit, report)
    const retry = optional(record, "retry", path, readRetry, report)
    const attemptTimeout = optional(record, "attemptTimeout", path, limit, report)
    optional(record, "verdict", path, where(isFunction, "a function from an error to a verdict"), report)
    if (totalTimeout !== undefined && attemptTimeout !== undefined && attemptTimeout >= totalTimeout) {
      report.problems.push({
        path: at(path, "attemptTimeout"),
        found: words(attemptTimeout),
        allowed: `less than totalTimeout, which is ${words(totalTimeout)}`
      })
    }
    const wait = retry === undefined ? 0 : Duration.toMillis(RetryPolicy.bounds(retry).wait)
    if (totalTimeout !== undefined && wait > totalTimeout) {
      report.problems.push({
        path: at(path, "retry"),
        found: `a worst-case wait of ${wait === Infinity ? "for ever" : words(wait)}`,
        allowed: `at most totalTimeout, which is ${words(totalTimeout)}: lower attempts, cap or honourHints, ` +
          `or add "within": "${formatDuration(totalTimeout)}" so that a wait that cannot end in time is not begun`
      })
    }
    return { name: name ?? "pipeline", totalTimeout, retry, attemptTimeout }
  }

const timeoutStage = (
  place: "totalTimeout" | "attemptTimeout",
  phase: TimedOut["phase"],
  name: string,
  limit: number
): Effect.Effect<Stage<TimedOut>, InvalidOptions> =>
  Effect.map(Timeout.make({ name, limit: Duration.millis(limit), phase }), (timeout) => ({
    place,
    description: `${phase} time-out ${words(limit)}`,
    apply: Timeout.apply(timeout)
  }))

const retryStage = (
  name: string,
  policy: RetryPolicy.RetryPolicy,
  verdict: Options["verdict"]
): Effect.Effect<Stage<never>, InvalidOptions> =>
  Effect.map(Retry.make({ name, policy, verdict }), (retry) => ({
    place: "retry",
    description: `retry: ${String(policy)}`,
    apply: Retry.apply(retry)
  }))

const build = (settings: Settings, verdict: Options["verdict"]): Effect.Effect<Pipeline<TimedOut>, InvalidOptions> => {
  const { attemptTimeout, name, retry, totalTimeout } = settings
  const stages: ReadonlyArray<Effect.Effect<Stage<TimedOut>, InvalidOptions>> = [
    ...(totalTimeout === undefined ? [] : [timeoutStage("totalTimeout", "total", name, totalTimeout)]),
    ...(retry === undefined ? [] : [retryStage(name, retry, verdict)]),
    ...(attemptTimeout === undefined ? [] : [timeoutStage("attemptTimeout", "attempt", name, attemptTimeout)])
  ]
  return Effect.map(Effect.all(stages), (all): Pipeline<TimedOut> =>
    Object.assign(Object.create(proto), {
      name,
      settings,
      stages: [...all].sort((a, b) => places.indexOf(a.place) - places.indexOf(b.place))
    }))
}

/**
 * A pipeline. Fails with one `InvalidOptions` that lists everything that is wrong with the options, also where two of
 * them contradict each other: an attempt's time-out must be less than the total one, and the retry must not be able to
 * wait longer than the total time-out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const O extends Options>(options: O): Effect.Effect<Pipeline<Refusal<O>>, InvalidOptions> =>
  Effect.flatMap(
    Effect.suspend(() => readAll("Pipeline", options, readSettings([...known, "verdict"], durationInput()))),
    // The options that add a refusal are those whose presence puts it into the type.
    (settings) => build(settings, options.verdict) as Effect.Effect<Pipeline<Refusal<O>>, InvalidOptions>
  )

/**
 * A pipeline from JSON, as a policy file holds it: the fields of {@link Options} except `verdict`, durations written
 * like `"8 seconds"`. Fails with one `InvalidOptions` that lists every wrong field.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<Pipeline<TimedOut>, InvalidOptions> =>
  Effect.flatMap(
    Effect.suspend(() => readAll("Pipeline", json, readSettings(known, duration()))),
    (settings) => build(settings, undefined)
  )

/**
 * The pipeline as JSON; {@link decode} gives the same pipeline back.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (self: Pipeline<unknown>): { readonly [field: string]: unknown } => {
  const { attemptTimeout, name, retry, totalTimeout } = self.settings
  return {
    name,
    ...(totalTimeout === undefined ? {} : { totalTimeout: formatDuration(totalTimeout) }),
    ...(retry === undefined ? {} : { retry: RetryPolicy.encode(retry) }),
    ...(attemptTimeout === undefined ? {} : { attemptTimeout: formatDuration(attemptTimeout) })
  }
}

/**
 * Strengthens an effect by all policies of the pipeline.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  <Refused>(self: Pipeline<Refused>): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  <A, E, R, Refused>(effect: Effect.Effect<A, E, R>, self: Pipeline<Refused>): Effect.Effect<A, E | Refused, R>
} = dual(
  2,
  <A, E, R, Refused>(effect: Effect.Effect<A, E, R>, self: Pipeline<Refused>): Effect.Effect<A, E | Refused, R> =>
    self.stages.reduceRight<Effect.Effect<A, E | Refused, R>>((inner, stage) => stage.apply(inner), effect)
)

/**
 * The worst that a call through the pipeline can do: attempts, time spent waiting, and time in all.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const bounds = (
  self: Pipeline<unknown>
): { readonly attempts: number; readonly wait: Duration.Duration; readonly duration: Duration.Duration } => {
  const { attemptTimeout = Infinity, retry = RetryPolicy.never, totalTimeout = Infinity } = self.settings
  const { attempts, wait } = RetryPolicy.bounds(retry)
  const within = RetryPolicy.bounds(
    retry,
    attemptTimeout === Infinity ? {} : { attemptTimeout: Duration.millis(attemptTimeout) }
  )
  const duration = attemptTimeout === Infinity ? Duration.infinity : within.duration
  const total = Duration.millis(totalTimeout)
  return { attempts, wait: Duration.min(wait, total), duration: Duration.min(duration, total) }
}

const spoken = (duration: Duration.Duration): string =>
  Duration.isFinite(duration) ? Duration.format(duration) : "unbounded"

/**
 * The pipeline in words: the policies in order with every number, and the worst case.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Pipeline<unknown>): string => {
  const worst = bounds(self)
  const count = Number.isFinite(worst.attempts) ? String(worst.attempts) : "unlimited"
  const attempts = `${count} attempt${worst.attempts === 1 ? "" : "s"}`
  const order = [...self.stages.map((stage) => stage.description), "call"].join("\n  → ")
  return `${self.name}: ${order}\n  worst case: ${attempts}, ` +
    `${spoken(worst.wait)} waiting, ${spoken(worst.duration)} in all`
}
