/** The options of a hedge: on its own, and in a pipeline, whose budget it shares. */
import * as Duration from "effect/Duration"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { isRecord } from "../../internal/record.ts"
import * as RetryBudget from "../RetryBudget.ts"
import { judge } from "../shared/options.ts"

export interface LearnedDelay {
  /** 0.5 to 0.999. `0.95` hedges about the slowest 5 % of calls. */
  readonly quantile: number
  /** How many calls must have succeeded before: 100 to 500. Default: 100. */
  readonly minimumSamples?: number | undefined
  /** The delay until then. Default: no hedge until then. */
  readonly initial?: Duration.DurationInput | undefined
}

export const defaults = {
  maxHedges: 1,
  minimumSamples: 100,
  window: 500,
  every: 25
} as const

interface CommonOptions {
  /** The name its events carry. Default: `"hedge"`. */
  readonly name?: string | undefined
  /**
   * How long the attempts that run may take before another one is started. `0` starts all at once, `Infinity` starts
   * another one only when those before it have failed.
   */
  readonly delay: Duration.DurationInput | LearnedDelay
  /** How many attempts beside the first one: 1 to 10. Default: 1. */
  readonly maxHedges?: number | undefined
  /** Judges errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

export interface Options extends CommonOptions {
  /**
   * What bounds the hedges in all; without leave from it there is no hedge, and the call goes on. It has to be chosen,
   * because hedges without a bound can double the load and the bill: `"none"` says that this is meant.
   */
  readonly budget: RetryBudget.RetryBudget | "none"
}

export interface Input extends CommonOptions {
  /** `"shared"` is the `retryBudget` of the pipeline; `"none"` says that hedges without bound are meant. Default: `"shared"`. */
  readonly budget?: "shared" | "none" | undefined
}

const learnedDelay = Form.struct("an object", {
  quantile: Form.number({ min: 0.5, max: 0.999 }, "a quantile from 0.5 to 0.999"),
  minimumSamples: Form.withDefault(
    Form.count(100, defaults.window, `a whole number of calls, 100 to ${defaults.window}`),
    () => defaults.minimumSamples
  ),
  initial: Form.optional(Form.duration({ from: "zero", to: "Infinity", allowed: "a duration, 0 or more" }))
})

const allowedDelay = "a duration (0 starts all at once, Infinity only after failures), or { quantile: 0.95 }"

const fields = {
  name: Form.withDefault(Form.name, () => "hedge"),
  delay: Form.choose(
    allowedDelay,
    Form.when((given) => isRecord(given) && !Duration.isDuration(given), learnedDelay),
    Form.otherwise(Form.duration({ from: "zero", to: "Infinity", allowed: allowedDelay }))
  ),
  maxHedges: Form.withDefault(Form.count(1, 10, "a whole number of hedges, 1 to 10"), () => defaults.maxHedges)
}

const isBudget = (value: unknown): value is RetryBudget.RetryBudget | "none" =>
  value === "none" || (isRecord(value) && RetryBudget.TypeId in value)

const allowedBudget = "a RetryBudget (share the one of your retries), or \"none\" if hedges without bound are meant"

export const form = Form.of<Options>()(Form.struct("an object with the options of a hedge", {
  ...fields,
  budget: Form.value(isBudget, allowedBudget),
  verdict: Form.optional(judge)
}))

/** In a pipeline. */
export const input = Form.of<Input>()(Form.struct("an object with the options of a hedge", {
  ...fields,
  budget: Form.withDefault(
    Form.oneOfWith(["shared", "none"], "\"shared\" (the pipeline's retryBudget) or \"none\""),
    () => "shared" as const
  ),
  verdict: Form.optional(judge)
}))
