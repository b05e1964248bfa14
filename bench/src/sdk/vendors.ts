/** The vendors' own SDKs, each asked as its README says, without retries. */
import Anthropic from "@anthropic-ai/sdk"
import { GoogleGenAI } from "@google/genai"
import type { GenerateContentResponse } from "@google/genai"
import OpenAI from "openai"
import { type Answer, type Call, parsed, said } from "./answer.ts"
import { type Asked, definitions } from "./asked.ts"

/** Where the twin of a server listens, without any path. */
export type Origin = string

export type Client = (origin: Origin, asked: Asked) => Promise<Answer>

const total = (input: number, output: number) => [input, output, input + output] as const

// OpenAI Chat ---------------------------------------------------------------------------------------------------------

const openAi = (origin: Origin, { apiKey }: Asked) =>
  new OpenAI({ apiKey, baseURL: `${origin}/v1`, maxRetries: 0, logLevel: "off" })

const chatBody = ({ model, text, tools }: Asked) => ({
  model,
  messages: [{ role: "user" as const, content: text }],
  ...(tools ? { tools: definitions.map((each) => ({ type: "function" as const, function: each })) } : {})
})

const ofChatReason = (reason: string | null | undefined): string =>
  reason === "tool_calls" ? "tool-calls" : reason ?? "unknown"

const ofChat = ({ choices, usage }: OpenAI.ChatCompletion): Answer => {
  const [choice] = choices
  return said({
    text: choice?.message.content ?? "",
    calls: (choice?.message.tool_calls ?? []).flatMap((call): ReadonlyArray<Call> =>
      call.type === "function" ? [{ name: call.function.name, arguments: parsed(call.function.arguments) }] : []
    ),
    usage: [usage?.prompt_tokens ?? 0, usage?.completion_tokens ?? 0, usage?.total_tokens ?? 0],
    finish: ofChatReason(choice?.finish_reason)
  })
}

export const chatReply: Client = async (origin, asked) =>
  ofChat(await openAi(origin, asked).chat.completions.create(chatBody(asked)))

/** The stream itself; the deltas are put together here, as the SDK leaves that to its caller. */
export const chatStream: Client = async (origin, asked) => {
  const stream = await openAi(origin, asked).chat.completions.create({
    ...chatBody(asked),
    stream: true,
    stream_options: { include_usage: true }
  })
  let text = ""
  let finish = "unknown"
  let usage: OpenAI.CompletionUsage | undefined
  const calls: Array<{ name: string; text: string }> = []
  for await (const chunk of stream) {
    usage = chunk.usage ?? usage
    const [choice] = chunk.choices
    text += choice?.delta.content ?? ""
    if (choice?.finish_reason) finish = ofChatReason(choice.finish_reason)
    for (const delta of choice?.delta.tool_calls ?? []) {
      const call = calls[delta.index] ??= { name: "", text: "" }
      call.name += delta.function?.name ?? ""
      call.text += delta.function?.arguments ?? ""
    }
  }
  return said({
    text,
    calls: calls.map((call) => ({ name: call.name, arguments: parsed(call.text) })),
    usage: [usage?.prompt_tokens ?? 0, usage?.completion_tokens ?? 0, usage?.total_tokens ?? 0],
    finish
  })
}

export const chatHelper: Client = async (origin, asked) => {
  const stream = openAi(origin, asked).chat.completions.stream({
    ...chatBody(asked),
    stream_options: { include_usage: true }
  })
  return ofChat(await stream.finalChatCompletion())
}

// OpenAI Responses ----------------------------------------------------------------------------------------------------

const responsesBody = ({ model, text, tools }: Asked) => ({
  model,
  input: text,
  ...(tools ? { tools: definitions.map((each) => ({ type: "function" as const, strict: false, ...each })) } : {})
})

type ResponseItem = OpenAI.Responses.Response["output"][number]

const ofItems = (items: ReadonlyArray<ResponseItem>) => ({
  text: items.flatMap((item) =>
    item.type === "message"
      ? item.content.flatMap((part) => part.type === "output_text" ? [part.text] : [])
      : []
  ).join(""),
  calls: items.flatMap((item): ReadonlyArray<Call> =>
    item.type === "function_call" ? [{ name: item.name, arguments: parsed(item.arguments) }] : []
  )
})

const ofResponse = (response: OpenAI.Responses.Response): Answer => {
  const { calls, text } = ofItems(response.output)
  return said({
    text,
    calls,
    usage: [response.usage?.input_tokens ?? 0, response.usage?.output_tokens ?? 0, response.usage?.total_tokens ?? 0],
    finish: response.status === "completed"
      ? calls.length > 0 ? "tool-calls" : "stop"
      : response.incomplete_details?.reason === "max_output_tokens"
      ? "length"
      : "unknown"
  })
}

export const responsesReply: Client = async (origin, asked) =>
  ofResponse(await openAi(origin, asked).responses.create(responsesBody(asked)))

/** The stream itself: what was done item by item, and how its last event says that it ended. */
export const responsesStream: Client = async (origin, asked) => {
  const stream = await openAi(origin, asked).responses.create({ ...responsesBody(asked), stream: true })
  const items: Array<ResponseItem> = []
  let last: OpenAI.Responses.Response | undefined
  for await (const event of stream) {
    if (event.type === "response.output_item.done") items.push(event.item)
    if (event.type === "response.completed" || event.type === "response.incomplete") last = event.response
    if (event.type === "response.failed") {
      throw new OpenAI.APIError(undefined, event.response.error ?? {}, undefined, undefined)
    }
  }
  if (last === undefined) return said({ ...ofItems(items), usage: [0, 0, 0], finish: "unknown" })
  const ended = ofResponse(last)
  return ended._tag === "Said" ? { ...ended, ...ofItems(items) } : ended
}

export const responsesHelper: Client = async (origin, asked) =>
  ofResponse(await openAi(origin, asked).responses.stream(responsesBody(asked)).finalResponse())

// Anthropic -----------------------------------------------------------------------------------------------------------

const anthropic = (origin: Origin, { apiKey }: Asked) =>
  new Anthropic({ apiKey, baseURL: origin, maxRetries: 0, logLevel: "off" })

const messagesBody = ({ model, text, tools }: Asked) => ({
  model,
  max_tokens: 4096,
  messages: [{ role: "user" as const, content: text }],
  ...(tools
    ? {
      tools: definitions.map(({ description, name, parameters }) => ({
        name,
        description,
        input_schema: { ...parameters, type: "object" as const }
      }))
    }
    : {})
})

const stopReasons: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  tool_use: "tool-calls",
  max_tokens: "length",
  refusal: "content-filter"
}

const ofStop = (reason: string | null | undefined): string => stopReasons[reason ?? ""] ?? "unknown"

const ofMessage = ({ content, stop_reason, usage }: Anthropic.Message): Answer =>
  said({
    text: content.flatMap((block) => block.type === "text" ? [block.text] : []).join(""),
    calls: content.flatMap((block): ReadonlyArray<Call> =>
      block.type === "tool_use" ? [{ name: block.name, arguments: block.input }] : []
    ),
    usage: total(
      usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0),
      usage.output_tokens
    ),
    finish: ofStop(stop_reason)
  })

export const messagesReply: Client = async (origin, asked) =>
  ofMessage(await anthropic(origin, asked).messages.create(messagesBody(asked)))

/** The stream itself; the deltas are put together here, as the SDK leaves that to its caller. */
export const messagesStream: Client = async (origin, asked) => {
  const stream = await anthropic(origin, asked).messages.create({ ...messagesBody(asked), stream: true })
  let text = ""
  let finish = "unknown"
  let input = 0
  let output = 0
  const calls = new Map<number, { readonly name: string; text: string }>()
  for await (const event of stream) {
    if (event.type === "message_start") {
      const { usage } = event.message
      input = usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0)
      output = usage.output_tokens
    } else if (event.type === "content_block_start" && event.content_block.type === "tool_use") {
      calls.set(event.index, { name: event.content_block.name, text: "" })
    } else if (event.type === "content_block_delta") {
      if (event.delta.type === "text_delta") text += event.delta.text
      const call = calls.get(event.index)
      if (event.delta.type === "input_json_delta" && call !== undefined) call.text += event.delta.partial_json
    } else if (event.type === "message_delta") {
      finish = ofStop(event.delta.stop_reason)
      output = event.usage.output_tokens
    }
  }
  return said({
    text,
    calls: [...calls.values()].map((call) => ({ name: call.name, arguments: parsed(call.text) })),
    usage: total(input, output),
    finish
  })
}

export const messagesHelper: Client = async (origin, asked) =>
  ofMessage(await anthropic(origin, asked).messages.stream(messagesBody(asked)).finalMessage())

// Gemini --------------------------------------------------------------------------------------------------------------

const google = (origin: Origin, { apiKey }: Asked) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: origin } })

const contentBody = ({ model, text, tools }: Asked) => ({
  model,
  contents: text,
  ...(tools
    ? {
      config: {
        tools: [{
          functionDeclarations: definitions.map(({ description, name, parameters }) => ({
            name,
            description,
            parametersJsonSchema: parameters
          }))
        }]
      }
    }
    : {})
})

const geminiReasons: Readonly<Record<string, string>> = { STOP: "stop", MAX_TOKENS: "length", SAFETY: "content-filter" }

/** A stream is read as the reply that its chunks make together; counts are running totals. */
const ofContents = (chunks: ReadonlyArray<GenerateContentResponse>): Answer => {
  const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? [])
  const calls = parts.flatMap(({ functionCall }): ReadonlyArray<Call> =>
    functionCall === undefined ? [] : [{ name: functionCall.name ?? "", arguments: functionCall.args ?? {} }]
  )
  const reason = chunks.flatMap((chunk) => chunk.candidates?.[0]?.finishReason ?? []).at(-1)
  const usage = chunks.flatMap((chunk) => chunk.usageMetadata ?? []).at(-1)
  const finish = geminiReasons[reason ?? ""] ?? "unknown"
  return said({
    text: parts.flatMap((part) => part.thought === true ? [] : part.text ?? []).join(""),
    calls,
    usage: [
      usage?.promptTokenCount ?? 0,
      (usage?.candidatesTokenCount ?? 0) + (usage?.thoughtsTokenCount ?? 0),
      usage?.totalTokenCount ?? 0
    ],
    finish: finish === "stop" && calls.length > 0 ? "tool-calls" : finish
  })
}

export const contentReply: Client = async (origin, asked) =>
  ofContents([await google(origin, asked).models.generateContent(contentBody(asked))])

export const contentStream: Client = async (origin, asked) => {
  const chunks: Array<GenerateContentResponse> = []
  for await (const chunk of await google(origin, asked).models.generateContentStream(contentBody(asked))) {
    chunks.push(chunk)
  }
  return ofContents(chunks)
}
