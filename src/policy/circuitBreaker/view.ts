/** What a circuit is doing, as its caller sees it. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import { definedFields } from "../../internal/record.ts"
import { words } from "../../internal/words.ts"
import * as Tripping from "../shared/trippingRule.ts"
import type { Cell, CircuitBreaker } from "./cell.ts"
import * as Circuit from "./kernel.ts"

/**
 * What a circuit is doing.
 *
 * @since 0.1.0
 * @category models
 */
export type State = Data.TaggedEnum<{
  /** It lets everything through. The counts are those its `Tripping` goes by. */
  readonly Closed: {
    readonly calls: number
    readonly failures: number
    readonly slow: number
    /** In a slow start, the share of calls that it lets through; absent where that is all of them. */
    readonly admittedShare?: number
  }
  /** It refuses everything. `openings` counts how often it has opened since it was last closed. */
  readonly Open: { readonly retryAfter: Duration.Duration; readonly openings: number }
  /** It lets probes through; so many run now, so many have succeeded, and so many failed or were slow. */
  readonly HalfOpen: {
    readonly probing: number
    readonly successes: number
    readonly failures: number
    readonly openings: number
  }
  /** It was opened by hand. */
  readonly Isolated: {}
  /** It was switched off by hand. */
  readonly Disabled: {}
}>

/**
 * `State.Closed(…)`, `State.$is("Open")`, `State.$match({ … })`
 *
 * @since 0.1.0
 * @category models
 */
export const State = Data.taggedEnum<State>()

/** What a breaker does, as its caller sees it. */
export const view = (cell: Cell, now: number): State => {
  const { kernel, state } = cell
  switch (state._tag) {
    case "Closed":
      return State.Closed({
        ...Tripping.sum(state.counts, now),
        ...definedFields({ admittedShare: state.slowStart && Circuit.admittedShare(state.slowStart, now) })
      })
    case "Open":
      return State.Open({
        retryAfter: Duration.millis(Circuit.remaining(kernel, state, now)),
        openings: state.history.openings
      })
    case "HalfOpen":
      return State.HalfOpen({
        probing: state.probes.length,
        successes: state.successes,
        failures: state.failures,
        openings: state.history.openings
      })
    case "Isolated":
      return State.Isolated()
    case "Disabled":
      return State.Disabled()
  }
}

/** The breaker in one readable line. */
export const describe = (self: CircuitBreaker): string => {
  const { closeAt, longestHint, mode, name, openFor, probeLimit, probes, slowStart, successesToClose, tripping } =
    self.cell.settings
  return `circuit breaker "${name}"${mode === "observe" ? " (observes only)" : ""}: opens at ${String(tripping)}; ` +
    `break ${String(openFor)}, or as long as the error asks up to ${words(longestHint)}; then up to ${probes} ` +
    `probe${probes === 1 ? "" : "s"} at a time of at most ${words(probeLimit)}, closes after ${successesToClose}` +
    (closeAt === undefined ? "" : ` of ${closeAt.of}`) +
    (slowStart === undefined ? "" : `; then a growing share of calls for ${words(slowStart)}`)
}
