/**
 * The recorded streams of the Responses API (OpenAI, Azure, xAI, LM Studio, GitHub Copilot): each folds to the expected
 * result in any slices, and cut before its terminal event it is Truncated.
 *
 * Where the expectation of the fixtures is not ours: `parallel-tool-call-wrapper` lacks a brace in its first and its last
 * event. The reference skips both and has no end; to us an event that is not JSON is a MalformedResponse.
 *
 * Three files hold several replies one after another (an agent's turns); the expected text and calls are those of all, the
 * usage is the last one's. A cut between two of them leaves whole replies, so it is no cut.
 */
import { expect } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as openAiResponsesStream from "../../src/provider/openAiResponses/stream.ts"
import { recordings } from "./streamFixtures.ts"

const Expected = Schema.Struct({
  text: Schema.NullOr(Schema.String),
  reasoning: Schema.NullOr(Schema.String),
  toolCalls: Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String, arguments: Schema.String })),
  finishReason: Schema.NullOr(Schema.String),
  usage: Schema.NullOr(Schema.Struct({
    input_tokens: Schema.Number,
    output_tokens: Schema.Number,
    total_tokens: Schema.Number,
    input_tokens_details: Schema.Struct({
      cached_tokens: Schema.Number,
      cache_write_tokens: Schema.optional(Schema.Number)
    }),
    output_tokens_details: Schema.Struct({ reasoning_tokens: Schema.Number })
  }))
})

const fails: ReadonlyMap<string, string> = new Map([
  ["openai-error.1", "QuotaExhausted"],
  ["parallel-tool-call-wrapper.1", "MalformedResponse"]
])

/** Replies whose last part asks for tools; all others stop. */
const waitsForTools =
  /azure-tool-call|lmstudio-tool-call|client-tool-search\.2|openai-tool-search|programmatic-tool-calling\.[12]/

const Done = Schema.parseJson(
  Schema.Struct({
    item: Schema.Struct({ type: Schema.Literal("reasoning"), encrypted_content: Schema.NonEmptyString })
  })
)

/** What the server encrypted of its reasoning, in the event that ends each item. */
const encrypted = (events: ReadonlyArray<string>): ReadonlyArray<string> =>
  events.filter((event) => event.startsWith("event: response.output_item.done\n")).flatMap((event) => {
    const done = Schema.decodeUnknownOption(Done)(event.slice(event.indexOf("data: ") + 6))
    return done._tag === "Some" ? [done.value.item.encrypted_content] : []
  })

recordings("the Responses API", {
  api: "openai-responses",
  count: 47,
  expected: Expected,
  decoder: (facts) => openAiResponsesStream.decoder(facts, "all"),
  framed: (payload) => {
    const type = /"type":"(response\.[a-z_.]+|error)"/.exec(payload)?.[1]
    return `${type === undefined ? "" : `event: ${type}\n`}data: ${payload}\n\n`
  },
  isEnd: (event) => event.includes("event: response.completed\n"),
  failure: (file) => [...fails].find(([name]) => file.includes(`${name}.`))?.[1],
  check: (response, expected, file, events) => {
    expect(response.text).toBe(expected.text ?? "")
    expect(response.reasoning).toBe(expected.reasoning ?? "")
    expect(response.toolCalls).toEqual(
      expected.toolCalls.map((call) => ({ _tag: "ToolCall", id: call.id, name: call.name, arguments: call.arguments }))
    )
    const states = response.parts.flatMap((part) =>
      part._tag === "Reasoning" && part.providerMetadata !== undefined ? [part.providerMetadata] : []
    )
    const contents = encrypted(events)
    expect(states.length).toBe(contents.length)
    contents.forEach((content, at) => expect(states[at]).toContain(JSON.stringify(content)))
    expect(response.finishReason).toBe(waitsForTools.test(file) ? "tool-calls" : "stop")
    expect(response.rawFinishReason).toBe(expected.finishReason)
    const written = expected.usage?.input_tokens_details.cache_write_tokens
    expect({ ...response.usage }).toEqual({
      inputTokens: expected.usage?.input_tokens,
      outputTokens: expected.usage?.output_tokens,
      totalTokens: expected.usage?.total_tokens,
      cachedInputTokens: expected.usage?.input_tokens_details.cached_tokens,
      reasoningTokens: expected.usage?.output_tokens_details.reasoning_tokens,
      ...(written === undefined ? {} : { cacheWriteInputTokens: written })
    })
    expect(response.id).toBeTruthy()
    expect(response.model).not.toBe("asked")
  }
})
