import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Journal from "../../src/batch/Journal.ts"
import * as VendorBatch from "../../src/batch/VendorBatch.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import { anthropic, type Fake, gemini, openAi, type Script } from "./fakeVendors.ts"
import {
  answers,
  apiKey,
  chat,
  content,
  type Made,
  messages,
  requestsOf,
  response,
  responses,
  runOn,
  serviceOf,
  told
} from "./support/vendorRuns.ts"

const vendors: ReadonlyArray<readonly [string, Made, (script?: Script) => Fake]> = [
  ["OpenAI (chat)", chat, (script) => openAi(script)],
  ["OpenAI (responses)", responses, (script) => openAi(script, "/v1/responses")],
  ["Anthropic", messages, anthropic],
  ["Gemini", content, (script) => gemini(script)]
]

const live = LanguageModel.make({
  name: "live",
  provider: "zoo",
  generate: () => Effect.succeed(response("live"))
})

const created = (fake: Fake) => fake.jobs.length

describe.each(vendors)("VendorBatch at %s", (_, made, fakeOf) => {
  it.effect("gives one result for each request in their order, although they come in another", () =>
    Effect.gen(function*() {
      const fake = fakeOf()
      const report = yield* runOn(fake, made, 5)
      expect(told(report)).toEqual(answers(5))
      expect(report.summary).toMatchObject({ total: 5, succeeded: 5, failed: 0, tokens: 25 })
      expect(created(fake)).toBe(1)
    }))

  it.effect("waits out a 404 of a job that was just made, and makes no other (complaint 1)", () =>
    Effect.gen(function*() {
      const fake = fakeOf({ unknown: 4 })
      expect(told(yield* runOn(fake, made))).toEqual(answers(3))
      expect(created(fake)).toBe(1)
    }))

  it.effect("reads a file again whole that was cut within a line, and drops what it has", () =>
    Effect.gen(function*() {
      const file: Script["file"] = (lines, reading) => {
        const whole = `${lines.join("\n")}\n`
        return reading === 0 ? whole.slice(0, -30) : `${whole}${whole}`
      }
      expect(told(yield* runOn(fakeOf({ file }), made))).toEqual(answers(3))
    }))

  it.effect("tells of a request that has no result, and of a result that has no request (complaints 2 and 3)", () =>
    Effect.gen(function*() {
      const file: Script["file"] = (lines) => {
        const [, ...kept] = lines
        return `${kept.join("\n")}\n${(lines[0] ?? "").replaceAll(/[\da-f]{12}-2/g, "stranger")}\nno json\n`
      }
      const report = yield* runOn(fakeOf({ file }), made)
      expect(told(report)).toEqual(["answer 0", "answer 1", "Unanswered"])
      expect(report.unknownIds).toEqual(["stranger"])
      expect(report.unreadable).toBe(1)
    }))

  it.effect("splits the requests by count and by bytes", () =>
    Effect.gen(function*() {
      const fake = fakeOf()
      const report = yield* runOn(fake, made, 7, { maxRequests: 3 })
      expect(told(report)).toEqual(answers(7))
      expect(fake.jobs.map(({ ids }) => ids.length)).toEqual([3, 3, 1])
      const small = fakeOf()
      expect(told(yield* runOn(small, made, 4, { maxBytes: 250 }))).toEqual(answers(4))
      expect(created(small)).toBeGreaterThan(1)
    }))

  it.effect("finds a job again whose submit was answered by a broken connection", () =>
    Effect.gen(function*() {
      const fake = fakeOf({
        onCreate: (jobs) => jobs === 1 ? new globalThis.Response("bad gateway", { status: 502 }) : undefined
      })
      expect(told(yield* runOn(fake, made))).toEqual(answers(3))
      expect(created(fake)).toBe(1)
    }))

  it.effect("submits nothing twice with a journal: neither after the end nor after a crash", () =>
    Effect.gen(function*() {
      const fake = fakeOf({ looks: 1_000 })
      const journal = yield* Journal.Journal
      const service = yield* serviceOf(fake, made)
      // Interrupted while the job runs.
      const first = yield* Effect.fork(VendorBatch.run(requestsOf(3), service, { journal }))
      while (created(fake) === 0) {
        yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      }
      yield* Fiber.interrupt(first)
      expect(fake.cancelled).toEqual([])
      for (const job of fake.jobs) job.looks = 1_000
      const report = yield* runOn(fake, made, 3, { journal })
      expect(told(report)).toEqual(answers(3))
      expect(report.results.every(({ source }) => source === "journal")).toBe(true)
      expect(told(yield* runOn(fake, made, 3, { journal }))).toEqual(answers(3))
      expect(created(fake)).toBe(1)
    }).pipe(Effect.provide(Journal.layerMemory)))

  it.effect.each([1, 2])(
    "submits nothing twice after a crash at write %i to the journal",
    (crash) =>
      Effect.gen(function*() {
        const fake = fakeOf()
        const journal = yield* Journal.Journal
        let writes = 0
        const crashing: Journal.Service = {
          ...journal,
          append: (entry) => ++writes === crash ? Effect.dieMessage("killed") : journal.append(entry)
        }
        const crashed = yield* Effect.exit(runOn(fake, made, 3, { journal: crashing }))
        expect(crashed._tag).toBe("Failure")
        expect(told(yield* runOn(fake, made, 3, { journal }))).toEqual(answers(3))
        expect(created(fake)).toBe(1)
      }).pipe(Effect.provide(Journal.layerMemory))
  )

  it.effect("stops the job of an interrupted run where it is told to", () =>
    Effect.gen(function*() {
      const fake = fakeOf({ looks: 1_000 })
      const service = yield* serviceOf(fake, made)
      const running = yield* Effect.fork(VendorBatch.run(requestsOf(3), service, { onInterrupt: "cancel" }))
      while (fake.jobs[0] === undefined || fake.jobs[0].looks === 0) {
        yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      }
      yield* Fiber.interrupt(running)
      expect(fake.cancelled).toHaveLength(1)
    }))
})

describe("VendorBatch", () => {
  it.effect("reads both files of OpenAI and reconciles every id, whatever the counts say (complaints 4 and 5)", () =>
    Effect.gen(function*() {
      const lost = (id: string) => ({
        custom_id: id,
        response: { status_code: 0, request_id: "", body: {} },
        error: null
      })
      const refused = (id: string) => ({
        custom_id: id,
        response: {
          status_code: 400,
          request_id: "r",
          body: { error: { message: "bad", type: "invalid_request_error" } }
        },
        error: null
      })
      const fake = openAi({
        result: (id, at) => at === 1 ? lost(id) : at === 2 ? refused(id) : undefined,
        end: () => ({ output_file_id: null, error_file_id: "out-batch_0" })
      })
      expect(told(yield* runOn(fake, chat))).toEqual(["answer 0", "Unanswered", "InvalidRequest"])
    }))

  it.effect("keeps what an expired job has done, and asks the rest of the live model (complaint 6)", () =>
    Effect.gen(function*() {
      const expired = (id: string) => ({
        custom_id: id,
        response: null,
        error: { code: "batch_expired", message: "This request could not be executed." }
      })
      const script: Script = {
        result: (id, at) => at > 0 ? expired(id) : undefined,
        end: () => ({ status: "expired" })
      }
      const kept = yield* runOn(openAi(script), chat)
      expect(told(kept)).toEqual(["answer 0", "Unanswered", "Unanswered"])
      const report = yield* runOn(openAi(script), chat, 3, { live })
      expect(told(report)).toEqual(["answer 0", "live", "live"])
      expect(report.summary).toMatchObject({ succeeded: 3, failed: 0, retried: 2 })
    }))

  it.effect.each([
    ["a full queue (complaint 7)", { code: "token_limit_exceeded", line: null, message: "Enqueued token limit" }],
    ["a file that the service lost (complaint 8)", {
      code: "invalid_file",
      line: null,
      message: "file-1 not found: No such File"
    }]
  ])("submits a job again that was refused for %s", ([, fault]) =>
    Effect.gen(function*() {
      const fake = openAi({
        end: (job) => job === 0 ? { status: "failed", output_file_id: null, errors: { data: [fault] } } : {}
      })
      expect(told(yield* runOn(fake, chat))).toEqual(answers(3))
      expect(created(fake)).toBe(2)
    }))

  it.effect("tells why a job was refused, with its lines, and does not submit it again", () =>
    Effect.gen(function*() {
      const fake = openAi({
        end: () => ({
          status: "failed",
          output_file_id: null,
          errors: { data: [{ code: "invalid_json_line", line: 2, message: "not JSON" }] }
        })
      })
      const report = yield* runOn(fake, chat)
      expect(report.results[0]?.outcome).toMatchObject({
        left: { _tag: "JobFailed", faults: [{ code: "invalid_json_line", line: 2, message: "not JSON" }] }
      })
      expect(created(fake)).toBe(1)
    }))

  it.effect("reads an error of Anthropic that is nested twice", () =>
    Effect.gen(function*() {
      const errored = (type: string, message: string) => (id: string) => ({
        custom_id: id,
        result: { type: "errored", error: { type: "error", request_id: "r", error: { type, message } } }
      })
      const fake = anthropic({
        result: (id, at) =>
          at === 0
            ? errored("invalid_request_error", "max_tokens: too large")(id)
            : at === 1
            ? errored("overloaded_error", "Overloaded")(id)
            : { custom_id: id, result: { type: "canceled" } }
      })
      expect(told(yield* runOn(fake, messages))).toEqual(["InvalidRequest", "Overloaded", "Unanswered"])
    }))

  it.effect("takes Gemini's results inline as well, by their keys", () =>
    Effect.gen(function*() {
      expect(told(yield* runOn(gemini({}, "inline"), content, 4))).toEqual(answers(4))
      const inline = Gemini.makeBatchService({ apiKey, model: "gemini-2.5-flash", batchInput: "inline" })
      const fake = gemini({}, "inline")
      expect(told(yield* runOn(fake, inline, 4))).toEqual(answers(4))
      expect(fake.sent.some((each) => each.includes("/upload/"))).toBe(false)
    }))

  it.effect("makes no job where it cannot know which of several is its own", () =>
    Effect.gen(function*() {
      const fake: Fake = anthropic({
        onCreate: () => {
          const [first] = fake.jobs
          if (first !== undefined) fake.jobs.push({ ...first, id: "msgbatch_other" })
          return new globalThis.Response("gone", { status: 502 })
        }
      })
      expect(told(yield* runOn(fake, messages))).toEqual(["JobUncertain", "JobUncertain", "JobUncertain"])
      expect(created(fake)).toBe(2)
    }))
})
