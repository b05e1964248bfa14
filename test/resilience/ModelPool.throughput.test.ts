/**
 * A pool under more load than its members can take, in virtual time: five keys, of which one is dead and one comes and goes,
 * each with limits of its own that nobody has configured.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { ConnectionFailed, ServerError } from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ModelPool from "../../src/resilience/ModelPool.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as Provider from "../batch/support/limitedProvider.ts"

/** `useOf` leaves out the first minute and the last two, so three would leave none to look at. */
const minutes = 4
const second = 1_000

const key = (name: string, requestsPerMinute: number) =>
  Provider.make({
    requestsPerMinute,
    // One latency, so that few moments are different ones: each of them costs real time under a test clock.
    latency: { least: 2 * second, most: 2 * second },
    faults: 0.02,
    headers: "sent",
    seed: name
  })

/** Half of every two minutes everything fails. */
const flapping = (model: LanguageModel.Service): LanguageModel.Service => ({
  ...model,
  generate: (request) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now % (120 * second) < 60 * second
        ? Effect.delay(Effect.fail(new ServerError({ provider: "test", status: 503 })), "1 second")
        : model.generate(request))
})

const dead: LanguageModel.Service = {
  ...key("dead", 1).model,
  generate: () => Effect.delay(Effect.fail(new ConnectionFailed({ provider: "test", reason: "refused" })), "1 second")
}

const limits = { rateLimiter: { requestsPerMinute: "learned" }, circuitBreaker: {} } as const

/** Conversations that never stop asking, through a pipeline that retries round the pool. */
const run = (options: {
  readonly members: ReadonlyArray<{ readonly name: string; readonly model: LanguageModel.Service }>
  readonly conversations: number
  readonly affinity?: "conversation"
  /** Between the calls of a conversation. */
  readonly pause?: Duration.DurationInput
}) =>
  Effect.gen(function*() {
    const pool = yield* ModelPool.make({
      affinity: options.affinity,
      members: options.members.map((member) => ({ ...member, pipeline: limits }))
    })
    const pipeline = yield* Pipeline.make({
      totalTimeout: "5 minutes",
      retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 6 }
    })
    const strong = ResilientModel.strengthen(pool, pipeline)
    const count = { succeeded: 0, failed: 0 }
    const talk = (conversation: number) =>
      strong.generate({ prompt: `conversation ${conversation}`, maxOutputTokens: 50 }).pipe(
        Effect.match({ onSuccess: () => count.succeeded++, onFailure: () => count.failed++ }),
        Effect.zipLeft(Effect.sleep(options.pause ?? 0)),
        Effect.forever
      )
    const fiber = yield* Effect.fork(
      Effect.forEach(Array.from({ length: options.conversations }, (_, each) => each), talk, {
        concurrency: "unbounded",
        discard: true
      })
    )
    yield* TestClock.adjust(`${minutes} minutes`)
    yield* Fiber.interrupt(fiber)
    return count
  })

describe("a pool under more load than it can take", () => {
  it.effect("uses what its living members can take, and is hardly ever throttled", () =>
    Effect.gen(function*() {
      const [a, b, c, comesAndGoes] = [key("a", 120), key("b", 60), key("c", 30), key("d", 60)]
      const { failed, succeeded } = yield* run({
        conversations: 40,
        members: [
          { name: "a", model: a.model },
          { name: "b", model: b.model },
          { name: "c", model: c.model },
          { name: "comes and goes", model: flapping(comesAndGoes.model) },
          { name: "dead", model: dead }
        ]
      })
      const steady = [[a, 120], [b, 60], [c, 30]] as const
      const used = steady.map(([{ seen }, perMinute]) => Provider.useOf(seen, perMinute))
      const seen = [a, b, c, comesAndGoes].map((each) => each.seen)
      const sum = (of: (each: Provider.Seen) => number) => seen.reduce((total, each) => total + of(each), 0)
      expect(Math.min(...used)).toBeGreaterThan(0.95)
      expect(sum(({ throttled }) => throttled) / sum(({ calls }) => calls)).toBeLessThan(0.03)
      expect(failed / (failed + succeeded)).toBeLessThan(0.01)
      // The one that comes and goes is used while it is there: in half of the minutes, but for the probes that find it.
      expect(comesAndGoes.seen.admitted).toBeGreaterThan(0.8 * 60 * (minutes / 2))
    }), 120_000)
})

describe("a pool that keeps conversations together", () => {
  it.effect(
    "sends at least nine of ten calls of a conversation to one member while all are well",
    () =>
      Effect.gen(function*() {
        const homes = new Map<string, Map<string, number>>()
        const counting = (name: string): LanguageModel.Service => {
          const { model } = key(name, 60)
          return {
            ...model,
            generate: (request) => {
              const of = homes.get(String(request.prompt)) ?? new Map<string, number>()
              homes.set(String(request.prompt), of.set(name, (of.get(name) ?? 0) + 1))
              return model.generate(request)
            }
          }
        }
        // Each conversation asks every 15 seconds, so that the members have half again as much room as is needed.
        yield* run({
          conversations: 30,
          pause: "13 seconds",
          affinity: "conversation",
          members: ["a", "b", "c"].map((name) => ({ name, model: counting(name) }))
        })
        const calls = [...homes.values()].map((of) => [...of.values()])
        const sum = (of: ReadonlyArray<number>) => of.reduce((total, each) => total + each, 0)
        expect(calls).toHaveLength(30)
        expect(sum(calls.map((of) => Math.max(...of))) / sum(calls.map(sum))).toBeGreaterThan(0.9)
      }),
    120_000
  )
})
