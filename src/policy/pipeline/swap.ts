/** How a running pipeline takes over another configuration without losing what its policies know. */
import * as Effect from "effect/Effect"
import { InvalidOptions } from "../../error/InvalidOptions.ts"
import type * as AdaptiveRetry from "../AdaptiveRetry.ts"
import * as Bulkhead from "../Bulkhead.ts"
import * as CircuitBreaker from "../CircuitBreaker.ts"
import * as ConcurrencyLimit from "../ConcurrencyLimit.ts"
import type * as Hedge from "../Hedge.ts"
import type * as PolicyConfig from "../PolicyConfig.ts"
import type * as RateLimiter from "../RateLimiter.ts"
import type * as RetryBudget from "../RetryBudget.ts"

type Policies = PolicyConfig.Policies
type Issues = ReadonlyArray<InvalidOptions["issues"][number]>

/** What policies refuse with: the tags of the errors that a pipeline's type tells of. */
type Tag = "TimedOut" | "CircuitOpen" | "RateLimitExceeded" | "BulkheadFull"

/** The refusals that the type of a pipeline has; `"all"` where the type has every one. */
export type Refusals = ReadonlySet<Tag> | "all"

/** Which section refuses with what. */
const refusing = (policies: Policies): ReadonlyArray<readonly [path: string, tag: Tag]> => {
  const found: Array<readonly [string, Tag]> = []
  const note = (given: unknown, path: string, tag: Tag): void => {
    if (given !== undefined) found.push([path, tag])
  }
  note(policies.totalTimeout, "totalTimeout", "TimedOut")
  note(policies.circuitBreaker, "circuitBreaker", "CircuitOpen")
  note(policies.rateLimiter, "rateLimiter", "RateLimitExceeded")
  note(policies.concurrencyLimit, "concurrencyLimit", "BulkheadFull")
  note(policies.concurrencyLimit?.admission.queueTimeout, "concurrencyLimit.queueTimeout", "TimedOut")
  note(policies.bulkhead, "bulkhead", "BulkheadFull")
  note(policies.bulkhead?.admission.queueTimeout, "bulkhead.queueTimeout", "TimedOut")
  note(policies.attemptTimeout, "attemptTimeout", "TimedOut")
  return found
}

export const refusals = (policies: Policies): Refusals => new Set(refusing(policies).map(([, tag]) => tag))

/** A refusal that the pipeline's type does not have. */
const additions = (next: Policies, typed: Refusals): Issues =>
  typed === "all" ? [] : refusing(next).flatMap(([path, tag]) =>
    typed.has(tag) ? [] : [{
      path,
      found: `a policy that refuses with ${tag}`,
      allowed: "only refusals of the policies it was made with, because callers are typed for those; make it with them"
    }]
  )

/** What was given as data moves what is in use to new numbers; what was given as a value is used itself. */
const isData = (next: Policies, name: keyof PolicyConfig.Options): boolean => next.given[name] !== undefined

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

const fixed = (path: string, now: unknown, next: unknown): Issues =>
  isSame(now, next) ? [] : [{
    path,
    found: next === undefined ? "left out" : "another one",
    allowed: "what it was made with, because calls that wait or run go by it; for another one make another pipeline"
  }]

/** What cannot change while calls wait and run. */
const changes = (now: Policies, next: Policies): Issues => {
  const { bulkhead, concurrencyLimit } = now
  return [
    ...(bulkhead === undefined || next.bulkhead === undefined || !isData(next, "bulkhead")
      ? []
      : fixed("bulkhead.queueTimeout", bulkhead.admission.queueTimeout, next.bulkhead.admission.queueTimeout)),
    ...(concurrencyLimit === undefined || next.concurrencyLimit === undefined ||
        !isData(next, "concurrencyLimit")
      ? []
      : [
        ...fixed(
          "concurrencyLimit.queueTimeout",
          concurrencyLimit.admission.queueTimeout,
          next.concurrencyLimit.admission.queueTimeout
        ),
        ...fixed(
          "concurrencyLimit.strategy",
          concurrencyLimit.cell.settings.strategy,
          next.concurrencyLimit.cell.settings.strategy
        )
      ])
  ]
}

/** The budget in use goes on with its counts where the form is the same. */
const keepBudget = (now: Policies, next: Policies): RetryBudget.RetryBudget | undefined =>
  now.retryBudget !== undefined && next.retryBudget !== undefined && isData(next, "retryBudget") &&
    isSame(now.retryBudget.form, next.retryBudget.form)
    ? now.retryBudget
    : next.retryBudget

/** Retries and hedges go on sharing one budget, and a delay that was learned is not learned anew. */
const keepHedge = (
  now: Policies,
  next: Policies,
  retryBudget: RetryBudget.RetryBudget | undefined
): Hedge.Hedge | undefined => {
  const { hedge } = next
  if (hedge === undefined || !isData(next, "hedge")) return hedge
  const before = now.hedge?.delay
  const { delay } = hedge
  return {
    ...hedge,
    budget: hedge.budget === "none" || retryBudget === undefined ? hedge.budget : retryBudget,
    delay: before?._tag === "Learned" && delay._tag === "Learned" && isSame(before.settings, delay.settings)
      ? delay.learningWith(before)
      : delay
  }
}

/** What was seen of late goes on to count. */
const keepAdaptive = (now: Policies, next: Policies): AdaptiveRetry.AdaptiveRetry | undefined =>
  now.adaptiveRetry !== undefined && next.adaptiveRetry !== undefined && isData(next, "adaptiveRetry") &&
    now.adaptiveRetry.mode === next.adaptiveRetry.mode &&
    isSame(now.adaptiveRetry.settings, next.adaptiveRetry.settings)
    ? { ...next.adaptiveRetry, cell: now.adaptiveRetry.cell }
    : next.adaptiveRetry

/** The store knows what was used; limits are told with every call. */
const keepLimiter = (now: Policies, next: Policies): RateLimiter.RateLimiter | undefined => {
  if (now.rateLimiter === undefined || next.rateLimiter === undefined) return next.rateLimiter
  const given = next.given["rateLimiter"]
  if (typeof given !== "object" || given === null) return next.rateLimiter
  const { key, store } = now.rateLimiter
  return { ...next.rateLimiter, store, key: "key" in given ? next.rateLimiter.key : key }
}

/**
 * Checks what was read against what runs, then moves what keeps a state to its new numbers. Nothing is changed where
 * anything is wrong.
 */
export const takeOver = (
  now: Policies,
  next: Policies,
  typed: Refusals
): Effect.Effect<Policies, InvalidOptions> =>
  Effect.gen(function*() {
    const issues = [...additions(next, typed), ...changes(now, next)]
    if (issues.length > 0) return yield* new InvalidOptions({ module: "Pipeline", issues })
    const { bulkhead, circuitBreaker, concurrencyLimit } = next
    const retryBudget = keepBudget(now, next)
    return {
      ...next,
      retryBudget,
      adaptiveRetry: keepAdaptive(now, next),
      hedge: keepHedge(now, next, retryBudget),
      rateLimiter: keepLimiter(now, next),
      circuitBreaker:
        now.circuitBreaker === undefined || circuitBreaker === undefined || !isData(next, "circuitBreaker")
          ? circuitBreaker
          : yield* Effect.as(
            CircuitBreaker.reconfigure(now.circuitBreaker, {
              ...CircuitBreaker.settings(circuitBreaker),
              name: now.circuitBreaker.name,
              verdict: circuitBreaker.cell.verdict
            }),
            now.circuitBreaker
          ),
      bulkhead: now.bulkhead === undefined || bulkhead === undefined || !isData(next, "bulkhead")
        ? bulkhead
        : yield* Effect.as(
          Bulkhead.resize(now.bulkhead, {
            maxConcurrent: bulkhead.admission.gate.limit,
            maxQueued: bulkhead.admission.gate.maxQueued
          }),
          now.bulkhead
        ),
      concurrencyLimit:
        now.concurrencyLimit === undefined || concurrencyLimit === undefined || !isData(next, "concurrencyLimit")
          ? concurrencyLimit
          : yield* Effect.as(
            ConcurrencyLimit.resize(now.concurrencyLimit, {
              floor: concurrencyLimit.cell.settings.floor,
              ceiling: concurrencyLimit.cell.settings.ceiling,
              maxQueued: concurrencyLimit.admission.gate.maxQueued
            }),
            now.concurrencyLimit
          )
    }
  })
