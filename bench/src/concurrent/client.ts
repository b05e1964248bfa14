/** A thousand streams at once in this process: what each holds, and how much later its chunks come than raw bytes do. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import { Delays } from "../delays.ts"
import type { Found } from "../run.ts"

export const streamCount = 1_000

/** Seconds until all is warm and nothing is still being gathered, for delays, and for growth. */
const seconds = { settle: 15, delays: 20, growth: 60, between: 5 } as const

const rest = (duration: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, duration * 1_000))

// Memory --------------------------------------------------------------------------------------------------------------

const memory = async (): Promise<{ readonly heap: number; readonly rss: number }> => {
  if (globalThis.gc === undefined) throw new Error("run node with --expose-gc")
  for (let i = 0; i < 3; i++) {
    globalThis.gc()
    await rest(0.1)
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}

/** Bytes a second: the slope of the line of least squares. */
const slope = (points: ReadonlyArray<readonly [at: number, bytes: number]>): number => {
  const mean = (of: 0 | 1): number => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const up = points.reduce((sum, [at, bytes]) => sum + (at - x) * (bytes - y), 0)
  return up / points.reduce((sum, [at]) => sum + (at - x) ** 2, 0)
}

// Streams -------------------------------------------------------------------------------------------------------------

/** So many streams that are read until they are told to stop. */
type Open = (delays: Delays) => Promise<() => Promise<void>>

const all = (open: (ended: AbortSignal, delays: Delays) => Promise<unknown>): Open => (delays) => {
  const controller = new AbortController()
  const running = Array.from({ length: streamCount }, () => open(controller.signal, delays))
  return Promise.resolve(async () => {
    controller.abort()
    await Promise.allSettled(running)
  })
}

const body = JSON.stringify({ model: "any", stream: true, messages: [{ role: "user", content: "Hi" }] })

const request = { method: "POST", body, headers: { "content-type": "application/json" } } as const

const readAll = async (bytes: AsyncIterable<Uint8Array>, delays: Delays): Promise<void> => {
  const decoder = new TextDecoder()
  for await (const slice of bytes) delays.note(decoder.decode(slice, { stream: true }))
}

async function* iterate(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}

const rawFetch = (baseUrl: string): Open =>
  all(async (signal, delays) => {
    const response = await fetch(`${baseUrl}/chat/completions`, { ...request, signal })
    if (response.body !== null) await readAll(iterate(response.body), delays)
  })

/** The same undici that the layer uses. */
const rawUndici = async (baseUrl: string): Promise<Open> => {
  const dispatcher = await Effect.runPromise(
    Effect.provide(NodeHttpClient.Dispatcher, NodeHttpClient.dispatcherLayerGlobal)
  )
  const { origin, pathname } = new URL(`${baseUrl}/chat/completions`)
  return all(async (signal, delays) => {
    const response = await dispatcher.request({ ...request, origin, path: pathname, signal })
    await readAll(response.body, delays)
  })
}

const ours = async (baseUrl: string, client: Layer.Layer<HttpClient.HttpClient>): Promise<Open> => {
  const runtime = ManagedRuntime.make(client)
  const model = await runtime.runPromise(
    OpenAiChat.make({ baseUrl, apiKey: Redacted.make("sk-of-a-bench"), model: "any" })
  )
  return async (delays) => {
    const read = Stream.runForEach(model.stream({ prompt: "Hi" }), (part) =>
      Effect.sync(() => {
        if (part._tag === "TextDelta") delays.note(part.text)
      }))
    const fibers = await runtime.runPromise(Effect.replicateEffect(Effect.forkDaemon(read), streamCount))
    return async () => {
      for (const fiber of fibers) {
        const ended = await Effect.runPromise(Fiber.poll(fiber))
        if (ended._tag === "Some") throw new Error(`a stream ended: ${Exit.match(ended.value, { onFailure: String, onSuccess: String })}`)
      }
      await Effect.runPromise(Fiber.interruptAll(fibers))
    }
  }
}

// Phases --------------------------------------------------------------------------------------------------------------

const plain = async (open: Open): Promise<{ readonly delays: Delays; readonly heap: number }> => {
  const before = await memory()
  const delays = new Delays()
  const close = await open(delays)
  await rest(seconds.settle)
  delays.isOn = true
  await rest(seconds.delays)
  delays.isOn = false
  const during = await memory()
  await close()
  return { delays, heap: during.heap - before.heap }
}

const measured = async (mine: Open, raw: Open): Promise<Found> => {
  // Code and sockets once, so that neither counts as the streams' memory.
  const warmUp = await mine(new Delays())
  await rest(3)
  await warmUp()
  await rest(1)

  const before = await memory()
  const delays = new Delays()
  const close = await mine(delays)
  await rest(seconds.settle)
  delays.isOn = true
  const used = process.cpuUsage()
  await rest(seconds.delays)
  const { system, user } = process.cpuUsage(used)
  delays.isOn = false
  const points: Array<readonly [number, number]> = []
  const start = performance.now()
  const open = await memory()
  for (let at = 0; at <= seconds.growth; at += seconds.between) {
    points.push([(performance.now() - start) / 1_000, (await memory()).heap])
    await rest(seconds.between - 0.3)
  }
  await close()
  await rest(2)
  const after = await memory()

  const rawly = await plain(raw)
  return {
    heap: (open.heap - before.heap) / streamCount,
    rss: (open.rss - before.rss) / streamCount,
    left: (after.heap - before.heap) / streamCount,
    growth: slope(points) * 60 / streamCount,
    p50: delays.quantile(0.5),
    p99: delays.quantile(0.99),
    rawHeap: rawly.heap / streamCount,
    rawP50: rawly.delays.quantile(0.5),
    rawP99: rawly.delays.quantile(0.99),
    chunks: delays.total / seconds.delays,
    rawChunks: rawly.delays.total / seconds.delays,
    busy: (user + system) / 1e4 / seconds.delays
  }
}

const withServer = (measure: (baseUrl: string) => Promise<Found>) => async (): Promise<Found> => {
  const server = fork(fileURLToPath(new URL("server.js", import.meta.url)), { execArgv: [] })
  const [port] = await once(server, "message")
  try {
    return await measure(`http://127.0.0.1:${String(port)}/v1`)
  } finally {
    server.kill()
  }
}

export const concurrency: { readonly [name: string]: () => Promise<Found> } = {
  "concurrent over fetch": withServer(async (baseUrl) =>
    measured(await ours(baseUrl, FetchHttpClient.layer), rawFetch(baseUrl))
  ),
  "concurrent over undici": withServer(async (baseUrl) =>
    measured(await ours(baseUrl, NodeHttpClient.layerUndici), await rawUndici(baseUrl))
  )
}
