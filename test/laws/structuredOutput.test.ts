import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { readJson } from "../../src/internal/readJson.ts"
import * as SchemaDialect from "../../src/model/SchemaDialect.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as StructuredOutput from "../../src/model/StructuredOutput.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"
import { runs } from "../runs.ts"

/** Digits beyond what a double keeps are refused as a hazard. */
const Cents = Schema.Number.pipe(Schema.between(-1e6, 1e6))

const Order = Schema.Struct({
  id: Schema.String.pipe(Schema.maxLength(8)),
  count: Schema.Int,
  price: Cents,
  paid: Schema.Boolean,
  note: Schema.optional(Schema.NullOr(Schema.String)),
  unit: Schema.Literal("kilo", "kilometre", "piece"),
  grade: Schema.Literal(1, 12, 123),
  size: Schema.Tuple(Cents, Schema.String),
  tags: Schema.Record({ key: Schema.String.pipe(Schema.pattern(/^[a-z"\\]{0,4}$/)), value: Schema.Int }),
  more: Schema.Unknown.annotations({
    arbitrary: () => (fc) =>
      fc.oneof(fc.integer(), fc.string({ maxLength: 3 }), fc.array(fc.boolean(), { maxLength: 2 }))
  }),
  lines: Schema.Array(Schema.Union(
    Schema.TaggedStruct("Item", { sku: Schema.String }),
    Schema.TaggedStruct("Fee", { cents: Schema.Int })
  )).pipe(Schema.maxItems(2))
})

/** Whether a value can still become another by growing. */
const growsInto = (part: unknown, whole: unknown): boolean => {
  if (typeof part === "string" && typeof whole === "string") return whole.startsWith(part)
  if (Array.isArray(part) && Array.isArray(whole)) return part.every((item, index) => growsInto(item, whole[index]))
  if (typeof part === "object" && part !== null && typeof whole === "object" && whole !== null) {
    const known = new Map(Object.entries(whole))
    return Object.entries(part).every(([key, value]) => known.has(key) && growsInto(value, known.get(key)))
  }
  return Object.is(part, whole)
}

const documents = <A, I>(schema: Schema.Schema<A, I>, isWrapped: boolean, write = (plain: unknown) => plain) =>
  FastCheck.record({ value: Arbitrary.make(schema), spaced: FastCheck.boolean() }).map(({ spaced, value }) => {
    // Through JSON once, which has no -0.
    const encoded = readJson(JSON.stringify(Schema.encodeSync(schema)(value)))
    return { encoded, text: JSON.stringify(write(isWrapped ? { value: encoded } : encoded), undefined, spaced ? 1 : 0) }
  })

describe("what is shown of an answer", () => {
  const neverLies = <A, I>(schema: Schema.Schema<A, I>, dialect: SchemaDialect.Dialect) =>
    Effect.gen(function*() {
      const output = yield* StructuredOutput.make({ name: "it", schema })
      const { write } = yield* SchemaDialect.make(dialect)(output.format.schema)
      let shownAtAll = 0
      FastCheck.assert(
        FastCheck.property(
          documents(schema, output.isWrapped, write),
          ({ encoded, text }) => {
            let last: unknown
            // Ends of prefixes; a look at each through `expect` would take most of the time.
            const wrong: Array<number> = []
            for (let end = 0; end <= text.length; end++) {
              const part = StructuredOutput.partial(output, text.slice(0, end), dialect)
              if (Option.isNone(part)) {
                // What was shown stays shown; only a dialect may need more of an entry before it can be told.
                if (dialect === "plain" && last !== undefined) wrong.push(end)
                continue
              }
              const { shown } = part.value
              if (!growsInto(shown, encoded) || (last !== undefined && !growsInto(last, shown))) wrong.push(end)
              last = shown
              shownAtAll++
            }
            expect(wrong, text).toEqual([])
            expect(last).toEqual(encoded)
          }
        ),
        { numRuns: runs(40, 200) }
      )
      expect(shownAtAll).toBeGreaterThan(200)
    })

  const { literals: dialects } = SchemaDialect.Dialect

  it.effect.each(dialects)(
    "never is what the whole does not become, at any prefix of an object: %s",
    (dialect) => neverLies(Order, dialect)
  )

  it.effect.each(["plain", "gemini"] as const)(
    "never is what the whole does not become, at any prefix of a list: %s",
    (dialect) => neverLies(Schema.Array(Order).pipe(Schema.maxItems(1)), dialect)
  )
})

const parts = (text: string, cuts: ReadonlyArray<number>, asCall: boolean) => {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (text.length + 1)), text.length])].sort((a, b) => a - b)
  const pieces = places.slice(1).map((place, index) => text.slice(places[index], place))
  return asCall
    ? [
      StreamPart.start(),
      StreamPart.toolCallStart(0, "c", "it"),
      ...pieces.map((piece) => StreamPart.toolArgumentsDelta(0, piece)),
      StreamPart.toolCall(0, "c", "it", text)
    ]
    : [StreamPart.start(), ...pieces.map((piece) => StreamPart.textDelta(piece))]
}

const finish = (reason: "stop" | "length") => StreamPart.finish({ reason, usage: Usage.zero })

const run = (script: ReadonlyArray<StreamPart.StreamPart>) =>
  Effect.runSync(
    Effect.gen(function*() {
      const given = { prompt: "x", idempotencyKey: "k", maxReasks: 0, output: { name: "it", schema: Order } }
      const layer = ScriptedModel.layer([ScriptedModel.parts(script)])
      const called = yield* Effect.either(GenerateObject.call(given)).pipe(Effect.provide(layer))
      const seen = yield* Ref.make<ReadonlyArray<GenerateObject.Progress<typeof Order.Type, typeof Order.Encoded>>>([])
      const streamed = yield* GenerateObject.stream(given).pipe(
        Stream.runForEach((progress) => Ref.update(seen, (before) => [...before, progress])),
        Effect.either,
        Effect.provide(layer)
      )
      return { called, streamed, seen: yield* seen }
    })
  )
const isDone = ({ _tag }: { readonly _tag: string }) => _tag === "Done"

describe("a streamed answer", () => {
  it("is in the end what call gives, however it was cut into pieces", () => {
    FastCheck.assert(
      FastCheck.property(
        documents(Order, false),
        FastCheck.array(FastCheck.nat(1_000), { maxLength: 12 }),
        FastCheck.boolean(),
        ({ encoded, text }, cuts, asCall) => {
          const { called, seen } = run([...parts(text, cuts, asCall), finish("stop")])
          const done = seen.filter((progress) => progress._tag === "Done")
          expect(done.map(({ outcome }) => outcome)).toEqual([Either.getOrThrow(called)])
          expect(done[0]?.outcome.value).toEqual(encoded)
          // Pieces may tear a character apart, so the last state is shown before the end in any case.
          expect(seen.filter(({ _tag }) => _tag === "Partial").at(-1)).toMatchObject({ shown: encoded })
        }
      ),
      { numRuns: runs(40, 200) }
    )
  })

  it("is never done when it was cut, with or without an honest end", () => {
    FastCheck.assert(
      FastCheck.property(
        documents(Order, false),
        FastCheck.nat(100_000),
        FastCheck.constantFrom("no finish", "length", "stop"),
        FastCheck.boolean(),
        ({ text }, place, end, asCall) => {
          // "length" and a missing end refuse whole documents as well; "stop" lies about a cut one.
          const cut = text.slice(0, place % (end === "stop" ? text.length : text.length + 1))
          const { called, seen, streamed } = run([
            ...parts(cut, [3, 17, 40], asCall),
            ...(end === "no finish" ? [] : [finish(end === "length" ? "length" : "stop")])
          ])
          expect(seen.some(isDone)).toBe(false)
          expect([Either.isLeft(called), Either.isLeft(streamed)]).toEqual([true, true])
        }
      ),
      { numRuns: runs(60, 300) }
    )
  })
})
