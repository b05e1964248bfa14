/** How an adaptive limit moves, as options in code and in a file. */
import type * as Duration from "effect/Duration"
import * as Form from "../../internal/form.ts"

export type Strategy = "aimd" | "gradient" | AimdOptions | GradientOptions

interface AimdOptions {
  readonly kind: "aimd"
  /** What is left of the limit after an overload: 0.01 to 0.99. Default: 0.9. */
  readonly backoffRatio?: number | undefined
  /** A call that takes longer counts as overload, however it ends. Default: 1 minute. */
  readonly timeout?: Duration.DurationInput | undefined
}

interface GradientOptions {
  readonly kind: "gradient"
  /** What is left of the limit after an overload: 0.01 to 0.99. Default: 0.9. */
  readonly backoffRatio?: number | undefined
  /** How many times the latency at rest is still in order: 1 to 1.99. Default: 1.5. */
  readonly tolerance?: number | undefined
  /** How much of a change each step makes: 0.01 to 1. Default: 0.2. */
  readonly smoothing?: number | undefined
  /** Calls that may wait at the other side without being taken for overload: 1 to 1000. Default: 4. */
  readonly queueSize?: number | undefined
  /**
   * After so many calls under load the latency at rest is measured anew, at half the limit: 100 to 1 000 000.
   * Default: 600.
   */
  readonly remeasureEvery?: number | undefined
}

/** The numbers of Netflix's concurrency-limits, except for its time-out of 5 s, which is too short for a model call. */
export const defaultStrategies = {
  aimd: { kind: "aimd", backoffRatio: 0.9, timeout: 60_000 },
  gradient: { kind: "gradient", backoffRatio: 0.9, tolerance: 1.5, smoothing: 0.2, queueSize: 4, remeasureEvery: 600 }
} as const

const { aimd, gradient } = defaultStrategies

const backoffRatio = Form.number({ min: 0.01, max: 0.99 }, "a number from 0.01 to 0.99: what is left of the limit")

const aimdForm = Form.of<AimdOptions>()(Form.struct("an object", {
  kind: Form.oneOf("aimd"),
  backoffRatio: Form.withDefault(backoffRatio, () => aimd.backoffRatio),
  timeout: Form.withDefault(Form.millis(), () => aimd.timeout)
}))

const gradientForm = Form.of<GradientOptions>()(Form.struct("an object", {
  kind: Form.oneOf("gradient"),
  backoffRatio: Form.withDefault(backoffRatio, () => gradient.backoffRatio),
  // From 2 on, the latency at half the limit could no longer tell overload from rest.
  tolerance: Form.withDefault(Form.number({ min: 1, max: 1.99 }), () => gradient.tolerance),
  smoothing: Form.withDefault(Form.number({ min: 0.01, max: 1 }), () => gradient.smoothing),
  queueSize: Form.withDefault(Form.count(1, 1_000), () => gradient.queueSize),
  remeasureEvery: Form.withDefault(Form.count(100, 1_000_000), () => gradient.remeasureEvery)
}))

const allowed = "\"aimd\", \"gradient\", or an object with its \"kind\""

type Read = Form.Output<typeof aimdForm> | Form.Output<typeof gradientForm>

/** A name alone stands for its defaults: "aimd", or { "kind": "aimd", "backoffRatio": 0.9, "timeout": "1 minute" } */
export const strategyForm = Form.choose(
  allowed,
  Form.when(
    Form.isText,
    Form.mapped(Form.oneOf("aimd", "gradient"), {
      decode: (name): Read => defaultStrategies[name],
      encode: ({ kind }) => kind
    }),
    () => false
  ),
  Form.otherwise(Form.tagged(allowed, "kind", aimdForm, gradientForm))
)
