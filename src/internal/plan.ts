/** Which alternative is tried next, and where a plan starts: the decisions of `Fallback` and `ModelPlan`. */
import { misspelt, tagWords } from "./errorTags.ts"
import * as Form from "./form.ts"

export type Action = "Retry" | "Reask" | "Fallback" | "Fail"

/** The facts about a failure that a plan decides by. */
export interface Failure<out E> {
  readonly tag: string
  readonly action: Action
  readonly error: E
}

/** Which failures a step is for: those that it names by tag or by action, and those that its predicate accepts. */
export interface Condition<in E> {
  readonly tags?: ReadonlyArray<string> | undefined
  readonly actions?: ReadonlyArray<Action> | undefined
  readonly predicate?: ((error: E) => boolean) | undefined
}

/** Naming an error is a decision about that error; a predicate is wider, so it cannot overrule a verdict to fail. */
export const isMet = <E>(condition: Condition<E>, failure: Failure<E>): boolean =>
  condition.tags?.includes(failure.tag) === true ||
  condition.actions?.includes(failure.action) === true ||
  (failure.action !== "Fail" && condition.predicate?.(failure.error) === true)

const allowsNext = (action: Action): boolean => action === "Retry" || action === "Fallback"

/**
 * Whether a step may be tried after these failures, the newest last. The newest must allow it; then a condition may be
 * met by any of them, so that a specialist that fails is followed by the next one of its kind.
 */
const applies = <E>(condition: Condition<E> | undefined, failures: ReadonlyArray<Failure<E>>, newest: Failure<E>) =>
  condition === undefined
    ? allowsNext(newest.action)
    : allowsNext(newest.action)
    ? failures.some((failure) => isMet(condition, failure))
    : isMet(condition, newest)

export type Stop = "Fail" | "Reask" | "NoneApplies" | "NoneLeft"

export type Decision =
  | { readonly _tag: "Try"; readonly position: number; readonly skipped: ReadonlyArray<number> }
  | { readonly _tag: "Stop"; readonly reason: Stop; readonly skipped: ReadonlyArray<number> }

/**
 * What follows the failure of the step at `position`: the first later step that is for it. `conditions` has one entry
 * for each step, in the order of trying; `undefined` is the rule of verdicts (Retry or Fallback moves on).
 */
export const next = <E>(
  conditions: ReadonlyArray<Condition<E> | undefined>,
  failures: ReadonlyArray<Failure<E>>,
  position: number
): Decision => {
  const newest = failures.at(-1)
  const skipped: Array<number> = []
  for (let later = position + 1; newest !== undefined && later < conditions.length; later++) {
    if (applies(conditions[later], failures, newest)) return { _tag: "Try", position: later, skipped }
    skipped.push(later)
  }
  const reason = newest?.action === "Fail" || newest?.action === "Reask"
    ? newest.action
    : skipped.length === 0
    ? "NoneLeft"
    : "NoneApplies"
  return { _tag: "Stop", reason, skipped }
}

/** Why a plan stopped, for people. */
export const stopText: Readonly<Record<Stop, string>> = {
  Fail: "the verdict of the last error is that nothing but a change helps",
  Reask: "the verdict of the last error is to ask the model again",
  NoneApplies: "no step that is left is for these errors",
  NoneLeft: "no steps are left"
}

/** Where calls start. `until` (epoch milliseconds) is when the first step is tried again. */
export interface Start {
  readonly step: number
  readonly until: number
  readonly generation: number
}

export const first: Start = { step: 0, until: 0, generation: 0 }

/** The start that holds now. A stay ends for all calls at once. */
export const startAt = (state: Start, now: number): Start =>
  state.step !== 0 && now >= state.until ? { step: 0, until: 0, generation: state.generation + 1 } : state

/** The positions of all steps, each once, beginning at `start`. */
export const roundFrom = (count: number, start: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => (start + i) % count)

/** A step that was tried in a call, and whether its failure says something about the step and not about the request. */
export interface TriedStep {
  readonly step: number
  readonly isUnwell: boolean
}

/**
 * The start after a call that was answered; `tried` ends with the step that answered. Later calls start at the first
 * step tried that is not unwell, because a step that could not do this one request may do others. A call that began under
 * an earlier start changes nothing.
 */
export const settle = (
  state: Start,
  generation: number,
  tried: ReadonlyArray<TriedStep>,
  stay: number,
  now: number
): Start => {
  const current = startAt(state, now)
  if (generation !== current.generation || !tried.some((each) => each.isUnwell)) return current
  const healthy = tried.find((each) => !each.isUnwell)
  if (healthy === undefined || healthy.step === current.step) return current
  return { step: healthy.step, until: healthy.step === 0 ? 0 : now + stay, generation: current.generation + 1 }
}

/** A condition in options. A tag that is nearly one of ours is refused, because its step would never be tried. */
export const conditionForm = <E>() =>
  Form.of<Condition<E>>()(Form.struct(
    "an object with tags, actions or predicate",
    {
      tags: Form.optional(
        Form.list(Form.checked(Form.text(), misspelt), { allowed: "a list of tags that is not empty" })
      ),
      actions: Form.optional(
        Form.list(Form.oneOf("Retry", "Reask", "Fallback", "Fail"), { allowed: "a list of actions that is not empty" })
      ),
      predicate: Form.optional(
        Form.fn<(error: E) => boolean>("a function from an error to true or false", "judge errors")
      )
    },
    (_, given) =>
      Object.values(given).some((each) => each !== undefined) ? [] : [{
        path: [],
        allowed: "at least one of tags, actions and predicate (leave the condition out to go by verdicts)"
      }]
  ))

/** "RateLimited, Overloaded", "your own SearchIndexBusy", "a Fallback verdict", "what its predicate takes" */
export const describeCondition = ({ actions = [], predicate, tags = [] }: Condition<never>): string =>
  [
    ...tags.map(tagWords),
    ...actions.map((each) => `a ${each} verdict`),
    ...(predicate === undefined ? [] : ["what its predicate takes"])
  ].join(", ")
