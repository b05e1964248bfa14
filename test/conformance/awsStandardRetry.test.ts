/**
 * The standard retry mode of the AWS SDKs as a policy of ours: shared/fixtures/resilience/aws-standard-retry.json.
 *
 * | group              | rows | apply | what does not, and why                                                          |
 * |--------------------|------|-------|---------------------------------------------------------------------------------|
 * | specCases_v2_1     | 8    | 5     | 3 end by the retry quota: a matter of RetryBudget, not of RetryPolicy            |
 * | timings_v2_1       | 16   | 14    | row 0 of each table is the token before the first failure: nothing is waited     |
 * | timings_legacy_js  | 32   | 28    | the same                                                                        |
 * | backoffRange       | 20   | 20    |                                                                                 |
 * | dynamodb_v2_1      | 4    | 4     |                                                                                 |
 * | retryAfterClamp    | 5    | 4     | 10 000: AWS waits at most 5 s longer than its backoff; we never come back too early |
 * | quota              | 5    | 0     | RetryBudget                                                                     |
 * | releaseRules       | 5    | 0     | RetryBudget                                                                     |
 * | endToEndTotalDelay | 5    | 5     |                                                                                 |
 * | classification     | 6    | 2     | statuses apply; error codes of AWS and of Node are judged by whoever makes the error |
 *
 * Quota columns are left out everywhere. Mixed tables need `growth: "call"`: AWS has one count of retries for all kinds
 * of error, and a base for each.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Verdict from "../../src/error/Verdict.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as ProviderError from "../../src/provider/ProviderError.ts"

const file = join(process.env["FIXTURES"] ?? "../shared/fixtures", "resilience", "aws-standard-retry.json")
if (!existsSync(file)) console.log(`skipped: ${file} is absent (set FIXTURES)`)

const Response = Schema.Struct({
  status: Schema.Number,
  errorCode: Schema.optional(Schema.String),
  expect: Schema.Struct({ outcome: Schema.String, delaySeconds: Schema.optional(Schema.Number) })
})
const SpecCase = Schema.Struct({
  name: Schema.String,
  given: Schema.Struct({ maxAttempts: Schema.optional(Schema.Number) }),
  responses: Schema.Array(Response)
})
const Timing = Schema.Tuple(Schema.String, Schema.Number, Schema.NullOr(Schema.Number), Schema.Number)
const Timings = Schema.Record({ key: Schema.String, value: Schema.Array(Timing) })
const Clamp = Schema.Struct({ header: Schema.String, delaySeconds: Schema.Number })
const EndToEnd = Schema.Struct({
  responses: Schema.Array(Schema.Union(Schema.Number, Schema.String)),
  attempts: Schema.Number,
  totalDelay: Schema.Number
})
const Dynamo = Schema.Struct({ attempt: Schema.Number, delay: Schema.optional(Schema.Number) })

/** The keys of the fixture carry remarks behind the name. */
const group = <A, I>(name: string, schema: Schema.Schema<A, I>): A => {
  const all: Record<string, unknown> = JSON.parse(readFileSync(file, "utf8"))
  const key = Object.keys(all).find((each) => each === name || each.startsWith(`${name} (`))
  return Schema.decodeUnknownSync(schema)(key === undefined ? undefined : all[key])
}

const { attempts, byError, capped, exponential, honourHints, jittered } = RetryPolicy

/** `rand * min(base * 2^i, 20 s)`, one i for all kinds of error, each kind with its base. */
const standard = (transient: number, throttling: number, max: number) =>
  byError([
    { on: ["Throttling"], use: exponential({ initial: throttling }) },
    { on: ["Transient"], use: exponential({ initial: transient }) }
  ], { otherwise: "fail", growth: "call" }).pipe(
    capped("20 seconds"),
    jittered("full"),
    attempts(max),
    honourHints({ max: "1 minute" })
  )

const v2 = (max = 3) => standard(50, 1000, max)
const legacy = (max = 3) => standard(100, 500, max)

interface Failed {
  readonly tag: string
  readonly hint?: number
}

/** What a policy says to failures in a row, its jitter at the top: waits in milliseconds, or why it stops. */
const answers = (policy: RetryPolicy.RetryPolicy, failures: ReadonlyArray<Failed>) => {
  let state = RetryPolicy.start(policy, 0)
  return failures.map(({ hint, tag }) => {
    const [next, decision] = RetryPolicy.step(state, { tag, retryable: true, forbidden: false, hint }, 0, 1)
    state = next
    return decision._tag === "Wait" ? decision.delay : decision.reason
  })
}

const repeat = (tag: string, times: number): ReadonlyArray<Failed> => Array.from({ length: times }, () => ({ tag }))

const tagOf = (status: number, code?: string): string =>
  status === 429 || code === "Throttling" ? "Throttling" : status >= 500 ? "Transient" : "Other"

const hintOf = (header: string): { readonly hint?: number } => /^\d+$/.test(header) ? { hint: Number(header) } : {}

const byQuota: Readonly<Record<string, string>> = {
  "Retry quota reached after a single retry": "ends by the quota",
  "No retries at all if quota is 0": "ends by the quota",
  "Retry stops after quota exhaustion": "ends by the quota"
}

describe.skipIf(!existsSync(file))("aws-standard-retry.json", () => {
  it("lists what does not apply", () => {
    const lines = [
      ...Object.entries(byQuota).map(([name, why]) => `${name} (${why}: RetryBudget)`),
      "row 0 of each timing table (a token before the first failure, nothing is waited)",
      "retryAfterClamp 10000 (AWS waits at most 5 s longer than its backoff; we never come back too early)",
      "quota, releaseRules (RetryBudget)",
      "classification by error code of AWS and of Node (judged by whoever makes the error)"
    ]
    console.log(["aws-standard-retry.json does not apply:", ...lines].join("\n  "))
    const names = group("specCases_v2_1", Schema.Array(SpecCase)).map(({ name }) => name)
    expect(Object.keys(byQuota).filter((name) => !names.includes(name))).toEqual([])
  })

  it("the cases of the specification", () => {
    for (const { given, name, responses } of group("specCases_v2_1", Schema.Array(SpecCase))) {
      if (name in byQuota) continue
      let failures: ReadonlyArray<Failed> = []
      for (const { errorCode, expect: expected, status } of responses) {
        // A success ends the call; what follows is another call.
        if (expected.outcome === "success") {
          failures = []
          continue
        }
        failures = [...failures, { tag: tagOf(status, errorCode) }]
        const answer = answers(v2(given.maxAttempts), failures).at(-1)
        const delay = expected.delaySeconds === undefined ? "Attempts" : expected.delaySeconds * 1000
        expect([name, answer]).toEqual([name, expected.outcome === "max_attempts_exceeded" ? "Attempts" : delay])
      }
    }
  })

  it.each(
    [
      ["timings_v2_1", "8x transient mixed", v2(100)],
      ["timings_v2_1", "8x throttling mixed", v2(100)],
      ["timings_legacy_js", "8x transient mixed", legacy(100)],
      ["timings_legacy_js", "8x throttling mixed", legacy(100)],
      ["timings_legacy_js", "8x transient", legacy(100)],
      ["timings_legacy_js", "8x throttling", legacy(100)]
    ] as const
  )("%s: %s", (name, table, policy) => {
    const rows = group(name, Timings)[table]?.slice(1) ?? []
    const failures = rows.map(([kind]) => ({ tag: kind === "THROTTLING" ? "Throttling" : "Transient" }))
    expect(rows).toHaveLength(7)
    expect(answers(policy, failures)).toEqual(rows.map(([, , , delay]) => delay))
  })

  it("has no other timing tables", () => {
    expect(Object.keys(group("timings_v2_1", Timings))).toHaveLength(2)
    expect(Object.keys(group("timings_legacy_js", Timings))).toHaveLength(4)
  })

  it.each(
    [["backoffRange_v2_1_seconds", 50], ["backoffRange_legacy_python_seconds", 1000]] as const
  )("%s", (name, base) => {
    const expected = group(name, Schema.Array(Schema.Number)).map((seconds) => seconds * 1000)
    expect(answers(standard(base, base, 100), repeat("Transient", expected.length))).toEqual(expected)
  })

  it("DynamoDB: 25 ms and four attempts", () => {
    const expected = group("dynamodb_v2_1", Schema.Array(Dynamo)).map(({ delay }) =>
      delay === undefined ? "Attempts" : delay * 1000
    )
    expect(answers(standard(25, 25, 4), repeat("Transient", expected.length))).toEqual(expected)
  })

  it("a retry-after is honoured; one that makes no sense is none", () => {
    for (const { delaySeconds, header } of group("retryAfterClamp_v2_1", Schema.Array(Clamp))) {
      const [answer] = answers(v2(), [{ tag: "Transient", ...hintOf(header) }])
      expect([header, answer]).toEqual([header, header === "10000" ? 10_000 : delaySeconds * 1000])
    }
  })

  it("the total delay of a call, end to end", () => {
    for (const { attempts, responses, totalDelay } of group("endToEndTotalDelayMs", Schema.Array(EndToEnd))) {
      const failures = responses.flatMap((response) => {
        const [status = "", header = ""] = String(response).split(" x-amz-retry-after:")
        return status === "200" ? [] : [{ tag: tagOf(Number(status)), ...hintOf(header) }]
      })
      const waits = answers(v2(), failures).filter((answer) => typeof answer === "number")
      expect(waits.reduce((sum, wait) => sum + wait, 0)).toBe(totalDelay)
      expect(waits.length + 1).toBe(attempts)
    }
  })

  it("statuses are judged alike: transient ones and throttling are retried", () => {
    const { throttlingStatus, transientStatus } = group(
      "classification",
      Schema.Struct({ transientStatus: Schema.Array(Schema.Number), throttlingStatus: Schema.Array(Schema.Number) })
    )
    const judge = (status: number) => {
      const error = ProviderError.fromResponse({ provider: "openai", status, headers: {}, body: "" })
      return { action: Verdict.of(error).action, retries: RetryPolicy.preview(RetryPolicy.standard, { error }).length }
    }
    for (const status of transientStatus) {
      expect([status, judge(status)]).toEqual([status, { action: "Retry", retries: 2 }])
    }
    for (const status of throttlingStatus) {
      expect([status, judge(status)]).toEqual([status, { action: "Retry", retries: 2 }])
      const error = ProviderError.fromResponse({ provider: "openai", status, headers: {}, body: "" })
      expect([status, Verdict.of(error).throttled]).toEqual([status, true])
    }
  })
})
