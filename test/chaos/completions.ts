/** What the tests of the wire protocols share: completions by chance, and the bytes of a stream in slices. */
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import type { Completion, Failure, ModelRequest, Protocol, Reply } from "../../src/chaos/chaosServer/protocol.ts"

export const said = (more: Partial<Completion> = {}): Completion => ({
  id: "0123456789abcdef",
  model: "some-model",
  created: 1_760_000_000,
  text: undefined,
  toolCalls: [],
  finishReason: more.toolCalls === undefined || more.toolCalls.length === 0 ? "stop" : "tool-calls",
  promptTokens: 21,
  completionTokens: 34,
  ...more
})

export const call = (json: string, id = "00000000000000c1", name = "get_weather") => ({ id, name, arguments: json })

export const asked: ModelRequest = {
  model: "some-model",
  messages: [{ role: "user", text: "Hi", images: 0, toolCalls: [] }],
  tools: [],
  toolChoice: "none",
  parallel: true,
  maxTokens: undefined,
  stream: true,
  includeUsage: true,
  output: undefined
}

const unicode = FastCheck.string({ unit: "grapheme", maxLength: 40 })

/** The arguments of a call: an object, as a model writes it or with a tool's love of blanks, or no JSON at all. */
const json: FastCheck.Arbitrary<string> = FastCheck.oneof(
  FastCheck.dictionary(unicode, FastCheck.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }).map((value) =>
    JSON.stringify(value)
  ),
  FastCheck.dictionary(unicode, unicode, { maxKeys: 3 }).map((value) => JSON.stringify(value, undefined, 2)),
  FastCheck.constantFrom(
    "",
    "{}",
    "{\"a\":1,\"a\":2}",
    "{\"n\":12345678901234567890}",
    "{\"city\":\"Li",
    "null",
    "[1]"
  ),
  FastCheck.string({ unit: "binary", maxLength: 30 })
)

const hexId = FastCheck.string({ unit: FastCheck.constantFrom(..."0123456789abcdef"), minLength: 16, maxLength: 16 })

/** Completions of every kind. */
export const completions: FastCheck.Arbitrary<Completion> = FastCheck.record({
  id: hexId,
  text: FastCheck.option(FastCheck.oneof(unicode, FastCheck.lorem({ maxCount: 12 })), { nil: undefined }),
  toolCalls: FastCheck.uniqueArray(
    FastCheck.record({ id: hexId, name: FastCheck.constantFrom("get_weather", "add"), arguments: json }),
    { maxLength: 3, selector: ({ id }) => id }
  ),
  isCut: FastCheck.boolean(),
  promptTokens: FastCheck.nat(100_000),
  completionTokens: FastCheck.nat(100_000)
}).map(({ isCut, toolCalls, ...rest }) =>
  said({
    ...rest,
    toolCalls,
    finishReason: isCut ? "length" : toolCalls.length > 0 ? "tool-calls" : "stop"
  })
)

export const slicings = ["whole", "line", "byte"] as const

const encoder = new TextEncoder()

/** The bytes of a text, cut as said. */
export const sliced = (text: string, how: (typeof slicings)[number]): Stream.Stream<Uint8Array> => {
  const bytes = encoder.encode(text)
  switch (how) {
    case "whole":
      return Stream.make(bytes)
    case "line":
      return Stream.fromIterable(text.split(/(?<=\n)/).map((line) => encoder.encode(line)))
    case "byte":
      return Stream.fromIterable(Array.from(bytes.keys(), (at) => bytes.subarray(at, at + 1)))
  }
}

export const textOf = (protocol: Protocol, what: Completion): string =>
  protocol.stream(what, asked).frames.map(({ text }) => text).join("")

/** The payloads of a stream, event by event. */
export const payloads = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text.split("\n\n").filter((event) => event !== "").map((event) => {
    const [name, data] = event.split("\n")
    const value: unknown = JSON.parse(data?.slice("data: ".length) ?? "")
    if (typeof value !== "object" || value === null) throw new Error(`no object: ${event}`)
    const fields = { ...value }
    if (!("type" in fields) || `event: ${String(fields.type)}` !== name) throw new Error(`misnamed: ${event}`)
    return fields
  })

/** A reply as a client gets it. */
export const webOf = ({ body, headers, status }: Reply) => (): globalThis.Response =>
  new globalThis.Response(body, { status, headers })

/** The rate limit of a plan, told in the given form. */
export const limitedBy = (hint: Extract<Failure, { _tag: "RateLimited" }>["hint"], wait = 2_500): Failure => ({
  _tag: "RateLimited",
  model: "some-model",
  hint,
  wait,
  now
})

/** 2025-10-09T08:53:20Z */
export const now = 1_760_000_000_000

/** A limit of the server's own. */
export const limitOf = (wait: number | undefined): Failure => ({
  _tag: "Limited",
  model: "some-model",
  refusal: { scope: "tokens", limit: 30_000, used: 29_000, requested: wait === undefined ? 40_000 : 2_000, wait }
})
