import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Journal from "../../../src/batch/Journal.ts"
import * as VendorBatch from "../../../src/batch/VendorBatch.ts"
import { ServerError } from "../../../src/error/ModelError.ts"
import * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"
import { openAi, type Script } from "../fakeVendors.ts"
import { chat, requestsOf, response, runOn, serviceOf, told } from "../support/vendorRuns.ts"

/** The job expires with its first request answered and the others not. */
const expiring: Script = {
  result: (id, at) =>
    at === 0 ? undefined : {
      custom_id: id,
      response: null,
      error: { code: "batch_expired", message: "This request could not be executed." }
    },
  end: () => ({ status: "expired" })
}

/** A live model that keeps the idempotency key of each call. */
const liveModel = (answer: (call: number) => Effect.Effect<string, ServerError> = () => Effect.succeed("live")) => {
  const keys: Array<string> = []
  const model = LanguageModel.make({
    name: "live",
    provider: "zoo",
    generate: () =>
      Effect.flatMap(LanguageModel.nextIdempotencyKey, (key) => {
        keys.push(key)
        return Effect.map(answer(keys.length), response)
      })
  })
  return { keys, model }
}

const unavailable = new ServerError({ provider: "zoo", model: "live", status: 503 })

describe("the live model beside a job", () => {
  it.effect("is asked once for what expired: the next run finds its answers in the journal", () =>
    Effect.gen(function*() {
      const fake = openAi(expiring)
      const journal = yield* Journal.Journal
      const { keys, model: live } = liveModel()
      const first = yield* runOn(fake, chat, 3, { journal, live })
      const second = yield* runOn(fake, chat, 3, { journal, live })
      expect(told(first)).toEqual(["answer 0", "live", "live"])
      expect(told(second)).toEqual(told(first))
      expect(second.summary.tokens).toBe(first.summary.tokens)
      expect(second.results.map(({ source }) => source)).toEqual(["journal", "journal", "journal"])
      expect(keys).toHaveLength(2)
    }).pipe(Effect.provide(Journal.layerMemory)))

  it.effect("is asked for identical requests one by one", () =>
    Effect.gen(function*() {
      const service = yield* serviceOf(openAi({ ...expiring, looks: 0 }), chat)
      const journal = yield* Journal.Journal
      const { keys, model: live } = liveModel((call) => Effect.succeed(`live ${call}`))
      const requests = Array.from({ length: 3 }, () => ({ prompt: "the same" }))
      const report = yield* VendorBatch.run(requests, service, { journal, live, concurrency: 1 })
      expect(told(report)).toEqual(["answer 0", "live 1", "live 2"])
      expect(keys).toHaveLength(2)
    }).pipe(Effect.provide(Journal.layerMemory)))

  it.effect("is asked again after a crash only what was in flight, under the same key", () =>
    Effect.gen(function*() {
      const fake = openAi({ ...expiring, looks: 0 })
      const journal = yield* Journal.Journal
      const service = yield* serviceOf(fake, chat)
      const asked = yield* Deferred.make<void>()
      const ends = yield* Deferred.make<string>()
      const { keys, model: live } = liveModel((call) =>
        call === 2 ? Effect.zipRight(Deferred.succeed(asked, undefined), Deferred.await(ends)) : Effect.succeed("live")
      )
      const running = yield* Effect.fork(
        VendorBatch.run(requestsOf(4), service, { journal, live, concurrency: 1 })
      )
      yield* Deferred.await(asked)
      // A crash does not wait for what is in flight, so this does not either.
      yield* Fiber.interruptFork(running)
      const report = yield* VendorBatch.run(requestsOf(4), service, { journal, live, concurrency: 1 })
      expect(told(report)).toEqual(["answer 0", "live", "live", "live"])
      const [first, inFlight, ...later] = keys
      expect(later).toHaveLength(2)
      expect(later).toContain(inFlight)
      expect(later).not.toContain(first)
      yield* Deferred.succeed(ends, "too late")
      yield* Fiber.await(running)
    }).pipe(Effect.provide(Journal.layerMemory)))

  it.effect("is asked again for what it failed", () =>
    Effect.gen(function*() {
      const fake = openAi(expiring)
      const journal = yield* Journal.Journal
      const { keys, model: live } = liveModel((call) => call <= 2 ? Effect.fail(unavailable) : Effect.succeed("live"))
      expect(told(yield* runOn(fake, chat, 3, { journal, live }))).toEqual(["answer 0", "ServerError", "ServerError"])
      expect(told(yield* runOn(fake, chat, 3, { journal, live }))).toEqual(["answer 0", "live", "live"])
      expect(new Set(keys).size).toBe(4)
    }).pipe(Effect.provide(Journal.layerMemory)))

  it.effect("answers a job that the service will not take, and no later run makes that job", () =>
    Effect.gen(function*() {
      const fault = { code: "token_limit_exceeded", line: null, message: "Enqueued token limit" }
      const fake = openAi({ end: () => ({ status: "failed", output_file_id: null, errors: { data: [fault] } }) })
      const journal = yield* Journal.Journal
      const { keys, model: live } = liveModel()
      const options = { journal, live, resubmit: RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(2)) }
      expect(told(yield* runOn(fake, chat, 3, options))).toEqual(["live", "live", "live"])
      expect(fake.jobs).toHaveLength(2)
      expect(told(yield* runOn(fake, chat, 3, options))).toEqual(["live", "live", "live"])
      expect(fake.jobs).toHaveLength(2)
      expect(keys).toHaveLength(3)
    }).pipe(Effect.provide(Journal.layerMemory)))

  it.effect("is not asked what a job that still runs may answer", () =>
    Effect.gen(function*() {
      const { keys, model: live } = liveModel()
      const report = yield* runOn(openAi({ looks: 1_000 }), chat, 3, {
        live,
        poll: RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3))
      })
      expect(report.results[0]?.outcome).toMatchObject({ left: { _tag: "Unanswered", reason: "running" } })
      expect(keys).toEqual([])
    }))

  it.effect("is not asked what stands in results that cannot be read to their end", () =>
    Effect.gen(function*() {
      const { keys, model: live } = liveModel()
      const report = yield* runOn(openAi({ file: (lines) => `${lines.join("\n")}\n`.slice(0, -30) }), chat, 3, {
        live,
        retry: RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3))
      })
      // The lines come in reverse order, so that it is the first request whose line is cut.
      expect(told(report)).toEqual(["Truncated", "answer 1", "answer 2"])
      expect(keys).toEqual([])
    }))

  it.effect("is not asked what a submit may have made, whose job is not seen", () =>
    Effect.gen(function*() {
      const { keys, model: live } = liveModel()
      const fake = openAi({ onCreate: () => new globalThis.Response("bad gateway", { status: 502 }) })
      const unlisted = { ...(yield* serviceOf(fake, chat)), find: () => Effect.fail(unavailable) }
      const retry = RetryPolicy.immediate.pipe(RetryPolicy.attempts(2))
      const report = yield* VendorBatch.run(requestsOf(3), unlisted, { live, retry, lookAgain: retry })
      expect(report.results.every(({ outcome }) => Either.isLeft(outcome))).toBe(true)
      expect(fake.jobs).toHaveLength(1)
      expect(keys).toEqual([])
    }))

  it.effect("answers a job that its own service has not known for ten minutes", () =>
    Effect.gen(function*() {
      const { keys, model: live } = liveModel()
      expect(told(yield* runOn(openAi({ unknown: 10_000 }), chat, 3, { live }))).toEqual(["live", "live", "live"])
      expect(keys).toHaveLength(3)
    }))
})
