/**
 * What a person gets wrong first, each as that person meets it: a typed error that names the remedy. Replies that are none are
 * in `badInputReplies`, connections that fail in `badInputSockets`, both for every provider.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Timeout from "../../src/policy/Timeout.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as ProviderError from "../../src/provider/ProviderError.ts"

const ask = LanguageModel.generate({ prompt: "Hello" })

const through = (options: OpenAiChat.Options) => Layer.provide(OpenAiChat.layer(options), FetchHttpClient.layer)

const apiKey = Redacted.make("sk-of-a-test-0123456789")

describe("a provider set up wrongly", () => {
  it.effect("without a key says which variable to set", () =>
    Effect.gen(function*() {
      const built = Layer.build(Layer.provide(OpenAiChat.layerConfig(), FetchHttpClient.layer)).pipe(
        Effect.scoped,
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["OPENAI_MODEL", "gpt-4o-mini"]])))
      )
      const error = yield* Effect.flip(built)
      expect(error._tag).toBe("InvalidOptions")
      expect(error.message).toContain("OPENAI_API_KEY")
    }))

  it.live("for an unknown model fails with ModelNotFound, which no retry repeats", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make()
      const error = yield* ask.pipe(
        Effect.provide(through({ baseUrl: server.baseUrl, apiKey: Redacted.make(server.apiKey), model: "gpt-99" })),
        Retry.applyOrExhausted(RetryPolicy.immediate.pipe(RetryPolicy.attempts(5))),
        Effect.flip
      )
      expect(error.attempts).toBe(1)
      expect(error.lastError).toMatchObject({ _tag: "ModelNotFound", model: "gpt-99", status: 404 })
      expect((yield* server.books).requests).toBe(1)
    }).pipe(Effect.scoped))

  it.live("at a host that cannot be reached fails with ConnectionFailed and says to check the base URL", () =>
    Effect.gen(function*() {
      const error = yield* ask.pipe(
        Effect.provide(through({ baseUrl: "http://127.0.0.1:1/v1", apiKey, model: "any" })),
        Effect.flip
      )
      expect(error._tag).toBe("ConnectionFailed")
      expect(error.message).toContain("base URL")
    }))
})

describe("a policy that cannot work", () => {
  const wrong = (json: unknown): string => Either.getOrThrow(Either.flip(RetryPolicy.decode(json))).message

  it("that can never retry", () => {
    expect(wrong({ backoff: "constant", delay: "1 minute", within: "30 seconds" })).toContain("within the deadline")
    expect(wrong({ backoff: "immediate", attempts: 1 })).toContain("use \"never\"")
  })

  it("with no attempts, negative, zero or unreadable durations: everything in one error", () => {
    const message = wrong({ backoff: "linear", initial: "-1 seconds", increment: "0 millis", attempts: 0, cap: NaN })
    for (const field of ["initial", "increment", "attempts", "cap"]) expect(message).toContain(field)
    expect(message).toContain("4 invalid options")
  })

  it.effect("with a zero or negative time-out", () =>
    Effect.gen(function*() {
      for (const limit of [0, -5, NaN, Infinity, "0 seconds"] as const) {
        const error = yield* Effect.flip(Timeout.make({ limit }))
        expect(error).toMatchObject({ _tag: "InvalidOptions", issues: [{ path: "limit" }] })
      }
    }))

  it.effect("whose attempts may take longer than the whole", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Pipeline.make({ totalTimeout: "5 seconds", attemptTimeout: "5 seconds" }))
      expect(error.message).toMatch(/attemptTimeout.*totalTimeout/s)
    }))
})

describe("a hint that cannot be followed", () => {
  const limited = (retryAfter: string) =>
    ProviderError.fromResponse({
      provider: "openai",
      status: 429,
      headers: { "retry-after": retryAfter },
      body: { error: { message: "Rate limit reached", type: "requests", code: "rate_limit_exceeded" } },
      now: "2026-11-20T00:00:00Z"
    })

  it.effect("of a year: stops at once and hands the hint to the caller", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Retry.apply(Effect.fail(limited("31536000")), RetryPolicy.standard))
      expect(error).toMatchObject({ _tag: "RateLimited", retryAfter: Duration.days(365) })
    }))

  it("of a date in the past: no wait", () => {
    expect(limited("Tue, 17 Mar 2026 17:38:54 GMT")).toMatchObject({ _tag: "RateLimited", retryAfter: Duration.zero })
  })

  it("of NaN: no hint", () => {
    expect(limited("NaN")).toMatchObject({ _tag: "RateLimited" })
    expect(limited("NaN")).not.toHaveProperty("retryAfter._tag")
  })
})

describe("tools with names that cannot work", () => {
  const tool = (name: string) => Tool.make(name, { parameters: Schema.Struct({ city: Schema.String }) })

  it.effect("a tool named constructor, and two tools of one name: one error that names both", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Toolkit.make(tool("constructor"), tool("search"), tool("search")))
      expect(error._tag).toBe("InvalidToolkit")
      expect(error.problems).toHaveLength(2)
      expect(error.message).toContain("constructor")
      expect(error.message).toContain("Rename one of them")
    }))
})
