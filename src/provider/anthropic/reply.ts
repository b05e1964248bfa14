/** Anthropic's Messages API on the wire: how a whole reply is read. Pure; lenient where real servers differ. */
import type * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as ModelError from "../../error/ModelError.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import * as Response from "../../model/Response.ts"
import { Usage } from "../../model/Usage.ts"
import * as ProviderError from "../ProviderError.ts"
import * as callIds from "../shared/callIds.ts"
import * as endings from "../shared/finishReasons.ts"
import { type Facts, factsIn, type Incoming, type Who } from "../shared/httpExchange.ts"
import { count, malformed, nonBlank, orEmptyObject, parse, saysSomething } from "../shared/jsonBody.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"
import { rawAt } from "../shared/rawJson.ts"

/** What was written at a path of the JSON text, to the letter. */
export type Raw = (path: ReadonlyArray<string | number>) => string | undefined

/** What Anthropic alone can read of its thinking. */
export interface State {
  readonly kind: "signature" | "redacted"
  readonly text: string
}

export const signatureOf = (text: unknown): State | undefined =>
  typeof text === "string" && text !== "" ? { kind: "signature", text } : undefined

/** The state as a part keeps it. */
export const metadataOf = (state: State | undefined, provider: string): string | undefined =>
  state === undefined ? undefined : providerMetadata.write("anthropic", provider, state.kind, state.text)

/** What a content block means to us; blocks of tools that the server runs itself, and unknown ones, are skipped. */
export type Block =
  /** `citations` are what the text rests on; in a stream they follow. */
  | { readonly _tag: "Text"; readonly text: string; readonly citations: ReadonlyArray<unknown> }
  /** `state` is what makes it fit to be sent back; a signature may also follow in the stream. */
  | { readonly _tag: "Reasoning"; readonly text: string; readonly state: State | undefined }
  | { readonly _tag: "Call"; readonly id: string | undefined; readonly name: string; readonly arguments: string }
  /** What the server did by itself: tools that it runs, their results, and kinds that nobody knows yet. */
  | { readonly _tag: "Own"; readonly kind: string; readonly block: Fields; readonly json: string }
  | { readonly _tag: "Skipped" }
  | { readonly _tag: "Wrong"; readonly reason: string }

const skipped: Block = { _tag: "Skipped" }

/** A block of the server's own work as a part keeps it. */
export const ownMetadata = (json: string, provider: string): string =>
  providerMetadata.write("anthropic", provider, "block", json)

/** Which block an event of a stream is about. */
export const indexOf = (event: Fields): number | undefined => {
  const { index } = event
  return typeof index === "number" && Number.isSafeInteger(index) && index >= 0 ? index : undefined
}

/** Anthropic cites sentence by sentence. A longer text has no citations, and a stream does not hold on to it. */
export const longestCited = 65_536

/** A text with what it rests on, as a part keeps it: the block as it goes back. */
export const citedMetadata = (text: string, citations: ReadonlyArray<unknown>, provider: string): string | undefined =>
  citations.length === 0
    ? undefined
    : providerMetadata.write("anthropic", provider, "cited", JSON.stringify({ type: "text", text, citations }))

const wrong = (reason: string): Block => ({ _tag: "Wrong", reason })

/** The text of a field; a fault where it is something else. */
const textOf = (block: Fields, field: string): { readonly text: string } | { readonly fault: Block } => {
  const text = block[field] ?? ""
  return typeof text === "string" ? { text } : { fault: wrong(`${field} is no text`) }
}

/** Anthropic's form of input that is no JSON: the text of it, so that it is judged as what it is. */
const notJson = (input: Fields): string | undefined => {
  const text = input["INVALID_JSON"]
  return typeof text === "string" && Object.keys(input).length === 1 ? text : undefined
}

/** Nothing, and an object without members, is `""`: a stream announces its arguments so before they come. */
const argumentsOf = (input: unknown, raw: () => string | undefined): string => {
  if (input === undefined || input === null) return ""
  if (typeof input === "string") return input
  if (!isRecord(input)) return raw() ?? JSON.stringify(input)
  return Object.keys(input).length === 0 ? "" : notJson(input) ?? raw() ?? JSON.stringify(input)
}

/** Reads one content block. `raw` finds what was written at a path inside it. */
export const readBlock = (block: unknown, raw: Raw): Block => {
  if (!isRecord(block)) return wrong("the block is no object")
  switch (block["type"]) {
    case "text": {
      const read = textOf(block, "text")
      const { citations } = block
      return "fault" in read
        ? read.fault
        : { _tag: "Text", text: read.text, citations: Array.isArray(citations) ? citations : [] }
    }
    case "thinking": {
      const read = textOf(block, "thinking")
      return "fault" in read
        ? read.fault
        : { _tag: "Reasoning", text: read.text, state: signatureOf(block["signature"]) }
    }
    case "redacted_thinking": {
      const data = nonBlank(block["data"])
      return data === undefined
        ? skipped
        : { _tag: "Reasoning", text: "", state: { kind: "redacted", text: data } }
    }
    case "tool_use": {
      const name = block["name"]
      return typeof name !== "string" ? wrong("name is no text") : {
        _tag: "Call",
        id: nonBlank(block["id"]),
        name,
        arguments: argumentsOf(block["input"], () => raw(["input"]))
      }
    }
    default: {
      const { type } = block
      return typeof type !== "string"
        ? wrong("type is missing")
        : { _tag: "Own", kind: type, block, json: raw([]) ?? JSON.stringify(block) }
    }
  }
}

/** A paused turn (`pause_turn`) is not whole and waits for no tool of ours, so its reason is unknown. */
export const finishReasonOf = endings.finishReasonOf

/** Tokens as Anthropic counts them: `input` is what was neither read from the cache nor written to it. */
export interface Counts {
  readonly input: number
  readonly cacheRead: number | undefined
  readonly cacheWrite: number | undefined
  readonly output: number
  readonly reasoning: number | undefined
}

export const noCounts: Counts = {
  input: 0,
  cacheRead: undefined,
  cacheWrite: undefined,
  output: 0,
  reasoning: undefined
}

const later = (before: number | undefined, value: unknown): number | undefined =>
  count(value) || (before ?? count(value))

/** What was written to the cache, where a server tells only how long each part of it is kept there. */
const writtenByLifetime = (value: unknown): number | undefined => {
  if (!isRecord(value)) return undefined
  const counts = [count(value["ephemeral_5m_input_tokens"]), count(value["ephemeral_1h_input_tokens"])]
  return counts.every((each) => each === undefined)
    ? undefined
    : counts.reduce<number>((sum, each) => sum + (each ?? 0), 0)
}

/** Counts of a stream are totals so far. What a later event leaves out, or gives as 0, is known from an earlier one. */
export const readCounts = (before: Counts, value: unknown): Counts => {
  if (!isRecord(value)) return before
  const details = value["output_tokens_details"]
  return {
    input: later(before.input, value["input_tokens"]) ?? 0,
    cacheRead: later(before.cacheRead, value["cache_read_input_tokens"]),
    cacheWrite: later(
      before.cacheWrite,
      value["cache_creation_input_tokens"] ?? writtenByLifetime(value["cache_creation"])
    ),
    output: later(before.output, value["output_tokens"]) ?? 0,
    reasoning: isRecord(details) ? later(before.reasoning, details["thinking_tokens"]) : before.reasoning
  }
}

/** Our input counts the cached tokens too; what a later read of the cache costs is the provider's business. */
export const usageOf = (counts: Counts): Usage => {
  const inputTokens = Math.min(
    counts.input + (counts.cacheRead ?? 0) + (counts.cacheWrite ?? 0),
    Number.MAX_SAFE_INTEGER
  )
  return new Usage(
    definedFields({
      inputTokens,
      outputTokens: counts.output,
      totalTokens: Math.min(inputTokens + counts.output, Number.MAX_SAFE_INTEGER),
      reasoningTokens: counts.reasoning,
      cachedInputTokens: counts.cacheRead,
      cacheWriteInputTokens: counts.cacheWrite
    }),
    { disableValidation: true }
  )
}

const partsOf = (
  content: ReadonlyArray<unknown>,
  raw: Raw,
  provider: string
): Either.Either<ReadonlyArray<Response.Part>, string> => {
  const parts: Array<Response.Part> = []
  let ids = callIds.none
  for (const [at, value] of content.entries()) {
    const block = readBlock(value, (path) => raw([at, ...path]))
    switch (block._tag) {
      case "Wrong":
        return Either.left(`content.${at}: ${block.reason}`)
      case "Text":
        if (block.text !== "") {
          const metadata = citedMetadata(block.text, block.citations, provider)
          parts.push({ _tag: "Text", text: block.text, ...definedFields({ providerMetadata: metadata }) })
        }
        break
      case "Own":
        parts.push({ _tag: "ProviderPart", kind: block.kind, providerMetadata: ownMetadata(block.json, provider) })
        break
      case "Reasoning": {
        const metadata = metadataOf(block.state, provider)
        if (block.text !== "" || metadata !== undefined) {
          parts.push({ _tag: "Reasoning", text: block.text, ...definedFields({ providerMetadata: metadata }) })
        }
        break
      }
      case "Call": {
        const [id, more] = callIds.take(ids, block.id)
        ids = more
        parts.push({ _tag: "ToolCall", id, name: block.name, arguments: orEmptyObject(block.arguments) })
      }
    }
  }
  return Either.right(parts)
}

/** The refusal of a reply that holds nothing else; `told` is what the API says of its reasons. */
export const refused = (
  facts: {
    readonly provider: string
    readonly model?: string
    readonly requestId?: string
    readonly status?: number
  },
  told: unknown,
  usage: Usage
): ModelError.ModelError => {
  const details = isRecord(told) ? told : {}
  const category = nonBlank(details["category"])
  return new ModelError.ContentFiltered({
    ...facts,
    stage: "completion",
    billed: usage.totalTokens > 0 ? "yes" : "maybe",
    ...definedFields({
      categories: category === undefined ? undefined : [category],
      detail: nonBlank(details["explanation"])
    })
  })
}

const fromMessage = (
  body: Fields,
  text: string,
  facts: Facts
): Either.Either<Response.Response, ModelError.ModelError> => {
  const content = body["content"]
  if (!Array.isArray(content)) return malformed(facts, text, "content: a list of blocks was expected")
  const parts = partsOf(content, (path) => rawAt(text, ["content", ...path]), facts.provider)
  if (Either.isLeft(parts)) return malformed(facts, text, parts.left)
  const said = nonBlank(body["stop_reason"])
  const usage = usageOf(readCounts(noCounts, body["usage"]))
  const failure = endings.failureOf(said, facts, usage)
  if (failure !== undefined) return Either.left(failure)
  const finishReason = finishReasonOf(said, {
    hasCalls: parts.right.some((part) => part._tag === "ToolCall"),
    areCallsWhole: true
  })
  if (finishReason === "content-filter" && !parts.right.some(saysSomething)) {
    return Either.left(refused(facts, body["stop_details"], usage))
  }
  return Either.right(
    new Response.Response({
      ...definedFields({ id: nonBlank(body["id"]), rawFinishReason: said, requestId: facts.requestId }),
      model: nonBlank(body["model"]) ?? facts.model,
      parts: parts.right,
      finishReason,
      usage
    }, { disableValidation: true })
  )
}

/** The response in a reply of status 200 to 299, or the error it really is. */
export const decode = (
  incoming: Incoming,
  who: Who,
  now: DateTime.Utc
): Either.Either<Response.Response, ModelError.ModelError> => {
  const facts = factsIn(incoming, who)
  return Either.flatMap(parse(incoming, facts), (body) => {
    if (isRecord(body) && (body["content"] !== undefined || body["type"] === "message")) {
      return fromMessage(body, incoming.text, facts)
    }
    const error = ProviderError.fromStreamEvent({
      ...who,
      event: body,
      headers: incoming.headers,
      now
    })
    return error._tag === "Some"
      ? Either.left(error.value)
      : malformed(facts, incoming.text, "the body is no message: it has no content")
  })
}
