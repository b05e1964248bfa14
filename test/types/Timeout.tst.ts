import type * as Effect from "effect/Effect"
import { describe, expect, it } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { TimedOut } from "../../src/error/PolicyError.ts"
import * as Timeout from "../../src/policy/Timeout.ts"

declare class Down {
  readonly _tag: "Down"
}
declare const call: Effect.Effect<"answer", Down, "service">
declare const safe: Effect.Effect<number>
declare const timeout: Timeout.Timeout

describe("Timeout.apply", () => {
  it("adds TimedOut and nothing else, in both call styles", () => {
    expect(Timeout.apply(call, timeout)).type.toBe<Effect.Effect<"answer", Down | TimedOut, "service">>()
    expect(call.pipe(Timeout.apply(timeout))).type.toBe<Effect.Effect<"answer", Down | TimedOut, "service">>()
    expect(safe.pipe(Timeout.apply(timeout))).type.toBe<Effect.Effect<number, TimedOut>>()
  })

  it("takes only a time-out that was checked", () => {
    expect(Timeout.apply).type.not.toBeCallableWith(call, { limit: "1 second" })
    expect(Timeout.apply).type.not.toBeCallableWith(call, "1 second")
  })
})

describe("Timeout.make", () => {
  it("fails with InvalidOptions alone", () => {
    expect(Timeout.make({ limit: "1 second" })).type.toBe<Effect.Effect<Timeout.Timeout, InvalidOptions>>()
  })

  it("needs a limit, and knows the phases", () => {
    expect(Timeout.make).type.not.toBeCallableWith({})
    expect(Timeout.make).type.not.toBeCallableWith({ limit: "1 second", phase: "later" })
  })
})
