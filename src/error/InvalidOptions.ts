/**
 * Options that cannot work: every wrong field at once, what was found, and what to write instead.
 *
 * @example
 * import * as InvalidOptions from "effect-llm-resilience/error/InvalidOptions"
 *
 * const error = new InvalidOptions.InvalidOptions({
 *   module: "RetryPolicy",
 *   issues: [{ path: "attempts", found: InvalidOptions.found(0), allowed: "a whole number, 1 or more" }]
 * })
 *
 * console.log(error.message)
 * // RetryPolicy: 1 invalid option
 * //   attempts (found 0); allowed: a whole number, 1 or more
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { excerpt, visibleLines } from "../internal/redact.ts"
import { scrubbed } from "./shared/fields.ts"
import * as Verdict from "./Verdict.ts"

/**
 * One wrong field.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Issue = Schema.Struct({
  /** Where it is, for example `"retry.rules.0.attempts"`, or the name of an environment variable. */
  path: Schema.String,
  /** The value found, as text without credentials; make it with {@link found}. */
  found: Schema.String,
  /** What is allowed, written so that the reader knows what to do. */
  allowed: Schema.String
})

/**
 * One wrong field.
 *
 * @since 0.1.0
 * @category models
 */
export interface Issue extends Schema.Schema.Type<typeof Issue> {}

/**
 * Options that cannot work. Its message lists every wrong field on a line of its own. Its verdict is `Fail`: only a
 * change of the options helps.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidOptions extends scrubbed(
  Schema.TaggedError<InvalidOptions>()("InvalidOptions", {
    /** The module that refused, for example `"OpenAiChat"`. */
    module: Schema.String,
    /** Every wrong field, in the order of the options. */
    issues: Schema.Array(Issue)
  })
) {
  override get message(): string {
    // No colon behind the path: "apiKey: x" would be masked as a credential wherever the message is redacted again.
    const lines = this.issues.map((issue) =>
      `  ${issue.path === "" ? "the whole value" : issue.path} (found ${issue.found}); allowed: ${issue.allowed}`
    )
    return visibleLines([`${this.module}: ${lines.length} invalid option${lines.length === 1 ? "" : "s"}`, ...lines])
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

/**
 * Whether a value is an `InvalidOptions`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isInvalidOptions: (value: unknown) => value is InvalidOptions = Schema.is(InvalidOptions)

const longest = 120

const json = (value: object): string => {
  try {
    const written = JSON.stringify(
      value,
      (_, inner: unknown) => Redacted.isRedacted(inner) ? "<redacted>" : typeof inner === "bigint" ? `${inner}n` : inner
    )
    return typeof written === "string" ? written : "an object"
  } catch {
    return "an object that cannot be written as JSON"
  }
}

/**
 * How a wrong value is shown in {@link Issue}: on one line, at most about 120 characters, credentials masked, a
 * `Redacted` never opened, `undefined` as `nothing`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const found = (value: unknown): string => {
  try {
    return foundIn(value)
  } catch {
    return "a value that cannot be read"
  }
}

/**
 * What is wrong with an option as an {@link Issue}: the value as it is, which becomes safe to show.
 *
 * @since 0.1.0
 * @category conversions
 */
export const issueOf = (
  fault: { readonly path: string; readonly found: unknown; readonly allowed: string }
): Issue => ({ ...fault, found: found(fault.found) })

const foundIn = (value: unknown): string => {
  if (value === undefined) return "nothing"
  if (value === null) return "null"
  if (Redacted.isRedacted(value)) return "<redacted>"
  if (Duration.isDuration(value)) return Duration.format(value)
  switch (typeof value) {
    case "string":
      return excerpt(JSON.stringify(value), longest)
    case "function":
      return "a function"
    case "object":
      return excerpt(json(value), longest)
    case "bigint":
      return `${value}n`
    default:
      return String(value)
  }
}
