/** What an item cost, as its value or its error tells. */
import * as Either from "effect/Either"
import { property } from "../../internal/redact.ts"
import * as Usage from "../../model/Usage.ts"
import { costOf } from "../shared/cost.ts"
import type { Cost } from "../shared/spent.ts"
import type { Settings } from "./options.ts"

type Measured =
  | { readonly _tag: "Measured"; readonly usage: Usage.Usage; readonly cost: Cost }
  /** A function of the user threw. */
  | { readonly _tag: "Died"; readonly error: unknown }

const none: Measured = { _tag: "Measured", usage: Usage.zero, cost: 0 }

/** Replies, outcomes of tool loops and of questions for objects, and their errors have one or the other. */
const usageIn = (value: unknown): Usage.Usage | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const all = property(value, "usageOfAll")
  if (all instanceof Usage.Usage) return all
  const usage = property(value, "usage")
  return usage instanceof Usage.Usage ? usage : undefined
}

const modelIn = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return ""
  const model = property(value, "model")
  return typeof model === "string" ? model : modelIn(property(value, "response"))
}

export const measure = (settings: Settings, outcome: Either.Either<unknown, unknown>): Measured => {
  try {
    // The options' type holds the function to the values; what is read from a form has lost that.
    const read = settings.usage as ((value: unknown) => Usage.Usage) | undefined
    const told = Either.isRight(outcome) ? outcome.right : outcome.left
    const usage = read !== undefined && Either.isRight(outcome) ? read(outcome.right) : usageIn(told)
    if (usage === undefined) return none
    const cost = settings.price === undefined ? 0 : costOf(settings.price, usage, modelIn(told))
    return { _tag: "Measured", usage, cost }
  } catch (error) {
    return { _tag: "Died", error }
  }
}
