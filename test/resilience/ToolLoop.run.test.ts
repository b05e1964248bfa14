import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Price from "../../src/resilience/Price.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"
import { bad, done, find, type More, order, paused, scripted, shop, start, told } from "./shop.ts"

describe("ToolLoop.run", () => {
  it.effect("goes on until the model answers without a call", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const outcome = yield* start(world)
      expect(outcome.response.text).toBe("All done.")
      expect(yield* world.ran).toEqual(["find lamp", "order 2 lamp"])
      expect(outcome.steps.map((step) => step.results.map(({ content }) => content))).toEqual([
        ["item-lamp"],
        ["ordered"],
        []
      ])
      expect(outcome.state).toMatchObject({ steps: 3, toolCalls: 2, reasks: 0, usage: { totalTokens: 45 } })
      expect(outcome.state.prompt.messages.map(({ _tag }) => _tag)).toEqual([
        "User",
        "Assistant",
        "Tool",
        "Assistant",
        "Tool",
        "Assistant"
      ])
    }).pipe(scripted(find("lamp"), order("lamp", 2), done)))

  it.effect("goes on by itself after a turn that the provider paused", () =>
    Effect.gen(function*() {
      const outcome = yield* start(yield* shop)
      expect(outcome.response.text).toBe("All done.")
      expect(outcome.steps.length).toBe(2)
      expect(outcome.state.prompt.messages.at(-2)).toMatchObject({
        _tag: "Assistant",
        content: [{ _tag: "ProviderPart" }]
      })
    }).pipe(scripted(paused, done)))

  it.effect("asks again within a step, and each step has its own re-asks", () =>
    Effect.gen(function*() {
      const outcome = yield* start(yield* shop, { maxReasks: 1 })
      expect(outcome.state).toMatchObject({ steps: 3, toolCalls: 2, reasks: 2 })
      expect(outcome.refused).toHaveLength(2)
    }).pipe(scripted(bad, find("lamp"), bad, find("rug"), done)))

  it.effect("tells the model what a tool lets it be told, and goes on", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const outcome = yield* start(world)
      expect(told(outcome.state.prompt)).toEqual([expect.stringContaining("gone"), "ordered"])
      expect(outcome.steps[0]?.results[0]?.isError).toBe(true)
    }).pipe(scripted(order("gone"), order("lamp"), done)))

  it.effect("stops when the same call fails in the same way again", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(start(world))
      expect(failed).toMatchObject({
        _tag: "RunFailed",
        error: { _tag: "RepeatedToolFailure", tool: "order", times: 2 },
        state: { steps: 3, toolCalls: 3 }
      })
      expect(Verdict.of(failed).action).toBe("Fail")
    }).pipe(scripted(order("gone"), find("gone"), order("gone"), done)))

  it.effect("lets another call fail, and the same one as often as asked", () =>
    Effect.gen(function*() {
      const outcome = yield* start(yield* shop, { sameFailures: 3 })
      expect(outcome.state.toolCalls).toBe(4)
    }).pipe(scripted(order("gone"), order("gone", 2), order("gone", 2), order("gone"), done)))

  it.effect("counts a failure once for each reply, since the model was told only then", () =>
    Effect.gen(function*() {
      const outcome = yield* start(yield* shop)
      expect(outcome.state.toolCalls).toBe(2)
    }).pipe(scripted(
      ScriptedModel.toolCalls([
        { name: "order", arguments: "{\"item\":\"gone\",\"count\":1}" },
        { name: "order", arguments: "{\"item\":\"gone\",\"count\":1}" }
      ]),
      done
    )))

  it.effect("asks again when a reply was cut before its first word, and stops when it is cut again", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const outcome = yield* start(world)
      expect(outcome.refused.map(({ _tag }) => _tag)).toEqual(["Truncated"])
      const failed = yield* Effect.flip(start(world))
      expect(failed).toMatchObject({ error: { _tag: "Truncated" }, state: { steps: 0, usage: { totalTokens: 30 } } })
    }).pipe(scripted(
      find("a"),
      ScriptedModel.text("", "length"),
      done,
      ScriptedModel.text("", "length"),
      ScriptedModel.text("", "length")
    )))

  it.effect("forces a call in the first reply only", () =>
    Effect.gen(function*() {
      yield* start(yield* shop, { toolChoice: "required" })
      const requests = yield* ScriptedModel.requests
      expect(requests.map(({ toolChoice }) => toolChoice)).toEqual(["required", "required", "auto"])
    }).pipe(scripted(bad, find("lamp"), done)))

  it.effect("has a key for every question, and one for every call, stable over re-asks", () =>
    Effect.gen(function*() {
      const world = yield* shop
      yield* start(world)
      const requests = yield* ScriptedModel.requests
      expect(new Set(requests.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(4)
      const [first, ...others] = yield* world.keys
      const again = yield* shop
      yield* start(again).pipe(scripted(find("lamp"), done))
      expect(yield* again.keys).toEqual([first])
      expect(new Set([first, ...others]).size).toBe(2)
    }).pipe(scripted(bad, find("lamp"), find("lamp"), done)))
})

describe("ToolLoop.run and its limits", () => {
  const limited = (more: More, error: object, state: object, ...script: ReadonlyArray<ScriptedModel.Step>) =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(start(world, more))
      expect(failed).toMatchObject({ _tag: "RunFailed", error: { _tag: "SpendLimitExceeded", ...error }, state })
      return yield* world.ran
    }).pipe(scripted(...script))

  it.effect("stops before a step too many, with what its calls answered", () =>
    Effect.gen(function*() {
      const ran = yield* limited(
        { limits: { steps: 2 } },
        { unit: "steps", limit: 2, spent: 2 },
        { steps: 2, toolCalls: 2 },
        find("a"),
        find("b"),
        find("c")
      )
      expect(ran).toEqual(["find a", "find b"])
    }))

  it.effect("runs nothing of a reply with a call too many", () =>
    Effect.gen(function*() {
      const ran = yield* limited(
        { limits: { toolCalls: 2 } },
        { unit: "calls", limit: 2, spent: 1 },
        { steps: 2, toolCalls: 1 },
        find("a"),
        ScriptedModel.toolCalls([
          { name: "find_item", arguments: "{\"name\":\"b\"}" },
          { name: "find_item", arguments: "{\"name\":\"c\"}" }
        ])
      )
      expect(ran).toEqual(["find a"])
    }))

  it.effect("counts the tokens of refused replies, too", () =>
    limited(
      { limits: { tokens: 20 } },
      { unit: "tokens", limit: 20, spent: 30 },
      { steps: 1 },
      bad,
      find("a"),
      find("b")
    ))

  it.effect("counts cost by the caller's price", () =>
    limited(
      { limits: { cost: 0.03 }, price: (usage, model) => model === "scripted-model" ? usage.outputTokens / 250 : 1000 },
      { unit: "cost", limit: 0.03, spent: 0.04 },
      { steps: 2 },
      find("a"),
      find("b"),
      find("c")
    ))

  it.effect("counts cost by a table of prices", () =>
    limited(
      { limits: { cost: 0.03 }, price: Price.make({ models: { "scripted-model": { input: 0, output: 4_000 } } }) },
      { unit: "cost", limit: 0.03, spent: 0.04 },
      { steps: 2 },
      find("a"),
      find("b"),
      find("c")
    ))

  it.effect("stops at a model that the table does not have, and says which", () =>
    Effect.gen(function*() {
      const price = Price.make({ models: { "another-model": { input: 1, output: 1 } } })
      const { error } = yield* Effect.flip(start(yield* shop, { price })).pipe(Effect.filterOrDieMessage(
        (failed): failed is Extract<typeof failed, { readonly _tag: "RunFailed" }> => failed._tag === "RunFailed",
        "no RunFailed"
      ))
      expect(error).toMatchObject({ _tag: "InvalidOptions" })
      expect(String(error)).toContain("The table has no price for \"scripted-model\"")
    }).pipe(scripted(done)))

  const refusals: ReadonlyArray<{ readonly more: More; readonly paths: ReadonlyArray<string> }> = [
    { more: { limits: { steps: 0 } }, paths: ["limits.steps"] },
    { more: { limits: { toolCalls: 1.5 } }, paths: ["limits.toolCalls"] },
    { more: { limits: { tokens: -1 } }, paths: ["limits.tokens"] },
    { more: { limits: { cost: Number.NaN }, price: () => 1 }, paths: ["limits.cost"] },
    { more: { limits: { cost: 1 } }, paths: ["price"] },
    { more: { sameFailures: 0 }, paths: ["sameFailures"] },
    { more: { maxReasks: 21, concurrency: 0 }, paths: ["maxReasks", "concurrency"] }
  ]

  it.effect.each(refusals)("refuses $more before anything is sent", ({ more, paths }) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(start(yield* shop, more))
      if (error._tag !== "InvalidOptions") return expect.unreachable()
      expect(error.issues.map(({ path }) => path)).toEqual(paths)
      expect(yield* ScriptedModel.requests).toEqual([])
    }).pipe(scripted(done)))

  it.effect("refuses a price that is no number, and loses nothing", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(start(yield* shop, { price: () => Number.NaN }))
      expect(failed).toMatchObject({ _tag: "RunFailed", error: { _tag: "InvalidOptions" } })
    }).pipe(scripted(done)))
})
