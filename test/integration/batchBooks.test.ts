/** A batch over real HTTP at a provider that fails one call in ten: the report says what the provider's books say. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Batch from "../../src/batch/Batch.ts"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import { runs } from "../runs.ts"

const apiKey = Redacted.make("sk-chaos")

const providers = {
  openAiChat: (baseUrl: string) => OpenAiChat.make({ apiKey, baseUrl, model: "gpt-4o-mini" }),
  openAiResponses: (baseUrl: string) => OpenAiResponses.make({ apiKey, baseUrl, model: "gpt-4o-mini" }),
  anthropic: (baseUrl: string) => Anthropic.make({ apiKey, baseUrl, model: "claude-sonnet-4-5" }),
  gemini: (baseUrl: string) => Gemini.make({ apiKey, baseUrl, model: "gemini-2.5-flash" })
}

const names = ["openAiChat", "openAiResponses", "anthropic", "gemini"] as const

const count = runs(100, 500)

/** The report of a batch through a retry of two attempts, so that some items fail for good, and the provider's books. */
const runAt = (name: (typeof names)[number], storm: Parameters<typeof Fault.storm>[0]) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ plan: Fault.storm(storm), requestKey: (text) => text })
    const model = yield* providers[name](server.baseUrls[name])
    const pipeline = yield* Pipeline.make({ retry: { backoff: "constant", delay: "5 millis", attempts: 2 } })
    const strong = ResilientModel.strengthen(model, pipeline)
    const items = Array.from({ length: count }, (_, index) => `item ${index}`)
    const report = yield* Batch.run(items, (prompt) => strong.generate({ prompt }), { concurrency: 20 })
    return { ...report, books: yield* server.books }
  }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)

const faultsIn = ({ faults }: ChaosServer.Books): number => Object.values(faults).reduce((sum, each) => sum + each, 0)

describe.each(names)("a batch at a provider that fails one call in ten (%s)", (name) => {
  it.live("has the attempts, answers and tokens of the provider's books", () =>
    Effect.gen(function*() {
      const { books, results, summary } = yield* runAt(name, {
        seed: 7,
        serverErrors: { probability: 0.06 },
        rateLimited: { probability: 0.04, wait: "20 millis" }
      })
      expect(Object.fromEntries(results.map(({ attempts, item }) => [item, attempts]))).toEqual(books.arrivals)
      expect(books.admitted).toBe(count + summary.retried)
      expect(books.right.texts).toBe(summary.succeeded)
      expect(summary.tokens).toBe(books.tokens.prompt + books.tokens.completion)
      // Each fault was retried, or was the end of its item.
      expect(faultsIn(books)).toBe(summary.retried + summary.failed)
      expect(faultsIn(books)).toBeGreaterThan(count / 20)
      expect(summary.failed).toBe(results.filter(({ outcome }) => Either.isLeft(outcome)).length)
    }))

  it.live("counts a request as one attempt that was sent again, since its connection was closed", () =>
    Effect.gen(function*() {
      const { books, summary } = yield* runAt(name, { seed: 7, cuts: 0.1 })
      const again = books.admitted - (count + summary.retried)
      expect(again).toBeGreaterThanOrEqual(0)
      expect(again).toBeLessThanOrEqual(books.faults.ResetBeforeBody ?? 0)
      expect(books.right.texts).toBe(summary.succeeded)
      // What broke within its body is paid for, and nobody can tell how much it was.
      expect(summary.tokens).toBe(books.tokens.prompt + books.tokens.completion)
      expect(faultsIn(books)).toBeGreaterThan(count / 20)
    }))
})
