import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import { RateLimited, ServerError } from "../../src/error/ModelError.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import { overAdmission, type Start } from "../../src/testing/storeLaws/windows.ts"
import * as Sweep from "../policy/support/sweep.ts"
import { runs } from "../runs.ts"

const options = { name: "a", requestsPerMinute: 600, tokensPerMinute: 600_000, burst: 1 / 60 } as const

const notBilled = new ServerError({ provider: "p", billed: "no" })
const lost = new ServerError({ provider: "p", billed: "maybe" })
const throttled = new RateLimited({ provider: "p", retryAfter: Duration.millis(700) })

describe("Any traffic through a limiter", () => {
  for (let seed = 0; seed < runs(4, 10); seed++) {
    it.effect(`ends with nothing outstanding, and never exceeds the rate (seed ${seed})`, () =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.make(options)
        const starts: Array<Start> = []
        const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
        const call = Effect.gen(function*() {
          const tokens = yield* Random.nextIntBetween(0, 8_000)
          const used = yield* Random.nextIntBetween(0, 12_000)
          const fate = yield* Random.nextIntBetween(0, 10)
          const work = Effect.gen(function*() {
            starts.push({ at: yield* Clock.currentTimeMillis, requests: 1, tokens: 0 })
            yield* Effect.sleep(Duration.millis(used / 10))
            if (fate === 0) return yield* Effect.fail(notBilled)
            if (fate === 1) return yield* Effect.fail(lost)
            if (fate === 2) return yield* Effect.fail(throttled)
            if (fate === 3) return yield* Effect.die("bug")
            return used
          })
          return yield* RateLimiter.applyCost(work, limiter, { tokens, actual: (count) => count })
        })
        for (let i = 0; i < 80; i++) {
          fibers.push(yield* Effect.fork(call))
          if ((yield* Random.next) < 0.4) yield* TestClock.adjust(Duration.millis(yield* Random.nextIntBetween(0, 400)))
          const other = fibers[yield* Random.nextIntBetween(0, fibers.length)]
          if (other !== undefined && (yield* Random.next) < 0.2) yield* Fiber.interrupt(other)
        }
        yield* TestClock.adjust("10 minutes")
        const exits = fibers.map((fiber) => fiber.unsafePoll())
        expect(exits.filter((exit) => exit === null).length).toBe(0)
        expect(yield* RateLimiter.state(limiter)).toEqual({
          requestsPerMinute: 600,
          tokensPerMinute: 600_000,
          requestsAvailable: 10,
          tokensAvailable: 10_000,
          waiting: 0,
          pausedFor: 0
        })
        const rate = { requests: 1 / 100, tokens: 10 }
        expect(overAdmission(starts, rate, { requests: 10, tokens: 10_000 }, 0)).toBeUndefined()
      }).pipe(Effect.withRandom(Random.make(`traffic ${seed}`))))
  }
})

/** A clock that stands still until it is told to move. */
const handClock = () => {
  let now = 0
  const sleeping: Array<{ readonly until: number; readonly resume: () => void }> = []
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) =>
      Effect.async<void>((resume) => {
        sleeping.push({ until: now + Duration.toMillis(duration), resume: () => resume(Effect.void) })
      })
  }
  return {
    clock,
    advance: (millis: number): void => {
      now += millis
      for (const each of sleeping.splice(0)) {
        if (each.until <= now) each.resume()
        else sleeping.push(each)
      }
    }
  }
}

describe("An interruption at any operation of a call", () => {
  const swept = (room: number) => {
    let before = 0
    let during = 0
    let unsure = 0
    for (let point = 0;; point++) {
      const bench = Sweep.make()
      const { clock } = handClock()
      const sync = <A, E>(effect: Effect.Effect<A, E>): A => Effect.runSync(Effect.withClock(effect, clock))
      const limiter = sync(RateLimiter.make({ ...options, requestsPerMinute: 60, burst: Math.max(1, room) / 60 }))
      if (room === 0) sync(RateLimiter.apply(Effect.void, limiter))
      let started = 0
      const work = Effect.suspend(() => {
        started++
        return Effect.never
      })
      const fiber = bench.start(
        Effect.withClock(RateLimiter.applyCost(work, limiter, { tokens: 1, actual: () => 1 }), clock),
        point
      )
      const parked = bench.parked()
      fiber.unsafeInterruptAsFork(FiberId.none)
      bench.drain()
      const exit = fiber.unsafePoll()
      expect(exit !== null && Exit.isInterrupted(exit), `interrupted at ${point}`).toBe(true)
      const state = sync(RateLimiter.state(limiter))
      expect(state.waiting, `in line after ${point}`).toBe(0)
      // Between beginning the work and its first operation there is one point where nobody can tell.
      if (started === 0 && state.requestsAvailable < room - 0.5) unsure++
      else expect(state.requestsAvailable, `left after ${point}`).toBeCloseTo(room - started, 6)
      if (started === 0) before++
      else during++
      if (!parked) return { before, during, unsure }
    }
  }

  it("with room: the call keeps its cost if the work began, and leaves nothing if not", () => {
    const { before, during, unsure } = swept(5)
    console.log(`interrupted with room at ${before} operations before the work began, ${during} after`)
    expect(before).toBeGreaterThan(3)
    expect(during).toBeGreaterThan(0)
    expect(unsure).toBeLessThanOrEqual(1)
  })

  it("in line: leaves nothing", () => {
    const { before, during, unsure } = swept(0)
    console.log(`interrupted in line at ${before} operations`)
    expect(before).toBeGreaterThan(15)
    expect([during, unsure]).toEqual([0, 0])
  })

  it("in line while its turn comes: the turn is lost to nobody", () => {
    for (let point = 0; point < 30; point++) {
      const bench = Sweep.make()
      const { advance, clock } = handClock()
      const limiter = Effect.runSync(
        Effect.withClock(RateLimiter.make({ name: "a", requestsPerMinute: 60, burst: 0 }), clock)
      )
      const started: Array<string> = []
      const call = (name: string) =>
        bench.start(Effect.withClock(
          RateLimiter.apply(
            Effect.sync(() => void started.push(`${name} ${clock.unsafeCurrentTimeMillis()}`)),
            limiter
          ),
          clock
        ))
      call("first")
      const leaving = call("leaving")
      const staying = call("staying")
      advance(1_000)
      bench.step(point)
      leaving.unsafeInterruptAsFork(FiberId.none)
      bench.drain()
      advance(1_000)
      bench.drain()
      expect(staying.unsafePoll() !== null, `at ${point}: ${started.join()}`).toBe(true)
      expect(started).toEqual(
        started.length === 2 ? ["first 0", "staying 1000"] : ["first 0", "leaving 1000", "staying 2000"]
      )
    }
  })
})
