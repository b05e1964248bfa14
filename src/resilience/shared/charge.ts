/** What one reply cost, where a limit of money depends on it. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { found, InvalidOptions } from "../../error/InvalidOptions.ts"
import type { Usage } from "../../model/Usage.ts"
import * as Price from "../Price.ts"

const refuse = (module: string, model: string, given: string, allowed: string) =>
  Effect.fail(
    new InvalidOptions({
      module,
      issues: [{ path: `price(usage, ${JSON.stringify(model)})`, found: given, allowed }]
    })
  )

/** Fails where there is no price: what is not known is not taken to be nothing. */
export const chargeFor = (
  module: string,
  pricing: Price.Pricing,
  usage: Usage,
  model: string
): Effect.Effect<number, InvalidOptions> =>
  Either.match(Price.charge(pricing, usage, model), {
    // A refusal that tells no tokens costs nothing that could be told.
    onLeft: (error) => usage.totalTokens === 0 ? Effect.succeed(0) : refuse(module, model, "no price", error.message),
    onRight: (cost) =>
      Number.isFinite(cost) && cost >= 0
        ? Effect.succeed(cost)
        : refuse(module, model, found(cost), "a number, 0 or more")
  })
