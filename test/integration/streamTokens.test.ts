/**
 * What surviving costs: the tokens that a provider is paid for 200 streams, 30 % of whose connections break in the middle, by
 * the mode and the protocol. The server's books say what was paid; what a reader holds at the end is worth its tokens, and the
 * rest was paid again. The table is printed.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { afterAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type * as StreamPart from "../../src/model/StreamPart.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import { runs } from "../runs.ts"
import { answer, wireNames } from "./chaosWires.ts"

const count = runs(40, 200)

const concurrency = 25

// No stalls: who gives up a stream in time pays for it by the clock, and here tokens are counted.
const plan = Fault.storm({
  seed: 12,
  streams: {
    cuts: 0.2,
    errors: { probability: 0.1, when: ["late"], kinds: ["overloaded", "server"] }
  }
})

const settings = (server: ChaosServer.Service, baseUrl: string, model: string) => ({
  model,
  baseUrl,
  apiKey: Redacted.make(server.apiKey)
})

type Model = Effect.Effect<LanguageModel.Service, unknown>

/** The clients, each declared to take a continuation in its own way. */
const clients = {
  "openai-chat": (server: ChaosServer.Service): Model =>
    OpenAiChat.make({
      ...settings(server, server.baseUrls.openAiChat, "gpt-4o-mini"),
      capabilities: { resume: { continuation: "followUp" } }
    }).pipe(Effect.provide(FetchHttpClient.layer)),
  "openai-responses": (server: ChaosServer.Service): Model =>
    OpenAiResponses.make({
      ...settings(server, server.baseUrls.openAiResponses, "gpt-4o-mini"),
      capabilities: { resume: { continuation: "followUp" } }
    }).pipe(Effect.provide(FetchHttpClient.layer)),
  "anthropic": (server: ChaosServer.Service): Model =>
    Anthropic.make({
      ...settings(server, server.baseUrls.anthropic, "claude-sonnet-4-5"),
      capabilities: { resume: { continuation: "prefill" } }
    }).pipe(Effect.provide(FetchHttpClient.layer)),
  "gemini": (server: ChaosServer.Service): Model =>
    Gemini.make({
      ...settings(server, server.baseUrls.gemini, "gemini-2.5-flash"),
      capabilities: { resume: { continuation: "followUp" } }
    }).pipe(Effect.provide(FetchHttpClient.layer))
}

const keeping = (server: ChaosServer.Service): Model =>
  OpenAiResponses.make({
    ...settings(server, server.baseUrls.openAiResponses, "gpt-4o-mini"),
    background: true
  }).pipe(Effect.provide(FetchHttpClient.layer))

/** How a reader was left. */
interface Left {
  readonly text: string
  readonly end: "whole" | "truncated" | "broken"
  readonly resets: number
  readonly seams: number
}

const follow = (model: LanguageModel.Service, index: number): Effect.Effect<Left> =>
  Effect.gen(function*() {
    let text = ""
    let resets = 0
    let seams = 0
    let finish: StreamPart.Finish | undefined
    const exit = yield* Effect.exit(
      Stream.runForEach(model.stream({ prompt: `Request ${index}: please answer in one sentence.` }), (part) =>
        Effect.sync(() => {
          if (part._tag === "TextDelta") {
            text += part.text
          }
          if (part._tag === "Finish") {
            finish = part
          }
          if (part._tag === "Seam") {
            seams++
          }
          if (part._tag !== "Reset") {
            return
          }
          resets++
          text = ""
        }))
    )
    const end = Exit.isFailure(exit) ? "broken" : finish?.reason === "truncated" ? "truncated" : "whole"
    return { text, end, resets, seams }
  })

const tokensOf = ({ completion, prompt }: ChaosServer.Books["tokens"]): number => prompt + completion

const measure = (modelOf: (server: ChaosServer.Service) => Model, stream: Pipeline.Options["stream"]) =>
  Effect.gen(function*() {
    const calm = yield* ChaosServer.make()
    yield* Effect.flatMap(modelOf(calm), (model) => follow(model, 0))
    const ofOneWhole = yield* calm.books

    const server = yield* ChaosServer.make({ plan })
    const pipeline = yield* Pipeline.make({
      name: "survivor",
      stream,
      retry: { backoff: "immediate", attempts: 15 }
    })
    const model = ResilientModel.strengthen(yield* modelOf(server), pipeline)
    const all = yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => index),
      (index) => follow(model, index),
      { concurrency }
    )
    const books = yield* server.books.pipe(
      Effect.filterOrFail(({ inFlight }) => inFlight === 0),
      Effect.retry(Schedule.spaced("5 millis").pipe(Schedule.upTo("5 seconds"))),
      Effect.orDie
    )
    const whole = all.filter(({ end, text }) => end === "whole" && text === answer).length
    const paid = tokensOf(books.tokens) + tokensOf(books.brokenTokens)
    return { all, books, whole, paid, ofWhole: ofOneWhole.tokens }
  }).pipe(Effect.scoped)

type Measured = Effect.Effect.Success<ReturnType<typeof measure>>

interface Row {
  readonly mode: string
  readonly wire: string
  readonly "came whole": number
  readonly "tokens paid": number
  readonly "prompt again": number
  readonly "completion again": number
}

const rows: Array<Row> = []

/** Notes what was paid, and what of it beyond that which the readers hold. */
const note = (mode: string, wire: string, { books, paid, whole }: Measured, held: ChaosServer.Books["tokens"]) => {
  rows.push({
    mode,
    wire,
    "came whole": whole,
    "tokens paid": paid,
    "prompt again": books.tokens.prompt + books.brokenTokens.prompt - held.prompt,
    "completion again": books.tokens.completion + books.brokenTokens.completion - held.completion
  })
}

const times = (number: number, { completion, prompt }: ChaosServer.Books["tokens"]): ChaosServer.Books["tokens"] => ({
  prompt: number * prompt,
  completion: number * completion
})

/** Replies that broke and were not delivered: of three in ten half at least. */
const leastBroken = count * 0.15

describe(`tokens of ${count} streams, 30 % of their connections broken in the middle`, () => {
  afterAll(() => console.table(rows))

  for (const wire of wireNames) {
    it.live(`${wire}: restart pays for what it throws away, and once for the rest`, () =>
      Effect.gen(function*() {
        const measured = yield* measure(clients[wire], { onBreak: "restart" })
        const { all, books, ofWhole, whole } = measured
        expect(whole).toBe(count)
        expect(all.filter(({ resets }) => resets > 0).length).toBeGreaterThan(leastBroken)
        expect(tokensOf(books.tokens)).toBe(count * tokensOf(ofWhole))
        note("restart", wire, measured, times(count, ofWhole))
        expect(tokensOf(books.brokenTokens)).toBeGreaterThan(leastBroken * tokensOf(ofWhole) / 4)
      }), 60_000)

    it.live(`${wire}: resume by a continuation pays the prompt again, and no text`, () =>
      Effect.gen(function*() {
        const measured = yield* measure(clients[wire], {
          onBreak: "resume",
          continuation: "allowed",
          otherwise: "restart"
        })
        const { all, books, ofWhole, whole } = measured
        expect(whole).toBe(count)
        expect(all.filter(({ seams }) => seams > 0).length).toBeGreaterThan(leastBroken)
        expect(all.filter(({ resets }) => resets > 0).length).toBe(0)
        note("resume by continuation", wire, measured, times(count, ofWhole))
        // Of what broke nearly nothing is written again: a server counts pieces, and they differ in length.
        const completions = books.tokens.completion + books.brokenTokens.completion
        expect(completions - count * ofWhole.completion).toBeLessThan(books.brokenTokens.completion / 2)
      }), 60_000)

    for (const onBreak of ["truncate", "fail"] as const) {
      it.live(`${wire}: ${onBreak} pays for nothing that the reader does not have`, () =>
        Effect.gen(function*() {
          const measured = yield* measure(clients[wire], { onBreak })
          const { all, books, ofWhole, whole } = measured
          expect(all.filter(({ end }) => end === (onBreak === "fail" ? "broken" : "truncated")).length).toBe(
            count - whole
          )
          expect(count - whole).toBeGreaterThan(leastBroken)
          expect(books.admitted).toBe(count)
          expect(tokensOf(books.tokens)).toBe(whole * tokensOf(ofWhole))
          // Each stream was asked for once, so what broke is what its reader holds.
          note(onBreak, wire, measured, {
            prompt: books.tokens.prompt + books.brokenTokens.prompt,
            completion: books.tokens.completion + books.brokenTokens.completion
          })
        }), 60_000)
    }
  }

  it.live("openai-responses: resume by the vendor pays nothing twice", () =>
    Effect.gen(function*() {
      const measured = yield* measure(keeping, { onBreak: "resume", otherwise: "restart" })
      const { all, books, ofWhole, paid, whole } = measured
      expect(whole).toBe(count)
      expect(books.background.resumed + books.background.polled).toBeGreaterThan(leastBroken)
      expect(books.brokenTokens).toEqual({ prompt: 0, completion: 0 })
      note("resume by vendor", "openai-responses", measured, times(count, ofWhole))
      expect(all.every(({ resets }) => resets === 0)).toBe(true)
      expect(paid).toBe(count * tokensOf(ofWhole))
    }), 60_000)
})
