/** The hedge of a pipeline. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Verdict from "../../error/Verdict.ts"
import type * as Form from "../../internal/form.ts"
import type { Fields } from "../../internal/record.ts"
import * as Hedge from "../Hedge.ts"
import * as RetryBudget from "../RetryBudget.ts"
import * as Section from "../shared/section.ts"
import { HedgedRun } from "./hedgedAttempt.ts"
import { pipelineForm } from "./options.ts"

const isRetryBudget = Section.marked<RetryBudget.RetryBudget>(RetryBudget.TypeId)
const isHedge = Section.marked<Hedge.Hedge>(Hedge.TypeId)

/** A budget that is given but wrong has an issue of its own, so it is not missing. */
const missing = (given: Fields, peers: Section.Peers): ReadonlyArray<Section.Issue> =>
  given["budget"] === "none" || peers.isGiven("retryBudget") ? [] : [{
    path: "budget",
    found: "no retryBudget to share",
    allowed: "a retryBudget beside the hedge (for example \"standard\"), or \"none\" if hedges without bound are meant"
  }]

/** Retries and hedges share one budget, unless a hedge without bound is meant. */
const make = (read: Form.Output<typeof pipelineForm>, peers: Section.Peers): Hedge.Hedge => ({
  [Hedge.TypeId]: Hedge.TypeId,
  name: read.name,
  delay: read.delay,
  maxHedges: read.maxHedges,
  budget: read.budget === "none" ? read.budget : peers.find(isRetryBudget) ?? "none",
  verdict: read.verdict ?? Verdict.of
})

/** Retries and hedges go on sharing one budget, and a delay that was learned is not learned anew. */
const keep = (now: Hedge.Hedge | undefined, next: Hedge.Hedge, peers: Section.Peers): Hedge.Hedge => {
  const before = now?.delay
  const { delay } = next
  return {
    ...next,
    budget: next.budget === "none" ? next.budget : peers.find(isRetryBudget) ?? next.budget,
    delay: before?._tag === "Learned" && delay._tag === "Learned" && Section.isSame(before.settings, delay.settings)
      ? delay.learningWith(before)
      : delay
  }
}

/** The delay in the options, in milliseconds. A learned one changes with the latency, so its initial value is taken. */
const writtenDelay = ({ delay }: Hedge.Hedge): number | undefined => {
  const written = delay._tag === "Fixed" ? delay.delay : delay.initial
  return written === undefined || !Duration.isFinite(written) ? undefined : Duration.toMillis(written)
}

const contradictions = (self: Hedge.Hedge, peers: Section.Peers): ReadonlyArray<Section.Issue> => {
  const { delay, maxHedges } = self
  const millis = writtenDelay(self)
  if (millis === undefined) return []
  const path = delay._tag === "Fixed" ? "delay" : "delay.initial"
  const never = ", or no hedge is ever started"
  const last = maxHedges === 1 ? never : `, or the last of ${maxHedges} hedges is never started`
  const attemptTimeout = peers.attemptTimeout()
  return [
    ...Section.below(path, millis, "attemptTimeout", attemptTimeout, never),
    ...(maxHedges === 1 && attemptTimeout !== undefined
      ? []
      : Section.below(path, millis * maxHedges, "totalTimeout", peers.totalTimeout(), last))
  ]
}

/**
 * The last hedge begins when its delay is over, or when all before it have failed: with a delay of 2 s, two hedges and
 * attempts of 10 s, at 4 s (and not at 20 s), so that the call is over at 14 s.
 */
const longest = (self: Hedge.Hedge, { duration }: Section.Worst): number => {
  const { delay, maxHedges } = self
  const millis = delay._tag === "Fixed" ? writtenDelay(self) ?? Infinity : Infinity
  return Math.min(maxHedges * millis, maxHedges * duration) + duration
}

export const section = Section.make({
  form: pipelineForm,
  name: "hedge",
  is: isHedge,
  missing,
  make: (read, peers) => Effect.succeed(make(read, peers)),
  stage: {
    _tag: "Around",
    around: (self) => (inner, _, streamed) => new HedgedRun(inner, self, streamed)
  },
  keep: (now, next, peers) => Effect.succeed(keep(now, next, peers)),
  contradictions,
  describe: (self) => Section.titled("hedge", Hedge.describe(self)),
  worst: (self, within) => ({ ...within, calls: within.calls * (1 + self.maxHedges), duration: longest(self, within) })
})
