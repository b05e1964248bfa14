/** The options of an adaptive limit. */
import type { Verdict } from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import * as Admission from "../shared/admission.ts"
import { judge } from "../shared/options.ts"
import { defaultStrategies, type Strategy, strategyForm } from "./strategy.ts"

export interface Options extends Admission.QueueOptions {
  /** The name its events and errors carry. Default: `"concurrency limit"`. */
  readonly name?: string | undefined
  /** The limit to start with, from `floor` to `ceiling`. Default: 20, or what of it lies between the two. */
  readonly initial?: number | undefined
  /** The limit never falls below: 1 to 1 000 000. Default: 1. */
  readonly floor?: number | undefined
  /** The limit never rises above: `floor` to 1 000 000. Default: 200, or `floor` if that is higher. */
  readonly ceiling?: number | undefined
  /** How the limit moves. Default: `"aimd"`. */
  readonly strategy?: Strategy | undefined
  /** Judges an error; one that is throttled or weighs is an overload. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict) | undefined
}

export const defaults = {
  name: "concurrency limit",
  initial: 20,
  floor: 1,
  ceiling: 200,
  maxQueued: 0,
  strategy: "aimd",
  strategies: defaultStrategies
} as const

const limit = Form.count(1, Admission.most)

const fields = {
  name: Form.withDefault(Form.name, () => defaults.name),
  initial: Form.optional(limit),
  floor: Form.withDefault(limit, () => defaults.floor),
  ceiling: Form.optional(limit),
  strategy: Form.withDefault(strategyForm, () => defaultStrategies[defaults.strategy]),
  verdict: Form.optional(judge),
  ...Admission.queueFields
}

interface Bounds {
  readonly floor: number
  readonly ceiling: number
}

interface Given {
  readonly initial?: number | undefined
  readonly floor?: number | undefined
  readonly ceiling?: number | undefined
}

/** What was left out follows from what was given. */
export const boundsOf = (
  { ceiling, floor = defaults.floor, initial }: Given
): Bounds & { readonly initial: number } => {
  const highest = ceiling ?? Math.max(floor, defaults.ceiling)
  return { floor, ceiling: highest, initial: initial ?? Math.min(highest, Math.max(floor, defaults.initial)) }
}

const crossed = ({ ceiling, floor }: Bounds) => ({
  path: ["ceiling"],
  found: ceiling,
  allowed: `at least floor, which is ${floor}`
})

const boundsCheck: Form.Check<typeof fields> = (right) => {
  const bounds = boundsOf(right)
  const { ceiling, floor, initial } = bounds
  if (ceiling < floor) return [crossed(bounds)]
  return initial >= floor && initial <= ceiling ? [] : [{
    path: ["initial"],
    found: initial,
    allowed: `from floor, which is ${floor}, to ceiling, which is ${ceiling}`
  }]
}

export const form = Form.of<Options>()(Form.struct(
  "an object with the options of an adaptive limit",
  fields,
  Admission.queueCheck,
  boundsCheck
))

export interface Limits {
  /** The limit never falls below: 1 to 1 000 000. Default: as before. */
  readonly floor?: number | undefined
  /** The limit never rises above: `floor` to 1 000 000. Default: as before. */
  readonly ceiling?: number | undefined
  /** Calls that may wait at a time: 0 to 1 000 000. Default: as many as before. */
  readonly maxQueued?: number | undefined
}

/** What may change while it is in use, beside bounds that stay where they are left out. */
export const limitsForm = (now: Bounds) =>
  Form.checked(
    Form.of<Limits>()(Form.struct("an object with the new bounds", {
      floor: Form.optional(limit),
      ceiling: Form.optional(limit),
      maxQueued: Form.optional(Form.count(0, Admission.most))
    })),
    ({ ceiling = now.ceiling, floor = now.floor }) => ceiling < floor ? [crossed({ floor, ceiling })] : []
  )
