/** What holds of the requests of each of our providers, as the server of its protocol reads them. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Protocol } from "../../../src/chaos/chaosServer/protocol.ts"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as Prompt from "../../../src/model/Prompt.ts"
import * as Tool from "../../../src/model/Tool.ts"
import * as Toolkit from "../../../src/model/Toolkit.ts"

const weather = Tool.make("get_weather", {
  description: "Weather of a city",
  parameters: Schema.Struct({ city: Schema.String })
})

/** A body as the server of a protocol reads it. */
export const reader = (protocol: Protocol) => (body: unknown): ReturnType<Protocol["read"]> =>
  protocol.read(JSON.stringify(body), { model: undefined, stream: undefined })

/** Requests of one provider, each read by the server of its protocol. */
export interface Requests<E> {
  readonly protocol: Protocol
  /** The model that the provider asks for. */
  readonly model: string
  readonly idOf: (call: number) => string
  /** The body that the provider sends. */
  readonly bodyOf: (request: LanguageModel.Request) => Effect.Effect<unknown, E>
}

/** Says what every server must read in the requests of its provider. */
export const requestsOfProvider = <E>({ bodyOf, idOf, model, protocol }: Requests<E>): void => {
  const read = reader(protocol)
  const encoded = (request: LanguageModel.Request) =>
    Effect.map(bodyOf(request), (body) => Either.getOrThrow(read(body)))

  it.effect("of the provider is read, with tools, results and images", () =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(weather)
      const request = yield* encoded({
        prompt: [
          Prompt.system("Be brief."),
          Prompt.user([
            Prompt.text("Look"),
            Prompt.imageUrl("https://example.com/a.png"),
            Prompt.imageBase64("AAAA", "image/png")
          ]),
          Prompt.assistant([
            Prompt.text("Let me see."),
            { _tag: "ToolCall", id: idOf(1), name: "get_weather", arguments: "{\"city\":\"Lima\"}" },
            { _tag: "ToolCall", id: idOf(2), name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
          ]),
          Prompt.toolResult({ id: idOf(1), name: "get_weather", content: "sunny" }),
          Prompt.toolResult({ id: idOf(2), name: "get_weather", content: "rain", isError: true }),
          Prompt.user("And now?")
        ],
        tools,
        maxOutputTokens: 77
      })
      expect(request).toMatchObject({
        model,
        messages: [
          { role: "system", text: "Be brief." },
          { role: "user", text: "Look", images: 2 },
          {
            role: "assistant",
            text: "Let me see.",
            toolCalls: [
              { id: idOf(1), name: "get_weather", arguments: "{\"city\":\"Lima\"}" },
              { id: idOf(2), arguments: "{\"city\":\"Oslo\"}" }
            ]
          },
          { role: "tool", text: "sunny" },
          { role: "tool", text: "rain" },
          { role: "user", text: "And now?" }
        ],
        tools: [{ name: "get_weather", parameters: { type: "object" } }],
        toolChoice: "auto",
        parallel: true,
        maxTokens: 77,
        stream: false
      })
    }))

  it.effect.each(
    [
      ["none", undefined, "none", true],
      ["required", undefined, "required", true],
      ["auto", false, "auto", false],
      [{ tool: "get_weather" }, false, { name: "get_weather" }, false]
    ] as const
  )("says which tool to call: %j", ([toolChoice, parallelToolCalls, choice, parallel]) =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(weather)
      const request = yield* encoded({ prompt: "Hi", tools, toolChoice, parallelToolCalls })
      expect(request).toMatchObject({ toolChoice: choice, parallel })
    }))

  it.effect("of the provider may ask for JSON of a schema", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        city: Schema.String,
        days: Schema.Array(Schema.Struct({ rain: Schema.Boolean }))
      })
      const request = yield* encoded({ prompt: "Hi", responseFormat: { name: "weather", schema } })
      expect(request).toMatchObject({
        output: { type: "object", properties: { city: { type: "string" }, days: { type: "array" } } }
      })
    }))

  it("that is no JSON is refused", () => {
    expect(Either.isLeft(protocol.read("{", { model: undefined, stream: undefined }))).toBe(true)
  })
}
