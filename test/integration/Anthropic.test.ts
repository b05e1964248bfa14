import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import { key, said, saying, sse } from "../provider/fakeAnthropic.ts"

const eventStream = { "content-type": "text/event-stream; charset=utf-8", "request-id": "req_1" }

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
    const server = Http.createServer((request, response) => {
      request.resume().on("end", () => handle(request, response))
    })
    opened.add(server)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      resume(Effect.succeed(`http://127.0.0.1:${port}`))
    })
  })

const modelAt = (baseUrl: string, more: Partial<Anthropic.Options> = {}) =>
  Anthropic.make({ apiKey: Redacted.make(key), model: "m", baseUrl, ...more }).pipe(
    Effect.provide(FetchHttpClient.layer)
  )

/** The parts that came, and how they ended. */
const streamed = (handle: Http.RequestListener, more?: Partial<Anthropic.Options>) =>
  Effect.gen(function*() {
    const model = yield* Effect.flatMap(listen(handle), (baseUrl) => modelAt(baseUrl, more))
    const parts: Array<StreamPart.StreamPart> = []
    const ended = yield* model.stream({ prompt: "Hi" }).pipe(
      Stream.runForEach((part) => Effect.sync(() => void parts.push(part))),
      Effect.either
    )
    const error = ended._tag === "Left" ? ended.left : undefined
    expect(JSON.stringify(error) + String(error)).not.toContain(key)
    return { parts, error }
  })

const tags = (parts: ReadonlyArray<StreamPart.StreamPart>) => parts.map((part) => part._tag)

describe("Anthropic over sockets", () => {
  it.live("answers, plain and compressed, whole and as a stream, in slices of any size", () =>
    Effect.gen(function*() {
      const text = "Grüße, 世界 🌍"
      let calls = 0
      const baseUrl = yield* listen((request, response) => {
        const zipped = calls++ % 2 === 1
        const isStream = request.headers.accept === "text/event-stream"
        const body = Buffer.from(isStream ? sse(saying(text)) : JSON.stringify(said(text)))
        response.writeHead(200, {
          ...(isStream ? eventStream : { "content-type": "application/json" }),
          ...(zipped ? { "content-encoding": "gzip" } : {})
        })
        const bytes = zipped ? Zlib.gzipSync(body) : body
        for (let at = 0; at < bytes.length; at += 7) response.write(bytes.subarray(at, at + 7))
        response.end()
      })
      const model = yield* modelAt(baseUrl)
      for (let turn = 0; turn < 4; turn++) {
        const whole = yield* model.generate({ prompt: "Hi" })
        const parts = yield* StreamPart.collect(model.stream({ prompt: "Hi" }))
        expect([whole.text, parts.text]).toEqual([text, text])
        expect(parts.usage).toEqual(whole.usage)
      }
    }))

  it.live("uses a connection again after a stream that was read to its end", () =>
    Effect.gen(function*() {
      const sockets = new Set<Net.Socket>()
      const baseUrl = yield* listen((request, response) => {
        sockets.add(request.socket)
        response.writeHead(200, eventStream).end(sse(saying("ok")))
      })
      const model = yield* modelAt(baseUrl)
      for (let turn = 0; turn < 20; turn++) {
        expect((yield* StreamPart.collect(model.stream({ prompt: "Hi" }))).text).toBe("ok")
      }
      expect(sockets.size).toBeLessThanOrEqual(3)
    }))

  it.live("gives parts as they come, not at the end", () =>
    Effect.gen(function*() {
      const events = saying("first")
      let goOn = (): void => {}
      const baseUrl = yield* listen((_, response) => {
        response.writeHead(200, eventStream).write(sse(events.slice(0, 3)))
        goOn = () => void response.end(sse(events.slice(3)))
      })
      const model = yield* modelAt(baseUrl)
      const seen: Array<string> = []
      yield* Stream.runForEach(model.stream({ prompt: "Hi" }), (part) =>
        Effect.sync(() => {
          seen.push(part._tag)
          if (part._tag === "TextDelta") goOn()
        }))
      expect(seen).toEqual(["Start", "TextDelta", "Finish"])
    }))

  it.live("an error event late in the stream is that error, with the request id", () =>
    Effect.map(
      streamed((_, response) => {
        const overloaded = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }
        response.writeHead(200, eventStream).end(sse([...saying("Once").slice(0, 3), overloaded]))
      }),
      ({ error, parts }) => {
        expect(tags(parts)).toEqual(["Start", "TextDelta"])
        expect(error).toMatchObject({ _tag: "Overloaded", requestId: "req_1" })
      }
    ))

  const interrupts = (name: string, start: (response: Http.ServerResponse) => void) =>
    it.live(`interrupting the consumer closes the socket ${name}`, () =>
      Effect.gen(function*() {
        const began = yield* Deferred.make<void>()
        const closed = yield* Deferred.make<void>()
        const baseUrl = yield* listen((_, response) => {
          response.on("close", () => Deferred.unsafeDone(closed, Effect.void))
          start(response)
          setTimeout(() => Deferred.unsafeDone(began, Effect.void), 50)
        })
        const model = yield* modelAt(baseUrl)
        const fiber = yield* Effect.fork(Stream.runDrain(model.stream({ prompt: "Hi" })))
        yield* Deferred.await(began)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(closed)
      }))
  interrupts("in the middle of an event", (response) => {
    response.writeHead(200, eventStream).write("event: message_start\ndata: {\"type\":")
  })
})
