/** Gemini's batch mode over real HTTP, in virtual time. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as BatchFault from "../../../../src/chaos/BatchFault.ts"
import { type Asked, jsonl, start } from "./service.ts"

const model = "gemini-2.5-flash"
const keys = ["r0", "r1", "r2", "r3"]
const requestOf = (key: string) => ({ contents: [{ role: "user", parts: [{ text: `Frage ${key}, größer?` }] }] })
const inline = { requests: { requests: keys.map((key) => ({ request: requestOf(key), metadata: { key } })) } }
const file = jsonl(keys.map((key) => ({ key, request: requestOf(key) })))

const create = ({ post }: Asked, inputConfig: object = inline) =>
  post(`/v1beta/models/${model}:batchGenerateContent`, { batch: { displayName: "m1", inputConfig } })

/** In two pieces, the first of which ends within a letter. */
const upload = ({ ask, post }: Asked, text = file) =>
  Effect.gen(function*() {
    const begun = yield* post("/upload/v1beta/files", { file: { displayName: "input" } }, {
      "x-goog-upload-protocol": "resumable",
      "x-goog-upload-command": "start",
      "x-goog-upload-header-content-type": "application/jsonl"
    })
    const url = begun.headers.get("x-goog-upload-url") ?? ""
    const bytes = new TextEncoder().encode(text)
    const middle = bytes.indexOf(0xc3) + 1
    const piece = (from: number, until: number, command: string) =>
      ask(url, {
        method: "POST",
        body: bytes.slice(from, until),
        headers: { "x-goog-upload-command": command, "x-goog-upload-offset": String(from) }
      })
    yield* piece(0, middle, "upload")
    return (yield* piece(middle, bytes.length, "upload, finalize")).json.file
  })

const look = ({ ask }: Asked, name: string) => Effect.map(ask(`/v1beta/${name}`), ({ json }) => json)

const finished = (asked: Asked, inputConfig: object = inline) =>
  Effect.gen(function*() {
    const { name } = (yield* create(asked, inputConfig)).json
    yield* TestClock.adjust("13 seconds")
    return yield* look(asked, name)
  })

const download = ({ ask }: Asked, name: string) => ask(`/download/v1beta/${name}:download?alt=media`)

describe("Gemini's batches", () => {
  it.scoped("with their requests inline bring their results inline, under their keys", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const { json: made } = yield* create(asked)
      expect(made).toMatchObject({
        metadata: {
          model: `models/${model}`,
          displayName: "m1",
          state: "BATCH_STATE_PENDING",
          createTime: "1970-01-01T00:00:00.000Z",
          batchStats: { requestCount: "4", pendingRequestCount: "4" }
        }
      })
      expect(made.name).toMatch(/^batches\//)
      expect(made.done).toBeUndefined()
      yield* TestClock.adjust("6 seconds")
      expect((yield* look(asked, made.name)).metadata).toMatchObject({
        state: "BATCH_STATE_RUNNING",
        batchStats: { successfulRequestCount: "2", pendingRequestCount: "2" }
      })
      yield* TestClock.adjust("6 seconds")
      const done = yield* look(asked, made.name)
      const items = keys.map((key) => ({ metadata: { key }, response: { candidates: [{ finishReason: "STOP" }] } }))
      expect(done).toMatchObject({
        done: true,
        metadata: {
          state: "BATCH_STATE_SUCCEEDED",
          batchStats: { requestCount: "4", successfulRequestCount: "4" },
          output: { inlinedResponses: { inlinedResponses: items } }
        },
        response: { inlinedResponses: { inlinedResponses: items } }
      })
      expect(yield* asked.server.books).toMatchObject({
        admitted: 4,
        byProtocol: { gemini: 4 },
        batches: { succeeded: 4 }
      })
    }))

  it.scoped("by file bring a file, with the keys at the top", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const uploaded = yield* upload(asked)
      expect(uploaded).toMatchObject({ displayName: "input", mimeType: "application/jsonl", state: "ACTIVE" })
      expect((yield* download(asked, uploaded.name)).text).toBe(file)
      const done = yield* finished(asked, { fileName: uploaded.name })
      const { responsesFile } = done.response
      expect(done.metadata.output.responsesFile).toBe(responsesFile)
      expect((yield* download(asked, responsesFile)).lines()).toMatchObject(keys.map((key) => ({
        key,
        response: { candidates: [{ finishReason: "STOP" }] }
      })))
    }))

  it.scoped("take a file in one multipart body", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const body = `--b\r\ncontent-type: application/json\r\n\r\n{"file":{"displayName":"d"}}\r\n` +
        `--b\r\ncontent-type: application/jsonl\r\n\r\n${file}\r\n--b--\r\n`
      const { json } = yield* asked.ask("/upload/v1beta/files", {
        method: "POST",
        body,
        headers: { "content-type": "multipart/related; boundary=b", "x-goog-upload-protocol": "multipart" }
      })
      expect(json.file).toMatchObject({ displayName: "d", sizeBytes: String(new TextEncoder().encode(file).length) })
      expect((yield* download(asked, json.file.name)).text).toBe(file)
    }))

  it.scoped("refuse what cannot be a job", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const answers = yield* Effect.all([
        create(asked, {}),
        create(asked, { fileName: "files/none" }),
        asked.post("/v1beta/models/none:batchGenerateContent", { batch: { inputConfig: inline } }),
        asked.ask("/v1beta/batches/none"),
        download(asked, "files/none"),
        asked.ask("/v1beta/files/none")
      ])
      expect(answers.map(({ status }) => status)).toEqual([400, 404, 404, 404, 404, 403])
    }))

  it.scoped("tell a request that fails as an error of canonical code", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const broken = { requests: { requests: [{ request: { contents: [] }, metadata: { key: "a" } }] } }
      const done = yield* finished(asked, broken)
      expect(done.metadata.batchStats).toMatchObject({ requestCount: "1", failedRequestCount: "1" })
      expect(done.response.inlinedResponses.inlinedResponses).toMatchObject([{
        metadata: { key: "a" },
        error: { code: 3 }
      }])
    }))

  it.scoped("are listed by pages, cancelled with nothing in reply, and deleted", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const made: Array<string> = []
      for (let count = 0; count < 3; count++) made.unshift((yield* create(asked)).json.name)
      const first = (yield* asked.ask("/v1beta/batches?pageSize=2")).json
      const second = (yield* asked.ask(`/v1beta/batches?pageSize=2&pageToken=${first.nextPageToken}`)).json
      expect([...first.operations, ...second.operations].map(({ name }) => name)).toEqual(made)
      expect(second.nextPageToken).toBeUndefined()
      yield* TestClock.adjust("6 seconds")
      expect((yield* asked.post(`/v1beta/${made[0]}:cancel`)).json).toEqual({})
      yield* TestClock.adjust("1 second")
      expect((yield* look(asked, made[0] ?? "")).metadata).toMatchObject({ state: "BATCH_STATE_CANCELLED" })
      expect((yield* asked.ask(`/v1beta/${made[0]}`, { method: "DELETE" })).json).toEqual({})
      expect((yield* asked.ask(`/v1beta/${made[0]}`)).status).toBe(404)
    }))
})

describe("faults of Gemini's batches", () => {
  it.scoped("an expired job has no results", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.expiredJob(0.5)]])
      const done = yield* finished(asked)
      expect(done).toMatchObject({ done: true, metadata: { state: "BATCH_STATE_EXPIRED" } })
      expect([done.response, done.metadata.output]).toEqual([undefined, undefined])
    }))

  it.scoped("a job fails as a whole", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.invalidJob("token_limit_exceeded")], [
        BatchFault.invalidJob("empty_file")
      ]])
      const failed = (code: number) => ({ done: true, metadata: { state: "BATCH_STATE_FAILED" }, error: { code } })
      expect(yield* finished(asked)).toMatchObject(failed(8))
      expect(yield* finished(asked)).toMatchObject(failed(3))
    }))

  it.scoped("results lack their keys, inline and in files", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.missingKeys(1)], [BatchFault.missingKeys(1)]])
      const { response } = yield* finished(asked)
      const items: Array<object> = response.inlinedResponses.inlinedResponses
      expect(items.map((item) => "metadata" in item)).toEqual([false, false, false, false])
      const { name } = yield* upload(asked)
      const { response: { responsesFile } } = yield* finished(asked, { fileName: name })
      expect((yield* download(asked, responsesFile)).lines().map((line) => "key" in line)).toEqual([
        false,
        false,
        false,
        false
      ])
    }))

  it.scoped("a job by file answers inline", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.inlineResults]])
      const { name } = yield* upload(asked)
      const { response } = yield* finished(asked, { fileName: name })
      expect(response.inlinedResponses.inlinedResponses).toHaveLength(4)
    }))

  it.scoped("a job with its results inline cannot be read for a while", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.unavailableResults({ times: 2 })]])
      const { name } = (yield* create(asked)).json
      yield* TestClock.adjust("12 seconds")
      const statuses = yield* Effect.replicateEffect(asked.ask(`/v1beta/${name}`), 3)
      expect(statuses.map(({ status }) => status)).toEqual([503, 503, 200])
    }))

  it.scoped("lines fail as an error, or as a status", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.failedLines(1, "status")], [BatchFault.failedLines(1, "zero")]])
      const itemsOf = Effect.map(finished(asked), ({ response }) => response.inlinedResponses.inlinedResponses[0])
      expect(yield* itemsOf).toMatchObject({ metadata: { key: "r0" }, error: { code: 13 } })
      expect(yield* itemsOf).toMatchObject({ metadata: { key: "r0" }, status: { code: 13 } })
    }))
})
