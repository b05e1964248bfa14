/** Reads the input of a Responses request: its items, and whether calls and their outputs belong together. */
import { isArray, own } from "../../shared/json.ts"
import { fieldsAt, noForeign, refuse, refuseMissing, refuseType, refuseValue, requiredText } from "../openAi/checks.ts"
import type { Message, ToolCall } from "../protocol.ts"

type Fields = Readonly<Record<string, unknown>>

type Item =
  | { readonly _tag: "Message"; readonly message: Message }
  | { readonly _tag: "Call"; readonly call: ToolCall }
  | { readonly _tag: "Output"; readonly callId: string; readonly message: Message }
  | { readonly _tag: "Nothing" }

const nothing: Item = { _tag: "Nothing" }

const roles = ["assistant", "system", "developer", "user"]

const partTypes = [
  "input_text",
  "input_image",
  "input_audio",
  "output_text",
  "refusal",
  "input_file",
  "computer_screenshot",
  "summary_text",
  "encrypted_content"
]

const assistantTypes = ["output_text", "refusal"]
const inputTypes = ["input_text", "input_image", "input_audio", "input_file"]
const outputTypes = ["input_text", "input_image", "input_file", "scoped_content"]

/** What the API's own tools did, and other items that say nothing to this server's model: taken, and not looked into. */
const otherItems = ("additional_tools apply_patch_call apply_patch_call_output code_interpreter_call compaction " +
  "compaction_trigger computer_call computer_call_output custom_tool_call custom_tool_call_output file_search_call " +
  "image_generation_call local_shell_call local_shell_call_output mcp_approval_request mcp_approval_response mcp_call " +
  "mcp_list_tools program program_output shell_call shell_call_output tool_search_call tool_search_output web_search_call")
  .split(" ")

const itemTypes = ["message", "function_call", "function_call_output", "reasoning", "item_reference", ...otherItems]
  .sort()

interface Said {
  readonly text: string
  readonly images: number
}

const joined = (parts: ReadonlyArray<Said>): Said => ({
  text: parts.map(({ text }) => text).filter((text) => text !== "").join("\n"),
  images: parts.reduce((sum, { images }) => sum + images, 0)
})

const readPart = (value: unknown, allowed: ReadonlyArray<string>, at: string): Said => {
  const part = fieldsAt(value, at)
  const type = requiredText(own(part, "type"), `${at}.type`)
  if (!partTypes.includes(type) && !allowed.includes(type)) return refuseValue(type, partTypes, `${at}.type`)
  if (!allowed.includes(type)) return refuseValue(type, allowed, at)
  switch (type) {
    case "input_text":
    case "output_text":
      return { text: requiredText(own(part, "text"), `${at}.text`), images: 0 }
    case "refusal":
      return { text: requiredText(own(part, "refusal"), `${at}.refusal`), images: 0 }
    case "input_image":
      if ((own(part, "file_id") ?? undefined) === undefined) requiredText(own(part, "image_url"), `${at}.image_url`)
      return { text: "", images: 1 }
    default:
      return { text: "", images: 1 }
  }
}

const readParts = (content: unknown, allowed: ReadonlyArray<string>, at: string): Said =>
  typeof content === "string"
    ? { text: content, images: 0 }
    : isArray(content)
    ? joined(content.map((part, index) => readPart(part, allowed, `${at}[${index}]`)))
    : content === undefined
    ? refuseMissing(at)
    : refuseType(content, "one of an array of objects or string", at)

/** Ids of items are the API's own; others are refused by how they begin. */
const checkId = (item: Fields, prefix: string, at: string): void => {
  const id = own(item, "id") ?? undefined
  if (id === undefined) return
  const text = requiredText(id, `${at}.id`)
  if (!text.startsWith(prefix)) {
    refuse(`Invalid '${at}.id': '${text}'. Expected an ID that begins with '${prefix}'.`, `${at}.id`, "invalid_value")
  }
}

const readMessage = (item: Fields, at: string): Item => {
  const role = requiredText(own(item, "role"), `${at}.role`)
  if (!roles.includes(role)) return refuseValue(role, roles, `${at}.role`)
  noForeign(item, "type role content id status phase", at)
  checkId(item, "msg", at)
  const content = readParts(own(item, "content"), role === "assistant" ? assistantTypes : inputTypes, `${at}.content`)
  return {
    _tag: "Message",
    message: {
      role: role === "assistant" || role === "user" ? role : "system",
      ...content,
      toolCalls: []
    }
  }
}

const readItem = (value: unknown, index: number): Item => {
  const at = `input[${index}]`
  const item = fieldsAt(value, at)
  const type = own(item, "type") ?? (own(item, "role") === undefined ? undefined : "message")
  switch (type) {
    case "message":
      return readMessage(item, at)
    case "function_call": {
      const call = {
        id: requiredText(own(item, "call_id"), `${at}.call_id`),
        name: requiredText(own(item, "name"), `${at}.name`),
        arguments: requiredText(own(item, "arguments"), `${at}.arguments`)
      }
      noForeign(item, "type call_id name arguments id status namespace caller", at)
      checkId(item, "fc", at)
      return { _tag: "Call", call }
    }
    case "function_call_output": {
      const callId = requiredText(own(item, "call_id"), `${at}.call_id`)
      const content = readParts(own(item, "output"), outputTypes, `${at}.output`)
      noForeign(item, "type call_id output id status caller", at)
      return { _tag: "Output", callId, message: { role: "tool", ...content, toolCalls: [] } }
    }
    case "reasoning": {
      if (!isArray(own(item, "summary"))) refuseMissing(`${at}.summary`)
      noForeign(item, "type id summary content encrypted_content", at)
      checkId(item, "rs", at)
      return nothing
    }
    case "item_reference":
      return refuse(
        `Item with id '${
          String(own(item, "id"))
        }' not found. Items are not persisted when \`store\` is set to false. Try again with ` +
          "`store` set to true, or remove this item from your input.",
        "input",
        undefined,
        404
      )
    default:
      if (type === undefined) return refuseMissing(`${at}.type`)
      return typeof type === "string" && otherItems.includes(type) ? nothing : refuseValue(type, itemTypes, at)
  }
}

/** Calls and their outputs may stand anywhere, but each needs the other, and the call comes first. */
const checkPairs = (items: ReadonlyArray<Item>): void => {
  const open = new Set<string>()
  const made = new Set<string>()
  for (const item of items) {
    if (item._tag === "Call") {
      open.add(item.call.id)
      made.add(item.call.id)
    }
    if (item._tag === "Output") {
      if (!made.has(item.callId)) {
        refuse(`No tool call found for function call output with call_id ${item.callId}.`, "input")
      }
      open.delete(item.callId)
    }
  }
  const [first] = open
  if (first !== undefined) refuse(`No tool output found for function call ${first}.`, "input")
}

/** Calls in a row were made together, so they are one message; so is a call right behind the text that announces it. */
const messagesOf = (items: ReadonlyArray<Item>): ReadonlyArray<Message> => {
  const messages: Array<Message> = []
  for (const item of items) {
    if (item._tag === "Nothing") continue
    const last = messages.at(-1)
    if (item._tag !== "Call") messages.push(item.message)
    else if (last?.role === "assistant") {
      messages[messages.length - 1] = { ...last, toolCalls: [...last.toolCalls, item.call] }
    } else messages.push({ role: "assistant", text: "", images: 0, toolCalls: [item.call] })
  }
  return messages
}

/** The conversation in the input, or the refusal that the real service would send. */
export const readInput = (body: unknown): ReadonlyArray<Message> => {
  const input = own(body, "input") ?? undefined
  if (input === undefined || (isArray(input) && input.length === 0)) {
    return refuse(
      "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
      "input",
      "missing_required_parameter"
    )
  }
  if (typeof input === "string") return [{ role: "user", text: input, images: 0, toolCalls: [] }]
  if (!isArray(input)) return refuseType(input, "one of an array of input items or string", "input")
  const items = input.map(readItem)
  checkPairs(items)
  return messagesOf(items)
}
