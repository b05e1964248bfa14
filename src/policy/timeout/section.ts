/** The two time-outs of a pipeline: one for the call as a whole, one for each attempt. */
import * as Effect from "effect/Effect"
import type { TimedOut } from "../../error/PolicyError.ts"
import * as Form from "../../internal/form.ts"
import { words } from "../../internal/words.ts"
import * as Section from "../shared/section.ts"

/** A time-out has no state, so it is never shared: a number is always options. */
const isShared = (_: unknown): _ is never => false

const deadline = (phase: "attempt" | "total"): Section.Stage<number, TimedOut> => ({
  _tag: "Deadline",
  phase,
  millis: (self) => self
})

/** For the call with all its attempts and waits. */
export const totalTimeout = Section.make({
  form: Form.annotate(Form.millis(), { description: "for the call with all its attempts and waits" }),
  name: "totalTimeout",
  is: isShared,
  make: (millis) => Effect.succeed(millis),
  stage: deadline("total"),
  describe: (self) => `total time-out ${words(self)}`,
  worst: (self, within) => ({
    ...within,
    wait: Math.min(within.wait, self),
    duration: Math.min(within.duration, self)
  }),
  encode: Form.formatMillis
})

/** For each attempt, from when it was admitted. */
export const attemptTimeout = Section.make({
  form: Form.annotate(Form.millis(), { description: "for each attempt; less than totalTimeout" }),
  name: "attemptTimeout",
  is: isShared,
  make: (millis) => Effect.succeed(millis),
  stage: deadline("attempt"),
  contradictions: (self, peers) => Section.below("", self, "totalTimeout", peers.totalTimeout()),
  describe: (self) => `attempt time-out ${words(self)}`,
  worst: (self, within) => ({ ...within, duration: self }),
  encode: Form.formatMillis
})
