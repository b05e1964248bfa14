/** Readers of what servers send never throw, whatever type each value has. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Hints from "../../src/internal/hints.ts"
import * as LimitHeaders from "../../src/internal/rateLimitHeaders.ts"
import { describeCause } from "../../src/internal/redact.ts"
import * as ProviderError from "../../src/provider/ProviderError.ts"
import { runs } from "../runs.ts"

const names = [
  "error",
  "errors",
  "code",
  "type",
  "status",
  "message",
  "detail",
  "details",
  "metadata",
  "raw",
  "headers",
  "reasons",
  "violations",
  "quotaValue",
  "retryDelay",
  "seconds",
  "nanos",
  "@type",
  "loc",
  "param",
  "choices",
  "candidates",
  "finish_reason",
  "finishReason",
  "promptFeedback",
  "blockReason",
  "base_resp",
  "status_code",
  "response",
  "success",
  "content_filter_results",
  "filtered",
  "incomplete_details",
  "reason",
  "toString",
  "valueOf",
  "length",
  "join",
  "cause"
]

const { json } = FastCheck.letrec((tie) => ({
  json: FastCheck.oneof(
    { maxDepth: 6, withCrossShrink: true },
    FastCheck.constantFrom<unknown>(
      null,
      true,
      0,
      -1,
      429,
      1e300,
      "",
      "x",
      "5s",
      "rate_limit_exceeded",
      "{\"error\":1}"
    ),
    FastCheck.array(tie("json"), { maxLength: 3 }),
    FastCheck.dictionary(FastCheck.constantFrom(...names), tie("json"), { maxKeys: 4 })
  )
}))

const headerNames = [
  "retry-after",
  "retry-after-ms",
  "x-request-id",
  "x-should-retry",
  "date",
  "x-ratelimit-reset",
  "ratelimit",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-limit-tokens",
  "ratelimit-policy",
  "x-amzn-errortype"
]

/** As a client without types hands them over. */
const headers = FastCheck.dictionary(FastCheck.constantFrom(...headerNames), json).map((all) =>
  JSON.parse(JSON.stringify(all))
)

const numRuns = runs(2_000, 30_000)

describe("values of any type", () => {
  it("make an error of each reply and of each event, or none", () => {
    FastCheck.assert(
      FastCheck.property(json, headers, FastCheck.constantFrom(200, 400, 429, 500, NaN), (body, told, status) => {
        expect(ProviderError.fromResponse({ provider: "p", status, body, headers: told }).provider).toBe("p")
        ProviderError.fromStreamEvent({ provider: "p", event: body, headers: told })
        ProviderError.fromStreamEvent({ provider: "p", event: body, name: "error" })
      }),
      { numRuns }
    )
  })

  it("in headers say nothing", () => {
    FastCheck.assert(
      FastCheck.property(headers, (told) => {
        Hints.fromHeaders(told, 0)
        Hints.fromResetHeaders(told, { limited: true }, 0)
        LimitHeaders.read(told, 0)
      }),
      { numRuns }
    )
  })

  it("are causes that can be described", () => {
    FastCheck.assert(FastCheck.property(json, (cause) => typeof describeCause(cause).message === "string"), { numRuns })
  })
})
