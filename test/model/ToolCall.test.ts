import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as ToolCallError from "../../src/error/ToolCallError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Response from "../../src/model/Response.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Usage from "../../src/model/Usage.ts"
import { runs } from "../runs.ts"

const weather = Tool.make("get_weather", {
  parameters: Schema.Struct({
    city: Schema.NonEmptyString,
    days: Schema.optional(Schema.Int.pipe(Schema.between(1, 5))),
    unit: Schema.optional(Schema.Literal("c", "f")),
    place: Schema.optional(Schema.Struct({ lat: Schema.Number, lon: Schema.Number })),
    when: Schema.optional(Schema.Date)
  })
})
const now = Tool.make("now", { parameters: Schema.Struct({}) })
const search = Tool.make("search", { parameters: Schema.Struct({ limit: Schema.optional(Schema.Number) }) })
const toolkit = Effect.runSync(Toolkit.make(weather, now, search))

const call = (name: string, args: string, id = "call_1") => ({ _tag: "ToolCall", id, name, arguments: args }) as const
const accepted = (name: string, args: string) =>
  Either.getOrThrow(ToolCall.decodeOne(toolkit, call(name, args), "tool-calls"))
const refused = (name: string, args: string, finishReason: Response.FinishReason = "tool-calls") =>
  Either.getOrThrow(Either.flip(ToolCall.decodeOne(toolkit, call(name, args), finishReason)))
const issues = (args: string, name = "get_weather") => {
  const error = refused(name, args)
  return error._tag === "InvalidArguments" ? error.issues : []
}

describe("a good call", () => {
  it("comes back with its id, its name, typed arguments and the raw text", () => {
    const raw = "{\"city\":\"Rome\",\"when\":\"2024-01-02\"}"
    expect(accepted("get_weather", raw)).toEqual({
      id: "call_1",
      name: "get_weather",
      arguments: { city: "Rome", when: new Date("2024-01-02") },
      raw,
      repairs: []
    })
  })

  it.each(["stop", "tool-calls"] as const)(
    "passes under the finish reason %s",
    (finishReason) => expect(Either.isRight(ToolCall.decodeOne(toolkit, call("now", "{}"), finishReason))).toBe(true)
  )

  it("may have blank arguments where {} is enough", () => {
    for (const blank of ["", " ", "\n\t "]) {
      expect(accepted("now", blank)).toMatchObject({ arguments: {}, raw: blank })
      expect(accepted("search", blank)).toMatchObject({ arguments: {} })
    }
  })
})

describe("gate 1: the reply ended by itself", () => {
  it.each(["length", "content-filter", "truncated", "unknown"] as const)(
    "refuses whole, valid JSON under %s",
    (finishReason) => {
      for (const name of ["get_weather", "no_such_tool"]) {
        expect(refused(name, "{\"city\":\"Rome\"}", finishReason)).toMatchObject({
          _tag: "TruncatedArguments",
          tool: name,
          finishReason
        })
      }
      expect(refused("get_weather", "{\"city\":", finishReason)._tag).toBe("TruncatedArguments")
    }
  )
})

describe("gate 2: caps", () => {
  it("refuses what is too large, with the size as an option", () => {
    const large = JSON.stringify({ city: "x".repeat(ToolCall.defaults.maxLength) })
    expect(refused("get_weather", large)).toMatchObject({ _tag: "MalformedArguments", reason: "TooLarge" })
    expect(Either.isRight(ToolCall.decodeOne(toolkit, call("get_weather", large), "stop", { maxLength: 2 ** 21 })))
      .toBe(true)
    expect(Either.flip(ToolCall.decodeOne(toolkit, call("now", "{  }"), "stop", { maxLength: 3 }))).toMatchObject(
      Either.right({ reason: "TooLarge" })
    )
  })

  it("refuses what is nested deeper than 256 levels, before a recursive schema could overflow the stack", () => {
    interface Nest {
      readonly in?: Nest | undefined
    }
    const Nest: Schema.Schema<Nest> = Schema.Struct({ in: Schema.optional(Schema.suspend(() => Nest)) }).annotations({
      identifier: "Nest"
    })
    const nests = Effect.runSync(Toolkit.make(Tool.make("nest", { parameters: Nest })))
    const nest = (depth: number) => "{\"in\":".repeat(depth - 1) + "{}" + "}".repeat(depth - 1)
    const decode = (depth: number) => ToolCall.decodeOne(nests, call("nest", nest(depth)), "stop")
    expect(Either.isRight(decode(256))).toBe(true)
    for (const depth of [257, 2_000, 100_000]) {
      expect(Either.flip(decode(depth))).toMatchObject(Either.right({ _tag: "MalformedArguments", reason: "TooDeep" }))
    }
  })
})

describe("gate 3: strict JSON", () => {
  it.each([
    ["{\"city\":\"Rome\",,}", "Syntax", 15],
    ["{'city':'Rome'}", "Syntax", 1],
    ["```json\n{\"city\":\"Rome\"}\n", "Syntax", 0],
    ["Sure! {\"city\":\"Rome\"}", "Syntax", 0],
    ["{\"city\":\"Ro\\\nme\"}", "Syntax", 12],
    ["{\"city\":NaN}", "Syntax", 8],
    ["{\"city\":\"Rome\"}{\"city\":\"Oslo\"}", "TrailingContent", 15],
    ["{\"city\":\"Rome\"} Let me know", "TrailingContent", 16],
    ["{\"city\":\"Ro", "Truncated", 11],
    ["[{\"city\":\"Rome\"}]", "NotAnObject", 0],
    ["\"[1]\"", "NotAnObject", 0],
    [" null", "NotAnObject", 1],
    ["42", "NotAnObject", 0]
  ])(
    "%j: %s at %d",
    (args, reason, offset) =>
      expect(refused("get_weather", args)).toMatchObject({
        _tag: "MalformedArguments",
        tool: "get_weather",
        raw: args,
        reason,
        offset
      })
  )

  it("says line and column", () =>
    expect(refused("get_weather", "{\n  \"city\": Rome\n}")).toMatchObject({ line: 2, column: 11 }))

  it.each([
    ["{\"city\":\"Rome\",\"city\":\"Oslo\"}", "DuplicateKey", ["city"]],
    ["{\"city\":\"Rome\",\"__proto__\":{\"admin\":true}}", "ProtoKey", ["__proto__"]],
    ["{\"constructor\":{\"prototype\":{}}}", "ProtoKey", ["constructor", "prototype"]],
    ["{\"city\":\"Rome\",\"days\":9007199254740993}", "UnsafeNumber", ["days"]],
    ["{\"place\":{\"lat\":1e400}}", "UnsafeNumber", ["place", "lat"]],
    ["{\"city\":\"\\ud800\"}", "LoneSurrogate", ["city"]]
  ])(
    "%s: %s",
    (args, hazard, path) =>
      expect(refused("get_weather", args)).toMatchObject({ _tag: "HazardousArguments", hazard, path, raw: args })
  )

  it("calls blank arguments empty where the tool needs some", () =>
    expect(refused("get_weather", " ")).toMatchObject({
      _tag: "MalformedArguments",
      reason: "Empty",
      line: 1,
      column: 1
    }))
})

describe("gate 4: the tool", () => {
  it.each(["constructor", "toString", "__proto__", "hasOwnProperty", "length", "", "GET_WEATHER"])(
    "%j is an unknown tool, never a defect",
    (name) => {
      for (const args of ["{}", "", "{\"city\":\"Rome\"}"]) {
        expect(refused(name, args)).toMatchObject({
          _tag: "UnknownTool",
          callId: "call_1",
          name,
          available: ["get_weather", "now", "search"]
        })
      }
    }
  )

  it.each([
    ["get_wether", ["get_weather"]],
    ["getWeather", ["get_weather"]],
    ["functions.get_weather", ["get_weather"]],
    ["serch", ["search"]],
    ["buy_house", []],
    ["x".repeat(1_000_000), []]
  ])(
    "suggests names that are near, and calls none of them",
    (name, suggestions) =>
      expect(refused(name, "{\"city\":\"Rome\"}")).toMatchObject({ _tag: "UnknownTool", suggestions })
  )

  it("comes after the JSON: broken arguments of an unknown tool are malformed", () =>
    expect(refused("no_such_tool", "{")._tag).toBe("MalformedArguments"))
})

describe("gate 5: the tool's schema", () => {
  it("reports every fault at once, each at its place", () =>
    expect(issues("{\"days\":9,\"unit\":\"k\",\"place\":{\"lat\":\"1\",\"z\":2},\"town\":\"Rome\",\"when\":\"soon\"}"))
      .toEqual([
        {
          path: ["town"],
          kind: "Unexpected",
          message: "is not a parameter; the parameters here are city, days, unit, place, when"
        },
        { path: ["city"], kind: "Missing", message: "is missing, expected a non empty string" },
        { path: ["days"], kind: "Refinement", message: "expected a number between 1 and 5, got 9" },
        { path: ["unit"], kind: "Type", message: "expected one of \"c\", \"f\", got \"k\"" },
        { path: ["place", "z"], kind: "Unexpected", message: "is not a parameter; the parameters here are lat, lon" },
        { path: ["place", "lat"], kind: "Type", message: "expected a number, got \"1\"" },
        { path: ["place", "lon"], kind: "Missing", message: "is missing, expected a number" },
        {
          path: ["when"],
          kind: "Refinement",
          message: "expected a date and time in ISO 8601, such as \"2026-01-31T09:30:00Z\", got \"soon\""
        }
      ]))

  it("coerces nothing", () => {
    for (const limit of ["\"1\"", "true", "[1]"]) {
      expect(issues(`{"limit":${limit}}`, "search")).toMatchObject([{ path: ["limit"], kind: "Type" }])
    }
  })

  it("gives a tool without parameters none", () =>
    expect(issues("{\"verbose\":true,\"n\":1}", "now")).toEqual([
      { path: ["verbose"], kind: "Unexpected", message: "is not a parameter; there are none here" },
      { path: ["n"], kind: "Unexpected", message: "is not a parameter; there are none here" }
    ]))

  it("folds alternatives and does not offer undefined", () => {
    const choice = Tool.make("choice", {
      parameters: Schema.Struct({
        who: Schema.optional(Schema.Union(Schema.String, Schema.Struct({ id: Schema.Number }))),
        note: Schema.NullOr(Schema.String),
        shape: Schema.optional(Schema.Union(
          Schema.Struct({ kind: Schema.Literal("circle"), r: Schema.Number }),
          Schema.Struct({ kind: Schema.Literal("square"), a: Schema.Number })
        ))
      })
    })
    const choices = Effect.runSync(Toolkit.make(choice))
    const messages = (args: string) =>
      Either.match(ToolCall.decodeOne(choices, call("choice", args), "stop"), {
        onLeft: (error) =>
          error._tag === "InvalidArguments"
            ? error.issues.map(({ message, path }) => `${path.join(".")}: ${message}`)
            : [],
        onRight: () => []
      })
    expect(messages("{\"who\":5,\"note\":6,\"shape\":{\"kind\":\"line\"}}")).toEqual([
      "who: expected a string or an object, got 5",
      "note: expected a string or null, got 6",
      "shape.kind: expected one of \"circle\", \"square\", got \"line\""
    ])
    expect(messages("{\"who\":{\"id\":\"7\"},\"note\":null,\"shape\":{\"kind\":\"circle\",\"r\":\"1\"}}")).toEqual([
      "who.id: expected a number, got \"7\"",
      "shape.r: expected a number, got \"1\""
    ])
  })

  describe("names what is wanted as the model has to write it", () => {
    class Kin extends Schema.Class<Kin>("Kin")({ age: Schema.Int }) {}
    const Colour = { Red: "red", Blue: "blue" } as const
    const rows: ReadonlyArray<readonly [Schema.Struct.Field & Schema.Schema.AnyNoContext, string, string]> = [
      [Schema.Int, "\"three\"", "a: expected an integer, got \"three\""],
      [Schema.Enums(Colour), "\"green\"", "a: expected one of \"red\", \"blue\", got \"green\""],
      [Schema.NullOr(Schema.Enums(Colour)), "\"Red\"", "a: expected one of \"red\", \"blue\", null, got \"Red\""],
      [Schema.Tuple(Schema.Int, Schema.String), "[1]", "a.1: is missing, expected a string"],
      [Schema.Tuple(Schema.Int, Schema.String), "[1,\"b\",3]", "a.2: is one too many; the list takes 2"],
      [Schema.Tuple([Schema.Int], Schema.String), "[1,\"b\",3]", "a.2: expected a string, got 3"],
      [Schema.String.pipe(Schema.brand("Id")), "7", "a: expected a string, got 7"],
      [
        Schema.Array(Kin),
        "[{\"age\":1},{\"age\":2,\"name\":\"x\"}]",
        "a.1.name: is not a parameter; the parameters here are age"
      ],
      [
        Schema.Record({ key: Schema.String.pipe(Schema.pattern(/^k_/)), value: Schema.Int }),
        "{\"z\":1}",
        "a.z: is not a key that is taken here; the keys are a string matching the pattern ^k_"
      ]
    ]
    it.each(rows.map(([field, args, expected]) => [expected, field, args] as const))("%s", (expected, field, args) => {
      const kit = Effect.runSync(Toolkit.make(Tool.make("f", { parameters: Schema.Struct({ a: field }) })))
      const error = Either.getOrThrow(Either.flip(ToolCall.decodeOne(kit, call("f", `{"a":${args}}`), "tool-calls")))
      const told = error._tag === "InvalidArguments"
        ? error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`)
        : [error._tag]
      expect(told).toEqual([expected])
    })
  })

  it("uses the words of the schema's author", () => {
    const parameters = Schema.Struct({
      a: Schema.String.annotations({ message: () => "give me text" }),
      b: Schema.String.pipe(Schema.filter((text) => text === "ok" || "must be ok")),
      c: Schema.Struct({ from: Schema.Number, to: Schema.Number }).pipe(
        Schema.filter(({ from, to }) => from <= to || { path: ["to"], message: "must not be before from" })
      )
    })
    const own = Effect.runSync(Toolkit.make(Tool.make("own", { parameters })))
    expect(ToolCall.decodeOne(own, call("own", "{\"a\":1,\"b\":\"no\",\"c\":{\"from\":2,\"to\":1}}"), "stop"))
      .toMatchObject(
        Either.left({
          issues: [
            { path: ["a"], message: "give me text", kind: "Type" },
            { path: ["b"], message: "must be ok", kind: "Refinement" },
            { path: ["c", "to"], message: "must not be before from", kind: "Refinement" }
          ]
        })
      )
  })

  it("stays small, whatever the model wrote", () => {
    const list = Effect.runSync(
      Toolkit.make(Tool.make("list", { parameters: Schema.Struct({ n: Schema.Array(Schema.Number) }) }))
    )
    const many = JSON.stringify({ n: Array.from({ length: 5_000 }, () => "x".repeat(100)) })
    const error = Either.getOrThrow(Either.flip(ToolCall.decodeOne(list, call("list", many), "stop")))
    expect(error).toMatchObject({ _tag: "InvalidArguments", omitted: 4_900 })
    expect(JSON.stringify(error).length).toBeLessThan(40_000)
    expect(ToolCallError.explain(error)).toContain("… and 4990 more.")
    const long = refused("search", JSON.stringify({ ["k".repeat(100_000)]: 1, limit: "v".repeat(100_000) }))
    expect(JSON.stringify(long).length).toBeLessThan(5_000)
  })

  it("refuses a schema that waits, or throws, as a failure and not as a defect", () => {
    const odd = Effect.runSync(Toolkit.make(
      Tool.make("waits", {
        parameters: Schema.Struct({
          id: Schema.transformOrFail(Schema.String, Schema.String, {
            decode: (text) => Effect.as(Effect.sleep("1 second"), text),
            encode: ParseResult.succeed
          })
        })
      }),
      Tool.make("throws", {
        parameters: Schema.Struct({
          id: Schema.String.pipe(Schema.filter((): boolean => {
            throw new Error("boom")
          }))
        })
      })
    ))
    expect(ToolCall.decodeOne(odd, call("waits", "{\"id\":\"1\"}"), "stop")).toMatchObject(
      Either.left({ _tag: "InvalidArguments", issues: [{ path: ["id"], kind: "Forbidden" }] })
    )
    expect(ToolCall.decodeOne(odd, call("throws", "{\"id\":\"1\"}"), "stop")).toMatchObject(
      Either.left({ _tag: "InvalidArguments", issues: [{ kind: "Transformation", message: "cannot be read: boom" }] })
    )
  })
})

describe("a secret among the arguments", () => {
  const login = Effect.runSync(Toolkit.make(Tool.make("login", {
    parameters: Schema.Struct({
      password: Schema.Int,
      session: Schema.Struct({ api_key: Schema.String.pipe(Schema.minLength(100)), user: Schema.Int })
    })
  })))
  const told = (args: string) => {
    const error = Either.getOrThrow(Either.flip(ToolCall.decodeOne(login, call("login", args), "tool-calls")))
    return `${JSON.stringify(error)} ${error.message} ${ToolCallError.explain(error)} ${
      ToolCallError.fingerprint(error)
    }`
  }

  it("is not told where its place has the name of one", () => {
    const words = told("{\"password\":\"hunter2-and-more\",\"session\":{\"api_key\":\"abc-123-xyz\",\"user\":\"bob\"}}")
    expect(words).not.toMatch(/hunter2|and-more|abc-123/)
    expect(words).toContain("password: expected an integer, got [redacted]")
    expect(words).toContain("expected an integer, got \\\"bob\\\"")
    expect(told(`{"password":1,"session":{"api_key":"${"k3y".repeat(30)}","user":1}}`)).not.toContain("k3y")
  })

  it("is not told in half where the fault is inside of it", () => {
    expect(told("{\"password\":\"hunter2-and\\q-more\"}")).not.toMatch(/hunter2|more/)
  })
})

describe("any call", () => {
  it("is decoded or refused, never a defect", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.oneof(
          FastCheck.constantFrom("get_weather", "now", "search", "constructor", "__proto__"),
          FastCheck.string()
        ),
        FastCheck.oneof(
          FastCheck.json(),
          FastCheck.string({ unit: "binary" }),
          FastCheck.constantFrom("", "{}", "{\"__proto__\":1}")
        ),
        FastCheck.constantFrom<Response.FinishReason>(
          "stop",
          "tool-calls",
          "length",
          "content-filter",
          "truncated",
          "unknown"
        ),
        (name, args, finishReason) => {
          const decoded = ToolCall.decodeOne(toolkit, call(name, args), finishReason)
          if (Either.isRight(decoded)) return
          expect(ToolCallError.isToolCallError(decoded.left)).toBe(true)
          expect(ToolCallError.explain(decoded.left)).not.toBe("")
          const json = Schema.parseJson(ToolCallError.ToolCallError)
          const text = Schema.encodeSync(json)(decoded.left)
          expect(Schema.encodeSync(json)(Schema.decodeSync(json)(text))).toBe(text)
        }
      ),
      { numRuns: runs(250, 1_000) }
    ))
})

describe("ToolCall.decode", () => {
  const usage = new Usage.Usage({ inputTokens: 10, outputTokens: 5, totalTokens: 15, reasoningTokens: 2 })
  const reply = (parts: ReadonlyArray<Response.Part>, finishReason: Response.FinishReason = "tool-calls") =>
    new Response.Response({ model: "m", parts, finishReason, usage })
  const text = { _tag: "Text", text: "Let me see." } as const

  it("decodes all calls of a reply, in order", () => {
    const decoded = ToolCall.decode(toolkit, reply([text, call("now", "", "a"), call("search", "{\"limit\":3}", "b")]))
    expect(Either.getOrThrow(decoded)).toEqual([
      { id: "a", name: "now", arguments: {}, raw: "", repairs: [] },
      { id: "b", name: "search", arguments: { limit: 3 }, raw: "{\"limit\":3}", repairs: [] }
    ])
  })

  it("gives nothing for a reply without calls, however it ended", () => {
    expect(ToolCall.decode(toolkit, reply([text], "stop"))).toEqual(Either.right([]))
    expect(ToolCall.decode(toolkit, reply([text], "length"))).toEqual(Either.right([]))
  })

  it("refuses the whole reply for one bad call, and carries all that is known", () => {
    const error = Either.getOrThrow(Either.flip(ToolCall.decode(
      toolkit,
      reply([
        text,
        call("get_weather", "{\"city\":\"Rome\",\"when\":\"2024-01-02\"}", "a"),
        call("constructor", "{}", "b"),
        call("search", "{\"limit\":\"3\"}", "c")
      ])
    )))
    expect(error).toMatchObject({
      _tag: "ToolCallsRejected",
      rejected: [
        { id: "b", name: "constructor", raw: "{}", error: { _tag: "UnknownTool", callId: "b" } },
        { id: "c", name: "search", raw: "{\"limit\":\"3\"}", error: { _tag: "InvalidArguments", callId: "c" } }
      ],
      accepted: [{ id: "a", name: "get_weather", arguments: { city: "Rome", when: "2024-01-02" } }],
      text: "Let me see.",
      usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15, reasoningTokens: 2 },
      finishReason: "tool-calls"
    })
    expect(Verdict.of(error)).toMatchObject({ action: "Reask", weighs: false, billed: "yes" })
    const json = Schema.parseJson(ToolCallError.ToolCallsRejected)
    expect(Schema.decodeSync(json)(Schema.encodeSync(json)(error)).message).toBe(error.message)
  })

  it("refuses calls that share an id, and tells a bad one first what is wrong with itself", () => {
    const error = Either.getOrThrow(Either.flip(ToolCall.decode(
      toolkit,
      reply([call("now", "{}", "a"), call("search", "{}", "b"), call("now", "{}", "a"), call("search", "[]", "a")])
    )))
    expect(error.rejected.map((rejection) => [rejection.id, rejection.error._tag])).toEqual([
      ["a", "DuplicateCallId"],
      ["a", "DuplicateCallId"],
      ["a", "MalformedArguments"]
    ])
    expect(error.accepted.map(({ id }) => id)).toEqual(["b"])
    expect(error.rejected[0]?.error).toMatchObject({ callId: "a", tool: "now", calls: 3 })
    expect(error.message).toContain("3 calls of the reply have the same id \"a\"")
  })

  it("refuses every call of a reply that was cut off", () => {
    const error = Either.getOrThrow(Either.flip(ToolCall.decode(
      toolkit,
      reply([call("now", "{}", "a"), call("search", "{}", "b")], "length")
    )))
    expect(error.rejected.map((rejection) => rejection.error._tag)).toEqual([
      "TruncatedArguments",
      "TruncatedArguments"
    ])
    expect(error.accepted).toEqual([])
  })
})

describe("ToolCall.mended", () => {
  it("gives the arguments as they were read, and leaves alone what needed no mending or cannot be read", () => {
    const mended = (json: string) => ToolCall.mended(toolkit, call("search", json)).arguments
    expect(mended("{\"limit\": 3,}")).toBe("{\"limit\":3}")
    expect(mended("{ \"limit\": 3 }")).toBe("{ \"limit\": 3 }")
    expect(mended("{\"limit\": ")).toBe("{\"limit\": ")
    expect(ToolCall.mended(toolkit, call("nothing", "{\"limit\": 3,}"))).toEqual(call("nothing", "{\"limit\":3}"))
  })
})
