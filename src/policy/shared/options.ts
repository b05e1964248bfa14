/** Options as the modules of this room read them: problems become one `InvalidOptions`. */
import * as Either from "effect/Either"
import { InvalidOptions, issueOf } from "../../error/InvalidOptions.ts"
import type { Verdict } from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"

/** Who judges errors in place of their own verdicts. */
export const judge = Form.fn<(error: unknown) => Verdict>("a function from an error to a verdict", "judge errors")

export const refusal = (
  module: string,
  { problems }: { readonly problems: ReadonlyArray<Form.Fault> }
): InvalidOptions => new InvalidOptions({ module, issues: problems.map(issueOf) })

/** Reads options by their form; everything that is wrong is in the one error. */
export const readForm = <Read>(
  module: string,
  form: Form.Form<Read, unknown>,
  value: unknown,
  mode: Form.Mode = "code",
  path = ""
): Either.Either<Read, InvalidOptions> =>
  Either.mapLeft(Form.read(form, value, mode, path), (problems) => refusal(module, { problems }))

/** The same for constructors of values, which have no error channel: throws the typed error where the value is written. */
export const readFormOrThrow = <Read>(
  module: string,
  path: string,
  form: Form.Form<Read, unknown>,
  value: unknown
): Read => {
  const read = Form.read(form, value, "code", path)
  if (Either.isLeft(read)) throw refusal(module, { problems: read.left })
  return read.right
}
