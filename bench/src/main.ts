/**
 * The table. Every number is the median of five processes; the rounds are interleaved, so that a machine that is busy
 * for a while is busy for all. Times are of the processor, garbage collection included; on a machine that is idle they
 * are those on the wall, which stand beside. `npm run bench -- stack` measures only what has that word in its name;
 * `--rounds 1` is quicker.
 */
import { execFile } from "node:child_process"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs, promisify } from "node:util"
import { median as middle, type Took } from "./measure.ts"
import { crowds, sequences, waiting } from "./subjects.ts"

const { positionals: words, values: { rounds: asked = "5" } } = parseArgs({
  options: { rounds: { type: "string" } },
  allowPositionals: true
})
const rounds = Number(asked)
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be 1 or more, not ${asked}`)

const run = promisify(execFile)
const subject = fileURLToPath(new URL("subject.js", import.meta.url))

const measure = async (what: string, name: string, calls: number): Promise<Took> => {
  const room = what === "bytes" ? ["--max-semi-space-size=256", "--min-semi-space-size=256"] : []
  const { stdout } = await run(process.execPath, ["--expose-gc", ...room, subject, what, name, String(calls)])
  const found: unknown = JSON.parse(stdout)
  return typeof found === "number" ? { processor: found, wall: Number.NaN } : found as Took // what `subject` prints
}

interface Cell {
  readonly what: "nanos" | "bytes" | "millis" | "held"
  readonly name: string
  readonly calls: number
  readonly found: Array<Took>
}

const cell = (what: Cell["what"], calls = 0) => (name: string): Cell => ({ what, name, calls, found: [] })

const wanted = (table: object): ReadonlyArray<string> =>
  Object.keys(table).filter((name) => words.every((word) => name.includes(word)))

const sizes = [10_000, 50_000]

const cells: ReadonlyArray<Cell> = [
  ...wanted(sequences).flatMap((name) => [cell("nanos")(name), cell("bytes")(name)]),
  ...sizes.flatMap((calls) => wanted(crowds).map(cell("millis", calls))),
  ...wanted(waiting).map(cell("held", 10_000))
]
if (cells.length === 0) throw new Error(`nothing has "${words.join(" ")}" in its name`)

for (let round = 0; round < rounds; round++) {
  for (const each of cells) {
    // Bytes hardly vary.
    if (each.what === "bytes" && round > 2) continue
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[Kround ${round + 1} of ${rounds}: ${each.name}`)
    each.found.push(await measure(each.what, each.name, each.calls))
  }
}
if (process.stderr.isTTY) process.stderr.write("\r\u001b[K")

const all = (what: Cell["what"], name: string, calls = 0): ReadonlyArray<Took> =>
  cells.find((each) => each.what === what && each.name === name && each.calls === calls)?.found ?? []
const median = (...of: Parameters<typeof all>): number => middle(all(...of).map((took) => took.processor))
const least = (...of: Parameters<typeof all>): number => Math.min(...all(...of).map((took) => took.processor))
const wall = (...of: Parameters<typeof all>): number => middle(all(...of).map((took) => took.wall))

const whole = (value: number): string =>
  Number.isNaN(value) ? "-" : Math.round(value).toLocaleString("en").replaceAll(",", " ")
const ratio = (value: number): string => Number.isNaN(value) ? "-" : value.toFixed(2)

const print = (title: string, head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  if (rows.length === 0) return
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => (row[i] ?? "").length)))
  const line = (row: ReadonlyArray<string>): string =>
    row.map((text, i) => i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)).join(" | ")
  console.log([`\n${title}`, line(head), widths.map((width) => "-".repeat(width)).join("-|-"), ...rows.map(line)].join("\n"))
}

console.log(`Node ${process.version}, ${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, median of ${rounds} processes`)

/** Each group is compared with its first peer. */
const peers: { readonly [group: string]: string } = {
  stack: "stack cockatiel",
  retry: "retry cockatiel",
  breaker: "breaker cockatiel",
  bulkhead: "bulkhead cockatiel",
  "time-out": "time-out cockatiel",
  refusal: "refusal cockatiel"
}

print(
  "One call after another, in one fiber. cockatiel's stack has no rate limiter, because cockatiel has none.",
  ["", "ns/call", "[least]", "on the wall", "B/call", "time : cockatiel", "heap : cockatiel"],
  wanted(sequences).map((name) => {
    const peer = peers[Object.keys(peers).find((group) => name.startsWith(group)) ?? ""] ?? ""
    return [
      name,
      whole(median("nanos", name)),
      whole(least("nanos", name)),
      whole(wall("nanos", name)),
      whole(median("bytes", name)),
      ratio(median("nanos", name) / median("nanos", peer)),
      ratio(median("bytes", name) / median("bytes", peer))
    ]
  })
)

print(
  "All at once through breaker and bulkhead(100), each call one turn of the event loop",
  ["", ...sizes.map((size) => `${whole(size)}: ms`), "growth (5 is linear)", "time : cockatiel"],
  wanted(crowds).map((name) => {
    const [few = 0, many = 0] = sizes.map((size) => median("millis", name, size))
    return [
      name,
      whole(few),
      whole(many),
      ratio(many / few),
      ratio(many / median("millis", "crowd cockatiel", sizes[1]))
    ]
  })
)

print(
  "Held by each of 10 000 calls that wait in the queue, their fiber included",
  ["", "B/call"],
  wanted(waiting).map((name) => [name, whole(median("held", name, 10_000))])
)

const verdicts = [
  ["stack : cockatiel, below 1.0 (aim 0.7)", median("nanos", "stack ours") / median("nanos", "stack cockatiel"), 1],
  ["stack : plain Effect, at most 0.5", median("nanos", "stack ours") / median("nanos", "stack plain Effect"), 0.5],
  ["refusal : cockatiel, below 1.0", median("nanos", "refusal ours") / median("nanos", "refusal cockatiel"), 1],
  ["50 000 : 10 000 at once, at most 6", median("millis", "crowd ours", 50_000) / median("millis", "crowd ours", 10_000), 6],
  ["KB a waiting call, at most 10", median("held", "waiting ours", 10_000) / 1024, 10]
] as const

print(
  "Figures to reach",
  ["", "is", ""],
  verdicts.filter(([, value]) => !Number.isNaN(value))
    .map(([name, value, most]) => [name, ratio(value), value <= most ? "reached" : "missed"])
)
