/** One request for JSON of a schema, in the words of each protocol; and options an API has no place for, by one rule. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as anthropic from "./fakeAnthropic.ts"
import * as gemini from "./fakeGemini.ts"
import * as chat from "./fakeOpenAi.ts"
import * as responses from "./fakeOpenAiResponses.ts"

type Make = Effect.Effect<LanguageModel.Service<ModelError>, unknown, HttpClient.HttpClient>

const make = (name: string, more: { readonly capabilities?: Partial<LanguageModel.Capabilities> } = {}): Make => {
  switch (name) {
    case "Anthropic":
      return Anthropic.make({ ...anthropic.options, ...more })
    case "Gemini":
      return Gemini.make({ ...gemini.options, ...more })
    case "OpenAiResponses":
      return OpenAiResponses.make({ ...responses.options, ...more })
    default:
      return OpenAiChat.make({ ...chat.options, ...more })
  }
}

const names = ["OpenAiChat", "OpenAiResponses", "Anthropic", "Gemini"]

/** What went over the wire, and how the call ended; the reply does not matter. */
const asked = (name: string, request: LanguageModel.Request, more?: Parameters<typeof make>[1]) => {
  const { client, sent } = chat.fakeClient(() => chat.json({}))
  return Effect.gen(function*() {
    const model = yield* make(name, more)
    const whole = yield* Effect.either(model.generate(request))
    const stream = yield* Effect.either(Stream.runDrain(model.stream(request)))
    return { whole, stream, sent, body: sent[0]?.body }
  }).pipe(Effect.provideService(HttpClient.HttpClient, client))
}

const City = Schema.Struct({ name: Schema.String, people: Schema.optional(Schema.Number) })

const jsonSchema = {
  type: "object",
  required: ["name"],
  properties: { name: { type: "string" }, people: { type: "number" } },
  additionalProperties: false
}

const responseFormat = { name: "city", description: "A city", schema: City }

/** The addresses are OpenAI's own, where answers are strict (see `dialects.test.ts`). */
const strict = {
  type: "object",
  required: ["name", "people"],
  properties: { name: { type: "string" }, people: { anyOf: [{ type: "number" }, { type: "null" }] } },
  additionalProperties: false
}

const written: Readonly<Record<string, (schema: object) => object>> = {
  OpenAiChat: () => ({
    response_format: {
      type: "json_schema",
      json_schema: { name: "city", description: "A city", schema: strict, strict: true }
    }
  }),
  OpenAiResponses: () => ({
    text: { format: { type: "json_schema", name: "city", description: "A city", schema: strict, strict: true } }
  }),
  Anthropic: (schema) => ({
    output_config: { format: { type: "json_schema", schema: { ...schema, description: "A city" } } }
  }),
  Gemini: (schema) => ({
    generationConfig: {
      responseMimeType: "application/json",
      responseJsonSchema: { ...schema, description: "A city" }
    }
  })
}

describe("A response format", () => {
  for (const name of names) {
    describe(`for ${name}`, () => {
      it.effect("is written in the words of its protocol, for whole replies and streams", () =>
        Effect.gen(function*() {
          const { sent } = yield* asked(name, { prompt: "Hi", responseFormat })
          expect(sent.length).toBe(2)
          for (const { body } of sent) expect(body).toMatchObject(written[name]?.(jsonSchema) ?? {})
        }))

      it.effect("is absent where none is asked for", () =>
        Effect.gen(function*() {
          const { body } = yield* asked(name, { prompt: "Hi" })
          expect(Object.keys(body ?? {})).not.toEqual(
            expect.arrayContaining(["response_format", "text", "output_config", "generationConfig"])
          )
        }))

      it.effect("without a JSON form is refused before anything is sent", () =>
        Effect.gen(function*() {
          for (const schema of [Schema.Struct({ at: Schema.DateFromSelf }), Schema.Array(Schema.String)]) {
            const { sent, stream, whole } = yield* asked(name, {
              prompt: "Hi",
              responseFormat: { name: "x", schema }
            })
            const error = { left: { _tag: "InvalidRequest", param: "responseFormat", billed: "no" } }
            expect(whole).toMatchObject(error)
            expect(stream).toMatchObject(error)
            expect(sent).toEqual([])
          }
          const { whole } = yield* asked(name, {
            prompt: "Hi",
            responseFormat: { name: "x", schema: Schema.Struct({ at: Schema.DateFromSelf }) }
          })
          expect(String(whole)).toContain("responseFormat.schema.at")
        }))

      it.effect("is refused where the server is said not to know it", () =>
        Effect.gen(function*() {
          const { sent, whole } = yield* asked(name, { prompt: "Hi", responseFormat }, {
            capabilities: { structuredOutput: false }
          })
          expect(whole).toMatchObject({ left: { _tag: "UnsupportedFeature", feature: "structured output" } })
          expect(sent).toEqual([])
        }))
    })
  }

  it.effect("stays where provider options say more in the same field, and goes where they replace it", () =>
    Effect.gen(function*() {
      const { body: effort } = yield* asked("Anthropic", {
        prompt: "Hi",
        responseFormat,
        providerOptions: { output_config: { effort: "low" } }
      })
      expect(effort).toMatchObject({ output_config: { effort: "low", format: { type: "json_schema" } } })
      const { body: verbose } = yield* asked("OpenAiResponses", {
        prompt: "Hi",
        responseFormat,
        providerOptions: { text: { verbosity: "low" } }
      })
      expect(verbose).toMatchObject({ text: { verbosity: "low", format: { type: "json_schema" } } })
      const { body: own } = yield* asked("OpenAiResponses", {
        prompt: "Hi",
        responseFormat,
        providerOptions: { text: { format: { type: "json_object" } } }
      })
      expect(own).toMatchObject({ text: { format: { type: "json_object" } } })
    }))
})

describe("An option that an API has no place for", () => {
  const tools = Toolkit.make(Tool.make("f", { parameters: Schema.Struct({}) }))

  it.effect("is refused where leaving it out would change what the reply means", () =>
    Effect.gen(function*() {
      const both = { prompt: "Hi", stop: ["END"], tools: yield* tools, parallelToolCalls: false }
      const lacking: Readonly<Record<string, string>> = { OpenAiResponses: "stop", Gemini: "parallelToolCalls" }
      for (const name of names) {
        const { sent, stream, whole } = yield* asked(name, both)
        const feature = lacking[name]
        expect(sent.length).toBe(feature === undefined ? 2 : 0)
        if (feature === undefined) continue
        expect(whole).toMatchObject({ left: { _tag: "UnsupportedFeature", feature, billed: "no" } })
        expect(stream).toEqual(whole)
      }
    }))

  it.effect("is no matter where it forbids what cannot happen", () =>
    Effect.gen(function*() {
      const never = { prompt: "Hi", stop: [], parallelToolCalls: false }
      for (const name of names) expect((yield* asked(name, never)).sent.length).toBe(2)
    }))

  it.effect("is left out where it only loosens", () =>
    Effect.gen(function*() {
      const request: LanguageModel.Request = {
        prompt: [Prompt.user([Prompt.imageUrl("https://x.example/a.png", { detail: "low" })])],
        seed: 7,
        frequencyPenalty: 0.5,
        presencePenalty: 0.5,
        user: "u"
      }
      for (const name of names) expect((yield* asked(name, request)).sent.length).toBe(2)
      expect(Object.keys((yield* asked("Anthropic", request)).body ?? {})).not.toEqual(
        expect.arrayContaining(["seed", "frequency_penalty", "presence_penalty"])
      )
    }))
})

describe("How much a model thinks", () => {
  const bodyOf = <O>(
    make: (options: O) => Make,
    options: O,
    request: LanguageModel.Request = { prompt: "Hi" }
  ) => {
    const { client, sent } = chat.fakeClient(() => chat.json({}))
    return Effect.flatMap(make(options), (model) => Effect.either(model.generate(request))).pipe(
      Effect.provideService(HttpClient.HttpClient, client),
      Effect.map(() => sent[0]?.body)
    )
  }

  it.effect("is said in the words of each protocol", () =>
    Effect.gen(function*() {
      expect(yield* bodyOf(OpenAiChat.make, { ...chat.options, reasoning: { effort: "low" } }))
        .toMatchObject({ reasoning_effort: "low" })
      expect(yield* bodyOf(OpenAiResponses.make, { ...responses.options, reasoning: { effort: "low" } }))
        .toMatchObject({ reasoning: { effort: "low" }, include: ["reasoning.encrypted_content"] })
      expect(
        yield* bodyOf(Anthropic.make, { ...anthropic.options, thinking: { budgetTokens: 2048, effort: "high" } })
      ).toMatchObject({
        thinking: { type: "enabled", budget_tokens: 2048 },
        max_tokens: 4096 + 2048,
        output_config: { effort: "high" }
      })
      expect(
        yield* bodyOf(Anthropic.make, { ...anthropic.options, thinking: { mode: "adaptive", display: "omitted" } })
      )
        .toMatchObject({ thinking: { type: "adaptive", display: "omitted" }, max_tokens: 4096 })
      expect(
        yield* bodyOf(Gemini.make, {
          ...gemini.options,
          thinking: { budgetTokens: -1, level: "low", thoughts: "include" }
        })
      ).toMatchObject({
        generationConfig: { thinkingConfig: { thinkingBudget: -1, thinkingLevel: "low", includeThoughts: true } }
      })
    }))

  it.effect("can be said anew for one request", () =>
    Effect.gen(function*() {
      const thinking = { budgetTokens: 2048 }
      expect(
        yield* bodyOf(Anthropic.make, { ...anthropic.options, thinking }, {
          prompt: "Hi",
          providerOptions: { thinking: { type: "disabled" } }
        })
      ).toMatchObject({ thinking: { type: "disabled" }, max_tokens: 4096 })
      expect(
        yield* bodyOf(Gemini.make, { ...gemini.options, thinking }, {
          prompt: "Hi",
          providerOptions: { thinkingConfig: { thinkingBudget: 0 } }
        })
      ).toMatchObject({ generationConfig: { thinkingConfig: { thinkingBudget: 0 } } })
    }))

  it.effect("is checked with the other options", () =>
    Effect.gen(function*() {
      const issues = (made: Make) =>
        Effect.provideService(Effect.flip(made), HttpClient.HttpClient, chat.fakeClient(() => chat.json({})).client)
      expect(yield* issues(Anthropic.make({ ...anthropic.options, thinking: { mode: "enabled" } })))
        .toMatchObject({ issues: [{ path: "thinking.budgetTokens", found: "nothing" }] })
      expect(yield* issues(Anthropic.make({ ...anthropic.options, thinking: { budgetTokens: 0.5, effort: " " } })))
        .toMatchObject({ issues: [{ path: "thinking.budgetTokens" }, { path: "thinking.effort" }] })
      expect(yield* issues(Gemini.make({ ...gemini.options, thinking: { budgetTokens: -2, level: "" } })))
        .toMatchObject({ issues: [{ path: "thinking.budgetTokens" }, { path: "thinking.level" }] })
      expect(yield* issues(OpenAiChat.make({ ...chat.options, reasoning: { effort: "" } })))
        .toMatchObject({ issues: [{ path: "reasoning.effort" }] })
    }))

  it.effect("decides whether encrypted reasoning is asked for, unless the option does", () =>
    Effect.gen(function*() {
      const asks = (
        more: Partial<OpenAiResponses.Options>,
        providerOptions?: LanguageModel.Request["providerOptions"]
      ) =>
        Effect.map(
          bodyOf(OpenAiResponses.make, { ...responses.options, ...more }, { prompt: "Hi", providerOptions }),
          (body) => Object(body)["include"]
        )
      const included = ["reasoning.encrypted_content"]
      for (const model of ["o3", "gpt-5", "openai/gpt-5.1-codex", "codex-mini-latest", "grok-4-fast", "o4-mini"]) {
        expect(yield* asks({ model })).toEqual(included)
      }
      for (const model of ["gpt-4o", "gpt-35-turbo", "gpt-5-chat-latest", "gpt-oss-20b", "grok-4-fast-non-reasoning"]) {
        expect(yield* asks({ model })).toBeUndefined()
        expect(yield* asks({ model, encryptedReasoning: "include" })).toEqual(included)
      }
      expect(yield* asks({ model: "my-deployment", reasoning: { effort: "low" } })).toEqual(included)
      expect(yield* asks({ store: true })).toBeUndefined()
      expect(yield* asks({ encryptedReasoning: "none" })).toBeUndefined()
      expect(yield* asks({}, { include: ["message.output_text.logprobs"] }))
        .toEqual(["message.output_text.logprobs", ...included])
    }))
})
