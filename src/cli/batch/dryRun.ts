/** What a batch would do at worst, without sending anything. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { InvalidLine } from "../../error/BatchError.ts"
import { definedFields } from "../../internal/record.ts"
import { words } from "../../internal/words.ts"
import { Usage } from "../../model/Usage.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import * as Price from "../../resilience/Price.ts"
import * as ResilientModel from "../../resilience/ResilientModel.ts"
import { table } from "../shared/table.ts"
import { type Line, requestOf, type Usual } from "./items.ts"

export interface Plan {
  readonly prompts: number
  readonly invalid: number
  /** What is wrong with the first of them. */
  readonly faults: ReadonlyArray<string>
  readonly promptTokens: number
  readonly replyTokens: number
  /** Where the table has the model. */
  readonly cost: number | undefined
  readonly currency: string | undefined
}

export const nothing: Plan = {
  prompts: 0,
  invalid: 0,
  faults: [],
  promptTokens: 0,
  replyTokens: 0,
  cost: 0,
  currency: undefined
}

const mostFaults = 5

const addCost = (cost: number | undefined, more: Either.Either<number, unknown>): number | undefined =>
  cost === undefined || Either.isLeft(more) ? undefined : cost + more.right

/** One line more. */
export const add = (
  plan: Plan,
  line: Line | InvalidLine,
  usual: Usual,
  price: Price.Price | undefined,
  model: string
): Plan => {
  if (line instanceof InvalidLine) {
    const faults = plan.faults.length < mostFaults ? [...plan.faults, line.message] : plan.faults
    return { ...plan, invalid: plan.invalid + 1, faults }
  }
  const { prompt, reply } = ResilientModel.estimate(requestOf(line, usual))
  const usage = new Usage({ inputTokens: prompt, outputTokens: reply, totalTokens: prompt + reply })
  return {
    ...plan,
    prompts: plan.prompts + 1,
    promptTokens: plan.promptTokens + prompt,
    replyTokens: plan.replyTokens + reply,
    currency: price?.currency,
    cost: price === undefined ? undefined : addCost(plan.cost, Price.cost(price, usage, model))
  }
}

export interface Worst {
  readonly calls: number
  readonly duration: Duration.Duration
  readonly cost: number | undefined
}

/** Every call fails as often as the policy allows, and takes as long. `atATime` calls run at a time. */
export const worstOf = (plan: Plan, pipeline: Pipeline.Pipeline, atATime: number): Worst => {
  const { calls, duration } = Pipeline.bounds(pipeline)
  const rounds = Math.ceil(plan.prompts / atATime)
  return {
    calls: calls * plan.prompts,
    duration: rounds === 0 ? Duration.zero : Duration.times(duration, rounds),
    cost: plan.cost === undefined ? undefined : plan.cost * calls
  }
}

const shown = (value: number): string => Number.isFinite(value) ? `${Number(value.toPrecision(6))}` : "no bound"

/** For people. */
export const text = (plan: Plan, worst: Worst, pipeline: Pipeline.Pipeline, atATime: number): string => {
  const { cost, currency, faults, invalid, promptTokens, prompts, replyTokens } = plan
  return [
    "Nothing was sent. This is what would be.",
    table([
      ["", "first try", "at worst"],
      ["requests", `${prompts}`, shown(worst.calls)],
      ["prompt tokens, about", `${promptTokens}`, ""],
      ["reply tokens, at most", `${replyTokens}`, ""],
      ...(currency === undefined ? [] : [
        [
          `cost in ${currency}`,
          cost === undefined ? "unknown" : shown(cost),
          worst.cost === undefined ? "unknown" : shown(worst.cost)
        ]
      ]),
      [`time at ${atATime} at a time`, "", Duration.isFinite(worst.duration) ? words(worst.duration) : "no bound"]
    ]),
    ...(invalid === 0
      ? []
      : [`${invalid} lines are no prompts and would fail:`, ...faults.map((fault) => `  ${fault}`)]),
    Pipeline.describe(pipeline)
  ].join("\n")
}

/** For programs. */
export const json = (plan: Plan, worst: Worst): string => {
  const { cost, currency, ...counts } = plan
  return JSON.stringify({
    dryRun: true,
    ...counts,
    ...definedFields({ cost, currency }),
    worst: {
      calls: worst.calls,
      ...(Duration.isFinite(worst.duration) ? { millis: Duration.toMillis(worst.duration) } : {}),
      ...definedFields({ cost: worst.cost })
    }
  })
}
