/** Stream decoding: bytes of a reply to the parts of it, against the vendors' own clients. */
import { cell, type Group, print, ratio, type Wanted, whole } from "../run.ts"
import { decodings, nameOf, slices, streamSize, whoes } from "./decoders.ts"
import { providers, recorded } from "./recordings.ts"

const perSecond = (millis: number): number => streamSize / 1e6 / (millis / 1e3)

export const streams = (wanted: Wanted): Group => {
  const names = wanted(Object.keys(decodings))
  return {
    cells: slices.flatMap((slice) => names.map((name) => cell("decode", name, slice))),
    report: (results) => {
      const millis = (provider: (typeof providers)[number], who: (typeof whoes)[number], slice: number): number =>
        results.median("decode", nameOf(provider, who), slice)
      for (const slice of slices) {
        print(
          `Decoding of a stream of ${streamSize / 1e6} MB (${recorded ? "recorded" : "made up"} deltas) in slices of ${slice / 1024} KB`,
          ["", "MB/s", "[most]", "ms", "on the wall", "time : SDK", "time : bare eventsource-parser"],
          providers.flatMap((provider) =>
            whoes.filter((who) => names.includes(nameOf(provider, who))).map((who) => {
              const name = nameOf(provider, who)
              return [
                name,
                whole(perSecond(millis(provider, who, slice))),
                whole(perSecond(results.least("decode", name, slice, "least"))),
                whole(millis(provider, who, slice)),
                whole(results.median("decode", name, slice, "wall")),
                ratio(millis(provider, who, slice) / millis(provider, "SDK", slice)),
                ratio(millis(provider, who, slice) / millis(provider, "bare eventsource-parser", slice))
              ]
            })
          )
        )
      }
      return slices.flatMap((slice) =>
        providers.map((provider) =>
          [
            `stream of ${provider}, ${slice / 1024} KB : SDK, at most 1.0`,
            millis(provider, "ours", slice) / millis(provider, "SDK", slice),
            1
          ] as const
        )
      )
    }
  }
}
