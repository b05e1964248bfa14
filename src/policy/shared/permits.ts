/**
 * Who may run, who waits and who is refused: the admission that a bulkhead and an adaptive limit share. A gate is moved
 * by one call of a function here at a time, each to its end, so it holds between any two of them that
 *
 * - `running` is the number of permits that are held;
 * - nobody waits while there is room: a permit that is given back goes to the first waiter in the same step, so a
 *   newcomer never overtakes a waiter;
 * - every permit is given back once, however often it is tried.
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

export interface Waiter {
  /** When it is no longer willing to wait, elapsed milliseconds; `Infinity` for never. */
  readonly deadline: number
  /** What it got: nothing while it waits, and nothing when its time was up. */
  permit: Permit | undefined
  /** Told once: when it got its permit, or when its time is up. */
  wake: (() => void) | undefined
}

export type Place = Waiters.Place<Waiter>

export interface Gate {
  limit: number
  maxQueued: number
  /** The lowest limit there was or can be; a holder above it is tracked. See {@link admit}. */
  floor: number
  running: number
  /** Raised by whoever wants to tell permits given before a moment from those given after it. */
  epoch: number
  readonly waiters: Waiters.Waiters<Waiter>
}

export const make = (limit: number, maxQueued: number, floor: number): Gate => ({
  limit,
  maxQueued,
  floor,
  running: 0,
  epoch: 0,
  waiters: Waiters.make()
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

/** A place in the queue, or nothing when it is full. Only for whoever was not admitted. */
export const enqueue = (self: Gate, deadline: number): Place | undefined =>
  self.waiters.size < self.maxQueued
    ? Waiters.join(self.waiters, { deadline, permit: undefined, wake: undefined })
    : undefined

/** Gives what is free to those who wait, first come first served. */
export const handOver = (self: Gate): void => {
  while (self.running < self.limit) {
    const waiter = Waiters.next(self.waiters)
    if (waiter === undefined) return
    waiter.permit = give(self)
    waiter.wake?.()
  }
}

/** Gives a permit back, and to the first waiter if the limit allows. A permit that was given back is worth nothing. */
export const release = (self: Gate, permit: Permit): void => {
  if (!permit.held) return
  permit.held = false
  self.running--
  handOver(self)
}

/** A waiter goes away: its place, or the permit it was handed in the meantime, is free at once. */
export const abandon = (self: Gate, place: Place): void => {
  if (Waiters.leave(self.waiters, place)) return
  if (place.value.permit !== undefined) release(self, place.value.permit)
}

/**
 * Sends away everybody whose time is up, and tells when to look again: the deadline of the first who waits on, or
 * nothing if nobody does. Deadlines must not fall from one waiter to the next.
 */
export const expire = (self: Gate, now: number): number | undefined => {
  for (let place = self.waiters.first; place !== undefined; place = self.waiters.first) {
    if (place.value.deadline > now) return place.value.deadline
    Waiters.leave(self.waiters, place)
    place.value.wake?.()
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
