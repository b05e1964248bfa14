import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as JSONSchema from "effect/JSONSchema"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as BackgroundFault from "../../src/chaos/BackgroundFault.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import { same } from "../../src/chaos/shared/json.ts"
import { conforms } from "../../src/chaos/shared/jsonSchema.ts"
import * as StreamFault from "../../src/chaos/StreamFault.ts"
import * as StrictJson from "../../src/internal/strictJson.ts"
import * as Repair from "../../src/model/Repair.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { runs } from "../runs.ts"

const Weather = Schema.Struct({
  city: Schema.String,
  unit: Schema.Literal("celsius", "fahrenheit"),
  days: Schema.Int.pipe(Schema.between(1, 14)),
  note: Schema.String,
  detailed: Schema.Boolean,
  stations: Schema.Array(Schema.Struct({ code: Schema.NonEmptyString, weight: Schema.Number })),
  limit: Schema.optional(Schema.NullOr(Schema.Number))
})
interface Tree {
  readonly label: string
  readonly children: ReadonlyArray<Tree>
}
const Tree = Schema.Struct({
  label: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
}).annotations({ identifier: "Tree" })

const documents: ReadonlyArray<readonly [string, Schema.Schema.AnyNoContext]> = [
  ["weather", Weather],
  ["one text", Schema.Struct({ query: Schema.String })],
  ["one number", Schema.Struct({ amount: Schema.Number.pipe(Schema.greaterThan(0), Schema.lessThan(1)) })],
  ["nothing", Schema.Struct({})],
  ["all optional", Schema.Struct({ a: Schema.optional(Schema.String), b: Schema.optional(Schema.Boolean) })],
  ["recursive", Tree],
  ["record", Schema.Struct({ labels: Schema.Record({ key: Schema.String, value: Schema.Int }) })],
  ["tuple", Schema.Struct({ point: Schema.Tuple(Schema.Number, Schema.Number) })],
  [
    "union",
    Schema.Struct({
      target: Schema.Union(Schema.Struct({ id: Schema.Int }), Schema.Struct({ name: Schema.String }), Schema.Null)
    })
  ],
  ["patterned", Schema.Struct({ code: Schema.String.pipe(Schema.pattern(/^[A-Z]{2}-\d{4}$/)), id: Schema.UUID })]
]
const tools = documents.map(([name, schema]) => ({
  name: name.replaceAll(" ", "_"),
  schema,
  parameters: JSONSchema.make(schema)
}))
const names = tools.map((tool) => tool.name)
const anyTool = FastCheck.constantFrom(...tools)
const anyClass = FastCheck.constantFrom(...Fault.damageClasses)
const anySeed = FastCheck.integer({ min: 0, max: 1_000_000 })
const anyKey = FastCheck.string().map(Fault.requestKey)
const share = FastCheck.integer({ min: 0, max: 8 }).map((percent) => percent / 100)

const meantBy = (seed: number, key: string, tool: (typeof tools)[number]) =>
  Option.getOrThrow(Fault.meantArguments(seed, key, tool))

/** What a strict reader built from other parts than the damage itself says: strict scan, then Effect Schema. */
const strictly = (tool: (typeof tools)[number], written: ReturnType<typeof Fault.damage>): string => {
  if (written.finishReason === "length") return "truncated"
  const blank = written.arguments.trim() === "" &&
    Either.isRight(Schema.decodeUnknownEither(tool.schema, { onExcessProperty: "error" })({}))
  const read = StrictJson.parse(blank ? "{}" : written.arguments)
  if (Either.isLeft(read)) return "malformed"
  const { hazards, value } = read.right
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "malformed"
  if (hazards.length > 0) return "hazardous"
  if (!names.includes(written.name)) return "misnamed"
  return Either.isLeft(Schema.decodeUnknownEither(tool.schema, { onExcessProperty: "error" })(value))
    ? "hallucinated"
    : "accepted"
}

const familyOf = (name: Fault.DamageClass) =>
  Object.entries(Fault.damageFamilies).find(([, members]) => members.some((member) => member === name))?.[0]

const errors: Readonly<Record<string, string>> = {
  malformed: "MalformedArguments",
  truncated: "TruncatedArguments",
  hazardous: "HazardousArguments",
  hallucinated: "InvalidArguments",
  misnamed: "UnknownTool"
}

const smallShare = FastCheck.integer({ min: 0, max: 2 }).map((percent) => percent / 200)

const anyStorm: FastCheck.Arbitrary<Fault.Plan> = FastCheck.record({
  seed: FastCheck.oneof(FastCheck.integer(), FastCheck.string()),
  toolCalls: FastCheck.record({ probability: share }),
  rateLimited: FastCheck.record({ probability: share }),
  serverErrors: FastCheck.record({ probability: share }),
  slow: FastCheck.record({ probability: share, duration: FastCheck.constant("20 millis") }),
  hangs: share,
  cuts: share,
  insufficientQuota: share,
  htmlPages: share,
  nonJson: share,
  emptyChoices: share,
  finishLength: share,
  streams: FastCheck.record({
    stallsBefore: FastCheck.record({ probability: smallShare }),
    stallsMid: FastCheck.record({ probability: smallShare, duration: FastCheck.constant("1 second") }),
    cuts: smallShare,
    errors: FastCheck.record({ probability: smallShare, when: FastCheck.constant(["late"] as const) }),
    duplicatedStarts: smallShare,
    missingTerminals: smallShare,
    slowTokens: FastCheck.record({ probability: smallShare, delay: FastCheck.constant("5 millis") }),
    byteChunks: smallShare,
    malformedChunks: smallShare
  }),
  background: FastCheck.record({
    repeatedEvents: FastCheck.record({ probability: smallShare }),
    tooOldToStream: smallShare,
    forgottenReplies: smallShare,
    noRetention: smallShare
  })
})
const someFaults: ReadonlyArray<Fault.Fault | null> = [
  null,
  Fault.hang,
  Fault.resetBeforeBody,
  Fault.resetDuringBody,
  Fault.insufficientQuota,
  Fault.serverError(529),
  Fault.slowReply("2 seconds"),
  Fault.rateLimited({ hint: "http-date", wait: "3 seconds" }),
  Fault.htmlErrorPage(200),
  Fault.nonJsonBody,
  Fault.emptyChoices,
  Fault.finishLength,
  Fault.damagedToolCall("double-encoded"),
  StreamFault.stallBeforeFirstToken(),
  StreamFault.stallMidStream("1 second"),
  StreamFault.cut("reset"),
  StreamFault.error({ when: "first", kind: "rate-limit" }),
  StreamFault.duplicatedStart,
  StreamFault.missingTerminal,
  StreamFault.slowTokens("5 millis"),
  StreamFault.byteChunks,
  StreamFault.malformedChunk,
  BackgroundFault.repeatedEvents("all"),
  BackgroundFault.tooOldToStream,
  BackgroundFault.forgottenReply,
  BackgroundFault.noRetention
]
const steps = FastCheck.array(FastCheck.constantFrom(...someFaults), { maxLength: 6 })
const anyScript = FastCheck.oneof(
  steps.map((inOrder) => Fault.script({ inOrder })),
  steps.map((everyRequest) => Fault.script({ everyRequest })),
  FastCheck.dictionary(FastCheck.string(), steps).map((byRequest) => Fault.script({ byRequest }))
)

describe("Fault", () => {
  describe("meant arguments", () => {
    it("are valid under the tool's schema, and the same at every arrival", () =>
      FastCheck.assert(
        FastCheck.property(anySeed, anyKey, anyTool, (seed, key, tool) => {
          const meant = meantBy(seed, key, tool)
          expect(meantBy(seed, key, tool)).toEqual(meant)
          expect(conforms(tool.parameters, tool.parameters, meant)).toBe(true)
          const decoded = Schema.decodeUnknownEither(tool.schema, { errors: "all", onExcessProperty: "error" })(meant)
          expect(Either.isRight(decoded), String(decoded)).toBe(true)
        }),
        { numRuns: runs(150, 500) }
      ))

    it("differ between requests", () => {
      const tool = tools[0]
      if (tool === undefined) throw new Error("no tool")
      const written = Array.from({ length: 50 }, (_, n) => JSON.stringify(meantBy(1, Fault.requestKey(`${n}`), tool)))
      expect(new Set(written).size).toBe(50)
    })

    it("are not made up where a pattern is beyond us", () => {
      const parameters = { type: "object", required: ["x"], properties: { x: { type: "string", pattern: "^q{7}z$" } } }
      expect(Option.isNone(Fault.meantArguments(1, "k", { name: "t", parameters }))).toBe(true)
    })
  })

  describe("damage", () => {
    it("is always refused by a strict reader, in the family of the class that was applied", () =>
      FastCheck.assert(
        FastCheck.property(anySeed, anyKey, anyTool, anyClass, (seed, key, tool, damageClass) => {
          const call = {
            name: tool.name,
            arguments: meantBy(seed, key, tool),
            parameters: tool.parameters,
            tools: names
          }
          const written = Fault.damage(call, damageClass, seed)
          expect(strictly(tool, written), `${written.applied} ${JSON.stringify(written)}`).toBe(
            familyOf(written.applied)
          )
          expect(Fault.damage(call, damageClass, seed)).toEqual(written)
        }),
        { numRuns: runs(1_000, 4_000) }
      ))

    const decoded = (toolkit: Toolkit.Any, written: ReturnType<typeof Fault.damage>) =>
      ToolCall.decodeOne(
        toolkit,
        { _tag: "ToolCall", id: "call_1", name: written.name, arguments: written.arguments },
        written.finishReason === "length" ? "length" : "tool-calls"
      )
    const kitOf = (repairs: ReadonlyArray<Repair.Repair>) =>
      Toolkit.make(
        ...documents.map(([, parameters], index) => Tool.make(names[index] ?? "", { parameters, repairs }))
      )
    const meantCall = (seed: number, key: string, tool: (typeof tools)[number]) => ({
      name: tool.name,
      arguments: meantBy(seed, key, tool),
      parameters: tool.parameters,
      tools: names
    })

    it.effect("is refused by ToolCall.decodeOne without repairs, with the error of its family", () =>
      Effect.gen(function*() {
        const toolkit = yield* kitOf(Repair.none)
        FastCheck.assert(
          FastCheck.property(anySeed, anyKey, anyTool, anyClass, (seed, key, tool, damageClass) => {
            const written = Fault.damage(meantCall(seed, key, tool), damageClass, seed)
            const outcome = decoded(toolkit, written)
            const family = familyOf(written.applied)
            expect(Either.isLeft(outcome) && outcome.left._tag, JSON.stringify(written)).toBe(errors[family ?? ""])
          }),
          { numRuns: runs(500, 2_000) }
        )
      }))

    it.effect("is refused by ToolCall.decodeOne with repairs, or read as it was meant", () =>
      Effect.gen(function*() {
        const toolkit = yield* kitOf(Repair.lossless)
        FastCheck.assert(
          FastCheck.property(anySeed, anyKey, anyTool, anyClass, (seed, key, tool, damageClass) => {
            const call = meantCall(seed, key, tool)
            const written = Fault.damage(call, damageClass, seed)
            const outcome = decoded(toolkit, written)
            if (Either.isLeft(outcome)) return
            const isReadable = familyOf(written.applied) === "malformed" || written.applied === "stringified-object"
            expect(isReadable, JSON.stringify(written)).toBe(true)
            expect(same(outcome.right.arguments, call.arguments), JSON.stringify(written)).toBe(true)
          }),
          { numRuns: runs(500, 2_000) }
        )
      }))

    it.each(Fault.damageClasses)("%s fits a call that has something of everything", (damageClass) => {
      const tool = tools[0]
      if (tool === undefined) throw new Error("no tool")
      const call = {
        name: "get_weather",
        arguments: {
          city: "Oslo",
          unit: "celsius",
          days: 3,
          note: "one\ntwo",
          detailed: true,
          stations: [{ code: "A", weight: 0.5 }, { code: "B", weight: 2 }]
        },
        parameters: tool.parameters,
        tools: ["get_weather"]
      }
      expect(Array.from({ length: 20 }, (_, seed) => Fault.damage(call, damageClass, seed).applied))
        .toEqual(Array.from({ length: 20 }, () => damageClass))
    })
  })

  describe("fate", () => {
    it("is the same whenever it is asked, and in whichever order", () =>
      FastCheck.assert(
        FastCheck.property(FastCheck.oneof(anyStorm, anyScript), FastCheck.array(anyKey), (plan, keys) => {
          const ask = (key: string) => [1, 2, 3, 4].map((arrival) => Option.getOrNull(Fault.fate(plan, key, arrival)))
          const forwards = new Map(keys.map((key) => [key, ask(key)]))
          for (const key of [...keys].reverse()) expect(ask(key)).toEqual(forwards.get(key))
        }),
        { numRuns: 200 }
      ))

    it("meets each fault as often as its share says", () => {
      const plan = Fault.storm({
        seed: 7,
        toolCalls: { probability: 0.18 },
        rateLimited: { probability: 0.08 },
        serverErrors: { probability: 0.05 },
        hangs: 0.03,
        cuts: 0.02
      })
      const arrivals = 40_000
      const seen = new Map<string, number>()
      for (let n = 0; n < arrivals / 4; n++) {
        for (const arrival of [1, 2, 3, 4]) {
          const tag = Option.match(Fault.fate(plan, Fault.requestKey(`request ${n}`), arrival), {
            onNone: () => "none",
            onSome: (fault) => fault._tag
          })
          seen.set(tag, (seen.get(tag) ?? 0) + 1)
        }
      }
      const part = (tag: string) => (seen.get(tag) ?? 0) / arrivals
      expect(part("DamagedToolCall")).toBeCloseTo(0.18, 2)
      expect(part("RateLimited")).toBeCloseTo(0.08, 2)
      expect(part("ServerError")).toBeCloseTo(0.05, 2)
      expect(part("Hang")).toBeCloseTo(0.03, 2)
      expect(part("ResetBeforeBody") + part("ResetDuringBody")).toBeCloseTo(0.02, 2)
      expect(part("none")).toBeCloseTo(0.64, 2)
    })

    it("meets faults of streams as often as their shares say, in every form", () => {
      const plan = Fault.storm({
        seed: 3,
        streams: {
          stallsBefore: { probability: 0.1 },
          stallsMid: { probability: 0.1, duration: "2 seconds" },
          cuts: 0.2,
          errors: { probability: 0.2, kinds: ["overloaded", "server"] },
          slowTokens: { probability: 0.1, delay: "5 millis" },
          malformedChunks: 0.1
        }
      })
      const arrivals = 20_000
      const seen = new Map<string, number>()
      for (let n = 0; n < arrivals; n++) {
        const fault = Option.getOrNull(Fault.fate(plan, Fault.requestKey(`${n}`), 1))
        const name = JSON.stringify(fault)
        seen.set(name, (seen.get(name) ?? 0) + 1)
      }
      const part = (fault: Fault.Fault | null) => (seen.get(JSON.stringify(fault)) ?? 0) / arrivals
      expect(part(StreamFault.stallBeforeFirstToken())).toBeCloseTo(0.1, 1)
      expect(part({ _tag: "StallMidStream", duration: "2 seconds" })).toBeCloseTo(0.1, 1)
      for (const close of StreamFault.closes) expect(part(StreamFault.cut(close))).toBeCloseTo(0.1, 1)
      for (const when of StreamFault.errorTimes) {
        for (const kind of ["overloaded", "server"] as const) {
          expect(part(StreamFault.error({ when, kind }))).toBeCloseTo(0.05, 1)
        }
      }
      expect(part({ _tag: "SlowTokens", delay: "5 millis" })).toBeCloseTo(0.1, 1)
      expect(part(StreamFault.malformedChunk)).toBeCloseTo(0.1, 1)
      expect(part(null)).toBeCloseTo(0.2, 1)
      expect(seen.size).toBe(11)
    })

    it("draws every damage class and every hint form", () => {
      const plan = Fault.storm({ seed: "all", toolCalls: { probability: 0.5 }, rateLimited: { probability: 0.5 } })
      const seen = new Set(
        Array.from({ length: 4_000 }, (_, n) =>
          Option.match(Fault.fate(plan, Fault.requestKey(`${n}`), 1), {
            onNone: () => "",
            onSome: (fault) =>
              fault._tag === "DamagedToolCall" ? fault.class : fault._tag === "RateLimited" ? fault.hint : ""
          }))
      )
      expect([...Fault.damageClasses, ...Fault.hintForms].filter((name) => !seen.has(name))).toEqual([])
    })

    it("follows a script: the request's own list, else the server's order, else every request's list", () => {
      const faults = (plan: Fault.Plan, key: string, ...places: ReadonlyArray<readonly [number, number]>) =>
        places.map(([arrival, order]) => Option.getOrNull(Fault.fate(plan, key, arrival, order)))
      const plan = Fault.script({ byRequest: { mine: [Fault.hang] }, inOrder: [null, Fault.serverError(500)] })
      expect(faults(plan, "mine", [1, 1], [2, 2])).toEqual([Fault.hang, null])
      expect(faults(plan, "other", [1, 1], [1, 2], [2, 3])).toEqual([null, Fault.serverError(500), null])
      const each = Fault.script({ everyRequest: [Fault.hang, null] })
      expect(faults(each, "any", [1, 9], [2, 10], [3, 11])).toEqual([Fault.hang, null, null])
    })
  })

  describe("least calls", () => {
    it("counts the arrivals up to the first that is not harmed", () =>
      FastCheck.assert(
        FastCheck.property(anyStorm, FastCheck.array(anyKey, { minLength: 1 }), (plan, keys) => {
          const least = Fault.leastCalls(plan, keys)
          for (const key of keys) {
            const calls = least.perKey[key] ?? 0
            const harmed = (arrival: number) => Option.exists(Fault.fate(plan, key, arrival), Fault.harms)
            expect(harmed(calls)).toBe(false)
            expect(Array.from({ length: calls - 1 }, (_, index) => harmed(index + 1))).not.toContain(false)
          }
          expect(least.total).toBe(Object.values(least.perKey).reduce((sum, calls) => sum + calls, 0))
        }),
        { numRuns: 200 }
      ))

    it("is infinite where nothing ever goes well", () =>
      expect(Fault.leastCalls(Fault.storm({ seed: 1, hangs: 1 }), ["a"]).total).toBe(Infinity))

    it("loses nothing to what ends well, and spares whoever asks for no stream", () => {
      const inStreams = [
        StreamFault.slowTokens("1 second"),
        StreamFault.byteChunks,
        StreamFault.duplicatedStart,
        StreamFault.stallMidStream("1 second"),
        StreamFault.stallMidStream(),
        StreamFault.cut(),
        StreamFault.missingTerminal
      ]
      expect(inStreams.filter(Fault.harms)).toEqual(inStreams.slice(4))
      const plan = Fault.script({ everyRequest: inStreams.slice(4) })
      expect(Fault.leastCalls(plan, ["a", "b"], { streams: (key) => key === "a" })).toEqual({
        total: 5,
        perKey: { a: 4, b: 1 }
      })
      expect(Fault.leastCalls(plan, ["a"]).total).toBe(4)
    })

    it("takes a slow reply for a reply, and the requests of an ordered script one after another", () =>
      expect(Fault.leastCalls(Fault.script({ inOrder: [Fault.hang, Fault.slowReply("1 second"), null, Fault.hang] }), [
        "a",
        "b",
        "c"
      ])).toEqual({ total: 5, perKey: { a: 2, b: 1, c: 2 } }))
  })

  describe("as JSON", () => {
    it("comes back unchanged", () =>
      FastCheck.assert(
        FastCheck.property(FastCheck.oneof(anyStorm, anyScript), (plan) => {
          const written: unknown = JSON.parse(JSON.stringify(Fault.encode(plan)))
          expect(Either.getOrThrow(Fault.decode(written))).toEqual(plan)
        }),
        { numRuns: 300 }
      ))

    const issues = (input: unknown) => Either.match(Fault.decode(input), { onLeft: (e) => e.issues, onRight: () => [] })

    it("names every wrong field with what was found and what is allowed", () => {
      expect(issues({
        toolCalls: { probability: 1.5, classes: ["raw-newline", "typo"] },
        rateLimited: { probability: 0.1, hints: [], wait: "-1 second" },
        hangs: Number.NaN,
        cutz: 0.1
      })).toEqual([
        { path: "cutz", found: "0.1", allowed: "no such field" },
        { path: "seed", found: "nothing", allowed: "a value: the field is required" },
        { path: "toolCalls.probability", found: "1.5", allowed: "a number from 0 to 1" },
        expect.objectContaining({ path: "toolCalls.classes.1", found: "\"typo\"" }),
        expect.objectContaining({ path: "rateLimited.hints.0", found: "nothing" }),
        expect.objectContaining({ path: "rateLimited.wait", found: "\"-1 second\"" }),
        { path: "hangs", found: "NaN", allowed: "a number from 0 to 1" }
      ])
    })

    it("refuses shares that add up to more than 1, durations of zero and foreign statuses", () => {
      expect(issues({ seed: 1, hangs: 0.6, cuts: 0.6 })).toMatchObject([
        { path: "", allowed: "shares that add up to at most 1 (here 1.2)" }
      ])
      expect(issues({ seed: 1, slow: { probability: 0.1, duration: "0 millis" } })).toMatchObject([
        { path: "slow.duration", found: "\"0 millis\"" }
      ])
      expect(issues({ seed: 1.5, serverErrors: { probability: 0.1, statuses: [404] } })).toMatchObject([
        { path: "seed", found: "1.5", allowed: "a whole number or a text" },
        { path: "serverErrors.statuses.0", found: "404", allowed: "500, 502, 503 or 529" }
      ])
      expect(issues({ script: { inOrder: [{ _tag: "Hang" }, { _tag: "ServerError", status: 404 }] } })).toMatchObject([
        { path: "script.inOrder.1.status", found: "404" }
      ])
      expect(issues("storm")).toHaveLength(1)
    })

    it("names what is wrong of streams", () => {
      expect(issues({
        seed: 1,
        streams: {
          cuts: 2,
          stalls: 0.1,
          stallsMid: { probability: 0.1, duration: "soon" },
          slowTokens: { probability: 0.1 },
          errors: { probability: 0.1, when: ["never"], kinds: ["quota"] }
        }
      })).toEqual([
        { path: "streams.stalls", found: "0.1", allowed: "no such field" },
        expect.objectContaining({ path: "streams.stallsMid.duration", found: "\"soon\"" }),
        { path: "streams.cuts", found: "2", allowed: "a number from 0 to 1" },
        { path: "streams.errors.when.0", found: "\"never\"", allowed: "first or late" },
        { path: "streams.errors.kinds.0", found: "\"quota\"", allowed: "overloaded, server or rate-limit" },
        { path: "streams.slowTokens.delay", found: "nothing", allowed: "a value: the field is required" }
      ])
      expect(issues({ script: { everyRequest: [{ _tag: "CutStream", close: "slowly" }, { _tag: "StallMidStream" }] } }))
        .toMatchObject([{ path: "script.everyRequest.0.close", found: "\"slowly\"", allowed: "clean or reset" }])
    })
  })
})
