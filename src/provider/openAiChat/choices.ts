/**
 * Which choices of a stream are the reply. A request asks for one, so there is one reply, whatever index its chunks have:
 * some servers count the chunks there (`0`, `1`, `2`, …). Whoever asks for several alternatives follows the first.
 *
 * Where nobody knows what was asked (bytes of a recording) the indexes themselves tell. One that counts on is held back for
 * one chunk: `0`, `1`, `2` are the chunks of one reply, `0`, `1`, `0` are two alternatives.
 */
import { isRecord } from "../../internal/record.ts"
import type { Fields } from "../../internal/record.ts"

/** What the request asked for. */
export type Wanted = "one" | "several" | "unknown"

/** A choice as it stands in a chunk. */
export interface Place {
  readonly choice: Fields
  /** Where in the list of choices it stands. */
  readonly at: number
  /** The chunk's text. */
  readonly text: string
}

export interface Followed {
  readonly wanted: Wanted
  /** The index of the choice that is followed, once one has come. */
  readonly index: number | undefined
  /** A chunk of another index, which may be the reply's next or an alternative's first. */
  readonly held: (Place & { readonly index: number }) | undefined
}

export const start = (wanted: Wanted): Followed => ({ wanted, index: undefined, held: undefined })

const indexOf = (choice: Fields): number => typeof choice["index"] === "number" ? choice["index"] : 0

type Selected = readonly [followed: Followed, places: ReadonlyArray<Place>]

const nothing: ReadonlyArray<Place> = []

/** The alternative with the followed index; without one, the first of all. */
const ofSeveral = (followed: Followed, places: ReadonlyArray<Place>): Selected => {
  const index = followed.index ?? 0
  const place = places.find(({ choice }) => indexOf(choice) === index)
  return [
    { wanted: "several", index: place === undefined ? followed.index : index, held: undefined },
    place === undefined ? nothing : [place]
  ]
}

const ofUnknown = (followed: Followed, place: Place): Selected => {
  const { held } = followed
  const index = indexOf(place.choice)
  if (held === undefined) {
    return followed.index === index || (followed.index === undefined && index === 0)
      ? [{ ...followed, index }, [place]]
      : [{ ...followed, held: { ...place, index } }, nothing]
  }
  // The index of the held chunk once more, or the next: both were the reply's own.
  if (index > held.index) return [{ wanted: "one", index, held: undefined }, [held, place]]
  if (index === held.index && followed.index === undefined) {
    return [{ ...followed, index, held: undefined }, [held, place]]
  }
  return ofSeveral({ ...followed, index: followed.index ?? 0 }, [place])
}

/** The one choice of a chunk, as nearly all chunks have it. */
const onlyOne = (followed: Followed, choice: unknown, text: string): Selected => {
  if (!isRecord(choice)) return [followed, nothing]
  const index = indexOf(choice)
  return [followed.index === index ? followed : { ...followed, index }, [{ choice, at: 0, text }]]
}

/** The choices of a chunk that belong to the reply; `hasFinished` where the followed choice has had its end. */
export const select = (
  followed: Followed,
  choices: ReadonlyArray<unknown>,
  text: string,
  hasFinished: boolean
): Selected => {
  if (followed.wanted === "one" && choices.length === 1) return onlyOne(followed, choices[0], text)
  const places = choices.flatMap((choice, at) => isRecord(choice) ? [{ choice, at, text }] : [])
  const [first] = places
  if (first === undefined) return [followed, nothing]
  if (places.length > 1 || followed.wanted === "several") return ofSeveral(followed, places)
  if (followed.wanted === "one") return [{ ...followed, index: indexOf(first.choice) }, [first]]
  return hasFinished && followed.index !== indexOf(first.choice) ? [followed, nothing] : ofUnknown(followed, first)
}

/** What is still held back at the end: the reply's, unless the choice that was followed had an end of its own. */
export const rest = ({ held, wanted }: Followed, hasFinished: boolean): ReadonlyArray<Place> =>
  held === undefined || wanted !== "unknown" || hasFinished ? nothing : [held]
