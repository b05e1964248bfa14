import type * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { BulkheadFull, CircuitOpen, RateLimitExceeded, TimedOut } from "../../src/error/PolicyError.ts"
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
type Made<Refused> = Effect.Effect<Pipeline.Pipeline<Refused>, InvalidOptions>

declare const call: Effect.Effect<"answer", Down, "service">
declare const retry: RetryPolicy.RetryPolicy
declare const retryBudget: RetryBudget.RetryBudget
declare const adaptiveRetry: AdaptiveRetry.AdaptiveRetry
declare const hedge: Hedge.Hedge
declare const circuitBreaker: CircuitBreaker.CircuitBreaker
declare const rateLimiter: RateLimiter.RateLimiter
declare const bulkhead: Bulkhead.Bulkhead<BulkheadFull>
declare const timedBulkhead: Bulkhead.Bulkhead
declare const concurrencyLimit: ConcurrencyLimit.ConcurrencyLimit<BulkheadFull>
declare const timedLimit: ConcurrencyLimit.ConcurrencyLimit
declare const calm: Pipeline.Pipeline<never>
declare const timed: Pipeline.Pipeline<TimedOut>
declare const open: Pipeline.Pipeline
declare const options: Pipeline.Options
declare const maybe: { readonly attemptTimeout: "1 second" | undefined }

describe("Pipeline.make", () => {
  it("of policies that refuse nothing refuses nothing", () => {
    expect(Pipeline.make({})).type.toBe<Made<never>>()
    expect(Pipeline.make({ name: "chat", retry })).type.toBe<Made<never>>()
    expect(Pipeline.make({ retry: { backoff: "immediate", attempts: 3 } })).type.toBe<Made<never>>()
    expect(Pipeline.make({ totalTimeout: undefined, bulkhead: undefined })).type.toBe<Made<never>>()
    expect(Pipeline.make({ retry, retryBudget, adaptiveRetry, hedge })).type.toBe<Made<never>>()
    expect(
      Pipeline.make({ retry, retryBudget: "standard", adaptiveRetry: {}, hedge: { delay: "1 second" } })
    ).type.toBe<Made<never>>()
  })

  it("with a time-out may refuse with TimedOut", () => {
    expect(Pipeline.make({ totalTimeout: "1 minute" })).type.toBe<Made<TimedOut>>()
    expect(Pipeline.make({ retry, attemptTimeout: "1 second" })).type.toBe<Made<TimedOut>>()
    expect(Pipeline.make({ totalTimeout: "1 minute", attemptTimeout: 1_000 })).type.toBe<Made<TimedOut>>()
  })

  it("with a circuit breaker may refuse with CircuitOpen, made here or shared", () => {
    expect(Pipeline.make({ circuitBreaker: {} })).type.toBe<Made<CircuitOpen>>()
    expect(Pipeline.make({ circuitBreaker })).type.toBe<Made<CircuitOpen>>()
  })

  it("with a rate limiter may refuse with RateLimitExceeded, made here or shared", () => {
    expect(Pipeline.make({ rateLimiter: { requestsPerMinute: 5 } })).type.toBe<Made<RateLimitExceeded>>()
    expect(Pipeline.make({ rateLimiter })).type.toBe<Made<RateLimitExceeded>>()
  })

  it("with a bulkhead may refuse with BulkheadFull, and with TimedOut only where waiting has an end", () => {
    expect(Pipeline.make({ bulkhead: { maxConcurrent: 1 } })).type.toBe<Made<BulkheadFull>>()
    expect(Pipeline.make({ bulkhead: { maxConcurrent: 1, queueTimeout: undefined } })).type.toBe<Made<BulkheadFull>>()
    expect(Pipeline.make({ bulkhead: { maxConcurrent: 1, maxQueued: 1, queueTimeout: "1 second" } })).type.toBe<
      Made<BulkheadFull | TimedOut>
    >()
    expect(Pipeline.make({ bulkhead })).type.toBe<Made<BulkheadFull>>()
    expect(Pipeline.make({ bulkhead: timedBulkhead })).type.toBe<Made<BulkheadFull | TimedOut>>()
  })

  it("with an adaptive limit likewise", () => {
    expect(Pipeline.make({ concurrencyLimit: {} })).type.toBe<Made<BulkheadFull>>()
    expect(Pipeline.make({ concurrencyLimit: { maxQueued: 1, queueTimeout: "1 second" } })).type.toBe<
      Made<BulkheadFull | TimedOut>
    >()
    expect(Pipeline.make({ concurrencyLimit })).type.toBe<Made<BulkheadFull>>()
    expect(Pipeline.make({ concurrencyLimit: timedLimit })).type.toBe<Made<BulkheadFull | TimedOut>>()
  })

  it("with several refuses with what each of them does", () => {
    expect(Pipeline.make({ circuitBreaker, bulkhead: { maxConcurrent: 1 } })).type.toBe<
      Made<CircuitOpen | BulkheadFull>
    >()
    expect(
      Pipeline.make({ circuitBreaker: {}, rateLimiter, concurrencyLimit: {}, bulkhead, attemptTimeout: "1 second" })
    ).type.toBe<Made<Pipeline.AnyRefusal>>()
  })

  it("with options that may hold anything may refuse with anything", () => {
    expect(Pipeline.make(options)).type.toBe<Made<Pipeline.AnyRefusal>>()
    expect(Pipeline.make(maybe)).type.toBe<Made<TimedOut>>()
  })

  it("knows its options", () => {
    expect(Pipeline.make).type.not.toBeCallableWith({ totalTimeout: "soon" })
    expect(Pipeline.make).type.not.toBeCallableWith({ retry: 3 })
    expect(Pipeline.make).type.not.toBeCallableWith({ retryBudget: "generous" })
    expect(Pipeline.make).type.not.toBeCallableWith({ hedge: {} })
    expect(Pipeline.make).type.not.toBeCallableWith({ bulkhead: {} })
    expect(Pipeline.make).type.not.toBeCallableWith({ circuitBreaker: rateLimiter })
    expect(Pipeline.make).type.not.toBeCallableWith({ rateLimiter: { requestsPerMinute: "many" } })
  })
})

describe("Pipeline.decode and Pipeline.layer", () => {
  it("may refuse with anything, so that a new configuration may bring anything", () => {
    expect(Pipeline.decode({})).type.toBe<Effect.Effect<Pipeline.Pipeline, InvalidOptions>>()
    expect(Pipeline.decode({})).type.toBe<Made<CircuitOpen | RateLimitExceeded | BulkheadFull | TimedOut>>()
    expect(Pipeline.layer({})).type.toBe<Layer.Layer<Pipeline.Pipeline, InvalidOptions>>()
  })
})

describe("Pipeline.apply", () => {
  it("adds what the pipeline can refuse and nothing else, in both call styles", () => {
    expect(Pipeline.apply(call, calm)).type.toBe<Effect.Effect<"answer", Down, "service">>()
    expect(call.pipe(Pipeline.apply(calm))).type.toBe<Effect.Effect<"answer", Down, "service">>()
    expect(Pipeline.apply(call, timed)).type.toBe<Effect.Effect<"answer", Down | TimedOut, "service">>()
    expect(call.pipe(Pipeline.apply(timed))).type.toBe<Effect.Effect<"answer", Down | TimedOut, "service">>()
    expect(Pipeline.apply(call, open)).type.toBe<Effect.Effect<"answer", Down | Pipeline.AnyRefusal, "service">>()
    expect(call.pipe(Pipeline.apply(open))).type.toBe<
      Effect.Effect<"answer", Down | Pipeline.AnyRefusal, "service">
    >()
  })

  it("a pipeline that refuses nothing serves where one that may refuse is asked for", () => {
    expect<Pipeline.Pipeline<never>>().type.toBeAssignableTo<Pipeline.Pipeline<TimedOut>>()
    expect<Pipeline.Pipeline<TimedOut>>().type.toBeAssignableTo<Pipeline.Pipeline>()
    expect<Pipeline.Pipeline<TimedOut>>().type.not.toBeAssignableTo<Pipeline.Pipeline<never>>()
    expect<Pipeline.Pipeline>().type.not.toBeAssignableTo<Pipeline.Pipeline<TimedOut>>()
  })
})

describe("Pipeline.applyCost", () => {
  it("adds the same, in both call styles", () => {
    expect(Pipeline.applyCost(call, timed, { tokens: 5 })).type.toBe<
      Effect.Effect<"answer", Down | TimedOut, "service">
    >()
    expect(pipe(call, Pipeline.applyCost(timed, { tokens: 5 }))).type.toBe<
      Effect.Effect<"answer", Down | TimedOut, "service">
    >()
  })

  it("reads the tokens used from the call's own result", () => {
    expect(Pipeline.applyCost(call, calm, { actual: (answer) => answer.length })).type.toBe<
      Effect.Effect<"answer", Down, "service">
    >()
    expect(pipe(call, Pipeline.applyCost(calm, { actual: (answer: "answer") => answer.length }))).type.toBe<
      Effect.Effect<"answer", Down, "service">
    >()
    const ofNumber = Pipeline.applyCost(calm, { actual: (tokens: number) => tokens })
    expect(ofNumber).type.not.toBeCallableWith(call)
  })
})

describe("Pipeline.reconfigure", () => {
  it("fails with what is wrong, in both call styles", () => {
    expect(Pipeline.reconfigure(timed, {})).type.toBe<Effect.Effect<void, InvalidOptions>>()
    expect(pipe(timed, Pipeline.reconfigure({}))).type.toBe<Effect.Effect<void, InvalidOptions>>()
  })
})
