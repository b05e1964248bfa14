/** Anthropic's Message Batches over real HTTP, in virtual time. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as BatchFault from "../../../../src/chaos/BatchFault.ts"
import { type Asked, start } from "./service.ts"

const model = "claude-sonnet-4-5"
const request = (id: string, more: object = {}) => ({
  custom_id: id,
  params: { model, max_tokens: 100, messages: [{ role: "user", content: `Question ${id}` }], ...more }
})
const ids = ["r0", "r1", "r2", "r3"]
const requests = ids.map((id) => request(id))

const create = ({ post }: Asked, given: ReadonlyArray<object> = requests) =>
  post("/v1/messages/batches", { requests: given })

const look = ({ ask }: Asked, id: string) => Effect.map(ask(`/v1/messages/batches/${id}`), ({ json }) => json)

const finished = (asked: Asked, given: ReadonlyArray<object> = requests) =>
  Effect.gen(function*() {
    const { id } = (yield* create(asked, given)).json
    yield* TestClock.adjust("13 seconds")
    const batch = yield* look(asked, id)
    return { batch, results: (yield* asked.ask(batch.results_url)).lines() }
  })

describe("Anthropic's batches", () => {
  it.scoped("are in progress until they have ended, and move no count before", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const { json: made } = yield* create(asked)
      const running = {
        type: "message_batch",
        processing_status: "in_progress",
        request_counts: { processing: 4, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
        created_at: "1970-01-01T00:00:00.000Z",
        expires_at: "1970-01-02T00:00:00.000Z",
        ended_at: null,
        cancel_initiated_at: null,
        archived_at: null,
        results_url: null
      }
      expect(made).toMatchObject(running)
      expect(made.id).toMatch(/^msgbatch_/)
      yield* TestClock.adjust("11 seconds")
      expect(yield* look(asked, made.id)).toMatchObject(running)
      yield* TestClock.adjust("1 second")
      const done = yield* look(asked, made.id)
      expect(done).toMatchObject({
        processing_status: "ended",
        request_counts: { processing: 0, succeeded: 4, errored: 0, canceled: 0, expired: 0 },
        ended_at: "1970-01-01T00:00:12.000Z",
        results_url: `${asked.origin}/v1/messages/batches/${made.id}/results`
      })
      const results = yield* asked.ask(done.results_url)
      expect(results.headers.get("content-type")).toBe("application/x-jsonl")
      expect(results.lines()).toMatchObject(ids.map((custom_id) => ({
        custom_id,
        result: {
          type: "succeeded",
          message: { type: "message", stop_reason: "end_turn", usage: { service_tier: "batch" } }
        }
      })))
      const books = yield* asked.server.books
      expect(books).toMatchObject({
        admitted: 4,
        right: { texts: 4 },
        batches: { submitted: 1, succeeded: 4, downloads: 1 }
      })
    }))

  it.scoped.each(
    [
      ["an id that is none", [request("no blanks")], /requests\.0\.custom_id: String should match pattern/],
      ["an id that is there twice", [request("a"), request("a")], /unique/],
      ["no requests", [], /at least 1 item/],
      ["too many requests", Array.from({ length: 6 }, (_, index) => request(`r${index}`)), /at most 5/]
    ] as const
  )("are refused whole for %s", ([, given, message]) =>
    Effect.gen(function*() {
      const asked = yield* start([], { batches: { requests: 5 } })
      const { json, status } = yield* create(asked, given)
      expect(status).toBe(400)
      expect(json).toMatchObject({ type: "error", error: { type: "invalid_request_error" } })
      expect(json.error.message).toMatch(message)
    }))

  it.scoped("are refused with 413 where they are too large", () =>
    Effect.gen(function*() {
      const asked = yield* start([], { batches: { bytes: 100 } })
      const { json, status } = yield* create(asked)
      expect([status, json.error.type]).toEqual([413, "request_too_large"])
    }))

  it.scoped("tell what is wrong in a request in its result, nested twice", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const wrong = [
        request("a", { stream: true }),
        request("b", { model: "none" }),
        request("c", { max_tokens: 0 }),
        request("d")
      ]
      const { batch, results } = yield* finished(asked, wrong)
      expect(batch.request_counts).toMatchObject({ succeeded: 1, errored: 3 })
      const errored = (custom_id: string, type: string) => ({
        custom_id,
        result: { type: "errored", error: { type: "error", error: { type } } }
      })
      expect(results).toMatchObject([
        errored("a", "invalid_request_error"),
        errored("b", "not_found_error"),
        errored("c", "invalid_request_error"),
        { custom_id: "d", result: { type: "succeeded" } }
      ])
    }))

  it.scoped("that are cancelled end as ended, with canceled results", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const { id } = (yield* create(asked)).json
      yield* TestClock.adjust("6 seconds")
      const cancelling = (yield* asked.post(`/v1/messages/batches/${id}/cancel`)).json
      expect(cancelling).toMatchObject({
        processing_status: "canceling",
        cancel_initiated_at: "1970-01-01T00:00:06.000Z",
        results_url: null
      })
      yield* TestClock.adjust("1 second")
      const done = yield* look(asked, id)
      expect(done).toMatchObject({ processing_status: "ended", request_counts: { succeeded: 2, canceled: 2 } })
      const types = (yield* asked.ask(done.results_url)).lines().map(({ result }) => result.type)
      expect(types).toEqual(["succeeded", "succeeded", "canceled", "canceled"])
    }))

  it.scoped("are listed by pages, and deleted once they have ended", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      const made: Array<string> = []
      for (let count = 0; count < 3; count++) made.unshift((yield* create(asked)).json.id)
      const [newest, middle, oldest] = made
      const first = (yield* asked.ask("/v1/messages/batches?limit=2")).json
      expect(first).toMatchObject({ has_more: true, first_id: newest, last_id: middle })
      const second = (yield* asked.ask(`/v1/messages/batches?limit=2&after_id=${middle}`)).json
      expect(second).toMatchObject({ has_more: false, first_id: oldest, data: [{ id: oldest }] })
      const back = (yield* asked.ask(`/v1/messages/batches?limit=1&before_id=${oldest}`)).json
      expect(back).toMatchObject({ has_more: true, data: [{ id: middle }] })
      const remove = asked.ask(`/v1/messages/batches/${newest}`, { method: "DELETE" })
      expect((yield* remove).status).toBe(400)
      yield* TestClock.adjust("12 seconds")
      expect((yield* remove).json).toEqual({ id: newest, type: "message_batch_deleted" })
      expect((yield* asked.ask(`/v1/messages/batches/${newest}`)).status).toBe(404)
    }))
})

describe("faults of Anthropic's batches", () => {
  it.scoped("a batch is unknown just after it was made, in the middle, and at its results", () =>
    Effect.gen(function*() {
      const asked = yield* start([[
        BatchFault.unknownJob("created", "500 millis"),
        BatchFault.unknownJob("running", "1 second"),
        BatchFault.unknownJob("results", "1 second")
      ]])
      const { id } = (yield* create(asked)).json
      const path = `/v1/messages/batches/${id}`
      const statuses: Array<number> = []
      for (
        const [wait, tail] of [[0, ""], [600, ""], [500, ""], [1_000, ""], [9_900, "/results"], [
          1_000,
          "/results"
        ]] as const
      ) {
        yield* TestClock.adjust(wait)
        statuses.push((yield* asked.ask(path + tail)).status)
      }
      expect(statuses).toEqual([404, 200, 404, 200, 404, 200])
    }))

  it.scoped("a batch expires with part of its results, in any order", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.expiredJob(0.5)]])
      const { batch, results } = yield* finished(asked)
      expect(batch).toMatchObject({ processing_status: "ended", request_counts: { succeeded: 2, expired: 2 } })
      expect(results.map(({ result }) => result.type)).toEqual(["succeeded", "succeeded", "expired", "expired"])
    }))

  it.scoped("lines fail, and somebody else cancels", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.failedLines(1, "zero")], [BatchFault.cancelledJob(0.25)]])
      expect((yield* finished(asked)).results).toMatchObject(ids.map((custom_id) => ({
        custom_id,
        result: { type: "errored", error: { type: "error", error: { type: "api_error" } } }
      })))
      expect((yield* finished(asked)).batch.request_counts).toMatchObject({ succeeded: 1, canceled: 3 })
    }))

  it.scoped("what its wire cannot say is spared", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.invalidJob("empty_file"), BatchFault.missingKeys(1)]])
      expect((yield* finished(asked)).results.map(({ custom_id }) => custom_id)).toEqual(ids)
      expect((yield* asked.server.books).batches.faults).toEqual({})
    }))

  it.scoped("results break off in the middle of the body", () =>
    Effect.gen(function*() {
      const asked = yield* start([[BatchFault.cutResults({ share: 0.5, close: "reset" })]])
      const { id } = (yield* create(asked)).json
      yield* TestClock.adjust("12 seconds")
      const read = asked.ask(`/v1/messages/batches/${id}/results`)
      const cut = yield* Effect.fork(read)
      // The reset waits for a moment, so that the bytes before it arrive.
      while ((yield* asked.server.books).inFlight > 0 || (yield* asked.server.books).batches.downloads === 0) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
      }
      expect((yield* cut).status).toBe(0)
      expect((yield* read).lines()).toHaveLength(4)
    }))
})
