/** How the streams of a pipeline are guarded. It has no stage: who drives a stream through the pipeline reads it. */
import * as Effect from "effect/Effect"
import { words } from "../../internal/words.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import * as Section from "../shared/section.ts"
import * as StreamPolicy from "../StreamPolicy.ts"
import { form } from "./options.ts"

type Settings = StreamPolicy.Settings

/** The limit of the time to the first content, and the field that it was written in. */
const firstContentOf = (
  self: Settings,
  peers: Section.Peers
): { readonly field: string; readonly millis: number | undefined } =>
  self.firstContent !== undefined
    ? { field: "firstContent", millis: self.firstContent }
    : { field: "attemptTimeout", millis: peers.attemptTimeout() }

/** Against the time-outs that stand in for `total` and `firstContent`; those of its own it was read with. */
const besideTimeouts = (self: Settings, peers: Section.Peers): ReadonlyArray<Section.Issue> => {
  if (self.total === undefined) {
    return (["firstContent", "idle", "liveness", "peek"] as const).flatMap((field) =>
      Section.below(field, self[field], "totalTimeout", peers.totalTimeout())
    )
  }
  const attemptTimeout = self.firstContent === undefined ? peers.attemptTimeout() : undefined
  return attemptTimeout === undefined || self.total > attemptTimeout ? [] : [{
    path: "total",
    found: words(self.total),
    allowed: `more than attemptTimeout, which is ${words(attemptTimeout)} and counts to the first content; ` +
      "or give a firstContent"
  }]
}

/**
 * Every content is a sign of life, so a limit of signs of life can only be reached before one of contents that is longer.
 * With 30 s for a sign of life and 10 s for the next content it is never reached between contents; before the first one it
 * is, unless that has no more than 30 s either.
 */
const deadBeforeLate = (self: Settings, peers: Section.Peers): ReadonlyArray<Section.Issue> => {
  const { idle, liveness } = self
  const first = firstContentOf(self, peers)
  if (
    liveness === undefined || idle === undefined || liveness < idle ||
    (first.millis !== undefined && liveness < first.millis)
  ) return []
  return [{
    path: "liveness",
    found: words(liveness),
    allowed:
      `less than idle, which is ${words(idle)}: each content is a sign of life, so this limit is never reached first` +
      (first.millis === undefined
        ? "; or, to find a dead stream before its first content, give a longer firstContent, too"
        : ` (nor before the first content, which has ${first.field}: ${words(first.millis)})`)
  }]
}

/** A new attempt is one of the retry's. */
const withoutRetry = (self: Settings, peers: Section.Peers): ReadonlyArray<Section.Issue> => {
  const retry = peers.find(RetryPolicy.isRetryPolicy)
  if ((retry !== undefined && retry.tree._tag !== "Never") || (retry === undefined && peers.isGiven("retry"))) return []
  const found = retry === undefined ? "no retry" : "a retry that never retries"
  const allowed =
    "a retry beside it, which says how often a stream may go on or begin anew; or \"fail\" or \"truncate\""
  return self.onBreak === "restart" || self.onBreak === "resume" ? [{ path: "onBreak", found, allowed }] : []
}

/**
 * What is within bounds calls without streams. A stream has no end of its own: it goes on while content comes, and time in
 * which the consumer does not ask does not count.
 */
const worst = (self: Settings, within: Section.Worst, peers: Section.Peers): Section.Worst => ({
  ...within,
  duration: Math.max(within.duration, self.total ?? peers.totalTimeout() ?? Infinity)
})

export const section = Section.make({
  name: "stream",
  form,
  is: Section.marked<StreamPolicy.StreamPolicy>(StreamPolicy.TypeId),
  make: (settings) => Effect.succeed({ ...settings, [StreamPolicy.TypeId]: StreamPolicy.TypeId }),
  contradictions: (self, peers) => [
    ...besideTimeouts(self, peers),
    ...deadBeforeLate(self, peers),
    ...withoutRetry(self, peers)
  ],
  describe: StreamPolicy.describe,
  worst
})
