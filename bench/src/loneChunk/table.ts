/** Chunks that come alone. */
import { cell, type Group, print, ratio, type Verdict, type Wanted, whole } from "../run.ts"
import { loneChunks, streamCounts } from "./client.ts"

const sdk = "lone chunk, openai SDK"
const ours = "lone chunk, ours over undici"

const sizes = Object.values(streamCounts)

export const loneChunk = (wanted: Wanted): Group => {
  const names = wanted(Object.keys(loneChunks))
  return {
    // Each takes a third of a minute, whatever the machine.
    cells: sizes.flatMap((size) => names.map((name) => cell("loneChunk", name, size, 3))),
    report: (results) => {
      const of = (name: string, size: number, measure: string): number =>
        results.median("loneChunk", name, size, measure)
      for (const size of sizes) {
        print(
          `${whole(size)} streams, a chunk every 50 ms in each: processor time of a chunk, and how late it comes`,
          ["", "µs", "[least]", "chunks/s", ": SDK", "p50 / p99 ms"],
          names.map((name) => [
            name,
            whole(of(name, size, "micros")),
            whole(results.least("loneChunk", name, size, "least")),
            whole(of(name, size, "chunks")),
            ratio(of(name, size, "micros") / of(sdk, size, "micros")),
            `${of(name, size, "p50").toFixed(1)} / ${of(name, size, "p99").toFixed(1)}`
          ])
        )
      }
      const against = (what: string, size: number, measure: string): Verdict => [
        `lone chunk, ${whole(size)} streams, ${what}, ours over undici : SDK, at most 1.0`,
        of(ours, size, measure) / of(sdk, size, measure),
        1
      ]
      return [
        against("processor time", streamCounts.few, "micros"),
        against("processor time", streamCounts.many, "micros"),
        against("p99 delay", streamCounts.many, "p99")
      ]
    }
  }
}
