import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Prompt from "../../src/model/Prompt.ts"

describe("Prompt", () => {
  it("is made from text, from messages, or from a prompt, which stays as it is", () => {
    const fromText = Prompt.make("Hello")
    expect(fromText).toEqual({ messages: [{ _tag: "User", content: [{ _tag: "Text", text: "Hello" }] }] })
    expect(Prompt.make([Prompt.user("Hello")])).toEqual(fromText)
    expect(Prompt.make(fromText)).toBe(fromText)
  })

  it("grows at its end and leaves the given prompt alone", () => {
    const messages = Object.freeze([Prompt.system("Be brief.")])
    const longer = Prompt.append(messages, Prompt.user("Hi"), Prompt.assistant("Hello"))
    expect(longer.messages.map((message) => message._tag)).toEqual(["System", "User", "Assistant"])
    expect(messages).toHaveLength(1)
    expect(Prompt.append("Hi")).toEqual(Prompt.make("Hi"))
  })

  it("holds images by address or by content", () => {
    expect(Prompt.user([Prompt.text("Look"), Prompt.imageUrl("https://example.com/a.png", { detail: "low" })]))
      .toEqual({
        _tag: "User",
        content: [
          { _tag: "Text", text: "Look" },
          { _tag: "Image", source: { _tag: "Url", url: "https://example.com/a.png" }, detail: "low" }
        ]
      })
    expect(Prompt.imageBase64("AAAA", "image/png"))
      .toEqual({ _tag: "Image", source: { _tag: "Base64", data: "AAAA", mediaType: "image/png" } })
  })

  it("holds the answer of a tool, which is no error unless said so", () => {
    expect(Prompt.toolResult({ id: "call_1", name: "add", content: "3" })).toEqual({
      _tag: "Tool",
      content: [{ _tag: "ToolResult", id: "call_1", name: "add", content: "3", isError: false }]
    })
    expect(Prompt.toolResult({ id: "call_1", name: "add", content: "no", isError: true }).content[0]?.isError).toBe(
      true
    )
  })

  it("refuses parts in the wrong message", () => {
    const decode = Schema.decodeUnknownEither(Prompt.Prompt)
    const call = { _tag: "ToolCall", id: "1", name: "add", arguments: "{}" }
    expect(decode({ messages: [{ _tag: "User", content: [call] }] })._tag).toBe("Left")
    expect(decode({ messages: [{ _tag: "Assistant", content: [call] }] })._tag).toBe("Right")
  })

  it("law: JSON and back is the same", () =>
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(Prompt.Prompt), (prompt) => {
        const wire: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(Prompt.Prompt)(prompt)))
        expect(Schema.decodeUnknownSync(Prompt.Prompt)(wire)).toEqual(prompt)
      }),
      { numRuns: 300 }
    ))
})
