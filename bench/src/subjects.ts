/**
 * What is measured. The call is an async function that returns at once; whatever stands round it is the cost. Everybody
 * gets the same numbers where he has the option.
 */
import * as cockatiel from "cockatiel"
import * as Effect from "effect/Effect"
import CircuitBreakerOfOpossum from "opossum"
import pRetry from "p-retry"
import * as Batch from "../../src/batch/Batch.ts"
import * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Timeout from "../../src/policy/Timeout.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import type { Crowd, Sequence } from "./measure.ts"

const call = async (): Promise<number> => 1
const request = Effect.promise(call)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

// Sequences -----------------------------------------------------------------------------------------------------------

const promises = (once: () => Promise<unknown>): Sequence => async (calls) => {
  for (let i = 0; i < calls; i++) await once()
}

/** All calls in one fiber. */
const fiber = <A, E>(effect: Effect.Effect<A, E>): Sequence => (calls) => {
  let i = 0
  return Effect.runPromise(Effect.whileLoop({ while: () => i++ < calls, body: () => effect, step: () => {} }))
}

const made = async <P, A, E, E2>(
  policy: Effect.Effect<P, E>,
  apply: (policy: P) => Effect.Effect<A, E2>
): Promise<Sequence> => fiber(apply(await Effect.runPromise(policy)))

const pipeline = (options: Pipeline.Options): Promise<Sequence> =>
  made(Pipeline.make(options), (policy) => Pipeline.apply(request, policy))

/** The action is made anew for each call: whoever calls a model has another prompt each time. */
const pipelineEach = async (options: Pipeline.Options): Promise<Sequence> => {
  const all = await Effect.runPromise(Pipeline.make(options))
  return fiber(Effect.suspend(() => Pipeline.apply(Effect.promise(call), all)))
}

// The stack -----------------------------------------------------------------------------------------------------------

const retry = RetryPolicy.exponential({ initial: "500 millis" }).pipe(RetryPolicy.attempts(3))
const circuitBreaker = { name: "bench", tripping: Tripping.failureRate({ share: 0.5, window: "30 seconds", minimumCalls: 10 }) }
const rateLimiter = { requestsPerMinute: 1_000_000_000 }
const bulkhead = { name: "bench", maxConcurrent: 100, maxQueued: 100 }
const stack = { retry, circuitBreaker, rateLimiter, bulkhead, attemptTimeout: "10 seconds" } as const

const cockatielBreaker = () =>
  cockatiel.circuitBreaker(cockatiel.handleAll, {
    halfOpenAfter: 10_000,
    breaker: new cockatiel.SamplingBreaker({ threshold: 0.5, duration: 30_000 })
  })

const cockatielRetry = () =>
  cockatiel.retry(cockatiel.handleAll, {
    maxAttempts: 2,
    backoff: new cockatiel.ExponentialBackoff({ initialDelay: 500 })
  })

const cockatielStack = (strategy: cockatiel.TimeoutStrategy): Sequence => {
  const all = cockatiel.wrap(
    cockatielRetry(),
    cockatielBreaker(),
    cockatiel.bulkhead(100, 100),
    cockatiel.timeout(10_000, strategy)
  )
  return promises(() => all.execute(call))
}

const cockatielAlone = (policy: cockatiel.IPolicy): Sequence => promises(() => policy.execute(call))

const opossum = (options: { readonly timeout: number | false; readonly capacity?: number }) =>
  new CircuitBreakerOfOpossum(call, { volumeThreshold: 10, resetTimeout: 10_000, ...options })

const semaphore = Effect.unsafeMakeSemaphore(100)
const plainStack = request.pipe(Effect.timeout("10 seconds"), semaphore.withPermits(1), Effect.retry({ times: 2 }))

/** Each item takes one turn of the event loop. */
const batch = (concurrency: number | "auto"): Sequence => (calls) =>
  Effect.runPromise(Effect.asVoid(Batch.run(Array.from({ length: calls }), () => Effect.promise(turn), { concurrency })))

/** By name: what prepares the sequence. */
export const sequences: { readonly [name: string]: () => Sequence | Promise<Sequence> } = {
  "bare promise": () => promises(call),
  "bare effect": () => fiber(request),

  "stack ours": () => pipeline(stack),
  "stack ours, made anew": () => pipelineEach(stack),
  "stack ours without limiter": () => pipeline({ ...stack, rateLimiter: undefined }),
  "stack ours without time-out": () => pipeline({ ...stack, attemptTimeout: undefined }),
  "stack ours + total time-out": () => pipeline({ ...stack, totalTimeout: "1 minute" }),
  "stack ours + total time-out + budget": () => pipeline({ ...stack, totalTimeout: "1 minute", retryBudget: "standard" }),
  "stack ours + total time-out + budget + hedge": () =>
    pipeline({
      ...stack,
      totalTimeout: "1 minute",
      retryBudget: "standard",
      hedge: { delay: "2 seconds" }
    }),
  "stack cockatiel": () => cockatielStack(cockatiel.TimeoutStrategy.Aggressive),
  "stack cockatiel cooperative": () => cockatielStack(cockatiel.TimeoutStrategy.Cooperative),
  "stack cockatiel without time-out": () => {
    const all = cockatiel.wrap(cockatielRetry(), cockatielBreaker(), cockatiel.bulkhead(100, 100))
    return promises(() => all.execute(call))
  },
  "stack opossum + p-retry": () => {
    const breaker = opossum({ timeout: 10_000, capacity: 100 })
    return promises(() => pRetry(() => breaker.fire(), { retries: 2, minTimeout: 500 }))
  },
  "stack plain Effect": () => fiber(plainStack),

  "retry ours": () => fiber(Retry.apply(request, retry)),
  "retry cockatiel": () => cockatielAlone(cockatielRetry()),
  "retry p-retry": () => promises(() => pRetry(call, { retries: 2, minTimeout: 500 })),
  "retry plain Effect": () => fiber(Effect.retry(request, { times: 2 })),
  "breaker ours": () => made(CircuitBreaker.make(circuitBreaker), (policy) => CircuitBreaker.apply(request, policy)),
  "breaker cockatiel": () => cockatielAlone(cockatielBreaker()),
  "breaker opossum": () => {
    const breaker = opossum({ timeout: false })
    return promises(() => breaker.fire())
  },
  "bulkhead ours": () => made(Bulkhead.make(bulkhead), (policy) => Bulkhead.apply(request, policy)),
  "bulkhead cockatiel": () => cockatielAlone(cockatiel.bulkhead(100, 100)),
  "bulkhead plain Effect": () => fiber(semaphore.withPermits(1)(request)),
  "time-out ours": () => made(Timeout.make({ limit: "10 seconds" }), (policy) => Timeout.apply(request, policy)),
  "time-out cockatiel": () => cockatielAlone(cockatiel.timeout(10_000, cockatiel.TimeoutStrategy.Aggressive)),
  "time-out plain Effect": () => fiber(Effect.timeout(request, "10 seconds")),
  "limiter ours": () => made(RateLimiter.make({ name: "bench", ...rateLimiter }), (policy) => RateLimiter.apply(request, policy)),
  "concurrency limit ours": () => made(ConcurrencyLimit.make({ name: "bench" }), (policy) => ConcurrencyLimit.apply(request, policy)),
  "adaptive retry ours": () => made(AdaptiveRetry.make({}), (policy) => AdaptiveRetry.apply(request, policy)),
  "budget ours": () =>
    made(
      Effect.flatMap(RetryBudget.make({ name: "bench" }), (budget) => Retry.make({ policy: retry, budget })),
      (policy) => Retry.apply(request, policy)
    ),
  "hedge ours": () => made(Hedge.make({ delay: "2 seconds", budget: "none" }), (policy) => Hedge.apply(request, policy)),

  "batch item ours": () => batch(100),
  "batch item ours, auto": () => batch("auto"),
  "batch item plain Effect": () => (calls) =>
    Effect.runPromise(Effect.forEach(Array.from({ length: calls }), () => Effect.promise(turn), { concurrency: 100 }))
      .then(() => {}),

  "refusal ours": async () => {
    const breaker = await Effect.runPromise(CircuitBreaker.make({ name: "bench", tripping: Tripping.consecutive(1) }))
    await Effect.runPromise(Effect.ignore(CircuitBreaker.apply(Effect.fail("down"), breaker)))
    return fiber(Effect.catchAll(CircuitBreaker.apply(request, breaker), () => Effect.void))
  },
  "refusal ours, whole stack": async () => {
    const all = await Effect.runPromise(
      Pipeline.make({ ...stack, circuitBreaker: { name: "bench", tripping: Tripping.consecutive(1) } })
    )
    await Effect.runPromise(Effect.ignore(Pipeline.apply(Effect.die("down"), all)).pipe(Effect.sandbox, Effect.ignore))
    return fiber(Effect.catchAll(Pipeline.apply(request, all), () => Effect.void))
  },
  "refusal cockatiel": async () => {
    const breaker = cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 600_000,
      breaker: new cockatiel.ConsecutiveBreaker(1)
    })
    await breaker.execute(() => Promise.reject(new Error("down"))).catch(() => {})
    return promises(() => breaker.execute(call).catch(() => {}))
  },
  "refusal opossum": () => {
    const breaker = opossum({ timeout: false })
    breaker.open()
    return promises(() => breaker.fire().catch(() => {}))
  }
}

// Many at once --------------------------------------------------------------------------------------------------------

const room = 100_000

const all = (effect: Effect.Effect<unknown, unknown>): Crowd => (calls) =>
  Effect.runPromise(Effect.forEach(Array.from({ length: calls }), () => effect, {
    concurrency: "unbounded",
    discard: true
  }))

const crowd = (once: () => Promise<unknown>): Crowd => async (calls) => {
  await Promise.all(Array.from({ length: calls }, once))
}

const ofOurs = () =>
  Effect.runPromise(Pipeline.make({ circuitBreaker, bulkhead: { name: "bench", maxConcurrent: 100, maxQueued: room } }))

const ofCockatiel = () => cockatiel.wrap(cockatielBreaker(), cockatiel.bulkhead(100, room))

/** Calls through a breaker and a bulkhead of 100, each of which takes one turn of the event loop. */
export const crowds: { readonly [name: string]: () => Crowd | Promise<Crowd> } = {
  "crowd bare promises": () => crowd(turn),
  "crowd bare effects": () => all(Effect.promise(turn)),
  "crowd ours": async () => all(Pipeline.apply(Effect.promise(turn), await ofOurs())),
  "crowd cockatiel": () => {
    const policy = ofCockatiel()
    return crowd(() => policy.execute(turn))
  }
}

const forked = (effect: Effect.Effect<unknown, unknown>, kept: Array<unknown>): Crowd => async (calls) => {
  for (let i = 0; i < calls; i++) kept.push(Effect.runFork(effect))
  for (let i = 0; i < 20; i++) await turn()
}

const never = new Promise<never>(() => {})

/** The same with calls that never end, so that all but 100 wait in the queue. */
export const waiting: { readonly [name: string]: (kept: Array<unknown>) => Crowd | Promise<Crowd> } = {
  "waiting bare effects": (kept) => forked(Effect.never, kept),
  "waiting ours": async (kept) => forked(Pipeline.apply(Effect.never, await ofOurs()), kept),
  "waiting cockatiel": (kept) => {
    const policy = ofCockatiel()
    return async (calls) => {
      for (let i = 0; i < calls; i++) kept.push(policy.execute(() => never))
      for (let i = 0; i < 20; i++) await turn()
    }
  }
}
