/** What a bulkhead and an adaptive limit share: a gate, run as an effect. */
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
import * as Gate from "./permits.ts"
import * as Reentrance from "./reentrance.ts"
import { longestTimer, type Restore } from "./region.ts"
import * as Waiters from "./waiters.ts"

/** What can be refused: to enter, and to wait on where there is a time-out for that. */
export type Refusal = BulkheadFull | TimedOut

/**
 * The priority of a call in a queue, a whole number from -100 to 100: higher goes first. It counts only where the queue
 * has a `priorityAgeing`.
 */
export class Priority extends Context.Reference<Priority>()("effect-llm-resilience/Bulkhead/Priority", {
  defaultValue: () => 0
}) {}

/** More steps could not be told apart, and each has a queue of its own. */
const highestPriority = 100

const readPriority = (context: Context.Context<never>): number => {
  const given = Math.round(Context.get(context, Priority))
  return given >= -highestPriority ? Math.min(given, highestPriority) : given < 0 ? -highestPriority : 0
}

/** Ends the waits on one clock that take too long. */
interface Sweeper {
  readonly clock: Clock.Clock
  readonly timeouts: Gate.Timeouts
  started: boolean
  fiber: Fiber.RuntimeFiber<void> | undefined
}

/** A gate with a name. Its state is in `gate` and moved by the functions of `permits` alone. */
export interface Admission<out Refused = Refusal> {
  readonly name: string
  readonly gate: Gate.Gate
  /** Milliseconds; `undefined` for a wait without end. */
  readonly queueTimeout: number | undefined
  /** Learns from how a call ended; gives the report to make, if there is one. May throw: a verdict is the user's code. */
  readonly learn:
    | ((permit: Gate.Permit, cause: Cause.Cause<unknown> | undefined, now: number) => Effect.Effect<void> | undefined)
    | undefined
  /** One for each clock on which somebody waits with a time-out; nearly always one at most. */
  readonly sweepers: Map<Clock.Clock, Sweeper>
  /**
   * The way to a permit for whoever was not admitted at once; to be run in an uninterruptible region, so that the
   * permit it ends with cannot be lost. Only the wait itself can be interrupted.
   */
  readonly queue: (restore: Restore) => Effect.Effect<Gate.Permit, Refused>
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
    gate: Gate.make({ limit, maxQueued, floor, ageing: priorityAgeing }),
    queueTimeout,
    learn: options.learn,
    sweepers: new Map(),
    queue: (restore) => queue(self, restore)
  }
  return self
}

/**
 * Runs the effect when there is room. By hand, not by `Effect.onExit`: the region is already uninterruptible, and giving
 * a permit back is a plain function.
 */
export const apply = <A, E, R, Refused>(
  self: Admission<Refused>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Refused, R> =>
  Effect.uninterruptibleMask((restore) =>
    // Only who learns needs the time.
    self.learn === undefined
      ? applied(self, effect, restore, undefined)
      : Effect.clockWith((clock) => applied(self, effect, restore, clock))
  )

const applied = <A, E, R, Refused>(
  self: Admission<Refused>,
  effect: Effect.Effect<A, E, R>,
  restore: Restore,
  clock: Clock.Clock | undefined
): Effect.Effect<A, E | Refused, R> => {
  const now = (): number => clock === undefined ? 0 : elapsedMillis(clock)
  const ending = <A2, E2>(
    permit: Gate.Permit,
    cause: Cause.Cause<unknown> | undefined,
    end: Effect.Effect<A2, E2>
  ): Effect.Effect<A2, E2> => {
    const report = settle(self, permit, cause, now())
    return report === undefined ? end : Effect.zipRight(report, end)
  }
  const run = (permit: Gate.Permit): Effect.Effect<A, E, R> =>
    Effect.matchCauseEffect(restore(protect(self, permit, effect)), {
      onFailure: (cause) => ending(permit, cause, Effect.failCause(cause)),
      onSuccess: (value) => ending(permit, undefined, Effect.succeed(value))
    })
  const permit = admit(self, now())
  return permit === undefined ? Effect.flatMap(self.queue(restore), run) : run(permit)
}

/** A permit at once, or nothing: then go on with `queue`. */
export const admit = (self: Admission<unknown>, now: number): Gate.Permit | undefined => {
  const permit = Gate.admit(self.gate)
  if (permit !== undefined) permit.since = now
  return permit
}

/**
 * Gives a permit back, to the next who waits if there is one, and learns from how the call ended. A second time does
 * nothing. If a verdict throws, that is a defect of the call, and the permit is given back all the same.
 */
export const settle = (
  self: Admission<unknown>,
  permit: Gate.Permit,
  cause: Cause.Cause<unknown> | undefined,
  now: number
): Effect.Effect<void> | undefined => {
  if (!permit.held) return undefined
  try {
    return self.learn?.(permit, cause, now)
  } finally {
    Gate.release(self.gate, permit)
    stopIdleSweepers(self)
  }
}

/** The protected effect, which knows the permit it runs under where that is needed. */
export const protect = <A, E, R>(
  self: Admission<unknown>,
  permit: Gate.Permit,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => permit.tracked ? Reentrance.marked(self.gate, permit, effect) : effect

/** Where nobody waits any more the timer is not needed, and a pending one would keep the process alive. */
const stopIdleSweepers = (self: Admission<unknown>): void => {
  if (self.sweepers.size === 0) return
  for (const [clock, { fiber, timeouts }] of self.sweepers) {
    if (timeouts.size > 0) continue
    self.sweepers.delete(clock)
    fiber?.unsafeInterruptAsFork(FiberId.none)
  }
}

const abandon = (self: Admission<unknown>, waiter: Gate.Waiter): void => {
  Gate.abandon(self.gate, waiter)
  stopIdleSweepers(self)
}

/** Sets new limits for those who come and wait. */
export const resize = (self: Admission<unknown>, limit: number, maxQueued: number): void => {
  Gate.resize(self.gate, limit, maxQueued)
  stopIdleSweepers(self)
}

/** A microsecond, in milliseconds. */
const shortestSleep = 0.001

const sweep = (self: Admission, sweeper: Sweeper): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { clock, timeouts } = sweeper
    if (self.sweepers.get(clock) !== sweeper) return Effect.void
    const now = elapsedMillis(clock)
    const deadline = Gate.expire(self.gate, timeouts, now)
    if (deadline === undefined) {
      self.sweepers.delete(clock)
      return Effect.void
    }
    // Never for no time, which a difference of less than a nanosecond would be, again and again.
    const wait = Duration.millis(Math.min(Math.max(deadline - now, shortestSleep), longestTimer))
    return Effect.zipRight(clock.sleep(wait), sweep(self, sweeper))
  })

/** One timer serves all who wait on a clock: they wait equally long, so who came first is late first. */
const startSweeper = (self: Admission, sweeper: Sweeper): Effect.Effect<void> => {
  if (sweeper.started) return Effect.void
  sweeper.started = true
  return Effect.map(Effect.forkDaemon(Effect.interruptible(sweep(self, sweeper))), (fiber) => {
    sweeper.fiber = fiber
    if (self.sweepers.get(sweeper.clock) !== sweeper) fiber.unsafeInterruptAsFork(FiberId.none)
  })
}

const sweeperOf = (self: Admission, clock: Clock.Clock): Sweeper => {
  const known = self.sweepers.get(clock)
  if (known !== undefined) return known
  const sweeper = { clock, timeouts: Waiters.make<Gate.Waiter>(), started: false, fiber: undefined }
  self.sweepers.set(clock, sweeper)
  return sweeper
}

const refuse = (self: Admission, reason: BulkheadFull["reason"]): Effect.Effect<never, BulkheadFull> =>
  Effect.clockWith((clock) => {
    const { limit, maxQueued, queued, running } = self.gate
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
const settled = (waiter: Gate.Waiter): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (!Gate.isWaiting(waiter)) resume(Effect.void)
    else waiter.wake = () => resume(Effect.void)
  })

const queue = (self: Admission, restore: Restore): Effect.Effect<Gate.Permit, Refusal> =>
  Effect.withFiberRuntime((fiber) => {
    const holder = Reentrance.holderOf(fiber, self.gate)
    if (holder?.fiber === fiber) return refuse(self, "reentrant")
    const { gate, queueTimeout } = self
    if (gate.running >= gate.limit && gate.queued >= gate.maxQueued) return refuse(self, "full")
    return Effect.clockWith((clock) => {
      const at = elapsedMillis(clock)
      // Between the refusal to admit and this there may have been a yield of the scheduler.
      const permit = admit(self, at)
      if (permit !== undefined) return Effect.succeed(permit)
      const sweeper = queueTimeout === undefined ? undefined : sweeperOf(self, clock)
      const waiter = Gate.enqueue(gate, {
        at,
        priority: gate.ageing === undefined ? 0 : readPriority(fiber.currentContext),
        deadline: queueTimeout === undefined ? Infinity : at + queueTimeout,
        timeouts: sweeper?.timeouts
      })
      if (waiter === undefined) return refuse(self, "full")
      const waiting = wait(self, waiter, restore, clock, holder && Reentrance.isAwaited(holder, fiber))
      return sweeper === undefined ? waiting : Effect.zipRight(startSweeper(self, sweeper), waiting)
    })
  })

/** `isAwaited` says whether the call that holds a permit waits for this one, which then must not wait for that permit. */
const wait = (
  self: Admission,
  waiter: Gate.Waiter,
  restore: Restore,
  clock: Clock.Clock,
  isAwaited: Effect.Effect<boolean> | undefined
): Effect.Effect<Gate.Permit, Refusal> => {
  const served = Effect.as(settled(waiter), false)
  const waiting = isAwaited === undefined
    ? served
    : Effect.flatMap(isAwaited, (reentrant) => reentrant ? Effect.succeed(true) : served)
  return Effect.matchCauseEffect(restore(waiting), {
    onFailure: (cause) => {
      abandon(self, waiter)
      return Effect.failCause(cause)
    },
    onSuccess: (reentrant): Effect.Effect<Gate.Permit, Refusal> => {
      if (waiter.permit !== undefined) {
        waiter.permit.since = elapsedMillis(clock)
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
  running: self.gate.running,
  queued: self.gate.queued,
  maxConcurrent: self.gate.limit,
  maxQueued: self.gate.maxQueued
})

/** The longest that a call may wait, in milliseconds. */
export const longestWait = ({ gate, queueTimeout = Infinity }: Admission<unknown>): number =>
  gate.maxQueued === 0 ? 0 : queueTimeout

/** What those who wait go by, so that it cannot change meanwhile. */
export const fixed = ({ gate, queueTimeout }: Admission<unknown>) => ({ queueTimeout, priorityAgeing: gate.ageing })

/** "10 at a time, 50 waiting, for 5s at most" */
export const describe = (self: Admission<unknown>, limit: string): string => {
  const { maxQueued } = self.gate
  const wait = self.queueTimeout === undefined ? "" : `, for ${words(self.queueTimeout)} at most`
  return `${limit} at a time, ${maxQueued === 0 ? "none waiting" : `${maxQueued} waiting${wait}`}`
}

/** The largest number of calls that anybody can mean. */
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

/** What is said about a queue in which nobody can stand would mislead. */
export const queueCheck: Form.Check<typeof queueFields> = ({ maxQueued }, { priorityAgeing, queueTimeout }) =>
  maxQueued !== 0 ?
    [] :
    Object.entries({ queueTimeout, priorityAgeing }).flatMap(([name, given]) =>
      given === undefined ? [] : [{
        path: [name],
        allowed: "nothing while maxQueued is 0 (its default), because nobody waits then; or set maxQueued too"
      }]
    )
