/**
 * How many of the last calls went badly: over a number of calls, or over a time. A window is a ring of numbers that its
 * one owner writes in place, so that recording a call allocates nothing and memory does not grow.
 *
 * A window over a time is cut into 60 buckets, the first of which begins with the first call that is counted. It covers
 * the running bucket and the 59 before it: never more than the time asked for, and at least all but one bucket of it.
 * A window of 30 s has buckets of 500 ms. A failure at 1200 ms begins bucket 0 (1200 to 1700 ms), one at 1650 ms is in
 * the same bucket, one at 2000 ms in bucket 1. At 31 199 ms all three count: the running bucket is 59, and bucket 0 is
 * the last that is covered. At 31 200 ms bucket 60 begins, which takes the place of bucket 0 in the ring: the failure of
 * 1200 ms is 30 s old and gone, and the one of 1650 ms goes with it, half a second early. Whatever the idle gap, nothing
 * older is counted, because every look at the window first drops all buckets that time has passed by.
 */

export type WindowSpec =
  | { readonly _tag: "Calls"; readonly calls: number }
  | { readonly _tag: "Time"; readonly millis: number }

interface CountWindow {
  readonly _tag: "Calls"
  /** 1 where the call went badly. */
  readonly ring: Uint8Array
  /** Where the next call is written. */
  at: number
  calls: number
  bad: number
}

interface TimeWindow {
  readonly _tag: "Time"
  readonly millis: number
  readonly callsIn: Float64Array
  readonly badIn: Float64Array
  /** The moment at which bucket 0 began. */
  origin: number
  /** The running bucket. */
  bucket: number
  calls: number
  bad: number
}

export type Window = CountWindow | TimeWindow

/** Into how many buckets a time is cut. */
export const buckets = 60

export const make = (spec: WindowSpec): Window =>
  spec._tag === "Calls"
    ? { _tag: "Calls", ring: new Uint8Array(spec.calls), at: 0, calls: 0, bad: 0 }
    : {
      _tag: "Time",
      millis: spec.millis,
      callsIn: new Float64Array(buckets),
      badIn: new Float64Array(buckets),
      origin: 0,
      bucket: 0,
      calls: 0,
      bad: 0
    }

const clear = (window: TimeWindow): void => {
  window.callsIn.fill(0)
  window.badIn.fill(0)
  window.calls = 0
  window.bad = 0
}

/** Where a bucket lies in the ring. A snapshot may hold buckets before bucket 0, which are negative. */
const indexOf = (bucket: number): number => ((bucket % buckets) + buckets) % buckets

/**
 * The bucket of a moment. The product comes first because it is exact: divided by the width of a bucket, which is a
 * rounded number for 199 ms, the moment 199 lies in bucket 59, and a call of the moment 0 still counts.
 */
const bucketAt = ({ millis, origin }: TimeWindow, now: number): number => Math.floor((now - origin) * buckets / millis)

/** Drops what time has passed by. Without an effect on a window over calls. */
export const roll = (window: Window, now: number): void => {
  if (window._tag === "Calls") return
  if (window.calls === 0) {
    window.origin = now
    window.bucket = 0
    return
  }
  const bucket = bucketAt(window, now)
  const passed = bucket - window.bucket
  if (passed === 0) return
  // A virtual clock set back a little stays in its bucket; one set back by a whole window would keep results for ever.
  if (passed < 0 && passed > -buckets) return
  if (passed < 0 || passed >= buckets) {
    clear(window)
    window.origin = now
    window.bucket = 0
    return
  }
  for (let each = window.bucket + 1; each <= bucket; each++) {
    const i = indexOf(each)
    window.calls -= window.callsIn[i] ?? 0
    window.bad -= window.badIn[i] ?? 0
    window.callsIn[i] = 0
    window.badIn[i] = 0
  }
  window.bucket = bucket
}

/** Counts one call that ended now. */
export const record = (window: Window, bad: boolean, now: number): void => {
  if (window._tag === "Calls") {
    const { ring } = window
    if (window.calls === ring.length) window.bad -= ring[window.at] ?? 0
    else window.calls++
    ring[window.at] = bad ? 1 : 0
    window.at = window.at + 1 === ring.length ? 0 : window.at + 1
  } else {
    roll(window, now)
    const i = indexOf(window.bucket)
    window.callsIn[i] = (window.callsIn[i] ?? 0) + 1
    if (bad) window.badIn[i] = (window.badIn[i] ?? 0) + 1
    window.calls++
  }
  if (bad) window.bad++
}

/**
 * What a window holds, as plain data, oldest first: for calls a text of 0 and 1; for a time the buckets that hold
 * something, with their age in milliseconds.
 */
export type Written =
  | { readonly last: string }
  | { readonly buckets: ReadonlyArray<{ readonly age: number; readonly calls: number; readonly bad: number }> }

export const write = (window: Window, now: number): Written => {
  roll(window, now)
  if (window._tag === "Calls") {
    const { at, calls, ring } = window
    const first = calls === ring.length ? at : 0
    return { last: Array.from({ length: calls }, (_, i) => ring[(first + i) % ring.length] ?? 0).join("") }
  }
  const { badIn, bucket, callsIn, millis } = window
  return {
    buckets: Array.from({ length: buckets }, (_, i) => buckets - 1 - i).flatMap((back) => {
      const i = indexOf(bucket - back)
      const calls = callsIn[i] ?? 0
      return calls === 0 ? [] : [{ age: back * millis / buckets, calls, bad: badIn[i] ?? 0 }]
    })
  }
}

/** Fills a new window with what another one held. What does not fit, or is too old, is left out. */
export const fill = (window: Window, written: Written, now: number): void => {
  if (window._tag === "Calls") {
    if ("last" in written) { for (const call of written.last) record(window, call === "1", now) }
    return
  }
  if (!("buckets" in written)) return
  roll(window, now)
  for (const { age, bad, calls } of written.buckets) {
    const back = Math.round(age * buckets / window.millis)
    if (!(back >= 0 && back < buckets)) continue
    const i = indexOf(window.bucket - back)
    window.callsIn[i] = (window.callsIn[i] ?? 0) + calls
    window.badIn[i] = (window.badIn[i] ?? 0) + bad
    window.calls += calls
    window.bad += bad
  }
}
