/** Readers of what servers send never throw, whatever type each value has. */
import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { found } from "../../src/error/InvalidOptions.ts"
import * as ModelError from "../../src/error/ModelError.ts"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Hints from "../../src/internal/hints.ts"
import * as LimitHeaders from "../../src/internal/rateLimitHeaders.ts"
import { isRecord } from "../../src/internal/record.ts"
import { describeCause } from "../../src/internal/redact.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as anthropicReply from "../../src/provider/anthropic/reply.ts"
import * as anthropicStream from "../../src/provider/anthropic/stream.ts"
import * as geminiReply from "../../src/provider/gemini/reply.ts"
import * as geminiStream from "../../src/provider/gemini/stream.ts"
import * as openAiChatReply from "../../src/provider/openAiChat/reply.ts"
import * as openAiChatStream from "../../src/provider/openAiChat/stream.ts"
import * as openAiResponsesReply from "../../src/provider/openAiResponses/reply.ts"
import * as openAiResponsesStream from "../../src/provider/openAiResponses/stream.ts"
import * as ProviderError from "../../src/provider/ProviderError.ts"
import * as decode from "../../src/provider/shared/decode.ts"
import * as Event from "../../src/telemetry/Event.ts"
import { anyJson } from "../anyJson.ts"
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
  "cause",
  "object",
  "output",
  "content",
  "message",
  "tool_calls",
  "function",
  "arguments",
  "usage",
  "usageMetadata",
  "input_tokens",
  "prompt_tokens",
  "total_tokens",
  "promptTokenCount",
  "prompt_tokens_details",
  "cached_tokens",
  "index",
  "parts",
  "functionCall",
  "partialArgs",
  "jsonPath",
  "delta",
  "item",
  "content_block",
  "output_index",
  "stop_reason",
  "stop_details",
  "groundingMetadata",
  "id",
  "model",
  "name"
]

const json = anyJson([null, true, 0, -1, 429, 1e300, "", "x", "5s", "rate_limit_exceeded", "{\"error\":1}"], names)

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

const numRuns = runs(2_000, 10_000)

const facts = { provider: "p", model: "m" }

const utf8 = new TextEncoder()

/** The types that the events of a stream have, so that their fields are read. */
const types = FastCheck.constantFrom(
  "message",
  "message_start",
  "message_delta",
  "content_block_start",
  "content_block_delta",
  "response.created",
  "response.completed",
  "response.incomplete",
  "response.output_item.added",
  "response.output_item.done",
  "response.output_text.delta",
  "response.function_call_arguments.done"
)

/** Fields of the first level that lead on to all others, so that they are often there. */
const fields = FastCheck.record({
  type: types,
  object: FastCheck.constantFrom("response", "chat.completion", "message"),
  choices: FastCheck.array(json, { maxLength: 3 }),
  candidates: FastCheck.array(json, { maxLength: 3 }),
  output: FastCheck.array(json, { maxLength: 3 }),
  content: json,
  response: json,
  item: json,
  delta: json,
  message: json,
  content_block: json,
  index: json,
  usage: json,
  usageMetadata: json,
  status: json
}, { requiredKeys: ["type"] })

const body = FastCheck.oneof(json, fields)

const replies = {
  OpenAiChat: openAiChatReply.decode,
  OpenAiResponses: openAiResponsesReply.decode,
  Anthropic: anthropicReply.decode,
  Gemini: geminiReply.decode
} as const

const streams = {
  OpenAiChat: decode.bytes(openAiChatStream.decoder(facts)),
  OpenAiResponses: decode.bytes(openAiResponsesStream.decoder(facts, "all")),
  Anthropic: decode.bytes(anthropicStream.decoder(facts, "messages")),
  Gemini: decode.bytes(geminiStream.decoder(facts))
} as const

/** Of the values that each reads in its own place. */
const usages: { readonly [name: string]: (value: unknown) => Usage.Usage } = {
  OpenAiChat: (value) => openAiChatReply.usageOf(isRecord(value) ? value : {}),
  OpenAiResponses: openAiResponsesReply.usageOf,
  Anthropic: (value) => anthropicReply.usageOf(anthropicReply.readCounts(anthropicReply.noCounts, value)),
  Gemini: (value) => {
    const frame = geminiReply.readFrame({ usageMetadata: value })
    return geminiReply.usageOf("wrong" in frame ? geminiReply.noCounts : frame.counts)
  }
}

const protocols = ["OpenAiChat", "OpenAiResponses", "Anthropic", "Gemini"] as const

describe("values of any type", () => {
  it.each(protocols)("are a reply of %s or an error", (protocol) => {
    FastCheck.assert(
      FastCheck.property(body, headers, (given, told) => {
        const incoming = { status: 200, headers: told, text: JSON.stringify(given) }
        const reply = replies[protocol](incoming, facts, DateTime.unsafeMake(0))
        if (Either.isRight(reply)) expect(Schema.is(Usage.Usage)(reply.right.usage)).toBe(true)
        else expect(ModelError.isModelError(reply.left)).toBe(true)
      }),
      { numRuns: runs(500, 3_000) }
    )
  })

  it.each(protocols)("in a stream of %s never make its decoder throw", (protocol) => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(body, { minLength: 1, maxLength: 4 }), (events) => {
        const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")
        const ended = Effect.runSync(Effect.either(Stream.runLast(streams[protocol](Stream.make(utf8.encode(text))))))
        // This is what stands in for a decoder that threw.
        if (Either.isLeft(ended)) expect(ended.left).not.toMatchObject({ reason: "the stream cannot be read" })
      }),
      { numRuns: runs(500, 3_000) }
    )
  })

  it.each(Object.entries(usages))("are a usage as %s counts it", (_, read) => {
    FastCheck.assert(
      FastCheck.property(json, (value) => {
        expect(Schema.is(Usage.Usage)(read(value))).toBe(true)
      }),
      { numRuns }
    )
  })

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
