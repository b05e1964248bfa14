/**
 * A language model from the protocol of its provider: what all providers over HTTP share. A protocol says how a request is
 * written and how a reply and a stream are read, all of it pure; sending, failing and cancelling are done here.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ModelError from "../../error/ModelError.ts"
import { definedFields } from "../../internal/record.ts"
import { type CauseInfo, describeCause } from "../../internal/redact.ts"
import { fieldsOf } from "../../internal/scrubbed.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import type { RateLimitInfo } from "../../model/RateLimitInfo.ts"
import { type Dialects, Response } from "../../model/Response.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as ProviderError from "../ProviderError.ts"
import { fromHeaders } from "../RateLimitHeaders.ts"
import * as decode from "./decode.ts"
import * as httpExchange from "./httpExchange.ts"
import * as ownSecrets from "./ownSecrets.ts"
import * as preparedRequest from "./preparedRequest.ts"
import { fromStream, mapped, toStream } from "./pull.ts"

/** A request that would only be refused by the API. */
export interface Fault {
  readonly param: string
  readonly message: string
}

/** How one provider is spoken to. */
export interface Protocol<S> {
  /** Where a request goes. */
  readonly url: (kind: Exclude<preparedRequest.Kind, "background">) => string
  /** The API as a sentence names it, and the options it has no place for (see `preparedRequest.ts`). */
  readonly api: string
  readonly lacks: ReadonlyArray<preparedRequest.Lacking>
  /** What the wire takes of names and schemas. */
  readonly wire: preparedRequest.Wire
  /** What this API wants of a request beyond what all of them want. */
  readonly fault?: ((request: LanguageModel.Request) => Fault | undefined) | undefined
  /**
   * The body of a request, to be written as JSON. A `TypeError` that it throws is told as an `InvalidRequest` about
   * `providerOptions`.
   */
  readonly encode: (prepared: preparedRequest.PreparedRequest) => { readonly [field: string]: unknown }
  /** The reply of status 200 to 299, or the error it really is. */
  readonly reply: (
    incoming: httpExchange.Incoming,
    who: httpExchange.Who,
    now: DateTime.Utc
  ) => Either.Either<Response, ModelError.ModelError>
  readonly decoder: (facts: decode.Facts, request: LanguageModel.Request) => decode.Decoder<S>
  /** Where the provider keeps a reply while it is made: how one whose stream broke is gone on with. */
  readonly keeps?:
    | ((
      exchange: KeptExchange,
      request: LanguageModel.Request
    ) => Effect.Effect<LanguageModel.Resumable<ModelError.ModelError>, ModelError.ModelError>)
    | undefined
}

/** A reply of which the head has come: as events, or read. */
export type Answer = httpExchange.Recognised & {
  readonly status: number
  readonly headers: httpExchange.Incoming["headers"]
  /** Adds to a `Start` what the headers and the request tell. */
  readonly withHead: (part: StreamPart.StreamPart) => StreamPart.StreamPart
}

/** One request whose reply the provider keeps, and the exchanges about it. */
export interface KeptExchange {
  readonly who: httpExchange.Who
  readonly limits: Pick<Settings, "maxBodyBytes" | "maxEventBytes" | "maxToolCalls">
  readonly sent: httpExchange.Outgoing
  readonly ask: (outgoing: httpExchange.Outgoing) => Effect.Effect<Answer, ModelError.ModelError, Scope.Scope>
}

/** Options that work. */
export interface Settings {
  readonly model: string
  readonly provider: string
  /** Names in lower case, the key included. */
  readonly headers: { readonly [name: string]: string }
  readonly secretHeaders: ReadonlyArray<string>
  readonly maxBodyBytes: number
  readonly maxEventBytes: number
  readonly maxToolCalls: number
  readonly capabilities: Partial<LanguageModel.Capabilities> | undefined
  readonly dialects: Dialects
}

/** What of a request is sent, and what has to be known to read the reply. */
export interface Encoded {
  readonly body: string
  /** Absent where all is plain. */
  readonly dialects: Dialects | undefined
  readonly restoreCall: preparedRequest.RestoreCall | undefined
}

/** The body as JSON text. What cannot be written is the request's fault, and is said before anything is sent. */
export const encodeBody = <S>(
  request: LanguageModel.Request,
  kind: preparedRequest.Kind,
  { dialects, model, provider }: Settings,
  protocol: Protocol<S>
): Effect.Effect<Encoded, ModelError.ModelError> => {
  const invalid = (param: string, cause: CauseInfo): ModelError.ModelError =>
    new ModelError.InvalidRequest({ provider, model, param, billed: "no", cause })
  const fault = protocol.fault?.(request)
  if (fault !== undefined) {
    return Effect.fail(invalid(fault.param, { name: "RequestCheck", message: fault.message }))
  }
  return Effect.flatMap(
    preparedRequest.prepare(request, kind, {
      provider,
      model,
      api: protocol.api,
      lacks: protocol.lacks,
      dialects,
      wire: protocol.wire
    }),
    (ready) =>
      Either.try({
        try: (): Encoded => {
          const body = protocol.encode(ready)
          if (kind === "generate" && body["stream"] === true) {
            throw new TypeError("stream: true asks for an event stream; generate reads one reply")
          }
          const { output, tools } = ready.dialects
          const isPlain = tools === "plain" && output === "plain"
          return {
            body: JSON.stringify(body),
            dialects: isPlain ? undefined : ready.dialects,
            restoreCall: ready.restoreCall
          }
        },
        catch: (cause) => invalid("providerOptions", describeCause(cause))
      })
  )
}

/** A reply in one piece although a stream was asked for: some servers know no streams, others answer errors so. */
const isWhole = (headers: { readonly [name: string]: string }): boolean =>
  /^\s*(application\/(problem\+)?json|text\/html)\b/i.test(httpExchange.header(headers, "content-type") ?? "")

/** The reply with its calls in the words of the toolkit. */
const ownCalls = (response: Response, restoreCall: preparedRequest.RestoreCall): Response =>
  response.toolCalls.length === 0 ? response : new Response({
    ...response,
    parts: response.parts.map((part) =>
      part._tag === "ToolCall" ? { ...part, ...restoreCall(part.name, part.arguments) } : part
    )
  }, { disableValidation: true })

/** A reply that was read without its request, as the request makes it. */
export const restored = ({ dialects, restoreCall }: Encoded) => (response: Response): Response => {
  const whole = complete(response, beside(undefined, dialects))
  return restoreCall === undefined ? whole : ownCalls(whole, restoreCall)
}

/** The same of one part of a stream; deltas of arguments show progress only, and stay as they came. */
const ownCall = (part: StreamPart.StreamPart, restoreCall: preparedRequest.RestoreCall): StreamPart.StreamPart =>
  part._tag === "ToolCall"
    ? { ...part, ...restoreCall(part.name, part.arguments) }
    : part._tag === "ToolCallStart"
    ? { ...part, name: restoreCall(part.name, "").name }
    : part

const isEventStream = (headers: { readonly [name: string]: string }): boolean =>
  /^\s*text\/event-stream\b/i.test(httpExchange.header(headers, "content-type") ?? "")

/** A reply that says itself that it has no body is no stream that was cut: it is the same error as without a stream. */
const isEmpty = ({ headers, status }: Pick<httpExchange.Opened, "headers" | "status">): boolean =>
  status === 204 || status === 205 ||
  (!isEventStream(headers) && httpExchange.header(headers, "content-length") === "0")

const utf8 = new TextEncoder()

/** What a reply's body does not tell: its headers and its request do. */
interface Beside {
  readonly rateLimit?: RateLimitInfo
  readonly dialects?: Dialects
}

const beside = (rateLimit: RateLimitInfo | undefined, dialects: Dialects | undefined): Beside =>
  definedFields({ rateLimit, dialects })

const complete = (response: Response, { dialects, rateLimit }: Beside): Response => {
  const more = beside(response.rateLimit === undefined ? rateLimit : undefined, dialects)
  return Object.keys(more).length === 0 ? response : new Response({ ...response, ...more }, { disableValidation: true })
}

/** What the headers say of the caller's limits, where they say anything. */
const limitsOf = (headers: { readonly [name: string]: string }, now: DateTime.Utc): RateLimitInfo | undefined => {
  const info = fromHeaders(headers, now)
  return Object.keys(info).length === 0 ? undefined : info
}

/** The response in a reply, or the error that it is. */
export const readReply = <S>(
  { maxToolCalls, model, provider }: Settings,
  protocol: Protocol<S>,
  incoming: httpExchange.Incoming,
  now: DateTime.Utc
): Either.Either<Response, ModelError.ModelError> => {
  const { headers, status, text } = incoming
  const who = { provider, model }
  return status >= 200 && status <= 299
    ? Either.filterOrLeft(
      protocol.reply(incoming, who, now),
      ({ toolCalls }) => toolCalls.length <= maxToolCalls,
      () => new ModelError.MalformedResponse({ ...who, status, reason: decode.tooManyCalls(maxToolCalls) })
    )
    : Either.left(ProviderError.fromResponse({ provider, model, status, headers, body: text, now }))
}

/**
 * The model. Each request carries the header `idempotency-key`: the request's own, or 128 random bits from Effect's `Random`.
 */
export const make = <S>(
  settings: Settings,
  protocol: Protocol<S>
): Effect.Effect<LanguageModel.Service<ModelError.ModelError>, never, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const client = httpExchange.abortable(yield* HttpClient.HttpClient)
    const requestInit = Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit))
    const { maxBodyBytes, model, provider, secretHeaders } = settings
    const who = { provider, model }
    const secrets = [
      ...ownSecrets.ofHeaders(settings.headers, secretHeaders),
      ...ownSecrets.ofHeaders(Object.fromEntries(new Headers(requestInit?.headers)), []),
      ...ownSecrets.ofAddress(protocol.url("generate"))
    ]

    const rememberSecrets = ({ providerOptions }: LanguageModel.Request): void => {
      ownSecrets.rememberAll(secrets)
      if (providerOptions !== undefined) ownSecrets.rememberAll(ownSecrets.ofOptions(providerOptions))
    }

    const outgoing = (request: LanguageModel.Request, kind: preparedRequest.Kind) => {
      rememberSecrets(request)
      return Effect.flatMap(encodeBody(request, kind, settings, protocol), ({ body, dialects, restoreCall }) => {
        const sentWith = (idempotencyKey: string) => ({
          dialects,
          restoreCall,
          sent: {
            url: protocol.url(kind === "background" ? "stream" : kind),
            headers: {
              accept: kind === "generate" ? "application/json" : "text/event-stream",
              "idempotency-key": idempotencyKey,
              ...settings.headers
            },
            body,
            maxBodyBytes,
            secretHeaders,
            requestInit
          }
        })
        return request.idempotencyKey === undefined
          ? Effect.map(LanguageModel.nextIdempotencyKey, sentWith)
          : Effect.succeed(sentWith(request.idempotencyKey))
      })
    }

    const read = (incoming: httpExchange.Incoming, dialects: Dialects | undefined) =>
      Effect.flatMap(DateTime.now, (now) =>
        Either.map(
          readReply(settings, protocol, incoming, now),
          (response) => complete(response, beside(limitsOf(incoming.headers, now), dialects))
        ))

    const started = (part: StreamPart.StreamPart, more: Beside): StreamPart.StreamPart =>
      part._tag === "Start" ? { ...part, ...more } : part

    const isGood = (status: number): boolean => status >= 200 && status <= 299

    /** The parts of a reply that comes as events, to be pulled. */
    const eventParts = (
      { headers, status }: Pick<httpExchange.Opened, "headers" | "status">,
      bytes: httpExchange.Opened["bytes"],
      request: LanguageModel.Request,
      dialects: Dialects | undefined
    ) =>
      Effect.gen(function*() {
        const more = beside(limitsOf(headers, yield* DateTime.now), dialects)
        const facts = { ...who, status, headers, requestId: httpExchange.requestIdOf(headers) }
        const onBytes = yield* LanguageModel.CurrentLiveness
        const parts = decode.pull(protocol.decoder(facts, request), { ...settings, onBytes })(yield* fromStream(bytes))
        return Object.keys(more).length === 0 ? parts : mapped(parts, (part) => started(part, more))
      })

    /** The same, read to its end. */
    const collected = (...given: Parameters<typeof eventParts>) =>
      StreamPart.collect(toStream(eventParts(...given)), who)

    /** A reply in one piece. The first bytes outrank the content type: some servers send events although none were asked for. */
    const wholeReply = (
      incoming: httpExchange.Incoming,
      request: LanguageModel.Request,
      dialects: Dialects | undefined
    ): Effect.Effect<Response, ModelError.ModelError> =>
      isGood(incoming.status) && httpExchange.looksLikeEvents(incoming.text)
        ? collected(incoming, Stream.make(utf8.encode(incoming.text)), request, dialects)
        : read(incoming, dialects)

    const generated = (request: LanguageModel.Request) =>
      Effect.flatMap(
        outgoing(request, "generate"),
        ({ dialects, restoreCall, sent }) =>
          httpExchange.post(client, sent, who, isEventStream, (response) => {
            const reply = response._tag === "Whole"
              ? wholeReply(response.incoming, request, dialects)
              : collected(response, response.bytes, request, dialects)
            return restoreCall === undefined ? reply : Effect.map(reply, (own) => ownCalls(own, restoreCall))
          })
      )

    const streamed = (request: LanguageModel.Request) =>
      Effect.gen(function*() {
        const { dialects, restoreCall, sent } = yield* outgoing(request, "stream")
        const parts = yield* streamedParts(request, dialects, sent)
        return restoreCall === undefined ? parts : mapped(parts, (part) => ownCall(part, restoreCall))
      })

    const streamedParts = (
      request: LanguageModel.Request,
      dialects: Dialects | undefined,
      sent: httpExchange.Outgoing
    ) =>
      Effect.gen(function*() {
        const opened = yield* httpExchange.open(client, sent, who)
        const body = yield* recognised(opened)
        return yield* body._tag === "Events"
          ? eventParts(opened, body.bytes, request, dialects)
          : Effect.flatMap(
            read(body.incoming, dialects),
            (whole) => fromStream(Stream.fromIterable(StreamPart.fromResponse(whole)))
          )
      })

    /** A reply to a request for events: as events, or read where it is none of them. */
    const recognised = (
      opened: httpExchange.Opened
    ): Effect.Effect<httpExchange.Recognised, ModelError.ModelError, Scope.Scope> =>
      !isGood(opened.status) || isEmpty(opened)
        ? Effect.map(opened.whole, (incoming) => ({ _tag: "Whole", incoming }))
        : isWhole(opened.headers)
        ? opened.byFirstBytes
        : Effect.succeed({ _tag: "Events", bytes: opened.bytes })

    const ask = (dialects: Dialects | undefined): KeptExchange["ask"] => (sent) =>
      Effect.gen(function*() {
        const opened = yield* httpExchange.open(client, sent, who)
        const { headers, status } = opened
        const head = beside(limitsOf(headers, yield* DateTime.now), dialects)
        return { ...(yield* recognised(opened)), status, headers, withHead: (part) => started(part, head) }
      })

    const resumable = (keeps: NonNullable<Protocol<S>["keeps"]>) => (request: LanguageModel.Request) =>
      Effect.gen(function*() {
        const { dialects, restoreCall, sent } = yield* outgoing(request, "background")
        const reply = yield* keeps({ who, limits: settings, sent, ask: ask(dialects) }, request)
        const own = (parts: Stream.Stream<StreamPart.StreamPart, ModelError.ModelError>) =>
          Stream.mapError(
            restoreCall === undefined ? parts : Stream.map(parts, (part) => ownCall(part, restoreCall)),
            namingTool(request)
          )
        return { parts: own(reply.parts), resume: own(reply.resume), cancel: reply.cancel }
      }).pipe(Effect.mapError(namingTool(request)))

    return LanguageModel.make({
      name: model,
      provider,
      capabilities: protocol.keeps === undefined
        ? settings.capabilities
        : { ...settings.capabilities, resume: { ...settings.capabilities?.resume, vendor: true } },
      resumable: protocol.keeps === undefined ? undefined : resumable(protocol.keeps),
      generate: (request) => Effect.mapError(generated(request), namingTool(request)),
      stream: (request) => Stream.mapError(toStream(streamed(request)), namingTool(request)),
      check: (request) => {
        rememberSecrets(request)
        return Effect.mapError(encodeBody(request, "generate", settings, protocol), namingTool(request))
      }
    })
  })

// Vendors say by its place which tool they refuse a request for; people know it by its name.

/** Anthropic's `tools.3.custom.input_schema`, OpenAI's `tools[3].function`, Gemini's `tools[0].function_declarations[3]`. */
const place = /\btools?(?:\[|\.)(\d{1,4})\b/i
const nestedPlace = /\bfunction_?declarations(?:\[|\.)(\d{1,4})\b/i

/** The tool that the words of a refusal are about, by its place in the request. */
const toolIn = (words: string, names: ReadonlyArray<string>): string | undefined => {
  const match = nestedPlace.exec(words) ?? place.exec(words)
  return match === null ? undefined : names[Number(match[1])]
}

/** The same refusal with the name of the tool in its remedy, where it is about one tool that the caller gave. */
export const namingTool =
  ({ providerOptions, tools }: LanguageModel.Request) => (error: ModelError.ModelError): ModelError.ModelError => {
    if (error._tag !== "InvalidRequest" || error.status === undefined || error.remedy !== undefined) return error
    // Tools that stand in the provider's own options would shift the places.
    if (tools === undefined || providerOptions?.["tools"] !== undefined) return error
    const words = `${error.param ?? ""} ${error.detail ?? ""}`
    const name = toolIn(words, tools.definitions.map((definition) => definition.name))
    return name === undefined ? error : new ModelError.InvalidRequest({
      ...fieldsOf(error),
      remedy: `It is about the tool ${JSON.stringify(name)}: change its schema, or leave the tool out.`
    })
  }
