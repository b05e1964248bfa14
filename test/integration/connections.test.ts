import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import type * as ModelError from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"

type Model = LanguageModel.Service<ModelError.ModelError>
type Way = (model: Model, prompt: string) => Effect.Effect<unknown, ModelError.ModelError>

const reply: Way = (model, prompt) => model.generate({ prompt })
const stream: Way = (model, prompt) => StreamPart.collect(model.stream({ prompt }))
/** Takes the beginning and goes. */
const leave: Way = (model, prompt) =>
  model.stream({ prompt }).pipe(
    Stream.takeUntil((part) => part._tag === "TextDelta"),
    Stream.runDrain
  )

/** The sockets that the calls opened. A pause between tokens makes sure that a stream is not over before it is left. */
const sockets = (
  client: Layer.Layer<HttpClient.HttpClient>,
  way: Way,
  options: { readonly calls: number; readonly concurrency: number; readonly pause?: number }
) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ tokenDelay: options.pause ?? 0 })
    const calls = Array.from({ length: options.calls }, (_, index) => `Question ${index}`)
    yield* Effect.gen(function*() {
      const model = yield* OpenAiChat.make({
        apiKey: Redacted.make(server.apiKey),
        baseUrl: server.baseUrl,
        model: server.model
      })
      yield* Effect.forEach(calls, (prompt) => way(model, prompt), {
        concurrency: options.concurrency,
        discard: true
      })
    }).pipe(Effect.provide(client))
    const books = yield* server.books
    expect(books.admitted).toBe(options.calls)
    return books.sockets
  }).pipe(Effect.scoped)

const keeping: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["FetchHttpClient.layer", FetchHttpClient.layer],
  ["NodeHttpClient.layerUndici", NodeHttpClient.layerUndici]
]

/** Says what was measured, so that the advice in the README can be compared. */
const measured = (what: string, opened: number) =>
  Effect.sync(() => console.log(`sockets opened by ${what}: ${opened}`))

describe("sockets opened per 100 calls", () => {
  for (const [name, client] of keeping) {
    for (const [what, way] of [["replies", reply], ["streams read whole", stream]] as const) {
      for (const concurrency of [1, 10]) {
        it.live(`${name} keeps its sockets for ${what}, ${concurrency} at a time`, () =>
          Effect.gen(function*() {
            const opened = yield* sockets(client, way, { calls: 100, concurrency })
            yield* measured(`${name}, 100 ${what}, ${concurrency} at a time`, opened)
            expect(opened).toBeGreaterThan(0)
            // undici takes a connection for busy a moment longer than its reply lasts; a bare `fetch` opens as many.
            expect(opened).toBeLessThanOrEqual(2 * concurrency)
          }))
      }
    }

    it.live(`${name} gives up the socket of a stream that is left early, and no other`, () =>
      Effect.gen(function*() {
        const opened = yield* sockets(client, leave, { calls: 20, concurrency: 1, pause: 20 })
        yield* measured(`${name}, 20 streams left early`, opened)
        // undici may open the next one at once, before anybody asks.
        expect(opened).toBeGreaterThanOrEqual(20)
        expect(opened).toBeLessThanOrEqual(40)
      }))
  }

  it.live("NodeHttpClient.layer keeps none: each call opens its own", () =>
    Effect.gen(function*() {
      const opened = yield* sockets(NodeHttpClient.layer, reply, { calls: 100, concurrency: 1 })
      yield* measured("NodeHttpClient.layer, 100 replies, 1 at a time", opened)
      expect(opened).toBeGreaterThanOrEqual(99)
    }))
})
