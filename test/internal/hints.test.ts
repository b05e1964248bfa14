import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Hints from "../../src/internal/hints.ts"

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const now = Date.UTC(2026, 2, 17, 17, 37, 54)

const rows = <A>(read: (text: string) => A, table: Readonly<Record<string, A>>) => {
  for (const [text, expected] of Object.entries(table)) {
    it(`${JSON.stringify(text)} is ${String(expected)}`, () => expect(read(text)).toEqual(expected))
  }
}

describe("hints", () => {
  describe("durations, as Go, protobuf and people write them", () => {
    rows(Hints.duration, {
      "1s": second,
      "120ms": 120,
      "8ms": 8,
      "12ms": 12,
      "6m0s": 6 * minute,
      "1m1.5s": 61_500,
      "4h43m36.314s": 4 * hour + 43 * minute + 36_314,
      "34.4s": 34_400,
      "0.539477544s": 539,
      "539.477544ms": 539,
      "44.097740004s": 44_098,
      "1m47.5854s": 107_585,
      "1m0.363142857s": 60_363,
      "6.780999999s": 6781,
      "250µs": 0,
      "1500us": 2,
      "900000ns": 1,
      "2 seconds": 2 * second,
      "1 minute": minute,
      "10 hours 58 minutes": 10 * hour + 58 * minute,
      "3 hours, 4 minutes and 5 seconds": 3 * hour + 4 * minute + 5 * second,
      "1 day": day,
      "1w": 7 * day,
      "0s": 0,
      "": undefined,
      "5": undefined,
      "-5s": undefined,
      "5 parsecs": undefined,
      "5s later": undefined,
      "s": undefined,
      "9999999999h": undefined
    })

    it("read what Go prints", () => {
      FastCheck.assert(
        FastCheck.property(
          FastCheck.nat({ max: 80 }),
          FastCheck.nat({ max: 59 }),
          FastCheck.nat({ max: 59_999 }),
          (hours, minutes, millis) => {
            const text = `${hours > 0 ? `${hours}h` : ""}${hours + minutes > 0 ? `${minutes}m` : ""}${millis / 1000}s`
            expect(Hints.duration(text)).toBe(hours * hour + minutes * minute + millis)
          }
        ),
        { numRuns: 500 }
      )
    })
  })

  describe("instants", () => {
    const at = Date.UTC(2026, 2, 17, 17, 38, 54)
    rows((text) => Hints.instant(text, now), {
      "Tue, 17 Mar 2026 17:38:54 GMT": at,
      "Tuesday, 17-Mar-26 17:38:54 GMT": at,
      "Tue Mar 17 17:38:54 2026": at,
      "Tue, 17 Mar 2026 17:38:54 +0000": at,
      "2026-03-17T17:38:54Z": at,
      "2026-03-17T17:38:54.339Z": at + 339,
      "2026-03-17T19:38:54+02:00": at,
      "2026-03-17T12:08:54-05:30": at,
      "2026-03-17 17:38:54 UTC": at,
      "Sunday, 06-Nov-94 08:49:37 GMT": Date.UTC(1994, 10, 6, 8, 49, 37),
      "Thu, 29 Feb 2024 00:00:00 GMT": Date.UTC(2024, 1, 29),
      "Thu, 29 Feb 2026 00:00:00 GMT": undefined,
      "Tue, 17 Foo 2026 17:38:54 GMT": undefined,
      "Tue, 17 Mar 2026 25:38:54 GMT": undefined,
      "Invalid Date GMT": undefined,
      "2026": undefined,
      "2026-13-01T00:00:00Z": undefined
    })
  })

  describe("Retry-After", () => {
    rows((text) => Hints.retryAfter(text, now), {
      "0": 0,
      "120": 120 * second,
      "0.1": 100,
      "  7 ": 7 * second,
      "120, 60": 120 * second,
      "60, 120": 120 * second,
      "120, soon": undefined,
      "30s": 30 * second,
      "1m30s": 90 * second,
      "31536000": 365 * day,
      "99999999999": undefined,
      "-5": undefined,
      "+5": undefined,
      "1e3": undefined,
      "0x10": undefined,
      "NaN": undefined,
      "Infinity": undefined,
      "1_000": undefined,
      "": undefined,
      "Tue, 17 Mar 2026 17:38:24 GMT": 30 * second,
      "Tue, 17 Mar 2026 17:38:24 GMT, 45": 45 * second,
      "Tue, 17 Mar 2026 17:38:24 GMT soon": undefined,
      "Tue, 17 Mar 2020 17:38:24 GMT": 0,
      "2026-03-17T17:38:24Z": 30 * second
    })

    it("reads any seconds, and never a negative, fractional or endless wait", () => {
      FastCheck.assert(
        FastCheck.property(FastCheck.oneof(FastCheck.string(), FastCheck.double().map(String)), (text) => {
          const wait = Hints.retryAfter(text, now)
          if (wait !== undefined) {
            expect(Number.isInteger(wait) && wait >= 0 && wait <= Hints.longestHint).toBe(true)
          }
        }),
        { numRuns: 1000 }
      )
      FastCheck.assert(
        FastCheck.property(FastCheck.nat({ max: 31_536_000 }), (seconds) => {
          expect(Hints.retryAfter(String(seconds), now)).toBe(seconds * 1000)
        }),
        { numRuns: 200 }
      )
    })

    it("says nothing by a date when there is no clock", () => {
      expect(Hints.fromHeaders({ "retry-after": "Tue, 17 Mar 2026 17:38:24 GMT" })).toBe(undefined)
      expect(Hints.fromHeaders({
        "Retry-After": "Tue, 17 Mar 2026 17:38:24 GMT",
        Date: "Tue, 17 Mar 2026 17:38:20 GMT"
      })).toBe(4 * second)
    })
  })

  describe("which header wins", () => {
    const all = { "Retry-After-Ms": "10", "X-MS-Retry-After-Ms": "20", "Retry-After": "3", "x-amz-retry-after": "40" }
    it("the most exact one that can be read", () => {
      expect(Hints.fromHeaders(all)).toBe(10)
      expect(Hints.fromHeaders({ ...all, "Retry-After-Ms": "abc" })).toBe(20)
      expect(Hints.fromHeaders({ "retry-after": "3", "x-amz-retry-after": "40" })).toBe(3000)
      expect(Hints.fromHeaders({ "retry-after": "x", "x-amz-retry-after": "40" })).toBe(40)
      expect(Hints.fromHeaders({ "retry-after-ms": "0", "retry-after": "9" })).toBe(0)
      expect(Hints.fromHeaders({ "retry-after-ms": "-1", "retry-after": undefined })).toBe(undefined)
      expect(Hints.fromHeaders({ "retry-after": ["120", "60"] })).toBe(120 * second)
    })
  })

  describe("prose", () => {
    rows((text) => Hints.fromProse(text, now), {
      "Please try again in 6m0s.": 6 * minute,
      "Please try again in 644ms. Visit the docs.": 644,
      "Rate limit is exceeded. Try again in 2 seconds.": 2 * second,
      "Please retry after 86400 seconds.": 86_400 * second,
      "Please retry in 44.097740004s.": 44_098,
      "Please retry in 900.2ms": 900,
      "try again in 1m47.5854s": 107_585,
      "Your quota will reset after 0s.": 0,
      "Your quota will reset after 18h31m10s.": 18 * hour + 31 * minute + 10 * second,
      "Please wait 4311 seconds before retrying.": 4311 * second,
      "Please wait 10 hours 58 minutes before trying again.": 10 * hour + 58 * minute,
      "Please wait for your limit to reset in 3 hours 49 minutes or switch": 3 * hour + 49 * minute,
      "please try again after 1 seconds": second,
      "Please try again in 58 hours.": 58 * hour,
      "Please try again in about 2 minutes": 2 * minute,
      "Retry-After: 30": 30 * second,
      "{\"retry_after\": 12.5}": 12_500,
      "\"retryDelay\": \"34.4s\"": 34_400,
      "Retry after 5s. Or retry after 9s.": 9 * second,
      "Limit resets at: 2026-03-17 17:38:24 UTC": 30 * second,
      "You will regain access on 2026-03-18 at 00:00 UTC.": 6 * hour + 22 * minute + 6 * second,
      "Please try again in 2 minutes and 30 seconds.": 150 * second,
      "Please try again in 1h2m.": 62 * minute,
      "Please try again in 20 ms.": 20,
      "Please try again in 1 hour, 5 minutes and 3 seconds.": hour + 5 * minute + 3 * second,
      "Please try again in 1,200 seconds.": 1200 * second,
      "Try again in 30 second(s).": 30 * second,
      "Try again in a minute.": minute,
      "Please wait an hour.": hour,
      "Please retry in 1 min 5 sec.": 65 * second,
      "Please back off for 15 seconds.": 15 * second,
      "Next request allowed in 7 seconds.": 7 * second,
      "Cooldown: 30 seconds remaining": 30 * second,
      "Try again in 00:01:30": 90 * second,
      "Out of call volume quota. Quota will be replenished in 1.02:30:00.": 26.5 * hour,
      "[rate reset in 59s]": 59 * second,
      "Wait a bit and try again.": undefined,
      "Try again in a few minutes.": undefined,
      "Please try again in an improved way.": undefined,
      "Please try again in 12:30": undefined,
      "Retry after 3 attempts failed": undefined,
      "Please try again later.": undefined,
      "Please wait a moment.": undefined,
      "Limit 30000, Used 29937, Requested 385.": undefined,
      "The window is 60 seconds.": undefined,
      "I waited 5 seconds": undefined,
      "Rate limit of 8 per 86400s exceeded": undefined,
      "": undefined
    })
  })

  describe("reset headers", () => {
    const read = (
      headers: Hints.Headers,
      dimension?: "tokens" | "requests"
    ) => Hints.fromResetHeaders(headers, { limited: true, dimension }, now)

    it("count for the dimension with nothing left", () => {
      expect(read({ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s" })).toBe(6 * minute)
      expect(read({ "x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6m0s" })).toBe(undefined)
      expect(read({ "x-ratelimit-reset-tokens": "6m0s" })).toBe(undefined)
      expect(read({
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-03-17T17:38:24Z",
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-requests-reset": "2026-03-17T18:38:24Z"
      })).toBe(30 * second)
    })

    it("count for the dimension that the error names", () => {
      expect(read({ "x-ratelimit-reset-tokens": "8ms", "x-ratelimit-reset-requests": "1s" }, "tokens")).toBe(8)
      expect(read({ "x-ratelimit-reset-tokens": "8ms", "x-ratelimit-reset-requests": "1s" }, "requests")).toBe(second)
    })

    it("take the longest of several", () => {
      expect(read({
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "7.66s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2m59.56s"
      })).toBe(179_560)
    })

    it("without dimensions count for any rate limit", () => {
      const reset = String(now / 1000 + 30)
      expect(read({ "X-RateLimit-Reset": reset })).toBe(30 * second)
      expect(read({ "x-ratelimit-reset": String(now + 1234) })).toBe(1234)
      expect(read({ "ratelimit-reset": "15", "ratelimit-remaining": "0" })).toBe(15 * second)
      expect(read({ "anthropic-ratelimit-unified-reset": reset })).toBe(30 * second)
      expect(read({ "anthropic-ratelimit-unified-reset": reset, "anthropic-ratelimit-unified-status": "allowed" }))
        .toBe(
          undefined
        )
      expect(read({ "x-ratelimit-reset": "15", "x-ratelimit-remaining": "4" })).toBe(undefined)
      expect(Hints.fromResetHeaders({ "x-ratelimit-reset": "15" }, { limited: false }, now)).toBe(undefined)
    })

    it("say nothing by -1, 0 or words", () => {
      for (const value of ["-1", "0", "0s", "never", "not-a-number", ""]) {
        expect(read({ "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": value })).toBe(undefined)
      }
    })
  })
})
