/** `preview`: what a policy file says, and what it would do to a call that fails again and again. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { definedFields } from "../internal/record.ts"
import { words } from "../internal/words.ts"
import * as Pipeline from "../policy/Pipeline.ts"
import * as RetryPolicy from "../policy/RetryPolicy.ts"
import { badInput, type Exit } from "./shared/exits.ts"
import * as Help from "./shared/help.ts"
import { pipelineOf } from "./shared/policy.ts"
import { table } from "./shared/table.ts"

const policy = Args.file({ name: "policy", exists: "yes" }).pipe(
  Args.withDescription("A policy file: JSON with a field for each policy. `init` writes one."),
  Args.optional
)

const options = {
  error: Options.text("error").pipe(
    Options.withDescription("The error that every attempt ends with, such as RateLimited. Default: ServerError."),
    Options.withDefault("ServerError")
  ),
  rows: Options.integer("rows").pipe(
    Options.withDescription("The most attempts to show. Default: 12."),
    Options.withDefault(12)
  ),
  json: Options.boolean("json").pipe(Options.withDescription("As JSON."))
}

/** One retry: the shortest wait that chance can give, the one in the middle, and the longest. */
interface Row {
  readonly attempt: number
  readonly least: number
  readonly usual: number
  readonly most: number
  readonly elapsed: number
}

const rowsOf = (
  retry: RetryPolicy.RetryPolicy,
  error: string,
  limit: number,
  within: number
): ReadonlyArray<Row> => {
  const at = (random: number) => RetryPolicy.preview(retry, { error: { _tag: error }, limit, random })
  const [least, usual, most] = [at(0), at(0.5), at(1)]
  return usual.flatMap(({ attempt, delay, elapsed }, row) => {
    // A wait that would end after the total time-out is not begun.
    if (Duration.toMillis(elapsed) >= within) return []
    const wait = Duration.toMillis(delay)
    return [{
      attempt,
      usual: wait,
      elapsed: Duration.toMillis(elapsed),
      least: Duration.toMillis(least[row]?.delay ?? delay),
      most: Duration.toMillis(most[row]?.delay ?? delay)
    }]
  })
}

const width = 40

/** `    ├──●──┤    `: from the shortest to the longest wait, and the one in the middle. */
const bar = ({ least, most, usual }: Row, longest: number): string => {
  const place = (millis: number): number => longest === 0 ? 0 : Math.round((millis / longest) * (width - 1))
  const [from, at, to] = [place(least), place(usual), place(most)]
  return Array.from(
    { length: to + 1 },
    (_, column) => column === at ? "●" : column === from ? "├" : column === to ? "┤" : column > from ? "─" : " "
  ).join("")
}

const text = (pipeline: Pipeline.Pipeline, rows: ReadonlyArray<Row> | undefined, error: string): string => {
  if (rows === undefined) return `${Pipeline.describe(pipeline)}\n\nNothing is retried.`
  const longest = Math.max(0, ...rows.map(({ most }) => most))
  return [
    Pipeline.describe(pipeline),
    "",
    rows.length === 0
      ? `A call that fails with ${error} is not made again.`
      : `A call that fails with ${error} each time, at once, is made again after these waits:`,
    ...(rows.length === 0 ? [] : [table([
      ["attempt", "least", "usual", "most", "begins at", ""],
      ...rows.map((row) => [
        `${row.attempt}`,
        words(row.least),
        words(row.usual),
        words(row.most),
        words(row.elapsed),
        bar(row, longest)
      ])
    ])])
  ].join("\n")
}

export const help: Help.Help = {
  does: "shows what a policy file says, and the waits of a call that fails again and again",
  text:
    "Shows a policy before it is used: every policy in words with the worst case, and the attempts and waits of a call that " +
    "fails again and again. Without a file it shows what `batch` uses by itself.",
  examples: [
    ["preview policy.json", "When every attempt ends with ServerError"],
    ["preview policy.json --error RateLimited --json", "With another error, for programs"]
  ],
  codes: { good: "the policy can be used", badInput: "it cannot; every wrong field is named" }
}

export const preview = Command.make(
  "preview",
  { policy, ...options },
  ({ error, json, policy, rows }) =>
    Effect.gen(function*() {
      if (!(Number.isSafeInteger(rows) && rows >= 1 && rows <= 1000)) {
        return yield* badInput(`--rows ${rows}: expected a whole number from 1 to 1000.`)
      }
      const pipeline = yield* pipelineOf(policy)
      const { retry, totalTimeout } = Pipeline.policies(pipeline)
      const shown = retry === undefined ? undefined : rowsOf(retry, error, rows, totalTimeout ?? Infinity)
      const bounds = Pipeline.bounds(pipeline)
      const millis = (duration: Duration.Duration) =>
        Duration.isFinite(duration) ? Duration.toMillis(duration) : undefined
      yield* Console.log(
        json
          ? JSON.stringify({
            description: Pipeline.describe(pipeline),
            bounds: {
              ...definedFields({ waitMillis: millis(bounds.wait), durationMillis: millis(bounds.duration) }),
              attempts: bounds.attempts,
              calls: bounds.calls
            },
            error,
            retries: shown ?? []
          })
          : text(pipeline, shown, error)
      )
    }).pipe(Effect.mapError((error): Exit => error))
).pipe(
  Command.withDescription(Help.document(help))
)
