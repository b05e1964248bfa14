import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as ModelError from "../../src/error/ModelError.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import { runs } from "../runs.ts"
import * as Simulator from "./support/simulator.ts"

const hour = 3_600_000
const hours = runs(4, 10)
const window = 30_000
const every = 3_000

setFlagsFromString("--expose-gc")
const gc: unknown = runInNewContext("gc")
const collect = (): void => {
  if (typeof gc === "function") gc()
}

/** Up for some minutes, down for some, over and over. */
const isDown = (now: number): boolean => now % 540_000 >= 300_000

describe(`${hours} hours of a flapping provider`, () => {
  it("the breaker's window never holds a stale result, and nothing grows", async () => {
    const world = Simulator.make("flapping")
    const draw = Simulator.draws(3)
    const pipeline = world.ask(Effect.orDie(Pipeline.make({
      name: "flapping",
      totalTimeout: "20 seconds",
      retry: { backoff: "exponential", initial: "200 millis", cap: "2 seconds", jitter: "full", attempts: 3 },
      retryBudget: { deposits: {} },
      adaptiveRetry: { mode: "rate" },
      hedge: { delay: { quantile: 0.95 } },
      circuitBreaker: {
        tripping: { when: "failureRate", share: 0.5, window: "30 seconds", minimumCalls: 5 },
        openFor: "10 seconds"
      },
      rateLimiter: { requestsPerMinute: 600 },
      bulkhead: { maxConcurrent: 20, maxQueued: 20 },
      attemptTimeout: "5 seconds"
    })))
    const all = Pipeline.policies(pipeline)
    const breaker = all.circuitBreaker
    if (breaker === undefined) return expect.fail("no breaker")

    /** When attempts ended, as far back as the window reaches. */
    let recent: Array<number> = []
    const states = new Set<string>()
    let [failedWhileUp, checks] = [0, 0]
    const work = Effect.suspend(() =>
      Effect.zipRight(
        Effect.sleep(20 + draw() * 400),
        Effect.suspend(() => {
          recent.push(world.now())
          return isDown(world.now())
            ? Effect.fail(new ModelError.ServerError({ provider: "openai" }))
            : Effect.succeed("up")
        })
      )
    )
    const tick = (): void => {
      const now = world.now()
      recent = recent.filter((at) => at > now - window)
      const state = world.ask(CircuitBreaker.state(breaker))
      states.add(state._tag)
      if (state._tag === "Closed") {
        checks++
        // Not one result more than ended within the window.
        if (state.calls > recent.length) expect(state.calls, `at ${now}`).toBeLessThanOrEqual(recent.length)
      }
      // Long after the provider has come back, everything must work again.
      const settled = !isDown(now) && !isDown(now - 90_000)
      world.start(Pipeline.apply(work, pipeline)).addObserver((exit) => {
        if (exit._tag === "Failure" && settled) failedWhileUp++
      })
      if (now < hours * hour) world.at(now + every, tick)
    }

    const { adaptiveRetry, bulkhead, hedge, rateLimiter, retryBudget } = all
    /** How much the policies hold, as text, because every container shows in it. */
    const size = (): number =>
      JSON.stringify([
        breaker.cell.state,
        breaker.cell.pending,
        retryBudget?.cell.state,
        adaptiveRetry?.cell,
        hedge?.delay,
        bulkhead?.admission.pool.running,
        bulkhead?.admission.pool.queued,
        rateLimiter === undefined ? 0 : world.ask(rateLimiter.store.state(rateLimiter.key, rateLimiter.limits))
      ]).length
    const sizes: Array<number> = []
    const heaps: Array<number> = []
    tick()
    for (let i = 1; i <= hours; i++) {
      await world.run(i * hour)
      sizes.push(size())
      collect()
      heaps.push(process.memoryUsage().heapUsed)
      console.log(`hour ${i} of ${hours}: ${sizes.at(-1)} characters of state, ${checks} looks at a closed breaker`)
    }
    await world.run()

    expect(world.left()).toEqual({ fibers: 0, timers: 0 })
    expect([...states].sort()).toEqual(["Closed", "HalfOpen", "Open"])
    expect(checks).toBeGreaterThan(1_000)
    expect(failedWhileUp).toBe(0)
    const [first = 0, second = 0] = sizes
    expect(Math.max(...sizes)).toBeLessThan(1.2 * Math.max(first, second))
    const [, warm = Infinity] = heaps
    expect(heaps.at(-1) ?? 0).toBeLessThan(warm + 5_000_000)
  })
})
