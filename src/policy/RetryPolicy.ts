/**
 * When to try again, as data. A policy is a value: constructors and modifiers read like a sentence, and it decodes from
 * JSON, prints itself, lists its delays and states its worst case. Only then it becomes a `Schedule`, or is run by `Retry`.
 *
 * After each failure a policy accepts a set of waits, and the least of them is waited. In numbers: `constant(100)` accepts
 * 100 ms and more; `within(constant(100), 150)` at 80 ms after the start accepts 100 to 70 ms, which is none, so it stops;
 * its `union` with `constant(300)` then waits 300 ms. `union` is set union and `intersect` set intersection, so both are
 * commutative, associative and idempotent, absorb each other and distribute over each other, with `never` at one end
 * and, for errors that may be retried, `ignoreHints(immediate)` at the other. `andThen` is associative, and modifiers
 * distribute over union and intersect. What does not hold: the reason for a stop is that of the left side; decorrelated
 * jitter of a union starts from the shorter first delay; a cap bounds its own backoff, not a hint or the other side.
 *
 * Hints of the other side (`Retry-After`) are honoured up to 60 seconds in every policy: a retry is never earlier than
 * asked, and after a longer hint there is none. `honourHints` sets another limit, `ignoreHints` none.
 *
 * @example
 * import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
 *
 * const transient = RetryPolicy.exponential({ initial: "500 millis", factor: 2 }).pipe(
 *   RetryPolicy.jittered("full"),
 *   RetryPolicy.capped("8 seconds"),
 *   RetryPolicy.attempts(4),
 *   RetryPolicy.within("1 minute"),
 *   RetryPolicy.honourHints({ max: "60 seconds" })
 * )
 *
 * const policy = RetryPolicy.byError([
 *   { on: ["RateLimited"], use: RetryPolicy.constant("60 seconds").pipe(RetryPolicy.attempts(3)) },
 *   { on: ["Overloaded", "ServerError", "ConnectionFailed", "TimedOut"], use: transient }
 * ], { otherwise: "fail" })
 *
 * console.log(String(transient))
 * // exponential from 500ms ×2, full jitter, at most 8s, 4 attempts in total, within 1m of the first attempt, …
 * console.log(RetryPolicy.bounds(policy).attempts) // => 6
 *
 * @example
 * import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
 * import * as Either from "effect/Either"
 *
 * const policy = RetryPolicy.decode({ backoff: "exponential", initial: "500 millis", cap: "8 seconds", attempts: 4 })
 * console.log(Either.map(policy, String))
 *
 * const wrong = RetryPolicy.decode({ backoff: "exponential", initial: 500, attempts: 0 })
 * console.log(Either.isLeft(wrong) && wrong.left.message)
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { dual } from "effect/Function"
import * as Form from "../internal/form.ts"
import { capped, exponential, jittered } from "./Backoff.ts"
import * as Bounds from "./retryPolicy/bounds.ts"
import { canRetry as canRetryTree } from "./retryPolicy/canRetry.ts"
import { readFormOrThrow } from "./shared/options.ts"
import * as PolicyForm from "./shared/retryForm.ts"
import { describe as describeTree } from "./shared/retryText.ts"
import { longestHint } from "./shared/retryTree.ts"
import * as Value from "./shared/retryValue.ts"

const moduleName = "RetryPolicy"

export {
  /**
   * Whether a value is a retry policy.
   *
   * @since 0.1.0
   * @category guards
   */
  isRetryPolicy
} from "./shared/retryValue.ts"

/**
 * A retry policy. Two policies are equal when they are built alike; `String(policy)` is {@link describe},
 * `JSON.stringify(policy)` is {@link encode}.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryPolicy extends Value.RetryPolicy {}

const { isRetryPolicy, make } = Value
const duration = Form.millis()
const millis = (path: string, value: unknown): number => readFormOrThrow(moduleName, path, duration, value)

/**
 * No retry at all.
 *
 * @since 0.1.0
 * @category constructors
 */
export const never: RetryPolicy = make({ _tag: "Never" })

export {
  /**
   * No delay of this policy is shorter.
   *
   * @since 0.1.0
   * @category combinators
   */
  atLeast,
  /**
   * No delay of this policy is longer; it holds after jitter.
   *
   * @since 0.1.0
   * @category combinators
   */
  capped,
  /**
   * The same wait each time.
   *
   * @since 0.1.0
   * @category constructors
   */
  constant,
  /**
   * `initial`, then `factor` times as much each time.
   *
   * @since 0.1.0
   * @category constructors
   */
  exponential,
  /**
   * `initial` times 1, 1, 2, 3, 5, 8, …
   *
   * @since 0.1.0
   * @category constructors
   */
  fibonacci,
  /**
   * Retries at once, without a wait and without a limit.
   *
   * @since 0.1.0
   * @category constructors
   */
  immediate,
  /**
   * Lets chance decide about a part of each delay, so that callers who failed together do not come back together.
   *
   * @since 0.1.0
   * @category combinators
   */
  jittered,
  /**
   * `initial`, then `increment` more each time.
   *
   * @since 0.1.0
   * @category constructors
   */
  linear
} from "./Backoff.ts"
export type {
  /**
   * How much of a delay chance decides.
   *
   * @since 0.1.0
   * @category models
   */
  Jitter
} from "./Backoff.ts"

/**
 * At most this many attempts in total, the first included: a whole number from 2 to 100000. On a rule of
 * {@link byError} it counts the failures of that rule only; after {@link andThen} the failures since then.
 *
 * @since 0.1.0
 * @category combinators
 */
export const attempts: {
  (max: number): (self: RetryPolicy) => RetryPolicy
  (self: RetryPolicy, max: number): RetryPolicy
} = dual(2, (self: RetryPolicy, max: number): RetryPolicy =>
  make({
    _tag: "Attempts",
    policy: self.tree,
    max: readFormOrThrow(moduleName, "attempts", PolicyForm.attempts, max)
  }))

/**
 * No wait may end later than this after the first attempt's start; where it would, the policy stops at once instead of
 * waiting in vain. The attempt that follows the last wait may still run past it: bound that with a time-out.
 *
 * @since 0.1.0
 * @category combinators
 */
export const within: {
  (limit: Duration.DurationInput): (self: RetryPolicy) => RetryPolicy
  (self: RetryPolicy, limit: Duration.DurationInput): RetryPolicy
} = dual(
  2,
  (self: RetryPolicy, limit: Duration.DurationInput): RetryPolicy =>
    make({ _tag: "Within", policy: self.tree, limit: millis("within", limit) })
)

/**
 * How long a wait the other side may ask for (`Retry-After` and its kin), where the default of 60 seconds is not right.
 * A retry is never earlier than asked; where the other side asks for more than `max`, the policy stops at once and the
 * error, with its hint, goes to the caller. Of two limits in one another the tighter counts.
 *
 * {@link ignoreHints} is for none.
 *
 * @since 0.1.0
 * @category combinators
 */
export const honourHints: {
  (options?: { readonly max?: Duration.DurationInput | undefined }): (self: RetryPolicy) => RetryPolicy
  (self: RetryPolicy, options?: { readonly max?: Duration.DurationInput | undefined }): RetryPolicy
} = dual(
  (args) => isRetryPolicy(args[0]),
  (self: RetryPolicy, options?: { readonly max?: Duration.DurationInput | undefined }): RetryPolicy =>
    make({
      _tag: "HonourHints",
      policy: self.tree,
      max: millis("honourHints.max", options?.max ?? defaults.longestHint)
    })
)

/**
 * Waits as the policy says, whatever the other side asks for; `"honourHints": "never"` in a file. What is said furthest
 * out counts: `policy.pipe(honourHints(), ignoreHints)` ignores hints, and a limit put round that honours them again.
 *
 * @since 0.1.0
 * @category combinators
 */
export const ignoreHints = (self: RetryPolicy): RetryPolicy =>
  make({ _tag: "HonourHints", policy: self.tree, max: "never" })

/**
 * Goes on while either does, with the shorter wait.
 *
 * @since 0.1.0
 * @category combinators
 */
export const union: {
  (that: RetryPolicy): (self: RetryPolicy) => RetryPolicy
  (self: RetryPolicy, that: RetryPolicy): RetryPolicy
} = dual(
  2,
  (self: RetryPolicy, that: RetryPolicy): RetryPolicy => make({ _tag: "Union", left: self.tree, right: that.tree })
)

/**
 * Goes on while both do, with the longer wait.
 *
 * @since 0.1.0
 * @category combinators
 */
export const intersect: {
  (that: RetryPolicy): (self: RetryPolicy) => RetryPolicy
  (self: RetryPolicy, that: RetryPolicy): RetryPolicy
} = dual(
  2,
  (self: RetryPolicy, that: RetryPolicy): RetryPolicy => make({ _tag: "Intersect", left: self.tree, right: that.tree })
)

/**
 * Follows the first policy until it stops, then the second for good. The second counts attempts and grows its delays
 * from then on: `a.attempts(3)` then `b.attempts(2)` is two retries by `a` and one by `b`, four attempts in total.
 *
 * @since 0.1.0
 * @category combinators
 */
export const andThen: {
  (that: RetryPolicy): (self: RetryPolicy) => RetryPolicy
  (self: RetryPolicy, that: RetryPolicy): RetryPolicy
} = dual(
  2,
  (self: RetryPolicy, that: RetryPolicy): RetryPolicy => make({ _tag: "AndThen", first: self.tree, second: that.tree })
)

export type {
  /**
   * A policy as data: what a file holds, and what code may write inline (with any `DurationInput`).
   *
   * @since 0.1.0
   * @category models
   */
  PolicyData
} from "./shared/retryData.ts"

/**
 * One rule of {@link byError}: errors with one of these tags are retried by this policy, whatever their verdict.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rule {
  readonly on: ReadonlyArray<string>
  readonly use: RetryPolicy
}

/**
 * A policy for each kind of error, told by `_tag`. Each rule counts its own failures: its attempts, its growing delays,
 * its jitter. Errors that no rule names go to `otherwise` (default `"fail"`: they are not retried). With
 * `growth: "call"` delays grow with all failures of the call, as in the AWS SDKs; limits stay with the rule. A tag in
 * two rules, a misspelt tag of ours, an empty list of tags or of rules throws `InvalidOptions`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const byError = (
  rules: ReadonlyArray<Rule>,
  options?: {
    readonly otherwise?: "fail" | RetryPolicy | undefined
    readonly growth?: "rule" | "call" | undefined
  }
): RetryPolicy => {
  const { growth = "rule", otherwise = "fail" } = options ?? {}
  const all = rules.map(({ on, use }, i) => ({
    on: readFormOrThrow(moduleName, `rules.${i}.on`, PolicyForm.tags, on),
    use: use.tree
  }))
  readFormOrThrow(moduleName, "rules", PolicyForm.distinctRules, all)
  return make({ _tag: "ByError", rules: all, otherwise: otherwise === "fail" ? "fail" : otherwise.tree, growth })
}

/**
 * The numbers of {@link standard}; `longestHint` holds for every policy that says nothing of hints.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  attempts: 3,
  initial: Duration.millis(500),
  throttledInitial: Duration.seconds(1),
  factor: 2,
  cap: Duration.seconds(8),
  longestHint: Duration.millis(longestHint)
} as const

/**
 * What to use unless you know better: 3 attempts in total; 500 ms doubling to at most 8 s with full jitter; where the
 * other side throttles, 1 s doubling with equal jitter, because full jitter can be next to nothing; hints of up to
 * 60 s are honoured, longer ones stop at once.
 *
 * @since 0.1.0
 * @category defaults
 */
export const standard: RetryPolicy = byError([
  {
    on: ["RateLimited", "RateLimitExceeded"],
    use: exponential({ initial: defaults.throttledInitial, factor: defaults.factor }).pipe(
      jittered("equal"),
      capped(defaults.cap)
    )
  }
], {
  otherwise: exponential({ initial: defaults.initial, factor: defaults.factor }).pipe(
    jittered("full"),
    capped(defaults.cap)
  )
}).pipe(attempts(defaults.attempts), honourHints({ max: defaults.longestHint }))

/**
 * The policy in one readable line; `String(policy)` is the same.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: RetryPolicy): string => describeTree(self.tree)

export {
  /**
   * The facts about an error that a policy decides by: its `_tag` and its verdict.
   *
   * @since 0.1.0
   * @category interpreters
   */
  failureOf,
  /**
   * The waits a policy would choose, without waiting: for each retry the number of the attempt it leads to, the
   * delay, and the time since the first attempt's start.
   *
   * @since 0.1.0
   * @category interpreters
   */
  preview,
  /**
   * The state before the first attempt, which starts at `now`: milliseconds on a clock that only goes forward.
   *
   * @since 0.1.0
   * @category interpreters
   */
  start,
  /**
   * Decides about one failure: pure, data in and data out.
   *
   * @since 0.1.0
   * @category interpreters
   */
  step,
  /**
   * The policy as an ordinary `Schedule`, which composes with everything in Effect.
   *
   * @since 0.1.0
   * @category interpreters
   */
  toSchedule
} from "./shared/retryRun.ts"
export type {
  /**
   * What a policy decided about one failure: to wait, or to stop and why.
   *
   * @since 0.1.0
   * @category models
   */
  Decision,
  /**
   * The facts about an error that the step decides by.
   *
   * @since 0.1.0
   * @category models
   */
  Failure,
  /**
   * One retry as {@link preview} tells it.
   *
   * @since 0.1.0
   * @category models
   */
  Preview,
  /**
   * How far a run has got: what a policy remembers between two failures.
   *
   * @since 0.1.0
   * @category models
   */
  State,
  /**
   * Why a policy stopped.
   *
   * @since 0.1.0
   * @category models
   */
  StopReason
} from "./shared/retryRun.ts"

/**
 * The worst that a policy can do. `attempts` and `wait` are `Infinity` where nothing bounds them. `duration` adds the
 * attempts themselves, each at most `attemptTimeout` long (default: no time at all). No run exceeds any of them. A
 * backoff with jitter, cap, floor, attempts and hints can reach them; where parts limit each other in ways that depend
 * on what happens they may be higher than any run.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const bounds = (
  self: RetryPolicy,
  options?: {
    readonly attemptTimeout?: Duration.DurationInput | undefined
    /** `"written"`: only hints count that the policy speaks of, not those honoured by default. Default: `"honoured"`. */
    readonly hints?: "honoured" | "written" | undefined
  }
): { readonly attempts: number; readonly wait: Duration.Duration; readonly duration: Duration.Duration } => {
  const { attemptTimeout, hints } = options ?? {}
  const takes = attemptTimeout === undefined ? 0 : millis("attemptTimeout", attemptTimeout)
  const { attempts, duration, wait } = Bounds.bounds(self.tree, takes, hints === "written" ? "limit" : undefined)
  return { attempts, wait: Duration.millis(wait), duration: Duration.millis(duration) }
}

/**
 * Whether the policy can ever retry: `false` for `never`, and where every first wait is past the deadline. `false` is
 * certain. `true` may be too hopeful for an `andThen` whose first part can stop early in ways that depend on the error.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const canRetry = (self: RetryPolicy): boolean => canRetryTree(self.tree)

export {
  /**
   * Reads a policy from JSON, in either spelling or both mixed.
   *
   * @since 0.1.0
   * @category conversions
   */
  decode,
  /**
   * The policy as JSON in the spelling for people, where it can be said so, otherwise as the full tree.
   *
   * @since 0.1.0
   * @category conversions
   */
  encode,
  /**
   * The policy as JSON in the spelling for programs: one object for each constructor and modifier.
   *
   * @since 0.1.0
   * @category conversions
   */
  encodeTree,
  /**
   * A policy within a Schema of your own, such as that of a config file: reads as {@link decode}, writes as {@link
   * encode}.
   *
   * @since 0.1.0
   * @category schemas
   */
  FromJson
} from "./retryPolicy/codec.ts"
