/**
 * The tables. Every number is the median of five processes; the rounds are interleaved, so that a machine that is busy
 * for a while is busy for all. Times are of the processor, garbage collection included; on a machine that is idle they
 * are those on the wall, which stand beside. `npm run bench -- stack` measures only what has that word in its name;
 * `--rounds 1` is quicker. `streams`, `concurrent`, `lone chunk`,
 * `stream layer`, `hostile` and `toolCall` are names, too.
 */
import { cpus, loadavg } from "node:os"
import { parseArgs } from "node:util"
import { calls } from "./calls/table.ts"
import { concurrent } from "./concurrent/table.ts"
import { hostiles } from "./hostile/table.ts"
import { loneChunk } from "./loneChunk/table.ts"
import { policies } from "./policies.ts"
import { measure, print, ratio, Results, type Wanted } from "./run.ts"
import { streamLayer } from "./streamLayer/table.ts"
import { streams } from "./streams/table.ts"
import { toolCalls } from "./toolCall/table.ts"

const { positionals: words, values: { rounds: asked = "5" } } = parseArgs({
  options: { rounds: { type: "string" } },
  allowPositionals: true
})
const rounds = Number(asked)
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds must be 1 or more, not ${asked}`)

const wanted: Wanted = (names) => names.filter((name) => words.every((word) => name.includes(word)))

const groups = [policies, calls, streams, toolCalls, concurrent, loneChunk, streamLayer, hostiles].map((group) => group(wanted))
const cells = groups.flatMap((group) => group.cells)
if (cells.length === 0) throw new Error(`nothing has "${words.join(" ")}" in its name`)

const loads = [loadavg()[0] ?? Number.NaN]
for (let round = 0; round < rounds; round++) {
  for (const each of cells) {
    if (round >= each.rounds) continue
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[Kround ${round + 1} of ${rounds}: ${each.name}`)
    await measure(each)
    loads.push(loadavg()[0] ?? Number.NaN)
  }
}
if (process.stderr.isTTY) process.stderr.write("\r\u001b[K")

console.log(`Node ${process.version}, ${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, median of up to ${rounds} processes`)
console.log(`Load while it ran, of the last minute: ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`)

const results = new Results(cells)
const verdicts = groups.flatMap((group) => group.report(results))

print(
  "Figures to reach",
  ["", "is", ""],
  verdicts.filter(([, value]) => Number.isFinite(value))
    .map(([name, value, most]) => [name, ratio(value), value <= most ? "reached" : "missed"])
)
