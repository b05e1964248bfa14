/** OpenAI's chat completions on the wire: how a request is written. Pure. */
import { readJson } from "../../internal/readJson.ts"
import { definedFields, type Fields } from "../../internal/record.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import { historicArguments } from "../shared/historicArguments.ts"
import type { PreparedRequest } from "../shared/preparedRequest.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"

/** How dialects of the same protocol differ. */
export interface Dialect {
  readonly maxTokensField: "max_tokens" | "max_completion_tokens"
  readonly reasoningField: "none" | "reasoning_content"
  readonly streamUsage: "ask" | "none"
  readonly reasoningEffort: string | undefined
  readonly prefill: "none" | "prefix" | "continue_final_message"
}

const userPart = (part: Prompt.UserPart): Fields =>
  part._tag === "Text"
    ? { type: "text", text: part.text }
    : {
      type: "image_url",
      image_url: definedFields({
        url: part.source._tag === "Url" ? part.source.url : `data:${part.source.mediaType};base64,${part.source.data}`,
        detail: part.detail
      })
    }

/** One text goes as a plain string: it is the one form that every server takes. */
const userContent = (parts: ReadonlyArray<Prompt.UserPart>): unknown => {
  const [first, ...rest] = parts
  if (first === undefined) return ""
  return rest.length === 0 && first._tag === "Text" ? first.text : parts.map(userPart)
}

const joined = (parts: ReadonlyArray<Prompt.AssistantPart>, tag: "Text" | "Reasoning"): string =>
  parts.flatMap((part) => part._tag === tag ? [part.text] : []).join("")

/** What the same server added to the call, as it came. */
const extraContent = (call: Prompt.ToolCallPart, provider: string): unknown => {
  const state = providerMetadata.read("chat", provider, "extra_content", call.providerMetadata)
  try {
    return state === undefined ? undefined : readJson(state)
  } catch {
    return undefined
  }
}

const assistantMessage = (message: Prompt.AssistantMessage, dialect: Dialect, provider: string): Fields => {
  const calls = message.content.flatMap((part) => part._tag === "ToolCall" ? [part] : [])
  const text = joined(message.content, "Text")
  const reasoning = joined(message.content, "Reasoning")
  return definedFields({
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    reasoning_content: dialect.reasoningField === "reasoning_content" && reasoning !== "" ? reasoning : undefined,
    tool_calls: calls.length === 0 ? undefined : calls.map((call) =>
      definedFields({
        id: call.id,
        type: "function",
        function: { name: call.name, arguments: historicArguments(call.arguments) },
        extra_content: extraContent(call, provider)
      })
    )
  })
}

const messages = (message: Prompt.Message, dialect: Dialect, provider: string): ReadonlyArray<Fields> => {
  switch (message._tag) {
    case "System":
      return [{ role: "system", content: message.content }]
    case "User":
      return [{ role: "user", content: userContent(message.content) }]
    case "Assistant":
      return [assistantMessage(message, dialect, provider)]
    case "Tool":
      return message.content.map((result) => ({ role: "tool", tool_call_id: result.id, content: result.content }))
  }
}

/** Whether the conversation ends with the beginning of the reply that is asked for. */
const endsWithReply = ({ messages }: Prompt.Prompt): boolean => {
  const last = messages.at(-1)
  return last?._tag === "Assistant" && last.content.every(({ _tag }) => _tag !== "ToolCall")
}

/** The conversation, and what says that its last message is to be gone on with. */
const conversation = ({ provider, request }: PreparedRequest, dialect: Dialect): Fields => {
  const prompt = Prompt.make(request.prompt)
  const written = prompt.messages.flatMap((message) => messages(message, dialect, provider))
  const last = written.at(-1)
  if (dialect.prefill === "none" || last === undefined || !endsWithReply(prompt)) return { messages: written }
  return dialect.prefill === "prefix"
    ? { messages: [...written.slice(0, -1), { ...last, prefix: true }] }
    : { messages: written, continue_final_message: true, add_generation_prompt: false }
}

const toolChoice = (choice: LanguageModel.ToolChoice | undefined): unknown =>
  typeof choice === "object" ? { type: "function", function: { name: choice.tool } } : choice

const toolFields = ({ dialects, request, tools }: PreparedRequest): Fields =>
  tools.length === 0 ? {} : {
    tools: tools.map((definition) => ({
      type: "function",
      function: definedFields({ ...definition, strict: dialects.tools === "openai-strict" ? true : undefined })
    })),
    tool_choice: toolChoice(request.toolChoice),
    parallel_tool_calls: request.parallelToolCalls
  }

/** Strict only in its dialect: it takes a part of JSON Schema, and refuses the rest. */
const responseFormat = ({ dialects, format }: PreparedRequest): Fields | undefined =>
  format === undefined
    ? undefined
    : {
      type: "json_schema",
      json_schema: { ...definedFields({ ...format }), strict: dialects.output === "openai-strict" }
    }

/** The body of one request. `providerOptions` come last and win. */
export const encode = (model: string, prepared: PreparedRequest, dialect: Dialect): Fields => {
  const { kind, request } = prepared
  return {
    ...definedFields({
      model,
      ...conversation(prepared, dialect),
      ...toolFields(prepared),
      response_format: responseFormat(prepared),
      temperature: request.temperature,
      top_p: request.topP,
      [dialect.maxTokensField]: request.maxOutputTokens,
      stop: request.stop,
      seed: request.seed,
      frequency_penalty: request.frequencyPenalty,
      presence_penalty: request.presencePenalty,
      user: request.user,
      reasoning_effort: dialect.reasoningEffort,
      ...(kind === "stream" ? { stream: true } : {}),
      ...(kind === "stream" && dialect.streamUsage === "ask" ? { stream_options: { include_usage: true } } : {})
    }),
    ...request.providerOptions,
    ...(kind === "stream" ? { stream: true } : {})
  }
}
