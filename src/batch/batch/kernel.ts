/**
 * What a batch knows and decides: how many items may be in flight, when it stops by itself, and how it waits for a circuit.
 * Pure; times are milliseconds. `step` moves the state by what happened, `decide` says what to do next.
 *
 * An open circuit pauses the batch. When the pause is over one item is called; each success doubles how many may be in
 * flight, until the limit holds again: 1, 2, 4, 8, … So a provider that comes back is not met by a crowd, and a
 * half-open circuit that lets three probes through refuses none of them.
 */
import * as Adaptive from "../../internal/adaptiveLimit.ts"
import * as Spent from "../shared/spent.ts"

/** What stops a batch before its end. */
export type StopReason = "failureRate" | "spend" | "time" | "circuitOpen" | "interrupted"

export interface Settings {
  /** A fixed limit, or the bounds between which it is found. */
  readonly limit: number | { readonly bounds: Adaptive.Settings; readonly initial: number }
  readonly failureRate: { readonly share: number; readonly minimum: number } | undefined
  readonly maxTokens: number
  readonly maxCost: number
  readonly maxMillis: number
  /** How long a circuit may stay open, without a success in between. */
  readonly maxOpenMillis: number
}

export interface State {
  readonly startedAt: number
  /** Absent where the limit is fixed. */
  readonly adaptive: Adaptive.State | undefined
  /** The share of late calls that failed for the provider's sake. While it is high, no success raises the limit. */
  readonly ailingShare: number
  /** There from the first refusal on, until as many as the limit may be in flight again. `since` is the first refusal behind the last success. */
  readonly circuit: { readonly since: number; readonly until: number; readonly allowed: number } | undefined
  readonly inFlight: number
  readonly succeeded: number
  readonly failed: number
  readonly skipped: number
  /** Of those that succeeded or failed, the ones of this run; and of those the failed ones. */
  readonly judged: number
  readonly judgedFailed: number
  readonly retried: number
  readonly tokens: number
  readonly spent: Spent.Spent
  readonly failures: { readonly [tag: string]: number }
  readonly stopped: StopReason | undefined
}

export const start = (settings: Settings, now: number): State => ({
  startedAt: now,
  adaptive: typeof settings.limit === "number"
    ? undefined
    : Adaptive.start(settings.limit.bounds, settings.limit.initial),
  ailingShare: 0,
  circuit: undefined,
  inFlight: 0,
  succeeded: 0,
  failed: 0,
  skipped: 0,
  judged: 0,
  judgedFailed: 0,
  retried: 0,
  tokens: 0,
  spent: Spent.nothing,
  failures: {},
  stopped: undefined
})

/** How an item ended. `tag` is that of the error it failed with. */
export type Outcome =
  | { readonly _tag: "Succeeded" }
  | { readonly _tag: "Failed"; readonly tag: string }
  | { readonly _tag: "Skipped" }

/** What the end of a call says about the other side. */
export type Health = "well" | "throttled" | "ailing" | "unknown"

export type Event =
  /** An item is called. */
  | { readonly _tag: "Began" }
  /** A call ended, and its item with it. `epoch` is the one that it, or its last attempt, began in. */
  | {
    readonly _tag: "Ended"
    readonly outcome: Outcome
    readonly health: Health
    readonly epoch: number
    readonly retried: number
    readonly tokens: number
    readonly cost: Spent.Cost
  }
  /** An item ended without a call. `isJudged`: it counts for the share of failures. */
  | { readonly _tag: "Told"; readonly outcome: Outcome; readonly isJudged: boolean }
  /** A call ended, and its item is to be called again after the wait. */
  | { readonly _tag: "Refused"; readonly waitMillis: number }
  /** An attempt was throttled, and its call goes on. */
  | { readonly _tag: "Throttled"; readonly epoch: number }
  | { readonly _tag: "Stopped"; readonly reason: StopReason }

export type Decision =
  | { readonly _tag: "Start" }
  /** Until something happens, or so many milliseconds have gone by. Whoever asks looks again when the time is over. */
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Stop"; readonly reason: StopReason }

const startIt: Decision = { _tag: "Start" }
const waitForNews: Decision = { _tag: "Wait", millis: Number.POSITIVE_INFINITY }

/**
 * Where a quarter of the late calls failed, the other side has trouble, and more calls do not help it: growth pauses. A few
 * failures do not pause it, or a provider that always fails one call in ten would let the limit only ever fall.
 */
const mostAiling = 0.25

/** How much a call moves the share: about the last twenty count. */
const ailingWeight = 0.1

/** Tags beyond so many are counted as one, since an error of other people's making may put anything into its tag. */
const mostTags = 100

export const epochOf = (state: State): number => state.adaptive?.epoch ?? 0

/** How many may be in flight where no circuit is open. */
const limitOf = (settings: Settings, state: State): number =>
  typeof settings.limit === "number"
    ? settings.limit
    : state.adaptive === undefined
    ? 1
    : Adaptive.limitOf(state.adaptive)

const observed = (settings: Settings, state: State, health: Health, epoch: number): State => {
  if (state.adaptive === undefined || typeof settings.limit === "number") return state
  const ailingShare = health === "well" || health === "ailing"
    ? state.ailingShare + ((health === "ailing" ? 1 : 0) - state.ailingShare) * ailingWeight
    : state.ailingShare
  const outcome = health === "throttled"
    ? "overload"
    : health === "well" && ailingShare < mostAiling && state.circuit === undefined
    ? "success"
    : "ignored"
  return {
    ...state,
    adaptive: Adaptive.observe(settings.limit.bounds, state.adaptive, {
      outcome,
      // Its length says nothing: an item may be a conversation, and waits for its retries.
      latency: 0,
      inFlight: state.inFlight,
      epoch
    }),
    ailingShare
  }
}

type Counted = Pick<State, "succeeded" | "failed" | "skipped" | "judged" | "judgedFailed" | "failures">

const counted = (state: State, outcome: Outcome, isJudged: boolean): Counted => {
  const { failed, failures, judged, judgedFailed, skipped, succeeded } = state
  const one = isJudged ? 1 : 0
  switch (outcome._tag) {
    case "Succeeded":
      return { succeeded: succeeded + 1, failed, skipped, judged: judged + one, judgedFailed, failures }
    case "Failed":
      return {
        succeeded,
        failed: failed + 1,
        skipped,
        judged: judged + one,
        judgedFailed: judgedFailed + one,
        failures: withTag(failures, outcome.tag)
      }
    case "Skipped":
      return { succeeded, failed, skipped: skipped + 1, judged, judgedFailed, failures }
  }
}

const withTag = (failures: State["failures"], tag: string): State["failures"] => {
  const name = Object.hasOwn(failures, tag) || Object.keys(failures).length < mostTags ? tag : "others"
  const before = Object.hasOwn(failures, name) ? failures[name] ?? 0 : 0
  return Object.fromEntries([...Object.entries(failures).filter(([each]) => each !== name), [name, before + 1]])
}

/** A success lets twice as many through, until the limit holds again. */
const recovered = (settings: Settings, state: State, outcome: Outcome, now: number): State => {
  const { circuit } = state
  // What began before the circuit opened says nothing about the other side now.
  if (circuit === undefined || outcome._tag !== "Succeeded" || now < circuit.until) return state
  const allowed = circuit.allowed * 2
  return { ...state, circuit: allowed >= limitOf(settings, state) ? undefined : { ...circuit, allowed } }
}

/** Stops where a condition holds. The first one stays the reason. */
const checked = (settings: Settings, state: State): State => {
  if (state.stopped !== undefined) return state
  const { failureRate, maxCost, maxTokens } = settings
  // What is not known cannot be held to a limit, so the first item without a price is the last one.
  const { cost, unpriced } = state.spent
  const isUnknown = unpriced.items > 0 && maxCost < Infinity
  if (state.tokens >= maxTokens || cost >= maxCost || isUnknown) return { ...state, stopped: "spend" }
  return failureRate !== undefined && state.judged >= failureRate.minimum &&
      state.judgedFailed >= failureRate.share * state.judged
    ? { ...state, stopped: "failureRate" }
    : state
}

/** The state after something has happened. */
export const step = (settings: Settings, state: State, event: Event, now: number): State => {
  switch (event._tag) {
    case "Began":
      return { ...state, inFlight: state.inFlight + 1 }
    case "Ended": {
      const learned = recovered(
        settings,
        observed(settings, state, event.health, event.epoch),
        event.outcome,
        now
      )
      return checked(settings, {
        ...learned,
        ...counted(learned, event.outcome, true),
        inFlight: learned.inFlight - 1,
        retried: learned.retried + event.retried,
        tokens: learned.tokens + event.tokens,
        spent: Spent.add(learned.spent, event.cost)
      })
    }
    case "Told":
      return checked(settings, { ...state, ...counted(state, event.outcome, event.isJudged) })
    case "Refused":
      return {
        ...state,
        inFlight: state.inFlight - 1,
        circuit: {
          since: state.circuit !== undefined && isPaused(state) ? state.circuit.since : now,
          until: Math.max(state.circuit?.until ?? 0, now + event.waitMillis),
          allowed: 1
        }
      }
    case "Throttled":
      return observed(settings, state, "throttled", event.epoch)
    case "Stopped":
      return state.stopped === undefined ? { ...state, stopped: event.reason } : state
  }
}

/** What to do next, if there is an item. */
export const decide = (settings: Settings, state: State, now: number): Decision => {
  if (state.stopped !== undefined) return { _tag: "Stop", reason: state.stopped }
  if (now >= state.startedAt + settings.maxMillis) return { _tag: "Stop", reason: "time" }
  const { circuit } = state
  const limit = limitOf(settings, state)
  if (circuit === undefined) return state.inFlight < limit ? startIt : waitForNews
  const millisLeft = isPaused(state) ? circuit.since + settings.maxOpenMillis - now : Number.POSITIVE_INFINITY
  if (millisLeft <= 0) return { _tag: "Stop", reason: "circuitOpen" }
  if (now < circuit.until) return { _tag: "Wait", millis: Math.min(circuit.until - now, millisLeft) }
  return state.inFlight < Math.min(limit, circuit.allowed) ? startIt : { _tag: "Wait", millis: millisLeft }
}

/** Whether the batch waits for a circuit, or tries it with one item, and none has succeeded since. */
export const isPaused = ({ circuit }: State): boolean => circuit !== undefined && circuit.allowed === 1

/** How often an item is called again because it was the one that a circuit was tried with. */
const mostTrials = 3

/**
 * Whether an item that failed is called again: while a circuit is tried with one item at a time, a failure that weighs says
 * that the other side is not back, nothing about the item.
 */
export const isTrial = (state: State, trials: number, health: Health): boolean =>
  isPaused(state) && health === "ailing" && trials < mostTrials && state.stopped === undefined
