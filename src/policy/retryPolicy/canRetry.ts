/**
 * Whether a policy can ever retry: what it says about the first failure, at once, with the luckiest draw and no hint,
 * for every error that it names and for one that it does not. All of them are answered in one pass over the tree.
 */
import { intersectionOf, leastOf, unionOf, type Waits } from "../shared/retryStep.ts"
import {
  baseDelay,
  type ByError,
  decorrelated,
  jittered,
  leafDelay,
  longest,
  type RetryTree
} from "../shared/retryTree.ts"
import { hasRules, type Hints, hintsOf, hintsWithin, sure } from "./bounds.ts"

/** The waits that are accepted after the first failure, by the tag of the error. */
interface Answers {
  readonly byTag: ReadonlyMap<string, ReadonlyArray<Waits>>
  /** For every error that is not in the map. */
  readonly others: ReadonlyArray<Waits>
}

export const canRetry = (tree: RetryTree): boolean => {
  const { byTag, others } = answersOf(eitherPart(tree, hintsOf(tree)), longest)
  if (leastOf(others) !== undefined) return true
  for (const waits of byTag.values()) if (leastOf(waits) !== undefined) return true
  return false
}

/** The tree with `andThen` replaced by what it may do about the first failure, so that luck only ever helps. */
const eitherPart = (tree: RetryTree, hints: Hints): RetryTree => {
  switch (tree._tag) {
    case "AndThen": {
      const first = eitherPart(tree.first, hints)
      return sure(tree.first, hints) > 0 && !hasRules(tree.second)
        ? first
        : { _tag: "Union", left: first, right: eitherPart(tree.second, hints) }
    }
    case "Union":
    case "Intersect":
      return { ...tree, left: eitherPart(tree.left, hints), right: eitherPart(tree.right, hints) }
    case "ByError":
      return {
        ...tree,
        rules: tree.rules.map(({ on, use }) => ({ on, use: eitherPart(use, hints) })),
        otherwise: tree.otherwise === "fail" ? "fail" : eitherPart(tree.otherwise, hints)
      }
    case "HonourHints":
      return { ...tree, policy: eitherPart(tree.policy, hintsWithin(hints, tree)) }
    default:
      return "policy" in tree ? { ...tree, policy: eitherPart(tree.policy, hints) } : tree
  }
}

const nothing: Answers = { byTag: new Map(), others: [] }

/** `ceiling` is the tightest cap above. */
const answersOf = (tree: RetryTree, ceiling: number): Answers => {
  switch (tree._tag) {
    case "Never":
      return nothing
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return { byTag: new Map(), others: [{ delay: leafDelay(tree, 0), floor: 0, latest: Infinity }] }
    case "Jittered": {
      const { mode, policy } = tree
      const base = baseDelay(policy)
      return changed(answersOf(policy, ceiling), (waits) => ({
        ...waits,
        delay: mode === "decorrelated" ? decorrelated(base, base, ceiling, 0) : jittered(mode, waits.delay, 0)
      }))
    }
    case "AtLeast":
      return changed(answersOf(tree.policy, ceiling), (waits) => ({ ...waits, delay: Math.max(waits.delay, tree.min) }))
    case "Capped":
      return changed(answersOf(tree.policy, Math.min(ceiling, tree.max)), (waits) => ({
        ...waits,
        delay: Math.min(waits.delay, tree.max)
      }))
    case "Within":
      return changed(answersOf(tree.policy, ceiling), (waits) => ({
        ...waits,
        latest: Math.min(waits.latest, tree.limit)
      }))
    case "Attempts":
    case "HonourHints":
      return answersOf(tree.policy, ceiling)
    case "Union":
      return joined(answersOf(tree.left, ceiling), answersOf(tree.right, ceiling), unionOf)
    case "Intersect":
      return joined(answersOf(tree.left, ceiling), answersOf(tree.right, ceiling), intersectionOf)
    case "AndThen":
      return answersOf(tree.first, ceiling)
    case "ByError":
      return byRules(tree, ceiling)
  }
}

const changed = ({ byTag, others }: Answers, f: (waits: Waits) => Waits): Answers => ({
  byTag: new Map(Array.from(byTag, ([tag, waits]) => [tag, waits.map(f)])),
  others: others.map(f)
})

const joined = (left: Answers, right: Answers, join: typeof unionOf): Answers => {
  const byTag = new Map(
    Array.from(left.byTag, ([tag, waits]) => [tag, join(waits, right.byTag.get(tag) ?? right.others)] as const)
  )
  for (const [tag, waits] of right.byTag) if (!byTag.has(tag)) byTag.set(tag, join(left.others, waits))
  return { byTag, others: join(left.others, right.others) }
}

const byRules = (tree: ByError, ceiling: number): Answers => {
  const { byTag: rest, others } = tree.otherwise === "fail" ? nothing : answersOf(tree.otherwise, ceiling)
  const byTag = new Map(rest)
  const named = new Set<string>()
  for (const { on, use } of tree.rules) {
    const answers = answersOf(use, ceiling)
    for (const tag of on) {
      // The first rule that names an error decides.
      if (!named.has(tag)) byTag.set(tag, answers.byTag.get(tag) ?? answers.others)
      named.add(tag)
    }
  }
  return { byTag, others }
}
