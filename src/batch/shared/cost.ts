/** What an item of a batch cost, by a table or a function. */
import * as Either from "effect/Either"
import type { Usage } from "../../model/Usage.ts"
import * as Price from "../../resilience/Price.ts"
import type { Cost } from "./spent.ts"

/** What is no price is not taken to be nothing, and tokens that are none cost nothing whatever the model is. */
export const costOf = (price: Price.Pricing, usage: Usage, model: string): Cost => {
  const cost = Either.getOrElse(Price.charge(price, usage, model), () => Number.NaN)
  return Number.isFinite(cost) && cost >= 0 ? cost : usage.totalTokens === 0 ? 0 : { unpricedModel: model }
}
