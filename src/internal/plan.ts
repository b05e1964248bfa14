/** Which alternative is tried next, and where a plan starts: the decisions of `Fallback` and `ModelPlan`. */
import * as Form from "./form.ts"

export type Action = "Retry" | "Reask" | "Fallback" | "Fail"

/** A failure as a plan sees it. */
export interface Failure<out E> {
  readonly tag: string
  readonly action: Action
  readonly error: E
}

/** Which failures a step is for: those it names by tag or by action, and those its predicate takes. */
export interface Condition<in E> {
  readonly tags?: ReadonlyArray<string> | undefined
  readonly actions?: ReadonlyArray<Action> | undefined
  readonly predicate?: ((error: E) => boolean) | undefined
}

/** Naming an error is a decision about that error; a predicate is wider, so it cannot overrule a verdict to fail. */
export const holds = <E>(condition: Condition<E>, failure: Failure<E>): boolean =>
  condition.tags?.includes(failure.tag) === true ||
  condition.actions?.includes(failure.action) === true ||
  (failure.action !== "Fail" && condition.predicate?.(failure.error) === true)

const movesOn = (action: Action): boolean => action === "Retry" || action === "Fallback"

/**
 * Whether a step may be tried after these failures, the newest last. The newest must allow it; then a condition may be
 * met by any of them, so that a specialist that fails is followed by the next one of its kind.
 */
const applies = <E>(condition: Condition<E> | undefined, failures: ReadonlyArray<Failure<E>>, newest: Failure<E>) =>
  condition === undefined
    ? movesOn(newest.action)
    : movesOn(newest.action)
    ? failures.some((failure) => holds(condition, failure))
    : holds(condition, newest)

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

/** The start that holds now: a stay that is over is over for everybody at once. */
export const startAt = (state: Start, now: number): Start =>
  state.step !== 0 && now >= state.until ? { step: 0, until: 0, generation: state.generation + 1 } : state

/** All steps, each once, from the start on and round. */
export const order = (count: number, start: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => (start + i) % count)

/** A step that was tried in a call, and whether its failure says something about the step rather than the request. */
export interface Tried {
  readonly step: number
  readonly unwell: boolean
}

/**
 * The start after a call that was answered; `tried` ends with the step that answered. Later calls start at the first
 * step tried that is not unwell: a step that only could not do this request is good for others. A call that began under
 * an earlier start decides nothing.
 */
export const settle = (
  state: Start,
  generation: number,
  tried: ReadonlyArray<Tried>,
  stay: number,
  now: number
): Start => {
  const current = startAt(state, now)
  if (generation !== current.generation || !tried.some((each) => each.unwell)) return current
  const well = tried.find((each) => !each.unwell)
  if (well === undefined || well.step === current.step) return current
  return { step: well.step, until: well.step === 0 ? 0 : now + stay, generation: current.generation + 1 }
}

/** A condition that somebody wrote. */
export const conditionForm = Form.of<Condition<unknown>>()(Form.struct(
  "an object with tags, actions or predicate",
  {
    tags: Form.optional(Form.list(Form.text(), { allowed: "a list of tags that is not empty" })),
    actions: Form.optional(
      Form.list(Form.oneOf("Retry", "Reask", "Fallback", "Fail"), { allowed: "a list of actions that is not empty" })
    ),
    predicate: Form.optional(
      Form.fn<(error: unknown) => boolean>("a function from an error to true or false", "take errors")
    )
  },
  (_, given) =>
    Object.values(given).every((each) => each === undefined)
      ? [{
        path: [],
        allowed: "at least one of tags, actions and predicate (leave the condition out to go by verdicts)"
      }]
      : []
))

const told = (names: ReadonlyArray<string> | undefined): ReadonlyArray<string> => names ?? []

/** "RateLimited, Overloaded", "a Fallback verdict", "what its predicate takes" */
export const describeCondition = (condition: Condition<never>): string =>
  [
    ...told(condition.tags),
    ...told(condition.actions).map((each) => `a ${each} verdict`),
    ...(condition.predicate === undefined ? [] : ["what its predicate takes"])
  ].join(", ")
