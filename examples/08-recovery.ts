import * as ModelError from "effect-llm-resilience/error/ModelError"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as Fallback from "effect-llm-resilience/policy/Fallback"
import * as Recovery from "effect-llm-resilience/resilience/Recovery"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

const model = ScriptedModel.layer([
  ScriptedModel.text("Here you are."),
  ScriptedModel.fail(new ModelError.ContentFiltered({ provider: "scripted", stage: "prompt" })),
  ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" }))
])

// A model that never leaves its user without words; whoever looks sees that they are not the model's.
const Polite = Recovery.layer({
  name: "chat",
  table: { ContentFiltered: () => Recovery.reply("I cannot talk about that.") }
}).pipe(Layer.provide(model))

const ask = LanguageModel.generate({ prompt: "Tell me all." })

const program = Effect.gen(function*() {
  for (const response of [yield* ask, yield* ask]) {
    const mark = Option.match(Recovery.degradedBy(response), {
      onNone: () => "whole",
      onSome: (error) => `degraded by ${error}`
    })
    yield* Console.log(`${response.text} (${mark})`)
  }

  // For any effect: alternatives in order, and the log of what was tried.
  const report = yield* ask.pipe(
    Effect.map((response) => response.text),
    Fallback.applyWithReport(Fallback.standard, [{ name: "cache", effect: Effect.succeed("Yesterday's answer.") }])
  )
  const failed = report.failed.map(({ error, step }) => `${step}: ${error._tag}`).join(", ")
  yield* Console.log(`${report.value} (${report.step}, after ${failed})`)
}).pipe(Effect.provide(Polite))

Effect.runPromise(program)
