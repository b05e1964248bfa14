/** The JSON Schema that editors use, held against the reader that decides: neither may drift from the other. */
import { describe, expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as PolicyConfig from "../../src/policy/PolicyConfig.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { writeTree } from "../../src/policy/shared/retryForm.ts"
import * as policies from "../laws/retryPolicies.ts"
import { runs } from "../runs.ts"
import { everything, files } from "./support/policyFiles.ts"

const ajv = new Ajv2020({ strict: true, strictRequired: false })
const validate = ajv.compile({ ...PolicyConfig.jsonSchema })

/** What the schema says against a file. */
const complaints = (json: unknown): ReadonlyArray<string> =>
  validate(json) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`)

const isRight = (json: unknown): boolean => Either.isRight(Effect.runSync(Effect.either(PolicyConfig.check(json))))

const { boolean, constant, constantFrom, double, integer, oneof, record } = FastCheck

const some = <T extends Record<string, FastCheck.Arbitrary<unknown>>>(
  model: T,
  ...requiredKeys: Array<keyof T & string>
) => record(model, { requiredKeys })

const short = oneof(
  constantFrom("1 milli", "0.5 seconds", "1 second", "007 seconds", "1.50 seconds", "3000 millis"),
  integer({ min: 1, max: 3_000 }).map((count) => `${count} millis`)
)
const share = double({ min: 0, max: 1, noNaN: true })
const above = double({ min: 1e-6, max: 1, noNaN: true })
const name = constantFrom("chat", "batch", "a b")
const few = integer({ min: 1, max: 100 })

const retry = FastCheck.tuple(oneof(policies.chain, policies.policyOf(2)), boolean()).map(([made, asTree]) =>
  asTree ? writeTree(made.tree) : RetryPolicy.encode(made)
)

const rate = {
  share: above,
  window: oneof(short, constantFrom("1 call", "100 calls", " 050 calls ")),
  minimumCalls: few
}
const rule = oneof(
  some({ when: constant("consecutive"), failures: few }, "when"),
  some({ when: constant("failureRate"), ...rate }, "when"),
  some({ when: constant("slowCallRate"), longerThan: short, ...rate }, "when", "longerThan")
)
const rules = FastCheck.array(rule, { minLength: 1, maxLength: 3 })
const tripping = oneof(rule, record({ any: rules }), record({ all: FastCheck.tuple(rule, record({ any: rules })) }))

const budget = oneof(
  constant("standard"),
  record({ share: some({ ratio: share, minimum: double({ min: 0, max: 100, noNaN: true }) }) }),
  record({
    tokens: some({
      capacity: integer({ min: 100, max: 1_000 }),
      initial: integer({ min: 0, max: 100 }),
      cost: few,
      throttlingCost: few,
      timeoutCost: above,
      reward: share
    })
  }),
  record({
    deposits: some({
      ttl: constantFrom("1 second", "60 seconds", "1 minute"),
      minimumPerSecond: share,
      ratio: double({ min: 0, max: 1_000, noNaN: true })
    })
  })
)

const waiting = { maxQueued: integer({ min: 1, max: 1_000_000 }), queueTimeout: short }

const strategy = oneof(
  constantFrom("aimd", "gradient"),
  some({ kind: constant("aimd"), backoffRatio: constantFrom(0.01, 0.5, 0.99), timeout: short }, "kind"),
  some({
    kind: constant("gradient"),
    backoffRatio: constantFrom(0.01, 0.5, 0.99),
    tolerance: constantFrom(1, 1.5, 1.99),
    smoothing: constantFrom(0.01, 1),
    queueSize: few,
    remeasureEvery: constantFrom(100, 1_000_000)
  }, "kind")
)

const perMinute = oneof(constant("learned"), integer({ min: 1, max: 1_000_000 }), above)
const limiter = { name, requestsPerMinute: perMinute, tokensPerMinute: perMinute, burst: share, key: name }

/** Numbers that get on with each other, so that most files are right. */
const sections = {
  $schema: constant("./policy.schema.json"),
  name,
  stream: oneof(
    some({
      firstContent: constantFrom("10 seconds", "1 minute"),
      idle: constantFrom("10 seconds", "1.5 minutes"),
      liveness: short,
      total: constantFrom("1 hour", "3 days"),
      peek: oneof(short, constant("0 millis")),
      onBreak: constantFrom("fail", "truncate"),
      maxKept: constantFrom(1_000, 100_000_000)
    }),
    some({
      onBreak: constant("resume"),
      otherwise: constantFrom("fail", "restart", "truncate"),
      background: boolean(),
      continuation: constantFrom("never", "allowed")
    }, "onBreak")
  ),
  totalTimeout: constantFrom("1 hour", "2 days", "1 week", "36500 days"),
  retry,
  retryBudget: budget,
  adaptiveRetry: some({
    name,
    mode: constantFrom("multiplier", "rate"),
    window: short,
    calls: integer({ min: 100, max: 100_000 }),
    minimumCalls: few,
    maxMultiplier: constantFrom(1, 1.5, 100),
    cap: short
  }),
  hedge: some({
    name,
    delay: oneof(
      short,
      constantFrom("0 seconds", "0 millis", "Infinity"),
      some({
        quantile: constantFrom(0.5, 0.95, 0.999),
        minimumSamples: constantFrom(100, 500),
        initial: oneof(short, constant("0 millis"))
      }, "quantile")
    ),
    maxHedges: integer({ min: 1, max: 10 }),
    budget: constantFrom("none", "shared")
  }, "delay"),
  circuitBreaker: some({
    name,
    tripping,
    openFor: oneof(
      short,
      constant({ backoff: "exponential", initial: "1 second", factor: 3, cap: "1 minute", jitter: "equal" })
    ),
    longestHint: short,
    probes: few,
    successesToClose: few,
    probeLimit: constantFrom("10 minutes", "1 hour"),
    mode: constantFrom("enforce", "observe")
  }),
  rateLimiter: oneof(
    some({ ...limiter, onExceeded: constant("delay"), maxWait: short }, "requestsPerMinute"),
    some({ ...limiter, onExceeded: constant("fail") }, "tokensPerMinute")
  ),
  concurrencyLimit: some({
    name,
    initial: integer({ min: 10, max: 20 }),
    floor: integer({ min: 1, max: 10 }),
    ceiling: integer({ min: 20, max: 1_000_000 }),
    strategy,
    ...waiting
  }, "maxQueued"),
  bulkhead: some(
    { name, maxConcurrent: integer({ min: 1, max: 1_000_000 }), ...waiting },
    "maxConcurrent",
    "maxQueued"
  ),
  attemptTimeout: constantFrom("1 minute", "90 seconds", "0.1 hours")
}

const wrong: ReadonlyArray<readonly [string, unknown]> = [
  ["no object", []],
  ["an unknown section", { breaker: {} }],
  ["a name of blanks", { name: " " }],
  ["a time-out as a number", { totalTimeout: 60 }],
  ["a time-out of nothing", { totalTimeout: "0 seconds" }],
  ["a time-out without a unit", { attemptTimeout: "10" }],
  ["a time-out in another unit", { attemptTimeout: "10 fortnights" }],
  ["a negative time-out", { attemptTimeout: "-1 seconds" }],
  ["an idle limit as a number", { stream: { idle: 500 } }],
  ["a break nobody knows", { stream: { onBreak: "retry" } }],
  ["a background that is a word", { stream: { onBreak: "resume", background: "yes" } }],
  ["too little kept", { stream: { maxKept: 999 } }],
  ["an unknown field of a stream", { stream: { firstToken: "1 second" } }],
  ["a retry without a backoff", { retry: { attempts: 3 } }],
  ["a backoff nobody knows", { retry: { backoff: "random", initial: "1 second" } }],
  ["one attempt in total", { retry: { backoff: "immediate", attempts: 1 } }],
  ["a delay as a number", { retry: { backoff: "constant", delay: 1_000 } }],
  ["an unknown field of a retry", { retry: { backoff: "immediate", retries: 3 } }],
  ["rules without errors", { retry: { byError: [{ on: [], backoff: "immediate" }] } }],
  ["a jitter nobody knows", { retry: { backoff: "immediate", jitter: "some" } }],
  ["a budget of two forms", { retryBudget: { share: {}, tokens: {} } }],
  ["a share above one", { retryBudget: { share: { ratio: 2 } } }],
  ["an unknown field of a budget", { retryBudget: { deposits: { seconds: 3 } } }],
  ["a mode nobody knows", { adaptiveRetry: { mode: "cubic" } }],
  ["a hedge without a delay", { hedge: { budget: "none" } }],
  ["a delay as a number of milliseconds", { hedge: { delay: 500, budget: "none" } }],
  ["too many hedges", { hedge: { delay: "1 second", maxHedges: 11, budget: "none" } }],
  ["a budget that is no word", { hedge: { delay: "1 second", budget: {} } }],
  ["no probes", { circuitBreaker: { probes: 0 } }],
  ["a window that says no unit", { circuitBreaker: { tripping: { when: "failureRate", window: "30" } } }],
  ["a window of no calls", { circuitBreaker: { tripping: { when: "failureRate", window: "0 calls" } } }],
  ["a share of nothing", { circuitBreaker: { tripping: { when: "failureRate", share: 0 } } }],
  ["a verdict", { circuitBreaker: { verdict: "Fail" } }],
  ["a limiter without limits", { rateLimiter: { burst: 1 } }],
  ["a rate of nothing", { rateLimiter: { requestsPerMinute: 0 } }],
  ["a strategy nobody knows", { concurrencyLimit: { strategy: { kind: "vegas" } } }],
  ["a field of the other strategy", { concurrencyLimit: { strategy: { kind: "aimd", tolerance: 1.5 } } }],
  ["a bulkhead of any size", { bulkhead: {} }],
  ["half a call", { bulkhead: { maxConcurrent: 0.5 } }],
  ["an unknown field of a bulkhead", { bulkhead: { maxConcurrent: 1, maxQueue: 5 } }],
  ["a section of null", { circuitBreaker: { name: null } }],
  ["the tag of a form", { retryBudget: { share: { _tag: "Share" } } }],
  ["a verdict in a limiter", { rateLimiter: { requestsPerMinute: 5, verdict: "Fail" } }],
  ["a delay of a delay", { retry: { backoff: "constant", delay: "1 second", initial: "1 second" } }],
  ["a node without what it stands round", { retry: { _tag: "Capped", cap: "1 second" } }],
  ["half a node", { retry: { _tag: "Union", left: { backoff: "never" } } }],
  ["a rule of two spellings", { retry: { byError: [{ on: ["A"], use: { backoff: "immediate" }, attempts: 3 }] } }],
  ["a rule about slow calls that does not say when they are", {
    circuitBreaker: { tripping: { when: "slowCallRate" } }
  }],
  ["a break as a number", { circuitBreaker: { openFor: 5_000 } }],
  ["a break whose backoff is none", { circuitBreaker: { openFor: { backoff: "quadratic", initial: "1 second" } } }],
  ["a break without its delay", { circuitBreaker: { openFor: { backoff: "constant" } } }],
  ["a break that ends after some attempts", {
    circuitBreaker: { openFor: { backoff: "constant", delay: "1 second", attempts: 2 } }
  }],
  ["a break with a misspelt field", { circuitBreaker: { openFor: { backoff: "linear", intial: "1 second" } } }]
]

describe("the JSON Schema of a policy file", () => {
  it("is a schema by the rules of JSON Schema 2020-12", () => {
    expect(PolicyConfig.jsonSchema["$schema"]).toBe("https://json-schema.org/draft/2020-12/schema")
    expect(ajv.validateSchema({ ...PolicyConfig.jsonSchema })).toBe(true)
  })

  it("takes the file with everything", () => {
    expect(complaints(everything)).toEqual([])
  })

  it("takes every file that the reader takes, and what is written back", () => {
    const seen = new Map<string, number>()
    let right = 0
    FastCheck.assert(
      FastCheck.property(some(sections), (file) => {
        const made = Effect.runSync(Effect.either(PolicyConfig.decode(file)))
        if (Either.isLeft(made)) return
        right += 1
        for (const section of Object.keys(file)) seen.set(section, (seen.get(section) ?? 0) + 1)
        expect(complaints(file)).toEqual([])
        const written = PolicyConfig.encode(made.right)
        expect(complaints(written)).toEqual([])
        expect(PolicyConfig.encode(Effect.runSync(PolicyConfig.decode(written)))).toEqual(written)
      }),
      { numRuns: runs(250, 1_000), seed: 3 }
    )
    expect(right).toBeGreaterThan(runs(50, 200))
    for (const section of Object.keys(sections)) expect(seen.get(section) ?? 0, section).toBeGreaterThan(runs(15, 60))
  })

  it("takes every single section that the reader takes, whatever its numbers", () => {
    let right = 0
    FastCheck.assert(
      FastCheck.property(files, (file) => {
        for (const [name, section] of Object.entries(file ?? {})) {
          const json: unknown = JSON.parse(JSON.stringify({ [name]: section }))
          if (!isRight(json)) continue
          right += 1
          expect(complaints(json), JSON.stringify(json)).toEqual([])
        }
      }),
      { numRuns: 300 }
    )
    expect(right).toBeGreaterThan(200)
  })

  it("goes through a policy of many levels once, also where every error is asked for", () => {
    const patient = new Ajv2020({ allErrors: true }).compile({ ...PolicyConfig.jsonSchema })
    const nested = (levels: number): unknown =>
      levels === 0
        ? { backoff: "immediate", attempts: 1 }
        : { _tag: "Capped", cap: "1 second", policy: nested(levels - 1) }
    expect(patient({ retry: nested(60) })).toBe(false)
    // Once for each shape at each level, these would be more than 10^15.
    expect(patient.errors?.length).toBeLessThan(10_000)
  })

  it.each(wrong)("refuses %s, as the reader does", (_, json) => {
    expect(isRight(json)).toBe(false)
    expect(complaints(json)).not.toEqual([])
  })

  it("says nothing of what the fields are together: that only the reader knows", () => {
    const file = { totalTimeout: "1 second", attemptTimeout: "2 seconds" }
    expect(complaints(file)).toEqual([])
    expect(isRight(file)).toBe(false)
  })
})
