/** The two time-outs of a pipeline: one for the call as a whole, one for each attempt. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { TimedOut } from "../../error/PolicyError.ts"
import { duration, formatDuration } from "../../internal/reader.ts"
import { words } from "../../internal/words.ts"
import { durationInput, emptyReport, refusal } from "../shared/options.ts"
import * as Section from "../shared/section.ts"

const readCode = durationInput()
const readFile = duration()

const options: Section.Options<Duration.DurationInput, number> = {
  jsonSchema: {},
  read: (given, mode) => {
    const report = emptyReport()
    const read = (mode === "code" ? readCode : readFile)(given, "", report)
    return { read, issues: refusal("Timeout", report).issues }
  },
  toFile: () => undefined
}

/** A time-out has no state, so it is never shared: a number is always options. */
const isShared = (_: unknown): _ is never => false

/** For the call with all its attempts and waits. */
export const totalTimeout = Section.make<"totalTimeout", Duration.DurationInput, number, number, TimedOut>({
  ...options,
  name: "totalTimeout",
  is: isShared,
  make: (millis) => Effect.succeed(millis),
  stage: { _tag: "Deadline", phase: "total", millis: (self) => self },
  describe: (self) => `total time-out ${words(self)}`,
  worst: (self, within) => ({
    ...within,
    wait: Math.min(within.wait, self),
    duration: Math.min(within.duration, self)
  }),
  encode: formatDuration
})

/** For each attempt, from when it was admitted. */
export const attemptTimeout = Section.make<"attemptTimeout", Duration.DurationInput, number, number, TimedOut>({
  ...options,
  name: "attemptTimeout",
  is: isShared,
  make: (millis) => Effect.succeed(millis),
  stage: { _tag: "Deadline", phase: "attempt", millis: (self) => self },
  contradictions: (self, peers) => Section.below("", self, "totalTimeout", peers.totalTimeout()),
  describe: (self) => `attempt time-out ${words(self)}`,
  worst: (self, within) => ({ ...within, duration: self }),
  encode: formatDuration
})
