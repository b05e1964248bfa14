import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { responses } from "../../../src/chaos/chaosServer/openAiResponses/protocol.ts"
import { bodyOf } from "../../provider/fakeOpenAiResponses.ts"
import { reader, requestsOfProvider } from "./providerRequests.ts"

const read = reader(responses)

const hello = { model: "gpt-5-mini", input: "Hi" }

describe("protocolResponses", () => {
  describe("a request", () => {
    requestsOfProvider({ protocol: responses, model: "gpt-5-mini", idOf: (call) => `call_${call}`, bodyOf })

    it("may ask for JSON of a schema", () => {
      const schema = {
        type: "object",
        properties: { a: { type: "string" } },
        required: ["a"],
        additionalProperties: false
      }
      const format = { type: "json_schema", name: "answer", strict: true, schema }
      expect(Either.getOrThrow(read({ ...hello, text: { format } })).output).toEqual(schema)
      expect(Either.getOrThrow(read({ ...hello, text: { format: { type: "text" } } })).output).toBeUndefined()
    })

    it("comes by POST to /v1/responses, with the key as a bearer", () => {
      const query = new URLSearchParams()
      expect(responses.route("POST", "/v1/responses", query)).toBeDefined()
      expect(responses.route("GET", "/v1/responses", query)).toBeUndefined()
      expect(responses.key({ authorization: "Bearer t" }, query)).toBe("t")
      expect(responses.key({}, query)).toBeUndefined()
    })

    it("may send back what a reply held: reasoning, and the work of the API's own tools", () => {
      const request = Either.getOrThrow(read({
        ...hello,
        input: [
          { role: "user", content: [{ type: "input_text", text: "Hi" }] },
          { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAA" },
          { type: "web_search_call", id: "ws_1", status: "completed" },
          { type: "function_call", id: "fc_1", call_id: "call_1", name: "add", arguments: "{}", status: "completed" },
          { type: "function_call_output", call_id: "call_1", output: [{ type: "input_text", text: "2" }] }
        ],
        tools: [{ type: "web_search" }, { type: "function", name: "add", parameters: null }],
        include: ["reasoning.encrypted_content"],
        store: false,
        reasoning: { effort: "low" }
      }))
      expect(request.messages.map(({ role, text }) => [role, text])).toEqual([
        ["user", "Hi"],
        ["assistant", ""],
        ["tool", "2"]
      ])
      expect(request.tools.map(({ name }) => name)).toEqual(["add"])
    })

    const user = (content: unknown) => ({ role: "user", content })
    const made = (more: object = {}) => ({
      type: "function_call",
      call_id: "call_1",
      name: "add",
      arguments: "{}",
      ...more
    })
    const output = { type: "function_call_output", call_id: "call_1", output: "2" }
    const tool = (more: object = {}) => ({ type: "function", name: "add", parameters: { type: "object" }, ...more })
    const talk = (...input: ReadonlyArray<unknown>) => ({ ...hello, input })
    const nested = {
      type: "object",
      properties: { a: { type: "object", properties: { b: { type: "string" } }, additionalProperties: false } },
      required: ["a"],
      additionalProperties: false
    }
    const hint = "Try again with the new parameter. See the API documentation for more information: " +
      "https://platform.openai.com/docs/api-reference/responses/create."

    const wrong: ReadonlyArray<readonly [body: unknown, param: string | null, code: string | null, message: string]> = [
      [{ input: "Hi" }, "model", "missing_required_parameter", "Missing required parameter: 'model'."],
      [
        { model: "gpt-5-mini" },
        "input",
        "missing_required_parameter",
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
      ],
      [
        { ...hello, messages: [] },
        null,
        "unsupported_parameter",
        `Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. ${hint}`
      ],
      [
        { ...hello, response_format: {} },
        null,
        "unsupported_parameter",
        `Unsupported parameter: 'response_format'. In the Responses API, this parameter has moved to 'text.format'. ${hint}`
      ],
      [{ ...hello, stop: ["."] }, "stop", "unknown_parameter", "Unknown parameter: 'stop'."],
      [
        { ...hello, previous_response_id: "resp_1" },
        "previous_response_id",
        "previous_response_not_found",
        "Previous response with id 'resp_1' not found."
      ],
      [
        { ...hello, max_output_tokens: 10 },
        "max_output_tokens",
        "integer_below_min_value",
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 10 instead."
      ],
      [
        { ...hello, temperature: 3 },
        "temperature",
        "decimal_above_max_value",
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead."
      ],
      [
        { ...hello, stream: "yes" },
        "stream",
        "invalid_type",
        "Invalid type for 'stream': expected a boolean, but got a string instead."
      ],
      [
        talk(user(null)),
        "input[0].content",
        "invalid_type",
        "Invalid type for 'input[0].content': expected one of an array of objects or string, but got null instead."
      ],
      [
        talk({ role: "tool", content: "2" }),
        "input[0].role",
        "invalid_value",
        "Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
      ],
      [
        talk(user([{ type: "text", text: "Hi" }])),
        "input[0].content[0].type",
        "invalid_value",
        "Invalid value: 'text'. Supported values are: 'input_text', 'input_image', 'input_audio', 'output_text', 'refusal', 'input_file', 'computer_screenshot', 'summary_text', and 'encrypted_content'."
      ],
      [
        talk({ role: "assistant", content: [{ type: "input_text", text: "Hi" }] }),
        "input[0].content[0]",
        "invalid_value",
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'."
      ],
      [talk(output), "input", null, "No tool call found for function call output with call_id call_1."],
      [talk(output, made()), "input", null, "No tool call found for function call output with call_id call_1."],
      [talk(made()), "input", null, "No tool output found for function call call_1."],
      [
        talk(made({ arguments: undefined }), output),
        "input[0].arguments",
        "missing_required_parameter",
        "Missing required parameter: 'input[0].arguments'."
      ],
      [
        talk(made({ id: "call_1" }), output),
        "input[0].id",
        "invalid_value",
        "Invalid 'input[0].id': 'call_1'. Expected an ID that begins with 'fc'."
      ],
      [
        talk(user("Hi"), { type: "reasoning", id: "rs_1" }),
        "input[1].summary",
        "missing_required_parameter",
        "Missing required parameter: 'input[1].summary'."
      ],
      [
        talk(user("Hi"), { type: "reasoning", id: "rs_1", summary: [], status: null }),
        "input[1].status",
        "unknown_parameter",
        "Unknown parameter: 'input[1].status'."
      ],
      [
        { ...hello, tools: [{ type: "function", function: { name: "add" } }] },
        "tools[0].name",
        "missing_required_parameter",
        "Missing required parameter: 'tools[0].name'."
      ],
      [
        { ...hello, tools: [tool({ name: "a.b" })] },
        "tools[0].name",
        "invalid_value",
        "Invalid 'tools[0].name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
      ],
      [
        { ...hello, tools: [tool({ parameters: { type: "string" } })] },
        "tools[0].parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'add': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'."
      ],
      [
        { ...hello, tools: [tool({ strict: true })] },
        "tools[0].parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'add': In context=(), 'additionalProperties' is required to be supplied and to be false."
      ],
      [
        { ...hello, tools: [tool({ strict: true, parameters: nested })] },
        "tools[0].parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'add': In context=('properties', 'a'), 'required' is required to be supplied and to be an array including every key in properties. Missing 'b'."
      ],
      [
        { ...hello, tool_choice: "required" },
        "tool_choice",
        null,
        "Tool choice 'required' must be specified with 'tools' parameter."
      ],
      [
        { ...hello, tools: [tool()], tool_choice: { type: "function", name: "sub" } },
        "tool_choice",
        null,
        "Tool choice 'sub' not found in 'tools' parameter."
      ],
      [
        { ...hello, text: { format: { type: "json_schema", schema: nested } } },
        "text.format.name",
        "missing_required_parameter",
        "Missing required parameter: 'text.format.name'."
      ],
      [
        { ...hello, text: { format: { type: "json_schema", name: "x", strict: true, schema: { type: "object" } } } },
        "text.format.schema",
        "invalid_json_schema",
        "Invalid schema for response_format 'x': In context=(), 'additionalProperties' is required to be supplied and to be false."
      ],
      [
        { ...hello, text: { format: { type: "json_object" } } },
        "input",
        null,
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
      ]
    ]

    it.each(wrong.map(([body, param, code, message]) => [message, param, code, body] as const))(
      "is refused: %s",
      (message, param, code, body) => {
        const refused = Either.getOrThrow(Either.flip(read(body)))
        expect(refused.status).toBe(400)
        expect(JSON.parse(refused.body)).toEqual({ error: { message, type: "invalid_request_error", param, code } })
      }
    )
  })
})
