/** A retry policy in words, for people. */
import * as Duration from "effect/Duration"
import { tagWords } from "../../internal/errorTags.ts"
import { hasHintRule, isGrowth, isLeaf, type Jitter, longestHint, parts, type RetryTree } from "./retryTree.ts"

export const words = (millis: number): string => Duration.format(Duration.millis(millis))

/** Without the noise of binary fractions: 0.07 * 100 is 7.000000000000001. */
const percent = (share: number): string => `${Number((share * 100).toPrecision(12))}%`

const jitterWords = (mode: Jitter): string =>
  typeof mode === "string"
    ? `${mode === "none" ? "no" : mode} jitter`
    : "ratio" in mode
    ? `jitter of ±${percent(mode.ratio)}`
    : `jitter from ${percent(mode.min)} to ${percent(mode.max)}`

const nested = (tree: RetryTree): string => `(${describePart(tree)})`

/** Whether a part waits for which nothing is said of hints. */
const silentOnHints = (tree: RetryTree): boolean =>
  tree._tag !== "HonourHints" && (isLeaf(tree) || parts(tree).some(silentOnHints))

/** The whole policy, with what holds where it says nothing. A mere backoff has no limits, and speaks of none. */
export const describe = (tree: RetryTree): string =>
  !isGrowth(tree) && silentOnHints(tree)
    ? `${describePart(tree)}, honouring hints up to ${words(longestHint)}` +
      (hasHintRule(tree) ? " where nothing else is said" : "")
    : describePart(tree)

/** The policy in words, without what holds by default. */
export const describePart = (tree: RetryTree): string => {
  switch (tree._tag) {
    case "Never":
      return "never retry"
    case "Immediate":
      return "retry at once"
    case "Constant":
      return `every ${words(tree.delay)}`
    case "Linear":
      return `linear from ${words(tree.initial)} by ${words(tree.increment)}`
    case "Exponential":
      return `exponential from ${words(tree.initial)} ×${tree.factor}`
    case "Fibonacci":
      return `fibonacci from ${words(tree.initial)}`
    case "Jittered":
      return `${describePart(tree.policy)}, ${jitterWords(tree.mode)}`
    case "AtLeast":
      return `${describePart(tree.policy)}, at least ${words(tree.min)}`
    case "Capped":
      return `${describePart(tree.policy)}, at most ${words(tree.max)}`
    case "Attempts":
      return `${describePart(tree.policy)}, ${tree.max} attempts in total`
    case "Within":
      return `${describePart(tree.policy)}, within ${words(tree.limit)} of the first attempt`
    case "HonourHints":
      return `${describePart(tree.policy)}, ${
        tree.max === "never" ? "ignoring hints" : `honouring hints up to ${words(tree.max)}`
      }`
    case "Union":
      return `either ${nested(tree.left)} or ${nested(tree.right)}`
    case "Intersect":
      return `both ${nested(tree.left)} and ${nested(tree.right)}`
    case "AndThen":
      return `first ${nested(tree.first)} then ${nested(tree.second)}`
    case "ByError": {
      const rules = tree.rules.map((rule) => `${rule.on.map(tagWords).join(", ")} → ${nested(rule.use)}`)
      const otherwise = tree.otherwise === "fail" ? "fail" : nested(tree.otherwise)
      const growth = tree.growth === "call" ? " (delays grow with all failures of the call)" : ""
      return `by error${growth}: ${[...rules, `otherwise ${otherwise}`].join("; ")}`
    }
  }
}
