/** The options of a hedge, in code and in a pipeline. */
import * as Duration from "effect/Duration"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { isRecord } from "../../internal/record.ts"
import type * as RetryBudget from "../RetryBudget.ts"
import { judge } from "../shared/options.ts"
import { Fixed, Learned } from "./delay.ts"

export interface LearnedDelay {
  /** 0.5 to 0.999. `0.95` hedges about the slowest 5 % of calls. */
  readonly quantile: number
  /** How many calls must have succeeded before: 100 to 500. Default: 100. */
  readonly minimumSamples?: number | undefined
  /** The delay until then. Default: no hedge until then. */
  readonly initial?: Duration.DurationInput | undefined
}

export interface Options {
  /** The name its events carry. Default: `"hedge"`. */
  readonly name?: string | undefined
  /**
   * How long the attempts that run may take before another one is started. `0` starts all at once, `Infinity` starts
   * another one only when those before it have failed.
   */
  readonly delay: Duration.DurationInput | LearnedDelay
  /** How many attempts beside the first one: 1 to 10. Default: 1. */
  readonly maxHedges?: number | undefined
  /**
   * What bounds the hedges in all; without a grant from it there is no hedge, and the call goes on. It has to be chosen,
   * because hedges without a bound can double the load and the bill: `"none"` says that this is meant.
   */
  readonly budget: RetryBudget.RetryBudget | "none"
  /** Judges errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/** In a pipeline a hedge shares the budget of the retry, unless it says `"none"`. */
export interface Input extends Omit<Options, "budget"> {
  readonly budget?: "shared" | "none" | undefined
}

export const defaults = {
  maxHedges: 1,
  minimumSamples: 100,
  window: 500,
  every: 25
} as const

/** `RetryBudget` cannot be imported by what it is a part of the options of; its mark can be known. */
const budgetMark = Symbol.for("effect-llm-resilience/RetryBudget")

const isBudget = (value: unknown): value is RetryBudget.RetryBudget | "none" =>
  value === "none" || isRecord(value) && budgetMark in value

const fixedDelay = Form.duration({
  from: "zero",
  to: "Infinity",
  allowed: "a duration (0 starts all at once, Infinity only after failures), or { quantile: 0.95 }"
})

const learnedDelay = Form.struct("an object", {
  quantile: Form.number({ min: 0.5, max: 0.999 }, "a quantile from 0.5 to 0.999"),
  minimumSamples: Form.withDefault(
    Form.count(100, defaults.window, `a whole number of calls, 100 to ${defaults.window}`),
    () => defaults.minimumSamples
  ),
  initial: Form.optional(Form.duration({ from: "zero", to: "Infinity", allowed: "a duration, 0 or more" }))
})

const isLearned = (value: unknown): boolean => isRecord(value) && !Duration.isDuration(value)

const delay = Form.mapped(
  Form.choose("a duration, or { quantile: 0.95 }", Form.when(isLearned, learnedDelay), Form.otherwise(fixedDelay)),
  {
    decode: (read) => {
      if (Duration.isDuration(read)) return new Fixed(read)
      const { initial, minimumSamples, quantile } = read
      const { every, window } = defaults
      return new Learned({ quantile, minimumSamples, window, every }, initial)
    },
    encode: (read) =>
      read._tag === "Fixed"
        ? read.delay
        : {
          quantile: read.settings.quantile,
          minimumSamples: read.settings.minimumSamples,
          initial: read.initial
        }
  }
)

const fields = {
  name: Form.withDefault(Form.name, () => "hedge"),
  delay,
  maxHedges: Form.withDefault(Form.count(1, 10, "a whole number of hedges, 1 to 10"), () => defaults.maxHedges)
}

const what = "an object with the options of a hedge"

export const form = Form.of<Options>()(Form.struct(what, {
  ...fields,
  budget: Form.value(
    isBudget,
    "a RetryBudget (share the one of your retries), or \"none\" if hedges without bound are meant"
  ),
  verdict: Form.optional(judge)
}))

export const pipelineForm = Form.of<Input>()(Form.struct(what, {
  ...fields,
  budget: Form.optional(
    Form.oneOfWith(["shared", "none"], "\"shared\" (the pipeline's retryBudget) or \"none\"")
  ),
  verdict: Form.optional(judge)
}))
