/**
 * How an adaptive limit of calls in flight moves: pure, data in and data out. Times are milliseconds.
 *
 * Both strategies share four rules that the libraries they are modelled on lack or leave to the caller (Gradient2 of
 * Netflix concurrency-limits grows to its ceiling while every call times out):
 *
 * - a failure that indicates overload lowers the limit, and its latency teaches nothing;
 * - one overload lowers the limit once: the calls that were in flight with it are of an older epoch and do not lower it
 *   again;
 * - a limit that is not used (less than half of it in flight) does not grow;
 * - growth starts fast, by a step for each success, and after the first overload goes on by a step for each round of
 *   calls: a cut comes once a round too, so that calls which time out half of the time cannot drive the limit up.
 */

export interface Aimd {
  readonly kind: "aimd"
  /** What is left of the limit after an overload. */
  readonly backoffRatio: number
  /** A call that takes longer indicates overload, however it ends. */
  readonly timeout: number
}

export interface Gradient {
  readonly kind: "gradient"
  readonly backoffRatio: number
  /** How many times the latency at rest is still acceptable. */
  readonly tolerance: number
  /** How much of a change each sample makes. */
  readonly smoothing: number
  /** The calls that may wait at the other side without being taken for overload. */
  readonly queueSize: number
  /** After so many samples under load the latency at rest is measured anew, at half the limit. */
  readonly remeasureEvery: number
}

export type Strategy = Aimd | Gradient

export interface Settings {
  readonly strategy: Strategy
  readonly floor: number
  readonly ceiling: number
}

export interface State {
  /** Not whole: small steps add up. {@link limitOf} is the limit that holds. */
  readonly limit: number
  /** Raised by each cut, so that what was in flight then is known as older. */
  readonly epoch: number
  /** Before the first overload. */
  readonly isStarting: boolean
  /** The latency at rest, as far as it is known. */
  readonly baseline: number | undefined
  /** The latency of late. */
  readonly recent: number | undefined
  /** Samples under load since the latency at rest was last measured. */
  readonly loaded: number
  /** While it is measured anew: what is gathered, and the limit to come back to. */
  readonly measuring: { readonly count: number; readonly sum: number; readonly limit: number } | undefined
}

/** How one call ended. `ignored`: it says nothing about load (it was interrupted, or its failure is the caller's own). */
export interface Sample {
  readonly outcome: "success" | "overload" | "ignored"
  readonly latency: number
  /** How many were in flight with it, itself included. */
  readonly inFlight: number
  /** The epoch it began in. */
  readonly epoch: number
}

/** Samples that measure the latency at rest. */
const measureCount = 50

/** How much a sample moves an average: about the last forty count. */
const weight = 0.05

const towards = (average: number, latency: number): number => average + (latency - average) * weight

const clamp = (settings: Settings, limit: number): number => Math.min(settings.ceiling, Math.max(settings.floor, limit))

export const start = (settings: Settings, initial: number): State => ({
  limit: clamp(settings, initial),
  epoch: 0,
  isStarting: true,
  baseline: undefined,
  recent: undefined,
  loaded: 0,
  // The first calls measure the latency at rest as well as it can be known.
  measuring: settings.strategy.kind === "gradient"
    ? { count: 0, sum: 0, limit: clamp(settings, initial) }
    : undefined
})

/** The whole number of calls that may be in flight. */
export const limitOf = (state: State): number => Math.max(1, Math.floor(state.limit))

/** Whether at least half of the limit is in flight, so that a success may raise it. */
const isUsed = (state: State, sample: Sample): boolean => sample.inFlight * 2 >= limitOf(state)

const lowerLimit = (settings: Settings, state: State, sample: Sample): State =>
  sample.epoch < state.epoch ? state : {
    ...state,
    limit: clamp(settings, (state.measuring?.limit ?? state.limit) * settings.strategy.backoffRatio),
    epoch: state.epoch + 1,
    isStarting: false,
    measuring: undefined
  }

/** The step up after a success: one at first; later a share, so that a round of calls adds one. */
const increase = (state: State): number => state.isStarting ? 1 : 1 / state.limit

const aimd = (settings: Settings, strategy: Aimd, state: State, sample: Sample): State => {
  if (sample.outcome === "overload" || sample.latency > strategy.timeout) return lowerLimit(settings, state, sample)
  return sample.outcome === "ignored" || !isUsed(state, sample)
    ? state
    : { ...state, limit: clamp(settings, state.limit + increase(state)) }
}

/**
 * The next estimate of the latency at rest. It follows the latency while less than half of the limit is in flight. Under
 * load it follows only downwards, or a slow overload would come to count as normal.
 */
const nextBaseline = (baseline: number, recent: number, latency: number, used: boolean): number =>
  !used ? towards(baseline, latency) : recent < baseline ? towards(baseline, recent) : baseline

/** Averages latencies until there are enough of them; then the limit goes back to where it was. */
const measure = (
  settings: Settings,
  state: State,
  measuring: NonNullable<State["measuring"]>,
  sample: Sample
): State => {
  // What began before the limit was halved ran under the old load.
  if (sample.epoch < state.epoch) return state
  const count = measuring.count + 1
  const sum = measuring.sum + sample.latency
  return count < measureCount
    ? { ...state, measuring: { ...measuring, count, sum } }
    : {
      ...state,
      limit: clamp(settings, measuring.limit),
      baseline: sum / count,
      recent: sum / count,
      loaded: 0,
      measuring: undefined
    }
}

const gradient = (settings: Settings, strategy: Gradient, state: State, sample: Sample): State => {
  if (sample.outcome === "overload") return lowerLimit(settings, state, sample)
  if (sample.outcome === "ignored") return state
  if (state.measuring !== undefined) return measure(settings, state, state.measuring, sample)

  const used = isUsed(state, sample)
  const recent = towards(state.recent ?? sample.latency, sample.latency)
  const baseline = nextBaseline(state.baseline ?? sample.latency, recent, sample.latency, used)
  if (!used) return { ...state, baseline, recent, loaded: 0 }
  if (state.loaded + 1 >= strategy.remeasureEvery && limitOf(state) > settings.floor) {
    return {
      ...state,
      limit: clamp(settings, state.limit / 2),
      epoch: state.epoch + 1,
      baseline,
      recent,
      measuring: { count: 0, sum: 0, limit: state.limit }
    }
  }
  // Never by more than half at a time: a few slow calls are not an overload.
  const slope = recent <= 0 ? 1 : Math.max(0.5, Math.min(1, strategy.tolerance * baseline / recent))
  const isStarting = state.isStarting && slope === 1
  const step = strategy.smoothing * (state.limit * (slope - 1) + strategy.queueSize)
  return {
    ...state,
    limit: clamp(settings, state.limit + (isStarting ? step : step / state.limit)),
    isStarting,
    baseline,
    recent,
    loaded: state.loaded + 1
  }
}

/** The state after one call has ended. */
export const observe = (settings: Settings, state: State, sample: Sample): State =>
  settings.strategy.kind === "aimd"
    ? aimd(settings, settings.strategy, state, sample)
    : gradient(settings, settings.strategy, state, sample)

/** The state for new bounds: what was learned stays, the limit is brought between them. */
export const adjust = (settings: Settings, state: State): State => ({
  ...state,
  limit: clamp(settings, state.limit),
  measuring: state.measuring && { ...state.measuring, limit: clamp(settings, state.measuring.limit) }
})
