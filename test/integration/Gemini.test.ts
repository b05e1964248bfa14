import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Gemini from "../../src/provider/Gemini.ts"

const key = "AIzaSyTest-1234567890abcdefghijklmnopqr"

const chunk = (text: string, finishReason?: string): string =>
  JSON.stringify({
    candidates: [{ content: { role: "model", parts: [{ text }] }, finishReason, index: 0 }],
    usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
    modelVersion: "gemini-2.5-flash",
    responseId: "r1"
  })

const event = (text: string, finishReason?: string): string => `data: ${chunk(text, finishReason)}\r\n\r\n`

const eventHead = { "content-type": "text/event-stream" }
const jsonHead = { "content-type": "application/json" }

const opened = new Set<Http.Server>()

afterEach(() => {
  for (const server of opened) {
    server.closeAllConnections()
    server.close()
  }
  opened.clear()
})

const listen = (handle: Http.RequestListener): Effect.Effect<string> =>
  Effect.async((resume) => {
    const server = Http.createServer(handle)
    opened.add(server)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(
        Effect.succeed(`http://127.0.0.1:${address !== null && typeof address === "object" ? address.port : 0}/v1beta`)
      )
    })
  })

const modelAt = (baseUrl: string) =>
  Gemini.make({ apiKey: Redacted.make(key), model: "gemini-2.5-flash", baseUrl }).pipe(
    Effect.provide(FetchHttpClient.layer)
  )

const streamOf = (handle: Http.RequestListener) =>
  Stream.unwrap(
    Effect.map(Effect.flatMap(listen(handle), modelAt), (model) => model.stream({ prompt: "Hi" }))
  )

const failure = (handle: Http.RequestListener) =>
  Effect.flip(StreamPart.collect(streamOf(handle))).pipe(
    Effect.tap((error) => Effect.sync(() => expect(JSON.stringify(error) + String(error)).not.toContain(key)))
  )

describe("Gemini over sockets", () => {
  it.live("answers whole and in a stream, over one connection, at the addresses of the API", () =>
    Effect.gen(function*() {
      const sockets = new Set<Net.Socket>()
      const asked: Array<string> = []
      const baseUrl = yield* listen((request, response) => {
        sockets.add(request.socket)
        asked.push(`${request.url} ${request.headers["x-goog-api-key"]}`)
        request.resume().on("end", () => {
          if (request.url?.includes("stream") === true) {
            response.writeHead(200, { ...eventHead, "content-encoding": "gzip" })
            response.end(Zlib.gzipSync(event("Grüße, ") + event("世界", "STOP")))
          } else {
            response.writeHead(200, jsonHead).end(chunk("Grüße, 世界", "STOP"))
          }
        })
      })
      const model = yield* modelAt(baseUrl)
      for (let turn = 0; turn < 3; turn++) {
        expect((yield* model.generate({ prompt: "Hi" })).text).toBe("Grüße, 世界")
        expect((yield* StreamPart.collect(model.stream({ prompt: "Hi" }))).text).toBe("Grüße, 世界")
      }
      expect(sockets.size).toBeLessThanOrEqual(2)
      expect(new Set(asked)).toEqual(
        new Set([
          `/v1beta/models/gemini-2.5-flash:generateContent ${key}`,
          `/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse ${key}`
        ])
      )
    }))

  it.live("gives each chunk when it comes", () =>
    Effect.gen(function*() {
      let answer: Http.ServerResponse | undefined
      const texts: Array<string> = []
      yield* streamOf((_, response) => {
        answer = response.writeHead(200, eventHead)
        answer.write(event("one"))
      }).pipe(
        Stream.runForEach((part) =>
          Effect.sync(() => {
            if (part._tag !== "TextDelta") return
            texts.push(part.text)
            // The server goes on only after the client has seen what came before.
            if (part.text === "one") answer?.write(event("two"))
            else answer?.end(event("", "STOP"))
          })
        )
      )
      expect(texts).toEqual(["one", "two"])
    }))

  it.live("a reset after the finish reason loses nothing", () =>
    Effect.gen(function*() {
      const response = yield* StreamPart.collect(streamOf((_, answer) => {
        answer.writeHead(200, eventHead).write(event("Hello", "STOP"))
        setTimeout(() => answer.socket?.destroy(), 30)
      }))
      expect([response.text, response.finishReason]).toEqual(["Hello", "stop"])
    }))

  it.live("errors instead of a stream, and inside it, are what the API says", () =>
    Effect.gen(function*() {
      const overloaded = JSON.stringify({
        error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" }
      })
      expect(yield* failure((_, response) => response.writeHead(503, jsonHead).end(overloaded)))
        .toMatchObject({ _tag: "Overloaded", status: 503, billed: "maybe" })
      expect(yield* failure((_, response) => response.writeHead(200, eventHead).end(event("Hel") + overloaded)))
        .toMatchObject({ _tag: "Overloaded", status: 200, billed: "maybe" })
      expect(yield* failure((_, response) => response.writeHead(200, jsonHead).end(overloaded)))
        .toMatchObject({ _tag: "Overloaded", status: 200 })
      expect(yield* failure((_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>hi")))
        .toMatchObject({ _tag: "MalformedResponse" })
      expect(yield* failure((_, response) => response.writeHead(302, { location: "https://example.com" }).end()))
        .toMatchObject({ _tag: "InvalidRequest", param: "baseUrl" })
    }))

  it.live("a reader that has enough closes the connection", () =>
    Effect.gen(function*() {
      const closed = yield* Deferred.make<void>()
      const parts = yield* streamOf((request, response) => {
        request.socket.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        response.writeHead(200, eventHead).write(event("Hel") + event("lo"))
      }).pipe(Stream.take(2), Stream.runCollect)
      expect(parts.length).toBe(2)
      yield* Deferred.await(closed)
    }))
})
