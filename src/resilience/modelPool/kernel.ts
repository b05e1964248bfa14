/**
 * Which member of a pool a call is sent to, and how long a member rests after a failure. Pure: the moment, the room at the
 * limiters and the key of the conversation are given. Times are milliseconds of elapsed time.
 */
import { uniform } from "../../internal/seeded.ts"

export type Strategy = "least-busy" | "weighted" | "cheapest"

/** What the options say of a member. */
export interface Settings {
  readonly name: string
  /** Above zero. */
  readonly weight: number
  /** What it costs beside the others, in any unit; only `cheapest` reads it. */
  readonly price: number
}

/** What the pool knows of a member. */
export interface Member {
  readonly inFlight: number
  /** When its rest is over; in the past for one that does not rest. */
  readonly restsUntil: number
  /** How far it is owed a call by its weight: see `owed`. */
  readonly owed: number
  /** The number of the last call that was sent to it; 0 for none. */
  readonly lastCall: number
}

export interface State {
  readonly members: ReadonlyArray<Member>
  readonly calls: number
}

export const start = (count: number): State => ({
  calls: 0,
  members: Array.from({ length: count }, () => ({ inFlight: 0, restsUntil: -Infinity, owed: 0, lastCall: 0 }))
})

/** What is asked of the pool for one call. */
export interface Asked {
  readonly now: number
  readonly strategy: Strategy
  /** The members that have failed this call already. */
  readonly tried: ReadonlySet<number>
  /** For each member the milliseconds until its limiter would let this call go. */
  readonly waits: ReadonlyArray<number>
  /** What keeps a conversation at one member; nothing where it need not stay. */
  readonly affinity: string | undefined
}

export type Choice =
  | { readonly _tag: "Ask"; readonly member: number }
  /** Nobody is ready. One that has not been tried is in so many milliseconds. */
  | { readonly _tag: "Rest"; readonly millis: number; readonly member: number }
  /** All have been tried. */
  | { readonly _tag: "None" }

interface Candidate extends Member, Settings {
  readonly at: number
  readonly wait: number
  readonly rest: number
}

/** The first of the best: `isBetter` says whether a candidate is better than the best so far. */
const best = (
  candidates: ReadonlyArray<Candidate>,
  isBetter: (candidate: Candidate, best: Candidate) => boolean
): Candidate | undefined => {
  let found = candidates[0]
  for (const candidate of candidates) if (found !== undefined && isBetter(candidate, found)) found = candidate
  return found
}

const isLessBusy = (one: Candidate, other: Candidate): boolean => {
  const [a, b] = [one.inFlight / one.weight, other.inFlight / other.weight]
  return a < b || (a === b && one.lastCall < other.lastCall)
}

const isCheaper = (one: Candidate, other: Candidate): boolean =>
  one.price < other.price || (one.price === other.price && isLessBusy(one, other))

/**
 * Weighted rendezvous hashing: every member draws a number from its own name and the key, larger for a larger weight, and
 * the largest wins. A conversation stays where it is when another member leaves or comes, no table is kept, and every
 * process of a fleet chooses alike. Source: D. G. Thaler and C. V. Ravishankar, "Using name-based mappings to increase hit
 * rates", IEEE/ACM Transactions on Networking 6(1), 1998; with weights: J. Schindelhauer and G. Schomaker, "Weighted
 * distributed hash tables", SPAA 2005.
 */
const drawn = ({ name, weight }: Settings, key: string): number =>
  -weight / Math.log(uniform("pool", name, key) || 1e-12)

/**
 * Smooth weighted round robin: each member is owed its weight for every call, and who is owed most gets it and pays the sum.
 * Calls are in the proportion of the weights, and those of one member are spread evenly. Source: nginx,
 * `ngx_http_upstream_round_robin.c`.
 */
const owed = (candidate: Candidate): number => candidate.owed + candidate.weight

const pick = (ready: ReadonlyArray<Candidate>, { affinity, strategy }: Asked): Candidate | undefined => {
  if (affinity !== undefined) return best(ready, (one, other) => drawn(one, affinity) > drawn(other, affinity))
  switch (strategy) {
    case "least-busy":
      return best(ready, isLessBusy)
    case "cheapest":
      return best(ready, isCheaper)
    case "weighted":
      return best(ready, (one, other) => owed(one) > owed(other))
  }
}

/**
 * The member for a call. Of those that have not failed it, the ones that are ready are chosen from: they do not rest and
 * their limiter has room. Where none is ready, a call goes to the one whose limiter lets it go soonest and waits in the
 * queue there, unless one that rests is ready sooner.
 */
export const choose = (settings: ReadonlyArray<Settings>, state: State, asked: Asked): Choice => {
  const candidates = settings.flatMap((setting, at): ReadonlyArray<Candidate> => {
    const member = state.members[at]
    if (member === undefined || asked.tried.has(at)) return []
    return [{ ...setting, ...member, at, wait: asked.waits[at] ?? 0, rest: Math.max(0, member.restsUntil - asked.now) }]
  })
  const ready = candidates.filter(({ rest, wait }) => rest === 0 && wait === 0)
  const chosen = pick(ready, asked)
  if (chosen !== undefined) return { _tag: "Ask", member: chosen.at }
  const delay = ({ rest, wait }: Candidate): number => Math.max(rest, wait)
  const soonest = best(candidates, (one, other) => delay(one) < delay(other))
  return soonest === undefined
    ? { _tag: "None" }
    : soonest.rest === 0
    ? { _tag: "Ask", member: soonest.at }
    : { _tag: "Rest", member: soonest.at, millis: soonest.rest }
}

const change = (state: State, at: number, change: (member: Member) => Partial<Member>): State => ({
  ...state,
  members: state.members.map((member, each) => each === at ? { ...member, ...change(member) } : member)
})

/** A call was sent to a member. What is owed moves only where calls are given out by weight. */
export const sent = (settings: ReadonlyArray<Settings>, state: State, at: number, asked: Asked): State => {
  const calls = state.calls + 1
  const isReady = (member: Member, each: number): boolean =>
    !asked.tried.has(each) && member.restsUntil <= asked.now && (asked.waits[each] ?? 0) === 0
  const byWeight = asked.strategy === "weighted" && asked.affinity === undefined
  const total = settings.reduce((sum, { weight }, each) => {
    const member = state.members[each]
    return member !== undefined && isReady(member, each) ? sum + weight : sum
  }, 0)
  return {
    calls,
    members: state.members.map((member, each) => {
      const gains = byWeight && isReady(member, each) ? settings[each]?.weight ?? 0 : 0
      const pays = byWeight && each === at ? total : 0
      return {
        ...member,
        owed: member.owed + gains - pays,
        ...(each === at ? { inFlight: member.inFlight + 1, lastCall: calls } : {})
      }
    })
  }
}

/** A call of a member has ended, however it did. */
export const ended = (state: State, at: number): State =>
  change(state, at, ({ inFlight }) => ({ inFlight: Math.max(0, inFlight - 1) }))

/** A member rests at least until then: a shorter rest ends none that is longer. */
export const rests = (state: State, at: number, until: number): State =>
  change(state, at, ({ restsUntil }) => ({ restsUntil: Math.max(restsUntil, until) }))

/** The facts about a failure that the pool decides by. */
export interface Failure {
  readonly tag: string
  readonly action: "Retry" | "Reask" | "Fallback" | "Fail"
  /** The other side asked for less traffic. */
  readonly throttled: boolean
  /** It says something about the member and not about the request. */
  readonly weighs: boolean
  /** Milliseconds that the other side asked to wait, where it did. */
  readonly hint: number | undefined
}

export interface Rests {
  /** After a 429 that says no time. */
  readonly throttled: number
  /** After a refusal of the member's own: its key, its quota, its region. */
  readonly refused: number
  /** The longest that the other side is believed. */
  readonly longest: number
}

/** Errors about a member's own key, account or region: every other member may still answer. */
const memberErrors: ReadonlyArray<string> = ["Authentication", "PermissionDenied", "QuotaExhausted", "ModelNotFound"]

/** What a member's own pipeline refuses before anything is sent. */
const localRefusals: ReadonlyArray<string> = ["CircuitOpen", "BulkheadFull", "RateLimitExceeded", "Throttled"]

/**
 * How long a member rests after a failure. One that is throttled or refuses for a reason of its own rests, and so does one
 * whose circuit is open, until that lets a probe through. Other failures are left to its circuit breaker, and a limiter of
 * its own is asked before every call.
 */
export const restAfter = ({ hint, tag, throttled }: Failure, rests: Rests): number => {
  const told = hint === undefined ? undefined : Math.min(hint, rests.longest)
  if (localRefusals.includes(tag)) return tag === "CircuitOpen" ? told ?? 0 : 0
  if (memberErrors.includes(tag)) return told ?? rests.refused
  return throttled ? told ?? rests.throttled : 0
}

/**
 * Who may be asked after a failure: nobody, every member, or only those that are another model. What a model cannot do (the
 * context is too long, the content is filtered) it cannot do with another key either.
 */
export const next = ({ action, tag, throttled, weighs }: Failure): "nobody" | "anybody" | "anotherModel" =>
  throttled || action === "Retry" || memberErrors.includes(tag) || localRefusals.includes(tag)
    ? "anybody"
    : action !== "Fallback"
    ? "nobody"
    : weighs
    ? "anybody"
    : "anotherModel"
