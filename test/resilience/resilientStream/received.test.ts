import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import { Usage } from "../../../src/model/Usage.ts"
import { ReceivedReply } from "../../../src/resilience/resilientStream/received.ts"
import { runs } from "../../runs.ts"

const usageOf = (inputTokens: number, outputTokens: number) =>
  new Usage({ inputTokens, outputTokens, totalTokens: inputTokens + outputTokens })

const finish = (usage: Usage) => StreamPart.finish({ reason: "stop", usage })

const after = (maxKept: number, ...parts: ReadonlyArray<StreamPart.StreamPart>): ReceivedReply => {
  const reply = new ReceivedReply(maxKept)
  for (const part of parts) reply.add(part)
  return reply
}

const text = StreamPart.textDelta
const reasoning = StreamPart.reasoningDelta
const callOf = (index: number, json: string) => StreamPart.toolCall(index, `id${index}`, "weather", json)

describe("what came of a reply", () => {
  it("is its text, its thinking and its whole calls, without what is in flight", () => {
    const reply = after(
      1_000,
      StreamPart.start({ model: "m" }),
      reasoning("hm, "),
      reasoning("so"),
      text("Par"),
      text("is"),
      StreamPart.toolCallStart(0, "id0", "weather"),
      StreamPart.toolArgumentsDelta(0, "{}"),
      callOf(0, "{}"),
      StreamPart.toolCallStart(1, "id1", "weather"),
      StreamPart.toolArgumentsDelta(1, "{\"ci")
    )
    expect(reply.received()).toEqual({
      text: "Paris",
      reasoning: "hm, so",
      toolCalls: [{ id: "id0", name: "weather", arguments: "{}" }]
    })
    expect(reply.hasCallInFlight).toBe(true)
    reply.add(callOf(1, "{}"))
    expect(reply.hasCallInFlight).toBe(false)
  })

  it("has the usage where the provider told it", () => {
    expect(after(1_000, text("a"), finish(usageOf(3, 4))).received()).toEqual({
      text: "a",
      reasoning: "",
      toolCalls: [],
      usage: { inputTokens: 3, outputTokens: 4, totalTokens: 7 }
    })
  })

  it("is kept up to a length, and then says how much more came, without a gap", () => {
    const reply = after(10, text("Hello "), text("wonderful"), text(" "), reasoning("hm"), callOf(0, "{}"))
    expect(reply.received()).toEqual({ text: "Hello wond", reasoning: "", toolCalls: [], omittedCharacters: 20 })
  })

  it("is kept by calls that are whole, or not at all", () => {
    const length = "id0weather{}".length
    expect(after(length, callOf(0, "{}")).received().toolCalls).toHaveLength(1)
    const received = after(length - 1, callOf(0, "{}"), text("a")).received()
    expect(received).toEqual({ text: "", reasoning: "", toolCalls: [], omittedCharacters: length + 1 })
  })

  it("is not cut within a character of two halves", () => {
    expect(after(2, text("a😀")).received()).toMatchObject({ text: "a", omittedCharacters: 2 })
    expect(after(3, text("a😀")).received().text).toBe("a😀")
  })

  it("is only counted where nothing is to be kept", () => {
    const reply = after(0, text("abc"), callOf(0, "{}"))
    expect(reply.received()).toEqual({ text: "", reasoning: "", toolCalls: [], omittedCharacters: 15 })
    expect(reply.restart()).toEqual({ characters: 3, toolCalls: 1 })
  })

  it("is the whole text of any deltas that fit, and the beginning of it of others", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.string({ unit: "grapheme", maxLength: 40 }), { maxLength: 200 }),
        FastCheck.nat(3_000),
        (deltas, maxKept) => {
          const whole = deltas.join("")
          const received = after(maxKept, ...deltas.map((delta) => text(delta))).received()
          expect(whole.startsWith(received.text)).toBe(true)
          expect(received.text.length).toBeLessThanOrEqual(maxKept)
          expect(received.text.length + (received.omittedCharacters ?? 0)).toBe(whole.length)
          if (whole.length <= maxKept) expect(received.text).toBe(whole)
        }
      ),
      { numRuns: runs(100, 1_000), seed: 12 }
    )
  })
})

describe("another attempt", () => {
  it("begins anew: what came is void and counted, a call that had only begun too", () => {
    const reply = after(
      1_000,
      reasoning("hm"),
      text("Paris"),
      callOf(0, "{}"),
      StreamPart.toolCallStart(1, "id1", "weather")
    )
    expect(reply.restart()).toEqual({ characters: 7, toolCalls: 2 })
    expect(reply.hasCallInFlight).toBe(false)
    reply.add(text("Rome"))
    expect(reply.received()).toEqual({ text: "Rome", reasoning: "", toolCalls: [] })
    expect(reply.restart()).toEqual({ characters: 4, toolCalls: 0 })
  })

  it("has the room that the one before it had", () => {
    const reply = after(3, text("Paris"))
    reply.restart()
    reply.add(text("Oslo"))
    expect(reply.received()).toEqual({ text: "Osl", reasoning: "", toolCalls: [], omittedCharacters: 1 })
  })

  it("of a continuation keeps what came", () => {
    const reply = after(1_000, text("Par"))
    reply.continue()
    reply.add(text("is"))
    expect(reply.received().text).toBe("Paris")
  })
})

describe("the usage of all attempts", () => {
  it("is absent where there was one", () => {
    expect(after(1_000, text("a"), finish(usageOf(1, 2))).usageOfAll()).toBeUndefined()
  })

  it("is the sum of those that told it", () => {
    const reply = after(1_000, text("a"), finish(usageOf(1, 2)))
    reply.restart()
    reply.add(text("b"))
    reply.continue()
    expect(reply.usageOfAll()).toEqual(usageOf(1, 2))
    reply.add(finish(usageOf(10, 20)))
    expect(reply.usageOfAll()).toEqual(usageOf(11, 22))
    expect(reply.received().usage).toEqual({ inputTokens: 10, outputTokens: 20, totalTokens: 30 })
  })

  it("is nothing where nobody told it", () => {
    const reply = after(1_000, text("a"))
    reply.restart()
    expect(reply.usageOfAll()).toEqual(usageOf(0, 0))
  })
})

describe("what another request may continue", () => {
  it("is a text that is all there is", () => {
    expect(after(1_000, text("Par")).continuable).toEqual({ text: "Par", hasReasoning: false })
    expect(after(1_000, reasoning("hm"), text("Par")).continuable).toEqual({ text: "Par", hasReasoning: true })
  })

  it.each<readonly [string, ReadonlyArray<StreamPart.StreamPart>]>([
    ["nothing", []],
    ["thinking alone", [reasoning("hm")]],
    ["a text with a call in flight", [text("Par"), StreamPart.toolCallStart(0, "id0", "weather")]],
    ["a text with a whole call", [text("Par"), callOf(0, "{}")]],
    ["a text with what the provider did by itself", [text("Par"), {
      _tag: "ProviderPart",
      kind: "search",
      providerMetadata: "{}"
    }]],
    ["a text longer than what is kept", [text("Paris is a city")]]
  ])("is not %s", (_, parts) => {
    expect(after(10, ...parts).continuable).toBeUndefined()
  })
})
