import * as Tool from "effect-llm-resilience/model/Tool"
import * as Toolkit from "effect-llm-resilience/model/Toolkit"
import * as ToolLoop from "effect-llm-resilience/resilience/ToolLoop"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const GetWeather = Tool.make("get_weather", {
  parameters: Schema.Struct({ city: Schema.String })
})

const write = (text: string) => Effect.sync(() => process.stdout.write(text))

const program = Effect.gen(function*() {
  const toolkit = yield* Toolkit.make(GetWeather)
  yield* ToolLoop.stream({
    prompt: "Do I need an umbrella in Rome?",
    toolkit,
    handlers: { get_weather: ({ city }) => Effect.succeed(`Rain in ${city} until noon`) }
  }).pipe(Stream.runForEach((progress) => {
    switch (progress._tag) {
      case "Part":
        return progress.part._tag === "TextDelta" ? write(progress.part.text) : Effect.void
      case "Refused":
        return Console.log(`[asking again: ${progress.error.message}]`) // forget this reply's parts
      case "Result":
        return Console.log(`[${progress.result.name}: ${progress.result.content}]`)
      case "Done":
        return Console.log(`\n[done in ${progress.outcome.state.steps} steps]`)
    }
  }))
})

Effect.runPromise(program.pipe(Effect.provide(ScriptedModel.layer([
  ScriptedModel.rawToolCall("get_weather", "{\"city\": \"Ro", "length"), // cut off: never run
  ScriptedModel.toolCall("get_weather", { city: "Rome" }),
  ScriptedModel.text("Yes: it rains until noon.")
]))))
