/** Anthropic's Messages API on the wire: how a request is written. Pure. */
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import type { Kind } from "./httpModel.ts"
import { type Fields, historicArguments, isFields } from "./openAiChatWire.ts"

interface Turn {
  readonly role: "user" | "assistant"
  readonly content: Array<Fields>
}

/** Blocks without a visible character are refused by the API, so they are not sent. */
const textBlock = (text: string): ReadonlyArray<Fields> => text.trim() === "" ? [] : [{ type: "text", text }]

/** The API takes the bytes of a `data:` address, but not the address itself. */
const imageSource = (source: Prompt.ImageSource): Fields => {
  if (source._tag === "Base64") return { type: "base64", media_type: source.mediaType, data: source.data }
  const comma = source.url.indexOf(",")
  const head = source.url.slice(0, Math.max(comma, 0))
  return /^data:[^;]+(;[^;]+)*;base64$/i.test(head.slice(0, 200))
    ? { type: "base64", media_type: head.slice(5, head.indexOf(";")), data: source.url.slice(comma + 1) }
    : { type: "url", url: source.url }
}

const userBlocks = (part: Prompt.UserPart): ReadonlyArray<Fields> =>
  part._tag === "Text" ? textBlock(part.text) : [{ type: "image", source: imageSource(part.source) }]

const assistantBlocks = (part: Prompt.AssistantPart): ReadonlyArray<Fields> => {
  switch (part._tag) {
    case "Text":
      return textBlock(part.text)
    case "Reasoning":
      // The API takes thinking back only with its signature, and a part holds none.
      return []
    case "ToolCall":
      return [{ type: "tool_use", id: part.id, name: part.name, input: JSON.parse(historicArguments(part.arguments)) }]
  }
}

const resultBlock = (result: Prompt.ToolResultPart): Fields => ({
  type: "tool_result",
  tool_use_id: result.id,
  ...(result.content === "" ? {} : { content: result.content }),
  ...(result.isError ? { is_error: true } : {})
})

const turnOf = (message: Prompt.Message): Turn | undefined => {
  switch (message._tag) {
    case "System":
      return undefined
    case "User":
      return { role: "user", content: message.content.flatMap(userBlocks) }
    case "Assistant":
      return { role: "assistant", content: message.content.flatMap(assistantBlocks) }
    case "Tool":
      return { role: "user", content: message.content.map(resultBlock) }
  }
}

const isResult = (block: Fields): boolean => block["type"] === "tool_result"

/** Results come first in their message: the API wants them straight behind the calls. */
const resultsFirst = (turn: Turn): Turn =>
  turn.content.some(isResult)
    ? {
      role: turn.role,
      content: [...turn.content.filter(isResult), ...turn.content.filter((block) => !isResult(block))]
    }
    : turn

/** Roles alternate on the wire: neighbours of one role are one message, and all results of a turn stand together. */
const turnsOf = (messages: ReadonlyArray<Prompt.Message>): ReadonlyArray<Turn> => {
  const turns: Array<Turn> = []
  for (const message of messages) {
    const turn = turnOf(message)
    if (turn === undefined || turn.content.length === 0) continue
    const last = turns.at(-1)
    if (last?.role === turn.role) last.content.push(...turn.content)
    else turns.push(turn)
  }
  return turns.map(resultsFirst)
}

/** A reply that the model is to continue must not end in white space. */
const trimEnd = (messages: ReadonlyArray<Prompt.Message>): ReadonlyArray<Prompt.Message> => {
  const last = messages.at(-1)
  const part = last?._tag === "Assistant" ? last.content.at(-1) : undefined
  return last?._tag !== "Assistant" || part?._tag !== "Text"
    ? messages
    : [...messages.slice(0, -1), Prompt.assistant([...last.content.slice(0, -1), Prompt.text(part.text.trimEnd())])]
}

/** Instructions have a place of their own, so those from the middle of a conversation move to its front. */
const system = (messages: ReadonlyArray<Prompt.Message>): unknown => {
  const texts = messages.flatMap((message) =>
    message._tag === "System" && message.content.trim() !== "" ? [message.content] : []
  )
  return texts.length <= 1 ? texts[0] : texts.map((text) => ({ type: "text", text }))
}

const toolChoice = (request: LanguageModel.Request): unknown => {
  const { parallelToolCalls, toolChoice: choice } = request
  if (choice === "none") return { type: "none" }
  const oneAtATime = parallelToolCalls === undefined ? {} : { disable_parallel_tool_use: !parallelToolCalls }
  if (typeof choice === "object") return { type: "tool", name: choice.tool, ...oneAtATime }
  if (choice === "required") return { type: "any", ...oneAtATime }
  return choice === "auto" || parallelToolCalls !== undefined ? { type: "auto", ...oneAtATime } : undefined
}

const toolFields = (request: LanguageModel.Request): Fields => {
  const definitions = request.tools?.definitions ?? []
  return definitions.length === 0 ? {} : {
    tools: definitions.map(({ description, name, parameters }) => ({ name, description, input_schema: parameters })),
    tool_choice: toolChoice(request)
  }
}

/** Thinking is paid from max_tokens, which must be larger than its budget. */
const thinkingBudget = (options: LanguageModel.Request["providerOptions"]): number => {
  const thinking = options?.["thinking"]
  const budget = isFields(thinking) ? thinking["budget_tokens"] : undefined
  return typeof budget === "number" && Number.isSafeInteger(budget) && budget > 0 ? budget : 0
}

/** Whether the prompt has a message with content that can be sent: instructions alone, or blank text, have none. */
export const hasContent = (prompt: Prompt.Input): boolean => turnsOf(Prompt.make(prompt).messages).length > 0

/** The body of one request. `providerOptions` come last and win. */
export const encode = (
  model: string,
  request: LanguageModel.Request,
  options: { readonly maxOutputTokens: number },
  kind: Kind
): Fields => {
  const { messages } = Prompt.make(request.prompt)
  const { providerOptions } = request
  if (kind === "stream" && (providerOptions?.["stream"] ?? true) !== true) {
    throw new TypeError("stream asks for an event stream itself: leave stream out of providerOptions")
  }
  return {
    model,
    max_tokens: request.maxOutputTokens ?? options.maxOutputTokens + thinkingBudget(providerOptions),
    system: system(messages),
    messages: turnsOf(trimEnd(messages)),
    ...toolFields(request),
    temperature: request.temperature,
    top_p: request.topP,
    stop_sequences: request.stop,
    metadata: request.user === undefined ? undefined : { user_id: request.user },
    ...(kind === "stream" ? { stream: true } : {}),
    ...providerOptions
  }
}
