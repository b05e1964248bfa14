/**
 * The life of a circuit: data in, data out. A closed circuit counts calls, an open one refuses them, a half-open one
 * lets a few probes through and decides by them.
 *
 * Every call that is let through holds a ticket. A closed circuit gives the same ticket to all its calls, a half-open
 * one a new ticket to each probe; no ticket is given out by two states. So a result that comes late, from a state that
 * is gone, is told by its ticket and decides nothing. Nothing here waits for a timer: what time has brought about is
 * found out by {@link due} when somebody looks.
 *
 * The counts of a closed circuit are written in place (see `tripping`), everything else is replaced.
 */
import { definedFields } from "../../internal/record.ts"
import { uniform } from "../../internal/seeded.ts"
import * as Step from "../shared/retryStep.ts"
import type { RetryTree } from "../shared/retryTree.ts"
import * as Tripping from "../shared/trippingRule.ts"

export interface Settings {
  readonly rule: Tripping.Rule
  /** From how many milliseconds on a call is bad although it succeeded; see `Tripping.slowerThan`. */
  readonly slowerThan: number
  /** The n-th wait is the break of the n-th opening in a row. */
  readonly breaks: RetryTree
  /** Milliseconds: a hint of the other side prolongs a break up to this. */
  readonly longestHint: number
  /** Probes at a time. */
  readonly probes: number
  readonly successesToClose: number
  /** Milliseconds from when a probe is sent; one that has no result by then has failed. */
  readonly probeLimit: number
  /** Decides the jitter of breaks. */
  readonly seed: number
}

/** A call that was let through a half-open circuit. */
export interface Probe {
  readonly ticket: number
  /** When it was sent. It may hold its place before, while it waits for a limiter or in a queue. */
  readonly startedAt: number | undefined
}

/** How often a circuit has opened since it was last closed, and the backoff that grows with it. */
interface History {
  readonly openings: number
  readonly backoffState: Step.State
  /** The last break. */
  readonly breakMillis: number
}

/** The error that opened a circuit, in words: its `_tag` or the name of its class, and its text without credentials. */
export interface OpenedBy {
  readonly tag: string
  readonly message: string
}

/** `ticket` is the highest that was given out so far. */
export type State =
  | { readonly _tag: "Closed"; readonly ticket: number; readonly counts: Tripping.Counts }
  | {
    readonly _tag: "Open"
    readonly ticket: number
    readonly since: number
    readonly until: number
    readonly history: History
    /** What the circuit opened for. */
    readonly sum: Tripping.Sum
    /** The last error that opened it since it was closed; none where only slow calls or probes without a result did. */
    readonly openedBy: OpenedBy | undefined
  }
  | {
    readonly _tag: "HalfOpen"
    readonly ticket: number
    readonly history: History
    readonly openedBy: OpenedBy | undefined
    readonly probes: ReadonlyArray<Probe>
    readonly successes: number
  }
  | { readonly _tag: "Isolated"; readonly ticket: number }
  | { readonly _tag: "Disabled"; readonly ticket: number }

/** What became of a call. `nothing`: it was interrupted, or its error says nothing about the dependency. */
export type Outcome = "success" | "failure" | "nothing"

/** The ticket of a call that is not let through. */
export const refused = -1

export const closed = (settings: Settings, ticket: number): State => ({
  _tag: "Closed",
  ticket: ticket + 1,
  counts: Tripping.counts(settings.rule)
})

export const isolated = (ticket: number): State => ({ _tag: "Isolated", ticket: ticket + 1 })

export const disabled = (ticket: number): State => ({ _tag: "Disabled", ticket: ticket + 1 })

const neverOpened = (settings: Settings): History => ({
  openings: 0,
  backoffState: Step.start(settings.breaks, 0),
  breakMillis: 0
})

const opening: Step.Failure = { tag: "CircuitOpen", retryable: true, forbidden: false }

const nextBreak = (settings: Settings, history: History, coordinate: number): History => {
  const [backoffState, decision] = Step.step(history.backoffState, opening, 0, uniform(settings.seed, coordinate))
  return {
    openings: history.openings + 1,
    backoffState,
    // A backoff that ends goes on with its last wait: a circuit must not stay open for ever.
    breakMillis: decision._tag === "Wait" ? decision.delay : history.breakMillis
  }
}

/** What a circuit opens from. */
interface Before {
  readonly ticket: number
  readonly history: History
  readonly openedBy: OpenedBy | undefined
}

/** What it opens for: the counts, and how long the other side asked to wait, 0 where it did not ask. */
interface Why {
  readonly sum: Tripping.Sum
  readonly hint: number
}

const open = (settings: Settings, before: Before, at: number, why: Why): State => {
  const history = nextBreak(settings, before.history, before.ticket)
  return {
    _tag: "Open",
    ticket: before.ticket,
    since: at,
    until: at + Math.max(history.breakMillis, Math.min(why.hint, settings.longestHint)),
    history,
    sum: why.sum,
    openedBy: before.openedBy
  }
}

const oneFailure: Tripping.Sum = { calls: 1, failures: 1, slow: 0 }
const oneSlow: Tripping.Sum = { calls: 1, failures: 0, slow: 1 }

/** When the first of the probes was sent: `Infinity` where none was. */
const earliest = (probes: ReadonlyArray<Probe>): number =>
  probes.reduce((least, { startedAt = Infinity }) => Math.min(least, startedAt), Infinity)

const isLaterThan = (now: number) => ({ startedAt }: Probe): boolean => startedAt !== undefined && startedAt > now

const halfOpen = ({ history, openedBy, ticket }: Before): State => ({
  _tag: "HalfOpen",
  ticket,
  history,
  openedBy,
  probes: [],
  successes: 0
})

/**
 * The next state that time alone has brought about by now, or the same state. Ask again until it is the same: a break
 * may have ended that began with a probe's limit.
 */
export const due = (settings: Settings, state: State, now: number): State => {
  switch (state._tag) {
    case "Closed":
    case "Isolated":
    case "Disabled":
      return state
    case "Open":
      return now >= state.until
        ? halfOpen(state)
        // A virtual clock was set back: what is left of the break is not more than the whole of it.
        : now < state.since
        ? { ...state, since: now, until: now + (state.until - state.since) }
        : state
    case "HalfOpen": {
      // A virtual clock was set back: a probe cannot have started later than now, or its limit would never come.
      const isLater = isLaterThan(now)
      if (state.probes.some(isLater)) {
        const probes = state.probes.map((probe) => isLater(probe) ? { ...probe, startedAt: now } : probe)
        return { ...state, probes }
      }
      const limit = earliest(state.probes) + settings.probeLimit
      return now >= limit ? open(settings, state, limit, { sum: oneFailure, hint: 0 }) : state
    }
  }
}

/**
 * Lets a call through, or not. What was {@link due} must have happened. A probe has its place from now on, and its limit
 * begins when it is sent: see {@link start}.
 */
export const hold = (settings: Settings, state: State): readonly [state: State, ticket: number] => {
  switch (state._tag) {
    case "Closed":
    case "Disabled":
      return [state, state.ticket]
    case "Open":
    case "Isolated":
      return [state, refused]
    case "HalfOpen": {
      if (state.probes.length >= settings.probes) return [state, refused]
      const ticket = state.ticket + 1
      return [{ ...state, ticket, probes: [...state.probes, { ticket, startedAt: undefined }] }, ticket]
    }
  }
}

/** Whether a ticket is that of a probe which has no result yet. */
export const isProbe = (state: State, ticket: number): boolean =>
  state._tag === "HalfOpen" && state.probes.some((probe) => probe.ticket === ticket)

/** A probe is sent now: its limit begins. Of no effect on any other call. */
export const start = (state: State, ticket: number, now: number): State =>
  state._tag !== "HalfOpen" || !isProbe(state, ticket) ? state : {
    ...state,
    probes: state.probes.map((probe) => probe.ticket === ticket ? { ticket, startedAt: now } : probe)
  }

/** Lets a call through that is sent at once, or not. What was {@link due} must have happened. */
export const admit = (settings: Settings, state: State, now: number): readonly [state: State, ticket: number] => {
  const [next, ticket] = hold(settings, state)
  return [start(next, ticket, now), ticket]
}

const settleProbe = (
  settings: Settings,
  state: Extract<State, { readonly _tag: "HalfOpen" }>,
  ticket: number,
  outcome: Outcome,
  took: number,
  hint: number,
  now: number
): State => {
  const probes = state.probes.filter((probe) => probe.ticket !== ticket)
  if (probes.length === state.probes.length) return state
  if (outcome === "nothing") return { ...state, probes }
  if (outcome === "failure") return open(settings, state, now, { sum: oneFailure, hint })
  if (took > settings.slowerThan) return open(settings, state, now, { sum: oneSlow, hint })
  const successes = state.successes + 1
  return successes < settings.successesToClose ? { ...state, probes, successes } : closed(settings, state.ticket)
}

/**
 * Takes the result of a call that ended now, after `took` milliseconds; `hint` is how long the other side asked to wait,
 * 0 where it did not ask. What was {@link due} must have happened. (So many arguments because every call comes here, and
 * an object for them would be made for each.)
 */
export const settle = (
  settings: Settings,
  state: State,
  ticket: number,
  outcome: Outcome,
  took: number,
  hint: number,
  now: number
): State => {
  switch (state._tag) {
    case "Open":
    case "Isolated":
    case "Disabled":
      return state
    case "HalfOpen":
      return settleProbe(settings, state, ticket, outcome, took, hint, now)
    case "Closed":
      return state.ticket === ticket && outcome !== "nothing" &&
          Tripping.record(state.counts, outcome === "failure", took, now)
        ? open(settings, { ticket, history: neverOpened(settings), openedBy: undefined }, now, {
          sum: Tripping.sum(state.counts, now),
          hint
        })
        : state
  }
}

/**
 * Milliseconds until the circuit lets the next call through, as far as that can be known; 0 where it cannot. A probe
 * that waits to be sent is taken as sent now.
 */
export const remaining = (settings: Settings, state: State, now: number): number => {
  switch (state._tag) {
    case "Closed":
    case "Isolated":
    case "Disabled":
      return 0
    case "Open":
      return Math.max(0, state.until - now)
    case "HalfOpen":
      return state.probes.length < settings.probes
        ? 0
        : Math.max(0, Math.min(now, earliest(state.probes)) + settings.probeLimit - now)
  }
}

/** What changes with other settings. */
export interface Changed {
  readonly rule: boolean
  readonly breaks: boolean
}

/**
 * Takes over other settings. What it is doing goes on: a break that runs ends when it would have ended, and the next one
 * is the new backoff's for as many openings. Counts start anew where they are counted otherwise now.
 */
export const reconfigure = (settings: Settings, state: State, changed: Changed): State => {
  switch (state._tag) {
    case "Closed":
      return changed.rule ? closed(settings, state.ticket) : state
    case "Open":
    case "HalfOpen":
      return changed.breaks ? { ...state, history: replay(settings, state.history.openings) } : state
    case "Isolated":
    case "Disabled":
      return state
  }
}

/** The error that a circuit has just been opened by. */
export const withOpenedBy = (state: State, openedBy: OpenedBy): State =>
  state._tag === "Open" ? { ...state, openedBy } : state

/** A state as plain data. Times are what is left, not moments, so that it may be restored on another machine. */
export type Snapshot =
  | { readonly state: "Closed"; readonly counts: Tripping.Written }
  | {
    readonly state: "Open"
    readonly remainingMillis: number
    readonly openings: number
    readonly openedBy?: OpenedBy | undefined
  }
  | {
    readonly state: "HalfOpen"
    readonly openings: number
    readonly successes: number
    readonly openedBy?: OpenedBy | undefined
  }
  | { readonly state: "Isolated" | "Disabled" }

export const write = (state: State, now: number): Snapshot => {
  switch (state._tag) {
    case "Closed":
      return { state: "Closed", counts: Tripping.write(state.counts, now) }
    case "Open":
      return {
        state: "Open",
        remainingMillis: Math.max(0, state.until - now),
        openings: state.history.openings,
        ...definedFields({ openedBy: state.openedBy })
      }
    case "HalfOpen":
      return {
        state: "HalfOpen",
        openings: state.history.openings,
        successes: state.successes,
        ...definedFields({ openedBy: state.openedBy })
      }
    case "Isolated":
    case "Disabled":
      return { state: state._tag }
  }
}

/** More openings than this do not make a difference to any backoff. */
export const mostOpenings = 1_000

/** The history of a circuit that has opened so often in a row. */
const replay = (settings: Settings, openings: number): History => {
  let history = neverOpened(settings)
  while (history.openings < Math.min(openings, mostOpenings)) history = nextBreak(settings, history, history.openings)
  return { ...history, openings }
}

/** The state that a snapshot tells of. Probes that were on their way are not waited for. */
export const restore = (settings: Settings, ticket: number, snapshot: Snapshot, now: number): State => {
  switch (snapshot.state) {
    case "Closed": {
      const counts = Tripping.counts(settings.rule)
      Tripping.fill(counts, snapshot.counts, now)
      return { _tag: "Closed", ticket: ticket + 1, counts }
    }
    case "Open":
      return {
        _tag: "Open",
        ticket: ticket + 1,
        since: now,
        until: now + snapshot.remainingMillis,
        history: replay(settings, snapshot.openings),
        sum: { calls: 0, failures: 0, slow: 0 },
        openedBy: snapshot.openedBy
      }
    case "HalfOpen":
      return {
        _tag: "HalfOpen",
        ticket: ticket + 1,
        history: replay(settings, snapshot.openings),
        openedBy: snapshot.openedBy,
        probes: [],
        successes: Math.min(snapshot.successes, settings.successesToClose - 1)
      }
    case "Isolated":
    case "Disabled":
      return { _tag: snapshot.state, ticket: ticket + 1 }
  }
}
