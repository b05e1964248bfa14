/**
 * A text with what it rests on, as it goes back to the vendor that wrote it. In a whole reply both are one part. In a stream
 * the citations follow: the text has been sent on by then, and the block with text and citations stands at a part without
 * characters. Example: Text `"In short: Paris."`, Text `""` with `{ text: "Paris.", citations: […] }` goes back as the block
 * `"In short: "` and the block `"Paris."` with its citations.
 */
import type { Fields } from "../../internal/record.ts"
import type * as Prompt from "../../model/Prompt.ts"
import * as providerMetadata from "./providerMetadata.ts"

/** The block that the provider wrote, where it still is about this text. */
export const citedBlock = (part: Prompt.TextPart, state: string | undefined): Fields | undefined => {
  const block = providerMetadata.recordIn(state)
  const text = block?.["text"]
  return typeof text === "string" && (part.text === "" || part.text === text) ? block : undefined
}

const hasEntries = (block: Fields | undefined, field: string): boolean => {
  const value = block?.[field]
  return Array.isArray(value) && value.length > 0
}

/** Blocks without the texts that the next block says once more with its citations. `field` is where those stand. */
export const withoutRepetition = (blocks: ReadonlyArray<Fields>, field: string): ReadonlyArray<Fields> =>
  blocks.flatMap((block, at): ReadonlyArray<Fields> => {
    const next = blocks[at + 1]
    const [text, cited] = [block["text"], next?.["text"]]
    const isRepeated = typeof text === "string" && typeof cited === "string" && hasEntries(next, field) &&
      !hasEntries(block, field) && text.endsWith(cited)
    if (!isRepeated) return [block]
    const before = text.slice(0, text.length - cited.length)
    return before.trim() === "" ? [] : [{ ...block, text: before }]
  })
