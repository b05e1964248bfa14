/** OpenAI's Responses API on the wire: how a reply is read. Pure; lenient where real servers differ. */
import type * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as ModelError from "../../error/ModelError.ts"
import { definedFields, type Fields, isRecord, listOf } from "../../internal/record.ts"
import * as Prompt from "../../model/Prompt.ts"
import * as Response from "../../model/Response.ts"
import { Usage } from "../../model/Usage.ts"
import * as ProviderError from "../ProviderError.ts"
import * as callIds from "../shared/callIds.ts"
import { finishReasonOf } from "../shared/finishReasons.ts"
import { type Facts, factsIn, type Incoming, type Who } from "../shared/httpExchange.ts"
import { count, countIn, malformed, nonBlank, orEmptyObject, parse, saysSomething } from "../shared/jsonBody.ts"
import { filteredCategories } from "../shared/openAiFilters.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"
import { rawAt } from "../shared/rawJson.ts"
import { withReason } from "../shared/streamError.ts"

const isFilled = (value: unknown): boolean =>
  typeof value === "string" ? value.trim() !== "" : isRecord(value) && Object.keys(value).length > 0

/** Counts that are missing or senseless are zero: a bad count is no reason to lose an answer. */
export const usageOf = (value: unknown): Usage => {
  const usage = isRecord(value) ? value : {}
  const inputTokens = count(usage["input_tokens"]) ?? 0
  const outputTokens = count(usage["output_tokens"]) ?? 0
  const reasoningTokens = countIn(usage, "output_tokens_details", "reasoning_tokens")
  const cachedInputTokens = countIn(usage, "input_tokens_details", "cached_tokens")
  return new Usage(
    definedFields({
      inputTokens,
      outputTokens,
      totalTokens: count(usage["total_tokens"]) ?? Math.min(inputTokens + outputTokens, Number.MAX_SAFE_INTEGER),
      reasoningTokens,
      cachedInputTokens,
      // OpenAI's word, and that of gateways to Anthropic.
      cacheWriteInputTokens: countIn(usage, "input_tokens_details", "cache_write_tokens") ??
        countIn(usage, "input_tokens_details", "cache_creation_tokens")
    }),
    { disableValidation: true }
  )
}

/** One piece of content of a message or of reasoning. */
export interface Piece {
  readonly kind: "text" | "refusal" | "reasoning"
  readonly text: string
  /** What a text rests on. */
  readonly annotations: ReadonlyArray<unknown>
}

/** A part of a message or of reasoning. Parts of other kinds (references, pictures) say nothing to us. */
export const pieceOf = (part: unknown): Piece | undefined => {
  if (!isRecord(part)) return undefined
  const piece = (kind: Piece["kind"], text: unknown, annotations: ReadonlyArray<unknown> = []): Piece | undefined =>
    typeof text === "string" ? { kind, text, annotations } : undefined
  switch (part["type"]) {
    case "output_text":
    case "text":
      return piece("text", part["text"], listOf(part["annotations"]))
    case "refusal":
      return piece("refusal", part["refusal"])
    case "summary_text":
    case "reasoning_text":
      return piece("reasoning", part["text"])
    default:
      return undefined
  }
}

/** A text with what it rests on (pages, files, what code has written), as a part keeps it: the piece as it goes back. */
export const citedMetadata = (
  text: string,
  annotations: ReadonlyArray<unknown>,
  provider: string
): string | undefined =>
  annotations.length === 0
    ? undefined
    : providerMetadata.write("responses", provider, "cited", JSON.stringify({ type: "output_text", text, annotations }))

/** How a reply ended, or that it did not. */
export interface Ending {
  readonly reason: Response.FinishReason
  readonly raw: string | undefined
}

/**
 * `completed` waits for tools where there are calls; a refusal and a call that was cut are no whole reply although the
 * server calls them complete.
 */
export const endingOf = (
  response: Fields,
  seen: { readonly calls: boolean; readonly refused: boolean; readonly cutCall: boolean }
): Ending => {
  const status = nonBlank(response["status"])
  if (status === "completed") {
    const reason = seen.refused ? "content-filter" : seen.cutCall ? "length" : seen.calls ? "tool-calls" : "stop"
    return { reason, raw: status }
  }
  const incomplete = response["incomplete_details"]
  const word = isRecord(incomplete) ? nonBlank(incomplete["reason"]) : undefined
  // An incomplete reply is none that was finished, whatever its word says.
  const reason = finishReasonOf(word, { hasCalls: false, areCallsWhole: false })
  return { reason: reason === "length" || reason === "content-filter" ? reason : "unknown", raw: word ?? status }
}

/** Arguments sent as an object are taken as they were written: parsing and printing would lose digits and repeated keys. */
export const argumentsText = (value: unknown, raw: () => string | undefined): string =>
  typeof value === "string"
    ? value
    : value === undefined || value === null
    ? ""
    : raw() ?? JSON.stringify(value)

/**
 * A reasoning item as a part keeps it, to be sent back as it came; none where it holds nothing but its name, which means
 * something only to a server that stored it.
 */
export const metadataOf = (item: Fields, provider: string): string | undefined => {
  const encrypted = nonBlank(item["encrypted_content"])
  if (encrypted === undefined) return undefined
  const content = listOf(item["content"])
  return providerMetadata.write(
    "responses",
    provider,
    "reasoning",
    JSON.stringify({
      id: nonBlank(item["id"]),
      summary: listOf(item["summary"]),
      ...(content.length === 0 ? {} : { content }),
      encrypted_content: encrypted
    })
  )
}

/**
 * The error for a reply of which a filter left nothing. Azure names the filters that fired, and whether it was the prompt
 * that they fired at.
 */
export const filteredOut = (
  response: Fields,
  facts: { readonly provider: string; readonly model?: string; readonly requestId?: string; readonly status?: number }
): ModelError.ModelError => {
  const filters = listOf(response["content_filters"]).filter(isRecord)
  const categories = [...new Set(filters.flatMap((filter) => filteredCategories(filter["content_filter_results"])))]
  return new ModelError.ContentFiltered({
    ...facts,
    stage: filters.some((filter) => filter["blocked"] === true && filter["source_type"] === "prompt")
      ? "prompt"
      : "completion",
    billed: usageOf(response["usage"]).totalTokens > 0 ? "yes" : "maybe",
    ...definedFields({ categories: categories.length === 0 ? undefined : categories })
  })
}

/**
 * The error that a body holds although the status says success. Servers write it as `error`, as the status `failed`, or
 * flat (`object: "error"`, `detail`, `message`) where the output should be.
 */
const errorIn = (body: unknown): Fields | undefined => {
  const holder = Array.isArray(body) && body.length === 1 ? body[0] : body
  if (!isRecord(holder)) return undefined
  if (holder["status"] === "failed") return withReason(holder)
  if (isFilled(holder["error"])) return holder
  if (holder["output"] !== undefined) return undefined
  const says = isFilled(holder["message"]) || isFilled(holder["detail"])
  return holder["object"] === "error" || holder["type"] === "error" || says ? holder : undefined
}

/** The status an error body itself claims, where it claims one. */
const claimedStatus = (body: Fields): number | undefined => {
  const inner = isRecord(body["error"]) ? body["error"] : body
  return [inner["code"], inner["status"], inner["status_code"], body["status_code"], body["code"], body["status"]]
    .map((value) => typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value)
    .find((value): value is number =>
      typeof value === "number" && Number.isInteger(value) && value >= 400 && value < 600
    )
}

/** The output of a reply, gathered item by item. */
interface Gathered {
  readonly parts: Array<Response.Part>
  ids: callIds.CallIds
  refused: boolean
  cutCall: boolean
}

/** A call, or what is wrong with it. */
const addCall = (item: Fields, at: number, text: string, into: Gathered): string | undefined => {
  const name = item["name"]
  if (typeof name !== "string") return `output.${at}.name: a function_call without the name of its function`
  const [id, ids] = callIds.take(into.ids, nonBlank(item["call_id"]) ?? nonBlank(item["id"]))
  into.ids = ids
  if (item["status"] === "incomplete") into.cutCall = true
  const json = argumentsText(item["arguments"], () => rawAt(text, ["output", at, "arguments"]))
  into.parts.push({
    _tag: "ToolCall",
    id,
    name,
    arguments: orEmptyObject(json)
  })
  return undefined
}

const addPiece = (part: unknown, provider: string, into: Gathered): void => {
  const piece = pieceOf(part)
  if (piece === undefined || piece.text === "") return
  if (piece.kind === "refusal") into.refused = true
  const metadata = citedMetadata(piece.text, piece.annotations, provider)
  into.parts.push(
    piece.kind === "reasoning"
      ? { _tag: "Reasoning", text: piece.text }
      : { ...Prompt.text(piece.text), ...definedFields({ providerMetadata: metadata }) }
  )
}

/** One item is one part, so that what seals it seals all of it. */
const addReasoning = (item: Fields, provider: string, into: Gathered): void => {
  const pieces = [...listOf(item["summary"]), ...listOf(item["content"])].map(pieceOf)
  const text = pieces.map((piece) => piece?.text ?? "").join("")
  const metadata = metadataOf(item, provider)
  if (text === "" && metadata === undefined) return
  into.parts.push({ _tag: "Reasoning", text, ...definedFields({ providerMetadata: metadata }) })
}

/** Items of other kinds are work the server did with tools of its own: no part of the answer, but of its memory. */
export const ownParts = (
  item: Fields,
  json: string | undefined,
  provider: string
): ReadonlyArray<Prompt.ProviderPart> => {
  const kind = nonBlank(item["type"])
  return kind === undefined ? [] : [{
    _tag: "ProviderPart",
    kind,
    providerMetadata: providerMetadata.write("responses", provider, "item", json ?? JSON.stringify(item))
  }]
}

const addItem = (
  item: unknown,
  at: number,
  text: string,
  provider: string,
  into: Gathered
): string | undefined => {
  if (!isRecord(item)) return `output.${at}: not an object`
  switch (item["type"]) {
    case "message": {
      const { content } = item
      if (typeof content === "string") addPiece({ type: "output_text", text: content }, provider, into)
      else for (const part of listOf(content)) addPiece(part, provider, into)
      return undefined
    }
    case "reasoning":
      addReasoning(item, provider, into)
      return undefined
    case "function_call":
      return addCall(item, at, text, into)
    default:
      into.parts.push(...ownParts(item, rawAt(text, ["output", at]), provider))
      return undefined
  }
}

const unfinished: ReadonlySet<unknown> = new Set(["queued", "in_progress", "cancelled"])

const fromBody = (
  body: Fields,
  text: string,
  facts: Facts
): Either.Either<Response.Response, ModelError.ModelError> => {
  const { output } = body
  if (!Array.isArray(output)) return malformed(facts, text, "output: a list of items is missing; this is no response")
  if (unfinished.has(body["status"])) {
    return malformed(facts, text, `status: the reply is not finished but ${JSON.stringify(body["status"])}`)
  }
  const gathered: Gathered = { parts: [], ids: callIds.none, refused: false, cutCall: false }
  for (const [at, item] of output.entries()) {
    const fault = addItem(item, at, text, facts.provider, gathered)
    if (fault !== undefined) return malformed(facts, text, fault)
  }
  const { parts } = gathered
  const ending = endingOf(body, {
    calls: callIds.count(gathered.ids) > 0,
    refused: gathered.refused,
    cutCall: gathered.cutCall
  })
  if (ending.reason === "content-filter" && !parts.some(saysSomething)) {
    return Either.left(filteredOut(body, facts))
  }
  return Either.right(
    new Response.Response({
      ...definedFields({ id: nonBlank(body["id"]), rawFinishReason: ending.raw, requestId: facts.requestId }),
      model: nonBlank(body["model"]) ?? facts.model,
      parts,
      finishReason: ending.reason,
      usage: usageOf(body["usage"])
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
    const error = errorIn(body)
    if (error !== undefined) {
      return Either.left(ProviderError.fromResponse({
        ...who,
        status: claimedStatus(error) ?? incoming.status,
        headers: incoming.headers,
        body: error,
        now
      }))
    }
    return isRecord(body)
      ? fromBody(body, incoming.text, facts)
      : malformed(facts, incoming.text, "the body is no object")
  })
}
