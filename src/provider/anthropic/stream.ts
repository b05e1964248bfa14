/**
 * Anthropic's Messages API on the wire: how a stream is read. Pure: one message at a time, state in, state and parts out.
 *
 * A reply is `message_start`, blocks (`content_block_start`, deltas, `content_block_stop`), `message_delta` with the reason
 * to stop, and `message_stop`, which alone says that the reply is whole. Gateways bend this: they send `message_start` twice,
 * or begin the reply anew in the middle of it, or answer with the whole message as plain JSON.
 */
import * as Chunk from "effect/Chunk"
import * as Option from "effect/Option"
import type * as ModelError from "../../error/ModelError.ts"
import { isRecord } from "../../internal/record.ts"
import type { Fields } from "../../internal/record.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as ProviderError from "../ProviderError.ts"
import * as callIds from "../shared/callIds.ts"
import type * as decode from "../shared/decode.ts"
import { malformed } from "../shared/decode.ts"
import { failureOf } from "../shared/finishReasons.ts"
import { nonBlank, orEmptyObject } from "../shared/jsonBody.ts"
import { isWholeText } from "../shared/jsonProgress.ts"
import { rawAt } from "../shared/rawJson.ts"
import { factsOf } from "../shared/sse.ts"
import * as table from "../shared/table.ts"
import { grownOwn, type OwnBlock, ownBlock, ownPart } from "./ownBlock.ts"
import * as reply from "./reply.ts"

/**
 * What follows a message that waits for tools: `"nothing"` in the reply to one request; `"messages"` in a recording of a
 * whole turn, where the next message begins with a `Seam`.
 */
export type After = "nothing" | "messages"

interface Options {
  readonly facts: decode.Facts
  readonly after: After
}

/** A block between its start and its stop. */
type Open =
  | { readonly _tag: "Skipped" }
  /** A text, as long as it may be what citations stand for, and the citations. */
  | { readonly _tag: "Plain"; readonly text: string | undefined; readonly citations: Chunk.Chunk<unknown> }
  | OwnBlock
  | { readonly _tag: "Thinking"; readonly state: reply.State | undefined }
  | {
    readonly _tag: "Call"
    readonly index: number
    readonly id: string
    readonly name: string
    /** What the start of the block held; it counts where no delta follows. */
    readonly given: string
    readonly json: string
  }

/** The reply so far, as much as the rest depends on. */
export interface State {
  readonly phase: "Before" | "Open" | "Stopped"
  readonly messageId: string | undefined
  /** Whether something of this attempt was sent that a new one makes void. */
  readonly hasContent: boolean
  /** Whether anything of it was said; the provider's own state alone is not. */
  readonly hasSaid: boolean
  readonly attempt: number
  readonly open: table.Table<number, Open>
  readonly callIds: callIds.CallIds
  /** Whether the current message has calls; those before a seam have been answered. */
  readonly hasCalls: boolean
  /** Whether the arguments of all calls that are over are whole JSON. */
  readonly areCallsWhole: boolean
  readonly said: string | undefined
  /** The reasons that the API gives for a refusal. */
  readonly details: unknown
  readonly counts: reply.Counts
}

export const initial: State = {
  phase: "Before",
  messageId: undefined,
  hasContent: false,
  hasSaid: false,
  attempt: 1,
  open: table.empty(),
  callIds: callIds.none,
  hasCalls: false,
  areCallsWhole: true,
  said: undefined,
  details: undefined,
  counts: reply.noCounts
}

type Step = decode.Step<State>

const none: ReadonlyArray<StreamPart.StreamPart> = []

const isSaid = (part: StreamPart.StreamPart): boolean =>
  part._tag === "TextDelta" || part._tag === "ReasoningDelta" ? part.text !== "" : part._tag === "ToolCallStart"

const sent = (state: State, parts: ReadonlyArray<StreamPart.StreamPart>): Step => {
  const hasSaid = state.hasSaid || parts.some(isSaid)
  return {
    state: parts.length === 0 || (state.hasContent && hasSaid === state.hasSaid)
      ? state
      : { ...state, hasContent: true, hasSaid },
    parts
  }
}

const failed = (state: State, error: ModelError.ModelError, parts = none): Step => ({ state, parts, error })

const started = (options: Options, message: Fields): StreamPart.StreamPart =>
  StreamPart.start({
    id: nonBlank(message["id"]),
    model: nonBlank(message["model"]) ?? options.facts.model,
    requestId: options.facts.requestId
  })

const openAt = (state: State, at: number): Open | undefined => table.get(state.open, at)

/** No arguments at all mean none were needed. */
const wholeCall = (call: Extract<Open, { readonly _tag: "Call" }>): StreamPart.ToolCall => {
  const json = call.json.trim() === "" ? call.given : call.json
  return StreamPart.toolCall(call.index, call.id, call.name, orEmptyObject(json))
}

const metadataOf = (state: reply.State | undefined, options: Options): ReadonlyArray<StreamPart.StreamPart> => {
  const metadata = reply.metadataOf(state, options.facts.provider)
  return metadata === undefined ? none : [StreamPart.reasoningDelta("", metadata)]
}

const closeBlock = (state: State, options: Options, at: number): Step => {
  const block = openAt(state, at)
  if (block === undefined) return { state, parts: none }
  const next = { ...state, open: table.remove(state.open, at) }
  switch (block._tag) {
    case "Call": {
      const part = wholeCall(block)
      const areCallsWhole = state.areCallsWhole && isWholeText(part.arguments)
      return { state: { ...next, areCallsWhole }, parts: [part] }
    }
    case "Thinking":
      return sent(next, metadataOf(block.state, options))
    case "Own":
      return { state: { ...next, hasContent: true }, parts: [ownPart(block, options.facts.provider)] }
    case "Plain": {
      const metadata = block.text &&
        reply.citedMetadata(block.text, Chunk.toReadonlyArray(block.citations), options.facts.provider)
      return { state: next, parts: metadata ? [StreamPart.textDelta("", metadata)] : none }
    }
    default:
      return { state: next, parts: none }
  }
}

const openBlock = (state: State, options: Options, at: number, value: unknown, raw: reply.Raw): Step | string => {
  const block = reply.readBlock(value, raw)
  if (block._tag === "Wrong") return block.reason
  // A stop that never came: the next start ends the block before it.
  const closed = closeBlock(state, options, at)
  const opened = (open: Open, more: Partial<State>, parts: ReadonlyArray<StreamPart.StreamPart>): Step =>
    sent({ ...closed.state, ...more, open: table.set(closed.state.open, at, open) }, [...closed.parts, ...parts])
  switch (block._tag) {
    case "Skipped":
      return opened({ _tag: "Skipped" }, {}, none)
    case "Text":
      return opened(
        { _tag: "Plain", text: block.text, citations: Chunk.fromIterable(block.citations) },
        {},
        block.text === "" ? none : [StreamPart.textDelta(block.text)]
      )
    case "Own":
      return opened(ownBlock(block.kind, block.block, block.json), {}, none)
    case "Reasoning":
      return opened(
        { _tag: "Thinking", state: block.state },
        {},
        block.text === "" ? none : [StreamPart.reasoningDelta(block.text)]
      )
    case "Call": {
      const index = callIds.count(state.callIds)
      const [id, ids] = callIds.take(state.callIds, block.id)
      return opened(
        { _tag: "Call", index, id, name: block.name, given: block.arguments, json: "" },
        { callIds: ids, hasCalls: true },
        [StreamPart.toolCallStart(index, id, block.name)]
      )
    }
  }
}

/** Blocks that stand whole in a message. */
const wholeBlocks = (state: State, options: Options, content: unknown, raw: reply.Raw): Step | string => {
  if (!Array.isArray(content)) return { state, parts: none }
  let current = state
  const parts: Array<StreamPart.StreamPart> = []
  for (const [at, value] of content.entries()) {
    const opened = openBlock(current, options, at, value, (path) => raw(["content", at, ...path]))
    if (typeof opened === "string") return `content.${at}: ${opened}`
    const closed = closeBlock(opened.state, options, at)
    parts.push(...opened.parts, ...closed.parts)
    current = closed.state
  }
  return sent(current, parts)
}

/** The state in which a message begins, and what tells the consumer so. */
const begin = (
  state: State,
  options: Options,
  message: Fields
): { state: State; parts: Array<StreamPart.StreamPart> } => {
  const messageId = nonBlank(message["id"])
  const start = started(options, message)
  switch (state.phase) {
    case "Before":
      return { state: { ...state, phase: "Open", messageId }, parts: [start] }
    case "Stopped": {
      const next = { ...state, phase: "Open", messageId, hasCalls: false, said: undefined, details: undefined } as const
      return { state: { ...next, open: table.empty(), counts: reply.noCounts }, parts: [StreamPart.seam] }
    }
    case "Open": {
      if (messageId !== undefined && messageId === state.messageId) return { state, parts: [] }
      if (!state.hasContent) return { state: { ...state, messageId, open: table.empty() }, parts: [start] }
      // Another message before the end of this one: a gateway lost its connection and asked again.
      const attempt = state.attempt + 1
      return {
        state: { ...initial, phase: "Open", messageId, attempt },
        parts: [StreamPart.reset(attempt, "another message began before the end of the first"), start]
      }
    }
  }
}

/** What an event tells about the end of the message and its cost; the last one that tells it counts. */
const withEnd = (state: State, told: Fields, usage: unknown): State => ({
  ...state,
  said: nonBlank(told["stop_reason"]) ?? state.said,
  details: told["stop_details"] ?? state.details,
  counts: reply.readCounts(state.counts, usage)
})

const messageStart = (state: State, options: Options, message: Fields, raw: reply.Raw): Step | string => {
  const begun = begin(state, options, message)
  // A message may come whole: with its blocks and its end.
  const current = withEnd(begun.state, message, message["usage"])
  const whole = wholeBlocks(current, options, begun.parts.length === 0 ? undefined : message["content"], raw)
  return typeof whole === "string" ? whole : { state: whole.state, parts: [...begun.parts, ...whole.parts] }
}

const withOpen = (state: State, at: number, block: Open): State => ({
  ...state,
  open: table.set(state.open, at, block)
})

const blockDelta = (state: State, at: number, delta: Fields): Step | string => {
  const block = openAt(state, at)
  if (block?._tag === "Skipped") return { state, parts: none }
  if (block?._tag === "Own" && delta["type"] !== "input_json_delta") {
    return { state: withOpen(state, at, grownOwn(block, delta)), parts: none }
  }
  switch (delta["type"]) {
    case "text_delta": {
      const { text } = delta
      if (typeof text !== "string") return "delta.text: text was expected"
      if (text === "") return { state, parts: none }
      const before = block?._tag === "Plain" ? block.text : undefined
      const kept = before === undefined || before.length > reply.longestCited ? undefined : before + text
      const grown = block?._tag === "Plain" ? withOpen(state, at, { ...block, text: kept }) : state
      return sent(grown, [StreamPart.textDelta(text)])
    }
    case "citations_delta":
      return block?._tag !== "Plain" ? { state, parts: none } : {
        state: withOpen(state, at, { ...block, citations: Chunk.append(block.citations, delta["citation"]) }),
        parts: none
      }
    case "thinking_delta": {
      const { thinking } = delta
      if (typeof thinking !== "string") return "delta.thinking: text was expected"
      return thinking === "" ? { state, parts: none } : sent(state, [StreamPart.reasoningDelta(thinking)])
    }
    case "input_json_delta": {
      const json = delta["partial_json"]
      if (typeof json !== "string") return "delta.partial_json: text was expected"
      if (block?._tag === "Own") {
        return { state: withOpen(state, at, { ...block, input: block.input + json }), parts: none }
      }
      if (block?._tag !== "Call") return `index: no tool call is open at ${at}`
      return json === "" ? { state, parts: none } : {
        state: withOpen(state, at, { ...block, json: block.json + json }),
        parts: [StreamPart.toolArgumentsDelta(block.index, json)]
      }
    }
    case "signature_delta": {
      const { signature } = delta
      if (typeof signature !== "string") return "delta.signature: text was expected"
      if (block?._tag !== "Thinking" || block.state?.kind === "redacted") return { state, parts: none }
      const signed = reply.signatureOf(signature)
      return {
        state: withOpen(state, at, { _tag: "Thinking", state: signed }),
        parts: none
      }
    }
    default:
      // Summaries and what is yet to come.
      return { state, parts: none }
  }
}

const finished = (state: State): StreamPart.StreamPart =>
  StreamPart.finish({
    reason: reply.finishReasonOf(state.said, state),
    rawReason: state.said,
    usage: reply.usageOf(state.counts)
  })

const closeAll = (state: State, options: Options): Step => {
  let current = state
  const parts: Array<StreamPart.StreamPart> = []
  for (const at of table.entries(state.open).map(([at]) => at).sort((left, right) => left - right)) {
    const closed = closeBlock(current, options, at)
    parts.push(...closed.parts)
    current = closed.state
  }
  return { state: current, parts }
}

/** After these another message may follow in a recording; all other reasons end a turn. */
const goesOn = (said: string | undefined): boolean => said === "tool_use" || said === "pause_turn"

/** A refusal without a word is no reply, nor is one that the server gave up, as in `generate`. */
const refusal = (state: State, options: Options): ModelError.ModelError | undefined =>
  failureOf(state.said, factsOf(options.facts), reply.usageOf(state.counts)) ?? withheld(state, options)

const withheld = (state: State, options: Options): ModelError.ModelError | undefined =>
  state.hasSaid || reply.finishReasonOf(state.said, state) !== "content-filter"
    ? undefined
    : reply.refused(factsOf(options.facts), state.details, reply.usageOf(state.counts))

const messageStop = (state: State, options: Options): Step => {
  const closed = closeAll(state, options)
  const stopped: State = { ...closed.state, phase: "Stopped" }
  const refused = refusal(stopped, options)
  if (refused !== undefined) return failed(stopped, refused, closed.parts)
  return options.after === "messages" && goesOn(state.said)
    ? { state: stopped, parts: closed.parts }
    : { state: stopped, parts: [...closed.parts, finished(state)], done: true }
}

/** A server that knows no streams, or a cache, answers with the message itself. */
const wholeMessage = (state: State, options: Options, message: Fields, raw: reply.Raw): Step | string => {
  const begun = messageStart(state, options, message, raw)
  if (typeof begun === "string") return begun
  const ended = messageStop(begun.state, { ...options, after: "nothing" })
  return { ...ended, parts: [...begun.parts, ...ended.parts] }
}

const rawIn = (text: string, ...from: ReadonlyArray<string>): reply.Raw => (path) => rawAt(text, [...from, ...path])

type BlockEvent = "content_block_start" | "content_block_delta" | "content_block_stop"

const blockStep = (
  state: State,
  options: Options,
  type: BlockEvent,
  event: Fields,
  at: number,
  text: string
): Step | string => {
  switch (type) {
    case "content_block_start":
      return openBlock(state, options, at, event["content_block"], rawIn(text, "content_block"))
    case "content_block_stop":
      return closeBlock(state, options, at)
    case "content_block_delta":
      return isRecord(event["delta"]) ? blockDelta(state, at, event["delta"]) : "delta: an object was expected"
  }
}

const behind = (parts: ReadonlyArray<StreamPart.StreamPart>, step: Step | string): Step | string =>
  typeof step === "string" ? step : { ...step, parts: [...parts, ...step.parts] }

const blockEvent = (state: State, options: Options, type: BlockEvent, event: Fields, text: string): Step | string => {
  const at = reply.indexOf(event)
  if (at === undefined) return "index: a whole number, 0 or more, was expected"
  switch (state.phase) {
    case "Open":
      return blockStep(state, options, type, event, at, text)
    case "Stopped":
      return "the message is over"
    case "Before": {
      // A reply without message_start still begins with a Start.
      const begun = begin(state, options, {})
      return behind(begun.parts, blockStep(begun.state, options, type, event, at, text))
    }
  }
}

const stepOf = (
  state: State,
  options: Options,
  type: unknown,
  event: Fields,
  text: string
): Step | string | undefined => {
  switch (type) {
    case "content_block_delta":
    case "content_block_start":
    case "content_block_stop":
      return blockEvent(state, options, type, event, text)
    case "message_start": {
      const { message } = event
      return isRecord(message)
        ? messageStart(state, options, message, rawIn(text, "message"))
        : "message: an object was expected"
    }
    case "message_delta": {
      const { delta } = event
      return {
        state: withEnd(state, isRecord(delta) ? delta : {}, event["usage"]),
        parts: none
      }
    }
    case "message_stop": {
      if (state.phase !== "Before") return messageStop(state, options)
      const begun = begin(state, options, {})
      return behind(begun.parts, messageStop(begun.state, options))
    }
    case "message":
      return state.phase === "Before" ? wholeMessage(state, options, event, rawIn(text)) : undefined
    case "ping":
      return { state, parts: none }
    default:
      return undefined
  }
}

/** Every event that is not one of the reply is an error or nothing to us. */
const step = (options: Options) => (state: State, message: decode.Message): Step => {
  const { event: name, json, text } = message
  const known = isRecord(json) && name !== "error"
    ? stepOf(state, options, json["type"] ?? name, json, text)
    : undefined
  if (typeof known === "string") return failed(state, malformed(options.facts, message, known))
  if (known !== undefined) return known
  const { headers, model, provider } = options.facts
  const error = ProviderError.fromStreamEvent({ provider, model, headers, name, event: json })
  if (Option.isSome(error)) return failed(state, error.value)
  return isRecord(json)
    ? { state, parts: none }
    : failed(state, malformed(options.facts, message, "an object was expected"))
}

/** Only `message_stop` ends a reply, or `[DONE]` behind the reason to stop: without it, what came is not all. */
const end = (
  options: Options
) =>
(state: State, ending: decode.Ending): ReadonlyArray<StreamPart.StreamPart> | ModelError.ModelError | undefined => {
  if (state.phase === "Stopped") return [finished(state)]
  if (ending !== "done" || state.said === undefined) return undefined
  const closed = closeAll(state, options)
  return refusal(closed.state, options) ?? [...closed.parts, finished(closed.state)]
}

/** Reads a stream of the Messages API. */
export const decoder = (facts: decode.Facts, after: After): decode.Decoder<State> => ({
  facts,
  initial,
  step: step({ facts, after }),
  end: end({ facts, after }),
  closing: ({ phase }) => phase === "Stopped" ? "whole" : "open"
})
