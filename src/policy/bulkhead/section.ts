/** The bulkhead of a pipeline. */
import * as Effect from "effect/Effect"
import * as Bulkhead from "../Bulkhead.ts"
import * as Admission from "../shared/admission.ts"
import * as Section from "../shared/section.ts"
import { form } from "./options.ts"

export const section = Section.make({
  form,
  name: "bulkhead",
  is: Section.marked<Bulkhead.Bulkhead>(Bulkhead.TypeId),
  make: Bulkhead.make,
  stage: { _tag: "Gate", gate: ({ admission }) => Admission.gate(admission) },
  keep: (now, next) =>
    now === undefined ? Effect.succeed(next) : Bulkhead.resize(now, {
      maxConcurrent: next.admission.pool.limit,
      maxQueued: next.admission.pool.maxQueued
      // These are limits of a bulkhead.
    }).pipe(Effect.orDie, Effect.as(now)),
  fixed: ({ admission }) => Admission.fixed(admission),
  contradictions: ({ admission }, peers) =>
    Section.below("queueTimeout", admission.queueTimeout, "totalTimeout", peers.totalTimeout()),
  describe: (self) => Section.titled("bulkhead", Bulkhead.describe(self)),
  worst: ({ admission }, within) => ({ ...within, duration: within.duration + Admission.longestWait(admission) })
})
