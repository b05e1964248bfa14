/** What a bulkhead and an adaptive limit share: a gate, run as an effect. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { BulkheadFull, refusal, TimedOut } from "../../error/PolicyError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Form from "../../internal/form.ts"
import { at, integer, optional, type Report } from "../../internal/reader.ts"
import { words } from "../../internal/words.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { durationInput } from "./options.ts"
import * as Gate from "./permits.ts"
import * as Reentrance from "./reentrance.ts"
import type { Restore } from "./region.ts"

/** What can be refused: to enter, and to wait on where there is a time-out for that. */
export type Refusal = BulkheadFull | TimedOut

/** A gate with a name. Its state is in `gate` and moved by the functions of `permits` alone. */
export interface Admission<out Refused = Refusal> {
  readonly name: string
  readonly gate: Gate.Gate
  /** Milliseconds; `undefined` for a wait without end. */
  readonly queueTimeout: number | undefined
  /** The one timer of all who wait, while somebody does. */
  sweeper: { fiber: Fiber.RuntimeFiber<void> | undefined } | undefined
  /**
   * The way to a permit for whoever was not admitted at once; to be run in an uninterruptible region, so that the
   * permit it ends with cannot be lost. Only the wait itself can be interrupted.
   */
  readonly queue: (restore: Restore) => Effect.Effect<Gate.Permit, Refused>
}

export const make = (options: {
  readonly name: string
  readonly limit: number
  readonly floor: number
  readonly maxQueued: number
  readonly queueTimeout: number | undefined
}): Admission => {
  const self: Admission = {
    name: options.name,
    gate: Gate.make(options.limit, options.maxQueued, options.floor),
    queueTimeout: options.queueTimeout,
    sweeper: undefined,
    queue: (restore) => queue(self, restore)
  }
  return self
}

/** The protected effect, which knows the permit it runs under where that is needed. */
export const protect = <A, E, R>(
  self: Admission<unknown>,
  permit: Gate.Permit,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => permit.tracked ? Reentrance.marked(self.gate, permit, effect) : effect

/** Nobody waits any more: the timer is not needed, and a pending one would keep the process alive. */
const stopSweeper = (self: Admission<unknown>): void => {
  if (self.sweeper === undefined || self.gate.waiters.size > 0) return
  self.sweeper.fiber?.unsafeInterruptAsFork(FiberId.none)
  self.sweeper = undefined
}

export const release = (self: Admission<unknown>, permit: Gate.Permit): void => {
  Gate.release(self.gate, permit)
  stopSweeper(self)
}

const abandon = (self: Admission<unknown>, place: Gate.Place): void => {
  Gate.abandon(self.gate, place)
  stopSweeper(self)
}

/** Sets new limits for those who come and wait. */
export const resize = (self: Admission<unknown>, limit: number, maxQueued: number): void => {
  Gate.resize(self.gate, limit, maxQueued)
  stopSweeper(self)
}

/** A microsecond, in milliseconds. */
const shortestSleep = 0.001

const sweep = (self: Admission, sweeper: Admission["sweeper"]): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    if (self.sweeper !== sweeper) return Effect.void
    const now = elapsedMillis(clock)
    const again = Gate.expire(self.gate, now)
    if (again !== undefined) {
      // Never for no time, which a difference of less than a nanosecond would be, again and again.
      const wait = Duration.millis(Math.max(again - now, shortestSleep))
      return Effect.zipRight(clock.sleep(wait), Effect.suspend(() => sweep(self, sweeper)))
    }
    self.sweeper = undefined
    return Effect.void
  })

/** One timer serves all: everybody waits equally long, so who came first leaves first. */
const startSweeper = (self: Admission): Effect.Effect<void> => {
  if (self.queueTimeout === undefined || self.sweeper !== undefined) return Effect.void
  const sweeper: NonNullable<Admission["sweeper"]> = { fiber: undefined }
  self.sweeper = sweeper
  return Effect.map(Effect.forkDaemon(Effect.interruptible(sweep(self, sweeper))), (fiber) => {
    sweeper.fiber = fiber
    if (self.sweeper !== sweeper) fiber.unsafeInterruptAsFork(FiberId.none)
  })
}

const refuse = (self: Admission, reason: BulkheadFull["reason"]): Effect.Effect<never, BulkheadFull> =>
  Effect.clockWith((clock) => {
    const { limit, maxQueued, running, waiters } = self.gate
    const event = Event.BulkheadRefused({
      at: clock.unsafeCurrentTimeMillis(),
      name: self.name,
      reason,
      running,
      queued: waiters.size
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
const settled = (place: Gate.Place): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (!place.waiting) resume(Effect.void)
    else place.value.wake = () => resume(Effect.void)
  })

const queue = (self: Admission, restore: Restore): Effect.Effect<Gate.Permit, Refusal> =>
  Effect.withFiberRuntime((fiber) => {
    const holder = Reentrance.holderOf(fiber, self.gate)
    if (holder?.fiber === fiber) return refuse(self, "reentrant")
    const { queueTimeout } = self
    return Effect.clockWith((clock) =>
      wait(
        self,
        restore,
        queueTimeout === undefined ? Infinity : elapsedMillis(clock) + queueTimeout,
        holder === undefined ? undefined : Reentrance.isAwaited(holder, fiber)
      )
    )
  })

/** `isAwaited` says whether the call that holds a permit waits for this one, which then must not wait for that permit. */
const wait = (
  self: Admission,
  restore: Restore,
  deadline: number,
  isAwaited: Effect.Effect<boolean> | undefined
): Effect.Effect<Gate.Permit, Refusal> => {
  // Between the refusal to admit and this there may have been a yield of the scheduler.
  const permit = Gate.admit(self.gate)
  if (permit !== undefined) return Effect.succeed(permit)
  const place = Gate.enqueue(self.gate, deadline)
  if (place === undefined) return refuse(self, "full")
  const waiting = isAwaited === undefined
    ? Effect.as(settled(place), false)
    : Effect.flatMap(isAwaited, (reentrant) => reentrant ? Effect.succeed(true) : Effect.as(settled(place), false))
  return Effect.zipRight(
    startSweeper(self),
    Effect.matchCauseEffect(restore(waiting), {
      onFailure: (cause) => {
        abandon(self, place)
        return Effect.failCause(cause)
      },
      onSuccess: (reentrant): Effect.Effect<Gate.Permit, Refusal> => {
        if (place.value.permit !== undefined) return Effect.succeed(place.value.permit)
        if (!reentrant) return refuseLate(self)
        abandon(self, place)
        return refuse(self, "reentrant")
      }
    })
  )
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
  queued: self.gate.waiters.size,
  maxConcurrent: self.gate.limit,
  maxQueued: self.gate.maxQueued
})

/** The longest that a call may wait, in milliseconds. */
export const longestWait = ({ gate, queueTimeout = Infinity }: Admission<unknown>): number =>
  gate.maxQueued === 0 ? 0 : queueTimeout

/** "10 at a time, 50 waiting, for 5s at most" */
export const describe = (self: Admission<unknown>, limit: string): string => {
  const { maxQueued } = self.gate
  const wait = self.queueTimeout === undefined ? "" : `, for ${words(self.queueTimeout)} at most`
  return `${limit} at a time, ${maxQueued === 0 ? "none waiting" : `${maxQueued} waiting${wait}`}`
}

/** The largest number of calls that anybody can mean. */
export const most = 1_000_000

/** The options about waiting, which both have. */
export const queueFields = {
  maxQueued: Form.withDefault(Form.count(0, most), () => 0),
  queueTimeout: Form.optional(Form.millis())
}

/** A time-out for a queue in which nobody stands would mislead. */
export const queueCheck: Form.Check<typeof queueFields> = ({ maxQueued, queueTimeout }) =>
  queueTimeout === undefined || maxQueued !== 0 ? [] : [{
    path: ["queueTimeout"],
    allowed: "nothing while maxQueued is 0 (its default), because nobody waits then; or set maxQueued too"
  }]

/** The same, for a reader by hand. */
export const readQueue = (
  given: Readonly<Record<string, unknown>>,
  path: string,
  report: Report
): { readonly maxQueued: number | undefined; readonly queueTimeout: number | undefined } => {
  const maxQueued = optional(given, "maxQueued", path, integer(0, most, `a whole number, 0 to ${most}`), report)
  const queueTimeout = optional(given, "queueTimeout", path, durationInput(), report)
  if (queueTimeout !== undefined && (given["maxQueued"] === undefined || maxQueued === 0)) {
    report.problems.push({
      path: at(path, "queueTimeout"),
      found: given["queueTimeout"],
      allowed: "nothing while maxQueued is 0 (its default), because nobody waits then; or set maxQueued too"
    })
  }
  return { maxQueued, queueTimeout }
}
