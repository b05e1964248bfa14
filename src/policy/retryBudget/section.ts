/** The budget that the retries and hedges of a pipeline share. */
import * as Effect from "effect/Effect"
import type * as Form from "../../internal/form.ts"
import { definedFields } from "../../internal/record.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as Section from "../shared/section.ts"
import { input } from "./options.ts"

/** As the constructors of the module write it. */
const formOf = (read: Form.Output<typeof input>): RetryBudget.Form => {
  if (read === "standard") return RetryBudget.share()
  if ("share" in read) return RetryBudget.share(read.share)
  if ("tokens" in read) return RetryBudget.tokens(definedFields(read.tokens))
  return RetryBudget.deposits({ ...read.deposits, ttl: `${read.deposits.ttl / 1_000} seconds` })
}

export const section = Section.make({
  name: "retryBudget",
  form: input,
  is: Section.marked<RetryBudget.RetryBudget>(RetryBudget.TypeId),
  make: (read, { name }) => RetryBudget.make({ name, form: formOf(read) }),
  // It goes on with its counts where the form is the same.
  keep: (now, next) => Effect.succeed(now !== undefined && Section.isSame(now.cell.form, next.cell.form) ? now : next),
  describe: (self) => Section.titled("retry budget", RetryBudget.describe(self))
})
