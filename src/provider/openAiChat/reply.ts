/** OpenAI's chat completions on the wire: how a reply is read. Pure; lenient where real servers differ. */
import type * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as ModelError from "../../error/ModelError.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import * as Prompt from "../../model/Prompt.ts"
import * as Response from "../../model/Response.ts"
import { Usage } from "../../model/Usage.ts"
import * as ProviderError from "../ProviderError.ts"
import { isFault } from "../shared/errorBody.ts"
import { endingWord, failureOf, finishReasonOf, type Held } from "../shared/finishReasons.ts"
import { type Facts, factsIn, type Incoming, type Who } from "../shared/httpExchange.ts"
import { count, countIn, malformed, nonBlank, orEmptyObject, parse, saysSomething } from "../shared/jsonBody.ts"
import { isWholeText } from "../shared/jsonProgress.ts"
import { filteredCategories } from "../shared/openAiFilters.ts"
import * as providerMetadata from "../shared/providerMetadata.ts"
import { rawAt } from "../shared/rawJson.ts"

const Nullish = <A, I>(schema: Schema.Schema<A, I>) => Schema.optional(Schema.NullOr(schema))

const WireFunction = Schema.Struct({
  name: Schema.String,
  // A string by the book; Ollama and others send the object itself.
  arguments: Schema.optional(Schema.Unknown)
})

const WireToolCall = Schema.Struct({
  id: Schema.optional(Schema.Unknown),
  extra_content: Schema.optional(Schema.Unknown),
  function: WireFunction
})

const WireMessage = Schema.Struct({
  content: Nullish(Schema.Union(Schema.String, Schema.Array(Schema.Unknown))),
  refusal: Nullish(Schema.String),
  reasoning_content: Nullish(Schema.String),
  reasoning: Schema.optional(Schema.Unknown),
  reasoning_text: Schema.optional(Schema.Unknown),
  reasoning_details: Schema.optional(Schema.Unknown),
  annotations: Schema.optional(Schema.Unknown),
  executed_tools: Schema.optional(Schema.Unknown),
  tool_calls: Nullish(Schema.Array(WireToolCall)),
  function_call: Nullish(WireFunction)
})

const WireChoice = Schema.Struct({
  message: WireMessage,
  finish_reason: Nullish(Schema.String),
  content_filter_results: Schema.optional(Schema.Unknown)
})

const WireReply = Schema.Struct({
  id: Schema.optional(Schema.Unknown),
  model: Schema.optional(Schema.Unknown),
  choices: Schema.NonEmptyArray(Schema.Unknown),
  usage: Schema.optional(Schema.Unknown)
})

type WireMessage = typeof WireMessage.Type
type WireChoice = typeof WireChoice.Type

/** Choices are read one by one, as some hold an error and no message. */
const decodeReply = Schema.decodeUnknownEither(WireReply)
const decodeChoice = Schema.decodeUnknownEither(WireChoice, { errors: "all" })

const isFilled = (value: unknown): boolean =>
  typeof value === "string" ? value.trim() !== "" : isRecord(value) && Object.keys(value).length > 0

/**
 * The error that a body or a choice holds although the status says success, as a body of its own. Servers write it as
 * `error`, or flat (`object: "error"`, `detail`, `message`) where the choices should be.
 */
const errorIn = (body: unknown): Fields | undefined => {
  const holder = Array.isArray(body) && body.length === 1 ? body[0] : body
  if (!isRecord(holder)) return undefined
  if (isFilled(holder["error"]) || isFault(holder["base_resp"])) return holder
  if (holder["choices"] !== undefined || holder["message"] === undefined && holder["detail"] === undefined) {
    return undefined
  }
  return holder["object"] === "error" || isFilled(holder["message"]) || isFilled(holder["detail"]) ? holder : undefined
}

/** The error inside a choice, in the shape of an error body. */
const choiceError = (choice: unknown): Fields | undefined =>
  isRecord(choice) && isFilled(choice["error"]) ? { error: choice["error"] } : undefined

/** The status an error body itself claims, where it is one. */
const claimedStatus = (body: Fields): number | undefined => {
  const inner = isRecord(body["error"]) ? body["error"] : body
  return [
    inner["code"],
    inner["status"],
    inner["status_code"],
    inner["raw_status_code"],
    body["status_code"],
    body["code"]
  ]
    .map((value) => typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value)
    .find((value): value is number =>
      typeof value === "number" && Number.isInteger(value) && value >= 400 && value < 600
    )
}

export const texts = (value: unknown): string =>
  typeof value === "string"
    ? value
    : Array.isArray(value)
    ? value.map((inner: unknown) => isRecord(inner) ? texts(inner["text"]) : texts(inner)).join("")
    : ""

/**
 * Thinking beside the content, under the names servers give it: DeepSeek's `reasoning_content`, `reasoning` of Groq, Ollama
 * and OpenRouter, Copilot's `reasoning_text`; and MiniMax's `reasoning_details`, which others send besides one of these.
 */
export const thinkingIn = (message: Fields): string | undefined => {
  for (const name of ["reasoning_content", "reasoning", "reasoning_text"]) {
    const value = message[name]
    if (typeof value === "string" && value !== "") return value
  }
  const details = message["reasoning_details"]
  const told = Array.isArray(details)
    ? details.map((each: unknown) => isRecord(each) ? texts(each["text"]) || texts(each["summary"]) : "").join("")
    : ""
  return told === "" ? undefined : told
}

/** Mistral sends thinking as a part of the content; parts without text (references and such) say nothing to us. */
export const contentParts = (content: WireMessage["content"]): ReadonlyArray<Response.Part> => {
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content ?? []
  return parts.flatMap((part): ReadonlyArray<Response.Part> => {
    if (typeof part === "string") return part === "" ? [] : [Prompt.text(part)]
    if (!isRecord(part)) return []
    const thinking = texts(part["thinking"])
    if (thinking !== "") return [{ _tag: "Reasoning", text: thinking }]
    const text = texts(part["text"])
    return text === "" ? [] : [Prompt.text(text)]
  })
}

/** What was written at a path of the reply, to the letter. */
export type Raw = (path: ReadonlyArray<string | number>) => string | undefined

/** Arguments sent as an object are taken as they were written: parsing and printing would lose digits and repeated keys. */
const argumentsText = (value: unknown, raw: Raw, path: ReadonlyArray<string | number>): string =>
  typeof value === "string"
    ? value
    : value === undefined || value === null
    ? ""
    : raw([...path, "function", "arguments"]) ?? JSON.stringify(value)

/**
 * What a server adds to a call and wants back with it, as a part keeps it: Gemini's OpenAI endpoint puts the signature of
 * the thought there, and refuses the call without it.
 */
export const providerMetadataOf = (extra: unknown, provider: string): string | undefined =>
  isFilled(extra) && isRecord(extra)
    ? providerMetadata.write("chat", provider, "extra_content", JSON.stringify(extra))
    : undefined

/** Every call gets an id of its own: absent, blank and repeated ones are made up, the same for the same reply. */
const toolCalls = (message: WireMessage, raw: Raw, provider: string): ReadonlyArray<Prompt.ToolCallPart> => {
  const legacy = message.function_call === null || message.function_call === undefined
    ? []
    : [{ id: undefined, extra_content: undefined, function: message.function_call }]
  const calls = message.tool_calls === null || message.tool_calls === undefined || message.tool_calls.length === 0
    ? legacy
    : message.tool_calls
  const used = new Set<string>()
  const given = calls.map((call) => {
    const id = nonBlank(call.id)
    if (id === undefined || used.has(id)) return undefined
    used.add(id)
    return id
  })
  // A number that was found taken is not tried again.
  let next = 0
  return calls.map((call, index) => {
    let id = given[index]
    next = Math.max(next, index)
    for (; id === undefined; next++) {
      if (!used.has(`call_${next}`)) id = `call_${next}`
    }
    used.add(id)
    const metadata = providerMetadataOf(call.extra_content, provider)
    return {
      _tag: "ToolCall",
      id,
      name: call.function.name,
      arguments: orEmptyObject(argumentsText(call.function.arguments, raw, ["tool_calls", index])),
      ...definedFields({ providerMetadata: metadata })
    }
  })
}

/** What servers tell beside a message of its sources (OpenAI, OpenRouter) and of tools that they ran themselves (Groq). */
const besideFields = ["annotations", "executed_tools"] as const

/** That, as parts keep it. A request has no place for it, so it is sent to nobody. */
export const ownParts = (message: Fields, raw: Raw, provider: string): ReadonlyArray<Prompt.ProviderPart> =>
  besideFields.flatMap((kind): ReadonlyArray<Prompt.ProviderPart> => {
    const list = message[kind]
    return !Array.isArray(list) || list.length === 0 ? [] : [{
      _tag: "ProviderPart",
      kind,
      providerMetadata: providerMetadata.write("chat", provider, kind, raw([kind]) ?? JSON.stringify(list))
    }]
  })

/** Reasoning, then text (or the refusal in its place), then tool calls, and what stands beside them. */
const partsOf = (message: WireMessage, raw: Raw, provider: string): ReadonlyArray<Response.Part> => {
  const thinking = nonBlank(thinkingIn(message))
  const content = contentParts(message.content)
  const refusal = nonBlank(message.refusal)
  return [
    ...(thinking === undefined ? [] : [{ _tag: "Reasoning", text: thinking } as const]),
    ...content,
    ...(refusal === undefined || content.some((part) => part._tag === "Text") ? [] : [Prompt.text(refusal)]),
    ...toolCalls(message, raw, provider),
    ...ownParts(message, raw, provider)
  ]
}

/** What the message holds, as far as the end of the reply depends on it. */
const heldIn = (parts: ReadonlyArray<Response.Part>): Held => {
  const calls = parts.flatMap((part) => part._tag === "ToolCall" ? [part] : [])
  return { hasCalls: calls.length > 0, areCallsWhole: calls.every((call) => isWholeText(call.arguments)) }
}

/** Counts that are missing or senseless are zero: a bad count is no reason to lose an answer. */
export const usageOf = (value: unknown): Usage => {
  const usage = isRecord(value) ? value : {}
  const inputTokens = count(usage["prompt_tokens"]) ?? 0
  const outputTokens = count(usage["completion_tokens"]) ?? 0
  // The details stand in an object of their own at OpenAI, and beside the counts at Copilot, Perplexity and Together.
  const reasoningTokens = countIn(usage, "completion_tokens_details", "reasoning_tokens") ??
    count(usage["reasoning_tokens"])
  const cachedInputTokens = countIn(usage, "prompt_tokens_details", "cached_tokens") ??
    count(usage["prompt_cache_hit_tokens"]) ?? count(usage["cached_tokens"]) ?? count(usage["cache_read_input_tokens"])
  return new Usage(
    definedFields({
      inputTokens,
      outputTokens,
      totalTokens: count(usage["total_tokens"]) ?? Math.min(inputTokens + outputTokens, Number.MAX_SAFE_INTEGER),
      reasoningTokens,
      cachedInputTokens,
      // The word of OpenAI and OpenRouter, and those of gateways to Anthropic.
      cacheWriteInputTokens: countIn(usage, "prompt_tokens_details", "cache_write_tokens") ??
        countIn(usage, "prompt_tokens_details", "cache_creation_tokens") ?? count(usage["cache_creation_input_tokens"])
    }),
    { disableValidation: true }
  )
}

/** The wrong places of a body, on one line. */
const places = (error: ParseResult.ParseError, under: string): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error)
    .slice(0, 5)
    .map((issue) => `${[under, ...issue.path.map(String)].filter((step) => step !== "").join(".")}: ${issue.message}`)
    .join("; ")

/** An error that came under a status of success; where it claims a status of its own, that one is judged. */
const disguised = (
  incoming: Incoming,
  facts: Facts,
  body: Fields,
  now: DateTime.Utc
): Either.Either<never, ModelError.ModelError> =>
  Either.left(ProviderError.fromResponse({
    provider: facts.provider,
    model: facts.model,
    status: claimedStatus(body) ?? incoming.status,
    headers: incoming.headers,
    body,
    now
  }))

const fromChoice = (
  choice: WireChoice,
  frame: typeof WireReply.Type,
  facts: Facts,
  raw: Raw
): Either.Either<Response.Response, ModelError.ModelError> => {
  const usage = usageOf(frame.usage)
  const billed = usage.totalTokens > 0 ? "yes" : "maybe"
  const parts = partsOf(choice.message, raw, facts.provider)
  const word = endingWord(choice.finish_reason)
  const failure = failureOf(word, facts, usage)
  if (failure !== undefined) return Either.left(failure)
  const finishReason = nonBlank(choice.message.refusal) === undefined
    ? finishReasonOf(word, heldIn(parts))
    : "content-filter"
  if (finishReason === "content-filter" && !parts.some(saysSomething)) {
    const categories = filteredCategories(choice.content_filter_results)
    return Either.left(
      new ModelError.ContentFiltered({
        ...facts,
        stage: "completion",
        billed,
        ...definedFields({ categories: categories.length === 0 ? undefined : categories })
      })
    )
  }
  return Either.right(
    new Response.Response({
      ...definedFields({ id: nonBlank(frame.id), rawFinishReason: word, requestId: facts.requestId }),
      model: nonBlank(frame.model) ?? facts.model,
      parts,
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
    const error = errorIn(body)
    if (error !== undefined) return disguised(incoming, facts, error, now)
    const frame = decodeReply(body)
    if (Either.isLeft(frame)) {
      const empty = isRecord(body) && Array.isArray(body["choices"]) && body["choices"].length === 0
      return malformed(facts, incoming.text, empty ? "choices is empty" : places(frame.left, ""))
    }
    const inner = choiceError(frame.right.choices[0])
    if (inner !== undefined) return disguised(incoming, facts, inner, now)
    const choice = decodeChoice(frame.right.choices[0])
    if (Either.isLeft(choice)) return malformed(facts, incoming.text, places(choice.left, "choices.0"))
    const raw: Raw = (path) => rawAt(incoming.text, ["choices", 0, "message", ...path])
    return fromChoice(choice.right, frame.right, facts, raw)
  })
}
