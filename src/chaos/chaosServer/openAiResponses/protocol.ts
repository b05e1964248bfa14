/**
 * OpenAI's Responses API as a server speaks it: `POST /v1/responses`, whole and as a stream, and what is asked about a response
 * that is made in the background: `GET /v1/responses/{id}`, the same with `stream=true&starting_after=N`, and
 * `POST /v1/responses/{id}/cancel`.
 *
 * Nothing else is kept: a request with `previous_response_id` is told that there is no such response. A wait is told in all forms
 * that chat completions know, as both come from one gateway.
 */
import { hex } from "../../../internal/seeded.ts"
import { wireError } from "../openAi/checks.ts"
import { failure as chatFailure, json, refusal } from "../openAi/failures.ts"
import { fragments, pieces } from "../openAiChat/protocol.ts"
import { namedEvent } from "../parts.ts"
import type {
  Completion,
  Failure,
  Frame,
  Keeping,
  KeptFailure,
  KeptRoute,
  ModelRequest,
  Protocol,
  Reply
} from "../protocol.ts"
import { read } from "./read.ts"

type Fields = Readonly<Record<string, unknown>>

type Status = "queued" | "in_progress" | "completed" | "incomplete" | "failed" | "cancelled"

/** One thing that the model put out, in its three stages. */
interface Item {
  readonly id: string
  /** As it is announced. */
  readonly begun: Fields
  /** As it is at its end. */
  readonly whole: Fields
  /** The events between, without their numbers and the place of the item. */
  readonly events: ReadonlyArray<readonly [type: string, fields: Fields]>
}

const usage = (said: Completion) => ({
  input_tokens: said.promptTokens,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: said.completionTokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: said.promptTokens + said.completionTokens
})

const toolChoiceOf = (request: ModelRequest): unknown => {
  const choice = request.toolChoice
  if (typeof choice === "object") return { type: "function", name: choice.name }
  // Without tools the API still says what it would do if there were any.
  return choice === "none" && request.tools.length === 0 ? "auto" : choice
}

/** The response object, which shows again what was asked for. */
const responseObject = (
  said: Completion,
  request: ModelRequest,
  status: Status,
  more: { readonly output?: ReadonlyArray<Fields>; readonly error?: Fields; readonly usage?: Fields } = {}
): Fields => ({
  id: `resp_${said.id}`,
  object: "response",
  created_at: said.created,
  status,
  background: request.background !== undefined,
  completed_at: status === "completed" ? said.created : null,
  error: more.error ?? null,
  frequency_penalty: 0,
  incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
  instructions: null,
  max_output_tokens: request.maxTokens ?? null,
  max_tool_calls: null,
  model: said.model,
  output: more.output ?? [],
  parallel_tool_calls: request.parallel,
  presence_penalty: 0,
  previous_response_id: null,
  prompt_cache_key: null,
  prompt_cache_retention: null,
  reasoning: { effort: null, summary: null },
  safety_identifier: null,
  service_tier: status === "in_progress" || status === "queued" ? "auto" : "default",
  store: request.background?.store ?? false,
  temperature: 1,
  text: { format: { type: "text" }, verbosity: "medium" },
  tool_choice: toolChoiceOf(request),
  tools: request.tools.map(({ name, parameters }) => ({
    type: "function",
    description: null,
    name,
    parameters,
    strict: false
  })),
  top_logprobs: 0,
  top_p: 1,
  truncation: "disabled",
  usage: more.usage ?? null,
  user: null,
  metadata: {}
})

const textPart = (text: string): Fields => ({ type: "output_text", annotations: [], logprobs: [], text })

const textItem = (said: Completion, text: string, status: Status): Item => {
  const id = `msg_${said.id}`
  const message = (at: Status, content: ReadonlyArray<Fields>) => ({
    id,
    type: "message",
    status: at,
    content,
    role: "assistant"
  })
  const position = { item_id: id, content_index: 0 }
  return {
    id,
    begun: message("in_progress", []),
    whole: message(status, [textPart(text)]),
    events: [
      ["response.content_part.added", { ...position, part: textPart("") }],
      ...pieces(text).map((delta) => ["response.output_text.delta", { ...position, delta, logprobs: [] }] as const),
      ["response.output_text.done", { ...position, text, logprobs: [] }],
      ["response.content_part.done", { ...position, part: textPart(text) }]
    ]
  }
}

const callItem = (call: Completion["toolCalls"][number], status: Status): Item => {
  const id = `fc_${call.id}`
  const at = (stage: Status, json: string) => ({
    id,
    type: "function_call",
    status: stage,
    arguments: json,
    call_id: `call_${call.id}`,
    name: call.name
  })
  return {
    id,
    begun: at("in_progress", ""),
    whole: at(status, call.arguments),
    events: [
      ...fragments(call.arguments).map((delta) =>
        ["response.function_call_arguments.delta", { item_id: id, delta }] as const
      ),
      ["response.function_call_arguments.done", { item_id: id, arguments: call.arguments, name: call.name }]
    ]
  }
}

/** A token limit cuts the item that comes last. */
const itemsOf = (said: Completion): ReadonlyArray<Item> => {
  const last = said.finishReason === "length" ? "incomplete" : "completed"
  const text = said.text ?? ""
  const hasCalls = said.toolCalls.length > 0
  return [
    ...(text === "" ? [] : [textItem(said, text, hasCalls ? "completed" : last)]),
    ...said.toolCalls.map((call, index) => callItem(call, index === said.toolCalls.length - 1 ? last : "completed"))
  ]
}

const ended = (said: Completion, request: ModelRequest, items: ReadonlyArray<Item>): Fields =>
  responseObject(said, request, said.finishReason === "length" ? "incomplete" : "completed", {
    output: items.map(({ whole }) => whole),
    usage: usage(said)
  })

const reply: Protocol["reply"] = (said, request) => json(200, ended(said, request, itemsOf(said)))

const empty: Protocol["empty"] = (said, request) => json(200, ended({ ...said, finishReason: "stop" }, request, []))

/** Pads deltas, so that their lengths do not tell what is in them. */
const obfuscation = (said: Completion, number: number, fields: Fields): Fields => {
  const { delta } = fields
  return typeof delta === "string"
    ? { obfuscation: hex(`${said.id} ${number}`).slice(0, Math.max(1, 16 - (delta.length % 16))) }
    : {}
}

const frames = (said: Completion, request: ModelRequest): ReadonlyArray<Frame> => {
  const all: Array<Frame> = []
  const add = (kind: Frame["kind"], type: string, fields: Fields): void => {
    const number = all.length
    const data = { type, sequence_number: number, ...fields, ...obfuscation(said, number, fields) }
    all.push({ kind, text: namedEvent(type, JSON.stringify(data)) })
  }
  const items = itemsOf(said)
  const begun = responseObject(said, request, "in_progress")
  if (request.background === undefined) {
    add("start", "response.created", { response: begun })
  } else {
    const queued = responseObject(said, request, "queued")
    add("start", "response.created", { response: queued })
    add("start", "response.queued", { response: queued })
  }
  add("start", "response.in_progress", { response: begun })
  items.forEach((item, at) => {
    const position = { output_index: at }
    add("content", "response.output_item.added", { ...position, item: item.begun })
    for (const [type, fields] of item.events) add("content", type, { ...position, ...fields })
    add("content", "response.output_item.done", { ...position, item: item.whole })
  })
  const response = ended(said, request, items)
  add("finish", said.finishReason === "length" ? "response.incomplete" : "response.completed", { response })
  return all
}

const failure = (failed: Failure): Reply => {
  switch (failed._tag) {
    case "MissingKey":
      return refusal(wireError(401, "Missing bearer or basic authentication in header"))
    case "UnknownModel":
      return refusal(
        wireError(400, `The requested model '${failed.model}' does not exist.`, {
          param: "model",
          code: "model_not_found"
        })
      )
    default:
      return chatFailure(failed)
  }
}

type Kind = Parameters<Protocol["errorFrame"]>[0]

const streamErrors = (
  said: Completion
): Readonly<Record<Kind, Fields & { readonly code: string; readonly message: string }>> => ({
  "overloaded": {
    type: "service_unavailable_error",
    code: "server_is_overloaded",
    message: "Our servers are currently overloaded. Please try again later.",
    param: null
  },
  "server": {
    type: "server_error",
    code: "server_error",
    message: "An error occurred while processing your request. You can retry your request, or contact us through our " +
      `help center at help.openai.com if the error persists. Please include the request ID req_${said.id} in your message.`,
    param: null
  },
  "rate-limit": {
    type: "tokens",
    code: "rate_limit_exceeded",
    message:
      `Rate limit reached for ${said.model} in organization org-chaos on tokens per min (TPM): Limit 30000, Used ` +
      "29950, Requested 137. Please try again in 174ms. Visit https://platform.openai.com/account/rate-limits to learn more.",
    param: null
  }
})

/**
 * An error is told twice: by itself, and as the end of the response. Both count on from any place in the stream. A response in
 * the background goes on, so there only the stream ends.
 */
const errorFrame: Protocol["errorFrame"] = (kind, said, request) => {
  const error = streamErrors(said)[kind]
  const number = frames(said, request).length
  const alone = namedEvent("error", JSON.stringify({ type: "error", sequence_number: number, error }))
  if (request.background !== undefined) return alone
  const response = responseObject(said, request, "failed", { error: { code: error.code, message: error.message } })
  return alone +
    namedEvent(
      "response.failed",
      JSON.stringify({ type: "response.failed", sequence_number: number + 1, response })
    )
}

const keptPath = /^\/v1\/responses\/([^/]+)(\/cancel)?$/

const keptRoute = (method: string, path: string, query: URLSearchParams): KeptRoute | undefined => {
  const [, id, cancel] = keptPath.exec(path) ?? []
  if (id === undefined) return undefined
  if (cancel !== undefined) return method === "POST" ? { id, action: { _tag: "Cancel" } } : undefined
  if (method !== "GET") return undefined
  const after = Number(query.get("starting_after") ?? -1)
  return query.get("stream") === "true"
    ? { id, action: { _tag: "Stream", after: Number.isSafeInteger(after) ? after : -1 } }
    : { id, action: { _tag: "Look" } }
}

/** The words for a response that is too old are OpenAI's own; those for one that is gone are its imitators'. */
const keptFailure = (failed: KeptFailure): Reply => {
  switch (failed._tag) {
    case "Unknown":
      return refusal(wireError(404, `Response with id '${failed.id}' not found.`))
    case "TooOld":
      return refusal(
        wireError(400, "This response can no longer be streamed because it is more than 5 minutes old")
      )
    case "NotStreamed":
      return refusal(wireError(400, "This response was not created with stream=true, so it cannot be streamed"))
    case "NoRetention":
      return refusal(
        wireError(400, "Background responses cannot be used for this organization due to Zero Data Retention.")
      )
  }
}

const keeping: Keeping = {
  route: keptRoute,
  idOf: (said) => `resp_${said.id}`,
  look: (said, request, status) =>
    status === "completed"
      ? reply(said, request)
      : json(200, responseObject(said, request, status)),
  failure: keptFailure
}

/** OpenAI's Responses API. */
export const responses: Protocol = {
  name: "openai-responses",
  route: (method, path) =>
    method === "POST" && path === "/v1/responses" ? { model: undefined, stream: undefined } : undefined,
  key: (headers) => headers["authorization"]?.replace(/^bearer\s+/i, ""),
  read,
  failure,
  reply,
  empty,
  stream: (said, request) => ({
    headers: { "content-type": "text/event-stream; charset=utf-8", "openai-organization": "org-chaos" },
    frames: frames(said, request)
  }),
  errorFrame,
  brokenFrame: (said) =>
    namedEvent(
      "response.output_text.delta",
      `{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_${said.id}","output_index":0,"delta":`
    ),
  keeping
}
