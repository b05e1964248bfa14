import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import { pipe } from "effect/Function"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"

declare const policy: RetryPolicy.RetryPolicy

describe("RetryPolicy", () => {
  test("modifiers and combinators are dual and give a policy", () => {
    expect(RetryPolicy.attempts(policy, 3)).type.toBe<RetryPolicy.RetryPolicy>()
    expect(policy.pipe(RetryPolicy.attempts(3))).type.toBe<RetryPolicy.RetryPolicy>()
    expect(pipe(policy, RetryPolicy.jittered("full"), RetryPolicy.capped("8 seconds"))).type.toBe<
      RetryPolicy.RetryPolicy
    >()
    expect(policy.pipe(RetryPolicy.honourHints())).type.toBe<RetryPolicy.RetryPolicy>()
    expect(policy.pipe(RetryPolicy.honourHints({ max: "1 minute" }))).type.toBe<RetryPolicy.RetryPolicy>()
    expect(RetryPolicy.honourHints(policy)).type.toBe<RetryPolicy.RetryPolicy>()
    expect(policy.pipe(RetryPolicy.union(policy), RetryPolicy.intersect(policy), RetryPolicy.andThen(policy))).type
      .toBe<RetryPolicy.RetryPolicy>()
  })

  test("modes are literals, durations carry their unit", () => {
    expect(RetryPolicy.jittered).type.toBeCallableWith("decorrelated")
    expect(RetryPolicy.jittered).type.toBeCallableWith({ ratio: 0.2 })
    expect(RetryPolicy.jittered).type.toBeCallableWith({ min: 0.75, max: 1 })
    expect(RetryPolicy.jittered).type.not.toBeCallableWith("some")
    expect(RetryPolicy.jittered).type.not.toBeCallableWith(true)
    expect(RetryPolicy.capped).type.not.toBeCallableWith("8 parsecs")
    expect(RetryPolicy.constant).type.not.toBeCallableWith("soon")
    expect(RetryPolicy.exponential).type.not.toBeCallableWith({ factor: 2 })
    expect(RetryPolicy.exponential).type.toBeCallableWith({ initial: "1 second", factor: undefined })
    expect(RetryPolicy.byError).type.not.toBeCallableWith([{ on: ["A"], use: policy }], { otherwise: "retry" })
    expect(RetryPolicy.byError).type.not.toBeCallableWith([{ on: "A", use: policy }])
    expect(RetryPolicy.byError).type.toBeCallableWith([{ on: ["A"], use: policy }], {
      otherwise: policy,
      growth: "call"
    })
  })

  test("a plain object is no policy", () => {
    expect<{ backoff: "never" }>().type.not.toBeAssignableTo<RetryPolicy.RetryPolicy>()
    expect<{ tree: { _tag: "Never" } }>().type.not.toBeAssignableTo<RetryPolicy.RetryPolicy>()
  })

  test("interpreters", () => {
    expect(RetryPolicy.toSchedule(policy)).type.toBe<Schedule.Schedule<Duration.Duration, unknown>>()
    expect(RetryPolicy.describe(policy)).type.toBe<string>()
    expect(RetryPolicy.canRetry(policy)).type.toBe<boolean>()
    expect(RetryPolicy.preview(policy)).type.toBe<ReadonlyArray<RetryPolicy.Preview>>()
    expect(RetryPolicy.bounds(policy).attempts).type.toBe<number>()
    expect(RetryPolicy.bounds(policy).duration).type.toBe<Duration.Duration>()
  })

  test("a schedule of it retries any error and changes no type", () => {
    class Boom {
      readonly _tag = "Boom"
    }
    const call: Effect.Effect<number, Boom> = Effect.fail(new Boom())
    expect(call.pipe(Effect.retry(RetryPolicy.toSchedule(policy)))).type.toBe<Effect.Effect<number, Boom>>()
  })

  test("decode says how it fails, FromJson is a Schema", () => {
    expect(RetryPolicy.decode({})).type.toBe<Either.Either<RetryPolicy.RetryPolicy, InvalidOptions>>()
    const Config = Schema.Struct({ retry: RetryPolicy.FromJson })
    expect(Schema.decodeUnknownSync(Config)({})).type.toBe<{ readonly retry: RetryPolicy.RetryPolicy }>()
    expect(Schema.encodeSync(Config)({ retry: policy })).type.toBe<{ readonly retry: unknown }>()
  })

  test("a decision is told apart by its tag", () => {
    const failure: RetryPolicy.Failure = { tag: "A", retryable: true, forbidden: false }
    const [state, decision] = RetryPolicy.step(RetryPolicy.start(policy, 0), failure, 0, 0.5)
    expect(state).type.toBe<RetryPolicy.State>()
    if (decision._tag === "Wait") expect(decision.delay).type.toBe<number>()
    else expect(decision.reason).type.toBe<RetryPolicy.StopReason>()
  })

  test("the guard narrows", () => {
    const value: unknown = policy
    if (RetryPolicy.isRetryPolicy(value)) expect(value).type.toBeAssignableTo<RetryPolicy.RetryPolicy>()
  })
})
