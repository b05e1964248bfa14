/** Reads a request as Anthropic's Messages API does, and refuses it in the same words. */
import * as Either from "effect/Either"
import { isArray, isRecord, own, parse } from "../../shared/json.ts"
import { objectSchemas } from "../parts.ts"
import type { Message, ModelRequest, Reply, Tool } from "../protocol.ts"
import {
  type Block,
  type Fields,
  fieldsAt,
  listAt,
  noExtras,
  optionalFlag,
  readBlock,
  refuse,
  Refused,
  required,
  requiredText,
  saidIn,
  tagOf
} from "./blocks.ts"
import { invalidRequest } from "./failures.ts"

const knownFields =
  "model messages max_tokens system metadata stop_sequences stream temperature top_k top_p thinking tools tool_choice " +
  "output_config output_format cache_control container diagnostics inference_geo service_tier speed user_profile_id " +
  "workspace_id"

/** A message of the wire. */
interface Turn {
  readonly role: "user" | "assistant"
  readonly blocks: ReadonlyArray<Block>
}

const checkTexts = (blocks: ReadonlyArray<Block>, at: string): void => {
  for (const block of blocks) {
    if (block._tag !== "Text") continue
    if (block.text === "") refuse(`${at}: text content blocks must be non-empty`)
    if (block.text.trim() === "") refuse(`${at}: text content blocks must contain non-whitespace text`)
  }
}

const readContent = (content: unknown, at: string): ReadonlyArray<Block> => {
  if (typeof content === "string") return content === "" ? [] : [{ _tag: "Text", text: content }]
  return listAt(content, `${at}.content`).map((block, index) => {
    const path = `${at}.content.${index}`
    return readBlock(fieldsAt(block, path), path)
  })
}

const readTurn = (value: unknown, index: number, count: number): Turn => {
  const at = `messages.${index}`
  const message = fieldsAt(value, at)
  const role = required(message, "role", at)
  if (role === "system") {
    refuse(
      "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as " +
        "an input message role."
    )
  }
  if (role !== "user" && role !== "assistant") return refuse(`${at}.role: Input should be 'user' or 'assistant'`)
  const blocks = readContent(required(message, "content", at), at)
  noExtras(message, "role content", at)
  const isFinal = role === "assistant" && index === count - 1
  if (blocks.length === 0 && !isFinal) {
    refuse(`${at}: all messages must have non-empty content except for the optional final assistant message`)
  }
  checkTexts(blocks, "messages")
  const last = blocks.at(-1)
  if (isFinal && last?._tag === "Text" && last.text !== last.text.trimEnd()) {
    refuse("messages: final assistant content cannot end with trailing whitespace")
  }
  if (role === "assistant" && blocks.some(({ _tag }) => _tag === "Result")) {
    refuse(`${at}: \`tool_result\` blocks can only be in \`user\` messages`)
  }
  if (role === "user" && blocks.some(({ _tag }) => _tag === "Call")) {
    refuse(`${at}: \`tool_use\` blocks can only be in \`assistant\` messages`)
  }
  return { role, blocks }
}

interface Placed {
  readonly block: Block
  readonly message: number
  readonly at: number
}

/** Neighbours of one role are one turn to the API; each block remembers where it stood. */
const joined = (turns: ReadonlyArray<Turn>): ReadonlyArray<ReadonlyArray<Placed>> => {
  const all: Array<Array<Placed>> = []
  turns.forEach(({ blocks, role }, message) => {
    const placed = blocks.map((block, at) => ({ block, message, at }))
    const last = all.at(-1)
    if (last !== undefined && turns[message - 1]?.role === role) last.push(...placed)
    else all.push(placed)
  })
  return all
}

const callIds = (turn: ReadonlyArray<Placed> | undefined): ReadonlyArray<string> =>
  (turn ?? []).flatMap(({ block }) => block._tag === "Call" ? [block.id] : [])

/** The results before anything else: only those count as answers. */
const answeredBy = (turn: ReadonlyArray<Placed> | undefined): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const { block } of turn ?? []) {
    if (block._tag !== "Result") break
    found.push(block.id)
  }
  return found
}

/** Every call is answered once, by the next turn and before anything else in it; every result answers a call. */
const checkOrder = (turns: ReadonlyArray<Turn>): void => {
  const all = joined(turns)
  const used = new Set<string>()
  all.forEach((turn, index) => {
    const asked = callIds(all[index - 1])
    const answered = new Set<string>()
    for (const { at, block, message } of turn) {
      if (block._tag !== "Result") continue
      const path = `messages.${message}.content.${at}`
      if (!asked.includes(block.id)) {
        refuse(
          `${path}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${block.id}. Each \`tool_result\` block ` +
            "must have a corresponding `tool_use` block in the previous message."
        )
      }
      if (answered.has(block.id)) {
        refuse(
          `${path}: each tool_use must have a single result. Found multiple \`tool_result\` blocks with id: ${block.id}`
        )
      }
      answered.add(block.id)
    }
    const calls = callIds(turn)
    for (const id of calls) {
      if (used.has(id)) refuse("messages: `tool_use` ids must be unique")
      used.add(id)
    }
    const next = answeredBy(all[index + 1])
    const open = calls.filter((id) => !next.includes(id))
    if (open.length > 0) {
      refuse(
        `messages.${
          turn[0]?.message ?? index
        }: \`tool_use\` ids were found without \`tool_result\` blocks immediately ` +
          `after: ${
            open.join(", ")
          }. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next ` +
          "message."
      )
    }
  })
}

const messagesOf = ({ blocks, role }: Turn): ReadonlyArray<Message> => {
  const results = blocks.flatMap((block): ReadonlyArray<Message> =>
    block._tag === "Result" ? [{ role: "tool", text: block.text, images: block.images, toolCalls: [] }] : []
  )
  const toolCalls = blocks.flatMap((block) =>
    block._tag === "Call" ? [{ id: block.id, name: block.name, arguments: block.arguments }] : []
  )
  const content = saidIn(blocks)
  const isOnlyResults = results.length > 0 && content.text === "" && content.images === 0
  return isOnlyResults ? results : [...results, { role, ...content, toolCalls }]
}

const readSystem = (system: unknown): ReadonlyArray<Message> => {
  if (system === undefined || system === null) return []
  if (typeof system === "string") {
    return system === ""
      ? []
      : [{ role: "system", text: system, images: 0, toolCalls: [] }]
  }
  const blocks = listAt(system, "system").map((block, index) =>
    readBlock(fieldsAt(block, `system.${index}`), `system.${index}`, ["text"])
  )
  checkTexts(blocks, "system")
  return blocks.length === 0 ? [] : [{ role: "system", ...saidIn(blocks), toolCalls: [] }]
}

const toolFields =
  "name description input_schema type cache_control strict eager_input_streaming defer_loading allowed_callers input_examples"

/** Tools that the API runs itself, by the beginnings of their types; a date follows. */
const serverTools = [
  "bash",
  "browser_toolset",
  "code_execution",
  "computer",
  "computer_toolset",
  "memory",
  "text_editor",
  "tool_search_tool_bm25",
  "tool_search_tool_regex",
  "web_fetch",
  "web_search"
]

const isServerTool = (type: unknown): boolean =>
  typeof type === "string" && serverTools.some((known) => type.startsWith(`${known}_`) && /_\d{8}$/.test(type))

const readTool = (value: unknown, index: number): { readonly name: string; readonly tool: Tool | undefined } => {
  const tool = fieldsAt(value, `tools.${index}`)
  const type = own(tool, "type")
  if (isServerTool(type)) return { name: requiredText(tool, "name", `tools.${index}`), tool: undefined }
  if (type !== undefined && type !== null) {
    tagOf(tool, ["bash_20250124", "custom", "web_search_20260318"], `tools.${index}`)
  }
  const at = `tools.${index}.custom`
  const name = requiredText(tool, "name", at)
  if (!/^[a-zA-Z0-9_-]{1,128}$/.test(name)) refuse(`${at}.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`)
  const inside = `${at}.input_schema`
  const parameters = fieldsAt(required(tool, "input_schema", at), inside)
  if (required(parameters, "type", inside) !== "object") refuse(`${inside}.type: Input should be 'object'`)
  if (["oneOf", "allOf", "anyOf"].some((member) => own(parameters, member) !== undefined)) {
    refuse(`${inside}: input_schema does not support oneOf, allOf, or anyOf at the top level`)
  }
  noExtras(tool, toolFields, at)
  // Strict tools must say what they do not take, like the schema of a reply.
  if (optionalFlag(tool, "strict", at) === true) checkClosed(parameters, `tools.${index}.custom`)
  return { name, tool: { name, parameters } }
}

const checkClosed = (schema: unknown, at: string): void => {
  if (objectSchemas(schema).some((found) => own(found.schema, "additionalProperties") !== false)) {
    refuse(`${at}: For 'object' type, 'additionalProperties' must be explicitly set to false`)
  }
}

/** All tools by name, and those of them that the caller runs: the model of this server calls no others. */
const readTools = (
  value: unknown
): { readonly names: ReadonlyArray<string>; readonly tools: ReadonlyArray<Tool> } => {
  const read = value === undefined || value === null ? [] : listAt(value, "tools").map(readTool)
  const names = read.map(({ name }) => name)
  if (new Set(names).size < names.length) refuse("tools: Tool names must be unique.")
  return { names, tools: read.flatMap(({ tool }) => tool ?? []) }
}

interface Choice {
  readonly toolChoice: ModelRequest["toolChoice"]
  readonly parallel: boolean
}

const readToolChoice = (value: unknown, names: ReadonlyArray<string>): Choice => {
  const usual: Choice = { toolChoice: names.length === 0 ? "none" : "auto", parallel: true }
  if (value === undefined || value === null) return usual
  const choice = fieldsAt(value, "tool_choice")
  const tag = tagOf(choice, ["auto", "any", "tool", "none"], "tool_choice")
  const at = `tool_choice.${tag}`
  if (tag === "none") {
    noExtras(choice, "type", at)
    return { toolChoice: "none", parallel: true }
  }
  const parallel = optionalFlag(choice, "disable_parallel_tool_use", at) !== true
  if (tag === "tool") {
    const name = requiredText(choice, "name", at)
    noExtras(choice, "type name disable_parallel_tool_use", at)
    return names.includes(name)
      ? { toolChoice: { name }, parallel }
      : refuse(`Tool '${name}' not found in provided tools`)
  }
  noExtras(choice, "type disable_parallel_tool_use", at)
  if (tag === "auto") return { ...usual, parallel }
  if (names.length === 0) refuse("tool_choice.any may only be specified while providing tools")
  return { toolChoice: "required", parallel }
}

const checkRange = (body: Fields, name: string, most: number): void => {
  const value = own(body, name) ?? undefined
  if (value === undefined) return
  if (typeof value !== "number") return refuse(`${name}: Input should be a valid number`)
  if (value < 0 || value > most) refuse(`${name}: range: 0..${most}`)
}

const readMaxTokens = (body: Fields): number => {
  const value = required(body, "max_tokens", "")
  if (typeof value !== "number" || !Number.isInteger(value)) {
    return refuse("max_tokens: Input should be a valid integer")
  }
  return value < 1 ? refuse("max_tokens: must be greater than or equal to 1") : value
}

const consult =
  "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"

const checkThinking = (body: Fields, maxTokens: number, { toolChoice }: Choice): void => {
  const value = own(body, "thinking") ?? undefined
  if (value === undefined) return
  const thinking = fieldsAt(value, "thinking")
  if (tagOf(thinking, ["adaptive", "disabled", "enabled"], "thinking") !== "enabled") return
  const budget = required(thinking, "budget_tokens", "thinking.enabled")
  if (typeof budget !== "number" || !Number.isInteger(budget)) {
    return refuse("thinking.enabled.budget_tokens: Input should be a valid integer")
  }
  if (budget < 1024) refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
  if (budget >= maxTokens) {
    refuse(
      `\`max_tokens\` must be greater than \`thinking.budget_tokens\`. ${consult}#max-tokens-and-context-window-size`
    )
  }
  if (toolChoice === "required" || typeof toolChoice === "object") {
    refuse("Thinking may not be enabled when tool_choice forces tool use.")
  }
  if ((own(body, "temperature") ?? 1) !== 1) {
    refuse(
      `\`temperature\` may only be set to 1 when thinking is enabled. ${consult}#important-considerations-when-using-extended-thinking`
    )
  }
}

const readFormat = (value: unknown, at: string): unknown => {
  if (value === undefined || value === null) return undefined
  const format = fieldsAt(value, at)
  tagOf(format, ["json_schema"], at)
  const schema = fieldsAt(required(format, "schema", at), `${at}.schema`)
  noExtras(format, "type schema", at)
  checkClosed(schema, `${at}.schema`)
  return schema
}

/** `output_format` is the older name of `output_config.format`. */
const readOutput = (body: Fields): unknown => {
  const value = own(body, "output_config") ?? undefined
  const config = value === undefined ? {} : fieldsAt(value, "output_config")
  noExtras(config, "effort format", "output_config")
  return readFormat(own(config, "format"), "output_config.format") ??
    readFormat(own(body, "output_format"), "output_format")
}

const checkStops = (body: Fields): void => {
  const value = own(body, "stop_sequences") ?? undefined
  if (value === undefined) return
  listAt(value, "stop_sequences").forEach((stop, index) => {
    if (typeof stop !== "string") return refuse(`stop_sequences.${index}: Input should be a valid string`)
    if (stop.trim() === "") refuse("stop_sequences: each stop sequence must contain non-whitespace")
  })
}

const checkMetadata = (body: Fields): void => {
  const value = own(body, "metadata") ?? undefined
  if (value !== undefined) noExtras(fieldsAt(value, "metadata"), "user_id", "metadata")
}

const readBody = (text: string): ModelRequest => {
  const body = parse(text)
  if (body === undefined) {
    return refuse("The request body is not valid JSON: unexpected character: line 1 column 1 (char 0)")
  }
  if (!isRecord(body)) return refuse("Input should be an object")
  const model = requiredText(body, "model", "")
  if (model === "") refuse("model: String should have at least 1 character")
  const list = required(body, "messages", "")
  if (isArray(list) && list.length === 0) refuse("messages: at least one message is required")
  const maxTokens = readMaxTokens(body)
  const system = readSystem(own(body, "system"))
  const turns = listAt(list, "messages").map((turn, index, all) => readTurn(turn, index, all.length))
  const { names, tools } = readTools(own(body, "tools"))
  const choice = readToolChoice(own(body, "tool_choice"), names)
  checkRange(body, "temperature", 1)
  checkRange(body, "top_p", 1)
  checkThinking(body, maxTokens, choice)
  checkStops(body)
  checkMetadata(body)
  const output = readOutput(body)
  const stream = optionalFlag(body, "stream", "") ?? false
  noExtras(body, knownFields, "")
  checkOrder(turns)
  return {
    model,
    messages: [...system, ...turns.flatMap(messagesOf)],
    tools,
    ...choice,
    maxTokens,
    stream,
    includeUsage: true,
    output
  }
}

/** The request, or the refusal that the real service would send. */
export const read = (text: string): Either.Either<ModelRequest, Reply> => {
  try {
    return Either.right(readBody(text))
  } catch (thrown) {
    if (thrown instanceof Refused) return Either.left(invalidRequest(thrown.message))
    throw thrown
  }
}
