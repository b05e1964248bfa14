import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as PolicyConfig from "../../src/policy/PolicyConfig.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import { everything } from "./support/policyFiles.ts"

const issuesOf = <A>(read: Effect.Effect<A, InvalidOptions>) =>
  Effect.map(Effect.flip(read), (error) => Object.fromEntries(error.issues.map((issue) => [issue.path, issue.allowed])))

const pathsOf = <A>(read: Effect.Effect<A, InvalidOptions>) =>
  Effect.map(issuesOf(read), (issues) => Object.keys(issues))

describe("PolicyConfig.check", () => {
  it.effect("takes a file with every policy, and one with none", () =>
    Effect.gen(function*() {
      yield* PolicyConfig.check(everything)
      yield* PolicyConfig.check({})
      yield* PolicyConfig.check({ $schema: "node_modules/effect-llm-resilience/policy.schema.json" })
    }))

  it.effect("lists everything that is wrong in one error, each field at its own path", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(PolicyConfig.check({
        totalTimeout: "soon",
        retry: { backoff: "exponential", attempts: 1 },
        retryBudget: { tokens: { capacity: "all", initial: 1, cost: 1, throttlingCost: 1, reward: "much", bonus: 1 } },
        adaptiveRetry: { mode: "fast", calls: 0, cap: 30 },
        hedge: { delay: { quantile: 2, initial: 5 }, maxHedges: 11, budget: "own" },
        circuitBreaker: { tripping: { when: "consecutive", failures: 0 }, probes: 0, openFor: 10_000, open: true },
        rateLimiter: { burst: 2, requestsPerMinute: 0, maxWait: [1, 0] },
        concurrencyLimit: { floor: 5, ceiling: 2, strategy: { kind: "aimd", timeout: 3 } },
        bulkhead: { maxConcurrent: 0, queueTimeout: "1 second" },
        attemptTimeout: 10,
        breaker: {}
      }))
      expect([...error.issues].map(({ path }) => path).sort()).toEqual([
        "adaptiveRetry.calls",
        "adaptiveRetry.cap",
        "adaptiveRetry.mode",
        "attemptTimeout",
        "breaker",
        "bulkhead.maxConcurrent",
        "bulkhead.queueTimeout",
        "circuitBreaker.open",
        "circuitBreaker.openFor",
        "circuitBreaker.probes",
        "circuitBreaker.tripping.failures",
        "concurrencyLimit.ceiling",
        "concurrencyLimit.strategy.timeout",
        "hedge.budget",
        "hedge.delay.initial",
        "hedge.delay.quantile",
        "hedge.maxHedges",
        "rateLimiter.burst",
        "rateLimiter.maxWait",
        "rateLimiter.requestsPerMinute",
        "retry.attempts",
        "retry.initial",
        "retryBudget.tokens.bonus",
        "retryBudget.tokens.capacity",
        "retryBudget.tokens.reward",
        "totalTimeout"
      ])
      for (const issue of error.issues) {
        expect(issue.allowed, issue.path).not.toBe("")
        expect(error.message).toContain(issue.path)
      }
    }))

  const sections = Object.keys(everything).filter((name) => !["name", "totalTimeout", "attemptTimeout"].includes(name))

  it.effect.each(sections)("refuses an unknown key in %s", (name) =>
    Effect.gen(function*() {
      const file: { readonly [section: string]: unknown } = everything
      const section = file[name]
      const issues = yield* issuesOf(
        PolicyConfig.check({ ...everything, [name]: { ...(typeof section === "object" ? section : {}), typo: 1 } })
      )
      expect(Object.keys(issues).some((path) => path === name || path === `${name}.typo`), JSON.stringify(issues)).toBe(
        true
      )
    }))

  it.effect.each(sections)("refuses %s that is no object", (name) =>
    Effect.gen(function*() {
      for (const wrong of [7, "text", [], null]) {
        expect(yield* pathsOf(PolicyConfig.check({ ...everything, [name]: wrong }))).toContain(name)
      }
    }))

  it.effect("names an unknown key of a budget's form at its own path", () =>
    Effect.gen(function*() {
      expect(yield* pathsOf(PolicyConfig.check({ retryBudget: { share: { rate: 0.2 } } }))).toEqual([
        "retryBudget.share.rate"
      ])
      expect(yield* pathsOf(PolicyConfig.check({ retryBudget: { share: {}, tokens: {} } }))).toEqual(["retryBudget"])
    }))

  it.effect("does not blame the hedge for a budget that is there but wrong", () =>
    Effect.gen(function*() {
      const file = { retryBudget: { share: { ratio: 2 } }, hedge: { delay: "1 second" } }
      expect(yield* pathsOf(PolicyConfig.check(file))).toEqual(["retryBudget.share.ratio"])
    }))
})

const contradictions: ReadonlyArray<readonly [string, PolicyConfig.Options, path: string, other: string]> = [
  [
    "an attempt as long as the total",
    { totalTimeout: "5 seconds", attemptTimeout: "5 seconds" },
    "attemptTimeout",
    "totalTimeout"
  ],
  [
    "a retry that waits longer than the total",
    { totalTimeout: "5 seconds", retry: { backoff: "constant", delay: "3 seconds", attempts: 3 } },
    "retry",
    "totalTimeout"
  ],
  [
    "a hedge that starts after the attempt is over",
    { hedge: { delay: "5 seconds", budget: "none" }, attemptTimeout: "5 seconds" },
    "hedge.delay",
    "attemptTimeout"
  ],
  [
    "a learned hedge that does so",
    { hedge: { delay: { quantile: 0.9, initial: "5 seconds" }, budget: "none" }, attemptTimeout: "5 seconds" },
    "hedge.delay.initial",
    "attemptTimeout"
  ],
  [
    "a hedge that starts after the call is over",
    { totalTimeout: "5 seconds", hedge: { delay: "5 seconds", budget: "none" } },
    "hedge.delay",
    "totalTimeout"
  ],
  [
    "a last hedge that starts after the call is over",
    { totalTimeout: "5 seconds", hedge: { delay: "2 seconds", maxHedges: 3, budget: "none" } },
    "hedge.delay",
    "totalTimeout"
  ],
  [
    "a queue of the bulkhead as patient as the call",
    { totalTimeout: "5 seconds", bulkhead: { maxConcurrent: 1, maxQueued: 1, queueTimeout: "5 seconds" } },
    "bulkhead.queueTimeout",
    "totalTimeout"
  ],
  [
    "a queue of the adaptive limit as patient as the call",
    { totalTimeout: "5 seconds", concurrencyLimit: { maxQueued: 1, queueTimeout: "5 seconds" } },
    "concurrencyLimit.queueTimeout",
    "totalTimeout"
  ],
  [
    "a limiter as patient as the call",
    { totalTimeout: "5 seconds", rateLimiter: { requestsPerMinute: 1, maxWait: "6 seconds" } },
    "rateLimiter.maxWait",
    "totalTimeout"
  ],
  [
    "a probe that is given up before its attempt",
    { attemptTimeout: "5 seconds", circuitBreaker: { probeLimit: "4 seconds" } },
    "circuitBreaker.probeLimit",
    "attemptTimeout"
  ],
  ["a hedge without a budget", { hedge: { delay: "1 second" } }, "hedge.budget", "retryBudget"]
]

describe("fields that contradict each other", () => {
  it.effect.each(contradictions)(
    "%s: one issue that names both",
    ([_, options, path, other]) =>
      Effect.gen(function*() {
        const issues = yield* issuesOf(PolicyConfig.read(options))
        expect(Object.keys(issues)).toEqual([path])
        expect(issues[path]).toContain(other)
      })
  )

  it.effect("are told together with what is wrong in itself", () =>
    Effect.gen(function*() {
      expect(yield* pathsOf(PolicyConfig.read({ totalTimeout: "5 seconds", attemptTimeout: "6 seconds", name: "" })))
        .toEqual(
          ["name", "attemptTimeout"]
        )
    }))
})

describe("PolicyConfig.encode", () => {
  it.effect("gives a file that decodes to the same policies, from a file and from code", () =>
    Effect.gen(function*() {
      const codes: ReadonlyArray<PolicyConfig.Options> = [
        {},
        {
          name: "code",
          totalTimeout: 60_000,
          retry: RetryPolicy.exponential({ initial: 250 }).pipe(
            RetryPolicy.capped("4 seconds"),
            RetryPolicy.attempts(4)
          ),
          retryBudget: { deposits: { ttl: 5_000 } },
          adaptiveRetry: { window: Duration.minutes(2), cap: [5, 0] },
          hedge: { delay: { quantile: 0.9, initial: 1_500 } },
          circuitBreaker: { tripping: Tripping.consecutive(3), openFor: 5_000, probeLimit: Duration.minutes(3) },
          rateLimiter: { requestsPerMinute: 60, maxWait: 12.5 },
          concurrencyLimit: {
            strategy: { kind: "aimd", timeout: 9_000 },
            maxQueued: 2,
            queueTimeout: Duration.seconds(3)
          },
          bulkhead: { maxConcurrent: 3, maxQueued: 4, queueTimeout: 2_000 },
          attemptTimeout: 20_000
        },
        { hedge: { delay: Infinity, budget: "none" } },
        { hedge: { delay: 0, budget: "none" }, circuitBreaker: { openFor: RetryPolicy.constant("3 seconds") } }
      ]
      for (const options of codes) {
        const policies = yield* PolicyConfig.read(options)
        const json: unknown = JSON.parse(JSON.stringify(PolicyConfig.encode(policies)))
        const back = yield* PolicyConfig.decode(json)
        expect(PolicyConfig.encode(back)).toEqual(json)
        const [one, other] = [yield* Pipeline.make(options), yield* Pipeline.decode(json)]
        expect(Pipeline.describe(other)).toBe(Pipeline.describe(one))
        expect(Pipeline.bounds(other)).toEqual(Pipeline.bounds(one))
      }
      const file = PolicyConfig.encode(yield* PolicyConfig.decode(everything))
      expect(file).toMatchObject({ bulkhead: everything.bulkhead, hedge: everything.hedge })
    }))
})

describe("PolicyConfig.config", () => {
  const from = (value: string) => Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["POLICY", value]])))

  it.effect("reads a pipeline from one setting", () =>
    Effect.gen(function*() {
      const json = yield* PolicyConfig.config("POLICY")
      expect(Pipeline.encode(yield* Pipeline.decode(json))).toMatchObject({ name: "everything" })
    }).pipe(from(JSON.stringify(everything))))

  it.effect("says so where the setting is no JSON, or missing", () =>
    Effect.gen(function*() {
      const broken = yield* Effect.flip(from("{ name: ")(Effect.suspend(() => PolicyConfig.config("POLICY"))))
      expect(String(broken)).toContain("expected a pipeline as JSON")
      expect((yield* Effect.flip(from("{}")(Effect.suspend(() => PolicyConfig.config("OTHER")))))._op).toBe(
        "MissingData"
      )
    }))
})
