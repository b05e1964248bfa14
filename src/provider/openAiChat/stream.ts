/** OpenAI's chat completions on the wire: how a stream is read, chunk by chunk. Pure; lenient where real servers differ. */
import * as Chunk from "effect/Chunk"
import * as ModelError from "../../error/ModelError.ts"
import { type Fields, isRecord } from "../../internal/record.ts"
import type { ProviderPart } from "../../model/Prompt.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as Usage from "../../model/Usage.ts"
import * as decode from "../shared/decode.ts"
import { finishReasonOf, readEnding } from "../shared/finishReasons.ts"
import { nonBlank } from "../shared/jsonBody.ts"
import { filteredCategories } from "../shared/openAiFilters.ts"
import { rawAt } from "../shared/rawJson.ts"
import { factsOf } from "../shared/sse.ts"
import * as table from "../shared/table.ts"
import * as calls from "./calls.ts"
import * as choices from "./choices.ts"
import * as repeatedText from "./repeatedText.ts"
import { contentParts, ownParts, thinkingIn, usageOf } from "./reply.ts"

/** What is known of the request, as far as its reply is read by it. */
export interface Expected {
  readonly choices: choices.Wanted
  /** The names of the tools that were offered. */
  readonly tools?: ReadonlySet<string> | undefined
}

/** What is known of the reply so far. */
export interface State {
  readonly isStarted: boolean
  readonly hasContent: boolean
  readonly isRefused: boolean
  readonly text: repeatedText.Spoken
  readonly reasoning: repeatedText.Spoken
  readonly refusal: repeatedText.Spoken
  readonly calls: calls.Calls
  readonly followed: choices.Followed
  /** Whether a piece came as a `delta`: a `message` behind it is the whole once more. */
  readonly hasDeltas: boolean
  readonly finishReason: string | undefined
  readonly usage: Usage.Usage
  readonly filtered: ReadonlyArray<string>
  /** What stands beside the message, in its order and each once: it is sent on at the end, so that it cuts no text. */
  readonly own: Chunk.Chunk<ProviderPart>
  readonly ownSeen: table.Keys<string>
}

const initial = (wanted: choices.Wanted): State => ({
  isStarted: false,
  hasContent: false,
  isRefused: false,
  text: repeatedText.silent,
  reasoning: repeatedText.silent,
  refusal: repeatedText.silent,
  calls: calls.none,
  followed: choices.start(wanted),
  hasDeltas: false,
  finishReason: undefined,
  usage: Usage.zero,
  filtered: [],
  own: Chunk.empty(),
  ownSeen: table.empty()
})

/** A chunk under way: the state it leads to, the parts it gives, and what is wrong with it. Nobody else holds it. */
interface Draft {
  state: State
  readonly parts: Array<StreamPart.StreamPart>
  fault: string | undefined
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== ""

const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined

type Voice = "text" | "reasoning" | "refusal"

/** What a piece says. Answer and thinking may take turns, so what is held of the other is sent before it. */
type Piece = readonly [voice: Voice, text: string]

const partOf = (voice: Voice, text: string): StreamPart.StreamPart =>
  voice === "reasoning" ? StreamPart.reasoningDelta(text) : StreamPart.textDelta(text)

/** Sends on what a voice has said, and keeps what it has. */
const speak = (draft: Draft, voice: Voice, [heard, news]: repeatedText.Said): void => {
  const { state } = draft
  if (heard === state[voice] && news === "") return
  if (news !== "") draft.parts.push(partOf(voice, news))
  draft.state = {
    ...state,
    [voice]: heard,
    hasContent: state.hasContent || news !== "",
    isRefused: state.isRefused || (voice === "refusal" && news !== "")
  }
  if (heard.isContradicted) draft.fault = "each delta repeats the text so far, and this one has another"
}

const voices: ReadonlyArray<Voice> = ["reasoning", "text", "refusal"]

/** Sends on what is held back of all voices but one. */
const release = (draft: Draft, but: Voice | undefined): void => {
  for (const voice of voices) {
    const { [voice]: spoken } = draft.state
    if (voice !== but && spoken.held.length > 0) speak(draft, voice, repeatedText.close(spoken))
  }
}

/** What a delta or a message says, in its order; undefined where its content cannot be read. */
const piecesOf = (delta: Fields): ReadonlyArray<Piece> | undefined => {
  const { content, refusal } = delta
  const pieces: Array<Piece> = []
  const thinking = thinkingIn(delta)
  if (thinking !== undefined) pieces.push(["reasoning", thinking])
  if (isText(content)) {
    pieces.push(["text", content])
  } else if (Array.isArray(content)) {
    for (const part of contentParts(content)) {
      if (part._tag === "Text") pieces.push(["text", part.text])
      if (part._tag === "Reasoning") pieces.push(["reasoning", part.text])
    }
  } else if (!isAbsent(content) && content !== "") {
    return undefined
  }
  if (isText(refusal)) pieces.push(["refusal", refusal])
  return pieces
}

const hear = (draft: Draft, voice: Voice, text: string): void => {
  release(draft, voice)
  speak(draft, voice, repeatedText.hear(draft.state[voice], text))
}

/** Text or thinking; each delta is sent on as it is, blanks included. */
const addContent = (draft: Draft, delta: Fields): void => {
  const pieces = piecesOf(delta)
  if (pieces === undefined) draft.fault = "delta.content is neither text nor a list of parts"
  else for (const [voice, text] of pieces) hear(draft, voice, text)
}

/** The whole message behind its deltas: only what they left out is new. */
const addMessage = (draft: Draft, message: Fields): void => {
  const pieces = piecesOf(message)
  if (pieces === undefined) {
    draft.fault = "message.content is neither text nor a list of parts"
    return
  }
  for (const voice of voices) {
    const whole = pieces.flatMap(([of, text]) => of === voice ? [text] : []).join("")
    if (whole === "") continue
    release(draft, voice)
    speak(draft, voice, repeatedText.hearAgain(draft.state[voice], whole))
  }
}

/** The calls of a delta, or of a message, which holds each as a whole. */
const addCalls = (
  draft: Draft,
  { at, text }: choices.Place,
  holder: "delta" | "message",
  { function_call: legacy, tool_calls: list }: Fields,
  expected: Expected
): void => {
  if (isAbsent(list) && isAbsent(legacy)) return
  const given = isAbsent(list) ? [{ index: 0, function: legacy }] : list
  if (!Array.isArray(given)) {
    draft.fault = "delta.tool_calls is no list"
    return
  }
  if (given.length === 0) return
  release(draft, undefined)
  const into = calls.draft(draft.state.calls, draft.parts, expected.tools)
  for (const [place, call] of given.entries()) {
    const path = isAbsent(list) ? ["function_call", "arguments"] : ["tool_calls", place, "function", "arguments"]
    const raw = () => rawAt(text, ["choices", at, holder, ...path])
    const fault = holder === "delta" ? calls.take(into, call, raw) : calls.takeWhole(into, place, call, raw)
    if (fault !== undefined) {
      draft.fault = fault
      break
    }
  }
  draft.state = { ...draft.state, hasContent: true, calls: calls.settled(into) }
}

/** What the server itself did, each once. */
const addOwn = (
  draft: Draft,
  { at, text }: choices.Place,
  holder: "delta" | "message",
  fields: Fields,
  provider: string
): void => {
  const { state } = draft
  const news = ownParts(fields, (path) => rawAt(text, ["choices", at, holder, ...path]), provider).filter(
    ({ providerMetadata }) => !table.has(state.ownSeen, providerMetadata)
  )
  if (news.length === 0) return
  draft.state = {
    ...state,
    own: Chunk.appendAll(state.own, Chunk.fromIterable(news)),
    ownSeen: news.reduce((seen, { providerMetadata }) => table.add(seen, providerMetadata), state.ownSeen)
  }
}

/** What a choice says of the end: the reason, the filters that fired, what it cost. */
const addEnd = (draft: Draft, choice: Fields): void => {
  const { content_filter_results: filters, finish_reason: finishReason, usage } = choice
  const isEnd = isText(finishReason) && readEnding(finishReason)._tag !== "None"
  const filtered = isAbsent(filters) ? noCategories : filteredCategories(filters)
  if (!isEnd && filtered.length === 0 && !isRecord(usage)) return
  const { state } = draft
  draft.state = {
    ...state,
    finishReason: isEnd ? finishReason : state.finishReason,
    filtered: filtered.length > 0 ? filtered : state.filtered,
    usage: isRecord(usage) ? usageOf(usage) : state.usage
  }
}

const noCategories: ReadonlyArray<string> = []

/** A choice of the reply. Its `delta` is a piece; a `message` is the whole, first or once more. */
const addChoice = (draft: Draft, place: choices.Place, expected: Expected, provider: string): void => {
  const { at, choice } = place
  const { delta, finish_reason: finishReason, message } = choice
  const before = draft.state
  if (isRecord(delta)) {
    addContent(draft, delta)
    if (draft.fault === undefined) addCalls(draft, place, "delta", delta, expected)
    addOwn(draft, place, "delta", delta, provider)
    if (draft.state !== before && !draft.state.hasDeltas) draft.state = { ...draft.state, hasDeltas: true }
  } else if (!isAbsent(delta)) {
    draft.fault = `choices.${at}.delta is no object`
  }
  if (isRecord(message) && draft.fault === undefined) {
    // Where no delta came, messages may be the pieces, or each the whole so far: their texts tell.
    if (draft.state.hasDeltas) addMessage(draft, message)
    else addContent(draft, message)
    addCalls(draft, place, "message", message, expected)
    addOwn(draft, place, "message", message, provider)
  } else if (!isRecord(message) && !isAbsent(message)) {
    draft.fault = `choices.${at}.message is no object`
  }
  if (!isAbsent(finishReason) && typeof finishReason !== "string") {
    draft.fault = `choices.${at}.finish_reason is no text`
  }
  addEnd(draft, choice)
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

const read = (facts: decode.Facts, state: State, message: decode.Message, expected: Expected): Draft => {
  const draft: Draft = { state, parts: [], fault: undefined }
  const faulty = (fault: string): Draft => ({ ...draft, fault })
  const chunk = message.json
  if (!isRecord(chunk)) return faulty("a chunk of the stream is no object")
  const { choices: given } = chunk
  if (!isAbsent(given) && !Array.isArray(given)) return faulty("choices is no list")
  const all: ReadonlyArray<unknown> = given ?? []
  if (all.length > 0 && !all.some(isRecord)) return faulty("choices holds what is no object")
  const [followed, places] = choices.select(state.followed, all, message.text, state.finishReason !== undefined)
  if (followed !== state.followed) draft.state = { ...state, followed }
  for (const place of places) {
    if (draft.fault === undefined) addChoice(draft, place, expected, facts.provider)
  }
  const usage = usageIn(chunk)
  if (usage !== undefined) draft.state = { ...draft.state, usage: usageOf(usage) }
  const begins = !state.isStarted &&
    (nonBlank(chunk["id"]) !== undefined || draft.parts.length > 0 || draft.state.finishReason !== undefined)
  if (begins) {
    draft.parts.unshift(startOf(chunk, facts))
    draft.state = { ...draft.state, isStarted: true }
  }
  return draft
}

/** What was held back until the end: an index that might have been an alternative's, a text that might be the whole. */
const settled = (state: State, expected: Expected, provider: string): Draft => {
  const draft: Draft = { state, parts: [], fault: undefined }
  for (const place of choices.rest(state.followed, state.finishReason !== undefined)) {
    addChoice(draft, place, expected, provider)
  }
  release(draft, undefined)
  return draft
}

const end = (
  facts: decode.Facts,
  before: State,
  ending: decode.Ending,
  expected: Expected
): ReadonlyArray<StreamPart.StreamPart> | ModelError.ModelError | undefined => {
  const { fault, parts, state } = settled(before, expected, facts.provider)
  if (fault !== undefined) return new ModelError.MalformedResponse({ ...factsOf(facts), reason: fault })
  if (state.finishReason === undefined && ending !== "done") return undefined
  const hasCalls = calls.count(state.calls) > 0
  if (state.finishReason === undefined && !state.hasContent && !hasCalls) {
    return new ModelError.MalformedResponse({ ...factsOf(facts), reason: "the stream ended without a choice" })
  }
  const reason = state.isRefused
    // A refusal is withheld text, as in `generate`.
    ? "content-filter"
    : finishReasonOf(state.finishReason, { hasCalls, areCallsWhole: calls.areWhole(state.calls) })
  if (reason === "content-filter" && !state.hasContent) {
    return new ModelError.ContentFiltered({
      ...factsOf(facts),
      stage: "completion",
      billed: state.usage.totalTokens > 0 ? "yes" : "maybe",
      ...(state.filtered.length === 0 ? {} : { categories: state.filtered })
    })
  }
  if (!state.isStarted) parts.unshift(startOf({}, facts))
  calls.close(state.calls, facts.provider, parts)
  for (const part of state.own) parts.push(part)
  parts.push(StreamPart.finish({ reason, rawReason: state.finishReason, usage: state.usage }))
  return parts
}

/** Reads the chunks of a chat completion. */
export const decoder = (
  facts: decode.Facts,
  expected: Expected = { choices: "unknown" }
): decode.Decoder<State> => ({
  facts,
  initial: initial(expected.choices),
  step: (state, message) => {
    const draft = read(facts, state, message, expected)
    return {
      state: draft.state,
      parts: draft.parts,
      error: draft.fault === undefined ? undefined : decode.malformed(facts, message, draft.fault)
    }
  },
  end: (state, ending) => end(facts, state, ending, expected),
  closing: ({ finishReason, usage }) => finishReason === undefined ? "open" : usage === Usage.zero ? "ended" : "whole"
})
