/**
 * All policies of a call as data: what a policy file holds, and what `Pipeline.make` takes. It is read as a whole, so
 * that one error lists everything that is wrong, also where two fields contradict each other.
 *
 * @example
 * import * as PolicyConfig from "effect-llm-resilience/policy/PolicyConfig"
 * import * as Effect from "effect/Effect"
 *
 * const file = {
 *   totalTimeout: "10 seconds",
 *   attemptTimeout: "20 seconds",
 *   bulkhead: { maxConcurrent: 0 },
 *   breaker: {}
 * }
 *
 * Effect.runPromise(Effect.flip(PolicyConfig.check(file))).then((error) => console.log(error.message))
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { found, InvalidOptions } from "../error/InvalidOptions.ts"
import type * as Verdict from "../error/Verdict.ts"
import {
  at,
  duration,
  fields,
  formatDuration,
  isFunction,
  optional,
  type Reader,
  text,
  where
} from "../internal/reader.ts"
import { isRecord } from "../internal/record.ts"
import * as AdaptiveRetry from "./AdaptiveRetry.ts"
import * as Bulkhead from "./Bulkhead.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import * as ConcurrencyLimit from "./ConcurrencyLimit.ts"
import * as Hedge from "./Hedge.ts"
import { contradictions } from "./policyConfig/checks.ts"
import { notText, plain } from "./policyConfig/data.ts"
import { schema } from "./policyConfig/schema.ts"
import * as RateLimiter from "./RateLimiter.ts"
import * as RetryBudget from "./RetryBudget.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import { durationInput, emptyReport, refusal } from "./shared/options.ts"
import * as Json from "./shared/retryJson.ts"
import { make as fromTree } from "./shared/retryValue.ts"

/**
 * The policies of a pipeline, outermost first. Everything may be left out. A policy that keeps a state (budget, breaker,
 * limiter, bulkhead, …) is given as data, and then made for this pipeline alone, or as a value that others share.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name that events and errors carry. Default: `"pipeline"`. */
  readonly name?: string | undefined
  /** For the call with all its attempts and waits: above zero and finite. */
  readonly totalTimeout?: Duration.DurationInput | undefined
  /** A policy, or one as JSON in the spelling of `RetryPolicy.decode`. */
  readonly retry?: RetryPolicy.RetryPolicy | { readonly [field: string]: unknown } | undefined
  /** Bounds retries and hedges together. `"standard"` is a share of 20 % of the calls in flight, at least 3. */
  readonly retryBudget?: RetryBudget.RetryBudget | BudgetForm | undefined
  /** Stretches the waits between attempts while much fails. */
  readonly adaptiveRetry?: AdaptiveRetry.AdaptiveRetry | AdaptiveRetry.Options | undefined
  /** A further attempt beside one that takes long. It uses `retryBudget`, unless it says `budget: "none"`. */
  readonly hedge?: Hedge.Hedge | HedgeForm | undefined
  readonly circuitBreaker?: CircuitBreaker.CircuitBreaker | Named<CircuitBreaker.Options> | undefined
  readonly rateLimiter?: RateLimiter.RateLimiter | Named<RateLimiter.Options> | undefined
  /** An adaptive limit of the calls in flight. */
  readonly concurrencyLimit?: ConcurrencyLimit.ConcurrencyLimit | ConcurrencyLimit.Options | undefined
  /** A fixed limit of the calls in flight. */
  readonly bulkhead?: Bulkhead.Bulkhead | Bulkhead.Options | undefined
  /** For each attempt, from when it was admitted: above zero, finite and less than `totalTimeout`. */
  readonly attemptTimeout?: Duration.DurationInput | undefined
  /** Judges errors that do not know their own verdict, for all policies. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/** The same options, where the name of the pipeline will do. */
type Named<O extends { readonly name: string }> = Omit<O, "name"> & { readonly name?: string | undefined }

/**
 * A budget as data; what is left out of a form has the defaults of `RetryBudget`.
 *
 * @since 0.1.0
 * @category models
 */
export type BudgetForm =
  | "standard"
  | { readonly share: Partial<Omit<RetryBudget.Share, "_tag">> }
  | { readonly tokens: Partial<Omit<RetryBudget.Tokens, "_tag">> }
  | { readonly deposits: Partial<Omit<RetryBudget.Deposits, "_tag">> }

/**
 * A hedge as data.
 *
 * @since 0.1.0
 * @category models
 */
export interface HedgeForm extends Omit<Hedge.Options, "budget" | "verdict"> {
  readonly budget?: "shared" | "none" | undefined
}

/**
 * Options that were read: every policy ready to be used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Policies {
  readonly name: string
  /** Milliseconds. */
  readonly totalTimeout: number | undefined
  readonly retry: RetryPolicy.RetryPolicy | undefined
  readonly retryBudget: RetryBudget.RetryBudget | undefined
  readonly adaptiveRetry: AdaptiveRetry.AdaptiveRetry | undefined
  readonly hedge: Hedge.Hedge | undefined
  readonly circuitBreaker: CircuitBreaker.CircuitBreaker | undefined
  readonly rateLimiter: RateLimiter.RateLimiter | undefined
  readonly concurrencyLimit: ConcurrencyLimit.ConcurrencyLimit | undefined
  readonly bulkhead: Bulkhead.Bulkhead | undefined
  /** Milliseconds. */
  readonly attemptTimeout: number | undefined
  readonly verdict: Options["verdict"]
  /** What was given as data, by section. */
  readonly given: Readonly<Record<string, unknown>>
}

type Section = (typeof sections)[number]

const sections = [
  "name",
  "totalTimeout",
  "retry",
  "retryBudget",
  "adaptiveRetry",
  "hedge",
  "circuitBreaker",
  "rateLimiter",
  "concurrencyLimit",
  "bulkhead",
  "attemptTimeout"
] as const

/** What the options come from, which decides the spelling. */
interface Source {
  readonly known: ReadonlyArray<string>
  readonly limit: Reader<number>
}

const code: Source = { known: [...sections, "verdict"], limit: durationInput() }

/** `$schema` is for editors. */
const file: Source = { known: [...sections, "$schema"], limit: duration() }

/** A value of a policy is told by its mark, and what is not one is its options. */
const isMade = <A>(mark: symbol) => (value: unknown): value is A =>
  typeof value === "object" && value !== null && mark in value

type Issues = Array<InvalidOptions["issues"][number]>

/** What a section's own options are wrong about, under the section's name. */
const within = (error: InvalidOptions, name: string): Issues =>
  error.issues.map((issue) => ({ ...issue, path: issue.path === "" ? name : at(name, issue.path) }))

const readRetry: Reader<RetryPolicy.RetryPolicy> = (value, path, report) => {
  const tree = RetryPolicy.isRetryPolicy(value) ? value.tree : Json.read(value, path, report)
  if (tree === undefined) return undefined
  const policy = RetryPolicy.isRetryPolicy(value) ? value : fromTree(tree)
  if (tree._tag !== "Never" && !RetryPolicy.canRetry(policy)) {
    report.problems.push({
      path,
      found: String(policy),
      allowed: "a policy whose first wait ends within its deadline (for no retry at all, leave it out)"
    })
  }
  return policy
}

/** Makes a policy that keeps a state from its options, or takes the one that is given. */
const section = <Made, Given>(
  value: Made | Given | undefined,
  name: Section,
  issues: Issues,
  is: (value: unknown) => value is Made,
  make: (given: Given) => Effect.Effect<Made, InvalidOptions>
): Effect.Effect<Made | undefined> => {
  if (value === undefined) return Effect.succeed(undefined)
  if (is(value)) return Effect.succeed(value)
  if (!isRecord(value)) {
    issues.push({ path: name, found: found(value), allowed: `an object with the options of ${name}` })
    return Effect.succeed(undefined)
  }
  // What is not a policy is its options, and checked as such by the policy's own constructor.
  const options = value as Given
  return Effect.match(Effect.suspend(() => make(options)), {
    onFailure: (error) => {
      issues.push(...within(error, name))
      return undefined
    },
    onSuccess: (made) => made
  })
}

const forms = { share: RetryBudget.share, tokens: RetryBudget.tokens, deposits: RetryBudget.deposits }
const formNames = ["share", "tokens", "deposits"] as const

const makeBudget = (
  value: BudgetForm,
  name: string,
  issues: Issues
): Effect.Effect<RetryBudget.RetryBudget | undefined> =>
  Effect.suspend(() => {
    if (value === "standard") return section({ name }, "retryBudget", issues, isBudget, RetryBudget.make)
    const given: unknown = value
    const kind = isRecord(given) && Object.keys(given).length === 1
      ? formNames.find((each) => isRecord(given[each]))
      : undefined
    if (!isRecord(given) || kind === undefined) {
      const allowed = "\"standard\", or one of { \"share\": {...} }, { \"tokens\": {...} }, { \"deposits\": {...} }"
      issues.push({ path: "retryBudget", found: found(value), allowed })
      return Effect.succeed(undefined)
    }
    const { _tag, ...own } = isRecord(given[kind]) ? given[kind] : {}
    if (_tag !== undefined) {
      issues.push({
        path: `retryBudget.${kind}._tag`,
        found: found(_tag),
        allowed: `no such field here: "${kind}" says it`
      })
    }
    const wrong: Issues = []
    const form = forms[kind](own)
    return Effect.map(section({ name, form }, "retryBudget", wrong, isBudget, RetryBudget.make), (made) => {
      // The form's own reader knows it as `form`; in these options it has the name of its kind.
      issues.push(...wrong.map((issue) => ({
        ...issue,
        path: issue.path.replace("retryBudget.form", `retryBudget.${kind}`)
      })))
      return made
    })
  })

const isBudget = isMade<RetryBudget.RetryBudget>(RetryBudget.TypeId)

/** The simple fields, and whether every field is known. */
const readFields = (
  options: unknown,
  { known, limit }: Source,
  issues: Issues
) => {
  const report = emptyReport()
  const record = fields(options, "", known, report, "an object with the policies of a pipeline") ?? {}
  const read = {
    name: optional(record, "name", "", text, report) ?? "pipeline",
    totalTimeout: optional(record, "totalTimeout", "", limit, report),
    retry: optional(record, "retry", "", readRetry, report),
    attemptTimeout: optional(record, "attemptTimeout", "", limit, report)
  }
  optional(record, "verdict", "", where(isFunction, "a function from an error to a verdict"), report)
  issues.push(...refusal("", report).issues)
  return read
}

interface Common extends Pick<Options, "name" | "verdict"> {}

const readWith = (
  options: Options,
  source: Source
): Effect.Effect<Policies, InvalidOptions> =>
  Effect.gen(function*() {
    const issues: Issues = []
    const simple = readFields(options, source, issues)
    const given: Options = isRecord(options) ? { ...options } : {}
    const { name } = simple
    /** What the sections have from the pipeline, where they do not say it themselves. */
    const common = (own: Common) => {
      const verdict = own.verdict === undefined ? given.verdict : own.verdict
      return { name: own.name === undefined ? name : own.name, ...(verdict === undefined ? {} : { verdict }) }
    }
    const retryBudget = given.retryBudget === undefined || isBudget(given.retryBudget)
      ? given.retryBudget
      : yield* makeBudget(given.retryBudget, name, issues)
    const policies: Policies = {
      ...simple,
      retryBudget,
      adaptiveRetry: yield* section(
        given.adaptiveRetry,
        "adaptiveRetry",
        issues,
        isMade<AdaptiveRetry.AdaptiveRetry>(AdaptiveRetry.TypeId),
        (own: AdaptiveRetry.Options) => AdaptiveRetry.make({ ...own, ...common(own) })
      ),
      hedge: yield* section(
        given.hedge,
        "hedge",
        issues,
        isMade<Hedge.Hedge>(Hedge.TypeId),
        ({ budget, ...own }: HedgeForm) =>
          makeHedge({ ...own, ...common(own) }, budget, retryBudget, given.retryBudget !== undefined)
      ),
      circuitBreaker: yield* section(
        given.circuitBreaker,
        "circuitBreaker",
        issues,
        CircuitBreaker.isCircuitBreaker,
        (own: Named<CircuitBreaker.Options>) => CircuitBreaker.make({ ...own, ...common(own) })
      ),
      rateLimiter: yield* section(
        given.rateLimiter,
        "rateLimiter",
        issues,
        isMade<RateLimiter.RateLimiter>(RateLimiter.TypeId),
        (own: Named<RateLimiter.Options>) => RateLimiter.make({ ...own, ...common(own) })
      ),
      concurrencyLimit: yield* section(
        given.concurrencyLimit,
        "concurrencyLimit",
        issues,
        isMade<ConcurrencyLimit.ConcurrencyLimit>(ConcurrencyLimit.TypeId),
        (own: ConcurrencyLimit.Options) => ConcurrencyLimit.make({ ...own, ...common(own) })
      ),
      bulkhead: yield* section(
        given.bulkhead,
        "bulkhead",
        issues,
        isMade<Bulkhead.Bulkhead>(Bulkhead.TypeId),
        (own: Bulkhead.Options) => Bulkhead.make({ ...own, name: own.name === undefined ? name : own.name })
      ),
      verdict: given.verdict,
      given: {}
    }
    const spelled = source === file ? notText(options) : []
    const all = [
      ...issues,
      ...spelled.filter(({ path }) => !issues.some((issue) => issue.path === path)),
      ...contradictions(policies)
    ]
    return all.length === 0
      // Only now: what is wrong may be too deep to be gone through.
      ? { ...policies, given: toData(given) }
      : yield* new InvalidOptions({ module: "Pipeline", issues: all })
  })

/** Retries and hedges share one budget, unless a hedge without bound is meant. */
const makeHedge = (
  own: Omit<Hedge.Options, "budget">,
  budget: HedgeForm["budget"],
  shared: RetryBudget.RetryBudget | undefined,
  isGiven: boolean
): Effect.Effect<Hedge.Hedge, InvalidOptions> => {
  const problem = budget !== undefined && budget !== "shared" && budget !== "none"
    ? { found: found(budget), allowed: "\"shared\" (the pipeline's retryBudget) or \"none\"" }
    : budget !== "none" && !isGiven
    ? {
      found: "no retryBudget to share",
      allowed:
        "a retryBudget beside the hedge (for example \"standard\"), or \"none\" if hedges without bound are meant"
    }
    : undefined
  const made = Hedge.make({ ...own, budget: budget === "none" ? budget : shared ?? "none" })
  return problem === undefined ? made : Effect.flatMap(Effect.either(made), (other) =>
    new InvalidOptions({
      module: "Hedge",
      issues: [{ path: "budget", ...problem }, ...(Either.isLeft(other) ? other.left.issues : [])]
    }))
}

/** The sections that were given as data, durations as text: what {@link encode} writes. */
const toData = (options: Options): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    sections.flatMap((name) => {
      const value = options[name]
      return value === undefined || isValue(value) ? [] : [[name, plain(value, [name])]]
    })
  )

const marks = [
  RetryBudget.TypeId,
  AdaptiveRetry.TypeId,
  Hedge.TypeId,
  CircuitBreaker.TypeId,
  RateLimiter.TypeId,
  ConcurrencyLimit.TypeId,
  Bulkhead.TypeId
]

const isValue = (value: unknown): boolean =>
  typeof value === "object" && value !== null && marks.some((mark) => mark in value)

/**
 * Reads options written in code. Fails with one `InvalidOptions` that lists everything that is wrong.
 *
 * @since 0.1.0
 * @category conversions
 */
export const read = (options: Options): Effect.Effect<Policies, InvalidOptions> => readWith(options, code)

/**
 * Reads a policy file: JSON with the fields of {@link Options} except `verdict`, durations written like `"8 seconds"`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<Policies, InvalidOptions> =>
  // Every field of it is checked before it is used.
  readWith(json as Options, file)

/**
 * Whether a policy file is right, without making anything of it: fails with everything that is wrong.
 *
 * @since 0.1.0
 * @category conversions
 */
export const check = (json: unknown): Effect.Effect<void, InvalidOptions> => Effect.asVoid(decode(json))

/**
 * A policy file in one setting, such as an environment variable that holds the JSON. Pass it to `Pipeline.decode`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const config = (name: string): Config.Config<unknown> =>
  Config.mapOrFail(Config.string(name), (json) =>
    Either.try({
      try: (): unknown => JSON.parse(json),
      catch: () =>
        ConfigError.InvalidData([name], "expected a pipeline as JSON, such as { \"totalTimeout\": \"1 minute\" }")
    }))

/**
 * The policies as JSON: name and numbers, and every section that was given as data. One that was given as a value is
 * shared with others and is not repeated here.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (policies: Policies): { readonly [field: string]: unknown } => ({
  name: policies.name,
  ...(policies.totalTimeout === undefined ? {} : { totalTimeout: formatDuration(policies.totalTimeout) }),
  ...(policies.retry === undefined ? {} : { retry: RetryPolicy.encode(policies.retry) }),
  ...Object.fromEntries(
    Object.entries(policies.given).filter(([name]) =>
      !["name", "totalTimeout", "retry", "attemptTimeout"].includes(name)
    )
  ),
  ...(policies.attemptTimeout === undefined ? {} : { attemptTimeout: formatDuration(policies.attemptTimeout) })
})

/**
 * The JSON Schema (2020-12) of a policy file, for editors: point `$schema` of the file, or the editor, at
 * `effect-llm-resilience/policy.schema.json`. It says what the fields are; what they may be together, {@link check} says.
 *
 * @since 0.1.0
 * @category schemas
 */
export const jsonSchema: { readonly [keyword: string]: unknown } = schema
