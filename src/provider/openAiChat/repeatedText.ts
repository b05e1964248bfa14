/**
 * Text that comes in pieces, of servers that do not all mean the same by a piece. Most send what is new. Some send all there
 * is so far with every piece (`Hel`, `Hello`, `Hello you`), and some send the whole text once more at the end. What has been
 * said is never said twice.
 *
 * A piece that begins with everything before it may be either. It is held back until the next one shows which: `Hel`,
 * `Hello` is held, `Hello you` begins with it too, so all pieces are whole texts. `ha`, `ha`, `!` is plain text.
 */

/** The text so far, and the pieces that may be whole texts. */
export interface Spoken {
  /** The start of what was sent on, as much as is compared. */
  readonly text: string
  /** The length of all that was sent on. */
  readonly length: number
  readonly pieces: number
  readonly held: ReadonlyArray<string>
  /** Every piece is the whole text so far. */
  readonly isCumulative: boolean
  /** A whole text came that is not the one before with more behind it: no reading of the pieces is right. */
  readonly isContradicted: boolean
}

export const silent: Spoken = {
  text: "",
  length: 0,
  pieces: 0,
  held: [],
  isCumulative: false,
  isContradicted: false
}

/** What was said, and what of it is to be sent on. */
export type Said = readonly [spoken: Spoken, news: string]

/** As much of a long text as is compared: two texts that agree so far are the same text. */
const compared = 65_536

/** Fewer letters repeat by chance: `1` and `10`, `-` and `---`. */
const fewestLetters = 3

/** Pieces that are held back at most, so that a text is never far behind. */
const mostHeld = 4

const letters = (text: string): number => text.match(/\p{L}/gu)?.length ?? 0

const beginsWith = (text: string, { length, text: start }: Spoken): boolean =>
  text.length >= length && text.startsWith(start)

/** `haha` is `ha` twice. */
const repeats = (text: string, unit: string): boolean =>
  unit !== "" && text.length % unit.length === 0 && unit.repeat(text.length / unit.length) === text

const spokenMore = ({ held, isContradicted, isCumulative, length, pieces, text }: Spoken, piece: string): Spoken => ({
  text: text.length < compared ? text + piece.slice(0, compared - text.length) : text,
  length: length + piece.length,
  pieces: pieces + 1,
  held,
  isCumulative,
  isContradicted
})

/** Whether the last piece that was held shows that it is the whole text. */
const isTelling = (spoken: Spoken, last: string): boolean =>
  letters(last.slice(0, 1_000)) >= fewestLetters && !repeats(last, spoken.text)

/** The held pieces, as what they have turned out to be. */
const release = (spoken: Spoken, as: "whole texts" | "pieces"): Said => {
  const last = spoken.held.at(-1)
  if (last === undefined) return [spoken, ""]
  const news = as === "pieces" ? spoken.held.join("") : last.slice(spoken.length)
  return [{ ...spokenMore(spoken, news), held: [], isCumulative: as === "whole texts" }, news]
}

/** A piece of a text of which every piece is the whole. */
const hearWhole = (spoken: Spoken, whole: string): Said => {
  if (!beginsWith(whole, spoken)) return [{ ...spoken, isContradicted: true }, ""]
  const news = whole.slice(spoken.length)
  return news === "" ? [spoken, ""] : [spokenMore(spoken, news), news]
}

/** A piece behind others that are held back. */
const hearBehindHeld = (spoken: Spoken, last: string, piece: string): Said => {
  // A whole text grows: the same piece time after time is plain text.
  if (piece.length <= last.length || spoken.held.length >= mostHeld || !piece.startsWith(last)) {
    const [plain, before] = release(spoken, "pieces")
    const [next, news] = hear(plain, piece)
    return [next, before + news]
  }
  const held = { ...spoken, held: [...spoken.held, piece] }
  return isTelling(spoken, piece) ? release(held, "whole texts") : [held, ""]
}

/** One more piece. */
export const hear = (spoken: Spoken, piece: string): Said => {
  if (piece === "") return [spoken, ""]
  if (spoken.isCumulative) return hearWhole(spoken, piece)
  const last = spoken.held.at(-1)
  if (last !== undefined) return hearBehindHeld(spoken, last, piece)
  return spoken.length > 0 && beginsWith(piece, spoken)
    ? [{ ...spoken, held: [piece] }, ""]
    : [spokenMore(spoken, piece), piece]
}

/** No more pieces come. A last piece that says all of several others once more is the whole text, too. */
export const close = (spoken: Spoken): Said => {
  const last = spoken.held.at(-1)
  if (last === undefined) return [spoken, ""]
  const isWhole = isTelling(spoken, last) ||
    (spoken.pieces > 1 && spoken.held.length === 1 && letters(last.slice(0, 1_000)) >= fewestLetters)
  return release(spoken, isWhole ? "whole texts" : "pieces")
}

/** The whole text, as the server repeats it behind its pieces. What is no longer the text that came says nothing new. */
export const hearAgain = (spoken: Spoken, whole: string): Said => {
  const [closed, before] = close(spoken)
  if (!beginsWith(whole, closed)) return [closed, before]
  const news = whole.slice(closed.length)
  return [spokenMore(closed, news), before + news]
}
