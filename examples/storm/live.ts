/** Five tool-calling requests against the provider of the environment, with a policy fit for a real one. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as InvalidOptions from "effect-llm-resilience/error/InvalidOptions"
import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as ToolLoop from "effect-llm-resilience/resilience/ToolLoop"
import * as Event from "effect-llm-resilience/telemetry/Event"
import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { requestOf, toolkit } from "./tools.ts"

const count = 5

const Model = ResilientModel.layer({
  name: "live",
  totalTimeout: "2 minutes",
  retry: {
    backoff: "exponential",
    initial: "500 millis",
    cap: "8 seconds",
    jitter: "full",
    attempts: 4,
    within: "1 minute",
    honourHints: "30 seconds"
  },
  attemptTimeout: "30 seconds"
}).pipe(Layer.provide(OpenAiChat.layerConfig()), Layer.provide(FetchHttpClient.layer))

const one = (index: number) =>
  Effect.gen(function*() {
    const request = requestOf(index)
    const answer = (given: unknown) => Effect.as(Console.log(`  ${request.tool} ${JSON.stringify(given)}`), "done")
    return yield* ToolLoop.call({
      prompt: `${request.prompt} Make up plausible arguments.`,
      toolkit: yield* toolkit,
      toolChoice: { tool: request.tool },
      handlers: { book_flight: answer, send_invoice: answer, search_orders: answer }
    })
  }).pipe(
    Effect.tapError((error) => Console.log(`  failed: ${error.message}`)),
    Effect.either
  )

export const live = Effect.gen(function*() {
  const url = yield* Config.withDefault(Config.string("OPENAI_BASE_URL"), OpenAiChat.defaults.baseUrl)
  // The address may hold a password; it is refused then, but must not be printed before.
  const shown = InvalidOptions.found(url)
  yield* Console.log(`OPENAI_API_KEY is set: sending ${count} requests to ${shown} instead of the embedded storm.`)
  const outcomes = yield* Effect.forEach(Array.from({ length: count }, (_, index) => index), one).pipe(
    Effect.provide(Model),
    Effect.provide(Monitor.layer(Monitor.make((event) => Console.log(`  ${Event.describe(event)}`))))
  )
  const right = outcomes.filter((outcome) => outcome._tag === "Right").length
  const tokens = outcomes.reduce((sum, each) => sum + (each._tag === "Right" ? each.right.usage.totalTokens : 0), 0)
  yield* Console.log(`${right} of ${count} ended right, ${tokens} tokens in all.`)
  if (right < count) {
    yield* Effect.sync(() => {
      process.exitCode = 1
    })
  }
})
