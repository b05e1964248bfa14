/** Anthropic's Message Batches. Sources: the types of @anthropic-ai/sdk 1.14.0 and the page `build-with-claude/batch-processing`. */
import * as DateTime from "effect/DateTime"
import { hex } from "../../../internal/seeded.ts"
import { isArray, isRecord, own, parse } from "../../shared/json.ts"
import { envelope, errorBody, invalidRequest, requestIdOf } from "../anthropic/failures.ts"
import { anthropic as messages } from "../anthropic/protocol.ts"
import type { Reply } from "../protocol.ts"
import { countsOf, expiresAt, type Job, type Line, scheduleOf } from "./job.ts"
import type { Terms } from "./lines.ts"
import * as Office from "./office.ts"

const most = { requests: 100_000, bytes: 256_000_000 } as const
const idForm = /^[a-zA-Z0-9_-]{1,64}$/
const noQuery = new URLSearchParams()
const path = messages.route("POST", "/v1/messages", noQuery) ?? { model: undefined, stream: undefined }

const sent = (body: unknown): Reply => ({
  _tag: "Reply",
  status: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body)
})

const notFound = (message: string): Reply => envelope(404, "not_found_error", message, requestIdOf(hex(message)))

const time = (millis: number): string => DateTime.formatIso(DateTime.unsafeMake(millis))

const wireId = (job: Job): string => `msgbatch_${job.id}`

const batchObject = (terms: Terms, job: Job, { now, origin }: Office.Call) => {
  const { times } = terms.batches
  const schedule = scheduleOf(job, times)
  const counts = countsOf(job)
  const isCancelling = schedule.end === "cancelled" && now >= schedule.stopsAt
  return {
    id: wireId(job),
    type: "message_batch",
    processing_status: job.isEnded ? "ended" : isCancelling ? "canceling" : "in_progress",
    // Nothing but `processing` moves until the whole batch has ended.
    request_counts: job.isEnded
      ? {
        processing: 0,
        succeeded: counts.succeeded,
        errored: counts.failed,
        canceled: counts.cancelled,
        expired: counts.expired
      }
      : { processing: counts.total, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
    ended_at: job.isEnded ? time(schedule.endsAt) : null,
    created_at: time(job.createdAt),
    expires_at: time(expiresAt(job, schedule, times)),
    archived_at: null,
    cancel_initiated_at: isCancelling ? time(job.cancelledAt ?? schedule.stopsAt) : null,
    results_url: job.isEnded ? `${origin}/v1/messages/batches/${wireId(job)}/results` : null
  }
}

type Read = { readonly lines: ReadonlyArray<Line> } | { readonly refusal: Reply }

/** An id that is wrong refuses the whole batch; what is wrong in a request is told in its result. */
const readRequests = (terms: Terms, body: unknown): Read => {
  const requests = own(body, "requests")
  const refused = (message: string): Read => ({ refusal: invalidRequest(message) })
  if (!isArray(requests)) return refused("requests: Field required")
  if (requests.length === 0) return refused("requests: List should have at least 1 item after validation, not 0")
  const limit = terms.batches.requests ?? most.requests
  if (requests.length > limit) {
    return refused(`requests: List should have at most ${limit} items after validation, not ${requests.length}`)
  }
  const lines: Array<Line> = []
  const ids = new Set<string>()
  for (const [index, request] of requests.entries()) {
    const id = own(request, "custom_id")
    const params = own(request, "params")
    if (typeof id !== "string") return refused(`requests.${index}.custom_id: Field required`)
    if (!idForm.test(id)) {
      return refused(`requests.${index}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'`)
    }
    if (ids.has(id)) return refused(`requests: custom_id must be unique, but '${id}' is there twice`)
    if (!isRecord(params)) return refused(`requests.${index}.params: Field required`)
    ids.add(id)
    const refusal = params["stream"] === true
      ? invalidRequest("stream: Streaming is not supported in batches.")
      : params["speed"] !== undefined
      ? invalidRequest("speed: Extra inputs are not permitted")
      : undefined
    lines.push({ id, protocol: messages, path, body: JSON.stringify(params), refusal })
  }
  return { lines }
}

const create = (terms: Terms, call: Office.Call) => (before: Office.Office): Office.Answered => {
  const refused = (reply: Reply, office = before): Office.Answered => [reply, Office.count("refused")(office)]
  if (Office.bytesOf(call.body) > (terms.batches.bytes ?? most.bytes)) {
    return refused(messages.failure({ _tag: "BodyTooLarge" }))
  }
  const read = readRequests(terms, parse(call.body))
  if ("refusal" in read) return refused(read.refusal)
  const [faults, office] = Office.faultsOf(terms, [
    "MissingInput",
    "InvalidJob",
    "WrongCounts",
    "EmptyFileIds",
    "InlineResults",
    "MissingKeys"
  ])(before)
  const failure = Office.refusedOrder(messages, faults, call.now)
  if (failure !== undefined) return refused(failure, office)
  const order = { vendor: "anthropic", lines: read.lines, invalid: undefined, asked: {} } as const
  const [job, after] = Office.create(terms, order, faults, call.now)(office)
  return [Office.told(job, sent(batchObject(terms, job, call))), after]
}

/** A reply of a batch says that it cost what batches cost. */
const inBatch = (message: Readonly<Record<string, unknown>>): unknown =>
  isRecord(message["usage"]) ? { ...message, usage: { ...message["usage"], service_tier: "batch" } } : message

const lostWords = "Internal server error"

const resultLine = (job: Job) => ({ index, line, result }: Office.Entry) => {
  const failed = (error: unknown) => ({ custom_id: line.id, result: { type: "errored", error } })
  switch (result._tag) {
    case "Succeeded":
      return { custom_id: line.id, result: { type: "succeeded", message: inBatch(result.body) } }
    case "Failed":
      return failed(result.body)
    case "Lost":
      return failed(errorBody("api_error", lostWords, requestIdOf(hex(`${job.id} ${index}`))))
    case "NotRun":
      return { custom_id: line.id, result: { type: result.why === "expired" ? "expired" : "canceled" } }
  }
}

const unknown = (id: string): Reply => notFound(`Message batch ${id} not found.`)

const results = (terms: Terms, { now }: Office.Call, id: string) => (before: Office.Office): Office.Answered => {
  const [job, office] = Office.find(terms, "anthropic", id.replace(/^msgbatch_/, ""), now, "results")(before)
  if (job === undefined) return [unknown(id), office]
  if (!job.isEnded) return [notFound(`Message batch ${id} has no results yet.`), office]
  const body = Office.jsonLines(Office.entriesOf(terms, job, () => true).map(resultLine(job)))
  const whole: Reply = { _tag: "Reply", status: 200, headers: { "content-type": "application/x-jsonl" }, body }
  return Office.download(messages, job, "results", whole)(office)
}

const batch =
  (terms: Terms, call: Office.Call, id: string, action: "look" | "cancel" | "delete") =>
  (before: Office.Office): Office.Answered => {
    const [job, office] = Office.find(terms, "anthropic", id.replace(/^msgbatch_/, ""), call.now)(before)
    if (job === undefined) return [unknown(id), Office.count("polls")(office)]
    if (action === "delete") {
      return job.isEnded
        ? [sent({ id, type: "message_batch_deleted" }), Office.remove(job)(office)]
        : [invalidRequest(`Message batch ${id} cannot be deleted while it is in progress.`), office]
    }
    const [after, next] = action === "cancel"
      ? Office.cancel(terms, job, call.now)(office)
      : [job, Office.count("polls")(office)] as const
    return [sent(batchObject(terms, after, call)), next]
  }

const list = (terms: Terms, call: Office.Call) => (before: Office.Office): Office.Answered => {
  const { now, query } = call
  const limit = Number(query.get("limit") ?? 20)
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    return [invalidRequest("limit: Input should be from 1 to 1000"), before]
  }
  const [jobs, office] = Office.list(terms, "anthropic", now)(before)
  const place = (name: string): number | undefined => {
    const id = query.get(name)
    return id === null ? undefined : jobs.findIndex((job) => wireId(job) === id)
  }
  const afterAt = place("after_id")
  const beforeAt = place("before_id")
  const from = beforeAt !== undefined ? Math.max(0, beforeAt - limit) : afterAt === undefined ? 0 : afterAt + 1
  const until = beforeAt ?? from + limit
  const data = jobs.slice(from, until).map((job) => batchObject(terms, job, call))
  return [
    sent({
      data,
      has_more: beforeAt === undefined ? jobs.length > until : from > 0,
      first_id: data.at(0)?.id ?? null,
      last_id: data.at(-1)?.id ?? null
    }),
    office
  ]
}

const address = /^\/v1\/messages\/batches(?:\/([^/]+)(?:\/(cancel|results))?)?$/

export const anthropic: Office.BatchWire = {
  protocol: messages,
  route: (at) => address.test(at),
  serve: (terms, call) => {
    const [, id, action] = address.exec(call.path) ?? []
    switch (`${call.method} ${id === undefined ? "all" : action ?? "one"}`) {
      case "POST all":
        return create(terms, call)
      case "GET all":
        return list(terms, call)
      case "GET one":
        return batch(terms, call, id ?? "", "look")
      case "DELETE one":
        return batch(terms, call, id ?? "", "delete")
      case "POST cancel":
        return batch(terms, call, id ?? "", "cancel")
      case "GET results":
        return results(terms, call, id ?? "")
      default:
        return (office) => [messages.failure({ _tag: "UnknownUrl", method: call.method, url: call.path }), office]
    }
  }
}
