/** What the tests of OpenAiChat share: a client that answers without a network. */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"

export const key = "sk-test-1234567890abcdefghij"

export const options: OpenAiChat.Options = { apiKey: Redacted.make(key), model: "gpt-4o-mini" }

interface Sent {
  readonly url: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: unknown
}

export const sentBy = (request: HttpClientRequest.HttpClientRequest): Sent => ({
  url: request.url,
  headers: { ...request.headers },
  body: request.body._tag === "Uint8Array" ? JSON.parse(new TextDecoder().decode(request.body.body)) : undefined
})

/** A client that answers every request with the same reply, and remembers what it was sent. */
export const fakeClient = (
  reply: () => globalThis.Response
): { readonly sent: Array<Sent>; readonly client: HttpClient.HttpClient } => {
  const sent: Array<Sent> = []
  return {
    sent,
    client: HttpClient.make((request) =>
      Effect.sync(() => {
        sent.push(sentBy(request))
        return HttpClientResponse.fromWeb(request, reply())
      })
    )
  }
}

export const json = (body: unknown, init: ResponseInit = {}): globalThis.Response =>
  new globalThis.Response(typeof body === "string" ? body : JSON.stringify(body), {
    ...init,
    headers: { "content-type": "application/json", ...init.headers }
  })

export const completion = (message: unknown, rest: object = {}, choice: object = {}): object => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "gpt-4o-mini-2024-07-18",
  choices: [{ index: 0, message, finish_reason: "stop", ...choice }],
  usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
  ...rest
})

export const ask = (
  reply: () => globalThis.Response,
  request: LanguageModel.Request = { prompt: "Hi" },
  more: Partial<OpenAiChat.Options> = {}
) => {
  const { client, sent } = fakeClient(reply)
  return Effect.map(
    OpenAiChat.make({ ...options, ...more }).pipe(
      Effect.flatMap((model) => Effect.either(model.generate(request))),
      Effect.provideService(HttpClient.HttpClient, client)
    ),
    (result) => ({ result, sent })
  )
}

export const answered = (
  reply: () => globalThis.Response,
  request?: LanguageModel.Request,
  more?: Partial<OpenAiChat.Options>
) => Effect.flatMap(ask(reply, request, more), ({ result }) => result)

export const failed = (
  reply: () => globalThis.Response,
  request?: LanguageModel.Request,
  more?: Partial<OpenAiChat.Options>
) => Effect.flip(answered(reply, request, more))

export const bodyOf = (request: LanguageModel.Request, more?: Partial<OpenAiChat.Options>) =>
  Effect.map(ask(() => json(completion({ content: "ok" })), request, more), ({ sent }) => sent[0]?.body)
