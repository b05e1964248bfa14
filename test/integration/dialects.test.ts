/**
 * Tools and answers in every dialect, over real sockets. The server makes arguments and answers up from the very schema it
 * was sent; what comes out at the other end is what the plain schema takes.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as SchemaDialect from "../../src/model/SchemaDialect.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import { runs } from "../runs.ts"

const inBoth = <D extends SchemaDialect.Dialect>(dialect: D) => ({ tools: dialect, output: dialect })

const settings = (server: ChaosServer.Service) => ({ apiKey: Redacted.make(server.apiKey) })

const openAi = (dialect: "plain" | "openai-strict") => ({ model: "gpt-4o-mini", dialects: inBoth(dialect) })

const chat = (dialect: "plain" | "openai-strict") => (server: ChaosServer.Service) =>
  OpenAiChat.make({ ...settings(server), ...openAi(dialect), baseUrl: server.baseUrls.openAiChat })

const responses = (dialect: "plain" | "openai-strict") => (server: ChaosServer.Service) =>
  OpenAiResponses.make({ ...settings(server), ...openAi(dialect), baseUrl: server.baseUrls.openAiResponses })

/** Anthropic refuses answers that are not in its dialect, so there is no plain one. */
const anthropic = (tools: "plain" | "anthropic") => (server: ChaosServer.Service) =>
  Anthropic.make({
    ...settings(server),
    model: "claude-sonnet-4-5",
    baseUrl: server.baseUrls.anthropic,
    dialects: { tools }
  })

const gemini = (dialect: "plain" | "gemini") => (server: ChaosServer.Service) =>
  Gemini.make({
    ...settings(server),
    model: "gemini-2.5-flash",
    baseUrl: server.baseUrls.gemini,
    dialects: inBoth(dialect)
  })

const clients = [
  ["openai-chat", "plain", chat("plain")],
  ["openai-chat", "openai-strict", chat("openai-strict")],
  ["openai-responses", "plain", responses("plain")],
  ["openai-responses", "openai-strict", responses("openai-strict")],
  ["anthropic", "plain", anthropic("plain")],
  ["anthropic", "anthropic", anthropic("anthropic")],
  ["gemini", "plain", gemini("plain")],
  ["gemini", "gemini", gemini("gemini")]
] as const

const Place = Schema.Struct({ city: Schema.String, zone: Schema.optional(Schema.NullOr(Schema.String)) })

/** Nothing here is only said in a description, which this server's model does not read. */
const Order = Schema.Struct({
  title: Schema.String,
  note: Schema.optional(Schema.String),
  gift: Schema.optional(Schema.NullOr(Schema.Boolean)),
  owner: Schema.NullOr(Schema.String),
  amounts: Schema.Record({ key: Schema.String, value: Schema.JsonNumber }),
  places: Schema.optional(Schema.Record({ key: Schema.String, value: Place })),
  range: Schema.Tuple(Schema.JsonNumber, Schema.JsonNumber),
  step: Schema.Tuple(Schema.String, Schema.optionalElement(Schema.Boolean)),
  size: Schema.Literal("small", "large"),
  level: Schema.Literal(1, 2, 3),
  unit: Schema.optional(Schema.NullOr(Schema.Literal("kg", "lb"))),
  target: Schema.Union(
    Schema.Struct({ kind: Schema.Literal("place"), place: Place }),
    Schema.Struct({ kind: Schema.Literal("person"), ages: Schema.Array(Schema.Int) })
  ),
  path: Schema.Array(Place)
})

const isOrder = Schema.is(Order)

const toolkit = Effect.runSync(Toolkit.make(Tool.make("order", { parameters: Order })))

const calm = Fault.script({ inOrder: [] })

const texts = Array.from({ length: runs(6, 20) }, (_, n) => `Order ${n}`)

const behind = <A, E>(
  make: (typeof clients)[number][2],
  run: (server: ChaosServer.Service) => Effect.Effect<A, E, LanguageModel.LanguageModel>
) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ plan: calm })
    const model = yield* Effect.provide(make(server), FetchHttpClient.layer)
    return yield* Effect.provideService(run(server), LanguageModel.LanguageModel, model)
  })

describe.each(clients)("%s in the dialect %s", (_, dialect, make) => {
  const translated = Either.getOrThrow(SchemaDialect.make(dialect)(Order))

  /** What the model of the server meant, in the shape of the plain schema. */
  const meant = (server: ChaosServer.Service, text: string) =>
    Effect.map(
      server.meant(text),
      (calls) =>
        Option.getOrThrow(calls).map((call) => {
          const { value } = Either.getOrThrow(translated.restore(call.arguments))
          // It did write in the dialect.
          if (dialect === "plain") expect(value).toEqual(call.arguments)
          else expect(value).not.toEqual(call.arguments)
          return value
        })
    )

  it.scopedLive("calls a tool as it was meant, at once, and goes on from there", () =>
    behind(make, (server) =>
      Effect.forEach(texts, (text, index) =>
        Effect.gen(function*() {
          const ran = yield* Ref.make<ReadonlyArray<unknown>>([])
          const handlers = {
            order: (order: typeof Order.Type) => Effect.as(Ref.update(ran, (before) => [...before, order]), "done")
          }
          const question = { prompt: text, toolkit, handlers, maxReasks: 0 }
          if (index % 2 === 0) yield* ToolLoop.run(question)
          else yield* Stream.runDrain(ToolLoop.stream(question))
          const orders = yield* Ref.get(ran)
          expect(orders.map(isOrder)).toEqual([true])
          expect(orders).toEqual(yield* meant(server, text))
        }), { concurrency: 5 })))

  for (const mode of ["native", "tool"] as const) {
    it.scopedLive(`gives an object by ${mode} at once`, () =>
      behind(make, () =>
        Effect.forEach(texts, (prompt, index) =>
          Effect.gen(function*() {
            const question = { prompt, mode, output: { name: "order", schema: Order }, maxReasks: 0 }
            const values = index % 2 === 0
              ? [(yield* GenerateObject.call(question)).value]
              : [...yield* Stream.runCollect(GenerateObject.stream(question))]
                .flatMap((progress) => progress._tag === "Done" ? [progress.outcome.value] : [])
            expect(values.map(isOrder)).toEqual([true])
          }), { concurrency: 5 })))
  }
})
