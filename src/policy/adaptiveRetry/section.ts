/** The adaptive retry of a pipeline: the retry asks it how long to wait, and it learns from every attempt. */
import * as Effect from "effect/Effect"
import * as AdaptiveRetry from "../AdaptiveRetry.ts"
import type { Gate, GatePermit } from "../shared/attempt.ts"
import * as Section from "../shared/section.ts"
import { form } from "./options.ts"
import * as Requests from "./requests.ts"

/** Holds requests back in the mode `"rate"`, and counts the outcome of those that were sent. */
const gate = (self: AdaptiveRetry.AdaptiveRetry): Gate<unknown, never> => {
  const permit: GatePermit<unknown> = {
    _tag: "GatePermit",
    settle: ({ exit, now, startedAt }) => {
      if (startedAt !== undefined) Requests.settle(self, exit, now)
      return undefined
    }
  }
  return {
    admit: (_, restore) =>
      Requests.isHolding(self)
        ? { _tag: "GateWait", permit: Effect.as(Requests.acquire(self, restore), permit) }
        : permit
  }
}

export const section = Section.make({
  form,
  name: "adaptiveRetry",
  is: Section.marked<AdaptiveRetry.AdaptiveRetry>(AdaptiveRetry.TypeId),
  make: AdaptiveRetry.make,
  // Nobody waits for its turn only to be refused by an open circuit.
  stage: { _tag: "Gate", gate, behind: "circuitBreaker" },
  // The recent outcomes go on to count.
  keep: (now, next) =>
    Effect.succeed(
      now !== undefined && now.mode === next.mode && Section.isSame(now.settings, next.settings)
        ? { ...next, cell: now.cell }
        : next
    ),
  describe: (self) => Section.titled("adaptive retry", AdaptiveRetry.describe(self)),
  worst: (self, within) => self.mode === "rate" ? { ...within, duration: Infinity } : within
})
