import * as ModelError from "effect-llm-resilience/error/ModelError"
import * as ModelPlan from "effect-llm-resilience/resilience/ModelPlan"
import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

// Three scripted models in place of real ones: in an application these are layers such as OpenAiChat.layerConfig().
const small = ScriptedModel.layer([
  ScriptedModel.text("Paris."),
  ScriptedModel.fail(new ModelError.ContextLengthExceeded({ provider: "small", requested: 9000, limit: 8192 })),
  ScriptedModel.fail(new ModelError.ContentFiltered({ provider: "small", stage: "prompt" })),
  ScriptedModel.fail(new ModelError.Authentication({ provider: "small", status: 401 }))
])
const large = ScriptedModel.layer([ScriptedModel.text("A summary of the whole book.")])
const vendor = ScriptedModel.layer([ScriptedModel.text("A scene from the novel.")])

const Plan = ModelPlan.layer({
  name: "answers",
  steps: [
    { name: "small", model: small, pipeline: { totalTimeout: "20 seconds" } },
    { name: "large", model: large, when: { tags: ["ContextLengthExceeded"] } },
    { name: "vendor", model: vendor, when: { tags: ["ContentFiltered"] } }
  ],
  sticky: "5 minutes"
})

const program = Effect.gen(function*() {
  yield* Console.log(ModelPlan.describe(yield* ModelPlan.ModelPlan))
  for (const prompt of ["Capital of France?", "Summarise this book.", "Go on with this novel."]) {
    const { failed, step, value } = yield* ModelPlan.generateWithReport({ prompt })
    const before = failed.map(({ error, step }) => `${step}: ${error._tag}`).join(", ")
    yield* Console.log(`${prompt} ${value.text} (${step}${before === "" ? "" : `, after ${before}`})`)
  }
  // A wrong key is wrong whoever is asked next, so the plan stops.
  const stopped = yield* Effect.flip(ModelPlan.generateOrExhausted({ prompt: "Hello?" }))
  yield* Console.log(stopped.message)
}).pipe(
  Effect.provide(Plan),
  Effect.provide(Monitor.layerHooks({
    onFellBack: ({ from, name, to }) => Console.log(`  [${name}] ${from} -> ${to}`)
  }))
)

Effect.runPromise(program)
