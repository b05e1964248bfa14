/** The options of a structured question, checked, with every choice made. */
import * as Effect from "effect/Effect"
import { found, InvalidOptions, type Issue } from "../../error/InvalidOptions.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as StructuredOutput from "../../model/StructuredOutput.ts"
import * as RetryPolicy from "../../policy/RetryPolicy.ts"
import { isPricing, type Pricing } from "../Price.ts"

export const defaults = {
  mode: "auto",
  maxReasks: 2,
  name: "generateObject"
} as const

const modes = ["auto", "native", "tool"] as const

/** How the model is asked for data. */
export type Mode = (typeof modes)[number]

/** A request without what the structured output puts into it. */
export interface Question
  extends Omit<LanguageModel.Request, "tools" | "toolChoice" | "parallelToolCalls" | "responseFormat">
{}

export interface Given<A, I> extends Question {
  readonly output: StructuredOutput.StructuredOutput<A, I> | StructuredOutput.Options<A, I>
  readonly mode?: Mode | undefined
  readonly maxReasks?: number | undefined
  readonly reask?: RetryPolicy.RetryPolicy | undefined
  readonly name?: string | undefined
  readonly limits?: { readonly tokens?: number | undefined; readonly cost?: number | undefined } | undefined
  readonly price?: Pricing | undefined
}

export interface Settings<A, I> {
  readonly output: StructuredOutput.StructuredOutput<A, I>
  readonly mode: Mode
  /** Whether and when to ask again. */
  readonly policy: RetryPolicy.RetryPolicy
  readonly name: string
  readonly limits: { readonly tokens: number; readonly cost: number }
  readonly price: Pricing
  readonly question: Question
}

const ofLimits = (limits: Given<unknown, unknown>["limits"], price: unknown): ReadonlyArray<Issue> => {
  const issues: Array<Issue> = []
  const { cost, tokens } = limits ?? {}
  if (tokens !== undefined && !(Number.isSafeInteger(tokens) && tokens >= 1)) {
    issues.push({ path: "limits.tokens", found: found(tokens), allowed: "a whole number, 1 or more" })
  }
  if (cost !== undefined && !(Number.isFinite(cost) && cost > 0)) {
    issues.push({ path: "limits.cost", found: found(cost), allowed: "a number above 0" })
  }
  const needed = cost === undefined ? "" : ", as limits.cost is set"
  if (price === undefined ? cost !== undefined : !isPricing(price)) {
    issues.push({
      path: "price",
      found: found(price),
      allowed: `a table of Price, or a function from usage and model to a number${needed}`
    })
  }
  return issues
}

const ofReasks = (maxReasks: number | undefined, reask: RetryPolicy.RetryPolicy | undefined): ReadonlyArray<Issue> => {
  const issues: Array<Issue> = []
  if (maxReasks !== undefined && !(Number.isSafeInteger(maxReasks) && maxReasks >= 0 && maxReasks <= 20)) {
    issues.push({ path: "maxReasks", found: found(maxReasks), allowed: "a whole number from 0 to 20" })
  }
  if (reask === undefined) return issues
  if (!RetryPolicy.isRetryPolicy(reask)) {
    return [...issues, { path: "reask", found: found(reask), allowed: "a RetryPolicy" }]
  }
  if (maxReasks !== undefined) {
    issues.push({
      path: "maxReasks",
      found: found(maxReasks),
      allowed: "nothing beside reask, which has its own bound"
    })
  }
  if (!Number.isFinite(RetryPolicy.bounds(reask).attempts)) {
    issues.push({
      path: "reask",
      found: String(reask),
      allowed: "a policy with a bound: add RetryPolicy.attempts(3), since every question costs"
    })
  }
  return issues
}

const atOnce = (reasks: number): RetryPolicy.RetryPolicy =>
  reasks === 0 ? RetryPolicy.never : RetryPolicy.attempts(RetryPolicy.immediate, reasks + 1)

/** Fails with every wrong option at once. */
export const settle = <A, I>(given: Given<A, I>): Effect.Effect<Settings<A, I>, InvalidOptions> =>
  Effect.gen(function*() {
    const { limits, maxReasks, mode = defaults.mode, name = defaults.name, output, price, reask, ...question } = given
    const issues: Array<Issue> = [...ofReasks(maxReasks, reask), ...ofLimits(limits, price)]
    if (!modes.includes(mode)) {
      issues.push({ path: "mode", found: found(mode), allowed: modes.map((each) => JSON.stringify(each)).join(", ") })
    }
    if (issues.length > 0) return yield* new InvalidOptions({ module: "GenerateObject", issues })
    return {
      output: StructuredOutput.TypeId in output ? output : yield* StructuredOutput.make(output),
      mode,
      policy: reask ?? atOnce(maxReasks ?? defaults.maxReasks),
      name,
      limits: { tokens: limits?.tokens ?? Number.POSITIVE_INFINITY, cost: limits?.cost ?? Number.POSITIVE_INFINITY },
      price: price ?? (() => 0),
      question
    }
  })
