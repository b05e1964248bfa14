/** What the tests of OpenAiResponses share: replies as the server writes them, and a model behind a client without network. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { fakeClient, json, key } from "./fakeOpenAi.ts"

export const options: OpenAiResponses.Options = { apiKey: Redacted.make(key), model: "gpt-5-mini" }

export const usage = {
  input_tokens: 9,
  input_tokens_details: { cached_tokens: 3 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 14
}

export const message = (text: string, rest: object = {}): object => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [] }],
  ...rest
})

export const call = (rest: object = {}): object => ({
  id: "fc_1",
  type: "function_call",
  status: "completed",
  call_id: "call_1",
  name: "add",
  arguments: "{\"a\":1}",
  ...rest
})

export const response = (output: ReadonlyArray<unknown>, rest: object = {}): object => ({
  id: "resp_1",
  object: "response",
  status: "completed",
  error: null,
  incomplete_details: null,
  model: "gpt-5-mini-2025-08-07",
  output,
  usage,
  ...rest
})

export const ask = (
  reply: () => globalThis.Response,
  request: LanguageModel.Request = { prompt: "Hi" },
  more: Partial<OpenAiResponses.Options> = {}
) => {
  const { client, sent } = fakeClient(reply)
  return Effect.map(
    OpenAiResponses.make({ ...options, ...more }).pipe(
      Effect.flatMap((model) => Effect.either(model.generate(request))),
      Effect.provideService(HttpClient.HttpClient, client)
    ),
    (result) => ({ result, sent })
  )
}

export const answered = (reply: () => globalThis.Response, request?: LanguageModel.Request) =>
  Effect.flatMap(ask(reply, request), ({ result }) => result)

export const failed = (reply: () => globalThis.Response, request?: LanguageModel.Request) =>
  Effect.flip(answered(reply, request))

export const bodyOf = (request: LanguageModel.Request, more?: Partial<OpenAiResponses.Options>) =>
  Effect.map(ask(() => json(response([message("ok")])), request, more), ({ sent }) => sent[0]?.body)

/** Events as a server frames them; text is sent as it is. */
export const framed = (events: ReadonlyArray<unknown>): string =>
  events.map((event) => {
    if (typeof event === "string") return `data: ${event}\n\n`
    const type = typeof event === "object" && event !== null && "type" in event ? String(event.type) : undefined
    return `${type === undefined ? "" : `event: ${type}\n`}data: ${JSON.stringify(event)}\n\n`
  }).join("")

export const bytesOf = (text: string): Stream.Stream<Uint8Array> => Stream.make(new TextEncoder().encode(text))

export const decoded = (events: ReadonlyArray<unknown>) =>
  bytesOf(framed(events)).pipe(OpenAiResponses.decodeStream({ model: "asked" }))

/** The parts that came, and the error that ended them. */
export const partsOf = (events: ReadonlyArray<unknown>): {
  readonly parts: ReadonlyArray<StreamPart.StreamPart>
  readonly error: ModelError | undefined
} => {
  const parts: Array<StreamPart.StreamPart> = []
  const result = decoded(events).pipe(
    Stream.runForEach((part) => Effect.sync(() => void parts.push(part))),
    Effect.either,
    Effect.runSync
  )
  return { parts, error: Either.isLeft(result) ? result.left : undefined }
}

export const folded = (events: ReadonlyArray<unknown>) => StreamPart.collect(decoded(events))
