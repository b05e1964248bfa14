/** Batches at the services of vendors that are not there (see `fakeVendors.ts`), in virtual time. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as VendorBatch from "../../../src/batch/VendorBatch.ts"
import type * as BatchService from "../../../src/model/BatchService.ts"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as Prompt from "../../../src/model/Prompt.ts"
import { Response } from "../../../src/model/Response.ts"
import * as Usage from "../../../src/model/Usage.ts"
import * as Anthropic from "../../../src/provider/Anthropic.ts"
import * as Gemini from "../../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../../src/provider/OpenAiResponses.ts"
import type { Fake } from "../fakeVendors.ts"

export const apiKey = Redacted.make("sk-test-1234567890abcdefghij")

export type Made = Effect.Effect<BatchService.Service, unknown, HttpClient.HttpClient>

export const chat: Made = OpenAiChat.makeBatchService({ apiKey, model: "gpt-4o-mini" })
export const responses: Made = OpenAiResponses.makeBatchService({ apiKey, model: "gpt-4o-mini" })
export const messages: Made = Anthropic.makeBatchService({ apiKey, model: "claude-sonnet-4-5" })
export const content: Made = Gemini.makeBatchService({ apiKey, model: "gemini-2.5-flash" })

export const requestsOf = (count: number): ReadonlyArray<LanguageModel.Request> =>
  Array.from({ length: count }, (_, at) => ({ prompt: `question ${at}` }))

/** Lets the virtual clock go on until the effect has ended; digests come from outside of it. */
export const inTime = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    while ((yield* Fiber.poll(fiber))._tag === "None") {
      yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("10 seconds")
    }
    return yield* Fiber.join(fiber)
  })

export const serviceOf = (fake: Fake, made: Made): Effect.Effect<BatchService.Service> =>
  Effect.orDie(Effect.provideService(made, HttpClient.HttpClient, fake.client))

export const runOn = <LE = never>(
  fake: Fake,
  made: Made,
  count = 3,
  options: VendorBatch.Options<LE> = {}
) => inTime(Effect.flatMap(serviceOf(fake, made), (service) => VendorBatch.run(requestsOf(count), service, options)))

/** The texts of the answers, and the tags of the errors. */
export const told = <LE extends { readonly _tag: string }>(report: VendorBatch.Report<LE>): ReadonlyArray<string> =>
  report.results.map(({ outcome }) =>
    Either.match(outcome, { onLeft: (error) => error._tag, onRight: (response) => response.text })
  )

export const answers = (count: number) => Array.from({ length: count }, (_, at) => `answer ${at}`)

export const response = (text: string): Response =>
  new Response({ model: "live", parts: [Prompt.text(text)], finishReason: "stop", usage: Usage.zero })
