import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "../../../src/model/Prompt.ts"
import * as portableHistory from "../../../src/provider/shared/portableHistory.ts"

const call = (id: string): Prompt.ToolCallPart => ({ _tag: "ToolCall", id, name: "search", arguments: "{}" })
const result = (id: string) => Prompt.toolResult({ id, name: "search", content: "r" })

const wire = (ids: portableHistory.IdRule): portableHistory.Wire => ({
  ids,
  toolName: (name) => name,
  toolArguments: (_, json) => json
})

/** Each message as one word: what it is, and the ids in it. */
const shape = (ids: portableHistory.IdRule, ...messages: ReadonlyArray<Prompt.Message>) =>
  portableHistory.portable(Prompt.make(messages), wire(ids)).messages.map((message) =>
    message._tag === "Assistant"
      ? `calls ${message.content.map((part) => part._tag === "ToolCall" ? part.id : "").join(" ")}`
      : message._tag === "Tool"
      ? `results ${message.content.map((part) => part.id + (part.isError ? "!" : "")).join(" ")}`
      : message._tag
  )

const plain = portableHistory.plainIds(40)

describe("a history as any wire takes it", () => {
  it("gives each call without a result one that says so, right behind it", () => {
    expect(shape(plain, Prompt.assistant([call("a"), call("b")]), result("b"), Prompt.user("never mind"))).toEqual([
      "calls a b",
      "results b a!",
      "User"
    ])
    expect(shape(plain, Prompt.assistant([call("a")]))).toEqual(["calls a", "results a!"])
    expect(shape(plain, Prompt.assistant([call("a")]), Prompt.assistant([call("b")]), result("b"))).toEqual([
      "calls a",
      "results a!",
      "calls b",
      "results b"
    ])
  })

  it("moves what was said between a call and its result behind it", () => {
    expect(shape(plain, Prompt.assistant([call("a")]), Prompt.user("wait"), Prompt.system("s"), result("a"))).toEqual([
      "calls a",
      "results a",
      "User",
      "System"
    ])
  })

  it("tells a result without its call as something that was said", () => {
    expect(shape(plain, Prompt.user("hi"), result("x"))).toEqual(["User", "User"])
    expect(shape(plain, Prompt.assistant([call("a")]), result("a"), result("a"))).toEqual([
      "calls a",
      "results a",
      "User"
    ])
  })

  it("maps ids one to one, those of their results with them", () => {
    expect(shape(plain, Prompt.assistant([call("a.b"), call("a:b"), call("a_b")]), result("a:b"), result("a.b")))
      .toEqual([
        "calls a_b_2 a_b_3 a_b",
        "results a_b_3 a_b_2 a_b!"
      ])
    const round = [Prompt.assistant([call("call_0")]), result("call_0")]
    expect(shape(plain, ...round, ...round, ...round)).toEqual([
      "calls call_0",
      "results call_0",
      "calls call_0_2",
      "results call_0_2",
      "calls call_0_3",
      "results call_0_3"
    ])
    expect(shape(portableHistory.plainIds(40), Prompt.assistant([call("x".repeat(70))]))[0]).toBe(
      `calls ${"x".repeat(40)}`
    )
    expect(shape(plain, Prompt.assistant([call("")]))[0]).toBe("calls call")
  })

  it("makes ids of nine letters and digits for Mistral, the same each time", () => {
    const ids = () =>
      shape(portableHistory.nineLetters, Prompt.assistant([call("call_1"), call("call_2"), call("abcDEF123")]))
    expect(ids()[0]).toMatch(/^calls [a-zA-Z0-9]{9} [a-zA-Z0-9]{9} abcDEF123$/)
    expect(ids()).toEqual(ids())
  })

  it("gives back a conversation without calls as it is", () => {
    const prompt = Prompt.make([Prompt.user("hi"), Prompt.assistant("ho")])
    expect(portableHistory.portable(prompt, wire(plain))).toBe(prompt)
  })
})
