/** What the tests of Anthropic share: messages and events as the API sends them, and a client that answers with them. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import { fakeClient, json } from "./fakeOpenAi.ts"

export const key = "sk-ant-api03-1234567890abcdefghij"

export const options: Anthropic.Options = { apiKey: Redacted.make(key), model: "claude-sonnet-4-5" }

export const message = (content: unknown, rest: object = {}): object => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-sonnet-4-5-20250929",
  content,
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 9, output_tokens: 2 },
  ...rest
})

export const said = (text: string): object => message([{ type: "text", text }])

export const ask = (
  reply: () => globalThis.Response,
  request: LanguageModel.Request = { prompt: "Hi" },
  more: Partial<Anthropic.Options> = {}
) => {
  const { client, sent } = fakeClient(reply)
  return Effect.map(
    Anthropic.make({ ...options, ...more }).pipe(
      Effect.flatMap((model) => Effect.either(model.generate(request))),
      Effect.provideService(HttpClient.HttpClient, client)
    ),
    (result) => ({ result, sent })
  )
}

export const answered = (...args: Parameters<typeof ask>) => Effect.flatMap(ask(...args), ({ result }) => result)

export const failed = (...args: Parameters<typeof ask>) => Effect.flip(answered(...args))

export const bodyOf = (request: LanguageModel.Request, more?: Partial<Anthropic.Options>) =>
  Effect.map(ask(() => json(said("ok")), request, more), ({ sent }) => sent[0]?.body)

type Event = { readonly type: string; readonly [field: string]: unknown }

/** The bytes of events, named as the API names them. */
export const sse = (events: ReadonlyArray<Event>): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")

export const messageStart = (rest: object = {}): Event => ({
  type: "message_start",
  message: message([], { stop_reason: null, usage: { input_tokens: 9, output_tokens: 1 }, ...rest })
})

export const blockStart = (index: number, content_block: unknown): Event => ({
  type: "content_block_start",
  index,
  content_block
})

export const delta = (index: number, fields: object): Event => ({ type: "content_block_delta", index, delta: fields })

export const textDelta = (index: number, text: string): Event => delta(index, { type: "text_delta", text })

export const jsonDelta = (index: number, partial_json: string): Event =>
  delta(index, { type: "input_json_delta", partial_json })

export const blockStop = (index: number): Event => ({ type: "content_block_stop", index })

export const ending = (stop_reason: string | null, usage: object = { output_tokens: 2 }): ReadonlyArray<Event> => [
  { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage },
  { type: "message_stop" }
]

/** A whole reply that says one text. */
export const saying = (text: string): ReadonlyArray<Event> => [
  messageStart(),
  blockStart(0, { type: "text", text: "" }),
  textDelta(0, text),
  blockStop(0),
  ...ending("end_turn")
]

const bytesOf = (text: string) => Stream.succeed(new TextEncoder().encode(text))

/** The parts that come of a text, and the error that ended them. */
export const decoded = (text: string) =>
  Effect.gen(function*() {
    const parts: Array<StreamPart.StreamPart> = []
    const result = yield* bytesOf(text).pipe(
      Anthropic.decodeStream({ model: "asked" }),
      Stream.runForEach((part) => Effect.sync(() => void parts.push(part))),
      Effect.either
    )
    return { parts, error: result._tag === "Left" ? result.left : undefined }
  })

export const collected = (events: ReadonlyArray<Event>) =>
  StreamPart.collect(Anthropic.decodeStream({ model: "asked" })(bytesOf(sse(events))))
