import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { ModelError } from "../../src/error/ModelError.ts"
import type { PlanExhausted, TimedOut } from "../../src/error/PolicyError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type * as Response from "../../src/model/Response.ts"
import type * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ModelPlan from "../../src/resilience/ModelPlan.ts"
import * as Recovery from "../../src/resilience/Recovery.ts"

interface Http {
  readonly _: unique symbol
}
declare const bare: LanguageModel.Service<ModelError>
declare const pipeline: Pipeline.Pipeline
declare const fromHttp: Layer.Layer<LanguageModel.LanguageModel, "no key", Http>

describe("ModelPlan", () => {
  test("of bare models fails as they do, and needs nothing", () => {
    expect(ModelPlan.make({ steps: [{ name: "a", model: bare }, { name: "b", model: bare }] })).type.toBe<
      Effect.Effect<ModelPlan.ModelPlan<ModelError>, InvalidOptions>
    >()
  })

  test("adds what a pipeline refuses where a step has one", () => {
    expect(
      ModelPlan.make({
        steps: [
          { name: "a", model: bare, pipeline: { attemptTimeout: "1 second" } },
          { name: "b", model: bare, pipeline }
        ]
      })
    ).type.toBe<Effect.Effect<ModelPlan.ModelPlan<ModelError | Pipeline.AnyRefusal>, InvalidOptions>>()
  })

  test("of layers has their failures and needs, and lives in a scope", () => {
    expect(ModelPlan.make({ steps: [{ name: "a", model: fromHttp }, { name: "b", model: bare }] })).type.toBe<
      Effect.Effect<ModelPlan.ModelPlan, InvalidOptions | "no key", Http | Scope.Scope>
    >()
    expect(ModelPlan.layer({ steps: [{ name: "a", model: fromHttp }] })).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel | ModelPlan.ModelPlan, InvalidOptions | "no key", Http>
    >()
  })

  test("is a language model, and tells more where asked to", () => {
    expect<ModelPlan.ModelPlan<ModelError>>().type.toBeAssignableTo<LanguageModel.Service<ModelError>>()
    expect<ModelPlan.ModelPlan<ModelError>["generateWithReport"]>().type.toBe<
      (request: LanguageModel.Request) => Effect.Effect<ModelPlan.Report<ModelError>, ModelError>
    >()
    expect<ModelPlan.ModelPlan<ModelError>["generateOrExhausted"]>().type.toBe<
      (request: LanguageModel.Request) => Effect.Effect<Response.Response, PlanExhausted<ModelError>>
    >()
  })

  test("refuses a misspelt field where it is written: of a step, of its pipeline, of a policy in it", () => {
    const large = { name: "large", model: bare }
    expect(ModelPlan.make).type.not.toBeCallableWith({ steps: [{ name: "a", model: bare, pipelin: {} }, large] })
    expect(ModelPlan.make).type.not.toBeCallableWith({
      steps: [{ name: "a", model: bare, pipeline: { attemptTimeout: "1 second", totalTimout: "1 second" } }, large]
    })
    expect(ModelPlan.layer).type.not.toBeCallableWith({
      steps: [{ name: "a", model: bare, pipeline: { retry: { backoff: "immediate", attemps: 3 } } }]
    })
    expect(ModelPlan.make({
      steps: [
        { name: "a", model: bare, pipeline: { attemptTimeout: 500, retry: { backoff: "immediate", attempts: 3 } } },
        { name: "b", model: bare, when: { tags: ["Overloaded"] }, pipeline }
      ],
      sticky: "1 minute"
    })).type.toBeAssignableTo<Effect.Effect<ModelPlan.ModelPlan<ModelError | Pipeline.AnyRefusal>, InvalidOptions>>()
  })

  test("knows its options", () => {
    expect(ModelPlan.make).type.not.toBeCallableWith({ steps: [{ name: "a" }] })
    expect(ModelPlan.make).type.not.toBeCallableWith({ steps: [{ name: "a", model: bare, when: "Overloaded" }] })
    expect(ModelPlan.make).type.not.toBeCallableWith({ step: [{ name: "a", model: bare }] })
  })
})

declare const filteredTable: Recovery.Recovery<{ readonly ContentFiltered: () => number }>
declare const effects: Recovery.Recovery<{
  readonly ContentFiltered: () => Effect.Effect<number, "empty", Http>
  readonly TimedOut: () => boolean
}>
declare const asked: Effect.Effect<string, ModelError | TimedOut>

describe("Recovery", () => {
  test("takes what it answers for out of the errors, and marks the result", () => {
    type Filtered = Extract<ModelError, { readonly _tag: "ContentFiltered" }>
    type Expected = Effect.Effect<
      Recovery.Whole<string> | Recovery.Degraded<number, Filtered>,
      Exclude<ModelError, Filtered> | TimedOut
    >
    expect(asked.pipe(Recovery.apply(filteredTable))).type.toBe<Expected>()
    expect(Recovery.apply(asked, filteredTable)).type.toBe<Expected>()
  })

  test("adds what its effects fail with and need", () => {
    type Handled = Extract<ModelError, { readonly _tag: "ContentFiltered" }> | TimedOut
    expect(asked.pipe(Recovery.apply(effects))).type.toBe<
      Effect.Effect<
        Recovery.Whole<string> | Recovery.Degraded<number | boolean, Handled>,
        Exclude<ModelError, Handled> | "empty",
        Http
      >
    >()
  })

  test("types the error of each entry by its tag, and knows no other tags", () => {
    const made = Recovery.make({
      table: {
        Truncated: (error) => {
          expect(error).type.toBe<Extract<ModelError, { readonly _tag: "Truncated" }>>()
          return error.received
        },
        RateLimited: (error) => error.scope
      }
    })
    expect(made).type.toBeAssignableTo<Effect.Effect<Recovery.Recovery<Recovery.Table>, InvalidOptions>>()
    expect(Recovery.make).type.not.toBeCallableWith({ table: { ContentFilterd: () => 1 } })
  })

  test("behind a model answers with responses alone", () => {
    expect(Recovery.layer).type.not.toBeCallableWith({ table: { ContentFiltered: () => "text" } })
    expect(Recovery.layer({ table: { ContentFiltered: () => Recovery.reply("no") } })).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel>
    >()
  })
})
