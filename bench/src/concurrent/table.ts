/** A thousand streams at once. */
import { cell, type Group, print, type Results, type Wanted, whole } from "../run.ts"
import { concurrency, streamCount } from "./client.ts"

const millis = (value: number): string => value.toFixed(1)

const kilobytes = (value: number): string => (value / 1024).toFixed(1)

const rowOf = (name: string, results: Results): ReadonlyArray<string> => {
  const of = (measure: string): number => results.median("concurrent", name, 0, measure)
  return [
    name,
    kilobytes(of("heap")),
    kilobytes(of("rawHeap")),
    kilobytes(of("rss")),
    kilobytes(of("left")),
    kilobytes(of("growth")),
    `${millis(of("p50"))} / ${millis(of("p99"))}`,
    `${millis(of("rawP50"))} / ${millis(of("rawP99"))}`,
    millis(of("p99") - of("rawP99")),
    `${whole(of("chunks"))} / ${whole(of("rawChunks"))}`,
    `${whole(of("busy"))} %`
  ]
}

export const concurrent = (wanted: Wanted): Group => {
  const names = wanted(Object.keys(concurrency))
  return {
    // Each takes two and a half minutes, whatever the machine.
    cells: names.map((name) => cell("concurrent", name, 0, 1)),
    report: (results) => {
      print(
        `${whole(streamCount)} streams at once from one process, a chunk every 50 ms in each; KB a stream, delays in ms`,
        [
          "",
          "heap",
          "raw heap",
          "rss",
          "heap when over",
          "growth a minute",
          "p50 / p99",
          "raw p50 / p99",
          "p99 added",
          "chunks/s, raw",
          "busy"
        ],
        names.map((name) => rowOf(name, results))
      )
      return names.map((name) =>
        [`${name}: growth a minute and stream in KB, at most 1`, results.median("concurrent", name, 0, "growth") / 1024, 1] as const
      )
    }
  }
}
