import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import { runs } from "../runs.ts"

const times = { numRuns: runs(60, 300) }
const secret = "tOpSeCrEt0123456789abcdef"

const about = { provider: "openai", model: "gpt-4o", requestId: "req_1", status: 429, detail: "in its own words" }
const wait = Duration.seconds(20)

interface Row {
  readonly error: ModelError.ModelError
  readonly action: Verdict.Action
  readonly billed: ModelError.ModelError["billed"]
  readonly throttled?: true
  readonly weighs?: true
  readonly retryAfter?: Duration.Duration
  /** What the message must say for a person to know what happened and what to do. */
  readonly says: ReadonlyArray<string>
}

const rows: ReadonlyArray<Row> = [
  {
    error: new ModelError.RateLimited({ ...about, retryAfter: wait, scope: "tokens" }),
    action: "Retry",
    billed: "no",
    throttled: true,
    retryAfter: wait,
    says: ["rate limited (tokens)", "Retry after 20s"]
  },
  {
    error: new ModelError.QuotaExhausted({ ...about, reason: "billing" }),
    action: "Fallback",
    billed: "no",
    says: ["quota is exhausted", "Check plan and billing"]
  },
  {
    error: new ModelError.RequestTooLarge({ ...about, requested: 40_000, limit: 30_000 }),
    action: "Fallback",
    billed: "no",
    says: ["too large (40000 requested, 30000 allowed)", "Send less"]
  },
  {
    error: new ModelError.ContextLengthExceeded({ ...about, limit: 8_192 }),
    action: "Fallback",
    billed: "no",
    says: ["context window is exceeded (8192 allowed)", "Shorten the prompt"]
  },
  {
    error: new ModelError.ContentFiltered({ ...about, stage: "prompt", categories: ["violence", "self-harm"] }),
    action: "Fallback",
    billed: "maybe",
    says: ["the prompt was filtered (violence, self-harm)", "change it"]
  },
  {
    error: new ModelError.Authentication(about),
    action: "Fail",
    billed: "no",
    says: ["API key was not accepted", "Check the key"]
  },
  {
    error: new ModelError.PermissionDenied(about),
    action: "Fail",
    billed: "no",
    says: ["permission denied", "Check the project's access"]
  },
  {
    error: new ModelError.ModelNotFound(about),
    action: "Fallback",
    billed: "no",
    says: ["model was not found", "Check its name"]
  },
  {
    error: new ModelError.InvalidRequest({ ...about, param: "temperature" }),
    action: "Fail",
    billed: "no",
    says: ["request is invalid (temperature)", "Change the request"]
  },
  {
    error: new ModelError.UnsupportedFeature({ ...about, feature: "tools" }),
    action: "Fallback",
    billed: "no",
    says: ["tools is not supported", "Leave it out"]
  },
  {
    error: new ModelError.Overloaded({ ...about, retryAfter: wait }),
    action: "Retry",
    billed: "no",
    weighs: true,
    retryAfter: wait,
    says: ["overloaded", "Retry after 20s"]
  },
  {
    error: new ModelError.ServerError(about),
    action: "Retry",
    billed: "maybe",
    weighs: true,
    says: ["provider failed", "Retry later"]
  },
  {
    error: new ModelError.ConnectionFailed({ ...about, reason: "ECONNREFUSED" }),
    action: "Retry",
    billed: "maybe",
    weighs: true,
    says: ["connection failed: ECONNREFUSED", "check the base URL"]
  },
  {
    error: new ModelError.MalformedResponse({ ...about, reason: "the body is not JSON" }),
    action: "Retry",
    billed: "maybe",
    weighs: true,
    says: ["reply is malformed: the body is not JSON"]
  },
  {
    error: new ModelError.InvalidToolCall({ ...about, failedGeneration: "<function=x>" }),
    action: "Reask",
    billed: "yes",
    says: ["invalid tool call", "Ask again"]
  },
  {
    error: new ModelError.ResumeExpired({ ...about, reply: "resp_1" }),
    action: "Retry",
    billed: "yes",
    says: ["resp_1", "can no longer be gone on with"]
  },
  {
    error: new ModelError.Truncated({ ...about, received: "{\"id\":" }),
    action: "Retry",
    billed: "maybe",
    weighs: true,
    says: ["cut off after 6 characters", "Retry"]
  },
  {
    error: new ModelError.UnknownError(about),
    action: "Fail",
    billed: "maybe",
    says: ["unknown error"]
  }
]

describe("ModelError", () => {
  it("the table below has a row for every class", () => {
    expect(new Set(rows.map((row) => row.error._tag)).size).toBe(ModelError.ModelError.members.length)
  })

  describe.each(rows.map((row) => [row.error._tag, row] as const))("%s", (tag, row) => {
    it("has its verdict", () => {
      expect(Verdict.of(row.error)).toEqual(Verdict.make(row.action, {
        billed: row.billed,
        throttled: row.throttled,
        weighs: row.weighs,
        retryAfter: row.retryAfter
      }))
    })

    it("says what happened, where, and what to do", () => {
      for (const part of [...row.says, "openai/gpt-4o", "in its own words", "HTTP 429", "request req_1"]) {
        expect(row.error.message).toContain(part)
      }
      expect(row.error.message).not.toMatch(/undefined|\[object|\.\.|\s\s/)
    })

    it("is an Error with its tag as the name, and one of the model errors", () => {
      expect(row.error).toBeInstanceOf(Error)
      expect(row.error.name).toBe(tag)
      expect(ModelError.isModelError(row.error)).toBe(true)
    })
  })

  it("needs no more than the provider, and its message stays readable", () => {
    const error = new ModelError.RateLimited({ provider: "openai" })
    expect(error.scope).toBe("unknown")
    expect(error.message).toBe("openai: rate limited. Retry later, with backoff.")
  })

  it("tells the cause in its message", () => {
    const error = new ModelError.ConnectionFailed({
      provider: "openai",
      reason: "Transport",
      cause: { name: "TypeError", message: "fetch failed" }
    })
    expect(error.message).toContain("Cause: TypeError: fetch failed")
  })

  it("tells a daily quota from an unpaid bill", () => {
    const resetAt = DateTime.unsafeMake("2026-11-20T00:00:00Z")
    const error = new ModelError.QuotaExhausted({ provider: "gemini", reason: "daily", resetAt })
    expect(error.message).toContain("wait for the next day")
    expect(Verdict.of(error)).toEqual(Verdict.make("Fallback"))
  })

  it("believes who throws it about what was billed", () => {
    const error = new ModelError.ServerError({ provider: "openai", billed: "no" })
    expect(Verdict.of(error).billed).toBe("no")
  })

  it("is not anything that merely looks like one", () => {
    expect(ModelError.isModelError({ _tag: "RateLimited", provider: "openai", billed: "no", scope: "day" })).toBe(false)
    expect(ModelError.isModelError(undefined)).toBe(false)
  })

  it("refuses fields that make no sense", () => {
    expect(() => new ModelError.RequestTooLarge({ provider: "openai", requested: -1 })).toThrow()
    expect(() => new ModelError.RateLimited({ provider: "openai", retryAfter: Duration.infinity })).toThrow()
  })
})

describe("x-should-retry", () => {
  it("true makes any error worth a retry", () => {
    const verdict = Verdict.of(new ModelError.InvalidRequest({ provider: "openai", shouldRetry: true }))
    expect(verdict).toMatchObject({ action: "Retry", forbidden: false })
  })

  it("false forbids a retry, whatever a policy says, and leaves other verdicts alone", () => {
    for (const { action, error } of rows) {
      const told = Schema.decodeUnknownSync(ModelError.ModelError)({
        ...Schema.encodeSync(ModelError.ModelError)(error),
        shouldRetry: false
      })
      expect(Verdict.of(told)).toMatchObject({ action: action === "Retry" ? "Fallback" : action, forbidden: true })
    }
  })

  it("keeps the hint for whoever asks", () => {
    const error = new ModelError.RateLimited({ provider: "openai", retryAfter: wait, shouldRetry: false })
    expect(Verdict.of(error).retryAfter).toEqual(Option.some(wait))
  })
})

const wireOf = (error: ModelError.ModelError): unknown =>
  JSON.parse(JSON.stringify(Schema.encodeSync(ModelError.ModelError)(error)))

describe("over the wire", () => {
  it("every error comes back as it was", () => {
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(ModelError.ModelError), (error) => {
        const back = Schema.decodeUnknownSync(ModelError.ModelError)(wireOf(error))
        expect(back.constructor).toBe(error.constructor)
        expect({ ...back }).toEqual({ ...error })
        expect(back.message).toBe(error.message)
        expect(Verdict.of(back)).toEqual(Verdict.of(error))
      }),
      times
    )
  })

  it("a wait is milliseconds, a moment is ISO 8601", () => {
    expect(wireOf(new ModelError.RateLimited({ provider: "openai", retryAfter: wait }))).toEqual({
      _tag: "RateLimited",
      provider: "openai",
      billed: "no",
      scope: "unknown",
      retryAfter: 20_000
    })
    const resetAt = DateTime.unsafeMake("2026-11-20T00:00:00Z")
    expect(wireOf(new ModelError.QuotaExhausted({ provider: "gemini", reason: "daily", resetAt })))
      .toMatchObject({ resetAt: "2026-11-20T00:00:00.000Z" })
  })
})

/** The encoded form with a secret in every text that is not a fixed word. */
const fixed = ["_tag", "billed", "scope", "reason", "stage", "resetAt"]
const poison = (value: unknown, text: string, freeReason: boolean): unknown =>
  typeof value === "string"
    ? text
    : Array.isArray(value)
    ? value.map((each) => poison(each, text, freeReason))
    : typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
    ? Object.fromEntries(
      Object.entries(value).map(([name, inner]) =>
        fixed.includes(name) && !(name === "reason" && freeReason)
          ? [name, inner]
          : [name, poison(inner, text, freeReason)]
      )
    )
    : value

describe("credentials", () => {
  const forms = FastCheck.constantFrom(
    `Authorization: Bearer ${secret}`,
    `{"x-api-key":"${secret}"}`,
    `api-key: ${secret}`,
    `x-goog-api-key=${secret}`,
    `https://host/v1?key=${secret}`,
    `sk-proj-${secret}`
  )

  it("no class holds one in any of its texts, nor shows one in any way of printing it", () => {
    for (const { error } of rows) {
      const whole = { ...error, body: "b", cause: { name: "n", message: "m", code: "c" } }
      FastCheck.assert(
        FastCheck.property(forms, FastCheck.string(), (form, around) => {
          const wire = poison(whole, `${around} ${form}`, "reason" in error && error._tag !== "QuotaExhausted")
          const made = new (error.constructor as new(props: unknown) => ModelError.ModelError)(wire)
          for (
            const shown of [
              JSON.stringify(made),
              JSON.stringify(Schema.encodeSync(ModelError.ModelError)(made)),
              String(made),
              made.message,
              made.stack ?? ""
            ]
          ) expect(shown).not.toContain(secret)
        }),
        times
      )
    }
  })

  it("an Error given as the cause is kept in words only", () => {
    const cause = Object.assign(new TypeError("fetch failed"), { request: { headers: { authorization: secret } } })
    const error = new ModelError.ConnectionFailed({ provider: "openai", reason: "reset", cause })
    expect(error.cause).toEqual({ name: "TypeError", message: "fetch failed" })
  })

  it("what the type of the cause does not name is not kept", () => {
    const cause = { name: "TypeError", message: "fetch failed", request: { headers: { authorization: secret } } }
    const error = new ModelError.ConnectionFailed({ provider: "openai", reason: "reset", cause })
    expect(error.cause).toEqual({ name: "TypeError", message: "fetch failed" })
  })

  it("props without a prototype are cleaned too", () => {
    const props = Object.assign(Object.create(null), { provider: "openai", detail: `sk-${secret}` })
    expect(new ModelError.UnknownError(props).detail).toBe("[redacted]")
  })

  it("texts are clipped", () => {
    const error = new ModelError.ServerError({ provider: "openai", body: "<html>".repeat(100_000) })
    expect(error.body?.length).toBeLessThan(2_100)
    expect(error.body).toMatch(/more characters\)$/)
  })
})
