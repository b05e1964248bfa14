import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { CircuitOpen } from "../../src/error/PolicyError.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Tripping from "../../src/policy/Tripping.ts"

declare const call: Effect.Effect<string, "down", "network">
declare const certain: Effect.Effect<number>
declare const breaker: CircuitBreaker.CircuitBreaker
declare const breakers: CircuitBreaker.Keyed

describe("CircuitBreaker", () => {
  test("adds exactly its refusal, in both styles", () => {
    type Guarded = Effect.Effect<string, "down" | CircuitOpen, "network">
    expect(CircuitBreaker.apply(call, breaker)).type.toBe<Guarded>()
    expect(call.pipe(CircuitBreaker.apply(breaker))).type.toBe<Guarded>()
    expect(CircuitBreaker.apply(certain, breaker)).type.toBe<Effect.Effect<number, CircuitOpen>>()
    expect(certain.pipe(CircuitBreaker.apply(breaker))).type.toBe<Effect.Effect<number, CircuitOpen>>()
  })

  test("is made from options that may be wrong", () => {
    expect(CircuitBreaker.make({ name: "a" })).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreaker, InvalidOptions>
    >()
    expect(CircuitBreaker.layer({ name: "a" })).type.toBe<
      Layer.Layer<CircuitBreaker.CircuitBreaker, InvalidOptions>
    >()
    expect(CircuitBreaker.make).type.not.toBeCallableWith({})
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ name: "a", mode: "off" })
    expect(CircuitBreaker.make({ name: "a", openFor: undefined, probes: undefined })).type.toBe<
      Effect.Effect<CircuitBreaker.CircuitBreaker, InvalidOptions>
    >()
  })

  test("is its own tag", () => {
    const program = Effect.flatMap(CircuitBreaker.CircuitBreaker, (given) => CircuitBreaker.apply(call, given))
    expect(program).type.toBe<
      Effect.Effect<string, "down" | CircuitOpen, "network" | CircuitBreaker.CircuitBreaker>
    >()
    expect(Effect.provide(program, Layer.orDie(CircuitBreaker.layer({ name: "a" })))).type.toBe<
      Effect.Effect<string, "down" | CircuitOpen, "network">
    >()
  })

  test("can be looked at and moved without an error", () => {
    expect(CircuitBreaker.state(breaker)).type.toBe<Effect.Effect<CircuitBreaker.State>>()
    expect(CircuitBreaker.changes(breaker)).type.toBe<Stream.Stream<CircuitBreaker.Change>>()
    expect(CircuitBreaker.isolate(breaker)).type.toBe<Effect.Effect<void>>()
    expect(CircuitBreaker.snapshot(breaker)).type.toBe<Effect.Effect<CircuitBreaker.Snapshot>>()
    expect(CircuitBreaker.restore(breaker, {})).type.toBe<Effect.Effect<void, InvalidOptions>>()
    expect<Extract<CircuitBreaker.State, { readonly _tag: "Open" }>["retryAfter"]>().type.toBe<Duration.Duration>()
  })
})

describe("CircuitBreaker.keyed", () => {
  test("adds exactly its refusal, in both styles", () => {
    type Guarded = Effect.Effect<string, "down" | CircuitOpen, "network">
    expect(breakers.apply("small")(call)).type.toBe<Guarded>()
    expect(call.pipe(breakers.apply("small"))).type.toBe<Guarded>()
  })
})

describe("Tripping", () => {
  test("wants a window that says whether it is calls or time", () => {
    expect(Tripping.failureRate).type.toBeCallableWith({ window: "100 calls" })
    expect(Tripping.failureRate).type.toBeCallableWith({ window: "30 seconds" })
    expect(Tripping.failureRate).type.not.toBeCallableWith({ window: 30 })
    expect(Tripping.failureRate).type.not.toBeCallableWith({ window: "many" })
    expect(Tripping.slowCallRate).type.not.toBeCallableWith({ share: 0.5 })
    expect(Tripping.decode({})).type.toBe<Either.Either<Tripping.Tripping, InvalidOptions>>()
  })
})
