/**
 * OpenAI's batch service: files and batches. Sources: the types of openai-node 6.49.0, the guide `batch`, and reports of what
 * its files hold.
 */
import * as HashMap from "effect/HashMap"
import { isRecord, own, parse } from "../../shared/json.ts"
import { wireError } from "../openAi/checks.ts"
import { json, refusal } from "../openAi/failures.ts"
import { chat } from "../openAiChat/protocol.ts"
import { responses } from "../openAiResponses/protocol.ts"
import type { Protocol, Reply } from "../protocol.ts"
import {
  countsOf,
  expiresAt,
  type Invalid,
  type Job,
  type Line,
  met,
  type Result,
  scheduleOf,
  statusAt
} from "./job.ts"
import type { Terms } from "./lines.ts"
import * as Office from "./office.ts"
import { partsOf } from "./parts.ts"

const endpoints: Readonly<Record<string, Protocol>> = { "/v1/chat/completions": chat, "/v1/responses": responses }

const most = { requests: 50_000, bytes: 200_000_000 } as const
const dayMillis = 86_400_000
const noQuery = new URLSearchParams()

const wrong = (message: string, param?: string, status = 400, code?: string): Reply =>
  refusal(wireError(status, message, {
    ...(param === undefined ? {} : { param }),
    ...(code === undefined ? {} : { code })
  }))

const seconds = (millis: number): number => Math.floor(millis / 1000)

// Files ---------------------------------------------------------------------------------------------------------------

const fileObject = (id: string, file: Office.StoredFile) => ({
  id,
  object: "file",
  bytes: Office.bytesOf(file.text),
  created_at: seconds(file.createdAt),
  expires_at: seconds(file.createdAt + 30 * dayMillis),
  filename: file.name,
  purpose: file.purpose,
  status: "processed",
  status_details: null
})

const noFile = (id: string): Reply => wrong(`No such File object: ${id}`, "id", 404)

const upload = (terms: Terms, call: Office.Call) => (office: Office.Office): Office.Answered => {
  const parts = partsOf(call.headers["content-type"] ?? "", call.body)
  if (parts === undefined) return [wrong("The request body must be multipart/form-data."), office]
  const purpose = parts.find(({ name }) => name === "purpose")?.text
  const file = parts.find(({ name }) => name === "file")
  if (file === undefined) return [wrong("'file' is a required property", "file"), office]
  if (purpose !== "batch") return [wrong(`'${purpose ?? ""}' is not one of ['batch'] - 'purpose'`, "purpose"), office]
  const name = file.filename ?? "upload"
  if (!name.endsWith(".jsonl")) return [wrong(`Invalid file format for Batch API. Must be .jsonl`, "file"), office]
  if (Office.bytesOf(file.text) > (terms.batches.bytes ?? most.bytes)) {
    return [chat.failure({ _tag: "BodyTooLarge" }), office]
  }
  const stored = { name, mimeType: "application/jsonl", purpose, text: file.text, createdAt: call.now }
  const [id, after] = Office.store(terms, stored, (bare) => `file-u${bare}`)(office)
  return [json(200, fileObject(id, stored)), after]
}

const isOutput = ({ _tag }: Result): boolean => _tag === "Succeeded"

/** Which results a job's file holds: `o` those that succeeded, `e` the others. */
const partOf = (kind: string) => (result: Result): boolean => isOutput(result) === (kind === "o")

const notRun = {
  expired: {
    code: "batch_expired",
    message: "This request could not be executed before the completion window expired."
  },
  cancelled: { code: "batch_cancelled", message: "This request was not executed because the batch was cancelled." }
} as const

const resultLine = (job: Job) => ({ index, line, result }: Office.Entry) => {
  const head = { id: `batch_req_${job.id}${index}`, custom_id: line.id }
  const request_id = `req_${job.id}${index}`
  switch (result._tag) {
    case "Succeeded":
      return { ...head, response: { status_code: 200, request_id, body: result.body }, error: null }
    case "Failed":
      return { ...head, response: { status_code: result.status, request_id, body: result.body }, error: null }
    case "Lost":
      return { ...head, response: { status_code: 0, request_id: "", body: {} }, error: null }
    case "NotRun":
      return { ...head, response: null, error: notRun[result.why] }
  }
}

const content = (terms: Terms, { now }: Office.Call, id: string) => (office: Office.Office): Office.Answered => {
  const stored = HashMap.get(office.files, id)
  const jsonl = { "content-type": "application/octet-stream" }
  if (stored._tag === "Some") {
    return [{ _tag: "Reply", status: 200, headers: jsonl, body: stored.value.text }, office]
  }
  const [, kind = "", bare = ""] = /^file-([oe])([0-9a-f]{16})$/.exec(id) ?? []
  const [job, after] = Office.find(terms, "openai", bare, now, "results")(office)
  if (job === undefined || !job.isEnded) return [noFile(id), after]
  const entries = Office.entriesOf(terms, job, partOf(kind))
  if (entries.length === 0) return [noFile(id), after]
  const body = Office.jsonLines(entries.map(resultLine(job)))
  return Office.download(chat, job, kind, { _tag: "Reply", status: 200, headers: jsonl, body })(after)
}

const file = (call: Office.Call, id: string) => (office: Office.Office): Office.Answered => {
  const stored = HashMap.get(office.files, id)
  if (stored._tag === "None") return [noFile(id), office]
  return call.method === "DELETE"
    ? [json(200, { id, object: "file", deleted: true }), { ...office, files: HashMap.remove(office.files, id) }]
    : [json(200, fileObject(id, stored.value)), office]
}

// Batches -------------------------------------------------------------------------------------------------------------

const modelIn = (body: unknown): string | undefined => {
  const model = own(body, "model")
  return typeof model === "string" ? model : undefined
}

/** Reads the input as the service does: the first line that is wrong refuses the whole of it. */
const readInput = (
  terms: Terms,
  text: string,
  endpoint: string,
  protocol: Protocol
): {
  readonly lines: ReadonlyArray<Line>
  readonly invalid: Invalid | undefined
  readonly model: string | undefined
} => {
  const path = protocol.route("POST", endpoint, noQuery) ?? { model: undefined, stream: undefined }
  const lines: Array<Line> = []
  const ids = new Set<string>()
  let model: string | undefined
  const refused = (code: Parameters<typeof Office.wordsOf>[0], line: number | null) => ({
    lines: [],
    invalid: Office.wordsOf(code, lines, line),
    model
  })
  for (const [index, row] of text.split("\n").entries()) {
    if (row.trim() === "") continue
    const value = parse(row)
    const id = own(value, "custom_id")
    const body = own(value, "body")
    if (!isRecord(value) || typeof id !== "string" || !isRecord(body)) return refused("invalid_json_line", index + 1)
    if (ids.has(id)) return refused("duplicate_custom_id", index + 1)
    if (own(value, "url") !== endpoint || own(value, "method") !== "POST") return refused("url_mismatch", index + 1)
    if (lines.length > 0 && modelIn(body) !== model) return refused("model_mismatch", index + 1)
    model = modelIn(body)
    ids.add(id)
    lines.push({ id, protocol, path, body: JSON.stringify(body) })
  }
  if (lines.length === 0) return refused("empty_file", null)
  if (lines.length > (terms.batches.requests ?? most.requests)) return refused("too_many_tasks", null)
  return { lines, invalid: undefined, model }
}

const isMetadata = (value: unknown): boolean =>
  value === undefined || value === null ||
  isRecord(value) && Object.keys(value).length <= 16 &&
    Object.entries(value).every(([key, text]) => key.length <= 64 && typeof text === "string" && text.length <= 512)

const create = (terms: Terms, call: Office.Call) => (before: Office.Office): Office.Answered => {
  const body = parse(call.body)
  const refused = (reply: Reply, office = before): Office.Answered => [reply, Office.count("refused")(office)]
  const input = own(body, "input_file_id")
  const endpoint = own(body, "endpoint")
  const protocol = typeof endpoint === "string" ? endpoints[endpoint] : undefined
  if (!isRecord(body)) return refused(wrong("We could not parse the JSON body of your request."))
  if (typeof input !== "string") return refused(wrong("Missing required parameter: 'input_file_id'.", "input_file_id"))
  if (typeof endpoint !== "string" || protocol === undefined) {
    const known = Object.keys(endpoints).map((name) => `'${name}'`).join(" and ")
    return refused(wrong(
      `Invalid value: '${String(endpoint)}'. Supported values are: ${known}.`,
      "endpoint",
      400,
      "invalid_value"
    ))
  }
  if (own(body, "completion_window") !== "24h") {
    return refused(
      wrong(
        "Invalid value for 'completion_window'. Supported values are: '24h'.",
        "completion_window",
        400,
        "invalid_value"
      )
    )
  }
  if (!isMetadata(own(body, "metadata"))) {
    return refused(
      wrong("Invalid 'metadata': at most 16 pairs of texts, keys up to 64 and values up to 512 letters.", "metadata")
    )
  }
  const [faults, office] = Office.faultsOf(terms, ["InlineResults", "MissingKeys"])(before)
  const failure = Office.refusedOrder(chat, faults, call.now)
  if (failure !== undefined) return refused(failure, office)
  const missing = met({ faults }, "MissingInput")
  const stored = HashMap.get(office.files, input)
  if (stored._tag === "None" || missing?.when === "create") return refused(noFile(input), office)
  const read = readInput(terms, stored.value.text, endpoint, protocol)
  const lost = { code: "invalid_input_file", message: `No such File object: ${input}`, line: null }
  const [job, after] = Office.create(
    terms,
    {
      vendor: "openai",
      lines: read.lines,
      invalid: missing === undefined ? read.invalid : lost,
      asked: { input, endpoint, metadata: own(body, "metadata") ?? null, model: read.model ?? null }
    },
    faults,
    call.now
  )(office)
  return [Office.told(job, json(200, batchObject(terms, job, call.now))), after]
}

const statuses = {
  validating: "validating",
  running: "in_progress",
  finalizing: "finalizing",
  cancelling: "cancelling",
  completed: "completed",
  failed: "failed",
  expired: "expired",
  cancelled: "cancelled"
} as const

const usageOf = ({ results }: Job) => {
  const sum = (...names: ReadonlyArray<string>): number =>
    results.reduce((total, result) => {
      const usage = result._tag === "Succeeded" ? own(result.body, "usage") : undefined
      const tokens = names.map((name) => own(usage, name)).find((value) => typeof value === "number")
      return total + (typeof tokens === "number" ? tokens : 0)
    }, 0)
  const input = sum("prompt_tokens", "input_tokens")
  const output = sum("completion_tokens", "output_tokens")
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + output
  }
}

const batchObject = (terms: Terms, job: Job, now: number) => {
  const { times } = terms.batches
  const schedule = scheduleOf(job, times)
  const status = statusAt(schedule, now)
  const counts = countsOf(job)
  const passed = (is: boolean, at: number) => is && now >= at ? seconds(at) : null
  const wasCancelled = job.cancelledAt !== undefined && schedule.end === "cancelled"
  const noId = met(job, "EmptyFileIds") === undefined ? null : ""
  const fileId = (kind: string) => job.isEnded && job.results.some(partOf(kind)) ? `file-${kind}${job.id}` : noId
  const isWrong = met(job, "WrongCounts") !== undefined && job.isEnded
  return {
    id: `batch_${job.id}`,
    object: "batch",
    endpoint: job.asked["endpoint"],
    model: job.asked["model"],
    errors: status !== "failed" || job.invalid === undefined ? null : {
      object: "list",
      data: [{ code: job.invalid.code, message: job.invalid.message, param: null, line: job.invalid.line }]
    },
    input_file_id: job.asked["input"],
    completion_window: "24h",
    status: statuses[status],
    output_file_id: fileId("o"),
    error_file_id: fileId("e"),
    created_at: seconds(job.createdAt),
    in_progress_at: passed(schedule.end !== "failed" && schedule.stopsAt >= schedule.startsAt, schedule.startsAt),
    expires_at: seconds(expiresAt(job, schedule, times)),
    finalizing_at: passed(schedule.end === "completed" || schedule.end === "expired", schedule.stopsAt),
    completed_at: passed(schedule.end === "completed", schedule.endsAt),
    failed_at: passed(schedule.end === "failed", schedule.endsAt),
    expired_at: passed(schedule.end === "expired", schedule.endsAt),
    cancelling_at: passed(schedule.end === "cancelled", wasCancelled ? job.cancelledAt : schedule.stopsAt),
    cancelled_at: passed(schedule.end === "cancelled", schedule.endsAt),
    request_counts: status === "validating" || status === "failed"
      ? { total: 0, completed: 0, failed: 0 }
      : isWrong
      ? { total: counts.total, completed: counts.total, failed: 0 }
      : { total: counts.total, completed: counts.succeeded, failed: counts.failed },
    usage: usageOf(job),
    metadata: job.asked["metadata"]
  }
}

const noBatch = (id: string): Reply => wrong(`No batch found with id '${id}'.`, undefined, 404, "batch_not_found")

const batch = (terms: Terms, { now }: Office.Call, id: string, action: "look" | "cancel") =>
(
  before: Office.Office
): Office.Answered => {
  const [job, office] = Office.find(terms, "openai", id.replace(/^batch_/, ""), now)(before)
  if (job === undefined) return [noBatch(id), Office.count("polls")(office)]
  const [after, next] = action === "cancel"
    ? Office.cancel(terms, job, now)(office)
    : [job, Office.count("polls")(office)] as const
  return [json(200, batchObject(terms, after, now)), next]
}

const list = (terms: Terms, { now, query }: Office.Call) => (before: Office.Office): Office.Answered => {
  const limit = Number(query.get("limit") ?? 20)
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    return [wrong("Invalid 'limit': must be between 1 and 100.", "limit"), before]
  }
  const [jobs, office] = Office.list(terms, "openai", now)(before)
  const after = query.get("after")
  const from = after === null ? 0 : jobs.findIndex(({ id }) => `batch_${id}` === after) + 1
  const data = jobs.slice(from, from + limit).map((job) => batchObject(terms, job, now))
  return [
    json(200, {
      object: "list",
      data,
      first_id: data.at(0)?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: jobs.length > from + limit
    }),
    office
  ]
}

const address = /^\/v1\/(files|batches)(?:\/([^/]+)(?:\/(content|cancel))?)?$/

export const openAi: Office.BatchWire = {
  protocol: chat,
  route: (path) => address.test(path),
  serve: (terms, call) => {
    const { method, path } = call
    const [, what, id, action] = address.exec(path) ?? []
    if (what === "files") {
      if (method === "POST" && id === undefined) return upload(terms, call)
      if (method === "GET" && id !== undefined && action === "content") return content(terms, call, id)
      if ((method === "GET" || method === "DELETE") && id !== undefined && action === undefined) return file(call, id)
    } else {
      if (method === "POST" && id === undefined) return create(terms, call)
      if (method === "GET" && id === undefined) return list(terms, call)
      if (method === "GET" && id !== undefined && action === undefined) return batch(terms, call, id, "look")
      if (method === "POST" && id !== undefined && action === "cancel") return batch(terms, call, id, "cancel")
    }
    return (office) => [chat.failure({ _tag: "UnknownUrl", method, url: path }), office]
  }
}
