/** What a circuit is doing, as its caller sees it. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Tripping from "../shared/trippingRule.ts"
import type { Cell } from "./cell.ts"
import * as Circuit from "./kernel.ts"

/**
 * What a circuit is doing.
 *
 * @since 0.1.0
 * @category models
 */
export type State = Data.TaggedEnum<{
  /** It lets everything through. The counts are those its `Tripping` goes by. */
  readonly Closed: { readonly calls: number; readonly failures: number; readonly slow: number }
  /** It refuses everything. `openings` counts how often it has opened since it was last closed. */
  readonly Open: { readonly retryAfter: Duration.Duration; readonly openings: number }
  /** It lets probes through; so many run now, and so many have succeeded. */
  readonly HalfOpen: { readonly probing: number; readonly successes: number; readonly openings: number }
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
      return State.Closed(Tripping.sum(state.counts, now))
    case "Open":
      return State.Open({
        retryAfter: Duration.millis(Circuit.remaining(kernel, state, now)),
        openings: state.history.openings
      })
    case "HalfOpen":
      return State.HalfOpen({
        probing: state.probes.length,
        successes: state.successes,
        openings: state.history.openings
      })
    case "Isolated":
      return State.Isolated()
    case "Disabled":
      return State.Disabled()
  }
}
