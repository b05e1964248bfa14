/** What progress comes to: the rate of late, the time that is left, and how it is written. Pure; times are milliseconds. */
import * as Duration from "effect/Duration"
import { words } from "../../internal/words.ts"

export interface Counts {
  /** How many items there are, where that is known. */
  readonly total?: number
  /** Items that have ended, in whatever way. */
  readonly done: number
  readonly failed: number
  readonly skipped: number
  /** Attempts beyond the first of each item. */
  readonly retried: number
  readonly inFlight: number
  readonly tokens: number
  readonly cost?: number
  /** What the work waits for: a circuit that is open. */
  readonly pausedBy?: "circuit"
}

export const nothing: Counts = { done: 0, failed: 0, skipped: 0, retried: 0, inFlight: 0, tokens: 0 }

/** The rate as it was when it was last looked at. */
export interface Rate {
  readonly perSecond: number
  readonly done: number
  readonly at: number | undefined
}

export const noRate: Rate = { perSecond: 0, done: 0, at: undefined }

/** What happened so long ago counts for a third of what happens now. */
const memoryMillis = 30_000

/**
 * The rate after another look. The first looks count for as long as they took, so the rate is right from the start: after
 * 10 seconds with 50 items done and 20 seconds with 70, it is 5 and then about 3.6.
 */
export const observe = (rate: Rate, done: number, now: number, startedAt: number | undefined): Rate => {
  if (startedAt === undefined) return rate
  const since = rate.at ?? startedAt
  const elapsed = now - since
  if (elapsed <= 0) return rate.at === undefined ? { ...rate, done, at: undefined } : rate
  const recent = (done - (rate.at === undefined ? 0 : rate.done)) * 1_000 / elapsed
  const age = Math.max(elapsed, now - startedAt)
  // A plain mean over the first half minute, an exponential one later.
  const weight = age <= memoryMillis ? elapsed / age : 1 - Math.exp(-elapsed / memoryMillis)
  return { perSecond: rate.perSecond + (recent - rate.perSecond) * weight, done, at: now }
}

/** Nobody knows it while the work is paused. */
export const millisLeft = ({ done, pausedBy, total }: Counts, perSecond: number): number | undefined =>
  total === undefined || perSecond <= 0 || pausedBy !== undefined
    ? undefined
    : Math.max(0, total - done) * 1_000 / perSecond

/** People need no fractions of a rate above ten, and no milliseconds of an hour. */
const rounded = (value: number): string => value >= 10 ? String(Math.round(value)) : String(Math.round(value * 10) / 10)

const wordsOf = (left: Duration.Duration): string =>
  words(Duration.millis(Math.ceil(Duration.toMillis(left) / 1_000) * 1_000))

type Shown = Counts & { readonly perSecond: number }

const facts = (self: Shown, timeLeft: Duration.Duration | undefined): ReadonlyArray<string> => [
  `${self.failed} failed`,
  ...(self.skipped > 0 ? [`${self.skipped} skipped`] : []),
  ...(self.retried > 0 ? [`${self.retried} retried`] : []),
  ...(self.inFlight > 0 ? [`${self.inFlight} in flight`] : []),
  `${rounded(self.perSecond)}/s`,
  ...(self.tokens > 0 ? [`${self.tokens} tokens`] : []),
  ...(self.cost === undefined ? [] : [`cost ${Number(self.cost.toPrecision(4))}`]),
  ...(self.pausedBy === undefined ? [] : ["paused: the circuit is open"]),
  ...(timeLeft === undefined || self.done === self.total ? [] : [`${wordsOf(timeLeft)} left`])
]

export const line = (self: Shown, timeLeft: Duration.Duration | undefined): string =>
  [`${self.done}${self.total === undefined ? "" : ` of ${self.total}`} done`, ...facts(self, timeLeft)].join(", ")

const green = "\u001b[32m"
const red = "\u001b[31m"
const plain = "\u001b[39m"

/** How wide the bar itself is at most, and at least where there is room for any. */
const widest = 30
const narrowest = 5

/** Never wider than the terminal, or the next one would not be drawn over it. */
export const bar = (
  self: Shown,
  timeLeft: Duration.Duration | undefined,
  columns: number,
  style: "color" | "plain"
): string => {
  const text = line(self, timeLeft)
  const room = Math.min(widest, columns - text.length - 4)
  if (self.total === undefined || room < narrowest) return text.slice(0, columns - 1)
  const share = self.total === 0 ? 1 : Math.min(1, self.done / self.total)
  const full = Math.floor(share * room)
  const filled = "█".repeat(full)
  const color = self.failed > 0 ? red : green
  return `[${style === "color" ? `${color}${filled}${plain}` : filled}${"░".repeat(room - full)}] ${text}`
}
