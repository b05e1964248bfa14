/** Replies of hostile sizes, and hostile inputs: how long they hold up the process. */
import { cell, type Group, print, type Results, type Verdict, type Wanted, whole } from "../run.ts"
import { hostile } from "./client.ts"

/** The most milliseconds of the processor that each may take. */
const mostOf = (subject: string, row: string): number =>
  subject === "hostile inputs" ? 50 : row === "10 000 calls" ? 200 : 500

const rowsOf = (subject: string, results: Results): ReadonlyArray<Verdict> =>
  results.measures("hostile", subject).map((row) =>
    [row, results.median("hostile", subject, 0, row), mostOf(subject, row)] as const
  )

export const hostiles = (wanted: Wanted): Group => {
  const names = wanted(Object.keys(hostile))
  return {
    cells: names.map((name) => cell("hostile", name, 0, 3)),
    report: (results) =>
      names.flatMap((name) => {
        const rows = rowsOf(name, results)
        print(
          `${name}: ms of the processor to read one reply${name.startsWith("hostile sizes") ? "; a field holds 16 MB" : ""}`,
          ["", "ms", "at most", ""],
          rows.map(([row, is, most]) => [row, whole(is), whole(most), is <= most ? "reached" : "missed"])
        )
        const worst = Math.max(...rows.map(([, is, most]) => is / most))
        return [[`${name}: the worst of its limit, at most 1`, worst, 1] as const]
      })
  }
}
