import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"
import {
  bad,
  done,
  find,
  FindItem,
  NoStock,
  Order,
  paused,
  pay,
  PaymentDown,
  scripted,
  shop,
  start,
  told
} from "./shop.ts"

class KeyRefused extends Data.TaggedError("KeyRefused")<{ readonly message: string }> {}

describe("ToolLoop.run, when it stops and goes on", () => {
  it.effect("gives the error with the state; a later run goes on from there and does nothing twice", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(start(world, { concurrency: 1 }))
      if (failed._tag !== "RunFailed") return expect.unreachable()
      expect(failed.error).toEqual(new PaymentDown())
      expect(failed.message).toContain("1 steps, 1 tool calls")
      const kept = yield* Schema.encode(ToolLoop.State)(failed.state)
      const state = yield* Schema.decodeUnknown(ToolLoop.State)(JSON.parse(JSON.stringify(kept)))
      const mended = { ...world, handlers: { ...world.handlers, pay: () => Effect.succeed("paid") } }
      const outcome = yield* ToolLoop.run({ prompt: "", toolkit: mended.toolkit, handlers: mended.handlers, state })
      expect(yield* world.ran).toEqual(["find lamp", "pay 13"])
      expect(told(outcome.state.prompt)).toEqual(["item-lamp", "paid"])
      expect(outcome.state).toMatchObject({ key: "run", steps: 2, toolCalls: 2, usage: { totalTokens: 30 } })
    }).pipe(scripted(
      ScriptedModel.toolCalls([
        { name: "find_item", arguments: "{\"name\":\"lamp\"}" },
        { name: "pay", arguments: "{\"amount\":13}" }
      ]),
      done
    )))

  it.effect("asks on where the run was stopped while the provider had paused its turn", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(start(world, { limits: { steps: 1 } }))
      if (failed._tag !== "RunFailed") return expect.unreachable()
      const kept = yield* Schema.encode(ToolLoop.State)(failed.state)
      const state = yield* Schema.decodeUnknown(ToolLoop.State)(JSON.parse(JSON.stringify(kept)))
      const outcome = yield* start(world, { state })
      expect(outcome.response.text).toBe("All done.")
      expect(outcome.state.steps).toBe(2)
      const again = yield* start(world, { state: outcome.state })
      expect(again.response.text).toBe("All done.")
      expect(again.steps).toEqual([])
    }).pipe(scripted(paused, done)))

  it.effect("gives a call the same key when it is run again", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(start(world))
      if (failed._tag !== "RunFailed") return expect.unreachable()
      yield* Effect.flip(start(world, { state: failed.state }))
      const [first, second] = yield* world.keys
      expect(second).toBe(first)
    }).pipe(scripted(pay(13), done)))

  it.effect("passes the model's error on, with all that was paid for", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(start(yield* shop))
      expect(failed).toMatchObject({
        _tag: "RunFailed",
        error: { _tag: "Overloaded" },
        state: { steps: 1, toolCalls: 1 }
      })
      expect(Verdict.of(failed).action).toBe("Retry")
    }).pipe(scripted(find("a"), ScriptedModel.fail(new ModelError.Overloaded({ provider: "p" })))))

  it.effect("has told the model of the last refusal, too, so that a later run goes on from there", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(start(world, { maxReasks: 0 }))
      if (failed._tag !== "RunFailed") return expect.unreachable()
      expect(failed.error._tag).toBe("ToolCallsRejected")
      expect(told(failed.state.prompt)).toEqual([expect.stringContaining("not valid JSON")])
      const outcome = yield* start(world, { state: failed.state })
      expect(outcome.state).toMatchObject({ steps: 2, reasks: 1, usage: { totalTokens: 45 } })
      const keys = (yield* ScriptedModel.requests).map(({ idempotencyKey }) => idempotencyKey)
      expect(new Set(keys).size).toBe(3)
    }).pipe(scripted(bad, find("a"), done)))

  it.effect("tells every change, so that a killed run has lost nothing", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const kept = yield* Ref.make<ReadonlyArray<ToolLoop.State>>([])
      const slow = { ...world.handlers, pay: () => Effect.delay(Effect.succeed("paid"), "1 hour") }
      const fiber = yield* Effect.fork(ToolLoop.run({
        prompt: "x",
        toolkit: world.toolkit,
        handlers: slow,
        checkpoint: (state) => Ref.update(kept, (before) => [...before, state])
      }))
      yield* TestClock.adjust("1 minute")
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      const states = yield* Ref.get(kept)
      expect(states.map(({ reasks, steps, toolCalls }) => [steps, toolCalls, reasks])).toEqual([
        [0, 0, 1],
        [1, 0, 1],
        [1, 1, 1]
      ])
      const outcome = yield* start(world, { state: states.at(-1) })
      expect(yield* world.ran).toEqual(["find a", "pay 1"])
      expect(outcome.state.toolCalls).toBe(2)
    }).pipe(scripted(
      bad,
      ScriptedModel.toolCalls([
        { name: "find_item", arguments: "{\"name\":\"a\"}" },
        { name: "pay", arguments: "{\"amount\":1}" }
      ]),
      done
    )))

  it.effect("goes on from messages alone: calls without a result are run first", () =>
    Effect.gen(function*() {
      const { handlers, ran, toolkit } = yield* shop
      const outcome = yield* ToolLoop.run({
        toolkit,
        handlers,
        prompt: [
          Prompt.user("Buy a lamp."),
          Prompt.assistant([
            { _tag: "ToolCall", id: "1", name: "find_item", arguments: "{\"name\":\"a\"}" },
            { _tag: "ToolCall", id: "2", name: "find_item", arguments: "{\"name\":\"b\"}" }
          ]),
          Prompt.toolResult({ id: "1", name: "find_item", content: "item-a" })
        ]
      })
      expect(yield* ran).toEqual(["find b"])
      expect(told(outcome.state.prompt)).toEqual(["item-a", "item-b"])
      expect(outcome.steps[0]?.response).toBeUndefined()
    }).pipe(scripted(done)))

  it.effect("runs none of them when one is bad, and says so", () =>
    Effect.gen(function*() {
      const { handlers, ran, toolkit } = yield* shop
      const outcome = yield* ToolLoop.run({
        toolkit,
        handlers,
        prompt: [
          Prompt.user("Buy a lamp."),
          Prompt.assistant([
            { _tag: "ToolCall", id: "1", name: "find_item", arguments: "{\"name\":\"a\"}" },
            { _tag: "ToolCall", id: "2", name: "order", arguments: "{\"item\":\"b\"}" }
          ])
        ]
      })
      expect(yield* ran).toEqual([])
      expect(told(outcome.state.prompt)).toEqual([
        expect.stringContaining("Not run"),
        expect.stringContaining("count")
      ])
    }).pipe(scripted(done)))

  it.effect("minds no call that has its answer, whatever has become of its tool", () =>
    Effect.gen(function*() {
      const { handlers, ran } = yield* shop
      const { find_item, order } = handlers
      const outcome = yield* ToolLoop.run({
        toolkit: yield* Toolkit.make(FindItem, Order),
        handlers: { find_item, order },
        prompt: [
          Prompt.user("Buy a lamp."),
          Prompt.assistant([
            { _tag: "ToolCall", id: "1", name: "retired", arguments: "{}" },
            { _tag: "ToolCall", id: "2", name: "find_item", arguments: "{\"name\":\"b\"}" }
          ]),
          Prompt.toolResult({ id: "1", name: "retired", content: "done" })
        ]
      })
      expect(yield* ran).toEqual(["find b"])
      expect(outcome.state.reasks).toBe(0)
    }).pipe(scripted(done)))

  it.effect("keeps the answer of a handler that ended while its sibling failed", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(start(yield* shop, { concurrency: 2 }))
      expect(failed).toMatchObject({ error: { _tag: "PaymentDown" }, state: { toolCalls: 1 } })
    }).pipe(scripted(ScriptedModel.toolCalls([
      { name: "find_item", arguments: "{\"name\":\"lamp\"}" },
      { name: "pay", arguments: "{\"amount\":13}" }
    ]))))

  it.effect("keeps what is newest, however long the keeping takes", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const kept = yield* Ref.make<ReadonlyArray<number>>([])
      const handlers = { ...world.handlers, pay: () => Effect.delay(Effect.succeed("paid"), "10 millis") }
      const fiber = yield* Effect.fork(ToolLoop.run({
        prompt: "x",
        toolkit: world.toolkit,
        handlers,
        concurrency: 2,
        checkpoint: ({ toolCalls }) =>
          Effect.zipRight(
            Effect.sleep(toolCalls === 1 ? "1 second" : "1 millis"),
            Ref.update(kept, (before) => [...before, toolCalls])
          )
      }))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      expect(yield* Ref.get(kept)).toEqual([0, 1, 2, 2])
    }).pipe(scripted(
      ScriptedModel.toolCalls([
        { name: "find_item", arguments: "{\"name\":\"a\"}" },
        { name: "pay", arguments: "{\"amount\":1}" }
      ]),
      done
    )))

  it.effect("sends no other conversation under a key that was used", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(start(world, { maxReasks: 1 }))
      if (failed._tag !== "RunFailed") return expect.unreachable()
      yield* start(world, { state: failed.state })
      const sent = (yield* ScriptedModel.requests).map(({ idempotencyKey, prompt }) =>
        [idempotencyKey, JSON.stringify(prompt)] as const
      )
      expect(sent).toHaveLength(4)
      expect(new Map(sent).size).toBe(new Set(sent.map(([, prompt]) => prompt)).size)
    }).pipe(scripted(bad, ScriptedModel.rawToolCall("find_item", "{\"name\" \"y\"}"), find("a"), done)))

  it.effect("asks nothing more when it had come to its end", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const { state } = yield* start(world)
      const again = yield* start(world, { state })
      expect(again.response.text).toBe("All done.")
      expect(again.state).toEqual(state)
      expect(yield* world.ran).toEqual(["find a"])
      expect(yield* ScriptedModel.requests).toHaveLength(2)
    }).pipe(scripted(find("a"), done)))

  it.effect("does not take the beginning of an answer in the prompt for its end", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const { handlers, toolkit } = world
      const prompt = [Prompt.user("Buy a lamp."), Prompt.assistant("I shall")]
      const failed = yield* Effect.flip(ToolLoop.run({ prompt, toolkit, handlers }))
      if (failed._tag !== "RunFailed") return expect.unreachable()
      expect((yield* start(world, { state: failed.state })).response.text).toBe("All done.")
    }).pipe(scripted(ScriptedModel.fail(new ModelError.Overloaded({ provider: "p" })), done)))

  it.effect("runs a handler again that was interrupted where it could not be, under the same key", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const keys = yield* Ref.make<ReadonlyArray<string>>([])
      const handlers = {
        ...world.handlers,
        find_item: (_: unknown, { idempotencyKey }: Toolkit.HandlerContext) =>
          Effect.uninterruptible(
            Effect.delay(Effect.as(Ref.update(keys, (before) => [...before, idempotencyKey]), "found"), "1 second")
          )
      }
      const fiber = yield* Effect.fork(Effect.flip(start({ ...world, handlers }, { concurrency: 2 })))
      yield* TestClock.adjust("1 minute")
      const failed = yield* Fiber.join(fiber)
      if (failed._tag !== "RunFailed") return expect.unreachable()
      expect(failed.state.toolCalls).toBe(0)
      const later = yield* Effect.fork(Effect.flip(start({ ...world, handlers }, { state: failed.state })))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(later)
      expect(new Set(yield* Ref.get(keys)).size).toBe(1)
      expect(yield* Ref.get(keys)).toHaveLength(2)
    }).pipe(scripted(ScriptedModel.toolCalls([
      { name: "find_item", arguments: "{\"name\":\"lamp\"}" },
      { name: "pay", arguments: "{\"amount\":13}" }
    ]))))

  it.effect("knows two calls apart by what the model wrote, whatever it is decoded to", () =>
    Effect.gen(function*() {
      const Tag = Tool.make("tag", {
        parameters: Schema.Struct({ ids: Schema.Set(Schema.Number) }),
        failure: NoStock,
        onFailure: "tell"
      })
      const toolkit = yield* Toolkit.make(Tag)
      const handlers = { tag: () => Effect.fail(new NoStock({ item: "none" })) }
      const outcome = yield* ToolLoop.run({ prompt: "x", toolkit, handlers })
      expect(outcome.state.toolCalls).toBe(2)
    }).pipe(scripted(
      ScriptedModel.toolCall("tag", { ids: [1] }),
      ScriptedModel.toolCall("tag", { ids: [2] }),
      done
    )))

  it.effect("shows no conversation in a log", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(start(yield* shop))
      expect(JSON.stringify(failed)).not.toContain("Buy a lamp")
    }).pipe(scripted(pay(13))))

  it.effect("says in its message why it stopped, without a credential", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const failed = yield* Effect.flip(ToolLoop.run({
        prompt: "Buy a lamp.",
        toolkit: world.toolkit,
        handlers: {
          ...world.handlers,
          pay: () => Effect.fail(new KeyRefused({ message: "401 for key sk-live-abcdefghijklmnop" }))
        }
      }))
      expect(failed.message).toContain("401 for key [redacted]")
    }).pipe(scripted(pay(1))))
})
