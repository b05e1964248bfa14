/** Reads an OpenAI chat completions request as the real service does, and refuses it in the same words. */
import * as Either from "effect/Either"
import { isArray, isRecord, own, parse } from "../../shared/json.ts"
import {
  checkName,
  kindOf,
  numberIn,
  refuse,
  Refused,
  refuseMissing,
  refuseType,
  refuseValue,
  requiredText,
  type WireError
} from "../openAi/checks.ts"
import type { Message, ModelRequest, Tool, ToolCall } from "../protocol.ts"

/** A message with what the order of messages is judged by. */
interface Told extends Message {
  readonly toolCallId: string | undefined
}

const knownFields = new Set(
  ("model messages tools tool_choice parallel_tool_calls temperature top_p max_tokens max_completion_tokens stop seed " +
    "frequency_penalty presence_penalty user stream stream_options n logprobs top_logprobs logit_bias response_format " +
    "metadata store service_tier reasoning_effort modalities audio prediction safety_identifier prompt_cache_key verbosity")
    .split(" ")
)

const roles = ["system", "assistant", "user", "function", "tool", "developer"]

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
    return refuseValue(type, ["text", "image_url", "input_audio", "refusal", "file"], `${param}[${index}].type`)
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

const roleOf = (role: string): Message["role"] =>
  role === "developer" || role === "system"
    ? "system"
    : role === "function" || role === "tool"
    ? "tool"
    : role === "assistant"
    ? "assistant"
    : "user"

const readMessage = (message: unknown, index: number): Told => {
  const at = `messages[${index}]`
  const role = requiredText(own(message, "role"), `${at}.role`)
  if (!roles.includes(role)) refuseValue(role, roles, `${at}.role`)
  const toolCalls = role === "assistant" ? readToolCalls(own(message, "tool_calls"), `${at}.tool_calls`) : []
  const content = own(message, "content")
  const empty = toolCalls.length > 0 && (content === undefined || content === null)
  const toolCallId = role === "tool" ? requiredText(own(message, "tool_call_id"), `${at}.tool_call_id`) : undefined
  const parts = empty ? { text: "", images: 0 } : readContent(content, `${at}.content`)
  return { role: roleOf(role), ...parts, toolCalls, toolCallId }
}

/** Every call must be answered by a tool message, and every tool message must answer a call. */
const checkOrder = (messages: ReadonlyArray<Told>): void => {
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
    if (own(tool, "type") !== "function") refuseValue(own(tool, "type"), ["function", "custom"], `${at}.type`)
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

const readToolChoice = (choice: unknown, tools: ReadonlyArray<Tool>): ModelRequest["toolChoice"] => {
  if (choice === undefined || choice === null) return tools.length === 0 ? "none" : "auto"
  if (tools.length === 0) {
    return refuse("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice", "invalid_value")
  }
  if (choice === "auto" || choice === "none" || choice === "required") return choice
  const name = own(own(choice, "function"), "name")
  if (typeof name !== "string") {
    return refuseValue(choice, ["none", "auto", "required"], "tool_choice")
  }
  if (!tools.some((tool) => tool.name === name)) {
    refuse(`Invalid value for 'tool_choice': function '${name}' not found in 'tools'.`, "tool_choice", "invalid_value")
  }
  return { name }
}

const readFlag = (value: unknown, param: string): boolean => {
  const flag = own(value, param.split(".").at(-1) ?? param)
  if (flag === undefined || flag === null) return false
  return typeof flag === "boolean" ? flag : refuseType(flag, "a boolean", param)
}

/** Whether the stream is to tell its usage. */
const readStreamOptions = (options: unknown, stream: boolean): boolean => {
  if (options === undefined || options === null) return false
  if (!stream) {
    refuse(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      "stream_options",
      "invalid_value"
    )
  }
  return readFlag(options, "stream_options.include_usage")
}

/** The JSON Schema of the reply's text, where one is asked for. */
const readOutput = (format: unknown, body: string): unknown => {
  if (format === undefined || format === null) return undefined
  const type = own(format, "type")
  switch (type) {
    case "text":
      return undefined
    case "json_object":
      if (!/json/i.test(body.replace("json_object", ""))) {
        refuse(
          "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
          "messages",
          "invalid_value"
        )
      }
      return { type: "object" }
    case "json_schema": {
      const at = "response_format.json_schema"
      const declared = own(format, "json_schema")
      checkName(requiredText(own(declared, "name"), `${at}.name`), `${at}.name`)
      const schema = own(declared, "schema")
      return isRecord(schema) ? schema : schema === undefined
        ? refuseMissing(`${at}.schema`)
        : refuseType(schema, "an object", `${at}.schema`)
    }
    default:
      return refuseValue(type, ["json_object", "json_schema", "text"], "response_format.type")
  }
}

const read = (text: string): ModelRequest => {
  const body = parse(text)
  if (!isRecord(body)) {
    return refuse(
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library " +
        "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
    )
  }
  const model = own(body, "model")
  if (typeof model !== "string" || model === "") return refuse("you must provide a model parameter")
  const foreign = Object.keys(body).find((key) => !knownFields.has(key))
  if (foreign !== undefined) {
    refuse(`Unrecognized request argument supplied: ${foreign}`)
  }
  const list = own(body, "messages")
  if (list === undefined) refuseMissing("messages")
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
  numberIn(body, "temperature", "decimal", 0, 2)
  numberIn(body, "top_p", "decimal", 0, 1)
  numberIn(body, "frequency_penalty", "decimal", -2, 2)
  numberIn(body, "presence_penalty", "decimal", -2, 2)
  const maxTokens = numberIn(body, "max_completion_tokens", "integer", 1, 1e9) ??
    numberIn(body, "max_tokens", "integer", 1, 1e9)
  const stream = readFlag(body, "stream")
  return {
    model,
    messages: messages.map(({ images, role, text, toolCalls }) => ({ images, role, text, toolCalls })),
    tools,
    toolChoice,
    parallel: own(body, "parallel_tool_calls") !== false,
    maxTokens,
    stream,
    includeUsage: readStreamOptions(own(body, "stream_options"), stream),
    output: readOutput(own(body, "response_format"), text)
  }
}

/** The request, or the refusal that the real service would send. */
export const readChatRequest = (text: string): Either.Either<ModelRequest, WireError> => {
  try {
    return Either.right(read(text))
  } catch (thrown) {
    if (thrown instanceof Refused) return Either.left(thrown.error)
    throw thrown
  }
}
