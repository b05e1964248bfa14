/** Anthropic's Message Batches. https://platform.claude.com/docs/en/build-with-claude/batch-processing */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { definedFields, type Fields, isRecord, listOf } from "../../internal/record.ts"
import type * as BatchService from "../../model/BatchService.ts"
import { clockSkewMillis, type Http, mostPages, type Told, type Wire } from "../shared/batchExchange.ts"
import { count, nonBlank } from "../shared/jsonBody.ts"
import { rawAt } from "../shared/rawJson.ts"

const countFields = ["processing", "succeeded", "errored", "canceled", "expired"] as const

/** All counts but the first stay 0 until the job has ended, so they tell no progress, only how many requests there are. */
const requestsOf = ({ request_counts: counts }: Fields): number | undefined =>
  isRecord(counts) ? countFields.reduce((sum, field) => sum + (count(counts[field]) ?? 0), 0) : undefined

const jobOf = (batch: Fields): BatchService.Job | undefined => {
  const id = nonBlank(batch["id"])
  const status = batch["processing_status"]
  if (id === undefined || typeof status !== "string") return undefined
  if (status !== "ended") return { id, state: "running" }
  const isCancelled = nonBlank(batch["cancel_initiated_at"]) !== undefined
  return isCancelled ? { id, state: "ended", unanswered: "cancelled" } : { id, state: "ended" }
}

const told = (line: Fields, text: string): Told | undefined => {
  const id = line["custom_id"]
  const { result } = line
  if (typeof id !== "string" || !isRecord(result)) return undefined
  switch (result["type"]) {
    case "succeeded":
      return { _tag: "Reply", id, status: 200, text: rawAt(text, ["result", "message"]) ?? "" }
    case "errored":
      // The error stands in a body like that of a live error; its type says more than a status would.
      return { _tag: "Error", id, status: statusOf(result["error"]), body: result["error"] }
    case "canceled":
      return { _tag: "Unanswered", id, reason: "cancelled" }
    case "expired":
      return { _tag: "Unanswered", id, reason: "expired" }
    default:
      return undefined
  }
}

/** https://platform.claude.com/docs/en/api/errors */
const statuses: { readonly [type: string]: number } = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529
}

const statusOf = (error: unknown): number => {
  const inner = isRecord(error) && isRecord(error["error"]) ? error["error"] : error
  const type = isRecord(inner) ? inner["type"] : undefined
  return (typeof type === "string" && Object.hasOwn(statuses, type) ? statuses[type] : undefined) ?? 500
}

const joined = (entries: ReadonlyArray<BatchService.Entry>): Uint8Array => {
  const utf8 = new TextEncoder()
  const parts = [
    utf8.encode("{\"requests\":["),
    ...entries.flatMap(({ bytes }, at) => at === 0 ? [bytes] : [utf8.encode(","), bytes]),
    utf8.encode("]}")
  ]
  const all = new Uint8Array(parts.reduce((size, { byteLength }) => size + byteLength, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.byteLength
  }
  return all
}

/** A job is found by its count, and by a beginning no later than this after it was intended. */
const longestSubmitMillis = 3_600_000

/** The service behind `url`, which ends with `/messages/batches`. */
export const wire = (url: string): Wire => {
  const at = (tail: string, query: { readonly [name: string]: string } = {}) => {
    const address = new URL(url)
    address.pathname += tail
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value)
    return address.href
  }
  const batch = (id: string, tail = "") => at(`/${encodeURIComponent(id)}${tail}`)
  const read = (http: Http, fields: Fields, text: string) => {
    const job = jobOf(fields)
    return job === undefined ? Effect.fail(http.malformed("this is no message batch", text)) : Effect.succeed(job)
  }
  /** The address is the service's word only where the key may go there. */
  const resultsAt = (id: string, told: unknown): string => {
    const given = typeof told === "string" && URL.canParse(told) ? new URL(told) : undefined
    return given !== undefined && given.origin === new URL(url).origin ? given.href : batch(id, "/results")
  }
  const get = (http: Http, id: string) => http.ask(batch(id), { method: "GET" })
  return {
    vendor: "anthropic-message-batches",
    limits: { requests: 100_000, bytes: 256_000_000 },
    foundBy: "timeAndCount",
    entry: (id, body) => `{"custom_id":${JSON.stringify(id)},"params":${body}}`,
    told,
    upload: () => Effect.succeed(undefined),
    create: (http, { entries }) =>
      Effect.flatMap(
        Effect.suspend(() => http.ask(at(""), { body: { type: "application/json", bytes: joined(entries) } })),
        ({ fields, text }) => read(http, fields, text)
      ),
    poll: (http, id) => Effect.flatMap(get(http, id), ({ fields, text }) => read(http, fields, text)),
    results: (http, id) =>
      Stream.unwrap(Effect.map(get(http, id), ({ fields }) => http.lines(resultsAt(id, fields["results_url"])))),
    cancel: (http, id) => http.ask(batch(id, "/cancel")),
    find: (http, { requests, since }) =>
      Effect.gen(function*() {
        const found: Array<BatchService.Job> = []
        let after: string | undefined = undefined
        for (let page = 0; page < mostPages; page++) {
          const query: { readonly [name: string]: string } = { limit: "100", ...definedFields({ after_id: after }) }
          const { fields } = yield* http.ask(at("", query), { method: "GET" })
          const batches = listOf(fields["data"]).filter(isRecord)
          let isOlder = false
          for (const each of batches) {
            const job = jobOf(each)
            const created = Date.parse(String(each["created_at"]))
            isOlder = created < since - clockSkewMillis
            const isInTime = !isOlder && created <= since + longestSubmitMillis
            if (job !== undefined && isInTime && requestsOf(each) === requests) found.push(job)
          }
          after = nonBlank(fields["last_id"])
          if (fields["has_more"] !== true || after === undefined || isOlder) break
        }
        return found.reverse()
      })
  }
}
