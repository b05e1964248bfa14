/**
 * The life of a circuit: data in, data out. A closed circuit counts calls, an open one refuses them, a half-open one
 * lets a few probes through and decides by them.
 *
 * An example, with a rule of two failures in a row, breaks of 10 s that double, two probes and a probe limit of 5 s:
 *
 * | second | what happens | state |
 * |---|---|---|
 * | 0 | two calls fail, one after the other | open until 10, the first opening |
 * | 4 | a call asks | refused: the rest of the break is 6 s |
 * | 10 | two calls ask: a break that is over ends when somebody looks | half-open, both are probes |
 * | 11 | a third call asks, while both probes run | refused: the first probe has until 15 |
 * | 12 | one probe succeeds | half-open with one success, and one place for a probe |
 * | 15 | the other has had no result for 5 s, so it has failed | open until 35: the second opening in a row lasts 20 s |
 * | 16 | that probe succeeds after all | nothing: its ticket is of a state that is gone |
 * | 35 | two probes run, and both succeed | closed; the next opening would last 10 s again |
 *
 * A probe that is a stream may go on for much longer than its limit, and well. What counts then is whether it has begun to
 * answer: with its first content after 2 s and a limit of 5 s it is a success at 5 s, and its place is free again. If it
 * breaks before that, it has failed; what becomes of it later says nothing about a break that is long over.
 *
 * Every call that is let through holds a ticket. A closed circuit gives the same ticket to all its calls, a half-open
 * one a new ticket to each probe; no ticket is given out by two states. So a result that comes late, from a state that
 * is gone, is known by its ticket and decides nothing. Nothing here waits for a timer: what time has brought about is
 * found out by {@link advance} when somebody looks. All times are elapsed milliseconds.
 *
 * The counts of a closed circuit are written in place (see `trippingRule`), everything else is replaced.
 */
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
  /** So many probes that failed or were slow open it again: 1 where all must succeed. */
  readonly failuresToOpen: number
  /** Milliseconds after closing in which a growing share of calls is let through; 0 where all are at once. */
  readonly slowStart: number
  /** Milliseconds from when a probe is sent; one that has no result by then has failed. */
  readonly probeLimit: number
  /** Decides the jitter of breaks, and which calls are let through in a slow start. */
  readonly seed: number
}

/** A call that was let through a half-open circuit. */
export interface Probe {
  readonly ticket: number
  /** When it was sent. It may hold its place before, while it waits for a limiter or in a queue. */
  readonly startedAt: number | undefined
  /** When it began to answer, where it answers in pieces. */
  readonly answeredAt?: number | undefined
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

/** The time after closing in which a growing share of calls is let through. */
export interface SlowStart {
  readonly since: number
  readonly until: number
  /** How many calls have asked: each of them draws anew. */
  readonly asked: number
}

/** `ticket` is the highest that was given out so far. */
export type State =
  | {
    readonly _tag: "Closed"
    readonly ticket: number
    readonly counts: Tripping.Counts
    readonly slowStart: SlowStart | undefined
  }
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
    /** Probes that failed or were slow. */
    readonly failures: number
    /** How many of those only were slow. */
    readonly slow: number
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
  counts: Tripping.counts(settings.rule),
  slowStart: undefined
})

/** Closed because the other side has recovered: it may still be weak. */
const recovered = (settings: Settings, ticket: number, now: number): State => ({
  _tag: "Closed",
  ticket: ticket + 1,
  counts: Tripping.counts(settings.rule),
  slowStart: settings.slowStart > 0 ? { since: now, until: now + settings.slowStart, asked: 0 } : undefined
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

type HalfOpen = Extract<State, { readonly _tag: "HalfOpen" }>

/** A probe failed, or was slow: that may be one too many. `rest` are the probes without it. */
const failProbe = (
  settings: Settings,
  state: HalfOpen,
  rest: ReadonlyArray<Probe>,
  how: { readonly isSlow: boolean; readonly at: number; readonly hint: number }
): State => {
  const failures = state.failures + 1
  const slow = state.slow + (how.isSlow ? 1 : 0)
  if (failures < settings.failuresToOpen) return { ...state, probes: rest, failures, slow }
  const sum = { calls: state.successes + failures, failures: failures - slow, slow }
  return open(settings, state, how.at, { sum, hint: how.hint })
}

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
  successes: 0,
  failures: 0,
  slow: 0
})

/** The same span, from now on. */
const restarted = <A extends { readonly since: number; readonly until: number }>(span: A, now: number): A => ({
  ...span,
  since: now,
  until: now + (span.until - span.since)
})

/**
 * The next state that time alone has brought about by now, or the same state. Ask again until it is the same: a break
 * may have ended that began with a probe's limit.
 */
export const advance = (settings: Settings, state: State, now: number): State => {
  switch (state._tag) {
    case "Isolated":
    case "Disabled":
      return state
    case "Closed": {
      const { slowStart } = state
      return slowStart === undefined || (now >= slowStart.since && now < slowStart.until)
        ? state
        : { ...state, slowStart: now < slowStart.since ? restarted(slowStart, now) : undefined }
    }
    case "Open":
      return now >= state.until
        ? halfOpen(state)
        // A virtual clock was set back: what is left of the break is not more than the whole of it.
        : now < state.since
        ? restarted(state, now)
        : state
    case "HalfOpen": {
      // A virtual clock was set back: a probe cannot have started later than now, or its limit would never come.
      const isLater = isLaterThan(now)
      if (state.probes.some(isLater)) {
        const probes = state.probes.map((probe) =>
          isLater(probe)
            ? { ...probe, startedAt: now, answeredAt: probe.answeredAt === undefined ? undefined : now }
            : probe
        )
        return { ...state, probes }
      }
      const first = earliest(state.probes)
      const at = first + settings.probeLimit
      if (now < at) return state
      const late = state.probes.find(({ startedAt }) => startedAt === first)
      if (late === undefined) return state
      return late.answeredAt === undefined
        ? failProbe(settings, state, state.probes.filter((probe) => probe !== late), { isSlow: false, at, hint: 0 })
        : settleProbe(settings, state, late.ticket, "success", late.answeredAt - first, 0, at)
    }
  }
}

/** With less than this no call might go through for long: the share that Envoy's slow start begins with. */
const leastShare = 0.1

/**
 * The share of calls that is let through in a slow start: as large as the part of it that has passed. In one of 30 s that
 * is 10 % for the first three seconds, half after 15 s, all after 30 s.
 */
export const admittedShare = ({ since, until }: SlowStart, now: number): number =>
  Math.max(leastShare, (now - since) / (until - since))

/**
 * Lets a call through, or not. The state must have been {@link advance}d. A probe has its place from now on, and its limit
 * begins when it is sent: see {@link start}.
 */
export const hold = (settings: Settings, state: State, now: number): readonly [state: State, ticket: number] => {
  switch (state._tag) {
    case "Closed": {
      const { slowStart } = state
      if (slowStart === undefined) return [state, state.ticket]
      const isLucky = uniform(settings.seed, state.ticket, slowStart.asked) < admittedShare(slowStart, now)
      const next = { ...state, slowStart: { ...slowStart, asked: slowStart.asked + 1 } }
      return [next, isLucky ? state.ticket : refused]
    }
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

/** A probe has begun to answer: its limit cannot fail it any more. Of no effect on any other call. */
export const answer = (state: State, ticket: number, now: number): State =>
  state._tag !== "HalfOpen" || !isProbe(state, ticket) ? state : {
    ...state,
    probes: state.probes.map((probe) => probe.ticket === ticket ? { ...probe, answeredAt: now } : probe)
  }

/** Lets a call through that is sent at once, or not. The state must have been {@link advance}d. */
export const admit = (settings: Settings, state: State, now: number): readonly [state: State, ticket: number] => {
  const [next, ticket] = hold(settings, state, now)
  return [start(next, ticket, now), ticket]
}

const settleProbe = (
  settings: Settings,
  state: HalfOpen,
  ticket: number,
  outcome: Outcome,
  durationMillis: number,
  hint: number,
  now: number
): State => {
  const probes = state.probes.filter((probe) => probe.ticket !== ticket)
  if (probes.length === state.probes.length) return state
  if (outcome === "nothing") return { ...state, probes }
  const isSlow = outcome === "success" && durationMillis > settings.slowerThan
  if (outcome === "failure" || isSlow) return failProbe(settings, state, probes, { isSlow, at: now, hint })
  const successes = state.successes + 1
  return successes < settings.successesToClose
    ? { ...state, probes, successes }
    : recovered(settings, state.ticket, now)
}

/**
 * Takes the result of a call that ended now, after `durationMillis`; `hint` is how long the other side asked to wait,
 * 0 where it did not ask. The state must have been {@link advance}d. (So many arguments because every call comes here, and
 * an object for them would be made for each.)
 */
export const settle = (
  settings: Settings,
  state: State,
  ticket: number,
  outcome: Outcome,
  durationMillis: number,
  hint: number,
  now: number
): State => {
  switch (state._tag) {
    case "Open":
    case "Isolated":
    case "Disabled":
      return state
    case "HalfOpen":
      return settleProbe(settings, state, ticket, outcome, durationMillis, hint, now)
    case "Closed":
      return state.ticket === ticket && outcome !== "nothing" &&
          Tripping.record(state.counts, outcome === "failure", durationMillis, now)
        ? open(settings, { ticket, history: neverOpened(settings), openedBy: undefined }, now, {
          sum: Tripping.sum(state.counts, now),
          hint
        })
        : state
  }
}

/**
 * Milliseconds until the circuit surely lets a call through, as far as that can be known; 0 where it cannot. A probe that
 * waits to be sent is taken as sent now.
 */
export const remaining = (settings: Settings, state: State, now: number): number => {
  switch (state._tag) {
    case "Isolated":
    case "Disabled":
      return 0
    case "Closed":
      return state.slowStart === undefined ? 0 : Math.max(0, state.slowStart.until - now)
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

/** More openings than this do not make a difference to any backoff. */
export const mostOpenings = 1_000

/** The history of a circuit that has opened so often in a row. */
export const replay = (settings: Settings, openings: number): History => {
  let history = neverOpened(settings)
  while (history.openings < Math.min(openings, mostOpenings)) history = nextBreak(settings, history, history.openings)
  return { ...history, openings }
}
