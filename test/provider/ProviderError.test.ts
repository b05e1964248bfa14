import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import { fromResponse, type ProviderReply } from "../../src/provider/ProviderError.ts"
import { growth, steepest } from "../straightLine.ts"

/** Replies in the wording of real ones, one for each thing a careful reader must not confuse. */
const Replies = Schema.Array(Schema.Struct({
  name: Schema.String,
  expected: Schema.String,
  wait: Schema.optional(Schema.NullOr(Schema.Number)),
  provider: Schema.String,
  status: Schema.Number,
  headers: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String })),
  body: Schema.Unknown
}))
const replies = Schema.decodeUnknownSync(Schema.parseJson(Replies))(
  readFileSync(new URL("./replies.json", import.meta.url), "utf8")
)

const now = Date.UTC(2026, 2, 17, 17, 37, 54)

const openai = (status: number, message: string, rest: Record<string, unknown> = {}): ProviderReply => ({
  provider: "openai",
  status,
  body: { error: { message, type: null, param: null, code: null, ...rest } }
})

const waitOf = (error: ModelError.ModelError): number | null =>
  Option.getOrNull(Option.map(Verdict.of(error).retryAfter, Duration.toMillis))

describe("ProviderError.fromResponse", () => {
  describe("names what a reply means", () => {
    for (const { expected, name, wait, ...reply } of replies) {
      it(`${expected}: ${name}`, () => {
        const error = fromResponse({ ...reply, now })
        expect(error._tag, error.detail).toBe(expected)
        if (wait !== undefined) expect(waitOf(error)).toBe(wait)
      })
    }
  })

  it("gives errors that survive the trip over a wire", () => {
    for (const { expected: _expected, name: _name, wait: _wait, ...reply } of replies) {
      const error = fromResponse({ ...reply, now })
      const sent: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(ModelError.ModelError)(error)))
      expect(Schema.decodeUnknownSync(ModelError.ModelError)(sent)).toEqual(error)
    }
  })

  describe("the wait", () => {
    const limited = openai(429, "Rate limit reached. Please try again in 20s.", { code: "rate_limit_exceeded" })
    const wait = (headers: Record<string, string>, reply = limited) => waitOf(fromResponse({ ...reply, headers, now }))

    it("comes from the most exact source", () => {
      const all = {
        "retry-after-ms": "1500",
        "x-ms-retry-after-ms": "2500",
        "retry-after": "4",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s"
      }
      expect(wait(all)).toBe(1500)
      expect(wait({ ...all, "retry-after-ms": "soon" })).toBe(2500)
      expect(wait({ "Retry-After": "4" })).toBe(4000)
      expect(wait({ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s" })).toBe(20_000)
    })

    it("is read whatever the header's case, and the longest of repeated ones", () => {
      const told = (headers: Record<string, string | ReadonlyArray<string>>) =>
        waitOf(fromResponse({ ...limited, headers, now }))
      expect(told({ "RETRY-AFTER": ["5", "3"] })).toBe(5000)
      expect(told({ "Retry-After-Ms": ["1234"] })).toBe(1234)
      expect(told({ "retry-after": [] })).toBe(20_000)
    })

    it("falls back on the reset of the exhausted dimension only", () => {
      const silent = openai(429, "Rate limit reached", { code: "rate_limit_exceeded" })
      const headers = {
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "1m1.5s"
      }
      expect(wait(headers, silent)).toBe(61_500)
      expect(wait({ ...headers, "x-ratelimit-remaining-tokens": "7" }, silent)).toBe(null)
      expect(wait({ "x-ratelimit-reset-tokens": "8ms" }, openai(429, "Limit", { type: "tokens" }))).toBe(8)
    })

    it("keeps a year, so that a policy can stop at once, and drops what cannot be meant", () => {
      expect(wait({ "retry-after": "31536000" }, openai(429, "Slow"))).toBe(31_536_000_000)
      expect(wait({ "retry-after": "99999999999" }, openai(429, "Slow"))).toBe(null)
      expect(wait({ "retry-after": "NaN" }, openai(429, "Slow"))).toBe(null)
    })

    it("reads a date against the reply's own clock when no other is given", () => {
      const headers = { "retry-after": "Tue, 17 Mar 2026 17:38:54 GMT", date: "Tue, 17 Mar 2026 17:38:24 GMT" }
      expect(waitOf(fromResponse({ ...openai(503, "Busy"), headers }))).toBe(30_000)
      expect(waitOf(fromResponse({ ...openai(503, "Busy"), headers: { "retry-after": headers["retry-after"] } }))).toBe(
        null
      )
    })
  })

  describe("per-day limits", () => {
    const message = (wait: string) =>
      `Rate limit reached for model \`llama-3.3-70b-versatile\` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in ${wait}. Need more tokens? Upgrade at https://console.groq.com/settings/billing`
    const groq = (wait: string): ModelError.ModelError =>
      fromResponse({
        provider: "groq",
        status: 429,
        now,
        body: { error: { message: message(wait), type: "tokens", code: "rate_limit_exceeded" } }
      })

    it("are a used-up quota that tells when it is back", () => {
      const error = groq("9m38.016s")
      expect(error).toMatchObject({ _tag: "QuotaExhausted", reason: "daily" })
      const at = error._tag === "QuotaExhausted" ? error.resetAt : undefined
      expect(at === undefined ? undefined : DateTime.toEpochMillis(at)).toBe(now + 578_016)
      expect(Verdict.of(error).action).toBe("Fallback")
    })

    it("are a rate limit while they refill within the minute", () => {
      expect(groq("8.64s")).toMatchObject({ _tag: "RateLimited", scope: "day" })
      expect(waitOf(groq("8.64s"))).toBe(8640)
    })

    it("are told by Groq's request headers, which count the day", () => {
      const headers = { "x-ratelimit-remaining-requests": "0", "retry-after": "540" }
      const body = { error: { message: "Rate limit reached", code: "rate_limit_exceeded" } }
      expect(fromResponse({ provider: "groq", status: 429, headers, body, now })._tag).toBe("QuotaExhausted")
      expect(fromResponse({ provider: "openai", status: 429, headers, body, now })._tag).toBe("RateLimited")
    })
  })

  it("says how much was asked and how much is allowed", () => {
    expect(fromResponse(openai(429, "Request too large on tokens per min (TPM): Limit 30000, Requested 31538.")))
      .toMatchObject({
        _tag: "RequestTooLarge",
        requested: 31_538,
        limit: 30_000
      })
    expect(fromResponse(openai(400, "maximum context length is 4097 tokens. However, you requested 4120 tokens")))
      .toMatchObject({
        _tag: "ContextLengthExceeded",
        requested: 4120,
        limit: 4097
      })
    expect(fromResponse(openai(400, "input length and `max_tokens` exceed context limit: 143653 + 64000 > 200000")))
      .toMatchObject({
        requested: 207_653,
        limit: 200_000
      })
  })

  it("tells the prompt's filter from the completion's, and which categories fired", () => {
    const filtered = fromResponse(
      openai(400, "The response was filtered due to the prompt triggering a policy. Please modify and retry.", {
        code: "content_filter",
        innererror: {
          content_filter_result: { hate: { filtered: false }, violence: { filtered: true, severity: "medium" } }
        }
      })
    )
    expect(filtered).toMatchObject({ _tag: "ContentFiltered", stage: "prompt", categories: ["violence"], billed: "no" })
    expect(fromResponse({ provider: "google", status: 200, body: { candidates: [{ finishReason: "SAFETY" }] } }))
      .toMatchObject({ _tag: "ContentFiltered", stage: "completion", billed: "maybe" })
  })

  it("keeps the call that the model got wrong", () => {
    const generation = "<function=search>{\"q\": 1}</function>"
    expect(fromResponse(openai(400, "Failed to call a function. Please adjust your prompt.", {
      code: "tool_use_failed",
      failed_generation: generation
    }))).toMatchObject({ _tag: "InvalidToolCall", failedGeneration: generation, billed: "yes" })
  })

  it("takes the request's id from the headers, else from the body, else from the proxy", () => {
    const id = (headers: Record<string, string>, body: unknown) =>
      fromResponse({ provider: "p", status: 500, headers, body }).requestId
    expect(id({ "X-Request-Id": "a", "cf-ray": "z" }, { request_id: "b" })).toBe("a")
    expect(id({ "request-id": "c" }, {})).toBe("c")
    expect(id({ "apim-request-id": "d" }, {})).toBe("d")
    expect(id({ "cf-ray": "z" }, { request_id: "b" })).toBe("b")
    expect(id({ "cf-ray": "z" }, "")).toBe("z")
  })

  it("passes on x-should-retry, which outranks the class", () => {
    const error = (status: number, should: string) =>
      fromResponse({ provider: "openai", status, headers: { "x-should-retry": should }, body: "" })
    expect(Verdict.of(error(400, "true")).action).toBe("Retry")
    expect(Verdict.of(error(500, "false")).action).not.toBe("Retry")
    expect(error(500, "perhaps").shouldRetry).toBe(undefined)
  })

  it("knows what may have been billed", () => {
    const billed = (status: number, body: unknown = "") => fromResponse({ provider: "p", status, body }).billed
    expect(billed(400)).toBe("no")
    expect(billed(429)).toBe("no")
    expect(billed(500)).toBe("maybe")
    expect(billed(503)).toBe("maybe")
    expect(billed(200, { error: { message: "Rate limit exceeded", code: "rate_limit_exceeded" } })).toBe("maybe")
  })

  it("holds no credential, wherever the reply put one", () => {
    const secrets = [
      "sk-abc123def456ghi789",
      "AIzaSyA1234567890abcdefghijklmnopqrstu",
      "gsk_0123456789abcdefABCDEF",
      "tok.en-Secret9"
    ]
    const [sk, google, gsk, bearer] = secrets
    const bodies: ReadonlyArray<unknown> = [
      {
        error: {
          message: `Incorrect API key provided: ${sk}. You can find it at https://platform.openai.com`,
          code: "invalid_api_key"
        }
      },
      `<html><body>GET https://example.com/v1?key=${google} failed</body></html>`,
      { detail: `Authorization: Bearer ${bearer} rejected`, error: { message: `bad key ${gsk}` } },
      { error: { code: "tool_use_failed", message: "x", failed_generation: `{"authorization":"Bearer ${bearer}"}` } }
    ]
    for (const status of [200, 400, 401, 403, 429, 500]) {
      for (const body of bodies) {
        const error = fromResponse({ provider: "p", status, body })
        const shown = `${error.message} ${String(error)} ${JSON.stringify(error)} ${
          JSON.stringify(Schema.encodeSync(ModelError.ModelError)(error))
        }`
        for (const secret of secrets) expect(shown).not.toContain(secret)
      }
    }
  })

  describe("bad input", () => {
    it("gives an error for any status and any body, and never throws", () => {
      const cyclic: Record<string, unknown> = { message: "loop" }
      cyclic["error"] = cyclic
      const bodies: ReadonlyArray<unknown> = [
        undefined,
        null,
        "",
        "{",
        "[]",
        "[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]",
        7,
        true,
        [],
        {},
        { error: null },
        { error: 1 },
        { error: { message: { deep: [1] }, code: {} } },
        cyclic,
        "\u0000\uD800",
        "null",
        "\"just words\"",
        { error: { message: "x".repeat(1_000_000) } },
        "<".repeat(100_000),
        "data: {\n".repeat(10_000),
        10n
      ]
      for (const status of [NaN, Infinity, -1, 0, 1.5, 99, 200, 204, 302, 400, 404, 418, 429, 500, 599, 600, 1e9]) {
        for (const body of bodies) {
          const error = fromResponse({ provider: "p", status, body, headers: { "retry-after": "NaN" }, now: NaN })
          expect(ModelError.isModelError(error)).toBe(true)
          expect((error.body ?? "").length).toBeLessThan(3_000)
        }
      }
    })

    it("calls a status that is none an unknown error", () => {
      for (const status of [NaN, 0, -1, 99, 600, 1.5]) {
        expect(fromResponse({ provider: "p", status, body: "" })._tag).toBe("UnknownError")
      }
    })

    it("reads hostile text in linear time", () => {
      const hostile: ReadonlyArray<readonly [piece: string, head?: string]> = [
        ["try "],
        ["model "],
        ["limit "],
        ["1"],
        ["1m"],
        ["<style>"],
        ["wait for "],
        ["request "],
        ["back off for "],
        ["wait a minute "],
        ["1,111", "try again in "],
        ["1:", "try again in "],
        ["guardrail "],
        ["context "],
        ["a not "]
      ]
      for (const [piece, head = ""] of hostile) {
        const reading = (pieces: number) => () => {
          const text = head + piece.repeat(pieces)
          fromResponse({ provider: "p", status: 400, body: { error: { message: text } } })
          fromResponse({ provider: "p", status: 429, body: `<html>${text}` })
        }
        expect(growth(reading, 2_500), head + piece).toBeLessThan(steepest)
      }
    })

    it("names the base URL where a page came instead of a reply, and where the server redirects", () => {
      const page = fromResponse({
        provider: "p",
        status: 200,
        body: "<!DOCTYPE html><html><title>Welcome</title></html>"
      })
      expect(page._tag).toBe("MalformedResponse")
      expect(page.message).toContain("base URL")
      const moved = fromResponse({
        provider: "p",
        status: 308,
        headers: { location: "https://api.example.com/v1" },
        body: ""
      })
      expect(moved._tag).toBe("InvalidRequest")
      expect(moved.message).toContain("https://api.example.com/v1")
      expect(fromResponse({ provider: "p", status: 404, body: { detail: "Not Found" } }).message).toContain("base URL")
    })
  })
})
