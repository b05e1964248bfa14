/** Many streams whose chunks come alone: what one chunk takes of the processor and how late it comes, by who reads it. */
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
import { Delays } from "../delays.ts"
import { median } from "../measure.ts"
import type { Found } from "../run.ts"

/** How many streams there are at once: few, so that the processor is hardly busy, and many. */
export const streamCounts = { few: 200, many: 1_000 } as const

/** Seconds until all is warm, of each stretch that is measured, and for which delays are noted afterwards. */
const seconds = { settle: 3, stretch: 1.3, delays: 5 } as const

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
  bulkhead: { maxConcurrent: streamCounts.many },
  attemptTimeout: "1 minute"
}

const byPhases: Pipeline.Options = {
  ...policies,
  stream: { firstContent: "1 minute", idle: "20 seconds", liveness: "10 seconds", onBreak: "restart" }
}

const ours = async (
  baseUrl: string,
  client: Layer.Layer<HttpClient.HttpClient>,
  pipeline?: Pipeline.Options
): Promise<Read> => {
  const runtime = ManagedRuntime.make(client)
  const bare = await runtime.runPromise(
    OpenAiChat.make({ baseUrl, apiKey: Redacted.make("sk-of-a-bench"), model: "any" })
  )
  const model = pipeline === undefined
    ? bare
    : ResilientModel.strengthen(bare, await runtime.runPromise(Pipeline.make(pipeline)))
  return (note) =>
    runtime.runPromise(
      Stream.runForEach(model.stream({ prompt }), (part) =>
        Effect.sync(() => {
          if (part._tag === "TextDelta") note(part.text)
        }))
    )
}

const withServer = (make: (baseUrl: string) => Read | Promise<Read>) => async (streamCount: number): Promise<Found> => {
  const server = fork(fileURLToPath(new URL("../concurrent/server.js", import.meta.url)), { execArgv: [] })
  const [port] = await once(server, "message")
  try {
    const read = await make(`http://127.0.0.1:${String(port)}/v1`)
    let chunks = 0
    const delays = new Delays()
    const note = (text: string): void => {
      if (text === "") return
      chunks++
      delays.note(text)
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
    delays.isOn = true
    await rest(seconds.delays)
    delays.isOn = false
    if (ended > 0) throw new Error(`${ended} streams ended`)
    const micros = found.map((each) => each.micros)
    return {
      micros: median(micros),
      least: Math.min(...micros),
      chunks: median(found.map((each) => each.chunks)),
      p50: delays.quantile(0.5),
      p99: delays.quantile(0.99)
    }
  } finally {
    server.kill()
  }
}

/** Who reads the chunks; all in one run, so that the machine is the same for all. */
export const loneChunks: { readonly [name: string]: (streamCount: number) => Promise<Found> } = {
  "lone chunk, bare fetch": withServer(bareFetch),
  "lone chunk, bare undici": withServer(bareUndici),
  "lone chunk, openai SDK": withServer(sdk),
  "lone chunk, ours over fetch": withServer((baseUrl) => ours(baseUrl, FetchHttpClient.layer)),
  "lone chunk, ours over undici": withServer((baseUrl) => ours(baseUrl, NodeHttpClient.layerUndici)),
  "lone chunk, ours strengthened over undici": withServer((baseUrl) =>
    ours(baseUrl, NodeHttpClient.layerUndici, policies)
  ),
  "lone chunk, ours guarded by phases over undici": withServer((baseUrl) =>
    ours(baseUrl, NodeHttpClient.layerUndici, byPhases)
  )
}
