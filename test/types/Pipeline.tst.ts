import type * as Effect from "effect/Effect"
import { describe, expect, it } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { TimedOut } from "../../src/error/PolicyError.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import type * as RetryPolicy from "../../src/policy/RetryPolicy.ts"

declare class Down {
  readonly _tag: "Down"
}
declare const call: Effect.Effect<"answer", Down, "service">
declare const retry: RetryPolicy.RetryPolicy
declare const calm: Pipeline.Pipeline<never>
declare const timed: Pipeline.Pipeline<TimedOut>
declare const options: Pipeline.Options
declare const maybe: { readonly attemptTimeout: "1 second" | undefined }

describe("Pipeline.make", () => {
  it("without a time-out refuses nothing", () => {
    expect(Pipeline.make({})).type.toBe<Effect.Effect<Pipeline.Pipeline<never>, InvalidOptions>>()
    expect(Pipeline.make({ name: "chat", retry })).type.toBe<
      Effect.Effect<Pipeline.Pipeline<never>, InvalidOptions>
    >()
    expect(Pipeline.make({ totalTimeout: undefined })).type.toBe<
      Effect.Effect<Pipeline.Pipeline<never>, InvalidOptions>
    >()
  })

  it("with a time-out may refuse with TimedOut", () => {
    expect(Pipeline.make({ totalTimeout: "1 minute" })).type.toBe<
      Effect.Effect<Pipeline.Pipeline<TimedOut>, InvalidOptions>
    >()
    expect(Pipeline.make({ retry, attemptTimeout: "1 second" })).type.toBe<
      Effect.Effect<Pipeline.Pipeline<TimedOut>, InvalidOptions>
    >()
  })

  it("with options that may hold a time-out may refuse, too", () => {
    expect(Pipeline.make(options)).type.toBe<Effect.Effect<Pipeline.Pipeline<TimedOut>, InvalidOptions>>()
    expect(Pipeline.make(maybe)).type.toBe<Effect.Effect<Pipeline.Pipeline<TimedOut>, InvalidOptions>>()
  })

  it("knows its options", () => {
    expect(Pipeline.make).type.not.toBeCallableWith({ totalTimeout: "soon" })
    expect(Pipeline.make).type.not.toBeCallableWith({ retry: 3 })
  })
})

describe("Pipeline.decode", () => {
  it("may have time-outs", () => {
    expect(Pipeline.decode({})).type.toBe<Effect.Effect<Pipeline.Pipeline<TimedOut>, InvalidOptions>>()
  })
})

describe("Pipeline.apply", () => {
  it("adds what the pipeline can refuse and nothing else, in both call styles", () => {
    expect(Pipeline.apply(call, calm)).type.toBe<Effect.Effect<"answer", Down, "service">>()
    expect(call.pipe(Pipeline.apply(calm))).type.toBe<Effect.Effect<"answer", Down, "service">>()
    expect(Pipeline.apply(call, timed)).type.toBe<Effect.Effect<"answer", Down | TimedOut, "service">>()
    expect(call.pipe(Pipeline.apply(timed))).type.toBe<Effect.Effect<"answer", Down | TimedOut, "service">>()
  })

  it("a pipeline that refuses nothing serves where one that may refuse is asked for", () => {
    expect<Pipeline.Pipeline<never>>().type.toBeAssignableTo<Pipeline.Pipeline<TimedOut>>()
    expect<Pipeline.Pipeline<TimedOut>>().type.not.toBeAssignableTo<Pipeline.Pipeline<never>>()
  })
})
