/**
 * Gemini's stream: unnamed events, each with whole parts, no `[DONE]`. The end is a finish reason; as some servers write it
 * on every chunk, the reply is taken to be over only when the events are. Calls come whole, or (Gemini 3) in pieces.
 */
import * as Either from "effect/Either"
import type * as ModelError from "../../error/ModelError.ts"
import { isRecord } from "../../internal/record.ts"
import type { Fields } from "../../internal/record.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as callIds from "../shared/callIds.ts"
import * as decode from "../shared/decode.ts"
import { rawAt } from "../shared/rawJson.ts"
import * as geminiArguments from "./arguments.ts"
import * as geminiReply from "./reply.ts"

/** A call whose arguments are still coming. */
interface OpenCall {
  readonly index: number
  readonly id: string
  readonly name: string
  readonly pieces: geminiArguments.Pieces
  /** Arguments that came whole, with the name. */
  readonly given: string | undefined
  /** The signature of the thought that led to it; it comes with the first piece. */
  readonly signature: string | undefined
}

/** The reply so far, as much of it as later chunks depend on. */
export interface State {
  readonly started: boolean
  readonly id: string | undefined
  readonly ids: callIds.CallIds
  readonly open: OpenCall | undefined
  /** Whether anything was said; a signature alone says nothing. */
  readonly hasContent: boolean
  readonly finishReason: string | undefined
  readonly blocked: ReadonlyArray<string>
  readonly counts: geminiReply.Counts
}

const initial: State = {
  started: false,
  id: undefined,
  ids: callIds.none,
  open: undefined,
  hasContent: false,
  finishReason: undefined,
  blocked: [],
  counts: geminiReply.noCounts
}

/** What a part leads to: the state after it, or what is wrong with it. */
type Next = State | geminiReply.Wrong

/** Ends the open call, if there is one. */
const close = (state: State, provider: string, parts: Array<StreamPart.StreamPart>): Next => {
  const { open } = state
  if (open === undefined) return state
  const { given, id, index, name, pieces, signature } = open
  const whole = given === undefined ? geminiArguments.whole(pieces) : Either.right(given)
  if (Either.isLeft(whole)) return { wrong: `the pieces of the arguments contradict each other at ${whole.left}` }
  const rest = given === undefined ? geminiArguments.rest(pieces) : ""
  const missing = rest === "" && given === undefined ? whole.right : rest
  if (missing !== "") parts.push(StreamPart.toolArgumentsDelta(index, missing))
  parts.push(StreamPart.toolCall(index, id, name, whole.right, geminiReply.metadataOf(signature, provider)))
  return { ...state, open: undefined }
}

const begin = (
  before: State,
  call: geminiReply.RawCall,
  name: string,
  text: string,
  provider: string,
  parts: Array<StreamPart.StreamPart>
): Next => {
  // The call before may lack its last event.
  const state = close(before, provider, parts)
  if ("wrong" in state) return state
  const index = callIds.count(state.ids)
  const [id, ids] = geminiReply.callId(state.ids, call.fields["id"], state.id)
  const args = call.fields["args"]
  const given = args === undefined || args === null ? undefined : geminiReply.argumentsText(call, text)
  parts.push(StreamPart.toolCallStart(index, id, name))
  if (given !== undefined) parts.push(StreamPart.toolArgumentsDelta(index, given))
  return {
    ...state,
    hasContent: true,
    ids,
    open: { index, id, name, pieces: geminiArguments.none, given, signature: call.signature }
  }
}

const piecesOf = (
  call: geminiReply.RawCall,
  text: string
): ReadonlyArray<geminiArguments.Piece> | geminiReply.Wrong => {
  const list = call.fields["partialArgs"] ?? []
  const at = `${call.path.join(".")}.partialArgs`
  if (!Array.isArray(list)) return { wrong: `${at} is not a list` }
  const pieces: Array<geminiArguments.Piece> = []
  for (const [index, each] of list.entries()) {
    const path = isRecord(each) && typeof each["jsonPath"] === "string"
      ? geminiArguments.parsePath(each["jsonPath"])
      : undefined
    if (!isRecord(each) || path === undefined) return { wrong: `${at}.${index}.jsonPath leads nowhere` }
    const value = valueOf(each, (field) => rawAt(text, [...call.path, "partialArgs", index, field]))
    if (value !== undefined) pieces.push({ path, value, continues: each["willContinue"] === true })
  }
  return pieces
}

/** Numbers are taken as they were written; a piece without a value says nothing yet. */
const valueOf = (
  piece: Fields,
  raw: (field: string) => string | undefined
): geminiArguments.Piece["value"] | undefined => {
  if (typeof piece["stringValue"] === "string") return { text: piece["stringValue"] }
  if (typeof piece["numberValue"] === "number") return { json: raw("numberValue") ?? String(piece["numberValue"]) }
  if (typeof piece["boolValue"] === "boolean") return { json: String(piece["boolValue"]) }
  return "nullValue" in piece ? { json: "null" } : undefined
}

/** A part with a name begins a call; one without belongs to the call that is open. */
const takeCall = (
  before: State,
  call: geminiReply.RawCall,
  text: string,
  provider: string,
  parts: Array<StreamPart.StreamPart>
): Next => {
  const name = call.fields["name"]
  if (name !== undefined && name !== null && typeof name !== "string") {
    return { wrong: `${call.path.join(".")}.name is not a text` }
  }
  const pieces = piecesOf(call, text)
  if ("wrong" in pieces) return pieces
  let state: Next = before
  if (typeof name === "string" && name !== "") state = begin(before, call, name, text, provider, parts)
  if ("wrong" in state) return state
  if (state.open === undefined) {
    // A second end of the same call is harmless; pieces of a call that nobody named are not.
    return pieces.length === 0 ? state : { wrong: `${call.path.join(".")} continues a call that has not begun` }
  }
  if (pieces.length > 0 && state.open.given !== undefined && state.open.given !== "{}") {
    return { wrong: `${call.path.join(".")} has pieces of arguments that were whole` }
  }
  let open: OpenCall = { ...state.open, signature: state.open.signature ?? call.signature }
  for (const piece of pieces) {
    const [delta, next] = geminiArguments.add(open.pieces, piece)
    if (delta !== "") parts.push(StreamPart.toolArgumentsDelta(open.index, delta))
    open = { ...open, pieces: next, given: undefined }
  }
  const grown = { ...state, open }
  return call.fields["willContinue"] === true ? grown : close(grown, provider, parts)
}

const take = (
  state: State,
  part: geminiReply.ReadPart,
  text: string,
  provider: string,
  parts: Array<StreamPart.StreamPart>
): Next => {
  if (part.kind === "call") return takeCall(state, part.call, text, provider, parts)
  if (part.kind === "own") {
    parts.push(geminiReply.ownPartOf(part, text, provider))
    return { ...state, hasContent: true }
  }
  const metadata = geminiReply.metadataOf(part.signature, provider)
  parts.push(
    part.kind === "text" ? StreamPart.textDelta(part.text, metadata) : StreamPart.reasoningDelta(part.text, metadata)
  )
  return state.hasContent || part.text === "" ? state : { ...state, hasContent: true }
}

const stepOne = (facts: decode.Facts, before: State, message: decode.Message): decode.Step<State> => {
  const malformed = (reason: string) => decode.malformed(facts, message, `a chunk cannot be read: ${reason}`)
  const frame = geminiReply.readFrame(message.json, before.counts)
  if ("wrong" in frame) return { state: before, parts: [], error: malformed(frame.wrong) }
  const parts: Array<StreamPart.StreamPart> = []
  if (!before.started) {
    parts.push(StreamPart.start({ id: frame.id, model: frame.model ?? facts.model, requestId: facts.requestId }))
  }
  let state: State = {
    started: true,
    id: before.id ?? frame.id,
    ids: before.ids,
    open: before.open,
    hasContent: before.hasContent,
    finishReason: frame.finishReason ?? before.finishReason,
    blocked: frame.blocked.length > 0 ? frame.blocked : before.blocked,
    counts: frame.counts
  }
  for (const part of frame.parts) {
    const next = take(state, part, message.text, facts.provider, parts)
    if ("wrong" in next) return { state, parts, error: malformed(next.wrong) }
    state = next
  }
  return { state, parts }
}

/** A server that does not know `alt=sse` sends the chunks as the API's other form has them: as one list. */
const step = (facts: decode.Facts) => (before: State, message: decode.Message): decode.Step<State> => {
  if (!Array.isArray(message.json)) return stepOne(facts, before, message)
  const parts: Array<StreamPart.StreamPart> = []
  let state = before
  for (const [at, json] of message.json.entries()) {
    const next = stepOne(facts, state, { ...message, json, text: rawAt(message.text, [at]) ?? message.text })
    state = next.state
    for (const part of next.parts) parts.push(part)
    if (next.error !== undefined) return { state, parts, error: next.error }
  }
  return { state, parts }
}

const end = (facts: decode.Facts) =>
(
  before: State
): ReadonlyArray<StreamPart.StreamPart> | ModelError.ModelError | undefined => {
  if (before.finishReason === undefined) return undefined
  const parts: Array<StreamPart.StreamPart> = []
  const state = close(before, facts.provider, parts)
  if ("wrong" in state) return decode.malformed(facts, { text: "" }, state.wrong)
  const usage = geminiReply.usageOf(state.counts)
  const reason = geminiReply.finishReasonOf(state.finishReason, {
    hasCalls: callIds.count(state.ids) > 0,
    // A call that is cut in its pieces has been refused by now.
    areCallsWhole: true
  })
  if (reason === "content-filter" && !state.hasContent) {
    return geminiReply.filtered(facts, state.finishReason, state.blocked, usage)
  }
  return [...parts, StreamPart.finish({ reason, rawReason: state.finishReason, usage })]
}

/** The decoder of one stream. */
export const decoder = (facts: decode.Facts): decode.Decoder<State> => ({
  facts,
  initial,
  step: step(facts),
  end: end(facts),
  // The usage stands on each chunk, so a chunk that comes after the end is only another heartbeat.
  closing: ({ finishReason }) => finishReason === undefined ? "open" : "ended"
})
