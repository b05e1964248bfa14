/** Holds the state of an adaptive retry. Each method changes it in one step; `now` is a reading of `elapsedMillis`. */
import * as Kernel from "./kernel.ts"

export interface Settings extends Kernel.WindowSettings {
  /** A wait is not stretched beyond this; milliseconds. */
  readonly cap: number
}

/** A place in the queue of requests that are held back. */
export interface Reservation {
  readonly ticket: number
  readonly waitMillis: number
}

export class Cell {
  readonly settings: Settings
  /** Present in the mode `"rate"`. */
  private readonly rateSettings: Kernel.RateSettings | undefined
  private window: Kernel.Window = Kernel.emptyWindow
  /** It begins with the first call. */
  rate: Kernel.Rate | undefined = undefined

  constructor(settings: Settings, rateSettings: Kernel.RateSettings | undefined) {
    this.settings = settings
    this.rateSettings = rateSettings
  }

  /** Counts the outcome of one attempt. */
  record(outcome: Kernel.Outcome, now: number): void {
    const { rateSettings } = this
    this.window = Kernel.record(this.settings, this.window, outcome, now)
    if (rateSettings === undefined) return
    const rate = this.rate ?? Kernel.startRate(rateSettings, now)
    this.rate = Kernel.update(rateSettings, rate, outcome === "throttled", now)
  }

  /**
   * The wait before the next attempt, in milliseconds, from the one that the retry policy chose. Never shorter than that
   * (so a hint of the other side stays the floor it is), and stretched at most to the cap.
   */
  stretch(delay: number, kind: "throttled" | "failure", now: number): number {
    return Kernel.stretch(delay, this.multiplier(kind, now), this.settings.cap)
  }

  multiplier(kind: "throttled" | "failure", now: number): number {
    return Kernel.multiplier(this.settings, this.window, kind, now)
  }

  /** Outcomes that count now. */
  calls(now: number): number {
    return Kernel.dropExpired(this.settings, this.window, now).size
  }

  /** Requests a second that are let out; `undefined` before the first throttle, when none is held back. */
  fillRate(): number | undefined {
    return this.rate?.enabled === true ? this.rate.fillRate : undefined
  }

  /** Takes the next place in the queue, where requests are held back. */
  reserve(now: number): Reservation | undefined {
    if (this.rate?.enabled !== true) return undefined
    const [rate, ticket] = Kernel.reserve(this.rate, now)
    this.rate = rate
    return { ticket, waitMillis: this.waitOf(ticket, now) }
  }

  /** How long a ticket has to wait from now on. It changes with the rate. */
  waitOf(ticket: number, now: number): number {
    if (this.rate === undefined) return 0
    const [rate, wait] = Kernel.waitFor(this.rate, ticket, now)
    this.rate = rate
    return wait
  }

  /** Gives up a ticket: those behind it move up. */
  cancel(ticket: number): void {
    if (this.rate !== undefined) this.rate = Kernel.cancel(this.rate, ticket)
  }
}
