/** What the layer that guards streams adds to a chunk of a healthy one. */
import { cell, type Group, print, type Wanted } from "../run.ts"
import { bare, charactersOfChunk, streamLayers } from "./client.ts"

/** Microseconds a chunk that the layer may add. */
const most = 2

const two = (value: number): string => Number.isFinite(value) ? value.toFixed(2) : "-"

export const streamLayer = (wanted: Wanted): Group => {
  const names = wanted(Object.keys(streamLayers))
  return {
    cells: names.map((name) => cell("streamLayer", name)),
    report: (results) => {
      const of = (name: string, measure: string): number => results.median("streamLayer", name, 0, measure)
      const least = (name: string): number => results.least("streamLayer", name, 0, "least")
      print(
        `A chunk of ${charactersOfChunk} characters that comes alone, no network: processor time, and bytes that a stream grows by`,
        ["", "µs/chunk", "above bare", "[least]", "above bare", "B/chunk"],
        names.map((name) => [
          name,
          two(of(name, "micros")),
          two(of(name, "micros") - of(bare, "micros")),
          two(least(name)),
          two(least(name) - least(bare)),
          two(of(name, "growth"))
        ])
      )
      return names.filter((name) => name !== bare).map((name) =>
        [`${name}: µs a chunk above bare, at most ${most}`, of(name, "micros") - of(bare, "micros"), most] as const
      )
    }
  }
}
