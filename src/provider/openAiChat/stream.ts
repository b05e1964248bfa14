/** OpenAI's chat completions on the wire: how a stream is read, chunk by chunk. Pure; lenient where real servers differ. */
import * as ModelError from "../../error/ModelError.ts"
import { isRecord } from "../../internal/record.ts"
import type { Fields } from "../../internal/record.ts"
import type * as Response from "../../model/Response.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as Usage from "../../model/Usage.ts"
import * as decode from "../shared/decode.ts"
import { nonBlank, orEmptyObject } from "../shared/jsonBody.ts"
import { filteredCategories } from "../shared/openAiFilters.ts"
import { rawAt } from "../shared/rawJson.ts"
import { factsOf } from "../shared/sse.ts"
import { contentParts, finishReasons, sealOf, thinkingIn, usageOf } from "./reply.ts"

/** A tool call that is being sent. Its place in the list is its index in our parts. */
interface Call {
  /** What the server tells its calls apart by. */
  readonly key: number | undefined
  readonly id: string
  /** Empty until the server says it; only then the call is announced. */
  readonly name: string
  readonly arguments: string
  /** What the server adds to the call and wants back with it. */
  readonly extra: unknown
  readonly isAnnounced: boolean
}

/** What is known of the reply so far. */
export interface State {
  readonly isStarted: boolean
  readonly hasContent: boolean
  readonly isRefused: boolean
  readonly calls: ReadonlyArray<Call>
  readonly finishReason: string | undefined
  readonly usage: Usage.Usage
  readonly filtered: ReadonlyArray<string>
}

const initial: State = {
  isStarted: false,
  hasContent: false,
  isRefused: false,
  calls: [],
  finishReason: undefined,
  usage: Usage.zero,
  filtered: []
}

/** A chunk under way: the state it leads to, the parts it gives, and what is wrong with it. */
interface Draft {
  readonly state: State
  readonly parts: Array<StreamPart.StreamPart>
  readonly fault: string | undefined
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== ""

const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined

const faulty = (draft: Draft, fault: string): Draft => ({ ...draft, fault })

/** Text or thinking; each delta is sent on as it is, blanks included. */
const withContent = (draft: Draft, delta: Fields): Draft => {
  const { content, refusal } = delta
  const parts: Array<StreamPart.StreamPart> = []
  const thinking = thinkingIn(delta)
  if (thinking !== undefined) parts.push(StreamPart.reasoningDelta(thinking))
  if (isText(content)) {
    parts.push(StreamPart.textDelta(content))
  } else if (Array.isArray(content)) {
    for (const part of contentParts(content)) {
      if (part._tag === "Text") parts.push(StreamPart.textDelta(part.text))
      if (part._tag === "Reasoning") parts.push(StreamPart.reasoningDelta(part.text))
    }
  } else if (!isAbsent(content) && content !== "") {
    return faulty(draft, "delta.content is neither text nor a list of parts")
  }
  if (isText(refusal)) parts.push(StreamPart.textDelta(refusal))
  if (parts.length === 0) return draft
  for (const part of parts) draft.parts.push(part)
  // Most deltas are more of the same, and change nothing but the parts.
  if (draft.state.hasContent && (draft.state.isRefused || !isText(refusal))) return draft
  return {
    ...draft,
    state: { ...draft.state, hasContent: true, isRefused: draft.state.isRefused || isText(refusal) }
  }
}

const isWhole = (json: string): boolean => {
  try {
    JSON.parse(json)
    return true
  } catch {
    return false
  }
}

/**
 * Which call a delta belongs to; the number of calls stands for a new one. Most servers count them by `index`, from 0 or
 * from 1. Those that send whole calls leave it out, or give all of them the same: then another id and name are another
 * call. The same name with another id is one only where the call before it is whole, as some give each delta an id.
 */
const placeOf = (calls: ReadonlyArray<Call>, delta: Fields, name: string | undefined): number => {
  const id = nonBlank(delta["id"])
  const index = delta["index"]
  if (typeof index === "number") {
    const at = lastOf(calls, index)
    const call = calls[at]
    if (call === undefined) return calls.length
    const isAnother = id !== undefined && id !== call.id && name !== undefined && call.name !== "" &&
      (name !== call.name || isWhole(call.arguments))
    return isAnother ? calls.length : at
  }
  if (id === undefined && name === undefined && calls.length > 0) return calls.length - 1
  const known = id === undefined ? -1 : calls.findIndex((call) => call.id === id)
  return known === -1 ? calls.length : known
}

const lastOf = (calls: ReadonlyArray<Call>, key: number): number =>
  calls.reduce((found, call, at) => call.key === key ? at : found, -1)

/** A call needs an id of its own to be answered by; where the server gives none it is made from the place. */
const idFor = (calls: ReadonlyArray<Call>, given: string | undefined, place: number): string => {
  const used = new Set(calls.map((call) => call.id))
  if (given !== undefined && !used.has(given)) return given
  let next = place
  while (used.has(`call_${next}`)) next++
  return `call_${next}`
}

/** Arguments sent as an object are taken as they were written. */
const argumentsOf = (value: unknown, raw: () => string | undefined): string =>
  typeof value === "string" ? value : isAbsent(value) ? "" : raw() ?? JSON.stringify(value)

const announced = (call: Call, index: number, parts: Array<StreamPart.StreamPart>): Call => {
  parts.push(StreamPart.toolCallStart(index, call.id, call.name))
  if (call.arguments !== "") parts.push(StreamPart.toolArgumentsDelta(index, call.arguments))
  return { ...call, isAnnounced: true }
}

const withCall = (draft: Draft, delta: unknown, raw: () => string | undefined): Draft => {
  if (!isRecord(delta)) return faulty(draft, "delta.tool_calls holds what is no object")
  const called = delta["function"] ?? {}
  if (!isRecord(called)) return faulty(draft, "the function of a tool call is no object")
  const { calls } = draft.state
  const name = nonBlank(called["name"])
  const place = placeOf(calls, delta, name)
  const index = delta["index"]
  const before = calls[place] ?? {
    key: typeof index === "number" ? index : undefined,
    id: idFor(calls, nonBlank(delta["id"]), place),
    name: "",
    arguments: "",
    extra: undefined,
    isAnnounced: false
  }
  const more = argumentsOf(called["arguments"], raw)
  // A name that comes again, empty or not, changes nothing.
  let call: Call = {
    ...before,
    name: before.name === "" ? name ?? "" : before.name,
    arguments: before.arguments + more,
    extra: delta["extra_content"] ?? before.extra
  }
  if (call.isAnnounced) {
    if (more !== "") draft.parts.push(StreamPart.toolArgumentsDelta(place, more))
  } else if (call.name !== "") {
    call = announced(call, place, draft.parts)
  }
  return {
    ...draft,
    state: { ...draft.state, hasContent: true, calls: [...calls.slice(0, place), call, ...calls.slice(place + 1)] }
  }
}

const withCalls = (
  draft: Draft,
  delta: Fields,
  raw: (path: ReadonlyArray<string | number>) => string | undefined
): Draft => {
  const { function_call: legacy, tool_calls: calls } = delta
  if (isAbsent(calls)) {
    return isAbsent(legacy)
      ? draft
      : withCall(draft, { index: 0, function: legacy }, () => raw(["function_call", "arguments"]))
  }
  if (!Array.isArray(calls)) return faulty(draft, "delta.tool_calls is no list")
  let next = draft
  for (let at = 0; at < calls.length && next.fault === undefined; at++) {
    next = withCall(next, calls[at], () => raw(["tool_calls", at, "function", "arguments"]))
  }
  return next
}

const withChoice = (draft: Draft, choice: Fields, text: string, at: number): Draft => {
  // A server that knows no streams sends the whole message in one chunk.
  const holder = isAbsent(choice["delta"]) ? "message" : "delta"
  const delta = choice[holder] ?? {}
  if (!isRecord(delta)) return faulty(draft, `choices.${at}.${holder} is no object`)
  const { content_filter_results: filters, finish_reason: finishReason, usage } = choice
  if (!isAbsent(finishReason) && typeof finishReason !== "string") {
    return faulty(draft, `choices.${at}.finish_reason is no text`)
  }
  const next = withCalls(withContent(draft, delta), delta, (path) => rawAt(text, ["choices", at, holder, ...path]))
  const filtered = filteredCategories(filters)
  return isText(finishReason) || filtered.length > 0 || isRecord(usage)
    ? {
      ...next,
      state: {
        ...next.state,
        finishReason: isText(finishReason) ? finishReason : next.state.finishReason,
        filtered: filtered.length > 0 ? filtered : next.state.filtered,
        usage: isRecord(usage) ? usageOf(usage) : next.state.usage
      }
    }
    : next
}

/** Usage stands beside the choices; Groq also sends it in a field of its own. What came last counts. */
const usageIn = (chunk: Fields): Fields | undefined => {
  const { usage, x_groq: groq } = chunk
  if (isRecord(usage)) return usage
  return isRecord(groq) && isRecord(groq["usage"]) ? groq["usage"] : undefined
}

/** Chunks before the first that names the reply (Azure's check of the prompt) do not start it. */
const startOf = (chunk: Fields, facts: decode.Facts): StreamPart.Start =>
  StreamPart.start({
    id: nonBlank(chunk["id"]),
    model: nonBlank(chunk["model"]) ?? facts.model,
    requestId: facts.requestId
  })

const read = (facts: decode.Facts, state: State, message: decode.Message): Draft => {
  const draft: Draft = { state, parts: [], fault: undefined }
  const chunk = message.json
  if (!isRecord(chunk)) return faulty(draft, "a chunk of the stream is no object")
  const { choices } = chunk
  if (!isAbsent(choices) && !Array.isArray(choices)) return faulty(draft, "choices is no list")
  const all: ReadonlyArray<unknown> = choices ?? []
  // Of several alternatives the first is followed, as in `generate`.
  const at = all.findIndex((choice) => isRecord(choice) && (isAbsent(choice["index"]) || choice["index"] === 0))
  const choice = all[at]
  if (at === -1 && all.some((other) => !isRecord(other))) return faulty(draft, "choices holds what is no object")
  let next = isRecord(choice) ? withChoice(draft, choice, message.text, at) : draft
  const usage = usageIn(chunk)
  if (usage !== undefined) next = { ...next, state: { ...next.state, usage: usageOf(usage) } }
  const begins = !state.isStarted &&
    (nonBlank(chunk["id"]) !== undefined || next.parts.length > 0 || next.state.finishReason !== undefined)
  return begins
    ? { ...next, parts: [startOf(chunk, facts), ...next.parts], state: { ...next.state, isStarted: true } }
    : next
}

/** As in `generate`: a refusal is withheld text, and a finished reply with calls waits for tools whatever the server says. */
const reasonOf = (state: State): Response.FinishReason => {
  if (state.isRefused) return "content-filter"
  const reason = finishReasons.get(state.finishReason?.toLowerCase() ?? "") ?? "unknown"
  return reason === "stop" && state.calls.length > 0 ? "tool-calls" : reason
}

const end = (
  facts: decode.Facts,
  state: State,
  ending: decode.Ending
): ReadonlyArray<StreamPart.StreamPart> | ModelError.ModelError | undefined => {
  if (state.finishReason === undefined && ending !== "done") return undefined
  if (state.finishReason === undefined && !state.hasContent && state.calls.length === 0) {
    return new ModelError.MalformedResponse({ ...factsOf(facts), reason: "the stream ended without a choice" })
  }
  const reason = reasonOf(state)
  if (reason === "content-filter" && !state.hasContent) {
    return new ModelError.ContentFiltered({
      ...factsOf(facts),
      stage: "completion",
      billed: state.usage.totalTokens > 0 ? "yes" : "maybe",
      ...(state.filtered.length === 0 ? {} : { categories: state.filtered })
    })
  }
  const parts: Array<StreamPart.StreamPart> = state.isStarted ? [] : [startOf({}, facts)]
  state.calls.forEach((call, index) => {
    if (!call.isAnnounced) announced(call, index, parts)
    const seal = sealOf(call.extra, facts.provider)
    parts.push(StreamPart.toolCall(index, call.id, call.name, orEmptyObject(call.arguments), seal))
  })
  parts.push(StreamPart.finish({ reason, rawReason: state.finishReason, usage: state.usage }))
  return parts
}

/** Reads the chunks of a chat completion. */
export const decoder = (facts: decode.Facts): decode.Decoder<State> => ({
  facts,
  initial,
  step: (state, message) => {
    const draft = read(facts, state, message)
    return {
      state: draft.state,
      parts: draft.parts,
      error: draft.fault === undefined ? undefined : decode.malformed(facts, message, draft.fault)
    }
  },
  end: (state, ending) => end(facts, state, ending)
})
