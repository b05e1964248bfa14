/** Chunks that come alone. */
import { cell, type Group, print, ratio, type Wanted, whole } from "../run.ts"
import { loneChunks, streamCount } from "./client.ts"

const sdk = "lone chunk, openai SDK"

export const loneChunk = (wanted: Wanted): Group => {
  const names = wanted(Object.keys(loneChunks))
  return {
    // Each takes a quarter of a minute, whatever the machine.
    cells: names.map((name) => cell("loneChunk", name, 0, 3)),
    report: (results) => {
      const of = (name: string, measure: string): number => results.median("loneChunk", name, 0, measure)
      print(
        `${streamCount} streams, a chunk every 50 ms in each: processor time of a chunk`,
        ["", "µs", "[least]", "chunks/s", ": SDK"],
        names.map((name) => [
          name,
          whole(of(name, "micros")),
          whole(results.least("loneChunk", name, 0, "least")),
          whole(of(name, "chunks")),
          ratio(of(name, "micros") / of(sdk, "micros"))
        ])
      )
      return [[
        "lone chunk, ours over undici : SDK, at most 1.0",
        of("lone chunk, ours over undici", "micros") / of(sdk, "micros"),
        1
      ]]
    }
  }
}
