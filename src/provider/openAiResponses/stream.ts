/**
 * OpenAI's Responses API on the wire: how a stream is read. A pure step over events that name their type; what a server
 * sends only at the end of an item or of the reply is taken from there, and nothing is said twice.
 *
 * Items are told apart by `output_index`: GitHub Copilot gives each event another `item_id`. Servers that leave the index
 * out of some events (xAI's relays do) name the item by its id there; both then lead to the same item.
 */
import * as Chunk from "effect/Chunk"
import { isRecord, listOf } from "../../internal/record.ts"
import type { Fields } from "../../internal/record.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as callIds from "../shared/callIds.ts"
import * as decode from "../shared/decode.ts"
import { nonBlank, orEmptyObject } from "../shared/jsonBody.ts"
import { rawAt } from "../shared/rawJson.ts"
import * as sse from "../shared/sse.ts"
import * as table from "../shared/table.ts"
import { argumentsText, citedMetadata, endingOf, filteredOut, metadataOf, ownParts, pieceOf, usageOf } from "./reply.ts"
import { type Call, initial, type ItemKey, type State } from "./state.ts"

type Parts = ReadonlyArray<StreamPart.StreamPart>

type Step = decode.Step<State>

const nothing: Parts = []

const stay = (state: State): Step => ({ state, parts: nothing })

/** What one step needs beside the state. */
interface Here {
  readonly facts: decode.Facts
  readonly message: decode.Message
}

const wrong = (state: State, here: Here, reason: string): Step => ({
  state,
  parts: nothing,
  error: decode.malformed(here.facts, here.message, reason)
})

/** Puts the start before the first content of a server that did not announce its reply. */
const started = (step: Step, facts: decode.Facts): Step =>
  step.state.started || step.parts.length === 0 ? step : {
    ...step,
    state: { ...step.state, started: true },
    parts: [StreamPart.start({ model: facts.model, requestId: facts.requestId }), ...step.parts]
  }

const itemIdOf = (event: Fields): string | undefined => {
  const { item } = event
  return nonBlank(event["item_id"]) ?? (isRecord(item) ? nonBlank(item["id"]) : undefined)
}

const keyOf = (state: State, event: Fields): ItemKey => {
  const id = itemIdOf(event)
  const index = event["output_index"]
  const known = id === undefined ? undefined : table.get(state.names, id)
  return typeof index === "number" ? (typeof known === "string" ? known : index) : known ?? id ?? 0
}

/** Keeps what an id stands for: where its item begins, and where an event has the id alone. */
const named = (state: State, event: Fields, type: unknown): State => {
  const index = event["output_index"]
  if (typeof index === "number" && type !== "response.output_item.added") return state
  const id = itemIdOf(event)
  return id === undefined || table.has(state.names, id)
    ? state
    : { ...state, names: table.set(state.names, id, typeof index === "number" ? index : id) }
}

type Kind = "text" | "refusal" | "summary" | "reasoning"

/** Text and refusal share their places in a message; summary and reasoning have places of their own. */
const pieceKey = (item: ItemKey, kind: Kind | "citations", place: unknown): string =>
  `${kind === "refusal" ? "text" : kind} ${typeof place === "number" ? place : 0} ${item}`

const placeOf = (event: Fields, kind: Kind): unknown => event[kind === "summary" ? "summary_index" : "content_index"]

const partOf = (kind: Kind, text: string): StreamPart.StreamPart =>
  kind === "text" || kind === "refusal" ? StreamPart.textDelta(text) : StreamPart.reasoningDelta(text)

const tell = (state: State, key: string, kind: Kind, text: string): Step => {
  if (text === "") return stay(state)
  const refused = state.refused || kind === "refusal"
  return {
    // Most deltas change nothing but what has been sent on.
    state: table.has(state.told, key) && refused === state.refused
      ? state
      : { ...state, items: true, refused, told: table.add(state.told, key) },
    parts: [partOf(kind, text)]
  }
}

const delta = (state: State, event: Fields, kind: Kind, here: Here): Step => {
  const text = event["delta"]
  return typeof text === "string"
    ? tell(state, pieceKey(keyOf(state, event), kind, placeOf(event, kind)), kind, text)
    : wrong(state, here, `a delta of ${kind} that is not text`)
}

/** The whole of a piece: news only where no delta of it came. */
const whole = (state: State, item: ItemKey, kind: Kind, place: unknown, text: unknown): Step => {
  if (typeof text !== "string") return stay(state)
  const key = pieceKey(item, kind, place)
  return table.has(state.told, key) ? stay(state) : tell(state, key, kind, text)
}

const wholePart = (state: State, item: ItemKey, place: unknown, part: unknown, provider: string): Step => {
  const piece = pieceOf(part)
  if (piece === undefined) return stay(state)
  const summary = isRecord(part) && part["type"] === "summary_text"
  const told = whole(state, item, summary ? "summary" : piece.kind, place, piece.text)
  const cited = citations(told.state, item, place, part, provider)
  return { ...cited, parts: [...told.parts, ...cited.parts] }
}

const annotationsAt = (state: State, key: string): Chunk.Chunk<unknown> =>
  table.get(state.annotations, key) ?? Chunk.empty()

/** What a text rests on, behind the text and once. */
const citations = (state: State, item: ItemKey, place: unknown, part: unknown, provider: string): Step => {
  const key = pieceKey(item, "citations", place)
  const piece = table.has(state.told, key) ? undefined : pieceOf(part)
  if (piece?.kind !== "text" || !table.has(state.told, pieceKey(item, "text", place))) return stay(state)
  const { annotations: said } = piece
  const metadata = citedMetadata(piece.text, said.length > 0 ? said : [...annotationsAt(state, key)], provider)
  return metadata === undefined
    ? stay(state)
    : { state: { ...state, told: table.add(state.told, key) }, parts: [StreamPart.textDelta("", metadata)] }
}

/** Kept for a server that does not say them again with the whole text. */
const annotationAdded = (state: State, event: Fields): Step => {
  const key = pieceKey(keyOf(state, event), "citations", event["content_index"])
  const annotations = Chunk.append(annotationsAt(state, key), event["annotation"])
  return stay({ ...state, annotations: table.set(state.annotations, key, annotations) })
}

/** Steps one after another, as one. */
const each = <A>(state: State, values: Iterable<A>, step: (state: State, value: A) => Step): Step => {
  let current = state
  const parts: Array<StreamPart.StreamPart> = []
  for (const value of values) {
    const next = step(current, value)
    current = next.state
    parts.push(...next.parts)
    if (next.error !== undefined) return { state: current, parts, error: next.error }
  }
  return { state: current, parts }
}

const wholeParts = (state: State, item: ItemKey, parts: unknown, provider: string): Step =>
  each(state, listOf(parts).entries(), (current, [place, part]) => wholePart(current, item, place, part, provider))

/** What texts rest on, where a server says it only with the whole reply. */
const lateCitations = (state: State, output: ReadonlyArray<unknown>, provider: string): Step =>
  each(state, output.entries(), (current, [at, item]) =>
    isRecord(item) && item["type"] === "message"
      ? each(current, listOf(item["content"]).entries(), (now, [place, part]) =>
        citations(now, keyOf(now, { output_index: at, item }), place, part, provider))
      : stay(current))

const put = (state: State, key: ItemKey, call: Call): State => ({
  ...state,
  items: true,
  calls: table.set(state.calls, key, call)
})

const callAt = (state: State, key: ItemKey, item: Fields): readonly [State, Call] => {
  const known = table.get(state.calls, key)
  if (known !== undefined) return [state, known]
  const index = callIds.count(state.ids)
  const [id, ids] = callIds.take(state.ids, nonBlank(item["call_id"]) ?? nonBlank(item["id"]))
  const call = { index, id, name: "", arguments: "", whole: "", open: false, closed: false }
  return [{ ...put(state, key, call), ids }, call]
}

/** A name once given stands: later ones are the same or empty. */
const withName = (call: Call, name: unknown): Call =>
  call.name === "" && typeof name === "string" && name !== "" ? { ...call, name } : call

/** Sends the start of a call once its name is known, and then the deltas that waited for it. */
const opened = (state: State, key: ItemKey, call: Call): Step => {
  if (call.open || call.name === "") return stay(put(state, key, call))
  return {
    state: put(state, key, { ...call, open: true }),
    parts: [
      StreamPart.toolCallStart(call.index, call.id, call.name),
      ...(call.arguments === "" ? [] : [StreamPart.toolArgumentsDelta(call.index, call.arguments)])
    ]
  }
}

const callAdded = (state: State, key: ItemKey, item: Fields, here: Here): Step => {
  const [next, call] = callAt(state, key, item)
  return opened(next, key, withName({ ...call, whole: wholeArguments(call, item, here, ["item"]) }, item["name"]))
}

const callDelta = (state: State, event: Fields, here: Here): Step => {
  const text = event["delta"]
  if (typeof text !== "string") return wrong(state, here, "a delta of arguments that is not text")
  if (text === "") return stay(state)
  const key = keyOf(state, event)
  const [next, call] = callAt(state, key, {})
  return {
    // What the item began with, `{}` for example, is not the whole when deltas follow.
    state: put(next, key, { ...call, arguments: call.arguments + text, whole: "" }),
    parts: call.open && !call.closed ? [StreamPart.toolArgumentsDelta(call.index, text)] : nothing
  }
}

const wholeArguments = (call: Call, holder: Fields, here: Here, path: ReadonlyArray<string | number>): string => {
  const json = argumentsText(holder["arguments"], () => rawAt(here.message.text, [...path, "arguments"]))
  return json.trim() === "" ? call.whole : json
}

const callArguments = (state: State, event: Fields, here: Here): Step => {
  const key = keyOf(state, event)
  const [next, call] = callAt(state, key, {})
  return opened(next, key, withName({ ...call, whole: wholeArguments(call, event, here, []) }, event["name"]))
}

/** Sends the rest of the arguments and the whole call. */
const close = (state: State, key: ItemKey, item: Fields, json: string, cut: boolean, here: Here): Step => {
  const [before, found] = callAt(state, key, item)
  if (found.closed) return stay(state)
  const call = withName(found, item["name"])
  if (call.name === "" && typeof item["name"] !== "string") {
    return wrong(state, here, "a function_call without the name of its function")
  }
  const full = json.trim() === "" ? call.arguments : json
  const start = opened(before, key, call)
  const rest = full.startsWith(call.arguments) ? full.slice(call.arguments.length) : ""
  return {
    state: { ...put(start.state, key, { ...call, open: true, closed: true }), cutCall: start.state.cutCall || cut },
    parts: [
      ...start.parts,
      ...(rest === "" ? [] : [StreamPart.toolArgumentsDelta(call.index, rest)]),
      StreamPart.toolCall(call.index, call.id, call.name, orEmptyObject(full))
    ]
  }
}

/** An item as a whole, at its end or in the terminal event. Items of other kinds are the server's own work. */
const itemDone = (
  state: State,
  key: ItemKey,
  item: unknown,
  path: ReadonlyArray<string | number>,
  here: Here
): Step => {
  if (!isRecord(item)) return wrong(state, here, `${path.join(".")}: not an object`)
  switch (item["type"]) {
    case "message":
      return typeof item["content"] === "string"
        ? whole(state, key, "text", 0, item["content"])
        : wholeParts(state, key, item["content"], here.facts.provider)
    case "reasoning": {
      const told = each(
        state,
        [item["summary"], item["content"]],
        (current, parts) => wholeParts(current, key, parts, here.facts.provider)
      )
      const metadata = table.has(told.state.metadataSent, key) ? undefined : metadataOf(item, here.facts.provider)
      return metadata === undefined ? told : {
        state: { ...told.state, metadataSent: table.add(told.state.metadataSent, key) },
        parts: [...told.parts, StreamPart.reasoningDelta("", metadata)]
      }
    }
    case "function_call": {
      const [next, call] = callAt(state, key, item)
      return close(next, key, item, wholeArguments(call, item, here, path), item["status"] === "incomplete", here)
    }
    default: {
      if (table.has(state.metadataSent, key)) return stay(state)
      const parts = ownParts(item, rawAt(here.message.text, path), here.facts.provider)
      return parts.length === 0
        ? stay(state)
        : { state: { ...state, items: true, metadataSent: table.add(state.metadataSent, key) }, parts }
    }
  }
}

const openCalls = (state: State): ReadonlyArray<readonly [ItemKey, Call]> =>
  table.entries(state.calls).filter(([, call]) => !call.closed).sort(([, left], [, right]) => left.index - right.index)

/** The items of the output that have an id; of repeated ids the first counts. */
const itemsById = (output: ReadonlyArray<unknown>): ReadonlyMap<unknown, Fields> => {
  const items = new Map<unknown, Fields>()
  for (const item of output) {
    if (isRecord(item) && !items.has(item["id"])) items.set(item["id"], item)
  }
  return items
}

/** Calls that had no end of their own end with the reply. */
const closeAll = (state: State, output: ReadonlyArray<unknown>, cut: boolean, here: Here): Step => {
  const calls = openCalls(state)
  if (calls.length === 0) return stay(state)
  const named = itemsById(output)
  return each(state, calls, (current, [key, call]) => {
    const item = typeof key === "number" ? output[key] : named.get(key)
    return close(current, key, isRecord(item) && item["type"] === "function_call" ? item : {}, call.whole, cut, here)
  })
}

const finished = (state: State, event: Fields, status: "completed" | "incomplete", here: Here): Step => {
  const response = event["response"]
  if (!isRecord(response)) return wrong(state, here, `response.${status}: response is not an object`)
  const output = listOf(response["output"])
  const items: Step = state.items
    ? lateCitations(state, output, here.facts.provider)
    : each(
      state,
      output.entries(),
      (current, [at, item]) => itemDone(current, at, item, ["response", "output", at], here)
    )
  if (items.error !== undefined) return items
  const calls = closeAll(items.state, output, status === "incomplete", here)
  const parts = [...items.parts, ...calls.parts]
  if (calls.error !== undefined) return { ...calls, parts }
  const ended = calls.state
  const ending = endingOf({ ...response, status: nonBlank(response["status"]) ?? status }, {
    calls: table.size(ended.calls) > 0,
    refused: ended.refused,
    cutCall: ended.cutCall
  })
  if (ending.reason === "content-filter" && table.size(ended.told) === 0 && table.size(ended.calls) === 0) {
    return { state: ended, parts, error: filteredOut(response, sse.factsOf(here.facts)) }
  }
  return {
    state: { ...ended, over: true },
    parts: [
      ...parts,
      StreamPart.finish({ reason: ending.reason, rawReason: ending.raw, usage: usageOf(response["usage"]) })
    ]
  }
}

/** A stream may hold several replies one after another; each begins with empty hands. */
const begun = (state: State, event: Fields, facts: decode.Facts): Step => {
  if (state.over) {
    return { state: { ...initial, started: true, ids: state.ids }, parts: [StreamPart.seam] }
  }
  if (state.started) return stay(state)
  const response = isRecord(event["response"]) ? event["response"] : {}
  return {
    state: { ...state, started: true },
    parts: [
      StreamPart.start({
        id: nonBlank(response["id"]),
        model: nonBlank(response["model"]) ?? facts.model,
        requestId: facts.requestId
      })
    ]
  }
}

const read = (state: State, event: Fields, type: unknown, here: Here): Step => {
  switch (type) {
    case "response.output_text.delta":
      return delta(state, event, "text", here)
    case "response.reasoning_summary_text.delta":
      return delta(state, event, "summary", here)
    case "response.reasoning_text.delta":
      return delta(state, event, "reasoning", here)
    case "response.refusal.delta":
      return delta(state, event, "refusal", here)
    case "response.function_call_arguments.delta":
      return callDelta(state, event, here)
    case "response.output_text.done":
      return whole(state, keyOf(state, event), "text", event["content_index"], event["text"])
    case "response.refusal.done":
      return whole(state, keyOf(state, event), "refusal", event["content_index"], event["refusal"])
    case "response.reasoning_summary_text.done":
      return whole(state, keyOf(state, event), "summary", event["summary_index"], event["text"])
    case "response.reasoning_text.done":
      return whole(state, keyOf(state, event), "reasoning", event["content_index"], event["text"])
    case "response.content_part.done":
      return wholePart(state, keyOf(state, event), event["content_index"], event["part"], here.facts.provider)
    case "response.output_text.annotation.added":
      return annotationAdded(state, event)
    case "response.reasoning_summary_part.done":
      return wholePart(state, keyOf(state, event), event["summary_index"], event["part"], here.facts.provider)
    case "response.function_call_arguments.done":
      return callArguments(state, event, here)
    case "response.output_item.added": {
      const { item } = event
      return isRecord(item) && item["type"] === "function_call"
        ? callAdded(state, keyOf(state, event), item, here)
        : stay(state)
    }
    case "response.output_item.done":
      return itemDone(state, keyOf(state, event), event["item"], ["item"], here)
    case "response.created":
    case "response.queued":
    case "response.in_progress":
      return begun(state, event, here.facts)
    case "response.completed":
      return finished(state, event, "completed", here)
    case "response.incomplete":
      return finished(state, event, "incomplete", here)
    default:
      return stay(state)
  }
}

const inOnePiece = (state: State, response: Fields, here: Here, replies: "one" | "all"): Step => {
  const event = { response }
  const status = response["status"] === "incomplete" ? "incomplete" : "completed"
  const first = begun(state, event, here.facts)
  const last = finished(first.state, event, status, here)
  return { ...last, parts: [...first.parts, ...last.parts], done: replies === "one" && last.error === undefined }
}

/**
 * The decoder of one stream. With `"one"` reply nothing is read beyond its terminal event, so a server that keeps the
 * connection open is no trouble; with `"all"` the stream is read to its end, as recordings hold several replies in a row.
 */
export const decoder = (facts: decode.Facts, replies: "one" | "all"): decode.Decoder<State> => ({
  facts,
  initial,
  step: (state, message) => {
    const here = { facts, message }
    const { json } = message
    if (!isRecord(json)) return wrong(state, here, "an event that is no object")
    // A server that knows no streams answers with the response itself.
    const isResponse = json["object"] === "response" && Array.isArray(json["output"])
    if (isResponse && !state.started) return inOnePiece(state, json, here, replies)
    if (message.raw) return wrong(state, here, "JSON outside of any event")
    const type = json["type"] ?? message.event
    if (state.over && type !== "response.created") return stay(state)
    const step = started(read(named(state, json, type), json, type, here), facts)
    return step.state.over && replies === "one" ? { ...step, done: true } : step
  },
  closing: ({ over }) => over ? "whole" : "open",
  end: (state, ending) => {
    if (state.over) return nothing
    // A gateway that drops the terminal event but says that it is done: how the reply ended is then unknown.
    if (ending !== "done" || !state.items) return undefined
    const here = { facts, message: { event: undefined, json: undefined, text: "[DONE]", raw: false } }
    const calls = closeAll(state, [], true, here)
    if (calls.error !== undefined) return calls.error
    return [...calls.parts, StreamPart.finish({ reason: "unknown", usage: usageOf(undefined) })]
  }
})
