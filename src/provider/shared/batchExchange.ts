/**
 * What the batch services of all vendors share: the exchanges about a job, and their results read line by line. A `Wire` says
 * where a vendor has what; the bodies of requests and replies are those of its live calls.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { JobFailed, Unanswered } from "../../error/BatchError.ts"
import * as ModelError from "../../error/ModelError.ts"
import { type Line, LineCutter } from "../../internal/lineCutter.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import * as strictJson from "../../internal/strictJson.ts"
import type * as BatchService from "../../model/BatchService.ts"
import * as ProviderError from "../ProviderError.ts"
import * as httpExchange from "./httpExchange.ts"
import * as httpModel from "./httpModel.ts"
import { parse } from "./jsonBody.ts"
import * as ownSecrets from "./ownSecrets.ts"

/** A reply of status 200 to 299 whose body is a JSON object. */
export interface Answer {
  readonly headers: { readonly [name: string]: string }
  readonly text: string
  readonly fields: Fields
}

/** What is sent beside the address. */
export interface Content {
  readonly method?: "GET"
  readonly body?: httpExchange.Outgoing["body"]
  readonly headers?: { readonly [name: string]: string }
}

/** The exchanges with one vendor. */
export interface Http {
  readonly who: httpExchange.Who
  /** An error of the vendor is a failure. */
  readonly ask: (url: string, content?: Content) => Effect.Effect<Answer, ModelError.ModelError>
  /** The lines of a file that are not blank, as they come. */
  readonly lines: (url: string) => Stream.Stream<Told, ModelError.ModelError>
  readonly malformed: (reason: string, text?: string) => ModelError.ModelError
}

/** What a result says of its entry. */
export type Told =
  | {
    readonly _tag: "Reply"
    readonly id: string
    readonly status: number
    readonly requestId?: string | undefined
    /** The body to the letter. */
    readonly text: string
  }
  | { readonly _tag: "Error"; readonly id: string; readonly status: number; readonly body: unknown }
  | { readonly _tag: "Unanswered"; readonly id: string; readonly reason: Unanswered["reason"] }
  | { readonly _tag: "Unreadable"; readonly reason: string }

/** How one vendor's service is spoken to. */
export interface Wire {
  readonly vendor: string
  readonly limits: BatchService.Limits
  readonly foundBy: BatchService.Service["foundBy"]
  /** The entry of a request, from its body. */
  readonly entry: (id: string, body: string) => string
  /** Reads one result; `undefined` where it is none. `text` is the result as it was written. */
  readonly told: (result: Fields, text: string) => Told | undefined
  readonly upload: (
    http: Http,
    entries: ReadonlyArray<BatchService.Entry>,
    marker: string
  ) => Effect.Effect<string | undefined, ModelError.ModelError>
  readonly create: (
    http: Http,
    input: BatchService.Input,
    marker: string
  ) => Effect.Effect<BatchService.Job, ModelError.ModelError>
  readonly poll: (http: Http, id: string) => Effect.Effect<BatchService.Job, ModelError.ModelError>
  readonly results: (http: Http, id: string) => Stream.Stream<Told, ModelError.ModelError>
  readonly cancel: (http: Http, id: string) => Effect.Effect<unknown, ModelError.ModelError>
  readonly find: (
    http: Http,
    wanted: BatchService.Wanted
  ) => Effect.Effect<ReadonlyArray<BatchService.Job>, ModelError.ModelError>
}

/** The times of jobs are those of the vendor's clock, which may differ from ours by so much. */
export const clockSkewMillis = 120_000

/** No list of jobs is read further than this. */
export const mostPages = 100

const utf8 = new TextEncoder()
const strictUtf8 = new TextDecoder("utf-8", { fatal: true })

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    return undefined
  }
}

const unreadable = (reason: string): Told => ({ _tag: "Unreadable", reason })

/** The failure of a job that the service refused. */
export const jobFailed = (
  { model, provider }: httpExchange.Who,
  job: string,
  faults: JobFailed["faults"],
  retryable: boolean
): JobFailed => new JobFailed({ provider, model, job, faults, retryable })

/** Whether a refusal says that the service does not see the file it was given; sent again, it may. */
export const saysFileIsLost = (text: string): boolean =>
  /no such file|file.{0,100}not.{0,20}found|not found: files\//i.test(text.slice(0, 1_000))

/** A file that is cut off ends within a line: its last line has no end, and is no JSON by itself. */
const readLine = (
  { bytes }: Line,
  isLast: boolean,
  told: Wire["told"]
): Either.Either<Told | undefined, "Cut"> => {
  if (bytes === undefined) return Either.right(unreadable("the line is longer than maxBodyBytes"))
  const text = textOf(bytes)
  if (text === undefined) return isLast ? Either.left("Cut") : Either.right(unreadable("the line is no UTF-8"))
  if (text.trim() === "") return Either.right(undefined)
  const json = strictJson.parse(text, { maxLength: text.length })
  if (Either.isLeft(json)) {
    return isLast ? Either.left("Cut") : Either.right(unreadable(`the line is no JSON (${json.left.reason})`))
  }
  const { value } = json.right
  return Either.right((isRecord(value) ? told(value, text) : undefined) ?? unreadable("the line is no result"))
}

/** Lines come in pieces of any size; what is kept of them is one line. */
const linesOf = (
  bytes: Stream.Stream<Uint8Array, ModelError.ModelError>,
  most: number,
  told: Wire["told"],
  cut: () => ModelError.ModelError
): Stream.Stream<Told, ModelError.ModelError> =>
  Stream.suspend(() => {
    const cutter = new LineCutter(most)
    const read = (lines: ReadonlyArray<Line>, isLast: boolean): Effect.Effect<Array<Told>, ModelError.ModelError> => {
      const all: Array<Told> = []
      for (const line of lines) {
        const each = readLine(line, isLast, told)
        if (Either.isLeft(each)) return Effect.fail(cut())
        if (each.right !== undefined) all.push(each.right)
      }
      return Effect.succeed(all)
    }
    return Stream.mapConcatEffect(bytes, (each) => read(cutter.feed(each), false)).pipe(
      Stream.concat(
        Stream.mapConcatEffect(Stream.suspend(() => Stream.make(cutter.rest())), (rest) => read(rest, true))
      )
    )
  })

/** The service of a vendor. */
export const make = <S>(
  settings: httpModel.Settings,
  protocol: httpModel.Protocol<S>,
  wire: Wire
): Effect.Effect<BatchService.Service, never, HttpClient.HttpClient> =>
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
    const malformed = (reason: string, text?: string): ModelError.ModelError =>
      new ModelError.MalformedResponse({ ...who, reason, ...definedFields({ body: text }) })

    // Without an idempotency key: no service heeds it, and nothing is sent twice behind our back.
    const open = (url: string, { body, headers, method }: Content) =>
      Effect.suspend(() => {
        ownSecrets.rememberAll(secrets)
        return httpExchange.open(client, {
          method,
          url,
          headers: { accept: "*/*", ...settings.headers, ...headers },
          body,
          maxBodyBytes,
          secretHeaders,
          requestInit
        }, who)
      })

    const refused = ({ headers, status, text }: httpExchange.Incoming) =>
      Effect.flatMap(DateTime.now, (now) =>
        Effect.fail(ProviderError.fromResponse({ ...who, status, headers, body: text, now })))

    const isGood = ({ status }: { readonly status: number }) =>
      status >= 200 && status <= 299

    const ask: Http["ask"] = (url, content = {}) =>
      Effect.scoped(Effect.flatMap(open(url, content), ({ whole }) => whole)).pipe(
        Effect.flatMap((incoming): Effect.Effect<Answer, ModelError.ModelError> => {
          if (!isGood(incoming)) return refused(incoming)
          const { headers, text } = incoming
          // A cancel is answered by nothing at all.
          if (text.trim() === "") return Effect.succeed({ headers, text, fields: {} })
          return Effect.flatMap(parse(incoming, httpExchange.factsIn(incoming, who)), (value) =>
            isRecord(value)
              ? Effect.succeed({ headers, text, fields: value })
              : Effect.fail(malformed("the body is no JSON object", text)))
        })
      )

    const lines: Http["lines"] = (url) =>
      Stream.unwrapScoped(Effect.map(open(url, { method: "GET" }), (opened) =>
        isGood(opened)
          ? linesOf(opened.bytes, maxBodyBytes, wire.told, () =>
            new ModelError.Truncated({
              ...httpExchange.factsIn(opened, who),
              received: "",
              cause: { name: "IncompleteLine", message: "the file of results ends within a line" }
            }))
          : Stream.unwrap(Effect.flatMap(opened.whole, refused))))

    const http: Http = { who, ask, lines, malformed }

    const result = (job: string) => (told: Told): Effect.Effect<BatchService.Result> =>
      Effect.map(DateTime.now, (now): BatchService.Result => {
        switch (told._tag) {
          case "Unreadable":
            return { outcome: Either.left(malformed(told.reason)) }
          case "Unanswered":
            return { id: told.id, outcome: Either.left(new Unanswered({ ...who, job, reason: told.reason })) }
          case "Error":
            return {
              id: told.id,
              outcome: Either.left(ProviderError.fromResponse({ ...who, status: told.status, body: told.body, now }))
            }
          case "Reply": {
            const { id, requestId, status, text } = told
            const headers: { readonly [name: string]: string } = definedFields({ "x-request-id": requestId })
            return { id, outcome: httpModel.readReply(settings, protocol, { status, headers, text }, now) }
          }
        }
      })

    return {
      name: model,
      provider,
      vendor: wire.vendor,
      limits: wire.limits,
      foundBy: wire.foundBy,
      write: (request, id) =>
        Effect.map(httpModel.encodeBody(request, "generate", settings, protocol), (encoded) => ({
          id,
          bytes: utf8.encode(wire.entry(id, encoded.body)),
          restore: httpModel.restored(encoded)
        })).pipe(Effect.mapError(httpModel.namingTool(request))),
      upload: (entries, marker) =>
        Effect.map(wire.upload(http, entries, marker), (file) => ({ entries, ...definedFields({ file }) })),
      create: (input, marker) => wire.create(http, input, marker),
      poll: (id) => wire.poll(http, id),
      results: (id) => Stream.mapEffect(wire.results(http, id), result(id)),
      cancel: (id) => Effect.asVoid(wire.cancel(http, id)),
      find: (wanted) => wire.find(http, wanted)
    }
  })
