/** What the tables of bad input share: four providers as their servers see them, and a server that does as it is told. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import { afterEach, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Http from "node:http"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type { Response } from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"

export const key = "sk-test-0123456789abcdefghij"

type Model = LanguageModel.Service<ModelError>

interface Caps {
  readonly maxBodyBytes?: number
  readonly maxEventBytes?: number
}

/** A provider, and what its server says when all is well. */
export interface Provider {
  readonly name: string
  readonly make: (
    options: Caps & { readonly baseUrl: string; readonly apiKey: Redacted.Redacted<string>; readonly model: string }
  ) => Effect.Effect<Model, InvalidOptions, HttpClient.HttpClient>
  /** A reply that says "Hello". */
  readonly whole: string
  /** The same as a stream that has said "Hel", and the rest of it. */
  readonly begun: string
  readonly rest: string
  /** Whether an event of the stream says that it is over; Gemini's stream is over when its bytes are. */
  readonly saysItsEnd: boolean
  /** What a wrong key is answered with. */
  readonly refusal: { readonly status: number; readonly body: object }
}

const data = (payload: object): string => `data: ${JSON.stringify(payload)}\n\n`

const named = (payload: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${payload.type}\n${data(payload)}`

const chunk = (delta: object, finish_reason: string | null = null): string =>
  data({ id: "c1", model: "m", choices: [{ index: 0, delta, finish_reason }] })

const responsesReply = {
  id: "r1",
  object: "response",
  status: "completed",
  model: "m",
  output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "Hello" }] }],
  usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 }
}

const responsesDelta = (delta: string): string =>
  named({ type: "response.output_text.delta", output_index: 0, content_index: 0, delta })

const message = (content: ReadonlyArray<object>, stop_reason: string | null): object => ({
  id: "m1",
  type: "message",
  role: "assistant",
  model: "m",
  content,
  stop_reason,
  usage: { input_tokens: 1, output_tokens: 2 }
})

const blockDelta = (text: string): string =>
  named({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })

const candidates = (text: string, finishReason?: string): object => ({
  candidates: [{ content: { role: "model", parts: [{ text }] }, finishReason, index: 0 }],
  modelVersion: "m",
  responseId: "g1"
})

export const providers: ReadonlyArray<Provider> = [
  {
    name: "OpenAiChat",
    make: OpenAiChat.make,
    whole: JSON.stringify({
      id: "c1",
      model: "m",
      choices: [{ message: { content: "Hello" }, finish_reason: "stop" }]
    }),
    begun: chunk({ content: "Hel" }),
    rest: chunk({ content: "lo" }) + chunk({}, "stop") + "data: [DONE]\n\n",
    saysItsEnd: true,
    refusal: { status: 401, body: { error: { message: "Incorrect API key", code: "invalid_api_key" } } }
  },
  {
    name: "OpenAiResponses",
    make: OpenAiResponses.make,
    whole: JSON.stringify(responsesReply),
    begun: responsesDelta("Hel"),
    rest: responsesDelta("lo") + named({ type: "response.completed", response: responsesReply }),
    saysItsEnd: true,
    refusal: { status: 401, body: { error: { message: "Incorrect API key", code: "invalid_api_key" } } }
  },
  {
    name: "Anthropic",
    make: Anthropic.make,
    whole: JSON.stringify(message([{ type: "text", text: "Hello" }], "end_turn")),
    begun: named({ type: "message_start", message: message([], null) }) +
      named({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }) + blockDelta("Hel"),
    rest: blockDelta("lo") + named({ type: "content_block_stop", index: 0 }) +
      named({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } }) +
      named({ type: "message_stop" }),
    saysItsEnd: true,
    refusal: {
      status: 401,
      body: { type: "error", error: { type: "authentication_error", message: "invalid x-api-key" } }
    }
  },
  {
    name: "Gemini",
    make: Gemini.make,
    whole: JSON.stringify(candidates("Hello", "STOP")),
    begun: data(candidates("Hel")),
    rest: data(candidates("lo", "STOP")),
    saysItsEnd: false,
    refusal: {
      status: 400,
      body: {
        error: {
          code: 400,
          message: "API key not valid. Please pass a valid API key.",
          status: "INVALID_ARGUMENT",
          details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" }]
        }
      }
    }
  }
]

/** How a reply is asked for. */
export const kinds: ReadonlyArray<{
  readonly kind: "generate" | "stream"
  readonly type: string
  readonly ask: (model: Model) => Effect.Effect<Response, ModelError>
}> = [
  { kind: "generate", type: "application/json", ask: (model) => model.generate({ prompt: "Hi" }) },
  { kind: "stream", type: "text/event-stream", ask: (model) => StreamPart.collect(model.stream({ prompt: "Hi" })) }
]

export type Kind = (typeof kinds)[number]

export const clients: ReadonlyArray<readonly [name: string, layer: Layer.Layer<HttpClient.HttpClient>]> = [
  ["fetch", FetchHttpClient.layer],
  ["undici", NodeHttpClient.layerUndici]
]

const opened = new Set<Http.Server>()

afterEach(() => {
  for (const server of opened) {
    server.closeAllConnections()
    server.close()
  }
  opened.clear()
})

export type Handle = (response: Http.ServerResponse, request: Http.IncomingMessage) => void

/** A server on a port of its own; it answers when the request has come whole. Gives its origin. */
export const listen = (handle: Handle): Effect.Effect<string> =>
  Effect.async((resume) => {
    const server = Http.createServer((request, response) => {
      // A client that leaves early makes writes fail, which is what is tested.
      response.on("error", () => {})
      request.socket.on("error", () => {})
      request.resume().on("end", () => handle(response, request))
    })
    opened.add(server)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`))
    })
  })

/** Asks a server that answers so. */
export const asked = (
  provider: Provider,
  { ask }: Kind,
  handle: Handle,
  caps: Caps = {}
): Effect.Effect<Response, ModelError | InvalidOptions, HttpClient.HttpClient> =>
  Effect.flatMap(
    listen(handle),
    (origin) =>
      Effect.flatMap(provider.make({ baseUrl: `${origin}/v1`, apiKey: Redacted.make(key), model: "m", ...caps }), ask)
  )

/** The error of it, which never holds the key. */
export const refused = (...args: Parameters<typeof asked>) =>
  Effect.tap(
    Effect.flip(asked(...args)),
    (error) => Effect.sync(() => expect(JSON.stringify(error) + String(error) + String(error.stack)).not.toContain(key))
  )
