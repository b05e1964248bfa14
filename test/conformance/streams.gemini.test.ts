/**
 * The recorded streams of Gemini: each folds to the expected result in any slices, and cut before its finish reason it is
 * Truncated. The reference did not put together arguments that came in pieces; here they were by hand.
 */
import { expect } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as geminiStream from "../../src/provider/gemini/stream.ts"
import { recordings } from "./streamFixtures.ts"

/** A call of the fixtures: whole, or one event of many. */
const ExpectedCall = Schema.Struct({
  name: Schema.NullOr(Schema.String),
  arguments: Schema.NullOr(Schema.Unknown),
  partialArgs: Schema.NullOr(Schema.Array(Schema.Unknown))
})

const Expected = Schema.Struct({
  text: Schema.String,
  finishReason: Schema.NullOr(Schema.String),
  toolCalls: Schema.Array(ExpectedCall),
  usage: Schema.Struct({
    promptTokenCount: Schema.Number,
    candidatesTokenCount: Schema.Number,
    totalTokenCount: Schema.Number,
    thoughtsTokenCount: Schema.optional(Schema.Number)
  })
})

const Recipe = Schema.parseJson(Schema.Struct({
  recipe: Schema.Struct({ ingredients: Schema.Array(Schema.Struct({ amount: Schema.String, name: Schema.String })) })
}))

/** The calls that the fixtures hold in pieces, put together by hand. */
const assembled: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  "google-stream-no-args-tool-call": [{}, { id: "A" }, { id: "B" }, { id: "C" }],
  "google-stream-tool-call-arguments": [{ location: "Boston" }, { location: "San Francisco" }]
}

const apples = {
  operations: [{ action: "add", itemid: "apple_001", price: 0.5 }, { itemid: "banana_001", price: 0.3 }]
}

/** Every signature, in the order in which they came. */
const signatures = (events: ReadonlyArray<string>): ReadonlyArray<string> =>
  events.flatMap((event) => [...event.matchAll(/"thoughtSignature": ?"([^"]+)"/g)].map((found) => found[1] ?? ""))

recordings("Gemini", {
  api: "gemini-generateContent",
  count: 9,
  expected: Expected,
  decoder: geminiStream.decoder,
  framed: (payload) => `data: ${payload}\r\n\r\n`,
  isEnd: (event) => event.includes("\"finishReason\""),
  check: (response, expected, file, events) => {
    expect(response.text).toBe(expected.text)
    expect(response.rawFinishReason).toBe(expected.finishReason)
    expect(response.model).toMatch(/^gemini-3/)
    const { candidatesTokenCount, promptTokenCount, thoughtsTokenCount, totalTokenCount } = expected.usage
    expect({ ...response.usage }).toEqual({
      inputTokens: promptTokenCount,
      outputTokens: candidatesTokenCount + (thoughtsTokenCount ?? 0),
      totalTokens: totalTokenCount,
      ...(thoughtsTokenCount === undefined ? {} : { reasoningTokens: thoughtsTokenCount })
    })
    expect(
      response.parts.flatMap((part) =>
        part._tag === "ProviderPart" || part.providerMetadata === undefined ? [] : [part.providerMetadata]
      )
    ).toEqual(
      signatures(events).map((signature) => `gemini/recorded:signature:${signature}`)
    )
    const named = expected.toolCalls.filter((call) => call.name !== null)
    expect(response.toolCalls.map((call) => call.name)).toEqual(named.map((call) => call.name))
    expect(response.finishReason).toBe(named.length > 0 ? "tool-calls" : "stop")
    expect(new Set(response.toolCalls.map((call) => call.id)).size).toBe(named.length)
    response.toolCalls.forEach((call, index) => {
      const args: unknown = JSON.parse(call.arguments)
      const whole = named[index]?.arguments
      if (whole !== null) expect(args).toEqual(whole)
      const known = Object.entries(assembled).find(([name]) => file.includes(name))?.[1]
      if (known !== undefined) expect(args).toEqual(known[index])
    })
    if (file.includes("arguments-nested")) {
      const args = Schema.decodeUnknownSync(Recipe)(response.toolCalls[0]?.arguments)
      expect(args.recipe.ingredients.length).toBeGreaterThan(6)
      expect(args.recipe.ingredients[0]).toEqual({ amount: "16 oz", name: "Lasagna noodles" })
    }
    // A call whose last event is missing ends with its reply.
    if (file.includes("missing-terminal")) {
      expect(JSON.parse(response.toolCalls[0]?.arguments ?? "")).toMatchObject(apples)
    }
  },
  // The arguments are shown as they end up.
  parts: (parts) => {
    const shown = new Map<number, string>()
    for (const part of parts) {
      if (part._tag === "ToolArgumentsDelta") shown.set(part.index, (shown.get(part.index) ?? "") + part.delta)
      if (part._tag === "ToolCall") expect(shown.get(part.index)).toBe(part.arguments)
    }
  }
})
