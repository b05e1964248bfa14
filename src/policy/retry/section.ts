/** The retry of a pipeline. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { formatDuration, type Reader } from "../../internal/reader.ts"
import { words } from "../../internal/words.ts"
import * as AdaptiveRetry from "../AdaptiveRetry.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import { emptyReport, refusal } from "../shared/options.ts"
import * as Json from "../shared/retryJson.ts"
import * as Loop from "../shared/retryLoop.ts"
import { outerLimit } from "../shared/retryTree.ts"
import { make as fromTree } from "../shared/retryValue.ts"
import * as Section from "../shared/section.ts"

const isRetryBudget = Section.marked<RetryBudget.RetryBudget>(RetryBudget.TypeId)
const isAdaptiveRetry = Section.marked<AdaptiveRetry.AdaptiveRetry>(AdaptiveRetry.TypeId)

const readPolicy: Reader<RetryPolicy.RetryPolicy> = (value, path, report) => {
  const tree = RetryPolicy.isRetryPolicy(value) ? value.tree : Json.read(value, path, report)
  if (tree === undefined) return undefined
  const policy = RetryPolicy.isRetryPolicy(value) ? value : fromTree(tree)
  if (tree._tag !== "Never" && !RetryPolicy.canRetry(policy)) {
    report.problems.push({
      path,
      found: String(policy),
      allowed: "a policy whose first wait ends within its deadline (for no retry at all, leave it out)"
    })
  }
  return policy
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
  RetryPolicy.RetryPolicy | { readonly [field: string]: unknown },
  RetryPolicy.RetryPolicy,
  RetryPolicy.RetryPolicy,
  never
>({
  name: "retry",
  options: {
    form: { node: { kind: "annotated", inner: Form.anything.node, keywords: { $ref: "retry" } }, presence: "required" },
    read: (given) => {
      const report = emptyReport()
      const read = readPolicy(given, "", report)
      return { read, issues: refusal("RetryPolicy", report).issues }
    },
    toFile: () => undefined
  },
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
        `or add "within": "${formatDuration(total)}" so that a wait that cannot end in time is not begun`
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
