import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { BulkheadFull, TimedOut } from "../../src/error/PolicyError.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"

declare const call: Effect.Effect<"answer", "mine", "Service">
declare const plain: Bulkhead.Bulkhead<BulkheadFull>
declare const timed: Bulkhead.Bulkhead

describe("Bulkhead", () => {
  test("made without a queue time-out it refuses with BulkheadFull alone", () => {
    expect(Bulkhead.make({ maxConcurrent: 1, maxQueued: 5 })).type.toBe<
      Effect.Effect<Bulkhead.Bulkhead<BulkheadFull>, InvalidOptions>
    >()
    expect(Bulkhead.make({ maxConcurrent: 1, queueTimeout: undefined })).type.toBe<
      Effect.Effect<Bulkhead.Bulkhead<BulkheadFull>, InvalidOptions>
    >()
  })

  test("with one, or where there may be one, with TimedOut too", () => {
    expect(Bulkhead.make({ maxConcurrent: 1, maxQueued: 5, queueTimeout: "1 second" })).type.toBe<
      Effect.Effect<Bulkhead.Bulkhead<BulkheadFull | TimedOut>, InvalidOptions>
    >()
    const options: Bulkhead.Options = { maxConcurrent: 1 }
    expect(Bulkhead.make(options)).type.toBe<Effect.Effect<Bulkhead.Bulkhead, InvalidOptions>>()
  })

  test("apply adds exactly that, in both call styles", () => {
    expect(call.pipe(Bulkhead.apply(plain))).type.toBe<Effect.Effect<"answer", "mine" | BulkheadFull, "Service">>()
    expect(Bulkhead.apply(call, plain)).type.toBe<Effect.Effect<"answer", "mine" | BulkheadFull, "Service">>()
    expect(call.pipe(Bulkhead.apply(timed))).type.toBe<
      Effect.Effect<"answer", "mine" | BulkheadFull | TimedOut, "Service">
    >()
    expect(Bulkhead.apply(call, timed)).type.toBe<
      Effect.Effect<"answer", "mine" | BulkheadFull | TimedOut, "Service">
    >()
  })

  test("one that refuses less is one that refuses more", () => {
    expect(plain).type.toBeAssignableTo<Bulkhead.Bulkhead>()
    expect(timed).type.not.toBeAssignableTo<Bulkhead.Bulkhead<BulkheadFull>>()
  })

  test("is a layer and a tag", () => {
    expect(Bulkhead.layer({ maxConcurrent: 1 })).type.toBe<Layer.Layer<Bulkhead.Bulkhead, InvalidOptions>>()
    expect(Effect.flatMap(Bulkhead.Bulkhead, Bulkhead.stats)).type.toBe<
      Effect.Effect<Bulkhead.Stats, never, Bulkhead.Bulkhead>
    >()
  })

  test("wants to know how many", () => {
    expect(Bulkhead.make).type.not.toBeCallableWith({})
    expect(Bulkhead.make).type.not.toBeCallableWith({ maxConcurrent: "10" })
    expect(Bulkhead.make).type.not.toBeCallableWith({ maxConcurrent: 1, maxQueue: 5 })
  })
})
