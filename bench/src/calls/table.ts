/** Whole calls over the wire: the processor's time, and the throughput of many at once. */
import { cell, type Group, print, ratio, type Results, type Wanted, whole } from "../run.ts"
import { throughputs, wholeCalls } from "./client.ts"

const micros = (nanos: number): string => whole(nanos / 1_000)

const printCalls = (names: ReadonlyArray<string>, results: Results): void => {
  const of = (name: string, measure = "processor"): number => results.median("call", name, 0, measure)
  print(
    "A whole call with a small reply, 20 at a time over sockets that stay open: µs of the processor of this side alone",
    ["", "µs/call", "[least]", "on the wall", ": bare fetch", ": SDK"],
    names.map((name) => [
      name,
      micros(of(name)),
      micros(results.least("call", name)),
      micros(of(name, "wall")),
      ratio(of(name) / of("call bare fetch")),
      ratio(of(name) / of("call openai SDK"))
    ])
  )
}

const printThroughputs = (names: ReadonlyArray<string>, results: Results): void => {
  const of = (name: string, measure: string): number => results.median("throughput", name, 0, measure)
  print(
    "2 000 calls at once, 100 in flight, 30 of 100 requests fail and are repeated; delays of the event loop in ms",
    ["", "calls/s", ": bare fetch", "µs/call", "p99", "most", "p99 : bare fetch"],
    names.map((name) => [
      name,
      whole(of(name, "rate")),
      ratio(of(name, "rate") / of("throughput bare fetch", "rate")),
      micros(of(name, "processor")),
      of(name, "p99").toFixed(1),
      of(name, "most").toFixed(1),
      ratio(of(name, "p99") / of("throughput bare fetch", "p99"))
    ])
  )
}

export const calls = (wanted: Wanted): Group => {
  const [single, atOnce] = [wholeCalls, throughputs].map((table) => wanted(Object.keys(table)))
  return {
    cells: [
      ...(single ?? []).map((name) => cell("call", name)),
      ...(atOnce ?? []).map((name) => cell("throughput", name))
    ],
    report: (results) => {
      printCalls(single ?? [], results)
      printThroughputs(atOnce ?? [], results)
      const time = (name: string): number => results.median("call", `call ${name}`)
      const crowd = (name: string, measure: string): number => results.median("throughput", `throughput ${name}`, 0, measure)
      return [
        ["call strengthened over undici : SDK, at most 1.3", time("strengthened over undici") / time("openai SDK"), 1.3],
        ["call strengthened over fetch : SDK, at most 1.6", time("strengthened over fetch") / time("openai SDK"), 1.6],
        ...(["fetch", "undici"] as const).flatMap((client) => [
          [
            `throughput of bare fetch : strengthened over ${client}, at most 1.25`,
            crowd("bare fetch", "rate") / crowd(`strengthened over ${client}`, "rate"),
            1.25
          ] as const,
          [
            `p99 delay strengthened over ${client} : bare fetch, at most 1.5`,
            crowd(`strengthened over ${client}`, "p99") / crowd("bare fetch", "p99"),
            1.5
          ] as const
        ])
      ]
    }
  }
}
