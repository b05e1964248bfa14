/** Nothing that a server, a model or a foreign tool writes can forge a line of a log, whatever field it is written in. */
import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as JsonSchema from "../../src/adapter/JsonSchema.ts"
import * as AnswerError from "../../src/error/AnswerError.ts"
import { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as ModelError from "../../src/error/ModelError.ts"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as ReplyError from "../../src/error/ReplyError.ts"
import * as ToolCallError from "../../src/error/ToolCallError.ts"
import { isRecord } from "../../src/internal/record.ts"
import * as SchemaDialect from "../../src/model/SchemaDialect.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Event from "../../src/telemetry/Event.ts"
import { runs } from "../runs.ts"

const hostile = [
  "\n",
  "\r",
  "\t",
  "\u0000",
  "\u001b[31m",
  "\u007f",
  "\u009b",
  "\u00ad",
  "\u061c",
  "\u180e",
  "\u200b",
  "\u200e",
  "\u2028",
  "\u2029",
  "\u202e",
  "\u2066",
  "\ufeff",
  "\ufff9",
  "\u{e0041}"
]

const beyondLines =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u

/** A line that begins with this one is the line of somebody else. */
const forged = "FORGED"

const texts = FastCheck.array(FastCheck.constantFrom(...hostile, "a", " ", "\"", "\\"), { minLength: 1, maxLength: 6 })
  .map((parts) => `${parts.join("")}\n${forged}`)

const classes: ReadonlyArray<Schema.Schema.AnyNoContext> = [
  ModelError.ModelError,
  ToolCallError.ToolCallError,
  ToolCallError.ToolCallsRejected,
  AnswerError.InvalidAnswer,
  AnswerError.ObjectRejected,
  ReplyError.ReplyError,
  InvalidOptions,
  PolicyError.PolicyError,
  Tool.InvalidTool,
  Toolkit.InvalidToolkit,
  Toolkit.InvalidHandler,
  SchemaDialect.InvalidDialect,
  JsonSchema.InvalidJsonSchema
]

type Place = ReadonlyArray<string | number>

const placesOf = (value: unknown, path: Place = []): ReadonlyArray<Place> =>
  typeof value === "string"
    ? [path]
    : Array.isArray(value)
    ? value.flatMap((each, index) => placesOf(each, [...path, index]))
    : isRecord(value)
    ? Object.entries(value).flatMap(([name, each]) => placesOf(each, [...path, name]))
    : []

const replaced = (value: unknown, [step, ...rest]: Place, text: string): unknown =>
  step === undefined
    ? text
    : Array.isArray(value)
    ? value.map((each, index) => index === step ? replaced(each, rest, text) : each)
    : isRecord(value)
    ? { ...value, [step]: replaced(value[step], rest, text) }
    : value

/** The error with the text wherever a text may stand. A place that takes only fixed words keeps its own. */
const poisoned = (schema: Schema.Schema.AnyNoContext, error: unknown, text: string): unknown => {
  const decode = Schema.decodeUnknownOption(schema)
  const wire: unknown = Schema.encodeUnknownSync(schema)(error)
  const all = placesOf(wire).reduce((before, place) => {
    const after = replaced(before, place, text)
    return Option.isSome(decode(after)) ? after : before
  }, wire)
  return Option.getOrThrow(decode(all))
}

/** Everything that a log can make of an error. */
const shownAs = (error: unknown): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const logger of [Logger.stringLogger, Logger.logfmtLogger, Logger.jsonLogger]) {
    const layer = Logger.replace(Logger.defaultLogger, Logger.map(logger, (line) => void lines.push(line)))
    Effect.runSync(Effect.provide(Effect.logError("failed", error, Cause.fail(error)), layer))
  }
  return [
    ...lines,
    String(error),
    error instanceof Error ? error.message : "",
    error instanceof Error ? String(error.stack) : "",
    JSON.stringify(error),
    inspect(error, { depth: 9 }),
    Cause.pretty(Cause.fail(error)),
    Event.errorText(error),
    Event.describe(Event.GaveUp({ at: 0, name: "n", attempt: 1, elapsed: Duration.zero, reason: "r", error }))
  ]
}

const expectVisible = (line: string): void => {
  expect(beyondLines.exec(line)).toBeNull()
  expect(line).not.toMatch(new RegExp(`\\n\\s*${forged}`))
}

const numRuns = runs(60, 150)

describe("what an error shows", () => {
  for (const schema of classes) {
    it(`holds nothing that forges a log: ${String(schema.ast).slice(0, 60)}`, () => {
      FastCheck.assert(
        FastCheck.property(Arbitrary.make(schema), texts, (error, text) => {
          for (const line of shownAs(poisoned(schema, error, text))) expectVisible(line)
        }),
        { numRuns }
      )
    })
  }

  it("holds nothing of it either where a policy refuses by the thousand", () => {
    FastCheck.assert(
      FastCheck.property(texts, (name) => {
        const bulkhead = Effect.runSync(Bulkhead.make({ name, maxConcurrent: 1 }))
        const refused = Bulkhead.apply(bulkhead)(Effect.flip(Bulkhead.apply(bulkhead)(Effect.void)))
        for (const line of shownAs(Effect.runSync(refused))) expectVisible(line)
      }),
      { numRuns }
    )
  })

  it("holds nothing of it in the line of an event", () => {
    FastCheck.assert(
      FastCheck.property(texts, (text) => {
        const common = { at: 0, name: text }
        const events: ReadonlyArray<Event.Event> = [
          Event.ToolCallsRejected({ ...common, reask: 0, tools: [text], kinds: [text], reasons: [text] }),
          Event.AnswerRejected({ ...common, reask: 0, kind: text, reason: text }),
          Event.ToolRan({ ...common, tool: text, callId: text }),
          Event.ToolFailed({ ...common, tool: text, callId: text, messageToModel: text }),
          Event.FellBack({ ...common, from: text, to: text, error: text }),
          Event.Degraded({ ...common, error: { _tag: text, message: text } })
        ]
        for (const event of events) expectVisible(Event.describe(event))
      }),
      { numRuns }
    )
  })
})
