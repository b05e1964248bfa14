/**
 * Delivers events to a monitor in a fiber of the monitor's own, which the reporting call does not wait for. The fiber starts
 * on the stack of the call, so whatever a monitor does without waiting is done before the call goes on. That costs no turn
 * of the scheduler, and under a virtual clock events arrive where a test expects them. Once the fiber waits, the call goes
 * on, and later events queue up behind it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { excerpt, visible } from "../../internal/redact.ts"
import type { Event } from "../Event.ts"

/** The part of a monitor that a delivery needs. */
interface Monitor {
  readonly emit: (event: Event) => Effect.Effect<void>
}

/** How many events may wait for one monitor. */
export const capacity = 1024

interface Queued {
  readonly event: Event
  readonly runtime: Runtime.Runtime<never>
}

/** The deliveries of one monitor. */
interface Outlet {
  isBusy: boolean
  readonly queue: Array<Queued>
  /** Called when nothing is left to deliver. */
  readonly idle: Array<() => void>
  dropped: number
  hasFailed: boolean
}

const outlets = new WeakMap<Monitor, Outlet>()

const outletOf = (monitor: Monitor): Outlet => {
  const existing = outlets.get(monitor)
  if (existing !== undefined) return existing
  const outlet: Outlet = { isBusy: false, queue: [], idle: [], dropped: 0, hasFailed: false }
  outlets.set(monitor, outlet)
  return outlet
}

const warn = (runtime: Runtime.Runtime<never>, message: string): void => {
  Runtime.runFork(runtime)(Effect.logWarning(message))
}

/** Logs only the text of the failure: the rest of a cause may hold more than a log should. */
const reportFailure = (outlet: Outlet, runtime: Runtime.Runtime<never>, cause: Cause.Cause<never>): void => {
  if (outlet.hasFailed || Cause.isEmpty(cause)) return
  outlet.hasFailed = true
  const reason = Cause.prettyErrors(cause)[0]?.message ?? "it was interrupted"
  warn(
    runtime,
    `A monitor of policies failed: ${visible(excerpt(reason))}. Its events go on, further failures are not logged.`
  )
}

const drop = (outlet: Outlet, runtime: Runtime.Runtime<never>): void => {
  if (outlet.dropped++ > 0) return
  warn(
    runtime,
    `A monitor of policies is too slow: ${capacity} events wait for it, and new ones are dropped. ` +
      "Further drops are not logged."
  )
}

/** The effect of the monitor for the event; nothing where it ignores the event. */
const effectOf = (monitor: Monitor, outlet: Outlet, { event, runtime }: Queued): Effect.Effect<void> | undefined => {
  try {
    const effect = monitor.emit(event)
    return effect === Effect.void ? undefined : Effect.interruptible(effect)
  } catch (defect) {
    reportFailure(outlet, runtime, Cause.die(defect))
    return undefined
  }
}

/** Runs the monitor for one event. `immediate`: on this stack, until it waits. */
const run = (monitor: Monitor, outlet: Outlet, queued: Queued, immediate: boolean): void => {
  const effect = effectOf(monitor, outlet, queued)
  if (effect === undefined) return
  outlet.isBusy = true
  const end = (exit: Exit.Exit<void>): void => {
    outlet.isBusy = false
    if (Exit.isFailure(exit)) reportFailure(outlet, queued.runtime, exit.cause)
  }
  const fiber = Runtime.runFork(queued.runtime)(effect, { immediate })
  const exit = fiber.unsafePoll()
  if (exit !== null) return end(exit)
  fiber.addObserver((exit) => {
    end(exit)
    next(monitor, outlet)
  })
}

/**
 * Goes on with those in the queue, each in a turn of the scheduler of its own: a monitor whose own work reports to it may
 * keep itself busy, but nobody else.
 */
const next = (monitor: Monitor, outlet: Outlet): void => {
  while (!outlet.isBusy) {
    const queued = outlet.queue.shift()
    if (queued === undefined) {
      for (const wake of outlet.idle.splice(0)) wake()
      return
    }
    run(monitor, outlet, queued, false)
  }
}

/** Gives an event to a monitor, and goes on. */
export const deliver = (monitor: Monitor, event: Event): Effect.Effect<void> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const outlet = outletOf(monitor)
    if (!outlet.isBusy) {
      run(monitor, outlet, { event, runtime }, true)
      next(monitor, outlet)
    } else if (outlet.queue.length < capacity) outlet.queue.push({ event, runtime })
    else drop(outlet, runtime)
  })

/** How many events were dropped. */
export const dropped = (monitor: Monitor): Effect.Effect<number> => Effect.sync(() => outletOf(monitor).dropped)

/** Waits until nothing is left to deliver. */
export const flush = (monitor: Monitor): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const outlet = outletOf(monitor)
    if (outlet.isBusy) outlet.idle.push(() => resume(Effect.void))
    else resume(Effect.void)
  })
