import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as Kernel from "../../src/policy/retryBudget/kernel.ts"

const fixtures = process.env["FIXTURES"] ?? "../shared/fixtures"
const budgetFile = join(fixtures, "resilience", "retry-budget.json")
const awsFile = join(fixtures, "resilience", "aws-standard-retry.json")
const present = existsSync(budgetFile) && existsSync(awsFile)

const read = <A, I>(file: string, schema: Schema.Schema<A, I>): A =>
  Schema.decodeUnknownSync(schema)(JSON.parse(readFileSync(file, "utf8")))

const Optional = Schema.optional(Schema.Number)

const DepositRow = Schema.Struct({
  ttl: Optional,
  minPerSec: Schema.Number,
  percent: Schema.Number,
  requests: Optional,
  oneWithdrawAttemptPerRequest: Schema.optional(Schema.Boolean),
  expectRetries: Optional,
  tolerance: Optional,
  initialBalance: Optional,
  expectBalance: Optional,
  expect: Schema.optional(Schema.String)
})

const ShareRow = Schema.Struct({
  inflightTotal: Schema.Number,
  inflightRetries: Schema.Number,
  allowed: Schema.Boolean
})

const Budgets = Schema.Struct({
  finagle: Schema.Struct({
    defaults: Schema.Struct({
      ttlSeconds: Schema.Number,
      minRetriesPerSec: Schema.Number,
      percentCanRetry: Schema.Number
    }),
    cases: Schema.Array(DepositRow)
  }),
  "envoy/failsafe-go (concurrency form)": Schema.Struct({
    defaults: Schema.Struct({ budgetPercent: Schema.Number, minRetryConcurrency: Schema.Number }),
    cases: Schema.Array(ShareRow)
  })
})

const Constants = Schema.Struct({
  bucketCapacity: Schema.Number,
  retryCost: Schema.Number,
  throttlingRetryCost: Optional,
  timeoutRetryCost: Optional,
  noRetryIncrement: Schema.Number
})

const Timing = Schema.Array(Schema.Tuple(Schema.String, Schema.Number, Schema.NullOr(Schema.Number), Schema.Number))

const Aws = Schema.Struct({
  constants: Schema.Struct({ legacy: Constants, v2_1_2026: Constants }),
  "specCases_v2_1 (jitter=1)": Schema.Array(Schema.Struct({
    name: Schema.String,
    given: Schema.Struct({ maxAttempts: Optional, initialTokens: Optional }),
    responses: Schema.Array(Schema.Struct({
      status: Schema.Number,
      errorCode: Schema.optional(Schema.String),
      expect: Schema.Struct({ outcome: Schema.String, retryQuota: Schema.Number })
    }))
  })),
  "timings_v2_1 (jitter=1; columns errorType,retryCount,cost,delayMs; one strategy instance, capacity 500 minus sum of costs at end)":
    Schema.Record({ key: Schema.String, value: Timing }),
  "timings_legacy_js (jitter=1)": Schema.Record({ key: Schema.String, value: Timing }),
  dynamodb_v2_1: Schema.Array(Schema.Struct({
    attempt: Schema.Number,
    quotaAfter: Schema.Number,
    retryable: Schema.optional(Schema.Boolean)
  })),
  quota: Schema.Array(Schema.Struct({
    capacity: Schema.Number,
    ops: Schema.Array(Schema.Tuple(Schema.String, Schema.Number, Schema.NullOr(Schema.Boolean), Schema.Number))
  })),
  releaseRules: Schema.Array(Schema.Struct({
    name: Schema.String,
    cost: Optional,
    before: Optional,
    after: Schema.Number,
    afterSuccess: Optional,
    afterFailure: Optional
  })),
  "retryAfterClamp_v2_1 (status 500, attempt 1, jitter=1, header x-amz-retry-after in ms)": Schema.Array(Schema.Struct({
    quotaAfterFailure: Schema.Number,
    quotaAfterSuccess: Schema.Number
  }))
})

const retry: Kernel.Grant = { kind: "retry", cost: 0 }

const tokensOf = (constants: typeof Constants.Type, initial = constants.bucketCapacity): Kernel.Tokens =>
  RetryBudget.tokens({
    capacity: constants.bucketCapacity,
    initial,
    cost: constants.retryCost,
    throttlingCost: constants.throttlingRetryCost ?? constants.retryCost,
    timeoutCost: constants.timeoutRetryCost ?? constants.retryCost,
    reward: constants.noRetryIncrement
  })

describe.skipIf(!present)("RetryBudget and Finagle's cases (retry-budget.json, finagle)", () => {
  const { finagle } = present ? read(budgetFile, Budgets) : { finagle: { defaults: undefined, cases: [] } }

  it("has the same defaults", () => {
    expect(RetryBudget.defaults.deposits).toEqual({
      ttl: `${finagle.defaults?.ttlSeconds} seconds`,
      minimumPerSecond: finagle.defaults?.minRetriesPerSec,
      ratio: finagle.defaults?.percentCanRetry
    })
  })

  for (const row of finagle.cases) {
    it(JSON.stringify(row), () => {
      const form: Kernel.Deposits = {
        _tag: "Deposits",
        ttl: (row.ttl ?? 10) * 1000,
        minimumPerSecond: row.minPerSec,
        ratio: row.percent
      }
      let state = Kernel.start(form)
      if (row.initialBalance !== undefined) expect(Kernel.available(form, state, 0)).toBe(row.initialBalance)
      let retries = 0
      for (let i = 0; i < (row.requests ?? 1_000); i++) {
        state = Kernel.begin(form, state, 0)
        const next = row.expectBalance === undefined ? Kernel.take(form, state, retry, 0) : undefined
        if (next !== undefined) {
          state = next
          retries += 1
        }
      }
      if (row.expectBalance !== undefined) {
        return expect(Kernel.available(form, state, 0)).toBe(row.expectBalance)
      }
      expect(Math.abs(retries - (row.expectRetries ?? 0))).toBeLessThanOrEqual(row.tolerance ?? 0)
    })
  }
})

describe.skipIf(!present)("RetryBudget and the share of calls in flight (retry-budget.json, envoy)", () => {
  const rows = present ? read(budgetFile, Budgets)["envoy/failsafe-go (concurrency form)"] : undefined

  it("has the same defaults", () => {
    expect(RetryBudget.defaults.share).toEqual({
      ratio: (rows?.defaults.budgetPercent ?? NaN) / 100,
      minimum: rows?.defaults.minRetryConcurrency
    })
  })

  for (const row of rows?.cases ?? []) {
    it(JSON.stringify(row), () => {
      const form: Kernel.Share = { _tag: "Share", ...RetryBudget.defaults.share }
      expect(Kernel.allowsShare(form, row.inflightTotal, row.inflightRetries)).toBe(row.allowed)
    })
  }
})

describe.skipIf(!present)("RetryBudget and the AWS retry quota (aws-standard-retry.json)", () => {
  const aws = present ? read(awsFile, Aws) : undefined
  const v2 = aws?.constants.v2_1_2026 ?? { bucketCapacity: 1, retryCost: 1, noRetryIncrement: 1 }
  const legacy = aws?.constants.legacy ?? v2

  it("has the same defaults as the version of 2026", () => {
    expect(RetryBudget.tokens()).toEqual(tokensOf(v2))
  })

  for (const each of aws?.["specCases_v2_1 (jitter=1)"] ?? []) {
    it(`specCases: ${each.name}`, () => {
      const form = tokensOf(v2, each.given.initialTokens)
      let state = Kernel.begin(form, Kernel.start(form), 0)
      let grant: Kernel.Grant | undefined
      let failures = 0
      for (const reply of each.responses) {
        if (reply.status === 200) {
          if (grant !== undefined) state = Kernel.settle(form, state, grant, true)
          state = Kernel.end(form, state, grant === undefined)
          state = Kernel.begin(form, state, 0)
          ;[grant, failures] = [undefined, 0]
        } else {
          failures += 1
          if (grant !== undefined) state = Kernel.settle(form, state, grant, false)
          const throttled = reply.errorCode === "Throttling"
          const wanted: Kernel.Grant = {
            kind: "retry",
            cost: Kernel.costOf(form, "retry", { throttled, timedOut: false })
          }
          const next = failures < (each.given.maxAttempts ?? 3) ? Kernel.take(form, state, wanted, 0) : undefined
          grant = next === undefined ? undefined : wanted
          state = next ?? state
          const outcome = next !== undefined
            ? "retry_request"
            : failures < (each.given.maxAttempts ?? 3)
            ? "retry_quota_exceeded"
            : "max_attempts_exceeded"
          expect(outcome).toBe(reply.expect.outcome)
        }
        expect(state.level).toBe(reply.expect.retryQuota)
      }
    })
  }

  const timings = [
    ...Object.entries(
      aws?.[
        "timings_v2_1 (jitter=1; columns errorType,retryCount,cost,delayMs; one strategy instance, capacity 500 minus sum of costs at end)"
      ] ?? {}
    ).map(([name, rows]) => ({ name: `2026, ${name}`, rows, form: tokensOf(v2) })),
    // In the legacy columns a failure called TRANSIENT is a time-out: that is the one that costs 10.
    ...Object.entries(aws?.["timings_legacy_js (jitter=1)"] ?? {})
      .map(([name, rows]) => ({ name: `legacy, ${name}`, rows, form: tokensOf(legacy) }))
  ]
  for (const { form, name, rows } of timings) {
    it(`timings (costs): ${name}`, () => {
      for (const [kind, , cost] of rows) {
        const failure = { throttled: kind === "THROTTLING", timedOut: kind === "TRANSIENT" }
        if (cost !== null) expect(Kernel.costOf(form, "retry", failure)).toBe(cost)
      }
    })
  }

  it("dynamodb: the quota after each attempt", () => {
    const form = tokensOf(v2)
    const grant: Kernel.Grant = { kind: "retry", cost: v2.retryCost }
    let state = Kernel.start(form)
    for (const row of aws?.dynamodb_v2_1 ?? []) {
      if (row.retryable !== false) state = Kernel.take(form, state, grant, 0) ?? state
      expect(state.level).toBe(row.quotaAfter)
    }
  })

  for (const [i, row] of (aws?.quota ?? []).entries()) {
    it(`quota ${i}: ${JSON.stringify(row.ops)}`, () => {
      const form = tokensOf({ ...v2, bucketCapacity: row.capacity })
      let state = Kernel.start(form)
      for (const [what, amount, ok, level] of row.ops) {
        const grant: Kernel.Grant = { kind: "retry", cost: amount }
        const next = what === "acquire" ? Kernel.take(form, state, grant, 0) : Kernel.settle(form, state, grant, true)
        if (ok !== null) expect(next !== undefined).toBe(ok)
        state = next ?? state
        expect(state.level).toBe(level)
      }
    })
  }

  for (const row of aws?.releaseRules ?? []) {
    it(`release: ${row.name}`, () => {
      const form = tokensOf(v2, row.before ?? v2.bucketCapacity)
      const begun = Kernel.begin(form, Kernel.start(form), 0)
      if (row.before !== undefined) {
        return expect(Kernel.end(form, begun, row.name.startsWith("success")).level).toBe(row.after)
      }
      const grant: Kernel.Grant = { kind: "retry", cost: row.cost ?? v2.retryCost }
      const taken = Kernel.take(form, begun, grant, 0) ?? begun
      expect(taken.level).toBe(row.after)
      const succeeded = row.afterSuccess !== undefined
      expect(Kernel.end(form, Kernel.settle(form, taken, grant, succeeded), false).level)
        .toBe(row.afterSuccess ?? row.afterFailure)
    })
  }

  it("retry-after does not change the quota", () => {
    const form = tokensOf(v2)
    const grant: Kernel.Grant = { kind: "retry", cost: v2.retryCost }
    const rows = aws?.["retryAfterClamp_v2_1 (status 500, attempt 1, jitter=1, header x-amz-retry-after in ms)"] ?? []
    for (const row of rows) {
      const taken = Kernel.take(form, Kernel.start(form), grant, 0) ?? Kernel.start(form)
      expect(taken.level).toBe(row.quotaAfterFailure)
      expect(Kernel.settle(form, taken, grant, true).level).toBe(row.quotaAfterSuccess)
    }
  })

  it("tells which rows are not for the budget", () => {
    console.log(
      "aws-standard-retry.json: the delays, backoff ranges, end-to-end times and the classification are RetryPolicy's " +
        "and the errors' own; the storm invariant of retry-budget.json is in test/laws/RetryBudget.test.ts"
    )
  })
})

if (!present) console.log(`skipped: ${budgetFile} or ${awsFile} is absent (set FIXTURES)`)
