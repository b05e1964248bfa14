/**
 * Finds a call that would wait for itself: it needs a second permit of a pool while the call that it belongs to holds a
 * permit and waits for it to end.
 *
 * The holder of a permit leaves a mark in a fiber reference, which every fiber it starts inherits. The mark alone proves
 * nothing, because a daemon inherits it as a child does, and the call does not wait for a daemon. So it counts when the
 * waiting fiber is the holder's own; when it is a child, or a child of a child, which ends with the holder; or when a
 * fiber on that way is suspended until fibers end that are no children of its own. Those are the workers of
 * `Effect.all`, which Effect starts in the global scope, and daemons that are joined.
 *
 * A daemon that is joined only later is not known when it begins to wait. It waits like anybody, and so would the call.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberStatus from "effect/FiberStatus"
import { globalValue } from "effect/GlobalValue"
import * as HashSet from "effect/HashSet"
import type { Permit, PermitPool } from "./permits.ts"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** A permit of the running call, and the permits of the calls round it. */
export interface Holder {
  readonly pool: PermitPool
  readonly permit: Permit
  readonly fiber: AnyFiber
  readonly outer: Holder | undefined
}

const currentHolder: FiberRef.FiberRef<Holder | undefined> = globalValue(
  Symbol.for("effect-llm-resilience/policy/reentrance/currentHolder"),
  () =>
    FiberRef.unsafeMake<Holder | undefined>(undefined, {
      // A value of its own for each fiber, because then Effect keeps the ids of all fibers from the holder down.
      fork: (holder) => holder && { ...holder },
      // A parent keeps its own value: what it holds does not change when a child ends.
      join: (parent) => parent
    })
)

/** The holders whose permits are still held: a fiber may outlive the call that started it. */
const withoutReleased = (holder: Holder | undefined): Holder | undefined => {
  if (holder === undefined) return undefined
  const outer = withoutReleased(holder.outer)
  return !holder.permit.isHeld ? outer : outer === holder.outer ? holder : { ...holder, outer }
}

/**
 * The effect with the mark that its fiber holds the permit. The mark is not taken away at the end (that would cost each
 * call as much again): it says by itself whether its permit is still held.
 */
export const marked = <A, E, R>(
  pool: PermitPool,
  permit: Permit,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) =>
    Effect.zipRight(
      FiberRef.set(currentHolder, { pool, permit, fiber, outer: withoutReleased(fiber.getFiberRef(currentHolder)) }),
      effect
    )
  )

/** The innermost permit of the pool that the fiber, or one that started it, still holds. */
export const holderOf = (fiber: AnyFiber, pool: PermitPool): Holder | undefined => {
  for (let holder = fiber.getFiberRef(currentHolder); holder !== undefined; holder = holder.outer) {
    if (holder.pool === pool && holder.permit.isHeld) return holder
  }
  return undefined
}

/** The fibers between the holder and the one that waits, which is the last; by their ids. */
const descent = (holder: AnyFiber, waiting: AnyFiber): ReadonlyArray<number> => {
  const ids: Array<number> = [waiting.id().id]
  for (const [id] of waiting.getFiberRefs().locals.get(currentHolder) ?? []) {
    if (id.id === holder.id().id) break
    if (id.id !== waiting.id().id) ids.unshift(id.id)
  }
  return ids
}

/** A fiber that was started at once runs before its parent waits for it, so the parent is given this many turns. */
const maxYields = 8

const statusAtRest = (fiber: AnyFiber, tries: number): Effect.Effect<FiberStatus.FiberStatus> =>
  Effect.flatMap(fiber.status, (status) =>
    FiberStatus.isRunning(status) && tries > 0
      ? Effect.zipRight(Effect.yieldNow(), statusAtRest(fiber, tries - 1))
      : Effect.succeed(status))

const awaits = (fiber: AnyFiber, [next, ...further]: ReadonlyArray<number>): Effect.Effect<boolean> =>
  next === undefined ? Effect.succeed(true) : Effect.flatMap(fiber.children, (children) => {
    const child = children.find((each) => each.id().id === next)
    if (child !== undefined) return awaits(child, further)
    return Effect.map(statusAtRest(fiber, maxYields), (status) => {
      if (!FiberStatus.isSuspended(status)) return false
      const awaited = FiberId.ids(status.blockingOn)
      return HashSet.some(awaited, (id) => id !== fiber.id().id) &&
        !children.some((each) => HashSet.has(awaited, each.id().id))
    })
  })

/** Whether the holder, as far as can be known, waits for the fiber. */
export const isAwaited = (holder: Holder, waiting: AnyFiber): Effect.Effect<boolean> =>
  Effect.zipRight(
    Effect.yieldNow(),
    Effect.suspend(() =>
      holder.permit.isHeld ? awaits(holder.fiber, descent(holder.fiber, waiting)) : Effect.succeed(false)
    )
  )
