import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import { Response } from "../../src/model/Response.ts"
import { Usage } from "../../src/model/Usage.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"

const answering = (totalTokens: number) =>
  LanguageModel.make({
    name: "m",
    provider: "p",
    generate: () =>
      Effect.succeed(
        new Response({
          model: "m",
          parts: [Prompt.text("hi")],
          finishReason: "stop",
          usage: new Usage({ inputTokens: totalTokens, outputTokens: 0, totalTokens })
        })
      )
  })

const tokensLeft = (totalTokens: number, request: LanguageModel.Request) =>
  Effect.gen(function*() {
    const rateLimiter = yield* RateLimiter.make({ name: "tpm", tokensPerMinute: 10_000 })
    const model = ResilientModel.strengthen(answering(totalTokens), yield* Pipeline.make({ rateLimiter }))
    yield* model.generate(request)
    return Math.round((yield* RateLimiter.state(rateLimiter)).tokensAvailable)
  })

describe("what a strengthened call costs the rate limiter", () => {
  it.effect("is what the reply says it used", () =>
    Effect.gen(function*() {
      expect(yield* tokensLeft(1_234, { prompt: "hello", maxOutputTokens: 500 })).toBe(10_000 - 1_234)
    }))

  it.effect("is the estimate where the reply says nothing: a quarter of the characters and the longest reply", () =>
    Effect.gen(function*() {
      expect(yield* tokensLeft(0, { prompt: "x".repeat(400), maxOutputTokens: 300 })).toBe(10_000 - 400)
    }))

  it.effect("counts images and tool results, too", () =>
    Effect.gen(function*() {
      const prompt = [
        Prompt.user([Prompt.text("x".repeat(40)), Prompt.imageUrl("https://example.com/cat.png")]),
        Prompt.toolResult({ id: "1", name: "t", content: "y".repeat(20), isError: false })
      ]
      expect(yield* tokensLeft(0, { prompt, maxOutputTokens: 1 })).toBe(10_000 - (10 + 765 + 5 + 1))
    }))

  it.effect("above the whole limit it is refused at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(tokensLeft(0, { prompt: "hello", maxOutputTokens: 20_000 }))
      expect(error).toMatchObject({ _tag: "RateLimitExceeded", reason: "cost" })
    }))
})
