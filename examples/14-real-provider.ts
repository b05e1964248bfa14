import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as Prompt from "effect-llm-resilience/model/Prompt"
import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

// Reads OPENAI_API_KEY and OPENAI_MODEL, and OPENAI_BASE_URL for any server that speaks the same.
const Provider = OpenAiChat.layerConfig().pipe(Layer.provide(FetchHttpClient.layer))

const Model = ResilientModel.layer({
  retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 4 },
  attemptTimeout: "30 seconds",
  totalTimeout: "2 minutes"
}).pipe(Layer.provide(Provider))

const program = Effect.gen(function*() {
  const reply = yield* LanguageModel.generate({
    prompt: Prompt.make([
      Prompt.system("You answer in one short sentence."),
      Prompt.user("Why is the sky blue?")
    ])
  })
  yield* Console.log(`${reply.text} (${reply.usage.totalTokens} tokens)`)
}).pipe(
  // The error channel names what can go wrong; what is not caught here stays in the type.
  Effect.catchTag("QuotaExhausted", (error) => Console.log(`Add credit first: ${error.message}`)),
  Effect.catchTag("RateLimited", "Overloaded", (error) => Console.log(`Still busy: ${error.message}`))
)

Effect.runPromise(program.pipe(Effect.provide(Model)))
