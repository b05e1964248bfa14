/** A tool that cannot be sent is known before anything is sent: by its name, the place in its schema and the way out. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as JsonSchema from "../../src/adapter/JsonSchema.ts"
import type { ModelError } from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as ModelPlan from "../../src/resilience/ModelPlan.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"
import * as anthropic from "./fakeAnthropic.ts"
import * as gemini from "./fakeGemini.ts"
import * as chat from "./fakeOpenAi.ts"
import * as responses from "./fakeOpenAiResponses.ts"

type Make = Effect.Effect<LanguageModel.Service<ModelError>, unknown, HttpClient.HttpClient>

const withClient = <A, E>(use: Effect.Effect<A, E, HttpClient.HttpClient>) => {
  const { client, sent } = chat.fakeClient(() => chat.json({}))
  return Effect.map(Effect.provideService(use, HttpClient.HttpClient, client), (result) => ({ result, sent }))
}

const vendors: Readonly<Record<string, Make>> = {
  "chat completions": OpenAiChat.make(chat.options),
  "the Responses API": OpenAiResponses.make(responses.options),
  Anthropic: Anthropic.make(anthropic.options),
  Gemini: Gemini.make(gemini.options)
}

const annotated = (jsonSchema: object) => Schema.String.annotations({ jsonSchema })

const good = Tool.make("good", { parameters: Schema.Struct({ a: Schema.String }) })

describe("Toolkit.make refuses what no provider takes", () => {
  const holdsItself: Record<string, unknown> = { type: "object" }
  holdsItself["properties"] = { again: holdsItself }
  const refused = {
    "a reference out of the schema": {
      part: annotated({ $ref: "https://schemas.example/city.json" }),
      problem: "refers to \"https://schemas.example/city.json\""
    },
    "a reference that is no pointer": {
      part: annotated({ $ref: "#/$defs/100%" }),
      problem: "refers to \"#/$defs/100%\""
    },
    "a reference that leads nowhere": {
      part: annotated({ $ref: "#/$defs/City" }),
      problem: "refers to \"#/$defs/City\""
    },
    "a number that is none in JSON": {
      part: annotated({ type: "integer", minimum: 0n }),
      problem: "which is not JSON"
    },
    "a bound without end": { part: annotated({ type: "number", maximum: Infinity }), problem: "which is not JSON" },
    "an annotation that holds itself": { part: annotated(holdsItself), problem: "holds itself" }
  }
  for (const [name, { part, problem }] of Object.entries(refused)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const bad = Tool.make("bad", {
          parameters: Schema.Struct({ trips: Schema.Array(Schema.Struct({ to: part })) })
        })
        const { problems } = yield* Effect.flip(Toolkit.make(good, bad))
        expect(problems).toHaveLength(1)
        expect(problems[0]).toMatchObject({ tool: "bad", problem: expect.stringContaining(problem) })
        expect(problems[0]?.path.slice(0, 3)).toEqual(["trips", "*", "to"])
        expect(problems[0]?.message).toMatch(/^Tool "bad" \(at trips\.\*\.to[^)]*\): .*\. (Put|Write) /)
      }))
  }

  it.effect("a plain JSON Schema with references of its own, set into another schema", () =>
    Effect.gen(function*() {
      const inner = yield* JsonSchema.schema({
        type: "object",
        properties: { city: { $ref: "#/definitions/City" } },
        definitions: { City: { type: "string" } }
      })
      const bad = Tool.make("bad", { parameters: Schema.Struct({ where: inner }) })
      expect((yield* Effect.flip(Toolkit.make(bad))).message).toContain("(at where.city)")
    }))
})

interface Tree {
  readonly name: string
  readonly kids: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  name: Schema.String,
  kids: Schema.Array(Schema.suspend(() => Tree))
}).annotations({ identifier: "Tree" })

const plant = Tool.make("plant", { parameters: Schema.Struct({ tree: Tree }) })

const deep = (levels: number): Schema.Schema.AnyNoContext =>
  levels === 0 ? Schema.String : Schema.Struct({ in: deep(levels - 1) })

describe("LanguageModel.check", () => {
  const strict: Readonly<Record<string, { readonly make: Make; readonly tool: Tool.Any; readonly place: string }>> = {
    "chat completions, openai-strict": {
      make: OpenAiChat.make({ ...chat.options, dialects: { tools: "openai-strict" } }),
      tool: Tool.make("dig", { parameters: Schema.Struct({ hole: deep(12) }) }),
      place: "tools.dig"
    },
    "the Responses API, openai-strict": {
      make: OpenAiResponses.make({ ...responses.options, dialects: { tools: "openai-strict" } }),
      tool: Tool.make("dig", { parameters: Schema.Struct({ hole: deep(12) }) }),
      place: "tools.dig"
    },
    "Anthropic, anthropic": {
      make: Anthropic.make({ ...anthropic.options, dialects: { tools: "anthropic" } }),
      tool: plant,
      place: "tools.plant"
    },
    "Gemini, gemini": {
      make: Gemini.make({ ...gemini.options, dialects: { tools: "gemini" } }),
      tool: plant,
      place: "tools.plant"
    }
  }
  for (const [name, { make, place, tool }] of Object.entries(strict)) {
    it.effect(`tells what a request would fail with, and sends nothing: ${name}`, () =>
      Effect.gen(function*() {
        const request = { prompt: "Hi", tools: yield* Toolkit.make(good, tool) }
        const { result, sent } = yield* withClient(Effect.flatMap(make, (model) =>
          Effect.all([
            Effect.flip(model.check(request)),
            Effect.flip(model.generate(request)),
            Effect.flip(Stream.runDrain(model.stream(request)))
          ])))
        expect(sent).toEqual([])
        const [checked, generated, streamed] = result
        expect(checked).toMatchObject({ _tag: "InvalidRequest", param: "tools", billed: "no" })
        expect(checked.message).toContain(place)
        expect(checked.message).toMatch(/use the dialect "plain"/i)
        expect(generated).toEqual(checked)
        expect(streamed).toEqual(checked)
      }))
  }

  for (const [name, make] of Object.entries(vendors)) {
    it.effect(`takes in plain what only a dialect refuses, and names what has no end: ${name}`, () =>
      Effect.gen(function*() {
        const at = (level: number) => ({ $ref: `#/$defs/L${level}` })
        const doubling = yield* JsonSchema.tool("doubling", {
          inputSchema: {
            type: "object",
            allOf: [at(39)],
            $defs: Object.fromEntries(
              Array.from({ length: 40 }, (_, level) => [
                `L${level}`,
                level === 0
                  ? { properties: { x: { type: "string" } } }
                  : { anyOf: [at(level - 1), { allOf: [at(level - 1), { properties: { x: { const: level } } }] }] }
              ])
            )
          }
        })
        const fine = yield* Toolkit.make(good, plant)
        const endless = yield* Toolkit.make(good, doubling)
        const { result, sent } = yield* withClient(Effect.flatMap(make, (model) =>
          Effect.zipRight(
            model.check({ prompt: "Hi", tools: fine }),
            Effect.flip(model.check({ prompt: "Hi", tools: endless }))
          )))
        expect(sent).toEqual([])
        expect(result).toMatchObject({ _tag: "InvalidRequest", param: "tools" })
        expect(result.message).toContain("tools.doubling: with its references in their places")
      }))
  }

  it.effect("knows the faults of any request, and asks every step of a plan behind its policies", () =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(plant)
      const plain = yield* ScriptedModel.make([])
      const { result, sent } = yield* withClient(Effect.gen(function*() {
        const narrow = yield* Anthropic.make({ ...anthropic.options, dialects: { tools: "anthropic" } })
        const strong = ResilientModel.strengthen(narrow, yield* Pipeline.make({ bulkhead: { maxConcurrent: 1 } }))
        const plan = yield* Effect.scoped(
          ModelPlan.make({ name: "p", steps: [{ name: "one", model: plain }, { name: "two", model: strong }] })
        )
        return {
          plan: yield* Effect.flip(plan.check({ prompt: "Hi", tools })),
          fine: yield* Effect.either(plan.check({ prompt: "Hi" })),
          fault: yield* Effect.flip(
            Effect.provideService(
              LanguageModel.check({ prompt: "Hi", temperature: -1 }),
              LanguageModel.LanguageModel,
              plain
            )
          )
        }
      }))
      expect(sent).toEqual([])
      expect(yield* plain.requests).toEqual([])
      expect(result.plan.message).toContain("tools.plant")
      expect(result.fine._tag).toBe("Right")
      expect(result.fault).toMatchObject({ _tag: "InvalidRequest", param: "temperature" })
    }))
})

describe("A long description of a tool", () => {
  const words = Array.from({ length: 400 }, (_, at) => `word${at}`).join(" ")
  const bodyOf = (make: Make, tool: Tool.Any) =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(tool)
      const { sent } = yield* withClient(
        Effect.flatMap(make, (model) => Effect.either(model.generate({ prompt: "Hi", tools })))
      )
      return sent[0]?.body
    })
  const long = Tool.make("long", {
    description: words,
    parameters: Schema.Struct({ a: Schema.String }).annotations({ description: "Own." })
  })

  it.effect("goes on at the parameters where OpenAI takes no more, and stays whole elsewhere", () =>
    Effect.gen(function*() {
      const Body = Schema.Struct({
        tools: Schema.Tuple(Schema.Struct({
          function: Schema.Struct({
            description: Schema.String,
            parameters: Schema.Struct({ description: Schema.String })
          })
        }))
      })
      const { tools: [{ function: sent }] } = yield* Schema.decodeUnknown(Body)(
        yield* bodyOf(OpenAiChat.make(chat.options), long)
      )
      expect(sent.description.length).toBeLessThanOrEqual(1024)
      expect(sent.description.length).toBeGreaterThan(1000)
      const [first] = sent.description.split(" […]")
      const rest = sent.parameters.description.replace(/^\[…\] /, "")
      expect(`${first} ${rest}`).toBe(`${words}\n\nOwn.`)
      expect(yield* bodyOf(Anthropic.make(anthropic.options), long)).toMatchObject({ tools: [{ description: words }] })
    }))

  it.effect("without a space is cut where it must", () =>
    Effect.gen(function*() {
      const tool = Tool.make("long", { description: "x".repeat(3000), parameters: Schema.Struct({ a: Schema.String }) })
      expect(yield* bodyOf(OpenAiChat.make(chat.options), tool)).toMatchObject({
        tools: [{ function: { description: `${"x".repeat(1020)} […]` } }]
      })
    }))
})
