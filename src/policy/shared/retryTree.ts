/**
 * What a retry policy is made of: a tree of plain data. Times are milliseconds. The optional fields at the end of a
 * node are its progress, so that the state of a running retry is again a tree: the policy that remains.
 */

export type Jitter =
  | "none"
  | "full"
  | "equal"
  | "decorrelated"
  | { readonly ratio: number }
  | { readonly min: number; readonly max: number }

export type RetryTree =
  | { readonly _tag: "Never" }
  | { readonly _tag: "Immediate" }
  | { readonly _tag: "Constant"; readonly delay: number }
  | { readonly _tag: "Linear"; readonly initial: number; readonly increment: number }
  | { readonly _tag: "Exponential"; readonly initial: number; readonly factor: number }
  | { readonly _tag: "Fibonacci"; readonly initial: number }
  | Jittered
  | { readonly _tag: "AtLeast"; readonly policy: RetryTree; readonly min: number }
  | { readonly _tag: "Capped"; readonly policy: RetryTree; readonly max: number }
  | { readonly _tag: "Attempts"; readonly policy: RetryTree; readonly max: number }
  | { readonly _tag: "Within"; readonly policy: RetryTree; readonly limit: number }
  | HonourHints
  | { readonly _tag: "Union"; readonly left: RetryTree; readonly right: RetryTree }
  | { readonly _tag: "Intersect"; readonly left: RetryTree; readonly right: RetryTree }
  | AndThen
  | ByError

/** The part of the trees that never stops: how long to wait, without any limit. */
export type GrowthTree =
  | Leaf
  | (Jittered & { readonly policy: GrowthTree })
  | { readonly _tag: "AtLeast"; readonly policy: GrowthTree; readonly min: number }
  | { readonly _tag: "Capped"; readonly policy: GrowthTree; readonly max: number }

/**
 * How long a wait the other side may ask for. Where no such node stands round a part, its hints are honoured up to
 * {@link longestHint}. The outermost node decides: a
 * tighter limit within it still holds, and under `"never"` no hint is honoured within.
 */
export interface HonourHints {
  readonly _tag: "HonourHints"
  readonly policy: RetryTree
  readonly max: number | "never"
}

export interface Jittered {
  readonly _tag: "Jittered"
  readonly policy: RetryTree
  readonly mode: Jitter
  /** Progress: the delay chosen last, which decorrelated jitter grows from. */
  readonly previous?: number
}

export interface AndThen {
  readonly _tag: "AndThen"
  readonly first: RetryTree
  readonly second: RetryTree
  /** Progress: how many failures `second` has been asked about; absent while `first` is in charge. */
  readonly used?: number
}

export interface Rule {
  readonly on: ReadonlyArray<string>
  readonly use: RetryTree
}

export interface ByError {
  readonly _tag: "ByError"
  readonly rules: ReadonlyArray<Rule>
  readonly otherwise: "fail" | RetryTree
  /** Whether a delay grows with the failures of its own rule, or with all failures of the call. */
  readonly growth: "rule" | "call"
  /** Progress: how many failures each rule has been asked about; the last place is `otherwise`. */
  readonly used?: ReadonlyArray<number>
}

/** The longest hint that is honoured where a policy says nothing of hints, in milliseconds. */
export const longestHint = 60_000

/**
 * What the nodes above a part demand for hints: `"default"` is nothing, so that the part honours them up to the longest;
 * `"limit"` is a limit, which the node that has it enforces; `"never"` is that none is honoured.
 */
export type HintRule = "default" | "limit" | "never"

/** The rule for the part within a node: the outermost node decides. */
export const hintRuleWithin = (above: HintRule, { max }: HonourHints): HintRule =>
  above !== "default" ? above : max === "never" ? "never" : "limit"

/**
 * How many policies may be in one another, the innermost included: in code, in a file and in a tree. 65 objects of a
 * file, each with all six modifiers round it, have that many levels. The stack bears twice as many.
 */
export const maxDepth = 65 * 7

export const allowedDepth = `at most ${maxDepth} levels of policies in one another`

/** Keeps the result for each part of a tree, so that asking again at every level costs nothing. */
export const memoized = <A extends {}>(f: (tree: RetryTree) => A): (tree: RetryTree) => A => {
  const results = new WeakMap<RetryTree, A>()
  return (tree) => {
    const known = results.get(tree)
    if (known !== undefined) return known
    const result = f(tree)
    results.set(tree, result)
    return result
  }
}

/** The policies of the rules, and the one for errors that no rule names. */
export const branches = (tree: ByError): ReadonlyArray<RetryTree> => {
  const uses = tree.rules.map((rule) => rule.use)
  if (tree.otherwise !== "fail") uses.push(tree.otherwise)
  return uses
}

/** The policies that a policy is made of. */
export const parts = (tree: RetryTree): ReadonlyArray<RetryTree> => {
  switch (tree._tag) {
    case "Never":
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return []
    case "Union":
    case "Intersect":
      return [tree.left, tree.right]
    case "AndThen":
      return [tree.first, tree.second]
    case "ByError":
      return branches(tree)
    default:
      return [tree.policy]
  }
}

export const hasHintRule: (tree: RetryTree) => boolean = memoized((tree): boolean =>
  tree._tag === "HonourHints" || parts(tree).some(hasHintRule)
)

/** How many levels a tree has. Those of its parts are known since they were built, so this does not go deep. */
export const depthOf: (tree: RetryTree) => number = memoized((tree) =>
  1 + parts(tree).reduce((most, part) => Math.max(most, depthOf(part)), 0)
)

/** The longest delay: what an overflowing formula gives. */
export const longest = Number.MAX_SAFE_INTEGER

const clamp = (delay: number): number => Number.isNaN(delay) ? longest : Math.min(Math.max(delay, 0), longest)

const fibonacci = (index: number): number => {
  let [a, b] = [1, 1]
  for (let i = 0; i < index && a < longest; i++) [a, b] = [b, a + b]
  return a
}

export type Leaf = Extract<
  RetryTree,
  { readonly _tag: "Immediate" | "Constant" | "Linear" | "Exponential" | "Fibonacci" }
>

export const isLeaf = (tree: RetryTree): tree is Leaf => tree._tag !== "Never" && parts(tree).length === 0

/** Whether nothing in a tree can stop, so that it says only how long to wait. */
export const isGrowth = (tree: RetryTree): tree is GrowthTree =>
  tree._tag === "Jittered" || tree._tag === "AtLeast" || tree._tag === "Capped" ? isGrowth(tree.policy) : isLeaf(tree)

/** The delay a leaf asks for after failure number `index`, counted from 0. */
export const leafDelay = (leaf: Leaf, index: number): number => {
  switch (leaf._tag) {
    case "Immediate":
      return 0
    case "Constant":
      return leaf.delay
    case "Linear":
      return clamp(leaf.initial + leaf.increment * index)
    case "Exponential":
      return clamp(leaf.initial * leaf.factor ** index)
    case "Fibonacci":
      return clamp(leaf.initial * fibonacci(index))
  }
}

/** The share of a delay that jitter leaves, for the lowest and the highest draw. Decorrelated has its own formula. */
export const jitterRange = (mode: Exclude<Jitter, "decorrelated">): readonly [min: number, max: number] =>
  mode === "none"
    ? [1, 1]
    : mode === "full"
    ? [0, 1]
    : mode === "equal"
    ? [0.5, 1]
    : "ratio" in mode
    ? [1 - mode.ratio, 1 + mode.ratio]
    : [mode.min, mode.max]

/** A delay with jitter: `random` from 0 (lowest) to 1 (highest). */
export const jittered = (mode: Exclude<Jitter, "decorrelated">, delay: number, random: number): number => {
  const [min, max] = jitterRange(mode)
  return clamp(delay * (min + (max - min) * random))
}

/**
 * Decorrelated jitter: between the base and three times the previous delay, at most the ceiling.
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export const decorrelated = (base: number, previous: number, ceiling: number, random: number): number =>
  Math.min(ceiling, clamp(base + Math.max(0, 3 * previous - base) * random))

/** The first delay of a tree before jitter: the base that decorrelated jitter starts from. */
export const baseDelay = (tree: RetryTree): number => {
  switch (tree._tag) {
    case "Never":
      return longest
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return leafDelay(tree, 0)
    case "AtLeast":
      return Math.max(tree.min, baseDelay(tree.policy))
    case "Capped":
      return Math.min(tree.max, baseDelay(tree.policy))
    case "Jittered":
    case "Attempts":
    case "Within":
    case "HonourHints":
      return baseDelay(tree.policy)
    case "Union":
      return Math.min(baseDelay(tree.left), baseDelay(tree.right))
    case "Intersect":
      return Math.max(baseDelay(tree.left), baseDelay(tree.right))
    case "AndThen":
      return baseDelay(tree.first)
    case "ByError":
      return branches(tree).reduce((least, use) => Math.min(least, baseDelay(use)), longest)
  }
}

/** The deadline that holds for every wait of a tree; `Infinity` where only a part of it has one. */
export const outerLimit = (tree: RetryTree): number => {
  switch (tree._tag) {
    case "Within":
      return Math.min(tree.limit, outerLimit(tree.policy))
    case "Jittered":
    case "AtLeast":
    case "Capped":
    case "Attempts":
    case "HonourHints":
      return outerLimit(tree.policy)
    default:
      return Infinity
  }
}
