/** The adaptive retry of a pipeline: the retry asks it how long to wait, and it learns from every attempt. */
import * as Effect from "effect/Effect"
import * as AdaptiveRetry from "../AdaptiveRetry.ts"
import type { Entered, Gate } from "../shared/attempt.ts"
import * as Section from "../shared/section.ts"
import { form } from "./options.ts"
import * as Requests from "./requests.ts"

/** Holds requests back in the mode `"rate"`, and takes in what becomes of those that were sent. */
const gate = (self: AdaptiveRetry.AdaptiveRetry): Gate<unknown, never> => {
  const entered: Entered<unknown> = {
    _tag: "Entered",
    leave: ({ exit, now, startedAt }) => {
      if (startedAt !== undefined) Requests.settle(self, exit, now)
      return undefined
    }
  }
  return {
    enter: (_, restore) =>
      Requests.isHolding(self)
        ? { _tag: "Slow", enter: Effect.as(Requests.acquire(self, restore), entered) }
        : entered
  }
}

export const section = Section.make({
  options: Section.options(form),
  name: "adaptiveRetry",
  is: Section.marked<AdaptiveRetry.AdaptiveRetry>(AdaptiveRetry.TypeId),
  make: AdaptiveRetry.make,
  // Nobody waits for its turn only to be refused by an open circuit.
  stage: { _tag: "Gate", gate, behind: "circuitBreaker" },
  // What was seen of late goes on to count.
  keep: (now, next) =>
    Effect.succeed(
      now !== undefined && now.mode === next.mode && Section.isSame(now.settings, next.settings)
        ? { ...next, cell: now.cell }
        : next
    ),
  describe: (self) => Section.titled("adaptive retry", AdaptiveRetry.describe(self)),
  worst: (self, within) => self.mode === "rate" ? { ...within, duration: Infinity } : within
})
