/** The circuit breaker of a pipeline. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { words } from "../../internal/words.ts"
import * as CircuitBreaker from "../CircuitBreaker.ts"
import * as Section from "../shared/section.ts"
import * as Guard from "./guard.ts"
import { form } from "./options.ts"

export const section = Section.make({
  options: Section.options(form),
  name: "circuitBreaker",
  is: CircuitBreaker.isCircuitBreaker,
  make: CircuitBreaker.make,
  stage: { _tag: "Gate", gate: Guard.gate },
  // An open circuit stays open, and counts go on.
  keep: (now, next) =>
    now === undefined ? Effect.succeed(next) : CircuitBreaker.reconfigure(now, {
      ...CircuitBreaker.settings(next),
      name: now.name,
      verdict: next.cell.verdict
      // These are settings of a breaker, under the name it has.
    }).pipe(Effect.orDie, Effect.as(now)),
  contradictions: (self, peers) => {
    const limit = Duration.toMillis(CircuitBreaker.settings(self).probeLimit)
    const attemptTimeout = peers.attemptTimeout()
    return attemptTimeout === undefined || limit >= attemptTimeout ? [] : [{
      path: "probeLimit",
      found: words(limit),
      allowed: `at least attemptTimeout, which is ${words(attemptTimeout)}, ` +
        "or a probe is given up while it may answer"
    }]
  },
  describe: (self) => Section.titled("circuit breaker", CircuitBreaker.describe(self))
})
