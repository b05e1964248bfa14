import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as rateLimitHeaders from "../../src/internal/rateLimitHeaders.ts"
import * as Info from "../../src/model/RateLimitInfo.ts"
import * as RateLimitHeaders from "../../src/provider/RateLimitHeaders.ts"

const now = Date.UTC(2024, 9, 29, 23, 57, 0)

type Headers = Readonly<Record<string, string | ReadonlyArray<string>>>

const allowance = ({ resetAfter, ...told }: Info.Allowance) => ({
  ...told,
  ...(resetAfter === undefined ? {} : { resetAfter: Duration.toMillis(resetAfter) })
})

/** The info with times as milliseconds, which read better. */
const read = (headers: Headers) => {
  const { inputTokens, outputTokens, requests, retryAfter, tokens } = RateLimitHeaders.fromHeaders(headers, now)
  return {
    ...(requests === undefined ? {} : { requests: allowance(requests) }),
    ...(tokens === undefined ? {} : { tokens: allowance(tokens) }),
    ...(inputTokens === undefined ? {} : { inputTokens: allowance(inputTokens) }),
    ...(outputTokens === undefined ? {} : { outputTokens: allowance(outputTokens) }),
    ...(retryAfter === undefined ? {} : { retryAfter: Duration.toMillis(retryAfter) })
  }
}

describe("RateLimitHeaders.fromHeaders", () => {
  const table: ReadonlyArray<readonly [string, Headers, object]> = [
    ["nothing", { "content-type": "application/json" }, {}],
    ["OpenAI", {
      "x-ratelimit-limit-requests": "10000",
      "x-ratelimit-limit-tokens": "2000000",
      "x-ratelimit-remaining-requests": "9999",
      "x-ratelimit-remaining-tokens": "1000000",
      "x-ratelimit-reset-requests": "6ms",
      "x-ratelimit-reset-tokens": "30.5s"
    }, {
      requests: { limit: 10_000, remaining: 9_999, resetAfter: 6, per: "minute" },
      tokens: { limit: 2_000_000, remaining: 1_000_000, resetAfter: 30_500, per: "minute" }
    }],
    ["Groq, whose requests are per day", {
      "retry-after": "2",
      "x-ratelimit-limit-requests": "14400",
      "x-ratelimit-limit-tokens": "18000",
      "x-ratelimit-remaining-requests": "14370",
      "x-ratelimit-remaining-tokens": "17997",
      "x-ratelimit-reset-requests": "2m59.56s",
      "x-ratelimit-reset-tokens": "7.66ms"
    }, {
      requests: { limit: 14_400, remaining: 14_370, resetAfter: 179_560 },
      tokens: { limit: 18_000, remaining: 17_997, resetAfter: 8, per: "minute" },
      retryAfter: 2_000
    }],
    ["Anthropic", {
      "anthropic-ratelimit-requests-limit": "50",
      "anthropic-ratelimit-requests-remaining": "49",
      "anthropic-ratelimit-requests-reset": "2024-10-29T23:57:40Z",
      "anthropic-ratelimit-tokens-limit": "48000",
      "anthropic-ratelimit-input-tokens-limit": "40000",
      "anthropic-ratelimit-input-tokens-remaining": "39000",
      "anthropic-ratelimit-output-tokens-limit": "8000",
      "anthropic-ratelimit-output-tokens-remaining": "0",
      "anthropic-ratelimit-output-tokens-reset": "2024-10-29T23:58:00Z"
    }, {
      requests: { limit: 50, remaining: 49, resetAfter: 40_000, per: "minute" },
      tokens: { limit: 48_000, per: "minute" },
      inputTokens: { limit: 40_000, remaining: 39_000, per: "minute" },
      outputTokens: { limit: 8_000, remaining: 0, resetAfter: 60_000, per: "minute" }
    }],
    ["Azure, which does not know", {
      "x-ratelimit-limit-requests": "-1",
      "x-ratelimit-remaining-requests": "-1",
      "x-ratelimit-limit-tokens": "0",
      "x-ratelimit-remaining-tokens": "0",
      "x-ms-retry-after-ms": "1500"
    }, { retryAfter: 1_500 }],
    ["Cerebras, which names the windows", {
      "x-ratelimit-limit-requests-day": "14400",
      "x-ratelimit-remaining-requests-day": "14399",
      "x-ratelimit-reset-requests-day": "33011.382867",
      "x-ratelimit-limit-tokens-minute": "60000",
      "x-ratelimit-remaining-tokens-minute": "59000"
    }, {
      requests: { limit: 14_400, remaining: 14_399, resetAfter: 33_011_383, per: "day" },
      tokens: { limit: 60_000, remaining: 59_000, per: "minute" }
    }],
    ["Mistral, old and new", {
      "x-ratelimit-limit-req-minute": "360",
      "x-ratelimit-remaining-req-minute": "359",
      "ratelimitbysize-limit": "500000",
      "ratelimitbysize-remaining": "499000",
      "ratelimitbysize-reset": "12"
    }, {
      requests: { limit: 360, remaining: 359, per: "minute" },
      tokens: { limit: 500_000, remaining: 499_000, resetAfter: 12_000 }
    }],
    ["Fireworks, which counts prompt and output apart", {
      "x-ratelimit-limit-requests": "6000",
      "x-ratelimit-limit-tokens-prompt": "60000",
      "x-ratelimit-remaining-tokens-prompt": "59000",
      "x-ratelimit-limit-tokens-generated": "6000"
    }, {
      requests: { limit: 6_000, per: "minute" },
      inputTokens: { limit: 60_000, remaining: 59_000, per: "minute" },
      outputTokens: { limit: 6_000, per: "minute" }
    }],
    ["OpenRouter, whose reset is in unix milliseconds", {
      "X-RateLimit-Limit": "20",
      "X-RateLimit-Remaining": "0",
      "X-RateLimit-Reset": String(now + 30_000)
    }, { requests: { limit: 20, remaining: 0, resetAfter: 30_000 } }],
    ["Together", {
      "x-ratelimit-limit": "10",
      "x-ratelimit-remaining": "9",
      "x-tokenlimit-limit": "9000",
      "x-tokenlimit-remaining": "8000"
    }, { requests: { limit: 10, remaining: 9 }, tokens: { limit: 9_000, remaining: 8_000 } }],
    ["the IETF draft, as Hugging Face sends it", {
      "ratelimit": "\"api\";r=499;t=150",
      "ratelimit-policy": "\"fixed window\";\"api\";q=500;w=300"
    }, { requests: { remaining: 499, limit: 500, resetAfter: 150_000 } }],
    ["the IETF draft of a minute", {
      "ratelimit": "\"default\";r=49;t=30",
      "ratelimit-policy": "\"default\";q=50;w=60"
    }, { requests: { remaining: 49, limit: 50, resetAfter: 30_000, per: "minute" } }],
    ["a wait alone", { "Retry-After": "Tue, 29 Oct 2024 23:57:05 GMT" }, { retryAfter: 5_000 }],
    ["nonsense", {
      "x-ratelimit-limit-requests": "many",
      "x-ratelimit-remaining-requests": "0x10",
      "x-ratelimit-reset-requests": "soon",
      "ratelimit": "?",
      "retry-after": "not-a-number"
    }, {}]
  ]
  for (const [name, headers, expected] of table) {
    it(`reads ${name}`, () => expect(read(headers)).toEqual(expected))
  }

  it("reads instants against the reply's own date where no other clock is given", () => {
    const headers = { "anthropic-ratelimit-requests-reset": "2024-10-29T23:57:40Z" }
    expect(RateLimitHeaders.fromHeaders(headers)).toEqual({})
    expect(RateLimitHeaders.fromHeaders({ ...headers, date: "Tue, 29 Oct 2024 23:57:00 GMT" }).requests?.resetAfter)
      .toEqual(Duration.seconds(40))
  })

  const anyHeaders = FastCheck.dictionary(
    FastCheck.constantFrom(
      "x-ratelimit-limit-requests",
      "x-ratelimit-remaining-requests",
      "x-ratelimit-reset-requests",
      "x-ratelimit-limit",
      "x-ratelimit-reset",
      "anthropic-ratelimit-output-tokens-remaining",
      "anthropic-ratelimit-tokens-reset",
      "ratelimit",
      "ratelimit-policy",
      "retry-after"
    ),
    FastCheck.oneof(
      FastCheck.string(),
      FastCheck.double().map(String),
      FastCheck.nat().map(String),
      FastCheck.nat().map((n) => `"a";r=${n};t=${n}`)
    )
  )

  it("is plain data that survives JSON, whatever the headers", () =>
    FastCheck.assert(
      FastCheck.property(anyHeaders, (headers) => {
        const info = RateLimitHeaders.fromHeaders(headers, now)
        const sent: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(Info.RateLimitInfo)(info)))
        expect(Schema.decodeUnknownSync(Info.RateLimitInfo)(sent)).toEqual(info)
      }),
      { numRuns: 500 }
    ))

  it("teaches a limiter the same as the headers themselves", () => {
    for (const [, headers] of table) {
      expect(Info.perMinute(RateLimitHeaders.fromHeaders(headers, now))).toEqual(rateLimitHeaders.read(headers, now))
    }
    FastCheck.assert(
      FastCheck.property(anyHeaders, (headers) => {
        expect(Info.perMinute(RateLimitHeaders.fromHeaders(headers, now))).toEqual(rateLimitHeaders.read(headers, now))
      }),
      { numRuns: 300 }
    )
  })
})
