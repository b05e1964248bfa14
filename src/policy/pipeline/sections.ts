/**
 * The policies that a pipeline knows: outermost first, which is also the order of the fields of a policy file. A new
 * policy is one line here.
 */
import { section as adaptiveRetry } from "../adaptiveRetry/section.ts"
import { section as adaptiveThrottle } from "../adaptiveThrottle/section.ts"
import { section as bulkhead } from "../bulkhead/section.ts"
import { section as circuitBreaker } from "../circuitBreaker/section.ts"
import { section as concurrencyLimit } from "../concurrencyLimit/section.ts"
import { section as hedge } from "../hedge/section.ts"
import { section as rateLimiter } from "../rateLimiter/section.ts"
import { section as retry } from "../retry/section.ts"
import { section as retryBudget } from "../retryBudget/section.ts"
import { section as stream } from "../streamPolicy/section.ts"
import { attemptTimeout, totalTimeout } from "../timeout/section.ts"

export const sections = [
  stream,
  totalTimeout,
  retry,
  retryBudget,
  adaptiveRetry,
  hedge,
  circuitBreaker,
  adaptiveThrottle,
  rateLimiter,
  concurrencyLimit,
  bulkhead,
  attemptTimeout
] as const

/** The section of a policy that a pipeline knows. */
export type Known = (typeof sections)[number]
