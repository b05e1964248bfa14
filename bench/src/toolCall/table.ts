/** Gates and decoding of one tool call. */
import { cell, type Group, print, ratio, type Wanted, whole } from "../run.ts"
import { calls } from "./subjects.ts"

const plain = "toolCall JSON.parse + Schema"

export const toolCalls = (wanted: Wanted): Group => {
  const names = wanted(Object.keys(calls))
  return {
    cells: names.flatMap((name) => [cell("nanos", name), cell("bytes", name, 0, 3)]),
    report: (results) => {
      print(
        "A valid tool call of six fields, from its text to typed arguments",
        ["", "ns/call", "[least]", "on the wall", "B/call", "time : JSON.parse + Schema"],
        names.map((name) => [
          name,
          whole(results.median("nanos", name)),
          whole(results.least("nanos", name)),
          whole(results.median("nanos", name, 0, "wall")),
          whole(results.median("bytes", name)),
          ratio(results.median("nanos", name) / results.median("nanos", plain))
        ])
      )
      return [[
        "toolCall : JSON.parse + Schema, at most 2.0",
        results.median("nanos", "toolCall ours") / results.median("nanos", plain),
        2
      ]]
    }
  }
}
