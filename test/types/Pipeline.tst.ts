import type * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { BulkheadFull, CircuitOpen, RateLimitExceeded, Throttled, TimedOut } from "../../src/error/PolicyError.ts"
import type * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import type * as Bulkhead from "../../src/policy/Bulkhead.ts"
import type * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import type * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import type * as Hedge from "../../src/policy/Hedge.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import type * as RateLimiter from "../../src/policy/RateLimiter.ts"
import type * as RetryBudget from "../../src/policy/RetryBudget.ts"
import type * as RetryPolicy from "../../src/policy/RetryPolicy.ts"

declare class Down {
  readonly _tag: "Down"
}
type Made = Effect.Effect<Pipeline.Pipeline, InvalidOptions>

declare const call: Effect.Effect<"answer", Down, "service">
declare const rateLimiter: RateLimiter.RateLimiter
declare const pipeline: Pipeline.Pipeline
declare const options: Pipeline.Options
declare const policies: {
  readonly retry: RetryPolicy.RetryPolicy
  readonly retryBudget: RetryBudget.RetryBudget
  readonly adaptiveRetry: AdaptiveRetry.AdaptiveRetry
  readonly hedge: Hedge.Hedge
  readonly circuitBreaker: CircuitBreaker.CircuitBreaker
  readonly rateLimiter: RateLimiter.RateLimiter
  readonly concurrencyLimit: ConcurrencyLimit.ConcurrencyLimit<BulkheadFull>
  readonly bulkhead: Bulkhead.Bulkhead<BulkheadFull>
}

describe("Pipeline.make", () => {
  it("takes options, policies that are shared, or nothing", () => {
    expect(Pipeline.make({})).type.toBe<Made>()
    expect(Pipeline.make({ totalTimeout: undefined, bulkhead: undefined })).type.toBe<Made>()
    expect(
      Pipeline.make({ retry: { backoff: "immediate", attempts: 3 }, retryBudget: "standard", hedge: { delay: 5 } })
    ).type.toBe<Made>()
    expect(Pipeline.make(options)).type.toBe<Made>()
    expect(Pipeline.make(policies)).type.toBe<Made>()
  })

  it("knows its options", () => {
    expect(Pipeline.make).type.not.toBeCallableWith({ totalTimeout: "soon" })
    expect(Pipeline.make).type.not.toBeCallableWith({ retry: 3 })
    expect(Pipeline.make).type.not.toBeCallableWith({ retryBudget: "generous" })
    expect(Pipeline.make).type.not.toBeCallableWith({ hedge: {} })
    expect(Pipeline.make).type.not.toBeCallableWith({ bulkhead: {} })
    expect(Pipeline.make).type.not.toBeCallableWith({ circuitBreaker: rateLimiter })
    expect(Pipeline.make).type.not.toBeCallableWith({ rateLimiter: { requestsPerMinute: "many" } })
    expect(Pipeline.make).type.not.toBeCallableWith({ attemptTimeouts: "1 second" })
    expect(Pipeline.make).type.not.toBeCallableWith({ circuitBreaker: { openFr: "1 second" } })
    expect(Pipeline.make).type.not.toBeCallableWith({ bulkhead: { maxConcurrent: 1, maxQueue: 2 } })
    expect(Pipeline.make).type.not.toBeCallableWith({ hedge: { delay: { quantil: 0.9 } } })
    expect(Pipeline.make).type.not.toBeCallableWith({ retryBudget: { share: { minimun: 3 } } })
    const misspelt = { attemptTimeouts: "1 second" } as const
    expect(Pipeline.make).type.not.toBeCallableWith(misspelt)
  })
})

describe("Pipeline.decode and Pipeline.layer", () => {
  it("give a pipeline, or say what is wrong", () => {
    expect(Pipeline.decode({})).type.toBe<Made>()
    expect(Pipeline.layer({})).type.toBe<Layer.Layer<Pipeline.Pipeline, InvalidOptions>>()
  })
})

describe("Pipeline.policies", () => {
  it("has every policy under its field, if it is there", () => {
    const made = Pipeline.policies(pipeline)
    expect(made.circuitBreaker).type.toBe<CircuitBreaker.CircuitBreaker | undefined>()
    expect(made.retry).type.toBe<RetryPolicy.RetryPolicy | undefined>()
    expect(made.totalTimeout).type.toBe<number | undefined>()
  })
})

type Strong<A, E, R> = Effect.Effect<A, E | Pipeline.AnyRefusal, R>

describe("Pipeline.apply", () => {
  it("adds all that a pipeline can refuse, in both call styles: another configuration may bring any of it", () => {
    expect<Pipeline.AnyRefusal>().type.toBe<CircuitOpen | Throttled | RateLimitExceeded | BulkheadFull | TimedOut>()
    expect(Pipeline.apply(call, pipeline)).type.toBe<Strong<"answer", Down, "service">>()
    expect(call.pipe(Pipeline.apply(pipeline))).type.toBe<Strong<"answer", Down, "service">>()
  })
})

describe("Pipeline.applyCost", () => {
  it("adds the same, in both call styles", () => {
    expect(Pipeline.applyCost(call, pipeline, { tokens: 5 })).type.toBe<Strong<"answer", Down, "service">>()
    expect(pipe(call, Pipeline.applyCost(pipeline, { tokens: 5 }))).type.toBe<Strong<"answer", Down, "service">>()
  })

  it("reads the tokens used from the call's own result", () => {
    expect(Pipeline.applyCost(call, pipeline, { actual: (answer) => answer.length })).type.toBe<
      Strong<"answer", Down, "service">
    >()
    expect(pipe(call, Pipeline.applyCost(pipeline, { actual: (answer: "answer") => answer.length }))).type.toBe<
      Strong<"answer", Down, "service">
    >()
    const ofNumber = Pipeline.applyCost(pipeline, { actual: (tokens: number) => tokens })
    expect(ofNumber).type.not.toBeCallableWith(call)
  })
})

describe("Pipeline.reconfigure", () => {
  it("fails with what is wrong, in both call styles", () => {
    expect(Pipeline.reconfigure(pipeline, {})).type.toBe<Effect.Effect<void, InvalidOptions>>()
    expect(pipe(pipeline, Pipeline.reconfigure({}))).type.toBe<Effect.Effect<void, InvalidOptions>>()
  })
})
