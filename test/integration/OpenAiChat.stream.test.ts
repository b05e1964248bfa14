import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"

const key = "sk-test-1234567890abcdefghij"

const chunk = (delta: object, finishReason: string | null = null): string =>
  `data: ${JSON.stringify({ id: "c1", model: "m", choices: [{ index: 0, delta, finish_reason: finishReason }] })}\n\n`

const text = chunk({ content: "Grüße, " }) + chunk({ content: "世界" })
const end = chunk({}, "stop") + "data: [DONE]\n\n"
const head = { "content-type": "text/event-stream", "x-request-id": "req_7", "x-ratelimit-remaining-requests": "42" }

const opened = new Set<Http.Server>()

afterEach(() => {
  for (const server of opened) {
    server.closeAllConnections()
    server.close()
  }
  opened.clear()
})

type Handle = (response: Http.ServerResponse, request: Http.IncomingMessage, body: string) => void

/** A server that reads each request whole, and what became of its sockets. */
const listen = (handle: Handle) =>
  Effect.async<{ readonly baseUrl: string; readonly sockets: Set<Net.Socket> }>((resume) => {
    const sockets = new Set<Net.Socket>()
    const server = Http.createServer((request, response) => {
      sockets.add(request.socket)
      const pieces: Array<Buffer> = []
      request.on("data", (piece: Buffer) => pieces.push(piece))
      request.on("end", () => handle(response, request, Buffer.concat(pieces).toString()))
    })
    opened.add(server)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      resume(Effect.succeed({ baseUrl: `http://127.0.0.1:${port}/v1`, sockets }))
    })
  })

const clients: ReadonlyArray<readonly [name: string, layer: Layer.Layer<HttpClient.HttpClient>]> = [
  ["fetch", FetchHttpClient.layer],
  ["undici", NodeHttpClient.layerUndici]
]

const modelAt = (baseUrl: string, more: Partial<OpenAiChat.Options> = {}) =>
  OpenAiChat.make({ apiKey: Redacted.make(key), model: "m", baseUrl, ...more })

const streamOf = (handle: Handle, more?: Partial<OpenAiChat.Options>) =>
  Stream.unwrap(Effect.gen(function*() {
    const { baseUrl } = yield* listen(handle)
    return (yield* modelAt(baseUrl, more)).stream({ prompt: "Hi" })
  }))

const collected = (handle: Handle, more?: Partial<OpenAiChat.Options>) => StreamPart.collect(streamOf(handle, more))

const failed = (handle: Handle, more?: Partial<OpenAiChat.Options>) =>
  Effect.tap(
    Effect.flip(collected(handle, more)),
    (error) => Effect.sync(() => expect(JSON.stringify(error) + String(error)).not.toContain(key))
  )

/** What takes more than this is counted as not done. */

for (const [name, client] of clients) {
  describe(`OpenAiChat.stream over sockets, ${name}`, () => {
    it.live("streams, and uses one connection again", () =>
      Effect.gen(function*() {
        const bodies: Array<unknown> = []
        const { baseUrl, sockets } = yield* listen((response, request, body) => {
          bodies.push([request.headers.accept, JSON.parse(body)])
          response.writeHead(200, head)
          response.write(text)
          response.end(end)
        })
        const model = yield* modelAt(baseUrl)
        for (let turn = 0; turn < 20; turn++) {
          const response = yield* StreamPart.collect(model.stream({ prompt: "Hi" }))
          expect([response.text, response.finishReason, response.requestId]).toEqual(["Grüße, 世界", "stop", "req_7"])
          expect(response.rateLimit?.requests?.remaining).toBe(42)
        }
        expect(sockets.size).toBeLessThanOrEqual(2)
        expect(bodies[0]).toEqual(["text/event-stream", {
          model: "m",
          messages: [{ role: "user", content: "Hi" }],
          stream: true,
          stream_options: { include_usage: true }
        }])
      }).pipe(Effect.provide(client)))

    it.live("gives each part as soon as it has come", () =>
      Effect.gen(function*() {
        let answer: Http.ServerResponse | undefined
        const seen: Array<string> = []
        const first = yield* Deferred.make<void>()
        const fiber = yield* streamOf((response) => {
          answer = response
          response.writeHead(200, head)
          response.write(chunk({ content: "one" }))
        }).pipe(
          Stream.runForEach((part) => {
            if (part._tag === "TextDelta") seen.push(part.text)
            return part._tag === "TextDelta" ? Deferred.succeed(first, undefined) : Effect.void
          }),
          Effect.fork
        )
        yield* Deferred.await(first)
        expect(seen).toEqual(["one"])
        answer?.end(chunk({ content: "two" }) + end)
        yield* Fiber.join(fiber)
        expect(seen).toEqual(["one", "two"])
      }).pipe(Effect.provide(client)))

    const closes = (
      what: string,
      handle: (response: Http.ServerResponse) => void,
      leave: (
        stream: Stream.Stream<StreamPart.StreamPart, unknown, HttpClient.HttpClient>
      ) => Effect.Effect<unknown, unknown, HttpClient.HttpClient>
    ) =>
      it.live(`closes the socket when the consumer ${what}`, () =>
        Effect.gen(function*() {
          const asked = yield* Deferred.make<void>()
          const gone = yield* Deferred.make<void>()
          const stream = streamOf((response, request) => {
            request.socket.on("close", () => Effect.runFork(Deferred.succeed(gone, undefined)))
            handle(response)
            Effect.runFork(Deferred.succeed(asked, undefined))
          })
          const fiber = yield* Effect.fork(leave(stream))
          yield* Deferred.await(asked)
          yield* Effect.sleep("30 millis")
          yield* Fiber.interrupt(fiber)
          yield* Deferred.await(gone)
        }).pipe(Effect.provide(client)))

    closes("takes no more", (response) => {
      response.writeHead(200, head)
      response.write(text)
    }, (stream) => Stream.runDrain(Stream.take(stream, 2)))

    it.live("is whole when the connection breaks after the finish reason", () =>
      Effect.gen(function*() {
        const response = yield* collected((response) => {
          response.writeHead(200, head)
          response.write(text + chunk({}, "stop"))
          setTimeout(() => response.socket?.resetAndDestroy(), 20)
        })
        expect(response.finishReason).toBe("stop")
      }).pipe(Effect.provide(client)))

    it.live("stops reading a body that a slow consumer does not take", () =>
      Effect.gen(function*() {
        let written = 0
        const piece = chunk({ content: "x".repeat(60_000) })
        const parts = yield* streamOf((response) => {
          response.writeHead(200, head)
          const write = (): void => {
            while (written < 200_000_000 && !response.destroyed) {
              written += piece.length
              if (!response.write(piece)) return void response.once("drain", write)
            }
          }
          write()
        }).pipe(
          Stream.take(4),
          Stream.tap(() => Effect.sleep("150 millis")),
          Stream.runCollect
        )
        expect(parts.length).toBe(4)
        // The buffers of two sockets and a client, not the 200 MB.
        expect(written).toBeLessThan(20_000_000)
      }).pipe(Effect.provide(client)))
  })
}

describe("OpenAiChat.stream, what is no stream", () => {
  it.live("errors come as from generate", () =>
    Effect.gen(function*() {
      const error = yield* failed((response) => {
        response.writeHead(429, { "content-type": "application/json", "retry-after": "3", "x-request-id": "req_9" })
        response.end(JSON.stringify({ error: { message: "Rate limit reached", code: "rate_limit_exceeded" } }))
      })
      expect(error).toMatchObject({ _tag: "RateLimited", requestId: "req_9", retryAfter: Duration.seconds(3) })
    }).pipe(Effect.provide(FetchHttpClient.layer)))

  it.live("a reply in one piece is taken as a stream of one burst, and its error as an error", () =>
    Effect.gen(function*() {
      const reply = (body: string, type: string): Handle => (response) => {
        response.writeHead(200, { "content-type": type })
        response.end(body)
      }
      const whole = JSON.stringify({ id: "c", choices: [{ message: { content: "hi" }, finish_reason: "stop" }] })
      expect((yield* collected(reply(whole, "application/json; charset=utf-8"))).text).toBe("hi")
      const error = JSON.stringify({ error: { message: "Incorrect API key provided", code: "invalid_api_key" } })
      expect((yield* failed(reply(error, "application/json")))._tag).toBe("Authentication")
      const html = yield* failed(reply("<!doctype html><html></html>", "text/html"))
      expect(html._tag).toBe("MalformedResponse")
      expect(html.message).toContain("HTML")
      // A server that announces events and sends an error instead.
      expect((yield* failed(reply(error, "text/event-stream")))._tag).toBe("Authentication")
    }).pipe(Effect.provide(FetchHttpClient.layer)))

  it.live("providerOptions cannot turn the stream off, nor generate on", () =>
    Effect.gen(function*() {
      const bodies: Array<{ readonly stream?: unknown }> = []
      const { baseUrl } = yield* listen((response, _request, body) => {
        bodies.push(JSON.parse(body))
        response.writeHead(200, head)
        response.end(text + end)
      })
      const model = yield* modelAt(baseUrl, { streamUsage: "none" })
      yield* StreamPart.collect(model.stream({ prompt: "Hi", providerOptions: { stream: false, seed: 1 } }))
      expect(bodies).toEqual([expect.objectContaining({ stream: true, seed: 1 })])
      expect(bodies[0]).not.toHaveProperty("stream_options")
      const error = yield* Effect.flip(model.generate({ prompt: "Hi", providerOptions: { stream: true } }))
      expect(error).toMatchObject({ _tag: "InvalidRequest", param: "providerOptions" })
    }).pipe(Effect.provide(FetchHttpClient.layer)))
})
