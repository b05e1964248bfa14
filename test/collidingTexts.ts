/**
 * Texts of one hash in Effect's `Hash.string`, which a server can make as easily as this: every pair of blocks that lead from
 * one state of the hash to the same next one doubles how many there are.
 */
import * as Hash from "effect/Hash"

const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"]

/** Two blocks of two letters which, put before the text, give the same hash. */
const pairBefore = (text: string): readonly [string, string] => {
  const blocks = new Map<number, string>()
  for (const first of letters) {
    for (const second of letters) {
      const block = first + second
      const hash = Hash.string(block + text)
      const other = blocks.get(hash)
      if (other !== undefined) return [other, block]
      blocks.set(hash, block)
    }
  }
  throw new Error(`no two blocks before ${text} have one hash`)
}

/** As many different texts of one hash; the hash is made from the end of a text, so the texts grow at their start. */
export const collidingTexts = (count: number): ReadonlyArray<string> => {
  let texts = [""]
  while (texts.length < count) {
    const blocks = pairBefore(texts[0] ?? "")
    texts = texts.flatMap((text) => blocks.map((block) => block + text))
  }
  return texts.slice(0, count)
}
