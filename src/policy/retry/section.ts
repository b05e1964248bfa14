/** The retry of a pipeline. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { words } from "../../internal/words.ts"
import * as AdaptiveRetry from "../AdaptiveRetry.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import { policyForm } from "../shared/retryForm.ts"
import { outerLimit } from "../shared/retryTree.ts"
import { make as fromTree } from "../shared/retryValue.ts"
import * as Section from "../shared/section.ts"
import * as Loop from "./loop.ts"

const isRetryBudget = Section.marked<RetryBudget.RetryBudget>(RetryBudget.TypeId)
const isAdaptiveRetry = Section.marked<AdaptiveRetry.AdaptiveRetry>(AdaptiveRetry.TypeId)

/** A bare number is most likely meant as the attempts. */
const allowedForNumber = "a policy; for that many attempts in total, say " +
  "{ \"backoff\": \"exponential\", \"initial\": \"500 millis\", \"attempts\": 3 }"

/** A policy that was made before, or one as data; either must be able to retry, unless it says that it never does. */
const form = Form.checked(
  Form.choose(
    allowedForNumber,
    Form.when(
      RetryPolicy.isRetryPolicy,
      Form.value(RetryPolicy.isRetryPolicy, "a policy", { encode: RetryPolicy.encode })
    ),
    Form.when(
      (given) => typeof given !== "number",
      Form.mapped(policyForm, { decode: fromTree, encode: (policy: RetryPolicy.RetryPolicy) => policy.tree })
    )
  ),
  (policy: RetryPolicy.RetryPolicy) =>
    policy.tree._tag === "Never" || RetryPolicy.canRetry(policy) ? [] : [{
      path: [],
      found: String(policy),
      allowed: "a policy whose first wait ends within its deadline (for no retry at all, leave it out)"
    }]
)

const wait = (policy: RetryPolicy.RetryPolicy): number => Duration.toMillis(RetryPolicy.bounds(policy).wait)

/** How much longer an adaptive retry can make the waits, in milliseconds: at most to its cap, never past the deadline. */
const longestStretch = (policy: RetryPolicy.RetryPolicy, adaptive: AdaptiveRetry.AdaptiveRetry | undefined): number => {
  const millis = wait(policy)
  if (adaptive === undefined || !Number.isFinite(millis)) return 0
  const { cap, maxMultiplier } = adaptive.settings
  const { attempts } = RetryPolicy.bounds(policy)
  return Math.min(millis * (maxMultiplier - 1), (attempts - 1) * cap, outerLimit(policy.tree) - millis)
}

export const section = Section.make({
  name: "retry",
  form,
  // A policy has no state, so nothing is shared: what is given is always options, and checked as such.
  is: (_): _ is never => false,
  make: (policy: RetryPolicy.RetryPolicy) => Effect.succeed(policy),
  stage: {
    _tag: "Around",
    around: (policy, peers) => {
      const settings: Loop.Settings = {
        name: peers.name,
        policy,
        verdict: peers.verdict ?? Verdict.of,
        budget: peers.find(isRetryBudget),
        adaptive: peers.find(isAdaptiveRetry),
        maxAttempts: RetryPolicy.bounds(policy).attempts
      }
      return Loop.around(settings)
    }
  },
  contradictions: (policy, peers) => {
    // A hint that nobody spoke of and that cannot be waited for in time stops the retry at once: no contradiction.
    const longest = Duration.toMillis(RetryPolicy.bounds(policy, { hints: "written" }).wait)
    const total = peers.totalTimeout()
    return total === undefined || longest <= total ? [] : [{
      path: "",
      found: `a worst-case wait of ${longest === Infinity ? "for ever" : words(longest)}`,
      allowed: `at most totalTimeout, which is ${words(total)}: lower attempts, cap or honourHints, ` +
        `or add "within": "${Form.formatMillis(total)}" so that a wait that cannot end in time is not begun`
    }]
  },
  describe: (policy) => `retry: ${String(policy)}`,
  worst: (policy, within, peers) => {
    const { attempts } = RetryPolicy.bounds(policy)
    const stretch = longestStretch(policy, peers.find(isAdaptiveRetry))
    const duration = Number.isFinite(within.duration)
      ? Duration.toMillis(
        RetryPolicy.bounds(policy, { attemptTimeout: Duration.millis(within.duration) }).duration
      )
      : Infinity
    return {
      attempts: attempts * within.attempts,
      calls: attempts * within.calls,
      wait: wait(policy) + stretch,
      duration: duration + stretch
    }
  },
  encode: (policy) => RetryPolicy.encode(policy)
})
