/**
 * One request and its reply, whole or as it comes, with every way the transport can fail as a ModelError. The body is read
 * inside, so a cut in the middle is a typed failure too, and nothing of the platform's errors is kept: they hold the request
 * with its headers.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ModelError from "../../error/ModelError.ts"
import { ownTurn } from "../../internal/eventLoop.ts"
import { definedFields } from "../../internal/record.ts"
import { type CauseInfo, describeCause, excerpt, redact, textProperty, visible } from "../../internal/redact.ts"
import * as httpSpan from "./httpSpan.ts"
import * as keepAlive from "./keepAlive.ts"
import * as ownSecrets from "./ownSecrets.ts"
import * as replyBody from "./replyBody.ts"
import * as requestRegion from "./requestRegion.ts"
import { notUtf8 } from "./sse.ts"

/** Who is asked; it goes into every error. */
export interface Who {
  readonly provider: string
  readonly model: string
}

/** Bytes with their content type. */
export interface TypedBytes {
  readonly type: string
  readonly bytes: Uint8Array
}

export interface Outgoing extends requestRegion.Settings {
  /** Default: `"POST"`. */
  readonly method?: "GET" | undefined
  readonly url: string
  /** Names in lower case. */
  readonly headers: { readonly [name: string]: string }
  /** JSON text, or what an upload sends; absent where the address says it all. */
  readonly body: string | FormData | TypedBytes | undefined
  readonly maxBodyBytes: number
}

/** How a reply begins. */
interface Head {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
}

/** A reply with its body as text. For a status outside 200 to 299 the text is what could be read of it. */
export interface Incoming extends Head {
  readonly text: string
}

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

/** The header of that name, in lower case. A client without types may hand over what is no text. */
export const header = (headers: { readonly [name: string]: string }, name: string): string | undefined => {
  const value: unknown = Object.hasOwn(headers, name) ? headers[name] : undefined
  return typeof value === "string" ? value : undefined
}

/** The id to quote to the provider's support. */
export const requestIdOf = (headers: { readonly [name: string]: string }): string | undefined => {
  const id = header(headers, "x-request-id") ?? header(headers, "request-id") ??
    header(headers, "apim-request-id") ?? header(headers, "x-ms-request-id")
  return id === undefined ? undefined : visible(id)
}

/** What every error about a reply carries. */
export interface Facts extends Who {
  readonly status: number
  readonly requestId?: string
}

export const factsIn = ({ headers, status }: Head, who: Who): Facts => ({
  ...who,
  status,
  ...definedFields({ requestId: requestIdOf(headers) })
})

const causeOf = (error: HttpClientError.HttpClientError | { readonly cause: unknown }): CauseInfo => {
  if ("_tag" in error && (error.cause === undefined || error.cause === null)) {
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
const announcedLength = (headers: Head["headers"]): number | undefined => {
  const length = header(headers, "content-length")
  const encoding = header(headers, "content-encoding") ?? "identity"
  return length !== undefined && /^\d+$/.test(length) && encoding === "identity" ? Number(length) : undefined
}

const wholeText = (
  head: Head,
  body: replyBody.ReplyBody,
  who: Who,
  limit: number
): Either.Either<string, ModelError.ModelError> => {
  const { headers } = head
  const facts = factsIn(head, who)
  const cut = (cause: CauseInfo): Either.Either<never, ModelError.ModelError> =>
    Either.left(new ModelError.Truncated({ ...facts, received: lossyText(body.bytes), cause }))
  switch (body.ending._tag) {
    case "Cut":
      return cut(causeOf(body.ending.error))
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
  const announced = announcedLength(headers)
  if (announced !== undefined && body.bytes.byteLength < announced) {
    return cut({
      name: "ContentLengthMismatch",
      message: `${body.bytes.byteLength} of ${announced} bytes came`
    })
  }
  const text = strictText(body.bytes)
  if (Either.isRight(text)) return Either.right(text.right)
  const encoding = header(headers, "content-encoding")
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

const redirected = ({ headers, status }: Head, who: Who): ModelError.ModelError => {
  const location = header(headers, "location")
  return new ModelError.InvalidRequest({
    ...who,
    status,
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
  if (body === undefined) return request
  if (typeof body === "string") return HttpClientRequest.bodyText(request, body, "application/json")
  return body instanceof FormData
    ? HttpClientRequest.bodyFormData(request, body)
    : HttpClientRequest.bodyUint8Array(request, body.bytes, body.type)
}

/** A client whose requests are aborted when the scope is closed. */
export type Client = HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>

/** To be made once for a client, and not for each of its requests. */
export const abortable = (client: HttpClient.HttpClient): Client => HttpClient.withScope(client)

/** A reply whose head has come. */
class Reply implements Head {
  readonly response: HttpClientResponse.HttpClientResponse
  readonly status: number
  // The platform's clients make the headers anew each time they are asked for them.
  readonly headers: Head["headers"]
  private readonly abort: requestRegion.Abort

  constructor(response: HttpClientResponse.HttpClientResponse, abort: requestRegion.Abort) {
    this.response = response
    this.status = response.status
    this.headers = response.headers
    this.abort = abort
  }

  /** All of it has been read. */
  onRead(): void {
    this.abort.giveUp()
  }
}

/** A defect of the client may hold the request with its headers; its words and its stack are enough to find it. */
const withoutRequest = (defect: unknown): Error => {
  const { message, name } = describeCause(defect)
  const error = new Error(message)
  error.name = name
  const stack = typeof defect === "object" && defect !== null ? textProperty(defect, "stack") : undefined
  if (stack !== undefined) error.stack = redact(stack)
  return error
}

/** Sends the request and waits for the head of the reply. */
const send = (
  client: Client,
  outgoing: Outgoing,
  who: Who,
  abort: requestRegion.Abort
): Effect.Effect<Reply, ModelError.ModelError, Scope.Scope> => {
  const { headers, url } = outgoing
  const request = requestOf(outgoing)
  return keepAlive.send(
    headers["idempotency-key"],
    (resends) =>
      Effect.matchEffect(httpSpan.traced(client.execute(request), resends), {
        onSuccess: (response) => {
          ownSecrets.rememberAdded(response.request.headers, headers)
          return Effect.succeed(new Reply(response, abort))
        },
        onFailure: (error) => {
          ownSecrets.rememberAdded(error.request.headers, headers)
          // A client that was told to fail on bad statuses still has the reply, and the reply says more.
          if (error._tag === "ResponseError" && error.reason === "StatusCode") {
            return Effect.succeed(new Reply(error.response, abort))
          }
          return Effect.fail(
            error._tag === "RequestError"
              ? connectionFailed(error, who, url)
              : new ModelError.MalformedResponse({ ...who, reason: "the reply cannot be read", cause: causeOf(error) })
          )
        }
      })
  ).pipe(Effect.catchAllDefect((defect) => Effect.die(withoutRequest(defect))))
}

/** The whole reply, read to its end. */
const whole = (
  reply: Reply,
  outgoing: Outgoing,
  who: Who,
  stream?: HttpClientResponse.HttpClientResponse["stream"]
): Effect.Effect<Incoming, ModelError.ModelError> =>
  Effect.flatMap(
    Effect.zipLeft(
      stream === undefined
        ? replyBody.read(reply.response, outgoing.maxBodyBytes)
        : replyBody.readStream(stream, outgoing.maxBodyBytes),
      ownTurn
    ),
    (body): Effect.Effect<Incoming, ModelError.ModelError> => {
      const { headers, status } = reply
      if (body.ending._tag === "Complete") reply.onRead()
      if (isRedirect(status)) return Effect.fail(redirected(reply, who))
      if (status < 200 || status > 299) return Effect.succeed({ status, headers, text: lossyText(body.bytes) })
      return Either.map(
        wholeText(reply, body, who, outgoing.maxBodyBytes),
        (text) => ({ status, headers, text })
      )
    }
  )

/**
 * Sends a POST and reads its reply. A request that is not over when `use` is, is aborted. A good reply whose headers say that
 * it comes as events is handed over unread.
 */
export const post = <A>(
  client: Client,
  outgoing: Outgoing,
  who: Who,
  isEvents: (headers: Incoming["headers"]) => boolean,
  use: (posted: Posted) => Effect.Effect<A, ModelError.ModelError>
): Effect.Effect<A, ModelError.ModelError> =>
  requestRegion.whole(outgoing, (abort) =>
    Effect.flatMap(send(client, outgoing, who, abort), (reply) => {
      const { headers, status } = reply
      return status >= 200 && status <= 299 && isEvents(headers)
        ? use({ _tag: "Events", status, headers, bytes: bytesOf(reply, who) })
        : Effect.flatMap(whole(reply, outgoing, who), (incoming) => use({ _tag: "Whole", incoming }))
    }))

/** The reply to a POST: read, or as the events that its headers announce. */
export type Posted =
  | { readonly _tag: "Whole"; readonly incoming: Incoming }
  | ({ readonly _tag: "Events" } & Pick<Opened, "status" | "headers" | "bytes">)

/** A reply whose body has not been read. Read it once: as `bytes` or as a `whole`. */
export interface Opened extends Head {
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
  reply: Reply,
  who: Who,
  stream = reply.response.stream
): Stream.Stream<Uint8Array, ModelError.ModelError> =>
  Stream.suspend(() => {
    const { headers } = reply
    const facts = factsIn(reply, who)
    const cut = (cause: CauseInfo): ModelError.ModelError => new ModelError.Truncated({ ...facts, received: "", cause })
    const announced = announcedLength(headers)
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
  reply: Reply,
  outgoing: Outgoing,
  who: Who
): Effect.Effect<Recognised, ModelError.ModelError, Scope.Scope> =>
  Effect.gen(function*() {
    const pull = yield* Stream.toPull(reply.response.stream)
    const start: Array<Uint8Array> = []
    let size = 0
    let text = ""
    // "event" alone may still become "event:".
    while (text.trimStart().length < 8 && size < mostBlanks) {
      const next = yield* Effect.either(pull)
      if (next._tag === "Left") {
        if (Option.isNone(next.left)) break
        const rest = Stream.fail(next.left.value)
        const incoming = yield* whole(reply, outgoing, who, Stream.concat(Stream.fromIterable(start), rest))
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
      ? { _tag: "Events", bytes: bytesOf(reply, who, all) }
      : { _tag: "Whole", incoming: yield* whole(reply, outgoing, who, all) }
  })

/**
 * Sends the request and gives its reply as soon as the head has come. Closing the scope aborts the request, read or not, so an
 * interrupted reader leaves no socket behind.
 */
export const open = (
  client: Client,
  outgoing: Outgoing,
  who: Who
): Effect.Effect<Opened, ModelError.ModelError, Scope.Scope> =>
  requestRegion.opened(outgoing, (abort) =>
    Effect.flatMap(send(client, outgoing, who, abort), (reply) => {
      const { headers, status } = reply
      return isRedirect(status) ? Effect.fail(redirected(reply, who)) : Effect.succeed({
        status,
        headers,
        bytes: bytesOf(reply, who),
        whole: whole(reply, outgoing, who),
        byFirstBytes: recognised(reply, outgoing, who)
      })
    }))
