/**
 * A retry policy as data: one recursive form that reads both spellings at every level, and the way back to each.
 * `retryData.ts` is the same for people and for the compiler, which holds the two equal.
 */
import { misspelt } from "../../internal/errorTags.ts"
import * as Form from "../../internal/form.ts"
import { type Fields, isRecord } from "../../internal/record.ts"
import type { BackoffData, PolicyData, TreeData } from "./retryData.ts"
import {
  allowedDepth,
  type ByError,
  depthOf,
  type HonourHints,
  isLeaf,
  type Jitter,
  type Leaf,
  maxDepth,
  type RetryTree,
  type Rule
} from "./retryTree.ts"

const leafNames = ["never", "immediate", "constant", "linear", "exponential", "fibonacci"] as const
const allowedLeaf = `one of ${leafNames.map((name) => `"${name}"`).join(", ")}`

const whatPolicyIs = `a policy: { "backoff": ${leafNames.map((name) => `"${name}"`).join(" | ")}, ... }, ` +
  `{ "byError": [...] }, or a node of the full tree with "_tag"`

// ---- the numbers, named once: constructors, files and documents quote them ----

const jitterNames = ["none", "full", "equal", "decorrelated"] as const
const allowedJitter = `one of ${jitterNames.map((name) => `"${name}"`).join(", ")}, { "ratio": 0.2 }, ` +
  `or { "min": 0.75, "max": 1 }`

const share = Form.number({ min: 0, max: 10 })

export const jitter = Form.annotate(
  Form.of<Jitter>()(Form.choose(
    allowedJitter,
    Form.when(Form.isText, Form.oneOfWith(jitterNames, allowedJitter)),
    Form.when(Form.has("ratio"), Form.struct(allowedJitter, { ratio: Form.number({ above: 0, max: 1 }) })),
    Form.when(
      isRecord,
      Form.struct(
        allowedJitter,
        { min: share, max: share },
        ({ max, min }) =>
          min === undefined || max === undefined || (min <= max && max > 0)
            ? []
            : [{ path: [], allowed: "min not above max, and max above 0" }]
      )
    )
  )),
  { description: "how much of a delay chance decides" }
)

export const factor = Form.number({ min: 1, max: 100 })

export const defaultFactor = 2

export const attempts = Form.annotate(
  Form.count(
    2,
    100_000,
    "a whole number from 2 to 100000: attempts in total, the first included (for no retry at all, use \"never\")"
  ),
  { description: "attempts in total, the first included" }
)

const wait = Form.millis()
const delay = Form.millis({ allowed: `${Form.allowedDuration} (for no wait at all, use "immediate")` })

const hints = Form.annotate(
  Form.choose(
    `${Form.allowedDuration}, or "never"`,
    Form.when((value) => value === "never", Form.oneOf("never")),
    Form.otherwise(Form.millis({ allowed: `${Form.allowedDuration}, or "never"` }))
  ),
  { description: "waits as long as the other side asks, up to this; longer: stops at once", default: "60 seconds" }
)

const tag = Form.checked(Form.text(), misspelt)

export const tags = Form.annotate(
  Form.list(tag, { allowed: "a list of error tags that is not empty" }),
  { description: "the _tag of the errors, such as RateLimited" }
)

/** A tag that stands in two rules: the second would never apply. */
export const repeatedTag = (rules: ReadonlyArray<{ readonly on: ReadonlyArray<string> }>): string | undefined => {
  const seen = new Set<string>()
  for (const { on } of rules) {
    for (const each of on) {
      if (seen.has(each)) return each
      seen.add(each)
    }
  }
  return undefined
}

const onlyOnce = (path: string | undefined, rules: Parameters<typeof repeatedTag>[0] | undefined) => {
  const twice = repeatedTag(rules ?? [])
  return twice === undefined
    ? []
    : [{ path: path === undefined ? [] : [path], found: twice, allowed: "each tag in one rule only" }]
}

/** Rules that were read before, for the constructor: at least one, and no tag in two of them. */
export const distinctRules = Form.checked(
  Form.list(Form.value((_): _ is { readonly on: ReadonlyArray<string> } => true, "a rule"), {
    allowed: "a list of rules that is not empty"
  }),
  (rules) => onlyOnce(undefined, rules)
)

// ---- the spelling for people ----

/** In the order in which they apply. */
const modifiers = {
  jitter: Form.optional(jitter),
  atLeast: Form.optional(wait),
  cap: Form.annotate(Form.optional(wait), { description: "no delay is longer; it holds after jitter" }),
  attempts: Form.optional(attempts),
  within: Form.annotate(Form.optional(wait), {
    description: "no wait may end later than this after the first attempt's start"
  }),
  honourHints: Form.optional(hints)
}

const modifierForm = Form.struct("modifiers", modifiers)

interface ModifierFields {
  readonly jitter: Jitter | undefined
  readonly atLeast: number | undefined
  readonly cap: number | undefined
  readonly attempts: number | undefined
  readonly within: number | undefined
  readonly honourHints: HonourHints["max"] | undefined
}

const unmodified: ModifierFields = {
  jitter: undefined,
  atLeast: undefined,
  cap: undefined,
  attempts: undefined,
  within: undefined,
  honourHints: undefined
}

const leaves = {
  never: {},
  immediate: {},
  constant: { delay },
  linear: { initial: delay, increment: Form.optional(delay) },
  exponential: { initial: delay, factor: Form.withDefault(factor, () => defaultFactor) },
  fibonacci: { initial: delay }
}

const flatFields = Form.tagged(
  whatPolicyIs,
  { name: "backoff", allowed: `${allowedLeaf} (or "byError" with a list of rules)` },
  Form.struct(whatPolicyIs, { backoff: Form.oneOf("never"), ...leaves.never, ...modifiers }),
  Form.struct(whatPolicyIs, { backoff: Form.oneOf("immediate"), ...leaves.immediate, ...modifiers }),
  Form.struct(whatPolicyIs, { backoff: Form.oneOf("constant"), ...leaves.constant, ...modifiers }),
  Form.struct(whatPolicyIs, { backoff: Form.oneOf("linear"), ...leaves.linear, ...modifiers }),
  Form.struct(whatPolicyIs, { backoff: Form.oneOf("exponential"), ...leaves.exponential, ...modifiers }),
  Form.struct(whatPolicyIs, { backoff: Form.oneOf("fibonacci"), ...leaves.fibonacci, ...modifiers })
)

type FlatFields = Form.Output<typeof flatFields>

/** What a leaf is before its modifiers. */
type Core = Leaf | { readonly _tag: "Never" }

const coreOf = (fields: FlatFields): Core => {
  switch (fields.backoff) {
    case "never":
      return { _tag: "Never" }
    case "immediate":
      return { _tag: "Immediate" }
    case "constant":
      return { _tag: "Constant", delay: fields.delay }
    case "linear":
      return { _tag: "Linear", initial: fields.initial, increment: fields.increment ?? fields.initial }
    case "exponential":
      return { _tag: "Exponential", initial: fields.initial, factor: fields.factor }
    case "fibonacci":
      return { _tag: "Fibonacci", initial: fields.initial }
  }
}

const modified = (core: RetryTree, fields: ModifierFields): RetryTree => {
  let tree = core
  if (fields.jitter !== undefined) tree = { _tag: "Jittered", policy: tree, mode: fields.jitter }
  if (fields.atLeast !== undefined) tree = { _tag: "AtLeast", policy: tree, min: fields.atLeast }
  if (fields.cap !== undefined) tree = { _tag: "Capped", policy: tree, max: fields.cap }
  if (fields.attempts !== undefined) tree = { _tag: "Attempts", policy: tree, max: fields.attempts }
  if (fields.within !== undefined) tree = { _tag: "Within", policy: tree, limit: fields.within }
  if (fields.honourHints !== undefined) tree = { _tag: "HonourHints", policy: tree, max: fields.honourHints }
  return tree
}

const flat = Form.mapped(flatFields, {
  decode: (fields): RetryTree => modified(coreOf(fields), fields),
  encode: (tree) => flatten(tree) ?? noRetry
})

/** A rule whose policy stands in the rule itself. */
const inlineRule = Form.mapped(
  Form.tagged(
    "a rule",
    "backoff",
    Form.struct("a rule", { backoff: Form.oneOf("never"), ...leaves.never, ...modifiers, on: tags }),
    Form.struct("a rule", { backoff: Form.oneOf("immediate"), ...leaves.immediate, ...modifiers, on: tags }),
    Form.struct("a rule", { backoff: Form.oneOf("constant"), ...leaves.constant, ...modifiers, on: tags }),
    Form.struct("a rule", { backoff: Form.oneOf("linear"), ...leaves.linear, ...modifiers, on: tags }),
    Form.struct("a rule", { backoff: Form.oneOf("exponential"), ...leaves.exponential, ...modifiers, on: tags }),
    Form.struct("a rule", { backoff: Form.oneOf("fibonacci"), ...leaves.fibonacci, ...modifiers, on: tags })
  ),
  {
    decode: (fields): Rule => ({ on: fields.on, use: modified(coreOf(fields), fields) }),
    encode: ({ on, use }) => ({ on, ...(flatten(use) ?? noRetry) })
  }
)

/** The field of a modifier, and how far out it stands in the spelling for people; `undefined` for what is none. */
const modifierOf = (tree: RetryTree) => {
  switch (tree._tag) {
    case "Jittered":
      return { position: 1, policy: tree.policy, fields: { jitter: tree.mode } }
    case "AtLeast":
      return { position: 2, policy: tree.policy, fields: { atLeast: tree.min } }
    case "Capped":
      return { position: 3, policy: tree.policy, fields: { cap: tree.max } }
    case "Attempts":
      return { position: 4, policy: tree.policy, fields: { attempts: tree.max } }
    case "Within":
      return { position: 5, policy: tree.policy, fields: { within: tree.limit } }
    case "HonourHints":
      return { position: 6, policy: tree.policy, fields: { honourHints: tree.max } }
    default:
      return undefined
  }
}

/** What stands within the modifiers of a tree, and their fields, where they have the order of that spelling. */
const unwrap = (tree: RetryTree): { readonly core: RetryTree; readonly fields: ModifierFields } | undefined => {
  let fields = unmodified
  let core = tree
  let position = 7
  for (let modifier = modifierOf(core); modifier !== undefined; modifier = modifierOf(core)) {
    if (modifier.position >= position) return undefined
    fields = { ...fields, ...modifier.fields }
    core = modifier.policy
    position = modifier.position
  }
  return { core, fields }
}

// Where a form writes a policy that has not the shape of its spelling: `write` and the choice below do not ask it to.
const noRules: Pick<ByError, "rules" | "growth" | "otherwise"> = { rules: [], growth: "rule", otherwise: "fail" }
const noRetry: FlatFields = { backoff: "never", ...unmodified }

const withBackoff = (core: Core, fields: ModifierFields): FlatFields => {
  switch (core._tag) {
    case "Never":
      return { backoff: "never", ...fields }
    case "Immediate":
      return { backoff: "immediate", ...fields }
    case "Constant":
      return { backoff: "constant", delay: core.delay, ...fields }
    case "Linear":
      return { backoff: "linear", initial: core.initial, increment: core.increment, ...fields }
    case "Exponential":
      return { backoff: "exponential", initial: core.initial, factor: core.factor, ...fields }
    case "Fibonacci":
      return { backoff: "fibonacci", initial: core.initial, ...fields }
  }
}

/** A backoff with its modifiers as the fields of one object, where it can be said so. */
const flatten = (tree: RetryTree): FlatFields | undefined => {
  const unwrapped = unwrap(tree)
  return unwrapped !== undefined && (unwrapped.core._tag === "Never" || isLeaf(unwrapped.core))
    ? withBackoff(unwrapped.core, unwrapped.fields)
    : undefined
}

// ---- the spelling for programs ----

const growth = Form.optional(Form.oneOf("rule", "call"))

/** The form of a policy that contains policies. `policy` is the whole form, `rule` one rule of it. */
const containing = (policy: Form.Form<RetryTree, PolicyData, "required">) => {
  const use = Form.mapped(
    Form.struct("a rule", { on: tags, use: policy }),
    { decode: (fields): Rule => fields, encode: (rule: Rule) => rule }
  )
  const rule = Form.named(
    "rule",
    Form.choose(
      "a rule: { \"on\": [\"RateLimited\"], \"backoff\": ... }",
      Form.when(Form.has("use"), use, () => true),
      Form.when(isRecord, inlineRule)
    )
  )
  const rules = Form.list(rule, { allowed: "a list of rules that is not empty" })
  const otherwise = Form.withDefault(
    Form.choose(
      `"fail", or ${whatPolicyIs}`,
      Form.when((value) => value === "fail", Form.oneOf("fail")),
      Form.when(isRecord, policy)
    ),
    () => "fail" as const
  )
  const byError = Form.struct(
    whatPolicyIs,
    {
      byError: Form.annotate(rules, { description: "which errors are retried how; each tag in one rule only" }),
      growth,
      otherwise: Form.annotate(otherwise, { description: "for errors that no rule names" }),
      ...modifiers
    },
    (fields) => onlyOnce("byError", fields.byError)
  )
  const node = Form.tagged(
    whatPolicyIs,
    "_tag",
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Never") }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Immediate") }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Constant"), ...leaves.constant }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Linear"), ...leaves.linear }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Exponential"), ...leaves.exponential }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Fibonacci"), ...leaves.fibonacci }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Jittered"), policy, jitter }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("AtLeast"), policy, atLeast: wait }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Capped"), policy, cap: wait }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Attempts"), policy, attempts }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Within"), policy, within: wait }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("HonourHints"), policy, honourHints: hints }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("Union", "Intersect"), left: policy, right: policy }),
    Form.struct(whatPolicyIs, { _tag: Form.oneOf("AndThen"), first: policy, second: policy }),
    Form.struct(
      whatPolicyIs,
      { _tag: Form.oneOf("ByError"), rules, growth, otherwise },
      (fields) => onlyOnce("rules", fields.rules)
    )
  )
  return { byError, node }
}

type Containing = ReturnType<typeof containing>
type ByErrorFields = Form.Output<Containing["byError"]>
type NodeFields = Form.Output<Containing["node"]>

const fromRules = (fields: ByErrorFields): RetryTree =>
  modified(
    { _tag: "ByError", rules: fields.byError, otherwise: fields.otherwise, growth: fields.growth ?? "rule" },
    fields
  )

const toRules = (tree: RetryTree): ByErrorFields => {
  const { core, fields } = unwrap(tree) ?? { core: tree, fields: unmodified }
  const { growth, otherwise, rules } = core._tag === "ByError" ? core : noRules
  return { byError: rules, growth: growth === "rule" ? undefined : growth, otherwise, ...fields }
}

const fromNode = (fields: NodeFields): RetryTree => {
  switch (fields._tag) {
    case "Never":
    case "Immediate":
    case "Constant":
    case "Exponential":
    case "Fibonacci":
    case "Union":
    case "Intersect":
    case "AndThen":
      return fields
    case "Linear":
      return { ...fields, increment: fields.increment ?? fields.initial }
    case "Jittered":
      return { _tag: "Jittered", policy: fields.policy, mode: fields.jitter }
    case "AtLeast":
      return { _tag: "AtLeast", policy: fields.policy, min: fields.atLeast }
    case "Capped":
      return { _tag: "Capped", policy: fields.policy, max: fields.cap }
    case "Attempts":
      return { _tag: "Attempts", policy: fields.policy, max: fields.attempts }
    case "Within":
      return { _tag: "Within", policy: fields.policy, limit: fields.within }
    case "HonourHints":
      return { _tag: "HonourHints", policy: fields.policy, max: fields.honourHints }
    case "ByError":
      return { ...fields, growth: fields.growth ?? "rule" }
  }
}

const toNode = (tree: RetryTree): NodeFields => {
  switch (tree._tag) {
    case "Jittered":
      return { _tag: "Jittered", policy: tree.policy, jitter: tree.mode }
    case "AtLeast":
      return { _tag: "AtLeast", policy: tree.policy, atLeast: tree.min }
    case "Capped":
      return { _tag: "Capped", policy: tree.policy, cap: tree.max }
    case "Attempts":
      return { _tag: "Attempts", policy: tree.policy, attempts: tree.max }
    case "Within":
      return { _tag: "Within", policy: tree.policy, within: tree.limit }
    case "HonourHints":
      return { _tag: "HonourHints", policy: tree.policy, honourHints: tree.max }
    case "ByError":
      return { ...tree, growth: tree.growth === "rule" ? undefined : tree.growth }
    default:
      return tree
  }
}

const deepEnough = (tree: RetryTree) => depthOf(tree) <= maxDepth ? [] : [{ path: [], allowed: allowedDepth }]

/** Reads both spellings at every level, and writes the one for programs. */
export const policyForm: Form.Form<RetryTree, PolicyData, "required"> = Form.recursive(
  "retryPolicy",
  { maxDepth, allowed: allowedDepth },
  () => {
    const { byError, node } = containing(policyForm)
    const never = (): boolean => false
    return Form.checked(
      Form.choose(
        whatPolicyIs,
        Form.when(Form.has("_tag"), Form.mapped(node, { decode: fromNode, encode: toNode }), () => true),
        Form.when(Form.has("byError"), Form.mapped(byError, { decode: fromRules, encode: toRules }), never),
        Form.when(isRecord, flat, never)
      ),
      deepEnough
    )
  }
)

const whatBackoffIs = "a backoff, with cap, jitter and atLeast, or a node of the full tree with \"_tag\""
const { atLeast, cap } = modifiers
const shapers = { jitter: modifiers.jitter, atLeast, cap }

const flatBackoff = Form.mapped(
  Form.tagged(
    whatBackoffIs,
    "backoff",
    Form.struct(whatBackoffIs, { backoff: Form.oneOf("constant"), ...leaves.constant, ...shapers }),
    Form.struct(whatBackoffIs, { backoff: Form.oneOf("linear"), ...leaves.linear, ...shapers }),
    Form.struct(whatBackoffIs, { backoff: Form.oneOf("exponential"), ...leaves.exponential, ...shapers }),
    Form.struct(whatBackoffIs, { backoff: Form.oneOf("fibonacci"), ...leaves.fibonacci, ...shapers })
  ),
  {
    decode: (fields): RetryTree => modified(coreOf({ ...unmodified, ...fields }), { ...unmodified, ...fields }),
    // The choice below writes trees: see `noRetry`.
    encode: () => ({ backoff: "constant" as const, delay: 1, jitter: undefined, atLeast: undefined, cap: undefined })
  }
)

/** Reads a node of the full tree only, which holds policies in both spellings. */
const treeForm: Form.Form<RetryTree, TreeData> = Form.checked(
  Form.mapped(containing(policyForm).node, { decode: fromNode, encode: toNode }),
  deepEnough
)

/**
 * Reads a backoff, for those who know no attempts, and writes it as a tree. A tree may hold what ends: ask `isGrowth`.
 */
export const backoffForm: Form.Form<RetryTree, BackoffData | TreeData> = Form.choose(
  whatBackoffIs,
  Form.when(Form.has("_tag"), treeForm, () => true),
  Form.otherwise(flatBackoff)
)

// ---- the way back ----

const toObject = (json: unknown): Fields => isRecord(json) ? json : {}

/** The spelling for programs: one object a node. */
export const writeTree = (tree: RetryTree): Fields => toObject(Form.encode(policyForm, tree))

/** The spelling for people, where the tree has the order that it applies; otherwise the full tree. */
export const write = (tree: RetryTree): Fields => {
  if (flatten(tree) !== undefined) return toObject(Form.encode(flat, tree))
  const unwrapped = unwrap(tree)
  if (unwrapped?.core._tag !== "ByError") return writeTree(tree)
  const { growth, otherwise, rules } = unwrapped.core
  return {
    byError: rules.map((rule) =>
      flatten(rule.use) === undefined ? { on: rule.on, use: write(rule.use) } : { on: rule.on, ...write(rule.use) }
    ),
    otherwise: otherwise === "fail" ? "fail" : write(otherwise),
    ...(growth === "rule" ? {} : { growth }),
    ...toObject(Form.encode(modifierForm, unwrapped.fields))
  }
}
