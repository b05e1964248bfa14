/**
 * The worst that a retry policy can do, from the tree alone. Every number is an upper bound that no run exceeds; it is
 * reached where parts do not limit each other in ways that depend on what happens.
 *
 * Every part of a tree is asked about the failures of its scope (the call, a rule of `byError`, the time after
 * `andThen` moved on), numbered from 0. Its waits are bounded by a list of entries: entry i for failure i where the tree
 * keeps that order, otherwise in any order, one entry for each retry.
 */
import { start, step } from "../shared/retryStep.ts"
import { baseDelay, type ByError, jitterRange, leafDelay, longest, type RetryTree } from "../shared/retryTree.ts"

const branches = (tree: ByError): ReadonlyArray<RetryTree> => [
  ...tree.rules.map((rule) => rule.use),
  ...(tree.otherwise === "fail" ? [] : [tree.otherwise])
]

/** How many failures a part can accept, and the number of the failure from which on it accepts none. */
interface Extent {
  readonly retries: number
  readonly reach: number
}

const extent = (tree: RetryTree): Extent => {
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
}

/** The most retries, deadlines aside. */
export const maxRetries = (tree: RetryTree): number => extent(tree).retries

/** How many failures, the first ones, a part accepts whatever happens (of those that may be retried at all). */
const sure = (tree: RetryTree): number => {
  switch (tree._tag) {
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return Infinity
    case "Jittered":
    case "AtLeast":
    case "Capped":
      return sure(tree.policy)
    case "Attempts":
      return Math.min(tree.max - 1, sure(tree.policy))
    case "Union":
      return Math.max(sure(tree.left), sure(tree.right))
    case "Intersect":
      return Math.min(sure(tree.left), sure(tree.right))
    case "AndThen":
      return sure(tree.first) + sure(tree.second)
    case "Never":
    case "Within":
    case "HonourHints":
    case "ByError":
      return 0
  }
}

const hasRules = (tree: RetryTree): boolean => {
  switch (tree._tag) {
    case "ByError":
      return true
    case "Union":
    case "Intersect":
      return hasRules(tree.left) || hasRules(tree.right)
    case "AndThen":
      return hasRules(tree.first) || hasRules(tree.second)
    default:
      return "policy" in tree && hasRules(tree.policy)
  }
}

/** Whether entry i of the list is the one of failure i. `certain`: see {@link Scope}. */
const keepsOrder = (tree: RetryTree, certain: boolean): boolean => {
  switch (tree._tag) {
    case "ByError":
      return false
    case "AndThen":
      return certain && keepsOrder(tree.first, certain) && keepsOrder(tree.second, certain) &&
        sure(tree.first) === maxRetries(tree.first)
    case "Union":
    case "Intersect":
      return keepsOrder(tree.left, certain) && keepsOrder(tree.right, certain)
    default:
      return "policy" in tree ? keepsOrder(tree.policy, certain) : true
  }
}

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
  if (!keepsOrder(tree, at.certain)) return anyOf([...left, ...right], Math.min(at.count, maxRetries(tree)))
  const [sureLeft, sureRight] = [sure(tree.left), sure(tree.right)]
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
  if (keepsOrder(tree, at.certain)) return pairs.map((entry, i) => both(entry, right[i] ?? entry))
  const most = both(worst(left), worst(right))
  return pairs.map(() => most)
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
      return Array.from({ length: at.count }, (_, i): Entry => {
        const delay = leafDelay(tree, at.index(i))
        return { shortest: at.index === inOrder ? delay : shortest, delay, floor: 0, latest: Infinity }
      })
    }
    case "Jittered": {
      const { mode } = tree
      const inner = entries(tree.policy, at)
      if (mode !== "decorrelated") {
        const [min, max] = jitterRange(mode)
        return inner.map((entry) => ({
          ...entry,
          shortest: entry.shortest * min,
          delay: Math.min(longest, entry.delay * max)
        }))
      }
      const base = baseDelay(tree.policy)
      // It grows with every failure it is asked about, whether it accepts it or not.
      const grown = keepsOrder(tree.policy, at.certain) ? (i: number) => i + 1 : () => at.count
      return inner.map((entry, i) => ({
        ...entry,
        shortest: Math.min(at.ceiling, base),
        delay: Math.min(at.ceiling, longest, base * 3 ** grown(i))
      }))
    }
    case "AtLeast":
      return entries(tree.policy, at).map((entry) => ({
        ...entry,
        shortest: Math.max(entry.shortest, tree.min),
        delay: Math.max(entry.delay, tree.min)
      }))
    case "Capped":
      return entries(tree.policy, { ...at, ceiling: Math.min(at.ceiling, tree.max) }).map((entry) => ({
        ...entry,
        shortest: Math.min(entry.shortest, tree.max),
        delay: Math.min(entry.delay, tree.max)
      }))
    case "Attempts":
      return entries(tree.policy, { ...at, count: Math.min(at.count, tree.max - 1) })
    case "Within":
      return entries(tree.policy, at).map((entry) => ({ ...entry, latest: Math.min(entry.latest, tree.limit) }))
    case "HonourHints":
      return entries(tree.policy, at).map((entry) => ({ ...entry, floor: Math.max(entry.floor, tree.max) }))
    case "Union":
      return union(tree, at)
    case "Intersect":
      return intersect(tree, at)
    case "AndThen": {
      const first = entries(tree.first, { ...at, certain: at.certain && !hasRules(tree.second) })
      const second = entries(tree.second, { ...at, index: inOrder })
      const all = [...first, ...second]
      return keepsOrder(tree, at.certain) ? all.slice(0, at.count) : anyOf(all, at.count)
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

const root = (count: number): Scope => ({ count, ceiling: longest, index: inOrder, certain: true })

/** How many waits, even the shortest ones, end before the deadline. */
const fitting = (shortest: ReadonlyArray<number>, end: number): number => {
  let sum = 0
  // The share makes good for rounding where delays are fractions.
  const tooLate = shortest.findIndex((wait) => (sum += wait) > end * (1 + 1e-9))
  return tooLate === -1 ? shortest.length : tooLate
}

/** The most retries, deadlines included. */
const retriesWithin = (tree: RetryTree, end: number): number => {
  const most = maxRetries(tree)
  if (end === Infinity) return most
  for (let count = 128; count <= listed; count *= 8) {
    const all = entries(tree, root(Math.min(most, count))).map((entry) => entry.shortest)
    const retries = fitting(keepsOrder(tree, true) ? all : all.sort(byOrder), end)
    if (retries < count) return retries
    // Waits that may be nothing after so many failures most likely always may: no deadline limits them.
    if (count > 1_000 && all.at(-1) === 0) return most
  }
  return most
}

export const bounds = (tree: RetryTree, attemptTimeout: number): Bounds => {
  const end = deadline(tree)
  const retries = retriesWithin(tree, end)
  const waits = retries <= listed
    ? entries(tree, root(retries))
      .reduce((sum, { delay, floor, latest }) => sum + Math.min(Math.max(delay, floor), latest), 0)
    : Infinity
  const wait = Math.min(waits, end)
  return {
    attempts: retries + 1,
    wait,
    duration: Math.min((attemptTimeout === 0 ? 0 : (retries + 1) * attemptTimeout) + wait, end + attemptTimeout)
  }
}

const tags = (tree: RetryTree): ReadonlyArray<string> => {
  switch (tree._tag) {
    case "ByError":
      return [...tree.rules.flatMap((rule) => rule.on), ...branches(tree).flatMap(tags)]
    case "Union":
    case "Intersect":
      return [...tags(tree.left), ...tags(tree.right)]
    case "AndThen":
      return [...tags(tree.first), ...tags(tree.second)]
    default:
      return "policy" in tree ? tags(tree.policy) : []
  }
}

/** The tree with `andThen` replaced by what it may do about the first failure, so that luck only ever helps. */
const eitherPart = (tree: RetryTree): RetryTree => {
  switch (tree._tag) {
    case "AndThen": {
      const first = eitherPart(tree.first)
      return sure(tree.first) > 0 && !hasRules(tree.second)
        ? first
        : { _tag: "Union", left: first, right: eitherPart(tree.second) }
    }
    case "Union":
    case "Intersect":
      return { ...tree, left: eitherPart(tree.left), right: eitherPart(tree.right) }
    case "ByError":
      return {
        ...tree,
        rules: tree.rules.map(({ on, use }) => ({ on, use: eitherPart(use) })),
        otherwise: tree.otherwise === "fail" ? "fail" : eitherPart(tree.otherwise)
      }
    default:
      return "policy" in tree ? { ...tree, policy: eitherPart(tree.policy) } : tree
  }
}

/** Whether any retry can ever happen: the first failure, at once, with the luckiest draw and no hint. */
export const canRetry = (tree: RetryTree): boolean => {
  const named = tags(tree)
  const state = start(eitherPart(tree), 0)
  return [...named, `not ${named.join()}`].some((tag) =>
    step(state, { tag, retryable: true, forbidden: false }, 0, 0)[1]._tag === "Wait"
  )
}
