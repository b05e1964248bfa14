/**
 * The worst that a retry policy can do, from the tree alone. Every number is an upper bound that no run exceeds; it is
 * reached where parts do not limit each other in ways that depend on what happens.
 *
 * Every part of a tree is asked about the failures of its scope (the call, a rule of `byError`, the time after
 * `andThen` moved on), numbered from 0. Its waits are bounded by a list of entries: entry i for failure i where the tree
 * keeps that order, otherwise in any order, one entry for each retry.
 */
import {
  baseDelay,
  branches,
  hasHintRule,
  type HintRule,
  hintRuleWithin,
  type HonourHints,
  jitterRange,
  leafDelay,
  longest,
  longestHint,
  memoized,
  parts,
  type RetryTree
} from "../shared/retryTree.ts"

/** How many failures a part can accept, and the number of the failure from which on it accepts none. */
interface Extent {
  readonly retries: number
  readonly reach: number
}

const extent: (tree: RetryTree) => Extent = memoized((tree): Extent => {
  switch (tree._tag) {
    case "Never":
      return { retries: 0, reach: 0 }
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return { retries: Infinity, reach: Infinity }
    case "Jittered":
    case "AtLeast":
    case "Capped":
    case "Within":
    case "HonourHints":
      return extent(tree.policy)
    case "Attempts": {
      const inner = extent(tree.policy)
      return { retries: Math.min(inner.retries, tree.max - 1), reach: Math.min(inner.reach, tree.max - 1) }
    }
    case "Union": {
      const [left, right] = [extent(tree.left), extent(tree.right)]
      // Two `byError` can take turns, each with its own limit.
      const reach = Math.max(left.reach, right.reach)
      return { retries: Math.min(left.retries + right.retries, reach), reach }
    }
    case "Intersect": {
      const [left, right] = [extent(tree.left), extent(tree.right)]
      return { retries: Math.min(left.retries, right.retries), reach: Math.min(left.reach, right.reach) }
    }
    case "AndThen": {
      const [first, second] = [extent(tree.first), extent(tree.second)]
      return { retries: first.retries + second.retries, reach: first.retries + second.reach }
    }
    case "ByError": {
      const retries = branches(tree).reduce((sum, use) => sum + extent(use).retries, 0)
      // A rule that is not asked keeps its retries for later.
      return { retries, reach: retries === 0 ? 0 : Infinity }
    }
  }
})

/** The most retries, deadlines aside. */
export const maxRetries = (tree: RetryTree): number => extent(tree).retries

/**
 * What holds for hints: as in a step, and `"everywhere"` where no part of the whole policy speaks of hints. Then one
 * that is too long ends every part at once, as an error does that may not be retried.
 */
export type Hints = HintRule | "everywhere"

export const hintsOf = (tree: RetryTree): Hints => hasHintRule(tree) ? "default" : "everywhere"

export const hintsWithin = (above: Hints, tree: HonourHints): Hints =>
  above === "everywhere" ? above : hintRuleWithin(above, tree)

/** Whether the node itself limits hints, rather than leave that to what is round it. */
const limitsHints = (tree: HonourHints, above: Hints): boolean => tree.max !== "never" && above !== "never"

export const hasRules: (tree: RetryTree) => boolean = memoized((tree): boolean =>
  tree._tag === "ByError" || parts(tree).some(hasRules)
)

interface Analysis {
  /** How many failures, the first ones, a part accepts whatever happens (of those that may be retried at all). */
  readonly sure: (tree: RetryTree) => number
  /** Whether entry i of the list is the one of failure i, in a certain scope: see {@link Scope}. */
  readonly keepsOrder: (tree: RetryTree) => boolean
}

const analysisUnder = (hints: Hints): Analysis => {
  const sure: Analysis["sure"] = memoized((tree): number => {
    switch (tree._tag) {
      case "Immediate":
      case "Constant":
      case "Linear":
      case "Exponential":
      case "Fibonacci":
        return hints === "default" ? 0 : Infinity
      case "Jittered":
      case "AtLeast":
      case "Capped":
        return sure(tree.policy)
      case "Attempts":
        return Math.min(tree.max - 1, sure(tree.policy))
      case "HonourHints":
        return limitsHints(tree, hints) ? 0 : under[hintsWithin(hints, tree)].sure(tree.policy)
      case "Union":
        return Math.max(sure(tree.left), sure(tree.right))
      case "Intersect":
        return Math.min(sure(tree.left), sure(tree.right))
      case "AndThen":
        return sure(tree.first) + sure(tree.second)
      case "Never":
      case "Within":
      case "ByError":
        return 0
    }
  })
  const keepsOrder: Analysis["keepsOrder"] = memoized((tree): boolean => {
    switch (tree._tag) {
      case "ByError":
        return false
      case "HonourHints":
        return under[hintsWithin(hints, tree)].keepsOrder(tree.policy)
      case "AndThen":
        return keepsOrder(tree.first) && keepsOrder(tree.second) && sure(tree.first) === maxRetries(tree.first)
      default:
        return parts(tree).every(keepsOrder)
    }
  })
  return { sure, keepsOrder }
}

const under: { readonly [H in Hints]: Analysis } = {
  default: analysisUnder("default"),
  everywhere: analysisUnder("everywhere"),
  limit: analysisUnder("limit"),
  never: analysisUnder("never")
}

export const sure = (tree: RetryTree, hints: Hints): number => under[hints].sure(tree)

const keepsAnyOrder: (tree: RetryTree) => boolean = memoized((tree): boolean =>
  tree._tag !== "ByError" && tree._tag !== "AndThen" && parts(tree).every(keepsAnyOrder)
)

const keepsOrder = (tree: RetryTree, { certain, hints }: Pick<Scope, "certain" | "hints">): boolean =>
  certain ? under[hints].keepsOrder(tree) : keepsAnyOrder(tree)

/** Bounds of one wait: `shortest` and `delay` of what the backoff asks for, `floor` of what a hint may ask for. */
interface Entry {
  readonly shortest: number
  readonly delay: number
  readonly floor: number
  /** No deadline lets a longer wait pass. */
  readonly latest: number
}

interface Scope {
  /** How many failures to bound. */
  readonly count: number
  /** The tightest cap above. */
  readonly ceiling: number
  /** Which failure the i-th may at most be for delays that grow. */
  readonly index: (i: number) => number
  /** Nothing goes on after a failure that may not be retried, so parts cannot come to an end early by one. */
  readonly certain: boolean
  readonly hints: Hints
}

const byOrder = (a: number, b: number): number => a - b

/** At most `count` entries that bound any choice of `count` of them, whatever modifiers come above. */
const anyOf = (all: ReadonlyArray<Entry>, count: number): ReadonlyArray<Entry> => {
  if (all.length <= count) return all
  const shortest = all.map((each) => each.shortest).sort(byOrder)
  const delays = all.map((each) => each.delay).sort(byOrder)
  const floors = all.map((each) => each.floor).sort(byOrder).slice(-count)
  const latest = all.reduce((max, each) => Math.max(max, each.latest), 0)
  // The longest delay beside the lowest floor: that pairing has the greatest sum.
  return floors.map((floor, i) => ({
    shortest: shortest[i] ?? 0,
    delay: delays[all.length - 1 - i] ?? 0,
    floor,
    latest
  }))
}

const eitherInOrder = (left: Entry, right: Entry, leftIsSure: boolean, rightIsSure: boolean): Entry => {
  const shortest = Math.min(left.shortest, right.shortest)
  if (leftIsSure && rightIsSure) return { ...left, shortest, delay: Math.min(left.delay, right.delay) }
  if (leftIsSure) return { ...left, shortest }
  if (rightIsSure) return { ...right, shortest }
  return {
    shortest,
    delay: Math.max(left.delay, right.delay),
    floor: Math.max(left.floor, right.floor),
    latest: Math.max(left.latest, right.latest)
  }
}

const union = (tree: Extract<RetryTree, { readonly _tag: "Union" }>, at: Scope): ReadonlyArray<Entry> => {
  const left = entries(tree.left, { ...at, certain: at.certain && !hasRules(tree.right) })
  const right = entries(tree.right, { ...at, certain: at.certain && !hasRules(tree.left) })
  if (!keepsOrder(tree, at)) return anyOf([...left, ...right], Math.min(at.count, maxRetries(tree)))
  const [sureLeft, sureRight] = [sure(tree.left, at.hints), sure(tree.right, at.hints)]
  const [more, less] = left.length >= right.length ? [left, right] : [right, left]
  return more.map((entry, i) => {
    const other = less[i]
    if (other === undefined) return entry
    return more === left
      ? eitherInOrder(entry, other, i < sureLeft, i < sureRight)
      : eitherInOrder(other, entry, i < sureLeft, i < sureRight)
  })
}

const both = (left: Entry, right: Entry): Entry => ({
  shortest: Math.max(left.shortest, right.shortest),
  delay: Math.max(left.delay, right.delay),
  floor: Math.max(left.floor, right.floor),
  latest: Math.min(left.latest, right.latest)
})

/** One entry for all of a list. */
const worst = (all: ReadonlyArray<Entry>): Entry =>
  all.reduce((a, b) => ({
    shortest: Math.min(a.shortest, b.shortest),
    delay: Math.max(a.delay, b.delay),
    floor: Math.max(a.floor, b.floor),
    latest: Math.max(a.latest, b.latest)
  }), { shortest: Infinity, delay: 0, floor: 0, latest: 0 })

const intersect = (tree: Extract<RetryTree, { readonly _tag: "Intersect" }>, at: Scope): ReadonlyArray<Entry> => {
  const left = entries(tree.left, at)
  const right = entries(tree.right, at)
  const pairs = left.slice(0, right.length)
  if (keepsOrder(tree, at)) return pairs.map((entry, i) => both(entry, right[i] ?? entry))
  const most = both(worst(left), worst(right))
  return pairs.map(() => most)
}

/** How long a hint may be that a leaf honours by itself. */
const defaultFloor = (hints: Hints): number => hints === "default" || hints === "everywhere" ? longestHint : 0

/** An entry under a modifier. What depends on other entries (decorrelated jitter, attempts) is with the callers. */
const modified = (
  tree: Extract<RetryTree, { readonly _tag: "Jittered" | "AtLeast" | "Capped" | "Within" | "HonourHints" }>,
  entry: Entry
): Entry => {
  switch (tree._tag) {
    case "Jittered": {
      if (tree.mode === "decorrelated") return entry
      const [min, max] = jitterRange(tree.mode)
      return { ...entry, shortest: entry.shortest * min, delay: Math.min(longest, entry.delay * max) }
    }
    case "AtLeast":
      return { ...entry, shortest: Math.max(entry.shortest, tree.min), delay: Math.max(entry.delay, tree.min) }
    case "Capped":
      return { ...entry, shortest: Math.min(entry.shortest, tree.max), delay: Math.min(entry.delay, tree.max) }
    case "Within":
      return { ...entry, latest: Math.min(entry.latest, tree.limit) }
    case "HonourHints":
      return tree.max === "never" ? entry : { ...entry, floor: Math.max(entry.floor, tree.max) }
  }
}

const entries = (tree: RetryTree, at: Scope): ReadonlyArray<Entry> => {
  switch (tree._tag) {
    case "Never":
      return []
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci": {
      const shortest = leafDelay(tree, 0)
      const floor = defaultFloor(at.hints)
      return Array.from({ length: at.count }, (_, i): Entry => {
        const delay = leafDelay(tree, at.index(i))
        return { shortest: at.index === inOrder ? delay : shortest, delay, floor, latest: Infinity }
      })
    }
    case "Jittered": {
      const inner = entries(tree.policy, at)
      if (tree.mode !== "decorrelated") return inner.map((entry) => modified(tree, entry))
      const base = baseDelay(tree.policy)
      // It grows with every failure it is asked about, whether it accepts it or not.
      const grown = keepsOrder(tree.policy, at) ? (i: number) => i + 1 : () => at.count
      return inner.map((entry, i) => ({
        ...entry,
        shortest: Math.min(at.ceiling, base),
        delay: Math.min(at.ceiling, longest, base * 3 ** grown(i))
      }))
    }
    case "AtLeast":
    case "Within":
      return entries(tree.policy, at).map((entry) => modified(tree, entry))
    case "HonourHints": {
      const inner = entries(tree.policy, { ...at, hints: hintsWithin(at.hints, tree) })
      return limitsHints(tree, at.hints) ? inner.map((entry) => modified(tree, entry)) : inner
    }
    case "Capped":
      return entries(tree.policy, { ...at, ceiling: Math.min(at.ceiling, tree.max) })
        .map((entry) => modified(tree, entry))
    case "Attempts":
      return entries(tree.policy, { ...at, count: Math.min(at.count, tree.max - 1) })
    case "Union":
      return union(tree, at)
    case "Intersect":
      return intersect(tree, at)
    case "AndThen": {
      const first = entries(tree.first, { ...at, certain: at.certain && !hasRules(tree.second) })
      const second = entries(tree.second, { ...at, index: inOrder })
      const all = [...first, ...second]
      return keepsOrder(tree, at) ? all.slice(0, at.count) : anyOf(all, at.count)
    }
    case "ByError": {
      const last = at.index(Math.max(0, at.count - 1))
      const index = tree.growth === "rule" ? inOrder : () => last
      const rules = tree.rules.flatMap((rule) => entries(rule.use, { ...at, index, certain: true }))
      return anyOf(
        tree.otherwise === "fail" ? rules : [...rules, ...entries(tree.otherwise, { ...at, index })],
        at.count
      )
    }
  }
}

const inOrder = (i: number): number => i

/** How many entries {@link entries} would make of a tree, its parts included. */
const work = (tree: RetryTree, count: number): number => {
  switch (tree._tag) {
    case "Attempts":
      return work(tree.policy, Math.min(count, tree.max - 1))
    default:
      return Math.min(count, maxRetries(tree)) + parts(tree).reduce((sum, part) => sum + work(part, count), 0)
  }
}

/** One entry that bounds every wait of a tree in its first `count` failures, and after that many of the call. */
const extreme = (tree: RetryTree, at: Pick<Scope, "count" | "ceiling" | "hints">): Entry => {
  switch (tree._tag) {
    case "Never":
      return worst([])
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return {
        shortest: leafDelay(tree, 0),
        delay: leafDelay(tree, at.count - 1),
        floor: defaultFloor(at.hints),
        latest: Infinity
      }
    case "Jittered": {
      const inner = extreme(tree.policy, at)
      if (tree.mode !== "decorrelated") return modified(tree, inner)
      const base = baseDelay(tree.policy)
      return {
        ...inner,
        shortest: Math.min(at.ceiling, base),
        delay: Math.min(at.ceiling, longest, base * 3 ** at.count)
      }
    }
    case "Capped":
      return modified(tree, extreme(tree.policy, { ...at, ceiling: Math.min(at.ceiling, tree.max) }))
    case "AtLeast":
    case "Within":
      return modified(tree, extreme(tree.policy, at))
    case "HonourHints": {
      const inner = extreme(tree.policy, { ...at, hints: hintsWithin(at.hints, tree) })
      return limitsHints(tree, at.hints) ? modified(tree, inner) : inner
    }
    case "Attempts":
      // Under `growth: "call"` delays grow with failures that are not counted here.
      return extreme(tree.policy, at)
    case "Intersect":
      return both(extreme(tree.left, at), extreme(tree.right, at))
    case "Union":
    case "AndThen":
    case "ByError":
      return worst(parts(tree).map((part) => extreme(part, at)))
  }
}

/** More entries than these would take too much time and memory: then every wait counts as the longest of all. */
const mostWork = 4_000_000

/** The waits of the first `count` retries. */
const waitsOf = (tree: RetryTree, count: number, hints: Hints): ReadonlyArray<Entry> =>
  work(tree, count) > mostWork
    ? new Array<Entry>(Math.min(count, maxRetries(tree))).fill(extreme(tree, { count, ceiling: longest, hints }))
    : entries(tree, { count, ceiling: longest, index: inOrder, certain: true, hints })

/** The time from the first attempt's start after which no wait can end. */
const deadline = (tree: RetryTree): number => {
  switch (tree._tag) {
    case "Within":
      return Math.min(tree.limit, deadline(tree.policy))
    case "Jittered":
    case "AtLeast":
    case "Capped":
    case "Attempts":
    case "HonourHints":
      return deadline(tree.policy)
    case "Intersect":
      return Math.min(deadline(tree.left), deadline(tree.right))
    case "Union":
      return Math.max(deadline(tree.left), deadline(tree.right))
    case "AndThen":
      return Math.max(deadline(tree.first), deadline(tree.second))
    case "ByError":
      return branches(tree).reduce((latest, use) => Math.max(latest, deadline(use)), 0)
    case "Never":
      return 0
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return Infinity
  }
}

export interface Bounds {
  readonly attempts: number
  readonly wait: number
  readonly duration: number
}

/** Past this many retries only a deadline bounds the waits: a list of them all would only cost memory. */
const listed = 100_000

/** How many waits, even the shortest ones, end before the deadline. */
const fitting = (shortest: ReadonlyArray<number>, end: number): number => {
  let sum = 0
  // The share makes good for rounding where delays are fractions.
  const tooLate = shortest.findIndex((wait) => (sum += wait) > end * (1 + 1e-9))
  return tooLate === -1 ? shortest.length : tooLate
}

/** The most retries, deadlines included. */
const retriesWithin = (tree: RetryTree, end: number, hints: Hints): number => {
  const most = maxRetries(tree)
  if (end === Infinity) return most
  for (let count = 128; count <= listed; count *= 8) {
    const all = waitsOf(tree, Math.min(most, count), hints).map((entry) => entry.shortest)
    const retries = fitting(keepsOrder(tree, { certain: true, hints }) ? all : all.sort(byOrder), end)
    if (retries < count) return retries
    // Waits that may be nothing after so many failures most likely always may: no deadline limits them.
    if (count > 1_000 && all.at(-1) === 0) return most
  }
  return most
}

/**
 * With `hints` of `"limit"` only hints count that the policy speaks of: how long it waits where nobody asks for more
 * than what was written.
 */
export const bounds = (tree: RetryTree, attemptTimeout: number, hints: Hints = hintsOf(tree)): Bounds => {
  const end = deadline(tree)
  const retries = retriesWithin(tree, end, hints)
  const waits = retries <= listed
    ? waitsOf(tree, retries, hints)
      .reduce((sum, { delay, floor, latest }) => sum + Math.min(Math.max(delay, floor), latest), 0)
    : Infinity
  const wait = Math.min(waits, end)
  return {
    attempts: retries + 1,
    wait,
    duration: Math.min((attemptTimeout === 0 ? 0 : (retries + 1) * attemptTimeout) + wait, end + attemptTimeout)
  }
}
