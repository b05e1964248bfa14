import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import { tracerTelling } from "../spans.ts"
import { answered, completion, failed, fakeClient, json, key, options } from "./fakeOpenAi.ts"

describe("OpenAiChat", () => {
  describe("what goes wrong", () => {
    const wrong: ReadonlyArray<readonly [string, () => globalThis.Response, object]> = [
      ["an empty body", () => json(""), { _tag: "MalformedResponse", reason: "the body is empty" }],
      ["no body", () => new globalThis.Response(null, { status: 204 }), { _tag: "MalformedResponse", status: 204 }],
      [
        "an HTML page",
        () => new globalThis.Response("<html>hello</html>", { headers: { "content-type": "text/html" } }),
        {
          _tag: "MalformedResponse",
          reason: expect.stringMatching(/not JSON.*text\/html.*base URL/)
        }
      ],
      ["JSON that is no completion", () => json({ hello: 1 }), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("choices")
      }],
      ["JSON that is no object", () => json("null"), { _tag: "MalformedResponse" }],
      ["empty choices", () => json({ choices: [] }), { _tag: "MalformedResponse", reason: "choices is empty" }],
      ["a choice without a message", () => json({ choices: [{ index: 0 }] }), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("choices.0.message")
      }],
      ["content of the wrong kind", () => json(completion({ content: 5 })), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("choices.0.message.content")
      }],
      ["a tool call without a name", () => json(completion({ tool_calls: [{ id: "a", function: {} }] })), {
        _tag: "MalformedResponse",
        reason: expect.stringContaining("choices.0.message.tool_calls.0.function.name")
      }],
      [
        "bytes that are not UTF-8",
        () => new globalThis.Response(new Uint8Array([0x7b, 0xff, 0xfe, 0x7d])),
        { _tag: "MalformedResponse", reason: "the body is not valid UTF-8" }
      ],
      ["a body that stops inside JSON", () => json("{\"choices\":[{\"mess"), {
        _tag: "Truncated",
        received: "{\"choices\":[{\"mess"
      }],
      ["a body that stops inside a character", () => new globalThis.Response(new Uint8Array([0x22, 0xc3])), {
        _tag: "Truncated"
      }],
      [
        "a body shorter than announced",
        () => json(completion({ content: "ok" }), { headers: { "content-length": "9999" } }),
        {
          _tag: "Truncated",
          cause: { name: "ContentLengthMismatch" }
        }
      ],
      ["a body over the cap", () => json(completion({ content: "x".repeat(5000) })), {
        _tag: "MalformedResponse",
        reason: expect.stringMatching(/maxBodyBytes \(4096 bytes\).*raise maxBodyBytes/)
      }],
      [
        "a redirect",
        () => new globalThis.Response(null, { status: 308, headers: { location: "https://else.example/v1" } }),
        {
          _tag: "InvalidRequest",
          param: "baseUrl",
          message: expect.stringMatching(/redirects to https:\/\/else\.example\/v1.*set baseUrl/)
        }
      ],
      ["a filter that left nothing", () =>
        json(completion({ content: "" }, {}, {
          finish_reason: "content_filter",
          content_filter_results: { violence: { filtered: true }, hate: { filtered: false } }
        })), { _tag: "ContentFiltered", stage: "completion", categories: ["violence"], billed: "yes" }],
      [
        "DeepSeek out of resources",
        () => json(completion({ content: "" }, {}, { finish_reason: "insufficient_system_resource" })),
        { _tag: "Overloaded" }
      ],
      [
        "an error under status 200",
        () => json({ error: { message: "Rate limit reached", type: "requests", code: "rate_limit_exceeded" } }),
        {
          _tag: "RateLimited"
        }
      ],
      [
        "an error in a choice (OpenRouter)",
        () => json({ choices: [{ error: { code: 502, message: "Provider returned error" }, finish_reason: "error" }] }),
        {
          _tag: "ServerError",
          status: 502
        }
      ],
      [
        "an error beside the choices (OpenRouter)",
        () => json(completion({ content: "" }, { error: { code: 429, message: "Rate limit exceeded" } })),
        {
          _tag: "RateLimited"
        }
      ],
      ["a bad key", () => json({ error: { message: "Incorrect API key", code: "invalid_api_key" } }, { status: 401 }), {
        _tag: "Authentication",
        status: 401
      }],
      ["a rate limit with its hint", () =>
        json({ error: { message: "Slow down", code: "rate_limit_exceeded" } }, {
          status: 429,
          headers: { "retry-after": "7", "x-request-id": "req_9" }
        }), { _tag: "RateLimited", retryAfter: Duration.seconds(7), requestId: "req_9" }]
    ]
    for (const [name, reply, expected] of wrong) {
      it.effect(`knows ${name}`, () =>
        Effect.map(failed(reply, { prompt: "Hi" }, { maxBodyBytes: 4096 }), (error) => {
          expect(error).toMatchObject({ provider: "openai", model: "gpt-4o-mini", ...expected })
          expect(JSON.stringify(error) + String(error)).not.toContain(key)
        }))
    }

    it.effect("counts a date in Retry-After from the Clock", () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.UTC(2026, 0, 1, 0, 0, 0))
        const error = yield* failed(() =>
          json({ error: { message: "Slow down" } }, {
            status: 429,
            headers: { "retry-after": "Thu, 01 Jan 2026 00:00:30 GMT" }
          })
        )
        expect(error).toMatchObject({ _tag: "RateLimited", retryAfter: Duration.seconds(30) })
      }))

    it.effect("never keeps the platform's error, which holds the request with its headers", () =>
      Effect.gen(function*() {
        const client = HttpClient.make((request) =>
          Effect.fail(
            new HttpClientError.RequestError({
              request,
              reason: "Transport",
              cause: new Error(`socket hang up, authorization: Bearer ${key}`)
            })
          )
        )
        const error = yield* OpenAiChat.make(options).pipe(
          Effect.flatMap((model) => model.generate({ prompt: "Hi" })),
          Effect.provideService(HttpClient.HttpClient, client),
          Effect.flip
        )
        expect(error).toMatchObject({ _tag: "ConnectionFailed", billed: "maybe" })
        expect(JSON.stringify(error) + String(error) + JSON.stringify(Object.entries(error))).not.toContain(key)
      }))

    it.effect("reads the reply of a client that fails on bad statuses by itself", () =>
      Effect.gen(function*() {
        const { client } = fakeClient(() =>
          json({ error: { message: "no", code: "model_not_found" } }, { status: 404 })
        )
        const error = yield* OpenAiChat.make(options).pipe(
          Effect.flatMap((model) => model.generate({ prompt: "Hi" })),
          Effect.provideService(HttpClient.HttpClient, HttpClient.filterStatusOk(client)),
          Effect.flip
        )
        expect(error._tag).toBe("ModelNotFound")
      }))

    it.effect("aborts the request when it is interrupted", () =>
      Effect.gen(function*() {
        const started = yield* Deferred.make<void>()
        const aborted = yield* Deferred.make<void>()
        const client = HttpClient.make((_, __, signal) =>
          Effect.gen(function*() {
            signal.addEventListener("abort", () => Deferred.unsafeDone(aborted, Effect.void))
            yield* Deferred.succeed(started, undefined)
            return yield* Effect.never
          })
        )
        const model = yield* OpenAiChat.make(options).pipe(Effect.provideService(HttpClient.HttpClient, client))
        const fiber = yield* Effect.fork(model.generate({ prompt: "Hi" }))
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        yield* Deferred.await(aborted)
      }))

    it.effect("shows no header in a span", () =>
      Effect.gen(function*() {
        const attributes: Array<string> = []
        const tracer = tracerTelling({
          attribute: (name, value) => void attributes.push(`${name}=${String(value)}`)
        })
        yield* answered(() => json(completion({ content: "ok" })), { prompt: "Hi" }, {
          headers: {
            "api-key": "azure-secret",
            "cf-aig-authorization": "gateway-secret",
            "x-mine": Redacted.make("hush-hush"),
            "x-open": "shown"
          }
        }).pipe(Effect.withTracer(tracer))
        const all = attributes.join("\n")
        expect(all).toContain("http.response.status_code=200")
        for (const secret of ["header", key, "azure-secret", "gateway-secret", "hush-hush", "shown"]) {
          expect(all).not.toContain(secret)
        }
      }))

    it.effect("shows a key without a known form nowhere, when the server repeats it", () =>
      Effect.gen(function*() {
        const secret = "hunter2-open-sesame"
        const replies: ReadonlyArray<() => globalThis.Response> = [
          () => json({ error: { message: `The token ${secret} is not known` } }, { status: 401 }),
          () => json({ headers: { "x-was": `Bearer ${secret}` }, error: { message: "x" } }, { status: 500 }),
          () => json({ error: { message: `slow down, ${secret}` } }),
          () => json(`no JSON, but ${secret}`),
          () => new globalThis.Response(null, { status: 302, headers: { location: `https://x.example/${secret}` } })
        ]
        for (const reply of replies) {
          const error = yield* Effect.flip(answered(reply, { prompt: "Hi" }, { apiKey: Redacted.make(secret) }))
          expect(`${error.message} ${JSON.stringify(error)} ${String(error.stack)}`).not.toContain(secret)
        }
      }))

    it.effect("asks a fetch client not to follow redirects, and keeps its other settings", () =>
      Effect.gen(function*() {
        const seen: Array<RequestInit | undefined> = []
        const fetch = FetchHttpClient.layer.pipe(
          Layer.provide(Layer.succeed(FetchHttpClient.Fetch, (_, init) => {
            seen.push(init)
            return Promise.resolve(json(completion({ content: "ok" })))
          }))
        )
        const provider = OpenAiChat.layer(options).pipe(
          Layer.provide(fetch),
          Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { cache: "no-store" }))
        )
        yield* LanguageModel.generate({ prompt: "Hi" }).pipe(Effect.provide(provider))
        expect(seen[0]).toMatchObject({ redirect: "manual", cache: "no-store" })
      }))
  })
})
