/** Streams that are interrupted wherever they are leave nothing behind. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as Supervisor from "effect/Supervisor"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as ResilientStream from "../../src/resilience/ResilientStream.ts"
import { fail, finish, hang, modelOf, start, text, wait } from "../resilience/scriptedStream.ts"
import { runs, turn } from "../runs.ts"

const count = 1_000
const rounds = runs(1, 10)

const interruptAll = Effect.gen(function*() {
  const { counts, model } = modelOf(
    ...Array.from({ length: 3 * count }, (_, i) =>
      i % 3 === 0
        ? [start, text("a"), wait(20), fail()]
        : i % 3 === 1
        ? [start, wait(5), text("b"), wait(30), text("c"), hang]
        : [start, text("d"), finish()])
  )
  const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 50, maxQueued: count })
  const retryBudget = yield* RetryBudget.make({ name: "budget" })
  const rateLimiter = yield* RateLimiter.make({ name: "r", requestsPerMinute: 10 * count })
  const pipeline = yield* Pipeline.make({
    totalTimeout: "1 minute",
    retry: { backoff: "constant", delay: "10 millis", attempts: 3 },
    retryBudget,
    hedge: { delay: "2 millis" },
    bulkhead,
    rateLimiter,
    stream: {
      firstContent: "1 second",
      idle: "40 millis",
      liveness: "35 millis",
      peek: "1 millis",
      onBreak: "restart"
    }
  })
  const stream = ResilientStream.strengthen(model, pipeline)({ prompt: "hello" })
  const fibers = yield* Effect.replicateEffect(Effect.fork(Effect.ignore(Stream.runDrain(stream))), count)
  const left = yield* Ref.make(fibers)
  while ((yield* Ref.get(left)).length > 0) {
    yield* TestClock.adjust(Duration.millis(yield* Random.nextIntBetween(1, 8)))
    const batch = yield* Ref.modify(left, (all) => [all.slice(0, 100), all.slice(100)])
    yield* Fiber.interruptAll(batch)
  }
  const { queued, running } = yield* Bulkhead.stats(bulkhead)
  expect({ queued, running, open: counts.open }).toEqual({ queued: 0, running: 0, open: 0 })
  expect(yield* RetryBudget.stats(retryBudget)).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
})

describe("interrupted streams", () => {
  it("leave no timer, fiber, permit or reservation", { timeout: 300_000 }, () =>
    Effect.gen(function*() {
      for (let round = 0; round < rounds; round++) {
        // Under a virtual clock a timer is a fiber that sleeps, so whoever is left is seen here.
        const supervisor = yield* Supervisor.track
        yield* interruptAll.pipe(
          Effect.withRandom(Random.make(`leaks ${round}`)),
          Effect.supervised(supervisor),
          Effect.provide(TestContext.TestContext)
        )
        yield* Effect.promise(turn)
        expect((yield* supervisor.value).length).toBe(0)
      }
    }).pipe(Effect.runPromise))
})
