/** What a provider alone can read goes out, comes back to the one that wrote it to the letter, and to nobody else. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as providerMetadata from "../../src/provider/shared/providerMetadata.ts"
import { runs } from "../runs.ts"
import * as anthropic from "./fakeAnthropic.ts"
import * as gemini from "./fakeGemini.ts"
import * as chat from "./fakeOpenAi.ts"
import * as responses from "./fakeOpenAiResponses.ts"

type Make = Effect.Effect<LanguageModel.Service<ModelError>, unknown, HttpClient.HttpClient>

/** One vendor's whole reply, the same as a stream, and what of it must go back. */
interface Case {
  readonly name: string
  readonly make: Make
  readonly reply: unknown
  readonly stream: string
  /** The parts of the reply. */
  readonly parts: ReadonlyArray<Response.Part>
  /** Where the messages stand in the body, and the ones that must be there. */
  readonly sent: object
}

const weather = { _tag: "ToolCall", id: "a", name: "f", arguments: "{\"x\":1}" } as const

const reasoningItem = {
  id: "rs_1",
  summary: [{ type: "summary_text", text: "One. " }, { type: "summary_text", text: "Two." }],
  encrypted_content: "gAAA+/="
}

const functionCall = { name: "f", args: { x: 1 }, id: "a" }

const cases: ReadonlyArray<Case> = [
  {
    name: "Anthropic",
    make: Anthropic.make(anthropic.options),
    reply: anthropic.message([
      { type: "thinking", thinking: "So. ", signature: "Eq+/oB==" },
      { type: "redacted_thinking", data: "Emw=" },
      { type: "thinking", thinking: "", signature: "hidden" },
      { type: "text", text: "Now" },
      { type: "tool_use", id: "a", name: "f", input: { x: 1 } }
    ], { stop_reason: "tool_use" }),
    stream: anthropic.sse([
      anthropic.messageStart(),
      anthropic.blockStart(0, { type: "thinking", thinking: "", signature: "" }),
      anthropic.delta(0, { type: "thinking_delta", thinking: "So." }),
      anthropic.delta(0, { type: "thinking_delta", thinking: " " }),
      anthropic.delta(0, { type: "signature_delta", signature: "Eq+/oB==" }),
      anthropic.blockStop(0),
      anthropic.blockStart(1, { type: "redacted_thinking", data: "Emw=" }),
      anthropic.blockStop(1),
      anthropic.blockStart(2, { type: "thinking", thinking: "", signature: "" }),
      anthropic.delta(2, { type: "signature_delta", signature: "hidden" }),
      anthropic.blockStop(2),
      ...anthropic.saying("Now").slice(1, 4).map((event) => ({ ...event, index: 3 })),
      anthropic.blockStart(4, { type: "tool_use", id: "a", name: "f", input: {} }),
      anthropic.jsonDelta(4, "{\"x\":1}"),
      anthropic.blockStop(4),
      ...anthropic.ending("tool_use")
    ]),
    parts: [
      { _tag: "Reasoning", text: "So. ", providerMetadata: "anthropic/anthropic:signature:Eq+/oB==" },
      { _tag: "Reasoning", text: "", providerMetadata: "anthropic/anthropic:redacted:Emw=" },
      { _tag: "Reasoning", text: "", providerMetadata: "anthropic/anthropic:signature:hidden" },
      { _tag: "Text", text: "Now" },
      weather
    ],
    sent: {
      messages: [{ role: "user" }, {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "So. ", signature: "Eq+/oB==" },
          { type: "redacted_thinking", data: "Emw=" },
          { type: "thinking", thinking: "", signature: "hidden" },
          { type: "text", text: "Now" },
          { type: "tool_use", id: "a", name: "f", input: { x: 1 } }
        ]
      }, { role: "user" }]
    }
  },
  {
    name: "OpenAiResponses",
    make: OpenAiResponses.make(responses.options),
    reply: responses.response([
      { type: "reasoning", status: "completed", ...reasoningItem },
      responses.call({ call_id: "a", name: "f", arguments: "{\"x\":1}" })
    ]),
    stream: responses.framed([
      { type: "response.created", response: { id: "resp_1", model: "gpt-5-mini-2025-08-07" } },
      // What an added item holds may not be all of it.
      {
        type: "response.output_item.added",
        output_index: 0,
        item: { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAA" }
      },
      { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 0, delta: "One. " },
      { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 1, delta: "Two." },
      { type: "response.output_item.done", output_index: 0, item: { type: "reasoning", ...reasoningItem } },
      {
        type: "response.output_item.done",
        output_index: 1,
        item: responses.call({ call_id: "a", name: "f", arguments: "{\"x\":1}" })
      },
      {
        type: "response.completed",
        response: responses.response([
          { type: "reasoning", ...reasoningItem },
          responses.call({ call_id: "a", name: "f", arguments: "{\"x\":1}" })
        ])
      }
    ]),
    parts: [
      {
        _tag: "Reasoning",
        text: "One. Two.",
        providerMetadata: `responses/openai:reasoning:${JSON.stringify(reasoningItem)}`
      },
      weather
    ],
    sent: {
      input: [
        { role: "user" },
        { type: "reasoning", ...reasoningItem },
        { type: "function_call", call_id: "a", name: "f", arguments: "{\"x\":1}" },
        { type: "function_call_output" }
      ]
    }
  },
  {
    name: "Gemini",
    make: Gemini.make({ ...gemini.options, model: "gemini-3-pro-preview" }),
    reply: gemini.answer(
      { text: "Hel" },
      { text: "lo", thoughtSignature: "c2ln" },
      { functionCall, thoughtSignature: "Y2Fs" },
      { text: "", thoughtSignature: "ZW5k" }
    ),
    stream: gemini.events(
      gemini.reply({ content: gemini.content({ text: "Hel" }) }),
      gemini.reply({ content: gemini.content({ text: "lo", thoughtSignature: "c2ln" }) }),
      gemini.reply({ content: gemini.content({ functionCall, thoughtSignature: "Y2Fs" }) }),
      gemini.reply({ content: gemini.content({ text: "", thoughtSignature: "ZW5k" }), finishReason: "STOP" })
    ),
    parts: [
      { _tag: "Text", text: "Hel" },
      { _tag: "Text", text: "lo", providerMetadata: "gemini/google:signature:c2ln" },
      { ...weather, providerMetadata: "gemini/google:signature:Y2Fs" },
      { _tag: "Text", text: "", providerMetadata: "gemini/google:signature:ZW5k" }
    ],
    sent: {
      contents: [{ role: "user" }, {
        role: "model",
        parts: [
          { text: "Hel" },
          { text: "lo", thoughtSignature: "c2ln" },
          { functionCall, thoughtSignature: "Y2Fs" },
          { text: "", thoughtSignature: "ZW5k" }
        ]
      }, { role: "user" }]
    }
  },
  {
    name: "OpenAiChat",
    make: OpenAiChat.make(chat.options),
    reply: chat.completion({
      tool_calls: [{
        id: "a",
        type: "function",
        function: { name: "f", arguments: "{\"x\":1}" },
        extra_content: { google: { thought_signature: "Y2Fs" } }
      }]
    }),
    stream: [
      {
        tool_calls: [{
          index: 0,
          id: "a",
          function: { name: "f", arguments: "" },
          extra_content: { google: { thought_signature: "Y2Fs" } }
        }]
      },
      { tool_calls: [{ index: 0, function: { arguments: "{\"x\":1}" } }] }
    ].map((delta, at) =>
      `data: ${
        JSON.stringify({
          id: "c",
          object: "chat.completion.chunk",
          choices: [{ index: 0, delta, finish_reason: at === 1 ? "tool_calls" : null }]
        })
      }\n\n`
    ).join(""),
    parts: [{
      ...weather,
      providerMetadata: "chat/openai:extra_content:{\"google\":{\"thought_signature\":\"Y2Fs\"}}"
    }],
    sent: {
      messages: [{ role: "user" }, {
        role: "assistant",
        tool_calls: [{ id: "a", extra_content: { google: { thought_signature: "Y2Fs" } } }]
      }, { role: "tool" }]
    }
  }
]

const eventStream = (text: string): globalThis.Response =>
  new globalThis.Response(text, { headers: { "content-type": "text/event-stream" } })

const withClient = <A, E>(respond: () => globalThis.Response, use: Effect.Effect<A, E, HttpClient.HttpClient>) => {
  const { client, sent } = chat.fakeClient(respond)
  return Effect.map(Effect.provideService(use, HttpClient.HttpClient, client), (result) => ({ result, sent }))
}

const conversation = (reply: Response.Response): Prompt.Prompt =>
  Prompt.append(
    "Hi",
    Response.toMessage(reply),
    Prompt.toolResult({ id: "a", name: "f", content: "1" })
  )

/** Through JSON, as a store would keep it. */
const stored = (prompt: Prompt.Prompt): Prompt.Prompt => {
  const json = Schema.parseJson(Prompt.Prompt)
  return Schema.decodeSync(json)(Schema.encodeSync(json)(prompt))
}

const generated = ({ make, reply }: Case) =>
  Effect.map(
    withClient(() => chat.json(reply), Effect.flatMap(make, (model) => model.generate({ prompt: "Hi" }))),
    ({ result }) => result
  )

const streamed = ({ make, stream }: Case) =>
  Effect.map(
    withClient(
      () => eventStream(stream),
      Effect.flatMap(make, (model) => StreamPart.collect(model.stream({ prompt: "Hi" })))
    ),
    ({ result }) => result
  )

const bodyOf = (make: Make, prompt: Prompt.Prompt) =>
  Effect.map(
    withClient(() => chat.json({}), Effect.flatMap(make, (model) => Effect.either(model.generate({ prompt })))),
    ({ sent }) => sent[0]?.body
  )

describe("The state of a provider", () => {
  for (const each of cases) {
    describe(`of ${each.name}`, () => {
      it.effect("is kept, each with its part, in a whole reply and in a stream", () =>
        Effect.gen(function*() {
          expect((yield* generated(each)).parts).toEqual(each.parts)
          expect((yield* streamed(each)).parts).toEqual(each.parts)
          const again = yield* StreamPart.collect(
            Stream.fromIterable(StreamPart.fromResponse(yield* generated(each)))
          )
          expect(again.parts).toEqual(each.parts)
        }))

      it.effect("goes back to the letter and in its place, also through JSON", () =>
        Effect.gen(function*() {
          const prompt = conversation(yield* generated(each))
          expect(stored(prompt)).toEqual(prompt)
          expect(yield* bodyOf(each.make, stored(prompt))).toMatchObject(each.sent)
        }))

      it.effect("is sent to no other provider", () =>
        Effect.gen(function*() {
          const prompt = conversation(yield* generated(each))
          const states = each.parts.flatMap((part) =>
            part.providerMetadata === undefined ? [] : [part.providerMetadata]
          )
            .map((state) => state.slice(state.indexOf(":", state.indexOf(":") + 1) + 1))
          expect(states.length).toBeGreaterThan(0)
          for (const other of cases.filter((found) => found.name !== each.name)) {
            const body = yield* bodyOf(other.make, prompt)
            expect(JSON.stringify(body)).toContain("Hi")
            for (const state of states) {
              expect(JSON.stringify(body)).not.toContain(JSON.stringify(state).slice(1, -1))
            }
          }
        }))
    })
  }

  it.effect("is not sent to a server of the same protocol that goes by another name", () =>
    Effect.gen(function*() {
      const azure = OpenAiResponses.make({ ...responses.options, provider: "azure" })
      const [, own] = cases
      if (own === undefined) return
      const body = yield* bodyOf(azure, conversation(yield* generated(own)))
      expect(body).toMatchObject({
        input: [{ role: "user" }, { type: "function_call" }, { type: "function_call_output" }]
      })
    }))

  it.effect("is left out where nothing follows it, as a reply ends that was cut in its thoughts", () =>
    Effect.gen(function*() {
      const metadata = `responses/openai:reasoning:${JSON.stringify(reasoningItem)}`
      expect(
        yield* bodyOf(
          OpenAiResponses.make(responses.options),
          Prompt.make([
            Prompt.user("Hi"),
            Prompt.assistant([Prompt.text("Well"), { _tag: "Reasoning", text: "", providerMetadata: metadata }]),
            Prompt.user("Go on")
          ])
        )
      ).toMatchObject({ input: [{ role: "user" }, { role: "assistant", content: "Well" }, { role: "user" }] })
      const thought = { _tag: "Reasoning", text: "So", providerMetadata: "anthropic/anthropic:signature:s" } as const
      expect(
        yield* bodyOf(
          Anthropic.make(anthropic.options),
          Prompt.make([Prompt.user("Hi"), Prompt.assistant([Prompt.text("Well"), thought]), Prompt.user("Go on")])
        )
      ).toMatchObject({ messages: [{}, { role: "assistant", content: [{ type: "text", text: "Well" }] }, {}] })
    }))

  it.effect("of the provider's own work goes back as it came, and to nobody else", () =>
    Effect.gen(function*() {
      const use = { type: "server_tool_use", id: "s", name: "web_search", input: { query: "x" } }
      const result = { type: "web_search_tool_result", tool_use_id: "s", content: [{ type: "web_search_result" }] }
      const cited = { type: "text", text: "Found.", citations: [{ type: "web_search_result_location", url: "u" }] }
      const search = {
        type: "web_search_call",
        id: "ws_1",
        status: "completed",
        action: { type: "search", query: "x" }
      }
      const code = { executableCode: { language: "PYTHON", code: "1+1" }, thoughtSignature: "c2ln" }
      const outcome = { codeExecutionResult: { outcome: "OUTCOME_OK", output: "2" } }
      const vendors = [
        {
          make: Anthropic.make(anthropic.options),
          reply: anthropic.message([use, result, cited]),
          sent: { messages: [{}, { role: "assistant", content: [use, result, cited] }, {}] }
        },
        {
          make: OpenAiResponses.make(responses.options),
          reply: responses.response([search, responses.message("Found.")]),
          sent: { input: [{}, search, { role: "assistant", content: "Found." }, {}] }
        },
        {
          make: Gemini.make(gemini.options),
          reply: {
            candidates: [{
              content: { role: "model", parts: [code, outcome, { text: "Found." }] },
              finishReason: "STOP",
              groundingMetadata: { webSearchQueries: ["x"] }
            }]
          },
          sent: { contents: [{}, { role: "model", parts: [code, outcome, { text: "Found." }] }, {}] }
        }
      ]
      for (const { make, reply, sent } of vendors) {
        const { result: response } = yield* withClient(
          () => chat.json(reply),
          Effect.flatMap(make, (model) => model.generate({ prompt: "Hi" }))
        )
        expect(response.text).toBe("Found.")
        const prompt = Prompt.append("Hi", Response.toMessage(response), Prompt.user("Thanks"))
        expect(yield* bodyOf(make, prompt)).toMatchObject(sent)
        const others = JSON.stringify(yield* bodyOf(OpenAiChat.make(chat.options), prompt))
        expect(others).not.toMatch(/web_search|executableCode/)
      }
    }))

  it.effect("of Gemini is kept and goes back for parts of every kind, and for a signature that stands alone", () =>
    Effect.gen(function*() {
      const make = Gemini.make(gemini.options)
      const parts = [
        { toolCall: { id: "t", toolType: "GOOGLE_SEARCH_WEB", args: { queries: ["x"] } }, thoughtSignature: "dA==" },
        { toolResponse: { id: "t", toolType: "GOOGLE_SEARCH_WEB", response: { n: 1 } } },
        { inlineData: { mimeType: "image/png", data: "AAAA" }, thoughtSignature: "aQ==" },
        { ofTomorrow: { any: 1 } },
        { text: "Here." },
        { thoughtSignature: "bG9uZQ==" }
      ]
      const text = JSON.stringify({ candidates: [{ content: { role: "model", parts }, finishReason: "STOP" }] })
      const whole = yield* withClient(
        () => chat.json(JSON.parse(text)),
        Effect.flatMap(make, (model) => model.generate({ prompt: "Hi" }))
      )
      const stream = yield* withClient(
        () => eventStream(`data: ${text}\n\n`),
        Effect.flatMap(make, (model) => StreamPart.collect(model.stream({ prompt: "Hi" })))
      )
      for (const { result: reply } of [whole, stream]) {
        expect(reply.parts.map((part) => part._tag === "ProviderPart" ? part.kind : part._tag)).toEqual([
          "toolCall",
          "toolResponse",
          "inlineData",
          "ofTomorrow",
          "Text",
          "Text"
        ])
        const prompt = Prompt.append("Hi", Response.toMessage(reply), Prompt.user("Thanks"))
        const sent = [...parts.slice(0, -1), { text: "", thoughtSignature: "bG9uZQ==" }]
        expect(yield* bodyOf(make, prompt)).toMatchObject({ contents: [{}, { parts: sent }, {}] })
      }
    }))

  it.effect("that is not what it should be is left out without a word", () =>
    Effect.map(
      bodyOf(
        OpenAiResponses.make(responses.options),
        Prompt.make([
          Prompt.user("Hi"),
          Prompt.assistant([
            { _tag: "Reasoning", text: "", providerMetadata: "responses/openai:reasoning:{broken" },
            { _tag: "Reasoning", text: "", providerMetadata: "" },
            Prompt.text("Yes")
          ])
        ])
      ),
      (body) => expect(body).toMatchObject({ input: [{ role: "user" }, { role: "assistant", content: "Yes" }] })
    ))

  it.effect("of Gemini stands in for Google's mark, which is for calls that have none", () =>
    Effect.gen(function*() {
      const make = Gemini.make({ ...gemini.options, model: "gemini-3-pro-preview" })
      const own = { ...weather, providerMetadata: "gemini/google:signature:Y2Fs" }
      const foreign = { ...weather, providerMetadata: "chat/openai:extra_content:{}" }
      const body = (call: Prompt.ToolCallPart) =>
        bodyOf(make, Prompt.make([Prompt.user("Hi"), Prompt.assistant([call])]))
      expect(yield* body(own)).toMatchObject({ contents: [{}, { parts: [{ thoughtSignature: "Y2Fs" }] }, {}] })
      expect(yield* body(foreign)).toMatchObject({
        contents: [{}, { parts: [{ thoughtSignature: "skip_thought_signature_validator" }] }, {}]
      })
    }))

  it("law: is read by who wrote it, and by nobody else", () => {
    const names = FastCheck.tuple(
      FastCheck.constantFrom(...(["anthropic", "responses", "gemini", "chat"] as const)),
      FastCheck.oneof(FastCheck.string(), FastCheck.constantFrom("a", "a:b", "a/b", "a%3ab", "")),
      FastCheck.constantFrom("signature", "redacted")
    )
    FastCheck.assert(
      FastCheck.property(names, names, FastCheck.string(), (writer, reader, state) => {
        const same = writer.every((part, at) => part === reader[at])
        expect(providerMetadata.read(...reader, providerMetadata.write(...writer, state))).toBe(
          same ? state : undefined
        )
      }),
      { numRuns: runs(100, 500) }
    )
  })
})
