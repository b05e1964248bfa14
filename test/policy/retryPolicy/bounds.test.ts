import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"

const { andThen, atLeast, attempts, byError, capped, constant, exponential, honourHints, immediate, intersect } =
  RetryPolicy
const { jittered, linear, never, union, within } = RetryPolicy

/** Where a row says nothing of hints, none are honoured, so that the waits are those of the policy itself. */
const boundsOf = (policy: RetryPolicy.RetryPolicy, attemptTimeout?: Duration.DurationInput) => {
  const said = JSON.stringify(policy.tree).includes("HonourHints") ? policy : RetryPolicy.ignoreHints(policy)
  return boundsByDefault(said, attemptTimeout)
}

const boundsByDefault = (policy: RetryPolicy.RetryPolicy, attemptTimeout?: Duration.DurationInput) => {
  const { attempts, duration, wait } = RetryPolicy.bounds(policy, { attemptTimeout })
  return [attempts, Duration.toMillis(wait), Duration.toMillis(duration)]
}

const exp = exponential({ initial: 100 })

describe("bounds are exact where nothing depends on what happens", () => {
  it.each<readonly [string, RetryPolicy.RetryPolicy, number, number]>([
    ["never", never, 1, 0],
    ["immediate without a limit: nobody counts that far", immediate, Infinity, Infinity],
    ["constant without a limit", constant(5), Infinity, Infinity],
    ["an attempts limit", attempts(constant(5), 4), 4, 15],
    ["of two limits the tighter", attempts(attempts(constant(5), 4), 3), 3, 10],
    ["linear", attempts(linear({ initial: 10, increment: 5 }), 4), 4, 10 + 15 + 20],
    ["exponential", attempts(exp, 4), 4, 700],
    ["a cap", attempts(capped(exp, 250), 5), 5, 100 + 200 + 250 + 250],
    ["a floor", attempts(atLeast(exp, 150), 4), 4, 150 + 200 + 400],
    ["full jitter: the highest draw", attempts(jittered(exp, "full"), 4), 4, 700],
    ["a ratio: the highest draw", attempts(jittered(exp, { ratio: 0.5 }), 4), 4, 1050],
    ["a cap after jitter", attempts(capped(jittered(exp, { ratio: 0.5 }), 250), 4), 4, 150 + 250 + 250],
    ["decorrelated jitter", attempts(jittered(exp, "decorrelated"), 4), 4, 300 + 900 + 2700],
    ["decorrelated jitter with a cap", attempts(capped(jittered(exp, "decorrelated"), 500), 4), 4, 300 + 500 + 500],
    ["hints, which no cap shortens", attempts(honourHints(capped(exp, 150), { max: 60_000 }), 3), 3, 120_000],
    ["hints shorter than the backoff", attempts(honourHints(exp, { max: 150 }), 3), 3, 150 + 200],
    ["a deadline: the waits that fit", within(exp, 1000), 4, 700],
    ["a deadline that a wait meets exactly", within(constant(250), 1000), 5, 1000],
    ["a deadline with jitter that may be nothing", within(jittered(exp, "full"), 1000), Infinity, 1000],
    ["a deadline under jitter that shrinks", jittered(within(constant(100), 50), { min: 0.1, max: 0.1 }), 6, 50],
    ["a deadline above attempts", within(attempts(exp, 3), 1000), 3, 300],
    ["a union: the shorter wait", attempts(union(exp, constant(250)), 5), 5, 100 + 200 + 250 + 250],
    ["a union where one side ends first", union(attempts(constant(1), 3), attempts(constant(9), 5)), 5, 1 + 1 + 9 + 9],
    ["an intersect: the longer wait", intersect(attempts(exp, 4), constant(150)), 4, 150 + 200 + 400],
    ["andThen: one after the other", andThen(attempts(constant(1), 3), attempts(exp, 3)), 5, 1 + 1 + 100 + 200],
    ["attempts round andThen", attempts(andThen(attempts(exp, 3), constant(1000)), 5), 5, 100 + 200 + 1000 + 1000],
    [
      "byError: every rule to its end",
      byError([
        { on: ["A"], use: honourHints(attempts(constant(60), 3), { max: 100 }) },
        { on: ["B"], use: RetryPolicy.ignoreHints(attempts(exp, 3)) }
      ]),
      5,
      100 + 100 + 100 + 200
    ],
    [
      "byError with attempts round it: the longest of all waits",
      attempts(byError([{ on: ["A"], use: constant(60) }, { on: ["B"], use: exp }]), 4),
      4,
      700
    ],
    [
      "byError with delays that grow with the call",
      attempts(byError([{ on: ["A"], use: attempts(exp, 2) }], { otherwise: immediate, growth: "call" }), 4),
      4,
      400
    ],
    ["standard", RetryPolicy.standard, 3, 120_000]
  ])("%s", (_, policy, most, wait) => {
    expect(boundsOf(policy)).toEqual([most, wait, wait])
  })

  it("a policy that says nothing of hints may be asked to wait a minute each time", () => {
    expect(boundsByDefault(attempts(exp, 4))).toEqual([4, 180_000, 180_000])
    expect(boundsByDefault(attempts(constant("2 minutes"), 3))).toEqual([3, 240_000, 240_000])
    expect(boundsByDefault(within(attempts(exp, 4), "90 seconds"))).toEqual([4, 90_000, 90_000])
    expect(boundsByDefault(attempts(union(exp, constant(250)), 3))).toEqual([3, 120_000, 120_000])
    expect(boundsByDefault(attempts(honourHints(exp, { max: "5 minutes" }), 3))).toEqual([3, 600_000, 600_000])
  })

  it("the duration counts every attempt, each as long as its time-out", () => {
    expect(boundsOf(attempts(exp, 4), "10 seconds")).toEqual([4, 700, 40_700])
    expect(boundsOf(never, "10 seconds")).toEqual([1, 0, 10_000])
    // The last attempt starts at the deadline at the latest.
    expect(boundsOf(within(attempts(exp, 4), 500), "10 seconds")).toEqual([3, 300, 10_500])
    expect(boundsOf(within(immediate, "1 minute"), "10 seconds")).toEqual([Infinity, 60_000, 70_000])
    expect(boundsOf(attempts(immediate, 2))).toEqual([2, 0, 0])
  })
})

describe("bounds stay above every run (each of these was exceeded once)", () => {
  it.each<readonly [string, RetryPolicy.RetryPolicy, number, number]>([
    [
      "two byError in a union take turns",
      union(
        byError([{ on: ["A"], use: attempts(constant(5), 3) }]),
        byError([{ on: ["B"], use: attempts(constant(7), 3) }])
      ),
      5,
      5 + 5 + 7 + 7
    ],
    [
      "a long backoff and a long hint in different retries",
      attempts(
        byError([
          { on: ["A"], use: attempts(constant(10), 2) },
          { on: ["B"], use: attempts(honourHints(immediate, { max: 10 }), 2) },
          { on: ["C"], use: attempts(immediate, 2) }
        ]),
        3
      ),
      3,
      10 + 10
    ],
    [
      "decorrelated jitter grows while other parts of a union go on",
      attempts(
        union(
          jittered(byError([{ on: ["A"], use: attempts(constant(1), 2) }]), "decorrelated"),
          byError([{ on: ["B"], use: immediate }])
        ),
        4
      ),
      4,
      27
    ],
    [
      "decorrelated jitter below its base, under a cap with jitter between",
      within(capped(jittered(jittered(constant(10), "decorrelated"), { ratio: 0.5 }), 4), 8),
      5,
      8
    ],
    [
      "andThen that moves on early while a rule goes on",
      attempts(
        union(
          byError([{ on: ["A"], use: immediate }]),
          andThen(attempts(immediate, 3), exponential({ initial: 10 }))
        ),
        4
      ),
      4,
      30
    ]
  ])("%s", (_, policy, most, wait) => {
    const [foundAttempts, foundWait] = boundsOf(policy)
    expect(foundAttempts).toBeGreaterThanOrEqual(most)
    expect(foundWait).toBeGreaterThanOrEqual(wait)
  })
})

describe("canRetry", () => {
  it.each<readonly [string, boolean, RetryPolicy.RetryPolicy]>([
    ["never", false, never],
    ["immediate", true, immediate],
    ["a first wait past the deadline", false, within(constant(10), 9)],
    ["a first wait up to the deadline", true, within(constant(10), 10)],
    ["jitter that may be short enough", true, within(jittered(constant(10), { ratio: 0.2 }), 8)],
    ["jitter that cannot", false, within(jittered(constant(10), { ratio: 0.2 }), 7)],
    ["one side of a union can", true, union(within(constant(10), 9), constant(1))],
    [
      "no side of a union can, though one's wait fits the other's deadline",
      false,
      union(within(constant(10), 9), within(constant(20), 15))
    ],
    ["both sides of an intersect can, together not", false, intersect(constant(10), within(immediate, 5))],
    ["the second of a sequence can", true, andThen(never, immediate)],
    ["the second of a sequence never gets its turn", false, within(andThen(constant(10), immediate), 5)],
    [
      "the second gets its turn when the first attempt was slow",
      true,
      atLeast(andThen(within(constant(10), 20), byError([{ on: ["A"], use: immediate }])), 50)
    ],
    ["one rule can", true, byError([{ on: ["A"], use: never }, { on: ["B"], use: immediate }])],
    ["only otherwise can", true, byError([{ on: ["A"], use: never }], { otherwise: immediate })],
    ["no rule can", false, byError([{ on: ["A"], use: never }])],
    [
      "rules that never meet",
      false,
      intersect(
        byError([{ on: ["A"], use: immediate }]),
        byError([{ on: ["B"], use: immediate }])
      )
    ]
  ])("%s: %s", (_, can, policy) => {
    expect(RetryPolicy.canRetry(policy)).toBe(can)
  })
})
