import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Repair from "../../src/model/Repair.ts"
import type * as Response from "../../src/model/Response.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"

const weather = Tool.make("get_weather", {
  parameters: Schema.Struct({
    city: Schema.NonEmptyString,
    days: Schema.optional(Schema.Int),
    place: Schema.optional(Schema.Struct({ lat: Schema.Number, lon: Schema.Number }))
  })
})
const toolkit = Effect.runSync(Toolkit.make(weather))

const call = (name: string, args: string) => ({ _tag: "ToolCall", id: "call_1", name, arguments: args }) as const
const accepted = (name: string, args: string) =>
  Either.getOrThrow(ToolCall.decodeOne(toolkit, call(name, args), "tool-calls"))
const refused = (name: string, args: string, finishReason: Response.FinishReason = "tool-calls") =>
  Either.getOrThrow(Either.flip(ToolCall.decodeOne(toolkit, call(name, args), finishReason)))

describe("a call whose arguments are mended", () => {
  it("is reported, in a fixed order, and raw stays what the model wrote", () => {
    const raw = "\ufeff```json\n{\"place\": {\"lat\": 1, \"lon\": 2,}, // here\n \"city\": \"Ro\tme\"}\n```"
    expect(accepted("get_weather", raw)).toEqual({
      id: "call_1",
      name: "get_weather",
      arguments: { city: "Ro\tme", place: { lat: 1, lon: 2 } },
      raw,
      repairs: ["fence", "byteOrderMark", "controlCharacters", "trailingCommas", "comments"]
    })
  })

  it("is decided by the tool", () => {
    const picky = Effect.runSync(Toolkit.make(
      Tool.make("strict", { parameters: Schema.Struct({ a: Schema.Number }), repairs: Repair.none }),
      Tool.make("most", {
        parameters: Schema.Struct({ a: Schema.Number }),
        repairs: Repair.without(Repair.trailingCommas)
      })
    ))
    const decode = (name: string, args: string) => ToolCall.decodeOne(picky, call(name, args), "stop")
    for (const raw of ["{\"a\":1,}", "/* one */ {\"a\":1}", "\"{\\\"a\\\":1}\"", "\ufeff{\"a\":1}"]) {
      expect(Either.flip(decode("strict", raw))).toMatchObject(Either.right({ _tag: "MalformedArguments" }))
    }
    expect(Either.isLeft(decode("most", "{\"a\":1,}"))).toBe(true)
    expect(decode("most", "/* one */ {\"a\":1}")).toMatchObject(
      Either.right({ arguments: { a: 1 }, repairs: ["comments"] })
    )
  })

  it.each([
    ["{\"city\":\"Rome\",,} // done", "Syntax", 15],
    ["{\"city\":None, \"days\":007}", "Syntax", 22],
    ["{\"days\": 1, /* a */ \"place\": {\"lat\": 1,}, town: 2}", "Syntax", 42],
    ["```json\n{\"city\":\"Ro\n```", "Truncated", 20],
    ["{\"days\": 1, // as the us", "Truncated", 24],
    ["{\"city\": \"a\nb", "Truncated", 13],
    ["```\n[1]\n```", "NotAnObject", 4],
    ["/* nothing */", "Syntax", 0]
  ])(
    "%j: what cannot be mended is refused at its own place (%s at %d)",
    (args, reason, offset) =>
      expect(refused("get_weather", args)).toMatchObject({ _tag: "MalformedArguments", reason, offset })
  )

  it("looks for hazards in what was mended", () => {
    expect(refused("get_weather", "{\"city\":\"a\",\"city\":\"b\",}")).toMatchObject({ hazard: "DuplicateKey" })
    expect(refused("get_weather", JSON.stringify("{\"city\":\"a\",\"__proto__\":1}"))).toMatchObject({
      hazard: "ProtoKey"
    })
    expect(refused("get_weather", JSON.stringify("{\"city\":\"\\ud800\"}"))).toMatchObject({ hazard: "LoneSurrogate" })
    expect(refused("get_weather", "```\n{\"constructor\":{\"prototype\":{}}}\n```")).toMatchObject({
      hazard: "ProtoKey"
    })
  })

  it("can be sent back as JSON, and a call that stays refused is sent back as it was", () => {
    const sent = (args: string, name = "get_weather") => ToolCall.mended(toolkit, call(name, args)).arguments
    expect(sent("```json\n{\"city\": \"Rome\", /* here */}\n```")).toBe("{\"city\":\"Rome\"}")
    for (const args of ["{ \"city\": \"Rome\" }", "{\"city\":", "", "{\"a\":1,\"a\":2,}", "{'city':'Rome'}"]) {
      expect(sent(args)).toBe(args)
    }
  })

  it("does not help a reply that was cut off", () =>
    expect(refused("get_weather", "{\"city\":\"Rome\",}", "length")._tag).toBe("TruncatedArguments"))

  it("does not hide that the tool is unknown", () =>
    expect(refused("no_such_tool", "{\"city\":\"Rome\",}")._tag).toBe("UnknownTool"))
})

describe("Repair", () => {
  it("has a name and a kind for each, in the order in which they are reported", () => {
    expect(Repair.lossless.map(({ kind, name }) => [name, kind])).toEqual([
      ["fence", "lossless"],
      ["byteOrderMark", "lossless"],
      ["controlCharacters", "lossless"],
      ["trailingCommas", "lossless"],
      ["comments", "lossless"],
      ["pythonLiterals", "lossless"],
      ["doubleEncoded", "lossless"],
      ["nullArguments", "lossless"],
      ["structuresAsText", "lossless"],
      ["nullsAsAbsent", "lossless"]
    ])
    expect(Repair.lossless.every(Repair.isRepair)).toBe(true)
    expect(Repair.isRepair({ name: "fence" })).toBe(false)
    expect(Repair.none).toEqual([])
    expect(Repair.without(Repair.fence, Repair.comments).map(({ name }) => name)).toEqual([
      "byteOrderMark",
      "controlCharacters",
      "trailingCommas",
      "pythonLiterals",
      "doubleEncoded",
      "nullArguments",
      "structuresAsText",
      "nullsAsAbsent"
    ])
  })

  it.each([
    [Repair.fence, "```json\n{}\n```", "\n{}\n"],
    [Repair.fence, "see ```{}```", undefined],
    [Repair.byteOrderMark, "\ufeff{}", "{}"],
    [Repair.controlCharacters, "[\"\t\u0000\",\n\"\"]", "[\"\\t\\u0000\",\n\"\"]"],
    [Repair.trailingCommas, "[1, ]", "[1 ]"],
    [Repair.comments, "[1,//x\n2/* y */]", "[1, \n2 ]"],
    [Repair.pythonLiterals, "[True,\"True\",Truely]", "[true,\"True\",Truely]"],
    [Repair.doubleEncoded, "\"{}\"", "{}"],
    [Repair.doubleEncoded, "{}", undefined],
    [Repair.comments, "{\"a\":1,}", undefined]
  ])("$name by itself turns %j into %j", (repair, text, mended) => expect(repair.repair(text)).toBe(mended))
})

describe("a repair of one's own", () => {
  const think = Either.getOrThrow(Repair.make("thinkTag", {
    kind: "lossless",
    repair: (text) => /^<think>[^<]*<\/think>(.*)$/s.exec(text)?.[1]
  }))
  const guess = Either.getOrThrow(
    Repair.make("guess", { kind: "lossy", maxLength: 100, repair: (text) => text.replaceAll("'", "\"") + "}" })
  )
  const throws = Either.getOrThrow(Repair.make("throws", {
    kind: "lossless",
    repair: () => {
      throw new RangeError("Maximum call stack size exceeded")
    }
  }))
  const parameters = Schema.Struct({ a: Schema.Unknown })
  const kit = Effect.runSync(Toolkit.make(
    Tool.make("read", { parameters, access: "read-only", repairs: [throws, ...Repair.lossless, think, guess] }),
    Tool.make("plain", { parameters, repairs: [think] })
  ))
  const decode = (name: string, args: string) =>
    Either.mapBoth(ToolCall.decodeOne(kit, call(name, args), "stop"), {
      onLeft: (error) => error._tag === "MalformedArguments" ? error.reason : error._tag,
      onRight: ({ arguments: read, repairs }) => [read, repairs]
    })

  it("is tried when the others do not suffice, and they help it", () => {
    expect(decode("read", "<think>{\"a\":0}</think>{\"a\":1,}")).toEqual(
      Either.right([{ a: 1 }, ["trailingCommas", "thinkTag"]])
    )
    expect(decode("plain", "<think>hm</think>{\"a\":1}")).toEqual(Either.right([{ a: 1 }, ["thinkTag"]]))
    expect(decode("plain", "<think>hm</think>{\"a\":1,}")).toEqual(Either.left("Syntax"))
    expect(decode("read", "{\"a\":1,}")).toEqual(Either.right([{ a: 1 }, ["trailingCommas"]]))
  })

  it("cannot take a cut text for a whole one", () => {
    expect(decode("read", "<think>hm</think>{\"a\":1")).toEqual(Either.left("Syntax"))
    for (const cut of ["{\"a\":1", "{'a':1", "{'a':'x}", "{'a':[1,{'b':2}]", "{'a':\"x\", 'b': '}"]) {
      expect(Either.isLeft(decode("read", cut)), cut).toBe(true)
    }
  })

  it("is not tried on a text that is longer than it says", () => {
    const lossy = (length: number) => `{'a':'${"x".repeat(length)}'} `
    const closes = Either.getOrThrow(
      Repair.make("quotes", { kind: "lossy", maxLength: 100, repair: (text) => text.replaceAll("'", "\"") })
    )
    const quotes = Effect.runSync(Toolkit.make(
      Tool.make("quotes", { parameters, access: "read-only", repairs: [closes] })
    ))
    const run = (text: string) => ToolCall.decodeOne(quotes, call("quotes", text), "stop")
    expect(run(lossy(80))).toMatchObject(Either.right({ repairs: ["quotes"] }))
    expect(Either.isLeft(run(lossy(100)))).toBe(true)
  })

  it("names every option that cannot be", () => {
    const options = { kind: "lossless", repair: () => undefined } as const
    const problem = (made: ReturnType<typeof Repair.make>) =>
      Either.match(made, {
        onLeft: ({ issues, module }) => [module, issues.map(({ path }) => path)],
        onRight: () => []
      })
    expect(problem(Repair.make("comments", options))).toEqual(["Repair", ["name"]])
    expect(problem(Repair.make("", { ...options, maxLength: 0 }))).toEqual(["Repair", ["name", "maxLength"]])
    expect(problem(Repair.make("ok", { ...options, maxLength: Number.NaN }))).toEqual(["Repair", ["maxLength"]])
  })
})
