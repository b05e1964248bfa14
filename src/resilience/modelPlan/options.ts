/** What somebody wrote as the options of a plan, checked before anything of it is built. */
import * as Layer from "effect/Layer"
import { found, type Issue } from "../../error/InvalidOptions.ts"
import { checkCondition } from "../../internal/plan.ts"
import {
  allowedDuration,
  at,
  durationInput,
  fields,
  isFunction,
  judge,
  optional,
  type Reader,
  type Report,
  required,
  text,
  where
} from "../../internal/reader.ts"
import { isRecord } from "../../internal/record.ts"

const isModel = (value: unknown): value is object =>
  Layer.isLayer(value) || (isRecord(value) && isFunction(value["generate"]))

/** How long a plan stays with the step that answered, in milliseconds. */
export const stay: Reader<number> = durationInput(`${allowedDuration} (leave it out to start at the first step)`)

const checkStep = (value: unknown, path: string, position: number, report: Report): void => {
  const record = fields(value, path, ["name", "model", "pipeline", "when"], report, "a step with a name and a model")
  if (record === undefined) return
  required(record, "name", path, text, report)
  required(record, "model", path, where(isModel, "a LanguageModel service, or a layer that provides one"), report)
  optional(record, "pipeline", path, where(isRecord, "a pipeline, or the options of one"), report)
  if (position > 0) optional(record, "when", path, checkCondition, report)
  else if (record["when"] !== undefined) {
    report.problems.push({
      path: at(path, "when"),
      found: record["when"],
      allowed: "no condition: nothing has failed before the first step"
    })
  }
}

/** Every problem of the options, but for those of the pipelines, which a pipeline finds by itself. */
export const planIssues = (options: unknown): ReadonlyArray<Issue> => {
  const report: Report = { problems: [] }
  const record = fields(
    options,
    "",
    ["name", "steps", "sticky", "verdict"],
    report,
    "an object with the options of a plan"
  )
  if (record !== undefined) {
    optional(record, "name", "", text, report)
    optional(record, "sticky", "", stay, report)
    optional(record, "verdict", "", judge, report)
    const { steps } = record
    if (!Array.isArray(steps) || steps.length === 0) {
      report.problems.push({ path: "steps", found: steps, allowed: "a list of one or more steps" })
    } else {
      const names: ReadonlyArray<unknown> = steps.map((step: unknown) => isRecord(step) ? step["name"] : undefined)
      steps.forEach((step: unknown, position) => {
        const path = `steps.${position}`
        checkStep(step, path, position, report)
        const name = names[position]
        if (name !== undefined && names.indexOf(name) < position) {
          report.problems.push({
            path: at(path, "name"),
            found: name,
            allowed: `a name of its own; steps.${names.indexOf(name)} has this one`
          })
        }
      })
    }
  }
  return report.problems.map((problem) => ({ ...problem, found: found(problem.found) }))
}
