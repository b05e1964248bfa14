/** How long replies of hostile sizes and hostile inputs hold up the process, read as a model reads them. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as Anthropic from "../../../src/provider/Anthropic.ts"
import * as Gemini from "../../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../../src/provider/OpenAiResponses.ts"
import { median, timed } from "../measure.ts"
import type { Found } from "../run.ts"
import { inputs } from "./inputs.ts"
import { type Form, type Payloads, protocols } from "./replies.ts"

type Name = keyof typeof protocols

const wide = { maxBodyBytes: 100_000_000, maxEventBytes: 100_000_000, maxToolCalls: 100_000 }
const secret = { apiKey: Redacted.make("sk-of-a-bench"), model: "any" }

export type Limits = typeof wide | Record<string, never>

const makers = {
  "OpenAI chat": (limits: Limits) => OpenAiChat.make({ ...secret, ...limits }),
  "OpenAI responses": (limits: Limits) => OpenAiResponses.make({ ...secret, ...limits }),
  Anthropic: (limits: Limits) => Anthropic.make({ ...secret, ...limits }),
  Gemini: (limits: Limits) => Gemini.make({ ...secret, ...limits })
} as const

/** As a network delivers them. */
const slice = 65_536

const bodyOf = (bytes: Uint8Array): ReadableStream<Uint8Array> => {
  let at = 0
  return new ReadableStream({
    pull: (controller) => {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.subarray(at, at + slice))
      at += slice
    }
  })
}

const written = (payloads: Payloads, form: Form): string =>
  form === "stream"
    ? payloads.map((payload) => `data: ${JSON.stringify(payload)}\n\n`).join("")
    : JSON.stringify(payloads[0])

const isFailure = (payload: unknown): boolean =>
  typeof payload === "object" && payload !== null && "error" in payload

/** A server that answers every request with this. */
const clientOf = (text: string, form: Form, status: number): HttpClient.HttpClient => {
  const bytes = new TextEncoder().encode(text)
  const headers = { "content-type": form === "stream" ? "text/event-stream" : "application/json" }
  return HttpClient.make((request) =>
    Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(bodyOf(bytes), { status, headers })))
  )
}

const reading = (model: LanguageModel.Service, form: Form): Effect.Effect<string, unknown> =>
  Effect.match(
    form === "stream"
      ? Stream.runFold(model.stream({ prompt: "Hi" }), "nothing", (_, part) => part._tag)
      : Effect.map(model.generate({ prompt: "Hi" }), (response) => response.finishReason),
    { onFailure: (error) => error instanceof Error ? error.name : "other", onSuccess: (told) => told }
  )

/** Milliseconds of the processor for one reply: the median of some, and the reply is read to its end or fails as it should. */
const time = async (
  name: Name,
  form: Form,
  text: string,
  { expected, limits = wide, status = 200 }: { readonly expected: RegExp; readonly limits?: Limits; readonly status?: number }
): Promise<number> => {
  const model = await Effect.runPromise(
    Effect.provideService(makers[name](limits), HttpClient.HttpClient, clientOf(text, form, status))
  )
  const took: Array<number> = []
  for (let i = 0; i < 5; i++) {
    const { processor } = await timed(async () => {
      const told = await Effect.runPromise(reading(model, form))
      if (!expected.test(told)) throw new Error(`${name}, ${form}: ${text.slice(0, 200)} ended with ${told}, not ${String(expected)}`)
    }, 1)
    took.push(processor)
  }
  return median(took)
}

const size = 16 * 1024 * 1024

/** Whole words, and text in which every third character is escaped. */
const plain = "word ".repeat(size / 5)
const escaped = "a\"\n".repeat(size / 5)

const bad = /^(?:ServerError|Overloaded|UnknownError)$/
const good = /^(?:Finish|[a-z-]+)$/
/** No tool has a name of that length, so a reply with one may be refused. */
const named = /^(?:Finish|[a-z-]+|MalformedResponse)$/

const sizes = (name: Name, form: Form) => async (): Promise<Found> => {
  const { calls, fields } = protocols[name]
  const found: Record<string, number> = {
    "10 000 calls": await time(name, form, written(calls(10_000, form), form), { expected: good })
  }
  for (const [field, reply] of Object.entries(fields[form])) {
    for (const [spelling, text] of [["", plain], [", escaped", escaped]] as const) {
      const payloads = reply(text)
      const fails = payloads.some(isFailure) || field === "error"
      found[`${field}${spelling}`] = await time(name, form, written(payloads, form), {
        expected: fails ? bad : field === "name of a tool" ? named : good,
        status: fails && form === "whole" ? 500 : 200
      })
    }
  }
  return found
}

const hostileInputs = async (): Promise<Found> => {
  const found: Record<string, number> = {}
  for (const [input, { expected, form, protocol, status, text }] of Object.entries(inputs)) {
    found[input] = await time(protocol, form, text, { expected, limits: {}, status })
  }
  return found
}

const names = ["OpenAI chat", "OpenAI responses", "Anthropic", "Gemini"] as const

export const hostile: { readonly [name: string]: () => Promise<Found> } = {
  ...Object.fromEntries(
    names.flatMap((name) => (["stream", "whole"] as const).map((form) => [`hostile sizes ${name}, ${form}`, sizes(name, form)]))
  ),
  "hostile inputs": hostileInputs
}
