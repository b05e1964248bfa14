import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import { runs } from "../runs.ts"
import * as Simulator from "./support/simulator.ts"

const provider = { provider: "openai" }
const hint = (seconds: number) => ({ ...provider, retryAfter: Duration.seconds(seconds) })

/** At least one error of every verdict, and what is no typed failure at all. */
const failures: ReadonlyArray<(draw: number) => Effect.Effect<never, ModelError.ModelError>> = [
  () => Effect.fail(new ModelError.RateLimited(provider)),
  (draw) => Effect.fail(new ModelError.RateLimited(hint(draw))),
  () => Effect.fail(new ModelError.Overloaded(provider)),
  (draw) => Effect.fail(new ModelError.ServerError(hint(draw * 2))),
  () => Effect.fail(new ModelError.ServerError(provider)),
  () => Effect.fail(new ModelError.ServerError(provider)),
  () => Effect.fail(new ModelError.ConnectionFailed({ ...provider, reason: "reset" })),
  () => Effect.fail(new ModelError.MalformedResponse({ ...provider, reason: "not JSON" })),
  () => Effect.fail(new ModelError.ServerError({ ...provider, shouldRetry: false })),
  () => Effect.fail(new ModelError.QuotaExhausted({ ...provider, reason: "billing" })),
  () => Effect.fail(new ModelError.ContextLengthExceeded(provider)),
  () => Effect.fail(new ModelError.ContentFiltered({ ...provider, stage: "prompt" })),
  () => Effect.fail(new ModelError.Authentication(provider)),
  () => Effect.fail(new ModelError.InvalidRequest(provider)),
  () => Effect.fail(new ModelError.InvalidToolCall(provider)),
  () => Effect.die(new Error("a bug")),
  () => Effect.interrupt
]

const base = {
  name: "soak",
  totalTimeout: "8 seconds",
  retry: {
    backoff: "exponential",
    initial: "100 millis",
    cap: "1 second",
    jitter: "full",
    attempts: 4,
    honourHints: "1 second"
  },
  retryBudget: "standard",
  adaptiveRetry: {},
  circuitBreaker: { tripping: { when: "failureRate", share: 0.6, window: "5 seconds" }, openFor: "500 millis" },
  rateLimiter: { requestsPerMinute: 2_100, tokensPerMinute: 240_000, burst: 0.05, maxWait: "1 second" },
  bulkhead: { maxConcurrent: 12, maxQueued: 8, queueTimeout: "1 second" },
  attemptTimeout: "2 seconds"
} as const satisfies Pipeline.Options

const more = {
  ...base,
  adaptiveRetry: { mode: "rate" },
  hedge: { delay: "700 millis", maxHedges: 2 },
  concurrencyLimit: { initial: 20, floor: 4, ceiling: 40, maxQueued: 10, queueTimeout: "1 second" }
} as const satisfies Pipeline.Options

/** How a call ended, by name. */
const nameOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const error = Cause.failureOption(exit.cause)
  if (Option.isSome(error)) {
    const { value } = error
    const phase = typeof value === "object" && value !== null && "phase" in value ? ` ${String(value.phase)}` : ""
    return `${typeof value === "object" && value !== null && "_tag" in value ? String(value._tag) : "other"}${phase}`
  }
  return Cause.isInterruptedOnly(exit.cause) ? "interrupted" : "defect"
}

const virtual = (millis: number): string => `${Math.round(millis / 1000)} s of virtual time`

const soak = async (options: Pipeline.Options, calls: number, seed: number) => {
  const world = Simulator.make(`soak ${seed}`)
  const draw = Simulator.draws(seed)
  const pipeline = world.ask(
    Effect.orDie(Pipeline.make(options)).pipe(Effect.withRandom(Effect.runSync(Effect.random)))
  )
  const outcomes = new Map<string, number>()
  const ends: Array<number> = Array.from({ length: calls }, () => 0)
  let [begun, ended] = [0, 0]

  /** One attempt: it takes its time, can or cannot be interrupted meanwhile, and ends in one of many ways. */
  const work = Effect.suspend(() => {
    begun++
    // Good times and bad times, of 20 seconds each.
    const isBad = Math.floor(world.now() / 20_000) % 3 === 2
    const pick = draw() < (isBad ? 0.7 : 0.1) ? failures[Math.floor(draw() * failures.length)] : undefined
    const end = pick === undefined ? Effect.succeed(draw() * 200) : pick(draw())
    const kind = draw()
    const body = kind < 0.05
      ? end
      : kind < 0.07
      ? Effect.interruptible(Effect.never)
      : kind < 0.12
      ? Effect.zipRight(Effect.sleep(draw() * 6_000), end)
      : Effect.zipRight(Effect.sleep(50 + draw() * draw() * 1_500), end)
    const held = draw() < 0.1 && !(kind >= 0.05 && kind < 0.07) ? Effect.uninterruptible(body) : body
    return Effect.onExit(held, () =>
      Effect.sync(() => {
        ended++
      }))
  })

  const begin = (i: number): void => {
    if (i > 0 && i % 20_000 === 0) console.log(`${i} of ${calls} calls begun, ${virtual(world.now())}`)
    const call = Pipeline.applyCost(work, pipeline, { tokens: Math.round(draw() * 200), actual: (used) => used })
    const fiber = world.start(draw() < 0.02 ? Effect.uninterruptible(call) : call)
    fiber.addObserver((exit) => {
      ends[i] = (ends[i] ?? 0) + 1
      const name = nameOf(exit)
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1)
    })
    if (draw() < 0.08) {
      const when = draw()
      const interrupt = (): void => fiber.unsafeInterruptAsFork(fiber.id())
      if (when < 0.1) interrupt()
      else world.at(world.now() + when * 3_000, interrupt)
    }
    if (i + 1 < calls) world.at(world.now() + draw() * 70, () => begin(i + 1))
  }
  begin(0)
  await world.run()
  return { world, pipeline, outcomes, ends, attempts: () => ({ begun, ended }) }
}

const nothing = { fibers: 0, timers: 0 }

const always = [
  "success",
  "interrupted",
  "defect",
  "CircuitOpen",
  "BulkheadFull",
  "TimedOut attempt",
  "TimedOut total",
  "ServerError",
  "Authentication"
]

const forms = [
  ["everything but a hedge", base, runs(10_000, 50_000), ["RateLimitExceeded"]],
  ["with hedges, an adaptive limit and client-side rate", more, runs(6_000, 15_000), ["TimedOut queue"]]
] as const

describe.each(forms)("a soak of many calls, %s", (_, options, calls, own) => {
  // What is rare needs the long run.
  const happens = runs(always.filter((name) => name !== "TimedOut total"), [...always, ...own])

  it("every call has one outcome and nothing is left behind", async () => {
    const { attempts, ends, outcomes, pipeline, world } = await soak(options, calls, 7)
    const work = world.work()
    const { adaptiveRetry, bulkhead, circuitBreaker, concurrencyLimit, rateLimiter, retryBudget } = Pipeline.policies(
      pipeline
    )
    const table = Object.fromEntries([...outcomes].sort(([one], [other]) => one < other ? -1 : 1))
    console.log(`${calls} calls, ${virtual(world.now())}`, work, attempts(), table)

    expect(ends.every((count) => count === 1)).toBe(true)
    expect(world.left()).toEqual(nothing)
    expect(attempts().ended).toBe(attempts().begun)
    if (
      bulkhead === undefined || rateLimiter === undefined || circuitBreaker === undefined ||
      retryBudget === undefined ||
      adaptiveRetry === undefined
    ) return expect.fail("a policy is missing")

    expect(world.ask(Bulkhead.stats(bulkhead))).toMatchObject({ running: 0, queued: 0 })
    expect(world.ask(RetryBudget.stats(retryBudget))).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
    expect(adaptiveRetry.cell.rate?.cancelled ?? []).toEqual([])
    if (concurrencyLimit !== undefined) {
      expect(world.ask(ConcurrencyLimit.stats(concurrencyLimit))).toMatchObject({ running: 0, queued: 0 })
    }
    // A minute of rest fills the limiter up: a reservation that nobody gave back would stay in the line or in debt.
    await world.run(world.now() + 120_000)
    // The last break is over, too, and no probe holds its place.
    const circuit = world.ask(CircuitBreaker.state(circuitBreaker))
    expect(["Closed", "HalfOpen"]).toContain(circuit._tag)
    if (circuit._tag === "HalfOpen") expect(circuit.probing).toBe(0)
    expect(world.ask(RateLimiter.state(rateLimiter))).toMatchObject({
      waiting: 0,
      requestsAvailable: 105,
      tokensAvailable: 12_000
    })

    // The run was worth its time: everything that can happen did, if not to every call in it.
    for (const name of happens) expect(outcomes.get(name) ?? 0, name).toBeGreaterThan(0)
    // Work is counted, not timed, since machines differ.
    expect(work.timers / calls).toBeLessThan(15)
    expect(work.tasks / calls).toBeLessThan(30)
  }, 600_000)
})

it("judges: the failures of the soak have every verdict", () => {
  const actions = failures.flatMap((make) => {
    const exit = Effect.runSyncExit(make(0.5))
    return Exit.isFailure(exit) ? Option.toArray(Cause.failureOption(exit.cause)).map(Verdict.of) : []
  })
  expect(new Set(actions.map(({ action }) => action))).toEqual(new Set(["Retry", "Reask", "Fallback", "Fail"]))
  expect(new Set(actions.map(({ billed }) => billed))).toEqual(new Set(["no", "maybe", "yes"]))
  for (const field of ["throttled", "weighs", "forbidden"] as const) {
    expect(new Set(actions.map((verdict) => verdict[field])).size, field).toBe(2)
  }
  expect(AdaptiveRetry.defaults.mode).toBe("multiplier")
})
