/** Arbitrary retry policies and arbitrary things that happen to them. */
import * as FastCheck from "effect/FastCheck"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import type { Failure } from "../../src/policy/shared/retryStep.ts"
import type { Jitter } from "../../src/policy/shared/retryTree.ts"

export const tags = ["A", "B", "C"] as const

/** Few distinct values, so that limits, caps and hints meet at their edges. */
const millis = FastCheck.oneof(
  FastCheck.constantFrom(1, 2, 3, 5, 8, 10, 50, 100),
  FastCheck.integer({ min: 1, max: 200 }),
  FastCheck.constantFrom(0.5, 1.5, 1_000, 60_000)
)

const jitter: FastCheck.Arbitrary<Jitter> = FastCheck.oneof(
  FastCheck.constantFrom<Jitter>("none", "full", "equal", "decorrelated"),
  FastCheck.constantFrom(0.1, 0.2, 0.5, 1).map((ratio) => ({ ratio })),
  FastCheck.constantFrom([0.75, 1] as const, [0.1, 0.1] as const, [0, 3] as const, [2, 2] as const)
    .map(([min, max]) => ({ min, max }))
)

const leaf: FastCheck.Arbitrary<RetryPolicy.RetryPolicy> = FastCheck.oneof(
  FastCheck.constantFrom(RetryPolicy.never, RetryPolicy.immediate),
  millis.map((wait) => RetryPolicy.constant(wait)),
  FastCheck.record({ initial: millis, increment: FastCheck.option(millis, { nil: undefined }) })
    .map(RetryPolicy.linear),
  FastCheck.record({ initial: millis, factor: FastCheck.constantFrom(undefined, 1, 1.5, 2, 10) })
    .map(RetryPolicy.exponential),
  millis.map((initial) => RetryPolicy.fibonacci({ initial }))
)

const modifiers = (inner: FastCheck.Arbitrary<RetryPolicy.RetryPolicy>) => [
  FastCheck.tuple(inner, jitter).map(([self, mode]) => RetryPolicy.jittered(self, mode)),
  FastCheck.tuple(inner, millis).map(([self, max]) => RetryPolicy.capped(self, max)),
  FastCheck.tuple(inner, millis).map(([self, min]) => RetryPolicy.atLeast(self, min)),
  FastCheck.tuple(inner, FastCheck.integer({ min: 2, max: 6 })).map(([self, max]) => RetryPolicy.attempts(self, max)),
  FastCheck.tuple(inner, millis).map(([self, limit]) => RetryPolicy.within(self, limit)),
  FastCheck.tuple(inner, millis).map(([self, max]) => RetryPolicy.honourHints(self, { max })),
  inner.map(RetryPolicy.ignoreHints)
]

const byError = (inner: FastCheck.Arbitrary<RetryPolicy.RetryPolicy>) =>
  FastCheck.record({
    groups: FastCheck.constantFrom([["A"]], [["A", "B"]], [["A"], ["B"]], [["B"], ["A", "C"]], [["A"], ["B"], ["C"]]),
    uses: FastCheck.tuple(inner, inner, inner),
    otherwise: FastCheck.oneof(FastCheck.constant("fail" as const), inner),
    growth: FastCheck.constantFrom("rule" as const, "call" as const)
  }).map(({ groups, growth, otherwise, uses }) =>
    RetryPolicy.byError(groups.map((on, i) => ({ on, use: uses[i] ?? uses[0] })), { otherwise, growth })
  )

/** A policy at most `depth` combinators deep, of every kind of node. */
export const policyOf = (depth: number): FastCheck.Arbitrary<RetryPolicy.RetryPolicy> => {
  if (depth === 0) return leaf
  const inner = policyOf(depth - 1)
  const pair = FastCheck.tuple(inner, inner)
  return FastCheck.oneof(
    leaf,
    ...modifiers(inner),
    ...modifiers(inner),
    pair.map(([left, right]) => RetryPolicy.union(left, right)),
    pair.map(([left, right]) => RetryPolicy.intersect(left, right)),
    pair.map(([first, second]) => RetryPolicy.andThen(first, second)),
    byError(inner)
  )
}

export const policy = policyOf(4)

/** A backoff with jitter, cap, limit of attempts and hints: nothing in it depends on what happens. */
export const chain: FastCheck.Arbitrary<RetryPolicy.RetryPolicy> = FastCheck.record({
  leaf: leaf.filter((each) => each.tree._tag !== "Never"),
  jitter: FastCheck.option(jitter, { nil: undefined }),
  cap: FastCheck.option(millis, { nil: undefined }),
  floor: FastCheck.option(millis, { nil: undefined }),
  attempts: FastCheck.integer({ min: 2, max: 12 }),
  hints: FastCheck.option(millis, { nil: undefined })
}).map(({ attempts, cap, floor, hints, jitter, leaf }) => {
  const waits = jitter === undefined ? leaf : RetryPolicy.jittered(leaf, jitter)
  const capped = cap === undefined ? waits : RetryPolicy.capped(waits, cap)
  const raised = floor === undefined ? capped : RetryPolicy.atLeast(capped, floor)
  const limited = RetryPolicy.attempts(raised, attempts)
  return hints === undefined ? limited : RetryPolicy.honourHints(limited, { max: hints })
})

/** One failed attempt: how long it took, what came of it, and the draw that the policy is given. */
export interface Happening {
  readonly takes: number
  readonly failure: Failure
  readonly random: number
}

export const happening: FastCheck.Arbitrary<Happening> = FastCheck.record({
  takes: FastCheck.oneof(
    { weight: 3, arbitrary: FastCheck.constant(0) },
    { weight: 1, arbitrary: FastCheck.integer({ min: 0, max: 50 }) }
  ),
  failure: FastCheck.record({
    tag: FastCheck.constantFrom(...tags, "D"),
    retryable: FastCheck.oneof(
      { weight: 6, arbitrary: FastCheck.constant(true) },
      { weight: 1, arbitrary: FastCheck.constant(false) }
    ),
    forbidden: FastCheck.oneof(
      { weight: 30, arbitrary: FastCheck.constant(false) },
      { weight: 1, arbitrary: FastCheck.constant(true) }
    ),
    hint: FastCheck.oneof(
      { weight: 6, arbitrary: FastCheck.constant(undefined) },
      { weight: 3, arbitrary: millis },
      { weight: 1, arbitrary: FastCheck.constantFrom(60_000, 60_001, 600_000) }
    )
  }),
  random: FastCheck.oneof(
    FastCheck.constantFrom(0, 0.5, 1),
    FastCheck.double({ min: 0, max: 1, noNaN: true })
  )
})

export const story: FastCheck.Arbitrary<ReadonlyArray<Happening>> = FastCheck.array(happening, {
  minLength: 1,
  maxLength: 24
})

/** A retry that a run made. */
export interface Made {
  readonly delay: number
  /** Time since the first attempt's start at which the wait ends. */
  readonly endsAt: number
  readonly failure: Failure
}

export interface Run {
  readonly retries: ReadonlyArray<Made>
  readonly stopped: RetryPolicy.StopReason | undefined
  /** What the policy said: its waits, and "stop" where it stopped. */
  readonly told: ReadonlyArray<number | "stop">
  /** From the first attempt's start to the end of the story. */
  readonly elapsed: number
}

/** Runs a policy through a story; the clock moves by what attempts take and by what is waited. */
export const run = (self: RetryPolicy.RetryPolicy, story: ReadonlyArray<Happening>): Run => {
  const retries: Array<Made> = []
  let state = RetryPolicy.start(self, 0)
  let now = 0
  for (const { failure, random, takes } of story) {
    now += takes
    const [next, decision] = RetryPolicy.step(state, failure, now, random)
    if (decision._tag === "Stop") {
      return { retries, stopped: decision.reason, told: [...retries.map(({ delay }) => delay), "stop"], elapsed: now }
    }
    state = next
    now += decision.delay
    retries.push({ delay: decision.delay, endsAt: now, failure })
  }
  return { retries, stopped: undefined, told: retries.map(({ delay }) => delay), elapsed: now }
}

/** Equal but for the rounding of fractions: a Duration is whole nanoseconds. */
export const near = (a: number, b: number): boolean =>
  Math.abs(a - b) <= 1e-6 + 1e-9 * Math.max(Math.abs(a), Math.abs(b))

/** Not above, but for the rounding of fractions. */
export const notAbove = (a: number, b: number): boolean => a <= b || near(a, b)
