/** Whatever bytes come, a stream of any protocol ends with its `Finish` or with a failure: never as half a success. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import type * as ModelError from "../../src/error/ModelError.ts"
import type * as StreamPart from "../../src/model/StreamPart.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { anyJson } from "../anyJson.ts"
import { runs } from "../runs.ts"

type Decode = (
  bytes: Stream.Stream<Uint8Array>
) => Stream.Stream<StreamPart.StreamPart, ModelError.ModelError>

const protocols: ReadonlyArray<readonly [name: string, decode: Decode, fields: ReadonlyArray<string>]> = [
  ["OpenAiChat", OpenAiChat.decodeStream(), [
    "choices",
    "delta",
    "message",
    "content",
    "tool_calls",
    "function",
    "finish_reason"
  ]],
  ["OpenAiResponses", OpenAiResponses.decodeStream(), [
    "type",
    "response",
    "output",
    "item",
    "delta",
    "output_index",
    "arguments"
  ]],
  ["Anthropic", Anthropic.decodeStream(), ["type", "message", "content_block", "delta", "index", "usage", "input"]],
  ["Gemini", Gemini.decodeStream(), ["candidates", "content", "parts", "functionCall", "partialArgs", "finishReason"]]
]

const shared = ["error", "code", "status", "details", "metadata", "violations", "quotaValue", "toString", "join", "id"]

const utf8 = new TextEncoder()

const lastOf = (decode: Decode, text: string) =>
  decode(Stream.make(utf8.encode(text))).pipe(Stream.runLast, Effect.either, Effect.runPromise)

const holds = async (decode: Decode, text: string): Promise<void> => {
  const last = await lastOf(decode, text)
  if (Either.isRight(last)) expect(last.right).toMatchObject({ _tag: "Some", value: { _tag: "Finish" } })
}

describe("a stream ends with its Finish or with a failure", () => {
  it.each(protocols)("law: of %s, for events of any shape", (_, decode, fields) => {
    const json = anyJson(
      [null, true, 0, -1, 1e300, "", "x", "stop", "{}", "response.completed", "message_stop"],
      [...fields, ...shared]
    )
    return FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.array(json, { maxLength: 4 }),
        (events) => holds(decode, events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""))
      ),
      { numRuns: runs(100, 1_000) }
    )
  })

  it.each(protocols)("of %s, for values that cannot be made text, and for deep ones", async (_, decode) => {
    const violations = [{ quotaValue: { toString: 1 } }]
    await holds(
      decode,
      `data: ${JSON.stringify({ error: { details: [{ "@type": "t", violations }], loc: [{ toString: 1 }] } })}\n\n`
    )
    const deep = `${"{\"error\":".repeat(5_000)}1${"}".repeat(5_000)}`
    await holds(decode, `data: ${deep}\n\n`)
    await holds(
      decode,
      `data: {"choices":[{"delta":{"content":${"[".repeat(5_000)}${"]".repeat(5_000)}}}]}\n\ndata: [DONE]\n\n`
    )
  })
})

/** `Stream.runFold` of effect 3.22 calls itself for each element of a chunk. */
describe("a stream can be folded by Effect's own sinks", () => {
  const count = 20_000

  it.each([
    [
      "tool calls of a chat completion",
      OpenAiChat.decodeStream({ maxToolCalls: count }),
      `${
        Array.from(
          { length: count },
          (_, index) =>
            `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":${index},"function":{"name":"f"}}]}}]}\n\n`
        ).join("")
      }data: [DONE]\n\n`
    ],
    [
      "parts in one event of Gemini",
      Gemini.decodeStream(),
      `data: {"candidates":[{"content":{"parts":[${
        Array.from({ length: count }, () => "{\"text\":\"a\"}").join(",")
      }]},"finishReason":"STOP"}]}\n\n`
    ]
  ])("however many parts come at once: %s", async (_, decode, text) => {
    const folded = decode(Stream.make(utf8.encode(text))).pipe(
      Stream.runFold({ parts: 0, last: "" }, ({ parts }, part) => ({ parts: parts + 1, last: part._tag })),
      Effect.runPromise
    )
    await expect(folded).resolves.toMatchObject({ last: "Finish" })
    expect((await folded).parts).toBeGreaterThan(count)
  })
})
