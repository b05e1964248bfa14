/** What somebody wrote as the options of a plan, checked before anything of it is built. */
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { found, type Issue } from "../../error/InvalidOptions.ts"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { conditionForm } from "../../internal/plan.ts"
import { isRecord } from "../../internal/record.ts"

const isModel = (value: unknown): value is object =>
  Layer.isLayer(value) || (isRecord(value) && typeof value["generate"] === "function")

const stepFields = {
  name: Form.text(),
  model: Form.value(isModel, "a LanguageModel service, or a layer that provides one"),
  pipeline: Form.optional(Form.value(isRecord, "a pipeline, or the options of one"))
}

const isNothing = (value: unknown): value is undefined => value === undefined

const whatStep = "a step with a name and a model"

const firstStep = Form.struct(whatStep, {
  ...stepFields,
  when: Form.optional(Form.value(isNothing, "no condition: nothing has failed before the first step"))
})

const laterStep = Form.struct(whatStep, { ...stepFields, when: Form.optional(conditionForm) })

const plan = Form.struct("an object with the options of a plan", {
  name: Form.optional(Form.text()),
  sticky: Form.optional(Form.millis({ allowed: `${Form.allowedDuration} (leave it out to start at the first step)` })),
  verdict: Form.optional(
    Form.fn<(error: unknown) => Verdict.Verdict>("a function from an error to a verdict", "judge errors")
  ),
  steps: Form.list(Form.anything, { allowed: "a list of one or more steps" })
})

const faultsOf = (form: Form.Form<unknown, unknown>, value: unknown, path = ""): ReadonlyArray<Form.Fault> =>
  Either.match(Form.read(form, value, "code", path), { onLeft: (faults) => faults, onRight: () => [] })

const nameOf = (step: unknown): unknown => isRecord(step) ? step["name"] : undefined

/** A step is found by its name, so no two have the same. */
const sameName = (steps: ReadonlyArray<unknown>, position: number): ReadonlyArray<Form.Fault> => {
  const name = nameOf(steps[position])
  const first = steps.findIndex((step) => nameOf(step) === name)
  return name === undefined || first === position ? [] : [{
    path: `steps.${position}.name`,
    found: name,
    allowed: `a name of its own; steps.${first} has this one`
  }]
}

/** Every fault of the options, but for those of the pipelines, which a pipeline finds by itself. */
export const planIssues = (options: unknown): ReadonlyArray<Issue> => {
  const steps: unknown = isRecord(options) ? options["steps"] : undefined
  const all: ReadonlyArray<unknown> = Array.isArray(steps) ? steps : []
  return [
    ...faultsOf(plan, options),
    ...all.flatMap((step, position) => [
      ...faultsOf(position === 0 ? firstStep : laterStep, step, `steps.${position}`),
      ...sameName(all, position)
    ])
  ].map((fault) => ({ ...fault, found: found(fault.found) }))
}
