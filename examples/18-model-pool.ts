import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
import * as ModelPool from "effect-llm-resilience/resilience/ModelPool"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

// What a file would hold: two keys of one account with different limits, and one whose key has been withdrawn.
const file = {
  name: "keys",
  strategy: "least-busy",
  affinity: "conversation",
  members: [
    { name: "team", weight: 3, pipeline: { circuitBreaker: {}, rateLimiter: { requestsPerMinute: 3000 } } },
    { name: "spare", pipeline: { circuitBreaker: {}, rateLimiter: { requestsPerMinute: 1000 } } },
    { name: "old" }
  ]
}

const program = Effect.gen(function*() {
  // In place of a provider: the embedded one, which lets one key in.
  const { apiKey, baseUrl, model } = yield* ChaosServer.make()
  const keyed = (key: string) => OpenAiChat.layer({ baseUrl, apiKey: Redacted.make(key), model })
  const pool = yield* ModelPool.decode(file, { team: keyed(apiKey), spare: keyed(apiKey), old: keyed("sk-withdrawn") })
  yield* Console.log(ModelPool.describe(pool))

  // The retries stand round the pool: each of them may be answered by another member.
  const Model = ResilientModel.layer({
    retry: { backoff: "exponential", initial: "500 millis", attempts: 3 },
    totalTimeout: "30 seconds"
  })
    .pipe(
      Layer.provide(Layer.succeed(LanguageModel.LanguageModel, pool))
    )
  const questions = Array.from({ length: 40 }, (_, at) => `Question ${at}?`)
  yield* Effect.forEach(questions, (prompt) => LanguageModel.generate({ prompt }), { concurrency: 8 }).pipe(
    Effect.provide(Model)
  )
  for (const { lastError, name, restsFor } of yield* pool.standings) {
    yield* Console.log(
      `  ${name}: ${lastError === undefined ? "well" : `rests for ${Duration.format(restsFor)} after ${lastError}`}`
    )
  }
}).pipe(
  Effect.scoped,
  Effect.provide(FetchHttpClient.layer),
  Effect.provide(Monitor.layerHooks({ onFellBack: ({ from, to }) => Console.log(`  ${from} -> ${to}`) }))
)

Effect.runPromise(program)
