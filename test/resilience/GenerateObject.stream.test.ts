import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const City = Schema.Struct({ name: Schema.NonEmptyString, founded: Schema.Int })
type City = typeof City.Type
type Seen = GenerateObject.Progress<City>

const rome = { name: "Rome", founded: -753 }

const asked = (given: Partial<GenerateObject.Options<City>> = {}) =>
  GenerateObject.stream({ prompt: "Tell me of Rome.", output: { name: "city", schema: City }, ...given })

/** All that was told until the end, and how it ended. */
const watch = (given?: Partial<GenerateObject.Options<City>>) =>
  Effect.gen(function*() {
    const seen = yield* Ref.make<ReadonlyArray<Seen>>([])
    const end = yield* asked(given).pipe(
      Stream.runForEach((progress) => Ref.update(seen, (before) => [...before, progress])),
      Effect.either
    )
    return { seen: yield* seen, error: Either.isLeft(end) ? end.left : undefined }
  })

const inShort = (seen: ReadonlyArray<Seen>) =>
  seen.map((progress) =>
    progress._tag === "Partial" ? progress.shown : progress._tag === "Done" ? progress.outcome.value : progress._tag
  )

const scripted = (script: ReadonlyArray<ScriptedModel.Step>, options?: ScriptedModel.Options) =>
  Effect.provide(ScriptedModel.layer(script, options))

const finish = StreamPart.finish({ reason: "stop", usage: Usage.zero })

describe("GenerateObject.stream", () => {
  it.effect.each(["native", "tool"] as const)(
    "shows the answer as it grows, and gives it at the end: %s",
    (mode) =>
      Effect.gen(function*() {
        const { error, seen } = yield* watch({ mode })
        expect(error).toBeUndefined()
        expect(inShort(seen)).toEqual([{}, { name: "Rome" }, rome, rome])
        expect(seen.map(({ _tag }) => _tag)).toEqual(["Partial", "Partial", "Partial", "Done"])
      }).pipe(scripted([mode === "native" ? ScriptedModel.json(rome) : ScriptedModel.toolCall("city", rome)]))
  )

  it.effect("is the same as call at its end", () =>
    Effect.gen(function*() {
      const script = [ScriptedModel.json({ name: "" }), ScriptedModel.text("{"), ScriptedModel.json(rome)]
      const given = { prompt: "x", idempotencyKey: "k", output: { name: "city", schema: City } }
      const called = yield* GenerateObject.call(given).pipe(scripted(script))
      const last = yield* Stream.runLast(GenerateObject.stream(given)).pipe(scripted(script))
      expect(last).toEqual(Option.some({ _tag: "Done", outcome: called }))
    }))

  it.effect("says when what was shown is to be forgotten", () =>
    Effect.gen(function*() {
      const { seen } = yield* watch()
      expect(inShort(seen)).toEqual([
        {},
        { name: "Oslo" },
        { name: "Oslo", founded: 1.5 },
        "Refused",
        {},
        { name: "Rome" },
        rome,
        rome
      ])
    }).pipe(scripted([ScriptedModel.json({ name: "Oslo", founded: 1.5 }), ScriptedModel.json(rome)])))

  it.effect("shows what comes after a reset, and none of what came before", () =>
    Effect.gen(function*() {
      const { seen } = yield* watch()
      expect(inShort(seen)).toEqual([{ name: "Os" }, { name: "Ro" }, rome, rome])
    }).pipe(scripted([ScriptedModel.parts([
      StreamPart.start(),
      StreamPart.textDelta("{\"name\":\"Os"),
      StreamPart.reset(2, "cut"),
      StreamPart.textDelta("{\"name\":\"Ro"),
      StreamPart.textDelta("me\",\"founded\":-753}"),
      finish
    ])])))

  it.effect("passes over words beside the call, and over what brings nothing new", () =>
    Effect.gen(function*() {
      const { seen } = yield* watch({ mode: "tool" })
      expect(inShort(seen)).toEqual([{}, rome, rome])
    }).pipe(scripted([ScriptedModel.parts([
      StreamPart.start(),
      StreamPart.reasoningDelta("{\"name\":\"no\"}"),
      StreamPart.textDelta("{\"name\":"),
      StreamPart.toolCallStart(0, "c", "city"),
      StreamPart.toolArgumentsDelta(0, "{"),
      StreamPart.toolArgumentsDelta(0, "\"name\""),
      StreamPart.toolArgumentsDelta(0, ":"),
      StreamPart.textDelta("\"later\"}"),
      StreamPart.toolCall(0, "c", "city", JSON.stringify(rome)),
      finish
    ])])))

  it.effect("shows a fenced answer, too", () =>
    Effect.gen(function*() {
      const { seen } = yield* watch()
      expect(seen.at(-1)).toMatchObject({ _tag: "Done", outcome: { repairs: ["fence"] } })
      expect(seen.length).toBeGreaterThan(2)
    }).pipe(scripted([ScriptedModel.text("```json\n" + JSON.stringify(rome) + "\n```")])))

  it.effect("is never done when the stream ends without its end", () =>
    Effect.gen(function*() {
      const { error, seen } = yield* watch()
      expect(error).toMatchObject({ _tag: "Truncated", provider: "scripted", model: "scripted-model" })
      expect(inShort(seen)).toEqual([rome])
    }).pipe(scripted([ScriptedModel.parts([StreamPart.start(), StreamPart.textDelta(JSON.stringify(rome))])])))

  it.effect("is never done when the model was cut off", () =>
    Effect.gen(function*() {
      const { error, seen } = yield* watch({ maxReasks: 0 })
      expect(error).toMatchObject({ _tag: "ObjectRejected", stopped: "Bound" })
      expect(seen.map(({ _tag }) => _tag)).toEqual(["Partial", "Partial", "Partial", "Refused"])
    }).pipe(scripted([ScriptedModel.json(rome, "length")])))

  it.effect("fails as the model fails, after what it had shown", () =>
    Effect.gen(function*() {
      const { error, seen } = yield* watch()
      expect(error).toMatchObject({ _tag: "Overloaded" })
      expect(inShort(seen)).toEqual([{ name: "Ro" }])
    }).pipe(scripted([ScriptedModel.parts(
      [StreamPart.start(), StreamPart.textDelta("{\"name\":\"Ro")],
      new ModelError.Overloaded({ provider: "scripted" })
    )])))

  it.effect("refuses wrong options before anything is sent", () =>
    Effect.gen(function*() {
      const { error } = yield* watch({ maxReasks: -1 })
      expect(error).toMatchObject({ _tag: "InvalidOptions" })
      expect(yield* ScriptedModel.requests).toEqual([])
    }).pipe(scripted([ScriptedModel.json(rome)])))

  it.effect("ends what it waits for when its consumer has seen enough", () =>
    Effect.gen(function*() {
      const stopped = yield* Ref.make(false)
      const model = LanguageModel.make({
        name: "m",
        provider: "p",
        generate: () => Effect.never,
        stream: () =>
          Stream.make(StreamPart.start(), StreamPart.textDelta("{\"name\":\"Ro")).pipe(
            Stream.concat(Stream.never),
            Stream.ensuring(Ref.set(stopped, true))
          )
      })
      const seen = yield* asked().pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.provideService(LanguageModel.LanguageModel, model)
      )
      expect(inShort(Chunk.toReadonlyArray(seen))).toEqual([{ name: "Ro" }])
      expect(yield* stopped).toBe(true)
    }))

  it.effect("stops with its consumer", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(watch())
      yield* TestClock.adjust("1 second")
      expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
    }).pipe(scripted([ScriptedModel.hang])))

  it.effect("lets a slow consumer slow the provider down", () =>
    Effect.gen(function*() {
      const sent = yield* Ref.make(0)
      const text = JSON.stringify({ name: "x".repeat(500), founded: 1 })
      const model = LanguageModel.make({
        name: "m",
        provider: "p",
        generate: () => Effect.never,
        stream: () =>
          Stream.fromIterable([StreamPart.start(), ...[...text].map((letter) => StreamPart.textDelta(letter)), finish])
            .pipe(Stream.rechunk(1), Stream.tap(() => Ref.update(sent, (count) => count + 1)))
      })
      const fiber = yield* asked().pipe(
        Stream.runForEach(() => Effect.sleep("1 second")),
        Effect.provideService(LanguageModel.LanguageModel, model),
        Effect.fork
      )
      yield* TestClock.adjust("1 second")
      expect(yield* sent).toBeLessThan(30)
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      expect(yield* sent).toBe(text.length + 2)
    }))

  it.effect("shows a long answer in time that is in proportion to its length", () =>
    Effect.gen(function*() {
      const text = JSON.stringify({ name: "long ".repeat(50_000), founded: 1 })
      const { seen } = yield* watch().pipe(scripted([ScriptedModel.text(text)], { deltaLength: 4 }))
      const partials = seen.filter(({ _tag }) => _tag === "Partial")
      // 62 500 deltas; a look at each growth of a 64th, and the last state.
      expect(partials.length).toBeLessThan(700)
      expect(inShort(partials.slice(-1))).toEqual([JSON.parse(text)])
    }))
})
