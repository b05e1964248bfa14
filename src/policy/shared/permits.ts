/**
 * A pool of permits and the queue of calls that wait for one, as a bulkhead and an adaptive limit use it. Each function
 * here runs to its end before the next one starts, so these statements hold between any two calls of them:
 *
 * - `running` is the number of permits that are held;
 * - nobody waits while there is room: a permit that is given back goes to the next waiter in the same step, so a new
 *   call never overtakes a waiter;
 * - every permit is given back once, however often `release` is called.
 *
 * The next waiter is the one that came first. Where priorities count, a waiter gains one step of priority for each
 * `ageing` milliseconds that it waits. Everybody ages alike, so who is ahead of whom does not change with time: a waiter
 * of priority 3 that came at 1 000 ms with an ageing of 500 ms stands where one of priority 0 would that came at
 * 1 000 - 3 × 500 = -500 ms. That number is its rank, and the lowest rank is next. So whoever waits is overtaken only by
 * waiters that come less than (their priority - its own) × ageing after it: nobody starves.
 */
import * as Waiters from "./waiters.ts"

export interface Permit {
  /** When its holder began to work, in elapsed milliseconds; set by the holder, for measurements. */
  startedAt: number
  /** How many permits were held then, this one included. */
  readonly inFlight: number
  /** The epoch of the pool in which it was given. */
  readonly epoch: number
  /**
   * Whether the fiber of its holder carries a mark (see `reentrance`), so that a nested call through the same pool is not
   * made to wait for itself.
   */
  readonly isTracked: boolean
  isHeld: boolean
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
  /** When it stops waiting; `Infinity` for never. */
  readonly deadline: number
  readonly level: Level
  readonly timeouts: Timeouts | undefined
  /** Its entries in its level and among the time-outs; absent once it no longer waits. */
  entry: Waiters.Entry<Waiter> | undefined
  timeout: Waiters.Entry<Waiter> | undefined
  /** The permit it got; absent while it waits and when its time was up. */
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

export interface PermitPool {
  limit: number
  maxQueued: number
  /** Milliseconds for a step of priority; nothing where priorities do not count. */
  readonly ageing: number | undefined
  /** The lowest limit there was or can be; a holder above it is tracked. See {@link issue}. */
  floor: number
  running: number
  queued: number
  /** Raised to tell permits given before a moment from those given after it. */
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
): PermitPool => ({
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
 * `floor` of them, and a full pool has at least one tracked holder. That one is refused where it would wait for itself,
 * so a pool cannot be held for ever by holders that all wait for it. Without a queue nobody is tracked.
 */
const issue = (self: PermitPool): Permit => {
  self.running++
  return {
    startedAt: 0,
    inFlight: self.running,
    epoch: self.epoch,
    isTracked: self.running >= self.floor && self.maxQueued > 0,
    isHeld: true
  }
}

/** A permit at once, or nothing. */
export const tryAcquire = (self: PermitPool): Permit | undefined => self.running < self.limit ? issue(self) : undefined

const levelOf = (self: PermitPool, priority: number): Level => {
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

/** Joins the queue, after `tryAcquire` gave nothing. Nothing when the queue is full. */
export const enqueue = (self: PermitPool, { at, deadline, priority, timeouts }: Arrival): Waiter | undefined => {
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
const dequeue = (self: PermitPool, waiter: Waiter): boolean => {
  if (waiter.entry === undefined) return false
  Waiters.remove(waiter.level.waiters, waiter.entry)
  waiter.entry = undefined
  if (waiter.timeouts !== undefined && waiter.timeout !== undefined) Waiters.remove(waiter.timeouts, waiter.timeout)
  waiter.timeout = undefined
  self.queued--
  return true
}

/** The one with the lowest rank, of equal ones the first to come. In a level ranks rise with time. */
const nextWaiter = (self: PermitPool): Waiter | undefined => {
  let next: Waiter | undefined
  for (const { waiters } of self.levels) {
    const first = waiters.first?.value
    if (first !== undefined && (next === undefined || first.rank <= next.rank)) next = first
  }
  return next
}

/** Gives free permits to the waiters. */
export const handOver = (self: PermitPool): void => {
  while (self.running < self.limit) {
    const waiter = nextWaiter(self)
    if (waiter === undefined) return
    dequeue(self, waiter)
    waiter.permit = issue(self)
    waiter.wake?.()
  }
}

/** Gives a permit back, and to the next waiter if the limit allows. A second time does nothing. */
export const release = (self: PermitPool, permit: Permit): void => {
  if (!permit.isHeld) return
  permit.isHeld = false
  self.running--
  handOver(self)
}

/** A waiter leaves: its place in the queue, or the permit it got in the meantime, is free at once. */
export const abandon = (self: PermitPool, waiter: Waiter): void => {
  if (dequeue(self, waiter)) return
  if (waiter.permit !== undefined) release(self, waiter.permit)
}

/**
 * Removes every waiter whose time is up on one clock. Returns the deadline of the first one that still waits, or nothing
 * if there is none.
 */
export const expire = (self: PermitPool, timeouts: Timeouts, now: number): number | undefined => {
  for (let entry = timeouts.first; entry !== undefined; entry = timeouts.first) {
    if (entry.value.deadline > now) return entry.value.deadline
    dequeue(self, entry.value)
    entry.value.wake?.()
  }
  return undefined
}

/** Sets new limits. No call that runs or waits is removed; free permits go to the waiters. */
export const resize = (self: PermitPool, limit: number, maxQueued: number): void => {
  self.limit = limit
  self.maxQueued = maxQueued
  self.floor = Math.min(self.floor, limit)
  handOver(self)
}
