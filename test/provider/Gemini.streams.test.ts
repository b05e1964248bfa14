import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as geminiArguments from "../../src/provider/gemini/arguments.ts"
import { content, events, reply, streamed } from "./fakeGemini.ts"

const encoded = (text: string) => Stream.make(new TextEncoder().encode(text))

const partsOf = (...payloads: ReadonlyArray<unknown>) =>
  Effect.map(Stream.runCollect(Gemini.decodeStream()(encoded(events(...payloads)))), Chunk.toReadonlyArray)

/** The parts that came before the error, and the error. */
const failure = (...payloads: ReadonlyArray<unknown>) =>
  Effect.gen(function*() {
    const parts: Array<StreamPart.StreamPart> = []
    const error = yield* Effect.flip(
      Stream.runForEach(Gemini.decodeStream()(encoded(events(...payloads))), (part) =>
        Effect.sync(() => void parts.push(part)))
    )
    return { parts, error }
  })

const says = (...parts: ReadonlyArray<unknown>) => reply({ content: content(...parts) })
const stop = reply({ content: content({ text: "" }), finishReason: "STOP" })
const part = (functionCall: object) => says({ functionCall })
const piece = (jsonPath: string, value: object, willContinue?: boolean) => ({ jsonPath, ...value, willContinue })

const usage = { inputTokens: 9, outputTokens: 7, totalTokens: 16, reasoningTokens: 5 }

describe("Gemini's streams", () => {
  it.effect("are thoughts, text and an end", () =>
    Effect.gen(function*() {
      const parts = yield* partsOf(says({ text: "Hm", thought: true }), says({ text: "Hel" }, { text: "lo" }), stop)
      expect(parts).toMatchObject([
        { _tag: "Start", id: "resp-1", model: "gemini-2.5-flash-001" },
        { _tag: "ReasoningDelta", text: "Hm" },
        { _tag: "TextDelta", text: "Hel" },
        { _tag: "TextDelta", text: "lo" },
        { _tag: "Finish", reason: "stop", rawReason: "STOP", usage }
      ])
    }))

  it.effect("hold whole calls, several in one chunk and with arguments to the letter", () =>
    Effect.gen(function*() {
      const args = "{\"n\": 12345678901234567890}"
      const parts = yield* partsOf(
        `data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":${args}}},` +
          `{"functionCall":{"id":"x","name":"g"}}]}}],"responseId":"r"}\n\n`,
        stop
      )
      expect(parts).toMatchObject([
        { _tag: "Start" },
        { _tag: "ToolCallStart", index: 0, id: "call_r_0", name: "f" },
        { _tag: "ToolArgumentsDelta", index: 0, delta: args },
        { _tag: "ToolCall", index: 0, id: "call_r_0", name: "f", arguments: args },
        { _tag: "ToolCallStart", index: 1, id: "x", name: "g" },
        { _tag: "ToolArgumentsDelta", index: 1, delta: "{}" },
        { _tag: "ToolCall", index: 1, id: "x", name: "g", arguments: "{}" },
        { _tag: "Finish", reason: "tool-calls", rawReason: "STOP" }
      ])
    }))

  it.effect("put the pieces of arguments together, as they grow and at the end", () =>
    Effect.gen(function*() {
      const parts = yield* partsOf(
        part({ name: "order", id: "o1", willContinue: true }),
        part({
          partialArgs: [piece("$.items[0].name", { stringValue: "App" }, true)],
          willContinue: true
        }),
        part({ partialArgs: [piece("$.items[0].name", { stringValue: "le \"1\"\n" })], willContinue: true }),
        `data: {"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[` +
          `{"jsonPath":"$.items[0].price","numberValue":0.50},{"jsonPath":"$.items[1].name","stringValue":""},` +
          `{"jsonPath":"$.items[1].gift","boolValue":true},{"jsonPath":"$['odd key'].x","nullValue":"NULL_VALUE"}` +
          `],"willContinue":true}}]}}]}\n\n`,
        part({}),
        stop
      )
      const args = "{\"items\":[{\"name\":\"Apple \\\"1\\\"\\n\",\"price\":0.50},{\"name\":\"\",\"gift\":true}]," +
        "\"odd key\":{\"x\":null}}"
      expect(parts).toMatchObject([
        { _tag: "Start" },
        { _tag: "ToolCallStart", index: 0, id: "o1", name: "order" },
        { delta: "{\"items\":[{\"name\":\"App" },
        { delta: "le \\\"1\\\"\\n\"" },
        { delta: ",\"price\":0.50" },
        { delta: "},{\"name\":\"\"" },
        { delta: ",\"gift\":true" },
        { delta: "}],\"odd key\":{\"x\":null" },
        { delta: "}}" },
        { _tag: "ToolCall", index: 0, id: "o1", name: "order", arguments: args },
        { _tag: "Finish", reason: "tool-calls" }
      ])
    }))

  it.effect("end an open call with the next one, and with the reply", () =>
    Effect.gen(function*() {
      const parts = yield* partsOf(
        part({ name: "f", willContinue: true }),
        part({ partialArgs: [piece("$.a", { stringValue: "x" }, true)], willContinue: true }),
        part({ name: "g", willContinue: true }),
        part({ willContinue: true }),
        stop
      )
      expect(parts.filter((each) => each._tag === "ToolCall")).toMatchObject([
        { name: "f", arguments: "{\"a\":\"x\"}" },
        { name: "g", arguments: "{}" }
      ])
    }))

  it.effect("say in the finish reason that a call was cut by the limit", () =>
    Effect.gen(function*() {
      const parts = yield* partsOf(
        part({ name: "f", willContinue: true }),
        part({ partialArgs: [piece("$.a", { stringValue: "x" }, true)], willContinue: true }),
        reply({ finishReason: "MAX_TOKENS" })
      )
      expect(parts.at(-1)).toMatchObject({ _tag: "Finish", reason: "length", rawReason: "MAX_TOKENS" })
    }))

  it.effect("count by running totals, told whole at the end at the latest", () =>
    Effect.gen(function*() {
      const totals = (usageMetadata: object) => ({ usageMetadata })
      const parts = yield* partsOf(
        reply({ content: content({ text: "a" }) }, totals({ promptTokenCount: 3, thoughtsTokenCount: 4 })),
        reply({ content: content({ text: "b" }) }, totals({ trafficType: "ON_DEMAND", candidatesTokenCount: 1 })),
        reply({ finishReason: "STOP" }, totals({ candidatesTokenCount: 2, totalTokenCount: 9 }))
      )
      expect(parts.at(-1)).toMatchObject({
        usage: { inputTokens: 3, outputTokens: 6, totalTokens: 9, reasoningTokens: 4 }
      })
    }))

  it.effect("are over when the bytes are: a finish reason on every chunk loses nothing", () =>
    Effect.gen(function*() {
      const each = (text: string) => reply({ content: content({ text }), finishReason: "STOP" })
      const { result } = yield* streamed(events(each("a"), each("b"), each("c")))
      expect(Either.map(result, (response) => response.text)).toEqual(Either.right("abc"))
    }))

  it.effect("are read from the list that comes without alt=sse too, whatever its lines, calls to the letter", () =>
    Effect.gen(function*() {
      const last = reply({ content: content({ text: "lo" }), finishReason: "STOP" })
      const list = [says({ text: "Hel" }), last]
      for (const text of [JSON.stringify(list), JSON.stringify(list, null, 2).replace(/^ {2}\},$/gm, "  }\n,")]) {
        const bytes = new TextEncoder().encode(text)
        const slices = Stream.fromIterable(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)))
        const response = yield* StreamPart.collect(Gemini.decodeStream()(slices))
        expect(response).toMatchObject({ text: "Hello", finishReason: "stop", usage })
        const cut = yield* Effect.flip(StreamPart.collect(Gemini.decodeStream()(encoded(text.slice(0, -1)))))
        expect(cut._tag).toBe("Truncated")
      }
      const call = `[${JSON.stringify(says({ text: "a" }))},\n{"candidates":[{"finishReason":"STOP",` +
        `"content":{"parts":[{"functionCall":{"name":"f","args":{"n": 1.0}}}]}}]}]`
      const called = yield* StreamPart.collect(Gemini.decodeStream()(encoded(call)))
      expect(called.toolCalls).toMatchObject([{ name: "f", arguments: "{\"n\": 1.0}" }])
      const wrong = yield* Effect.flip(StreamPart.collect(Gemini.decodeStream()(encoded("[1]"))))
      expect(wrong._tag).toBe("MalformedResponse")
    }))

  describe("fail", () => {
    it.effect("as Truncated without a finish reason, with the text so far", () =>
      Effect.gen(function*() {
        expect((yield* failure(says({ text: "Hel" }), says({ text: "lo" }))).error)
          .toMatchObject({ _tag: "Truncated", received: "Hello" })
        expect((yield* failure()).error).toMatchObject({ _tag: "Truncated", received: "" })
      }))

    it.effect("with the error that stands without data: behind good chunks", () =>
      Effect.gen(function*() {
        const raw = JSON.stringify(
          { error: { code: 503, message: "The model is overloaded. Please try again later.", status: "UNAVAILABLE" } },
          undefined,
          2
        )
        const { error, parts } = yield* failure(says({ text: "Hel" }), raw, "\n")
        expect(parts).toMatchObject([{ _tag: "Start" }, { _tag: "TextDelta", text: "Hel" }])
        expect(error).toMatchObject({ _tag: "Overloaded", provider: "google", billed: "maybe" })
      }))

    it.effect("with blocked prompts and replies, and badly written calls", () =>
      Effect.gen(function*() {
        expect((yield* failure(reply(undefined, { promptFeedback: { blockReason: "OTHER" } }))).error)
          .toMatchObject({ _tag: "ContentFiltered", stage: "prompt" })
        expect((yield* failure(reply({ finishReason: "SAFETY" }))).error)
          .toMatchObject({ _tag: "ContentFiltered", stage: "completion" })
        expect((yield* failure(reply({ finishReason: "MALFORMED_FUNCTION_CALL" }))).error._tag).toBe("InvalidToolCall")
        // What was said before the filter counts.
        expect((yield* partsOf(says({ text: "Once" }), reply({ finishReason: "SAFETY" }))).at(-1))
          .toMatchObject({ _tag: "Finish", reason: "content-filter" })
      }))

    it.effect("as MalformedResponse on a chunk that breaks the protocol", () =>
      Effect.gen(function*() {
        const begun = part({ name: "f", willContinue: true })
        const partial = (...partialArgs: ReadonlyArray<object>) => part({ partialArgs, willContinue: true })
        const broken: ReadonlyArray<readonly [ReadonlyArray<unknown>, RegExp]> = [
          [["data: {oops}\n\n"], /not JSON/],
          [["data: 7\n\n"], /not an object/],
          [[{ hello: 1 }], /no candidates/],
          [[reply({ content: { parts: 7 } })], /parts is not a list/],
          [[part({ name: 7 })], /name is not a text/],
          [[partial(piece("$.a", { stringValue: "x" }))], /has not begun/],
          [[begun, part({ partialArgs: 7 })], /partialArgs is not a list/],
          [[begun, partial({ stringValue: "x" })], /jsonPath leads nowhere/],
          [[begun, partial(piece("a.b", { stringValue: "x" }))], /jsonPath leads nowhere/],
          [[begun, partial(piece("$", { stringValue: "x" }))], /jsonPath leads nowhere/],
          [[begun, partial(piece("$[0]", { stringValue: "x" }))], /jsonPath leads nowhere/],
          [[begun, partial(piece("$.a[999999999]", { stringValue: "x" }))], /jsonPath leads nowhere/],
          [
            [begun, partial(piece("$.a", { stringValue: "x" }), piece("$.a.b", { stringValue: "x" })), part({})],
            /contradict each other at a\.b/
          ],
          [
            [part({ name: "f", args: { a: 1 }, willContinue: true }), partial(piece("$.b", { stringValue: "x" }))],
            /were whole/
          ]
        ]
        for (const [payloads, reason] of broken) {
          const { error } = yield* failure(...payloads, stop)
          expect(error._tag, String(reason)).toBe("MalformedResponse")
          expect(error.message).toMatch(reason)
        }
      }))
  })
})

describe("Arguments in pieces", () => {
  const name = FastCheck.oneof(
    FastCheck.stringMatching(/^[a-z]{1,4}$/),
    FastCheck.constantFrom("__proto__", "odd key", "it's", "a\\b")
  )
  const value = FastCheck.letrec((tie) => ({
    object: FastCheck.dictionary(name, tie("any"), { minKeys: 1, maxKeys: 4 }),
    array: FastCheck.array(tie("any"), { minLength: 1, maxLength: 4 }),
    any: FastCheck.oneof(
      { depthSize: "small", withCrossShrink: true },
      FastCheck.string({ unit: "binary" }),
      FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
      FastCheck.boolean(),
      FastCheck.constant(null),
      tie("object"),
      tie("array")
    )
  })).object

  const pathText = (path: ReadonlyArray<string | number>): string =>
    "$" + path.map((step) =>
      typeof step === "number"
        ? `[${step}]`
        : /^[a-z]+$/.test(step)
        ? `.${step}`
        : `['${step.replace(/[\\']/g, "\\$&")}']`
    ).join("")

  /** As a server would send it: leaf by leaf, texts in slices. */
  const pieces = function*(
    node: unknown,
    path: ReadonlyArray<string | number>,
    size: number
  ): Generator<geminiArguments.Piece> {
    if (typeof node === "object" && node !== null) {
      for (const [key, child] of Object.entries(node)) {
        yield* pieces(child, [...path, Array.isArray(node) ? Number(key) : key], size)
      }
      return
    }
    const parsed = geminiArguments.parsePath(pathText(path))
    if (parsed === undefined) throw new Error(pathText(path))
    expect(parsed).toEqual(path)
    if (typeof node !== "string") return yield { path: parsed, value: { json: JSON.stringify(node) }, continues: false }
    for (let at = 0; at < node.length; at += size) {
      yield { path: parsed, value: { text: node.slice(at, at + size) }, continues: true }
    }
    yield { path: parsed, value: { text: "" }, continues: false }
  }

  it("end up as the value they came from, and so does the text that was shown", () =>
    FastCheck.assert(
      FastCheck.property(value, FastCheck.integer({ min: 1, max: 5 }), (expected, size) => {
        let state = geminiArguments.none
        let shown = ""
        for (const piece of pieces(expected, [], size)) {
          const [delta, next] = geminiArguments.add(state, piece)
          shown += delta
          state = next
        }
        const whole = Either.getOrThrow(geminiArguments.whole(state))
        expect(JSON.parse(whole)).toEqual(JSON.parse(JSON.stringify(expected)))
        expect(JSON.parse(shown + geminiArguments.rest(state))).toEqual(JSON.parse(whole))
      }),
      { numRuns: 300 }
    ))

  it("never throw, whatever the paths", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.string(),
        FastCheck.array(FastCheck.constantFrom("$.a", "$.a.b", "$.a[2]", "$['a']")),
        (
          odd,
          paths
        ) => {
          geminiArguments.parsePath(odd)
          geminiArguments.parsePath(`$${odd}`)
          let state = geminiArguments.none
          for (const text of paths) {
            const path = geminiArguments.parsePath(text)
            if (path === undefined) throw new Error(text)
            state = geminiArguments.add(state, { path, value: { text: odd }, continues: text.length % 2 === 0 })[1]
          }
          geminiArguments.rest(state)
          const whole = geminiArguments.whole(state)
          if (Either.isRight(whole)) JSON.parse(whole.right)
        }
      ),
      { numRuns: 300 }
    ))
})
