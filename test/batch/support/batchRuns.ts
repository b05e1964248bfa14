/** What the tests of batches share: items, what became of them, and virtual time. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type * as Batch from "../../../src/batch/Batch.ts"

export const upTo = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index)

export const tagsOf = (report: Batch.Report<unknown, unknown, unknown>): ReadonlyArray<unknown> =>
  report.results.map(({ outcome }) =>
    Either.match(outcome, { onLeft: (error) => Reflect.get(Object(error), "_tag") ?? error, onRight: () => "ok" })
  )

/** Runs an effect whose waits are virtual, an hour at most. */
export const inVirtualTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

/** Counts how many calls run, and the most that ran at a time. */
export const watched = () => {
  const seen = { now: 0, most: 0, calls: 0 }
  const through = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      seen.now++
      seen.calls++
      seen.most = Math.max(seen.most, seen.now)
      return Effect.ensuring(call, Effect.sync(() => seen.now--))
    })
  return { seen, through }
}
