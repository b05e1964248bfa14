import * as ModelError from "effect-llm-resilience/error/ModelError"
import * as CircuitBreaker from "effect-llm-resilience/policy/CircuitBreaker"
import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const file = {
  name: "openai",
  totalTimeout: "30 seconds",
  retry: {
    backoff: "exponential",
    initial: "20 millis",
    jitter: "full",
    cap: "8 seconds",
    attempts: 3,
    within: "20 seconds"
  },
  retryBudget: { share: { ratio: 0.2, minimum: 3 } },
  circuitBreaker: { tripping: { when: "consecutive", failures: 6 }, openFor: "10 seconds" },
  rateLimiter: { requestsPerMinute: 600, tokensPerMinute: 200_000 },
  bulkhead: { maxConcurrent: 20, maxQueued: 100 },
  attemptTimeout: "8 seconds"
} as const

const outage = Effect.fail(new ModelError.ServerError({ provider: "openai", status: 503 }))

const program = Effect.gen(function*() {
  const pipeline = yield* Pipeline.decode(file)
  yield* Console.log(Pipeline.describe(pipeline))

  for (const call of [1, 2, 3]) {
    const error = yield* outage.pipe(Pipeline.apply(pipeline), Effect.flip)
    yield* Console.log(`call ${call}: ${error._tag}: ${error.message}`)
  }

  // More patience, without forgetting that the circuit is open.
  yield* Pipeline.reconfigure(pipeline, { ...file, attemptTimeout: "15 seconds" })
  const { circuitBreaker } = Pipeline.policies(pipeline)
  if (circuitBreaker !== undefined) yield* Console.log((yield* CircuitBreaker.state(circuitBreaker))._tag)
})

Effect.runPromise(program)
