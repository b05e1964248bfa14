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
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { ModelError } from "../../src/error/ModelError.ts"
import type { Response } from "../../src/model/Response.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"

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
    readonly usage: {
      readonly input_tokens: number
      readonly output_tokens: number
      readonly total_tokens: number
      readonly input_tokens_details: { readonly cached_tokens: number }
      readonly output_tokens_details: { readonly reasoning_tokens: number }
    }
  }
}

const fixtures: ReadonlyArray<Fixture> = existsSync(index)
  ? JSON.parse(readFileSync(index, "utf8")).streams.filter((each: Fixture) => each.api === "openai-responses")
  : []

const fails: ReadonlyMap<string, string> = new Map([
  ["openai-error.1", "QuotaExhausted"],
  ["parallel-tool-call-wrapper.1", "MalformedResponse"]
])

const failureOf = (file: string): string | undefined => [...fails].find(([name]) => file.includes(`${name}.`))?.[1]

/** Replies whose last part asks for tools; all others stop. */
const waitsForTools =
  /azure-tool-call|lmstudio-tool-call|client-tool-search\.2|openai-tool-search|programmatic-tool-calling\.[12]/

/** The events of a file as a server sends them. */
const eventsOf = (file: string): ReadonlyArray<string> =>
  readFileSync(join(folder, file), "utf8").split("\n").filter((line) => line.trim() !== "").map((line) => {
    const type = /"type":"(response\.[a-z_.]+|error)"/.exec(line)?.[1]
    return `${type === undefined ? "" : `event: ${type}\n`}data: ${line}\n\n`
  })

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

function* byByte(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1)
}

const fold = (provider: string, slices: Iterable<Uint8Array>): Either.Either<Response, ModelError> => {
  const facts = { provider, model: "asked" }
  return Stream.fromIterable(slices).pipe(
    OpenAiResponses.decodeStream(facts),
    (parts) => StreamPart.collect(parts, facts),
    Effect.either,
    Effect.runSync
  )
}

const tagOf = (result: Either.Either<Response, ModelError>): string =>
  Either.isLeft(result) ? result.left._tag : "success"

const check = ({ expected, file }: Fixture, response: Response): void => {
  expect(response.text).toBe(expected.text ?? "")
  expect(response.reasoning).toBe(expected.reasoning ?? "")
  expect(response.toolCalls).toEqual(
    expected.toolCalls.map((call) => ({ _tag: "ToolCall", id: call.id, name: call.name, arguments: call.arguments }))
  )
  expect(response.finishReason).toBe(waitsForTools.test(file) ? "tool-calls" : "stop")
  expect(response.rawFinishReason).toBe(expected.finishReason)
  expect({ ...response.usage }).toEqual({
    inputTokens: expected.usage.input_tokens,
    outputTokens: expected.usage.output_tokens,
    totalTokens: expected.usage.total_tokens,
    cachedInputTokens: expected.usage.input_tokens_details.cached_tokens,
    reasoningTokens: expected.usage.output_tokens_details.reasoning_tokens
  })
  expect(response.id).toBeTruthy()
  expect(response.model).not.toBe("asked")
}

describe("recorded streams of the Responses API", () => {
  it.skipIf(fixtures.length === 0)("are 47, one payload per line", () => {
    expect(fixtures.length).toBe(47)
    expect(fixtures.filter((each) => !each.framing.startsWith("json-lines"))).toEqual([])
  })

  for (const fixture of fixtures) {
    const { file, provider } = fixture
    const events = eventsOf(file)
    const failure = failureOf(file)

    it(`${file} ${failure === undefined ? "folds" : `is ${failure}`} in whole, by events and by bytes`, () => {
      const bytes = encode(events.join(""))
      const whole = fold(provider, [bytes])
      if (failure === undefined) check(fixture, Either.getOrThrowWith(whole, (error) => error))
      else expect(tagOf(whole)).toBe(failure)
      expect(fold(provider, events.map(encode))).toEqual(whole)
      expect(fold(provider, byByte(bytes))).toEqual(whole)
    })

    it(`${file} is Truncated wherever it is cut before its end`, () => {
      const isEnd = (event: string): boolean => event.startsWith("event: response.completed")
      const wholes = new Set(events.flatMap((event, at) => isEnd(event) ? [at + 1] : []))
      const last = events.length - 1
      const step = Math.max(1, Math.floor(last / 40))
      const cuts = [...Array.from({ length: Math.floor(last / step) + 1 }, (_, at) => at * step), last]
      for (const cut of cuts) {
        if (wholes.has(cut)) continue
        const told = events.slice(0, cut).join("")
        // Once the error has come, the reply has failed and is not cut.
        const known = failure === undefined || cut === 0 ||
          (failure === "QuotaExhausted" && !told.includes("event: error"))
        expect(tagOf(fold(provider, [encode(told)]))).toBe(known ? "Truncated" : failure)
        // In the middle of the event that follows.
        const next = encode(events[cut] ?? "")
        const middle = fold(provider, [encode(told), next.subarray(0, Math.floor(next.length / 2))])
        expect(tagOf(middle)).toBe(known ? "Truncated" : failure)
      }
    })
  }
})
