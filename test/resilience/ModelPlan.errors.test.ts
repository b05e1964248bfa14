import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ModelError from "../../src/error/ModelError.ts"
import * as PolicyError from "../../src/error/PolicyError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as ModelPlan from "../../src/resilience/ModelPlan.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const fail = ScriptedModel.fail
const overloaded = fail(new ModelError.Overloaded({ provider: "p" }))
const filtered = fail(new ModelError.ContentFiltered({ provider: "p", stage: "prompt" }))
const always = (name: string, step: ScriptedModel.Step) => ScriptedModel.make([], { name, afterwards: step })
const request: LanguageModel.Request = { prompt: "hello" }

describe("the error of a plan", () => {
  it.effect("passes the last error through, and its message names every step with its error", () =>
    Effect.gen(function*() {
      const last = new ModelError.ServerError({ provider: "p", status: 503, detail: "down" })
      const open = new PolicyError.CircuitOpen({ name: "c", retryAfter: Duration.seconds(5) })
      for (const error of [last, open]) {
        const plan = yield* ModelPlan.make({
          name: "answers",
          steps: [
            { name: "small", model: yield* always("small", overloaded) },
            { name: "other", model: yield* always("other", filtered), when: { tags: ["ContextLengthExceeded"] } },
            { name: "large", model: yield* always("large", fail(error)) }
          ]
        })
        const alone = error.message
        for (
          const failed of [
            yield* Effect.flip(plan.generate(request)),
            yield* Effect.flip(Stream.runDrain(plan.stream(request)))
          ]
        ) {
          expect(failed).toBe(error)
          expect(failed.message.startsWith(alone)).toBe(true)
          expect(failed.message).toContain("\"large\", the last step tried of the plan \"answers\"")
          expect(failed.message).toContain("Tried before: small (p: the provider is overloaded")
          expect(failed.message).toContain("Not for these errors: other")
        }
      }
    }))

  it.effect("says nothing of a plan at the error of a plan of one step", () =>
    Effect.gen(function*() {
      const error = new ModelError.ServerError({ provider: "p" })
      const plan = yield* ModelPlan.make({ steps: [{ name: "a", model: yield* always("a", fail(error)) }] })
      expect((yield* Effect.flip(plan.generate(request))).message).not.toContain("plan")
    }))

  it.effect("is named in full by a run of tools that failed for it", () =>
    Effect.gen(function*() {
      const Plan = ModelPlan.layer({
        name: "answers",
        steps: [
          { name: "small", model: yield* always("small", overloaded) },
          { name: "large", model: yield* always("large", fail(new ModelError.ServerError({ provider: "p" }))) }
        ]
      })
      const toolkit = yield* Toolkit.make()
      const failed = yield* Effect.flip(
        Effect.provide(ToolLoop.run({ prompt: "hello", toolkit, handlers: {} }), Plan)
      )
      expect(failed._tag).toBe("RunFailed")
      expect(failed.message).toContain("Tried before: small (p: the provider is overloaded")
    }))
})
