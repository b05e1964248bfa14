import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import * as sse from "../../../src/provider/shared/sse.ts"

const facts = { provider: "openai" }
const utf8 = new TextEncoder()

const slices = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))

const read = (
  bytes: Uint8Array,
  size: number,
  options: Partial<sse.Options> = {}
) =>
  Stream.fromIterable(slices(bytes, size)).pipe(
    Stream.rechunk(1),
    sse.events({ ...facts, ...options }),
    Stream.runCollect,
    Effect.map(Chunk.toReadonlyArray),
    Effect.either
  )

/** What the specification of server-sent events says of each text, whatever slices it comes in. */
const table: ReadonlyArray<readonly [what: string, text: string, data: ReadonlyArray<string>]> = [
  ["events end with a blank line", "data: a\n\ndata: b\n\n", ["a", "b"]],
  ["lines of data are joined", "data: a\ndata: b\n\n", ["a\nb"]],
  ["CRLF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", ["a\nb", "c"]],
  ["CR alone", "data: a\r\rdata: b\r\r", ["a", "b"]],
  ["a BOM", "\uFEFFdata: a\n\n", ["a"]],
  ["comments and keep-alives", ": OPENROUTER PROCESSING\n\n:\ndata: a\n\n: keep-alive\n\n", ["a"]],
  ["no blank after the colon", "data:a\n\n", ["a"]],
  ["one blank only is dropped", "data:  a\n\n", [" a"]],
  ["other fields", "id: 1\nretry: 10\nfoo: bar\ndata: a\n\n", ["a"]],
  ["an event without data is none", "event: ping\n\ndata: a\n\n", ["a"]],
  ["characters of several bytes", "data: \u{1F40B}é\n\n", ["\u{1F40B}é"]]
]

describe("sse.events", () => {
  for (const [what, text, data] of table) {
    it.effect(what, () =>
      Effect.gen(function*() {
        const bytes = utf8.encode(text)
        for (const size of [1, 2, 3, 5, bytes.length]) {
          const result = Either.getOrThrow(yield* read(bytes, size))
          expect([size, result.map((event) => event.data)]).toEqual([size, data])
        }
      }))
  }

  it.effect("keeps the names of events", () =>
    Effect.gen(function*() {
      const result = yield* read(utf8.encode("event: error\ndata: {}\n\ndata: {}\n\n"), 1)
      expect(Either.getOrThrow(result)).toEqual([{ event: "error", data: "{}" }, { event: undefined, data: "{}" }])
    }))

  it.effect("marks an event that the end of the bytes cut off", () =>
    Effect.gen(function*() {
      const result = yield* read(utf8.encode("data: a\n\ndata: {\"b"), 4)
      expect(Either.getOrThrow(result)).toEqual([
        { event: undefined, data: "a" },
        { event: undefined, data: "{\"b", unfinished: true }
      ])
    }))

  it.effect("gives JSON without data: as a raw event, on one line or on many", () =>
    Effect.gen(function*() {
      const error = { error: { code: 503, message: "a } in a \"text\"", details: [{}] } }
      for (const json of [JSON.stringify(error), JSON.stringify(error, null, 2)]) {
        for (const end of ["", "\n", "\r\n\r\n"]) {
          const bytes = utf8.encode(`data: {"a":1}\n\n${json}${end}`)
          for (const size of [1, 7, bytes.length]) {
            const result = Either.getOrThrow(yield* read(bytes, size))
            expect(result.map((event) => [event.raw, JSON.parse(event.data)])).toEqual([
              [undefined, { a: 1 }],
              [true, error]
            ])
          }
        }
      }
    }))

  it.effect("refuses bytes that are not UTF-8, after what came before", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const error = yield* Stream.make(utf8.encode("data: a\n\n"), new Uint8Array([100, 0xff, 0xfe])).pipe(
        Stream.rechunk(1),
        sse.events({ ...facts, model: "m", requestId: "req_1" }),
        Stream.runForEach((event) => Effect.sync(() => seen.push(event.data))),
        Effect.flip
      )
      expect(seen).toEqual(["a"])
      expect(error).toMatchObject({
        _tag: "MalformedResponse",
        provider: "openai",
        model: "m",
        requestId: "req_1",
        reason: "the stream is not valid UTF-8"
      })
    }))

  it.effect("refuses an event above the cap, finished or not, without reading on", () =>
    Effect.gen(function*() {
      const shapes = [
        `data: ${"x".repeat(3_000)}\n\n`,
        "x".repeat(3_000),
        "data: x\n".repeat(1_500),
        `{"a": [\n${"1,\n".repeat(1_500)}`
      ]
      for (const shape of shapes) {
        for (const size of [1, 100, 4_000]) {
          const error = Either.flip(yield* read(utf8.encode(shape), size, { maxEventBytes: 1_024 }))
          expect(Either.getOrThrow(error)).toMatchObject({ _tag: "MalformedResponse" })
        }
      }
      let pulled = 0
      const endless = Stream.repeatEffect(Effect.sync(() => {
        pulled++
        return utf8.encode("x".repeat(1_000))
      }))
      const error = yield* Effect.flip(Stream.runDrain(sse.events({ ...facts, maxEventBytes: 10_000 })(endless)))
      expect(error.message).toContain("maxEventBytes (10000 bytes)")
      expect(pulled).toBeLessThan(30)
    }))

  it.effect("takes many events that are larger than the cap only together", () =>
    Effect.gen(function*() {
      const bytes = utf8.encode("data: aaaaaaaaaa\n\n".repeat(1_000))
      const result = yield* read(bytes, bytes.length, { maxEventBytes: 1_024 })
      expect(Either.getOrThrow(result).length).toBe(1_000)
    }))

  it.effect("pulls the bytes only as events are asked for", () =>
    Effect.gen(function*() {
      let pulled = 0
      const bytes = Stream.rechunk(
        Stream.repeatEffect(Effect.sync(() => {
          pulled++
          return utf8.encode("data: a\n\n")
        })),
        1
      )
      const result = yield* bytes.pipe(sse.events(facts), Stream.take(3), Stream.runCollect)
      expect(Chunk.size(result)).toBe(3)
      expect(pulled).toBe(3)
    }))
})

describe("sse.lines", () => {
  it.effect("gives each line that is not blank", () =>
    Effect.gen(function*() {
      const bytes = utf8.encode("{\"a\":1}\r\n\n  \n[DONE]\n{\"b")
      for (const size of [1, 3, bytes.length]) {
        const result = yield* Stream.fromIterable(slices(bytes, size)).pipe(sse.lines(facts), Stream.runCollect)
        expect(Chunk.toReadonlyArray(result)).toEqual([
          { event: undefined, data: "{\"a\":1}" },
          { event: undefined, data: "[DONE]" },
          { event: undefined, data: "{\"b", unfinished: true }
        ])
      }
    }))

  it.effect("refuses a line above the cap", () =>
    Effect.gen(function*() {
      const error = yield* Stream.make(utf8.encode("x".repeat(2_000))).pipe(
        sse.lines({ ...facts, maxEventBytes: 1_024 }),
        Stream.runDrain,
        Effect.flip
      )
      expect(error).toMatchObject({ _tag: "MalformedResponse" })
    }))
})
