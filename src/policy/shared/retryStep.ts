/**
 * The decision of a retry policy: data in, data out.
 *
 * After each failure a policy accepts a set of waits. A leaf accepts every wait from its delay on; `union` is set union,
 * `intersect` is set intersection; attempts used up, an error that may not be retried or a hint that is too long leave
 * the empty set. The policy waits the least accepted time, or stops where there is none. All parts of a tree see the
 * same failure, the same time and the same random draw, so the laws of sets are the laws of policies: union and
 * intersect are commutative, associative, idempotent, absorb and distribute.
 *
 * An example in numbers. `union(within(constant(100), 150), constant(300))`, 80 ms after the first attempt's start: the
 * left side accepts waits from 100 ms to 150 - 80 = 70 ms, so none; the right side accepts 300 ms and more. Together
 * that is 300 ms and more, and the policy waits 300 ms. At 20 ms the left side accepts 100 to 130 ms, and the policy
 * waits 100 ms. With a hint of 120 ms both sides accept nothing shorter, and the policy waits 120 ms.
 *
 * Hints belong to the set of a leaf as well: it accepts no wait shorter than the hint, and none at all after a hint of
 * more than a minute. A `HonourHints` above it sets another limit or none.
 */
import {
  baseDelay,
  type ByError,
  decorrelated,
  type HintRule,
  hintRuleWithin,
  type Jittered,
  jittered,
  type Leaf,
  leafDelay,
  longest,
  longestHint,
  type RetryTree
} from "./retryTree.ts"

/** The facts about an error that the step decides by. */
export interface Failure {
  /** The `_tag` that rules name. */
  readonly tag: string
  /** The verdict says `Retry`. A rule that names the tag outranks it. */
  readonly retryable: boolean
  /** The other side forbade a retry; nothing outranks that. */
  readonly forbidden: boolean
  /** How long the other side asked to wait, in milliseconds. */
  readonly hint?: number | undefined
}

export interface State {
  readonly startedAt: number
  readonly failures: number
  /** The policy with its progress: what decides about the next failure. */
  readonly remaining: RetryTree
}

export type StopReason = "Never" | "NotRetryable" | "NoRule" | "Attempts" | "Deadline" | "HintTooLong"

export type Decision =
  | { readonly _tag: "Wait"; readonly delay: number }
  | { readonly _tag: "Stop"; readonly reason: StopReason }

/** Accepted waits: those from `max(delay, floor)` to `latest`. Caps and jitter act on `delay`, hints on `floor`. */
export interface Waits {
  readonly delay: number
  /** Nothing, or the hint: a failure has one hint at most. */
  readonly floor: number
  readonly latest: number
}

/** The answer of a part of the tree to one failure. */
interface Answer {
  /** The accepted waits are the union of these. */
  readonly waits: ReadonlyArray<Waits>
  /** Why there are no waits, where there are none. */
  readonly reason: StopReason
  readonly remaining: RetryTree
}

interface Moment {
  readonly failure: Failure
  /** Which failure this is for delays that grow, from 0. */
  readonly index: number
  /** Which failure this is for limits of attempts, from 0. */
  readonly used: number
  /** Milliseconds since the first attempt started. */
  readonly elapsed: number
  readonly random: number
  /** The tightest cap above this node, which decorrelated jitter must know to grow from what was really waited. */
  readonly ceiling: number
  readonly hints: HintRule
}

export const start = (tree: RetryTree, now: number): State => ({ startedAt: now, failures: 0, remaining: tree })

/** Decides about one failure. `random` is one draw from 0 to 1, shared by all jitter in the tree. */
export const step = (
  state: State,
  failure: Failure,
  now: number,
  random: number
): readonly [state: State, decision: Decision] => {
  const answer = answerOf(state.remaining, {
    failure,
    index: state.failures,
    used: state.failures,
    elapsed: Math.max(0, now - state.startedAt),
    random,
    ceiling: longest,
    hints: "default"
  })
  const next: State = { ...state, failures: state.failures + 1, remaining: answer.remaining }
  const delay = leastOf(answer.waits)
  return delay === undefined
    ? [next, { _tag: "Stop", reason: answer.waits.length === 0 ? answer.reason : "Deadline" }]
    : [next, { _tag: "Wait", delay }]
}

/** The least accepted wait; `undefined` where none is. */
export const leastOf = (all: ReadonlyArray<Waits>): number | undefined =>
  all.reduce<number | undefined>((best, waits) => {
    const wait = Math.max(waits.delay, waits.floor)
    return wait > waits.latest || (best !== undefined && best <= wait) ? best : wait
  }, undefined)

const answerOf = (tree: RetryTree, at: Moment): Answer => {
  switch (tree._tag) {
    case "Never":
      return stopWith("Never", tree)
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return leafAnswer(tree, at)
    case "Jittered": {
      const { mode } = tree
      if (mode === "decorrelated") return decorrelatedAnswer(tree, at)
      const inner = answerOf(tree.policy, at)
      return withDelays(inner, { ...tree, policy: inner.remaining }, (delay) => jittered(mode, delay, at.random))
    }
    case "AtLeast": {
      const inner = answerOf(tree.policy, at)
      return withDelays(inner, { ...tree, policy: inner.remaining }, (delay) => Math.max(delay, tree.min))
    }
    case "Capped": {
      const inner = answerOf(tree.policy, { ...at, ceiling: Math.min(at.ceiling, tree.max) })
      return withDelays(inner, { ...tree, policy: inner.remaining }, (delay) => Math.min(delay, tree.max))
    }
    case "Attempts": {
      const inner = answerOf(tree.policy, at)
      const remaining: RetryTree = { ...tree, policy: inner.remaining }
      return inner.waits.length > 0 && at.used + 1 >= tree.max
        ? stopWith("Attempts", remaining)
        : { ...inner, remaining }
    }
    case "Within": {
      const inner = answerOf(tree.policy, at)
      const latest = tree.limit - at.elapsed
      return {
        ...inner,
        remaining: { ...tree, policy: inner.remaining },
        waits: inner.waits.map((waits) => ({ ...waits, latest: Math.min(waits.latest, latest) }))
      }
    }
    case "HonourHints": {
      const inner = answerOf(tree.policy, { ...at, hints: hintRuleWithin(at.hints, tree) })
      const remaining: RetryTree = { ...tree, policy: inner.remaining }
      return tree.max === "never" || at.hints === "never"
        ? { ...inner, remaining }
        : withHint(inner, at.failure.hint, tree.max, remaining)
    }
    case "Union": {
      const left = answerOf(tree.left, at)
      const right = answerOf(tree.right, at)
      return {
        waits: unionOf(left.waits, right.waits),
        reason: left.reason,
        remaining: { ...tree, left: left.remaining, right: right.remaining }
      }
    }
    case "Intersect": {
      const left = answerOf(tree.left, at)
      const right = answerOf(tree.right, at)
      return {
        waits: intersectionOf(left.waits, right.waits),
        reason: left.waits.length === 0 ? left.reason : right.reason,
        remaining: { ...tree, left: left.remaining, right: right.remaining }
      }
    }
    case "AndThen": {
      if (tree.used === undefined) {
        const first = answerOf(tree.first, at)
        if (leastOf(first.waits) !== undefined) return { ...first, remaining: { ...tree, first: first.remaining } }
      }
      const used = tree.used ?? 0
      const second = answerOf(tree.second, { ...at, used, index: used })
      return { ...second, remaining: { ...tree, second: second.remaining, used: used + 1 } }
    }
    case "ByError":
      return byErrorAnswer(tree, at)
  }
}

const leafAnswer = (tree: Leaf, at: Moment): Answer => {
  if (!at.failure.retryable || at.failure.forbidden) return stopWith("NotRetryable", tree)
  const answer: Answer = {
    waits: [{ delay: leafDelay(tree, at.index), floor: 0, latest: Infinity }],
    reason: "NotRetryable",
    remaining: tree
  }
  return at.hints === "default" ? withHint(answer, at.failure.hint, longestHint, tree) : answer
}

const stopWith = (reason: StopReason, remaining: RetryTree): Answer => ({ waits: [], reason, remaining })

const withDelays = (answer: Answer, remaining: RetryTree, f: (delay: number) => number): Answer => ({
  ...answer,
  remaining,
  waits: answer.waits.map((waits) => ({ ...waits, delay: f(waits.delay) }))
})

const withHint = (answer: Answer, hint: number | undefined, max: number, remaining: RetryTree): Answer => {
  // Whatever is not above zero, `NaN` included, asks for nothing.
  if (hint === undefined || !(hint > 0) || answer.waits.length === 0) return { ...answer, remaining }
  return hint > max
    ? stopWith("HintTooLong", remaining)
    : { ...answer, remaining, waits: answer.waits.map((waits) => ({ ...waits, floor: Math.max(waits.floor, hint) })) }
}

const decorrelatedAnswer = (tree: Jittered, at: Moment): Answer => {
  const inner = answerOf(tree.policy, at)
  const base = baseDelay(tree.policy)
  const delay = decorrelated(base, tree.previous ?? base, at.ceiling, at.random)
  return withDelays(inner, { ...tree, policy: inner.remaining, previous: delay }, () => delay)
}

const byErrorAnswer = (tree: ByError, at: Moment): Answer => {
  const named = tree.rules.findIndex((rule) => rule.on.includes(at.failure.tag))
  const use = named === -1 ? tree.otherwise : tree.rules[named]?.use ?? "fail"
  if (use === "fail") return stopWith("NoRule", tree)
  const position = named === -1 ? tree.rules.length : named
  const used = tree.used ?? new Array<number>(tree.rules.length + 1).fill(0)
  const usedByRule = used[position] ?? 0
  const inner = answerOf(use, {
    ...at,
    // A rule that names an error says that it is to be retried, whatever its verdict.
    failure: named === -1 ? at.failure : { ...at.failure, retryable: true },
    used: usedByRule,
    index: tree.growth === "rule" ? usedByRule : at.index
  })
  return {
    ...inner,
    remaining: {
      ...tree,
      used: used.map((count, i) => i === position ? count + 1 : count),
      rules: tree.rules.map((rule, i) => i === named ? { on: rule.on, use: inner.remaining } : rule),
      otherwise: named === -1 ? inner.remaining : tree.otherwise
    }
  }
}

// ---- sets of waits ----

const byDelay = (a: Waits, b: Waits): number => a.delay - b.delay || a.floor - b.floor || b.latest - a.latest

/**
 * Leaves out the waits that another one includes, which keeps lists short however deep the tree is. One pass in the order
 * of delays is enough: a later one is needed only where it reaches further than all before it with no higher floor.
 */
const withoutIncluded = (all: ReadonlyArray<Waits>): ReadonlyArray<Waits> => {
  if (all.length < 2) return all
  let latestWithoutFloor = -Infinity
  let latestOfAll = -Infinity
  return [...all].sort(byDelay).filter(({ floor, latest }) => {
    if (latest <= (floor === 0 ? latestWithoutFloor : latestOfAll)) return false
    if (floor === 0) latestWithoutFloor = Math.max(latestWithoutFloor, latest)
    latestOfAll = Math.max(latestOfAll, latest)
    return true
  })
}

export const unionOf = (left: ReadonlyArray<Waits>, right: ReadonlyArray<Waits>): ReadonlyArray<Waits> =>
  left.length === 0 ? right : right.length === 0 ? left : withoutIncluded([...left, ...right])

const highestFloor = (all: ReadonlyArray<Waits>): number => all.reduce((most, { floor }) => Math.max(most, floor), 0)

/** How far waits reach on both sides, with and without those that have a floor, as delays grow. */
class Reach {
  withoutFloor = -Infinity
  ofAll = -Infinity
  add({ floor, latest }: Waits): void {
    if (floor === 0) this.withoutFloor = Math.max(this.withoutFloor, latest)
    this.ofAll = Math.max(this.ofAll, latest)
  }
}

/**
 * What both sides accept. In the order of delays of both: from each delay on, as far as both sides reach by then. So it
 * takes one pass instead of every pair.
 */
export const intersectionOf = (left: ReadonlyArray<Waits>, right: ReadonlyArray<Waits>): ReadonlyArray<Waits> => {
  if (left.length === 0 || right.length === 0) return []
  const floor = Math.max(highestFloor(left), highestFloor(right))
  const [reachLeft, reachRight] = [new Reach(), new Reach()]
  const all = [
    ...left.map((waits) => ({ waits, reach: reachLeft })),
    ...right.map((waits) => ({ waits, reach: reachRight }))
  ].sort((a, b) => byDelay(a.waits, b.waits))
  const accepted: Array<Waits> = []
  for (const { reach, waits } of all) {
    reach.add(waits)
    const { delay } = waits
    const latest = Math.min(reachLeft.withoutFloor, reachRight.withoutFloor)
    if (latest > -Infinity) accepted.push({ delay, floor: 0, latest })
    const latestOfAll = Math.min(reachLeft.ofAll, reachRight.ofAll)
    if (floor > 0 && latestOfAll > -Infinity) accepted.push({ delay, floor, latest: latestOfAll })
  }
  return withoutIncluded(accepted)
}
