/**
 * The recorded chat completion streams of ten vendors: each folds to the expected result in any slices, and cut before its
 * terminal event it is Truncated.
 *
 * Where the expectation of the fixtures is not ours:
 * - Mistral's content in parts is text and thinking; the reference fold skipped it;
 * - a refusal is the text of the reply, and its finish reason is "content-filter", as in `generate`;
 * - a chunk that is not JSON is a MalformedResponse, although `[DONE]` follows it;
 * - a stream that finishes with "stop" while it calls tools waits for tools, so its reason is "tool-calls".
 */
import { expect } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as openAiChatStream from "../../src/provider/openAiChat/stream.ts"
import { recordings } from "./streamFixtures.ts"

const Expected = Schema.Struct({
  text: Schema.NullOr(Schema.String),
  reasoning: Schema.NullOr(Schema.String),
  toolCalls: Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String, arguments: Schema.String })),
  finishReason: Schema.NullOr(Schema.String),
  usage: Schema.NullOr(Schema.Struct({
    prompt_tokens: Schema.optional(Schema.Number),
    completion_tokens: Schema.optional(Schema.Number),
    total_tokens: Schema.optional(Schema.Number)
  }))
})

const reasons: ReadonlyMap<string, string> = new Map([
  ["stop", "stop"],
  ["length", "length"],
  ["tool_calls", "tool-calls"],
  ["content_filter", "content-filter"]
])

const ours = (
  file: string,
  expected: typeof Expected.Type
): { readonly text: string; readonly reasoning: string; readonly finishReason: string } => {
  if (file.includes("mistral-reasoning")) {
    return {
      text: "2 + 2 = 4",
      reasoning: "The user is asking for 2+2. This is basic arithmetic. 2+2=4.",
      finishReason: "stop"
    }
  }
  if (file.includes("refusal")) {
    return { text: "I'm sorry, I cannot assist with that request.", reasoning: "", finishReason: "content-filter" }
  }
  return {
    text: expected.text ?? "",
    reasoning: expected.reasoning ?? "",
    finishReason: reasons.get(expected.finishReason ?? "") ?? "unknown"
  }
}

/** The recordings that no client may take for a reply. */
const broken: ReadonlyArray<readonly [name: string, tag: string]> = [
  ["chat_completion_invalid_streaming_test", "MalformedResponse"],
  ["chat_completion_with_data_streaming_test", "Truncated"]
]

recordings("chat completions", {
  api: "openai-chat",
  count: 44,
  expected: Expected,
  decoder: openAiChatStream.decoder,
  framed: (payload) => `data: ${payload}\n\n`,
  isEnd: (event) => /"finish_reason":\s*"/.test(event),
  failure: (file) => broken.find(([name]) => file.includes(name))?.[1],
  check: (response, expected, file) => {
    expect({ text: response.text, reasoning: response.reasoning, finishReason: response.finishReason }).toEqual(
      ours(file, expected)
    )
    expect(response.rawFinishReason).toBe(expected.finishReason ?? undefined)
    expect(response.toolCalls).toEqual(
      expected.toolCalls.map(({ arguments: json, id, name }) => ({ _tag: "ToolCall", id, name, arguments: json }))
    )
    expect([response.usage.inputTokens, response.usage.outputTokens, response.usage.totalTokens]).toEqual([
      expected.usage?.prompt_tokens ?? 0,
      expected.usage?.completion_tokens ?? 0,
      expected.usage?.total_tokens ?? 0
    ])
  }
})
