/**
 * The recorded streams of Anthropic: each folds to the expected result in any slices, and cut before its terminal event it
 * is Truncated.
 *
 * Where the expectation of the fixtures is not ours:
 * - calls with `serverExecuted` are no calls of ours: the server has answered them, so they are skipped;
 * - a recording of several messages keeps the calls of all of them; the reference kept one per block index;
 * - a message that is begun anew (`spliced-message-start`) voids what came before, thinking included;
 * - a refusal without a word is ContentFiltered, as in `generate`;
 * - input tokens count the cached ones, and those of `message_start` where `message_delta` tells none.
 */
import { expect } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as anthropicStream from "../../src/provider/anthropic/stream.ts"
import { recordings } from "./streamFixtures.ts"

const Expected = Schema.Struct({
  text: Schema.NullOr(Schema.String),
  reasoning: Schema.optional(Schema.NullOr(Schema.String)),
  toolCalls: Schema.Array(Schema.Struct({
    id: Schema.String,
    name: Schema.String,
    arguments: Schema.String,
    serverExecuted: Schema.Boolean
  })),
  finishReason: Schema.String,
  usage: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})

/** Recordings of a whole turn: more than one message in one file. */
const severalMessages: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["anthropic-programmatic-tool-calling.1", Array.from({ length: 14 }, () => "rollDie")],
  ["anthropic-tool-search-deferred-bm25", ["readNoteTree", "executeEditorOperation"]],
  ["anthropic-tool-search-deferred-regex", ["readNoteTree", "executeEditorOperation"]]
])

const begunAnew = /spliced-message-start/

const reasons: ReadonlyMap<string, string> = new Map([["end_turn", "stop"], ["tool_use", "tool-calls"]])

const number = (value: unknown): number => typeof value === "number" ? value : 0

/** Each thought that the API signed or sealed, as it wrote it. */
const states = (events: ReadonlyArray<string>): ReadonlyArray<string> =>
  events.flatMap((event) => {
    const signature = /"type":"signature_delta","signature":"([^"]+)"/.exec(event)?.[1]
    return signature === undefined ? [] : [`anthropic/recorded:signature:${signature}`]
  })

recordings("Anthropic", {
  api: "anthropic-messages",
  count: 28,
  expected: Expected,
  decoder: (facts) => anthropicStream.decoder(facts, "messages"),
  framed: (payload) => `event: ${/"type":"(\w+)"/.exec(payload)?.[1] ?? ""}\ndata: ${payload}\n\n`,
  isEnd: (event) => event.includes("\"type\":\"message_stop\""),
  failure: (file) => file.includes("anthropic-refusal") ? "ContentFiltered" : undefined,
  check: (response, expected, file, events) => {
    expect(response.text).toBe(expected.text ?? "")
    if (!begunAnew.test(file)) {
      expect(response.reasoning).toBe(expected.reasoning ?? "")
      expect(
        response.parts.flatMap((part) =>
          part._tag === "ProviderPart" || part._tag === "Text" || part.providerMetadata === undefined
            ? []
            : [part.providerMetadata]
        )
      ).toEqual(states(events))
    }
    expect(response).toMatchObject({
      finishReason: reasons.get(expected.finishReason),
      rawFinishReason: expected.finishReason
    })
    const calls = expected.toolCalls.filter((call) => !call.serverExecuted)
    const several = [...severalMessages].find(([name]) => file.includes(`${name}.chunks`))?.[1]
    if (several !== undefined) expect(response.toolCalls.map((call) => call.name)).toEqual(several)
    for (const { arguments: json, id, name } of calls) {
      const call = response.toolCalls.find((each) => each.id === id)
      expect(call?.name).toBe(name)
      // Arguments in the start of their block come as they were written there; the reference printed them anew.
      expect(JSON.parse(call?.arguments ?? "")).toEqual(JSON.parse(json))
      if (several?.[0] !== "rollDie") expect(call?.arguments).toBe(json)
    }
    if (several === undefined) expect(response.toolCalls.length).toBe(calls.length)
    const { usage } = expected
    expect(response.usage.outputTokens).toBe(usage["output_tokens"])
    if (usage["input_tokens"] !== undefined) {
      expect(response.usage.inputTokens).toBe(
        number(usage["input_tokens"]) + number(usage["cache_read_input_tokens"]) +
          number(usage["cache_creation_input_tokens"])
      )
    }
  }
})
