/** A block of the server's own work while it comes in a stream. What deltas add stands beside it, so none copies the block. */
import type { Fields } from "../../internal/record.ts"
import type * as StreamPart from "../../model/StreamPart.ts"
import { isWholeText } from "../shared/jsonProgress.ts"
import * as table from "../shared/table.ts"
import * as reply from "./reply.ts"

/** What the server does by itself; its input may come in pieces. */
export interface OwnBlock {
  readonly _tag: "Own"
  readonly kind: string
  readonly block: Fields
  /** The block as it was written. */
  readonly start: string
  /** The fields that deltas have gone on with. */
  readonly grown: table.Table<string, string>
  readonly input: string
}

export const ownBlock = (kind: string, block: Fields, start: string): OwnBlock => ({
  _tag: "Own",
  kind,
  block,
  start,
  grown: table.empty(),
  input: ""
})

/** More of a block of the server's own: each text of the delta goes on with the field of its name, as compaction has it. */
export const grownOwn = (block: OwnBlock, delta: Fields): OwnBlock => {
  let { grown } = block
  for (const [name, value] of Object.entries(delta)) {
    const before = table.get(grown, name) ?? block.block[name] ?? ""
    if (name === "type" || typeof value !== "string" || typeof before !== "string") continue
    grown = table.set(grown, name, before + value)
  }
  return { ...block, grown }
}

/** The block as it stands in a whole reply: with the input that came in pieces in its place. */
export const ownPart = (block: OwnBlock, provider: string): StreamPart.StreamPart => {
  const { grown, input, kind, start } = block
  const whole = (): Fields => ({ ...block.block, ...Object.fromEntries(table.entries(grown)) })
  const json = input.trim() !== "" && isWholeText(input)
    ? JSON.stringify({ ...whole(), input: "\u0000input" }).replace("\"\\u0000input\"", () => input)
    : table.size(grown) === 0
    ? start
    : JSON.stringify(whole())
  return { _tag: "ProviderPart", kind, providerMetadata: reply.ownMetadata(json, provider) }
}
