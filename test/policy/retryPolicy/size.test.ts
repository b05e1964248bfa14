/** Policies of many rules, many parts and many levels: whatever can be built can be written, read, printed and run. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { isInvalidOptions } from "../../../src/error/InvalidOptions.ts"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"
import { maxDepth } from "../../../src/policy/shared/retryTree.ts"
import { runs } from "../../runs.ts"

const { attempts, byError, capped, constant, immediate, union, within } = RetryPolicy

const same = (policy: RetryPolicy.RetryPolicy): void => {
  for (const written of [RetryPolicy.encode(policy), RetryPolicy.encodeTree(policy)]) {
    const read = Either.getOrThrow(RetryPolicy.decode(JSON.parse(JSON.stringify(written))))
    // Not by `toEqual`, which would go through all of it once more for its message.
    expect(Equal.equals(read, policy)).toBe(true)
  }
}

/** `levels` policies in one another: a modifier for each but the innermost. */
const nested = (levels: number): RetryPolicy.RetryPolicy => {
  let policy: RetryPolicy.RetryPolicy = constant("1 second")
  for (let level = 1; level < levels; level++) policy = capped(policy, level)
  return policy
}

describe("levels", () => {
  it("a policy of the most levels there may be is written and read", () => {
    same(nested(maxDepth))
    expect(RetryPolicy.bounds(attempts(nested(maxDepth - 1), 2)).attempts).toBe(2)
  })

  it("one more is refused where it is built", () => {
    const built = Either.try(() => nested(maxDepth + 1))
    expect(Either.isLeft(built) && isInvalidOptions(built.left) && built.left.issues).toEqual([{
      path: "",
      found: `${maxDepth + 1} levels`,
      allowed: `at most ${maxDepth} levels of policies in one another`
    }])
  })

  it("and in a file, where the spelling for people puts several into one object", () => {
    const flat = (levels: number): unknown =>
      levels === 1
        ? { backoff: "immediate" }
        : {
          byError: [{ on: ["A"], use: flat(levels - 1) }],
          jitter: "full",
          atLeast: "1 milli",
          cap: "1 second",
          attempts: 5,
          within: "1 minute",
          honourHints: "1 minute"
        }
    same(Either.getOrThrow(RetryPolicy.decode(flat(65))))
    const deep = RetryPolicy.decode(flat(100))
    expect(Either.isLeft(deep) && deep.left.issues.map(({ allowed }) => allowed)).toEqual([
      `at most ${maxDepth} levels of policies in one another`
    ])
  })

  it("a policy nested without end is refused without being gone through", () => {
    const bomb: Record<string, unknown> = { _tag: "Capped", cap: "1 second" }
    bomb["policy"] = bomb
    const read = RetryPolicy.decode(bomb)
    expect(Either.isLeft(read) && read.left.issues).toHaveLength(1)
  })
})

// The time is for a slow machine: each of these is one pass over the rules.
describe("a great many rules", { timeout: 120_000 }, () => {
  const count = runs(40_000, 200_000)
  const rules = (use: (i: number) => RetryPolicy.RetryPolicy) =>
    byError(Array.from({ length: count }, (_, i) => ({ on: [`E${i}`], use: use(i) })))
  const policy = rules((i) => attempts(constant(1 + i % 7), 3))
  const failure = { tag: `E${count - 1}`, retryable: true, forbidden: false }

  it("are written, read, compared and printed", () => {
    same(policy)
    expect(Hash.hash(policy)).toBe(Hash.hash(policy))
    expect(String(policy).length).toBeGreaterThan(count)
  })

  it("are run", () => {
    const [state, first] = RetryPolicy.step(RetryPolicy.start(policy, 0), failure, 0, 0.5)
    const [, second] = RetryPolicy.step(state, failure, 0, 0.5)
    expect([first, second]).toEqual([
      { _tag: "Wait", delay: 1 + (count - 1) % 7 },
      { _tag: "Wait", delay: 1 + (count - 1) % 7 }
    ])
    expect(RetryPolicy.preview(policy, { error: { _tag: failure.tag } })).toHaveLength(2)
    const waited = Schedule.run(RetryPolicy.toSchedule(policy), 0, [{ _tag: "E0" }]).pipe(
      Effect.withRandom(Random.fixed([0.5])),
      Effect.runSync
    )
    expect([...waited].map(Duration.toMillis)).toEqual([1])
  })

  it("are bounded", () => {
    expect(RetryPolicy.canRetry(policy)).toBe(true)
    expect(RetryPolicy.canRetry(within(rules(() => constant("2 seconds")), "1 second"))).toBe(false)
    expect(RetryPolicy.bounds(policy).attempts).toBe(2 * count + 1)
    expect(RetryPolicy.bounds(attempts(policy, 4)).attempts).toBe(4)
  })

  it("are bounded where no rule has a limit of its own", () => {
    const endless = rules((i) => RetryPolicy.linear({ initial: 1 + i % 7 }))
    const bounds = RetryPolicy.bounds(attempts(endless, 50_000))
    expect(bounds.attempts).toBe(50_000)
    expect(Number.isFinite(Duration.toMillis(bounds.wait))).toBe(true)
    expect(RetryPolicy.bounds(within(endless, "1 minute")).attempts).toBeGreaterThan(1)
  })

  it("and as many errors of one rule are run and bounded as well", () => {
    const one = byError([{ on: Array.from({ length: count }, (_, i) => `E${i}`), use: attempts(immediate, 3) }])
    same(one)
    expect(RetryPolicy.bounds(one).attempts).toBe(3)
    expect(RetryPolicy.preview(one, { error: { _tag: "E5" } })).toHaveLength(2)
  })

  it("start decorrelated jitter from the least of them", () => {
    const jittered = RetryPolicy.jittered(policy, "decorrelated")
    const [, decision] = RetryPolicy.step(RetryPolicy.start(jittered, 0), failure, 0, 0)
    expect(decision).toEqual({ _tag: "Wait", delay: 1 })
  })
})

describe("a union of many parts", () => {
  const balanced = (parts: ReadonlyArray<RetryPolicy.RetryPolicy>): RetryPolicy.RetryPolicy => {
    const middle = Math.floor(parts.length / 2)
    const [only = immediate] = parts
    return middle === 0 ? only : union(balanced(parts.slice(0, middle)), balanced(parts.slice(middle)))
  }

  it("none of which covers another is decided in one pass", () => {
    // The longer a part waits, the longer it may: every one of them stays in question.
    const count = 50_000
    const policy = balanced(Array.from({ length: count }, (_, i) => within(constant(i + 1), 2 * (i + 1))))
    const failure = { tag: "A", retryable: true, forbidden: false }
    // At 20 s, part i accepts waits from i + 1 to 2 (i + 1) - 20 000: none before part 19 999.
    const [, decision] = RetryPolicy.step(RetryPolicy.start(policy, 0), failure, 20_000, 0.5)
    expect(decision).toEqual({ _tag: "Wait", delay: 20_000 })
    const both = RetryPolicy.intersect(policy, policy)
    expect(RetryPolicy.step(RetryPolicy.start(both, 0), failure, 20_000, 0.5)[1]).toEqual(decision)
  })
})

describe("durations and numbers at the edge of what a number holds", () => {
  it.each<readonly [string, RetryPolicy.RetryPolicy]>([
    ["a nanosecond", constant(Duration.nanos(1n))],
    ["a tenth of a microsecond", constant(Duration.nanos(100n))],
    ["a second and a nanosecond", constant(Duration.nanos(1_000_000_001n))],
    ["a third of a millisecond", constant("0.333333 millis")],
    ["36500 days", constant("36500 days")],
    ["the least factor above 1", RetryPolicy.exponential({ initial: 1, factor: 1 + Number.EPSILON })],
    ["a denormal ratio", RetryPolicy.jittered(immediate, { ratio: Number.MIN_VALUE })],
    ["a denormal share", RetryPolicy.jittered(constant(1), { min: Number.MIN_VALUE, max: Number.MIN_VALUE })]
  ])("%s", (_, policy) => {
    same(policy)
    expect(RetryPolicy.bounds(attempts(policy, 3)).attempts).toBe(3)
    expect(RetryPolicy.canRetry(policy)).toBe(true)
  })

  it("a file may say less than a nanosecond, and it is written back as the same", () => {
    const policy = Either.getOrThrow(RetryPolicy.decode({ backoff: "constant", delay: "0.0000123 millis" }))
    same(policy)
    expect(RetryPolicy.encode(policy)).toEqual({ backoff: "constant", delay: "0.0000123 millis" })
  })
})
