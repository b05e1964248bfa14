import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as Sweep from "../policy/support/sweep.ts"
import { down, must } from "./support/scenario.ts"

const common = {
  circuitBreaker: { tripping: Tripping.consecutive(1), openFor: "1 milli", probes: 2 },
  rateLimiter: { requestsPerMinute: 6_000, tokensPerMinute: 60_000 },
  concurrencyLimit: { initial: 5, maxQueued: 5 },
  bulkhead: { maxConcurrent: 1, maxQueued: 5, queueTimeout: "1 hour" }
} as const satisfies Pipeline.Options

const timed = {
  ...common,
  circuitBreaker: { ...common.circuitBreaker, probeLimit: "1 day" },
  totalTimeout: "1 day",
  attemptTimeout: "30 minutes"
} as const satisfies Pipeline.Options

const stacks: ReadonlyArray<readonly [string, Pipeline.Options]> = [
  ["gates alone", common],
  ["gates and time-outs", timed],
  ["everything but a hedge", {
    ...timed,
    retry: { backoff: "immediate", attempts: 3 },
    retryBudget: "standard",
    adaptiveRetry: { mode: "rate" }
  }],
  ["everything", {
    ...timed,
    retry: { backoff: "immediate", attempts: 3 },
    retryBudget: "standard",
    adaptiveRetry: {},
    hedge: { delay: "1 minute", maxHedges: 2 }
  }]
]

const operations = Array.from({ length: 160 }, (_, k) => k)
const work = Effect.zipRight(Effect.void, Effect.void)

/** Nothing is held by anybody: no permit, place, probe, reservation or grant. */
const expectFree = (pipeline: Pipeline.Pipeline, why: string): void => {
  const all = Pipeline.policies(pipeline)
  expect(Effect.runSync(Bulkhead.stats(must(all.bulkhead))), why).toMatchObject({ running: 0, queued: 0 })
  expect(Effect.runSync(ConcurrencyLimit.stats(must(all.concurrencyLimit))), why).toMatchObject({
    running: 0,
    queued: 0
  })
  expect(Effect.runSync(RateLimiter.state(must(all.rateLimiter))), why).toMatchObject({ waiting: 0 })
  const circuit = Effect.runSync(CircuitBreaker.state(must(all.circuitBreaker)))
  if (circuit._tag === "HalfOpen") expect(circuit.probing, why).toBe(0)
  if (all.retryBudget !== undefined) {
    expect(Effect.runSync(RetryBudget.stats(all.retryBudget)), why).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
  }
  expect(must(all.bulkhead).admission.sweepers.size, why).toBe(0)
}

const kill = (fiber: Fiber.RuntimeFiber<unknown, unknown>): void => fiber.unsafeInterruptAsFork(fiber.id())

describe.each(stacks)("interrupted at any operation, with %s, a pipeline leaks nothing", (_, options) => {
  const made = (): Pipeline.Pipeline =>
    Effect.runSync(Pipeline.decode(Pipeline.encode(Effect.runSync(Pipeline.make(options)))))

  /** Parks a call at operation `k`, interrupts it there, and sees what is left. */
  const sweep = (
    run: (k: number, bench: Sweep.Bench, pipeline: Pipeline.Pipeline) => Fiber.RuntimeFiber<unknown, unknown>
  ): number =>
    operations.filter((k) => {
      const bench = Sweep.make()
      const pipeline = made()
      const target = run(k, bench, pipeline)
      const parked = bench.parked()
      kill(target)
      bench.drain()
      expect(target.unsafePoll(), `operation ${k}`).not.toBeNull()
      expectFree(pipeline, `operation ${k}`)
      return parked
    }).length

  it("where there is room", () => {
    expect(sweep((k, bench, pipeline) => bench.start(Pipeline.applyCost(work, pipeline, { tokens: 10 }), k)))
      .toBeGreaterThanOrEqual(5)
  })

  it("where it fails and is tried again", () => {
    expect(sweep((k, bench, pipeline) => bench.start(Pipeline.apply(Effect.fail(down), pipeline), k)))
      .toBeGreaterThanOrEqual(5)
  })

  it("where the work goes on for ever", () => {
    sweep((k, bench, pipeline) => bench.start(Pipeline.apply(Effect.never, pipeline), k))
  })

  it("while somebody else holds the permit", () => {
    const parked = operations.filter((k) => {
      const bench = Sweep.make()
      const pipeline = made()
      const holder = bench.start(Pipeline.apply(Effect.never, pipeline))
      const target = bench.start(Pipeline.apply(work, pipeline), k)
      const parked = bench.parked()
      const behind = bench.start(Pipeline.apply(work, pipeline))
      kill(target)
      bench.drain()
      expect(target.unsafePoll(), `operation ${k}`).not.toBeNull()
      kill(holder)
      bench.drain()
      expect(behind.unsafePoll()?._tag, `operation ${k}`).toBe("Success")
      expectFree(pipeline, `operation ${k}`)
      return parked
    })
    expect(parked.length).toBeGreaterThanOrEqual(8)
  })

  it.each([0, 1, 2, 3, 5, 8])("%s steps after the permit came free", (steps) => {
    for (const k of operations) {
      const bench = Sweep.make()
      const pipeline = made()
      const holder = bench.start(Pipeline.apply(Effect.never, pipeline))
      const target = bench.start(Pipeline.apply(work, pipeline), k)
      kill(holder)
      bench.step(steps)
      kill(target)
      bench.drain()
      expect(target.unsafePoll(), `operation ${k}`).not.toBeNull()
      expectFree(pipeline, `operation ${k}`)
    }
  })
})
