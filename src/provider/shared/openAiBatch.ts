/** OpenAI's batch service, which both of its protocols share. https://platform.openai.com/docs/api-reference/batch */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { definedFields, type Fields, isRecord, listOf } from "../../internal/record.ts"
import type * as BatchService from "../../model/BatchService.ts"
import {
  clockSkewMillis,
  type Http,
  jobFailed,
  mostPages,
  saysFileIsLost,
  type Told,
  type Wire
} from "./batchExchange.ts"
import { count, nonBlank } from "./jsonBody.ts"
import { endpoint } from "./options.ts"
import { rawAt } from "./rawJson.ts"

/** Faults that pass: the queue of the account was full, or something went wrong within the service. */
const passing = /token_limit|rate_limit|too_many_tasks|too_many_batches|internal|server_error/i

const faultsOf = (batch: Fields) => {
  const errors = isRecord(batch["errors"]) ? listOf(batch["errors"]["data"]) : []
  return errors.filter(isRecord).slice(0, 100).map(({ code, line, message }) =>
    definedFields({ code: nonBlank(code), line: count(line), message: nonBlank(message) })
  )
}

const countsOf = (batch: Fields): BatchService.Job["counts"] => {
  const counts = batch["request_counts"]
  if (!isRecord(counts)) return undefined
  const total = count(counts["total"])
  return total === undefined
    ? undefined
    : { total, succeeded: count(counts["completed"]) ?? 0, failed: count(counts["failed"]) ?? 0 }
}

const jobOf = (http: Http, batch: Fields): BatchService.Job | undefined => {
  const id = nonBlank(batch["id"])
  const status = batch["status"]
  if (id === undefined || typeof status !== "string") return undefined
  if (status === "failed") {
    const faults = faultsOf(batch)
    const retryable = faults.length > 0 &&
      faults.every(({ code, message }) => passing.test(`${code} ${message}`) || saysFileIsLost(message ?? ""))
    return { id, state: "refused", failure: jobFailed(http.who, id, faults, retryable) }
  }
  const counts = definedFields({ counts: countsOf(batch) })
  if (status === "expired" || status === "cancelled") return { id, state: "ended", ...counts, unanswered: status }
  // A status that nobody knows yet is waited out.
  return { id, state: status === "completed" ? "ended" : "running", ...counts }
}

const reasons: { readonly [code: string]: "expired" | "cancelled" } = {
  batch_expired: "expired",
  batch_cancelled: "cancelled"
}

/** One line of the output file or of the error file. */
const told = (line: Fields, text: string): Told | undefined => {
  const id = line["custom_id"]
  if (typeof id !== "string") return undefined
  const { error, response } = line
  if (isRecord(error)) {
    const code = nonBlank(error["code"])
    const reason = code === undefined || !Object.hasOwn(reasons, code) ? undefined : reasons[code]
    if (reason !== undefined) return { _tag: "Unanswered", id, reason }
    if (!isRecord(response)) return { _tag: "Error", id, status: 500, body: { error } }
  }
  if (!isRecord(response)) return undefined
  const status = count(response["status_code"])
  // A request that was lost within the service has the status 0 and an empty body.
  if (status === undefined || status === 0) return { _tag: "Unanswered", id, reason: "missing" }
  const body = rawAt(text, ["response", "body"])
  return { _tag: "Reply", id, status, requestId: nonBlank(response["request_id"]), text: body ?? "" }
}

const newline = new TextEncoder().encode("\n")

/** OpenAI's service for the requests of one endpoint, such as `"/chat/completions"`. */
export const wire = (vendor: string, baseUrl: string, path: string): Wire => {
  const at = (tail: string, query?: { readonly [name: string]: string }) => endpoint(baseUrl, tail, query)
  const batch = (id: string, tail = "") => at(`/batches/${encodeURIComponent(id)}${tail}`)
  const target = `/v1${path}`
  const read = (http: Http, fields: Fields, text: string) => {
    const job = jobOf(http, fields)
    return job === undefined ? Effect.fail(http.malformed("this is no batch", text)) : Effect.succeed(job)
  }
  const get = (http: Http, id: string) => http.ask(batch(id), { method: "GET" })
  return {
    vendor,
    limits: { requests: 50_000, bytes: 200_000_000 },
    foundBy: "marker",
    entry: (id, body) => `{"custom_id":${JSON.stringify(id)},"method":"POST","url":"${target}","body":${body}}`,
    told,
    upload: (http, entries, marker) => {
      const form = new FormData()
      form.append("purpose", "batch")
      const parts = entries.flatMap(({ bytes }) => [new Uint8Array(bytes), newline])
      form.append("file", new Blob(parts, { type: "application/jsonl" }), `${marker}.jsonl`)
      return Effect.flatMap(http.ask(at("/files"), { body: form }), ({ fields, text }) => {
        const id = nonBlank(fields["id"])
        return id === undefined ? Effect.fail(http.malformed("the uploaded file has no id", text)) : Effect.succeed(id)
      })
    },
    create: (http, { file }, marker) =>
      Effect.flatMap(
        http.ask(at("/batches"), {
          body: JSON.stringify({
            input_file_id: file,
            endpoint: target,
            completion_window: "24h",
            metadata: { marker }
          })
        }),
        ({ fields, text }) => read(http, fields, text)
      ),
    poll: (http, id) => Effect.flatMap(get(http, id), ({ fields, text }) => read(http, fields, text)),
    results: (http, id) =>
      Stream.unwrap(Effect.map(get(http, id), ({ fields }) => {
        // Both files are read whatever the counts say: a job may have ended with errors that it does not count.
        const files = [fields["output_file_id"], fields["error_file_id"]].flatMap((each) => nonBlank(each) ?? [])
        return Stream.flatMap(
          Stream.fromIterable(files),
          (file) => http.lines(at(`/files/${encodeURIComponent(file)}/content`))
        )
      })),
    cancel: (http, id) => http.ask(batch(id, "/cancel")),
    find: (http, { marker, since }) =>
      Effect.gen(function*() {
        const found: Array<BatchService.Job> = []
        let after: string | undefined = undefined
        for (let page = 0; page < mostPages; page++) {
          const query: { readonly [name: string]: string } = { limit: "100", ...definedFields({ after }) }
          const { fields } = yield* http.ask(at("/batches", query), { method: "GET" })
          const batches = listOf(fields["data"]).filter(isRecord)
          for (const each of batches) {
            const job = jobOf(http, each)
            if (job !== undefined && isRecord(each["metadata"]) && each["metadata"]["marker"] === marker) {
              found.push(job)
            }
          }
          const last: Fields | undefined = batches.at(-1)
          const created = count(last?.["created_at"])
          after = nonBlank(last?.["id"])
          const isOlder = created !== undefined && created * 1000 < since - clockSkewMillis
          if (fields["has_more"] !== true || after === undefined || isOlder) break
        }
        return found.reverse()
      })
  }
}
