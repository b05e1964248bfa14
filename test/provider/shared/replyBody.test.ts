import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { once } from "node:events"
import { createServer, type RequestListener, type ServerResponse } from "node:http"
import * as replyBody from "../../../src/provider/shared/replyBody.ts"

const text = "Grüße, 世界"
const big = "x".repeat(300_000)

const answers: { readonly [path: string]: RequestListener } = {
  "/whole": (_, response) => void response.end(text),
  "/pieces": (_, response) => {
    response.write(text.slice(0, 3))
    setImmediate(() => response.end(text.slice(3)))
  },
  "/big": (_, response) => void response.end(big),
  "/nothing": (_, response) => void response.writeHead(204).end(),
  "/empty": (_, response) => void response.end(),
  "/cut": (_, response) => {
    response.writeHead(200, { "content-length": "1000" })
    response.write(text, () => setImmediate(() => response.destroy()))
  },
  "/endless": (_, response) => void response.write(text)
}

/** A server that answers as the path says. */
const serve = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer((request, response) => answers[request.url ?? ""]?.(request, response))
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    return { server, url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}` }
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
    })
)

/** The same response, which says whether its stream was asked for. */
const watched = (response: HttpClientResponse.HttpClientResponse) => {
  let streams = 0
  return {
    streams: () => streams,
    response: new Proxy(response, {
      get: (target, name): unknown => {
        if (name === "stream") streams++
        return Reflect.get(target, name)
      }
    })
  }
}

/** A client of somebody else's, which holds no body that we know. */
const foreign = (response: HttpClientResponse.HttpClientResponse): HttpClientResponse.HttpClientResponse =>
  new Proxy(response, {
    has: (target, name) => name !== "source" && Reflect.has(target, name),
    get: (target, name): unknown => name === "source" ? undefined : Reflect.get(target, name)
  })

const clients: ReadonlyArray<{
  readonly name: string
  readonly client: Layer.Layer<HttpClient.HttpClient>
  readonly given: typeof foreign
  readonly streams: number
}> = [
  { name: "FetchHttpClient.layer", client: FetchHttpClient.layer, given: (response) => response, streams: 0 },
  { name: "NodeHttpClient.layerUndici", client: NodeHttpClient.layerUndici, given: (response) => response, streams: 0 },
  { name: "another client over fetch", client: FetchHttpClient.layer, given: foreign, streams: 1 },
  { name: "another client over undici", client: NodeHttpClient.layerUndici, given: foreign, streams: 1 }
]

const ask = (path: string, { client, given }: Pick<(typeof clients)[number], "client" | "given">, limit: number) =>
  Effect.gen(function*() {
    const { url } = yield* serve
    const http = HttpClient.withScope(yield* HttpClient.HttpClient)
    const { response, streams } = watched(given(yield* http.get(url + path)))
    const body = yield* replyBody.read(response, limit)
    return { streams: streams(), ending: body.ending, text: new TextDecoder().decode(body.bytes) }
  }).pipe(Effect.provide(client), Effect.scoped)

const limit = 1_000_000

for (const each of clients) {
  describe(`the body that ${each.name} holds`, () => {
    it.live(
      each.streams === 0 ? "is read without the platform's stream" : "is read by the platform's stream",
      () =>
        Effect.gen(function*() {
          const whole = yield* ask("/whole", each, limit)
          expect(whole).toEqual({ streams: each.streams, ending: { _tag: "Complete" }, text })
        })
    )

    it.live("is put together from its pieces", () =>
      Effect.gen(function*() {
        const pieces = yield* ask("/pieces", each, limit)
        expect(pieces).toEqual({ streams: each.streams, ending: { _tag: "Complete" }, text })
        expect((yield* ask("/big", each, limit)).text).toBe(big)
      }))

    it.live("is complete where there is none", () =>
      Effect.gen(function*() {
        for (const path of ["/nothing", "/empty"]) {
          const { ending, text } = yield* ask(path, each, limit)
          expect({ ending, text }).toEqual({ ending: { _tag: "Complete" }, text: "" })
        }
      }))

    it.live("is not read beyond the limit, to the byte", () =>
      Effect.gen(function*() {
        const size = new TextEncoder().encode(text).byteLength
        expect((yield* ask("/whole", each, size)).ending).toEqual({ _tag: "Complete" })
        expect(yield* ask("/whole", each, size - 1)).toMatchObject({ ending: { _tag: "TooLarge" }, text: "" })
        const big = yield* ask("/big", each, 100_000)
        expect(big.ending).toEqual({ _tag: "TooLarge" })
        expect(big.text.length).toBeLessThanOrEqual(100_000)
      }))

    it.live("keeps what came of it when the connection breaks", () =>
      Effect.gen(function*() {
        const cut = yield* ask("/cut", each, limit)
        expect(cut).toMatchObject({ ending: { _tag: "Cut", error: { cause: expect.anything() } }, text })
      }))

    it.live("is given up when its reader is interrupted, and so is the connection", () =>
      Effect.gen(function*() {
        const { server, url } = yield* serve
        const http = HttpClient.withScope(yield* HttpClient.HttpClient)
        const closed = new Promise<void>((resolve) =>
          server.once("request", (_, response: ServerResponse) => response.once("close", resolve))
        )
        const response = each.given(yield* http.get(`${url}/endless`))
        const reader = yield* Effect.fork(replyBody.read(response, limit))
        yield* Effect.yieldNow()
        expect(Exit.isInterrupted(yield* Fiber.interrupt(reader))).toBe(true)
        yield* Effect.promise(() => closed)
      }).pipe(Effect.provide(each.client), Effect.scoped))
  })
}
