import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as Prompt from "../../../src/model/Prompt.ts"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import * as Usage from "../../../src/model/Usage.ts"
import { continuationOf, type Way } from "../../../src/resilience/resilientStream/continuation.ts"
import { ReceivedReply } from "../../../src/resilience/resilientStream/received.ts"
import { runs } from "../../runs.ts"

const replyOf = (...parts: ReadonlyArray<StreamPart.StreamPart>): ReceivedReply => {
  const reply = new ReceivedReply(1_000)
  for (const part of parts) reply.add(part)
  return reply
}

const request: LanguageModel.Request = { prompt: "Capital of France?", temperature: 0, idempotencyKey: "call-7" }

const messagesOf = (
  given: LanguageModel.Request,
  text: string,
  way: Way
): ReadonlyArray<Prompt.Message> | undefined => {
  const continued = continuationOf(given, replyOf(StreamPart.textDelta(text)), way)
  return continued === undefined ? undefined : Prompt.make(continued.request.prompt).messages
}

/** What the consumer gets of the continuation of a text, all in all. */
const given = (text: string, ...parts: ReadonlyArray<StreamPart.StreamPart>): ReadonlyArray<StreamPart.StreamPart> => {
  const continued = continuationOf(request, replyOf(StreamPart.textDelta(text)), "prefill")
  if (continued === undefined) return expect.unreachable()
  return [...parts.flatMap((part) => continued.parts.push(part)), ...continued.parts.end()]
}

const finish = StreamPart.finish({ reason: "stop", usage: Usage.zero })

describe("the request that continues a text", () => {
  it("by prefill ends with the text so far", () => {
    expect(messagesOf(request, "The capital is Par", "prefill")).toEqual([
      Prompt.user("Capital of France?"),
      Prompt.assistant("The capital is Par")
    ])
  })

  it("by prefill goes on with what the prompt began already", () => {
    const begun = { prompt: [Prompt.user("Capital?"), Prompt.assistant("The capital")] }
    expect(messagesOf(begun, " is Par", "prefill")).toEqual([
      Prompt.user("Capital?"),
      Prompt.assistant([Prompt.text("The capital"), Prompt.text(" is Par")])
    ])
  })

  it("by prefill has no blanks at its end, which providers refuse", () => {
    expect(messagesOf(request, "The capital is \n", "prefill")?.at(-1)).toEqual(Prompt.assistant("The capital is"))
  })

  it("by a follow-up asks to go on where it stopped", () => {
    const messages = messagesOf(request, "The capital is Par", "followUp")
    expect(messages?.slice(0, 2)).toEqual([
      Prompt.user("Capital of France?"),
      Prompt.assistant("The capital is Par")
    ])
    expect(messages?.[2]).toMatchObject({
      _tag: "User",
      content: [{ text: expect.stringContaining("Continue it exactly") }]
    })
    expect(messages).toHaveLength(3)
  })

  it("is otherwise the same, and another one than the one that broke", () => {
    const { prompt: _, ...rest } = continuationOf(request, replyOf(StreamPart.textDelta("Par")), "prefill")?.request ??
      {}
    expect(rest).toEqual({ temperature: 0 })
  })

  it.each<readonly [string, LanguageModel.Request, ReadonlyArray<StreamPart.StreamPart>, Way | undefined]>([
    ["a model that declares no way", request, [StreamPart.textDelta("Par")], undefined],
    ["a reply of nothing", request, [], "prefill"],
    ["a text of blanks", request, [StreamPart.textDelta(" \n")], "prefill"],
    [
      "a reply with a call in flight",
      request,
      [StreamPart.textDelta("Par"), StreamPart.toolCallStart(0, "1", "a")],
      "followUp"
    ],
    ["a reply with thinking, by prefill", request, [
      StreamPart.reasoningDelta("hm"),
      StreamPart.textDelta("Par")
    ], "prefill"],
    [
      "an answer in JSON of a schema",
      { ...request, responseFormat: { name: "city", schema: Schema.Struct({}) } },
      [StreamPart.textDelta("{\"city\": \"Par")],
      "prefill"
    ],
    ["a text of which not all was kept", request, [StreamPart.textDelta("a".repeat(1_001))], "prefill"]
  ])("is none for %s", (_, asked, parts, way) => {
    expect(continuationOf(asked, replyOf(...parts), way)).toBeUndefined()
  })

  it("is one for a reply with thinking, by a follow-up", () => {
    const reply = replyOf(StreamPart.reasoningDelta("hm"), StreamPart.textDelta("Par"))
    expect(continuationOf(request, reply, "followUp")).toBeDefined()
  })
})

describe("the parts of a continuation", () => {
  it("are a seam, and the text without what it repeats", () => {
    expect(
      given(
        "The capital is Par",
        StreamPart.start({ id: "2" }),
        StreamPart.textDelta("capital "),
        StreamPart.textDelta("is Paris"),
        StreamPart.textDelta("."),
        finish
      )
    ).toEqual([StreamPart.seam, StreamPart.textDelta("is"), StreamPart.textDelta("."), finish])
  })

  it("do not lose what is held back when the reply ends, or goes on with something else", () => {
    const call = StreamPart.toolCallStart(0, "1", "a")
    expect(given("Paris is it, Paris", StreamPart.textDelta("Pa"), call)).toEqual([
      StreamPart.seam,
      StreamPart.textDelta("Pa"),
      call
    ])
    expect(given("Paris is it, Paris", StreamPart.textDelta("Pa"))).toEqual([
      StreamPart.seam,
      StreamPart.textDelta("Pa")
    ])
  })

  it("have one seam, also where nothing comes but the end", () => {
    expect(given("Paris", StreamPart.start(), finish)).toEqual([StreamPart.seam, finish])
    expect(given("Paris", finish)).toEqual([StreamPart.seam, finish])
  })

  it("repeat no blank that the request left out", () => {
    expect(given("Paris ", StreamPart.start(), StreamPart.textDelta(" is"), finish)).toEqual([
      StreamPart.seam,
      StreamPart.textDelta("is"),
      finish
    ])
  })

  it("make of any text that is cut anywhere the text again", () => {
    const words = FastCheck.array(FastCheck.constantFrom("one", "two", "three", "four", "five"), { minLength: 3 })
    FastCheck.assert(
      FastCheck.property(words, FastCheck.nat(), FastCheck.nat(20), (all, at, back) => {
        const whole = all.map((word, i) => `${i} ${word}`).join(" ")
        const cut = 1 + at % whole.length
        const text = whole.slice(0, cut)
        // A model that repeats as much as shows that it is a repetition, or nothing.
        const repeated = back < 10 || back > cut ? text.trimEnd().length : cut - back
        const rest = [...whole.slice(repeated)].map((letter) => StreamPart.textDelta(letter))
        const parts = given(text, StreamPart.start(), ...rest, finish)
        expect(text + parts.flatMap((part) => part._tag === "TextDelta" ? [part.text] : []).join("")).toBe(whole)
      }),
      { numRuns: runs(200, 2_000), seed: 3 }
    )
  })
})
