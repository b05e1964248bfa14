/** Gemini's batch mode of the Developer API. https://ai.google.dev/gemini-api/docs/batch-api */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as ModelError from "../../error/ModelError.ts"
import { definedFields, type Fields, isRecord, listOf } from "../../internal/record.ts"
import type * as BatchService from "../../model/BatchService.ts"
import { type Http, jobFailed, mostPages, saysFileIsLost, type Told, type Wire } from "../shared/batchExchange.ts"
import { header } from "../shared/httpExchange.ts"
import { nonBlank } from "../shared/jsonBody.ts"
import { endpoint } from "../shared/options.ts"
import { rawAt } from "../shared/rawJson.ts"
import { path } from "./wire.ts"

const metadataOf = (operation: Fields): Fields => isRecord(operation["metadata"]) ? operation["metadata"] : {}

/** The state without the prefix that it has on the wire, or in the SDKs. */
const stateOf = (operation: Fields): string => {
  const { state } = metadataOf(operation)
  return typeof state === "string" ? state.replace(/^(?:BATCH|JOB)_STATE_/, "") : ""
}

/** Counts are texts on this wire. */
const wholeNumber = (value: unknown): number | undefined =>
  (typeof value === "string" || typeof value === "number") && /^\d{1,15}$/.test(String(value))
    ? Number(value)
    : undefined

const countsOf = (operation: Fields): BatchService.Job["counts"] => {
  const { batchStats: stats } = metadataOf(operation)
  const total = isRecord(stats) ? wholeNumber(stats["requestCount"]) : undefined
  return !isRecord(stats) || total === undefined ? undefined : {
    total,
    succeeded: wholeNumber(stats["successfulRequestCount"]) ?? 0,
    failed: wholeNumber(stats["failedRequestCount"]) ?? 0
  }
}

/** Where the results are: they are told twice, and small jobs answer inline whatever was asked for. */
interface Output {
  readonly file: string | undefined
  /** The inline results, and their path in the body. */
  readonly inline: readonly [path: ReadonlyArray<string>, results: ReadonlyArray<unknown>] | undefined
}

const fileName = /^files\/[\w.-]{1,200}$/

const outputOf = (operation: Fields): Output => {
  for (const place of [["response"], ["metadata", "output"]]) {
    const holder = place.reduce<unknown>((at, step) => isRecord(at) ? at[step] : undefined, operation)
    if (!isRecord(holder)) continue
    const file = nonBlank(holder["responsesFile"])
    if (file !== undefined && fileName.test(file)) return { file, inline: undefined }
    const inlined = holder["inlinedResponses"]
    const results = isRecord(inlined) ? inlined["inlinedResponses"] : undefined
    if (Array.isArray(results)) {
      return { file: undefined, inline: [[...place, "inlinedResponses", "inlinedResponses"], results] }
    }
  }
  return { file: undefined, inline: undefined }
}

/** Canonical codes that are none of HTTP: https://cloud.google.com/apis/design/errors */
const statuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]

const passing = new Set([429, 499, 500, 503, 504])

const statusOf = (error: Fields): number => {
  const code = wholeNumber(error["code"])
  return code === undefined ? 500 : code >= 400 && code < 600 ? code : statuses[code] ?? 500
}

const jobName = /^batches\/[\w.-]{1,200}$/

const jobOf = (http: Http, operation: Fields): BatchService.Job | undefined => {
  const id = nonBlank(operation["name"])
  if (id === undefined || !jobName.test(id)) return undefined
  const counts = definedFields({ counts: countsOf(operation) })
  const { file, inline } = outputOf(operation)
  const hasOutput = file !== undefined || inline !== undefined
  const { error } = operation
  switch (stateOf(operation)) {
    case "CANCELLED":
      return { id, state: "ended", ...counts, unanswered: "cancelled" }
    case "EXPIRED":
      return { id, state: "ended", ...counts, unanswered: "expired" }
    case "SUCCEEDED":
    case "PARTIALLY_SUCCEEDED":
      return { id, state: "ended", ...counts }
    case "FAILED":
      break
    default:
      if (operation["done"] !== true) return { id, state: "running", ...counts }
  }
  if (hasOutput) return { id, state: "ended", ...counts }
  const told = isRecord(error) ? error : {}
  const fault = definedFields({
    code: nonBlank(told["status"]) ?? (told["code"] === undefined ? undefined : String(told["code"])),
    message: nonBlank(told["message"])
  })
  const status = statusOf(told)
  const retryable = passing.has(status) || saysFileIsLost(nonBlank(told["message"]) ?? "")
  return {
    id,
    state: "refused",
    failure: jobFailed(http.who, id, Object.keys(fault).length === 0 ? [] : [fault], retryable)
  }
}

/** A line of a file has its key at the top, an inline result under its metadata. */
const keyOf = (result: Fields): string | undefined => {
  const { key, metadata } = result
  return nonBlank(key) ?? (isRecord(metadata) ? nonBlank(metadata["key"]) : undefined)
}

const told = (result: Fields, text: string): Told | undefined => {
  const id = keyOf(result)
  // Never by its place: results come out of order.
  if (id === undefined) return { _tag: "Unreadable", reason: "the result has no key" }
  if (isRecord(result["response"])) {
    return { _tag: "Reply", id, status: 200, text: rawAt(text, ["response"]) ?? "" }
  }
  const error = [result["error"], result["status"]].find(isRecord)
  if (error === undefined) return undefined
  const status = statusOf(error)
  // Nobody but the job's owner cancels a request of it.
  return status === 499
    ? { _tag: "Unanswered", id, reason: "cancelled" }
    : { _tag: "Error", id, status, body: { error } }
}

/** How much of a file is sent at a time; a multiple of 256 KiB, as the protocol of uploads wants. */
const pieceBytes = 8 * 1024 * 1024

/** The entries as pieces of a file. No more than one piece is made at a time. */
function* pieces(entries: ReadonlyArray<BatchService.Entry>): Generator<readonly [piece: Uint8Array, isLast: boolean]> {
  let piece = new Uint8Array(pieceBytes)
  let length = 0
  for (const { bytes } of entries) {
    const line = new Uint8Array(bytes.byteLength + 1)
    line.set(bytes)
    line[bytes.byteLength] = 0x0a
    for (let from = 0; from < line.byteLength;) {
      if (length === pieceBytes) {
        yield [piece, false]
        piece = new Uint8Array(pieceBytes)
        length = 0
      }
      const part = line.subarray(from, from + pieceBytes - length)
      piece.set(part, length)
      length += part.byteLength
      from += part.byteLength
    }
  }
  yield [piece.subarray(0, length), true]
}

const sizeOf = (entries: ReadonlyArray<BatchService.Entry>): number =>
  entries.reduce((size, { bytes }) => size + bytes.byteLength + 1, 0)

/** Files go to and come from paths beside that of the API: `/upload/v1beta/files`. */
const besides = (
  baseUrl: string,
  kind: "upload" | "download",
  tail: string,
  query?: { readonly [name: string]: string }
): string => {
  const url = new URL(baseUrl)
  url.pathname = url.pathname.replace(/\/([^/]+)\/*$/, `/${kind}/$1`)
  return endpoint(url.href, tail, query)
}

const uploaded = (
  http: Http,
  baseUrl: string,
  entries: ReadonlyArray<BatchService.Entry>,
  marker: string
): Effect.Effect<string, ModelError.ModelError> =>
  Effect.gen(function*() {
    const start = yield* http.ask(besides(baseUrl, "upload", "/files"), {
      body: JSON.stringify({ file: { displayName: marker, mimeType: "application/jsonl" } }),
      headers: {
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": String(sizeOf(entries)),
        "x-goog-upload-header-content-type": "application/jsonl"
      }
    })
    const target = header(start.headers, "x-goog-upload-url")
    if (target === undefined || !URL.canParse(target) || new URL(target).origin !== new URL(baseUrl).origin) {
      return yield* Effect.fail(http.malformed("the address for the upload is missing, or not on the API's own host"))
    }
    let offset = 0
    for (const [bytes, isLast] of pieces(entries)) {
      const { fields, text } = yield* http.ask(target, {
        body: { type: "application/octet-stream", bytes },
        headers: {
          "x-goog-upload-command": isLast ? "upload, finalize" : "upload",
          "x-goog-upload-offset": String(offset)
        }
      })
      offset += bytes.byteLength
      if (!isLast) continue
      const name = isRecord(fields["file"]) ? nonBlank(fields["file"]["name"]) : undefined
      if (name !== undefined && fileName.test(name)) return name
      return yield* Effect.fail(http.malformed("the uploaded file has no name", text))
    }
    return yield* Effect.fail(http.malformed("there is nothing to upload"))
  })

const utf8 = new TextDecoder()

/** The service of a model; `input` says how the requests of a job are sent. */
export const wire = (given: string, model: string, input: "file" | "inline"): Wire => {
  const baseUrl = new URL(given).pathname === "/" ? endpoint(given, "/v1beta") : given
  const at = (tail: string, query?: { readonly [name: string]: string }) => endpoint(baseUrl, tail, query)
  const read = (http: Http, fields: Fields, text: string) => {
    const job = jobOf(http, fields)
    return job === undefined ? Effect.fail(http.malformed("this is no batch", text)) : Effect.succeed(job)
  }
  const get = (http: Http, id: string) => http.ask(at(`/${id}`), { method: "GET" })
  return {
    vendor: "gemini-batch",
    limits: { requests: 50_000, bytes: input === "file" ? 200_000_000 : 19_000_000 },
    foundBy: "marker",
    entry: (id, body) =>
      input === "file"
        ? `{"key":${JSON.stringify(id)},"request":${body}}`
        : `{"request":${body},"metadata":{"key":${JSON.stringify(id)}}}`,
    told,
    upload: (http, entries, marker) =>
      input === "file" ? uploaded(http, baseUrl, entries, marker) : Effect.succeed(undefined),
    create: (http, { entries, file }, marker) =>
      Effect.flatMap(
        Effect.suspend(() => {
          const name = JSON.stringify(marker)
          const config = file === undefined
            ? `{"requests":{"requests":[${entries.map(({ bytes }) => utf8.decode(bytes)).join(",")}]}}`
            : JSON.stringify({ fileName: file })
          return http.ask(at(path(model, "batchGenerateContent")), {
            body: `{"batch":{"displayName":${name},"inputConfig":${config}}}`
          })
        }),
        ({ fields, text }) => read(http, fields, text)
      ),
    poll: (http, id) => Effect.flatMap(get(http, id), ({ fields, text }) => read(http, fields, text)),
    results: (http, id) =>
      Stream.unwrap(Effect.map(get(http, id), ({ fields, text }) => {
        const { file, inline } = outputOf(fields)
        if (file !== undefined) {
          return http.lines(besides(baseUrl, "download", `/${file}:download`, { alt: "media" }))
        }
        if (inline === undefined) return Stream.empty
        const [place, results] = inline
        // All texts first: places of one document are remembered, those of two are not.
        const texts = results.map((_, index) => rawAt(text, [...place, index]) ?? "")
        return Stream.map(Stream.fromIterable(results.entries()), ([index, result]): Told =>
          (isRecord(result) ? told(result, texts[index] ?? "") : undefined) ??
            { _tag: "Unreadable", reason: "the result is none" })
      })),
    cancel: (http, id) => http.ask(at(`/${id}:cancel`)),
    find: (http, { marker }) =>
      Effect.gen(function*() {
        const found: Array<BatchService.Job> = []
        let pageToken: string | undefined = undefined
        for (let page = 0; page < mostPages; page++) {
          const query: { readonly [name: string]: string } = { pageSize: "100", ...definedFields({ pageToken }) }
          const { fields } = yield* http.ask(at("/batches", query), { method: "GET" })
          for (const each of [...listOf(fields["operations"]), ...listOf(fields["batches"])].filter(isRecord)) {
            const job = jobOf(http, each)
            if (job !== undefined && metadataOf(each)["displayName"] === marker) found.push(job)
          }
          pageToken = nonBlank(fields["nextPageToken"])
          if (pageToken === undefined) break
        }
        return found.reverse()
      })
  }
}
