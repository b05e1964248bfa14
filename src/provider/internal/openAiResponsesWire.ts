/** OpenAI's Responses API on the wire: how a request is written. Pure. */
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import { type Fields, historicArguments } from "./openAiChatWire.ts"

/** How requests of one model are written. */
export interface Dialect {
  readonly store: boolean
  readonly reasoning: { readonly effort?: string | undefined; readonly summary?: string | undefined } | undefined
  readonly reasoningItems: "none" | "reasoning_text"
}

/** The given fields without the undefined ones. */
const present = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const message = (role: "system" | "user" | "assistant", content: unknown): Fields => ({
  type: "message",
  role,
  content
})

const userPart = (part: Prompt.UserPart): Fields =>
  part._tag === "Text"
    ? { type: "input_text", text: part.text }
    : {
      type: "input_image",
      image_url: part.source._tag === "Url"
        ? part.source.url
        : `data:${part.source.mediaType};base64,${part.source.data}`,
      // Optional at OpenAI itself; servers that check against its schema want it.
      detail: part.detail ?? "auto"
    }

/** One text goes as a plain string: it is the one form that every server takes. */
const userContent = (parts: ReadonlyArray<Prompt.UserPart>): unknown => {
  const [first, ...rest] = parts
  if (first === undefined) return ""
  return rest.length === 0 && first._tag === "Text" ? first.text : parts.map(userPart)
}

/** The parts of the model's own message in their order, neighbouring texts as one. */
const assistantItems = (parts: ReadonlyArray<Prompt.AssistantPart>, dialect: Dialect): ReadonlyArray<Fields> => {
  const items: Array<Fields> = []
  let text = ""
  const flush = (): void => {
    if (text !== "") items.push(message("assistant", text))
    text = ""
  }
  for (const part of parts) {
    if (part._tag === "Text") {
      text += part.text
    } else if (part._tag === "ToolCall") {
      flush()
      items.push({
        type: "function_call",
        call_id: part.id,
        name: part.name,
        arguments: historicArguments(part.arguments)
      })
    } else if (dialect.reasoningItems === "reasoning_text" && part.text !== "") {
      flush()
      items.push({ type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: part.text }] })
    }
  }
  flush()
  return items
}

const inputItems = (each: Prompt.Message, dialect: Dialect): ReadonlyArray<Fields> => {
  switch (each._tag) {
    case "System":
      return [message("system", each.content)]
    case "User":
      return [message("user", userContent(each.content))]
    case "Assistant":
      return assistantItems(each.content, dialect)
    case "Tool":
      return each.content.map((result) => ({
        type: "function_call_output",
        call_id: result.id,
        output: result.content
      }))
  }
}

/**
 * System messages at the start are instructions; later ones keep their place in the conversation, as do all where there
 * is nothing else, because a request without input is refused.
 */
const conversation = (prompt: Prompt.Prompt, dialect: Dialect): Fields => {
  const { messages } = prompt
  const leading = Math.max(0, messages.findIndex((each) => each._tag !== "System"))
  const instructions = messages.slice(0, leading).flatMap((each) => each._tag === "System" ? [each.content] : [])
  const input = messages.slice(leading).flatMap((each) => inputItems(each, dialect))
  return {
    instructions: instructions.length === 0 ? undefined : instructions.join("\n\n"),
    input
  }
}

const toolChoice = (choice: LanguageModel.ToolChoice | undefined): unknown =>
  typeof choice === "object" ? { type: "function", name: choice.tool } : choice

const toolFields = (request: LanguageModel.Request): Fields => {
  const definitions = request.tools?.definitions ?? []
  return definitions.length === 0 ? {} : {
    // Left out, strict counts as true here and rewrites the schema: every optional parameter becomes required.
    tools: definitions.map((definition) => ({ type: "function", ...present({ ...definition }), strict: false })),
    tool_choice: toolChoice(request.toolChoice),
    parallel_tool_calls: request.parallelToolCalls
  }
}

/** The body of one request. `providerOptions` come last and win. */
export const encode = (
  model: string,
  request: LanguageModel.Request,
  dialect: Dialect,
  kind: "generate" | "stream"
): Fields => {
  if (request.providerOptions?.["background"] === true) {
    throw new TypeError("background: true asks for a reply that is not finished; leave it out")
  }
  return {
    ...present({
      model,
      ...conversation(Prompt.make(request.prompt), dialect),
      ...toolFields(request),
      temperature: request.temperature,
      top_p: request.topP,
      max_output_tokens: request.maxOutputTokens,
      frequency_penalty: request.frequencyPenalty,
      presence_penalty: request.presencePenalty,
      reasoning: dialect.reasoning === undefined ? undefined : present({ ...dialect.reasoning }),
      user: request.user,
      store: dialect.store
    }),
    ...request.providerOptions,
    ...(kind === "stream" ? { stream: true } : {})
  }
}

/**
 * What the request asks for and the protocol cannot do. A seed is left out without a word, as repeating is a best effort
 * anyway; texts that end the reply are none.
 */
export const missing = (request: LanguageModel.Request): "stop" | undefined =>
  request.stop !== undefined && request.stop.length > 0 ? "stop" : undefined
