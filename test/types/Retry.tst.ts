import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { describe, expect, it } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { RetriesExhausted } from "../../src/error/PolicyError.ts"
import * as Retry from "../../src/policy/Retry.ts"
import type * as RetryPolicy from "../../src/policy/RetryPolicy.ts"

class Db extends Context.Tag("Db")<Db, { readonly url: string }>() {}
declare class Down {
  readonly _tag: "Down"
}
declare const call: Effect.Effect<"answer", Down, Db>
declare const safe: Effect.Effect<number>
declare const policy: RetryPolicy.RetryPolicy
declare const retry: Retry.Retry

describe("Retry.apply", () => {
  it("changes no type, in both call styles, by a policy and by a retry", () => {
    expect(Retry.apply(call, policy)).type.toBe<Effect.Effect<"answer", Down, Db>>()
    expect(call.pipe(Retry.apply(policy))).type.toBe<Effect.Effect<"answer", Down, Db>>()
    expect(Retry.apply(call, retry)).type.toBe<Effect.Effect<"answer", Down, Db>>()
    expect(call.pipe(Retry.apply(retry))).type.toBe<Effect.Effect<"answer", Down, Db>>()
    expect(safe.pipe(Retry.apply(policy))).type.toBe<Effect.Effect<number>>()
  })

  it("takes nothing else for a policy", () => {
    expect(Retry.apply).type.not.toBeCallableWith(call, { attempts: 3 })
    expect(Retry.apply).type.not.toBeCallableWith(3)
  })
})

describe("Retry.applyWithReport", () => {
  it("adds a report to the value and nothing to the errors", () => {
    expect(Retry.applyWithReport(call, policy)).type.toBe<Effect.Effect<Retry.Report<"answer">, Down, Db>>()
    expect(call.pipe(Retry.applyWithReport(retry))).type.toBe<Effect.Effect<Retry.Report<"answer">, Down, Db>>()
  })
})

describe("Retry.applyOrExhausted", () => {
  it("boxes the caller's error, and knows what is in the box", () => {
    expect(Retry.applyOrExhausted(call, policy)).type.toBe<Effect.Effect<"answer", RetriesExhausted<Down>, Db>>()
    expect(call.pipe(Retry.applyOrExhausted(retry))).type.toBe<Effect.Effect<"answer", RetriesExhausted<Down>, Db>>()
    expect<RetriesExhausted<Down>["lastError"]>().type.toBe<Down>()
  })

  it("says nothing of an error where there is none", () => {
    expect(safe.pipe(Retry.applyOrExhausted(policy))).type.toBe<Effect.Effect<number, RetriesExhausted<never>>>()
  })
})

describe("Retry.make", () => {
  it("fails with InvalidOptions alone, and needs nothing", () => {
    expect(Retry.make({ policy, name: "chat" })).type.toBe<Effect.Effect<Retry.Retry, InvalidOptions>>()
  })
})

describe("Retry.CurrentAttempt", () => {
  it("needs nothing to be provided", () => {
    expect(Retry.CurrentAttempt).type.toBeAssignableTo<Effect.Effect<Retry.Attempt>>()
  })
})
