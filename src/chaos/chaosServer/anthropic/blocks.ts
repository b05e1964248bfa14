/** Reads the content of messages as Anthropic's Messages API does, and refuses it in the same words. */
import { isArray, isRecord, own } from "../../shared/json.ts"

/** Thrown by the checks and caught by whoever reads a request, so that they read as a list. */
export class Refused {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

export const refuse = (message: string): never => {
  throw new Refused(message)
}

export type Fields = Readonly<Record<string, unknown>>

export const fieldsAt = (value: unknown, at: string): Fields =>
  isRecord(value) ? value : refuse(`${at}: Input should be an object`)

export const listAt = (value: unknown, at: string): ReadonlyArray<unknown> =>
  isArray(value) ? value : refuse(`${at}: Input should be a valid list`)

const pathOf = (at: string, name: string): string => at === "" ? name : `${at}.${name}`

/** The member, which must be there. */
export const required = (fields: Fields, name: string, at: string): unknown =>
  own(fields, name) ?? refuse(`${pathOf(at, name)}: Field required`)

export const requiredText = (fields: Fields, name: string, at: string): string => {
  const value = required(fields, name, at)
  return typeof value === "string" ? value : refuse(`${pathOf(at, name)}: Input should be a valid string`)
}

/** A member that may be missing or null. */
export const optionalFlag = (fields: Fields, name: string, at: string): boolean | undefined => {
  const value = own(fields, name) ?? undefined
  return value === undefined || typeof value === "boolean"
    ? value
    : refuse(`${pathOf(at, name)}: Input should be a valid boolean`)
}

/** The API takes no member that it does not know. `known` are names, parted by blanks. */
export const noExtras = (fields: Fields, known: string, at: string): void => {
  const names = known.split(" ")
  const extra = Object.keys(fields).find((name) => !names.includes(name))
  if (extra !== undefined) refuse(`${pathOf(at, extra)}: Extra inputs are not permitted`)
}

/** The `type` of something of which there are several kinds. */
export const tagOf = (fields: Fields, known: ReadonlyArray<string>, at: string): string => {
  const tag = required(fields, "type", at)
  return typeof tag === "string" && known.includes(tag) ? tag : refuse(
    `${at}: Input tag '${String(tag)}' found using 'type' does not match any of the expected tags: ${
      known.map((each) => `'${each}'`).join(", ")
    }`
  )
}

/** What a content block means to the model. */
export type Block =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Image" | "Other" }
  | { readonly _tag: "Call"; readonly id: string; readonly name: string; readonly arguments: string }
  | { readonly _tag: "Result"; readonly id: string; readonly text: string; readonly images: number }

const other: Block = { _tag: "Other" }

/** Members of the kinds that are looked into. */
const members = {
  text: "type text citations cache_control",
  image: "type source cache_control",
  thinking: "type thinking signature",
  redacted_thinking: "type data",
  tool_use: "type id name input cache_control caller toolset_name",
  tool_result: "type tool_use_id content is_error cache_control toolset_name"
} as const

/** What the server's own tools did in earlier replies, and documents: taken, and not looked into. */
const blockTags = [
  "bash_code_execution_tool_result",
  "code_execution_tool_result",
  "container_upload",
  "document",
  "image",
  "redacted_thinking",
  "search_result",
  "server_tool_use",
  "text",
  "text_editor_code_execution_tool_result",
  "thinking",
  "tool_result",
  "tool_search_tool_result",
  "tool_use",
  "web_fetch_tool_result",
  "web_search_tool_result"
]

const resultTags = ["text", "image", "search_result", "document", "tool_reference", "browser_state"]

const mediaTypes = ["image/jpeg", "image/png", "image/gif", "image/webp"]
const base64 = /^[A-Za-z0-9+/\s]+(?:={1,2}\s*)?$/
const idPattern = /^[a-zA-Z0-9_-]+$/

const checkImage = (block: Fields, at: string): Block => {
  const inside = `${at}.source`
  const source = fieldsAt(required(block, "source", at), inside)
  switch (tagOf(source, ["base64", "url", "file"], inside)) {
    case "base64": {
      const media = requiredText(source, "media_type", `${inside}.base64`)
      if (!mediaTypes.includes(media)) {
        refuse(`${inside}.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'`)
      }
      if (!base64.test(requiredText(source, "data", `${inside}.base64`))) {
        refuse(`${inside}.base64: invalid base64 data`)
      }
      noExtras(source, "type media_type data", `${inside}.base64`)
      break
    }
    case "url":
      requiredText(source, "url", `${inside}.url`)
      noExtras(source, "type url", `${inside}.url`)
      break
    default:
      requiredText(source, "file_id", `${inside}.file`)
  }
  return { _tag: "Image" }
}

const readCall = (block: Fields, at: string): Block => {
  const id = requiredText(block, "id", at)
  if (!idPattern.test(id)) refuse(`${at}.id: String should match pattern '^[a-zA-Z0-9_-]+$'`)
  const name = requiredText(block, "name", at)
  if (name === "") refuse(`${at}.name: String should have at least 1 character`)
  if (name.length > 200) refuse(`${at}.name: String should have at most 200 characters`)
  const input = fieldsAt(required(block, "input", at), `${at}.input`)
  return { _tag: "Call", id, name, arguments: JSON.stringify(input) }
}

const textOf = (blocks: ReadonlyArray<Block>): string =>
  blocks.flatMap((block) => block._tag === "Text" && block.text !== "" ? [block.text] : []).join("\n")

const imagesOf = (blocks: ReadonlyArray<Block>): number => blocks.filter(({ _tag }) => _tag === "Image").length

/** What of the blocks is said and shown. */
export const saidIn = (blocks: ReadonlyArray<Block>): { readonly text: string; readonly images: number } => ({
  text: textOf(blocks),
  images: imagesOf(blocks)
})

const readResult = (block: Fields, at: string): Block => {
  const id = requiredText(block, "tool_use_id", at)
  if (!idPattern.test(id)) refuse(`${at}.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'`)
  optionalFlag(block, "is_error", at)
  const content = own(block, "content") ?? ""
  if (typeof content === "string") return { _tag: "Result", id, text: content, images: 0 }
  const blocks = listAt(content, `${at}.content`).map((inner, index) => {
    const path = `${at}.content.${index}`
    return readBlock(fieldsAt(inner, path), path, resultTags)
  })
  return { _tag: "Result", id, ...saidIn(blocks) }
}

/** Reads one block; the kind of a block is part of the places in it. */
export const readBlock = (block: Fields, at: string, tags: ReadonlyArray<string> = blockTags): Block => {
  const tag = tagOf(block, tags, at)
  const inside = `${at}.${tag}`
  switch (tag) {
    case "text": {
      const text = requiredText(block, "text", inside)
      noExtras(block, members[tag], inside)
      return { _tag: "Text", text }
    }
    case "image": {
      const image = checkImage(block, inside)
      noExtras(block, members[tag], inside)
      return image
    }
    case "thinking":
      requiredText(block, "thinking", inside)
      requiredText(block, "signature", inside)
      noExtras(block, members[tag], inside)
      return other
    case "redacted_thinking":
      requiredText(block, "data", inside)
      noExtras(block, members[tag], inside)
      return other
    case "tool_use": {
      const call = readCall(block, inside)
      noExtras(block, members[tag], inside)
      return call
    }
    case "tool_result": {
      const result = readResult(block, inside)
      noExtras(block, members[tag], inside)
      return result
    }
    default:
      return other
  }
}
