/**
 * Anthropic's Messages API as a server speaks it: `POST /v1/messages`, whole and as a stream.
 *
 * Where a tool call's arguments are no JSON object, a stream still carries them as they are; a whole reply cannot. There
 * they are `{}` where the token limit cut them, and else wrapped as `{"INVALID_JSON": "…"}`, the form that Anthropic's own
 * documentation gives to input that is not JSON.
 */
import { isRecord, parse } from "../../shared/json.ts"
import { fragments, pieces } from "../openAiChat/protocol.ts"
import { namedEvent } from "../parts.ts"
import type { Completion, Frame, Protocol, Reply } from "../protocol.ts"
import { errorEvent, failed, requestHeader, requestIdOf } from "./failures.ts"
import { read } from "./read.ts"

const stopReasons = { "stop": "end_turn", "length": "max_tokens", "tool-calls": "tool_use" } as const

/** The counts of a stream so far, as `message_delta` tells them. */
const counts = (said: Completion, outputTokens: number) => ({
  input_tokens: said.promptTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: outputTokens,
  output_tokens_details: null,
  server_tool_use: null
})

/** The usage of a message. */
const usage = (said: Completion, outputTokens: number) => ({
  ...counts(said, outputTokens),
  cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
  service_tier: "standard",
  inference_geo: "not_available",
  speed: "standard"
})

/** The message without its content, which is written apart: JSON text that must keep every letter goes into it. */
const messageHead = (said: Completion) => ({
  model: said.model,
  id: `msg_01${said.id}`,
  type: "message",
  role: "assistant"
})

const messageTail = (stopReason: string | null, cost: unknown) => ({
  stop_reason: stopReason,
  stop_sequence: null,
  stop_details: null,
  container: null,
  diagnostics: null,
  usage: cost
})

const messageText = (
  said: Completion,
  blocks: ReadonlyArray<string>,
  stopReason: string | null,
  cost: unknown
): string =>
  `${JSON.stringify(messageHead(said)).slice(0, -1)},"content":[${blocks.join(",")}],${
    JSON.stringify(messageTail(stopReason, cost)).slice(1)
  }`

/** Said by Anthropic like the empty text: a call without arguments. */
const isEmpty = (json: string): boolean => json.trim() === "" || json === "{}"

type Call = Completion["toolCalls"][number]

const callHead = (call: Call) => ({ type: "tool_use", id: `toolu_01${call.id}`, name: call.name })

/** The JSON text of the call's input, to the letter where it is an object. */
const inputText = (json: string, wasCut: boolean): string => {
  if (isEmpty(json)) return "{}"
  if (isRecord(parse(json))) return json
  return wasCut ? "{}" : JSON.stringify({ INVALID_JSON: json })
}

const textBlocks = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined || text === "" ? [] : [JSON.stringify({ type: "text", text, citations: null })]

/** A token limit cuts the call that comes last. */
const callBlock = (said: Completion) => (call: Call, index: number): string => {
  const wasCut = said.finishReason === "length" && index === said.toolCalls.length - 1
  return `${JSON.stringify(callHead(call)).slice(0, -1)},"input":${
    inputText(call.arguments, wasCut)
  },"caller":{"type":"direct"}}`
}

const jsonReply = (said: Completion, body: string): Reply => ({
  _tag: "Reply",
  status: 200,
  headers: { "content-type": "application/json", ...requestHeader(requestIdOf(said.id)) },
  body
})

const reply = (said: Completion): Reply =>
  jsonReply(
    said,
    messageText(
      said,
      [...textBlocks(said.text), ...said.toolCalls.map(callBlock(said))],
      stopReasons[said.finishReason],
      usage(said, said.completionTokens)
    )
  )

const empty = (said: Completion): Reply =>
  jsonReply(said, messageText(said, [], "end_turn", usage(said, said.completionTokens)))

const sseEvent = (kind: Frame["kind"], type: string, fields: Readonly<Record<string, unknown>>): Frame => ({
  kind,
  text: namedEvent(type, JSON.stringify({ type, ...fields }))
})

const block = (
  index: number,
  start: Readonly<Record<string, unknown>>,
  deltas: ReadonlyArray<Readonly<Record<string, unknown>>>
): ReadonlyArray<Frame> => [
  sseEvent("content", "content_block_start", { index, content_block: start }),
  ...deltas.map((delta) => sseEvent("content", "content_block_delta", { index, delta })),
  sseEvent("content", "content_block_stop", { index })
]

const textFrames = (index: number, text: string): ReadonlyArray<Frame> =>
  block(
    index,
    { type: "text", text: "", citations: null },
    pieces(text).map((piece) => ({ type: "text_delta", text: piece }))
  )

/** The first fragment is empty, as the API sends it; a call without arguments has none at all. */
const callFrames = (index: number, call: Call): ReadonlyArray<Frame> =>
  block(
    index,
    { ...callHead(call), input: {}, caller: { type: "direct" } },
    isEmpty(call.arguments)
      ? []
      : ["", ...fragments(call.arguments)].map((piece) => ({ type: "input_json_delta", partial_json: piece }))
  )

/** Both last events are the end: without `message_stop` a reply is cut, whatever came before it. */
const frames = (said: Completion): ReadonlyArray<Frame> => {
  const text = said.text ?? ""
  const before = text === "" ? 0 : 1
  const begun = messageText(said, [], null, usage(said, Math.min(1, said.completionTokens)))
  return [
    { kind: "start", text: namedEvent("message_start", `{"type":"message_start","message":${begun}}`) },
    sseEvent("start", "ping", {}),
    ...(before === 0 ? [] : textFrames(0, text)),
    ...said.toolCalls.flatMap((call, index) => callFrames(before + index, call)),
    sseEvent("finish", "message_delta", {
      delta: {
        stop_reason: stopReasons[said.finishReason],
        stop_sequence: null,
        stop_details: null,
        container: null
      },
      usage: counts(said, said.completionTokens)
    }),
    sseEvent("finish", "message_stop", {})
  ]
}

/** Anthropic's Messages API. */
export const anthropic: Protocol = {
  name: "anthropic",
  route: (method, path) =>
    method === "POST" && path === "/v1/messages" ? { model: undefined, stream: undefined } : undefined,
  key: (headers) => headers["x-api-key"] ?? headers["authorization"]?.replace(/^bearer\s+/i, ""),
  read,
  failure: failed,
  reply,
  empty,
  stream: (said) => ({
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      ...requestHeader(requestIdOf(said.id))
    },
    frames: frames(said)
  }),
  errorFrame: (kind, said) => namedEvent("error", JSON.stringify(errorEvent(kind, said.id))),
  brokenFrame: () =>
    namedEvent(
      "content_block_delta",
      "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"te"
    )
}
