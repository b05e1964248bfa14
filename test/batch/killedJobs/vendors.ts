/** The batches that the killed process runs, and that the test runs undisturbed to know their results. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type * as Journal from "../../../src/batch/Journal.ts"
import * as VendorBatch from "../../../src/batch/VendorBatch.ts"
import type { InvalidOptions } from "../../../src/error/InvalidOptions.ts"
import type * as BatchService from "../../../src/model/BatchService.ts"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"
import * as Anthropic from "../../../src/provider/Anthropic.ts"
import * as Gemini from "../../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"

const apiKey = Redacted.make("sk-chaos")

interface Vendor {
  readonly service: (
    baseUrl: string
  ) => Effect.Effect<BatchService.Service, InvalidOptions, HttpClient.HttpClient>
  readonly live: (
    baseUrl: string
  ) => Effect.Effect<LanguageModel.Service, InvalidOptions, HttpClient.HttpClient>
}

const vendorOf = <O extends { readonly baseUrl?: string | undefined }>(
  { make, makeBatchService }: {
    readonly make: (options: O) => ReturnType<Vendor["live"]>
    readonly makeBatchService: (options: O) => ReturnType<Vendor["service"]>
  },
  options: (baseUrl: string) => O
): Vendor => ({
  service: (baseUrl) => makeBatchService(options(baseUrl)),
  live: (baseUrl) => make(options(baseUrl))
})

/** Their names are those of a server's `baseUrls`. */
export const vendors = {
  openAiChat: vendorOf(OpenAiChat, (baseUrl) => ({ apiKey, baseUrl, model: "gpt-4o-mini" })),
  anthropic: vendorOf(Anthropic, (baseUrl) => ({ apiKey, baseUrl, model: "claude-sonnet-4-5" })),
  gemini: vendorOf(Gemini, (baseUrl) => ({ apiKey, baseUrl, model: "gemini-2.5-flash" }))
}

export const names = ["openAiChat", "anthropic", "gemini"] as const

export const jobs = 5
const requestsPerJob = 5
export const count = jobs * requestsPerJob

const requests = Array.from({ length: count }, (_, index) => ({ prompt: `Question ${index}` }))

const quick = (attempts: number) => RetryPolicy.constant("10 millis").pipe(RetryPolicy.attempts(attempts))

/** The texts of all requests in their order, by vendor; `addresses` are in the order of `names`. */
export const runAll = (addresses: ReadonlyArray<string>, journal: Journal.Service) =>
  Effect.forEach(names, (name, at) =>
    Effect.gen(function*() {
      const baseUrl = addresses[at] ?? ""
      const service = yield* vendors[name].service(baseUrl)
      const live = yield* vendors[name].live(baseUrl)
      const { results } = yield* VendorBatch.run(requests, service, {
        journal,
        live,
        maxRequests: requestsPerJob,
        poll: RetryPolicy.constant("50 millis").pipe(RetryPolicy.attempts(200)),
        retry: quick(10),
        lookAgain: quick(3)
      })
      return results.map(({ outcome }) => Either.isRight(outcome) ? outcome.right.text : outcome.left.message)
    }), { concurrency: "unbounded" })
