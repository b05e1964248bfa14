import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

// #region policy
const transient = RetryPolicy.exponential({ initial: "500 millis", factor: 2 }).pipe(
  RetryPolicy.jittered("full"),
  RetryPolicy.capped("8 seconds"), // holds after jitter
  RetryPolicy.attempts(4), // in total, the first included
  RetryPolicy.within("1 minute"), // no wait may cross it
  RetryPolicy.honourHints({ max: "60 seconds" }) // never earlier than told; longer: stop at once
)

const policy = RetryPolicy.byError([
  { on: ["RateLimited"], use: RetryPolicy.constant("60 seconds").pipe(RetryPolicy.attempts(3)) },
  { on: ["Overloaded", "ServerError", "ConnectionFailed", "TimedOut"], use: transient }
], { otherwise: "fail" })

const schedule = RetryPolicy.toSchedule(policy)
// #endregion

let calls = 0
const flaky = Effect.suspend(() => ++calls < 3 ? Effect.fail({ _tag: "Overloaded" as const }) : Effect.succeed("done"))

const program = Effect.retry(flaky, schedule).pipe(
  Effect.flatMap((value) => Console.log(`${value} after ${calls} calls`))
)

Effect.runPromise(program)
