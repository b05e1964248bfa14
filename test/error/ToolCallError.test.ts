import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as ToolCallError from "../../src/error/ToolCallError.ts"
import * as Verdict from "../../src/error/Verdict.ts"

const about = { callId: "call_1", tool: "get_weather", raw: "{\"city\":1}" }
const place = { offset: 7, line: 1, column: 8, excerpt: "{\"a\":1} thanks" }

const unknown = new ToolCallError.UnknownTool({
  callId: "call_1",
  name: "get_wether",
  available: ["get_weather", "send_mail"],
  suggestions: ["get_weather"]
})
const malformed = (reason: ToolCallError.MalformedArguments["reason"]) =>
  new ToolCallError.MalformedArguments({ ...about, ...place, reason })
const hazardous = (hazard: ToolCallError.HazardousArguments["hazard"]) =>
  new ToolCallError.HazardousArguments({ ...about, hazard, path: ["filter", 0, "id"] })
const truncated = new ToolCallError.TruncatedArguments({ ...about, finishReason: "length" })
const invalid = (issues: ReadonlyArray<ToolCallError.Issue>, omitted = 0) =>
  new ToolCallError.InvalidArguments({ ...about, issues, omitted })
const typed = invalid([{ path: ["city"], message: "expected a string, got 1", kind: "Type" }])

const twice = new ToolCallError.DuplicateCallId({ ...about, calls: 2 })

const rejected = new ToolCallError.ToolCallsRejected({
  rejected: [
    { id: "call_1", name: "get_wether", raw: "{}", error: unknown },
    { id: "call_2", name: "get_weather", raw: "{\"city\":1}", error: typed }
  ],
  accepted: [{ id: "call_3", name: "send_mail", arguments: { to: "bob" } }],
  text: "Let me see.",
  usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15 },
  finishReason: "tool-calls"
})

const every = [
  unknown,
  malformed("Syntax"),
  hazardous("DuplicateKey"),
  truncated,
  typed,
  twice,
  rejected
]

describe("ToolCallError", () => {
  it("asks for the model to be told, weighs nothing and was paid for", () => {
    for (const error of every) {
      expect(Verdict.of(error)).toMatchObject({
        action: "Reask",
        retryAfter: Option.none(),
        throttled: false,
        weighs: false,
        billed: "yes"
      })
    }
  })

  const crosses = <A extends { readonly message: string }, I>(schema: Schema.Schema<A, I>) => {
    const json = Schema.parseJson(schema)
    FastCheck.assert(
      FastCheck.property(Arbitrary.make(schema), (error) => {
        const text = Schema.encodeSync(json)(error)
        const again = Schema.decodeSync(json)(text)
        expect(Schema.encodeSync(json)(again)).toBe(text)
        expect(again.message).toBe(error.message)
      }),
      { numRuns: 200 }
    )
  }

  it("crosses a process border: encoding to JSON and back is identity", () => {
    crosses(ToolCallError.ToolCallError)
    crosses(ToolCallError.ToolCallsRejected)
  })

  it("is told from other errors", () => {
    for (const error of every.slice(0, 6)) expect(ToolCallError.isToolCallError(error)).toBe(true)
    expect(ToolCallError.isToolCallError(new Error("UnknownTool"))).toBe(false)
    expect(ToolCallError.isToolCallError({ _tag: "UnknownTool" })).toBe(false)
  })

  it("holds no credential, wherever one stood", () => {
    const key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    const leaky = { callId: key, tool: key, raw: `{"api_key":"${key}"}` }
    const errors = [
      new ToolCallError.UnknownTool({ callId: "1", name: key, available: [key], suggestions: [key] }),
      new ToolCallError.MalformedArguments({ ...leaky, ...place, reason: "Syntax", excerpt: `key ${key}` }),
      new ToolCallError.HazardousArguments({ ...leaky, hazard: "ProtoKey", path: [key] }),
      new ToolCallError.TruncatedArguments({ ...leaky, finishReason: "length" }),
      new ToolCallError.DuplicateCallId({ ...leaky, calls: 2 }),
      new ToolCallError.InvalidArguments({ ...leaky, issues: [{ path: [key], message: key, kind: "Type" }] }),
      new ToolCallError.ToolCallsRejected({
        rejected: [{ id: "1", name: key, raw: key, error: truncated }],
        accepted: [{ id: "2", name: "t", arguments: { deep: [{ key }] } }],
        text: key,
        usage: rejected.usage,
        finishReason: "stop"
      })
    ]
    for (const error of errors) {
      const shown = [
        JSON.stringify(error),
        error.message,
        Cause.pretty(Cause.fail(error)),
        ToolCallError.fingerprint(error)
      ]
      expect(shown.join("\n")).not.toContain("abcdefghij")
      if (ToolCallError.isToolCallError(error)) expect(ToolCallError.explain(error)).not.toContain("abcdefghij")
    }
  })

  it("clips long texts", () => {
    const long = new ToolCallError.TruncatedArguments({ ...about, raw: "x".repeat(100_000), finishReason: "length" })
    expect(long.raw.length).toBeLessThan(2_100)
    expect(long.raw).toContain("more characters")
  })
})

describe("explain", () => {
  it("names the tools there are", () => {
    expect(ToolCallError.explain(unknown)).toBe(
      "There is no tool named \"get_wether\". Did you mean \"get_weather\"? Available tools: get_weather, send_mail. " +
        "Call one of them by its exact name."
    )
    expect(
      ToolCallError.explain(new ToolCallError.UnknownTool({ callId: "", name: "x", available: [], suggestions: [] }))
    )
      .toBe("There is no tool named \"x\". No tools are available: answer without calling one.")
  })

  it("says where the JSON breaks and what to send instead", () =>
    expect(ToolCallError.explain(malformed("TrailingContent"))).toBe(
      "The arguments of \"get_weather\" have more text behind the JSON at line 1, column 8: \"{\\\"a\\\":1} thanks\". " +
        "Send exactly one JSON object and nothing behind it; put several calls into several tool calls."
    ))

  it.each(
    [
      ["Syntax", "double quotes"],
      ["TrailingContent", "exactly one JSON object"],
      ["TooDeep", "less nesting"],
      ["TooLarge", "shorter"],
      ["Empty", "needs arguments"],
      ["NotAnObject", "not an array"],
      ["Truncated", "the whole JSON object"]
    ] as const
  )("names the remedy of %s", (reason, remedy) => {
    expect(ToolCallError.explain(malformed(reason))).toContain(remedy)
    expect(malformed(reason).message).toContain(remedy)
  })

  it.each(
    [
      ["DuplicateKey", "the key filter[0].id stands twice", "Write every key once"],
      ["ProtoKey", "the key filter[0].id is not allowed", "Leave it out"],
      ["UnsafeNumber", "the number at filter[0].id", "a string"],
      ["LoneSurrogate", "the text at filter[0].id", "the whole character"]
    ] as const
  )("names the place and the remedy of %s", (hazard, fault, remedy) => {
    expect(ToolCallError.explain(hazardous(hazard))).toContain(fault)
    expect(ToolCallError.explain(hazardous(hazard))).toContain(remedy)
  })

  it("tells the model to be shorter, and a person also which setting to raise", () => {
    expect(ToolCallError.explain(truncated)).toContain("shorter arguments")
    expect(ToolCallError.explain(truncated)).not.toContain("maxOutputTokens")
    expect(truncated.message).toContain("maxOutputTokens")
  })

  it("tells calls with one id apart from their arguments", () =>
    expect(ToolCallError.explain(twice)).toBe(
      "The call of \"get_weather\" was not run: 2 calls of the reply have the same id \"call_1\", so their results could " +
        "not be told apart. Send the calls again, one in each reply."
    ))

  it("groups issues by place and folds what is said twice", () =>
    expect(ToolCallError.explain(invalid([
      { path: ["unit"], message: "expected \"c\"", kind: "Type" },
      { path: ["days", 0], message: "is missing", kind: "Missing" },
      { path: ["unit"], message: "expected \"f\"", kind: "Type" },
      { path: ["unit"], message: "expected \"f\"", kind: "Type" },
      { path: ["odd key", "x"], message: "is not\na parameter", kind: "Unexpected" }
    ]))).toBe(
      [
        "The arguments of \"get_weather\" do not fit the tool:",
        "- unit: expected \"c\"; or expected \"f\"",
        "- days[0]: is missing",
        "- [\"odd key\"].x: is not a parameter",
        "Send the call again with these corrected."
      ].join("\n")
    ))

  it("spells out ten issues and counts the rest", () => {
    const issues = Array.from(
      { length: 30 },
      (_, index) => ({ path: [index], message: "is bad", kind: "Type" as const })
    )
    const text = ToolCallError.explain(invalid(issues, 70))
    expect(text.match(/is bad/g)).toHaveLength(10)
    expect(text).toContain("… and 90 more.")
  })

  it("stays short whatever the model wrote", () => {
    const huge = "h".repeat(50_000)
    const issues = Array.from(
      { length: 100 },
      (_, index) => ({ path: [huge, index], message: huge, kind: "Type" as const })
    )
    const errors = [
      new ToolCallError.UnknownTool({ callId: huge, name: huge, available: [huge], suggestions: [huge] }),
      new ToolCallError.MalformedArguments({ ...about, tool: huge, ...place, excerpt: huge, reason: "Syntax" }),
      new ToolCallError.HazardousArguments({ ...about, hazard: "DuplicateKey", path: [huge] }),
      new ToolCallError.InvalidArguments({ ...about, raw: huge, issues }),
      new ToolCallError.DuplicateCallId({ callId: huge, tool: huge, raw: huge, calls: 2 })
    ]
    for (const error of errors) expect(ToolCallError.explain(error).length).toBeLessThan(8_000)
  })
})

describe("fingerprint", () => {
  it("is the same for the same failure under another id", () => {
    const again = new ToolCallError.UnknownTool({ ...unknown, callId: "call_9" })
    expect(ToolCallError.fingerprint(again)).toBe(ToolCallError.fingerprint(unknown))
    const sorted = invalid([...typed.issues, { path: ["x"], message: "m", kind: "Unexpected" }])
    const turned = new ToolCallError.InvalidArguments({
      ...sorted,
      callId: "call_9",
      raw: "{\"other\":true}",
      issues: [...sorted.issues].reverse()
    })
    expect(ToolCallError.fingerprint(turned)).toBe(ToolCallError.fingerprint(sorted))
  })

  it("differs between failures", () => {
    const all = [...every, malformed("Truncated"), hazardous("ProtoKey"), invalid([])].map(ToolCallError.fingerprint)
    expect(new Set(all).size).toBe(all.length)
    expect(ToolCallError.fingerprint(new ToolCallError.TruncatedArguments({ ...truncated, raw: "{" }))).not.toBe(
      ToolCallError.fingerprint(truncated)
    )
  })
})

describe("ToolCallsRejected", () => {
  it("tells how many calls are bad and what is wrong with each", () => {
    expect(rejected.message).toContain("2 of 3 tool calls cannot be run, so none was run.")
    expect(rejected.message).toContain("get_wether")
    expect(rejected.message).toContain("city: expected a string")
  })

  it("keeps the good calls, the text, the usage and the end", () =>
    expect(rejected).toMatchObject({
      accepted: [{ id: "call_3", name: "send_mail", arguments: { to: "bob" } }],
      text: "Let me see.",
      usage: { totalTokens: 15 },
      finishReason: "tool-calls"
    }))
})
