/**
 * The decision of a retry policy: data in, data out.
 *
 * After each failure a policy denotes the set of waits it accepts. A leaf accepts every wait from its delay on;
 * `union` is set union, `intersect` is set intersection; attempts used up, an error that may not be retried or a hint
 * that is too long leave the empty set. The policy waits the least accepted time, or stops where there is none.
 * Because all parts of a tree see the same failure, the same clock and the same random draw, the laws of sets are the
 * laws of policies: union and intersect are commutative, associative, idempotent, absorb and distribute.
 */
import {
  baseDelay,
  type ByError,
  decorrelated,
  type Jittered,
  jittered,
  leafDelay,
  longest,
  type RetryTree
} from "./retryTree.ts"

/** What the step is told of an error. */
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
  /** The policy that remains. */
  readonly rest: RetryTree
}

export type StopReason = "Never" | "NotRetryable" | "NoRule" | "Attempts" | "Deadline" | "HintTooLong"

export type Decision =
  | { readonly _tag: "Wait"; readonly delay: number }
  | { readonly _tag: "Stop"; readonly reason: StopReason }

/** Some accepted waits: those from `max(delay, floor)` to `latest`. Caps and jitter act on `delay`, hints on `floor`. */
interface Waits {
  readonly delay: number
  readonly floor: number
  readonly latest: number
}

interface Denotation {
  readonly waits: ReadonlyArray<Waits>
  /** Why there are no waits, where there are none. */
  readonly reason: StopReason
  readonly rest: RetryTree
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
}

const none = (reason: StopReason, rest: RetryTree): Denotation => ({ waits: [], reason, rest })

const least = (waits: Waits): number => Math.max(waits.delay, waits.floor)

const isViable = (waits: Waits): boolean => least(waits) <= waits.latest

const mapDelay = (found: Denotation, rest: RetryTree, f: (delay: number) => number): Denotation => ({
  ...found,
  rest,
  waits: found.waits.map((waits) => ({ ...waits, delay: f(waits.delay) }))
})

const covers = (a: Waits, b: Waits): boolean => a.delay <= b.delay && a.floor <= b.floor && a.latest >= b.latest

/** Leaves out what another one covers, so that lists stay short however deep the tree is. */
const prune = (all: ReadonlyArray<Waits>): ReadonlyArray<Waits> =>
  all.filter((waits, i) => !all.some((other, j) => i !== j && covers(other, waits) && (!covers(waits, other) || j < i)))

const decorrelate = (tree: Jittered, at: Moment): Denotation => {
  const found = denote(tree.policy, at)
  const base = baseDelay(tree.policy)
  const delay = decorrelated(base, tree.previous ?? base, at.ceiling, at.random)
  return mapDelay(found, { ...tree, policy: found.rest, previous: delay }, () => delay)
}

const byError = (tree: ByError, at: Moment): Denotation => {
  const found = tree.rules.findIndex((rule) => rule.on.includes(at.failure.tag))
  const place = found === -1 ? tree.rules.length : found
  const use = found === -1 ? tree.otherwise : tree.rules[found]?.use ?? "fail"
  if (use === "fail") return none("NoRule", tree)
  const used = tree.used ?? new Array<number>(tree.rules.length + 1).fill(0)
  const mine = used[place] ?? 0
  const inner = denote(use, {
    ...at,
    // A rule that names an error says that it is to be retried, whatever its verdict.
    failure: found === -1 ? at.failure : { ...at.failure, retryable: true },
    used: mine,
    index: tree.growth === "rule" ? mine : at.index
  })
  return {
    ...inner,
    rest: {
      ...tree,
      used: used.map((count, i) => i === place ? count + 1 : count),
      rules: tree.rules.map((rule, i) => i === found ? { on: rule.on, use: inner.rest } : rule),
      otherwise: found === -1 ? inner.rest : tree.otherwise
    }
  }
}

const denote = (tree: RetryTree, at: Moment): Denotation => {
  switch (tree._tag) {
    case "Never":
      return none("Never", tree)
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return !at.failure.retryable || at.failure.forbidden
        ? none("NotRetryable", tree)
        : {
          waits: [{ delay: leafDelay(tree, at.index), floor: 0, latest: Infinity }],
          reason: "NotRetryable",
          rest: tree
        }
    case "Jittered": {
      const { mode } = tree
      if (mode === "decorrelated") return decorrelate(tree, at)
      const found = denote(tree.policy, at)
      return mapDelay(found, { ...tree, policy: found.rest }, (delay) => jittered(mode, delay, at.random))
    }
    case "AtLeast": {
      const found = denote(tree.policy, at)
      return mapDelay(found, { ...tree, policy: found.rest }, (delay) => Math.max(delay, tree.min))
    }
    case "Capped": {
      const found = denote(tree.policy, { ...at, ceiling: Math.min(at.ceiling, tree.max) })
      return mapDelay(found, { ...tree, policy: found.rest }, (delay) => Math.min(delay, tree.max))
    }
    case "Attempts": {
      const found = denote(tree.policy, at)
      const rest: RetryTree = { ...tree, policy: found.rest }
      return found.waits.length > 0 && at.used + 1 >= tree.max ? none("Attempts", rest) : { ...found, rest }
    }
    case "Within": {
      const found = denote(tree.policy, at)
      const latest = tree.limit - at.elapsed
      return {
        ...found,
        rest: { ...tree, policy: found.rest },
        waits: found.waits.map((waits) => ({ ...waits, latest: Math.min(waits.latest, latest) }))
      }
    }
    case "HonourHints": {
      const found = denote(tree.policy, at)
      const rest: RetryTree = { ...tree, policy: found.rest }
      const { hint } = at.failure
      // Whatever is not above zero, `NaN` included, asks for nothing.
      if (hint === undefined || !(hint > 0) || found.waits.length === 0) return { ...found, rest }
      return hint > tree.max
        ? none("HintTooLong", rest)
        : { ...found, rest, waits: found.waits.map((waits) => ({ ...waits, floor: Math.max(waits.floor, hint) })) }
    }
    case "Union": {
      const left = denote(tree.left, at)
      const right = denote(tree.right, at)
      return {
        waits: prune([...left.waits, ...right.waits]),
        reason: left.reason,
        rest: { ...tree, left: left.rest, right: right.rest }
      }
    }
    case "Intersect": {
      const left = denote(tree.left, at)
      const right = denote(tree.right, at)
      return {
        waits: prune(left.waits.flatMap((a) =>
          right.waits.map((b) => ({
            delay: Math.max(a.delay, b.delay),
            floor: Math.max(a.floor, b.floor),
            latest: Math.min(a.latest, b.latest)
          }))
        )),
        reason: left.waits.length === 0 ? left.reason : right.reason,
        rest: { ...tree, left: left.rest, right: right.rest }
      }
    }
    case "AndThen": {
      if (tree.used === undefined) {
        const first = denote(tree.first, at)
        if (first.waits.some(isViable)) return { ...first, rest: { ...tree, first: first.rest } }
      }
      const used = tree.used ?? 0
      const second = denote(tree.second, { ...at, used, index: used })
      return { ...second, rest: { ...tree, second: second.rest, used: used + 1 } }
    }
    case "ByError":
      return byError(tree, at)
  }
}

export const start = (tree: RetryTree, now: number): State => ({ startedAt: now, failures: 0, rest: tree })

/** Decides about one failure. `random` is one draw from 0 to 1, shared by all jitter in the tree. */
export const step = (
  state: State,
  failure: Failure,
  now: number,
  random: number
): readonly [state: State, decision: Decision] => {
  const found = denote(state.rest, {
    failure,
    index: state.failures,
    used: state.failures,
    elapsed: Math.max(0, now - state.startedAt),
    random,
    ceiling: longest
  })
  const next: State = { ...state, failures: state.failures + 1, rest: found.rest }
  const viable = found.waits.filter(isViable)
  return viable.length === 0
    ? [next, { _tag: "Stop", reason: found.waits.length === 0 ? found.reason : "Deadline" }]
    : [next, { _tag: "Wait", delay: Math.min(...viable.map(least)) }]
}
