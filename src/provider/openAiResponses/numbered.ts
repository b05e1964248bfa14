/**
 * The events of a background response, which are numbered. This reads them by the decoder of any stream and keeps how far
 * the reply was read, so that the same state goes on with the events of another connection: an event that was read before is
 * skipped, and one that is missing is an error. Pure.
 *
 * It also keeps what of each item was delivered, as a length and a fingerprint, so that the rest of the reply can be cut out
 * of the whole (see `rest.ts`). Worked example: "Hello wor" was delivered, the whole is "Hello world"; its first nine
 * characters have the kept fingerprint, so the rest is "ld".
 */
import { type Fields, isRecord } from "../../internal/record.ts"
import type { StreamPart } from "../../model/StreamPart.ts"
import * as decode from "../shared/decode.ts"
import { nonBlank } from "../shared/jsonBody.ts"
import { isHeartbeat } from "../shared/messages.ts"
import * as table from "../shared/table.ts"

/** A text of which only its length and two 32-bit hashes are kept. */
export interface Fingerprint {
  readonly length: number
  readonly one: number
  readonly two: number
}

const emptyFingerprint: Fingerprint = { length: 0, one: 0xdeadbeef, two: 0x41c6ce57 }

/** The fingerprint of a text that goes on. The two multipliers are those of cyrb53 (bryc, public domain). */
const extended = (before: Fingerprint, text: string): Fingerprint => {
  let { one, two } = before
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    one = Math.imul(one ^ unit, 2654435761)
    two = Math.imul(two ^ unit, 1597334677)
  }
  return { length: before.length + text.length, one, two }
}

/** Whether a text begins with the one that was delivered. */
export const beginsWith = (text: string, { length, one, two }: Fingerprint): boolean => {
  if (text.length < length) return false
  const start = extended(emptyFingerprint, text.slice(0, length))
  return start.one === one && start.two === two
}

/** What was delivered of one item of the reply. */
export interface Delivered {
  readonly text: Fingerprint
  readonly reasoning: Fingerprint
  /** The arguments of a call. */
  readonly arguments: Fingerprint
  readonly name: string | undefined
  /** The call was delivered as a whole. */
  readonly isCalled: boolean
}

const nothingDelivered: Delivered = {
  text: emptyFingerprint,
  reasoning: emptyFingerprint,
  arguments: emptyFingerprint,
  name: undefined,
  isCalled: false
}

export interface State<S> {
  /** The state of the decoder that reads the events. */
  readonly reply: S
  /** The provider's id of the reply; events have it only where the reply begins and ends. */
  readonly id: string | undefined
  /** The number of the last event that was read; -1 before the first. */
  readonly last: number
  /** The highest number of a heartbeat. It is a number of its own at OpenAI, and made up at some gateways. */
  readonly lastHeartbeat: number
  /** Content came in an event without a number, so no number says how far the reply was read. */
  readonly isUnnumbered: boolean
  /** By the key of the item, see {@link itemKey}. */
  readonly delivered: table.Table<string, Delivered>
}

export const initial = <S>(reply: S): State<S> => ({
  reply,
  id: undefined,
  last: -1,
  lastHeartbeat: -1,
  isUnnumbered: false,
  delivered: table.empty()
})

/** Where an item stands in the output of the reply, or its id where a server leaves that out. */
export const itemKey = (index: unknown, id: string | undefined): string =>
  typeof index === "number" ? `#${index}` : id ?? "#0"

const itemKeyOf = (event: Fields): string => {
  const { item } = event
  return itemKey(
    event["output_index"],
    nonBlank(event["item_id"]) ?? (isRecord(item) ? nonBlank(item["id"]) : undefined)
  )
}

const deliveredWith = (before: Delivered, part: StreamPart): Delivered => {
  switch (part._tag) {
    case "TextDelta":
      return { ...before, text: extended(before.text, part.text) }
    case "ReasoningDelta":
      return { ...before, reasoning: extended(before.reasoning, part.text) }
    case "ToolCallStart":
      return { ...before, name: part.name }
    case "ToolArgumentsDelta":
      return { ...before, arguments: extended(before.arguments, part.delta) }
    case "ToolCall":
      return { ...before, isCalled: true }
    default:
      return before
  }
}

const isContent = ({ _tag }: StreamPart): boolean => _tag !== "Start" && _tag !== "Finish"

/** The response that an event is about as a whole: in a field of its own, or the event itself. */
const responseIn = (event: Fields): Fields | undefined => {
  const { response } = event
  return isRecord(response) ? response : event["object"] === "response" ? event : undefined
}

export const isUnfinished = (status: unknown): boolean => status === "queued" || status === "in_progress"

/** A response that is not finished is the news that it began, also where it comes as such and not within an event. */
const asEvent = (message: decode.Message, event: Fields): decode.Message =>
  event["object"] === "response" && isUnfinished(event["status"])
    ? { ...message, raw: false, json: { type: "response.in_progress", response: event } }
    : message

/** Why an event cannot be the next one, or nothing where it can. */
const gapBefore = <S>(state: State<S>, number: number): string | undefined => {
  const expected = Math.max(state.last, state.lastHeartbeat) + 1
  // Some servers count from 1.
  const allowed = state.last === -1 ? Math.max(expected, 1) : expected
  return number <= allowed
    ? undefined
    : `event ${number} came where event ${expected} was to come, so events are missing`
}

const numberOf = (event: Fields): number | undefined => {
  const number = event["sequence_number"]
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined
}

/**
 * The decoder of one connection. `from` is the state at which the reading begins; `isResumed` says that the server was asked
 * for what comes after it, so an event without a number has no place there.
 */
export const decoder = <S>(
  inner: decode.Decoder<S>,
  from: State<S>,
  isResumed: boolean
): decode.Decoder<State<S>> => {
  const { facts } = inner
  const stay = (state: State<S>): decode.Step<State<S>> => ({ state, parts: [] })
  /** The event counts as one that was not read. */
  const wrong = (state: State<S>, message: decode.Message, reason: string): decode.Step<State<S>> => ({
    state,
    parts: [],
    error: decode.malformed(facts, message, reason)
  })

  const read = (
    state: State<S>,
    message: decode.Message,
    event: Fields,
    number: number | undefined
  ): decode.Step<State<S>> => {
    const step = inner.step(state.reply, asEvent(message, event))
    if (step.error !== undefined) return { state, parts: [], error: step.error }
    const { parts } = step
    const hasContent = parts.some(isContent)
    if (number === undefined && hasContent && isResumed) {
      return wrong(state, message, "an event without a number, so it is not known whether it was read before")
    }
    const key = itemKeyOf(event)
    const before = table.get(state.delivered, key) ?? nothingDelivered
    return {
      ...step,
      state: {
        reply: step.state,
        id: state.id ?? nonBlank(responseIn(event)?.["id"]),
        last: number ?? state.last,
        lastHeartbeat: state.lastHeartbeat,
        isUnnumbered: state.isUnnumbered || (number === undefined && hasContent),
        delivered: hasContent
          ? table.set(state.delivered, key, parts.reduce(deliveredWith, before))
          : state.delivered
      }
    }
  }

  return {
    facts: { ...facts, heartbeats: "read" },
    initial: from,
    step: (state, message) => {
      const { json } = message
      if (!isRecord(json)) return wrong(state, message, "an event that is no object")
      const number = numberOf(json)
      if (isHeartbeat(json)) {
        return number === undefined || number <= state.lastHeartbeat ? stay(state) : stay({
          ...state,
          lastHeartbeat: number
        })
      }
      const id = nonBlank(responseIn(json)?.["id"])
      if (id !== undefined && state.id !== undefined && id !== state.id) {
        return wrong(state, message, `an event of another reply: ${id} in place of ${state.id}`)
      }
      if (number !== undefined) {
        if (number <= state.last) return stay(state)
        const gap = gapBefore(state, number)
        if (gap !== undefined) return wrong(state, message, gap)
      }
      return read(state, message, json, number)
    },
    closing: (state) => inner.closing(state.reply),
    // A reply that is kept can be asked for its end, so `[DONE]` in place of it is no end.
    end: (state, ending) => inner.closing(state.reply) === "whole" ? inner.end(state.reply, ending) : undefined
  }
}
