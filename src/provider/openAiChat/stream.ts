/** OpenAI's chat completions on the wire: how a stream is read, chunk by chunk. Pure; lenient where real servers differ. */
import * as Chunk from "effect/Chunk"
import * as HashSet from "effect/HashSet"
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
import * as calls from "./calls.ts"
import * as choices from "./choices.ts"
import * as repeatedText from "./repeatedText.ts"
import { contentParts, ownParts, type Raw, thinkingIn, usageOf } from "./reply.ts"

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
  readonly ownSeen: HashSet.HashSet<string>
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
  ownSeen: HashSet.empty()
})

/** A chunk under way: the state it leads to, the parts it gives, and what is wrong with it. */
interface Draft {
  readonly state: State
  readonly parts: Array<StreamPart.StreamPart>
  readonly fault: string | undefined
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== ""

const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined

const faulty = (draft: Draft, fault: string): Draft => ({ ...draft, fault })

type Voice = "text" | "reasoning" | "refusal"

/** What a piece says. Answer and thinking may take turns, so what is held of the other is sent before it. */
type Piece = readonly [voice: Voice, text: string]

const partOf = (voice: Voice, text: string): StreamPart.StreamPart =>
  voice === "reasoning" ? StreamPart.reasoningDelta(text) : StreamPart.textDelta(text)

/** Sends on what a voice has said, and keeps what it has. */
const spoken = ({ fault, parts, state }: Draft, voice: Voice, [heard, news]: repeatedText.Said): Draft => {
  if (heard === state[voice] && news === "") return { fault, parts, state }
  if (news !== "") parts.push(partOf(voice, news))
  return {
    parts,
    state: {
      ...state,
      [voice]: heard,
      hasContent: state.hasContent || news !== "",
      isRefused: state.isRefused || (voice === "refusal" && news !== "")
    },
    fault: heard.isContradicted ? "each delta repeats the text so far, and this one has another" : fault
  }
}

const voices: ReadonlyArray<Voice> = ["reasoning", "text", "refusal"]

/** Sends on what is held back of all voices but one. */
const released = (draft: Draft, but: Voice | undefined): Draft =>
  voices.reduce(
    (current, voice) =>
      voice === but || current.state[voice].held.length === 0
        ? current
        : spoken(current, voice, repeatedText.close(current.state[voice])),
    draft
  )

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

/** Text or thinking; each delta is sent on as it is, blanks included. */
const withContent = (draft: Draft, delta: Fields): Draft => {
  const pieces = piecesOf(delta)
  if (pieces === undefined) return faulty(draft, "delta.content is neither text nor a list of parts")
  let next = draft
  for (const [voice, text] of pieces) {
    next = released(next, voice)
    next = spoken(next, voice, repeatedText.hear(next.state[voice], text))
  }
  return next
}

/** The whole message behind its deltas: only what they left out is new. */
const withMessage = (draft: Draft, message: Fields): Draft => {
  const pieces = piecesOf(message)
  if (pieces === undefined) return faulty(draft, "message.content is neither text nor a list of parts")
  let next = draft
  for (const voice of voices) {
    const whole = pieces.flatMap(([of, text]) => of === voice ? [text] : []).join("")
    if (whole === "") continue
    next = spoken(released(next, voice), voice, repeatedText.hearAgain(next.state[voice], whole))
  }
  return next
}

const withCalls = (draft: Draft, delta: Fields, take: typeof calls.takeWhole, raw: Raw, expected: Expected): Draft => {
  const { function_call: legacy, tool_calls: list } = delta
  const given = isAbsent(list) ? (isAbsent(legacy) ? [] : [{ index: 0, function: legacy }]) : list
  if (!Array.isArray(given)) return faulty(draft, "delta.tool_calls is no list")
  if (given.length === 0) return draft
  const quiet = released(draft, undefined)
  const into = calls.draft(quiet.state.calls, quiet.parts, expected.tools)
  let fault: string | undefined
  for (let at = 0; at < given.length && fault === undefined; at++) {
    fault = take(
      into,
      at,
      given[at],
      () => raw(isAbsent(list) ? ["function_call", "arguments"] : ["tool_calls", at, "function", "arguments"])
    )
  }
  return { state: { ...quiet.state, hasContent: true, calls: calls.settled(into) }, parts: quiet.parts, fault }
}

const takePiece: typeof calls.takeWhole = (into, _at, given, raw) => calls.take(into, given, raw)

const withOwn = (draft: Draft, holder: Fields, raw: Raw, provider: string): Draft => {
  const news = ownParts(holder, raw, provider).filter(({ providerMetadata }) =>
    !HashSet.has(draft.state.ownSeen, providerMetadata)
  )
  return news.length === 0 ? draft : {
    ...draft,
    state: {
      ...draft.state,
      own: Chunk.appendAll(draft.state.own, Chunk.fromIterable(news)),
      ownSeen: HashSet.union(draft.state.ownSeen, news.map(({ providerMetadata }) => providerMetadata))
    }
  }
}

/** What a choice says of the end: the reason, the filters that fired, what it cost. */
const withEnd = (draft: Draft, choice: Fields): Draft => {
  const { content_filter_results: filters, finish_reason: finishReason, usage } = choice
  const isEnd = isText(finishReason) && readEnding(finishReason)._tag !== "None"
  const filtered = filteredCategories(filters)
  if (!isEnd && filtered.length === 0 && !isRecord(usage)) return draft
  return {
    ...draft,
    state: {
      ...draft.state,
      finishReason: isEnd ? finishReason : draft.state.finishReason,
      filtered: filtered.length > 0 ? filtered : draft.state.filtered,
      usage: isRecord(usage) ? usageOf(usage) : draft.state.usage
    }
  }
}

/** A choice of the reply. Its `delta` is a piece; a `message` is the whole, first or once more. */
const withChoice = (draft: Draft, { at, choice, text }: choices.Place, expected: Expected, provider: string): Draft => {
  const { delta, finish_reason: finishReason, message } = choice
  if (!isAbsent(delta) && !isRecord(delta)) return faulty(draft, `choices.${at}.delta is no object`)
  if (!isAbsent(message) && !isRecord(message)) return faulty(draft, `choices.${at}.message is no object`)
  if (!isAbsent(finishReason) && typeof finishReason !== "string") {
    return faulty(draft, `choices.${at}.finish_reason is no text`)
  }
  const raw = (holder: string): Raw => (path) => rawAt(text, ["choices", at, holder, ...path])
  let next = draft
  if (isRecord(delta)) {
    next = withCalls(withContent(next, delta), delta, takePiece, raw("delta"), expected)
    next = withOwn(next, delta, raw("delta"), provider)
    if (next.state !== draft.state && !next.state.hasDeltas) {
      next = { ...next, state: { ...next.state, hasDeltas: true } }
    }
  }
  if (isRecord(message) && next.fault === undefined) {
    // Where no delta came, messages may be the pieces, or each the whole so far: their texts tell.
    const said = next.state.hasDeltas ? withMessage(next, message) : withContent(next, message)
    next = withOwn(
      withCalls(said, message, calls.takeWhole, raw("message"), expected),
      message,
      raw("message"),
      provider
    )
  }
  return withEnd(next, choice)
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
  const chunk = message.json
  if (!isRecord(chunk)) return faulty(draft, "a chunk of the stream is no object")
  const { choices: given } = chunk
  if (!isAbsent(given) && !Array.isArray(given)) return faulty(draft, "choices is no list")
  const all: ReadonlyArray<unknown> = given ?? []
  if (all.length > 0 && !all.some(isRecord)) return faulty(draft, "choices holds what is no object")
  const [followed, places] = choices.select(state.followed, all, message.text, state.finishReason !== undefined)
  let next: Draft = followed === state.followed ? draft : { ...draft, state: { ...state, followed } }
  for (const place of places) {
    if (next.fault === undefined) next = withChoice(next, place, expected, facts.provider)
  }
  const usage = usageIn(chunk)
  if (usage !== undefined) next = { ...next, state: { ...next.state, usage: usageOf(usage) } }
  const begins = !state.isStarted &&
    (nonBlank(chunk["id"]) !== undefined || next.parts.length > 0 || next.state.finishReason !== undefined)
  return begins
    ? { ...next, parts: [startOf(chunk, facts), ...next.parts], state: { ...next.state, isStarted: true } }
    : next
}

/** What was held back until the end: an index that might have been an alternative's, a text that might be the whole. */
const settled = (state: State, expected: Expected, provider: string): Draft => {
  const draft: Draft = { state, parts: [], fault: undefined }
  const places = choices.rest(state.followed, state.finishReason !== undefined)
  return released(places.reduce((next, place) => withChoice(next, place, expected, provider), draft), undefined)
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
  const { all } = state.calls
  if (state.finishReason === undefined && !state.hasContent && all.length === 0) {
    return new ModelError.MalformedResponse({ ...factsOf(facts), reason: "the stream ended without a choice" })
  }
  const reason = state.isRefused
    // A refusal is withheld text, as in `generate`.
    ? "content-filter"
    : finishReasonOf(state.finishReason, { hasCalls: all.length > 0, areCallsWhole: calls.areWhole(state.calls) })
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
