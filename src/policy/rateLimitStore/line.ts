/**
 * A bucket in memory and the line before it. Everything but waiting happens within one step of the event loop, so each
 * operation is atomic. Only the first in line has a timer; the others are told when they become first, so each is woken
 * once or twice, and whoever stands behind one that leaves comes forward.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as bucket from "../../internal/bucket.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { longestTimer } from "../shared/region.ts"
import * as waiters from "../shared/waiters.ts"

/** The wait is over and the place is gone, for a reason. Times are milliseconds. */
export type Refusal = {
  readonly _tag: "Refused"
  readonly reason: "rate"
  readonly retryAfter: number
} | {
  readonly _tag: "Refused"
  readonly reason: "cost"
  readonly unit: "requests" | "tokens"
  readonly cost: number
  readonly limit: number
}

export interface Waiter {
  readonly requests: number
  readonly tokens: number
  /** The latest moment at which its owner still wants to start. */
  readonly deadline: number
  turn: "waiting" | "granted" | Refusal
  /** When its owner looks next; `Infinity` while only a call of `wake` makes it look. */
  looksAt: number
  wake: (() => void) | undefined
}

export type Place = waiters.Entry<Waiter>

export interface Cell {
  limits: bucket.Limits
  state: bucket.State
  readonly line: waiters.Waiters<Waiter>
  /** The state after everybody in the line has started; absent when something changed what was planned. */
  planned: bucket.State | undefined
  /** Whether anybody came who does not wait for ever. */
  impatient: boolean
  usedAt: number
  lastId: number
}

const wake = (waiter: Waiter): void => {
  waiter.looksAt = -Infinity
  waiter.wake?.()
}

const end = (cell: Cell, place: Place, turn: "granted" | Refusal): void => {
  waiters.remove(cell.line, place)
  place.value.turn = turn
  wake(place.value)
}

/** Grants those whose time has come, brings the bucket up to now, and tells the first in line if it may start earlier. */
export const advance = (cell: Cell, now: number): void => {
  let head = cell.line.first
  while (head !== undefined) {
    const start = bucket.earliest(cell.limits, cell.state, head.value)
    if (!bucket.isDue(start, now)) break
    // Counted at the time it was due, not at the time a late timer fired: so late timers cost no throughput.
    cell.state = bucket.take(cell.limits, cell.state, head.value, start)
    end(cell, head, "granted")
    head = cell.line.first
  }
  cell.state = bucket.refill(cell.limits, cell.state, now, head?.value)
  if (head !== undefined && !bucket.isDue(head.value.looksAt, bucket.earliest(cell.limits, cell.state, head.value))) {
    wake(head.value)
  }
}

const refuse = (cell: Cell, place: Place, start: number, now: number): void => {
  cell.planned = undefined
  end(cell, place, { _tag: "Refused", reason: "rate", retryAfter: bucket.until(start, now) })
}

/** Refuses those in line who would have to wait longer than they are willing to, or for ever. */
const replan = (cell: Cell, now: number): void => {
  let plan = cell.state
  let place = cell.line.first
  while (place !== undefined) {
    const { next, value } = place
    const excess = bucket.excess(cell.limits, plan, value, now)
    const start = bucket.earliest(cell.limits, plan, value)
    if (excess !== undefined) end(cell, place, { _tag: "Refused", reason: "cost", ...excess })
    else if (!bucket.isDue(start, value.deadline)) refuse(cell, place, start, now)
    else plan = bucket.take(cell.limits, plan, value, start)
    place = next
  }
  cell.planned = plan
  advance(cell, now)
}

const parked = (waiter: Waiter): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (waiter.looksAt === -Infinity) return resume(Effect.void)
    waiter.wake = () => resume(Effect.void)
    return Effect.sync(() => {
      waiter.wake = undefined
    })
  })

/** Parked with a timer, which is a fiber of its own so that being told and the time can both end the wait. */
const parkedFor = (waiter: Waiter, clock: Clock.Clock, millis: number): Effect.Effect<void> => {
  const time = Duration.millis(Math.min(millis, longestTimer))
  const alarm = Effect.zipRight(clock.sleep(time), Effect.sync(() => wake(waiter)))
  return Effect.flatMap(
    Effect.fork(Effect.interruptible(alarm)),
    (timer) => Effect.ensuring(parked(waiter), Effect.sync(() => timer.unsafeInterruptAsFork(FiberId.none)))
  )
}

/** Waits until the place is no longer in the line. */
export const turnOf = (cell: Cell, place: Place): Effect.Effect<Exclude<Waiter["turn"], "waiting">> =>
  Effect.clockWith((clock) => {
    const now = elapsedMillis(clock)
    const waiter = place.value
    advance(cell, now)
    if (waiter.turn !== "waiting") return Effect.succeed(waiter.turn)
    if (cell.line.first !== place) {
      waiter.looksAt = Infinity
      return Effect.zipRight(parked(waiter), turnOf(cell, place))
    }
    const start = bucket.earliest(cell.limits, cell.state, waiter)
    if (!bucket.isDue(start, waiter.deadline)) {
      refuse(cell, place, start, now)
      return turnOf(cell, place)
    }
    waiter.looksAt = start
    return Effect.zipRight(parkedFor(waiter, clock, bucket.until(start, now)), turnOf(cell, place))
  })

export const makeCell = (limits: bucket.Limits, now: number): Cell => ({
  limits,
  state: bucket.make(limits, now),
  line: waiters.make(),
  planned: undefined,
  impatient: false,
  usedAt: now,
  lastId: 0
})

/** What is planned for everybody in the line, kept as long as nothing changes it. */
export const plannedState = (cell: Cell): bucket.State => {
  if (cell.line.first === undefined) return cell.state
  let plan = cell.planned
  if (plan === undefined) {
    plan = cell.state
    for (let place: Place | undefined = cell.line.first; place !== undefined; place = place.next) {
      plan = bucket.take(cell.limits, plan, place.value, bucket.earliest(cell.limits, plan, place.value))
    }
    cell.planned = plan
  }
  return plan
}

/** Joins the end of the line. */
export const join = (cell: Cell, { requests, tokens }: bucket.Cost, deadline: number): Place => {
  const plan = plannedState(cell)
  const waiter: Waiter = { requests, tokens, deadline, turn: "waiting", looksAt: Infinity, wake: undefined }
  cell.planned = bucket.take(cell.limits, plan, waiter, bucket.earliest(cell.limits, plan, waiter))
  cell.impatient = cell.impatient || deadline !== Infinity
  return waiters.add(cell.line, waiter)
}

/** Leaves the line. False if it no longer stands there. */
export const leave = (cell: Cell, place: Place, now: number): boolean => {
  advance(cell, now)
  if (!waiters.remove(cell.line, place)) return false
  cell.planned = undefined
  advance(cell, now)
  return true
}

const adjusted = (cell: Cell, state: bucket.State, now: number): void => {
  cell.state = state
  cell.planned = undefined
  if (cell.line.size > 0) advance(cell, now)
}

/** Gives back what was taken for a call that was not sent. */
export const giveBack = (cell: Cell, cost: bucket.Cost, now: number): void => {
  advance(cell, now)
  adjusted(cell, bucket.giveBack(cell.limits, cell.state, cost, cell.line.first?.value), now)
}

/** Corrects the tokens that were reserved to those that were used. */
export const settle = (cell: Cell, reserved: number, used: number, now: number): void => {
  advance(cell, now)
  adjusted(cell, bucket.settle(cell.limits, cell.state, reserved, used, cell.line.first?.value), now)
}

export const pause = (cell: Cell, until: number, now: number): boolean => {
  advance(cell, now)
  const state = bucket.pause(cell.limits, cell.state, until, cell.line.first?.value)
  if (state === cell.state) return false
  cell.state = state
  replan(cell, now)
  return true
}

/** True if there was a pause to end. */
export const resume = (cell: Cell, now: number): boolean => {
  advance(cell, now)
  const state = bucket.resume(cell.state)
  if (state === cell.state) return false
  adjusted(cell, state, now)
  return true
}

/** True if the limits in force changed. */
export const learn = (cell: Cell, learned: bucket.Learned, now: number): boolean => {
  advance(cell, now)
  const before = cell.state
  const after = bucket.learn(cell.limits, before, learned)
  const changed = after.requestsPerMinute !== before.requestsPerMinute ||
    after.tokensPerMinute !== before.tokensPerMinute
  const lowered = after.requests !== before.requests || after.tokens !== before.tokens
  cell.state = after
  // Every reply comes here: the line is gone through only when somebody in it may be refused.
  if (changed || (lowered && cell.impatient)) replan(cell, now)
  else if (lowered) cell.planned = undefined
  return changed
}

/** Goes by other limits from now on, also for those who wait. */
export const useLimits = (cell: Cell, limits: bucket.Limits, now: number): void => {
  const { burst, requestsPerMinute, tokensPerMinute } = cell.limits
  const same = limits === cell.limits || (limits.requestsPerMinute === requestsPerMinute &&
    limits.tokensPerMinute === tokensPerMinute && limits.burst === burst)
  if (same) return
  advance(cell, now)
  cell.limits = limits
  cell.state = bucket.refill(limits, cell.state, now)
  replan(cell, now)
}
