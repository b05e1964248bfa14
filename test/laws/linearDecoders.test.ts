/** Whatever grows in a stream (events, blocks, calls, pieces, keys, one field), reading it costs no more than in proportion. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as ModelError from "../../src/error/ModelError.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import type * as StreamPart from "../../src/model/StreamPart.ts"
import * as anthropicStream from "../../src/provider/anthropic/stream.ts"
import * as geminiStream from "../../src/provider/gemini/stream.ts"
import * as openAiChat from "../../src/provider/openAiChat/stream.ts"
import * as openAiResponses from "../../src/provider/openAiResponses/stream.ts"
import * as decode from "../../src/provider/shared/decode.ts"
import * as portableHistory from "../../src/provider/shared/portableHistory.ts"
import { collidingTexts } from "../collidingTexts.ts"
import { growth, steepest } from "../straightLine.ts"

type Decode = (bytes: Stream.Stream<Uint8Array>) => Stream.Stream<StreamPart.StreamPart, ModelError.ModelError>

/** Enough for the largest input. */
const limits = { maxToolCalls: 100_000, maxEventBytes: 100_000_000, maxBodyBytes: 100_000_000 }

const facts = { provider: "p", model: "m" }
const chat = decode.bytes(openAiChat.decoder(facts), limits)
const chatOfOne = decode.bytes(openAiChat.decoder(facts, { choices: "one", tools: new Set(["f"]) }), limits)
const responses = decode.bytes(openAiResponses.decoder(facts, "one"), limits)
const anthropic = decode.bytes(anthropicStream.decoder(facts, "nothing"), limits)
const gemini = decode.bytes(geminiStream.decoder(facts), limits)

type Events = (size: number) => ReadonlyArray<unknown>

const many = <A>(size: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: size }, (_, index) => make(index))

/** So many events behind a first one. */
const behind = (first: unknown, event: (index: number, size: number) => unknown): Events => (size) => [
  first,
  ...many(size, (index) => event(index, size))
]

const each = (event: (index: number, size: number) => unknown): Events => behind({}, event)

/** One event that grows. */
const one = (event: (size: number) => unknown): Events => (size) => [event(size)]

/** One field that grows; a character is cheaper than an event. */
const long = (event: (text: string) => unknown): Events => one((size) => event("word ".repeat(size * 20)))

/** Ids that are in the way of those that are made up: half of the calls have them, and half have none. */
const inTheWay = (index: number, size: number): string | undefined =>
  index < size / 2 ? `call_${index + size / 2}` : undefined

/** More than the largest input asks for. */
const colliding = collidingTexts(16_384)

/** Ids by what may be hard about them. */
const ids: ReadonlyArray<readonly [name: string, id: (index: number, size: number) => string | undefined]> = [
  ["all different", (index) => `c${index}`],
  ["all alike", () => "same"],
  ["none", () => undefined],
  ["in the way", inTheWay],
  ["long and alike at their start", (index) => `${"x".repeat(60)}${index}`],
  ["of one hash in Effect's tables", (index) => colliding[index]]
]

const keys = (size: number): { readonly [name: string]: number } =>
  Object.fromEntries(many(size, (index) => [`k${index}`, index]))

const nested = (depth: number): unknown => JSON.parse("[".repeat(depth) + "]".repeat(depth))

type Case = readonly [name: string, decode: Decode, events: Events]

// Chat -----------------------------------------------------------------------------------------------------------------

const inChat = (delta: unknown) => ({ choices: [{ index: 0, delta }] })

const chatCalls = (...calls: ReadonlyArray<unknown>) => inChat({ tool_calls: calls })

const chatCall = (index: number | undefined, id: string | undefined, name?: string, json = "{}") => ({
  index,
  id,
  function: { name, arguments: json }
})

const ofChat: ReadonlyArray<Case> = [
  ["texts", chat, each(() => inChat({ content: "word " }))],
  ["texts of one reply", chatOfOne, each(() => inChat({ content: "word " }))],
  ["texts that may be whole ones", chat, each((index) => inChat({ content: "abc".repeat(1 + index % 8) }))],
  ["one long text", chat, long((content) => inChat({ content }))],
  ["one long thought", chat, long((reasoning_content) => inChat({ reasoning_content }))],
  ["parts of one text", chat, one((size) => inChat({ content: many(size, () => ({ type: "text", text: "a" })) }))],
  ["a whole message behind its deltas", chat, (size) => [
    ...many(size, () => inChat({ content: "word " })),
    { choices: [{ message: { content: "word ".repeat(size) } }] }
  ]],
  [
    "pieces of one call",
    chatOfOne,
    each((index) => chatCalls(chatCall(0, index === 0 ? "a" : undefined, index === 0 ? "f" : undefined, "1,")))
  ],
  ["pieces of one call with its name each time", chatOfOne, each(() => chatCalls(chatCall(0, "a", "f", "1,")))],
  ["one long piece of a call", chat, long((text) => chatCalls(chatCall(0, "a", "f", JSON.stringify(text))))],
  ["a name in pieces", chatOfOne, each(() => chatCalls(chatCall(0, "a", "g", "")))],
  [
    "deep arguments",
    chat,
    one((size) => chatCalls(chatCall(0, "a", "f", "[".repeat(size * 20) + "]".repeat(size * 20))))
  ],
  [
    "arguments that are no text",
    chat,
    each((index) => chatCalls({ index, id: `c${index}`, function: { name: "f", arguments: { a: index } } }))
  ],
  [
    "calls in one chunk, with arguments that are no text",
    chat,
    one((size) =>
      chatCalls(
        ...many(size, (index) => ({ index, id: `c${index}`, function: { name: "f", arguments: { a: index } } }))
      )
    )
  ],
  ["calls at sparse indexes", chat, each((index) => chatCalls(chatCall(index * 1_000_003, `c${index}`, "f")))],
  ["calls of one index", chat, each((index) => chatCalls(chatCall(0, `c${index}`, "f")))],
  [
    "pieces of calls in turns",
    chat,
    each((index, size) => chatCalls(chatCall(index % (size / 4), undefined, index < size / 4 ? "f" : undefined, "1,")))
  ],
  ["calls once more as a whole", chat, (size) => [
    ...many(size, (index) => chatCalls(chatCall(index, `c${index}`, "f", "{\"a\":1}"))),
    { choices: [{ message: { tool_calls: many(size, (index) => chatCall(index, `c${index}`, "f", "{\"a\":1}")) } }] }
  ]],
  [
    "choices in one chunk",
    chat,
    one((size) => ({
      choices: many(size, (index) => ({ index, delta: { content: "a" } }))
    }))
  ],
  ["choices, each in a chunk", chat, each((index) => ({ choices: [{ index, delta: { content: "a" } }] }))],
  ["keys of usage", chat, one((size) => ({ choices: [], usage: { ...keys(size), prompt_tokens: 1 } }))],
  ["usage in each chunk", chat, each(() => ({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } }))],
  [
    "filters",
    chat,
    one((size) => ({
      choices: [{
        delta: {},
        content_filter_results: Object.fromEntries(many(size, (index) => [`f${index}`, { filtered: true }]))
      }]
    }))
  ],
  ["nested content", chat, one((size) => inChat({ content: nested(Math.min(size, 2_000)) }))],
  ...ids.map(([name, id]): Case => [
    `calls whose ids are ${name}`,
    chat,
    each((index, size) => chatCalls(chatCall(index, id(index, size), "f")))
  ]),
  ...ids.map(([name, id]): Case => [
    `calls without an index, whose ids are ${name}`,
    chat,
    each((index, size) => chatCalls(chatCall(undefined, id(index, size), "f")))
  ])
]

// Responses ------------------------------------------------------------------------------------------------------------

const responsesCall = (output_index: number, call_id: string | undefined, more: object = {}) => ({
  type: "response.output_item.added",
  output_index,
  item: { type: "function_call", call_id, name: "f", ...more }
})

const textDelta = (output_index: number, delta: string) => ({ type: "response.output_text.delta", output_index, delta })

const ofResponses: ReadonlyArray<Case> = [
  ["texts", responses, each(() => textDelta(0, "word "))],
  ["texts in many places", responses, each((index) => textDelta(index, "word "))],
  ["texts at sparse places", responses, each((index) => textDelta(index * 1_000_003, "word "))],
  ["one long text", responses, long((text) => textDelta(0, text))],
  [
    "texts of items that have an id alone",
    responses,
    each((index) => ({
      type: "response.output_text.delta",
      item_id: `m${index}`,
      delta: "word "
    }))
  ],
  [
    "items",
    responses,
    each((index) => ({
      type: "response.output_item.added",
      output_index: index,
      item: { type: "message", id: `m${index}` }
    }))
  ],
  [
    "reasoning",
    responses,
    each((index) => ({
      type: "response.output_item.done",
      output_index: index,
      item: { type: "reasoning", id: `r${index}`, summary: [], encrypted_content: "x" }
    }))
  ],
  [
    "the server's own items",
    responses,
    each((index) => ({
      type: "response.output_item.done",
      output_index: index,
      item: { type: "web_search_call", id: `w${index}` }
    }))
  ],
  [
    "pieces of one call",
    responses,
    each(() => ({
      type: "response.function_call_arguments.delta",
      output_index: 0,
      delta: "1,"
    }))
  ],
  [
    "one long piece of a call",
    responses,
    long((delta) => ({
      type: "response.function_call_arguments.delta",
      output_index: 0,
      delta
    }))
  ],
  [
    "calls that end one by one",
    responses,
    each((index) => ({
      type: "response.output_item.done",
      output_index: index,
      item: { type: "function_call", call_id: `c${index}`, name: "f", arguments: { a: index } }
    }))
  ],
  ["the end of calls that have not ended", responses, (size) => [
    ...many(size, (index) => responsesCall(index, `c${index}`)),
    { type: "response.completed", response: { output: [], usage: {} } }
  ]],
  ["the end of calls that have an id alone", responses, (size) => [
    ...many(size, (index) => ({
      type: "response.output_item.added",
      item: { type: "function_call", id: `i${index}`, call_id: `c${index}`, name: "f" }
    })),
    {
      type: "response.completed",
      response: { output: many(size, (index) => ({ type: "function_call", id: `i${index}`, arguments: "{}" })) }
    }
  ]],
  [
    "a reply in one piece",
    responses,
    one((size) => ({
      type: "response.completed",
      response: {
        output: many(size, (index) => ({
          type: "function_call",
          call_id: `c${index}`,
          name: "f",
          arguments: { a: index }
        })),
        usage: keys(size)
      }
    }))
  ],
  [
    "parts of one message",
    responses,
    one((size) => ({
      type: "response.output_item.done",
      output_index: 0,
      item: { type: "message", content: many(size, () => ({ type: "output_text", text: "a" })) }
    }))
  ],
  ...ids.map(([name, id]): Case => [
    `calls whose ids are ${name}`,
    responses,
    each((index, size) => responsesCall(index, id(index, size)))
  ])
]

// Anthropic ------------------------------------------------------------------------------------------------------------

const inBlock = (index: number, delta: unknown) => ({ type: "content_block_delta", index, delta })
const start = (index: number, content_block: unknown) => ({ type: "content_block_start", index, content_block })
const text = start(0, { type: "text", text: "" })
const call = start(0, { type: "tool_use", id: "c", name: "f", input: {} })

const ofAnthropic: ReadonlyArray<Case> = [
  ["blocks that never end", anthropic, each((index) => start(index, { type: "text", text: "a" }))],
  ["blocks that never end, and their end", anthropic, (size) => [
    ...many(size, (index) => start(size - index, { type: "tool_use", id: `c${index}`, name: "f", input: {} })),
    { type: "message_stop" }
  ]],
  ["blocks at sparse indexes", anthropic, each((index) => start(index * 1_000_003, { type: "text", text: "a" }))],
  ["texts", anthropic, behind(text, () => inBlock(0, { type: "text_delta", text: "a " }))],
  ["one long text", anthropic, long((text) => inBlock(0, { type: "text_delta", text }))],
  ["one long thought", anthropic, long((thinking) => inBlock(0, { type: "thinking_delta", thinking }))],
  [
    "signatures",
    anthropic,
    behind(start(0, { type: "thinking", thinking: "" }), () => inBlock(0, { type: "signature_delta", signature: "s" }))
  ],
  ["citations", anthropic, behind(text, () => inBlock(0, { type: "citations_delta", citation: { a: 1 } }))],
  ["pieces of one call", anthropic, behind(call, () => inBlock(0, { type: "input_json_delta", partial_json: "1," }))],
  ["one long piece of a call", anthropic, (size) => [
    call,
    inBlock(0, { type: "input_json_delta", partial_json: "1,".repeat(size * 20) })
  ]],
  [
    "pieces of a server's own block",
    anthropic,
    behind(
      start(0, { type: "compaction", content: "" }),
      () => inBlock(0, { type: "compaction_delta", content: "word word word word word " })
    )
  ],
  ["pieces of a server's own block with many fields", anthropic, (size) => [
    start(0, { type: "compaction", ...keys(size) }),
    ...many(size, (index) => inBlock(0, { type: "compaction_delta", [`text${index}`]: "word " })),
    { type: "message_stop" }
  ]],
  [
    "pieces of a server's own input",
    anthropic,
    behind(
      start(0, { type: "server_tool_use", name: "f" }),
      () => inBlock(0, { type: "input_json_delta", partial_json: "1," })
    )
  ],
  [
    "a message in one piece",
    anthropic,
    one((size) => ({
      type: "message",
      content: many(size, (index) => ({ type: "tool_use", id: `c${index}`, name: "f", input: { a: index } })),
      stop_reason: "tool_use",
      usage: keys(size)
    }))
  ],
  ["messages that begin anew", anthropic, each((index) => ({ type: "message_start", message: { id: `m${index}` } }))],
  ...ids.map(([name, id]): Case => [
    `calls whose ids are ${name}`,
    anthropic,
    each((index, size) => start(index, { type: "tool_use", id: id(index, size), name: "f", input: {} }))
  ])
]

// Gemini ---------------------------------------------------------------------------------------------------------------

const inGemini = (...parts: ReadonlyArray<unknown>) => ({ candidates: [{ content: { parts } }] })
const begun = inGemini({ functionCall: { name: "f", willContinue: true } })
const pieces = (...partialArgs: ReadonlyArray<unknown>) =>
  inGemini({ functionCall: { partialArgs, willContinue: true } })

const ofGemini: ReadonlyArray<Case> = [
  ["texts", gemini, each(() => inGemini({ text: "word " }))],
  ["one long text", gemini, long((text) => inGemini({ text }))],
  ["parts in one chunk", gemini, one((size) => inGemini(...many(size, () => ({ text: "a" }))))],
  [
    "calls in one chunk",
    gemini,
    one((size) =>
      inGemini(...many(size, (index) => ({ functionCall: { id: `c${index}`, name: "f", args: { a: index } } })))
    )
  ],
  ["chunks in one list", gemini, one((size) => many(size, () => inGemini({ text: "a" })))],
  ["candidates", gemini, one((size) => ({ candidates: many(size, () => ({ content: { parts: [{ text: "a" }] } })) }))],
  ["keys of usage", gemini, one((size) => ({ ...inGemini({ text: "a" }), usageMetadata: keys(size) }))],
  ["pieces of one call", gemini, behind(begun, (index) => pieces({ jsonPath: `$.a[${index}]`, numberValue: 1 }))],
  ["pieces of one call in one chunk", gemini, (size) => [
    begun,
    pieces(...many(size, (index) => ({ jsonPath: `$.a${index}`, numberValue: 1 })))
  ]],
  [
    "pieces of one text",
    gemini,
    behind(begun, () => pieces({ jsonPath: "$.a", stringValue: "word ", willContinue: true }))
  ],
  [
    "pieces at sparse indexes",
    gemini,
    behind(begun, (index) => pieces({ jsonPath: `$.a[${index * 7}]`, numberValue: 1 }))
  ],
  [
    "pieces in other objects",
    gemini,
    behind(begun, (index) => pieces({ jsonPath: `$.a${index}.b.c.d`, stringValue: "x" }))
  ],
  ["one long path", gemini, (size) => [begun, pieces({ jsonPath: `$${".a".repeat(size)}`, numberValue: 1 })]],
  ["one long name in a path", gemini, (size) => [
    begun,
    pieces({ jsonPath: `$['${"a\\\\".repeat(size)}']`, numberValue: 1 })
  ]],
  ["one long piece of a text", gemini, (size) => [
    begun,
    pieces({ jsonPath: "$.a", stringValue: "word ".repeat(size * 20) })
  ]],
  ...ids.map(([name, id]): Case => [
    `calls whose ids are ${name}`,
    gemini,
    each((index, size) => inGemini({ functionCall: { id: id(index, size), name: "f", args: {} } }))
  ])
]

const utf8 = new TextEncoder()

const reading = (decoder: Decode, text: string) => {
  const bytes = Stream.make(utf8.encode(text))
  return () => {
    Effect.runSync(Effect.either(Stream.runDrain(decoder(bytes))))
  }
}

const written = (events: ReadonlyArray<unknown>): string =>
  events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")

/** Small enough that a quadratic step takes moments, large enough that it shows. */
const size = 500

const protocols: ReadonlyArray<readonly [name: string, cases: ReadonlyArray<Case>]> = [
  ["OpenAiChat", ofChat],
  ["OpenAiResponses", ofResponses],
  ["Anthropic", ofAnthropic],
  ["Gemini", ofGemini]
]

describe.each(protocols)("a stream of %s is read in time in proportion to its", (_, cases) => {
  it.each(cases)("%s", { timeout: 60_000 }, (_name, decoder, events) => {
    expect(growth((many) => reading(decoder, written(events(many))), size)).toBeLessThan(steepest)
  })
})

describe("a stream is read in time in proportion to its", () => {
  const forms: ReadonlyArray<readonly [name: string, text: (size: number) => string]> = [
    ["documents behind each other in one event", (size) => `data: ${"{}".repeat(4 * size)}\n\n`],
    ["lines of one event", (size) => `${"data: {}\n".repeat(4 * size)}\n`],
    ["comments", (size) => ": ping\n\n".repeat(4 * size)],
    ["lines of JSON outside of events", (size) => `{\n${"\"a\": 1,\n".repeat(4 * size)}"b": 1}\n`],
    ["lists in an event that is no JSON", (size) => `data: ${"[".repeat(4 * size)}\n\n`],
    ["blanks", (size) => `data: ${" ".repeat(20 * size)}x\n\n`]
  ]
  it.each(forms)("%s", { timeout: 60_000 }, (_, text) => {
    expect(growth((many) => reading(chat, text(many)), size)).toBeLessThan(steepest)
  })
})

describe("a conversation is made portable in time in proportion to its", () => {
  const rules: ReadonlyArray<readonly [name: string, rule: portableHistory.IdRule]> = [
    ["plain", portableHistory.plainIds(40)],
    ["of nine letters", portableHistory.nineLetters],
    ["any", portableHistory.anyIds]
  ]
  const given = [
    ...ids,
    ["alike but for letters that are not taken", (index: number) => `a${String.fromCharCode(0x4e00 + index)}`] as const
  ]
  const cases = rules.flatMap(([rule, ids]) => given.map(([name, id]) => [rule, name, ids, id] as const))

  it.each(cases)("calls with ids that are to be %s and are %s", { timeout: 60_000 }, (_rule, _name, rule, id) => {
    const wire = { ids: rule, toolName: (name: string) => name, toolArguments: (_: string, json: string) => json }
    const writing = (count: number) => {
      const calls = many(count, (index) => ({ id: id(index, count) ?? "", name: "f" }))
      const prompt: Prompt.Prompt = {
        messages: [
          Prompt.assistant(calls.map((call) => ({ _tag: "ToolCall", ...call, arguments: "{}" }))),
          {
            _tag: "Tool",
            content: calls.map((call) => ({ _tag: "ToolResult" as const, ...call, content: "x", isError: false }))
              .reverse()
          }
        ]
      }
      return () => {
        portableHistory.portable(prompt, wire)
      }
    }
    expect(growth(writing, size)).toBeLessThan(steepest)
  })
})
