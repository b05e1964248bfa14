/** Background responses over real sockets: our own client against a server that keeps replies and misbehaves. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as BackgroundFault from "../../src/chaos/BackgroundFault.ts"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as StreamFault from "../../src/chaos/StreamFault.ts"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { answer, kit, modelOf, wireNames } from "./chaosWires.ts"

const prompt = "Please book a flight to Tromsø."

const clientOf = (server: ChaosServer.Service) =>
  Effect.gen(function*() {
    const model = yield* OpenAiResponses.make({
      model: "gpt-4o-mini",
      baseUrl: server.baseUrls.openAiResponses,
      apiKey: Redacted.make(server.apiKey),
      background: true
    })
    const { resumable } = model
    return resumable === undefined ? yield* Effect.dieMessage("the model keeps no replies") : { model, resumable }
  }).pipe(Effect.provide(FetchHttpClient.layer))

const meet = (faults: ReadonlyArray<Fault.Fault | null>, options: ChaosServer.Options = {}) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ ...options, plan: Fault.script({ inOrder: faults }, 7) })
    return { server, ...(yield* clientOf(server)) }
  })

interface Outcome {
  readonly parts: ReadonlyArray<StreamPart.StreamPart>
  readonly errors: ReadonlyArray<ModelError>
  readonly isWhole: boolean
}

/** Reads a reply to its end, going on with it after each break, at most so often. */
const followed = (
  reply: LanguageModel.Resumable<ModelError>,
  most = 12
): Effect.Effect<Outcome> =>
  Effect.gen(function*() {
    const parts: Array<StreamPart.StreamPart> = []
    const errors: Array<ModelError> = []
    for (let attempt = 0; attempt <= most; attempt++) {
      const read = Stream.runForEach(attempt === 0 ? reply.parts : reply.resume, (part) =>
        Effect.sync(() => void parts.push(part)))
      const result = yield* Effect.either(read)
      if (Either.isRight(result)) {
        return { parts, errors, isWhole: true }
      }
      errors.push(result.left)
      if (result.left._tag === "ResumeExpired" || result.left._tag === "UnsupportedFeature") {
        break
      }
    }
    return { parts, errors, isWhole: false }
  })

const textOf = ({ parts }: Outcome): string => parts.map((part) => part._tag === "TextDelta" ? part.text : "").join("")

const tagsOf = ({ errors }: Outcome) => errors.map(({ _tag }) => _tag)

const count = ({ parts }: Outcome, tag: StreamPart.StreamPart["_tag"]) =>
  parts.filter(({ _tag }) => _tag === tag).length

const booksUntil = (server: ChaosServer.Service, done: (books: ChaosServer.Books) => boolean) =>
  server.books.pipe(
    Effect.filterOrFail(done),
    Effect.retry(Schedule.spaced("2 millis")),
    Effect.orDie
  )

describe("background responses over sockets", () => {
  for (const what of ["texts", "tool calls"] as const) {
    it.scopedLive(
      `give 200 ${what} whole and once, under faults in 30 % of all connections`,
      () =>
        Effect.gen(function*() {
          const server = yield* ChaosServer.make({
            // One key for all, so that one request is like the other; its arrivals have fates of their own.
            requestKey: (text) => text,
            plan: Fault.storm({
              seed: 12,
              streams: {
                cuts: 0.13,
                errors: { probability: 0.09, when: ["late"] },
                malformedChunks: 0.04,
                missingTerminals: 0.04
              },
              background: { repeatedEvents: { probability: 0.05 } }
            })
          })
          const { resumable } = yield* clientOf(server)
          const tools = yield* kit
          const request: LanguageModel.Request = what === "texts" ? { prompt } : { prompt, tools }
          const outcomes = yield* Effect.forEach(
            Array.from({ length: 200 }),
            () => Effect.flatMap(resumable(request), (reply) => followed(reply)),
            { concurrency: 20 }
          )
          const meant = Option.getOrThrow(yield* server.meant(prompt))
          for (const outcome of outcomes) {
            expect(outcome.isWhole, tagsOf(outcome).join()).toBe(true)
            expect(count(outcome, "Start")).toBe(1)
            expect(count(outcome, "Finish")).toBe(1)
            const reply = yield* StreamPart.collect(Stream.fromIterable(outcome.parts))
            if (what === "texts") {
              expect(textOf(outcome)).toBe(answer)
              expect(reply.finishReason).toBe("stop")
            } else {
              expect(count(outcome, "ToolCall")).toBe(meant.length)
              const calls = Either.getOrThrow(ToolCall.decode(tools, reply))
              expect(calls.map(({ arguments: given, name }) => ({ name, arguments: given }))).toEqual(meant)
            }
          }
          const broken = outcomes.filter(({ errors }) => errors.length > 0).length
          expect(broken).toBeGreaterThan(40)
          const finish = outcomes[0]?.parts.at(-1)
          const usage = finish?._tag === "Finish" ? finish.usage : undefined
          const books = yield* booksUntil(server, ({ inFlight }) => inFlight === 0)
          expect(books.background).toMatchObject({ created: 200, completed: 200, cancelled: 0, refused: 0 })
          expect(books.background.resumed + books.background.polled).toBeGreaterThanOrEqual(broken)
          // Nothing is paid twice, however often a reply was gone on with.
          expect(books.tokens).toEqual({
            prompt: 200 * (usage?.inputTokens ?? 0),
            completion: 200 * (usage?.outputTokens ?? 0)
          })
        }),
      60_000
    )
  }

  it.scopedLive("give the rest of a reply by polling where its stream is too old", () =>
    Effect.gen(function*() {
      const { resumable, server } = yield* meet([StreamFault.cut("clean"), BackgroundFault.tooOldToStream], {
        tokenDelay: "1 millis"
      })
      const outcome = yield* Effect.flatMap(resumable({ prompt }), (reply) => followed(reply))
      expect(outcome.isWhole).toBe(true)
      expect(textOf(outcome)).toBe(answer)
      expect(tagsOf(outcome)).toEqual(["Truncated"])
      const { background } = yield* server.books
      expect(background).toMatchObject({ created: 1, completed: 1, resumed: 0 })
      expect(background.polled).toBeGreaterThanOrEqual(1)
    }))

  it.scopedLive("can no longer be streamed after the time that the server is told", () =>
    Effect.gen(function*() {
      const { resumable } = yield* meet([StreamFault.cut("clean")], { background: { streamable: 0 } })
      const outcome = yield* Effect.flatMap(resumable({ prompt }), (reply) => followed(reply))
      expect(outcome.isWhole).toBe(true)
      expect(textOf(outcome)).toBe(answer)
    }))

  it.scopedLive("are gone after the time that the server is told", () =>
    Effect.gen(function*() {
      const { resumable, server } = yield* meet([StreamFault.cut("clean")], { background: { kept: 0 } })
      const outcome = yield* Effect.flatMap(resumable({ prompt }), (reply) => followed(reply))
      expect(tagsOf(outcome)).toEqual(["Truncated", "ResumeExpired"])
      expect((yield* server.books).background.refused).toBe(1)
    }))

  it.scopedLive("have expired where the server has forgotten them", () =>
    Effect.gen(function*() {
      const { resumable } = yield* meet([StreamFault.cut("reset"), BackgroundFault.forgottenReply])
      const outcome = yield* Effect.flatMap(resumable({ prompt }), (reply) => followed(reply))
      expect(tagsOf(outcome)).toEqual(["Truncated", "ResumeExpired"])
      expect(answer.startsWith(textOf(outcome))).toBe(true)
    }))

  for (
    const [name, faults, options] of [
      ["by its fate", [BackgroundFault.noRetention], {}],
      ["by its settings", [], { background: { retention: "refused" } }]
    ] satisfies ReadonlyArray<readonly [string, ReadonlyArray<Fault.Fault>, ChaosServer.Options]>
  ) {
    it.scopedLive(`are UnsupportedFeature where the server refuses them ${name}, and a stream goes well`, () =>
      Effect.gen(function*() {
        const { model, resumable, server } = yield* meet(faults, options)
        const outcome = yield* Effect.flatMap(resumable({ prompt }), (reply) => followed(reply))
        expect(tagsOf(outcome)).toEqual(["UnsupportedFeature"])
        expect((yield* StreamPart.collect(model.stream({ prompt }))).text).toBe(answer)
        expect((yield* server.books).background.created).toBe(0)
      }))
  }

  it.scopedLive("skip what a server repeats", () =>
    Effect.gen(function*() {
      const { resumable } = yield* meet([
        BackgroundFault.repeatedEvents("one"),
        StreamFault.cut("clean"),
        BackgroundFault.repeatedEvents("all")
      ])
      for (const errors of [[], ["Truncated"]]) {
        const outcome = yield* Effect.flatMap(resumable({ prompt }), (reply) => followed(reply))
        expect(tagsOf(outcome)).toEqual(errors)
        expect(textOf(outcome)).toBe(answer)
      }
    }))

  it.scopedLive("are cancelled for a consumer who leaves, and cost what was made by then", () =>
    Effect.gen(function*() {
      const { model, resumable, server } = yield* meet([], { tokenDelay: "30 millis" })
      const whole = yield* model.generate({ prompt })
      const reply = yield* resumable({ prompt })
      const consumer = yield* Effect.fork(Effect.ensuring(Stream.runDrain(reply.parts), reply.cancel))
      yield* booksUntil(server, ({ background }) => background.created === 1)
      yield* Effect.sleep("60 millis")
      yield* Fiber.interrupt(consumer)
      const books = yield* booksUntil(server, ({ inFlight }) => inFlight === 0)
      expect(books.background).toMatchObject({ created: 1, completed: 0, cancelled: 1 })
      expect(books.aborted).toBe(1)
      expect(books.tokens.completion - whole.usage.outputTokens).toBeLessThan(whole.usage.outputTokens)
    }))

  it.scopedLive("are not cancelled after their end", () =>
    Effect.gen(function*() {
      const { resumable, server } = yield* meet([])
      const reply = yield* resumable({ prompt })
      yield* Stream.runDrain(reply.parts)
      yield* reply.cancel
      expect((yield* server.books).background).toMatchObject({ completed: 1, cancelled: 0 })
    }))

  it.scopedLive("can be asked for without a stream: queued, and then polled", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make({ tokenDelay: "1 millis" })
      const ask = (path: string, init: RequestInit = {}) =>
        Effect.promise(async (): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> => {
          const reply = await fetch(`${server.baseUrls.openAiResponses}/responses${path}`, {
            ...init,
            headers: { "authorization": `Bearer ${server.apiKey}`, "content-type": "application/json" }
          })
          return { status: reply.status, body: JSON.parse(await reply.text()) }
        })
      const created = yield* ask("", {
        method: "POST",
        body: JSON.stringify({ model: "gpt-4o-mini", input: prompt, background: true })
      })
      expect(created.body).toMatchObject({ status: "queued", background: true, store: true, output: [] })
      const path = `/${String(created.body["id"])}`
      const polled = yield* ask(path).pipe(
        Effect.filterOrFail(({ body }) => body["status"] === "completed"),
        Effect.retry(Schedule.spaced("5 millis")),
        Effect.orDie
      )
      expect(JSON.stringify(polled.body["output"])).toContain(answer)
      expect((yield* ask(`${path}?stream=true`)).status).toBe(400)
      expect((yield* ask("/resp_unknown")).status).toBe(404)
      expect((yield* ask("/resp_unknown/cancel", { method: "POST" })).status).toBe(404)
    }))

  it.scopedLive("tell a wrong option of the server", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ChaosServer.make({ background: { kept: Infinity, streamable: Infinity } }))
      expect(error.issues.map(({ path }) => path)).toEqual(["background.kept", "background.streamable"])
    }))

  for (const wire of wireNames) {
    it.scopedLive(`are no capability of a client of ${wire} that is not told of them`, () =>
      Effect.gen(function*() {
        const server = yield* ChaosServer.make()
        const model = yield* modelOf(server, wire)
        expect(model.resumable).toBeUndefined()
        expect(model.capabilities.resume).toBeUndefined()
      }))
  }
})
