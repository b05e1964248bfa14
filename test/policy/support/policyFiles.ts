/** Policy files, for the tests of pipelines: one with everything, and any number of valid ones. */
import * as FastCheck from "effect/FastCheck"

/** Every section, given as data. */
export const everything = {
  name: "everything",
  stream: {
    firstContent: "8 seconds",
    idle: "5 seconds",
    liveness: "3 seconds",
    total: "5 minutes",
    peek: "100 millis",
    onBreak: "resume",
    otherwise: "restart",
    continuation: "allowed",
    maxKept: 200_000
  },
  totalTimeout: "1 minute",
  retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 4 },
  retryBudget: { share: { ratio: 0.3, minimum: 5 } },
  adaptiveRetry: { mode: "multiplier", maxMultiplier: 3, cap: "20 seconds" },
  hedge: { delay: "2 seconds", maxHedges: 2 },
  circuitBreaker: {
    tripping: { when: "failureRate", share: 0.5, window: "30 seconds", minimumCalls: 10 },
    openFor: "10 seconds",
    probes: 2
  },
  rateLimiter: { requestsPerMinute: 500, tokensPerMinute: 200_000, maxWait: "30 seconds" },
  concurrencyLimit: { initial: 20, floor: 2, ceiling: 100, strategy: "gradient" },
  bulkhead: { maxConcurrent: 50, maxQueued: 100, queueTimeout: "5 seconds" },
  attemptTimeout: "10 seconds"
} as const

const units = ["millis", "seconds", "second", "minutes", "minute", "hours", "days", "weeks"] as const
const wait = FastCheck.oneof(
  FastCheck.tuple(FastCheck.integer({ min: 1, max: 500 }), FastCheck.constantFrom(...units)).map(([n, unit]) =>
    `${n} ${unit}`
  ),
  FastCheck.constantFrom("1.5 seconds", "0.25 minutes")
)
const share = FastCheck.double({ min: 0, max: 1, noNaN: true })
const whole = (min: number, max: number) => FastCheck.integer({ min, max })
const some = (
  fields: Readonly<Record<string, FastCheck.Arbitrary<unknown>>>,
  needed: ReadonlyArray<string> = []
): FastCheck.Arbitrary<Record<string, unknown>> => FastCheck.record({ ...fields }, { requiredKeys: [...needed] })

const jitter = FastCheck.oneof(
  FastCheck.constantFrom("none", "full", "equal", "decorrelated"),
  FastCheck.record({ ratio: FastCheck.double({ min: 0.01, max: 1, noNaN: true }) }),
  FastCheck.record({
    min: FastCheck.double({ min: 0, max: 1, noNaN: true }),
    max: FastCheck.double({ min: 1, max: 10, noNaN: true })
  })
)
const modifiers = { jitter, atLeast: wait, cap: wait, attempts: whole(2, 100), within: wait, honourHints: wait }
const flat = (more: Record<string, FastCheck.Arbitrary<unknown>>) =>
  FastCheck.oneof(
    ...Object.entries({
      never: {},
      immediate: {},
      constant: { delay: wait },
      linear: { initial: wait },
      exponential: { initial: wait },
      fibonacci: { initial: wait }
    }).map(([backoff, own]) =>
      some({ ...more, backoff: FastCheck.constant(backoff), ...own, ...modifiers }, [
        ...Object.keys(more),
        "backoff",
        ...Object.keys(own)
      ])
    )
  )
const tags = FastCheck.uniqueArray(FastCheck.constantFrom("RateLimited", "ServerError", "TimedOut"), { minLength: 1 })
const retry = FastCheck.oneof(
  flat({}),
  some({
    byError: FastCheck.array(FastCheck.oneof(flat({ on: tags }), FastCheck.record({ on: tags, use: flat({}) })), {
      minLength: 1,
      maxLength: 3
    }),
    otherwise: FastCheck.oneof(FastCheck.constant("fail"), flat({})),
    growth: FastCheck.constantFrom("rule", "call"),
    ...modifiers
  }, ["byError"]),
  FastCheck.record({ _tag: FastCheck.constant("Union"), left: flat({}), right: flat({}) }),
  FastCheck.record({ _tag: FastCheck.constant("AndThen"), first: flat({}), second: flat({}) }),
  FastCheck.record({ _tag: FastCheck.constant("Capped"), cap: wait, policy: flat({}) })
)

const rate = {
  share: FastCheck.double({ min: 0.01, max: 1, noNaN: true }),
  window: FastCheck.oneof(wait, FastCheck.constantFrom("1 call", "100 calls")),
  minimumCalls: whole(1, 100)
}
const rule = FastCheck.oneof(
  some({ when: FastCheck.constant("consecutive"), failures: whole(1, 100_000) }, ["when"]),
  some({ when: FastCheck.constant("failureRate"), ...rate }, ["when"]),
  some({ when: FastCheck.constant("slowCallRate"), longerThan: wait, ...rate }, ["when", "longerThan"])
)
const queue = { maxQueued: whole(0, 1_000), queueTimeout: wait }

/** Files of which most are right; whether one is, the reader says. */
export const files: FastCheck.Arbitrary<unknown> = some({
  $schema: FastCheck.constant("policy.schema.json"),
  name: FastCheck.constantFrom("chat", "batch"),
  stream: some({
    firstContent: wait,
    idle: wait,
    liveness: wait,
    total: wait,
    peek: FastCheck.oneof(wait, FastCheck.constant("0 millis")),
    onBreak: FastCheck.constantFrom("fail", "restart", "resume", "truncate"),
    otherwise: FastCheck.constantFrom("fail", "restart", "truncate"),
    background: FastCheck.boolean(),
    continuation: FastCheck.constantFrom("never", "allowed"),
    maxKept: whole(1_000, 100_000_000)
  }),
  totalTimeout: wait,
  retry,
  retryBudget: FastCheck.oneof(
    FastCheck.constant("standard"),
    FastCheck.record({ share: some({ ratio: share, minimum: whole(0, 100) }) }),
    FastCheck.record({ tokens: some({ capacity: whole(100, 900), cost: whole(1, 90), reward: whole(0, 9) }) }),
    FastCheck.record({ deposits: some({ ttl: FastCheck.constantFrom("1 second", "1 minute"), ratio: share }) })
  ),
  adaptiveRetry: some({
    name: FastCheck.constant("slow down"),
    mode: FastCheck.constantFrom("multiplier", "rate"),
    window: wait,
    calls: whole(100, 100_000),
    minimumCalls: whole(1, 100),
    maxMultiplier: FastCheck.double({ min: 1, max: 100, noNaN: true }),
    cap: wait
  }),
  hedge: some({
    delay: FastCheck.oneof(
      wait,
      FastCheck.constantFrom("0 seconds", "Infinity"),
      some({ quantile: FastCheck.constantFrom(0.5, 0.95), minimumSamples: whole(100, 500), initial: wait }, [
        "quantile"
      ])
    ),
    maxHedges: whole(1, 10),
    budget: FastCheck.constantFrom("shared", "none")
  }, ["delay"]),
  circuitBreaker: some({
    tripping: FastCheck.oneof(rule, FastCheck.record({ any: FastCheck.array(rule, { minLength: 1, maxLength: 2 }) })),
    openFor: FastCheck.oneof(wait, FastCheck.record({ backoff: FastCheck.constant("exponential"), initial: wait })),
    longestHint: wait,
    probes: whole(1, 1_000),
    successesToClose: whole(1, 1_000),
    probeLimit: wait,
    mode: FastCheck.constantFrom("enforce", "observe")
  }),
  rateLimiter: some({
    requestsPerMinute: FastCheck.oneof(whole(1, 9_999), FastCheck.constant("learned")),
    tokensPerMinute: FastCheck.oneof(
      FastCheck.double({ min: 0.5, max: 1e9, noNaN: true }),
      FastCheck.constant("learned")
    ),
    burst: share,
    onExceeded: FastCheck.constantFrom("delay", "fail"),
    maxWait: wait,
    key: FastCheck.constant("tenant")
  }),
  concurrencyLimit: some({
    initial: whole(10, 100),
    floor: whole(1, 10),
    ceiling: whole(100, 1_000),
    strategy: FastCheck.oneof(
      FastCheck.constantFrom("aimd", "gradient"),
      some({ kind: FastCheck.constant("aimd"), backoffRatio: FastCheck.constant(0.5), timeout: wait }, ["kind"]),
      some({ kind: FastCheck.constant("gradient"), tolerance: FastCheck.constant(1.2), queueSize: whole(1, 1_000) }, [
        "kind"
      ])
    ),
    ...queue
  }),
  bulkhead: some({ maxConcurrent: whole(1, 1_000_000), ...queue }, ["maxConcurrent"]),
  attemptTimeout: wait
})

/** Every section, spelled as `PolicyConfig.encode` writes it. */
export const canonical = {
  name: "chat",
  stream: { idle: "15 seconds", onBreak: "resume", otherwise: "truncate", background: true, maxKept: 50_000 },
  totalTimeout: "2 minutes",
  retry: { backoff: "constant", delay: "1 second", attempts: 3 },
  retryBudget: { tokens: { capacity: 100, cost: 10 } },
  adaptiveRetry: { window: "1 minute", calls: 50, minimumCalls: 5, maxMultiplier: 3, cap: "20 seconds" },
  hedge: { delay: { quantile: 0.95, minimumSamples: 200, initial: "2 seconds" }, maxHedges: 2 },
  circuitBreaker: {
    tripping: { any: [{ when: "consecutive", failures: 4 }, { when: "slowCallRate", longerThan: "5 seconds" }] },
    openFor: { backoff: "exponential", initial: "5 seconds", cap: "40 seconds" },
    longestHint: "5 minutes",
    probes: 2,
    successesToClose: 3,
    probeLimit: "30 seconds",
    mode: "enforce"
  },
  rateLimiter: { requestsPerMinute: 500, tokensPerMinute: 30_000, burst: 0.5, maxWait: "15 seconds", key: "account" },
  concurrencyLimit: {
    initial: 10,
    floor: 2,
    ceiling: 40,
    strategy: { kind: "aimd", backoffRatio: 0.8, timeout: "45 seconds" },
    maxQueued: 20,
    queueTimeout: "4 seconds"
  },
  bulkhead: { maxConcurrent: 50, maxQueued: 100, queueTimeout: "3 seconds" },
  attemptTimeout: "20 seconds"
} as const
