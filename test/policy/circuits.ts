/** Circuits and calls through them, for the tests of circuit breakers. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { CircuitOpen } from "../../src/error/PolicyError.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Tripping from "../../src/policy/Tripping.ts"

export const down = Effect.fail("down")
export const up = Effect.succeed("up")

export const breakerOf = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({ name: "openai", tripping: Tripping.consecutive(2), ...options })

export const times = (count: number, effect: Effect.Effect<unknown, unknown>, breaker: CircuitBreaker.CircuitBreaker) =>
  effect.pipe(CircuitBreaker.apply(breaker), Effect.exit, Effect.replicateEffect(count, { discard: true }))

export const tag = (breaker: CircuitBreaker.CircuitBreaker) =>
  Effect.map(CircuitBreaker.state(breaker), (state) => state._tag)

export const refusal = (breaker: CircuitBreaker.CircuitBreaker) =>
  Effect.flatMap(
    Effect.flip(CircuitBreaker.apply(up, breaker)),
    (error) => error instanceof CircuitOpen ? Effect.succeed(error) : Effect.dieMessage("not refused")
  )

/** A call that ends when the test says so. */
export const held = (breaker: CircuitBreaker.CircuitBreaker) =>
  Effect.gen(function*() {
    const gate = yield* Deferred.make<string, unknown>()
    const fiber = yield* Effect.fork(CircuitBreaker.apply(Deferred.await(gate), breaker))
    yield* Effect.yieldNow()
    return {
      succeed: Effect.zipRight(Deferred.succeed(gate, "up"), Fiber.await(fiber)),
      fail: Effect.zipRight(Deferred.fail(gate, "down"), Fiber.await(fiber)),
      interrupt: Fiber.interrupt(fiber)
    }
  })
