/** Reads a request of Gemini's generateContent as the real service does, and refuses it in the same words. */
import * as Either from "effect/Either"
import { isArray, isRecord, own } from "../../shared/json.ts"
import type { Message, ModelRequest, Reply, Route, Tool, ToolCall } from "../protocol.ts"
import { invalid, unreadable } from "./failures.ts"
import { readMessage } from "./json.ts"
import { checkSchema, jsonSchemaOf } from "./schema.ts"

/** Before the ids of our calls. */
export const callPrefix = "function-call-"

const listOf = (value: unknown): ReadonlyArray<unknown> => isArray(value) ? value : []
const textOf = (value: unknown): string => typeof value === "string" ? value : ""

/** `* GenerateContentRequest.contents[0].parts: …`: all that the service's validator finds, at once. */
class Findings {
  readonly all: Array<string> = []
  add(path: string, what: string): void {
    this.all.push(`* GenerateContentRequest.${path}: ${what}\n`)
  }
}

// Contents ------------------------------------------------------------------------------------------------------------

const partsOf = (content: unknown): ReadonlyArray<unknown> => listOf(own(content, "parts"))
const withField = (content: unknown, name: string): ReadonlyArray<unknown> =>
  partsOf(content).flatMap((part) => own(part, name) ?? [])

const data = [
  "text",
  "inlineData",
  "functionCall",
  "functionResponse",
  "fileData",
  "executableCode",
  "codeExecutionResult"
]

const checkContent = (findings: Findings, content: unknown, path: string): void => {
  const parts = partsOf(content)
  if (parts.length === 0) findings.add(`${path}.parts`, "contents.parts must not be empty.")
  parts.forEach((part, index) => {
    const at = `${path}.parts[${index}]`
    if (data.every((name) => own(part, name) === undefined)) {
      findings.add(`${at}.data`, "required oneof field 'data' must have one initialized field")
    }
    for (
      const [name, wire] of [["functionCall", "function_call"], ["functionResponse", "function_response"]] as const
    ) {
      const call = own(part, name)
      if (call !== undefined && textOf(own(call, "name")) === "") {
        findings.add(`${at}.${wire}.name`, "Name cannot be empty.")
      }
    }
    for (const [name, wire] of [["inlineData", "inline_data"], ["fileData", "file_data"]] as const) {
      const file = own(part, name)
      if (file === undefined) {
        continue
      }
      if (name === "inlineData" && textOf(own(file, "mimeType")) === "") {
        findings.add(`${at}.${wire}.mime_type`, "mime_type must be set.")
      }
      if (textOf(own(file, name === "inlineData" ? "data" : "fileUri")) === "") {
        findings.add(`${at}.${wire}`, "required field is not set")
      }
    }
  })
}

/** The rules of turns with calls. The service looks at neither ids nor names. */
const turnFault = (contents: ReadonlyArray<unknown>, model: string): string | undefined => {
  // What comes after it is the current turn, the only one whose signatures are looked at.
  const lastQuestion = contents.reduce<number>(
    (last, content, index) =>
      own(content, "role") !== "model" && withField(content, "functionResponse").length === 0 ? index : last,
    -1
  )
  let open = 0
  for (const [index, content] of contents.entries()) {
    const role = own(content, "role")
    if (role !== undefined && role !== "user" && role !== "model" && role !== "function") {
      return "Please use a valid role: user, model."
    }
    const results = withField(content, "functionResponse").length
    const before = contents[index - 1]
    if (results > 0 && withField(before, "functionCall").length === 0) {
      return "Please ensure that function response turn comes immediately after a function call turn."
    }
    if (results !== open) {
      return "Please ensure that the number of function response parts is equal to the number of function call parts of " +
        "the function call turn."
    }
    open = withField(content, "functionCall").length
    if (open > 0 && (before === undefined || own(before, "role") === "model")) {
      return "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
    }
    const signed = partsOf(content).find((part) => own(part, "functionCall") !== undefined)
    if (open > 0 && index > lastQuestion && isGemini3(model) && textOf(own(signed, "thoughtSignature")) === "") {
      return `Function call is missing a thought_signature in functionCall parts. This is required for tools to work ` +
        `correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call ` +
        `\`default_api:${textOf(own(own(signed, "functionCall"), "name"))}\` , position ${
          index + 1
        }. Please refer to ` +
        "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    }
  }
  return open === 0
    ? undefined
    : "Please ensure that the number of function response parts is equal to the number of function call parts of the " +
      "function call turn."
}

/** The third generation wants the signatures of its calls back, and takes tools and a schema for its text together. */
export const isGemini3 = (model: string): boolean => Number(/gemini-(\d+)/i.exec(model)?.[1] ?? 0) >= 3

/** A result that is only wrapped, as the API asks for an object, is shown as what it was. */
const resultText = (response: unknown): string => {
  const output = own(response, "output")
  return isRecord(response) && Object.keys(response).length === 1 && typeof output === "string"
    ? output
    : JSON.stringify(response ?? {})
}

const callOf = (call: unknown): ToolCall => {
  const id = textOf(own(call, "id"))
  return {
    id: id.startsWith(callPrefix) ? id.slice(callPrefix.length) : id,
    name: textOf(own(call, "name")),
    arguments: JSON.stringify(own(call, "args") ?? {})
  }
}

const messageOf = (content: unknown): Message => {
  const results = withField(content, "functionResponse")
  const texts = partsOf(content).flatMap((part) => own(part, "thought") === true ? [] : textOf(own(part, "text")))
  return {
    role: results.length > 0 ? "tool" : own(content, "role") === "model" ? "assistant" : "user",
    text: [...texts, ...results.map((result) => resultText(own(result, "response")))].filter((text) => text !== "")
      .join("\n"),
    images: withField(content, "inlineData").length + withField(content, "fileData").length,
    toolCalls: withField(content, "functionCall").map(callOf)
  }
}

// Tools ---------------------------------------------------------------------------------------------------------------

const nameRule =
  "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), " +
  "underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."

const declarationsOf = (body: unknown): ReadonlyArray<readonly [at: string, declaration: unknown]> =>
  listOf(own(body, "tools")).flatMap((tool, index) =>
    listOf(own(tool, "functionDeclarations")).map((each, place) =>
      [`tools[${index}].function_declarations[${place}]`, each] as const
    )
  )

const checkTools = (findings: Findings, body: unknown): void => {
  for (const [at, declaration] of declarationsOf(body)) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/.test(textOf(own(declaration, "name")))) findings.add(`${at}.name`, nameRule)
    const parameters = own(declaration, "parameters")
    if (parameters === undefined) continue
    if (own(declaration, "parametersJsonSchema") !== undefined) {
      findings.add(at, "only one of parameters and parameters_json_schema can be set.")
    }
    checkSchema(parameters, `${at}.parameters`, (path, what) => findings.add(path, what))
  }
}

const toolsOf = (body: unknown): ReadonlyArray<Tool> =>
  declarationsOf(body).map(([, declaration]) => {
    const parameters = own(declaration, "parameters")
    return {
      name: textOf(own(declaration, "name")),
      parameters: parameters === undefined
        ? own(declaration, "parametersJsonSchema") ?? { type: "object", properties: {} }
        : jsonSchemaOf(parameters)
    }
  })

const callingOf = (body: unknown): { readonly mode: string; readonly allowed: ReadonlyArray<string> } => {
  const config = own(own(body, "toolConfig"), "functionCallingConfig")
  return {
    mode: textOf(own(config, "mode")).replace("MODE_UNSPECIFIED", "") || "AUTO",
    allowed: listOf(own(config, "allowedFunctionNames")).map(textOf)
  }
}

const callingFault = (body: unknown, tools: ReadonlyArray<Tool>): string | undefined => {
  const { allowed, mode } = callingOf(body)
  const twice = tools.find(({ name }, index) => tools.findIndex((other) => other.name === name) < index)
  if (twice !== undefined) return `Duplicate function declaration found: ${twice.name}`
  if (mode === "ANY" && tools.length === 0) return "Function calling config is set without function_declarations."
  if (allowed.length === 0) return undefined
  if (mode !== "ANY" && mode !== "VALIDATED") {
    return "Allowed function names should be set only when function calling mode is ANY."
  }
  const foreign = allowed.find((name) => tools.every((tool) => tool.name !== name))
  return foreign === undefined
    ? undefined
    : `Invalid allowed function name: ${foreign} is not among the function declarations.`
}

// Settings ------------------------------------------------------------------------------------------------------------

const textTypes = ["text/plain", "application/json", "application/xml", "application/yaml", "text/x.enum"]

const checkConfig = (findings: Findings, config: unknown): void => {
  const at = (name: string) => `generation_config.${name}`
  const within = (field: string, name: string, test: (value: number) => boolean, rule: string) => {
    const value = own(config, field)
    if (typeof value === "number" && !test(value)) findings.add(at(name), `${name} must be ${rule}.`)
  }
  within("temperature", "temperature", (value) => value >= 0 && value <= 2, "in the range [0.0, 2.0]")
  within("topP", "top_p", (value) => value >= 0 && value <= 1, "in the range [0.0, 1.0]")
  within("topK", "top_k", (value) => value > 0, "positive")
  within("maxOutputTokens", "max_output_tokens", (value) => value > 0, "positive")
  within("candidateCount", "candidate_count", (value) => value >= 1 && value <= 8, "in the range [1, 8]")
  within("presencePenalty", "presence_penalty", (value) => value >= -2 && value < 2, "in the range [-2.0, 2.0)")
  within("frequencyPenalty", "frequency_penalty", (value) => value >= -2 && value < 2, "in the range [-2.0, 2.0)")
  if (listOf(own(config, "stopSequences")).length > 5) {
    findings.add(at("stop_sequences"), "the maximum number of stop sequences is 5.")
  }
  const type = textOf(own(config, "responseMimeType"))
  if (type !== "" && !textTypes.includes(type)) {
    findings.add(
      at("response_mime_type"),
      `allowed mimetypes are ${textTypes.slice(0, -1).map((each) => `\`${each}\``).join(", ")} and \`text/x.enum\`.`
    )
  }
  const schema = own(config, "responseSchema")
  const other = own(config, "responseJsonSchema")
  if (schema !== undefined && other !== undefined) {
    findings.add(at("response_schema"), "only one of response_schema and response_json_schema can be set.")
  }
  if ((schema !== undefined || other !== undefined) && (type === "" || type === "text/plain")) {
    findings.add(
      at(schema === undefined ? "response_json_schema" : "response_schema"),
      "only allowed when response_mime_type is `application/json`."
    )
  }
  if (schema !== undefined) checkSchema(schema, at("response_schema"), (path, what) => findings.add(path, what))
}

/** JSON without a schema is any object. */
const outputOf = (config: unknown): unknown => {
  if (own(config, "responseMimeType") !== "application/json") return undefined
  const schema = own(config, "responseSchema")
  return schema === undefined ? own(config, "responseJsonSchema") ?? { type: "object" } : jsonSchemaOf(schema)
}

// Requests ------------------------------------------------------------------------------------------------------------

const toolChoiceOf = (body: unknown, tools: ReadonlyArray<Tool>): ModelRequest["toolChoice"] => {
  const { allowed, mode } = callingOf(body)
  if (mode === "NONE" || tools.length === 0) return "none"
  const [only, ...others] = allowed
  if (mode !== "ANY") return "auto"
  return only === undefined || others.length > 0 ? "required" : { name: only }
}

/** The request, or the refusal that the real service would send. */
export const readRequest = (
  text: string,
  path: Route
): Either.Either<ModelRequest, Reply> => {
  const read = readMessage(text)
  if (Either.isLeft(read)) return Either.left(unreadable(read.left))
  const body = read.right
  const model = path.model ?? textOf(body["model"]).replace(/^models\//, "")
  const contents = listOf(body["contents"])
  const config = body["generationConfig"]
  const findings = new Findings()
  if (contents.length === 0) findings.add("contents", "contents is not specified")
  contents.forEach((content, index) => checkContent(findings, content, `contents[${index}]`))
  if (body["systemInstruction"] !== undefined) {
    checkContent(findings, body["systemInstruction"], "system_instruction")
  }
  checkTools(findings, body)
  checkConfig(findings, config)
  if (findings.all.length > 0) return Either.left(invalid(findings.all.join("")))
  const tools = toolsOf(body)
  const output = outputOf(config)
  const fault = turnFault(contents, model) ?? callingFault(body, tools) ??
    (output !== undefined && tools.length > 0 && !isGemini3(model)
      ? "Function calling with a response mime type: 'application/json' is unsupported"
      : undefined)
  if (fault !== undefined) return Either.left(invalid(fault))
  const { allowed } = callingOf(body)
  const maxTokens = own(config, "maxOutputTokens")
  const system = body["systemInstruction"]
  return Either.right({
    model,
    messages: [
      ...(system === undefined ? [] : [{ ...messageOf(system), role: "system" as const }]),
      ...contents.map(messageOf)
    ],
    // With several allowed the model chooses among these alone.
    tools: allowed.length === 0 ? tools : tools.filter(({ name }) => allowed.includes(name)),
    toolChoice: toolChoiceOf(body, tools),
    parallel: true,
    maxTokens: typeof maxTokens === "number" ? maxTokens : undefined,
    stream: path.stream === true,
    includeUsage: true,
    output,
    framing: path.framing
  })
}
