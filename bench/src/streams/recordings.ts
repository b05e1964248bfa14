/**
 * A long reply of each provider, as bytes: turns of thinking, text and a tool call, made by repeating recorded deltas.
 * Without the recordings (`FIXTURES=…/fixtures npm run bench -- streams`) deltas of the same form stand in for them.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

type Fields = { readonly [name: string]: unknown }

/** Deltas of each kind, of which only the words differ. */
interface Deltas {
  readonly thinking: ReadonlyArray<Fields>
  readonly text: ReadonlyArray<Fields>
  readonly call: ReadonlyArray<Fields>
}

const folder = join(process.env["FIXTURES"] ?? "", "streams")

export const recorded: boolean = process.env["FIXTURES"] !== undefined && existsSync(folder)

const words = (
  "The user wants the weather in São Paulo , so the tool is called with that city and a unit .\n\n" +
  "**Naïve** \"quotes\" , 東京 and 🌦 stand in the text too , as they do in what people write ."
).split(/(?= )/)

const piecesOfCall = "{\"location\": \"São Paulo\", \"days\": 3, \"note\": \"\\\"wind\\\" too\"}".match(/.{1,5}/gsu) ?? []

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null

/** The payloads of a recording that hold a word; without recordings, ones made of the stand-ins. */
const from = (file: string, holding: string, standIns: ReadonlyArray<string>, make: (word: string) => Fields) => {
  const path = join(folder, `vercel-ai__${file}.chunks.txt`)
  if (!recorded || !existsSync(path)) return standIns.map(make)
  const found = readFileSync(path, "utf8").split("\n").filter((line) => line.includes(holding)).flatMap((line) => {
    const payload: unknown = JSON.parse(line)
    return isFields(payload) ? [payload] : []
  })
  if (found.length === 0) throw new Error(`${path} has no payload with ${holding}`)
  return found
}

/** How many deltas a thought, a text and the arguments of a call have. */
const lengths = { thinking: 400, text: 600, call: 200 } as const

/** How a provider writes its stream. */
interface Writer {
  readonly deltas: Deltas
  readonly frame: (payload: Fields) => string
  readonly first: ReadonlyArray<Fields>
  /** One piece of thinking, text or arguments as events, the `at`-th of the reply. */
  readonly piece: (kind: keyof Deltas, at: number, deltas: ReadonlyArray<Fields>) => ReadonlyArray<Fields>
  readonly last: ReadonlyArray<Fields>
  readonly end: string
}

const data = (payload: Fields): string => `data: ${JSON.stringify(payload)}\n\n`

const named = (payload: Fields): string => `event: ${String(payload["type"])}\n${data(payload)}`

// OpenAI, chat completions ---------------------------------------------------------------------------------------------

const chatChunk = (delta: Fields, finishReason: string | null = null): Fields => ({
  id: "chatcmpl-D8Z5oo6uDh67AD85p73ksdT1KxhE0",
  object: "chat.completion.chunk",
  created: 1770933892,
  model: "gpt-4.1-nano-2025-04-14",
  service_tier: "default",
  system_fingerprint: "fp_de604bd877",
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  usage: null,
  obfuscation: "Qup1BsQ3"
})

const callDelta = (index: number, called: Fields, more: Fields = {}) =>
  chatChunk({ tool_calls: [{ index, ...more, function: called }] })

/** What a recorded chunk holds of a call's arguments. */
const argumentsIn = (chunk: Fields): string => /"arguments":"((?:[^"\\]|\\.)*)"/.exec(JSON.stringify(chunk))?.[1] ?? ""

const chat = (): Writer => ({
  deltas: {
    thinking: from("deepseek__deepseek-reasoning", "\"content\":null", words, (word) =>
      chatChunk({ content: null, reasoning_content: word })),
    text: from("openai__openai-text", "\"delta\":{\"content\"", words, (content) => chatChunk({ content })),
    call: from("deepseek__deepseek-tool-call", "\"arguments\"", piecesOfCall, (json) =>
      callDelta(0, { arguments: json }))
  },
  frame: data,
  first: [chatChunk({ role: "assistant", content: "", refusal: null })],
  piece: (kind, at, deltas) =>
    kind === "call"
      ? [
        callDelta(at, { name: "weather", arguments: "" }, { id: `call_${at}`, type: "function" }),
        ...deltas.map((each) => callDelta(at, { arguments: JSON.parse(`"${argumentsIn(each)}"`) }))
      ]
      : deltas,
  last: [
    chatChunk({}, "tool_calls"),
    { ...chatChunk({}), choices: [], usage: { prompt_tokens: 16, completion_tokens: 40_000, total_tokens: 40_016 } }
  ],
  end: "data: [DONE]\n\n"
})

// OpenAI, responses ----------------------------------------------------------------------------------------------------

const itemId = "msg_01830d662ab3856501693c32183a488190a612c410a0a39823"

const responsesDelta = (type: string, place: string, delta: string): Fields =>
  ({ type, sequence_number: 4, item_id: itemId, output_index: 0, [place]: 0, delta, obfuscation: "2ajSAGID" })

const responses = (): Writer => {
  const types = {
    thinking: "response.reasoning_summary_text.delta",
    text: "response.output_text.delta",
    call: "response.function_call_arguments.delta"
  } as const
  const recording = "openai__openai-reasoning-encrypted-content.1"
  const response = { id: "resp_1", object: "response", model: "gpt-5.1-codex-max", output: [], error: null }
  return {
    deltas: {
      thinking: from(recording, types.thinking, words, (word) => responsesDelta(types.thinking, "summary_index", word)),
      text: from("openai__openai-compaction.1", types.text, words, (word) =>
        responsesDelta(types.text, "content_index", word)),
      call: from(recording, types.call, piecesOfCall, (json) => responsesDelta(types.call, "content_index", json))
    },
    frame: named,
    first: [{ type: "response.created", sequence_number: 0, response: { ...response, status: "in_progress" } }],
    piece: (kind, at, deltas) => {
      const placed = deltas.map((each) => ({ ...each, output_index: at }))
      if (kind !== "call") return placed
      const whole = deltas.map((each) => each["delta"]).join("")
      const item = { id: `fc_${at}`, type: "function_call", call_id: `call_${at}`, name: "weather" }
      const done = { ...item, status: "completed", arguments: whole }
      return [
        { type: "response.output_item.added", output_index: at, item: { ...item, arguments: "" } },
        ...placed,
        { type: "response.function_call_arguments.done", output_index: at, item_id: item.id, arguments: whole },
        { type: "response.output_item.done", output_index: at, item: done }
      ]
    },
    last: [{
      type: "response.completed",
      response: {
        ...response,
        status: "completed",
        usage: { input_tokens: 16, output_tokens: 40_000, total_tokens: 40_016 }
      }
    }],
    end: ""
  }
}

// Anthropic ------------------------------------------------------------------------------------------------------------

const blockDelta = (delta: Fields): Fields => ({ type: "content_block_delta", index: 0, delta })

const anthropic = (): Writer => {
  const blocks = {
    thinking: { type: "thinking", thinking: "", signature: "" },
    text: { type: "text", text: "" },
    call: { type: "tool_use", name: "weather", input: {} }
  }
  return {
    deltas: {
      thinking: from("anthropic__anthropic-combined-context-editing.1", "thinking_delta", words, (thinking) =>
        blockDelta({ type: "thinking_delta", thinking })),
      text: from("anthropic__anthropic-compaction.1", "\"text_delta\"", words, (text) =>
        blockDelta({ type: "text_delta", text })),
      call: from("anthropic__anthropic-programmatic-tool-calling.1", "input_json_delta", piecesOfCall, (json) =>
        blockDelta({ type: "input_json_delta", partial_json: json }))
    },
    frame: named,
    first: [{
      type: "message_start",
      message: {
        id: "msg_01K2JbSUMYhez5RHoK9ZCj9U",
        type: "message",
        role: "assistant",
        model: "claude-haiku-4-5",
        content: [],
        stop_reason: null,
        usage: { input_tokens: 16, output_tokens: 1 }
      }
    }],
    piece: (kind, at, deltas) => [
      {
        type: "content_block_start",
        index: at,
        content_block: kind === "call" ? { ...blocks.call, id: `toolu_${at}` } : blocks[kind]
      },
      ...deltas.map((each) => ({ ...each, index: at })),
      { type: "content_block_stop", index: at }
    ],
    last: [
      { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 40_000 } },
      { type: "message_stop" }
    ],
    end: ""
  }
}

// Gemini ---------------------------------------------------------------------------------------------------------------

const geminiChunk = (part: Fields | undefined, more: Fields = {}): Fields => ({
  candidates: [{ content: { parts: part === undefined ? [] : [part], role: "model" }, index: 0, ...more }],
  usageMetadata: {
    promptTokenCount: 9,
    candidatesTokenCount: 23,
    totalTokenCount: 217,
    promptTokensDetails: [{ modality: "TEXT", tokenCount: 9 }],
    thoughtsTokenCount: 185
  },
  modelVersion: "gemini-3-pro-preview",
  responseId: "bH6LaZW8Fp_3nsEPqtaSwQ4"
})

const calling = (functionCall: Fields): Fields => geminiChunk({ functionCall })

/** The recordings hold few thoughts, so they are made of the words; calls come in pieces, as Gemini 3 sends them. */
const gemini = (): Writer => ({
  deltas: {
    thinking: words.map((text) => geminiChunk({ text, thought: true })),
    text: from("google__google-text", "\"text\":\"", words, (text) => geminiChunk({ text })).filter((chunk) =>
      !JSON.stringify(chunk).includes("finishReason")
    ),
    call: words.map((stringValue) =>
      calling({ partialArgs: [{ jsonPath: "$.location", stringValue, willContinue: true }], willContinue: true })
    )
  },
  frame: (payload) => `data: ${JSON.stringify(payload)}\r\n\r\n`,
  first: [],
  piece: (kind, _at, deltas) =>
    kind !== "call" ? deltas : [
      calling({ name: "weather", args: { location: "São Paulo", days: 3 } }),
      calling({ name: "weather", willContinue: true }),
      ...deltas,
      calling({ partialArgs: [{ jsonPath: "$.location", stringValue: "" }], willContinue: true }),
      calling({})
    ],
  last: [geminiChunk(undefined, { finishReason: "STOP" })],
  end: ""
})

const writers = { "OpenAI chat": chat, "OpenAI responses": responses, Anthropic: anthropic, Gemini: gemini } as const

export type Provider = keyof typeof writers

export const providers: ReadonlyArray<Provider> = ["OpenAI chat", "OpenAI responses", "Anthropic", "Gemini"]

const kinds = ["thinking", "text", "call"] as const

/** A whole reply of at least so many bytes. */
export const recording = (provider: Provider, size: number): Uint8Array => {
  const { deltas, end, first, frame, last, piece } = writers[provider]()
  const lines = first.map(frame)
  let length = 0
  for (let at = 0; length < size; at++) {
    const kind = kinds[at % kinds.length] ?? "text"
    const all = deltas[kind]
    const chosen = Array.from({ length: lengths[kind] }, (_, i) => all[i % all.length] ?? {})
    const place = kind === "call" && provider === "OpenAI chat" ? Math.floor(at / kinds.length) : at
    for (const line of piece(kind, place, chosen).map(frame)) {
      length += Buffer.byteLength(line)
      lines.push(line)
    }
  }
  return Buffer.from([...lines, ...last.map(frame), end].join(""))
}
