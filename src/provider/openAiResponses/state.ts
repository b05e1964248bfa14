/** What the decoder of a stream of the Responses API knows between two events. */
import type * as Chunk from "effect/Chunk"
import * as callIds from "../shared/callIds.ts"
import * as table from "../shared/table.ts"

/** Which item an event is about. */
export type ItemKey = number | string

export interface Call {
  readonly index: number
  readonly id: string
  readonly name: string
  /** What came in deltas. */
  readonly arguments: string
  /** What the server says the whole is, where it says so. */
  readonly whole: string
  /** Its start was sent on; before the name is known, deltas wait. */
  readonly open: boolean
  readonly closed: boolean
}

export interface State {
  readonly started: boolean
  /** The reply has had its terminal event. */
  readonly over: boolean
  /** Something of the reply's items has come, so the terminal event need not be read for them. */
  readonly items: boolean
  /** What the ids of items stand for: the index they came with, or themselves where no index had come. */
  readonly names: table.Table<string, ItemKey>
  /** Pieces of text that have been sent on, by item, kind and place. */
  readonly told: table.Keys<string>
  /** What came by itself of what texts rest on, by item and place. */
  readonly annotations: table.Table<string, Chunk.Chunk<unknown>>
  /** Reasoning items whose state has been sent on. */
  readonly metadataSent: table.Keys<ItemKey>
  readonly calls: table.Table<ItemKey, Call>
  /** The ids of the calls of all replies of the stream. */
  readonly ids: callIds.CallIds
  readonly refused: boolean
  readonly cutCall: boolean
}

export const initial: State = {
  started: false,
  over: false,
  items: false,
  names: table.empty(),
  told: table.empty(),
  annotations: table.empty(),
  metadataSent: table.empty(),
  calls: table.empty(),
  ids: callIds.none,
  refused: false,
  cutCall: false
}
