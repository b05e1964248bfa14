/** A first-in-first-out queue that a waiter may leave from any place: every operation takes constant time. */

/** A place in a queue. It is in at most one queue, and in it once. */
export interface Place<A> {
  readonly value: A
  /** Whether it still waits: false once it was taken or has left. */
  waiting: boolean
  before: Place<A> | undefined
  behind: Place<A> | undefined
}

export interface Waiters<A> {
  size: number
  first: Place<A> | undefined
  last: Place<A> | undefined
}

export const make = <A>(): Waiters<A> => ({ size: 0, first: undefined, last: undefined })

/** Joins at the end. */
export const join = <A>(self: Waiters<A>, value: A): Place<A> => {
  const place: Place<A> = { value, waiting: true, before: self.last, behind: undefined }
  if (self.last === undefined) self.first = place
  else self.last.behind = place
  self.last = place
  self.size++
  return place
}

/** Takes a place out, wherever it stands. False, and nothing happens, if it no longer waits. */
export const leave = <A>(self: Waiters<A>, place: Place<A>): boolean => {
  if (!place.waiting) return false
  if (place.before === undefined) self.first = place.behind
  else place.before.behind = place.behind
  if (place.behind === undefined) self.last = place.before
  else place.behind.before = place.before
  // A place that is kept by its owner must not keep its old neighbours alive.
  place.before = undefined
  place.behind = undefined
  place.waiting = false
  self.size--
  return true
}

/** Takes the first. */
export const next = <A>(self: Waiters<A>): A | undefined => {
  const place = self.first
  if (place === undefined) return undefined
  leave(self, place)
  return place.value
}

/** All that wait, first to last. */
export const toArray = <A>(self: Waiters<A>): ReadonlyArray<A> => {
  const all: Array<A> = []
  for (let place = self.first; place !== undefined; place = place.behind) all.push(place.value)
  return all
}
