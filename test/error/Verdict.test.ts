import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Verdict from "../../src/error/Verdict.ts"

const weighing = Verdict.make("Retry", { weighs: true, billed: "maybe" })
const request = HttpClientRequest.get("http://host")
const responseError = (
  status: number,
  reason: "StatusCode" | "Decode" | "EmptyBody" = "StatusCode",
  headers: Readonly<Record<string, string>> = {}
) =>
  new HttpClientError.ResponseError({
    request,
    reason,
    response: HttpClientResponse.fromWeb(request, new Response(null, { status, headers }))
  })
const requestError = (reason: "Transport" | "Encode" | "InvalidUrl") =>
  new HttpClientError.RequestError({ request, reason })

describe("Verdict.make", () => {
  it("weighs nothing, costs nothing and forbids nothing unless told", () => {
    expect(Verdict.make("Fail")).toEqual({
      action: "Fail",
      retryAfter: Option.none(),
      throttled: false,
      weighs: false,
      billed: "no",
      forbidden: false
    })
  })

  it("takes any duration for the hint", () => {
    expect(Verdict.make("Retry", { retryAfter: "2 seconds" }).retryAfter).toEqual(Option.some(Duration.seconds(2)))
  })
})

describe("Verdict.of", () => {
  it("asks an error that knows its verdict", () => {
    class Busy extends Data.TaggedError("Busy")<{ readonly seconds: number }> {
      [Verdict.symbol]() {
        return Verdict.make("Retry", { retryAfter: Duration.seconds(this.seconds), throttled: true })
      }
    }
    const busy = new Busy({ seconds: 3 })
    expect(Verdict.isJudged(busy)).toBe(true)
    expect(Verdict.of(busy)).toEqual(Verdict.make("Retry", { retryAfter: "3 seconds", throttled: true }))
  })

  it("is asked before anything else is looked at", () => {
    expect(Verdict.of({ _tag: "TimeoutException", [Verdict.symbol]: () => Verdict.make("Reask") }).action).toBe("Reask")
  })

  it("takes Effect's own time-out for a failure of the other side", () => {
    expect(Verdict.of(new Cause.TimeoutException())).toEqual(weighing)
  })

  it.each(
    [
      [408, weighing],
      [409, weighing],
      [425, weighing],
      [429, Verdict.make("Retry", { throttled: true })],
      [500, weighing],
      [502, weighing],
      [503, weighing],
      [504, weighing],
      [529, weighing],
      [400, Verdict.make("Fail")],
      [401, Verdict.make("Fail")],
      [403, Verdict.make("Fail")],
      [404, Verdict.make("Fail")],
      [413, Verdict.make("Fail")],
      [422, Verdict.make("Fail")],
      [501, Verdict.make("Fail")]
    ] as const
  )("judges a platform response of status %i", (status, verdict) => {
    expect(Verdict.of(responseError(status))).toEqual(verdict)
  })

  it.each(
    [
      [429, { "Retry-After": "7" }, "7 seconds"],
      [503, { "retry-after": "7" }, "7 seconds"],
      [429, { "retry-after-ms": "1500", "retry-after": "2" }, "1500 millis"],
      [429, { date: "Tue, 17 Mar 2026 17:37:54 GMT", "retry-after": "Tue, 17 Mar 2026 17:38:24 GMT" }, "30 seconds"],
      [429, { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "12" }, "12 seconds"],
      [503, { "retry-after": "soon" }, undefined],
      [429, { "retry-after": "Tue, 17 Mar 2026 17:38:24 GMT" }, undefined]
    ] as const
  )("reads how long a platform response of status %i with %j asks to wait", (status, headers, wait) => {
    expect(Verdict.of(responseError(status, "StatusCode", headers)).retryAfter).toEqual(
      wait === undefined ? Option.none() : Option.some(Duration.decode(wait))
    )
  })

  it("forbids a retry where a platform response forbids it", () => {
    expect(Verdict.of(responseError(500, "StatusCode", { "x-should-retry": "false" })).forbidden).toBe(true)
    expect(Verdict.of(responseError(500, "StatusCode", { "x-should-retry": "true" })).forbidden).toBe(false)
  })

  it("gives no wait with an error that is not to be repeated", () => {
    expect(Verdict.of(responseError(400, "StatusCode", { "retry-after": "7" }))).toEqual(Verdict.make("Fail"))
  })

  it("takes a body that broke off for a failure of the other side, whatever the status", () => {
    expect(Verdict.of(responseError(200, "Decode"))).toEqual(weighing)
    expect(Verdict.of(responseError(200, "EmptyBody"))).toEqual(weighing)
  })

  it("retries a request that did not get through, not one that cannot be sent", () => {
    expect(Verdict.of(requestError("Transport"))).toEqual(weighing)
    expect(Verdict.of(requestError("Encode"))).toEqual(Verdict.make("Fail"))
    expect(Verdict.of(requestError("InvalidUrl"))).toEqual(Verdict.make("Fail"))
  })

  it("does not retry what will be as wrong the next time", () => {
    const parse = Either.getOrThrow(Either.flip(Schema.decodeUnknownEither(Schema.Number)("x")))
    for (const error of [parse, new Cause.NoSuchElementException(), new Cause.IllegalArgumentException()]) {
      expect(Verdict.of(error)).toEqual(Verdict.make("Fail"))
    }
  })

  it("believes isRetryable", () => {
    expect(Verdict.of({ _tag: "AiError", isRetryable: true })).toEqual(weighing)
    expect(Verdict.of({ _tag: "AiError", isRetryable: false })).toEqual(Verdict.make("Fail"))
    expect(Verdict.of({ _tag: "AiError", isRetryable: "no" })).toEqual(weighing)
  })

  it("takes what nobody has judged for transient", () => {
    for (const error of [new Error("?"), "down", undefined, null, 7, {}, Object.create(null)]) {
      expect(Verdict.of(error)).toEqual(weighing)
    }
  })

  it("survives errors whose properties throw", () => {
    const hostile = new Proxy({}, {
      get: () => {
        throw new Error("no")
      },
      has: () => {
        throw new Error("no")
      }
    })
    expect(Verdict.of(hostile)).toEqual(weighing)
    const response = {
      status: 429,
      headers: new Proxy({}, {
        ownKeys: () => {
          throw new Error("no")
        }
      })
    }
    expect(Verdict.of({ _tag: "ResponseError", reason: "StatusCode", response }))
      .toEqual(Verdict.make("Retry", { throttled: true }))
  })
})
