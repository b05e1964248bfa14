import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const file = `{
  "byError": [
    { "on": ["RateLimited"], "backoff": "constant", "delay": "20 seconds", "attempts": 3 },
    { "on": ["Overloaded", "ServerError", "ConnectionFailed", "TimedOut"],
      "backoff": "exponential", "initial": "500 millis", "jitter": "equal", "cap": "8 seconds", "attempts": 4 }
  ],
  "otherwise": "fail",
  "within": "2 minutes",
  "honourHints": "1 minute"
}`

const program = Effect.gen(function*() {
  const policy = yield* RetryPolicy.decode(JSON.parse(file))
  yield* Console.log(`The policy: ${policy}`)

  const worst = RetryPolicy.bounds(policy, { attemptTimeout: "10 seconds" })
  yield* Console.log(`At worst: ${worst.attempts} attempts, ${Duration.format(worst.duration)}`)

  for (const row of RetryPolicy.preview(policy, { error: { _tag: "Overloaded" } })) {
    yield* Console.log(`  attempt ${row.attempt} after ${Duration.format(row.delay)}`)
  }

  const mistake = { backoff: "exponential", initial: 500, jitter: "lots", attempts: 0, retries: 3 }
  yield* Console.log((yield* Effect.flip(RetryPolicy.decode(mistake))).message)
})

Effect.runPromise(program)
