/**
 * A world with a clock and a scheduler of its own, for tests with very many timers. `TestClock` waits some real
 * milliseconds at every timer for all fibers to rest; here everything that can run has run when the clock moves on, so
 * hours of traffic take seconds, and every run with the same seed is the same.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scheduler from "effect/Scheduler"
import * as Supervisor from "effect/Supervisor"
import { turn } from "../../runs.ts"

/** After so many timers the real event loop gets a turn. */
const slice = 2_000

interface Timer {
  readonly at: number
  readonly order: number
  act: (() => void) | undefined
}

const isBefore = (one: Timer, other: Timer): boolean =>
  one.at === other.at ? one.order < other.order : one.at < other.at

/** A binary heap: the earliest first, and among equals the one that was set first. */
class Timers {
  private readonly heap: Array<Timer> = []

  push(timer: Timer): void {
    const { heap } = this
    let i = heap.push(timer) - 1
    for (let up = (i - 1) >> 1; i > 0; i = up, up = (i - 1) >> 1) {
      const parent = heap[up]
      if (parent === undefined || !isBefore(timer, parent)) break
      heap[i] = parent
      heap[up] = timer
    }
  }

  /** The earliest one that was not cancelled and is not later than `until`. */
  pop(until: number): Timer | undefined {
    for (;;) {
      const first = this.heap[0]
      if (first === undefined || first.at > until) return undefined
      this.removeFirst()
      if (first.act !== undefined) return first
    }
  }

  live(): number {
    return this.heap.filter((timer) => timer.act !== undefined).length
  }

  private removeFirst(): void {
    const { heap } = this
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    for (let i = 0;;) {
      let least = i
      for (const child of [2 * i + 1, 2 * i + 2]) {
        const [one, other] = [heap[child], heap[least]]
        if (one !== undefined && other !== undefined && isBefore(one, other)) least = child
      }
      const [here, there] = [heap[i], heap[least]]
      if (least === i || here === undefined || there === undefined) return
      heap[i] = there
      heap[least] = here
      i = least
    }
  }
}

class Census extends Supervisor.AbstractSupervisor<number> {
  alive = 0
  readonly value = Effect.sync(() => this.alive)
  override onStart<A, E, R>(_: Context.Context<R>, __: Effect.Effect<A, E, R>): void {
    this.alive++
  }
  override onEnd(): void {
    this.alive--
  }
}

/** Numbers from 0 to 1 (mulberry32), the same ones for the same seed. */
export const draws = (seed: number): () => number => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface Simulator {
  /** Milliseconds since the world began. */
  readonly now: () => number
  /** Starts an effect at this moment. */
  readonly start: <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>
  /** Does something at a moment. */
  readonly at: (millis: number, act: () => void) => void
  /** Lets time pass until a moment, or until nothing is left to happen. In slices, between which the process is heard of. */
  readonly run: (until?: number) => Promise<void>
  /** What has been done so far: timers that went off, and tasks that fibers gave to the scheduler. */
  readonly work: () => { readonly timers: number; readonly tasks: number }
  /** What is going on: fibers that have not ended, timers that are set. */
  readonly left: () => { readonly fibers: number; readonly timers: number }
  /** Runs an effect that needs no time. */
  readonly ask: <A, E>(effect: Effect.Effect<A, E>) => A
}

export const make = (seed: string): Simulator => {
  let now = 0
  let order = 0
  let tasks: Array<() => void> = []
  const work = { timers: 0, tasks: 0 }
  const timers = new Timers()
  const census = new Census()
  const scheduler: Scheduler.Scheduler = {
    shouldYield: (fiber) => fiber.currentOpCount > 2048 ? 0 : false,
    scheduleTask: (task) => {
      tasks.push(task)
    }
  }
  const set = (at: number, act: () => void): Timer => {
    const timer: Timer = { at: Math.max(now, at), order: order++, act }
    timers.push(timer)
    return timer
  }
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(Math.round(now * 1e6)),
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(Math.round(now * 1e6))),
    sleep: (duration) =>
      Effect.async<void>((resume) => {
        const timer = set(now + Duration.toMillis(duration), () => resume(Effect.void))
        return Effect.sync(() => {
          timer.act = undefined
        })
      })
  }
  const random = Random.make(seed)
  const inside = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    effect.pipe(Effect.supervised(census), Effect.withClock(clock), Effect.withRandom(random))
  const settle = (): void => {
    while (tasks.length > 0) {
      const batch = tasks
      tasks = []
      work.tasks += batch.length
      for (const task of batch) task()
    }
  }
  return {
    now: () => now,
    start: (effect) => Effect.runFork(inside(effect), { scheduler }),
    at: set,
    run: async (until = Infinity) => {
      settle()
      for (let next = timers.pop(until); next !== undefined; next = timers.pop(until)) {
        now = next.at
        next.act?.()
        next.act = undefined
        settle()
        if (++work.timers % slice === 0) await turn()
      }
      if (until !== Infinity) now = until
    },
    work: () => ({ ...work }),
    left: () => ({ fibers: census.alive, timers: timers.live() }),
    ask: (effect) => Effect.runSync(Effect.withClock(effect, clock))
  }
}
