/** Streams that go on where they broke: by what the provider keeps, by another request, or anew. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientStream from "../../src/resilience/ResilientStream.ts"
import { fail, finish, hang, keeping, part, start, text } from "./scriptedStream.ts"

const request = { prompt: "hello", idempotencyKey: "mine" }
const retry = { backoff: "immediate", attempts: 5 } as const
const resume = { onBreak: "resume" } as const
const expired = fail(new ModelError.ResumeExpired({ provider: "scripted", reply: "resp_1" }))
const refused = fail(new ModelError.InvalidRequest({ provider: "scripted", billed: "no" }))

const run = (
  model: LanguageModel.Service<ModelError.ModelError>,
  stream: NonNullable<Pipeline.Options["stream"]>,
  given: LanguageModel.Request = request
) =>
  Effect.gen(function*() {
    const seen: Array<StreamPart.StreamPart> = []
    const pipeline = yield* Pipeline.make({ stream, retry })
    const end = yield* Effect.either(
      Stream.runForEach(
        ResilientStream.strengthen(model, pipeline)(given),
        (each) => Effect.sync(() => seen.push(each))
      )
    )
    const tags = seen.map(({ _tag }) => _tag)
    const collected = yield* Effect.either(StreamPart.collect(Stream.fromIterable(seen)))
    return { seen, tags, end, text: collected._tag === "Right" ? collected.right.text : undefined }
  })

describe("where the provider keeps the reply", () => {
  it.effect("goes on where it broke: no Reset, no part twice, one request", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([
        [start, text("One "), fail()],
        [text("two "), part(StreamPart.toolCallStart(0, "1", "add")), fail()],
        [part(StreamPart.toolCall(0, "1", "add", "{}")), finish(9)]
      ])
      const { tags, text: whole } = yield* run(model(), resume)
      expect(tags).toEqual(["Start", "TextDelta", "TextDelta", "ToolCallStart", "ToolCall", "Finish"])
      expect(whole).toBe("One two ")
      expect(counts).toMatchObject({ requests: 1, resumes: 2, cancels: 0 })
    }))

  it.effect("the idle time-out holds from when it is gone on with, also where nothing limits the first content", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One "), hang], [hang], [text("two"), finish()]])
      const running = yield* Effect.fork(run(model(), { ...resume, idle: "1 second" }))
      yield* TestClock.adjust("1999 millis")
      expect(counts.resumes).toBe(1)
      yield* TestClock.adjust("1 millis")
      expect((yield* Fiber.join(running)).text).toBe("One two")
      expect(counts).toMatchObject({ requests: 1, resumes: 2 })
    }))

  it.effect("also before the first content", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, fail()], [text("late"), finish()]])
      expect((yield* run(model(), resume)).tags).toEqual(["Start", "TextDelta", "Finish"])
      expect(counts).toMatchObject({ requests: 1, resumes: 1, cancels: 0 })
    }))

  it.effect("asks anew where nothing had come", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[fail()]], [[start, text("b"), finish()]])
      expect((yield* run(model(), resume)).tags).toEqual(["Start", "TextDelta", "Finish"])
      expect(counts).toMatchObject({ requests: 2, resumes: 0 })
    }))

  it.effect("a reply that the provider has forgotten fails, typed, with what came", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One"), fail()], [expired]])
      expect((yield* run(model(), resume)).end).toMatchObject({
        left: { _tag: "StreamBroken", error: { _tag: "ResumeExpired" }, received: { text: "One" } }
      })
      expect(counts.requests).toBe(1)
    }))

  it.effect("or is begun anew, or truncated, as declared", () =>
    Effect.gen(function*() {
      const replies = [[[start, text("One"), fail()], [expired]], [[start, text("Two"), finish(3)]]]
      const restarted = keeping(...replies)
      const { tags, text: whole } = yield* run(restarted.model(), { ...resume, otherwise: "restart" })
      expect(tags).toEqual(["Start", "TextDelta", "Reset", "Start", "TextDelta", "Finish"])
      expect(whole).toBe("Two")
      const truncated = yield* run(keeping(...replies).model(), { ...resume, otherwise: "truncate" })
      expect(truncated.seen.at(-1)).toMatchObject({ _tag: "Finish", reason: "truncated" })
      expect(truncated.text).toBe("One")
    }))

  it.effect("a reply that brings nothing when it is gone on with is given up after three tries", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One"), fail()], [], [], []], [[start, text("Two"), finish()]])
      expect((yield* run(model(), { ...resume, otherwise: "restart" })).text).toBe("Two")
      expect(counts).toMatchObject({ requests: 2, resumes: 3, cancels: 1 })
    }))

  it.effect("a consumer that leaves cancels the reply, once", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One"), hang]])
      const pipeline = yield* Pipeline.make({ stream: resume, retry })
      const stream = ResilientStream.strengthen(model(), pipeline)(request)
      yield* Stream.runDrain(Stream.take(stream, 2))
      expect(counts).toMatchObject({ requests: 1, cancels: 1 })
    }))

  it.effect("so does one that is interrupted, and a stream that is given up", () =>
    Effect.gen(function*() {
      const left = keeping([[start, text("One"), hang]])
      const pipeline = yield* Pipeline.make({ stream: resume, retry })
      const fiber = yield* Effect.fork(Stream.runDrain(ResilientStream.strengthen(left.model(), pipeline)(request)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(left.counts.cancels).toBe(1)
      const broken = fail(new ModelError.ContentFiltered({ provider: "scripted", stage: "completion" }))
      const given = keeping([[start, text("One"), broken]])
      expect((yield* run(given.model(), resume)).end).toMatchObject({ left: { _tag: "StreamBroken" } })
      expect(given.counts.cancels).toBe(1)
    }))

  it.effect("a time-out between contents goes on with the reply", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One "), hang], [text("two"), finish()]])
      const fiber = yield* Effect.fork(run(model(), { ...resume, idle: "1 second" }))
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(fiber)).text).toBe("One two")
      expect(counts).toMatchObject({ requests: 1, resumes: 1, cancels: 0 })
    }))
})

describe("where another request may continue the text", () => {
  const continued = { ...resume, continuation: "allowed" } as const

  it.effect("joins it at a Seam, without what it repeats, under another key", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping()
      const { seen, tags, text: whole } = yield* run(
        model([
          [start, text("One two three "), fail()],
          [start, text("One two three "), text("four"), finish(2)]
        ], "followUp"),
        continued
      )
      expect(tags.filter((tag) => tag !== "TextDelta")).toEqual(["Start", "Seam", "Finish"])
      expect(whole).toBe("One two three four")
      expect(seen.at(-1)).toMatchObject({ usageOfAll: { outputTokens: 2 } })
      expect(counts.others.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["mine", "mine-continue-2"])
    }))

  it.effect("again where the continuation breaks, too", () =>
    Effect.gen(function*() {
      const { model } = keeping()
      const { text: whole } = yield* run(
        model(
          [[start, text("Once upon"), fail()], [start, text(" a time"), fail()], [start, text(" lived"), finish()]],
          "prefill"
        ),
        continued
      )
      expect(whole).toBe("Once upon a time lived")
    }))

  it.effect("what repeats the text is content, though nobody sees it: the idle time-out holds from then", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping()
      const continuing = model([
        [start, text("one two"), fail()],
        // Held back, because it may be a repetition that is not over.
        [start, text("one "), hang],
        [start, text(" three"), finish()]
      ], "prefill")
      const fiber = yield* Effect.fork(run(continuing, { ...continued, idle: "2 seconds" }))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({ text: "one two three" })
      expect(counts.others.length).toBe(3)
    }))

  it.effect("never with a tool call in flight, and never unasked", () =>
    Effect.gen(function*() {
      const call = part(StreamPart.toolCallStart(0, "1", "add"))
      for (
        const [acts, policy] of [[[start, text("a b c"), call, fail()], continued], [
          [start, text("a b c"), fail()],
          { ...resume, otherwise: "fail" }
        ]] as const
      ) {
        const { counts, model } = keeping()
        expect((yield* run(model([acts], "prefill"), policy)).end).toMatchObject({ left: { _tag: "StreamBroken" } })
        expect(counts.others.length).toBe(1)
      }
    }))

  it.effect("a model that does not take such a request is asked anew, where that is declared", () =>
    Effect.gen(function*() {
      const scripts = [[start, text("a b c"), fail()], [refused], [start, text("whole"), finish()]]
      const { model } = keeping()
      const { tags, text: whole } = yield* run(model(scripts, "prefill"), { ...continued, otherwise: "restart" })
      expect(tags).toEqual(["Start", "TextDelta", "Reset", "Start", "TextDelta", "Finish"])
      expect(whole).toBe("whole")
      const failed = yield* run(keeping().model(scripts, "prefill"), continued)
      expect(failed.end).toMatchObject({ left: { _tag: "StreamBroken", error: { _tag: "InvalidRequest" } } })
    }))
})
