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
import * as Stream from "effect/Stream"
import * as ModelError from "../../error/ModelError.ts"
import { describeCause } from "../../internal/redact.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import type { RateLimitInfo } from "../../model/RateLimitInfo.ts"
import { Response } from "../../model/Response.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as ProviderError from "../ProviderError.ts"
import { fromHeaders } from "../RateLimitHeaders.ts"
import * as decode from "./decode.ts"
import * as httpExchange from "./httpExchange.ts"
import * as ownSecrets from "./ownSecrets.ts"

/** Whether the reply is wanted whole or as it comes. */
export type Kind = "generate" | "stream"

/** How one provider is spoken to. */
export interface Protocol<S> {
  /** Where a request goes. */
  readonly url: (kind: Kind) => string
  /**
   * The body of a request, to be written as JSON. A `TypeError` that it throws is told as an `InvalidRequest` about
   * `providerOptions`.
   */
  readonly encode: (request: LanguageModel.Request, kind: Kind) => { readonly [field: string]: unknown }
  /** The reply of status 200 to 299, or the error it really is. */
  readonly reply: (
    incoming: httpExchange.Incoming,
    who: httpExchange.Who,
    now: DateTime.Utc
  ) => Either.Either<Response, ModelError.ModelError>
  readonly decoder: (facts: decode.Facts) => decode.Decoder<S>
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
  readonly capabilities: Partial<LanguageModel.Capabilities> | undefined
}

/** The body as JSON text. What cannot be written is the request's fault, and is said before anything is sent. */
const encodeBody = <S>(
  request: LanguageModel.Request,
  kind: Kind,
  settings: Settings,
  protocol: Protocol<S>
): Either.Either<string, ModelError.ModelError> =>
  Either.try({
    try: () => {
      const body = protocol.encode(request, kind)
      if (kind === "generate" && body["stream"] === true) {
        throw new TypeError("stream: true asks for an event stream; generate reads one reply")
      }
      return JSON.stringify(body)
    },
    catch: (cause) =>
      new ModelError.InvalidRequest({
        provider: settings.provider,
        model: settings.model,
        param: "providerOptions",
        billed: "no",
        cause: describeCause(cause)
      })
  })

/** A reply in one piece although a stream was asked for: some servers know no streams, others answer errors so. */
const isWhole = (headers: { readonly [name: string]: string }): boolean =>
  /^\s*(application\/(problem\+)?json|text\/html)\b/i.test(httpExchange.header(headers, "content-type") ?? "")

const withLimits = (response: Response, rateLimit: RateLimitInfo | undefined): Response =>
  rateLimit === undefined || response.rateLimit !== undefined ? response : new Response({ ...response, rateLimit })

/** What the headers say of the caller's limits, where they say anything. */
const limitsOf = (headers: { readonly [name: string]: string }, now: DateTime.Utc): RateLimitInfo | undefined => {
  const info = fromHeaders(headers, now)
  return Object.keys(info).length === 0 ? undefined : info
}

/**
 * The model. Each request carries the header `idempotency-key`: the request's own, or 128 random bits from Effect's `Random`.
 */
export const make = <S>(
  settings: Settings,
  protocol: Protocol<S>
): Effect.Effect<LanguageModel.Service<ModelError.ModelError>, never, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const requestInit = Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit))
    const { maxBodyBytes, maxEventBytes, model, provider, secretHeaders } = settings
    const who = { provider, model }
    const hide = ownSecrets.hiding(settings.headers, secretHeaders)

    const outgoing = (request: LanguageModel.Request, kind: Kind) =>
      Effect.gen(function*() {
        const body = yield* encodeBody(request, kind, settings, protocol)
        const idempotencyKey = request.idempotencyKey ?? (yield* LanguageModel.freshIdempotencyKey)
        const headers = {
          accept: kind === "stream" ? "text/event-stream" : "application/json",
          "idempotency-key": idempotencyKey,
          ...settings.headers
        }
        return { url: protocol.url(kind), headers, body, maxBodyBytes, secretHeaders, requestInit }
      })

    const read = (incoming: httpExchange.Incoming) =>
      Effect.flatMap(DateTime.now, (now): Either.Either<Response, ModelError.ModelError> => {
        const { headers, status, text } = incoming
        return status >= 200 && status <= 299
          ? Either.map(protocol.reply(incoming, who, now), (response) => withLimits(response, limitsOf(headers, now)))
          : Either.left(ProviderError.fromResponse({ provider, model, status, headers, body: text, now }))
      })

    const started = (part: StreamPart.StreamPart, rateLimit: RateLimitInfo | undefined): StreamPart.StreamPart =>
      part._tag === "Start" && rateLimit !== undefined ? { ...part, rateLimit } : part

    return LanguageModel.make({
      name: model,
      provider,
      capabilities: settings.capabilities,
      generate: (request) =>
        outgoing(request, "generate").pipe(
          Effect.flatMap((sent) => httpExchange.post(client, sent, who)),
          Effect.flatMap(read),
          Effect.mapError(hide)
        ),
      stream: (request) =>
        Stream.unwrapScoped(Effect.gen(function*() {
          const opened = yield* httpExchange.open(client, yield* outgoing(request, "stream"), who)
          const { headers, status } = opened
          if (status < 200 || status > 299 || isWhole(headers)) {
            return Stream.fromIterable(StreamPart.fromResponse(yield* Effect.flatMap(opened.whole, read)))
          }
          const rateLimit = limitsOf(headers, yield* DateTime.now)
          const facts = { ...who, status, headers, requestId: httpExchange.requestIdOf(headers) }
          const parts = decode.bytes(protocol.decoder(facts), { maxEventBytes })(opened.bytes)
          return rateLimit === undefined ? parts : Stream.map(parts, (part) => started(part, rateLimit))
        })).pipe(Stream.mapError(hide))
    })
  })
