import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as ToolCallError from "../../src/error/ToolCallError.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { growth, steepest } from "../straightLine.ts"

interface Nest {
  readonly in?: Nest | undefined
}
const Nest: Schema.Schema<Nest> = Schema.Struct({ in: Schema.optional(Schema.suspend(() => Nest)) }).annotations({
  identifier: "Nest"
})

const toolkit = Effect.runSync(Toolkit.make(
  Tool.make("any", { parameters: Schema.Record({ key: Schema.String, value: Schema.Unknown }) }),
  Tool.make("nest", { parameters: Nest }),
  Tool.make("list", { parameters: Schema.Struct({ n: Schema.Array(Schema.Number) }) }),
  Tool.make("union", {
    parameters: Schema.Struct({
      n: Schema.Array(Schema.Union(
        Schema.Number,
        Schema.Struct({ kind: Schema.Literal("a"), v: Schema.Number }),
        Schema.Struct({ kind: Schema.Literal("b"), w: Schema.Literal("x", "y") })
      ))
    })
  })
))

type Name = "any" | "nest" | "list" | "union"

const cap = ToolCall.defaults.maxLength

/** As much of a piece as fits. */
const filled = (size: number, piece: string, head = "", tail = "") =>
  head + piece.repeat(Math.floor((size - head.length - tail.length) / piece.length)) + tail

/** As much of a piece as the cap allows. */
const full = (piece: string, head = "", tail = "") => filled(cap, piece, head, tail)

const hostile: ReadonlyArray<readonly [kind: string, tool: Name, args: (size: number) => string, refusal: string]> = [
  ["10 MB in one string", "any", () => `{"a":"${"x".repeat(10_000_000)}"}`, "TooLarge"],
  ["100 000 levels", "any", () => `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "TooDeep"],
  ["100 000 levels for a recursive schema", "nest", () => "{\"in\":".repeat(100_000) + "}".repeat(100_000), "TooDeep"],
  ["100 000 levels behind a slip", "any", () => `{"b":True,"a":${"[".repeat(100_000)}`, "TooDeep"],
  [
    "1 000 000 keys",
    "any",
    () => `{${Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":0`).join(",")}}`,
    "TooLarge"
  ],
  ["one key a hundred thousand times", "any", (size) => filled(size, "\"a\":1,", "{", "\"a\":1}"), "DuplicateKey"],
  ["unsafe numbers", "any", (size) => filled(size, "9007199254740993,", "{\"a\":[", "1]}"), "UnsafeNumber"],
  ["a number of a million digits", "any", (size) => filled(size, "9", "{\"a\":", "}"), "UnsafeNumber"],
  ["commas", "any", (size) => filled(size, ",", "{\"a\":[1"), "Syntax"],
  ["comments that never end", "any", (size) => filled(size, "/* ", "{"), "Syntax"],
  ["slashes", "any", (size) => filled(size, "/"), "Syntax"],
  ["backticks", "any", (size) => filled(size, "`"), "Syntax"],
  ["a fence with an endless language", "any", (size) => filled(size, "a", "```", "```"), "Syntax"],
  ["quotation marks", "any", (size) => filled(size, "\""), "TrailingContent"],
  ["backslashes", "any", (size) => filled(size, "\\", "{\"a\":\""), "Truncated"],
  ["byte order marks", "any", (size) => filled(size, "\ufeff"), "Syntax"],
  ["blanks", "list", (size) => filled(size, " "), "Empty"],
  ["what looks like credentials", "any", (size) => filled(size, "authorization bearer api key ", "{a:"), "Syntax"],
  ["text encoded three times", "any", () => JSON.stringify(JSON.stringify("\\".repeat(200_000))), "NotAnObject"],
  ["300 000 wrong elements", "list", (size) => filled(size, "\"\",", "{\"n\":[", "1]}"), "InvalidArguments"],
  ["300 000 wrong elements of a union", "union", (size) => filled(size, "{},", "{\"n\":[", "1]}"), "InvalidArguments"],
  [
    "70 000 unknown parameters",
    "list",
    () => `{${Array.from({ length: 70_000 }, (_, i) => `"k${i}":0`).join(",")}}`,
    "InvalidArguments"
  ],
  ["8 000 wrong elements", "union", () => `{"n":[${"{\"kind\":\"c\"},".repeat(4_000)}1]}`, "InvalidArguments"]
]

const refuse = (tool: Name, args: string) =>
  Either.getOrThrow(
    Either.flip(ToolCall.decodeOne(toolkit, { _tag: "ToolCall", id: "1", name: tool, arguments: args }, "stop"))
  )

describe("arguments made to hurt", () => {
  it.each(hostile)("%s are refused, told in few words, and overflow nothing", (_, tool, args, refusal) => {
    const error = refuse(tool, args(cap))
    const reason = error._tag === "MalformedArguments"
      ? error.reason
      : error._tag === "HazardousArguments"
      ? error.hazard
      : error._tag
    expect(reason).toBe(refusal)
    expect(ToolCallError.explain(error).length).toBeLessThan(5_000)
    expect(JSON.stringify(error).length).toBeLessThan(60_000)
  })

  // Those that are longer the more room they are given.
  it.each(hostile.filter(([, , args]) => args.length > 0))("%s cost no more than in proportion", (_, tool, args) => {
    const refusing = (size: number) => {
      const text = args(size)
      return () => void refuse(tool, text)
    }
    expect(growth(refusing, cap / 8)).toBeLessThan(steepest)
  })

  it("takes what is large and right", () => {
    const nest = "{\"in\":".repeat(255) + "{}" + "}".repeat(255)
    const right: ReadonlyArray<readonly [Name, string]> = [
      ["nest", nest],
      ["any", full("x", "{\"a\":\"", "\"}")],
      ["any", full("\n", "{\"a\":\"", "\"}")],
      ["any", full("[1,],", "{\"a\":[", "1]}")],
      ["any", full("/**/", "{", "}")],
      ["any", full("True,", "{\"a\":[", "None]}")],
      ["list", `{"n":[${"1,".repeat(100_000)}1]}`]
    ]
    for (const [name, args] of right) {
      const decoded = ToolCall.decodeOne(toolkit, { _tag: "ToolCall", id: "1", name, arguments: args }, "stop")
      expect(Either.isRight(decoded)).toBe(true)
    }
  })

  it("does the same work for a wrong list however long it is", () => {
    const issues = (elements: number) => {
      const error = refuse("list", `{"n":[${Array.from({ length: elements }, () => "\"x\"").join(",")}]}`)
      return error._tag === "InvalidArguments" ? [error.issues.length, error.omitted] : []
    }
    expect(issues(50)).toEqual([50, 0])
    expect(issues(5_000)).toEqual([100, 4_900])
    // Of more values than that, the first fault stands for all.
    expect(issues(9_000)).toEqual([1, 0])
  })

  it("never echoes a long value or a credential", () => {
    const key = `sk-proj-${"a1B2c3D4".repeat(6)}`
    const told = [
      refuse("list", JSON.stringify({ n: key })),
      refuse("list", JSON.stringify({ n: "x".repeat(100_000) })),
      refuse("list", JSON.stringify({ n: [], [key]: 1, ["k".repeat(100_000)]: 2 })),
      refuse("any", `{"n": "${"y".repeat(50_000)}" ${key} }`)
    ]
    for (const error of told) {
      const text = `${ToolCallError.explain(error)}\n${error.message}\n${JSON.stringify(error)}`
      expect(text).not.toContain("a1B2c3D4")
      expect(text).not.toMatch(/x{2100}|y{2100}|k{2100}/)
      expect(ToolCallError.explain(error).length).toBeLessThan(1_000)
    }
  })
})
