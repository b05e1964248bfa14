import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"

declare const call: Effect.Effect<string, "down", "Service">
declare const hedge: Hedge.Hedge
declare const budget: RetryBudget.RetryBudget
declare const adaptive: AdaptiveRetry.AdaptiveRetry

describe("Hedge", () => {
  test("refuses nothing: the error channel stays the caller's, in both styles", () => {
    expect(call.pipe(Hedge.apply(hedge))).type.toBe<Effect.Effect<string, "down", "Service">>()
    expect(Hedge.apply(call, hedge)).type.toBe<Effect.Effect<string, "down", "Service">>()
  })

  test("reports with the value", () => {
    expect(call.pipe(Hedge.applyWithReport(hedge))).type.toBe<Effect.Effect<Hedge.Report<string>, "down", "Service">>()
    expect(Hedge.applyWithReport(call, hedge)).type.toBe<Effect.Effect<Hedge.Report<string>, "down", "Service">>()
  })

  test("asks for a delay and for a budget, or for \"none\" by name", () => {
    expect<Hedge.Options>().type.toBeAssignableFrom<{ delay: "1 seconds"; budget: RetryBudget.RetryBudget }>()
    expect<Hedge.Options>().type.toBeAssignableFrom<
      { delay: Duration.Duration; budget: "none"; maxHedges: undefined }
    >()
    expect<Hedge.Options>().type.toBeAssignableFrom<{ delay: { quantile: number }; budget: "none" }>()
    expect<Hedge.Options>().type.not.toBeAssignableFrom<{ delay: "1 seconds" }>()
    expect<Hedge.Options>().type.not.toBeAssignableFrom<{ delay: "1 seconds"; budget: undefined }>()
    expect<Hedge.Options>().type.not.toBeAssignableFrom<{ budget: "none" }>()
  })

  test("can be a service", () => {
    expect(Hedge.make({ delay: 1, budget })).type.toBe<Effect.Effect<Hedge.Hedge, InvalidOptions>>()
    expect(Hedge.layer({ delay: 1, budget })).type.toBe<Layer.Layer<Hedge.Hedge, InvalidOptions>>()
  })
})

describe("RetryBudget and AdaptiveRetry", () => {
  test("refuse nothing", () => {
    expect(call.pipe(RetryBudget.apply(budget))).type.toBe<Effect.Effect<string, "down", "Service">>()
    expect(RetryBudget.apply(call, budget)).type.toBe<Effect.Effect<string, "down", "Service">>()
    expect(call.pipe(AdaptiveRetry.apply(adaptive))).type.toBe<Effect.Effect<string, "down", "Service">>()
    expect(AdaptiveRetry.apply(call, adaptive)).type.toBe<Effect.Effect<string, "down", "Service">>()
  })

  test("can be services", () => {
    expect(RetryBudget.layer()).type.toBe<Layer.Layer<RetryBudget.RetryBudget, InvalidOptions>>()
    expect(AdaptiveRetry.layer()).type.toBe<Layer.Layer<AdaptiveRetry.AdaptiveRetry, InvalidOptions>>()
    expect(RetryBudget.RetryBudget).type.toBeAssignableTo<
      Effect.Effect<RetryBudget.RetryBudget, never, RetryBudget.RetryBudget>
    >()
  })

  test("take their forms and modes as data", () => {
    expect<RetryBudget.Form>().type.toBeAssignableFrom<{ _tag: "Share"; ratio: number; minimum: number }>()
    expect<RetryBudget.Form>().type.not.toBeAssignableFrom<{ _tag: "Share"; ratio: number }>()
    expect(RetryBudget.tokens({ capacity: 10 })).type.toBe<RetryBudget.Tokens>()
    expect<AdaptiveRetry.Mode>().type.toBe<"multiplier" | "rate">()
  })
})
