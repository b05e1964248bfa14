import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"
import { done, find, scripted, shop, start } from "./shop.ts"

const silence = ScriptedModel.text("")
const lostCall = ScriptedModel.text("Let me look.", "tool-calls")
const written = ScriptedModel.text("<tool_call>{\"name\":\"find_item\",\"arguments\":{\"item\":\"lamp\"}}</tool_call>")

describe("a reply that calls nothing and is no answer", () => {
  it.effect.each(
    [
      ["is empty", silence, { _tag: "EmptyReply", missing: "everything" }],
      ["says that it calls a tool, and does not", lostCall, { _tag: "EmptyReply", missing: "calls" }],
      ["is a call written as text", written, { _tag: "WrittenAsText", tool: "find_item" }]
    ] as const
  )("is asked for again where it %s", ([, reply, refused]) =>
    Effect.gen(function*() {
      const world = yield* shop
      const outcome = yield* start(world)
      expect(outcome.response.text).toBe("All done.")
      expect(outcome.refused).toMatchObject([refused])
      expect(yield* world.ran).toEqual(["find lamp"])
      expect(outcome.state).toMatchObject({ steps: 2, toolCalls: 1, reasks: 1 })
    }).pipe(scripted(reply, find("lamp"), done)))

  it.effect("ends the run when telling the model did not help", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(start(yield* shop))
      expect(failed).toMatchObject({ _tag: "RunFailed", error: { _tag: "EmptyReply" }, state: { reasks: 2 } })
    }).pipe(scripted(silence, silence)))

  it.effect("names every refused reply in the message of the run's failure", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(start(yield* shop, { maxReasks: 3 }))
      expect(failed.message).toContain(
        "4 refused replies (EmptyReply, UnknownTool, WrittenAsText, EmptyReply) and"
      )
    }).pipe(scripted(silence, ScriptedModel.toolCall("fnd_item", { item: "lamp" }), written, silence)))

  it.effect("is the end where silence is allowed", () =>
    Effect.gen(function*() {
      const outcome = yield* start(yield* shop, { emptyReplies: "accept" })
      expect(outcome.response.text).toBe("")
      expect(outcome.refused).toEqual([])
    }).pipe(scripted(silence)))

  it.effect("is the answer where such text is allowed", () =>
    Effect.gen(function*() {
      const world = yield* shop
      const outcome = yield* start(world, { writtenCalls: "accept" })
      expect(outcome.response.text).toContain("<tool_call>")
      expect(yield* world.ran).toEqual([])
    }).pipe(scripted(written)))

  it.effect("repeats what the model wrote and never an empty message", () =>
    Effect.gen(function*() {
      const outcome = yield* start(yield* shop)
      const texts = outcome.state.prompt.messages.map((message) => [
        message._tag,
        message._tag === "System"
          ? message.content
          : message.content.map((part) => part._tag === "Text" ? part.text : part._tag).join()
      ])
      expect(texts.slice(1, 4)).toEqual([
        ["User", "Your last reply was empty. Answer, or call a tool."],
        ["Assistant", "Let me look."],
        [
          "User",
          "Your last reply said that it calls a tool, but no call arrived. Send the call again, or answer without it."
        ]
      ])
    }).pipe(scripted(silence, lostCall, done)))

  it.effect("refuses a switch that it does not know", () =>
    Effect.gen(function*() {
      // @ts-expect-error: from a program without types
      const failed = yield* Effect.flip(start(yield* shop, { emptyReplies: "ignore" }))
      expect(JSON.stringify(failed)).toContain("emptyReplies")
    }).pipe(scripted(done)))
})
