import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { fakeClient, json, key } from "./fakeOpenAi.ts"
import { ask, bodyOf, framed, message, options, response } from "./fakeOpenAiResponses.ts"

const addTool = Tool.make("add", {
  description: "Adds",
  parameters: Schema.Struct({ a: Schema.Number, b: Schema.optional(Schema.Number) })
})

describe("OpenAiResponses", () => {
  describe("what is sent", () => {
    it.effect("is a POST to the base URL with the key, the ids and an idempotency key", () =>
      Effect.gen(function*() {
        const { sent } = yield* ask(() => json(response([message("ok")])), { prompt: "Hi", idempotencyKey: "call-7" }, {
          baseUrl: "https://team.openai.azure.com/openai/v1/?api-version=preview",
          organization: "org-1",
          project: "proj-1",
          headers: { "X-Team": "blue", "API-Key": Redacted.make("hush") }
        })
        expect(sent[0]).toMatchObject({
          url: "https://team.openai.azure.com/openai/v1/responses?api-version=preview",
          headers: {
            accept: "application/json",
            authorization: `Bearer ${key}`,
            "openai-organization": "org-1",
            "openai-project": "proj-1",
            "x-team": "blue",
            "api-key": "hush",
            "idempotency-key": "call-7"
          }
        })
      }))

    it.effect("is the prompt as input, and nothing is stored unless asked for", () =>
      Effect.gen(function*() {
        expect(yield* bodyOf({ prompt: "Hi" })).toEqual({
          model: "gpt-5-mini",
          input: [{ type: "message", role: "user", content: "Hi" }],
          include: ["reasoning.encrypted_content"],
          store: false
        })
        expect(yield* bodyOf({ prompt: "Hi" }, { store: true })).toMatchObject({ store: true })
      }))

    it.effect("holds messages, calls, results and options under the names of the wire", () =>
      Effect.gen(function*() {
        const tools = yield* Toolkit.make(addTool)
        const body = yield* bodyOf({
          prompt: [
            Prompt.system("Be brief."),
            Prompt.system("Be kind."),
            Prompt.user([
              Prompt.text("Look"),
              Prompt.imageUrl("https://example.com/a.png", { detail: "low" }),
              Prompt.imageBase64("AAAA", "image/png")
            ]),
            Prompt.assistant([
              { _tag: "Reasoning", text: "hmm" },
              Prompt.text("I "),
              Prompt.text("add."),
              { _tag: "ToolCall", id: "call_1", name: "add", arguments: "{\"a\":1}" },
              { _tag: "ToolCall", id: "call_2", name: "add", arguments: "{\"a\":" }
            ]),
            Prompt.toolResult({ id: "call_1", name: "add", content: "1" }),
            Prompt.system("Now in French."),
            Prompt.user("Go on")
          ],
          tools,
          toolChoice: { tool: "add" },
          parallelToolCalls: false,
          temperature: 0.2,
          topP: 0.9,
          maxOutputTokens: 100,
          frequencyPenalty: 0.1,
          presencePenalty: -0.1,
          seed: 7,
          user: "u1"
        }, { reasoning: { effort: "low", summary: "auto" } })
        expect(body).toEqual({
          model: "gpt-5-mini",
          instructions: "Be brief.\n\nBe kind.",
          input: [
            {
              type: "message",
              role: "user",
              content: [
                { type: "input_text", text: "Look" },
                { type: "input_image", image_url: "https://example.com/a.png", detail: "low" },
                { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "auto" }
              ]
            },
            { type: "message", role: "assistant", content: "I add." },
            { type: "function_call", call_id: "call_1", name: "add", arguments: "{\"a\":1}" },
            {
              type: "function_call",
              call_id: "call_2",
              name: "add",
              arguments: "{\"invalid_arguments\":\"{\\\"a\\\":\"}"
            },
            { type: "function_call_output", call_id: "call_1", output: "1" },
            {
              type: "function_call_output",
              call_id: "call_2",
              output: expect.stringContaining("There is no result")
            },
            { type: "message", role: "system", content: "Now in French." },
            { type: "message", role: "user", content: "Go on" }
          ],
          tools: [{
            type: "function",
            name: "add",
            description: "Adds",
            parameters: tools.definitions[0]?.parameters,
            strict: false
          }],
          tool_choice: { type: "function", name: "add" },
          parallel_tool_calls: false,
          temperature: 0.2,
          top_p: 0.9,
          max_output_tokens: 100,
          frequency_penalty: 0.1,
          presence_penalty: -0.1,
          reasoning: { effort: "low", summary: "auto" },
          include: ["reasoning.encrypted_content"],
          user: "u1",
          store: false
        })
      }))

    it.effect("sends reasoning back where the server wants it", () =>
      Effect.map(
        bodyOf({
          prompt: [
            Prompt.user("Hi"),
            Prompt.assistant([
              { _tag: "Reasoning", text: "hmm" },
              { _tag: "ToolCall", id: "c", name: "add", arguments: "" }
            ])
          ]
        }, { reasoningItems: "reasoning_text" }),
        (body) =>
          expect(body).toMatchObject({
            input: [
              { role: "user" },
              { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "hmm" }] },
              { type: "function_call", arguments: "{}" },
              { type: "function_call_output", call_id: "c" }
            ]
          })
      ))

    it.effect("keeps system messages as input where there is nothing else", () =>
      Effect.map(bodyOf({ prompt: [Prompt.system("Speak.")] }), (body) =>
        expect(body).toEqual({
          model: "gpt-5-mini",
          input: [{ type: "message", role: "system", content: "Speak." }],
          include: ["reasoning.encrypted_content"],
          store: false
        })))

    it.effect("merges providerOptions last: structured output, includes, anything", () =>
      Effect.map(
        bodyOf({
          prompt: "Hi",
          temperature: 0.2,
          providerOptions: {
            temperature: 0.5,
            store: true,
            text: { format: { type: "json_schema", name: "x", schema: { type: "object" } } },
            reasoning: { effort: "high" }
          }
        }, { reasoning: { effort: "low" } }),
        (body) =>
          expect(body).toMatchObject({
            temperature: 0.5,
            store: true,
            text: { format: { type: "json_schema", name: "x", schema: { type: "object" } } },
            reasoning: { effort: "high" }
          })
      ))

    it.effect("sends no tool fields without tools, and plain choices as they are", () =>
      Effect.gen(function*() {
        expect(Object.keys((yield* bodyOf({ prompt: "Hi", toolChoice: "none" })) ?? {})).not.toContain("tool_choice")
        const tools = yield* Toolkit.make(addTool)
        expect(yield* bodyOf({ prompt: "Hi", tools, toolChoice: "required" })).toMatchObject({
          tool_choice: "required"
        })
      }))
  })

  describe("what is refused before it is sent", () => {
    const refused = (request: LanguageModel.Request) =>
      Effect.map(ask(() => json(response([message("ok")])), request), ({ result, sent }) => {
        expect(sent).toEqual([])
        return result
      })

    it.effect("is a text that ends the reply, which the API does not have, also for streams", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.flatten(refused({ prompt: "Hi", stop: ["END"] })))
        expect(error).toMatchObject({ _tag: "UnsupportedFeature", feature: "stop", billed: "no" })
        expect(error.message).toMatch(/the Responses API has no stop.*providerOptions/)
        const model = yield* OpenAiResponses.make(options).pipe(
          Effect.provideService(HttpClient.HttpClient, fakeClient(() => json({})).client)
        )
        const inStream = yield* Effect.flip(Stream.runDrain(model.stream({ prompt: "Hi", stop: ["END"] })))
        expect(inStream).toEqual(error)
        expect(yield* bodyOf({ prompt: "Hi", providerOptions: { stop: ["END"] } })).toMatchObject({ stop: ["END"] })
      }))

    it.effect("is a request for a stream or for background work where a reply is read", () =>
      Effect.gen(function*() {
        for (const providerOptions of [{ stream: true }, { background: true }]) {
          const error = yield* Effect.flip(Effect.flatten(refused({ prompt: "Hi", providerOptions })))
          expect(error).toMatchObject({ _tag: "InvalidRequest", param: "providerOptions", billed: "no" })
        }
      }))
  })

  describe("a stream", () => {
    it.effect("asks for events and gives their parts, with the id to quote", () =>
      Effect.gen(function*() {
        const { client, sent } = fakeClient(() =>
          new Response(
            framed([
              { type: "response.created", response: { id: "resp_1", model: "gpt-5-mini-2025-08-07" } },
              { type: "response.output_text.delta", output_index: 0, content_index: 0, delta: "Hello" },
              { type: "response.completed", response: response([message("Hello")]) }
            ]),
            { headers: { "content-type": "text/event-stream", "x-request-id": "req_1" } }
          )
        )
        const model = yield* OpenAiResponses.make(options).pipe(Effect.provideService(HttpClient.HttpClient, client))
        const reply = yield* StreamPart.collect(model.stream({ prompt: "Hi" }))
        expect(reply).toMatchObject({
          id: "resp_1",
          model: "gpt-5-mini-2025-08-07",
          text: "Hello",
          finishReason: "stop",
          requestId: "req_1"
        })
        expect(sent[0]).toMatchObject({
          headers: { accept: "text/event-stream" },
          body: { stream: true, store: false }
        })
      }))

    it.effect("is also made of a reply that comes whole", () =>
      Effect.gen(function*() {
        const model = yield* OpenAiResponses.make(options).pipe(
          Effect.provideService(HttpClient.HttpClient, fakeClient(() => json(response([message("Hello")]))).client)
        )
        expect((yield* StreamPart.collect(model.stream({ prompt: "Hi" }))).text).toBe("Hello")
      }))
  })

  describe("options", () => {
    const made = (more: object) =>
      OpenAiResponses.make({ ...options, ...more }).pipe(
        Effect.provideService(HttpClient.HttpClient, fakeClient(() => json({})).client)
      )

    it.effect("are checked all at once, each with what is allowed", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(made({
          model: " ",
          apiKey: undefined,
          provider: "",
          maxBodyBytes: 10,
          maxEventBytes: 0.5,
          store: "no",
          reasoning: { effort: " ", summary: "long" },
          reasoningItems: "summary"
        }))
        expect(error.issues.map((issue) => issue.path)).toEqual([
          "model",
          "apiKey",
          "provider",
          "maxBodyBytes",
          "maxEventBytes",
          "store",
          "reasoning.effort",
          "reasoning.summary",
          "reasoningItems"
        ])
        expect(error.message).toContain("OpenAiResponses")
      }))

    it.effect("refuse an address that already holds the path", () =>
      Effect.map(
        Effect.flip(made({ baseUrl: "https://api.openai.com/v1/responses" })),
        (error) =>
          expect(error.issues).toMatchObject([{
            path: "baseUrl",
            allowed: expect.stringContaining("without /responses")
          }])
      ))

    it.effect("need no key for another server than OpenAI's", () =>
      Effect.map(
        made({ apiKey: undefined, baseUrl: "http://localhost:1234/v1", provider: "lmstudio" }),
        (model) => expect(model).toMatchObject({ name: "gpt-5-mini", provider: "lmstudio" })
      ))

    it.effect("come from the environment under OpenAI's names", () =>
      Effect.gen(function*() {
        const { client, sent } = fakeClient(() => json(response([message("ok")])))
        const run = (
          variables: ReadonlyArray<readonly [string, string]>,
          more: Partial<OpenAiResponses.Options> = {}
        ) =>
          LanguageModel.generate({ prompt: "Hi" }).pipe(
            Effect.provide(OpenAiResponses.layerConfig(more)),
            Effect.provideService(HttpClient.HttpClient, client),
            Effect.withConfigProvider(ConfigProvider.fromMap(new Map(variables)))
          )
        yield* run([["OPENAI_API_KEY", key], ["OPENAI_BASE_URL", "https://gate.example/v1"], ["OPENAI_MODEL", "m1"]])
        yield* run([["OPENAI_API_KEY", key]], { model: "m2" })
        expect(sent).toMatchObject([
          {
            url: "https://gate.example/v1/responses",
            headers: { authorization: `Bearer ${key}` },
            body: { model: "m1" }
          },
          { url: "https://api.openai.com/v1/responses", body: { model: "m2" } }
        ])
        const error = yield* Effect.flip(run([]))
        expect(error).toMatchObject({
          _tag: "InvalidOptions",
          issues: [{ path: "OPENAI_MODEL" }, { path: "OPENAI_API_KEY" }]
        })
      }))

    it("have defaults that can be read", () => {
      expect(OpenAiResponses.defaults).toEqual({
        baseUrl: "https://api.openai.com/v1",
        provider: "openai",
        dialects: { tools: "plain", output: "openai-strict" },
        maxBodyBytes: 16 * 1024 * 1024,
        maxEventBytes: 4 * 1024 * 1024,
        maxToolCalls: 256,
        store: false,
        reasoningItems: "none",
        encryptedReasoning: "auto"
      })
    })
  })
})
