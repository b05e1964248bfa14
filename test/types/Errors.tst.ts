import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { describe, expect, it } from "tstyche"
import * as ModelError from "../../src/error/ModelError.ts"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"

declare const failing: Effect.Effect<string, ModelError.ModelError | PolicyError.PolicyError>
declare const anything: unknown
declare const wait: Duration.Duration

describe("ModelError", () => {
  it("is told apart by its tag", () => {
    expect(failing.pipe(Effect.catchTag("RateLimited", (error) => Effect.succeed(error.retryAfter)))).type.toBe<
      Effect.Effect<
        string | Duration.Duration | undefined,
        Exclude<ModelError.ModelError, ModelError.RateLimited> | PolicyError.PolicyError
      >
    >()
  })

  it("tells what a foreign value is", () => {
    if (ModelError.isModelError(anything)) expect(anything).type.toBe<ModelError.ModelError>()
  })

  it("the schema is that of the union, and needs nothing", () => {
    expect<Schema.Schema.Type<typeof ModelError.ModelError>>().type.toBe<ModelError.ModelError>()
    expect<Schema.Schema.Context<typeof ModelError.ModelError>>().type.toBe<never>()
  })

  it("needs its provider, and what its class is about; the rest may be left out", () => {
    expect(ModelError.RateLimited).type.toBeConstructableWith({ provider: "openai" })
    expect(ModelError.RateLimited).type.toBeConstructableWith({
      provider: "openai",
      model: undefined,
      status: 429,
      retryAfter: wait,
      scope: "tokens",
      billed: "no"
    })
    expect(ModelError.RateLimited).type.not.toBeConstructableWith({})
    expect(ModelError.RateLimited).type.not.toBeConstructableWith({ provider: "openai", scope: "hour" })
    expect(ModelError.ContentFiltered).type.not.toBeConstructableWith({ provider: "openai" })
    expect(ModelError.Truncated).type.not.toBeConstructableWith({ provider: "openai" })
  })
})

describe("PolicyError", () => {
  it("tells what a foreign value is", () => {
    if (PolicyError.isPolicyError(anything)) expect(anything).type.toBe<PolicyError.PolicyError>()
  })

  it("the schema is that of the union, and needs nothing", () => {
    expect<Schema.Schema.Type<typeof PolicyError.PolicyError>>().type.toBe<PolicyError.PolicyError>()
    expect<Schema.Schema.Context<typeof PolicyError.PolicyError>>().type.toBe<never>()
  })

  it("knows the phases of a time-out", () => {
    expect(PolicyError.TimedOut).type.not.toBeConstructableWith({ phase: "later", limit: wait })
  })
})

describe("Verdict", () => {
  it("every error of ours knows its own", () => {
    expect<ModelError.ModelError | PolicyError.PolicyError>().type.toBeAssignableTo<Verdict.Judged>()
  })

  it("is there for any value", () => {
    expect(Verdict.of(anything)).type.toBe<Verdict.Verdict>()
  })
})
