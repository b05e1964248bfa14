import * as ModelError from "effect-llm-resilience/error/ModelError"
import * as Tool from "effect-llm-resilience/model/Tool"
import * as Toolkit from "effect-llm-resilience/model/Toolkit"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as ToolLoop from "effect-llm-resilience/resilience/ToolLoop"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const GetWeather = Tool.make("get_weather", {
  description: "The weather in a city",
  parameters: Schema.Struct({ city: Schema.String, days: Schema.Int })
})

// A model that is rate limited, then writes broken JSON, then gets it right.
// In your application this is OpenAiChat.layerConfig() over FetchHttpClient.layer.
const Provider = ScriptedModel.layer([
  ScriptedModel.fail(new ModelError.RateLimited({ provider: "demo", scope: "tokens" })),
  ScriptedModel.rawToolCall("get_weather", `{"city": "Rome", "days": "three"}`),
  ScriptedModel.toolCall("get_weather", { city: "Rome", days: 3 })
])

const Model = ResilientModel.layer({
  totalTimeout: "1 minute",
  retry: {
    backoff: "exponential",
    initial: "50 millis",
    cap: "8 seconds",
    jitter: "full",
    attempts: 4,
    within: "30 seconds"
  },
  attemptTimeout: "20 seconds"
}).pipe(Layer.provide(Provider))

const program = Effect.gen(function*() {
  const outcome = yield* ToolLoop.call({
    prompt: "What will the weather in Rome be?",
    toolkit: yield* Toolkit.make(GetWeather),
    handlers: { get_weather: ({ city, days }) => Effect.succeed(`Sunny in ${city} for ${days} days`) }
  })
  yield* Console.log(outcome.results[0]?.content) // Sunny in Rome for 3 days
  yield* Console.log(`asked again ${outcome.reasks} time, because:\n${outcome.refused[0]?.message}`)
})

Effect.runPromise(program.pipe(Effect.provide(Model)))
