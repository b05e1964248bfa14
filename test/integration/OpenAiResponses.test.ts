import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"
import type { Response } from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"

const key = "sk-test-1234567890abcdefghij"
const jsonHead = { "content-type": "application/json" }
const sseHead = { "content-type": "text/event-stream", "x-request-id": "req_1" }

const usage = { input_tokens: 1, output_tokens: 2, total_tokens: 3 }
const message = { type: "message", role: "assistant", content: [{ type: "output_text", text: "Grüße, 世界" }] }
const reply = { id: "resp_1", object: "response", status: "completed", model: "m", output: [message], usage }

const event = (data: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`

const created = event({ type: "response.created", response: { id: "resp_1", model: "m", status: "in_progress" } })
const delta = (text: string) =>
  event({ type: "response.output_text.delta", output_index: 0, content_index: 0, delta: text })
const completed = event({ type: "response.completed", response: reply })
const whole = created + delta("Grüße, ") + delta("世界") + completed

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
      const port = address !== null && typeof address === "object" ? address.port : 0
      resume(Effect.succeed(`http://127.0.0.1:${port}/v1`))
    })
  })

const modelAt = (handle: Http.RequestListener, more: Partial<OpenAiResponses.Options> = {}) =>
  Effect.flatMap(
    listen(handle),
    (baseUrl) =>
      OpenAiResponses.make({ apiKey: Redacted.make(key), model: "m", baseUrl, ...more }).pipe(
        Effect.provide(FetchHttpClient.layer)
      )
  )

const streamed = (
  handle: Http.RequestListener,
  more?: Partial<OpenAiResponses.Options>
): Effect.Effect<Response, unknown> =>
  Effect.flatMap(modelAt(handle, more), (model) => StreamPart.collect(model.stream({ prompt: "Hi" })))

const failure = (handle: Http.RequestListener, more?: Partial<OpenAiResponses.Options>) =>
  Effect.flip(streamed(handle, more)).pipe(
    Effect.tap((error) => Effect.sync(() => expect(JSON.stringify(error) + String(error)).not.toContain(key)))
  )

const sse = (body: string | Buffer, head: object = {}): Http.RequestListener => (_, response) =>
  void response.writeHead(200, { ...sseHead, ...head }).end(body)

describe("OpenAiResponses over sockets", () => {
  it.live("answers whole and as a stream, plain and compressed, with one connection used again", () =>
    Effect.gen(function*() {
      const sockets = new Set<Net.Socket>()
      const asked: Array<unknown> = []
      let count = 0
      const model = yield* modelAt((request, response) => {
        sockets.add(request.socket)
        const chunks: Array<Buffer> = []
        request.on("data", (chunk) => chunks.push(chunk)).on("end", () => {
          const body = JSON.parse(Buffer.concat(chunks).toString("utf8"))
          asked.push(body)
          const zipped = count++ % 2 === 1
          const encoding = zipped ? { "content-encoding": "gzip" } : {}
          const text = body.stream === true ? whole : JSON.stringify(reply)
          response.writeHead(200, { ...(body.stream === true ? sseHead : jsonHead), ...encoding })
          response.end(zipped ? Zlib.gzipSync(text) : text)
        })
      })
      for (let turn = 0; turn < 4; turn++) {
        expect((yield* model.generate({ prompt: "Hi" })).text).toBe("Grüße, 世界")
        expect(yield* StreamPart.collect(model.stream({ prompt: "Hi" }))).toMatchObject({
          id: "resp_1",
          text: "Grüße, 世界",
          finishReason: "stop",
          requestId: "req_1",
          usage: { totalTokens: 3 }
        })
      }
      expect(sockets.size).toBeLessThanOrEqual(2)
      expect(asked[0]).toEqual({
        model: "m",
        input: [{ type: "message", role: "user", content: "Hi" }],
        store: false
      })
      expect(asked[1]).toMatchObject({ stream: true })
    }))

  it.live("gives each part as soon as it has come, in whatever packets", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const model = yield* modelAt((_, response) => {
        response.writeHead(200, sseHead)
        const bytes = Buffer.from(created + delta("Hello"))
        for (const byte of bytes) response.write(Buffer.of(byte))
        Effect.runFork(Effect.andThen(Deferred.await(go), Effect.sync(() => response.end(completed))))
      })
      // The end is only sent once the first text has been read.
      const parts = yield* model.stream({ prompt: "Hi" }).pipe(
        Stream.tap((part) => part._tag === "TextDelta" ? Deferred.succeed(go, undefined) : Effect.void),
        Stream.runCollect
      )
      expect([...parts].map((part) => part._tag)).toEqual(["Start", "TextDelta", "Finish"])
    }))

  describe("fails", () => {
    it.live("with the class of the provider's error before the stream, its wait included", () =>
      Effect.gen(function*() {
        const limited = yield* failure((_, response) => {
          response.writeHead(429, { ...jsonHead, "retry-after": "3", "x-request-id": "req_9" })
          response.end(JSON.stringify({ error: { type: "tokens", code: "rate_limit_exceeded", message: "Slow down" } }))
        })
        expect(limited).toMatchObject({ _tag: "RateLimited", status: 429, requestId: "req_9", billed: "no" })
        const page = yield* failure((_, response) =>
          void response.writeHead(200, { "content-type": "text/html" }).end("<html><h1>Welcome</h1></html>")
        )
        expect(page).toMatchObject({ _tag: "MalformedResponse" })
        const quota = yield* failure((_, response) =>
          void response.writeHead(200, jsonHead).end(JSON.stringify({ error: { code: "insufficient_quota" } }))
        )
        expect(quota).toMatchObject({ _tag: "QuotaExhausted" })
      }))

    it.live("with the class of an error inside the stream", () =>
      Effect.map(
        failure(sse(
          created + event({
            type: "error",
            error: { type: "service_unavailable_error", code: "server_is_overloaded", message: "Overloaded" }
          })
        )),
        (error) => expect(error).toMatchObject({ _tag: "Overloaded", billed: "maybe", requestId: "req_1" })
      ))

    it.live("with MalformedResponse for bytes that are no UTF-8 and for an event above the cap", () =>
      Effect.gen(function*() {
        const bytes = Buffer.concat([Buffer.from(created), Buffer.from([0x64, 0xff, 0xfe, 0x0a])])
        expect(yield* failure(sse(bytes))).toMatchObject({
          _tag: "MalformedResponse",
          reason: expect.stringContaining("UTF-8")
        })
        let sent = 0
        const closed = yield* Deferred.make<void>()
        const endless = yield* failure((_, response) => {
          response.writeHead(200, sseHead)
          const block = Buffer.alloc(64 * 1024, 0x61)
          const pump = () => {
            while (!response.destroyed && sent < 50 * 1024 * 1024) {
              sent += block.length
              if (!response.write(block)) return void response.once("drain", pump)
            }
            response.end()
          }
          response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
          pump()
        }, { maxEventBytes: 1024 * 1024 })
        expect(endless).toMatchObject({
          _tag: "MalformedResponse",
          reason: expect.stringContaining("maxEventBytes (1048576 bytes)")
        })
        yield* Deferred.await(closed)
        expect(sent).toBeLessThan(25 * 1024 * 1024)
      }))
  })

  it.live("taking no more of a stream closes the socket", () =>
    Effect.gen(function*() {
      const closed = yield* Deferred.make<void>()
      const model = yield* modelAt((_, response) => {
        response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        response.writeHead(200, sseHead).write(created + delta("Half"))
      })
      const parts = yield* Stream.runCollect(Stream.take(model.stream({ prompt: "Hi" }), 2))
      expect(parts.length).toBe(2)
      yield* Deferred.await(closed)
    }))
})
