import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Batch from "effect-llm-resilience/batch/Batch"
import * as Progress from "effect-llm-resilience/batch/Progress"
import * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
import * as Fault from "effect-llm-resilience/chaos/Fault"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"

const prompts = Array.from(
  { length: 1_000 },
  (_, index) => ({ id: index, text: `Say something about the number ${index}.` })
)

// What stands round one call: retries, and a circuit that pauses the whole batch while the provider is down.
const Model = ResilientModel.layer({
  retry: { backoff: "exponential", initial: "50 millis", jitter: "full", attempts: 2 },
  circuitBreaker: { name: "provider" },
  attemptTimeout: "20 seconds"
})

const runAll = (items: ReadonlyArray<(typeof prompts)[number]>) =>
  Effect.gen(function*() {
    const progress = yield* Progress.make
    // On a terminal a bar that redraws: Progress.bar(progress), written to stderr.
    const shown = yield* Effect.fork(Stream.runForEach(Progress.lines(progress, { every: "1 second" }), Console.log))
    const report = yield* Batch.run(
      items,
      ({ text }) => LanguageModel.generate({ prompt: text, maxOutputTokens: 50 }),
      {
        concurrency: "auto", // finds what the provider takes
        stopWhen: { failureRate: 0.5, time: "1 hour" },
        price: ({ inputTokens, outputTokens }) => inputTokens * 0.15e-6 + outputTokens * 0.6e-6,
        progress
      }
    )
    yield* Fiber.join(shown)
    return report
  })

const program = Effect.gen(function*() {
  // Every prompt has its result, in order; one that failed is a Left with the error of its call.
  const report = yield* runAll(prompts)
  const { cost, failed, failures, retried, succeeded, tokens } = report.summary
  yield* Console.log(
    `${succeeded} succeeded, ${failed} failed, ${retried} retries, ${tokens} tokens, cost ${cost?.toFixed(4)}`
  )
  for (const [tag, count] of Object.entries(failures)) yield* Console.log(`  ${tag}: ${count}`)

  // What failed is run again alone.
  const again = yield* runAll(Batch.failures(report))
  yield* Console.log(`Of those that failed, ${again.summary.succeeded} of ${again.summary.total} succeeded this time.`)
})

// Offline: a server on this machine that fails now and then. In your application: OpenAiChat.layerConfig().
const offline = Effect.gen(function*() {
  const server = yield* ChaosServer.make({
    plan: Fault.storm({
      seed: 17,
      serverErrors: { probability: 0.1 },
      rateLimited: { probability: 0.01, wait: "50 millis" }
    }),
    latency: "5 millis"
  })
  const Provider = OpenAiChat.layer({
    apiKey: Redacted.make(server.apiKey),
    baseUrl: server.baseUrl,
    model: server.model
  }).pipe(Layer.provide(FetchHttpClient.layer))
  yield* Effect.provide(program, Model.pipe(Layer.provide(Provider)))
}).pipe(Effect.scoped)

Effect.runPromise(offline)
