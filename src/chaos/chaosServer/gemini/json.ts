/**
 * How Google's services read JSON into their messages: names in camel or snake case, a single value where a list is meant,
 * and every wrong place told at once, in the words of protobuf's reader.
 */
import * as Either from "effect/Either"
import { isArray, isRecord, parse } from "../../shared/json.ts"

/** A place that could not be read. */
export interface Violation {
  /** In snake case; the empty text is the root. */
  readonly field: string
  readonly description: string
}

/** A message as it was read: names in camel case, unknown and null ones left out. */
export type Message = Readonly<Record<string, unknown>>

/** A field's kind: a scalar, `value` (any JSON), `struct` (any object), an enum or a message; `*` a list, `%` a map of it. */
type Fields = Readonly<Record<string, string>>

const anything: Fields = {}

/** The messages of `google.ai.generativelanguage.v1beta` as far as a request of generateContent goes. */
const messages: Readonly<Record<string, Fields>> = {
  GenerateContentRequest: {
    model: "string",
    contents: "Content*",
    systemInstruction: "Content",
    tools: "Tool*",
    toolConfig: "ToolConfig",
    safetySettings: "SafetySetting*",
    generationConfig: "GenerationConfig",
    cachedContent: "string",
    serviceTier: "string",
    labels: "struct",
    store: "bool",
    continuationToken: "string"
  },
  Content: { parts: "Part*", role: "string" },
  Part: {
    text: "string",
    inlineData: "Blob",
    functionCall: "FunctionCall",
    functionResponse: "FunctionResponse",
    fileData: "FileData",
    executableCode: "struct",
    codeExecutionResult: "struct",
    toolCall: "struct",
    toolResponse: "struct",
    videoMetadata: "struct",
    thought: "bool",
    thoughtSignature: "bytes",
    partMetadata: "struct",
    mediaResolution: "struct"
  },
  Blob: { mimeType: "string", data: "bytes" },
  FileData: { mimeType: "string", fileUri: "string" },
  FunctionCall: { id: "string", name: "string", args: "struct" },
  FunctionResponse: {
    id: "string",
    name: "string",
    response: "struct",
    parts: "struct*",
    willContinue: "bool",
    scheduling: "string"
  },
  Tool: {
    functionDeclarations: "FunctionDeclaration*",
    googleSearch: "struct",
    googleSearchRetrieval: "struct",
    codeExecution: "struct",
    computerUse: "struct",
    urlContext: "struct",
    fileSearch: "struct",
    googleMaps: "struct"
  },
  FunctionDeclaration: {
    name: "string",
    description: "string",
    behavior: "string",
    parameters: "Schema",
    parametersJsonSchema: "value",
    response: "Schema",
    responseJsonSchema: "value"
  },
  Schema: {
    type: "Type",
    format: "string",
    title: "string",
    description: "string",
    nullable: "bool",
    enum: "string*",
    items: "Schema",
    maxItems: "int64",
    minItems: "int64",
    properties: "Schema%",
    required: "string*",
    minProperties: "int64",
    maxProperties: "int64",
    minimum: "double",
    maximum: "double",
    minLength: "int64",
    maxLength: "int64",
    pattern: "string",
    example: "value",
    anyOf: "Schema*",
    propertyOrdering: "string*",
    default: "value"
  },
  ToolConfig: {
    functionCallingConfig: "FunctionCallingConfig",
    retrievalConfig: "struct",
    includeServerSideToolInvocations: "bool"
  },
  FunctionCallingConfig: { mode: "Mode", allowedFunctionNames: "string*", streamFunctionCallArguments: "bool" },
  SafetySetting: { category: "string", threshold: "string", method: "string" },
  GenerationConfig: {
    candidateCount: "int32",
    stopSequences: "string*",
    maxOutputTokens: "int32",
    temperature: "float",
    topP: "float",
    topK: "int32",
    seed: "int32",
    responseMimeType: "string",
    responseSchema: "Schema",
    responseJsonSchema: "value",
    presencePenalty: "float",
    frequencyPenalty: "float",
    responseLogprobs: "bool",
    logprobs: "int32",
    enableEnhancedCivicAnswers: "bool",
    responseModalities: "string*",
    speechConfig: "struct",
    thinkingConfig: "ThinkingConfig",
    imageConfig: "struct",
    mediaResolution: "string"
  },
  ThinkingConfig: { includeThoughts: "bool", thinkingBudget: "int32", thinkingLevel: "string" }
}

const enums: Readonly<Record<string, { readonly name: string; readonly members: ReadonlyArray<string> }>> = {
  Type: {
    name: "Type",
    members: ["TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"]
  },
  Mode: {
    name: "FunctionCallingConfig.Mode",
    members: ["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"]
  }
}

/** Only one of these may be set. */
const partData = ["text", "inlineData", "functionCall", "functionResponse", "fileData", "executableCode", "toolCall"]

const typePrefix = "type.googleapis.com/google.ai.generativelanguage.v1beta."

/** Deeper messages are not read. */
const deepest = 100

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
const join = (path: string, name: string): string => path === "" ? snake(name) : `${path}.${snake(name)}`

interface Reading {
  readonly violations: Array<Violation>
}

const badName = (reading: Reading, path: string, name: string, why: string): undefined => {
  const at = path === "" ? "" : ` at '${path}'`
  reading.violations.push({
    field: path,
    description: `Invalid JSON payload received. Unknown name "${name}"${at}: ${why}`
  })
}

const badValue = (reading: Reading, path: string, type: string, value: unknown): undefined => {
  const shown = typeof value === "string" && value.startsWith("Base64 ") ? value : JSON.stringify(value)
  reading.violations.push({ field: path, description: `Invalid value at '${path}' (${type}), ${shown}` })
}

const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/

const scalar = (reading: Reading, kind: string, value: unknown, path: string): unknown => {
  const wrong = () => badValue(reading, path, `TYPE_${kind.toUpperCase()}`, value)
  switch (kind) {
    case "string":
      return typeof value === "string" ? value : wrong()
    case "bool":
      return typeof value === "boolean" ? value : wrong()
    case "bytes":
      if (typeof value !== "string") return wrong()
      return base64.test(value)
        ? value
        : badValue(reading, path, "TYPE_BYTES", `Base64 decoding failed for ${JSON.stringify(value.slice(0, 100))}`)
    default: {
      // Numbers may come as text, as 64 bits do not fit into JSON's.
      const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
      if (typeof number !== "number" || !Number.isFinite(number)) return wrong()
      if (kind === "float" || kind === "double") return number
      const range = kind === "int32" ? 2 ** 31 : 2 ** 63
      return Number.isInteger(number) && number >= -range && number < range ? number : wrong()
    }
  }
}

/** Text in any case, or the number of the member. */
const member = (reading: Reading, kind: string, value: unknown, path: string): unknown => {
  const known = enums[kind]
  if (known === undefined) return undefined
  const found = typeof value === "number" ?
    known.members[value] :
    known.members.find((name) => typeof value === "string" && name === value.toUpperCase())
  return found ?? badValue(reading, path, typePrefix + known.name, value)
}

const single = (
  reading: Reading,
  kind: string,
  value: unknown,
  parent: string,
  name: string,
  path: string,
  depth: number
): unknown => {
  if (kind === "value") return value
  if (isArray(value)) return badName(reading, parent, name, "Proto field is not repeating, cannot start list.")
  const fields = messages[kind]
  if (fields !== undefined || kind === "struct") {
    if (!isRecord(value)) {
      return badValue(
        reading,
        path,
        kind === "struct" ? "type.googleapis.com/google.protobuf.Struct" : typePrefix + kind,
        value
      )
    }
    return fields === undefined ? value : message(reading, kind, fields, value, path, depth + 1)
  }
  if (isRecord(value)) return badName(reading, parent, name, "Proto field is not a message, cannot start object.")
  return enums[kind] === undefined ? scalar(reading, kind, value, path) : member(reading, kind, value, path)
}

const field = (
  reading: Reading,
  declared: string,
  value: unknown,
  parent: string,
  name: string,
  depth: number
): unknown => {
  const path = join(parent, name)
  const kind = declared.replace(/[*%]$/, "")
  if (declared.endsWith("*")) {
    const list = isArray(value) ? value : [value]
    return list.map((each, index) => single(reading, kind, each, parent, name, `${path}[${index}]`, depth))
  }
  if (declared.endsWith("%")) {
    if (!isRecord(value)) return badName(reading, parent, name, "Proto field is not repeating, cannot start list.")
    return Object.fromEntries(
      Object.entries(value).map(([key, each], index) => [
        key,
        single(reading, kind, each, parent, name, `${path}[${index}].value`, depth)
      ])
    )
  }
  return single(reading, kind, value, parent, name, path, depth)
}

const message = (
  reading: Reading,
  type: string,
  fields: Fields,
  value: Readonly<Record<string, unknown>>,
  path: string,
  depth: number
): Message => {
  if (depth > deepest) {
    reading.violations.push({
      field: path.slice(0, 200),
      description: "Invalid JSON payload received. Message too deep. Max recursion depth reached."
    })
    return anything
  }
  const read: Record<string, unknown> = {}
  for (const [given, inner] of Object.entries(value)) {
    const name = camel(given)
    const declared = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (declared === undefined) {
      badName(reading, path, given, "Cannot find field.")
      continue
    }
    if (inner === null && declared !== "value") continue
    const earlier = type === "Part" && partData.includes(name) && partData.find((other) => read[other] !== undefined)
    if (typeof earlier === "string") {
      reading.violations.push({
        field: path,
        description: `Invalid value at '${path}' (oneof), oneof field 'data' is already set. Cannot set '${given}'`
      })
      continue
    }
    read[name] = field(reading, declared, inner, path, name, depth)
  }
  return read
}

/** The body as a `GenerateContentRequest`, or all that is wrong with it. */
export const readMessage = (text: string): Either.Either<Message, ReadonlyArray<Violation>> => {
  const body = parse(text)
  if (body === undefined) {
    const start = text.trim() === "" ? "" : text.slice(0, 14)
    const what = start === "" ? "Unexpected end of string. Expected a value." : "Unexpected token."
    return Either.left([{ field: "", description: `Invalid JSON payload received. ${what}\n${start}\n^` }])
  }
  if (!isRecord(body)) {
    const description = "Invalid JSON payload received. Unknown name \"\": Root element must be a message."
    return Either.left([{ field: "", description }])
  }
  const reading: Reading = { violations: [] }
  const read = message(reading, "GenerateContentRequest", messages["GenerateContentRequest"] ?? anything, body, "", 0)
  return reading.violations.length === 0 ? Either.right(read) : Either.left(reading.violations)
}
