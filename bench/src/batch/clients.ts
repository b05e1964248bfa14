/** The ways to send many calls. Each gives how many items have their answer; none may be lost. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import OpenAI from "openai"
import pLimit from "p-limit"
import pRetry from "p-retry"
import * as Batch from "../../../src/batch/Batch.ts"
import * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import * as ResilientModel from "../../../src/resilience/ResilientModel.ts"
import { attempts, type Item, longestReply } from "./workload.ts"

export interface Address {
  readonly baseUrl: string
  readonly apiKey: string
  readonly model: string
}

type Client = (address: Address, items: ReadonlyArray<Item>, concurrency: number) => Promise<number>

/** Ours: nothing about the provider is configured, neither a limit nor a concurrency. */
const ours: Client = ({ apiKey, baseUrl, model }, items) => {
  const Model = ResilientModel.layer({
    retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts },
    rateLimiter: { requestsPerMinute: "learned", tokensPerMinute: "learned" }
  }).pipe(
    Layer.provide(OpenAiChat.layer({ apiKey: Redacted.make(apiKey), baseUrl, model })),
    Layer.provide(FetchHttpClient.layer)
  )
  return Batch.run(items, ({ text }) => LanguageModel.generate({ prompt: text, maxOutputTokens: longestReply }), {
    concurrency: "auto"
  }).pipe(
    Effect.map((report) => report.summary.succeeded),
    Effect.provide(Model),
    Effect.runPromise
  )
}

/** A call by the vendor's SDK. */
const ask = (client: OpenAI, model: string, { text }: Item): Promise<unknown> =>
  client.chat.completions.create({ model, messages: [{ role: "user", content: text }], max_tokens: longestReply })

const sdk: Client = async ({ apiKey, baseUrl, model }, items, concurrency) => {
  const client = new OpenAI({ apiKey, baseURL: baseUrl, maxRetries: attempts - 1 })
  const limit = pLimit(concurrency)
  const ended = await Promise.allSettled(items.map((item) => limit(() => ask(client, model, item))))
  return ended.filter(({ status }) => status === "fulfilled").length
}

const pRetryPLimit: Client = async ({ apiKey, baseUrl, model }, items, concurrency) => {
  const client = new OpenAI({ apiKey, baseURL: baseUrl, maxRetries: 0 })
  const limit = pLimit(concurrency)
  const ended = await Promise.allSettled(
    items.map((item) => limit(() => pRetry(() => ask(client, model, item), { retries: attempts - 1, randomize: true })))
  )
  return ended.filter(({ status }) => status === "fulfilled").length
}

const plainEffect: Client = ({ apiKey, baseUrl, model }, items, concurrency) => {
  const client = new OpenAI({ apiKey, baseURL: baseUrl, maxRetries: 0 })
  const schedule = Schedule.exponential("500 millis").pipe(
    Schedule.jittered,
    Schedule.intersect(Schedule.recurs(attempts - 1))
  )
  return Effect.forEach(
    items,
    (item) => Effect.option(Effect.retry(Effect.tryPromise(() => ask(client, model, item)), schedule)),
    { concurrency }
  ).pipe(
    Effect.map((ended) => ended.filter(({ _tag }) => _tag === "Some").length),
    Effect.runPromise
  )
}

export const clients = {
  "ours, auto": ours,
  "p-retry with p-limit": pRetryPLimit,
  "openai SDK's retries": sdk,
  "Effect.forEach with Effect.retry": plainEffect
} as const satisfies Readonly<Record<string, Client>>

export type ClientName = keyof typeof clients
