import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { read } from "../../src/internal/rateLimitHeaders.ts"

const now = Date.UTC(2024, 9, 29, 23, 57, 0)

describe("Rate limit headers", () => {
  const table: ReadonlyArray<readonly [string, Readonly<Record<string, string | ReadonlyArray<string>>>, object]> = [
    ["nothing", { "content-type": "application/json" }, {}],
    ["OpenAI", {
      "x-ratelimit-limit-requests": "10000",
      "x-ratelimit-limit-tokens": "2000000",
      "x-ratelimit-remaining-requests": "9999",
      "x-ratelimit-remaining-tokens": "1999990",
      "x-ratelimit-reset-requests": "6ms",
      "x-ratelimit-reset-tokens": "0s"
    }, {
      requestsPerMinute: 10_000,
      requestsRemaining: 9_999,
      tokensPerMinute: 2_000_000,
      tokensRemaining: 1_999_990
    }],
    ["OpenAI's free tier, whose requests are per day", {
      "x-ratelimit-limit-requests": "200",
      "x-ratelimit-remaining-requests": "199",
      "x-ratelimit-reset-requests": "7m12s",
      "x-ratelimit-limit-tokens": "60000",
      "x-ratelimit-remaining-tokens": "59000",
      "x-ratelimit-reset-tokens": "1s"
    }, { tokensPerMinute: 60_000, tokensRemaining: 59_000 }],
    ["Groq, whose requests are per day", {
      "x-ratelimit-limit-requests": "14400",
      "x-ratelimit-limit-tokens": "18000",
      "x-ratelimit-remaining-requests": "14370",
      "x-ratelimit-remaining-tokens": "17997",
      "x-ratelimit-reset-requests": "2m59.56s",
      "x-ratelimit-reset-tokens": "7.66ms"
    }, { tokensPerMinute: 18_000, tokensRemaining: 17_997 }],
    ["Anthropic", {
      "anthropic-ratelimit-requests-limit": "50",
      "anthropic-ratelimit-requests-remaining": "49",
      "anthropic-ratelimit-requests-reset": "2024-10-29T23:57:40Z",
      "anthropic-ratelimit-tokens-limit": "48000",
      "anthropic-ratelimit-tokens-remaining": "47000",
      "anthropic-ratelimit-input-tokens-limit": "40000",
      "anthropic-ratelimit-output-tokens-limit": "8000"
    }, { requestsPerMinute: 50, requestsRemaining: 49, tokensPerMinute: 48_000, tokensRemaining: 47_000 }],
    ["Anthropic with the limit of input alone", {
      "anthropic-ratelimit-input-tokens-limit": "40000",
      "anthropic-ratelimit-input-tokens-remaining": "100"
    }, { tokensPerMinute: 40_000, tokensRemaining: 100 }],
    ["Cerebras, which names the period", {
      "x-ratelimit-limit-requests-day": "14400",
      "x-ratelimit-remaining-requests-day": "14399",
      "x-ratelimit-limit-tokens-minute": "60000",
      "x-ratelimit-remaining-tokens-minute": "59000"
    }, { tokensPerMinute: 60_000, tokensRemaining: 59_000 }],
    ["Mistral", {
      "x-ratelimit-limit-req-minute": "360",
      "x-ratelimit-remaining-req-minute": "359",
      "x-ratelimit-limit-tokens-month": "1000000000"
    }, { requestsPerMinute: 360, requestsRemaining: 359 }],
    ["Azure, which does not know", {
      "x-ratelimit-limit-requests": "-1",
      "x-ratelimit-remaining-requests": "-1",
      "x-ratelimit-limit-tokens": "0",
      "x-ratelimit-remaining-tokens": "0"
    }, {}],
    ["a gateway with some of them, in any case and in lists", {
      "X-RateLimit-Remaining-Requests": ["7"],
      "X-RateLimit-Limit-Tokens": "8000"
    }, { requestsRemaining: 7, tokensPerMinute: 8_000 }],
    ["nonsense", {
      "x-ratelimit-limit-requests": "many",
      "x-ratelimit-remaining-requests": "1e9",
      "x-ratelimit-limit-tokens": "0x10",
      "anthropic-ratelimit-tokens-limit": ""
    }, {}],
    ["limits that are not of requests or tokens", {
      "x-ratelimit-limit": "100",
      "x-ratelimit-remaining": "0",
      "anthropic-ratelimit-unified-status": "rejected",
      "anthropic-ratelimit-unified-reset": "1730246400"
    }, {}]
  ]
  for (const [name, headers, expected] of table) {
    it(`reads ${name}`, () => expect(read(headers, now)).toEqual(expected))
  }

  it("tells only finite numbers that are not negative, whatever it is given", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.dictionary(
          FastCheck.constantFrom(
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-requests",
            "x-ratelimit-reset-requests",
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining"
          ),
          FastCheck.oneof(FastCheck.string(), FastCheck.double().map(String), FastCheck.nat().map(String))
        ),
        (headers) => {
          for (const value of Object.values(read(headers, now))) {
            expect(Number.isFinite(value) && Number(value) >= 0).toBe(true)
          }
        }
      ),
      { numRuns: 500 }
    ))
})
