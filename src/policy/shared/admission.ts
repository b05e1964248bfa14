/** How a bulkhead and an adaptive limit admit calls: a pool of permits and its queue, run as effects. */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { BulkheadFull, refusal, TimedOut } from "../../error/PolicyError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Form from "../../internal/form.ts"
import { words } from "../../internal/words.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { type AttemptResult, causeOf, type Gate, type GatePermit } from "./attempt.ts"
import * as Permits from "./permits.ts"
import * as Reentrance from "./reentrance.ts"
import { longestTimer, type Restore } from "./region.ts"
import * as Waiters from "./waiters.ts"

/** What a call can fail with here: there is no room for it, or it has waited too long. */
export type Refusal = BulkheadFull | TimedOut

/**
 * The priority of a call in a queue, a whole number from -100 to 100: higher goes first. It counts only where the queue
 * has a `priorityAgeing`.
 */
export class Priority extends Context.Reference<Priority>()("effect-llm-resilience/Bulkhead/Priority", {
  defaultValue: () => 0
}) {}

/** The highest priority that counts. Each priority has a queue of its own, so their number is bounded. */
const highestPriority = 100

const readPriority = (context: Context.Context<never>): number => {
  const given = Math.round(Context.get(context, Priority))
  return given >= -highestPriority ? Math.min(given, highestPriority) : given < 0 ? -highestPriority : 0
}

/** Ends the waits on one clock that take too long. */
interface Sweeper {
  readonly clock: Clock.Clock
  readonly timeouts: Permits.Timeouts
  started: boolean
  fiber: Fiber.RuntimeFiber<void> | undefined
}

/** A pool of permits with a name. Only the functions of `permits` change `pool`. */
export interface Admission<out Refused = Refusal> {
  readonly name: string
  readonly pool: Permits.PermitPool
  /** Milliseconds; `undefined` for a wait without end. */
  readonly queueTimeout: number | undefined
  /** Learns from how a call ended; gives the report to make, if there is one. May throw: a verdict is the user's code. */
  readonly learn:
    | ((
      permit: Permits.Permit,
      cause: Cause.Cause<unknown> | undefined,
      now: number
    ) => Effect.Effect<void> | undefined)
    | undefined
  /** One for each clock on which somebody waits with a time-out; nearly always one at most. */
  readonly sweepers: Map<Clock.Clock, Sweeper>
  /**
   * Waits for a permit, where `tryAcquire` gave none. It is run in an uninterruptible region, so that the permit it ends
   * with cannot be lost. Only the wait itself can be interrupted.
   */
  readonly acquire: (restore: Restore) => Effect.Effect<Permits.Permit, Refused>
}

export const make = (options: {
  readonly learn?: Admission["learn"]
  readonly name: string
  readonly limit: number
  readonly floor: number
  readonly maxQueued: number
  readonly queueTimeout: number | undefined
  readonly priorityAgeing: number | undefined
}): Admission => {
  const { floor, limit, maxQueued, name, priorityAgeing, queueTimeout } = options
  const self: Admission = {
    name,
    pool: Permits.make({ limit, maxQueued, floor, ageing: priorityAgeing }),
    queueTimeout,
    learn: options.learn,
    sweepers: new Map(),
    acquire: (restore) => waitInQueue(self, restore)
  }
  return self
}

/**
 * Runs the effect when there is room. It does without `Effect.onExit`, because the region is already uninterruptible and
 * giving a permit back is a plain function.
 */
export const apply = <A, E, R, Refused>(
  self: Admission<Refused>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Refused, R> =>
  Effect.uninterruptibleMask((restore) =>
    // Only an admission that learns needs the time.
    self.learn === undefined
      ? applyWith(self, effect, restore, undefined)
      : Effect.clockWith((clock) => applyWith(self, effect, restore, clock))
  )

const applyWith = <A, E, R, Refused>(
  self: Admission<Refused>,
  effect: Effect.Effect<A, E, R>,
  restore: Restore,
  clock: Clock.Clock | undefined
): Effect.Effect<A, E | Refused, R> => {
  const now = (): number => clock === undefined ? 0 : elapsedMillis(clock)
  const endWith = <A2, E2>(
    permit: Permits.Permit,
    cause: Cause.Cause<unknown> | undefined,
    end: Effect.Effect<A2, E2>
  ): Effect.Effect<A2, E2> => {
    const report = settle(self, permit, cause, now())
    return report === undefined ? end : Effect.zipRight(report, end)
  }
  const run = (permit: Permits.Permit): Effect.Effect<A, E, R> =>
    Effect.matchCauseEffect(restore(protect(self, permit, effect)), {
      onFailure: (cause) => endWith(permit, cause, Effect.failCause(cause)),
      onSuccess: (value) => endWith(permit, undefined, Effect.succeed(value))
    })
  const permit = tryAcquire(self, now())
  return permit === undefined ? Effect.flatMap(self.acquire(restore), run) : run(permit)
}

/** A permit at once, or nothing: then go on with `acquire`. */
export const tryAcquire = (self: Admission<unknown>, now: number): Permits.Permit | undefined => {
  const permit = Permits.tryAcquire(self.pool)
  if (permit !== undefined) permit.startedAt = now
  return permit
}

/**
 * Gives a permit back, to the next who waits if there is one, and learns from how the call ended. A second time does
 * nothing. If a verdict throws, that is a defect of the call, and the permit is given back all the same. What learns
 * measures the call up to `now`.
 */
export const settle = (
  self: Admission<unknown>,
  permit: Permits.Permit,
  cause: Cause.Cause<unknown> | undefined,
  now: number
): Effect.Effect<void> | undefined => {
  if (!permit.isHeld) return undefined
  try {
    return self.learn?.(permit, cause, now)
  } finally {
    Permits.release(self.pool, permit)
    stopIdleSweepers(self)
  }
}

/** Marks the fiber of the effect with the permit it runs under, where that is needed. */
export const protect = <A, E, R>(
  self: Admission<unknown>,
  permit: Permits.Permit,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => permit.isTracked ? Reentrance.marked(self.pool, permit, effect) : effect

/** Stops the timers of queues that are empty: a pending timer would keep the process alive. */
const stopIdleSweepers = (self: Admission<unknown>): void => {
  if (self.sweepers.size === 0) return
  for (const [clock, { fiber, timeouts }] of self.sweepers) {
    if (timeouts.size > 0) continue
    self.sweepers.delete(clock)
    fiber?.unsafeInterruptAsFork(FiberId.none)
  }
}

const abandon = (self: Admission<unknown>, waiter: Permits.Waiter): void => {
  Permits.abandon(self.pool, waiter)
  stopIdleSweepers(self)
}

/** Sets new limits for calls that come and calls that wait. */
export const resize = (self: Admission<unknown>, limit: number, maxQueued: number): void => {
  Permits.resize(self.pool, limit, maxQueued)
  stopIdleSweepers(self)
}

/** A microsecond, in milliseconds. */
const shortestSleep = 0.001

const sweep = (self: Admission, sweeper: Sweeper): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { clock, timeouts } = sweeper
    if (self.sweepers.get(clock) !== sweeper) return Effect.void
    const now = elapsedMillis(clock)
    const deadline = Permits.expire(self.pool, timeouts, now)
    if (deadline === undefined) {
      self.sweepers.delete(clock)
      return Effect.void
    }
    // A difference of less than a nanosecond would be a sleep of no time, again and again.
    const wait = Duration.millis(Math.min(Math.max(deadline - now, shortestSleep), longestTimer))
    return Effect.zipRight(clock.sleep(wait), sweep(self, sweeper))
  })

/** One timer serves all waiters on a clock: they all wait equally long, so the first to come is the first to expire. */
const startSweeper = (self: Admission, sweeper: Sweeper): Effect.Effect<void> => {
  if (sweeper.started) return Effect.void
  sweeper.started = true
  return Effect.map(Effect.forkDaemon(Effect.interruptible(sweep(self, sweeper))), (fiber) => {
    sweeper.fiber = fiber
    if (self.sweepers.get(sweeper.clock) !== sweeper) fiber.unsafeInterruptAsFork(FiberId.none)
  })
}

const sweeperOf = (self: Admission, clock: Clock.Clock): Sweeper => {
  const existing = self.sweepers.get(clock)
  if (existing !== undefined) return existing
  const sweeper = { clock, timeouts: Waiters.make<Permits.Waiter>(), started: false, fiber: undefined }
  self.sweepers.set(clock, sweeper)
  return sweeper
}

const refuse = (self: Admission, reason: BulkheadFull["reason"]): Effect.Effect<never, BulkheadFull> =>
  Effect.clockWith((clock) => {
    const { limit, maxQueued, queued, running } = self.pool
    const event = Event.BulkheadRefused({
      at: clock.unsafeCurrentTimeMillis(),
      name: self.name,
      reason,
      running,
      queued
    })
    return Effect.zipRight(
      Monitor.emit(event),
      Effect.fail(
        refusal(BulkheadFull, { name: self.name, maxConcurrent: limit, maxQueued, reason })
      )
    )
  })

const refuseLate = (self: Admission): Effect.Effect<never, TimedOut> =>
  Effect.clockWith((clock) => {
    const limit = Duration.millis(self.queueTimeout ?? 0)
    return Effect.zipRight(
      Monitor.emit(
        Event.TimedOut({ at: clock.unsafeCurrentTimeMillis(), name: self.name, phase: "queue", limit })
      ),
      Effect.fail(refusal(TimedOut, { phase: "queue", limit }))
    )
  })

/** Until it got its permit or its time is up, or at once if that was before it got here. */
const untilSettled = (waiter: Permits.Waiter): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (!Permits.isWaiting(waiter)) resume(Effect.void)
    else waiter.wake = () => resume(Effect.void)
  })

const waitInQueue = (self: Admission, restore: Restore): Effect.Effect<Permits.Permit, Refusal> =>
  Effect.withFiberRuntime((fiber) => {
    const holder = Reentrance.holderOf(fiber, self.pool)
    if (holder?.fiber === fiber) return refuse(self, "reentrant")
    const { pool, queueTimeout } = self
    if (pool.running >= pool.limit && pool.queued >= pool.maxQueued) return refuse(self, "full")
    return Effect.clockWith((clock) => {
      const at = elapsedMillis(clock)
      // Between the refusal to admit and this there may have been a yield of the scheduler.
      const permit = tryAcquire(self, at)
      if (permit !== undefined) return Effect.succeed(permit)
      const sweeper = queueTimeout === undefined ? undefined : sweeperOf(self, clock)
      const waiter = Permits.enqueue(pool, {
        at,
        priority: pool.ageing === undefined ? 0 : readPriority(fiber.currentContext),
        deadline: queueTimeout === undefined ? Infinity : at + queueTimeout,
        timeouts: sweeper?.timeouts
      })
      if (waiter === undefined) return refuse(self, "full")
      const waiting = awaitPermit(self, waiter, restore, clock, holder && Reentrance.isAwaited(holder, fiber))
      return sweeper === undefined ? waiting : Effect.zipRight(startSweeper(self, sweeper), waiting)
    })
  })

/** `isAwaited` says whether the holder of a permit waits for this call, which then must not wait for that permit. */
const awaitPermit = (
  self: Admission,
  waiter: Permits.Waiter,
  restore: Restore,
  clock: Clock.Clock,
  isAwaited: Effect.Effect<boolean> | undefined
): Effect.Effect<Permits.Permit, Refusal> => {
  const served = Effect.as(untilSettled(waiter), false)
  const waiting = isAwaited === undefined
    ? served
    : Effect.flatMap(isAwaited, (reentrant) => reentrant ? Effect.succeed(true) : served)
  return Effect.matchCauseEffect(restore(waiting), {
    onFailure: (cause) => {
      abandon(self, waiter)
      return Effect.failCause(cause)
    },
    onSuccess: (reentrant): Effect.Effect<Permits.Permit, Refusal> => {
      if (waiter.permit !== undefined) {
        waiter.permit.startedAt = elapsedMillis(clock)
        return Effect.succeed(waiter.permit)
      }
      if (!reentrant) return refuseLate(self)
      abandon(self, waiter)
      return refuse(self, "reentrant")
    }
  })
}

/** The state as numbers. */
export interface Stats {
  /** Calls that hold a permit. */
  readonly running: number
  /** Calls that wait for one. */
  readonly queued: number
  /** Calls that may run at a time. */
  readonly maxConcurrent: number
  /** Calls that may wait at a time. */
  readonly maxQueued: number
}

export const stats = (self: Admission<unknown>): Stats => ({
  running: self.pool.running,
  queued: self.pool.queued,
  maxConcurrent: self.pool.limit,
  maxQueued: self.pool.maxQueued
})

/** The longest that a call may wait, in milliseconds. */
export const longestWait = ({ pool, queueTimeout = Infinity }: Admission<unknown>): number =>
  pool.maxQueued === 0 ? 0 : queueTimeout

/** The settings that calls in the queue depend on, which therefore cannot change. */
export const fixed = ({ pool, queueTimeout }: Admission<unknown>) => ({ queueTimeout, priorityAgeing: pool.ageing })

/** "10 at a time, 50 waiting, for 5s at most" */
export const describe = (self: Admission<unknown>, limit: string): string => {
  const { maxQueued } = self.pool
  const wait = self.queueTimeout === undefined ? "" : `, for ${words(self.queueTimeout)} at most`
  return `${limit} at a time, ${maxQueued === 0 ? "none waiting" : `${maxQueued} waiting${wait}`}`
}

/** The largest number of calls that the options accept. */
export const most = 1_000_000

/** The options about waiting, which both have. */
export interface QueueOptions {
  /** Calls that may wait at a time: 0 to 1 000 000. Default: 0, whoever finds no room is refused. */
  readonly maxQueued?: number | undefined
  /** How long a call may wait before it fails with `TimedOut`; needs `maxQueued`. Default: without end. */
  readonly queueTimeout?: Duration.DurationInput | undefined
  /**
   * Lets calls of a higher `Bulkhead.Priority` go first. A waiter gains one step of priority for each such time that it
   * waits, so that nobody waits for ever; needs `maxQueued`. Default: off, first come, first served.
   */
  readonly priorityAgeing?: Duration.DurationInput | undefined
}

export const queueFields = {
  maxQueued: Form.withDefault(Form.count(0, most), () => 0),
  queueTimeout: Form.optional(Form.millis()),
  priorityAgeing: Form.optional(Form.millis())
}

/** Refuses settings of a queue that has no room: they would do nothing. */
export const queueCheck: Form.Check<typeof queueFields> = ({ maxQueued }, { priorityAgeing, queueTimeout }) =>
  maxQueued !== 0 ?
    [] :
    Object.entries({ queueTimeout, priorityAgeing }).flatMap(([name, given]) =>
      given === undefined ? [] : [{
        path: [name],
        allowed: "nothing while maxQueued is 0 (its default), because nobody waits then; or set maxQueued too"
      }]
    )

// As a gate of an attempt.

class AdmissionPermit implements GatePermit<unknown> {
  readonly _tag = "GatePermit"
  readonly self: Admission<unknown>
  readonly permit: Permits.Permit
  constructor(self: Admission<unknown>, permit: Permits.Permit) {
    this.self = self
    this.permit = permit
  }
  get isHeldToEnd(): boolean {
    return true
  }
  settle(result: AttemptResult<unknown>): Effect.Effect<void> | undefined {
    return settle(this.self, this.permit, causeOf(result), result.answeredAt)
  }
  protect<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return protect(this.self, this.permit, effect)
  }
}

export const gate = <Refused>(self: Admission<Refused>): Gate<unknown, Refused> => {
  const permitOf = (permit: Permits.Permit): GatePermit<unknown> => new AdmissionPermit(self, permit)
  return {
    admit: (now, restore) => {
      const permit = tryAcquire(self, now)
      return permit === undefined
        ? { _tag: "GateWait", permit: Effect.map(self.acquire(restore), permitOf) }
        : permitOf(permit)
    }
  }
}
