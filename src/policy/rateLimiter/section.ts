/** The rate limiter of a pipeline. */
import * as Effect from "effect/Effect"
import * as RateLimiter from "../RateLimiter.ts"
import * as Section from "../shared/section.ts"
import { gate } from "./call.ts"
import { form } from "./options.ts"

export const section = Section.make({
  form,
  name: "rateLimiter",
  is: Section.marked<RateLimiter.RateLimiter>(RateLimiter.TypeId),
  make: RateLimiter.make,
  stage: { _tag: "Gate", gate: (self) => gate(self, {}), gateAtCost: gate },
  // The store knows what was used; it is told the limits with every call.
  keep: (now, next, _, { key }) =>
    Effect.succeed(
      now === undefined ? next : { ...next, store: now.store, key: key === undefined ? now.key : next.key }
    ),
  contradictions: ({ maxWait }, peers) =>
    Number.isFinite(maxWait) ? Section.below("maxWait", maxWait, "totalTimeout", peers.totalTimeout()) : [],
  describe: RateLimiter.describe,
  worst: ({ maxWait }, within) => ({ ...within, duration: within.duration + maxWait })
})
