/** Readers of what servers send never throw, whatever type each value has. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import { found } from "../../src/error/InvalidOptions.ts"
import * as ModelError from "../../src/error/ModelError.ts"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Hints from "../../src/internal/hints.ts"
import * as LimitHeaders from "../../src/internal/rateLimitHeaders.ts"
import { describeCause } from "../../src/internal/redact.ts"
import * as ProviderError from "../../src/provider/ProviderError.ts"
import * as Event from "../../src/telemetry/Event.ts"
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

/** Values as a program without types hands them over: live ones, whose every use may throw. */
const hostileValues: ReadonlyArray<readonly [name: string, make: () => unknown]> = [
  ["an object whose texts are none", () => ({ toString: 1, valueOf: 1, message: { toString: null } })],
  ["an object whose getters throw", () => {
    const throwing = {
      enumerable: true,
      get: () => {
        throw new Error("hostile")
      }
    }
    return Object.defineProperties({}, Object.fromEntries(names.map((name) => [name, throwing])))
  }],
  ["an object that cannot become a text", () => ({
    [Symbol.toPrimitive]: () => {
      throw new Error("hostile")
    }
  })],
  ["an object without a prototype", () => Object.assign(Object.create(null), { message: "m", name: "n" })],
  ["a circle", () => {
    const circle: { [field: string]: unknown } = { message: "m" }
    return Object.assign(circle, { cause: circle, error: circle, errors: [circle], detail: circle })
  }],
  ["a proxy that throws", () => {
    const fail = (): never => {
      throw new Error("hostile")
    }
    return new Proxy({}, { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail, getOwnPropertyDescriptor: fail })
  }],
  ["a revoked proxy", () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }],
  ["an error with a revoked proxy in it", () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return Object.assign(new Error("m"), { cause: proxy, errors: proxy, error: proxy })
  }],
  [
    "an error whose message is none",
    () => Object.assign(new Error("m"), { message: { toString: 1 }, _tag: 5, name: {} })
  ],
  ["a symbol", () => Symbol("s")],
  ["a big integer", () => 10n],
  ["a function", () => Object.assign(() => {}, { toString: 1 })],
  ["a date that is none", () => new Date(NaN)],
  ["an array of itself", () => {
    const array: Array<unknown> = []
    return Object.assign(array, { 0: array })
  }]
]

/** What takes a value of anyone's making. */
const takers: ReadonlyArray<readonly [name: string, take: (value: never) => unknown]> = [
  ["describeCause", describeCause],
  ["Event.errorTag", Event.errorTag],
  ["Event.errorText", Event.errorText],
  [
    "Event.describe",
    (error) =>
      Event.describe(Event.GaveUp({ at: 0, name: "n", attempt: 1, elapsed: Duration.zero, reason: "r", error }))
  ],
  ["Verdict.of", Verdict.of],
  ["Verdict.isJudged", Verdict.isJudged],
  ["InvalidOptions.found", found],
  ["fromResponse, as the body", (body) => ProviderError.fromResponse({ provider: "p", status: 500, body })],
  ["fromResponse, as headers", (headers) => ProviderError.fromResponse({ provider: "p", status: 429, headers })],
  [
    "fromResponse, as one header",
    (header) =>
      ProviderError.fromResponse({
        provider: "p",
        status: 429,
        headers: { "retry-after": header, "x-request-id": header }
      })
  ],
  ["fromResponse, as the status", (status) => ProviderError.fromResponse({ provider: "p", status })],
  ["fromResponse, as the names", (name) => ProviderError.fromResponse({ provider: name, model: name, status: 500 })],
  ["fromResponse, as the time", (now) => ProviderError.fromResponse({ provider: "p", status: 429, now })],
  ["fromResponse, as everything", (reply) => ProviderError.fromResponse(reply)],
  ["fromStreamEvent, as the event", (event) => ProviderError.fromStreamEvent({ provider: "p", event, name: "error" })],
  ["fromStreamEvent, as everything", (event) => ProviderError.fromStreamEvent(event)],
  ["a cause", (cause) => new ModelError.ServerError({ provider: "p", cause })]
]

/** Effect's Schema looks at these first, and is not made for a proxy that throws. */
const checkedTakers: typeof takers = [
  ["a last error that is told", (lastError) => {
    const error = new PolicyError.RetriesExhausted({ attempts: 1, elapsed: Duration.zero, lastError, log: [] })
    return [error.message, String(error), JSON.stringify(error), Verdict.of(error)]
  }],
  ["a plan that is told", (error) => {
    const exhausted = new PolicyError.PlanExhausted({ steps: [{ step: "s", error }] })
    return [exhausted.message, String(exhausted), JSON.stringify(exhausted)]
  }]
]

describe("live values of anyone's making", () => {
  for (const [value, make] of hostileValues) {
    for (const [taker, take] of value.includes("proxy") ? takers : [...takers, ...checkedTakers]) {
      it(`${taker} takes ${value}`, () => {
        // @ts-expect-error a type is no promise where JavaScript calls
        take(make())
      })
    }
  }
})
