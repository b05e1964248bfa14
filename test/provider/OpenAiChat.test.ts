import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import { ask, bodyOf, completion, fakeClient, json, key, options } from "./fakeOpenAi.ts"

describe("OpenAiChat", () => {
  describe("what is sent", () => {
    it.effect("is a POST to the base URL with the key, the ids and an idempotency key", () =>
      Effect.gen(function*() {
        const { sent } = yield* ask(() => json(completion({ content: "ok" })), {
          prompt: "Hi",
          idempotencyKey: "call-7"
        }, {
          baseUrl: "http://localhost:8080/v1/?api-version=1",
          organization: "org-1",
          project: "proj-1",
          headers: { "X-Team": "blue", "X-Secret": Redacted.make("hush") }
        })
        expect(sent[0]).toMatchObject({
          url: "http://localhost:8080/v1/chat/completions?api-version=1",
          headers: {
            authorization: `Bearer ${key}`,
            "openai-organization": "org-1",
            "openai-project": "proj-1",
            "x-team": "blue",
            "x-secret": "hush",
            "idempotency-key": "call-7",
            "content-type": "application/json"
          }
        })
      }))

    it.effect("makes an idempotency key from Random where none is given, a new one for each call", () =>
      Effect.gen(function*() {
        const keys = Effect.gen(function*() {
          const { client, sent } = fakeClient(() => json(completion({ content: "ok" })))
          const model = yield* OpenAiChat.make(options).pipe(Effect.provideService(HttpClient.HttpClient, client))
          yield* model.generate({ prompt: "Hi" })
          yield* model.generate({ prompt: "Hi" })
          return sent.map((request) => request.headers["idempotency-key"])
        })
        const [first, second] = yield* Effect.withRandom(keys, Random.make("seed"))
        expect(first).toMatch(/^[0-9a-f]{32}$/)
        expect(second).not.toBe(first)
        expect(yield* Effect.withRandom(keys, Random.make("seed"))).toEqual([first, second])
      }))

    it.effect("holds messages, tools and sampling options under the names of the wire", () =>
      Effect.gen(function*() {
        const tools = yield* Toolkit.make(
          Tool.make("get_weather", {
            description: "Weather of a city",
            parameters: Schema.Struct({ city: Schema.String })
          })
        )
        const body = yield* bodyOf({
          prompt: [
            Prompt.system("Be brief."),
            Prompt.user([
              Prompt.text("Look"),
              Prompt.imageUrl("https://example.com/a.png", { detail: "low" }),
              Prompt.imageBase64("AAAA", "image/png")
            ]),
            Prompt.assistant([
              { _tag: "Reasoning", text: "hmm" },
              { _tag: "ToolCall", id: "c1", name: "get_weather", arguments: "{\"city\":\"Lima\"}" }
            ]),
            Prompt.toolResult({ id: "c1", name: "get_weather", content: "sunny" })
          ],
          tools,
          toolChoice: { tool: "get_weather" },
          parallelToolCalls: false,
          temperature: 0.2,
          topP: 0.9,
          maxOutputTokens: 100,
          stop: ["END"],
          seed: 7,
          frequencyPenalty: 0.1,
          presencePenalty: -0.1,
          user: "u1",
          providerOptions: { temperature: 0.5, logprobs: true }
        })
        expect(body).toEqual({
          model: "gpt-4o-mini",
          messages: [
            { role: "system", content: "Be brief." },
            {
              role: "user",
              content: [
                { type: "text", text: "Look" },
                { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
                { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }
              ]
            },
            {
              role: "assistant",
              content: null,
              tool_calls: [{
                id: "c1",
                type: "function",
                function: { name: "get_weather", arguments: "{\"city\":\"Lima\"}" }
              }]
            },
            { role: "tool", tool_call_id: "c1", content: "sunny" }
          ],
          tools: [{
            type: "function",
            function: {
              name: "get_weather",
              description: "Weather of a city",
              parameters: tools.definitions[0]?.parameters
            }
          }],
          tool_choice: { type: "function", function: { name: "get_weather" } },
          parallel_tool_calls: false,
          temperature: 0.5,
          top_p: 0.9,
          max_completion_tokens: 100,
          stop: ["END"],
          seed: 7,
          frequency_penalty: 0.1,
          presence_penalty: -0.1,
          user: "u1",
          logprobs: true
        })
      }))

    it.effect("leaves out everything that was not asked for, the fields of tools included", () =>
      Effect.gen(function*() {
        const body = yield* bodyOf({ prompt: "Hi", toolChoice: "none", parallelToolCalls: true, tools: Toolkit.empty })
        expect(body).toEqual({ model: "gpt-4o-mini", messages: [{ role: "user", content: "Hi" }] })
      }))

    it.effect("calls the output limit as the server does: by host, or as told", () =>
      Effect.gen(function*() {
        const field = (more: Partial<OpenAiChat.Options>) =>
          Effect.map(bodyOf({ prompt: "Hi", maxOutputTokens: 5 }, more), (body) => Object.keys(Object(body)).at(-1))
        expect(yield* field({})).toBe("max_completion_tokens")
        expect(yield* field({ baseUrl: "https://me.openai.azure.com/openai/v1" })).toBe("max_completion_tokens")
        expect(yield* field({ baseUrl: "http://localhost:11434/v1" })).toBe("max_tokens")
        expect(yield* field({ maxTokensField: "max_tokens" })).toBe("max_tokens")
      }))

    it.effect("wraps broken arguments of earlier calls, which some servers would refuse", () =>
      Effect.gen(function*() {
        const sentArguments = (raw: string) =>
          Effect.map(
            bodyOf({
              prompt: [Prompt.user("Hi"), Prompt.assistant([{ _tag: "ToolCall", id: "c", name: "f", arguments: raw }])]
            }),
            (body) => JSON.parse(JSON.stringify(body)).messages[1].tool_calls[0].function.arguments
          )
        expect(yield* sentArguments("{ \"a\" : 1 }")).toBe("{ \"a\" : 1 }")
        expect(yield* sentArguments("")).toBe("{}")
        expect(yield* sentArguments("{\"a\":")).toBe("{\"invalid_arguments\":\"{\\\"a\\\":\"}")
        expect(yield* sentArguments("[1]")).toBe("{\"invalid_arguments\":\"[1]\"}")
      }))

    it.effect("holds the reasoning of earlier replies only where the server wants it", () =>
      Effect.gen(function*() {
        const request = { prompt: [Prompt.assistant([{ _tag: "Reasoning", text: "why" } as const, Prompt.text("ok")])] }
        expect(yield* bodyOf(request)).toMatchObject({ messages: [{ role: "assistant", content: "ok" }] })
        expect(JSON.stringify(yield* bodyOf(request))).not.toContain("why")
        expect(yield* bodyOf(request, { reasoningField: "reasoning_content" })).toMatchObject({
          messages: [{ content: "ok", reasoning_content: "why" }]
        })
      }))

    it.effect("says how to go on with a last assistant message, in the words of the server, and only there", () =>
      Effect.gen(function*() {
        const begun = { prompt: [Prompt.user("Capital?"), Prompt.assistant("Par")] }
        const asked = { prompt: [Prompt.user("Capital?"), Prompt.assistant("Paris"), Prompt.user("And of Italy?")] }
        expect(yield* bodyOf(begun)).not.toHaveProperty("messages.1.prefix")
        const prefix = { prefill: "prefix" } as const
        expect(yield* bodyOf(begun, prefix)).toMatchObject({
          messages: [{ role: "user" }, { role: "assistant", content: "Par", prefix: true }]
        })
        expect(JSON.stringify(yield* bodyOf(asked, prefix))).not.toContain("prefix")
        const request = { prefill: "continue_final_message" } as const
        const body = yield* bodyOf(begun, request)
        expect(body).toMatchObject({
          messages: [{ role: "user" }, { role: "assistant", content: "Par" }],
          continue_final_message: true,
          add_generation_prompt: false
        })
        expect(JSON.stringify(body)).not.toContain("prefix")
        expect(yield* bodyOf(asked, request)).not.toHaveProperty("continue_final_message")
      }))

    it.effect("says so of no message with calls, whose results are still to come", () =>
      Effect.gen(function*() {
        const prompt = [
          Prompt.user("Weather?"),
          Prompt.assistant([{ _tag: "ToolCall", id: "a", name: "get_weather", arguments: "{}" }])
        ]
        expect(JSON.stringify(yield* bodyOf({ prompt }, { prefill: "prefix" }))).not.toContain("prefix")
      }))

    it.effect("is nothing at all where the body cannot be written or asks for a stream", () =>
      Effect.gen(function*() {
        for (const providerOptions of [{ big: 1n }, { stream: true }]) {
          const { result, sent } = yield* ask(() => json(completion({ content: "ok" })), {
            prompt: "Hi",
            providerOptions
          })
          expect(yield* Effect.flip(result)).toMatchObject({
            _tag: "InvalidRequest",
            param: "providerOptions",
            billed: "no"
          })
          expect(sent).toEqual([])
        }
      }))
  })

  describe("options", () => {
    it.effect("declare that a text can be continued, by the server's way of doing it or by capabilities alone", () =>
      Effect.gen(function*() {
        const resumeOf = (more: Partial<OpenAiChat.Options>) =>
          OpenAiChat.make({ ...options, ...more }).pipe(
            Effect.map(({ capabilities }) => capabilities.resume),
            Effect.provideService(HttpClient.HttpClient, fakeClient(() => json({})).client)
          )
        expect(yield* resumeOf({})).toBeUndefined()
        expect(yield* resumeOf({ prefill: "prefix" })).toEqual({ continuation: "prefill" })
        expect(yield* resumeOf({ capabilities: { resume: { continuation: "followUp" } } })).toEqual({
          continuation: "followUp"
        })
      }))

    const { client } = fakeClient(() => json(completion({ content: "ok" })))
    const refused = (more: Partial<OpenAiChat.Options>) =>
      OpenAiChat.make({ ...options, ...more }).pipe(
        Effect.provideService(HttpClient.HttpClient, client),
        Effect.flip,
        Effect.map((error) => {
          expect(error._tag).toBe("InvalidOptions")
          return error.issues
        })
      )

    const cases: ReadonlyArray<readonly [string, Partial<OpenAiChat.Options>, string]> = [
      ["a blank model", { model: " " }, "model"],
      ["a missing key for OpenAI itself", { apiKey: undefined }, "apiKey"],
      ["a blank key", { apiKey: Redacted.make("  ") }, "apiKey"],
      ["a key with a line break", { apiKey: Redacted.make(`${key}\n`) }, "apiKey"],
      ["a base URL that is none", { baseUrl: "api.openai.com/v1" }, "baseUrl"],
      ["a base URL of another protocol", { baseUrl: "ftp://api.openai.com" }, "baseUrl"],
      ["a base URL with a password", { baseUrl: "https://me:secret@api.openai.com/v1" }, "baseUrl"],
      ["a base URL with a key", { baseUrl: "https://gateway.example/v1?key=AIzaSyD-secret-secret" }, "baseUrl"],
      ["a base URL that goes too far", { baseUrl: "https://api.openai.com/v1/chat/completions" }, "baseUrl"],
      ["a header that cannot be sent", { headers: { "x-a": "one\ntwo" } }, "headers.x-a"],
      ["a header without a name", { headers: { "": "x" } }, "headers."],
      ["a header that the client sets", { headers: { "Content-Length": "1" } }, "headers.Content-Length"],
      ["a blank organization", { organization: "" }, "organization"],
      ["a cap of NaN", { maxBodyBytes: Number.NaN }, "maxBodyBytes"],
      ["a negative cap", { maxBodyBytes: -1 }, "maxBodyBytes"]
    ]
    for (const [name, more, path] of cases) {
      it.effect(`refuse ${name}`, () =>
        Effect.map(refused(more), (issues) => {
          expect(issues.map((issue) => issue.path)).toEqual([path])
          expect(JSON.stringify(issues)).not.toMatch(/me:secret|AIzaSyD-secret|sk-test/)
        }))
    }

    it.effect("are all judged at once", () =>
      Effect.map(
        refused({ model: "", baseUrl: "nowhere", maxBodyBytes: 0 }),
        (issues) => expect(issues.map((issue) => issue.path)).toEqual(["model", "baseUrl", "maxBodyBytes"])
      ))

    it.effect("need no key for another server", () =>
      Effect.gen(function*() {
        const { sent } = yield* ask(() => json(completion({ content: "ok" })), undefined, {
          apiKey: undefined,
          baseUrl: "http://localhost:11434/v1"
        })
        expect(sent[0]?.headers).not.toHaveProperty("authorization")
      }))

    const fromVariables = (variables: Record<string, string>, more?: Partial<OpenAiChat.Options>) => {
      const { client, sent } = fakeClient(() => json(completion({ content: "ok" })))
      return LanguageModel.generate({ prompt: "Hi" }).pipe(
        Effect.provide(OpenAiChat.layerConfig(more)),
        Effect.provideService(HttpClient.HttpClient, client),
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))),
        Effect.map(() => sent[0])
      )
    }

    it.effect("come from OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL", () =>
      Effect.gen(function*() {
        const sent = yield* fromVariables({
          OPENAI_API_KEY: key,
          OPENAI_BASE_URL: "https://gateway.example/v1",
          OPENAI_MODEL: "m1"
        }, { model: "other", organization: "org-1" })
        expect(sent).toMatchObject({
          url: "https://gateway.example/v1/chat/completions",
          headers: { authorization: `Bearer ${key}`, "openai-organization": "org-1" },
          body: { model: "m1" }
        })
      }))

    it.effect("name the variables that are missing, and what to do", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(fromVariables({}))
        expect(error).toMatchObject({
          _tag: "InvalidOptions",
          issues: [{ path: "OPENAI_MODEL", found: "nothing" }, { path: "OPENAI_API_KEY", found: "nothing" }]
        })
        expect(error.message).toMatch(
          /OPENAI_API_KEY \(found nothing\); allowed: the environment variable set to a key/
        )
      }))

    it.effect("take what the variables leave out from the code", () =>
      Effect.map(
        fromVariables({ OPENAI_API_KEY: key }, { model: "m2" }),
        (sent) =>
          expect(sent).toMatchObject({ url: "https://api.openai.com/v1/chat/completions", body: { model: "m2" } })
      ))
  })
})
