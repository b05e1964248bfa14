/** What stands round a model that keeps its replies passes that on: they are still gone on with where they broke. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ModelPlan from "../../src/resilience/ModelPlan.ts"
import * as Recovery from "../../src/resilience/Recovery.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ResilientStream from "../../src/resilience/ResilientStream.ts"
import { fail, finish, hang, keeping, modelOf, overloaded, start, text } from "./scriptedStream.ts"

const request = { prompt: "hello" }
const filtered = fail(new ModelError.ContentFiltered({ provider: "scripted", stage: "completion" }))

const run = (model: LanguageModel.Service, otherwise: "restart" | "fail" = "fail") =>
  Effect.gen(function*() {
    const pipeline = yield* Pipeline.make({
      stream: { onBreak: "resume", otherwise },
      retry: { backoff: "immediate", attempts: 5 }
    })
    const seen: Array<StreamPart.StreamPart> = []
    yield* ResilientStream.strengthen(model, pipeline)(request).pipe(
      Stream.runForEach((part) => Effect.sync(() => seen.push(part)))
    )
    const reply = yield* StreamPart.collect(Stream.fromIterable(seen))
    return { tags: seen.map(({ _tag }) => _tag), reply }
  })

const resume = { stream: { onBreak: "resume" }, retry: { backoff: "immediate", attempts: 5 } } as const

const whole = ["Start", "TextDelta", "TextDelta", "Finish"]

describe("ModelPlan", () => {
  it.effect("goes on with the reply of the step that answers", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One "), fail()], [text("two"), finish()]])
      const plan = yield* ModelPlan.make({ steps: [{ name: "a", model: model() }] })
      expect(plan.capabilities.resume).toEqual({ vendor: true })
      const { reply, tags } = yield* run(plan)
      expect(tags).toEqual(whole)
      expect(reply.text).toBe("One two")
      expect(counts).toMatchObject({ requests: 1, resumes: 1, cancels: 0 })
    }))

  it.effect("takes the next step where one fails before its content, and goes on with that one", () =>
    Effect.gen(function*() {
      const first = keeping([[start, fail()]])
      const second = keeping([[start, text("One "), fail()], [text("two"), finish()]])
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: first.model() },
          { name: "b", model: second.model() }
        ]
      })
      const { reply, tags } = yield* run(plan)
      expect(tags).toEqual(whole)
      expect(reply.text).toBe("One two")
      expect(second.counts).toMatchObject({ requests: 1, resumes: 1, cancels: 0 })
      // Nobody wants the reply of the first any more.
      expect(first.counts).toMatchObject({ requests: 1, resumes: 0, cancels: 1 })
    }))

  it.effect("begins anew, as declared, where the step that answers keeps nothing", () =>
    Effect.gen(function*() {
      const first = keeping([[start, fail()]], [[start, fail()]])
      const { model: second } = modelOf([start, text("One "), fail()], [start, text("One "), text("two"), finish()])
      const plan = yield* ModelPlan.make({
        steps: [{ name: "a", model: first.model() }, { name: "b", model: second }]
      })
      const { reply, tags } = yield* run(plan, "restart")
      expect(tags).toEqual(["Start", "TextDelta", "Reset", ...whole])
      expect(reply.text).toBe("One two")
    }))

  it.effect("cancels the reply for a consumer that leaves", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One "), hang]])
      const plan = yield* ModelPlan.make({ steps: [{ name: "a", model: model() }] })
      const pipeline = yield* Pipeline.make(resume)
      const first = yield* ResilientStream.strengthen(plan, pipeline)(request).pipe(
        Stream.takeUntil(({ _tag }) => _tag === "TextDelta"),
        Stream.runCount
      )
      expect(first).toBe(2)
      expect(counts).toMatchObject({ requests: 1, cancels: 1 })
    }))

  it.effect("keeps nothing where no step does, or where the pipelines of the steps go on by themselves", () =>
    Effect.gen(function*() {
      const { model } = modelOf([start, finish()])
      const plain = yield* ModelPlan.make({ steps: [{ name: "a", model }] })
      const { model: kept } = keeping([])
      const strong = yield* ModelPlan.make({
        steps: [{ name: "a", model: kept(), pipeline: resume }]
      })
      for (const plan of [plain, strong]) {
        expect(plan.resumable).toBeUndefined()
        expect(plan.capabilities.resume?.vendor).toBeUndefined()
      }
    }))

  it.effect("lets another request continue the text only where every step can take it", () =>
    Effect.gen(function*() {
      const { model } = keeping()
      const [prefill, followUp] = [model([], "prefill"), model([], "followUp")]
      const resumeOf = (...models: ReadonlyArray<LanguageModel.Service>) =>
        Effect.map(
          ModelPlan.make({ steps: models.map((each, at) => ({ name: String(at), model: each })) }),
          ({ capabilities }) => capabilities.resume
        )
      expect(yield* resumeOf(prefill, prefill)).toEqual({ continuation: "prefill" })
      expect(yield* resumeOf(prefill, followUp)).toBeUndefined()
    }))
})

describe("Recovery", () => {
  const table = { ContentFiltered: () => Recovery.reply("Let us talk of something else.") }

  it.effect("leaves what its table does not name to be gone on after", () =>
    Effect.gen(function*() {
      const { counts, model } = keeping([[start, text("One "), fail()], [text("two"), finish()]])
      const { reply, tags } = yield* run(Recovery.strengthen(model(), yield* Recovery.make({ table })))
      expect(tags).toEqual(whole)
      expect(reply.text).toBe("One two")
      expect(counts).toMatchObject({ requests: 1, resumes: 1 })
    }))

  it.effect("answers in place of a kept reply that fails, before its content and behind it, and when it is gone on with", () =>
    Effect.gen(function*() {
      for (
        const [scripts, tags] of [
          [[[start, filtered]], ["Start", "TextDelta", "Finish"]],
          [[[start, text("One "), filtered]], ["Start", "TextDelta", "Reset", "Start", "TextDelta", "Finish"]],
          [
            [[start, text("One "), fail()], [filtered]],
            ["Start", "TextDelta", "Reset", "Start", "TextDelta", "Finish"]
          ]
        ] as const
      ) {
        const { model } = keeping(scripts)
        const recovered = yield* run(Recovery.strengthen(model(), yield* Recovery.make({ table })))
        expect(recovered.tags).toEqual(tags)
        expect(recovered.reply.text).toBe("Let us talk of something else.")
        expect(Recovery.degradedBy(recovered.reply)._tag).toBe("Some")
      }
    }))

  it.effect("answers where the provider refuses to keep the reply", () =>
    Effect.gen(function*() {
      const model = LanguageModel.make<ModelError.ModelError>({
        name: "m",
        provider: "p",
        capabilities: { resume: { vendor: true } },
        generate: () => Effect.fail(overloaded),
        resumable: () => Effect.fail(new ModelError.ContentFiltered({ provider: "p", stage: "prompt" }))
      })
      const { reply } = yield* run(Recovery.strengthen(model, yield* Recovery.make({ table })))
      expect(reply.text).toBe("Let us talk of something else.")
    }))
})

it.effect("a strengthened model goes on by itself, so a plan or a recovery round it has nothing to pass on", () =>
  Effect.gen(function*() {
    const { model } = keeping([])
    const pipeline = yield* Pipeline.make(resume)
    const strong = ResilientModel.strengthen(model(), pipeline)
    const recovered = Recovery.strengthen(
      strong,
      yield* Recovery.make({ table: { Truncated: () => Recovery.reply("…") } })
    )
    expect(recovered.resumable).toBeUndefined()
    expect(recovered.capabilities.resume?.vendor).toBeUndefined()
  }))
