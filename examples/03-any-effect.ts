import * as Verdict from "effect-llm-resilience/error/Verdict"
import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
import * as Retry from "effect-llm-resilience/policy/Retry"
import * as Event from "effect-llm-resilience/telemetry/Event"
import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

// An error of your own says what may be done about it.
class IndexBusy extends Data.TaggedError("IndexBusy")<{ readonly shard: number }> {
  [Verdict.symbol]() {
    return Verdict.make("Retry", { retryAfter: "30 millis", throttled: true })
  }
}

const search = Effect.flatMap(
  Retry.CurrentAttempt,
  (attempt) => attempt.number < 3 ? Effect.fail(new IndexBusy({ shard: attempt.number })) : Effect.succeed(["a result"])
)

const program = Effect.gen(function*() {
  const pipeline = yield* Pipeline.make({
    name: "search",
    totalTimeout: "10 seconds",
    retry: { backoff: "exponential", initial: "10 millis", attempts: 5, honourHints: "1 second" },
    attemptTimeout: "2 seconds"
  })
  yield* Console.log(Pipeline.describe(pipeline))
  return yield* search.pipe(Pipeline.apply(pipeline))
})

Effect.runPromise(program.pipe(
  Effect.flatMap(Console.log),
  Effect.provide(Monitor.layerHooks({ onRetried: (event) => Console.log(Event.describe(event)) }))
))
