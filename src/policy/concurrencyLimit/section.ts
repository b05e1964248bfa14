/** The adaptive limit of the calls in flight of a pipeline. */
import * as Effect from "effect/Effect"
import * as ConcurrencyLimit from "../ConcurrencyLimit.ts"
import * as Admission from "../shared/admission.ts"
import * as Section from "../shared/section.ts"
import { form } from "./options.ts"

export const section = Section.make({
  form,
  name: "concurrencyLimit",
  is: Section.marked<ConcurrencyLimit.ConcurrencyLimit>(ConcurrencyLimit.TypeId),
  make: ConcurrencyLimit.make,
  stage: { _tag: "Gate", gate: ({ admission }) => Admission.gate(admission) },
  // What was learned stays, within the new bounds.
  keep: (now, next) =>
    now === undefined ? Effect.succeed(next) : ConcurrencyLimit.resize(now, {
      floor: next.cell.settings.floor,
      ceiling: next.cell.settings.ceiling,
      maxQueued: next.admission.pool.maxQueued
      // These are bounds of a limit.
    }).pipe(Effect.orDie, Effect.as(now)),
  fixed: ({ admission, cell }) => ({ ...Admission.fixed(admission), strategy: cell.settings.strategy }),
  contradictions: ({ admission }, peers) =>
    Section.below("queueTimeout", admission.queueTimeout, "totalTimeout", peers.totalTimeout()),
  describe: (self) => `adaptive limit ${ConcurrencyLimit.describe(self)}`,
  worst: ({ admission }, within) => ({ ...within, duration: within.duration + Admission.longestWait(admission) })
})
