/**
 * A bucket in memory and the queue of calls that wait for it. Everything but waiting happens within one step of the event
 * loop, so each operation is atomic. Only the first waiter has a timer; each other waiter is woken when it becomes the
 * first. So a waiter is woken once or twice, and moves up when one before it leaves.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as bucket from "../../internal/bucket.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { longestTimer } from "../shared/region.ts"
import * as waiters from "../shared/waiters.ts"
import * as told from "./told.ts"

/** Why a waiter was removed from the queue without a grant. Times are milliseconds. */
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
  /** The latest moment at which the call still wants to start. */
  readonly deadline: number
  turn: "waiting" | "granted" | Refusal
  /** When it next asks whether its turn has come; `Infinity` while it waits for a call of `wake`. */
  wakeAt: number
  wake: (() => void) | undefined
}

export type QueueEntry = waiters.Entry<Waiter>

export interface Cell {
  limits: bucket.Limits
  state: bucket.State
  readonly queue: waiters.Waiters<Waiter>
  /** The bucket after every waiter has started; absent when that has to be worked out again. */
  planned: bucket.State | undefined
  /** All that was taken, less what was given back unsent. */
  taken: { readonly requests: number; readonly tokens: number }
  /** What a reply told last of the tokens that are left. */
  told: told.Told | undefined
  /** Tokens that calls gave back and replies do not show yet. */
  withheld: number
  /** Whether there has been a waiter with a deadline. */
  hasDeadlines: boolean
  usedAt: number
  lastId: number
}

const wake = (waiter: Waiter): void => {
  waiter.wakeAt = -Infinity
  waiter.wake?.()
}

const endWait = (cell: Cell, entry: QueueEntry, turn: "granted" | Refusal): void => {
  waiters.remove(cell.queue, entry)
  entry.value.turn = turn
  wake(entry.value)
}

/** Takes the cost of a call that starts at that moment. */
export const take = (cell: Cell, cost: bucket.Cost, start: number): void => {
  cell.state = bucket.take(cell.limits, cell.state, cost, start)
  count(cell, cost, 1)
}

const count = (cell: Cell, cost: bucket.Cost, sign: 1 | -1): void => {
  const { requests, tokens } = cell.taken
  cell.taken = { requests: requests + sign * cost.requests, tokens: tokens + sign * cost.tokens }
}

/** Grants the waiters whose time has come, refills the bucket, and wakes the first waiter if it may start earlier. */
export const advance = (cell: Cell, now: number): void => {
  let head = cell.queue.first
  while (head !== undefined) {
    const start = bucket.earliest(cell.limits, cell.state, head.value)
    if (!bucket.isDue(start, now)) break
    // Taken at the moment it was due, not when a late timer fired: late timers cost no throughput.
    take(cell, head.value, start)
    endWait(cell, head, "granted")
    head = cell.queue.first
  }
  cell.state = bucket.refill(cell.limits, cell.state, now, head?.value)
  if (head !== undefined && !bucket.isDue(head.value.wakeAt, bucket.earliest(cell.limits, cell.state, head.value))) {
    wake(head.value)
  }
}

const refuse = (cell: Cell, entry: QueueEntry, start: number, now: number): void => {
  cell.planned = undefined
  endWait(cell, entry, { _tag: "Refused", reason: "rate", retryAfter: bucket.until(start, now) })
}

/** Refuses the waiters that would have to wait past their deadline, or for ever. */
const refuseLateWaiters = (cell: Cell, now: number): void => {
  let plan = cell.state
  let entry = cell.queue.first
  while (entry !== undefined) {
    const { next, value } = entry
    const excess = bucket.excess(cell.limits, plan, value, now)
    const start = bucket.earliest(cell.limits, plan, value)
    if (excess !== undefined) endWait(cell, entry, { _tag: "Refused", reason: "cost", ...excess })
    else if (!bucket.isDue(start, value.deadline)) refuse(cell, entry, start, now)
    else plan = bucket.take(cell.limits, plan, value, start)
    entry = next
  }
  cell.planned = plan
  advance(cell, now)
}

const untilWoken = (waiter: Waiter): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (waiter.wakeAt === -Infinity) return resume(Effect.void)
    waiter.wake = () => resume(Effect.void)
    return Effect.sync(() => {
      waiter.wake = undefined
    })
  })

/** The same with a timer, which is a fiber of its own: a call of `wake` or the timer ends the wait. */
const untilWokenOrElapsed = (waiter: Waiter, clock: Clock.Clock, millis: number): Effect.Effect<void> => {
  const time = Duration.millis(Math.min(millis, longestTimer))
  const alarm = Effect.zipRight(clock.sleep(time), Effect.sync(() => wake(waiter)))
  return Effect.flatMap(
    Effect.fork(Effect.interruptible(alarm)),
    (timer) => Effect.ensuring(untilWoken(waiter), Effect.sync(() => timer.unsafeInterruptAsFork(FiberId.none)))
  )
}

/** Waits until the waiter is granted or refused. */
export const awaitTurn = (cell: Cell, entry: QueueEntry): Effect.Effect<Exclude<Waiter["turn"], "waiting">> =>
  Effect.clockWith((clock) => {
    const now = elapsedMillis(clock)
    const waiter = entry.value
    advance(cell, now)
    if (waiter.turn !== "waiting") return Effect.succeed(waiter.turn)
    if (cell.queue.first !== entry) {
      waiter.wakeAt = Infinity
      return Effect.zipRight(untilWoken(waiter), awaitTurn(cell, entry))
    }
    const start = bucket.earliest(cell.limits, cell.state, waiter)
    if (!bucket.isDue(start, waiter.deadline)) {
      refuse(cell, entry, start, now)
      return awaitTurn(cell, entry)
    }
    waiter.wakeAt = start
    return Effect.zipRight(untilWokenOrElapsed(waiter, clock, bucket.until(start, now)), awaitTurn(cell, entry))
  })

export const makeCell = (limits: bucket.Limits, now: number): Cell => ({
  limits,
  state: bucket.make(limits, now),
  queue: waiters.make(),
  planned: undefined,
  taken: { requests: 0, tokens: 0 },
  told: undefined,
  withheld: 0,
  hasDeadlines: false,
  usedAt: now,
  lastId: 0
})

/** The bucket after every waiter has started. */
export const plannedState = (cell: Cell): bucket.State => {
  if (cell.queue.first === undefined) return cell.state
  let plan = cell.planned
  if (plan === undefined) {
    plan = cell.state
    for (let entry: QueueEntry | undefined = cell.queue.first; entry !== undefined; entry = entry.next) {
      plan = bucket.take(cell.limits, plan, entry.value, bucket.earliest(cell.limits, plan, entry.value))
    }
    cell.planned = plan
  }
  return plan
}

/** Joins the end of the queue. */
export const joinQueue = (cell: Cell, { requests, tokens }: bucket.Cost, deadline: number): QueueEntry => {
  const plan = plannedState(cell)
  const waiter: Waiter = { requests, tokens, deadline, turn: "waiting", wakeAt: Infinity, wake: undefined }
  cell.planned = bucket.take(cell.limits, plan, waiter, bucket.earliest(cell.limits, plan, waiter))
  cell.hasDeadlines = cell.hasDeadlines || deadline !== Infinity
  return waiters.add(cell.queue, waiter)
}

/** Leaves the queue. False if it no longer waits. */
export const leaveQueue = (cell: Cell, entry: QueueEntry, now: number): boolean => {
  advance(cell, now)
  if (!waiters.remove(cell.queue, entry)) return false
  cell.planned = undefined
  advance(cell, now)
  return true
}

const setState = (cell: Cell, state: bucket.State, now: number): void => {
  cell.state = state
  cell.planned = undefined
  if (cell.queue.size > 0) advance(cell, now)
}

/** Gives back what was taken for a call that was not sent. */
export const giveBack = (cell: Cell, cost: bucket.Cost, now: number): void => {
  advance(cell, now)
  count(cell, cost, -1)
  setState(cell, bucket.giveBack(cell.limits, cell.state, cost, cell.queue.first?.value), now)
}

/**
 * Corrects the tokens that were reserved to those that were used. Where replies tell what is left, no more is given back than
 * they show; the remainder is withheld until they do.
 */
export const settle = (cell: Cell, reserved: number, used: number, now: number): void => {
  advance(cell, now)
  const settled = bucket.settle(cell.limits, cell.state, reserved, used, cell.queue.first?.value)
  const perMinute = settled.tokensPerMinute
  const left = told.follow(cell.told, perMinute, cell.taken.tokens, now)
  const most = left === undefined ? Infinity : Math.max(cell.state.tokens, bucket.creditOf(left, perMinute))
  if (settled.tokens <= most) return setState(cell, settled, now)
  cell.withheld = Math.min(perMinute, cell.withheld + bucket.available(settled.tokens - most, perMinute))
  setState(cell, { ...settled, tokens: most }, now)
}

/** Gives back what was withheld, as far as replies show that it is there. */
const giveWithheld = (cell: Cell, left: number, now: number): void => {
  const { state, withheld } = cell
  const amount = Math.min(withheld, left - bucket.available(state.tokens, state.tokensPerMinute))
  if (!(amount > 0)) return
  cell.withheld = withheld - amount
  setState(cell, bucket.settle(cell.limits, state, amount, 0, cell.queue.first?.value), now)
}

export const pause = (cell: Cell, until: number, now: number): boolean => {
  advance(cell, now)
  const state = bucket.pause(cell.limits, cell.state, until, cell.queue.first?.value)
  if (state === cell.state) return false
  cell.state = state
  refuseLateWaiters(cell, now)
  return true
}

/** True if there was a pause to end. */
export const resume = (cell: Cell, now: number): boolean => {
  advance(cell, now)
  const state = bucket.resume(cell.state)
  if (state === cell.state) return false
  setState(cell, state, now)
  return true
}

/** What a reply tells, with what remains brought up to now. */
const upToNow = (cell: Cell, learned: bucket.Learned, sent: told.Moment, now: number): bucket.Learned => {
  const { requestsRemaining, tokensRemaining } = learned
  const left = (
    unit: "requests" | "tokens",
    remaining: number | undefined,
    configured: number,
    given: number | undefined
  ): number | undefined =>
    remaining === undefined ? undefined : told.leftNow({
      left: remaining,
      perMinute: Math.min(configured, given ?? Infinity),
      sentAt: sent.at,
      takenSince: cell.taken[unit] - sent[unit],
      now
    })
  return {
    ...learned,
    requestsRemaining: left("requests", requestsRemaining, cell.state.requestsPerMinute, learned.requestsPerMinute),
    tokensRemaining: left("tokens", tokensRemaining, cell.state.tokensPerMinute, learned.tokensPerMinute)
  }
}

/** True if the limits in force changed. `sent` is the moment at which the call was sent whose reply this is. */
export const learn = (cell: Cell, reply: bucket.Learned, sent: told.Moment | undefined, now: number): boolean => {
  advance(cell, now)
  const learned = sent === undefined ? reply : upToNow(cell, reply, sent, now)
  const before = cell.state
  const after = bucket.learn(cell.limits, before, learned)
  const changed = after.requestsPerMinute !== before.requestsPerMinute ||
    after.tokensPerMinute !== before.tokensPerMinute
  const lowered = after.requests !== before.requests || after.tokens !== before.tokens
  cell.state = after
  const left = sent === undefined ? undefined : learned.tokensRemaining
  if (left !== undefined) cell.told = { at: now, left, taken: cell.taken.tokens }
  // Every reply comes here, so the queue is walked through only when a waiter may be refused.
  if (changed || (lowered && cell.hasDeadlines)) refuseLateWaiters(cell, now)
  else if (lowered) cell.planned = undefined
  if (left !== undefined) giveWithheld(cell, left, now)
  return changed
}

/** Applies other limits from now on, also to those who wait. */
export const useLimits = (cell: Cell, limits: bucket.Limits, now: number): void => {
  const { burst, requestsPerMinute, tokensPerMinute } = cell.limits
  const same = limits === cell.limits || (limits.requestsPerMinute === requestsPerMinute &&
    limits.tokensPerMinute === tokensPerMinute && limits.burst === burst)
  if (same) return
  advance(cell, now)
  cell.limits = limits
  cell.state = bucket.refill(limits, cell.state, now)
  refuseLateWaiters(cell, now)
}
