import * as GenerateObject from "effect-llm-resilience/resilience/GenerateObject"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const Recipe = Schema.Struct({
  dish: Schema.NonEmptyString,
  minutes: Schema.Int.pipe(Schema.between(1, 240)),
  course: Schema.Literal("starter", "main", "dessert")
})

const wrong = { dish: "Risotto", minutes: "half an hour", course: "primo" }
const right = { dish: "Risotto", minutes: 30, course: "main" }

const Model = ScriptedModel.layer([ScriptedModel.json(wrong), ScriptedModel.json(right), ScriptedModel.json(right)])

const question = { prompt: "Something with rice?", output: { name: "recipe", schema: Recipe } }

const program = Effect.gen(function*() {
  // The first answer does not fit: the model is told why, and does better.
  const { reasks, refused, usage, value } = yield* GenerateObject.call(question)
  yield* Console.log(`${value.dish}: ${value.minutes} minutes, ${reasks} re-ask, ${usage.totalTokens} tokens`)
  yield* Console.log(refused[0]?.message)

  // As it comes. What is shown is no Recipe before the model is done, and the types say so.
  yield* Stream.runForEach(GenerateObject.stream(question), (progress) =>
    progress._tag === "Partial"
      ? Console.log("so far", JSON.stringify(progress.shown))
      : progress._tag === "Done"
      ? Console.log("done", progress.outcome.value)
      : Console.log("forget it", progress.error.message))
})

Effect.runPromise(program.pipe(Effect.provide(Model)))
