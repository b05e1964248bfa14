/**
 * What the tests of recorded streams share: the recordings as a server sends them, folded in any slices, and cut at every
 * place before their end. A recording of payloads, one a line, is framed first as its API frames it.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { ModelError } from "../../src/error/ModelError.ts"
import type { Response } from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as decode from "../../src/provider/shared/decode.ts"
import * as sse from "../../src/provider/shared/sse.ts"
import { runs } from "../runs.ts"

const folder = join(process.env["FIXTURES"] ?? "../shared/fixtures", "streams")
const index = join(folder, "index.json")
if (!existsSync(index)) console.log(`skipped: ${index} is absent (set FIXTURES)`)

const Entry = Schema.Struct({
  file: Schema.String,
  api: Schema.String,
  framing: Schema.String,
  expected: Schema.Unknown
})
const Index = Schema.parseJson(Schema.Struct({ streams: Schema.Array(Schema.Unknown) }))

const entriesOf = (api: string): ReadonlyArray<typeof Entry.Type> =>
  existsSync(index)
    ? Schema.decodeUnknownSync(Index)(readFileSync(index, "utf8")).streams
      .filter((each) => Schema.is(Schema.Struct({ api: Schema.Literal(api) }))(each))
      .map((each) => Schema.decodeUnknownSync(Entry)(each))
    : []

const facts = { provider: "recorded", model: "asked" } as const

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** How the recordings of one API are read, and what is expected of them. */
export interface Recordings<S, E, I> {
  readonly api: string
  readonly count: number
  readonly expected: Schema.Schema<E, I>
  readonly decoder: (facts: decode.Facts) => decode.Decoder<S>
  /** A payload as the API frames it. */
  readonly framed: (payload: string) => string
  /** Whether the text of an event is the one that says that the reply is whole. */
  readonly isEnd: (event: string) => boolean
  /** The failure of a recording that no client may take for a reply. */
  readonly failure?: (file: string) => string | undefined
  /** What must hold of the parts by themselves. */
  readonly parts?: (parts: ReadonlyArray<StreamPart.StreamPart>) => void
  readonly check: (response: Response, expected: E, file: string, events: ReadonlyArray<string>) => void
}

function* byByte(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1)
}

const tagOf = (result: Either.Either<unknown, { readonly _tag: string }>): string =>
  Either.isLeft(result) ? result.left._tag : "success"

/** Smaller ones are cut at every byte; of larger ones every event is cut, at a few. */
const small = runs(2_000, 8_000)

/** One recording: its text as the server sends it, event by event. */
const eventsOf = (entry: typeof Entry.Type, framed: (payload: string) => string): ReadonlyArray<string> => {
  const text = readFileSync(join(folder, entry.file), "utf8")
  if (entry.framing.startsWith("sse")) return text.match(/[\s\S]+?(?:\r?\n){2,}|[\s\S]+$/g) ?? []
  return text.split(/\r?\n/).filter((line) => line.trim() !== "").map(framed)
}

/**
 * What a stream gives that ends behind some of the events, or within the next one. What is known before each event is kept,
 * so that no cut reads the recording from its start; it is the decoder's own way through the events.
 */
const cutter = <S>(read: decode.Decoder<S>, events: ReadonlyArray<Uint8Array>) => {
  const reader = sse.reader(facts)
  let turn: decode.Turn<S, ModelError> = { state: read.initial, parts: [], then: "more" }
  const before = [turn]
  for (const event of events) {
    if (turn.then === "more") {
      turn = decode.advance(read, turn.state, new decode.Received(), reader.read(Chunk.of(event)))
    }
    before.push(turn)
  }
  const verdict = (last: decode.Turn<S, ModelError>): string => {
    const end = decode.finish<S, { readonly _tag: string }>(read, last, "end", () => ({ _tag: "Truncated" })).then
    return end === "over" ? "success" : end === "more" ? "nothing" : end.error._tag
  }
  const behind = (count: number): string => {
    const last = before[count]
    return last === undefined ? "nothing" : verdict(last)
  }
  return {
    behind,
    /** Behind some of the bytes of that event. Events share no framing, so a fresh reader reads on. */
    within: (event: number, bytes: number): string => {
      const from = before[event]
      const piece = events[event]?.subarray(0, bytes)
      if (from === undefined || piece === undefined || from.then !== "more") return behind(event)
      const rest = sse.reader(facts)
      const told = decode.advance(read, from.state, new decode.Received(), rest.read(Chunk.of(piece)))
      return verdict(
        told.then === "more" ? decode.advance(read, told.state, new decode.Received(), rest.end()) : told
      )
    }
  }
}

/** Says of each recording of an API what a client must make of it. */
export const recordings = <S, E, I>(name: string, options: Recordings<S, E, I>): void => {
  const entries = entriesOf(options.api)
  const read = options.decoder(facts)

  const fold = (slices: Iterable<Uint8Array>): Either.Either<Response, ModelError> =>
    Stream.fromIterable(slices).pipe(
      decode.bytes(read),
      (parts) => StreamPart.collect(parts, facts),
      Effect.either,
      Effect.runSync
    )

  describe.skipIf(entries.length === 0)(`recorded streams of ${name}`, () => {
    it(`are ${options.count}`, () => expect(entries.length).toBe(options.count))

    for (const entry of entries) {
      const { file } = entry
      const events = eventsOf(entry, options.framed)
      const bytes = encoder.encode(events.join(""))
      const failure = options.failure?.(file)

      it(`${file} ${failure === undefined ? "folds" : `is ${failure}`} in whole, by events and by bytes`, () => {
        const whole = fold([bytes])
        expect(tagOf(whole)).toBe(failure ?? "success")
        if (Either.isRight(whole)) {
          options.check(whole.right, Schema.decodeUnknownSync(options.expected)(entry.expected), file, events)
        }
        if (options.parts !== undefined) {
          const parts = Effect.runSync(Stream.runCollect(decode.bytes(read)(Stream.make(bytes))))
          options.parts(Chunk.toReadonlyArray(parts))
        }
        expect(fold(events.map((event) => encoder.encode(event)))).toEqual(whole)
        expect(fold(byByte(bytes))).toEqual(whole)
      })

      const last = events.reduce(
        (found, event, at) => options.isEnd(event) ? at : found,
        failure === undefined ? -1 : events.length - 1
      )
      // A recording of several replies has whole ones at its front: what is cut there is another one.
      const isWhole = (event: number): boolean => {
        const text = events[event]
        return text !== undefined && options.isEnd(text)
      }
      const allowed = ["Truncated", ...(failure === undefined ? [] : [failure])]
      const pieces = events.map((event) => encoder.encode(event))
      const cut = cutter(read, pieces)

      it(`${file} is Truncated behind every event before its end`, () => {
        expect(last).toBeGreaterThanOrEqual(0)
        const verdicts = events.slice(0, last + 1).map((_, count) => isWhole(count - 1) ? "whole" : cut.behind(count))
        expect(verdicts.filter((verdict) => verdict !== "whole" && !allowed.includes(verdict))).toEqual([])
      })

      const everyByte = bytes.length <= small

      it(`${file} is Truncated within every event${everyByte ? ", at every byte" : ""}`, () => {
        const wrong: Array<string> = []
        for (const [event, text] of events.slice(0, last + 1).entries()) {
          // Without its blank line an event is whole as soon as its JSON is.
          const end = encoder.encode(text.replace(/\}\s*$/, "")).length
          const places = everyByte || text.length < 8
            ? Array.from({ length: end + 1 }, (_, at) => at)
            : [1, Math.floor(end / 2), end - 3, end]
          for (const at of places) {
            const verdict = cut.within(event, at)
            const follows = verdict === "success" && isWhole(event - 1)
            if (!follows && !allowed.includes(verdict)) wrong.push(`${verdict} after ${at} bytes of event ${event}`)
          }
        }
        expect(wrong).toEqual([])
      })

      it(`${file} is Truncated where its stream ends in between, too`, () => {
        const size = pieces.slice(0, last).reduce((sum, piece) => sum + piece.length, 0)
        for (const share of [0.1, 0.5, 0.9]) {
          const part = bytes.subarray(0, Math.floor(size * share))
          const verdict = tagOf(fold([part]))
          if (verdict !== "success" || !options.isEnd(decoder.decode(part))) expect(allowed).toContain(verdict)
        }
      })
    }
  })
}
