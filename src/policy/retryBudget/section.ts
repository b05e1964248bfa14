/** The budget that the retries and hedges of a pipeline share. */
import * as Effect from "effect/Effect"
import type * as Form from "../../internal/form.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as Section from "../shared/section.ts"
import { pipelineForm } from "./options.ts"

const formOf = (read: Form.Output<typeof pipelineForm>): RetryBudget.Form =>
  read === "standard"
    ? RetryBudget.share()
    : "share" in read
    ? RetryBudget.share(read.share)
    : "tokens" in read
    ? RetryBudget.tokens(read.tokens)
    : "deposits" in read
    ? RetryBudget.deposits(read.deposits)
    : RetryBudget.throttle(read.throttle)

export const section = Section.make({
  form: pipelineForm,
  name: "retryBudget",
  is: Section.marked<RetryBudget.RetryBudget>(RetryBudget.TypeId),
  make: (read, { name }) => RetryBudget.make({ name, form: formOf(read) }),
  // It goes on with its counts where the form is the same, however its numbers are spelt.
  keep: (now, next) => Effect.succeed(now !== undefined && Section.isSame(now.cell.form, next.cell.form) ? now : next),
  describe: (self) => Section.titled("retry budget", RetryBudget.describe(self))
})
