/**
 * Chance that is a function of where you stand: the same coordinates give the same numbers on every machine,
 * in every order and at every concurrency. Not for secrets.
 */

export type Coordinate = string | number

/** The two 32-bit lanes of cyrb53 (bryc, public domain): a fast hash with good avalanche for short texts. */
export const lanes = (text: string): readonly [high: number, low: number] => {
  let one = 0xdeadbeef
  let two = 0x41c6ce57
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    one = Math.imul(one ^ unit, 2654435761)
    two = Math.imul(two ^ unit, 1597334677)
  }
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(two ^ (two >>> 13), 3266489909)
  two = Math.imul(two ^ (two >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909)
  return [two >>> 0, one >>> 0]
}

/** Sixteen hexadecimal digits that name a text. */
export const hex = (text: string): string => lanes(text).map((lane) => lane.toString(16).padStart(8, "0")).join("")

/** A supply of chance. Each call moves it on; a new `draw` of the same coordinates starts the same series again. */
export interface Draw {
  /** From 0 inclusive to 1 exclusive. */
  readonly fraction: () => number
  /** A whole number from `least` to `most`, both included. */
  readonly between: (least: number, most: number) => number
  readonly happens: (share: number) => boolean
  readonly pick: <A>(list: readonly [A, ...Array<A>]) => A
  /** The list in a drawn order. */
  readonly shuffle: <A>(list: ReadonlyArray<A>) => Array<A>
  /** An independent series, named by the label and not moved by draws from this one. */
  readonly fork: (label: Coordinate) => Draw
}

/** The series of draws that belongs to these coordinates. */
export const draw = (...coordinates: ReadonlyArray<Coordinate>): Draw => {
  const [high, low] = lanes(JSON.stringify(coordinates))
  let state = high
  // Mulberry32 (Tommy Ettinger, public domain); the second lane keeps series apart that share the first.
  const unit = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state) ^ low
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    mixed = Math.imul(mixed ^ (mixed >>> 16), 2246822507)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const fraction = () => unit() / 4294967296
  const between = (least: number, most: number) => least + Math.floor(fraction() * (most - least + 1))
  return {
    fraction,
    between,
    happens: (share) => fraction() < share,
    pick: (list) => {
      const found = list[between(0, list.length - 1)]
      return found === undefined ? list[0] : found
    },
    shuffle: (list) =>
      list.map((item) => ({ item, rank: fraction() }))
        .sort((left, right) => left.rank - right.rank)
        .map(({ item }) => item),
    fork: (label) => draw(...coordinates, label)
  }
}

/** One number from 0 inclusive to 1 exclusive for these coordinates. */
export const uniform = (...coordinates: ReadonlyArray<Coordinate>): number => draw(...coordinates).fraction()

/** How long the caller's own key may be, so that what is put behind it still fits (255 in all). */
const longestKey = 235

/**
 * The caller's key with something behind it: another request, which must not be taken for a repetition of the first,
 * and still the same one when the whole call is run again.
 */
export const derivedKey = (key: string, suffix: string): string =>
  `${key.length > longestKey ? `${key.slice(0, 200)}-${hex(key)}` : key}-${suffix}`
