/** A whole call over the wire, from this process to a server in another: what of it is the processor's time here. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import { fork } from "node:child_process"
import { once } from "node:events"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import OpenAI from "openai"
import * as Pipeline from "../../../src/policy/Pipeline.ts"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"
import * as Tripping from "../../../src/policy/Tripping.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import * as ResilientModel from "../../../src/resilience/ResilientModel.ts"
import { median, timed, type Took } from "../measure.ts"
import type { Found } from "../run.ts"

/** Makes one call and gives the text of its answer. */
type Call = () => Promise<string>

/** A way to make calls to a server. */
type Caller = (baseUrl: string, faults: number) => Promise<Call>

const apiKey = "sk-of-a-bench"
const model = "gpt-4.1-nano"
const prompt = "Say hello"
const atOnce = 20
const limit = 100

const body = JSON.stringify({ model, messages: [{ role: "user", content: prompt }] })

const headers = {
  "content-type": "application/json",
  accept: "application/json",
  authorization: `Bearer ${apiKey}`
} as const

/** The text of a reply, as far as one can trust it without looking. */
const textOf = (reply: unknown): string => {
  const read = (value: unknown, field: string | number): unknown =>
    typeof value === "object" && value !== null ? Object.entries(value).find(([name]) => name === String(field))?.[1] : undefined
  return String(read(read(read(read(reply, "choices"), 0), "message"), "content"))
}

const bareFetch: Caller = async (baseUrl) => async () => {
  const response = await fetch(`${baseUrl}/chat/completions`, { method: "POST", headers, body })
  return textOf(await response.json())
}

const bareUndici: Caller = async (baseUrl) => {
  const dispatcher = await Effect.runPromise(
    Effect.provide(NodeHttpClient.Dispatcher, NodeHttpClient.dispatcherLayerGlobal)
  )
  const { origin, pathname } = new URL(`${baseUrl}/chat/completions`)
  return async () => {
    const response = await dispatcher.request({ origin, path: pathname, method: "POST", headers, body })
    return textOf(await response.body.json())
  }
}

const sdk: Caller = async (baseUrl) => {
  const client = new OpenAI({ apiKey, baseURL: baseUrl })
  return async () => {
    const reply = await client.chat.completions.create({ model, messages: [{ role: "user", content: prompt }] })
    return reply.choices[0]?.message.content ?? ""
  }
}

/** What the platform's client costs by itself: the least that anything over it can cost. */
const platform = (client: Layer.Layer<HttpClient.HttpClient>): Caller => async (baseUrl) => {
  const runtime = ManagedRuntime.make(client)
  const http = await runtime.runPromise(HttpClient.HttpClient)
  const request = HttpClientRequest.post(`${baseUrl}/chat/completions`).pipe(HttpClientRequest.setHeaders(headers))
  const call = Effect.map(
    Effect.flatMap(
      Effect.suspend(() => http.execute(HttpClientRequest.bodyText(request, body, "application/json"))),
      (response) => response.json
    ),
    textOf
  )
  return () => runtime.runPromise(call)
}

const ours = (client: Layer.Layer<HttpClient.HttpClient>): Caller => async (baseUrl) => {
  const runtime = ManagedRuntime.make(client)
  const made = await runtime.runPromise(OpenAiChat.make({ baseUrl, apiKey: Redacted.make(apiKey), model }))
  return () => runtime.runPromise(Effect.map(made.generate({ prompt }), (response) => response.text))
}

/** Every policy that stands round a call. With faults, a call is repeated soon, so that nobody measures waits. */
const full = (faults: number): Pipeline.Options => ({
  totalTimeout: "5 minutes",
  retry: faults === 0
    ? RetryPolicy.exponential({ initial: "500 millis" }).pipe(RetryPolicy.capped("8 seconds"), RetryPolicy.attempts(3))
    : RetryPolicy.constant("5 millis").pipe(RetryPolicy.jittered("full"), RetryPolicy.attempts(20)),
  retryBudget: faults === 0 ? "standard" : { share: { ratio: 1, minimum: 1_000 } },
  hedge: { delay: "30 seconds" },
  circuitBreaker: { tripping: Tripping.failureRate({ share: 0.9, window: "30 seconds", minimumCalls: 100 }) },
  rateLimiter: { requestsPerMinute: 1_000_000_000, tokensPerMinute: 1_000_000_000 },
  bulkhead: { name: "bench", maxConcurrent: limit, maxQueued: 100_000 },
  attemptTimeout: "1 minute"
})

const strengthened = (client: Layer.Layer<HttpClient.HttpClient>): Caller => async (baseUrl, faults) => {
  const runtime = ManagedRuntime.make(client)
  const bare = await runtime.runPromise(OpenAiChat.make({ baseUrl, apiKey: Redacted.make(apiKey), model }))
  const pipeline = await runtime.runPromise(Pipeline.make(full(faults)))
  const made = ResilientModel.strengthen(bare, pipeline)
  return () => runtime.runPromise(Effect.map(made.generate({ prompt }), (response) => response.text))
}

const callers: { readonly [name: string]: Caller } = {
  "bare fetch": bareFetch,
  "bare undici": bareUndici,
  "openai SDK": sdk,
  "platform over fetch": platform(FetchHttpClient.layer),
  "platform over undici": platform(NodeHttpClient.layerUndici),
  "ours over fetch": ours(FetchHttpClient.layer),
  "ours over undici": ours(NodeHttpClient.layerUndici),
  "strengthened over fetch": strengthened(FetchHttpClient.layer),
  "strengthened over undici": strengthened(NodeHttpClient.layerUndici)
}

const withServer = async <A>(faults: number, measure: (baseUrl: string) => Promise<A>): Promise<A> => {
  const server = fork(fileURLToPath(new URL("server.js", import.meta.url)), {
    execArgv: [],
    env: { ...process.env, FAULTS: String(faults) }
  })
  const [port] = await once(server, "message")
  try {
    return await measure(`http://127.0.0.1:${String(port)}/v1`)
  } finally {
    server.kill()
  }
}

const checked = (call: Call): Call => async () => {
  const text = await call()
  if (!text.startsWith("Hello")) throw new Error(`the answer was ${JSON.stringify(text)}`)
  return text
}

// Processor time ------------------------------------------------------------------------------------------------------

/** So many calls, of which `atOnce` are always on their way. */
const inTurns = (call: Call) => async (calls: number): Promise<void> => {
  let left = calls
  const worker = async (): Promise<void> => {
    while (left-- > 0) await call()
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

const stretch = 1_000

/** Nanoseconds a call: the median of seven stretches, after as many to warm up. */
const processorTime = (caller: Caller) => (): Promise<Found> =>
  withServer(0, async (baseUrl) => {
    const sequence = inTurns(checked(await caller(baseUrl, 0)))
    for (let i = 0; i < 5; i++) await sequence(stretch)
    const stretches = []
    for (let i = 0; i < 7; i++) stretches.push(await timed(sequence, stretch))
    return {
      processor: median(stretches.map((took) => took.processor)) * 1e6 / stretch,
      wall: median(stretches.map((took) => took.wall)) * 1e6 / stretch
    }
  })

export const wholeCalls: { readonly [name: string]: () => Promise<Found> } = Object.fromEntries(
  Object.entries(callers).map(([name, caller]) => [`call ${name}`, processorTime(caller)])
)

// Throughput ----------------------------------------------------------------------------------------------------------

/** The same limit of calls in flight and the same repetition, in the fewest lines. */
const limited = (call: Call): Call => {
  let free = limit
  const waiting: Array<() => void> = []
  return async () => {
    for (;;) {
      if (free > 0) free--
      else await new Promise<void>((resolve) => waiting.push(resolve))
      let text = ""
      try {
        text = await call()
      } finally {
        const next = waiting.shift()
        if (next === undefined) free++
        else next()
      }
      if (text.startsWith("Hello")) return text
    }
  }
}

const calls = 2_000

/** Calls a second and delays of the event loop in milliseconds. */
const throughput = (caller: Caller) => (): Promise<Found> =>
  withServer(0.3, async (baseUrl) => {
    const call = checked(await caller(baseUrl, 0.3))
    const all = async (): Promise<void> => {
      await Promise.all(Array.from({ length: calls }, call))
    }
    for (let i = 0; i < 3; i++) await all()
    const rounds: Array<Took & { readonly p99: number; readonly most: number }> = []
    for (let i = 0; i < 5; i++) {
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      const took = await timed(all, calls)
      delay.disable()
      rounds.push({ ...took, p99: delay.percentile(99) / 1e6, most: delay.max / 1e6 })
    }
    const of = (measure: "wall" | "processor" | "p99" | "most"): number => median(rounds.map((round) => round[measure]))
    return { rate: calls / of("wall") * 1_000, processor: of("processor") * 1e6 / calls, p99: of("p99"), most: of("most") }
  })

const plainly = (caller: Caller): Caller => async (baseUrl, faults) => limited(await caller(baseUrl, faults))

const crowds: { readonly [name: string]: Caller } = {
  "bare fetch": plainly(bareFetch),
  "bare undici": plainly(bareUndici),
  "strengthened over fetch": strengthened(FetchHttpClient.layer),
  "strengthened over undici": strengthened(NodeHttpClient.layerUndici)
}

export const throughputs: { readonly [name: string]: () => Promise<Found> } = Object.fromEntries(
  Object.entries(crowds).map(([name, caller]) => [`throughput ${name}`, throughput(caller)])
)
