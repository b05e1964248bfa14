import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { answer, answered, ask, content, failed, reply } from "./fakeGemini.ts"

const call = (args: unknown, rest: object = {}) => ({ functionCall: { name: "f", args, ...rest } })

describe("Gemini's replies", () => {
  it.effect("are read whole: text, thoughts, usage, ids", () =>
    Effect.gen(function*() {
      const response = yield* answered(
        answer({ text: "Let me think", thought: true }, { text: "Hel" }, { text: "lo", thoughtSignature: "s" }, {
          text: ""
        }),
        { headers: { "x-request-id": "req-7" } }
      )
      expect(response).toMatchObject({
        id: "resp-1",
        model: "gemini-2.5-flash-001",
        parts: [
          { _tag: "Reasoning", text: "Let me think" },
          { _tag: "Text", text: "Hel" },
          { _tag: "Text", text: "lo", providerMetadata: "gemini/google:signature:s" }
        ],
        text: "Hello",
        finishReason: "stop",
        rawFinishReason: "STOP",
        requestId: "req-7",
        usage: { inputTokens: 9, outputTokens: 7, totalTokens: 16, reasoningTokens: 5 }
      })
    }))

  it.effect("hold calls with their arguments to the letter, and an id of their own each", () =>
    Effect.gen(function*() {
      const text = `{"candidates":[{"content":{"parts":[
        {"functionCall":{"name":"f","args":{"id": 12345678901234567890, "a":1.0, "a":2 }}},
        {"functionCall":{"id":"given","name":"g"}},
        {"functionCall":{"id":"given","name":"g","args":null}},
        {"functionCall":{"id":" ","name":"constructor","args":{}}}
      ]},"finishReason":"STOP"}],"responseId":"r/1 é"}`
      const { result } = yield* ask(() => new globalThis.Response(text))
      expect(result).toMatchObject({
        right: {
          finishReason: "tool-calls",
          toolCalls: [
            { id: "call_r1_0", name: "f", arguments: "{\"id\": 12345678901234567890, \"a\":1.0, \"a\":2 }" },
            { id: "given", name: "g", arguments: "{}" },
            { id: "call_r1_2", name: "g", arguments: "{}" },
            { id: "call_r1_3", name: "constructor", arguments: "{}" }
          ]
        }
      })
    }))

  const ends: ReadonlyArray<readonly [string | undefined, string]> = [
    ["STOP", "stop"],
    ["MAX_TOKENS", "length"],
    ["SAFETY", "content-filter"],
    ["RECITATION", "content-filter"],
    ["BLOCKLIST", "content-filter"],
    ["PROHIBITED_CONTENT", "content-filter"],
    ["SPII", "content-filter"],
    ["IMAGE_SAFETY", "content-filter"],
    ["IMAGE_PROHIBITED_CONTENT", "content-filter"],
    ["IMAGE_RECITATION", "content-filter"],
    ["LANGUAGE", "unknown"],
    ["OTHER", "unknown"],
    ["IMAGE_OTHER", "unknown"],
    ["NO_IMAGE", "unknown"],
    ["CONTINUATION", "unknown"],
    ["A_NEW_ONE", "unknown"],
    ["FINISH_REASON_UNSPECIFIED", "unknown"],
    [undefined, "unknown"]
  ]
  for (const [said, reason] of ends) {
    it.effect(`that end with ${said} have the finish reason ${reason}`, () =>
      Effect.gen(function*() {
        const response = yield* answered(reply({ content: content({ text: "x" }), finishReason: said }))
        expect(response.finishReason).toBe(reason)
        expect(response.rawFinishReason).toBe(said === "FINISH_REASON_UNSPECIFIED" ? undefined : said)
      }))
  }

  it.effect("cut by the limit stay cut, calls or not", () =>
    Effect.gen(function*() {
      expect(
        (yield* answered(reply({ content: content(call({ x: 1 })), finishReason: "MAX_TOKENS" }))).finishReason
      ).toBe("length")
      const empty = yield* answered(reply({ content: { role: "model" }, finishReason: "MAX_TOKENS" }))
      expect([empty.finishReason, empty.parts]).toEqual(["length", []])
    }))

  describe("that are errors although the status is 200", () => {
    it.effect("a blocked prompt", () =>
      Effect.gen(function*() {
        const error = yield* failed(reply(undefined, { promptFeedback: { blockReason: "SAFETY" } }))
        expect(error).toMatchObject({ _tag: "ContentFiltered", stage: "prompt", categories: ["SAFETY"] })
      }))

    it.effect("a reply that was withheld as a whole, with the filter that fired", () =>
      Effect.gen(function*() {
        const error = yield* failed(reply({
          finishReason: "SAFETY",
          safetyRatings: [
            { category: "HARM_CATEGORY_HATE_SPEECH", probability: "HIGH", blocked: true },
            { category: "HARM_CATEGORY_HARASSMENT", probability: "LOW" }
          ]
        }))
        expect(error).toMatchObject({
          _tag: "ContentFiltered",
          stage: "completion",
          billed: "yes",
          detail: "finishReason: SAFETY",
          categories: ["HARM_CATEGORY_HATE_SPEECH"]
        })
      }))

    it.effect("a call that the model wrote badly", () =>
      Effect.gen(function*() {
        const error = yield* failed(reply({
          finishReason: "MALFORMED_FUNCTION_CALL",
          finishMessage: "Malformed function call: print(default_api.f(x=1"
        }))
        expect(error).toMatchObject({ _tag: "InvalidToolCall", billed: "yes" })
        expect(error.message).toContain("default_api.f")
      }))

    it.effect("an error envelope, also in a list", () =>
      Effect.gen(function*() {
        const envelope = { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } }
        expect(yield* failed(envelope)).toMatchObject({ _tag: "Overloaded", billed: "maybe" })
        expect(yield* failed([envelope])).toMatchObject({ _tag: "Overloaded" })
      }))

    it.effect("bodies that break the protocol", () =>
      Effect.gen(function*() {
        const broken: ReadonlyArray<readonly [unknown, RegExp]> = [
          ["", /empty/],
          ["<html><body>Sign in</body></html>", /HTML page/],
          ["null", /not an object/],
          ["{}", /no candidates/],
          [{ candidates: [] }, /candidates is empty/],
          [{ candidates: {} }, /candidates is not a list/],
          [{ candidates: ["x"] }, /candidates\.0 is not an object/],
          [reply({ content: [] }), /candidates\.0\.content is not an object/],
          [reply({ content: { parts: {} } }), /parts is not a list/],
          [reply({ content: { parts: ["x"] } }), /parts\.0 is not an object/],
          [reply({ content: { parts: [{ text: 1 }] } }), /parts\.0\.text is not a text/],
          [reply({ content: { parts: [{ functionCall: "f" }] } }), /functionCall is not an object/],
          [reply({ content: { parts: [{ functionCall: { args: {} } }] } }), /functionCall\.name is not a text/],
          [reply({ finishReason: "MALFORMED_RESPONSE" }), /MALFORMED_RESPONSE/]
        ]
        for (const [body, reason] of broken) {
          const error = yield* failed(body)
          expect(error._tag, String(reason)).toBe("MalformedResponse")
          expect(error.message).toMatch(reason)
        }
      }))

    it.effect("a body that was cut", () =>
      Effect.gen(function*() {
        const text = JSON.stringify(answer({ text: "Hello" }))
        expect(yield* failed(text.slice(0, 40))).toMatchObject({ _tag: "Truncated", received: text.slice(0, 40) })
      }))
  })

  it.effect("with other statuses are what the API says", () =>
    Effect.gen(function*() {
      const error = yield* failed({
        error: {
          code: 429,
          message: "Quota exceeded",
          status: "RESOURCE_EXHAUSTED",
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.QuotaFailure",
              violations: [{ quotaId: "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", quotaValue: "10" }]
            },
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34.4s" }
          ]
        }
      }, { status: 429 })
      expect(error).toMatchObject({ _tag: "RateLimited", provider: "google", model: "gemini-2.5-flash", status: 429 })
      expect(error.message).toContain("34s 400ms")
    }))

  it.effect("without counts cost nothing that is known, and senseless counts are ignored", () =>
    Effect.gen(function*() {
      const usage = (usageMetadata: unknown) =>
        Effect.map(
          answered({ candidates: [{ content: content({ text: "x" }), finishReason: "STOP" }], usageMetadata }),
          (response) => ({ ...response.usage })
        )
      expect(yield* usage(undefined)).toEqual({ inputTokens: 0, outputTokens: 0, totalTokens: 0 })
      expect(yield* usage({ promptTokenCount: -1, candidatesTokenCount: "7", totalTokenCount: 1e300 }))
        .toEqual({ inputTokens: 0, outputTokens: 0, totalTokens: Number.MAX_SAFE_INTEGER })
      expect(
        yield* usage({
          promptTokenCount: 100,
          toolUsePromptTokenCount: 20,
          cachedContentTokenCount: 80,
          candidatesTokenCount: 5
        })
      ).toEqual({ inputTokens: 120, outputTokens: 5, totalTokens: 125, cachedInputTokens: 80 })
    }))
})
