/** Who reads a stream, from the body of a reply to its end, as its own client does. */
import { Stream as AnthropicStream } from "@anthropic-ai/sdk/core/streaming"
import { GoogleGenAI } from "@google/genai"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createParser } from "eventsource-parser"
import { Stream as OpenAiStream } from "openai/core/streaming"
import * as AnthropicProvider from "../../../src/provider/Anthropic.ts"
import * as GeminiProvider from "../../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../../src/provider/OpenAiResponses.ts"
import { median, timed, type Took } from "../measure.ts"
import type { Found } from "../run.ts"
import { type Provider, providers, recording } from "./recordings.ts"

/** Reads all and says how many events or parts there were. */
export type Decode = (body: ReadableStream<Uint8Array>) => Promise<number>

/** As a server sends them: a slice whenever one is asked for. */
export const bodyOf = (bytes: Uint8Array, slice: number): ReadableStream<Uint8Array> => {
  let at = 0
  return new ReadableStream({
    pull: (controller) => {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.subarray(at, at + slice))
      at += slice
    }
  })
}

const count = async (events: AsyncIterable<unknown>): Promise<number> => {
  let found = 0
  for await (const _event of events) found++
  return found
}

const ours = (decodeStream: ReturnType<typeof OpenAiChat.decodeStream>): Decode => (body) =>
  Effect.runPromise(
    Stream.fromReadableStream({ evaluate: () => body, onError: (cause) => new Error("unreadable", { cause }) }).pipe(
      decodeStream,
      Stream.runFold(0, (found) => found + 1)
    )
  )

const sseHead = { headers: { "content-type": "text/event-stream" } }

const openAiSdk: Decode = (body) =>
  count(OpenAiStream.fromSSEResponse(new Response(body, sseHead), new AbortController()))

const anthropicSdk: Decode = (body) =>
  count(AnthropicStream.fromSSEResponse(new Response(body, sseHead), new AbortController()))

/** Google's client has no decoder to call by itself, so it fetches: the reply is at hand. */
const geminiSdk: Decode = async (body) => {
  const before = globalThis.fetch
  globalThis.fetch = () => Promise.resolve(new Response(body, sseHead))
  try {
    const client = new GoogleGenAI({ apiKey: "none" })
    return await count(await client.models.generateContentStream({ model: "gemini-3-pro-preview", contents: "Hi" }))
  } finally {
    globalThis.fetch = before
  }
}

/** The framing we build on, and nothing else: what cannot be done with less. */
const bare: Decode = async (body) => {
  const decoder = new TextDecoder()
  let found = 0
  const parser = createParser({
    onEvent: ({ data }) => {
      if (data === "[DONE]") return
      JSON.parse(data)
      found++
    }
  })
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return found
    parser.feed(decoder.decode(value, { stream: true }))
  }
}

export const whoes = ["ours", "SDK", "bare eventsource-parser"] as const

type Who = (typeof whoes)[number]

const decoders: { readonly [P in Provider]: { readonly [W in Who]: Decode } } = {
  "OpenAI chat": { ours: ours(OpenAiChat.decodeStream()), SDK: openAiSdk, "bare eventsource-parser": bare },
  "OpenAI responses": { ours: ours(OpenAiResponses.decodeStream()), SDK: openAiSdk, "bare eventsource-parser": bare },
  Anthropic: { ours: ours(AnthropicProvider.decodeStream()), SDK: anthropicSdk, "bare eventsource-parser": bare },
  Gemini: { ours: ours(GeminiProvider.decodeStream()), SDK: geminiSdk, "bare eventsource-parser": bare }
}

/** Of a network that is fast, and of one that sends every few words in a packet of its own. */
export const slices = [16 * 1024, 1024]

export const streamSize = 10_000_000

export const nameOf = (provider: Provider, who: Who): string => `streams ${provider}, ${who}`

/** The median time of a decoding, after a warm-up, and the least. */
const timesOf = (provider: Provider, who: Who) => async (slice: number): Promise<Found> => {
  const bytes = recording(provider, streamSize)
  const once = decoders[provider][who]
  const stretches: Array<Took> = []
  for (let i = 0; i < 8; i++) {
    const took = await timed(async () => {
      const events = await once(bodyOf(bytes, slice))
      if (events < 10_000) throw new Error(`${who} read only ${events} events of ${provider}`)
    }, 1)
    if (i >= 2) stretches.push(took)
  }
  return {
    processor: median(stretches.map((took) => took.processor)),
    wall: median(stretches.map((took) => took.wall)),
    least: Math.min(...stretches.map((took) => took.processor))
  }
}

export const decodings: { readonly [name: string]: (slice: number) => Promise<Found> } = Object.fromEntries(
  providers.flatMap((provider) => whoes.map((who) => [nameOf(provider, who), timesOf(provider, who)]))
)
