import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Event from "../../src/telemetry/Event.ts"

const secret = "tOpSeCrEt0123456789abcdef"
const form = `x-api-key: ${secret}`
const error = new ModelError.Overloaded({ provider: "openai" })
const of = { at: 1_000, name: "chat" }
const wait = Duration.seconds(5)
const tried = { ...of, attempt: 2, elapsed: Duration.seconds(3) }

const every = [
  Event.Retried({ ...tried, delay: Duration.seconds(1), error }),
  Event.GaveUp({ ...tried, reason: "no attempts are left", error }),
  Event.Recovered(tried),
  Event.TimedOut({ ...of, phase: "total", limit: Duration.minutes(1) }),
  Event.ToolCallsRejected({
    ...of,
    reask: 0,
    tools: ["weather"],
    kinds: ["UnknownTool"],
    reasons: ["no such tool: wether"]
  }),
  Event.AnswerRejected({ ...of, reask: 0, kind: "InvalidArguments", reason: "city: expected a string" }),
  Event.Reasked({ ...of, reask: 1 }),
  Event.ToolRan({ ...of, tool: "weather", callId: "call_1" }),
  Event.CircuitOpened({ ...of, retryAfter: wait, calls: 10, failures: 6, slow: 1 }),
  Event.CircuitHalfOpened(of),
  Event.CircuitClosed(of),
  Event.CircuitIsolated(of),
  Event.CircuitDisabled(of),
  Event.CircuitRefused({ ...of, retryAfter: wait }),
  Event.BulkheadRefused({ ...of, reason: "the queue is full", running: 10, queued: 5 }),
  Event.ConcurrencyLimitChanged({ ...of, from: 10, to: 9 }),
  Event.RateLimitDelayed({ ...of, wait }),
  Event.RateLimitRefused({ ...of, reason: "no room for tokens", retryAfter: wait }),
  Event.RateLimitPaused({ ...of, until: 6_000, wait }),
  Event.RateLimitLearned({ ...of, requestsPerMinute: 500 }),
  Event.RetryBudgetExhausted({ ...of, attempt: 2 }),
  Event.Hedged({ ...of, attempt: 2 }),
  Event.HedgeWon({ ...of, attempt: 2 }),
  Event.FellBack({ ...of, from: "gpt-4o", to: "local", error }),
  Event.Degraded({ ...of, error }),
  Event.NestedRetry({ ...of, outer: "job", product: 9 }),
  Event.ConfigSwapped(of)
] as const

describe("Event.describe", () => {
  it("tells each event in one line", () => {
    expect(every.map(Event.describe)).toEqual([
      "chat: attempt 2 failed after 3s with Overloaded; next attempt in 1s",
      "chat: attempt 2 failed after 3s with Overloaded; giving up: no attempts are left",
      "chat: attempt 2 succeeded after 3s",
      "chat: total took longer than 1m",
      "chat: refused 1 tool call (no such tool: wether)",
      "chat: refused the answer (city: expected a string)",
      "chat: asking the model again (1)",
      "chat: ran weather",
      "chat: circuit opened after 10 calls, 6 failed, 1 slow; probe in 5s",
      "chat: circuit half-open, letting probes through",
      "chat: circuit closed",
      "chat: circuit isolated by hand",
      "chat: circuit disabled",
      "chat: circuit refused a call; probe in 5s",
      "chat: bulkhead refused a call (the queue is full; 10 running, 5 queued)",
      "chat: limit of calls in flight from 10 to 9",
      "chat: waits 5s for the rate limit",
      "chat: rate limiter refused a call (no room for tokens); retry after 5s",
      "chat: paused for 5s as the other side asked",
      "chat: learned limits: 500 requests and ? tokens per minute",
      "chat: no budget for attempt 2",
      "chat: started attempt 2 beside the running ones",
      "chat: attempt 2 answered first",
      "chat: gpt-4o failed with Overloaded; trying local",
      "chat: degraded result in place of Overloaded",
      "chat: runs inside the retry job; up to 9 attempts in all",
      "chat: took over a new configuration"
    ])
  })

  it("prints no credential, wherever in the event it stands", () => {
    const poisoned = every.map((event): Event.Event =>
      Object.assign(
        {},
        event,
        Object.fromEntries(
          Object.entries(event).flatMap(([name, value]): ReadonlyArray<readonly [string, unknown]> =>
            name === "error"
              ? [[name, { _tag: form, message: form }]]
              : name !== "_tag" && typeof value === "string"
              ? [[name, form]]
              : Array.isArray(value)
              ? [[name, [form]]]
              : []
          )
        )
      )
    )
    for (const event of poisoned) expect(Event.describe(event), event._tag).not.toContain(secret)
  })
})

describe("Event.errorTag", () => {
  it("is the tag, or the name of the kind", () => {
    expect([error, new TypeError("x"), { name: "Odd" }, {}, "text", undefined, null, 7].map(Event.errorTag))
      .toEqual(["Overloaded", "TypeError", "Odd", "Error", "string", "undefined", "object", "number"])
  })
})

describe("Event.errorText", () => {
  it("is what the error says", () => {
    expect([new Error("down"), "down", 7, undefined, { _tag: "Odd" }, Object.create(null)].map(Event.errorText))
      .toEqual(["down", "down", "7", "undefined", "Odd", "Error"])
  })

  it("is clipped and holds no credential", () => {
    expect(Event.errorText(new Error(form))).not.toContain(secret)
    expect(Event.errorText(new Error("x".repeat(100_000))).length).toBeLessThan(2_100)
  })

  it("survives an error whose message throws", () => {
    const hostile = {
      get message(): string {
        throw new Error("no")
      }
    }
    expect(Event.errorText(hostile)).toBe("Error")
  })
})

describe("Event.is", () => {
  it("tells events apart by their tag", () => {
    expect(every.filter(Event.is("TimedOut"))).toEqual([every[3]])
  })
})
