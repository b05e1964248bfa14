import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"

const key = "sk-test-1234567890abcdefghij"

const answer = JSON.stringify({
  id: "chatcmpl-1",
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "Grüße, 世界" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
})

const jsonHead = { "content-type": "application/json" }

const opened = new Set<Http.Server>()

afterEach(() => {
  for (const server of opened) {
    server.closeAllConnections()
    server.close()
  }
  opened.clear()
})

const listen = (
  handle: Http.RequestListener
): Effect.Effect<{ readonly baseUrl: string; readonly server: Http.Server }> =>
  Effect.async((resume) => {
    const server = Http.createServer(handle)
    opened.add(server)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      resume(Effect.succeed({ baseUrl: `http://127.0.0.1:${port}/v1`, server }))
    })
  })

const modelAt = (baseUrl: string, more: Partial<OpenAiChat.Options> = {}) =>
  OpenAiChat.make({ apiKey: Redacted.make(key), model: "m", baseUrl, ...more }).pipe(
    Effect.provide(FetchHttpClient.layer)
  )

const call = (
  handle: Http.RequestListener,
  request: LanguageModel.Request = { prompt: "Hi" },
  more?: Partial<OpenAiChat.Options>
) =>
  Effect.gen(function*() {
    const { baseUrl } = yield* listen(handle)
    const model = yield* modelAt(baseUrl, more)
    return yield* Effect.either(model.generate(request))
  })

const failure = (handle: Http.RequestListener, more?: Partial<OpenAiChat.Options>) =>
  call(handle, undefined, more).pipe(
    Effect.flatMap(Effect.flip),
    Effect.tap((error) => Effect.sync(() => expect(JSON.stringify(error) + String(error)).not.toContain(key)))
  )

describe("OpenAiChat over sockets", () => {
  it.live("answers, plain and compressed, and uses one connection again", () =>
    Effect.gen(function*() {
      const sockets = new Set<Net.Socket>()
      let count = 0
      const { baseUrl } = yield* listen((request, response) => {
        sockets.add(request.socket)
        request.resume().on("end", () => {
          const zipped = count++ % 2 === 1
          response.writeHead(200, zipped ? { ...jsonHead, "content-encoding": "gzip" } : jsonHead)
          response.end(zipped ? Zlib.gzipSync(answer) : answer)
        })
      })
      const model = yield* modelAt(baseUrl)
      for (let turn = 0; turn < 6; turn++) {
        expect((yield* model.generate({ prompt: "Hi" })).text).toBe("Grüße, 世界")
      }
      expect(sockets.size).toBeLessThanOrEqual(2)
    }))

  it.live("sends the body whole, in UTF-8", () =>
    Effect.gen(function*() {
      const text = "äöü 世界 \"quoted\" ".repeat(5_000)
      let received: unknown
      yield* call((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk) => chunks.push(chunk))
        request.on("end", () => {
          received = JSON.parse(Buffer.concat(chunks).toString("utf8"))
          response.writeHead(200, jsonHead).end(answer)
        })
      }, { prompt: text })
      expect(received).toEqual({ model: "m", messages: [{ role: "user", content: text }] })
    }))

  it.live("a server that is not there is ConnectionFailed, not billed, with the remedy", () =>
    Effect.gen(function*() {
      const { baseUrl, server } = yield* listen(() => {})
      yield* Effect.promise(() => new Promise((resolve) => server.close(resolve)))
      const error = yield* Effect.flip(Effect.flatMap(modelAt(baseUrl), (model) => model.generate({ prompt: "Hi" })))
      expect(error).toMatchObject({ _tag: "ConnectionFailed", billed: "no", cause: { code: "ECONNREFUSED" } })
      expect(error.message).toMatch(/cannot be reached.*check that the base URL is right/)
    }))

  it.live("a host that does not exist is ConnectionFailed, not billed", () =>
    Effect.gen(function*() {
      const model = yield* modelAt("http://nowhere.invalid/v1")
      const error = yield* Effect.flip(model.generate({ prompt: "Hi" }))
      expect(error).toMatchObject({ _tag: "ConnectionFailed", billed: "no" })
    }))

  it.live("a reset in the middle of a body is Truncated, with what had come", () =>
    Effect.map(
      failure((_, response) => {
        response.writeHead(200, { ...jsonHead, "content-length": String(answer.length * 2) })
        response.write(answer.slice(0, 30))
        setTimeout(() => response.socket?.destroy(), 50)
      }),
      (error) =>
        expect(error).toMatchObject({
          _tag: "Truncated",
          received: answer.slice(0, 30),
          billed: "maybe",
          status: 200
        })
    ))

  it.live("a reset in the middle of a chunked or a compressed body is Truncated", () =>
    Effect.gen(function*() {
      const chunked = yield* failure((_, response) => {
        response.writeHead(200, jsonHead).write(answer.slice(0, 30))
        setTimeout(() => response.socket?.destroy(), 50)
      })
      const zipped = Zlib.gzipSync(answer)
      const compressed = yield* failure((_, response) => {
        response.writeHead(200, { ...jsonHead, "content-encoding": "gzip" }).write(zipped.subarray(0, 60))
        setTimeout(() => response.socket?.destroy(), 50)
      })
      expect([chunked._tag, compressed._tag]).toEqual(["Truncated", "Truncated"])
    }))

  it.live("a body that ends well but too early is Truncated", () =>
    Effect.map(
      failure((_, response) => void response.writeHead(200, jsonHead).end(answer.slice(0, 60))),
      (error) => expect(error).toMatchObject({ _tag: "Truncated", received: answer.slice(0, 60) })
    ))

  it.live("an error reply whose body is cut is still judged by its status", () =>
    Effect.map(
      failure((_, response) => {
        response.writeHead(429, { ...jsonHead, "retry-after": "3" }).write("{\"error\":{\"mess")
        setTimeout(() => response.socket?.destroy(), 50)
      }),
      (error) => expect(error).toMatchObject({ _tag: "RateLimited", status: 429 })
    ))

  it.live("a small compressed body that swells over the cap is refused too", () =>
    Effect.map(
      failure((_, response) => {
        response.writeHead(200, { ...jsonHead, "content-encoding": "gzip" })
        response.end(Zlib.gzipSync(Buffer.alloc(20 * 1024 * 1024, 0x20)))
      }),
      (error) =>
        expect(error).toMatchObject({ _tag: "MalformedResponse", reason: expect.stringContaining("maxBodyBytes") })
    ))

  it.live("an HTML page is MalformedResponse under 200 and a failure of the server under 502", () =>
    Effect.gen(function*() {
      const page = (status: number): Http.RequestListener => (_, response) =>
        void response.writeHead(status, { "content-type": "text/html" }).end("<html><h1>Bad gateway</h1></html>")
      expect(yield* failure(page(200))).toMatchObject({ _tag: "MalformedResponse" })
      expect(yield* failure(page(502))).toMatchObject({ _tag: "ServerError", status: 502 })
    }))
})
