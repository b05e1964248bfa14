/** Fields of a pipeline that contradict each other; every message names both. */
import * as Duration from "effect/Duration"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import { formatDuration } from "../../internal/reader.ts"
import { words } from "../../internal/words.ts"
import type * as Bulkhead from "../Bulkhead.ts"
import * as CircuitBreaker from "../CircuitBreaker.ts"
import type * as ConcurrencyLimit from "../ConcurrencyLimit.ts"
import type * as Hedge from "../Hedge.ts"
import type * as RateLimiter from "../RateLimiter.ts"
import * as RetryPolicy from "../RetryPolicy.ts"

type Issue = InvalidOptions["issues"][number]

/** What of the policies is held against each other. Times are milliseconds. */
interface Checked {
  readonly totalTimeout: number | undefined
  readonly attemptTimeout: number | undefined
  readonly retry: RetryPolicy.RetryPolicy | undefined
  readonly hedge: Hedge.Hedge | undefined
  readonly circuitBreaker: CircuitBreaker.CircuitBreaker | undefined
  readonly rateLimiter: RateLimiter.RateLimiter | undefined
  readonly concurrencyLimit: ConcurrencyLimit.ConcurrencyLimit | undefined
  readonly bulkhead: Bulkhead.Bulkhead | undefined
}

const below = (
  path: string,
  millis: number | undefined,
  other: string,
  limit: number | undefined,
  why = ""
): ReadonlyArray<Issue> =>
  millis === undefined || limit === undefined || millis < limit
    ? []
    : [{ path, found: words(millis), allowed: `less than ${other}, which is ${words(limit)}${why}` }]

const retryWait = (
  retry: RetryPolicy.RetryPolicy | undefined,
  totalTimeout: number | undefined
): ReadonlyArray<Issue> => {
  if (retry === undefined || totalTimeout === undefined) return []
  // A hint that nobody spoke of and that cannot be waited for in time stops the retry at once, and is no contradiction.
  const wait = Duration.toMillis(RetryPolicy.bounds(retry, { hints: "written" }).wait)
  return wait <= totalTimeout ? [] : [{
    path: "retry",
    found: `a worst-case wait of ${wait === Infinity ? "for ever" : words(wait)}`,
    allowed: `at most totalTimeout, which is ${words(totalTimeout)}: lower attempts, cap or honourHints, ` +
      `or add "within": "${formatDuration(totalTimeout)}" so that a wait that cannot end in time is not begun`
  }]
}

/** A delay that is learned moves with the latency, so only what was written is checked. */
const hedgeDelay = ({ attemptTimeout, hedge, totalTimeout }: Checked): ReadonlyArray<Issue> => {
  if (hedge === undefined) return []
  const { delay } = hedge
  const [path, wait] = delay._tag === "Fixed" ? ["hedge.delay", delay.delay] : ["hedge.delay.initial", delay.initial]
  if (wait === undefined || !Duration.isFinite(wait)) return []
  const millis = Duration.toMillis(wait)
  const never = ", or no hedge is ever started"
  const last = hedge.maxHedges === 1 ? never : `, or the last of ${hedge.maxHedges} hedges is never started`
  return [
    ...below(path, millis, "attemptTimeout", attemptTimeout, never),
    ...(hedge.maxHedges === 1 && attemptTimeout !== undefined
      ? []
      : below(path, millis * hedge.maxHedges, "totalTimeout", totalTimeout, last))
  ]
}

const probeLimit = (
  circuitBreaker: CircuitBreaker.CircuitBreaker | undefined,
  attemptTimeout: number | undefined
): ReadonlyArray<Issue> => {
  if (circuitBreaker === undefined || attemptTimeout === undefined) return []
  const limit = Duration.toMillis(CircuitBreaker.settings(circuitBreaker).probeLimit)
  return limit >= attemptTimeout ? [] : [{
    path: "circuitBreaker.probeLimit",
    found: words(limit),
    allowed: `at least attemptTimeout, which is ${words(attemptTimeout)}, or a probe is given up while it may answer`
  }]
}

export const contradictions = (policies: Checked): ReadonlyArray<Issue> => {
  const { attemptTimeout, bulkhead, circuitBreaker, concurrencyLimit, rateLimiter, retry, totalTimeout } = policies
  const maxWait = rateLimiter === undefined || !Number.isFinite(rateLimiter.maxWait) ? undefined : rateLimiter.maxWait
  return [
    ...below("attemptTimeout", attemptTimeout, "totalTimeout", totalTimeout),
    ...retryWait(retry, totalTimeout),
    ...hedgeDelay(policies),
    ...below("rateLimiter.maxWait", maxWait, "totalTimeout", totalTimeout),
    ...below("concurrencyLimit.queueTimeout", concurrencyLimit?.admission.queueTimeout, "totalTimeout", totalTimeout),
    ...below("bulkhead.queueTimeout", bulkhead?.admission.queueTimeout, "totalTimeout", totalTimeout),
    ...probeLimit(circuitBreaker, attemptTimeout)
  ]
}
