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
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { ModelError } from "../../src/error/ModelError.ts"
import type { Response } from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as decode from "../../src/provider/internal/decode.ts"
import * as openAiChatStream from "../../src/provider/internal/openAiChatStream.ts"
import * as sse from "../../src/provider/internal/sse.ts"

const folder = join(process.env["FIXTURES"] ?? "../shared/fixtures", "streams")
const index = join(folder, "index.json")
if (!existsSync(index)) console.log(`skipped: ${index} is absent (set FIXTURES)`)

interface Fixture {
  readonly file: string
  readonly api: string
  readonly provider: string
  readonly framing: string
  readonly expected: {
    readonly text: string | null
    readonly reasoning: string | null
    readonly toolCalls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly arguments: string }>
    readonly finishReason: string | null
    readonly usage: { readonly [name: string]: number } | null
    readonly hasTerminalEvent: boolean
  }
}

const fixtures: ReadonlyArray<Fixture> = existsSync(index)
  ? JSON.parse(readFileSync(index, "utf8")).streams.filter((each: Fixture) => each.api === "openai-chat")
  : []

const facts = { provider: "openai", model: "asked" } as const

const fold = (fixture: Fixture, slices: Iterable<Uint8Array>): Promise<Either.Either<Response, ModelError>> =>
  Stream.fromIterable(slices).pipe(
    fixture.framing.startsWith("sse") ? sse.events(facts) : sse.lines(facts),
    decode.run(openAiChatStream.decoder(facts)),
    (parts) => StreamPart.collect(parts, facts),
    Effect.either,
    Effect.runPromise
  )

function* byLine(bytes: Uint8Array): Generator<Uint8Array> {
  let from = 0
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, from)) {
    yield bytes.subarray(from, at + 1)
    from = at + 1
  }
  if (from < bytes.length) yield bytes.subarray(from)
}

function* byByte(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1)
}

const reasons: ReadonlyMap<string, string> = new Map([
  ["stop", "stop"],
  ["length", "length"],
  ["tool_calls", "tool-calls"],
  ["content_filter", "content-filter"]
])

const ours = (
  fixture: Fixture
): { readonly text: string; readonly reasoning: string; readonly finishReason: string } => {
  const { file, expected } = fixture
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

const check = (fixture: Fixture, response: Response): void => {
  const { expected } = fixture
  expect({ text: response.text, reasoning: response.reasoning, finishReason: response.finishReason }).toEqual(
    ours(fixture)
  )
  expect(response.rawFinishReason).toBe(expected.finishReason ?? undefined)
  expect(response.toolCalls).toEqual(
    expected.toolCalls.map(({ arguments: json, id, name }) => ({ _tag: "ToolCall", id, name, arguments: json }))
  )
  expect([response.usage.inputTokens, response.usage.outputTokens, response.usage.totalTokens]).toEqual([
    expected.usage?.["prompt_tokens"] ?? 0,
    expected.usage?.["completion_tokens"] ?? 0,
    expected.usage?.["total_tokens"] ?? 0
  ])
}

/** The recordings that no client may take for a reply. */
const broken: ReadonlyArray<readonly [name: string, tag: string]> = [
  ["chat_completion_invalid_streaming_test", "MalformedResponse"],
  ["chat_completion_with_data_streaming_test", "Truncated"]
]

const tagOf = (result: Either.Either<Response, ModelError>): string =>
  Either.isLeft(result) ? result.left._tag : "success"

describe("recorded streams of chat completions", () => {
  it.skipIf(fixtures.length === 0)("are 44", () => expect(fixtures.length).toBe(44))

  for (const fixture of fixtures) {
    const bytes = new Uint8Array(readFileSync(join(folder, fixture.file)))
    const tag = broken.find(([name]) => fixture.file.includes(name))?.[1]

    it(`${fixture.file} folds in whole, by lines and by bytes`, async () => {
      const whole = await fold(fixture, [bytes])
      const lines = await fold(fixture, byLine(bytes))
      const single = await fold(fixture, byByte(bytes))
      expect([tagOf(whole), tagOf(lines), tagOf(single)]).toEqual(Array(3).fill(tag ?? "success"))
      if (tag !== undefined) return
      check(fixture, Either.getOrThrow(whole))
      expect(lines).toEqual(whole)
      expect(single).toEqual(whole)
    })

    if (tag === "MalformedResponse") continue
    it(`${fixture.file} is Truncated wherever it is cut before its end`, async () => {
      const slices = [...byLine(bytes)]
      // The terminal event is whole as soon as its JSON is, so the cut before it is the last that is judged.
      const ends = slices.findIndex((line) => /"finish_reason":\s*"/.test(new TextDecoder().decode(line)))
      const last = ends === -1 ? slices.length : ends
      const step = Math.max(1, Math.floor(last / 40))
      for (let cut = 0; cut <= last; cut = cut < last ? Math.min(cut + step, last) : last + 1) {
        expect([cut, tagOf(await fold(fixture, slices.slice(0, cut)))]).toEqual([cut, "Truncated"])
      }
    })
  }
})
