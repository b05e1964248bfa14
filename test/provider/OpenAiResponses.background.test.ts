/** Background responses: a reply that is gone on with over other connections, against a scripted client. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Verdict from "../../src/error/Verdict.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { body, callStory, events, numberedFrom, reading, refusal, story, unfinished } from "./fakeBackground.ts"
import { key } from "./fakeOpenAi.ts"
import { options, response } from "./fakeOpenAiResponses.ts"

const upTo = (last: number) => story.slice(0, last + 1)
const after = (last: number) => story.slice(last + 1)
const cutAt = (last: number) => events(upTo(last), "broken")

const url = "https://api.openai.com/v1/responses"

describe("OpenAiResponses, a background response", () => {
  describe("as a request", () => {
    it.effect("is asked for as background, stream and store, with a key of its own", () =>
      Effect.gen(function*() {
        const { first, sent, tags, text } = yield* reading([events(story)])
        expect(yield* first).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
        expect(tags()).toEqual(["Start", "TextDelta", "TextDelta", "TextDelta", "TextDelta", "Finish"])
        expect(sent).toHaveLength(1)
        expect(sent[0]).toMatchObject({
          method: "POST",
          url,
          headers: { "accept": "text/event-stream", "idempotency-key": expect.any(String) },
          body: { background: true, stream: true, store: true }
        })
      }))

    it.effect("asks for no encrypted reasoning, which the API refuses for a reply that it stores", () =>
      Effect.gen(function*() {
        const stored = yield* reading([events(story)])
        yield* stored.first
        expect(stored.sent[0]?.body).not.toHaveProperty("include")
        const notStored = yield* reading([events(story)], undefined, { store: false })
        yield* notStored.first
        expect(notStored.sent[0]?.body).toMatchObject({ store: false, include: ["reasoning.encrypted_content"] })
      }))

    it.effect("keeps what providerOptions say of store, and stays a background stream", () =>
      Effect.gen(function*() {
        const { first, sent } = yield* reading([events(story)], {
          prompt: "Hi",
          providerOptions: { store: false, stream: false }
        })
        yield* first
        expect(sent[0]?.body).toMatchObject({ background: true, stream: true, store: false })
      }))

    it.effect("is refused before it is sent where providerOptions say background: false", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(reading([], { prompt: "Hi", providerOptions: { background: false } }))
        expect(error).toMatchObject({ _tag: "UnsupportedFeature", feature: "background responses", billed: "no" })
      }))

    for (const kind of ["generate", "stream"] as const) {
      it.effect(`is refused typed where ${kind} is asked for one by providerOptions`, () =>
        Effect.gen(function*() {
          const { model } = yield* reading([])
          const request = { prompt: "Hi", providerOptions: { background: true } }
          const error = yield* Effect.flip(
            kind === "generate" ? model.generate(request) : Stream.runDrain(model.stream(request))
          )
          expect(error).toMatchObject({ _tag: "InvalidRequest", param: "providerOptions", billed: "no" })
        }))
    }
  })

  describe("where it is to be had", () => {
    const at = (more: Partial<OpenAiResponses.Options>) =>
      OpenAiResponses.make({ ...options, ...more }).pipe(
        Effect.provideService(HttpClient.HttpClient, HttpClient.make(() => Effect.die("nothing is sent")))
      )
    const cases: ReadonlyArray<readonly [name: string, more: Partial<OpenAiResponses.Options>, has: boolean]> = [
      ["OpenAI", {}, true],
      ["OpenAI in a region", { baseUrl: "https://eu.api.openai.com/v1" }, true],
      ["Azure", { baseUrl: "https://mine.openai.azure.com/openai/v1" }, true],
      ["another server", { baseUrl: "http://localhost:8000/v1" }, false],
      ["another server that is said to have it", { baseUrl: "http://localhost:8000/v1", background: true }, true],
      ["OpenAI where it is switched off", { background: false }, false]
    ]
    for (const [name, more, has] of cases) {
      it.effect(`${has ? "is" : "is not"} a capability at ${name}`, () =>
        Effect.map(at(more), (model) => {
          expect(model.capabilities.resume?.vendor).toBe(has ? true : undefined)
          expect(model.resumable !== undefined).toBe(has)
        }))
    }

    it.effect("stands beside a continuation that the options name", () =>
      Effect.map(
        at({ capabilities: { resume: { continuation: "followUp" } } }),
        ({ capabilities }) => expect(capabilities.resume).toEqual({ vendor: true, continuation: "followUp" })
      ))

    it.effect("takes the option with the configuration, too", () =>
      Effect.gen(function*() {
        const model = yield* OpenAiResponses.makeConfig({ background: false }).pipe(
          Effect.provideService(HttpClient.HttpClient, HttpClient.make(() => Effect.die("nothing is sent"))),
          Effect.withConfigProvider(ConfigProvider.fromMap(
            new Map([["OPENAI_API_KEY", key], ["OPENAI_MODEL", "gpt-5-mini"]])
          ))
        )
        expect(model.resumable).toBeUndefined()
      }))

    it.effect("tells an option that is no switch", () =>
      Effect.gen(function*() {
        // As JavaScript may give it.
        const wrong: OpenAiResponses.Options = JSON.parse("{\"model\":\"gpt-5-mini\",\"background\":\"yes\"}")
        const error = yield* Effect.flip(at({ ...wrong, apiKey: Redacted.make(key) }))
        expect(error.message).toContain("background")
        expect(error.message).toContain("true or false")
      }))
  })

  describe("that broke", () => {
    it.effect("is gone on with behind the last event, without Start and without a word twice", () =>
      Effect.gen(function*() {
        const { first, more, sent, tags, text } = yield* reading([cutAt(6), events(after(6))])
        expect(yield* first).toMatchObject({ _tag: "Truncated", received: "Hello world" })
        expect(yield* more).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
        expect(tags()).toEqual(["Start", "TextDelta", "TextDelta", "TextDelta", "TextDelta", "Finish"])
        expect(sent[1]).toMatchObject({
          method: "GET",
          url: `${url}/resp_1?stream=true&starting_after=6`,
          headers: { accept: "text/event-stream", authorization: `Bearer ${key}` },
          body: undefined
        })
        const [key1, key2] = sent.map(({ headers }) => headers["idempotency-key"])
        expect(key2).toMatch(/^[0-9a-f]{32}$/)
        expect(key2).not.toBe(key1)
      }))

    for (let last = 0; last < story.length - 1; last++) {
      it.effect(`gives the same reply after a cut behind event ${last}, and behind each later one`, () =>
        Effect.gen(function*() {
          for (let second = last; second < story.length - 1; second++) {
            const { first, more, text, tags } = yield* reading([
              cutAt(last),
              events(story.slice(last + 1, second + 1), "broken"),
              // A connection that brought nothing new is looked into before another one is opened.
              ...(second === last ? [body(unfinished("in_progress"))] : []),
              events(after(second))
            ])
            expect((yield* first)?._tag).toBe("Truncated")
            expect((yield* more)?._tag).toBe("Truncated")
            expect(yield* more).toBeUndefined()
            expect(text()).toBe("Hello world, again.")
            expect(tags().filter((tag) => tag === "Start" || tag === "Finish")).toEqual(["Start", "Finish"])
          }
        }))
    }

    for (let last = 0; last < callStory.length - 1; last++) {
      it.effect(`gives a tool call once and whole after a cut behind its event ${last}`, () =>
        Effect.gen(function*() {
          const { first, more, parts } = yield* reading([
            events(callStory.slice(0, last + 1), "broken"),
            events(callStory.slice(last + 1))
          ])
          yield* first
          expect(yield* more).toBeUndefined()
          const reply = yield* StreamPart.collect(Stream.fromIterable(parts))
          expect(reply.toolCalls).toEqual([{
            _tag: "ToolCall",
            id: "call_1",
            name: "add",
            arguments: "{\"a\":1,\"b\":2}"
          }])
          expect(parts.filter(({ _tag }) => _tag === "ToolCallStart")).toHaveLength(1)
          expect(parts.map((part) => part._tag === "ToolArgumentsDelta" ? part.delta : "").join(""))
            .toBe("{\"a\":1,\"b\":2}")
        }))
    }

    it.effect("tells all of the text in the error of a later cut", () =>
      Effect.gen(function*() {
        const { first, more } = yield* reading([cutAt(5), events(story.slice(6, 8), "broken")])
        yield* first
        expect(yield* more).toMatchObject({ _tag: "Truncated", received: "Hello world, " })
      }))

    it.effect("skips what came before, where a server replays the stream from its beginning", () =>
      Effect.gen(function*() {
        const { first, more, text, tags } = yield* reading([cutAt(6), events(story)])
        yield* first
        expect(yield* more).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
        expect(tags().filter((tag) => tag === "Start")).toHaveLength(1)
      }))

    it.effect("skips an event that comes twice", () =>
      Effect.gen(function*() {
        const { first, text } = yield* reading([
          events([...upTo(6), ...story.slice(6, 7), ...story.slice(5, 7), ...after(6)])
        ])
        expect(yield* first).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("is a MalformedResponse where an event is missing, and is gone on with from before the gap", () =>
      Effect.gen(function*() {
        const { first, more, sent, text } = yield* reading([events([...upTo(5), ...after(6)]), events(after(5))])
        const error = yield* first
        expect(error).toMatchObject({ _tag: "MalformedResponse" })
        expect(error?.message).toContain("event 7 came where event 6 was to come")
        expect(yield* more).toBeUndefined()
        expect(sent[1]?.url).toContain("starting_after=5")
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("counts a numbered heartbeat as an event that was not missed", () =>
      Effect.gen(function*() {
        const keepAlive = { type: "keepalive", sequence_number: 6 }
        const later = numberedFrom(7, after(5))
        const { first, text } = yield* reading([events([...upTo(5), keepAlive, ...later])])
        expect(yield* first).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("loses no event to a heartbeat whose number is that of the next event", () =>
      Effect.gen(function*() {
        const keepAlive = { type: "keepalive", sequence_number: 6 }
        const { first, text } = yield* reading([events([...upTo(5), keepAlive, keepAlive, ...after(5)])])
        expect(yield* first).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("takes no event of another reply", () =>
      Effect.gen(function*() {
        const other = { type: "response.completed", response: response([], { id: "resp_2" }), sequence_number: 7 }
        const { first, more } = yield* reading([cutAt(6), events([other])])
        yield* first
        const error = yield* more
        expect(error).toMatchObject({ _tag: "MalformedResponse" })
        expect(error?.message).toContain("resp_2")
      }))

    it.effect("goes on where a gateway says [DONE] before the end", () =>
      Effect.gen(function*() {
        const { first, more, text } = yield* reading([events([...upTo(6), "[DONE]"]), events(after(6))])
        expect(yield* first).toMatchObject({ _tag: "Truncated" })
        expect(yield* more).toBeUndefined()
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("has nothing more after its end", () =>
      Effect.gen(function*() {
        const { first, more, parts, sent } = yield* reading([events(story)])
        yield* first
        const count = parts.length
        expect(yield* more).toBeUndefined()
        expect(parts).toHaveLength(count)
        expect(sent).toHaveLength(1)
      }))

    it.effect("fails as the provider says where the resume is refused for now, and can be asked for again", () =>
      Effect.gen(function*() {
        const { first, more, sent, text } = yield* reading([
          cutAt(6),
          "refused",
          refusal(503, "overloaded"),
          refusal(429, "Rate limit reached. Please try again in 2s."),
          events(after(6))
        ])
        yield* first
        expect((yield* more)?._tag).toBe("ConnectionFailed")
        expect(Verdict.of(yield* more)).toMatchObject({ action: "Retry" })
        expect((yield* more)?._tag).toBe("RateLimited")
        expect(yield* more).toBeUndefined()
        expect(sent.slice(1).map((each) => each.url)).toEqual(
          Array.from({ length: 4 }, () => `${url}/resp_1?stream=true&starting_after=6`)
        )
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("is looked at before it is gone on with after an error within the stream", () =>
      Effect.gen(function*() {
        const failure = { type: "error", error: { type: "server_error", code: "server_error", message: "Sorry" } }
        const { first, more, sent, text } = yield* reading([
          events([...upTo(6), failure]),
          body(unfinished("in_progress")),
          events(after(6))
        ])
        expect((yield* first)?._tag).toBe("ServerError")
        expect(yield* more).toBeUndefined()
        expect(sent.map(({ method, url }) => `${method} ${url.split("/v1")[1]}`)).toEqual([
          "POST /responses",
          "GET /responses/resp_1",
          "GET /responses/resp_1?stream=true&starting_after=6"
        ])
        expect(text()).toBe("Hello world, again.")
      }))

    it.effect("has expired where it failed at the provider", () =>
      Effect.gen(function*() {
        const error = { code: "server_error", message: "Sorry" }
        const failed = { type: "response.failed", response: response([], { status: "failed", error }) }
        const { first, more, sent } = yield* reading([
          events([...upTo(6), ...numberedFrom(7, [failed])]),
          body(response([], { status: "failed", error }))
        ])
        expect((yield* first)?._tag).toBe("ServerError")
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired", reply: "resp_1" })
        expect(yield* more).toMatchObject({ _tag: "ResumeExpired" })
        expect(sent).toHaveLength(2)
      }))

    it.effect("keeps the query of the base URL", () =>
      Effect.gen(function*() {
        const { first, more, sent } = yield* reading([cutAt(6), events(after(6))], undefined, {
          baseUrl: "https://mine.openai.azure.com/openai/v1?api-version=preview"
        })
        yield* first
        yield* more
        expect(sent[1]?.url).toBe(
          "https://mine.openai.azure.com/openai/v1/responses/resp_1?api-version=preview&stream=true&starting_after=6"
        )
      }))
  })
})
