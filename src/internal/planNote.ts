/**
 * What a plan had tried before it let its last error through. The error stays what it is, unboxed and unchanged; the note
 * stands beside it, and only its message tells it. An error that a later plan lets through has the note of that plan.
 */
import { describeCause } from "./redact.ts"

/** A way through a plan that ended without an answer; the last of `failed` is the error that passes through. */
export interface Failure {
  readonly plan: string
  readonly failed: ReadonlyArray<{ readonly step: string; readonly error: unknown }>
  readonly skipped: ReadonlyArray<string>
}

const notes = new WeakMap<object, string>()

/** Leaves the note at the last error, where there is something to tell. */
export const annotate = ({ failed, plan, skipped }: Failure): void => {
  const last = failed.at(-1)
  if (last === undefined || typeof last.error !== "object" || last.error === null) return
  // The message of an error that comes twice must not hold itself.
  notes.delete(last.error)
  const before = failed.slice(0, -1).map(({ error, step }) =>
    `${step} (${error === last.error ? "the same error" : describeCause(error).message})`
  )
  if (before.length === 0 && skipped.length === 0) return
  const told = [
    `This is the error of ${JSON.stringify(last.step)}, the last step tried of the plan ${JSON.stringify(plan)}.`,
    ...(before.length === 0 ? [] : [`Tried before: ${before.join(", ")}.`]),
    ...(skipped.length === 0 ? [] : [`Not for these errors: ${skipped.join(", ")}.`])
  ]
  notes.set(last.error, told.join(" "))
}

/** The message of an error, with the note of a plan where there is one. */
export const withPlanNote = (error: object, message: string): string => {
  const note = notes.get(error)
  return note === undefined ? message : `${message} ${note}`
}
