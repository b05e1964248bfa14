/** Tool calls written wrongly in every way we know, over real sockets in four protocols: run as meant, or not at all. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as JsonSchema from "../../src/adapter/JsonSchema.ts"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import { runs } from "../runs.ts"
import { modelOf, type Spelling, type WireName, wireNames } from "./chaosWires.ts"

const BookFlight = Tool.make("book_flight", {
  parameters: Schema.Struct({
    from: Schema.String,
    passengers: Schema.Int.pipe(Schema.between(1, 100)),
    note: Schema.String,
    legs: Schema.Array(Schema.Struct({ to: Schema.String, cabin: Schema.Literal("economy", "business") }))
  })
})
const SetReminder = Tool.make("set_reminder", {
  parameters: Schema.Struct({
    message: Schema.String,
    at: Schema.Struct({ date: Schema.String, days: Schema.Int }),
    urgent: Schema.Boolean,
    people: Schema.Array(Schema.String),
    amount: Schema.NullOr(Schema.Number)
  })
})
const searchFiles = (more: object) =>
  JsonSchema.tool("search_files", {
    inputSchema: {
      type: "object",
      properties: { path: { type: "string" }, pattern: { type: "string" }, limit: { type: "integer", minimum: 1 } },
      ...more
    }
  })

const kitWith = (more: object) =>
  Effect.runSync(Effect.flatMap(searchFiles(more), (tool) => Toolkit.make(BookFlight, SetReminder, tool)))

/**
 * As MCP servers declare them, tools ask for little and take whatever else is sent. In a vendor's dialect the schema that
 * goes over the wire may ask for more (all members, no others), or for less (no bounds). Damage is what breaks the wire's
 * schema, so there the tools are such as mean the same in all.
 */
const kits = {
  plain: kitWith({}),
  own: kitWith({ required: ["path", "pattern", "limit"], additionalProperties: false })
}

/** A handler that ran, and what with. */
interface Ran {
  readonly name: string
  readonly callId: string
  readonly arguments: unknown
}

/** How one request ended. */
interface Ending {
  readonly ran: ReadonlyArray<Ran>
  /** Calls that were accepted. */
  readonly accepted: number
  readonly repaired: boolean
  readonly refused: ReadonlyArray<ToolLoop.Refused>
  readonly failure: string | undefined
}

type Mode = "generate" | "stream"

type Kit = (typeof kits)[Spelling]

const bookkeeping = Effect.map(Ref.make<ReadonlyArray<Ran>>([]), (ran) => {
  const write = (name: string) => (parameters: unknown, { callId }: Toolkit.HandlerContext) =>
    Effect.as(Ref.update(ran, (before) => [...before, { name, callId, arguments: parameters }]), "done")
  return {
    ran: Ref.get(ran),
    handlers: {
      book_flight: write("book_flight"),
      set_reminder: write("set_reminder"),
      search_files: write("search_files")
    }
  }
})

const repairedAny = (calls: ReadonlyArray<Toolkit.Call>) => calls.some(({ repairs }) => repairs.length > 0)

/** One request through {@link ToolLoop.call}. */
const generated = (prompt: string, toolkit: Kit) =>
  Effect.gen(function*() {
    const { handlers, ran } = yield* bookkeeping
    const outcome = yield* Effect.either(ToolLoop.call({ prompt, toolkit, handlers }))
    const ending: Ending = Either.match(outcome, {
      onLeft: (error) => ({ ran: [], accepted: 0, repaired: false, refused: [], failure: error._tag }),
      onRight: ({ calls, refused }) => ({
        ran: [],
        accepted: calls.length,
        repaired: repairedAny(calls),
        refused,
        failure: undefined
      })
    })
    return { ...ending, ran: yield* ran }
  })

/** One request through {@link ToolLoop.stream}, to the model's last word. */
const streamed = (prompt: string, toolkit: Kit) =>
  Effect.gen(function*() {
    const { handlers, ran } = yield* bookkeeping
    const seen: Array<ToolLoop.Progress<Kit["tools"]>> = []
    const outcome = yield* Effect.either(
      Stream.runForEach(
        ToolLoop.stream({ prompt, toolkit, handlers }),
        (progress) => Effect.sync(() => void seen.push(progress))
      )
    )
    const steps = seen.flatMap((one) => one._tag === "Done" ? one.outcome.steps : [])
    const ending: Ending = {
      ran: yield* ran,
      accepted: seen.filter((one) => one._tag === "Result").length,
      repaired: steps.some((step) => repairedAny(step.calls)),
      refused: seen.flatMap((one) => one._tag === "Refused" ? [one.error] : []),
      failure: Either.isRight(outcome)
        ? undefined
        : outcome.left._tag === "RunFailed"
        ? outcome.left.error._tag
        : outcome.left._tag
    }
    return ending
  })

const ask: Readonly<Record<Mode, typeof generated>> = { generate: generated, stream: streamed }

/** The calls that the model meant, unless the request ended without one. */
const due = (server: ChaosServer.Service, text: string, { failure }: Ending) =>
  failure === undefined ? Effect.map(server.meant(text), Option.getOrThrow) : Effect.succeed([])

/** Sends every text and holds what was run against what was meant. */
const meet = (
  wire: WireName,
  spelling: Spelling,
  plan: Fault.Plan,
  texts: ReadonlyArray<readonly [text: string, mode: Mode]>
) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ plan })
    const model = yield* modelOf(server, wire, spelling)
    const endings = yield* Effect.forEach(
      texts,
      ([text, mode]) =>
        Effect.map(
          Effect.provideService(ask[mode](text, kits[spelling]), LanguageModel.LanguageModel, model),
          (ending) => ({ ...ending, text, mode })
        ),
      { concurrency: 20 }
    )
    for (const ending of endings) {
      const { accepted, failure, mode, ran, text } = ending
      const about = `${wire} ${mode}: ${text}`
      const ranWith = ran.map((one) => ({ name: one.name, arguments: one.arguments }))
      expect(ranWith, about).toEqual(yield* due(server, text, ending))
      expect(accepted, about).toBe(ran.length)
      expect(new Set(ran.map(({ callId }) => callId)).size, about).toBe(ran.length)
      expect(["ToolCallsRejected", "InvalidToolCall", "Truncated", undefined], about).toContain(failure)
    }
    return { server, endings, counts: countsOf(endings) }
  })

const countsOf = (endings: ReadonlyArray<Ending>) => {
  const kinds = endings.map(({ failure, refused, repaired }) =>
    failure !== undefined
      ? "typed failure"
      : refused.length > 0
      ? "healed by re-ask"
      : repaired
      ? "healed by repair"
      : "right at once"
  )
  const count = (kind: (typeof kinds)[number]) => kinds.filter((one) => one === kind).length
  return {
    "right at once": count("right at once"),
    "healed by repair": count("healed by repair"),
    "healed by re-ask": count("healed by re-ask"),
    "typed failure": count("typed failure")
  }
}

const shown = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", ")

const modes = ["generate", "stream"] as const

const count = runs(80, 500)

describe.each(wireNames)(`${count} tool calls over %s, a fifth of them damaged`, (wire) => {
  it.scopedLive("each is run once and as it was meant, or is a typed failure", () =>
    Effect.gen(function*() {
      const plan = Fault.storm({ seed: 500, toolCalls: { probability: 0.2 }, finishLength: 0.03 })
      const texts = Array.from({ length: count }, (_, n) => [`Request ${n}`, modes[n % 2] ?? "generate"] as const)
      const { counts, server } = yield* meet(wire, "plain", plan, texts)
      const books = yield* server.books
      console.log(
        `${wire}: ${shown(counts)}; ${books.faults.DamagedToolCall} damaged in ${
          Object.keys(books.damage).length
        } ways, ${books.faults.FinishLength} cut`
      )
      expect(Object.values(counts).reduce((sum, one) => sum + one, 0)).toBe(count)
      // Gemini reads the calls of its model itself: of all slips only a structure written as text comes through.
      if (wire !== "gemini") expect(counts["healed by repair"]).toBeGreaterThan(0)
      expect(counts["healed by re-ask"]).toBeGreaterThan(count / 10)
      expect(counts["typed failure"]).toBeLessThan(count / 20)
      expect(books.inFlight).toBe(0)
    }))

  it.scopedLive("every way to damage a call is healed, when the next one is right", () =>
    Effect.gen(function*() {
      const faults = [...Fault.damageClasses.map((name) => Fault.damagedToolCall(name)), Fault.finishLength]
      // Each by both modes; in the short form by one of them, in turn.
      const texts = faults.flatMap((fault, n) =>
        modes.filter((_, m) => runs(m === n % 2, true)).map((mode) => {
          const name = fault._tag === "DamagedToolCall" ? fault.class : fault._tag
          return [`A call with ${name}, by ${mode}`, mode, fault] as const
        })
      )
      const plan = Fault.script({
        byRequest: Object.fromEntries(texts.map(([text, , fault]) => [Fault.requestKey(text), [fault]]))
      })
      const { counts, endings } = yield* meet(wire, "own", plan, texts.map(([text, mode]) => [text, mode] as const))
      console.log(`${wire}, each damage once: ${shown(counts)}`)
      expect(endings.filter(({ failure }) => failure !== undefined)).toEqual([])
      expect(counts["right at once"]).toBe(0)
    }))
})
