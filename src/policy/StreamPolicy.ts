/**
 * How a stream is guarded to its end, as data: time-outs by phase, and what happens when it breaks after its first content
 * has reached the consumer. It is the field `stream` of a pipeline; `ResilientStream` does what it says.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
 *
 * const pipeline = Pipeline.make({
 *   stream: {
 *     firstContent: "30 seconds",
 *     idle: "20 seconds",
 *     liveness: "10 seconds",
 *     total: "10 minutes",
 *     onBreak: "resume",
 *     otherwise: "restart"
 *   },
 *   retry: { backoff: "exponential", initial: "500 millis", attempts: 4 }
 * })
 *
 * Effect.runPromise(pipeline).then((made) => console.log(String(made)))
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { words } from "../internal/words.ts"
import { readForm } from "./shared/options.ts"
import {
  defaults as defaultsOfForm,
  form,
  type Options as OptionsOfForm,
  type Settings as SettingsOfForm
} from "./streamPolicy/options.ts"

/**
 * What marks a value as a {@link StreamPolicy}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/StreamPolicy")

/**
 * How streams are guarded to their end; everything may be left out. Time in which the consumer does not ask for more
 * never counts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends OptionsOfForm {}

/**
 * How streams are guarded, as numbers. Times are milliseconds; `undefined` is without end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings extends SettingsOfForm {}

/**
 * How streams are guarded; pipelines may share it.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamPolicy extends Settings {
  readonly [TypeId]: typeof TypeId
}

/**
 * What holds where nothing is said: no time-out, no peek, and a stream that breaks fails.
 *
 * @since 0.1.0
 * @category constructors
 */
export const defaults: Settings = {
  ...defaultsOfForm,
  firstContent: undefined,
  idle: undefined,
  liveness: undefined,
  total: undefined
}

/**
 * How streams are guarded. Fails with one `InvalidOptions` that lists everything that is wrong, also where two fields
 * contradict each other. What contradicts the other policies of a pipeline is told where the pipeline is made.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<StreamPolicy, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("StreamPolicy", form, options), (settings) => ({ ...settings, [TypeId]: TypeId }))
  )

/**
 * What holds for the streams of a pipeline, given its policies: its `stream`, where `totalTimeout` stands in for `total` and
 * `attemptTimeout` for `firstContent`; and without a `stream` the {@link defaults} with these two.
 *
 * @since 0.1.0
 * @category getters
 */
export const of = (policies: {
  readonly stream: Settings | undefined
  readonly totalTimeout: number | undefined
  readonly attemptTimeout: number | undefined
}): Settings => {
  const { attemptTimeout, stream = defaults, totalTimeout } = policies
  return { ...stream, firstContent: stream.firstContent ?? attemptTimeout, total: stream.total ?? totalTimeout }
}

const restored = {
  fail: "fails with what came",
  restart: "begins anew",
  truncate: "ends with what came"
} as const

const whenItBreaks = ({ background, continuation, onBreak, otherwise }: Settings): string => {
  if (onBreak !== "resume") return restored[onBreak]
  const ways = [
    ...(background ? ["as the provider can"] : []),
    ...(continuation === "allowed" ? ["by a continuation"] : [])
  ]
  return `goes on ${ways.join(" or ")}, else ${restored[otherwise]}`
}

/**
 * The settings in one line: `"stream: first content within 30s, the next within 20s; when it breaks it begins anew"`.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Settings): string => {
  const { firstContent, idle, liveness, maxKept, onBreak, peek, total } = self
  const within = (what: string, millis: number | undefined): ReadonlyArray<string> =>
    millis === undefined ? [] : [`${what} within ${words(millis)}`]
  const limits = [
    ...within("first content", firstContent),
    ...within("the next", idle),
    ...within("a sign of life", liveness),
    ...within("all of it", total),
    ...(peek === 0 ? [] : [`first content held back for ${words(peek)}`])
  ]
  const kept = onBreak === "truncate" ? "" : `, keeping ${maxKept} characters of it`
  return `stream: ${[...limits, ""].join(", ").replace(/, $/, "; ")}when it breaks it ${whenItBreaks(self)}${kept}`
}
