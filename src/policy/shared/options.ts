/** Options as the modules of this room read them: problems become one `InvalidOptions`. */
import * as Either from "effect/Either"
import { found, InvalidOptions } from "../../error/InvalidOptions.ts"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { type Reader, type Report, text } from "../../internal/reader.ts"
import { excerpt } from "../../internal/redact.ts"

export const emptyReport = (): Report => ({ problems: [] })

export const refusal = (module: string, report: Report): InvalidOptions =>
  new InvalidOptions({
    module,
    issues: report.problems.map((problem) => ({
      path: problem.path,
      found: found(problem.found),
      allowed: problem.allowed
    }))
  })

/** Reads options by their form; everything that is wrong is in the one error. */
export const readForm = <Read>(
  module: string,
  form: Form.Form<Read, unknown>,
  value: unknown,
  mode: Form.Mode = "code",
  path = ""
): Either.Either<Read, InvalidOptions> =>
  Either.mapLeft(Form.read(form, value, mode, path), (problems) => refusal(module, { problems: [...problems] }))

/** The same for constructors of values, which have no error channel: throws the typed error where the value is written. */
export const readFormOrThrow = <Read>(
  module: string,
  path: string,
  form: Form.Form<Read, unknown>,
  value: unknown
): Read => {
  const read = Form.read(form, value, "code", path)
  if (Either.isLeft(read)) throw refusal(module, { problems: [...read.left] })
  return read.right
}

/** Who judges errors that do not know their own verdict. */
export const judge = Form.fn<(error: unknown) => Verdict.Verdict>(
  "a function from an error to a verdict",
  "judge errors"
)

/** Runs a reader over options; every problem it reports is in the one error. */
export const readAll = <A>(module: string, value: unknown, read: Reader<A>): Either.Either<A, InvalidOptions> => {
  const report = emptyReport()
  const result = read(value, "", report)
  return result === undefined || report.problems.length > 0
    ? Either.left(refusal(module, report))
    : Either.right(result)
}

/** For constructors of values, which have no error channel: throws the typed error where the value is written. */
export const readOrThrow = <A>(module: string, path: string, value: unknown, read: Reader<A>): A => {
  const report = emptyReport()
  const result = read(value, path, report)
  if (result === undefined || report.problems.length > 0) throw refusal(module, report)
  return result
}

/** The name of a policy. Refusals carry it, too many to redact each of them, so it is made safe to show here. */
export const policyName: Reader<string> = (value, path, report) => {
  const name = text(value, path, report)
  return name === undefined ? undefined : excerpt(name)
}

export { durationInput } from "../../internal/reader.ts"
