import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Response } from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import { Usage } from "../../src/model/Usage.ts"

const usage = new Usage({ inputTokens: 1, outputTokens: 2, totalTokens: 3 })
const done = StreamPart.finish({ reason: "stop", rawReason: "end_turn", usage })
const collect = (...parts: ReadonlyArray<StreamPart.StreamPart>) => StreamPart.collect(Stream.fromIterable(parts))

describe("StreamPart.collect", () => {
  it.effect("joins neighbours of one kind, and keeps the order", () =>
    Effect.gen(function*() {
      const response = yield* collect(
        StreamPart.start({ id: "r", model: "m", requestId: "q", rateLimit: { retryAfter: Duration.seconds(1) } }),
        StreamPart.reasoningDelta("h"),
        StreamPart.reasoningDelta("m"),
        StreamPart.textDelta("a"),
        StreamPart.textDelta("b"),
        StreamPart.toolCallStart(0, "1", "one"),
        StreamPart.textDelta("c"),
        StreamPart.toolArgumentsDelta(0, "{}"),
        StreamPart.toolCall(0, "1", "one", "{}"),
        done
      )
      expect(response).toEqual(
        new Response({
          id: "r",
          model: "m",
          requestId: "q",
          rateLimit: { retryAfter: Duration.seconds(1) },
          parts: [
            { _tag: "Reasoning", text: "hm" },
            { _tag: "Text", text: "ab" },
            { _tag: "ToolCall", id: "1", name: "one", arguments: "{}" },
            { _tag: "Text", text: "c" }
          ],
          finishReason: "stop",
          rawFinishReason: "end_turn",
          usage
        })
      )
    }))

  it.effect("keeps what seals a part with it: a thought up to its metadata, a text by itself, a call", () =>
    Effect.gen(function*() {
      const response = yield* collect(
        StreamPart.start({ model: "m", dialects: { tools: "openai-strict", output: "plain" } }),
        StreamPart.reasoningDelta("a"),
        StreamPart.reasoningDelta("b"),
        StreamPart.reasoningDelta("", "metadata 1"),
        StreamPart.reasoningDelta("", "metadata 2"),
        StreamPart.reasoningDelta("c"),
        StreamPart.textDelta("d"),
        StreamPart.textDelta("e", "metadata 3"),
        StreamPart.textDelta("f"),
        StreamPart.toolCallStart(0, "1", "one"),
        StreamPart.toolCall(0, "1", "one", "{}", "metadata 4"),
        done
      )
      expect(response.dialects).toEqual({ tools: "openai-strict", output: "plain" })
      expect(response.parts).toEqual([
        { _tag: "Reasoning", text: "ab", providerMetadata: "metadata 1" },
        { _tag: "Reasoning", text: "", providerMetadata: "metadata 2" },
        { _tag: "Reasoning", text: "c" },
        { _tag: "Text", text: "d" },
        { _tag: "Text", text: "e", providerMetadata: "metadata 3" },
        { _tag: "Text", text: "f" },
        { _tag: "ToolCall", id: "1", name: "one", arguments: "{}", providerMetadata: "metadata 4" }
      ])
      expect([response.text, response.reasoning]).toEqual(["def", "abc"])
    }))

  it.effect("takes the whole call over its deltas, and the deltas where there is no whole one", () =>
    Effect.gen(function*() {
      const response = yield* collect(
        StreamPart.toolCallStart(0, "a", "one"),
        StreamPart.toolArgumentsDelta(0, "{\"partial"),
        StreamPart.toolCallStart(1, "b", "two"),
        StreamPart.toolArgumentsDelta(1, "{\"x\":"),
        StreamPart.toolArgumentsDelta(1, "1}"),
        StreamPart.toolCall(0, "a", "one", "{}"),
        done
      )
      expect(response.toolCalls.map((call) => call.arguments)).toEqual(["{}", "{\"x\":1}"])
    }))

  it.effect("forgets what came before a Reset, and joins over a Seam", () =>
    Effect.gen(function*() {
      const response = yield* collect(
        StreamPart.start({ model: "a" }),
        StreamPart.textDelta("void"),
        StreamPart.toolCallStart(0, "1", "one"),
        StreamPart.reset(2, "overloaded"),
        StreamPart.start({ model: "b" }),
        StreamPart.textDelta("Hel"),
        StreamPart.seam,
        StreamPart.textDelta("lo"),
        done
      )
      expect([response.model, response.text, response.toolCalls]).toEqual(["b", "Hello", []])
    }))

  it.effect("is Truncated without Finish, with what came", () =>
    Effect.gen(function*() {
      const parts = [StreamPart.start({ requestId: "q" }), StreamPart.textDelta("Hel"), StreamPart.textDelta("lo")]
      const cut = yield* Effect.flip(
        StreamPart.collect(Stream.fromIterable(parts), { provider: "openai", model: "m" })
      )
      expect(cut).toMatchObject({
        _tag: "Truncated",
        provider: "openai",
        model: "m",
        requestId: "q",
        received: "Hello"
      })
      expect((yield* Effect.flip(collect()))._tag).toBe("Truncated")
      expect((yield* Effect.flip(collect(done, StreamPart.reset(2, "again"))))._tag).toBe("Truncated")
    }))

  it.effect("fails as the stream fails", () =>
    Effect.gen(function*() {
      const stream = Stream.concat(Stream.make(StreamPart.textDelta("a")), Stream.fail("gone" as const))
      expect(yield* Effect.flip(StreamPart.collect(stream))).toBe("gone")
    }))

  it.effect("starts anew each time it is run", () =>
    Effect.gen(function*() {
      const collected = collect(StreamPart.textDelta("a"), done)
      expect([(yield* collected).text, (yield* collected).text]).toEqual(["a", "a"])
    }))
})

describe("StreamPart", () => {
  it.effect("law: a reply as parts collects to the same reply", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(Arbitrary.make(Response), async (response) => {
          // Empty parts say nothing, and what is not sealed does not end before the next part of its kind.
          const filled = response.parts.filter((part) =>
            part._tag === "ToolCall" || part._tag === "ProviderPart" || part.text !== "" ||
            part.providerMetadata !== undefined
          )
          const parts = filled.reduce<ReadonlyArray<(typeof filled)[number]>>((kept, part) => {
            const last = kept.at(-1)
            const isApart = last === undefined || last._tag !== part._tag || last._tag === "ToolCall" ||
              last.providerMetadata !== undefined || (part._tag === "Text" && part.providerMetadata !== undefined)
            return isApart ? [...kept, part] : kept
          }, [])
          const tidy = new Response({ ...response, parts })
          const again = await Effect.runPromise(StreamPart.collect(Stream.fromIterable(StreamPart.fromResponse(tidy))))
          expect(again).toEqual(tidy)
        }),
        { numRuns: 200 }
      )
    ))

  const textPieces = FastCheck.array(FastCheck.string({ maxLength: 5 }), { maxLength: 5 })
  const textsOf = (pieces: ReadonlyArray<string>) => pieces.map((piece) => StreamPart.textDelta(piece))

  it("law: of attempts that are reset the last one is the reply, with its own Start", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(FastCheck.array(textPieces, { minLength: 1, maxLength: 4 }), async (attempts) => {
        const parts = attempts.flatMap((pieces, i) => [
          ...(i === 0 ? [] : [StreamPart.reset(i + 1, "broke")]),
          StreamPart.start({ id: `attempt ${i}` }),
          ...textsOf(pieces),
          StreamPart.toolCall(0, `${i}`, "tool", "{}")
        ])
        const last = attempts.length - 1
        const reply = await Effect.runPromise(collect(...parts, done))
        expect([reply.id, reply.text]).toEqual([`attempt ${last}`, attempts[last]?.join("")])
        expect(reply.parts.filter(({ _tag }) => _tag === "ToolCall")).toMatchObject([{ id: `${last}` }])
      }),
      { numRuns: 100 }
    ))

  it("law: a Seam changes nothing, wherever it is", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(textPieces, FastCheck.nat(5), async (pieces, at) => {
        const before = [StreamPart.start({ model: "m" }), ...textsOf(pieces.slice(0, at))]
        const after = [...textsOf(pieces.slice(at)), done]
        const seamed = await Effect.runPromise(collect(...before, StreamPart.seam, ...after))
        expect(seamed).toEqual(await Effect.runPromise(collect(...before, ...after)))
      }),
      { numRuns: 100 }
    ))

  it("law: JSON and back is the same", () => {
    const json = Schema.parseJson(StreamPart.StreamPart)
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(StreamPart.StreamPart), (part) => {
        expect(Schema.decodeSync(json)(Schema.encodeSync(json)(part))).toEqual(part)
      }),
      { numRuns: 200 }
    )
  })

  it("only Start shows nothing of the reply", () => {
    expect([StreamPart.start(), StreamPart.textDelta("a"), StreamPart.seam, done].map(StreamPart.isContent)).toEqual([
      false,
      true,
      true,
      true
    ])
  })
})
