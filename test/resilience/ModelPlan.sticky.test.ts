import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as ModelPlan from "../../src/resilience/ModelPlan.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const fail = ScriptedModel.fail
const overloaded = fail(new ModelError.Overloaded({ provider: "p" }))
const tooLong = fail(new ModelError.ContextLengthExceeded({ provider: "p" }))
const filtered = fail(new ModelError.ContentFiltered({ provider: "p", stage: "prompt" }))

const request: LanguageModel.Request = { prompt: "hello" }
const textOf = (plan: ModelPlan.ModelPlan) => Effect.map(plan.generate(request), (response) => response.text)
const count = (scripted: ScriptedModel.Memory | undefined) =>
  scripted === undefined ? Effect.succeed(0) : Effect.map(scripted.requests, (requests) => requests.length)

describe("ModelPlan that is sticky", () => {
  const sticky = (...scripts: ReadonlyArray<ReadonlyArray<ScriptedModel.Step>>) =>
    Effect.gen(function*() {
      const models = yield* Effect.forEach(
        scripts,
        (script, i) => ScriptedModel.make(script, { afterwards: ScriptedModel.text(`m${i}`) })
      )
      const plan = yield* ModelPlan.make({
        steps: models.map((each, i) => ({ name: `m${i}`, model: each })),
        sticky: "5 minutes"
      })
      return { plan, models }
    })

  it.effect("starts at the step that took over, until the time is over, to the millisecond", () =>
    Effect.gen(function*() {
      const { models: [first, second], plan } = yield* sticky([overloaded], [])
      expect(yield* plan.start).toBe("m0")
      expect(yield* textOf(plan)).toBe("m1")
      expect(yield* plan.start).toBe("m1")
      yield* TestClock.adjust(Duration.millis(299_999))
      expect(yield* textOf(plan)).toBe("m1")
      yield* TestClock.adjust("1 millis")
      expect(yield* plan.start).toBe("m0")
      expect(yield* textOf(plan)).toBe("m0")
      expect([yield* count(first), yield* count(second)]).toEqual([2, 2])
    }))

  it.effect("stays for another time when the first step is still unwell", () =>
    Effect.gen(function*() {
      const { plan } = yield* sticky([overloaded, overloaded], [])
      yield* textOf(plan)
      yield* TestClock.adjust("5 minutes")
      expect(yield* textOf(plan)).toBe("m1")
      expect(yield* plan.start).toBe("m1")
    }))

  it.effect("does not stay for an error that was about the request", () =>
    Effect.gen(function*() {
      const { plan } = yield* sticky([tooLong, filtered], [])
      expect([yield* textOf(plan), yield* textOf(plan), yield* textOf(plan)]).toEqual(["m1", "m1", "m0"])
    }))

  it.effect("stays with the first step that is well, though another could do this request", () =>
    Effect.gen(function*() {
      const { plan } = yield* sticky([overloaded], [tooLong], [])
      expect(yield* textOf(plan)).toBe("m2")
      expect(yield* plan.start).toBe("m1")
      expect(yield* textOf(plan)).toBe("m1")
    }))

  it.effect("comes round to the first step when all after the start have failed", () =>
    Effect.gen(function*() {
      const { plan } = yield* sticky([overloaded], [ScriptedModel.text("m1"), overloaded], [overloaded])
      expect(yield* textOf(plan)).toBe("m1")
      const report = yield* plan.generateWithReport(request)
      expect([report.step, report.failed.map(({ step }) => step)]).toEqual(["m0", ["m1", "m2"]])
      expect(yield* plan.start).toBe("m0")
    }))

  it.effect("changes nothing when nobody answers", () =>
    Effect.gen(function*() {
      const { plan } = yield* sticky([overloaded], [overloaded])
      expect((yield* Effect.flip(textOf(plan)))._tag).toBe("Overloaded")
      expect(yield* plan.start).toBe("m0")
    }))

  it.effect("takes no decision from a call that began before the last one was taken", () =>
    Effect.gen(function*() {
      const late = ScriptedModel.delayed("1 minute", overloaded)
      const { plan } = yield* sticky([late, overloaded], [ScriptedModel.text("m1"), overloaded], [])
      const slow = yield* Effect.fork(textOf(plan))
      yield* Effect.yieldNow()
      expect(yield* textOf(plan)).toBe("m1")
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(slow)).toBe("m2")
      expect(yield* plan.start).toBe("m1")
    }))

  it.effect("starts every call at the first step where it is not asked to stay", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: yield* ScriptedModel.make([overloaded, ScriptedModel.text("a")]) },
          { name: "b", model: yield* ScriptedModel.make([ScriptedModel.text("b")]) }
        ]
      })
      expect([yield* textOf(plan), yield* textOf(plan)]).toEqual(["b", "a"])
    }))
})
