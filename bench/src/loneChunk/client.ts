/** Two hundred streams whose chunks come alone: what one chunk takes of the processor, by who reads it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import OpenAI from "openai"
import * as Pipeline from "../../../src/policy/Pipeline.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import * as ResilientModel from "../../../src/resilience/ResilientModel.ts"
import { median } from "../measure.ts"
import type { Found } from "../run.ts"

export const streamCount = 200

/** Seconds until all is warm, and of each stretch that is measured. */
const seconds = { settle: 3, stretch: 1.3 } as const

const stretches = 7

const rest = (duration: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, duration * 1_000))

/** Reads one stream, and calls `note` for each chunk that it has read. */
type Read = (note: (text: string) => void) => Promise<unknown>

const prompt = "Hi"
const body = JSON.stringify({ model: "any", stream: true, messages: [{ role: "user", content: prompt }] })
const request = { method: "POST", body, headers: { "content-type": "application/json" } } as const

const bareFetch = (baseUrl: string): Read => async (note) => {
  const response = await fetch(`${baseUrl}/chat/completions`, request)
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  for (;;) {
    const next = await reader?.read()
    if (next === undefined || next.done) return
    note(decoder.decode(next.value, { stream: true }))
  }
}

/** The same undici that the layer uses. */
const bareUndici = async (baseUrl: string): Promise<Read> => {
  const dispatcher = await Effect.runPromise(
    Effect.provide(NodeHttpClient.Dispatcher, NodeHttpClient.dispatcherLayerGlobal)
  )
  const { origin, pathname } = new URL(`${baseUrl}/chat/completions`)
  return async (note) => {
    const response = await dispatcher.request({ ...request, origin, path: pathname })
    const decoder = new TextDecoder()
    for await (const slice of response.body) note(decoder.decode(slice, { stream: true }))
  }
}

const sdk = (baseUrl: string): Read => {
  const client = new OpenAI({ apiKey: "sk-of-a-bench", baseURL: baseUrl, maxRetries: 0, logLevel: "off" })
  return async (note) => {
    const stream = await client.chat.completions.create({
      model: "any",
      stream: true,
      messages: [{ role: "user", content: prompt }]
    })
    for await (const chunk of stream) note(chunk.choices[0]?.delta.content ?? "")
  }
}

const policies: Pipeline.Options = {
  name: "bench",
  retry: { backoff: "exponential", initial: "500 millis", attempts: 3 },
  circuitBreaker: {},
  bulkhead: { maxConcurrent: streamCount },
  attemptTimeout: "1 minute"
}

const ours = async (
  baseUrl: string,
  client: Layer.Layer<HttpClient.HttpClient>,
  as: "bare" | "strengthened"
): Promise<Read> => {
  const runtime = ManagedRuntime.make(client)
  const bare = await runtime.runPromise(
    OpenAiChat.make({ baseUrl, apiKey: Redacted.make("sk-of-a-bench"), model: "any" })
  )
  const model = as === "bare" ? bare : ResilientModel.strengthen(bare, await runtime.runPromise(Pipeline.make(policies)))
  return (note) =>
    runtime.runPromise(
      Stream.runForEach(model.stream({ prompt }), (part) =>
        Effect.sync(() => {
          if (part._tag === "TextDelta") note(part.text)
        }))
    )
}

const withServer = (make: (baseUrl: string) => Read | Promise<Read>) => async (): Promise<Found> => {
  const server = fork(fileURLToPath(new URL("../concurrent/server.js", import.meta.url)), { execArgv: [] })
  const [port] = await once(server, "message")
  try {
    const read = await make(`http://127.0.0.1:${String(port)}/v1`)
    let chunks = 0
    const note = (text: string): void => {
      if (text !== "") chunks++
    }
    let ended = 0
    for (let at = 0; at < streamCount; at++) void read(note).finally(() => ended++).catch(console.error)
    await rest(seconds.settle)
    const found: Array<{ readonly micros: number; readonly chunks: number }> = []
    for (let at = 0; at < stretches; at++) {
      const before = chunks
      const used = process.cpuUsage()
      await rest(seconds.stretch)
      const { system, user } = process.cpuUsage(used)
      found.push({ micros: (user + system) / (chunks - before), chunks: (chunks - before) / seconds.stretch })
    }
    if (ended > 0) throw new Error(`${ended} streams ended`)
    const micros = found.map((each) => each.micros)
    return { micros: median(micros), least: Math.min(...micros), chunks: median(found.map((each) => each.chunks)) }
  } finally {
    server.kill()
  }
}

/** Who reads the chunks; all in one run, so that the machine is the same for all. */
export const loneChunks: { readonly [name: string]: () => Promise<Found> } = {
  "lone chunk, bare fetch": withServer(bareFetch),
  "lone chunk, bare undici": withServer(bareUndici),
  "lone chunk, openai SDK": withServer(sdk),
  "lone chunk, ours over fetch": withServer((baseUrl) => ours(baseUrl, FetchHttpClient.layer, "bare")),
  "lone chunk, ours over undici": withServer((baseUrl) => ours(baseUrl, NodeHttpClient.layerUndici, "bare")),
  "lone chunk, ours strengthened over undici": withServer((baseUrl) =>
    ours(baseUrl, NodeHttpClient.layerUndici, "strengthened")
  )
}
