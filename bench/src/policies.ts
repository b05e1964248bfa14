/** The policies against their peers. */
import { cell, type Group, print, ratio, type Results, type Wanted, whole } from "./run.ts"
import { crowds, sequences, waiting } from "./subjects.ts"

const sizes = [10_000, 50_000]

/** Each group is compared with its first peer. */
const peers: { readonly [group: string]: string } = {
  stack: "stack cockatiel",
  retry: "retry cockatiel",
  breaker: "breaker cockatiel",
  bulkhead: "bulkhead cockatiel",
  "time-out": "time-out cockatiel",
  refusal: "refusal cockatiel"
}

const printSequences = (names: ReadonlyArray<string>, results: Results): void =>
  print(
    "One call after another, in one fiber. cockatiel's stack has no rate limiter, because cockatiel has none.",
    ["", "ns/call", "[least]", "on the wall", "B/call", "time : cockatiel", "heap : cockatiel"],
    names.map((name) => {
      const peer = peers[Object.keys(peers).find((group) => name.startsWith(group)) ?? ""] ?? ""
      return [
        name,
        whole(results.median("nanos", name)),
        whole(results.least("nanos", name)),
        whole(results.median("nanos", name, 0, "wall")),
        whole(results.median("bytes", name)),
        ratio(results.median("nanos", name) / results.median("nanos", peer)),
        ratio(results.median("bytes", name) / results.median("bytes", peer))
      ]
    })
  )

const printCrowds = (names: ReadonlyArray<string>, results: Results): void =>
  print(
    "All at once through breaker and bulkhead(100), each call one turn of the event loop",
    ["", ...sizes.map((size) => `${whole(size)}: ms`), "growth (5 is linear)", "time : cockatiel"],
    names.map((name) => {
      const [few = 0, many = 0] = sizes.map((size) => results.median("millis", name, size))
      return [
        name,
        whole(few),
        whole(many),
        ratio(many / few),
        ratio(many / results.median("millis", "crowd cockatiel", sizes[1]))
      ]
    })
  )

export const policies = (wanted: Wanted): Group => {
  const [inSequence, inCrowds, inQueue] = [sequences, crowds, waiting].map((table) => wanted(Object.keys(table)))
  return {
    cells: [
      ...(inSequence ?? []).flatMap((name) => [cell("nanos", name), cell("bytes", name, 0, 3)]),
      ...sizes.flatMap((calls) => (inCrowds ?? []).map((name) => cell("millis", name, calls))),
      ...(inQueue ?? []).map((name) => cell("held", name, 10_000))
    ],
    report: (results) => {
      printSequences(inSequence ?? [], results)
      printCrowds(inCrowds ?? [], results)
      print(
        "Held by each of 10 000 calls that wait in the queue, their fiber included",
        ["", "B/call"],
        (inQueue ?? []).map((name) => [name, whole(results.median("held", name, 10_000))])
      )
      const nanos = (name: string): number => results.median("nanos", name)
      const millis = (calls: number): number => results.median("millis", "crowd ours", calls)
      return [
        ["stack : cockatiel, below 1.0 (aim 0.7)", nanos("stack ours") / nanos("stack cockatiel"), 1],
        ["stack : plain Effect, at most 0.5", nanos("stack ours") / nanos("stack plain Effect"), 0.5],
        ["refusal : cockatiel, below 1.0", nanos("refusal ours") / nanos("refusal cockatiel"), 1],
        ["µs a batch item at concurrency 100, at most 20", nanos("batch item ours") / 1_000, 20],
        ["50 000 : 10 000 at once, at most 6", millis(50_000) / millis(10_000), 6],
        ["KB a waiting call, at most 10", results.median("held", "waiting ours", 10_000) / 1024, 10]
      ]
    }
  }
}
