/**
 * The rest of a background response that can be had as a whole only: what was delivered of it is left out, and what remains
 * is given to the decoder as the events that were not read. Pure.
 */
import * as Either from "effect/Either"
import type * as ModelError from "../../error/ModelError.ts"
import { type Fields, isRecord, listOf } from "../../internal/record.ts"
import type { StreamPart } from "../../model/StreamPart.ts"
import type * as decode from "../shared/decode.ts"
import { nonBlank } from "../shared/jsonBody.ts"
import { rawAt } from "../shared/rawJson.ts"
import * as table from "../shared/table.ts"
import { beginsWith, type Delivered, type Fingerprint, itemKey, type State } from "./numbered.ts"
import { argumentsText, pieceOf } from "./reply.ts"

/** An event that was not read. */
interface Unread {
  readonly event: Fields
  /** As it would have been sent. */
  readonly text: string
}

/** A piece of text within an item, with the event that tells more of it. */
interface Piece {
  readonly text: string
  readonly event: Fields
}

/** Why the whole cannot be the reply that was delivered in part. */
type Misfit = string

const messagePieces = (content: unknown): ReadonlyArray<Piece> =>
  typeof content === "string"
    ? [{ text: content, event: { type: "response.output_text.delta", content_index: 0 } }]
    : listOf(content).flatMap((part, place): ReadonlyArray<Piece> => {
      const piece = pieceOf(part)
      if (piece === undefined || piece.kind === "reasoning") return []
      const type = piece.kind === "refusal" ? "response.refusal.delta" : "response.output_text.delta"
      return [{ text: piece.text, event: { type, content_index: place } }]
    })

const thoughtPieces = (item: Fields): ReadonlyArray<Piece> => {
  const pieces = (parts: unknown, type: string, index: string): ReadonlyArray<Piece> =>
    listOf(parts).flatMap((part, place): ReadonlyArray<Piece> => {
      const piece = pieceOf(part)
      return piece === undefined ? [] : [{ text: piece.text, event: { type, [index]: place } }]
    })
  return [
    ...pieces(item["summary"], "response.reasoning_summary_text.delta", "summary_index"),
    ...pieces(item["content"], "response.reasoning_text.delta", "content_index")
  ]
}

/** The rest of the piece in which the delivered text ends. What comes behind it is told by the item as a whole. */
const restOfPieces = (
  pieces: ReadonlyArray<Piece>,
  delivered: Fingerprint,
  position: Fields
): Either.Either<ReadonlyArray<Unread>, Misfit> => {
  if (!beginsWith(pieces.map(({ text }) => text).join(""), delivered)) return Either.left("its text is another")
  let start = 0
  for (const { event, text } of pieces) {
    const told = delivered.length - start
    if (told > 0 && told < text.length) {
      return Either.right([{ event: { ...event, ...position, delta: text.slice(told) }, text: "" }])
    }
    start += text.length
  }
  return Either.right([])
}

const fitsCall = (item: Fields, raw: string, { arguments: told, isCalled, name }: Delivered): boolean => {
  const json = argumentsText(item["arguments"], () => rawAt(raw, ["arguments"]))
  return name === item["name"] && beginsWith(json, told) &&
    (!isCalled || told.length === 0 || told.length === json.length)
}

/** What was not read of one item, up to the event that tells it as a whole. */
const restOfItem = (
  item: Fields,
  raw: string,
  delivered: Delivered,
  position: Fields
): Either.Either<ReadonlyArray<Unread>, Misfit> => {
  const { name, reasoning, text } = delivered
  const type = item["type"]
  const hasOther = (type !== "message" && text.length > 0) || (type !== "reasoning" && reasoning.length > 0) ||
    (type !== "function_call" && name !== undefined)
  if (hasOther) return Either.left("an item is of another kind")
  switch (type) {
    case "message":
      return restOfPieces(messagePieces(item["content"]), text, position)
    case "reasoning":
      return restOfPieces(thoughtPieces(item), reasoning, position)
    case "function_call":
      return name === undefined || fitsCall(item, raw, delivered) ? Either.right([]) : Either.left("a call is another")
    default:
      return Either.right([])
  }
}

/** All events of the finished response that were not read. */
const unreadEvents = <S>(
  state: State<S>,
  response: Fields,
  text: string
): Either.Either<ReadonlyArray<Unread>, Misfit> => {
  const unread: Array<Unread> = [{ event: { type: "response.in_progress", response }, text: "" }]
  const known = new Set<string>()
  for (const [at, item] of listOf(response["output"]).entries()) {
    if (!isRecord(item)) return Either.left("an item of it is no object")
    const id = nonBlank(item["id"])
    const keys = [itemKey(at, id), ...(id === undefined ? [] : [id])].filter((key) => table.has(state.delivered, key))
    if (keys.length > 1) return Either.left("its events name one item in two ways")
    for (const key of keys) known.add(key)
    const position = { output_index: at, ...(id === undefined ? {} : { item_id: id }) }
    const raw = rawAt(text, ["output", at]) ?? JSON.stringify(item)
    const delivered = keys[0] === undefined ? undefined : table.get(state.delivered, keys[0])
    if (delivered !== undefined) {
      const rest = restOfItem(item, raw, delivered, position)
      if (Either.isLeft(rest)) return rest
      unread.push(...rest.right)
    }
    unread.push({
      event: { type: "response.output_item.done", output_index: at, item },
      text: `{"item":${raw}}`
    })
  }
  const isMissing = table.entries(state.delivered).some(([key]) => !known.has(key))
  if (isMissing) return Either.left("an item that was delivered is not in it")
  const type = response["status"] === "incomplete" ? "response.incomplete" : "response.completed"
  return Either.right([...unread, { event: { type, response }, text: `{"response":${text}}` }])
}

/** What the rest leads to. */
export interface Rest<S> {
  readonly state: State<S>
  readonly parts: ReadonlyArray<StreamPart>
  readonly error: ModelError.ModelError | undefined
}

/** The rest of a finished response, whose JSON text is `text`; or why it does not fit what was delivered. */
export const rest = <S>(
  inner: decode.Decoder<S>,
  state: State<S>,
  response: Fields,
  text: string
): Either.Either<Rest<S>, Misfit> =>
  Either.map(unreadEvents(state, response, text), (unread) => {
    let reply = state.reply
    const parts: Array<StreamPart> = []
    for (const { event, text } of unread) {
      const step = inner.step(reply, { event: undefined, json: event, text, raw: false })
      reply = step.state
      for (const part of step.parts) parts.push(part)
      if (step.error !== undefined) return { state: { ...state, reply }, parts, error: step.error }
    }
    return { state: { ...state, reply }, parts, error: undefined }
  })
