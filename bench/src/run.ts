/** What all tables share: cells, which are measured in processes of their own, and how they are printed. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { median as middle } from "./measure.ts"

/** What `subject` prints: numbers by name. */
export type Found = { readonly [measure: string]: number }

/** How a subject is measured; `subject.ts` knows how. */
export type What =
  | "nanos"
  | "bytes"
  | "millis"
  | "held"
  | "decode"
  | "concurrent"
  | "call"
  | "throughput"
  | "loneChunk"
  | "streamLayer"
  | "hostile"

/** One thing to measure, once in each round. */
export interface Cell {
  readonly what: What
  readonly name: string
  /** How many calls, or how large the slices; 0 where that is for the subject to find. */
  readonly size: number
  /** More rounds than this tell nothing more. */
  readonly rounds: number
  readonly found: Array<Found>
}

export const cell = (what: What, name: string, size = 0, rounds = Number.POSITIVE_INFINITY): Cell =>
  ({ what, name, size, rounds, found: [] })

const run = promisify(execFile)
const subject = fileURLToPath(new URL("subject.js", import.meta.url))

const isFound = (value: unknown): value is Found =>
  typeof value === "object" && value !== null && Object.values(value).every((each) => typeof each === "number")

/** Measures the cell once more, in a process of its own. */
export const measure = async ({ found, name, size, what }: Cell): Promise<void> => {
  const room = what === "bytes" ? ["--max-semi-space-size=256", "--min-semi-space-size=256"] : []
  const { stdout } = await run(process.execPath, ["--expose-gc", ...room, subject, what, name, String(size)])
  const printed: unknown = JSON.parse(stdout)
  if (!isFound(printed)) throw new Error(`${name} printed ${stdout}`)
  found.push(printed)
}

/** All cells, to read what they found. */
export class Results {
  private readonly cells: ReadonlyArray<Cell>

  constructor(cells: ReadonlyArray<Cell>) {
    this.cells = cells
  }

  all(what: What, name: string, size = 0, measure = "processor"): ReadonlyArray<number> {
    const cell = this.cells.find((each) => each.what === what && each.name === name && each.size === size)
    return (cell?.found ?? []).map((found) => found[measure] ?? Number.NaN)
  }

  /** The names of what the cell measures. */
  measures(what: What, name: string): ReadonlyArray<string> {
    const cell = this.cells.find((each) => each.what === what && each.name === name)
    return Object.keys(cell?.found[0] ?? {})
  }

  median(...of: Parameters<Results["all"]>): number {
    return middle(this.all(...of))
  }

  least(...of: Parameters<Results["all"]>): number {
    return Math.min(...this.all(...of))
  }
}

/** A figure to reach: at most this. */
export type Verdict = readonly [name: string, is: number, most: number]

/** One group of the bench. */
export interface Group {
  readonly cells: ReadonlyArray<Cell>
  /** Prints the tables and gives the figures to reach. */
  readonly report: (results: Results) => ReadonlyArray<Verdict>
}

/** Which of the names have every word in them. */
export type Wanted = (names: ReadonlyArray<string>) => ReadonlyArray<string>

export const whole = (value: number): string =>
  Number.isFinite(value) ? Math.round(value).toLocaleString("en").replaceAll(",", " ") : "-"

export const ratio = (value: number): string => Number.isFinite(value) ? value.toFixed(2) : "-"

export const print = (
  title: string,
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): void => {
  if (rows.length === 0) return
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => (row[i] ?? "").length)))
  const line = (row: ReadonlyArray<string>): string =>
    row.map((text, i) => i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)).join(" | ")
  console.log(
    [`\n${title}`, line(head), widths.map((width) => "-".repeat(width)).join("-|-"), ...rows.map(line)].join("\n")
  )
}
