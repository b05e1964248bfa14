/** OpenAI's batch service over real HTTP, in virtual time. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as BatchFault from "../../../../src/chaos/BatchFault.ts"
import * as Fault from "../../../../src/chaos/Fault.ts"
import { type Asked, jsonl, type Parsed, start } from "./service.ts"

const model = "gpt-4o-mini"
const request = (id: string, more: object = {}) => ({
  custom_id: id,
  method: "POST",
  url: "/v1/chat/completions",
  body: { model, messages: [{ role: "user", content: `Question ${id}` }] },
  ...more
})
const ids = ["r0", "r1", "r2", "r3"]
const input = jsonl(ids.map((id) => request(id)))

const upload = ({ ask }: Asked, text = input, name = "input.jsonl") => {
  const body = new FormData()
  body.set("purpose", "batch")
  body.set("file", new Blob([text]), name)
  return ask("/v1/files", { method: "POST", body })
}

const create = ({ post }: Asked, file: unknown, more: object = {}) =>
  post("/v1/batches", {
    input_file_id: file,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    metadata: { marker: "m1" },
    ...more
  })

const submit = (asked: Asked, text = input) => Effect.flatMap(upload(asked, text), ({ json }) => create(asked, json.id))

const idsIn = (lines: ReadonlyArray<{ custom_id: string }>) => lines.map(({ custom_id }) => custom_id)

/** The job after 12 s, with the lines of its files. */
const finished = (asked: Asked, text = input) =>
  Effect.gen(function*() {
    const { json: { id } } = yield* submit(asked, text)
    yield* TestClock.adjust("13 seconds")
    const { json: job } = yield* asked.ask(`/v1/batches/${id}`)
    const linesOf = (file: string | null) =>
      file === null || file === ""
        ? Effect.succeed<Array<Parsed>>([])
        : Effect.map(asked.ask(`/v1/files/${file}/content`), ({ lines }) => lines())
    return { job, output: yield* linesOf(job.output_file_id), errors: yield* linesOf(job.error_file_id) }
  })

describe("OpenAI's batches", () => {
  it.scoped("go from validating to completed by the clock, and bring their results", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const file = yield* upload(asked)
      expect(file.json).toMatchObject({
        object: "file",
        purpose: "batch",
        filename: "input.jsonl",
        bytes: input.length
      })
      expect((yield* asked.ask(`/v1/files/${file.json.id}/content`)).text).toBe(input)
      const { json: made } = yield* create(asked, file.json.id)
      expect(made).toMatchObject({
        object: "batch",
        endpoint: "/v1/chat/completions",
        status: "validating",
        input_file_id: file.json.id,
        output_file_id: null,
        errors: null,
        in_progress_at: null,
        expires_at: 86_400,
        request_counts: { total: 0, completed: 0, failed: 0 },
        usage: { total_tokens: 0 },
        metadata: { marker: "m1" }
      })
      const look = Effect.map(asked.ask(`/v1/batches/${made.id}`), ({ json }) => json)
      yield* TestClock.adjust("6 seconds")
      expect(yield* look).toMatchObject({
        status: "in_progress",
        request_counts: { total: 4, completed: 2, failed: 0 }
      })
      yield* TestClock.adjust("5 seconds")
      expect(yield* look).toMatchObject({ status: "finalizing", finalizing_at: 11, output_file_id: null })
      yield* TestClock.adjust("1 second")
      const done = yield* look
      expect(done).toMatchObject({ status: "completed", completed_at: 12, error_file_id: null })
      const lines = (yield* asked.ask(`/v1/files/${done.output_file_id}/content`)).lines()
      expect(idsIn(lines)).toEqual(ids)
      expect(lines[0]).toMatchObject({
        error: null,
        response: { status_code: 200, body: { object: "chat.completion", choices: [{ finish_reason: "stop" }] } }
      })
      const books = yield* asked.server.books
      expect(books).toMatchObject({
        admitted: 4,
        byProtocol: { "openai-chat": 4 },
        right: { texts: 4 },
        tokens: { prompt: done.usage.input_tokens, completion: done.usage.output_tokens },
        batches: { submitted: 1, completed: 1, succeeded: 4, failed: 0, uploads: 1, downloads: 1 }
      })
    }))

  it.scoped("enter what has ended in the books though nobody looks", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      yield* submit(asked)
      yield* TestClock.adjust("1 hour")
      expect((yield* asked.server.books).batches).toMatchObject({ completed: 1, succeeded: 4, polls: 0 })
    }))

  it.scoped("are listed, the newest first, a page at a time", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const made: Array<string> = []
      for (let count = 0; count < 3; count++) made.unshift((yield* submit(asked)).json.id)
      const first = (yield* asked.ask("/v1/batches?limit=2")).json
      expect(first).toMatchObject({ has_more: true, last_id: made[1] })
      const second = (yield* asked.ask(`/v1/batches?limit=2&after=${first.last_id}`)).json
      expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(made)
      expect(second.has_more).toBe(false)
    }))

  it.scoped("make a second job of a request that comes twice, whatever its idempotency key", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const file = (yield* upload(asked)).json.id
      const body = { input_file_id: file, endpoint: "/v1/chat/completions", completion_window: "24h" }
      const one = yield* asked.post("/v1/batches", body, { "idempotency-key": "k" })
      const other = yield* asked.post("/v1/batches", body, { "idempotency-key": "k" })
      expect(one.json.id).not.toBe(other.json.id)
    }))

  it.scoped("that are cancelled keep what was answered", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const { id } = (yield* submit(asked)).json
      yield* TestClock.adjust("6 seconds")
      expect((yield* asked.post(`/v1/batches/${id}/cancel`)).json).toMatchObject({
        status: "cancelling",
        cancelling_at: 6
      })
      yield* TestClock.adjust("1 second")
      const job = (yield* asked.ask(`/v1/batches/${id}`)).json
      expect(job).toMatchObject({ status: "cancelled", request_counts: { total: 4, completed: 2, failed: 0 } })
      const errors = (yield* asked.ask(`/v1/files/${job.error_file_id}/content`)).lines()
      expect(errors).toMatchObject([2, 3].map((at) => ({
        custom_id: `r${at}`,
        response: null,
        error: { code: "batch_cancelled" }
      })))
    }))

  it.scoped.each<readonly [code: string, text: string, line: number | null]>([
    ["invalid_json_line", `${input}{"custom_id":`, 5],
    ["duplicate_custom_id", input + input, 5],
    ["url_mismatch", input + jsonl([request("r9", { url: "/v1/responses" })]), 5],
    ["model_mismatch", input + jsonl([request("r9", { body: { model: "other", messages: [] } })]), 5],
    ["empty_file", "", null],
    ["too_many_tasks", input + jsonl([request("r9")]), null]
  ])("are made of a wrong file, and fail later with %s", ([code, text, line]) =>
    Effect.gen(function*() {
      const asked = yield* start([], { batches: { validating: "1 second", requests: 4 } })
      const { json: { id }, status } = yield* submit(asked, text)
      expect(status).toBe(200)
      yield* TestClock.adjust("1 second")
      const { json } = yield* asked.ask(`/v1/batches/${id}`)
      expect(json).toMatchObject({ status: "failed", failed_at: 1, errors: { object: "list", data: [{ code, line }] } })
    }))

  it.scoped("refuse a job that is wrong in itself", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const file = (yield* upload(asked)).json.id
      const codes = yield* Effect.all([
        create(asked, "file-none"),
        create(asked, file, { completion_window: "1h" }),
        create(asked, file, { endpoint: "/v1/embeddings" }),
        create(asked, file, { metadata: { marker: "m".repeat(513) } }),
        asked.ask("/v1/batches/batch_none"),
        asked.ask("/v1/files/file-none/content"),
        upload(asked, input, "input.txt")
      ])
      expect(codes.map(({ status }) => status)).toEqual([404, 400, 400, 400, 404, 404, 400])
    }))

  it.scoped("answer each line under the plan of live calls", () =>
    Effect.gen(function*() {
      const plan = Fault.script({ inOrder: [null, Fault.serverError(500), Fault.resetBeforeBody, null] })
      const asked = yield* start([], { plan })
      const { errors, job, output } = yield* finished(asked)
      expect(job.request_counts).toEqual({ total: 4, completed: 2, failed: 2 })
      expect(idsIn(output)).toEqual(["r0", "r3"])
      expect(errors).toMatchObject([
        { custom_id: "r1", error: null, response: { status_code: 500, body: { error: { type: "server_error" } } } },
        { custom_id: "r2", error: null, response: { status_code: 0, request_id: "", body: {} } }
      ])
    }))
})

describe("faults of OpenAI's batches", () => {
  it.scoped("a job is unknown just after it was made, and not listed", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.unknownJob("created", "2 seconds")]])
      const { id } = (yield* submit(asked)).json
      expect((yield* asked.ask(`/v1/batches/${id}`)).status).toBe(404)
      expect((yield* asked.ask("/v1/batches")).json.data).toEqual([])
      yield* TestClock.adjust("2 seconds")
      expect((yield* asked.ask(`/v1/batches/${id}`)).status).toBe(200)
    }))

  it.scoped("a job whose reply is lost is there all the same", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.lostJobReply]])
      expect((yield* submit(asked)).status).toBe(0)
      expect((yield* asked.ask("/v1/batches")).json.data).toMatchObject([{ metadata: { marker: "m1" } }])
    }))

  it.scoped("a job that is refused is none", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.refusedJob(503)], [BatchFault.missingInput("create")]])
      expect((yield* submit(asked)).status).toBe(503)
      expect((yield* submit(asked)).status).toBe(404)
      expect((yield* asked.server.books).batches).toMatchObject({ submitted: 0, refused: 2 })
    }))

  it.scoped.each(BatchFault.validationCodes)("a good file is refused with %s", (code) =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.invalidJob(code)]])
      const { job } = yield* finished(asked)
      expect(job).toMatchObject({ status: "failed", errors: { data: [{ code }] }, output_file_id: null })
    }))

  it.scoped("an expired job has the results of its first part", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.expiredJob(0.5)]])
      const { errors, job, output } = yield* finished(asked)
      expect(job).toMatchObject({
        status: "expired",
        expired_at: 7,
        request_counts: { total: 4, completed: 2, failed: 0 }
      })
      expect(idsIn(output)).toEqual(["r0", "r1"])
      expect(errors).toMatchObject(["r2", "r3"].map((custom_id) => ({
        custom_id,
        response: null,
        error: { code: "batch_expired" }
      })))
    }))

  it.scoped.each(
    [
      ["status", { response: { status_code: 500, body: { error: {} } }, error: null }],
      ["zero", { response: { status_code: 0, request_id: "", body: {} }, error: null }],
      ["unanswered", { response: null, error: { code: "batch_expired" } }]
    ] as const
  )("lines fail in the form %s while the counts say that all is well", ([form, line]) =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.failedLines(1, form), BatchFault.wrongCounts]])
      const { errors, job, output } = yield* finished(asked)
      expect(job).toMatchObject({ status: "completed", request_counts: { total: 4, completed: 4, failed: 0 } })
      expect(output).toEqual([])
      expect(errors).toMatchObject(ids.map((custom_id) => ({ custom_id, ...line })))
    }))

  it.scoped("a job all of whose lines failed is completed, without output", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.allLinesFailed], [BatchFault.emptyFileIds]])
      expect((yield* finished(asked)).job).toMatchObject({ status: "completed", output_file_id: null })
      expect((yield* finished(asked)).job).toMatchObject({ status: "completed", error_file_id: "" })
    }))

  it.scoped("results come out of order, and twice", () =>
    Effect.gen(function*() {
      const many = jsonl(Array.from({ length: 20 }, (_, index) => request(`r${index}`)))
      const asked = yield* start([[BatchFault.shuffledResults], [BatchFault.repeatedResults(1)]])
      const shuffled = idsIn((yield* finished(asked, many)).output)
      const sorted = [...shuffled].sort((left, right) => Number(left.slice(1)) - Number(right.slice(1)))
      expect(shuffled).not.toEqual(sorted)
      expect(new Set(shuffled).size).toBe(20)
      expect(idsIn((yield* finished(asked)).output)).toEqual(ids.flatMap((id) => [id, id]))
    }))

  it.scoped("a result file is unavailable, then cut, then whole", () =>
    Effect.gen(function*() {
      const asked = yield* start([[
        BatchFault.unavailableResults({ times: 1 }),
        BatchFault.cutResults({ share: 0.5, times: 1 })
      ]])
      const { id } = (yield* submit(asked)).json
      yield* TestClock.adjust("12 seconds")
      const file = (yield* asked.ask(`/v1/batches/${id}`)).json.output_file_id
      const read = asked.ask(`/v1/files/${file}/content`)
      const first = yield* read
      const second = yield* read
      const third = yield* read
      expect([first.status, second.status, third.status]).toEqual([503, 200, 200])
      expect(second.text).toBe(third.text.slice(0, Math.floor(third.text.length / 2)))
      expect((yield* asked.server.books).batches.downloads).toBe(3)
    }))
})
