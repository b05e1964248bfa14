/** Options as the modules of this room read them: problems become one `InvalidOptions`. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { found, InvalidOptions } from "../../error/InvalidOptions.ts"
import { allowedDuration, isAllowedDuration, type Reader, type Report } from "../../internal/reader.ts"

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

const isDurationInput = (value: unknown): value is Duration.DurationInput =>
  Option.isSome(Duration.decodeUnknown(value))

/** Any `DurationInput` above zero and finite, as milliseconds. A number is milliseconds, as everywhere in Effect. */
export const durationInput = (allowed = allowedDuration): Reader<number> => (value, path, report) => {
  const millis = isDurationInput(value) ? Duration.toMillis(value) : NaN
  if (isAllowedDuration(millis)) return millis
  report.problems.push({ path, found: Duration.isDuration(value) ? Duration.format(value) : value, allowed })
  return undefined
}
