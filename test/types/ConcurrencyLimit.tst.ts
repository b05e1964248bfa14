import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { BulkheadFull, TimedOut } from "../../src/error/PolicyError.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"

declare const call: Effect.Effect<"answer", "mine", "Service">
declare const plain: ConcurrencyLimit.ConcurrencyLimit<BulkheadFull>
declare const timed: ConcurrencyLimit.ConcurrencyLimit

describe("ConcurrencyLimit", () => {
  test("made without a queue time-out it refuses with BulkheadFull alone, with one with TimedOut too", () => {
    expect(ConcurrencyLimit.make({})).type.toBe<
      Effect.Effect<ConcurrencyLimit.ConcurrencyLimit<BulkheadFull>, InvalidOptions>
    >()
    expect(ConcurrencyLimit.make({ maxQueued: 5, queueTimeout: "1 second" })).type.toBe<
      Effect.Effect<ConcurrencyLimit.ConcurrencyLimit<BulkheadFull | TimedOut>, InvalidOptions>
    >()
  })

  test("apply adds exactly that, in both call styles", () => {
    expect(call.pipe(ConcurrencyLimit.apply(plain))).type.toBe<
      Effect.Effect<"answer", "mine" | BulkheadFull, "Service">
    >()
    expect(ConcurrencyLimit.apply(call, plain)).type.toBe<Effect.Effect<"answer", "mine" | BulkheadFull, "Service">>()
    expect(call.pipe(ConcurrencyLimit.apply(timed))).type.toBe<
      Effect.Effect<"answer", "mine" | BulkheadFull | TimedOut, "Service">
    >()
    expect(ConcurrencyLimit.apply(call, timed)).type.toBe<
      Effect.Effect<"answer", "mine" | BulkheadFull | TimedOut, "Service">
    >()
  })

  test("its limit is an effect that can not fail", () => {
    expect(ConcurrencyLimit.limit(plain)).type.toBe<Effect.Effect<number>>()
  })

  test("is a layer", () => {
    expect(ConcurrencyLimit.layer({})).type.toBe<
      Layer.Layer<ConcurrencyLimit.ConcurrencyLimit, InvalidOptions>
    >()
  })

  test("a strategy has its own fields", () => {
    expect({ kind: "gradient", tolerance: 1.2 } as const).type.toBeAssignableTo<ConcurrencyLimit.Strategy>()
    expect(ConcurrencyLimit.make).type.not.toBeCallableWith({ strategy: { kind: "aimd", tolerance: 1.2 } })
    expect(ConcurrencyLimit.make).type.not.toBeCallableWith({ strategy: "vegas" })
  })
})
