import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Backoff from "../../src/policy/Backoff.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as PolicyConfig from "../../src/policy/PolicyConfig.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import { canonical, everything } from "./support/policyFiles.ts"

const issuesOf = <A>(read: Effect.Effect<A, InvalidOptions>) =>
  Effect.map(Effect.flip(read), (error) => Object.fromEntries(error.issues.map((issue) => [issue.path, issue.allowed])))

const pathsOf = <A>(read: Effect.Effect<A, InvalidOptions>) =>
  Effect.map(issuesOf(read), (issues) => Object.keys(issues))

describe("PolicyConfig.check", () => {
  it.effect("takes a file with every policy, and one with none", () =>
    Effect.gen(function*() {
      yield* PolicyConfig.check(everything)
      expect(yield* PolicyConfig.check(canonical)).toBeUndefined()
      yield* PolicyConfig.check({})
      yield* PolicyConfig.check({ $schema: "node_modules/effect-llm-resilience/policy.schema.json" })
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

  it.effect("names an unknown key of a budget's form at its own path", () =>
    Effect.gen(function*() {
      expect(yield* pathsOf(PolicyConfig.check({ retryBudget: { share: { rate: 0.2 } } }))).toEqual([
        "retryBudget.share.rate"
      ])
    }))

  it.effect("fails as decode does", () =>
    Effect.gen(function*() {
      const file = { totalTimeout: 5, bulkhead: {} }
      const checked = yield* Effect.flip(PolicyConfig.check(file))
      expect(checked.issues.map(({ path }) => path)).toEqual(["totalTimeout", "bulkhead.maxConcurrent"])
      expect(checked.issues).toEqual((yield* Effect.flip(PolicyConfig.decode(file))).issues)
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
    { totalTimeout: "5 seconds", rateLimiter: { requestsPerMinute: 1, maxWait: "5 seconds" } },
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
      const file = {
        name: "",
        totalTimeout: "5 seconds",
        attemptTimeout: "6 seconds",
        bulkhead: { maxConcurrent: 0 }
      } as const
      expect(yield* pathsOf(PolicyConfig.read(file))).toEqual(["name", "bulkhead.maxConcurrent", "attemptTimeout"])
    }))
})

describe("PolicyConfig.encode", () => {
  it.effect("writes a file as it was read, through JSON", () =>
    Effect.gen(function*() {
      const json: unknown = JSON.parse(JSON.stringify(PolicyConfig.encode(yield* PolicyConfig.decode(canonical))))
      expect(json).toEqual(canonical)
      expect(PolicyConfig.encode(yield* PolicyConfig.decode(json))).toEqual(json)
    }))

  it.effect("leaves out where the schema is, which is for editors", () =>
    Effect.gen(function*() {
      const made = yield* PolicyConfig.decode({ $schema: "./policy.schema.json", attemptTimeout: "1 second" })
      expect(PolicyConfig.encode(made)).toEqual({ name: "pipeline", attemptTimeout: "1 second" })
    }))

  it.effect("writes what was given in code so that a file says the same", () =>
    Effect.gen(function*() {
      const made = yield* PolicyConfig.read({
        circuitBreaker: {
          tripping: Tripping.consecutive(3),
          openFor: Backoff.constant("4 seconds"),
          longestHint: Duration.hours(2),
          verdict: () => Verdict.make("Fail")
        },
        concurrencyLimit: { strategy: { kind: "aimd", timeout: Duration.seconds(7) } },
        retryBudget: { deposits: { ttl: 30_000 } },
        hedge: { delay: Infinity },
        rateLimiter: { requestsPerMinute: 5, maxWait: 1_500 }
      })
      const json = PolicyConfig.encode(made)
      expect(json).toEqual({
        name: "pipeline",
        circuitBreaker: {
          tripping: { when: "consecutive", failures: 3 },
          openFor: { backoff: "constant", delay: "4 seconds" },
          longestHint: "2 hours"
        },
        concurrencyLimit: { strategy: { kind: "aimd", timeout: "7 seconds" } },
        retryBudget: { deposits: { ttl: "30 seconds" } },
        hedge: { delay: "Infinity" },
        rateLimiter: { requestsPerMinute: 5, maxWait: "1500 millis" }
      })
      expect(PolicyConfig.encode(yield* PolicyConfig.decode(json))).toEqual(json)
    }))

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
  const from = (text: string) =>
    Effect.withConfigProvider(PolicyConfig.config("POLICY"), ConfigProvider.fromMap(new Map([["POLICY", text]])))

  it.effect("reads a policy file out of one setting", () =>
    Effect.gen(function*() {
      const made = yield* Effect.flatMap(from(JSON.stringify(canonical)), PolicyConfig.decode)
      expect(PolicyConfig.encode(made)).toEqual(canonical)
    }))

  it.effect("text that is no JSON is a wrong setting, and says which", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(from("{ totalTimeout: soon"))
      const told = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
      expect(told).toContain("POLICY")
      expect(told).toContain("expected a pipeline as JSON")
    }))

  it.effect("a setting that is not there is a missing setting", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.withConfigProvider(PolicyConfig.config("POLICY"), ConfigProvider.fromMap(new Map()))
      )
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("POLICY")
    }))
})
