/**
 * From the events of a stream to its messages: JSON is parsed, heartbeats are dropped, errors and `[DONE]` are told apart.
 * Several documents in one event are several messages, as servers send them that leave out the blank line between two.
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ModelError from "../../error/ModelError.ts"
import { readJson } from "../../internal/readJson.ts"
import { isRecord } from "../../internal/record.ts"
import { describeCause } from "../../internal/redact.ts"
import * as ProviderError from "../ProviderError.ts"
import * as jsonProgress from "./jsonProgress.ts"
import * as sse from "./sse.ts"

/** One event with its data parsed. `[DONE]`, empty data and errors never reach a decoder. */
export interface Message {
  /** The event's name, where the server gives one. */
  readonly event: string | undefined
  readonly json: unknown
  /** The data as it was sent, for errors that quote it. */
  readonly text: string
  /** JSON outside any event, which is not an error: a whole reply at best. */
  readonly raw: boolean
}

/** What an event holds: messages, an error, or the word that the stream is done. */
export type Parsed = Message | { readonly error: ModelError.ModelError } | "done"

const brace = 0x7b

/** What some servers and proxies send as data to keep a connection open. It says nothing. */
const heartbeat = /^(?::.*|[[("]?(?:ping|pong|heartbeat|keep[-_ ]?alive|processing|noop|null)[\])"]?)$/i

const heartbeatName = /^(?:ping|pong|heartbeat|keep[-_]?alive|comment)$/i

const isDone = (text: string): boolean => /^"?\[done\]"?$/i.test(text)

const parseJson = (text: string): Either.Either<unknown, unknown> => {
  try {
    return Either.right(readJson(text))
  } catch (cause) {
    return Either.left(cause)
  }
}

/**
 * The payloads of data that is no JSON as a whole: several documents behind each other, as servers send them that leave
 * out the blank line between two events. What is left at the end is no JSON, or the start of one.
 */
const payloadsOf = (data: string): { readonly payloads: ReadonlyArray<string>; readonly rest: string } => {
  const payloads: Array<string> = []
  let from = 0
  while (from < data.length) {
    const lead = /^\s*(?:data:\s*)?/.exec(data.slice(from, from + 100))
    from += lead?.[0].length ?? 0
    if (from >= data.length) break
    const code = data.charCodeAt(from)
    if (code === brace) {
      const end = jsonProgress.endOfFirst(data, from)
      if (end === undefined) break
      payloads.push(data.slice(from, end))
      from = end
      continue
    }
    const lineEnd = data.indexOf("\n", from)
    const line = data.slice(from, lineEnd === -1 ? data.length : lineEnd).trim()
    if (!isDone(line) && !heartbeat.test(line.slice(0, 200))) break
    payloads.push(line)
    from = lineEnd === -1 ? data.length : lineEnd
  }
  return { payloads, rest: data.slice(from) }
}

const notJson = (facts: sse.Facts, data: string, cause: unknown): Parsed => ({
  error: new ModelError.MalformedResponse({
    ...sse.factsOf(facts),
    body: data,
    reason: "an event of the stream is not JSON",
    cause: describeCause(cause)
  })
})

/** `{}` and `{"type":"ping"}`: heartbeats that are JSON. */
export const isHeartbeat = (json: unknown): boolean => {
  if (!isRecord(json)) return false
  const type = json["type"] ?? json["event"] ?? json["object"]
  return typeof type === "string" && type.length < 12 && heartbeatName.test(type) ||
    type === undefined && Object.keys(json).length === 0
}

const judged = (
  facts: sse.Facts,
  event: sse.SseEvent,
  json: unknown,
  text: string
): ReadonlyArray<Parsed> => {
  const error = ProviderError.fromStreamEvent({
    provider: facts.provider,
    model: facts.model,
    event: json,
    name: event.event,
    headers: facts.headers
  })
  if (Option.isSome(error)) return [{ error: error.value }]
  if (facts.heartbeats !== "read" && isHeartbeat(json)) return []
  return [{ event: event.event, json, text, raw: event.raw === true }]
}

/** The messages of an event. */
export const parse = (facts: sse.Facts, event: sse.SseEvent): ReadonlyArray<Parsed> => {
  const { data } = event
  // Nearly all data is an object, and that is neither blank nor the end.
  if (data.charCodeAt(0) !== brace) {
    const trimmed = data.trim()
    if (trimmed === "" || heartbeat.test(trimmed.slice(0, 200)) && !trimmed.includes("\n")) return []
    if (isDone(trimmed)) return ["done"]
  }
  const json = parseJson(data)
  if (Either.isRight(json)) return judged(facts, event, json.right, data)
  if (event.event !== undefined && heartbeatName.test(event.event)) return []
  const { payloads, rest } = payloadsOf(data)
  const all = payloads.flatMap((text): ReadonlyArray<Parsed> => {
    if (isDone(text)) return ["done"]
    if (text.charCodeAt(0) !== brace) return []
    const each = parseJson(text)
    return Either.isRight(each) ? judged(facts, event, each.right, text) : [notJson(facts, data, each.left)]
  })
  // What the end of the bytes cut off is not wrong, only short: the end of the stream is judged instead.
  if (rest.trim() === "" || event.unfinished === true) return all
  // Words under the name of an error are that error.
  if (event.event === "error") return judged(facts, event, data, data)
  return [...all, notJson(facts, data, json.left)]
}
