/** What somebody wrote as the options of a plan, checked before anything of it is built. */
import * as Either from "effect/Either"
import { type Issue, issueOf } from "../../error/InvalidOptions.ts"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { conditionForm } from "../../internal/plan.ts"
import { isRecord } from "../../internal/record.ts"
import { isModel, namesDiffer } from "../shared/prepared.ts"

const step = Form.struct("a step with a name and a model", {
  name: Form.text(),
  model: Form.value(isModel, "a LanguageModel service, or a layer that provides one"),
  // What is wrong within it a pipeline finds by itself.
  pipeline: Form.optional(Form.value(isRecord, "a pipeline, or the options of one")),
  when: Form.optional(conditionForm<never>())
})

const plan = Form.struct(
  "an object with the options of a plan",
  {
    name: Form.optional(Form.text()),
    sticky: Form.optional(
      Form.millis({ allowed: `${Form.allowedDuration} (leave it out to start at the first step)` })
    ),
    verdict: Form.optional(
      Form.fn<(error: unknown) => Verdict.Verdict>("a function from an error to a verdict", "judge errors")
    ),
    steps: Form.list(step, { allowed: "a list of one or more steps" })
  },
  (_, { steps }) => Array.isArray(steps) ? [...firstHasNoCondition(steps), ...namesDiffer("steps", steps)] : []
)

const firstHasNoCondition = ([first]: ReadonlyArray<unknown>) =>
  isRecord(first) && first["when"] !== undefined
    ? [{ path: ["steps", 0, "when"], allowed: "no condition: nothing has failed before the first step" }]
    : []

const stepOf = ({ path }: Issue): number => Number(/^steps\.(\d+)/.exec(path)?.[1] ?? -1)

/** All that is wrong with a step together, whoever found it. */
export const inOrderOfSteps = (issues: ReadonlyArray<Issue>): ReadonlyArray<Issue> =>
  [...issues].sort((a, b) => stepOf(a) - stepOf(b))

/** Every problem of the options, but for those of the pipelines, which a pipeline finds by itself. */
export const planIssues = (options: unknown): ReadonlyArray<Issue> =>
  Either.match(Form.read(plan, options, "code"), {
    onLeft: (faults) => faults.map(issueOf),
    onRight: () => []
  })
