/** A first-in-first-out queue from which any entry can be removed. Every operation takes constant time. */

/** An entry of a queue. It is in at most one queue, and in it once. */
export interface Entry<A> {
  readonly value: A
  /** False once it was taken or removed. */
  isWaiting: boolean
  previous: Entry<A> | undefined
  next: Entry<A> | undefined
}

export interface Waiters<A> {
  size: number
  first: Entry<A> | undefined
  last: Entry<A> | undefined
}

export const make = <A>(): Waiters<A> => ({ size: 0, first: undefined, last: undefined })

/** Adds to the end. */
export const add = <A>(self: Waiters<A>, value: A): Entry<A> => {
  const entry: Entry<A> = { value, isWaiting: true, previous: self.last, next: undefined }
  if (self.last === undefined) self.first = entry
  else self.last.next = entry
  self.last = entry
  self.size++
  return entry
}

/** Removes an entry, wherever it is in the queue. False, and nothing happens, if it no longer waits. */
export const remove = <A>(self: Waiters<A>, entry: Entry<A>): boolean => {
  if (!entry.isWaiting) return false
  if (entry.previous === undefined) self.first = entry.next
  else entry.previous.next = entry.next
  if (entry.next === undefined) self.last = entry.previous
  else entry.next.previous = entry.previous
  // An entry that is kept by its owner must not keep its old neighbours alive.
  entry.previous = undefined
  entry.next = undefined
  entry.isWaiting = false
  self.size--
  return true
}

/** All that wait, first to last. */
export const toArray = <A>(self: Waiters<A>): ReadonlyArray<A> => {
  const all: Array<A> = []
  for (let entry = self.first; entry !== undefined; entry = entry.next) all.push(entry.value)
  return all
}
