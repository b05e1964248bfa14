/** Parks a fiber at one chosen operation, so that a test can interrupt it exactly there. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

export interface Bench {
  /**
   * Starts an effect and runs what there is to run, until the effect yields at its operation number `parkAt`, where it
   * stays, or until nothing is left to run.
   */
  readonly start: <A, E>(effect: Effect.Effect<A, E>, parkAt?: number) => Fiber.RuntimeFiber<A, E>
  /** Whether a fiber was parked at all. */
  readonly parked: () => boolean
  /** Runs so many of the waiting tasks. */
  readonly step: (count: number) => void
  /** Runs until nothing is left to run. */
  readonly drain: () => void
}

export const make = (): Bench => {
  const tasks: Array<() => void> = []
  let target: unknown
  let countdown = -1
  let wasParked = false
  const scheduler: Scheduler.Scheduler = {
    shouldYield: (fiber) => {
      if (countdown < 0) return false
      // The fiber that is started is the first to ask.
      target ??= fiber
      if (fiber !== target || countdown-- > 0) return false
      wasParked = true
      return 0
    },
    scheduleTask: (task) => {
      tasks.push(task)
    }
  }
  const runWhile = (goOn: () => boolean): void => {
    for (let task = goOn() ? tasks.shift() : undefined; task !== undefined; task = goOn() ? tasks.shift() : undefined) {
      task()
    }
  }
  return {
    start: (effect, parkAt = -1) => {
      target = undefined
      countdown = parkAt
      wasParked = false
      const fiber = Effect.runFork(effect, { scheduler })
      runWhile(() => !wasParked)
      countdown = -1
      return fiber
    },
    parked: () => wasParked,
    step: (count) => {
      let left = count
      runWhile(() => left-- > 0)
    },
    drain: () => runWhile(() => true)
  }
}
