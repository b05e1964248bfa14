/**
 * The batch mode of Gemini's Developer API, with its files. Sources: the mappers of @google/genai 2.32.0, recorded bodies in
 * public tests, and the page `gemini-api/docs/batch-api`.
 */
import * as DateTime from "effect/DateTime"
import * as HashMap from "effect/HashMap"
import { isArray, isRecord, own, parse } from "../../shared/json.ts"
import { failed as failedReply, invalid, jsonHeaders } from "../gemini/failures.ts"
import { gemini as generate } from "../gemini/protocol.ts"
import type { Reply } from "../protocol.ts"
import { file as fileService } from "./geminiFiles.ts"
import { countsOf, type Job, type Line, met, scheduleOf, type Status, statusAt } from "./job.ts"
import type { Terms } from "./lines.ts"
import * as Office from "./office.ts"

const most = { requests: 50_000, inlineBytes: 20_000_000 } as const
const noQuery = new URLSearchParams()

const sent = (body: unknown): Reply => ({
  _tag: "Reply",
  status: 200,
  headers: jsonHeaders,
  body: JSON.stringify(body, undefined, 2)
})

const notFound = (name: string): Reply => failedReply(404, `Requested entity was not found: ${name}`)

const time = (millis: number): string => DateTime.formatIso(DateTime.unsafeMake(Math.floor(millis)))

const states: Readonly<Record<Status, string>> = {
  validating: "PENDING",
  running: "RUNNING",
  finalizing: "RUNNING",
  cancelling: "RUNNING",
  completed: "SUCCEEDED",
  failed: "FAILED",
  expired: "EXPIRED",
  cancelled: "CANCELLED"
}

/** The canonical codes of `google.rpc.Status` by HTTP status. */
const canonical: Readonly<Record<number, number>> = { 400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14 }
/** The same by the reason for which the input of a job was refused; the others are wrong arguments. */
const jobCodes: Readonly<Record<string, number>> = { token_limit_exceeded: 8, invalid_input_file: 5 }
const internal = 13
const cancelledCode = 1
const expiredCode = 4

const statusOf = (result: Exclude<Office.Entry["result"], { readonly _tag: "Succeeded" }>) => {
  switch (result._tag) {
    case "Failed": {
      const message = own(own(result.body, "error"), "message")
      return { code: canonical[result.status] ?? internal, message: typeof message === "string" ? message : "" }
    }
    case "Lost":
      return { code: internal, message: "Internal error encountered." }
    case "NotRun":
      return result.why === "expired"
        ? { code: expiredCode, message: "The request was not run before its time ran out." }
        : { code: cancelledCode, message: "The request was cancelled." }
  }
}

/** Documentation calls a failure a status object, implementers read `error`: a line without an answer has the former. */
const saidIn = ({ result }: Office.Entry) =>
  result._tag === "Succeeded"
    ? { response: result.body }
    : result._tag === "Lost"
    ? { status: statusOf(result) }
    : { error: statusOf(result) }

const fileLine = (entry: Office.Entry) => ({ ...(entry.isKeyless ? {} : { key: entry.line.id }), ...saidIn(entry) })

const inlineItem = (entry: Office.Entry) => ({
  ...saidIn(entry),
  ...(entry.isKeyless || entry.line.id === undefined ? {} : { metadata: { key: entry.line.id } })
})

const isInline = (job: Job): boolean => job.asked["file"] === undefined || met(job, "InlineResults") !== undefined

/** Only a job that came to its end, or was cancelled on the way, has results. */
const hasResults = (job: Job, status: Status): boolean =>
  status === "completed" || status === "cancelled" && job.results.some(({ _tag }) => _tag !== "NotRun")

const outputOf = (terms: Terms, job: Job) =>
  isInline(job)
    ? { inlinedResponses: { inlinedResponses: Office.entriesOf(terms, job, () => true).map(inlineItem) } }
    : { responsesFile: `files/batch-${job.id}` }

const operation = (terms: Terms, job: Job, now: number) => {
  const schedule = scheduleOf(job, terms.batches.times)
  const status = statusAt(schedule, now)
  const counts = countsOf(job)
  const pending = counts.total - job.results.length
  const counted = (name: string, count: number) => count === 0 ? {} : { [name]: String(count) }
  const output = hasResults(job, status) ? outputOf(terms, job) : undefined
  const kind = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"
  const { invalid: reason } = job
  return {
    name: `batches/${job.id}`,
    metadata: {
      "@type": kind,
      "model": `models/${String(job.asked["model"])}`,
      "displayName": job.asked["displayName"],
      "inputConfig": job.asked["file"] === undefined ? undefined : { fileName: job.asked["file"] },
      "createTime": time(job.createdAt),
      "endTime": job.isEnded ? time(schedule.endsAt) : undefined,
      "updateTime": time(job.isEnded ? schedule.endsAt : now),
      "batchStats": {
        requestCount: String(counts.total),
        ...counted("successfulRequestCount", counts.succeeded),
        ...counted("failedRequestCount", counts.failed),
        ...counted("pendingRequestCount", pending)
      },
      "state": `BATCH_STATE_${states[status]}`,
      output
    },
    ...(job.isEnded ? { done: true } : {}),
    ...(status === "failed" && reason !== undefined
      ? { error: { code: jobCodes[reason.code] ?? canonical[400], message: reason.message } }
      : {}),
    ...(output === undefined ? {} : { response: { "@type": `${kind}Output`, ...output } })
  }
}

/** A request of a job names its model by the address of the job. */
const lineOf = (model: string, id: string | undefined, request: unknown): Line => ({
  id,
  protocol: generate,
  path: generate.route("POST", `/v1beta/models/${model}:generateContent`, noQuery) ?? { model, stream: false },
  body: JSON.stringify(request)
})

type Read = Pick<Office.Order, "lines" | "invalid">

const readInline = (model: string, requests: ReadonlyArray<unknown>): Read => ({
  invalid: undefined,
  lines: requests.map((item) => {
    const key = own(own(item, "metadata"), "key")
    return lineOf(model, typeof key === "string" ? key : undefined, own(item, "request") ?? {})
  })
})

const readFile = (terms: Terms, model: string, text: string): Read => {
  const lines: Array<Line> = []
  for (const [index, row] of text.split("\n").entries()) {
    if (row.trim() === "") continue
    const value = parse(row)
    const key = own(value, "key")
    const request = own(value, "request")
    if (!isRecord(request)) return { lines: [], invalid: Office.wordsOf("invalid_json_line", [], index + 1) }
    lines.push(lineOf(model, typeof key === "string" ? key : undefined, request))
  }
  return lines.length === 0
    ? { lines, invalid: Office.wordsOf("empty_file", lines) }
    : lines.length > (terms.batches.requests ?? most.requests)
    ? { lines: [], invalid: Office.wordsOf("too_many_tasks", lines) }
    : { lines, invalid: undefined }
}

const create = (terms: Terms, call: Office.Call, model: string) => (before: Office.Office): Office.Answered => {
  const refused = (reply: Reply, office = before): Office.Answered => [reply, Office.count("refused")(office)]
  const asked = own(parse(call.body), "batch")
  const config = own(asked, "inputConfig")
  const requests = own(own(config, "requests"), "requests")
  const file = own(config, "fileName")
  if (!isRecord(asked)) return refused(invalid("Invalid JSON payload received: 'batch' is missing."))
  if (!terms.models.includes(model)) return refused(generate.failure({ _tag: "UnknownModel", model }))
  if (typeof file !== "string" && (!isArray(requests) || requests.length === 0)) {
    return refused(invalid("* CreateBatchRequest.batch.input_config: either requests or file_name must be set"))
  }
  if (Office.bytesOf(call.body) > (terms.batches.bytes ?? most.inlineBytes)) {
    return refused(generate.failure({ _tag: "BodyTooLarge" }))
  }
  const spared = [
    "WrongCounts",
    "EmptyFileIds",
    ...(typeof file === "string" ? [] : ["MissingInput"] as const)
  ] as const
  const [faults, office] = Office.faultsOf(terms, spared)(before)
  const failure = Office.refusedOrder(generate, faults, call.now)
  if (failure !== undefined) return refused(failure, office)
  const missing = met({ faults }, "MissingInput")
  const stored = typeof file === "string" ? HashMap.get(office.files, file) : undefined
  if (typeof file === "string" && (stored?._tag !== "Some" || missing?.when === "create")) {
    return refused(notFound(file), office)
  }
  const read = stored?._tag === "Some"
    ? readFile(terms, model, stored.value.text)
    : readInline(model, isArray(requests) ? requests : [])
  const lost = { code: "invalid_input_file", message: `Requested entity was not found: ${String(file)}`, line: null }
  const [job, after] = Office.create(
    terms,
    {
      vendor: "gemini",
      lines: read.lines,
      invalid: missing === undefined ? read.invalid : lost,
      asked: { model, displayName: own(asked, "displayName"), file: typeof file === "string" ? file : undefined }
    },
    faults,
    call.now
  )(office)
  return [Office.told(job, sent(operation(terms, job, call.now))), after]
}

const batch =
  (terms: Terms, { now }: Office.Call, id: string, action: "look" | "cancel" | "delete") =>
  (before: Office.Office): Office.Answered => {
    const [job, office] = Office.find(terms, "gemini", id, now)(before)
    if (job === undefined) return [notFound(`batches/${id}`), Office.count("polls")(office)]
    if (action !== "look") {
      const [after, next] = Office.cancel(terms, job, now)(office)
      return [sent({}), action === "cancel" ? next : Office.remove(after)(next)]
    }
    const polled = Office.count("polls")(office)
    const whole = sent(operation(terms, job, now))
    // With the results inline it is the job itself that cannot be read, or is cut.
    return isInline(job) && hasResults(job, statusAt(scheduleOf(job, terms.batches.times), now))
      ? Office.download(
        generate,
        { ...job, faults: job.faults.filter(({ _tag }) => _tag !== "CutResults") },
        "inline",
        whole
      )(polled)
      : [whole, polled]
  }

const list = (terms: Terms, { now, query }: Office.Call) => (before: Office.Office): Office.Answered => {
  const size = Math.max(1, Math.min(100, Math.floor(Number(query.get("pageSize") ?? 50)) || 50))
  const from = Math.max(0, Math.floor(Number(query.get("pageToken") ?? 0)) || 0)
  const [jobs, office] = Office.list(terms, "gemini", now)(before)
  const operations = jobs.slice(from, from + size).map((job) => operation(terms, job, now))
  const more = jobs.length > from + size ? { nextPageToken: String(from + size) } : {}
  return [sent(operations.length === 0 ? {} : { operations, ...more }), office]
}

const download = (terms: Terms, { now }: Office.Call, name: string) => (before: Office.Office): Office.Answered => {
  const headers = { ...jsonHeaders, "content-type": "application/jsonl" }
  const stored = HashMap.get(before.files, name)
  if (stored._tag === "Some") return [{ _tag: "Reply", status: 200, headers, body: stored.value.text }, before]
  const [job, office] = Office.find(terms, "gemini", name.replace(/^files\/batch-/, ""), now, "results")(before)
  if (job === undefined || isInline(job) || !hasResults(job, statusAt(scheduleOf(job, terms.batches.times), now))) {
    return [notFound(name), office]
  }
  const body = Office.jsonLines(Office.entriesOf(terms, job, () => true).map(fileLine))
  return Office.download(generate, job, "results", { _tag: "Reply", status: 200, headers, body })(office)
}

const addresses = {
  create: /^\/v1(?:beta|alpha)?\/models\/([^/:]+):batchGenerateContent$/,
  one: /^\/v1(?:beta|alpha)?\/batches\/([^/:]+)(:cancel)?$/,
  all: /^\/v1(?:beta|alpha)?\/batches$/,
  upload: /^\/upload\/v1(?:beta|alpha)?\/files$/,
  download: /^(?:\/download)?\/v1(?:beta|alpha)?\/(files\/[^/:]+):download$/,
  file: /^\/v1(?:beta|alpha)?\/(files\/[^/:]+)$/
} as const

export const gemini: Office.BatchWire = {
  protocol: generate,
  // `/v1/files/…` is OpenAI's.
  route: (at) => Object.values(addresses).some((address) => address.test(at)) && !/^\/v1\/files\/[^:]*$/.test(at),
  serve: (terms, call) => {
    const { method, path } = call
    const [, model] = addresses.create.exec(path) ?? []
    const [, id, action] = addresses.one.exec(path) ?? []
    const [, downloaded] = addresses.download.exec(path) ?? []
    const [, named] = addresses.file.exec(path) ?? []
    if (method === "POST" && model !== undefined) return create(terms, call, model)
    if (method === "GET" && addresses.all.test(path)) return list(terms, call)
    if (id !== undefined) {
      if (method === "GET" && action === undefined) return batch(terms, call, id, "look")
      if (method === "POST" && action === ":cancel") return batch(terms, call, id, "cancel")
      if (method === "DELETE" && action === undefined) return batch(terms, call, id, "delete")
    }
    if (method === "GET" && downloaded !== undefined) return download(terms, call, downloaded)
    if (addresses.upload.test(path)) return fileService.upload(terms, call)
    if (named !== undefined && (method === "GET" || method === "DELETE")) return fileService.one(call, named)
    return (office) => [generate.failure({ _tag: "UnknownUrl", method, url: path }), office]
  }
}
