/**
 * How a client slows down when the other side is in trouble. `Window` stretches the waits between attempts by the rate of
 * recent errors. `Rate` controls how fast requests are sent, by the cubic curve of AWS's SDKs. Pure functions over data;
 * times are milliseconds.
 */

export type Outcome = "success" | "throttled" | "failure"

// ---------------------------------------------------------------------------------------------------------------------
// The window of recent outcomes
// ---------------------------------------------------------------------------------------------------------------------

export interface WindowSettings {
  /** The most outcomes that are kept. */
  readonly calls: number
  /** The longest time that one is kept, milliseconds. */
  readonly duration: number
  /** With fewer outcomes than this, the missing ones count as successes: one failure out of one is not 100 %. */
  readonly minimumCalls: number
  readonly maxMultiplier: number
}

interface Entry {
  readonly at: number
  readonly outcome: Outcome
}

interface ListNode {
  readonly entry: Entry
  readonly next: ListNode | undefined
}

/**
 * A queue made of two linked lists, with its sums beside it. `newest` is pushed to, `oldest` is taken from; when `oldest` is
 * empty, it becomes `newest` reversed. So recording and dropping take constant time on average.
 */
export interface Window {
  readonly oldest: ListNode | undefined
  readonly newest: ListNode | undefined
  readonly size: number
  readonly throttled: number
  readonly failures: number
}

export const emptyWindow: Window = { oldest: undefined, newest: undefined, size: 0, throttled: 0, failures: 0 }

const reversed = (cell: ListNode | undefined): ListNode | undefined => {
  let result: ListNode | undefined
  for (let each = cell; each !== undefined; each = each.next) result = { entry: each.entry, next: result }
  return result
}

const withoutOldest = (window: Window, oldest: ListNode): Window => ({
  ...window,
  oldest: oldest.next,
  size: window.size - 1,
  throttled: window.throttled - (oldest.entry.outcome === "throttled" ? 1 : 0),
  failures: window.failures - (oldest.entry.outcome === "failure" ? 1 : 0)
})

/** The window without the outcomes that are too old or too many. */
export const dropExpired = (settings: WindowSettings, window: Window, now: number): Window => {
  let current = window
  while (current.size > 0) {
    if (current.oldest === undefined) {
      current = { ...current, oldest: reversed(current.newest), newest: undefined }
    }
    const { oldest } = current
    if (oldest === undefined) return emptyWindow
    if (current.size <= settings.calls && now - oldest.entry.at < settings.duration) return current
    current = withoutOldest(current, oldest)
  }
  return current
}

export const record = (settings: WindowSettings, window: Window, outcome: Outcome, now: number): Window =>
  dropExpired(settings, {
    oldest: window.oldest,
    newest: { entry: { at: now, outcome }, next: window.newest },
    size: window.size + 1,
    throttled: window.throttled + (outcome === "throttled" ? 1 : 0),
    failures: window.failures + (outcome === "failure" ? 1 : 0)
  }, now)

/** The share of recent outcomes that were of the class, 0 to 1. */
export const errorRate = (
  settings: WindowSettings,
  window: Window,
  kind: "throttled" | "failure",
  now: number
): number => {
  const current = dropExpired(settings, window, now)
  const count = kind === "throttled" ? current.throttled : current.failures
  return count === 0 ? 0 : count / Math.max(current.size, settings.minimumCalls)
}

/** From 1 (no such error) to the maximum (nothing but such errors), in a straight line. */
export const multiplier = (
  settings: WindowSettings,
  window: Window,
  kind: "throttled" | "failure",
  now: number
): number => 1 + (settings.maxMultiplier - 1) * errorRate(settings, window, kind, now)

/** The wait times the factor: never shorter than it was, and longer than the cap only if it was so before. */
export const stretch = (delay: number, factor: number, cap: number): number =>
  Math.max(delay, Math.min(delay * factor, cap))

// ---------------------------------------------------------------------------------------------------------------------
// The cubic rate
// ---------------------------------------------------------------------------------------------------------------------

export interface RateSettings {
  /** What is left of the rate after a throttle. */
  readonly beta: number
  /** How steep the curve is. */
  readonly scale: number
  /** Requests a second, the least. */
  readonly minimumRate: number
  /** The weight of the newest measurement of the rate of sending. */
  readonly smooth: number
}

/** The smallest size of the bucket: it can always hold the token of one request. */
const minimumCapacity = 1

export interface Rate {
  /** Nothing is held back before the first throttle. */
  readonly enabled: boolean
  /** Requests a second that are let out. */
  readonly fillRate: number
  readonly capacity: number
  /**
   * Tokens that were filled in and tickets that were given out, since the beginning. Tickets that were cancelled before
   * their turn are kept, ascending, until their turn is past. The level of the bucket is what was filled in, less the
   * tickets that were not cancelled.
   */
  readonly filled: number
  readonly tickets: number
  readonly cancelled: ReadonlyArray<number>
  readonly filledAt: number | undefined
  readonly measuredRate: number
  readonly count: number
  readonly countedSince: number
  readonly lastMaxRate: number
  readonly lastThrottle: number
}

const seconds = (now: number): number => now / 1000

export const startRate = (settings: RateSettings, now: number): Rate => ({
  enabled: false,
  fillRate: settings.minimumRate,
  capacity: minimumCapacity,
  filled: 0,
  tickets: 0,
  cancelled: [],
  filledAt: undefined,
  measuredRate: 0,
  count: 0,
  countedSince: Math.floor(seconds(now)),
  lastMaxRate: 0,
  lastThrottle: seconds(now)
})

/** The highest that `filled` may be now: the bucket holds no more than its capacity. */
const highestLevel = (rate: Rate, capacity: number): number => rate.tickets - rate.cancelled.length + capacity

/** Drops the cancelled tickets whose turn is past; all tickets before them are past as well. */
const dropPastCancellations = (rate: Rate): Rate => {
  let past = 0
  for (const ticket of rate.cancelled) {
    if (ticket > rate.filled + past + 1) break
    past += 1
  }
  return past === 0 ? rate : { ...rate, filled: rate.filled + past, cancelled: rate.cancelled.slice(past) }
}

const refill = (rate: Rate, now: number): Rate => {
  const t = seconds(now)
  if (rate.filledAt === undefined) return { ...rate, filledAt: t }
  if (t <= rate.filledAt) return rate
  const filled = Math.min(highestLevel(rate, rate.capacity), rate.filled + (t - rate.filledAt) * rate.fillRate)
  return dropPastCancellations({ ...rate, filled, filledAt: t })
}

/** Seconds after a throttle at which the curve is back at the rate that was throttled. */
export const plateau = (settings: RateSettings, lastMaxRate: number): number =>
  Math.cbrt(lastMaxRate * (1 - settings.beta) / settings.scale)

/** The rate that the curve gives, `sinceThrottle` seconds after the last throttle. */
export const cubic = (settings: RateSettings, lastMaxRate: number, sinceThrottle: number): number =>
  settings.scale * (sinceThrottle - plateau(settings, lastMaxRate)) ** 3 + lastMaxRate

/**
 * The rate after one reply. The formulas are those of the AWS SDKs' adaptive retry mode: a throttle sets the rate to `beta`
 * of what was sent, a success lets it follow the cubic curve (first back towards the rate that was throttled, then
 * beyond), and it never exceeds twice the measured rate.
 */
export const update = (settings: RateSettings, before: Rate, throttled: boolean, now: number): Rate => {
  const t = seconds(now)
  const current = refill(before, now)
  const { count, countedSince, enabled, cancelled: left, measuredRate, tickets } = current
  // Every half second the measured rate takes in the newest count.
  const bucket = Math.floor(t * 2) / 2
  const isMeasuring = bucket > countedSince
  const measured = isMeasuring
    ? (count + 1) / (bucket - countedSince) * settings.smooth + measuredRate * (1 - settings.smooth)
    : measuredRate
  const used = enabled ? Math.min(measured, before.fillRate) : measured
  const wanted = throttled ? used * settings.beta : cubic(settings, before.lastMaxRate, t - before.lastThrottle)
  const next = Math.min(wanted, 2 * measured)
  const capacity = Math.max(next, minimumCapacity)
  return {
    enabled: enabled || throttled,
    fillRate: Math.max(next, settings.minimumRate),
    capacity,
    filled: Math.min(current.filled, highestLevel(current, capacity)),
    tickets,
    cancelled: left,
    filledAt: current.filledAt,
    measuredRate: measured,
    count: isMeasuring ? 0 : count + 1,
    countedSince: isMeasuring ? bucket : countedSince,
    lastMaxRate: throttled ? used : before.lastMaxRate,
    lastThrottle: throttled ? t : before.lastThrottle
  }
}

/**
 * Reserves the next token. The ticket says which one it is, so that requests are sent in the order they came. (AWS's own
 * code sends all that wait at the same time together; here each waits for a token of its own.)
 */
export const reserve = (before: Rate, now: number): readonly [Rate, ticket: number] => {
  const rate = refill(before, now)
  return [{ ...rate, tickets: rate.tickets + 1 }, rate.tickets + 1]
}

/** How many of an ascending list are below a number. */
const countBelow = (ascending: ReadonlyArray<number>, limit: number): number => {
  let [low, high] = [0, ascending.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ascending[middle] ?? Infinity) < limit) low = middle + 1
    else high = middle
  }
  return low
}

/** A caller gives up its ticket before its turn: those behind it move up. */
export const cancel = (rate: Rate, ticket: number): Rate => {
  const index = countBelow(rate.cancelled, ticket)
  return dropPastCancellations({
    ...rate,
    cancelled: [...rate.cancelled.slice(0, index), ticket, ...rate.cancelled.slice(index)]
  })
}

/** A token may come a rounding error late, which must not cost another wait. */
const rounding = 1e-6

/** How long a ticket has to wait from now on, at the present rate. */
export const waitFor = (before: Rate, ticket: number, now: number): readonly [Rate, millis: number] => {
  const rate = refill(before, now)
  const missing = ticket - countBelow(rate.cancelled, ticket) - rate.filled
  return [rate, missing <= rounding ? 0 : missing / rate.fillRate * 1000]
}
