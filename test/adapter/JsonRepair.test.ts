import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as JsonRepair from "../../src/adapter/JsonRepair.ts"
import * as Repair from "../../src/model/Repair.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { documents } from "../laws/argumentDocuments.ts"
import { evidence } from "../laws/damageTable.ts"

const anything = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const repairs = [...Repair.lossless, JsonRepair.jsonrepair]
const toolkit = Effect.runSync(Toolkit.make(
  Tool.make("look", { parameters: anything, access: "read-only", repairs }),
  Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), access: "read-only", repairs })
))

const decode = (args: string, name: "look" | "weather" = "look") =>
  Either.mapBoth(ToolCall.decodeOne(toolkit, { _tag: "ToolCall", id: "1", name, arguments: args }, "stop"), {
    onLeft: (error) => error._tag === "MalformedArguments" ? error.reason : error._tag,
    onRight: ({ arguments: read, repairs }) => ({ read, repairs })
  })

describe("jsonrepair", () => {
  it("is asked last, and reported", () => {
    expect(decode("{city: 'Rome'}", "weather")).toEqual(
      Either.right({ read: { city: "Rome" }, repairs: ["jsonrepair"] })
    )
    expect(decode("{\"city\":\"Rome\",}", "weather")).toMatchObject(Either.right({ repairs: ["trailingCommas"] }))
    expect(decode("{\"city\":\"Rome\"}", "weather")).toMatchObject(Either.right({ repairs: [] }))
  })

  it("is refused on a tool that may write", () => {
    const made = Effect.runSync(Effect.either(Toolkit.make(Tool.make("write", { parameters: anything, repairs }))))
    expect(Either.isLeft(made)).toBe(true)
  })

  it("gives nothing but objects, and invents no parameter", () => {
    for (
      const text of ["[{city: 'Rome'}]", "{city: 'Rome'}{city: 'Oslo'}", "cb({city: 'Rome'})", "city: Rome", "'Rome'"]
    ) {
      expect(Either.isLeft(decode(text, "weather")), text).toBe(true)
    }
    expect(decode("{city: 'Rome', mood: 'good'}", "weather")).toEqual(Either.left("InvalidArguments"))
    expect(decode("{a: 1, a: 2}")).toEqual(Either.left("HazardousArguments"))
  })

  it("is not asked about what is too long, and survives what is too deep", () => {
    const quoted = (length: number) => `{a: '${"x".repeat(length)}'}`
    expect(Either.isRight(decode(quoted(60_000)))).toBe(true)
    expect(decode(quoted(JsonRepair.defaults.maxLength))).toEqual(Either.left("Syntax"))
    expect(decode(`{a: ${"[".repeat(20_000)}${"]".repeat(20_000)}}`)).toEqual(Either.left("Syntax"))
  })

  const singleQuoted = (text: string) =>
    text.replace(
      /"((?:[^"\\]|\\.)*)"/g,
      (_, inner: string) => `'${inner.replaceAll("'", "\\'").replaceAll("\\\"", "\"")}'`
    )
  const withoutQuotes = (text: string) => text.replace(/"([a-z]+)":/g, "$1:")

  it("is never asked about a cut text: of valid, single-quoted and unquoted documents", () => {
    const counts = { prefixes: 0, accepted: 0 }
    for (const [index, { text }] of documents.entries()) {
      if (index % 10 !== 0) continue
      for (const damaged of [text, singleQuoted(text), withoutQuotes(text)]) {
        for (let end = 1; end < damaged.length; end++) {
          counts.prefixes++
          if (Either.isRight(decode(damaged.slice(0, end)))) counts.accepted++
        }
      }
    }
    console.log(`  ${counts.prefixes} proper prefixes, ${counts.accepted} accepted`)
    expect(counts.accepted).toBe(0)
  })

  it("mends more than the lossless repairs, and not always rightly", () => {
    const counts = { more: 0, same: 0, refused: 0 }
    const mended: Array<string> = []
    for (const [kind, text, expected] of evidence) {
      const found = decode(text)
      if (Either.isLeft(found)) counts.refused++
      else if (found.right.repairs.includes("jsonrepair")) {
        counts.more++
        mended.push(kind)
        expect(typeof expected).toBe("string")
      } else counts.same++
    }
    console.log("  of the damages of the evidence:", counts)
    expect(mended).toContain("single quotes")
    // The price, in one line: the text is not what was written.
    expect(decode("{\"path\":\"C:\\Users\\bob\\new\"}")).toMatchObject(
      Either.right({ read: { path: "C:Users\bob\new" }, repairs: ["jsonrepair"] })
    )
    for (const kind of mended) expect(kind).not.toMatch(/^trunc|^concat|prose|missing close }/)
  })
})
