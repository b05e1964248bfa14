/** The budget that the retries and hedges of a pipeline share. */
import * as Effect from "effect/Effect"
import { found, InvalidOptions } from "../../error/InvalidOptions.ts"
import { isRecord } from "../../internal/record.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as Section from "../shared/section.ts"
import { readByConstructor } from "../shared/sectionOptions.ts"

const isRetryBudget = Section.marked<RetryBudget.RetryBudget>(RetryBudget.TypeId)

/** A budget as data; what is left out of a form has the defaults of `RetryBudget`. */
type BudgetForm =
  | "standard"
  | { readonly share: Partial<Omit<RetryBudget.Share, "_tag">> }
  | { readonly tokens: Partial<Omit<RetryBudget.Tokens, "_tag">> }
  | { readonly deposits: Partial<Omit<RetryBudget.Deposits, "_tag">> }

const forms = { share: RetryBudget.share, tokens: RetryBudget.tokens, deposits: RetryBudget.deposits }
const kinds = ["share", "tokens", "deposits"] as const

const kindOf = (given: unknown): (typeof kinds)[number] | undefined =>
  isRecord(given) && Object.keys(given).length === 1 ? kinds.find((kind) => isRecord(given[kind])) : undefined

const isForm = (given: unknown): given is BudgetForm => given === "standard" || kindOf(given) !== undefined

const make = (given: unknown, name: string): Effect.Effect<RetryBudget.RetryBudget, InvalidOptions> => {
  const kind = kindOf(given)
  if (kind === undefined || !isRecord(given)) return RetryBudget.make({ name })
  const { _tag, ...own } = isRecord(given[kind]) ? given[kind] : {}
  const tagged = _tag === undefined
    ? []
    : [{ path: `${kind}._tag`, found: found(_tag), allowed: `no such field here: "${kind}" says it` }]
  const made = RetryBudget.make({ name, form: forms[kind](own) })
  return tagged.length === 0
    ? Effect.mapError(made, (error) => underKind(error, kind, []))
    : Effect.matchEffect(made, {
      onFailure: (error) => Effect.fail(underKind(error, kind, tagged)),
      onSuccess: () => new InvalidOptions({ module: "RetryBudget", issues: tagged })
    })
}

/** The constructor knows it as `form`; in these options it has the name of its kind. */
const underKind = (error: InvalidOptions, kind: string, more: ReadonlyArray<Section.Issue>): InvalidOptions =>
  new InvalidOptions({
    module: error.module,
    issues: [...more, ...error.issues.map((issue) => ({ ...issue, path: issue.path.replace("form", kind) }))]
  })

export const section = Section.make<"retryBudget", BudgetForm, BudgetForm, RetryBudget.RetryBudget, never>({
  options: readByConstructor(
    "retryBudget",
    ["deposits.ttl"],
    isForm,
    "\"standard\", or one of { \"share\": {...} }, { \"tokens\": {...} }, { \"deposits\": {...} }"
  ),
  name: "retryBudget",
  is: isRetryBudget,
  make: (given, { name }) => make(given, name),
  // It goes on with its counts where the form is the same.
  keep: (now, next) => Effect.succeed(now !== undefined && Section.isSame(now.form, next.form) ? now : next),
  describe: (self) => Section.titled("retry budget", RetryBudget.describe(self))
})
