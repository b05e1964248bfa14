/** The words, codes and numbers of vendors that have their own: each row is a reply and what it means. */
import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as ProviderError from "../../src/provider/ProviderError.ts"

const read = (status: number, body: unknown, headers: { readonly [name: string]: string } = {}) =>
  ProviderError.fromResponse({ provider: "any", status, headers, body, now: "2026-09-20T11:50:00Z" })

const rows: ReadonlyArray<readonly [what: string, status: number, body: unknown, expected: object]> = [
  ["Zhipu: the prompt is too long", 400, { error: { code: "1261", message: "Prompt 超长" } }, {
    _tag: "ContextLengthExceeded"
  }],
  ["Zhipu: a filter", 400, { error: { code: "1301", message: "系统检测到输入或生成内容可能包含不安全或敏感内容" } }, {
    _tag: "ContentFiltered"
  }],
  ["Zhipu: calls at a time", 429, { error: { code: "1302", message: "您当前使用该API的并发数过高" } }, {
    _tag: "RateLimited",
    scope: "requests"
  }],
  ["Zhipu: a day's allowance", 429, { error: { code: "1304", message: "该 API 的使用次数已达今日上限" } }, {
    _tag: "QuotaExhausted",
    reason: "daily"
  }],
  ["Zhipu: five hours' allowance", 429, { error: { code: "1308", message: "已达到 5 小时的使用上限。" } }, {
    _tag: "QuotaExhausted"
  }],
  ["Zhipu: money", 429, { error: { code: "1113", message: "您的账户已欠费，请充值后重试。" } }, {
    _tag: "QuotaExhausted",
    reason: "billing"
  }],
  ["Mistral has other numbers", 429, { object: "error", message: "Requests rate limit exceeded", code: "1300" }, {
    _tag: "RateLimited"
  }],
  ["MiniMax: a filter, in a 200", 200, { base_resp: { status_code: 1027, status_msg: "output new_sensitive" } }, {
    _tag: "ContentFiltered"
  }],
  ["MiniMax: a filter, by the number behind its sentence", 500, { error: { message: "something (1026)" } }, {
    _tag: "ContentFiltered"
  }],
  [
    "Volcengine: a code of two halves",
    429,
    { error: { code: "RateLimitExceeded.EndpointTPMExceeded", message: "x" } },
    {
      _tag: "RateLimited"
    }
  ],
  [
    "Volcengine: a filter",
    400,
    { error: { code: "InputImageSensitiveContentDetected.SevereViolation", message: "x" } },
    {
      _tag: "ContentFiltered"
    }
  ],
  ["Moonshot: more than the model takes", 400, {
    error: { message: "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)" }
  }, { _tag: "ContextLengthExceeded", limit: 262_144, requested: 300_000 }],
  ["Scaleway: calls at a time under the headline of a quota", 429, {
    error: "INSUFFICIENT QUOTA",
    message: "You exceeded your current limit of concurrent requests."
  }, { _tag: "RateLimited" }],
  ["Vertex: more than the model takes", 400, {
    error: { code: 400, message: "the input token count is 2097153 but model only supports up to 1048576." }
  }, { _tag: "ContextLengthExceeded", limit: 1_048_576, requested: 2_097_153 }],
  ["Google: money, said by the reason alone", 429, {
    error: {
      code: 429,
      message: "Resource has been exhausted (e.g. check quota).",
      status: "RESOURCE_EXHAUSTED",
      details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "INSUFFICIENT_G1_CREDITS_BALANCE" }]
    }
  }, { _tag: "QuotaExhausted" }],
  ["Cloudflare: a day's allowance", 429, {
    success: false,
    errors: [{ message: "you have used up your daily free allocation of 10,000 neurons", code: 3036 }]
  }, { _tag: "QuotaExhausted", reason: "daily" }],
  ["Cloudflare: no room", 429, {
    success: false,
    errors: [{ message: "AiError: Capacity temporarily exceeded, please try again.", code: 3040 }]
  }, { _tag: "Overloaded" }],
  ["Ollama: an unpaid account", 403, {
    error: { message: "your subscription payment is past due. update your payment method", type: "api_error" }
  }, { _tag: "QuotaExhausted", reason: "billing" }],
  [
    "Ollama: a week's allowance",
    429,
    { error: "you have reached your weekly usage limit, upgrade for higher limits" },
    {
      _tag: "QuotaExhausted"
    }
  ],
  ["Ollama: an error in a stream without a code", 200, { error: "an error was encountered: unexpected EOF" }, {
    _tag: "ServerError"
  }],
  ["llama.cpp: it could not read the model's call", 500, {
    error: { code: 500, message: "Failed to parse input at pos 184: <tool_call>x", type: "server_error" }
  }, { _tag: "InvalidToolCall" }],
  ["DeepSeek: a feature that it has not", 400, { error: { message: "This response_format type is unavailable now" } }, {
    _tag: "UnsupportedFeature"
  }],
  ["vLLM: the total counts, not the output alone", 400, {
    error: {
      message:
        "This model's maximum context length is 262144 tokens. However, you requested 0 output tokens and your " +
        "prompt contains at least 262145 input tokens, for a total of at least 262145 tokens."
    }
  }, { _tag: "ContextLengthExceeded", limit: 262_144, requested: 262_145 }],
  ["SGLang: a total", 400, {
    message:
      "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of " +
      "5000 tokens: 4000 tokens from the input messages and 1000 tokens for the completion."
  }, { _tag: "ContextLengthExceeded", limit: 4_096, requested: 5_000 }],
  ["a filter under a 429", 429, { error: { message: "blocked: prompt: BlockedReasonProhibitedContent ()" } }, {
    _tag: "ContentFiltered"
  }],
  [
    "a rate that mentions a filter",
    429,
    { error: { message: "Rate limit reached; content policy violations count" } },
    {
      _tag: "RateLimited"
    }
  ]
]

describe("vendors with words of their own", () => {
  it.each(rows)("%s", (_, status, body, expected) => expect(read(status, body)).toMatchObject(expected))

  it("a number that merely stands in the sentence is no size", () => {
    const error = read(400, { error: { message: "invalid params, context window exceeds limit (2013)" } })
    expect(error).toMatchObject({ _tag: "ContextLengthExceeded" })
    expect(error).not.toHaveProperty("limit")
  })

  it("a time is an instant only where its zone is told", () => {
    const at = (time: string) => {
      const error = read(429, { error: { code: "1308", message: `Usage limit reached. It will reset at ${time}` } })
      return error._tag === "QuotaExhausted" && error.resetAt !== undefined ? DateTime.formatIso(error.resetAt) : "none"
    }
    expect(at("2026-09-20 21:31:39")).toBe("none")
    expect(at("2026-09-20 21:31:39 UTC")).toBe("2026-09-20T21:31:39.000Z")
    expect(at("2026-09-20 21:31:39 (UTC+8)")).toBe("2026-09-20T13:31:39.000Z")
    expect(at("2026-09-20 21:31:39 Beijing time")).toBe("2026-09-20T13:31:39.000Z")
    expect(at("2026-09-20T21:31:39-05:00")).toBe("2026-09-21T02:31:39.000Z")
  })

  it("a date is read against the reply's own clock", () => {
    const error = read(429, "", {
      date: "Sun, 20 Sep 2026 12:00:00 GMT",
      "retry-after": "Sun, 20 Sep 2026 12:00:30 GMT"
    })
    expect(error).toMatchObject({ _tag: "RateLimited", retryAfter: Duration.seconds(30) })
  })
})
