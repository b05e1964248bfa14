/** Runs one handler of a tool: its answer as text, its failure told or raised, on time. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as PolicyError from "../../error/PolicyError.ts"
import { excerpt, property } from "../../internal/redact.ts"
import type * as Tool from "../Tool.ts"

/** What the model reads, and the handler's own value or failure. */
export type Outcome =
  | { readonly content: string; readonly isError: false; readonly value: unknown }
  | { readonly content: string; readonly isError: true; readonly error: unknown }

/** Why an answer or a failure has no text. */
export interface Unwritable {
  readonly problem: string
  readonly remedy: string
}

/** Text goes to the model as it is; quoting it as JSON would only cost tokens. */
const toText = (encoded: unknown): string => typeof encoded === "string" ? encoded : JSON.stringify(encoded) ?? "null"

/** What JSON would write as `{}`, as `null` or not at all, though it is something: the model would take it for a success. */
const notData = (value: unknown): string | undefined =>
  typeof value === "function" || typeof value === "symbol"
    ? `it is a ${typeof value}`
    : typeof value === "object" && value !== null && typeof property(value, "then") === "function"
    ? "it is a promise, which nobody awaits"
    // An error of Effect is an effect as well.
    : Effect.isEffect(value) && !(value instanceof Error)
    ? "it is an effect, which nobody runs"
    : undefined

const words = {
  success: { noun: "answer", verb: "Answer" },
  failure: { noun: "failure", verb: "Fail with" }
} as const

const write = <E>(
  field: keyof typeof words,
  schema: Schema.Schema.AnyNoContext,
  value: unknown,
  refusal: (why: Unwritable) => E
): Effect.Effect<string, E> => {
  const { noun, verb } = words[field]
  const refuse = (detail: string) =>
    refusal({
      problem: `its ${noun} cannot be written as text: ${excerpt(detail, 300)}`,
      remedy: `${verb} what the tool's ${field} schema says, and give the tool a ${field} schema with a JSON form.`
    })
  const odd = notData(value)
  if (odd !== undefined) return Effect.fail(refuse(odd))
  return Schema.encodeUnknown(schema)(value).pipe(
    Effect.mapError((error) => refuse(ParseResult.TreeFormatter.formatErrorSync(error))),
    Effect.flatMap((encoded) =>
      Effect.try({
        try: () => toText(encoded),
        catch: (cause) => refuse(cause instanceof Error ? cause.message : String(cause))
      })
    )
  )
}

/** A handler's failure by itself: where a defect or an interruption has a part in it, there is nothing to tell. */
const failureOf = (cause: Cause.Cause<unknown>): Option.Option<unknown> =>
  Cause.isDie(cause) || Cause.isInterrupted(cause) ? Option.none() : Cause.failureOption(cause)

const tells = (tool: Tool.Any, failure: unknown): Schema.Schema.AnyNoContext | undefined =>
  tool.onFailure === "tell" && tool.failure !== undefined && Schema.is(tool.failure)(failure)
    ? tool.failure
    : undefined

/**
 * Runs `handler` once, at most for the tool's time-out. `refusal` makes the error for what cannot be written as text.
 */
export const runHandler = <E, E2, R>(
  tool: Tool.Any,
  handler: Effect.Effect<unknown, E, R>,
  refusal: (why: Unwritable) => E2
): Effect.Effect<Outcome, E | E2 | PolicyError.TimedOut, R> => {
  const failureOutcome = (error: unknown) => (text: string): Outcome => ({
    content: excerpt(text),
    isError: true,
    error
  })
  const answered = Effect.matchCauseEffect(handler, {
    onSuccess: (value) =>
      Effect.map(write("success", tool.success, value, refusal), (content): Outcome => ({
        content,
        isError: false,
        value
      })),
    onFailure: (cause): Effect.Effect<Outcome, E | E2> => {
      const failure = failureOf(cause)
      const schema = Option.isSome(failure) ? tells(tool, failure.value) : undefined
      return Option.isSome(failure) && schema !== undefined
        ? Effect.map(write("failure", schema, failure.value, refusal), failureOutcome(failure.value))
        : Effect.failCause(cause)
    }
  })
  if (tool.timeout === undefined) return answered
  const limit = Duration.decode(tool.timeout)
  const error = new PolicyError.TimedOut({ phase: "attempt", limit })
  const text = `${tool.name} took longer than ${Duration.format(limit)} and was given up. ` +
    "It may or may not have had its effect."
  return answered.pipe(
    // A handler that cannot be interrupted is left to end in the background, so that the time-out comes on time.
    Effect.disconnect,
    Effect.timeoutTo({
      duration: limit,
      onSuccess: (outcome) => Effect.succeed(outcome),
      onTimeout: () => tool.onFailure === "tell" ? Effect.succeed(failureOutcome(error)(text)) : Effect.fail(error)
    }),
    Effect.flatten
  )
}
