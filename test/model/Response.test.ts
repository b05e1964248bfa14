import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import * as Usage from "../../src/model/Usage.ts"

const call: Prompt.ToolCallPart = { _tag: "ToolCall", id: "call_1", name: "add", arguments: "{\"a\":1" }

const response = new Response.Response({
  model: "gpt-4o-mini",
  parts: [
    { _tag: "Reasoning", text: "The user " },
    Prompt.text("Let me "),
    { _tag: "Reasoning", text: "wants a sum." },
    Prompt.text("count."),
    call
  ],
  finishReason: "tool-calls",
  usage: Usage.zero
})

describe("Response", () => {
  it("joins text and reasoning apart, and lists tool calls with their raw arguments", () => {
    expect(response.text).toBe("Let me count.")
    expect(response.reasoning).toBe("The user wants a sum.")
    expect(response.toolCalls).toEqual([call])
  })

  it("has empty text and no calls where the model sent none", () => {
    const silent = new Response.Response({ model: "m", parts: [], finishReason: "stop", usage: Usage.zero })
    expect([silent.text, silent.reasoning, silent.toolCalls]).toEqual(["", "", []])
  })

  it("becomes the message to go on with, all parts kept", () => {
    expect(Response.toMessage(response)).toEqual({ _tag: "Assistant", content: response.parts })
  })

  it("law: JSON and back is the same", () =>
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(Response.Response), (any) => {
        const wire: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(Response.Response)(any)))
        expect(Schema.decodeUnknownSync(Response.Response)(wire)).toEqual(any)
      }),
      { numRuns: 300 }
    ))
})
