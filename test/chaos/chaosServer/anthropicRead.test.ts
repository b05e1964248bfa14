import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { anthropic } from "../../../src/chaos/chaosServer/anthropic/protocol.ts"
import { bodyOf } from "../../provider/fakeAnthropic.ts"
import { reader, requestsOfProvider } from "./providerRequests.ts"

const read = reader(anthropic)

const hello = { model: "claude-sonnet-4-5", max_tokens: 100, messages: [{ role: "user", content: "Hi" }] }

describe("protocolAnthropic", () => {
  describe("a request", () => {
    requestsOfProvider({ protocol: anthropic, model: "claude-sonnet-4-5", idOf: (call) => `toolu_${call}`, bodyOf })

    it("may ask for JSON of a schema, under its old name and its new one", () => {
      const schema = {
        type: "object",
        properties: { a: { type: "string" } },
        required: ["a"],
        additionalProperties: false
      }
      const format = { type: "json_schema", schema }
      for (const more of [{ output_config: { format, effort: "low" } }, { output_format: format }]) {
        expect(Either.getOrThrow(read({ ...hello, ...more })).output).toEqual(schema)
      }
    })

    it("comes by POST to /v1/messages, with the key in its own header or as a bearer", () => {
      const query = new URLSearchParams("beta=true")
      expect(anthropic.route("POST", "/v1/messages", query)).toBeDefined()
      expect(anthropic.route("GET", "/v1/messages", query)).toBeUndefined()
      expect(anthropic.route("POST", "/v1/chat/completions", query)).toBeUndefined()
      expect(anthropic.key({ "x-api-key": "k" }, query)).toBe("k")
      expect(anthropic.key({ authorization: "Bearer t" }, query)).toBe("t")
      expect(anthropic.key({}, query)).toBeUndefined()
    })

    const use = (id: string) => ({ type: "tool_use", id, name: "add", input: {} })
    const result = (id: string, more: object = {}) => ({ type: "tool_result", tool_use_id: id, content: "2", ...more })
    const user = (content: unknown) => ({ role: "user", content })
    const assistant = (content: unknown) => ({ role: "assistant", content })
    const tool = (more: object = {}) => ({ name: "add", input_schema: { type: "object" }, ...more })
    const talk = (...messages: ReadonlyArray<unknown>) => ({ ...hello, messages })

    const wrong: ReadonlyArray<readonly [body: unknown, message: string]> = [
      [[], "Input should be an object"],
      [{ max_tokens: 1, messages: [] }, "model: Field required"],
      [{ ...hello, max_tokens: undefined }, "max_tokens: Field required"],
      [{ ...hello, max_tokens: 0 }, "max_tokens: must be greater than or equal to 1"],
      [{ ...hello, messages: undefined }, "messages: Field required"],
      [talk(), "messages: at least one message is required"],
      [{ ...hello, frequency_penalty: 1 }, "frequency_penalty: Extra inputs are not permitted"],
      [{ ...hello, temperature: 1.5 }, "temperature: range: 0..1"],
      [{ ...hello, stream: "yes" }, "stream: Input should be a valid boolean"],
      [{ ...hello, stop_sequences: [" "] }, "stop_sequences: each stop sequence must contain non-whitespace"],
      [
        talk({ role: "system", content: "Be brief." }),
        "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role."
      ],
      [talk({ role: "tool", content: "x" }), "messages.0.role: Input should be 'user' or 'assistant'"],
      [talk({ ...user("Hi"), name: "Ann" }), "messages.0.name: Extra inputs are not permitted"],
      [
        talk(user("")),
        "messages.0: all messages must have non-empty content except for the optional final assistant message"
      ],
      [talk(user([{ type: "text", text: "" }])), "messages: text content blocks must be non-empty"],
      [talk(user([{ type: "text", text: " " }])), "messages: text content blocks must contain non-whitespace text"],
      [
        talk(user("Hi"), assistant("The answer is ")),
        "messages: final assistant content cannot end with trailing whitespace"
      ],
      [talk(user([{ type: "text" }])), "messages.0.content.0.text.text: Field required"],
      [
        talk(user([{ type: "text", text: "a", foo: 1 }])),
        "messages.0.content.0.text.foo: Extra inputs are not permitted"
      ],
      [
        talk(user([{ type: "image", source: { type: "base64", media_type: "image/tiff", data: "AAAA" } }])),
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
      ],
      [
        talk(user("Hi"), assistant([{ type: "thinking", thinking: "hm" }])),
        "messages.1.content.0.thinking.signature: Field required"
      ],
      [
        talk(user("Hi"), assistant([{ ...use("toolu_1"), input: "{}" }])),
        "messages.1.content.0.tool_use.input: Input should be an object"
      ],
      [
        talk(user("Hi"), assistant([use("call:1")])),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
      ],
      [
        talk(user([result("toolu_9")])),
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_9. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
      ],
      [
        talk(user("Hi"), assistant([use("toolu_1")]), user("Never mind")),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
      ],
      [
        talk(user("Hi"), assistant([use("toolu_1")]), user([{ type: "text", text: "Here:" }, result("toolu_1")])),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
      ],
      [
        talk(user("Hi"), assistant([use("toolu_1")]), user([result("toolu_1"), result("toolu_1")])),
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: toolu_1"
      ],
      [talk(user("Hi"), assistant([use("a"), use("a")])), "messages: `tool_use` ids must be unique"],
      [talk(user([use("toolu_1")])), "messages.0: `tool_use` blocks can only be in `assistant` messages"],
      [
        talk(user("Hi"), assistant([result("toolu_1")])),
        "messages.1: `tool_result` blocks can only be in `user` messages"
      ],
      [{ ...hello, tools: [{ input_schema: { type: "object" } }] }, "tools.0.custom.name: Field required"],
      [
        { ...hello, tools: [tool({ name: "a.b" })] },
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
      ],
      [{ ...hello, tools: [{ name: "add" }] }, "tools.0.custom.input_schema: Field required"],
      [{ ...hello, tools: [tool({ input_schema: {} })] }, "tools.0.custom.input_schema.type: Field required"],
      [
        { ...hello, tools: [tool({ input_schema: { type: "object", anyOf: [] } })] },
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
      ],
      [{ ...hello, tools: [tool({ parameters: {} })] }, "tools.0.custom.parameters: Extra inputs are not permitted"],
      [{ ...hello, tools: [tool(), tool()] }, "tools: Tool names must be unique."],
      [{ ...hello, tool_choice: { type: "any" } }, "tool_choice.any may only be specified while providing tools"],
      [
        { ...hello, tools: [tool()], tool_choice: { type: "tool", name: "sub" } },
        "Tool 'sub' not found in provided tools"
      ],
      [
        { ...hello, tools: [tool()], tool_choice: { type: "required" } },
        "tool_choice: Input tag 'required' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
      ],
      [
        { ...hello, tools: [tool()], tool_choice: { type: "none", disable_parallel_tool_use: true } },
        "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted"
      ],
      [
        { ...hello, max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1000 } },
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
      ],
      [
        {
          ...hello,
          max_tokens: 4000,
          thinking: { type: "enabled", budget_tokens: 2000 },
          tools: [tool()],
          tool_choice: { type: "any" }
        },
        "Thinking may not be enabled when tool_choice forces tool use."
      ],
      [
        { ...hello, output_config: { format: { type: "json_schema", schema: { type: "object" } } } },
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
      ],
      [{ ...hello, output_config: { format: { type: "json_schema" } } }, "output_config.format.schema: Field required"],
      [{ ...hello, metadata: { id: 1 } }, "metadata.id: Extra inputs are not permitted"]
    ]

    it.each(wrong.map(([body, message]) => [message, body] as const))("is refused: %s", (message, body) => {
      const refused = Either.getOrThrow(Either.flip(read(body)))
      expect(refused.status).toBe(400)
      expect(JSON.parse(refused.body)).toMatchObject({
        type: "error",
        error: { type: "invalid_request_error", message },
        request_id: refused.headers["request-id"]
      })
    })

    it("may hold what the API's own tools did, and tools that it runs itself", () => {
      const request = Either.getOrThrow(read({
        ...talk(user("Hi"), assistant([{ type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }])),
        tools: [{ type: "web_search_20250305", name: "web_search" }, tool()]
      }))
      expect(request.tools.map(({ name }) => name)).toEqual(["add"])
    })
  })
})
