import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as FastCheck from "effect/FastCheck"
import * as Hash from "effect/Hash"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Verdict from "../../src/error/Verdict.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Step from "../../src/policy/shared/retryStep.ts"
import type { Jitter } from "../../src/policy/shared/retryTree.ts"
import { runs } from "../runs.ts"
import * as Arbitrary from "./retryPolicies.ts"
import { chain, notAbove, policy, policyOf, run, story, tags } from "./retryPolicies.ts"

const { andThen, atLeast, attempts, capped, honourHints, ignoreHints, immediate, intersect, jittered, never, union } =
  RetryPolicy
const { within } = RetryPolicy

const times = { numRuns: runs(100, 500) }
const small = policyOf(2)
const millis = FastCheck.constantFrom(1, 2, 5, 10, 50, 100, 1_000)

/**
 * What a policy answers to a story, asked on after it stopped: a policy may be a part of a larger one, in which others
 * go on. Reasons of stops are left out.
 */
const answers = (self: RetryPolicy.RetryPolicy, story: ReadonlyArray<Arbitrary.Happening>) => {
  let state = RetryPolicy.start(self, 0)
  let now = 0
  return story.map(({ failure, random, takes }) => {
    now += takes
    const [next, decision] = RetryPolicy.step(state, failure, now, random)
    state = next
    if (decision._tag === "Stop") return "stop"
    now += decision.delay
    return decision.delay
  })
}

/** Two policies nobody can tell apart, in any story. */
const same = (
  a: RetryPolicy.RetryPolicy,
  b: RetryPolicy.RetryPolicy,
  story: ReadonlyArray<Arbitrary.Happening>
) => {
  expect(answers(a, story)).toEqual(answers(b, story))
}

describe("toSchedule", () => {
  /** An error that carries what the policy is to be told of it. */
  const errorOf = ({ failure }: Arbitrary.Happening) => ({
    _tag: failure.tag,
    [Verdict.symbol]: () =>
      Verdict.make(failure.retryable ? "Retry" : "Fail", { retryAfter: failure.hint, forbidden: failure.forbidden })
  })

  it("decides as step does, on the same clock and the same draws", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, FastCheck.integer({ min: 0, max: 1e12 }), (policy, story, now) => {
        // A schedule that is run without its effect: attempts take no time.
        const happenings = story.map((each) => ({ ...each, takes: 0 }))
        const { retries, stopped } = run(policy, happenings)
        const [draw = 0, ...draws] = happenings.map(({ random }) => random)
        const waited = Schedule.run(RetryPolicy.toSchedule(policy), now, happenings.map(errorOf)).pipe(
          Effect.withRandom(Random.fixed([draw, ...draws])),
          Effect.runSync,
          Chunk.toReadonlyArray
        )
        // The last output of a schedule that is done says nothing.
        const delays = stopped === undefined ? waited : waited.slice(0, -1)
        expect(waited.length).toBe(retries.length + (stopped === undefined ? 0 : 1))
        delays.forEach((delay, i) => {
          expect(Duration.toMillis(delay)).toBeCloseTo(retries[i]?.delay ?? NaN, 3)
        })
      }),
      times
    ))

  it("starts its clock at the first failure, not at the first attempt", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, (policy, story) => {
        const schedule = RetryPolicy.toSchedule(policy)
        const first = story[0]
        if (first === undefined) return
        const [state] = Effect.runSync(
          schedule.step(5_000, errorOf(first), schedule.initial).pipe(Effect.withRandom(Random.fixed([first.random])))
        )
        expect(state).toEqual(
          Step.step(Step.start(policy.tree, 5_000), RetryPolicy.failureOf(errorOf(first)), 5_000, first.random)[0]
        )
      }),
      times
    ))
})

describe("JSON", () => {
  const reads = (policy: RetryPolicy.RetryPolicy, json: unknown) => {
    const read = RetryPolicy.decode(JSON.parse(JSON.stringify(json)))
    if (RetryPolicy.canRetry(policy) || Equal.equals(policy, never)) {
      expect(Either.getOrThrow(read).tree).toEqual(policy.tree)
      expect(Equal.equals(Either.getOrThrow(read), policy)).toBe(true)
      expect(Hash.hash(Either.getOrThrow(read))).toBe(Hash.hash(policy))
    } else {
      // The one thing that a constructor lets pass and a file does not: a policy that can never retry.
      expect(Either.isLeft(read) && read.left.issues.map(({ path }) => path)).toEqual([""])
    }
  }

  it("there and back is the same policy, in the spelling for people", () =>
    FastCheck.assert(FastCheck.property(policy, (policy) => reads(policy, RetryPolicy.encode(policy))), times))

  it("there and back is the same policy, in the spelling for programs", () =>
    FastCheck.assert(FastCheck.property(policy, (policy) => reads(policy, RetryPolicy.encodeTree(policy))), times))

  it("there and back is the same policy, within a Schema", () =>
    FastCheck.assert(
      FastCheck.property(policy.filter(RetryPolicy.canRetry), (policy) => {
        const Config = Schema.Struct({ retry: RetryPolicy.FromJson })
        const config = { retry: policy }
        expect(Schema.decodeUnknownSync(Config)(Schema.encodeSync(Config)(config))).toEqual(config)
      }),
      times
    ))

  it("a policy is equal to itself built again, and prints the same", () =>
    FastCheck.assert(
      FastCheck.property(policy, policy, (a, b) => {
        expect(Equal.equals(a, b)).toBe(JSON.stringify(a.tree) === JSON.stringify(b.tree))
        if (Equal.equals(a, b)) expect(String(a)).toBe(String(b))
      }),
      times
    ))
})

describe("limits hold in every run", () => {
  it("no delay exceeds its cap, unless a hint asks for longer", () =>
    FastCheck.assert(
      FastCheck.property(policy, millis, story, (policy, max, story) => {
        for (const { delay, failure } of run(capped(policy, max), story).retries) {
          expect(delay).toBeLessThanOrEqual(Math.max(max, failure.hint ?? 0))
        }
      }),
      times
    ))

  it("no delay is below its floor", () =>
    FastCheck.assert(
      FastCheck.property(policy, millis, story, (policy, min, story) => {
        for (const { delay } of run(atLeast(policy, min), story).retries) expect(delay).toBeGreaterThanOrEqual(min)
      }),
      times
    ))

  it("no wait crosses the deadline", () =>
    FastCheck.assert(
      FastCheck.property(policy, millis, story, (policy, limit, story) => {
        for (const { endsAt } of run(within(policy, limit), story).retries) {
          expect(notAbove(endsAt, limit)).toBe(true)
        }
      }),
      times
    ))

  it("no attempt comes before its hint, and none after one that is too long", () =>
    FastCheck.assert(
      FastCheck.property(policy, millis, story, (policy, max, story) => {
        for (const { delay, failure } of run(honourHints(policy, { max }), story).retries) {
          expect(delay).toBeGreaterThanOrEqual(failure.hint ?? 0)
          expect(failure.hint ?? 0).toBeLessThanOrEqual(max)
        }
      }),
      times
    ))

  it("attempts are never above the limit", () =>
    FastCheck.assert(
      FastCheck.property(policy, FastCheck.integer({ min: 2, max: 8 }), story, (policy, max, story) => {
        expect(run(attempts(policy, max), story).retries.length + 1).toBeLessThanOrEqual(max)
      }),
      times
    ))

  it("nothing forbidden is retried", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, (policy, story) => {
        for (const { failure } of run(policy, story).retries) expect(failure.forbidden).toBe(false)
      }),
      times
    ))

  it("no delay is negative, infinite or NaN", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, (policy, story) => {
        for (const { delay } of run(policy, story).retries) {
          expect(Number.isFinite(delay) && delay >= 0).toBe(true)
        }
      }),
      times
    ))
})

describe("bounds", () => {
  it("are never exceeded: attempts, wait, and duration with a time-out for each attempt", () =>
    FastCheck.assert(
      FastCheck.property(
        policy,
        FastCheck.array(story, { minLength: 3, maxLength: 6 }),
        (policy, stories) => {
          const found = RetryPolicy.bounds(policy, { attemptTimeout: 50 })
          for (const story of stories) {
            const { elapsed, retries } = run(policy, story)
            const waited = retries.reduce((sum, { delay }) => sum + delay, 0)
            expect(retries.length + 1).toBeLessThanOrEqual(found.attempts)
            expect([waited, notAbove(waited, Duration.toMillis(found.wait))]).toEqual([waited, true])
            expect([elapsed, notAbove(elapsed, Duration.toMillis(found.duration))]).toEqual([elapsed, true])
          }
        }
      ),
      times
    ))

  it("are reached by chains: backoff, jitter, cap, floor, attempts, hints", () =>
    FastCheck.assert(
      FastCheck.property(chain, (policy) => {
        const { attempts, wait } = RetryPolicy.bounds(policy)
        const said = policy.tree._tag === "HonourHints" ? policy.tree.max : 60_000
        const hint = said === "never" ? undefined : said
        const failure = { tag: "A", retryable: true, forbidden: false, hint }
        const { retries, stopped } = run(policy, new Array(20).fill({ takes: 0, failure, random: 1 }))
        expect([retries.length + 1, stopped]).toEqual([attempts, "Attempts"])
        const waited = retries.reduce((sum, { delay }) => sum + delay, 0)
        expect(Arbitrary.near(waited, Duration.toMillis(wait))).toBe(true)
      }),
      times
    ))

  const mayRetry = (policy: RetryPolicy.RetryPolicy, stories: ReadonlyArray<ReadonlyArray<Arbitrary.Happening>>) =>
    stories.some((story) => run(policy, story).retries.length > 0)

  it("canRetry is false only where no run retries", () =>
    FastCheck.assert(
      FastCheck.property(policy, FastCheck.array(story, { minLength: 4, maxLength: 8 }), (policy, stories) => {
        if (!RetryPolicy.canRetry(policy)) expect(mayRetry(policy, stories)).toBe(false)
      }),
      { numRuns: runs(200, 1_000) }
    ))

  it("canRetry is true only where some run retries (but for andThen, whose first part may stop in many ways)", () =>
    FastCheck.assert(
      FastCheck.property(
        policy.filter((each) => !JSON.stringify(each.tree).includes("AndThen")),
        (policy) => {
          const lucky = [...tags, "D"].map((tag) => [
            { takes: 0, random: 0, failure: { tag, retryable: true, forbidden: false } }
          ])
          if (RetryPolicy.canRetry(policy)) expect(mayRetry(policy, lucky)).toBe(true)
        }
      ),
      times
    ))

  it("preview lists what a run waits", () =>
    FastCheck.assert(
      FastCheck.property(policy, FastCheck.constantFrom(0, 0.5, 1), (policy, random) => {
        const failure = { tag: "ServerError", retryable: true, forbidden: false }
        const { retries } = run(policy, new Array(20).fill({ takes: 7, failure, random }))
        expect(RetryPolicy.preview(policy, { random, attemptTakes: 7 })).toEqual(
          retries.map(({ delay, endsAt }, i) => ({
            attempt: i + 2,
            delay: Duration.millis(delay),
            elapsed: Duration.millis(endsAt)
          }))
        )
      }),
      times
    ))
})

describe("union and intersect are a distributive lattice", () => {
  const join = { union, intersect }
  for (const name of ["union", "intersect"] as const) {
    const op = join[name]
    it(`${name} is commutative`, () =>
      FastCheck.assert(
        FastCheck.property(policyOf(3), policyOf(3), story, (a, b, story) => same(op(a, b), op(b, a), story)),
        times
      ))
    it(`${name} is associative`, () =>
      FastCheck.assert(
        FastCheck.property(policyOf(3), small, small, story, (a, b, c, story) =>
          same(op(op(a, b), c), op(a, op(b, c)), story)),
        times
      ))
    it(`${name} is idempotent`, () =>
      FastCheck.assert(FastCheck.property(policy, story, (a, story) => same(op(a, a), a, story)), times))
  }

  it("union absorbs intersect, and intersect union", () =>
    FastCheck.assert(
      FastCheck.property(policyOf(3), policyOf(3), story, (a, b, story) => {
        same(union(a, intersect(a, b)), a, story)
        same(intersect(a, union(a, b)), a, story)
      }),
      times
    ))

  it("each distributes over the other", () =>
    FastCheck.assert(
      FastCheck.property(small, small, small, story, (a, b, c, story) => {
        same(union(a, intersect(b, c)), intersect(union(a, b), union(a, c)), story)
        same(intersect(a, union(b, c)), union(intersect(a, b), intersect(a, c)), story)
      }),
      times
    ))

  it("never is the one end of it", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, (a, story) => {
        same(union(a, never), a, story)
        same(intersect(a, never), never, story)
      }),
      times
    ))

  it("immediate that ignores hints is the other, for errors that may be retried: only a rule retries others", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, (a, story) => {
        const retryable = story.map((each) => ({ ...each, failure: { ...each.failure, retryable: true } }))
        const all = ignoreHints(immediate)
        same(intersect(a, all), a, retryable)
        same(union(a, all), all, retryable)
      }),
      times
    ))

  it("a union never waits longer than a side, an intersect never shorter", () =>
    FastCheck.assert(
      FastCheck.property(policyOf(3), policyOf(3), Arbitrary.happening, (a, b, first) => {
        const [[one], [either], [both]] = [
          answers(a, [first]),
          answers(union(a, b), [first]),
          answers(intersect(a, b), [first])
        ]
        if (one === "stop") expect(both).toBe("stop")
        else expect(either).toBeLessThanOrEqual(Number(one))
        if (both !== "stop" && both !== undefined) expect(both).toBeGreaterThanOrEqual(Number(one))
      }),
      times
    ))
})

describe("modifiers", () => {
  const modes = FastCheck.constantFrom<Jitter>("none", "full", "equal", { ratio: 0.5 }, { min: 0, max: 3 })
  const modifier = FastCheck.oneof(
    modes.map((mode) => (self: RetryPolicy.RetryPolicy) => jittered(self, mode)),
    millis.map((max) => (self: RetryPolicy.RetryPolicy) => capped(self, max)),
    millis.map((min) => (self: RetryPolicy.RetryPolicy) => atLeast(self, min)),
    FastCheck.integer({ min: 2, max: 5 }).map((max) => (self: RetryPolicy.RetryPolicy) => attempts(self, max)),
    millis.map((limit) => (self: RetryPolicy.RetryPolicy) => within(self, limit)),
    millis.map((max) => (self: RetryPolicy.RetryPolicy) => honourHints(self, { max })),
    FastCheck.constant(ignoreHints)
  )

  it("distribute over union and intersect (decorrelated jitter does not: it starts from the base of the whole)", () =>
    FastCheck.assert(
      FastCheck.property(small, small, modifier, story, (a, b, f, story) => {
        same(f(union(a, b)), union(f(a), f(b)), story)
        same(f(intersect(a, b)), intersect(f(a), f(b)), story)
      }),
      times
    ))

  it("decorrelated jitter of a union is not the union of decorrelated jitters", () => {
    const [a, b] = [RetryPolicy.constant(10), attempts(RetryPolicy.constant(1), 2)]
    const decorrelated = jittered("decorrelated")
    const failure = { tag: "A", retryable: true, forbidden: false }
    const story = new Array<Arbitrary.Happening>(2).fill({ takes: 0, failure, random: 1 })
    expect(answers(decorrelated(union(a, b)), story)).toEqual([3, 9])
    expect(answers(union(decorrelated(a), decorrelated(b)), story)).toEqual([3, 90])
  })

  it("of two of a kind the tighter counts", () =>
    FastCheck.assert(
      FastCheck.property(policyOf(3), millis, millis, story, (policy, a, b, story) => {
        same(capped(capped(policy, a), b), capped(policy, Math.min(a, b)), story)
        same(atLeast(atLeast(policy, a), b), atLeast(policy, Math.max(a, b)), story)
        same(within(within(policy, a), b), within(policy, Math.min(a, b)), story)
        same(
          honourHints(honourHints(policy, { max: a }), { max: b }),
          honourHints(policy, { max: Math.min(a, b) }),
          story
        )
        same(attempts(attempts(policy, a + 1), b + 1), attempts(policy, Math.min(a, b) + 1), story)
      }),
      times
    ))
})

describe("hints", () => {
  /** Nothing is said of hints in any part of it. */
  const silent = policy.filter((each) => !JSON.stringify(each.tree).includes("HonourHints"))

  it("of up to 60 seconds are honoured where nothing is said of them, and longer ones stop at once", () =>
    FastCheck.assert(
      FastCheck.property(silent, story, (policy, story) => {
        for (const { delay, failure } of run(policy, story).retries) {
          expect(delay).toBeGreaterThanOrEqual(failure.hint ?? 0)
          expect(failure.hint ?? 0).toBeLessThanOrEqual(60_000)
        }
      }),
      times
    ))

  it("the default is the limit of 60 seconds on every leaf, so saying it changes nothing", () =>
    FastCheck.assert(
      FastCheck.property(silent.filter((each) => !JSON.stringify(each.tree).includes("AndThen")), story, (a, story) =>
        same(a, honourHints(a), story)),
      times
    ))

  it("what is said furthest out counts", () =>
    FastCheck.assert(
      FastCheck.property(policy, millis, story, (a, max, story) => {
        same(honourHints(ignoreHints(a), { max }), honourHints(a, { max }), story)
        same(ignoreHints(honourHints(a, { max })), ignoreHints(a), story)
        same(ignoreHints(ignoreHints(a)), ignoreHints(a), story)
      }),
      times
    ))

  it("that are ignored change nothing", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, (a, story) => {
        const unasked = story.map((each) => ({ ...each, failure: { ...each.failure, hint: undefined } }))
        same(ignoreHints(a), ignoreHints(a), unasked)
        expect(answers(ignoreHints(a), story)).toEqual(answers(ignoreHints(a), unasked))
      }),
      times
    ))

  it("distribute over andThen where they are ignored", () =>
    FastCheck.assert(
      FastCheck.property(policyOf(3), small, story, (a, b, story) =>
        same(ignoreHints(andThen(a, b)), andThen(ignoreHints(a), ignoreHints(b)), story)),
      times
    ))
})

describe("andThen", () => {
  it("is associative", () =>
    FastCheck.assert(
      FastCheck.property(policyOf(3), small, small, story, (a, b, c, story) =>
        same(andThen(andThen(a, b), c), andThen(a, andThen(b, c)), story)),
      times
    ))

  it("has never as its unit: before a policy always, after it as far as the first stop", () =>
    FastCheck.assert(
      FastCheck.property(policy, story, (a, story) => {
        same(andThen(never, a), a, story)
        expect(run(andThen(a, never), story).told).toEqual(run(a, story).told)
      }),
      times
    ))

  it("is not commutative and not idempotent", () => {
    const [a, b] = [attempts(RetryPolicy.constant(1), 2), attempts(RetryPolicy.constant(2), 2)]
    const waits = (policy: RetryPolicy.RetryPolicy) =>
      RetryPolicy.preview(policy).map(({ delay }) => Duration.toMillis(delay))
    expect(waits(andThen(a, b))).toEqual([1, 2])
    expect(waits(andThen(b, a))).toEqual([2, 1])
    expect(waits(andThen(a, a))).toEqual([1, 1])
    expect(waits(a)).toEqual([1])
  })

  it("adds the retries of both", () =>
    FastCheck.assert(
      FastCheck.property(chain, chain, (a, b) => {
        const retries = (policy: RetryPolicy.RetryPolicy) => RetryPolicy.bounds(policy).attempts - 1
        expect(retries(andThen(a, b))).toBe(retries(a) + retries(b))
      }),
      times
    ))
})
