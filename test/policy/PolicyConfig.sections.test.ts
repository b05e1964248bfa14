import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as AdaptiveRetry from "../../src/policy/AdaptiveRetry.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as ConcurrencyLimit from "../../src/policy/ConcurrencyLimit.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as PolicyConfig from "../../src/policy/PolicyConfig.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { canonical } from "./support/policyFiles.ts"

const pathsOf = (error: InvalidOptions) => error.issues.map(({ path }) => path)

const refused = <A>(made: Effect.Effect<A, InvalidOptions>) => Effect.flip(made)

describe("every section", () => {
  it.effect("is made from data", () =>
    Effect.gen(function*() {
      const made = yield* PolicyConfig.decode(canonical)
      expect(made.name).toBe("chat")
      expect(made.totalTimeout).toBe(120_000)
      expect(made.attemptTimeout).toBe(20_000)
      expect(String(made.retry)).toBe("every 1s, 3 attempts in total, honouring hints up to 1m")
      expect(made.retryBudget?.form).toEqual(RetryBudget.tokens({ capacity: 100, cost: 10 }))
      expect(made.adaptiveRetry?.settings).toEqual({
        duration: 60_000,
        calls: 50,
        minimumCalls: 5,
        maxMultiplier: 3,
        cap: 20_000
      })
      expect(made.hedge?.maxHedges).toBe(2)
      expect(made.hedge?.delay).toMatchObject({ _tag: "Learned", settings: { quantile: 0.95, minimumSamples: 200 } })
      expect(made.rateLimiter?.key).toBe("account")
      expect(made.rateLimiter?.maxWait).toBe(15_000)
      expect(made.rateLimiter?.limits).toEqual({ requestsPerMinute: 500, tokensPerMinute: 30_000, burst: 0.5 })
      expect(made.concurrencyLimit?.cell.settings).toEqual({
        floor: 2,
        ceiling: 40,
        strategy: { kind: "aimd", backoffRatio: 0.8, timeout: 45_000 }
      })
      expect(made.concurrencyLimit?.admission.queueTimeout).toBe(4_000)
      expect(made.bulkhead?.admission.queueTimeout).toBe(3_000)
      expect(made.bulkhead?.admission.pool).toMatchObject({ limit: 50, maxQueued: 100 })
      if (made.circuitBreaker === undefined) return expect.unreachable()
      expect(CircuitBreaker.settings(made.circuitBreaker)).toMatchObject({
        probes: 2,
        successesToClose: 3,
        probeLimit: Duration.seconds(30),
        longestHint: Duration.minutes(5),
        mode: "enforce"
      })
      expect(String(CircuitBreaker.settings(made.circuitBreaker).tripping)).toContain("4 failures in a row")
    }))

  it.effect("made from data has the name of the pipeline, or the one it says", () =>
    Effect.gen(function*() {
      const made = yield* PolicyConfig.decode({ ...canonical, bulkhead: { maxConcurrent: 1, name: "narrow" } })
      expect(made.circuitBreaker?.name).toBe("chat")
      expect(made.rateLimiter?.name).toBe("chat")
      expect(made.concurrencyLimit?.name).toBe("chat")
      expect(made.adaptiveRetry?.name).toBe("chat")
      expect(made.hedge?.name).toBe("chat")
      expect(made.retryBudget?.name).toBe("chat")
      expect(made.bulkhead?.name).toBe("narrow")
    }))

  it.effect("with a name or a verdict of undefined has those of the pipeline", () =>
    Effect.gen(function*() {
      const own = { name: undefined, verdict: undefined }
      const verdict = () => Verdict.make("Fail")
      const made = yield* PolicyConfig.read({
        name: "chat",
        verdict,
        adaptiveRetry: own,
        circuitBreaker: own,
        rateLimiter: { ...own, requestsPerMinute: 1 },
        concurrencyLimit: own,
        bulkhead: { name: undefined, maxConcurrent: 1 }
      })
      const { adaptiveRetry, bulkhead, circuitBreaker, concurrencyLimit, rateLimiter } = made
      for (const each of [adaptiveRetry, bulkhead, circuitBreaker, concurrencyLimit, rateLimiter]) {
        expect(each?.name).toBe("chat")
      }
      for (const each of [adaptiveRetry, circuitBreaker?.cell, concurrencyLimit, rateLimiter]) {
        expect(each?.verdict).toBe(verdict)
      }
    }))

  it.effect("given as a value is shared: it is that value", () =>
    Effect.gen(function*() {
      const name = "shared"
      const shared = {
        retry: RetryPolicy.standard,
        retryBudget: yield* RetryBudget.make(),
        adaptiveRetry: yield* AdaptiveRetry.make(),
        hedge: yield* Hedge.make({ delay: "1 second", budget: "none" }),
        circuitBreaker: yield* CircuitBreaker.make({ name }),
        rateLimiter: yield* RateLimiter.make({ name, requestsPerMinute: 10 }),
        concurrencyLimit: yield* ConcurrencyLimit.make({ name }),
        bulkhead: yield* Bulkhead.make({ name, maxConcurrent: 1 })
      }
      const made = yield* PolicyConfig.read(shared)
      const { retry, ...stateful } = shared
      for (const [section, value] of Object.entries(stateful)) {
        expect(Object.entries(made).find(([each]) => each === section)?.[1], section).toBe(value)
      }
      expect(made.retry).toBe(retry)
      // Others hold them too, so they are not this pipeline's to write down.
      expect(PolicyConfig.encode(made)).toEqual({ name: "pipeline", retry: RetryPolicy.encode(retry) })
    }))

  it.effect("takes in code every spelling of a duration", () =>
    Effect.gen(function*() {
      const made = yield* PolicyConfig.read({
        totalTimeout: Duration.minutes(1),
        attemptTimeout: 5_000,
        bulkhead: { maxConcurrent: 1, maxQueued: 1, queueTimeout: 2_000_000_000n },
        hedge: { delay: Duration.seconds(1), budget: "none" }
      })
      expect(PolicyConfig.encode(made)).toEqual({
        name: "pipeline",
        totalTimeout: "1 minute",
        attemptTimeout: "5 seconds",
        bulkhead: { maxConcurrent: 1, maxQueued: 1, queueTimeout: "2 seconds" },
        hedge: { delay: "1 second", budget: "none" }
      })
    }))

  it.effect("hedges use the budget of the retries, unless they say none", () =>
    Effect.gen(function*() {
      const shared = yield* PolicyConfig.decode({ retryBudget: "standard", hedge: { delay: "1 second" } })
      expect(shared.hedge?.budget).toBe(shared.retryBudget)
      expect(shared.retryBudget?.form).toEqual(RetryBudget.share())
      const free = yield* PolicyConfig.decode({ retryBudget: "standard", hedge: { delay: "1 second", budget: "none" } })
      expect(free.hedge?.budget).toBe("none")
    }))

  it.effect.each<readonly [string, unknown, RetryBudget.Form]>([
    ["share", { share: { ratio: 0.5 } }, RetryBudget.share({ ratio: 0.5 })],
    ["tokens", { tokens: {} }, RetryBudget.tokens()],
    ["deposits", { deposits: { ttl: "20 seconds" } }, RetryBudget.deposits({ ttl: 20_000 })],
    ["throttle", { throttle: { maxTokens: 100 } }, RetryBudget.throttle({ maxTokens: 100 })]
  ])("a budget has the form that its key names: %s", ([, retryBudget, form]) =>
    Effect.gen(function*() {
      expect((yield* PolicyConfig.decode({ retryBudget })).retryBudget?.form).toEqual(form)
    }))
})

describe("one error lists everything that is wrong", () => {
  it.effect.each<readonly [string, unknown, ReadonlyArray<string>]>([
    ["of any kind", {
      nmae: "chat",
      name: " ",
      totalTimeout: 60,
      retry: { byError: [{ on: ["RateLimited"], backoff: "constant", delay: "1 second", attempts: 1 }] },
      retryBudget: {
        tokens: { capacity: 10, cost: 11, throttlingCost: 1, timeoutCost: 1, reward: 1, colour: "red" }
      },
      adaptiveRetry: { mode: "fast", window: 5, calls: 0 },
      hedge: { delay: { quantile: 2, initial: -1 }, maxHedges: 11, budget: "mine" },
      circuitBreaker: {
        tripping: { any: [{ when: "consecutive", failures: 0 }, { when: "failureRate", share: 2 }] },
        openFor: { backoff: "exponential", initial: "soon" },
        probes: 0,
        mode: "off",
        window: "30 seconds"
      },
      rateLimiter: { requestsPerMinute: 0, tokensPerMinute: "many", burst: 2, onExceeded: "drop" },
      concurrencyLimit: { floor: 0, strategy: { kind: "aimd", backoffRatio: 1, timeout: 7, smooth: 1 } },
      bulkhead: { maxConcurrent: 0, maxQueued: 1, queueTimeout: "0 seconds" },
      attemptTimeout: "-1 seconds"
    }, [
      "adaptiveRetry.calls",
      "adaptiveRetry.mode",
      "adaptiveRetry.window",
      "attemptTimeout",
      "bulkhead.maxConcurrent",
      "bulkhead.queueTimeout",
      "circuitBreaker.mode",
      "circuitBreaker.openFor.initial",
      "circuitBreaker.probes",
      "circuitBreaker.tripping.any.0.failures",
      "circuitBreaker.tripping.any.1.share",
      "circuitBreaker.window",
      "concurrencyLimit.floor",
      "concurrencyLimit.strategy.backoffRatio",
      "concurrencyLimit.strategy.smooth",
      "concurrencyLimit.strategy.timeout",
      "hedge.budget",
      "hedge.delay.initial",
      "hedge.delay.quantile",
      "hedge.maxHedges",
      "name",
      "nmae",
      "rateLimiter.burst",
      "rateLimiter.onExceeded",
      "rateLimiter.requestsPerMinute",
      "rateLimiter.tokensPerMinute",
      "retry.byError.0.attempts",
      "retryBudget.tokens.colour",
      "retryBudget.tokens.cost",
      "totalTimeout"
    ]],
    ["of the wrong type, missing, or without effect", {
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
    }, [
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
    ]]
  ])("in all sections at once, with the path of each field: what is %s", ([, file, paths]) =>
    Effect.gen(function*() {
      const error = yield* refused(PolicyConfig.decode(file))
      expect(error._tag).toBe("InvalidOptions")
      expect(error.module).toBe("Pipeline")
      expect([...pathsOf(error)].sort()).toEqual(paths)
      for (const issue of error.issues) {
        expect(issue.allowed, issue.path).not.toBe("")
        expect(error.message).toContain(`  ${issue.path} (found ${issue.found}); allowed: ${issue.allowed}`)
      }
    }))

  it.effect("an unknown key names those that exist", () =>
    Effect.gen(function*() {
      const error = yield* refused(PolicyConfig.decode({ breaker: {}, bulkhead: { maxConcurrent: 1, max: 1 } }))
      expect(pathsOf(error)).toEqual(["breaker", "bulkhead.max"])
      expect(error.issues[0]?.allowed).toContain("circuitBreaker, adaptiveThrottle, rateLimiter")
      expect(error.issues[1]?.allowed).toContain("maxConcurrent, maxQueued")
    }))

  const sections = Object.keys(canonical).filter((name) => !["name", "totalTimeout", "attemptTimeout"].includes(name))

  it.effect.each<readonly [string, unknown]>([
    ...sections.flatMap((section) => [7, "text", [], null].map((wrong) => [section, wrong] as const)),
    ["retry", "standard"],
    ["retryBudget", "generous"],
    ["retryBudget", {}],
    ["retryBudget", { share: {}, tokens: {} }],
    ["adaptiveRetry", true],
    ["hedge", "1 second"]
  ])("a section that is no section is refused: %s %j", ([section, value]) =>
    Effect.gen(function*() {
      const error = yield* refused(PolicyConfig.decode({ [section]: value }))
      expect(pathsOf(error)).toEqual([section])
    }))

  it.effect.each(["adaptiveRetry", "hedge", "circuitBreaker", "rateLimiter", "concurrencyLimit"])(
    "a file cannot judge errors: %s.verdict",
    (section) =>
      Effect.gen(function*() {
        const own = section === "hedge"
          ? { delay: "1 second", budget: "none" }
          : section === "rateLimiter"
          ? { requestsPerMinute: 1 }
          : {}
        const error = yield* refused(PolicyConfig.decode({ [section]: { ...own, verdict: "Fail" } }))
        expect(pathsOf(error)).toEqual([`${section}.verdict`])
      })
  )

  it.effect.each<readonly [string, unknown]>([
    ["circuitBreaker.name", { circuitBreaker: { name: null } }],
    ["rateLimiter.name", { rateLimiter: { name: null, requestsPerMinute: 1 } }],
    ["bulkhead.name", { bulkhead: { name: null, maxConcurrent: 1 } }],
    ["retryBudget.share._tag", { retryBudget: { share: { _tag: "Tokens" } } }],
    ["rateLimiter", { rateLimiter: {} }],
    ["rateLimiter.maxWait", { rateLimiter: { requestsPerMinute: 1, onExceeded: "fail", maxWait: "1 second" } }],
    ["bulkhead.queueTimeout", { bulkhead: { maxConcurrent: 1, queueTimeout: "1 second" } }],
    ["circuitBreaker.openFor", { circuitBreaker: { openFor: 5_000 } }],
    ["circuitBreaker.openFor.attempts", {
      circuitBreaker: { openFor: { backoff: "constant", delay: "1 second", attempts: 2 } }
    }],
    ["hedge.delay", { hedge: { delay: 0, budget: "none" } }],
    ["retryBudget.deposits.ttl", { retryBudget: { deposits: { ttl: 5_000 } } }]
  ])("%s is refused alone in %j", ([path, file]) =>
    Effect.gen(function*() {
      expect(pathsOf(yield* refused(PolicyConfig.decode(file)))).toEqual([path])
    }))

  it.effect("a file nested without end is refused, not gone through", () =>
    Effect.gen(function*() {
      const deep: unknown = JSON.parse(
        `${"{\"_tag\":\"Capped\",\"cap\":\"1 second\",\"policy\":".repeat(20_000)}{}${"}".repeat(20_000)}`
      )
      const [retry] = pathsOf(yield* refused(PolicyConfig.decode({ retry: deep })))
      expect(retry).toMatch(/^retry\.policy\.policy/)
      const rules: unknown = JSON.parse(`${"{\"any\":[".repeat(20_000)}{}${"]}".repeat(20_000)}`)
      const [tripping] = pathsOf(yield* refused(PolicyConfig.decode({ circuitBreaker: { tripping: rules } })))
      expect(tripping).toMatch(/^circuitBreaker\.tripping\.any\.0/)
    }))
})

describe("a section", () => {
  it.effect("may contradict a value that is shared", () =>
    Effect.gen(function*() {
      const circuitBreaker = yield* CircuitBreaker.make({ name: "shared", probeLimit: "1 second" })
      const error = yield* refused(PolicyConfig.read({ circuitBreaker, attemptTimeout: "5 seconds" }))
      expect(pathsOf(error)).toEqual(["circuitBreaker.probeLimit"])
    }))

  it.effect.each(["requestsPerMinute", "tokensPerMinute"])(
    "a limiter with a zero rate is refused: %s",
    (field) =>
      Effect.gen(function*() {
        const error = yield* refused(PolicyConfig.decode({ rateLimiter: { [field]: 0 } }))
        expect(pathsOf(error)).toEqual([`rateLimiter.${field}`])
        expect(error.issues[0]?.allowed).toContain("above zero")
      })
  )
})
