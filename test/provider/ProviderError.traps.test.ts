/** The traps that a classifier falls into when it looks at the status alone: the same status, and each time another thing to do. */
import { describe, expect, it, vi } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import { fromResponse, fromStreamEvent } from "../../src/provider/ProviderError.ts"

const judge = (provider: string, status: number, error: unknown) => {
  const found = fromResponse({ provider, status, body: { error } })
  return `${found._tag}, ${Verdict.of(found).action}`
}

/** An engine that misreads every document which is not a single text, as Node 24.21 does those with escaped keys. */
const withMisreadingEngine = <A>(run: () => A): A => {
  const engine = JSON.parse
  const parse = vi.spyOn(JSON, "parse").mockImplementation((text: string) =>
    /^\s*[[{]/.test(text) ? { misread: true } : engine(text)
  )
  try {
    return run()
  } finally {
    parse.mockRestore()
  }
}

describe("Traps of provider errors", () => {
  it.each([
    ["a body", "{\"error\":{\"c\\u006fde\":\"insufficient_quota\",\"message\":\"no\"}}"],
    [
      "a body inside of a message",
      JSON.stringify({ "err\\or": 1, error: { message: "{\"c\\u006fde\":\"insufficient_quota\",\"message\":\"no\"}" } })
    ],
    ["an event", "data: {\"error\":{\"c\\u006fde\":\"insufficient_quota\",\"message\":\"no\"}}\n\n"]
  ])("escaped keys in %s are read as they are written, on every engine", (_, body) => {
    const error = withMisreadingEngine(() => fromResponse({ provider: "openai", status: 429, body }))
    expect(error._tag).toBe("QuotaExhausted")
  })

  it.each([
    { status: 404, body: "404 page not found" },
    { status: 405, body: "Method Not Allowed" },
    { status: 404, body: { detail: "Not Found" } },
    { status: 404, body: "<html><title>404 Not Found</title></html>" }
  ])("a base URL that is not the API's is said in our words, beside those of the server: $status $body", (reply) => {
    const error = fromResponse({ provider: "openai", ...reply })
    expect(error._tag).toBe("InvalidRequest")
    expect(error.detail).not.toContain("base URL")
    const [, quoted = "", ours = ""] = /The provider said: "([^"]*)"(.*)/.exec(error.message) ?? []
    expect(quoted).not.toContain("base URL")
    expect(ours).toContain("Check the base URL")
    expect(ours).toContain("/v1")
  })

  it("429 is a rate, an empty account, a lost day, or a request that can never succeed", () => {
    expect(judge("openai", 429, {
      message:
        "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Try again in 644ms.",
      type: "tokens",
      code: "rate_limit_exceeded"
    })).toBe("RateLimited, Retry")
    expect(judge("openai", 429, {
      message: "You exceeded your current quota, please check your plan and billing details.",
      type: "insufficient_quota",
      code: "insufficient_quota"
    })).toBe("QuotaExhausted, Fallback")
    expect(judge("google", 429, {
      code: 429,
      message: "You exceeded your current quota. Please retry in 44.09s.",
      status: "RESOURCE_EXHAUSTED",
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.QuotaFailure",
          violations: [{ quotaId: "GenerateRequestsPerDayPerProjectPerModel-FreeTier", quotaValue: "250" }]
        },
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "44s" }
      ]
    })).toBe("QuotaExhausted, Fallback")
    expect(judge("openai", 429, {
      message: "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 31538.",
      type: "tokens",
      code: "rate_limit_exceeded"
    })).toBe("RequestTooLarge, Fallback")
  })

  it("400 is a bad parameter, a long prompt, a filter, a bad key, an unpaid bill, or a badly written tool call", () => {
    expect(judge("openai", 400, {
      message: "Invalid value for 'temperature': must be at most 2.",
      type: "invalid_request_error",
      param: "temperature",
      code: "invalid_value"
    })).toBe("InvalidRequest, Fail")
    expect(judge("openai", 400, {
      message: "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
      type: "invalid_request_error",
      code: "context_length_exceeded"
    })).toBe("ContextLengthExceeded, Fallback")
    expect(judge("azure", 400, {
      message:
        "The response was filtered due to the prompt triggering our policy. Please modify your prompt and retry.",
      code: "content_filter",
      innererror: { code: "ResponsibleAIPolicyViolation" }
    })).toBe("ContentFiltered, Fallback")
    expect(judge("google", 400, {
      code: 400,
      message: "API key not valid. Please pass a valid API key.",
      status: "INVALID_ARGUMENT",
      details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" }]
    })).toBe("Authentication, Fail")
    expect(judge("anthropic", 400, {
      type: "invalid_request_error",
      message: "Your credit balance is too low to access the Anthropic API."
    })).toBe("QuotaExhausted, Fallback")
    expect(judge("groq", 400, {
      message: "Failed to call a function. Please adjust your prompt.",
      type: "invalid_request_error",
      code: "tool_use_failed",
      failed_generation: "<function=f>"
    })).toBe("InvalidToolCall, Reask")
  })

  it("takes the wait from OpenRouter's metadata, in a reply and inside a stream", () => {
    const error = {
      code: 429,
      message: "Provider returned error",
      metadata: { raw: "the model is temporarily rate-limited upstream", retry_after_seconds: 7.5 }
    }
    const wait = (
      found: ModelError.ModelError
    ) => [found._tag, Option.getOrNull(Option.map(Verdict.of(found).retryAfter, Duration.toMillis))]
    expect(wait(fromResponse({ provider: "openrouter", status: 429, body: { error } }))).toEqual(["RateLimited", 7500])
    const event = { choices: [{ delta: { content: "" }, finish_reason: "error" }], error }
    expect(wait(Option.getOrThrow(fromStreamEvent({ provider: "openrouter", event })))).toEqual(["RateLimited", 7500])
  })

  it("reads the name of the error where AWS puts it: in a header", () => {
    const named = (status: number, type: string, message: string) =>
      fromResponse({ provider: "bedrock", status, headers: { "X-Amzn-ErrorType": type }, body: { message } })._tag
    expect(named(429, "ModelNotReadyException", "Wait and try your request again.")).toBe("Overloaded")
    expect(named(400, "ThrottlingException:http://internal.amazon.com/coral/", "Please wait.")).toBe("RateLimited")
    expect(named(400, "ValidationException", "The value is wrong.")).toBe("InvalidRequest")
  })

  it("reads MiniMax's numbers, which come with status 200 in every reply", () => {
    const judged = (status_code: number, status_msg: string) => {
      const found = fromResponse({ provider: "minimax", status: 200, body: { base_resp: { status_code, status_msg } } })
      return `${found._tag}, ${Verdict.of(found).action}`
    }
    expect(judged(1002, "rate limit")).toBe("RateLimited, Retry")
    expect(judged(1004, "login fail")).toBe("Authentication, Fail")
    expect(judged(1008, "insufficient balance")).toBe("QuotaExhausted, Fallback")
    expect(judged(1001, "timeout")).toBe("ServerError, Retry")
    expect(judged(2013, "invalid params")).toBe("InvalidRequest, Fail")
  })

  it("takes a used-up allowance for one, whosever it is", () => {
    expect(judge("anthropic", 400, {
      type: "invalid_request_error",
      message: "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01."
    })).toBe("QuotaExhausted, Fallback")
  })

  it("200 is not success", () => {
    const judgeEvent = (provider: string, event: unknown) =>
      Option.map(fromStreamEvent({ provider, event }), (found) => `${found._tag}, ${Verdict.of(found).action}`)
    expect(judgeEvent("azure", {
      type: "error",
      sequence_number: 2,
      error: { type: "too_many_requests", code: "rate_limit_exceeded" }
    })).toEqual(Option.some("RateLimited, Retry"))
    expect(judgeEvent("google", {
      error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" }
    })).toEqual(Option.some("Overloaded, Retry"))
    expect(judgeEvent("google", { candidates: [{ finishReason: "MALFORMED_FUNCTION_CALL" }] }))
      .toEqual(Option.some("InvalidToolCall, Reask"))
  })

  it("words lie: an address is no reason, and a policy that says \"retry\" means no retry", () => {
    expect(judge("groq", 429, {
      message: "Rate limit reached for model on tokens per minute (TPM): Limit 6000, Used 5900, Requested 500. " +
        "Please try again in 4s. Need more tokens? Upgrade at https://console.groq.com/settings/billing",
      type: "tokens",
      code: "rate_limit_exceeded"
    })).toBe("RateLimited, Retry")
    expect(judge("google", 429, {
      code: 429,
      message: "You exceeded your current quota, please check your plan and billing details. Please retry in 20s.",
      status: "RESOURCE_EXHAUSTED",
      details: [{
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        violations: [{ quotaId: "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", quotaValue: "10" }]
      }]
    })).toBe("RateLimited, Retry")
    expect(judge("azure", 400, {
      message: "The response was filtered. Please modify your prompt and retry.",
      code: "content_filter"
    })).toBe("ContentFiltered, Fallback")
  })

  it("5xx is not always transient", () => {
    expect(judge("llama.cpp", 500, { code: 500, message: "tools param requires --jinja flag", type: "server_error" }))
      .toBe("UnsupportedFeature, Fallback")
    expect(
      judge("llama.cpp", 501, {
        code: 501,
        message: "This server does not support embeddings",
        type: "not_supported_error"
      })
    )
      .toBe("UnsupportedFeature, Fallback")
    expect(judge("openai", 500, { message: "The server had an error", type: "server_error" })).toBe(
      "ServerError, Retry"
    )
  })
})
