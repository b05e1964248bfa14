/**
 * Laws of the stream decoders: how the bytes are cut into slices changes nothing, and a slow consumer is not run ahead of.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import { runs } from "../runs.ts"

const utf8 = new TextEncoder()

/** A delta of a chat completion, as some server may send it. */
const delta = FastCheck.oneof(
  FastCheck.string({ unit: "grapheme" }).map((content) => ({ content })),
  FastCheck.string({ unit: "grapheme" }).map((text) => ({ reasoning_content: text })),
  FastCheck.record({ index: FastCheck.nat(2), json: FastCheck.string() }).map(({ index, json }) => ({
    tool_calls: [{ index, id: `id-${index}`, function: { name: `tool_${index}`, arguments: json } }]
  }))
)

const framing = FastCheck.record({
  newline: FastCheck.constantFrom("\n", "\r\n", "\r"),
  space: FastCheck.constantFrom("", " "),
  bom: FastCheck.constantFrom("", "\uFEFF"),
  comment: FastCheck.constantFrom("", ": keep-alive"),
  done: FastCheck.boolean()
})

const finished = { id: "c", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }

const written = (
  deltas: ReadonlyArray<object>,
  { bom, comment, done, newline, space }: {
    readonly newline: string
    readonly space: string
    readonly bom: string
    readonly comment: string
    readonly done: boolean
  }
): Uint8Array =>
  utf8.encode(
    bom + [...deltas.map((each) => ({ id: "c", choices: [{ index: 0, delta: each }] })), finished]
      .map((payload) =>
        (comment === "" ? "" : comment + newline) + `data:${space}${JSON.stringify(payload)}${newline}${newline}`
      )
      .join("") +
      (done ? `data: [DONE]${newline}${newline}` : "")
  )

/** Cut at the given shares of its length. */
const sliced = (bytes: Uint8Array, cuts: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((place, at) => bytes.subarray(places[at], place))
}

const fold = (slices: ReadonlyArray<Uint8Array>) =>
  Stream.fromIterable(slices).pipe(
    Stream.rechunk(1),
    OpenAiChat.decodeStream({ model: "m" }),
    StreamPart.collect,
    Effect.either,
    Effect.runPromise
  )

describe("a stream of chat completions", () => {
  it("law: collects to the same in any slices, single bytes included", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(delta, { maxLength: 8 }),
        framing,
        FastCheck.array(FastCheck.nat(), { maxLength: 12 }),
        async (deltas, how, cuts) => {
          const bytes = written(deltas, how)
          const whole = Either.getOrThrow(await fold([bytes]))
          expect(whole.text).toBe(deltas.map((each) => "content" in each ? each.content : "").join(""))
          expect(Either.getOrThrow(await fold(sliced(bytes, cuts)))).toEqual(whole)
          expect(Either.getOrThrow(await fold([...bytes].map((byte) => new Uint8Array([byte]))))).toEqual(whole)
        }
      ),
      { numRuns: runs(50, 200) }
    ))

  it("law: cut anywhere before the terminal chunk is whole, it is Truncated with the text so far", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(delta, { maxLength: 6 }),
        framing,
        FastCheck.nat(),
        async (deltas, how, cut) => {
          const bytes = written(deltas, how)
          const marker = utf8.encode("\"finish_reason\":\"stop\"}]}")
          const text = new TextDecoder("latin1").decode(bytes)
          const end = text.lastIndexOf(new TextDecoder("latin1").decode(marker)) + marker.length
          const result = await fold([bytes.subarray(0, cut % end)])
          expect(Either.isLeft(result) ? result.left._tag : "success").toBe("Truncated")
        }
      ),
      { numRuns: runs(75, 300) }
    ))

  it("law: bytes that are anything give parts or a typed error, never a defect", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(
          FastCheck.oneof(
            FastCheck.uint8Array({ maxLength: 20 }),
            FastCheck.string().map((text) => utf8.encode(`data: ${text}\n\n`)),
            FastCheck.json().map((text) => utf8.encode(`data: ${text}\n\n`)),
            FastCheck.json().map((text) => utf8.encode(`data: {"choices":[{"delta":${text}}]}\n\n`)),
            FastCheck.json().map((text) => utf8.encode(`data: {"choices":[{"delta":{"tool_calls":[${text}]}}]}\n\n`))
          ),
          { maxLength: 6 }
        ),
        async (slices) => {
          const result = await fold(slices)
          expect(Either.isEither(result)).toBe(true)
        }
      ),
      { numRuns: runs(100, 400) }
    ))

  it.effect("law: no more is pulled than the consumer asks for", () =>
    Effect.gen(function*() {
      let pulled = 0
      const endless = Stream.rechunk(
        Stream.repeatEffect(Effect.sync(() => {
          pulled++
          return utf8.encode(`data: ${JSON.stringify({ id: "c", choices: [{ delta: { content: "x" } }] })}\n\n`)
        })),
        1
      )
      for (const wanted of [1, 2, 10, 100]) {
        pulled = 0
        const parts = yield* endless.pipe(OpenAiChat.decodeStream(), Stream.take(wanted), Stream.runCollect)
        expect(Chunk.size(parts)).toBe(wanted)
        expect(pulled).toBeLessThanOrEqual(wanted)
      }
    }))
})
