/**
 * Finds the error in one event of a stream that began with status 200. Most events are none, and some only look like one:
 * `code` is the text of an interpreter in one, a failed tool is the content of another. So what counts is listed here, and
 * only what is found is handed on to be classified.
 */

import { isRecord } from "../../internal/record.ts"
import { isFault } from "./errorBody.ts"
import { readEnding } from "./finishReasons.ts"

type Fields = Readonly<Record<string, unknown>>

/** `error: null`, `false`, `""` and `{}` mean that there is none. */
const isFilled = (value: unknown): boolean =>
  typeof value === "string"
    ? value.trim() !== ""
    : Array.isArray(value)
    ? value.length > 0
    : isRecord(value)
    ? Object.keys(value).length > 0
    : false

const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== ""

/** Events about one item of a reply, such as `response.mcp_call.failed`: a tool that failed is content. */
const aboutAnItem = /^response\.\w+\./

/** What an event of an ordinary stream has and a bare error has not. */
const replyFields = [
  "choices",
  "candidates",
  "delta",
  "response",
  "item",
  "part",
  "content_block",
  "usage",
  "usageMetadata",
  "index",
  "output_index",
  "id"
]

/** `{message, code}`, `{detail}`, `{object: "error"}`: errors without an envelope, in an event that is nothing else. */
const isFlat = (event: Fields): boolean =>
  event["object"] === "error" ||
  (replyFields.every((name) => event[name] === undefined) &&
    (isText(event["message"]) || isFilled(event["detail"]) || isText(event["msg"]) || isText(event["Message"])) &&
    !(isText(event["type"]) && aboutAnItem.test(event["type"])))

/** How a reason to finish that is a failure is told as an error. */
const failureTypes = { server: "server_error", overload: "overloaded_error", call: "invalid_tool_call" } as const

/** The error of a choice whose reason to finish says that no reply came of it; all others end a reply, cut or filtered. */
const failureOf = (choice: Fields): Fields | undefined => {
  const word = choice["finish_reason"]
  const ending = readEnding(word)
  return ending._tag !== "Failed"
    ? undefined
    : { type: failureTypes[ending.because], message: `finish_reason: ${String(word)}` }
}

const isFailed = (candidate: Fields): boolean => readEnding(candidate["finishReason"])._tag === "Failed"

const entries = (value: unknown): ReadonlyArray<Fields> => Array.isArray(value) ? value.filter(isRecord) : []

const isBlocked = (feedback: unknown): boolean =>
  isRecord(feedback) && isText(feedback["blockReason"]) && feedback["blockReason"] !== "BLOCK_REASON_UNSPECIFIED"

/** A reply that failed without a word of the reason: the server's failure, as far as anyone knows. */
export const withReason = (failed: Fields): Fields => {
  const holder = isRecord(failed["response"]) ? failed["response"] : failed
  return isFilled(holder["error"]) || isFilled(failed["error"]) || isText(failed["message"]) ? failed : {
    ...failed,
    error: { type: "server_error", message: "the reply failed, and the provider gives no reason" }
  }
}

/** What is left of an event when only its error counts, in the shape of an error body. */
const ofFields = (event: Fields): unknown => {
  const type = event["type"]
  if (type === "response.failed") return withReason(event)
  if (type === "response.error" || type === "error") return event
  if (isFilled(event["error"]) && !(isText(type) && aboutAnItem.test(type))) {
    const { candidates: _candidates, choices: _choices, ...rest } = event
    return rest
  }
  if (isFault(event["base_resp"])) return { base_resp: event["base_resp"] }
  const choices = entries(event["choices"])
  const inner = choices.find((choice) => isFilled(choice["error"]))
  if (inner !== undefined) return { error: inner["error"] }
  const failure = choices.map(failureOf).find((each) => each !== undefined)
  if (failure !== undefined) return { error: failure }
  if (isBlocked(event["promptFeedback"])) return event
  if (entries(event["candidates"]).some(isFailed)) return event
  return isFlat(event) ? event : undefined
}

/** The error body inside an event's payload, or undefined where the event is an ordinary one. */
export const find = (event: unknown, name: string | undefined): unknown => {
  // Gemini's OpenAI endpoint puts its errors into a list.
  for (const each of Array.isArray(event) ? event.slice(0, 20) : [event]) {
    const found = isRecord(each) ? ofFields(each) : undefined
    if (found !== undefined) return found
  }
  // An event that is called an error is one, whatever it holds.
  return name !== "error" ? undefined : isRecord(event) || Array.isArray(event) ? event : { error: event ?? "" }
}
