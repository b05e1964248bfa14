/** OpenAI's Responses API on the wire: how a request is written. Pure. */
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import { citedBlock, withoutRepetition } from "../shared/citedText.ts"
import { historicArguments } from "../shared/historicArguments.ts"
import type { PreparedRequest } from "../shared/preparedRequest.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"

/** How requests of one model are written. */
export interface Dialect {
  readonly store: boolean
  readonly reasoning: { readonly effort?: string | undefined; readonly summary?: string | undefined } | undefined
  readonly reasoningItems: "none" | "reasoning_text"
  /** Whether reasoning is asked for in a form that can be sent back. */
  readonly encryptedReasoning: boolean
}

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

/** The item as it came, where it is this provider's own. */
const ownReasoning = (part: Prompt.ReasoningPart, provider: string): Fields | undefined => {
  const state = providerMetadata.read("responses", provider, "reasoning", part.providerMetadata)
  const item = providerMetadata.recordIn(state)
  return item === undefined ? undefined : { type: "reasoning", ...item }
}

/** What the server did by itself goes back as it came. */
const ownItem = (part: Prompt.ProviderPart, provider: string): Fields | undefined =>
  providerMetadata.recordIn(providerMetadata.read("responses", provider, "item", part.providerMetadata))

/** A text with its annotations as it came, and any other text without. */
const outputText = (part: Prompt.TextPart, provider: string): Fields =>
  citedBlock(part, providerMetadata.read("responses", provider, "cited", part.providerMetadata)) ??
    { type: "output_text", text: part.text, annotations: [] }

/** Texts one after another as one message: a plain string, which every server takes, unless there are annotations to keep. */
const assistantMessage = (parts: ReadonlyArray<Prompt.TextPart>, provider: string): ReadonlyArray<Fields> => {
  const texts = parts.map((part) => outputText(part, provider)).filter(({ text }) => text !== "")
  const pieces = withoutRepetition(joined(texts), "annotations")
  if (pieces.length === 0) return []
  const [first, ...more] = pieces
  return [message("assistant", more.length === 0 && first !== undefined && isPlain(first) ? first["text"] : pieces)]
}

const isPlain = ({ annotations }: Fields): boolean => Array.isArray(annotations) && annotations.length === 0

/** Neighbouring texts without annotations as one. */
const joined = (texts: ReadonlyArray<Fields>): ReadonlyArray<Fields> => {
  const pieces: Array<Fields> = []
  for (const piece of texts) {
    const last = pieces.at(-1)
    if (last !== undefined && isPlain(last) && isPlain(piece)) {
      pieces[pieces.length - 1] = { ...last, text: `${String(last["text"])}${String(piece["text"])}` }
    } else {
      pieces.push(piece)
    }
  }
  return pieces
}

const reasoningItem = (part: Prompt.ReasoningPart, dialect: Dialect, provider: string): Fields | undefined =>
  ownReasoning(part, provider) ?? (dialect.reasoningItems === "reasoning_text" && part.text !== ""
    ? { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: part.text }] }
    : undefined)

/** The API refuses reasoning that nothing came of, as a reply has it that was cut while it was thought about. */
const withoutLooseEnd = (items: ReadonlyArray<Fields>): ReadonlyArray<Fields> => {
  let end = items.length
  while (end > 0 && items[end - 1]?.["encrypted_content"] !== undefined) end--
  return items.slice(0, end)
}

/** The parts of the model's own message in their order, neighbouring texts as one. */
const assistantItems = (
  parts: ReadonlyArray<Prompt.AssistantPart>,
  dialect: Dialect,
  provider: string
): ReadonlyArray<Fields> => {
  const items: Array<Fields> = []
  let texts: Array<Prompt.TextPart> = []
  const flush = (): void => {
    items.push(...assistantMessage(texts, provider))
    texts = []
  }
  for (const part of parts) {
    if (part._tag === "Text") {
      texts.push(part)
    } else if (part._tag === "ToolCall") {
      flush()
      items.push({
        type: "function_call",
        call_id: part.id,
        name: part.name,
        arguments: historicArguments(part.arguments)
      })
    } else {
      const item = part._tag === "Reasoning" ? reasoningItem(part, dialect, provider) : ownItem(part, provider)
      if (item === undefined) continue
      flush()
      items.push(item)
    }
  }
  flush()
  return withoutLooseEnd(items)
}

const inputItems = (each: Prompt.Message, dialect: Dialect, provider: string): ReadonlyArray<Fields> => {
  switch (each._tag) {
    case "System":
      return [message("system", each.content)]
    case "User":
      return [message("user", userContent(each.content))]
    case "Assistant":
      return assistantItems(each.content, dialect, provider)
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
const conversation = (prompt: Prompt.Prompt, dialect: Dialect, provider: string): Fields => {
  const { messages } = prompt
  const leading = Math.max(0, messages.findIndex((each) => each._tag !== "System"))
  const instructions = messages.slice(0, leading).flatMap((each) => each._tag === "System" ? [each.content] : [])
  const input = messages.slice(leading).flatMap((each) => inputItems(each, dialect, provider))
  return {
    instructions: instructions.length === 0 ? undefined : instructions.join("\n\n"),
    input
  }
}

const toolChoice = (choice: LanguageModel.ToolChoice | undefined): unknown =>
  typeof choice === "object" ? { type: "function", name: choice.tool } : choice

const toolFields = ({ dialects, request, tools }: PreparedRequest): Fields =>
  tools.length === 0 ? {} : {
    // Left out, strict counts as true here and rewrites the schema: every optional parameter becomes required.
    tools: tools.map((definition) => ({
      type: "function",
      ...definedFields({ ...definition }),
      strict: dialects.tools === "openai-strict"
    })),
    tool_choice: toolChoice(request.toolChoice),
    parallel_tool_calls: request.parallelToolCalls
  }

/** What is said of the text stands in one field; `providerOptions` may add to it without taking the rest away. */
const textField = ({ dialects, format, request }: PreparedRequest): Fields => {
  const given = request.providerOptions?.["text"]
  // Strict only in its dialect: it takes a part of JSON Schema, and refuses the rest.
  const strict = dialects.output === "openai-strict"
  return format === undefined || (given !== undefined && !isRecord(given)) ? {} : {
    text: { format: { type: "json_schema", ...definedFields({ ...format }), strict }, ...given }
  }
}

const encryptedContent = "reasoning.encrypted_content"

/** Without it a reasoning item is only a name, which means nothing to a server that stores nothing. */
const includeField = ({ request }: PreparedRequest, dialect: Dialect): Fields => {
  const given = request.providerOptions?.["include"] ?? []
  return dialect.encryptedReasoning && Array.isArray(given)
    ? { include: given.includes(encryptedContent) ? given : [...given, encryptedContent] }
    : {}
}

/** The body of one request. `providerOptions` come last and win. */
export const encode = (model: string, prepared: PreparedRequest, dialect: Dialect): Fields => {
  const { kind, provider, request } = prepared
  if (kind !== "background" && request.providerOptions?.["background"] === true) {
    throw new TypeError(
      "background: true asks for a reply that is not finished; leave it out, and ask by resumable, or by a policy " +
        "whose stream goes on with a reply that broke (onBreak: \"resume\")"
    )
  }
  return {
    ...definedFields({
      model,
      ...conversation(Prompt.make(request.prompt), dialect, provider),
      ...toolFields(prepared),
      temperature: request.temperature,
      top_p: request.topP,
      max_output_tokens: request.maxOutputTokens,
      frequency_penalty: request.frequencyPenalty,
      presence_penalty: request.presencePenalty,
      reasoning: dialect.reasoning === undefined ? undefined : definedFields({ ...dialect.reasoning }),
      user: request.user,
      store: dialect.store
    }),
    ...request.providerOptions,
    ...textField(prepared),
    ...includeField(prepared, dialect),
    ...(kind === "generate" ? {} : { stream: true }),
    ...(kind === "background" ? { background: true } : {})
  }
}
