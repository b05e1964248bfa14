/**
 * A retry policy as data, in two spellings that may be mixed at every level. The flat one is what a person writes: one
 * object whose modifiers apply in a fixed order. The tree is what a program writes: one object a node, in any order.
 */
import type { DurationInput } from "effect/Duration"
import type { Jitter } from "./retryTree.ts"

/** What may stand beside any backoff. It applies in this order, whatever the order of the fields. */
export interface Modifiers {
  /** How much of a delay chance decides. Default: nothing of it. */
  readonly jitter?: Jitter | undefined
  /** No delay is shorter. */
  readonly atLeast?: DurationInput | undefined
  /** No delay is longer; it holds after jitter. */
  readonly cap?: DurationInput | undefined
  /** Attempts in total, the first included: a whole number from 2 to 100000. Default: no limit. */
  readonly attempts?: number | undefined
  /** No wait may end later than this after the first attempt's start. Default: no limit. */
  readonly within?: DurationInput | undefined
  /**
   * The longest wait that the other side may ask for; longer: stops at once. `"never"` ignores what it asks. Default: 60
   * seconds.
   */
  readonly honourHints?: DurationInput | "never" | undefined
}

/** No retry at all. */
export interface NeverData extends Modifiers {
  readonly backoff: "never"
}

/** Retries at once. */
export interface ImmediateData extends Modifiers {
  readonly backoff: "immediate"
}

/** The same wait each time. */
export interface ConstantData extends Modifiers {
  readonly backoff: "constant"
  /** The wait: above zero, at most 36500 days. */
  readonly delay: DurationInput
}

/** `initial`, then `increment` more each time. */
export interface LinearData extends Modifiers {
  readonly backoff: "linear"
  /** The first wait: above zero, at most 36500 days. */
  readonly initial: DurationInput
  /** How much longer each wait is than the one before. Default: as `initial`. */
  readonly increment?: DurationInput | undefined
}

/** `initial`, then `factor` times as much each time. */
export interface ExponentialData extends Modifiers {
  readonly backoff: "exponential"
  /** The first wait: above zero, at most 36500 days. */
  readonly initial: DurationInput
  /** From 1 to 100. Default: 2. */
  readonly factor?: number | undefined
}

/** `initial` times 1, 1, 2, 3, 5, 8, … */
export interface FibonacciData extends Modifiers {
  readonly backoff: "fibonacci"
  /** The first wait: above zero, at most 36500 days. */
  readonly initial: DurationInput
}

export type LeafData =
  | NeverData
  | ImmediateData
  | ConstantData
  | LinearData
  | ExponentialData
  | FibonacciData

/** Without what would end it. */
type Endless<Data> = Omit<Data, "attempts" | "within" | "honourHints">

/** A backoff that never ends. */
export type BackoffData =
  | Endless<ConstantData>
  | Endless<LinearData>
  | Endless<ExponentialData>
  | Endless<FibonacciData>

/** Which errors a rule is for. */
interface Named {
  /** The `_tag` of the errors, such as `RateLimited`: one or more. */
  readonly on: ReadonlyArray<string>
}

/** One rule: errors and the policy for them, inline or under `use`. */
export type RuleData =
  | (Named & LeafData)
  | (Named & { readonly use: PolicyData })

/** A policy for each kind of error. */
export interface ByErrorData extends Modifiers {
  /** Which errors are retried how; each tag in one rule only. */
  readonly byError: ReadonlyArray<RuleData>
  /** Whether delays grow with the failures of their own rule or with all of the call. Default: `"rule"`. */
  readonly growth?: "rule" | "call" | undefined
  /** For errors that no rule names. Default: `"fail"`. */
  readonly otherwise?: "fail" | PolicyData | undefined
}

/** One node of the full tree. */
export type TreeData =
  | { readonly _tag: "Never" }
  | { readonly _tag: "Immediate" }
  | { readonly _tag: "Constant"; readonly delay: DurationInput }
  | { readonly _tag: "Linear"; readonly initial: DurationInput; readonly increment?: DurationInput | undefined }
  | { readonly _tag: "Exponential"; readonly initial: DurationInput; readonly factor?: number | undefined }
  | { readonly _tag: "Fibonacci"; readonly initial: DurationInput }
  | { readonly _tag: "Jittered"; readonly policy: PolicyData; readonly jitter: Jitter }
  | { readonly _tag: "AtLeast"; readonly policy: PolicyData; readonly atLeast: DurationInput }
  | { readonly _tag: "Capped"; readonly policy: PolicyData; readonly cap: DurationInput }
  | { readonly _tag: "Attempts"; readonly policy: PolicyData; readonly attempts: number }
  | { readonly _tag: "Within"; readonly policy: PolicyData; readonly within: DurationInput }
  | { readonly _tag: "HonourHints"; readonly policy: PolicyData; readonly honourHints: DurationInput | "never" }
  | { readonly _tag: "Union" | "Intersect"; readonly left: PolicyData; readonly right: PolicyData }
  | { readonly _tag: "AndThen"; readonly first: PolicyData; readonly second: PolicyData }
  | {
    readonly _tag: "ByError"
    readonly rules: ReadonlyArray<RuleData>
    readonly growth?: "rule" | "call" | undefined
    readonly otherwise?: "fail" | PolicyData | undefined
  }

export type PolicyData = LeafData | ByErrorData | TreeData
