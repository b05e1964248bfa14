/** Reads an OpenAI chat completions request as the real service does, and refuses it in the same words. */
import * as Either from "effect/Either"
import { isArray, isRecord, own, parse } from "./json.ts"

export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly arguments: string
}

export interface Message {
  readonly role: string
  readonly text: string
  readonly images: number
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly toolCallId: string | undefined
}

export interface Tool {
  readonly name: string
  readonly parameters: unknown
}

export interface ChatRequest {
  readonly model: string
  readonly messages: ReadonlyArray<Message>
  readonly tools: ReadonlyArray<Tool>
  readonly toolChoice: "auto" | "none" | "required" | { readonly name: string }
  readonly parallel: boolean
  readonly maxTokens: number | undefined
}

/** A refusal in OpenAI's envelope. */
export interface WireError {
  readonly status: number
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

export const wireError = (
  status: number,
  message: string,
  details: { readonly type?: string; readonly param?: string; readonly code?: string } = {}
): WireError => ({
  status,
  message,
  type: details.type ?? "invalid_request_error",
  param: details.param ?? null,
  code: details.code ?? null
})

/** Thrown and caught inside this file only, so that the checks below read as a list. */
class Refused {
  readonly error: WireError
  constructor(error: WireError) {
    this.error = error
  }
}

const refuse = (message: string, param: string, code: string): never => {
  throw new Refused(wireError(400, message, { param, code }))
}

const knownFields = new Set(
  ("model messages tools tool_choice parallel_tool_calls temperature top_p max_tokens max_completion_tokens stop seed " +
    "frequency_penalty presence_penalty user stream stream_options n logprobs top_logprobs logit_bias response_format " +
    "metadata store service_tier reasoning_effort modalities audio prediction safety_identifier prompt_cache_key verbosity")
    .split(" ")
)

const roles = ["system", "assistant", "user", "function", "tool", "developer"]
const namePattern = /^[a-zA-Z0-9_-]+$/

const kindOf = (value: unknown): string =>
  value === null || value === undefined
    ? "null"
    : isArray(value)
    ? "an array"
    : isRecord(value)
    ? "an object"
    : `a ${typeof value}`

const requiredText = (value: unknown, param: string): string =>
  typeof value === "string"
    ? value
    : value === undefined
    ? refuse(`Missing required parameter: '${param}'.`, param, "missing_required_parameter")
    : refuse(`Invalid type for '${param}': expected a string, but got ${kindOf(value)} instead.`, param, "invalid_type")

const checkName = (name: string, param: string): string => {
  if (!namePattern.test(name)) {
    refuse(
      `Invalid '${param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`,
      param,
      "invalid_value"
    )
  }
  if (name.length > 64) {
    refuse(
      `Invalid '${param}': string too long. Expected a string with maximum length 64, but got a string with length ` +
        `${name.length} instead.`,
      param,
      "string_above_max_length"
    )
  }
  return name
}

const readContent = (content: unknown, param: string): { readonly text: string; readonly images: number } => {
  if (typeof content === "string") return { text: content, images: 0 }
  if (!isArray(content)) {
    return refuse(
      `Invalid value for 'content': expected a string, got ${kindOf(content)}.`,
      param,
      "invalid_type"
    )
  }
  const read = content.map((part, index) => {
    const type = own(part, "type")
    if (type === "text") return { text: requiredText(own(part, "text"), `${param}[${index}].text`), images: 0 }
    if (type === "image_url") {
      requiredText(own(own(part, "image_url"), "url"), `${param}[${index}].image_url.url`)
      return { text: "", images: 1 }
    }
    if (type === "input_audio" || type === "file" || type === "refusal") return { text: "", images: 1 }
    return refuse(
      `Invalid value: '${
        String(type)
      }'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', and 'file'.`,
      `${param}[${index}].type`,
      "invalid_value"
    )
  })
  return {
    text: read.map(({ text }) => text).filter((text) => text !== "").join("\n"),
    images: read.reduce((sum, { images }) => sum + images, 0)
  }
}

const readToolCalls = (calls: unknown, param: string): ReadonlyArray<ToolCall> => {
  if (calls === undefined || calls === null) return []
  if (!isArray(calls) || calls.length === 0) {
    return refuse(`Invalid '${param}': expected an array with minimum length 1.`, param, "empty_array")
  }
  return calls.map((call, index) => {
    const at = `${param}[${index}]`
    return {
      id: requiredText(own(call, "id"), `${at}.id`),
      name: checkName(requiredText(own(own(call, "function"), "name"), `${at}.function.name`), `${at}.function.name`),
      arguments: requiredText(own(own(call, "function"), "arguments"), `${at}.function.arguments`)
    }
  })
}

const readMessage = (message: unknown, index: number): Message => {
  const at = `messages[${index}]`
  const role = requiredText(own(message, "role"), `${at}.role`)
  if (!roles.includes(role)) {
    refuse(
      `Invalid value: '${role}'. Supported values are: ${roles.map((known) => `'${known}'`).join(", ")}.`,
      `${at}.role`,
      "invalid_value"
    )
  }
  const toolCalls = role === "assistant" ? readToolCalls(own(message, "tool_calls"), `${at}.tool_calls`) : []
  const content = own(message, "content")
  const empty = toolCalls.length > 0 && (content === undefined || content === null)
  const toolCallId = role === "tool" ? requiredText(own(message, "tool_call_id"), `${at}.tool_call_id`) : undefined
  return { role, ...(empty ? { text: "", images: 0 } : readContent(content, `${at}.content`)), toolCalls, toolCallId }
}

/** Every call must be answered by a tool message, and every tool message must answer a call. */
const checkOrder = (messages: ReadonlyArray<Message>): void => {
  let open: ReadonlyArray<string> = []
  messages.forEach((message, index) => {
    if (message.toolCallId !== undefined) {
      if (!open.includes(message.toolCallId)) {
        refuse(
          "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
          `messages.[${index}].role`,
          "invalid_value"
        )
      }
      open = open.filter((id) => id !== message.toolCallId)
      return
    }
    checkAnswered(open, index)
    open = message.toolCalls.map(({ id }) => id)
  })
  checkAnswered(open, messages.length)
}

const checkAnswered = (open: ReadonlyArray<string>, index: number): void => {
  if (open.length === 0) return
  refuse(
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. " +
      `The following tool_call_ids did not have response messages: ${open.join(", ")}`,
    `messages.[${index}].role`,
    "invalid_value"
  )
}

const readTools = (tools: unknown): ReadonlyArray<Tool> => {
  if (tools === undefined || tools === null) return []
  if (!isArray(tools) || tools.length === 0) {
    return refuse(
      "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      "tools",
      "empty_array"
    )
  }
  const read = tools.map((tool, index) => {
    const at = `tools[${index}]`
    const declared = own(tool, "function")
    if (own(tool, "type") !== "function") {
      refuse(
        `Invalid value: '${String(own(tool, "type"))}'. Supported values are: 'function' and 'custom'.`,
        `${at}.type`,
        "invalid_value"
      )
    }
    const name = checkName(requiredText(own(declared, "name"), `${at}.function.name`), `${at}.function.name`)
    const parameters = own(declared, "parameters") ?? { type: "object", properties: {} }
    const type = own(parameters, "type")
    if (!isRecord(parameters) || (type !== undefined && type !== "object")) {
      refuse(
        `Invalid schema for function '${name}': schema must be a JSON Schema of 'type: "object"', got 'type: ` +
          `"${String(type)}"'.`,
        `${at}.function.parameters`,
        "invalid_function_parameters"
      )
    }
    return { name, parameters }
  })
  return read
}

const readToolChoice = (choice: unknown, tools: ReadonlyArray<Tool>): ChatRequest["toolChoice"] => {
  if (choice === undefined || choice === null) return tools.length === 0 ? "none" : "auto"
  if (tools.length === 0) {
    return refuse("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice", "invalid_value")
  }
  if (choice === "auto" || choice === "none" || choice === "required") return choice
  const name = own(own(choice, "function"), "name")
  if (typeof name !== "string") {
    return refuse(
      `Invalid value: '${String(choice)}'. Supported values are: 'none', 'auto', and 'required'.`,
      "tool_choice",
      "invalid_value"
    )
  }
  if (!tools.some((tool) => tool.name === name)) {
    refuse(`Invalid value for 'tool_choice': function '${name}' not found in 'tools'.`, "tool_choice", "invalid_value")
  }
  return { name }
}

const readNumber = (body: unknown, param: string, least: number, most: number): number | undefined => {
  const value = own(body, param)
  if (value === undefined || value === null) return undefined
  if (typeof value !== "number") {
    return refuse(
      `Invalid type for '${param}': expected a number, but got ${kindOf(value)} instead.`,
      param,
      "invalid_type"
    )
  }
  if (value < least) {
    refuse(
      `Invalid '${param}': decimal below minimum value. Expected a value >= ${least}, but got ${value} instead.`,
      param,
      "decimal_below_min_value"
    )
  }
  if (value > most) {
    refuse(
      `Invalid '${param}': decimal above maximum value. Expected a value <= ${most}, but got ${value} instead.`,
      param,
      "decimal_above_max_value"
    )
  }
  return value
}

const read = (text: string): ChatRequest => {
  const body = parse(text)
  if (!isRecord(body)) {
    throw new Refused(
      wireError(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library " +
          "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
      )
    )
  }
  const model = own(body, "model")
  if (typeof model !== "string" || model === "") throw new Refused(wireError(400, "you must provide a model parameter"))
  const foreign = Object.keys(body).find((key) => !knownFields.has(key))
  if (foreign !== undefined) {
    throw new Refused(wireError(400, `Unrecognized request argument supplied: ${foreign}`))
  }
  const list = own(body, "messages")
  if (list === undefined) refuse("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
  if (!isArray(list) || list.length === 0) {
    return refuse(
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      "messages",
      "empty_array"
    )
  }
  const messages = list.map(readMessage)
  checkOrder(messages)
  const tools = readTools(own(body, "tools"))
  const toolChoice = readToolChoice(own(body, "tool_choice"), tools)
  readNumber(body, "temperature", 0, 2)
  readNumber(body, "top_p", 0, 1)
  readNumber(body, "frequency_penalty", -2, 2)
  readNumber(body, "presence_penalty", -2, 2)
  const maxTokens = readNumber(body, "max_completion_tokens", 1, 1e9) ?? readNumber(body, "max_tokens", 1, 1e9)
  if (own(body, "stream") === true) {
    refuse(
      "This server does not support streaming: leave 'stream' out or set it to false.",
      "stream",
      "unsupported_value"
    )
  }
  return { model, messages, tools, toolChoice, parallel: own(body, "parallel_tool_calls") !== false, maxTokens }
}

/** The request, or the refusal that the real service would send. */
export const readChatRequest = (text: string): Either.Either<ChatRequest, WireError> => {
  try {
    return Either.right(read(text))
  } catch (thrown) {
    if (thrown instanceof Refused) return Either.left(thrown.error)
    throw thrown
  }
}

/** About four characters of English make a token; roles and separators cost three more for each message. */
export const promptTokens = (request: ChatRequest): number =>
  request.messages.reduce(
    (sum, message) =>
      sum + 3 + message.images * 85 +
      Math.ceil((message.text.length + message.toolCalls.reduce((n, call) => n + call.arguments.length, 0)) / 4),
    3 + Math.ceil(JSON.stringify(request.tools).length / 4)
  )

/** The text that names the request: that of its first user message, else that of its first message. */
export const firstUserText = (request: ChatRequest): string =>
  (request.messages.find((message) => message.role === "user") ?? request.messages[0])?.text ?? ""
