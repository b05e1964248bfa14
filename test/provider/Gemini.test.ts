import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import { answer, ask, bodyOf, events, key, options, reply, streamed } from "./fakeGemini.ts"
import { fakeClient, json } from "./fakeOpenAi.ts"

const weather = Toolkit.make(
  Tool.make("get_weather", {
    description: "The weather of a city",
    parameters: Schema.Struct({ city: Schema.String, unit: Schema.optional(Schema.Literal("c", "f")) })
  }),
  Tool.make("now", { parameters: Schema.Struct({}) })
)

const ok = () => json(answer({ text: "ok" }))

describe("Gemini", () => {
  describe("asks at the right place", () => {
    const urlOf = (more: Partial<Gemini.Options>) => Effect.map(ask(ok, undefined, more), ({ sent }) => sent[0]?.url)

    it.effect("with the key in a header and never in the address", () =>
      Effect.gen(function*() {
        const { sent } = yield* ask(ok)
        expect(sent[0]?.url).toBe(
          "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent"
        )
        expect(sent[0]?.headers["x-goog-api-key"]).toBe(key)
        expect(sent[0]?.headers["idempotency-key"]).toMatch(/^[0-9a-f]{32}$/)
        expect(sent[0]?.url).not.toContain("key")
      }))

    it.effect("streams as server-sent events", () =>
      Effect.gen(function*() {
        const { sent } = yield* streamed(events(answer({ text: "ok" })))
        expect(sent[0]?.url).toBe(
          "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        )
        expect(sent[0]?.headers["x-goog-api-key"]).toBe(key)
      }))

    it.effect("takes other addresses, their query, and models with a path of their own", () =>
      Effect.gen(function*() {
        expect(yield* urlOf({ baseUrl: "https://proxy.example/gemini/v1/?team=a" }))
          .toBe("https://proxy.example/gemini/v1/models/gemini-2.5-flash:generateContent?team=a")
        expect(yield* urlOf({ baseUrl: "http://localhost:8080" }))
          .toBe("http://localhost:8080/v1beta/models/gemini-2.5-flash:generateContent")
        expect(yield* urlOf({ model: "tunedModels/mine" })).toMatch(/\/v1beta\/tunedModels\/mine:generateContent$/)
        expect(yield* urlOf({ model: "models/gemini-3-pro" })).toMatch(
          /\/v1beta\/models\/gemini-3-pro:generateContent$/
        )
        expect(yield* urlOf({ model: "a?b#c" })).toMatch(/\/models\/a%3Fb%23c:generateContent$/)
      }))

    it.effect("sends headers of your own, which win", () =>
      Effect.gen(function*() {
        const { sent } = yield* ask(ok, undefined, {
          apiKey: undefined,
          baseUrl: "https://aiplatform.googleapis.com/v1/projects/p/locations/global",
          model: "publishers/google/models/gemini-2.5-pro",
          headers: { Authorization: Redacted.make("Bearer ya29.token") }
        })
        expect(sent[0]?.url).toBe(
          "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:generateContent"
        )
        expect(sent[0]?.headers["authorization"]).toBe("Bearer ya29.token")
      }))
  })

  describe("writes a request", () => {
    const body = (request: LanguageModel.Request, expected: object, more?: Partial<Gemini.Options>) =>
      Effect.map(bodyOf(request, more), (sent) => expect(sent).toEqual(expected))

    it.effect("of a text", () => body({ prompt: "Hi" }, { contents: [{ role: "user", parts: [{ text: "Hi" }] }] }))

    it.effect("with instructions, turns and images", () =>
      body({
        prompt: [
          Prompt.system("Be brief."),
          Prompt.user([
            Prompt.text("What is this?"),
            Prompt.imageBase64("AAAA", "image/png", { detail: "low" }),
            Prompt.imageUrl("https://example.com/cat.JPG?size=1"),
            Prompt.imageUrl("https://example.com/cat"),
            Prompt.imageUrl("data:image/webp;base64,BBBB")
          ]),
          Prompt.assistant([{ _tag: "Reasoning", text: "hm" }, Prompt.text("A cat.")]),
          Prompt.system("And kind."),
          Prompt.user([Prompt.text(""), Prompt.text("Sure?")])
        ]
      }, {
        systemInstruction: { parts: [{ text: "Be brief." }, { text: "And kind." }] },
        contents: [
          {
            role: "user",
            parts: [
              { text: "What is this?" },
              { inlineData: { mimeType: "image/png", data: "AAAA" } },
              { fileData: { mimeType: "image/jpeg", fileUri: "https://example.com/cat.JPG?size=1" } },
              { fileData: { fileUri: "https://example.com/cat" } },
              { inlineData: { mimeType: "image/webp", data: "BBBB" } }
            ]
          },
          { role: "model", parts: [{ text: "A cat." }] },
          { role: "user", parts: [{ text: "Sure?" }] }
        ]
      }))

    it.effect("of instructions alone as a question, because there must be one", () =>
      body({ prompt: [Prompt.system("Say hello.")] }, {
        contents: [{ role: "user", parts: [{ text: "Say hello." }] }]
      }))

    it.effect("with calls and their results, those of one round in one content", () =>
      body({
        prompt: [
          Prompt.user("Weather?"),
          Prompt.assistant([
            Prompt.text("Looking."),
            { _tag: "ToolCall", id: "abc", name: "get_weather", arguments: "{\"city\":\"Paris\"}" },
            { _tag: "ToolCall", id: "call_resp-1_1", name: "now", arguments: "" },
            { _tag: "ToolCall", id: "toolu_1", name: "now", arguments: "{broken" },
            { _tag: "ToolCall", id: "x", name: "now", arguments: "{\"id\":12345678901234567890}" }
          ]),
          Prompt.toolResult({ id: "abc", name: "get_weather", content: "{\"degrees\":20}" }),
          Prompt.toolResult({ id: "call_resp-1_1", name: "now", content: "noon" }),
          Prompt.toolResult({ id: "toolu_1", name: "now", content: "[1,2]" }),
          Prompt.toolResult({ id: "x", name: "now", content: "no such time", isError: true })
        ]
      }, {
        contents: [
          { role: "user", parts: [{ text: "Weather?" }] },
          {
            role: "model",
            parts: [
              { text: "Looking." },
              { functionCall: { id: "abc", name: "get_weather", args: { city: "Paris" } } },
              { functionCall: { name: "now", args: {} } },
              { functionCall: { id: "toolu_1", name: "now", args: { invalid_arguments: "{broken" } } },
              {
                functionCall: {
                  id: "x",
                  name: "now",
                  args: { invalid_arguments: "{\"id\":12345678901234567890}" }
                }
              }
            ]
          },
          {
            role: "user",
            parts: [
              { functionResponse: { id: "abc", name: "get_weather", response: { degrees: 20 } } },
              { functionResponse: { name: "now", response: { output: "noon" } } },
              { functionResponse: { id: "toolu_1", name: "now", response: { output: [1, 2] } } },
              { functionResponse: { id: "x", name: "now", response: { error: "no such time" } } }
            ]
          }
        ]
      }))

    it.effect("with results in the order of their calls, by which Gemini goes where there are no ids", () => {
      const calls = ["call_a", "call_b", "call_c"].map((id) =>
        ({ _tag: "ToolCall", id, name: "now", arguments: "{}" }) as const
      )
      const result = (id: string) => Prompt.toolResult({ id, name: "now", content: id })
      const answer = (output: string) => ({ functionResponse: { name: "now", response: { output } } })
      return Effect.map(
        bodyOf({
          prompt: Prompt.append(
            [Prompt.user("Times?"), Prompt.assistant(calls)],
            result("call_c"),
            Prompt.system("Be brief."),
            result("call_a"),
            result("call_b"),
            Prompt.assistant(calls.slice(0, 2).reverse()),
            result("call_a"),
            result("call_b")
          )
        }),
        (sent) =>
          expect(sent).toMatchObject({
            contents: [
              {},
              { role: "model" },
              { role: "user", parts: [answer("call_a"), answer("call_b"), answer("call_c")] },
              { role: "model" },
              { role: "user", parts: [answer("call_b"), answer("call_a")] }
            ]
          })
      )
    })

    it.effect("to Gemini 3 with Google's mark for the signature that the first call of a round must have", () =>
      Effect.gen(function*() {
        const call = { _tag: "ToolCall", id: "call_1", name: "now", arguments: "{}" } as const
        const prompt = [Prompt.user("Time?"), Prompt.assistant([call, { ...call, id: "call_2" }])]
        const functionCall = { name: "now", args: {} }
        expect(yield* bodyOf({ prompt }, { model: "gemini-3-pro-preview" })).toMatchObject({
          contents: [{}, {
            parts: [{ functionCall, thoughtSignature: "skip_thought_signature_validator" }, { functionCall }]
          }, {}]
        })
        expect(JSON.stringify(yield* bodyOf({ prompt }))).not.toContain("thoughtSignature")
      }))

    it.effect("with tools as plain JSON Schema, and the choice among them", () =>
      Effect.gen(function*() {
        const tools = yield* weather
        const config = (toolChoice: LanguageModel.ToolChoice | undefined) =>
          Effect.map(
            bodyOf({ prompt: "Hi", tools, toolChoice, parallelToolCalls: true, user: "u" }),
            (sent) => sent
          )
        expect(yield* config(undefined)).toEqual({
          contents: [{ role: "user", parts: [{ text: "Hi" }] }],
          tools: [{
            functionDeclarations: [
              {
                name: "get_weather",
                description: "The weather of a city",
                parametersJsonSchema: tools.definitions[0]?.parameters
              },
              { name: "now", parametersJsonSchema: tools.definitions[1]?.parameters }
            ]
          }]
        })
        const calling = (functionCallingConfig: object) => ({ toolConfig: { functionCallingConfig } })
        expect(yield* config("auto")).toMatchObject(calling({ mode: "AUTO" }))
        expect(yield* config("none")).toMatchObject(calling({ mode: "NONE" }))
        expect(yield* config("required")).toMatchObject(calling({ mode: "ANY" }))
        expect(yield* config({ tool: "now" })).toMatchObject(calling({ mode: "ANY", allowedFunctionNames: ["now"] }))
      }))

    it.effect("with everything that generation can be told", () =>
      body({
        prompt: "Hi",
        temperature: 0,
        topP: 0.5,
        maxOutputTokens: 10,
        stop: ["END"],
        seed: 7,
        frequencyPenalty: 0.1,
        presencePenalty: -0.1,
        providerOptions: {
          generationConfig: { topK: 40, temperature: 1 },
          thinkingConfig: { thinkingBudget: 0, includeThoughts: true },
          safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }],
          cachedContent: "cachedContents/1"
        }
      }, {
        contents: [{ role: "user", parts: [{ text: "Hi" }] }],
        generationConfig: {
          temperature: 1,
          topP: 0.5,
          maxOutputTokens: 10,
          stopSequences: ["END"],
          seed: 7,
          frequencyPenalty: 0.1,
          presencePenalty: -0.1,
          topK: 40,
          thinkingConfig: { thinkingBudget: 0, includeThoughts: true }
        },
        safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }],
        cachedContent: "cachedContents/1"
      }))

    it.effect("refuses provider options that are no JSON, before anything is sent", () =>
      Effect.gen(function*() {
        const { result, sent } = yield* ask(ok, { prompt: "Hi", providerOptions: { budget: 1n } })
        expect(result).toMatchObject({ left: { _tag: "InvalidRequest", param: "providerOptions", billed: "no" } })
        expect(sent).toEqual([])
      }))
  })

  describe("checks its options", () => {
    const issues = (more: Partial<Gemini.Options>) =>
      Effect.map(
        Effect.flip(
          Gemini.make({ ...options, ...more }).pipe(Effect.provideService(HttpClient.HttpClient, fakeClient(ok).client))
        ),
        (error) => error.issues.map((issue) => issue.path)
      )

    it.effect("and names each that is wrong", () =>
      Effect.gen(function*() {
        expect(yield* issues({ model: " " })).toEqual(["model"])
        expect(yield* issues({ model: "../../files" })).toEqual(["model"])
        expect(yield* issues({ apiKey: undefined })).toEqual(["apiKey"])
        expect(yield* issues({ apiKey: Redacted.make("two words") })).toEqual(["apiKey"])
        expect(yield* issues({ baseUrl: "ftp://x" })).toEqual(["baseUrl"])
        expect(yield* issues({ baseUrl: "https://x/v1beta/models" })).toEqual(["baseUrl"])
        expect(yield* issues({ baseUrl: `https://x/v1beta?key=${key}` })).toEqual(["baseUrl"])
        expect(yield* issues({ maxBodyBytes: 1, maxEventBytes: 1, provider: "" }))
          .toEqual(["provider", "maxBodyBytes", "maxEventBytes"])
      }))
  })

  describe("from the configuration", () => {
    const made = (variables: Record<string, string>, more?: Partial<Gemini.Options>) => {
      const { client, sent } = fakeClient(ok)
      return LanguageModel.generate({ prompt: "Hi" }).pipe(
        Effect.provide(Layer.provide(Gemini.layerConfig(more), Layer.succeed(HttpClient.HttpClient, client))),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))),
        Effect.map(() => sent[0])
      )
    }

    it.effect("takes either variable for the key", () =>
      Effect.gen(function*() {
        const one = yield* made({ GEMINI_API_KEY: "first-key", GOOGLE_API_KEY: "second-key", GEMINI_MODEL: "m" })
        expect(one?.headers["x-goog-api-key"]).toBe("first-key")
        const two = yield* made({ GOOGLE_API_KEY: "second-key", GEMINI_BASE_URL: "http://localhost:1/v1" }, {
          model: "n"
        })
        expect(two?.headers["x-goog-api-key"]).toBe("second-key")
        expect(two?.url).toBe("http://localhost:1/v1/models/n:generateContent")
      }))

    it.effect("says which variable is missing", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(made({}))
        expect(error).toMatchObject({ _tag: "InvalidOptions", module: "Gemini" })
        expect(error.message).toContain("GEMINI_API_KEY")
        expect(error.message).toContain("GOOGLE_API_KEY")
        expect(error.message).toContain("GEMINI_MODEL")
      }))
  })

  it.effect("keeps the key out of what an error shows, even where the server repeats it", () =>
    Effect.gen(function*() {
      const { result } = yield* ask(() =>
        json({ error: { code: 400, message: `API key not valid: ${key}`, status: "INVALID_ARGUMENT" } }, {
          status: 400
        })
      )
      expect(result).toMatchObject({ left: { _tag: "Authentication" } })
      expect(JSON.stringify(result)).not.toContain(key)
    }))

  it.effect("is a layer", () =>
    Effect.gen(function*() {
      const { client } = fakeClient(() =>
        json(reply({ content: { parts: [{ text: "hello" }] }, finishReason: "STOP" }))
      )
      const response = yield* LanguageModel.generate({ prompt: "Hi" }).pipe(
        Effect.provide(Layer.provide(Gemini.layer(options), Layer.succeed(HttpClient.HttpClient, client)))
      )
      expect(response.text).toBe("hello")
    }))
})
