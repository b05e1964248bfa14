/** Whether starts kept to a rate, in every window there is. */

export interface Start {
  readonly at: number
  readonly requests: number
  readonly tokens: number
}

interface PerDimension {
  readonly requests: number
  readonly tokens: number
}

const rounding = 1e-3

/** Clocks tell whole milliseconds, so a window is known to one. */
const clockTick = 1

/**
 * What is wrong, if anything: a window from one start to a later one that holds more than the burst (or the cost of the
 * first in it, where that is larger) plus what refills in it. Times are milliseconds, rates are per millisecond.
 */
export const overAdmission = (
  unsorted: ReadonlyArray<Start>,
  rate: PerDimension,
  burst: PerDimension,
  tolerance: number
): string | undefined => {
  const starts = [...unsorted].sort((a, b) => a.at - b.at)
  const largest = {
    requests: Math.max(0, ...starts.map((start) => start.requests)),
    tokens: Math.max(0, ...starts.map((start) => start.tokens))
  }
  for (const unit of ["requests", "tokens"] as const) {
    for (const [i, from] of starts.entries()) {
      let sum = 0
      for (const to of starts.slice(i)) {
        sum += to[unit]
        const allowed = Math.max(burst[unit], largest[unit]) + rate[unit] * (to.at - from.at + clockTick + tolerance)
        if (sum > allowed + rounding) return `${sum} ${unit} from ${from.at} to ${to.at}, where ${allowed} are allowed`
      }
    }
  }
  return undefined
}
