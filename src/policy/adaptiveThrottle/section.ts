/** The adaptive throttle of a pipeline. */
import * as Effect from "effect/Effect"
import * as AdaptiveThrottle from "../AdaptiveThrottle.ts"
import * as Section from "../shared/section.ts"
import { gate } from "./cell.ts"
import { form } from "./options.ts"

export const section = Section.make({
  form,
  name: "adaptiveThrottle",
  is: Section.marked<AdaptiveThrottle.AdaptiveThrottle>(AdaptiveThrottle.TypeId),
  make: AdaptiveThrottle.make,
  stage: { _tag: "Gate", gate: ({ cell }) => gate(cell) },
  // What was seen of late goes on to count, where it is counted the same way.
  keep: (now, next) =>
    Effect.succeed(
      now !== undefined && now.cell.settings.windowMillis === next.cell.settings.windowMillis
        ? { ...next, cell: { ...next.cell, state: now.cell.state } }
        : next
    ),
  describe: AdaptiveThrottle.describe
})
