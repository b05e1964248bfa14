import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Journal from "effect-llm-resilience/batch/Journal"
import * as VendorBatch from "effect-llm-resilience/batch/VendorBatch"
import * as BatchFault from "effect-llm-resilience/chaos/BatchFault"
import * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
import * as Fault from "effect-llm-resilience/chaos/Fault"
import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

const requests = Array.from({ length: 200 }, (_, index) => ({
  prompt: `Say something about the number ${index}.`,
  maxOutputTokens: 50
}))

// One job at the vendor's batch service: half the price, an answer within a day. Looking at it costs nothing. Leave the policy
// out for the default: 5 seconds, half as long again each time, at most 5 minutes.
const poll = RetryPolicy.exponential({ initial: "50 millis", factor: 1.5 }).pipe(
  RetryPolicy.capped("200 millis"),
  RetryPolicy.within("1 minute")
)

// #region run
const halfPrice = (options: OpenAiChat.Options) =>
  Effect.gen(function*() {
    const service = yield* OpenAiChat.makeBatchService(options)
    // Asked for what the service fails or does not come to, at the full price. Without it such requests stay failed.
    const live = yield* OpenAiChat.make(options)
    const journal = yield* Journal.Journal
    return yield* VendorBatch.run(requests, service, { journal, live, poll })
  })
// #endregion

const program = (server: ChaosServer.Service, path: string) =>
  Effect.gen(function*() {
    const options = { apiKey: Redacted.make(server.apiKey), baseUrl: server.baseUrl, model: server.model }
    // The journal's file belongs to one run at a time, so each run opens it.
    const run = Effect.provide(halfPrice(options), Journal.layerFile({ path }))

    // The computer is switched off while the job runs at the vendor's.
    const first = yield* Effect.fork(run)
    yield* Effect.repeat(Effect.delay(server.books, "10 millis"), { until: ({ batches }) => batches.polls > 0 })
    yield* Fiber.interrupt(first)
    yield* Console.log("Interrupted while the job runs. The journal knows it.")

    // Tomorrow: the same program, the same requests. It finds the job and submits none.
    const { jobs, results, summary } = yield* run
    const byLive = results.filter(({ source }) => source === "run").length
    yield* Console.log(`${summary.succeeded} of ${summary.total} answered, in order; ${summary.tokens} tokens`)
    yield* Console.log(`  ${summary.total - byLive} by the job ${jobs.join(", ")}, ${byLive} by the live model`)
    const [one] = results
    if (one !== undefined && Either.isRight(one.outcome)) yield* Console.log(`  first: ${one.outcome.right.text}`)
    const { batches } = yield* server.books
    yield* Console.log(`The vendor was given ${batches.submitted} job.`)
  })

// Offline: a server on this machine whose only job runs out of time before it is done. In your application leave out baseUrl.
const offline = Effect.gen(function*() {
  const server = yield* ChaosServer.make({
    plan: Fault.script({ jobs: [[BatchFault.unknownJob("created", "50 millis"), BatchFault.expiredJob(0.95)]] }),
    batches: { running: "300 millis" }
  })
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped()
  yield* program(server, `${folder}/numbers.journal`)
})

Effect.runPromise(
  offline.pipe(Effect.scoped, Effect.provide(Layer.merge(FetchHttpClient.layer, NodeFileSystem.layer)))
)
