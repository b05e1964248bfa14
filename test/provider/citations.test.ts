/** What a vendor says that its answer rests on: kept with the text in a reply and in a stream, and sent back where the wire takes it. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ModelError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as anthropic from "./fakeAnthropic.ts"
import * as gemini from "./fakeGemini.ts"
import { completion, fakeClient, json, options } from "./fakeOpenAi.ts"
import * as responses from "./fakeOpenAiResponses.ts"

type Make = Effect.Effect<LanguageModel.Service<ModelError>, unknown, HttpClient.HttpClient>

const using = <A, E>(
  make: Make,
  respond: () => globalThis.Response,
  use: (model: LanguageModel.Service<ModelError>) => Effect.Effect<A, E>
) => {
  const { client, sent } = fakeClient(respond)
  return Effect.map(
    Effect.provideService(Effect.flatMap(make, use), HttpClient.HttpClient, client),
    (result) => ({ result, sent })
  )
}

const generated = (make: Make, reply: unknown) =>
  Effect.map(using(make, () => json(reply), (model) => model.generate({ prompt: "Hi" })), ({ result }) => result)

const eventStream = (text: string): globalThis.Response =>
  new globalThis.Response(text, { headers: { "content-type": "text/event-stream" } })

const streamed = (make: Make, text: string) =>
  Effect.map(
    using(make, () => eventStream(text), (model) => StreamPart.collect(model.stream({ prompt: "Hi" }))),
    ({ result }) => result
  )

/** The body of the next turn after this reply. */
const nextTurn = (make: Make, reply: Response.Response) =>
  Effect.map(
    using(make, () => json({}), (model) =>
      Effect.either(
        model.generate({ prompt: Prompt.append("Hi", Response.toMessage(reply), Prompt.user("Thanks")) })
      )),
    ({ sent }) => sent[0]?.body
  )

const annotations = [
  { type: "url_citation", start_index: 0, end_index: 6, url: "https://a.example", title: "A" },
  { type: "file_citation", index: 6, file_id: "file-1", filename: "a.pdf" },
  { type: "container_file_citation", container_id: "c", file_id: "f", filename: "b.png", start_index: 0, end_index: 1 },
  { type: "file_path", file_id: "f2", index: 0 }
]

const outputText = (text: string, rests: ReadonlyArray<object>) => ({ type: "output_text", text, annotations: rests })

const ofMessage = (...content: ReadonlyArray<object>) => ({
  type: "message",
  id: "msg_1",
  role: "assistant",
  status: "completed",
  content
})

const at = { item_id: "msg_1", output_index: 0, content_index: 0 }

const created = { type: "response.created", response: { id: "resp_1", model: "gpt-5-mini" } }

const completed = (...output: ReadonlyArray<object>) => ({
  type: "response.completed",
  response: responses.response(output)
})

const makeResponses = OpenAiResponses.make(responses.options)

const annotated = `responses/openai:cited:${JSON.stringify(outputText("Paris.", annotations))}`

describe("Citations of the Responses API", () => {
  it.effect("stand with their text in a whole reply, and go back with it to the letter", () =>
    Effect.gen(function*() {
      const item = ofMessage(outputText("So: ", []), outputText("Paris.", annotations), outputText(" Well.", []))
      const reply = yield* generated(makeResponses, responses.response([item]))
      expect(reply.text).toBe("So: Paris. Well.")
      expect(reply.parts[1]).toEqual({ _tag: "Text", text: "Paris.", providerMetadata: annotated })
      expect(yield* nextTurn(makeResponses, reply)).toMatchObject({
        input: [{}, { type: "message", role: "assistant", content: item.content }, {}]
      })
    }))

  const inPieces = [
    { type: "response.output_text.delta", ...at, delta: "Pa" },
    { type: "response.output_text.delta", ...at, delta: "ris." }
  ]
  const told = annotations.map((annotation, annotation_index) => ({
    type: "response.output_text.annotation.added",
    ...at,
    annotation_index,
    annotation
  }))
  const partDone = { type: "response.content_part.done", ...at, part: outputText("Paris.", annotations) }
  const itemDone = {
    type: "response.output_item.done",
    output_index: 0,
    item: ofMessage(outputText("Paris.", annotations))
  }
  const streams = {
    "by itself, with the part, with the item and with the reply, as OpenAI does": [
      ...inPieces,
      ...told,
      partDone,
      itemDone
    ],
    "with the item alone": [...inPieces, itemDone],
    "by itself alone, the text then without": [
      ...inPieces,
      ...told,
      { type: "response.output_item.done", output_index: 0, item: ofMessage(outputText("Paris.", [])) }
    ],
    "with the whole reply alone": inPieces,
    "in a reply that comes in one piece": []
  }
  for (const [name, events] of Object.entries(streams)) {
    it.effect(`are one part of a stream that says them ${name}`, () =>
      Effect.gen(function*() {
        const reply = yield* streamed(
          makeResponses,
          responses.framed([created, ...events, completed(ofMessage(outputText("Paris.", annotations)))])
        )
        expect(reply.text).toBe("Paris.")
        expect(reply.parts).toEqual([
          { _tag: "Text", text: "Paris." },
          { _tag: "Text", text: "", providerMetadata: annotated }
        ])
        expect(yield* nextTurn(makeResponses, reply)).toMatchObject({
          input: [{}, { type: "message", role: "assistant", content: [outputText("Paris.", annotations)] }, {}]
        })
      }))
  }

  it.effect("stay with their own of several texts", () =>
    Effect.gen(function*() {
      const second = { ...at, content_index: 1 }
      const reply = yield* streamed(
        makeResponses,
        responses.framed([
          created,
          ...inPieces,
          partDone,
          { type: "response.output_text.delta", ...second, delta: " And Rome." },
          { type: "response.content_part.done", ...second, part: outputText(" And Rome.", annotations.slice(0, 1)) },
          completed()
        ])
      )
      expect(yield* nextTurn(makeResponses, reply)).toMatchObject({
        input: [{}, {
          content: [outputText("Paris.", annotations), outputText(" And Rome.", annotations.slice(0, 1))]
        }, {}]
      })
    }))

  it.effect("are sent to nobody else, and not with a text that has been changed", () =>
    Effect.gen(function*() {
      const reply = yield* generated(makeResponses, responses.response([ofMessage(outputText("Paris.", annotations))]))
      const others = [
        OpenAiResponses.make({ ...responses.options, provider: "azure" }),
        OpenAiChat.make(options),
        Anthropic.make(anthropic.options),
        Gemini.make(gemini.options)
      ]
      for (const make of others) {
        const body = JSON.stringify(yield* nextTurn(make, reply))
        expect(body).toContain("Paris.")
        expect(body).not.toContain("a.example")
      }
      const changed = new Response.Response({
        ...reply,
        parts: [{ _tag: "Text", text: "Rome.", providerMetadata: annotated }]
      })
      expect(yield* nextTurn(makeResponses, changed)).toMatchObject({ input: [{}, { content: "Rome." }, {}] })
    }))

  it.effect("that are none leave the text a plain string", () =>
    Effect.gen(function*() {
      const reply = yield* generated(makeResponses, responses.response([responses.message("Paris.")]))
      expect(reply.parts).toEqual([{ _tag: "Text", text: "Paris." }])
      expect(yield* nextTurn(makeResponses, reply)).toMatchObject({ input: [{}, { content: "Paris." }, {}] })
    }))
})

describe("Citations of Anthropic", () => {
  const citation = {
    type: "web_search_result_location",
    url: "https://a.example",
    encrypted_index: "Eo8B",
    cited_text: "P"
  }
  const plain = { type: "text", text: "In short: " }
  const cited = { type: "text", text: "Paris.", citations: [citation, { ...citation, url: "https://b.example" }] }
  const make = Anthropic.make(anthropic.options)

  it.effect("come and go back in whole replies and in streams alike", () =>
    Effect.gen(function*() {
      const sent = { messages: [{}, { role: "assistant", content: [plain, cited] }, {}] }
      const whole = yield* generated(make, anthropic.message([plain, cited]))
      expect(yield* nextTurn(make, whole)).toMatchObject(sent)
      const stream = yield* streamed(
        make,
        anthropic.sse([
          anthropic.messageStart(),
          { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
          { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "In short: " } },
          { type: "content_block_stop", index: 0 },
          { type: "content_block_start", index: 1, content_block: { type: "text", text: "", citations: [] } },
          ...cited.citations.map((each) => ({
            type: "content_block_delta",
            index: 1,
            delta: { type: "citations_delta", citation: each }
          })),
          { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Paris." } },
          { type: "content_block_stop", index: 1 },
          { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 5 } },
          { type: "message_stop" }
        ])
      )
      expect(stream.text).toBe(whole.text)
      expect(yield* nextTurn(make, stream)).toMatchObject(sent)
    }))
})

describe("Citations of Gemini", () => {
  const make = Gemini.make(gemini.options)
  const sources = {
    groundingMetadata: {
      webSearchQueries: ["capital"],
      groundingChunks: [{ web: { uri: "https://a.example", title: "A" } }],
      groundingSupports: [{ segment: { endIndex: 6 }, groundingChunkIndices: [0] }]
    },
    citationMetadata: { citationSources: [{ startIndex: 0, endIndex: 6, uri: "https://b.example" }] },
    urlContextMetadata: { urlMetadata: [{ retrievedUrl: "https://c.example" }] }
  }
  const frame = (text: string, rest: object = {}) => ({
    candidates: [{ content: { role: "model", parts: [{ text }] }, index: 0, ...rest }]
  })

  it.effect("are parts of the reply and of the stream, and stay behind, as a request has no place for them", () =>
    Effect.gen(function*() {
      const kinds = Object.keys(sources)
      const whole = yield* generated(make, frame("Paris.", { finishReason: "STOP", ...sources }))
      const stream = yield* streamed(
        make,
        gemini.events(frame("Par"), frame("is.", { finishReason: "STOP", ...sources }))
      )
      for (const reply of [whole, stream]) {
        expect(reply.text).toBe("Paris.")
        const own = reply.parts.flatMap((part) => part._tag === "ProviderPart" ? [part] : [])
        expect(own.map(({ kind }) => kind)).toEqual(kinds)
        expect(own[0]?.providerMetadata).toBe(
          `gemini/google:source:${JSON.stringify(sources.groundingMetadata)}`
        )
        const body = yield* nextTurn(make, reply)
        expect(body).toMatchObject({ contents: [{}, { role: "model", parts: [{ text: "Paris." }] }, {}] })
        expect(JSON.stringify(body)).not.toMatch(/example|Metadata/)
      }
    }))
})

describe("Citations of chat completions", () => {
  const make = OpenAiChat.make(options)
  const cited = (at: number) => ({
    type: "url_citation",
    url_citation: { url: `https://${at}.example`, start_index: at }
  })
  const executed = [{ type: "search", arguments: "{}", output: "x" }]
  const chunk = (delta: object, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta, finish_reason }] })}\n\n`

  it.effect("and tools that the server ran are parts of the reply and of the stream, and stay behind", () =>
    Effect.gen(function*() {
      const whole = yield* generated(
        make,
        completion({
          role: "assistant",
          content: "Paris.",
          annotations: [cited(1), cited(2)],
          executed_tools: executed
        })
      )
      expect(whole.parts).toEqual([
        { _tag: "Text", text: "Paris." },
        {
          _tag: "ProviderPart",
          kind: "annotations",
          providerMetadata: `chat/openai:annotations:${JSON.stringify([cited(1), cited(2)])}`
        },
        {
          _tag: "ProviderPart",
          kind: "executed_tools",
          providerMetadata: `chat/openai:executed_tools:${JSON.stringify(executed)}`
        }
      ])
      const stream = yield* streamed(
        make,
        [
          chunk({ content: "Par" }),
          chunk({ content: "is", annotations: [cited(1)] }),
          chunk({ annotations: [cited(1)] }),
          chunk({ content: ".", annotations: [cited(2)] }),
          chunk({ annotations: [] }, "stop"),
          "data: [DONE]\n\n"
        ].join("")
      )
      expect(stream.parts).toEqual([
        { _tag: "Text", text: "Paris." },
        ...[cited(1), cited(2)].map((each) => ({
          _tag: "ProviderPart",
          kind: "annotations",
          providerMetadata: `chat/openai:annotations:${JSON.stringify([each])}`
        }))
      ])
      for (const reply of [whole, stream]) {
        expect(yield* nextTurn(make, reply)).toMatchObject({
          messages: [{}, { role: "assistant", content: "Paris." }, {}]
        })
        expect(JSON.stringify(yield* nextTurn(make, reply))).not.toMatch(/example|executed/)
      }
    }))
})
