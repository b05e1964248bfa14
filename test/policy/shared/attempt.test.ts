import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as TestClock from "effect/TestClock"
import { TimedOut } from "../../../src/error/PolicyError.ts"
import * as Pipeline from "../../../src/policy/Pipeline.ts"
import * as Retry from "../../../src/policy/Retry.ts"
import * as RetryPolicy from "../../../src/policy/RetryPolicy.ts"
import { timeLimit, withTimeLimit } from "../../../src/policy/shared/attempt.ts"

const tenSeconds = timeLimit("test", "attempt", 10_000)
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) => withTimeLimit(effect, tenSeconds)

const asked = FiberRef.unsafeMake("nobody")
class Model extends Context.Tag("test/Model")<Model, string>() {}

describe("a call under a time-out, which has a fiber of its own", () => {
  it("is no slower than it has to be: what needs no waiting ends without any", () => {
    expect(Effect.runSync(timed(Effect.succeed(1)))).toBe(1)
    expect(Effect.runSyncExit(timed(Effect.fail("down")))).toEqual(Exit.fail("down"))
  })

  it.effect("sees its caller's services and fiber references", () =>
    Effect.gen(function*() {
      const seen = yield* timed(Effect.all([Model, FiberRef.get(asked)])).pipe(
        Effect.locally(asked, "somebody"),
        Effect.provideService(Model, "small")
      )
      expect(seen).toEqual(["small", "somebody"])
    }))

  it.effect("hands on the fiber references it sets, whether it waits or not", () =>
    Effect.gen(function*() {
      yield* timed(FiberRef.set(asked, "the first"))
      expect(yield* FiberRef.get(asked)).toBe("the first")
      yield* timed(Effect.zipRight(Effect.yieldNow(), FiberRef.set(asked, "the second")))
      expect(yield* FiberRef.get(asked)).toBe("the second")
    }))

  it.effect("does not hand on which attempt it was", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        retry: RetryPolicy.immediate.pipe(RetryPolicy.attempts(3)),
        attemptTimeout: "10 seconds"
      })
      const numbers: Array<number> = []
      const call = Effect.flatMap(Retry.CurrentAttempt, ({ number }) => {
        numbers.push(number)
        return Effect.zipRight(FiberRef.set(asked, `attempt ${number}`), number < 3 ? Effect.fail("down") : Effect.void)
      })
      const before = yield* Effect.context<never>()
      yield* Pipeline.apply(call, pipeline)
      expect(numbers).toEqual([1, 2, 3])
      expect(yield* FiberRef.get(asked)).toBe("attempt 3")
      expect((yield* Retry.CurrentAttempt).number).toBe(1)
      expect(yield* Effect.context<never>()).toBe(before)
    }))

  it.effect("may be within another one, and another one, as deep as an effect may be", () =>
    Effect.gen(function*() {
      const nest = (depth: number): Effect.Effect<number, TimedOut> =>
        depth === 0 ? Effect.succeed(0) : Effect.map(timed(Effect.suspend(() => nest(depth - 1))), (below) => below + 1)
      expect(yield* nest(3_000)).toBe(3_000)
    }))

  it.effect("is ended when it moves a virtual clock past its own deadline", () =>
    Effect.gen(function*() {
      let ended = false
      const exit = yield* TestClock.adjust("20 seconds").pipe(
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Effect.sync(() => ended = true)),
        timed,
        Effect.exit
      )
      expect(exit._tag === "Failure" && exit.cause._tag === "Fail" && exit.cause.error instanceof TimedOut).toBe(true)
      yield* Effect.yieldNow()
      expect(ended).toBe(true)
    }))

  it.effect("does not begin when its caller is interrupted before", () =>
    Effect.gen(function*() {
      let begun = false
      const exit = yield* Effect.zipRight(
        Effect.interrupt,
        timed(Effect.sync(() => begun = true))
      ).pipe(Effect.exit)
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(begun).toBe(false)
    }))
})
