/**
 * The recorded streams of Anthropic: each folds to the expected result in any slices, and cut before its terminal event it
 * is Truncated.
 *
 * Where the expectation of the fixtures is not ours:
 * - calls with `serverExecuted` are no calls of ours: the server has answered them, so they are skipped;
 * - a recording of several messages keeps the calls of all of them; the reference kept one per block index;
 * - a message that is begun anew (`spliced-message-start`) voids what came before, thinking included;
 * - input tokens count the cached ones, and those of `message_start` where `message_delta` tells none.
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
import * as anthropicStream from "../../src/provider/internal/anthropicStream.ts"
import * as decode from "../../src/provider/internal/decode.ts"
import * as sse from "../../src/provider/internal/sse.ts"

const folder = join(process.env["FIXTURES"] ?? "../shared/fixtures", "streams")
const index = join(folder, "index.json")
if (!existsSync(index)) console.log(`skipped: ${index} is absent (set FIXTURES)`)

interface Fixture {
  readonly file: string
  readonly api: string
  readonly framing: string
  readonly expected: {
    readonly text: string | null
    readonly reasoning?: string | null
    readonly toolCalls: ReadonlyArray<{
      readonly id: string
      readonly name: string
      readonly arguments: string
      readonly serverExecuted: boolean
    }>
    readonly finishReason: string
    readonly usage: { readonly [name: string]: unknown }
  }
}

const fixtures: ReadonlyArray<Fixture> = existsSync(index)
  ? JSON.parse(readFileSync(index, "utf8")).streams.filter((each: Fixture) => each.api === "anthropic-messages")
  : []

/** Recordings of a whole turn: more than one message in one file. */
const severalMessages: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["anthropic-programmatic-tool-calling.1", Array.from({ length: 14 }, () => "rollDie")],
  ["anthropic-tool-search-deferred-bm25", ["readNoteTree", "executeEditorOperation"]],
  ["anthropic-tool-search-deferred-regex", ["readNoteTree", "executeEditorOperation"]]
])

const begunAnew = /spliced-message-start/

const facts = { provider: "anthropic", model: "asked" } as const
const decoder = anthropicStream.decoder(facts, "messages")

const fold = (fixture: Fixture, slices: Iterable<Uint8Array>): Either.Either<Response, ModelError> => {
  const framing = fixture.framing.startsWith("sse") ? sse.events(facts) : sse.lines(facts)
  return Stream.fromIterable(slices).pipe(
    framing,
    decode.run(decoder),
    (parts) => StreamPart.collect(parts, facts),
    Effect.either,
    Effect.runSync
  )
}

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
  ["end_turn", "stop"],
  ["tool_use", "tool-calls"],
  ["refusal", "content-filter"]
])

const isStop = (line: string): boolean => line.includes("\"type\":\"message_stop\"")

const number = (value: unknown): number => typeof value === "number" ? value : 0

const check = (fixture: Fixture, response: Response): void => {
  const { expected, file } = fixture
  expect(response.text).toBe(expected.text ?? "")
  if (!begunAnew.test(file)) expect(response.reasoning).toBe(expected.reasoning ?? "")
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
    // Arguments that stood in the start of their block come as they were written there; the reference printed them anew.
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

describe("recorded streams of Anthropic", () => {
  it.skipIf(fixtures.length === 0)("are 28", () => expect(fixtures.length).toBe(28))

  for (const fixture of fixtures) {
    const bytes = new Uint8Array(readFileSync(join(folder, fixture.file)))

    it(`${fixture.file} folds in whole, by lines and by bytes`, () => {
      const [whole, lines, single] = [[bytes], byLine(bytes), byByte(bytes)].map((slices) =>
        Either.getOrThrowWith(fold(fixture, slices), (error) => error)
      )
      expect(whole).toBeDefined()
      if (whole !== undefined) check(fixture, whole)
      expect(lines).toEqual(whole)
      expect(single).toEqual(whole)
    })

    it(`${fixture.file} is Truncated wherever it is cut before its end`, () => {
      const slices = [...byLine(bytes)]
      const decoded = slices.map((line) => new TextDecoder().decode(line))
      const last = decoded.reduce((found, line, at) => isStop(line) ? at : found, -1)
      // A message that waits for tools is a whole reply by itself: what follows it is another one.
      const wholes = new Set(decoded.flatMap((line, at) => isStop(line) ? [at + 1] : []))
      const step = Math.max(1, Math.floor(last / 40))
      for (let cut = 0; cut <= last; cut += cut + step > last && cut < last ? last - cut : step) {
        const result = fold(fixture, slices.slice(0, cut))
        if (wholes.has(cut)) continue
        expect(Either.isLeft(result) ? result.left._tag : `success after ${cut} lines`).toBe("Truncated")
      }
      // In the middle of the last line before the end, and of the end itself.
      const until = slices.slice(0, last).reduce((size, line) => size + line.length, 0)
      for (const at of [until - 5, until + 5]) {
        const result = fold(fixture, [bytes.subarray(0, at)])
        expect(Either.isLeft(result) ? result.left._tag : `success after ${at} bytes`).toBe("Truncated")
      }
    })
  }
})
