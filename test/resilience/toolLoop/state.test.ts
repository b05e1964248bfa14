import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Prompt from "../../../src/model/Prompt.ts"
import { Response } from "../../../src/model/Response.ts"
import { Usage } from "../../../src/model/Usage.ts"
import * as Loop from "../../../src/resilience/toolLoop/state.ts"

const call = (id: string, name = "add", parameters = "{}") => ({
  _tag: "ToolCall" as const,
  id,
  name,
  arguments: parameters
})
const reply = (...ids: ReadonlyArray<string>) =>
  new Response({
    model: "m",
    parts: ids.map((id) => call(id)),
    finishReason: "tool-calls",
    usage: new Usage({ inputTokens: 5, outputTokens: 2, totalTokens: 7 })
  })
const result = (id: string) => ({ id, name: "add", content: `answer of ${id}`, isError: false })
const begun = Loop.start("key", Prompt.make("Add them."))
const free = { steps: 20, toolCalls: 100, tokens: Infinity, cost: Infinity }
const decoded = (id: string, parameters: unknown, name = "add") => ({
  id,
  name,
  arguments: parameters,
  raw: JSON.stringify(parameters),
  repairs: []
})
const resultIds = (prompt: Prompt.Prompt) =>
  prompt.messages.flatMap((message) => message._tag === "Tool" ? message.content.map(({ id }) => id) : [])

describe("the state of a tool loop", () => {
  it("counts an accepted reply as a step, with its tokens and its cost", () => {
    const state = Loop.accept(begun, reply("a"), 0.5)
    expect(state).toMatchObject({ steps: 1, toolCalls: 0, cost: 0.5, usage: { totalTokens: 7 } })
    expect(state.prompt.messages).toHaveLength(2)
  })

  it("pays for a refused reply, and does not count it as a step", () => {
    const state = Loop.refuse(begun, { usage: reply().usage, messages: [Prompt.user("Again.")] }, 0.25)
    expect(state).toMatchObject({ steps: 0, reasks: 1, cost: 0.25, usage: { totalTokens: 7 } })
  })

  it("keeps answers in the order of the calls, whichever came first, and knows what is unanswered", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.shuffledSubarray(["a", "b", "c", "d", "e"]),
        (order) => {
          const state = order.reduce(
            (now, id) => Loop.answer(now, result(id)),
            Loop.accept(begun, reply("a", "b", "c", "d", "e"), 0)
          )
          expect(resultIds(state.prompt)).toEqual([...order].sort())
          expect(Loop.unanswered(state.prompt).map(({ id }) => id)).toEqual(
            ["a", "b", "c", "d", "e"].filter((id) => !order.includes(id))
          )
          expect(state.toolCalls).toBe(order.length)
        }
      ),
      { numRuns: 200 }
    )
  })

  it("leaves earlier turns alone, even where a call has the same id", () => {
    const first = Loop.answer(Loop.accept(begun, reply("a"), 0), result("a"))
    const second = Loop.accept(first, reply("a"), 0)
    expect(Loop.unanswered(second.prompt).map(({ id }) => id)).toEqual(["a"])
    expect(resultIds(Loop.answer(second, result("a")).prompt)).toEqual(["a", "a"])
  })

  it.each([
    ["steps", { ...begun, steps: 3 }, { ...free, steps: 3 }, { unit: "steps", limit: 3, spent: 3 }],
    [
      "tokens",
      { ...begun, usage: new Usage({ inputTokens: 9, outputTokens: 3, totalTokens: 12 }) },
      { ...free, tokens: 10 },
      { unit: "tokens", limit: 10, spent: 12 }
    ],
    ["cost", { ...begun, cost: 1 }, { ...free, cost: 1 }, { unit: "cost", limit: 1, spent: 1 }]
  ])("is asked no more once its %s are used up", (_, state, limits, expected) => {
    expect(Loop.beforeAsking(state, limits)).toMatchObject(expected)
    expect(Loop.beforeAsking(begun, limits)).toBeUndefined()
  })

  it("runs no call of a reply that would pass the limit of calls", () => {
    const limits = { ...free, toolCalls: 3 }
    expect(Loop.beforeRunning({ ...begun, toolCalls: 2 }, limits, 2)).toMatchObject({
      unit: "calls",
      limit: 3,
      spent: 2
    })
    expect(Loop.beforeRunning({ ...begun, toolCalls: 2 }, limits, 1)).toBeUndefined()
  })
})

describe("the keys of calls", () => {
  const state = { ...begun, steps: 1 }

  it("do not depend on the call's id nor on the order of its arguments", () => {
    const first = Loop.callKeys(state, [decoded("call_1", { a: 1, b: { c: 2, d: 3 } })])
    expect(Loop.callKeys(state, [decoded("call_9", { b: { d: 3, c: 2 }, a: 1 })])).toEqual(first)
  })

  it("differ by step, tool, arguments and repetition", () => {
    const keys = [
      ...Loop.callKeys(state, [
        decoded("1", { a: 1 }),
        decoded("2", { a: 1 }),
        decoded("3", { a: 2 }),
        decoded("4", { a: 1 }, "sub")
      ]),
      ...Loop.callKeys({ ...state, steps: 2 }, [decoded("1", { a: 1 })])
    ]
    expect(new Set(keys).size).toBe(5)
    expect(keys.every((key) => key.startsWith("key-"))).toBe(true)
  })

  it("take arguments that JSON cannot say", () => {
    expect(Loop.canonical({ b: 1n, a: undefined })).toBe("{\"b\":\"1\"}")
    expect(Loop.canonical(undefined)).toBe("undefined")
  })
})
