import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import { down, refusal, tag, times, up } from "./circuits.ts"

/** A circuit whose break of 10 s is over. */
const halfOpen = (options: Partial<CircuitBreaker.Options> = {}) =>
  Effect.gen(function*() {
    const breaker = yield* CircuitBreaker.make({
      name: "openai",
      tripping: Tripping.consecutive(1),
      openFor: "10 seconds",
      probes: 1,
      probeLimit: "5 seconds",
      ...options
    })
    yield* times(1, down, breaker)
    yield* TestClock.adjust("10 seconds")
    return breaker
  })

describe("a probe that waits in a queue", () => {
  /** A pipeline whose bulkhead of one place is full until the test says so. */
  const behindQueue = Effect.gen(function*() {
    const breaker = yield* halfOpen()
    const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1, maxQueued: 1 })
    const gate = yield* Deferred.make<void>()
    yield* Effect.fork(Bulkhead.apply(Deferred.await(gate), bulkhead))
    yield* Effect.yieldNow()
    const pipeline = yield* Pipeline.make({ circuitBreaker: breaker, bulkhead })
    return { breaker, bulkhead, pipeline, leave: Deferred.succeed(gate, undefined) }
  })

  it.effect("holds its place and has not failed, however long it waits", () =>
    Effect.gen(function*() {
      const { breaker, leave, pipeline } = yield* behindQueue
      const probe = yield* Effect.fork(Pipeline.apply(up, pipeline))
      yield* TestClock.adjust("1 hour")
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 1 })
      expect(yield* refusal(breaker)).toMatchObject({ reason: "probing", retryAfter: Duration.seconds(5) })
      yield* leave
      expect(yield* Fiber.join(probe)).toBe("up")
      expect(yield* tag(breaker)).toBe("Closed")
    }))

  it.effect("has its whole limit from when it is sent", () =>
    Effect.gen(function*() {
      const { breaker, leave, pipeline } = yield* behindQueue
      yield* Effect.fork(Pipeline.apply(Effect.never, pipeline))
      yield* TestClock.adjust("4 seconds")
      yield* leave
      yield* TestClock.adjust("4 seconds")
      expect((yield* refusal(breaker)).retryAfter).toEqual(Duration.seconds(1))
      yield* TestClock.adjust("1 second")
      expect(yield* tag(breaker)).toBe("Open")
    }))

  it.effect("tells nothing when its call ends before it is sent, and gives its place back", () =>
    Effect.gen(function*() {
      const { breaker, bulkhead, pipeline } = yield* behindQueue
      const limited = yield* Pipeline.make({
        circuitBreaker: breaker,
        bulkhead,
        totalTimeout: "2 seconds"
      })
      const probe = yield* Effect.fork(Effect.flip(Pipeline.apply(up, limited)))
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(probe)).toMatchObject({ _tag: "TimedOut", phase: "total" })
      const interrupted = yield* Effect.fork(Pipeline.apply(up, pipeline))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(interrupted)
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0, successes: 0 })
    }))

  it.effect("tells nothing when a limiter refuses it", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen()
      const rateLimiter = yield* RateLimiter.make({ name: "minute", requestsPerMinute: 1, onExceeded: "fail" })
      yield* RateLimiter.apply(up, rateLimiter)
      const pipeline = yield* Pipeline.make({ circuitBreaker: breaker, rateLimiter })
      expect(yield* Effect.flip(Pipeline.apply(up, pipeline))).toMatchObject({ _tag: "RateLimitExceeded" })
      expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0, successes: 0 })
    }))
})

describe("a circuit within itself", () => {
  const nestings: ReadonlyArray<
    readonly [
      string,
      (effect: Effect.Effect<string, string>, breaker: CircuitBreaker.CircuitBreaker) => Effect.Effect<unknown, unknown>
    ]
  > = [
    [
      "two applications",
      (effect, breaker) => effect.pipe(CircuitBreaker.apply(breaker), CircuitBreaker.apply(breaker))
    ],
    [
      "a pipeline round an application",
      (effect, breaker) =>
        Effect.flatMap(
          Pipeline.make({ circuitBreaker: breaker }),
          (pipeline) => effect.pipe(CircuitBreaker.apply(breaker), Pipeline.apply(pipeline))
        )
    ],
    [
      "an application round a pipeline",
      (effect, breaker) =>
        Effect.flatMap(
          Pipeline.make({ circuitBreaker: breaker, totalTimeout: "1 minute" }),
          (pipeline) => effect.pipe(Pipeline.apply(pipeline), CircuitBreaker.apply(breaker))
        )
    ],
    [
      "a pipeline within a pipeline, under time-outs",
      (effect, breaker) =>
        Effect.flatMap(
          Pipeline.make({ circuitBreaker: breaker, attemptTimeout: "1 second", totalTimeout: "1 minute" }),
          (pipeline) => effect.pipe(Pipeline.apply(pipeline), Pipeline.apply(pipeline))
        )
    ]
  ]

  for (const [nesting, nested] of nestings) {
    it.effect(`closes with one probe: ${nesting}`, () =>
      Effect.gen(function*() {
        const breaker = yield* halfOpen()
        expect(yield* nested(up, breaker)).toBe("up")
        expect(yield* tag(breaker)).toBe("Closed")
      }))

    it.effect(`counts a probe once: ${nesting}`, () =>
      Effect.gen(function*() {
        const breaker = yield* halfOpen({ probes: 2 })
        yield* nested(up, breaker)
        expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0, successes: 1 })
        yield* Effect.exit(nested(down, breaker))
        expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "Open", openings: 2 })
      }))
  }

  it.effect("is no way round it for a fiber that outlives the probe", () =>
    Effect.gen(function*() {
      const breaker = yield* halfOpen({ probes: 1, successesToClose: 2 })
      const gate = yield* Deferred.make<void>()
      const late = yield* CircuitBreaker.apply(
        Effect.forkDaemon(Effect.zipRight(Deferred.await(gate), Effect.either(CircuitBreaker.apply(up, breaker)))),
        breaker
      )
      yield* CircuitBreaker.isolate(breaker)
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(late)).toMatchObject({ _tag: "Left", left: { reason: "isolated" } })
    }))
})

describe("a judge that throws", () => {
  const thrown = new Error("the judge")
  const verdict = (): never => {
    throw thrown
  }

  it.effect("is a defect of the call through a pipeline, and keeps no place of a probe", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "openai",
        tripping: Tripping.consecutive(1),
        openFor: "10 seconds",
        probes: 1,
        verdict
      })
      const bulkhead = yield* Bulkhead.make({ maxConcurrent: 1 })
      const pipeline = yield* Pipeline.make({ circuitBreaker: breaker, bulkhead, attemptTimeout: "1 second" })
      for (let i = 0; i < 3; i++) {
        expect(yield* Effect.exit(Pipeline.apply(down, pipeline))).toEqual(Exit.die(thrown))
        expect(yield* tag(breaker)).toBe("Open")
        expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0 })
        yield* TestClock.adjust("1 minute")
        expect(yield* CircuitBreaker.state(breaker)).toMatchObject({ _tag: "HalfOpen", probing: 0 })
      }
    }))
})
