/** What the tests of composed policies share. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../../src/error/ModelError.ts"
import type * as Pipeline from "../../../src/policy/Pipeline.ts"

export const down = new ModelError.ServerError({ provider: "openai" })

/** Lets every fiber run as far as it can without time. */
export const settled = Effect.yieldNow().pipe(Effect.repeatN(50))

/** Runs to the end, and tells the virtual time it took. */
export const finish = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const begun = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.fork(Effect.flatMap(Effect.exit(effect), (exit) =>
      Effect.map(Clock.currentTimeMillis, (now) => ({ exit, took: now - begun }))))
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

/** The typed failure of an exit. */
export const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined

/** Work that notes when each attempt starts. */
export const noted = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const starts: Array<number> = []
  return {
    starts,
    call: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      starts.push(now)
      return effect
    })
  }
}

/** A policy of a pipeline that must be there. */
export const must = <A>(policy: A | undefined): A => {
  if (policy === undefined) throw new Error("the pipeline has no such policy")
  return policy
}

export const threeAttempts = {
  backoff: "constant",
  delay: "1 second",
  attempts: 3
} as const satisfies Pipeline.Options[
  "retry"
]
