/** A client that answers one request after another from a script, and the replies of a server that keeps its responses. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { json, sentBy } from "./fakeOpenAi.ts"
import { call, framed, message, options, response } from "./fakeOpenAiResponses.ts"

/** What the server does with a request; `"refused"` is a connection that cannot be made, `"hang"` is no answer at all. */
export type Answer = (() => globalThis.Response) | "refused" | "hang"

export interface Request {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: unknown
}

/** A client that gives each answer once, in order; a request beyond them is a defect. */
export const scriptedClient = (
  answers: ReadonlyArray<Answer>
): { readonly sent: Array<Request>; readonly client: HttpClient.HttpClient } => {
  const sent: Array<Request> = []
  const failed = (request: HttpClientRequest.HttpClientRequest) =>
    new HttpClientError.RequestError({
      request,
      reason: "Transport",
      cause: Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
    })
  return {
    sent,
    client: HttpClient.make((request, url) =>
      Effect.suspend(() => {
        const answer = answers[sent.length]
        sent.push({ ...sentBy(request), url: url.href, method: request.method })
        if (answer === undefined) return Effect.die(new Error(`request ${sent.length} was not foreseen: ${url.href}`))
        if (answer === "hang") return Effect.never
        return answer === "refused"
          ? Effect.fail(failed(request))
          : Effect.sync(() => HttpClientResponse.fromWeb(request, answer()))
      })
    )
  }
}

/** Events, and then the end of the connection: clean, or broken. */
export const events = (
  list: ReadonlyArray<unknown>,
  end: "clean" | "broken" = "clean"
): () => globalThis.Response =>
() =>
  new globalThis.Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(framed(list)))
        if (end === "clean") controller.close()
      },
      pull(controller) {
        controller.error(new Error("terminated"))
      }
    }),
    { headers: { "content-type": "text/event-stream" } }
  )

export const body = (value: unknown, status = 200): () => globalThis.Response => () => json(value, { status })

export const refusal = (status: number, text: string, more: object = {}): () => globalThis.Response =>
  body({ error: { message: text, type: "invalid_request_error", param: null, code: null, ...more } }, status)

export const tooOld = refusal(
  400,
  "This response can no longer be streamed because it is more than 5 minutes old"
)

/** Events with their numbers, from the given one on. */
export const numberedFrom = (first: number, list: ReadonlyArray<object>): ReadonlyArray<object> =>
  list.map((event, at) => ({ ...event, sequence_number: first + at }))

export const unfinished = (status: string) => response([], { status, usage: null, background: true })

const piece = { output_index: 0, content_index: 0, item_id: "msg_1" }

export const delta = (text: string) => ({ type: "response.output_text.delta", ...piece, delta: text })

/** The events of "Hello world, again.", numbered 0 to 10; the deltas are 5 to 8. */
export const story = numberedFrom(0, [
  { type: "response.created", response: unfinished("queued") },
  { type: "response.queued", response: unfinished("queued") },
  { type: "response.in_progress", response: unfinished("in_progress") },
  { type: "response.output_item.added", output_index: 0, item: message("", { content: [], status: "in_progress" }) },
  { type: "response.content_part.added", ...piece, part: { type: "output_text", text: "", annotations: [] } },
  delta("Hello "),
  delta("world"),
  delta(", "),
  delta("again."),
  { type: "response.output_item.done", output_index: 0, item: message("Hello world, again.") },
  { type: "response.completed", response: response([message("Hello world, again.")]) }
])

export const finished = response([message("Hello world, again.")])

const argumentsDelta = (text: string) => ({
  type: "response.function_call_arguments.delta",
  output_index: 0,
  item_id: "fc_1",
  delta: text
})

/** The events of the call add({"a":1,"b":2}), numbered 0 to 6; the deltas are 2 to 4. */
export const callStory = numberedFrom(0, [
  { type: "response.created", response: unfinished("queued") },
  {
    type: "response.output_item.added",
    output_index: 0,
    item: call({ arguments: "", status: "in_progress" })
  },
  argumentsDelta("{\"a\""),
  argumentsDelta(":1,"),
  argumentsDelta("\"b\":2}"),
  { type: "response.output_item.done", output_index: 0, item: call({ arguments: "{\"a\":1,\"b\":2}" }) },
  { type: "response.completed", response: response([call({ arguments: "{\"a\":1,\"b\":2}" })]) }
])

export const finishedCall = response([call({ arguments: "{\"a\":1,\"b\":2}" })])

/** One reply as it is read over several connections. */
export interface Reading {
  readonly sent: ReadonlyArray<Request>
  readonly model: LanguageModel.Service<ModelError>
  readonly reply: LanguageModel.Resumable<ModelError>
  readonly parts: ReadonlyArray<StreamPart.StreamPart>
  /** Reads the request's own stream. */
  readonly first: Effect.Effect<ModelError | undefined>
  /** Goes on with it. */
  readonly more: Effect.Effect<ModelError | undefined>
  /** The text that was delivered, over all connections. */
  readonly text: () => string
  readonly tags: () => ReadonlyArray<string>
}

export const reading = (
  answers: ReadonlyArray<Answer>,
  request: LanguageModel.Request = { prompt: "Hi" },
  more: Partial<OpenAiResponses.Options> = {}
): Effect.Effect<Reading, ModelError> =>
  Effect.gen(function*() {
    const { client, sent } = scriptedClient(answers)
    const model = yield* Effect.orDie(
      OpenAiResponses.make({ ...options, ...more }).pipe(Effect.provideService(HttpClient.HttpClient, client))
    )
    if (model.resumable === undefined) return yield* Effect.die(new Error("the model keeps no replies"))
    const reply = yield* model.resumable(request)
    const parts: Array<StreamPart.StreamPart> = []
    const read = (stream: Stream.Stream<StreamPart.StreamPart, ModelError>) =>
      stream.pipe(
        Stream.runForEach((part) => Effect.sync(() => void parts.push(part))),
        Effect.as(undefined),
        Effect.catchAll((error) => Effect.succeed(error))
      )
    return {
      sent,
      model,
      reply,
      parts,
      first: read(reply.parts),
      more: read(reply.resume),
      text: () => parts.map((part) => part._tag === "TextDelta" ? part.text : "").join(""),
      tags: () => parts.map(({ _tag }) => _tag)
    }
  })
