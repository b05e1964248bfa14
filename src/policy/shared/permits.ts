/**
 * Who may run, who waits and who is refused: the admission that a bulkhead and an adaptive limit share. A gate is moved
 * by one call of a function here at a time, each to its end, so it holds between any two of them that
 *
 * - `running` is the number of permits that are held;
 * - nobody waits while there is room: a permit that is given back goes to the next waiter in the same step, so a
 *   newcomer never overtakes a waiter;
 * - every permit is given back once, however often it is tried.
 *
 * The next waiter is the one that came first. Where priorities count, a waiter gains one step of priority for each
 * `ageing` milliseconds that it waits. Everybody ages alike, so who is ahead of whom does not change with time: a waiter
 * of priority 3 that came at 1 000 ms with an ageing of 500 ms stands where one of priority 0 would that came at
 * 1 000 - 3 × 500 = -500 ms. That number is its rank, and the lowest rank is next. So whoever waits is overtaken only by
 * waiters that come less than (their priority - its own) × ageing after it: nobody starves.
 */
import * as Waiters from "./waiters.ts"

export interface Permit {
  /** When its holder began to work, elapsed milliseconds, for whoever measures that; set by the holder. */
  since: number
  /** How many permits were held then, this one included. */
  readonly inFlight: number
  /** Which epoch of the gate it was given in. */
  readonly epoch: number
  /**
   * Whether its holder must be known by its permit, so that a call of its own through the same gate is not made to wait
   * for itself.
   */
  readonly tracked: boolean
  held: boolean
}

/** Calls that wait with one priority, first come first served. */
interface Level {
  readonly priority: number
  readonly waiters: Waiters.Waiters<Waiter>
}

/** Calls that wait with a time-out on one clock. All have the same, so the first to come is the first that is late. */
export type Timeouts = Waiters.Waiters<Waiter>

/** A call that waits, waited, or gave up. Times are elapsed milliseconds on its own clock. */
export interface Waiter {
  /** Who is next: see above. */
  readonly rank: number
  /** When it is no longer willing to wait; `Infinity` for never. */
  readonly deadline: number
  readonly level: Level
  readonly timeouts: Timeouts | undefined
  /** Where it stands in its level and among the time-outs; nothing when it stands there no more. */
  entry: Waiters.Entry<Waiter> | undefined
  timeout: Waiters.Entry<Waiter> | undefined
  /** What it got: nothing while it waits, and nothing when its time was up. */
  permit: Permit | undefined
  /** Called once: when it got its permit, or when its time is up. */
  wake: (() => void) | undefined
}

/** How a call comes to wait. */
export interface Arrival {
  readonly at: number
  readonly priority: number
  readonly deadline: number
  readonly timeouts: Timeouts | undefined
}

export interface Gate {
  limit: number
  maxQueued: number
  /** Milliseconds for a step of priority; nothing where priorities do not count. */
  readonly ageing: number | undefined
  /** The lowest limit there was or can be; a holder above it is tracked. See {@link give}. */
  floor: number
  running: number
  queued: number
  /** Raised by whoever wants to tell permits given before a moment from those given after it. */
  epoch: number
  /** From the highest priority down. */
  readonly levels: Array<Level>
}

export const make = (
  options: {
    readonly limit: number
    readonly maxQueued: number
    readonly floor: number
    readonly ageing?: number | undefined
  }
): Gate => ({
  limit: options.limit,
  maxQueued: options.maxQueued,
  ageing: options.ageing,
  floor: options.floor,
  running: 0,
  queued: 0,
  epoch: 0,
  levels: [{ priority: 0, waiters: Waiters.make() }]
})

/**
 * Tracking every holder would cost each call; tracking those that are admitted with `floor` or more permits held is
 * enough. Of the untracked holders the youngest was admitted with less than `floor` held, so there are less than
 * `floor` of them, and a full gate has at least one tracked holder: that one is refused where it would wait for itself,
 * and so a gate can never be held for ever by holders that all wait for it. Where nobody may wait nobody is tracked.
 */
const give = (self: Gate): Permit => {
  self.running++
  return {
    since: 0,
    inFlight: self.running,
    epoch: self.epoch,
    tracked: self.running >= self.floor && self.maxQueued > 0,
    held: true
  }
}

/** A permit at once, or nothing. */
export const admit = (self: Gate): Permit | undefined => self.running < self.limit ? give(self) : undefined

const levelOf = (self: Gate, priority: number): Level => {
  let index = 0
  for (const level of self.levels) {
    if (level.priority === priority) return level
    if (level.priority < priority) break
    index++
  }
  const level = { priority, waiters: Waiters.make<Waiter>() }
  self.levels.splice(index, 0, level)
  return level
}

/** Joins the queue; nothing when it is full. Only for whoever was not admitted. */
export const enqueue = (self: Gate, { at, deadline, priority, timeouts }: Arrival): Waiter | undefined => {
  if (self.queued >= self.maxQueued) return undefined
  const level = levelOf(self, self.ageing === undefined ? 0 : priority)
  const rank = at - level.priority * (self.ageing ?? 0)
  const waiter: Waiter = {
    rank,
    deadline,
    level,
    timeouts,
    entry: undefined,
    timeout: undefined,
    permit: undefined,
    wake: undefined
  }
  waiter.entry = Waiters.add(level.waiters, waiter)
  if (timeouts !== undefined) waiter.timeout = Waiters.add(timeouts, waiter)
  self.queued++
  return waiter
}

export const isWaiting = (waiter: Waiter): boolean => waiter.entry !== undefined

/** Leaves the queue. False if it no longer waits. */
const dequeue = (self: Gate, waiter: Waiter): boolean => {
  if (waiter.entry === undefined) return false
  Waiters.remove(waiter.level.waiters, waiter.entry)
  waiter.entry = undefined
  if (waiter.timeouts !== undefined && waiter.timeout !== undefined) Waiters.remove(waiter.timeouts, waiter.timeout)
  waiter.timeout = undefined
  self.queued--
  return true
}

/** The one with the lowest rank, of equal ones the first to come. In a level ranks rise with time. */
const nextWaiter = (self: Gate): Waiter | undefined => {
  let next: Waiter | undefined
  for (const { waiters } of self.levels) {
    const first = waiters.first?.value
    if (first !== undefined && (next === undefined || first.rank <= next.rank)) next = first
  }
  return next
}

/** Gives what is free to those who wait. */
export const handOver = (self: Gate): void => {
  while (self.running < self.limit) {
    const waiter = nextWaiter(self)
    if (waiter === undefined) return
    dequeue(self, waiter)
    waiter.permit = give(self)
    waiter.wake?.()
  }
}

/** Gives a permit back, and to the next waiter if the limit allows. A permit that was given back is worth nothing. */
export const release = (self: Gate, permit: Permit): void => {
  if (!permit.held) return
  permit.held = false
  self.running--
  handOver(self)
}

/** A waiter goes away: its place in the queue, or the permit it was handed in the meantime, is free at once. */
export const abandon = (self: Gate, waiter: Waiter): void => {
  if (dequeue(self, waiter)) return
  if (waiter.permit !== undefined) release(self, waiter.permit)
}

/**
 * Sends away everybody whose time is up on one clock, and gives the moment to look again: the deadline of the first who
 * waits on, or nothing if nobody does.
 */
export const expire = (self: Gate, timeouts: Timeouts, now: number): number | undefined => {
  for (let entry = timeouts.first; entry !== undefined; entry = timeouts.first) {
    if (entry.value.deadline > now) return entry.value.deadline
    dequeue(self, entry.value)
    entry.value.wake?.()
  }
  return undefined
}

/** Sets new limits. Nobody who runs or waits is sent away; what is freed goes to those who wait. */
export const resize = (self: Gate, limit: number, maxQueued: number): void => {
  self.limit = limit
  self.maxQueued = maxQueued
  self.floor = Math.min(self.floor, limit)
  handOver(self)
}
