import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { gemini } from "../../../src/chaos/chaosServer/gemini/protocol.ts"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as Prompt from "../../../src/model/Prompt.ts"
import * as Tool from "../../../src/model/Tool.ts"
import * as Toolkit from "../../../src/model/Toolkit.ts"
import * as ProviderError from "../../../src/provider/ProviderError.ts"
import { bodyOf } from "../../provider/fakeGemini.ts"

const path = { model: "gemini-2.5-flash", stream: false }
const read = (body: unknown, model = path.model) =>
  gemini.read(typeof body === "string" ? body : JSON.stringify(body), { ...path, model })
const errorOf = (body: unknown, model?: string) => {
  const refused = read(body, model)
  if (Either.isRight(refused)) throw new Error("was accepted")
  return ProviderError.fromResponse({ provider: "google", ...refused.left })
}

const Weather = Tool.make("get_weather", { parameters: Schema.Struct({ city: Schema.String }) })
const Time = Tool.make("get_time", { parameters: Schema.Struct({ zone: Schema.optional(Schema.String) }) })

const question = { role: "user", parts: [{ text: "Hi" }] }
const functionCall = { functionCall: { name: "f", args: {} } }
const functionResponse = { functionResponse: { name: "f", response: { output: "x" } } }
const declared = (declaration: object, rest: object = {}) => ({
  contents: [question],
  tools: [{ functionDeclarations: [{ name: "f", ...declaration }] }],
  ...rest
})
const config = (generationConfig: object) => ({ contents: [question], generationConfig })

describe("requests to Gemini", () => {
  const history = [
    Prompt.system("Be brief"),
    Prompt.user([Prompt.text("Weather in Oslo?"), Prompt.imageBase64("image/png", "QUJD")]),
    Prompt.assistant([
      { _tag: "Reasoning", text: "Hm" },
      { _tag: "Text", text: "Let me see" },
      { _tag: "ToolCall", id: "function-call-c0", name: "get_weather", arguments: "{\"city\":\"Oslo\"}" },
      { _tag: "ToolCall", id: "call_2", name: "get_time", arguments: "{}" }
    ]),
    Prompt.toolResult({ id: "function-call-c0", name: "get_weather", content: "rain" }),
    Prompt.toolResult({ id: "call_2", name: "get_time", content: "{\"hour\":3}" })
  ]

  const accepted: ReadonlyArray<readonly [string, LanguageModel.Request]> = [
    ["a question", { prompt: "Hi" }],
    ["instructions alone", { prompt: [Prompt.system("Be brief")] }],
    ["a history with tools", { prompt: history }],
    [
      "settings",
      {
        prompt: "Hi",
        temperature: 2,
        topP: 1,
        maxOutputTokens: 5,
        stop: ["x"],
        seed: 1,
        frequencyPenalty: -1,
        presencePenalty: 1,
        providerOptions: { thinkingConfig: { thinkingBudget: 0 }, safetySettings: [{ category: "c", threshold: "t" }] }
      }
    ],
    ["images by address", { prompt: [Prompt.user([Prompt.imageUrl("https://example.com/a.png")])] }]
  ]
  for (const model of ["gemini-2.5-flash", "gemini-3-pro"]) {
    for (const [what, asked] of accepted) {
      it.effect(`of our provider are accepted: ${what} (${model})`, () =>
        Effect.gen(function*() {
          const tools = yield* Toolkit.make(Weather, Time)
          for (const toolChoice of ["auto", "none", "required", { tool: "get_weather" }] as const) {
            const body = yield* bodyOf({ ...asked, tools, toolChoice }, { model })
            const made = read(body, model)
            expect(made).toMatchObject({
              _tag: "Right",
              right: {
                model,
                parallel: true,
                tools: toolChoice instanceof Object
                  ? [{ name: "get_weather" }]
                  : [{ name: "get_weather" }, { name: "get_time" }],
                toolChoice: toolChoice instanceof Object ? { name: "get_weather" } : toolChoice
              }
            })
          }
        }))
    }
  }

  it.effect("are understood: roles, texts, images, calls and their ids", () =>
    Effect.gen(function*() {
      const made = read(yield* bodyOf({ prompt: history, maxOutputTokens: 7 }))
      expect(made).toMatchObject({
        right: {
          maxTokens: 7,
          messages: [
            { role: "system", text: "Be brief" },
            { role: "user", text: "Weather in Oslo?", images: 1 },
            {
              role: "assistant",
              text: "Let me see",
              toolCalls: [
                { id: "c0", name: "get_weather", arguments: "{\"city\":\"Oslo\"}" },
                { id: "", name: "get_time", arguments: "{}" }
              ]
            },
            { role: "tool", text: "rain\n{\"hour\":3}" }
          ]
        }
      })
    }))

  it("may be spelled as protobuf allows: snake case, one part without a list, numbers as text, types in any case", () => {
    expect(read({
      contents: { parts: { text: "Hi" } },
      system_instruction: { parts: [{ text: "S" }] },
      tools: {
        function_declarations: {
          name: "f",
          parameters: {
            type: "object",
            properties: {
              list: { type: "ARRAY", items: { type: "STRING", nullable: true, enum: ["a"] }, maxItems: "3" }
            },
            required: ["list"]
          }
        }
      },
      generation_config: { max_output_tokens: "9", temperature: null }
    })).toMatchObject({
      right: {
        maxTokens: 9,
        messages: [{ role: "system", text: "S" }, { role: "user", text: "Hi" }],
        tools: [{
          name: "f",
          parameters: {
            type: "object",
            properties: {
              list: { type: "array", maxItems: 3, items: { type: ["string", "null"], enum: ["a", null] } }
            },
            required: ["list"]
          }
        }]
      }
    })
  })

  it("may ask for JSON by either schema", () => {
    const json = { responseMimeType: "application/json" }
    expect(read(config(json))).toMatchObject({ right: { output: { type: "object" } } })
    expect(read(config({ ...json, responseSchema: { type: "STRING" } }))).toMatchObject({
      right: { output: { type: "string" } }
    })
    expect(read(config({ ...json, responseJsonSchema: { type: "array" } }))).toMatchObject({
      right: { output: { type: "array" } }
    })
    expect(read(config({}))).toMatchObject({ right: { output: undefined } })
  })

  const refused: ReadonlyArray<readonly [string, unknown, string]> = [
    ["no JSON", "{\"contents\": [", "Invalid JSON payload received. Unexpected token."],
    ["nothing", "", "Unexpected end of string. Expected a value."],
    ["a list", "[]", "Root element must be a message."],
    ["an unknown name", { contents: [question], messages: [] }, "Unknown name \"messages\": Cannot find field."],
    [
      "an unknown name inside",
      declared({ parameters: { type: "OBJECT", properties: { a: { type: "STRING", const: "x" } } } }),
      "Unknown name \"const\" at 'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field."
    ],
    [
      "a list of types",
      declared({ parameters: { type: ["OBJECT", "NULL"] } }),
      "Unknown name \"type\" at 'tools[0].function_declarations[0].parameters': Proto field is not repeating, cannot start list."
    ],
    [
      "an object for a text",
      { contents: [{ parts: [{ text: {} }] }] },
      "Unknown name \"text\" at 'contents[0].parts[0]': Proto field is not a message, cannot start object."
    ],
    ["a text for an object", { contents: ["Hi"] }, "Invalid value at 'contents[0]'"],
    [
      "a number for a text",
      { contents: [{ parts: [{ text: 1 }] }] },
      "at 'contents[0].parts[0].text' (TYPE_STRING), 1"
    ],
    ["half a number", config({ maxOutputTokens: 1.5 }), "(TYPE_INT32), 1.5"],
    [
      "bytes that are none",
      { contents: [{ parts: [{ inlineData: { data: "?!" } }] }] },
      "Base64 decoding failed for \"?!\""
    ],
    ["an unknown mode", declared({}, { toolConfig: { functionCallingConfig: { mode: "MUST" } } }), "\"MUST\""],
    [
      "two kinds in one part",
      { contents: [{ parts: [{ text: "x", functionCall: {} }] }] },
      "oneof field 'data' is already set. Cannot set 'functionCall'"
    ],
    ["no contents", {}, "* GenerateContentRequest.contents: contents is not specified"],
    ["no parts", { contents: [{ role: "user" }] }, "contents[0].parts: contents.parts must not be empty."],
    ["an empty part", { contents: [{ parts: [{}] }] }, "required oneof field 'data' must have one initialized field"],
    ["a foreign role", { contents: [{ ...question, role: "assistant" }] }, "Please use a valid role: user, model."],
    ["a bad name", declared({ name: "1 f" }), "Invalid function name."],
    [
      "an empty object",
      declared({ parameters: { type: "OBJECT" } }),
      "parameters.properties: should be non-empty for OBJECT type"
    ],
    [
      "a twin",
      { contents: [question], tools: [{ functionDeclarations: [{ name: "f" }, { name: "f" }] }] },
      "Duplicate"
    ],
    [
      "no tools to call",
      { ...config({}), toolConfig: { functionCallingConfig: { mode: "ANY" } } },
      "without function_decl"
    ],
    [
      "names where none are asked for",
      declared({}, { toolConfig: { functionCallingConfig: { allowedFunctionNames: ["f"] } } }),
      "only when function calling mode is ANY"
    ],
    ["a call first", { contents: [{ role: "model", parts: [functionCall] }] }, "immediately after a user turn"],
    [
      "a result without a call",
      { contents: [question, { role: "user", parts: [functionResponse] }] },
      "immediately after a function call turn"
    ],
    [
      "fewer results than calls",
      {
        contents: [question, { role: "model", parts: [functionCall, functionCall] }, {
          role: "user",
          parts: [functionResponse]
        }]
      },
      "number of function response parts"
    ],
    [
      "an open call",
      { contents: [question, { role: "model", parts: [functionCall] }] },
      "number of function response parts"
    ],
    ["heat", config({ temperature: 2.1 }), "temperature must be in the range [0.0, 2.0]."],
    ["no room", config({ maxOutputTokens: 0 }), "max_output_tokens must be positive."],
    ["a foreign type", config({ responseMimeType: "text/html" }), "allowed mimetypes are"],
    ["a schema for plain text", config({ responseSchema: { type: "STRING" } }), "response_mime_type"],
    ["JSON with tools", declared({}, { generationConfig: { responseMimeType: "application/json" } }), "is unsupported"]
  ]
  for (const [what, body, words] of refused) {
    it(`are refused for ${what}`, () => {
      const error = errorOf(body)
      expect(error.detail).toContain(words)
      expect(["InvalidRequest", "UnsupportedFeature"]).toContain(error._tag)
      expect(error.status).toBe(400)
    })
  }

  it("of the third generation want their signatures back, and may ask for tools and JSON together", () => {
    const turns = {
      contents: [question, { role: "model", parts: [functionCall] }, { role: "user", parts: [functionResponse] }]
    }
    expect(errorOf(turns, "gemini-3-pro").detail).toContain("missing a thought_signature")
    expect(Either.isRight(read({ contents: [...turns.contents, question] }, "gemini-3-pro"))).toBe(true)
    const json = declared({}, { generationConfig: { responseMimeType: "application/json" } })
    expect(Either.isRight(read(json, "gemini-3-pro"))).toBe(true)
  })

  it("however deep or odd are answered, never thrown at", () => {
    const deep = (length: number) => `${"{\"items\":".repeat(length)}{}${"}".repeat(length)}`
    const body = (schema: string) =>
      `{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"responseMimeType":"application/json","responseSchema":${schema}}}`
    expect(errorOf(body(deep(500))).detail).toContain("Message too deep")
    expect(Either.isLeft(read(body(deep(200_000))))).toBe(true)
    FastCheck.assert(
      FastCheck.property(FastCheck.anything({ maxDepth: 4 }), (value) => {
        const text = JSON.stringify({ contents: value, tools: value, toolConfig: value, generationConfig: value }) ?? ""
        const made = gemini.read(text, path)
        expect(Either.isLeft(made) ? made.left.status : 200).toBeOneOf([200, 400])
      }),
      { numRuns: 300 }
    )
  })
})
