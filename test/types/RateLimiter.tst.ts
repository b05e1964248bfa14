import type * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { RateLimitExceeded } from "../../src/error/PolicyError.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import type * as RateLimitStore from "../../src/policy/RateLimitStore.ts"

interface Reply {
  readonly usage: { readonly totalTokens: number }
}
interface Lost {
  readonly _tag: "Lost"
}
interface Service {
  readonly service: unique symbol
}

declare const call: Effect.Effect<Reply, Lost, Service>
declare const limiter: RateLimiter.RateLimiter

describe("RateLimiter", () => {
  test("apply adds its refusal and nothing else", () => {
    expect(RateLimiter.apply(call, limiter)).type.toBe<Effect.Effect<Reply, Lost | RateLimitExceeded, Service>>()
    expect(pipe(call, RateLimiter.apply(limiter))).type.toBe<
      Effect.Effect<Reply, Lost | RateLimitExceeded, Service>
    >()
  })

  test("applyCost reads the usage of the call's own result", () => {
    expect(RateLimiter.applyCost(call, limiter, { tokens: 1, actual: (reply) => reply.usage.totalTokens })).type.toBe<
      Effect.Effect<Reply, Lost | RateLimitExceeded, Service>
    >()
    expect(pipe(call, RateLimiter.applyCost(limiter, { actual: (reply: Reply) => reply.usage.totalTokens }))).type
      .toBe<Effect.Effect<Reply, Lost | RateLimitExceeded, Service>>()
    expect(pipe(call, RateLimiter.applyCost(limiter, { tokens: 5 }))).type.toBe<
      Effect.Effect<Reply, Lost | RateLimitExceeded, Service>
    >()
    const ofText = RateLimiter.applyCost(limiter, { actual: (text: string) => text.length })
    expect(ofText).type.not.toBeCallableWith(call)
  })

  test("needs a store only where it says so", () => {
    expect(RateLimiter.make({ name: "a", requestsPerMinute: 1 })).type.toBe<
      Effect.Effect<RateLimiter.RateLimiter, InvalidOptions>
    >()
    expect(RateLimiter.makeWithStore({ name: "a" })).type.toBe<
      Effect.Effect<RateLimiter.RateLimiter, InvalidOptions, RateLimitStore.RateLimitStore>
    >()
    expect(RateLimiter.layer({ name: "a" })).type.toBe<Layer.Layer<RateLimiter.RateLimiter, InvalidOptions>>()
    expect(RateLimiter.layerWithStore({ name: "a" })).type.toBe<
      Layer.Layer<RateLimiter.RateLimiter, InvalidOptions, RateLimitStore.RateLimitStore>
    >()
  })

  test("refuses words that mean nothing", () => {
    expect(RateLimiter.make).type.not.toBeCallableWith({ name: "a", onExceeded: "queue" })
    expect(RateLimiter.make).type.not.toBeCallableWith({ name: "a", requestsPerMinute: "many" })
  })
})
