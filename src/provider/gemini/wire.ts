/** Gemini's generateContent on the wire: how a request is written. Pure. */
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import type { Dialect } from "../../model/SchemaDialect.ts"
import { exactJson, historicObject } from "../shared/historicArguments.ts"
import { describedSchema, type PreparedRequest } from "../shared/preparedRequest.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"

const mediaTypes: ReadonlyMap<string, string> = new Map([
  ["png", "image/png"],
  ["jpg", "image/jpeg"],
  ["jpeg", "image/jpeg"],
  ["webp", "image/webp"],
  ["gif", "image/gif"],
  ["bmp", "image/bmp"],
  ["avif", "image/avif"],
  ["heic", "image/heic"],
  ["heif", "image/heif"]
])

const dataUrl = /^data:([^;,]+)(?:;[^;,]+)*;base64,/i

/** Bytes go inline, also those of a `data:` address; Gemini wants the type of what it fetches, as far as the name tells it. */
const image = (source: Prompt.ImageSource): Fields => {
  if (source._tag === "Base64") return { inlineData: { mimeType: source.mediaType, data: source.data } }
  const inline = dataUrl.exec(source.url.slice(0, 200))
  if (inline !== null) return { inlineData: { mimeType: inline[1], data: source.url.slice(inline[0].length) } }
  const extension = /\.([a-z]{3,4})(?:[?#]|$)/i.exec(source.url)?.[1]?.toLowerCase()
  return { fileData: definedFields({ mimeType: mediaTypes.get(extension ?? ""), fileUri: source.url }) }
}

const userPart = (part: Prompt.UserPart): ReadonlyArray<Fields> =>
  part._tag === "Image" ? [image(part.source)] : part.text === "" ? [] : [{ text: part.text }]

/** Ids that we made up, or that come from other providers, mean nothing to Gemini; it then goes by the order. */
const sentId = (id: string): string | undefined => id === "" || id.startsWith("call_") ? undefined : id

/**
 * Gemini 3 refuses function calls in the history without the signature they came with. This is the documented word that
 * stands for "not at hand": https://ai.google.dev/gemini-api/docs/thought-signatures
 */
const absentSignature = "skip_thought_signature_validator"

const wantsSignatures = (model: string): boolean => Number(/gemini-(\d+)/i.exec(model)?.[1] ?? 0) >= 3

/** Whose signatures are to be sent back, and to which model. */
interface Whom {
  readonly model: string
  readonly provider: string
}

/** Thoughts stay behind: the API takes them back only with their signatures. */
const modelParts = (message: Prompt.AssistantMessage, { model, provider }: Whom): ReadonlyArray<Fields> => {
  let isFirstCall = true
  return message.content.flatMap((part): ReadonlyArray<Fields> => {
    const thoughtSignature = providerMetadata.read("gemini", provider, "signature", part.providerMetadata)
    switch (part._tag) {
      case "Reasoning":
        return thoughtSignature === undefined ? [] : [{ text: part.text, thought: true, thoughtSignature }]
      case "Text":
        if (thoughtSignature !== undefined) return [{ text: part.text, thoughtSignature }]
        return part.text === "" ? [] : [{ text: part.text }]
      case "ProviderPart": {
        const own = providerMetadata.recordIn(providerMetadata.read("gemini", provider, "part", part.providerMetadata))
        return own === undefined ? [] : [own]
      }
      case "ToolCall": {
        const functionCall = definedFields({
          id: sentId(part.id),
          name: part.name,
          args: historicObject(part.arguments)
        })
        // Of parallel calls only the first is signed.
        const signature = thoughtSignature ?? (isFirstCall && wantsSignatures(model) ? absentSignature : undefined)
        isFirstCall = false
        return [definedFields({ functionCall, thoughtSignature: signature })]
      }
    }
  })
}

/** A result must be an object; `output` and `error` are the names the API gives to others. */
const functionResponse = (result: Prompt.ToolResultPart): Fields => {
  const read = /^\s*[{[]/.test(result.content) ? exactJson(result.content) : undefined
  const value = read ?? result.content
  return {
    functionResponse: definedFields({
      id: sentId(result.id),
      name: result.name,
      response: result.isError ? { error: value } : isRecord(value) ? value : { output: value }
    })
  }
}

interface Content {
  readonly role: "user" | "model"
  readonly parts: ReadonlyArray<Fields>
  readonly isResults: boolean
}

/** The results of one round must stand in one content, as many as there were calls. */
const join = (contents: ReadonlyArray<Content>): ReadonlyArray<Content> => {
  const joined: Array<Content> = []
  for (const content of contents) {
    const last = joined.at(-1)
    if (last?.isResults === true && content.isResults) {
      joined[joined.length - 1] = { ...last, parts: [...last.parts, ...content.parts] }
    } else if (content.parts.length > 0) {
      joined.push(content)
    }
  }
  return joined
}

const contentOf = (message: Prompt.Message, whom: Whom): ReadonlyArray<Content> => {
  switch (message._tag) {
    case "System":
      return []
    case "User":
      return [{ role: "user", parts: message.content.flatMap(userPart), isResults: false }]
    case "Assistant":
      return [{ role: "model", parts: modelParts(message, whom), isResults: false }]
    case "Tool":
      return [{ role: "user", parts: message.content.map(functionResponse), isResults: true }]
  }
}

/** Without ids answers belong to calls by their order alone, so the results of a round stand as its calls do. */
const inOrder = (messages: ReadonlyArray<Prompt.Message>): ReadonlyArray<Prompt.Message> => {
  const ordered: Array<Prompt.Message> = []
  let calls: ReadonlyArray<string> = []
  const place = ({ id }: Prompt.ToolResultPart): number => calls.includes(id) ? calls.indexOf(id) : calls.length
  for (const message of messages) {
    const last = ordered.at(-1)
    if (message._tag === "System") continue
    if (message._tag === "Assistant") {
      calls = message.content.flatMap((part) => part._tag === "ToolCall" ? [part.id] : [])
    }
    if (message._tag !== "Tool") ordered.push(message)
    else {
      const results = last?._tag === "Tool" ? [...last.content, ...message.content] : message.content
      const sorted = { ...message, content: [...results].sort((one, other) => place(one) - place(other)) }
      ordered.splice(last?._tag === "Tool" ? -1 : ordered.length, 1, sorted)
    }
  }
  return ordered
}

const conversation = (prompt: Prompt.Prompt, whom: Whom): Fields => {
  const system = prompt.messages.flatMap((message) =>
    message._tag === "System" && message.content !== "" ? [{ text: message.content }] : []
  )
  const contents = join(inOrder(prompt.messages).flatMap((message) => contentOf(message, whom)))
    .map(({ parts, role }) => ({ role, parts }))
  // There must be a content: instructions alone are asked as a question.
  if (contents.length === 0) return { contents: [{ role: "user", parts: system }] }
  return definedFields({ systemInstruction: system.length === 0 ? undefined : { parts: system }, contents })
}

const callingConfig = (choice: LanguageModel.ToolChoice | undefined): Fields | undefined => {
  switch (choice) {
    case undefined:
      return undefined
    case "auto":
      return { mode: "AUTO" }
    case "none":
      return { mode: "NONE" }
    case "required":
      return { mode: "ANY" }
    default:
      return { mode: "ANY", allowedFunctionNames: [choice.tool] }
  }
}

/** JSON Schema and the API's own part of it have fields of their own; in the latter an object must have properties. */
const schemaField = (schema: Fields, dialect: Dialect, plain: string, own: string): Fields => {
  if (dialect !== "gemini") return { [plain]: schema }
  const { properties } = schema
  return isRecord(properties) && Object.keys(properties).length > 0 ? { [own]: schema } : {}
}

const toolFields = ({ dialects, request, tools }: PreparedRequest): Fields => {
  const functionCallingConfig = callingConfig(request.toolChoice)
  return tools.length === 0 ? {} : definedFields({
    tools: [{
      functionDeclarations: tools.map(({ description, name, parameters }) =>
        definedFields({
          name,
          description,
          ...schemaField(parameters, dialects.tools, "parametersJsonSchema", "parameters")
        })
      )
    }],
    toolConfig: functionCallingConfig === undefined ? undefined : { functionCallingConfig }
  })
}

const formatFields = ({ dialects, format }: PreparedRequest): Fields =>
  format === undefined ? {} : {
    responseMimeType: "application/json",
    ...schemaField(describedSchema(format), dialects.output, "responseJsonSchema", "responseSchema")
  }

/** Objects are merged into objects, so that one setting more does not take the others away; all else is replaced. */
const merge = (into: Fields, more: Fields): Fields => {
  const merged: Record<string, unknown> = { ...into }
  for (const [name, value] of Object.entries(more)) {
    const old = merged[name]
    merged[name] = isRecord(old) && isRecord(value) ? merge(old, value) : value
  }
  return merged
}

/** The one option of `generationConfig` that is asked for so often that it may stand by itself. */
const spelledOut = ({ thinkingConfig, ...rest }: Fields): Fields =>
  thinkingConfig === undefined ? rest : merge({ generationConfig: { thinkingConfig } }, rest)

/** The body of one request. `providerOptions` are merged into it last and win. */
export const encode = (model: string, prepared: PreparedRequest, thinkingConfig: Fields | undefined): Fields => {
  const { provider, request } = prepared
  const generationConfig = definedFields({
    temperature: request.temperature,
    topP: request.topP,
    maxOutputTokens: request.maxOutputTokens,
    stopSequences: request.stop,
    seed: request.seed,
    frequencyPenalty: request.frequencyPenalty,
    presencePenalty: request.presencePenalty,
    ...formatFields(prepared),
    thinkingConfig
  })
  const body = definedFields({
    ...conversation(Prompt.make(request.prompt), { model, provider }),
    ...toolFields(prepared),
    generationConfig: Object.keys(generationConfig).length === 0 ? undefined : generationConfig
  })
  return request.providerOptions === undefined ? body : merge(body, spelledOut(request.providerOptions))
}

/** Where a model is asked: `gemini-2.5-flash` and `tunedModels/mine` alike. */
export const path = (
  model: string,
  method: "generateContent" | "streamGenerateContent" | "batchGenerateContent"
): string => {
  const name = model.includes("/") ? model : `models/${model}`
  return `/${name.split("/").map(encodeURIComponent).join("/")}:${method}`
}
