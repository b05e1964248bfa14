/**
 * Gemini's generateContent on the wire: how a reply, and each chunk of a stream (they have one shape), is read. Pure;
 * lenient where real servers differ, strict where a mistake would change the meaning.
 */
import type * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ModelError from "../../error/ModelError.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import type * as Prompt from "../../model/Prompt.ts"
import * as Response from "../../model/Response.ts"
import { Usage } from "../../model/Usage.ts"
import * as ProviderError from "../ProviderError.ts"
import * as callIds from "../shared/callIds.ts"
import * as endings from "../shared/finishReasons.ts"
import { factsIn, type Incoming, type Who } from "../shared/httpExchange.ts"
import { count, malformed, nonBlank, orEmptyObject, parse, saysSomething } from "../shared/jsonBody.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"
import { rawAt } from "../shared/rawJson.ts"

/** A function call as it stands in a part, not yet understood. */
export interface RawCall {
  readonly fields: Fields
  /** Where it stands in the text of the reply. */
  readonly path: ReadonlyArray<string | number>
  readonly signature: string | undefined
}

/** A signature as a part keeps it. */
export const metadataOf = (signature: string | undefined, provider: string): string | undefined =>
  signature === undefined ? undefined : providerMetadata.write("gemini", provider, "signature", signature)

/** What a part says; a text without characters may still be signed. */
export type ReadPart =
  | { readonly kind: "text" | "reasoning"; readonly text: string; readonly signature: string | undefined }
  | { readonly kind: "call"; readonly call: RawCall }
  /** What Google did by itself: code and its result, pictures, and the sources of the reply, which are never sent back. */
  | {
    readonly kind: "own"
    readonly name: string
    readonly fields: Fields
    readonly path: ReadonlyArray<string | number>
  }

/** A reply, or one chunk of it. */
export interface Frame {
  readonly id: string | undefined
  readonly model: string | undefined
  readonly parts: ReadonlyArray<ReadPart>
  /** Absent while more is to come. */
  readonly finishReason: string | undefined
  /** The filters that blocked the reply. */
  readonly blocked: ReadonlyArray<string>
  /** Those told so far. */
  readonly counts: Counts
  /** Whether there was a candidate at all. */
  readonly hasCandidate: boolean
}

// Counts --------------------------------------------------------------------------------------------------------------

/** The counts of `usageMetadata`; those of a stream are running totals, so a later one replaces an earlier one. */
export interface Counts {
  readonly prompt: number | undefined
  readonly toolPrompt: number | undefined
  readonly candidates: number | undefined
  readonly thoughts: number | undefined
  readonly cached: number | undefined
  readonly total: number | undefined
}

export const noCounts: Counts = {
  prompt: undefined,
  toolPrompt: undefined,
  candidates: undefined,
  thoughts: undefined,
  cached: undefined,
  total: undefined
}

/** The counts so far with those that a chunk tells anew. */
const countsAfter = (before: Counts, usage: unknown): Counts =>
  isRecord(usage)
    ? {
      prompt: count(usage["promptTokenCount"]) ?? before.prompt,
      toolPrompt: count(usage["toolUsePromptTokenCount"]) ?? before.toolPrompt,
      candidates: count(usage["candidatesTokenCount"]) ?? before.candidates,
      thoughts: count(usage["thoughtsTokenCount"]) ?? before.thoughts,
      cached: count(usage["cachedContentTokenCount"]) ?? before.cached,
      total: count(usage["totalTokenCount"]) ?? before.total
    }
    : before

const sum = (...counts: ReadonlyArray<number | undefined>): number =>
  Math.min(counts.reduce<number>((total, each) => total + (each ?? 0), 0), Number.MAX_SAFE_INTEGER)

/** Gemini counts thoughts beside the candidates, and bills both as output; here reasoning is a part of the output. */
export const usageOf = (counts: Counts): Usage => {
  const inputTokens = sum(counts.prompt, counts.toolPrompt)
  const outputTokens = sum(counts.candidates, counts.thoughts)
  return new Usage({
    inputTokens,
    outputTokens,
    totalTokens: counts.total ?? sum(inputTokens, outputTokens),
    ...definedFields({ reasoningTokens: counts.thoughts, cachedInputTokens: counts.cached })
  }, { disableValidation: true })
}

// Ends ----------------------------------------------------------------------------------------------------------------

/** Gemini says STOP also where it waits for tools. */
export const finishReasonOf = endings.finishReasonOf

/** The error of a reply that was withheld as a whole. */
export const filtered = (
  facts: {
    readonly provider: string
    readonly model?: string | undefined
    readonly requestId?: string | undefined
    readonly status?: number | undefined
  },
  said: string | undefined,
  blocked: ReadonlyArray<string>,
  usage: Usage
): ModelError.ModelError =>
  new ModelError.ContentFiltered({
    provider: facts.provider,
    ...definedFields({ model: facts.model, requestId: facts.requestId, status: facts.status }),
    stage: "completion",
    billed: usage.totalTokens > 0 ? "yes" : "maybe",
    ...definedFields({
      detail: said === undefined ? undefined : `finishReason: ${said}`,
      categories: blocked.length === 0 ? undefined : blocked
    })
  })

// Frames --------------------------------------------------------------------------------------------------------------

/** What is wrong with a frame. */
export type Wrong = { readonly wrong: string }

/** A wrong place ends the reading; the first one is told. */
class Unreadable {
  readonly wrong: string
  constructor(wrong: string) {
    this.wrong = wrong
  }
}

const knownFields = ["candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId"]

/** What the candidate says of its sources. */
const sourceFields = ["groundingMetadata", "citationMetadata", "urlContextMetadata"]

/** A part of Google's own as a part of ours keeps it. */
export const ownPartOf = (
  part: Extract<ReadPart, { readonly kind: "own" }>,
  text: string,
  provider: string
): Prompt.ProviderPart => ({
  _tag: "ProviderPart",
  kind: part.name,
  providerMetadata: providerMetadata.write(
    "gemini",
    provider,
    sourceFields.includes(part.name) ? "source" : "part",
    rawAt(text, part.path) ?? JSON.stringify(part.fields)
  )
})

/** The part, nothing where it says nothing to us, or what is wrong with it. */
const readPart = (part: unknown, candidate: number, index: number): ReadPart | Unreadable | undefined => {
  const wrong = (what: string) => new Unreadable(`candidates.${candidate}.content.parts.${index}${what}`)
  if (!isRecord(part)) return wrong(" is not an object")
  const signature = nonBlank(part["thoughtSignature"])
  const call = part["functionCall"]
  if (call !== undefined && call !== null) {
    return isRecord(call)
      ? {
        kind: "call",
        call: { fields: call, path: ["candidates", candidate, "content", "parts", index, "functionCall"], signature }
      }
      : wrong(".functionCall is not an object")
  }
  const { text: given } = part
  if (given === undefined || given === null || given === "") {
    // Code that Google ran, tools of its own, pictures, and kinds that nobody knows yet.
    const name = Object.keys(part).find((field) => isRecord(part[field]))
    if (name !== undefined) {
      return { kind: "own", name, fields: part, path: ["candidates", candidate, "content", "parts", index] }
    }
  }
  const text = given ?? ""
  if (typeof text !== "string") return wrong(".text is not a text")
  if (text === "" && signature === undefined) return undefined
  return { kind: part["thought"] === true ? "reasoning" : "text", text, signature }
}

const listOf = (value: unknown, at: string): ReadonlyArray<unknown> | Unreadable =>
  value === undefined || value === null ? [] : Array.isArray(value) ? value : new Unreadable(`${at} is not a list`)

const partsOf = (candidate: Fields, at: number): ReadonlyArray<ReadPart> | Unreadable => {
  const content = candidate["content"] ?? {}
  if (!isRecord(content)) return new Unreadable(`candidates.${at}.content is not an object`)
  const list = listOf(content["parts"], `candidates.${at}.content.parts`)
  if (list instanceof Unreadable) return list
  const parts: Array<ReadPart> = []
  for (let index = 0; index < list.length; index++) {
    const read = readPart(list[index], at, index)
    if (read instanceof Unreadable) return read
    if (read !== undefined) parts.push(read)
  }
  for (const name of sourceFields) {
    const fields = candidate[name]
    if (isRecord(fields) && Object.keys(fields).length > 0) {
      parts.push({ kind: "own", name, fields, path: ["candidates", at, name] })
    }
  }
  return parts
}

const blockedBy = (candidate: Fields): ReadonlyArray<string> => {
  const ratings = candidate["safetyRatings"]
  return Array.isArray(ratings)
    ? ratings.flatMap((rating: unknown) =>
      isRecord(rating) && rating["blocked"] === true && typeof rating["category"] === "string"
        ? [rating["category"]]
        : []
    )
    : []
}

/** Reads a reply, or a chunk that comes after these counts. Of several candidates the first one counts. */
export const readFrame = (json: unknown, counts: Counts = noCounts): Frame | Wrong => {
  if (!isRecord(json)) return { wrong: "it is not an object" }
  if (knownFields.every((name) => json[name] === undefined)) {
    return { wrong: "it has no candidates, and nothing else that a reply has" }
  }
  const list = listOf(json["candidates"], "candidates")
  if (list instanceof Unreadable) return list
  const at = list.findIndex((each) => !isRecord(each) || (each["index"] ?? 0) === 0)
  const candidate = at === -1 ? undefined : list[at]
  if (candidate !== undefined && !isRecord(candidate)) return { wrong: `candidates.${at} is not an object` }
  const parts = candidate === undefined ? [] : partsOf(candidate, at)
  if (parts instanceof Unreadable) return parts
  const said = candidate?.["finishReason"]
  if (said === "MALFORMED_RESPONSE") return { wrong: "the provider itself says so: MALFORMED_RESPONSE" }
  return {
    id: nonBlank(json["responseId"]),
    model: nonBlank(json["modelVersion"]),
    parts,
    finishReason: endings.endingWord(said),
    blocked: candidate === undefined ? [] : blockedBy(candidate),
    counts: countsAfter(counts, json["usageMetadata"]),
    hasCandidate: candidate !== undefined
  }
}

// Calls ---------------------------------------------------------------------------------------------------------------

/**
 * The id of one more call, made up from the reply's id where it has none of its own. Other providers, to whom the conversation
 * may move, take nothing but these characters and 40 of them.
 */
export const callId = (
  ids: callIds.CallIds,
  given: unknown,
  reply: string | undefined
): readonly [id: string, ids: callIds.CallIds] =>
  callIds.take(
    ids,
    nonBlank(given),
    reply === undefined ? "call" : `call_${reply.replace(/[^a-zA-Z0-9_-]/g, "").slice(0, 24)}`
  )

/** The arguments as they were written: parsing and printing would lose digits and repeated keys. */
export const argumentsText = (call: RawCall, text: string): string => {
  const args = call.fields["args"]
  if (args === undefined || args === null) return "{}"
  return typeof args === "string" ? orEmptyObject(args) : rawAt(text, [...call.path, "args"]) ?? JSON.stringify(args)
}

/** As `StreamPart.collect` joins the deltas of a stream: a text that is signed stays a part of its own. */
const responseParts = (frame: Frame, text: string, provider: string): ReadonlyArray<Response.Part> | Wrong => {
  const parts: Array<Response.Part> = []
  let ids = callIds.none
  for (const part of frame.parts) {
    if (part.kind === "own") {
      parts.push(ownPartOf(part, text, provider))
      continue
    }
    const metadata = metadataOf(part.kind === "call" ? part.call.signature : part.signature, provider)
    const metadataField = definedFields({ providerMetadata: metadata })
    if (part.kind !== "call") {
      const tag = part.kind === "text" ? "Text" : "Reasoning"
      const last = parts.at(-1)
      const joins = last?._tag === tag && last.providerMetadata === undefined &&
        (metadata === undefined || tag === "Reasoning")
      if (joins) parts[parts.length - 1] = { _tag: tag, text: last.text + part.text, ...metadataField }
      else parts.push({ _tag: tag, text: part.text, ...metadataField })
      continue
    }
    const name = part.call.fields["name"]
    if (typeof name !== "string") return { wrong: `${part.call.path.join(".")}.name is not a text` }
    const [id, more] = callId(ids, part.call.fields["id"], frame.id)
    ids = more
    parts.push({ _tag: "ToolCall", id, name, arguments: argumentsText(part.call, text), ...metadataField })
  }
  return parts
}

/** The response in a reply of status 200 to 299, or the error it really is. */
export const decode = (
  incoming: Incoming,
  who: Who,
  now: DateTime.Utc
): Either.Either<Response.Response, ModelError.ModelError> => {
  const facts = factsIn(incoming, who)
  return Either.flatMap(parse(incoming, facts), (body) => {
    const error = ProviderError.fromStreamEvent({ ...who, event: body, headers: incoming.headers, now })
    if (Option.isSome(error)) return Either.left(error.value)
    const frame = readFrame(body)
    if ("wrong" in frame) return malformed(facts, incoming.text, frame.wrong)
    if (!frame.hasCandidate) return malformed(facts, incoming.text, "candidates is empty")
    const parts = responseParts(frame, incoming.text, who.provider)
    if ("wrong" in parts) return malformed(facts, incoming.text, parts.wrong)
    const usage = usageOf(frame.counts)
    const finishReason = finishReasonOf(frame.finishReason, {
      hasCalls: parts.some((part) => part._tag === "ToolCall"),
      areCallsWhole: true
    })
    if (finishReason === "content-filter" && !parts.some(saysSomething)) {
      return Either.left(filtered(facts, frame.finishReason, frame.blocked, usage))
    }
    return Either.right(
      new Response.Response({
        ...definedFields({ id: frame.id, rawFinishReason: frame.finishReason, requestId: facts.requestId }),
        model: frame.model ?? who.model,
        parts,
        finishReason,
        usage
      }, { disableValidation: true })
    )
  })
}
