import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"

/** A tool that takes any object, so that nothing but the gates on the text can refuse a call. */
const anything = Tool.make("anything", { parameters: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
const toolkit = Effect.runSync(Toolkit.make(anything))

const decode = (args: string, finishReason: "stop" | "length" = "stop") =>
  ToolCall.decodeOne(toolkit, { _tag: "ToolCall", id: "1", name: "anything", arguments: args }, finishReason)

const documents: ReadonlyArray<string> = [
  "{}",
  "{ }",
  "{\"a\":1}",
  "{\"amount\":12345}",
  "{\"amount\":-12.5e-3,\"rate\":0.1,\"zero\":-0}",
  "{\"to\":\"bob@example.com\",\"amount\":12345,\"note\":\"thanks, \\\"Bob\\\"\"}",
  "{\"path\":\"/home/bob/projects\",\"recursive\":true,\"force\":false}",
  "{\"pattern\":\"^\\\\d+\\\\.\\\\w{2,}$\",\"windows\":\"C:\\\\Users\\\\bob\\\\new\"}",
  "{\"text\":\"line one\\nline two\\ttabbed\\r\\n\",\"nul\":\"\\u0000\"}",
  "{\"greeting\":\"Grüße, 世界 😀\",\"flag\":\"🇨🇦\",\"family\":\"👩‍👩‍👧\"}",
  "{\"escaped\":\"\\ud83d\\ude00 \\u00e9\",\"键\":\"値\"}",
  "{\"ids\":[1,2,3,42,1000000],\"none\":[],\"nothing\":{}}",
  "{\"rows\":[[1,[2,[3,[4]]]],[[],[[]]]]}",
  "{\"filter\":{\"and\":[{\"eq\":[\"a\",1]},{\"not\":{\"in\":[\"b\",[true,null]]}}]}}",
  "{\"a\":null,\"b\":true,\"c\":false}",
  "{\"code\":\"const x = \\\"a\\\", y = { z: [1, 2] };\\n\"}",
  "{\"json\":\"{\\\"inner\\\":{\\\"deep\\\":[1,2,3]}}\"}",
  "{\"html\":\"<a href=\\\"https://x.io/?a=1&b=2\\\">y</a>\"}",
  " {\n  \"pretty\": [\n    1.5,\n    \"two\"\n  ],\n  \"printed\": { \"yes\": true }\n}",
  "{\"big\":9007199254740991,\"small\":1e-7,\"large\":6.02214076e23}"
]

describe("a cut call is never a call", () => {
  it("knows twenty documents, all of them good when whole", () => {
    expect(new Set(documents).size).toBe(20)
    for (const document of documents) {
      expect(Either.map(decode(document), (call) => call.arguments)).toEqual(Either.right(JSON.parse(document)))
    }
  })

  it("refuses every proper prefix of them, as truncated", () => {
    let prefixes = 0
    for (const document of documents) {
      const start = document.indexOf("{")
      for (let end = start + 1; end < document.length; end++) {
        prefixes++
        expect(Either.flip(decode(document.slice(0, end)))).toMatchObject(
          Either.right({ _tag: "MalformedArguments", reason: "Truncated" })
        )
      }
    }
    expect(prefixes).toBeGreaterThan(800)
  })

  it("takes a prefix of nothing but blanks for no arguments, which is for the tool's schema to judge", () => {
    const needy = Effect.runSync(Toolkit.make(Tool.make("needy", { parameters: Schema.Struct({ a: Schema.Number }) })))
    for (const blank of ["", " ", "\n"]) {
      expect(ToolCall.decodeOne(needy, { _tag: "ToolCall", id: "1", name: "needy", arguments: blank }, "stop"))
        .toMatchObject(
          Either.left({ _tag: "MalformedArguments", reason: "Empty" })
        )
    }
  })

  it("refuses the whole documents, and every prefix, when the reply was cut by the token limit", () => {
    for (const document of documents) {
      for (let end = 0; end <= document.length; end++) {
        expect(Either.flip(decode(document.slice(0, end), "length"))).toMatchObject(
          Either.right({ _tag: "TruncatedArguments", finishReason: "length" })
        )
      }
    }
  })

  it("refuses every proper prefix of any object", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue({ depthSize: "small" }), { maxKeys: 4 }),
        FastCheck.constantFrom(undefined, 2),
        (value, indent) => {
          const document = JSON.stringify(value, null, indent)
          for (let end = 1; end < document.length; end++) {
            expect(Either.isLeft(decode(document.slice(0, end)))).toBe(true)
          }
        }
      ),
      { numRuns: 300 }
    ))
})
