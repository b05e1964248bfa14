/** How long the running attempts may take before another one is started: a fixed time, or one learned from recent calls. */
import * as Duration from "effect/Duration"
import * as Quantile from "./quantile.ts"

/** A fixed delay. */
export class Fixed {
  readonly _tag = "Fixed"
  readonly delay: Duration.Duration
  readonly millis: number
  readonly samples = 0

  constructor(delay: Duration.Duration) {
    this.delay = delay
    this.millis = Duration.toMillis(delay)
  }

  get now(): Duration.Duration {
    return this.delay
  }
}

/** A delay that is a quantile of the durations of recent calls. */
export class Learned {
  readonly _tag = "Learned"
  readonly settings: Quantile.Settings
  readonly initial: Duration.Duration | undefined
  /** What was learned; it may be shared with the hedge that this one replaces. */
  readonly cell: { current: Quantile.State }

  constructor(
    settings: Quantile.Settings,
    initial: Duration.Duration | undefined,
    cell: { current: Quantile.State } = { current: Quantile.empty }
  ) {
    this.settings = settings
    this.initial = initial
    this.cell = cell
  }

  /** `undefined` while it is not known and there is no initial one. */
  get now(): Duration.Duration | undefined {
    const { value } = this.cell.current
    return value === undefined ? this.initial : Duration.millis(value)
  }

  get millis(): number {
    return this.cell.current.value ?? (this.initial === undefined ? Infinity : Duration.toMillis(this.initial))
  }

  /** How many recent calls it is worked out from. */
  get samples(): number {
    return Quantile.count(this.cell.current)
  }

  /** Learns from how long a call took. */
  record(latencyMillis: number): void {
    this.cell.current = Quantile.record(this.settings, this.cell.current, latencyMillis)
  }

  /** The same, sharing what another one learns by the same settings. */
  learningWith(other: Learned): Learned {
    return new Learned(this.settings, this.initial, other.cell)
  }
}
