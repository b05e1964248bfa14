/** The options of a tool loop, checked, with every number filled in. */
import * as Effect from "effect/Effect"
import { found, InvalidOptions, type Issue } from "../../error/InvalidOptions.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import type * as Tool from "../../model/Tool.ts"
import type * as Toolkit from "../../model/Toolkit.ts"
import type { Pricing } from "../Price.ts"
import type { Accepts } from "../shared/refusals.ts"
import type { Limits, State } from "./state.ts"

export const defaults = {
  maxReasks: 2,
  concurrency: 1,
  sameFailures: 2,
  emptyReplies: "refuse",
  writtenCalls: "refuse",
  limits: { steps: 20, toolCalls: 100 }
} as const

export const unlimited: Limits = {
  steps: Number.POSITIVE_INFINITY,
  toolCalls: Number.POSITIVE_INFINITY,
  tokens: Number.POSITIVE_INFINITY,
  cost: Number.POSITIVE_INFINITY
}

/** What both `call` and `run` may be given. */
interface Given extends Omit<LanguageModel.Request, "tools"> {
  readonly toolkit: Toolkit.Any
  readonly handlers: Toolkit.Handlers<ReadonlyArray<Tool.Any>, unknown, unknown>
  readonly maxReasks?: number | undefined
  readonly concurrency?: number | undefined
  readonly name?: string | undefined
  readonly limits?: { readonly [limit in keyof Limits]?: number | undefined } | undefined
  readonly price?: Pricing | undefined
  readonly sameFailures?: number | undefined
  readonly emptyReplies?: Accepts["emptyReplies"] | undefined
  readonly writtenCalls?: Accepts["writtenCalls"] | undefined
  readonly state?: State | undefined
  readonly checkpoint?: ((state: State) => Effect.Effect<void>) | undefined
}

export interface Settings extends Accepts {
  readonly toolkit: Toolkit.Any
  readonly handlers: Toolkit.Handlers<ReadonlyArray<Tool.Any>, unknown, unknown>
  readonly maxReasks: number
  readonly concurrency: number
  readonly name: string
  readonly limits: Limits
  readonly price: Pricing
  readonly sameFailures: number
  readonly state: State | undefined
  readonly checkpoint: (state: State) => Effect.Effect<void>
  /** What is left: the request, its prompt included. */
  readonly request: Omit<LanguageModel.Request, "tools">
}

const whole = (
  path: string,
  value: number | undefined,
  least: number,
  most: number = Number.POSITIVE_INFINITY
): ReadonlyArray<Issue> =>
  value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most) ? [] : [{
    path,
    found: found(value),
    allowed: most === Number.POSITIVE_INFINITY
      ? `a whole number, ${least} or more`
      : `a whole number from ${least} to ${most}`
  }]

const choice = (path: string, value: unknown): ReadonlyArray<Issue> =>
  value === undefined || value === "refuse" || value === "accept"
    ? []
    : [{ path, found: found(value), allowed: "\"refuse\" or \"accept\"" }]

const issuesOf = (given: Given): ReadonlyArray<Issue> => [
  ...whole("maxReasks", given.maxReasks, 0, 20),
  ...whole("concurrency", given.concurrency, 1),
  ...whole("sameFailures", given.sameFailures, 1, 20),
  ...choice("emptyReplies", given.emptyReplies),
  ...choice("writtenCalls", given.writtenCalls),
  ...whole("limits.steps", given.limits?.steps, 1),
  ...whole("limits.toolCalls", given.limits?.toolCalls, 1),
  ...whole("limits.tokens", given.limits?.tokens, 1),
  ...(given.limits?.cost === undefined || (Number.isFinite(given.limits.cost) && given.limits.cost > 0)
    ? []
    : [{ path: "limits.cost", found: found(given.limits.cost), allowed: "a number above 0" }]),
  ...(given.limits?.cost === undefined || given.price !== undefined
    ? []
    : [{
      path: "price",
      found: "nothing",
      allowed: "a table of Price, or a function from usage and model to a number, as limits.cost is set"
    }])
]

/** Fails with every wrong option at once. */
export const settle = (given: Given): Effect.Effect<Settings, InvalidOptions> =>
  Effect.suspend(() => {
    const issues = issuesOf(given)
    if (issues.length > 0) return Effect.fail(new InvalidOptions({ module: "ToolLoop", issues }))
    const {
      checkpoint = () => Effect.void,
      concurrency = defaults.concurrency,
      emptyReplies = defaults.emptyReplies,
      handlers,
      limits,
      maxReasks = defaults.maxReasks,
      name = "toolLoop",
      price = () => 0,
      sameFailures = defaults.sameFailures,
      state,
      toolkit,
      writtenCalls = defaults.writtenCalls,
      ...request
    } = given
    return Effect.succeed({
      checkpoint,
      concurrency,
      emptyReplies,
      writtenCalls,
      handlers,
      limits: {
        steps: limits?.steps ?? defaults.limits.steps,
        toolCalls: limits?.toolCalls ?? defaults.limits.toolCalls,
        tokens: limits?.tokens ?? Number.POSITIVE_INFINITY,
        cost: limits?.cost ?? Number.POSITIVE_INFINITY
      },
      maxReasks,
      name,
      price,
      sameFailures,
      state,
      toolkit,
      request
    })
  })
