/** The retry of a pipeline. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { found } from "../../error/InvalidOptions.ts"
import * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { words } from "../../internal/words.ts"
import * as AdaptiveRetry from "../AdaptiveRetry.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import { policyForm } from "../shared/retryForm.ts"
import * as Loop from "../shared/retryLoop.ts"
import { outerLimit } from "../shared/retryTree.ts"
import { make as fromTree } from "../shared/retryValue.ts"
import * as Section from "../shared/section.ts"

const isRetryBudget = Section.marked<RetryBudget.RetryBudget>(RetryBudget.TypeId)
const isAdaptiveRetry = Section.marked<AdaptiveRetry.AdaptiveRetry>(AdaptiveRetry.TypeId)

/** A policy that was made before, or one as data. */
const form = Form.choose(
  "a policy",
  Form.when(
    RetryPolicy.isRetryPolicy,
    Form.value(RetryPolicy.isRetryPolicy, "a policy", { encode: RetryPolicy.encode })
  ),
  Form.otherwise(Form.mapped(policyForm, {
    decode: (tree) => fromTree(tree),
    encode: (policy: RetryPolicy.RetryPolicy) => policy.tree
  }))
)

const allowed = "a policy whose first wait ends within its deadline (for no retry at all, leave it out)"

/** A bare number is most likely meant as the attempts. */
const allowedForNumber = "a policy; for that many attempts in total, say " +
  "{ \"backoff\": \"exponential\", \"initial\": \"500 millis\", \"attempts\": 3 }"

const read: Section.Options<unknown, RetryPolicy.RetryPolicy>["read"] = (given, mode) => {
  if (typeof given === "number") {
    return { read: undefined, issues: [{ path: "", found: found(given), allowed: allowedForNumber }] }
  }
  return Either.match(Form.read(form, given, mode), {
    onLeft: (faults) => ({ read: undefined, issues: faults.map(Section.issueOf) }),
    onRight: (policy) => ({
      read: policy,
      issues: policy.tree._tag === "Never" || RetryPolicy.canRetry(policy)
        ? []
        : [{ path: "", found: found(String(policy)), allowed }]
    })
  })
}

const options: Section.Options<RetryPolicy.RetryPolicy | RetryPolicy.PolicyData, RetryPolicy.RetryPolicy> = {
  form,
  read,
  toFile: () => undefined
}

const wait = (policy: RetryPolicy.RetryPolicy): number => Duration.toMillis(RetryPolicy.bounds(policy).wait)

/** How much longer an adaptive retry can make the waits, in milliseconds: at most to its cap, never past the deadline. */
const longestStretch = (policy: RetryPolicy.RetryPolicy, adaptive: AdaptiveRetry.AdaptiveRetry | undefined): number => {
  const millis = wait(policy)
  if (adaptive === undefined || !Number.isFinite(millis)) return 0
  const { cap, maxMultiplier } = adaptive.settings
  const { attempts } = RetryPolicy.bounds(policy)
  return Math.min(millis * (maxMultiplier - 1), (attempts - 1) * cap, outerLimit(policy.tree) - millis)
}

export const section = Section.make<
  "retry",
  RetryPolicy.RetryPolicy | RetryPolicy.PolicyData,
  RetryPolicy.RetryPolicy,
  RetryPolicy.RetryPolicy,
  never
>({
  name: "retry",
  options,
  // A policy has no state, so nothing is shared: what is given is always options, and checked as such.
  is: (_: unknown): _ is never => false,
  make: (policy) => Effect.succeed(policy),
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
      return (inner, deadline) => new Loop.RetriedRun(inner, settings, deadline)
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
