import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { draw } from "../../src/internal/seeded.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { runs, turn } from "../runs.ts"
import { decode, documents, toolkit as tools } from "./argumentDocuments.ts"
import { damages, names } from "./damages.ts"

const known: ReadonlyArray<string> = [
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
    expect(new Set(known).size).toBe(20)
    for (const document of known) {
      expect(Either.map(decode(document), (call) => call.arguments)).toEqual(Either.right(JSON.parse(document)))
    }
  })

  it("refuses every proper prefix of them, as truncated", () => {
    let prefixes = 0
    for (const document of known) {
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
    for (const document of known) {
      for (let end = 0; end <= document.length; end++) {
        expect(Either.flip(decode(document.slice(0, end), "length"))).toMatchObject(
          Either.right({ _tag: "TruncatedArguments", finishReason: "length" })
        )
      }
    }
  })

  const some = documents.filter((_, index) => index % runs(6, 1) === 0)

  it(`refuses every proper prefix of ${some.length} documents of arguments, whatever the reply says about its end`, async () => {
    let prefixes = 0
    let accepted = 0
    for (const { text, tool } of some) {
      await turn()
      const call = (args: string, finishReason: "stop" | "length") =>
        ToolCall.decodeOne(tools, { _tag: "ToolCall", id: "1", name: tool, arguments: args }, finishReason)
      expect(Either.isRight(call(text, "stop"))).toBe(true)
      // Nothing at all is for the tool to refuse; the rest is offered to a tool that takes any object.
      expect(Either.isLeft(call("", "stop"))).toBe(true)
      for (let end = 1; end < text.length; end++) {
        const decoded = decode(text.slice(0, end))
        if (Either.isRight(decoded)) accepted++
        else if (decoded.left._tag !== "MalformedArguments" || decoded.left.reason !== "Truncated") {
          expect.fail(`${JSON.stringify(text.slice(0, end))}: ${decoded.left.message}`)
        }
        if (Either.isRight(decode(text.slice(0, end), "length"))) accepted++
        prefixes++
      }
    }
    console.log(`  ${some.length} documents, ${prefixes} proper prefixes, ${accepted} accepted`)
    expect([some.length, accepted]).toEqual([runs(50, 300), 0])
    expect(prefixes).toBeGreaterThan(runs(3_000, 20_000))
  })

  it("refuses every proper prefix of damaged documents, too, until nothing but decoration is missing", async () => {
    const counts = { prefixes: 0, accepted: 0, whole: 0 }
    // A part of the documents, each damaged in every way by itself and in three ways at once.
    for (const [index, { text, value }] of documents.entries()) {
      if (index % runs(30, 6) !== 0) continue
      await turn()
      const all = (["trailingCommas", "controlCharacters", "comments", "fence"] as const).reduce(
        (before, name) => damages[name](before, draw("cut", name, index)) ?? before,
        text
      )
      for (const damaged of [...names.map((name) => damages[name](text, draw("cut", name, index))), all]) {
        for (let end = 1; end < (damaged?.length ?? 0); end++) {
          const cut = damaged?.slice(0, end) ?? ""
          const decoded = decode(cut)
          counts.prefixes++
          if (Either.isLeft(decoded) || cut.trim() === "") continue
          // Whole again, because only blanks or a part of a comment behind the last brace is missing.
          if (JSON.stringify(decoded.right.arguments) === JSON.stringify(value)) counts.whole++
          else counts.accepted++
        }
      }
    }
    console.log(
      `  ${counts.prefixes} proper prefixes of damaged documents, ${counts.accepted} accepted with another value, ` +
        `${counts.whole} where only blanks or part of a comment was missing`
    )
    expect(counts.accepted).toBe(0)
    expect(counts.prefixes).toBeGreaterThan(runs(6_000, 35_000))
  })

  it("refuses every proper prefix of any object", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue({ depthSize: "small" }), { maxKeys: 4 }),
        FastCheck.constantFrom(undefined, 2),
        async (value, indent) => {
          await turn()
          const document = JSON.stringify(value, null, indent)
          const accepted: Array<string> = []
          for (let end = 1; end < document.length; end++) {
            const prefix = document.slice(0, end)
            if (Either.isRight(decode(prefix))) accepted.push(prefix)
          }
          expect(accepted).toEqual([])
        }
      ),
      { numRuns: runs(50, 300) }
    ))
})
