import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as ModelError from "../../src/error/ModelError.ts"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import { runs } from "../runs.ts"

const times = { numRuns: runs(60, 300) }
const secret = "tOpSeCrEt0123456789abcdef"
const wait = Duration.seconds(5)

const failed = (attempt: number, message = "overloaded"): PolicyError.FailedAttempt => ({
  attempt,
  elapsed: Duration.seconds(attempt),
  error: "Overloaded",
  message,
  decision: "retry",
  delay: wait
})
const stopped: PolicyError.FailedAttempt = {
  attempt: 2,
  elapsed: Duration.seconds(3),
  error: "RateLimited",
  message: "too many requests",
  decision: "stop",
  reason: "no attempts are left"
}
const exhausted = <E>(lastError: E, log = [failed(1), stopped]) =>
  new PolicyError.RetriesExhausted<E>({ attempts: log.length, elapsed: Duration.seconds(3), lastError, log })

const limited = new ModelError.RateLimited({ provider: "openai", retryAfter: wait })

const rows: ReadonlyArray<{
  readonly error: PolicyError.PolicyError
  readonly verdict: Verdict.Verdict
  readonly says: ReadonlyArray<string>
}> = [
  {
    error: new PolicyError.CircuitOpen({ name: "openai", retryAfter: wait }),
    verdict: Verdict.make("Fallback", { retryAfter: wait }),
    says: ["Circuit \"openai\" is open", "5s"]
  },
  {
    error: new PolicyError.BulkheadFull({ name: "openai", maxConcurrent: 10, maxQueued: 5 }),
    verdict: Verdict.make("Fallback"),
    says: ["Bulkhead \"openai\" is full", "10 running, 5 queued", "raise its limits"]
  },
  {
    error: new PolicyError.Throttled({ name: "openai", requests: 100, accepts: 20 }),
    verdict: Verdict.make("Retry", { throttled: true }),
    says: ["Throttle \"openai\"", "of the last 100 calls 20 were accepted"]
  },
  {
    error: new PolicyError.CircuitOpen({
      name: "openai",
      retryAfter: wait,
      openedBy: { tag: "ServerError", message: "openai answered 503." }
    }),
    verdict: Verdict.make("Fallback", { retryAfter: wait }),
    says: ["It was opened by ServerError: openai answered 503."]
  },
  {
    error: new PolicyError.CircuitOpen({ name: "openai", retryAfter: wait, reason: "slowStart" }),
    verdict: Verdict.make("Fallback", { retryAfter: wait }),
    says: ["has closed again", "all of them through in 5s"]
  },
  {
    error: new PolicyError.RateLimitExceeded({ name: "openai", retryAfter: wait }),
    verdict: Verdict.make("Retry", { retryAfter: wait, throttled: true }),
    says: ["Rate limiter \"openai\"", "Retry after 5s"]
  },
  {
    error: new PolicyError.RateLimitExceeded({
      name: "openai",
      retryAfter: Duration.zero,
      reason: "cost",
      cost: 50_000,
      limit: 30_000,
      unit: "tokens"
    }),
    verdict: Verdict.make("Fallback"),
    says: ["A call that costs 50000 tokens can never pass", "limit is 30000 per minute", "Send less"]
  },
  {
    error: new PolicyError.BulkheadFull({ name: "inner", maxConcurrent: 1, maxQueued: 0, reason: "reentrant" }),
    verdict: Verdict.make("Fallback"),
    says: ["Bulkhead \"inner\" has no room for a call from inside", "a bulkhead of its own"]
  },
  {
    error: new PolicyError.TimedOut({ phase: "attempt", limit: wait }),
    verdict: Verdict.make("Retry", { weighs: true, billed: "maybe" }),
    says: ["One attempt took longer than 5s"]
  },
  {
    error: new PolicyError.TimedOut({ phase: "firstContent", limit: wait }),
    verdict: Verdict.make("Retry", { weighs: true, billed: "maybe" }),
    says: ["The first content of the stream took longer than 5s"]
  },
  {
    error: new PolicyError.TimedOut({ phase: "liveness", limit: wait }),
    verdict: Verdict.make("Retry", { weighs: true, billed: "maybe" }),
    says: ["Any sign of life of the stream took longer than 5s"]
  },
  {
    error: new PolicyError.StreamBroken({
      name: "openai",
      attempts: 2,
      error: new PolicyError.TimedOut({ phase: "idle", limit: wait }),
      received: {
        text: "Par",
        reasoning: "",
        toolCalls: [{ id: "call_1", name: "weather", arguments: "{}" }],
        usage: { inputTokens: 3, outputTokens: 1, totalTokens: 4 }
      }
    }),
    verdict: Verdict.make("Fail", { weighs: true, billed: "yes" }),
    says: ["The stream of \"openai\" broke after 3 characters and 1 whole tool call", "attempt 2", "restart"]
  },
  {
    error: new PolicyError.StreamBroken({
      name: "openai",
      attempts: 1,
      error: new PolicyError.TimedOut({ phase: "idle", limit: wait }),
      received: { text: "Par", reasoning: "", toolCalls: [], omittedCharacters: 42 }
    }),
    verdict: Verdict.make("Fail", { weighs: true, billed: "yes" }),
    says: [
      "broke after 3 characters",
      "A further 42 characters came and were not kept",
      "raise the policy's stream.maxKept"
    ]
  },
  {
    error: new PolicyError.TimedOut({ phase: "idle", limit: wait }),
    verdict: Verdict.make("Retry", { weighs: true, billed: "maybe" }),
    says: ["The next content of the stream took longer than 5s"]
  },
  {
    error: new PolicyError.TimedOut({ phase: "total", limit: wait }),
    verdict: Verdict.make("Fallback", { weighs: true, billed: "maybe" }),
    says: ["The call with all its attempts took longer than 5s"]
  },
  {
    error: new PolicyError.TimedOut({ phase: "queue", limit: wait }),
    verdict: Verdict.make("Fallback"),
    says: ["A place in the queue took longer than 5s"]
  },
  {
    error: new PolicyError.SpendLimitExceeded({ unit: "tokens", limit: 1_000, spent: 990 }),
    verdict: Verdict.make("Fail"),
    says: ["limit of 1000 tokens is reached (990 spent)", "Raise it"]
  },
  {
    error: exhausted(limited),
    verdict: Verdict.make("Fallback", { retryAfter: wait, throttled: true }),
    says: [
      "Gave up after 2 attempts in 3s",
      "attempt 1 failed at 1s with Overloaded; retried after 5s",
      "attempt 2 failed at 3s with RateLimited; stopped: no attempts are left",
      "The last error: too many requests"
    ]
  },
  {
    error: new PolicyError.PlanExhausted({
      steps: [{ step: "gpt-4o", error: limited }, { step: "local", error: "down" }]
    }),
    verdict: Verdict.make("Fail"),
    says: ["No step of the plan succeeded", "gpt-4o (openai: rate limited", "local (down)"]
  }
]

describe("PolicyError", () => {
  it("the table below has a row for every class", () => {
    expect(new Set(rows.map((row) => row.error._tag)).size).toBe(PolicyError.PolicyError.members.length)
  })

  describe.each(rows.map((row) => [row.says[0] ?? "", row] as const))("%s …", (_, { error, says, verdict }) => {
    it("has its verdict", () => {
      expect(Verdict.of(error)).toEqual(verdict)
    })

    it("says what was refused, and what to do", () => {
      for (const part of says) expect(error.message).toContain(part)
      expect(error.message).not.toMatch(/undefined|\[object|\s\s/)
    })

    it("is an Error, and one of the policy errors", () => {
      expect(error).toBeInstanceOf(Error)
      expect(PolicyError.isPolicyError(error)).toBe(true)
      expect(PolicyError.isPolicyError({ ...error })).toBe(false)
    })
  })
})

const wireOf = (error: PolicyError.PolicyError): unknown =>
  JSON.parse(JSON.stringify(Schema.encodeSync(PolicyError.PolicyError)(error)))

const overTheWire = (error: PolicyError.PolicyError): PolicyError.PolicyError =>
  Schema.decodeUnknownSync(PolicyError.PolicyError)(wireOf(error))

/** The facts of an error and of those inside it, with their classes. */
const facts = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(facts)
    : value instanceof Error
    ? { class: value.constructor, message: value.message, fields: facts({ ...value }) }
    : typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
    ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, facts(inner)]))
    : value

describe("over the wire", () => {
  it("every error comes back as it was", () => {
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(PolicyError.PolicyError), (error) => {
        const back = overTheWire(error)
        expect(facts(back)).toEqual(facts(error))
        expect(Verdict.of(back)).toEqual(Verdict.of(error))
      }),
      times
    )
  })

  it("a model error keeps its class and its facts as the last error", () => {
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(ModelError.ModelError), (lastError) => {
        const back = overTheWire(exhausted(lastError))
        expect(back._tag === "RetriesExhausted" && facts(back.lastError)).toEqual(facts(lastError))
      }),
      times
    )
  })

  it("a refusal keeps its class as the last error", () => {
    const back = overTheWire(exhausted(new PolicyError.TimedOut({ phase: "attempt", limit: wait })))
    expect(back._tag === "RetriesExhausted" && back.lastError).toEqual(
      new PolicyError.TimedOut({ phase: "attempt", limit: wait })
    )
  })

  it("plain data stays plain data, and another's error is told in words", () => {
    class Busy extends Data.TaggedError("Busy")<{ readonly message: string; readonly request: unknown }> {}
    const cases: ReadonlyArray<readonly [error: unknown, wire: unknown]> = [
      ["down", "down"],
      [{ code: 7, parts: ["a", null, true] }, { code: 7, parts: ["a", null, true] }],
      [new TypeError("fetch failed"), { name: "TypeError", message: "fetch failed" }],
      [new Busy({ message: "try later", request: { headers: { authorization: secret } } }), {
        name: "Busy",
        message: "try later"
      }],
      [NaN, "NaN"],
      [10n, { name: "bigint", message: "10" }],
      [undefined, { name: "undefined", message: "undefined" }]
    ]
    for (const [error, wire] of cases) expect(wireOf(exhausted(error))).toMatchObject({ lastError: wire })
  })

  it("a cyclic last error ends somewhere", () => {
    const cyclic: Record<string, unknown> = { code: 1 }
    cyclic["self"] = cyclic
    expect(JSON.stringify(wireOf(exhausted(cyclic))).length).toBeLessThan(1_000)
  })
})

describe("RetriesExhausted", () => {
  it("holds the caller's own last error, untouched", () => {
    const mine = { _tag: "Mine", text: "x".repeat(5_000) }
    expect(exhausted(mine).lastError).toBe(mine)
  })

  it("passes on the verdict of its last error, but is not to be retried again", () => {
    expect(Verdict.of(exhausted("down")).action).toBe("Fallback")
    expect(Verdict.of(exhausted(new ModelError.Authentication({ provider: "openai" }))).action).toBe("Fail")
    expect(Verdict.of(exhausted(new ModelError.InvalidToolCall({ provider: "groq" }))).action).toBe("Reask")
  })

  it("stays readable after a thousand attempts", () => {
    const log = Array.from({ length: 1_000 }, (_, i) => failed(i + 1))
    const { message } = exhausted("down", log)
    expect(message).toContain("(995 earlier attempts not shown) attempt 996 failed")
    expect(message.length).toBeLessThan(600)
  })
})

describe("credentials", () => {
  const form = `x-api-key: ${secret}`
  const request = { headers: { authorization: secret, "x-api-key": secret }, url: `https://host?key=${secret}` }
  const errors: ReadonlyArray<PolicyError.PolicyError> = [
    new PolicyError.CircuitOpen({ name: form, retryAfter: wait, openedBy: { tag: form, message: form } }),
    new PolicyError.Throttled({ name: form, requests: 1, accepts: 0 }),
    new PolicyError.BulkheadFull({ name: form, maxConcurrent: 1, maxQueued: 1 }),
    new PolicyError.RateLimitExceeded({ name: form, retryAfter: wait }),
    exhausted("down", [{ ...failed(1, form), error: form, reason: form }]),
    exhausted({ _tag: "Foreign", request, message: form }),
    exhausted(Object.assign(new Error(form), { request })),
    exhausted(form),
    new PolicyError.PlanExhausted({ steps: [{ step: form, error: form }, { step: "two", error: { request } }] })
  ]

  it("are in no way of printing a refusal, not even those of the caller's own error", () => {
    for (const error of errors) {
      for (const shown of [JSON.stringify(wireOf(error)), JSON.stringify(error), String(error), error.message]) {
        expect(shown, error._tag).not.toContain(secret)
      }
    }
  })
})
