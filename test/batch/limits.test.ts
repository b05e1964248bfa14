/**
 * A batch against a provider with limits a minute, in virtual time: nothing about the provider is configured, neither a limit
 * nor a concurrency.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Batch from "../../src/batch/Batch.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import { runs } from "../runs.ts"
import * as Provider from "./support/limitedProvider.ts"

const limits = { requestsPerMinute: 600, tokensPerMinute: 200_000 } as const

/** Tokens of a request, its longest reply among them; a reply that is told as 10 tokens gives the others back by our count. */
const workloads = [
  { name: "short items, which run out of requests", least: 150, most: 400, longestReply: 60, latency: [1_000, 5_000] },
  { name: "long items, which run out of tokens", least: 250, most: 950, longestReply: 60, latency: [1_000, 5_000] },
  { name: "replies far shorter than allowed", least: 450, most: 950, longestReply: 400, latency: [1_000, 5_000] },
  { name: "the same from a quick provider", least: 450, most: 950, longestReply: 400, latency: [200, 800] }
] as const

/** Minutes for which the limit holds the batch up, beside the first one, in which the full buckets give twice as much. */
const minutes = 2

describe("a batch against limits a minute", () => {
  for (
    const { latency: [quickest, slowest], least, longestReply, most, name } of runs(
      workloads.slice(2, 3),
      workloads.slice(2)
    )
  ) {
    it.effect(
      `uses 95 % of them, is refused less than 1 % of its calls and loses nothing: ${name}`,
      () =>
        Effect.gen(function*() {
          const perMinute = Math.min(limits.requestsPerMinute, limits.tokensPerMinute / ((least + most) / 2))
          // A tenth of the calls fails and is made again.
          const items = Array.from({ length: Math.round(perMinute * (minutes + 2) / 1.1) }, (_, index) => {
            const tokens = least + Math.floor((index * 0.618 % 1) * (most - least))
            return "x".repeat((tokens - longestReply) * 4)
          })
          const { model, seen } = Provider.make({
            ...limits,
            latency: { least: quickest, most: slowest },
            faults: 0.1,
            headers: "sent",
            seed: name
          })
          const pipeline = yield* Pipeline.make({
            retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 6 },
            rateLimiter: { requestsPerMinute: "learned", tokensPerMinute: "learned" }
          })
          const strong = ResilientModel.strengthen(model, pipeline)
          const fiber = yield* Effect.fork(
            Batch.run(items, (prompt) => strong.generate({ prompt, maxOutputTokens: longestReply }))
          )
          yield* TestClock.adjust("1 hour")
          const { summary } = yield* Fiber.join(fiber)
          expect(summary.succeeded).toBe(items.length)
          expect(Provider.useOf(seen, perMinute)).toBeGreaterThan(0.95)
          expect(seen.throttled / seen.calls).toBeLessThan(0.01)
        }),
      120_000
    )
  }
})
