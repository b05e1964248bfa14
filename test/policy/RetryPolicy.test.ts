import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { pipe } from "effect/Function"
import * as Hash from "effect/Hash"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import { isInvalidOptions } from "../../src/error/InvalidOptions.ts"
import * as ModelError from "../../src/error/ModelError.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"

const { attempts, byError, capped, constant, exponential, honourHints, immediate, jittered, never, within } =
  RetryPolicy

const transient = exponential({ initial: "500 millis", factor: 2 }).pipe(
  jittered("full"),
  capped("8 seconds"),
  attempts(4),
  within("1 minute"),
  honourHints({ max: "60 seconds" })
)

const inFile = {
  backoff: "exponential",
  initial: "500 millis",
  factor: 2,
  jitter: "full",
  cap: "8 seconds",
  attempts: 4,
  within: "1 minute",
  honourHints: "1 minute"
}

/** What a constructor that throws says: path, value found, what is allowed. */
const refusal = (build: () => unknown) => {
  const built = Either.try(build)
  if (Either.isLeft(built) && isInvalidOptions(built.left)) {
    return [built.left.module, ...built.left.issues.map(({ allowed, found, path }) => [path, found, allowed])]
  }
  return expect.fail(`no InvalidOptions: ${String(Either.merge(built))}`)
}

const wait = "a duration above zero, at most 36500 days, written like \"500 millis\" or \"8 seconds\""
const noWait = `${wait} (for no wait at all, use RetryPolicy.immediate)`
const whole =
  "a whole number from 2 to 100000: attempts in total, the first included (for no retry at all, use \"never\")"
const badDurations: ReadonlyArray<readonly [Duration.DurationInput, string]> = [
  [0, "0"],
  ["0 seconds", "\"0 seconds\""],
  [-5, "-5"],
  ["-5 seconds", "\"-5 seconds\""],
  [NaN, "NaN"],
  [Infinity, "Infinity"],
  [Duration.infinity, "Infinity"],
  [Duration.zero, "0"],
  ["36501 days", "\"36501 days\""]
]

describe("constructors refuse what cannot work, where it is written", () => {
  it.each(badDurations)("a wait of %s", (bad, found) => {
    expect(refusal(() => constant(bad))).toEqual(["RetryPolicy", ["delay", found, noWait]])
    const initial = ["RetryPolicy", ["initial", found, noWait]]
    expect(refusal(() => RetryPolicy.linear({ initial: bad }))).toEqual(initial)
    expect(refusal(() => exponential({ initial: bad }))).toEqual(initial)
    expect(refusal(() => RetryPolicy.fibonacci({ initial: bad }))).toEqual(initial)
    expect(refusal(() => RetryPolicy.linear({ initial: 1, increment: bad }))).toEqual([
      "RetryPolicy",
      ["increment", found, noWait]
    ])
  })

  it.each(badDurations)("a limit of %s", (bad, found) => {
    expect(refusal(() => capped(immediate, bad))).toEqual(["RetryPolicy", ["cap", found, wait]])
    expect(refusal(() => RetryPolicy.atLeast(immediate, bad))).toEqual(["RetryPolicy", ["atLeast", found, wait]])
    expect(refusal(() => within(immediate, bad))).toEqual(["RetryPolicy", ["within", found, wait]])
    expect(refusal(() => honourHints(immediate, { max: bad }))).toEqual(["RetryPolicy", [
      "honourHints.max",
      found,
      wait
    ]])
    expect(refusal(() => RetryPolicy.bounds(immediate, { attemptTimeout: bad }))).toEqual([
      "RetryPolicy",
      ["attemptTimeout", found, wait]
    ])
  })

  it.each([0, 1, -3, 1.5, NaN, Infinity, 100_001])("attempts of %s", (bad) => {
    expect(refusal(() => attempts(immediate, bad))).toEqual(["RetryPolicy", ["attempts", String(bad), whole]])
  })

  it.each([0, 0.99, -1, NaN, Infinity, 101])("a factor of %s", (factor) => {
    expect(refusal(() => exponential({ initial: 1, factor }))).toEqual([
      "RetryPolicy",
      ["factor", String(factor), "a number from 1 to 100"]
    ])
  })

  it.each([0, 2, -0.1, NaN])("a ratio of %s", (ratio) => {
    expect(refusal(() => jittered(immediate, { ratio }))).toEqual([
      "RetryPolicy",
      ["jitter.ratio", String(ratio), "a number above 0, at most 1"]
    ])
  })

  it("shares the wrong way round, or out of range", () => {
    expect(refusal(() => jittered(immediate, { min: 1, max: 0.5 }))).toEqual([
      "RetryPolicy",
      ["jitter", "{\"min\":1,\"max\":0.5}", "min not above max, and max above 0"]
    ])
    expect(refusal(() => jittered(immediate, { min: 0, max: 0 }))).toHaveLength(2)
    expect(refusal(() => jittered(immediate, { min: -1, max: 11 }))).toEqual([
      "RetryPolicy",
      ["jitter.min", "-1", "a number from 0 to 10"],
      ["jitter.max", "11", "a number from 0 to 10"]
    ])
  })

  it("no rules, a rule without tags, a tag in two rules", () => {
    expect(refusal(() => byError([]))).toEqual(["RetryPolicy", ["rules", "[]", "a list of rules that is not empty"]])
    expect(refusal(() => byError([{ on: ["A"], use: immediate }, { on: [], use: immediate }]))).toEqual([
      "RetryPolicy",
      ["rules.1.on", "[]", "a list of error tags that is not empty"]
    ])
    expect(refusal(() => byError([{ on: [""], use: immediate }]))).toEqual([
      "RetryPolicy",
      ["rules.0.on.0", "\"\"", "a text that is not empty"]
    ])
    expect(refusal(() => byError([{ on: ["A"], use: immediate }, { on: ["B", "A"], use: never }]))).toEqual([
      "RetryPolicy",
      ["rules", "\"A\"", "each tag in one rule only"]
    ])
  })

  it("a preview without an end, or with a draw that is none", () => {
    expect(refusal(() => RetryPolicy.preview(immediate, { limit: Infinity }))).toEqual([
      "RetryPolicy",
      ["limit", "Infinity", "a whole number from 1 to 100000"]
    ])
    expect(refusal(() => RetryPolicy.preview(immediate, { random: 2 }))).toEqual([
      "RetryPolicy",
      ["random", "2", "a number from 0 to 1"]
    ])
  })
})

describe("decode reads a policy file", () => {
  const issues = (json: unknown, options?: { readonly path: string }) => {
    const read = RetryPolicy.decode(json, options)
    return Either.isLeft(read) ? read.left.issues.map(({ found, path }) => [path, found]) : "a policy"
  }

  it("in the spelling for people", () => {
    expect(Either.getOrThrow(RetryPolicy.decode(inFile))).toEqual(transient)
    expect(RetryPolicy.encode(transient)).toEqual(inFile)
  })

  it("that ignores hints", () => {
    const ignoring = { backoff: "constant", delay: "1 second", attempts: 3, honourHints: "never" }
    const policy = constant("1 second").pipe(attempts(3), RetryPolicy.ignoreHints)
    expect(Either.getOrThrow(RetryPolicy.decode(ignoring))).toEqual(policy)
    expect(RetryPolicy.encode(policy)).toEqual(ignoring)
    expect(Either.getOrThrow(RetryPolicy.decode(RetryPolicy.encodeTree(policy)))).toEqual(policy)
    expect(issues({ ...ignoring, honourHints: "always" })).toEqual([["honourHints", "\"always\""]])
  })

  it("in the full tree", () => {
    expect(Either.getOrThrow(RetryPolicy.decode(RetryPolicy.encodeTree(transient)))).toEqual(transient)
  })

  it("or says everything that is wrong in one error, which a person can act on", () => {
    const read = RetryPolicy.decode({
      byError: [
        { on: ["RateLimited"], backoff: "constant", delay: 60, attempts: 1 },
        {
          on: ["Overloaded"],
          backoff: "exponential",
          initial: "500 millis",
          factor: 0,
          cap: "0 seconds",
          jiter: "full"
        }
      ],
      otherwise: "retry",
      within: "soon"
    })
    expect(Either.isLeft(read) && read.left.message).toBe(
      [
        "RetryPolicy: 7 invalid options",
        `  byError.0.delay (found 60); allowed: ${wait} (for no wait at all, use "immediate")`,
        `  byError.0.attempts (found 1); allowed: ${whole}`,
        "  byError.1.jiter (found \"full\"); allowed: no such field here; there are backoff, initial, factor, jitter, " +
        "atLeast, cap, attempts, within, honourHints, on",
        "  byError.1.factor (found 0); allowed: a number from 1 to 100",
        `  byError.1.cap (found "0 seconds"); allowed: ${wait}`,
        "  otherwise (found \"retry\"); allowed: \"fail\", or a policy: { \"backoff\": \"never\" | \"immediate\" | " +
        "\"constant\" | \"linear\" | \"exponential\" | \"fibonacci\", ... }, { \"byError\": [...] }, or a node of the " +
        "full tree with \"_tag\"",
        `  within (found "soon"); allowed: ${wait}`
      ].join("\n")
    )
  })

  it("with paths under the one it is told", () => {
    expect(issues({ ...inFile, attempts: 0 }, { path: "retry" })).toEqual([["retry.attempts", "0"]])
    expect(issues(5, { path: "retry" })).toEqual([["retry", "5"]])
    expect(issues({ backoff: "constant", delay: "2 seconds", within: "1 second" }, { path: "retry" })).toEqual([
      ["retry", "\"every 2s, within 1s of the first attempt\""]
    ])
  })

  it("refuses a policy that can never retry, unless it says so", () => {
    const read = RetryPolicy.decode({ backoff: "constant", delay: "10 seconds", within: "5 seconds" })
    expect(Either.isLeft(read) && read.left.issues[0]?.allowed).toBe(
      "a first wait that ends within the deadline: wait less, or allow more with \"within\""
    )
    expect(issues({ backoff: "never", attempts: 3 })).toEqual([["", "\"never retry, 3 attempts in total\""]])
    expect(issues({ backoff: "never" })).toBe("a policy")
  })

  it("does not report that a wrong policy can never retry besides", () => {
    expect(issues({ backoff: "constant", delay: "10 seconds", within: "5 seconds", attempts: 0 })).toEqual([
      ["attempts", "0"]
    ])
  })

  it("survives a bomb", () => {
    let bomb: unknown = { backoff: "immediate" }
    for (let i = 0; i < 10_000; i++) bomb = { _tag: "Union", left: bomb, right: { backoff: "immediate" } }
    expect(issues(bomb)).toHaveLength(2)
  })
})

describe("FromJson puts a policy into a Schema of your own", () => {
  const Config = Schema.Struct({ name: Schema.String, retry: RetryPolicy.FromJson })

  it("reads and writes", () => {
    const config = Schema.decodeUnknownSync(Config)({ name: "openai", retry: inFile })
    expect(config.retry).toEqual(transient)
    expect(Schema.encodeSync(Config)(config)).toEqual({ name: "openai", retry: inFile })
  })

  it("fails with the whole listing", () => {
    const read = Schema.decodeUnknownEither(Config)({ name: "openai", retry: { ...inFile, initial: 5, attempts: 0 } })
    const message = Either.isLeft(read) ? read.left.message : ""
    expect(message).toContain("[\"retry\"]")
    expect(message).toContain("RetryPolicy: 2 invalid options")
    expect(message).toContain("initial (found 5)")
    expect(message).toContain("attempts (found 0)")
  })

  it("its values are policies", () => {
    const is = Schema.is(Schema.typeSchema(RetryPolicy.FromJson))
    expect([transient, inFile, null].map((value) => is(value))).toEqual([true, false, false])
  })
})

describe("a policy is a value", () => {
  it("describes itself", () => {
    expect(RetryPolicy.describe(transient)).toBe(
      "exponential from 500ms ×2, full jitter, at most 8s, 4 attempts in total, within 1m of the first attempt, " +
        "honouring hints up to 1m"
    )
    expect(String(transient)).toBe(RetryPolicy.describe(transient))
    expect(inspect(transient)).toBe(`RetryPolicy(${String(transient)})`)
    expect(JSON.parse(JSON.stringify(transient))).toEqual(inFile)
  })

  it.each<readonly [RetryPolicy.RetryPolicy, string]>([
    [never, "never retry"],
    [immediate, "retry at once"],
    [constant("1 second"), "every 1s"],
    [RetryPolicy.linear({ initial: "1 second", increment: "250 millis" }), "linear from 1s by 250ms"],
    [RetryPolicy.fibonacci({ initial: "1 minute" }), "fibonacci from 1m"],
    [jittered(immediate, "none"), "retry at once, no jitter"],
    [jittered(immediate, { ratio: 0.2 }), "retry at once, jitter of ±20%"],
    [jittered(immediate, { ratio: 0.07 }), "retry at once, jitter of ±7%"],
    [jittered(immediate, { min: 0.75, max: 1 }), "retry at once, jitter from 75% to 100%"],
    [jittered(immediate, { min: 0.57, max: 1.1 }), "retry at once, jitter from 57% to 110%"],
    [RetryPolicy.atLeast(immediate, 5), "retry at once, at least 5ms"],
    [RetryPolicy.union(immediate, never), "either (retry at once) or (never retry), honouring hints up to 1m"],
    [RetryPolicy.intersect(immediate, never), "both (retry at once) and (never retry), honouring hints up to 1m"],
    [RetryPolicy.andThen(immediate, never), "first (retry at once) then (never retry), honouring hints up to 1m"],
    [
      byError([{ on: ["A", "B"], use: immediate }], { otherwise: never, growth: "call" }),
      "by error (delays grow with all failures of the call): A, B → (retry at once); otherwise (never retry), " +
      "honouring hints up to 1m"
    ],
    [attempts(immediate, 3), "retry at once, 3 attempts in total, honouring hints up to 1m"],
    [attempts(RetryPolicy.ignoreHints(immediate), 3), "retry at once, ignoring hints, 3 attempts in total"],
    [
      RetryPolicy.union(attempts(immediate, 3), honourHints(immediate, { max: "5 minutes" })),
      "either (retry at once, 3 attempts in total) or (retry at once, honouring hints up to 5m), " +
      "honouring hints up to 1m where nothing else is said"
    ]
  ])("%#: %s", (policy, words) => {
    expect(String(policy)).toBe(words)
  })

  it("is equal to one built alike, and hashes alike", () => {
    const again = exponential({ initial: Duration.millis(500) }).pipe(
      jittered("full"),
      capped(8000),
      attempts(4),
      within("60 seconds"),
      honourHints()
    )
    expect(Equal.equals(transient, again)).toBe(true)
    expect(Hash.hash(transient)).toBe(Hash.hash(again))
    expect(Equal.equals(transient, attempts(transient, 3))).toBe(false)
    expect(Equal.equals(transient, "exponential")).toBe(false)
  })

  it("is known by its guard", () => {
    expect([transient, never, {}, null, "never"].map(RetryPolicy.isRetryPolicy)).toEqual([
      true,
      true,
      false,
      false,
      false
    ])
  })

  it("is built data-first or data-last alike", () => {
    const first = [
      jittered(immediate, "full"),
      capped(immediate, 5),
      RetryPolicy.atLeast(immediate, 5),
      attempts(immediate, 5),
      within(immediate, 5),
      honourHints(immediate),
      honourHints(immediate, { max: 5 }),
      RetryPolicy.union(immediate, never),
      RetryPolicy.intersect(immediate, never),
      RetryPolicy.andThen(immediate, never)
    ]
    const last = [
      immediate.pipe(jittered("full")),
      immediate.pipe(capped(5)),
      immediate.pipe(RetryPolicy.atLeast(5)),
      immediate.pipe(attempts(5)),
      pipe(immediate, within(5)),
      pipe(immediate, honourHints()),
      pipe(immediate, honourHints({ max: 5 })),
      pipe(immediate, RetryPolicy.union(never)),
      pipe(immediate, RetryPolicy.intersect(never)),
      pipe(immediate, RetryPolicy.andThen(never))
    ]
    expect(last).toEqual(first)
    expect(String(last[9])).toBe("first (retry at once) then (never retry), honouring hints up to 1m")
  })
})

describe("preview lists what would be waited", () => {
  const rows = (policy: RetryPolicy.RetryPolicy, options?: Parameters<typeof RetryPolicy.preview>[1]) =>
    RetryPolicy.preview(policy, options).map(({ attempt, delay, elapsed }) => [
      attempt,
      Duration.toMillis(delay),
      Duration.toMillis(elapsed)
    ])

  it("attempt, delay, elapsed", () => {
    expect(rows(transient, { random: 1 })).toEqual([[2, 500, 500], [3, 1000, 1500], [4, 2000, 3500]])
    expect(rows(transient)).toEqual([[2, 250, 250], [3, 500, 750], [4, 1000, 1750]])
  })

  it("with the time that attempts take", () => {
    expect(rows(transient, { random: 1, attemptTakes: "10 seconds" })).toEqual([
      [2, 500, 10_500],
      [3, 1000, 21_500],
      [4, 2000, 33_500]
    ])
    expect(rows(transient, { random: 1, attemptTakes: "30 seconds" })).toEqual([[2, 500, 30_500]])
  })

  it("for an error of your choice", () => {
    const error = new ModelError.RateLimited({ provider: "openai", retryAfter: Duration.seconds(7) })
    expect(rows(transient, { error })).toEqual([[2, 7000, 7000], [3, 7000, 14_000], [4, 7000, 21_000]])
    expect(rows(transient, { error: new ModelError.Authentication({ provider: "openai" }) })).toEqual([])
  })

  it("as many rows as asked for", () => {
    expect(rows(immediate)).toHaveLength(20)
    expect(rows(immediate, { limit: 3 })).toEqual([[2, 0, 0], [3, 0, 0], [4, 0, 0]])
  })
})

describe("standard is what to use unless you know better", () => {
  it("has the numbers of defaults", () => {
    expect(RetryPolicy.defaults.attempts).toBe(3)
    expect(Duration.toMillis(RetryPolicy.defaults.initial)).toBe(500)
    expect(Duration.toMillis(RetryPolicy.defaults.throttledInitial)).toBe(1000)
    expect(RetryPolicy.defaults.factor).toBe(2)
    expect(Duration.toMillis(RetryPolicy.defaults.cap)).toBe(8000)
    expect(Duration.toMillis(RetryPolicy.defaults.longestHint)).toBe(60_000)
    expect(String(RetryPolicy.standard)).toBe(
      "by error: RateLimited, RateLimitExceeded → (exponential from 1s ×2, equal jitter, at most 8s); " +
        "otherwise (exponential from 500ms ×2, full jitter, at most 8s), 3 attempts in total, honouring hints up to 1m"
    )
  })

  it("waits half a second and more after a failure, and longer when throttled", () => {
    const waits = (error: unknown, random: number) =>
      RetryPolicy.preview(RetryPolicy.standard, { error, random }).map(({ delay }) => Duration.toMillis(delay))
    const server = new ModelError.ServerError({ provider: "p", status: 500 })
    const limited = new ModelError.RateLimited({ provider: "p" })
    expect(waits(server, 0)).toEqual([0, 0])
    expect(waits(server, 1)).toEqual([500, 1000])
    expect(waits(limited, 0)).toEqual([500, 1000])
    expect(waits(limited, 1)).toEqual([1000, 2000])
  })

  it("honours a hint of a minute and gives up at once on a longer one", () => {
    const waits = (retryAfter: Duration.DurationInput) =>
      RetryPolicy.preview(RetryPolicy.standard, {
        error: new ModelError.RateLimited({ provider: "p", retryAfter: Duration.decode(retryAfter) })
      }).map(({ delay }) => Duration.toMillis(delay))
    expect(waits("1 minute")).toEqual([60_000, 60_000])
    expect(waits("61 seconds")).toEqual([])
    expect(waits("365 days")).toEqual([])
  })

  it("states its worst case", () => {
    const bounds = RetryPolicy.bounds(RetryPolicy.standard, { attemptTimeout: "30 seconds" })
    expect([bounds.attempts, Duration.toSeconds(bounds.wait), Duration.toSeconds(bounds.duration)]).toEqual([
      3,
      120,
      210
    ])
    expect(RetryPolicy.canRetry(RetryPolicy.standard)).toBe(true)
  })
})
