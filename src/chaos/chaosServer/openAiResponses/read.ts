/** Reads a request as OpenAI's Responses API does, and refuses it in the same words. */
import * as Either from "effect/Either"
import { isArray, isRecord, own, parse, type Path } from "../../shared/json.ts"
import {
  checkName,
  fieldsAt,
  noForeign,
  numberIn,
  optional,
  refuse,
  Refused,
  refuseMissing,
  refuseType,
  refuseValue,
  requiredText
} from "../openAi/checks.ts"
import { refusal } from "../openAi/failures.ts"
import { objectSchemas } from "../parts.ts"
import type { ModelRequest, Reply, Tool } from "../protocol.ts"
import { readInput } from "./input.ts"

const knownFields =
  "background context_management conversation frequency_penalty include input instructions max_output_tokens " +
  "max_tool_calls metadata model moderation parallel_tool_calls presence_penalty previous_response_id prompt " +
  "prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream " +
  "stream_options temperature text tool_choice tools top_logprobs top_p truncation user"

/** Parameters of chat completions and where they are now. */
const moved: ReadonlyMap<string, string> = new Map([
  ["messages", "input"],
  ["response_format", "text.format"],
  ["reasoning_effort", "reasoning.effort"],
  ["max_tokens", "max_output_tokens"],
  ["max_completion_tokens", "max_output_tokens"],
  ["verbosity", "text.verbosity"]
])

const checkKnown = (body: unknown): void => {
  for (const [name, place] of moved) {
    if (own(body, name) === undefined) continue
    refuse(
      `Unsupported parameter: '${name}'. In the Responses API, this parameter has moved to '${place}'. Try again with ` +
        "the new parameter. See the API documentation for more information: " +
        "https://platform.openai.com/docs/api-reference/responses/create.",
      undefined,
      "unsupported_parameter"
    )
  }
  noForeign(body, knownFields, "")
}

const contextOf = (at: Path): string =>
  at.length === 0 ? "()" : `(${at.map((step) => `'${step}'`).join(", ")}${at.length === 1 ? "," : ""})`

/** In strict mode each object names all its members as required and takes no others. */
const checkStrict = (schema: unknown, who: string, param: string, code: string): void => {
  for (const found of objectSchemas(schema)) {
    const context = `Invalid schema for ${who}: In context=${contextOf(found.at)}`
    if (own(found.schema, "additionalProperties") !== false) {
      refuse(`${context}, 'additionalProperties' is required to be supplied and to be false.`, param, code)
    }
    const properties = own(found.schema, "properties")
    const required = own(found.schema, "required")
    const names = isArray(required) ? required : []
    const missing = isRecord(properties) ? Object.keys(properties).find((name) => !names.includes(name)) : undefined
    if (missing !== undefined) {
      refuse(
        `${context}, 'required' is required to be supplied and to be an array including every key in properties. ` +
          `Missing '${missing}'.`,
        param,
        code
      )
    }
  }
}

const checkObjectSchema = (schema: unknown, who: string, param: string, code: string): void => {
  const type = own(schema, "type")
  if (isRecord(schema) && (type === "object" || type === undefined)) return
  refuse(
    `Invalid schema for ${who}: schema must be a JSON Schema of 'type: "object"', got 'type: "${String(type)}"'.`,
    param,
    code
  )
}

/** Tools that are not the caller's functions: taken, and never called by this server's model. */
const otherTools = ("apply_patch code_interpreter computer computer_use_preview custom file_search image_generation " +
  "local_shell mcp namespace programmatic_tool_calling shell tool_search web_search web_search_preview").split(" ")

const toolTypes = ["function", ...otherTools].sort()

const readTool = (value: unknown, index: number): { readonly name: string; readonly tool: Tool | undefined } => {
  const at = `tools[${index}]`
  const declared = fieldsAt(value, at)
  const type = requiredText(own(declared, "type"), `${at}.type`)
  if (type !== "function") {
    const name = own(declared, "name")
    // A date may follow the name of a kind.
    return otherTools.includes(type.replace(/_\d{4}_\d{2}_\d{2}$/, ""))
      ? { name: typeof name === "string" ? name : type, tool: undefined }
      : refuseValue(type, toolTypes, `${at}.type`)
  }
  const name = checkName(requiredText(own(declared, "name"), `${at}.name`), `${at}.name`)
  noForeign(
    declared,
    "type name description parameters strict defer_loading allowed_callers output_schema",
    at
  )
  const parameters = own(declared, "parameters") ?? { type: "object", properties: {} }
  const rule = [`function '${name}'`, `${at}.parameters`, "invalid_function_parameters"] as const
  checkObjectSchema(parameters, ...rule)
  if (optional(declared, "strict", "boolean", `${at}.strict`) === true) checkStrict(parameters, ...rule)
  return { name, tool: { name, parameters } }
}

const readTools = (value: unknown) => {
  if (value === undefined || value === null) return []
  return isArray(value) ? value.map(readTool) : refuseType(value, "an array of objects", "tools")
}

const readToolChoice = (value: unknown, names: ReadonlyArray<string>): ModelRequest["toolChoice"] => {
  const usual = names.length === 0 ? "none" : "auto"
  if (value === undefined || value === null || value === "auto") return usual
  if (value === "none") return "none"
  if (value === "required") {
    return names.length > 0
      ? "required"
      : refuse("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
  }
  if (!isRecord(value)) return refuseValue(value, ["none", "auto", "required"], "tool_choice")
  const type = requiredText(own(value, "type"), "tool_choice.type")
  if (type === "allowed_tools") return own(value, "mode") === "required" ? "required" : usual
  const name = type === "function" ? requiredText(own(value, "name"), "tool_choice.name") : type
  if (!names.includes(name)) refuse(`Tool choice '${name}' not found in 'tools' parameter.`, "tool_choice")
  return { name }
}

/** The JSON Schema of the reply's text, where one is asked for. */
const readOutput = (body: unknown, text: string): unknown => {
  const format = own(optional(body, "text", "object"), "format") ?? undefined
  if (format === undefined) return undefined
  const at = "text.format"
  const type = requiredText(own(fieldsAt(format, at), "type"), `${at}.type`)
  switch (type) {
    case "text":
      return undefined
    case "json_object":
      if (!/json/i.test(text.replace("json_object", ""))) {
        refuse(
          "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
          "input"
        )
      }
      return { type: "object" }
    case "json_schema": {
      const name = checkName(requiredText(own(format, "name"), `${at}.name`), `${at}.name`)
      const schema = fieldsAt(own(format, "schema"), `${at}.schema`)
      const rule = [`response_format '${name}'`, `${at}.schema`, "invalid_json_schema"] as const
      checkObjectSchema(schema, ...rule)
      if (optional(format, "strict", "boolean", `${at}.strict`) === true) checkStrict(schema, ...rule)
      return schema
    }
    default:
      return refuseValue(type, ["json_object", "json_schema", "text"], `${at}.type`)
  }
}

const readBody = (text: string): ModelRequest => {
  const body = parse(text)
  if (!isRecord(body)) {
    return refuse(
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library " +
        "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
    )
  }
  checkKnown(body)
  const model = requiredText(own(body, "model"), "model")
  const earlier = optional(body, "previous_response_id", "string")
  if (earlier !== undefined) {
    refuse(
      `Previous response with id '${String(earlier)}' not found.`,
      "previous_response_id",
      "previous_response_not_found"
    )
  }
  const instructions = optional(body, "instructions", "string")
  const messages = readInput(body)
  const declared = readTools(own(body, "tools"))
  const toolChoice = readToolChoice(own(body, "tool_choice"), declared.map(({ name }) => name))
  numberIn(body, "temperature", "decimal", 0, 2)
  numberIn(body, "top_p", "decimal", 0, 1)
  numberIn(body, "frequency_penalty", "decimal", -2, 2)
  numberIn(body, "presence_penalty", "decimal", -2, 2)
  const maxTokens = numberIn(body, "max_output_tokens", "integer", 16, 1e9)
  const store = optional(body, "store", "boolean") !== false
  optional(body, "reasoning", "object")
  const isBackground = optional(body, "background", "boolean") === true
  return {
    model: model === "" ? refuseMissing("model") : model,
    messages: typeof instructions === "string" && instructions !== ""
      ? [{ role: "system", text: instructions, images: 0, toolCalls: [] }, ...messages]
      : messages,
    tools: declared.flatMap(({ tool }) => tool ?? []),
    toolChoice,
    parallel: optional(body, "parallel_tool_calls", "boolean") !== false,
    maxTokens,
    stream: optional(body, "stream", "boolean") === true,
    includeUsage: true,
    output: readOutput(body, text),
    background: isBackground ? { store } : undefined
  }
}

/** The request, or the refusal that the real service would send. */
export const read = (text: string): Either.Either<ModelRequest, Reply> => {
  try {
    return Either.right(readBody(text))
  } catch (thrown) {
    if (thrown instanceof Refused) return Either.left(refusal(thrown.error))
    throw thrown
  }
}
