/**
 * The batch services of the four protocols, over real HTTP, with everything that is known to go wrong with them. Whatever
 * it is: each request has one result, no job is made twice, and the books of both sides say the same.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Journal from "../../src/batch/Journal.ts"
import * as VendorBatch from "../../src/batch/VendorBatch.ts"
import * as BatchFault from "../../src/chaos/BatchFault.ts"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"

const quick = (attempts: number) => RetryPolicy.constant("10 millis").pipe(RetryPolicy.attempts(attempts))
const patience = { poll: quick(2_000), retry: quick(10), lookAgain: quick(3), resubmit: quick(4) }

const requests = Array.from({ length: 10 }, (_, index) => ({ prompt: `Question ${index}` }))

const options = (server: ChaosServer.Service) => ({ apiKey: Redacted.make(server.apiKey) })

const vendors = {
  chat: {
    service: (server: ChaosServer.Service) =>
      OpenAiChat.makeBatchService({ ...options(server), model: "gpt-4o-mini", baseUrl: server.baseUrls.openAiChat }),
    live: (server: ChaosServer.Service) =>
      OpenAiChat.make({ ...options(server), model: "gpt-4o-mini", baseUrl: server.baseUrls.openAiChat })
  },
  responses: {
    service: (server: ChaosServer.Service) =>
      OpenAiResponses.makeBatchService({
        ...options(server),
        model: "gpt-4o-mini",
        baseUrl: server.baseUrls.openAiResponses
      }),
    live: (server: ChaosServer.Service) =>
      OpenAiResponses.make({ ...options(server), model: "gpt-4o-mini", baseUrl: server.baseUrls.openAiResponses })
  },
  anthropic: {
    service: (server: ChaosServer.Service) =>
      Anthropic.makeBatchService({
        ...options(server),
        model: "claude-sonnet-4-5",
        baseUrl: server.baseUrls.anthropic
      }),
    live: (server: ChaosServer.Service) =>
      Anthropic.make({ ...options(server), model: "claude-sonnet-4-5", baseUrl: server.baseUrls.anthropic })
  },
  gemini: {
    service: (server: ChaosServer.Service) =>
      Gemini.makeBatchService({ ...options(server), model: "gemini-2.5-flash", baseUrl: server.baseUrls.gemini }),
    live: (server: ChaosServer.Service) =>
      Gemini.make({ ...options(server), model: "gemini-2.5-flash", baseUrl: server.baseUrls.gemini })
  }
}

type Vendor = keyof typeof vendors

interface Expected {
  readonly failures?: Readonly<Record<string, number>>
  /** Jobs that the service took: 1 where nothing is said. */
  readonly jobs?: number
}

interface Case {
  readonly faults: ReadonlyArray<BatchFault.BatchFault>
  readonly all: Expected
  /** What differs at a vendor, by what its service can say. */
  readonly but?: { readonly [Name in Vendor]?: Expected }
}

const unanswered = (count: number): Expected => ({ failures: { Unanswered: count } })
const twice: Expected = { jobs: 2 }

const cases: Readonly<Record<string, Case>> = {
  "nothing goes wrong": { faults: [], all: {} },
  "the job is unknown for a while after it was made, and again when it has ended": {
    faults: [BatchFault.unknownJob("created", "60 millis"), BatchFault.unknownJob("results", "60 millis")],
    all: {}
  },
  "the reply that tells the job's id is lost": { faults: [BatchFault.lostJobReply], all: {} },
  "the job is refused with a 503": { faults: [BatchFault.refusedJob(503)], all: {} },
  "the job is refused with a 429": { faults: [BatchFault.refusedJob(429)], all: {} },
  "the service has lost the input when the job is made": { faults: [BatchFault.missingInput("create")], all: {} },
  // Anthropic's jobs carry their input.
  "the service has lost the input when it looks at it": {
    faults: [BatchFault.missingInput("validation")],
    all: twice,
    but: { anthropic: {} }
  },
  // Anthropic's jobs cannot be refused after they were taken.
  "the queue of the account is full": {
    faults: [BatchFault.invalidJob("token_limit_exceeded")],
    all: twice,
    but: { anthropic: {} }
  },
  // An expired job of Gemini has no results.
  "the job expires": { faults: [BatchFault.expiredJob(0.5)], all: unanswered(5), but: { gemini: unanswered(10) } },
  "the job is cancelled by somebody else": { faults: [BatchFault.cancelledJob(0.5)], all: unanswered(5) },
  "some requests fail": { faults: [BatchFault.failedLines(0.3)], all: { failures: { ServerError: 2 } } },
  "some requests are lost within the service, and the counts are wrong": {
    faults: [BatchFault.failedLines(0.3, "zero"), BatchFault.wrongCounts],
    all: { failures: { ServerError: 2 } },
    but: { chat: unanswered(2), responses: unanswered(2) }
  },
  "all requests fail, and the files have no names": {
    faults: [BatchFault.allLinesFailed, BatchFault.emptyFileIds],
    all: { failures: { ServerError: 10 } }
  },
  "results are inline": { faults: [BatchFault.inlineResults], all: {} },
  "results are out of order, and some come twice": {
    faults: [BatchFault.shuffledResults, BatchFault.repeatedResults(0.3)],
    all: {}
  },
  // A result without a key is nobody's; its place says nothing.
  "results have no keys": { faults: [BatchFault.missingKeys(0.3)], all: {}, but: { gemini: unanswered(2) } },
  "the file of results ends early": { faults: [BatchFault.cutResults({ share: 0.5 })], all: {} },
  "the file of results is cut off": { faults: [BatchFault.cutResults({ share: 0.5, close: "reset" })], all: {} },
  "the results are not to be had twice": { faults: [BatchFault.unavailableResults({ times: 2 })], all: {} }
}

const serverOf = (faults: ReadonlyArray<BatchFault.BatchFault>) =>
  ChaosServer.make({
    plan: Fault.script({ jobs: [[...faults]] }),
    batches: { validating: 5, running: 10, finalizing: 5, cancelling: 5 }
  })

const within = Effect.provide(Layer.merge(FetchHttpClient.layer, Journal.layerMemory))

describe.each(Object.keys(vendors) as ReadonlyArray<Vendor>)("a batch at the service of %s", (vendor) => {
  for (const [name, { all, but, faults }] of Object.entries(cases)) {
    it.live(`has one result for each request when ${name}`, () =>
      Effect.gen(function*() {
        const { failures = {}, jobs = 1 } = but?.[vendor] ?? all
        const server = yield* serverOf(faults)
        const service = yield* vendors[vendor].service(server)
        const journal = yield* Journal.Journal
        const report = yield* VendorBatch.run(requests, service, { ...patience, journal })
        expect(report.results.map(({ index, item }) => [index, item])).toEqual([...requests.entries()])
        const failed = Object.values(failures).reduce((sum, each) => sum + each, 0)
        expect(report.summary).toMatchObject({ succeeded: 10 - failed, failed, failures })
        expect((yield* server.books).batches).toMatchObject({ submitted: jobs })

        // Whoever comes back with the journal reads the same job.
        const again = yield* VendorBatch.run(requests, service, { ...patience, journal })
        expect(again.results.map(({ outcome }) => Either.isRight(outcome))).toEqual(
          report.results.map(({ outcome }) => Either.isRight(outcome))
        )
        expect((yield* server.books).batches).toMatchObject({ submitted: jobs })
      }).pipe(within, Effect.scoped))
  }

  it.live("asks the live model what the service did not come to", () =>
    Effect.gen(function*() {
      const server = yield* serverOf([BatchFault.expiredJob(0.5)])
      const service = yield* vendors[vendor].service(server)
      const live = yield* vendors[vendor].live(server)
      const report = yield* VendorBatch.run(requests, service, { ...patience, live })
      expect(report.summary).toMatchObject({ succeeded: 10, failed: 0 })
      const { batches, right } = yield* server.books
      const calls = vendor === "gemini" ? 10 : 5
      expect({ calls: right.texts - batches.succeeded, jobs: batches.submitted }).toEqual({ calls, jobs: 1 })
    }).pipe(within, Effect.scoped))
})
