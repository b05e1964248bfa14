/** Schemas in the dialects of each vendor: how they go out, how what was written under them comes back. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import * as SchemaDialect from "../../src/model/SchemaDialect.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as StructuredOutput from "../../src/model/StructuredOutput.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as schemaFloor from "../../src/provider/shared/schemaFloor.ts"
import * as anthropic from "./fakeAnthropic.ts"
import * as gemini from "./fakeGemini.ts"
import * as chat from "./fakeOpenAi.ts"
import * as responses from "./fakeOpenAiResponses.ts"

interface More {
  readonly baseUrl?: string
  readonly dialects?: { readonly tools?: SchemaDialect.Dialect; readonly output?: SchemaDialect.Dialect }
}

type Make = Effect.Effect<LanguageModel.Service<ModelError>, unknown, HttpClient.HttpClient>

interface Vendor {
  /** The options go through JSON, as from a file, so that wrong ones can be given. */
  readonly make: (more: More) => Make
  readonly own: SchemaDialect.Dialect
  /** The defaults at the vendor's own address, and at another. */
  readonly usual: Response.Dialects
  readonly elsewhere: Response.Dialects
  /** What tells of the tool and of the format in a body, as the wire has it. */
  readonly tool: (parameters: object, dialect: SchemaDialect.Dialect) => object
  readonly format: (schema: object, dialect: SchemaDialect.Dialect) => object
  readonly called: (json: string) => object
  readonly said: (text: string) => object
}

const plain = { tools: "plain", output: "plain" } as const

const given = (more: More) => JSON.parse(JSON.stringify(more))

const vendors: { readonly [name: string]: Vendor } = {
  OpenAiChat: {
    make: (more) => OpenAiChat.make({ ...chat.options, ...given(more) }),
    own: "openai-strict",
    usual: { tools: "plain", output: "openai-strict" },
    elsewhere: plain,
    tool: (parameters, dialect) => ({
      tools: [{
        type: "function",
        function: { name: "search", parameters, ...(dialect === "plain" ? {} : { strict: true }) }
      }]
    }),
    format: (schema, dialect) => ({
      response_format: { type: "json_schema", json_schema: { name: "answer", schema, strict: dialect !== "plain" } }
    }),
    called: (json) =>
      chat.completion(
        { content: null, tool_calls: [{ id: "c1", type: "function", function: { name: "search", arguments: json } }] },
        {},
        { finish_reason: "tool_calls" }
      ),
    said: (content) => chat.completion({ content })
  },
  OpenAiResponses: {
    make: (more) => OpenAiResponses.make({ ...responses.options, ...given(more) }),
    own: "openai-strict",
    usual: { tools: "plain", output: "openai-strict" },
    elsewhere: plain,
    tool: (parameters, dialect) => ({
      tools: [{ type: "function", name: "search", parameters, strict: dialect !== "plain" }]
    }),
    format: (schema, dialect) => ({
      text: { format: { type: "json_schema", name: "answer", schema, strict: dialect !== "plain" } }
    }),
    called: (json) => responses.response([responses.call({ name: "search", arguments: json })]),
    said: (text) => responses.response([responses.message(text)])
  },
  Anthropic: {
    make: (more) => Anthropic.make({ ...anthropic.options, ...given(more) }),
    own: "anthropic",
    usual: { tools: "plain", output: "anthropic" },
    elsewhere: { tools: "plain", output: "anthropic" },
    tool: (parameters, dialect) => ({
      tools: [{ name: "search", input_schema: parameters, ...(dialect === "plain" ? {} : { strict: true }) }]
    }),
    format: (schema) => ({ output_config: { format: { type: "json_schema", schema } } }),
    called: (json) =>
      anthropic.message([{ type: "tool_use", id: "c1", name: "search", input: JSON.parse(json) }], {
        stop_reason: "tool_use"
      }),
    said: (text) => anthropic.said(text)
  },
  Gemini: {
    make: (more) => Gemini.make({ ...gemini.options, ...given(more) }),
    own: "gemini",
    usual: plain,
    elsewhere: plain,
    tool: (parameters, dialect) => ({
      tools: [{
        functionDeclarations: [
          { name: "search", [dialect === "plain" ? "parametersJsonSchema" : "parameters"]: parameters }
        ]
      }]
    }),
    format: (schema, dialect) => ({
      generationConfig: {
        responseMimeType: "application/json",
        [dialect === "plain" ? "responseJsonSchema" : "responseSchema"]: schema
      }
    }),
    called: (json) => gemini.answer({ functionCall: { id: "c1", name: "search", args: JSON.parse(json) } }),
    said: (text) => gemini.answer({ text })
  }
}

const elsewhere = "https://gateway.example/v1"

/** How a call ended, and what was sent. */
const asked = (make: Make, request: LanguageModel.Request, reply: object = {}) => {
  const { client, sent } = chat.fakeClient(() => chat.json(reply))
  return Effect.gen(function*() {
    const model = yield* make
    const whole = yield* Effect.either(model.generate(request))
    const stream = yield* Effect.either(StreamPart.collect(model.stream(request)))
    return { whole, stream, sent, body: sent[0]?.body }
  }).pipe(Effect.provideService(HttpClient.HttpClient, client))
}

/** Everything that the dialects write in another shape. */
const Search = Schema.Struct({
  query: Schema.NonEmptyString,
  limit: Schema.optional(Schema.Int.pipe(Schema.between(1, 50))),
  before: Schema.optional(Schema.NullOr(Schema.String)),
  owner: Schema.NullOr(Schema.String),
  labels: Schema.Record({ key: Schema.String, value: Schema.JsonNumber }),
  range: Schema.Tuple(Schema.String, Schema.JsonNumber),
  priority: Schema.Literal(1, 2),
  since: Schema.Date,
  more: Schema.Unknown
})

const value: typeof Search.Type = {
  query: "tea",
  owner: null,
  labels: { size: 2 },
  range: ["a", 1],
  priority: 1,
  since: new Date("2026-01-02T03:04:05.000Z"),
  more: { any: [1] }
}

const encoded = Schema.encodeSync(Search)(value)

const searchOf = (dialect: SchemaDialect.Dialect) => Either.getOrThrow(SchemaDialect.make(dialect)(Search))

const written = (dialect: SchemaDialect.Dialect): string => JSON.stringify(searchOf(dialect).write(encoded))

const toolkit = Effect.runSync(Toolkit.make(Tool.make("search", { parameters: Search })))

const output = Effect.runSync(StructuredOutput.make({ name: "answer", schema: Search }))

const both: LanguageModel.Request = { prompt: "Hi", tools: toolkit, responseFormat: output.format }

describe.each(Object.entries(vendors))("%s", (name, vendor) => {
  /** Plain is what the vendor takes. */
  const sentAs = (dialect: SchemaDialect.Dialect) => {
    const { jsonSchema } = searchOf(dialect)
    return dialect === "plain"
      ? Either.getOrThrow(
        schemaFloor.lay(
          jsonSchema,
          name === "Gemini"
            ? { numericEnums: "refused", references: "bound" }
            : { numericEnums: "taken", references: "free" }
        )
      ).schema
      : jsonSchema
  }
  const settings = [
    ["by default at the vendor", {}, vendor.usual],
    ["by default elsewhere", { baseUrl: elsewhere }, vendor.elsewhere],
    ["where all is to be plain", { dialects: plain }, plain],
    ["where both are to be the vendor's own", { dialects: { tools: vendor.own, output: vendor.own } }, {
      tools: vendor.own,
      output: vendor.own
    }],
    ["where only tools are to be", { dialects: { tools: vendor.own } }, { ...vendor.usual, tools: vendor.own }],
    ["where only the answer is to be", { baseUrl: elsewhere, dialects: { output: vendor.own } }, {
      ...vendor.elsewhere,
      output: vendor.own
    }]
  ] as const

  for (const [when, more, expected] of settings) {
    it.effect(`writes ${expected.tools} tools and ${expected.output} answers ${when}`, () =>
      Effect.gen(function*() {
        const { sent, stream, whole } = yield* asked(vendor.make(more), both, vendor.said("{}"))
        expect(sent.length).toBe(2)
        for (const { body } of sent) {
          expect(body).toMatchObject(vendor.tool(sentAs(expected.tools), expected.tools))
          expect(body).toMatchObject(vendor.format(sentAs(expected.output), expected.output))
        }
        // What the reply says of it, a stream as well.
        const isPlain = expected.tools === "plain" && expected.output === "plain"
        expect(Either.getOrThrow(whole).dialects).toEqual(isPlain ? undefined : expected)
        expect(Either.getOrThrow(stream)).toEqual(Either.getOrThrow(whole))
      }))

    it.effect(`reads what was written ${when}`, () =>
      Effect.gen(function*() {
        const called = yield* asked(vendor.make(more), both, vendor.called(written(expected.tools)))
        for (const response of [called.whole, called.stream].map(Either.getOrThrow)) {
          const calls = Either.getOrThrow(ToolCall.decode(toolkit, response))
          expect(calls.map((call) => call.arguments)).toEqual([value])
        }
        const said = yield* asked(vendor.make(more), both, vendor.said(written(expected.output)))
        for (const response of [said.whole, said.stream].map(Either.getOrThrow)) {
          expect(Either.getOrThrow(StructuredOutput.decode(output, response)).value).toEqual(value)
        }
      }))
  }

  const own = { dialects: { tools: vendor.own, output: vendor.own } }

  it.effect("says nothing of dialects that a request did not use", () =>
    Effect.gen(function*() {
      const { dialects } = Either.getOrThrow(
        (yield* asked(vendor.make(own), { prompt: "Hi" }, vendor.said("Hi"))).whole
      )
      expect(dialects).toBeUndefined()
      const { whole } = yield* asked(vendor.make(own), { prompt: "Hi", tools: toolkit }, vendor.said("Hi"))
      expect(Either.getOrThrow(whole).dialects).toEqual({ tools: vendor.own, output: "plain" })
    }))

  it.effect("tells what is wrong at the place where the model wrote it", () =>
    Effect.gen(function*() {
      const bad = JSON.stringify(searchOf(vendor.own).write({ ...encoded, labels: { size: "large" } }))
      const { whole } = yield* asked(vendor.make(own), both, vendor.called(bad))
      const rejected = Either.flip(ToolCall.decode(toolkit, Either.getOrThrow(whole)))
      expect(Either.getOrThrow(rejected).rejected[0]?.error).toMatchObject({
        _tag: "InvalidArguments",
        issues: [{ path: ["labels", 0, "value"], kind: "Type" }]
      })
    }))

  it.effect("keeps calls in the conversation as they were written, and reads them there", () =>
    Effect.gen(function*() {
      const { whole } = yield* asked(vendor.make(own), both, vendor.called(written(vendor.own)))
      const message = Response.toMessage(Either.getOrThrow(whole))
      const call = message.content.find((part) => part._tag === "ToolCall")
      expect(call).toMatchObject({ dialect: vendor.own })
      // Through JSON, as a stopped loop is kept.
      const kept = Schema.decodeSync(Schema.parseJson(Prompt.ToolCallPart))(JSON.stringify(call))
      expect(Either.getOrThrow(ToolCall.decodeOne(toolkit, kept, "tool-calls")).arguments).toEqual(value)

      const result = Prompt.toolResult({ id: kept.id, name: kept.name, content: "none", isError: false })
      const next = { prompt: [Prompt.user("Hi"), message, result], tools: toolkit }
      const { body } = yield* asked(vendor.make(own), next, vendor.said("ok"))
      expect(JSON.stringify(body)).not.toContain("dialect")
      expect(JSON.stringify(body).replaceAll("\\", "")).toContain(written(vendor.own).replaceAll("\\", ""))
    }))

  it.effect("refuses dialects of others, and options that are none", () =>
    Effect.gen(function*() {
      const issuesOf = (more: object) =>
        Effect.provideService(
          Effect.flip(vendor.make(more)),
          HttpClient.HttpClient,
          chat.fakeClient(() => chat.json({})).client
        )
      for (const dialect of SchemaDialect.Dialect.literals) {
        if (dialect === "plain" || dialect === vendor.own) continue
        expect(yield* issuesOf({ dialects: { tools: dialect, output: dialect } })).toMatchObject({
          _tag: "InvalidOptions",
          issues: [
            { path: "dialects.tools", found: JSON.stringify(dialect), allowed: `"plain" or "${vendor.own}"` },
            { path: "dialects.output" }
          ]
        })
      }
      expect(yield* issuesOf({ dialects: "plain" })).toMatchObject({ issues: [{ path: "dialects" }] })
      expect(yield* issuesOf({ dialects: { tool: "plain" } })).toMatchObject({ issues: [{ path: "dialects.tool" }] })
    }))
})

interface Category {
  readonly name: string
  readonly children: ReadonlyArray<Category>
}

const Category = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Category> => Category))
}).annotations({ identifier: "Category" })

/** One object in another, deeper than OpenAI takes them. */
const deep = Array.from({ length: 12 }).reduce<Schema.Schema.AnyNoContext>(
  (inner) => Schema.Struct({ inner }),
  Schema.String
)

describe("A schema that a dialect cannot carry", () => {
  const beyond: ReadonlyArray<readonly [name: string, schema: Schema.Schema.AnyNoContext, why: string]> = [
    ["OpenAiChat", deep, "levels of objects"],
    ["OpenAiResponses", deep, "levels of objects"],
    ["Anthropic", Category, "holds itself"],
    ["Gemini", Category, "holds itself"]
  ]

  for (const [name, schema, why] of beyond) {
    const vendor = vendors[name]
    if (vendor === undefined) continue
    const parameters = Schema.Struct({ tree: schema })
    const more = { dialects: { tools: vendor.own, output: vendor.own } }

    it.effect(`is refused by ${name} before anything is sent, with the way out`, () =>
      Effect.gen(function*() {
        const tools = yield* Toolkit.make(
          Tool.make("fine", { parameters: Schema.Struct({}) }),
          Tool.make("grow", { parameters })
        )
        const responseFormat = { name: "answer", schema: parameters }
        for (const [request, param] of [[{ tools }, "tools"], [{ responseFormat }, "responseFormat"]] as const) {
          const { sent, stream, whole } = yield* asked(vendor.make(more), { prompt: "Hi", ...request })
          expect(sent).toEqual([])
          expect(whole).toMatchObject({ left: { _tag: "InvalidRequest", param, billed: "no" } })
          expect(stream).toEqual(whole)
          const told = String(Either.getOrThrow(Either.flip(whole)))
          expect(told).toContain(param === "tools" ? "tools.grow" : "responseFormat.schema")
          expect(told).toContain(why)
          expect(told).toMatch(/"plain"/)
          expect(told).toContain(`dialects.${param === "tools" ? "tools" : "output"}`)
        }
        expect(yield* Effect.flip(SchemaDialect.forToolkit(vendor.own, tools))).toMatchObject({
          _tag: "InvalidToolkit",
          problems: [{ tool: "grow" }]
        })
        // The way out leads out.
        expect((yield* asked(vendor.make({ dialects: plain }), { prompt: "Hi", tools })).sent.length).toBe(2)
      }))
  }

  it.effect("counts what tools have together", () =>
    Effect.gen(function*() {
      const tool = (index: number) => Tool.make(`tool_${index}`, { parameters: Schema.Struct({ a: Schema.String }) })
      const tools = yield* Toolkit.make(...Array.from({ length: 21 }, (_, index) => tool(index)))
      const { sent, whole } = yield* asked(
        Anthropic.make({ ...anthropic.options, dialects: { tools: "anthropic" } }),
        { prompt: "Hi", tools }
      )
      expect(sent).toEqual([])
      expect(String(whole)).toContain("21 tools")
    }))
})

describe("The dialect of Gemini", () => {
  it.effect("has no parameters where a tool takes nothing, and no schema where an answer has nothing", () =>
    Effect.gen(function*() {
      const Nothing = Schema.Struct({})
      const tools = yield* Toolkit.make(Tool.make("now", { parameters: Nothing }))
      const make = Gemini.make({ ...gemini.options, dialects: { tools: "gemini", output: "gemini" } })
      const { body, whole } = yield* asked(
        make,
        { prompt: "Hi", tools, responseFormat: { name: "nothing", schema: Nothing } },
        gemini.answer({ functionCall: { name: "now" } })
      )
      expect(body).toMatchObject({
        tools: [{ functionDeclarations: [{ name: "now" }] }],
        generationConfig: { responseMimeType: "application/json" }
      })
      expect(JSON.stringify(body)).not.toMatch(/parameters|Schema/)
      expect(ToolCall.decode(tools, Either.getOrThrow(whole))).toMatchObject({ right: [{ arguments: {} }] })
    }))

  it.effect("comes with the description of the answer", () =>
    Effect.gen(function*() {
      const make = Gemini.make({ ...gemini.options, dialects: { output: "gemini" } })
      const { body } = yield* asked(make, {
        prompt: "Hi",
        responseFormat: { name: "city", description: "A city", schema: Schema.Struct({ name: Schema.String }) }
      })
      expect(body).toMatchObject({ generationConfig: { responseSchema: { description: "A city" } } })
    }))
})

describe("A stream", () => {
  it.effect("tells the dialects when it starts", () =>
    Effect.gen(function*() {
      const model = yield* Anthropic.make(anthropic.options)
      const parts = yield* Stream.runCollect(model.stream(both))
      expect([...parts][0]).toEqual({
        _tag: "Start",
        id: "msg_1",
        model: "claude-sonnet-4-5-20250929",
        dialects: { tools: "plain", output: "anthropic" }
      })
    }).pipe(
      Effect.provideService(
        HttpClient.HttpClient,
        chat.fakeClient(() =>
          new globalThis.Response(
            anthropic.sse([
              anthropic.messageStart(),
              { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 1 } },
              { type: "message_stop" }
            ]),
            { headers: { "content-type": "text/event-stream" } }
          )
        ).client
      )
    ))
})
