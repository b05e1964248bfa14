/**
 * A retry policy as JSON, in two spellings that may be mixed at every level. The flat one is what a person writes:
 * one object whose fields apply in a fixed order. The tree is what a program writes: one object a node, in any order.
 */
import {
  allowedDuration,
  at,
  duration,
  fields,
  formatDuration,
  integer,
  list,
  number,
  oneOf,
  optional,
  type Reader,
  type Report,
  required,
  text
} from "../../internal/reader.ts"
import { isRecord } from "../../internal/record.ts"
import {
  allowedDepth,
  type ByError,
  depthOf,
  type Jitter,
  type Leaf,
  maxDepth,
  type RetryTree,
  type Rule
} from "./retryTree.ts"

type Json = Readonly<Record<string, unknown>>

/** The ranges of all numbers, named once: constructors, files and documents quote them. */
export const ranges = {
  factor: number(1, 100, "a number from 1 to 100"),
  attempts: integer(
    2,
    100_000,
    "a whole number from 2 to 100000: attempts in total, the first included (for no retry at all, use \"never\")"
  ),
  ratio: number(Number.MIN_VALUE, 1, "a number above 0, at most 1"),
  share: number(0, 10, "a number from 0 to 10"),
  delay: duration(`${allowedDuration} (for no wait at all, use "immediate")`),
  duration: duration(),
  hint: duration(`${allowedDuration}, or "never"`),
  tags: list(text, "a list of error tags that is not empty")
}

const jitterNames = ["none", "full", "equal", "decorrelated"] as const
const allowedJitter = `one of ${jitterNames.map((name) => `"${name}"`).join(", ")}, { "ratio": 0.2 }` +
  `, or { "min": 0.75, "max": 1 }`

export const readJitter: Reader<Jitter> = (value, path, report) => {
  if (!isRecord(value)) {
    const name = jitterNames.find((each) => each === value)
    if (name === undefined) report.problems.push({ path, found: value, allowed: allowedJitter })
    return name
  }
  if ("ratio" in value) {
    fields(value, path, ["ratio"], report, allowedJitter)
    const ratio = required(value, "ratio", path, ranges.ratio, report)
    return ratio === undefined ? undefined : { ratio }
  }
  fields(value, path, ["min", "max"], report, allowedJitter)
  const min = required(value, "min", path, ranges.share, report)
  const max = required(value, "max", path, ranges.share, report)
  if (min === undefined || max === undefined) return undefined
  if (min > max || max === 0) {
    report.problems.push({ path, found: value, allowed: "min not above max, and max above 0" })
    return undefined
  }
  return { min, max }
}

const leafFields = {
  never: [],
  immediate: [],
  constant: ["delay"],
  linear: ["initial", "increment"],
  exponential: ["initial", "factor"],
  fibonacci: ["initial"]
} as const

type LeafName = keyof typeof leafFields

const leafNames = ["never", "immediate", "constant", "linear", "exponential", "fibonacci"] as const
const readLeafName = oneOf(...leafNames)

/** The fields of a leaf, wherever they stand. */
const readLeaf = (name: LeafName, value: Json, path: string, report: Report): RetryTree | undefined => {
  switch (name) {
    case "never":
      return { _tag: "Never" }
    case "immediate":
      return { _tag: "Immediate" }
    case "constant": {
      const delay = required(value, "delay", path, ranges.delay, report)
      return delay === undefined ? undefined : { _tag: "Constant", delay }
    }
    case "linear": {
      const initial = required(value, "initial", path, ranges.delay, report)
      const increment = optional(value, "increment", path, ranges.delay, report)
      return initial === undefined ? undefined : { _tag: "Linear", initial, increment: increment ?? initial }
    }
    case "exponential": {
      const initial = required(value, "initial", path, ranges.delay, report)
      const factor = optional(value, "factor", path, ranges.factor, report)
      return initial === undefined ? undefined : { _tag: "Exponential", initial, factor: factor ?? defaultFactor }
    }
    case "fibonacci": {
      const initial = required(value, "initial", path, ranges.delay, report)
      return initial === undefined ? undefined : { _tag: "Fibonacci", initial }
    }
  }
}

export const defaultFactor = 2

const writeLeaf = (tree: Leaf | { readonly _tag: "Never" }): Json => {
  switch (tree._tag) {
    case "Never":
    case "Immediate":
      return {}
    case "Constant":
      return { delay: formatDuration(tree.delay) }
    case "Linear":
      return { initial: formatDuration(tree.initial), increment: formatDuration(tree.increment) }
    case "Exponential":
      return { initial: formatDuration(tree.initial), factor: tree.factor }
    case "Fibonacci":
      return { initial: formatDuration(tree.initial) }
  }
}

// ---- modifiers: the same five in both spellings, in the order in which the flat spelling applies them ----

const modifiers = ["jitter", "atLeast", "cap", "attempts", "within", "honourHints"] as const
type Modifier = (typeof modifiers)[number]

/** Puts a modifier round a policy; `read` says whether its field may be left out. */
const wrap = (
  policy: RetryTree,
  name: Modifier,
  value: Json,
  path: string,
  report: Report,
  read: typeof optional = optional
): RetryTree => {
  const millis = (): number | undefined => read(value, name, path, ranges.duration, report)
  switch (name) {
    case "jitter": {
      const mode = read(value, name, path, readJitter, report)
      return mode === undefined ? policy : { _tag: "Jittered", policy, mode }
    }
    case "atLeast": {
      const min = millis()
      return min === undefined ? policy : { _tag: "AtLeast", policy, min }
    }
    case "cap": {
      const max = millis()
      return max === undefined ? policy : { _tag: "Capped", policy, max }
    }
    case "attempts": {
      const max = read(value, name, path, ranges.attempts, report)
      return max === undefined ? policy : { _tag: "Attempts", policy, max }
    }
    case "within": {
      const limit = millis()
      return limit === undefined ? policy : { _tag: "Within", policy, limit }
    }
    case "honourHints": {
      const max = value[name] === "never" ? "never" : read(value, name, path, ranges.hint, report)
      return max === undefined ? policy : { _tag: "HonourHints", policy, max }
    }
  }
}

const tagOf = {
  jitter: "Jittered",
  atLeast: "AtLeast",
  cap: "Capped",
  attempts: "Attempts",
  within: "Within",
  honourHints: "HonourHints"
} as const

type Wrapped = Extract<RetryTree, { readonly _tag: (typeof tagOf)[Modifier] }>

const writeModifier = (tree: Wrapped): unknown => {
  switch (tree._tag) {
    case "Jittered":
      return tree.mode
    case "AtLeast":
      return formatDuration(tree.min)
    case "Capped":
      return formatDuration(tree.max)
    case "HonourHints":
      return tree.max === "never" ? "never" : formatDuration(tree.max)
    case "Attempts":
      return tree.max
    case "Within":
      return formatDuration(tree.limit)
  }
}

const isWrapped = (tree: RetryTree): tree is Wrapped => modifiers.some((name) => tagOf[name] === tree._tag)

// ---- reading ----

const whatPolicyIs = `a policy: { "backoff": ${leafNames.map((name) => `"${name}"`).join(" | ")}, ... }, ` +
  `{ "byError": [...] }, or a node of the full tree with "_tag"`

export const read: Reader<RetryTree> = (value, path, report) => readAt(value, path, report, 1)

/** One object may be several levels of the tree, so both are counted: what is read here can be written in any spelling. */
const readAt = (value: unknown, path: string, report: Report, depth: number): RetryTree | undefined => {
  const tree = depth > maxDepth ? undefined : readLevel(value, path, report, depth)
  if (depth <= maxDepth && (tree === undefined || depthOf(tree) <= maxDepth)) return tree
  report.problems.push({ path, found: value, allowed: allowedDepth })
  return undefined
}

const readLevel = (value: unknown, path: string, report: Report, depth: number): RetryTree | undefined => {
  if (!isRecord(value)) {
    report.problems.push({ path, found: value, allowed: whatPolicyIs })
    return undefined
  }
  return "_tag" in value
    ? readNode(value, path, report, depth)
    : "byError" in value
    ? readFlatRules(value, path, report, depth)
    : "backoff" in value
    ? readFlat(value, path, report, [])
    : readUnknown(value, path, report)
}

const leafReaders = {
  delay: ranges.delay,
  initial: ranges.delay,
  increment: ranges.delay,
  factor: ranges.factor
} as const

/** Without a known `backoff` there is no telling what is meant, but what fits no policy at all is wrong all the same. */
const readRest = (value: Json, path: string, report: Report, also: ReadonlyArray<string>): undefined => {
  fields(value, path, ["backoff", ...Object.keys(leafReaders), ...modifiers, ...also], report, whatPolicyIs)
  for (const [name, read] of Object.entries(leafReaders)) optional(value, name, path, read, report)
  modify({ _tag: "Never" }, value, path, report)
  return undefined
}

const readUnknown = (value: Json, path: string, report: Report): undefined => {
  report.problems.push({
    path: at(path, "backoff"),
    found: undefined,
    allowed: `one of ${leafNames.map((name) => `"${name}"`).join(", ")} (or "byError" with a list of rules)`
  })
  return readRest(value, path, report, [])
}

const modify = (policy: RetryTree, value: Json, path: string, report: Report): RetryTree =>
  modifiers.reduce((tree, name) => wrap(tree, name, value, path, report), policy)

const readFlat = (value: Json, path: string, report: Report, also: ReadonlyArray<string>): RetryTree | undefined => {
  const name = required(value, "backoff", path, readLeafName, report)
  if (name === undefined) return readRest(value, path, report, also)
  fields(value, path, ["backoff", ...leafFields[name], ...modifiers, ...also], report, whatPolicyIs)
  const leaf = readLeaf(name, value, path, report)
  // Modifiers are read even where the leaf is wrong, so that one error tells everything.
  const tree = modify(leaf ?? { _tag: "Never" }, value, path, report)
  return leaf === undefined ? undefined : tree
}

const readGrowth = oneOf("rule", "call")

const readRule = (depth: number): Reader<Rule> => (value, path, report) => {
  if (!isRecord(value)) {
    report.problems.push({ path, found: value, allowed: "a rule: { \"on\": [\"RateLimited\"], \"backoff\": ... }" })
    return undefined
  }
  const on = required(value, "on", path, ranges.tags, report)
  if ("use" in value) fields(value, path, ["on", "use"], report, "a rule")
  const use = "use" in value
    ? readAt(value["use"], at(path, "use"), report, depth + 1)
    : readFlat(value, path, report, ["on"])
  return on === undefined || use === undefined ? undefined : { on, use }
}

const readRules = (value: Json, name: string, path: string, report: Report, depth: number): ByError | undefined => {
  const rules = required(value, name, path, list(readRule(depth), "a list of rules that is not empty"), report)
  const growth = optional(value, "growth", path, readGrowth, report)
  const { otherwise } = value
  const rest = otherwise === undefined || otherwise === "fail"
    ? "fail"
    : isRecord(otherwise)
    ? readAt(otherwise, at(path, "otherwise"), report, depth + 1)
    : undefined
  if (rest === undefined && !isRecord(otherwise)) {
    report.problems.push({ path: at(path, "otherwise"), found: otherwise, allowed: `"fail", or ${whatPolicyIs}` })
  }
  const twice = repeated(rules ?? [])
  if (twice !== undefined) {
    report.problems.push({ path: at(path, name), found: twice, allowed: "each tag in one rule only" })
  }
  return rules === undefined || rest === undefined
    ? undefined
    : { _tag: "ByError", rules, otherwise: rest, growth: growth ?? "rule" }
}

/** A tag that stands in two rules: the second would never apply. */
export const repeated = (rules: ReadonlyArray<Rule>): string | undefined => {
  const seen = new Set<string>()
  for (const { on } of rules) {
    for (const tag of on) {
      if (seen.has(tag)) return tag
      seen.add(tag)
    }
  }
  return undefined
}

const readFlatRules = (value: Json, path: string, report: Report, depth: number): RetryTree | undefined => {
  fields(value, path, ["byError", "otherwise", "growth", ...modifiers], report, whatPolicyIs)
  const rules = readRules(value, "byError", path, report, depth)
  const tree = modify(rules ?? { _tag: "Never" }, value, path, report)
  return rules === undefined ? undefined : tree
}

const nodeTags = {
  Never: "never",
  Immediate: "immediate",
  Constant: "constant",
  Linear: "linear",
  Exponential: "exponential",
  Fibonacci: "fibonacci"
} as const

const allTags = [...Object.keys(nodeTags), ...Object.values(tagOf), "Union", "Intersect", "AndThen", "ByError"] as const
const readTag = oneOf(...allTags)

const readNode = (value: Json, path: string, report: Report, depth: number): RetryTree | undefined => {
  const tag = required(value, "_tag", path, readTag, report)
  if (tag === undefined) return undefined
  const known = (...names: ReadonlyArray<string>) => fields(value, path, ["_tag", ...names], report, whatPolicyIs)
  const child = (name: string) => readAt(value[name], at(path, name), report, depth + 1)
  const leaf = tag in nodeTags ? nodeTags[tag as keyof typeof nodeTags] : undefined
  if (leaf !== undefined) {
    known(...leafFields[leaf])
    return readLeaf(leaf, value, path, report)
  }
  const modifier = modifiers.find((name) => tagOf[name] === tag)
  if (modifier !== undefined) {
    known("policy", modifier)
    const policy = child("policy")
    const tree = wrap(policy ?? { _tag: "Never" }, modifier, value, path, report, required)
    return policy === undefined ? undefined : tree
  }
  switch (tag) {
    case "Union":
    case "Intersect": {
      known("left", "right")
      const left = child("left")
      const right = child("right")
      return left === undefined || right === undefined ? undefined : { _tag: tag, left, right }
    }
    case "AndThen": {
      known("first", "second")
      const first = child("first")
      const second = child("second")
      return first === undefined || second === undefined ? undefined : { _tag: "AndThen", first, second }
    }
    default:
      known("rules", "otherwise", "growth")
      return readRules(value, "rules", path, report, depth)
  }
}

// ---- writing ----

/** The full tree: one object a node. */
export const writeTree = (tree: RetryTree): Json => {
  if (isWrapped(tree)) {
    const name = modifiers.find((each) => tagOf[each] === tree._tag) ?? "jitter"
    return { _tag: tree._tag, [name]: writeModifier(tree), policy: writeTree(tree.policy) }
  }
  switch (tree._tag) {
    case "Union":
    case "Intersect":
      return { _tag: tree._tag, left: writeTree(tree.left), right: writeTree(tree.right) }
    case "AndThen":
      return { _tag: "AndThen", first: writeTree(tree.first), second: writeTree(tree.second) }
    case "ByError":
      return {
        _tag: "ByError",
        rules: tree.rules.map((rule) => ({ on: rule.on, use: writeTree(rule.use) })),
        otherwise: tree.otherwise === "fail" ? "fail" : writeTree(tree.otherwise),
        ...(tree.growth === "rule" ? {} : { growth: tree.growth })
      }
    default:
      return { _tag: tree._tag, ...writeLeaf(tree) }
  }
}

/** The modifiers of a tree from the inside out, and what they stand round. */
const unwrap = (tree: RetryTree): readonly [core: RetryTree, around: ReadonlyArray<Wrapped>] => {
  if (!isWrapped(tree)) return [tree, []]
  const [core, around] = unwrap(tree.policy)
  return [core, [...around, tree]]
}

/** The flat spelling, where the tree has the order that the flat spelling applies; otherwise the full tree. */
export const write = (tree: RetryTree): Json => {
  const [core, around] = unwrap(tree)
  const places = around.map((node) => modifiers.findIndex((name) => tagOf[name] === node._tag))
  const inOrder = places.every((place, i) => i === 0 || place > (places[i - 1] ?? 0))
  const head = flatCore(core)
  if (!inOrder || head === undefined) return writeTree(tree)
  return {
    ...head,
    ...Object.fromEntries(around.map((node, i) => [modifiers[places[i] ?? 0], writeModifier(node)]))
  }
}

const flatCore = (core: RetryTree): Json | undefined => {
  switch (core._tag) {
    case "ByError":
      return {
        byError: core.rules.map((rule) => {
          const use = write(rule.use)
          return "backoff" in use ? { on: rule.on, ...use } : { on: rule.on, use }
        }),
        otherwise: core.otherwise === "fail" ? "fail" : write(core.otherwise),
        ...(core.growth === "rule" ? {} : { growth: core.growth })
      }
    case "Never":
    case "Immediate":
    case "Constant":
    case "Linear":
    case "Exponential":
    case "Fibonacci":
      return { backoff: nodeTags[core._tag], ...writeLeaf(core) }
    default:
      return undefined
  }
}
