/** Background responses that cannot be streamed any more, are gone, are refused or are not wanted, against a scripted client. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as StreamPart from "../../src/model/StreamPart.ts"
import {
  type Answer,
  body,
  callStory,
  delta,
  events,
  finished,
  finishedCall,
  numberedFrom,
  reading,
  refusal,
  story,
  tooOld,
  unfinished
} from "./fakeBackground.ts"
import { json, key } from "./fakeOpenAi.ts"
import { call, message, response } from "./fakeOpenAiResponses.ts"

const cutAt = (last: number) => events(story.slice(0, last + 1), "broken")

const url = "https://api.openai.com/v1/responses"

describe("OpenAiResponses, a background response", () => {
  describe("that cannot be streamed any more", () => {
    it.effect("is polled until it is finished, ever more seldom, and its rest is given", () =>
      Effect.gen(function*() {
        const running: ReadonlyArray<Answer> = Array.from({ length: 8 }, () => body(unfinished("in_progress")))
        const { first, more, sent, tags, text } = yield* reading([cutAt(6), tooOld, ...running, body(finished)])
        yield* first
        const fiber = yield* Effect.fork(more)
        const polls: Array<number> = []
        yield* TestClock.adjust("0 millis")
        for (let seconds = 0; seconds <= 50; seconds++) {
          while (polls.length < sent.length - 2) polls.push(seconds)
          yield* TestClock.adjust("1 second")
        }
        expect(yield* Fiber.join(fiber)).toBeUndefined()
        // At 0, 1, 2.5, 4.75, 8.125, 13.2, 20.8, 30.8 and 40.8 seconds.
        expect(polls).toEqual([0, 1, 3, 5, 9, 14, 21, 31, 41])
        expect(sent[2]).toMatchObject({ method: "GET", url: `${url}/resp_1`, headers: { accept: "application/json" } })
        expect(text()).toBe("Hello world, again.")
        expect(tags()).toEqual(["Start", "TextDelta", "TextDelta", "TextDelta", "Finish"])
      }))

    for (let last = 0; last < story.length - 1; last++) {
      it.effect(`gives the rest of a text that was cut behind event ${last}`, () =>
        Effect.gen(function*() {
          const { first, more, parts, text } = yield* reading([cutAt(last), tooOld, body(finished)])
          yield* first
          expect(yield* more).toBeUndefined()
          expect(text()).toBe("Hello world, again.")
          expect(parts.at(-1)).toMatchObject({ _tag: "Finish", reason: "stop", usage: { totalTokens: 14 } })
        }))
    }

    for (let last = 0; last < callStory.length - 1; last++) {
      it.effect(`gives the rest of a call that was cut behind event ${last}`, () =>
        Effect.gen(function*() {
          const { first, more, parts } = yield* reading([
            events(callStory.slice(0, last + 1), "broken"),
            tooOld,
            body(finishedCall)
          ])
          yield* first
          expect(yield* more).toBeUndefined()
          expect(parts.map((part) => part._tag === "ToolArgumentsDelta" ? part.delta : "").join(""))
            .toBe("{\"a\":1,\"b\":2}")
          expect(parts.filter(({ _tag }) => _tag === "ToolCall")).toEqual([
            { _tag: "ToolCall", index: 0, id: "call_1", name: "add", arguments: "{\"a\":1,\"b\":2}" }
          ])
          expect(parts.at(-1)).toMatchObject({ _tag: "Finish", reason: "tool-calls" })
        }))
    }

    it.effect("gives the rest of thoughts, refusals and several items, each once", () =>
      Effect.gen(function*() {
        const thought = {
          id: "rs_1",
          type: "reasoning",
          summary: [{ type: "summary_text", text: "First. " }, { type: "summary_text", text: "Second." }]
        }
        const answer = message("Yes", {
          content: [{ type: "output_text", text: "Yes, " }, { type: "refusal", refusal: "but no." }]
        })
        const search = { id: "ws_1", type: "web_search_call", status: "completed" }
        const list = numberedFrom(0, [
          { type: "response.created", response: unfinished("queued") },
          { type: "response.output_item.done", output_index: 0, item: search },
          { type: "response.reasoning_summary_text.delta", output_index: 1, summary_index: 0, delta: "First. " },
          { type: "response.reasoning_summary_text.delta", output_index: 1, summary_index: 1, delta: "Sec" },
          { type: "response.reasoning_summary_text.delta", output_index: 1, summary_index: 1, delta: "ond." },
          { type: "response.output_text.delta", output_index: 2, content_index: 0, delta: "Yes, " },
          { type: "response.refusal.delta", output_index: 2, content_index: 1, delta: "but" },
          { type: "response.refusal.delta", output_index: 2, content_index: 1, delta: " no." }
        ])
        for (let last = 0; last < list.length; last++) {
          const { first, more, parts, text } = yield* reading([
            events(list.slice(0, last + 1), "broken"),
            tooOld,
            body(response([search, thought, answer, call()]))
          ])
          yield* first
          expect(yield* more).toBeUndefined()
          expect(text()).toBe("Yes, but no.")
          expect(parts.map((part) => part._tag === "ReasoningDelta" ? part.text : "").join("")).toBe("First. Second.")
          expect(parts.filter(({ _tag }) => _tag === "ProviderPart")).toHaveLength(1)
          expect(parts.filter(({ _tag }) => _tag === "ToolCall")).toHaveLength(1)
        }
      }))

    const others: ReadonlyArray<readonly [name: string, whole: object]> = [
      ["another text", response([message("Hello there, again.")])],
      ["a shorter text", response([message("Hello")])],
      ["no item", response([])],
      ["a call in place of the text", response([call()])]
    ]
    for (const [name, whole] of others) {
      it.effect(`has expired where the provider has ${name}`, () =>
        Effect.gen(function*() {
          const { first, more, text } = yield* reading([cutAt(6), tooOld, body(whole)])
          yield* first
          expect(yield* more).toMatchObject({ _tag: "ResumeExpired", reply: "resp_1" })
          expect(text()).toBe("Hello world")
        }))
    }

    it.effect("has expired where the provider has another call", () =>
      Effect.gen(function*() {
        const { first, more, parts } = yield* reading([
          events(callStory.slice(0, 4), "broken"),
          tooOld,
          body(response([call({ name: "subtract", arguments: "{\"a\":1,\"b\":2}" })]))
        ])
        yield* first
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
        expect(parts.filter(({ _tag }) => _tag === "ToolCall")).toEqual([])
      }))

    it.effect("is incomplete where the provider says so", () =>
      Effect.gen(function*() {
        const { first, more, parts } = yield* reading([
          cutAt(6),
          tooOld,
          body(response([message("Hello world, ag")], {
            status: "incomplete",
            incomplete_details: { reason: "max_output_tokens" }
          }))
        ])
        yield* first
        expect(yield* more).toBeUndefined()
        expect(parts.at(-1)).toMatchObject({ _tag: "Finish", reason: "length" })
      }))

    it.effect("fails as it failed at the provider, and has expired then", () =>
      Effect.gen(function*() {
        const { first, more } = yield* reading([
          cutAt(6),
          tooOld,
          body(response([], { status: "failed", error: { code: "server_error", message: "Sorry" } }))
        ])
        yield* first
        expect(yield* more).toMatchObject({ _tag: "ServerError" })
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
      }))

    it.effect("has expired where somebody cancelled it", () =>
      Effect.gen(function*() {
        const { first, more } = yield* reading([cutAt(6), tooOld, body(response([], { status: "cancelled" }))])
        yield* first
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
      }))

    it.effect("is given up after an hour", () =>
      Effect.gen(function*() {
        const running: ReadonlyArray<Answer> = Array.from({ length: 400 }, () => body(unfinished("queued")))
        const { first, more, sent } = yield* reading([cutAt(6), tooOld, ...running])
        yield* first
        const fiber = yield* Effect.fork(more)
        yield* TestClock.adjust("1 hour")
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "ResumeExpired" })
        expect(sent.length).toBeLessThan(400)
      }))

    it.effect("is polled where it answers in one piece although a stream was asked for", () =>
      Effect.gen(function*() {
        const { first, more, text } = yield* reading([
          cutAt(6),
          body(unfinished("in_progress")),
          body(unfinished("in_progress")),
          body(finished)
        ])
        yield* first
        const fiber = yield* Effect.fork(more)
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(fiber)).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("is polled from the start where the server knows no streams of it", () =>
      Effect.gen(function*() {
        const { first, tags, text } = yield* reading([body(unfinished("queued")), body(finished)])
        expect(yield* first).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
        expect(tags()).toEqual(["Start", "TextDelta", "Finish"])
      }))

    it.effect("is polled where its stream cannot be gone on with, as its numbers have a hole", () =>
      Effect.gen(function*() {
        const later = numberedFrom(9, story.slice(7))
        const { first, more, sent, text } = yield* reading([
          events([...story.slice(0, 7), ...later]),
          events(later),
          body(unfinished("in_progress")),
          body(finished)
        ])
        expect(yield* first).toMatchObject({ _tag: "MalformedResponse" })
        expect(yield* more).toMatchObject({ _tag: "MalformedResponse" })
        const fiber = yield* Effect.fork(more)
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(fiber)).toBeUndefined()
        expect(sent.slice(2).map((each) => each.url)).toEqual([`${url}/resp_1`, `${url}/resp_1`])
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("is polled where its events have no numbers", () =>
      Effect.gen(function*() {
        const bare = [
          { type: "response.created", response: unfinished("queued") },
          delta("Hello "),
          delta("wor")
        ]
        const { first, more, sent, text } = yield* reading([events(bare, "broken"), body(finished)])
        yield* first
        expect(yield* more).toBeUndefined()
        expect(sent[1]?.url).toBe(`${url}/resp_1`)
        expect(text()).toBe("Hello world, again.")
      }))
  })

  describe("that the provider no longer has", () => {
    for (const status of [404, 410]) {
      it.effect(`has expired with status ${status}, at once and from then on`, () =>
        Effect.gen(function*() {
          const { first, more, sent } = yield* reading([
            cutAt(6),
            refusal(status, "Response with id 'resp_1' not found.")
          ])
          yield* first
          const error = yield* more
          expect(error).toMatchObject({ _tag: "ResumeExpired", reply: "resp_1", status, billed: "yes" })
          expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
          expect(sent).toHaveLength(2)
        }))
    }

    it.effect("has expired where it is found out while it is polled", () =>
      Effect.gen(function*() {
        const { first, more } = yield* reading([cutAt(6), tooOld, refusal(404, "not found")])
        yield* first
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
      }))

    it.effect("has expired where nothing can be had of it, for an account without retention", () =>
      Effect.gen(function*() {
        const words = "Response cannot be retrieved for this organization due to Zero Data Retention."
        const { first, more } = yield* reading([cutAt(6), refusal(400, words), refusal(400, words)])
        yield* first
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
      }))

    it.effect("has expired where its stream broke before its id was told, and says so", () =>
      Effect.gen(function*() {
        for (const broken of [events([], "broken"), "refused" as const]) {
          const { first, more, reply, sent } = yield* reading([broken])
          expect(yield* first).toBeDefined()
          const error = yield* more
          expect(error).toMatchObject({ _tag: "ResumeExpired", reply: "" })
          expect(error?.message).toContain("before the provider had told the id")
          yield* reply.cancel
          expect(sent).toHaveLength(1)
        }
      }))

    it.effect("has expired where its id would lead elsewhere", () =>
      Effect.gen(function*() {
        for (const id of ["..", "../files", "a/b", "a?b", "x".repeat(600)]) {
          const { first, more, reply, sent } = yield* reading([
            events([{ type: "response.created", response: response([], { id }), sequence_number: 0 }], "broken")
          ])
          yield* first
          expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
          yield* reply.cancel
          expect(sent).toHaveLength(1)
        }
      }))
  })

  describe("that an account refuses", () => {
    const refusals: ReadonlyArray<readonly [name: string, answer: Answer]> = [
      ["by the parameter background", refusal(400, "Not available.", { param: "background" })],
      ["by the parameter store", refusal(400, "store must be false.", { param: "store" })],
      ["by its retention", refusal(400, "This organization has Zero Data Retention enabled.")],
      ["by its words", refusal(400, "Background mode is not supported with this model.")],
      ["as a permission", refusal(403, "Background responses are not allowed for this project.")]
    ]
    for (const [name, answer] of refusals) {
      it.effect(`is UnsupportedFeature ${name}, unbilled, and is not asked for again for ten minutes`, () =>
        Effect.gen(function*() {
          const { first, model, more, sent } = yield* reading([answer, events(story)])
          const error = yield* first
          expect(error).toMatchObject({ _tag: "UnsupportedFeature", feature: "background responses", billed: "no" })
          expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
          const { resumable = () => Effect.dieMessage("none") } = model
          yield* TestClock.adjust("9 minutes")
          expect(yield* Effect.flip(resumable({ prompt: "Hi" }))).toMatchObject({ _tag: "UnsupportedFeature" })
          expect(sent).toHaveLength(1)
          yield* TestClock.adjust("1 minute")
          const again = yield* resumable({ prompt: "Hi" })
          expect((yield* StreamPart.collect(again.parts)).text).toBe("Hello world, again.")
        }))
    }

    it.effect("is an ordinary error where the refusal is about something else", () =>
      Effect.gen(function*() {
        const { first } = yield* reading([
          refusal(400, "Invalid value for 'background'.", { param: "tools[0].background" })
        ])
        expect(yield* first).toMatchObject({ _tag: "InvalidRequest", param: "tools[0].background" })
      }))
  })

  describe("that nobody wants", () => {
    it.effect("is cancelled once, by its id", () =>
      Effect.gen(function*() {
        const { first, more, reply, sent } = yield* reading([cutAt(6), body(unfinished("cancelled"))])
        yield* first
        yield* reply.cancel
        yield* reply.cancel
        expect(sent).toHaveLength(2)
        expect(sent[1]).toMatchObject({ method: "POST", url: `${url}/resp_1/cancel`, body: undefined })
        expect(sent[1]?.headers["authorization"]).toBe(`Bearer ${key}`)
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
      }))

    it.effect("is not cancelled after its end, nor where it is gone", () =>
      Effect.gen(function*() {
        const whole = yield* reading([events(story)])
        yield* whole.first
        yield* whole.reply.cancel
        expect(whole.sent).toHaveLength(1)
        const gone = yield* reading([cutAt(6), refusal(404, "not found")])
        yield* gone.first
        yield* gone.more
        yield* gone.reply.cancel
        expect(gone.sent).toHaveLength(2)
      }))

    it.effect("is cancelled without a failure, whatever the provider says", () =>
      Effect.gen(function*() {
        for (const answer of [refusal(500, "Sorry"), "refused" as const, () => json("not JSON")]) {
          const { first, reply, sent } = yield* reading([cutAt(6), answer])
          yield* first
          expect(yield* Effect.exit(reply.cancel)).toEqual(Exit.void)
          expect(sent).toHaveLength(2)
        }
      }))

    it.effect("is waited for no longer than 5 seconds, also at the end of a scope that was interrupted", () =>
      Effect.gen(function*() {
        const { first, reply, sent } = yield* reading([cutAt(6), "hang"])
        yield* first
        const consumer = yield* Effect.fork(Effect.ensuring(Effect.never, reply.cancel))
        yield* Effect.yieldNow()
        const left = yield* Effect.fork(Fiber.interrupt(consumer))
        yield* TestClock.adjust("4999 millis")
        expect(sent).toHaveLength(2)
        expect(left.unsafePoll()).toBeNull()
        yield* TestClock.adjust("1 millis")
        expect(left.unsafePoll()).not.toBeNull()
      }))
  })
})
