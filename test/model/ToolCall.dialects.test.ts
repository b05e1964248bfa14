/** Calls and answers that were written under a dialect of a vendor. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import * as SchemaDialect from "../../src/model/SchemaDialect.ts"
import * as StructuredOutput from "../../src/model/StructuredOutput.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { Usage } from "../../src/model/Usage.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const dialects = ["openai-strict", "anthropic", "gemini"] as const

const Search = Schema.Struct({
  query: Schema.String,
  limit: Schema.optional(Schema.Int),
  before: Schema.optional(Schema.NullOr(Schema.String)),
  labels: Schema.Record({ key: Schema.String, value: Schema.Number }),
  range: Schema.Tuple(Schema.String, Schema.Number),
  level: Schema.Literal(1, 2),
  filter: Schema.optional(Schema.Unknown)
})

const toolkit = Effect.runSync(Toolkit.make(
  Tool.make("search", { parameters: Search }),
  Tool.make("now", { parameters: Schema.Struct({}) })
))

const call = (dialect: SchemaDialect.Dialect, json: unknown, name = "search"): Prompt.ToolCallPart => ({
  _tag: "ToolCall",
  id: "c1",
  name,
  arguments: JSON.stringify(json),
  dialect
})

const decode = (...args: Parameters<typeof call>) => ToolCall.decodeOne(toolkit, call(...args), "tool-calls")

const argumentsOf = (...args: Parameters<typeof call>): unknown => Either.getOrThrow(decode(...args)).arguments

const least = { query: "tea", labels: { a: 1 }, range: ["x", 2], level: 1 } as const

const range = { item0: "x", item1: 2 }

const labels = [{ key: "a", value: 1 }]

describe("A call that was written under a dialect", () => {
  it("has its absent, its null and its given fields told apart", () => {
    const strict = { query: "tea", limit: null, before: [], labels, range, level: 1, filter: null }
    expect(argumentsOf("openai-strict", strict)).toEqual(least)
    expect(argumentsOf("openai-strict", { ...strict, before: [null] })).toEqual({ ...least, before: null })
    expect(argumentsOf("openai-strict", { ...strict, before: ["Mon"], limit: 3 }))
      .toEqual({ ...least, before: "Mon", limit: 3 })
    const open = { query: "tea", labels, range }
    expect(argumentsOf("anthropic", { ...open, level: 1 })).toEqual(least)
    expect(argumentsOf("anthropic", { ...open, level: 1, before: null })).toEqual({ ...least, before: null })
    expect(argumentsOf("gemini", { ...open, level: "1" })).toEqual(least)
    expect(argumentsOf("gemini", { ...open, level: "1", before: null, limit: 3 }))
      .toEqual({ ...least, before: null, limit: 3 })
  })

  it("is the same call in every dialect, and keeps the text that was written", () => {
    const full = { ...least, limit: 3, before: null, filter: { any: [1, null] } }
    for (const dialect of dialects) {
      const written = Either.getOrThrow(SchemaDialect.make(dialect)(Search)).write(full)
      expect(argumentsOf(dialect, written)).toEqual(full)
      expect(Either.getOrThrow(decode(dialect, written)).raw).toBe(JSON.stringify(written))
      // What it would be without: refused, or worse.
      expect(Either.isLeft(decode("plain", written))).toBe(true)
    }
    expect(argumentsOf("plain", full)).toEqual(full)
  })

  it("is told all its faults, at the places where they were written", () => {
    for (const dialect of dialects) {
      const { write } = Either.getOrThrow(SchemaDialect.make(dialect)(Search))
      const written = Object(write({ ...least, query: 1, labels: { a: 1, b: "two" }, range: ["x", "y"] }))
      const error = Either.getOrThrow(Either.flip(decode(dialect, { ...written, surplus: true })))
      expect(error).toMatchObject({ _tag: "InvalidArguments", callId: "c1", tool: "search" })
      if (error._tag !== "InvalidArguments") return
      expect(error.issues.map(({ kind, path }) => `${kind} ${path.join(".")}`).sort()).toEqual([
        "Type labels.1.value",
        "Type query",
        "Type range.item1",
        "Unexpected surplus"
      ])
    }
  })

  it("is told what is wrong with its shape", () => {
    const twice = { ...least, range, labels: [...labels, ...labels], level: "1" }
    expect(decode("gemini", twice)).toMatchObject({
      left: { _tag: "InvalidArguments", issues: [{ path: ["labels", 1, "key"] }] }
    })
  })

  it("may take nothing, and then takes nothing", () => {
    for (const dialect of dialects) {
      expect(argumentsOf(dialect, {}, "now")).toEqual({})
      expect(decode(dialect, { zone: "CET" }, "now")).toMatchObject({
        left: { _tag: "InvalidArguments", issues: [{ path: ["zone"], kind: "Unexpected" }] }
      })
    }
  })

  it("passes the same gates before", () => {
    const cut = { ...call("openai-strict", {}), arguments: "{\"query\":\"te" }
    expect(ToolCall.decodeOne(toolkit, cut, "tool-calls")).toMatchObject({
      left: { _tag: "MalformedArguments", reason: "Truncated" }
    })
    expect(ToolCall.decodeOne(toolkit, cut, "length")).toMatchObject({ left: { _tag: "TruncatedArguments" } })
    const mended = { ...cut, arguments: `${JSON.stringify({ ...least, labels, range }).slice(0, -1)},}` }
    expect(ToolCall.decodeOne(toolkit, { ...mended, dialect: "anthropic" }, "tool-calls")).toMatchObject({
      right: { arguments: least, repairs: ["trailingCommas"] }
    })
    expect(ToolCall.mended(toolkit, mended)).toMatchObject({ dialect: "openai-strict" })
  })

  it("is refused, and no defect, where the dialect never carried the schema", () => {
    interface Category {
      readonly inner?: Category | undefined
    }
    const Category: Schema.Schema<Category> = Schema.Struct({
      inner: Schema.optional(Schema.suspend(() => Category))
    }).annotations({ identifier: "Category" })
    const tree = Effect.runSync(Toolkit.make(Tool.make("tree", { parameters: Category })))
    expect(ToolCall.decodeOne(tree, call("gemini", {}, "tree"), "tool-calls")).toMatchObject({
      left: { _tag: "InvalidArguments", issues: [{ path: [], kind: "Transformation" }] }
    })
  })
})

describe("A reply", () => {
  const reply = (parts: ReadonlyArray<Response.Part>, given?: Response.Dialects) =>
    new Response.Response({
      model: "m",
      parts,
      finishReason: "stop",
      usage: new Usage({ inputTokens: 1, outputTokens: 1, totalTokens: 2 }),
      ...(given === undefined ? {} : { dialects: given })
    })

  const { dialect: _, ...bare } = call("plain", { query: "tea", labels, range, level: 1 })

  it("hands its dialect to its calls, unless it is plain or they have their own", () => {
    const strict = { tools: "openai-strict", output: "plain" } as const
    expect(reply([bare]).toolCalls).toEqual([bare])
    expect(reply([bare], { tools: "plain", output: "openai-strict" }).toolCalls).toEqual([bare])
    expect(reply([bare], strict).toolCalls).toEqual([{ ...bare, dialect: "openai-strict" }])
    expect(Response.toMessage(reply([bare], strict)).content).toEqual([{ ...bare, dialect: "openai-strict" }])
    expect(reply([{ ...bare, dialect: "gemini" }], strict).toolCalls).toEqual([{ ...bare, dialect: "gemini" }])
  })

  it("is decoded in its dialect", () => {
    expect(ToolCall.decode(toolkit, reply([bare], { tools: "anthropic", output: "plain" })))
      .toMatchObject({ right: [{ arguments: least }] })
    expect(ToolCall.decode(toolkit, reply([bare], { tools: "plain", output: "anthropic" })))
      .toMatchObject({ left: { _tag: "ToolCallsRejected" } })
  })

  it("has an answer in the dialect of the way it was asked for", () => {
    const output = Effect.runSync(StructuredOutput.make({ name: "search", schema: Search }))
    const read = (part: Response.Part, given: Response.Dialects) =>
      StructuredOutput.decode(output, reply([part], given))
    const text = Prompt.text(bare.arguments)
    const wanted = { right: { value: least } }
    expect(read(text, { tools: "plain", output: "anthropic" })).toMatchObject(wanted)
    expect(read(bare, { tools: "anthropic", output: "plain" })).toMatchObject(wanted)
    expect(Either.isLeft(read(text, { tools: "anthropic", output: "plain" }))).toBe(true)
    expect(Either.isLeft(read(bare, { tools: "plain", output: "anthropic" }))).toBe(true)
  })
})

describe("A tool loop", () => {
  it.effect("reads calls that an earlier run left open in the dialect they were written in", () =>
    Effect.gen(function*() {
      const left = call("anthropic", { query: "tea", labels, range, level: 1 })
      const seen: Array<unknown> = []
      const { steps } = yield* ToolLoop.run({
        prompt: [Prompt.user("Find tea."), Prompt.assistant([left])],
        toolkit,
        handlers: {
          search: (search) => Effect.sync(() => seen.push(search)),
          now: () => Effect.succeed("noon")
        }
      })
      expect(seen).toEqual([least])
      expect(steps.length).toBe(2)
    }).pipe(Effect.provide(ScriptedModel.layer([ScriptedModel.text("Found.")]))))
})
