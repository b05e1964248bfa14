/** Anthropic's Messages API on the wire: how a request is written. Pure. */
import { type Fields, isRecord } from "../../internal/record.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import { citedBlock, withoutRepetition } from "../shared/citedText.ts"
import { historicObject } from "../shared/historicArguments.ts"
import { describedSchema, type PreparedRequest } from "../shared/preparedRequest.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"

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

/** The API takes thinking back only with its signature, to the letter; what another provider thought stays behind. */
const thinkingBlock = (part: Prompt.ReasoningPart, provider: string): ReadonlyArray<Fields> => {
  const data = providerMetadata.read("anthropic", provider, "redacted", part.providerMetadata)
  if (data !== undefined) return [{ type: "redacted_thinking", data }]
  const signature = providerMetadata.read("anthropic", provider, "signature", part.providerMetadata)
  return signature === undefined ? [] : [{ type: "thinking", thinking: part.text, signature }]
}

/** What the server did by itself goes back as it came: the API refuses a result without its use. */
const ownBlock = (part: Prompt.ProviderPart, provider: string): ReadonlyArray<Fields> => {
  const block = providerMetadata.recordIn(providerMetadata.read("anthropic", provider, "block", part.providerMetadata))
  return block === undefined ? [] : [block]
}

const cited = (part: Prompt.TextPart, provider: string): ReadonlyArray<Fields> | undefined => {
  const block = citedBlock(part, providerMetadata.read("anthropic", provider, "cited", part.providerMetadata))
  return block === undefined ? undefined : [block]
}

const assistantBlocks = (part: Prompt.AssistantPart, provider: string): ReadonlyArray<Fields> => {
  switch (part._tag) {
    case "Text":
      return cited(part, provider) ?? textBlock(part.text)
    case "Reasoning":
      return thinkingBlock(part, provider)
    case "ProviderPart":
      return ownBlock(part, provider)
    case "ToolCall":
      return [{ type: "tool_use", id: part.id, name: part.name, input: historicObject(part.arguments) }]
  }
}

const isThinking = (block: Fields): boolean => block["type"] === "thinking" || block["type"] === "redacted_thinking"

/** The API refuses a message that ends in thinking, as a reply does that was cut while it was thought about. */
const withoutLooseEnd = (blocks: ReadonlyArray<Fields>): Array<Fields> => {
  let end = blocks.length
  for (let last = blocks[end - 1]; last !== undefined && isThinking(last); last = blocks[end - 1]) end--
  return blocks.slice(0, end)
}

const resultBlock = (result: Prompt.ToolResultPart): Fields => ({
  type: "tool_result",
  tool_use_id: result.id,
  ...(result.content === "" ? {} : { content: result.content }),
  ...(result.isError ? { is_error: true } : {})
})

const turnOf = (message: Prompt.Message, provider: string): Turn | undefined => {
  switch (message._tag) {
    case "System":
      return undefined
    case "User":
      return { role: "user", content: message.content.flatMap(userBlocks) }
    case "Assistant":
      return {
        role: "assistant",
        content: withoutLooseEnd(
          withoutRepetition(message.content.flatMap((part) => assistantBlocks(part, provider)), "citations")
        )
      }
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
const turnsOf = (messages: ReadonlyArray<Prompt.Message>, provider: string): ReadonlyArray<Turn> => {
  const turns: Array<Turn> = []
  for (const message of messages) {
    const turn = turnOf(message, provider)
    if (turn === undefined || turn.content.length === 0) continue
    const last = turns.at(-1)
    if (last?.role === turn.role) last.content.push(...turn.content)
    else turns.push(turn)
  }
  return turns.map(resultsFirst)
}

/** A reply that the model is to continue must not end in white space, whatever was left out behind it. */
const trimEnd = (turns: ReadonlyArray<Turn>): ReadonlyArray<Turn> => {
  const last = turns.at(-1)
  const block = last?.content.at(-1)
  const text = block?.["text"]
  return last?.role !== "assistant" || block?.["type"] !== "text" || typeof text !== "string"
    ? turns
    : [...turns.slice(0, -1), { ...last, content: [...last.content.slice(0, -1), { ...block, text: text.trimEnd() }] }]
}

/** Instructions have a place of their own, so those from the middle of a conversation move to its front. */
const system = (messages: ReadonlyArray<Prompt.Message>, more: ReadonlyArray<string>): unknown => {
  const own = messages.flatMap((message) =>
    message._tag === "System" && message.content.trim() !== "" ? [message.content] : []
  )
  const texts = [...own, ...more]
  return texts.length <= 1 ? texts[0] : texts.map((text) => ({ type: "text", text }))
}

/** With thinking on the API refuses a forced tool, so there the choice is the model's and the instructions force it. */
const isForced = ({ toolChoice: choice }: LanguageModel.Request): boolean =>
  choice === "required" || typeof choice === "object"

const forcedInWords = ({ toolChoice: choice }: LanguageModel.Request): string =>
  typeof choice === "object"
    ? `Answer by calling the tool "${choice.tool}", and with nothing else.`
    : "Answer by calling a tool, and with nothing else."

const toolChoice = (request: LanguageModel.Request, isThinking: boolean): unknown => {
  const { parallelToolCalls, toolChoice: given } = request
  const choice = isThinking && isForced(request) ? "auto" : given
  if (choice === "none") return { type: "none" }
  const oneAtATime = parallelToolCalls === undefined ? {} : { disable_parallel_tool_use: !parallelToolCalls }
  if (typeof choice === "object") return { type: "tool", name: choice.tool, ...oneAtATime }
  if (choice === "required") return { type: "any", ...oneAtATime }
  return choice === "auto" || parallelToolCalls !== undefined ? { type: "auto", ...oneAtATime } : undefined
}

const toolFields = ({ dialects, request, tools }: PreparedRequest, isThinking: boolean): Fields =>
  tools.length === 0 ? {} : {
    tools: tools.map(({ description, name, parameters }) => ({
      name,
      description,
      input_schema: parameters,
      ...(dialects.tools === "anthropic" ? { strict: true } : {})
    })),
    tool_choice: toolChoice(request, isThinking)
  }

/** How requests of one model are written. */
export interface Dialect {
  readonly maxOutputTokens: number
  readonly thinking: Fields | undefined
  readonly effort: string | undefined
}

/** Thinking is paid from max_tokens, which must be larger than its budget. */
const thinkingBudget = (thinking: unknown): number => {
  const budget = isRecord(thinking) ? thinking["budget_tokens"] : undefined
  return typeof budget === "number" && Number.isSafeInteger(budget) && budget > 0 ? budget : 0
}

/** What is said of the output stands in one field; `providerOptions` may add to it without taking the rest away. */
const outputConfig = ({ format, request }: PreparedRequest, effort: string | undefined): Fields => {
  const given = request.providerOptions?.["output_config"]
  if (given !== undefined && !isRecord(given)) return {}
  const config = {
    ...(effort === undefined ? {} : { effort }),
    ...(format === undefined ? {} : { format: { type: "json_schema", schema: describedSchema(format) } }),
    ...given
  }
  return Object.keys(config).length === 0 ? {} : { output_config: config }
}

/** Whether the prompt has a message with content that can be sent: instructions alone, or blank text, have none. */
export const hasContent = (prompt: Prompt.Input, provider: string): boolean =>
  turnsOf(Prompt.make(prompt).messages, provider).length > 0

/** The body of one request. `providerOptions` come last and win. */
export const encode = (model: string, prepared: PreparedRequest, dialect: Dialect): Fields => {
  const { kind, provider, request } = prepared
  const { messages } = Prompt.make(request.prompt)
  const { providerOptions } = request
  if (kind === "stream" && (providerOptions?.["stream"] ?? true) !== true) {
    throw new TypeError("stream asks for an event stream itself: leave stream out of providerOptions")
  }
  const thinking = providerOptions?.["thinking"] ?? dialect.thinking
  const thinks = isRecord(thinking) && thinking["type"] !== "disabled"
  const inWords = thinks && isForced(request) && prepared.tools.length > 0 ? [forcedInWords(request)] : []
  return {
    model,
    max_tokens: request.maxOutputTokens ?? dialect.maxOutputTokens + thinkingBudget(thinking),
    system: system(messages, inWords),
    messages: trimEnd(turnsOf(messages, provider)),
    ...toolFields(prepared, thinks),
    temperature: request.temperature,
    top_p: request.topP,
    stop_sequences: request.stop,
    metadata: request.user === undefined ? undefined : { user_id: request.user },
    thinking: dialect.thinking,
    ...(kind === "stream" ? { stream: true } : {}),
    ...providerOptions,
    ...outputConfig(prepared, dialect.effort)
  }
}
