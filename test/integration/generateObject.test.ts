import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import { modelOf, wireNames } from "./chaosWires.ts"

const Report = Schema.Struct({
  city: Schema.NonEmptyString,
  unit: Schema.Literal("celsius", "fahrenheit"),
  days: Schema.Int,
  rain: Schema.Boolean,
  notes: Schema.Array(Schema.String),
  wind: Schema.optional(Schema.Struct({ from: Schema.String, speed: Schema.Number }))
})
const output = { name: "report", description: "The weather to come", schema: Report }

/** The last thing that is told, and everything shown before it. */
const streamed = (given: Omit<GenerateObject.Options<typeof Report.Type, typeof Report.Encoded>, "output">) =>
  Effect.map(
    Stream.runCollect(GenerateObject.stream({ ...given, output })),
    (seen) => {
      const all = [...seen]
      const last = all.at(-1)
      const shown = all.flatMap((progress) => progress._tag === "Partial" ? [progress.shown] : [])
      return { outcome: last?._tag === "Done" ? last.outcome : undefined, shown }
    }
  )

describe.each(wireNames)("GenerateObject against a misbehaving %s", (wire) => {
  it.scopedLive("natively: right at once, whole and as a stream, lists as well", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make()
      const model = yield* modelOf(server, wire)
      yield* Effect.gen(function*() {
        const whole = yield* GenerateObject.call({ prompt: "Weather?", mode: "native", output })
        expect(whole).toMatchObject({ source: "text", reasks: 0, repairs: [] })
        expect(Schema.is(Report)(whole.value)).toBe(true)
        expect(whole.usage.totalTokens).toBeGreaterThan(0)
        const { outcome, shown } = yield* streamed({ prompt: "Weather?" })
        expect(outcome?.value).toEqual(whole.value)
        expect(shown.length).toBeGreaterThan(1)
        expect(shown.at(-1)).toEqual(whole.value)
        const list = yield* GenerateObject.call({
          prompt: "Weather of the week?",
          output: { name: "reports", schema: Schema.Array(Report) }
        })
        expect(Schema.is(Schema.Array(Report))(list.value)).toBe(true)
      }).pipe(Effect.provideService(LanguageModel.LanguageModel, model))
      expect((yield* server.books).right).toMatchObject({ texts: 3, toolCalls: 0 })
    }))

  it.scopedLive("natively: asks again for an answer that was cut off", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make({ plan: Fault.script({ everyRequest: [Fault.finishLength] }) })
      const model = yield* modelOf(server, wire)
      const { reasks, refused, value } = yield* GenerateObject.call({ prompt: "Weather?", output }).pipe(
        Effect.provideService(LanguageModel.LanguageModel, model)
      )
      expect([reasks, refused]).toMatchObject([1, [{ kind: "TruncatedArguments", finishReason: "length" }]])
      expect(Schema.is(Report)(value)).toBe(true)
    }))

  it.scopedLive(
    "by a tool: every question ends as the meant answer or as a typed failure",
    () =>
      Effect.gen(function*() {
        const server = yield* ChaosServer.make({ plan: Fault.storm({ seed: 7, toolCalls: { probability: 0.4 } }) })
        const model = yield* modelOf(server, wire)
        const questions = Array.from({ length: 40 }, (_, index) => `Weather of day ${index}?`)
        const ask = (prompt: string, index: number) =>
          index % 2 === 0
            ? GenerateObject.call({ prompt, mode: "tool", output })
            : Effect.flatMap(streamed({ prompt, mode: "tool" }), ({ outcome }) => Effect.fromNullable(outcome))
        const outcomes = yield* Effect.forEach(
          questions,
          (prompt, index) => Effect.all({ ended: Effect.either(ask(prompt, index)), meant: server.meant(prompt) }),
          { concurrency: 8 }
        ).pipe(Effect.provideService(LanguageModel.LanguageModel, model))
        let healed = 0
        for (const { ended, meant } of outcomes) {
          if (Either.isLeft(ended)) expect(ended.left).toMatchObject({ _tag: "ObjectRejected" })
          else {
            const { reasks, source, value } = ended.right
            expect(source).toBe("call")
            expect(value).toEqual(Option.getOrThrow(meant)[0]?.arguments)
            if (reasks > 0) healed++
          }
        }
        const right = outcomes.filter(({ ended }) => Either.isRight(ended)).length
        expect(right).toBeGreaterThan(30)
        expect(healed).toBeGreaterThan(3)
        console.log(`  ${wire}: ${right} of 40 right, ${healed} of them by asking again`)
      }),
    30_000
  )
})
