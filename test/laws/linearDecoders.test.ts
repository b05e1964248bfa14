/** Whatever grows in a stream (events, blocks, calls, pieces), reading it costs no more than in proportion. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as ModelError from "../../src/error/ModelError.ts"
import type * as StreamPart from "../../src/model/StreamPart.ts"
import * as anthropicStream from "../../src/provider/anthropic/stream.ts"
import * as geminiStream from "../../src/provider/gemini/stream.ts"
import * as openAiChat from "../../src/provider/openAiChat/stream.ts"
import * as openAiResponses from "../../src/provider/openAiResponses/stream.ts"
import * as decode from "../../src/provider/shared/decode.ts"
import { growth, steepest } from "../straightLine.ts"

type Decode = (bytes: Stream.Stream<Uint8Array>) => Stream.Stream<StreamPart.StreamPart, ModelError.ModelError>

/** Enough calls for the largest input. */
const maxToolCalls = 100_000

const facts = { provider: "p", model: "m" }
const chat = decode.bytes(openAiChat.decoder(facts), { maxToolCalls })
const responses = decode.bytes(openAiResponses.decoder(facts, "one"), { maxToolCalls })
const anthropic = decode.bytes(anthropicStream.decoder(facts, "nothing"), { maxToolCalls })
const gemini = decode.bytes(geminiStream.decoder(facts), { maxToolCalls })

const inChat = (delta: unknown) => ({ choices: [{ index: 0, delta }] })
const inBlock = (index: number, delta: unknown) => ({ type: "content_block_delta", index, delta })
const start = (index: number, content_block: unknown) => ({ type: "content_block_start", index, content_block })
const inGemini = (...parts: ReadonlyArray<unknown>) => ({ candidates: [{ content: { parts } }] })

type Case = readonly [name: string, decode: Decode, first: unknown, event: (index: number) => unknown]

const cases: ReadonlyArray<Case> = [
  ["OpenAiChat, texts", chat, {}, () => inChat({ content: "word " })],
  [
    "OpenAiChat, pieces of one call",
    chat,
    {},
    (index) =>
      inChat({
        tool_calls: [{ index: 0, id: index === 0 ? "a" : undefined, function: { name: "f", arguments: "1," } }]
      })
  ],
  [
    "OpenAiResponses, texts",
    responses,
    {},
    () => ({ type: "response.output_text.delta", output_index: 0, delta: "word " })
  ],
  ["OpenAiResponses, texts in many places", responses, {}, (index) => ({
    type: "response.output_text.delta",
    output_index: index,
    delta: "word "
  })],
  ["OpenAiResponses, items", responses, {}, (index) => ({
    type: "response.output_item.added",
    output_index: index,
    item: { type: "message", id: `m${index}` }
  })],
  ["OpenAiResponses, reasoning", responses, {}, (index) => ({
    type: "response.output_item.done",
    output_index: index,
    item: { type: "reasoning", id: `r${index}`, summary: [], encrypted_content: "x" }
  })],
  ["OpenAiResponses, calls", responses, {}, (index) => ({
    type: "response.output_item.added",
    output_index: index,
    item: { type: "function_call", id: `m${index}`, call_id: `c${index}`, name: "f" }
  })],
  ["OpenAiResponses, pieces of one call", responses, {}, () => ({
    type: "response.function_call_arguments.delta",
    output_index: 0,
    delta: "1,"
  })],
  ["Anthropic, blocks that never end", anthropic, {}, (index) => start(index, { type: "text", text: "a" })],
  [
    "Anthropic, calls",
    anthropic,
    {},
    (index) => start(index, { type: "tool_use", id: `c${index}`, name: "f", input: {} })
  ],
  [
    "Anthropic, texts",
    anthropic,
    start(0, { type: "text", text: "" }),
    () => inBlock(0, { type: "text_delta", text: "a " })
  ],
  [
    "Anthropic, citations",
    anthropic,
    start(0, { type: "text", text: "" }),
    () => inBlock(0, { type: "citations_delta", citation: { a: 1 } })
  ],
  [
    "Anthropic, pieces of a server's own block",
    anthropic,
    start(0, { type: "compaction", content: "" }),
    () => inBlock(0, { type: "compaction_delta", content: "word word word word word " })
  ],
  ["Gemini, texts", gemini, {}, () => inGemini({ text: "word " })],
  ["Gemini, calls", gemini, {}, (index) => inGemini({ functionCall: { id: `c${index}`, name: "f", args: {} } })],
  ["Gemini, calls without ids", gemini, {}, () => inGemini({ functionCall: { name: "f", args: {} } })],
  [
    "Gemini, pieces of one call",
    gemini,
    inGemini({ functionCall: { name: "f", willContinue: true } }),
    (index) =>
      inGemini({
        functionCall: { partialArgs: [{ jsonPath: `$.a[${index}]`, numberValue: 1 }], willContinue: true }
      })
  ]
]

const utf8 = new TextEncoder()

const reading = (decoder: Decode, text: string) => {
  const bytes = Stream.make(utf8.encode(text))
  return () => {
    Effect.runSync(Effect.either(Stream.runDrain(decoder(bytes))))
  }
}

const events = (first: unknown, event: (index: number) => unknown, size: number): string =>
  [first, ...Array.from({ length: size }, (_, index) => event(index))]
    .map((each) => `data: ${JSON.stringify(each)}\n\n`).join("")

/** Small enough that a quadratic step takes moments, large enough that it shows. */
const size = 500

describe("a stream is read in time in proportion to it", () => {
  it.each(cases)("%s", { timeout: 30_000 }, (_, decoder, first, event) => {
    expect(growth((many) => reading(decoder, events(first, event, many)), size)).toBeLessThan(steepest)
  })

  it("documents behind each other in one event", { timeout: 30_000 }, () => {
    expect(growth((many) => reading(chat, `data: ${"{}".repeat(many)}\n\n`), 2_000)).toBeLessThan(steepest)
  })
})
