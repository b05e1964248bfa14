/** The printed part of the demonstration: pure functions from results to text. */
import * as Event from "effect-llm-resilience/telemetry/Event"
import * as Duration from "effect/Duration"
import type { Entry, Seen } from "./books.ts"
import { total } from "./books.ts"
import type { Result } from "./clients.ts"

export const quantile = (results: ReadonlyArray<{ readonly millis: number }>, share: number): string => {
  const sorted = results.map((result) => result.millis).sort((a, b) => a - b)
  return `${sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0} ms`
}

const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`

const count = (results: ReadonlyArray<Result>, verdict: Result["verdict"]): number =>
  results.filter((result) => result.verdict === verdict).length

export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      `  ${row.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)).join("   ")}`
    )
    .join("\n")
}

/** One client's side of the comparison. */
export interface Side {
  readonly results: ReadonlyArray<Result>
  readonly seen: Seen
}

const column = ({ results, seen }: Side): ReadonlyArray<string> => {
  const right = count(results, "right")
  return [
    `${right} of ${results.length} (${percent(right, results.length)})`,
    String(count(results, "wrong")),
    String(count(results, "failed")),
    (total(seen) / Math.max(1, right)).toFixed(2),
    String(total(seen) - right),
    quantile(results, 0.5),
    quantile(results, 0.95)
  ]
}

export const comparison = (plain: Side, ours: Side): string => {
  const names = [
    "right",
    "ran with wrong arguments",
    "failed",
    "provider calls per success",
    "wasted calls",
    "p50",
    "p95"
  ]
  const [left, right] = [column(plain), column(ours)]
  return table([["", "one plain attempt", "ours"], ...names.map((name, i) => [name, left[i] ?? "", right[i] ?? ""])])
}

/** What went wrong by class, and what became of it: from the events, so it is what really happened. */
export const resolutions = (results: ReadonlyArray<Result>): string => {
  const rows = new Map<string, { count: number; resolved: number; how: string }>()
  const note = (what: string, how: string, resolved: boolean) => {
    const row = rows.get(what) ?? { count: 0, resolved: 0, how }
    rows.set(what, { count: row.count + 1, resolved: row.resolved + (resolved ? 1 : 0), how })
  }
  for (const { events, repairs, verdict } of results) {
    const good = verdict === "right"
    for (const repair of new Set(repairs)) note(`written with ${repair}`, "repaired", good)
    for (const event of events) {
      if (event._tag === "Retried" && Event.errorTag(event.error) !== "ToolCallsRejected") {
        note(Event.errorTag(event.error), "retried", good)
      }
      if (event._tag === "ToolCallsRejected") {
        for (const reason of new Set(event.kinds)) note(reason, "asked again", good)
      }
    }
  }
  return table([
    ["what went wrong", "times", "how it was resolved", "right in the end"],
    ...[...rows].sort((a, b) => b[1].count - a[1].count).map(([what, row]) => [
      what,
      String(row.count),
      row.how,
      String(row.resolved)
    ])
  ])
}

export const reconciliation = (entries: ReadonlyArray<Entry>): string =>
  table([
    ["books", "client", "server", ""],
    ...entries.map(({ client, server, what }) => [
      what,
      String(client),
      String(server),
      client === server ? "agree" : "DISAGREE"
    ])
  ])

/** Everything that happened to one request, with the time since it began. */
export const timeline = (result: Result): string => {
  const line = (millis: number, text: string) => `  ${Duration.format(Duration.millis(millis)).padStart(12)}  ${text}`
  return [
    line(0, `"${result.request.prompt}"`),
    ...result.events.map((event) => line(event.at - result.startedAt, Event.describe(event))),
    line(result.millis, `${result.verdict}${result.failure === undefined ? "" : ` (${result.failure})`}`)
  ].join("\n")
}

export const worst = (results: ReadonlyArray<Result>): Result | undefined =>
  [...results].sort((a, b) => b.millis - a.millis)[0]
