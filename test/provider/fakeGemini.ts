/** What the tests of Gemini share: a client that answers without a network, and replies to answer with. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import { fakeClient, json } from "./fakeOpenAi.ts"

export const key = "AIzaSyTest-1234567890abcdefghijklmnopqr"

export const options: Gemini.Options = { apiKey: Redacted.make(key), model: "gemini-2.5-flash" }

export const content = (...parts: ReadonlyArray<unknown>): object => ({ role: "model", parts })

/** A reply, or one chunk of a stream. */
export const reply = (candidate: object | undefined, rest: object = {}): object => ({
  ...(candidate === undefined ? {} : { candidates: [{ index: 0, ...candidate }] }),
  usageMetadata: { promptTokenCount: 9, candidatesTokenCount: 2, thoughtsTokenCount: 5, totalTokenCount: 16 },
  modelVersion: "gemini-2.5-flash-001",
  responseId: "resp-1",
  ...rest
})

export const answer = (...parts: ReadonlyArray<unknown>): object =>
  reply({ content: content(...parts), finishReason: "STOP" })

export const ask = (
  respond: () => globalThis.Response,
  request: LanguageModel.Request = { prompt: "Hi" },
  more: Partial<Gemini.Options> = {}
) => {
  const { client, sent } = fakeClient(respond)
  return Effect.map(
    Gemini.make({ ...options, ...more }).pipe(
      Effect.flatMap((model) => Effect.either(model.generate(request))),
      Effect.provideService(HttpClient.HttpClient, client)
    ),
    (result) => ({ result, sent })
  )
}

export const answered = (body: unknown, init?: ResponseInit) =>
  Effect.flatMap(ask(() => json(body, init)), ({ result }) => result)

export const failed = (body: unknown, init?: ResponseInit) => Effect.flip(answered(body, init))

export const bodyOf = (request: LanguageModel.Request, more?: Partial<Gemini.Options>) =>
  Effect.map(ask(() => json(answer({ text: "ok" })), request, more), ({ sent }) => sent[0]?.body)

/** An event stream of these payloads; texts go in as they are. */
export const events = (...payloads: ReadonlyArray<unknown>): string =>
  payloads.map((each) => typeof each === "string" ? each : `data: ${JSON.stringify(each)}\r\n\r\n`).join("")

const eventStream = (text: string): globalThis.Response =>
  new globalThis.Response(text, { headers: { "content-type": "text/event-stream" } })

export const streamed = (text: string, request: LanguageModel.Request = { prompt: "Hi" }) => {
  const { client, sent } = fakeClient(() => eventStream(text))
  return Effect.map(
    Gemini.make(options).pipe(
      Effect.flatMap((model) => Effect.either(StreamPart.collect(model.stream(request)))),
      Effect.provideService(HttpClient.HttpClient, client)
    ),
    (result) => ({ result, sent })
  )
}
