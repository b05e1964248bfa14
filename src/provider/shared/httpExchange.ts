/**
 * One request and its reply, whole or as it comes, with every way the transport can fail as a ModelError. The body is read
 * inside, so a cut in the middle is a typed failure too, and nothing of the platform's errors is kept: they hold the request
 * with its headers.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ModelError from "../../error/ModelError.ts"
import { type CauseInfo, describeCause, excerpt, secretHeaders } from "../../internal/redact.ts"
import { notUtf8 } from "./sse.ts"

/** Who is asked; it goes into every error. */
export interface Who {
  readonly provider: string
  readonly model: string
}

export interface Outgoing {
  /** Default: `"POST"`. */
  readonly method?: "GET" | undefined
  readonly url: string
  /** Names in lower case. */
  readonly headers: { readonly [name: string]: string }
  /** JSON text; absent where the address says it all. */
  readonly body: string | undefined
  readonly maxBodyBytes: number
  /** Headers whose values must not appear in a span, beside those known to be secret. */
  readonly secretHeaders: ReadonlyArray<string>
  /** For a fetch client: what to add to each of its requests. */
  readonly requestInit: RequestInit | undefined
}

/** A reply with its body as text. For a status outside 200 to 299 the text is what could be read of it. */
export interface Incoming {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly text: string
}

/** How the reading of a body ended. */
type Ending = { readonly _tag: "Complete" } | { readonly _tag: "TooLarge" } | {
  readonly _tag: "Cut"
  readonly cause: CauseInfo
}

interface Body {
  readonly bytes: Uint8Array
  readonly ending: Ending
}

/** An address may hold a key of its own: `?key=…`. */
const secretHeaderPatterns = [...secretHeaders, /^location$/]

/** Failures that come before a single byte of the request was sent, so it cannot have been billed. */
const unsentCodes = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID"
])

/** The header of that name, whatever its case. */
export const header = (headers: { readonly [name: string]: string }, name: string): string | undefined =>
  Object.hasOwn(headers, name) ? headers[name] : undefined

/** The id to quote to the provider's support. */
export const requestIdOf = (headers: { readonly [name: string]: string }): string | undefined =>
  header(headers, "x-request-id") ?? header(headers, "request-id") ?? header(headers, "apim-request-id") ??
    header(headers, "x-ms-request-id")

const causeOf = (error: HttpClientError.HttpClientError): CauseInfo => {
  if (error.cause === undefined || error.cause === null) {
    return { name: error._tag, message: error.description === undefined ? error.reason : excerpt(error.description) }
  }
  const cause = describeCause(error.cause)
  return cause.code === "UND_ERR_BODY_TIMEOUT" ? { ...cause, message: bodyLimit } : cause
}

const where = (url: string): string => {
  const parsed = new URL(url)
  return `${parsed.protocol}//${parsed.host}`
}

/** Node's fetch has limits of its own, which no option of a request changes: https://undici.nodejs.org, `headersTimeout`. */
const headersLimit =
  "the HTTP client itself gave up waiting for the head of the reply (Node's fetch waits 300 s unless " +
  "told otherwise); ask for a stream, or raise headersTimeout of the client's dispatcher (undici's Agent)"

const bodyLimit = "the HTTP client itself gave up waiting for more of the body (Node's fetch waits 300 s unless told " +
  "otherwise); raise bodyTimeout of the client's dispatcher (undici's Agent)"

const connectionFailed = (
  error: HttpClientError.RequestError,
  who: Who,
  url: string
): ModelError.ModelError => {
  const cause = causeOf(error)
  if (error.reason !== "Transport") return new ModelError.InvalidRequest({ ...who, cause, billed: "no" })
  if (cause.code === "UND_ERR_HEADERS_TIMEOUT") {
    return new ModelError.ConnectionFailed({ ...who, reason: headersLimit, billed: "maybe", cause })
  }
  const unsent = cause.code !== undefined && unsentCodes.has(cause.code)
  const code = cause.code === undefined ? "" : ` (${cause.code})`
  return new ModelError.ConnectionFailed({
    ...who,
    reason: unsent
      ? `${where(url)} cannot be reached${code}; check that the base URL is right and that the server runs`
      : `the connection to ${where(url)} broke before the reply began${code}`,
    billed: unsent ? "no" : "maybe",
    cause
  })
}

const concat = (chunks: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

/** Reads up to `limit` bytes; what comes beyond is not read, let alone kept. */
const readBody = (stream: HttpClientResponse.HttpClientResponse["stream"], limit: number): Effect.Effect<Body> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let size = 0
    let ending: Ending = { _tag: "Complete" }
    return stream.pipe(
      Stream.runForEachWhile((chunk) =>
        Effect.sync(() => {
          if (size + chunk.byteLength > limit) {
            ending = { _tag: "TooLarge" }
            return false
          }
          chunks.push(chunk)
          size += chunk.byteLength
          return true
        })
      ),
      Effect.catchAll((error) =>
        Effect.sync(() => {
          if (error.reason !== "EmptyBody") ending = { _tag: "Cut", cause: causeOf(error) }
        })
      ),
      Effect.map((): Body => ({ bytes: concat(chunks, size), ending }))
    )
  })

const lossyText = (bytes: Uint8Array): string => new TextDecoder("utf-8").decode(bytes)

/** Strict UTF-8. An incomplete last character says that the text was cut, a wrong one that it is not UTF-8 at all. */
const strictText = (bytes: Uint8Array): Either.Either<string, "NotUtf8" | "Cut"> => {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let text: string
  try {
    text = decoder.decode(bytes, { stream: true })
  } catch {
    return Either.left("NotUtf8")
  }
  try {
    return Either.right(text + decoder.decode())
  } catch {
    return Either.left("Cut")
  }
}

/** A length that counts the bytes we read: with a content encoding it counts other bytes. */
const announcedLength = (headers: Headers.Headers): number | undefined => {
  const length = header(headers, "content-length")
  const encoding = header(headers, "content-encoding") ?? "identity"
  return length !== undefined && /^\d+$/.test(length) && encoding === "identity" ? Number(length) : undefined
}

const wholeText = (
  response: HttpClientResponse.HttpClientResponse,
  body: Body,
  who: Who,
  limit: number
): Either.Either<string, ModelError.ModelError> => {
  const requestId = requestIdOf(response.headers)
  const facts = { ...who, status: response.status, ...(requestId === undefined ? {} : { requestId }) }
  const cut = (cause: CauseInfo): Either.Either<never, ModelError.ModelError> =>
    Either.left(new ModelError.Truncated({ ...facts, received: lossyText(body.bytes), cause }))
  switch (body.ending._tag) {
    case "Cut":
      return cut(body.ending.cause)
    case "TooLarge":
      return Either.left(
        new ModelError.MalformedResponse({
          ...facts,
          body: lossyText(body.bytes.subarray(0, 4_096)),
          reason:
            `the body is larger than maxBodyBytes (${limit} bytes), so it was not read to its end; raise maxBodyBytes if a reply can be that large`
        })
      )
  }
  const announced = announcedLength(response.headers)
  if (announced !== undefined && body.bytes.byteLength < announced) {
    return cut({
      name: "ContentLengthMismatch",
      message: `${body.bytes.byteLength} of ${announced} bytes came`
    })
  }
  const text = strictText(body.bytes)
  if (Either.isRight(text)) return Either.right(text.right)
  const encoding = header(response.headers, "content-encoding")
  return text.left === "Cut"
    ? cut({ name: "IncompleteCharacter", message: "the body ends inside a character" })
    : Either.left(
      new ModelError.MalformedResponse({
        ...facts,
        body: lossyText(body.bytes.subarray(0, 4_096)),
        reason: `${notUtf8("the body", body.bytes)}${encoding === undefined ? "" : ` (content-encoding: ${encoding})`}`
      })
    )
}

const redirected = (response: HttpClientResponse.HttpClientResponse, who: Who): ModelError.ModelError => {
  const location = header(response.headers, "location")
  return new ModelError.InvalidRequest({
    ...who,
    status: response.status,
    param: "baseUrl",
    billed: "no",
    cause: {
      name: "Redirect",
      message: `the server redirects${
        location === undefined ? "" : ` to ${excerpt(location, 300)}`
      }; redirects are not followed, as the key would go with them: set baseUrl to where the API is`
    }
  })
}

const isRedirect = (status: number): boolean => status === 0 || (status >= 300 && status < 400)

const requestOf = ({ body, headers, method, url }: Outgoing): HttpClientRequest.HttpClientRequest => {
  const request = HttpClientRequest.setHeaders(HttpClientRequest.make(method ?? "POST")(url), headers)
  return body === undefined ? request : HttpClientRequest.bodyText(request, body, "application/json")
}

/** Sends the request and waits for the head of the reply. */
const send = <R>(
  client: HttpClient.HttpClient.With<HttpClientError.HttpClientError, R>,
  outgoing: Outgoing,
  who: Who
): Effect.Effect<HttpClientResponse.HttpClientResponse, ModelError.ModelError, R> =>
  client.execute(requestOf(outgoing)).pipe(
    // A client that was told to fail on bad statuses still has the reply, and the reply says more.
    Effect.catchTag("ResponseError", (error) =>
      error.reason === "StatusCode"
        ? Effect.succeed(error.response)
        : Effect.fail(
          new ModelError.MalformedResponse({ ...who, reason: "the reply cannot be read", cause: causeOf(error) })
        )),
    Effect.catchTag("RequestError", (error) => Effect.fail(connectionFailed(error, who, outgoing.url))),
    Effect.locallyWith(
      Headers.currentRedactedNames,
      (names) => [...names, ...secretHeaderPatterns, ...outgoing.secretHeaders]
    ),
    // Of the fetch client only; other clients do not follow redirects unless told to.
    Effect.mapInputContext((context: Context.Context<R>) =>
      Context.add(context, FetchHttpClient.RequestInit, {
        ...outgoing.requestInit,
        ...Option.getOrUndefined(Context.getOption(context, FetchHttpClient.RequestInit)),
        redirect: "manual"
      })
    )
  )

/** The whole reply, read to its end. */
const whole = (
  response: HttpClientResponse.HttpClientResponse,
  outgoing: Outgoing,
  who: Who,
  stream = response.stream
): Effect.Effect<Incoming, ModelError.ModelError> =>
  Effect.flatMap(
    readBody(stream, outgoing.maxBodyBytes),
    (body): Effect.Effect<Incoming, ModelError.ModelError> => {
      const { headers, status } = response
      if (isRedirect(status)) return Effect.fail(redirected(response, who))
      if (status < 200 || status > 299) return Effect.succeed({ status, headers, text: lossyText(body.bytes) })
      return Either.map(
        wholeText(response, body, who, outgoing.maxBodyBytes),
        (text) => ({ status, headers, text })
      )
    }
  )

/**
 * Sends a POST and reads its reply. Interrupting it aborts the request. A good reply whose headers say that it comes as
 * events is handed over unread.
 */
export const post = (
  client: HttpClient.HttpClient,
  outgoing: Outgoing,
  who: Who,
  isEvents: (headers: Incoming["headers"]) => boolean
): Effect.Effect<Posted, ModelError.ModelError> =>
  Effect.flatMap(
    send(client, outgoing, who),
    (response): Effect.Effect<Posted, ModelError.ModelError> =>
      response.status >= 200 && response.status <= 299 && isEvents(response.headers)
        ? Effect.succeed({
          _tag: "Events",
          status: response.status,
          headers: response.headers,
          bytes: bytesOf(response, who)
        })
        : Effect.map(whole(response, outgoing, who), (incoming) => ({ _tag: "Whole", incoming }))
  )

/** The reply to a POST: read, or as the events that its headers announce. */
export type Posted =
  | { readonly _tag: "Whole"; readonly incoming: Incoming }
  | ({ readonly _tag: "Events" } & Pick<Opened, "status" | "headers" | "bytes">)

/** A reply whose body has not been read. Read it once: as `bytes` or as a `whole`. */
export interface Opened {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  /** Fails with `Truncated`, whose `received` is empty, when the connection breaks. Pulled by the reader. */
  readonly bytes: Stream.Stream<Uint8Array, ModelError.ModelError>
  readonly whole: Effect.Effect<Incoming, ModelError.ModelError>
  /** The same body as events, where its first bytes say that it holds some, and else as a whole. */
  readonly byFirstBytes: Effect.Effect<Recognised, ModelError.ModelError, Scope.Scope>
}

/** What the first bytes of a body say that it is. */
export type Recognised =
  | { readonly _tag: "Events"; readonly bytes: Stream.Stream<Uint8Array, ModelError.ModelError> }
  | { readonly _tag: "Whole"; readonly incoming: Incoming }

/** The bytes as they come; a body that ends before its announced length was cut. */
const bytesOf = (
  response: HttpClientResponse.HttpClientResponse,
  who: Who,
  stream = response.stream
): Stream.Stream<Uint8Array, ModelError.ModelError> =>
  Stream.suspend(() => {
    const requestId = requestIdOf(response.headers)
    const facts = { ...who, status: response.status, ...(requestId === undefined ? {} : { requestId }) }
    const cut = (cause: CauseInfo): ModelError.ModelError => new ModelError.Truncated({ ...facts, received: "", cause })
    const announced = announcedLength(response.headers)
    let size = 0
    const bytes = stream.pipe(
      Stream.catchAll((error) => error.reason === "EmptyBody" ? Stream.empty : Stream.fail(cut(causeOf(error))))
    )
    return announced === undefined ? bytes : Stream.concat(
      Stream.map(bytes, (chunk) => {
        size += chunk.byteLength
        return chunk
      }),
      Stream.suspend(() =>
        size < announced
          ? Stream.fail(cut({ name: "ContentLengthMismatch", message: `${size} of ${announced} bytes came` }))
          : Stream.empty
      )
    )
  })

/** The fields of server-sent events, and their comments. */
const eventStart = /^(?:data|event|id|retry|error) ?:|^:/

/** Whether a text is a stream of events, whatever the content type calls it. A JSON text never begins like one. */
export const looksLikeEvents = (text: string): boolean => eventStart.test(text.slice(0, 200).trimStart())

/** Blanks before the first character are kept for this long. */
const mostBlanks = 4_096

/** Reads as much of the body as shows what it is; what was read is handed on with the rest. */
const recognised = (
  response: HttpClientResponse.HttpClientResponse,
  outgoing: Outgoing,
  who: Who
): Effect.Effect<Recognised, ModelError.ModelError, Scope.Scope> =>
  Effect.gen(function*() {
    const pull = yield* Stream.toPull(response.stream)
    const start: Array<Uint8Array> = []
    let size = 0
    let text = ""
    // "event" alone may still become "event:".
    while (text.trimStart().length < 8 && size < mostBlanks) {
      const next = yield* Effect.either(pull)
      if (next._tag === "Left") {
        if (Option.isNone(next.left)) break
        const rest = Stream.fail(next.left.value)
        const incoming = yield* whole(response, outgoing, who, Stream.concat(Stream.fromIterable(start), rest))
        return { _tag: "Whole", incoming }
      }
      for (const bytes of next.right) {
        start.push(bytes)
        size += bytes.byteLength
        if (text.length < mostBlanks) text += lossyText(bytes.subarray(0, mostBlanks))
      }
    }
    const all = Stream.concat(Stream.fromIterable(start), Stream.fromPull(Effect.succeed(pull)))
    return looksLikeEvents(text)
      ? { _tag: "Events", bytes: bytesOf(response, who, all) }
      : { _tag: "Whole", incoming: yield* whole(response, outgoing, who, all) }
  })

/**
 * Sends the request and gives its reply as soon as the head has come. Closing the scope aborts the request, read or not, so an
 * interrupted reader leaves no socket behind.
 */
export const open = (
  client: HttpClient.HttpClient,
  outgoing: Outgoing,
  who: Who
): Effect.Effect<Opened, ModelError.ModelError, Scope.Scope> =>
  Effect.flatMap(
    send(HttpClient.withScope(client), outgoing, who),
    (response) =>
      isRedirect(response.status) ? Effect.fail(redirected(response, who)) : Effect.succeed({
        status: response.status,
        headers: response.headers,
        bytes: bytesOf(response, who),
        whole: whole(response, outgoing, who),
        byFirstBytes: recognised(response, outgoing, who)
      })
  )
