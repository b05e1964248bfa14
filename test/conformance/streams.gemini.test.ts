import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Gemini from "../../src/provider/Gemini.ts"

const fixtures = join(process.env["FIXTURES"] ?? "../shared/fixtures", "streams")
const indexFile = join(fixtures, "index.json")

/** A call of the fixtures: whole, or one event of many that the reference did not put together. */
const ExpectedCall = Schema.Struct({
  name: Schema.NullOr(Schema.String),
  arguments: Schema.NullOr(Schema.Unknown),
  partialArgs: Schema.NullOr(Schema.Array(Schema.Unknown))
})
const Fixture = Schema.Struct({
  file: Schema.String,
  provider: Schema.String,
  framing: Schema.String,
  api: Schema.String,
  expected: Schema.Struct({
    text: Schema.String,
    finishReason: Schema.NullOr(Schema.String),
    toolCalls: Schema.Array(ExpectedCall),
    usage: Schema.Struct({
      promptTokenCount: Schema.Number,
      candidatesTokenCount: Schema.Number,
      totalTokenCount: Schema.Number,
      thoughtsTokenCount: Schema.optional(Schema.Number)
    })
  })
})
const Index = Schema.Struct({ streams: Schema.Array(Schema.Unknown) })

const Recipe = Schema.parseJson(Schema.Struct({
  recipe: Schema.Struct({ ingredients: Schema.Array(Schema.Struct({ amount: Schema.String, name: Schema.String })) })
}))

/** The calls that the fixtures hold in pieces, put together by hand. */
const assembled: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  "google-stream-no-args-tool-call": [{}, { id: "A" }, { id: "B" }, { id: "C" }],
  "google-stream-tool-call-arguments": [{ location: "Boston" }, { location: "San Francisco" }]
}

const load = (): ReadonlyArray<typeof Fixture.Type> =>
  Schema.decodeUnknownSync(Schema.parseJson(Index))(readFileSync(indexFile, "utf8")).streams
    .filter((each) => Schema.is(Schema.Struct({ api: Schema.Literal("gemini-generateContent") }))(each))
    .map((each) => Schema.decodeUnknownSync(Fixture)(each))

const payloads = (file: string): ReadonlyArray<string> =>
  readFileSync(join(fixtures, file), "utf8").split(/\r?\n/).filter((line) => line.trim() !== "")

const framed = (lines: ReadonlyArray<string>, newline = "\r\n"): Uint8Array =>
  new TextEncoder().encode(lines.map((line) => `data: ${line}${newline}${newline}`).join(""))

const sliced = (bytes: Uint8Array, size: number): Stream.Stream<Uint8Array> =>
  Stream.fromIterable(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.slice(index * size, (index + 1) * size))
  )

const fold = (bytes: Stream.Stream<Uint8Array>) =>
  StreamPart.collect(Gemini.decodeStream({ model: "asked" })(bytes), { provider: "google", model: "asked" })

describe.skipIf(!existsSync(indexFile))("Gemini's recorded streams", () => {
  it("are nine", () => expect(load().length).toBe(9))

  for (const { expected, file } of existsSync(indexFile) ? load() : []) {
    describe(file, () => {
      const lines = payloads(file)
      const bytes = framed(lines)

      it.effect("folds to what was recorded", () =>
        Effect.gen(function*() {
          const response = yield* fold(Stream.make(bytes))
          expect(response.text).toBe(expected.text)
          expect(response.rawFinishReason).toBe(expected.finishReason)
          expect(response.model).toMatch(/^gemini-3/)
          const { candidatesTokenCount, promptTokenCount, thoughtsTokenCount, totalTokenCount } = expected.usage
          expect(response.usage.inputTokens).toBe(promptTokenCount)
          expect(response.usage.outputTokens).toBe(candidatesTokenCount + (thoughtsTokenCount ?? 0))
          expect(response.usage.totalTokens).toBe(totalTokenCount)
          expect(response.usage.reasoningTokens).toBe(thoughtsTokenCount)
          const named = expected.toolCalls.filter((call) => call.name !== null)
          expect(response.toolCalls.map((call) => call.name)).toEqual(named.map((call) => call.name))
          expect(response.finishReason).toBe(named.length > 0 ? "tool-calls" : "stop")
          expect(new Set(response.toolCalls.map((call) => call.id)).size).toBe(named.length)
          response.toolCalls.forEach((call, index) => {
            const args: unknown = JSON.parse(call.arguments)
            const whole = named[index]?.arguments
            if (whole !== null) expect(args).toEqual(whole)
            const known = Object.entries(assembled).find(([name]) => file.includes(name))?.[1]
            if (known !== undefined) expect(args).toEqual(known[index])
          })
        }))

      it.effect("folds to the same in lines and in single bytes, and shows the arguments as they end up", () =>
        Effect.gen(function*() {
          const whole = yield* fold(Stream.make(bytes))
          const byLine = yield* fold(Stream.fromIterable(lines.map((line) => framed([line]))))
          expect(byLine).toEqual(whole)
          expect(yield* fold(sliced(framed(lines, "\n"), 1))).toEqual(whole)
          const parts = yield* Stream.runCollect(Gemini.decodeStream()(Stream.make(bytes)))
          const shown = new Map<number, string>()
          for (const part of parts) {
            if (part._tag === "ToolArgumentsDelta") shown.set(part.index, (shown.get(part.index) ?? "") + part.delta)
            if (part._tag === "ToolCall") expect(shown.get(part.index)).toBe(part.arguments)
          }
        }))

      it.effect("cut before its finish reason it is Truncated, never a success", () =>
        Effect.gen(function*() {
          const terminal = lines.findIndex((line) => line.includes("\"finishReason\""))
          const end = framed(lines.slice(0, terminal)).length + "data: ".length + (lines[terminal] ?? "").indexOf(
            "\"finishReason\""
          )
          const cuts = Array.from({ length: 40 }, (_, index) => Math.floor((end * index) / 40))
          const edges = lines.slice(0, terminal + 1).map((_, index) => framed(lines.slice(0, index)).length)
          for (const cut of new Set([...cuts, ...edges, end])) {
            const error = yield* Effect.flip(fold(Stream.make(bytes.slice(0, cut))))
            expect(error._tag, `at byte ${cut}`).toBe("Truncated")
          }
        }))
    })
  }

  it.effect("puts nested pieces together", () =>
    Effect.gen(function*() {
      const file = load().find((each) => each.file.includes("arguments-nested"))?.file ?? ""
      const response = yield* fold(Stream.make(framed(payloads(file))))
      const args = Schema.decodeUnknownSync(Recipe)(response.toolCalls[0]?.arguments)
      expect(args.recipe.ingredients.length).toBeGreaterThan(6)
      expect(args.recipe.ingredients[0]).toEqual({ amount: "16 oz", name: "Lasagna noodles" })
    }))

  it.effect("ends a call whose last event is missing", () =>
    Effect.gen(function*() {
      const file = load().find((each) => each.file.includes("missing-terminal"))?.file ?? ""
      const response = yield* fold(Stream.make(framed(payloads(file))))
      expect(JSON.parse(response.toolCalls[0]?.arguments ?? "")).toMatchObject({
        operations: [{ action: "add", itemid: "apple_001", price: 0.5 }, { itemid: "banana_001", price: 0.3 }]
      })
    }))
})

if (!existsSync(indexFile)) console.log(`skipped: ${indexFile} is absent (set FIXTURES)`)
