import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as ModelPlan from "../../src/resilience/ModelPlan.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const fail = ScriptedModel.fail
const overloaded = fail(new ModelError.Overloaded({ provider: "p" }))
const tooLong = fail(new ModelError.ContextLengthExceeded({ provider: "p" }))
const filtered = fail(new ModelError.ContentFiltered({ provider: "p", stage: "prompt" }))
const badKey = fail(new ModelError.Authentication({ provider: "p" }))
const badRequest = fail(new ModelError.InvalidRequest({ provider: "p" }))
const badCall = fail(new ModelError.InvalidToolCall({ provider: "p" }))

/** A model that always does the same, and whose name is its answer. */
const model = (name: string, ...script: ReadonlyArray<ScriptedModel.Step>) =>
  ScriptedModel.make(script, { name, provider: `of ${name}`, afterwards: ScriptedModel.text(name) })
const always = (name: string, step: ScriptedModel.Step) => ScriptedModel.make([], { name, afterwards: step })

const request: LanguageModel.Request = { prompt: "hello" }
const textOf = (plan: ModelPlan.ModelPlan) => Effect.map(plan.generate(request), (response) => response.text)
const count = (scripted: ScriptedModel.Memory) => Effect.map(scripted.requests, (requests) => requests.length)

describe("ModelPlan", () => {
  it.effect("is answered by the first step, as long as that can", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* model("a"), yield* model("b")]
      const plan = yield* ModelPlan.make({ steps: [{ name: "a", model: a }, { name: "b", model: b }] })
      expect(yield* textOf(plan)).toBe("a")
      expect(yield* count(b)).toBe(0)
    }))

  it.effect("goes on to the next step when the error's verdict allows it", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: yield* always("a", overloaded) },
          { name: "b", model: yield* always("b", filtered) },
          { name: "c", model: yield* model("c") }
        ]
      })
      expect(yield* textOf(plan)).toBe("c")
    }))

  it.effect("goes on to another vendor when one refuses the key, and asks no other step of that one", () =>
    Effect.gen(function*() {
      const denied = fail(new ModelError.PermissionDenied({ provider: "one" }))
      const of = (provider: string, step: ScriptedModel.Step) =>
        ScriptedModel.make([], { name: provider, provider, afterwards: step })
      for (const refusal of [badKey, denied]) {
        const same = yield* of("one", ScriptedModel.text("same"))
        const plan = (...others: ReadonlyArray<{ readonly name: string; readonly model: LanguageModel.Service }>) =>
          Effect.flatMap(
            of("one", refusal),
            (first) => ModelPlan.make({ steps: [{ name: "a", model: first }, ...others] })
          )
        const onward = yield* plan(
          { name: "b", model: same },
          { name: "c", model: yield* of("two", ScriptedModel.text("other")) }
        )
        expect(yield* textOf(onward)).toBe("other")
        expect(yield* Effect.either(textOf(yield* plan({ name: "b", model: same })))).toMatchObject({ _tag: "Left" })
        expect(yield* count(same)).toBe(0)
        const all = yield* plan({ name: "c", model: yield* of("two", overloaded) })
        const exhausted = yield* Effect.flip(all.generateOrExhausted(request))
        expect(exhausted.steps.map(({ error, step }) => `${step} ${error._tag}`)).toEqual([
          `a ${refusal === badKey ? "Authentication" : "PermissionDenied"}`,
          "c Overloaded"
        ])
      }
    }))

  it.effect("stops on a verdict Fail, with that error", () =>
    Effect.gen(function*() {
      const b = yield* model("b")
      const plan = yield* ModelPlan.make({
        steps: [{ name: "a", model: yield* always("a", badRequest) }, { name: "b", model: b }]
      })
      expect((yield* Effect.flip(textOf(plan)))._tag).toBe("InvalidRequest")
      expect(yield* count(b)).toBe(0)
    }))

  it.effect("leaves a bad tool call to who can ask the model again", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [{ name: "a", model: yield* always("a", badCall) }, { name: "b", model: yield* model("b") }]
      })
      expect((yield* Effect.flip(textOf(plan)))._tag).toBe("InvalidToolCall")
    }))

  it.effect("goes on from a verdict Fail only where a step names the error", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: yield* always("a", badRequest) },
          { name: "b", model: yield* model("b"), when: { predicate: () => true } },
          { name: "c", model: yield* model("c"), when: { tags: ["InvalidRequest"] } }
        ]
      })
      expect(yield* textOf(plan)).toBe("c")
    }))

  it.effect("takes the step that is for the error: a larger model, another vendor", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "small", model: yield* model("small", tooLong, filtered, overloaded) },
          { name: "large", model: yield* model("large"), when: { tags: ["ContextLengthExceeded"] } },
          { name: "vendor", model: yield* model("vendor"), when: { predicate: (e) => e._tag === "ContentFiltered" } },
          { name: "spare", model: yield* model("spare"), when: { actions: ["Retry"] } }
        ]
      })
      expect([yield* textOf(plan), yield* textOf(plan), yield* textOf(plan)]).toEqual(["large", "vendor", "spare"])
    }))

  it.effect("fails with the last error when no step is left that is for it", () =>
    Effect.gen(function*() {
      const large = yield* model("large")
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "small", model: yield* always("small", overloaded) },
          { name: "large", model: large, when: { tags: ["ContextLengthExceeded"] } }
        ]
      })
      expect((yield* Effect.flip(textOf(plan)))._tag).toBe("Overloaded")
      expect(yield* count(large)).toBe(0)
    }))

  it.effect("finds the next specialist when the first one of them fails", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "small", model: yield* always("small", tooLong) },
          { name: "large", model: yield* always("large", overloaded), when: { tags: ["ContextLengthExceeded"] } },
          { name: "huge", model: yield* model("huge"), when: { tags: ["ContextLengthExceeded"] } }
        ]
      })
      expect(yield* textOf(plan)).toBe("huge")
    }))

  it.effect("judges errors by the verdict it was given", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [{ name: "a", model: yield* always("a", overloaded) }, { name: "b", model: yield* model("b") }],
        verdict: () => Verdict.make("Fail")
      })
      expect((yield* Effect.flip(textOf(plan)))._tag).toBe("Overloaded")
    }))

  it.effect("says as a model who it is made of and what any of them can take", () =>
    Effect.gen(function*() {
      const a = yield* ScriptedModel.make([], {
        provider: "x",
        capabilities: { tools: false, images: false, structuredOutput: false }
      })
      const b = yield* ScriptedModel.make([], { provider: "y", capabilities: { images: false } })
      const plan = yield* ModelPlan.make({
        name: "answers",
        steps: [{ name: "a", model: a }, { name: "b", model: b }, { name: "c", model: a }]
      })
      expect([plan.name, plan.provider, plan.capabilities]).toEqual(["answers", "x+y", {
        tools: true,
        images: false,
        structuredOutput: true
      }])
    }))

  it.effect("can be a step of another plan", () =>
    Effect.gen(function*() {
      const inner = yield* ModelPlan.make({ steps: [{ name: "a", model: yield* always("a", overloaded) }] })
      const outer = yield* ModelPlan.make({
        steps: [{ name: "inner", model: inner }, { name: "b", model: yield* model("b") }]
      })
      expect(yield* textOf(outer)).toBe("b")
    }))
})

describe("ModelPlan and its pipelines", () => {
  it.effect("each step has its own: the first retries before the second is asked", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* always("a", overloaded), yield* model("b", overloaded)]
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: a, pipeline: { retry: { backoff: "immediate", attempts: 3 } } },
          { name: "b", model: b, pipeline: { retry: { backoff: "immediate", attempts: 2 } } }
        ]
      })
      expect(yield* textOf(plan)).toBe("b")
      expect([yield* count(a), yield* count(b)]).toEqual([3, 2])
    }))

  it.effect("a step that hangs is timed out by its pipeline, and the next one answers", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: yield* always("a", ScriptedModel.hang), pipeline: { totalTimeout: "10 seconds" } },
          { name: "b", model: yield* model("b") }
        ]
      })
      const fiber = yield* Effect.fork(textOf(plan))
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(fiber)).toBe("b")
    }))

  it.effect("takes a pipeline that is made already", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ retry: { backoff: "immediate", attempts: 2 } })
      const a = yield* model("a", overloaded)
      const plan = yield* ModelPlan.make({ steps: [{ name: "a", model: a, pipeline }] })
      expect(yield* textOf(plan)).toBe("a")
    }))

  it.effect("events of a step's pipeline bear the names of plan and step", () =>
    Effect.gen(function*() {
      const recorder = yield* Monitor.recorder
      const plan = yield* ModelPlan.make({
        name: "answers",
        steps: [
          {
            name: "a",
            model: yield* model("a", overloaded),
            pipeline: { retry: { backoff: "immediate", attempts: 2 } }
          }
        ]
      })
      yield* Effect.provideService(textOf(plan), Monitor.Monitor, recorder.monitor)
      expect((yield* recorder.events)[0]).toMatchObject({ _tag: "Retried", name: "answers/a" })
    }))

  it.effect("a layer is built once, whatever the number of calls, attempts and steps that use it", () =>
    Effect.gen(function*() {
      const built = yield* Ref.make(0)
      const released = yield* Ref.make(0)
      const counting = Layer.scoped(
        LanguageModel.LanguageModel,
        Effect.acquireRelease(
          Effect.zipRight(Ref.update(built, (n) => n + 1), always("a", overloaded)),
          () => Ref.update(released, (n) => n + 1)
        )
      )
      const retrying = { retry: { backoff: "immediate", attempts: 3 } } as const
      const plan = ModelPlan.layer({
        steps: [
          { name: "a", model: counting, pipeline: retrying },
          { name: "b", model: counting, pipeline: retrying },
          { name: "c", model: ScriptedModel.layer([], { afterwards: ScriptedModel.text("c") }) }
        ]
      })
      const texts = yield* Effect.forEach([1, 2, 3, 4], () => LanguageModel.generate(request)).pipe(
        Effect.map((responses) => responses.map((response) => response.text)),
        Effect.tap(() => Effect.map(released, (n) => expect(n).toBe(0))),
        Effect.provide(plan)
      )
      expect([texts, yield* built, yield* released]).toEqual([["c", "c", "c", "c"], 1, 1])
    }))

  it.effect("state in a layer survives attempts and calls", () =>
    Effect.gen(function*() {
      const plan = ModelPlan.layer({
        steps: [
          {
            name: "a",
            model: ScriptedModel.layer([overloaded, overloaded, ScriptedModel.text("third request")]),
            pipeline: { retry: { backoff: "immediate", attempts: 2 } }
          },
          { name: "b", model: ScriptedModel.layer([], { afterwards: ScriptedModel.text("b") }) }
        ]
      })
      const texts = yield* Effect.replicateEffect(
        Effect.map(LanguageModel.generate(request), (response) => response.text),
        2
      ).pipe(Effect.provide(plan))
      expect(texts).toEqual(["b", "third request"])
    }))
})

describe("ModelPlan and what its models keep", () => {
  it.effect("a circuit breaker counts over attempts, calls and steps, since it lives outside of them", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "a", tripping: Tripping.consecutive(4), openFor: "1 minute" })
      const down = yield* always("a", overloaded)
      const guarded: LanguageModel.Service = {
        ...down,
        generate: (asked) => CircuitBreaker.apply(down.generate(asked), breaker)
      }
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: guarded, pipeline: { retry: { backoff: "immediate", attempts: 2 } } },
          { name: "again", model: guarded },
          { name: "b", model: yield* model("b") }
        ]
      })
      expect(yield* textOf(plan)).toBe("b")
      expect(yield* count(down)).toBe(3)
      const report = yield* plan.generateWithReport(request)
      expect(report.failed.map(({ error }) => error._tag)).toEqual(["CircuitOpen", "CircuitOpen"])
      expect([report.step, yield* count(down)]).toEqual(["b", 4])
    }))
})

describe("ModelPlan, what it tells", () => {
  const three = Effect.gen(function*() {
    return yield* ModelPlan.make({
      name: "answers",
      steps: [
        { name: "a", model: yield* model("a", overloaded, overloaded) },
        { name: "b", model: yield* model("b"), when: { tags: ["ContentFiltered"] } },
        { name: "c", model: yield* model("c", ScriptedModel.text("c"), badRequest) },
        { name: "d", model: yield* model("d") }
      ]
    })
  })

  it.effect("a report says who answered, who failed with what, and who was skipped", () =>
    Effect.gen(function*() {
      const report = yield* (yield* three).generateWithReport(request)
      expect(report).toMatchObject({
        value: { text: "c" },
        step: "c",
        failed: [{ step: "a", error: { _tag: "Overloaded" } }],
        skipped: ["b"]
      })
    }))

  it.effect("PlanExhausted, where asked for, has every error and the reason", () =>
    Effect.gen(function*() {
      const plan = yield* three
      yield* plan.generate(request)
      const error = yield* Effect.flip(plan.generateOrExhausted(request))
      expect(error).toMatchObject({
        _tag: "PlanExhausted",
        name: "answers",
        steps: [{ step: "a", error: { _tag: "Overloaded" } }, { step: "c", error: { _tag: "InvalidRequest" } }],
        skipped: ["b", "d"],
        reason: "the verdict of the last error is that nothing but a change helps"
      })
    }))

  it.effect("both are there beside the model that a layer gives", () =>
    Effect.gen(function*() {
      expect((yield* ModelPlan.generateWithReport(request)).step).toBe("b")
      const error = yield* Effect.flip(ModelPlan.generateOrExhausted(request))
      expect(error.steps.map(({ step }) => step)).toEqual(["a", "b"])
    }).pipe(Effect.provide(ModelPlan.layer({
      steps: [
        { name: "a", model: ScriptedModel.layer([], { afterwards: overloaded }) },
        { name: "b", model: ScriptedModel.layer([ScriptedModel.text("b")]) }
      ]
    }))))

  it.effect("an event for every step down", () =>
    Effect.gen(function*() {
      const recorder = yield* Monitor.recorder
      yield* Effect.provideService(textOf(yield* three), Monitor.Monitor, recorder.monitor)
      expect(yield* recorder.events).toMatchObject([
        { _tag: "FellBack", name: "answers", from: "a", to: "c", error: { _tag: "Overloaded" } }
      ])
    }))

  it.effect("one line", () =>
    Effect.gen(function*() {
      const plan = yield* ModelPlan.make({
        name: "answers",
        steps: [
          { name: "a", model: yield* model("a") },
          { name: "b", model: yield* model("b"), when: { tags: ["ContextLengthExceeded"] } }
        ],
        sticky: "5 minutes"
      })
      expect(ModelPlan.describe(plan)).toBe(
        "answers: a → b (for ContextLengthExceeded); stays with the one that took over for 5m"
      )
    }))
})

describe("ModelPlan, its requests and interruption", () => {
  it.effect("each step gets a key of its own, made from the caller's", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* always("a", overloaded), yield* model("b")]
      const plan = yield* ModelPlan.make({
        steps: [
          { name: "a", model: a, pipeline: { retry: { backoff: "immediate", attempts: 2 } } },
          { name: "b", model: b }
        ]
      })
      yield* plan.generate({ ...request, idempotencyKey: "order-7" })
      const keys = [...(yield* a.requests), ...(yield* b.requests)].map((each) => each.idempotencyKey)
      expect(keys).toEqual(["order-7", "order-7", "order-7-step-2"])
    }))

  it.effect("an interrupted caller reaches no further step", () =>
    Effect.gen(function*() {
      const b = yield* model("b")
      const plan = yield* ModelPlan.make({
        steps: [{ name: "a", model: yield* always("a", ScriptedModel.hang) }, { name: "b", model: b }]
      })
      const fiber = yield* Effect.fork(textOf(plan))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(yield* count(b)).toBe(0)
    }))
})

describe("ModelPlan's options", () => {
  interface OfServices extends Omit<ModelPlan.Step, "model"> {
    readonly model: LanguageModel.Service
  }
  const issuesOf = (options: ModelPlan.Options<OfServices>) =>
    Effect.map(Effect.flip(ModelPlan.make(options)), (error) => error.issues)

  it.effect("are all refused in one error when they cannot work", () =>
    Effect.gen(function*() {
      const a = yield* model("a")
      const issues = yield* issuesOf({
        name: " ",
        steps: [
          { name: "a", model: a, when: { tags: ["Overloaded"] } },
          { name: "", model: a, when: {} },
          { name: "a", model: a, when: { tags: [] } }
        ],
        sticky: 0
      })
      expect(issues).toMatchObject([
        { path: "name" },
        { path: "sticky" },
        { path: "steps.0.when" },
        { path: "steps.1.name" },
        { path: "steps.1.when" },
        { path: "steps.2.when.tags" },
        { path: "steps.2.name", allowed: "a name of its own; steps.0 has this one" }
      ])
    }))

  it.effect("tell all faults of a step at once, with those of its pipeline", () =>
    Effect.gen(function*() {
      const issues = yield* issuesOf({
        steps: [
          { name: "", model: yield* model("a"), pipeline: { attemptTimeout: 0 } },
          {
            name: "b",
            model: yield* model("b"),
            when: { tags: ["Overloadet"] },
            pipeline: { retry: { backoff: "constant", delay: 0 } }
          }
        ]
      })
      expect(issues.map(({ path }) => path)).toEqual([
        "steps.0.name",
        "steps.0.pipeline.attemptTimeout",
        "steps.1.when.tags.0",
        "steps.1.pipeline.retry.delay"
      ])
    }))

  it.effect("need at least one step", () =>
    Effect.gen(function*() {
      expect(yield* issuesOf({ steps: [] })).toMatchObject([{ path: "steps", allowed: "a list of one or more steps" }])
    }))

  it.effect("include those of the pipelines, with the path to the step; no layer is built before", () =>
    Effect.gen(function*() {
      const broken = { totalTimeout: "1 second", attemptTimeout: "2 seconds" } as const
      const error = yield* Effect.flip(ModelPlan.make({
        steps: [
          { name: "a", model: Layer.effect(LanguageModel.LanguageModel, Effect.die("built")) },
          { name: "b", model: yield* model("b"), pipeline: broken },
          { name: "c", model: yield* model("c"), pipeline: broken }
        ]
      }))
      expect(error.issues).toMatchObject([
        { path: "steps.1.pipeline.attemptTimeout" },
        { path: "steps.2.pipeline.attemptTimeout" }
      ])
    }).pipe(Effect.scoped))

  it.effect("let the failure of a step's layer be the failure of the plan", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        ModelPlan.make({ steps: [{ name: "a", model: Layer.fail("no key" as const) }] })
      )
      expect(error).toBe("no key")
    }).pipe(Effect.scoped))
})
