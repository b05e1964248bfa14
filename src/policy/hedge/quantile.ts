/**
 * A quantile of the most recent samples, in bounded memory. Reading it is one field; it is reckoned anew only after
 * every few samples, so that a sample costs little. Pure: data in, data out.
 */

export interface Settings {
  /** 0 to 1. */
  readonly quantile: number
  /** No answer with fewer samples than this. */
  readonly minimumSamples: number
  /** How many of the most recent samples count. */
  readonly window: number
  /** After how many samples the quantile is reckoned anew. */
  readonly every: number
}

interface Cell {
  readonly sample: number
  readonly next: Cell | undefined
}

export interface State {
  /** The samples taken into account, oldest first. */
  readonly samples: ReadonlyArray<number>
  /** Those that came since, newest first, and how many they are. */
  readonly pending: Cell | undefined
  readonly pendingCount: number
  /** The quantile, or `undefined` while there are too few samples. */
  readonly value: number | undefined
}

export const empty: State = { samples: [], pending: undefined, pendingCount: 0, value: undefined }

/** The smallest sample that is at least as large as the given share of all of them (nearest rank). */
export const nearestRank = (samples: ReadonlyArray<number>, quantile: number): number | undefined => {
  const sorted = new Float64Array(samples).sort()
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)]
}

export const count = (state: State): number => state.samples.length + state.pendingCount

export const record = (settings: Settings, state: State, sample: number): State => {
  const pendingCount = state.pendingCount + 1
  const total = state.samples.length + pendingCount
  if (pendingCount < settings.every && total !== settings.minimumSamples) {
    return { ...state, pending: { sample, next: state.pending }, pendingCount }
  }
  const added = new Array<number>(pendingCount)
  added[pendingCount - 1] = sample
  for (let cell = state.pending, i = pendingCount - 2; cell !== undefined; cell = cell.next, i--) added[i] = cell.sample
  const all = state.samples.concat(added)
  const samples = all.length > settings.window ? all.slice(-settings.window) : all
  const value = samples.length < settings.minimumSamples ? undefined : nearestRank(samples, settings.quantile)
  return { samples, pending: undefined, pendingCount: 0, value }
}
