/** Replies that are larger than any that a well-meaning server sends, in the four protocols. */

/** A reply as events, or as one document. */
export type Form = "stream" | "whole"

/** Payloads of the events of a stream, or the one document. */
export type Payloads = ReadonlyArray<unknown>

type Reply = (text: string) => Payloads

export interface Protocol {
  /** So many tool calls in one reply. */
  readonly calls: (count: number, form: Form) => Payloads
  /** By the name of the field: a reply in which that field is the text. */
  readonly fields: { readonly [F in Form]: { readonly [field: string]: Reply } }
}

const many = <A>(count: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, index) => make(index))

const pieces = (text: string, make: (piece: string) => unknown): Payloads => {
  const size = 16_384
  return many(Math.ceil(text.length / size), (index) => make(text.slice(index * size, (index + 1) * size)))
}

const json = (text: string): string => JSON.stringify({ a: text })

const failed = (message: string) => ({ error: { message, type: "server_error", code: null } })

// Chat -----------------------------------------------------------------------------------------------------------------

const chunk = (delta: object, more: object = {}) => ({ id: "c", model: "m", choices: [{ index: 0, delta, ...more }] })

const chatEnd = { id: "c", model: "m", choices: [{ index: 0, delta: {}, finish_reason: "stop" }], usage: {} }

const chatCall = (id: string, args: string, name = "f", index = 0) => ({ index, id, type: "function", function: { name, arguments: args } })

const chatWhole = (message: object, more: object = {}) => [
  { id: "c", model: "m", choices: [{ index: 0, message, finish_reason: "stop" }], usage: {}, ...more }
]

const chat: Protocol = {
  calls: (count, form) =>
    form === "whole"
      ? chatWhole({ tool_calls: many(count, (index) => chatCall(`c${index}`, "{\"a\":1}")) })
      : [
        ...many(count, (index) => chunk({ tool_calls: [chatCall(`c${index}`, "{\"a\":1}", "f", index)] })),
        chatEnd
      ],
  fields: {
    stream: {
      text: (content) => [chunk({ content }), chatEnd],
      "text in pieces": (text) => [...pieces(text, (content) => chunk({ content })), chatEnd],
      reasoning: (reasoning_content) => [chunk({ reasoning_content }), chatEnd],
      refusal: (refusal) => [chunk({ refusal }), chatEnd],
      arguments: (text) => [chunk({ tool_calls: [chatCall("a", json(text))] }), chatEnd],
      "arguments in pieces": (text) => [
        chunk({ tool_calls: [chatCall("a", "")] }),
        ...pieces(json(text), (piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
        chatEnd
      ],
      "arguments as an object": (a) => [
        chunk({ tool_calls: [{ index: 0, id: "a", function: { name: "f", arguments: { a } } }] }),
        chatEnd
      ],
      "id of a call": (text) => [chunk({ tool_calls: [chatCall(text, "{}")] }), chatEnd],
      "name of a tool": (text) => [chunk({ tool_calls: [chatCall("a", "{}", text)] }), chatEnd],
      "id of the reply": (id) => [{ ...chunk({ content: "a" }), id }, chatEnd],
      "finish reason": (finish_reason) => [chunk({ content: "a" }, { finish_reason })],
      error: (message) => [failed(message)]
    },
    whole: {
      text: (content) => chatWhole({ content }),
      reasoning: (reasoning_content) => chatWhole({ reasoning_content }),
      refusal: (refusal) => chatWhole({ refusal }),
      arguments: (text) => chatWhole({ tool_calls: [chatCall("a", json(text))] }),
      "arguments as an object": (a) => chatWhole({ tool_calls: [{ id: "a", function: { name: "f", arguments: { a } } }] }),
      "id of a call": (text) => chatWhole({ tool_calls: [chatCall(text, "{}")] }),
      "name of a tool": (text) => chatWhole({ tool_calls: [chatCall("a", "{}", text)] }),
      "id of the reply": (id) => chatWhole({ content: "a" }, { id }),
      error: (message) => [failed(message)]
    }
  }
}

// Responses ------------------------------------------------------------------------------------------------------------

const responseOf = (output: ReadonlyArray<unknown>, more: object = {}) => ({
  id: "r",
  object: "response",
  model: "m",
  status: "completed",
  output,
  usage: {},
  ...more
})

const done = (output: ReadonlyArray<unknown> = [], more: object = {}) => ({
  type: "response.completed",
  response: responseOf(output, more)
})

const functionCall = (call_id: string, args: unknown, name = "f") => ({
  type: "function_call",
  id: "i",
  call_id,
  name,
  arguments: args
})

const added = (item: object, output_index = 0) => ({ type: "response.output_item.added", output_index, item })
const ended = (item: object, output_index = 0) => ({ type: "response.output_item.done", output_index, item })

const message = (text: string) => ({ type: "message", id: "m", content: [{ type: "output_text", text, annotations: [] }] })
const thought = (text: string) => ({ type: "reasoning", id: "t", summary: [{ type: "summary_text", text }] })
const sealed = (encrypted_content: string) => ({ type: "reasoning", id: "t", summary: [], encrypted_content })

const argumentsDelta = (delta: string) => ({ type: "response.function_call_arguments.delta", output_index: 0, delta })

const responses: Protocol = {
  calls: (count, form) => {
    const items = many(count, (index) => ({ ...functionCall(`c${index}`, "{\"a\":1}"), id: `i${index}` }))
    return form === "whole"
      ? [responseOf(items)]
      : [
        ...items.flatMap((item, index) => [added({ ...item, arguments: "" }, index), ended(item, index)]),
        done(items)
      ]
  },
  fields: {
    stream: {
      text: (delta) => [{ type: "response.output_text.delta", output_index: 0, delta }, done()],
      "text in pieces": (text) => [
        ...pieces(text, (delta) => ({ type: "response.output_text.delta", output_index: 0, delta })),
        done()
      ],
      "text at the end": (text) => [done([message(text)])],
      reasoning: (delta) => [{ type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 0, delta }, done()],
      "encrypted reasoning": (text) => [ended(sealed(text)), done()],
      arguments: (text) => [
        added(functionCall("a", "")),
        argumentsDelta(json(text)),
        done()
      ],
      "arguments in pieces": (text) => [added(functionCall("a", "")), ...pieces(json(text), argumentsDelta), done()],
      "arguments with the item": (text) => [added(functionCall("a", "")), ended(functionCall("a", json(text))), done()],
      "arguments at the end": (text) => [added(functionCall("a", "")), done([functionCall("a", json(text))])],
      "arguments as an object": (a) => [added(functionCall("a", "")), ended(functionCall("a", { a })), done()],
      "id of a call": (text) => [ended(functionCall(text, "{}")), done()],
      "name of a tool": (text) => [ended(functionCall("a", "{}", text)), done()],
      "id of the reply": (id) => [ended(message("a")), done([], { id })],
      error: (text) => [{ type: "error", code: null, message: text, param: null }]
    },
    whole: {
      text: (text) => [responseOf([message(text)])],
      reasoning: (text) => [responseOf([thought(text)])],
      "encrypted reasoning": (text) => [responseOf([sealed(text)])],
      arguments: (text) => [responseOf([functionCall("a", json(text))])],
      "arguments as an object": (a) => [responseOf([functionCall("a", { a })])],
      "id of a call": (text) => [responseOf([functionCall(text, "{}")])],
      "name of a tool": (text) => [responseOf([functionCall("a", "{}", text)])],
      "id of the reply": (id) => [responseOf([message("a")], { id })],
      error: (text) => [failed(text)]
    }
  }
}

// Anthropic ------------------------------------------------------------------------------------------------------------

const begun = (id = "m") => ({ type: "message_start", message: { id, type: "message", model: "m", content: [], usage: {} } })
const block = (content_block: object, index = 0) => ({ type: "content_block_start", index, content_block })
const inBlock = (delta: object) => ({ type: "content_block_delta", index: 0, delta })
const stop = (index = 0) => ({ type: "content_block_stop", index })
const closed = [{ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: {} }, { type: "message_stop" }]

const toolUse = (id: string, input: object, name = "f") => ({ type: "tool_use", id, name, input })

const blocks = (content_block: object, ...deltas: ReadonlyArray<object>): Payloads => [
  begun(),
  block(content_block),
  ...deltas.map(inBlock),
  stop(),
  ...closed
]

const anthropicWhole = (content: ReadonlyArray<unknown>, more: object = {}) => [
  { id: "m", type: "message", role: "assistant", model: "m", content, stop_reason: "end_turn", usage: {}, ...more }
]

const anthropicFailed = (text: string) => ({ type: "error", error: { type: "api_error", message: text } })

const anthropic: Protocol = {
  calls: (count, form) =>
    form === "whole"
      ? anthropicWhole(many(count, (index) => toolUse(`c${index}`, { a: 1 })))
      : [
        begun(),
        ...many(count, (index) => [
          block(toolUse(`c${index}`, {}), index),
          { ...inBlock({ type: "input_json_delta", partial_json: "{\"a\":1}" }), index },
          stop(index)
        ]).flat(),
        ...closed
      ],
  fields: {
    stream: {
      text: (text) => blocks({ type: "text", text: "" }, { type: "text_delta", text }),
      "text in pieces": (text) => [
        begun(),
        block({ type: "text", text: "" }),
        ...pieces(text, (piece) => inBlock({ type: "text_delta", text: piece })),
        stop(),
        ...closed
      ],
      reasoning: (thinking) => blocks({ type: "thinking", thinking: "" }, { type: "thinking_delta", thinking }),
      signature: (signature) => blocks({ type: "thinking", thinking: "" }, { type: "signature_delta", signature }),
      arguments: (text) => blocks(toolUse("a", {}), { type: "input_json_delta", partial_json: json(text) }),
      "arguments in pieces": (text) => [
        begun(),
        block(toolUse("a", {})),
        ...pieces(json(text), (partial_json) => inBlock({ type: "input_json_delta", partial_json })),
        stop(),
        ...closed
      ],
      "arguments as an object": (a) => blocks(toolUse("a", { a })),
      "id of a call": (text) => blocks(toolUse(text, {})),
      "name of a tool": (text) => blocks(toolUse("a", {}, text)),
      "id of the reply": (id) => [begun(id), block({ type: "text", text: "a" }), stop(), ...closed],
      error: (text) => [anthropicFailed(text)]
    },
    whole: {
      text: (text) => anthropicWhole([{ type: "text", text }]),
      reasoning: (thinking) => anthropicWhole([{ type: "thinking", thinking, signature: "s" }]),
      signature: (signature) => anthropicWhole([{ type: "thinking", thinking: "a", signature }]),
      "arguments as an object": (a) => anthropicWhole([toolUse("a", { a })]),
      "id of a call": (text) => anthropicWhole([toolUse(text, {})]),
      "name of a tool": (text) => anthropicWhole([toolUse("a", {}, text)]),
      "id of the reply": (id) => anthropicWhole([{ type: "text", text: "a" }], { id }),
      error: (text) => [anthropicFailed(text)]
    }
  }
}

// Gemini ---------------------------------------------------------------------------------------------------------------

const parts = (...all: ReadonlyArray<unknown>) => ({ candidates: [{ content: { role: "model", parts: all }, index: 0 }], modelVersion: "m" })
const geminiEnd = { candidates: [{ content: { parts: [] }, finishReason: "STOP", index: 0 }], usageMetadata: {} }

const geminiWhole = (...all: ReadonlyArray<unknown>) => [
  {
    responseId: "r",
    modelVersion: "m",
    candidates: [{ content: { role: "model", parts: all }, finishReason: "STOP", index: 0 }],
    usageMetadata: {}
  }
]

const called = (id: string, args: object, name = "f") => ({ functionCall: { id, name, args } })

const partial = (stringValue: string, willContinue = true) =>
  parts({ functionCall: { partialArgs: [{ jsonPath: "$.a", stringValue, willContinue }], willContinue } })

const geminiFailed = (text: string) => ({ error: { code: 500, message: text, status: "INTERNAL" } })

const gemini: Protocol = {
  calls: (count, form) => {
    const calls = many(count, (index) => called(`c${index}`, { a: 1 }))
    return form === "whole" ? geminiWhole(...calls) : [...calls.map((call) => parts(call)), geminiEnd]
  },
  fields: {
    stream: {
      text: (text) => [parts({ text }), geminiEnd],
      "text in pieces": (text) => [...pieces(text, (piece) => parts({ text: piece })), geminiEnd],
      reasoning: (text) => [parts({ text, thought: true }), geminiEnd],
      signature: (thoughtSignature) => [parts({ text: "a", thoughtSignature }), geminiEnd],
      "arguments as an object": (a) => [parts(called("a", { a })), geminiEnd],
      "arguments in pieces": (text) => [
        parts({ functionCall: { id: "a", name: "f", willContinue: true } }),
        ...pieces(text, partial),
        partial("", false),
        geminiEnd
      ],
      "id of a call": (text) => [parts(called(text, {})), geminiEnd],
      "name of a tool": (text) => [parts(called("a", {}, text)), geminiEnd],
      "id of the reply": (responseId) => [{ ...parts({ text: "a" }), responseId }, geminiEnd],
      error: (text) => [geminiFailed(text)]
    },
    whole: {
      text: (text) => geminiWhole({ text }),
      reasoning: (text) => geminiWhole({ text, thought: true }),
      signature: (thoughtSignature) => geminiWhole({ text: "a", thoughtSignature }),
      "arguments as an object": (a) => geminiWhole(called("a", { a })),
      "id of a call": (text) => geminiWhole(called(text, {})),
      "name of a tool": (text) => geminiWhole(called("a", {}, text)),
      error: (text) => [geminiFailed(text)]
    }
  }
}

export const protocols = { "OpenAI chat": chat, "OpenAI responses": responses, Anthropic: anthropic, Gemini: gemini } as const
