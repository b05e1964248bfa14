/** OpenAI's chat completions, as the real service writes them. */
import * as Either from "effect/Either"
import { failure, json, refusal, serverWords } from "../openAi/failures.ts"
import type { Completion, Frame, Protocol } from "../protocol.ts"
import { readChatRequest } from "./read.ts"

type Choice = "one" | "none"

/** With a tool named by the request the real service says `stop`. */
const finishReason = (said: Completion): "stop" | "length" | "tool_calls" =>
  said.finishReason === "tool-calls" ? said.forced === true ? "stop" : "tool_calls" : said.finishReason

const callId = (id: string): string => `call_${id}`

const usage = (said: Completion) => ({
  prompt_tokens: said.promptTokens,
  completion_tokens: said.completionTokens,
  total_tokens: said.promptTokens + said.completionTokens,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 0,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0
  }
})

const completion = (said: Completion, choices: Choice) => {
  const calls = said.toolCalls.map((call) => ({
    id: callId(call.id),
    type: "function",
    function: { name: call.name, arguments: call.arguments }
  }))
  const message = {
    role: "assistant",
    content: said.text ?? null,
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    refusal: null,
    annotations: []
  }
  return json(200, {
    id: `chatcmpl-${said.id}`,
    object: "chat.completion",
    created: said.created,
    model: said.model,
    choices: choices === "none" ? [] : [{ index: 0, message, logprobs: null, finish_reason: finishReason(said) }],
    usage: usage(said),
    service_tier: "default",
    system_fingerprint: "fp_chaos"
  })
}

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

const headOf = (said: Completion) => ({
  id: `chatcmpl-${said.id}`,
  object: "chat.completion.chunk",
  created: said.created,
  model: said.model,
  service_tier: "default",
  system_fingerprint: "fp_chaos"
})

/** A text in pieces of at most three words, each with the blanks before it; joined they are the text. */
export const pieces = (text: string): ReadonlyArray<string> => text.match(/\s*\S{1,16}(?:\s+\S{1,16}){0,2}|\s+/gu) ?? []

/** Argument fragments of a few characters; a pair that makes one character is not torn. */
export const fragments = (text: string): ReadonlyArray<string> => text.match(/[\s\S]{1,12}/gu) ?? []

const stream = (said: Completion, includeUsage: boolean): ReadonlyArray<Frame> => {
  const more = includeUsage ? { usage: null } : {}
  const chunk = (kind: Frame["kind"], delta: object, reason: string | null = null): Frame => ({
    kind,
    text: data({
      ...headOf(said),
      choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
      ...more
    })
  })
  const callDelta = (delta: object): Frame => chunk("content", { tool_calls: [delta] })
  const calls = said.toolCalls.flatMap((call, index) => [
    callDelta({ index, id: callId(call.id), type: "function", function: { name: call.name, arguments: "" } }),
    ...fragments(call.arguments).map((piece) => callDelta({ index, function: { arguments: piece } }))
  ])
  const content = said.text === undefined ? null : ""
  return [
    chunk("start", { role: "assistant", content, refusal: null }),
    ...pieces(said.text ?? "").map((piece) => chunk("content", { content: piece })),
    ...calls,
    chunk("finish", {}, finishReason(said)),
    ...(includeUsage
      ? [{ kind: "end" as const, text: data({ ...headOf(said), choices: [], usage: usage(said) }) }]
      : []),
    { kind: "end", text: "data: [DONE]\n\n" }
  ]
}

const errors = {
  "overloaded": {
    message: "The server is currently overloaded with other requests. Sorry about that!",
    type: "service_unavailable_error",
    param: null,
    code: "server_is_overloaded"
  },
  "server": { message: serverWords, type: "server_error", param: null, code: null },
  "rate-limit": {
    message: "Rate limit reached for this model on tokens per min (TPM): Limit 30000, Used 30000, Requested 500.",
    type: "tokens",
    param: null,
    code: "rate_limit_exceeded"
  }
} as const

/** Chat completions. */
export const chat: Protocol = {
  name: "openai-chat",
  route: (method, path) =>
    method === "POST" && path === "/v1/chat/completions" ? { model: undefined, stream: undefined } : undefined,
  key: (headers) => headers["authorization"]?.replace(/^bearer\s+/i, ""),
  read: (body) => Either.mapLeft(readChatRequest(body), (error) => refusal(error)),
  failure,
  reply: (said) => completion(said, "one"),
  empty: (said) => completion(said, "none"),
  stream: (said, request) => ({
    headers: { "content-type": "text/event-stream; charset=utf-8", "openai-organization": "org-chaos" },
    frames: stream(said, request.includeUsage)
  }),
  errorFrame: (kind) => data({ error: errors[kind] }),
  brokenFrame: (said) =>
    `data: {"id":"chatcmpl-${said.id}","object":"chat.completion.chunk","choices":[{"index":0,"delta":\n\n`
}
