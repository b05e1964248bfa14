import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { PlanExhausted } from "../../src/error/PolicyError.ts"
import * as Fallback from "../../src/policy/Fallback.ts"

class Down extends Data.TaggedError("Down")<{}> {}
class Empty extends Data.TaggedError("Empty")<{}> {}
class Cache extends Context.Tag("Cache")<Cache, { readonly get: Effect.Effect<number, Empty> }>() {}

declare const live: Effect.Effect<string, Down>
declare const fallback: Fallback.Fallback
const cached = { name: "cache", effect: Effect.flatMap(Cache, (cache) => cache.get) }
const constant = { name: "constant", effect: Effect.succeed(true) }

describe("Fallback", () => {
  test("is the union of its alternatives in both ways of writing it, and adds no error of its own", () => {
    type Expected = Effect.Effect<string | number | boolean, Down | Empty, Cache>
    expect(live.pipe(Fallback.apply(fallback, [cached, constant]))).type.toBe<Expected>()
    expect(Fallback.apply(live, fallback, [cached, constant])).type.toBe<Expected>()
  })

  test("takes alternatives of different types in one list", () => {
    expect(
      live.pipe(Fallback.apply(fallback, [
        { name: "a", effect: Effect.fail(new Empty()) },
        { name: "b", effect: Effect.succeed(1), when: { tags: ["Down"] } }
      ]))
    ).type.toBe<Effect.Effect<string | number, Down | Empty>>()
  })

  test("is just the effect without alternatives", () => {
    expect(live.pipe(Fallback.apply(fallback, []))).type.toBe<Effect.Effect<string, Down>>()
  })

  test("reports the value and the errors by their types", () => {
    expect(live.pipe(Fallback.applyWithReport(fallback, [cached]))).type.toBe<
      Effect.Effect<Fallback.Report<string | number, Down | Empty>, Down | Empty, Cache>
    >()
    expect(Fallback.applyWithReport(live, fallback, [cached])).type.toBe<
      Effect.Effect<Fallback.Report<string | number, Down | Empty>, Down | Empty, Cache>
    >()
  })

  test("boxes the errors only where asked to", () => {
    type Expected = Effect.Effect<string | number, PlanExhausted<Down | Empty>, Cache>
    expect(live.pipe(Fallback.applyOrExhausted(fallback, [cached]))).type.toBe<Expected>()
    expect(Fallback.applyOrExhausted(live, fallback, [cached])).type.toBe<Expected>()
    expect<PlanExhausted<Down>["steps"][number]["error"]>().type.toBe<Down>()
  })

  test("says which options exist, and what can be wrong with them", () => {
    expect(Fallback.make({ name: "search" })).type.toBe<Effect.Effect<Fallback.Fallback, InvalidOptions>>()
    expect(Fallback.layer()).type.toBe<Layer.Layer<Fallback.Fallback, InvalidOptions>>()
    expect(Fallback.make).type.not.toBeCallableWith({ when: { actions: ["Stop"] } })
    expect(Fallback.make).type.not.toBeCallableWith({ names: "search" })
  })
})
