/** What a batch came to, for a person and for a program. */
import * as Duration from "effect/Duration"
import { definedFields } from "../../internal/record.ts"
import { words } from "../../internal/words.ts"
import { exits } from "../shared/exits.ts"
import { table } from "../shared/table.ts"
import type { Tally } from "./results.ts"

export interface Came {
  readonly tally: Tally
  readonly elapsed: Duration.Duration
  /** What costs are in; absent where nothing was priced. */
  readonly currency: string | undefined
  readonly results: string
  readonly journal: string | undefined
  /** The ids of a vendor's jobs. */
  readonly jobs: ReadonlyArray<string>
}

export const exitOf = ({ failed, stoppedBecause }: Tally): number =>
  stoppedBecause === "interrupted"
    ? exits.interrupted
    : stoppedBecause !== undefined
    ? exits.stopped
    : failed > 0
    ? exits.someFailed
    : exits.good

const because = {
  failureRate: "too many failed",
  spend: "the limit of tokens or money was reached",
  time: "the time was over",
  circuitOpen: "the provider did not come back",
  interrupted: "interrupted"
} as const

const money = (cost: number): string => Number(cost.toPrecision(6)).toString()

/** For people. */
export const text = ({ currency, elapsed, jobs, journal, results, tally }: Came): string => {
  const { answered, cost, failed, failures, fromJournal, leftOut, retries, stoppedBecause, tokens, unpriced } = tally
  const rows = [
    ["answered", `${answered}`],
    ...(fromJournal === 0 ? [] : [["  by an earlier run", `${fromJournal}`]]),
    ["failed", `${failed}`],
    ...Object.entries(failures).sort(([, one], [, other]) => other - one).map((
      [tag, count]
    ) => [`  ${tag}`, `${count}`]),
    ...(leftOut === 0 ? [] : [["left out", `${leftOut}`]]),
    ["retries", `${retries}`],
    ["tokens", `${tokens}`],
    ...(currency === undefined ? [] : [[`cost in ${currency}`, money(cost)]]),
    ...(unpriced === 0 ? [] : [["answers without a price", `${unpriced}`]]),
    ["time", words(elapsed)]
  ]
  // Asking again does not mend a line.
  const invalid = failures["InvalidLine"] ?? 0
  const remaining = failed - invalid + leftOut
  return [
    ...(stoppedBecause === undefined ? [] : [`Stopped: ${because[stoppedBecause]}.`]),
    table(rows),
    ...(jobs.length === 0 ? [] : [`jobs: ${jobs.join(", ")}`]),
    ...(invalid === 0 ? [] : [`${invalid} lines of the input are no prompts; their results say what is wrong.`]),
    `results: ${results}`,
    ...(journal === undefined ? [] : [
      `journal: ${journal}`,
      ...(remaining === 0 ? [] : [`Run the same command again to ask for the ${remaining} that have no answer.`])
    ])
  ].join("\n")
}

/** For programs. */
export const json = ({ currency, elapsed, jobs, journal, results, tally }: Came): string => {
  const { cost, stoppedBecause, unpriced, ...counts } = tally
  return JSON.stringify({
    ...counts,
    ...(currency === undefined ? {} : { cost, currency, unpriced }),
    ...definedFields({ stoppedBecause, journal }),
    elapsedMillis: Duration.toMillis(elapsed),
    jobs,
    results,
    exit: exitOf(tally)
  })
}
