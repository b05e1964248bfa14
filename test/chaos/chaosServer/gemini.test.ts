import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import { gemini } from "../../../src/chaos/chaosServer/gemini/protocol.ts"
import type { Completion, Failure, Framing, ModelRequest, Reply } from "../../../src/chaos/chaosServer/protocol.ts"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import * as Gemini from "../../../src/provider/Gemini.ts"
import * as ProviderError from "../../../src/provider/ProviderError.ts"
import { ask } from "../../provider/fakeGemini.ts"
import { runs } from "../../runs.ts"

const said: Completion = {
  id: "a1b2",
  model: "gemini-2.5-flash",
  created: 1_700_000_000,
  text: undefined,
  toolCalls: [],
  finishReason: "stop",
  promptTokens: 12,
  completionTokens: 30
}
const call = (name: string, args: string, id = "c0") => ({ id, name, arguments: args })
const toCall = (...toolCalls: Completion["toolCalls"]): Completion => ({
  ...said,
  toolCalls,
  finishReason: "tool-calls"
})
const exact = "{\"n\":12345678901234567890, \"a\":1.0,\"a\":2 }"

const request = (framing: Framing = "events"): ModelRequest => ({
  model: said.model,
  messages: [],
  tools: [],
  toolChoice: "none",
  parallel: true,
  maxTokens: undefined,
  stream: true,
  includeUsage: true,
  output: undefined,
  framing
})

const cuts = {
  whole: (text: string) => [text],
  lines: (text: string) => text.split(/(?<=\n)/),
  bytes: (text: string) => [text]
} as const
type Cut = keyof typeof cuts

const bytesOf = (text: string, cut: Cut) => {
  const encoder = new TextEncoder()
  const chunks = cut === "bytes"
    ? [...encoder.encode(text)].map((byte) => new Uint8Array([byte]))
    : cuts[cut](text).map((piece) => encoder.encode(piece))
  return Stream.fromIterable(chunks)
}

const framesOf = (completion: Completion, framing?: Framing) => gemini.stream(completion, request(framing)).frames
const wire = (completion: Completion) => framesOf(completion).map(({ text }) => text).join("")
const collect = (text: string, cut: Cut = "whole") =>
  StreamPart.collect(Gemini.decodeStream({ model: said.model })(bytesOf(text, cut)))

const served = (reply: Reply) =>
  Effect.flatMap(
    ask(() => new globalThis.Response(reply.body, { status: reply.status, headers: { ...reply.headers } })),
    ({ result }) => result
  )

describe("the address of Gemini", () => {
  const routes: ReadonlyArray<readonly [string, string, unknown]> = [
    ["POST", "/v1beta/models/gemini-2.5-flash:generateContent", { model: "gemini-2.5-flash", stream: false }],
    ["POST", "/v1/models/a%20b:generateContent", { model: "a b", stream: false }],
    ["POST", "/v1beta/tunedModels/mine:generateContent", { model: "tunedModels/mine" }],
    ["POST", "/v1beta/models/m:streamGenerateContent", { model: "m", stream: true, framing: "array" }],
    ["POST", "/v1beta/models/m:streamGenerateContent?alt=sse", { model: "m", stream: true, framing: "events" }],
    ["POST", "/v1beta/models/%E0%A4%A:generateContent", { model: "%E0%A4%A" }]
  ]
  for (const [method, url, expected] of routes) {
    it(`${url} names model and way`, () => {
      const [at = "", query] = url.split("?")
      expect(gemini.route(method, at, new URLSearchParams(query))).toMatchObject(Object(expected))
    })
  }

  it("is nobody else's", () => {
    const none = new URLSearchParams()
    expect(gemini.route("GET", "/v1beta/models/m:generateContent", none)).toBeUndefined()
    expect(gemini.route("POST", "/v1beta/models/m:countTokens", none)).toBeUndefined()
    expect(gemini.route("POST", "/v1/chat/completions", none)).toBeUndefined()
    expect(gemini.route("POST", "/v1beta/models/:generateContent", none)).toBeUndefined()
  })

  it("takes the key from its header or from the query, and from nowhere else", () => {
    expect(gemini.key({ "x-goog-api-key": "k" }, new URLSearchParams("key=q"))).toBe("k")
    expect(gemini.key({}, new URLSearchParams("key=q"))).toBe("q")
    expect(gemini.key({ authorization: "Bearer k" }, new URLSearchParams())).toBeUndefined()
  })
})

const replies: ReadonlyArray<readonly [string, Completion, object]> = [
  [
    "text",
    { ...said, text: "Grüße, \"World\" — data: [DONE]\n\nand more than one piece of it 🙂 to be sent" },
    { finishReason: "stop", rawFinishReason: "STOP", toolCalls: [] }
  ],
  ["text cut by the limit", { ...said, text: "Half of", finishReason: "length" }, {
    text: "Half of",
    finishReason: "length"
  }],
  [
    "one call, its arguments to the letter",
    toCall(call("get_weather", exact)),
    { finishReason: "tool-calls", toolCalls: [{ id: "function-call-c0", name: "get_weather", arguments: exact }] }
  ],
  [
    "parallel calls",
    toCall(call("a", "{\"arguments\":\"arguments0\"}", "c0"), call("b", "{\n\"x\":\r\n\"$&\"}", "c1")),
    {
      finishReason: "tool-calls",
      toolCalls: [
        { id: "function-call-c0", name: "a", arguments: "{\"arguments\":\"arguments0\"}" },
        { id: "function-call-c1", name: "b", arguments: "{ \"x\":  \"$&\"}" }
      ]
    }
  ],
  [
    "calls up to the one that the limit cut",
    { ...toCall(call("a", "{\"x\":1}"), call("b", "{\"y\":", "c1")), finishReason: "length" },
    { finishReason: "length", rawFinishReason: "MAX_TOKENS", toolCalls: [{ name: "a", arguments: "{\"x\":1}" }] }
  ],
  ["nothing but the limit", { ...toCall(call("a", "{\"x")), finishReason: "length" }, {
    finishReason: "length",
    parts: []
  }]
]

describe("what Gemini says, read by our provider", () => {
  for (const [what, completion, expected] of replies) {
    it.effect(`${what}, in one reply`, () =>
      Effect.gen(function*() {
        const response = yield* served(gemini.reply(completion, request()))
        expect(response).toMatchObject({ ...expected, id: "a1b2", model: "gemini-2.5-flash" })
        expect(response.usage).toMatchObject({ inputTokens: 12, outputTokens: 30, totalTokens: 42 })
        expect(response.text).toBe(completion.text ?? "")
      }))
    for (const cut of ["whole", "lines", "bytes"] as const) {
      it.effect(`${what}, in a stream read by ${cut}`, () =>
        Effect.gen(function*() {
          const response = yield* collect(wire(completion), cut)
          expect(response).toMatchObject({ ...expected, id: "a1b2", model: "gemini-2.5-flash" })
          expect(response.usage).toMatchObject({ inputTokens: 12, outputTokens: 30, totalTokens: 42 })
          expect(response.text).toBe(completion.text ?? "")
        }))
    }
  }

  for (const args of ["", "{\"city\":", "[1]", "\"Oslo\"", "{'city': 'Oslo'}", "null", "{} {}"]) {
    it.effect(`arguments like ${JSON.stringify(args)} are a malformed call without any content`, () =>
      Effect.gen(function*() {
        const completion = toCall(call("a", "{}"), call("get_weather", args, "c1"))
        const reply = yield* Effect.flip(served(gemini.reply(completion, request())))
        expect(reply).toMatchObject({
          _tag: "InvalidToolCall",
          detail: expect.stringContaining("Malformed function call: call:get_weather")
        })
        const streamed = yield* Effect.flip(collect(wire(completion)))
        expect(streamed._tag).toBe("InvalidToolCall")
        expect(framesOf(completion).map(({ kind }) => kind)).toStrictEqual(["finish"])
      }))
  }

  it.effect("without candidates is a malformed response", () =>
    Effect.gen(function*() {
      expect((yield* Effect.flip(served(gemini.empty(said, request()))))._tag).toBe("MalformedResponse")
    }))

  it.effect("the third generation signs the first of its calls", () =>
    Effect.sync(() => {
      const body =
        gemini.reply({ ...toCall(call("a", "{}"), call("b", "{}", "c1")), model: "gemini-3-pro" }, request()).body
      expect(body.match(/thoughtSignature/g)).toHaveLength(1)
    }))

  it.effect("counts up through a stream", () =>
    Effect.sync(() => {
      const frames = framesOf({ ...said, text: "word ".repeat(40) })
      const counts = frames.map(({ text }) => Number(/"candidatesTokenCount":(\d+)/.exec(text)?.[1]))
      expect(counts).toStrictEqual([...counts].sort((left, right) => left - right))
      expect(counts.at(-1)).toBe(30)
      expect(frames.every(({ text }) => text.startsWith("data: {") && text.endsWith("}\r\n\r\n"))).toBe(true)
    }))

  it.effect("ends the array where an error ends the stream, and breaks it where a chunk is broken", () =>
    Effect.sync(() => {
      const whole = { ...said, text: "some words that are longer than one piece" }
      const begun = framesOf(whole, "array").slice(0, 2).map(({ text }) => text).join("")
      const parsed = (text: string): unknown => JSON.parse(text)
      for (const kind of ["overloaded", "server", "rate-limit"] as const) {
        const error = { error: expect.objectContaining({ code: expect.any(Number) }) }
        expect(parsed(gemini.errorFrame(kind, said, request("array"), "first"))).toEqual([error])
        expect(parsed(begun + gemini.errorFrame(kind, said, request("array"), "late"))).toEqual([
          expect.objectContaining({ responseId: said.id }),
          error
        ])
      }
      expect(() => parsed(`${begun}${gemini.brokenFrame(said, request("array"))}]`)).toThrow(SyntaxError)
    }))

  it.effect("is a JSON array where events were not asked for", () =>
    Effect.gen(function*() {
      for (const [, completion] of replies) {
        const { frames, headers } = gemini.stream(completion, request("array"))
        expect(headers["content-type"]).toMatch(/application\/json/)
        const list: unknown = JSON.parse(frames.map(({ text }) => text).join(""))
        const events = Array.isArray(list) ? list.map((each) => `data: ${JSON.stringify(each)}\n\n`).join("") : ""
        const parsed = yield* collect(events)
        expect(parsed.finishReason).toBe((yield* collect(wire(completion))).finishReason)
      }
    }))

  it.effect("a stream that lacks its finish is Truncated, wherever it ends", () =>
    Effect.gen(function*() {
      const frames = framesOf({ ...said, text: "some words that are longer than one piece" })
      expect(frames.length).toBeGreaterThan(2)
      for (let length = 0; length < frames.length; length++) {
        const error = yield* Effect.flip(collect(frames.slice(0, length).map(({ text }) => text).join("")))
        expect(error._tag).toBe("Truncated")
      }
    }))

  const errors = [["overloaded", "Overloaded"], ["server", "ServerError"], ["rate-limit", "RateLimited"]] as const
  for (const [kind, tag] of errors) {
    for (const place of [0, 2]) {
      it.effect(`an error in the stream (${kind}) after ${place} frames is ${tag}`, () =>
        Effect.gen(function*() {
          const frames = framesOf({ ...said, text: "some words that are longer than one piece" }).map(({ text }) =>
            text
          )
          const text = [
            ...frames.slice(0, place),
            gemini.errorFrame(kind, said, request(), "late"),
            ...frames.slice(place)
          ].join("")
          for (const cut of ["whole", "lines", "bytes"] as const) {
            expect((yield* Effect.flip(collect(text, cut)))._tag).toBe(tag)
          }
        }))
    }
  }

  it.effect("a broken chunk is a malformed response", () =>
    Effect.gen(function*() {
      expect((yield* Effect.flip(collect(gemini.brokenFrame(said, request()) + wire(said))))._tag).toBe(
        "MalformedResponse"
      )
    }))

  it.effect("comes whole whatever it is", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.string({ unit: "grapheme", maxLength: 80 }),
          FastCheck.array(
            FastCheck.tuple(FastCheck.string(), FastCheck.dictionary(FastCheck.string(), FastCheck.json())),
            {
              maxLength: 3
            }
          ),
          FastCheck.constantFrom<Cut>("whole", "lines", "bytes"),
          async (text, calls, cut) => {
            const completion: Completion = {
              ...said,
              text,
              toolCalls: calls.map(([name, args], index) => call(name || "f", JSON.stringify(args), `c${index}`)),
              finishReason: calls.length > 0 ? "tool-calls" : "stop"
            }
            const streamed = await Effect.runPromise(collect(wire(completion), cut))
            const replied = await Effect.runPromise(served(gemini.reply(completion, request())))
            for (const response of [streamed, replied]) {
              expect(response.text).toBe(text)
              expect(response.toolCalls.map(({ arguments: args }) => args))
                .toStrictEqual(completion.toolCalls.map(({ arguments: args }) => args))
            }
          }
        ),
        { numRuns: runs(50, 200) }
      )
    ))
})

const now = 1_700_000_000_000
const limited = (hint: Extract<Failure, { _tag: "RateLimited" }>["hint"]): Failure => ({
  _tag: "RateLimited",
  model: "m",
  hint,
  wait: 1500,
  now
})
const failures: ReadonlyArray<readonly [string, Failure, string, number | undefined]> = [
  ["no key", { _tag: "MissingKey" }, "PermissionDenied", undefined],
  ["a wrong key", { _tag: "WrongKey", shown: "***" }, "Authentication", undefined],
  ["an unknown model", { _tag: "UnknownModel", model: "nope" }, "ModelNotFound", undefined],
  [
    "an unknown address",
    { _tag: "UnknownUrl", method: "POST", url: "/v9/<b>?key=secret" },
    "InvalidRequest",
    undefined
  ],
  ["a tool beyond us", { _tag: "UnknownSchema", tool: "t" }, "InvalidRequest", undefined],
  ["429 with whole seconds", limited("retry-after"), "RateLimited", 2000],
  ["429 with milliseconds", limited("retry-after-ms"), "RateLimited", 1500],
  ["429 with a date", limited("http-date"), "RateLimited", 1500],
  ["429 with a reset", limited("x-ratelimit-reset"), "RateLimited", 1500],
  ["429 in prose", limited("prose"), "RateLimited", 1500],
  ["429 without a hint", limited("none"), "RateLimited", undefined],
  ["a used-up day", { _tag: "Quota", model: "m" }, "QuotaExhausted", undefined],
  ["500", { _tag: "ServerError", status: 500, id: "x" }, "ServerError", undefined],
  ["502", { _tag: "ServerError", status: 502, id: "x" }, "ServerError", undefined],
  ["503", { _tag: "ServerError", status: 503, id: "x" }, "Overloaded", undefined],
  ["529", { _tag: "ServerError", status: 529, id: "x" }, "Overloaded", undefined],
  [
    "the requests of a minute",
    {
      _tag: "Limited",
      model: "m",
      refusal: { scope: "requests", limit: 15, used: 15, requested: 1, wait: 4000 }
    },
    "RateLimited",
    4000
  ],
  [
    "the tokens of a minute",
    { _tag: "Limited", model: "m", refusal: { scope: "tokens", limit: 900, used: 800, requested: 200, wait: 250 } },
    "RateLimited",
    250
  ],
  [
    "more tokens than there are",
    { _tag: "Limited", model: "m", refusal: { scope: "tokens", limit: 900, used: 0, requested: 901, wait: undefined } },
    "ContextLengthExceeded",
    undefined
  ],
  [
    "no requests at all",
    { _tag: "Limited", model: "m", refusal: { scope: "requests", limit: 0.5, used: 0, requested: 1, wait: undefined } },
    "QuotaExhausted",
    undefined
  ]
]

describe("how Gemini fails, classified by our provider", () => {
  for (const [what, failure, tag, wait] of failures) {
    it(`${what} is ${tag}${wait === undefined ? "" : ` for ${wait} ms`}`, () => {
      const { body, headers, status } = gemini.failure(failure)
      const error = ProviderError.fromResponse({ provider: "google", status, headers, body, now })
      expect(error._tag).toBe(tag)
      const told = "retryAfter" in error ? error.retryAfter : undefined
      expect(told === undefined ? undefined : Duration.toMillis(told)).toBe(wait)
    })
  }

  it("tells of a used-up day although a wait of seconds stands beside it", () => {
    const { body, headers, status } = gemini.failure({ _tag: "Quota", model: "m" })
    expect(ProviderError.fromResponse({ provider: "google", status, headers, body })).toMatchObject({ reason: "daily" })
    expect(body).toContain("retryDelay")
  })

  it("shows neither key nor markup of an unknown address", () => {
    const { body } = gemini.failure({ _tag: "UnknownUrl", method: "POST", url: "/v9/<b>?key=secret" })
    expect(body).toContain("/v9/&lt;b&gt;")
    expect(body).not.toContain("secret")
  })

  it("the waits told are never shorter than the true one", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.double({ min: 0.1, max: 3_600_000, noNaN: true }),
        FastCheck.constantFrom(
          "retry-after" as const,
          "retry-after-ms" as const,
          "http-date" as const,
          "x-ratelimit-reset" as const,
          "prose" as const
        ),
        (wait, hint) => {
          const { body, headers, status } = gemini.failure({ _tag: "RateLimited", model: "m", hint, wait, now })
          const error = ProviderError.fromResponse({ provider: "google", status, headers, body, now })
          const told = error._tag === "RateLimited" && error.retryAfter !== undefined
            ? Duration.toMillis(error.retryAfter)
            : 0
          expect(told).toBeGreaterThanOrEqual(wait)
          expect(told).toBeLessThan(wait + 1001)
        }
      ),
      { numRuns: 300 }
    )
  })
})

describe("a stream of frames", () => {
  it.effect("yields its text piece by piece", () =>
    Effect.gen(function*() {
      const parts = yield* Stream.runCollect(
        Gemini.decodeStream()(bytesOf(wire({ ...said, text: "one two three four five six seven eight" }), "whole"))
      )
      expect(Chunk.toReadonlyArray(parts).filter(({ _tag }) => _tag === "TextDelta").length).toBeGreaterThan(1)
    }))
})
