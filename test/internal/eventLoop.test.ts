import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { afterEach, vi } from "vitest"
import { ownTurn } from "../../src/internal/eventLoop.ts"

/** Resolves when the event loop has gone round once. */
const nextTurn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** A clock of the platform that only the test moves, and a count of the turns that the event loop has made. */
const loop = Effect.acquireRelease(
  Effect.sync(() => {
    let now = performance.now()
    let turn = 0
    let isOn = true
    const count = (): void => {
      turn++
      if (isOn) setImmediate(count)
    }
    setImmediate(count)
    vi.spyOn(performance, "now").mockImplementation(() => now)
    return {
      turn: () => turn,
      /** Work that takes so many milliseconds. */
      work: (millis: number) =>
        Effect.sync(() => {
          now += millis
          return turn
        }),
      stop: () => {
        isOn = false
      }
    }
  }),
  ({ stop }) => Effect.sync(stop)
)

afterEach(() => {
  vi.restoreAllMocks()
})

describe("steps of many calls at once", () => {
  it.scopedLive("go ahead at once while they take little", () =>
    Effect.gen(function*() {
      const { turn, work } = yield* loop
      const steps = yield* Effect.forEach(
        Array.from({ length: 40 }),
        () => Effect.zipRight(ownTurn, work(0.1)),
        { concurrency: "unbounded" }
      )
      expect(new Set(steps)).toEqual(new Set([turn()]))
    }))

  it.scopedLive("have a turn of the event loop each when they take long, in the order in which they came", () =>
    Effect.gen(function*() {
      const { work } = yield* loop
      const order: Array<number> = []
      const turns = yield* Effect.forEach(
        [0, 1, 2, 3, 4],
        (index) => Effect.tap(Effect.zipRight(ownTurn, work(10)), () => order.push(index)),
        { concurrency: "unbounded" }
      )
      expect(order).toEqual([0, 1, 2, 3, 4])
      expect(new Set(turns).size).toBe(5)
    }))

  it.scopedLive("do not overtake those that wait", () =>
    Effect.gen(function*() {
      const { work } = yield* loop
      const order: Array<string> = []
      const step = (name: string) => Effect.tap(Effect.zipRight(ownTurn, work(10)), () => order.push(name))
      const crowd = yield* Effect.fork(Effect.forEach(["a", "b", "c"], step, { concurrency: "unbounded" }))
      yield* nextTurn
      yield* step("late")
      yield* Fiber.join(crowd)
      expect(order).toEqual(["a", "b", "c", "late"])
    }))

  it.scopedLive("leave the queue when they are interrupted, and hold up nobody", () =>
    Effect.gen(function*() {
      const { work } = yield* loop
      yield* Effect.zipRight(ownTurn, work(10))
      const done: Array<string> = []
      const step = (name: string) => Effect.fork(Effect.tap(ownTurn, () => done.push(name)))
      const [first, second, third] = yield* Effect.all([step("first"), step("second"), step("third")])
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* Fiber.interrupt(first))).toBe(true)
      expect(Exit.isInterrupted(yield* Fiber.interrupt(third))).toBe(true)
      yield* Fiber.join(second)
      expect(done).toEqual(["second"])
      // The queue is empty, so another turn begins with none that waits.
      yield* nextTurn
      const before = yield* work(0)
      expect(yield* Effect.zipRight(ownTurn, work(0))).toBe(before)
    }))

  it.effect("never wait under a virtual clock", () =>
    Effect.gen(function*() {
      let turns = 0
      setImmediate(() => turns++)
      yield* Effect.repeatN(ownTurn, 1_000)
      expect(turns).toBe(0)
    }))
})
