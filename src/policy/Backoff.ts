/**
 * How long to wait before the n-th further attempt, as data: growth, jitter, cap. A backoff never stops by itself; it is
 * a `RetryPolicy` without limits, so everything that reads, prints and runs a policy works on it, and the limits of
 * `RetryPolicy` are put on top of it.
 *
 * @example
 * import * as Backoff from "effect-llm-resilience/policy/Backoff"
 * import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
 * import * as Duration from "effect/Duration"
 *
 * const backoff = Backoff.exponential({ initial: "1 second" }).pipe(Backoff.jittered("equal"), Backoff.capped("10 seconds"))
 * console.log([0, 1, 2, 3, 4].map((n) => Duration.toSeconds(Backoff.delay(backoff, n, 0.5)))) // [0.75, 1.5, 3, 6, 10]
 *
 * const policy = backoff.pipe(RetryPolicy.attempts(3))
 * console.log(String(policy))
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { dual } from "effect/Function"
import * as Form from "../internal/form.ts"
import { readFormOrThrow } from "./shared/options.ts"
import * as PolicyForm from "./shared/retryForm.ts"
import * as Step from "./shared/retryStep.ts"
import { type GrowthTree, isGrowth, type Jitter as JitterMode, type RetryTree } from "./shared/retryTree.ts"
import * as Value from "./shared/retryValue.ts"

const moduleName = "RetryPolicy"

/**
 * How long to wait, again and again: a retry policy that never stops by itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Backoff extends Value.RetryPolicy {
  readonly tree: GrowthTree
}

/**
 * How much of a delay chance decides. `full`: from nothing to all of it. `equal`: from half to all. `decorrelated`:
 * between the first delay and three times the previous one. `{ ratio: 0.2 }`: 20 % more or less. `{ min, max }`: the
 * shares of the delay to draw between. Source of the first four:
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @since 0.1.0
 * @category models
 */
export type Jitter = JitterMode

const make = (tree: GrowthTree): Backoff => Value.make(tree)

/** What modifies a policy of any kind gives one of the same kind: limits stay, and a backoff stays one. */
const modify = <Policy extends Value.RetryPolicy>(tree: RetryTree): Policy => Value.make(tree) as Policy

const limit = Form.millis()
const wait = Form.millis({ allowed: `${Form.allowedDuration} (for no wait at all, use RetryPolicy.immediate)` })
const millis = (path: string, value: unknown): number => readFormOrThrow(moduleName, path, limit, value)
const delayOf = (path: string, value: unknown): number => readFormOrThrow(moduleName, path, wait, value)

/**
 * Retries at once, without a wait and without a limit.
 *
 * @since 0.1.0
 * @category constructors
 */
export const immediate: Backoff = make({ _tag: "Immediate" })

/**
 * The same wait each time. The wait is above zero and at most 36500 days; anything else throws `InvalidOptions`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const constant = (wait: Duration.DurationInput): Backoff =>
  make({ _tag: "Constant", delay: delayOf("delay", wait) })

/**
 * `initial`, then `increment` more each time. Default increment: `initial`. Both above zero and at
 * most 36500 days.
 *
 * @since 0.1.0
 * @category constructors
 */
export const linear = (options: {
  readonly initial: Duration.DurationInput
  readonly increment?: Duration.DurationInput | undefined
}): Backoff => {
  const initial = delayOf("initial", options.initial)
  return make({
    _tag: "Linear",
    initial,
    increment: options.increment === undefined ? initial : delayOf("increment", options.increment)
  })
}

/**
 * `initial`, then `factor` times as much each time. The factor is from 1 to 100, default 2. Delays that overflow stay at
 * the longest representable one; put `capped` on top.
 *
 * @since 0.1.0
 * @category constructors
 */
export const exponential = (options: {
  readonly initial: Duration.DurationInput
  readonly factor?: number | undefined
}): Backoff =>
  make({
    _tag: "Exponential",
    initial: delayOf("initial", options.initial),
    factor: readFormOrThrow(moduleName, "factor", PolicyForm.factor, options.factor ?? PolicyForm.defaultFactor)
  })

/**
 * `initial` times 1, 1, 2, 3, 5, 8, …
 *
 * @since 0.1.0
 * @category constructors
 */
export const fibonacci = (options: { readonly initial: Duration.DurationInput }): Backoff =>
  make({ _tag: "Fibonacci", initial: delayOf("initial", options.initial) })

/**
 * Lets chance decide about a part of each delay, so that callers who failed together do not come back together.
 *
 * @since 0.1.0
 * @category combinators
 */
export const jittered: {
  (mode: Jitter): <Policy extends Value.RetryPolicy>(self: Policy) => Policy
  <Policy extends Value.RetryPolicy>(self: Policy, mode: Jitter): Policy
} = dual(
  2,
  <Policy extends Value.RetryPolicy>(self: Policy, mode: Jitter): Policy =>
    modify({
      _tag: "Jittered",
      policy: self.tree,
      mode: readFormOrThrow(moduleName, "jitter", PolicyForm.jitter, mode)
    })
)

/**
 * No delay of this policy is longer; it holds after jitter. A hint that the policy honours may ask for longer.
 *
 * @since 0.1.0
 * @category combinators
 */
export const capped: {
  (max: Duration.DurationInput): <Policy extends Value.RetryPolicy>(self: Policy) => Policy
  <Policy extends Value.RetryPolicy>(self: Policy, max: Duration.DurationInput): Policy
} = dual(
  2,
  <Policy extends Value.RetryPolicy>(self: Policy, max: Duration.DurationInput): Policy =>
    modify({ _tag: "Capped", policy: self.tree, max: millis("cap", max) })
)

/**
 * No delay of this policy is shorter.
 *
 * @since 0.1.0
 * @category combinators
 */
export const atLeast: {
  (min: Duration.DurationInput): <Policy extends Value.RetryPolicy>(self: Policy) => Policy
  <Policy extends Value.RetryPolicy>(self: Policy, min: Duration.DurationInput): Policy
} = dual(
  2,
  <Policy extends Value.RetryPolicy>(self: Policy, min: Duration.DurationInput): Policy =>
    modify({ _tag: "AtLeast", policy: self.tree, min: millis("atLeast", min) })
)

/**
 * The wait after failure number `index`, counted from 0, for a draw from 0 to 1. Decorrelated jitter has a history; it is
 * taken to have drawn the same each time.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const delay = (self: Backoff, index: number, random: number): Duration.Duration => {
  let state = Step.start(self.tree, 0)
  let wait = 0
  for (let failure = 0; failure <= index; failure++) {
    const [next, decision] = Step.step(state, transient, 0, random)
    state = next
    wait = decision._tag === "Wait" ? decision.delay : wait
  }
  return Duration.millis(wait)
}

const transient: Step.Failure = { tag: "", retryable: true, forbidden: false }

/**
 * Whether a policy is a backoff: nothing in it can stop.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBackoff = (policy: Value.RetryPolicy): policy is Backoff => isGrowth(policy.tree)
