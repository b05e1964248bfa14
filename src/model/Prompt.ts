/**
 * What is sent to a model: a list of messages, as plain data that any store or queue can hold.
 *
 * @example
 * import * as Prompt from "effect-llm-resilience/model/Prompt"
 *
 * const prompt = Prompt.make([
 *   Prompt.system("Answer in one word."),
 *   Prompt.user([Prompt.text("What is in this picture?"), Prompt.imageUrl("https://example.com/cat.png")])
 * ])
 *
 * // A string is a prompt of one user message.
 * const short = Prompt.append("What is the capital of France?", Prompt.assistant("Paris"), Prompt.user("Of Peru?"))
 * console.log(prompt.messages.length, short.messages.length) // 2 3
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Dialect } from "./shared/dialectNames.ts"

/**
 * What a provider gave us to keep and cannot be read here: the signature of a thought, encrypted reasoning. It belongs to
 * one part, and goes back to the provider with that part, to the letter; nobody else is sent it. Its text starts with who
 * wrote it, such as `"anthropic/anthropic:"`: the protocol, and the `provider` of the model's options. So two servers that
 * cannot read each other's state need two names.
 */
const providerMetadata = Schema.optional(Schema.String)

/**
 * A piece of text. Of a user's text `providerMetadata` is ignored.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TextPart = Schema.TaggedStruct("Text", {
  /** Empty only where there is `providerMetadata`. */
  text: Schema.String,
  /** State of the provider that belongs to this text; only the one that wrote it reads it. */
  providerMetadata
}).annotations({ identifier: "TextPart" })

/**
 * A piece of text.
 *
 * @since 0.1.0
 * @category models
 */
export interface TextPart extends Schema.Schema.Type<typeof TextPart> {}

/**
 * Where an image comes from: an address the provider fetches, or the bytes themselves in base 64.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ImageSource = Schema.Union(
  Schema.TaggedStruct("Url", { url: Schema.String }),
  Schema.TaggedStruct("Base64", { data: Schema.String, mediaType: Schema.String })
).annotations({ identifier: "ImageSource" })

/**
 * Where an image comes from: an address the provider fetches, or the bytes themselves in base 64.
 *
 * @since 0.1.0
 * @category models
 */
export type ImageSource = typeof ImageSource.Type

/**
 * How closely the model is to look at an image. More detail costs more tokens.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ImageDetail = Schema.Literal("auto", "low", "high")

/**
 * How closely the model is to look at an image. More detail costs more tokens.
 *
 * @since 0.1.0
 * @category models
 */
export type ImageDetail = typeof ImageDetail.Type

/**
 * An image. Models without sight refuse it (see `LanguageModel.Capabilities`).
 *
 * @since 0.1.0
 * @category schemas
 */
export const ImagePart = Schema.TaggedStruct("Image", {
  source: ImageSource,
  detail: Schema.optional(ImageDetail)
}).annotations({ identifier: "ImagePart" })

/**
 * An image. Models without sight refuse it (see `LanguageModel.Capabilities`).
 *
 * @since 0.1.0
 * @category models
 */
export interface ImagePart extends Schema.Schema.Type<typeof ImagePart> {}

/**
 * The model's thinking, where the provider shows it. Never part of the answer's text. It goes back to the provider that
 * sealed it with `providerMetadata`, as it was and where it stood; without that only to servers that are said to want it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ReasoningPart = Schema.TaggedStruct("Reasoning", {
  /** Empty where the provider hides its thinking and there is only `providerMetadata`. */
  text: Schema.String,
  /**
   * What the provider alone can read: Anthropic's signature or redacted thinking, an encrypted reasoning item of OpenAI's
   * Responses API. It starts with who wrote it, so no other provider sends it.
   */
  providerMetadata
}).annotations({ identifier: "ReasoningPart" })

/**
 * The model's thinking, where the provider shows it. Never part of the answer's text.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReasoningPart extends Schema.Schema.Type<typeof ReasoningPart> {}

/**
 * A tool call as the model wrote it. `arguments` is raw text and may be broken JSON: decode it with `ToolCall.decode`
 * before anything is run.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolCallPart = Schema.TaggedStruct("ToolCall", {
  /** Ties the call to its result. */
  id: Schema.String,
  /** The tool's name as the model wrote it; it may name no tool at all. */
  name: Schema.String,
  /** Raw JSON text as received; where nothing at all was received it is `{}`. */
  arguments: Schema.String,
  /** What the provider alone can read, such as Gemini's signature of a thought. It starts with who wrote it. */
  providerMetadata,
  /**
   * The dialect of JSON Schema that `arguments` are written in (see `SchemaDialect`); absent means `"plain"`. They go back
   * to any provider as they are, and are read in this dialect whenever they are decoded.
   */
  dialect: Schema.optional(Dialect)
}).annotations({ identifier: "ToolCallPart" })

/**
 * A tool call as the model wrote it. `arguments` is raw text and may be broken JSON: decode it with `ToolCall.decode`
 * before anything is run.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolCallPart extends Schema.Schema.Type<typeof ToolCallPart> {}

/**
 * What the provider did by itself in the middle of a reply: a search, code that it ran, a tool of a server that it called,
 * and what came of it. It is nothing to run and no part of the answer; it goes back to the provider that wrote it, to the
 * letter, because the provider remembers it.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ProviderPart = Schema.TaggedStruct("ProviderPart", {
  /** The provider's own name for it, such as `"server_tool_use"`, `"web_search_call"` or `"executableCode"`. */
  kind: Schema.String,
  /** The whole of it as JSON, behind who wrote it; no other provider sends it. */
  providerMetadata: Schema.String
}).annotations({ identifier: "ProviderPart" })

/**
 * What the provider did by itself in the middle of a reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProviderPart extends Schema.Schema.Type<typeof ProviderPart> {}

/**
 * What a tool answered to one call, as text for the model.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolResultPart = Schema.TaggedStruct("ToolResult", {
  /** The id of the call this answers. */
  id: Schema.String,
  /** The tool's name. */
  name: Schema.String,
  /** What the model reads; JSON text for structured results. */
  content: Schema.String,
  /** Whether the call failed: the content then says what went wrong. */
  isError: Schema.Boolean
}).annotations({ identifier: "ToolResultPart" })

/**
 * What a tool answered to one call, as text for the model.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolResultPart extends Schema.Schema.Type<typeof ToolResultPart> {}

/**
 * What a user message is made of.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UserPart = Schema.Union(TextPart, ImagePart)

/**
 * What a user message is made of.
 *
 * @since 0.1.0
 * @category models
 */
export type UserPart = TextPart | ImagePart

/**
 * What a message of the model is made of.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AssistantPart = Schema.Union(TextPart, ReasoningPart, ToolCallPart, ProviderPart)

/**
 * What a message of the model is made of.
 *
 * @since 0.1.0
 * @category models
 */
export type AssistantPart = TextPart | ReasoningPart | ToolCallPart | ProviderPart

/**
 * Instructions that stand above the conversation.
 *
 * @since 0.1.0
 * @category schemas
 */
export const SystemMessage = Schema.TaggedStruct("System", { content: Schema.String })

/**
 * Instructions that stand above the conversation.
 *
 * @since 0.1.0
 * @category models
 */
export interface SystemMessage extends Schema.Schema.Type<typeof SystemMessage> {}

/**
 * What the user said.
 *
 * @since 0.1.0
 * @category schemas
 */
export const UserMessage = Schema.TaggedStruct("User", { content: Schema.Array(UserPart) })

/**
 * What the user said.
 *
 * @since 0.1.0
 * @category models
 */
export interface UserMessage extends Schema.Schema.Type<typeof UserMessage> {}

/**
 * What the model said, its tool calls included.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AssistantMessage = Schema.TaggedStruct("Assistant", { content: Schema.Array(AssistantPart) })

/**
 * What the model said, its tool calls included.
 *
 * @since 0.1.0
 * @category models
 */
export interface AssistantMessage extends Schema.Schema.Type<typeof AssistantMessage> {}

/**
 * What the tools answered. It follows the assistant message that made the calls.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ToolMessage = Schema.TaggedStruct("Tool", { content: Schema.Array(ToolResultPart) })

/**
 * What the tools answered. It follows the assistant message that made the calls.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolMessage extends Schema.Schema.Type<typeof ToolMessage> {}

/**
 * One message of a conversation.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Message = Schema.Union(SystemMessage, UserMessage, AssistantMessage, ToolMessage)

/**
 * One message of a conversation.
 *
 * @since 0.1.0
 * @category models
 */
export type Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage

/**
 * A conversation so far. Encodes to JSON and back without loss.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Prompt = Schema.Struct({ messages: Schema.Array(Message) }).annotations({ identifier: "Prompt" })

/**
 * A conversation so far. Encodes to JSON and back without loss.
 *
 * @since 0.1.0
 * @category models
 */
export interface Prompt extends Schema.Schema.Type<typeof Prompt> {}

/**
 * What a prompt can be made from: text (one user message), messages, or a prompt.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = string | ReadonlyArray<Message> | Prompt

const isMessages = (input: ReadonlyArray<Message> | Prompt): input is ReadonlyArray<Message> => Array.isArray(input)

/**
 * A prompt from text (one user message), from messages, or from another prompt, which is given back as it is.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (input: Input): Prompt =>
  typeof input === "string"
    ? { messages: [user(input)] }
    : isMessages(input)
    ? { messages: input }
    : input

/**
 * A piece of text.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (value: string): TextPart => ({ _tag: "Text", text: value })

const image = (source: ImageSource, detail: ImageDetail | undefined): ImagePart =>
  detail === undefined ? { _tag: "Image", source } : { _tag: "Image", source, detail }

/**
 * An image that the provider fetches from an address.
 *
 * @since 0.1.0
 * @category constructors
 */
export const imageUrl = (url: string, options?: { readonly detail?: ImageDetail | undefined }): ImagePart =>
  image({ _tag: "Url", url }, options?.detail)

/**
 * An image sent along, its bytes in base 64 and its media type, for example `"image/png"`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const imageBase64 = (
  data: string,
  mediaType: string,
  options?: { readonly detail?: ImageDetail | undefined }
): ImagePart => image({ _tag: "Base64", data, mediaType }, options?.detail)

/**
 * Instructions that stand above the conversation.
 *
 * @since 0.1.0
 * @category constructors
 */
export const system = (content: string): SystemMessage => ({ _tag: "System", content })

/**
 * What the user said: text, or a list of text and image parts.
 *
 * @since 0.1.0
 * @category constructors
 */
export const user = (content: string | ReadonlyArray<UserPart>): UserMessage => ({
  _tag: "User",
  content: typeof content === "string" ? [text(content)] : content
})

/**
 * What the model said: text, or a list of parts. To continue after a reply, prefer `Response.toMessage`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const assistant = (content: string | ReadonlyArray<AssistantPart>): AssistantMessage => ({
  _tag: "Assistant",
  content: typeof content === "string" ? [text(content)] : content
})

/**
 * The answer of one tool to one call, as a message of its own. `isError` defaults to false.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolResult = (result: {
  readonly id: string
  readonly name: string
  readonly content: string
  readonly isError?: boolean | undefined
}): ToolMessage => ({
  _tag: "Tool",
  content: [{
    _tag: "ToolResult",
    id: result.id,
    name: result.name,
    content: result.content,
    isError: result.isError ?? false
  }]
})

/**
 * The prompt with more messages at its end. The given prompt is left as it is.
 *
 * @since 0.1.0
 * @category combinators
 */
export const append = (prompt: Input, ...messages: ReadonlyArray<Message>): Prompt => ({
  messages: [...make(prompt).messages, ...messages]
})
